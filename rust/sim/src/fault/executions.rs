//! What a venue executes and how it tells of that: fills, their busts and corrects (of any age), drop
//! copies under ids of their own, fills told without an ExecID(17), days told by TradeDate(75) or left
//! to the calendar, the whole day once more. Part of `FaultVenue`. What must stay true: the books
//! change first and once; an execution is told alike each time but for its id and its flags.

use super::venue::{FaultVenue, Holding, Work};
use super::world::Inner;
use layout::*;
use wire::pylink::Before;

/// Minute of the second venue's day at which its next trading day begins: eight seconds into a run.
pub(crate) const DAY_ROLL_MIN: u16 = 1334;
/// Orders so far back are beyond what a desk of this size is sure to remember.
const REOPENED_MAX: u64 = 500;
/// Executions that one replay of the day tells again.
const REPLAY_MAX: usize = 400;

/// A fill, or the bust or correct of one.
pub(crate) struct Execution {
    pub report: ExecutionReport,
    pub ids: ExecRef,
    /// Its number on the link, once it was put there under its own id.
    pub link_seq: u32,
    pub order: usize,
    /// The fill that it is or speaks of.
    fill: usize,
    /// Of a fill: price, quantity and fee as they stand; quantity 0: busted.
    stands: (i64, i64, i64),
    /// Of a fill: the execution that last spoke of it, to which the next bust or correct refers.
    last: usize,
}

impl Execution {
    pub fn is_fill(&self) -> bool {
        self.report.exec_type == ExecType::Trade.code()
    }
}

impl FaultVenue {
    /// Whether this venue has a drop copy; the other one forgets exec ids, and leaves the day to its
    /// calendar now and then.
    fn copies(&self) -> bool {
        self.id == 1
    }

    /// An execution: the books first, then the word of it.
    pub fn trade(&mut self, world: &mut Inner, index: usize, qty: i64) {
        let mut qty = qty;
        if self.orders[index].is_open() && world.random.happens(self.manners.overfill) {
            world.faults.count("overfill");
            qty = self.orders[index].leaves() + ONE;
        }
        let order = &mut self.orders[index];
        let market = order.ord_type == OrdType::Market.code();
        let px = if market { self.mid[order.instrument_id as usize] } else { order.price };
        let fee = world.random.below(2_000) as i64 * 1_000 - 500_000;
        order.cum_qty += qty;
        if order.is_open() {
            order.ord_status = order.by_fills();
        }
        let key = (order.account_id, order.instrument_id);
        self.holdings.entry(key).or_default().book(order.side, px, qty, fee);
        let street_id = order.street_id;
        let at = self.executions.len();
        let mut report = self.report(index, ExecType::Trade, street_id);
        (report.last_px, report.last_qty, report.fee) = (px, qty, fee);
        let mut ids = ExecRef::ZERO;
        if self.copies() {
            let id = format!("M{}-{at}", self.id);
            match at % 2 {
                0 => ids.trd_match_id = text(&id),
                _ => ids.secondary_exec_id = text(&id),
            }
        } else {
            let minutes = (self.wall_ns(world) + at as i64) / 60_000_000_000;
            report.trade_day = ((minutes + i64::from(1440 - DAY_ROLL_MIN)) / 1440) as u16;
            if world.random.below(2) == 0 {
                world.faults.count("trade_day_untold");
                report.trade_day = 0;
            }
        }
        self.execute(world, index, report, ids, at);
        if self.copies() && world.random.happens(self.manners.drop_copy) {
            self.copy(world, at);
        }
    }

    /// Keeps an execution and tells of it.
    fn execute(
        &mut self,
        world: &mut Inner,
        order: usize,
        mut report: ExecutionReport,
        ids: ExecRef,
        fill: usize,
    ) {
        let at = self.executions.len();
        report.exec_id = text(&format!("V{}-{at}", self.id));
        report.transact_time_ns = self.wall_ns(world) + at as i64; // no two at one time
        let stands = (report.last_px, report.last_qty, report.fee);
        self.executions.push(Execution { report, ids, link_seq: 0, order, fill, stands, last: at });
        self.executions[fill].last = at;
        self.tell(world, order, report, Some(at));
    }

    /// The drop copy of a fill: another id, the same match; before, after or instead of its report.
    fn copy(&mut self, world: &mut Inner, at: usize) {
        world.faults.count("drop_copy");
        let Execution { mut report, mut ids, order, .. } = self.executions[at];
        report.exec_id = text(&format!("D{}-{at}", self.id));
        report.flags |= REPORT_DROP_COPY;
        if world.random.below(32) == 0 {
            world.faults.count("drop_copy_unmatched");
            ids = ExecRef::ZERO;
        }
        let due_ns = world.mono_ns + world.random.below(30_000_000) as i64;
        let (report, before) = (Box::new(report), Box::new(self.before(order, &ids)));
        self.push(due_ns, Work::Tell { report, before, execution: None });
    }

