//! The venue's end of a link. `sim` owns one and feeds it bytes; it remembers every sequenced frame
//! it gave out, also while no desk is connected, and replays what a desk has not read.
//! What stays true: the memory is the queue, so a report cannot be lost between the two; one log and
//! the highest epoch own the session; a routed number is handed out once.

use super::{Frames, LinkError, LinkPhase, Pulse, malformed, venue_seq};
use layout::*;
use std::collections::VecDeque;

/// Most bytes that go out as one: foreign order, ids, report and text.
const GROUP_SIZE: usize = 4 * RECORD_SIZE;

/// What goes before a report that has no room for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// What the order is, where the desk never sent it.
    pub foreign: Option<ForeignOrder>,
    /// Further ids and the reason of a restatement.
    pub ids: Option<ExecRef>,
}

impl Before {
    /// With what the report itself says filled in.
    fn of(mut self, report: &ExecutionReport, venue_id: u16) -> Self {
        if let Some(order) = &mut self.foreign {
            order.header.kind = ForeignOrder::KIND;
            (order.venue_id, order.street_id) = (venue_id, report.street_id);
        }
        if let Some(ids) = &mut self.ids {
            ids.header.kind = ExecRef::KIND;
            (ids.venue_id, ids.exec_id) = (venue_id, report.exec_id);
        }
        self
    }

    /// Puts it on a wire that has room; `false` when it had none.
    fn put(&self, outbox: &mut Frames) -> bool {
        let order = self.foreign.as_ref().map(Typed::as_record);
        let ids = self.ids.as_ref().map(Typed::as_record);
        order.into_iter().chain(ids).all(|frame| outbox.append_frame(frame))
    }
}

/// What a venue's end needs to know.
#[derive(Clone, Copy, Debug)]
pub struct VenueEndConfig {
    /// Its own number at the desk.
    pub venue_id: u16,
    /// Lock-step in virtual time; a desk that asks for the other is refused.
    pub lock_step: bool,
    /// Sequenced frames remembered for a resume; older ones are forgotten once they were sent.
    pub memory_max: usize,
    /// Bound of each buffer in bytes.
    pub buffer_max: usize,
}

/// A desk that was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Its epoch.
    pub epoch: u64,
    /// The venue's last number it had read; what follows is replayed.
    pub desk_has: u32,
    /// It asked for cancel on disconnect.
    pub cancel_on_disconnect: bool,
    /// The first desk of this session.
    pub first: bool,
}

/// What came from the desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VenueEvent {
    /// The hello was accepted.
    Joined(Joined),
    /// A routed message, never a gap fill.
    Routed(Routed),
    /// Numbers `first` to `last` were given up by the desk.
    GapFilled {
        /// First number.
        first: u32,
        /// Last number.
        last: u32,
    },
    /// A query.
    Query(LinkQuery),
    /// Lock-step: the desk has acted.
    TurnDone(LinkTurnDone),
}

#[derive(Clone, Debug)]
struct Kept {
    before: Option<Box<Before>>,
    frame: Record,
    text: Option<Box<ReportText>>,
}

/// The venue's end: one session, at most one connection.
#[derive(Clone, Debug)]
pub struct VenueEnd {
    config: VenueEndConfig,
    phase: LinkPhase,
    inbox: Frames,
    outbox: Frames,
    pulse: Pulse,
    memory: VecDeque<Kept>,
    first_kept: u32, // link_seq of memory[0]
    next_put: u32,   // next number to put on this connection's wire
    put_max: u32,    // highest number ever put on a wire
    dup_max: u32,    // numbers up to here were put on an earlier connection's wire
    seq_in: u32,
    log_id: Option<u64>,
    epoch: u64,
    cancel_on_disconnect: bool,
    duplicates: u64,
    gap_filled: u64,
    supports: [u8; 56],
}

impl VenueEnd {
    /// A session that no desk has joined.
    pub fn new(config: VenueEndConfig) -> Self {
        assert!(config.memory_max > 0);
        assert!(config.buffer_max >= 64 * RECORD_SIZE);
        Self {
            config,
            phase: LinkPhase::Idle,
            inbox: Frames::new(config.buffer_max),
            outbox: Frames::new(config.buffer_max),
            pulse: Pulse::default(),
            memory: VecDeque::new(),
            first_kept: 1,
            next_put: 1,
            put_max: 0,
            dup_max: 0,
            seq_in: 0,
            log_id: None,
            epoch: 0,
            cancel_on_disconnect: false,
            duplicates: 0,
            gap_filled: 0,
            supports: [0; 56],
        }
    }

