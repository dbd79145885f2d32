//! Orders held here until a price: stop, stop limit, if touched, trailing stop. Two ordered trees an
//! instrument and source of prices (trades, offers, bids), one for what a rising price meets and one
//! for a falling price. A buy watches the offer and a sell the bid when its trigger is the quote.
//! Called by the pipeline with each price; the trees are written by `apply` alone, so that a replay
//! holds the same orders and triggers none again.
//!
//! A trigger is a level, not a crossing: a price missed while the desk recovered is met by the next.
//! While best bid and offer are absent, stale, crossed or locked no price is believed: what it would
//! have met waits for the next one, since a stop refused for a gap in the data protects nobody.
//! It is an event, and the message it justifies stands in the same group: sent once or not at all.
//! An order is judged again when it leaves (kill, phase, link, band, exposure; not the throttle, which
//! counted it when it was accepted); what may not leave is rejected here and the event says why.
//!
//! The best price a trailing stop has seen is no state: market data is not in the log. It is logged
//! when the order is accepted, when its leg arms it, when it is replaced, when it triggers, and at
//! most each `RATCHET_NS` while it moves. A recovery starts from the last logged one, so its stop is
//! never nearer to the market than it was, and farther by the moves of that interval at most.

use crate::gate::{Judged, Seen};
use crate::order::{Action, CANCEL_ASKED, Exposure, Order, Trigger};
use crate::pipeline::{Change, header};
use crate::risk::{All, fail, first, phase_takes_orders, stops_orders};
use crate::terms::{
    ARMED, DUE, Fault, RELEASED, Terms, fault, no_collar, street_type, waits_for_price,
};
use crate::{Engine, Log, Outbox, number};
use arch::mutant;
use layout::{
    EXEC_BY_QUOTE, EXEC_TRAIL_PPM, KillMode, LinkState, Message, MsgType, NO_PRICE, OrdStatus,
    OrdType, OrderTerms, ReplaceAccepted, ReplaceOrder, Routed, TAG_TERMS, TrailMoved,
    TriggerCause, TriggerOutcome, Triggered, Typed, Verdict,
};

/// A stop that moves is logged at most this often.
pub const RATCHET_NS: i64 = 1_000_000_000;

/// What a refusal names when a replace brings a stop price to an order that has none.
const STOP_PX: usize = core::mem::offset_of!(OrderTerms, stop_px);

/// Where a price comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Trade = 0,
    Ask = 1,
    Bid = 2,
}

/// Trees of one instrument: rising and falling by source, then its trailing stops by source.
pub(crate) const TREES: usize = 9;
const TRAILS: usize = 6;

/// Prices within which no trailing stop of an instrument and source moves or triggers: a cache.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    low: i64,
    high: i64,
}

/// Nothing known: the next price looks at every trailing stop.
pub(crate) const UNKNOWN: Window = Window { low: i64::MAX, high: i64::MIN };

fn source_of(buy: bool, exec_inst: u8) -> Source {
    match (exec_inst & EXEC_BY_QUOTE != 0, buy) {
        (false, _) => Source::Trade,
        (true, true) => Source::Ask,
        (true, false) => Source::Bid,
    }
}

/// Whether a rising price meets it: a buy stop, or a sell that waits to be touched.
fn rises(buy: bool, ord_type: u8) -> bool {
    let touched = matches!(
        OrdType::from_code(ord_type),
        Some(OrdType::MarketIfTouched | OrdType::LimitIfTouched)
    );
    mutant!(stop_on_the_wrong_side: touched = !touched);
    buy != touched
}

/// What releases an order: the price, its time, or the leg.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cause {
    pub(crate) cause: TriggerCause,
    pub(crate) px: i64,
    pub(crate) time_ns: i64,
    pub(crate) by_order_seq: u64,
}

impl Engine {
    // The index, folded ----------------------------------------------------------------------------

