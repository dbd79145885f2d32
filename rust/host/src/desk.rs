//! The desk as one value: opened from its directory, fed with commands, polled. Whoever owns it is
//! the engine thread. Inline the caller's thread calls it (tests, lock-step, research); threaded
//! `running` does. Other modules of the crate add their part of `impl Desk`: `kill`, `door`, `venues`
//! below. What must stay true: one writer; what came in is folded before anything goes out.

use crate::DeskOptions;
use crate::change::{Change, HASH_START, hash_on};
use crate::clock::{Anomaly, DeskClock};
use crate::door::Door;
use crate::journaling::{Journaling, News};
use crate::kill::Kill;
use crate::limits::Staging;
use crate::link::{Incoming, Link, Stage};
use crate::options::{Doing, HostError, Result, refused};
use crate::outbox::{DeskBounds, Outbox, RingLog, creates};
use crate::status::durations;
use arch::mutant;
use engine::{Engine, EngineConfig, Log};
use hdrhistogram::Histogram;
use journal::{Board, DeskDir, DeskLock, NewDesk, Recovered, Ring, RingOptions, RingView};
use layout::*;
use rustix::event::{PollFd, PollFlags, Timespec};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::pylink::{DeskEvent, LinkPhase};

/// Bytes read from a socket at once.
const READ_SIZE: usize = 1 << 18;
/// Reads of one link in one poll, so that a busy venue starves nobody.
const READS: usize = 8;
/// Messages handed over between two looks at the control word.
const BATCH: usize = 128;
/// Records that must be free in the log before a report is taken in.
const REPORT_ROOM: u64 = 2 * journal::GROUP_MAX as u64;
/// Messages that an outbox holds at least.
const WAITING_MIN: usize = 1 << 16;
/// Sockets that a sleep watches; those past it are looked at when it ends.
const FDS_MAX: usize = 96;
/// Longest sleep of `wait`.
pub(crate) const SLEEP_MAX_NS: i64 = 50_000_000;
/// Records ahead of the one being folded whose lines are fetched at recovery.
const RECOVERY_AHEAD: usize = 16;

/// One turn of lock-step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnInfo {
    /// Virtual time.
    pub now_ns: i64,
    /// Number of the turn on this connection.
    pub turn: u64,
    /// The day is over.
    pub ended: bool,
    /// The link is reconciled; while it is not, new orders are refused.
    pub up: bool,
}

/// A desk.
pub struct Desk {
    pub(crate) options: DeskOptions,
    pub(crate) engine: Engine,
    pub(crate) log: RingLog<DeskBounds>,
    pub(crate) outbox: Outbox,
    pub(crate) links: Vec<Link>,
    pub(crate) clock: DeskClock,
    pub(crate) kill: Kill,
    /// What waits for its second person, one of each kind.
    pub(crate) changes: Vec<Change>,
    pub(crate) staging: Option<Staging>,
    pub(crate) pursuit: crate::confirm::Pursuit,
    pub(crate) door: Option<Door>,
    pub(crate) journal: Journaling,
    pub(crate) dir: Option<DeskDir>,
    pub(crate) lock: Option<DeskLock>,
    pub(crate) decide: Histogram<u64>,
    pub(crate) recovered_events: u64,
    pub(crate) foreign_commands: u64,
    pub(crate) scratch: Vec<Routed>,
    pub(crate) news: Arc<News>,
    board: Option<Board>,
    /// Instruments whose quote changed since the board was last written, and which they are.
    changed: Vec<u32>,
    is_changed: Vec<bool>,
    told_open: bool,
    seqs: Vec<u64>,
    buffer: Vec<u8>,
    held: bool,
    names_changed: bool,
    killed_by_journal: bool,
    check_at_ns: i64,
}

fn boot_id() -> [u8; 16] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let mut id = [0; 16];
    let digits = text.bytes().filter_map(|b| (b as char).to_digit(16));
    for (at, digit) in digits.take(32).enumerate() {
        id[at / 2] = id[at / 2] << 4 | digit as u8;
    }
    id
}

/// The time of the last event, as far as one is there.
fn last_time(engine: &Engine) -> i64 {
    if engine.event_seq() == 0 { 0 } else { engine.time_ns().max(0) }
}

