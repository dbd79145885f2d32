//! The engine: one writer of all order state of a shard, a function of its inputs. No I/O, no
//! clock, no thread, no unsafe, no allocation after `Engine::new`. `step` judges an input, appends
//! the event to the log, folds it with `apply` and hands what must leave to the outbox; `apply`
//! alone rebuilds the same state from the log. Called by `host` on the engine thread, inline by
//! tests, backtests and benches. What must stay true: replay of the log equals the live state.
#![forbid(unsafe_code)]

mod apply;
pub mod book;
mod bounds;
mod contingent;
mod day;
pub mod dedup;
pub mod fills;
mod foreign;
mod forest;
mod forgotten;
mod gate;
pub mod held;
mod legs;
pub mod limits;
mod marks;
mod moved;
pub mod number;
pub mod order;
mod pace;
mod peg;
mod pipeline;
mod plain;
pub mod position;
pub mod priority;
mod repeats;
mod report;
pub mod risk;
mod silence;
mod slices;
pub mod states;
pub mod street;
mod terms;
mod versions;
mod views;

use arch::Table;
use layout::{Definition, Entity, InstrumentTerms, OrderTerms, Record, Routed};
use std::collections::{HashMap, VecDeque};
use std::io;

pub use order::Order;
pub use position::Position;
pub use terms::Terms;

/// Where events go. The ring of `journal` is one; a test's vector another.
pub trait Log {
    /// event_seq the next record will get.
    fn next_seq(&self) -> u64;
    /// The `index`-th record of the group being built, `index < GROUP_MAX`; holds old bytes until
    /// written whole.
    fn slot(&mut self, index: usize) -> &mut Record;
    /// Seals `count` records as one group (event_seq, more, epoch, crc) and publishes them at once.
    fn publish(&mut self, count: usize);
    /// The `index`-th record of the group just published.
    fn last(&self, index: usize) -> &Record;
    /// Records that fit before something not yet in a segment would be overwritten.
    fn room(&self) -> u64;
}

/// Most records of one group.
pub const GROUP_MAX: usize = 8;

/// Where messages wait until what justifies them is committed.
pub trait Outbox {
    /// Takes a routed record as it stands in the log, event_seq set.
    fn push(&mut self, routed: &Routed);
}

/// Capacities and policies of an engine; part of what makes a replay equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// Orders remembered at once, live or within the TTL of their end; a power of two.
    pub orders_max: usize,
    /// Orders with terms (held, timed, contingent) remembered at once; a power of two.
    pub terms_max: usize,
    /// Client ids remembered at once; a power of two up to 2^28.
    pub ids_max: usize,
    /// Executions remembered; a power of two.
    pub fills_max: usize,
    /// Days for which a fill can be busted, corrected and told again, also when its order is forgotten.
    pub fill_days: u16,
    /// Account numbers, 0 included.
    pub accounts_max: usize,
    /// Instrument numbers, 0 included.
    pub instruments_max: usize,
    /// Venue numbers, 0 included.
    pub venues_max: usize,
    /// Session numbers, 0 included.
    pub sessions_max: usize,
    /// Strategy numbers, 0 included.
    pub strategies_max: usize,
    /// Trader numbers, 0 included.
    pub traders_max: usize,
    /// Currency numbers, 0 included.
    pub currencies_max: usize,
    /// Sector numbers, 0 included.
    pub sectors_max: usize,
    /// Accounts that may keep their long and short legs apart.
    pub hedging_max: usize,
    /// Largest number of orders a throttle window can hold; a power of two.
    pub throttle_orders_max: usize,
    /// How long an id outlives its order.
    pub id_ttl_ns: i64,
    /// A pegged order is priced anew at most this often.
    pub peg_interval_ns: i64,
    /// A move of the price of a pegged order by fewer ticks is let be.
    pub peg_ticks: i64,
    /// Records of the ring that new orders must leave free for cancels and reports.
    pub log_reserve: u64,
    /// Market-by-order books; the first instruments that get such data take them.
    pub books_max: usize,
    /// Orders of one such book.
    pub book_orders_max: usize,
    /// Price levels a side of one such book.
    pub book_levels_max: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            orders_max: 1 << 18,
            terms_max: 1 << 14,
            ids_max: 1 << 19,
            fills_max: 1 << 18,
            fill_days: 5,
            accounts_max: 64,
            instruments_max: 256,
            venues_max: 16,
            sessions_max: 64,
            strategies_max: 64,
            traders_max: 64,
            currencies_max: 32,
            sectors_max: 32,
            hedging_max: 8,
            throttle_orders_max: 1024,
            id_ttl_ns: 24 * 3600 * 1_000_000_000,
            peg_interval_ns: 100_000_000,
            peg_ticks: 1,
            log_reserve: 4096,
            books_max: 4,
            book_orders_max: 1 << 16,
            book_levels_max: 1 << 13,
        }
    }
}