    /// Enters a held order into the index of its instrument.
    pub(crate) fn arm(&mut self, order_seq: u64) {
        let order = self.orders[self.slot(order_seq)];
        let row = self.terms_row(order_seq);
        let terms = &mut self.order_terms[row];
        assert!(terms.order_seq == order_seq);
        assert!(terms.state & ARMED == 0);
        terms.state |= ARMED;
        let base = order.instrument_id as usize * TREES;
        let source = source_of(order.is_buy(), terms.exec_inst) as usize;
        if terms.ord_type == OrdType::TrailingStop as u8 {
            (self.peaks[row], self.ratchet_ns[row]) = (terms.mark_px, self.time_ns);
            self.held.insert(base + TRAILS + source, row, 0, order_seq);
            self.windows[order.instrument_id as usize * 3 + source] = UNKNOWN;
        } else {
            let falls = !rises(order.is_buy(), terms.ord_type);
            let key = if falls { -terms.stop_px } else { terms.stop_px };
            self.held.insert(base + 2 * source + usize::from(falls), row, key, order_seq);
        }
        self.watched[order.instrument_id as usize] += 1;
    }

    /// Takes an order out of the index, if it is in it.
    pub(crate) fn disarm(&mut self, order_seq: u64) {
        let row = self.terms_row(order_seq);
        if self.order_terms[row].order_seq != order_seq || self.order_terms[row].state & ARMED == 0
        {
            return;
        }
        self.order_terms[row].state &= !ARMED;
        assert!(self.held.remove(row));
        let instrument_id = self.orders[self.slot(order_seq)].instrument_id as usize;
        assert!(self.watched[instrument_id] > 0);
        self.watched[instrument_id] -= 1;
    }

    pub(crate) fn apply_triggered(&mut self, e: &Triggered) {
        let slot = self.slot(e.header.order_seq);
        assert!(self.orders[slot].order_seq == e.header.order_seq);
        assert!(self.orders[slot].base == OrdStatus::Held as u8);
        self.disarm(e.header.order_seq);
        let row = self.terms_row(e.header.order_seq);
        let terms = &mut self.order_terms[row];
        assert!(terms.order_seq == e.header.order_seq);
        self.due_count -= u64::from(terms.state & DUE != 0);
        terms.state &= !DUE;
        (terms.stop_px, terms.mark_px) = (e.stop_px, e.mark_px);
        terms.by_order_seq = e.by_order_seq;
        let (trigger, action) = match TriggerOutcome::from_code(e.outcome) {
            Some(TriggerOutcome::Released) => (Trigger::Triggered, Action::Release),
            Some(TriggerOutcome::Armed) => (Trigger::LegTraded, Action::Arm),
            _ => (Trigger::RejectedHere, Action::Reject),
        };
        self.expect(slot, trigger, 0, action);
        let time_ns = e.header.ingest_time_ns;
        self.change(slot, time_ns, None, |order| {
            (order.price, order.order_qty) = (e.price, e.order_qty);
            match action {
                Action::Release => {
                    order.base = OrdStatus::PendingNew as u8;
                    order.ord_type = e.ord_type;
                }
                Action::Arm => {}
                _ => order.base = OrdStatus::Rejected as u8,
            }
        });
        match action {
            Action::Arm => self.arm(e.header.order_seq),
            Action::Release => {
                self.order_terms[row].state |= RELEASED;
                self.silence.sent(e.header.order_seq, 0, time_ns);
                self.begin_slice(e.header.order_seq, e.shown_qty);
                self.disarm_rivals(e.header.order_seq);
            }
            _ => {}
        }
    }

    pub(crate) fn apply_trail_moved(&mut self, e: &TrailMoved) {
        let row = self.terms_row(e.header.order_seq);
        let terms = &mut self.order_terms[row];
        assert!(terms.order_seq == e.header.order_seq);
        assert!(terms.state & ARMED != 0);
        (terms.stop_px, terms.mark_px) = (e.stop_px, e.mark_px);
        (self.peaks[row], self.ratchet_ns[row]) = (e.mark_px, e.header.ingest_time_ns);
    }

    /// New terms of an order that never left: they hold by the event.
    pub(crate) fn apply_held_replace(&mut self, e: &layout::ReplaceAccepted, id_row: u32) {
        let slot = self.slot(e.header.order_seq);
        self.expect(slot, Trigger::HeldReplaced, 0, Action::Stay);
        let armed = self.order_terms(e.header.order_seq).is_some_and(|t| t.state & ARMED != 0);
        self.disarm(e.header.order_seq);
        let (row, time_ns) = (self.terms_row(e.header.order_seq), e.header.ingest_time_ns);
        let terms = &mut self.order_terms[row];
        assert!(terms.order_seq == e.header.order_seq);
        (terms.stop_px, terms.limit_px) = (e.stop_px, e.price);
        self.change(slot, time_ns, None, |order| {
            (order.price, order.order_qty, order.id_row) = (e.price, e.order_qty, id_row);
        });
        if armed {
            self.arm(e.header.order_seq);
        }
    }

