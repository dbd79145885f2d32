//! One venue link of the desk: the socket, the sans-I/O end of it, and where its recovery stands.
//! Owned by the engine thread through `Desk`, which feeds the engine with what comes out. What must
//! stay true: bytes of order-creating messages are in `end` only while they are being handed to the
//! kernel; what could not be handed over is known to the byte (`creating_unsent`).

use crate::options::VenueLink;
use crate::world::{Wire, World, dial};
use journal::Sender;
use layout::{LinkTurn, QueryKind, RECORD_SIZE};
use std::io::ErrorKind;
use std::sync::Arc;
use wire::pylink::{DeskConfig, DeskEnd, LinkError, LinkPhase};

/// Bound of each buffer of a link: a few thousand frames.
const BUFFER: usize = 4 << 20;
/// First and longest pause before a link connects again.
const BACKOFF_NS: (i64, i64) = (1_000_000, 1_000_000_000);
/// Pause between two rounds of questions on a real-time link.
const ROUND_NS: i64 = 5_000_000;
/// Byte of `Header::kind` in a frame.
const KIND_AT: usize = 24;

/// Where a link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its venue has no number yet.
    Unbound,
    /// No connection.
    Down,
    /// Connected, the venue's hello has not come.
    Greeting,
    /// What we missed is coming.
    Replaying,
    /// Questions are out.
    Asking,
    /// A round ended without agreement; the next begins soon.
    Pausing,
    /// Connected and reconciled.
    Up,
}

impl Stage {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Stage::Unbound => "without a defined venue",
            Stage::Down => "down",
            Stage::Greeting => "connecting",
            Stage::Replaying | Stage::Asking | Stage::Pausing => "recovering",
            Stage::Up => "up",
        }
    }
}

pub(crate) struct Link {
    pub config: VenueLink,
    pub venue_id: u16,
    pub end: DeskEnd,
    pub stream: Option<Box<dyn Wire>>,
    pub stage: Stage,
    pub sender: Option<Sender>,
    /// Lock-step: bytes up to the next turn, and how far they were looked through.
    staged: Vec<u8>,
    looked: usize,
    /// The turn that waits to be answered.
    pub turn: Option<LinkTurn>,
    /// Bytes handed to the kernel on this connection, and the end of the last order-creating one.
    sent_bytes: u64,
    creating_end: u64,
    /// Number of the last message put on the wire.
    pub last_out: u32,
    pub since_link_seq: u32,
    /// Orders to ask for, and questions that are out.
    pub to_ask: Vec<u64>,
    pub answers_due: u32,
    pub open_query: u32,
    pub venue_open: Option<u32>,
    pub doubts_at_start: bool,
    /// The venue counts other open orders than we: the next round asks for each of ours.
    pub ask_all: bool,
    pub next_round_ns: i64,
    retry_at_ns: i64,
    backoff_ns: i64,
    pub connects: u64,
    pub error: Option<String>,
    /// Where a kill stands here.
    pub proof: crate::confirm::Proof,
    /// The venue has said that it cancels our orders when the link drops.
    pub covered: bool,
}

/// What reading a socket brought.
#[derive(Debug)]
pub(crate) enum Incoming {
    Nothing,
    Some,
    Lost(String),
}

impl Link {
    pub(crate) fn new(config: VenueLink) -> Self {
        Self {
            end: DeskEnd::new(Self::desk_config(&config, 0, 0, 0, "")),
            config,
            venue_id: 0,
            stream: None,
            stage: Stage::Unbound,
            sender: None,
            staged: Vec::with_capacity(1 << 20),
            looked: 0,
            turn: None,
            sent_bytes: 0,
            creating_end: 0,
            last_out: 0,
            since_link_seq: 0,
            to_ask: Vec::with_capacity(1024),
            answers_due: 0,
            open_query: 0,
            venue_open: None,
            doubts_at_start: false,
            ask_all: false,
            next_round_ns: 0,
            retry_at_ns: 0,
            backoff_ns: BACKOFF_NS.0,
            connects: 0,
            error: None,
            proof: Default::default(),
            covered: false,
        }
    }

    fn desk_config(
        config: &VenueLink,
        venue_id: u16,
        epoch: u64,
        log_id: u64,
        name: &str,
    ) -> DeskConfig {
        DeskConfig {
            venue_id,
            epoch,
            log_id,
            name: name.into(),
            heartbeat_ms: config.heartbeat_ms,
            cancel_on_disconnect: config.cancel_on_disconnect,
            lock_step: config.lock_step,
            buffer_max: BUFFER,
        }
    }

    /// The venue has its number: the link may connect from now on.
    pub(crate) fn bind(&mut self, venue_id: u16, epoch: u64, log_id: u64, name: &str) {
        self.venue_id = venue_id;
        self.end = DeskEnd::new(Self::desk_config(&self.config, venue_id, epoch, log_id, name));
        self.stage = Stage::Down;
    }

    /// Tries to connect when it is time; `true` when a connection is there and the hello queued.
    pub(crate) fn connect(
        &mut self,
        world: Option<&Arc<dyn World>>,
        seq_in: u32,
        seq_out: u32,
        mono_ns: i64,
    ) -> bool {
        if self.stage != Stage::Down || mono_ns < self.retry_at_ns {
            return false;
        }
        let socket = &self.config.socket_path;
        match world.map_or_else(|| dial(socket), |world| world.connect(socket)) {
            Ok(stream) => {
                self.stream = Some(stream);
                self.connects += 1;
                self.stage = Stage::Greeting;
                self.since_link_seq = seq_in;
                (self.sent_bytes, self.creating_end) = (0, 0);
                self.staged.clear();
                self.looked = 0;
                self.end.connect(seq_in, seq_out, mono_ns);
                true
            }
            Err(error) => {
                let path = self.config.socket_path.display();
                self.error = Some(format!("{path}: cannot connect: {error}"));
                self.retry_later(mono_ns);
                false
            }
        }
    }

