//! What stands behind a Python object: an inline engine, or a desk. Both take records and
//! answer with verdicts; reads go to the same `engine::Engine`. No decision is taken here.
//!
//! Owned by one `Shared`, whose lock makes it one thread at a time; nothing here touches Python. What
//! must stay true: a client's door takes commands alone, so no batch can smuggle in a venue's report.

use engine::{Engine, EngineConfig, Log, NoOutbox};
use host::RingLog;
use journal::{Follow, Ring, RingView};
use layout::{
    Disposition, EpochStarted, ExecutionReport, LAYOUT_HASH, MassCancel, NewOrder, OrderTerms,
    Record, ReplaceOrder, ReportText, Tier, Typed, Verdict,
};
use std::sync::Mutex;

/// An engine on the caller's thread, tier memory: no file, no venue link; the caller is the venue.
pub struct Inline {
    pub(crate) engine: Engine,
    log: RingLog,
    view: RingView,
    /// Time that the caller set; `None`: the wall clock, never backwards.
    fixed_ns: Option<i64>,
    last_ns: i64,
    command_seq: u64,
}

impl Inline {
    /// A new engine, its epoch started, its log empty but for that.
    pub fn new(config: &EngineConfig, slots: u64, fixed_ns: Option<i64>) -> Result<Self, String> {
        let mut inline = Self::empty(config, slots, fixed_ns)?;
        let mut started = EpochStarted::ZERO;
        started.header.kind = EpochStarted::KIND;
        (started.epoch, started.log_id, started.layout_hash) = (1, 1, LAYOUT_HASH);
        started.tier = Tier::Memory as u8;
        match inline.step(started.as_record()) {
            Verdict::Accepted => Ok(inline),
            other => Err(format!("the first event was refused: {}", other.name())),
        }
    }

    fn empty(config: &EngineConfig, slots: u64, fixed_ns: Option<i64>) -> Result<Self, String> {
        let engine = Engine::new(config).map_err(|e| format!("memory for the engine: {e}"))?;
        let ring = Ring::memory(slots, 1, 1).map_err(|e| e.to_string())?;
        let (view, log, last_ns) = (ring.view(), RingLog { ring, bounds: () }, 0);
        Ok(Self { engine, log, view, fixed_ns, last_ns, command_seq: 0 })
    }

    /// An engine that goes on where this one's log stood at `at_seq`, as after a crash there: it has
    /// folded that log and judged nothing again. A group that is not whole by then is cut.
    pub fn recovered(&self, at_seq: u64) -> Result<Self, String> {
        let last_seq = self.log.ring.next_seq() - 1;
        if at_seq > last_seq {
            return Err(format!("event {at_seq} is not in the log, its last is {last_seq}"));
        }
        let mut inline = Self::empty(self.engine.config(), self.log.ring.slots(), self.fixed_ns)?;
        let mut reader = self.view.reader(Follow::Published, 1);
        let mut group = [Record::ZERO; engine::GROUP_MAX];
        let mut count = 0;
        for _ in 0..at_seq {
            if reader.copy_next(&mut group[count..=count]) != Ok(1) {
                return Err("the ring no longer holds the beginning of the log".into());
            }
            count += 1;
            if group[count - 1].header.more != 0 {
                continue;
            }
            for (at, record) in group[..count].iter().enumerate() {
                *inline.log.slot(at) = *record;
            }
            inline.log.publish(count);
            (0..count).for_each(|at| inline.engine.apply(inline.log.last(at)));
            count = 0;
        }
        inline.last_ns = self.last_ns;
        Ok(inline)
    }

    fn now_ns(&mut self) -> i64 {
        let now_ns = self.fixed_ns.unwrap_or_else(arch::utc_now_ns);
        self.last_ns = now_ns.max(self.last_ns); // a clock that steps back is held, as in the host
        self.last_ns
    }

    #[inline]
    fn step(&mut self, record: &Record) -> Verdict {
        let now_ns = self.now_ns();
        self.engine.step(record, now_ns, &mut self.log, &mut NoOutbox)
    }
}

/// What takes the commands.
pub enum Core {
    /// An engine in memory.
    Inline(Box<Inline>),
    /// A desk, its files, links and clients, on the caller's thread.
    Desk(Box<host::Desk>, u64),
    /// The fold of a log: answers questions, takes no command.
    Folded(Box<Engine>),
    /// A desk that was closed.
    Closed,
}

/// One `Core` and the lock that makes it one thread at a time.
pub type Shared = Mutex<Core>;

/// A command was not taken: someone else is inside.
pub const BUSY: i32 = -1;
/// A command was not taken: an earlier call panicked, or it is no engine that takes commands.
pub const BROKEN: i32 = -2;

/// What a command was answered, beside its verdict.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer {
    /// First event of the answer, 0 when it left none.
    pub event_seq: u64,
    /// The order it speaks of, 0 for none.
    pub order_seq: u64,
    /// The command's own number.
    pub command_seq: u64,
}

impl Core {
    /// The state to read.
    pub fn engine(&self) -> &Engine {
        match self {
            Self::Inline(inline) => &inline.engine,
            Self::Desk(desk, _) => desk.engine(),
            Self::Folded(engine) => engine,
            Self::Closed => unreachable!("`Port::with` lets nobody into a closed desk"),
        }
    }