impl Desk {
    /// Opens a desk: lock, recover, go live, log what must be logged, stricter kill of file and log.
    /// Links connect in `poll` or `turn`.
    pub fn open(options: DeskOptions) -> Result<Self> {
        options.check()?;
        let mut engine = Engine::new(&options.engine).map_err(|source| HostError::Io {
            path: "engine".into(),
            doing: "reserve its memory",
            source,
        })?;
        if options.tier == Tier::Memory {
            let log_id = arch::utc_now_ns() as u64;
            let ring = Ring::memory(options.ring_slots, log_id, 1)?;
            return Self::live(
                options,
                engine,
                ring,
                Journaling::none(),
                Kill::default(),
                None,
                None,
            );
        }
        let new = NewDesk { segment_records: options.segment_records, control: options.control };
        let mut dir = DeskDir::open_or_create(&options.path, &new)?;
        if let Some(root) = &options.shm_root {
            dir = dir.with_shm_root(root);
        }
        let lock = dir.lock()?;
        let recovered = journal::recover(&dir)?;
        let folding = std::cell::RefCell::new(&mut engine);
        recovered.for_each_ahead(
            RECOVERY_AHEAD,
            |record| folding.borrow().prefetch_event(record),
            |record| folding.borrow_mut().apply(record),
        );
        let tail = recovered.tail_cut();
        let events = engine.event_seq();
        let (ring, writer) = go_live(recovered, &lock, &options)?;
        let kill = Kill::open(&dir)?;
        let journal = Journaling::inline(writer);
        let mut desk = Self::live(options, engine, ring, journal, kill, Some(dir), Some(lock))?;
        desk.recovered_events = events;
        if let Some(cut) = tail {
            let mut event = TailCut::ZERO;
            event.header.kind = TailCut::KIND;
            (event.first_seq, event.records) = (cut.first_seq, cut.records);
            event.reason = CutReason::Torn.code();
            desk.take(event.as_record());
        }
        desk.settle_start()?;
        Ok(desk)
    }

    fn live(
        options: DeskOptions,
        engine: Engine,
        ring: Ring,
        journal: Journaling,
        kill: Kill,
        dir: Option<DeskDir>,
        lock: Option<DeskLock>,
    ) -> Result<Self> {
        let last_ns = last_time(&engine);
        let (clock, anomaly) = if options.lock_step() {
            (
                DeskClock::given(if engine.event_seq() == 0 { options.start_ns } else { last_ns }),
                None,
            )
        } else {
            match &options.world {
                None => DeskClock::real(last_ns),
                Some(world) => DeskClock::of(world, last_ns),
            }
        };
        let links: Vec<Link> = options.venues.iter().cloned().map(Link::new).collect();
        let capacity = WAITING_MIN.max(4 * options.engine.log_reserve as usize);
        let venues_max = options.engine.venues_max;
        let outbox = Outbox::new(links.len(), venues_max, capacity, options.crash_at_seq);
        let segment_room = journal.segment_room();
        let instruments_max = options.engine.instruments_max;
        // In lock-step strategies act within a turn, on this thread: nobody reads a board.
        let board = match &dir {
            Some(dir) if !options.lock_step() => Some(Board::create(dir, instruments_max as u64)?),
            _ => None,
        };
        let news = News::new(ring.view(), board.as_ref().map(Board::view));
        let recovered_events = engine.event_seq();
        let mut desk = Self {
            log: RingLog {
                ring,
                bounds: DeskBounds { outbox_room: capacity as u64, waiting: 0, segment_room },
            },
            scratch: Vec::with_capacity(capacity),
            news,
            board,
            changed: Vec::with_capacity(instruments_max),
            is_changed: vec![false; instruments_max],
            told_open: false,
            seqs: Vec::with_capacity(options.engine.orders_max),
            buffer: vec![0; READ_SIZE],
            decide: durations(),
            foreign_commands: 0,
            held: false,
            names_changed: true,
            killed_by_journal: false,
            check_at_ns: 0,
            changes: Vec::new(),
            staging: None,
            door: None,
            options,
            engine,
            outbox,
            links,
            clock,
            kill,
            pursuit: Default::default(),
            journal,
            dir,
            lock,
            recovered_events,
        };
        desk.log_start(anomaly);
        if desk.dir.is_none() {
            desk.settle_start()?;
        }
        Ok(desk)
    }

    /// The first events of a run.
    fn log_start(&mut self, anomaly: Option<Anomaly>) {
        let mut event = EpochStarted::ZERO;
        event.header.kind = EpochStarted::KIND;
        event.epoch = self.log.ring.epoch();
        event.log_id = self.log.ring.log_id();
        event.layout_hash = LAYOUT_HASH;
        event.config_hash = self.options.config_hash;
        event.boot_id = boot_id();
        event.recovered_events = self.recovered_events;
        event.tier = self.options.tier.code();
        event.engine_config = hash_on(HASH_START, format!("{:?}", self.options.engine).as_bytes());
        let verdict = self.take(event.as_record());
        assert!(verdict == Verdict::Accepted); // recovery gave an epoch above all before
        if let Some(anomaly) = anomaly {
            self.log_anomaly(anomaly);
        }
    }

    fn log_anomaly(&mut self, anomaly: Anomaly) {
        let mut event = ClockAnomaly::ZERO;
        event.header.kind = ClockAnomaly::KIND;
        (event.wall_time_ns, event.used_time_ns) = (anomaly.wall_time_ns, anomaly.used_time_ns);
        self.take(event.as_record());
    }

