//! The kill drill: a real desk with its threads, files, control file and socket, the simulated venue
//! behind that socket, and a client that trades as fast as it can; then the switch is engaged at a drawn
//! moment, acknowledged, checked at the venue, followed until nothing is open, and armed again. Called
//! by `pyoms drill` and by tests. What must stay true: what was sent is the venue's word, never the
//! desk's; the load goes on past every acknowledgement; no trial counts that was not checked.
//!
//! ```text
//! client --ring--> desk --socket--> venue        killer: control file: engage, acknowledged
//!   new, replace    |  <--reports--   |                  venue: anything above sent_seq?
//!                   +- control file   +- link_seq of every order it was sent
//! ```

use crate::random::{Latency, Random};
use crate::venue::VenueConfig;
use crate::{SimError, VenueServer};
use host::{Attach, Client, Desk, DeskOptions, HostError, JournalMode, Running, VenueLink};
use journal::{ControlFile, ControlSizes, ControlState, DeskDir, SenderInfo};
use layout::*;
use serde::Serialize;
use serde_json::Value;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longest wait for anything; a drill that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// Orders that one life of desk and venue makes, about; then both begin anew.
const LIFE_ORDERS: u64 = 60_000;
/// Orders and ids of a drill's desk.
const ORDERS_MAX: usize = 1 << 18;
const IDS_MAX: usize = 1 << 20;
/// Trials of one life at most.
const LIFE_TRIALS: u64 = 200;
/// Commands that the client goes on to push past each acknowledgement, at least.
const AFTER_ACK: u64 = 128;
/// Slots of the client's ring, and commands of one batch.
const RING: u64 = 256;
const BATCH: u64 = 32;
const PRICE: i64 = 100 * ONE;
const TICK: i64 = ONE / 4;

/// What to drill.
#[derive(Clone, Debug)]
pub struct DrillOptions {
    /// Kills.
    pub trials: u64,
    /// New orders and replaces that the venue gets over all of them, at least.
    pub messages: u64,
    /// Of the moments at which the switch is engaged.
    pub seed: u64,
    /// Where desks and sockets lie; each life has a directory of its own, removed at its end.
    pub folder: PathBuf,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DrillReport {
    /// New orders and replaces that the venue was sent.
    pub messages: u64,
    /// Kills engaged, acknowledged and checked.
    pub trials: u64,
    /// Of the messages: sent after their kill was acknowledged.
    pub sent_after_ack: u64,
    /// From the moment before the words are written until every sender had answered.
    pub ack_us_p50: u64,
    /// The longest.
    pub ack_us_max: u64,
    /// Cancels that the kills sent.
    pub cancels_sent: u64,
    /// Orders that were live at a kill and have ended.
    pub cancels_confirmed: u64,
    /// Orders that were not confirmed canceled, by desk or venue.
    pub left_open: u64,
    /// Commands that were refused: nearly all because the switch was engaged.
    pub refused: u64,
    /// Lives of a desk.
    pub lives: u64,
    /// What a trial found wrong.
    pub violations: Vec<String>,
}

impl DrillReport {
    /// One JSON object.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain numbers and text")
    }

    /// Whether nothing was wrong.
    pub fn is_good(&self) -> bool {
        self.violations.is_empty() && self.sent_after_ack == 0 && self.left_open == 0
    }
}

