//! One day of one seed: steps of chance, deaths and recoveries, then the settling of accounts.
//! Owns the desk, the venues and the watch. What must stay true: everything drawn comes from the
//! seed; a violation ends the day at its step.

mod clients;
mod end;

use super::Outcome;
use super::executions::DAY_ROLL_MIN;
use super::venue::{FaultVenue, Manners, Ways};
use super::watch::{Bounds, MULTIPLIER, Throttle, Watch};
use super::world::{Death, Kill, SimWorld};
use crate::random::Random;
use engine::{Engine, EngineConfig};
use host::{Desk, DeskOptions, JournalMode, Person, VenueLink};
use journal::{ControlFile, ControlState, DeskDir, Follow, NewDesk};
use layout::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) const VENUES: usize = 2;
const ACCOUNTS: u32 = 2;
const INSTRUMENTS: u32 = 3;
const SESSIONS: u16 = 3;
const STRATEGIES: u16 = 2;
/// Account that adopts what is placed at a venue behind the desk's back, where one does.
const ADOPTER: u32 = 1;
/// Account that keeps its legs apart, where one does.
const HEDGER: u32 = 2;
/// Orders of the second session in its window.
const SESSION_MAX: u32 = 16;
/// Seconds after which a message without an answer is asked about.
const ANSWER_S: u8 = 1;
/// How often a pegged order may be priced anew.
const PEG_INTERVAL_NS: i64 = 20_000_000;
/// Refusals that are counted among the faults: a limit that never binds is seen.
const REFUSALS: [(Verdict, &str); 23] = [
    (Verdict::ThrottleAccount, "throttled"),
    (Verdict::ThrottleSession, "throttled_session"),
    (Verdict::LogFull, "log_full"),
    (Verdict::IdTableFull, "id_table_full"),
    (Verdict::DuplicateId, "other_body"),
    (Verdict::Killed, "refused_killed"),
    (Verdict::InstrumentRestricted, "refused_restricted"),
    (Verdict::MarketClosed, "refused_closed"),
    (Verdict::VenueDown, "refused_venue_down"),
    (Verdict::ReferenceStale, "market_stale"),
    (Verdict::ReferenceAbsent, "refused_no_reference"),
    (Verdict::ReferenceCrossed, "refused_crossed"),
    (Verdict::PriceAboveBand, "refused_above_band"),
    (Verdict::PriceBelowBand, "refused_below_band"),
    (Verdict::OrderQtyLimit, "refused_order_qty"),
    (Verdict::OrderNotionalLimit, "refused_order_notional"),
    (Verdict::NetQtyLimit, "refused_position"),
    (Verdict::InstrumentGrossLimit, "refused_instrument_gross"),
    (Verdict::AccountNetLimit, "refused_account_net"),
    (Verdict::AccountGrossLimit, "refused_account_gross"),
    (Verdict::ParentExceeded, "refused_parent"),
    (Verdict::ReduceOnlyExceeds, "refused_reduce_only"),
    (Verdict::CloseExceedsLeg, "refused_close"),
];
/// Rounds that settling may take before the desk counts as stuck.
const ROUNDS: u32 = 3_000;

struct Run {
    random: Random,
    world: SimWorld,
    options: DeskOptions,
    dir: PathBuf,
    desk: Option<Desk>,
    venues: Vec<FaultVenue>,
    watch: Watch,
    events: u64,
    ids: u64,
    sent: Vec<Record>,
    tier: Tier,
    lives: u64,
    shape: Shape,
    ways: [Ways; VENUES],
}

/// What a day is besides its chances; each seed has one of a few.
struct Shape {
    /// Some orders go out a part at a time: icebergs that the desk replenishes, legs that follow fills.
    sends_parts: bool,
    /// The venues undo no fill and fill nothing late: what they hold and have open is within the limits.
    honest: bool,
    /// Some orders are pegged.
    pegs: bool,
    bounds: Bounds,
    ids_max: usize,
}

impl Shape {
    fn of(seed: u64) -> Self {
        let tight = [1, 6].contains(&(seed % 8));
        let bounds = tight.then(|| Bounds::draw(&mut Random::new(seed ^ 0xb0bd)));
        Self {
            sends_parts: seed % 2 == 0,
            honest: seed % 8 == 1,
            pegs: seed % 4 == 3 || seed % 8 == 6,
            bounds: bounds.unwrap_or(Bounds::WIDE),
            ids_max: if seed % 32 == 20 { 1 << 11 } else { 1 << 12 },
        }
    }
}

