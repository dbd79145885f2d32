//! What a desk says about itself: numbers for people and commands, as a value and as JSON. Built on
//! the engine thread when asked. What must stay true: a number of time or durability stands beside its
//! tier (G10); nothing here is part of the state.

use crate::Desk;
use crate::confirm::KillProgress;
use crate::door::Door;
use engine::{Counters, Engine};
use hdrhistogram::Histogram;
use layout::{Entity, KillMode, text_of};
use std::fmt::Write;

/// Durations in ticks, up to nine minutes at 2 GHz, to one part in 128: 36 KiB, and what is like in
/// length shares a few lines of cache. Recording allocates nothing.
pub(crate) fn durations() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 1 << 40, 2).expect("bounds and digits are in range")
}

/// How long decisions took: from the command in hand to its events published and folded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decide {
    /// Commands.
    pub n: u64,
    /// Median.
    pub p50_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// 99.9th percentile.
    pub p999_ns: u64,
    /// Longest.
    pub max_ns: u64,
}

/// One link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkStatus {
    /// Venue's name.
    pub venue: String,
    /// Venue's number, 0 while not defined.
    pub venue_id: u16,
    /// Where it stands, in a word.
    pub state: &'static str,
    /// Venue's last sequence in our log.
    pub link_seq_in: u32,
    /// Our last sequence given out.
    pub link_seq_out: u32,
    /// Our last sequence put on the wire.
    pub link_seq_sent: u32,
    /// Messages that wait in the outbox.
    pub waiting: usize,
    /// Bytes queued and not taken by the kernel.
    pub unsent_bytes: usize,
    /// Connections so far.
    pub connects: u64,
    /// The venue has said that it cancels our orders when the link drops.
    pub covered: bool,
    /// A kill was not confirmed there in time.
    pub kill_overdue: bool,
    /// Last trouble.
    pub error: Option<String>,
}

/// A client that closed, died or fell silent, and what became of its orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostClient {
    /// Session that it was bound to.
    pub session: String,
    /// What it called itself: the strategies it ran.
    pub name: String,
    /// Its number in this run.
    pub client_id: u32,
    /// Its process.
    pub pid: u32,
    /// How it was lost.
    pub why: String,
    /// What the mass cancel of its orders was answered, or why there was none.
    pub cancels: &'static str,
}

/// A desk at one moment.
#[derive(Clone, Debug)]
pub struct Status {
    /// Kill mode of the desk.
    pub mode: &'static str,
    /// New orders wait for recovery to end.
    pub recovering: bool,
    /// Trading: not recovering, not killed, all links up.
    pub open: bool,
    /// Epoch of this run.
    pub epoch: u64,
    /// Epoch of the kill switch that was acted on.
    pub control_epoch: u64,
    /// Durability tier.
    pub tier: &'static str,
    /// Last event published.
    pub published_seq: u64,
    /// Last event that may leave.
    pub committed_seq: u64,
    /// Last event on disk; 0 at tier `memory`.
    pub durable_seq: u64,
    /// Events folded at the start.
    pub recovered_events: u64,
    /// Time of the last event.
    pub time_ns: i64,
    /// Live orders.
    pub live_orders: u64,
    /// Cancels that a kill or mass cancel still owes.
    pub asked_cancels: u64,
    /// Messages in all outboxes.
    pub waiting: usize,
    /// Messages to venues without a link.
    pub unlinked: u64,
    /// Attached clients.
    pub clients: usize,
    /// What the kill in force has done so far.
    pub kill: Option<KillProgress>,
    /// Live orders that a kill stops and no cancel on disconnect ends.
    pub not_covered: Vec<u64>,
    /// Clients that are attached: session, name and process.
    pub attached: Vec<(String, String, u32)>,
    /// Clients lost, the last of each session that has none since.
    pub clients_lost: Vec<LostClient>,
    /// Records of clients that were no commands.
    pub foreign_commands: u64,
    /// Version of the limits in force.
    pub limits_version: u64,
    /// Hash of all rows of limits in force.
    pub limits_hash: u64,
    /// The engine's counters.
    pub counters: Counters,
    /// Latency of decisions, in this process, before any durability.
    pub decide: Decide,
    /// Links.
    pub links: Vec<LinkStatus>,
    /// What is wrong with the control file.
    pub control_fault: Option<String>,
    /// What is wrong with the journal.
    pub journal_fault: Option<String>,
    /// Our process.
    pub pid: u32,
}

/// A JSON string.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if (c as u32) < 0x20 => drop(write!(out, "\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn optional(text: &Option<String>) -> String {
    text.as_ref().map_or("null".into(), |text| quoted(text))
}

