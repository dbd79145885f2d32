//! Time: serialised stamps for one operation, plain ones for a block. Owned by the thread that
//! measures. What must stay true: samples are kept in memory that was touched before, and turned
//! into percentiles only after the timed part.

use crate::line::Line;
use hdrhistogram::Histogram;
use std::fmt::Write;

/// Ticks to nanoseconds, and what a pair of stamps costs by itself.
#[derive(Clone, Copy, Debug)]
pub struct Timer {
    ns_per_tick: f64,
    pair_ticks: u64,
}

impl Timer {
    /// Measures the counter's rate and the cost of an empty pair of stamps (its median).
    pub fn start() -> Self {
        let clock = arch::Clock::start();
        let mut pairs: Vec<u64> = (0..10_001)
            .map(|_| {
                let before = arch::tsc_fenced();
                arch::tsc_fenced() - before
            })
            .collect();
        pairs.sort_unstable();
        Self { ns_per_tick: clock.ns_per_tick(), pair_ticks: pairs[pairs.len() / 2] }
    }

    /// Nanoseconds of `ticks`.
    pub fn ns(&self, ticks: u64) -> f64 {
        ticks as f64 * self.ns_per_tick
    }

    /// What an empty pair of stamps takes, ns: subtracted from every sample.
    pub fn pair_ns(&self) -> f64 {
        self.ns(self.pair_ticks)
    }
}

/// The samples of one case.
#[derive(Debug)]
pub struct Samples {
    timer: Timer,
    one: Vec<u64>,
    block_ticks: u64,
    block_ops: u64,
}

impl Samples {
    /// Room for `n` samples, touched.
    pub fn new(timer: Timer, n: usize) -> Self {
        let mut one = vec![1u64; n];
        one.clear();
        Self { timer, one, block_ticks: 0, block_ops: 0 }
    }

    /// Times one operation between serialised stamps.
    #[inline(always)]
    pub fn one<T>(&mut self, operation: impl FnOnce() -> T) -> T {
        let before = arch::tsc_fenced();
        let result = operation();
        let ticks = arch::tsc_fenced() - before;
        self.one.push(ticks);
        result
    }

    /// Times a block of `ops` operations as a whole.
    #[inline(always)]
    pub fn block<T>(&mut self, ops: u64, operations: impl FnOnce() -> T) -> T {
        let before = arch::tsc_fenced();
        let result = operations();
        self.block_ticks += arch::tsc_fenced() - before;
        self.block_ops += ops;
        result
    }

    /// Takes the single samples of another.
    pub fn extend(&mut self, other: &Self) {
        self.one.extend(&other.one);
    }

    /// One percentile of the single samples, ns.
    pub fn percentile(&self, part: f64) -> u64 {
        self.histogram().0.value_at_quantile(part)
    }

    /// Single samples less the timer's own cost, ns, and their sum in ticks.
    fn histogram(&self) -> (Histogram<u64>, u64) {
        let mut histogram = Histogram::new(3).expect("three digits");
        let mut sum = 0;
        for &ticks in &self.one {
            let own = ticks.saturating_sub(self.timer.pair_ticks);
            sum += own;
            histogram.record(self.timer.ns(own).round() as u64).expect("it grows");
        }
        (histogram, sum)
    }

    /// Percentiles of the samples and the rate over the blocks; without blocks, over the samples.
    pub fn line(&self, case: &'static str, tier: &'static str, data: String) -> Line {
        let (histogram, sum) = self.histogram();
        let (ticks, ops) = match self.block_ops {
            0 => (sum, self.one.len() as u64),
            ops => (self.block_ticks, ops),
        };
        let seconds = self.timer.ns(ticks.max(1)) / 1e9;
        Line {
            case,
            tier,
            data,
            n: self.one.len() as u64,
            p50_ns: histogram.value_at_quantile(0.5),
            p99_ns: histogram.value_at_quantile(0.99),
            p999_ns: histogram.value_at_quantile(0.999),
            max_ns: histogram.max(),
            ops_per_s: ops as f64 / seconds,
            instructions: None,
            counters: None,
            pacer: None,
            reload: None,
            machine: machine(),
        }
    }
}

/// Binds this thread to the last core the system lets it have, until dropped.
#[derive(Debug)]
pub struct Pinned {
    before: rustix::thread::CpuSet,
    /// The core.
    pub core: usize,
}

impl Pinned {
    /// `None` when the system does not allow it.
    pub fn new() -> Option<Self> {
        let before = rustix::thread::sched_getaffinity(None).ok()?;
        let core = (0..rustix::thread::CpuSet::MAX_CPU).rev().find(|&core| before.is_set(core))?;
        let mut one = rustix::thread::CpuSet::new();
        one.set(core);
        rustix::thread::sched_setaffinity(None, &one).ok()?;
        Some(Self { before, core })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = rustix::thread::sched_setaffinity(None, &self.before);
    }
}

/// The processor's name, the number of cores, and whether huge pages may be had.
pub fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name))
        .unwrap_or("unknown processor");
    let mut told = name.trim().to_owned();
    let cores = info.lines().filter(|line| line.starts_with("processor")).count();
    let huge = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled")
        .ok()
        .and_then(|modes| Some(modes.split_once('[')?.1.split_once(']')?.0.to_owned()))
        .unwrap_or_else(|| "unknown".into());
    let _ = write!(told, "; {cores} cores; huge pages {huge}");
    told
}
