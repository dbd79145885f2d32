//! CRC32C (Castagnoli), the checksum of every record and header; called by journal and wire.
//!
//! A record's checksum is the standard CRC32C of `seed as 8 little-endian bytes ++ bytes 0..28 ++
//! bytes 32..128`, so any CRC32C library can check a log. Pure functions. What must stay true: the
//! instruction and the table give the same number (tested), and the four bytes of the checksum
//! itself are never read.

/// One step of the checksum; `Hard` is the instruction, `Soft` the table.
trait Step {
    fn word(crc: u32, word: u64) -> u32;
    fn half(crc: u32, half: u32) -> u32;
    fn byte(crc: u32, byte: u8) -> u32;
}

/// The table, eight bytes a step; also the second opinion of the tests.
#[cfg(any(test, not(all(target_arch = "x86_64", target_feature = "sse4.2"))))]
mod soft {
    const POLYNOMIAL: u32 = 0x82f6_3b78; // reflected 0x1edc6f41

    const fn make_tables() -> [[u32; 256]; 8] {
        let mut tables = [[0u32; 256]; 8];
        let mut i = 0;
        while i < 256 {
            let (mut crc, mut bit) = (i as u32, 0);
            while bit < 8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
                bit += 1;
            }
            tables[0][i] = crc;
            i += 1;
        }
        let mut t = 1;
        while t < 8 {
            i = 0;
            while i < 256 {
                let below = tables[t - 1][i];
                tables[t][i] = (below >> 8) ^ tables[0][(below & 0xff) as usize];
                i += 1;
            }
            t += 1;
        }
        tables
    }

    /// `TABLES[t][b]`: effect of byte `b` followed by `t` zero bytes.
    static TABLES: [[u32; 256]; 8] = make_tables();

    #[inline(always)]
    fn soft_byte(crc: u32, byte: u8) -> u32 {
        (crc >> 8) ^ TABLES[0][((crc ^ u32::from(byte)) & 0xff) as usize]
    }

    #[inline(always)]
    fn soft_u64(crc: u32, word: u64) -> u32 {
        let b = (word ^ u64::from(crc)).to_le_bytes();
        let mut out = 0;
        for (i, &byte) in b.iter().enumerate() {
            out ^= TABLES[7 - i][byte as usize];
        }
        out
    }

    pub struct Soft;
    impl super::Step for Soft {
        #[inline(always)]
        fn word(crc: u32, word: u64) -> u32 {
            soft_u64(crc, word)
        }
        #[inline(always)]
        fn half(crc: u32, half: u32) -> u32 {
            half.to_le_bytes().into_iter().fold(crc, soft_byte)
        }
        #[inline(always)]
        fn byte(crc: u32, byte: u8) -> u32 {
            soft_byte(crc, byte)
        }
    }
}
#[cfg(any(test, not(all(target_arch = "x86_64", target_feature = "sse4.2"))))]
use soft::Soft;

#[cfg(all(target_arch = "x86_64", target_feature = "sse4.2"))]
struct Hard;
#[cfg(all(target_arch = "x86_64", target_feature = "sse4.2"))]
impl Step for Hard {
    #[inline(always)]
    fn word(crc: u32, word: u64) -> u32 {
        debug_assert!(std::arch::is_x86_feature_detected!("sse4.2"));
        // SAFETY: the build's target features include SSE4.2, asserted above.
        unsafe { core::arch::x86_64::_mm_crc32_u64(u64::from(crc), word) as u32 }
    }
    #[inline(always)]
    fn half(crc: u32, half: u32) -> u32 {
        debug_assert!(std::arch::is_x86_feature_detected!("sse4.2"));
        // SAFETY: the build's target features include SSE4.2, asserted above.
        unsafe { core::arch::x86_64::_mm_crc32_u32(crc, half) }
    }
    #[inline(always)]
    fn byte(crc: u32, byte: u8) -> u32 {
        debug_assert!(std::arch::is_x86_feature_detected!("sse4.2"));
        // SAFETY: the build's target features include SSE4.2, asserted above.
        unsafe { core::arch::x86_64::_mm_crc32_u8(crc, byte) }
    }
}

