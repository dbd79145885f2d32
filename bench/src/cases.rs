//! The cases of `pyoms bench`, each a line: set up, timed part, check. Most are a path of `paths`,
//! timed one operation after the other and in whole batches by turns; what does not fit that stands
//! here. The small size runs in every test.

use crate::counters::{Counters, EVENTS};
use crate::desk::{Desk, Fault, Shape};
use crate::line::{Counted, Line, Pacer};
use crate::measure::{Pinned, Samples, Timer};
use crate::paths::{self, BATCH, HOT_ROUND, Path, Size};
use engine::Engine;
use layout::*;
use std::hint::black_box;

/// The tier of every case with a log, in the words of the interface.
const TIER: &str = "process";
/// Batches that the processor's counters are on for.
const COUNTED_BATCHES: usize = 128;

type Run = fn(Timer, Size) -> Result<Line, Fault>;

/// Every case by name.
pub const CASES: &[(&str, Run)] = &[
    ("decide_hot", path::<paths::DecideHot>),
    ("decide_paced", decide_paced),
    ("decide_cold", decide_cold),
    ("decide_random", path::<paths::DecideRandom>),
    ("report_fill", path::<paths::ReportFill>),
    ("report_burst", path::<paths::ReportBurst>),
    ("cancel", path::<paths::Cancel>),
    ("replace", path::<paths::Replace>),
    ("refuse", path::<paths::Refuse>),
    ("held_quiet", path::<paths::HeldQuiet>),
    ("held_trigger", path::<paths::HeldTrigger>),
    ("append", path::<paths::Append>),
    ("recover", recover),
    ("limits_reload", |timer, size| crate::reload::limits_reload(timer, size.small)),
    ("kill_read", path::<paths::KillRead>),
];

/// Runs one case, or all. Errors: no case of that name, or a case that cannot be set up.
pub fn run(case: Option<&str>, small: bool) -> Result<Vec<Line>, Fault> {
    let chosen: Vec<_> =
        CASES.iter().filter(|(name, _)| case.is_none_or(|wanted| wanted == *name)).collect();
    if chosen.is_empty() {
        let names: Vec<_> = CASES.iter().map(|(name, _)| *name).collect();
        let wanted = case.unwrap_or_default();
        return Err(format!("case {wanted:?} is none of {}", names.join(", ")).into());
    }
    let pinned = Pinned::new();
    let timer = Timer::start();
    let mut lines = Vec::new();
    for (_, run) in chosen {
        let mut line = run(timer, Size { small })?;
        match &pinned {
            Some(pinned) => line.machine += &format!("; pinned to core {}", pinned.core),
            None => line.machine += "; not pinned",
        }
        lines.push(line);
    }
    Ok(lines)
}

/// Times a path, then counts some batches more where the machine has counters.
fn path<P: Path>(timer: Timer, size: Size) -> Result<Line, Fault> {
    let n = size.of(P::SAMPLES.0, P::SAMPLES.1);
    let mut path = P::open(size, 2 * n + COUNTED_BATCHES * BATCH)?;
    let mut samples = Samples::new(timer, n);
    let mut batch = Vec::with_capacity(BATCH);
    for turn in 0..2 * n / BATCH {
        path.draw(&mut batch);
        let right = if turn % 2 == 1 {
            samples.block(BATCH as u64, || path.whole(&batch))
        } else {
            batch.iter().filter(|input| samples.one(|| path.one(input))).count()
        };
        assert!(right == BATCH);
        path.settle(&batch);
    }
    let mut line = samples.line(P::CASE, P::TIER, path.data());
    match count(&mut path) {
        Ok(counted) => line.counters = Some(counted),
        Err(why) => line.machine += &format!("; no counters: {why}"),
    }
    Ok(line)
}

/// Counters an operation of a path, less what switching them on and off costs. Errors: why there are
/// none.
fn count<P: Path>(path: &mut P) -> Result<Counted, String> {
    let mut empty = Counters::open(&EVENTS)?;
    for _ in 0..COUNTED_BATCHES {
        empty.count(|| black_box(()))?;
    }
    let empty = empty.finish()?;
    let mut full = Counters::open(&EVENTS)?;
    let mut batch = Vec::with_capacity(BATCH);
    for _ in 0..COUNTED_BATCHES {
        path.draw(&mut batch);
        let right = full.count(|| path.whole(&batch))?;
        assert!(right == BATCH);
        path.settle(&batch);
    }
    let full = full.finish()?;
    let each = |at: usize| (full[at] - empty[at]).max(0.0) / (COUNTED_BATCHES * BATCH) as f64;
    Ok(Counted {
        cycles: each(0),
        instructions: each(1),
        cache_misses: each(2),
        branch_misses: each(3),
    })
}

/// Windows of a paced case, and how many of them count: the quietest by their 99th percentile.
const WINDOWS: (usize, usize) = (20, 5);

