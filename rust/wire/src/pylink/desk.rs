//! The desk's end of a venue link. `host` owns one per venue on the engine thread and feeds it the
//! socket's bytes; `next` hands out one event at a time, so that the host may act between two.
//! What stays true: a routed message is put on the wire at most once in the life of its number, and
//! a report reaches the host once and in the order of `link_seq`.

use super::{Frames, LinkError, LinkPhase, Pulse, gap_fill, malformed, venue_seq};
use layout::*;

/// What the desk says in its hello.
#[derive(Clone, Debug)]
pub struct DeskConfig {
    /// Venue on the other side.
    pub venue_id: u16,
    /// Epoch of this run, raised at every start: an older one is refused by the venue.
    pub epoch: u64,
    /// Id of the desk's log.
    pub log_id: u64,
    /// Name of the desk, up to 56 bytes.
    pub name: String,
    /// Heartbeat interval; 0 for none.
    pub heartbeat_ms: u32,
    /// Ask the venue to cancel our orders when the link drops.
    pub cancel_on_disconnect: bool,
    /// Lock-step in virtual time.
    pub lock_step: bool,
    /// Bound of each buffer in bytes; `BUFFER_MAX` is a good one.
    pub buffer_max: usize,
}

/// What the two hellos prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// Our last `link_seq` that the venue has: everything above it was never received.
    pub venue_has: u32,
    /// The venue's last `link_seq`: reports up to it follow before anything new.
    pub venue_sent: u32,
    /// Our last `link_seq` given at append, as told to `connect`.
    pub desk_sent: u32,
    /// The venue cancels our orders when the link drops.
    pub cancel_on_disconnect: bool,
}

/// What came from the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // copied once, straight from the inbox
pub enum DeskEvent {
    /// The hello was answered. Messages above `venue_has` are unsent, for certain.
    Up(Resumed),
    /// Every report the desk had missed has been handed out.
    CaughtUp,
    /// What the order is that the next report speaks of, and that this desk never sent.
    Foreign(ForeignOrder),
    /// Further ids of the report that is the next event.
    Ids(ExecRef),
    /// An execution report, with its text when there is one.
    Report(ExecutionReport, Option<ReportText>),
    /// The market phase changed.
    Phase(PhaseChange),
    /// A trading day opened or closed.
    Day(DayChange),
    /// Market data by order.
    Book(BookUpdate),
    /// Best bid and offer.
    Quote(Quote),
    /// All answers to a query have come.
    QueryEnd(LinkQueryEnd),
    /// Lock-step: all that is due is here; act, then `turn_done`.
    Turn(LinkTurn),
}

/// The desk's end.
#[derive(Clone, Debug)]
pub struct DeskEnd {
    config: DeskConfig,
    phase: LinkPhase,
    inbox: Frames,
    outbox: Frames,
    pulse: Pulse,
    seq_in: u32,
    next_out: u32,
    desk_sent: u32,
    catch_up_to: Option<u32>,
    turn: u64,
    queries: u32,
    duplicates: u64,
    supports: [u8; 56],
}

impl DeskEnd {
    /// An end without a connection.
    pub fn new(config: DeskConfig) -> Self {
        assert!(config.buffer_max >= 64 * RECORD_SIZE);
        Self {
            inbox: Frames::new(config.buffer_max),
            outbox: Frames::new(config.buffer_max),
            config,
            phase: LinkPhase::Idle,
            pulse: Pulse::default(),
            seq_in: 0,
            next_out: 1,
            desk_sent: 0,
            catch_up_to: None,
            turn: 0,
            queries: 0,
            duplicates: 0,
            supports: [0; 56],
        }
    }

    /// Which terms of an order the venue keeps, as its last hello said; empty when it said nothing.
    pub fn venue_supports(&self) -> String {
        text_of(&self.supports).to_string()
    }

    /// A transport is there: queues the hello. `link_seq_in` is the venue's last sequence in our
    /// log, `link_seq_out` the last one we gave at append, sent or not.
    pub fn connect(&mut self, link_seq_in: u32, link_seq_out: u32, now_ns: i64) {
        self.inbox.clear();
        self.outbox.clear();
        self.phase = LinkPhase::Greeting;
        self.pulse = Pulse::start(self.config.heartbeat_ms, now_ns);
        self.seq_in = link_seq_in;
        self.desk_sent = link_seq_out;
        self.catch_up_to = None;
        self.turn = 0;
        let mut hello = LinkHello::ZERO;
        hello.header.kind = LinkHello::KIND;
        hello.layout_hash = LAYOUT_HASH;
        hello.epoch = self.config.epoch;
        hello.log_id = self.config.log_id;
        hello.link_seq_in = link_seq_in;
        hello.link_seq_out = link_seq_out;
        hello.venue_id = self.config.venue_id;
        hello.flags = u8::from(self.config.cancel_on_disconnect) * HELLO_CANCEL_ON_DISCONNECT
            + u8::from(self.config.lock_step) * HELLO_LOCK_STEP;
        hello.heartbeat_ms = self.config.heartbeat_ms;
        hello.text = text(&self.config.name);
        let queued = self.outbox.append_frame(hello.as_record());
        assert!(queued); // the outbox was emptied above
    }

