//! What a venue does not answer: its heartbeats are right and a word on one order never comes. A
//! message that had none for the venue's `answer_s_max` is asked about, again after twice as long each
//! time, until the venue tells. The question proves nothing by itself: a new order and a replace keep
//! their reserve whatever the answer, since a slow venue may still take them; only a cancel is in doubt
//! then, so that one that never arrived can be sent again.
//!
//! A cache beside the state, as `repeats` is: what was in flight at a start is in doubt anyway. New
//! orders leave no trace here, they are found by their numbers when they are old enough.

use crate::order::{CANCELING, Order, REPLACING, UNSURE};
use crate::pipeline::header;
use crate::terms::{RELEASED, Terms};
use crate::{Engine, Log, Outbox};
use layout::{LinkState, OrdStatus, OrdType, OutcomeUnknown, Routed, TimeInForce, Typed};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// No message is looked at before: most are answered by then, and the others are few.
const FIRST_NS: i64 = 1_000_000_000;
/// A second, the unit of `answer_s_max`.
const SECOND_NS: i64 = 1_000_000_000;
/// Each wait for an answer is twice the one before, up to 64 times the first.
const DOUBLINGS: u8 = 6;
/// Messages looked at in one step.
const LOOKS: usize = 256;
/// Changes younger than `FIRST_NS` that are kept; of more the oldest are not watched.
const CHANGES_MAX: usize = 1 << 16;
/// Messages that are waited for longer than `FIRST_NS`; more wait their turn.
const SLOW_MAX: usize = 1 << 12;

/// A message without an answer, and when it is to be asked about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Awaited {
    due_ns: i64,
    order_seq: u64,
    revision: u16,
    asked: u8, // times
}

/// What is waited for.
pub(crate) struct Silence {
    on: bool,                   // some venue has a time to answer in
    new_seq: u64,               // new orders below it have been looked at
    look_ns: i64,               // none from it on is old enough before
    changes: VecDeque<Awaited>, // since they were sent, oldest first
    slow: BinaryHeap<Reverse<Awaited>>,
}

impl Silence {
    pub(crate) fn new() -> Self {
        let changes = VecDeque::with_capacity(CHANGES_MAX);
        let slow = BinaryHeap::with_capacity(SLOW_MAX);
        Self { on: false, new_seq: 1, look_ns: 0, changes, slow }
    }

    /// A venue has a time to answer in: what is sent from now on is watched.
    pub(crate) fn watch(&mut self, next_order_seq: u64) {
        if !self.on {
            self.on = true;
            self.begin(next_order_seq);
        }
    }

    /// A start: what was in flight before is asked about with all that is in doubt.
    pub(crate) fn begin(&mut self, next_order_seq: u64) {
        self.new_seq = next_order_seq;
        self.changes.clear();
        self.slow.clear();
    }

    /// A message has gone out that is not the first of an order.
    pub(crate) fn sent(&mut self, order_seq: u64, revision: u16, time_ns: i64) {
        if !self.on {
            return;
        }
        if self.changes.len() == CHANGES_MAX {
            self.changes.pop_front();
        }
        self.changes.push_back(Awaited { due_ns: time_ns, order_seq, revision, asked: 0 });
    }

    fn is_full(&self) -> bool {
        self.slow.len() == SLOW_MAX
    }

    /// When something is to be looked at; `i64::MAX` for never.
    pub(crate) fn next_ns(&self, next_order_seq: u64) -> i64 {
        let slow = self.slow.peek().map_or(i64::MAX, |awaited| awaited.0.due_ns);
        if !self.on || self.is_full() {
            return slow;
        }
        let change = self.changes.front();
        let change = change.map_or(i64::MAX, |sent| sent.due_ns.saturating_add(FIRST_NS));
        let new = if self.new_seq < next_order_seq { self.look_ns } else { i64::MAX };
        slow.min(change).min(new)
    }
}

/// Whether the venue has yet to say what became of a message.
fn awaits(order: &Order, revision: u16) -> bool {
    let canceling = order.flight & CANCELING != 0 && order.cancel_revision == revision;
    let replacing = order.flight & REPLACING != 0
        && (order.replace_revision == revision || order.own_cancel(revision));
    let at_once = [TimeInForce::Ioc as u8, TimeInForce::Fok as u8].contains(&order.time_in_force)
        || order.ord_type == OrdType::Market as u8; // it fills or ends, and never rests
    let unproved = order.base == OrdStatus::PendingNew as u8 || at_once;
    order.live() && !order.is_here() && (canceling || replacing || unproved)
}

