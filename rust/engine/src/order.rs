//! One order and the transition table. The table is data: a row says from which statuses a trigger
//! is allowed, what it does and why. What no row names is refused before it becomes an event, a venue's
//! report as `outside_table`; `apply` asserts the row of what is in the log. Writes: `apply` alone.
//!
//! A status is a base (what the venue last proved) and what is in flight on top of it, so that the
//! reject of a cancel or replace restores exactly what was, fills in between included.

use arch::mutant;
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
/// The venue counts fills that we lack, and was asked about it: once for each sum it tells, until the
/// sums agree. It outlives the order's end, as `UNSENT` does.
pub const QUERIED: u8 = 16;
/// The venue's word and ours differ otherwise: its AvgPx(6) is another, the answer to a query counts
/// less than we have, or it may have ended, or work again, what does not so here. It was asked about
/// that, once for each word it says; no quantity is in doubt, so nothing waits for it. It outlives the
/// order's end.
pub const DIFFERS: u8 = 128;
/// What the venue is asked about, besides what is in flight.
pub(crate) const BREAKS: u8 = QUERIED | DIFFERS;
/// The replace in flight goes by cancel and new: the cancel is out, or the new order is still to go.
pub const MOVING: u8 = 32;
/// The old self of the order that is replaced has ended at the venue: what may fill is the new one.
pub const VACANT: u8 = 64;
/// In `flight` of a closed order: it was held here to its end, so no venue ever had it.
pub const UNSENT: u8 = VACANT;
/// All that a replace in flight sets.
const REPLACE_BITS: u8 = REPLACING | MOVING | VACANT;

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
    /// Quantity of the replace in flight; of an order that ended while fills of it were missing:
    /// CumQty(14) as its venue counts it.
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
    /// When it ended; while set aside (suspended, stopped, done for day): the venue's time of that,
    /// and once renewed the venue's time of the renewal; else 0.
    pub end_time_ns: i64,
    /// Parent, 0 for none.
    pub parent_order_seq: u64,
    /// A parent: what its children have filled and still hold. Any other: its CumQty(14) when what is at
    /// its venue went there as a new order, whose own CumQty begins at 0.
    pub children_qty: i64,
    /// Epoch in which it was accepted, part of every street id of it.
    pub epoch: u32,
    /// Row of its present ClOrdID.
    pub id_row: u32,
    /// Revision the venue last acknowledged.
    pub revision: u16,
    /// Highest revision given out.
    pub revision_last: u16,
    /// Revision of the cancel in flight. A parent sends none: its end before fills completed it, as a
    /// code, else 0.
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

