//! The only mutator: folds one logged record into the state. Live and in replay alike, so it never
//! judges: what was decided stands in the record. Asserts are on in release; they are about our own
//! sums and our own log, never about what a venue said.

use crate::bounds::{SUMS, Scopes};
use crate::day::{DAY_OPEN, DAY_UNJUDGED};
use crate::dedup::{Entry, IdRow, id_hash};
use crate::number::{Divisor, Factor};
use crate::order::{
    Action, BREAKS, CANCEL_ASKED, CANCELING, DIFFERS, Exposure, MOVING, Order, QUERIED, REPLACING,
    Trigger, UNSENT, UNSURE, VACANT, closed, set_aside,
};
use crate::plain::Plan;
use crate::report::{
    aside, ended_otherwise, is_told_anew, reason_of, renews, restated, revision_of, was_replaced,
};
use crate::risk::{Weight, side_index, stops_orders};
use crate::slices::names_present;
use crate::{Engine, fills, number, position};
use arch::mutant;
use layout::{
    Annotation, CancelAccepted, ChangeRefused, CommandRepeated, Control, DayChange, Definition,
    DeskState, Disposition, DroppedUnsent, Entity, EpochStarted, ExecRef, ExecType,
    ExecutionReport, ForeignOrder, GroupFlagged, Header, InstrumentTerms, LegAdjusted, LimitRow,
    LimitsActivated, LinkChange, MassCancel, Moved, MsgType, OrdStatus, OrderAccepted,
    OrderRefused, OrderTerms, OutcomeUnknown, OwnCause, PhaseChange, PositionAdjusted,
    PositionSplit, Rate, Record, Refusal, ReplaceAccepted, ReplaceRule, ReportText,
    RestatementReason, Routed, Scope, Side, TrailMoved, Triggered, Typed, Verdict,
};

/// What an order is asked about as DIFFERS besides its sums (no sum is such a word): a change was
/// refused because it has ended.
const ENDED_THERE: i64 = i64::MIN;
/// A bust that was told anew says that the venue works again what had ended.
const WORKS_THERE: i64 = i64::MIN + 2;

/// A fill as it moves the position.
#[derive(Clone, Copy)]
pub(crate) struct Filled {
    pub(crate) qty: i64,
    pub(crate) px: i64,
    pub(crate) fee: i64,
}

impl Engine {
    /// Folds the next record of the log. Panics when `record` is not the next one, or when it says
    /// what the transition table has no row for: a log that this engine did not write.
    #[inline]
    pub fn apply(&mut self, record: &Record) {
        self.take_header(&record.header);
        macro_rules! view {
            ($ty:ty) => {
                <$ty>::from_record(record).expect("the kind was matched")
            };
        }
        match record.header.kind {
            OrderAccepted::KIND => return self.apply_accepted(view!(OrderAccepted)),
            Routed::KIND => return self.apply_routed(view!(Routed)),
            ExecutionReport::KIND => return self.apply_report(view!(ExecutionReport)),
            ExecRef::KIND => return self.exec_ref = Some(*view!(ExecRef)),
            ForeignOrder::KIND => return self.fold_foreign(view!(ForeignOrder)),
            CancelAccepted::KIND => return self.apply_cancel(view!(CancelAccepted)),
            ReplaceAccepted::KIND => return self.apply_replace(view!(ReplaceAccepted)),
            OrderTerms::KIND => return self.apply_terms(view!(OrderTerms)),
            OrderRefused::KIND => return self.apply_order_refused(view!(OrderRefused)),
            ChangeRefused::KIND => return self.apply_change_refused(view!(ChangeRefused)),
            CommandRepeated::KIND => return assert!(view!(CommandRepeated).session_id != 0),
            MassCancel::KIND => return self.apply_mass_cancel(view!(MassCancel)),
            DroppedUnsent::KIND => return self.apply_dropped(view!(DroppedUnsent)),
            OutcomeUnknown::KIND => return self.apply_outcome_unknown(view!(OutcomeUnknown)),
            Triggered::KIND => return self.apply_triggered(view!(Triggered)),
            TrailMoved::KIND => return self.apply_trail_moved(view!(TrailMoved)),
            Moved::KIND => return self.apply_moved(view!(Moved)),
            GroupFlagged::KIND => return self.apply_group_flagged(view!(GroupFlagged)),
            PositionSplit::KIND => return self.check_split(view!(PositionSplit)),
            // Staged beside what is in force: it opens and closes nothing.
            LimitRow::KIND => return self.apply_limit_row(view!(LimitRow)),
            // Facts for readers that come often; the rarer ones are told apart below.
            Refusal::KIND | ReportText::KIND | Annotation::KIND => return,
            _ => {}
        }
        // Whatever is rarer may open or close something for whole pairs: all are looked at again.
        self.reopen();
        match record.header.kind {
            Control::KIND => {
                self.apply_control(view!(Control));
                self.retry_all();
            }
            LinkChange::KIND => {
                self.apply_link(view!(LinkChange));
                self.retry_all();
            }
            PhaseChange::KIND => self.apply_phase(view!(PhaseChange)),
            DayChange::KIND => self.fold_day(view!(DayChange)),
            DeskState::KIND => {
                self.recovering = view!(DeskState).recovering;
                self.retry_all();
            }
            EpochStarted::KIND => {
                self.epoch = view!(EpochStarted).epoch;
                self.silence.begin(self.next_order_seq);
                self.limits.forget_staged();
                mutant!(ids_forgotten_at_restart => while !self.dedup.is_empty() {
                    self.dedup.forget_oldest();
                });
                self.purge_fills(u64::MAX);
            }
            Definition::KIND => self.apply_definition(view!(Definition)),
            InstrumentTerms::KIND => self.apply_instrument(view!(InstrumentTerms)),
            LimitsActivated::KIND => self.apply_limits(view!(LimitsActivated).limits_version),
            Rate::KIND => self.apply_rate(view!(Rate)),
            PositionAdjusted::KIND => {
                let e: &PositionAdjusted = view!(PositionAdjusted);
                let chain = self.pair(e.account_id, e.instrument_id);
                self.apply_adjusted(chain, e.net_qty, e.price);
            }
            LegAdjusted::KIND => {
                let e: &LegAdjusted = view!(LegAdjusted);
                let chain = self.chain_of_leg(e).expect("judged before it was logged");
                self.apply_adjusted(chain, e.net_qty, e.price);
            }
            // Facts for readers: tail_cut, clock_anomaly, approvals.
            _ => {}
        }
        mutant!(recovering_desk_trades => self.recovering = 0);
    }

    #[inline(always)]
    pub(crate) fn take_header(&mut self, header: &Header) {
        assert!(header.event_seq == self.event_seq + 1);
        self.event_seq = header.event_seq;
        self.time_ns = self.time_ns.max(header.ingest_time_ns);
    }

    // Ids -----------------------------------------------------------------------------------------

    /// Takes an id and forgets up to two that are old enough.
    #[inline(always)]
    fn take_id(&mut self, hash: u64, row: IdRow, mut free: Option<Entry>) -> u32 {
        let before = row.time_ns.saturating_sub(self.config.id_ttl_ns);
        for _ in 0..2 {
            let Some(oldest) = self.dedup.oldest_before(before) else { break };
            if self.forget_or_renew(oldest, row.time_ns) {
                free = None; // what was renewed may have taken it
            }
        }
        match free {
            Some(entry) => self.dedup.insert_at(entry, hash, row),
            None => self.take_id_anywhere(hash, row),
        }
    }

    /// Forgets the oldest id, or moves one that still counts to the newest place; says if it moved.
    #[inline(never)]
    fn forget_or_renew(&mut self, oldest: u32, time_ns: i64) -> bool {
        if self.dedup.row(oldest).session_id == 0 || self.id_expired(oldest, time_ns) {
            self.dedup.forget_oldest();
            return false;
        }
        let order_seq = self.dedup.row(oldest).order_seq;
        let moved = self.dedup.renew_oldest(time_ns);
        let slot = self.slot(order_seq);
        let order = &mut self.orders[slot];
        if order.order_seq == order_seq {
            order.id_row = if order.id_row == oldest { moved } else { order.id_row };
            order.replace_id_row =
                if order.replace_id_row == oldest { moved } else { order.replace_id_row };
        }
        true
    }

    #[inline(never)]
    fn take_id_anywhere(&mut self, hash: u64, row: IdRow) -> u32 {
        if let Some(expired) = self.dedup.find(hash, row.session_id, &row.cl_ord_id) {
            assert!(self.id_expired(expired, row.time_ns));
            self.dedup.forget(expired);
        }
        self.dedup.insert(hash, row)
    }

    /// Takes the id of an event: its order is the header's, 0 for a refusal without one.
    #[inline]
    pub(crate) fn take_id_of(
        &mut self,
        header: &Header,
        cl_ord_id: &[u8; 36],
        session_id: u16,
        verdict: u16,
        body_hash: u64,
    ) -> u32 {
        let (order_seq, time_ns) = (header.order_seq, header.ingest_time_ns);
        let (hash, cl_ord_id) = (id_hash(cl_ord_id, session_id), *cl_ord_id);
        let row = IdRow { cl_ord_id, session_id, verdict, order_seq, time_ns, body_hash };
        self.take_id(hash, row, self.dedup.free_entry(hash))
    }

    /// A refusal behind the duplicate check takes its id; one before it does not (DESIGN §7).
    fn refusal_takes_id(verdict: u16) -> bool {
        mutant!(refusal_takes_no_id => return false);
        verdict > Verdict::IdTableFull.code()
    }

    // Orders --------------------------------------------------------------------------------------