/// Counters that are not state: what a dashboard wants to know, outside the hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Commands taken in.
    pub commands: u64,
    /// Commands accepted.
    pub accepted: u64,
    /// Commands refused.
    pub refused: u64,
    /// Commands repeated with the same id and body.
    pub repeated: u64,
    /// Reports taken in.
    pub reports: u64,
    /// Fills booked.
    pub fills: u64,
    /// Reports flagged: late, overfill, conflict, unknown, outside the table, malformed, gap.
    pub flagged: u64,
    /// Refusals that found no room in the log and so have no event.
    pub unlogged_refusals: u64,
    /// Market data records taken in.
    pub market_data: u64,
    /// Market data records that a book could not take.
    pub book_faults: u64,
    /// Looks at orders that waited for a work of the desk's own: cancels, moves, legs, timers.
    pub looks: u64,
    /// Cancels that the kill switch has sent, a mass cancel counted as one.
    pub kill_cancels: u64,
}

/// All order state of one shard.
pub struct Engine {
    config: EngineConfig,
    // Folded from the log:
    epoch: u64,
    event_seq: u64,
    time_ns: i64,
    control_epoch: u64,
    desk_mode: u8,
    recovering: u8,
    limits_version: u64,
    next_order_seq: u64,
    live_count: u64,
    asked_count: u64,
    orders: Table<Order>,
    live: Table<u64>,
    dedup: dedup::Dedup,
    fills: fills::Fills,
    queries: Vec<u64>,
    asked_qty: Table<i64>, // by slot: CumQty that the venue told when it was last asked, if QUERIED
    asked_word: Table<i64>, // by slot: the word last asked about, if DIFFERS; see compare_words
    owing_count: u64,
    vacant_count: u64,
    exec_ref: Option<layout::ExecRef>, // of the report that follows in its group
    definitions: Vec<Definition>,
    names: HashMap<(u8, [u8; 36]), u32, foldhash::fast::FixedState>,
    counts: [u32; Entity::ALL.len() + 1],
    terms: Table<InstrumentTerms>,
    instruments: Table<risk::Instrument>,
    accounts: Table<risk::Account>,
    sessions: Table<risk::Session>,
    venues: Table<risk::Venue>,
    strategies: Table<risk::Entity>,
    traders: Table<risk::Entity>,
    currencies: Table<risk::Currency>,
    rows: Table<risk::RiskRow>,
    ledgers: Table<position::Ledger>,
    legs: Table<legs::Leg>,
    hedgers: Vec<u32>,
    session_sends: Table<i64>,
    account_sends: Table<i64>,
    limits: limits::Limits,
    bounds: bounds::Bounds,
    order_terms: Table<Terms>,
    held: forest::Forest,
    timers: forest::Forest,
    reducing: forest::Forest,
    reducing_count: u64,
    watched: Table<u64>,
    pegs: forest::Forest,
    days: Vec<u8>,
    closed_seq: Vec<u64>, // by venue: the first order that came after its day had closed
    due: VecDeque<u32>,
    queued: marks::Marks, // rows of terms in `due`
    due_count: u64,
    // Not folded: what is to be tried, what inputs announced, market data, caches, counters.
    to_cancel: marks::Marks,
    repeats: repeats::Repeats,
    pace: pace::Pace,
    silence: silence::Silence,
    to_move: marks::Marks,
    to_ask: u64,
    parked: Vec<u64>,
    offered_refs: Vec<Option<layout::ExecRef>>,
    foreign: Vec<Option<layout::ForeignOrder>>,
    offers: Vec<Option<OrderTerms>>,
    offers_count: u64,
    wake_ns: i64,
    peaks: Table<i64>,
    ratchet_ns: Table<i64>,
    windows: Vec<held::Window>,
    books: Vec<book::Book>,
    books_used: usize,
    limits_stamp: u32,
    open_stamp: u32,
    street_ids: street::Sequence,
    fills_high: u64,
    counters: Counters,
}

