//! The gate: session and entitlement, idempotency, kill switch, syntax, instrument, phase, risk.
//! Pure: judges one command and changes nothing. All checks are evaluated into a bit mask without a
//! branch each; the lowest bit, in the order of `layout::Verdict`, is the reason told. Called by the
//! pipeline; what `apply` needs of the judgement travels in the event.

use crate::bounds::{RATES, REPEATS, SHORTS, SUMS, Scopes};
use crate::legs::effect;
use crate::order::{CANCEL_ASKED, CANCELING, Exposure, REPLACING, UNSURE};
use crate::risk::{
    All, Any, Fails, Findings, check, fail, first, phase_takes_orders, side_index, stops_orders,
};
use crate::terms::Fault;
use crate::{Engine, Order, dedup, number, risk, street};
use arch::mutant;
use layout::{
    CancelOrder, KillMode, LinkState, MassCancel, NO_PRICE, NO_TICKS, NewOrder, OrdType,
    OrderAccepted, Record, Refusal, ReplaceOrder, Side, TAG_PARENT, TimeInForce, Typed, Verdict,
};
use zerocopy::IntoBytes;

/// What was found about an id before anything else was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Never seen, or forgotten by its TTL.
    New,
    /// Same id and body: answered from this row.
    Repeated(u32),
    /// Same id, other body; the row of the first.
    Other(u32),
}

/// A judgement of a new order or a replace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged {
    pub verdict: Verdict,
    pub seen: Seen,
    pub body_hash: u64,
    pub id_hash: u64,
    /// New order: the number it gets. Change: the order it concerns, 0 if none was found.
    pub order_seq: u64,
    /// Limit price, or the collar of a market order.
    pub price: i64,
    pub venue_id: u16,
    pub bid_ticks: i32,
    pub ask_ticks: i32,
    pub reference_age_ms: u16,
}

impl Judged {
    /// A judgement of an order's own change, not of a command.
    pub(crate) fn of(order_seq: u64, venue_id: u16, price: i64) -> Self {
        Self {
            verdict: Verdict::Accepted,
            seen: Seen::New,
            body_hash: 0,
            id_hash: 0,
            order_seq,
            price,
            venue_id,
            bid_ticks: NO_TICKS,
            ask_ticks: NO_TICKS,
            reference_age_ms: u16::MAX,
        }
    }
}

/// Slots tried for a new order before the table counts as full.
const SLOT_TRIES: u64 = 4096;

#[inline(always)]
pub(crate) fn at<T>(table: &[T], id: usize) -> &T {
    // Row 0 is never defined, so a number out of range fails its check without a branch.
    &table[if id < table.len() { id } else { 0 }]
}

/// Hash of a command's body, what a repeated id must match: its kind and the payload behind the first
/// 32 bytes, which are the id itself, compared whole already. Four pairs of words, each under keys of
/// its own, so that order counts.
#[inline(always)]
pub(crate) fn body_hash(record: &[u8; 128]) -> u64 {
    mutant!(body_hash_ignored => return 0);
    let words: &[[u8; 8]; 16] = zerocopy::transmute_ref!(record);
    let word = |at: usize| u64::from_le_bytes(words[at]);
    let pair = |at: usize| {
        number::fold(word(at) ^ number::KEYS[at - 8], word(at + 1) ^ number::KEYS[at - 7])
    };
    let sum = pair(8) ^ pair(10).rotate_left(14) ^ pair(12).rotate_left(28);
    number::fold(sum ^ pair(14).rotate_left(42), number::KEYS[0] ^ word(3) & 0xffff)
}

impl Engine {
    /// Brings the lines that a new order will touch into cache, ahead of its turn.
    #[inline]
    pub fn prefetch(&self, command: &NewOrder) {
        self.dedup.prefetch(dedup::id_hash(&command.cl_ord_id, command.session_id));
        if (command.account_id as usize) < self.config.accounts_max
            && (command.instrument_id as usize) < self.config.instruments_max
        {
            let pair = self.pair(command.account_id, command.instrument_id);
            arch::prefetch_write(&self.rows[pair]);
            arch::prefetch_write(&self.rows[pair].order_points_max);
            arch::prefetch_read(&self.instruments[command.instrument_id as usize]);
        }
    }

    /// Brings the lines that folding an event will touch into cache, ahead of its turn: recovery.
    #[inline]
    pub fn prefetch_event(&self, record: &Record) {
        if record.header.order_seq != 0 {
            let order = &self.orders[self.slot(record.header.order_seq)];
            arch::prefetch_write(order);
            arch::prefetch_write(&order.cum_points);
        }
        if let Some(accepted) = OrderAccepted::from_record(record) {
            self.dedup.prefetch(dedup::id_hash(&accepted.cl_ord_id, accepted.session_id));
            let pair = self.pair(accepted.account_id, accepted.instrument_id);
            if let Some(row) = self.rows.get(pair) {
                arch::prefetch_write(row);
                arch::prefetch_write(&row.order_points_max);
            }
        }
    }

    /// Session, entitlement, id and room for it, before anything else is judged; `true`: that is the
    /// answer. Whatever is found behind it takes the id, so no way around it may end in a refusal.
    #[inline(always)]
    pub(crate) fn answered(
        &self,
        judged: &mut Judged,
        cl_ord_id: &[u8; 36],
        session_id: u16,
        entitled: bool,
        now_ns: i64,
    ) -> bool {
        let identity = self.check_identity(cl_ord_id, session_id)
            | fail(!entitled, Verdict::AccountNotEntitled);
        if identity != 0 {
            judged.verdict = first(identity);
            return true;
        }
        judged.seen = self.seen(judged.id_hash, cl_ord_id, session_id, judged.body_hash, now_ns);
        if let Seen::Other(_) = judged.seen {
            judged.verdict = Verdict::DuplicateId;
        }
        let full = judged.seen == Seen::New && !self.dedup.has_room(judged.id_hash);
        if full {
            judged.verdict = Verdict::IdTableFull;
        }
        full || judged.seen != Seen::New
    }