    fn apply_accepted(&mut self, e: &OrderAccepted) {
        let id_hash = id_hash(&e.cl_ord_id, e.session_id);
        let row = &self.rows[self.pair(e.account_id, e.instrument_id)];
        let factor = &self.instruments[e.instrument_id as usize].factor;
        let buy = e.side == Side::Buy as u8;
        let points = crate::number::points(e.price, e.order_qty).abs();
        let mut weight = row.weigh(factor, side_index(buy), points);
        let entry = self.dedup.free_entry(id_hash);
        if !self.hedges(e.account_id) {
            return self.fold_accepted(e, &Plan { id_hash, entry, points, weight });
        }
        let (pair, of) = ((e.account_id, e.instrument_id), (buy, e.tags));
        let (was, is) = self.gross_apart(pair.0, pair.1, of, points);
        weight.gross = factor.micro(is) - factor.micro(was);
        self.fold_accepted(e, &Plan { id_hash, entry, points, weight });
        if e.tags & layout::TAG_PARENT == 0 {
            self.reserve_leg(pair, of, Exposure { qty: e.order_qty, points });
        }
    }

    /// Folds an accepted order; `plan` holds nothing but what the event and the state say.
    #[inline(always)]
    pub(crate) fn fold_accepted(&mut self, e: &OrderAccepted, plan: &Plan) {
        let slot = self.slot(e.header.order_seq);
        let time_ns = e.header.ingest_time_ns;
        assert!(e.header.order_seq >= self.next_order_seq);
        assert!(e.order_qty > 0);
        let id = IdRow {
            cl_ord_id: e.cl_ord_id,
            session_id: e.session_id,
            verdict: 0,
            order_seq: e.header.order_seq,
            time_ns,
            body_hash: e.body_hash,
        };
        let id_row = self.take_id(plan.id_hash, id, plan.entry);
        self.next_order_seq = e.header.order_seq + 1;
        let parent = e.tags & layout::TAG_PARENT != 0;
        let epoch = self.epoch as u32;
        if self.orders[slot].flight & BREAKS != 0 {
            self.forget_breaks(slot, BREAKS);
        }
        let order = &mut self.orders[slot];
        assert!(!order.live());
        *order = Order {
            order_seq: e.header.order_seq,
            price: e.price,
            order_qty: e.order_qty,
            instrument_id: e.instrument_id,
            account_id: e.account_id,
            base: if parent { OrdStatus::New } else { OrdStatus::PendingNew } as u8,
            side: e.side,
            ord_type: e.ord_type,
            time_in_force: e.time_in_force,
            tags: e.tags,
            venue_id: e.venue_id,
            epoch,
            id_row,
            session_id: e.session_id,
            strategy_id: e.strategy_id,
            ..Order::default()
        };
        arch::prefetch_write(&self.orders[self.slot(self.next_order_seq + 1)]);
        self.live[slot / 64] |= 1 << (slot % 64);
        self.live_count += 1;
        if !parent {
            let (side, pair) =
                (side_index(e.side == Side::Buy as u8), self.pair(e.account_id, e.instrument_id));
            self.reserve(pair, e.account_id, side, e.order_qty, plan.points, &plan.weight);
        }
        self.count_send(e.account_id, e.session_id, time_ns);
        if self.bounds.kinds | e.trader_id as u32 != 0 {
            self.remember_order(e);
            self.count_rates_of(&Scopes::of_event(e), time_ns);
        }
    }

    /// Moves what is open on one side of a row, and with it the sums of its account.
    #[inline(always)]
    pub(crate) fn reserve(
        &mut self,
        pair: usize,
        account_id: u32,
        side: usize,
        qty: i64,
        points: i128,
        weight: &Weight,
    ) {
        let row = &mut self.rows[pair];
        let (open_qty, open) = (&mut row.open_qty[side & 1], &mut row.open[side & 1]);
        // Saturating: two extreme orders must not wrap into room; every net limit is below OPEN_MAX.
        *open_qty = open_qty.saturating_add(qty);
        *open += points;
        assert!(*open_qty >= 0);
        assert!(*open >= 0);
        let account = &mut self.accounts[account_id as usize];
        account.worst[side & 1] += weight.side;
        account.gross += weight.gross;
        if self.bounds.kinds & SUMS != 0 {
            let (_, instrument_id) = self.ids_of(pair);
            self.recount(account_id, instrument_id);
        }
    }

    /// One more order-creating or order-changing message in every window it counts for.
    #[inline(always)]
    fn count_send(&mut self, account_id: u32, session_id: u16, time_ns: i64) {
        let cap = self.config.throttle_orders_max;
        let (a, s) = (account_id as usize, session_id as usize);
        self.accounts[a].throttle.count(&mut self.account_sends, a * cap, cap, time_ns);
        self.sessions[s].throttle.count(&mut self.session_sends, s * cap, cap, time_ns);
    }

    fn apply_terms(&mut self, e: &OrderTerms) {
        let slot = self.slot(e.header.order_seq);
        assert!(self.orders[slot].order_seq == e.header.order_seq);
        if self.orders[slot].tags & layout::TAG_TERMS != 0 {
            self.enter_terms(e);
        }
        if e.parent_order_seq == 0 {
            return;
        }
        self.orders[slot].parent_order_seq = e.parent_order_seq;
        let parent = self.slot(e.parent_order_seq);
        assert!(self.orders[parent].order_seq == e.parent_order_seq);
        self.orders[parent].children_qty += self.orders[slot].order_qty;
        assert!(self.orders[parent].children_qty <= self.orders[parent].order_qty); // I10
    }

    #[inline(always)]
    pub(crate) fn apply_routed(&mut self, e: &Routed) {
        let venue = &mut self.venues[e.venue_id as usize];
        assert!(e.link_seq == venue.link_seq_out + 1);
        venue.link_seq_out = e.link_seq;
        // A new order's own message is revision 0 and asks nothing.
        if e.header.order_seq != 0 && e.msg_type != MsgType::NewOrder as u8 {
            let slot = self.slot(e.header.order_seq);
            self.orders[slot].revision_last = self.orders[slot].revision_last.max(e.revision);
            if e.msg_type == MsgType::OrderStatus as u8 {
                self.queries.retain(|&order_seq| order_seq != e.header.order_seq);
            } else {
                self.silence.sent(e.header.order_seq, e.revision, e.header.ingest_time_ns);
            }
            if e.msg_type == MsgType::Cancel as u8 {
                self.pace.sent(e.venue_id, e.header.ingest_time_ns);
            }
        }
    }

    fn apply_cancel(&mut self, e: &CancelAccepted) {
        let slot = self.slot(e.header.order_seq);
        assert!(self.orders[slot].order_seq == e.header.order_seq);
        assert!(self.orders[slot].live());
        if e.session_id != 0 {
            self.take_id_of(&e.header, &e.cl_ord_id, e.session_id, 0, e.body_hash);
        }
        if e.closed != 0 {
            self.unask(slot);
            let time_ns = e.header.ingest_time_ns;
            let (trigger, action, base) = match e.closed {
                1 => (Trigger::CanceledHere, Action::Cancel, OrdStatus::Canceled),
                _ if e.why == OwnCause::DayEnd as u8 => {
                    (Trigger::DayClosed, Action::Expire, OrdStatus::Expired)
                }
                _ => (Trigger::ExpiredHere, Action::Expire, OrdStatus::Expired),
            };
            self.expect(slot, trigger, 0, action);
            self.change(slot, time_ns, None, |order| order.base = ended(order, base));
            mutant!(parent_cancel_spares_children => return);
            self.ask_cancels(|order| order.parent_order_seq == e.header.order_seq);
            return;
        }
        self.expect(slot, Trigger::CancelSent, e.revision, Action::BeginCancel);
        self.change(slot, e.header.ingest_time_ns, None, |order| {
            order.flight |= CANCELING;
            order.cancel_revision = e.revision;
        });
        if e.session_id == 0 && self.orders[slot].flight & CANCEL_ASKED != 0 {
            self.repeats.count(slot);
        }
        if e.why == OwnCause::Expiry as u8 {
            self.fold_expiry(e.header.order_seq, e.revision, e.header.ingest_time_ns);
        }
    }

    fn apply_replace(&mut self, e: &ReplaceAccepted) {
        let slot = self.slot(e.header.order_seq);
        assert!(self.orders[slot].order_seq == e.header.order_seq);
        let time_ns = e.header.ingest_time_ns;
        // The desk's own replace has no id: the order keeps the one it has.
        let id_row = match e.session_id {
            0 => self.orders[slot].id_row,
            session_id => self.take_id_of(&e.header, &e.cl_ord_id, session_id, 0, e.body_hash),
        };
        self.grown(e.header.order_seq);
        if e.why == OwnCause::Peg as u8 {
            let terms = self.terms_mut(e.header.order_seq).expect("pegged by them");
            terms.pegged_ns = time_ns;
        }
        if self.orders[slot].is_parent() {
            let order = &mut self.orders[slot];
            (order.price, order.order_qty, order.id_row) = (e.price, e.order_qty, id_row);
            assert!(order.children_qty <= order.order_qty);
            assert!(order.cum_qty < order.order_qty); // a replace to what is filled is refused
        } else if e.held != 0 {
            self.apply_held_replace(e, id_row);
        } else {
            self.expect(slot, Trigger::ReplaceSent, e.revision, Action::BeginReplace);
            self.change(slot, time_ns, None, |order| {
                order.flight |= if e.by_cancel != 0 { REPLACING | MOVING } else { REPLACING };
                (order.replace_revision, order.replace_id_row) = (e.revision, id_row);
                (order.pending_price, order.pending_qty) = (e.price, e.order_qty);
                mutant!(new_id_shown_early => order.id_row = id_row);
            });
        }
        let of = self.scopes_of(&self.orders[slot]);
        self.count_send(of.account_id, of.session_id, time_ns);
        self.count_rates_of(&of, time_ns);
    }

    /// The table's word on what our own event says: a log that disagrees is not ours.
    pub(crate) fn expect(&self, slot: usize, trigger: Trigger, revision: u16, action: Action) {
        assert!(self.action(&self.orders[slot], trigger, revision) == Some(action));
    }

