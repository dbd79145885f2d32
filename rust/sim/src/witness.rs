//! What the venue itself remembers of the day, in a form to compare with the desk's: every order,
//! every position, every message counted. Filled by `venue`, read by tests and by the demo.
//! Must stay true: it is built from messages received and fills made, never from the desk's word.

use serde::Serialize;

/// One order as the venue has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WitnessOrder {
    /// Its present street id.
    pub street_id: String,
    /// The street id it came with.
    pub first_street_id: String,
    /// Account.
    pub account_id: u32,
    /// Instrument.
    pub instrument_id: u32,
    /// Side, by name.
    pub side: &'static str,
    /// OrdType, by name.
    pub ord_type: &'static str,
    /// TimeInForce, by name.
    pub time_in_force: &'static str,
    /// OrdStatus, by name.
    pub ord_status: &'static str,
    /// Price.
    pub price: i64,
    /// OrderQty.
    pub order_qty: i64,
    /// CumQty.
    pub cum_qty: i64,
    /// LeavesQty; 0 when closed.
    pub leaves_qty: i64,
    /// Sum of price x quantity of its fills, at 1e-18.
    pub value: i128,
}

/// Position of one account in one instrument.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WitnessPosition {
    /// Account.
    pub account_id: u32,
    /// Instrument.
    pub instrument_id: u32,
    /// Bought less sold.
    pub net: i64,
    /// Bought.
    pub bought: i64,
    /// Sold.
    pub sold: i64,
    /// Value sold less value bought, at 1e-18, without fees and multiplier.
    pub cash: i128,
    /// Fees.
    pub fee: i64,
}

/// Counts of the day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Routed messages received.
    pub received: u64,
    /// New orders received, repeated ones too.
    pub new_orders: u64,
    /// Replaces received.
    pub replaces: u64,
    /// Cancels received.
    pub cancels: u64,
    /// Mass cancels received.
    pub mass_cancels: u64,
    /// Queries received.
    pub queries: u64,
    /// New orders and replaces whose street id was known: never a second order.
    pub duplicate_sends: u64,
    /// Frames the link ignored because their number was known.
    pub duplicate_frames: u64,
    /// Numbers the desk gave up.
    pub gap_filled: u64,
    /// Rejects sent.
    pub rejects: u64,
    /// Fills of our orders.
    pub fills: u64,
    /// Quantity of all fills.
    pub volume: i64,
    /// Of it: given by recorded aggressors and auctions.
    pub passive_volume: i64,
    /// Of it: taken from resting or arriving recorded orders.
    pub taken_volume: i64,
    /// Quantity that our orders traded with each other.
    pub self_trades: i64,
    /// Orders canceled so that they would not.
    pub self_trades_prevented: u64,
    /// Records of the tape replayed.
    pub tape_records: u64,
    /// Recorded trades since the opening.
    pub tape_trades: u64,
    /// Their quantity.
    pub tape_volume: i64,
    /// Records the book refused.
    pub book_faults: u64,
    /// Turns handed out.
    pub turns: u64,
    /// Desks let in.
    pub joins: u64,
}

/// The venue's own record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Witness {
    /// The venue.
    pub venue_id: u16,
    /// Virtual time.
    pub now_ns: i64,
    /// Every order, in order of arrival.
    pub orders: Vec<WitnessOrder>,
    /// Every position, by account and instrument.
    pub positions: Vec<WitnessPosition>,
    /// `link_seq` of every new order and replace received, in order of arrival.
    pub creating_link_seqs: Vec<u32>,
    /// Counts.
    pub counters: Counters,
}