/// Runs a seed in a directory of its own; `keep`: the desk stays there, closed in order.
pub(crate) fn run(seed: u64, steps: u64, dir: &Path, keep: bool) -> Outcome {
    keep_quiet();
    let dir = dir.join(format!("s{seed}"));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("a directory for the simulated disk");
    let mut run = Run::new(seed, &dir);
    let mut taken = 0;
    run.restart();
    while taken < steps && run.sound() {
        taken += 1;
        run.step();
    }
    if run.sound() {
        run.settle();
    }
    if let Some(desk) = run.desk.take().filter(|_| keep) {
        if let Err(panic) = caught(|| desk.close()) {
            run.violate(format!("close: {}", told(&panic)));
        }
    }
    run.desk = None;
    let outcome = {
        let world = &mut *run.world.lock();
        let mut faults = std::mem::take(&mut world.faults);
        for (verdict, kind) in REFUSALS {
            let count = run.watch.refused.get(&verdict.code()).copied().unwrap_or(0);
            (0..count).for_each(|_| faults.count(kind));
        }
        for (&kind, &count) in &run.watch.told {
            (0..count).for_each(|_| faults.count(kind));
        }
        Outcome {
            steps: taken,
            events: run.events + run.watch.records.len() as u64,
            violations: std::mem::take(&mut world.violations),
            faults,
            log_hash: run.watch.log_hash(),
        }
    };
    if !keep {
        let _ = std::fs::remove_dir_all(&dir);
    }
    outcome
}

fn engine_config(shape: &Shape) -> EngineConfig {
    EngineConfig {
        orders_max: 1 << 11,
        terms_max: 1 << 9,
        ids_max: shape.ids_max,
        fills_max: 1 << 12,
        accounts_max: ACCOUNTS as usize + 1,
        instruments_max: INSTRUMENTS as usize + 1,
        venues_max: VENUES + 1,
        sessions_max: SESSIONS as usize + 1,
        strategies_max: STRATEGIES as usize + 1,
        traders_max: 2,
        currencies_max: 3,
        throttle_orders_max: 64,
        peg_interval_ns: PEG_INTERVAL_NS,
        log_reserve: 128,
        books_max: 1,
        book_orders_max: 64,
        book_levels_max: 64,
        ..EngineConfig::default()
    }
}

impl Run {
    fn new(seed: u64, dir: &Path) -> Self {
        let mut random = Random::new(seed);
        let shape = Shape::of(seed);
        let tier = if random.below(2) == 0 { Tier::Disk } else { Tier::Process };
        let world = SimWorld::new(seed, VENUES, tier == Tier::Disk);
        let heartbeat_ms = [0, 0, 200][random.below(3) as usize];
        let cancel_on_disconnect = random.below(3) == 0;
        let links = (0..VENUES).map(|at| VenueLink {
            name: format!("V{}", at + 1),
            socket_path: at.to_string().into(),
            cancel_on_disconnect,
            lock_step: false,
            heartbeat_ms,
            confirms_kills: false, // its venues answer each question with faults of their own
            ..VenueLink::default()
        });
        let options = DeskOptions {
            path: dir.join("desk"),
            shm_root: Some(dir.join("shm")),
            tier,
            ring_slots: 1 << 8,
            segment_records: 1 << 9,
            control: journal::ControlSizes {
                accounts_max: ACCOUNTS,
                instruments_max: INSTRUMENTS,
                venues_max: VENUES as u32,
                sessions_max: SESSIONS.into(),
                strategies_max: STRATEGIES.into(),
                senders_max: 8,
            },
            engine: engine_config(&shape),
            venues: links.collect(),
            people: ["ann", "bob"]
                .map(|name| Person { name: name.into(), risk: true, uid: None })
                .into(),
            journal: JournalMode::Inline,
            world: Some(Arc::new(world.clone())),
            ..DeskOptions::default()
        };
        std::fs::create_dir_all(dir.join("shm")).expect("a directory for the ring");
        let ways = draw_ways(&mut random, seed);
        let mut venues: Vec<_> =
            (0..VENUES).map(|at| FaultVenue::new(at, INSTRUMENTS as usize, ways[at])).collect();
        for venue in &mut venues {
            venue.manners = Manners::draw(&mut random);
            if shape.honest {
                let manners = &mut venue.manners;
                (manners.late_fill, manners.overfill, manners.amend) = (0, 0, 0);
            }
            venue.open(&mut world.lock());
        }
        Self {
            random,
            world,
            options,
            dir: dir.into(),
            desk: None,
            venues,
            watch: Watch::within(shape.bounds),
            events: 0,
            ids: 0,
            sent: Vec::new(),
            tier,
            lives: 0,
            shape,
            ways,
        }
    }

