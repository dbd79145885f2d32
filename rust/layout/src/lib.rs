//! Every record and code that crosses a language, thread or disk boundary, written once.
//!
//! Read by every other crate; `emit` turns the tables into the Cython `.pxd` and the numpy dtypes.
//! Imports nothing of ours and owns no state. What must stay true: a released record never changes
//! its bytes (a changed layout gets a new kind), and sizes and offsets are asserted at compile time.
//!
//! ```text
//!  0        8        16       24   26 27 28     32                              128
//!  event_seq ingest   order_seq kind m  e  crc    payload by kind, 96 bytes
//! ```

#![forbid(unsafe_code)]

#[macro_use]
pub mod tables;
mod build;
mod codes;
mod records;
pub mod reference;

pub use build::{Acceptance, Message};
pub use codes::*;
pub use records::*;

/// Bytes of a record.
pub const RECORD_SIZE: usize = 128;
/// Fixed-point one: prices, quantities, multipliers, rates and fees are integers at 1e-9.
pub const ONE: i64 = 1_000_000_000;
/// "No price" in a quote or a refusal.
pub const NO_PRICE: i64 = i64::MIN;
/// "No reference" in `bid_ticks` and `ask_ticks`.
pub const NO_TICKS: i32 = i32::MIN;
/// `tags` bit: the order is a parent, an intent that is worked through children and never routed.
pub const TAG_PARENT: u8 = 1 << 7;
/// `tags` bit: `order_terms` was offered before the command, in the same session.
pub const TAG_TERMS: u8 = 1 << 6;
/// `tags`: bits of the PositionEffect(77), from this one on.
pub const TAG_EFFECT_SHIFT: u32 = 4;
/// `OrderTerms::exec_inst`: must not take liquidity.
pub const EXEC_POST_ONLY: u8 = 1;
/// `OrderTerms::exec_inst`: must only close what is open.
pub const EXEC_REDUCE_ONLY: u8 = 2;
/// `OrderTerms::exec_inst`: `trail` is in parts per million of the best price.
pub const EXEC_TRAIL_PPM: u8 = 4;
/// `OrderTerms::exec_inst`: the iceberg is replenished here, not at the venue.
pub const EXEC_ICEBERG_HERE: u8 = 8;
/// `OrderTerms::exec_inst`: the trigger is the quote, not the trade.
pub const EXEC_BY_QUOTE: u8 = 16;
/// `InstrumentTerms::flags`: no new orders.
pub const FLAG_RESTRICTED: u32 = 1;
/// `InstrumentTerms::flags`: `band` is in parts per million of the reference, else an absolute price.
pub const FLAG_BAND_PPM: u32 = 2;
/// `InstrumentTerms::flags`: zero and negative prices are allowed.
pub const FLAG_NEGATIVE_PRICES: u32 = 4;
/// `InstrumentTerms::flags`: no reference and no band is asked for, by name.
pub const FLAG_NO_BAND: u32 = 8;
/// `InstrumentTerms::flags`: a locked book is a good reference.
pub const FLAG_LOCKED_FINE: u32 = 16;
/// `LimitRow::scope`, a bit beside the scope: the row takes the limits of its scope away.
pub const LIMIT_REMOVED: u8 = 128;
/// `InstrumentTerms::flags`: no market orders.
pub const FLAG_NO_MARKET: u32 = 32;
/// `InstrumentTerms::flags`: prices are checked against the last trade, not against bid and offer.
pub const FLAG_BY_LAST: u32 = 64;
/// `InstrumentTerms::flags`: prices are checked against `reference_px`.
pub const FLAG_BY_SET: u32 = 128;
/// `InstrumentTerms::flags`: `margin` is an amount of currency a unit, not a share of the notional.
pub const FLAG_UNIT_MARGIN: u32 = 256;
/// `InstrumentTerms::flags`: a sell beyond what is held must be marked as a short sale.
pub const FLAG_MARK_SHORT: u32 = 512;
/// `ExecutionReport::flags`: PossDupFlag(43).
pub const REPORT_POSS_DUP: u8 = 1;
/// `ExecutionReport::flags`: PossResend(97).
pub const REPORT_POSS_RESEND: u8 = 2;
/// `ExecutionReport::flags`: answers a query.
pub const REPORT_QUERIED: u8 = 4;
/// `ExecutionReport::flags`: from a drop copy.
pub const REPORT_DROP_COPY: u8 = 8;
/// `Definition::flags` of a venue: its trading day is told by `utc_offset_min` and `day_roll_min`.
pub const VENUE_CALENDAR: u8 = 2;
/// `Definition::flags` of a venue: an overfill there engages the kill switch for it.
pub const VENUE_OVERFILL_STOPS: u8 = 4;
/// `Definition::flags` of a venue: it replenishes icebergs itself, MaxFloor(111).
pub const VENUE_ICEBERG: u8 = 8;
/// `Definition::flags` of a venue: two digits behind the last dot of its ExecID(17) tell the version.
pub const VENUE_EXEC_ID_VERSIONS: u8 = 16;
/// `Definition::flags` of an account: it keeps its long and short legs apart.
pub const ACCOUNT_HEDGING: u8 = 1;
/// `BookUpdate::flags`: last record of its event.
pub const BOOK_LAST: u8 = 1;
/// `BookUpdate::flags`: from a snapshot.
pub const BOOK_SNAPSHOT: u8 = 2;
/// `LinkHello::flags`: cancel our orders when the link drops.
pub const HELLO_CANCEL_ON_DISCONNECT: u8 = 1;
/// `LinkHello::flags`: lock-step in virtual time.
pub const HELLO_LOCK_STEP: u8 = 2;
/// `LinkHello::flags`: the answer is a refusal, `text` says why.
pub const HELLO_REFUSED: u8 = 4;
/// `RingHeader::magic`.
pub const RING_MAGIC: u64 = u64::from_le_bytes(*b"PYOMSRNG");
/// `SegmentHeader::magic`.
pub const SEGMENT_MAGIC: u64 = u64::from_le_bytes(*b"PYOMSSEG");
/// `ControlHeader::magic`.
pub const CONTROL_MAGIC: u64 = u64::from_le_bytes(*b"PYOMSCTL");
/// `CommandRingHeader::magic`.
pub const COMMAND_RING_MAGIC: u64 = u64::from_le_bytes(*b"PYOMSCMD");
/// `BoardHeader::magic`.
pub const BOARD_MAGIC: u64 = u64::from_le_bytes(*b"PYOMSBRD");
/// Bytes before the first slot of a ring, a segment's first record and the control file's words.
pub const FILE_HEADER_SIZE: usize = 4096;
/// Control words: mode in the top 8 bits, epoch below.
pub const CONTROL_EPOCH_BITS: u32 = 56;

