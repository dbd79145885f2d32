//! One instrument at the simulated venue: the recorded book and our orders in the same queues, and
//! who fills whom. `venue` calls it and books what it says; nothing here knows orders' owners.
//! Must stay true: a recorded contract fills at most one contract of ours, and the recording's own
//! bookkeeping is never touched: our share is kept beside it, in `Marks`.
//!
//! ```text
//! queue at 4800.25:  recorded 5   ours 2   recorded 3        a recorded aggressor of 6:
//!                    absorbs 5 -> fills 1  (not reached)     then its cancels and modifies follow
//! ```

use engine::book::{Book, BookOrder, OWN_REF};
use layout::{BOOK_LAST, BookAction, BookUpdate, Side};
use std::collections::BTreeMap;

/// One order met on a walk, and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Recorded order, or ours with `OWN_REF` set.
    pub order_ref: u64,
    /// Price of the trade.
    pub price: i64,
    /// Size of the trade.
    pub qty: i64,
}

impl Hit {
    /// Whether the order met is ours.
    pub fn is_own(&self) -> bool {
        self.order_ref & OWN_REF != 0
    }
}

/// What is used up of a recorded order beside the recording's own bookkeeping.
#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    /// By our aggressive orders; stays until the order leaves.
    taken: i64,
    /// By recorded aggressors of the present event whose bookkeeping has not come yet.
    absorbed: i64,
}

/// What an aggressive order of ours would do.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Recorded orders it takes from, and orders of ours where self trades are allowed.
    pub hits: Vec<Hit>,
    /// Sum of the hits.
    pub qty: i64,
    /// The order of ours that stopped the walk.
    pub met_own: Option<u64>,
}

/// One instrument.
pub struct Market {
    book: Book,
    marks: BTreeMap<u64, Marks>,
    absorbing: Vec<u64>,
}

/// The two sides that matter in a queue.
pub fn side_of(code: u8) -> Option<Side> {
    match Side::from_code(code)? {
        Side::Buy => Some(Side::Buy),
        Side::Sell | Side::SellShort | Side::SellShortExempt => Some(Side::Sell),
    }
}

/// The side an order of `side` trades with.
pub fn opposite(side: Side) -> Side {
    if side == Side::Buy { Side::Sell } else { Side::Buy }
}

/// Whether an order of `side` with `limit` may trade at `price`; no limit: a market order.
pub fn acceptable(side: Side, limit: Option<i64>, price: i64) -> bool {
    limit.is_none_or(|limit| if side == Side::Buy { price <= limit } else { price >= limit })
}

impl Market {
    /// An empty market with room for so many orders, recorded and ours.
    pub fn new(orders_max: usize) -> Self {
        let book = Book::new(orders_max, orders_max.min(1 << 14));
        Self { book, marks: BTreeMap::new(), absorbing: Vec::new() }
    }

