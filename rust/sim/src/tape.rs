//! A recorded market-by-order day in memory: read from DBN, marked, counted, split into market and flow.
//! Called by the simulated venue, the demo, tests and benches before a day starts; nothing here runs on the path.
//! A tape is in the order of the recording, `header.ingest_time_ns` is when a client could know of the record
//! (ts_recv) and never falls; `transact_time_ns` is the exchange's own time (ts_event).
//! Must stay true: nothing looks ahead; what a record becomes depends on it and on earlier ones alone.

mod plan;
mod profile;
mod synthetic;

use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::path::Path;

use dbn::decode::dbn::{Decoder, MetadataDecoder};
use dbn::decode::{DecodeRecordRef, DynReader};
use dbn::{MboMsg, Metadata, Record as _, Schema, VersionUpgradePolicy, rtype};
use engine::book::{Book, BookFault};
use layout::{BOOK_LAST, BOOK_SNAPSHOT, BookAction, BookUpdate, Header, NO_PRICE, ONE, Side};

pub use plan::{FlowCommand, FlowKind, PlanStats, TapePlan, plan};
pub use profile::{Profile, profile, side_by_side};
pub use synthetic::synthetic;

/// Orders a book for a whole recorded day has room for.
pub const TAPE_ORDERS_MAX: usize = 1 << 16;
/// Price levels a side of such a book has room for.
pub const TAPE_LEVELS_MAX: usize = 1 << 13;
/// Bytes of one row of `book_tops`.
pub const TOP_SIZE: usize = 48;
/// Bytes of a recording once unpacked: more is refused, so that a small file cannot fill the memory.
pub const UNPACKED_SIZE_MAX: u64 = 1 << 30;

/// Why a recording could not be read. Nothing of it is used then.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// The file could not be opened or read.
    #[error("{file}: {source}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bytes are not DBN at all.
    #[error("{file}: no DBN file: it begins with {found}, not with \"DBN\" or a zstd frame of it")]
    Foreign {
        /// The file.
        file: String,
        /// Its first bytes.
        found: String,
    },
    /// DBN, but of another kind of data.
    #[error("{file}: holds {found} records; market by order (mbo) is needed")]
    Schema {
        /// The file.
        file: String,
        /// Its schema.
        found: String,
    },
    /// A symbol that the caller asked for is not in the file.
    #[error("{file}: has no symbol {symbol:?}; it holds {found}")]
    Symbol {
        /// The file.
        file: String,
        /// The symbol asked for.
        symbol: String,
        /// The symbols it holds.
        found: String,
    },
    /// The file ends in the middle of something.
    #[error("{file}: truncated: {what} is cut off at byte {offset} of the unpacked data")]
    Truncated {
        /// The file.
        file: String,
        /// What is not whole.
        what: &'static str,
        /// Unpacked bytes before the cut.
        offset: u64,
    },
    /// A record that cannot be right.
    #[error("{file}: damaged: {what} at byte {offset} of the unpacked data")]
    Damaged {
        /// The file.
        file: String,
        /// What was found.
        what: String,
        /// Where the record begins.
        offset: u64,
    },
    /// The file unpacks to more than this program takes.
    #[error("{file}: unpacks to more than {UNPACKED_SIZE_MAX} bytes")]
    TooLarge {
        /// The file.
        file: String,
    },
    /// The records do not fit a book, or not one another.
    #[error("{file}: record {record} (sequence {sequence}): {fault}")]
    Book {
        /// The file.
        file: String,
        /// Index of the record in the tape.
        record: usize,
        /// Its sequence.
        sequence: u64,
        /// What the book said.
        fault: BookFault,
    },
}

/// A recorded day.
#[derive(Clone, Debug, Default)]
pub struct Tape {
    /// The records in the order of the recording.
    pub updates: Vec<BookUpdate>,
    /// The dataset that the file names, e.g. `GLBX.MDP3`.
    pub dataset: String,
    /// Market-by-order records of instruments that were not asked for.
    pub other_instruments: u64,
    /// Records of other kinds (system messages, symbol mappings).
    pub other_records: u64,
}

/// Reads a recording, packed or not. `symbols` gives the raw symbols wanted and our numbers for them.
pub fn read(path: &Path, symbols: &[(&str, u32)]) -> Result<Tape, TapeError> {
    let file = path.display().to_string();
    let source = match std::fs::File::open(path) {
        Ok(source) => source,
        Err(source) => return Err(TapeError::Unreadable { file, source }),
    };
    read_from(&file, source, symbols)
}

