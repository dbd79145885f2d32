//! The one crate that knows Python: a capsule with a table of C functions for Cython, and plain
//! values for the rest. Built by maturin as `pyoms_native`; imported by `pyoms_core`, by nobody else.
//! No logic. What must stay true: `core/pyoms_core/native.pxd` is the text of [`table::pxd`].

pub mod table;

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
    let pointer = std::ptr::NonNull::from(&API).cast();
    // SAFETY: the pointer is to a `static`, which outlives the interpreter; it is read-only.
    let capsule = unsafe { PyCapsule::new_with_pointer(m.py(), pointer, c"pyoms_native._C_API")? };
    m.add("_C_API", capsule)
}