/// An order each 10 us, and half-way to the next one nothing, timed alike: what the machine alone does
/// to a thread that waits.
fn decide_paced(timer: Timer, size: Size) -> Result<Line, Fault> {
    let rounds = size.of(8, 1);
    let mut desk = Desk::open(Shape::HOT)?;
    let half_gap_ticks = (5_000.0 / timer.ns(1)) as u64;
    let mut windows = Vec::with_capacity(WINDOWS.0);
    for _ in 0..WINDOWS.0 {
        let mut samples = Samples::new(timer, rounds * HOT_ROUND);
        let mut pacer = Samples::new(timer, rounds * HOT_ROUND);
        for _ in 0..rounds {
            desk.forget(HOT_ROUND, 256);
            for _ in 0..HOT_ROUND {
                let order = desk.order();
                wait(half_gap_ticks);
                pacer.one(|| black_box(()));
                wait(half_gap_ticks);
                assert!(samples.one(|| desk.step(order.as_record())) == Verdict::Accepted);
                desk.live.push(desk.outbox.newest().header.order_seq);
                desk.end(1);
            }
            desk.pump();
        }
        windows.push((samples, pacer));
    }
    windows.sort_by_key(|(samples, _)| samples.percentile(0.99));
    let (mut samples, mut pacer) = (Samples::new(timer, 0), Samples::new(timer, 0));
    for (quiet, alone) in &windows[..WINDOWS.1] {
        samples.extend(quiet);
        pacer.extend(alone);
    }
    let data = format!(
        "hot, paced: one order each 10 us, spinning between; as decide_hot; the {} windows of {} \
         with the lowest p99, the empty pacer in the same windows beside it",
        WINDOWS.1, WINDOWS.0
    );
    let pacer = pacer.line("", "", String::new());
    let mut line = samples.line("decide_paced", TIER, data);
    line.pacer = Some(Pacer { p50_ns: pacer.p50_ns, p99_ns: pacer.p99_ns, p999_ns: pacer.p999_ns });
    Ok(line)
}

fn wait(ticks: u64) {
    let due = arch::tsc() + ticks;
    while arch::tsc() < due {
        std::hint::spin_loop();
    }
}

fn decide_cold(timer: Timer, size: Size) -> Result<Line, Fault> {
    let n = size.of(2_000, 64);
    let mut desk = Desk::open(Shape::random(size.of(1 << 20, 1 << 14)))?;
    desk.grow(size.of(1 << 19, 1 << 12), size.of(1 << 18, 1 << 11));
    let mut samples = Samples::new(timer, n);
    let mut walked = vec![1u64; size.of(16 << 20, 4 << 20)];
    for _ in 0..n {
        let order = desk.order();
        walked.iter_mut().step_by(8).for_each(|word| *word = word.wrapping_add(1));
        black_box(&walked);
        assert!(samples.one(|| desk.step(order.as_record())) == Verdict::Accepted);
        desk.pump();
    }
    let data = format!("cold: {} MiB walked before each order", walked.len() / (1 << 17));
    Ok(samples.line("decide_cold", TIER, data))
}

fn recover(timer: Timer, size: Size) -> Result<Line, Fault> {
    let (ids, live) = (size.of(2_000_000, 20_000), size.of(500_000, 5_000));
    let shape = Shape::random(ids);
    let mut desk = Desk::open_on_disk(shape)?;
    desk.grow(ids, live);
    desk.pump();
    let state_hash = desk.engine.state_hash();
    let (dir, _scratch) = desk.stop();
    let mut samples = Samples::new(timer, 3);
    let mut events = 0;
    for _ in 0..3 {
        let mut engine = Engine::new(&shape.config())?;
        events = samples.one(|| -> Result<u64, Fault> {
            let log = journal::recover(&dir)?;
            let engine = std::cell::RefCell::new(&mut engine);
            log.for_each_ahead(
                16,
                |record| engine.borrow().prefetch_event(record),
                |record| engine.borrow_mut().apply(record),
            );
            Ok(log.next_seq() - 1)
        })?;
        assert!(engine.state_hash() == state_hash);
    }
    let mut line = samples.line("recover", TIER, String::new());
    line.ops_per_s *= events as f64;
    line.data = format!(
        "{events} events of {ids} orders, {live} live, segments in memory-backed files: read, \
         checked, folded; percentiles are of a whole recovery"
    );
    Ok(line)
}

/// Orders for a counting test: a step of every kind of the path, `rounds` times, on a warm desk.
/// Returns the number of steps.
pub fn every_step(desk: &mut Desk, rounds: usize) -> u64 {
    let mut steps = 0;
    for round in 0..rounds {
        let order = desk.order();
        assert!(desk.step(order.as_record()) == Verdict::Accepted);
        let order_seq = desk.outbox.newest().header.order_seq;
        let word = desk.word(order_seq, ExecType::New);
        assert!(desk.report(&word) == Disposition::Applied);
        let r = desk.replace(order_seq);
        assert!(desk.step(r.as_record()) == Verdict::Accepted);
        let word = desk.word(order_seq, ExecType::Replaced);
        assert!(desk.report(&word) == Disposition::Applied);
        let refused = desk.order_above_band();
        assert!(desk.step(refused.as_record()) == Verdict::PriceAboveBand);
        let quote = crate::desk::quote(order.instrument_id);
        assert!(desk.step(quote.as_record()) == Verdict::Accepted);
        if round % 2 == 0 {
            let word = desk.word(order_seq, ExecType::Trade);
            assert!(desk.report(&word) == Disposition::Applied);
        } else {
            let c = desk.cancel(order_seq);
            assert!(desk.step(c.as_record()) == Verdict::Accepted);
            let word = desk.word(order_seq, ExecType::Canceled);
            assert!(desk.report(&word) == Disposition::Applied);
        }
        steps += 8;
    }
    steps
}
