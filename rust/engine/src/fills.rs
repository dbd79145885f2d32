//! The executions already booked: (venue, session day, order, exec_id) -> the fill as it stands, and
//! for each account and instrument the chain of its fills in event order. Read when a report is
//! judged, written by `apply` alone; never grows.
//!
//! A fill leaves in two steps, oldest first: after `fill_days` it is folded into the base of its
//! chain, and once its order is closed too its id is forgotten. A bust or correct of a chained fill
//! refolds what remains in event order; of one folded into the base it is booked against the base, so
//! that cash, net and total PnL are exact and only the realised split is that of now.
//!
//! ```text
//!  index (u32, twice the rows) -> rows: fill | adjustment | alias -> fill
//!  chains: base + newest -> older         orders: newest -> older
//! ```

use crate::number::qty_fits;
use crate::position::carry;
use arch::Table;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// No row.
const NONE: u32 = u32::MAX;

/// An opening balance or adjustment: in the chain, without an id.
pub const ADJUSTED: u8 = 1;
/// Another id of the row `of`: a bust's, a correct's, a later real id, a match id.
pub const ALIAS: u8 = 2;
/// Undone by a bust.
pub const BUSTED: u8 = 4;
/// Booked without an ExecID(17).
pub const SYNTHETIC: u8 = 8;
/// Booked from a drop copy.
pub const COPY: u8 = 16;
/// Its other id has come.
pub const MATCHED: u8 = 32;
/// Turns the payload of a bust's or correct's own id into none that a fill has.
pub const AMENDS: u32 = 0x5bd1_e995;
/// In the chain of its account and instrument.
const CHAINED: u8 = 64;
/// Told with the id of its match.
pub const NAMED: u8 = 128;
/// `FillRow::earlier`: booked behind the new order that came after it, by the old one's id.
pub const NAMED_EARLIER: u8 = 1;
/// `FillRow::earlier`: booked before that new order went out.
const BOOKED_EARLIER: u8 = 2;

/// One booked execution, or another id of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, Immutable, IntoBytes)]
#[repr(C)]
pub struct FillRow {
    /// ExecID(17), or a deterministic one where the venue gave none.
    pub exec_id: [u8; 16],
    /// Order; 0: an adjustment, or a free row.
    pub order_seq: u64,
    /// LastPx(31) as it stands.
    pub last_px: i64,
    /// LastQty(32) as it stands, signed by side.
    pub last_qty: i64,
    /// Fee as it stands.
    pub fee: i64,
    /// Hash of what identifies a fill without ids; an alias: the event of its row.
    pub print: u64,
    /// Event that booked it; 0: the row is free.
    pub event_seq: u64,
    /// Low bits of the hash of price and quantity as first told.
    pub payload: u32,
    /// The chain it is booked in: an account's in an instrument, or one of its legs'.
    pub chain: u32,
    /// The fill before it in its chain.
    older: u32,
    /// The row booked after it, or the next free one.
    later: u32,
    /// Alias: the row it means; a fill: low bits of the number of its order's parent, 0 for none.
    of: u32,
    /// Venue.
    pub venue_id: u16,
    /// Session day.
    pub trade_day: u16,
    /// UTC day it was booked on.
    pub booked_day: u16,
    /// What it is, bits.
    pub flags: u8,
    /// Whether it filled what was at the venue of its order before what is there now: bits, 0 for not.
    pub earlier: u8,
    /// The fill before it of its order, one more than its row; 0: none.
    older_own: u32,
}

impl FillRow {
    /// A row of a key, told by an event.
    pub fn new(key: Key, payload: u32, chain: usize, event_seq: u64, booked_day: u16) -> Self {
        let Key { exec_id, order_seq, venue_id, trade_day } = key;
        let chain = chain as u32;
        let told = Self { payload, chain, event_seq, booked_day, ..Self::default() };
        Self { exec_id, order_seq, venue_id, trade_day, ..told }
    }

    /// As a fill of a child.
    pub fn with_parent(self, order_seq: u64) -> Self {
        Self { of: order_seq as u32, ..self }
    }

    /// Low bits of the number of its order's parent, 0 for none.
    pub fn parent(&self) -> u32 {
        if self.flags & ALIAS == 0 { self.of } else { 0 }
    }

