//! The venue that is the truth: its own orders, fills and positions, and every way of telling of them
//! late, twice, in another order or not at all. What must stay true: what it holds follows from the
//! messages it got and its own chance, never from the desk's word; reports of one order keep their
//! order but for copies and what is lost, and a question is answered with the truth. What it executes
//! is in `executions`.

use super::executions::Execution;
use super::run::VENUES;
use super::world::{Inner, VENUE_NS};
use crate::random::Random;
use layout::*;
use std::collections::{BTreeMap, HashMap, HashSet};
use wire::pylink::{Before, LinkPhase, VenueEnd, VenueEndConfig, VenueEvent};

/// The trading day at the beginning, which was never told to be open: until it is over a desk takes
/// the close of any day for the close of this one.
const FIRST_DAY: u16 = 19_000;

/// Chance of each misdeed, in parts per million.
#[derive(Clone, Copy)]
pub(crate) struct Manners {
    pub reject: u32,
    pub drop: u32,
    pub duplicate: u32,
    pub delay: u32,
    pub refuse_change: u32,
    pub late_fill: u32,
    pub overfill: u32,
    pub amend: u32,
    pub drop_copy: u32,
    pub anonymous: u32,
    pub set_aside: u32,
}

impl Manners {
    /// A venue that tells everything at once.
    pub const GOOD: Self = Self {
        reject: 0,
        drop: 0,
        duplicate: 0,
        delay: 0,
        refuse_change: 0,
        late_fill: 0,
        overfill: 0,
        amend: 0,
        drop_copy: 0,
        anonymous: 0,
        set_aside: 0,
    };

    pub fn draw(random: &mut Random) -> Self {
        let mut up_to = |most: u64| random.below(most) as u32;
        Self {
            reject: up_to(60_000),
            drop: up_to(40_000),
            duplicate: up_to(80_000),
            delay: up_to(600_000),
            refuse_change: up_to(200_000),
            late_fill: up_to(200_000),
            overfill: up_to(10_000),
            amend: up_to(120_000),
            drop_copy: up_to(600_000),
            anonymous: up_to(200_000),
            set_aside: up_to(60_000),
        }
    }
}

/// What a venue is by its definition, and what a day draws for it.
#[derive(Clone, Copy)]
pub(crate) struct Ways {
    pub rule: ReplaceRule,
    /// Account in whose name orders are placed at the venue itself; the desk adopts them. 0: none are.
    pub adopts: u32,
    /// Account that keeps its legs apart, 0 for none.
    pub hedges: u32,
    /// It has auctions.
    pub auctions: bool,
}

/// An order as the venue has it.
pub(crate) struct VenueOrder {
    /// The desk's number; 0: placed at the venue itself.
    pub order_seq: u64,
    /// The id under which it came.
    pub first_id: [u8; 20],
    pub street_id: [u8; 20],
    pub account_id: u32,
    pub instrument_id: u32,
    pub side: u8,
    pub ord_type: u8,
    pub price: i64,
    pub order_qty: i64,
    pub cum_qty: i64,
    pub ord_status: OrdStatus,
    /// It may rest in the book: what is undone of it can be worked again.
    pub rests: bool,
    /// Refused behind its acknowledgement.
    pub refused_late: bool,
    time_in_force: u8,
    expire_day: u16,
    told_due: i64,
}

impl VenueOrder {
    pub fn is_open(&self) -> bool {
        !engine::order::closed(self.ord_status.code())
    }
    fn is(&self, time_in_force: TimeInForce) -> bool {
        self.time_in_force == time_in_force.code()
    }
    /// Whether it is still good when this day is over.
    fn outlives(&self, trade_day: u16) -> bool {
        match TimeInForce::from_code(self.time_in_force) {
            Some(TimeInForce::Gtc) => true,
            Some(TimeInForce::Gtd) => self.expire_day == 0 || self.expire_day > trade_day,
            _ => false,
        }
    }
    /// What its fills make of a live order; what was set aside stays so.
    pub fn by_fills(&self) -> OrdStatus {
        let aside = [OrdStatus::Suspended, OrdStatus::Stopped, OrdStatus::DoneForDay];
        let aside = aside.contains(&self.ord_status);
        match self.by_fills_alone() {
            status if status == OrdStatus::Filled || !aside => status,
            _ => self.ord_status,
        }
    }
    pub fn by_fills_alone(&self) -> OrdStatus {
        match self.cum_qty {
            cum if cum >= self.order_qty => OrdStatus::Filled,
            0 => OrdStatus::New,
            _ => OrdStatus::PartiallyFilled,
        }
    }
    pub fn leaves(&self) -> i64 {
        if self.is_open() { (self.order_qty - self.cum_qty).max(0) } else { 0 }
    }
    /// Status by FIX's precedence: what is whole is filled, whatever ended it.
    pub fn final_status(&self) -> OrdStatus {
        let whole = self.cum_qty >= self.order_qty && self.cum_qty > 0;
        if whole { OrdStatus::Filled } else { self.ord_status }
    }
}

