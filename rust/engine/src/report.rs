//! What a venue's report is taken for: pure. Reports are data from outside, so nothing here asserts
//! on them; whatever fits no row is flagged in its disposition and changes nothing. Called by the
//! pipeline before the report becomes an event, and by `apply` for the same answer's action.

use crate::order::{
    Action, CANCEL_ASKED, CANCELING, MOVING, REPLACING, Trigger, UNSURE, VACANT, closed, set_aside,
    transition,
};
use crate::risk::side_index;
use crate::slices::names_present;
use crate::{Engine, Order, fills, number, street};
use arch::mutant;
use layout::{
    Disposition, ExecRef, ExecType, ExecutionReport, FLAG_NEGATIVE_PRICES, OrdStatus,
    REPORT_DROP_COPY, REPORT_POSS_DUP, REPORT_POSS_RESEND, REPORT_QUERIED, ReplaceRule,
    RestatementReason,
};

/// A report judged: whose it is, what it is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub order_seq: u64,
    pub disposition: Disposition,
}

impl Engine {
    /// The order that a report names, and by which of our messages about it; else the number of one
    /// that may have left the table, 0 for none.
    #[inline]
    pub(crate) fn whose(&self, report: &ExecutionReport) -> Result<(&Order, u16), u64> {
        let street = street::decode(&report.street_id);
        let named = street.and_then(|street| self.order(street.order_seq).zip(Some(street)));
        let ours = named.filter(|(order, street)| {
            let ours = order.epoch == street.epoch
                && order.venue_id == report.venue_id
                && street.revision <= order.revision_last
                && !order.is_parent();
            mutant!(another_venue_fills: ours = order.epoch == street.epoch);
            ours
        });
        let ours = ours.map(|(order, street)| (order, street.revision));
        ours.or_else(|| self.adopted(report)).ok_or_else(|| {
            match (self.adopted_seq(report), street, named) {
                (0, Some(street), None) => street.order_seq,
                (adopted, ..) => adopted,
            }
        })
    }

    /// Judges a report, with the ids that preceded it, and changes nothing.
    #[inline]
    pub(crate) fn judge(&self, report: &ExecutionReport, ids: Option<&ExecRef>) -> Taken {
        let (order, revision) = match self.whose(report) {
            Ok(ours) => ours,
            Err(past) => return self.judge_forgotten(past, report, ids),
        };
        let taken = |disposition| Taken { order_seq: order.order_seq, disposition };
        let Some(exec_type) = ExecType::from_code(report.exec_type) else {
            return taken(Disposition::Malformed);
        };
        if report.cum_qty < 0 || report.leaves_qty < 0 || report.fee == i64::MIN {
            return taken(Disposition::Malformed);
        }
        let amends = matches!(exec_type, ExecType::TradeCancel | ExecType::TradeCorrect);
        if order.never_left() && !amends {
            return taken(Disposition::OutsideTable); // no venue can know of what never left
        }
        match exec_type {
            ExecType::Trade => return taken(self.judge_trade(order, report, ids)),
            ExecType::TradeCancel | ExecType::TradeCorrect => {
                return taken(self.judge_amend(Some(order), order.order_seq, report, ids));
            }
            _ => {}
        }
        let reason = reason_of(ids);
        let Some(trigger) = self.trigger_of(exec_type, order, report, reason) else {
            return taken(Disposition::Malformed);
        };
        let told = self.told_cum(order, report);
        let lacks = order.live() && lacks_fills(order, trigger, told, self.in_parts(order));
        mutant!(answer_closes_over_a_gap: lacks = false);
        if lacks {
            return taken(Disposition::Gap); // closing now would lose the reserve of what is missing
        }
        if trigger == Trigger::Restated && !self.sound_terms(order, report, reason) {
            return taken(Disposition::Malformed);
        }
        if trigger == Trigger::OldWorks {
            let opens =
                if order.unfilled_qty() > 0 { order.unfilled_qty() } else { report.leaves_qty };
            if !self.fits(order, opens, 0) {
                return taken(Disposition::Malformed);
            }
        }
        taken(match self.action(order, trigger, revision) {
            None => Disposition::OutsideTable,
            Some(action) if leaves_overfilled(order, action, revision) => Disposition::Overfill,
            Some(Action::Stay) => Disposition::Stale,
            Some(Action::Restate)
                if restated(order, report, reason, self.filled_before(order)) == *order =>
            {
                Disposition::Stale
            }
            Some(Action::SetAside) if !sets_aside(order, exec_type, report) => Disposition::Stale,
            Some(Action::Restate | Action::TakeUp) if !order.live() => Disposition::Late,
            // What was filled whole by the terms that now hold stays filled: nothing to alarm about.
            Some(Action::Replace) if !order.live() && order.pending_qty > order.cum_qty => {
                Disposition::Late
            }
            Some(Action::Reject) if order.flight & VACANT != 0 => Disposition::MoveLost,
            Some(_) => Disposition::Applied,
        })
    }

