//! The kill drill for `pyoms drill`: sizes in, one JSON object out. Called by `pyoms.drill`; runs
//! without the GIL. What must stay true: no judging is done here.

use crate::error::OrRaise;
use pyo3::prelude::*;
use std::path::PathBuf;

/// Holds so many trials over so many messages below `folder`.
#[pyfunction]
pub fn sim_drill(
    py: Python<'_>,
    trials: u64,
    messages: u64,
    seed: u64,
    folder: PathBuf,
) -> PyResult<String> {
    let options = sim::drill::DrillOptions { trials, messages, seed, folder };
    let held = py.detach(|| sim::drill::drill(&options)).map(|report| report.to_json());
    held.or_raise(py, "DrillError")
}
