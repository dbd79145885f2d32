//! The trading day of a venue and the desk's own timers. Days, phases and time are inputs; what they
//! mean here is an event each. A good-till-date order gets a cancel when its time comes: that it has
//! expired is the venue's word, or that of the closing of the day. What never left (held orders,
//! parents) expires here. An order at the venue whose day is over expires by the `day_change` that
//! closes it only if that is proved, by a query or an operator; else it lives on, reserve kept, until
//! the venue says so. Called by the pipeline; folded by `apply`.

use crate::order::{Action, Order, Trigger};
use crate::risk::first;
use crate::{Engine, Log, Outbox, number};
use arch::mutant;
use layout::{CancelAccepted, DayChange, LinkState, OrdStatus, OwnCause, TimeInForce, Verdict};

/// A cancel that expiry asked for and that did not end its order is asked for again after this, and
/// each further time after twice as long, up to `RETRY_DOUBLINGS` times.
const RETRY_NS: i64 = 1_000_000_000;
const RETRY_DOUBLINGS: u16 = 12;
/// Timers looked at in one step.
const TIMER_LOOKS: usize = 256;
/// The timers that wait for their time, and those whose time has come and whose cancel cannot go yet.
pub(crate) const RIPE: usize = 0;
const STUCK: usize = 1;
/// Cancels that one step sends for timers.
const TIMER_CANCELS: usize = 64;

/// What is known of a venue's day.
pub(crate) const DAY_OPEN: u8 = 1;
/// Closed; day orders there may still be expiring.
pub(crate) const DAY_CLOSED: u8 = 2;
/// Opened while no cancel could leave: what rests is judged when the link is up.
pub(crate) const DAY_UNJUDGED: u8 = 3;

impl Engine {
    /// Whether the day that has closed at its venue was this order's last: one that came after the close
    /// waits for the next day.
    fn day_over(&self, order: &Order) -> bool {
        let venue = order.venue_id as usize;
        if self.days[venue] != DAY_CLOSED || order.order_seq >= self.closed_seq[venue] {
            return false;
        }
        match TimeInForce::from_code(order.time_in_force) {
            Some(TimeInForce::Gtc) => false,
            Some(TimeInForce::Gtd) => self.order_terms(order.order_seq).is_some_and(|terms| {
                terms.expire_day != 0 && terms.expire_day <= self.venues[venue].trade_day
            }),
            _ => true,
        }
    }

    /// How a cancel of an order ends it without a message, and why: 0 when one must go out. It expires by
    /// its own time or day alone: whoever else wanted it gone has canceled it.
    pub(crate) fn closes_here(&self, order: &Order) -> (u8, OwnCause) {
        let terms = self.order_terms(order.order_seq);
        let why = terms.and_then(|terms| OwnCause::from_code(terms.why)).unwrap_or(OwnCause::None);
        match why {
            why if !order.is_here() => (0, why),
            OwnCause::Expiry | OwnCause::DayEnd => (2, why),
            // Without terms nothing says why: it was asked for at the end of its day.
            _ if terms.is_none() && self.day_over(order) => (2, OwnCause::DayEnd),
            why => (1, why),
        }
    }

    pub(crate) fn fold_day(&mut self, e: &DayChange) {
        let venue = &mut self.venues[e.venue_id as usize];
        venue.link_seq_in = venue.link_seq_in.max(e.link_seq);
        // The close of a day that is not the present one says nothing about today's orders.
        let told = [0, venue.trade_day].contains(&e.trade_day);
        let today = told || venue.trade_day == 0; // before the first opening there is no other day
        if e.opened != 0 {
            if venue.opened_day[0] != e.trade_day || venue.opened_ns[0] == 0 {
                venue.opened_ns.rotate_right(1);
                venue.opened_day.rotate_right(1);
                venue.opened_ns[0] = e.header.ingest_time_ns;
                venue.opened_day[0] = e.trade_day;
            }
            venue.trade_day = e.trade_day;
            let up = venue.link == LinkState::Up as u8;
            self.days[e.venue_id as usize] = if up { DAY_OPEN } else { DAY_UNJUDGED };
        } else if today {
            if self.days[e.venue_id as usize] != DAY_CLOSED {
                self.closed_seq[e.venue_id as usize] = self.next_order_seq;
            }
            self.days[e.venue_id as usize] = DAY_CLOSED;
            self.end_day(e.venue_id, e.proved != 0, e.header.ingest_time_ns);
        }
        self.purge_fills(u64::MAX);
    }

