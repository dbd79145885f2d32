//! The picture of the house as one function: input -> gate -> event -> apply -> outbox. `step` takes
//! one record, judges it, builds the group of events in the log's own slots, publishes it once,
//! folds it, and hands what must leave to the outbox. Runs on the engine thread or inline; the same
//! sentences in live trading, replay checks, simulation and benches.

use crate::day::{DAY_OPEN, DAY_UNJUDGED};
use crate::gate::{Judged, Seen};
use crate::street;
use crate::{Engine, GROUP_MAX, Log, Outbox};
use arch::mutant;
use layout::{
    Acceptance, BookUpdate, CancelAccepted, CancelOrder, ChangeRefused, ClockAnomaly,
    CommandRepeated, Control, DayChange, Definition, DeskState, DroppedUnsent, Entity,
    EpochStarted, ExecRef, ExecutionReport, ForeignOrder, Header, InstrumentTerms, KillMode,
    LegAdjusted, LimitRow, LimitsActivated, LinkChange, LinkState, MassCancel, Message, MsgType,
    NO_PRICE, NewOrder, OrdType, OrderAccepted, OrderRefused, OrderTerms, OutcomeUnknown,
    PhaseChange, PositionAdjusted, Quote, Rate, Record, ReplaceAccepted, ReplaceOrder, ReportText,
    Routed, TailCut, TimeInput, Typed, Verdict,
};

/// Cancels that one step sends for mass cancels and the kill switch.
const SWEEP_CANCELS: usize = 32;
/// Orders that one step looks at for them.
const SWEEP_LOOKS: usize = 128;

pub(crate) fn header(kind: u16, order_seq: u64, now_ns: i64) -> Header {
    Header { kind, order_seq, ingest_time_ns: now_ns, ..Header::ZERO }
}

#[inline(always)]
fn put<T: Typed, L: Log>(log: &mut L, index: usize, event: T) {
    *T::view_mut(log.slot(index)) = event;
}

impl Engine {
    /// Takes one input to its end: events in `log`, state changed, messages in `outbox`.
    ///
    /// `input` is a command (100-103), a venue's word (110, its ids before it: 120), market data
    /// (112, 113), time (114) or one of the host's own inputs (115-119, definitions, limits, rates,
    /// epoch, dropped, unknown).
    /// `now_ns` is UTC and never below the one before (the host clamps it). Returns the verdict; a
    /// refusal is an event too, unless the log has no room for one.
    #[inline]
    pub fn step<L: Log, O: Outbox>(
        &mut self,
        input: &Record,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) -> Verdict {
        assert!(now_ns >= self.time_ns); // the clock is an argument, so a replay decides alike
        let verdict = if input.header.kind == NewOrder::KIND {
            self.step_new(typed(input), now_ns, log, outbox)
        } else {
            self.step_other(input, now_ns, log, outbox)
        };
        if self.to_cancel.len() != 0 {
            self.sweep(now_ns, log, outbox);
        }
        if self.to_ask != 0 {
            self.ask(now_ns, log, outbox);
        }
        verdict
    }

    /// Every input but a new order.
    #[inline(never)]
    fn step_other<L: Log, O: Outbox>(
        &mut self,
        input: &Record,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) -> Verdict {
        let verdict = match input.header.kind {
            CancelOrder::KIND => self.step_cancel(typed(input), now_ns, log, outbox),
            ReplaceOrder::KIND => self.step_replace(typed(input), now_ns, log, outbox),
            MassCancel::KIND => self.step_mass_cancel(typed(input), now_ns, log),
            ExecutionReport::KIND => {
                self.step_report(typed(input), None, now_ns, log);
                Verdict::Accepted
            }
            BookUpdate::KIND => self.take_book_update(typed(input), now_ns, log, outbox),
            Quote::KIND => self.take_quote(typed(input), now_ns, log, outbox),
            TimeInput::KIND => {
                self.run_timers(now_ns, log, outbox);
                Verdict::Accepted
            }
            OrderTerms::KIND => self.take_offer(typed(input)),
            DayChange::KIND => self.step_day(typed(input), now_ns, log, outbox),
            LinkChange::KIND => self.step_link(typed(input), now_ns, log, outbox),
            ExecRef::KIND => self.offer_ref(typed(input)),
            ForeignOrder::KIND => self.offer_foreign(typed(input)),
            Definition::KIND => self.step_definition(typed(input), now_ns, log),
            LimitsActivated::KIND => {
                // The hash of the rows is the engine's own word, whoever asks for the change.
                let mut event = *typed::<LimitsActivated>(input);
                event.limits_hash = self.staged_limits_hash();
                self.step_fact(event.as_record(), now_ns, log)
            }
            _ => self.step_fact(input, now_ns, log),
        };
        if !self.due.is_empty() {
            self.work_off_due(now_ns, log, outbox);
        }
        if self.to_move.len() != 0 {
            self.move_vacant(now_ns, log, outbox);
        }
        if self.pace.mass_len() != 0 {
            self.send_mass(now_ns, log, outbox);
        }
        mutant!(unknown_sent_again => if input.header.kind == OutcomeUnknown::KIND {
            let order = self.orders[self.slot(input.header.order_seq)];
            let (price, order_qty) = (order.price, order.order_qty);
            let again = self.change_message(&order, MsgType::NewOrder, 0, price, order_qty, now_ns);
            Routed::build(log.slot(0), again);
            self.commit(log, 1);
            outbox.push(typed(log.last(0)));
        });
        verdict
    }