    /// The key under which an execution of an order is known.
    pub(crate) fn fill_key(&self, report: &ExecutionReport, order_seq: u64) -> (fills::Key, u32) {
        let day = match report.trade_day {
            0 => self.venues[report.venue_id as usize].day_of(report.transact_time_ns),
            told => told,
        };
        mutant!(arrival_day: day = self.venues[report.venue_id as usize].trade_day);
        fills::key_of(report, order_seq, day)
    }

    /// Whether a price and quantity may be booked at all.
    pub(crate) fn sound(&self, instrument_id: u32, px: i64, qty: i64) -> bool {
        let flags = self.instruments[instrument_id as usize].flags;
        qty > 0
            && (px > 0 || flags & FLAG_NEGATIVE_PRICES != 0)
            && number::points(px, qty).abs() < number::POINTS_MAX
    }

    fn sound_terms(
        &self,
        order: &Order,
        report: &ExecutionReport,
        reason: RestatementReason,
    ) -> bool {
        let next = restated(order, report, reason, self.filled_before(order));
        let declined = reason != RestatementReason::QtyDecline || next.order_qty <= order.order_qty;
        let rule = self.venues[order.venue_id as usize].replace_rule;
        let more = next.exposure(rule).qty.saturating_sub(order.exposure(rule).qty);
        declined
            && self.sound(order.instrument_id, next.price, next.order_qty)
            && self.fits(order, more, 0)
    }

    /// Whether what a venue tells leaves the order, what is open and its parent within what they hold:
    /// `open` may open more, `filled` is bought or sold more. A quantity filled goes as far as its
    /// number; what is open keeps room, since a doubt about a replace counts it twice. The position is
    /// its book's own matter.
    pub(crate) fn fits(&self, order: &Order, open: i64, filled: i64) -> bool {
        const OPEN_MAX: i64 = number::OPEN_MAX;
        let below = |now: i64, more: i64| {
            more <= 0 || now.checked_add(more).is_some_and(|sum| sum <= OPEN_MAX)
        };
        let row = &self.rows[self.pair(order.account_id, order.instrument_id)];
        let parent = self.order(order.parent_order_seq).map_or(0, |parent| parent.children_qty);
        let beyond = filled.saturating_sub(order.leaves_qty()).max(0);
        below(row.open_qty[side_index(order.is_buy())], open)
            && order.cum_qty.checked_add(filled).is_some()
            && (order.parent_order_seq == 0 || below(parent, open.max(0).saturating_add(beyond)))
    }

    /// Whether the money of a fill, or what a fill becomes another by, leaves that of its order's parent
    /// within its range.
    fn parent_takes(&self, order: &Order, more: i128) -> bool {
        let parent = self.order(order.parent_order_seq).filter(|_| order.parent_order_seq != 0);
        parent.is_none_or(|parent| number::sum_fits(parent.cum_points + more))
    }

    /// Whether a fill leaves the money of its order and its position within their range.
    fn sums_take(&self, order: &Order, px: i64, qty: i64) -> bool {
        let signed = order.signed(qty);
        let more = number::points(px, qty);
        number::sum_fits(order.cum_points + more)
            && self.parent_takes(order, more)
            && self.book_takes(self.chain_of(order), signed, px)
    }

