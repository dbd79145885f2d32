//! A desk for measuring: an engine over the real ring, tier `process`, in shared memory; a disk that
//! takes everything and keeps nothing; flow drawn from a seed. Single-threaded: segments are pumped
//! between blocks, outside the timed part. What must stay true: everything a timed part touches was
//! made and touched here before.

use engine::{Engine, EngineConfig, Log, Outbox};
use host::RingLog;
use journal::{
    DeskDir, DeskLock, Disk, DiskFile, NewDesk, RealDisk, RingOptions, SegmentWriter, SyncMode,
};
use layout::*;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Virtual time between two inputs.
pub const STEP_NS: i64 = 1_000;
/// Best bid of every instrument; the offer is a quarter above.
pub const BID: i64 = 4_800 * ONE;
/// Increment of price.
pub const TICK: i64 = ONE / 4;

/// Sizes of the desk.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Instruments.
    pub instruments: u32,
    /// Accounts.
    pub accounts: u32,
    /// Orders remembered, a power of two.
    pub orders_max: usize,
    /// Orders with terms remembered, a power of two.
    pub terms_max: usize,
    /// Ids remembered, a power of two.
    pub ids_max: usize,
    /// Executions remembered, a power of two.
    pub fills_max: usize,
    /// How long an id outlives its order.
    pub id_ttl_ns: i64,
    /// Slots of the ring.
    pub slots: u64,
}

impl Shape {
    /// Everything in cache: 16 instruments, 4 accounts, small tables, a ring of 1 MiB.
    pub const HOT: Self = Self {
        instruments: 16,
        accounts: 4,
        orders_max: 1 << 11,
        terms_max: 1 << 10,
        ids_max: 1 << 13,
        fills_max: 1 << 16,
        id_ttl_ns: 1_000_000_000,
        slots: 1 << 13,
    };

    /// 1,000 instruments x 100 accounts, room for `orders` orders.
    pub const fn random(orders: usize) -> Self {
        let room = orders.next_power_of_two();
        Self {
            instruments: 1_000,
            accounts: 100,
            orders_max: room,
            terms_max: 1 << 10,
            ids_max: room * 2,
            fills_max: 1 << 22,
            id_ttl_ns: 24 * 3_600 * 1_000_000_000,
            slots: 1 << 16,
        }
    }

    /// The engine's configuration.
    pub fn config(&self) -> EngineConfig {
        EngineConfig {
            orders_max: self.orders_max,
            terms_max: self.terms_max,
            ids_max: self.ids_max,
            fills_max: self.fills_max,
            fill_days: EngineConfig::default().fill_days,
            accounts_max: self.accounts as usize + 1,
            instruments_max: self.instruments as usize + 1,
            venues_max: 2,
            sessions_max: 2,
            strategies_max: 2,
            traders_max: 2,
            currencies_max: 2,
            sectors_max: 2,
            hedging_max: 0,
            throttle_orders_max: 1024,
            id_ttl_ns: self.id_ttl_ns,
            peg_interval_ns: EngineConfig::default().peg_interval_ns,
            peg_ticks: EngineConfig::default().peg_ticks,
            log_reserve: 1024,
            books_max: 1,
            book_orders_max: 1024,
            book_levels_max: 64,
        }
    }
}

/// The last messages routed, copied as the host's queue copies them.
#[derive(Debug)]
pub struct Queue {
    last: Vec<Routed>,
    /// Messages ever pushed.
    pub count: u64,
}

impl Outbox for Queue {
    #[inline]
    fn push(&mut self, routed: &Routed) {
        let mask = self.last.len() - 1;
        self.last[self.count as usize & mask] = *routed;
        self.count += 1;
    }
}

impl Queue {
    fn new() -> Self {
        Self { last: vec![Routed::ZERO; 64], count: 0 }
    }

    /// The last messages, up to 64, oldest first.
    pub fn latest(&self, count: usize) -> impl Iterator<Item = &Routed> {
        let mask = self.last.len() - 1;
        (self.count - count as u64..self.count).map(move |at| &self.last[at as usize & mask])
    }

    /// The message pushed last.
    pub fn newest(&self) -> &Routed {
        &self.last[(self.count as usize).wrapping_sub(1) & (self.last.len() - 1)]
    }
}

/// Takes everything, keeps nothing: what the disk costs is another case.
#[derive(Clone, Copy, Debug)]
pub struct NullDisk;