    fn sound(&self) -> bool {
        self.world.lock().violations.is_empty()
    }

    fn violate(&self, what: String) {
        self.world.lock().violations.push(what);
    }

    fn count(&self, kind: &'static str) {
        self.world.lock().faults.count(kind);
    }

    // Lives ---------------------------------------------------------------------------------------

    /// Opens the desk, again and again while the process dies in the opening.
    fn restart(&mut self) {
        for _ in 0..32 {
            self.bury();
            self.world.lock().revive();
            if self.lives > 0 && self.random.below(4) == 0 {
                let calls = self.random.below(60);
                let death = self.death();
                self.world.lock().die_in = Some((calls, death));
            }
            self.lives += 1;
            let options = self.options.clone();
            let opened = caught(|| Desk::open(options));
            let died = self.world.lock().dead.is_some();
            match opened {
                Ok(Ok(desk)) if !died => {
                    self.desk = Some(desk);
                    self.world.lock().die_in = None;
                    return self.settle_in();
                }
                _ if died => self.count("death_in_recovery"),
                Ok(Ok(_)) => unreachable!("a living desk was taken"),
                Ok(Err(error)) => {
                    return self.violate(format!("I20: recovery refuses its own log: {error}"));
                }
                Err(panic) => return self.violate(format!("recovery: {}", told(&panic))),
            }
        }
        self.violate("the desk never opened".into());
    }

    fn death(&mut self) -> Death {
        // At tier process a power loss takes back what was sent: a weaker tier, chosen by name.
        match self.tier == Tier::Disk && self.random.below(2) == 0 {
            true => Death::Power,
            false => Death::Kill,
        }
    }

    /// What is left of a life: checks that recovery gives back what it must.
    fn bury(&mut self) {
        let first = self.lives == 0;
        self.desk = None;
        if first {
            let new = NewDesk {
                segment_records: self.options.segment_records,
                control: self.options.control,
            };
            DeskDir::create(&self.options.path, &new).expect("a new desk");
        }
        let power = {
            let world = &mut *self.world.lock();
            world.control = None;
            let power = world.dead == Some(Death::Power);
            if power {
                world.faults.count("power_loss");
                world.lose_power();
            } else if !first {
                world.faults.count("kill_process");
            }
            power
        };
        if power {
            let _ = std::fs::remove_dir_all(self.dir.join("shm"));
            std::fs::create_dir_all(self.dir.join("shm")).expect("a directory for the ring");
        }
        let dir = DeskDir::open(&self.options.path).expect("the desk's directory");
        let dir = dir.with_shm_root(self.dir.join("shm"));
        if let ControlState::Sound(file) = ControlFile::open(&dir) {
            self.world.lock().control = Some(file);
        } else {
            self.violate("I5: the control file does not stand".into());
        }
        if first {
            return;
        }
        let log = match journal::open_log(&dir) {
            Ok(log) => log,
            Err(error) => return self.violate(format!("I20: the log does not open: {error}")),
        };
        let had = self.watch.records.len();
        let mut count = 0;
        for record in log.slices().flatten() {
            let same = match self.watch.records.get(count) {
                Some(old) => old == record,
                // A life that died in its opening wrote what the watch never saw.
                None => self.watch.take(record).is_none(),
            };
            if !same {
                return self.violate(format!("I20: event {} came back changed", count + 1));
            }
            count += 1;
        }
        let (durable, sent) = {
            let world = self.world.lock();
            (world.durable_seq as usize, world.sent_seq as usize)
        };
        if !power && count > durable {
            self.count("ring_survived"); // what no sync had confirmed yet
        }
        let mut must = if power { durable.min(had) } else { had };
        while must > 0 && self.watch.records[must - 1].header.more > 0 {
            must -= 1; // groups count whole: one whose end was lost never happened
        }
        if count < must.max(sent) {
            let what = format!("I20: {count} events came back; {must} were safe, {sent} sent");
            return self.violate(what);
        }
        if count < self.watch.records.len() {
            self.events += (self.watch.records.len() - count) as u64;
            self.count("tail_lost");
            self.watch = self.watch.rewound(count);
        }
        self.world.lock().durable_seq = durable as u64;
    }