    fn apply_order_refused(&mut self, e: &OrderRefused) {
        if Self::refusal_takes_id(e.verdict) {
            self.take_id_of(&e.header, &e.cl_ord_id, e.session_id, e.verdict, e.body_hash);
        }
    }

    fn apply_change_refused(&mut self, e: &ChangeRefused) {
        if Self::refusal_takes_id(e.verdict) {
            self.take_id_of(&e.header, &e.cl_ord_id, e.session_id, e.verdict, e.body_hash);
        }
    }

    // Mass cancel and kill -----------------------------------------------------------------------

    /// Marks live orders for a cancel; the sweep of the pipeline sends them. Part of the state, so an
    /// interrupted sweep goes on after a restart.
    pub(crate) fn ask_cancels(&mut self, wanted: impl Fn(&Order) -> bool) -> u32 {
        let mut matched = 0;
        for word in 0..self.live.len() {
            let mut bits = self.live[word];
            while bits != 0 {
                let slot = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let order = &mut self.orders[slot];
                if !wanted(order) {
                    continue;
                }
                matched += 1;
                mutant!(held_order_survives_kill => if order.is_here() { continue });
                if order.flight & CANCEL_ASKED == 0 {
                    let (held, order_seq) = (order.base == OrdStatus::Held as u8, order.order_seq);
                    self.want_cancel(slot);
                    if held {
                        self.disarm(order_seq); // no price releases it any more
                    }
                } else {
                    self.hurry(slot); // who asks again has it tried at once
                }
            }
        }
        matched
    }

    /// Wants a live order canceled, until it has ended. Where a cancel is in flight the sweep sends
    /// another only when that one is refused or never left, each time after a longer wait.
    pub(crate) fn want_cancel(&mut self, slot: usize) {
        let order = &mut self.orders[slot];
        let was_asked = order.is_asked();
        mutant!(want_forgotten_behind_a_cancel => if order.flight & CANCELING != 0 { return });
        order.flight |= CANCEL_ASKED;
        self.asked_count += u64::from(order.is_asked() && !was_asked);
        self.hurry(slot);
    }

    fn unask(&mut self, slot: usize) {
        self.asked_count -= u64::from(self.orders[slot].is_asked());
        self.orders[slot].flight &= !CANCEL_ASKED;
        self.to_cancel.clear(slot);
        self.pace.forget(self.orders[slot].venue_id, slot);
        self.repeats.forget(slot);
    }

    fn apply_mass_cancel(&mut self, e: &MassCancel) {
        if Self::refusal_takes_id(e.verdict) || e.verdict == 0 {
            self.take_id_of(&e.header, &e.cl_ord_id, e.session_id, e.verdict, e.body_hash);
        }
        if e.verdict == 0 {
            let entitled = self.sessions[e.session_id as usize].account_id;
            let wanted = *e;
            let matched = self.ask_cancels(|order| mass_cancel_matches(&wanted, entitled, order));
            assert!(matched == e.matched);
        }
    }

    fn apply_control(&mut self, e: &Control) {
        self.control_epoch = self.control_epoch.max(e.control_epoch);
        let id = e.target_id as usize;
        let scope = Scope::from_code(e.scope).unwrap_or(Scope::Desk);
        match scope {
            Scope::Account => self.accounts[id].mode = e.mode,
            Scope::Instrument => self.instruments[id].mode = e.mode,
            Scope::Venue => self.venues[id].mode = e.mode,
            Scope::Session => self.sessions[id].mode = e.mode,
            Scope::Strategy => self.strategies[id].mode = e.mode,
            // Whatever is not understood stops the desk.
            _ => self.desk_mode = e.mode,
        }
        if stops_orders(e.mode) {
            self.pace.owe_mass(scope, e.target_id);
            self.ask_cancels(|order| match scope {
                Scope::Account => order.account_id as usize == id,
                Scope::Instrument => order.instrument_id as usize == id,
                Scope::Venue => order.venue_id as usize == id,
                Scope::Session => order.session_id as usize == id,
                Scope::Strategy => order.strategy_id as usize == id,
                _ => true,
            });
        }
    }

    fn apply_dropped(&mut self, e: &DroppedUnsent) {
        let slot = self.slot(e.header.order_seq);
        if e.header.order_seq == 0 || self.orders[slot].order_seq != e.header.order_seq {
            return;
        }
        if e.msg_type == MsgType::OrderStatus as u8 {
            return self.unask_breaks(slot);
        }
        let (action, revision) = self.drop_action(e).expect("checked before it was logged");
        self.act(slot, e.header.ingest_time_ns, action, revision, None);
    }

    /// What holding back this message does to its order; `None`: it cannot be held back any more.
    pub(crate) fn drop_action(&self, e: &DroppedUnsent) -> Option<(Action, u16)> {
        let order = self.order(e.header.order_seq)?;
        let (trigger, revision) = match MsgType::from_code(e.msg_type)? {
            MsgType::NewOrder
                if order.live()
                    && order.base != OrdStatus::PendingNew as u8
                    && order.flight & (MOVING | VACANT) != VACANT =>
            {
                return None;
            }
            MsgType::NewOrder => (Trigger::NewDropped, 0),
            MsgType::Replace => (Trigger::ReplaceDropped, order.replace_revision),
            MsgType::Cancel if order.flight & (CANCELING | MOVING) == MOVING => {
                (Trigger::ReplaceDropped, order.replace_revision)
            }
            MsgType::Cancel => (Trigger::CancelDropped, order.cancel_revision),
            _ => return None,
        };
        mutant!(dropped_order_keeps_its_reserve => return Some((Action::Stay, revision)));
        Some((self.action(order, trigger, revision)?, revision))
    }

    fn apply_outcome_unknown(&mut self, e: &OutcomeUnknown) {
        let slot = self.slot(e.header.order_seq);
        assert!(self.orders[slot].order_seq == e.header.order_seq);
        mutant!(unknown_outcome_ended => return self.act(slot, 0, Action::Cancel, 0, None));
        self.expect(slot, Trigger::OutcomeLost, 0, Action::Doubt);
        self.act(slot, e.header.ingest_time_ns, Action::Doubt, 0, None);
    }

    // Reports -------------------------------------------------------------------------------------

    #[inline]
    fn apply_report(&mut self, e: &ExecutionReport) {
        if e.link_seq != 0 && (e.venue_id as usize) < self.venues.len() {
            let venue = &mut self.venues[e.venue_id as usize];
            venue.link_seq_in = venue.link_seq_in.max(e.link_seq);
        }
        let ids = if self.exec_ref.is_some() { self.exec_ref.take() } else { None };
        let disposition = Disposition::from_code(e.disposition).unwrap_or(Disposition::Malformed);
        match disposition {
            Disposition::Applied
            | Disposition::Late
            | Disposition::Overfill
            | Disposition::MoveLost => {
                self.apply_booked(e, ids.as_ref());
            }
            Disposition::Reconciled => self.apply_reconciled(e, ids.as_ref()),
            Disposition::Gap | Disposition::Stale | Disposition::Conflict => {}
            // What is known already says how the sums were then: after a bust they are less now.
            _ => return,
        }
        self.compare_sums(e);
        if asks_for_the_end(e) || e.exec_type == ExecType::OrderStatus as u8 {
            self.compare_lives(e);
        }
        let avg_px = ids.map_or(0, |ids| ids.avg_px);
        if avg_px != 0 || e.flags & layout::REPORT_QUERIED != 0 {
            self.compare_words(e, avg_px);
        }
    }

    #[inline]
    fn apply_booked(&mut self, e: &ExecutionReport, ids: Option<&ExecRef>) {
        let exec_type = ExecType::from_code(e.exec_type).expect("judged before it was logged");
        let slot = self.slot(e.header.order_seq);
        if matches!(exec_type, ExecType::TradeCancel | ExecType::TradeCorrect) {
            return self.apply_amend(e, ids);
        }
        let order = &self.orders[slot];
        if order.order_seq != e.header.order_seq {
            return self.book_forgotten(e, ids);
        }
        let reason = reason_of(ids);
        let trigger =
            self.trigger_of(exec_type, order, e, reason).expect("judged before it was logged");
        let revision = revision_of(e, order.order_seq);
        let action = self.action(order, trigger, revision).expect("judged before it was logged");
        if exec_type != ExecType::Trade {
            return match action {
                Action::SetAside | Action::Renew | Action::Restate | Action::Calculate => {
                    self.act_on_word(slot, action, exec_type, e, reason);
                }
                // An answer that ends a doubt, or an ack that binds a new id, renews with it.
                Action::Resolve | Action::Replace
                    if exec_type != ExecType::Replaced && renews(order, e) =>
                {
                    self.act_on_word(slot, action, exec_type, e, reason);
                }
                Action::TakeUp => {
                    let before = *order;
                    self.take_up(slot, &before, e);
                }
                // The id that the venue does not know proves nothing of the replace that has it.
                Action::Reject if exec_type == ExecType::UnknownOrder => {
                    self.act(slot, e.header.ingest_time_ns, action, 0, None);
                }
                _ => self.act(slot, e.header.ingest_time_ns, action, revision, None),
            };
        }
        let (order, chain) = (*order, self.chain_of(order));
        let remembered = self.remember_fill(e, ids, &order, chain);
        self.counters.fills += 1;
        let fill = Filled { qty: e.last_qty, px: e.last_px, fee: e.fee };
        mutant!(overfill_clipped: fill = Filled {
            qty: fill.qty.min(self.orders[slot].leaves_qty()),
            ..fill
        });
        if !names_present(&order, e) {
            self.shift_slice(slot, e, fill.qty);
        }
        self.act(slot, e.header.ingest_time_ns, action, revision, Some(fill));
        if !remembered {
            let (net, cost) = self.book_of(chain);
            self.fills.close_chain(chain, net, cost);
        }
    }