    /// What a start has to say besides: links are down, the desk recovers, what was in flight is in
    /// doubt, the stricter kill holds; all of it on disk before anything else.
    fn settle_start(&mut self) -> Result<()> {
        for venue_id in 1..self.engine.config().venues_max as u16 {
            if self.engine.venue(venue_id).link() != LinkState::Down.code() {
                self.change_link(venue_id, LinkState::Down, false, 0);
            }
        }
        self.reconcile_kill()?;
        let links = !self.links.is_empty();
        self.change_desk(links);
        self.doubt(None);
        for index in 0..self.engine.definitions().len() {
            let definition = self.engine.definitions()[index];
            if definition.entity == Entity::Venue.code() {
                self.bind(&definition)?;
            }
        }
        self.journal.flush()?;
        self.journal.start(self.options.journal, Arc::clone(&self.news))?;
        if let (Some(dir), None) = (&self.dir, &self.options.world) {
            self.door = Some(Door::open(&dir.socket_path(), &self.options.people)?);
        }
        self.write_names()?;
        Ok(())
    }

    fn change_desk(&mut self, recovering: bool) {
        let mut event = DeskState::ZERO;
        event.header.kind = DeskState::KIND;
        event.recovering = recovering.into();
        self.take(event.as_record());
    }

    fn change_link(&mut self, venue_id: u16, state: LinkState, cancels: bool, venue_has: u32) {
        let mut event = LinkChange::ZERO;
        event.header.kind = LinkChange::KIND;
        (event.venue_id, event.state, event.flags) = (venue_id, state.code(), cancels.into());
        event.link_seq_in = self.engine.venue(venue_id).link_seq_in();
        event.link_seq_out = venue_has;
        self.take(event.as_record());
    }

    /// Marks every order with something sent and unanswered: of one venue, or of all.
    fn doubt(&mut self, venue_id: Option<u16>) {
        mutant!(restart_trusts_what_was_in_flight => if venue_id.is_none() { return });
        let mut seqs = std::mem::take(&mut self.seqs);
        seqs.clear();
        let ours = |o: &&engine::Order| venue_id.is_none_or(|id| o.venue_id == id);
        let sent = |o: &&engine::Order| {
            let status = o.ord_status();
            let lost = engine::order::Trigger::OutcomeLost;
            !o.is_here() && !Engine::unsure(o) && engine::order::transition(status, lost).is_some()
        };
        seqs.extend(self.engine.live_orders().filter(ours).filter(sent).map(|o| o.order_seq));
        for &order_seq in &seqs {
            let mut event = OutcomeUnknown::ZERO;
            event.header.kind = OutcomeUnknown::KIND;
            event.header.order_seq = order_seq;
            event.venue_id = self.engine.order(order_seq).map_or(0, |o| o.venue_id);
            self.take(event.as_record());
        }
        self.seqs = seqs;
    }

    // Inputs --------------------------------------------------------------------------------------

    /// One input of the host's own to its end; waits for the journal when the log has no room.
    #[inline]
    pub(crate) fn take(&mut self, input: &Record) -> Verdict {
        if self.log.ring.room() <= REPORT_ROOM {
            self.make_room();
        }
        self.step(input)
    }

    /// The host's own events are never refused: they wait until the disk has taken older ones. With a
    /// failed disk and a full ring the next append asserts: fail-stop (F8).
    #[cold]
    fn make_room(&mut self) {
        while self.log.ring.room() <= REPORT_ROOM && !self.journal.failed() {
            self.journal.pump();
            std::thread::yield_now();
        }
    }

    /// One input to its end, at the present time.
    #[inline]
    fn step(&mut self, input: &Record) -> Verdict {
        let now_ns = self.clock.now_ns();
        self.log.bounds.outbox_room = self.outbox.room();
        self.log.bounds.waiting = self.outbox.waiting() as u64;
        let verdict = self.engine.step(input, now_ns, &mut self.log, &mut self.outbox);
        if !self.outbox.retracted.is_empty() {
            self.retract();
        }
        verdict
    }

    /// A cancel came while its new order was still waiting: nothing of that order goes out.
    #[cold]
    pub(crate) fn retract(&mut self) {
        while let Some((link, order_seq)) = self.outbox.retracted.pop() {
            let mut dropped = std::mem::take(&mut self.scratch);
            dropped.clear();
            self.outbox.queues[link].retain(|routed| {
                let ours = routed.header.order_seq == order_seq;
                if ours {
                    dropped.push(*routed);
                }
                !ours
            });
            for routed in &dropped {
                self.drop_unsent(routed, 0);
            }
            self.scratch = dropped;
        }
    }

    /// Takes a command or an input of the host's side at the present time and returns the verdict.
    ///
    /// What must leave waits in the outbox until `flush`, `poll` or `end_turn`: a cancel that comes
    /// before takes its new order back, and nothing goes out for either.
    #[inline]
    pub fn submit(&mut self, record: &Record) -> Verdict {
        if matches!(record.header.kind, NewOrder::KIND..=MassCancel::KIND) {
            let began = arch::tsc();
            let verdict = self.step(record);
            self.decide.saturating_record(arch::tsc().wrapping_sub(began));
            return verdict;
        }
        let verdict = self.take(record);
        if record.header.kind == Definition::KIND && verdict == Verdict::Accepted {
            self.defined(record);
        }
        verdict
    }