    /// Replay of the log so far is the live state, bit for bit.
    fn check_replay(&mut self) {
        let Some(desk) = &self.desk else { return };
        let mut engine = Engine::new(&self.options.engine).expect("memory for a replay");
        let replayed = caught(|| {
            self.watch.records.iter().for_each(|record| engine.apply(record));
            engine.state_hash()
        });
        match replayed {
            Ok(hash) if hash == desk.engine().state_hash() => {}
            Ok(_) => self.violate("I18: replay of the log is not the live state".into()),
            Err(panic) => self.violate(format!("I18: replay: {}", told(&panic))),
        }
    }

    /// Defines what the desk trades, until a life has kept all of it; looks at what the others wrote.
    fn settle_in(&mut self) {
        let limits = self.desk.as_ref().map_or(0, |desk| desk.engine().limits_version());
        if limits == 0 {
            // The limits come into force last: without them a death has cut the definitions off.
            self.guarded(|run| {
                for record in setup(&run.shape, &run.ways) {
                    let desk = run.desk.as_mut().expect("just opened");
                    let verdict = desk.submit(&record);
                    assert!(verdict == Verdict::Accepted, "{verdict:?} of {record:?}");
                }
            });
            for account_id in 1..=ACCOUNTS {
                let throttle = Throttle {
                    orders_max: self.shape.bounds.orders as usize,
                    window_ns: 50_000_000,
                };
                self.watch.throttles.insert((Scope::Account.code(), account_id), throttle);
            }
            let throttle = Throttle { orders_max: SESSION_MAX as usize, window_ns: 50_000_000 };
            self.watch.throttles.insert((Scope::Session.code(), 2), throttle);
        }
        self.look();
        if self.lives > 1 && self.random.below(3) == 0 {
            self.check_replay();
        }
    }

    /// Does something with the desk; a panic is a violation, or the death of the process.
    fn guarded(&mut self, work: impl FnOnce(&mut Self)) {
        let done = caught(|| work(self));
        let dead = {
            let world = self.world.lock();
            world.dead.is_some()
        };
        if let Err(panic) = done {
            let told = told(&panic);
            let failed = self.world.lock().disk_failed;
            // F8: a failed disk and a full ring end the process, by an assertion of that name.
            let stopped = failed && told.contains("the ring is full");
            if !(dead || stopped) {
                return self.violate(format!("panic: {told}"));
            }
            self.world.lock().dead.get_or_insert(Death::Kill);
            self.read_log();
            return self.restart();
        }
        if dead {
            self.read_log();
            self.restart();
        }
    }

    fn read_log(&mut self) {
        let Some(desk) = &self.desk else { return };
        let mut reader =
            desk.ring_view().reader(Follow::Published, self.watch.records.len() as u64 + 1);
        let mut batch = [Record::ZERO; 64];
        loop {
            match reader.copy_next(&mut batch) {
                Ok(0) => return,
                Ok(count) => {
                    for record in &batch[..count] {
                        if let Some(what) = self.watch.take(record) {
                            self.world.lock().violations.push(what);
                        }
                    }
                }
                Err(_) => return self.read_segments(),
            }
        }
    }

    /// A small ring was lapped within one round: the log on disk has what the ring has not.
    fn read_segments(&mut self) {
        let dir = DeskDir::open(&self.options.path).expect("the desk's directory");
        let log = match journal::open_log(&dir.with_shm_root(self.dir.join("shm"))) {
            Ok(log) => log,
            Err(error) => return self.violate(format!("I20: the log does not open: {error}")),
        };
        let from = self.watch.records.len() as u64 + 1;
        for record in log.slices_from(from).flatten() {
            if let Some(what) = self.watch.take(record) {
                self.world.lock().violations.push(what);
            }
        }
    }