    /// Publishes the group and folds it.
    #[inline(always)]
    pub(crate) fn commit<L: Log>(&mut self, log: &mut L, count: usize) {
        debug_assert!(count <= GROUP_MAX);
        log.publish(count);
        for index in 0..count {
            self.apply(log.last(index));
        }
    }

    /// A new order; a plain one is judged and folded at a glance, every other by the catalogue.
    #[inline(always)]
    fn step_new<L: Log, O: Outbox>(
        &mut self,
        c: &NewOrder,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) -> Verdict {
        self.counters.commands += 1;
        let Some((judged, plan)) = self.judge_plain(c, now_ns, log.room()) else {
            return self.step_new_judged(c, now_ns, log, outbox);
        };
        OrderAccepted::build(log.slot(0), c, self.acceptance(&judged, now_ns));
        let message = self.new_message(c, &judged, now_ns);
        Routed::build(log.slot(1), message);
        log.publish(2);
        let accepted = typed::<OrderAccepted>(log.last(0));
        let routed = typed::<Routed>(log.last(1));
        self.take_header(&accepted.header);
        self.fold_accepted(accepted, &plan);
        self.take_header(&routed.header);
        self.apply_routed(routed);
        outbox.push(routed);
        self.counters.accepted += 1;
        Verdict::Accepted
    }

    #[inline(never)]
    fn step_new_judged<L: Log, O: Outbox>(
        &mut self,
        c: &NewOrder,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) -> Verdict {
        if u64::from(c.tags & layout::TAG_TERMS) | self.offers_count != 0
            && let Some(verdict) = self.step_terms(c, now_ns, log, outbox)
        {
            return verdict;
        }
        self.refresh_row(c.account_id, c.instrument_id);
        let judged = self.decide_new(c, now_ns, log.room());
        if let Seen::Repeated(row) = judged.seen {
            return self.repeat(row, &c.cl_ord_id, c.session_id, c.header.event_seq, now_ns, log);
        }
        if judged.verdict != Verdict::Accepted {
            return self.refuse_new(c, &judged, None, now_ns, log);
        }
        self.open_pair(c.account_id, c.instrument_id);
        OrderAccepted::build(log.slot(0), c, self.acceptance(&judged, now_ns));
        let mut count = 1;
        if c.parent_order_seq != 0 {
            let mut terms = OrderTerms::ZERO;
            terms.header = header(OrderTerms::KIND, judged.order_seq, now_ns);
            terms.parent_order_seq = c.parent_order_seq;
            put(log, count, terms);
            count += 1;
        }
        let parent = c.tags & layout::TAG_PARENT != 0;
        if !parent {
            let message = self.new_message(c, &judged, now_ns);
            Routed::build(log.slot(count), message);
            self.tell_effect(log.slot(count), c.account_id, c.tags);
            count += 1;
        }
        self.commit(log, count);
        if !parent {
            outbox.push(typed(log.last(count - 1)));
        }
        self.counters.accepted += 1;
        Verdict::Accepted
    }

    #[inline(always)]
    pub(crate) fn acceptance(&self, judged: &Judged, now_ns: i64) -> Acceptance {
        Acceptance {
            now_ns,
            order_seq: judged.order_seq,
            price: judged.price,
            body_hash: judged.body_hash,
            bid_ticks: judged.bid_ticks,
            ask_ticks: judged.ask_ticks,
            venue_id: judged.venue_id,
            reference_age_ms: judged.reference_age_ms,
            limits_version: self.limits_version as u16,
        }
    }

    /// The first message of an order.
    #[inline(always)]
    pub(crate) fn new_message(&mut self, c: &NewOrder, judged: &Judged, now_ns: i64) -> Message {
        Message {
            now_ns,
            order_seq: judged.order_seq,
            street_id: self.street_ids.words(self.epoch as u32, judged.order_seq),
            orig_street_id: [0; 3],
            price: c.price,
            order_qty: c.order_qty,
            link_seq: self.venues[judged.venue_id as usize].link_seq_out + 1,
            instrument_id: c.instrument_id,
            account_id: c.account_id,
            venue_id: judged.venue_id,
            revision: 0,
            msg_type: MsgType::NewOrder as u8,
            side: c.side,
            ord_type: c.ord_type,
            time_in_force: c.time_in_force,
        }
    }

    /// Whether a refusal still finds room: refusals must not eat what cancels and reports need.
    fn room_for_refusal<L: Log>(&mut self, log: &L) -> bool {
        self.counters.refused += 1;
        let room = log.room() > self.config.log_reserve / 2;
        self.counters.unlogged_refusals += u64::from(!room);
        room
    }

    #[cold]
    pub(crate) fn refuse_new<L: Log>(
        &mut self,
        c: &NewOrder,
        judged: &Judged,
        numbers: Option<(i64, i64)>,
        now_ns: i64,
        log: &mut L,
    ) -> Verdict {
        if !self.room_for_refusal(log) {
            return judged.verdict;
        }
        let mut refusal = self.explain_new(c, judged, now_ns, log.room());
        (refusal.value, refusal.bound) = numbers.unwrap_or((refusal.value, refusal.bound));
        refusal.header.ingest_time_ns = now_ns;
        put(
            log,
            0,
            OrderRefused {
                header: header(OrderRefused::KIND, 0, now_ns),
                cl_ord_id: c.cl_ord_id,
                instrument_id: c.instrument_id,
                price: c.price,
                order_qty: c.order_qty,
                body_hash: judged.body_hash,
                parent_order_seq: c.parent_order_seq,
                account_id: c.account_id,
                command_seq: c.header.event_seq as u32,
                session_id: c.session_id,
                strategy_id: c.strategy_id,
                trader_id: c.trader_id,
                venue_id: judged.venue_id,
                verdict: judged.verdict.code(),
                limits_version: self.limits_version as u16,
                side: c.side,
                ord_type: c.ord_type,
                time_in_force: c.time_in_force,
                tags: c.tags,
            },
        );
        put(log, 1, refusal);
        self.commit(log, 2);
        judged.verdict
    }