    /// Whether a teller says this price and quantity of it: as first told, or as corrected since.
    fn says(&self, payload: u32) -> bool {
        self.payload == payload || payload_of(self.last_px, self.last_qty.abs()) == payload
    }
}

/// What an execution is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// ExecID(17).
    pub exec_id: [u8; 16],
    /// Order.
    pub order_seq: u64,
    /// Venue.
    pub venue_id: u16,
    /// Session day.
    pub trade_day: u16,
}

/// The fills of one account in one instrument, or of one leg of it.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes)]
#[repr(C)]
pub struct Chain {
    /// Open cost before its oldest fill.
    pub base_cost: i128,
    /// Net position before its oldest fill.
    pub base_net: i64,
    newest: u32,
    count: u32,
}

/// The table of booked executions.
pub struct Fills {
    rows: Table<FillRow>,
    index: Table<u32>, // row + 1
    chains: Table<Chain>,
    newest_own: Table<u32>, // by slot of an order: row + 1
    walk: Vec<u32>,         // scratch of a refold
    len: u64,
    free: u32,   // first freed row
    fresh: u32,  // first row never used
    oldest: u32, // booked longest ago
    last: u32,   // booked last
    synthetic: u64,
    copies: u64,
    days: u16,
}

impl Fills {
    /// Room for `fills_max` executions of `orders_max` orders, powers of two; at most 15 of 16 rows are
    /// used. A fill stays in its chain, and at least is known by its id, for `fill_days`.
    pub fn new(
        fills_max: usize,
        orders_max: usize,
        chains: usize,
        fill_days: u16,
    ) -> std::io::Result<Self> {
        assert!(fills_max.is_power_of_two());
        assert!(orders_max.is_power_of_two());
        assert!(fills_max < NONE as usize);
        Ok(Self {
            rows: Table::zeroed(fills_max)?,
            index: Table::zeroed(fills_max * 2)?,
            chains: Table::zeroed(chains)?,
            newest_own: Table::zeroed(orders_max)?,
            walk: Vec::with_capacity(fills_max),
            len: 0,
            free: NONE,
            fresh: 0,
            oldest: NONE,
            last: NONE,
            synthetic: 0,
            copies: 0,
            days: fill_days,
        })
    }

    #[inline]
    fn home(&self, exec_id: &[u8; 16], order_seq: u64, venue_id: u16) -> usize {
        let word = |at: usize| u64::from_le_bytes(exec_id[at..at + 8].try_into().expect("8 bytes"));
        let keys = &crate::number::KEYS;
        let ids = crate::number::fold(word(0) ^ keys[0], word(8) ^ keys[1]);
        let whose = crate::number::fold(order_seq ^ keys[2], u64::from(venue_id) ^ keys[3]);
        crate::number::fold(ids ^ keys[4], whose.rotate_left(29) ^ keys[5]) as usize
            & (self.index.len() - 1)
    }

    /// Rows with this id, order and venue, of any day, in the order of the index.
    fn all(&self, key: Key) -> impl Iterator<Item = u32> {
        let mask = self.index.len() - 1;
        let home = self.home(&key.exec_id, key.order_seq, key.venue_id);
        (0..=mask)
            .map(move |step| self.index[(home + step) & mask])
            .take_while(|&entry| entry != 0) // ends: less than half of the index is used
            .map(|entry| entry - 1)
            .filter(move |&at| {
                let row = &self.rows[at as usize];
                (row.exec_id, row.order_seq, row.venue_id)
                    == (key.exec_id, key.order_seq, key.venue_id)
            })
    }

    /// The row of an id, its alias included.
    #[inline]
    pub fn find(&self, key: Key) -> Option<&FillRow> {
        let at = self.all(key).find(|&at| self.rows[at as usize].trade_day == key.trade_day)?;
        Some(&self.rows[at as usize])
    }

    /// Whether an id is known of this very day, or of any day as one of this fill.
    pub fn is_known_as(&self, key: Key, fill: Option<u32>) -> bool {
        self.all(key).any(|at| {
            let own_day = self.rows[at as usize].trade_day == key.trade_day;
            own_day || fill.is_some() && self.resolve(at) == fill
        })
    }

    /// Whether an id is known of any day, with this payload.
    pub fn is_known_of_any_day(&self, key: Key, payload: u32) -> bool {
        self.all(key).any(|at| self.rows[at as usize].payload == payload)
    }