/// Whether the venue has set a live order aside: it keeps its reserve, and fills keep that status
/// until it is renewed (FIX precedence: done for day before stopped before suspended).
pub const fn set_aside(base: u8) -> bool {
    base >= OrdStatus::Suspended as u8 && base <= OrdStatus::DoneForDay as u8
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

    /// Whether a cancel was asked for and none is in flight: the sweep is to send one.
    #[inline(always)]
    pub fn is_asked(&self) -> bool {
        self.flight & (CANCEL_ASKED | CANCELING) == CANCEL_ASKED && self.live()
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

    /// Whether it has ended at its venue, and fills that the venue counts are still to come: they
    /// are reserved until they do, or until the venue takes that word back.
    #[inline(always)]
    pub fn owes(&self) -> bool {
        closed(self.base) && self.base != Filled as u8 && self.flight & QUERIED != 0
    }

    /// Quantity that no fill has taken yet, whatever became of the order.
    pub(crate) fn unfilled_qty(&self) -> i64 {
        (self.order_qty - self.cum_qty).max(0)
    }

    /// A parent is an intent: never routed, and its children carry the reserve.
    #[inline(always)]
    pub fn is_parent(&self) -> bool {
        self.tags & TAG_PARENT != 0
    }

    /// A parent that has ended is completed by fills: remembers how it had ended.
    pub(crate) fn set_end_before_fills(&mut self, base: u8) {
        assert!(self.is_parent());
        assert!(closed(base) && base != Filled as u8);
        self.cancel_revision = base.into();
    }

    /// The base of a filled parent whose fills no longer complete it: open again where they had ended it,
    /// else the end that it had before.
    pub(crate) fn undo_end_by_fills(&mut self) -> u8 {
        assert!(self.is_parent());
        assert!(self.base == Filled as u8);
        match std::mem::take(&mut self.cancel_revision) {
            0 => New as u8,
            end => end as u8,
        }
    }

    /// Whether no venue has had it: it is held here, or was to its end.
    #[inline(always)]
    pub fn never_left(&self) -> bool {
        self.base == OrdStatus::Held as u8 || (closed(self.base) && self.flight & UNSENT != 0)
    }

    /// Not at the venue: a parent, held here, or between its old self and its new one. It ends by our
    /// own event.
    #[inline(always)]
    pub fn is_here(&self) -> bool {
        self.is_parent() || self.base == OrdStatus::Held as u8 || self.is_vacant()
    }

    /// Buys count to the long side, every kind of sell to the short side.
    #[inline(always)]
    pub fn is_buy(&self) -> bool {
        self.side == layout::Side::Buy as u8
    }

    /// A quantity of it as the position counts it: below zero where it is sold.
    #[inline(always)]
    pub(crate) fn signed(&self, qty: i64) -> i64 {
        if self.is_buy() { qty } else { -qty }
    }

    /// As it stands with a replace to these terms in flight, by the venue's rule.
    pub(crate) fn with_replace(&self, rule: u8, price: i64, order_qty: i64) -> Self {
        let moving = if rule == ReplaceRule::CancelNew as u8 { MOVING } else { 0 };
        let flight = self.flight | REPLACING | moving;
        Self { flight, pending_price: price, pending_qty: order_qty, ..*self }
    }

    /// Forgets the replace in flight.
    pub(crate) fn end_replace(&mut self) {
        self.flight &= !REPLACE_BITS;
    }

    /// Its old self has ended and its new one has not gone yet: nothing of it is at the venue.
    #[inline(always)]
    pub fn is_vacant(&self) -> bool {
        self.flight & (MOVING | VACANT) == MOVING | VACANT
    }

    /// Whether a word on the street id of this revision proves that the new self of a replaced order
    /// is at the venue, where that comes as an order of its own.
    pub(crate) fn binds(&self, revision: u16, rule: u8) -> bool {
        self.flight & (REPLACING | MOVING) == REPLACING
            && (self.flight & VACANT != 0 || rule == ReplaceRule::ModifyNew as u8)
            && revision == self.replace_revision
    }

    /// Whether a word on this street id speaks of what the order was before its replace, at a venue
    /// that ends the old id and begins a new one. The cancel that makes room for the new one has the
    /// revision above it.
    pub(crate) fn was(&self, revision: u16, rule: u8) -> bool {
        let by_cancel = rule == ReplaceRule::CancelNew as u8;
        if !by_cancel && rule != ReplaceRule::ModifyNew as u8 {
            return false;
        }
        let (new, replacing) = match self.flight & REPLACING {
            0 => (self.revision, false),
            _ => (self.replace_revision, true),
        };
        let own_cancel = by_cancel && new != 0 && revision == new + 1;
        let first = replacing && self.flight & (MOVING | VACANT) == MOVING;
        first || revision < new || own_cancel
    }

    /// Whether a word on this street id speaks of what an earlier replace ended at such a venue, while
    /// another one is on its way: it says nothing of what is there, and is no proof of its end.
    pub(crate) fn was_before(&self, revision: u16, rule: u8) -> bool {
        let by_cancel = rule == ReplaceRule::CancelNew as u8;
        let answers_cancel = self.flight & CANCELING != 0 && revision == self.cancel_revision;
        if self.flight & (REPLACING | VACANT) != REPLACING || answers_cancel {
            return false;
        }
        let own_cancel = by_cancel && self.revision != 0 && revision == self.revision + 1;
        (by_cancel || rule == ReplaceRule::ModifyNew as u8)
            && (revision < self.revision || own_cancel)
    }

    /// Whether a word on this street id speaks of a replace that came to nothing for us: refused, or not
    /// found when its outcome was in doubt.
    pub(crate) fn gave_up(&self, revision: u16) -> bool {
        self.live() && self.flight & REPLACING == 0 && revision > self.revision
    }

    /// Whether this is the revision of the cancel that makes room for the replace in flight.
    pub(crate) fn own_cancel(&self, revision: u16) -> bool {
        self.flight & (MOVING | VACANT) == MOVING && revision == self.replace_revision + 1
    }

    /// Revision under which the venue knows it.
    pub fn street_revision(&self) -> u16 {
        if self.flight & (MOVING | VACANT) == VACANT {
            self.replace_revision
        } else {
            self.revision
        }
    }

    /// What it may still cost, by the venue's rule for a replace in flight (DESIGN §7): counting
    /// fills in flight, the larger of old and new in quantity and in value; else, or when the outcome
    /// is unsure, both. Where the new order waits for the end of the old one they never live together:
    /// the larger, and the new alone once that end is proved.
    #[inline]
    pub fn exposure(&self, rule: u8) -> Exposure {
        mutant!(reserve_leaked_at_cancel => if self.base == Canceled as u8 {
            return self.open(self.order_qty, self.price);
        });
        if closed(self.base) || self.is_parent() {
            mutant!(missing_fills_free_their_reserve => return Exposure::default());
            return match self.owes() {
                true => self.open(self.pending_qty.min(self.order_qty), self.price),
                false => Exposure::default(),
            };
        }
        let old = self.open(self.order_qty, self.price);
        mutant!(unknown_reserves_nothing => if self.flight & UNSURE != 0 {
            return Exposure::default();
        });
        if self.flight & REPLACING == 0 {
            mutant!(reserve_leaked_at_replace_reject => if self.pending_qty > self.order_qty {
                return self.open(self.pending_qty, self.price);
            });
            return old;
        }
        let new = self.open(self.pending_qty, self.pending_price);
        mutant!(replace_reserves_the_new_alone => return new);
        if self.flight & VACANT != 0 {
            return new;
        }
        let counted = rule == ReplaceRule::InFlightCounted as u8 && self.flight & UNSURE == 0;
        if counted || self.flight & MOVING != 0 {
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
        mutant!(filled_child_frees_its_parent => return self.exposure(rule).qty);
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
    /// Query: the venue has it, live, and our change before it; or an answer of old, told again.
    FoundWaiting,
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
    /// The venue has received it and not yet accepted it.
    PendingNew,
    /// TradeCancel: a fill never was.
    Bust,
    /// TradeCorrect: a fill was another.
    Correct,
    /// The venue changed price or quantity by itself (378).
    Restated,
    /// Suspended at the venue.
    Suspended,
    /// Guaranteed by the venue.
    Stopped,
    /// Done for the day.
    DoneForDay,
    /// The venue has worked out its money.
    Calculated,
    /// The venue acknowledges an order again that it had set aside: a new day, or a halt is over.
    Renewed,
    /// A held order met its trigger and leaves.
    Triggered,
    /// A held order or a parent ends here: canceled, killed.
    CanceledHere,
    /// A held order may not leave at its trigger.
    RejectedHere,
    /// The venue's trading day is over, proved by its word, a query or an operator.
    DayClosed,
    /// The leg that a held order waited for has traded: it waits for its price.
    LegTraded,
    /// A held order is replaced here.
    HeldReplaced,
    /// A held order's own time is over.
    ExpiredHere,
    /// The venue has canceled what the order was before its replace.
    OldCanceled,
    /// The venue works again what the order was before, or what had ended: by a bust, or found by a query.
    OldWorks,
    /// The new self of a replaced order goes out.
    Moved,
    /// The new self of a replaced order may not go, or has nothing left to do.
    NotMoved,
    /// A child of this parent has filled more.
    ChildFilled,
    /// A fill of a child of this parent never was, or was another.
    ChildAmended,
}

/// Number of triggers.
pub const TRIGGERS: usize = Trigger::ChildAmended as usize + 1;

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
    /// A fill is undone or another; the fills that remain decide, and of a filled order the report's
    /// LeavesQty whether it is open again.
    Amend,
    /// A fill is undone or another after an end that fills did not make: the end stays.
    AmendLate,
    /// The venue's terms hold; the fills decide the status.
    Restate,
    /// Set aside by the venue, as the trigger says; the reserve stays.
    SetAside,
    /// Live again.
    Renew,
    /// Closed as calculated.
    Calculate,
    /// On its way to the venue.
    Release,
    /// Held until its price.
    Arm,
    /// Nothing of it is at the venue: its new self goes next.
    Vacate,
    /// Its new self goes out.
    Move,
    /// What a parent counts of its children's fills is less or another; the fills that remain decide.
    TakeBack,
    /// What it was is at the venue again: open, and none follows it.
    TakeUp,
}

impl Action {
    /// The statuses it may lead to, besides what is in flight; none: the status stays or is restored.
    pub const fn leads_to(self) -> &'static [OrdStatus] {
        match self {
            Self::Stay
            | Self::Arm
            | Self::RestoreCancel
            | Self::RestoreReplace
            | Self::Vacate
            | Self::Move => &[],
            Self::Open | Self::Renew | Self::Resolve | Self::TakeUp => &[New, PartiallyFilled],
            Self::Fill => &[PartiallyFilled, Filled],
            Self::LateFill => &[Filled],
            Self::Cancel => &[Canceled, Filled],
            Self::Reject => &[Rejected, Canceled, Filled],
            Self::Expire => &[Expired, Filled],
            Self::Complete => &[Filled],
            Self::Replace | Self::Restate => &[New, PartiallyFilled, Filled],
            Self::BeginCancel => &[PendingCancel],
            Self::BeginReplace => &[PendingReplace],
            Self::Doubt => &[Unknown],
            Self::Amend => &[New, PartiallyFilled, Filled, Canceled, Expired],
            Self::AmendLate => &[Filled],
            Self::SetAside => &[Suspended, Stopped, DoneForDay],
            Self::Calculate => &[Calculated],
            Self::Release => &[PendingNew],
            Self::TakeBack => &[New, PartiallyFilled, Canceled, Expired],
        }
    }
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
    Calculated, Canceled, DoneForDay, Expired, Filled, Held, New, PartiallyFilled, PendingCancel,
    PendingNew, PendingReplace, Rejected, Stopped, Suspended, Unknown,
};

const LIVE: &[OrdStatus] = &[
    PendingNew,
    New,
    PartiallyFilled,
    PendingCancel,
    PendingReplace,
    Unknown,
    Suspended,
    Stopped,
    DoneForDay,
];
const SENT: &[OrdStatus] = &[PendingNew, PendingCancel, PendingReplace, Unknown];
const QUIET: &[OrdStatus] = &[PendingNew, New, PartiallyFilled, Suspended, Stopped, DoneForDay];
const CLOSED: &[OrdStatus] = &[Filled, Canceled, Rejected, Expired, Calculated];
/// Ended, and not by its fills.
const ENDED: &[OrdStatus] = &[Canceled, Rejected, Expired, Calculated];

const fn row(from: &'static [OrdStatus], on: Trigger, action: Action, why: &'static str) -> Row {
    Row { from, on, action, why }
}

/// The transition table.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    row(SENT, Trigger::Acked, Action::Open, "acknowledged, perhaps crossing our cancel or replace"),
    row(&[New, PartiallyFilled, Suspended, Stopped, DoneForDay], Trigger::Acked, Action::Stay, "an ack behind a fill or a second one must not reopen"),
    row(CLOSED, Trigger::Acked, Action::Stay, "an ack after the end must not reopen"),
    row(LIVE, Trigger::Trade, Action::Fill, "a fill wins any race; before the ack it is the ack"),
    row(CLOSED, Trigger::Trade, Action::LateFill, "a fill after the end is kept: the position is a fact"),
    row(LIVE, Trigger::Canceled, Action::Cancel, "canceled, asked for or not"),
    row(CLOSED, Trigger::Canceled, Action::Stay, "the end is known"),
    row(&[PendingReplace, PendingCancel, Unknown], Trigger::Replaced, Action::Replace, "the replace in flight holds"),
    row(QUIET, Trigger::Replaced, Action::Stay, "no replace is in flight: a second copy"),
    row(&[Filled], Trigger::Replaced, Action::Replace, "an accepted replace to more reopens what fills had ended (D8)"),
    row(ENDED, Trigger::Replaced, Action::Stay, "the end is known"),
    row(&[PendingNew, Unknown], Trigger::Rejected, Action::Reject, "refused by the venue"),
    row(&[PendingCancel, PendingReplace], Trigger::Rejected, Action::Reject, "refused by the venue while our change was on its way"),
    row(&[New, PartiallyFilled, Suspended, Stopped, DoneForDay], Trigger::Rejected, Action::Cancel, "a reject after the ack ends the order, its fills are kept"),
    row(CLOSED, Trigger::Rejected, Action::Stay, "the end is known"),
    row(LIVE, Trigger::Expired, Action::Expire, "the venue's clock ended it"),
    row(CLOSED, Trigger::Expired, Action::Stay, "the end is known"),
    row(&[PendingCancel, Unknown], Trigger::CancelRejected, Action::RestoreCancel, "the cancel failed: what was is restored"),
    row(&[PendingNew, New, PartiallyFilled, Suspended, Stopped, DoneForDay, PendingReplace], Trigger::CancelRejected, Action::Stay, "no cancel is in flight: a second copy"),
    row(CLOSED, Trigger::CancelRejected, Action::Stay, "too late to cancel: the end is known"),
    row(&[PendingReplace, PendingCancel, Unknown], Trigger::ReplaceRejected, Action::RestoreReplace, "the replace failed: what was is restored"),
    row(QUIET, Trigger::ReplaceRejected, Action::Stay, "no replace is in flight: a second copy"),
    row(CLOSED, Trigger::ReplaceRejected, Action::Stay, "too late to replace: the end is known"),
    row(&[Unknown], Trigger::FoundLive, Action::Resolve, "the venue has it: the doubt ends"),
    row(&[PendingNew, PendingCancel, PendingReplace], Trigger::FoundLive, Action::Open, "the answer to a query is an ack"),
    row(&[New, PartiallyFilled, Suspended, Stopped, DoneForDay], Trigger::FoundLive, Action::Stay, "known"),
    row(SENT, Trigger::FoundWaiting, Action::Open, "the venue has it; what is in flight it has not decided, so that doubt stays"),
    row(&[New, PartiallyFilled, Suspended, Stopped, DoneForDay], Trigger::FoundWaiting, Action::Stay, "known"),
    row(CLOSED, Trigger::FoundWaiting, Action::Stay, "the answer is older than the end"),
    row(CLOSED, Trigger::FoundLive, Action::Stay, "the answer is older than the end"),
    row(LIVE, Trigger::FoundCanceled, Action::Cancel, "the venue ended it while we were away"),
    row(CLOSED, Trigger::FoundCanceled, Action::Stay, "the end is known"),
    row(LIVE, Trigger::FoundFilled, Action::Complete, "the venue filled it while we were away"),
    row(CLOSED, Trigger::FoundFilled, Action::Stay, "the end is known"),
    row(LIVE, Trigger::FoundRejected, Action::Reject, "the venue refused it while we were away"),
    row(CLOSED, Trigger::FoundRejected, Action::Stay, "the end is known"),
    row(LIVE, Trigger::FoundExpired, Action::Expire, "the venue's clock ended it while we were away"),
    row(CLOSED, Trigger::FoundExpired, Action::Stay, "the end is known"),
    row(&[Unknown], Trigger::NotFound, Action::Reject, "the venue proves that it never had the order, or what a replace made of it"),
    row(&[PendingReplace, PendingCancel], Trigger::NotFound, Action::Reject, "what it was has ended, and the venue never had what a replace made of it"),
    row(CLOSED, Trigger::NotFound, Action::Stay, "the end is known"),
    row(&[PendingNew, New, PartiallyFilled, Suspended, Stopped, DoneForDay, PendingReplace, Unknown], Trigger::CancelSent, Action::BeginCancel, "a cancel is always possible while live"),
    row(QUIET, Trigger::ReplaceSent, Action::BeginReplace, "one change in flight at a time"),
    row(SENT, Trigger::NewDropped, Action::Cancel, "never sent: our own refusal is the evidence"),
    row(&[PendingCancel, Unknown], Trigger::CancelDropped, Action::RestoreCancel, "never sent"),
    row(&[PendingNew, New, PartiallyFilled, Suspended, Stopped, DoneForDay, PendingReplace], Trigger::CancelDropped, Action::Stay, "no cancel is in flight"),
    row(&[PendingReplace, PendingCancel, Unknown], Trigger::ReplaceDropped, Action::RestoreReplace, "never sent"),
    row(QUIET, Trigger::ReplaceDropped, Action::Stay, "no replace is in flight"),
    row(CLOSED, Trigger::NewDropped, Action::Stay, "the end is known"),
    row(CLOSED, Trigger::CancelDropped, Action::Stay, "the end is known"),
    row(CLOSED, Trigger::ReplaceDropped, Action::Stay, "the end is known"),
    row(SENT, Trigger::OutcomeLost, Action::Doubt, "sent and not answered: only the venue can say"),
    row(LIVE, Trigger::PendingNew, Action::Stay, "received is not accepted: nothing is proved but the way"),
    row(CLOSED, Trigger::PendingNew, Action::Stay, "the end is known"),
    row(LIVE, Trigger::Bust, Action::Amend, "a fill never was: the fills that remain decide"),
    row(&[Filled], Trigger::Bust, Action::Amend, "the report's LeavesQty says whether it is open again (D33, D34)"),
    row(ENDED, Trigger::Bust, Action::AmendLate, "the end stays, the position is a fact (D35)"),
    row(LIVE, Trigger::Correct, Action::Amend, "a fill was another: the fills decide"),
    row(&[Filled], Trigger::Correct, Action::Amend, "the report's LeavesQty says whether it is open again"),
    row(ENDED, Trigger::Correct, Action::AmendLate, "the end stays, the position is a fact (D36)"),
    row(LIVE, Trigger::Restated, Action::Restate, "the venue's terms are the order's terms"),
    row(CLOSED, Trigger::Restated, Action::Restate, "a venue that still works it says so: leaves above zero reopen it"),
    row(LIVE, Trigger::Suspended, Action::SetAside, "not eligible to trade; the reserve stays"),
    row(CLOSED, Trigger::Suspended, Action::Stay, "the end is known"),
    row(LIVE, Trigger::Stopped, Action::SetAside, "guaranteed: a fill will come"),
    row(CLOSED, Trigger::Stopped, Action::Stay, "the end is known"),
    row(LIVE, Trigger::DoneForDay, Action::SetAside, "no more today; what is good longer may be renewed, so the reserve stays"),
    row(CLOSED, Trigger::DoneForDay, Action::Stay, "the end is known"),
    row(LIVE, Trigger::Calculated, Action::Calculate, "done and worked out"),
    row(&[Filled, Canceled, Expired], Trigger::Calculated, Action::Calculate, "worked out after its end; calculated goes before filled"),
    row(&[Rejected, Calculated], Trigger::Calculated, Action::Stay, "the end is known"),
    row(&[Suspended, Stopped, DoneForDay, PendingCancel, PendingReplace, Unknown], Trigger::Renewed, Action::Renew, "a new day, or the halt is over"),
    row(&[Held], Trigger::Triggered, Action::Release, "its trigger was met and the gate let it go"),
    row(&[Held, New, PartiallyFilled, PendingReplace], Trigger::CanceledHere, Action::Cancel, "nothing is at the venue (a parent is new, or its children have filled a part): canceled at once"),
    row(&[Held], Trigger::RejectedHere, Action::Reject, "met its trigger and may not leave"),
    row(&[Held, PendingReplace], Trigger::ExpiredHere, Action::Expire, "its time ran out here"),
    row(&[Held], Trigger::DayClosed, Action::Expire, "its day is over"),
    row(&[New, PartiallyFilled, Suspended, Stopped, DoneForDay, PendingCancel, PendingReplace], Trigger::DayClosed, Action::Expire, "its day is over, and the venue had it"),
    row(&[PendingNew, Unknown], Trigger::DayClosed, Action::Stay, "whether the venue had it is not proved: the reserve stays"),
    row(CLOSED, Trigger::DayClosed, Action::Stay, "the end is known"),
    row(&[Held], Trigger::LegTraded, Action::Arm, "the leg it waited for has traded: now it waits for its price"),
    row(&[PendingReplace, Unknown], Trigger::OldCanceled, Action::Vacate, "the end of what it was is proved: what it becomes may go, or is acknowledged under its own id"),
    row(&[PendingCancel], Trigger::OldCanceled, Action::Cancel, "a cancel was asked for meanwhile: nothing goes out any more"),
    row(QUIET, Trigger::OldCanceled, Action::Stay, "a copy: what it was has ended before"),
    row(CLOSED, Trigger::OldCanceled, Action::Stay, "the end is known"),
    row(LIVE, Trigger::OldWorks, Action::TakeUp, "where each part is an order of its own: one that had filled is worked again, and no other follows before it ends"),
    row(CLOSED, Trigger::OldWorks, Action::TakeUp, "the end was that of another part, or the desk's own: what the venue works again is open, and is canceled"),
    row(&[PendingReplace], Trigger::Moved, Action::Move, "the gate let the new order go"),
    row(&[PendingReplace], Trigger::NotMoved, Action::Cancel, "the gate holds the new order back, or fills have left it nothing"),
    row(&[New, PartiallyFilled], Trigger::ChildFilled, Action::Fill, "what a child fills, its parent has filled; whole, it is done"),
    row(&[Filled, Canceled, Expired], Trigger::ChildFilled, Action::LateFill, "a fill after the parent's end is kept; it completes what was canceled"),
    row(&[New, PartiallyFilled, Filled], Trigger::ChildAmended, Action::TakeBack, "the fills that remain decide: what only fills had ended is open again, else it is as it had ended before"),
    row(&[Canceled, Expired], Trigger::ChildAmended, Action::AmendLate, "the end stays, the sum is a fact"),
    row(&[Held], Trigger::HeldReplaced, Action::Stay, "nothing is in flight: the new terms hold by the event"),
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

    /// I8: what else a closed order does is named after a fact that only the venue can make.
    #[test]
    fn a_closed_order_is_left_only_by_a_fact_of_the_venue() {
        use Trigger::*;
        let facts = [Trade, Bust, Correct, Restated, Replaced, Calculated];
        let facts = [&facts[..], &[OldWorks, ChildFilled, ChildAmended]].concat(); // the same, of a child
        for row in ROWS.iter().filter(|row| row.from.iter().any(|&s| closed(s as u8))) {
            assert!(row.action == Action::Stay || facts.contains(&row.on), "{row:?}");
            assert!(!row.why.is_empty());
        }
    }

    #[test]
    fn every_status_but_none_has_rows_and_every_trigger_too() {
        for &status in OrdStatus::ALL.iter().filter(|&&s| s != OrdStatus::None) {
            assert!(ROWS.iter().any(|row| row.from.contains(&status)), "{status:?}");
        }
        for on in 0..TRIGGERS {
            assert!(ROWS.iter().any(|row| row.on as usize == on), "trigger {on}");
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