    /// Says in every hello which terms of an order the venue keeps, words with a space between.
    pub fn set_supports(&mut self, words: &str) {
        self.supports = text(words);
    }

    /// A transport is there; the desk speaks first.
    pub fn connect(&mut self, now_ns: i64) {
        self.inbox.clear();
        self.outbox.clear();
        self.phase = LinkPhase::Greeting;
        self.pulse = Pulse::start(0, now_ns); // the desk's hello says the interval
    }

    /// The transport is gone. `true` when a desk was joined that asked for cancel on disconnect.
    pub fn disconnect(&mut self) -> bool {
        let joined = self.cancel_on_disconnect;
        self.phase = LinkPhase::Idle;
        self.inbox.clear();
        self.outbox.clear();
        self.cancel_on_disconnect = false;
        joined
    }

    /// Where the link stands.
    pub fn phase(&self) -> LinkPhase {
        self.phase
    }

    /// The desk's last number handed out or gap filled.
    pub fn link_seq_in(&self) -> u32 {
        self.seq_in
    }

    /// Our last number given out.
    pub fn link_seq_out(&self) -> u32 {
        self.first_kept - 1 + self.memory.len() as u32
    }

    /// Highest epoch let in.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Frames ignored because their number was known already.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Numbers the desk gave up.
    pub fn gap_filled(&self) -> u64 {
        self.gap_filled
    }

    /// Bytes that `receive` will take now.
    pub fn receive_room(&self) -> usize {
        self.inbox.room()
    }

    /// Takes bytes from the transport; frames may be cut anywhere.
    pub fn receive(&mut self, bytes: &[u8], now_ns: i64) -> Result<(), LinkError> {
        if matches!(self.phase, LinkPhase::Idle | LinkPhase::Failed) {
            return Err(LinkError::NotUp);
        }
        if !self.inbox.append(bytes) {
            return self.fail(LinkError::InboxFull { bound: self.inbox.bound() });
        }
        self.pulse.last_in_ns = now_ns;
        Ok(())
    }

    /// The next event, `None` when more bytes are needed. On an error the desk is told why in a
    /// refusing hello: flush `unsent`, then close.
    #[allow(clippy::should_implement_trait)] // a pull with an error, not an iterator
    pub fn next(&mut self, now_ns: i64) -> Result<Option<VenueEvent>, LinkError> {
        while matches!(self.phase, LinkPhase::Greeting | LinkPhase::Up) {
            let Some(frame) = self.inbox.frame(0) else { return Ok(None) };
            self.inbox.consume(RECORD_SIZE);
            match self.take(&frame, now_ns) {
                Ok(Some(event)) => return Ok(Some(event)),
                Ok(None) => {}
                Err(error) => return self.fail(error),
            }
        }
        Ok(None)
    }

    /// Gives a report its number, keeps it, and sends it when a desk is joined.
    pub fn report(&mut self, report: &ExecutionReport, words: Option<&ReportText>) -> u32 {
        self.report_with(None, report, words)
    }

    /// As `report`, behind the ids it has no room for.
    pub fn report_with(
        &mut self,
        ids: Option<&ExecRef>,
        report: &ExecutionReport,
        words: Option<&ReportText>,
    ) -> u32 {
        self.report_behind(Before { ids: ids.copied(), foreign: None }, report, words)
    }

    /// As `report`, behind all that it has no room for.
    pub fn report_behind(
        &mut self,
        before: Before,
        report: &ExecutionReport,
        words: Option<&ReportText>,
    ) -> u32 {
        let seq = self.link_seq_out() + 1;
        let some = before != Before::default();
        let before = some.then(|| Box::new(before.of(report, self.config.venue_id)));
        let text = words.copied().map(Box::new);
        let mut kept = Kept { before, frame: *report.as_record(), text };
        kept.frame.header.kind = ExecutionReport::KIND;
        kept.frame.header.more = u8::from(words.is_some());
        ExecutionReport::view_mut(&mut kept.frame).link_seq = seq;
        if let Some(words) = kept.text.as_mut() {
            words.header.kind = ReportText::KIND;
        }
        self.keep(kept)
    }

    /// As `report`, for a change of the market phase.
    pub fn phase_change(&mut self, change: &PhaseChange) -> u32 {
        let seq = self.link_seq_out() + 1;
        let mut frame = *change.as_record();
        frame.header.kind = PhaseChange::KIND;
        PhaseChange::view_mut(&mut frame).link_seq = seq;
        self.keep(Kept { before: None, frame, text: None })
    }