    /// The fill that an alias means, or the row itself; `None` when that fill is forgotten.
    fn resolve(&self, at: u32) -> Option<u32> {
        let row = &self.rows[at as usize];
        if row.flags & ALIAS == 0 {
            return Some(at);
        }
        (self.rows[row.of as usize].event_seq == row.print).then_some(row.of)
    }

    /// The fill that a bust or correct refers to: of its own day, else the latest that has this id
    /// (a bust may come days later).
    pub fn find_ref(&self, key: Key) -> Option<u32> {
        let fills = self.all(key).filter_map(|at| {
            let own = self.rows[at as usize].trade_day == key.trade_day;
            self.resolve(at).map(|fill| (own, self.rows[fill as usize].event_seq, fill))
        });
        fills.max_by_key(|&(own, event_seq, _)| (own, event_seq)).map(|(_, _, fill)| fill)
    }

    /// An unmatched fill with this id of either kind (`flag`: set in it or not) that says the same; one
    /// that was busted meanwhile too: its other teller must not book it anew.
    pub fn find_other(&self, key: Key, flag: u8, set: bool, payload: u32) -> Option<u32> {
        self.all(key).filter_map(|at| self.resolve(at)).find(|&at| {
            let row = &self.rows[at as usize];
            (row.flags & flag != 0) == set && row.flags & MATCHED == 0 && row.says(payload)
        })
    }

    /// An unmatched fill of an order that only the stream has told, without the id of its match, and
    /// that says the same.
    pub fn find_unnamed(&self, order_seq: u64, payload: u32) -> Option<u32> {
        const NOT: u8 = COPY | NAMED | MATCHED;
        self.find_own(order_seq, payload, |flags| flags & NOT == 0)
    }

    /// An unmatched fill of an order that only a drop copy has told, and that says the same.
    pub fn find_copy(&self, order_seq: u64, payload: u32) -> Option<u32> {
        self.find_own(order_seq, payload, |flags| flags & (COPY | MATCHED) == COPY)
    }

    /// The oldest such row: fills are told in their order, mostly.
    fn find_own(&self, order_seq: u64, payload: u32, wanted: impl Fn(u8) -> bool) -> Option<u32> {
        let found = self.own(order_seq).filter(|&at| {
            let row = &self.rows[at as usize];
            wanted(row.flags) && row.says(payload)
        });
        found.last()
    }

    /// A fill of the order that looks the same in everything but its id, for reports without.
    pub fn find_print(&self, order_seq: u64, print: u64) -> Option<u32> {
        self.own(order_seq).find(|&at| self.rows[at as usize].print == print)
    }

    fn own_slot(&self, order_seq: u64) -> usize {
        order_seq as usize & (self.newest_own.len() - 1)
    }

    /// Fills of an order that are in their chains, newest first.
    fn own(&self, order_seq: u64) -> impl Iterator<Item = u32> {
        let mut next = self.newest_own[self.own_slot(order_seq)];
        let mut newer = u64::MAX;
        std::iter::from_fn(move || {
            let at = next.checked_sub(1)?;
            let row = &self.rows[at as usize];
            // One forgotten since may be another's by now, or a later one of the same order.
            if row.order_seq != order_seq || row.flags & CHAINED == 0 || row.event_seq >= newer {
                return None;
            }
            (next, newer) = (row.older_own, row.event_seq);
            Some(at)
        })
    }

    /// What an order has filled so far is no fill of what goes to its venue next.
    pub fn leave_behind(&mut self, order_seq: u64) {
        let known = |row: &FillRow| row.earlier & BOOKED_EARLIER != 0; // so are all before it
        let new = self.own(order_seq).take_while(|&at| !known(&self.rows[at as usize])).last();
        let Some(oldest) = new else { return };
        let mut at = self.newest_own[self.own_slot(order_seq)] - 1;
        loop {
            let row = &mut self.rows[at as usize];
            row.earlier |= BOOKED_EARLIER;
            if at == oldest {
                return;
            }
            at = row.older_own - 1;
        }
    }

    /// Rows of a chain, newest first.
    fn chain(&self, chain: usize) -> impl Iterator<Item = u32> {
        let chain = &self.chains[chain];
        std::iter::successors(Some(chain.newest), |&at| Some(self.rows[at as usize].older))
            .take(chain.count as usize)
    }