    /// Reads what is new in the log and holds the engine against it.
    fn look(&mut self) {
        self.read_log();
        let Some(desk) = &self.desk else { return };
        let mut wrong = Vec::new();
        self.watch.check(desk.engine(), &mut wrong);
        let world = &mut *self.world.lock();
        world.violations.append(&mut wrong);
        for kill in &mut world.kills {
            kill.acked |= desk.engine().control_epoch() >= kill.epoch;
        }
    }

    // Steps ---------------------------------------------------------------------------------------

    fn step(&mut self) {
        let wait = match self.random.below(64) {
            0 => self.random.below(2_000_000_000),
            1..=8 => self.random.below(20_000_000),
            _ => self.random.below(300_000),
        };
        self.world.lock().mono_ns += wait as i64;
        match self.random.below(1000) {
            0..=4 => self.misfortune(),
            5..=9 => self.cut(),
            10..=14 => self.kill(),
            15..=34 => self.release(),
            35..=44 => self.flood(),
            45..=64 => self.market(true),
            65..=70 => {
                let at = self.random.below(VENUES as u64) as usize;
                let phases = match self.ways[at].auctions {
                    false => &[Phase::Open, Phase::Open, Phase::Halted][..],
                    true => &[Phase::Open, Phase::Halted, Phase::PreOpen, Phase::Auction],
                };
                let phase = phases[self.random.below(phases.len() as u64) as usize];
                self.venues[at].calendar(&mut self.world.lock(), phase);
            }
            71..=74 => self.wall_jump(),
            75..=80 => {
                let at = self.random.below(VENUES as u64) as usize;
                self.venues[at].turn_day(&mut self.world.lock());
            }
            81..=83 => self.restrict(),
            84..=103 => {
                // No auction lasts for long.
                let calling = self.venues.iter_mut().find(|venue| venue.in_auction());
                if let Some(venue) = calling {
                    venue.calendar(&mut self.world.lock(), Phase::Open);
                }
            }
            _ => {}
        }
        for _ in 0..1 + self.random.below(3) {
            let command = self.command();
            self.submit(command);
        }
        if self.random.below(3) > 0 {
            self.market(false);
        }
        for at in 0..VENUES {
            if self.random.below(2) == 0 {
                self.venues[at].stir(&mut self.world.lock());
            }
            if self.random.below(4) > 0 {
                self.venues[at].pump(&mut self.world.lock());
            }
        }
        if self.random.below(5) > 0 {
            self.poll();
        }
        if self.shape.honest {
            self.check_truth();
        }
    }

    fn poll(&mut self) {
        self.guarded(|run| {
            let polled = run.desk.as_mut().expect("a living desk").poll();
            if let (Err(error), None) = (polled, run.world.lock().dead) {
                run.violate(format!("poll: {error}"));
            }
        });
        self.look();
    }

    fn submit(&mut self, record: Record) {
        self.guarded(|run| {
            run.desk.as_mut().expect("a living desk").submit(&record);
        });
        self.look();
    }

    fn misfortune(&mut self) {
        let calls = self.random.below(40);
        match self.random.below(6) {
            0 if self.tier == Tier::Disk => {
                self.world.lock().disk_error_in = Some(calls);
            }
            1 => {
                // Right now, between two calls.
                let death = self.death();
                self.world.lock().dead = Some(death);
                self.guarded(|_| {});
            }
            3 => {
                let world = &mut *self.world.lock();
                world.full_for = 1 + calls / 4;
            }
            2 if self.world.lock().disk_failed => {
                self.world.lock().dead = Some(Death::Kill); // the operator starts it anew
                self.guarded(|_| {});
            }
            _ => {
                let death = self.death();
                self.world.lock().die_in = Some((calls, death));
            }
        }
    }

    fn cut(&mut self) {
        let at = self.random.below(VENUES as u64) as usize;
        let away = self.random.below(100_000_000) as i64;
        let bytes = self.random.below(2_000) as usize;
        let now = self.random.below(2) == 0;
        let world = &mut *self.world.lock();
        if self.random.below(3) == 0 {
            world.faults.count("connect_refused");
            world.pipes[at].refused_until = world.mono_ns + away;
        }
        if now {
            world.pipes[at].cut(&mut world.random);
        } else {
            world.pipes[at].cut_in = Some(bytes);
        }
    }

