//! Orders and positions as rows of named values, for people: `native` makes dicts of them, the door
//! JSON. Nothing here is computed that the engine does not say. What must stay true: a name means the
//! same wherever a row is shown; numbers stay fixed-point integers, codes become their names.

use crate::status::quoted;
use engine::{Engine, Order, Position};
use layout::{OrdStatus, OrdType, PositionLeg, Side, TimeInForce, text_of};

/// A value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number, fixed-point where it is a price or a quantity.
    Whole(i128),
    /// A text or the name of a code; `None` for a code without a name.
    Text(Option<String>),
    /// Yes or no.
    Flag(bool),
}

/// Named values in order.
pub type Row = Vec<(&'static str, Value)>;

fn whole(value: impl Into<i128>) -> Value {
    Value::Whole(value.into())
}

fn name(value: Option<&str>) -> Value {
    Value::Text(value.map(str::to_owned))
}

/// An order with what the tables beside it know.
pub fn order_row(engine: &Engine, o: &Order) -> Row {
    let street = engine.street_id(o, o.revision);
    vec![
        ("order_seq", whole(o.order_seq)),
        ("cl_ord_id", name(Some(text_of(&engine.cl_ord_id(o))))),
        ("instrument_id", whole(o.instrument_id)),
        ("account_id", whole(o.account_id)),
        ("venue_id", whole(o.venue_id)),
        ("session_id", whole(o.session_id)),
        ("strategy_id", whole(o.strategy_id)),
        ("parent_order_seq", whole(o.parent_order_seq)),
        ("side", name(Side::from_code(o.side).map(Side::name))),
        ("ord_type", name(OrdType::from_code(o.ord_type).map(OrdType::name))),
        ("time_in_force", name(TimeInForce::from_code(o.time_in_force).map(TimeInForce::name))),
        ("ord_status", name(Some(OrdStatus::name(o.ord_status())))),
        ("price", whole(o.price)),
        ("order_qty", whole(o.order_qty)),
        ("cum_qty", whole(o.cum_qty)),
        ("leaves_qty", whole(o.leaves_qty())),
        ("cum_points", whole(o.cum_points)),
        ("pending_price", whole(o.pending_price)),
        ("pending_qty", whole(o.pending_qty)),
        ("revision", whole(o.revision)),
        ("street_id", name(Some(text_of(&street)))),
        ("is_live", Value::Flag(o.live())),
        ("is_parent", Value::Flag(o.is_parent())),
        ("children_qty", whole(if o.is_parent() { o.children_qty } else { 0 })),
        ("is_unsure", Value::Flag(Engine::unsure(o))),
        ("is_cancel_asked", Value::Flag(Engine::cancel_asked(o))),
        ("end_time_ns", whole(o.end_time_ns)),
    ]
}

/// Both legs of a hedging account's position, as rows; none of an account that never hedged.
pub fn leg_rows(engine: &Engine, account_id: u32, instrument_id: u32) -> Vec<Row> {
    let legs = [PositionLeg::Long, PositionLeg::Short].into_iter();
    let legs = legs.filter_map(|leg| engine.leg(account_id, instrument_id, leg));
    legs.map(|p| position_row(engine, &p)).collect()
}

/// A position with what values it: sums in points at 1e-18 as the engine keeps them, fees at 1e-9.
pub fn position_row(engine: &Engine, p: &Position) -> Row {
    let instrument = engine.instrument(p.instrument_id);
    let quote = instrument.quote();
    vec![
        ("account_id", whole(p.account_id)),
        ("instrument_id", whole(p.instrument_id)),
        ("position_leg", name(Some(PositionLeg::name(p.leg)))),
        ("currency_id", whole(instrument.currency_id())),
        ("net_qty", whole(p.net_qty)),
        ("bought_qty", whole(p.traded_qty.0)),
        ("sold_qty", whole(p.traded_qty.1)),
        ("open_points", whole(p.open_cost)),
        ("realised_points", whole(p.realised)),
        ("fees", whole(p.fees)),
        ("contract_multiplier", whole(instrument.multiplier())),
        ("last_px", whole(instrument.last_px())),
        ("bid_px", whole(quote.bid_px)),
        ("ask_px", whole(quote.ask_px)),
    ]
}

/// A row as one JSON object.
pub(crate) fn json(row: &Row) -> String {
    let values = row.iter().map(|(name, value)| match value {
        Value::Whole(number) => format!("\"{name}\":{number}"),
        Value::Text(Some(text)) => format!("\"{name}\":{}", quoted(text)),
        Value::Text(None) => format!("\"{name}\":null"),
        Value::Flag(flag) => format!("\"{name}\":{flag}"),
    });
    format!("{{{}}}", values.collect::<Vec<_>>().join(","))
}