    /// Whether an id of this hash was seen, and whether its row still counts.
    #[inline]
    fn seen(
        &self,
        hash: u64,
        cl_ord_id: &[u8; 36],
        session_id: u16,
        body_hash: u64,
        now_ns: i64,
    ) -> Seen {
        match self.dedup.find(hash, session_id, cl_ord_id) {
            None => Seen::New,
            Some(row) if self.id_expired(row, now_ns) => Seen::New,
            Some(row) if self.dedup.row(row).body_hash == body_hash => Seen::Repeated(row),
            Some(row) => Seen::Other(row),
        }
    }

    /// Whether the TTL of an id has run out: it starts at the end of its order.
    pub(crate) fn id_expired(&self, row: u32, now_ns: i64) -> bool {
        let row = self.dedup.row(row);
        if self.keeps_foreign_id(row.session_id, row.order_seq) {
            return false;
        }
        let start = match self.order(row.order_seq) {
            Some(order) if order.live() => return false,
            Some(order) => order.end_time_ns.max(row.time_ns),
            None => row.time_ns,
        };
        mutant!(id_ttl_from_its_beginning: start = row.time_ns);
        now_ns >= start.saturating_add(self.config.id_ttl_ns)
    }

    #[inline(always)]
    fn check_identity(&self, cl_ord_id: &[u8; 36], session_id: u16) -> Fails {
        let session = at(&self.sessions, session_id as usize);
        // Empty, longer than its field, or not printable: the key itself is no key.
        let malformed = !arch::is_padded_text(cl_ord_id);
        fail(session.defined == 0, Verdict::SessionUnknown)
            | fail(malformed, Verdict::ClOrdIdMalformed)
    }

    /// Whether a strategy is defined; 0, none told, is.
    #[inline(always)]
    pub(crate) fn knows_strategy(&self, strategy_id: u16) -> bool {
        // Row 0 is none told, so a number out of range must not fall back to it.
        self.strategies.get(strategy_id as usize).is_some_and(|strategy| strategy.defined != 0)
    }

    /// Strictest mode over the scopes of an order.
    #[inline(always)]
    pub(crate) fn mode(
        &self,
        account_id: u32,
        instrument_id: u32,
        venue_id: u16,
        session_id: u16,
        strategy_id: u16,
    ) -> u8 {
        self.desk_mode
            .max(at(&self.accounts, account_id as usize).mode)
            .max(at(&self.instruments, instrument_id as usize).mode)
            .max(at(&self.venues, venue_id as usize).mode)
            .max(at(&self.sessions, session_id as usize).mode)
            .max(at(&self.strategies, strategy_id as usize).mode)
    }

    #[inline(always)]
    pub(crate) fn check_throttles<F: Findings>(&self, f: &mut F, of: &Scopes, now_ns: i64) -> bool {
        let session = at(&self.sessions, of.session_id as usize);
        let account = at(&self.accounts, of.account_id as usize);
        check!(f, now_ns < session.throttle.open_ns, ThrottleSession);
        check!(f, now_ns < account.throttle.open_ns, ThrottleAccount);
        self.bounds.kinds & RATES != 0 && self.check_rates(f, of, now_ns)
    }

    #[inline(always)]
    pub(crate) fn reference_ticks(
        &self,
        instrument: &risk::Instrument,
        price: i64,
        now_ns: i64,
    ) -> (i32, i32, u16) {
        let ticks = |reference: i64| {
            if reference == NO_PRICE {
                return NO_TICKS;
            }
            let distance = reference.wrapping_sub(price);
            let exact = instrument.tick.divides(distance);
            i32::try_from(instrument.tick.exact_quotient(distance))
                .ok()
                .filter(|_| exact)
                .unwrap_or(NO_TICKS)
        };
        (ticks(instrument.bid), ticks(instrument.ask), instrument.reference_age_ms(now_ns))
    }

    /// The number a new order would get: its slot is free, or holds an order that may be forgotten.
    #[inline(always)]
    fn free_order_seq(&self, now_ns: i64) -> Option<u64> {
        (self.next_order_seq..self.next_order_seq + SLOT_TRIES)
            .find(|&order_seq| self.slot_free(order_seq, now_ns))
    }

    #[inline(always)]
    fn slot_free(&self, order_seq: u64, now_ns: i64) -> bool {
        let order = &self.orders[self.slot(order_seq)];
        order.order_seq == 0
            || (!(order.live() || order.owes())
                && order.end_time_ns.saturating_add(self.config.id_ttl_ns) <= now_ns)
    }

    /// Judges a new order and changes nothing.
    #[inline]
    pub(crate) fn decide_new(&self, c: &NewOrder, now_ns: i64, room: u64) -> Judged {
        let instrument = at(&self.instruments, c.instrument_id as usize);
        let venue_id = if c.venue_id != 0 { c.venue_id } else { instrument.venue_id };
        let mut judged = Judged {
            verdict: Verdict::Accepted,
            seen: Seen::New,
            body_hash: body_hash(c.as_bytes().try_into().expect("a record")),
            id_hash: dedup::id_hash(&c.cl_ord_id, c.session_id),
            order_seq: 0,
            price: c.price,
            venue_id,
            bid_ticks: NO_TICKS,
            ask_ticks: NO_TICKS,
            reference_age_ms: u16::MAX,
        };
        let session = at(&self.sessions, c.session_id as usize);
        let entitled = session.account_id == 0 || session.account_id == c.account_id;
        mutant!(foreign_account_taken: entitled = true);
        if self.answered(&mut judged, &c.cl_ord_id, c.session_id, entitled, now_ns) {
            return judged;
        }

        let market = c.ord_type == OrdType::Market as u8;
        if market {
            // Reserved, and banded, at the far edge of the band.
            let buy = c.side == Side::Buy as u8;
            judged.price = if buy { instrument.band_high } else { instrument.band_low };
            mutant!(market_reserved_at_the_touch => judged.price = instrument.ask);
            if instrument.reference_faults == 0
                && judged.price != i64::MIN
                && judged.price != i64::MAX
            {
                judged.price = instrument.inward(judged.price, buy); // cold: market orders alone
            }
        }
        let order_seq = self.free_order_seq(now_ns);
        judged.order_seq = order_seq.unwrap_or(0);
        if self.check_new(&mut Any, c, &judged, now_ns, room) {
            judged.verdict = self.tell_new(c, &judged, now_ns, room);
            return judged;
        }
        let buy = c.side == Side::Buy as u8;
        let pair = (c.account_id, c.instrument_id);
        if let Err(fault) = self.check_leg(pair, (buy, c.tags), c.order_qty) {
            judged.verdict = fault.verdict;
            return judged;
        }
        (judged.bid_ticks, judged.ask_ticks, judged.reference_age_ms) =
            self.reference_ticks(instrument, judged.price, now_ns);
        judged
    }