    /// Whether it takes commands.
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Inline(_) | Self::Desk(..))
    }

    /// The log's ring; `None` for a fold.
    pub fn view(&self) -> Option<RingView> {
        match self {
            Self::Inline(inline) => Some(inline.view.clone()),
            Self::Desk(desk, _) => Some(desk.ring_view()),
            Self::Folded(_) | Self::Closed => None,
        }
    }

    /// The present time of its clock.
    pub fn now_ns(&mut self) -> i64 {
        match self {
            Self::Inline(inline) => inline.now_ns(),
            Self::Desk(desk, _) => desk.now_ns(),
            Self::Folded(engine) => engine.time_ns(),
            Self::Closed => 0,
        }
    }

    /// Sets the clock of an inline engine; `None` gives it back to the wall clock.
    pub fn set_now_ns(&mut self, now_ns: Option<i64>) -> Result<(), String> {
        let Self::Inline(inline) = self else {
            return Err("the clock of a desk is not the caller's to set".into());
        };
        match now_ns {
            Some(ns) if ns < inline.last_ns => {
                Err(format!("now_ns {ns} is before the last event's {}", inline.last_ns))
            }
            _ => {
                inline.fixed_ns = now_ns;
                inline.last_ns = inline.last_ns.max(now_ns.unwrap_or(i64::MIN));
                Ok(())
            }
        }
    }

    /// Takes any input, the host's own facts and market data included.
    #[inline]
    pub fn step(&mut self, record: &Record) -> Verdict {
        match self {
            Self::Inline(inline) => inline.step(record),
            Self::Desk(desk, _) => desk.submit(record),
            Self::Folded(_) | Self::Closed => Verdict::CommandMalformed,
        }
    }

    /// Takes a venue's report with its words.
    pub fn step_report(
        &mut self,
        report: &ExecutionReport,
        text: Option<&ReportText>,
    ) -> Disposition {
        match self {
            Self::Inline(inline) => {
                let now_ns = inline.now_ns();
                inline.engine.step_report(report, text, now_ns, &mut inline.log)
            }
            // Reports of a desk come over its links.
            _ => Disposition::None,
        }
    }

    #[inline(always)]
    fn next_seq(&self) -> u64 {
        match self {
            Self::Inline(inline) => inline.log.ring.next_seq(),
            Self::Desk(desk, _) => desk.published_seq() + 1,
            _ => 0,
        }
    }

    #[inline(always)]
    fn next_command_seq(&mut self) -> u64 {
        match self {
            Self::Inline(inline) => {
                inline.command_seq += 1;
                inline.command_seq
            }
            Self::Desk(_, command_seq) => {
                *command_seq += 1;
                *command_seq
            }
            _ => 0,
        }
    }

    /// The order of the event at `event_seq`, if it is in the group just published.
    #[inline(always)]
    fn order_of(&self, event_seq: u64) -> u64 {
        if let Self::Inline(inline) = self {
            let last = inline.log.ring.last(0);
            if last.header.event_seq == event_seq {
                return last.header.order_seq;
            }
        }
        self.record_at(event_seq).map_or(0, |record| record.header.order_seq)
    }

    /// A copy of one record of the ring, while it is there.
    pub fn record_at(&self, event_seq: u64) -> Option<Record> {
        let mut out = [Record::ZERO];
        let mut reader = self.view()?.reader(Follow::Published, event_seq);
        (reader.copy_next(&mut out) == Ok(1)).then_some(out[0])
    }

    /// Takes one command from the client's door.
    #[inline]
    pub fn command(&mut self, record: &mut Record) -> (Verdict, Answer) {
        if !(NewOrder::KIND..=MassCancel::KIND).contains(&record.header.kind) || !self.is_live() {
            return (Verdict::CommandMalformed, Answer::default());
        }
        let command_seq = self.next_command_seq();
        record.header.event_seq = command_seq;
        let before = self.next_seq();
        let verdict = self.step(record);
        let answered = self.next_seq() != before;
        let event_seq = if answered { before } else { 0 };
        let order_seq = if answered { self.order_of(before) } else { 0 };
        (verdict, Answer { event_seq, order_seq, command_seq })
    }

    /// Takes a new order or replace behind the terms that it carries; nothing of its session comes
    /// between them, and terms that the command did not take are forgotten.
    pub fn command_with(&mut self, offer: &Record, record: &mut Record) -> (Verdict, Answer) {
        let session_id = match (NewOrder::from_record(record), ReplaceOrder::from_record(record)) {
            (Some(order), _) => order.session_id,
            (_, Some(replace)) => replace.session_id,
            _ => return (Verdict::CommandMalformed, Answer::default()),
        };
        let Some(mut offer) = OrderTerms::from_record(offer).copied() else {
            return (Verdict::CommandMalformed, Answer::default());
        };
        offer.session_id = session_id;
        self.step(offer.as_record()); // an unknown session: the command is refused for it
        let answer = self.command(record);
        match self {
            Self::Inline(inline) => inline.engine.drop_offer(session_id),
            Self::Desk(desk, _) => desk.drop_offer(session_id),
            Self::Folded(_) | Self::Closed => {}
        }
        answer
    }

    /// Takes many new orders; `verdicts` gets a code each, `order_seqs`, where given, their numbers.
    pub fn command_many(
        &mut self,
        orders: &[NewOrder],
        verdicts: &mut [u16],
        mut order_seqs: Option<&mut [u64]>,
    ) -> usize {
        assert!(verdicts.len() == orders.len());
        let mut accepted = 0;
        for (i, order) in orders.iter().enumerate() {
            let mut record = *order.as_record();
            let (verdict, answer) = self.command(&mut record);
            verdicts[i] = verdict.code();
            accepted += usize::from(verdict == Verdict::Accepted);
            if let Some(order_seqs) = order_seqs.as_deref_mut() {
                order_seqs[i] = answer.order_seq;
            }
        }
        accepted
    }
}
