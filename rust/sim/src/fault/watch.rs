//! The auditor: follows the log record by record with sums of its own and holds the engine's state
//! against them after every step. Shares no arithmetic with the engine. What must stay true: it knows
//! the log and nothing else, so it can be rebuilt from any prefix that recovery gives back.

mod limits;
mod pegs;

use super::venue::Holding;
use engine::Engine;
use layout::*;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use zerocopy::IntoBytes;

pub(crate) use limits::{Bounds, MULTIPLIER};
pub(crate) use pegs::Peg;

/// An order as the log tells it.
#[derive(Clone, Default)]
struct Shadow {
    account_id: u32,
    instrument_id: u32,
    session_id: u16,
    scopes: [(u8, u32); 6],
    side: u8,
    /// Of an account that keeps its legs apart: 1 the long one, 2 the short one; else 0.
    leg: u8,
    /// A replace by cancel and new is on its way.
    moving: bool,
    parent: u64,
    is_parent: bool,
    order_qty: i64,
    cum_qty: i64,
    /// A parent: of all its children.
    cum_points: i128,
}

/// A fill that was booked, as it stands.
#[derive(Clone, Copy)]
struct Booked {
    order_seq: u64,
    px: i64,
    qty: i64,
    fee: i64,
    busted: bool,
}

fn points(px: i64, qty: i64) -> i128 {
    i128::from(px) * i128::from(qty)
}

/// Limits the run has set, for the throttle.
#[derive(Clone, Copy, Default)]
pub(crate) struct Throttle {
    pub orders_max: usize,
    pub window_ns: i64,
}

#[derive(Default)]
pub(crate) struct Watch {
    /// The log so far.
    pub records: Vec<Record>,
    /// (scope, account or session) -> its throttle.
    pub throttles: BTreeMap<(u8, u32), Throttle>,
    orders: HashMap<u64, Shadow>,
    children: BTreeMap<u64, Vec<u64>>,
    holdings: BTreeMap<(u32, u32), Holding>,
    /// The same of each leg, of accounts that keep them apart.
    legs: BTreeMap<(u32, u32, u8), Holding>,
    hedgers: BTreeSet<u32>,
    /// The venue's id of an order placed there -> the number it was adopted under.
    pub adopted: HashMap<[u8; 20], u64>,
    /// The venue's ids of orders placed there that no id was left to adopt under.
    no_room: HashSet<[u8; 20]>,
    overfilled: HashSet<u64>,
    /// Orders that a venue said had expired, each by its own word.
    expired: HashSet<u64>,
    /// Orders of which no answer to their last replace came before their end.
    unanswered: HashSet<u64>,
    /// Orders that went out a part at a time.
    sliced: HashSet<u64>,
    limits: limits::Limits,
    /// What the orders that were ever pegged are pegged to.
    pub pegs: HashMap<u64, Peg>,
    fills: Vec<Booked>,
    /// Every id under which a fill was told: its own, a copy's, that of the match, of what amended it.
    ids: HashMap<(u16, u64, [u8; 16]), usize>,
    /// What tells a fill without an id from others: venue, order, time, cum_qty.
    prints: HashMap<(u16, u64, i64, i64), usize>,
    exec_ref: Option<ExecRef>,
    sends: BTreeMap<(u8, u32), VecDeque<i64>>,
    /// Orders whose message went into the log.
    routed: HashSet<(u64, u16)>,
    modes: BTreeMap<(u8, u32), u8>,
    touched_orders: BTreeSet<u64>,
    touched_rows: BTreeSet<(u32, u32)>,
    time_ns: i64,
    more: u8,
    pub refused: BTreeMap<u16, u64>,
    pub dispositions: BTreeMap<u8, u64>,
    /// What the desk did of itself: kind -> count.
    pub told: BTreeMap<&'static str, u64>,
}

impl Watch {
    /// A watch over a desk with these limits.
    pub fn within(bounds: Bounds) -> Self {
        Self { limits: limits::Limits::within(bounds), ..Self::default() }
    }