impl Engine {
    /// Asks about what has had no answer for too long.
    #[cold]
    pub(crate) fn ask_silent<L: Log, O: Outbox>(
        &mut self,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) {
        self.find_slow(now_ns);
        for _ in 0..LOOKS {
            let due = self.silence.slow.peek().filter(|awaited| awaited.0.due_ns <= now_ns);
            if due.is_none() || log.room() < self.config.log_reserve / 4 {
                return;
            }
            let Reverse(mut awaited) = self.silence.slow.pop().expect("it was seen");
            self.counters.looks += 1;
            let Some(order) = self.order(awaited.order_seq).copied() else { continue };
            let venue = &self.venues[order.venue_id as usize];
            let answer_ns = i64::from(venue.answer_s) * SECOND_NS;
            let up = venue.link == LinkState::Up as u8 && self.recovering == 0;
            // Without its link it is in doubt already, and asked about when the link comes back.
            if !up || answer_ns == 0 || !awaits(&order, awaited.revision) {
                continue;
            }
            self.ask_about(&order, now_ns, log, outbox);
            awaited.asked = (awaited.asked + 1).min(DOUBLINGS);
            awaited.due_ns = now_ns.saturating_add(answer_ns << awaited.asked);
            self.silence.slow.push(Reverse(awaited));
        }
    }

    fn ask_about<L: Log, O: Outbox>(
        &mut self,
        order: &Order,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) {
        let mut count = 0;
        let alone = order.flight & (CANCELING | REPLACING | UNSURE) == CANCELING;
        if alone && order.base != OrdStatus::PendingNew as u8 {
            let mut event = OutcomeUnknown::ZERO;
            event.header = header(OutcomeUnknown::KIND, order.order_seq, now_ns);
            event.venue_id = order.venue_id;
            *OutcomeUnknown::view_mut(log.slot(count)) = event;
            count += 1;
        }
        let question = self.question(order, now_ns);
        Routed::build(log.slot(count), question);
        self.commit(log, count + 1);
        outbox.push(Routed::from_record(log.last(count)).expect("just built"));
    }

    /// Takes in what is older than `FIRST_NS` and still without an answer.
    fn find_slow(&mut self, now_ns: i64) {
        for _ in 0..LOOKS {
            let oldest = self.silence.changes.front().copied();
            let old = oldest.filter(|sent| sent.due_ns.saturating_add(FIRST_NS) <= now_ns);
            let Some(sent) = old.filter(|_| !self.silence.is_full()) else { break };
            self.silence.changes.pop_front();
            self.await_answer(sent);
        }
        for _ in 0..LOOKS {
            let order_seq = self.silence.new_seq;
            if order_seq >= self.next_order_seq {
                self.silence.look_ns = now_ns.saturating_add(FIRST_NS);
                return; // whatever comes from now on is younger
            }
            let awaited = self.order(order_seq).filter(|order| awaits(order, 0));
            let released = |terms: &Terms| terms.state & RELEASED != 0; // counted from then on
            let awaited = awaited.filter(|_| !self.order_terms(order_seq).is_some_and(released));
            if let Some(order) = awaited {
                let sent_ns = self.dedup.row(order.id_row).time_ns;
                if sent_ns.saturating_add(FIRST_NS) > now_ns {
                    self.silence.look_ns = sent_ns.saturating_add(FIRST_NS);
                    return;
                }
                if self.silence.is_full() {
                    return;
                }
                self.await_answer(Awaited { due_ns: sent_ns, order_seq, revision: 0, asked: 0 });
            }
            self.silence.new_seq += 1;
        }
    }

    fn await_answer(&mut self, sent: Awaited) {
        self.counters.looks += 1;
        let awaited = self.order(sent.order_seq).filter(|order| awaits(order, sent.revision));
        let Some(order) = awaited else { return };
        let answer_ns = i64::from(self.venues[order.venue_id as usize].answer_s) * SECOND_NS;
        if answer_ns != 0 {
            let due_ns = sent.due_ns.saturating_add(answer_ns);
            self.silence.slow.push(Reverse(Awaited { due_ns, ..sent }));
        }
    }
}
