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

/// Whether a field of 36 bytes holds a text: not empty, printable ASCII, zeros after its end. The
/// gate's form of [`printable_len`].
#[inline(always)]
pub fn is_padded_text(field: &[u8; 36]) -> bool {
    let (good, zero) = good_and_zero(field);
    // The good bytes are the low ones, without a gap, and all others are zero.
    good != 0 && good & (good + 1) == 0 && good | zero == (1 << 36) - 1
}

/// A bit per byte: printable ones, and zeros.
#[cfg(target_feature = "avx2")]
#[inline(always)]
fn good_and_zero(field: &[u8; 36]) -> (u64, u64) {
    use core::arch::x86_64::*;
    #[allow(unused_unsafe)] // safe in newer compilers, but for the loads
    // SAFETY: the target has AVX2, and both loads of 32 bytes, at 0 and at 4, end within the 36.
    unsafe {
        let masks = |from: usize| {
            debug_assert!(from + 32 <= field.len());
            let bytes = _mm256_loadu_si256(field.as_ptr().add(from).cast());
            // Signed compares: bytes from 0x80 are negative and fail the first.
            let low = _mm256_cmpgt_epi8(bytes, _mm256_set1_epi8(0x1f));
            let high = _mm256_cmpgt_epi8(_mm256_set1_epi8(0x7f), bytes);
            let zero = _mm256_cmpeq_epi8(bytes, _mm256_setzero_si256());
            let mask = |lanes| u64::from(_mm256_movemask_epi8(lanes) as u32);
            (mask(_mm256_and_si256(low, high)), mask(zero))
        };
        let ((good, zero), (good_end, zero_end)) = (masks(0), masks(4));
        (good | good_end << 4, zero | zero_end << 4)
    }
}

/// A bit per byte: printable ones, and zeros.
#[cfg(not(target_feature = "avx2"))]
fn good_and_zero(field: &[u8; 36]) -> (u64, u64) {
    field.iter().enumerate().fold((0, 0), |(good, zero), (i, &byte)| {
        let printable = byte.wrapping_sub(0x20) < 0x5f;
        (good | u64::from(printable) << i, zero | u64::from(byte == 0) << i)
    })
}

/// A bit per word of a line that equals `value` in the bits of `mask`.
#[inline(always)]
pub fn words_equal(line: &[u64; 8], mask: u64, value: u64) -> u32 {
    #[cfg(target_feature = "avx2")]
    {
        use core::arch::x86_64::*;
        #[allow(unused_unsafe)] // safe in newer compilers, but for the loads
        // SAFETY: the target has AVX2, and the two loads of four words each are the line.
        unsafe {
            let half = |from: usize| {
                debug_assert!(from + 4 <= line.len());
                let words = _mm256_loadu_si256(line.as_ptr().add(from).cast());
                let kept = _mm256_and_si256(words, _mm256_set1_epi64x(mask as i64));
                let equal = _mm256_cmpeq_epi64(kept, _mm256_set1_epi64x(value as i64));
                _mm256_movemask_pd(_mm256_castsi256_pd(equal)) as u32
            };
            half(0) | half(4) << 4
        }
    }
    #[cfg(not(target_feature = "avx2"))]
    line.iter().enumerate().fold(0, |bits, (i, word)| bits | u32::from(word & mask == value) << i)
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
                assert_eq!(is_padded_text(&field), len.is_some(), "byte {byte} at {place}");
            }
        }
    }

    #[test]
    fn text_ends_at_its_first_zero_and_nothing_follows() {
        for len in 0..=36 {
            let mut field = [0u8; 36];
            field[..len].fill(b'a');
            assert_eq!(printable_len(&field), Some(len));
            assert_eq!(is_padded_text(&field), len != 0);
            assert!(is_printable(&field[..len]));
            for after in len + 1..36 {
                let mut torn = field;
                torn[after] = b'a';
                assert!(!is_padded_text(&torn), "text at {after} behind a zero at {len}");
            }
        }
        assert_eq!(printable_len(b"ab\0c"), None);
        assert_eq!(printable_len(b"\0a"), None);
    }

    #[test]
    fn equal_words_are_found_at_every_place_under_the_mask() {
        for place in 0..8 {
            let mut line = [7u64 << 28 | 5; 8];
            line[place] = 9 << 28 | 6;
            assert_eq!(words_equal(&line, !0 << 28, 9 << 28), 1 << place);
            assert_eq!(words_equal(&line, !0, 9 << 28), 0);
            assert_eq!(words_equal(&line, !0, 7 << 28 | 5), 0xff & !(1 << place));
        }
    }
}
