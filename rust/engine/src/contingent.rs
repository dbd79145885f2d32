//! Groups of orders: one cancels the other (OCO), one triggers the other (OTO), brackets. The first
//! leg names the group by its number and holds the list of the others. What a fill or an end means to
//! the other legs is folded with it: a cancel is asked for, a child is due; the pipeline then does the
//! work in events. So a replayed or doubled report, which folds nothing, cancels and releases nothing
//! twice, and a crash in between loses none of it. Called by `apply` and by the pipeline.
//!
//! A fill of one OCO leg, or its end, cancels the others. When both have traded before the cancel
//! arrived, both fills stand (they are facts) and the group is flagged by an event.

use crate::held::Cause;
use crate::order::{CANCEL_ASKED, CANCELING, Order};
use crate::pipeline::header;
use crate::terms::{
    ARMED, DUE, FLAGGED, Fault, GROW, RACED, RELEASED, Terms, fault, waits_for_price,
};
use crate::{Engine, Log, Outbox};
use arch::mutant;
use layout::{
    Contingency, GroupFlagged, NewOrder, OrdStatus, OrderTerms, OwnCause, TriggerCause, Typed,
    Verdict,
};

/// Legs looked at in one step.
const DUE_LOOKS: usize = 64;

fn is(terms: &Terms, contingency: Contingency) -> bool {
    terms.contingency == contingency as u8
}

fn founds(terms: &Terms) -> bool {
    terms.group_seq == terms.order_seq
}

/// Whether of these legs of a group one alone may trade: all of an OCO, the exits of a bracket.
fn rivals(one: &Terms, other: &Terms) -> bool {
    let both = |contingency| is(one, contingency) && is(other, contingency);
    both(Contingency::Oco) || both(Contingency::Bracket) && !founds(one) && !founds(other)
}

impl Engine {
    /// A later leg names a first one that lives, has not traded, and is of the same owner.
    pub(crate) fn check_group(
        &self,
        c: &NewOrder,
        t: &OrderTerms,
        venue_id: u16,
    ) -> Result<(), Fault> {
        let Some(contingency) = Contingency::from_code(t.contingency) else {
            return fault(Verdict::ContingencyInvalid, t.contingency as i64, t.group_seq as i64);
        };
        if contingency == Contingency::None {
            return match t.group_seq {
                0 => Ok(()),
                group => fault(Verdict::ContingencyInvalid, 0, group as i64),
            };
        }
        if t.group_seq == 0 {
            return Ok(());
        }
        let group = t.group_seq as i64;
        let Some(first) = self.order_terms(t.group_seq) else {
            return fault(Verdict::GroupUnknown, group, 0);
        };
        let founds = founds(first);
        if founds && (contingency == Contingency::Oco) != is(first, Contingency::Oco) {
            return fault(Verdict::ContingencyInvalid, t.contingency as i64, group);
        }
        let known = self.order(t.group_seq).is_some_and(|order| {
            order.live()
                && order.cum_qty == 0
                && order.flight & (CANCEL_ASKED | CANCELING) == 0
                && order.session_id == c.session_id
                && order.account_id == c.account_id
                && order.venue_id == venue_id
        });
        if !known || !founds {
            return fault(Verdict::GroupUnknown, group, 0);
        }
        Ok(())
    }

    /// Folds a leg into its group; the first one founds it.
    pub(crate) fn join_group(&mut self, row: usize, group_seq: u64) {
        let order_seq = self.order_terms[row].order_seq;
        let group_seq = if group_seq == 0 { order_seq } else { group_seq };
        self.order_terms[row].group_seq = group_seq;
        let first = self.terms_mut(group_seq).expect("judged before it was logged");
        first.legs_live += 1;
        if group_seq != order_seq {
            let next = std::mem::replace(&mut first.leg_next, order_seq);
            self.order_terms[row].leg_next = next;
        }
    }

    /// What a change of one leg means to the others. The first trade or the end of a leg counts once.
    pub(crate) fn follow_group(&mut self, slot: usize, was_live: bool, filled: bool) {
        let order = self.orders[slot];
        let Some(&terms) = self.order_terms(order.order_seq) else { return };
        if terms.group_seq == 0 {
            return;
        }
        let ended = was_live && !order.live();
        if ended {
            // Gone only if a venue's fact brought this leg back when the whole group had ended.
            if let Some(first) = self.terms_mut(terms.group_seq) {
                assert!(first.legs_live > 0);
                first.legs_live -= 1;
            }
        }
        if !(ended || filled) {
            return;
        }
        // An end that the group itself asked for is no news to it: the leg that traded lives on.
        let ended = ended && terms.why != OwnCause::Group as u8;
        let mut at = 0;
        while let Some(leg) = self.leg_after(terms.group_seq, at) {
            at = leg.order_seq;
            if at == order.order_seq {
                continue;
            }
            if founds(&terms) && self.order(at).is_some() {
                self.retry(self.slot(at)); // it may have waited for this
            }
            if !(ended || filled) {
                continue;
            }
            if rivals(&terms, &leg) {
                self.cancel_rival(&order, at, filled);
            } else if founds(&terms) {
                self.follow_first(&order, at, ended, filled);
            }
        }
    }