    /// Whether the fill found room in the memory of fills.
    #[inline]
    pub(crate) fn remember_fill(
        &mut self,
        e: &ExecutionReport,
        ids: Option<&ExecRef>,
        order: &Order,
        chain: usize,
    ) -> bool {
        self.purge_fills(2);
        let signed = order.signed(e.last_qty);
        let (key, payload) = self.fill_key(e, e.header.order_seq);
        let today = self.today();
        let mut row = fills::FillRow::new(key, payload, chain, self.event_seq, today);
        (row.last_px, row.last_qty, row.fee, row.print) =
            (e.last_px, signed, e.fee, fills::print_of(e));
        row = row.with_parent(order.parent_order_seq);
        row.flags = if e.exec_id == [0; 16] { fills::SYNTHETIC } else { 0 };
        if e.flags & layout::REPORT_DROP_COPY != 0 {
            row.flags |= fills::COPY;
        }
        if ids.is_some_and(fills::names_match) {
            row.flags |= fills::NAMED;
        }
        if !names_present(order, e) {
            row.earlier = fills::NAMED_EARLIER;
        }
        let Some(at) = self.fills.book(row) else { return false };
        for exec_id in ids.iter().flat_map(|ids| fills::match_ids(ids)) {
            let key = fills::Key { exec_id, ..key };
            let alias = fills::FillRow::new(key, payload, chain, self.event_seq, today);
            self.fills.alias(at, alias, false);
        }
        true
    }

    /// UTC day of the last record folded: by our own clock, which rises.
    fn today(&self) -> u16 {
        const DAY: i64 = 86_400_000_000_000;
        (self.time_ns / DAY).clamp(0, u16::MAX as i64) as u16
    }

    /// Lets go of fills that are old enough, at most `most` of them.
    pub(crate) fn purge_fills(&mut self, most: u64) {
        let (today, orders, mask) = (self.today(), &self.orders, self.config.orders_max - 1);
        self.fills.purge(today, most, |order_seq| {
            let order = &orders[order_seq as usize & mask];
            order.order_seq == order_seq && order.live()
        });
    }

    /// The known fill gets its other id.
    #[cold]
    fn apply_reconciled(&mut self, e: &ExecutionReport, ids: Option<&ExecRef>) {
        let order =
            self.order_or_forgotten(e.header.order_seq).expect("judged before it was logged");
        let fill = self.reconciles(&order, e, ids);
        let fill = fill.expect("judged before it was logged");
        let (key, payload) = self.fill_key(e, e.header.order_seq);
        let chain = self.fills.row(fill).chain as usize;
        let alias = fills::FillRow::new(key, payload, chain, self.event_seq, self.today());
        self.fills.alias(fill, alias, true);
    }

    /// Undoes a fill or makes it another: order, money, position, limits. Works on the fill alone when
    /// the order is no longer remembered.
    #[cold]
    fn apply_amend(&mut self, e: &ExecutionReport, ids: Option<&ExecRef>) {
        let order_seq = e.header.order_seq;
        let fill = self.amended(order_seq, e, ids).expect("judged before it was logged");
        let side = self.fills.row(fill).last_qty.signum();
        let correct = e.exec_type == ExecType::TradeCorrect as u8;
        let new = correct.then_some((e.last_px, e.last_qty * side, e.fee));
        let old = self.fills.amend(fill, new);
        let (px, qty) = new.map_or((0, 0), |(px, qty, _)| (px, qty * side));
        let old_qty = old.last_qty * side;
        let more = number::points(px, qty) - number::points(old.last_px, old_qty);
        let slot = self.slot(order_seq);
        if self.orders[slot].order_seq != order_seq {
            let time_ns = e.header.ingest_time_ns;
            self.fill_parent_of(self.parent_of(&old), qty - old_qty, more, time_ns);
        } else {
            let trigger = if correct { Trigger::Correct } else { Trigger::Bust };
            let action = self.action(&self.orders[slot], trigger, 0);
            let action = action.expect("judged before it was logged");
            let before = self.orders[slot];
            if old.earlier != 0 {
                self.shift_slice(slot, e, qty - old_qty); // by whatever id it is told
            }
            self.change(slot, e.header.ingest_time_ns, None, |order| {
                order.cum_qty += qty - old_qty;
                mutant!(correct_counts_twice => if correct { order.cum_qty += old_qty });
                order.cum_points += more;
                order.base = if !closed(order.base) {
                    complete_vacant(order);
                    by_fills(order)
                } else if order.cum_qty >= order.order_qty {
                    filled_or(order.base)
                } else if action == Action::AmendLate {
                    order.base
                } else if e.leaves_qty > 0 {
                    order.base = OrdStatus::New as u8;
                    by_fills(order)
                } else if e.ord_status == OrdStatus::Expired as u8 {
                    e.ord_status // it was over for the venue before, by its clock
                } else {
                    OrdStatus::Canceled as u8
                };
            });
            if self.works_again(&before, e) && self.orders[slot].unfilled_qty() > 0 {
                let anew = is_told_anew(e);
                mutant!(bust_told_anew_opens_what_ended: anew = false);
                if anew && ended_otherwise(&before) {
                    self.ask_once(slot, WORKS_THERE); // the order may have ended since
                } else {
                    self.take_up(slot, &before, e);
                }
            }
            if self.orders[slot].cum_qty == 0 && self.orders[slot].tags & layout::TAG_TERMS != 0 {
                self.undo_due(slot);
            }
        }
        let chain = old.chain as usize;
        let sizes = number::points(px, qty).abs() - number::points(old.last_px, old_qty).abs();
        self.retrade(&old, sizes);
        self.rebook(chain, (old.last_qty, old.last_px, old.fee), new);
        let now = self.fills.refold(chain);
        self.move_book(chain, now);
        // Its own id, so that a second copy is known as one.
        let (key, payload) = self.fill_key(e, order_seq);
        if e.exec_id != [0; 16] && self.fills.find(key).is_none() {
            let today = self.today();
            let payload = payload ^ fills::AMENDS;
            let alias = fills::FillRow::new(key, payload, chain, self.event_seq, today);
            self.fills.alias(fill, alias, false);
        }
    }

    /// The venue works again what was over for us, and before the report that says so the order stood so.
    /// What had only filled goes on as the part that is out. What had ended otherwise, or has another part
    /// out, is wanted no more: it is canceled, one part after the other as the venue tells of them.
    #[cold]
    fn take_up(&mut self, slot: usize, before: &Order, e: &ExecutionReport) {
        let revision = revision_of(e, before.order_seq);
        self.expect(slot, Trigger::OldWorks, revision, Action::TakeUp);
        let vacant = before.is_vacant();
        let next_part = vacant
            && before.replace_id_row == before.id_row
            && (before.pending_price, before.pending_qty) == (before.price, before.order_qty);
        let another = before.live() && !vacant;
        let by_parts = self.replace_rule(before) == ReplaceRule::CancelNew as u8;
        let queried = e.exec_type == ExecType::OrderStatus as u8;
        let cum_qty = self.orders[slot].cum_qty;
        if let Some(terms) = self.terms_mut(before.order_seq).filter(|t| t.is_sliced() && !another)
        {
            terms.slice_end = cum_qty.saturating_add(e.leaves_qty);
        }
        self.change(slot, e.header.ingest_time_ns, None, |order| {
            if next_part {
                order.end_replace();
            } else if vacant {
                order.flight &= !VACANT;
            }
            if by_parts && (!another || queried && order.flight & REPLACING == 0) {
                order.revision = revision;
            }
            if by_parts && !another {
                order.children_qty = 0; // its fills may be told before and after this: its own sum is no gap
            }
            if order.unfilled_qty() == 0 {
                order.order_qty = cum_qty.saturating_add(e.leaves_qty); // more than was wanted
            }
            if closed(order.base) {
                order.base = OrdStatus::New as u8;
            }
            order.base = by_fills(order);
        });
        // Parts are alike; what was before a replace has terms that nobody wants any more.
        let alike = revision == before.street_revision() || self.is_sliced(before);
        let only_filled = before.base == OrdStatus::Filled as u8 && !queried && alike;
        if !next_part && !only_filled && self.orders[slot].live() {
            self.want_cancel(slot);
        }
    }

    /// Writes the book of a chain that no live order moved, and carries it into its account's sums.
    pub(crate) fn move_book(&mut self, chain: usize, now: (i64, i128)) {
        let pair = self.pair_of(chain);
        let (account_id, instrument_id) = self.ids_of(pair);
        let old = self.row_sums(account_id, instrument_id);
        self.set_book(chain, now);
        let new = self.row_sums(account_id, instrument_id);
        let factor = self.instruments[instrument_id as usize].factor;
        self.move_sums((account_id, instrument_id), factor, old, new);
        if self.reducing_count != 0 {
            self.follow_reducing(account_id, instrument_id);
        }
    }

    /// What only the venue can say of an order, besides fills and ends.
    #[cold]
    fn act_on_word(
        &mut self,
        slot: usize,
        action: Action,
        exec_type: ExecType,
        e: &ExecutionReport,
        reason: RestatementReason,
    ) {
        let time_ns = e.header.ingest_time_ns;
        let before = self.filled_before(&self.orders[slot]);
        self.change(slot, time_ns, None, |order| match action {
            Action::SetAside => {
                order.base = aside(order, exec_type).0;
                order.end_time_ns = match e.transact_time_ns {
                    0 => time_ns,
                    told => told.max(order.end_time_ns),
                };
            }
            Action::Renew => renew(order, e.transact_time_ns),
            Action::Resolve => {
                renew(order, e.transact_time_ns);
                resolve(order, revision_of(e, order.order_seq));
            }
            Action::Replace => {
                renew(order, e.transact_time_ns);
                replace(order);
            }
            Action::Restate => *order = restated(order, e, reason, before),
            _ => order.base = OrdStatus::Calculated as u8,
        });
    }