    /// Ends what the closed day was the last of: what is here by an event of its own, which the sweep
    /// writes; what was at the venue by this event, where it is proved that the venue had it.
    fn end_day(&mut self, venue_id: u16, proved: bool, time_ns: i64) {
        mutant!(day_end_without_proof: proved = true);
        for word in 0..self.live.len() {
            let mut bits = self.live[word];
            while bits != 0 {
                let slot = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let order = self.orders[slot];
                // Filled whole, it was only done for a day that is over now.
                let done = order.base == OrdStatus::DoneForDay as u8
                    && order.cum_qty >= order.order_qty
                    && self.action(&order, Trigger::DayClosed, 0) == Some(Action::Expire);
                if order.venue_id != venue_id || !(done || self.day_over(&order)) {
                    continue;
                }
                if done {
                    self.act(slot, time_ns, Action::Expire, 0, None);
                } else if order.is_here() {
                    self.ask_own(order.order_seq, OwnCause::DayEnd);
                } else if proved
                    && self.action(&order, Trigger::DayClosed, 0) == Some(Action::Expire)
                {
                    self.act(slot, time_ns, Action::Expire, 0, None);
                }
            }
        }
    }

    /// Cancels, once a cancel can leave, what a new day no longer allows: orders that rest over days are
    /// judged again by the instrument and the limits in force, not by prices, which the day has not
    /// shown yet.
    #[cold]
    pub(crate) fn recheck_resting<L: Log, O: Outbox>(
        &mut self,
        venue_id: u16,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) {
        for slot in 0..self.orders.len() {
            let order = self.orders[slot];
            let rests = order.live()
                && order.venue_id == venue_id
                && !order.is_parent()
                && (order.time_in_force == TimeInForce::Gtc as u8
                    || order.time_in_force == TimeInForce::Gtd as u8);
            if !rests || log.room() < self.config.log_reserve / 4 {
                continue;
            }
            self.refresh_row(order.account_id, order.instrument_id);
            if self.check_resting(&order) == Verdict::Accepted || self.check_cancel(&order) != 0 {
                continue;
            }
            let mut event = CancelAccepted::ZERO;
            event.why = OwnCause::Recheck as u8;
            self.send_cancel(order.order_seq, event, now_ns, log, outbox);
        }
    }

    fn check_resting(&self, order: &Order) -> Verdict {
        let i = &self.instruments[order.instrument_id as usize];
        let row = &self.rows[self.pair(order.account_id, order.instrument_id)];
        let points = number::points(order.price, order.leaves_qty()).saturating_abs();
        let fail = crate::risk::fail;
        first(
            fail(i.defined != 2, Verdict::InstrumentUnknown)
                | fail(i.flags & layout::FLAG_RESTRICTED != 0, Verdict::InstrumentRestricted)
                | fail(!i.tick.divides(order.price), Verdict::PriceOffTick)
                | fail(order.leaves_qty() > row.order_qty_max, Verdict::OrderQtyLimit)
                | fail(points > row.order_points_max, Verdict::OrderNotionalLimit),
        )
    }

    /// Sends cancels for orders whose ExpireTime(126) has come; the sweep sends those asked for that have
    /// waited long enough.
    pub(crate) fn run_timers<L: Log, O: Outbox>(
        &mut self,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) {
        if now_ns >= self.wake_ns {
            self.wake_ns = i64::MAX;
            self.wake_pegs(now_ns, log, outbox);
            self.wake_parked();
        }
        if now_ns >= self.repeats.next_ns() {
            self.repeats.take_due(now_ns, &mut self.to_cancel);
        }
        if now_ns >= self.pace.next_ns() {
            self.sweep(now_ns, log, outbox);
        }
        if now_ns >= self.silence.next_ns(self.next_order_seq) {
            self.ask_silent(now_ns, log, outbox);
        }
        let mut sent = 0;
        for _ in 0..TIMER_LOOKS {
            let ripe = self.timers.first(RIPE).filter(|&row| self.timers.key(row) <= now_ns);
            let Some(row) = ripe else { break };
            if sent == TIMER_CANCELS || log.room() < self.config.log_reserve / 4 {
                break;
            }
            self.counters.looks += 1;
            let order = self.orders[self.slot(self.timers.order_seq(row))];
            if self.check_cancel(&order) != 0 {
                self.turn_timer(row, STUCK); // out of the way of the others
                continue;
            }
            let mut event = CancelAccepted::ZERO;
            event.why = OwnCause::Expiry as u8;
            self.send_cancel(order.order_seq, event, now_ns, log, outbox);
            sent += 1; // the fold moved or removed the row
        }
    }