    /// The fill of an order that was booked last, while it is remembered and no order that has taken its
    /// slot has filled.
    pub fn of_order(&self, order_seq: u64) -> Option<&FillRow> {
        let newest = self.newest_own[self.own_slot(order_seq)];
        let row = &self.rows[newest.checked_sub(1)? as usize];
        (order_seq != 0 && row.order_seq == order_seq && row.flags & ALIAS == 0).then_some(row)
    }

    /// A row by the number that `find_ref` and its like gave.
    pub fn row(&self, at: u32) -> &FillRow {
        &self.rows[at as usize]
    }

    /// Whether any fill was booked without an id and has not met its real one.
    #[inline]
    pub fn has_synthetic(&self) -> bool {
        self.synthetic != 0
    }

    /// Whether any fill is known from a drop copy alone.
    #[inline]
    pub fn has_copies(&self) -> bool {
        self.copies != 0
    }

    /// Takes a row and remembers it by its id; `None` when the table is full.
    fn insert(&mut self, row: FillRow) -> Option<u32> {
        assert!(row.event_seq != 0);
        if self.is_full() {
            return None;
        }
        let at = if self.free != NONE {
            let at = self.free;
            self.free = self.rows[at as usize].later;
            at
        } else {
            self.fresh += 1;
            self.fresh - 1
        };
        self.len += 1;
        self.rows[at as usize] = FillRow { later: NONE, older: NONE, ..row };
        if self.last != NONE {
            self.rows[self.last as usize].later = at;
        } else {
            self.oldest = at;
        }
        self.last = at;
        self.synthetic += u64::from(row.flags & SYNTHETIC != 0);
        self.copies += u64::from(row.flags & COPY != 0);
        if row.flags & ADJUSTED == 0 {
            let mask = self.index.len() - 1;
            let mut place = self.home(&row.exec_id, row.order_seq, row.venue_id);
            while self.index[place] != 0 {
                place = (place + 1) & mask;
            }
            self.index[place] = at + 1;
        }
        Some(at)
    }

    /// Books a fill or adjustment at the end of its chain. What finds no room is not remembered: then
    /// `false`, and the caller closes the chain with what the position has become.
    #[inline]
    pub fn book(&mut self, row: FillRow) -> Option<u32> {
        let at = self.insert(FillRow { flags: row.flags | CHAINED, ..row })?;
        let chain = &mut self.chains[row.chain as usize];
        self.rows[at as usize].older = chain.newest;
        (chain.newest, chain.count) = (at, chain.count + 1);
        if row.order_seq != 0 {
            let slot = self.own_slot(row.order_seq);
            self.rows[at as usize].older_own =
                std::mem::replace(&mut self.newest_own[slot], at + 1);
        }
        Some(at)
    }

    /// Remembers another id of a fill, and when `matched` that no further one is expected.
    pub fn alias(&mut self, fill: u32, row: FillRow, matched: bool) {
        let found = &mut self.rows[fill as usize];
        let print = found.event_seq;
        if matched {
            self.synthetic -= u64::from(found.flags & (SYNTHETIC | MATCHED) == SYNTHETIC);
            self.copies -= u64::from(found.flags & (COPY | MATCHED) == COPY);
            found.flags |= MATCHED;
        }
        let flags = row.flags | ALIAS;
        self.insert(FillRow { of: fill, print, flags, ..row });
    }

    /// The base of a chain becomes what the position is now: its fills can no longer be refolded.
    pub fn close_chain(&mut self, chain: usize, net: i64, cost: i128) {
        self.walk.clear();
        let mut walk = std::mem::take(&mut self.walk);
        walk.extend(self.chain(chain));
        walk.iter().for_each(|&at| self.rows[at as usize].flags &= !CHAINED);
        self.walk = walk;
        let chain = &mut self.chains[chain];
        (chain.base_net, chain.base_cost, chain.count) = (net, cost, 0);
    }