    pub(crate) fn judge_trade(
        &self,
        order: &Order,
        report: &ExecutionReport,
        ids: Option<&ExecRef>,
    ) -> Disposition {
        let qty = report.last_qty;
        if !self.sound(order.instrument_id, report.last_px, qty)
            || !self.fits(order, 0, qty)
            || !self.sums_take(order, report.last_px, qty)
        {
            return Disposition::Malformed;
        }
        if transition(order.ord_status(), Trigger::Trade).is_none() {
            return Disposition::OutsideTable; // it never left
        }
        let (key, payload) = self.fill_key(report, order.order_seq);
        let known = self.fills.find(key);
        mutant!(duplicate_fill_booked: known = None);
        mutant!(conflicting_copy_booked: known = known.filter(|row| row.payload == payload));
        match known {
            Some(row) if row.payload == payload => return Disposition::Duplicate,
            Some(_) => return Disposition::Conflict,
            None if self.is_superseded(report, key) => return Disposition::Stale,
            None => {}
        }
        let again = report.flags & (REPORT_POSS_DUP | REPORT_POSS_RESEND) != 0;
        let dated = report.trade_day != 0
            || self.venues[order.venue_id as usize].dates(report.transact_time_ns);
        if again && !dated && self.fills.is_known_of_any_day(key, payload) {
            return Disposition::Duplicate; // its day is not told, or longer ago than we remember
        }
        if self.reconciles(order, report, ids).is_some() {
            return Disposition::Reconciled;
        }
        // No memory of fills left, or none of a day so long ago: the venue's own sum decides, aloud.
        let unsure = self.fills.is_full() || !order.live() && self.is_of_old(report);
        mutant!(history_replayed_books_again: unsure = self.fills.is_full());
        if unsure && self.told_cum(order, report) <= order.cum_qty {
            return Disposition::Gap;
        }
        let named = ids.is_some_and(fills::names_match);
        if report.flags & REPORT_DROP_COPY != 0 && !named {
            // Under an id of its own and without a match id it cannot be told from a fill we have.
            return Disposition::Gap;
        }
        mutant!(late_fill_dropped => if !order.live() { return Disposition::Stale });
        let part = self.order_terms(order.order_seq).filter(|_| names_present(order, report));
        let part = part.map_or(0, |terms| terms.slice_end);
        let most = match order.flight & (REPLACING | VACANT) {
            _ if part != 0 => part,
            0 => order.order_qty,
            REPLACING => order.order_qty.max(order.pending_qty),
            _ => order.pending_qty,
        };
        // On the old id behind its proved end: the new order was counted without it.
        let revision = street::decode(&report.street_id).map_or(0, |street| street.revision);
        let rule = self.replace_rule(order);
        let present = order.flight & (REPLACING | MOVING | VACANT) == REPLACING | MOVING;
        let ended = rule == ReplaceRule::CancelNew as u8
            && (!present && order.was(revision, rule) || order.was_before(revision, rule));
        if order.cum_qty + qty > most {
            Disposition::Overfill
        } else if !order.live() || order.base == OrdStatus::DoneForDay as u8 || ended {
            Disposition::Late
        } else {
            Disposition::Applied
        }
    }

    /// The fill we have that this one is under another id: of a match told by stream and drop copy,
    /// or of a fill that one of the two tellers gave no id. Where only one of them names its matches
    /// a copy and a fill of the stream that say the same are taken for one: each fill is told once by
    /// either, so the sums come out right whichever two are paired.
    pub(crate) fn reconciles(
        &self,
        order: &Order,
        report: &ExecutionReport,
        ids: Option<&ExecRef>,
    ) -> Option<u32> {
        mutant!(drop_copy_booked_beside_the_stream => return None);
        let (key, payload) = self.fill_key(report, order.order_seq);
        let copy = report.flags & REPORT_DROP_COPY != 0;
        let other = |exec_id| {
            self.fills.find_other(fills::Key { exec_id, ..key }, fills::COPY, !copy, payload)
        };
        let named = ids.is_some_and(fills::names_match);
        if let Some(fill) = ids.and_then(|ids| fills::match_ids(ids).find_map(other)) {
            return Some(fill);
        }
        if copy {
            // Some venues tell the stream's own ExecID(17) as the copy's SecondaryExecID(527).
            let told = ids.iter().flat_map(|ids| [ids.trd_match_id, ids.secondary_exec_id]);
            let streamed = told.filter(|id| *id != [0; 16]).find_map(other);
            if streamed.is_some() {
                return streamed;
            }
            if named && let Some(fill) = self.fills.find_unnamed(order.order_seq, payload) {
                return Some(fill);
            }
        } else if self.fills.has_copies() {
            let copied = other(fills::match_key(&report.exec_id));
            if copied.is_some() {
                return copied;
            }
            if !named && let Some(fill) = self.fills.find_copy(order.order_seq, payload) {
                return Some(fill);
            }
        }
        if report.exec_id == [0; 16] {
            return self.fills.find_print(order.order_seq, fills::print_of(report));
        }
        if self.fills.has_synthetic() {
            let exec_id = fills::synthetic_id(report);
            let key = fills::Key { exec_id, ..key };
            return self.fills.find_other(key, fills::SYNTHETIC, true, payload);
        }
        None
    }

