//! The cases, each one function: set up, timed part, check, line. A case's name says the path, its
//! `data` what it ran on: sizes, cold or hot, paced or not. The small size runs in every test.

use crate::desk::{BID, Desk, Fault, Scratch, Shape, TICK};
use crate::line::Line;
use crate::measure::{Pinned, Samples, Timer};
use engine::{Engine, Log};
use host::RingLog;
use journal::{ControlFile, ControlState, DeskDir, NewDesk, Ring};
use layout::*;
use std::hint::black_box;

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
pub const CASES: &[(&str, Run)] = &[
    ("decide_hot", decide_hot),
    ("decide_paced", decide_paced),
    ("decide_cold", decide_cold),
    ("decide_random", decide_random),
    ("report_fill", report_fill),
    ("report_burst", report_burst),
    ("cancel", cancel),
    ("replace", replace),
    ("refuse", refuse),
    ("append", append),
    ("recover", recover),
    ("kill_read", kill_read),
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

fn decide_paced(timer: Timer, size: Size) -> Result<Line, Fault> {
    let n = size.of(1 << 16, 1 << 11);
    let mut desk = Desk::open(Shape::HOT)?;
    let mut samples = Samples::new(timer, n);
    let gap_ticks = (10_000.0 / timer.ns(1)) as u64;
    for _ in 0..n / HOT_ROUND {
        desk.forget(HOT_ROUND, 256);
        for _ in 0..HOT_ROUND {
            let order = desk.order();
            let due = arch::tsc() + gap_ticks;
            while arch::tsc() < due {
                std::hint::spin_loop();
            }
            assert!(samples.one(|| desk.step(order.as_record())) == Verdict::Accepted);
            desk.live.push(desk.outbox.newest().header.order_seq);
            desk.end(1);
        }
        desk.pump();
    }
    let data = "hot, paced: one order each 10 us, spinning between; as decide_hot";
    Ok(samples.line("decide_paced", TIER, data.into()))
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

/// A desk of the random kind that has room for `more` orders and ids beyond its growth.
fn random_desk(size: Size, more: usize) -> Result<(Desk, String), Fault> {
    let (ids, live) = (size.of(2_000_000, 40_000), size.of(1_000_000, 8_000));
    let mut desk = Desk::open(Shape::random(ids + more))?;
    desk.grow(ids, live);
    let data = format!(
        "random, unpaced: 1,000 instruments x 100 accounts, {live} live, {ids} ids, ring 8 MiB"
    );
    Ok((desk, data))
}

/// Times reports, one by one and in blocks by turns.
fn reports(desk: &mut Desk, samples: &mut Samples, reports: &[ExecutionReport], whole: bool) {
    let mut applied = 0;
    if whole {
        applied += samples.block(reports.len() as u64, || {
            reports.iter().filter(|r| desk.report(r) == Disposition::Applied).count()
        });
    } else {
        for report in reports {
            let disposition = samples.one(|| counted_report(desk, report));
            applied += usize::from(disposition == Disposition::Applied);
        }
    }
    assert!(applied == reports.len());
}

#[inline(never)]
fn counted_report(desk: &mut Desk, report: &ExecutionReport) -> Disposition {
    desk.report(report)
}

fn report_fill(timer: Timer, size: Size) -> Result<Line, Fault> {
    let n = size.of(1 << 19, 1 << 12);
    let (mut desk, data) = random_desk(size, 2 * n)?;
    let mut samples = Samples::new(timer, n);
    let mut words = Vec::with_capacity(BLOCK);
    for block in 0..2 * n / BLOCK {
        desk.place(BLOCK);
        words.clear();
        for _ in 0..BLOCK {
            let order_seq = desk.draw_live();
            words.push(desk.word(order_seq, ExecType::Trade));
        }
        reports(&mut desk, &mut samples, &words, block % 2 == 1);
        desk.pump();
    }
    assert!(desk.engine.counters().fills >= 2 * n as u64);
    Ok(samples.line("report_fill", TIER, data + "; each fill ends its order"))
}

fn report_burst(timer: Timer, size: Size) -> Result<Line, Fault> {
    let n = size.of(1 << 19, 1 << 12);
    let shape = Shape { fills_max: 1 << 21, ..Shape::HOT };
    let mut desk = Desk::open(shape)?;
    let mut samples = Samples::new(timer, n);
    let mut words = Vec::with_capacity(BLOCK);
    for block in 0..2 * n / BLOCK {
        if block * 8 % HOT_ROUND == 0 {
            desk.forget(HOT_ROUND, 0);
        }
        words.clear();
        for _ in 0..8 {
            let mut order = desk.order();
            order.order_qty = 8 * ONE;
            assert!(desk.step(order.as_record()) == Verdict::Accepted);
            let order_seq = desk.outbox.newest().header.order_seq;
            for _ in 0..8 {
                let mut word = desk.word(order_seq, ExecType::Trade);
                word.last_qty = ONE;
                words.push(word);
            }
        }
        reports(&mut desk, &mut samples, &words, block % 2 == 1);
        desk.pump();
    }
    let data = "hot, unpaced: 16 instruments x 4 accounts; bursts of 64 partial fills of 8 orders";
    Ok(samples.line("report_burst", TIER, data.into()))
}

/// Times changes of random live orders, the venue's answers and new orders between them untimed.
fn changes(
    timer: Timer,
    size: Size,
    case: &'static str,
    answer: ExecType,
    command: fn(&mut Desk, u64) -> Record,
) -> Result<Line, Fault> {
    let n = size.of(1 << 18, 1 << 11);
    let (mut desk, data) = random_desk(size, 4 * n)?;
    let mut samples = Samples::new(timer, n);
    let mut targets = Vec::with_capacity(BLOCK);
    for block in 0..2 * n / BLOCK {
        targets.clear();
        for _ in 0..BLOCK {
            let order_seq = desk.draw_live();
            let record = command(&mut desk, order_seq);
            targets.push((order_seq, record));
        }
        let mut accepted = 0;
        if block % 2 == 1 {
            accepted += samples.block(BLOCK as u64, || {
                targets.iter().filter(|(_, c)| desk.step(c) == Verdict::Accepted).count()
            });
        } else {
            for (_, command) in &targets {
                let verdict = samples.one(|| counted_step(&mut desk, command));
                accepted += usize::from(verdict == Verdict::Accepted);
            }
        }
        assert!(accepted == BLOCK);
        for &(order_seq, _) in &targets {
            let word = desk.word(order_seq, answer);
            assert!(desk.report(&word) == Disposition::Applied);
            if desk.engine.order(order_seq).is_some_and(|order| order.live()) {
                desk.live.push(order_seq);
            } else {
                desk.place(1);
            }
        }
        desk.pump();
    }
    Ok(samples.line(case, TIER, data))
}

fn cancel(timer: Timer, size: Size) -> Result<Line, Fault> {
    changes(timer, size, "cancel", ExecType::Canceled, |desk, order_seq| {
        let mut c = CancelOrder::ZERO;
        (c.header.kind, c.header.order_seq) = (CancelOrder::KIND, order_seq);
        (c.cl_ord_id, c.session_id) = (desk.id(), 1);
        *c.as_record()
    })
}

fn replace(timer: Timer, size: Size) -> Result<Line, Fault> {
    changes(timer, size, "replace", ExecType::Replaced, |desk, order_seq| {
        let order = *desk.engine.order(order_seq).expect("live");
        let mut r = ReplaceOrder::ZERO;
        (r.header.kind, r.header.order_seq) = (ReplaceOrder::KIND, order_seq);
        (r.cl_ord_id, r.session_id) = (desk.id(), 1);
        (r.price, r.order_qty) = (order.price, order.order_qty + ONE);
        *r.as_record()
    })
}

fn refuse(timer: Timer, size: Size) -> Result<Line, Fault> {
    let n = size.of(1 << 18, 1 << 12);
    let mut desk = Desk::open(Shape::HOT)?;
    let mut samples = Samples::new(timer, n);
    let mut refused = 0;
    for _ in 0..n / HOT_ROUND {
        desk.forget(HOT_ROUND, 256);
        for _ in 0..HOT_ROUND {
            let mut order = desk.order();
            (order.side, order.price) = (Side::Buy as u8, 2 * BID + TICK);
            let verdict = samples.one(|| counted_step(&mut desk, order.as_record()));
            refused += usize::from(verdict == Verdict::PriceAboveBand);
        }
        desk.pump();
    }
    assert!(refused == n);
    let data = "hot, unpaced: price above its band; the refusal and its numbers are logged";
    Ok(samples.line("refuse", TIER, data.into()))
}

fn append(timer: Timer, size: Size) -> Result<Line, Fault> {
    let n = size.of(1 << 20, 1 << 14);
    let mut log = RingLog { ring: Ring::memory(1 << 16, 77, 1)?, bounds: () };
    let mut samples = Samples::new(timer, n);
    let mut record = Record::ZERO;
    let mut write = |log: &mut RingLog| {
        record.header.order_seq += 1;
        *log.slot(0) = record;
        log.publish(1);
    };
    for _ in 0..1 << 16 {
        write(&mut log);
    }
    for _ in 0..n / BLOCK {
        for _ in 0..BLOCK {
            samples.one(|| write(&mut log));
        }
        samples.block(BLOCK as u64, || (0..BLOCK).for_each(|_| write(&mut log)));
    }
    assert!(log.last(0).header.order_seq == (1 << 16) + 2 * (n / BLOCK * BLOCK) as u64);
    let data = "unpaced: one record of 128 bytes with its checksum, ring 8 MiB";
    Ok(samples.line("append", "memory", data.into()))
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

fn kill_read(timer: Timer, size: Size) -> Result<Line, Fault> {
    let n = size.of(1 << 18, 1 << 12);
    let scratch = Scratch::new()?;
    let desk = DeskDir::create(scratch.path().join("desk"), &NewDesk::default())?;
    let ControlState::Sound(control): ControlState = ControlFile::open(&desk) else {
        return Err("the control file of a new desk is not sound".into());
    };
    let mut samples = Samples::new(timer, n);
    let (mut sum, word) = (0u64, control.word());
    for _ in 0..n {
        samples.one(|| sum = sum.wrapping_add(black_box(&control).word()));
        samples.block(BLOCK as u64, || {
            for _ in 0..BLOCK {
                sum = sum.wrapping_add(black_box(&control).word());
            }
        });
    }
    assert!(sum == word.wrapping_mul((n * (BLOCK + 1)) as u64));
    Ok(samples.line("kill_read", "-", "hot, unpaced: the desk word, mapped".into()))
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
        let mut r = ReplaceOrder::ZERO;
        (r.header.kind, r.header.order_seq) = (ReplaceOrder::KIND, order_seq);
        (r.cl_ord_id, r.session_id) = (desk.id(), 1);
        (r.price, r.order_qty) = (order.price, order.order_qty + ONE);
        assert!(desk.step(r.as_record()) == Verdict::Accepted);
        let word = desk.word(order_seq, ExecType::Replaced);
        assert!(desk.report(&word) == Disposition::Applied);
        let mut refused = desk.order();
        (refused.side, refused.price) = (Side::Buy as u8, 2 * BID + TICK);
        assert!(desk.step(refused.as_record()) == Verdict::PriceAboveBand);
        let quote = crate::desk::quote(order.instrument_id);
        assert!(desk.step(quote.as_record()) == Verdict::Accepted);
        if round % 2 == 0 {
            let word = desk.word(order_seq, ExecType::Trade);
            assert!(desk.report(&word) == Disposition::Applied);
        } else {
            let mut c = CancelOrder::ZERO;
            (c.header.kind, c.header.order_seq) = (CancelOrder::KIND, order_seq);
            (c.cl_ord_id, c.session_id) = (desk.id(), 1);
            assert!(desk.step(c.as_record()) == Verdict::Accepted);
            let word = desk.word(order_seq, ExecType::Canceled);
            assert!(desk.report(&word) == Disposition::Applied);
        }
        steps += 8;
    }
    steps
}