    /// The same watch over a shorter log.
    pub fn rewound(&self, count: usize) -> Self {
        let throttles = self.throttles.clone();
        let mut watch = Self { throttles, ..Self::within(self.limits.bounds) };
        for record in &self.records[..count] {
            let _ = watch.take(record); // judged when it was new
        }
        watch.touched_orders.clear();
        watch.touched_rows.clear();
        watch
    }

    /// One more record of the log; what is wrong with it.
    pub fn take(&mut self, record: &Record) -> Option<String> {
        let h = &record.header;
        let expected = self.records.len() as u64 + 1;
        let mut wrong = None;
        if h.event_seq != expected {
            wrong = Some(format!("I17: event {} where {expected} was due", h.event_seq));
        }
        if h.ingest_time_ns < self.time_ns {
            wrong = Some(format!("I32: event {} goes back in time", h.event_seq));
        }
        if self.more > 0 && h.more + 1 != self.more {
            wrong = Some(format!("I17: event {} breaks its group", h.event_seq));
        }
        (self.time_ns, self.more) = (h.ingest_time_ns, h.more);
        self.records.push(*record);
        let order_seq = h.order_seq;
        if order_seq != 0 {
            self.touched_orders.insert(order_seq);
        }
        if let Some(e) = OrderAccepted::from_record(record) {
            let side = e.side;
            let is_parent = e.tags & TAG_PARENT != 0;
            let (account_id, instrument_id) = (e.account_id, e.instrument_id);
            let scopes = [
                (Scope::Desk.code(), 0),
                (Scope::Account.code(), e.account_id),
                (Scope::Instrument.code(), e.instrument_id),
                (Scope::Venue.code(), u32::from(e.venue_id)),
                (Scope::Session.code(), u32::from(e.session_id)),
                (Scope::Strategy.code(), u32::from(e.strategy_id)),
            ];
            let shadow = Shadow {
                account_id,
                instrument_id,
                session_id: e.session_id,
                scopes,
                side,
                leg: self.leg_of(account_id, side, e.tags),
                moving: false,
                parent: 0,
                is_parent,
                order_qty: e.order_qty,
                cum_qty: 0,
                cum_points: 0,
            };
            if self.orders.insert(order_seq, shadow).is_some() {
                wrong = Some(format!("I12: order {order_seq} was accepted twice"));
            }
            wrong = wrong.or(self.send(e.account_id, e.session_id, h.ingest_time_ns));
            if self.killed(&scopes) {
                wrong = Some(format!("I1: order {order_seq} was accepted under a kill"));
            }
        } else if let Some(e) = Routed::from_record(record) {
            if e.msg_type == MsgType::NewOrder.code() {
                if !self.routed.insert((order_seq, e.revision)) {
                    wrong = Some(format!("I12: order {order_seq} goes out twice"));
                }
                let killed = self.orders.get(&order_seq).map(|shadow| self.killed(&shadow.scopes));
                if killed != Some(false) {
                    wrong = Some(format!("I1: order {order_seq} goes out under a kill"));
                }
            }
        } else if let Some(e) = Triggered::from_record(record) {
            self.slice(order_seq, e.shown_qty);
            self.tell(match TriggerOutcome::from_code(e.outcome) {
                Some(TriggerOutcome::Released) if e.cause == TriggerCause::Leg.code() => {
                    "released_by_leg"
                }
                Some(TriggerOutcome::Released) if e.cause == TriggerCause::Quote.code() => {
                    "released_by_quote"
                }
                Some(TriggerOutcome::Released) => "released_by_trade",
                Some(TriggerOutcome::Armed) => "armed_by_leg",
                _ => "refused_at_trigger",
            });
        } else if let Some(e) = Moved::from_record(record) {
            let released = e.outcome == TriggerOutcome::Released.code();
            let shadow = self.orders.get_mut(&order_seq);
            let moving = shadow.is_some_and(|shadow| std::mem::take(&mut shadow.moving));
            self.tell(match (moving, released) {
                (true, true) => "moved",
                (true, false) => "not_moved",
                (false, true) => "next_part",
                (false, false) => "no_next_part",
            });
        } else if let Some(e) = ForeignOrder::from_record(record) {
            wrong = wrong.or(self.foreign(e));
        } else if let Some(e) = Definition::from_record(record) {
            if e.entity == Entity::Account.code() && e.flags & ACCOUNT_HEDGING != 0 {
                self.hedgers.insert(e.id);
            }
        } else if let Some(e) = PositionSplit::from_record(record) {
            self.tell(if e.over_close != 0 { "leg_closed_beyond" } else { "through_zero" });
        } else if TrailMoved::from_record(record).is_some() {
            self.tell("trail_moved");
        } else if GroupFlagged::from_record(record).is_some() {
            self.tell("legs_raced");
        } else if let Some(e) = CancelAccepted::from_record(record) {
            match OwnCause::from_code(e.why) {
                Some(OwnCause::Expiry) => self.tell("timer_expired"),
                Some(OwnCause::DayEnd) => self.tell("day_ended_here"),
                Some(OwnCause::Group) => self.tell("group_cancel"),
                Some(OwnCause::Recheck) => self.tell("recheck_cancel"),
                Some(OwnCause::ReduceOnly) => self.tell("reduce_only_cancel"),
                _ => {}
            }
        } else if let Some(e) = OrderTerms::from_record(record) {
            self.slice(order_seq, e.shown_qty);
            if let Some(shadow) = self.orders.get_mut(&order_seq) {
                shadow.parent = e.parent_order_seq;
            }
            if e.parent_order_seq != 0 {
                self.children.entry(e.parent_order_seq).or_default().push(order_seq);
            }
        } else if let Some(e) = ReplaceAccepted::from_record(record) {
            self.unanswered.insert(order_seq);
            if let Some(shadow) = self.orders.get_mut(&order_seq) {
                if shadow.is_parent {
                    shadow.order_qty = e.order_qty;
                }
                shadow.moving = e.by_cancel != 0;
                let (account_id, session_id, scopes) =
                    (shadow.account_id, shadow.session_id, shadow.scopes);
                if self.killed(&scopes) {
                    wrong = Some(format!("I1: a replace of {order_seq} under a kill"));
                }
                wrong = wrong.or(self.send(account_id, session_id, h.ingest_time_ns));
            }
        } else if let Some(e) = ExecutionReport::from_record(record) {
            wrong = wrong.or(self.report(e));
        } else if let Some(e) = ExecRef::from_record(record) {
            self.exec_ref = Some(*e);
        } else if let Some(e) = Control::from_record(record) {
            self.modes.insert((e.scope, e.target_id), e.mode);
        } else if let Some(e) = OrderRefused::from_record(record) {
            *self.refused.entry(e.verdict).or_default() += 1;
        } else if let Some(e) = ChangeRefused::from_record(record) {
            *self.refused.entry(e.verdict).or_default() += 1;
        }
        if let Some(shadow) = self.orders.get(&order_seq) {
            self.touched_rows.insert((shadow.account_id, shadow.instrument_id));
        }
        let mispriced = self.follow_pegs(record);
        let beyond = self.follow_open(record);
        wrong.or(beyond).or(mispriced)
    }