    /// The next leg of a group, newest first and the one that founded it last; behind 0 the newest. A
    /// leg's row outlives it while another lives.
    fn leg_after(&self, group_seq: u64, at: u64) -> Option<Terms> {
        if at == group_seq {
            return None;
        }
        let before = if at == 0 { group_seq } else { at };
        let next = self.order_terms(before)?.leg_next;
        self.order_terms(if next == 0 { group_seq } else { next }).copied()
    }

    /// One leg traded or ended: this other one is not wanted any more.
    fn cancel_rival(&mut self, order: &Order, rival_seq: u64, filled: bool) {
        let rival_slot = self.slot(rival_seq);
        let rival = self.orders[rival_slot];
        if rival.order_seq != rival_seq {
            return;
        }
        if filled && rival.cum_qty > 0 {
            let rival_state = self.order_terms(rival_seq).map_or(0, |terms| terms.state);
            let terms = self.terms_mut(order.order_seq).expect("looked at before");
            if (terms.state | rival_state) & (RACED | FLAGGED) == 0 {
                terms.state |= RACED;
                terms.by_order_seq = rival_seq;
                self.due_count += 1;
                self.push_due(order.order_seq);
            }
        }
        mutant!(oco_sibling_spared => return);
        self.ask_own(rival_seq, OwnCause::Group);
    }

    /// The first leg traded or ended: what that means to a child of it.
    fn follow_first(&mut self, first: &Order, child_seq: u64, ended: bool, filled: bool) {
        let Some(child) = self.order(child_seq).copied() else { return };
        if filled && child.live() && child.base != OrdStatus::Held as u8 {
            self.grow(&child);
        }
        if !Self::may_arm(&child) {
            return;
        }
        let Some(terms) = self.terms_mut(child_seq) else { return };
        if terms.state & (ARMED | DUE) != 0 {
            return;
        }
        let over = ended || first.base == OrdStatus::Filled as u8;
        mutant!(full_leg_released_by_a_part: over = filled);
        let due = if is(terms, Contingency::OtoFirst) {
            filled && first.cum_qty > 0
        } else {
            over && first.cum_qty > 0
        };
        if due {
            terms.state |= DUE;
            terms.by_order_seq = first.order_seq;
            self.due_count += 1;
            self.push_due(child_seq);
        } else if ended && first.cum_qty == 0 {
            self.ask_own(child_seq, OwnCause::Group);
        }
    }

    /// The fills that made a leg due never were: it waits again, or is not wanted any more where its
    /// first leg has ended.
    pub(crate) fn undo_due(&mut self, slot: usize) {
        let first = self.orders[slot];
        let Some(&terms) = self.order_terms(first.order_seq) else { return };
        if !founds(&terms) || is(&terms, Contingency::Oco) {
            return;
        }
        let mut at = 0;
        while let Some(leg) = self.leg_after(terms.group_seq, at) {
            at = leg.order_seq;
            let waits = self.order(at).is_some_and(|leg| leg.base == OrdStatus::Held as u8);
            if waits && leg.state & DUE != 0 {
                self.terms_mut(at).expect("just read").state &= !DUE;
                self.due_count -= 1;
                if !first.live() {
                    self.ask_own(at, OwnCause::Group);
                }
            }
        }
    }

    /// A leg that was held for a price has left: of its rivals none that is held for one may leave
    /// beside it. They wait for its fill or its end, which cancels them.
    pub(crate) fn disarm_rivals(&mut self, order_seq: u64) {
        mutant!(both_stops_of_a_pair_leave => return);
        let Some(&terms) = self.order_terms(order_seq) else { return };
        if terms.group_seq == 0 || !waits_for_price(terms.ord_type) {
            return;
        }
        let mut at = 0;
        while let Some(leg) = self.leg_after(terms.group_seq, at) {
            at = leg.order_seq;
            if at != order_seq && rivals(&terms, &leg) {
                self.disarm(at);
            }
        }
    }

    /// Whether a leg that was held for a price has left of a pair that this one joins: it would leave
    /// beside it.
    pub(crate) fn rival_has_left(&self, order_seq: u64) -> bool {
        mutant!(a_stop_joins_beside_its_rival => return false);
        let Some(&terms) = self.order_terms(order_seq) else { return false };
        if terms.group_seq == 0 {
            return false;
        }
        let mut at = 0;
        while let Some(leg) = self.leg_after(terms.group_seq, at) {
            at = leg.order_seq;
            let left = leg.state & RELEASED != 0 && waits_for_price(leg.ord_type);
            if left && rivals(&terms, &leg) && self.order(at).is_some_and(Order::live) {
                return true;
            }
        }
        false
    }