    /// CumQty(14) only checks: what the venue counts beyond ours is a break, asked about once.
    #[inline]
    fn compare_sums(&mut self, e: &ExecutionReport) {
        let slot = self.slot(e.header.order_seq);
        let order = &self.orders[slot];
        if order.order_seq != e.header.order_seq {
            return;
        }
        let told = self.told_cum(order, e);
        if told > order.cum_qty || order.flight & QUERIED != 0 {
            self.mark_break(slot, e, told);
        }
    }

    /// An order whose sums agree, or that leaves its slot, is asked about these no more.
    #[cold]
    pub(crate) fn forget_breaks(&mut self, slot: usize, breaks: u8) {
        let forgotten = self.orders[slot].order_seq;
        if self.orders[slot].owes() {
            self.change(slot, self.time_ns, None, |order| order.flight &= !breaks);
        } else {
            self.orders[slot].flight &= !breaks;
        }
        if breaks & QUERIED != 0 {
            self.asked_qty[slot] = 0;
        }
        if breaks & DIFFERS != 0 {
            self.asked_word[slot] = 0;
        }
        if self.orders[slot].flight & BREAKS == 0 {
            self.queries.retain(|&order_seq| order_seq != forgotten);
        }
        self.retry(slot);
    }

    /// A question was held back and never left: the next report may ask it. What has ended while
    /// fills of it were missing has no next one: its question stays, for when something may let it
    /// go.
    #[cold]
    fn unask_breaks(&mut self, slot: usize) {
        if !self.orders[slot].owes() {
            return self.forget_breaks(slot, BREAKS);
        }
        let order_seq = self.orders[slot].order_seq;
        if !self.queries.contains(&order_seq) && self.queries.len() < self.queries.capacity() {
            self.queries.push(order_seq);
        }
    }

    /// Compares whether an order lives: a change that the venue refuses because the order has ended tells
    /// of an end that was lost, so it is asked about, and no cancel is sent for ever (CORNERS 14). Any
    /// answer is the end of such a question.
    #[cold]
    fn compare_lives(&mut self, e: &ExecutionReport) {
        let slot = self.slot(e.header.order_seq);
        let order = self.orders[slot];
        if order.order_seq != e.header.order_seq {
            return;
        }
        if e.exec_type == ExecType::OrderStatus as u8 {
            let asked = [ENDED_THERE, WORKS_THERE].contains(&self.asked_word[slot]);
            if asked && order.flight & DIFFERS != 0 && e.flags & layout::REPORT_POSS_DUP == 0 {
                self.forget_breaks(slot, DIFFERS);
            }
            return;
        }
        let (revision, rule) = (revision_of(e, order.order_seq), self.replace_rule(&order));
        let of_another = order.was(revision, rule) || order.was_before(revision, rule);
        if order.live() && !order.is_here() && !of_another {
            self.ask_once(slot, ENDED_THERE);
        }
    }

    /// Asks about a word of the venue that differs from what we have, once for each word.
    fn ask_once(&mut self, slot: usize, word: i64) {
        let order_seq = self.orders[slot].order_seq;
        let known = self.orders[slot].flight & DIFFERS != 0 && self.asked_word[slot] == word;
        if !known && self.queue_query(order_seq) {
            self.orders[slot].flight |= DIFFERS;
            self.asked_word[slot] = word;
            self.counters.flagged += 1;
        }
    }

    /// Whether the venue was asked if it works again what had ended here.
    pub(crate) fn may_work_again(&self, order: &Order) -> bool {
        let slot = self.slot(order.order_seq);
        let asked = order.flight & DIFFERS != 0 && self.asked_word[slot] == WORKS_THERE;
        asked && ended_otherwise(order) && order.unfilled_qty() > 0
    }

    /// Queues an order to be asked about; whether there was room.
    fn queue_query(&mut self, order_seq: u64) -> bool {
        let waits = self.queries.contains(&order_seq);
        let room = waits || self.queries.len() < self.queries.capacity();
        if room && !waits {
            self.queries.push(order_seq);
        }
        if room {
            self.to_ask = self.queries.len() as u64;
        }
        room
    }

    /// The venue counts this of an order, and fills of it are missing. Of one that has ended they
    /// stay reserved, as far as a sum can hold them.
    fn owe(&mut self, slot: usize, told: i64) {
        let order = &mut self.orders[slot];
        if !closed(order.base) {
            order.flight |= QUERIED;
            return;
        }
        let order = *order;
        let counted = match self.fits(&order, order.unfilled_qty(), 0) {
            true => told,
            false => order.cum_qty,
        };
        self.change(slot, self.time_ns, None, |order| {
            order.flight |= QUERIED;
            if order.owes() {
                order.pending_qty = counted;
            }
        });
    }

    /// An order has come to owe fills, or does no more.
    #[cold]
    fn follow_owing(&mut self, slot: usize, before: &Order) {
        let order = &mut self.orders[slot];
        if !order.owes() {
            self.owing_count -= 1;
            return;
        }
        self.owing_count += 1;
        order.replace_revision = 0; // its terms make room for the sum: no replace reopens it any more
        if before.flight & QUERIED != 0 {
            order.pending_qty = self.asked_qty[slot]; // it has ended since it was asked about
        }
    }

    /// Compares what else a venue says of its sums where they count the same fills as ours: an
    /// average price that is another than ours, and an answer to a query that counts less than we
    /// have, are breaks that are asked about, once for each word. Fills are never refused for it.
    #[cold]
    fn compare_words(&mut self, e: &ExecutionReport, avg_px: i64) {
        mutant!(average_of_the_venue_ignored => return);
        let slot = self.slot(e.header.order_seq);
        let order = &self.orders[slot];
        let older = revision_of(e, order.order_seq) < order.street_revision();
        if order.order_seq != e.header.order_seq || older {
            return;
        }
        // Where a replace makes a new order each counts its own fills.
        let rule = self.replace_rule(order);
        let apart = rule == ReplaceRule::CancelNew as u8 || rule == ReplaceRule::ModifyNew as u8;
        if apart && order.revision_last != 0 {
            return;
        }
        let (told, again) = (e.cum_qty, layout::REPORT_POSS_DUP | layout::REPORT_POSS_RESEND);
        let answers = e.exec_type == ExecType::OrderStatus as u8
            && e.flags & (again | layout::REPORT_QUERIED) == layout::REPORT_QUERIED
            && (told > 0 || e.leaves_qty > 0);
        let averages = avg_px != 0 && told > 0 && told == order.cum_qty;
        let differs = averages && self.average_differs(order, avg_px);
        let less = answers && told < order.cum_qty;
        if less || differs {
            let word = if less { told << 1 | 1 } else { avg_px << 1 };
            self.ask_once(slot, word);
        } else if order.flight & DIFFERS != 0
            && (averages || answers && told == order.cum_qty && self.asked_word[slot] & 1 != 0)
        {
            self.forget_breaks(slot, DIFFERS);
        }
    }

    /// Whether AvgPx(6) is another price than the average of our fills, beyond the dust of its
    /// rounding. A venue prints averages with the places of its prices or more, rounded or cut:
    /// what it says is within one unit of the last place that it shows, that of the tick or a finer
    /// one, and a whole at the most.
    fn average_differs(&self, order: &Order, avg_px: i64) -> bool {
        let tick = self.instruments[order.instrument_id as usize].tick.value;
        let ten = |unit: &i64| unit * 10;
        let places = std::iter::successors(Some(1i64), |unit| Some(ten(unit)))
            .take_while(|&unit| unit <= layout::ONE && tick % unit == 0 && avg_px % unit == 0);
        let unit = i128::from(places.last().unwrap_or(1));
        let cum_qty = i128::from(order.cum_qty);
        let dust = (i128::from(avg_px) * cum_qty).saturating_sub(order.cum_points);
        dust.unsigned_abs() >= (unit * cum_qty).unsigned_abs()
    }

    /// Asks about a sum above ours that was not asked about before: an answer that still differs is no
    /// news, whatever it repeats. The gap is over when ours reaches that sum, when a fill is undone or
    /// another, or when the venue's own status agrees with us.
    #[cold]
    fn mark_break(&mut self, slot: usize, e: &ExecutionReport, told: i64) {
        mutant!(gap_never_asked => return);
        let order = self.orders[slot];
        let asked = if order.flight & QUERIED != 0 { self.asked_qty[slot] } else { 0 };
        let amends = [ExecType::TradeCancel as u8, ExecType::TradeCorrect as u8];
        let booked =
            [Disposition::Applied as u8, Disposition::Late as u8, Disposition::Overfill as u8];
        let amended = amends.contains(&e.exec_type) && booked.contains(&e.disposition);
        if told > order.cum_qty {
            let more = told > asked;
            if more && !self.queue_query(order.order_seq) && !closed(order.base) {
                return;
            }
            if more || amended {
                self.asked_qty[slot] = told;
                self.owe(slot, told);
            }
            return;
        }
        let agrees = e.exec_type == ExecType::OrderStatus as u8
            && e.flags & layout::REPORT_POSS_DUP == 0
            && told == order.cum_qty;
        if order.cum_qty < asked && amended && told == 0 && order.owes() {
            self.queue_query(order.order_seq); // what it counts now it does not say: asked again
        } else if order.cum_qty >= asked || amended || agrees {
            self.forget_breaks(slot, QUERIED);
        }
    }