    /// The reason told of a new order that some check stopped.
    #[cold]
    fn tell_new(&self, c: &NewOrder, judged: &Judged, now_ns: i64, room: u64) -> Verdict {
        first(self.findings_new(c, judged, now_ns, room))
    }

    /// Every check that a new order fails.
    #[cold]
    pub(crate) fn findings_new(
        &self,
        c: &NewOrder,
        judged: &Judged,
        now_ns: i64,
        room: u64,
    ) -> Fails {
        let mut all = All(0);
        self.check_new(&mut all, c, judged, now_ns, room);
        let account = at(&self.accounts, c.account_id as usize);
        if account.limited == 0 {
            // Limits that were never given all read zero: say that, not that zero was exceeded.
            all.0 &= !(fail(true, Verdict::OrderTableFull) - fail(true, Verdict::OrderQtyLimit));
        }
        all.0
    }

    /// Every check behind identity and idempotency, once, for the hot path and for the telling.
    #[inline(always)]
    pub(crate) fn check_new<F: Findings>(
        &self,
        f: &mut F,
        c: &NewOrder,
        judged: &Judged,
        now_ns: i64,
        room: u64,
    ) -> bool {
        let instrument = at(&self.instruments, c.instrument_id as usize);
        let account = at(&self.accounts, c.account_id as usize);
        let venue = at(&self.venues, judged.venue_id as usize);
        let session = at(&self.sessions, c.session_id as usize);
        let strategy = at(&self.strategies, c.strategy_id as usize);
        let buy = c.side == Side::Buy as u8;
        let market = c.ord_type == OrdType::Market as u8;
        let price = judged.price;
        let pair = if (c.account_id as usize) < self.accounts.len()
            && (c.instrument_id as usize) < self.instruments.len()
        {
            (c.account_id, c.instrument_id)
        } else {
            (0, 0)
        };
        let row = &self.rows[self.pair(pair.0, pair.1)];
        let points = number::points(price, c.order_qty).saturating_abs();
        let mode = self
            .desk_mode
            .max(account.mode)
            .max(instrument.mode)
            .max(venue.mode)
            .max(session.mode)
            .max(strategy.mode);
        mutant!(strategy_kill_ignored: mode = if strategy.mode == mode { 0 } else { mode });
        let killed = mode != KillMode::Open as u8 && {
            stops_orders(mode) || !self.reduces(row, pair, (buy, c.tags), c.order_qty)
        };
        let halted = instrument.phase != 0 && !phase_takes_orders(instrument.phase);
        mutant!(instrument_halt_ignored: halted = false);
        let negative_fine = instrument.flags & layout::FLAG_NEGATIVE_PRICES != 0;
        check!(f, killed, Killed);
        check!(f, self.recovering != 0, Recovering);
        check!(f, c.side.wrapping_sub(1) >= Side::ALL.len() as u8, SideUnsupported);
        check!(f, !market && c.ord_type != OrdType::Limit as u8, OrdTypeUnsupported);
        let tif = c.time_in_force.wrapping_sub(TimeInForce::Day as u8);
        check!(f, tif > TimeInForce::Fok as u8 - TimeInForce::Day as u8, TimeInForceUnsupported);
        check!(f, c.order_qty <= 0, QtyNotPositive);
        check!(f, !market && c.price == 0 && !negative_fine, PriceMissing);
        check!(f, market && c.price != 0, PriceNotAllowed);
        check!(f, account.defined == 0, AccountUnknown);
        check!(f, !self.knows_strategy(c.strategy_id), StrategyUnknown);
        let named = instrument.defined == 2 || c.venue_id != 0;
        check!(f, venue.defined == 0 && named, VenueUnknown);
        check!(f, instrument.defined != 2, InstrumentUnknown);
        check!(f, instrument.flags & layout::FLAG_RESTRICTED != 0, InstrumentRestricted);
        check!(f, market && instrument.flags & layout::FLAG_NO_MARKET != 0, MarketOrderBanned);
        if self.bounds.kinds & SHORTS != 0 && self.check_short(f, pair, c.side, c.order_qty) {
            return true;
        }
        if instrument.check_terms(f, price, c.order_qty, market)
            || instrument.check_reference(f, price, now_ns)
        {
            return true;
        }
        check!(f, market && (price == i64::MAX || price == i64::MIN), ReferenceAbsent);
        check!(f, !phase_takes_orders(venue.phase) || halted, MarketClosed);
        check!(f, venue.link != LinkState::Up as u8, VenueDown);
        if c.parent_order_seq != 0 && self.check_parent(f, c) {
            return true;
        }
        check!(f, c.order_qty > row.order_qty_max, OrderQtyLimit);
        if self.check_trader(f, c.trader_id, c.order_qty) {
            return true;
        }
        check!(f, points >= number::POINTS_MAX, NotionalOverflow);
        if instrument.check_rate(f, now_ns) {
            return true;
        }
        check!(f, points > row.order_points_max, OrderNotionalLimit);
        let more = Exposure { qty: c.order_qty, points };
        if points < number::POINTS_MAX && self.check_exposure(f, pair, (buy, c.tags), more, now_ns)
        {
            return true;
        }
        if self.bounds.kinds & REPEATS != 0 && account.defined != 0 {
            check!(f, self.repeated(c, now_ns).is_some(), RepeatedOrder);
            check!(f, self.repeats_full(c, now_ns), RepeatTableFull);
        }
        if self.check_throttles(f, &self.scopes_in(c), now_ns) {
            return true;
        }
        check!(f, judged.order_seq == 0, OrderTableFull);
        check!(f, room < self.config.log_reserve, LogFull);
        check!(f, account.limited == 0, LimitsAbsent);
        check!(f, self.fills.len() >= self.fills_high, ReportTableFull);
        false
    }