    fn retry_later(&mut self, mono_ns: i64) {
        self.retry_at_ns = mono_ns + self.backoff_ns;
        self.backoff_ns = (self.backoff_ns * 2).min(BACKOFF_NS.1);
    }

    /// Whether the link waits for the time of its next attempt.
    pub(crate) fn retry_in_ns(&self, mono_ns: i64) -> Option<i64> {
        (self.stage == Stage::Down).then(|| (self.retry_at_ns - mono_ns).max(0))
    }

    /// The connection is gone or given up.
    pub(crate) fn drop_connection(&mut self, why: String, mono_ns: i64) {
        self.stream = None;
        self.end.disconnect();
        self.stage = Stage::Down;
        self.turn = None;
        self.proof.lost();
        self.staged.clear();
        self.looked = 0;
        self.to_ask.clear();
        self.answers_due = 0;
        self.error = Some(why);
        self.retry_later(mono_ns);
    }

    /// The hello was answered: the next loss is tried again at once.
    pub(crate) fn greeted(&mut self) {
        self.backoff_ns = BACKOFF_NS.0;
        self.error = None;
    }

    /// Reads once from the socket into the end, or in lock-step into the stage of the next turn.
    pub(crate) fn read(&mut self, buffer: &mut [u8], mono_ns: i64) -> Incoming {
        let Some(stream) = &mut self.stream else { return Incoming::Nothing };
        if self.config.lock_step && self.turn.is_some() {
            return Incoming::Nothing; // nothing comes before the answer
        }
        let room = if self.config.lock_step { buffer.len() } else { self.end.receive_room() };
        let room = room.min(buffer.len());
        if room == 0 {
            return Incoming::Nothing;
        }
        let size = match stream.read(&mut buffer[..room]) {
            Ok(0) => {
                // In lock-step a refusal comes without a turn: look at it before giving up.
                let staged = std::mem::take(&mut self.staged);
                let told = self.end.receive(&staged, mono_ns).and_then(|()| self.end.next());
                return Incoming::Lost(match told {
                    Err(error) if self.config.lock_step => error.to_string(),
                    _ => "the venue closed the connection".into(),
                });
            }
            Ok(size) => size,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Incoming::Nothing,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Incoming::Some,
            Err(error) => return Incoming::Lost(error.to_string()),
        };
        if self.config.lock_step {
            self.staged.extend_from_slice(&buffer[..size]);
            return Incoming::Some;
        }
        match self.end.receive(&buffer[..size], mono_ns) {
            Ok(()) => Incoming::Some,
            Err(error) => Incoming::Lost(error.to_string()),
        }
    }

    /// Lock-step: the time of the next turn, once its frame is here whole.
    pub(crate) fn turn_at(&mut self) -> Option<(i64, usize)> {
        while self.staged.len() - self.looked >= RECORD_SIZE {
            let frame = &self.staged[self.looked..self.looked + RECORD_SIZE];
            self.looked += RECORD_SIZE;
            let kind = u16::from_le_bytes([frame[KIND_AT], frame[KIND_AT + 1]]);
            if kind == LinkTurn::KIND {
                let now: [u8; 8] = frame[32..40].try_into().expect("eight bytes");
                return Some((i64::from_le_bytes(now), self.looked));
            }
        }
        None
    }

    /// Moves staged bytes into the end, as many as it takes; `true` while some of `until` are left.
    pub(crate) fn feed(&mut self, until: &mut usize, mono_ns: i64) -> Result<bool, LinkError> {
        let size = (*until).min(self.end.receive_room());
        self.end.receive(&self.staged[..size], mono_ns)?;
        self.staged.drain(..size);
        self.looked -= size.min(self.looked);
        *until -= size;
        Ok(*until > 0)
    }

    /// Notes that what was just queued in `end` creates or changes an order.
    pub(crate) fn queued_creating(&mut self) {
        self.creating_end = self.sent_bytes + self.end.unsent().len() as u64;
    }

    /// Whether bytes of an order-creating message were queued and not taken by the kernel.
    pub(crate) fn creating_unsent(&self) -> bool {
        self.creating_end > self.sent_bytes
    }

    /// Hands what is queued to the kernel; an error is the loss of the link.
    pub(crate) fn write(&mut self) -> Result<(), String> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        while !self.end.unsent().is_empty() {
            match stream.write(self.end.unsent()) {
                Ok(0) => return Err("the venue takes no more bytes".into()),
                Ok(size) => {
                    self.end.sent(size);
                    self.sent_bytes += size as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    /// Whether frames flow.
    pub(crate) fn flows(&self) -> bool {
        self.stream.is_some() && self.end.phase() == LinkPhase::Up
    }

    /// Begins a round: fills we may have missed, what is open, and each order in doubt.
    pub(crate) fn begin_round(&mut self, mono_ns: i64) -> Result<(), LinkError> {
        self.doubts_at_start = !self.to_ask.is_empty();
        self.venue_open = None;
        self.answers_due = 2;
        self.stage = Stage::Asking;
        self.end.query(QueryKind::Fills, [0; 20], self.since_link_seq, mono_ns)?;
        self.open_query = self.end.query(QueryKind::Open, [0; 20], 0, mono_ns)?;
        Ok(())
    }

    /// Another round after a pause, or at once in lock-step, where the venue's turns are the pause.
    pub(crate) fn pause(&mut self, mono_ns: i64) {
        self.stage = Stage::Pausing;
        self.next_round_ns = if self.config.lock_step { mono_ns } else { mono_ns + ROUND_NS };
    }
}
