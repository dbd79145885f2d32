//! One result: a line of `pyoms bench`. Written by the cases, read by people, by `budget.toml` checks
//! and by the records beside it.

use serde_json::{Value, json};

/// What the processor counted an operation, outside the kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counted {
    /// Cycles.
    pub cycles: f64,
    /// Instructions.
    pub instructions: f64,
    /// Misses of the last level of cache.
    pub cache_misses: f64,
    /// Branches that went the other way.
    pub branch_misses: f64,
}

/// What an empty pacer saw beside a paced case: the machine's own noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pacer {
    /// Median, ns.
    pub p50_ns: u64,
    /// 99th percentile, ns.
    pub p99_ns: u64,
    /// 99.9th percentile, ns.
    pub p999_ns: u64,
}

/// A reload of limits beside orders: medians over pairs of windows, one with a reload and a quiet one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reload {
    /// From the first row staged to the whole table in force, ms.
    pub ms: f64,
    /// 99.9th percentile of decisions beside it, by that of the quiet window.
    pub p999_ratio: f64,
}

/// What a case measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// Name of the case.
    pub case: &'static str,
    /// Durability tier, `-` where no log takes part.
    pub tier: &'static str,
    /// The data: sizes, order of access, cold or hot, paced or not.
    pub data: String,
    /// Operations timed one by one.
    pub n: u64,
    /// Median, ns.
    pub p50_ns: u64,
    /// 99th percentile, ns.
    pub p99_ns: u64,
    /// 99.9th percentile, ns.
    pub p999_ns: u64,
    /// Largest, ns; on a shared machine it is the machine's, not ours.
    pub max_ns: u64,
    /// Operations a second over whole blocks.
    pub ops_per_s: f64,
    /// Instructions an operation, where valgrind counted them: `pyoms bench --count` fills it in.
    pub instructions: Option<u64>,
    /// The processor's counters, where the machine has them; else `machine` says why not.
    pub counters: Option<Counted>,
    /// The empty pacer of a paced case.
    pub pacer: Option<Pacer>,
    /// Of `limits_reload`: how long it took, and what the others felt of it.
    pub reload: Option<Reload>,
    /// The machine, and what it gave.
    pub machine: String,
}

impl Line {
    /// The line as a JSON object, in the order of the interface.
    pub fn to_json(&self) -> String {
        let hundredths = |count: f64| (count * 100.0).round() / 100.0;
        let counters = self.counters.map(|c| {
            json!({
                "cycles": hundredths(c.cycles), "instructions": hundredths(c.instructions),
                "cache_misses": hundredths(c.cache_misses),
                "branch_misses": hundredths(c.branch_misses),
            })
        });
        let pacer = self
            .pacer
            .map(|p| json!({"p50_ns": p.p50_ns, "p99_ns": p.p99_ns, "p999_ns": p.p999_ns}));
        let reload = self
            .reload
            .map(|r| json!({"ms": hundredths(r.ms), "p999_ratio": hundredths(r.p999_ratio)}));
        let value: Value = json!({
            "case": self.case, "tier": self.tier, "data": self.data, "n": self.n,
            "p50_ns": self.p50_ns, "p99_ns": self.p99_ns, "p999_ns": self.p999_ns,
            "max_ns": self.max_ns, "ops_per_s": self.ops_per_s.round(),
            "instructions": self.instructions, "counters": counters, "pacer": pacer,
            "reload": reload,
            "machine": self.machine,
        });
        value.to_string()
    }
}