    /// Forgets terms that a session offered and whose command did not take them.
    pub fn drop_offer(&mut self, session_id: u16) {
        self.engine.drop_offer(session_id);
    }

    /// `submit` for each; verdicts as codes. Returns how many were accepted.
    pub fn submit_many(&mut self, records: &[Record], verdicts: &mut [u16]) -> usize {
        assert!(records.len() == verdicts.len());
        let mut accepted = 0;
        for (record, out) in records.iter().zip(verdicts) {
            let verdict = self.submit(record);
            *out = verdict.code();
            accepted += usize::from(verdict == Verdict::Accepted);
        }
        accepted
    }

    #[cold]
    fn defined(&mut self, record: &Record) {
        self.names_changed = true;
        let command = Definition::from_record(record).expect("the kind was matched");
        let entity = Entity::from_code(command.entity).expect("the engine took it");
        let known = self.engine.definition(entity, &command.name).copied();
        if let (Entity::Venue, Some(definition)) = (entity, known) {
            if let Err(error) = self.bind(&definition) {
                let link = self.links.iter_mut().find(|l| l.config.name == text_of(&command.name));
                link.expect("only a link fails to bind").error = Some(error.to_string());
            }
        }
    }

    /// A venue has its number: its link may connect.
    fn bind(&mut self, definition: &Definition) -> Result<()> {
        let name = text_of(&definition.name);
        let Some(at) = self.links.iter().position(|link| link.config.name == name) else {
            return Ok(());
        };
        if self.links[at].stage != Stage::Unbound {
            return Ok(());
        }
        let (epoch, log_id) = (self.log.ring.epoch(), self.log.ring.log_id());
        self.links[at].bind(definition.id as u16, epoch, log_id, &self.options.name);
        self.outbox.bind(definition.id as u16, at);
        let link = &self.links[at].config;
        self.engine.set_pace(definition.id as u16, link.cancels_per_s_max, link.mass_cancel);
        self.register(at)
    }

    // Venues --------------------------------------------------------------------------------------

    /// Everything that a link's end has to say, as far as the log has room. `true`: something came.
    fn drain(&mut self, at: usize) -> bool {
        let mut some = false;
        while self.log.ring.room() > REPORT_ROOM {
            match self.links[at].end.next() {
                Ok(None) => break,
                Ok(Some(event)) => {
                    some = true;
                    self.hear(at, &event);
                }
                Err(error) => {
                    self.lose(at, error.to_string());
                    return true;
                }
            }
        }
        some
    }

    #[inline]
    fn hear(&mut self, at: usize, event: &DeskEvent) {
        match event {
            DeskEvent::Book(update) => {
                self.take(update.as_record());
                self.mark(update.instrument_id);
            }
            DeskEvent::Quote(quote) => {
                self.take(quote.as_record());
                self.mark(quote.instrument_id);
            }
            DeskEvent::Foreign(order) => {
                self.take(order.as_record());
            }
            DeskEvent::Ids(ids) => {
                self.engine.offer_ref(ids);
            }
            DeskEvent::Report(report, text) => {
                let now_ns = self.clock.now_ns();
                let taken = self.engine.step_report(report, text.as_ref(), now_ns, &mut self.log);
                if taken == Disposition::Overfill {
                    self.distrust(report.venue_id);
                }
            }
            DeskEvent::Phase(change) => {
                self.take(change.as_record());
            }
            DeskEvent::Day(change) => {
                self.take(change.as_record());
            }
            DeskEvent::Turn(turn) => self.links[at].turn = Some(*turn),
            DeskEvent::Up(resumed) => {
                let link = &mut self.links[at];
                link.stage = Stage::Replaying;
                link.last_out = resumed.venue_has;
                link.greeted();
                let venue_id = link.venue_id;
                let cancels = resumed.cancel_on_disconnect;
                self.names_changed |= link.covered != cancels;
                link.covered = cancels;
                self.change_link(venue_id, LinkState::Recovering, cancels, resumed.venue_has);
            }
            DeskEvent::CaughtUp => self.begin_round(at),
            DeskEvent::QueryEnd(end) if self.hear_open(at, end.query_id, end.count) => {}
            DeskEvent::QueryEnd(end) => {
                let link = &mut self.links[at];
                link.answers_due = link.answers_due.saturating_sub(1);
                if end.query_id == link.open_query {
                    link.venue_open = Some(end.count);
                }
                self.ask_more(at);
            }
        }
    }

    /// An overfill is booked and flagged; a venue whose definition asks for it is stopped besides, until
    /// two people release it: a venue that fills what nobody ordered may go on doing so.
    #[cold]
    fn distrust(&mut self, venue_id: u16) {
        let open = self.engine.mode_in(Scope::Venue, venue_id.into()) < KillMode::CancelOnly.code();
        if open && self.engine.venue(venue_id).overfill_stops() {
            self.kill_venue(venue_id);
        }
    }

