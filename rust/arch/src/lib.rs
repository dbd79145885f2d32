//! What the machine gives: prefetch, tables on huge pages, CRC32C, byte scans, a clock from the TSC.
//!
//! Used by every crate that runs on the hot path; imports nothing of ours and owns no state.
//! `unsafe` is allowed here, each block with its proof. What must stay true: every function gives the
//! same answer with and without the CPU feature it uses, and no function here allocates, locks or
//! calls the system after its start-up call (`Table::zeroed`, `Clock::start`, `Clock::recalibrate`).

mod clock;
mod crc;
mod mutants;
mod pages;
mod prefetch;
mod scan;
mod table;

pub use clock::{Clock, tsc, tsc_fenced, utc_now_ns};
pub use crc::{crc32c, record_crc, sealed_crc};
#[cfg(feature = "mutants")]
pub use mutants::mutant_is;
pub use pages::{Pages, lock_pages, pages_of, prefault};
pub use prefetch::{prefetch_read, prefetch_write};
pub use scan::{is_padded_text, is_printable, printable_len, words_equal};
pub use table::Table;

/// Bytes of a cache line.
pub const LINE_SIZE: usize = 64;