    // Prices ---------------------------------------------------------------------------------------

    /// A trade has been seen that is a print of this market.
    #[inline]
    pub(crate) fn trade_seen<L: Log, O: Outbox>(
        &mut self,
        instrument_id: u32,
        px: i64,
        time_ns: i64,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) {
        if self.watched[instrument_id as usize] == 0 {
            return;
        }
        self.price_seen(instrument_id, Source::Trade, px, time_ns, now_ns, log, outbox);
    }

    /// Whether a price of market data is one: of most instruments none below or at zero is.
    fn is_price(&self, instrument_id: u32, px: i64) -> bool {
        let flags = self.instruments[instrument_id as usize].flags;
        mutant!(stop_met_by_no_price => return px != NO_PRICE);
        px != NO_PRICE && (px > 0 || flags & layout::FLAG_NEGATIVE_PRICES != 0)
    }

    /// Whether a trade is believed: of something, at a price that is one, and within the band around best
    /// bid and offer where they give one. A print far outside is an error or no trade of this market.
    pub(crate) fn is_print(&self, instrument_id: u32, px: i64, qty: i64) -> bool {
        let i = &self.instruments[instrument_id as usize];
        let near = i.reference_faults != 0 || (i.band_low..=i.band_high).contains(&px);
        mutant!(stop_met_by_a_wild_print: near = true);
        qty > 0
            && near
            && self.is_price(instrument_id, px)
            && number::points(px, qty).abs() < number::POINTS_MAX
    }

    /// Best bid and offer have been seen; a crossed pair says nothing.
    #[inline]
    pub(crate) fn quote_seen<L: Log, O: Outbox>(
        &mut self,
        instrument_id: u32,
        time_ns: i64,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) {
        if self.watched[instrument_id as usize] == 0 {
            return;
        }
        let instrument = &self.instruments[instrument_id as usize];
        let (bid, ask) = (instrument.bid, instrument.ask);
        if bid != NO_PRICE && ask != NO_PRICE && bid > ask {
            return;
        }
        if self.pegs.len(instrument_id as usize) != 0 {
            self.price_pegs(instrument_id, now_ns, log, outbox);
        }
        if self.is_price(instrument_id, ask) {
            self.price_seen(instrument_id, Source::Ask, ask, time_ns, now_ns, log, outbox);
        }
        if self.is_price(instrument_id, bid) {
            self.price_seen(instrument_id, Source::Bid, bid, time_ns, now_ns, log, outbox);
        }
    }

    #[allow(clippy::too_many_arguments)] // a price, its place and time, and the three of every step
    #[inline]
    fn price_seen<L: Log, O: Outbox>(
        &mut self,
        instrument_id: u32,
        source: Source,
        px: i64,
        time_ns: i64,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) {
        let base = instrument_id as usize * TREES;
        let rising = base + 2 * source as usize;
        let window = self.windows[instrument_id as usize * 3 + source as usize];
        let trails = self.held.len(base + TRAILS + source as usize) != 0
            && (px < window.low || px > window.high);
        let met = self.held.first_key(rising) <= px
            || self.held.first_key(rising + 1) <= px.saturating_neg();
        if !(met || trails) || self.recovering != 0 || self.unsound(instrument_id, now_ns) {
            return;
        }
        let cause = match source {
            Source::Trade => TriggerCause::Trade,
            Source::Ask | Source::Bid => TriggerCause::Quote,
        };
        let cause = Cause { cause, px, time_ns, by_order_seq: 0 };
        for (tree, key) in [(rising, px), (rising + 1, px.saturating_neg())] {
            while self.held.first_key(tree) <= key
                && log.room() > self.config.log_reserve / 2
                && let Some(row) = self.held.first(tree)
            {
                self.release(self.held.order_seq(row), cause, now_ns, log, outbox);
            }
        }
        if trails {
            self.trail(instrument_id, source, cause, now_ns, log, outbox);
        }
    }

