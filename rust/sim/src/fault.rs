//! The fault simulator: a real desk (engine, outbox, journal, recovery, kill switch) in a simulated
//! world of clocks, disk, wires, venues and clients, where everything goes wrong by one seed.
//!
//! Called by `pyoms sim` and by tests. One seed is one run, bit for bit. `fault/world` is what the
//! desk stands on, `fault/venue` and `fault/executions` the truth it is held against, `fault/watch` the auditor of each step,
//! `fault/run` the day. What must stay true: nothing here reads a clock or another randomness than
//! the seed's, so that a failing seed fails again.

mod executions;
mod run;
mod venue;
mod watch;
mod world;

use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Steps of a run.
pub const STEPS: u64 = 1_500;

/// How often each kind of fault happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Faults(BTreeMap<&'static str, u64>);

impl Faults {
    pub(crate) fn count(&mut self, kind: &'static str) {
        *self.0.entry(kind).or_default() += 1;
    }

    /// How often a kind happened.
    pub fn of(&self, kind: &str) -> u64 {
        self.0.get(kind).copied().unwrap_or(0)
    }

    fn add(&mut self, other: &Faults) {
        for (kind, count) in &other.0 {
            *self.0.entry(kind).or_default() += count;
        }
    }
}

/// What came of one seed.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Steps taken.
    pub steps: u64,
    /// Events of the log, those of lost tails included.
    pub events: u64,
    /// What did not hold; the run stops at the first step that shows something.
    pub violations: Vec<String>,
    /// Faults by kind.
    pub faults: Faults,
    /// Hash of the log at its end.
    pub log_hash: u64,
}

/// A seed that failed.
#[derive(Clone, Debug, Serialize)]
pub struct Violation {
    /// The seed.
    pub seed: u64,
    /// Fewest steps that still fail.
    pub steps: u64,
    /// What does not hold there.
    pub what: Vec<String>,
    /// The command that shows it.
    pub reproduce: String,
}

/// What came of many seeds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// First and last seed.
    pub seeds: String,
    /// Events of all logs.
    pub events: u64,
    /// Failed seeds.
    pub violations: Vec<Violation>,
    /// Faults by kind.
    pub faults: Faults,
    /// Hash over all log hashes, in order of the seeds.
    pub log_hash: String,
}

/// Runs one seed for `steps` steps in a directory of its own below `dir`.
pub fn run(seed: u64, steps: u64, dir: &Path) -> Outcome {
    run::run(seed, steps, dir, false)
}

/// Runs one seed and leaves its desk, closed in order, as `s<seed>/desk` below `dir`.
pub fn keep(seed: u64, steps: u64, dir: &Path) -> Outcome {
    run::run(seed, steps, dir, true)
}

/// The fewest steps after which a failing seed still fails.
pub fn shortest(seed: u64, steps: u64, dir: &Path) -> (u64, Outcome) {
    fewest(steps, |steps| run(seed, steps, dir))
}

/// The fewest steps, up to so many that fail, whose run fails. A prefix fails in a step or in the
/// settling behind it, so a longer one may be sound: halving finds a short one, and each shorter one is
/// tried then.
fn fewest(steps: u64, mut run: impl FnMut(u64) -> Outcome) -> (u64, Outcome) {
    let fails = |outcome: &Outcome| !outcome.violations.is_empty();
    let (mut good, mut bad) = (0, steps);
    let mut outcome = run(bad);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        let tried = run(middle);
        if fails(&tried) {
            (bad, outcome) = (middle.min(tried.steps.max(1)), tried);
        } else {
            good = middle;
        }
    }
    let shorter = (1..bad).map(|steps| (steps, run(steps))).find(|(_, tried)| fails(tried));
    shorter.unwrap_or((bad, outcome))
}

impl Report {
    /// The report as one JSON object.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain numbers and text")
    }
}

/// Runs seeds `first` to `last`, both included; `kept`: every desk is left below `dir`.
pub fn campaign((first, last): (u64, u64), steps: u64, dir: &Path, kept: bool) -> Report {
    let mut report = Report { seeds: format!("{first}..{last}"), ..Report::default() };
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for seed in first..=last {
        let outcome = if kept { keep(seed, steps, dir) } else { run(seed, steps, dir) };
        report.events += outcome.events;
        report.faults.add(&outcome.faults);
        hash = (hash ^ outcome.log_hash).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
        if !outcome.violations.is_empty() {
            let aside = dir.join("shortest");
            let (steps, shown) = shortest(seed, outcome.steps, &aside);
            let reproduce = format!("pyoms sim --seeds {seed}..{seed} --steps {steps}");
            report.violations.push(Violation { seed, steps, what: shown.violations, reproduce });
        }
    }
    report.log_hash = format!("{hash:016x}");
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_prefix_is_found_where_a_longer_one_is_sound_again() {
        let mut tried = Vec::new();
        let (steps, outcome) = fewest(26, |steps| {
            tried.push(steps);
            let fails = (3..=4).contains(&steps) || steps >= 19;
            let violations = if fails { vec![format!("after {steps}")] } else { Vec::new() };
            Outcome { steps, violations, ..Outcome::default() }
        });
        assert_eq!((steps, outcome.violations), (3, vec!["after 3".to_owned()]));
        assert!(tried.len() < 26, "{tried:?}");
    }
}
