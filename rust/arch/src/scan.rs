//! Byte scans of identifiers; called by the gate for each `cl_ord_id`, ClOrdID(11), and by the edges.
//!
//! Eight bytes a step in plain words, so that the compiler widens it to what the CPU has. Pure
//! functions. What must stay true: printable means 0x20 to 0x7e, and a field's text ends at its first
//! zero byte with nothing but zeros after.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The high bit of each byte of `word` that is not printable ASCII.
#[inline(always)]
fn unprintable(word: u64) -> u64 {
    // Below 0x20: (b + 0x60) keeps its high bit clear for b < 0x20; 0x7f: b + 1 sets it. The low
    // seven bits of each byte are added alone, so no carry leaves a byte.
    let low = word & !HIGHS;
    let at_least_space = low + ONES * 0x60;
    let delete = low + ONES;
    (word | !at_least_space | delete) & HIGHS
}

#[inline(always)]
fn word_of(bytes: &[u8], fill: u8) -> u64 {
    let mut word = [fill; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// Whether every byte is printable ASCII (0x20 to 0x7e); true for no bytes.
#[inline]
pub fn is_printable(bytes: &[u8]) -> bool {
    let mut words = bytes.chunks_exact(8);
    let mut bad = 0;
    for word in &mut words {
        bad |= unprintable(word_of(word, b' '));
    }
    (bad | unprintable(word_of(words.remainder(), b' '))) == 0
}

/// Length of the text in a zero-padded field.
///
/// `None` when a byte of the text is not printable ASCII or a byte after its end is not zero. An
/// empty field has length 0. Allowed: the whole field filled, without a zero.
#[inline]
pub fn printable_len(field: &[u8]) -> Option<usize> {
    // Each byte is good (printable) or zero; the good ones come first. So the count of good bytes is
    // the length, and it is right exactly when the last good byte stands at that count.
    let (mut good_count, mut good_end, mut other) = (0, 0, false);
    for (i, &byte) in field.iter().enumerate() {
        let good = byte.wrapping_sub(0x20) < 0x5f;
        good_count += usize::from(good);
        good_end = if good { i + 1 } else { good_end };
        other |= !good & (byte != 0);
    }
    if other || good_end != good_count { None } else { Some(good_count) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place_is_judged_alike() {
        for place in 0..36 {
            for byte in 0..=255u8 {
                let mut field = [b'x'; 36];
                field[place] = byte;
                let good = (0x20..=0x7e).contains(&byte);
                assert_eq!(is_printable(&field), good, "byte {byte} at {place}");
                let len = match byte {
                    0 if place == 35 => Some(35),
                    _ if good => Some(36),
                    _ => None,
                };
                assert_eq!(printable_len(&field), len, "byte {byte} at {place}");
            }
        }
    }

    #[test]
    fn text_ends_at_its_first_zero_and_nothing_follows() {
        for len in 0..=36 {
            let mut field = [0u8; 36];
            field[..len].fill(b'a');
            assert_eq!(printable_len(&field), Some(len));
            assert!(is_printable(&field[..len]));
        }
        assert_eq!(printable_len(b"ab\0c"), None);
        assert_eq!(printable_len(b"\0a"), None);
    }
}