/// Net, cash, fees, bought and sold of an account in an instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holding {
    pub net: i128,
    pub cash: i128,
    pub fees: i128,
    pub bought: i128,
    pub sold: i128,
}

impl Holding {
    pub fn book(&mut self, side: u8, px: i64, qty: i64, fee: i64) {
        let buy = side == Side::Buy.code();
        let signed = if buy { i128::from(qty) } else { -i128::from(qty) };
        self.net += signed;
        self.cash -= signed * i128::from(px);
        self.fees += i128::from(fee);
        *(if buy { &mut self.bought } else { &mut self.sold }) += i128::from(qty);
    }
}

pub(crate) enum Work {
    Process(Box<Routed>),
    /// A report on its way, and the execution that it tells of under its own id.
    Tell {
        report: Box<ExecutionReport>,
        before: Box<Before>,
        execution: Option<usize>,
    },
}

/// The ids that a report has no room for, if there are any.
fn said(ids: &ExecRef) -> Option<ExecRef> {
    let told = [ids.exec_ref_id, ids.trd_match_id, ids.secondary_exec_id];
    told.iter().any(|id| *id != [0; 16]).then_some(*ids)
}

/// One venue.
pub(crate) struct FaultVenue {
    pub id: u16,
    at: usize,
    ways: Ways,
    pub(crate) end: VenueEnd,
    pub manners: Manners,
    pub orders: Vec<VenueOrder>,
    /// Every id under which an order was ever known here.
    by_id: HashMap<[u8; 20], usize>,
    /// Every id that came with a new order or a replace.
    ids: HashSet<[u8; 20]>,
    pub executions: Vec<Execution>,
    pub holdings: BTreeMap<(u32, u32), Holding>,
    work: BTreeMap<(i64, u64), Work>,
    works: u64,
    pub trade_day: u16,
    /// Its day is over and the next has not begun.
    pub closed: bool,
    pub phase: Phase,
    pub mid: Vec<i64>,
    /// Ticks from the middle to the offer; to the bid it is one.
    wide: Vec<i64>,
    /// Market data is held back until then.
    pub silent_until: i64,
    pub joins: u64,
}

impl FaultVenue {
    pub fn new(at: usize, instruments: usize, ways: Ways) -> Self {
        let id = at as u16 + 1;
        Self {
            id,
            at,
            ways,
            end: VenueEnd::new(VenueEndConfig {
                venue_id: id,
                lock_step: false,
                memory_max: 1 << 20,
                buffer_max: 1 << 20,
            }),
            manners: Manners::GOOD,
            orders: Vec::new(),
            by_id: HashMap::new(),
            ids: HashSet::new(),
            executions: Vec::new(),
            holdings: BTreeMap::new(),
            work: BTreeMap::new(),
            works: 0,
            trade_day: FIRST_DAY,
            closed: false,
            phase: Phase::Unknown,
            mid: vec![100 * ONE; instruments + 1],
            wide: vec![1; instruments + 1],
            silent_until: 0,
            joins: 0,
        }
    }

    /// Whether all that happened was told.
    pub fn is_idle(&self) -> bool {
        self.work.is_empty() && self.end.backlog() == 0
    }

    pub(crate) fn push(&mut self, due_ns: i64, work: Work) {
        self.works += 1;
        self.work.insert((due_ns, self.works), work);
    }

    /// One round: connections, bytes in, what is due, bytes out.
    pub fn pump(&mut self, world: &mut Inner) {
        let now_ns = world.mono_ns;
        if world.pipes[self.at].left {
            self.read(world, now_ns); // what arrived before the end counts
            world.pipes[self.at].left = false;
            let joined = self.end.phase() != LinkPhase::Idle;
            let cancels = self.end.disconnect();
            world.pipes[self.at].to_venue.clear();
            if joined {
                world.faults.count("disconnect");
            }
            if cancels {
                for index in 0..self.orders.len() {
                    if self.orders[index].is_open() {
                        world.faults.count("cancel_on_disconnect");
                        self.finish(world, index, OrdStatus::Canceled, ExecType::Canceled);
                    }
                }
            }
        }
        if world.pipes[self.at].joined && world.pipes[self.at].open {
            world.pipes[self.at].joined = false;
            self.end.connect(now_ns);
        }
        self.read(world, now_ns);
        while let Some((&key, _)) = self.work.first_key_value() {
            if key.0 > now_ns {
                break;
            }
            match self.work.remove(&key).expect("it was just seen") {
                Work::Process(routed) => self.process(world, &routed),
                Work::Tell { report, before, execution } => {
                    let seq = self.end.report_behind(*before, &report, None);
                    if let Some(at) = execution {
                        self.executions[at].link_seq = seq;
                    }
                }
            }
        }
        let _ = self.end.tick(now_ns); // a silent desk fails the link, and the wire is closed below
        let pipe = &mut world.pipes[self.at];
        while pipe.open && !self.end.unsent().is_empty() {
            let size = self.end.unsent().len();
            pipe.to_desk.extend(self.end.unsent());
            self.end.sent(size);
        }
        if pipe.open && !pipe.joined && self.end.phase() == LinkPhase::Failed {
            (pipe.open, pipe.left) = (false, true); // what is under way still arrives
        }
    }