    fn leg_of(&self, account_id: u32, side: u8, tags: u8) -> u8 {
        let closes = tags >> TAG_EFFECT_SHIFT & 3 == PositionEffect::Close.code();
        let short = (side == Side::Buy.code()) == closes;
        if self.hedgers.contains(&account_id) { 1 + u8::from(short) } else { 0 }
    }

    /// An order found at its venue: ours from now on, or only flagged.
    fn foreign(&mut self, e: &ForeignOrder) -> Option<String> {
        let order_seq = e.header.order_seq;
        if order_seq == 0 {
            let full = e.verdict == Verdict::IdTableFull.code();
            if full {
                self.no_room.insert(e.street_id);
            }
            self.tell(if full { "foreign_no_room" } else { "foreign_flagged" });
            return None;
        }
        self.no_room.remove(&e.street_id);
        self.tell("adopted");
        let shadow = Shadow {
            account_id: e.account_id,
            instrument_id: e.instrument_id,
            side: e.side,
            order_qty: e.order_qty,
            ..Shadow::default()
        };
        let known = self.orders.insert(order_seq, shadow).is_some();
        let before = self.adopted.insert(e.street_id, order_seq);
        (known || before.is_some())
            .then(|| format!("I12: {} was adopted twice", text_of(&e.street_id)))
    }

