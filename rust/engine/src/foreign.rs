//! Orders found at a venue and unknown here: typed at the venue's screen, liquidations and ADL (CORNERS
//! 33), or lost with a log. A report alone does not say what such an order is; a `foreign_order` record
//! before it does. By the policy of the venue it is flagged (an event, nothing else), or adopted: then
//! it is an order of the account that the venue's definition names, with a reserve, fills, a position,
//! and the kill switch cancels it. Called by the pipeline; `fold_foreign` by `apply` alone.
//!
//! What must stay true: no limit is asked, since the order is a fact; an adopted order has no session,
//! and its row in the id table, under a session number that no session has, is the venue's id of it.

use crate::order::BREAKS;
use crate::risk::{side_index, stops_orders};
use crate::street::{self, Street};
use crate::{Engine, Log, Order, dedup};
use layout::{
    ExecType, ExecutionReport, ForeignOrder, Header, OrdStatus, OrdType, Side, TimeInForce, Typed,
    Verdict,
};

/// The session number under which the id table knows the orders of a venue that are not ours by birth;
/// above every session's (`Engine::new` asserts it).
fn session_of(venue_id: u16) -> u16 {
    u16::MAX - venue_id
}

/// The venue of such a number; of a session's own, one that is no venue.
pub(crate) fn venue_of(session_id: u16) -> usize {
    (u16::MAX - session_id).into()
}

fn padded(street_id: &[u8; 20]) -> [u8; 36] {
    let mut id = [0; 36];
    id[..20].copy_from_slice(street_id);
    id
}

/// Whether a report says that its order lives, or has traded: others tell of an order that is over.
fn shows_order(report: &ExecutionReport) -> bool {
    use OrdStatus::{DoneForDay, New, PartiallyFilled, PendingCancel, PendingReplace, Stopped};
    let live = [New, PartiallyFilled, PendingCancel, PendingReplace, Stopped, DoneForDay];
    match ExecType::from_code(report.exec_type) {
        Some(
            ExecType::New
            | ExecType::Trade
            | ExecType::Replaced
            | ExecType::Restated
            | ExecType::Suspended
            | ExecType::Stopped
            | ExecType::DoneForDay,
        ) => true,
        Some(ExecType::OrderStatus) => OrdStatus::from_code(report.ord_status)
            .is_some_and(|status| live.contains(&status) || status == OrdStatus::Suspended),
        _ => false,
    }
}

impl Engine {
    /// The adopted order that a report names by the venue's own id of it.
    #[cold]
    pub(crate) fn adopted(&self, report: &ExecutionReport) -> Option<(&Order, u16)> {
        let order = self.order(self.adopted_seq(report))?;
        (order.venue_id == report.venue_id).then_some((order, 0))
    }

    /// Our number of the order that a venue's own id names; 0 for one that we do not know.
    pub(crate) fn adopted_seq(&self, report: &ExecutionReport) -> u64 {
        if report.venue_id == 0 || report.venue_id as usize >= self.venues.len() {
            return 0;
        }
        let (id, session_id) = (padded(&report.street_id), session_of(report.venue_id));
        let row = self.dedup.find(dedup::id_hash(&id, session_id), session_id, &id);
        row.map_or(0, |row| self.dedup.row(row).order_seq)
    }

    /// Whether a report tells of a day whose fills we may remember no longer: what has been booked of them
    /// cannot be told from what was not. A trading day may be one ahead of the day it was booked on.
    pub(crate) fn is_of_old(&self, report: &ExecutionReport) -> bool {
        let (day, today) =
            (self.fill_key(report, 0).0.trade_day, self.venues[report.venue_id as usize].trade_day);
        day.saturating_add(self.config.fill_days) <= today
    }

    /// Whether an order was found at its venue: it came from no session of ours.
    pub fn is_adopted(order: &Order) -> bool {
        order.order_seq != 0 && order.session_id == 0
    }

