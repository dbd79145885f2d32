//! What a venue's report is taken for: pure. Reports are data from outside, so nothing here asserts
//! on them; whatever fits no row is flagged in its disposition and changes nothing. Called by the
//! pipeline before the report becomes an event, and by `apply` for the same answer's action.

use crate::order::{Action, CANCELING, REPLACING, Trigger, transition};
use crate::{Engine, Order, fills, number, street};
use layout::{Disposition, ExecType, ExecutionReport, FLAG_NEGATIVE_PRICES, OrdStatus};

/// A report judged: whose it is, what it is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub order_seq: u64,
    pub disposition: Disposition,
}

impl Engine {
    /// Judges a report and changes nothing.
    pub(crate) fn judge(&self, report: &ExecutionReport) -> Taken {
        let nobody = |disposition| Taken { order_seq: 0, disposition };
        let Some(street) = street::decode(&report.street_id) else {
            return nobody(Disposition::UnknownOrder);
        };
        let Some(order) = self.order(street.order_seq) else {
            return nobody(Disposition::UnknownOrder);
        };
        let ours = order.epoch == street.epoch
            && order.venue_id == report.venue_id
            && street.revision <= order.revision_last
            && !order.is_parent();
        if !ours {
            return nobody(Disposition::UnknownOrder);
        }
        let taken = |disposition| Taken { order_seq: order.order_seq, disposition };
        let Some(exec_type) = ExecType::from_code(report.exec_type) else {
            return taken(Disposition::Malformed);
        };
        if report.cum_qty < 0 || report.leaves_qty < 0 || report.fee == i64::MIN {
            return taken(Disposition::Malformed);
        }
        if exec_type == ExecType::Trade {
            return taken(self.judge_trade(order, report));
        }
        let Some(trigger) = trigger_of(exec_type, report.ord_status) else {
            let later = [
                ExecType::DoneForDay,
                ExecType::TradeCancel,
                ExecType::TradeCorrect,
                ExecType::Restated,
                ExecType::Suspended,
                ExecType::Stopped,
            ];
            return taken(match exec_type {
                _ if later.contains(&exec_type) => Disposition::Unsupported,
                ExecType::PendingNew => Disposition::Stale,
                _ => Disposition::Malformed,
            });
        };
        let queried = matches!(
            trigger,
            Trigger::FoundLive
                | Trigger::FoundFilled
                | Trigger::FoundCanceled
                | Trigger::FoundExpired
        );
        if queried && order.live() && report.cum_qty > order.cum_qty {
            return taken(Disposition::Gap); // fills are missing: closing now would lose their reserve
        }
        taken(match self.action(order, trigger, street.revision) {
            None => Disposition::OutsideTable,
            Some(Action::Stay) => Disposition::Stale,
            Some(_) => Disposition::Applied,
        })
    }

    fn judge_trade(&self, order: &Order, report: &ExecutionReport) -> Disposition {
        let flags = self.instruments[order.instrument_id as usize].flags;
        let (px, qty) = (report.last_px, report.last_qty);
        let sound = qty > 0
            && (px > 0 || flags & FLAG_NEGATIVE_PRICES != 0)
            && number::points(px, qty).abs() < number::POINTS_MAX
            && order.cum_qty.checked_add(qty).is_some();
        if !sound {
            return Disposition::Malformed;
        }
        let day = self.venues[order.venue_id as usize].trade_day;
        match self.fills.find(&fills::fill_row(report, order.order_seq, day)) {
            fills::Known::Same => return Disposition::Duplicate,
            fills::Known::Other => return Disposition::Conflict,
            fills::Known::No => {}
        }
        if self.fills.len() >= self.fills.capacity() && report.cum_qty <= order.cum_qty {
            return Disposition::Duplicate; // no memory of fills left: the venue's own sum decides
        }
        let most = if order.flight & REPLACING != 0 {
            order.order_qty.max(order.pending_qty)
        } else {
            order.order_qty
        };
        if order.cum_qty + qty > most {
            Disposition::Overfill
        } else if !order.live() {
            Disposition::Late
        } else {
            Disposition::Applied
        }
    }

    /// The table's action, with the two facts a status does not hold: which of our messages the
    /// report answers, and whether that message is still in flight.
    pub(crate) fn action(&self, order: &Order, trigger: Trigger, revision: u16) -> Option<Action> {
        let action = transition(order.ord_status(), trigger)?;
        let answers = match trigger {
            Trigger::Replaced | Trigger::ReplaceRejected | Trigger::ReplaceDropped => {
                order.flight & REPLACING != 0 && revision == order.replace_revision
            }
            Trigger::CancelRejected | Trigger::CancelDropped => {
                order.flight & CANCELING != 0 && revision == order.cancel_revision
            }
            Trigger::NotFound => order.base == OrdStatus::PendingNew as u8,
            // Acked means the new order itself: the ack of a later message is a late copy.
            Trigger::Acked => order.base == OrdStatus::PendingNew as u8,
            _ => true,
        };
        if answers {
            Some(action)
        } else if trigger == Trigger::NotFound {
            None
        } else {
            Some(Action::Stay)
        }
    }
}

/// The trigger of an exec_type; `None` for what this release records and does not fold.
pub(crate) fn trigger_of(exec_type: ExecType, ord_status: u8) -> Option<Trigger> {
    Some(match exec_type {
        ExecType::New => Trigger::Acked,
        ExecType::Trade => Trigger::Trade,
        ExecType::Canceled => Trigger::Canceled,
        ExecType::Replaced => Trigger::Replaced,
        ExecType::Rejected => Trigger::Rejected,
        ExecType::Expired => Trigger::Expired,
        ExecType::CancelRejected => Trigger::CancelRejected,
        ExecType::ReplaceRejected => Trigger::ReplaceRejected,
        ExecType::UnknownOrder => Trigger::NotFound,
        ExecType::OrderStatus => match OrdStatus::from_code(ord_status)? {
            OrdStatus::New
            | OrdStatus::PartiallyFilled
            | OrdStatus::PendingCancel
            | OrdStatus::PendingReplace => Trigger::FoundLive,
            OrdStatus::Filled => Trigger::FoundFilled,
            OrdStatus::Canceled => Trigger::FoundCanceled,
            OrdStatus::Rejected => Trigger::FoundRejected,
            OrdStatus::Expired => Trigger::FoundExpired,
            _ => return None,
        },
        _ => return None,
    })
}