    /// The transport is gone; what was not handed to it is dropped and stays provably unsent until
    /// the next hello says otherwise.
    pub fn disconnect(&mut self) {
        self.phase = LinkPhase::Idle;
        self.inbox.clear();
        self.outbox.clear();
    }

    /// Where the link stands.
    pub fn phase(&self) -> LinkPhase {
        self.phase
    }

    /// The venue's last sequence handed out by `next`.
    pub fn link_seq_in(&self) -> u32 {
        self.seq_in
    }

    /// The number that goes out next.
    pub fn next_out(&self) -> u32 {
        self.next_out
    }

    /// Frames ignored because their number was known already.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Bytes that `receive` will take now: read no more than that from the socket.
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

    /// The next event, `None` when more bytes are needed. After an error the link is `Failed`.
    #[allow(clippy::should_implement_trait)] // a lending pull with an error, not an iterator
    pub fn next(&mut self) -> Result<Option<DeskEvent>, LinkError> {
        loop {
            match self.phase {
                LinkPhase::Idle | LinkPhase::Failed => return Ok(None),
                LinkPhase::Up if self.catch_up_to.is_some_and(|last| self.seq_in >= last) => {
                    self.catch_up_to = None;
                    return Ok(Some(DeskEvent::CaughtUp));
                }
                LinkPhase::Greeting | LinkPhase::Up => {}
            }
            let Some(frame) = self.inbox.frame(0) else { return Ok(None) };
            let companion = matches!(frame.header.kind, ForeignOrder::KIND | ExecRef::KIND);
            if companion && self.phase == LinkPhase::Up {
                let Some(report) = self.report_behind(&frame) else { return Ok(None) };
                self.inbox.consume(RECORD_SIZE);
                match self.take_companion(&frame, &report) {
                    Ok(Some(event)) => return Ok(Some(event)),
                    Ok(None) => continue,
                    Err(error) => return self.fail(error),
                }
            }
            let has_text = frame.header.kind == ExecutionReport::KIND && frame.header.more > 0;
            if has_text && self.inbox.frame(1).is_none() {
                return Ok(None);
            }
            let text_frame = if has_text { self.inbox.frame(1) } else { None };
            self.inbox.consume(RECORD_SIZE * (1 + usize::from(has_text)));
            match self.take(&frame, text_frame.as_ref()) {
                Ok(Some(event)) => return Ok(Some(event)),
                Ok(None) => {}
                Err(error) => return self.fail(error),
            }
        }
    }

    /// Puts a routed message on the wire. Its `link_seq` must be `next_out`, or above it when all
    /// between was given before this connection and never received: those numbers are gap filled
    /// first, since an order is never sent by guess. On an error nothing was queued.
    pub fn send(&mut self, routed: &Routed, now_ns: i64) -> Result<(), LinkError> {
        if self.phase != LinkPhase::Up {
            return Err(LinkError::NotUp);
        }
        if routed.venue_id != self.config.venue_id {
            return malformed(Routed::KIND, "venue_id", u64::from(routed.venue_id));
        }
        let hole = routed.link_seq > self.next_out && routed.link_seq - 1 <= self.desk_sent;
        if routed.link_seq != self.next_out && !hole {
            return Err(LinkError::OutOfOrder { expected: self.next_out, got: routed.link_seq });
        }
        if self.outbox.room() < RECORD_SIZE * 2 {
            return Err(LinkError::OutboxFull { bound: self.outbox.bound() });
        }
        if hole {
            self.gap_fill_to(routed.link_seq - 1, now_ns)?;
        }
        let mut frame = *routed.as_record();
        frame.header.kind = Routed::KIND;
        frame.header.more = 0;
        self.put(&frame, now_ns)?;
        self.next_out = routed.link_seq + 1;
        Ok(())
    }

