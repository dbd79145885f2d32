//! Venue and link as one object without a socket: a loop that moves bytes is all that is missing.
//! In process a test or a demo calls `serve_step`; `pyoms venue sim` drives the same calls from a
//! Unix socket. Must stay true: in lock-step the bytes put out depend on the bytes taken in alone,
//! and everything a desk misses while it is gone waits in the link's memory.

use crate::venue::{Due, FILL_MODEL, SimError, SimVenue, VenueConfig};
use crate::witness::Witness;
use layout::*;
use std::collections::VecDeque;
use wire::pylink::{
    BUFFER_MAX, Frames, LinkError, LinkPhase, VenueEnd, VenueEndConfig, VenueEvent,
};

/// Connections that have not said hello yet, at most.
const CANDIDATES_MAX: usize = 8;
/// Notes kept for the log, at most.
const NOTES_MAX: usize = 256;

/// A wake further ahead is read as this: a day.
const WAKE_MAX_NS: i64 = 86_400_000_000_000;

/// A connection whose hello has not come, or that was refused.
struct Candidate {
    conn: u64,
    inbox: Frames,
    outbox: Frames,
    refused: bool,
}

/// The simulated venue behind a link.
pub struct VenueServer {
    sim: SimVenue,
    end: VenueEnd,
    active: Option<u64>,
    candidates: Vec<Candidate>,
    joined: bool,
    turn: u64,
    awaits_done: bool,
    wake_ns: i64,
    over: bool,
    live_from: Option<(i64, i64)>, // real and virtual time of the first join
    output_hash: u64,
    notes: VecDeque<String>,
}

impl VenueServer {
    /// A venue before its day; `tape` is the recording in its order.
    pub fn new(config: VenueConfig, tape: Vec<BookUpdate>) -> Result<Self, SimError> {
        let mut end = VenueEnd::new(VenueEndConfig {
            venue_id: config.venue_id,
            lock_step: config.lock_step,
            memory_max: config.memory_max.max(1),
            buffer_max: 4 * BUFFER_MAX,
        });
        end.set_supports(crate::venue::SUPPORTS);
        Ok(Self {
            sim: SimVenue::new(config, tape)?,
            end,
            active: None,
            candidates: Vec::new(),
            joined: false,
            turn: 0,
            awaits_done: false,
            wake_ns: i64::MAX,
            over: false,
            live_from: None,
            output_hash: 0xcbf2_9ce4_8422_2325,
            notes: VecDeque::new(),
        })
    }

    /// As `new`, the configuration as a JSON object; the error names the key.
    pub fn from_json(config: &str, tape: Vec<BookUpdate>) -> Result<Self, SimError> {
        let config = serde_json::from_str(config).map_err(|e| SimError::Config(e.to_string()))?;
        Self::new(config, tape)
    }

    /// A socket was accepted; `conn` is the caller's number for it.
    pub fn on_connect(&mut self, conn: u64, _now_ns: i64) {
        let refused = self.candidates.len() >= CANDIDATES_MAX;
        if refused {
            self.note(format!("connection {conn} closed: {CANDIDATES_MAX} others say nothing"));
        }
        let (inbox, outbox) = (Frames::new(BUFFER_MAX), Frames::new(RECORD_SIZE * 2));
        self.candidates.push(Candidate { conn, inbox, outbox, refused });
    }

