//! The shadow book of one instrument: every order (L3), with level (L2) and top (L1) views of the same state.
//! The engine thread folds market data into it; the simulated venue matches on one of its own. Never in the log.
//! Pools, ladders and index are reserved by `Book::new` and never grow: what finds no room is refused by a value.
//! Must stay true: a level's sum and count are the fold of its queue, queues are in time priority, no level is empty.
//!
//! ```text
//! index: order_ref -> node       nodes: a queue per level        ladder, per side: worst .. best
//! [ref|node][ref|node][ .. ]     head <-> node <-> tail          keys [..... 4802.25 4802.50]
//! ```

use layout::{BOOK_LAST, BookAction, BookUpdate, Side};

/// High bit of `order_ref`: set for orders that a simulated venue adds beside the recorded ones.
pub const OWN_REF: u64 = 1 << 63;

/// End of a queue, empty entry of the index, end of a free list.
const NIL: u32 = u32::MAX;
/// Levels looked at one by one from the best before the rest is halved: nearly all work is up here.
const NEAR: usize = 8;

/// Why an update was not taken. Nothing was changed by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BookFault {
    /// All order places are taken.
    BookFull,
    /// All price levels of the side are taken.
    LevelsFull,
    /// Modify, cancel or reduce of an order that does not rest here.
    UnknownOrder,
    /// An add of an order that rests already.
    DuplicateOrder,
    /// A size of zero or less, or one that overflows the sum of its level.
    BadQty,
    /// No side, or another side than that of the resting order.
    BadSide,
    /// A code that `BookAction` does not hold.
    BadAction,
}

impl BookFault {
    /// Every fault, in the order of the table.
    pub const ALL: [BookFault; 7] = [
        Self::BookFull,
        Self::LevelsFull,
        Self::UnknownOrder,
        Self::DuplicateOrder,
        Self::BadQty,
        Self::BadSide,
        Self::BadAction,
    ];
}

impl core::fmt::Display for BookFault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::BookFull => "the book is full of orders",
            Self::LevelsFull => "the book is full of price levels",
            Self::UnknownOrder => "the order does not rest in this book",
            Self::DuplicateOrder => "the order rests in this book already",
            Self::BadQty => "the size is zero, negative or overflows its level",
            Self::BadSide => "the side is missing or not that of the order",
            Self::BadAction => "the action is no known code",
        })
    }
}

impl core::error::Error for BookFault {}

/// One price with what rests there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Price, 1e-9.
    pub price: i64,
    /// Sum of the sizes, 1e-9.
    pub qty: i64,
    /// Number of orders.
    pub count: u32,
}

/// One resting order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookOrder {
    /// The venue's order number.
    pub order_ref: u64,
    /// Buy or sell.
    pub side: Side,
    /// Price, 1e-9.
    pub price: i64,
    /// Size that is left, 1e-9.
    pub qty: i64,
}

#[derive(Clone, Copy)]
struct Node {
    order_ref: u64,
    qty: i64,
    prev: u32,
    next: u32, // of a free node: the next free one
    shelf: u32,
}

/// A level with its queue.
#[derive(Clone, Copy)]
struct Shelf {
    price: i64,
    qty: i64,
    count: u32,
    head: u32,
    tail: u32,
    side: u32, // 0 bids, 1 asks; of a free shelf: the next free one
}

#[derive(Clone, Copy)]
struct Entry {
    tag: u32, // high half of the hash: its first bits are the home, so moving an entry touches no node
    node: u32,
}

const NO_ENTRY: Entry = Entry { tag: 0, node: NIL };

/// The levels of one side, worst first, so that a change near the best moves little memory.
struct Ladder {
    keys: Vec<i64>,
    shelves: Vec<u32>,
    mask: i64, // key = price ^ mask: -1 turns the order of asks round, without the overflow of a minus
}

