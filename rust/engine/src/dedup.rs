//! (session, cl_ord_id) -> the row that says what became of it. One-line buckets of tags point to
//! 64-byte rows; the full key is compared on a tag match, since a hash alone could merge two orders.
//! Rows are a ring in the order of arrival: the oldest are forgotten once their TTL has run out,
//! which starts at the end of the order; a live order's ids are moved on, never forgotten.
//! Read by the gate, written by `apply` alone; never grows.
//!
//! ```text
//!  bucket (64 B): 7 x [tag 36 | row 28]   1 x overflow count: entries that went to the other bucket
//!  row    (64 B): cl_ord_id 36, session 2, verdict 2, order_seq 8, time 8, body_hash 8
//! ```

use crate::number::{KEYS, fold};
use arch::Table;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// One remembered id.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes)]
#[repr(C)]
pub struct IdRow {
    /// ClOrdID(11), zero padded; all zero: the row is free.
    pub cl_ord_id: [u8; 36],
    /// Session.
    pub session_id: u16,
    /// Recorded refusal, 0 for an accepted command.
    pub verdict: u16,
    /// Order it belongs to, 0 for a refusal without one.
    pub order_seq: u64,
    /// When it was taken.
    pub time_ns: i64,
    /// Hash of the body.
    pub body_hash: u64,
}

const _: () = assert!(size_of::<IdRow>() == 64);
const TAG_SHIFT: u32 = 28;
const ROW_MASK: u64 = (1 << TAG_SHIFT) - 1;
const OVERFLOW: usize = 7;

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes)]
#[repr(C, align(64))]
struct Bucket([u64; 8]);

impl Bucket {
    #[inline(always)]
    fn first_free(&self) -> Option<usize> {
        let free = arch::words_equal(&self.0, !0, 0) & ((1 << OVERFLOW) - 1);
        (free != 0).then_some(free.trailing_zeros() as usize)
    }
}

/// A free entry of a bucket.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    place: u32,
    at: u32,
}

/// Hash of an id within its session: folded products of its words. Not a secret: who floods one
/// bucket on purpose has the ids of his own session refused.
#[inline(always)]
pub fn id_hash(cl_ord_id: &[u8; 36], session_id: u16) -> u64 {
    let word = |at: usize| {
        u64::from_le_bytes(cl_ord_id[at..at + 8].try_into().expect("8 bytes")) ^ KEYS[at / 8]
    };
    let tail = u32::from_le_bytes(cl_ord_id[32..].try_into().expect("4 bytes"));
    let tail = (u64::from(tail) << 16 | u64::from(session_id)) ^ KEYS[4];
    let sum = fold(word(0), word(8)) ^ fold(word(16), word(24)).rotate_left(29);
    fold(sum ^ tail, KEYS[5])
}

/// The id table.
pub struct Dedup {
    buckets: Table<Bucket>,
    rows: Table<IdRow>,
    head: u64,   // rows ever taken
    oldest: u64, // rows ever given back
}

impl Dedup {
    /// Room for `ids_max` ids, a power of two up to 2^28; 64 bytes each and 16 to 21 of buckets.
    pub fn new(ids_max: usize) -> std::io::Result<Self> {
        assert!(ids_max.is_power_of_two());
        assert!(ids_max <= 1 << TAG_SHIFT);
        // At most 4/7 full. Where both buckets of an id are full, an entry of theirs moves to its own
        // other bucket; that none of 14 can move does not happen in practice.
        let buckets = (ids_max / 4).max(2);
        Ok(Self {
            buckets: Table::zeroed(buckets)?,
            rows: Table::zeroed(ids_max)?,
            head: 0,
            oldest: 0,
        })
    }

    #[inline(always)]
    fn places(&self, hash: u64) -> (usize, usize, u64) {
        let mask = self.buckets.len() - 1;
        let first = hash as usize & mask;
        let tag = (hash >> TAG_SHIFT) | 1; // never 0: 0 is an empty entry
        // The other bucket depends on tag and first alone, and back again.
        (first, self.other(first, tag), tag << TAG_SHIFT)
    }