    /// Whether best bid and offer give nothing to judge a price by.
    pub(crate) fn unsound(&self, instrument_id: u32, now_ns: i64) -> bool {
        let i = &self.instruments[instrument_id as usize];
        let age_ns = now_ns.saturating_sub(i.reference_time_ns);
        let stale = age_ns > i.reference_age_ns_max && i.flags & layout::FLAG_NO_BAND == 0;
        mutant!(stop_by_an_unsound_quote => return false);
        i.reference_faults != 0 || stale
    }

    // Trailing -------------------------------------------------------------------------------------

    /// The price a trailing stop starts from: the last of its source.
    pub(crate) fn trail_start(&self, instrument_id: u32, buy: bool, exec_inst: u8) -> Option<i64> {
        let i = &self.instruments[instrument_id as usize];
        let quote = if buy { i.ask } else { i.bid };
        let px = match source_of(buy, exec_inst) {
            Source::Trade if self.is_price(instrument_id, i.last_px) => i.last_px,
            _ => quote,
        };
        self.is_price(instrument_id, px).then_some(px)
    }

    /// StopPx(99) of a trailing stop whose best price is `mark`, on the tick away from the market.
    pub(crate) fn trailed(
        &self,
        instrument_id: u32,
        buy: bool,
        terms: &layout::OrderTerms,
        mark: i64,
    ) -> i64 {
        self.trailed_by(instrument_id, buy, terms.trail, terms.exec_inst, mark)
    }

    fn trailed_by(&self, instrument_id: u32, buy: bool, trail: i64, inst: u8, mark: i64) -> i64 {
        let tick = self.instruments[instrument_id as usize].tick.value;
        let distance = if inst & EXEC_TRAIL_PPM == 0 {
            trail
        } else {
            let wide = mark.unsigned_abs() as u128 * trail as u128 / 1_000_000;
            i64::try_from(wide).unwrap_or(i64::MAX)
        };
        if buy {
            let stop = mark.saturating_add(distance);
            let over = stop.rem_euclid(tick);
            if over == 0 { stop } else { stop.saturating_add(tick - over) }
        } else {
            let stop = mark.saturating_sub(distance);
            stop.saturating_sub(stop.rem_euclid(tick))
        }
    }

    /// Trailing stops of an instrument may lie elsewhere now: on another tick.
    pub(crate) fn forget_windows(&mut self, instrument_id: u32) {
        self.windows[instrument_id as usize * 3..][..3].fill(UNKNOWN);
    }

    fn stop_now(&self, order: &Order, terms: &Terms, row: usize) -> i64 {
        if terms.ord_type != OrdType::TrailingStop as u8 {
            return terms.stop_px;
        }
        let (trail, inst) = (terms.trail, terms.exec_inst);
        self.trailed_by(order.instrument_id, order.is_buy(), trail, inst, self.peaks[row])
    }

    /// Lets every trailing stop of an instrument follow a price, releases those it meets, and notes
    /// between which prices nothing will happen.
    fn trail<L: Log, O: Outbox>(
        &mut self,
        instrument_id: u32,
        source: Source,
        cause: Cause,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) {
        let tree = instrument_id as usize * TREES + TRAILS + source as usize;
        let (px, mut window) = (cause.px, Window { low: i64::MIN, high: i64::MAX });
        let mut at = self.held.first(tree);
        while let Some(row) = at {
            at = self.held.next(row);
            let order_seq = self.held.order_seq(row);
            let (order, terms) = (self.orders[self.slot(order_seq)], self.order_terms[row]);
            let buy = order.is_buy();
            let better = if buy { px < self.peaks[row] } else { px > self.peaks[row] };
            mutant!(trail_moves_back: better = true);
            if better {
                self.peaks[row] = px;
            }
            let stop = self.stop_now(&order, &terms, row);
            let room = log.room() > self.config.log_reserve / 2;
            if room && (if buy { px >= stop } else { px <= stop }) {
                self.release(order_seq, cause, now_ns, log, outbox);
                // Its end may have taken a leg of its group, the next in line, out of the tree.
                if at.is_some_and(|next| !self.held.is_in(tree, next)) {
                    at = self.held.first(tree);
                }
                continue;
            }
            let due = now_ns.saturating_sub(self.ratchet_ns[row]) >= RATCHET_NS;
            if room && stop != terms.stop_px && due {
                let mut event = TrailMoved::ZERO;
                event.header = header(TrailMoved::KIND, order_seq, now_ns);
                (event.stop_px, event.mark_px) = (stop, self.peaks[row]);
                *TrailMoved::view_mut(log.slot(0)) = event;
                self.commit(log, 1);
            }
            let peak = self.peaks[row];
            let (low, high) = if buy { (peak, stop - 1) } else { (stop.saturating_add(1), peak) };
            (window.low, window.high) = (window.low.max(low), window.high.min(high));
        }
        self.windows[instrument_id as usize * 3 + source as usize] = window;
    }