impl Ladder {
    /// Where `key` is (`Ok`) or belongs (`Err`).
    #[inline]
    fn find(&self, key: i64) -> Result<usize, usize> {
        let count = self.keys.len();
        let far = count.saturating_sub(NEAR);
        for i in (far..count).rev() {
            if self.keys[i] <= key {
                return if self.keys[i] == key { Ok(i) } else { Err(i + 1) };
            }
        }
        self.keys[..far].binary_search(&key)
    }
}

/// An order book with room for a fixed number of orders and levels.
pub struct Book {
    nodes: Vec<Node>,
    shelves: Vec<Shelf>,
    ladders: [Ladder; 2],
    index: Vec<Entry>,
    index_shift: u32,
    node_free: u32,
    shelf_free: u32,
    orders: usize,
    levels_max: usize,
    whole: bool,
    sound: bool,
    faults: [u64; BookFault::ALL.len()],
}

impl Book {
    /// A book for at most `orders_max` orders and `levels_max` levels a side. All memory is taken
    /// and touched here.
    ///
    /// # Panics
    /// When a capacity is zero or beyond 2^30.
    pub fn new(orders_max: usize, levels_max: usize) -> Book {
        assert!((1..=1 << 30).contains(&orders_max), "orders_max {orders_max} is not in 1..=2^30");
        assert!((1..=1 << 29).contains(&levels_max), "levels_max {levels_max} is not in 1..=2^29");
        let index_size = (orders_max * 2).next_power_of_two().max(4); // at most half full
        let ladder = |mask| {
            // Written and cleared: the pages are there before the first update.
            let (mut keys, mut shelves) = (vec![-1i64; levels_max], vec![NIL; levels_max]);
            keys.clear();
            shelves.clear();
            Ladder { keys, shelves, mask }
        };
        let node = Node { order_ref: 0, qty: 0, prev: NIL, next: NIL, shelf: NIL };
        let shelf = Shelf { price: 0, qty: 0, count: 0, head: NIL, tail: NIL, side: NIL };
        let mut book = Book {
            nodes: vec![node; orders_max],
            shelves: vec![shelf; 2 * levels_max],
            ladders: [ladder(0), ladder(-1)],
            index: vec![NO_ENTRY; index_size],
            index_shift: 32 - index_size.trailing_zeros(),
            node_free: NIL,
            shelf_free: NIL,
            orders: 0,
            levels_max,
            whole: false,
            sound: true,
            faults: [0; BookFault::ALL.len()],
        };
        book.clear();
        book
    }

    /// Folds one market-by-order record. Trades and fills do not change the book: the venue says
    /// what they did to resting orders by cancels and modifies of its own. A refused record
    /// changes nothing but `is_whole`, `is_sound` and `fault_count`.
    #[inline]
    pub fn apply(&mut self, update: &BookUpdate) -> Result<(), BookFault> {
        self.whole = update.flags & BOOK_LAST != 0;
        let done = match BookAction::from_code(update.action) {
            Some(BookAction::Add) => match side_of(update.side) {
                Some(side) => self.add(update.order_ref, side, update.price, update.qty),
                None => Err(BookFault::BadSide),
            },
            Some(BookAction::Modify) => {
                self.find(update).and_then(|at| self.modify_at(at, update.price, update.qty))
            }
            Some(BookAction::Cancel) => {
                self.find(update).and_then(|at| self.reduce_at(at, update.qty).map(|_| ()))
            }
            Some(BookAction::Clear) => {
                self.clear();
                Ok(())
            }
            Some(BookAction::Trade | BookAction::Fill | BookAction::None) => Ok(()),
            None => Err(BookFault::BadAction),
        };
        if let Err(fault) = done {
            self.count(fault);
        }
        done
    }