/// Reads a recording from any source; `file` is the name that errors tell.
pub fn read_from(
    file: &str,
    source: impl Read,
    symbols: &[(&str, u32)],
) -> Result<Tape, TapeError> {
    let bytes = unpack(file, source)?;
    let (metadata, start) = metadata(file, &bytes)?;
    let ids = instrument_ids(file, &metadata, symbols)?;
    let mut tape = Tape { dataset: metadata.dataset.clone(), ..Tape::default() };
    let unreadable = |offset: usize| TapeError::Truncated {
        file: file.into(),
        what: "a record",
        offset: offset as u64,
    };
    let mut offset = start;
    // The decoder would take a cut record for the end of the file: the offset shows the difference.
    let mut decoder =
        Decoder::<_>::with_upgrade_policy(Cursor::new(&bytes[..]), VersionUpgradePolicy::AsIs)
            .map_err(|e| TapeError::Damaged {
                file: file.into(),
                what: e.to_string(),
                offset: 0,
            })?;
    loop {
        let damaged =
            |what: String| TapeError::Damaged { file: file.into(), what, offset: offset as u64 };
        let Some(record) = decoder.decode_record_ref().map_err(|e| damaged(e.to_string()))? else {
            break;
        };
        let size = record.record_size();
        match record.get::<MboMsg>() {
            Some(msg) => match ids.get(&msg.hd.instrument_id) {
                Some(&instrument_id) => {
                    let update = update_of(msg, instrument_id).map_err(damaged)?;
                    let known = tape.updates.last().map_or(i64::MIN, |u| u.header.ingest_time_ns);
                    if update.header.ingest_time_ns < known {
                        return Err(damaged("a record received before the one before it".into()));
                    }
                    tape.updates.push(update);
                }
                None => tape.other_instruments += 1,
            },
            None => {
                if record.header().rtype == rtype::MBO {
                    return Err(damaged("a market-by-order record of another size".into()));
                }
                tape.other_records += 1;
            }
        }
        offset += size;
    }
    if offset == bytes.len() { Ok(tape) } else { Err(unreadable(offset)) }
}

fn unpack(file: &str, mut source: impl Read) -> Result<Vec<u8>, TapeError> {
    let unreadable = |source| TapeError::Unreadable { file: file.into(), source };
    let mut raw = Vec::new();
    source.by_ref().take(UNPACKED_SIZE_MAX + 1).read_to_end(&mut raw).map_err(unreadable)?;
    if raw.len() as u64 > UNPACKED_SIZE_MAX {
        return Err(TapeError::TooLarge { file: file.into() });
    }
    let packed = raw.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    if !packed {
        if !raw.starts_with(b"DBN") {
            let found = match raw.get(..8.min(raw.len())) {
                Some([]) | None => "nothing: it is empty".into(),
                Some(head) => format!("\"{}\"", head.escape_ascii()),
            };
            return Err(TapeError::Foreign { file: file.into(), found });
        }
        return Ok(raw);
    }
    let mut bytes = Vec::new();
    let mut reader = DynReader::inferred_with_buffer(Cursor::new(&raw[..]))
        .map_err(|e| TapeError::Damaged { file: file.into(), what: e.to_string(), offset: 0 })?;
    if let Err(e) = reader.by_ref().take(UNPACKED_SIZE_MAX + 1).read_to_end(&mut bytes) {
        let offset = bytes.len() as u64;
        return Err(if e.kind() == std::io::ErrorKind::UnexpectedEof {
            TapeError::Truncated { file: file.into(), what: "the zstd stream", offset }
        } else {
            TapeError::Damaged {
                file: file.into(),
                what: format!("a bad zstd stream ({e})"),
                offset,
            }
        });
    }
    if bytes.len() as u64 > UNPACKED_SIZE_MAX {
        return Err(TapeError::TooLarge { file: file.into() });
    }
    if !bytes.starts_with(b"DBN") {
        let head = &bytes[..8.min(bytes.len())];
        let found = format!("\"{}\" once unpacked", head.escape_ascii());
        return Err(TapeError::Foreign { file: file.into(), found });
    }
    Ok(bytes)
}

