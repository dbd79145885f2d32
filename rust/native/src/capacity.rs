//! Capacities of an engine from a Python dict: what `[engine]` of the configuration says.
//!
//! Called when a desk, an inline engine or a replay is made. What must stay true: an unknown key and
//! a value out of bounds are errors that name key, value and bound; nothing is rounded silently, a
//! capacity that must be a power of two is raised to the next one, which `capacities()` shows.

use crate::error::oms_error;
use engine::EngineConfig;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// Reads capacities; keys that are not there keep their default.
pub fn read(options: Option<&Bound<'_, PyDict>>) -> PyResult<EngineConfig> {
    let mut config = EngineConfig::default();
    let Some(options) = options else { return Ok(config) };
    for (key, value) in options.iter() {
        let py = key.py();
        let name = key.cast::<PyString>()?.to_string();
        let fail = |low: u64, high: u64| {
            let text = format!("{name} is {value}, allowed are {low} to {high}");
            oms_error(py, "EngineError", text)
        };
        let take = |low: u64, high: u64| -> PyResult<usize> {
            match value.extract::<u64>() {
                Ok(number) if (low..=high).contains(&number) => Ok(number as usize),
                _ => Err(fail(low, high)),
            }
        };
        match name.as_str() {
            "orders_max" => config.orders_max = take(64, 1 << 26)?.next_power_of_two(),
            "terms_max" => config.terms_max = take(16, 1 << 24)?.next_power_of_two(),
            "ids_max" => config.ids_max = take(64, 1 << 27)?.next_power_of_two(),
            "fills_max" => config.fills_max = take(64, 1 << 27)?.next_power_of_two(),
            "fill_days" => config.fill_days = take(1, 366)? as u16,
            "accounts_max" => config.accounts_max = take(1, 1 << 16)? + 1,
            "instruments_max" => config.instruments_max = take(1, 1 << 17)? + 1,
            "venues_max" => config.venues_max = take(1, 1024)? + 1,
            "sessions_max" => config.sessions_max = take(1, (1 << 16) - 2)? + 1,
            "strategies_max" => config.strategies_max = take(1, (1 << 16) - 2)? + 1,
            "traders_max" => config.traders_max = take(1, (1 << 16) - 2)? + 1,
            "currencies_max" => config.currencies_max = take(1, 1 << 15)? + 1,
            "sectors_max" => config.sectors_max = take(1, 1 << 15)? + 1,
            "hedging_max" => config.hedging_max = take(0, 1 << 12)?,
            "throttle_orders_max" => {
                config.throttle_orders_max = take(1, 1 << 20)?.next_power_of_two();
            }
            "peg_interval_ms" => {
                config.peg_interval_ns = take(1, 3_600_000)? as i64 * 1_000_000;
            }
            "peg_ticks" => config.peg_ticks = take(1, 1_000_000)? as i64,
            "id_ttl_s" => config.id_ttl_ns = take(0, 31 * 86_400)? as i64 * 1_000_000_000,
            "log_reserve" => config.log_reserve = take(64, 1 << 22)? as u64,
            "books_max" => config.books_max = take(0, 1024)?,
            "book_orders_max" => config.book_orders_max = take(16, 1 << 20)?,
            "book_levels_max" => config.book_levels_max = take(16, 1 << 18)?,
            _ => {
                let text = format!(
                    "{name} is no capacity of an engine; allowed are orders_max, terms_max, ids_max, fills_max, \
                     fill_days, accounts_max, instruments_max, venues_max, sessions_max, strategies_max, \
                     traders_max, currencies_max, sectors_max, hedging_max, throttle_orders_max, \
                     id_ttl_s, peg_interval_ms, peg_ticks, log_reserve, \
                     books_max, book_orders_max, book_levels_max"
                );
                return Err(oms_error(py, "EngineError", text));
            }
        }
    }
    Ok(config)
}

/// The capacities in force, as a dict.
pub fn shown<'py>(py: Python<'py>, config: &EngineConfig) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("orders_max", config.orders_max)?;
    dict.set_item("terms_max", config.terms_max)?;
    dict.set_item("ids_max", config.ids_max)?;
    dict.set_item("fills_max", config.fills_max)?;
    dict.set_item("fill_days", config.fill_days)?;
    dict.set_item("peg_interval_ms", config.peg_interval_ns / 1_000_000)?;
    dict.set_item("peg_ticks", config.peg_ticks)?;
    dict.set_item("accounts_max", config.accounts_max - 1)?;
    dict.set_item("instruments_max", config.instruments_max - 1)?;
    dict.set_item("venues_max", config.venues_max - 1)?;
    dict.set_item("sessions_max", config.sessions_max - 1)?;
    dict.set_item("strategies_max", config.strategies_max - 1)?;
    dict.set_item("traders_max", config.traders_max - 1)?;
    dict.set_item("currencies_max", config.currencies_max - 1)?;
    dict.set_item("sectors_max", config.sectors_max - 1)?;
    dict.set_item("hedging_max", config.hedging_max)?;
    dict.set_item("throttle_orders_max", config.throttle_orders_max)?;
    dict.set_item("id_ttl_s", config.id_ttl_ns / 1_000_000_000)?;
    dict.set_item("log_reserve", config.log_reserve)?;
    dict.set_item("books_max", config.books_max)?;
    dict.set_item("book_orders_max", config.book_orders_max)?;
    dict.set_item("book_levels_max", config.book_levels_max)?;
    Ok(dict)
}