    /// Adds an order behind all others at its price. `apply` counts what it refuses; this does not.
    pub fn add(
        &mut self,
        order_ref: u64,
        side: Side,
        price: i64,
        qty: i64,
    ) -> Result<(), BookFault> {
        let at = match self.seek(order_ref) {
            Ok(_) => return Err(BookFault::DuplicateOrder),
            Err(at) => at,
        };
        if qty <= 0 {
            return Err(BookFault::BadQty);
        }
        let node = self.node_free;
        if node == NIL {
            return Err(BookFault::BookFull);
        }
        let shelf = self.shelf_for(side_index(side), price, qty)?;
        self.node_free = self.nodes[node as usize].next;
        self.nodes[node as usize] = Node { order_ref, qty, prev: NIL, next: NIL, shelf };
        self.index[at] = Entry { tag: tag(order_ref), node };
        self.orders += 1;
        self.append(node, shelf);
        assert!(self.orders <= self.nodes.len());
        Ok(())
    }

    /// New price and size of a resting order. It keeps its place in the queue only when the price
    /// stays and the size does not grow.
    pub fn modify(&mut self, order_ref: u64, price: i64, qty: i64) -> Result<(), BookFault> {
        let at = self.seek(order_ref).map_err(|_| BookFault::UnknownOrder)?;
        self.modify_at(at, price, qty)
    }

    #[inline]
    fn modify_at(&mut self, at: usize, price: i64, qty: i64) -> Result<(), BookFault> {
        if qty <= 0 {
            return Err(BookFault::BadQty);
        }
        let node = self.index[at].node;
        let Node { qty: old_qty, shelf: old_shelf, .. } = self.nodes[node as usize];
        let level = &mut self.shelves[old_shelf as usize];
        if level.price != price {
            let side = level.side as usize;
            let shelf = self.shelf_for(side, price, qty)?;
            self.unlink(node);
            self.nodes[node as usize].qty = qty;
            self.append(node, shelf);
        } else if qty <= old_qty {
            level.qty -= old_qty - qty;
            self.nodes[node as usize].qty = qty;
        } else {
            level.qty.checked_add(qty - old_qty).ok_or(BookFault::BadQty)?;
            if level.tail != node {
                self.unlink(node); // others are behind it, so the level outlives this
                self.nodes[node as usize].qty = qty;
                self.append(node, old_shelf);
            } else {
                level.qty += qty - old_qty;
                self.nodes[node as usize].qty = qty;
            }
        }
        Ok(())
    }

    /// Takes `qty` off an order, which keeps its place; the order goes when nothing is left of it.
    /// Returns what is left. More than there is takes all.
    pub fn reduce(&mut self, order_ref: u64, qty: i64) -> Result<i64, BookFault> {
        let at = self.seek(order_ref).map_err(|_| BookFault::UnknownOrder)?;
        self.reduce_at(at, qty)
    }

    #[inline]
    fn reduce_at(&mut self, at: usize, qty: i64) -> Result<i64, BookFault> {
        if qty <= 0 {
            return Err(BookFault::BadQty);
        }
        let node = self.index[at].node;
        let order = &mut self.nodes[node as usize];
        if qty < order.qty {
            order.qty -= qty;
            let left = order.qty;
            let level = &mut self.shelves[order.shelf as usize];
            level.qty -= qty;
            assert!(level.qty >= left); // a level holds at least its order
            return Ok(left);
        }
        self.unlink(node);
        self.free(at, node);
        Ok(0)
    }

    /// Removes an order whatever its size, and returns it as it was.
    pub fn remove(&mut self, order_ref: u64) -> Result<BookOrder, BookFault> {
        let at = self.seek(order_ref).map_err(|_| BookFault::UnknownOrder)?;
        let node = self.index[at].node;
        let order = self.order_of(node);
        self.unlink(node);
        self.free(at, node);
        Ok(order)
    }

