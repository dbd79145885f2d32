//! Replace at venues that have none: a cancel goes out, and behind the proof of the old order's end the
//! new one, its quantity less all fills. Between the two nothing of the order is at the venue; it keeps
//! the reserve of its new terms, and its ClOrdID(11) stays the old one until the new order is
//! acknowledged. Called by the pipeline for orders whose old self has ended; folded by `apply`.
//!
//! The proof is folded with the report and the new order is an event of its own, so a doubled proof
//! sends nothing twice and a crash in between loses nothing. The gate is asked again before the new
//! order goes: kill, phase, reference, limits, parent. What it holds back ends the order as canceled,
//! fills kept, and as filled where what it was had filled. While the venue counts fills that we lack,
//! or its link is down, the new order waits.

use crate::apply::ended;
use crate::order::{Action, CANCEL_ASKED, Order, QUERIED, Trigger};
use crate::pipeline::header;
use crate::terms::street_type;
use crate::{Engine, Log, Outbox};
use arch::mutant;
use layout::{
    LinkState, Message, Moved, MsgType, OrdStatus, OrdType, Routed, TriggerOutcome, Typed,
};

/// Orders looked at in one step.
const MOVE_LOOKS: usize = 64;

impl Engine {
    /// Sends the new selves of orders whose old selves have ended, oldest order first. What cannot go
    /// waits until something that may change that: of its own, of its first leg, of its link or the desk.
    #[cold]
    pub(crate) fn move_vacant<L: Log, O: Outbox>(
        &mut self,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) {
        for _ in 0..MOVE_LOOKS {
            if log.room() <= self.config.log_reserve / 2 {
                return;
            }
            let Some(slot) = self.to_move.take(self.slot(self.next_order_seq)) else { return };
            self.counters.looks += 1;
            let order = self.orders[slot];
            assert!(order.live() && order.is_vacant());
            let down = self.venues[order.venue_id as usize].link != LinkState::Up as u8;
            let left = order.pending_qty - order.cum_qty;
            let follows = self.slice_of(&order, left) == 0 && self.may_follow(&order);
            let waits = order.flight & (QUERIED | CANCEL_ASKED) != 0;
            if !(follows || waits || down || self.recovering != 0) {
                self.move_on(&order, now_ns, log, outbox);
            }
        }
    }

    /// Judges the new self of one order again, and sends it or ends the order.
    fn move_on<L: Log, O: Outbox>(
        &mut self,
        order: &Order,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) {
        let (price, left) = (order.pending_price, order.pending_qty - order.cum_qty);
        assert!(left > 0); // the fold of the fill that left nothing has filled it
        let qty = self.slice_of(order, left);
        self.refresh_row(order.account_id, order.instrument_id);
        let mut event = Moved::ZERO;
        event.header = header(Moved::KIND, order.order_seq, now_ns);
        (event.price, event.order_qty) = (price, qty);
        let exec_inst = self.order_terms(order.order_seq).map_or(0, |terms| terms.exec_inst);
        let market = street_type(order.ord_type) == OrdType::Market;
        let judged = self
            .check_leaving(order, (price, qty), market, now_ns, log.room())
            .and_then(|()| self.check_exec_inst(order, exec_inst, price, qty));
        mutant!(move_not_judged: judged = Ok(()));
        if qty == 0 {
            event.outcome = TriggerOutcome::Ended as u8; // the leg that it follows has ended
            *Moved::view_mut(log.slot(0)) = event;
            return self.commit(log, 1);
        }
        if let Err(fault) = judged {
            event.outcome = TriggerOutcome::Refused as u8;
            event.verdict = fault.verdict.code();
            (event.value, event.bound) = (fault.value, fault.bound);
            *Moved::view_mut(log.slot(0)) = event;
            self.counters.refused += 1;
            return self.commit(log, 1);
        }
        event.outcome = TriggerOutcome::Released as u8;
        *Moved::view_mut(log.slot(0)) = event;
        let (new, revision) = (MsgType::NewOrder, order.replace_revision);
        let message = Message {
            orig_street_id: [0; 3],
            ord_type: street_type(order.ord_type) as u8,
            ..self.change_message(order, new, revision, price, qty, now_ns)
        };
        match self.order_terms(order.order_seq) {
            Some(terms) => terms.build_routed(log.slot(1), message),
            None => Routed::build(log.slot(1), message),
        }
        self.tell_effect(log.slot(1), order.account_id, order.tags);
        self.commit(log, 2);
        outbox.push(Routed::from_record(log.last(1)).expect("just built"));
    }

    /// Whether the leg that an order follows may still fill more.
    fn may_follow(&self, order: &Order) -> bool {
        let terms = self.order_terms(order.order_seq);
        let first = terms.and_then(|terms| self.order(terms.group_seq));
        first.is_some_and(Order::live)
    }

    pub(crate) fn apply_moved(&mut self, e: &Moved) {
        let slot = self.slot(e.header.order_seq);
        assert!(self.orders[slot].order_seq == e.header.order_seq);
        assert!(self.orders[slot].is_vacant());
        let time_ns = e.header.ingest_time_ns;
        if e.outcome == TriggerOutcome::Released as u8 {
            self.expect(slot, Trigger::Moved, 0, Action::Move);
            self.act(slot, time_ns, Action::Move, 0, None);
            self.grown(e.header.order_seq);
            let order = self.orders[slot];
            let whole = e.order_qty == order.pending_qty - order.cum_qty;
            self.fills.leave_behind(e.header.order_seq);
            self.begin_slice(e.header.order_seq, if whole { 0 } else { e.order_qty });
            self.silence.sent(e.header.order_seq, order.replace_revision, time_ns);
        } else {
            self.expect(slot, Trigger::NotMoved, 0, Action::Cancel);
            let canceled = OrdStatus::Canceled;
            self.change(slot, time_ns, None, |order| order.base = ended(order, canceled));
        }
    }
}