    #[inline]
    fn mark(&mut self, instrument_id: u32) {
        if let Some(is_changed) = self.is_changed.get_mut(instrument_id as usize) {
            if !*is_changed {
                *is_changed = true;
                self.changed.push(instrument_id); // room for each id once
            }
        }
    }

    /// Writes the quotes that changed in this round to the board, and whether the desk is open.
    fn write_board(&mut self) {
        let is_open = self.is_open();
        let Some(board) = &mut self.board else {
            self.changed.clear();
            return;
        };
        if self.changed.is_empty() && is_open == self.told_open {
            return;
        }
        for instrument_id in self.changed.drain(..) {
            self.is_changed[instrument_id as usize] = false;
            let mut quote = self.engine.instrument(instrument_id).quote();
            quote.instrument_id = instrument_id;
            board.put(&quote);
        }
        self.told_open = is_open;
        board.set_open(is_open);
        board.publish();
    }

    /// Asks the venue for what we may not know: its fills, its open orders, each order in doubt.
    fn begin_round(&mut self, at: usize) {
        let mono_ns = self.clock.mono_ns();
        let link = &mut self.links[at];
        let venue_id = link.venue_id;
        link.to_ask.clear();
        let all = link.ask_all;
        let doubtful = |o: &&engine::Order| {
            o.venue_id == venue_id && (Engine::unsure(o) || all && !o.is_here())
        };
        link.to_ask.extend(self.engine.live_orders().filter(doubtful).map(|o| o.order_seq));
        if let Err(error) = link.begin_round(mono_ns) {
            return self.lose(at, error.to_string());
        }
        self.ask_more(at);
    }

    /// Puts questions on the link as they fit, and ends the round when all are answered.
    fn ask_more(&mut self, at: usize) {
        let mono_ns = self.clock.mono_ns();
        let link = &mut self.links[at];
        if link.stage != Stage::Asking {
            return;
        }
        while let Some(&order_seq) = link.to_ask.last() {
            let all = link.ask_all;
            let wanted = |o: &&engine::Order| Engine::unsure(o) || all && o.live();
            if let Some(order) = self.engine.order(order_seq).filter(wanted) {
                // By the last id the venue acknowledged: a change it never saw has an id of its own.
                let id = self.engine.street_id(order, order.street_revision());
                match link.end.query(QueryKind::Order, id, 0, mono_ns) {
                    Ok(_) => link.answers_due += 1,
                    Err(_) => return, // the buffer is full: more when answers come
                }
            }
            link.to_ask.pop();
        }
        if link.answers_due == 0 {
            self.end_round(at);
        }
    }

    /// All answers are in: up when nothing is in doubt and both count the same open orders.
    fn end_round(&mut self, at: usize) {
        let mono_ns = self.clock.mono_ns();
        let venue_id = self.links[at].venue_id;
        let ours = |o: &&engine::Order| o.venue_id == venue_id && !o.is_here();
        let live = self.engine.live_orders().filter(ours).count() as u32;
        let doubts = self.engine.live_orders().filter(ours).any(Engine::unsure);
        if !doubts {
            self.assert_kill();
        }
        let link = &mut self.links[at];
        let venue_open = link.venue_open.unwrap_or(0);
        // The end of an order may have been told and lost: its state alone raises no doubt.
        link.ask_all = !doubts && venue_open != live;
        if doubts || link.doubts_at_start || venue_open != live {
            if !doubts && venue_open != live {
                link.error =
                    Some(format!("the venue shows {venue_open} open orders, the log {live}"));
            }
            return link.pause(mono_ns);
        }
        link.stage = Stage::Up;
        link.error = None;
        let venue_has = link.end.next_out() - 1;
        let cancels = link.config.cancel_on_disconnect;
        self.change_link(venue_id, LinkState::Up, cancels, venue_has);
        if self.engine.recovering() && self.links.iter().all(|link| link.stage == Stage::Up) {
            self.change_desk(false);
        }
    }

    /// The link is gone: nothing that waited for it goes out, and what was sent is in doubt.
    pub(crate) fn lose(&mut self, at: usize, why: String) {
        let mono_ns = self.clock.mono_ns();
        self.links[at].drop_connection(why, mono_ns);
        let venue_id = self.links[at].venue_id;
        // Down first: a question that is dropped must not be asked again while we drop.
        if self.engine.venue(venue_id).link() != LinkState::Down.code() {
            self.change_link(venue_id, LinkState::Down, false, 0);
        }
        while let Some(routed) = self.outbox.queues[at].pop_front() {
            self.drop_unsent(&routed, 0);
        }
        self.doubt(Some(venue_id));
    }

    fn connect(&mut self, at: usize) -> bool {
        let venue = self.engine.venue(self.links[at].venue_id);
        let (seq_in, seq_out) = (venue.link_seq_in(), venue.link_seq_out());
        let mono_ns = self.clock.mono_ns();
        self.links[at].connect(self.options.world.as_ref(), seq_in, seq_out, mono_ns)
    }