    fn wall_jump(&mut self) {
        let far = self.random.below(7_200_000_000_000) as i64;
        let back = self.random.below(2) == 0;
        let world = &mut *self.world.lock();
        world.faults.count(if back { "clock_back" } else { "clock_forward" });
        world.wall_off_ns += if back { -far } else { far };
    }

    fn market(&mut self, bad: bool) {
        let at = self.random.below(VENUES as u64) as usize;
        let world = &mut *self.world.lock();
        if bad && self.random.below(4) == 0 {
            world.faults.count("market_silent");
            self.venues[at].silent_until = world.mono_ns + 3_000_000_000;
            return;
        }
        self.venues[at].quote(world, bad);
    }

    /// The kill switch, from another process: only the control file is touched.
    fn kill(&mut self) {
        let (scope, most) = [
            (Scope::Desk, 0),
            (Scope::Account, ACCOUNTS),
            (Scope::Instrument, INSTRUMENTS),
            (Scope::Venue, VENUES as u32),
            (Scope::Session, SESSIONS.into()),
            (Scope::Strategy, STRATEGIES.into()),
        ][self.random.below(6) as usize];
        let id = if most == 0 { 0 } else { 1 + self.random.below(most.into()) as u32 };
        let halt = self.random.below(5) == 0;
        let mode = if halt { KillMode::Halt } else { KillMode::CancelOnly };
        let world = &mut *self.world.lock();
        let Some(control) = &world.control else { return };
        match control.engage(scope, id, mode) {
            Ok(epoch) => {
                world.kills.push(Kill { scope, id, epoch, acked: false });
                world.faults.count("kill_switch");
            }
            Err(error) => world.violations.push(format!("I1: the kill was not taken: {error}")),
        }
    }

    /// Two people open what is killed.
    fn release(&mut self) {
        let Some(kill) = self.world.lock().kills.first().copied() else { return };
        self.open_scope(kill);
    }

    fn open_scope(&mut self, kill: Kill) {
        let mut released = false;
        self.guarded(|run| {
            let desk = run.desk.as_mut().expect("a living desk");
            let asked = desk.request_release(kill.scope, kill.id, "ann", "the drill is over");
            let Ok(hash) = asked else { return };
            assert!(desk.approve_release(hash, "ann").is_err(), "one person released a kill");
            // From here on the scope may send, before the call returns.
            run.world.lock().kills.retain(|k| (k.scope, k.id) != (kill.scope, kill.id));
            released = desk.approve_release(hash, "bob").is_ok();
            if !released {
                run.world.lock().kills.push(kill);
            }
        });
        self.look();
        if released {
            self.count("release");
        }
    }

    /// An instrument is put on the restricted list, or taken off it.
    fn restrict(&mut self) {
        let id = 1 + self.random.below(INSTRUMENTS.into()) as u32;
        let flags = if self.random.below(2) == 0 { FLAG_RESTRICTED } else { 0 };
        self.submit(instrument(id, flags, &self.shape.bounds));
        self.count("restriction");
    }

    fn flood(&mut self) {
        self.count("flood");
        for _ in 0..20 + self.random.below(60) {
            let order = self.new_order();
            self.submit(order);
        }
    }
}

thread_local! {
    static QUIET: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// A desk's end by an assertion is judged here and told in the report, not on the terminal.
fn keep_quiet() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                before(info);
            }
        }));
    });
}