    /// Gives up the numbers from `next_out` to `link_seq`: held back by the kill switch, or unsent
    /// at a reconnect. Below `next_out` nothing is done.
    pub fn gap_fill_to(&mut self, link_seq: u32, now_ns: i64) -> Result<(), LinkError> {
        if self.phase != LinkPhase::Up {
            return Err(LinkError::NotUp);
        }
        if link_seq < self.next_out {
            return Ok(());
        }
        let frame = gap_fill(self.config.venue_id, self.next_out, link_seq);
        self.put(frame.as_record(), now_ns)?;
        self.next_out = link_seq + 1;
        Ok(())
    }

    /// Asks the venue; the number returned comes back in `QueryEnd`. `street_id` for kind order,
    /// `since_link_seq` for kind fills.
    pub fn query(
        &mut self,
        query_kind: QueryKind,
        street_id: [u8; 20],
        since_link_seq: u32,
        now_ns: i64,
    ) -> Result<u32, LinkError> {
        if self.phase != LinkPhase::Up {
            return Err(LinkError::NotUp);
        }
        let mut query = LinkQuery::ZERO;
        query.header.kind = LinkQuery::KIND;
        query.street_id = street_id;
        query.query_id = self.queries.wrapping_add(1).max(1);
        query.since_link_seq = since_link_seq;
        query.query_kind = query_kind.code();
        self.put(query.as_record(), now_ns)?;
        self.queries = query.query_id;
        Ok(query.query_id)
    }

    /// Lock-step: the desk has acted on the turn and wants another at `wake_ns` at the latest.
    pub fn turn_done(&mut self, turn: u64, wake_ns: i64, now_ns: i64) -> Result<(), LinkError> {
        if self.phase != LinkPhase::Up {
            return Err(LinkError::NotUp);
        }
        let mut done = LinkTurnDone::ZERO;
        done.header.kind = LinkTurnDone::KIND;
        done.turn = turn;
        done.wake_ns = wake_ns;
        self.put(done.as_record(), now_ns)
    }