    /// Whether the log says of an order placed at its venue that no id was left to adopt it under.
    pub fn no_room_for(&self, first_id: &[u8; 20]) -> bool {
        self.no_room.contains(first_id)
    }

    /// Whether an order was ever filled beyond its quantity.
    pub fn was_overfilled(&self, order_seq: u64) -> bool {
        self.overfilled.contains(&order_seq)
    }

    /// Whether a venue said that an order had expired, and not only that its day was over.
    pub fn was_told_expired(&self, order_seq: u64) -> bool {
        self.expired.contains(&order_seq)
    }

    /// Whether an order ended before its last replace was answered, if it ever was: by which terms its
    /// fills made it whole was not known.
    pub fn has_unanswered(&self, order_seq: u64) -> bool {
        self.unanswered.contains(&order_seq)
    }

    /// Whether an order went out a part at a time.
    pub fn is_sliced(&self, order_seq: u64) -> bool {
        self.sliced.contains(&order_seq)
    }

    /// The parent of an order, 0 for none.
    pub fn parent_of(&self, order_seq: u64) -> u64 {
        self.orders.get(&order_seq).map_or(0, |shadow| shadow.parent)
    }

    /// Time of the last record.
    pub fn time_ns(&self) -> i64 {
        self.time_ns
    }

    fn slice(&mut self, order_seq: u64, shown_qty: i64) {
        if shown_qty != 0 {
            self.sliced.insert(order_seq);
        }
    }

    fn tell(&mut self, kind: &'static str) {
        *self.told.entry(kind).or_default() += 1;
    }

    fn killed(&self, scopes: &[(u8, u32)]) -> bool {
        let mode = |scope| self.modes.get(scope).copied().unwrap_or(0);
        scopes.iter().any(|scope| mode(scope) >= KillMode::CancelOnly.code())
    }

    /// I29: never more than so many in any window, of the account and of the session.
    fn send(&mut self, account_id: u32, session_id: u16, now_ns: i64) -> Option<String> {
        let scopes =
            [(Scope::Account.code(), account_id), (Scope::Session.code(), u32::from(session_id))];
        for scope in scopes {
            let Some(throttle) = self.throttles.get(&scope) else { continue };
            let times = self.sends.entry(scope).or_default();
            times.push_back(now_ns);
            while times.front().is_some_and(|t| now_ns - t >= throttle.window_ns) {
                times.pop_front();
            }
            let (count, most) = (times.len(), throttle.orders_max);
            if count > most {
                return Some(format!(
                    "I29: {scope:?} sent {count} in a window, allowed are {most}"
                ));
            }
        }
        None
    }

    fn report(&mut self, e: &ExecutionReport) -> Option<String> {
        *self.dispositions.entry(e.disposition).or_default() += 1;
        let ids = self.exec_ref.take();
        let is = |kinds: &[Disposition]| kinds.iter().any(|kind| kind.code() == e.disposition);
        let booked = is(&[Disposition::Applied, Disposition::Late, Disposition::Overfill]);
        let (trade, amends) = match ExecType::from_code(e.exec_type) {
            Some(ExecType::Trade) => (true, false),
            Some(ExecType::TradeCancel | ExecType::TradeCorrect) => (false, true),
            _ => (false, false),
        };
        let order_seq = e.header.order_seq;
        if is(&[Disposition::Overfill]) {
            self.overfilled.insert(order_seq);
        }
        if e.exec_type == ExecType::Expired.code() {
            self.expired.insert(order_seq);
        }
        let answers = [ExecType::ReplaceRejected.code(), ExecType::Replaced.code()];
        if answers.contains(&e.exec_type) && is(&[Disposition::Applied]) {
            self.unanswered.remove(&order_seq);
        }
        if trade && booked {
            self.book(e, ids.as_ref())
        } else if trade && is(&[Disposition::Reconciled]) {
            let at = self.fill_of(e, ids.as_ref());
            let Some(at) = at else {
                return Some(format!("I13: order {order_seq} has no fill that was reconciled"));
            };
            self.name(e, ids.as_ref(), at);
            None
        } else if amends && booked {
            self.amend(e, ids.as_ref())
        } else {
            None
        }
    }