impl Status {
    /// One JSON object on one line.
    pub fn to_json(&self) -> String {
        let (c, d) = (&self.counters, &self.decide);
        let links: Vec<String> = self.links.iter().map(LinkStatus::to_json).collect();
        let mut out = String::from("{\"ok\":true");
        let mut put = |key: &str, value: String| {
            let _ = write!(out, ",\"{key}\":{value}");
        };
        put("mode", quoted(self.mode));
        put("recovering", self.recovering.to_string());
        put("open", self.open.to_string());
        put("epoch", self.epoch.to_string());
        put("control_epoch", self.control_epoch.to_string());
        put("tier", quoted(self.tier));
        put("published_seq", self.published_seq.to_string());
        put("committed_seq", self.committed_seq.to_string());
        put("durable_seq", self.durable_seq.to_string());
        put("recovered_events", self.recovered_events.to_string());
        put("time_ns", self.time_ns.to_string());
        put("live_orders", self.live_orders.to_string());
        put("asked_cancels", self.asked_cancels.to_string());
        put("waiting", self.waiting.to_string());
        put("unlinked", self.unlinked.to_string());
        put("clients", self.clients.to_string());
        put("kill", self.kill.as_ref().map_or("null".into(), KillProgress::to_json));
        put("not_covered", format!("{:?}", self.not_covered).replace(' ', ""));
        let attached = self.attached.iter().map(|(session, name, pid)| {
            let (session, name) = (quoted(session), quoted(name));
            format!("{{\"session\":{session},\"name\":{name},\"pid\":{pid}}}")
        });
        put("attached", format!("[{}]", attached.collect::<Vec<_>>().join(",")));
        let lost: Vec<String> = self.clients_lost.iter().map(LostClient::to_json).collect();
        put("clients_lost", format!("[{}]", lost.join(",")));
        put("foreign_commands", self.foreign_commands.to_string());
        put("limits_version", self.limits_version.to_string());
        put("limits_hash", format!("\"{:#018x}\"", self.limits_hash));
        put("commands", c.commands.to_string());
        put("accepted", c.accepted.to_string());
        put("refused", c.refused.to_string());
        put("repeated", c.repeated.to_string());
        put("reports", c.reports.to_string());
        put("fills", c.fills.to_string());
        put("flagged", c.flagged.to_string());
        put("unlogged_refusals", c.unlogged_refusals.to_string());
        put("market_data", c.market_data.to_string());
        put("book_faults", c.book_faults.to_string());
        put("decide_n", d.n.to_string());
        put("decide_p50_ns", d.p50_ns.to_string());
        put("decide_p99_ns", d.p99_ns.to_string());
        put("decide_p999_ns", d.p999_ns.to_string());
        put("decide_max_ns", d.max_ns.to_string());
        put("links", format!("[{}]", links.join(",")));
        put("control_fault", optional(&self.control_fault));
        put("journal_fault", optional(&self.journal_fault));
        put("pid", self.pid.to_string());
        out.push('}');
        out
    }
}

impl KillProgress {
    fn to_json(&self) -> String {
        format!(
            "{{\"cancels_sent\":{},\"cancels_confirmed\":{},\"left_open\":{},\"confirmed\":{},\
             \"unknown_open\":{},\"in_flight\":{}}}",
            self.cancels_sent,
            self.cancels_confirmed,
            self.left_open,
            self.confirmed,
            self.unknown_open,
            format!("{:?}", self.in_flight).replace(' ', "")
        )
    }
}

impl LostClient {
    fn to_json(&self) -> String {
        format!(
            "{{\"session\":{},\"name\":{},\"pid\":{},\"why\":{},\"cancels\":{}}}",
            quoted(&self.session),
            quoted(&self.name),
            self.pid,
            quoted(&self.why),
            quoted(self.cancels)
        )
    }
}

impl LinkStatus {
    fn to_json(&self) -> String {
        format!(
            "{{\"venue\":{},\"venue_id\":{},\"state\":{},\"link_seq_in\":{},\"link_seq_out\":{},\
             \"link_seq_sent\":{},\"waiting\":{},\"unsent_bytes\":{},\"connects\":{},\
             \"cancels_on_disconnect\":{},\"kill_overdue\":{},\"error\":{}}}",
            quoted(&self.venue),
            self.venue_id,
            quoted(self.state),
            self.link_seq_in,
            self.link_seq_out,
            self.link_seq_sent,
            self.waiting,
            self.unsent_bytes,
            self.connects,
            self.covered,
            self.kill_overdue,
            optional(&self.error)
        )
    }
}

