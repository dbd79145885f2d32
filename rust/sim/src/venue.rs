//! The simulated venue: it replays a recorded market-by-order day and lets our orders rest, queue
//! and trade in it. No clock, no socket: `endpoint` gives it messages and virtual time.
//! One thread owns it. Must stay true: a seed and the same messages give the same reports, nothing
//! looks ahead of its virtual time, and a street id makes at most one order.
//!
//! ```text
//! tape ------------------------------+
//! messages -> latency_in -> inbound -+-> run_to(t), in order of time -> outbound -> latency_out
//! phases ----------------------------+
//! ```

use crate::market::{Hit, Market, side_of};
use crate::random::{Latency, Random};
use crate::witness::{Counters, Witness, WitnessOrder, WitnessPosition};
use engine::book::OWN_REF;
use layout::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// How orders of ours are filled, for reports and docs.
pub const FILL_MODEL: &str = "\
Recorded orders keep their recorded fate. Our orders join the same queues, behind all that rest \
when they arrive. A recorded trade walks the merged queue of the other side from the best price to \
its own, in price-time order: it uses up its size on recorded orders before ours and fills ours, at \
our price, when it reaches them. Our aggressive orders take from resting recorded orders; what they \
took stays marked and is not taken twice. A recorded order that arrives through one of ours trades \
with it, at our price. Every recorded contract fills at most one contract of ours. In an auction our \
crossing orders take part in their place in the queue, at its price, for at most its size; what then \
still crosses trades as if it had just arrived. Our orders do not trade with each other: the newer \
one is canceled. A post-only order that would trade at once is refused. An iceberg shows max_floor \
and keeps the rest back; what is filled is shown anew, behind all that rest then. A good-till-date \
order ends at its time before anything else of that moment, or at the close of its date. An at-open \
limit order takes part in the opening, a market one trades right after it, and what is left ends; \
there is no closing auction, so at-close orders are refused. Our orders are not shown in the market data and move no recorded order. Nothing \
looks ahead: a message that arrives at t meets the recording up to t.";

/// What the venue keeps of an order's terms, as its hello says.
pub const SUPPORTS: &str = "post_only max_floor gtd at_open";

/// What a venue is made from. Every key has a default; an unknown key is an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VenueConfig {
    /// Its number at the desk.
    pub venue_id: u16,
    /// Seed of latencies and rejects.
    pub seed: u64,
    /// TradeDate(75) of the session, days since 1970-01-01.
    pub trade_day: u16,
    /// Lock-step in virtual time; else live.
    pub lock_step: bool,
    /// Live: virtual nanoseconds per real one.
    pub speed_up: u32,
    /// Lock-step: virtual time moves at least this much a turn.
    pub step_min_ns: i64,
    /// Lock-step: virtual time that goes by while a desk that was joined is gone.
    pub outage_ns: i64,
    /// Start of the day; none: the first record that is no snapshot.
    pub start_ns: Option<i64>,
    /// Opening; none: the first trade on the tape, or the start when there is none.
    pub open_ns: Option<i64>,
    /// End of the day; none: a second after the last record.
    pub end_ns: Option<i64>,
    /// From the desk to the venue.
    pub latency_in: Latency,
    /// From the venue to the desk.
    pub latency_out: Latency,
    /// Fee of one unit of quantity (1.0), 1e-9 of the instrument's currency.
    pub fee_per_contract: i64,
    /// New orders refused at random, per million.
    pub reject_new_ppm: u32,
    /// Cancels and replaces refused at random, per million.
    pub reject_change_ppm: u32,
    /// Cancel the newer of two orders of ours that would trade with each other.
    pub prevent_self_trades: bool,
    /// Cancel all when the link drops, if the desk asked for it.
    pub cancel_on_disconnect: bool,
    /// Instruments besides those on the tape.
    pub instruments: Vec<u32>,
    /// Orders of ours, and resting recorded orders per instrument, at most.
    pub orders_max: usize,
    /// Sequenced frames kept for a resume.
    pub memory_max: usize,
}

impl Default for VenueConfig {
    fn default() -> Self {
        Self {
            venue_id: 1,
            seed: 1,
            trade_day: 0,
            lock_step: true,
            speed_up: 1,
            step_min_ns: 200_000_000,
            outage_ns: 30_000_000_000,
            start_ns: None,
            open_ns: None,
            end_ns: None,
            latency_in: Latency { floor_ns: 50_000, median_ns: 150_000 },
            latency_out: Latency { floor_ns: 50_000, median_ns: 150_000 },
            fee_per_contract: 0,
            reject_new_ppm: 0,
            reject_change_ppm: 0,
            prevent_self_trades: true,
            cancel_on_disconnect: true,
            instruments: Vec::new(),
            orders_max: 1 << 17,
            memory_max: 1 << 20,
        }
    }
}

/// Why no venue could be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimError {
    /// The configuration is not what it should be.
    #[error("venue configuration: {0}")]
    Config(String),
    /// Nothing to replay and no times given.
    #[error("the tape is empty: start_ns and end_ns are needed")]
    TapeEmpty,
}

/// What is due at the desk, in order.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // moved once, from the queue to the link
pub enum Due {
    /// A record of the tape.
    Market(BookUpdate),
    /// A report, sequenced by the link.
    Report(ExecutionReport, Option<ReportText>),
    /// A change of phase, sequenced by the link.
    Phase(PhaseChange),
    /// A change of the trading day, sequenced by the link.
    Day(DayChange),
    /// An answer to a query, unsequenced.
    Answer(ExecutionReport, Option<ReportText>),
    /// The link answers from what it keeps: fills after `since_link_seq`, then the end.
    Fills {
        /// Of the query.
        query_id: u32,
        /// Of the query.
        since_link_seq: u32,
    },
    /// All answers to a query were sent.
    QueryEnd(LinkQueryEnd),
}

#[derive(Clone, Copy, Debug)]
enum Message {
    Routed(Routed),
    Query(LinkQuery),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Start,
    Open,
    Close,
}