    /// I13: a fill is booked once, under whatever id it comes.
    fn book(&mut self, e: &ExecutionReport, ids: Option<&ExecRef>) -> Option<String> {
        let order_seq = e.header.order_seq;
        let known = self.fill_of(e, ids);
        let Some(shadow) = self.orders.get_mut(&order_seq) else {
            return Some(format!("I11: a fill of order {order_seq}, which nobody sent"));
        };
        let key = (shadow.account_id, shadow.instrument_id);
        self.holdings.entry(key).or_default().book(shadow.side, e.last_px, e.last_qty, e.fee);
        self.limits.fill(key, shadow.side == Side::Buy.code(), e.last_px, e.last_qty);
        if shadow.leg != 0 {
            let leg = self.legs.entry((key.0, key.1, shadow.leg)).or_default();
            leg.book(shadow.side, e.last_px, e.last_qty, e.fee);
        }
        let (px, qty, fee) = (e.last_px, e.last_qty, e.fee);
        self.fills.push(Booked { order_seq, px, qty, fee, busted: false });
        self.count_fill(order_seq, qty, points(px, qty));
        self.name(e, ids, self.fills.len() - 1);
        known.map(|_| {
            format!("I13: execution {} of order {order_seq} was booked twice", text_of(&e.exec_id))
        })
    }

    /// What an order fills, its parent fills (REQUIREMENTS §1).
    fn count_fill(&mut self, order_seq: u64, qty: i64, points: i128) {
        let Some(shadow) = self.orders.get_mut(&order_seq) else { return };
        let parent = shadow.parent;
        (shadow.cum_qty, shadow.cum_points) = (shadow.cum_qty + qty, shadow.cum_points + points);
        if parent != 0 {
            self.touched_orders.insert(parent);
            self.count_fill(parent, qty, points);
        }
    }

    /// A bust or correct undoes what stands of the fill that it names.
    fn amend(&mut self, e: &ExecutionReport, ids: Option<&ExecRef>) -> Option<String> {
        let order_seq = e.header.order_seq;
        let named = ids.map(|ids| ids.exec_ref_id).filter(|id| *id != [0; 16]);
        let of = named.unwrap_or(e.exec_id);
        let at = self.ids.get(&(e.venue_id, order_seq, of)).copied();
        let (Some(at), Some(shadow)) = (at, self.orders.get_mut(&order_seq)) else {
            return Some(format!("I23: order {order_seq} has no fill {} to undo", text_of(&of)));
        };
        let (old, (account_id, id)) = (self.fills[at], (shadow.account_id, shadow.instrument_id));
        self.limits.undo(account_id);
        let now = &mut self.fills[at];
        (now.px, now.qty, now.fee) = (e.last_px, e.last_qty, e.fee);
        if e.exec_type == ExecType::TradeCancel.code() {
            (now.qty, now.busted) = (0, true);
        }
        let now = *now;
        let leg =
            (shadow.leg != 0).then(|| self.legs.entry((account_id, id, shadow.leg)).or_default());
        for holding in
            [Some(self.holdings.entry((account_id, id)).or_default()), leg].into_iter().flatten()
        {
            holding.unbook(shadow.side, old.px, old.qty, old.fee);
            if now.qty != 0 {
                holding.book(shadow.side, now.px, now.qty, now.fee);
            }
        }
        let more = points(now.px, now.qty) - points(old.px, old.qty);
        let qty = now.qty - old.qty;
        self.count_fill(order_seq, qty, more);
        self.ids.insert((e.venue_id, order_seq, e.exec_id), at);
        let wrong = old.busted || old.order_seq != order_seq;
        wrong.then(|| format!("I13: fill {} of order {order_seq} was undone twice", text_of(&of)))
    }

