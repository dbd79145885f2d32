//! What people and strategies read: orders, positions, books and definitions as Python dicts.
//!
//! Called by the classes of this crate. The rows are copied under the lock, the dicts are made after
//! it, since making one may run any Python code. Numbers stay fixed-point integers, codes become
//! their names. What must stay true: nothing here is computed that the engine does not say.

use host::{Row, Value};
use layout::{Definition, Entity, Record, text_of};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use zerocopy::IntoBytes;

/// The dict of an order or a position.
pub fn dict<'py>(py: Python<'py>, row: &Row) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in row {
        match value {
            Value::Whole(number) => dict.set_item(name, number)?,
            Value::Text(text) => dict.set_item(name, text.as_deref())?,
            Value::Flag(flag) => dict.set_item(name, flag)?,
        }
    }
    Ok(dict)
}

/// The dict of a definition.
pub fn definition<'py>(py: Python<'py>, row: &Definition) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("entity", Entity::from_code(row.entity).map(Entity::name))?;
    dict.set_item("id", row.id)?;
    dict.set_item("name", text_of(&row.name))?;
    dict.set_item("parent_id", row.parent_id)?;
    dict.set_item("level", row.level)?;
    dict.set_item("flags", row.flags)?;
    dict.set_item("currency_id", row.currency_id)?;
    dict.set_item("zone", text_of(&row.zone))?;
    Ok(dict)
}

/// The bytes of a record.
pub fn bytes<'py>(py: Python<'py>, record: &Record) -> Bound<'py, PyBytes> {
    PyBytes::new(py, record.as_bytes())
}

/// The record behind 128 bytes; an error names the size.
pub fn record(py: Python<'_>, bytes: &[u8]) -> PyResult<Record> {
    let array: &[u8; layout::RECORD_SIZE] = bytes.try_into().map_err(|_| {
        let text = format!("a record of {} bytes, {} are needed", bytes.len(), layout::RECORD_SIZE);
        crate::error::oms_error(py, "EngineError", text)
    })?;
    Ok(zerocopy::transmute!(*array))
}
