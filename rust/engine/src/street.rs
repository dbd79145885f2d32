//! The street id: our ClOrdID(11) at a venue, base 36 of (epoch, order_seq, revision), fixed width
//! 4 + 10 + 3 characters, so that it sorts, never collides between client sessions and is unchanged
//! on every retry (DESIGN §10). Called by the pipeline for each send and by reports on the way back.

/// What a street id says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Street {
    /// Epoch in which the order was accepted, below 36^4.
    pub epoch: u32,
    /// Our number of the order, below 36^10.
    pub order_seq: u64,
    /// Which message about the order, below 36^3.
    pub revision: u16,
}

/// Highest epoch a street id can carry.
pub const EPOCH_MAX: u32 = 36u32.pow(4) - 1;
/// Highest order_seq a street id can carry.
pub const ORDER_SEQ_MAX: u64 = 36u64.pow(10) - 1;
/// Highest revision a street id can carry: messages about one order.
pub const REVISION_MAX: u16 = 36u16.pow(3) - 1;
/// Revisions that the desk's own changes leave to people, timers and the kill switch.
pub(crate) const REVISIONS_KEPT: u16 = 256;

const DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// Two digits at a time: half the multiplications of one at a time.
static PAIRS: [[u8; 2]; 1296] = {
    let (mut pairs, mut i) = ([[0u8; 2]; 1296], 0);
    while i < 1296 {
        pairs[i] = [DIGITS[i / 36], DIGITS[i % 36]];
        i += 1;
    }
    pairs
};

#[inline(always)]
fn pair(n: u32) -> u64 {
    u16::from_le_bytes(PAIRS[(n % 1296) as usize]) as u64
}

/// A street id as three words of which 20 bytes count: built in registers, for the hot path.
#[inline]
pub fn words(street: Street) -> [u64; 3] {
    debug_assert!(street.epoch <= EPOCH_MAX);
    debug_assert!(street.order_seq <= ORDER_SEQ_MAX);
    // Two halves of five digits: their divisions run side by side and are cheaper than 64-bit ones.
    let high = (street.order_seq / 60_466_176) as u32; // 36^5
    let low = (street.order_seq % 60_466_176) as u32;
    let first = DIGITS[(high / 1_679_616 % 36) as usize] as u64; // 36^4
    let middle = DIGITS[(low / 1_679_616) as usize] as u64;
    let sequence = first | pair(high / 1296) << 8 | pair(high) << 24; // five characters
    let rest = middle | pair(low / 1296) << 8 | pair(low) << 24;
    let epoch = pair(street.epoch / 1296) | pair(street.epoch) << 16;
    let revision = street.revision as u32;
    let tail = DIGITS[(revision / 1296 % 36) as usize] as u64 | pair(revision) << 8;
    [epoch | sequence << 32, sequence >> 32 | rest << 8 | tail << 48, tail >> 16]
}

/// The street ids of new orders: they come in sequence, so that all but the last two digits of one
/// serve the next 1,295 as well. A cache, not state.
#[derive(Debug)]
pub struct Sequence {
    epoch: u32,
    above: u64,
    words: [u64; 3],
}

impl Default for Sequence {
    fn default() -> Self {
        Self { epoch: 0, above: u64::MAX, words: [0; 3] }
    }
}

impl Sequence {
    /// As [`words`] for revision 0.
    #[inline(always)]
    pub fn words(&mut self, epoch: u32, order_seq: u64) -> [u64; 3] {
        let (above, last) = (order_seq / 1296, (order_seq % 1296) as u32);
        if self.epoch != epoch || self.above != above {
            self.renew(epoch, above);
        }
        let [first, middle, end] = self.words;
        [first, middle | pair(last) << 32, end]
    }

    #[cold]
    fn renew(&mut self, epoch: u32, above: u64) {
        self.words = words(Street { epoch, order_seq: above * 1296, revision: 0 });
        self.words[1] &= !(0xffff << 32);
        (self.epoch, self.above) = (epoch, above);
    }
}

/// Writes a street id, zero padded to 20 bytes.
#[inline]
pub fn encode(street: Street) -> [u8; 20] {
    let words = words(street);
    let mut out = [0u8; 20];
    out[..8].copy_from_slice(&words[0].to_le_bytes());
    out[8..16].copy_from_slice(&words[1].to_le_bytes());
    out[16..].copy_from_slice(&words[2].to_le_bytes()[..4]);
    out
}

/// Value of each byte as a digit; 255 for what is none.
static VALUES: [u8; 256] = {
    let (mut values, mut i) = ([255u8; 256], 0);
    while i < 36 {
        values[DIGITS[i] as usize] = i as u8;
        i += 1;
    }
    values
};

/// Reads a street id; `None` for anything that [`encode`] did not write.
#[inline]
pub fn decode(id: &[u8; 20]) -> Option<Street> {
    if id[17..] != [0; 3] {
        return None;
    }
    let mut bad = 0u8;
    let mut number = |bytes: &[u8]| {
        bytes.iter().fold(0u64, |sum, &byte| {
            let digit = VALUES[byte as usize];
            bad |= digit & 0x80;
            sum * 36 + (digit & 63) as u64
        })
    };
    let (epoch, order_seq, revision) = (number(&id[..4]), number(&id[4..14]), number(&id[14..17]));
    (bad == 0).then_some(Street { epoch: epoch as u32, order_seq, revision: revision as u16 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_written_is_read(epoch in 0..=EPOCH_MAX, order_seq in 0..=ORDER_SEQ_MAX, revision in 0..=REVISION_MAX) {
            let street = Street { epoch, order_seq, revision };
            prop_assert_eq!(decode(&encode(street)), Some(street));
        }
        #[test]
        fn a_sequence_gives_the_words_of_each(orders in proptest::collection::vec((0..3u32, 0u64..4000, any::<bool>()), 1..50)) {
            let mut sequence = Sequence::default();
            for (epoch, near, far) in orders {
                let order_seq = if far { ORDER_SEQ_MAX - near } else { near };
                let street = Street { epoch, order_seq, revision: 0 };
                prop_assert_eq!(sequence.words(epoch, order_seq), words(street));
            }
        }
        #[test]
        fn foreign_ids_are_none_or_written_alike(id in any::<[u8; 20]>()) {
            if let Some(street) = decode(&id) { prop_assert_eq!(encode(street), id); }
        }
    }

    #[test]
    fn street_ids_sort_as_their_orders_do() {
        let id = |order_seq, revision| encode(Street { epoch: 1, order_seq, revision });
        assert!(id(35, 0) < id(36, 0) && id(36, 1) < id(37, 0) && id(36, 0) < id(36, 1));
        assert_eq!(&id(36, 7)[..17], b"00010000000010007");
    }
}