    /// As `report`, for a trading day that opened or closed.
    pub fn day_change(&mut self, change: &DayChange) -> u32 {
        let seq = self.link_seq_out() + 1;
        let mut frame = *change.as_record();
        frame.header.kind = DayChange::KIND;
        DayChange::view_mut(&mut frame).link_seq = seq;
        self.keep(Kept { before: None, frame, text: None })
    }

    /// Sends an unsequenced frame behind all sequenced ones: market data, answers to a query, a
    /// turn. Not kept. `words` follow a report.
    pub fn publish(&mut self, frame: &Record, words: Option<&ReportText>) -> Result<(), LinkError> {
        self.publish_with(None, frame, words)
    }

    /// As `publish`, for a report behind the ids it has no room for.
    pub fn publish_with(
        &mut self,
        ids: Option<&ExecRef>,
        frame: &Record,
        words: Option<&ReportText>,
    ) -> Result<(), LinkError> {
        self.publish_behind(Before { ids: ids.copied(), foreign: None }, frame, words)
    }

    /// As `publish`, for a report behind all that it has no room for.
    pub fn publish_behind(
        &mut self,
        before: Before,
        frame: &Record,
        words: Option<&ReportText>,
    ) -> Result<(), LinkError> {
        assert!(venue_seq(frame).is_none());
        if self.phase != LinkPhase::Up {
            return Err(LinkError::NotUp);
        }
        self.pump();
        let mut frame = *frame;
        frame.header.more = u8::from(words.is_some());
        if self.backlog() > 0 || self.outbox.room() < GROUP_SIZE {
            return self.fail(LinkError::OutboxFull { bound: self.outbox.bound() });
        }
        let report = ExecutionReport::from_record(&frame);
        let before = report.map(|report| before.of(report, self.config.venue_id));
        let queued = before.is_none_or(|before| before.put(&mut self.outbox))
            && self.outbox.append_frame(&frame)
            && words.is_none_or(|words| self.outbox.append_frame(words.as_record()));
        assert!(queued); // the room was checked above
        Ok(())
    }

    /// Sequenced frames that wait for room in the outbox.
    pub fn backlog(&self) -> usize {
        (self.link_seq_out() + 1 - self.next_put) as usize
    }