/// The metadata and where the records begin.
fn metadata(file: &str, bytes: &[u8]) -> Result<(Metadata, usize), TapeError> {
    let cut = TapeError::Truncated {
        file: file.into(),
        what: "the metadata",
        offset: bytes.len() as u64,
    };
    // "DBN", version, length u32: then as many bytes of metadata.
    let Some(length) = bytes.get(4..8) else { return Err(cut) };
    let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
    if bytes.len() < 8 + length {
        return Err(cut);
    }
    let metadata = MetadataDecoder::<_>::new(Cursor::new(bytes)).decode().map_err(|e| {
        TapeError::Damaged { file: file.into(), what: format!("metadata: {e}"), offset: 0 }
    })?;
    match metadata.schema {
        Some(Schema::Mbo) => Ok((metadata, 8 + length)),
        Some(other) => Err(TapeError::Schema { file: file.into(), found: other.to_string() }),
        None => Err(TapeError::Schema { file: file.into(), found: "mixed".into() }),
    }
}

/// The file's instrument ids of the symbols asked for, with our numbers.
fn instrument_ids(
    file: &str,
    metadata: &Metadata,
    symbols: &[(&str, u32)],
) -> Result<HashMap<u32, u32>, TapeError> {
    let mut ids = HashMap::new();
    for &(symbol, instrument_id) in symbols {
        let mapping = metadata.mappings.iter().find(|m| m.raw_symbol == symbol);
        let Some(mapping) = mapping else {
            let names: Vec<_> = metadata.mappings.iter().map(|m| m.raw_symbol.as_str()).collect();
            let found = if names.is_empty() { "none".into() } else { names.join(", ") };
            return Err(TapeError::Symbol { file: file.into(), symbol: symbol.into(), found });
        };
        for id in mapping.intervals.iter().filter_map(|i| i.symbol.parse().ok()) {
            ids.insert(id, instrument_id);
        }
    }
    Ok(ids)
}

fn update_of(msg: &MboMsg, instrument_id: u32) -> Result<BookUpdate, String> {
    let action = match msg.action as u8 {
        b'A' => BookAction::Add,
        b'M' => BookAction::Modify,
        b'C' => BookAction::Cancel,
        b'R' => BookAction::Clear,
        b'T' => BookAction::Trade,
        b'F' => BookAction::Fill,
        b'N' => BookAction::None,
        other => return Err(format!("an unknown action '{}'", other.escape_ascii())),
    };
    let side = match msg.side as u8 {
        b'B' => Side::Buy.code(),
        b'A' => Side::Sell.code(),
        b'N' => 0,
        other => return Err(format!("an unknown side '{}'", other.escape_ascii())),
    };
    let last = if msg.flags.is_last() { BOOK_LAST } else { 0 };
    let snapshot = if msg.flags.is_snapshot() { BOOK_SNAPSHOT } else { 0 };
    let time = |ns: u64| i64::try_from(ns).map_err(|_| format!("the time {ns} out of range"));
    Ok(BookUpdate {
        header: Header {
            kind: BookUpdate::KIND,
            ingest_time_ns: time(msg.ts_recv)?,
            ..Header::ZERO
        },
        instrument_id,
        action: action.code(),
        side,
        flags: last | snapshot,
        order_ref: msg.order_id,
        price: msg.price,
        qty: i64::from(msg.size) * ONE, // u32::MAX lots still fit
        transact_time_ns: time(msg.hd.ts_event)?,
        sequence: u64::from(msg.sequence),
        ..BookUpdate::ZERO
    })
}

/// For each record, whether it is the exchange's bookkeeping: the first cancel or modify of an
/// order after a fill of it. It says what the fill left, and no client asked for it.
pub fn bookkeeping(updates: &[BookUpdate]) -> Vec<bool> {
    let mut hit = std::collections::HashSet::new();
    let mark = |u: &BookUpdate| match BookAction::from_code(u.action) {
        Some(BookAction::Fill) => {
            hit.insert((u.instrument_id, u.order_ref));
            false
        }
        Some(BookAction::Modify | BookAction::Cancel) => {
            hit.remove(&(u.instrument_id, u.order_ref))
        }
        _ => false,
    };
    updates.iter().map(mark).collect()
}

/// What came to trade, rebuilt from a T record; most aggressors are never seen otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aggressor {
    /// When a client could know, UTC ns.
    pub at_ns: i64,
    /// The aggressor's order number, 0 when the venue tells none.
    pub order_ref: u64,
    /// Its side; `None` for an auction, where both sides rested.
    pub side: Option<Side>,
    /// Price of the trade.
    pub price: i64,
    /// Size of the trade; one order that traded at several prices makes one record a price.
    pub qty: i64,
    /// The feed's sequence.
    pub sequence: u64,
}

