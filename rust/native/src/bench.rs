//! The speed cases for `pyoms bench`: JSON lines out, nothing else. Called by `pyoms.bench`; runs
//! without the GIL. What must stay true: no measuring is done here.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Runs one case, or all, and gives their lines. A ValueError names a case that is none, or says why
/// one could not run.
#[pyfunction]
#[pyo3(signature = (case=None, small=false))]
pub fn bench_run(py: Python<'_>, case: Option<String>, small: bool) -> PyResult<Vec<String>> {
    let run = || match ::bench::run(case.as_deref(), small) {
        Ok(lines) => Ok(lines.iter().map(::bench::Line::to_json).collect()),
        Err(fault) => Err(fault.to_string()),
    };
    py.detach(run).map_err(PyValueError::new_err)
}

/// Names of the cases, in the order they run.
#[pyfunction]
pub fn bench_cases() -> Vec<&'static str> {
    ::bench::CASES.iter().map(|(name, _)| *name).collect()
}