    /// Fills kept after `since_link_seq`, as answers to a query: unsequenced, flagged, each with what
    /// was reported before it.
    pub fn fills_since(
        &self,
        since_link_seq: u32,
    ) -> impl Iterator<Item = (Before, ExecutionReport)> + '_ {
        let skip = since_link_seq.saturating_add(1).saturating_sub(self.first_kept) as usize;
        self.memory.iter().skip(skip).filter_map(|kept| {
            let mut report = *ExecutionReport::from_record(&kept.frame)?;
            if report.exec_type != ExecType::Trade.code() {
                return None;
            }
            report.link_seq = 0;
            report.header.more = 0;
            report.flags |= REPORT_QUERIED | REPORT_POSS_DUP;
            Some((kept.before.as_deref().copied().unwrap_or_default(), report))
        })
    }

    /// Time passed: sends a heartbeat when one is due, fails the link when the desk is silent.
    pub fn tick(&mut self, now_ns: i64) -> Result<(), LinkError> {
        if self.phase != LinkPhase::Up {
            return Ok(());
        }
        self.pump();
        if let Err(error) = self.pulse.check(now_ns) {
            return self.fail(error);
        }
        if self.pulse.due(now_ns) {
            let mut beat = LinkHeartbeat::ZERO;
            beat.header.kind = LinkHeartbeat::KIND;
            beat.link_seq_in = self.seq_in;
            self.pulse.last_out_ns = now_ns;
            return self.publish(beat.as_record(), None);
        }
        Ok(())
    }

    /// Bytes to hand to the transport, in order.
    pub fn unsent(&self) -> &[u8] {
        self.outbox.unread()
    }

    /// The transport took `size` bytes of `unsent`.
    pub fn sent(&mut self, size: usize) {
        self.outbox.consume(size);
        self.pump();
    }

    /// The frame that tells a desk why it is not let in.
    pub fn refusal(&self, error: &LinkError) -> LinkHello {
        let mut hello = self.hello();
        hello.flags = HELLO_REFUSED;
        hello.text = text(&error.to_string());
        hello
    }

    /// Whether a hello would be let in beside the session's present desk: fencing by epoch. A desk
    /// that is still connected is only replaced by a higher one.
    pub fn admits(&self, hello: &LinkHello) -> Result<(), LinkError> {
        if hello.layout_hash != LAYOUT_HASH {
            let theirs = hello.layout_hash;
            return Err(LinkError::LayoutDiffers { ours: LAYOUT_HASH, theirs });
        }
        if hello.venue_id != self.config.venue_id {
            return malformed(LinkHello::KIND, "venue_id", u64::from(hello.venue_id));
        }
        if let Some(ours) = self.log_id.filter(|&log_id| log_id != hello.log_id) {
            return Err(LinkError::OtherLog { ours, theirs: hello.log_id });
        }
        let present = self.phase == LinkPhase::Up;
        if hello.epoch < self.epoch || (present && hello.epoch == self.epoch) {
            return Err(LinkError::EpochOld { seen: self.epoch, got: hello.epoch });
        }
        let desk = hello.flags & HELLO_LOCK_STEP != 0;
        if desk != self.config.lock_step {
            return Err(LinkError::LockStepDiffers { venue: self.config.lock_step, desk });
        }
        if hello.link_seq_in > self.link_seq_out() {
            let (desk_has, venue_sent) = (hello.link_seq_in, self.link_seq_out());
            return Err(LinkError::VenueForgot { desk_has, venue_sent });
        }
        if hello.link_seq_in + 1 < self.first_kept {
            let asked = hello.link_seq_in + 1;
            return Err(LinkError::TooOld { asked, oldest: self.first_kept });
        }
        Ok(())
    }

    fn hello(&self) -> LinkHello {
        let mut hello = LinkHello::ZERO;
        hello.header.kind = LinkHello::KIND;
        hello.layout_hash = LAYOUT_HASH;
        hello.epoch = self.epoch;
        hello.log_id = self.log_id.unwrap_or(0);
        hello.link_seq_in = self.seq_in;
        hello.link_seq_out = self.link_seq_out();
        hello.venue_id = self.config.venue_id;
        hello.text = self.supports;
        hello
    }

    fn keep(&mut self, kept: Kept) -> u32 {
        let seq = self.link_seq_out() + 1;
        self.memory.push_back(kept);
        self.pump();
        while self.memory.len() > self.config.memory_max && self.first_kept < self.next_put {
            self.memory.pop_front();
            self.first_kept += 1;
        }
        seq
    }

    /// Moves kept frames to the wire, as far as the outbox has room.
    fn pump(&mut self) {
        if self.phase != LinkPhase::Up {
            return;
        }
        while self.next_put <= self.link_seq_out() && self.outbox.room() >= GROUP_SIZE {
            let kept = &self.memory[(self.next_put - self.first_kept) as usize];
            let mut frame = kept.frame;
            if self.next_put <= self.dup_max && frame.header.kind == ExecutionReport::KIND {
                ExecutionReport::view_mut(&mut frame).flags |= REPORT_POSS_DUP;
            }
            let mut queued = kept.before.as_ref().is_none_or(|before| before.put(&mut self.outbox));
            queued &= self.outbox.append_frame(&frame);
            if let Some(words) = &kept.text {
                queued &= self.outbox.append_frame(words.as_record());
            }
            assert!(queued); // the room was checked above
            self.put_max = self.put_max.max(self.next_put);
            self.next_put += 1;
        }
    }

    fn fail<T>(&mut self, error: LinkError) -> Result<T, LinkError> {
        let refusal = self.refusal(&error);
        let _ = self.outbox.append_frame(refusal.as_record()); // full: the close tells enough
        self.phase = LinkPhase::Failed;
        self.inbox.clear();
        Err(error)
    }

    fn take(&mut self, frame: &Record, now_ns: i64) -> Result<Option<VenueEvent>, LinkError> {
        let kind = frame.header.kind;
        if self.phase == LinkPhase::Greeting {
            let Some(hello) = LinkHello::from_record(frame) else {
                return Err(LinkError::Unexpected { kind, place: "before the desk's hello" });
            };
            return self.take_hello(hello, now_ns).map(|joined| Some(VenueEvent::Joined(joined)));
        }
        if let Some(routed) = Routed::from_record(frame) {
            return self.take_routed(routed);
        }
        if let Some(query) = LinkQuery::from_record(frame) {
            if QueryKind::from_code(query.query_kind).is_none() {
                return malformed(kind, "query_kind", u64::from(query.query_kind));
            }
            return Ok(Some(VenueEvent::Query(*query)));
        }
        if let Some(done) = LinkTurnDone::from_record(frame) {
            return Ok(Some(VenueEvent::TurnDone(*done)));
        }
        if kind == LinkHeartbeat::KIND {
            return Ok(None);
        }
        Err(LinkError::Unexpected { kind, place: "on the way to a venue" })
    }

    fn take_hello(&mut self, hello: &LinkHello, now_ns: i64) -> Result<Joined, LinkError> {
        self.admits(hello)?;
        let first = self.log_id.is_none();
        self.phase = LinkPhase::Up;
        self.log_id = Some(hello.log_id);
        self.epoch = hello.epoch;
        self.cancel_on_disconnect = hello.flags & HELLO_CANCEL_ON_DISCONNECT != 0;
        self.next_put = hello.link_seq_in + 1;
        self.dup_max = self.put_max;
        self.pulse = Pulse::start(hello.heartbeat_ms, now_ns);
        let mut answer = self.hello();
        answer.flags = hello.flags & (HELLO_CANCEL_ON_DISCONNECT | HELLO_LOCK_STEP);
        answer.heartbeat_ms = hello.heartbeat_ms;
        if !self.outbox.append_frame(answer.as_record()) {
            return Err(LinkError::OutboxFull { bound: self.outbox.bound() });
        }
        self.pump();
        Ok(Joined {
            epoch: hello.epoch,
            desk_has: hello.link_seq_in,
            cancel_on_disconnect: self.cancel_on_disconnect,
            first,
        })
    }

    fn take_routed(&mut self, routed: &Routed) -> Result<Option<VenueEvent>, LinkError> {
        let Some(msg_type) = MsgType::from_code(routed.msg_type) else {
            return malformed(Routed::KIND, "msg_type", u64::from(routed.msg_type));
        };
        if routed.venue_id != self.config.venue_id {
            return malformed(Routed::KIND, "venue_id", u64::from(routed.venue_id));
        }
        if routed.link_seq == 0 || routed.link_seq == u32::MAX {
            return malformed(Routed::KIND, "link_seq", u64::from(routed.link_seq));
        }
        let (expected, last) = (self.seq_in + 1, routed.link_seq);
        if last < expected {
            self.duplicates += 1;
            return Ok(None);
        }
        if msg_type == MsgType::GapFill {
            let first = if routed.price == 0 { i64::from(last) } else { routed.price };
            if first <= 0 || first > i64::from(last) {
                return malformed(Routed::KIND, "price", routed.price as u64);
            }
            if first > i64::from(expected) {
                return Err(LinkError::Gap { expected, got: first as u32 });
            }
            self.gap_filled += u64::from(last - expected) + 1;
            self.seq_in = last;
            return Ok(Some(VenueEvent::GapFilled { first: expected, last }));
        }
        if last != expected {
            return Err(LinkError::Gap { expected, got: last });
        }
        check_terms(routed, msg_type)?;
        self.seq_in = last;
        Ok(Some(VenueEvent::Routed(*routed)))
    }
}

