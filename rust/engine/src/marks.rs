//! Slots whose orders have something to be tried: bits, and sums of them, so that the next one is found
//! in a few words. A cache beside the state: a mark is set by `apply` with what may let the work be done
//! and taken away by whoever tries it, so that what cannot be done costs nothing until something that
//! may change the answer has happened. After a recovery everything that waits is tried once.

use arch::Table;
use std::io;

/// A set of slots.
pub(crate) struct Marks {
    words: Table<u64>,
    sums: Table<u64>, // a bit a word that is not empty
    count: u64,
}

impl Marks {
    pub(crate) fn new(slots: usize) -> io::Result<Self> {
        let words = slots.div_ceil(64);
        let sums = Table::zeroed(words.div_ceil(64))?;
        Ok(Self { words: Table::zeroed(words)?, sums, count: 0 })
    }

    /// Slots marked.
    #[inline(always)]
    pub(crate) fn len(&self) -> u64 {
        self.count
    }

    /// Marks a slot; whether it was not marked before.
    pub(crate) fn set(&mut self, slot: usize) -> bool {
        let word = &mut self.words[slot / 64];
        let new = *word >> (slot % 64) & 1 == 0;
        self.count += u64::from(new);
        *word |= 1 << (slot % 64);
        self.sums[slot / 4096] |= 1 << (slot / 64 % 64);
        new
    }

    pub(crate) fn clear(&mut self, slot: usize) {
        let word = &mut self.words[slot / 64];
        self.count -= *word >> (slot % 64) & 1;
        *word &= !(1 << (slot % 64));
        if *word == 0 {
            self.sums[slot / 4096] &= !(1 << (slot / 64 % 64));
        }
    }

    /// The first marked slot from here on, round the end; unmarked now.
    pub(crate) fn take(&mut self, from: usize) -> Option<usize> {
        if self.count == 0 {
            return None;
        }
        let found = self.find(from).or_else(|| self.find(0)).expect("one is marked");
        self.clear(found);
        Some(found)
    }

    fn find(&self, from: usize) -> Option<usize> {
        let lowest = |base: usize, bits: u64| base * 64 + bits.trailing_zeros() as usize;
        let bits = self.words[from / 64] & (!0 << (from % 64));
        if bits != 0 {
            return Some(lowest(from / 64, bits));
        }
        let after = from / 64 + 1;
        (after / 64..self.sums.len()).find_map(|sum| {
            let above = if sum == after / 64 { !0 << (after % 64) } else { !0 };
            let word = lowest(sum, self.sums[sum] & above);
            (self.sums[sum] & above != 0).then(|| lowest(word, self.words[word]))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn marks_are_a_set_taken_round_from_any_place(
            slots in prop::sample::select(vec![64usize, 128, 4096, 1 << 13]),
            ops in prop::collection::vec((0u8..3, any::<usize>()), 1..200)
        ) {
            let mut marks = Marks::new(slots).unwrap();
            let mut plain = BTreeSet::new();
            for (op, at) in ops {
                let at = at % slots;
                match op {
                    0 => prop_assert_eq!(marks.set(at), plain.insert(at)),
                    1 => { marks.clear(at); plain.remove(&at); }
                    _ => {
                        let next = plain.range(at..).next().or_else(|| plain.first()).copied();
                        prop_assert_eq!(marks.take(at), next);
                        next.map(|next| plain.remove(&next));
                    }
                }
                prop_assert_eq!(marks.len() as usize, plain.len());
            }
        }
    }
}