    /// Answers a repeated id with the order's present state or its recorded refusal.
    #[cold]
    pub(crate) fn repeat<L: Log>(
        &mut self,
        row: u32,
        cl_ord_id: &[u8; 36],
        session_id: u16,
        command_seq: u64,
        now_ns: i64,
        log: &mut L,
    ) -> Verdict {
        let (order_seq, verdict) = (self.dedup.row(row).order_seq, self.dedup.row(row).verdict);
        let mut event = CommandRepeated::ZERO;
        event.header = header(CommandRepeated::KIND, order_seq, now_ns);
        (event.cl_ord_id, event.session_id, event.verdict) = (*cl_ord_id, session_id, verdict);
        event.command_seq = command_seq as u32;
        if let Some(order) = self.order(order_seq) {
            (event.cum_qty, event.leaves_qty) = (order.cum_qty, order.leaves_qty());
            event.ord_status = order.ord_status() as u8;
        }
        self.counters.repeated += 1;
        if log.room() > self.config.log_reserve / 2 {
            put(log, 0, event);
            self.commit(log, 1);
        }
        Verdict::from_code(verdict).unwrap_or(Verdict::Accepted)
    }

    fn step_cancel<L: Log, O: Outbox>(
        &mut self,
        c: &CancelOrder,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) -> Verdict {
        self.counters.commands += 1;
        let judged = self.decide_cancel(c, now_ns, log.room());
        if let Seen::Repeated(row) = judged.seen {
            return self.repeat(row, &c.cl_ord_id, c.session_id, c.header.event_seq, now_ns, log);
        }
        if judged.verdict != Verdict::Accepted {
            let command = Change::of(&c.header, &c.cl_ord_id, c.session_id, 0, 0);
            return self.refuse_change(&command, &judged, None, now_ns, log);
        }
        let mut event = CancelAccepted::ZERO;
        (event.cl_ord_id, event.session_id) = (c.cl_ord_id, c.session_id);
        (event.body_hash, event.command_seq) = (judged.body_hash, c.header.event_seq as u32);
        self.send_cancel(judged.order_seq, event, now_ns, log, outbox);
        self.counters.accepted += 1;
        Verdict::Accepted
    }

    /// Logs and routes one cancel; what never left is closed by the event itself.
    pub(crate) fn send_cancel<L: Log, O: Outbox>(
        &mut self,
        order_seq: u64,
        mut event: CancelAccepted,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) {
        let order = self.orders[self.slot(order_seq)];
        mutant!(new_id_named_early: order = crate::Order {
            revision: order.revision_last,
            ..order
        });
        event.header = header(CancelAccepted::KIND, order_seq, now_ns);
        let (closed, why) = self.closes_here(&order);
        mutant!(expired_by_its_timer: closed = if event.why == 0 { closed } else { 2 });
        if event.session_id == 0 && event.why == 0 {
            event.why = why as u8;
        }
        if closed != 0 || order.is_here() {
            let expired = event.why == layout::OwnCause::Expiry as u8;
            let asked = event.session_id != 0; // who cancels an order whose day is over cancels it
            event.closed = if expired {
                2
            } else if asked {
                1
            } else {
                closed
            };
            put(log, 0, event);
            self.commit(log, 1);
            return;
        }
        event.revision = order.revision_last + 1;
        put(log, 0, event);
        let (revision, price, order_qty) = (event.revision, order.price, order.order_qty);
        let cancel = MsgType::Cancel;
        let message = self.change_message(&order, cancel, revision, price, order_qty, now_ns);
        Routed::build(log.slot(1), message);
        self.commit(log, 2);
        outbox.push(typed(log.last(1)));
    }

    pub(crate) fn change_message(
        &self,
        order: &crate::Order,
        msg_type: MsgType,
        revision: u16,
        price: i64,
        order_qty: i64,
        now_ns: i64,
    ) -> Message {
        let street = |revision| self.street_words(order, revision);
        // A cancel behind a replace in flight names the id the venue will know by then: FIX asks for
        // the last accepted one, and venues accept either; ours is the last acknowledged.
        Message {
            now_ns,
            order_seq: order.order_seq,
            street_id: street(revision),
            orig_street_id: street(order.street_revision()),
            price,
            order_qty,
            link_seq: self.venues[order.venue_id as usize].link_seq_out + 1,
            instrument_id: order.instrument_id,
            account_id: order.account_id,
            venue_id: order.venue_id,
            revision,
            msg_type: msg_type as u8,
            side: order.side,
            // A peg is the desk's: the venue has a limit order.
            ord_type: match order.ord_type {
                pegged if pegged == OrdType::Pegged as u8 => OrdType::Limit as u8,
                told => told,
            },
            time_in_force: order.time_in_force,
        }
    }

    /// What asks the venue how an order stands, by the id under which it knows it.
    pub(crate) fn question(&self, order: &crate::Order, now_ns: i64) -> Message {
        let (price, order_qty, revision) = (order.price, order.order_qty, order.street_revision());
        let status = MsgType::OrderStatus;
        let message = self.change_message(order, status, revision, price, order_qty, now_ns);
        Message { orig_street_id: [0; 3], ..message }
    }

