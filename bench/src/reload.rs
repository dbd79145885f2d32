//! `limits_reload`: a whole table of limits, 100 accounts x 1,000 instruments, staged and active beside
//! orders at full rate. Pairs of windows by turns, one with a reload and a quiet one of as many
//! decisions. What must stay true: what a round stages is paid by the next order's time, so that no
//! wait is left out, and the first orders by the new table are in the window that brought it.

use crate::desk::{Desk, Fault, STEP_NS, Shape};
use crate::line::{Line, Reload};
use crate::measure::{Samples, Timer};
use engine::limits::absent;
use engine::{Engine, Log};
use layout::*;

/// Decisions between two stagings, as many as the desk takes from a client in one round while it stages.
const ROUND: usize = 16;
/// Rows of one staging, as the desk does it.
const ROWS: usize = 8;
/// Live orders beside it, at most.
const LIVE: usize = 1 << 16;
/// Orders after which ids of before run out.
const IDS: usize = 1 << 17;

struct Flow {
    desk: Desk,
    sent: usize,
}

impl Flow {
    /// Decides `rounds` rounds of orders; `rows` are staged among the first of them, then put in force.
    /// Ticks from the first row to the activation.
    fn window(&mut self, rounds: usize, rows: &[LimitRow], samples: &mut Samples) -> u64 {
        let version = self.desk.engine.limits_version() + 1;
        let mut staged = 0;
        let mut ticks = 0;
        let mut active = rows.is_empty();
        for _ in 0..rounds {
            let orders: Vec<NewOrder> = (0..ROUND).map(|_| self.desk.order()).collect();
            let (desk, counts) = (&mut self.desk, !active);
            let began = arch::tsc();
            for (at, order) in orders.iter().enumerate() {
                let verdict = samples.one(|| {
                    if at == 0 && !active {
                        for row in &rows[staged..rows.len().min(staged + ROWS)] {
                            desk.step(&Engine::limit_record(row, version));
                        }
                        staged += ROWS;
                        if staged >= rows.len() {
                            let mut e = LimitsActivated::ZERO;
                            (e.header.kind, e.limits_version) = (LimitsActivated::KIND, version);
                            desk.step(e.as_record());
                            active = true;
                        }
                    }
                    desk.step(order.as_record())
                });
                assert!(verdict == Verdict::Accepted, "{verdict:?}");
                desk.live.push(desk.outbox.newest().header.order_seq);
            }
            ticks += (arch::tsc() - began) * u64::from(counts);
            self.settle();
        }
        assert!(active && self.desk.engine.staged_limits() == 0);
        ticks
    }

    /// What is not timed: ends of orders, segments, and ids that run out.
    fn settle(&mut self) {
        let desk = &mut self.desk;
        if desk.live.len() > LIVE {
            desk.end(desk.live.len() - LIVE);
        }
        if desk.log.room() < desk.log.ring.slots() / 2 {
            desk.pump();
        }
        self.sent += ROUND;
        if self.sent >= IDS {
            self.sent = 0;
            desk.end(desk.live.len()); // the table's places come round
            desk.pump();
            desk.now_ns += 2_000_000_000;
            desk.quote_all();
        }
    }
}

/// Rows for every account in every instrument; each `lots` says something else in every one.
fn table(accounts: u32, instruments: u32, lots: i64) -> Vec<LimitRow> {
    let mut rows = Vec::with_capacity((accounts * (instruments + 1)) as usize);
    for account_id in 1..=accounts {
        let mut row = absent(Scope::Account);
        row.account_id = account_id;
        (row.orders_max, row.window_ns) = (1_000, 100 * STEP_NS);
        (row.order_qty_max, row.order_notional_max) = (lots * ONE, 1_000_000_000);
        (row.gross_notional_max, row.net_notional_max) = (1 << 50, 1 << 50);
        rows.push(row);
        for instrument_id in 1..=instruments {
            let mut row = absent(Scope::AccountInstrument);
            (row.account_id, row.instrument_id) = (account_id, instrument_id);
            (row.order_qty_max, row.order_notional_max) = (lots * ONE, 1_000_000_000);
            (row.gross_notional_max, row.net_qty_max) = (1 << 45, 1_000_000 * ONE);
            rows.push(row);
        }
    }
    rows
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The case.
pub fn limits_reload(timer: Timer, small: bool) -> Result<Line, Fault> {
    let pairs = if small { 2 } else { 20 };
    let shape = Shape {
        ids_max: 1 << 20,
        id_ttl_ns: 1_000_000_000,
        slots: 1 << 18,
        ..Shape::random(1 << 18)
    };
    let accounts = if small { 2 } else { shape.accounts };
    let mut flow = Flow { desk: Desk::open(shape)?, sent: 0 };
    flow.desk.grow(LIVE, LIVE);
    let rows = table(accounts, shape.instruments, 99).len();
    let staging = rows.div_ceil(ROWS);
    let rounds = staging + staging / 4; // by the end most pairs were judged by the new table
    let n = rounds * ROUND;
    let (mut times_ms, mut ratios) = (Vec::new(), Vec::new());
    let mut all = Samples::new(timer, pairs * n);
    let mut warm = Samples::new(timer, n);
    flow.window(rounds, &[], &mut warm);
    for pair in 0..pairs {
        let table = table(accounts, shape.instruments, 90 + pair as i64 % 2);
        let mut busy = Samples::new(timer, n);
        let ticks = flow.window(rounds, &table, &mut busy);
        times_ms.push(timer.ns(ticks) / 1e6);
        let mut between = Samples::new(timer, n);
        flow.window(staging / 4, &[], &mut between); // whoever has met no new limit yet does
        let mut quiet = Samples::new(timer, n);
        flow.window(rounds, &[], &mut quiet);
        ratios.push(busy.percentile(0.999) as f64 / quiet.percentile(0.999).max(1) as f64);
        all.extend(&busy);
    }
    let data = format!(
        "random, unpaced: {rows} rows of limits staged {ROWS} between {ROUND} orders and put in force \
         by one event, up to {LIVE} live orders; percentiles are of decisions beside {pairs} reloads, what \
         was staged before one included; time and p99.9 against quiet windows by turns are medians"
    );
    let mut line = all.line("limits_reload", "process", data);
    line.reload = Some(Reload { ms: median(times_ms), p999_ratio: median(ratios) });
    Ok(line)
}