    /// Reads a real-time link and takes in what came.
    fn serve(&mut self, at: usize) -> bool {
        let mut some = self.drain(at);
        for _ in 0..READS {
            if self.log.ring.room() <= REPORT_ROOM {
                break; // the engine stops reading; nothing is dropped
            }
            let mono_ns = self.clock.mono_ns();
            match self.links[at].read(&mut self.buffer, mono_ns) {
                Incoming::Nothing => break,
                Incoming::Some => {
                    some = true;
                    self.drain(at);
                }
                Incoming::Lost(why) => {
                    self.drain(at);
                    self.lose(at, why);
                    return true;
                }
            }
        }
        some
    }

    /// The time-driven part of a link: connect, heartbeats, the next round of questions.
    fn tend(&mut self, at: usize) -> bool {
        let mono_ns = self.clock.mono_ns();
        match self.links[at].stage {
            Stage::Unbound => return false,
            Stage::Down => return self.connect(at),
            Stage::Pausing if mono_ns >= self.links[at].next_round_ns => self.begin_round(at),
            Stage::Asking => self.ask_more(at),
            _ => {}
        }
        if self.options.venues[at].lock_step {
            return false; // the venue's turns are its heartbeat; it waits for us as long as it takes
        }
        if let Err(error) = self.links[at].end.tick(mono_ns) {
            self.lose(at, error.to_string());
            return true;
        }
        false
    }

    // Outbox --------------------------------------------------------------------------------------

    /// Looks at the kill switch, then hands over what is committed. `true`: nothing waits any more.
    pub fn flush(&mut self) -> bool {
        self.check_kill();
        for at in 0..self.links.len() {
            self.flush_link(at);
        }
        self.outbox.waiting() == 0 && self.links.iter().all(|link| link.end.unsent().is_empty())
    }

    pub(crate) fn flush_link(&mut self, at: usize) {
        loop {
            let more = match self.fill_link(at) {
                Ok(more) => more,
                Err(error) => return self.lose(at, error.to_string()),
            };
            if let Err(why) = self.links[at].write() {
                return self.lose(at, why);
            }
            if !more || !self.links[at].end.unsent().is_empty() {
                return;
            }
            self.check_kill();
        }
    }

    /// Moves committed messages into the link's buffer, a batch at most and only when all before is
    /// in the kernel's hands: what is in the buffer is as good as sent. `true`: more are ready.
    fn fill_link(&mut self, at: usize) -> std::result::Result<bool, wire::pylink::LinkError> {
        let link = &mut self.links[at];
        if !link.flows() || !link.end.unsent().is_empty() {
            return Ok(false);
        }
        let committed_seq = self.log.ring.committed_seq();
        mutant!(leaves_before_committed: committed_seq = u64::MAX);
        let mono_ns = self.clock.mono_ns();
        let queue = &mut self.outbox.queues[at];
        let mut count = 0;
        while let Some(routed) = queue.front() {
            if self.held || routed.header.event_seq > committed_seq {
                break;
            }
            if count == BATCH {
                return Ok(true);
            }
            link.end.gap_fill_to(routed.link_seq - 1, mono_ns)?;
            link.end.send(routed, mono_ns)?;
            link.last_out = routed.link_seq;
            if creates(routed) {
                link.queued_creating();
            }
            queue.pop_front();
            count += 1;
        }
        // Numbers given and given up again are told, so that the venue knows of no gap for long.
        let given = self.engine.venue(link.venue_id).link_seq_out();
        let next = queue.front().map_or(given, |routed| routed.link_seq - 1);
        link.end.gap_fill_to(next, mono_ns)?;
        Ok(false)
    }

    /// Drill: while `true` no message leaves, as if nothing were committed.
    pub fn hold_outbox(&mut self, hold: bool) {
        self.held = hold;
    }

    // Rounds --------------------------------------------------------------------------------------

    /// One round of everything, without blocking; `true` when there was something to do. In lock-step
    /// it takes no turn.
    pub fn poll(&mut self) -> Result<bool> {
        self.check_kill();
        let mut some = false;
        for at in 0..self.links.len() {
            some |= self.tend(at);
            if !self.options.venues[at].lock_step {
                some |= self.serve(at);
            }
        }
        some |= self.serve_clients();
        // In lock-step nothing enters the log between turns: how often a caller polls there depends
        // on the speed of the machine.
        let in_turn = !self.options.lock_step() || self.links[0].turn.is_some();
        let due = self.engine.work_due(self.clock.now_ns());
        if in_turn && due && self.log.ring.room() > REPORT_ROOM {
            some |= self.sweep_on();
        }
        if in_turn {
            some |= self.stage_limits();
        }
        if !self.options.lock_step() {
            self.pursue();
        }
        self.flush();
        self.write_board();
        self.housekeeping()?;
        Ok(some)
    }

    /// Lets the engine do more of its own work: cancels that were asked for, timers, legs.
    fn sweep_on(&mut self) -> bool {
        let before = self.engine.event_seq();
        let mut input = TimeInput::ZERO;
        input.header.kind = TimeInput::KIND;
        self.take(input.as_record());
        self.engine.event_seq() != before
    }