    /// The fill that a bust or correct means: by ExecRefID(19), else by its own id, which is what some
    /// venues send.
    pub(crate) fn amended(
        &self,
        order_seq: u64,
        report: &ExecutionReport,
        ids: Option<&ExecRef>,
    ) -> Option<u32> {
        let told = ids.map(|ids| ids.exec_ref_id).filter(|id| *id != [0; 16]);
        let exec_id = told.unwrap_or(report.exec_id);
        if exec_id == [0; 16] {
            return None;
        }
        self.fills.find_ref(fills::Key { exec_id, ..self.fill_key(report, order_seq).0 })
    }

    pub(crate) fn judge_amend(
        &self,
        order: Option<&Order>,
        order_seq: u64,
        report: &ExecutionReport,
        ids: Option<&ExecRef>,
    ) -> Disposition {
        let told = ids.is_some_and(|ids| ids.exec_ref_id != [0; 16]);
        if told && report.exec_id != [0; 16] {
            let (key, payload) = self.fill_key(report, order_seq);
            match self.fills.find(key) {
                Some(row) if row.payload == payload ^ fills::AMENDS => {
                    return Disposition::Duplicate;
                }
                Some(_) if ids.is_some_and(|ids| ids.exec_ref_id != report.exec_id) => {
                    return Disposition::Conflict;
                }
                _ => {}
            }
        }
        let Some(at) = self.amended(order_seq, report, ids) else {
            return Disposition::UnknownExec;
        };
        let row = self.fills.row(at);
        let busted = row.flags & fills::BUSTED != 0;
        let correct = report.exec_type == ExecType::TradeCorrect as u8;
        let new_qty = if correct { report.last_qty } else { 0 };
        if correct {
            let instrument_id = (row.chain as usize % self.config.instruments_max) as u32;
            if !self.sound(instrument_id, report.last_px, new_qty) {
                return Disposition::Malformed;
            }
            let now = (row.last_px, row.last_qty.abs(), row.fee);
            if !busted && now == (report.last_px, new_qty, report.fee) {
                return Disposition::Duplicate;
            }
            if busted {
                return Disposition::UnknownExec; // what never was cannot be corrected
            }
        } else if busted {
            return Disposition::Duplicate;
        }
        let new_px = if correct { report.last_px } else { 0 };
        if !self.amend_fits(at, new_qty * row.last_qty.signum(), new_px) {
            return Disposition::Malformed;
        }
        let old_qty = row.last_qty.abs();
        let more = number::points(new_px, new_qty) - number::points(row.last_px, old_qty);
        let Some(order) = order else {
            let past = Order { parent_order_seq: self.parent_of(row), ..Order::default() };
            let takes = self.fits(&past, 0, new_qty - old_qty) && self.parent_takes(&past, more);
            return if takes { Disposition::Late } else { Disposition::Malformed };
        };
        let trigger = if correct { Trigger::Correct } else { Trigger::Bust };
        let reopens = match self.works_again(order, report) {
            true => order.unfilled_qty().saturating_add(old_qty),
            false => old_qty,
        };
        let reopens = reopens.min(order.order_qty.max(order.pending_qty)); // no more than it asked for
        if !self.fits(order, reopens, new_qty - old_qty) {
            return Disposition::Malformed;
        }
        let cum_qty = order.cum_qty - old_qty + new_qty;
        if !number::sum_fits(order.cum_points + more) || !self.parent_takes(order, more) {
            return Disposition::Malformed;
        }
        match self.action(order, trigger, 0) {
            None => Disposition::OutsideTable,
            Some(_) if correct && cum_qty > order.order_qty => Disposition::Overfill,
            Some(_) if !order.live() => Disposition::Late,
            Some(_) => Disposition::Applied,
        }
    }