    fn read(&mut self, world: &mut Inner, now_ns: i64) {
        if matches!(self.end.phase(), LinkPhase::Idle | LinkPhase::Failed) {
            return;
        }
        let bytes = std::mem::take(&mut world.pipes[self.at].to_venue);
        if bytes.is_empty() {
            return;
        }
        let mut done = self.end.receive(&bytes, now_ns).map(|()| None);
        while done.is_ok() {
            done = self.end.next(now_ns);
            match &done {
                Ok(Some(event)) => self.hear(world, event, now_ns),
                _ => break,
            }
        }
        if let Err(error) = done {
            world.violations.push(format!("venue {}: the desk broke the link: {error}", self.id));
        }
    }

    fn hear(&mut self, world: &mut Inner, event: &VenueEvent, now_ns: i64) {
        match event {
            VenueEvent::Joined(joined) => {
                self.joins += 1;
                if joined.desk_has < self.end.link_seq_out() {
                    world.faults.count("replay");
                }
            }
            VenueEvent::Routed(routed) => {
                let carries = [MsgType::NewOrder.code(), MsgType::Replace.code()];
                if carries.contains(&routed.msg_type) && !self.ids.insert(routed.street_id) {
                    let id = text_of(&routed.street_id).to_owned();
                    world.violations.push(format!("I12: street id {id} came twice"));
                }
                let late = world.random.happens(self.manners.delay);
                let wait = if late { 1 + world.random.below(3_000_000) as i64 } else { 0 };
                if late {
                    world.faults.count("slow_venue");
                }
                // Messages are taken in the order of the link, as a matching engine does.
                let last = self
                    .work
                    .iter()
                    .rev()
                    .find_map(|(key, work)| matches!(work, Work::Process(_)).then_some(key.0));
                let due_ns = (now_ns + wait).max(last.unwrap_or(0));
                self.push(due_ns, Work::Process(Box::new(*routed)));
            }
            VenueEvent::Query(query) => {
                self.take_all(world);
                self.answer(world, query);
            }
            VenueEvent::GapFilled { .. } | VenueEvent::TurnDone(_) => {}
        }
    }

    /// Takes every message that waits: a question comes behind them.
    fn take_all(&mut self, world: &mut Inner) {
        let waiting: Vec<_> = self
            .work
            .iter()
            .filter(|(_, work)| matches!(work, Work::Process(_)))
            .map(|(&key, _)| key)
            .collect();
        for key in waiting {
            if let Some(Work::Process(routed)) = self.work.remove(&key) {
                self.process(world, &routed);
            }
        }
    }

    /// What goes before a report of an order: the ids it has no room for, and what an order is that the
    /// desk never sent.
    pub(crate) fn before(&self, index: usize, ids: &ExecRef) -> Before {
        let order = &self.orders[index];
        let foreign = (order.street_id == order.first_id && order.order_seq == 0).then(|| {
            let mut told = ForeignOrder::ZERO;
            (told.instrument_id, told.side, told.ord_type) =
                (order.instrument_id, order.side, order.ord_type);
            (told.price, told.order_qty) = (order.price, order.order_qty);
            told.time_in_force = order.time_in_force;
            told
        });
        Before { foreign, ids: said(ids) }
    }

    pub(crate) fn report(
        &self,
        index: usize,
        exec_type: ExecType,
        street_id: [u8; 20],
    ) -> ExecutionReport {
        let order = &self.orders[index];
        let mut report = ExecutionReport::ZERO;
        report.header.kind = ExecutionReport::KIND;
        (report.street_id, report.venue_id) = (street_id, self.id);
        (report.exec_type, report.ord_status) = (exec_type.code(), order.ord_status.code());
        (report.cum_qty, report.leaves_qty) = (order.cum_qty, order.leaves());
        report.trade_day = self.trade_day;
        report
    }

    /// UTC by the venue's own clock, which never steps.
    pub fn wall_ns(&self, world: &Inner) -> i64 {
        VENUE_NS + world.mono_ns
    }