    #[inline(always)]
    fn other(&self, place: usize, tag: u64) -> usize {
        let step = (tag.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize | 1;
        (place ^ step) & (self.buckets.len() - 1)
    }

    /// An entry of a full bucket that its other bucket has a place for.
    #[cold]
    fn movable(&self, place: usize) -> Option<(usize, usize)> {
        let entries = &self.buckets[place].0[..OVERFLOW];
        entries.iter().enumerate().find_map(|(at, entry)| {
            let other = self.other(place, entry >> TAG_SHIFT);
            self.buckets[other].first_free().map(|_| (at, other))
        })
    }

    /// Moves one entry of a full bucket to its other bucket; says which place it left.
    #[cold]
    fn make_room(&mut self, place: usize) -> Option<usize> {
        let (at, other) = self.movable(place)?;
        let entry = self.buckets[place].0[at];
        let row = &self.rows[(entry & ROW_MASK) as usize];
        let (home, ..) = self.places(id_hash(&row.cl_ord_id, row.session_id));
        if home == place {
            self.buckets[place].0[OVERFLOW] += 1;
        } else {
            assert!(home == other);
            assert!(self.buckets[other].0[OVERFLOW] > 0);
            self.buckets[other].0[OVERFLOW] -= 1;
        }
        let free = self.buckets[other].first_free().expect("it was found");
        self.buckets[other].0[free] = entry;
        self.buckets[place].0[at] = 0;
        Some(at)
    }

    /// Asks the memory for the lines that `find` and `insert` of this hash will touch.
    #[inline(always)]
    pub fn prefetch(&self, hash: u64) {
        arch::prefetch_write(&self.buckets[hash as usize & (self.buckets.len() - 1)]);
    }

    #[inline(always)]
    fn match_bits(bucket: &Bucket, tag: u64) -> u32 {
        // The overflow count takes part, so that whole lines are compared: its tag is 0.
        arch::words_equal(&bucket.0, !ROW_MASK, tag)
    }

    #[inline]
    fn scan(&self, place: usize, tag: u64, session_id: u16, cl_ord_id: &[u8; 36]) -> Option<u32> {
        let bucket = &self.buckets[place];
        let mut bits = Self::match_bits(bucket, tag);
        while bits != 0 {
            let row = (bucket.0[bits.trailing_zeros() as usize] & ROW_MASK) as u32;
            let found = &self.rows[row as usize];
            if found.session_id == session_id && found.cl_ord_id == *cl_ord_id {
                return Some(row);
            }
            bits &= bits - 1;
        }
        None
    }

    /// The row of an id, if it is remembered.
    #[inline]
    pub fn find(&self, hash: u64, session_id: u16, cl_ord_id: &[u8; 36]) -> Option<u32> {
        let (first, second, tag) = self.places(hash);
        let found = self.scan(first, tag, session_id, cl_ord_id);
        if found.is_none() && self.buckets[first].0[OVERFLOW] != 0 {
            return self.scan(second, tag, session_id, cl_ord_id);
        }
        found
    }

    /// A remembered row.
    #[inline]
    pub fn row(&self, row: u32) -> &IdRow {
        &self.rows[row as usize]
    }

    /// Ids in use.
    pub fn len(&self) -> u64 {
        self.head - self.oldest
    }

    /// Whether no id is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ids it has room for.
    pub fn capacity(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Whether an id of this hash can be taken: a free row, and a free entry in one of its buckets.
    #[inline]
    pub fn has_room(&self, hash: u64) -> bool {
        let (first, second, _) = self.places(hash);
        let free = |place: usize| self.buckets[place].first_free().is_some();
        // One row is kept for the move of a live id.
        self.len() + 1 < self.capacity()
            && (free(first)
                || free(second)
                || self.movable(first).is_some()
                || self.movable(second).is_some())
    }

    /// What `find` and `has_room` say together, by one walk of one line, in the usual case alone: no
    /// entry of this tag, none that went to the other bucket, and a free one. `None`: ask those two.
    #[inline(always)]
    pub fn free_entry(&self, hash: u64) -> Option<Entry> {
        let place = hash as usize & (self.buckets.len() - 1);
        let bucket = &self.buckets[place];
        let free = arch::words_equal(&bucket.0, !0, 0);
        let tagged = Self::match_bits(bucket, ((hash >> TAG_SHIFT) | 1) << TAG_SHIFT);
        // The highest bit says that the overflow count is zero.
        let usual = free > 1 << OVERFLOW && tagged == 0 && self.len() + 1 < self.capacity();
        usual.then(|| Entry { place: place as u32, at: free.trailing_zeros() })
    }

    /// Takes an id at the entry that `free_entry` found; nothing was taken since.
    #[inline(always)]
    pub fn insert_at(&mut self, entry: Entry, hash: u64, row: IdRow) -> u32 {
        let index = self.take_row(row);
        let word = &mut self.buckets[entry.place as usize].0[entry.at as usize & 7];
        assert!(*word == 0);
        *word = ((hash >> TAG_SHIFT) | 1) << TAG_SHIFT | index as u64;
        index
    }

    /// Takes an id; `has_room` was asked before, and the id is not remembered.
    #[inline]
    pub fn insert(&mut self, hash: u64, row: IdRow) -> u32 {
        let index = self.take_row(row);
        self.link(hash, index);
        index
    }

    #[inline(always)]
    fn take_row(&mut self, row: IdRow) -> u32 {
        let index = (self.head & (self.rows.len() as u64 - 1)) as u32;
        assert!(self.len() < self.capacity());
        // Field by field: a row put together elsewhere and copied whole waits for its own narrow stores.
        let place = &mut self.rows[index as usize];
        place.cl_ord_id = row.cl_ord_id;
        (place.session_id, place.verdict) = (row.session_id, row.verdict);
        (place.order_seq, place.time_ns, place.body_hash) =
            (row.order_seq, row.time_ns, row.body_hash);
        self.head += 1;
        index
    }

    #[inline]
    fn link(&mut self, hash: u64, index: u32) {
        let (first, second, tag) = self.places(hash);
        let entry = tag | index as u64;
        let bucket = &mut self.buckets[first];
        if let Some(free) = bucket.first_free() {
            bucket.0[free] = entry;
            return;
        }
        if self.buckets[second].first_free().is_none() {
            if let Some(free) = self.make_room(first) {
                self.buckets[first].0[free] = entry;
                return;
            }
        }
        let free = self.buckets[second].first_free().or_else(|| self.make_room(second));
        self.buckets[second].0[free.expect("has_room was asked")] = entry;
        self.buckets[first].0[OVERFLOW] += 1;
    }

    fn unlink(&mut self, hash: u64, index: u32) {
        let (first, second, tag) = self.places(hash);
        let entry = tag | index as u64;
        if let Some(at) = self.buckets[first].0[..OVERFLOW].iter().position(|&e| e == entry) {
            self.buckets[first].0[at] = 0;
            return;
        }
        let at = self.buckets[second].0[..OVERFLOW].iter().position(|&e| e == entry);
        self.buckets[second].0[at.expect("a linked row has an entry")] = 0;
        self.buckets[first].0[OVERFLOW] -= 1;
    }

    /// The oldest row, if one was taken before `before_ns`.
    #[inline]
    pub fn oldest_before(&self, before_ns: i64) -> Option<u32> {
        if self.is_empty() {
            return None;
        }
        let index = (self.oldest & (self.rows.len() as u64 - 1)) as u32;
        (self.rows[index as usize].time_ns <= before_ns).then_some(index)
    }

    /// Forgets the oldest row.
    pub fn forget_oldest(&mut self) {
        assert!(!self.is_empty());
        let index = (self.oldest & (self.rows.len() as u64 - 1)) as u32;
        let row = self.rows[index as usize];
        if row.session_id != 0 || row.cl_ord_id[0] != 0 {
            self.unlink(id_hash(&row.cl_ord_id, row.session_id), index);
        }
        self.rows[index as usize] = IdRow::FREE;
        self.oldest += 1;
    }

    /// Moves the oldest row to the newest place, at its old key, and says where it is now.
    pub fn renew_oldest(&mut self, time_ns: i64) -> u32 {
        let index = (self.oldest & (self.rows.len() as u64 - 1)) as u32;
        let row = IdRow { time_ns, ..self.rows[index as usize] };
        self.forget_oldest();
        self.insert(id_hash(&row.cl_ord_id, row.session_id), row)
    }

    /// Forgets one row in the middle: its key is free, its place goes with the ring.
    pub fn forget(&mut self, index: u32) {
        let row = self.rows[index as usize];
        self.unlink(id_hash(&row.cl_ord_id, row.session_id), index);
        self.rows[index as usize] = IdRow { time_ns: row.time_ns, ..IdRow::FREE };
    }

    /// Remembered rows, oldest first, for the state hash.
    pub fn rows(&self) -> impl Iterator<Item = &IdRow> {
        let mask = self.rows.len() as u64 - 1;
        (self.oldest..self.head).map(move |i| &self.rows[(i & mask) as usize])
    }
}

impl IdRow {
    const FREE: Self = Self {
        cl_ord_id: [0; 36],
        session_id: 0,
        verdict: 0,
        order_seq: 0,
        time_ns: 0,
        body_hash: 0,
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn key(n: u16) -> [u8; 36] {
        layout::text(&format!("id-{n}"))
    }

    proptest! {
        #[test]
        fn agrees_with_a_map_under_inserts_forgets_and_moves(ops in proptest::collection::vec((0u8..10, 0u16..300), 1..800)) {
            let mut dedup = Dedup::new(256).unwrap();
            let mut map: HashMap<(u16, [u8; 36]), u64> = HashMap::new();
            for (t, (op, n)) in ops.into_iter().enumerate() {
                let (session, id) = (n % 3 + 1, key(n));
                let hash = id_hash(&id, session);
                let found = dedup.find(hash, session, &id);
                prop_assert_eq!(found.map(|row| dedup.row(row).order_seq), map.get(&(session, id)).copied());
                prop_assert!(dedup.free_entry(hash).is_none() || found.is_none() && dedup.has_room(hash));
                match op {
                    0..6 if found.is_none() && dedup.has_room(hash) => {
                        let row = IdRow { cl_ord_id: id, session_id: session, verdict: 0, order_seq: t as u64 + 1, time_ns: t as i64, body_hash: 0 };
                        match dedup.free_entry(hash).filter(|_| op < 4) {
                            Some(entry) => dedup.insert_at(entry, hash, row),
                            None => dedup.insert(hash, row),
                        };
                        map.insert((session, id), t as u64 + 1);
                    }
                    6 => if let Some(row) = found { dedup.forget(row); map.remove(&(session, id)); },
                    7 if !dedup.is_empty() => {
                        let row = dedup.rows().next().copied().unwrap();
                        dedup.forget_oldest();
                        map.remove(&(row.session_id, row.cl_ord_id));
                    },
                    8 => if let Some(row) = dedup.oldest_before(t as i64) {
                        if dedup.row(row).session_id != 0 { dedup.renew_oldest(t as i64); }
                    },
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn every_id_finds_room_until_the_rows_are_used_up_and_is_found_again() {
        for ids_max in [16, 256, 4096, 1 << 16] {
            let mut dedup = Dedup::new(ids_max).unwrap();
            let row = |n: usize| {
                let text = layout::text(&format!("{n}"));
                let (session_id, order_seq) = ((n % 7 + 1) as u16, n as u64);
                IdRow { cl_ord_id: text, session_id, order_seq, ..IdRow::FREE }
            };
            for n in 0..ids_max - 1 {
                let hash = id_hash(&row(n).cl_ord_id, row(n).session_id);
                assert!(dedup.has_room(hash), "{n} of {ids_max}");
                dedup.insert(hash, row(n));
            }
            for round in 0..2 {
                for n in 0..ids_max - 1 {
                    let hash = id_hash(&row(n).cl_ord_id, row(n).session_id);
                    let found = dedup.find(hash, row(n).session_id, &row(n).cl_ord_id);
                    assert_eq!(found.is_some(), round == 0 || n >= ids_max / 2, "{n} of {ids_max}");
                }
                while round == 0 && dedup.len() > (ids_max - 1 - ids_max / 2) as u64 {
                    dedup.forget_oldest();
                }
            }
        }
    }

    #[test]
    fn two_sessions_may_use_one_id() {
        let mut dedup = Dedup::new(16).unwrap();
        let row = |session_id| IdRow {
            cl_ord_id: key(1),
            session_id,
            verdict: 0,
            order_seq: session_id as u64,
            time_ns: 0,
            body_hash: 0,
        };
        dedup.insert(id_hash(&key(1), 1), row(1));
        assert_eq!(dedup.find(id_hash(&key(1), 2), 2, &key(1)), None);
        dedup.insert(id_hash(&key(1), 2), row(2));
        assert_eq!(
            dedup.find(id_hash(&key(1), 2), 2, &key(1)).map(|r| dedup.row(r).order_seq),
            Some(2)
        );
    }

    #[test]
    fn a_hash_alone_never_merges_two_ids_or_two_sessions() {
        let mut dedup = Dedup::new(16).unwrap();
        let row = |cl_ord_id, session_id| IdRow {
            cl_ord_id,
            session_id,
            verdict: 0,
            order_seq: 1,
            time_ns: 0,
            body_hash: 0,
        };
        let hash = id_hash(&key(1), 1);
        dedup.insert(hash, row(key(2), 1)); // as if both ids had this hash
        dedup.insert(hash, row(key(1), 2));
        assert_eq!(dedup.find(hash, 1, &key(1)), None);
    }
}