    /// Our id of an order at its venue after so many changes; of an adopted one the venue's own until
    /// the first change.
    pub fn street_id(&self, order: &Order, revision: u16) -> [u8; 20] {
        let foreign = self.cl_ord_id(order);
        if revision == 0 && Self::is_adopted(order) && foreign[0] != 0 {
            return foreign[..20].try_into().expect("20 of 36 bytes");
        }
        let (epoch, order_seq) = (order.epoch, order.order_seq);
        street::encode(Street { epoch, order_seq, revision })
    }

    /// As [`Engine::street_id`], in words.
    pub(crate) fn street_words(&self, order: &Order, revision: u16) -> [u64; 3] {
        let (epoch, order_seq) = (order.epoch, order.order_seq);
        if order.session_id != 0 || revision != 0 {
            return street::words(Street { epoch, order_seq, revision });
        }
        let mut bytes = [0; 24];
        bytes[..20].copy_from_slice(&self.street_id(order, revision));
        let word =
            |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        [word(0), word(8), word(16)]
    }

    /// Keeps what the venue says of an order until its next report comes; outside the state.
    #[cold]
    pub(crate) fn offer_foreign(&mut self, order: &ForeignOrder) -> Verdict {
        match self.foreign.get_mut(order.venue_id as usize) {
            Some(offered) if order.venue_id != 0 => {
                *offered = Some(*order);
                Verdict::Accepted
            }
            _ => Verdict::VenueUnknown,
        }
    }

    /// What was offered for this report; an offer of another order is dropped.
    pub(crate) fn offered_foreign(&mut self, report: &ExecutionReport) -> Option<ForeignOrder> {
        let offered = self.foreign.get_mut(report.venue_id as usize)?;
        let order = if offered.is_some() { offered.take() } else { None };
        order.filter(|order| order.street_id == report.street_id)
    }

    /// Logs an order that is not ours, adopted or flagged; whether it is ours from now on.
    #[cold]
    pub(crate) fn take_foreign<L: Log>(
        &mut self,
        order: &ForeignOrder,
        report: &ExecutionReport,
        now_ns: i64,
        log: &mut L,
    ) -> bool {
        let mut event = *order;
        event.header = Header { kind: ForeignOrder::KIND, ingest_time_ns: now_ns, ..Header::ZERO };
        (event.account_id, event.verdict) = (0, 0);
        match self.judge_foreign(order, report, now_ns) {
            Ok((order_seq, price)) => {
                event.header.order_seq = order_seq;
                event.account_id = self.venues[order.venue_id as usize].adopts;
                event.price = price;
            }
            Err(why) => event.verdict = why.code(),
        }
        *ForeignOrder::view_mut(log.slot(0)) = event;
        self.commit(log, 1);
        event.header.order_seq != 0
    }

