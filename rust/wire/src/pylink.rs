//! The venue link: one frame is one 128-byte record of `layout` (DESIGN §10), over a byte stream.
//!
//! `DeskEnd` lives in `host`, `VenueEnd` in `sim`; both are state machines fed with bytes and the
//! time, owned by one thread. What stays true: a sequenced frame is delivered once and in order or
//! the link fails with a reason; the desk never sends a message twice; every buffer has a bound.
//!
//! ```text
//! desk                                             venue
//!  link_hello  (epoch, log, what I have read)  ->   older epoch, other log or layout: refused
//!                                              <-   link_hello  (what I have read, what I gave out)
//!                                              <-   reports the desk has not read, PossDup where sent before
//!  routed, link_seq 1, 2, 3 ...                ->
//!                                              <-   (foreign_order +) (exec_ref +) execution_report
//!                                                   (+ report_text), phase_change, day_change:
//!                                                   link_seq 1, 2, 3 ...
//!                                              <-   book_update, quote: unsequenced
//!                                              <-   link_turn (lock-step)
//!  link_turn_done                              ->
//! ```

mod desk;
mod frames;
mod venue;

pub use desk::{DeskConfig, DeskEnd, DeskEvent, Resumed};
pub use frames::{BUFFER_MAX, Frames};
pub use venue::{Before, Joined, VenueEnd, VenueEndConfig, VenueEvent};

use layout::{DayChange, ExecutionReport, PhaseChange, Record, Routed, Typed};

/// A peer silent for this many heartbeat intervals is gone.
pub const SILENT_INTERVALS: i64 = 3;

/// Why a link failed, or why a call was refused. After a failure only `connect` helps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// A field holds what it may not.
    #[error("frame of kind {kind}: field {field} may not be {value}")]
    Malformed {
        /// Kind of the frame.
        kind: u16,
        /// Name of the field.
        field: &'static str,
        /// What it held, as a number.
        value: u64,
    },
    /// A frame that has no place here: not of this direction, or before the hello.
    #[error("frame of kind {kind} has no place {place}")]
    Unexpected {
        /// Kind of the frame.
        kind: u16,
        /// Where it came.
        place: &'static str,
    },
    /// The two sides were built from different layouts.
    #[error("layout {theirs:#018x} of the other side differs from ours {ours:#018x}")]
    LayoutDiffers {
        /// Our hash.
        ours: u64,
        /// Theirs.
        theirs: u64,
    },
    /// The venue refused the hello or cut the link, with its text.
    #[error("refused by the venue: {text}")]
    Refused {
        /// The venue's words.
        text: String,
    },
    /// Fencing: a desk of an older epoch, or a second one of the same.
    #[error("epoch {got} is not above {seen}, which this venue has seen")]
    EpochOld {
        /// Highest epoch seen.
        seen: u64,
        /// The epoch of the hello.
        got: u64,
    },
    /// The session belongs to another log.
    #[error("log {theirs:#018x} is not the log {ours:#018x} of this session")]
    OtherLog {
        /// The session's log.
        ours: u64,
        /// The hello's.
        theirs: u64,
    },
    /// The two sides disagree about lock-step.
    #[error("lock-step: the venue has {venue}, the desk asks for {desk}")]
    LockStepDiffers {
        /// The venue's setting.
        venue: bool,
        /// The desk's.
        desk: bool,
    },
    /// A number is missing in a stream that loses nothing.
    #[error("gap on the link: expected link_seq {expected}, got {got}")]
    Gap {
        /// Number that should have come.
        expected: u32,
        /// Number that came.
        got: u32,
    },
    /// The desk has read more than this venue ever sent: the venue lost its memory.
    #[error("the desk has read up to {desk_has}, this venue gave out {venue_sent}: it forgot")]
    VenueForgot {
        /// What the desk has.
        desk_has: u32,
        /// What the venue gave out.
        venue_sent: u32,
    },
    /// What the desk misses is no longer in the venue's memory.
    #[error("link_seq {asked} is gone, the oldest kept is {oldest}: query instead")]
    TooOld {
        /// First number the desk misses.
        asked: u32,
        /// Oldest number kept.
        oldest: u32,
    },
    /// Asked to send out of turn: numbers on a link are dense.
    #[error("link_seq {got} offered, {expected} is next")]
    OutOfOrder {
        /// Next number.
        expected: u32,
        /// Number offered.
        got: u32,
    },
    /// Nothing can be sent: no connection, or no answer to the hello yet.
    #[error("the link is not up")]
    NotUp,
    /// The peer sends faster than we read frames.
    #[error("more than {bound} bytes received and not read")]
    InboxFull {
        /// Bound in bytes.
        bound: usize,
    },
    /// The peer reads slower than we send.
    #[error("more than {bound} bytes wait to be sent")]
    OutboxFull {
        /// Bound in bytes.
        bound: usize,
    },
    /// The peer sent nothing for too long.
    #[error("nothing received for {silent_ns} ns, allowed are {bound_ns}")]
    Silent {
        /// How long.
        silent_ns: i64,
        /// Bound.
        bound_ns: i64,
    },
}