    // Release --------------------------------------------------------------------------------------

    /// A held order's trigger is met: judged again and sent, armed, or rejected here.
    pub(crate) fn release<L: Log, O: Outbox>(
        &mut self,
        order_seq: u64,
        cause: Cause,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) {
        let order = self.orders[self.slot(order_seq)];
        let row = self.terms_row(order_seq);
        let terms = self.order_terms[row];
        assert!(order.base == OrdStatus::Held as u8);
        assert!(terms.order_seq == order_seq);
        self.refresh_row(order.account_id, order.instrument_id);
        let mut event = Triggered::ZERO;
        event.header = header(Triggered::KIND, order_seq, now_ns);
        (event.trigger_px, event.transact_time_ns) = (cause.px, cause.time_ns);
        (event.cause, event.by_order_seq) = (cause.cause as u8, cause.by_order_seq);
        (event.stop_px, event.mark_px) = (terms.stop_px, terms.mark_px);
        (event.price, event.order_qty) = (order.price, self.released_qty(&order, &terms));
        event.ord_type = order.ord_type;
        let trailing = terms.ord_type == OrdType::TrailingStop as u8;
        if cause.cause == TriggerCause::Leg && waits_for_price(terms.ord_type) {
            event.outcome = TriggerOutcome::Armed as u8;
            if trailing {
                let start = self.trail_start(order.instrument_id, order.is_buy(), terms.exec_inst);
                event.mark_px = start.unwrap_or(terms.mark_px);
                let (trail, inst) = (terms.trail, terms.exec_inst);
                let (id, buy) = (order.instrument_id, order.is_buy());
                event.stop_px = self.trailed_by(id, buy, trail, inst, event.mark_px);
            }
            *Triggered::view_mut(log.slot(0)) = event;
            return self.commit(log, 1);
        }
        if trailing {
            event.mark_px = self.peaks[row];
            event.stop_px = self.stop_now(&order, &terms, row);
        }
        let out = street_type(terms.ord_type);
        if out == OrdType::Market {
            let i = &self.instruments[order.instrument_id as usize];
            let edge = if order.is_buy() { i.band_high } else { i.band_low };
            if i.reference_faults == 0 && edge != i64::MIN && edge != i64::MAX {
                event.price = i.inward(edge, order.is_buy());
            }
        }
        event.ord_type = out as u8;
        let slice = self.slice_of(&order, event.order_qty);
        let unled =
            Fault { verdict: Verdict::GroupUnknown, value: terms.group_seq as i64, bound: 0 };
        let leads = if slice > 0 { Ok(()) } else { Err(unled) };
        let judged = self.check_release(&order, &terms, &event, now_ns, log.room()).and(leads);
        if let Err(fault) = judged {
            event.outcome = TriggerOutcome::Refused as u8;
            (event.price, event.ord_type) = (order.price, order.ord_type);
            event.verdict = fault.verdict.code();
            (event.value, event.bound) = (fault.value, fault.bound);
            *Triggered::view_mut(log.slot(0)) = event;
            self.counters.refused += 1;
            return self.commit(log, 1);
        }
        event.outcome = TriggerOutcome::Released as u8;
        event.shown_qty = if slice == event.order_qty { 0 } else { slice };
        *Triggered::view_mut(log.slot(0)) = event;
        let (new, qty) = (MsgType::NewOrder, slice);
        let price = if out == OrdType::Market { 0 } else { event.price };
        let message = Message {
            orig_street_id: [0; 3],
            ord_type: event.ord_type,
            ..self.change_message(&order, new, 0, price, qty, now_ns)
        };
        terms.build_routed(log.slot(1), message);
        self.tell_effect(log.slot(1), order.account_id, order.tags);
        self.commit(log, 2);
        let routed = Routed::from_record(log.last(1)).expect("just built");
        outbox.push(routed);
        mutant!(triggered_twice => outbox.push(routed));
    }