    /// The exposure checks, by the account's position mode.
    #[inline(always)]
    pub(crate) fn check_exposure<F: Findings>(
        &self,
        f: &mut F,
        pair: (u32, u32),
        of: (bool, u8),
        more: Exposure,
        now_ns: i64,
    ) -> bool {
        let account = &self.accounts[pair.0 as usize];
        let row = &self.rows[self.pair(pair.0, pair.1)];
        let own = if account.hedging != 0 {
            self.check_exposure_apart(f, account, pair, of, more)
        } else {
            let factor = &self.instruments[pair.1 as usize].factor;
            risk::check_exposure(f, row, account, factor, of.0, more.qty, more.points)
        };
        if account.share_max != i64::MAX && self.within_cell(pair, of, more) {
            f.instead(Verdict::InstrumentGrossLimit, Verdict::ConcentrationLimit);
        }
        own || self.bounds.kinds & SUMS != 0 && self.check_sums(f, pair, of, more, now_ns)
    }

    /// Whether the pair's own gross limit holds, so that it is the account's share that does not.
    #[inline(never)]
    fn within_cell(&self, pair: (u32, u32), of: (bool, u8), more: Exposure) -> bool {
        let at = self.pair(pair.0, pair.1);
        let factor = &self.instruments[pair.1 as usize].factor;
        let cell = self.limits.cell(at);
        let most = match cell.present {
            0 => i128::MAX,
            _ => factor.points_of(cell.gross_notional_max),
        };
        self.gross_with(pair, of, more.points) <= most
    }

    /// The scopes of a command, 0 for what no table has.
    #[inline(always)]
    fn scopes_in(&self, c: &NewOrder) -> Scopes {
        let within = |id: usize, len: usize| if id < len { id } else { 0 };
        Scopes {
            account_id: within(c.account_id as usize, self.accounts.len()) as u32,
            instrument_id: within(c.instrument_id as usize, self.instruments.len()) as u32,
            session_id: within(c.session_id as usize, self.sessions.len()) as u16,
            strategy_id: within(c.strategy_id as usize, self.strategies.len()) as u16,
            trader_id: c.trader_id,
        }
    }

    /// I10: a child never takes more than its parent has left.
    fn check_parent<F: Findings>(&self, f: &mut F, c: &NewOrder) -> bool {
        let parent = self.order(c.parent_order_seq).filter(|p| p.is_parent() && p.live());
        let Some(parent) = parent else {
            return f.note(true, Verdict::ParentUnknown);
        };
        let same = parent.account_id == c.account_id
            && parent.instrument_id == c.instrument_id
            && parent.side == c.side
            && parent.strategy_id == c.strategy_id
            && parent.session_id == c.session_id
            && (effect(parent.tags) == effect(c.tags) || !self.hedges(parent.account_id));
        let held = parent.children_qty.saturating_add(c.order_qty.max(0));
        mutant!(child_over_parent: held = c.order_qty);
        check!(f, !same || c.tags & TAG_PARENT != 0, ParentMismatch);
        check!(f, held > parent.order_qty, ParentExceeded);
        false
    }

    /// What the parent of an order accepted before has left to give its children, below zero when they
    /// hold more than it; `None` when it has ended or is forgotten. An order of its own is not bound.
    pub(crate) fn parent_left(&self, order: &Order) -> Option<i64> {
        if order.parent_order_seq == 0 {
            return Some(i64::MAX);
        }
        let parent = self.order(order.parent_order_seq).filter(|parent| parent.live())?;
        Some(parent.order_qty.saturating_sub(parent.children_qty))
    }

    /// The order a change names, if the session may know it.
    pub(crate) fn target(
        &self,
        session_id: u16,
        order_seq: u64,
        orig_cl_ord_id: &[u8; 36],
        now_ns: i64,
    ) -> Option<&Order> {
        let order_seq = if order_seq != 0 {
            order_seq
        } else {
            let hash = dedup::id_hash(orig_cl_ord_id, session_id);
            let row = self.dedup.find(hash, session_id, orig_cl_ord_id)?;
            if self.id_expired(row, now_ns) || self.dedup.row(row).verdict != 0 {
                return None;
            }
            self.dedup.row(row).order_seq
        };
        mutant!(foreign_order_changed => return self.order(order_seq));
        self.order(order_seq).filter(|order| order.session_id == session_id)
    }

    /// Judges a cancel: it passes every limit and throttle, and every kill mode but `halt`, which stops
    /// what would leave.
    pub(crate) fn decide_cancel(&self, c: &CancelOrder, now_ns: i64, room: u64) -> Judged {
        let hash = body_hash(c.as_bytes().try_into().expect("a record"))
            ^ c.header.order_seq.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut judged = self.judged_change(hash, &c.cl_ord_id, c.session_id);
        if self.answered(&mut judged, &c.cl_ord_id, c.session_id, true, now_ns) {
            return judged;
        }
        let fails = fail(room < self.config.log_reserve / 4, Verdict::LogFull);
        let Some(order) = self.target(c.session_id, c.header.order_seq, &c.orig_cl_ord_id, now_ns)
        else {
            judged.verdict = first(fails | fail(true, Verdict::OrderUnknown));
            return judged;
        };
        judged.order_seq = order.order_seq;
        judged.venue_id = order.venue_id;
        judged.verdict = first(fails | self.check_cancel(order));
        judged
    }