#[cfg(all(target_arch = "x86_64", target_feature = "sse4.2"))]
type Best = Hard;
#[cfg(not(all(target_arch = "x86_64", target_feature = "sse4.2")))]
type Best = Soft;

#[inline(always)]
fn word_at(bytes: &[u8; 128], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[inline(always)]
fn half_at(bytes: &[u8; 128], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

#[inline(always)]
fn record_with<S: Step>(seed: u64, record: &[u8; 128], half: u32) -> u32 {
    let mut crc = S::word(!0, seed);
    crc = S::word(crc, word_at(record, 0));
    crc = S::word(crc, word_at(record, 8));
    crc = S::word(crc, word_at(record, 16));
    crc = S::half(crc, half);
    for at in (32..128).step_by(8) {
        crc = S::word(crc, word_at(record, at));
    }
    !crc
}

fn bytes_with<S: Step>(bytes: &[u8]) -> u32 {
    let mut words = bytes.chunks_exact(8);
    let mut crc = !0;
    for word in &mut words {
        crc = S::word(crc, u64::from_le_bytes(word.try_into().expect("eight bytes")));
    }
    for &byte in words.remainder() {
        crc = S::byte(crc, byte);
    }
    !crc
}

/// CRC32C of a record over all bytes but 28..32, where it is kept; `seed` is the log's id, so that a
/// record of another log never counts.
#[inline(always)]
pub fn record_crc(seed: u64, record: &[u8; 128]) -> u32 {
    record_with::<Best>(seed, record, half_at(record, 24))
}

/// As [`record_crc`], where bytes 24..28 were written just now, as `half`: they are not read back, since
/// a load cannot be forwarded from several stores.
#[inline(always)]
pub fn sealed_crc(seed: u64, record: &[u8; 128], half: u32) -> u32 {
    debug_assert!(half == half_at(record, 24));
    record_with::<Best>(seed, record, half)
}

/// CRC32C of any bytes; for the headers of files.
pub fn crc32c(bytes: &[u8]) -> u32 {
    bytes_with::<Best>(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_is_the_standard_one() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283); // the check value of RFC 3720
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(b""), 0);
    }

    #[test]
    fn instruction_and_table_agree_on_every_length() {
        let mut state = 1u64;
        let bytes: Vec<u8> = (0..300)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        for end in 0..bytes.len() {
            assert_eq!(bytes_with::<Soft>(&bytes[..end]), bytes_with::<Best>(&bytes[..end]));
        }
        let record: &[u8; 128] = bytes[..128].try_into().expect("128 bytes");
        let half = half_at(record, 24);
        assert_eq!(record_with::<Soft>(state, record, half), record_crc(state, record));
        assert_eq!(sealed_crc(state, record, half), record_crc(state, record));
    }

    #[test]
    fn record_crc_is_crc32c_of_seed_and_record_without_its_own_field() {
        let record: [u8; 128] = std::array::from_fn(|i| (i * 7 + 3) as u8);
        let mut plain = 0x0123_4567_89ab_cdefu64.to_le_bytes().to_vec();
        plain.extend_from_slice(&record[..28]);
        plain.extend_from_slice(&record[32..]);
        assert_eq!(record_crc(0x0123_4567_89ab_cdef, &record), crc32c(&plain));
    }

    #[test]
    fn every_bit_but_the_field_itself_changes_the_checksum() {
        let record: [u8; 128] = std::array::from_fn(|i| (i * 31) as u8);
        let crc = record_crc(9, &record);
        for bit in 0..1024 {
            let mut flipped = record;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(record_crc(9, &flipped) == crc, (28..32).contains(&(bit / 8)));
        }
        assert_ne!(record_crc(10, &record), crc);
    }
}
