//! One order and the transition table. The table is data: a row says from which statuses a trigger
//! is allowed, what it does and why; what no row names is refused at the top of `apply` and judged
//! `outside_table` for a venue's report. Reads: gate, apply. Writes: `apply` alone.
//!
//! A status is a base (what the venue last proved) and what is in flight on top of it, so that the
//! reject of a cancel or replace restores exactly what was, fills in between included.

use layout::{OrdStatus, ReplaceRule, TAG_PARENT};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// In flight: a cancel.
pub const CANCELING: u8 = 1;
/// In flight: a replace.
pub const REPLACING: u8 = 2;
/// The outcome of what is in flight is unknown.
pub const UNSURE: u8 = 4;
/// A mass cancel or the kill switch wants a cancel sent, as the venue's rate allows.
pub const CANCEL_ASKED: u8 = 8;

/// One order: a line of what every event needs and a line of the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, Immutable, IntoBytes)]
#[repr(C, align(128))]
pub struct Order {
    /// Our number; 0: the slot is free.
    pub order_seq: u64,
    /// Price(44), or the collar of a market order.
    pub price: i64,
    /// OrderQty(38).
    pub order_qty: i64,
    /// CumQty(14).
    pub cum_qty: i64,
    /// Price of the replace in flight.
    pub pending_price: i64,
    /// Quantity of the replace in flight.
    pub pending_qty: i64,
    /// Instrument.
    pub instrument_id: u32,
    /// Account.
    pub account_id: u32,
    /// Base status as a code.
    pub base: u8,
    /// What is in flight, bits.
    pub flight: u8,
    /// Side(54).
    pub side: u8,
    /// OrdType(40).
    pub ord_type: u8,
    /// TimeInForce(59).
    pub time_in_force: u8,
    /// Tags of the command.
    pub tags: u8,
    /// Venue.
    pub venue_id: u16,

    /// Sum of price x quantity over its fills, exact.
    pub cum_points: i128,
    /// When it ended; 0 while live.
    pub end_time_ns: i64,
    /// Parent, 0 for none.
    pub parent_order_seq: u64,
    /// A parent: what its children have filled and still hold.
    pub children_qty: i64,
    /// Epoch in which it was accepted, part of every street id of it.
    pub epoch: u32,
    /// Row of its present ClOrdID.
    pub id_row: u32,
    /// Revision the venue last acknowledged.
    pub revision: u16,
    /// Highest revision given out.
    pub revision_last: u16,
    /// Revision of the cancel in flight.
    pub cancel_revision: u16,
    /// Revision of the replace in flight.
    pub replace_revision: u16,
    /// Session.
    pub session_id: u16,
    /// Strategy.
    pub strategy_id: u16,
    /// Row of the ClOrdID of the replace in flight.
    pub replace_id_row: u32,
}

const _: () = assert!(size_of::<Order>() == 128);

/// What a live order may still cost: quantity, and quantity x price at 1e-18.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exposure {
    /// Quantity that may still fill.
    pub qty: i64,
    /// Sum of price x quantity that may still fill.
    pub points: i128,
}

/// Whether a base status is an end.
pub const fn closed(base: u8) -> bool {
    base >= OrdStatus::Filled as u8
}

impl Order {
    /// OrdStatus(39) as told: pending cancel before pending replace before the base (FIX precedence).
    pub fn ord_status(&self) -> OrdStatus {
        let base = OrdStatus::from_code(self.base).expect("apply stores codes of the table");
        match self.flight {
            _ if closed(self.base) => base,
            flight if flight & UNSURE != 0 => OrdStatus::Unknown,
            flight if flight & CANCELING != 0 => OrdStatus::PendingCancel,
            flight if flight & REPLACING != 0 => OrdStatus::PendingReplace,
            _ => base,
        }
    }

    /// Whether it may still trade as far as we know.
    #[inline(always)]
    pub fn live(&self) -> bool {
        self.order_seq != 0 && !closed(self.base)
    }

    /// LeavesQty(151): 0 once closed.
    #[inline]
    pub fn leaves_qty(&self) -> i64 {
        if closed(self.base) { 0 } else { (self.order_qty - self.cum_qty).max(0) }
    }