    /// The rule by which a replace of an order in flight counts: its venue's, and for what goes there a
    /// part at a time that of cancel and new.
    pub fn replace_rule(&self, order: &Order) -> u8 {
        if self.is_sliced(order) {
            return ReplaceRule::CancelNew as u8;
        }
        self.venues[order.venue_id as usize].replace_rule
    }

    /// Whether an order goes out a part at a time.
    pub(crate) fn is_sliced(&self, order: &Order) -> bool {
        order.tags & layout::TAG_TERMS != 0
            && self.order_terms(order.order_seq).is_some_and(|terms| terms.is_sliced())
    }

    /// Whether a report says that the venue works what of the order was over for us: it had ended
    /// otherwise than by its fills; or, where each part, or what a replace makes of it, is an order of
    /// its own there, another of them is the present one.
    pub(crate) fn works_again(&self, order: &Order, report: &ExecutionReport) -> bool {
        if self.replace_rule(order) != ReplaceRule::CancelNew as u8 {
            return report.leaves_qty > 0 && ended_otherwise(order);
        }
        let present = revision_of(report, order.order_seq) == order.street_revision();
        report.leaves_qty > 0 && (!order.live() || order.is_vacant() || !present)
    }

    /// Whether the answer to a question says so. Where all has filled, what is there has more than was
    /// wanted: it counts of its own what we do, so the answer is no older than the fills.
    fn is_found_working(&self, order: &Order, report: &ExecutionReport) -> bool {
        let own = order.cum_qty - order.children_qty;
        report.flags & REPORT_QUERIED != 0
            && self.works_again(order, report)
            && (order.unfilled_qty() > 0 || names_present(order, report) && report.cum_qty == own)
    }

    /// The trigger of a report; `None` for what has no meaning. Where a replace ends one order at the
    /// venue and begins another, the street id says which of the two is spoken of.
    pub(crate) fn trigger_of(
        &self,
        exec_type: ExecType,
        order: &Order,
        report: &ExecutionReport,
        reason: RestatementReason,
    ) -> Option<Trigger> {
        let told = trigger_told(exec_type, order, report, reason)?;
        if told == Trigger::FoundLive && report.leaves_qty > 0 && self.may_work_again(order) {
            return Some(Trigger::OldWorks);
        }
        let rule = self.replace_rule(order);
        if rule != ReplaceRule::CancelNew as u8 && rule != ReplaceRule::ModifyNew as u8 {
            return Some(told);
        }
        let revision = revision_of(report, order.order_seq);
        let queried = report.flags & REPORT_QUERIED != 0;
        Some(match told {
            Trigger::Acked | Trigger::FoundLive | Trigger::FoundWaiting | Trigger::Renewed
                if order.binds(revision, rule)
                    || rule == ReplaceRule::ModifyNew as u8 && order.gave_up(revision) =>
            {
                Trigger::Replaced
            }
            // What has ended is not what is there: no word of it but of its fills says anything more.
            Trigger::Trade | Trigger::Bust | Trigger::Correct => told,
            // A word of its own may be older than the end; the answer to a question is not.
            Trigger::FoundLive
                if rule == ReplaceRule::CancelNew as u8 && self.is_found_working(order, report) =>
            {
                Trigger::OldWorks
            }
            _ if (order.flight & VACANT != 0 || order.flight & REPLACING == 0)
                && order.was(revision, rule)
                || order.was_before(revision, rule) =>
            {
                Trigger::OldCanceled
            }
            // Where a cancel went out no replace did: its new self has not left, or is acknowledged.
            Trigger::Replaced
                if rule == ReplaceRule::CancelNew as u8 && !order.binds(revision, rule) =>
            {
                Trigger::PendingNew
            }
            Trigger::CancelRejected if order.own_cancel(revision) => Trigger::ReplaceRejected,
            // There is no old self any more to go back to.
            Trigger::ReplaceRejected if order.flight & VACANT != 0 => Trigger::Rejected,
            Trigger::Canceled | Trigger::FoundCanceled if order.was(revision, rule) => {
                Trigger::OldCanceled
            }
            // A part that has filled is not the order: its fills have said so, or are to come. Where a
            // replace waits for its end, that is the end.
            Trigger::FoundFilled if self.in_parts(order) => {
                let makes_room = order.flight & (MOVING | VACANT) == MOVING;
                // Filled by fills that we have, and more of it out by our count: none can follow that.
                let told = self.told_cum(order, report);
                let over = queried && report.cum_qty > 0 && told <= order.cum_qty;
                if makes_room && self.part_filled(order) {
                    Trigger::OldCanceled
                } else if over {
                    Trigger::FoundCanceled
                } else {
                    Trigger::PendingNew
                }
            }
            told => told,
        })
    }