    /// Does what a row of the transition table says.
    #[inline]
    pub(crate) fn act(
        &mut self,
        slot: usize,
        time_ns: i64,
        action: Action,
        revision: u16,
        fill: Option<Filled>,
    ) {
        let rule = self.replace_rule(&self.orders[slot]);
        self.change(slot, time_ns, fill, |order| match action {
            Action::Stay => {}
            Action::Open => {
                order.base = by_fills(order);
                if order.flight & (CANCELING | REPLACING) == 0 {
                    order.flight &= !UNSURE;
                }
            }
            Action::Fill | Action::LateFill => {
                let fill = fill.expect("a trade has a fill");
                if order.binds(revision, rule) {
                    replace(order);
                }
                order.cum_qty += fill.qty;
                order.cum_points += crate::number::points(fill.px, fill.qty);
                mutant!(fill_before_ack_uncounted => if order.base == OrdStatus::PendingNew as u8 {
                    order.cum_qty -= fill.qty;
                });
                if action == Action::Fill {
                    if order.base == OrdStatus::PendingNew as u8
                        && order.flight & (CANCELING | REPLACING) == 0
                    {
                        order.flight &= !UNSURE; // the fill proves that the order arrived
                    }
                    order.base = by_fills(order);
                    complete_vacant(order);
                } else if order.cum_qty >= order.order_qty {
                    mutant!(late_fill_completes_nothing => return);
                    order.base = filled_or(order.base); // precedence: filled before canceled
                }
            }
            Action::Cancel => end(order, revision, OrdStatus::Canceled),
            // Named by the id of its replace it was there, and the replace held.
            Action::Reject if was_replaced(order, revision) => {
                end(order, revision, OrdStatus::Canceled);
            }
            // Once acknowledged or filled it was an order: its end is a cancel, the fills are kept.
            Action::Reject
                if order.base != OrdStatus::PendingNew as u8
                    && order.base != OrdStatus::Held as u8 =>
            {
                order.base = ended(order, OrdStatus::Canceled);
                mutant!(reject_forgets_what_was => order.base = OrdStatus::Rejected as u8);
            }
            Action::Reject => order.base = OrdStatus::Rejected as u8,
            Action::Expire => {
                end(order, revision, OrdStatus::Expired);
                mutant!(expired_told_as_canceled => order.base = OrdStatus::Canceled as u8);
            }
            Action::Complete => end(order, revision, OrdStatus::Filled),
            Action::Replace => replace(order),
            Action::RestoreCancel => {
                order.flight &= !CANCELING;
                settle_doubt(order);
                mutant!(cancel_reject_forgets_fills => order.base = OrdStatus::New as u8);
            }
            Action::RestoreReplace => {
                mutant!(replace_reject_keeps_new_terms => replace(order));
                order.end_replace();
                order.replace_revision = 0; // refused once, it is never accepted
                settle_doubt(order);
            }
            Action::Vacate => {
                order.flight |= VACANT;
                if order.flight & MOVING != 0 {
                    order.flight &= !UNSURE; // what may go now has not gone yet
                }
                if order.cum_qty >= order.pending_qty {
                    replace(order);
                } else if order.base == OrdStatus::PendingNew as u8 || set_aside(order.base) {
                    renew(order, 0); // what has ended there was there, and is not set aside any more
                }
            }
            Action::Move => order.flight &= !MOVING,
            Action::Resolve => resolve(order, revision),
            Action::BeginCancel => order.flight |= CANCELING,
            Action::BeginReplace => order.flight |= REPLACING,
            Action::Doubt => order.flight |= UNSURE,
            // Its event says more than the table: see held.rs.
            Action::Arm => {}
            Action::Release => order.base = OrdStatus::PendingNew as u8,
            Action::SetAside
            | Action::Renew
            | Action::Restate
            | Action::Calculate
            | Action::Amend
            | Action::AmendLate
            | Action::TakeUp => unreachable!("a report's own, see act_on_word and apply_amend"),
            Action::TakeBack => unreachable!("a parent's own, see fill_parent"),
        });
    }

    /// Changes one order and carries what that means into parent, row, account and indexes: one place
    /// for every path, so that reserved == released + consumed on each (I24).
    #[inline]
    pub(crate) fn change(
        &mut self,
        slot: usize,
        time_ns: i64,
        fill: Option<Filled>,
        f: impl FnOnce(&mut Order),
    ) {
        let rule = self.venues[self.orders[slot].venue_id as usize].replace_rule;
        let before = self.orders[slot];
        let (exposed, committed) = (before.exposure(rule), before.committed_qty(rule));
        let order = &mut self.orders[slot];
        f(order);
        if order.flight & (CANCELING | REPLACING) == 0 && order.base != OrdStatus::PendingNew as u8
        {
            order.flight &= !UNSURE;
        }
        let (was_vacant, is_vacant) = (before.is_vacant(), order.is_vacant());
        let ended = before.live() && closed(order.base);
        let revived = !before.live() && !closed(order.base);
        if before.flight & CANCEL_ASKED != 0 {
            self.follow_asked(slot, &before);
        }
        let order = &mut self.orders[slot];
        if ended {
            order.end_time_ns = time_ns;
            self.live[slot / 64] &= !(1 << (slot % 64));
            self.live_count -= 1;
            order.flight &= BREAKS;
            if before.base == OrdStatus::Held as u8 {
                order.flight |= UNSENT;
            }
            if was_vacant {
                self.turn_vacant(slot, false);
            }
        } else if was_vacant != is_vacant {
            self.turn_vacant(slot, is_vacant);
        } else if is_vacant {
            self.to_move.set(slot);
        } else if revived {
            self.revive(slot);
        }
        let order = &self.orders[slot];
        assert!(order.cum_qty >= 0);
        assert!(!closed(order.base) || order.flight & !(BREAKS | UNSENT) == 0);
        if before.owes() != order.owes() {
            self.follow_owing(slot, &before);
        }
        let order = &self.orders[slot];
        let (after, now_committed) = (order.exposure(rule), order.committed_qty(rule));
        if order.parent_order_seq != 0 {
            self.roll_up(slot, &before, now_committed - committed, time_ns);
        }
        mutant!(reserve_leaked_at_reject => if self.orders[slot].base == OrdStatus::Rejected as u8 {
            return;
        });
        if exposed != after || fill.is_some() {
            self.settle(slot, exposed, after, fill);
        }
        if before.tags & layout::TAG_TERMS != 0 {
            self.follow_terms(slot, before.live(), fill.is_some());
        }
        // Of a fill that is undone the position follows first.
        let now = &self.orders[slot];
        let grown = now.leaves_qty() > before.leaves_qty() && now.cum_qty == before.cum_qty;
        if (fill.is_some() || grown) && self.reducing_count != 0 {
            self.follow_reducing(before.account_id, before.instrument_id);
        }
    }

    /// An order that is wanted gone has changed: a cancel of it has gone out, has failed, or need not go.
    #[cold]
    fn follow_asked(&mut self, slot: usize, before: &Order) {
        let order = &self.orders[slot];
        self.asked_count += u64::from(order.is_asked());
        self.asked_count -= u64::from(before.is_asked());
        if order.is_asked() {
            if before.flight & CANCELING != 0 {
                self.repeats.wait(slot, self.time_ns);
            }
            self.retry(slot);
        } else {
            self.to_cancel.clear(slot);
            self.pace.forget(order.venue_id, slot);
            match order.live() {
                true => self.repeats.stop(slot),
                false => self.repeats.forget(slot),
            }
        }
    }

    /// Carries what has changed of a child into its parent: what it takes of it, what it has filled.
    #[cold]
    fn roll_up(&mut self, slot: usize, before: &Order, committed: i64, time_ns: i64) {
        let child = self.orders[slot];
        let at = self.slot(child.parent_order_seq);
        let known = self.orders[at].order_seq == child.parent_order_seq;
        if known {
            self.orders[at].children_qty += committed;
            let (qty, points) =
                (child.cum_qty - before.cum_qty, child.cum_points - before.cum_points);
            mutant!(fills_stay_with_the_child => return);
            if (qty, points) != (0, 0) {
                self.fill_parent(at, qty, points, time_ns);
            }
        }
        let parent = &self.orders[at];
        let room = known && parent.live() && parent.children_qty <= parent.order_qty;
        if !before.live() && child.live() && !room {
            self.want_cancel(slot); // what it had given back is another child's by now, or nobody's
        }
    }

    /// What a child has filled, its parent has: one that this ends has nothing open, or is overfilled and
    /// wants what is left of its children canceled. Where a fill is taken back, what fills had ended is
    /// open again, and what had ended before them is as it was.
    #[cold]
    pub(crate) fn fill_parent(&mut self, slot: usize, qty: i64, points: i128, time_ns: i64) {
        let before = self.orders[slot];
        assert!(before.is_parent());
        let trigger = if qty > 0 { Trigger::ChildFilled } else { Trigger::ChildAmended };
        let action = self.action(&before, trigger, 0).expect("a row for each status of a parent");
        self.change(slot, time_ns, None, |order| {
            order.cum_qty += qty;
            order.cum_points += points;
            let whole = order.cum_qty >= order.order_qty;
            order.base = match action {
                Action::LateFill if whole && order.base != OrdStatus::Filled as u8 => {
                    order.set_end_before_fills(order.base);
                    OrdStatus::Filled as u8 // precedence: filled before canceled
                }
                Action::TakeBack if closed(order.base) && !whole => order.undo_end_by_fills(),
                _ => order.base,
            };
            if !closed(order.base) {
                order.base = by_fills(order);
            }
        });
        let parent = &self.orders[slot];
        if before.live() && !parent.live() && parent.children_qty > parent.cum_qty {
            mutant!(overfilled_parent_spares_children => return);
            self.ask_cancels(|order| order.parent_order_seq == before.order_seq);
        }
    }

    /// Nothing of an order is at the venue any more, or its new self has gone there.
    #[cold]
    pub(crate) fn turn_vacant(&mut self, slot: usize, is_vacant: bool) {
        if is_vacant {
            self.vacant_count += 1;
            self.to_move.set(slot);
        } else {
            self.vacant_count -= 1;
            self.to_move.clear(slot);
        }
    }