/// Why a drill could not be held.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// The desk.
    #[error(transparent)]
    Desk(#[from] HostError),
    /// Its directory or control file.
    #[error(transparent)]
    Journal(#[from] journal::JournalError),
    /// The venue.
    #[error(transparent)]
    Venue(#[from] SimError),
    /// Files and sockets.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something did not come.
    #[error("{what} did not come within {} s: {last}", PATIENCE.as_secs())]
    Late {
        /// What was waited for.
        what: &'static str,
        /// The desk's last status.
        last: String,
    },
    /// A thread panicked: an assertion of desk or venue did not hold.
    #[error("the {0} panicked")]
    Panicked(&'static str),
}

type Result<T> = std::result::Result<T, DrillError>;

/// Holds the drill.
pub fn drill(options: &DrillOptions) -> Result<DrillReport> {
    let mut report = DrillReport::default();
    let (mut acks_ns, mut random) = (Vec::new(), Random::new(options.seed));
    let each = (options.messages / options.trials.max(1)).max(16);
    let life_trials = (LIFE_ORDERS / each).clamp(1, LIFE_TRIALS);
    while report.trials < options.trials || report.messages < options.messages {
        let left = options.trials.saturating_sub(report.trials).max(1);
        let folder = options.folder.join(format!("life-{}", report.lives));
        let life = Life::begin(&folder, options.seed + report.lives)?;
        report.lives += 1;
        let mut held = Ok(());
        for _ in 0..left.min(life_trials) {
            held = life.trial(each, &mut random, &mut acks_ns, &mut report);
            if held.is_err() || life.is_used_up() {
                break;
            }
        }
        report.messages += life.creating();
        let shm = DeskDir::open(&life.desk)?.shm_path();
        let ended = life.end();
        let _ = std::fs::remove_dir_all(shm); // the ring outlives its process, not this drill
        let _ = std::fs::remove_dir_all(&folder); // what is left is told by the caller's folder
        held.and(ended)?;
    }
    acks_ns.sort_unstable();
    report.ack_us_p50 = acks_ns.get(acks_ns.len() / 2).map_or(0, |ns| ns / 1_000);
    report.ack_us_max = acks_ns.last().map_or(0, |ns| ns / 1_000);
    Ok(report)
}

/// One desk, its venue and its client.
struct Life {
    desk: PathBuf,
    running: Option<Running>,
    street: Street,
    load: Load,
    control: ControlFile,
    /// The desk's refusals up to the last trial.
    refused: std::cell::Cell<u64>,
}

impl Life {
    fn begin(folder: &Path, seed: u64) -> Result<Self> {
        let io = |source| DrillError::Io { path: folder.into(), source };
        std::fs::create_dir_all(folder).map_err(io)?;
        let desk = folder.join("desk");
        let street = Street::open(&folder.join("venue.sock"), seed)?;
        let mut opened = Desk::open(options(folder))?;
        define(&mut opened);
        let running = Some(opened.start()?);
        let control = match ControlFile::open(&DeskDir::open(&desk)?) {
            ControlState::Sound(control) => control,
            ControlState::Killed { why } => {
                return Err(HostError::Refused { what: why }.into());
            }
        };
        let (load, refused) = (Load::start(&desk)?, Default::default());
        let life = Self { desk, running, street, load, control, refused };
        life.wait("the opening", |status| status["open"] == true)?;
        Ok(life)
    }

    fn creating(&self) -> u64 {
        self.street.creating.load(Ordering::Acquire)
    }

    /// Whether half of its orders or ids are taken: a refusal takes an id too, and a desk whose tables
    /// are full has no load any more.
    fn is_used_up(&self) -> bool {
        let pushed = self.load.pushed();
        let accepted = pushed.saturating_sub(self.refused.get());
        accepted > ORDERS_MAX as u64 / 2 || pushed > IDS_MAX as u64 / 2
    }

    fn status(&self) -> Result<Value> {
        let told = host::ask(&self.desk, "status")?;
        Ok(serde_json::from_str(&told).unwrap_or(Value::Null))
    }

    fn wait(&self, what: &'static str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let began = Instant::now();
        loop {
            let status = self.status()?;
            if wanted(&status) {
                return Ok(status);
            }
            if began.elapsed() > PATIENCE {
                return Err(DrillError::Late { what, last: status.to_string() });
            }
            std::thread::yield_now();
        }
    }

    /// Until `count` is at least `wanted`.
    fn until(&self, what: &'static str, wanted: u64, count: impl Fn() -> u64) -> Result<()> {
        let began = Instant::now();
        while count() < wanted {
            if began.elapsed() > PATIENCE {
                return Err(DrillError::Late { what, last: self.status()?.to_string() });
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Engage under load, acknowledge, check, follow to the end, arm again.
    fn trial(
        &self,
        each: u64,
        random: &mut Random,
        acks_ns: &mut Vec<u64>,
        report: &mut DrillReport,
    ) -> Result<()> {
        let at = self.creating() + each / 2 + random.below(each + each / 2);
        self.load.go(true);
        self.until("the load", at, || self.creating())?;
        let began = Instant::now();
        let epoch = self.control.engage(Scope::Desk, 0, KillMode::CancelOnly)?;
        let told = self.acknowledged(epoch);
        let took_ns = began.elapsed().as_nanos() as u64;
        let pushed = self.load.pushed();
        self.until("the load past the acknowledgement", pushed + AFTER_ACK, || self.load.pushed())?;
        self.load.go(false);
        self.until("the pause", 1, || self.load.idle.load(Ordering::Acquire).into())?;
        let pushed = self.load.pushed();
        let settled = |s: &Value| {
            s["commands"] == pushed && s["waiting"] == 0 && s["kill"]["confirmed"] == true
        };
        let status = self.wait("the venue's word that nothing is open", settled)?;
        report.trials += 1;
        let number = report.trials;
        let mut wrong = |what: String| report.violations.push(format!("trial {number}: {what}"));
        match told.as_deref().and_then(|rows| rows.iter().find(|row| row.venue_id == 1)) {
            Some(row) => {
                acks_ns.push(took_ns);
                // The venue has answered a question that was sent behind all of it.
                let after = self.street.server().creating_after(row.sent_seq as u32);
                report.sent_after_ack += after;
                if after != 0 {
                    wrong(format!("{after} messages left after link_seq {}", row.sent_seq));
                }
            }
            None => wrong("not acknowledged in time".into()),
        }
        let open = self.street.server().sim().open_count();
        let kill = &status["kill"];
        let count = |name: &str| kill[name].as_u64().unwrap_or(0);
        let left = count("left_open").max(open);
        if left != 0 {
            wrong(format!("{left} orders are left open, at the venue {open}"));
        }
        report.left_open += left;
        report.cancels_sent += count("cancels_sent");
        report.cancels_confirmed += count("cancels_confirmed");
        report.refused += status["refused"].as_u64().unwrap_or(0) - self.refused.get();
        self.refused.set(status["refused"].as_u64().unwrap_or(0));
        self.control.release(Scope::Desk, 0)?; // the harness's own way: a desk's takes two people
        self.wait("the release", |status| status["open"] == true)?;
        Ok(())
    }

    /// Every sender's answer as it stood when the last one had answered; `None`: not in time.
    fn acknowledged(&self, epoch: u64) -> Option<Vec<SenderInfo>> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let ack = self.control.acknowledged(epoch);
            if ack.is_whole() {
                return Some(ack.answered);
            }
            std::hint::spin_loop();
        }
        None
    }

    fn end(mut self) -> Result<()> {
        self.load.end()?;
        if let Some(running) = self.running.take() {
            running.stop()?;
        }
        self.street.end()
    }
}

fn options(folder: &Path) -> DeskOptions {
    let engine = engine::EngineConfig {
        orders_max: ORDERS_MAX,
        ids_max: IDS_MAX,
        fills_max: 1 << 12,
        accounts_max: 2,
        instruments_max: 2,
        venues_max: 2,
        sessions_max: 2,
        strategies_max: 2,
        traders_max: 2,
        currencies_max: 2,
        books_max: 1,
        book_orders_max: 256,
        book_levels_max: 64,
        ..engine::EngineConfig::default()
    };
    let link = VenueLink {
        name: "SIM".into(),
        socket_path: folder.join("venue.sock"),
        ..VenueLink::default()
    };
    DeskOptions {
        path: folder.join("desk"),
        name: "drill".into(),
        ring_slots: 1 << 16,
        segment_records: 1 << 18,
        control: ControlSizes {
            accounts_max: 1,
            instruments_max: 1,
            venues_max: 1,
            sessions_max: 1,
            strategies_max: 1,
            senders_max: 8,
        },
        engine,
        venues: vec![link],
        journal: JournalMode::Thread,
        ..DeskOptions::default()
    }
}

/// One of everything, without a limit that the load could reach.
fn define(desk: &mut Desk) {
    let mut take = |record: &Record| {
        let verdict = desk.submit(record);
        assert!(verdict == Verdict::Accepted, "kind {}: {verdict:?}", record.header.kind);
    };
    let account = AccountLevel::Account.code();
    for (entity, name, level) in [
        (Entity::Currency, "USD", 0),
        (Entity::Venue, "SIM", ReplaceRule::InFlightCounted.code()),
        (Entity::Instrument, "DRILL", 0),
        (Entity::Account, "DRILL", account),
        (Entity::Session, "DRILL", 0),
        (Entity::Strategy, "DRILL", 0),
    ] {
        let mut d = Definition::ZERO;
        d.header.kind = Definition::KIND;
        (d.entity, d.name, d.level) = (entity.code(), text(name), level);
        take(d.as_record());
    }
    let mut rate = Rate::ZERO;
    (rate.header.kind, rate.currency_id, rate.rate) = (Rate::KIND, 1, ONE);
    take(rate.as_record());
    let mut t = InstrumentTerms::ZERO;
    t.header.kind = InstrumentTerms::KIND;
    (t.instrument_id, t.venue_id, t.currency_id) = (1, 1, 1);
    (t.tick, t.lot, t.qty_min, t.qty_max) = (TICK, ONE, ONE, 1000 * ONE);
    (t.contract_multiplier, t.flags) = (ONE, FLAG_NO_BAND);
    take(t.as_record());
    let mut l = LimitRow::ZERO;
    l.header.kind = LimitRow::KIND;
    (l.scope, l.account_id) = (Scope::Account.code(), 1);
    (l.order_qty_max, l.order_notional_max, l.net_qty_max) = (100 * ONE, i64::MAX, i64::MAX);
    (l.gross_notional_max, l.net_notional_max) = (i64::MAX, i64::MAX);
    take(l.as_record());
    let mut a = LimitsActivated::ZERO;
    (a.header.kind, a.limits_version) = (LimitsActivated::KIND, 1);
    take(a.as_record());
}

/// The client: new orders that end at once, orders that rest, replaces of them.
struct Load {
    shared: Arc<Shared>,
    idle: Arc<AtomicBool>,
    thread: Option<JoinHandle<std::result::Result<(), HostError>>>,
}

#[derive(Default)]
struct Shared {
    go: AtomicBool,
    stop: AtomicBool,
    pushed: AtomicU64,
}

impl Load {
    fn start(desk: &Path) -> Result<Self> {
        let mut client = Client::attach(desk, Attach { slots: RING, ..Attach::to("DRILL") })?;
        let (shared, idle) = (Arc::new(Shared::default()), Arc::new(AtomicBool::new(true)));
        let (asked, rests) = (Arc::clone(&shared), Arc::clone(&idle));
        let thread = std::thread::spawn(move || push(&mut client, &asked, &rests));
        Ok(Self { shared, idle, thread: Some(thread) })
    }

    fn go(&self, go: bool) {
        if go {
            self.idle.store(false, Ordering::Release);
        }
        self.shared.go.store(go, Ordering::Release); // Release; pairs with the Acquire of `push`
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    fn pushed(&self) -> u64 {
        self.shared.pushed.load(Ordering::Acquire)
    }

    fn end(&mut self) -> Result<()> {
        self.shared.stop.store(true, Ordering::Release);
        self.go(false);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(ended)) => Ok(ended?),
            Some(Err(_)) => Err(DrillError::Panicked("client")),
            None => Ok(()),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn push(
    client: &mut Client,
    shared: &Shared,
    idle: &AtomicBool,
) -> std::result::Result<(), HostError> {
    let mut number = 0;
    while !shared.stop.load(Ordering::Acquire) {
        if !shared.go.load(Ordering::Acquire) {
            idle.store(true, Ordering::Release);
            client.check()?;
            std::thread::park();
            continue;
        }
        let batch: Vec<Record> = (number..number + BATCH).map(command).collect();
        let mut left = &batch[..];
        while !left.is_empty() && !shared.stop.load(Ordering::Acquire) {
            let (count, _) = client.push_many(left);
            shared.pushed.fetch_add(count as u64, Ordering::Release);
            left = &left[count..];
            if count == 0 {
                client.check()?;
                std::thread::yield_now();
            }
        }
        number += BATCH;
    }
    Ok(())
}

/// Of eight commands six are new orders that end at once, one rests, one moves what rests.
fn command(number: u64) -> Record {
    let (turn, part) = (number / 8, number % 8);
    if part == 7 && turn >= 64 {
        let mut r = ReplaceOrder::ZERO;
        r.header.kind = ReplaceOrder::KIND;
        (r.cl_ord_id, r.session_id) = (text(&format!("R{turn}")), 1);
        r.orig_cl_ord_id = text(&format!("N{}", (turn - 64) * 8 + 6));
        (r.order_qty, r.price) = (ONE, PRICE - TICK * (2 + (turn % 16) as i64));
        return *r.as_record();
    }
    let mut o = NewOrder::ZERO;
    o.header.kind = NewOrder::KIND;
    (o.cl_ord_id, o.session_id, o.account_id) = (text(&format!("N{number}")), 1, 1);
    (o.instrument_id, o.strategy_id) = (1, 1);
    (o.side, o.ord_type) = (Side::Buy.code(), OrdType::Limit.code());
    let rests = part == 6;
    o.time_in_force = if rests { TimeInForce::Day.code() } else { TimeInForce::Ioc.code() };
    (o.order_qty, o.price) = (ONE, PRICE - TICK * (1 + (turn % 16) as i64));
    *o.as_record()
}

/// The venue behind its socket, on a thread of its own.
struct Street {
    server: Arc<Mutex<VenueServer>>,
    creating: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Street {
    fn open(socket: &Path, seed: u64) -> Result<Self> {
        let soon = Latency { floor_ns: 1_000, median_ns: 1_000 };
        let config = VenueConfig {
            seed,
            lock_step: false,
            start_ns: Some(1),
            open_ns: Some(2),
            end_ns: Some(i64::MAX / 4),
            latency_in: soon,
            latency_out: soon,
            instruments: vec![1],
            ..VenueConfig::default()
        };
        let server = Arc::new(Mutex::new(VenueServer::new(config, Vec::new())?));
        let io = |source| DrillError::Io { path: socket.into(), source };
        let listener = UnixListener::bind(socket).map_err(io)?;
        listener.set_nonblocking(true).map_err(io)?;
        let (creating, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (shared, told, asked) = (Arc::clone(&server), Arc::clone(&creating), Arc::clone(&stop));
        let thread = std::thread::spawn(move || serve(&listener, &shared, &told, &asked));
        Ok(Self { server, creating, stop, thread: Some(thread) })
    }

    fn server(&self) -> MutexGuard<'_, VenueServer> {
        self.server.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn end(&mut self) -> Result<()> {
        self.stop.store(true, Ordering::Release);
        match self.thread.take().map(JoinHandle::join) {
            Some(Err(_)) => Err(DrillError::Panicked("venue")),
            _ => Ok(()),
        }
    }
}

impl Drop for Street {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// One desk after the other; a look every millisecond when nothing comes.
fn serve(
    listener: &UnixListener,
    server: &Mutex<VenueServer>,
    creating: &AtomicU64,
    stop: &AtomicBool,
) {
    let (clock, mut conn) = (Instant::now(), 0);
    while !stop.load(Ordering::Acquire) {
        match listener.accept() {
            Ok((stream, _)) => {
                conn += 1;
                let talk = Talk { stream, conn, clock, server, creating };
                let _ = talk.run(stop); // a desk that leaves in the midst of a write has left
            }
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

struct Talk<'a> {
    stream: UnixStream,
    conn: u64,
    clock: Instant,
    server: &'a Mutex<VenueServer>,
    creating: &'a AtomicU64,
}

impl Talk<'_> {
    fn now_ns(&self) -> i64 {
        self.clock.elapsed().as_nanos() as i64
    }

    fn run(mut self, stop: &AtomicBool) -> std::io::Result<()> {
        self.stream.set_nonblocking(false)?;
        self.stream.set_read_timeout(Some(Duration::from_micros(100)))?;
        self.lock().on_connect(self.conn, self.now_ns());
        let mut buffer = vec![0; 1 << 16];
        let ended = loop {
            if stop.load(Ordering::Acquire) {
                break Ok(());
            }
            let size = match self.stream.read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(size) => size,
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    0
                }
                Err(error) => break Err(error),
            };
            if let Err(error) = self.turn(&buffer[..size]) {
                break Err(error);
            }
        };
        self.lock().on_disconnect(self.conn, self.now_ns());
        ended
    }

    fn lock(&self) -> MutexGuard<'_, VenueServer> {
        self.server.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Takes in what came and sends what is due.
    fn turn(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let mut out = Vec::new();
        let keep = {
            let mut server = self.lock();
            let keep = server.serve_step(self.conn, bytes, self.now_ns(), &mut out);
            self.creating.store(server.sim().creating_count(), Ordering::Release);
            keep
        };
        self.stream.write_all(&out)?;
        if keep { Ok(()) } else { Err(ErrorKind::ConnectionAborted.into()) }
    }
}