    /// Bytes came. A peer that misbehaves is told why and `wants_close`.
    pub fn on_bytes(&mut self, conn: u64, bytes: &[u8], now_ns: i64) {
        if self.active == Some(conn) {
            let done = self.end.receive(bytes, now_ns).and_then(|()| self.drain(now_ns));
            return self.noted(done);
        }
        let at = self.candidates.iter().position(|c| c.conn == conn && !c.refused);
        let Some(at) = at else { return };
        if !self.candidates[at].inbox.append(bytes) {
            self.candidates[at].refused = true;
            return self.note(format!("connection {conn} closed: too many bytes before its turn"));
        }
        let Some(frame) = self.candidates[at].inbox.frame(0) else { return };
        let kind = frame.header.kind;
        let place = "before the desk's hello";
        let admitted = match LinkHello::from_record(&frame) {
            Some(hello) => self.end.admits(hello),
            None => Err(LinkError::Unexpected { kind, place }),
        };
        if let Err(error) = admitted {
            let refusal = self.end.refusal(&error);
            let candidate = &mut self.candidates[at];
            candidate.refused = true;
            let queued = candidate.outbox.append_frame(refusal.as_record());
            assert!(queued); // the first frame of this connection
            return self.note(format!("connection {conn} refused: {error}"));
        }
        // A desk of a higher epoch takes over; the older one is fenced from here on.
        if let Some(old) = self.active {
            self.leave(now_ns);
            self.note(format!("connection {old} fenced off by {conn}"));
        }
        let candidate = self.candidates.remove(at);
        self.active = Some(conn);
        self.end.connect(now_ns);
        let bytes = candidate.inbox.unread().to_vec();
        let done = self.end.receive(&bytes, now_ns).and_then(|()| self.drain(now_ns));
        self.noted(done);
    }

    /// The socket is gone; hand over all it had read first.
    pub fn on_disconnect(&mut self, conn: u64, now_ns: i64) {
        self.candidates.retain(|candidate| candidate.conn != conn);
        if self.active == Some(conn) {
            self.leave(now_ns);
        }
    }

    /// Lets the venue work: the next turn when the desk is done with the last one, or all that is
    /// due by the clock.
    pub fn advance(&mut self, now_ns: i64) {
        let ticked = self.end.tick(now_ns);
        self.noted(ticked);
        if self.sim.config().lock_step {
            self.next_turn();
        } else if let Some((real_ns, virtual_ns)) = self.live_from {
            let speed_up = i64::from(self.sim.config().speed_up);
            let gone_ns = now_ns.saturating_sub(real_ns).max(0).saturating_mul(speed_up);
            let until_ns = virtual_ns.saturating_add(gone_ns).max(self.sim.now_ns());
            self.run_to(until_ns);
            self.over = self.sim.is_idle();
        }
    }

    /// Bytes to write to a connection.
    pub fn unsent(&self, conn: u64) -> &[u8] {
        if self.active == Some(conn) {
            return self.end.unsent();
        }
        let candidate = self.candidates.iter().find(|candidate| candidate.conn == conn);
        candidate.map_or(&[], |candidate| candidate.outbox.unread())
    }

    /// The connection took `size` bytes of `unsent`.
    pub fn sent(&mut self, conn: u64, size: usize) {
        if self.active == Some(conn) {
            for &byte in &self.end.unsent()[..size] {
                let hash = self.output_hash ^ u64::from(byte);
                self.output_hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
            }
            self.end.sent(size);
        } else if let Some(candidate) = self.candidates.iter_mut().find(|c| c.conn == conn) {
            candidate.outbox.consume(size);
        }
    }

    /// The connection is to be flushed and closed: refused, failed, fenced off or unknown.
    pub fn wants_close(&self, conn: u64) -> bool {
        if self.active == Some(conn) {
            return self.end.phase() == LinkPhase::Failed;
        }
        self.candidates.iter().find(|c| c.conn == conn).is_none_or(|candidate| candidate.refused)
    }

    /// Real time at which `advance` is wanted at the latest.
    pub fn next_call_ns(&self, now_ns: i64) -> i64 {
        const IDLE_NS: i64 = 100_000_000; // heartbeats are no finer than this
        let idle_ns = now_ns.saturating_add(IDLE_NS);
        let Some((real_ns, virtual_ns)) = self.live_from else { return idle_ns };
        let next_ns = self.sim.next_event_ns().saturating_sub(virtual_ns);
        let due_ns = real_ns.saturating_add(next_ns / i64::from(self.sim.config().speed_up));
        due_ns.clamp(now_ns, idle_ns)
    }