    /// The merged book.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Recorded orders of a side in priority order, as the recording has them.
    pub fn recorded(&self, side: Side) -> impl Iterator<Item = BookOrder> + '_ {
        self.book.walk(side).filter(|order| order.order_ref & OWN_REF == 0)
    }

    /// Our orders of a side in priority order.
    pub fn own(&self, side: Side) -> impl Iterator<Item = BookOrder> + '_ {
        self.book.walk(side).filter(|order| order.order_ref & OWN_REF != 0)
    }

    /// What is left for us of a recorded order.
    pub fn available(&self, order: &BookOrder) -> i64 {
        let marks = self.marks.get(&order.order_ref).copied().unwrap_or_default();
        (order.qty - marks.taken - marks.absorbed).max(0)
    }

    /// Our order joins its queue behind all that rest there. `false`: no room.
    #[must_use]
    pub fn rest(&mut self, own_ref: u64, side: Side, price: i64, qty: i64) -> bool {
        assert!(own_ref & OWN_REF != 0);
        self.book.add(own_ref, side, price, qty).is_ok()
    }

    /// Our order shrinks in place.
    pub fn shrink(&mut self, own_ref: u64, by_qty: i64) {
        assert!(own_ref & OWN_REF != 0);
        self.book.reduce(own_ref, by_qty).expect("an order of ours that rests");
    }

    /// Our order leaves the book, if it rests.
    pub fn leave(&mut self, own_ref: u64) {
        assert!(own_ref & OWN_REF != 0);
        let _ = self.book.remove(own_ref); // an order that never rested is not there
    }

    /// Walks the other side for an aggressive order of ours; changes nothing. With `stop_at_own`
    /// the walk ends at the first order of ours.
    pub fn plan(&self, side: Side, limit: Option<i64>, qty: i64, stop_at_own: bool) -> Plan {
        let mut plan = Plan::default();
        for order in self.book.walk(opposite(side)) {
            if plan.qty == qty || !acceptable(side, limit, order.price) {
                break;
            }
            let own = order.order_ref & OWN_REF != 0;
            if own && stop_at_own {
                plan.met_own = Some(order.order_ref);
                break;
            }
            let there = if own { order.qty } else { self.available(&order) };
            let hit_qty = there.min(qty - plan.qty);
            if hit_qty > 0 {
                plan.qty += hit_qty;
                plan.hits.push(Hit {
                    order_ref: order.order_ref,
                    price: order.price,
                    qty: hit_qty,
                });
            }
        }
        assert!(plan.qty <= qty);
        plan
    }

    /// Our aggressive order took `qty` of a recorded one: it cannot be taken again.
    pub fn take(&mut self, hit: &Hit) {
        assert!(!hit.is_own());
        let order = self.book.order(hit.order_ref).expect("a recorded order that was just met");
        assert!(self.available(&order) >= hit.qty);
        self.marks.entry(hit.order_ref).or_default().taken += hit.qty;
    }

    /// A recorded aggressor: uses up its size in the merged queue of the other side, from the best
    /// price to its own. Returns the hits on our orders, each at our price, and how much it used up.
    pub fn print(&mut self, aggressor: Side, price: i64, qty: i64) -> (Vec<Hit>, i64) {
        let (met, _) = self.walk_print(aggressor, price, qty, i64::MAX);
        self.absorb(&met);
        let used = met.iter().map(|hit| hit.qty).sum();
        (met.into_iter().filter(Hit::is_own).collect(), used)
    }

    /// The trade of an auction: every contract has a recorded buyer and a recorded seller. Our
    /// orders that cross its price take part in their places in the queue, at its price; together
    /// they get at most `qty`.
    pub fn auction(&mut self, price: i64, qty: i64) -> Vec<Hit> {
        let (buys, bought) = self.walk_print(Side::Sell, price, qty, qty);
        let (sells, _) = self.walk_print(Side::Buy, price, qty, qty - bought);
        self.absorb(&buys);
        self.absorb(&sells);
        let own = buys.into_iter().chain(sells).filter(Hit::is_own);
        own.map(|hit| Hit { price, ..hit }).collect()
    }

    /// Folds one recorded record into the book and keeps the marks in step with it. A clear keeps
    /// our orders. `false`: the book refused the record.
    pub fn apply(&mut self, update: &BookUpdate) -> bool {
        let action = BookAction::from_code(update.action);
        let before = self.book.order(update.order_ref).map_or(0, |order| order.qty);
        let kept: Vec<BookOrder> = if action == Some(BookAction::Clear) {
            self.marks.clear();
            self.own(Side::Buy).chain(self.own(Side::Sell)).collect()
        } else {
            Vec::new()
        };
        let done = update.order_ref & OWN_REF == 0 && self.book.apply(update).is_ok();
        for order in kept {
            let back = self.book.add(order.order_ref, order.side, order.price, order.qty);
            back.expect("room for what was there before");
        }
        self.settle(update.order_ref, before);
        if update.flags & BOOK_LAST != 0 {
            self.end_event();
        }
        done
    }

    /// A recorded order came to rest through orders of ours: they trade with it, at our price, and
    /// what it gave is marked as taken. Recorded orders are not its counterparts: their trades are
    /// on the tape.
    pub fn arrive(&mut self, order_ref: u64) -> Vec<Hit> {
        let Some(order) = self.book.order(order_ref) else { return Vec::new() };
        let (mut left, mut hits) = (self.available(&order), Vec::new());
        for own in self.book.walk(opposite(order.side)) {
            if left == 0 || !acceptable(order.side, Some(order.price), own.price) {
                break;
            }
            if own.order_ref & OWN_REF != 0 {
                let qty = own.qty.min(left);
                left -= qty;
                hits.push(Hit { order_ref: own.order_ref, price: own.price, qty });
                self.marks.entry(order_ref).or_default().taken += qty;
            }
        }
        hits
    }

    /// Hits of a recorded aggressor in priority order, ours for at most `own_max` together.
    fn walk_print(&self, aggressor: Side, price: i64, qty: i64, own_max: i64) -> (Vec<Hit>, i64) {
        let (mut left, mut own_qty, mut met) = (qty, 0, Vec::new());
        for order in self.book.walk(opposite(aggressor)) {
            if left <= 0 || !acceptable(aggressor, Some(price), order.price) {
                break;
            }
            let own = order.order_ref & OWN_REF != 0;
            let there = if own { order.qty.min(own_max - own_qty) } else { self.available(&order) };
            let hit_qty = there.min(left);
            if hit_qty > 0 {
                left -= hit_qty;
                own_qty += if own { hit_qty } else { 0 };
                met.push(Hit { order_ref: order.order_ref, price: order.price, qty: hit_qty });
            }
        }
        assert!(left >= 0 || qty < 0);
        (met, own_qty)
    }

    fn absorb(&mut self, met: &[Hit]) {
        for hit in met.iter().filter(|hit| !hit.is_own()) {
            self.marks.entry(hit.order_ref).or_default().absorbed += hit.qty;
            self.absorbing.push(hit.order_ref);
        }
    }

    /// The recording took size off an order: that much of what was absorbed is booked now.
    fn settle(&mut self, order_ref: u64, before: i64) {
        let now = self.book.order(order_ref).map_or(0, |order| order.qty);
        if now == 0 {
            self.marks.remove(&order_ref);
        } else if now < before
            && let Some(marks) = self.marks.get_mut(&order_ref)
        {
            marks.absorbed = (marks.absorbed - (before - now)).max(0);
        }
    }

    /// At the end of an event all its bookkeeping has come.
    fn end_event(&mut self) {
        for order_ref in self.absorbing.drain(..) {
            if let Some(marks) = self.marks.get_mut(&order_ref) {
                marks.absorbed = 0;
                if marks.taken == 0 {
                    self.marks.remove(&order_ref);
                }
            }
        }
    }
}