    /// Undoes a fill (`new` is `None`) or makes it another; gives what it was. The chain's base takes
    /// the difference when the fill is in no chain any more.
    pub fn amend(&mut self, at: u32, new: Option<(i64, i64, i64)>) -> FillRow {
        let row = &mut self.rows[at as usize];
        let old = *row;
        match new {
            None => row.flags |= BUSTED,
            Some((px, qty, fee)) => (row.last_px, row.last_qty, row.fee) = (px, qty, fee),
        }
        if old.flags & CHAINED == 0 {
            let chain = &mut self.chains[old.chain as usize];
            let mut base = (chain.base_net, chain.base_cost);
            base = carry(base, -old.last_qty, old.last_px);
            if let Some((px, qty, _)) = new {
                base = carry(base, qty, px);
            }
            (chain.base_net, chain.base_cost) = base;
        }
        old
    }

    /// Whether every position on the way stays in range when a fill becomes another quantity, signed, 0
    /// for none; `net`: what its chain comes to now.
    pub fn amend_fits(&self, at: u32, qty: i64, net: i64) -> bool {
        let row = &self.rows[at as usize];
        let shift = i128::from(qty) - i128::from(row.last_qty);
        let mut net = i128::from(net);
        for newer in self.chain(row.chain as usize) {
            if !qty_fits(net + shift) {
                return false;
            }
            if newer == at {
                return true;
            }
            let newer = &self.rows[newer as usize];
            net -= if newer.flags & BUSTED == 0 { i128::from(newer.last_qty) } else { 0 };
        }
        qty_fits(net + shift) && qty_fits(net - i128::from(row.last_qty))
    }

    /// Net position and open cost of a chain, folded in event order.
    pub fn refold(&mut self, chain: usize) -> (i64, i128) {
        self.walk.clear();
        let mut walk = std::mem::take(&mut self.walk);
        walk.extend(self.chain(chain));
        let chain = &self.chains[chain];
        let fold = walk.iter().rev().map(|&at| &self.rows[at as usize]).fold(
            (chain.base_net, chain.base_cost),
            |position, row| match row.flags & BUSTED {
                0 => carry(position, row.last_qty, row.last_px),
                _ => position,
            },
        );
        self.walk = walk;
        fold
    }

    /// Looks at up to `most` rows booked longest ago and lets go of those that are old enough.
    pub fn purge(&mut self, today: u16, most: u64, live: impl Fn(u64) -> bool) {
        for _ in 0..most.min(self.len) {
            let at = self.oldest;
            let row = self.rows[at as usize];
            if today <= row.booked_day.saturating_add(self.days) {
                return;
            }
            if row.flags & CHAINED != 0 {
                // The oldest row of all is the oldest of its chain.
                let chain = &mut self.chains[row.chain as usize];
                if row.flags & BUSTED == 0 {
                    (chain.base_net, chain.base_cost) =
                        carry((chain.base_net, chain.base_cost), row.last_qty, row.last_px);
                }
                assert!(chain.count > 0);
                chain.count -= 1;
                self.rows[at as usize].flags &= !CHAINED;
            }
            self.oldest = row.later;
            if self.oldest == NONE {
                self.last = NONE;
            }
            if row.order_seq != 0 && live(row.order_seq) {
                // A live order's ids stay known: the row waits another round.
                let row = &mut self.rows[at as usize];
                (row.booked_day, row.later) = (today, NONE);
                if self.last != NONE {
                    self.rows[self.last as usize].later = at;
                } else {
                    self.oldest = at;
                }
                self.last = at;
            } else {
                self.forget(at);
            }
        }
    }

    /// Frees a row and closes the gap its index entry leaves.
    fn forget(&mut self, at: u32) {
        let row = self.rows[at as usize];
        if row.flags & ADJUSTED == 0 {
            let mask = self.index.len() - 1;
            let mut gap = self.home(&row.exec_id, row.order_seq, row.venue_id);
            while self.index[gap] != at + 1 {
                assert!(self.index[gap] != 0);
                gap = (gap + 1) & mask;
            }
            let mut place = gap;
            loop {
                place = (place + 1) & mask;
                if self.index[place] == 0 {
                    break;
                }
                let moved = &self.rows[self.index[place] as usize - 1];
                let home = self.home(&moved.exec_id, moved.order_seq, moved.venue_id);
                // It may move to the gap unless its home lies behind the gap.
                if place.wrapping_sub(home) & mask >= place.wrapping_sub(gap) & mask {
                    self.index[gap] = self.index[place];
                    gap = place;
                }
            }
            self.index[gap] = 0;
        }
        self.synthetic -= u64::from(row.flags & (SYNTHETIC | MATCHED) == SYNTHETIC);
        self.copies -= u64::from(row.flags & (COPY | MATCHED) == COPY);
        self.rows[at as usize] = FillRow { later: self.free, ..FillRow::default() };
        self.free = at;
        self.len -= 1;
    }