/// Byte of the control file's desk word, alone on its line.
pub const CONTROL_DESK_WORD: usize = FILE_HEADER_SIZE;
/// Byte of the control file's entity words: `accounts_max` words, then instruments, venues, sessions
/// and strategies without gaps; the word of id `i` is number `i - 1` of its block. The sender rows
/// follow at the next multiple of 64.
pub const CONTROL_WORDS: usize = FILE_HEADER_SIZE + 64;

/// Constants that Python and Cython need too, for `emit`.
pub const CONSTANTS: &[(&str, i128, &str)] = &[
    ("RECORD_SIZE", RECORD_SIZE as i128, "bytes of a record"),
    ("ONE", ONE as i128, "fixed-point one, 1e-9"),
    ("NO_PRICE", NO_PRICE as i128, "no price in a quote or a refusal"),
    ("NO_TICKS", NO_TICKS as i128, "no reference in bid_ticks and ask_ticks"),
    ("TAG_PARENT", TAG_PARENT as i128, "tags: a parent intent, never routed"),
    ("TAG_TERMS", TAG_TERMS as i128, "tags: order_terms was offered before"),
    ("TAG_EFFECT_SHIFT", TAG_EFFECT_SHIFT as i128, "tags: first bit of the position effect"),
    ("EXEC_POST_ONLY", EXEC_POST_ONLY as i128, "exec_inst: must not take liquidity"),
    ("EXEC_REDUCE_ONLY", EXEC_REDUCE_ONLY as i128, "exec_inst: must only close what is open"),
    ("EXEC_TRAIL_PPM", EXEC_TRAIL_PPM as i128, "exec_inst: trail is in parts per million"),
    ("EXEC_ICEBERG_HERE", EXEC_ICEBERG_HERE as i128, "exec_inst: iceberg replenished here"),
    ("EXEC_BY_QUOTE", EXEC_BY_QUOTE as i128, "exec_inst: triggered by the quote"),
    ("FLAG_RESTRICTED", FLAG_RESTRICTED as i128, "instrument: no new orders"),
    ("FLAG_BAND_PPM", FLAG_BAND_PPM as i128, "instrument: band in parts per million"),
    ("FLAG_NEGATIVE_PRICES", FLAG_NEGATIVE_PRICES as i128, "instrument: negative prices allowed"),
    ("FLAG_NO_BAND", FLAG_NO_BAND as i128, "instrument: no reference, no band"),
    ("FLAG_LOCKED_FINE", FLAG_LOCKED_FINE as i128, "instrument: a locked book is a reference"),
    (
        "LIMIT_REMOVED",
        LIMIT_REMOVED as i128,
        "limit row, beside its scope: it takes the limits away",
    ),
    ("FLAG_NO_MARKET", FLAG_NO_MARKET as i128, "instrument: no market orders"),
    ("FLAG_BY_LAST", FLAG_BY_LAST as i128, "instrument: the reference is the last trade"),
    ("FLAG_BY_SET", FLAG_BY_SET as i128, "instrument: the reference is a set price"),
    ("FLAG_UNIT_MARGIN", FLAG_UNIT_MARGIN as i128, "instrument: margin is an amount a unit"),
    ("FLAG_MARK_SHORT", FLAG_MARK_SHORT as i128, "instrument: short sales are marked"),
    ("REPORT_POSS_DUP", REPORT_POSS_DUP as i128, "report: PossDupFlag(43)"),
    ("REPORT_POSS_RESEND", REPORT_POSS_RESEND as i128, "report: PossResend(97)"),
    ("REPORT_QUERIED", REPORT_QUERIED as i128, "report: answers a query"),
    ("REPORT_DROP_COPY", REPORT_DROP_COPY as i128, "report: from a drop copy"),
    ("VENUE_ICEBERG", VENUE_ICEBERG as i128, "venue: it replenishes icebergs itself"),
    ("VENUE_CALENDAR", VENUE_CALENDAR as i128, "venue: its trading day is told by offset and roll"),
    ("VENUE_OVERFILL_STOPS", VENUE_OVERFILL_STOPS as i128, "venue: an overfill there stops it"),
    (
        "VENUE_EXEC_ID_VERSIONS",
        VENUE_EXEC_ID_VERSIONS as i128,
        "venue: the end of an exec_id tells which version of the execution it is",
    ),
    ("ACCOUNT_HEDGING", ACCOUNT_HEDGING as i128, "account: long and short legs apart"),
    ("BOOK_LAST", BOOK_LAST as i128, "book update: last of its event"),
    ("BOOK_SNAPSHOT", BOOK_SNAPSHOT as i128, "book update: from a snapshot"),
    (
        "HELLO_CANCEL_ON_DISCONNECT",
        HELLO_CANCEL_ON_DISCONNECT as i128,
        "hello: cancel on disconnect",
    ),
    ("HELLO_LOCK_STEP", HELLO_LOCK_STEP as i128, "hello: lock-step in virtual time"),
    ("HELLO_REFUSED", HELLO_REFUSED as i128, "hello: refused"),
    ("RING_MAGIC", RING_MAGIC as i128, "ring header magic"),
    ("SEGMENT_MAGIC", SEGMENT_MAGIC as i128, "segment header magic"),
    ("CONTROL_MAGIC", CONTROL_MAGIC as i128, "control file magic"),
    ("COMMAND_RING_MAGIC", COMMAND_RING_MAGIC as i128, "command ring magic"),
    ("BOARD_MAGIC", BOARD_MAGIC as i128, "board header magic"),
    ("FILE_HEADER_SIZE", FILE_HEADER_SIZE as i128, "bytes before the first slot, record or word"),
    (
        "CONTROL_EPOCH_BITS",
        CONTROL_EPOCH_BITS as i128,
        "low bits of a control word that hold the epoch",
    ),
    ("CONTROL_DESK_WORD", CONTROL_DESK_WORD as i128, "control file: byte of the desk word"),
    (
        "CONTROL_WORDS",
        CONTROL_WORDS as i128,
        "control file: accounts, instruments, venues, sessions, strategies; id i at i - 1",
    ),
];