    /// Puts a report on its way, with all that may happen to it there. `execution`: what it tells of.
    pub(crate) fn tell(
        &mut self,
        world: &mut Inner,
        index: usize,
        mut report: ExecutionReport,
        execution: Option<usize>,
    ) {
        let (random, manners) = (&mut world.random, self.manners);
        let now_ns = world.mono_ns;
        let mut ids = execution.map_or(ExecRef::ZERO, |at| self.executions[at].ids);
        let mut own = execution;
        if execution.is_none() {
            report.transact_time_ns = VENUE_NS + now_ns;
        } else if self.id != 1
            && report.exec_type == ExecType::Trade.code()
            && random.happens(manners.anonymous)
        {
            world.faults.count("exec_id_untold");
            (report.exec_id, ids, own) = ([0; 16], ExecRef::ZERO, None);
        }
        // New terms are in no sum: nobody could ask for them again.
        let lossy = report.exec_type != ExecType::Restated.code();
        if lossy && random.happens(manners.drop) {
            world.faults.count("drop");
            return; // a question finds it
        }
        let mut due_ns = now_ns;
        if random.happens(manners.delay) {
            due_ns += 1 + random.below(20_000_000) as i64;
            world.faults.count("delay");
        }
        due_ns = due_ns.max(self.orders[index].told_due);
        let last = self.work.last_key_value().map_or(0, |(key, _)| key.0);
        if due_ns < last {
            world.faults.count("reorder");
        }
        self.orders[index].told_due = due_ns;
        if world.random.happens(manners.duplicate) {
            world.faults.count("duplicate");
            let mut copy = report;
            copy.flags |= if world.random.below(2) == 0 { REPORT_POSS_DUP } else { 0 };
            let later = due_ns + world.random.below(30_000_000) as i64;
            let (report, before) = (Box::new(copy), Box::new(self.before(index, &ids)));
            self.push(later, Work::Tell { report, before, execution: None });
        }
        let (report, before) = (Box::new(report), Box::new(self.before(index, &ids)));
        self.push(due_ns, Work::Tell { report, before, execution: own });
    }

    fn finish(&mut self, world: &mut Inner, index: usize, end: OrdStatus, exec_type: ExecType) {
        let order = &self.orders[index];
        let (leaves, street_id) = (order.leaves(), order.street_id);
        // A fill that happened first and is told last (CORNERS 3).
        let late = leaves > 0 && end == OrdStatus::Canceled;
        if late && world.random.happens(self.manners.late_fill) {
            let qty = self.part(world, leaves);
            self.orders[index].ord_status = end;
            let report = self.report(index, exec_type, street_id);
            self.tell(world, index, report, None);
            world.faults.count("late_fill");
            return self.trade(world, index, qty);
        }
        self.orders[index].ord_status = end;
        let report = self.report(index, exec_type, street_id);
        self.tell(world, index, report, None);
    }

    /// Whole lots of a quantity, at least one.
    fn part(&self, world: &mut Inner, qty: i64) -> i64 {
        let lots = (qty / ONE).max(1) as u64;
        if world.random.below(2) == 0 { qty } else { (1 + world.random.below(lots)) as i64 * ONE }
    }

    fn process(&mut self, world: &mut Inner, routed: &Routed) {
        if routed.msg_type == MsgType::NewOrder.code() {
            return self.take_new(world, routed);
        }
        if routed.msg_type == MsgType::OrderStatus.code() {
            return self.tell_again(world, &routed.street_id);
        }
        let Some(&index) = self.by_id.get(&routed.orig_street_id) else {
            if routed.msg_type == MsgType::Replace.code() {
                let id = text_of(&routed.street_id).to_owned();
                world.violations.push(format!("I11: {id} replaces an order that never came"));
                return;
            }
            // A cancel of what may have been lost on the way is always right.
            world.faults.count("cancel_of_unknown");
            let mut report = ExecutionReport::ZERO;
            report.header.kind = ExecutionReport::KIND;
            (report.street_id, report.venue_id) = (routed.street_id, self.id);
            report.exec_type = ExecType::CancelRejected.code();
            report.ord_status = OrdStatus::Rejected.code();
            self.end.report(&report, None);
            return;
        };
        let replace = routed.msg_type == MsgType::Replace.code();
        let refused = !self.orders[index].is_open()
            || (replace && self.closed)
            || world.random.happens(self.manners.refuse_change);
        if refused {
            world.faults.count("reject_change");
            let exec_type =
                if replace { ExecType::ReplaceRejected } else { ExecType::CancelRejected };
            let report = self.report(index, exec_type, routed.street_id);
            return self.tell(world, index, report, None);
        }
        if !replace {
            return self.finish(world, index, OrdStatus::Canceled, ExecType::Canceled);
        }
        if self.ways.rule == ReplaceRule::CancelNew {
            let id = text_of(&routed.street_id).to_owned();
            world.violations.push(format!("I14: {id} replaces at a venue that has no replace"));
        }
        let order = &mut self.orders[index];
        let old_id = order.street_id;
        // A quantity below what is filled is amended to it (FIX 4.4 vol. 4, C.3).
        (order.street_id, order.price, order.order_qty) =
            (routed.street_id, routed.price, routed.order_qty.max(order.cum_qty));
        order.ord_status = order.by_fills();
        self.by_id.insert(routed.street_id, index);
        if self.ways.rule == ReplaceRule::ModifyNew {
            return self.tell_as_new(world, index, old_id);
        }
        let report = self.report(index, ExecType::Replaced, routed.street_id);
        self.tell(world, index, report, None);
    }

