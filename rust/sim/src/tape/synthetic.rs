//! A seeded day of the shape of a recorded one, for machines without the recording: snapshot, thin pre-open that
//! crosses and locks, opening auction, continuous trading. Called by the demo, tests and benches. Rates, sizes and
//! distances are those measured on a holiday-thin hour of an index future; `profile` shows both side by side.
//! Must stay true: one seed, one day; the records fit a book without a fault, and after the opening the book is
//! never crossed at a record flagged last. Orders are drawn without memory: it has no trend and no news.

use engine::book::{Book, BookOrder};
use layout::{BOOK_LAST, BOOK_SNAPSHOT, BookAction, BookUpdate, Header, ONE, Side};

use super::day_book;
use super::plan::mix;

/// 2024-01-02 22:00 UTC; the opening is an hour later.
const START_NS: i64 = 1_704_232_800 * ONE;
const MINUTE_NS: i64 = 60 * ONE;
const TICK: i64 = ONE / 4;
const MID: i64 = 4_800 * ONE;
const SNAPSHOT_ORDERS: u64 = 8_700;
/// Client events a second in continuous trading; bookkeeping and fills come on top.
const EVENTS_PER_S: f64 = 12.9;
/// Mean number of client events in a burst, for the gap between bursts.
const BURST_MEAN: f64 = 4.6;
const BURST_MAX: f64 = 600.0;
/// Orders at the best price around which adds and cancels balance.
const TOP_ORDERS: f64 = 8.0;

/// (cumulative per mille, from, to): a size is drawn evenly from the first row that holds the draw.
type Sizes = [(u64, u64, u64)];
const ADD_QTY: &Sizes = &[
    (750, 1, 1),
    (838, 2, 2),
    (892, 3, 3),
    (926, 4, 4),
    (944, 5, 6),
    (970, 12, 12),
    (978, 13, 13),
    (1000, 7, 40),
];
const SNAPSHOT_QTY: &Sizes =
    &[(300, 1, 1), (540, 2, 2), (690, 3, 3), (800, 4, 5), (850, 12, 12), (1000, 6, 20)];
const TRADE_QTY: &Sizes = &[
    (600, 1, 1),
    (755, 2, 2),
    (811, 3, 3),
    (856, 4, 4),
    (886, 5, 5),
    (950, 6, 10),
    (992, 11, 30),
    (1000, 31, 150),
];
/// Distance in ticks from the best price of the own side, drawn likewise.
const ADD_TICKS: &Sizes = &[
    (590, 0, 0),
    (655, 1, 1),
    (680, 2, 2),
    (697, 3, 3),
    (760, 4, 12),
    (820, 13, 20),
    (910, 21, 60),
    (1000, 61, 400),
];
const MODIFY_TICKS: &Sizes = &[
    (260, 0, 0),
    (390, 1, 1),
    (507, 2, 2),
    (606, 3, 3),
    (668, 4, 4),
    (706, 5, 5),
    (818, 6, 20),
    (850, 21, 60),
    (1000, 61, 400),
];
const SNAPSHOT_TICKS: &Sizes =
    &[(60, 1, 20), (350, 21, 80), (620, 81, 250), (820, 251, 800), (1000, 801, 2500)];

struct Generator {
    seed: u64,
    draws: u64,
    instrument_id: u32,
    now_ns: i64,  // the exchange's time
    recv_ns: i64, // when a client can know, never falls
    sequence: u64,
    next_ref: u64,
    book: Book,
    live: Vec<u64>, // orders of the day, some of them gone already
    out: Vec<BookUpdate>,
}

/// A day of one hour of pre-open and `hours` of trading. One seed gives one day.
pub fn synthetic(seed: u64, hours: u32, instrument_id: u32) -> Vec<BookUpdate> {
    let mut day = Generator {
        seed: mix(seed),
        draws: 0,
        instrument_id,
        now_ns: START_NS - 22 * 60 * MINUTE_NS,
        recv_ns: 0,
        sequence: 1,
        next_ref: 6_400_000_000_000,
        book: day_book(),
        live: Vec::new(),
        out: Vec::new(),
    };
    day.snapshot();
    day.pre_open();
    day.opening();
    let opened_ns = day.now_ns;
    let mut in_burst = 300.0; // the opening draws a crowd
    while day.now_ns < opened_ns + i64::from(hours) * 60 * MINUTE_NS {
        day.event();
        in_burst -= 1.0;
        day.now_ns += if in_burst > 0.0 {
            day.wait_ns(120e-6)
        } else {
            in_burst = day.unit().powf(-1.0 / 1.3).min(BURST_MAX); // few bursts are long
            day.wait_ns(BURST_MEAN / EVENTS_PER_S)
        };
    }
    day.out
}