    /// Every check that holds at the moment a held order leaves.
    fn check_release(
        &self,
        order: &Order,
        terms: &Terms,
        event: &Triggered,
        now_ns: i64,
        room: u64,
    ) -> Result<(), Fault> {
        let market = event.ord_type == OrdType::Market as u8;
        self.check_leaving(order, (event.price, event.order_qty), market, now_ns, room)?;
        self.check_exec_inst(order, terms.exec_inst, event.price, event.order_qty)
    }

    /// Every check that holds at the moment an order leaves that was accepted before; what it adds to
    /// exposure is the move of its price, since it has reserved all along.
    pub(crate) fn check_leaving(
        &self,
        order: &Order,
        (price, qty): (i64, i64),
        market: bool,
        now_ns: i64,
        room: u64,
    ) -> Result<(), Fault> {
        let i = &self.instruments[order.instrument_id as usize];
        let venue = &self.venues[order.venue_id as usize];
        let row = &self.rows[self.pair(order.account_id, order.instrument_id)];
        let points = number::points(price, qty).saturating_abs();
        let mode = self.mode_of(order);
        mutant!(release_under_kill: mode = KillMode::Open as u8);
        let (pair, of) = ((order.account_id, order.instrument_id), (order.is_buy(), order.tags));
        let reduces = self.reduces(row, pair, of, 0);
        let halted = i.phase != 0 && !phase_takes_orders(i.phase);
        let parent_left = self.parent_left(order);
        mutant!(release_over_parent: parent_left = Some(0));
        let mut all = All(fail(
            mode != KillMode::Open as u8 && (stops_orders(mode) || !reduces),
            Verdict::Killed,
        ) | fail(self.recovering != 0, Verdict::Recovering)
            | fail(i.flags & layout::FLAG_RESTRICTED != 0, Verdict::InstrumentRestricted)
            | fail(!phase_takes_orders(venue.phase) || halted, Verdict::MarketClosed)
            | fail(venue.link != LinkState::Up as u8, Verdict::VenueDown)
            | fail(points >= number::POINTS_MAX, Verdict::NotionalOverflow)
            | fail(qty > row.order_qty_max, Verdict::OrderQtyLimit)
            | fail(points > row.order_points_max, Verdict::OrderNotionalLimit)
            | fail(parent_left.is_none(), Verdict::ParentUnknown)
            | fail(parent_left.is_some_and(|left| left < 0), Verdict::ParentExceeded));
        i.check_rate(&mut all, now_ns);
        i.check_terms(&mut all, price, qty, market);
        i.check_reference(&mut all, price, now_ns);
        if points < number::POINTS_MAX {
            let before = order.exposure(venue.replace_rule);
            let (more_qty, more) = (qty.saturating_sub(before.qty), points - before.points);
            let more = Exposure { qty: more_qty, points: more };
            self.check_exposure(&mut all, pair, of, more, now_ns);
        }
        let verdict = first(all.0);
        if verdict != Verdict::Accepted {
            let mut judged = Judged::of(order.order_seq, order.venue_id, price);
            judged.verdict = verdict;
            let id = self.cl_ord_id(order);
            let told = self.explain_change(&id, order.session_id, &judged, qty, now_ns, room);
            return fault(verdict, told.value, told.bound);
        }
        // It has reserved all along, and its leg may have shrunk since.
        let own = order.exposure(venue.replace_rule).qty;
        let left = self.leg_left(pair.0, pair.1, of.0, of.1, own);
        if self.hedges(pair.0) && crate::legs::closes(of.1) && qty > left {
            return fault(Verdict::CloseExceedsLeg, qty, left.max(0));
        }
        Ok(())
    }

    // Replace --------------------------------------------------------------------------------------