    fn housekeeping(&mut self) -> Result<()> {
        self.journal.pump();
        if self.journal.failed() && !self.killed_by_journal {
            self.killed_by_journal = true;
            self.kill_desk(KillCause::Automatic);
        }
        self.tell_names()?;
        let mono_ns = self.clock.mono_ns();
        if mono_ns >= self.check_at_ns {
            self.check_at_ns = mono_ns + 1_000_000_000;
            self.check_control_file();
            if !self.options.lock_step() {
                self.assert_kill();
            }
            if let Some(anomaly) = self.clock.check() {
                self.log_anomaly(anomaly);
            }
        }
        Ok(())
    }

    /// Sleeps until a socket or a client has something, or for `max`; by the parking protocol, so that
    /// a kill of meanwhile is acted on before anything is sent.
    pub fn wait(&mut self, max: Duration) {
        if self.outbox.waiting() != 0 && !self.held {
            std::thread::yield_now(); // the journal is about to commit
            return;
        }
        if !self.park_clients() {
            return;
        }
        if self.park() {
            let mono_ns = self.clock.mono_ns();
            let soon = self.links.iter().filter_map(|link| match link.stage {
                Stage::Pausing => Some((link.next_round_ns - mono_ns).max(0)),
                _ => link.retry_in_ns(mono_ns),
            });
            let due_ns = self.engine.next_cancel_ns().saturating_sub(self.clock.now_ns());
            let soon = soon.chain([due_ns.max(0)]);
            let bound = soon.min().unwrap_or(SLEEP_MAX_NS).min(self.look_in_ns());
            self.sleep((max.as_nanos() as i64).min(bound));
        }
        self.unpark();
        self.unpark_clients();
    }