impl Disk for NullDisk {
    fn create(&self, _: &Path, _: u64) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(Self))
    }
    fn open(&self, _: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(Self))
    }
    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn remove(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for NullDisk {
    fn write(&mut self, _: u64, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn write_sync(&mut self, _: u64, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn mode(&self) -> SyncMode {
        SyncMode::Simulated
    }
}

/// A directory in shared memory that goes away with the value.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new one, private to this process.
    pub fn new() -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path =
            Path::new("/dev/shm").join(format!("pyoms-bench-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What went wrong while a case was set up or run.
pub type Fault = Box<dyn std::error::Error>;

/// xorshift64*: enough to spread accesses, the same on every run.
#[derive(Clone, Copy, Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// A generator; `seed` above 0.
    pub fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// A number below `bound`.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((u128::from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)) * u128::from(bound)) >> 64) as u64
    }
}

/// The desk, its live orders and where its flow stands.
pub struct Desk {
    /// The engine.
    pub engine: Engine,
    /// Its log.
    pub log: RingLog,
    /// Its outbox.
    pub outbox: Queue,
    /// Virtual time.
    pub now_ns: i64,
    /// Live orders that nothing is in flight for.
    pub live: Vec<u64>,
    /// The draw of everything random.
    pub seeded: Seeded,
    shape: Shape,
    writer: SegmentWriter,
    ids: u64,
    execs: u64,
    link_seq_in: u32,
    dir: DeskDir,
    _lock: DeskLock,
    scratch: Scratch,
}

impl Desk {
    /// Open for business: every account limited and throttled in every instrument, quotes everywhere.
    pub fn open(shape: Shape) -> Result<Self, Fault> {
        Self::open_with(shape, Box::new(NullDisk))
    }

    /// The same with segments that are kept, in memory-backed files: to recover from.
    pub fn open_on_disk(shape: Shape) -> Result<Self, Fault> {
        Self::open_with(shape, Box::new(RealDisk))
    }

    fn open_with(shape: Shape, disk: Box<dyn Disk>) -> Result<Self, Fault> {
        let scratch = Scratch::new()?;
        let new = NewDesk { segment_records: 1 << 12, ..NewDesk::default() };
        let dir = DeskDir::create(scratch.path().join("desk"), &new)?
            .with_shm_root(scratch.path().to_path_buf());
        let lock = dir.lock()?;
        let options =
            RingOptions { slots: shape.slots, tier: Tier::Process, segment_records: 1 << 16 };
        let (ring, writer) = journal::recover(&dir)?.go_live_on(&lock, &options, disk)?;
        let mut desk = Self {
            engine: Engine::new(&shape.config())?,
            log: RingLog { ring, bounds: () },
            outbox: Queue::new(),
            now_ns: 1_700_000_000_000_000_000,
            live: Vec::with_capacity(shape.orders_max),
            seeded: Seeded::new(0x5eed),
            shape,
            writer,
            ids: 0,
            execs: 0,
            link_seq_in: 0,
            dir,
            _lock: lock,
            scratch,
        };
        desk.define();
        Ok(desk)
    }

    /// Stops the engine; what it wrote stays while the scratch directory lives.
    pub fn stop(self) -> (DeskDir, Scratch) {
        (self.dir, self.scratch)
    }

    fn define(&mut self) {
        let name = |entity: Entity, name: String, level: u8| {
            let mut d = Definition::ZERO;
            d.header.kind = Definition::KIND;
            (d.entity, d.name, d.level) = (entity as u8, text(&name), level);
            d
        };
        let mut epoch = EpochStarted::ZERO;
        (epoch.header.kind, epoch.epoch) = (EpochStarted::KIND, self.log.ring.epoch());
        self.fact(epoch);
        self.fact(name(Entity::Currency, "USD".into(), 0));
        self.fact(name(Entity::Venue, "SIM".into(), ReplaceRule::InFlightCounted as u8));
        self.fact(name(Entity::Session, "S1".into(), 0));
        self.fact(name(Entity::Strategy, "maker".into(), 0));
        let mut rate = Rate::ZERO;
        (rate.header.kind, rate.currency_id, rate.rate) = (Rate::KIND, 1, ONE);
        self.fact(rate);
        for id in 1..=self.shape.instruments {
            self.fact(name(Entity::Instrument, format!("I{id}"), 0));
            let mut t = InstrumentTerms::ZERO;
            t.header.kind = InstrumentTerms::KIND;
            (t.instrument_id, t.venue_id, t.currency_id) = (id, 1, 1);
            (t.tick, t.lot, t.qty_min, t.qty_max) = (TICK, ONE, ONE, 1_000 * ONE);
            (t.contract_multiplier, t.band, t.flags) = (50 * ONE, 100_000, FLAG_BAND_PPM);
            t.reference_age_ms_max = 1_000_000;
            self.fact(t);
        }
        for id in 1..=self.shape.accounts {
            self.fact(name(Entity::Account, format!("A{id}"), AccountLevel::Account as u8));
        }
        let mut limit = LimitRow::ZERO;
        limit.header.kind = LimitRow::KIND;
        // Throttles that count, and pass: the busiest case sends 100 an account in such a window.
        (limit.orders_max, limit.window_ns) = (1_000, 100 * STEP_NS);
        (limit.scope, limit.entity_id) = (Scope::Session as u8, 1);
        self.fact(limit);
        limit.entity_id = 0;
        for account_id in 1..=self.shape.accounts {
            limit.account_id = account_id;
            (limit.scope, limit.instrument_id) = (Scope::Account as u8, 0);
            (limit.order_qty_max, limit.order_notional_max) = (100 * ONE, 1_000_000_000);
            (limit.gross_notional_max, limit.net_notional_max) = (1 << 50, 1 << 50);
            self.fact(limit);
            limit.scope = Scope::AccountInstrument as u8;
            (limit.gross_notional_max, limit.net_qty_max) = (1 << 45, 1_000_000 * ONE);
            for instrument_id in 1..=self.shape.instruments {
                limit.instrument_id = instrument_id;
                self.fact(limit);
            }
        }
        let mut a = LimitsActivated::ZERO;
        (a.header.kind, a.limits_version) = (LimitsActivated::KIND, 1);
        self.fact(a);
        let mut l = LinkChange::ZERO;
        (l.header.kind, l.venue_id, l.state) = (LinkChange::KIND, 1, LinkState::Up as u8);
        self.fact(l);
        let mut p = PhaseChange::ZERO;
        (p.header.kind, p.venue_id, p.phase) = (PhaseChange::KIND, 1, Phase::Open as u8);
        self.fact(p);
        let mut state = DeskState::ZERO;
        state.header.kind = DeskState::KIND;
        self.fact(state);
        self.quote_all();
    }

    /// A fresh quote in every instrument.
    pub fn quote_all(&mut self) {
        for instrument_id in 1..=self.shape.instruments {
            let quote = quote(instrument_id);
            self.engine.step(quote.as_record(), self.now_ns, &mut self.log, &mut self.outbox);
        }
    }

    fn fact<T: Typed>(&mut self, record: T) {
        assert!(self.step(record.as_record()) == Verdict::Accepted);
        if self.log.room() < self.log.ring.slots() / 2 {
            self.pump();
        }
    }

    /// Puts what was published into segments, so that the ring has room; not for the timed part.
    pub fn pump(&mut self) {
        self.writer.flush().expect("the disk takes everything");
    }

    /// One input at the next moment.
    #[inline(always)]
    pub fn step(&mut self, input: &Record) -> Verdict {
        self.now_ns += STEP_NS;
        self.engine.step(input, self.now_ns, &mut self.log, &mut self.outbox)
    }

    /// One report at the next moment.
    #[inline(always)]
    pub fn report(&mut self, report: &ExecutionReport) -> Disposition {
        self.now_ns += STEP_NS;
        self.engine.step_report(report, None, self.now_ns, &mut self.log)
    }

    /// The next client id: 20 characters.
    pub fn id(&mut self) -> [u8; 36] {
        self.ids += 1;
        let mut id = [0; 36];
        id[..4].copy_from_slice(b"BNCH");
        digits(&mut id[4..20], self.ids);
        id
    }

    /// A random plain order: any account, any instrument, either side, 20 levels behind the touch.
    pub fn order(&mut self) -> NewOrder {
        let draw = self.seeded.below(1 << 40);
        let mut o = NewOrder::ZERO;
        (o.header.kind, o.header.event_seq) = (NewOrder::KIND, self.ids);
        (o.cl_ord_id, o.session_id, o.strategy_id) = (self.id(), 1, 1);
        o.account_id = 1 + self.seeded.below(self.shape.accounts.into()) as u32;
        o.instrument_id = 1 + self.seeded.below(self.shape.instruments.into()) as u32;
        let behind = (draw >> 8 & 31) as i64 * TICK;
        (o.side, o.price) = match draw & 1 {
            0 => (Side::Buy as u8, BID - behind),
            _ => (Side::Sell as u8, BID + TICK + behind),
        };
        (o.ord_type, o.time_in_force) = (OrdType::Limit as u8, TimeInForce::Day as u8);
        o.order_qty = (1 + (draw >> 16 & 7) as i64) * ONE;
        o
    }

    /// An order as any, but for a buy's price that is twice the market.
    pub fn order_above_band(&mut self) -> NewOrder {
        let mut order = self.order();
        (order.side, order.price) = (Side::Buy as u8, 2 * BID + TICK);
        order
    }

    /// A cancel of an order.
    pub fn cancel(&mut self, order_seq: u64) -> CancelOrder {
        let mut c = CancelOrder::ZERO;
        (c.header.kind, c.header.order_seq) = (CancelOrder::KIND, order_seq);
        (c.cl_ord_id, c.session_id) = (self.id(), 1);
        c
    }

    /// A replace of a live order: the same price, one more.
    pub fn replace(&mut self, order_seq: u64) -> ReplaceOrder {
        let order = *self.engine.order(order_seq).expect("live");
        let mut r = ReplaceOrder::ZERO;
        (r.header.kind, r.header.order_seq) = (ReplaceOrder::KIND, order_seq);
        (r.cl_ord_id, r.session_id) = (self.id(), 1);
        (r.price, r.order_qty) = (order.price, order.order_qty + ONE);
        r
    }

    /// Takes a random live order out of the list.
    pub fn draw_live(&mut self) -> u64 {
        let at = self.seeded.below(self.live.len() as u64) as usize;
        self.live.swap_remove(at)
    }

    /// The venue's word on an order as it stands.
    pub fn word(&mut self, order_seq: u64, exec_type: ExecType) -> ExecutionReport {
        let order = self.engine.order(order_seq).expect("remembered");
        let (epoch, revision) = (order.epoch, order.revision_last);
        let (price, leaves) = (order.price, order.leaves_qty());
        self.link_seq_in += 1;
        let mut r = ExecutionReport::ZERO;
        r.header.kind = ExecutionReport::KIND;
        r.street_id = engine::street::encode(engine::street::Street { epoch, order_seq, revision });
        (r.venue_id, r.exec_type, r.link_seq) = (1, exec_type as u8, self.link_seq_in);
        if exec_type == ExecType::Trade {
            self.execs += 1;
            r.exec_id = *b"E000000000000000";
            digits(&mut r.exec_id[1..], self.execs);
            (r.last_qty, r.last_px, r.fee) = (leaves, price, ONE / 4);
        }
        r
    }

    /// Sends `count` orders and remembers them as live.
    pub fn place(&mut self, count: usize) {
        for _ in 0..count {
            let order = self.order();
            assert!(self.step(order.as_record()) == Verdict::Accepted);
            self.live.push(self.outbox.newest().header.order_seq);
        }
    }

    /// Sends an order with these terms.
    pub fn place_terms(&mut self, order: &mut NewOrder, mut terms: OrderTerms) {
        (terms.header.kind, terms.session_id) = (OrderTerms::KIND, order.session_id);
        assert!(self.step(terms.as_record()) == Verdict::Accepted);
        order.tags |= TAG_TERMS;
        assert!(self.step(order.as_record()) == Verdict::Accepted);
    }

    /// Ends `count` random live orders: the venue says canceled.
    pub fn end(&mut self, count: usize) {
        for _ in 0..count {
            let order_seq = self.draw_live();
            let report = self.word(order_seq, ExecType::Canceled);
            assert!(self.report(&report) == Disposition::Applied);
        }
    }

    /// Brings the desk to `ids` ids of which `live` orders are live, ended at random.
    pub fn grow(&mut self, ids: usize, live: usize) {
        let mut placed = 0;
        while placed < ids {
            let count = (ids - placed).min(256);
            self.place(count);
            placed += count;
            if self.live.len() > live {
                self.end(self.live.len() - live);
            }
            self.pump();
        }
    }

    /// Lets every id run out: all orders end, time passes, and new ones take the old ones' places.
    pub fn forget(&mut self, count: usize, live: usize) {
        self.end(self.live.len());
        self.pump();
        self.now_ns += 2 * self.shape.id_ttl_ns;
        self.quote_all();
        // Each id taken forgets two, so that `count` forget as many again that came since.
        for _ in 0..count / 64 {
            self.place(64);
            if self.live.len() > live {
                self.end(self.live.len() - live);
            }
            self.pump();
        }
    }
}

fn digits(field: &mut [u8], mut number: u64) {
    for byte in field.iter_mut().rev() {
        *byte = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// A quote of every instrument's constant market.
pub fn quote(instrument_id: u32) -> Quote {
    let mut q = Quote::ZERO;
    (q.header.kind, q.instrument_id) = (Quote::KIND, instrument_id);
    (q.bid_px, q.ask_px, q.bid_qty, q.ask_qty) = (BID, BID + TICK, 10 * ONE, 10 * ONE);
    q
}
