//! The one crate that knows Python: a capsule with a table of C functions for Cython, and plain
//! values for the rest. Built by maturin as `pyoms_native`; imported by `pyoms_core`, by nobody else.
//! No logic. What must stay true: `core/pyoms_core/native.pxd` is the text of [`table::pxd`].

mod bench;
mod capacity;
mod core;
mod desk;
mod drill;
mod error;
mod faults;
mod ffi;
mod logs;
mod port;
mod simulated;
pub mod table;
mod views;

use ffi::{Port, Runs, Tape};
use layout::{NewOrder, Record};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use table::{API_VERSION, c_table, hash, pxd};

/// Costs nothing but the call: the bench of the border, and a sign of life.
extern "C" fn probe(x: u64) -> u64 {
    x.wrapping_add(1)
}

c_table! {
    /// Returns its argument plus one.
    probe: fn(x: u64) -> u64 = probe;
    /// [`ffi::port_submit`].
    port_submit: fn(port: *const Port, record: *mut Record, command_seq: *mut u64) -> i32
        = ffi::port_submit;
    /// [`ffi::port_submit_many`].
    port_submit_many: fn(port: *const Port, orders: *const NewOrder, count: usize,
        verdicts: *mut u16, order_seqs: *mut u64) -> i64 = ffi::port_submit_many;
    /// [`ffi::port_now`].
    port_now: fn(port: *const Port) -> i64 = ffi::port_now;
    /// [`ffi::port_quote`].
    port_quote: fn(port: *const Port, instrument_id: u32, out: *mut i64) -> i32 = ffi::port_quote;
    /// [`ffi::tape_poll`].
    tape_poll: fn(tape: *const Tape, max: usize, first_seq: *mut u64, records: *mut *const Record)
        -> i64 = ffi::tape_poll;
    /// [`ffi::tape_oldest`].
    tape_oldest: fn(tape: *const Tape) -> u64 = ffi::tape_oldest;
    /// [`ffi::tape_seek`].
    tape_seek: fn(tape: *const Tape, seq: u64) -> i32 = ffi::tape_seek;
    /// [`ffi::tape_memory`].
    tape_memory: fn(tape: *const Tape, records: *mut *const Record, slots: *mut u64,
        next_seq: *mut u64) -> i32 = ffi::tape_memory;
    /// [`ffi::log_run`].
    log_run: fn(log: *const Runs, index: usize, first_seq: *mut u64, records: *mut *const Record)
        -> u64 = ffi::log_run;
    /// [`ffi::port_submit_with`].
    port_submit_with: fn(port: *const Port, offer: *const Record, record: *mut Record,
        command_seq: *mut u64) -> i32 = ffi::port_submit_with;
}

/// Hash of the table, compiled into both sides.
pub const TABLE_HASH: u64 = hash(ENTRIES);

/// The text that `core/pyoms_core/native.pxd` must hold.
#[pyfunction]
fn native_pxd() -> String {
    pxd(ENTRIES)
}

#[pymodule(gil_used = false)]
fn pyoms_native(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("LAYOUT_HASH", layout::LAYOUT_HASH)?;
    m.add("TABLE_HASH", TABLE_HASH)?;
    m.add("__version__", env!("CARGO_PKG_VERSION"))?;
    m.add_function(wrap_pyfunction!(native_pxd, m)?)?;
    m.add_function(wrap_pyfunction!(self::bench::bench_run, m)?)?;
    m.add_function(wrap_pyfunction!(self::bench::bench_cases, m)?)?;
    m.add_function(wrap_pyfunction!(faults::sim_faults, m)?)?;
    m.add_function(wrap_pyfunction!(drill::sim_drill, m)?)?;
    m.add_class::<port::Port>()?;
    m.add_class::<port::Engine>()?;
    m.add_class::<desk::Desk>()?;
    m.add_class::<desk::Client>()?;
    m.add_class::<desk::Running>()?;
    m.add_function(wrap_pyfunction!(desk::ask, m)?)?;
    m.add_function(wrap_pyfunction!(desk::engage, m)?)?;
    m.add_class::<logs::Log>()?;
    m.add_class::<logs::Replay>()?;
    m.add_function(wrap_pyfunction!(logs::verify_log, m)?)?;
    m.add_function(wrap_pyfunction!(logs::ring_tape, m)?)?;
    m.add_class::<simulated::Tape>()?;
    m.add_class::<simulated::SimVenue>()?;
    m.add_function(wrap_pyfunction!(simulated::load_tape, m)?)?;
    m.add_function(wrap_pyfunction!(simulated::synthetic, m)?)?;
    m.add_function(wrap_pyfunction!(simulated::side_by_side, m)?)?;
    m.add_function(wrap_pyfunction!(simulated::book_tops, m)?)?;
    let pointer = std::ptr::NonNull::from(&API).cast();
    // SAFETY: the pointer is to a `static`, which outlives the interpreter; it is read-only.
    let capsule = unsafe { PyCapsule::new_with_pointer(m.py(), pointer, c"pyoms_native._C_API")? };
    m.add("_C_API", capsule)
}