    #[cold]
    pub(crate) fn refuse_change<L: Log>(
        &mut self,
        c: &Change,
        judged: &Judged,
        numbers: Option<(i64, i64)>,
        now_ns: i64,
        log: &mut L,
    ) -> Verdict {
        if !self.room_for_refusal(log) {
            return judged.verdict;
        }
        let mut refusal = self.explain_change(
            &c.cl_ord_id,
            c.session_id,
            judged,
            c.order_qty,
            now_ns,
            log.room(),
        );
        (refusal.value, refusal.bound) = numbers.unwrap_or((refusal.value, refusal.bound));
        refusal.header.ingest_time_ns = now_ns;
        refusal.header.order_seq = judged.order_seq;
        let mut event = ChangeRefused::ZERO;
        event.header = header(ChangeRefused::KIND, judged.order_seq, now_ns);
        (event.cl_ord_id, event.session_id) = (c.cl_ord_id, c.session_id);
        (event.verdict, event.body_hash) = (judged.verdict.code(), judged.body_hash);
        (event.price, event.order_qty) = (c.price, c.order_qty);
        (event.command_seq, event.of_kind) = (c.command_seq, c.kind);
        event.limits_version = self.limits_version as u16;
        put(log, 0, event);
        put(log, 1, refusal);
        self.commit(log, 2);
        judged.verdict
    }

    fn step_replace<L: Log, O: Outbox>(
        &mut self,
        c: &ReplaceOrder,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) -> Verdict {
        self.counters.commands += 1;
        let held = self.refresh_target(c);
        if held || c.tags & layout::TAG_TERMS != 0 || self.has_offer(c.session_id) {
            return self.step_replace_held(c, now_ns, log);
        }
        let judged = self.decide_replace(c, now_ns, log.room());
        if let Seen::Repeated(row) = judged.seen {
            return self.repeat(row, &c.cl_ord_id, c.session_id, c.header.event_seq, now_ns, log);
        }
        if judged.verdict != Verdict::Accepted {
            let command = Change::of(&c.header, &c.cl_ord_id, c.session_id, c.price, c.order_qty);
            return self.refuse_change(&command, &judged, None, now_ns, log);
        }
        let order = self.orders[self.slot(judged.order_seq)];
        if let Err(fault) = self.check_replaced_terms(&order, c.price, c.order_qty) {
            let command = Change::of(&c.header, &c.cl_ord_id, c.session_id, c.price, c.order_qty);
            let judged = Judged { verdict: fault.verdict, ..judged };
            let numbers = Some((fault.value, fault.bound));
            return self.refuse_change(&command, &judged, numbers, now_ns, log);
        }
        let revision = order.revision_last + 1;
        let by_cancel =
            !order.is_parent() && self.replace_rule(&order) == layout::ReplaceRule::CancelNew as u8;
        put(
            log,
            0,
            ReplaceAccepted {
                header: header(ReplaceAccepted::KIND, judged.order_seq, now_ns),
                cl_ord_id: c.cl_ord_id,
                session_id: c.session_id,
                revision,
                price: c.price,
                order_qty: c.order_qty,
                body_hash: judged.body_hash,
                bid_ticks: judged.bid_ticks,
                ask_ticks: judged.ask_ticks,
                command_seq: c.header.event_seq as u32,
                reference_age_ms: judged.reference_age_ms,
                limits_version: self.limits_version as u16,
                stop_px: 0,
                held: 0,
                priority: self.queue_priority(&order, (c.price, c.order_qty), by_cancel) as u8,
                by_cancel: by_cancel.into(),
                why: 0,
                reserved: [0; 4],
            },
        );
        self.counters.accepted += 1;
        if order.is_parent() {
            self.commit(log, 1);
            return Verdict::Accepted;
        }
        self.route_replace(&order, (c.price, c.order_qty), by_cancel, now_ns, log, outbox);
        Verdict::Accepted
    }

    /// Routes what an accepted replace sends, which stands before it in the group: the replace itself, or
    /// the cancel that makes room for the new order.
    fn route_replace<L: Log, O: Outbox>(
        &mut self,
        order: &crate::Order,
        (price, order_qty): (i64, i64),
        by_cancel: bool,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) {
        let revision = order.revision_last + 1;
        let message = if by_cancel {
            let (cancel, price, order_qty) = (MsgType::Cancel, order.price, order.order_qty);
            self.change_message(order, cancel, revision + 1, price, order_qty, now_ns)
        } else {
            self.change_message(order, MsgType::Replace, revision, price, order_qty, now_ns)
        };
        Routed::build(log.slot(1), message);
        self.commit(log, 2);
        outbox.push(typed(log.last(1)));
    }

    /// What a replace means for the order's place in its venue's queue.
    fn queue_priority(
        &self,
        order: &crate::Order,
        (price, order_qty): (i64, i64),
        by_cancel: bool,
    ) -> layout::QueuePriority {
        if by_cancel {
            return layout::QueuePriority::Lost;
        }
        let rule = self.venues[order.venue_id as usize].queue_rule;
        crate::priority::of_replace(rule, order, price, order_qty)
    }