    /// Takes a replace of an order held here, or one that brings a new stop price. It holds by its
    /// event: nothing goes out, and nothing is ever in flight.
    #[cold]
    pub(crate) fn step_replace_held<L: Log>(
        &mut self,
        c: &ReplaceOrder,
        now_ns: i64,
        log: &mut L,
    ) -> Verdict {
        let offer = self.offer_of(c.session_id);
        let (judged, fault, stop_px) = self.decide_held(c, offer.as_ref(), now_ns, log.room());
        if let Seen::Repeated(row) = judged.seen {
            return self.repeat(row, &c.cl_ord_id, c.session_id, c.header.event_seq, now_ns, log);
        }
        if judged.verdict != Verdict::Accepted {
            let command = Change::of(&c.header, &c.cl_ord_id, c.session_id, c.price, c.order_qty);
            let numbers = fault.map(|fault| (fault.value, fault.bound));
            return self.refuse_change(&command, &judged, numbers, now_ns, log);
        }
        let order = self.orders[self.slot(judged.order_seq)];
        let row = self.terms_row(order.order_seq);
        let terms = self.order_terms[row];
        let mut count = 0;
        if terms.ord_type == OrdType::TrailingStop as u8 && terms.state & ARMED != 0 {
            let mut event = TrailMoved::ZERO;
            event.header = header(TrailMoved::KIND, order.order_seq, now_ns);
            event.stop_px = self.stop_now(&order, &terms, row);
            event.mark_px = self.peaks[row];
            *TrailMoved::view_mut(log.slot(0)) = event;
            count = 1;
        }
        let mut event = ReplaceAccepted::ZERO;
        event.header = header(ReplaceAccepted::KIND, order.order_seq, now_ns);
        (event.cl_ord_id, event.session_id) = (c.cl_ord_id, c.session_id);
        (event.price, event.order_qty, event.stop_px) = (judged.price, c.order_qty, stop_px);
        if count == 1 {
            event.stop_px = self.stop_now(&order, &terms, row);
        }
        (event.bid_ticks, event.ask_ticks) = (judged.bid_ticks, judged.ask_ticks);
        (event.body_hash, event.held) = (judged.body_hash, 1);
        event.command_seq = c.header.event_seq as u32;
        event.limits_version = self.limits_version as u16;
        event.priority = layout::QueuePriority::Lost as u8;
        *ReplaceAccepted::view_mut(log.slot(count)) = event;
        self.counters.accepted += 1;
        self.commit(log, count + 1);
        Verdict::Accepted
    }