/// Codes must be of the tables and ids printable; whether a venue takes the order is its own word.
fn check_terms(routed: &Routed, msg_type: MsgType) -> Result<(), LinkError> {
    let kind = Routed::KIND;
    check_id("street_id", &routed.street_id, msg_type == MsgType::MassCancel)?;
    let names_another = matches!(msg_type, MsgType::Replace | MsgType::Cancel);
    check_id("orig_street_id", &routed.orig_street_id, !names_another)?;
    if msg_type != MsgType::NewOrder {
        return Ok(());
    }
    if Side::from_code(routed.side).is_none() {
        return malformed(kind, "side", u64::from(routed.side));
    }
    if OrdType::from_code(routed.ord_type).is_none() {
        return malformed(kind, "ord_type", u64::from(routed.ord_type));
    }
    if TimeInForce::from_code(routed.time_in_force).is_none() {
        return malformed(kind, "time_in_force", u64::from(routed.time_in_force));
    }
    Ok(())
}

/// Printable ASCII, then zeros; all zeros only where `may_be_empty`.
fn check_id(field: &'static str, id: &[u8; 20], may_be_empty: bool) -> Result<(), LinkError> {
    let size = id.iter().position(|&byte| byte == 0).unwrap_or(id.len());
    if size == 0 && !may_be_empty {
        return malformed(Routed::KIND, field, 0);
    }
    let foreign = id[..size].iter().find(|byte| !byte.is_ascii_graphic());
    if let Some(&byte) = foreign.or_else(|| id[size..].iter().find(|&&byte| byte != 0)) {
        return malformed(Routed::KIND, field, u64::from(byte));
    }
    Ok(())
}