    /// Replaces an order for a cause of the desk's own, judged as any replace. What the gate refuses is
    /// let be: the order stays as it is, and the cause comes again.
    pub(crate) fn replace_own<L: Log, O: Outbox>(
        &mut self,
        order: &crate::Order,
        to: (i64, i64),
        why: layout::OwnCause,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) -> Verdict {
        self.refresh_row(order.account_id, order.instrument_id);
        let unchanged = crate::risk::fail(true, Verdict::Unchanged);
        let (mut fails, leg) = self.check_replace(order, to, now_ns, log.room());
        let used_up = order.revision_last >= street::REVISION_MAX - street::REVISIONS_KEPT;
        fails |= crate::risk::fail(used_up, Verdict::RevisionFull);
        let verdict = crate::gate::told(fails & !unchanged, leg);
        if verdict != Verdict::Accepted {
            return verdict;
        }
        let by_cancel = self.replace_rule(order) == layout::ReplaceRule::CancelNew as u8;
        let mut event = ReplaceAccepted::ZERO;
        event.header = header(ReplaceAccepted::KIND, order.order_seq, now_ns);
        event.revision = order.revision_last + 1;
        (event.price, event.order_qty) = to;
        let instrument = &self.instruments[order.instrument_id as usize];
        (event.bid_ticks, event.ask_ticks, event.reference_age_ms) =
            self.reference_ticks(instrument, to.0, now_ns);
        event.limits_version = self.limits_version as u16;
        (event.by_cancel, event.why) = (by_cancel.into(), why as u8);
        event.priority = self.queue_priority(order, to, by_cancel) as u8;
        put(log, 0, event);
        self.route_replace(order, to, by_cancel, now_ns, log, outbox);
        Verdict::Accepted
    }

    /// Brings the limits of the order's row up to date; whether that order is held here.
    fn refresh_target(&mut self, c: &ReplaceOrder) -> bool {
        let order_seq = if c.header.order_seq != 0 {
            c.header.order_seq
        } else {
            let hash = crate::dedup::id_hash(&c.orig_cl_ord_id, c.session_id);
            let row = self.dedup.find(hash, c.session_id, &c.orig_cl_ord_id);
            row.map_or(0, |row| self.dedup.row(row).order_seq)
        };
        let Some(&order) = self.order(order_seq) else { return false };
        self.refresh_row(order.account_id, order.instrument_id);
        order.base == layout::OrdStatus::Held as u8
    }

    fn step_mass_cancel<L: Log>(&mut self, c: &MassCancel, now_ns: i64, log: &mut L) -> Verdict {
        self.counters.commands += 1;
        let (seen, verdict, body_hash) = self.decide_mass_cancel(c, now_ns, log.room());
        if let Seen::Repeated(row) = seen {
            return self.repeat(row, &c.cl_ord_id, c.session_id, c.header.event_seq, now_ns, log);
        }
        if verdict != Verdict::Accepted && !self.room_for_refusal(log) {
            return verdict;
        }
        let entitled = self.sessions.get(c.session_id as usize).map_or(0, |s| s.account_id);
        let mut event = *c;
        event.header = header(MassCancel::KIND, 0, now_ns);
        (event.verdict, event.body_hash) = (verdict.code(), body_hash);
        event.command_seq = c.header.event_seq as u32;
        event.matched = if verdict == Verdict::Accepted {
            self.live_orders().filter(|o| crate::apply::mass_cancel_matches(c, entitled, o)).count()
                as u32
        } else {
            0
        };
        put(log, 0, event);
        self.commit(log, 1);
        self.counters.accepted += u64::from(verdict == Verdict::Accepted);
        verdict
    }

    /// Sends cancels for orders that a mass cancel or the kill switch has marked, a bounded number a
    /// step, oldest order first and no faster than their venue takes them. What cannot go now is not
    /// looked at again before something of its own, its link or the kill switch has changed.
    #[inline(never)]
    pub(crate) fn sweep<L: Log, O: Outbox>(&mut self, now_ns: i64, log: &mut L, outbox: &mut O) {
        let (oldest, mut sent) = (self.slot(self.next_order_seq), 0);
        for _ in 0..SWEEP_LOOKS {
            if sent == SWEEP_CANCELS || log.room() < self.config.log_reserve / 8 {
                return;
            }
            let (slot, is_due) = match self.to_cancel.take(oldest) {
                Some(slot) => (slot, false),
                None => match self.pace.take_due(oldest, now_ns) {
                    Some(slot) => (slot, true),
                    None => return,
                },
            };
            self.counters.looks += 1;
            let order = self.orders[slot];
            assert!(order.is_asked());
            let here = order.is_here() || self.closes_here(&order).0 != 0;
            if self.check_cancel(&order) != 0 && self.closes_here(&order).0 == 0 {
                continue;
            }
            if !is_due && !here && self.pace.is_kept(order.venue_id) {
                self.pace.wait(order.venue_id, slot);
                continue;
            }
            let mut event = CancelAccepted::ZERO;
            event.cause = u8::from(self.mode_of(&order) != KillMode::Open as u8);
            self.counters.kill_cancels += u64::from(event.cause != 0 && !here);
            self.send_cancel(order.order_seq, event, now_ns, log, outbox);
            sent += 1;
        }
    }

    /// Sends the mass cancels that a kill owes, before any single cancel: they reach orders that nobody
    /// here knows. What cannot go now waits for its link; a halt lets none pass.
    #[cold]
    fn send_mass<L: Log, O: Outbox>(&mut self, now_ns: i64, log: &mut L, outbox: &mut O) {
        while log.room() >= self.config.log_reserve / 8 {
            let venues = &self.venues;
            let is_up = |id: u16| venues[id as usize].link != LinkState::Down as u8;
            let Some(mass) = self.pace.take_mass(is_up) else { return };
            let mode = self.mode(mass.account_id, mass.instrument_id, mass.venue_id, 0, 0);
            mutant!(mass_cancel_passes_a_halt: mode = KillMode::CancelOnly as u8);
            if mode != KillMode::CancelOnly as u8 {
                continue; // released or halted meanwhile
            }
            let message = Message {
                now_ns,
                order_seq: 0,
                street_id: [0; 3],
                orig_street_id: [0; 3],
                price: 0,
                order_qty: 0,
                link_seq: self.venues[mass.venue_id as usize].link_seq_out + 1,
                instrument_id: mass.instrument_id,
                account_id: mass.account_id,
                venue_id: mass.venue_id,
                revision: 0,
                msg_type: MsgType::MassCancel as u8,
                side: 0,
                ord_type: 0,
                time_in_force: 0,
            };
            Routed::build(log.slot(0), message);
            self.commit(log, 1);
            outbox.push(typed(log.last(0)));
            self.counters.kill_cancels += 1;
            self.pace.sent_mass(mass.venue_id, now_ns);
        }
    }

