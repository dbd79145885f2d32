//! Orders that go to the venue a part at a time: icebergs that the desk replenishes (a venue whose
//! definition says that it replenishes itself gets MaxFloor(111) instead), and legs that are as large as
//! what the first leg of their group has filled. It stays one order with one reserve and one answer: a
//! part that has filled leaves it as a replace by cancel and new does behind its proof (see `moved`), and
//! the next part goes from there: judged again, one at a time, under an id of its own.
//!
//! A part of unknown outcome is followed by none until its fills or the venue's word prove its end. A
//! cancel that was asked for ends the order with the part that fills, since nothing more of it is out.
//! Called by `apply` and by the pipeline.

use crate::apply::renew;
use crate::order::{
    CANCEL_ASKED, CANCELING, DIFFERS, MOVING, Order, REPLACING, VACANT, closed, set_aside,
};
use crate::report::revision_of;
use crate::terms::{GROW, SLICED};
use crate::{Engine, Log, Outbox, street};
use arch::mutant;
use layout::{ExecutionReport, OrdStatus, OwnCause, ReplaceRule};

impl Engine {
    /// How much of what is left of an order may be at the venue.
    pub(crate) fn slice_of(&self, order: &Order, left: i64) -> i64 {
        let Some(terms) = self.order_terms(order.order_seq) else { return left };
        let mut qty = left;
        if terms.state & SLICED != 0 {
            qty = qty.min(terms.max_floor);
        }
        if terms.follows() {
            // What is forgotten has ended, and how much of it had filled nobody knows any more.
            let filled = self.order(terms.group_seq).map_or(0, |first| first.cum_qty);
            qty = qty.min(filled.saturating_sub(order.cum_qty)).max(0);
        }
        qty
    }

    /// Whether only a part of an order is at the venue.
    pub(crate) fn in_parts(&self, order: &Order) -> bool {
        self.order_terms(order.order_seq).is_some_and(|terms| terms.slice_end != 0)
    }

    /// What of an order had filled before what its venue has now; `None` while that is a part alone.
    pub(crate) fn filled_before(&self, order: &Order) -> Option<i64> {
        (!self.in_parts(order)).then_some(if order.is_parent() { 0 } else { order.children_qty })
    }

    /// Notes in the row of an order what of it goes to the venue now; 0: all that is left.
    pub(crate) fn begin_slice(&mut self, order_seq: u64, shown_qty: i64) {
        let slot = self.slot(order_seq);
        let cum_qty = self.orders[slot].cum_qty;
        self.orders[slot].children_qty = cum_qty;
        if let Some(terms) = self.terms_mut(order_seq) {
            terms.slice_end = if shown_qty == 0 { 0 } else { cum_qty.saturating_add(shown_qty) };
        }
    }

    /// More or less is filled of what was at the venue before: where that stays closed what is out now
    /// begins and ends elsewhere, else it is out beside it.
    pub(crate) fn shift_slice(&mut self, slot: usize, e: &ExecutionReport, more: i64) {
        let order = &self.orders[slot];
        let anew = self.replace_rule(order) == ReplaceRule::CancelNew as u8;
        if !anew || order.is_vacant() || !order.live() {
            return;
        }
        let (order_seq, order_qty) = (order.order_seq, order.order_qty);
        let from = &mut self.orders[slot].children_qty;
        *from = from.saturating_add(more).max(0);
        if let Some(terms) =
            self.terms_mut(order_seq).filter(|t| t.is_sliced() && e.leaves_qty <= 0)
        {
            let end = if terms.slice_end == 0 { order_qty } else { terms.slice_end };
            terms.slice_end = end.saturating_add(more).max(1);
        }
    }

    /// Whether what of an order is at the venue, being a part of it, has filled.
    pub(crate) fn part_filled(&self, order: &Order) -> bool {
        self.order_terms(order.order_seq)
            .is_some_and(|terms| terms.slice_end != 0 && order.cum_qty >= terms.slice_end)
    }

    /// CumQty(14) of an order by what a report counts: of a part, or of the new order that a replace by
    /// cancel and new made, the venue counts what that has filled. What it says of one before is no more
    /// than the order's own sum.
    pub(crate) fn told_cum(&self, order: &Order, report: &ExecutionReport) -> i64 {
        mutant!(own_sum_of_a_new_self_ignored => return report.cum_qty);
        if report.cum_qty > 0 && !order.is_parent() && names_present(order, report) {
            return report.cum_qty.saturating_add(order.children_qty);
        }
        report.cum_qty
    }

    /// After a change of an order of which a part is at the venue: when that part has filled, nothing of
    /// it is there any more.
    pub(crate) fn follow_slice(&mut self, slot: usize) {
        let order = self.orders[slot];
        let done = self.part_filled(&order);
        mutant!(part_followed_before_it_fills: done = order.cum_qty > 0);
        let here = closed(order.base) || order.base == OrdStatus::Held as u8;
        if !done || here || order.cum_qty >= order.order_qty || order.flight & REPLACING != 0 {
            return;
        }
        let used_up = order.revision_last >= street::REVISION_MAX - street::REVISIONS_KEPT;
        if used_up || order.flight & (CANCELING | CANCEL_ASKED) != 0 {
            let time_ns = self.time_ns;
            self.change(slot, time_ns, None, |order| order.base = OrdStatus::Canceled as u8);
            return;
        }
        let order = &mut self.orders[slot];
        order.flight |= REPLACING | MOVING | VACANT;
        (order.pending_price, order.pending_qty) = (order.price, order.order_qty);
        // As a replace by cancel and new: the revision above it is that of a cancel, never sent here.
        (order.replace_revision, order.replace_id_row) = (order.revision_last + 1, order.id_row);
        order.revision_last += 2;
        if set_aside(order.base) {
            renew(order, 0); // that was said of the part that has filled
        }
        self.turn_vacant(slot, true);
    }

    /// The leg that an order follows has filled more: whether what is at the venue is to grow.
    pub(crate) fn grow(&mut self, child: &Order) {
        let Some(terms) = self.terms_mut(child.order_seq) else { return };
        if terms.slice_end != 0 && terms.state & GROW == 0 && !child.is_vacant() {
            terms.state |= GROW;
            self.due_count += 1;
            self.push_due(child.order_seq);
        }
    }

    /// The order is about to be as large as it should be, or is not to grow any more.
    pub(crate) fn grown(&mut self, order_seq: u64) {
        let Some(terms) = self.terms_mut(order_seq) else { return };
        if terms.state & GROW != 0 {
            terms.state &= !GROW;
            self.due_count -= 1;
        }
    }

    /// Makes room for the larger part, once nothing else of the order is in flight.
    pub(crate) fn work_off_growth<L: Log, O: Outbox>(
        &mut self,
        order: &Order,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) {
        if order.flight & !DIFFERS != 0 || order.base == OrdStatus::PendingNew as u8 {
            return; // its change tries again
        }
        let to = (order.price, order.order_qty);
        let verdict = self.replace_own(order, to, OwnCause::LegFilled, now_ns, log, outbox);
        if verdict != layout::Verdict::Accepted {
            self.wake_by(now_ns.saturating_add(self.config.peg_interval_ns));
        }
    }
}

/// Whether a report names what is at the venue of an order, or a later message about it.
pub(crate) fn names_present(order: &Order, report: &ExecutionReport) -> bool {
    let (revision, present) = (revision_of(report, order.order_seq), order.street_revision());
    // The revision above a later one's own is that of the cancel that made room for it.
    revision == present || revision > present + u16::from(present != 0)
}