    /// Empties the book; it is sound again. Own orders go too. Costs as much as the book is large.
    pub fn clear(&mut self) {
        let mut next = NIL;
        for (i, node) in self.nodes.iter_mut().enumerate().rev() {
            node.next = next;
            next = i as u32;
        }
        self.node_free = next;
        next = NIL;
        for (i, shelf) in self.shelves.iter_mut().enumerate().rev() {
            shelf.side = next;
            next = i as u32;
        }
        self.shelf_free = next;
        self.index.fill(NO_ENTRY);
        for ladder in &mut self.ladders {
            ladder.keys.clear();
            ladder.shelves.clear();
        }
        self.orders = 0;
        self.sound = true;
    }

    /// Best bid; `None` when nothing is bid.
    #[inline]
    pub fn best_bid(&self) -> Option<Level> {
        self.ladders[0].shelves.last().map(|&shelf| self.level_of(shelf))
    }

    /// Best offer; `None` when nothing is offered.
    #[inline]
    pub fn best_ask(&self) -> Option<Level> {
        self.ladders[1].shelves.last().map(|&shelf| self.level_of(shelf))
    }

    /// Best level of a side.
    #[inline]
    pub fn best(&self, side: Side) -> Option<Level> {
        if side_index(side) == 0 { self.best_bid() } else { self.best_ask() }
    }

    /// The best bid is above the best offer.
    #[inline]
    pub fn crossed(&self) -> bool {
        matches!((self.best_bid(), self.best_ask()), (Some(b), Some(a)) if b.price > a.price)
    }

    /// The best bid is the best offer.
    #[inline]
    pub fn locked(&self) -> bool {
        matches!((self.best_bid(), self.best_ask()), (Some(b), Some(a)) if b.price == a.price)
    }

    /// The last record applied ended its event: between events the book may be half changed.
    #[inline]
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// No record was refused since the start or the last clear: nothing is known to be missing.
    #[inline]
    pub fn is_sound(&self) -> bool {
        self.sound
    }

    /// Records refused so far with this fault, over the book's whole life.
    pub fn fault_count(&self, fault: BookFault) -> u64 {
        self.faults[fault as usize]
    }

    /// Number of resting orders.
    #[inline]
    pub fn order_count(&self) -> usize {
        self.orders
    }

    /// Number of levels of a side.
    pub fn level_count(&self, side: Side) -> usize {
        self.ladders[side_index(side)].keys.len()
    }