    /// A parent is an intent: never routed, and its children carry the reserve.
    #[inline(always)]
    pub fn is_parent(&self) -> bool {
        self.tags & TAG_PARENT != 0
    }

    /// Buys count to the long side, every kind of sell to the short side.
    #[inline(always)]
    pub fn is_buy(&self) -> bool {
        self.side == layout::Side::Buy as u8
    }

    /// What it may still cost, by the venue's rule for a replace in flight (DESIGN §7): counting
    /// fills in flight, the larger of old and new in quantity and in value; else, or when the outcome
    /// is unsure, both.
    #[inline]
    pub fn exposure(&self, rule: u8) -> Exposure {
        if closed(self.base) || self.is_parent() {
            return Exposure::default();
        }
        let old = self.open(self.order_qty, self.price);
        if self.flight & REPLACING == 0 {
            return old;
        }
        let new = self.open(self.pending_qty, self.pending_price);
        if rule == ReplaceRule::InFlightCounted as u8 && self.flight & UNSURE == 0 {
            Exposure { qty: old.qty.max(new.qty), points: larger(old.points, new.points) }
        } else {
            Exposure { qty: old.qty.saturating_add(new.qty), points: old.points + new.points }
        }
    }

    #[inline(always)]
    fn open(&self, order_qty: i64, price: i64) -> Exposure {
        let qty = (order_qty - self.cum_qty).max(0);
        // Negative prices: the size of the obligation is what is limited.
        Exposure { qty, points: crate::number::points(price, qty).abs() }
    }

    /// Quantity it takes of its parent: filled, and what may still fill.
    #[inline]
    pub fn committed_qty(&self, rule: u8) -> i64 {
        self.cum_qty.saturating_add(self.exposure(rule).qty)
    }
}

#[inline(always)]
fn larger(a: i128, b: i128) -> i128 {
    if a > b { a } else { b }
}

/// What may happen to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Trigger {
    /// The venue acknowledged it.
    Acked,
    /// A fill.
    Trade,
    /// Canceled, asked for or not.
    Canceled,
    /// The replace holds.
    Replaced,
    /// The venue refused the order.
    Rejected,
    /// Expired at the venue.
    Expired,
    /// The venue refused the cancel.
    CancelRejected,
    /// The venue refused the replace.
    ReplaceRejected,
    /// Query: the venue has it, live.
    FoundLive,
    /// Query: the venue has it, canceled.
    FoundCanceled,
    /// Query: the venue has it, filled.
    FoundFilled,
    /// Query: the venue has it, rejected.
    FoundRejected,
    /// Query: the venue has it, expired.
    FoundExpired,
    /// Query: the venue never had it.
    NotFound,
    /// We sent a cancel.
    CancelSent,
    /// We sent a replace.
    ReplaceSent,
    /// Our new order was held back by the kill switch and never left.
    NewDropped,
    /// Our cancel was held back and never left.
    CancelDropped,
    /// Our replace was held back and never left.
    ReplaceDropped,
    /// The link went down, or we restarted, with something in flight.
    OutcomeLost,
}

/// Number of triggers.
pub const TRIGGERS: usize = Trigger::OutcomeLost as usize + 1;

/// What a transition does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing changes: late, doubled or already known.
    Stay,
    /// Live at the venue.
    Open,
    /// A fill is added; the fills decide the status.
    Fill,
    /// A fill after the end: booked; completes the order or leaves its end as it is.
    LateFill,
    /// Closed as canceled.
    Cancel,
    /// Closed as rejected.
    Reject,
    /// Closed as expired.
    Expire,
    /// Closed as filled (the venue says so; a gap in the fills is a break).
    Complete,
    /// The new terms hold; the fills decide the status.
    Replace,
    /// The cancel in flight is forgotten, what was is restored.
    RestoreCancel,
    /// The replace in flight is forgotten, what was is restored.
    RestoreReplace,
    /// Live at the venue, and what was in flight did not arrive or was refused.
    Resolve,
    /// A cancel is in flight.
    BeginCancel,
    /// A replace is in flight.
    BeginReplace,
    /// The outcome is unknown, the reserve stays.
    Doubt,
}

/// One row: from these statuses, on this trigger, do this, because.
#[derive(Debug)]
pub struct Row {
    /// Statuses as told by [`Order::ord_status`].
    pub from: &'static [OrdStatus],
    /// What happens.
    pub on: Trigger,
    /// What it does.
    pub action: Action,
    /// Why.
    pub why: &'static str,
}