    /// The desk's own work is to be looked at by this time.
    pub(crate) fn wake_by(&mut self, time_ns: i64) {
        self.wake_ns = self.wake_ns.min(time_ns);
    }

    fn turn_timer(&mut self, row: usize, tree: usize) {
        let (key, order_seq) = (self.timers.key(row), self.timers.order_seq(row));
        assert!(self.timers.remove(row));
        self.timers.insert(tree, row, key, order_seq);
    }

    /// A change of an order may let its cancel go.
    pub(crate) fn retry_timer(&mut self, row: usize) {
        if self.timers.is_in(STUCK, row) {
            self.turn_timer(row, RIPE);
        }
    }

    /// A fact that is no order's own may let go what waits: each is tried again, once.
    #[cold]
    pub(crate) fn retry_all(&mut self) {
        self.to_ask = self.queries.len() as u64;
        while let Some(row) = self.timers.first(STUCK) {
            self.turn_timer(row, RIPE);
        }
        self.wake_parked();
        if self.asked_count == self.to_cancel.len() && self.vacant_count == self.to_move.len() {
            return;
        }
        self.hurry_where(|_| true);
    }

    /// What waits of these live orders is tried at once; a cancel in flight keeps its place.
    pub(crate) fn hurry_where(&mut self, wanted: impl Fn(&Order) -> bool) {
        for word in 0..self.live.len() {
            let mut bits = self.live[word];
            while bits != 0 {
                let slot = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let order = &self.orders[slot];
                match wanted(order) {
                    true if order.is_asked() => self.hurry(slot),
                    true => self.retry(slot),
                    false => {}
                }
            }
        }
    }

    /// What waits of one order is tried at once: a cancel that its venue has refused may do better now.
    pub(crate) fn hurry(&mut self, slot: usize) {
        self.repeats.forget(slot);
        self.retry(slot);
    }

    /// What waits of one order is tried again, a cancel that its venue has refused when its time comes.
    pub(crate) fn retry(&mut self, slot: usize) {
        let order = &self.orders[slot];
        if order.is_asked() && (order.is_here() || !self.repeats.waits(slot)) {
            self.to_cancel.set(slot);
        }
        if order.live() && order.is_vacant() {
            self.to_move.set(slot);
        }
    }

    /// The timer of an order whose cancel has gone out is set again: should the cancel fail, it is
    /// asked for once more, not at once.
    pub(crate) fn fold_expiry(&mut self, order_seq: u64, revision: u16, time_ns: i64) {
        let after_ns = RETRY_NS << revision.saturating_sub(1).min(RETRY_DOUBLINGS);
        let row = self.terms_row(order_seq);
        if self.order_terms(order_seq).is_some() && self.timers.remove(row) {
            self.timers.insert(RIPE, row, time_ns.saturating_add(after_ns), order_seq);
        }
    }

    /// Time of the next timer; `i64::MAX` for none.
    pub fn next_timer_ns(&self) -> i64 {
        let own = self.timers.first_key(RIPE).min(self.wake_ns).min(self.repeats.next_ns());
        own.min(self.silence.next_ns(self.next_order_seq)).min(self.pace.next_ns())
    }

    /// After a fill, a bust, an adjustment or a larger order: reduce-only orders keep the position in the
    /// order they came, and those that find too little left of it are canceled.
    #[cold]
    pub(crate) fn follow_reducing(&mut self, account_id: u32, instrument_id: u32) {
        let net = self.rows[self.pair(account_id, instrument_id)].net_qty;
        let legs = self.both_legs(account_id, instrument_id).map(|leg| leg.qty);
        let [long, short] = if self.hedges(account_id) { legs } else { [net; 2] };
        let mut left = [(-short).max(0), long.max(0)]; // what buys, what sells may close
        let mut at = self.reducing.first(instrument_id as usize);
        while let Some(row) = at {
            at = self.reducing.next(row);
            let order_seq = self.reducing.order_seq(row);
            let order = self.orders[self.slot(order_seq)];
            // What is held is judged when it leaves.
            if order.account_id != account_id
                || !order.live()
                || order.base == OrdStatus::Held as u8
            {
                continue;
            }
            let side = usize::from(!order.is_buy());
            left[side] = left[side].saturating_sub(order.leaves_qty());
            if left[side] < 0 {
                left[side] += order.leaves_qty();
                self.ask_own(order_seq, OwnCause::ReduceOnly);
            }
        }
    }
}