/// The map of names to numbers, by entity, and the venues that cancel our orders when their link drops:
/// whoever ends this process without asking it reads there what that ends.
pub(crate) fn names_json(engine: &Engine, covered: &[&str]) -> String {
    let mut out = String::from("{");
    for (index, entity) in Entity::ALL.iter().enumerate() {
        let _ =
            write!(out, "{}\n  {}: {{", if index > 0 { "," } else { "" }, quoted(entity.name()));
        let ours = engine.definitions().iter().filter(|d| d.entity == entity.code());
        for (at, definition) in ours.enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            let _ = write!(out, "{comma}{}: {}", quoted(text_of(&definition.name)), definition.id);
        }
        out.push('}');
    }
    let covered: Vec<String> = covered.iter().map(|name| quoted(name)).collect();
    let _ = write!(out, ",\n  \"cancels_on_disconnect\": [{}]", covered.join(", "));
    out.push_str("\n}\n");
    out
}

impl Desk {
    /// The desk at this moment.
    pub fn status(&self) -> Status {
        self.status_of(self.door.as_ref())
    }

    pub(crate) fn status_of(&self, door: Option<&Door>) -> Status {
        let mode = KillMode::from_code(self.engine.desk_mode()).unwrap_or(KillMode::Halt);
        Status {
            mode: mode.name(),
            recovering: self.engine.recovering(),
            open: self.is_open(),
            epoch: self.engine.epoch(),
            control_epoch: self.engine.control_epoch(),
            tier: self.options.tier.name(),
            published_seq: self.log.ring.published_seq(),
            committed_seq: self.log.ring.committed_seq(),
            durable_seq: self.log.ring.durable_seq(),
            recovered_events: self.recovered_events,
            time_ns: self.engine.time_ns(),
            live_orders: self.engine.live_count(),
            asked_cancels: self.engine.asked_count(),
            waiting: self.outbox.waiting(),
            unlinked: self.outbox.unlinked,
            clients: door.map_or(0, Door::clients),
            kill: self.kill_progress(),
            not_covered: self.not_covered(),
            attached: door.map_or_else(Vec::new, Door::attached),
            clients_lost: door.map_or_else(Vec::new, |door| door.lost.clone()),
            foreign_commands: self.foreign_commands,
            limits_version: self.engine.limits_version(),
            limits_hash: self.engine.limits_hash(),
            counters: *self.engine.counters(),
            decide: self.decide_latency(),
            links: (0..self.links.len()).map(|at| self.link_status(at)).collect(),
            control_fault: self.kill.fault.clone(),
            journal_fault: self.journal.fault(),
            pid: std::process::id(),
        }
    }

    fn link_status(&self, at: usize) -> LinkStatus {
        let link = &self.links[at];
        let venue = self.engine.venue(link.venue_id);
        LinkStatus {
            venue: link.config.name.clone(),
            venue_id: link.venue_id,
            state: link.stage.name(),
            link_seq_in: venue.link_seq_in(),
            link_seq_out: venue.link_seq_out(),
            link_seq_sent: link.last_out,
            waiting: self.outbox.queues[at].len(),
            unsent_bytes: link.end.unsent().len(),
            connects: link.connects,
            covered: link.covered,
            kill_overdue: link.proof.overdue,
            error: link.error.clone(),
        }
    }

    fn nanoseconds(&self, ticks: u64) -> u64 {
        (ticks as f64 * self.clock.ns_per_tick()).round() as u64
    }

    /// How long decisions took so far.
    pub fn decide_latency(&self) -> Decide {
        if self.decide.is_empty() {
            return Decide::default();
        }
        let at = |part| self.nanoseconds(self.decide.value_at_quantile(part));
        Decide {
            n: self.decide.len(),
            p50_ns: at(0.5),
            p99_ns: at(0.99),
            p999_ns: at(0.999),
            max_ns: self.nanoseconds(self.decide.max()),
        }
    }

    /// The histogram of decisions: upper bound in nanoseconds and count, rising.
    pub fn decide_histogram(&self) -> Vec<(u64, u64)> {
        let upper = |ticks| self.nanoseconds(self.decide.highest_equivalent(ticks));
        let buckets = self.decide.iter_recorded();
        buckets.map(|b| (upper(b.value_iterated_to()), b.count_since_last_iteration())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_kept_to_one_part_in_a_hundred_and_the_longest_ends_the_scale() {
        let mut histogram = durations();
        let size = histogram.distinct_values();
        for ticks in (0..100_000).chain((17..40).map(|p| (1u64 << p) + 7)) {
            histogram.saturating_record(ticks);
            let upper = histogram.highest_equivalent(ticks);
            assert!(ticks <= upper && upper - ticks <= ticks / 100, "{ticks} {upper}");
        }
        histogram.saturating_record(u64::MAX);
        assert!(histogram.max() >= 1 << 40);
        assert_eq!(histogram.distinct_values(), size, "it grew");
    }

    #[test]
    fn foreign_text_becomes_a_json_string() {
        assert_eq!(quoted("a\"b\\c\n"), r#""a\"b\\c\u000a""#);
    }
}