/// Marks the 128-byte records, which can be viewed as a `Record` and back.
pub trait Typed: Copy {
    /// `Header::kind`.
    const RECORD_KIND: u16;
    /// The same bytes as an untyped record.
    fn as_record(&self) -> &Record;
    /// The bytes of `record` as this type; `None` when its kind is another.
    fn from_record(record: &Record) -> Option<&Self>;
    /// The bytes of `record` as this type, for writing; the kind is not looked at.
    fn view_mut(record: &mut Record) -> &mut Self;
}

macro_rules! typed {
    ($($name:ident)+) => { $(
        impl Typed for $name {
            const RECORD_KIND: u16 = $name::KIND;
            #[inline(always)]
            fn as_record(&self) -> &Record { zerocopy::transmute_ref!(self) }
            #[inline(always)]
            fn from_record(record: &Record) -> Option<&Self> {
                if record.header.kind == $name::KIND { Some(zerocopy::transmute_ref!(record)) } else { None }
            }
            #[inline(always)]
            fn view_mut(record: &mut Record) -> &mut Self { zerocopy::transmute_mut!(record) }
        }
    )+ };
}
typed! {
    NewOrder CancelOrder ReplaceOrder MassCancel ExecutionReport ReportText BookUpdate Quote TimeInput
    Control LinkChange PhaseChange DayChange DeskState EpochStarted TailCut ClockAnomaly Definition
    InstrumentTerms ExecRef ForeignOrder LimitRow LimitsActivated Rate TickRow PositionAdjusted PositionSplit
    LegAdjusted OrderAccepted OrderRefused
    CancelAccepted ChangeRefused ReplaceAccepted CommandRepeated Refusal OrderTerms Annotation Routed
    DroppedUnsent OutcomeUnknown Triggered TrailMoved GroupFlagged Moved HaltNotice Approval StoredMessage LinkHello LinkHeartbeat
    LinkQuery LinkQueryEnd LinkTurn LinkTurnDone
}

