//! The speed cases of the desk's path: what one decision, one report, one append, one recovery costs.
//! Each case states its path and its data, sets up outside the timed part, checks what came out, and
//! gives one line: n, p50, p99, p99.9, max by serialised time stamps less the timer's own cost, and
//! operations a second over whole blocks. Called by the binary `bench`, by `native` for `pyoms bench`,
//! by the criterion and instruction benches. Budgets stand in `budget.toml` beside this crate.
#![forbid(unsafe_code)]

pub mod cases;
pub mod desk;
pub mod line;
pub mod measure;

pub use cases::{CASES, run};
pub use line::Line;