    /// The table's action, with the two facts a status does not hold: which of our messages the
    /// report answers, and whether that message is still in flight.
    pub(crate) fn action(&self, order: &Order, trigger: Trigger, revision: u16) -> Option<Action> {
        let action = transition(order.ord_status(), trigger)?;
        mutant!(ack_reopens_what_ended => if trigger == Trigger::Acked {
            return Some(Action::Open);
        });
        let answers = match trigger {
            // Of an order that fills had ended: only to more, and never acknowledged before (D8).
            Trigger::Replaced if !order.live() => {
                revision == order.replace_revision
                    && revision > order.revision
                    && order.pending_qty > order.cum_qty.min(order.order_qty)
            }
            Trigger::Replaced | Trigger::ReplaceRejected | Trigger::ReplaceDropped => {
                order.flight & REPLACING != 0
                    && !order.is_vacant()
                    && (revision == order.replace_revision || order.own_cancel(revision))
            }
            // What it was is over already: only a cancel that we want ends it.
            Trigger::OldCanceled
                if order.flight & VACANT != 0
                    || order.flight & REPLACING == 0
                    || order.was_before(revision, self.replace_rule(order)) =>
            {
                false
            }
            // At a venue that does both itself the new one may be there already.
            Trigger::OldCanceled if order.flight & MOVING == 0 => return Some(Action::Vacate),
            Trigger::OldCanceled if order.flight & (CANCEL_ASKED | CANCELING) != 0 => {
                return Some(Action::Cancel);
            }
            Trigger::CancelRejected | Trigger::CancelDropped => {
                order.flight & CANCELING != 0 && revision == order.cancel_revision
            }
            Trigger::NotFound => {
                order.flight & UNSURE != 0 && order.base == OrdStatus::PendingNew as u8
                    || (order.flight & (MOVING | VACANT) == VACANT
                        && revision == order.replace_revision)
            }
            // A change on its way hides that the venue never showed it has the order.
            Trigger::DayClosed => {
                order.base != OrdStatus::PendingNew as u8
                    && order.flight & (MOVING | VACANT) != VACANT
            }
            // Acked means the new order itself: the ack of a later message is a late copy.
            Trigger::Acked => order.base == OrdStatus::PendingNew as u8,
            Trigger::FoundLive if order.flight & UNSURE == 0 => {
                order.base == OrdStatus::PendingNew as u8
            }
            // What is in flight stays in doubt: only that the venue has the order is news.
            Trigger::FoundWaiting => order.base == OrdStatus::PendingNew as u8,
            _ => true,
        };
        // The venue works by terms that we gave up, or by both: a person has to look.
        let two_lives = trigger == Trigger::Replaced && order.gave_up(revision);
        mutant!(second_self_unnoticed: two_lives = false);
        if answers {
            Some(action)
        } else if trigger == Trigger::NotFound || two_lives {
            None
        } else {
            Some(Action::Stay)
        }
    }
}

/// Whether the venue's word on an order counts fills that we lack: by its sum, or because it is filled
/// and neither its quantity nor a sum that agrees with ours says so.
fn lacks_fills(order: &Order, trigger: Trigger, cum_qty: i64, in_parts: bool) -> bool {
    let whole = match order.flight & REPLACING {
        0 => order.order_qty,
        _ => order.order_qty.min(order.pending_qty),
    };
    let agrees = cum_qty > 0 && (cum_qty == order.cum_qty || in_parts && cum_qty < order.cum_qty);
    match trigger {
        Trigger::FoundFilled => cum_qty > order.cum_qty || order.cum_qty < whole && !agrees,
        Trigger::FoundLive
        | Trigger::FoundWaiting
        | Trigger::FoundCanceled
        | Trigger::FoundRejected
        | Trigger::FoundExpired
        | Trigger::Calculated => cum_qty > order.cum_qty,
        _ => false,
    }
}