/// A control word: mode in the top 8 bits, epoch in the low 56.
pub const fn control_word(mode: u8, epoch: u64) -> u64 {
    ((mode as u64) << CONTROL_EPOCH_BITS) | (epoch & ((1 << CONTROL_EPOCH_BITS) - 1))
}
/// Mode of a control word.
pub const fn control_mode(word: u64) -> u8 {
    (word >> CONTROL_EPOCH_BITS) as u8
}
/// Epoch of a control word.
pub const fn control_epoch(word: u64) -> u64 {
    word & ((1 << CONTROL_EPOCH_BITS) - 1)
}

/// Byte of the word of entity `id` in the control file; `None` for an id the file has no word for.
/// The desk has one word whatever `id` is; `account_instrument` has none.
pub const fn control_word_offset(header: &ControlHeader, scope: Scope, id: u32) -> Option<usize> {
    let blocks = [
        header.accounts_max as usize,
        header.instruments_max as usize,
        header.venues_max as usize,
        header.sessions_max as usize,
        header.strategies_max as usize,
    ];
    let block = match scope {
        Scope::Desk => return Some(CONTROL_DESK_WORD),
        Scope::Account => 0,
        Scope::Instrument => 1,
        Scope::Venue => 2,
        Scope::Session => 3,
        Scope::Strategy => 4,
        Scope::AccountInstrument | Scope::Sector | Scope::Trader => return None,
    };
    if id == 0 || id as usize > blocks[block] {
        return None;
    }
    let (mut before, mut i) = (0, 0);
    while i < block {
        before += blocks[i];
        i += 1;
    }
    Some(CONTROL_WORDS + 8 * (before + id as usize - 1))
}
/// Byte of the first sender row of a control file.
pub const fn control_senders_offset(header: &ControlHeader) -> usize {
    let words = header.accounts_max as usize
        + header.instruments_max as usize
        + header.venues_max as usize
        + header.sessions_max as usize
        + header.strategies_max as usize;
    (CONTROL_WORDS + 8 * words).next_multiple_of(64)
}
/// Whole size of a control file.
pub const fn control_file_size(header: &ControlHeader) -> usize {
    control_senders_offset(header)
        + header.senders_max as usize * core::mem::size_of::<ControlSender>()
}