/// One order of ours.
#[derive(Clone, Debug)]
struct Order {
    street_id: [u8; 20],
    first_street_id: [u8; 20],
    account_id: u32,
    instrument_id: u32,
    side: Side,
    market_side: Side,
    ord_type: OrdType,
    time_in_force: TimeInForce,
    price: i64,
    order_qty: i64,
    cum_qty: i64,
    value: i128,
    ord_status: OrdStatus,
    arrival: u64, // rises with every loss of priority
    post_only: bool,
    max_floor: i64, // 0: shows all of itself
    expire_time_ns: i64,
    expire_day: u16,
}

impl Order {
    fn is_open(&self) -> bool {
        matches!(self.ord_status, OrdStatus::New | OrdStatus::PartiallyFilled)
    }

    fn leaves_qty(&self) -> i64 {
        if self.is_open() { self.order_qty - self.cum_qty } else { 0 }
    }

    fn limit(&self) -> Option<i64> {
        (self.ord_type == OrdType::Limit).then_some(self.price)
    }

    /// What it shows of `left` when it comes to rest.
    fn shown_of(&self, left: i64) -> i64 {
        if self.max_floor == 0 { left } else { left.min(self.max_floor) }
    }

    /// Whether what is not filled at once stays.
    fn waits(&self) -> bool {
        use TimeInForce::{AtOpen, Day, Gtc, Gtd};
        matches!(self.time_in_force, Day | Gtc | Gtd | AtOpen)
    }

    /// Whether the close of `trade_day` is its end.
    fn ends_with(&self, trade_day: u16) -> bool {
        match self.time_in_force {
            TimeInForce::Gtd => self.expire_day != 0 && self.expire_day <= trade_day,
            TimeInForce::Gtc => false,
            _ => true,
        }
    }
}

/// The venue.
pub struct SimVenue {
    config: VenueConfig,
    tape: Vec<BookUpdate>,
    tape_next: usize,
    tape_clock_ns: i64,
    now_ns: i64,
    end_ns: i64,
    phase: Phase,
    auction_pending: bool, // open, and the event of the opening trade is not over
    auction_seen: bool,
    steps: VecDeque<(i64, Step)>,
    /// ExpireTime(126) of orders, closed ones too until it comes.
    expiries: BTreeSet<(i64, usize)>,
    /// Market orders for the opening: they have no price to queue at.
    at_open: Vec<usize>,
    markets: BTreeMap<u32, Market>,
    orders: Vec<Order>,
    by_street_id: HashMap<[u8; 20], usize>,
    inbound: VecDeque<(i64, Message)>,
    outbound: VecDeque<(i64, Due)>,
    random: Random,
    arrivals: u64,
    exec_ids: u64,
    positions: BTreeMap<(u32, u32), WitnessPosition>,
    creating_link_seqs: Vec<u32>,
    pub(crate) counters: Counters,
}

impl SimVenue {
    /// A venue before its day. The tape must be in the order of the recording; times that step
    /// back are read as the time before.
    pub fn new(config: VenueConfig, tape: Vec<BookUpdate>) -> Result<Self, SimError> {
        let (start_ns, open_ns, end_ns) = day_of(&config, &tape)?;
        let mut markets = BTreeMap::new();
        let on_tape = tape.iter().map(|update| update.instrument_id);
        for instrument_id in on_tape.chain(config.instruments.iter().copied()) {
            markets.entry(instrument_id).or_insert_with(|| Market::new(config.orders_max));
        }
        let steps = [(start_ns, Step::Start), (open_ns, Step::Open), (end_ns, Step::Close)];
        Ok(Self {
            random: Random::new(config.seed),
            config,
            tape,
            tape_next: 0,
            tape_clock_ns: start_ns,
            now_ns: start_ns,
            end_ns,
            phase: Phase::Closed,
            auction_pending: false,
            auction_seen: false,
            steps: steps.into(),
            expiries: BTreeSet::new(),
            at_open: Vec::new(),
            markets,
            orders: Vec::new(),
            by_street_id: HashMap::new(),
            inbound: VecDeque::new(),
            outbound: VecDeque::new(),
            arrivals: 0,
            exec_ids: 0,
            positions: BTreeMap::new(),
            creating_link_seqs: Vec::new(),
            counters: Counters::default(),
        })
    }

    /// Virtual time.
    pub fn now_ns(&self) -> i64 {
        self.now_ns
    }

    /// When the day closes.
    pub fn end_ns(&self) -> i64 {
        self.end_ns
    }

    /// Configuration.
    pub fn config(&self) -> &VenueConfig {
        &self.config
    }

    /// The day has closed and nothing is on its way.
    pub fn is_idle(&self) -> bool {
        self.steps.is_empty() && self.inbound.is_empty() && self.outbound.is_empty()
    }

    /// A message of the desk, sent at the present virtual time.
    pub fn receive(&mut self, routed: &Routed) {
        self.counters.received += 1;
        match MsgType::from_code(routed.msg_type) {
            Some(MsgType::NewOrder) => self.counters.new_orders += 1,
            Some(MsgType::Replace) => self.counters.replaces += 1,
            Some(MsgType::Cancel) => self.counters.cancels += 1,
            Some(MsgType::MassCancel) => self.counters.mass_cancels += 1,
            Some(MsgType::OrderStatus) => self.counters.queries += 1,
            Some(MsgType::GapFill) | None => {}
        }
        let creating = [MsgType::NewOrder.code(), MsgType::Replace.code()];
        if creating.contains(&routed.msg_type) {
            self.creating_link_seqs.push(routed.link_seq);
        }
        self.enqueue(Message::Routed(*routed));
    }

    /// A query of the desk, sent at the present virtual time.
    pub fn query(&mut self, query: &LinkQuery) {
        self.counters.queries += 1;
        self.enqueue(Message::Query(*query));
    }

    /// The link dropped and the desk had asked for it: every open order is canceled now.
    pub fn cancel_all(&mut self) {
        for index in 0..self.orders.len() {
            if self.orders[index].is_open() {
                self.close(index, OrdStatus::Canceled, None, "cancel on disconnect");
            }
        }
    }

    /// Virtual time of the next thing that happens; `i64::MAX` for none.
    pub fn next_event_ns(&self) -> i64 {
        self.next_event().map_or(i64::MAX, |(at_ns, _)| at_ns)
    }