/// Whether fills that only a replace in flight would have allowed are left without it: an overfill, told
/// when the venue refuses the replace or ends the order without naming it by its new id (I9).
fn leaves_overfilled(order: &Order, action: Action, revision: u16) -> bool {
    let by_replace = order.flight & REPLACING != 0 && order.cum_qty > order.order_qty;
    by_replace
        && match action {
            Action::RestoreReplace | Action::Calculate => true,
            Action::Reject => !was_replaced(order, revision),
            Action::Cancel | Action::Expire | Action::Complete | Action::Resolve => {
                revision != order.replace_revision
            }
            _ => false,
        }
}

/// Whether an order has ended, and not by its fills.
pub(crate) fn ended_otherwise(order: &Order) -> bool {
    closed(order.base) && order.base != OrdStatus::Filled as u8
}

/// Whether a report was told before, or may have been: what it says is left may be so no more.
pub(crate) fn is_told_anew(report: &ExecutionReport) -> bool {
    report.flags & (REPORT_POSS_DUP | REPORT_POSS_RESEND | REPORT_QUERIED) != 0
}

/// Whether the venue, naming an order by this id, says that it had taken the replace in flight: where
/// that changes the order itself and makes no other of it.
pub(crate) fn was_replaced(order: &Order, revision: u16) -> bool {
    order.flight & (REPLACING | MOVING | VACANT) == REPLACING && revision == order.replace_revision
}

/// Whether the venue tells anew of an order that it had set aside: a copy of what it said before is older.
pub(crate) fn renews(order: &Order, report: &ExecutionReport) -> bool {
    let live = [OrdStatus::New as u8, OrdStatus::PartiallyFilled as u8];
    let tells = report.exec_type == ExecType::New as u8 || live.contains(&report.ord_status);
    tells && set_aside(order.base) && report.transact_time_ns > order.end_time_ns
}

/// The trigger of a report by itself; `None` for what has no meaning.
fn trigger_told(
    exec_type: ExecType,
    order: &Order,
    report: &ExecutionReport,
    reason: RestatementReason,
) -> Option<Trigger> {
    let renews = || renews(order, report);
    let again = report.flags & (REPORT_POSS_DUP | REPORT_POSS_RESEND) != 0;
    let status = OrdStatus::from_code(report.ord_status);
    Some(match exec_type {
        // The venue tells a set-aside order anew: a copy of the first ack is older than that.
        ExecType::New if renews() => Trigger::Renewed,
        ExecType::New => Trigger::Acked,
        ExecType::Trade => Trigger::Trade,
        ExecType::Canceled => Trigger::Canceled,
        ExecType::Replaced => Trigger::Replaced,
        ExecType::Rejected => Trigger::Rejected,
        ExecType::Expired => Trigger::Expired,
        ExecType::CancelRejected => Trigger::CancelRejected,
        ExecType::ReplaceRejected => Trigger::ReplaceRejected,
        ExecType::UnknownOrder => Trigger::NotFound,
        ExecType::DoneForDay => Trigger::DoneForDay,
        ExecType::TradeCancel => Trigger::Bust,
        ExecType::TradeCorrect => Trigger::Correct,
        // A restatement may say that the order is over, or good again for another day.
        ExecType::Restated => match status {
            Some(OrdStatus::Canceled) => Trigger::Canceled,
            Some(OrdStatus::Expired) => Trigger::Expired,
            None | Some(OrdStatus::None) if ends(reason) => Trigger::Canceled,
            _ => Trigger::Restated,
        },
        ExecType::Suspended => Trigger::Suspended,
        ExecType::Stopped => Trigger::Stopped,
        ExecType::PendingNew => Trigger::PendingNew,
        ExecType::OrderStatus => match status? {
            // An answer that ends a doubt renews with it.
            OrdStatus::New | OrdStatus::PartiallyFilled
                if renews() && (again || order.flight & UNSURE == 0) =>
            {
                Trigger::Renewed
            }
            // Told again, it may be older than what is in flight.
            OrdStatus::PendingCancel | OrdStatus::PendingReplace => Trigger::FoundWaiting,
            OrdStatus::New
            | OrdStatus::PartiallyFilled
            | OrdStatus::Suspended
            | OrdStatus::Stopped
            | OrdStatus::DoneForDay
                if again =>
            {
                Trigger::FoundWaiting
            }
            OrdStatus::New
            | OrdStatus::PartiallyFilled
            | OrdStatus::Suspended
            | OrdStatus::Stopped
            | OrdStatus::DoneForDay => Trigger::FoundLive,
            OrdStatus::PendingNew => Trigger::PendingNew,
            OrdStatus::Filled => Trigger::FoundFilled,
            OrdStatus::Canceled => Trigger::FoundCanceled,
            OrdStatus::Rejected => Trigger::FoundRejected,
            OrdStatus::Expired => Trigger::FoundExpired,
            OrdStatus::Calculated => Trigger::Calculated,
            OrdStatus::None | OrdStatus::Unknown | OrdStatus::Held => return None,
        },
        ExecType::Calculated => Trigger::Calculated,
    })
}

