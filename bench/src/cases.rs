//! The cases, each one function: set up, timed part, check, line. A case's name says the path, its
//! `data` what it ran on: sizes, cold or hot, paced or not. The small size runs in every test.

use crate::desk::{Desk, Fault, Shape};
use crate::line::Line;
use crate::measure::{Samples, Timer, pin};
use layout::*;

/// Commands generated before each block and timed in it.
const BLOCK: usize = 64;
/// Commands whose lines are fetched ahead of the one that is judged.
const AHEAD: usize = 8;
/// Orders between two times at which all ids of a hot desk run out.
const HOT_ROUND: usize = 512;
/// The tier of every case with a log, in the words of the interface.
const TIER: &str = "process";

/// How large a case runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Seconds in all, not minutes: what tests run.
    pub small: bool,
    /// A few thousand operations, for instruction counts.
    pub counted: bool,
}

impl Size {
    fn of(self, full: usize, small: usize) -> usize {
        if self.small { small } else { full }
    }

    /// The many-instruments desk: ids and live orders.
    fn random(self) -> (usize, usize) {
        (self.of(10_000_000, 40_000), self.of(1_000_000, 8_000))
    }
}

type Run = fn(Timer, Size) -> Result<Line, Fault>;

/// Every case by name.
pub const CASES: &[(&str, Run)] = &[("decide_hot", decide_hot), ("decide_random", decide_random)];

/// Runs one case, or all. Errors: no case of that name, or a case that cannot be set up.
pub fn run(case: Option<&str>, small: bool) -> Result<Vec<Line>, Fault> {
    let chosen: Vec<_> =
        CASES.iter().filter(|(name, _)| case.is_none_or(|wanted| wanted == *name)).collect();
    if chosen.is_empty() {
        let names: Vec<_> = CASES.iter().map(|(name, _)| *name).collect();
        let wanted = case.unwrap_or_default();
        return Err(format!("case {wanted:?} is none of {}", names.join(", ")).into());
    }
    let core = pin();
    let timer = Timer::start();
    let mut lines = Vec::new();
    for (_, run) in chosen {
        let mut line = run(timer, Size { small, counted: false })?;
        match core {
            Some(core) => line.machine += &format!("; pinned to core {core}"),
            None => line.machine += "; not pinned",
        }
        lines.push(line);
    }
    Ok(lines)
}

/// One input. Not inlined, so that valgrind can count what happens within it and nothing else.
#[inline(never)]
fn counted_step(desk: &mut Desk, input: &Record) -> Verdict {
    desk.step(input)
}

/// One block of new orders, one by one between stamps, or as a whole with prefetch.
fn decide_block(desk: &mut Desk, samples: &mut Samples, orders: &mut Vec<NewOrder>, whole: bool) {
    orders.clear();
    orders.extend((0..BLOCK).map(|_| desk.order()));
    let (first, mut accepted) = (desk.outbox.count, 0);
    if whole {
        accepted += samples.block(BLOCK as u64, || {
            for order in &orders[..AHEAD] {
                desk.engine.prefetch(order);
            }
            let mut accepted = 0;
            for at in 0..BLOCK {
                if let Some(next) = orders.get(at + AHEAD) {
                    desk.engine.prefetch(next);
                }
                accepted += u64::from(desk.step(orders[at].as_record()) == Verdict::Accepted);
            }
            accepted
        });
    } else {
        for order in orders.iter() {
            let verdict = samples.one(|| counted_step(desk, order.as_record()));
            accepted += u64::from(verdict == Verdict::Accepted);
        }
    }
    assert!(accepted == BLOCK as u64);
    assert!(desk.outbox.count - first == BLOCK as u64);
    let last = desk.outbox.newest().header.order_seq;
    desk.live.extend(last + 1 - BLOCK as u64..=last);
}

fn decide(desk: &mut Desk, samples: &mut Samples, blocks: usize, whole: bool, live: usize) {
    let mut orders = Vec::with_capacity(BLOCK);
    for _ in 0..blocks {
        decide_block(desk, samples, &mut orders, whole);
        desk.end(desk.live.len().saturating_sub(live));
        desk.pump();
    }
}

fn decide_hot(timer: Timer, size: Size) -> Result<Line, Fault> {
    let n = size.of(1 << 20, 1 << 14);
    let mut desk = Desk::open(Shape::HOT)?;
    let mut samples = Samples::new(timer, n);
    // A round stays within the ids that no round before has left to forget.
    for round in 0..2 * n / HOT_ROUND {
        desk.forget(HOT_ROUND, 256);
        decide(&mut desk, &mut samples, HOT_ROUND / BLOCK, round % 2 == 1, 256);
    }
    let data = "hot, unpaced: 16 instruments x 4 accounts, 256 live, 1,024 ids, ring 1 MiB";
    Ok(samples.line("decide_hot", TIER, data.into()))
}

fn decide_random(timer: Timer, size: Size) -> Result<Line, Fault> {
    let (ids, live) = size.random();
    let n = size.of(1 << 20, 1 << 13);
    let mut desk = Desk::open(Shape::random(ids))?;
    desk.grow(ids - 2 * n, live);
    let mut samples = Samples::new(timer, n);
    for _ in 0..n / 1024 {
        decide(&mut desk, &mut samples, 1024 / BLOCK, false, live);
        decide(&mut desk, &mut samples, 1024 / BLOCK, true, live);
    }
    let data = format!(
        "random, unpaced: 1,000 instruments x 100 accounts, {live} live, {ids} ids, ring 8 MiB; \
         ops_per_s with prefetch {AHEAD} ahead, percentiles without"
    );
    Ok(samples.line("decide_random", TIER, data))
}