    /// Runs to `until_ns` and hands out what is due at the desk by then, in order of time.
    pub fn run_to(&mut self, until_ns: i64, out: &mut dyn FnMut(Due)) {
        assert!(until_ns >= self.now_ns);
        while let Some((at_ns, class)) = self.next_event() {
            if at_ns > until_ns {
                break;
            }
            assert!(at_ns >= self.now_ns); // nothing happens in the past
            self.now_ns = at_ns;
            match class {
                STEP => self.step(),
                EXPIRY => self.expire(),
                TAPE => self.replay(out),
                INBOUND => self.arrive(),
                _ => out(self.outbound.pop_front().expect("it was just seen").1),
            }
        }
        self.now_ns = until_ns;
    }

    /// The recorded book of every instrument as a snapshot, for a desk that joins late.
    pub fn snapshot(&self, out: &mut dyn FnMut(BookUpdate)) {
        for (&instrument_id, market) in &self.markets {
            let mut update = BookUpdate::ZERO;
            update.header.kind = BookUpdate::KIND;
            update.instrument_id = instrument_id;
            update.transact_time_ns = self.now_ns;
            update.flags = BOOK_SNAPSHOT;
            update.action = BookAction::Clear.code();
            let orders: Vec<_> =
                market.recorded(Side::Buy).chain(market.recorded(Side::Sell)).collect();
            let count = orders.len();
            update.flags |= if count == 0 { BOOK_LAST } else { 0 };
            out(update);
            update.action = BookAction::Add.code();
            for (index, order) in orders.into_iter().enumerate() {
                update.flags = BOOK_SNAPSHOT | if index + 1 == count { BOOK_LAST } else { 0 };
                update.order_ref = order.order_ref;
                update.side = order.side.code();
                (update.price, update.qty) = (order.price, order.qty);
                out(update);
            }
        }
    }

    /// The venue's own record, without what only the link knows.
    pub fn witness(&self) -> Witness {
        Witness {
            venue_id: self.config.venue_id,
            now_ns: self.now_ns,
            orders: self.orders.iter().map(witness_of).collect(),
            positions: self.positions.values().cloned().collect(),
            creating_link_seqs: self.creating_link_seqs.clone(),
            counters: self.counters.clone(),
        }
    }

    /// New orders and replaces received with a `link_seq` above this one.
    pub fn creating_after(&self, link_seq: u32) -> u64 {
        self.creating_link_seqs.iter().filter(|&&seq| seq > link_seq).count() as u64
    }

    /// New orders and replaces received.
    pub fn creating_count(&self) -> u64 {
        self.creating_link_seqs.len() as u64
    }

    /// Orders that may still trade.
    pub fn open_count(&self) -> u64 {
        self.orders.iter().filter(|order| order.is_open()).count() as u64
    }

    // ---- time -----------------------------------------------------------------------------

    fn next_event(&self) -> Option<(i64, u8)> {
        let step = self.steps.front().map(|&(at_ns, _)| (at_ns, STEP));
        let tape = self.tape.get(self.tape_next).filter(|_| self.phase != Phase::Closed);
        let tape = tape.map(|u| (time_of(u).max(self.tape_clock_ns), TAPE));
        let inbound = self.inbound.front().map(|&(at_ns, _)| (at_ns, INBOUND));
        let outbound = self.outbound.front().map(|&(at_ns, _)| (at_ns, OUTBOUND));
        let expiry = self.expiries.first().map(|&(at_ns, _)| (at_ns, EXPIRY));
        [step, expiry, tape, inbound, outbound].into_iter().flatten().min()
    }

    fn enqueue(&mut self, message: Message) {
        let latency_ns = self.config.latency_in.draw(&mut self.random);
        let earliest_ns = self.inbound.back().map_or(i64::MIN, |&(at_ns, _)| at_ns);
        let at_ns = self.now_ns.saturating_add(latency_ns).max(earliest_ns); // a stream keeps its order
        assert!(at_ns >= self.now_ns);
        self.inbound.push_back((at_ns, message));
    }

    fn emit(&mut self, due: Due) {
        let latency_ns = self.config.latency_out.draw(&mut self.random);
        let earliest_ns = self.outbound.back().map_or(i64::MIN, |&(at_ns, _)| at_ns);
        self.outbound.push_back((self.now_ns.saturating_add(latency_ns).max(earliest_ns), due));
    }

    fn step(&mut self) {
        let (_, step) = self.steps.pop_front().expect("a step is due");
        match step {
            Step::Start => {
                self.emit_day(true);
                self.enter(Phase::PreOpen);
            }
            Step::Open => {
                self.enter(Phase::Open);
                self.auction_pending = true;
                self.tape_clock_ns = self.now_ns;
                let at_open = self.tape.get(self.tape_next);
                if at_open.is_none_or(|u| time_of(u) > self.now_ns) {
                    self.uncross_all(); // no auction on the tape at this time
                }
            }
            Step::Close => {
                self.enter(Phase::Closed);
                for index in 0..self.orders.len() {
                    let order = &self.orders[index];
                    if order.is_open() && order.ends_with(self.config.trade_day) {
                        self.close(index, OrdStatus::Expired, None, "");
                    }
                }
                self.emit_day(false);
            }
        }
    }

