//! The fault simulator for `pyoms sim`: seeds in, one JSON object out. Called by `pyoms.faults`; runs
//! without the GIL. What must stay true: no judging is done here.

use pyo3::prelude::*;
use std::path::PathBuf;

/// Runs seeds `first` to `last` below `folder`; `steps` 0 means a whole day each; `keep`: the desk of
/// each seed stays there.
#[pyfunction]
#[pyo3(signature = (first, last, folder, steps=0, keep=false))]
pub fn sim_faults(
    py: Python<'_>,
    first: u64,
    last: u64,
    folder: PathBuf,
    steps: u64,
    keep: bool,
) -> String {
    let steps = if steps == 0 { sim::fault::STEPS } else { steps };
    py.detach(|| sim::fault::campaign((first, last), steps, &folder, keep).to_json())
}