    /// L2: the levels of a side, best first.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        self.ladders[side_index(side)].shelves.iter().rev().map(|&shelf| self.level_of(shelf))
    }

    /// The level at a price.
    pub fn level_at(&self, side: Side, price: i64) -> Option<Level> {
        self.shelf_at(side, price).map(|shelf| self.level_of(shelf))
    }

    /// L3: the orders at a price, first in the queue first.
    pub fn orders_at(&self, side: Side, price: i64) -> impl Iterator<Item = BookOrder> + '_ {
        let head = self.shelf_at(side, price).map_or(NIL, |s| self.shelves[s as usize].head);
        Queue { book: self, next: head }
    }

    /// All orders of a side in the order in which they would trade.
    pub fn walk(&self, side: Side) -> impl Iterator<Item = BookOrder> + '_ {
        self.ladders[side_index(side)]
            .shelves
            .iter()
            .rev()
            .flat_map(|&shelf| Queue { book: self, next: self.shelves[shelf as usize].head })
    }

    /// The order of a side that would trade next.
    #[inline]
    pub fn front(&self, side: Side) -> Option<BookOrder> {
        let shelf = *self.ladders[side_index(side)].shelves.last()?;
        Some(self.order_of(self.shelves[shelf as usize].head))
    }

    /// One resting order.
    #[inline]
    pub fn order(&self, order_ref: u64) -> Option<BookOrder> {
        let at = self.seek(order_ref).ok()?;
        Some(self.order_of(self.index[at].node))
    }

    /// Size before this order in the queue of its price.
    pub fn qty_ahead(&self, order_ref: u64) -> Option<i64> {
        let at = self.seek(order_ref).ok()?;
        let (mut node, mut ahead) = (self.nodes[self.index[at].node as usize].prev, 0);
        while node != NIL {
            ahead += self.nodes[node as usize].qty; // at most the level's sum
            node = self.nodes[node as usize].prev;
        }
        Some(ahead)
    }

    #[cold]
    fn count(&mut self, fault: BookFault) {
        self.faults[fault as usize] += 1;
        self.sound = false;
    }

    /// Place in the index of the order that a modify or cancel names: it tells its side, or none.
    #[inline]
    fn find(&self, update: &BookUpdate) -> Result<usize, BookFault> {
        let at = self.seek(update.order_ref).map_err(|_| BookFault::UnknownOrder)?;
        if update.side != 0 {
            let shelf = self.nodes[self.index[at].node as usize].shelf;
            let resting = self.shelves[shelf as usize].side as usize;
            if side_of(update.side).map(side_index) != Some(resting) {
                return Err(BookFault::BadSide);
            }
        }
        Ok(at)
    }

    #[inline]
    fn level_of(&self, shelf: u32) -> Level {
        let Shelf { price, qty, count, .. } = self.shelves[shelf as usize];
        Level { price, qty, count }
    }

    #[inline]
    fn order_of(&self, node: u32) -> BookOrder {
        let Node { order_ref, qty, shelf, .. } = self.nodes[node as usize];
        let Shelf { price, side, .. } = self.shelves[shelf as usize];
        BookOrder { order_ref, side: if side == 0 { Side::Buy } else { Side::Sell }, price, qty }
    }

    fn shelf_at(&self, side: Side, price: i64) -> Option<u32> {
        let ladder = &self.ladders[side_index(side)];
        ladder.find(price ^ ladder.mask).ok().map(|i| ladder.shelves[i])
    }

    /// The level of `price`, made if there is none, with room for `qty` in its sum.
    #[inline]
    fn shelf_for(&mut self, side: usize, price: i64, qty: i64) -> Result<u32, BookFault> {
        let ladder = &mut self.ladders[side];
        let key = price ^ ladder.mask;
        match ladder.find(key) {
            Ok(i) => {
                let shelf = ladder.shelves[i];
                let sum = self.shelves[shelf as usize].qty;
                sum.checked_add(qty).map(|_| shelf).ok_or(BookFault::BadQty)
            }
            Err(i) => {
                if ladder.keys.len() == self.levels_max {
                    return Err(BookFault::LevelsFull);
                }
                let shelf = self.shelf_free;
                assert!(shelf != NIL); // as many shelves as both ladders have places
                let place = &mut self.shelves[shelf as usize];
                self.shelf_free = place.side;
                *place = Shelf { price, qty: 0, count: 0, head: NIL, tail: NIL, side: side as u32 };
                ladder.keys.insert(i, key);
                ladder.shelves.insert(i, shelf);
                Ok(shelf)
            }
        }
    }

    /// Puts a node behind all others of a level that `shelf_for` gave.
    #[inline]
    fn append(&mut self, node: u32, shelf: u32) {
        let level = &mut self.shelves[shelf as usize];
        let tail = level.tail;
        let order = &mut self.nodes[node as usize];
        order.prev = tail;
        order.next = NIL;
        order.shelf = shelf;
        level.qty += order.qty;
        level.count += 1;
        level.tail = node;
        if tail == NIL {
            level.head = node;
        } else {
            self.nodes[tail as usize].next = node;
        }
    }

    /// Takes a node out of its queue; the level goes with its last order.
    #[inline]
    fn unlink(&mut self, node: u32) {
        let Node { qty, prev, next, shelf, .. } = self.nodes[node as usize];
        let level = &mut self.shelves[shelf as usize];
        level.qty -= qty;
        level.count -= 1;
        if prev == NIL {
            level.head = next;
        } else {
            self.nodes[prev as usize].next = next;
        }
        if next == NIL {
            level.tail = prev;
        } else {
            self.nodes[next as usize].prev = prev;
        }
        if level.count == 0 {
            assert!(level.qty == 0);
            let ladder = &mut self.ladders[level.side as usize];
            let found = ladder.find(level.price ^ ladder.mask);
            assert!(found.is_ok());
            let i = found.unwrap_or(0);
            ladder.keys.remove(i);
            ladder.shelves.remove(i);
            level.side = self.shelf_free;
            self.shelf_free = shelf;
        }
    }

    #[inline]
    fn free(&mut self, at: usize, node: u32) {
        self.nodes[node as usize].next = self.node_free;
        self.node_free = node;
        self.orders -= 1;
        self.unindex(at);
    }

    /// Place of the order in the index (`Ok`), or the free place where it belongs (`Err`). Ends,
    /// because the index is never more than half full.
    #[inline]
    fn seek(&self, order_ref: u64) -> Result<usize, usize> {
        let mask = self.index.len() - 1;
        let tag = tag(order_ref);
        let mut at = (tag >> self.index_shift) as usize;
        loop {
            let entry = self.index[at & mask];
            if entry.node == NIL {
                return Err(at & mask);
            }
            if entry.tag == tag && self.nodes[entry.node as usize].order_ref == order_ref {
                return Ok(at & mask);
            }
            at += 1;
        }
    }

    /// Empties a place and moves later entries of the run back, so that no tombstones pile up.
    #[inline]
    fn unindex(&mut self, at: usize) {
        let mask = self.index.len() - 1;
        let (mut hole, mut probe) = (at, at);
        loop {
            probe = (probe + 1) & mask;
            let entry = self.index[probe];
            if entry.node == NIL {
                break;
            }
            let home = (entry.tag >> self.index_shift) as usize;
            // It may fill the hole unless its home lies after the hole on the way to it.
            if (probe.wrapping_sub(home) & mask) >= (probe.wrapping_sub(hole) & mask) {
                self.index[hole] = entry;
                hole = probe;
            }
        }
        self.index[hole] = NO_ENTRY;
    }
}

