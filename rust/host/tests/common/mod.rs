//! A desk and a venue for the tests of the host: real directories, a real Unix socket, the simulated
//! venue on a thread of its own, and a seeded flow of commands.
#![allow(dead_code, missing_docs)] // each test binary uses its part

use host::{Desk, DeskOptions, JournalMode, Person, VenueLink};
use layout::*;
use sim::random::Random;
use sim::{VenueConfig, VenueServer};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

pub const TICK: i64 = ONE / 4;
pub const MID: i64 = 100 * ONE;
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A directory of its own, removed at the end with the ring that its desk left in shared memory.
pub struct Dir(pub PathBuf);

impl Dir {
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ph{}-{number}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a temporary directory");
        Self(path)
    }

    pub fn desk(&self) -> PathBuf {
        self.0.join("desk")
    }

    pub fn socket(&self) -> PathBuf {
        self.0.join("venue.sock")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        if let Ok(desk) = journal::DeskDir::open(self.desk()) {
            let _ = std::fs::remove_dir_all(desk.shm_path());
        }
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn engine_config() -> engine::EngineConfig {
    engine::EngineConfig {
        orders_max: 1 << 14,
        ids_max: 1 << 15,
        fills_max: 1 << 14,
        accounts_max: 4,
        instruments_max: 4,
        venues_max: 3,
        sessions_max: 4,
        strategies_max: 4,
        traders_max: 2,
        currencies_max: 3,
        throttle_orders_max: 16,
        log_reserve: 256,
        books_max: 1,
        book_orders_max: 1 << 13,
        book_levels_max: 256,
        ..engine::EngineConfig::default()
    }
}

pub fn options(dir: &Dir) -> DeskOptions {
    DeskOptions {
        path: dir.desk(),
        ring_slots: 1 << 14,
        segment_records: 1 << 15,
        engine: engine_config(),
        control: journal::ControlSizes {
            accounts_max: 4,
            instruments_max: 4,
            venues_max: 4,
            sessions_max: 4,
            strategies_max: 4,
            senders_max: 8,
        },
        people: ["ann", "bob", "tom"]
            .map(|name| Person { name: name.into(), risk: name != "tom", uid: None })
            .into(),
        journal: JournalMode::Inline,
        ..DeskOptions::default()
    }
}

pub fn lock_step(dir: &Dir, cancel_on_disconnect: bool) -> DeskOptions {
    let link = VenueLink {
        name: "SIM".into(),
        socket_path: dir.socket(),
        cancel_on_disconnect,
        lock_step: true,
        heartbeat_ms: 0,
        ..VenueLink::default()
    };
    DeskOptions { venues: vec![link], ..options(dir) }
}

pub fn live(dir: &Dir) -> DeskOptions {
    let mut options = lock_step(dir, false);
    options.venues[0].lock_step = false;
    options.venues[0].heartbeat_ms = 1000;
    options
}

pub fn definition(entity: Entity, name: &str, parent_id: u32, level: u8) -> Definition {
    let mut d = Definition::ZERO;
    d.header.kind = Definition::KIND;
    (d.entity, d.name, d.parent_id, d.level) = (entity.code(), text(name), parent_id, level);
    d
}

/// One venue, one instrument without a band, two accounts, two sessions, generous limits.
pub fn setup(desk: &mut Desk) {
    let version = desk.engine().limits_version() + 1;
    let mut take = |record: &Record| {
        let verdict = desk.submit(record);
        assert_eq!(verdict, Verdict::Accepted, "kind {}", record.header.kind);
    };
    take(definition(Entity::Currency, "USD", 0, 0).as_record());
    let rule = ReplaceRule::InFlightCounted.code();
    take(definition(Entity::Venue, "SIM", 0, rule).as_record());
    take(definition(Entity::Instrument, "ESH4", 0, 0).as_record());
    for name in ["A1", "A2"] {
        take(definition(Entity::Account, name, 0, AccountLevel::Account.code()).as_record());
    }
    take(definition(Entity::Session, "S1", 0, 0).as_record());
    take(definition(Entity::Session, "S2", 2, 0).as_record());
    take(definition(Entity::Strategy, "maker", 0, 0).as_record());
    let mut rate = Rate::ZERO;
    (rate.header.kind, rate.currency_id, rate.rate) = (Rate::KIND, 1, ONE);
    take(rate.as_record());
    let mut t = InstrumentTerms::ZERO;
    t.header.kind = InstrumentTerms::KIND;
    (t.instrument_id, t.venue_id, t.currency_id) = (1, 1, 1);
    (t.tick, t.lot, t.qty_min, t.qty_max) = (TICK, ONE, ONE, 1000 * ONE);
    (t.contract_multiplier, t.flags) = (50 * ONE, FLAG_NO_BAND);
    take(t.as_record());
    for account_id in 1..=2 {
        let mut l = LimitRow::ZERO;
        l.header.kind = LimitRow::KIND;
        (l.scope, l.account_id) = (Scope::Account.code(), account_id);
        (l.order_qty_max, l.order_notional_max) = (100 * ONE, i64::MAX);
        (l.gross_notional_max, l.net_notional_max) = (i64::MAX, i64::MAX);
        l.net_qty_max = i64::MAX;
        take(l.as_record());
    }
    let mut a = LimitsActivated::ZERO;
    (a.header.kind, a.limits_version) = (LimitsActivated::KIND, version);
    take(a.as_record());
}

pub fn new_order(id: &str, side: Side, lots: i64, price: i64) -> NewOrder {
    let mut o = NewOrder::ZERO;
    o.header.kind = NewOrder::KIND;
    (o.cl_ord_id, o.session_id, o.account_id) = (text(id), 1, 1);
    (o.instrument_id, o.strategy_id) = (1, 1);
    (o.side, o.ord_type) = (side.code(), OrdType::Limit.code());
    o.time_in_force = TimeInForce::Day.code();
    (o.order_qty, o.price) = (lots * ONE, price);
    o
}

pub fn cancel(id: &str, order_seq: u64) -> CancelOrder {
    let mut c = CancelOrder::ZERO;
    c.header.kind = CancelOrder::KIND;
    c.header.order_seq = order_seq;
    (c.cl_ord_id, c.session_id) = (text(id), 1);
    c
}

pub fn replace(id: &str, order_seq: u64, lots: i64, price: i64) -> ReplaceOrder {
    let mut r = ReplaceOrder::ZERO;
    r.header.kind = ReplaceOrder::KIND;
    r.header.order_seq = order_seq;
    (r.cl_ord_id, r.session_id) = (text(id), 1);
    (r.order_qty, r.price) = (lots * ONE, price);
    r
}

/// A small market around 100: orders come, go and trade.
pub fn tape(seed: u64, records: usize, every_ns: i64) -> Vec<BookUpdate> {
    let (mut random, mut tape) = (Random::new(seed), Vec::new());
    let mut resting: Vec<(u64, Side, i64, i64)> = Vec::new();
    let push = |tape: &mut Vec<BookUpdate>, action: BookAction, number, side: u8, price, lots| {
        let at_ns = (1 + tape.len() as i64) * every_ns;
        let mut u = BookUpdate::ZERO;
        u.header.kind = BookUpdate::KIND;
        (u.header.ingest_time_ns, u.transact_time_ns) = (at_ns, at_ns);
        (u.instrument_id, u.action, u.order_ref) = (1, action.code(), number);
        (u.side, u.price, u.qty, u.flags) = (side, price, lots * ONE, BOOK_LAST);
        tape.push(u);
    };
    for number in 1..=records as u64 {
        let side = if random.below(2) == 0 { Side::Buy } else { Side::Sell };
        let sign = if side == Side::Buy { -1 } else { 1 };
        let pick = random.below(10);
        if pick < 6 || resting.len() < 4 {
            let price = MID + sign * TICK * (1 + random.below(4) as i64);
            let lots = 1 + random.below(6) as i64;
            push(&mut tape, BookAction::Add, number, side.code(), price, lots);
            resting.push((number, side, price, lots));
            continue;
        }
        let better = |a: &&(u64, Side, i64, i64), b: &&(u64, Side, i64, i64)| match side {
            Side::Buy => a.2.cmp(&b.2),
            _ => b.2.cmp(&a.2),
        };
        let Some(&best) = resting.iter().filter(|r| r.1 != side).min_by(better) else { continue };
        let at = resting.iter().position(|r| r.0 == best.0).expect("it rests");
        if pick < 8 {
            let gone = resting.swap_remove(at);
            push(&mut tape, BookAction::Cancel, gone.0, gone.1.code(), gone.2, gone.3);
        } else {
            let lots = best.3;
            resting.swap_remove(at);
            push(&mut tape, BookAction::Trade, 0, side.code(), best.2, lots);
            push(&mut tape, BookAction::Fill, best.0, best.1.code(), best.2, lots);
            push(&mut tape, BookAction::Cancel, best.0, best.1.code(), best.2, lots);
        }
    }
    tape
}

pub fn venue_config(seed: u64) -> VenueConfig {
    VenueConfig {
        seed,
        fee_per_contract: ONE,
        orders_max: 1 << 14,
        step_min_ns: 20_000_000,
        outage_ns: 500_000_000,
        start_ns: Some(1),
        open_ns: Some(2),
        instruments: vec![1],
        ..VenueConfig::default()
    }
}

/// The simulated venue behind a real socket, on its own thread.
pub struct Venue {
    server: Arc<Mutex<VenueServer>>,
    stop: Arc<AtomicBool>,
    /// Cut a connection once it brought this many bytes; 0: never.
    pub cut_at: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Venue {
    pub fn start(dir: &Dir, config: VenueConfig, tape: Vec<BookUpdate>) -> Self {
        let server = VenueServer::new(config, tape).expect("a good configuration");
        let server = Arc::new(Mutex::new(server));
        let stop = Arc::new(AtomicBool::new(false));
        let cut_at = Arc::new(AtomicU64::new(0));
        let listener = UnixListener::bind(dir.socket()).expect("a socket");
        listener.set_nonblocking(true).expect("non-blocking");
        let (shared, asked, cut) = (Arc::clone(&server), Arc::clone(&stop), Arc::clone(&cut_at));
        let thread = std::thread::spawn(move || serve(&listener, &shared, &asked, &cut));
        Self { server, stop, cut_at, thread: Some(thread) }
    }

    pub fn server(&self) -> MutexGuard<'_, VenueServer> {
        self.server.lock().expect("the venue runs")
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}

struct Conn {
    number: u64,
    stream: UnixStream,
    bytes: u64,
}

fn serve(listener: &UnixListener, server: &Mutex<VenueServer>, stop: &AtomicBool, cut: &AtomicU64) {
    let clock = std::time::Instant::now();
    let (mut conns, mut number) = (Vec::<Conn>::new(), 0);
    let mut buffer = vec![0; 1 << 16];
    while !stop.load(Ordering::Acquire) {
        let now_ns = clock.elapsed().as_nanos() as i64;
        let mut server = server.lock().expect("no test panics with it");
        let mut some = false;
        while let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(true).expect("non-blocking");
            number += 1;
            server.on_connect(number, now_ns);
            conns.push(Conn { number, stream, bytes: 0 });
        }
        conns.retain_mut(|conn| {
            let mut open = true;
            let limit = cut.load(Ordering::Acquire);
            let room = if limit == 0 { u64::MAX } else { limit.saturating_sub(conn.bytes) };
            let size = buffer.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            match conn.stream.read(&mut buffer[..size]) {
                Ok(0) => open = false, // end of file, or the cut has come
                Ok(size) => {
                    some = true;
                    conn.bytes += size as u64;
                    server.on_bytes(conn.number, &buffer[..size], now_ns);
                }
                Err(error) => open = error.kind() == ErrorKind::WouldBlock,
            }
            server.advance(now_ns);
            while open && !server.unsent(conn.number).is_empty() {
                match conn.stream.write(server.unsent(conn.number)) {
                    Ok(size) => server.sent(conn.number, size),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(_) => open = false,
                }
            }
            if !open {
                cut.store(0, Ordering::Release);
            }
            if !open || server.wants_close(conn.number) {
                server.on_disconnect(conn.number, now_ns);
                return false;
            }
            true
        });
        drop(server);
        if !some {
            wait(listener, &conns);
        }
    }
}

fn wait(listener: &UnixListener, conns: &[Conn]) {
    use rustix::event::{PollFd, PollFlags, Timespec};
    let mut fds = vec![PollFd::new(listener, PollFlags::IN)];
    fds.extend(conns.iter().map(|conn| PollFd::new(&conn.stream, PollFlags::IN)));
    let soon = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };
    let _ = rustix::event::poll(&mut fds, Some(&soon));
}