    /// The day is over, all is delivered and the last turn answered.
    pub fn is_over(&self) -> bool {
        self.over && self.end.backlog() == 0 && !self.awaits_done
    }

    /// Virtual time.
    pub fn virtual_now_ns(&self) -> i64 {
        self.sim.now_ns()
    }

    /// Hash of all bytes put on the wire so far.
    pub fn output_hash(&self) -> u64 {
        self.output_hash
    }

    /// How orders are filled, in words.
    pub fn fill_model(&self) -> &'static str {
        FILL_MODEL
    }

    /// New orders and replaces received with a `link_seq` above this one.
    pub fn creating_after(&self, link_seq: u32) -> u64 {
        self.sim.creating_after(link_seq)
    }

    /// The venue's own record.
    pub fn witness(&self) -> Witness {
        let mut witness = self.sim.witness();
        witness.counters.duplicate_frames = self.end.duplicates();
        witness.counters.gap_filled = self.end.gap_filled();
        witness
    }

    /// The venue's own record as JSON.
    pub fn witness_json(&self) -> String {
        serde_json::to_string(&self.witness()).expect("plain numbers and text")
    }

    /// The oldest note not taken yet: who joined, who was refused and why.
    pub fn take_note(&mut self) -> Option<String> {
        self.notes.pop_front()
    }

    /// The venue without its link, to look at.
    pub fn sim(&self) -> &SimVenue {
        &self.sim
    }

    /// One round in process: takes `bytes`, works, appends all that is to be sent to `out`. `false`:
    /// close the connection.
    pub fn serve_step(&mut self, conn: u64, bytes: &[u8], now_ns: i64, out: &mut Vec<u8>) -> bool {
        if !bytes.is_empty() {
            self.on_bytes(conn, bytes, now_ns);
        }
        self.advance(now_ns);
        let before = out.len();
        out.extend_from_slice(self.unsent(conn));
        self.sent(conn, out.len() - before);
        !self.wants_close(conn)
    }

    fn drain(&mut self, now_ns: i64) -> Result<(), LinkError> {
        while let Some(event) = self.end.next(now_ns)? {
            match event {
                VenueEvent::Joined(joined) => {
                    self.joined = true;
                    self.awaits_done = false;
                    self.wake_ns = i64::MAX;
                    self.sim.counters.joins += 1;
                    self.live_from.get_or_insert((now_ns, self.sim.now_ns()));
                    self.note(format!(
                        "desk of epoch {} joined, has {}",
                        joined.epoch, joined.desk_has
                    ));
                    if !joined.first {
                        self.show_book()?;
                    }
                }
                VenueEvent::Routed(routed) => self.sim.receive(&routed),
                VenueEvent::GapFilled { .. } => {}
                VenueEvent::Query(query) => self.sim.query(&query),
                VenueEvent::TurnDone(done) => {
                    if !self.awaits_done || done.turn != self.turn {
                        let kind = LinkTurnDone::KIND;
                        return Err(LinkError::Malformed { kind, field: "turn", value: done.turn });
                    }
                    self.awaits_done = false;
                    let latest_ns = self.sim.now_ns().saturating_add(WAKE_MAX_NS);
                    let none = done.wake_ns == i64::MAX;
                    self.wake_ns = if none { i64::MAX } else { done.wake_ns.min(latest_ns) };
                }
            }
        }
        Ok(())
    }

    /// Hands out what is due by the next moment at which something happens, then the turn.
    fn next_turn(&mut self) {
        if self.end.phase() != LinkPhase::Up || self.awaits_done || self.end.backlog() > 0 {
            return;
        }
        let now_ns = self.sim.now_ns();
        if self.over && self.sim.is_idle() && self.wake_ns == i64::MAX {
            return;
        }
        let next_ns = self.sim.next_event_ns().min(self.wake_ns);
        let soonest_ns = if self.turn == 0 {
            now_ns
        } else {
            now_ns.saturating_add(self.sim.config().step_min_ns)
        };
        let until_ns = if next_ns == i64::MAX { soonest_ns } else { next_ns.max(soonest_ns) };
        self.run_to(until_ns);
        self.over = self.sim.is_idle();
        self.turn += 1;
        self.sim.counters.turns += 1;
        let mut turn = LinkTurn::ZERO;
        turn.header.kind = LinkTurn::KIND;
        turn.now_ns = until_ns;
        turn.turn = self.turn;
        turn.ended = u8::from(self.over);
        let published = self.end.publish(turn.as_record(), None);
        self.awaits_done = published.is_ok();
        self.noted(published);
    }

    /// Runs the venue and puts what is due on the link; unsequenced frames need a desk.
    fn run_to(&mut self, until_ns: i64) {
        let (end, mut failure) = (&mut self.end, Ok(()));
        self.sim.run_to(until_ns, &mut |due| {
            let up = end.phase() == LinkPhase::Up;
            let done = match due {
                Due::Report(report, words) => {
                    end.report(&report, words.as_ref());
                    Ok(())
                }
                Due::Phase(change) => {
                    end.phase_change(&change);
                    Ok(())
                }
                Due::Day(change) => {
                    end.day_change(&change);
                    Ok(())
                }
                _ if !up => Ok(()),
                Due::Market(update) => end.publish(update.as_record(), None),
                Due::Answer(report, words) => end.publish(report.as_record(), words.as_ref()),
                Due::QueryEnd(query_end) => end.publish(query_end.as_record(), None),
                Due::Fills { query_id, since_link_seq } => {
                    answer_fills(end, query_id, since_link_seq)
                }
            };
            if failure.is_ok() {
                failure = done;
            }
        });
        self.noted(failure);
    }

    /// The desk is gone. In lock-step the day goes on without it for the configured span.
    fn leave(&mut self, _now_ns: i64) {
        self.active = None;
        let cancel_asked = self.end.disconnect();
        if !std::mem::take(&mut self.joined) {
            return;
        }
        self.over &= !self.awaits_done; // a turn without its answer may never have arrived
        self.awaits_done = false;
        self.note(format!("desk of epoch {} left", self.end.epoch()));
        let config = self.sim.config();
        let (outage_ns, lock_step) = (config.outage_ns, config.lock_step);
        if cancel_asked && config.cancel_on_disconnect {
            self.sim.cancel_all();
        }
        if lock_step {
            self.run_to(self.sim.now_ns().saturating_add(outage_ns));
        }
    }

    fn show_book(&mut self) -> Result<(), LinkError> {
        let (end, mut shown) = (&mut self.end, Ok(()));
        self.sim.snapshot(&mut |update| {
            if shown.is_ok() {
                shown = end.publish(update.as_record(), None);
            }
        });
        shown
    }

    fn noted(&mut self, done: Result<(), LinkError>) {
        if let Err(error) = done {
            self.note(format!("link failed: {error}"));
        }
    }

    fn note(&mut self, line: String) {
        if self.notes.len() == NOTES_MAX {
            self.notes.pop_front();
        }
        self.notes.push_back(line);
    }
}

fn answer_fills(end: &mut VenueEnd, query_id: u32, since_link_seq: u32) -> Result<(), LinkError> {
    let mut fills: Vec<_> = end.fills_since(since_link_seq).collect();
    let count = fills.len() as u32;
    if let Some((_, last)) = fills.last_mut() {
        last.flags |= crate::venue::LAST_ANSWER;
    }
    for (before, fill) in &fills {
        end.publish_behind(*before, fill.as_record(), None)?;
    }
    let mut query_end = LinkQueryEnd::ZERO;
    query_end.header.kind = LinkQueryEnd::KIND;
    (query_end.query_id, query_end.count) = (query_id, count);
    end.publish(query_end.as_record(), None)
}