struct Queue<'a> {
    book: &'a Book,
    next: u32,
}

impl Iterator for Queue<'_> {
    type Item = BookOrder;

    fn next(&mut self) -> Option<BookOrder> {
        if self.next == NIL {
            return None;
        }
        let order = self.book.order_of(self.next);
        self.next = self.book.nodes[self.next as usize].next;
        Some(order)
    }
}

/// Order numbers are near consecutive: a multiplication spreads them over the high bits.
#[inline]
const fn tag(order_ref: u64) -> u32 {
    (order_ref.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

#[inline]
const fn side_index(side: Side) -> usize {
    match side {
        Side::Buy => 0,
        Side::Sell | Side::SellShort | Side::SellShortExempt => 1,
    }
}

#[inline]
fn side_of(code: u8) -> Option<Side> {
    match Side::from_code(code)? {
        Side::Buy => Some(Side::Buy),
        Side::Sell | Side::SellShort | Side::SellShortExempt => Some(Side::Sell),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_whose_numbers_hash_alike_are_kept_apart() {
        // Adding the inverse of the multiplier adds one to the product: the high half stays.
        let mut inverse = 1u64;
        for _ in 0..6 {
            let error = 2u64.wrapping_sub(inverse.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            inverse = inverse.wrapping_mul(error);
        }
        let refs: Vec<u64> = (0..4u64).map(|i| i.wrapping_mul(inverse)).collect();
        assert!(refs.iter().all(|&r| tag(r) == tag(0)));
        let mut book = Book::new(4, 4);
        for (i, &order_ref) in refs.iter().enumerate() {
            book.add(order_ref, Side::Buy, 100, i as i64 + 1).unwrap();
        }
        assert_eq!(book.remove(refs[1]).map(|o| o.qty), Ok(2));
        assert_eq!(book.order(refs[1]), None);
        assert_eq!(book.order(refs[3]).map(|o| o.qty), Some(4));
        assert_eq!(book.reduce(refs[2], 1), Ok(2));
    }
}