/// Orders that can wait at once to be asked about at their venue; one more is asked about by a later
/// report of it.
pub const QUERIES_MAX: usize = 256;

impl Engine {
    /// Allocates and prefaults everything; nothing is allocated afterwards.
    ///
    /// Errors: the system refuses the memory. Panics when a capacity is not what its field says:
    /// configuration is checked before it comes here.
    pub fn new(config: &EngineConfig) -> io::Result<Self> {
        assert!(config.orders_max.is_power_of_two() && config.orders_max >= 64);
        assert!(config.terms_max.is_power_of_two() && config.terms_max >= 16);
        assert!(config.throttle_orders_max.is_power_of_two());
        assert!(config.id_ttl_ns >= 0);
        assert!(config.sessions_max + config.venues_max <= 1 << 16); // see foreign.rs
        assert!(config.peg_interval_ns > 0 && config.peg_ticks > 0);
        let pairs = config.accounts_max * config.instruments_max;
        let legs = 2 * config.hedging_max * config.instruments_max;
        let names = config.accounts_max
            + config.instruments_max
            + config.venues_max
            + config.sessions_max
            + config.strategies_max
            + config.traders_max
            + config.currencies_max
            + config.sectors_max;
        let mut engine = Self {
            config: config.clone(),
            epoch: 0,
            event_seq: 0,
            time_ns: i64::MIN,
            control_epoch: 0,
            desk_mode: 0,
            recovering: 1, // closed until the host says that recovery has ended
            limits_version: 0,
            next_order_seq: 1,
            live_count: 0,
            asked_count: 0,
            orders: Table::zeroed(config.orders_max)?,
            live: Table::zeroed(config.orders_max / 64)?,
            dedup: dedup::Dedup::new(config.ids_max)?,
            fills: fills::Fills::new(
                config.fills_max,
                config.orders_max,
                pairs + legs,
                config.fill_days,
            )?,
            queries: Vec::with_capacity(QUERIES_MAX),
            asked_qty: Table::zeroed(config.orders_max)?,
            asked_word: Table::zeroed(config.orders_max)?,
            owing_count: 0,
            vacant_count: 0,
            to_cancel: marks::Marks::new(config.orders_max)?,
            repeats: repeats::Repeats::new(config.orders_max)?,
            pace: pace::Pace::new(config.venues_max, config.orders_max)?,
            silence: silence::Silence::new(),
            to_move: marks::Marks::new(config.orders_max)?,
            to_ask: 0,
            parked: Vec::with_capacity(2 * config.terms_max),
            exec_ref: None,
            offered_refs: vec![None; config.venues_max],
            foreign: vec![None; config.venues_max],
            definitions: Vec::with_capacity(names),
            names: HashMap::with_capacity_and_hasher(names, Default::default()),
            counts: [0; Entity::ALL.len() + 1],
            terms: Table::zeroed(config.instruments_max)?,
            instruments: Table::zeroed(config.instruments_max)?,
            accounts: Table::zeroed(config.accounts_max)?,
            sessions: Table::zeroed(config.sessions_max)?,
            venues: Table::zeroed(config.venues_max)?,
            strategies: Table::zeroed(config.strategies_max)?,
            traders: Table::zeroed(config.traders_max)?,
            currencies: Table::zeroed(config.currencies_max)?,
            rows: Table::zeroed(pairs)?,
            ledgers: Table::zeroed(pairs)?,
            legs: Table::zeroed(legs)?,
            hedgers: Vec::with_capacity(config.hedging_max),
            session_sends: Table::zeroed(config.sessions_max * config.throttle_orders_max)?,
            account_sends: Table::zeroed(config.accounts_max * config.throttle_orders_max)?,
            limits: limits::Limits::new(config)?,
            bounds: bounds::Bounds::new(config)?,
            order_terms: Table::zeroed(config.terms_max)?,
            held: forest::Forest::new(config.instruments_max * held::TREES, config.terms_max)?,
            timers: forest::Forest::new(2, config.terms_max)?,
            reducing: forest::Forest::new(config.instruments_max, config.terms_max)?,
            reducing_count: 0,
            watched: Table::zeroed(config.instruments_max)?,
            pegs: forest::Forest::new(config.instruments_max, config.terms_max)?,
            wake_ns: i64::MAX,
            days: vec![0; config.venues_max],
            closed_seq: vec![0; config.venues_max],
            due: VecDeque::with_capacity(config.terms_max),
            queued: marks::Marks::new(config.terms_max)?,
            due_count: 0,
            offers: vec![None; config.sessions_max],
            offers_count: 0,
            peaks: Table::zeroed(config.terms_max)?,
            ratchet_ns: Table::zeroed(config.terms_max)?,
            windows: vec![held::UNKNOWN; 3 * config.instruments_max],
            books: (0..config.books_max)
                .map(|_| book::Book::new(config.book_orders_max, config.book_levels_max))
                .collect(),
            books_used: 0,
            limits_stamp: 1,
            open_stamp: 1,
            street_ids: street::Sequence::default(),
            fills_high: 0,
            counters: Counters::default(),
        };
        // New orders leave the last sixteenth to the fills of those before.
        engine.fills_high = engine.fills.capacity() - engine.fills.capacity() / 16;
        for instrument in engine.instruments.iter_mut() {
            instrument.last_px = layout::NO_PRICE;
            (instrument.reference_time_ns, instrument.last_time_ns) = (i64::MIN / 2, i64::MIN / 2);
            // Divisors of undefined instruments divide everything, so that checks stay branch-free.
            (instrument.tick, instrument.lot) = (number::Divisor::new(1), number::Divisor::new(1));
            instrument.set_reference(layout::NO_PRICE, layout::NO_PRICE);
        }
        // Strategy 0 and trader 0 mean "none told" and are allowed.
        (engine.strategies[0].defined, engine.traders[0].defined) = (1, 1);
        Ok(engine)
    }