    fn sleep(&self, wait_ns: i64) {
        let timeout =
            Timespec { tv_sec: wait_ns / 1_000_000_000, tv_nsec: wait_ns % 1_000_000_000 };
        let links = self.links.iter().filter_map(|link| {
            let out = !link.end.unsent().is_empty();
            let flags = if out { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
            Some((link.stream.as_ref()?.fd()?, flags))
        });
        let mut all = links.chain(self.door.iter().flat_map(Door::fds));
        let Some(first) = all.next() else {
            let _ = rustix::thread::nanosleep(&timeout);
            return;
        };
        let mut count = 1;
        let mut fds: [PollFd; FDS_MAX] = std::array::from_fn(|index| {
            let (fd, flags) = match index {
                0 => first,
                _ => all.next().inspect(|_| count += 1).unwrap_or(first),
            };
            PollFd::from_borrowed_fd(fd, flags)
        });
        // An interruption is a waking like any other.
        let _ = rustix::event::poll(&mut fds[..count], Some(&timeout));
    }

    // Lock-step -----------------------------------------------------------------------------------

    /// Waits for the venue's next turn and takes in all that came with it, at the turn's time. Until
    /// `end_turn` the caller reads events and submits commands at that time.
    pub fn turn(&mut self, timeout: Duration) -> Result<TurnInfo> {
        if !self.options.lock_step() {
            return refused("turn: the desk is not in lock-step (venue option lock_step)");
        }
        if self.links[0].turn.is_some() {
            return refused("turn: the last turn was not ended (end_turn)");
        }
        let began = Instant::now();
        loop {
            if let Some(info) = self.try_turn()? {
                return Ok(info);
            }
            if began.elapsed() > timeout {
                return self.no_turn(began.elapsed());
            }
            self.wait(Duration::from_millis(20).min(timeout));
        }
    }

    #[cold]
    fn no_turn(&self, waited: Duration) -> Result<TurnInfo> {
        let link = &self.links[0];
        Err(HostError::NoTurn {
            venue: link.config.name.clone(),
            waited_ms: waited.as_millis(),
            state: link.stage.name(),
            why: link.error.as_ref().map_or(String::new(), |why| format!(": {why}")),
        })
    }

    fn try_turn(&mut self) -> Result<Option<TurnInfo>> {
        self.poll()?;
        loop {
            if let Some((now_ns, mut until)) = self.links[0].turn_at() {
                self.clock.set(now_ns);
                let mono_ns = self.clock.mono_ns();
                while self.links[0].turn.is_none() && self.links[0].stage != Stage::Down {
                    self.journal.pump(); // an inline journal makes room for what comes
                    match self.links[0].feed(&mut until, mono_ns) {
                        Ok(_) => self.drain(0),
                        Err(error) => {
                            self.lose(0, error.to_string());
                            break;
                        }
                    };
                }
                let Some(turn) = self.links[0].turn else { return Ok(None) };
                if self.links[0].stage == Stage::Pausing {
                    self.begin_round(0);
                }
                self.poll()?;
                return Ok(Some(TurnInfo {
                    now_ns: self.clock.now_ns(),
                    turn: turn.turn,
                    ended: turn.ended != 0,
                    up: self.links[0].stage == Stage::Up,
                }));
            }
            let mono_ns = self.clock.mono_ns();
            match self.links[0].read(&mut self.buffer, mono_ns) {
                Incoming::Nothing => return Ok(None),
                Incoming::Some => {}
                Incoming::Lost(why) => {
                    self.lose(0, why);
                    return Ok(None);
                }
            }
        }
    }

    /// Ends the turn: what waits goes out, then the venue goes on, to `wake_ns` at the latest
    /// (`i64::MAX`: as it likes).
    pub fn end_turn(&mut self, wake_ns: i64) -> Result<()> {
        if self.links.first().is_none_or(|link| link.turn.is_none()) {
            return Ok(()); // the link was lost within the turn; the next one begins anew
        }
        self.assert_kill();
        self.pursue();
        if self.engine.asked_count() != 0 {
            self.sweep_on();
        }
        let wake_ns = wake_ns.min(self.engine.next_cancel_ns());
        self.journal.flush_for(self.options.tier)?;
        while !self.held && !self.journal.failed() && !self.flush() && self.links[0].flows() {
            self.wait(Duration::from_millis(1));
        }
        self.flush();
        self.housekeeping()?;
        let mono_ns = self.clock.mono_ns();
        let Some(turn) = self.links[0].turn.take() else { return Ok(()) };
        if self.links[0].end.phase() != LinkPhase::Up {
            return Ok(());
        }
        if let Err(error) = self.links[0].end.turn_done(turn.turn, wake_ns, mono_ns) {
            self.lose(0, error.to_string());
            return Ok(());
        }
        while self.links[0].flows() && !self.links[0].end.unsent().is_empty() {
            self.check_kill();
            if let Err(why) = self.links[0].write() {
                self.lose(0, why);
            } else if !self.links[0].end.unsent().is_empty() {
                self.wait(Duration::from_millis(1));
            }
        }
        Ok(())
    }

    // To look at ----------------------------------------------------------------------------------

    /// The engine, to read.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The time an event would get now.
    pub fn now_ns(&mut self) -> i64 {
        self.clock.now_ns()
    }

    /// The desk's directory; `None` at tier `memory`.
    pub fn path(&self) -> Option<&Path> {
        self.dir.as_ref().map(DeskDir::path)
    }

    /// The ring in shared memory; `None` at tier `memory`.
    pub fn ring_path(&self) -> Option<PathBuf> {
        self.dir.as_ref().map(DeskDir::ring_path)
    }

    /// The log in memory, for readers of this process.
    pub fn ring_view(&self) -> RingView {
        self.log.ring.view()
    }

    /// Last event published.
    pub fn published_seq(&self) -> u64 {
        self.log.next_seq() - 1
    }

    /// Whether new orders are taken: all links reconciled, recovery over, the desk not killed.
    pub fn is_open(&self) -> bool {
        !self.engine.recovering()
            && self.engine.desk_mode() == KillMode::Open.code()
            && self.links.iter().all(|link| link.stage == Stage::Up)
    }

    /// Stops in order: hands over what is committed, writes the log to its end.
    pub fn close(mut self) -> Result<()> {
        self.flush();
        self.tell_names()?;
        self.door = None;
        self.journal.close()
    }

    /// Writes the map of names if it has changed.
    pub(crate) fn tell_names(&mut self) -> Result<()> {
        if self.names_changed { self.write_names() } else { Ok(()) }
    }

    /// Writes the map of names beside the log, whole or not at all.
    fn write_names(&mut self) -> Result<()> {
        self.names_changed = false;
        let Some(dir) = &self.dir else { return Ok(()) };
        let covered = self.links.iter().filter(|link| link.covered);
        let covered: Vec<&str> = covered.map(|link| link.config.name.as_str()).collect();
        let json = crate::status::names_json(&self.engine, &covered);
        let (path, aside) = (dir.path().join("names.json"), dir.path().join("names.json.new"));
        std::fs::write(&aside, json).doing(&aside, "write the names")?;
        std::fs::rename(&aside, &path).doing(&path, "put the names in place")
    }
}

fn go_live(
    recovered: Recovered,
    lock: &DeskLock,
    options: &DeskOptions,
) -> Result<(Ring, journal::SegmentWriter)> {
    let ring = RingOptions {
        slots: options.ring_slots,
        tier: options.tier,
        segment_records: options.segment_records,
    };
    Ok(match &options.world {
        None => recovered.go_live(lock, &ring)?,
        Some(world) => recovered.go_live_on(lock, &ring, world.disk())?,
    })
}

/// Folds the log of a desk, stopped or running, up to and with `until_seq`.
pub fn replay(
    path: impl AsRef<Path>,
    config: &EngineConfig,
    until_seq: Option<u64>,
) -> Result<Engine> {
    let dir = DeskDir::open(path)?;
    let log = journal::open_log(&dir)?;
    let mut engine = Engine::new(config).map_err(|source| HostError::Io {
        path: "engine".into(),
        doing: "reserve its memory",
        source,
    })?;
    let until_seq = until_seq.unwrap_or(u64::MAX);
    for record in log.slices().flatten() {
        if record.header.event_seq > until_seq {
            break;
        }
        engine.apply(record);
    }
    Ok(engine)
}
