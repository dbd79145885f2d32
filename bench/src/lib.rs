//! The speed cases of the desk's path: what one decision, one report, one append, one recovery costs.
//! Each case states its path and its data, sets up outside the timed part, checks what came out, and
//! gives one line: n, p50, p99, p99.9, max by serialised time stamps less the timer's own cost, and
//! operations a second over whole batches. Called by the binary `bench`, by `native` for `pyoms bench`.
//!
//! The same paths run in `benches/means.rs` (criterion: a mean and its drift from the last run, for a
//! developer's before and after) and `benches/counts.rs` (gungraun: instructions under valgrind, the
//! one gate that a noisy machine does not disturb). Neither gives percentiles, so `pyoms bench` is what
//! reports. Budgets stand in `budget.toml` beside this crate.
#![forbid(unsafe_code)]

pub mod cases;
pub mod counters;
pub mod desk;
pub mod line;
pub mod measure;
pub mod paths;
pub mod reload;

pub use cases::{CASES, run};
pub use line::Line;