/// Runs `work` and gives its panic, if it ends so.
fn caught<T>(work: impl FnOnce() -> T) -> std::thread::Result<T> {
    QUIET.set(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(false);
    done
}

/// What a panic said.
fn told(panic: &Box<dyn std::any::Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}

fn instrument(id: u32, flags: u32, bounds: &Bounds) -> Record {
    let mut t = InstrumentTerms::ZERO;
    t.header.kind = InstrumentTerms::KIND;
    (t.instrument_id, t.currency_id, t.flags) = (id, 1, flags);
    t.venue_id = ((id - 1) % VENUES as u32 + 1) as u16;
    (t.tick, t.lot, t.qty_min, t.qty_max) = (ONE / 4, ONE, ONE, 1000 * ONE);
    (t.contract_multiplier, t.band) = (MULTIPLIER * ONE, bounds.band);
    t.reference_age_ms_max = 1_000;
    *t.as_record()
}

/// The ways of the venues: two plain ones, or of every fourth seed what is drawn.
fn draw_ways(random: &mut Random, seed: u64) -> [Ways; VENUES] {
    let plain = |rule| Ways { rule, adopts: 0, hedges: 0, auctions: false };
    let mut ways = [ReplaceRule::InFlightCounted, ReplaceRule::InFlightLost].map(plain);
    if seed % 4 == 0 {
        let hedges = if random.below(2) == 0 { HEDGER } else { 0 };
        for way in &mut ways {
            way.rule = ReplaceRule::ALL[random.below(ReplaceRule::ALL.len() as u64) as usize];
            way.adopts = if random.below(4) > 0 { ADOPTER } else { 0 };
            (way.hedges, way.auctions) = (hedges, true);
        }
    }
    ways
}

fn setup(shape: &Shape, ways: &[Ways; VENUES]) -> Vec<Record> {
    let bounds = &shape.bounds;
    let mut records = Vec::new();
    let mut define = |entity: Entity, name: &str, parent_id: u32, level: u8| {
        let mut d = Definition::ZERO;
        d.header.kind = Definition::KIND;
        (d.entity, d.name, d.parent_id, d.level) = (entity.code(), text(name), parent_id, level);
        if name == "V2" {
            (d.flags, d.day_roll_min) = (VENUE_CALENDAR, DAY_ROLL_MIN);
        }
        if entity == Entity::Venue && !shape.sends_parts {
            d.flags |= VENUE_ICEBERG;
        }
        if entity == Entity::Venue {
            d.answer_s = ANSWER_S;
        }
        if entity == Entity::Account && name == "A2" && ways[0].hedges != 0 {
            d.flags |= ACCOUNT_HEDGING;
        }
        records.push(*d.as_record());
    };
    define(Entity::Currency, "USD", 0, 0);
    for id in 1..=INSTRUMENTS {
        define(Entity::Instrument, &format!("I{id}"), 0, 0);
    }
    for id in 1..=ACCOUNTS {
        define(Entity::Account, &format!("A{id}"), 0, AccountLevel::Account.code());
    }
    for (at, way) in ways.iter().enumerate() {
        define(Entity::Venue, &format!("V{}", at + 1), way.adopts, way.rule.code());
    }
    for id in 1..=SESSIONS {
        define(Entity::Session, &format!("S{id}"), if id == SESSIONS { 1 } else { 0 }, 0);
    }
    for id in 1..=STRATEGIES {
        define(Entity::Strategy, &format!("T{id}"), 0, 0);
    }
    let mut rate = Rate::ZERO;
    (rate.header.kind, rate.currency_id, rate.rate) = (Rate::KIND, 1, ONE);
    records.push(*rate.as_record());
    records.extend((1..=INSTRUMENTS).map(|id| instrument(id, 0, bounds)));
    for id in 1..=ACCOUNTS {
        let mut l = LimitRow::ZERO;
        l.header.kind = LimitRow::KIND;
        (l.scope, l.account_id) = (Scope::Account.code(), id);
        (l.orders_max, l.window_ns) = (bounds.orders, 50_000_000);
        (l.order_qty_max, l.order_notional_max) = (bounds.order_qty, bounds.order_notional);
        (l.gross_notional_max, l.net_notional_max) = (bounds.gross, bounds.net);
        records.push(*l.as_record());
        for instrument_id in 1..=INSTRUMENTS {
            let mut cell = l;
            (cell.scope, cell.instrument_id) = (Scope::AccountInstrument.code(), instrument_id);
            (cell.orders_max, cell.window_ns) = (0, 0);
            (cell.net_qty_max, cell.net_notional_max) = (bounds.net_qty, 0);
            cell.gross_notional_max = bounds.instrument_gross;
            records.push(*cell.as_record());
        }
    }
    let mut l = LimitRow::ZERO;
    l.header.kind = LimitRow::KIND;
    (l.scope, l.entity_id) = (Scope::Session.code(), 2);
    (l.orders_max, l.window_ns) = (SESSION_MAX, 50_000_000);
    records.push(*l.as_record());
    let mut a = LimitsActivated::ZERO;
    (a.header.kind, a.limits_version) = (LimitsActivated::KIND, 1);
    records.push(*a.as_record());
    records
}