impl Generator {
    fn draw(&mut self) -> u64 {
        self.draws += 1;
        mix(self.seed.wrapping_add(self.draws.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(bound)) >> 64) as u64
    }

    /// In (0, 1].
    fn unit(&mut self) -> f64 {
        ((self.draw() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    fn chance(&mut self, share: f64) -> bool {
        self.unit() <= share
    }

    fn wait_ns(&mut self, mean_s: f64) -> i64 {
        (-self.unit().ln() * mean_s * 1e9) as i64 + 1
    }

    fn from(&mut self, table: &Sizes) -> i64 {
        let roll = self.below(1000);
        let row = table.iter().find(|row| roll < row.0).unwrap_or(&table[0]);
        (row.1 + self.below(row.2 - row.1 + 1)) as i64
    }

    fn qty(&mut self, table: &Sizes) -> i64 {
        self.from(table) * ONE
    }

    fn side(&mut self) -> Side {
        if self.draw() & 1 == 0 { Side::Buy } else { Side::Sell }
    }

    fn new_ref(&mut self) -> u64 {
        self.next_ref += 1;
        self.next_ref
    }

    /// Writes a record and folds it into the generator's own book.
    fn write(&mut self, action: BookAction, side: u8, order: (u64, i64, i64), flags: u8) {
        if flags & BOOK_SNAPSHOT != 0 {
            self.recv_ns = self.now_ns;
        } else {
            let late = 150_000 + self.below(250_000) as i64;
            self.recv_ns = self.recv_ns.max(self.now_ns + late);
        }
        let (order_ref, price, qty) = order;
        let update = BookUpdate {
            header: Header { kind: BookUpdate::KIND, ingest_time_ns: self.recv_ns, ..Header::ZERO },
            instrument_id: self.instrument_id,
            action: action.code(),
            side,
            flags,
            order_ref,
            price,
            qty,
            transact_time_ns: self.now_ns,
            sequence: self.sequence,
            ..BookUpdate::ZERO
        };
        let folded = self.book.apply(&update);
        assert!(folded.is_ok()); // the generator's own records fit its book
        self.out.push(update);
    }

    /// One client event of one record.
    fn single(&mut self, action: BookAction, side: Side, order: (u64, i64, i64)) {
        self.sequence += 1;
        self.write(action, side.code(), order, BOOK_LAST);
    }

    fn snapshot(&mut self) {
        for _ in 0..SNAPSHOT_ORDERS {
            let side = if self.below(100) < 59 { Side::Buy } else { Side::Sell };
            let price = away(MID, side, self.from(SNAPSHOT_TICKS));
            let order = (self.new_ref(), price, self.qty(SNAPSHOT_QTY));
            self.write(BookAction::Add, side.code(), order, BOOK_SNAPSHOT);
        }
    }

    /// An hour: almost nothing for 40 minutes, then orders that cross, as nothing matches yet.
    fn pre_open(&mut self) {
        self.now_ns = START_NS;
        let crosses_ns = START_NS + 40 * MINUTE_NS;
        let opens_ns = START_NS + 60 * MINUTE_NS;
        while self.now_ns < crosses_ns {
            let side = self.side();
            let order = (self.new_ref(), away(MID, side, self.from(SNAPSHOT_TICKS)), ONE);
            self.add(side, order);
            self.now_ns += self.wait_ns(70.0);
        }
        self.now_ns = crosses_ns;
        for side in [Side::Buy, Side::Sell] {
            let order = (self.new_ref(), away(MID, side, -4), ONE);
            self.add(side, order);
        }
        loop {
            let burst = self.unit().powf(-0.7).min(60.0) as u64;
            for _ in 0..burst {
                self.now_ns += self.wait_ns(100e-6);
                if self.now_ns >= opens_ns {
                    return;
                }
                self.pre_open_event();
            }
            self.now_ns += self.wait_ns(3.6);
            if self.now_ns >= opens_ns {
                return;
            }
        }
    }

    fn pre_open_event(&mut self) {
        let roll = self.below(100);
        let order = self.day_order();
        match order {
            Some(order) if (46..70).contains(&roll) && !crosses(&order) => {
                let price = away(MID, order.side, 1 + self.from(MODIFY_TICKS));
                self.single(BookAction::Modify, order.side, (order.order_ref, price, order.qty));
            }
            Some(order) if roll >= 70 && !crosses(&order) => {
                let gone = (order.order_ref, order.price, order.qty);
                self.single(BookAction::Cancel, order.side, gone);
            }
            _ => {
                let side = self.side();
                let ticks = if self.chance(0.06) {
                    1 - self.below(30) as i64 // into the other side
                } else {
                    1 + self.from(ADD_TICKS)
                };
                let order = (self.new_ref(), away(MID, side, ticks), self.qty(ADD_QTY));
                self.add(side, order);
            }
        }
    }

    /// The auction: one trade without a side, fills on both sides, then what the fills left.
    fn opening(&mut self) {
        self.now_ns = START_NS + 60 * MINUTE_NS + 100_000_000;
        let mut bids: Vec<_> = self.book.walk(Side::Buy).collect();
        let mut asks: Vec<_> = self.book.walk(Side::Sell).collect();
        let (mut b, mut a, mut matched, mut price) = (0, 0, 0, MID);
        while b < bids.len() && a < asks.len() && bids[b].price >= asks[a].price {
            let qty = bids[b].qty.min(asks[a].qty);
            price = (bids[b].price + asks[a].price).div_euclid(2 * TICK) * TICK;
            bids[b].qty -= qty;
            asks[a].qty -= qty;
            matched += qty;
            b += usize::from(bids[b].qty == 0);
            a += usize::from(asks[a].qty == 0);
        }
        let left: Vec<_> =
            bids.into_iter().take(b + 1).chain(asks.into_iter().take(a + 1)).collect();
        let hit = |book: &Book, o: &BookOrder| {
            let before = book.order(o.order_ref).map_or(0, |was| was.qty);
            (before - o.qty, o.order_ref, o.side, o.price, o.qty)
        };
        let hits: Vec<_> = left.iter().map(|o| hit(&self.book, o)).filter(|h| h.0 > 0).collect();
        self.sequence += 1;
        self.write(BookAction::Trade, 0, (0, price, matched), 0);
        for &(filled, order_ref, ..) in &hits {
            self.write(BookAction::Fill, 0, (order_ref, price, filled), 0);
        }
        self.bookkeep(&hits);
    }

    /// Cancels and modifies that say what fills left: (filled, order_ref, side, price, left).
    fn bookkeep(&mut self, hits: &[(i64, u64, Side, i64, i64)]) {
        self.now_ns += 9_000;
        self.sequence += 1;
        for (i, &(filled, order_ref, side, price, left)) in hits.iter().enumerate() {
            let flags = if i + 1 == hits.len() { BOOK_LAST } else { 0 };
            let (action, qty) =
                if left == 0 { (BookAction::Cancel, filled) } else { (BookAction::Modify, left) };
            self.write(action, side.code(), (order_ref, price, qty), flags);
        }
    }

    /// One client event of continuous trading.
    fn event(&mut self) {
        let roll = self.below(1000);
        if roll < 64 {
            self.trade();
        } else if roll < 64 + 225 {
            self.modify();
        } else if roll < 64 + 225 + 282 {
            self.cancel();
        } else {
            let side = self.side();
            let price = self.near(side, ADD_TICKS);
            let order = (self.new_ref(), price, self.qty(ADD_QTY));
            self.add(side, order);
        }
    }

    fn add(&mut self, side: Side, order: (u64, i64, i64)) {
        self.single(BookAction::Add, side, order);
        self.live.push(order.0);
    }

    /// A price near the best of the own side that does not meet the other side.
    fn near(&mut self, side: Side, ticks: &Sizes) -> i64 {
        let other = if side == Side::Buy { Side::Sell } else { Side::Buy };
        let meets = self.book.best(other).map_or(away(MID, other, 1), |l| l.price);
        let (best, count) =
            self.book.best(side).map_or((away(MID, side, 1), 0), |l| (l.price, l.count));
        let gap = (meets - best).abs() / TICK;
        if gap > 1 && self.chance(0.04) {
            return away(meets, side, 1); // the gap is an invitation
        }
        let mut distance = self.from(ticks);
        if distance == 0 && self.chance(f64::from(count) / TOP_ORDERS / 2.0 - 0.3) {
            distance = 1 + self.below(3) as i64; // the queue is long already
        }
        away(best, side, distance)
    }

    /// A resting order of the day; `None` when few tries find none.
    fn day_order(&mut self) -> Option<BookOrder> {
        for _ in 0..16 {
            if self.live.is_empty() {
                return None;
            }
            let at = self.below(self.live.len() as u64) as usize;
            if let Some(order) = self.book.order(self.live[at]) {
                return Some(order);
            }
            self.live.swap_remove(at);
        }
        None
    }

    /// An order at the best price: the longer the queue, the likelier; late comers leave first.
    fn top_order(&mut self) -> Option<BookOrder> {
        let (bid, ask) = (self.book.best_bid()?, self.book.best_ask()?);
        let both = u64::from(bid.count + ask.count);
        let (side, level) = if self.below(both) < u64::from(bid.count) {
            (Side::Buy, bid)
        } else {
            (Side::Sell, ask)
        };
        if !self.chance(f64::from(level.count) / TOP_ORDERS) {
            return None;
        }
        let at = self.below(u64::from(level.count)).max(self.below(u64::from(level.count)));
        self.book.orders_at(side, level.price).nth(at as usize)
    }

    fn modify(&mut self) {
        let top = if self.chance(0.3) { self.top_order() } else { None };
        let Some(order) = top.or_else(|| self.day_order()) else { return };
        let price = self.near(order.side, MODIFY_TICKS);
        let qty = match self.below(10) {
            0..6 => order.qty,
            6..8 => (order.qty / ONE / 2).max(1) * ONE,
            _ => self.qty(ADD_QTY),
        };
        self.single(BookAction::Modify, order.side, (order.order_ref, price, qty));
    }

    fn cancel(&mut self) {
        let top = if self.chance(0.8) { self.top_order() } else { None };
        let Some(order) = top.or_else(|| self.day_order()) else { return };
        self.single(BookAction::Cancel, order.side, (order.order_ref, order.price, order.qty));
    }

    /// An aggressor takes the best price, rarely more; rarely its rest stays in the book.
    fn trade(&mut self) {
        let side = self.side();
        let other = if side == Side::Buy { Side::Sell } else { Side::Buy };
        let order_ref = self.new_ref();
        let mut qty = self.qty(TRADE_QTY);
        let prices_max = if self.chance(0.3) { 3 } else { 1 };
        let levels: Vec<_> = self.book.levels(other).take(prices_max).collect();
        let mut hits = Vec::new();
        let mut last_px = 0;
        self.sequence += 1;
        for level in levels {
            let traded = qty.min(level.qty);
            if traded == 0 {
                break;
            }
            last_px = level.price;
            qty -= traded;
            self.write(BookAction::Trade, side.code(), (order_ref, level.price, traded), 0);
            let mut to_fill = traded;
            let queue: Vec<_> = self.book.orders_at(other, level.price).collect();
            for order in queue {
                let filled = to_fill.min(order.qty);
                if filled == 0 {
                    break;
                }
                to_fill -= filled;
                self.write(
                    BookAction::Fill,
                    other.code(),
                    (order.order_ref, level.price, filled),
                    0,
                );
                hits.push((filled, order.order_ref, other, level.price, order.qty - filled));
            }
        }
        if hits.is_empty() {
            return; // nothing rests there
        }
        self.bookkeep(&hits);
        let free = self.book.best(other).is_none_or(|l| match side {
            Side::Buy => l.price > last_px,
            _ => l.price < last_px,
        });
        if qty > 0 && free && self.chance(0.5) {
            self.add(side, (order_ref, last_px, qty));
        }
    }
}

/// `ticks` away from `price` towards the back of the side; negative into the other side.
fn away(price: i64, side: Side, ticks: i64) -> i64 {
    if side == Side::Buy { price - ticks * TICK } else { price + ticks * TICK }
}

/// The order would trade at once if anything matched: the pre-open leaves it be.
fn crosses(order: &BookOrder) -> bool {
    if order.side == Side::Buy { order.price >= MID } else { order.price <= MID }
}