    /// A fill of any age never was, or was another.
    pub fn amend(&mut self, world: &mut Inner) {
        if self.executions.is_empty() {
            return;
        }
        let at = world.random.below(self.executions.len() as u64) as usize;
        let fill = self.executions[at].fill;
        let Execution { order: index, stands: (px, qty, fee), last, .. } = self.executions[fill];
        if qty == 0 {
            return;
        }
        let (account_id, instrument_id, side) = {
            let order = &self.orders[index];
            (order.account_id, order.instrument_id, order.side)
        };
        let correct = world.random.below(2) == 0;
        let mut now = (0, 0, 0);
        if correct {
            let lots = (qty / ONE).max(1) as u64;
            let px = (px + (world.random.below(5) as i64 - 2) * ONE / 4).max(ONE / 4);
            now = (px, (1 + world.random.below(lots)) as i64 * ONE, fee + 1_000);
        }
        let holding = self.holdings.entry((account_id, instrument_id)).or_default();
        holding.unbook(side, px, qty, fee);
        if correct {
            holding.book(side, now.0, now.1, now.2);
        }
        self.executions[fill].stands = now;
        let was = self.orders[index].final_status();
        self.orders[index].cum_qty += now.1 - qty;
        self.stand_again(world, index, was);
        let exec_type = if correct { ExecType::TradeCorrect } else { ExecType::TradeCancel };
        world.faults.count(match (correct, self.orders[index].is_open()) {
            (true, true) => "correct",
            (true, false) => "correct_after_end",
            (false, true) => "bust",
            (false, false) => "bust_after_end",
        });
        if self.executions[fill].report.trade_day != self.trade_day && self.copies() {
            world.faults.count("amended_days_later");
        }
        let mut report = self.report(index, exec_type, self.orders[index].street_id);
        (report.last_px, report.last_qty, report.fee) = now;
        report.trade_day = self.executions[fill].report.trade_day;
        let ids = ExecRef { exec_ref_id: self.executions[last].report.exec_id, ..ExecRef::ZERO };
        self.execute(world, index, report, ids, fill);
    }

    /// What an order is after one of its fills was undone: open as before, or open again, or over.
    fn stand_again(&mut self, world: &mut Inner, index: usize, was: OrdStatus) {
        let newest = self.orders.iter().rev().map(|o| o.order_seq).find(|&seq| seq != 0);
        let newest = newest.unwrap_or(0);
        let order = &mut self.orders[index];
        if order.is_open() {
            order.ord_status = order.by_fills();
            return;
        }
        if was != OrdStatus::Filled || order.cum_qty >= order.order_qty {
            return;
        }
        let remembered =
            newest.saturating_sub(order.order_seq) < REOPENED_MAX || order.order_seq == 0;
        let keeps = order.rests && remembered;
        order.ord_status = if keeps && world.random.below(2) == 0 {
            world.faults.count("reopened_by_bust");
            order.by_fills_alone()
        } else {
            OrdStatus::Canceled
        };
    }

    /// Every execution of the day once more, as after a failover: it must change nothing.
    pub fn replay_day(&mut self, world: &mut Inner) {
        world.faults.count("day_replayed");
        let first = self.executions.len().saturating_sub(REPLAY_MAX);
        for at in first..self.executions.len() {
            let Execution { mut report, ids, link_seq, order, .. } = self.executions[at];
            if link_seq != 0 {
                report.flags |= REPORT_POSS_DUP;
                self.end.report_behind(self.before(order, &ids), &report, None);
            }
        }
    }

    /// Price times quantity of all fills of each order, as they stand.
    pub fn points(&self) -> Vec<i128> {
        let mut points = vec![0; self.orders.len()];
        for fill in self.executions.iter().filter(|e| e.is_fill()) {
            points[fill.order] += i128::from(fill.stands.0) * i128::from(fill.stands.1);
        }
        points
    }

    /// Whose an order is, and what all its fills have made as they stand.
    pub fn traded(&self, index: usize) -> ((u32, u32), Holding) {
        let (order, mut traded) = (&self.orders[index], Holding::default());
        for fill in self.executions.iter().filter(|e| e.order == index && e.is_fill()) {
            let (px, qty, fee) = fill.stands;
            if qty != 0 {
                traded.book(order.side, px, qty, fee);
            }
        }
        ((order.account_id, order.instrument_id), traded)
    }

    /// What a question about fills since a number of the link is answered with: what was not told by
    /// then, and all that was said since of such a fill.
    pub fn untold(&self, since_link_seq: u32) -> Vec<(Before, ExecutionReport)> {
        let missing = |e: &Execution| e.link_seq == 0 || e.link_seq > since_link_seq;
        let mut fills = vec![false; self.executions.len()];
        let mut answers = Vec::new();
        for execution in &self.executions {
            fills[execution.fill] |= missing(execution);
            if fills[execution.fill] {
                let before = self.before(execution.order, &execution.ids);
                answers.push((before, execution.report));
            }
        }
        answers
    }
}

impl Holding {
    /// The sum of two, or (`sign` -1) what is left without the other.
    pub fn add(&mut self, other: Self, sign: i128) {
        self.net += sign * other.net;
        self.cash += sign * other.cash;
        self.fees += sign * other.fees;
        self.bought += sign * other.bought;
        self.sold += sign * other.sold;
    }

    pub fn unbook(&mut self, side: u8, px: i64, qty: i64, fee: i64) {
        let buy = side == Side::Buy.code();
        let signed = if buy { i128::from(qty) } else { -i128::from(qty) };
        self.net -= signed;
        self.cash += signed * i128::from(px);
        self.fees -= i128::from(fee);
        *(if buy { &mut self.bought } else { &mut self.sold }) -= i128::from(qty);
    }
}