    #[inline(always)]
    fn slot(&self, order_seq: u64) -> usize {
        order_seq as usize & (self.config.orders_max - 1)
    }

    #[inline(always)]
    fn pair(&self, account_id: u32, instrument_id: u32) -> usize {
        account_id as usize * self.config.instruments_max + instrument_id as usize
    }
}

/// An outbox that sends nowhere: for benches of the gate, replay and tests.
#[derive(Debug, Default)]
pub struct NoOutbox;

impl Outbox for NoOutbox {
    fn push(&mut self, _: &Routed) {}
}

/// A log in a vector: tests and small tools. Keeps every record; seals as the ring does, without crc.
#[derive(Debug, Default)]
pub struct VecLog {
    /// Published records.
    pub records: Vec<Record>,
    group: [Option<Record>; GROUP_MAX],
    last: usize,
}

impl Log for VecLog {
    fn next_seq(&self) -> u64 {
        self.records.len() as u64 + 1
    }
    fn slot(&mut self, index: usize) -> &mut Record {
        self.group[index].get_or_insert(Record::ZERO)
    }
    fn publish(&mut self, count: usize) {
        self.last = self.records.len();
        for index in 0..count {
            let mut record = self.group[index].take().expect("every record of a group is written");
            record.header.event_seq = self.next_seq();
            record.header.more = (count - 1 - index) as u8;
            self.records.push(record);
        }
    }
    fn last(&self, index: usize) -> &Record {
        &self.records[self.last + index]
    }
    fn room(&self) -> u64 {
        u64::MAX
    }
}