    /// What stops a cancel of this order.
    pub(crate) fn check_cancel(&self, order: &Order) -> Fails {
        let mode = self.mode_of(order);
        mutant!(cancel_stopped_by_kill: mode = if mode == 2 { 3 } else { mode });
        // What is here needs no message: it ends under any mode.
        fail(mode == KillMode::Halt as u8 && !order.is_here(), Verdict::Killed)
            | fail(
                !order.is_here()
                    && at(&self.venues, order.venue_id as usize).link == LinkState::Down as u8,
                Verdict::VenueDown,
            )
            | fail(!order.live(), Verdict::OrderClosed)
            | fail(order.flight & CANCELING != 0, Verdict::CancelPending)
            | fail(order.revision_last >= street::REVISION_MAX, Verdict::RevisionFull)
    }

    /// Strictest mode over the scopes of an order.
    pub fn mode_of(&self, order: &Order) -> u8 {
        self.mode(
            order.account_id,
            order.instrument_id,
            order.venue_id,
            order.session_id,
            order.strategy_id,
        )
    }

    /// Judges a replace: every check of a new order on what it adds.
    pub(crate) fn decide_replace(&self, c: &ReplaceOrder, now_ns: i64, room: u64) -> Judged {
        let mut judged = self.judged_replace(c);
        if self.answered(&mut judged, &c.cl_ord_id, c.session_id, true, now_ns) {
            return judged;
        }
        let Some(order) = self.target(c.session_id, c.header.order_seq, &c.orig_cl_ord_id, now_ns)
        else {
            judged.verdict = Verdict::OrderUnknown;
            return judged;
        };
        (judged.order_seq, judged.venue_id) = (order.order_seq, order.venue_id);
        let pegged = fail(order.ord_type != OrdType::Limit as u8, Verdict::OrdTypeUnsupported);
        let (all, leg) = self.check_replace(order, (c.price, c.order_qty), now_ns, room);
        judged.verdict = told(pegged | all, leg);
        let instrument = &self.instruments[order.instrument_id as usize];
        (judged.bid_ticks, judged.ask_ticks, judged.reference_age_ms) =
            self.reference_ticks(instrument, c.price, now_ns);
        judged
    }

    /// Every check of a replace of an order to these terms, whoever asks for it: what fails, and what a
    /// hedging account's legs say to it.
    pub(crate) fn check_replace(
        &self,
        order: &Order,
        (price, order_qty): (i64, i64),
        now_ns: i64,
        room: u64,
    ) -> (Fails, Result<(), Fault>) {
        let instrument = &self.instruments[order.instrument_id as usize];
        let venue = &self.venues[order.venue_id as usize];
        let row = &self.rows[self.pair(order.account_id, order.instrument_id)];
        let points = number::points(price, order_qty).saturating_abs();
        let rule = self.replace_rule(order);
        let mode = self.mode_of(order);
        mutant!(replace_under_kill: mode = KillMode::Open as u8);
        let fails = fail(mode != KillMode::Open as u8, Verdict::Killed)
            | fail(self.recovering != 0, Verdict::Recovering)
            | fail(order_qty <= 0, Verdict::QtyNotPositive)
            | fail(instrument.flags & layout::FLAG_RESTRICTED != 0, Verdict::InstrumentRestricted)
            | fail(
                !phase_takes_orders(venue.phase)
                    || (instrument.phase != 0 && !phase_takes_orders(instrument.phase)),
                Verdict::MarketClosed,
            )
            | fail(!order.is_parent() && venue.link != LinkState::Up as u8, Verdict::VenueDown)
            | fail(points >= number::POINTS_MAX, Verdict::NotionalOverflow)
            | fail(room < self.config.log_reserve, Verdict::LogFull)
            | fail(!order.live(), Verdict::OrderClosed)
            | fail(order.flight & (CANCELING | CANCEL_ASKED) != 0, Verdict::CancelPending)
            | fail(order.flight & REPLACING != 0, Verdict::ReplacePending)
            | fail(order.flight & UNSURE != 0, Verdict::OutcomeUnknown)
            | fail(order_qty <= order.cum_qty, Verdict::QtyBelowFilled)
            | fail(price == order.price && order_qty == order.order_qty, Verdict::Unchanged)
            // By cancel and new it takes two.
            | fail(order.revision_last >= street::REVISION_MAX - 1, Verdict::RevisionFull)
            | fail(order_qty > row.order_qty_max, Verdict::OrderQtyLimit)
            | fail(points > row.order_points_max, Verdict::OrderNotionalLimit);
        let mut all = All(fails);
        let mut leg = Ok(());
        let scopes = self.scopes_of(order);
        instrument.check_rate(&mut all, now_ns);
        instrument.check_terms(&mut all, price, order_qty, false);
        instrument.check_reference(&mut all, price, now_ns);
        self.check_throttles(&mut all, &scopes, now_ns);
        self.check_trader(&mut all, scopes.trader_id, order_qty);
        if points < number::POINTS_MAX && order_qty > 0 && !order.is_parent() && order.live() {
            let before = order.exposure(rule);
            let changed = order.with_replace(rule, price, order_qty);
            let after = changed.exposure(rule);
            let (qty, points) =
                (after.qty.saturating_sub(before.qty), after.points - before.points);
            let of = (order.is_buy(), order.tags);
            let more = Exposure { qty, points };
            let pair = (order.account_id, order.instrument_id);
            self.check_exposure(&mut all, pair, of, more, now_ns);
            self.check_short(&mut all, pair, order.side, qty);
            leg = self.check_leg(pair, of, qty);
            let left = self.parent_left(order);
            mutant!(child_outgrows_its_dead_parent: left = left.or(Some(i64::MAX)));
            mutant!(replace_grows_child_over_parent: left = left.map(|_| i64::MAX));
            all.0 |= fail(left.is_none(), Verdict::ParentUnknown)
                | fail(left.is_some_and(|left| qty > left.max(0)), Verdict::ParentExceeded);
        }
        if order.is_parent() {
            // At or below what has filled that is the reason told, as of any order.
            let held = order.cum_qty + 1..order.children_qty;
            all.0 |= fail(held.contains(&order_qty), Verdict::ParentExceeded);
        }
        (all.0, leg)
    }