/// What `Frames` and the two ends agree on about one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkPhase {
    /// No transport.
    Idle,
    /// Connected, the other side's hello has not come.
    Greeting,
    /// Frames flow.
    Up,
    /// Failed: flush what is unsent, close the transport, `connect` again.
    Failed,
}

/// The venue's `link_seq` of a sequenced frame; `None` for kinds and answers without one.
pub fn venue_seq(record: &Record) -> Option<u32> {
    if let Some(report) = ExecutionReport::from_record(record) {
        return (report.flags & layout::REPORT_QUERIED == 0).then_some(report.link_seq);
    }
    if let Some(change) = PhaseChange::from_record(record) {
        return Some(change.link_seq);
    }
    DayChange::from_record(record).map(|change| change.link_seq)
}

/// A gap fill of the numbers `first` to `last`, as FIX's SequenceReset-GapFill: `price` carries the
/// first (0: only `last`), `link_seq` the last.
pub fn gap_fill(venue_id: u16, first: u32, last: u32) -> Routed {
    assert!(first <= last);
    assert!(first > 0);
    let mut routed = Routed::ZERO;
    routed.header.kind = Routed::KIND;
    routed.msg_type = layout::MsgType::GapFill.code();
    routed.venue_id = venue_id;
    routed.link_seq = last;
    routed.price = i64::from(first);
    routed
}

pub(crate) fn malformed<T>(kind: u16, field: &'static str, value: u64) -> Result<T, LinkError> {
    Err(LinkError::Malformed { kind, field, value })
}

/// Heartbeat interval and silence bound, by the time argument alone.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pulse {
    pub interval_ns: i64,
    pub last_in_ns: i64,
    pub last_out_ns: i64,
}

impl Pulse {
    pub(crate) fn start(heartbeat_ms: u32, now_ns: i64) -> Self {
        let interval_ns = i64::from(heartbeat_ms) * 1_000_000;
        Self { interval_ns, last_in_ns: now_ns, last_out_ns: now_ns }
    }

    /// Whether a heartbeat is due.
    pub(crate) fn due(&self, now_ns: i64) -> bool {
        self.interval_ns > 0 && now_ns.saturating_sub(self.last_out_ns) >= self.interval_ns
    }

    pub(crate) fn check(&self, now_ns: i64) -> Result<(), LinkError> {
        let silent_ns = now_ns.saturating_sub(self.last_in_ns);
        let bound_ns = self.interval_ns.saturating_mul(SILENT_INTERVALS);
        if self.interval_ns > 0 && silent_ns > bound_ns {
            return Err(LinkError::Silent { silent_ns, bound_ns });
        }
        Ok(())
    }
}