    /// A replace told as the end of the old id and the acknowledgement of the new one, in either order.
    fn tell_as_new(&mut self, world: &mut Inner, index: usize, old_id: [u8; 20]) {
        world.faults.count("replaced_as_new");
        let mut old = self.report(index, ExecType::Canceled, old_id);
        (old.ord_status, old.leaves_qty) = (OrdStatus::Canceled.code(), 0);
        let new = self.report(index, ExecType::New, self.orders[index].street_id);
        let new_first = world.random.below(2) == 0;
        for report in if new_first { [new, old] } else { [old, new] } {
            self.tell(world, index, report, None);
        }
    }

    /// The desk misses fills of an order: all of them again, then how it stands.
    fn tell_again(&mut self, world: &mut Inner, id: &[u8; 20]) {
        world.faults.count("status_request");
        let Some(&index) = self.by_id.get(id) else { return };
        for execution in self.executions.iter().filter(|execution| execution.order == index) {
            let mut report = execution.report;
            report.flags |= REPORT_POSS_DUP;
            self.end.report_behind(self.before(index, &execution.ids), &report, None);
        }
        let status = self.status(index);
        self.end.report_behind(self.before(index, &ExecRef::ZERO), &status, None);
    }

    fn take_new(&mut self, world: &mut Inner, routed: &Routed) {
        let street = engine::street::decode(&routed.street_id).expect("the desk's own id");
        let index = self.orders.len();
        let hedges = routed.account_id == self.ways.hedges;
        if hedges && routed.position_effect == PositionEffect::None.code() {
            let order_seq = street.order_seq;
            world.violations.push(format!("order {order_seq} does not tell which leg is meant"));
        }
        self.orders.push(VenueOrder {
            order_seq: street.order_seq,
            first_id: routed.street_id,
            street_id: routed.street_id,
            account_id: routed.account_id,
            instrument_id: routed.instrument_id,
            side: routed.side,
            ord_type: routed.ord_type,
            price: routed.price,
            order_qty: routed.order_qty,
            cum_qty: 0,
            ord_status: OrdStatus::New,
            rests: routed.ord_type != OrdType::Market.code()
                && ![TimeInForce::Ioc.code(), TimeInForce::Fok.code()]
                    .contains(&routed.time_in_force),
            refused_late: false,
            time_in_force: routed.time_in_force,
            expire_day: routed.expire_day,
            told_due: 0,
        });
        self.by_id.insert(routed.street_id, index);
        if self.closed || world.random.happens(self.manners.reject) {
            world.faults.count(if self.closed { "reject_closed" } else { "reject" });
            return self.finish(world, index, OrdStatus::Rejected, ExecType::Rejected);
        }
        if self.orders[index].is(TimeInForce::AtOpen) && !self.in_auction() {
            world.faults.count("at_open_too_late");
            return self.finish(world, index, OrdStatus::Rejected, ExecType::Rejected);
        }
        // Some venues fill first and say new afterwards, or never (CORNERS 1).
        let matches = self.matches(index);
        let fill_first = world.random.below(16) == 0 && matches;
        let ack = self.report(index, ExecType::New, routed.street_id);
        if !fill_first {
            self.tell(world, index, ack, None);
        }
        if fill_first || world.random.below(4) == 0 && matches {
            let qty = self.part(world, routed.order_qty);
            self.trade(world, index, qty);
        }
        if fill_first {
            world.faults.count("fill_before_ack");
            self.tell(world, index, ack, None);
        }
        let at_once = [TimeInForce::Ioc.code(), TimeInForce::Fok.code()];
        let gone =
            at_once.contains(&routed.time_in_force) || routed.ord_type == OrdType::Market.code();
        if gone && self.orders[index].is_open() {
            self.finish(world, index, OrdStatus::Canceled, ExecType::Canceled);
        }
    }