    /// The fill that is told here already, by any of its ids.
    fn fill_of(&self, e: &ExecutionReport, ids: Option<&ExecRef>) -> Option<usize> {
        let by_id = |id: [u8; 16]| self.ids.get(&(e.venue_id, e.header.order_seq, id)).copied();
        let print = (e.venue_id, e.header.order_seq, e.transact_time_ns, e.cum_qty);
        let told = [Some(e.exec_id), ids.map(|i| i.trd_match_id), ids.map(|i| i.secondary_exec_id)];
        let told = told.into_iter().flatten().filter(|id| *id != [0; 16]);
        told.filter_map(by_id).next().or_else(|| self.prints.get(&print).copied())
    }

    fn name(&mut self, e: &ExecutionReport, ids: Option<&ExecRef>, at: usize) {
        let order_seq = e.header.order_seq;
        let told = [Some(e.exec_id), ids.map(|i| i.trd_match_id), ids.map(|i| i.secondary_exec_id)];
        for id in told.into_iter().flatten().filter(|id| *id != [0; 16]) {
            self.ids.insert((e.venue_id, order_seq, id), at);
        }
        self.prints.insert((e.venue_id, order_seq, e.transact_time_ns, e.cum_qty), at);
    }

    /// Holds the engine against the watch, where something has changed since the last look.
    pub fn check(&mut self, engine: &Engine, wrong: &mut Vec<String>) {
        for &order_seq in &self.touched_orders {
            let Some(order) = engine.order(order_seq) else { continue };
            let Some(shadow) = self.orders.get(&order_seq) else { continue };
            if order.cum_qty != shadow.cum_qty {
                let (ours, theirs) = (order.cum_qty, shadow.cum_qty);
                wrong.push(format!("I9: order {order_seq} has cum_qty {ours}, its fills {theirs}"));
            }
            if order.cum_points != shadow.cum_points {
                let (ours, theirs) = (order.cum_points, shadow.cum_points);
                wrong.push(format!("I9: order {order_seq} has {ours} points, its fills {theirs}"));
            }
            if shadow.is_parent && order.live() && order.cum_qty >= order.order_qty {
                wrong.push(format!("I10: parent {order_seq} is open and its children filled it"));
            }
            let closed = engine::order::closed(order.base);
            let leaves = if closed { 0 } else { (order.order_qty - order.cum_qty).max(0) };
            if order.leaves_qty() != leaves || order.order_qty <= 0 {
                wrong.push(format!("I9: order {order_seq} has leaves_qty {}", order.leaves_qty()));
            }
            let parent = if shadow.is_parent { order_seq } else { shadow.parent };
            if let (Some(children), Some(parent_order)) =
                (self.children.get(&parent), engine.order(parent))
            {
                let mut held = 0i128;
                for child in children {
                    match engine.order(*child) {
                        Some(o) => {
                            let open = o.exposure(engine.replace_rule(o)).qty;
                            held += i128::from(o.cum_qty) + i128::from(open);
                        }
                        None => held += i128::from(self.orders[child].cum_qty),
                    }
                }
                if held != i128::from(parent_order.children_qty) {
                    let told = parent_order.children_qty;
                    wrong.push(format!("I10: parent {parent} counts {told}, its children {held}"));
                }
            }
        }
        for &(account_id, instrument_id) in &self.touched_rows {
            self.check_row(engine, account_id, instrument_id, wrong);
        }
        self.touched_orders.clear();
        self.touched_rows.clear();
        if engine.event_seq() != self.records.len() as u64 {
            let (ours, log) = (engine.event_seq(), self.records.len());
            wrong.push(format!("I18: the engine stands at event {ours}, the log at {log}"));
        }
    }