    pub(crate) fn judged_replace(&self, c: &ReplaceOrder) -> Judged {
        let hash = body_hash(c.as_bytes().try_into().expect("a record"))
            ^ c.header.order_seq.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let judged = self.judged_change(hash, &c.cl_ord_id, c.session_id);
        Judged { price: c.price, ..judged }
    }

    /// A new order before it is judged: its venue, its hashes, nothing found yet.
    pub(crate) fn judged_new(&self, c: &NewOrder) -> Judged {
        let own = at(&self.instruments, c.instrument_id as usize).venue_id;
        let hash = body_hash(c.as_bytes().try_into().expect("a record"));
        let judged = self.judged_change(hash, &c.cl_ord_id, c.session_id);
        let venue_id = if c.venue_id != 0 { c.venue_id } else { own };
        Judged { venue_id, price: c.price, ..judged }
    }

    /// The number a new order would get whose slot and row of terms are both free; 0 for none.
    pub(crate) fn free_order_seq_where(&self, now_ns: i64, free: impl Fn(u64) -> bool) -> u64 {
        let from = self.next_order_seq;
        (from..from + SLOT_TRIES)
            .find(|&order_seq| free(order_seq) && self.slot_free(order_seq, now_ns))
            .unwrap_or(0)
    }

    fn judged_change(&self, body_hash: u64, cl_ord_id: &[u8; 36], session_id: u16) -> Judged {
        Judged { body_hash, id_hash: dedup::id_hash(cl_ord_id, session_id), ..Judged::of(0, 0, 0) }
    }

    /// Judges a mass cancel: it must name scopes that exist, in numbers; all zero means everything.
    pub(crate) fn decide_mass_cancel(
        &self,
        c: &MassCancel,
        now_ns: i64,
        room: u64,
    ) -> (Seen, Verdict, u64) {
        let hash = body_hash(c.as_bytes().try_into().expect("a record"));
        let identity = self.check_identity(&c.cl_ord_id, c.session_id);
        if identity != 0 {
            return (Seen::New, first(identity), hash);
        }
        let id_hash = dedup::id_hash(&c.cl_ord_id, c.session_id);
        let seen = self.seen(id_hash, &c.cl_ord_id, c.session_id, hash, now_ns);
        match seen {
            Seen::New => {}
            Seen::Repeated(_) => return (seen, Verdict::Accepted, hash),
            Seen::Other(_) => return (seen, Verdict::DuplicateId, hash),
        }
        let scopes = (c.account_id == 0 || at(&self.accounts, c.account_id as usize).defined != 0)
            && (c.instrument_id == 0
                || at(&self.instruments, c.instrument_id as usize).defined != 0)
            && (c.of_session_id == 0 || at(&self.sessions, c.of_session_id as usize).defined != 0)
            && (c.strategy_id == 0 || self.knows_strategy(c.strategy_id))
            && (c.venue_id == 0 || at(&self.venues, c.venue_id as usize).defined != 0)
            && (c.side == 0 || Side::from_code(c.side).is_some());
        let fails = fail(!self.dedup.has_room(id_hash), Verdict::IdTableFull)
            | fail(self.desk_mode == KillMode::Halt as u8, Verdict::Killed)
            | fail(!scopes, Verdict::FilterEmpty)
            | fail(room < self.config.log_reserve / 4, Verdict::LogFull);
        (seen, first(fails), hash)
    }

    /// The numbers behind a refusal: worked out again, since refusals are rare and orders are not.
    #[cold]
    pub(crate) fn explain_new(
        &self,
        c: &NewOrder,
        judged: &Judged,
        now_ns: i64,
        room: u64,
    ) -> Refusal {
        let terms = Terms {
            cl_ord_id: &c.cl_ord_id,
            account_id: c.account_id,
            instrument_id: c.instrument_id,
            session_id: c.session_id,
            venue_id: judged.venue_id,
            strategy_id: c.strategy_id,
            trader_id: c.trader_id,
            side: c.side,
            tags: c.tags,
            price: judged.price,
            order_qty: c.order_qty,
            parent_order_seq: c.parent_order_seq,
        };
        let mut refusal = self.explain(judged, &terms, None, now_ns, room);
        match judged.verdict {
            Verdict::SideUnsupported => refusal.value = c.side as i64,
            Verdict::OrdTypeUnsupported => refusal.value = c.ord_type as i64,
            Verdict::TimeInForceUnsupported => refusal.value = c.time_in_force as i64,
            Verdict::RepeatedOrder => {
                let age_ns = self.repeated(c, now_ns).unwrap_or(0);
                refusal.value = age_ns / 1_000_000;
                refusal.bound = self.repeat_window_ns(c.account_id) / 1_000_000;
            }
            Verdict::PriceNotAllowed => refusal.value = c.price,
            Verdict::PositionEffectInvalid | Verdict::CloseExceedsLeg => {
                let pair = (c.account_id, c.instrument_id);
                let of = (c.side == Side::Buy as u8, c.tags);
                self.explain_leg(&mut refusal, pair, of, c.order_qty);
            }
            _ => {}
        }
        refusal
    }