    /// A fact of the venue brought a closed order back: it counts again, and what stops its like stops
    /// it too.
    #[cold]
    fn revive(&mut self, slot: usize) {
        self.orders[slot].end_time_ns = 0;
        self.live[slot / 64] |= 1 << (slot % 64);
        self.live_count += 1;
        let order = self.orders[slot];
        if stops_orders(self.mode_of(&order)) {
            self.want_cancel(slot);
        }
    }

    /// Moves the row of an order from one exposure to another, books a fill, and keeps the account's
    /// sums: gross and worst sides are sums of pure functions of rows, so they never drift.
    #[inline]
    fn settle(&mut self, slot: usize, before: Exposure, after: Exposure, fill: Option<Filled>) {
        let order = &self.orders[slot];
        let (buy, account_id, instrument_id) =
            (order.is_buy(), order.account_id, order.instrument_id);
        let (qty, points) = (after.qty.saturating_sub(before.qty), after.points - before.points);
        if self.accounts[account_id as usize].legs != 0 {
            return self.settle_apart(slot, Exposure { qty, points }, fill);
        }
        let pair = self.pair(account_id, instrument_id);
        let factor = self.instruments[instrument_id as usize].factor;
        let row = &mut self.rows[pair];
        let side = side_index(buy);
        let Some(fill) = fill else {
            // Without a fill the other side stays as it is.
            let weight = row.weigh(&factor, side, points);
            return self.reserve(pair, account_id, side, qty, points, &weight);
        };
        let old = (row.gross(), row.worst_long(), row.worst_short());
        row.open_qty[side] = row.open_qty[side].saturating_add(qty);
        row.open[side] += points;
        assert!(row.open_qty[side] >= 0);
        assert!(row.open[side] >= 0);
        let ledger = &mut self.ledgers[pair];
        position::book(row, ledger, buy, fill.qty, fill.px, fill.fee);
        let new = (row.gross(), row.worst_long(), row.worst_short());
        self.move_sums((account_id, instrument_id), factor, old, new);
        self.traded((account_id, instrument_id), number::points(fill.px, fill.qty));
    }

    /// As `settle`, of an account that keeps its legs apart, or once did.
    #[cold]
    fn settle_apart(&mut self, slot: usize, more: Exposure, fill: Option<Filled>) {
        let order = self.orders[slot];
        let (account_id, instrument_id) = (order.account_id, order.instrument_id);
        let (pair, side) = (self.pair(account_id, instrument_id), side_index(order.is_buy()));
        let old = self.row_sums(account_id, instrument_id);
        let row = &mut self.rows[pair];
        row.open_qty[side] = row.open_qty[side].saturating_add(more.qty);
        row.open[side] += more.points;
        assert!(row.open_qty[side] >= 0);
        assert!(row.open[side] >= 0);
        if self.hedges(account_id) {
            self.reserve_leg((account_id, instrument_id), (order.is_buy(), order.tags), more);
        }
        if let Some(fill) = fill {
            let chain = self.chain_of(&order);
            let signed = order.signed(fill.qty);
            position::enter(&mut self.ledgers[pair], signed, fill.px, fill.fee);
            if let Some(ledger) = self.leg_ledger(chain) {
                position::enter(ledger, signed, fill.px, fill.fee);
            }
            let now = position::carry(self.book_of(chain), signed, fill.px);
            self.set_book(chain, now);
        }
        let new = self.row_sums(account_id, instrument_id);
        let factor = self.instruments[instrument_id as usize].factor;
        self.move_sums((account_id, instrument_id), factor, old, new);
        if let Some(fill) = fill {
            self.traded((account_id, instrument_id), number::points(fill.px, fill.qty));
        }
    }

    #[inline]
    fn move_sums(
        &mut self,
        (account_id, instrument_id): (u32, u32),
        factor: Factor,
        old: (i128, i128, i128),
        new: (i128, i128, i128),
    ) {
        let account = &mut self.accounts[account_id as usize];
        account.gross += factor.micro(new.0) - factor.micro(old.0);
        account.worst[0] += factor.micro(new.1) - factor.micro(old.1);
        account.worst[1] += factor.micro(new.2) - factor.micro(old.2);
        if self.bounds.kinds & SUMS != 0 {
            self.recount(account_id, instrument_id);
        }
    }

    /// An opening balance or adjustment: into ledger and chain, without an id.
    fn apply_adjusted(&mut self, chain: usize, qty: i64, px: i64) {
        self.purge_fills(2);
        let key = fills::Key { exec_id: [0; 16], order_seq: 0, venue_id: 0, trade_day: 0 };
        let mut chained = fills::FillRow::new(key, 0, chain, self.event_seq, self.today());
        (chained.last_px, chained.last_qty, chained.flags) = (px, qty, fills::ADJUSTED);
        let (net, cost) = position::carry(self.book_of(chain), qty, px);
        if self.fills.book(chained).is_none() {
            self.fills.close_chain(chain, net, cost);
        }
        let value = crate::number::points(px, qty);
        mutant!(opening_balance_costs_nothing: value = 0);
        self.pay_adjustment(chain, value);
        self.move_book(chain, (net, cost));
    }

    // Venues --------------------------------------------------------------------------------------

    fn apply_link(&mut self, e: &LinkChange) {
        let venue = &mut self.venues[e.venue_id as usize];
        venue.link = e.state;
        // After a power loss the venue may have had numbers that our log lost: never give them again.
        venue.link_seq_out = venue.link_seq_out.max(e.link_seq_out);
        let day = &mut self.days[e.venue_id as usize];
        if *day == DAY_UNJUDGED && e.state == layout::LinkState::Up as u8 {
            *day = DAY_OPEN;
        }
    }

    fn apply_phase(&mut self, e: &PhaseChange) {
        let venue = &mut self.venues[e.venue_id as usize];
        venue.link_seq_in = venue.link_seq_in.max(e.link_seq);
        let phase = match e.instrument_id {
            0 => &mut venue.phase,
            id => &mut self.instruments[id as usize].phase,
        };
        let was = std::mem::replace(phase, e.phase);
        if was == e.phase || self.asked_count == 0 {
            return; // told again it is no news: who refused a cancel refuses the next
        }
        self.hurry_where(|order| {
            order.venue_id == e.venue_id && [0, order.instrument_id].contains(&e.instrument_id)
        });
    }

    // Definitions and limits ----------------------------------------------------------------------

    /// A venue gets a rule for replaces in flight: what those there reserve is counted anew.
    fn reserve_by(&mut self, venue_id: usize, rule: u8) {
        let old = std::mem::replace(&mut self.venues[venue_id].replace_rule, rule);
        if old == rule {
            return;
        }
        for slot in 0..self.orders.len() {
            let order = self.orders[slot];
            let replacing = order.flight & REPLACING != 0;
            if !order.live() || order.venue_id as usize != venue_id || !replacing {
                continue;
            }
            let parent = self.slot(order.parent_order_seq);
            if order.parent_order_seq != 0
                && self.orders[parent].order_seq == order.parent_order_seq
            {
                let more = order.committed_qty(rule) - order.committed_qty(old);
                self.orders[parent].children_qty += more;
            }
            self.settle(slot, order.exposure(old), order.exposure(rule), None);
        }
    }

    fn apply_definition(&mut self, e: &Definition) {
        let id = e.id as usize;
        match self.names.get(&(e.entity, e.name)) {
            Some(&index) => self.definitions[index as usize] = *e,
            None => {
                self.names.insert((e.entity, e.name), self.definitions.len() as u32);
                self.definitions.push(*e);
                self.counts[e.entity as usize] = self.counts[e.entity as usize].max(e.id);
            }
        }
        match Entity::from_code(e.entity) {
            Some(Entity::Account) => {
                let account = &mut self.accounts[id];
                account.defined = 1;
                self.fold_mode(e);
                self.fold_parent(e.id, e.parent_id);
            }
            Some(Entity::Instrument) => {
                let instrument = &mut self.instruments[id];
                instrument.defined = instrument.defined.max(1);
            }
            Some(Entity::Venue) => {
                self.reserve_by(id, e.level);
                self.venues[id].define(e);
                if e.answer_s != 0 {
                    self.silence.watch(self.next_order_seq);
                }
            }
            Some(Entity::Session) => {
                let session = &mut self.sessions[id];
                (session.defined, session.account_id) = (1, e.parent_id);
            }
            Some(Entity::Strategy) => self.strategies[id].defined = 1,
            Some(Entity::Trader) => self.traders[id].defined = 1,
            Some(Entity::Currency) => self.currencies[id].defined = 1,
            Some(Entity::Sector | Entity::Person) | None => {}
        }
    }

    fn apply_instrument(&mut self, e: &InstrumentTerms) {
        let id = e.instrument_id as usize;
        self.terms[id] = *e;
        let instrument = &mut self.instruments[id];
        (instrument.tick, instrument.lot) = (Divisor::new(e.tick), Divisor::new(e.lot));
        (instrument.qty_min, instrument.qty_max) = (e.qty_min, e.qty_max);
        (instrument.multiplier, instrument.band) = (e.contract_multiplier, e.band);
        instrument.reference_age_ns_max = e.reference_age_ms_max as i64 * 1_000_000;
        let flags = core::mem::replace(&mut instrument.flags, e.flags);
        (instrument.venue_id, instrument.currency_id) = (e.venue_id, e.currency_id);
        instrument.order_qty_max = self.limits.instrument_qty_max(e.instrument_id);
        instrument.defined = 2;
        (instrument.set_px, instrument.margin) = (e.reference_px, e.margin);
        let moved = core::mem::replace(&mut instrument.sector_id, e.sector_id) != e.sector_id;
        if e.flags & layout::FLAG_BY_SET != 0 {
            instrument.reference_time_ns = i64::MAX; // a set price holds until another is set
        } else if e.flags & layout::FLAG_BY_LAST != 0 {
            instrument.reference_time_ns = instrument.last_time_ns;
        } else if instrument.reference_time_ns == i64::MAX {
            instrument.reference_time_ns = i64::MIN / 2; // the next quote is the first
        }
        instrument.judge_reference();
        self.refactor(e.instrument_id);
        self.forget_windows(e.instrument_id);
        if moved {
            self.recount_all();
        }
        if (flags ^ e.flags) & layout::FLAG_MARK_SHORT != 0 {
            self.see_bounds();
        }
    }