    /// Judges such a replace and changes nothing; the stop price that would hold.
    fn decide_held(
        &self,
        c: &ReplaceOrder,
        offer: Option<&OrderTerms>,
        now_ns: i64,
        room: u64,
    ) -> (Judged, Option<Fault>, i64) {
        let mut judged = self.judged_replace(c);
        if let Some(offer) = offer {
            judged.body_hash ^= crate::terms::offer_hash(offer);
        }
        if self.answered(&mut judged, &c.cl_ord_id, c.session_id, true, now_ns) {
            return (judged, None, 0);
        }
        let told = |judged: Judged, fault: Fault| {
            (Judged { verdict: fault.verdict, ..judged }, Some(fault), 0)
        };
        let tagged = c.tags & TAG_TERMS != 0;
        let Some(order) = self.target(c.session_id, c.header.order_seq, &c.orig_cl_ord_id, now_ns)
        else {
            judged.verdict = Verdict::OrderUnknown;
            return (judged, None, 0);
        };
        (judged.order_seq, judged.venue_id) = (order.order_seq, order.venue_id);
        if tagged != offer.is_some() {
            let (value, bound) = (c.tags as i64, i64::from(offer.is_some()));
            return told(judged, Fault { verdict: Verdict::TermsMissing, value, bound });
        }
        let Some(terms) = self.order_terms(order.order_seq).copied() else {
            let (value, bound) = (order.ord_type as i64, STOP_PX as i64);
            return told(judged, Fault { verdict: Verdict::TermsNotAllowed, value, bound });
        };
        let held = order.base == OrdStatus::Held as u8;
        if order.live() && !held {
            let (value, bound) = (order.ord_type as i64, STOP_PX as i64);
            return told(judged, Fault { verdict: Verdict::TermsNotAllowed, value, bound });
        }
        let i = &self.instruments[order.instrument_id as usize];
        let row = &self.rows[self.pair(order.account_id, order.instrument_id)];
        let market = street_type(terms.ord_type) == OrdType::Market;
        let stop_px = offer.map_or(terms.stop_px, |offer| offer.stop_px);
        if market {
            judged.price = self.collar(i, order.is_buy(), Some(stop_px), true);
        }
        let points = number::points(judged.price, c.order_qty).saturating_abs();
        let mode = self.mode_of(order);
        let same = c.order_qty == order.order_qty
            && stop_px == terms.stop_px
            && (market || c.price == order.price);
        let mut all = All(fail(mode != KillMode::Open as u8, Verdict::Killed)
            | fail(self.recovering != 0, Verdict::Recovering)
            | fail(c.order_qty <= 0, Verdict::QtyNotPositive)
            | fail(market && c.price != 0, Verdict::PriceNotAllowed)
            | no_collar(judged.price)
            | fail(i.flags & layout::FLAG_RESTRICTED != 0, Verdict::InstrumentRestricted)
            | fail(points >= number::POINTS_MAX, Verdict::NotionalOverflow)
            | fail(room < self.config.log_reserve, Verdict::LogFull)
            | fail(!order.live(), Verdict::OrderClosed)
            | fail(order.flight & CANCEL_ASKED != 0, Verdict::CancelPending)
            | fail(same, Verdict::Unchanged)
            | fail(c.order_qty > row.order_qty_max, Verdict::OrderQtyLimit)
            | fail(points > row.order_points_max, Verdict::OrderNotionalLimit));
        let mut leg = Ok(());
        i.check_rate(&mut all, now_ns);
        i.check_terms(&mut all, judged.price, c.order_qty, market);
        let scopes = self.scopes_of(order);
        self.check_throttles(&mut all, &scopes, now_ns);
        self.check_trader(&mut all, scopes.trader_id, c.order_qty);
        if points < number::POINTS_MAX && c.order_qty > 0 && order.live() {
            let before = order.exposure(0);
            let (qty, more) = (c.order_qty.saturating_sub(before.qty), points - before.points);
            let (pair, of) =
                ((order.account_id, order.instrument_id), (order.is_buy(), order.tags));
            let more = Exposure { qty, points: more };
            self.check_exposure(&mut all, pair, of, more, now_ns);
            leg = self.check_leg(pair, of, qty);
            let left = self.parent_left(order);
            all.0 |= fail(left.is_none(), Verdict::ParentUnknown)
                | fail(left.is_some_and(|left| qty > left.max(0)), Verdict::ParentExceeded);
        }
        judged.verdict = first(all.0);
        if judged.verdict == Verdict::Accepted && waits_for_price(terms.ord_type) {
            let trailing = terms.ord_type == OrdType::TrailingStop as u8;
            if trailing && stop_px != terms.stop_px {
                let (value, bound) = (terms.ord_type as i64, STOP_PX as i64);
                return told(judged, Fault { verdict: Verdict::TermsNotAllowed, value, bound });
            }
            if !trailing {
                if let Err(fault) = self.check_stop_px(order.instrument_id, stop_px) {
                    return told(judged, fault);
                }
            }
        }
        if judged.verdict == Verdict::Accepted
            && let Err(fault) = leg
        {
            return told(judged, fault);
        }
        (judged.bid_ticks, judged.ask_ticks, judged.reference_age_ms) =
            self.reference_ticks(i, judged.price, now_ns);
        (judged, None, stop_px)
    }

    /// Whether the desk's own work waits to be tried: cancels asked for, legs due, timers run out.
    pub fn work_due(&self, now_ns: i64) -> bool {
        self.to_cancel.len() != 0
            || self.to_move.len() != 0
            || !self.due.is_empty() && self.recovering == 0
            || self.next_timer_ns() <= now_ns
    }

    /// Whether a held order waits only for its price, and has not been asked to end.
    pub(crate) fn may_arm(order: &Order) -> bool {
        order.base == OrdStatus::Held as u8 && order.flight & CANCEL_ASKED == 0
    }
}