    /// The number and the price of reserve that an order is adopted with; else why it is only flagged: what
    /// the order and its venue's policy say comes before what this desk has no room for.
    fn judge_foreign(
        &self,
        order: &ForeignOrder,
        report: &ExecutionReport,
        now_ns: i64,
    ) -> Result<(u64, i64), Verdict> {
        let venue = self.venues.get(order.venue_id as usize).filter(|venue| venue.defined != 0);
        let venue = venue.ok_or(Verdict::VenueUnknown)?;
        let account_id = if venue.adopts == 0 { usize::MAX } else { venue.adopts as usize };
        let account = self.accounts.get(account_id).filter(|account| account.defined != 0);
        let account = account.ok_or(Verdict::AccountUnknown)?;
        let instrument = self.instruments.get(order.instrument_id as usize);
        let instrument = instrument.filter(|instrument| instrument.defined == 2);
        let instrument = instrument.ok_or(Verdict::InstrumentUnknown)?;
        let side = Side::from_code(order.side).ok_or(Verdict::SideUnsupported)?;
        OrdType::from_code(order.ord_type).ok_or(Verdict::OrdTypeUnsupported)?;
        TimeInForce::from_code(order.time_in_force).ok_or(Verdict::TimeInForceUnsupported)?;
        let (buy, id) = (side == Side::Buy, padded(&order.street_id));
        // Without a price it reserves as a market order does, at the far edge of its band.
        let edge = if buy { instrument.band_high } else { instrument.band_low };
        let banded = instrument.reference_faults == 0 && edge != i64::MIN && edge != i64::MAX;
        let price = match order.price {
            0 if report.last_px != 0 => report.last_px,
            0 if banded => instrument.inward(edge, buy),
            told => told,
        };
        let session_id = session_of(order.venue_id);
        let hash = dedup::id_hash(&id, session_id);
        let known = self.dedup.find(hash, session_id, &id);
        let as_ours = Order {
            account_id: venue.adopts,
            instrument_id: order.instrument_id,
            side: order.side,
            ..Order::default()
        };
        let sound = self.sound(order.instrument_id, price, order.order_qty)
            && self.fits(&as_ours, order.order_qty, 0);
        let order_seq = self.free_order_seq_where(now_ns, |_| true);
        let refusals = [
            (!arch::is_padded_text(&id), Verdict::ClOrdIdMalformed),
            (known.is_some_and(|row| !self.id_expired(row, now_ns)), Verdict::DuplicateId),
            (!shows_order(report), Verdict::OrderClosed),
            // A foreign order tells no PositionEffect(77), so no leg is its.
            (account.hedging != 0, Verdict::PositionEffectInvalid),
            (self.is_of_old(report), Verdict::OutcomeUnknown),
            (order.order_qty <= 0, Verdict::QtyNotPositive),
            (!sound && price <= 0, Verdict::PriceNotPositive),
            (!sound, Verdict::NotionalOverflow),
            (order_seq == 0, Verdict::OrderTableFull),
            (!self.dedup.has_room(hash), Verdict::IdTableFull),
        ];
        match refusals.into_iter().find(|(refused, _)| *refused) {
            Some((_, why)) => Err(why),
            None => Ok((order_seq, price)),
        }
    }

    /// Folds an order found at its venue: as if accepted, with no session, no throttle and no message.
    pub(crate) fn fold_foreign(&mut self, e: &ForeignOrder) {
        let order_seq = e.header.order_seq;
        if order_seq == 0 {
            return;
        }
        assert!(order_seq >= self.next_order_seq);
        assert!(e.order_qty > 0);
        let slot = self.slot(order_seq);
        if self.orders[slot].flight & BREAKS != 0 {
            self.forget_breaks(slot, BREAKS);
        }
        assert!(!self.orders[slot].live());
        let (id, session_id) = (padded(&e.street_id), session_of(e.venue_id));
        let id_row = self.take_id_of(&e.header, &id, session_id, 0, 0);
        self.next_order_seq = order_seq + 1;
        let order = Order {
            order_seq,
            price: e.price,
            order_qty: e.order_qty,
            instrument_id: e.instrument_id,
            account_id: e.account_id,
            base: OrdStatus::PendingNew as u8, // the report that follows says more
            side: e.side,
            ord_type: e.ord_type,
            time_in_force: e.time_in_force,
            venue_id: e.venue_id,
            epoch: self.epoch as u32,
            id_row,
            ..Order::default()
        };
        self.orders[slot] = order;
        self.live[slot / 64] |= 1 << (slot % 64);
        self.live_count += 1;
        if stops_orders(self.mode_of(&order)) {
            self.want_cancel(slot);
        }
        let (pair, side) = (self.pair(e.account_id, e.instrument_id), side_index(order.is_buy()));
        let points = crate::number::points(e.price, e.order_qty).abs();
        let factor = self.instruments[e.instrument_id as usize].factor;
        let weight = self.rows[pair].weigh(&factor, side, points);
        self.reserve(pair, e.account_id, side, e.order_qty, points, &weight);
    }
}