    /// The ExpireTime(126) of an order has come.
    fn expire(&mut self) {
        let (at_ns, index) = self.expiries.pop_first().expect("an expiry is due");
        let order = &self.orders[index];
        if order.is_open() && order.expire_time_ns == at_ns {
            self.close(index, OrdStatus::Expired, None, "");
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        let mut change = PhaseChange::ZERO;
        change.header.kind = PhaseChange::KIND;
        change.venue_id = self.config.venue_id;
        change.phase = phase.code();
        change.transact_time_ns = self.now_ns;
        self.emit(Due::Phase(change));
    }

    fn emit_day(&mut self, opened: bool) {
        let mut change = DayChange::ZERO;
        change.header.kind = DayChange::KIND;
        change.venue_id = self.config.venue_id;
        change.trade_day = self.config.trade_day;
        change.opened = u8::from(opened);
        self.emit(Due::Day(change));
    }

    // ---- the tape -------------------------------------------------------------------------

    fn replay(&mut self, out: &mut dyn FnMut(Due)) {
        let mut update = self.tape[self.tape_next];
        self.tape_next += 1;
        if self.auction_pending && self.now_ns > self.tape_clock_ns {
            self.uncross_all(); // the recording went on without an opening trade
        }
        self.tape_clock_ns = self.now_ns;
        self.counters.tape_records += 1;
        update.header.kind = BookUpdate::KIND;
        out(Due::Market(update));
        let instrument_id = update.instrument_id;
        let market = self.markets.get_mut(&instrument_id).expect("made for every instrument");
        let action = BookAction::from_code(update.action);
        if action == Some(BookAction::Trade) {
            self.trade(&update);
        } else {
            let before = market.book().order(update.order_ref);
            if !market.apply(&update) {
                self.counters.book_faults += 1;
            }
            let moved = action == Some(BookAction::Add)
                || action == Some(BookAction::Modify)
                    && before.is_none_or(|was| was.price != update.price || was.qty < update.qty);
            if moved && self.phase == Phase::Open && !self.auction_pending {
                loop {
                    let hits = self.market(instrument_id).arrive(update.order_ref);
                    if !self.give_on(instrument_id, &hits, true) {
                        break;
                    }
                }
            }
        }
        if update.flags & BOOK_LAST != 0 && self.auction_pending && self.auction_seen {
            self.uncross_all();
        }
    }

    /// A recorded trade fills our orders that it reaches.
    fn trade(&mut self, update: &BookUpdate) {
        if self.phase != Phase::Open || update.qty <= 0 {
            return;
        }
        self.auction_seen = true;
        self.counters.tape_trades += 1;
        self.counters.tape_volume += update.qty;
        let market = self.market(update.instrument_id);
        let Some(aggressor) = side_of(update.side) else {
            let hits = market.auction(update.price, update.qty);
            return self.give(update.instrument_id, &hits, false);
        };
        // What an iceberg shows anew stands behind the others and is reached by what is left.
        let mut left = update.qty;
        while left > 0 {
            let market = self.market(update.instrument_id);
            let (hits, used) = market.print(aggressor, update.price, left);
            left -= used;
            if !self.give_on(update.instrument_id, &hits, false) {
                break;
            }
        }
    }

    /// Fills of resting orders of ours by the recording.
    fn give(&mut self, instrument_id: u32, hits: &[Hit], taken: bool) {
        self.give_on(instrument_id, hits, taken);
    }

    /// The same; whether an iceberg among them shows more of itself now.
    fn give_on(&mut self, instrument_id: u32, hits: &[Hit], taken: bool) -> bool {
        let mut more = false;
        for hit in hits {
            assert!(hit.is_own());
            self.market(instrument_id).shrink(hit.order_ref, hit.qty);
            self.fill(own_index(hit.order_ref), hit.price, hit.qty);
            more |= self.replenish(own_index(hit.order_ref));
            let counter = if taken {
                &mut self.counters.taken_volume
            } else {
                &mut self.counters.passive_volume
            };
            *counter += hit.qty;
        }
        more
    }

    /// An iceberg whose shown part is gone shows the next one, behind all that rest at its price.
    fn replenish(&mut self, index: usize) -> bool {
        let order = &self.orders[index];
        let (left, instrument_id) = (order.leaves_qty(), order.instrument_id);
        if order.max_floor == 0 || left == 0 {
            return false;
        }
        let (shown, side, price) = (order.shown_of(left), order.market_side, order.price);
        if self.market(instrument_id).book().order(own_ref(index)).is_some() {
            return false; // some of what it shows is still there
        }
        self.arrivals += 1;
        self.orders[index].arrival = self.arrivals;
        if !self.market(instrument_id).rest(own_ref(index), side, price, shown) {
            self.close(index, OrdStatus::Canceled, None, "book full");
            return false;
        }
        true
    }

    /// After an auction: our orders that still cross trade as if they had just arrived, oldest
    /// first.
    fn uncross_all(&mut self) {
        self.auction_pending = false;
        let mut resting: Vec<usize> = Vec::new();
        for market in self.markets.values() {
            let own = market.own(Side::Buy).chain(market.own(Side::Sell));
            resting.extend(own.map(|order| own_index(order.order_ref)));
        }
        resting.extend(std::mem::take(&mut self.at_open));
        resting.sort_by_key(|&index| self.orders[index].arrival);
        for index in resting {
            let rests = self.orders[index].ord_type == OrdType::Limit;
            self.aggress(index, rests);
            let order = &self.orders[index];
            if order.is_open() && order.time_in_force == TimeInForce::AtOpen {
                self.close(index, OrdStatus::Expired, None, "not filled at the opening");
            }
        }
    }

    // ---- messages -------------------------------------------------------------------------

    fn arrive(&mut self) {
        let (_, message) = self.inbound.pop_front().expect("a message is due");
        match message {
            Message::Query(query) => self.answer(&query),
            Message::Routed(routed) => match MsgType::from_code(routed.msg_type) {
                Some(MsgType::NewOrder) => self.new_order(&routed),
                Some(MsgType::Replace) => self.replace(&routed),
                Some(MsgType::Cancel) => self.cancel(&routed),
                Some(MsgType::MassCancel) => self.mass_cancel(&routed),
                Some(MsgType::OrderStatus) => self.answer_order(&routed.street_id, false),
                Some(MsgType::GapFill) | None => {} // the link hands none of these out
            },
        }
    }

    fn new_order(&mut self, routed: &Routed) {
        if self.is_duplicate(&routed.street_id) {
            return;
        }
        let (Some(side), Some(market_side)) = (Side::from_code(routed.side), side_of(routed.side))
        else {
            return self.refuse_new(routed, RejReason::Other, "side");
        };
        let Some(ord_type) = OrdType::from_code(routed.ord_type) else {
            return self.refuse_new(routed, RejReason::Other, "ord_type");
        };
        let Some(time_in_force) = TimeInForce::from_code(routed.time_in_force) else {
            return self.refuse_new(routed, RejReason::Other, "time_in_force");
        };
        if let Some((reason, words)) = self.objection(routed, ord_type, time_in_force) {
            return self.refuse_new(routed, reason, words);
        }
        let index = self.orders.len();
        self.arrivals += 1;
        self.orders.push(Order {
            street_id: routed.street_id,
            first_street_id: routed.street_id,
            account_id: routed.account_id,
            instrument_id: routed.instrument_id,
            side,
            market_side,
            ord_type,
            time_in_force,
            price: routed.price,
            order_qty: routed.order_qty,
            cum_qty: 0,
            value: 0,
            ord_status: OrdStatus::New,
            arrival: self.arrivals,
            post_only: routed.exec_inst & EXEC_POST_ONLY != 0,
            max_floor: routed.max_floor,
            expire_time_ns: routed.expire_time_ns,
            expire_day: routed.expire_day,
        });
        self.by_street_id.insert(routed.street_id, index);
        if routed.expire_time_ns != 0 {
            self.expiries.insert((routed.expire_time_ns, index));
        }
        self.report(index, ExecType::New, routed.street_id, None);
        if time_in_force == TimeInForce::AtOpen && ord_type == OrdType::Market {
            return self.at_open.push(index);
        }
        self.aggress(index, false);
    }

    /// Why the terms of a new order are not taken.
    fn objection_to_terms(
        &self,
        routed: &Routed,
        ord_type: OrdType,
        time_in_force: TimeInForce,
    ) -> Option<(RejReason, &'static str)> {
        let other = |words| Some((RejReason::Other, words));
        let (time, day) = (routed.expire_time_ns, routed.expire_day);
        if time_in_force == TimeInForce::AtClose {
            return other("at_close: no closing auction here");
        }
        match (time_in_force == TimeInForce::Gtd, time != 0, day != 0) {
            (false, false, false) | (true, false, true) => {}
            (true, true, false) if time > self.now_ns => {}
            (true, true, false) => return other("expire_time has passed"),
            (true, ..) => return other("gtd: one of expire_time, expire_date"),
            (false, ..) => return other("an expiry without gtd"),
        }
        if day != 0 && day < self.config.trade_day {
            return other("expire_date has passed");
        }
        if routed.max_floor < 0 || routed.max_floor > routed.order_qty {
            return other("max_floor out of range");
        }
        let limit = ord_type == OrdType::Limit;
        if !limit && (routed.max_floor != 0 || routed.exec_inst & EXEC_POST_ONLY != 0) {
            return other("max_floor and post_only are for limit orders");
        }
        None
    }

    /// Whether a limit order at this price would trade at once.
    fn would_trade(&self, instrument_id: u32, side: Side, price: i64) -> bool {
        if self.phase != Phase::Open || self.auction_pending {
            return false;
        }
        let market = &self.markets[&instrument_id];
        let plan = market.plan(side, Some(price), 1, true);
        plan.qty != 0 || plan.met_own.is_some()
    }

    /// Why a new order is not taken, first reason first.
    fn objection(
        &mut self,
        routed: &Routed,
        ord_type: OrdType,
        time_in_force: TimeInForce,
    ) -> Option<(RejReason, &'static str)> {
        use TimeInForce::{AtOpen, Day, Gtc, Gtd};
        if !self.markets.contains_key(&routed.instrument_id) {
            return Some((RejReason::UnknownSymbol, "unknown instrument"));
        }
        if !matches!(ord_type, OrdType::Market | OrdType::Limit) {
            return Some((RejReason::Other, "ord_type not supported"));
        }
        if !(1..=QTY_MAX).contains(&routed.order_qty) {
            return Some((RejReason::Other, "order_qty out of range"));
        }
        if let Some(objection) = self.objection_to_terms(routed, ord_type, time_in_force) {
            return Some(objection);
        }
        let waits = ord_type == OrdType::Limit && matches!(time_in_force, Day | Gtc | Gtd);
        match self.phase {
            Phase::Open if time_in_force == AtOpen => {
                return Some((RejReason::ExchangeClosed, "at_open: the opening is over"));
            }
            Phase::Open => {}
            Phase::PreOpen if waits || time_in_force == AtOpen => {}
            _ => return Some((RejReason::ExchangeClosed, "no matching in this phase")),
        }
        if let Some(side) = side_of(routed.side).filter(|_| routed.exec_inst & EXEC_POST_ONLY != 0)
            && self.would_trade(routed.instrument_id, side, routed.price)
        {
            return Some((RejReason::Other, WOULD_TRADE));
        }
        if self.orders.len() >= self.config.orders_max / 2 {
            return Some((RejReason::BrokerOption, "order table full"));
        }
        if self.random.happens(self.config.reject_new_ppm) {
            return Some((RejReason::BrokerOption, "refused at random"));
        }
        None
    }

    fn refuse_new(&mut self, routed: &Routed, reason: RejReason, words: &str) {
        // The id is taken: the same message again is a duplicate, not a second chance.
        let index = self.orders.len();
        self.orders.push(Order {
            street_id: routed.street_id,
            first_street_id: routed.street_id,
            account_id: routed.account_id,
            instrument_id: routed.instrument_id,
            side: Side::from_code(routed.side).unwrap_or(Side::Buy),
            market_side: side_of(routed.side).unwrap_or(Side::Buy),
            ord_type: OrdType::from_code(routed.ord_type).unwrap_or(OrdType::Limit),
            time_in_force: TimeInForce::from_code(routed.time_in_force).unwrap_or(TimeInForce::Day),
            price: routed.price,
            order_qty: routed.order_qty,
            cum_qty: 0,
            value: 0,
            ord_status: OrdStatus::Rejected,
            arrival: 0,
            post_only: false,
            max_floor: 0,
            expire_time_ns: 0,
            expire_day: 0,
        });
        self.by_street_id.insert(routed.street_id, index);
        self.counters.rejects += 1;
        self.report(index, ExecType::Rejected, routed.street_id, Some((reason, words)));
    }

    /// A street id that is known makes no second order; the answer is the order's status.
    fn is_duplicate(&mut self, street_id: &[u8; 20]) -> bool {
        let known = self.by_street_id.contains_key(street_id);
        if known {
            self.counters.duplicate_sends += 1;
            self.answer_order(street_id, true);
        }
        known
    }

    fn replace(&mut self, routed: &Routed) {
        if self.is_duplicate(&routed.street_id) {
            return;
        }
        let refused = ExecType::ReplaceRejected;
        let Some(index) = self.changeable(routed, refused) else { return };
        if self.orders[index].street_id != routed.orig_street_id {
            let words = "orig_street_id is not the order's present id";
            return self.refuse_change(
                routed,
                Some(index),
                refused,
                RejReason::UnknownOrder,
                words,
            );
        }
        if !matches!(self.phase, Phase::Open | Phase::PreOpen) {
            let words = "no replace in this phase";
            let reason = RejReason::ExchangeClosed;
            return self.refuse_change(routed, Some(index), refused, reason, words);
        }
        if !(1..=QTY_MAX).contains(&routed.order_qty) {
            let words = "order_qty out of range";
            return self.refuse_change(routed, Some(index), refused, RejReason::Other, words);
        }
        let order = &self.orders[index];
        let moves = order.price != routed.price && order.post_only;
        if moves && self.would_trade(order.instrument_id, order.market_side, routed.price) {
            let reason = RejReason::Other;
            return self.refuse_change(routed, Some(index), refused, reason, WOULD_TRADE);
        }
        self.by_street_id.insert(routed.street_id, index);
        let order = &mut self.orders[index];
        let (own_ref, instrument_id) = (own_ref(index), order.instrument_id);
        let keeps_place = order.price == routed.price && routed.order_qty <= order.order_qty;
        order.street_id = routed.street_id;
        order.price = routed.price;
        order.order_qty = routed.order_qty;
        if order.order_qty <= order.cum_qty {
            // FIX 4.4 volume 4, appendix D: nothing is left, so it is filled at what it has.
            order.order_qty = order.cum_qty;
            order.ord_status = OrdStatus::Filled;
            self.market(instrument_id).leave(own_ref);
            return self.report(index, ExecType::Replaced, routed.street_id, None);
        }
        if keeps_place {
            // An iceberg gives of what it keeps back first.
            let left = order.leaves_qty();
            let shown = self.market(instrument_id).book().order(own_ref).map_or(0, |o| o.qty);
            if shown > left {
                self.market(instrument_id).shrink(own_ref, shown - left);
            }
            return self.report(index, ExecType::Replaced, routed.street_id, None);
        }
        self.arrivals += 1;
        order.arrival = self.arrivals;
        self.market(instrument_id).leave(own_ref);
        self.report(index, ExecType::Replaced, routed.street_id, None);
        if !self.at_open.contains(&index) {
            self.aggress(index, false); // one for the opening waits on
        }
    }

    fn cancel(&mut self, routed: &Routed) {
        let Some(index) = self.changeable(routed, ExecType::CancelRejected) else { return };
        self.close(index, OrdStatus::Canceled, Some(routed.street_id), "");
    }

    fn mass_cancel(&mut self, routed: &Routed) {
        let side = side_of(routed.side);
        for index in 0..self.orders.len() {
            let order = &self.orders[index];
            let named = (routed.account_id == 0 || routed.account_id == order.account_id)
                && (routed.instrument_id == 0 || routed.instrument_id == order.instrument_id)
                && side.is_none_or(|side| side == order.market_side);
            if named && order.is_open() {
                self.close(index, OrdStatus::Canceled, None, "mass cancel");
            }
        }
    }

    /// The open order that a cancel or replace names by any id it ever had; refused otherwise.
    fn changeable(&mut self, routed: &Routed, refused: ExecType) -> Option<usize> {
        let index = self.by_street_id.get(&routed.orig_street_id).copied();
        let open = index.is_some_and(|index| self.orders[index].is_open());
        let (reason, words) = match index {
            None => (RejReason::UnknownOrder, "unknown order"),
            Some(_) if !open => (RejReason::TooLate, "too late: the order is closed"),
            Some(_) if self.random.happens(self.config.reject_change_ppm) => {
                (RejReason::BrokerOption, "refused at random")
            }
            Some(index) => return Some(index),
        };
        self.refuse_change(routed, index, refused, reason, words);
        None
    }

    fn refuse_change(
        &mut self,
        routed: &Routed,
        index: Option<usize>,
        refused: ExecType,
        reason: RejReason,
        words: &str,
    ) {
        self.counters.rejects += 1;
        if let Some(index) = index {
            return self.report(index, refused, routed.street_id, Some((reason, words)));
        }
        let mut report = self.blank(refused, routed.street_id);
        report.ord_status = OrdStatus::Rejected.code(); // FIX: status of an unknown order
        report.exec_id = self.exec_id();
        self.emit(Due::Report(report, Some(words_of(reason, words))));
    }

    // ---- matching -------------------------------------------------------------------------

    /// An order that has just arrived, or still crosses after an auction (`rests`), trades with
    /// what is there; what is left rests or is canceled.
    fn aggress(&mut self, index: usize, rests: bool) {
        let order = self.orders[index].clone();
        if !order.is_open() {
            return;
        }
        let stop_at_own = self.config.prevent_self_trades;
        let leaves_qty = order.leaves_qty();
        let mut met_own = None;
        if self.phase == Phase::Open && !self.auction_pending {
            let market = self.market(order.instrument_id);
            let plan = market.plan(order.market_side, order.limit(), leaves_qty, stop_at_own);
            if order.time_in_force == TimeInForce::Fok && plan.qty < leaves_qty {
                return self.close(index, OrdStatus::Canceled, None, "fill or kill");
            }
            if order.post_only && (plan.qty != 0 || plan.met_own.is_some()) {
                return self.close(index, OrdStatus::Canceled, None, WOULD_TRADE);
            }
            met_own = plan.met_own;
            let mut more = false;
            for hit in &plan.hits {
                more |= self.trade_with(index, hit, rests);
            }
            if more && self.orders[index].is_open() {
                return self.aggress(index, rests); // an iceberg of ours shows more: this ends
            }
        }
        if let Some(other_ref) = met_own {
            self.counters.self_trades_prevented += 1;
            let other = own_index(other_ref);
            if self.orders[other].arrival < self.orders[index].arrival {
                return self.close(index, OrdStatus::Canceled, None, "self trade prevented");
            }
            self.close(other, OrdStatus::Canceled, None, "self trade prevented");
            return self.aggress(index, rests); // one order of ours fewer: this ends
        }
        let left = self.orders[index].leaves_qty();
        if left == 0 || rests {
            return;
        }
        if order.ord_type == OrdType::Market || !order.waits() {
            return self.close(index, OrdStatus::Canceled, None, "rest not filled at once");
        }
        let (market, shown) = (self.market(order.instrument_id), order.shown_of(left));
        if !market.rest(own_ref(index), order.market_side, order.price, shown) {
            self.close(index, OrdStatus::Canceled, None, "book full");
        }
    }

    /// One trade of an aggressive order; whether an iceberg that it met shows more of itself now.
    fn trade_with(&mut self, index: usize, hit: &Hit, rests: bool) -> bool {
        let instrument_id = self.orders[index].instrument_id;
        let mut more = false;
        if hit.is_own() {
            self.counters.self_trades += hit.qty;
            self.market(instrument_id).shrink(hit.order_ref, hit.qty);
            self.fill(own_index(hit.order_ref), hit.price, hit.qty);
            more = self.replenish(own_index(hit.order_ref));
        } else {
            self.market(instrument_id).take(hit);
            self.counters.taken_volume += hit.qty;
        }
        if rests {
            // What it keeps back trades too: no more than what it shows can leave the queue.
            let market = self.market(instrument_id);
            let shown = market.book().order(own_ref(index)).map_or(0, |order| order.qty);
            if shown > 0 {
                market.shrink(own_ref(index), hit.qty.min(shown));
            }
        }
        self.fill(index, hit.price, hit.qty);
        if rests {
            self.replenish(index);
        }
        more
    }

    fn fill(&mut self, index: usize, price: i64, qty: i64) {
        let fee =
            (i128::from(self.config.fee_per_contract) * i128::from(qty) / i128::from(ONE)) as i64;
        let order = &mut self.orders[index];
        assert!(order.is_open());
        assert!(qty > 0);
        order.cum_qty += qty;
        assert!(order.cum_qty <= order.order_qty);
        let value = i128::from(price) * i128::from(qty);
        order.value += value;
        let whole = order.cum_qty == order.order_qty;
        order.ord_status = if whole { OrdStatus::Filled } else { OrdStatus::PartiallyFilled };
        let (account_id, instrument_id) = (order.account_id, order.instrument_id);
        let (street_id, bought) = (order.street_id, order.market_side == Side::Buy);
        let key = (account_id, instrument_id);
        let position = self.positions.entry(key).or_default();
        (position.account_id, position.instrument_id) = key;
        position.net += if bought { qty } else { -qty };
        position.bought += if bought { qty } else { 0 };
        position.sold += if bought { 0 } else { qty };
        position.cash += if bought { -value } else { value };
        position.fee += fee;
        self.counters.fills += 1;
        self.counters.volume += qty;
        let mut report = self.blank(ExecType::Trade, street_id);
        self.fill_in(&mut report, index);
        (report.last_px, report.last_qty, report.fee) = (price, qty, fee);
        report.exec_id = self.exec_id();
        self.emit(Due::Report(report, None));
    }

    /// Ends an open order: solicited by the message `street_id`, or of the venue's own accord.
    fn close(
        &mut self,
        index: usize,
        ord_status: OrdStatus,
        street_id: Option<[u8; 20]>,
        words: &str,
    ) {
        assert!(self.orders[index].is_open());
        let instrument_id = self.orders[index].instrument_id;
        self.market(instrument_id).leave(own_ref(index));
        self.orders[index].ord_status = ord_status;
        let expired = ord_status == OrdStatus::Expired;
        let exec_type = if expired { ExecType::Expired } else { ExecType::Canceled };
        let words = (!words.is_empty()).then_some((RejReason::None, words));
        let street_id = street_id.unwrap_or(self.orders[index].street_id);
        self.report(index, exec_type, street_id, words);
    }

    // ---- reports --------------------------------------------------------------------------

    fn report(
        &mut self,
        index: usize,
        exec_type: ExecType,
        street_id: [u8; 20],
        words: Option<(RejReason, &str)>,
    ) {
        let mut report = self.blank(exec_type, street_id);
        self.fill_in(&mut report, index);
        report.exec_id = self.exec_id();
        self.emit(Due::Report(report, words.map(|(reason, words)| words_of(reason, words))));
    }

    fn answer(&mut self, query: &LinkQuery) {
        let mut end = LinkQueryEnd::ZERO;
        end.header.kind = LinkQueryEnd::KIND;
        end.query_id = query.query_id;
        match QueryKind::from_code(query.query_kind) {
            Some(QueryKind::Order) => {
                self.answer_order(&query.street_id, false);
                end.count = 1;
            }
            Some(QueryKind::Open) => {
                let open: Vec<usize> =
                    (0..self.orders.len()).filter(|&i| self.orders[i].is_open()).collect();
                end.count = open.len() as u32;
                for (at, &index) in open.iter().enumerate() {
                    self.answer_status(index, at + 1 == open.len(), None);
                }
            }
            Some(QueryKind::Fills) => {
                let since_link_seq = query.since_link_seq;
                return self.emit(Due::Fills { query_id: query.query_id, since_link_seq });
            }
            None => {}
        }
        self.emit(Due::QueryEnd(end));
    }

    fn answer_order(&mut self, street_id: &[u8; 20], duplicate: bool) {
        let words = (RejReason::DuplicateOrder, "street id known: not a second order");
        if let Some(&index) = self.by_street_id.get(street_id) {
            return self.answer_status(index, true, duplicate.then_some(words));
        }
        let mut report = self.blank(ExecType::UnknownOrder, *street_id);
        report.flags = REPORT_QUERIED | LAST_ANSWER;
        report.ord_status = OrdStatus::Rejected.code();
        report.exec_id = self.exec_id();
        self.emit(Due::Answer(report, None));
    }

    fn answer_status(&mut self, index: usize, last: bool, words: Option<(RejReason, &str)>) {
        let mut report = self.blank(ExecType::OrderStatus, self.orders[index].street_id);
        self.fill_in(&mut report, index);
        report.flags = REPORT_QUERIED | if last { LAST_ANSWER } else { 0 };
        report.exec_id = self.exec_id();
        self.emit(Due::Answer(report, words.map(|(reason, words)| words_of(reason, words))));
    }

    fn blank(&self, exec_type: ExecType, street_id: [u8; 20]) -> ExecutionReport {
        let mut report = ExecutionReport::ZERO;
        report.header.kind = ExecutionReport::KIND;
        report.street_id = street_id;
        report.venue_id = self.config.venue_id;
        report.trade_day = self.config.trade_day;
        report.exec_type = exec_type.code();
        report.transact_time_ns = self.now_ns;
        report
    }

    fn fill_in(&self, report: &mut ExecutionReport, index: usize) {
        let order = &self.orders[index];
        report.ord_status = order.ord_status.code();
        (report.last_px, report.last_qty) = (order.price, order.order_qty);
        (report.cum_qty, report.leaves_qty) = (order.cum_qty, order.leaves_qty());
    }

    fn exec_id(&mut self) -> [u8; 16] {
        self.exec_ids += 1;
        text(&format!("V{:015}", self.exec_ids))
    }

    fn market(&mut self, instrument_id: u32) -> &mut Market {
        self.markets.get_mut(&instrument_id).expect("orders name known instruments only")
    }

    /// Our open orders that still cross something they could trade with: none between events.
    pub fn crossing(&self) -> usize {
        let of = |(index, order): (usize, &Order)| {
            let Some(market) = self.markets.get(&order.instrument_id) else { return false };
            let resting = market.book().order(own_ref(index)).is_some();
            let (side, limit) = (order.market_side, order.limit());
            resting && !market.plan(side, limit, i64::MAX, false).hits.is_empty()
        };
        self.orders.iter().enumerate().filter(|&row| of(row)).count()
    }
}

/// `ExecutionReport::flags`: last report of a query.
pub const LAST_ANSWER: u8 = 16;

const WOULD_TRADE: &str = "post_only: it would trade at once";

/// Largest order: a thousand of them still fit the sums of a position.
const QTY_MAX: i64 = i64::MAX / 1024;

// Order of what happens at one virtual time.
const STEP: u8 = 0;
const EXPIRY: u8 = 1;
const TAPE: u8 = 2;
const INBOUND: u8 = 3;
const OUTBOUND: u8 = 4;

fn own_ref(index: usize) -> u64 {
    OWN_REF | index as u64
}

fn own_index(own_ref: u64) -> usize {
    assert!(own_ref & OWN_REF != 0);
    (own_ref & !OWN_REF) as usize
}

fn words_of(reason: RejReason, words: &str) -> ReportText {
    let mut row = ReportText::ZERO;
    row.header.kind = ReportText::KIND;
    row.rej_reason = reason.code();
    row.text = text(words);
    row
}

fn witness_of(order: &Order) -> WitnessOrder {
    WitnessOrder {
        street_id: text_of(&order.street_id).to_string(),
        first_street_id: text_of(&order.first_street_id).to_string(),
        account_id: order.account_id,
        instrument_id: order.instrument_id,
        side: order.side.name(),
        ord_type: order.ord_type.name(),
        time_in_force: order.time_in_force.name(),
        ord_status: order.ord_status.name(),
        price: order.price,
        order_qty: order.order_qty,
        cum_qty: order.cum_qty,
        leaves_qty: order.leaves_qty(),
        value: order.value,
    }
}

/// When a record happens here: when a client could know of it, so that nothing is known early.
fn time_of(update: &BookUpdate) -> i64 {
    if update.header.ingest_time_ns > 0 {
        update.header.ingest_time_ns
    } else {
        update.transact_time_ns
    }
}

/// Start, opening and end of the day, from the configuration or the tape.
fn day_of(config: &VenueConfig, tape: &[BookUpdate]) -> Result<(i64, i64, i64), SimError> {
    let live = |update: &&BookUpdate| update.flags & BOOK_SNAPSHOT == 0;
    let first_ns = tape.iter().find(live).or(tape.first()).map(time_of);
    let start_ns = config.start_ns.or(first_ns).ok_or(SimError::TapeEmpty)?;
    let (mut clock_ns, mut traded_ns) = (start_ns, None);
    for update in tape {
        clock_ns = clock_ns.max(time_of(update));
        if traded_ns.is_none() && update.action == BookAction::Trade.code() {
            traded_ns = Some(clock_ns);
        }
    }
    let last_ns = (!tape.is_empty()).then_some(clock_ns + 1_000_000_000);
    let open_ns = config.open_ns.or(traded_ns).unwrap_or(start_ns);
    let end_ns = config.end_ns.or(last_ns).ok_or(SimError::TapeEmpty)?;
    let bad = |words: String| Err(SimError::Config(words));
    if open_ns < start_ns || end_ns <= open_ns {
        return bad(format!("start {start_ns}, open {open_ns}, end {end_ns} do not rise"));
    }
    if config.step_min_ns <= 0 || config.outage_ns < 0 || config.speed_up == 0 {
        let words = "step_min_ns {0} and speed_up {1} must be above 0, outage_ns {2} not below";
        let words = words.replace("{0}", &config.step_min_ns.to_string());
        let words = words.replace("{1}", &config.speed_up.to_string());
        return bad(words.replace("{2}", &config.outage_ns.to_string()));
    }
    let ways = [config.latency_in, config.latency_out];
    if ways.iter().any(|way| way.floor_ns < 0 || way.median_ns < 0) {
        return bad(format!("latencies {ways:?} must not be negative"));
    }
    if config.orders_max < 2 || config.orders_max > 1 << 24 {
        return bad(format!("orders_max {} is not in 2..=2^24", config.orders_max));
    }
    Ok((start_ns, open_ns, end_ns))
}