    /// Something of the venue's own: a fill, now and then an end that nobody asked for.
    pub fn stir(&mut self, world: &mut Inner) {
        if self.ways.adopts != 0 && !self.closed && world.random.below(40) == 0 {
            return self.place(world);
        }
        let open: Vec<usize> =
            (0..self.orders.len()).rev().take(64).filter(|&i| self.orders[i].is_open()).collect();
        if open.is_empty() || self.closed {
            return;
        }
        let index = open[world.random.below(open.len() as u64) as usize];
        if world.random.happens(self.manners.amend) {
            self.amend(world);
        }
        if world.random.happens(self.manners.set_aside) {
            return self.word(world, index);
        }
        if world.random.below(1_000) == 0 {
            return self.replay_day(world);
        }
        match world.random.below(20) {
            0 => {
                world.faults.count("unsolicited_cancel");
                self.finish(world, index, OrdStatus::Canceled, ExecType::Canceled);
            }
            1 => {
                world.faults.count("expired");
                self.finish(world, index, OrdStatus::Expired, ExecType::Expired);
            }
            2 if self.orders[index].cum_qty == 0 => {
                world.faults.count("reject_late"); // a reject behind the ack (CORNERS 21)
                self.orders[index].refused_late = true;
                self.finish(world, index, OrdStatus::Canceled, ExecType::Rejected);
            }
            3 => {
                // A report for an order that is not ours, and a known execution with other numbers.
                let mut report = self.report(index, ExecType::Trade, text("0009ZZZZZZZZZZ000"));
                (report.last_px, report.last_qty) = (ONE, ONE);
                world.faults.count("foreign_report");
                self.end.report(&report, None);
                let told = |e: &&Execution| e.link_seq != 0 && e.is_fill();
                if let Some(fill) = self.executions.iter().rev().find(told) {
                    let mut other = fill.report;
                    other.last_qty += ONE;
                    world.faults.count("conflicting_copy");
                    self.end.report(&other, None);
                }
            }
            _ if [OrdStatus::Suspended, OrdStatus::DoneForDay]
                .contains(&self.orders[index].ord_status) => {}
            _ if !self.matches(index) => {}
            _ => {
                let leaves = self.orders[index].leaves();
                let qty = self.part(world, leaves);
                self.trade(world, index, qty);
            }
        }
    }

    /// An order that somebody places at the venue itself, behind the desk's back.
    fn place(&mut self, world: &mut Inner) {
        world.faults.count("placed_at_venue");
        let random = &mut world.random;
        let mine = |id: &u32| (*id as usize - 1) % VENUES == self.at;
        let instruments: Vec<u32> = (1..self.mid.len() as u32).filter(mine).collect();
        let instrument_id = instruments[random.below(instruments.len() as u64) as usize];
        let away = (random.below(9) as i64 - 4) * ONE / 4;
        let sides = [Side::Buy, Side::Sell, Side::SellShort];
        let lasts = [TimeInForce::Day, TimeInForce::Gtc];
        let index = self.orders.len();
        let id = text(&format!("SCREEN-{}-{index}", self.id));
        self.orders.push(VenueOrder {
            order_seq: 0,
            first_id: id,
            street_id: id,
            account_id: self.ways.adopts,
            instrument_id,
            side: sides[random.below(3) as usize].code(),
            ord_type: OrdType::Limit.code(),
            price: self.mid[instrument_id as usize] + away,
            order_qty: (1 + random.below(9) as i64) * ONE,
            cum_qty: 0,
            ord_status: OrdStatus::New,
            rests: true,
            refused_late: false,
            time_in_force: lasts[random.below(2) as usize].code(),
            expire_day: 0,
            told_due: 0,
        });
        self.by_id.insert(id, index);
        let report = self.report(index, ExecType::New, id);
        self.tell(world, index, report, None);
    }

    /// The venue's own word about an open order: set aside, good again, on other terms.
    fn word(&mut self, world: &mut Inner, index: usize) {
        let order = &mut self.orders[index];
        let aside = order.by_fills() != order.by_fills_alone();
        let street_id = order.street_id;
        let (exec_type, kind) = match world.random.below(3) {
            _ if aside => {
                order.ord_status = order.by_fills_alone();
                (ExecType::New, "renewed")
            }
            0 => {
                order.ord_status = OrdStatus::Suspended;
                (ExecType::Suspended, "suspended")
            }
            1 => {
                order.ord_status = OrdStatus::Stopped;
                (ExecType::Stopped, "stopped")
            }
            _ => {
                order.price += (world.random.below(3) as i64 - 1) * ONE / 4;
                if order.leaves() > ONE {
                    order.order_qty -= ONE;
                }
                (ExecType::Restated, "restated")
            }
        };
        world.faults.count(kind);
        let mut report = self.report(index, exec_type, street_id);
        if exec_type == ExecType::Restated {
            (report.last_px, report.last_qty) =
                (self.orders[index].price, self.orders[index].order_qty);
        }
        self.tell(world, index, report, None);
    }