    /// Time passed: sends a heartbeat when one is due, fails the link when the venue is silent.
    pub fn tick(&mut self, now_ns: i64) -> Result<(), LinkError> {
        if !matches!(self.phase, LinkPhase::Greeting | LinkPhase::Up) {
            return Ok(());
        }
        if let Err(error) = self.pulse.check(now_ns) {
            return self.fail(error);
        }
        if self.phase == LinkPhase::Up && self.pulse.due(now_ns) {
            let mut beat = LinkHeartbeat::ZERO;
            beat.header.kind = LinkHeartbeat::KIND;
            beat.link_seq_in = self.seq_in;
            return self.put(beat.as_record(), now_ns);
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
    }

    fn put(&mut self, frame: &Record, now_ns: i64) -> Result<(), LinkError> {
        if !self.outbox.append_frame(frame) {
            return Err(LinkError::OutboxFull { bound: self.outbox.bound() });
        }
        self.pulse.last_out_ns = now_ns;
        Ok(())
    }

    fn fail<T>(&mut self, error: LinkError) -> Result<T, LinkError> {
        self.phase = LinkPhase::Failed;
        self.inbox.clear();
        Err(error)
    }

    fn take(
        &mut self,
        frame: &Record,
        text_frame: Option<&Record>,
    ) -> Result<Option<DeskEvent>, LinkError> {
        let kind = frame.header.kind;
        if let Some(hello) = LinkHello::from_record(frame) {
            return self.take_hello(hello).map(Some);
        }
        if self.phase == LinkPhase::Greeting {
            return Err(LinkError::Unexpected { kind, place: "before the venue's hello" });
        }
        if let Some(got) = venue_seq(frame) {
            let expected = self.seq_in.wrapping_add(1);
            if got == 0 {
                return malformed(kind, "link_seq", 0);
            }
            if got > expected {
                return Err(LinkError::Gap { expected, got });
            }
            if got < expected {
                self.duplicates += 1;
                return Ok(None);
            }
        }
        let event = match kind {
            ExecutionReport::KIND => self.take_report(frame, text_frame)?,
            PhaseChange::KIND => DeskEvent::Phase(typed(frame)),
            DayChange::KIND => DeskEvent::Day(typed(frame)),
            BookUpdate::KIND => DeskEvent::Book(typed(frame)),
            Quote::KIND => DeskEvent::Quote(typed(frame)),
            LinkQueryEnd::KIND => DeskEvent::QueryEnd(typed(frame)),
            LinkTurn::KIND => DeskEvent::Turn(self.take_turn(frame)?),
            LinkHeartbeat::KIND => return Ok(None),
            _ => return Err(LinkError::Unexpected { kind, place: "on the way to a desk" }),
        };
        if let Some(seq) = venue_seq(frame) {
            self.seq_in = seq; // only now: a frame that fails the link is asked for again
        }
        Ok(Some(event))
    }

    fn take_report(
        &self,
        frame: &Record,
        text_frame: Option<&Record>,
    ) -> Result<DeskEvent, LinkError> {
        let report: ExecutionReport = typed(frame);
        if report.venue_id != self.config.venue_id {
            return malformed(ExecutionReport::KIND, "venue_id", u64::from(report.venue_id));
        }
        let Some(text_frame) = text_frame else { return Ok(DeskEvent::Report(report, None)) };
        let place = "after a report that announces its text";
        let Some(words) = ReportText::from_record(text_frame) else {
            return Err(LinkError::Unexpected { kind: text_frame.header.kind, place });
        };
        Ok(DeskEvent::Report(report, Some(*words)))
    }

    /// The frame behind the first one and the ids that may stand between; `None` while it is to come.
    fn report_behind(&self, first: &Record) -> Option<Record> {
        let next = self.inbox.frame(1)?;
        let ids = first.header.kind == ForeignOrder::KIND && next.header.kind == ExecRef::KIND;
        if ids { self.inbox.frame(2) } else { Some(next) }
    }

    /// What comes before a report; `None` for that of a report which we have.
    fn take_companion(
        &self,
        frame: &Record,
        next: &Record,
    ) -> Result<Option<DeskEvent>, LinkError> {
        let (kind, place) = (next.header.kind, "after the ids of a report");
        let Some(report) = ExecutionReport::from_record(next) else {
            return Err(LinkError::Unexpected { kind, place });
        };
        let known = venue_seq(next).is_some_and(|seq| seq <= self.seq_in);
        let (venue_id, of_it, field, told, event) = match ForeignOrder::from_record(frame) {
            Some(order) => {
                let of_it = order.street_id == report.street_id;
                let told = order.street_id[0];
                (order.venue_id, of_it, "street_id", told, DeskEvent::Foreign(*order))
            }
            None => {
                let ids: ExecRef = typed(frame);
                let of_it = ids.exec_id == report.exec_id;
                (ids.venue_id, of_it, "exec_id", ids.exec_id[0], DeskEvent::Ids(ids))
            }
        };
        if venue_id != self.config.venue_id {
            return malformed(frame.header.kind, "venue_id", u64::from(venue_id));
        }
        if !of_it {
            return malformed(frame.header.kind, field, u64::from(told));
        }
        Ok((!known).then_some(event))
    }

    fn take_turn(&mut self, frame: &Record) -> Result<LinkTurn, LinkError> {
        let turn: LinkTurn = typed(frame);
        if !self.config.lock_step {
            return Err(LinkError::Unexpected { kind: LinkTurn::KIND, place: "without lock-step" });
        }
        if turn.turn <= self.turn {
            return malformed(LinkTurn::KIND, "turn", turn.turn);
        }
        self.turn = turn.turn;
        Ok(turn)
    }

    fn take_hello(&mut self, hello: &LinkHello) -> Result<DeskEvent, LinkError> {
        if hello.flags & HELLO_REFUSED != 0 {
            return Err(LinkError::Refused { text: text_of(&hello.text).to_string() });
        }
        if self.phase == LinkPhase::Up {
            return Err(LinkError::Unexpected { kind: LinkHello::KIND, place: "after the hello" });
        }
        if hello.layout_hash != LAYOUT_HASH {
            let theirs = hello.layout_hash;
            return Err(LinkError::LayoutDiffers { ours: LAYOUT_HASH, theirs });
        }
        if hello.venue_id != self.config.venue_id {
            return malformed(LinkHello::KIND, "venue_id", u64::from(hello.venue_id));
        }
        if hello.link_seq_out < self.seq_in {
            let (desk_has, venue_sent) = (self.seq_in, hello.link_seq_out);
            return Err(LinkError::VenueForgot { desk_has, venue_sent });
        }
        if hello.link_seq_in == u32::MAX {
            return malformed(LinkHello::KIND, "link_seq_in", u64::from(u32::MAX));
        }
        self.phase = LinkPhase::Up;
        self.supports = hello.text;
        self.next_out = hello.link_seq_in + 1;
        self.catch_up_to = Some(hello.link_seq_out);
        Ok(DeskEvent::Up(Resumed {
            venue_has: hello.link_seq_in,
            venue_sent: hello.link_seq_out,
            desk_sent: self.desk_sent,
            cancel_on_disconnect: hello.flags & HELLO_CANCEL_ON_DISCONNECT != 0,
        }))
    }
}

/// The frame as its type; the caller has matched the kind.
fn typed<T: Typed>(frame: &Record) -> T {
    *T::from_record(frame).expect("the kind was matched")
}