    /// Executions and ids remembered.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether none is booked.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether no more find room.
    pub fn is_full(&self) -> bool {
        self.len >= self.capacity()
    }

    /// Executions it has room for.
    pub fn capacity(&self) -> u64 {
        self.rows.len() as u64 / 16 * 15
    }

    /// Remembered rows in the order of the table, for the state hash: a replay repeats it.
    pub fn rows(&self) -> impl Iterator<Item = &FillRow> {
        self.rows.iter().filter(|row| row.event_seq != 0)
    }

    /// Chains that hold or held something, for the state hash.
    pub fn chains(&self) -> impl Iterator<Item = &Chain> {
        self.chains.iter().filter(|c| c.count != 0 || c.base_net != 0 || c.base_cost != 0)
    }
}

/// Hash of price and quantity.
#[inline]
fn mix(px: i64, qty: i64) -> u64 {
    let (px, qty) = (px as u64, qty as u64);
    (px ^ qty.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ qty
}

/// What identifies a fill besides its id.
#[inline]
fn payload_of(px: i64, qty: i64) -> u32 {
    let mixed = mix(px, qty);
    (mixed >> 32) as u32 ^ mixed as u32
}

/// What a report's fill looks like without its id: the same on the venue's every way of telling it.
#[inline]
pub fn print_of(report: &layout::ExecutionReport) -> u64 {
    let told = report.transact_time_ns as u64 ^ (report.cum_qty as u64).rotate_left(17);
    crate::number::fold(mix(report.last_px, report.last_qty), told ^ crate::number::KEYS[6])
}

/// The deterministic id of a fill that came without one.
pub fn synthetic_id(report: &layout::ExecutionReport) -> [u8; 16] {
    let mut id = [0; 16];
    let mixed = mix(report.last_px, report.last_qty) ^ report.transact_time_ns as u64;
    id[..8].copy_from_slice(&mixed.to_le_bytes());
    id[8..].copy_from_slice(&report.cum_qty.to_le_bytes());
    id
}

/// The ids under which both tellers of a match find it, of TrdMatchID(880) and SecondaryExecID(527):
/// one may tell both and the other one of them.
pub fn match_ids(exec_ref: &layout::ExecRef) -> impl Iterator<Item = [u8; 16]> {
    let (first, second) = (exec_ref.trd_match_id, exec_ref.secondary_exec_id);
    let second = if second == first { [0; 16] } else { second };
    [first, second].into_iter().filter(|id| *id != [0; 16]).map(|id| match_key(&id))
}

/// Whether a report names its match.
pub fn names_match(exec_ref: &layout::ExecRef) -> bool {
    match_ids(exec_ref).next().is_some()
}

/// The id under which a match is remembered that has this id: none that a fill has.
pub fn match_key(id: &[u8; 16]) -> [u8; 16] {
    let mut key = *b"\xffmatch  \0\0\0\0\0\0\0\0";
    key[8..].copy_from_slice(&xxhash_rust::xxh3::xxh3_64(id).to_le_bytes());
    key
}

/// The key and payload of a report.
#[inline]
pub fn key_of(report: &layout::ExecutionReport, order_seq: u64, trade_day: u16) -> (Key, u32) {
    let told = report.exec_id != [0; 16];
    let exec_id = if told { report.exec_id } else { synthetic_id(report) };
    let payload = payload_of(report.last_px, report.last_qty);
    (Key { exec_id, order_seq, venue_id: report.venue_id, trade_day }, payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    const FILL_DAYS: u16 = 3;

    fn row(n: u64, payload: u32) -> FillRow {
        FillRow {
            exec_id: layout::text(&format!("X{n}")),
            order_seq: n % 5 + 1,
            payload,
            venue_id: 1,
            trade_day: 9,
            event_seq: n + 1,
            last_qty: 1,
            last_px: 7,
            ..FillRow::default()
        }
    }

    fn key(row: &FillRow) -> Key {
        let FillRow { exec_id, order_seq, venue_id, trade_day, .. } = *row;
        Key { exec_id, order_seq, venue_id, trade_day }
    }

    #[test]
    fn a_booked_fill_is_known_and_a_full_table_says_so() {
        let mut fills = Fills::new(64, 8, 1, 5).unwrap();
        for n in 0..60 {
            assert!(fills.find(key(&row(n, 7))).is_none());
            assert!(fills.book(row(n, 7)).is_some());
            assert_eq!(fills.find(key(&row(n, 7))).unwrap().payload, 7);
        }
        assert!(fills.book(row(60, 7)).is_none());
        assert_eq!(fills.rows().count(), 60);
    }

    #[test]
    fn one_exec_id_on_two_orders_venues_or_days_is_two_fills() {
        let mut fills = Fills::new(16, 8, 1, 5).unwrap();
        fills.book(row(1, 7));
        for other in [
            FillRow { order_seq: 99, ..row(1, 7) },
            FillRow { venue_id: 2, ..row(1, 7) },
            FillRow { trade_day: 10, ..row(1, 7) },
        ] {
            assert!(fills.find(key(&other)).is_none());
        }
        // A bust days later names the id alone.
        let later = Key { trade_day: 12, ..key(&row(1, 7)) };
        assert!(fills.find_ref(later).is_some());
    }

    proptest! {
        /// Any booking, aging and busting: what is remembered is found, what is forgotten is not, and
        /// the chain folds to what a plain list folds to.
        #[test]
        fn the_table_is_a_map_and_the_chain_a_list(
            ops in prop::collection::vec((0u8..4, 0u64..40, -9i64..9, 1i64..50), 1..200)
        ) {
            let mut fills = Fills::new(32, 8, 2, FILL_DAYS).unwrap();
            let mut known: HashMap<u64, (u16, bool)> = HashMap::new();
            let mut list: Vec<(u64, i64, i64)> = Vec::new();
            let mut base: Vec<(u64, i64, i64)> = Vec::new();
            let mut chained: Vec<(u64, u64)> = Vec::new(); // what is busted stays in it
            let (mut day, mut seq) = (10u16, 0u64);
            for (op, n, qty, px) in ops {
                let mut new = FillRow { last_qty: qty, last_px: px, booked_day: day, ..row(n, 1) };
                match op {
                    0 | 1 if qty != 0 && fills.find(key(&new)).is_none() => {
                        seq += 1;
                        new.event_seq = seq;
                        if fills.book(new).is_some() {
                            known.insert(n, (day, false));
                            list.push((n, qty, px));
                            chained.push((n, seq));
                        }
                    }
                    2 => {
                        if let Some(at) = fills.find_ref(key(&new))
                            && fills.row(at).flags & (BUSTED | CHAINED) == CHAINED
                        {
                            fills.amend(at, None);
                            list.retain(|f| f.0 != n);
                        }
                    }
                    3 => {
                        day += 2;
                        fills.purge(day, 64, |order_seq| order_seq == 1);
                        for (n, (booked, live)) in known.iter_mut() {
                            if day > *booked + FILL_DAYS {
                                chained.retain(|&(old, _)| old != *n);
                                if let Some(i) = list.iter().position(|f| f.0 == *n) {
                                    base.push(list.remove(i));
                                }
                                *live = n % 5 == 0;
                                if *live { *booked = day }
                            }
                        }
                        known.retain(|n, (booked, live)| *live || (day <= *booked + FILL_DAYS && n % 5 < 5));
                    }
                    _ => {}
                }
                prop_assert_eq!(fills.len() as usize, known.len());
                for n in 0..40 {
                    prop_assert_eq!(fills.find(key(&row(n, 1))).is_some(), known.contains_key(&n));
                }
                for order_seq in 1..=5 {
                    let own = fills.own(order_seq).map(|at| fills.row(at).event_seq);
                    let told = chained.iter().rev().filter(|(n, _)| n % 5 + 1 == order_seq);
                    prop_assert!(own.eq(told.map(|&(_, seq)| seq)), "of order {order_seq}");
                }
                let net: i64 = base.iter().chain(&list).map(|f| f.1).sum();
                prop_assert_eq!(fills.refold(0).0, net);
            }
        }
    }
}