    /// Best bid and offer of every instrument; sometimes such as nobody may believe.
    pub fn quote(&mut self, world: &mut Inner, bad: bool) {
        if self.end.phase() != LinkPhase::Up
            || self.end.backlog() > 0
            || world.mono_ns < self.silent_until
        {
            return;
        }
        for instrument_id in 1..self.mid.len() as u32 {
            let tick = ONE / 4;
            let mid = &mut self.mid[instrument_id as usize];
            *mid = (*mid + (world.random.below(3) as i64 - 1) * tick).max(10 * tick);
            self.wide[instrument_id as usize] = 1 + world.random.below(4) as i64 / 3;
            let mut quote = self.best(instrument_id);
            if bad {
                match world.random.below(3) {
                    0 => {
                        world.faults.count("market_crossed");
                        (quote.bid_px, quote.ask_px) = (quote.ask_px, quote.bid_px);
                    }
                    1 => {
                        world.faults.count("market_absent");
                        quote.bid_px = NO_PRICE;
                    }
                    _ => {
                        world.faults.count("market_not_positive");
                        quote.ask_px = 0;
                    }
                }
            }
            let _ = self.end.publish(quote.as_record(), None);
            if world.random.below(2) == 0 && self.end.phase() == LinkPhase::Up {
                let mut trade = BookUpdate::ZERO;
                trade.header.kind = BookUpdate::KIND;
                (trade.instrument_id, trade.action) = (instrument_id, BookAction::Trade.code());
                (trade.side, trade.flags) = (Side::Buy.code(), BOOK_LAST);
                let away = (world.random.below(9) as i64 - 4) * tick;
                (trade.price, trade.qty) = (self.mid[instrument_id as usize] + away, ONE);
                trade.transact_time_ns = VENUE_NS + world.mono_ns;
                let _ = self.end.publish(trade.as_record(), None);
            }
        }
    }

    /// Bid and offer of an instrument as they are.
    pub fn best(&self, instrument_id: u32) -> Quote {
        let (mid, tick) = (self.mid[instrument_id as usize], ONE / 4);
        let mut quote = Quote::ZERO;
        quote.header.kind = Quote::KIND;
        quote.instrument_id = instrument_id;
        quote.bid_px = mid - tick;
        quote.ask_px = mid + self.wide[instrument_id as usize] * tick;
        (quote.bid_qty, quote.ask_qty) = (10 * ONE, 10 * ONE);
        quote
    }

    /// Bid and offer of its own instruments once more, as they are: of another's each venue has its own,
    /// and a peg would follow both by turns.
    pub fn quote_again(&mut self) {
        for instrument_id in 1..self.mid.len() as u32 {
            let own = (instrument_id as usize - 1) % VENUES == self.at;
            if own && self.end.phase() == LinkPhase::Up && self.end.backlog() == 0 {
                let _ = self.end.publish(self.best(instrument_id).as_record(), None);
            }
        }
    }

    /// Trading begins.
    pub fn open(&mut self, world: &mut Inner) {
        self.phase(Phase::Open);
        self.silent_until = world.mono_ns;
    }

    /// Trading pauses or goes on; a day may begin that closed none before it.
    pub fn calendar(&mut self, world: &mut Inner, phase: Phase) {
        if self.closed {
            return;
        }
        world.faults.count("phase_change");
        self.turn_phase(world, phase);
        if world.random.below(4) == 0 {
            world.faults.count("day_change");
            self.begin_day();
        }
    }

    /// Whether orders rest here and none is matched until the auction is over.
    pub fn in_auction(&self) -> bool {
        self.phase == Phase::PreOpen || self.phase == Phase::Auction
    }

    /// Whether an order may trade now by itself.
    fn matches(&self, index: usize) -> bool {
        !self.in_auction() && !self.orders[index].is(TimeInForce::AtClose)
    }

    /// Another phase; behind an auction what was meant for it alone has traded or is over.
    fn turn_phase(&mut self, world: &mut Inner, phase: Phase) {
        let opens = self.in_auction() && phase == Phase::Open;
        if [Phase::PreOpen, Phase::Auction].contains(&phase) {
            world.faults.count("auction");
        }
        self.phase(phase);
        if opens {
            self.uncross(world, TimeInForce::AtOpen, "at_open");
        }
    }

    /// Orders for an auction trade in it, whole or in part or not at all; those for the opening end there.
    fn uncross(&mut self, world: &mut Inner, meant: TimeInForce, kind: &'static str) {
        for index in 0..self.orders.len() {
            if !self.orders[index].is_open() || !self.orders[index].is(meant) {
                continue;
            }
            world.faults.count(kind);
            if world.random.below(3) > 0 {
                let qty = self.part(world, self.orders[index].leaves());
                self.trade(world, index, qty);
            }
            if self.orders[index].is_open() && meant == TimeInForce::AtOpen {
                self.finish(world, index, OrdStatus::Expired, ExecType::Expired);
            }
        }
    }

