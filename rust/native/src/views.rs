//! What people and strategies read: orders, positions, books and definitions as Python dicts.
//!
//! Called by the classes of this crate. The rows are copied under the lock, the dicts are made after
//! it, since making one may run any Python code. Numbers stay fixed-point integers, codes become
//! their names. What must stay true: nothing here is computed that the engine does not say.

use engine::{Engine, Order, Position};
use layout::{Definition, Entity, OrdStatus, OrdType, Record, Side, TimeInForce, text_of};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use zerocopy::IntoBytes;

/// An order with what the tables beside it know.
pub struct OrderRow {
    order: Order,
    cl_ord_id: [u8; 36],
}

impl OrderRow {
    /// A copy of an order.
    pub fn of(engine: &Engine, order: &Order) -> Self {
        Self { order: *order, cl_ord_id: engine.cl_ord_id(order) }
    }

    /// Our number of it.
    pub fn order_seq(&self) -> u64 {
        self.order.order_seq
    }

    /// Its dict.
    pub fn dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (o, dict) = (&self.order, PyDict::new(py));
        let street =
            engine::street::Street { epoch: o.epoch, order_seq: o.order_seq, revision: o.revision };
        dict.set_item("order_seq", o.order_seq)?;
        dict.set_item("cl_ord_id", text_of(&self.cl_ord_id))?;
        dict.set_item("instrument_id", o.instrument_id)?;
        dict.set_item("account_id", o.account_id)?;
        dict.set_item("venue_id", o.venue_id)?;
        dict.set_item("session_id", o.session_id)?;
        dict.set_item("strategy_id", o.strategy_id)?;
        dict.set_item("parent_order_seq", o.parent_order_seq)?;
        dict.set_item("side", Side::from_code(o.side).map(Side::name))?;
        dict.set_item("ord_type", OrdType::from_code(o.ord_type).map(OrdType::name))?;
        dict.set_item(
            "time_in_force",
            TimeInForce::from_code(o.time_in_force).map(TimeInForce::name),
        )?;
        dict.set_item("ord_status", OrdStatus::name(o.ord_status()))?;
        dict.set_item("price", o.price)?;
        dict.set_item("order_qty", o.order_qty)?;
        dict.set_item("cum_qty", o.cum_qty)?;
        dict.set_item("leaves_qty", o.leaves_qty())?;
        dict.set_item("cum_points", o.cum_points)?;
        dict.set_item("pending_price", o.pending_price)?;
        dict.set_item("pending_qty", o.pending_qty)?;
        dict.set_item("revision", o.revision)?;
        dict.set_item("street_id", text_of(&engine::street::encode(street)))?;
        dict.set_item("is_live", o.live())?;
        dict.set_item("is_parent", o.is_parent())?;
        dict.set_item("children_qty", o.children_qty)?;
        dict.set_item("is_unsure", Engine::unsure(o))?;
        dict.set_item("is_cancel_asked", Engine::cancel_asked(o))?;
        dict.set_item("end_time_ns", o.end_time_ns)?;
        Ok(dict)
    }
}

/// A position with what values it.
pub struct PositionRow {
    position: Position,
    multiplier: i64,
    last_px: i64,
    bid_px: i64,
    ask_px: i64,
    currency_id: u16,
}

impl PositionRow {
    /// A copy of a position.
    pub fn of(engine: &Engine, position: Position) -> Self {
        let instrument = engine.instrument(position.instrument_id);
        let quote = instrument.quote();
        Self {
            position,
            multiplier: instrument.multiplier(),
            last_px: instrument.last_px(),
            bid_px: quote.bid_px,
            ask_px: quote.ask_px,
            currency_id: instrument.currency_id(),
        }
    }

    /// Its dict: sums in points at 1e-18 as the engine keeps them, fees at 1e-9.
    pub fn dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (p, dict) = (&self.position, PyDict::new(py));
        dict.set_item("account_id", p.account_id)?;
        dict.set_item("instrument_id", p.instrument_id)?;
        dict.set_item("currency_id", self.currency_id)?;
        dict.set_item("net_qty", p.net_qty)?;
        dict.set_item("bought_qty", p.traded_qty.0)?;
        dict.set_item("sold_qty", p.traded_qty.1)?;
        dict.set_item("open_points", p.open_cost)?;
        dict.set_item("realised_points", p.realised)?;
        dict.set_item("fees", p.fees)?;
        dict.set_item("contract_multiplier", self.multiplier)?;
        dict.set_item("last_px", self.last_px)?;
        dict.set_item("bid_px", self.bid_px)?;
        dict.set_item("ask_px", self.ask_px)?;
        Ok(dict)
    }
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