/// Zero-padded text of at most `N` bytes; longer text is cut.
pub const fn text<const N: usize>(s: &str) -> [u8; N] {
    let (bytes, mut out, mut i) = (s.as_bytes(), [0u8; N], 0);
    while i < N && i < bytes.len() {
        out[i] = bytes[i];
        i += 1;
    }
    out
}

/// The text of a zero-padded field; bytes that are not UTF-8 end it.
pub fn text_of(field: &[u8]) -> &str {
    let end = field.iter().position(|&b| b == 0).unwrap_or(field.len());
    match core::str::from_utf8(&field[..end]) {
        Ok(s) => s,
        Err(e) => core::str::from_utf8(&field[..e.valid_up_to()]).unwrap_or(""),
    }
}

const fn fnv(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    hash
}

/// FNV-1a of every name, type, offset and code of the tables: two builds that agree on it read each
/// other's bytes.
pub const LAYOUT_HASH: u64 = {
    let (mut hash, mut i) = (0xcbf2_9ce4_8422_2325u64, 0);
    while i < TABLES.len() {
        let table = &TABLES[i];
        hash = fnv(hash, table.snake.as_bytes());
        hash = fnv(hash, &(table.kind as u64 | (table.size as u64) << 32).to_le_bytes());
        let mut f = 0;
        while f < table.fields.len() {
            hash = fnv(hash, table.fields[f].name.as_bytes());
            hash = fnv(hash, table.fields[f].ty.as_bytes());
            hash = fnv(hash, &(table.fields[f].offset as u64).to_le_bytes());
            f += 1;
        }
        i += 1;
    }
    i = 0;
    while i < CODES.len() {
        hash = fnv(hash, CODES[i].snake.as_bytes());
        let mut c = 0;
        while c < CODES[i].codes.len() {
            hash = fnv(hash, CODES[i].codes[c].name.as_bytes());
            hash = fnv(hash, &CODES[i].codes[c].code.to_le_bytes());
            c += 1;
        }
        i += 1;
    }
    hash
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_no_gaps_and_kinds_are_unique() {
        let mut kinds = std::collections::BTreeSet::new();
        for table in TABLES {
            let mut next = 0;
            for field in table.fields {
                assert_eq!(field.offset, next, "{}.{}", table.snake, field.name);
                next += field.size;
            }
            assert_eq!(next, table.size, "{}", table.snake);
            if table.kind != 0 {
                assert_eq!(table.size, RECORD_SIZE);
                assert!(kinds.insert(table.kind), "kind {} twice", table.kind);
            }
        }
    }

    #[test]
    fn codes_are_unique_and_named_alike_both_ways() {
        for table in CODES {
            let numbers: std::collections::BTreeSet<_> =
                table.codes.iter().map(|c| c.code).collect();
            assert_eq!(numbers.len(), table.codes.len(), "{}", table.snake);
        }
        assert!(Verdict::ALL.iter().enumerate().all(|(i, v)| v.code() as usize == i));
        assert_eq!(Side::from_code(9), None);
    }

    #[test]
    fn text_fields_survive_foreign_bytes() {
        assert_eq!(text_of(&text::<8>("ESH4")), "ESH4");
        assert_eq!(text_of(&[b'a', 0xff, b'b', 0]), "a");
        assert_eq!(control_mode(control_word(3, 77)), 3);
        assert_eq!(control_epoch(control_word(3, 77)), 77);
    }
}