    fn phase(&mut self, phase: Phase) {
        self.phase = phase;
        let mut change = PhaseChange::ZERO;
        (change.venue_id, change.phase) = (self.id, phase.code());
        self.end.phase_change(&change);
    }

    fn begin_day(&mut self) {
        self.trade_day += 1;
        let mut day = DayChange::ZERO;
        (day.venue_id, day.trade_day, day.opened) = (self.id, self.trade_day, 1);
        self.end.day_change(&day);
    }

    /// The day ends, or the next one begins.
    pub fn turn_day(&mut self, world: &mut Inner) {
        if self.closed { self.open_day(world) } else { self.close_day(world) }
    }

    /// What was good for the day expires: by the day's word where it is proved, else each by its own.
    fn close_day(&mut self, world: &mut Inner) {
        let proved = world.random.below(2) == 0;
        world.faults.count(if proved { "day_closed_proved" } else { "day_closed_unproved" });
        let mut day = DayChange::ZERO;
        (day.venue_id, day.trade_day, day.proved) = (self.id, self.trade_day, proved.into());
        if self.trade_day != FIRST_DAY && world.random.below(8) == 0 {
            // The close of a day that is not today's says nothing of today's orders.
            world.faults.count("day_closed_of_old");
            day.trade_day -= 1;
            self.end.day_change(&day);
            return;
        }
        self.uncross(world, TimeInForce::AtClose, "at_close");
        self.closed = true;
        self.end.day_change(&day);
        self.phase(Phase::Closed);
        for index in 0..self.orders.len() {
            let order = &mut self.orders[index];
            let lasts = order.outlives(self.trade_day);
            order.rests &= lasts; // no bust of a later day brings back what was good for this one
            if !order.is_open() {
                continue;
            }
            if lasts {
                order.ord_status = OrdStatus::DoneForDay;
                world.faults.count("done_for_day");
                let report = self.report(index, ExecType::DoneForDay, self.orders[index].street_id);
                self.tell(world, index, report, None);
            } else if proved {
                order.ord_status = OrdStatus::Expired;
            } else {
                self.finish(world, index, OrdStatus::Expired, ExecType::Expired);
            }
        }
    }

    /// The next day begins: what lasts is good again.
    fn open_day(&mut self, world: &mut Inner) {
        world.faults.count("day_opened");
        self.closed = false;
        self.begin_day();
        self.phase(Phase::Open);
        for index in 0..self.orders.len() {
            if self.orders[index].ord_status == OrdStatus::DoneForDay {
                self.orders[index].ord_status = self.orders[index].by_fills_alone();
                let report = self.report(index, ExecType::New, self.orders[index].street_id);
                self.tell(world, index, report, None);
            }
        }
    }

    /// Trading goes on, whatever stopped it.
    pub fn open_again(&mut self, world: &mut Inner) {
        if self.closed {
            self.open_day(world);
        }
        self.turn_phase(world, Phase::Open);
    }

    fn answer(&mut self, world: &mut Inner, query: &LinkQuery) {
        let mut answers: Vec<(Before, ExecutionReport)> = Vec::new();
        let plain = |index| (self.before(index, &ExecRef::ZERO), self.status(index));
        match QueryKind::from_code(query.query_kind) {
            Some(QueryKind::Fills) => answers = self.untold(query.since_link_seq),
            Some(QueryKind::Open) => answers.extend(
                (0..self.orders.len()).filter(|&index| self.orders[index].is_open()).map(plain),
            ),
            _ => match self.by_id.get(&query.street_id) {
                Some(&index) => answers.push(plain(index)),
                None => {
                    let mut none = ExecutionReport::ZERO;
                    none.header.kind = ExecutionReport::KIND;
                    (none.street_id, none.venue_id) = (query.street_id, self.id);
                    none.exec_type = ExecType::UnknownOrder.code();
                    none.ord_status = OrdStatus::Rejected.code();
                    answers.push((Before { foreign: None, ids: None }, none));
                }
            },
        }
        let count = answers.len() as u32;
        for (before, mut report) in answers {
            report.flags |= REPORT_QUERIED;
            report.link_seq = 0;
            if self.end.publish_behind(before, report.as_record(), None).is_err() {
                return; // the link failed: the desk asks again
            }
        }
        world.faults.count("query");
        let mut end = LinkQueryEnd::ZERO;
        end.header.kind = LinkQueryEnd::KIND;
        (end.query_id, end.count) = (query.query_id, count);
        let _ = self.end.publish(end.as_record(), None);
    }

    fn status(&self, index: usize) -> ExecutionReport {
        let mut report = self.report(index, ExecType::OrderStatus, self.orders[index].street_id);
        report.ord_status = self.orders[index].final_status().code();
        report
    }
}
