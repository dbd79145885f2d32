//! The processor's own counters for stretches of this thread, by `perf stat` as a child that is told
//! when to count: commands go to its standard input, acknowledgements come from its standard output.
//! Owned by the thread that is counted. What must stay true: a machine without counters is told by
//! name, never as zeros, and what switching costs is counted too and taken off.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};

/// What is counted, outside the kernel.
pub const EVENTS: [&str; 4] = ["cycles:u", "instructions:u", "cache-misses:u", "branch-misses:u"];

/// `perf stat` on this thread, off until switched on.
#[derive(Debug)]
pub struct Counters<'a> {
    events: &'a [&'a str],
    perf: Child,
}

impl<'a> Counters<'a> {
    /// Starts it. Errors: why there is nothing to count with, in words.
    pub fn open(events: &'a [&'a str]) -> Result<Self, String> {
        let tried = perf(events).arg("true").output().map_err(|error| format!("perf: {error}"))?;
        totals(events, &String::from_utf8_lossy(&tried.stderr))?;
        let tid = rustix::thread::gettid().as_raw_nonzero().to_string();
        let perf = perf(events)
            .args(["--delay=-1", "--control=fd:0,1", "-t", &tid])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("perf: {error}"))?;
        let mut counters = Self { events, perf };
        counters.tell("disable")?; // answered once it listens
        Ok(counters)
    }

    /// Counts what `stretch` does on this thread, besides what was counted before.
    pub fn count<T>(&mut self, stretch: impl FnOnce() -> T) -> Result<T, String> {
        self.tell("enable")?;
        let result = stretch();
        self.tell("disable")?;
        Ok(result)
    }

    /// The sums of all stretches, in the order of the events.
    pub fn finish(mut self) -> Result<Vec<f64>, String> {
        let told = |error: io::Error| format!("perf: {error}");
        kill_process(Pid::from_child(&self.perf), Signal::INT).map_err(|e| told(e.into()))?;
        let mut text = String::new();
        self.perf.stderr.take().expect("piped").read_to_string(&mut text).map_err(told)?;
        self.perf.wait().map_err(told)?;
        totals(self.events, &text)
    }

    fn tell(&mut self, command: &str) -> Result<(), String> {
        let mut talk = || -> io::Result<()> {
            self.perf
                .stdin
                .as_mut()
                .expect("piped")
                .write_all(format!("{command}\n").as_bytes())?;
            let mut answer = [0; 5]; // "ack\n" and its zero byte
            self.perf.stdout.as_mut().expect("piped").read_exact(&mut answer)
        };
        talk().map_err(|error| format!("perf does not answer {command:?}: {error}"))
    }
}

impl Drop for Counters<'_> {
    fn drop(&mut self) {
        let _ = self.perf.kill(); // gone already after `finish`
        let _ = self.perf.wait();
    }
}

fn perf(events: &[&str]) -> Command {
    let mut perf = Command::new("perf");
    perf.env("LC_ALL", "C").args(["stat", "-x,", "-e", &events.join(",")]);
    perf
}

/// The counts in what `perf stat -x,` printed: `value,unit,event,...`, a line an event.
fn totals(events: &[&str], printed: &str) -> Result<Vec<f64>, String> {
    let rows: Vec<Vec<&str>> = printed.lines().map(|line| line.split(',').collect()).collect();
    let count = |event: &&str| {
        let row = rows.iter().find(|row| row.get(2) == Some(event));
        let value =
            row.ok_or_else(|| format!("perf does not count {event}: {}", printed.trim()))?[0];
        value.parse().map_err(|_| format!("perf: {event} {value}"))
    };
    events.iter().map(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_the_machine_lacks_is_told_by_name() {
        let printed = "12.5,,cycles:u,100,100.00,,\n<not supported>,,cache-misses:u,0,100.00,,\n";
        assert_eq!(totals(&["cycles:u"], printed), Ok(vec![12.5]));
        let why = totals(&["cycles:u", "cache-misses:u"], printed).expect_err("not there");
        assert_eq!(why, "perf: cache-misses:u <not supported>");
        let why = totals(&["branch-misses:u"], "no permission\n").expect_err("not there");
        assert!(why.contains("branch-misses:u") && why.contains("no permission"), "{why}");
    }

    #[test]
    fn only_what_happens_within_a_stretch_is_counted() {
        let touch = |mib: usize| std::hint::black_box(vec![1u8; mib << 20]).len();
        let mut counters = match Counters::open(&["page-faults:u"]) {
            Ok(counters) => counters,
            Err(why) => return assert!(why.starts_with("perf"), "{why}"), // a machine without perf
        };
        touch(64);
        assert_eq!(counters.count(|| touch(8)), Ok(8 << 20));
        touch(64);
        let faults = counters.finish().expect("counted")[0];
        assert!((2.0..3_000.0).contains(&faults), "{faults} faults"); // small pages or huge ones
    }
}