use OrdStatus::{
    Canceled, Expired, Filled, New, PartiallyFilled, PendingCancel, PendingNew, PendingReplace,
    Rejected, Unknown,
};

const LIVE: &[OrdStatus] =
    &[PendingNew, New, PartiallyFilled, PendingCancel, PendingReplace, Unknown];
const SENT: &[OrdStatus] = &[PendingNew, PendingCancel, PendingReplace, Unknown];
const CLOSED: &[OrdStatus] = &[Filled, Canceled, Rejected, Expired];

const fn row(from: &'static [OrdStatus], on: Trigger, action: Action, why: &'static str) -> Row {
    Row { from, on, action, why }
}

/// The transition table.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    row(SENT, Trigger::Acked, Action::Open, "acknowledged, perhaps crossing our cancel or replace"),
    row(&[New, PartiallyFilled], Trigger::Acked, Action::Stay, "an ack behind a fill or a second one must not reopen"),
    row(CLOSED, Trigger::Acked, Action::Stay, "an ack after the end must not reopen"),
    row(LIVE, Trigger::Trade, Action::Fill, "a fill wins any race; before the ack it is the ack"),
    row(CLOSED, Trigger::Trade, Action::LateFill, "a fill after the end is kept: the position is a fact"),
    row(LIVE, Trigger::Canceled, Action::Cancel, "canceled, asked for or not"),
    row(CLOSED, Trigger::Canceled, Action::Stay, "the end is known"),
    row(&[PendingReplace, PendingCancel, Unknown], Trigger::Replaced, Action::Replace, "the replace in flight holds"),
    row(&[PendingNew, New, PartiallyFilled], Trigger::Replaced, Action::Stay, "no replace is in flight: a second copy"),
    row(CLOSED, Trigger::Replaced, Action::Stay, "the end is known"),
    row(&[PendingNew, Unknown], Trigger::Rejected, Action::Reject, "refused by the venue"),
    row(&[PendingCancel, PendingReplace], Trigger::Rejected, Action::Reject, "refused by the venue while our change was on its way"),
    row(&[New, PartiallyFilled], Trigger::Rejected, Action::Cancel, "a reject after the ack ends the order, its fills are kept"),
    row(CLOSED, Trigger::Rejected, Action::Stay, "the end is known"),
    row(LIVE, Trigger::Expired, Action::Expire, "the venue's clock ended it"),
    row(CLOSED, Trigger::Expired, Action::Stay, "the end is known"),
    row(&[PendingCancel, Unknown], Trigger::CancelRejected, Action::RestoreCancel, "the cancel failed: what was is restored"),
    row(&[PendingNew, New, PartiallyFilled, PendingReplace], Trigger::CancelRejected, Action::Stay, "no cancel is in flight: a second copy"),
    row(CLOSED, Trigger::CancelRejected, Action::Stay, "too late to cancel: the end is known"),
    row(&[PendingReplace, PendingCancel, Unknown], Trigger::ReplaceRejected, Action::RestoreReplace, "the replace failed: what was is restored"),
    row(&[PendingNew, New, PartiallyFilled], Trigger::ReplaceRejected, Action::Stay, "no replace is in flight: a second copy"),
    row(CLOSED, Trigger::ReplaceRejected, Action::Stay, "too late to replace: the end is known"),
    row(&[Unknown], Trigger::FoundLive, Action::Resolve, "the venue has it: the doubt ends"),
    row(&[PendingNew], Trigger::FoundLive, Action::Open, "the answer to a query is an ack"),
    row(&[New, PartiallyFilled, PendingCancel, PendingReplace], Trigger::FoundLive, Action::Stay, "known"),
    row(CLOSED, Trigger::FoundLive, Action::Stay, "the answer is older than the end"),
    row(LIVE, Trigger::FoundCanceled, Action::Cancel, "the venue ended it while we were away"),
    row(CLOSED, Trigger::FoundCanceled, Action::Stay, "the end is known"),
    row(LIVE, Trigger::FoundFilled, Action::Complete, "the venue filled it while we were away"),
    row(CLOSED, Trigger::FoundFilled, Action::Stay, "the end is known"),
    row(LIVE, Trigger::FoundRejected, Action::Reject, "the venue refused it while we were away"),
    row(CLOSED, Trigger::FoundRejected, Action::Stay, "the end is known"),
    row(LIVE, Trigger::FoundExpired, Action::Expire, "the venue's clock ended it while we were away"),
    row(CLOSED, Trigger::FoundExpired, Action::Stay, "the end is known"),
    row(&[Unknown], Trigger::NotFound, Action::Reject, "the venue proves that it never had the order"),
    row(CLOSED, Trigger::NotFound, Action::Stay, "the end is known"),
    row(&[PendingNew, New, PartiallyFilled, PendingReplace, Unknown], Trigger::CancelSent, Action::BeginCancel, "a cancel is always possible while live"),
    row(&[PendingNew, New, PartiallyFilled], Trigger::ReplaceSent, Action::BeginReplace, "one change in flight at a time"),
    row(SENT, Trigger::NewDropped, Action::Cancel, "never sent: our own refusal is the evidence"),
    row(&[PendingCancel, Unknown], Trigger::CancelDropped, Action::RestoreCancel, "never sent"),
    row(&[PendingNew, New, PartiallyFilled, PendingReplace], Trigger::CancelDropped, Action::Stay, "no cancel is in flight"),
    row(&[PendingReplace, PendingCancel, Unknown], Trigger::ReplaceDropped, Action::RestoreReplace, "never sent"),
    row(&[PendingNew, New, PartiallyFilled], Trigger::ReplaceDropped, Action::Stay, "no replace is in flight"),
    row(CLOSED, Trigger::NewDropped, Action::Stay, "the end is known"),
    row(CLOSED, Trigger::CancelDropped, Action::Stay, "the end is known"),
    row(CLOSED, Trigger::ReplaceDropped, Action::Stay, "the end is known"),
    row(SENT, Trigger::OutcomeLost, Action::Doubt, "sent and not answered: only the venue can say"),
];