/// ExecRestatementReason(378) of a report, as its ids tell it; a venue's own number counts as other.
pub(crate) fn reason_of(ids: Option<&ExecRef>) -> RestatementReason {
    let told = ids.map_or(0, |ids| ids.restatement_reason);
    RestatementReason::from_code(told).unwrap_or(RestatementReason::Other)
}

/// Which of our messages a report names its order by; 0 for the new order and for an adopted one.
pub(crate) fn revision_of(report: &ExecutionReport, order_seq: u64) -> u16 {
    street::decode(&report.street_id)
        .filter(|street| street.order_seq == order_seq)
        .map_or(0, |street| street.revision)
}

/// Whether a restatement for this reason is the end of the order, where it tells no status.
fn ends(reason: RestatementReason) -> bool {
    use RestatementReason::*;
    let ends = [TradingHalt, SystemFailure, NotBest, ConnectionLoss, Logout];
    ends.contains(&reason) || [PriceViolation, CrossImbalance].contains(&reason)
}

/// The order with the venue's terms: price and quantity where told, of a declined part what the venue
/// still counts; a quantity below what is filled is amended to it, as a replace's is (FIX 4.4 vol. 4
/// C.3.c). One that is closed opens again only when the venue counts something left of it.
pub(crate) fn restated(
    order: &Order,
    report: &ExecutionReport,
    reason: RestatementReason,
    before: Option<i64>,
) -> Order {
    let mut next = *order;
    if report.last_px != 0 {
        next.price = report.last_px;
    }
    // The venue speaks of what it has: of a part, so the order is as large as its client made it, or of
    // all that was left, and what had filled before is the order's too.
    let counted = match reason {
        _ if report.last_qty > 0 => report.last_qty,
        RestatementReason::QtyDecline => report.cum_qty.saturating_add(report.leaves_qty),
        _ => 0,
    };
    if let Some(before) = before.filter(|_| counted > 0) {
        next.order_qty = counted.saturating_add(before).max(order.cum_qty);
    }
    if order.live() || (report.leaves_qty > 0 && next.order_qty > next.cum_qty) {
        let live = [OrdStatus::New as u8, OrdStatus::PartiallyFilled as u8];
        let renewed = live.contains(&report.ord_status) || reason == RestatementReason::GtRenewal;
        if order.base != OrdStatus::PendingNew as u8 || renewed {
            if renewed || !order.live() {
                next.base = OrdStatus::New as u8;
            }
            next.base = crate::apply::by_fills(&next);
        }
    }
    if !set_aside(next.base) && !closed(next.base) {
        if set_aside(order.base) {
            next.end_time_ns = report.transact_time_ns;
        } else if closed(order.base) {
            next.end_time_ns = 0;
        }
    }
    next
}

/// Whether a word sets its order aside, or makes that stricter: one older than the word that
/// renewed it is a copy, or out of order.
fn sets_aside(order: &Order, exec_type: ExecType, report: &ExecutionReport) -> bool {
    let renewed_ns = if set_aside(order.base) { 0 } else { order.end_time_ns };
    let older = report.transact_time_ns > 0 && report.transact_time_ns < renewed_ns;
    !older && aside(order, exec_type).0 != order.base
}

/// The base of an order that the venue sets aside, the strictest of what it said; whether it is new.
pub(crate) fn aside(order: &Order, exec_type: ExecType) -> (u8, bool) {
    let told = match exec_type {
        ExecType::Suspended => OrdStatus::Suspended,
        ExecType::Stopped => OrdStatus::Stopped,
        _ => OrdStatus::DoneForDay,
    } as u8;
    let base = if set_aside(order.base) { order.base.max(told) } else { told };
    (base, base != order.base)
}
