//! Errors of the crates above as exceptions of `pyoms.errors`, the text kept word for word.
//!
//! Called by every class of this crate, with the GIL. What must stay true: a broken world becomes an
//! `OmsError`, a panic stays a panic (PyO3 turns it into `PanicException`), nothing is swallowed.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::fmt::Display;

/// An exception of `pyoms.errors` by its name; `RuntimeError` where that package is missing.
pub fn oms_error(py: Python<'_>, class: &str, text: impl Display) -> PyErr {
    let text = text.to_string();
    let made = py
        .import("pyoms.errors")
        .and_then(|module| module.getattr(class))
        .and_then(|class| class.call1((text.as_str(),)));
    match made {
        Ok(error) => PyErr::from_value(error),
        Err(_) => PyRuntimeError::new_err(text),
    }
}

/// Results whose errors become one class of `pyoms.errors`.
pub trait OrRaise<T> {
    /// The value, or the error as an exception of that class.
    fn or_raise(self, py: Python<'_>, class: &str) -> PyResult<T>;
}

impl<T, E: Display> OrRaise<T> for Result<T, E> {
    fn or_raise(self, py: Python<'_>, class: &str) -> PyResult<T> {
        self.map_err(|error| oms_error(py, class, error))
    }
}