    /// I23 and I24 of one row: position is the fold of fills, reserve the fold of live orders.
    fn check_row(&self, engine: &Engine, account_id: u32, id: u32, wrong: &mut Vec<String>) {
        let (mut buys, mut sells) = ((0i64, 0i128), (0i64, 0i128));
        for order in engine.reserving_orders() {
            if order.account_id != account_id || order.instrument_id != id {
                continue;
            }
            let open = order.exposure(engine.replace_rule(order));
            let sum = if order.is_buy() { &mut buys } else { &mut sells };
            (sum.0, sum.1) = (sum.0 + open.qty, sum.1 + open.points);
        }
        let row = engine.row(account_id, id);
        if row.open_qty() != (buys.0, sells.0) || row.open_points() != (buys.1, sells.1) {
            let (held, live) = (row.open_qty(), (buys.0, sells.0));
            wrong.push(format!(
                "I24: account {account_id} instrument {id} reserves {held:?}, its live orders {live:?}"
            ));
        }
        let ours = holding_of(engine, account_id, id);
        let fills = self.holdings.get(&(account_id, id)).copied().unwrap_or_default();
        if ours != fills {
            wrong.push(format!(
                "I23: account {account_id} instrument {id} holds {ours:?}, its fills {fills:?}"
            ));
        }
        if self.hedgers.contains(&account_id) {
            self.check_legs(engine, account_id, id, wrong);
        }
    }

    /// The same of each leg: what its fills have made of it, what live orders may close and open of it.
    fn check_legs(&self, engine: &Engine, account_id: u32, id: u32, wrong: &mut Vec<String>) {
        for (leg, number) in [(PositionLeg::Long, 1), (PositionLeg::Short, 2)] {
            let ours = engine.leg(account_id, id, leg).map(|p| holding(&p)).unwrap_or_default();
            let fills = self.legs.get(&(account_id, id, number)).copied().unwrap_or_default();
            if ours != fills {
                wrong.push(format!(
                    "I23: account {account_id} instrument {id} {leg:?} {ours:?}, its fills {fills:?}"
                ));
            }
            let (mut closing, mut opening) = (0i64, 0i128);
            let here = |o: &&engine::Order| (o.account_id, o.instrument_id) == (account_id, id);
            for order in engine.reserving_orders().filter(here) {
                if self.leg_of(account_id, order.side, order.tags) != number {
                    continue;
                }
                let open = order.exposure(engine.replace_rule(order));
                match order.tags >> TAG_EFFECT_SHIFT & 3 == PositionEffect::Close.code() {
                    true => closing += open.qty,
                    false => opening += open.points,
                }
            }
            let held = engine.leg_orders(account_id, id, leg);
            if held != (closing, opening) {
                let live = (closing, opening);
                wrong.push(format!(
                    "I24: account {account_id} instrument {id} {leg:?} reserves {held:?}, live {live:?}"
                ));
            }
        }
    }

    /// Hash of the log without what the machine put in: checksums, ids of log and boot.
    pub fn log_hash(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        let mut add = |bytes: &[u8]| {
            for word in bytes.chunks_exact(8) {
                let word = u64::from_le_bytes(word.try_into().expect("eight bytes"));
                hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
            }
        };
        for record in &self.records {
            let mut record = *record;
            record.header.crc32c = 0;
            if record.header.kind == EpochStarted::KIND {
                let started = EpochStarted::view_mut(&mut record);
                (started.log_id, started.boot_id) = (0, [0; 16]);
            }
            add(record.as_bytes());
        }
        hash
    }
}

/// A position of the engine's as a venue would have it.
pub(crate) fn holding_of(engine: &Engine, account_id: u32, instrument_id: u32) -> Holding {
    holding(&engine.position(account_id, instrument_id))
}

fn holding(p: &engine::Position) -> Holding {
    Holding {
        net: p.net_qty.into(),
        cash: p.realised - p.open_cost,
        fees: p.fees,
        bought: p.traded_qty.0,
        sold: p.traded_qty.1,
    }
}