    fn apply_rate(&mut self, e: &Rate) {
        let currency = &mut self.currencies[e.currency_id as usize];
        (currency.rate, currency.rate_time_ns, currency.age_s_max) =
            (e.rate, e.rate_time_ns, e.age_s_max);
        for id in 1..self.config.instruments_max as u32 {
            let instrument = &self.instruments[id as usize];
            if instrument.defined == 2 && instrument.currency_id == e.currency_id {
                self.refactor(id);
            }
        }
    }

    /// Works out an instrument's factor anew and moves every account's sums to it.
    fn refactor(&mut self, instrument_id: u32) {
        let instrument = &mut self.instruments[instrument_id as usize];
        let currency = &self.currencies[instrument.currency_id as usize];
        let old_factor = instrument.factor;
        let factor = if currency.rate > 0 {
            Factor::new(instrument.multiplier, currency.rate)
        } else {
            Factor::default()
        };
        instrument.factor = factor;
        instrument.unit_factor = if currency.rate > 0 {
            Factor::new(layout::ONE, currency.rate)
        } else {
            Factor::default()
        };
        instrument.rate_stale_ns = match currency.age_s_max {
            0 => i64::MAX,
            age => currency.rate_time_ns.saturating_add(age as i64 * 1_000_000_000),
        };
        instrument.ready_until();
        mutant!(new_rate_moves_no_sums => return self.stale_limits());
        for account_id in 0..self.config.accounts_max as u32 {
            let sums = self.row_sums(account_id, instrument_id);
            let account = &mut self.accounts[account_id as usize];
            account.gross += factor.micro(sums.0) - old_factor.micro(sums.0);
            account.worst[0] += factor.micro(sums.1) - old_factor.micro(sums.1);
            account.worst[1] += factor.micro(sums.2) - old_factor.micro(sums.2);
            if self.bounds.kinds & SUMS != 0 {
                self.recount(account_id, instrument_id);
            }
        }
        self.stale_limits();
    }

    /// No row's limits are in the units of the checks any more.
    pub(crate) fn stale_limits(&mut self) {
        self.limits_stamp += 1;
        assert!(self.limits_stamp < u32::MAX); // four thousand million changes of limits or rates
    }

    /// No pair is known to stand open any more.
    #[cold]
    pub(crate) fn reopen(&mut self) {
        self.open_stamp += 1;
        if self.open_stamp == u32::MAX {
            self.rows.iter_mut().for_each(|row| row.open_stamp = 0);
            self.open_stamp = 1;
        }
    }

    /// Brings the limits of one row into the units of the checks, once per change of limits, rates or
    /// terms: a cache, not state.
    #[inline]
    pub(crate) fn refresh_row(&mut self, account_id: u32, instrument_id: u32) {
        if account_id as usize >= self.accounts.len()
            || instrument_id as usize >= self.instruments.len()
        {
            return;
        }
        let pair = self.pair(account_id, instrument_id);
        if self.rows[pair].limits_stamp != self.limits_stamp {
            self.refresh_pair(pair, account_id, instrument_id);
        }
    }

    #[cold]
    fn refresh_pair(&mut self, pair: usize, account_id: u32, instrument_id: u32) {
        let (cell, account) = (*self.limits.cell(pair), self.accounts[account_id as usize]);
        let instrument = &self.instruments[instrument_id as usize];
        let factor = instrument.factor;
        let row = &mut self.rows[pair];
        row.limits_stamp = self.limits_stamp;
        row.order_qty_max = account.order_qty_max.min(instrument.order_qty_max);
        row.order_points_max = factor.points_of(account.order_notional_max);
        (row.net_qty_max, row.gross_points_max) = (number::OPEN_MAX, i128::MAX);
        if cell.present != 0 {
            row.order_qty_max = row.order_qty_max.min(cell.order_qty_max);
            row.order_points_max =
                row.order_points_max.min(factor.points_of(cell.order_notional_max));
            row.net_qty_max = cell.net_qty_max.min(number::OPEN_MAX);
            row.gross_points_max = factor.points_of(cell.gross_notional_max);
        }
        row.gross_points_max = row.gross_points_max.min(factor.points_of(account.share_max));
    }
}

/// Whether the venue refuses a change with the word that the order has ended.
fn asks_for_the_end(e: &ExecutionReport) -> bool {
    mutant!(lost_end_never_asked => return false);
    let refusals = [ExecType::CancelRejected as u8, ExecType::ReplaceRejected as u8];
    refusals.contains(&e.exec_type)
        && OrdStatus::from_code(e.ord_status).is_some_and(|s| closed(s as u8))
}

/// Live base status by what has filled; a replace in flight that would leave something open, or whose
/// terms the fills already are, keeps the order alive until it is answered. What the venue has set aside
/// stays so until it is renewed; done for the day goes even before filled (FIX precedence).
pub(crate) fn by_fills(order: &Order) -> u8 {
    let open_by_replace =
        order.flight & REPLACING != 0 && order.pending_qty > order.cum_qty.min(order.order_qty);
    if order.cum_qty >= order.order_qty && !open_by_replace {
        if order.base == OrdStatus::DoneForDay as u8 { order.base } else { OrdStatus::Filled as u8 }
    } else if set_aside(order.base) {
        order.base
    } else if order.cum_qty > 0 {
        OrdStatus::PartiallyFilled as u8
    } else {
        OrdStatus::New as u8
    }
}

/// What is there of it is live, by a word of that time of the venue or, 0, by the end of what it
/// was; the fills decide.
pub(crate) fn renew(order: &mut Order, time_ns: i64) {
    (order.base, order.end_time_ns) = (OrdStatus::New as u8, time_ns);
    order.base = by_fills(order);
}

/// Nothing is left that could go out of an order between two of its selves: it is what it was to be.
fn complete_vacant(order: &mut Order) {
    if order.is_vacant() && order.cum_qty >= order.pending_qty {
        replace(order);
    }
}

/// The venue has the order: what was in flight holds by the id that it names, or not at all.
fn resolve(order: &mut Order, revision: u16) {
    if order.flight & VACANT != 0 {
        replace(order); // nothing else of it can be there
    } else if !take_proved(order, revision) && order.flight & REPLACING != 0 {
        order.replace_revision = 0;
    }
    order.flight &= CANCEL_ASKED | BREAKS;
    order.base = by_fills(order);
}

/// The end of a closed order that its fills complete: filled, unless calculated, which goes before.
fn filled_or(base: u8) -> u8 {
    if base == OrdStatus::Calculated as u8 { base } else { OrdStatus::Filled as u8 }
}

/// The pending terms hold; below or equal to what is filled means filled, and a quantity below is
/// amended to it (FIX 4.4 vol. 4, C.3.a-c).
fn replace(order: &mut Order) {
    (order.price, order.order_qty) = (order.pending_price, order.pending_qty.max(order.cum_qty));
    mutant!(replaced_qty_counts_from_now => order.order_qty += order.cum_qty);
    (order.revision, order.id_row) = (order.replace_revision, order.replace_id_row);
    order.end_replace();
    order.base = by_fills(order);
}

/// The pending terms hold when the venue names the order by their id; whether it did.
fn take_proved(order: &mut Order, revision: u16) -> bool {
    let proved = order.flight & REPLACING != 0 && revision == order.replace_revision;
    if proved {
        replace(order);
    }
    proved
}

/// Ends an order as the venue says; filled goes before it where the venue has filled it by terms that
/// it names, and where only done for the day had outlived the last fill and no replace may have meant more.
fn end(order: &mut Order, revision: u16, by: OrdStatus) {
    let proved = take_proved(order, revision);
    let answered = by == OrdStatus::Expired || order.flight & REPLACING == 0;
    let outlived = set_aside(order.base) && answered;
    let whole = order.cum_qty >= order.order_qty && (proved || outlived);
    order.base = if whole { OrdStatus::Filled as u8 } else { ended(order, by) };
}

/// What an order ends as whose end is not a fill's: one that had filled as what it was, and whose new
/// self never was or did nothing, is filled.
pub(crate) fn ended(order: &Order, by: OrdStatus) -> u8 {
    let moved = order.flight & (MOVING | VACANT) != 0;
    let whole = moved && order.cum_qty >= order.order_qty;
    (if whole { OrdStatus::Filled } else { by }) as u8
}

/// After an answer: the fills decide, unless the order itself is still unanswered.
fn settle_doubt(order: &mut Order) {
    if order.base != OrdStatus::PendingNew as u8 {
        order.base = by_fills(order);
    }
}

/// Whether a mass cancel means this order: all named scopes, within what its session may touch.
pub(crate) fn mass_cancel_matches(c: &MassCancel, entitled: u32, order: &Order) -> bool {
    let side = match Side::from_code(c.side) {
        None => true,
        Some(Side::Buy) => order.is_buy(),
        Some(_) => !order.is_buy(),
    };
    mutant!(mass_cancel_ignores_side: side = true);
    mutant!(mass_cancel_ignores_entitlement: entitled = 0);
    side && (entitled == 0 || order.account_id == entitled)
        && (c.account_id == 0 || order.account_id == c.account_id)
        && (c.instrument_id == 0 || order.instrument_id == c.instrument_id)
        && (c.of_session_id == 0 || order.session_id == c.of_session_id)
        && (c.strategy_id == 0 || order.strategy_id == c.strategy_id)
        && (c.venue_id == 0 || order.venue_id == c.venue_id)
}