/// A seeded flow: within each turn a few new orders, cancels and replaces.
pub struct Flow {
    pub random: Random,
    pub sent: u64,
    pub most: u64,
    pub accepted: u64,
}

impl Flow {
    pub fn new(seed: u64, most: u64) -> Self {
        Self { random: Random::new(seed), sent: 0, most, accepted: 0 }
    }

    pub fn act(&mut self, desk: &mut Desk) {
        for _ in 0..self.random.below(5) {
            if self.sent == self.most {
                return;
            }
            self.sent += 1;
            let id = format!("C{}-{}", desk.engine().epoch(), self.sent);
            let live: Vec<u64> = desk.engine().live_orders().map(|o| o.order_seq).collect();
            let side = if self.random.below(2) == 0 { Side::Buy } else { Side::Sell };
            let price = MID + TICK * (self.random.below(9) as i64 - 4);
            let lots = 1 + self.random.below(5) as i64;
            let pick = self.random.below(10);
            let verdict = if pick < 6 || live.is_empty() {
                desk.submit(new_order(&id, side, lots, price).as_record())
            } else {
                let order_seq = live[self.random.below(live.len() as u64) as usize];
                if pick < 8 {
                    desk.submit(cancel(&id, order_seq).as_record())
                } else {
                    desk.submit(replace(&id, order_seq, lots, price).as_record())
                }
            };
            self.accepted += u64::from(verdict == Verdict::Accepted);
        }
    }
}