    /// The numbers behind a refused change.
    #[cold]
    pub(crate) fn explain_change(
        &self,
        cl_ord_id: &[u8; 36],
        session_id: u16,
        judged: &Judged,
        order_qty: i64,
        now_ns: i64,
        room: u64,
    ) -> Refusal {
        let order = self.order(judged.order_seq).copied();
        let known = order.unwrap_or_default();
        let terms = Terms {
            cl_ord_id,
            account_id: known.account_id,
            instrument_id: known.instrument_id,
            session_id,
            venue_id: known.venue_id,
            strategy_id: known.strategy_id,
            trader_id: self.trader_of(judged.order_seq),
            side: known.side,
            tags: known.tags,
            price: judged.price,
            order_qty,
            parent_order_seq: known.parent_order_seq,
        };
        let mut refusal = self.explain(judged, &terms, order.as_ref(), now_ns, room);
        if matches!(judged.verdict, Verdict::PositionEffectInvalid | Verdict::CloseExceedsLeg) {
            let of = (known.is_buy(), known.tags);
            let more = order_qty.saturating_sub(known.order_qty);
            self.explain_leg(&mut refusal, (known.account_id, known.instrument_id), of, more);
        }
        refusal
    }

    fn explain_leg(&self, refusal: &mut Refusal, pair: (u32, u32), of: (bool, u8), more: i64) {
        if let Err(fault) = self.check_leg(pair, of, more) {
            (refusal.value, refusal.bound) = (fault.value, fault.bound);
        }
    }

    fn explain(
        &self,
        judged: &Judged,
        t: &Terms<'_>,
        change: Option<&Order>,
        now_ns: i64,
        room: u64,
    ) -> Refusal {
        let instrument = at(&self.instruments, t.instrument_id as usize);
        let account = at(&self.accounts, t.account_id as usize);
        let session = at(&self.sessions, t.session_id as usize);
        let row = if instrument.defined != 0 && account.defined != 0 {
            &self.rows[self.pair(t.account_id, t.instrument_id)]
        } else {
            &self.rows[0]
        };
        let buy = t.side == Side::Buy as u8;
        let reference = instrument.reference();
        let age_ms = match instrument.reference_time_ns {
            time if time < 0 => -1,
            time => now_ns.saturating_sub(time).max(0) / 1_000_000,
        };
        let both = |n: u32| (n as i64, n as i64);
        let sum = |x: i128| i64::try_from(x).unwrap_or(i64::MAX);
        let micro = |points: i128| number::whole_units(instrument.factor.micro(points));
        let points = number::points(t.price, t.order_qty).saturating_abs();
        let (mut add_qty, mut add_points) = (t.order_qty, points);
        if let Some(order) = change {
            let rule = at(&self.venues, order.venue_id as usize).replace_rule;
            let before = order.exposure(rule);
            let after = order.with_replace(rule, t.price, t.order_qty).exposure(rule);
            (add_qty, add_points) = (after.qty - before.qty, after.points - before.points);
        }
        let (side, other) = if buy {
            (row.worst_long(), row.worst_short())
        } else {
            (row.worst_short(), row.worst_long())
        };
        let (net, open) = (row.signed_net(side_index(buy)), row.open_qty[side_index(buy)]);
        let add = add_points.min(number::POINTS_MAX);
        let known = (t.instrument_id as usize) < self.config.instruments_max;
        let (gross_was, gross_new) = if account.hedging != 0 && known {
            let of = (buy, t.tags);
            self.gross_apart(t.account_id, t.instrument_id, of, add)
        } else {
            (row.gross(), (side + add).max(other).max(0))
        };
        let (value, bound) = match judged.verdict {
            Verdict::SessionUnknown => (t.session_id as i64, 0),
            Verdict::AccountNotEntitled => (t.account_id as i64, t.session_id as i64),
            Verdict::ClOrdIdMalformed => malformed_byte(t.cl_ord_id),
            Verdict::DuplicateId => match judged.seen {
                Seen::Other(row) => (self.dedup.row(row).order_seq as i64, 0),
                _ => (0, 0),
            },
            Verdict::IdTableFull => (self.dedup.len() as i64, self.dedup.capacity() as i64),
            Verdict::Killed => self.killed_by(t),
            Verdict::QtyNotPositive => (t.order_qty, 0),
            Verdict::AccountUnknown | Verdict::LimitsAbsent => (t.account_id as i64, 0),
            Verdict::StrategyUnknown => (t.strategy_id as i64, 0),
            Verdict::VenueUnknown | Verdict::VenueDown => (t.venue_id as i64, 0),
            Verdict::InstrumentUnknown | Verdict::InstrumentRestricted => {
                (t.instrument_id as i64, 0)
            }
            Verdict::PriceNotPositive => (t.price, 0),
            Verdict::PriceOffTick => (t.price, instrument.tick.value),
            Verdict::QtyOffLot => (t.order_qty, instrument.lot.value),
            Verdict::QtyBelowMin => (t.order_qty, instrument.qty_min),
            Verdict::QtyAboveMax => (t.order_qty, instrument.qty_max),
            Verdict::ReferenceStale => (age_ms, instrument.reference_age_ns_max / 1_000_000),
            Verdict::ReferenceCrossed | Verdict::ReferenceLocked => reference,
            Verdict::PriceAboveBand => (t.price, instrument.band_high),
            Verdict::PriceBelowBand => (t.price, instrument.band_low),
            Verdict::MarketClosed => {
                let venue = at(&self.venues, t.venue_id as usize).phase;
                let own = instrument.phase;
                (if own != 0 && !phase_takes_orders(own) { own } else { venue } as i64, 0)
            }
            Verdict::ParentUnknown | Verdict::ParentMismatch => (t.parent_order_seq as i64, 0),
            Verdict::ParentExceeded => match (self.order(t.parent_order_seq), change) {
                (Some(parent), _) => {
                    (parent.children_qty.saturating_add(add_qty), parent.order_qty)
                }
                (None, Some(order)) => (order.children_qty, t.order_qty),
                (None, None) => (0, 0),
            },
            Verdict::OrderQtyLimit => (t.order_qty, row.order_qty_max),
            Verdict::TraderUnknown => (t.trader_id as i64, 0),
            Verdict::TraderQtyLimit => (t.order_qty, self.trader_qty_max(t.trader_id)),
            Verdict::ShortUnmarked => (add_qty, self.long_left(t.account_id, t.instrument_id)),
            Verdict::ReferenceNotPositive => (reference.0.min(reference.1), 0),
            Verdict::RateAbsent => (instrument.currency_id as i64, 0),
            Verdict::RateStale => {
                let currency = at(&self.currencies, instrument.currency_id as usize);
                let age = now_ns.saturating_sub(currency.rate_time_ns) / 1_000_000_000;
                (age, currency.age_s_max as i64)
            }
            Verdict::OrderNotionalLimit => {
                let cell = self.limits.cell(self.pair(t.account_id, t.instrument_id));
                let own = if cell.present != 0 { cell.order_notional_max } else { i64::MAX };
                (micro(points), account.order_notional_max.min(own))
            }
            Verdict::NetQtyLimit if row.open_too_large(side_index(buy), add_qty) => {
                (open.saturating_add(add_qty), number::OPEN_MAX)
            }
            Verdict::NetQtyLimit => {
                (net.saturating_add(open).saturating_add(add_qty), row.net_qty_max)
            }
            Verdict::InstrumentGrossLimit => {
                let cell = self.limits.cell(self.pair(t.account_id, t.instrument_id));
                (micro(gross_new), cell.gross_notional_max)
            }
            Verdict::ConcentrationLimit => (micro(gross_new), account.share_max),
            Verdict::AccountNetLimit => {
                let sum = account.worst[side_index(buy)];
                let delta =
                    instrument.factor.micro(side + add_points) - instrument.factor.micro(side);
                (number::whole_units(sum + delta), number::whole_units(account.net_max))
            }
            Verdict::AccountGrossLimit => {
                let delta = instrument.factor.micro(gross_new) - instrument.factor.micro(gross_was);
                (number::whole_units(account.gross + delta), number::whole_units(account.gross_max))
            }
            Verdict::GroupNetLimit
            | Verdict::GroupGrossLimit
            | Verdict::SymbolNetLimit
            | Verdict::SymbolGrossLimit
            | Verdict::SectorNetLimit
            | Verdict::SectorGrossLimit
            | Verdict::MarginLimit
            | Verdict::DayNotionalLimit => {
                let more = Exposure { qty: add_qty, points: add_points };
                let pair = (t.account_id, t.instrument_id);
                self.bound_numbers(judged.verdict, pair, (buy, t.tags), more, now_ns)
            }
            Verdict::ThrottleSymbol
            | Verdict::ThrottleStrategy
            | Verdict::ThrottleMinute
            | Verdict::ThrottleBurst => {
                let most = self.rate_numbers(judged.verdict, &t.scopes(), now_ns);
                (most, most)
            }
            Verdict::ThrottleSession => both(session.throttle.orders_max),
            Verdict::ThrottleAccount => both(account.throttle.orders_max),
            Verdict::OrderTableFull => (self.live_count as i64, self.config.orders_max as i64),
            Verdict::LogFull => (sum(room as i128), self.config.log_reserve as i64),
            Verdict::ReportTableFull => (self.fills.len() as i64, self.fills.capacity() as i64),
            Verdict::OrderClosed => (change.map_or(0, |o| o.base as i64), 0),
            Verdict::QtyBelowFilled => (t.order_qty, change.map_or(0, |o| o.cum_qty)),
            Verdict::RevisionFull => {
                (change.map_or(0, |o| o.revision_last as i64), street::REVISION_MAX as i64)
            }
            _ => (0, 0),
        };
        let mut refusal = Refusal::ZERO;
        refusal.header.kind = Refusal::KIND;
        (refusal.value, refusal.bound) = (value, bound);
        (refusal.bid_px, refusal.ask_px) = reference;
        refusal.reference_age_ms = age_ms;
        refusal.verdict = judged.verdict.code();
        refusal
    }