    /// What a venue takes of cancels: so many single ones a second, 0 for no bound, and mass cancels
    /// or not. It is no part of the state: what was sent is in the log, how fast is not.
    pub fn set_pace(&mut self, venue_id: u16, cancels_per_s_max: u32, takes_mass_cancels: bool) {
        self.pace.set(venue_id, cancels_per_s_max, takes_mass_cancels);
    }

    /// Owes a venue another mass cancel, where it takes them: it holds orders that nobody here knows.
    pub fn want_mass_cancel(&mut self, venue_id: u16) {
        self.pace.owe_mass(layout::Scope::Venue, venue_id.into());
    }

    /// When the next cancel that waits for its venue's pace may go; `i64::MAX` for none.
    pub fn next_cancel_ns(&self) -> i64 {
        self.pace.next_ns()
    }

    /// Takes a venue's report, with the text that came with it.
    pub fn step_report<L: Log>(
        &mut self,
        report: &ExecutionReport,
        text: Option<&ReportText>,
        now_ns: i64,
        log: &mut L,
    ) -> layout::Disposition {
        assert!(now_ns >= self.time_ns);
        let ids = match self.offered_refs.get_mut(report.venue_id as usize) {
            Some(offered) if offered.is_some() => {
                offered.take().filter(|ids| ids.exec_id == report.exec_id)
            }
            _ => None,
        };
        let correction = self.as_correction(report, ids.as_ref());
        let report = correction.as_ref().map_or(report, |(report, _)| report);
        let ids = correction.as_ref().map_or(ids, |(_, ids)| Some(*ids));
        let mut taken = self.judge(report, ids.as_ref());
        if let Some(order) = self.offered_foreign(report)
            && taken.disposition == layout::Disposition::UnknownOrder
            && self.take_foreign(&order, report, now_ns, log)
        {
            taken = self.judge(report, ids.as_ref());
        }
        self.counters.reports += 1;
        use layout::Disposition::{Applied, Duplicate, Stale};
        self.counters.flagged +=
            u64::from(!matches!(taken.disposition, Applied | Duplicate | Stale));
        let mut event = *report;
        event.header = header(ExecutionReport::KIND, taken.order_seq, now_ns);
        event.disposition = taken.disposition as u8;
        let mut count = 0;
        if let Some(mut ids) = ids {
            // Before its report, so that the fold has the ids when it takes the report.
            ids.header = header(ExecRef::KIND, taken.order_seq, now_ns);
            put(log, count, ids);
            count += 1;
        }
        put(log, count, event);
        count += 1;
        if let Some(mut split) = self.split_of(report, taken.order_seq, taken.disposition) {
            split.header.ingest_time_ns = now_ns;
            self.counters.flagged += u64::from(split.over_close);
            put(log, count, split);
            count += 1;
        }
        if let Some(text) = text {
            let mut text = *text;
            text.header = header(ReportText::KIND, taken.order_seq, now_ns);
            put(log, count, text);
            count += 1;
        }
        self.commit(log, count);
        taken.disposition
    }

    /// Keeps the ids of the venue's next report until it comes; outside the state.
    #[cold]
    pub fn offer_ref(&mut self, ids: &ExecRef) -> Verdict {
        match self.offered_refs.get_mut(ids.venue_id as usize) {
            Some(offered) if ids.venue_id != 0 => {
                *offered = Some(*ids);
                Verdict::Accepted
            }
            _ => Verdict::VenueUnknown,
        }
    }

    /// Asks venues about orders whose sums differ from ours, each once; what cannot go now waits for its
    /// link.
    #[cold]
    fn ask<L: Log, O: Outbox>(&mut self, now_ns: i64, log: &mut L, outbox: &mut O) {
        let mut at = 0;
        while at < self.queries.len() && log.room() >= self.config.log_reserve / 8 {
            let order = self.orders[self.slot(self.queries[at])];
            assert!(order.order_seq == self.queries[at]);
            self.counters.looks += 1;
            if self.venues[order.venue_id as usize].link == LinkState::Down as u8 {
                at += 1;
                continue;
            }
            let question = self.question(&order, now_ns);
            Routed::build(log.slot(0), question);
            self.commit(log, 1); // the fold takes it from the queue
            outbox.push(typed(log.last(0)));
        }
        self.to_ask = self.queries.len().saturating_sub(at) as u64; // none that a link keeps back
    }

    // Market data: into books and quotes, never into the log ----------------------------------------