const STATUSES: usize = OrdStatus::ALL.len();
static TABLE: [[Option<Action>; TRIGGERS]; STATUSES] = {
    let (mut table, mut i) = ([[None; TRIGGERS]; STATUSES], 0);
    while i < ROWS.len() {
        let mut f = 0;
        while f < ROWS[i].from.len() {
            let cell = &mut table[ROWS[i].from[f] as usize][ROWS[i].on as usize];
            assert!(cell.is_none(), "two rows for one status and trigger");
            *cell = Some(ROWS[i].action);
            f += 1;
        }
        i += 1;
    }
    table
};

/// The row's action, `None` where the table has no row.
#[inline]
pub fn transition(status: OrdStatus, on: Trigger) -> Option<Action> {
    TABLE[status as usize][on as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_order_is_never_reopened_by_the_table() {
        let harmless = [Action::Stay, Action::LateFill];
        for row in ROWS.iter().filter(|row| row.from.iter().any(|&s| closed(s as u8))) {
            assert!(harmless.contains(&row.action), "{row:?}");
        }
    }

    #[test]
    fn every_live_status_takes_a_fill_and_an_end_from_the_venue() {
        for &status in LIVE {
            for on in [Trigger::Trade, Trigger::Canceled, Trigger::Expired, Trigger::Rejected] {
                assert!(transition(status, on).is_some(), "{status:?} {on:?}");
            }
        }
    }

    #[test]
    fn pending_replace_reserves_the_larger_and_when_unsure_both() {
        let mut order = Order {
            order_seq: 1,
            price: 10,
            order_qty: 5,
            cum_qty: 2,
            base: New as u8,
            flight: REPLACING,
            pending_price: 7,
            pending_qty: 9,
            ..Order::default()
        };
        let counted = ReplaceRule::InFlightCounted as u8;
        assert_eq!(order.exposure(counted), Exposure { qty: 7, points: 49 });
        order.flight |= UNSURE;
        assert_eq!(order.exposure(counted), Exposure { qty: 10, points: 79 });
        assert_eq!(order.ord_status(), Unknown);
        order.flight = 0;
        assert_eq!(order.exposure(counted), Exposure { qty: 3, points: 30 });
        order.base = Filled as u8;
        assert_eq!(order.exposure(counted), Exposure::default());
    }
}