    /// The widest scope that is engaged, and its mode.
    fn killed_by(&self, t: &Terms<'_>) -> (i64, i64) {
        use layout::Scope;
        let scopes = [
            (Scope::Desk, self.desk_mode),
            (Scope::Account, at(&self.accounts, t.account_id as usize).mode),
            (Scope::Instrument, at(&self.instruments, t.instrument_id as usize).mode),
            (Scope::Venue, at(&self.venues, t.venue_id as usize).mode),
            (Scope::Session, at(&self.sessions, t.session_id as usize).mode),
            (Scope::Strategy, at(&self.strategies, t.strategy_id as usize).mode),
        ];
        let found = scopes.iter().find(|(_, mode)| *mode != 0).unwrap_or(&scopes[0]);
        (found.0 as i64, found.1 as i64)
    }
}

/// What a refusal is explained by.
struct Terms<'a> {
    cl_ord_id: &'a [u8; 36],
    account_id: u32,
    instrument_id: u32,
    session_id: u16,
    venue_id: u16,
    strategy_id: u16,
    trader_id: u16,
    side: u8,
    tags: u8,
    price: i64,
    order_qty: i64,
    parent_order_seq: u64,
}

impl Terms<'_> {
    fn scopes(&self) -> Scopes {
        Scopes {
            account_id: self.account_id,
            instrument_id: self.instrument_id,
            session_id: self.session_id,
            strategy_id: self.strategy_id,
            trader_id: self.trader_id,
        }
    }
}

/// The first byte that spoils an id, and where; an empty id has its zero at 0.
fn malformed_byte(id: &[u8; 36]) -> (i64, i64) {
    let end = id.iter().position(|b| !(0x20..=0x7e).contains(b)).unwrap_or(0);
    (id[end] as i64, end as i64)
}

/// The first fault in precedence; those of a hedging account's legs come last.
pub(crate) fn told(fails: Fails, leg: Result<(), Fault>) -> Verdict {
    match (first(fails), leg) {
        (Verdict::Accepted, Err(fault)) => fault.verdict,
        (verdict, _) => verdict,
    }
}