    /// Asks for a cancel of an order by the desk itself; the sweep sends it, behind one in flight only
    /// when that is refused.
    pub(crate) fn ask_own(&mut self, order_seq: u64, why: OwnCause) {
        let slot = self.slot(order_seq);
        let order = &self.orders[slot];
        if order.order_seq != order_seq || !order.live() || order.flight & CANCEL_ASKED != 0 {
            return;
        }
        self.want_cancel(slot);
        self.disarm(order_seq);
        if let Some(terms) = self.terms_mut(order_seq) {
            terms.why = why as u8;
        }
    }

    /// Quantity a released order goes out with: a child of a group is never larger than what its first
    /// leg has filled, once that leg has ended.
    pub(crate) fn released_qty(&self, order: &Order, terms: &Terms) -> i64 {
        let sized = is(terms, Contingency::OtoFull) || is(terms, Contingency::Bracket);
        match self.order(terms.group_seq) {
            Some(first) if sized && terms.group_seq != order.order_seq && !first.live() => {
                order.order_qty.min(first.cum_qty.max(1))
            }
            _ => order.order_qty,
        }
    }

    /// Queues the row of an order, each once: a fold never takes from the queue, and reports alone may
    /// make a leg due any number of times.
    pub(crate) fn push_due(&mut self, order_seq: u64) {
        let row = self.terms_row(order_seq);
        if self.queued.set(row) {
            assert!(self.due.len() < self.due.capacity());
            self.due.push_back(row as u32);
        }
    }

    fn is_due(&self, order_seq: u64) -> bool {
        self.order_terms(order_seq).is_some_and(|terms| terms.state & (DUE | RACED | GROW) != 0)
    }

    /// Releases or arms the children that are due and tells the races, oldest first.
    pub(crate) fn work_off_due<L: Log, O: Outbox>(
        &mut self,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) {
        if self.recovering != 0 {
            return; // legs wait, as prices do
        }
        for _ in 0..self.due.len().min(DUE_LOOKS) {
            if log.room() <= self.config.log_reserve / 2 {
                break;
            }
            let Some(row) = self.due.pop_front() else { break };
            self.queued.clear(row as usize);
            self.counters.looks += 1;
            let order_seq = self.order_terms[row as usize].order_seq;
            let terms = self.order_terms(order_seq).copied();
            let state = terms.map_or(0, |terms| terms.state);
            match terms {
                Some(terms) if terms.state & RACED != 0 => {
                    let other = self.order(terms.by_order_seq).map_or(0, |o| o.cum_qty);
                    let mut event = GroupFlagged::ZERO;
                    event.header = header(GroupFlagged::KIND, order_seq, now_ns);
                    event.group_seq = terms.group_seq;
                    event.other_order_seq = terms.by_order_seq;
                    event.cum_qty = self.order(order_seq).map_or(0, |o| o.cum_qty);
                    event.other_cum_qty = other;
                    *GroupFlagged::view_mut(log.slot(0)) = event;
                    self.counters.flagged += 1;
                    self.commit(log, 1);
                }
                // One that is asked to end in the same input is not sent first: the sweep ends it.
                Some(terms)
                    if terms.state & DUE != 0
                        && self.order(order_seq).is_some_and(Self::may_arm) =>
                {
                    let cause = Cause {
                        cause: TriggerCause::Leg,
                        px: 0,
                        time_ns: now_ns,
                        by_order_seq: terms.by_order_seq,
                    };
                    self.release(order_seq, cause, now_ns, log, outbox);
                }
                Some(terms) if terms.state & GROW != 0 => {
                    let order = self.orders[self.slot(order_seq)];
                    self.work_off_growth(&order, now_ns, log, outbox);
                }
                _ => {}
            }
            if !self.is_due(order_seq) {
                continue;
            }
            if self.order_terms(order_seq).is_some_and(|terms| terms.state != state) {
                self.push_due(order_seq); // the rest of it, behind the others
            } else {
                self.park(order_seq);
            }
        }
    }

    /// Something of it is in flight, or the gate holds it back: it is tried again when an order that
    /// waits so has changed, or a fact of the host came, or the desk's own time.
    fn park(&mut self, order_seq: u64) {
        if self.parked.len() == self.parked.capacity() {
            self.parked.sort_unstable();
            self.parked.dedup();
        }
        assert!(self.parked.len() < self.parked.capacity());
        self.parked.push(order_seq);
    }

    /// What is parked is tried again.
    pub(crate) fn wake_parked(&mut self) {
        let mut parked = std::mem::take(&mut self.parked);
        parked.drain(..).for_each(|order_seq| self.push_due(order_seq));
        self.parked = parked;
    }

    pub(crate) fn apply_group_flagged(&mut self, e: &GroupFlagged) {
        let terms = self.terms_mut(e.header.order_seq).expect("kept while its race is untold");
        assert!(terms.state & RACED != 0);
        terms.state = (terms.state & !RACED) | FLAGGED;
        self.due_count -= 1;
    }
}