    fn take_book_update<L: Log, O: Outbox>(
        &mut self,
        update: &BookUpdate,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) -> Verdict {
        self.counters.market_data += 1;
        let id = update.instrument_id as usize;
        if id == 0 || id >= self.instruments.len() {
            return Verdict::InstrumentUnknown;
        }
        use layout::BookAction::{Fill, Trade};
        let print = [Trade as u8, Fill as u8].contains(&update.action);
        let traded = print && self.is_print(update.instrument_id, update.price, update.qty);
        self.counters.book_faults += u64::from(print && !traded);
        if traded && update.action == Trade as u8 {
            self.instruments[id].set_last(update.price, now_ns);
        }
        if self.instruments[id].book == 0 {
            if traded {
                let (px, time_ns) = (update.price, update.transact_time_ns);
                self.trade_seen(update.instrument_id, px, time_ns, now_ns, log, outbox);
            }
            if print {
                // It changes no book: an instrument whose market comes as quotes needs none for it.
                return Verdict::Accepted;
            }
            if self.books_used == self.books.len() {
                self.counters.book_faults += 1;
                return Verdict::DefinitionTableFull;
            }
            self.books_used += 1;
            self.instruments[id].book = self.books_used as u64;
        }
        let book = &mut self.books[self.instruments[id].book as usize - 1];
        let instrument = &mut self.instruments[id];
        if book.apply(update).is_err() {
            self.counters.book_faults += 1;
        }
        if update.flags & layout::BOOK_LAST == 0 {
            if traded {
                let (px, time_ns) = (update.price, update.transact_time_ns);
                self.trade_seen(update.instrument_id, px, time_ns, now_ns, log, outbox);
            }
            return Verdict::Accepted; // in the midst of an event the book may be crossed for a moment
        }
        instrument.set_reference_time(now_ns);
        let (bid, ask) = (book.best_bid(), book.best_ask());
        let (bid_px, ask_px) =
            (bid.map_or(NO_PRICE, |l| l.price), ask.map_or(NO_PRICE, |l| l.price));
        (instrument.bid_qty, instrument.ask_qty) =
            (bid.map_or(0, |l| l.qty), ask.map_or(0, |l| l.qty));
        if (bid_px, ask_px) != (instrument.bid, instrument.ask) {
            instrument.set_reference(bid_px, ask_px);
        }
        let time_ns = update.transact_time_ns;
        if traded {
            self.trade_seen(update.instrument_id, update.price, time_ns, now_ns, log, outbox);
        }
        self.quote_seen(update.instrument_id, time_ns, now_ns, log, outbox);
        Verdict::Accepted
    }

    fn take_quote<L: Log, O: Outbox>(
        &mut self,
        quote: &Quote,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) -> Verdict {
        self.counters.market_data += 1;
        let id = quote.instrument_id as usize;
        if id == 0 || id >= self.instruments.len() {
            return Verdict::InstrumentUnknown;
        }
        let instrument = &mut self.instruments[id];
        instrument.set_reference_time(now_ns);
        (instrument.bid_qty, instrument.ask_qty) = (quote.bid_qty, quote.ask_qty);
        instrument.set_reference(quote.bid_px, quote.ask_px);
        self.quote_seen(quote.instrument_id, quote.transact_time_ns, now_ns, log, outbox);
        Verdict::Accepted
    }

    // The host's own facts ------------------------------------------------------------------------

    /// A day opened or closed; what rests over days is judged again when one opens.
    fn step_day<L: Log, O: Outbox>(
        &mut self,
        e: &DayChange,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) -> Verdict {
        let verdict = self.step_fact(e.as_record(), now_ns, log);
        let judged = verdict == Verdict::Accepted && self.days[e.venue_id as usize] == DAY_OPEN;
        if judged && e.opened != 0 {
            self.recheck_resting(e.venue_id, now_ns, log, outbox);
        }
        verdict
    }

    /// A link went up or down. A day that opened while it was down is caught up with.
    fn step_link<L: Log, O: Outbox>(
        &mut self,
        e: &LinkChange,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) -> Verdict {
        let verdict = self.check_fact(e.as_record());
        if verdict != Verdict::Accepted {
            return verdict;
        }
        let unjudged = self.days[e.venue_id as usize] == DAY_UNJUDGED;
        let verdict = self.step_fact(e.as_record(), now_ns, log);
        if unjudged && self.days[e.venue_id as usize] == DAY_OPEN {
            self.recheck_resting(e.venue_id, now_ns, log, outbox);
        }
        verdict
    }

    /// Logs a fact as it is, once its numbers are known to fit.
    fn step_fact<L: Log>(&mut self, input: &Record, now_ns: i64, log: &mut L) -> Verdict {
        let verdict = self.check_fact(input);
        if verdict != Verdict::Accepted {
            return verdict;
        }
        *log.slot(0) = *input;
        let slot = log.slot(0);
        slot.header = header(input.header.kind, input.header.order_seq, now_ns);
        self.commit(log, 1);
        Verdict::Accepted
    }