/// Runs turns until the day is over, or until `until` says so.
pub fn run(desk: &mut Desk, flow: &mut Flow, mut until: impl FnMut(&mut Desk) -> bool) -> u64 {
    let mut turns = 0;
    loop {
        let info = desk.turn(PATIENCE).expect("a turn");
        turns += 1;
        if info.up && !info.ended {
            flow.act(desk);
        }
        let stop = until(desk);
        desk.end_turn(i64::MAX).expect("the turn ends");
        if stop || info.ended {
            return turns;
        }
    }
}

/// Desk and venue tell the same story, order by order.
pub fn agree(desk: &Desk, venue: &Venue) {
    let server = venue.server();
    let witness = server.witness();
    assert_eq!(witness.counters.duplicate_sends, 0);
    let mut known = 0;
    for theirs in &witness.orders {
        let id: [u8; 20] = text(&theirs.first_street_id);
        let street = engine::street::decode(&id).expect("our id");
        let ours = desk.engine().order(street.order_seq).expect("an order the log knows");
        assert_eq!(ours.epoch, street.epoch, "{theirs:?}");
        assert_eq!(ours.cum_qty, theirs.cum_qty, "{theirs:?}");
        assert_eq!(ours.cum_points, theirs.value, "{theirs:?}");
        assert_eq!(ours.ord_status().name(), theirs.ord_status, "{theirs:?}");
        known += 1;
    }
    // What the venue never had ended here without it: dropped, or rejected by its own word.
    for ours in desk.engine().all_orders().filter(|o| !o.is_parent()) {
        assert!(!ours.live() || !engine::Engine::unsure(ours), "{ours:?}");
    }
    let theirs: usize = witness.orders.len();
    assert_eq!(known, theirs);
    for theirs in &witness.positions {
        let ours = desk.engine().position(theirs.account_id, theirs.instrument_id);
        assert_eq!(ours.net_qty, theirs.net, "{theirs:?}");
        assert_eq!(ours.fees, i128::from(theirs.fee), "{theirs:?}");
    }
}

pub fn replayed_hash(path: &Path) -> u64 {
    host::replay(path, &engine_config(), None).expect("a whole log").state_hash()
}