/// The aggressor of a record; `None` when it is no trade.
pub fn aggressor(update: &BookUpdate) -> Option<Aggressor> {
    (update.action == BookAction::Trade.code()).then(|| Aggressor {
        at_ns: update.header.ingest_time_ns,
        order_ref: update.order_ref,
        side: Side::from_code(update.side),
        price: update.price,
        qty: update.qty,
        sequence: update.sequence,
    })
}

/// Counts of a tape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapeStats {
    /// All records, those of the snapshot included.
    pub records: u64,
    /// Records of the opening snapshot.
    pub snapshot: u64,
    /// Adds of the day, without the snapshot.
    pub adds: u64,
    /// Modifies.
    pub modifies: u64,
    /// Cancels.
    pub cancels: u64,
    /// Clears.
    pub clears: u64,
    /// Trades (T).
    pub trades: u64,
    /// Fills (F).
    pub fills: u64,
    /// Whole units traded, the sum over T.
    pub contracts: u64,
    /// Cancels and modifies that are bookkeeping of a fill.
    pub bookkeeping: u64,
    /// Time of the first record after the snapshot.
    pub first_ns: i64,
    /// Time of the last record.
    pub last_ns: i64,
}

/// Counts what a tape holds.
pub fn stats(updates: &[BookUpdate]) -> TapeStats {
    let mut stats = TapeStats { records: updates.len() as u64, ..TapeStats::default() };
    let mut traded: i128 = 0;
    for (u, bookkeeping) in updates.iter().zip(bookkeeping(updates)) {
        stats.bookkeeping += u64::from(bookkeeping);
        if u.flags & BOOK_SNAPSHOT != 0 {
            stats.snapshot += 1;
            continue;
        }
        if stats.first_ns == 0 {
            stats.first_ns = u.header.ingest_time_ns;
        }
        stats.last_ns = u.header.ingest_time_ns;
        match BookAction::from_code(u.action) {
            Some(BookAction::Add) => stats.adds += 1,
            Some(BookAction::Modify) => stats.modifies += 1,
            Some(BookAction::Cancel) => stats.cancels += 1,
            Some(BookAction::Clear) => stats.clears += 1,
            Some(BookAction::Trade) => {
                stats.trades += 1;
                traded += i128::from(u.qty);
            }
            Some(BookAction::Fill) => stats.fills += 1,
            Some(BookAction::None) | None => {}
        }
    }
    stats.contracts = (traded / i128::from(ONE)) as u64;
    stats
}

/// A book that holds the day of one instrument.
pub fn day_book() -> Book {
    Book::new(TAPE_ORDERS_MAX, TAPE_LEVELS_MAX)
}

/// The top of the book at every record flagged last, for comparison with another book: rows of
/// `{sequence u64, bid_px i64, bid_qty i64, bid_count u32, ask_count u32, ask_px i64, ask_qty i64}`,
/// little-endian, `NO_PRICE` with zeros where a side is empty. `symbol` is the raw symbol.
pub fn book_tops(path: &Path, symbol: &str) -> Result<Vec<u8>, TapeError> {
    let tape = read(path, &[(symbol, 1)])?;
    let mut book = day_book();
    let mut rows = Vec::with_capacity(tape.updates.len() * TOP_SIZE);
    for (record, update) in tape.updates.iter().enumerate() {
        book.apply(update).map_err(|fault| TapeError::Book {
            file: path.display().to_string(),
            record,
            sequence: update.sequence,
            fault,
        })?;
        if book.is_whole() {
            top_row(&book, update.sequence, &mut rows);
        }
    }
    Ok(rows)
}

fn top_row(book: &Book, sequence: u64, rows: &mut Vec<u8>) {
    let parts = |l: engine::book::Level| (l.price, l.qty, l.count);
    let (bid_px, bid_qty, bid_count) = book.best_bid().map_or((NO_PRICE, 0, 0), parts);
    let (ask_px, ask_qty, ask_count) = book.best_ask().map_or((NO_PRICE, 0, 0), parts);
    rows.extend_from_slice(&sequence.to_le_bytes());
    rows.extend_from_slice(&bid_px.to_le_bytes());
    rows.extend_from_slice(&bid_qty.to_le_bytes());
    rows.extend_from_slice(&bid_count.to_le_bytes());
    rows.extend_from_slice(&ask_count.to_le_bytes());
    rows.extend_from_slice(&ask_px.to_le_bytes());
    rows.extend_from_slice(&ask_qty.to_le_bytes());
}