    fn check_fact(&self, input: &Record) -> Verdict {
        let ok = |good: bool| if good { Verdict::Accepted } else { Verdict::DefinitionInvalid };
        let within = |id: usize, max: usize| id < max;
        let venue = |id: u16| id != 0 && within(id as usize, self.venues.len());
        let c = &self.config;
        match input.header.kind {
            Control::KIND => {
                let e: &Control = typed(input);
                let max = match layout::Scope::from_code(e.scope) {
                    Some(layout::Scope::Desk) => 1,
                    Some(layout::Scope::Account) => c.accounts_max,
                    Some(layout::Scope::Instrument) => c.instruments_max,
                    Some(layout::Scope::Venue) => c.venues_max,
                    Some(layout::Scope::Session) => c.sessions_max,
                    Some(layout::Scope::Strategy) => c.strategies_max,
                    _ => 0,
                };
                ok(within(e.target_id as usize, max) && KillMode::from_code(e.mode).is_some())
            }
            LinkChange::KIND => {
                let e: &LinkChange = typed(input);
                ok(venue(e.venue_id) && LinkState::from_code(e.state).is_some())
            }
            PhaseChange::KIND => {
                let e: &PhaseChange = typed(input);
                ok(venue(e.venue_id)
                    && within(e.instrument_id as usize, c.instruments_max)
                    && layout::Phase::from_code(e.phase).is_some())
            }
            DayChange::KIND => ok(venue(typed::<DayChange>(input).venue_id)),
            EpochStarted::KIND => {
                let epoch = typed::<EpochStarted>(input).epoch;
                ok(epoch > self.epoch && epoch <= street::EPOCH_MAX as u64)
            }
            InstrumentTerms::KIND => {
                let e: &InstrumentTerms = typed(input);
                ok(within(e.instrument_id as usize, c.instruments_max)
                    && self.instruments[e.instrument_id as usize].defined != 0
                    && venue(e.venue_id)
                    && within(e.currency_id as usize, c.currencies_max)
                    && e.tick > 0
                    && e.lot > 0
                    && e.qty_min > 0
                    && e.qty_max >= e.qty_min
                    && e.contract_multiplier > 0
                    && e.band >= 0)
            }
            LimitRow::KIND => ok(self.limit_row_fits(typed(input))),
            LimitsActivated::KIND => {
                ok(typed::<LimitsActivated>(input).limits_version > self.limits_version)
            }
            Rate::KIND => {
                let e: &Rate = typed(input);
                ok(e.currency_id != 0
                    && within(e.currency_id as usize, c.currencies_max)
                    && e.rate > 0)
            }
            PositionAdjusted::KIND => ok(self.adjustment_fits(typed(input))),
            LegAdjusted::KIND => ok(self.leg_adjustment_fits(typed(input))),
            OutcomeUnknown::KIND => {
                let order = self.order(input.header.order_seq);
                ok(order.is_some_and(|o| {
                    crate::order::transition(o.ord_status(), crate::order::Trigger::OutcomeLost)
                        .is_some()
                        && o.flight & crate::order::UNSURE == 0
                        && !o.is_vacant()
                }))
            }
            DroppedUnsent::KIND => {
                let e: &DroppedUnsent = typed(input);
                let of_no_order = [MsgType::OrderStatus as u8, MsgType::MassCancel as u8];
                ok(of_no_order.contains(&e.msg_type) || self.drop_action(e).is_some())
            }
            DeskState::KIND | TailCut::KIND | ClockAnomaly::KIND | layout::Approval::KIND => {
                Verdict::Accepted
            }
            _ => Verdict::CommandMalformed,
        }
    }

    /// Gives a name its number, once; the log's map wins over the order of a file.
    fn step_definition<L: Log>(&mut self, c: &Definition, now_ns: i64, log: &mut L) -> Verdict {
        let Some(entity) = Entity::from_code(c.entity) else { return Verdict::DefinitionInvalid };
        let clean = matches!(arch::printable_len(&c.name), Some(1..=36)) && !c.name.contains(&b' ');
        if !clean {
            return Verdict::NameMalformed;
        }
        let max = match entity {
            Entity::Account => self.config.accounts_max,
            Entity::Instrument => self.config.instruments_max,
            Entity::Venue => self.config.venues_max,
            Entity::Session => self.config.sessions_max,
            Entity::Strategy => self.config.strategies_max,
            Entity::Trader => self.config.traders_max,
            Entity::Currency => self.config.currencies_max,
            Entity::Sector => self.config.sectors_max,
            Entity::Person => return Verdict::DefinitionInvalid,
        };
        let known = self.definition(entity, &c.name).copied();
        let parents_known = match entity {
            Entity::Account | Entity::Session | Entity::Venue => {
                (c.parent_id as usize) < self.config.accounts_max
            }
            _ => true,
        };
        let rule = entity != Entity::Venue
            || (layout::ReplaceRule::from_code(c.level).is_some()
                && layout::QueueRule::from_code(c.queue_rule).is_some());
        let tree = entity != Entity::Account
            || parents_known && self.bounds.takes_parent(known.map(|d| d.id), c.parent_id);
        if !parents_known || !rule || !tree {
            return Verdict::DefinitionInvalid;
        }
        if entity == Entity::Account {
            let verdict = self.judge_mode(known.map(|d| d.id), c.flags);
            if verdict != Verdict::Accepted {
                return verdict;
            }
        }
        let id = known.map_or(self.counts[entity as usize] + 1, |d| d.id);
        if id as usize >= max {
            return Verdict::DefinitionTableFull;
        }
        let mut event = *c;
        event.header = Header::ZERO;
        (event.id, event.command_seq) = (id, 0);
        if let Some(mut old) = known {
            (old.header, old.command_seq) = (Header::ZERO, 0);
            if old == event {
                return Verdict::Accepted; // told before: nothing happened
            }
        }
        event.header = header(Definition::KIND, 0, now_ns);
        event.command_seq = c.header.event_seq as u32;
        put(log, 0, event);
        self.commit(log, 1);
        Verdict::Accepted
    }
}

/// What a refused cancel or replace is told by.
pub(crate) struct Change {
    cl_ord_id: [u8; 36],
    session_id: u16,
    price: i64,
    order_qty: i64,
    command_seq: u32,
    kind: u16,
}

impl Change {
    pub(crate) fn of(
        header: &Header,
        cl_ord_id: &[u8; 36],
        session_id: u16,
        price: i64,
        order_qty: i64,
    ) -> Self {
        let (command_seq, kind) = (header.event_seq as u32, header.kind);
        Self { cl_ord_id: *cl_ord_id, session_id, price, order_qty, command_seq, kind }
    }
}

/// A record whose kind was matched.
#[inline(always)]
fn typed<T: Typed>(record: &Record) -> &T {
    T::from_record(record).expect("the kind was matched")
}
