//! The functions of the C table: `extern "C"`, no GIL, no Python object; a panic in one aborts.
//!
//! Called by `core/pyoms_core` on pointers that it took from capsules of this crate and keeps alive
//! with them. What must stay true: a command finds the door locked and returns at once, it never
//! waits; out-pointers are written in full or not at all.

use crate::core::{Answer, BROKEN, BUSY, Shared};
use journal::{Follow, Lapped, Reader};
use layout::{NewOrder, Record};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

/// What a port's capsule holds.
pub type Port = Arc<Shared>;

/// A reader of a ring, and what its capsule holds.
pub type Tape = Arc<Mutex<Reader>>;

fn enter<T>(lock: &Mutex<T>) -> Result<MutexGuard<'_, T>, i32> {
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => BUSY,
        TryLockError::Poisoned(_) => BROKEN,
    })
}

/// Takes one command; its verdict, or a negative number when it was not taken. The header of `record`
/// gets the first event of the answer and the order's number, `command_seq` the command's own.
///
/// # Safety
/// `port` points to a live `Port`; `record` to one record, `command_seq` to a u64, both writable.
pub unsafe extern "C" fn port_submit(
    port: *const Port,
    record: *mut Record,
    command_seq: *mut u64,
) -> i32 {
    debug_assert!(!port.is_null() && !record.is_null() && !command_seq.is_null());
    // SAFETY: the caller keeps the capsule that owns the port, and owns both out-values.
    let (port, record, command_seq) = unsafe { (&*port, &mut *record, &mut *command_seq) };
    let mut core = match enter(port) {
        Ok(core) if core.is_live() => core,
        Ok(_) => return BROKEN,
        Err(code) => return code,
    };
    let (verdict, Answer { event_seq, order_seq, command_seq: seq }) = core.command(record);
    (record.header.event_seq, record.header.order_seq, *command_seq) = (event_seq, order_seq, seq);
    i32::from(verdict.code())
}

/// Takes a new order or replace and, before it, the terms that it carries, in one step of the port:
/// both or neither. Else as `port_submit`; the session of `offer` is the command's.
///
/// # Safety
/// As `port_submit`; `offer` points to one record.
pub unsafe extern "C" fn port_submit_with(
    port: *const Port,
    offer: *const Record,
    record: *mut Record,
    command_seq: *mut u64,
) -> i32 {
    debug_assert!(!port.is_null() && !offer.is_null());
    debug_assert!(!record.is_null() && !command_seq.is_null());
    // SAFETY: the caller keeps the capsule that owns the port, owns both out-values and the offer.
    let (port, offer, record, command_seq) =
        unsafe { (&*port, &*offer, &mut *record, &mut *command_seq) };
    let mut core = match enter(port) {
        Ok(core) if core.is_live() => core,
        Ok(_) => return BROKEN,
        Err(code) => return code,
    };
    let (verdict, answer) = core.command_with(offer, record);
    (record.header.event_seq, record.header.order_seq) = (answer.event_seq, answer.order_seq);
    *command_seq = answer.command_seq;
    i32::from(verdict.code())
}

/// Takes `count` new orders; how many were accepted, or a negative number when none was taken.
/// `order_seqs` may be null.
///
/// # Safety
/// `port` points to a live `Port`; `orders`, `verdicts` and, unless null, `order_seqs` to `count` each.
pub unsafe extern "C" fn port_submit_many(
    port: *const Port,
    orders: *const NewOrder,
    count: usize,
    verdicts: *mut u16,
    order_seqs: *mut u64,
) -> i64 {
    debug_assert!(!port.is_null() && !orders.is_null() && !verdicts.is_null());
    // SAFETY: the caller checked the three shapes against `count` and holds the buffers.
    let (port, orders, verdicts, order_seqs) = unsafe {
        let order_seqs = match order_seqs.is_null() {
            true => None,
            false => Some(std::slice::from_raw_parts_mut(order_seqs, count)),
        };
        (
            &*port,
            std::slice::from_raw_parts(orders, count),
            std::slice::from_raw_parts_mut(verdicts, count),
            order_seqs,
        )
    };
    match enter(port) {
        Ok(mut core) if core.is_live() => core.command_many(orders, verdicts, order_seqs) as i64,
        Ok(_) => i64::from(BROKEN),
        Err(code) => i64::from(code),
    }
}

/// The present time of the port's clock; a negative number when it is busy or broken.
///
/// # Safety
/// `port` points to a live `Port`.
pub unsafe extern "C" fn port_now(port: *const Port) -> i64 {
    debug_assert!(!port.is_null());
    // SAFETY: the caller keeps the capsule that owns the port.
    match enter(unsafe { &*port }) {
        Ok(mut core) => core.now_ns(),
        Err(code) => i64::from(code),
    }
}

/// Best bid and offer as the gate sees them, into four numbers: bid price, bid size, offer price,
/// offer size. 0, or a negative number.
///
/// # Safety
/// `port` points to a live `Port`; `out` to four i64.
pub unsafe extern "C" fn port_quote(port: *const Port, instrument_id: u32, out: *mut i64) -> i32 {
    debug_assert!(!port.is_null() && !out.is_null());
    // SAFETY: the caller keeps the capsule that owns the port, and owns the four numbers.
    let (port, out) = unsafe { (&*port, std::slice::from_raw_parts_mut(out, 4)) };
    match enter(port) {
        Ok(core) if (instrument_id as usize) < core.engine().config().instruments_max => {
            let quote = core.engine().instrument(instrument_id).quote();
            out.copy_from_slice(&[quote.bid_px, quote.bid_qty, quote.ask_px, quote.ask_qty]);
            0
        }
        Ok(_) => BROKEN,
        Err(code) => code,
    }
}

/// Moves a reader on by at most `max` records that lie side by side: how many, -1 when it was
/// lapped (`first_seq` then holds the oldest there is), -2 when it is broken or in use.
///
/// # Safety
/// `tape` points to a live `Tape`; the two out-pointers are writable.
pub unsafe extern "C" fn tape_poll(
    tape: *const Tape,
    max: usize,
    first_seq: *mut u64,
    records: *mut *const Record,
) -> i64 {
    debug_assert!(!tape.is_null() && !first_seq.is_null() && !records.is_null());
    // SAFETY: the caller keeps the capsule that owns the reader, and owns both out-values.
    let (tape, first_seq, records) = unsafe { (&*tape, &mut *first_seq, &mut *records) };
    let Ok(mut reader) = enter(tape) else { return -2 };
    match reader.poll(max) {
        Ok(view) => {
            (*first_seq, *records) = (view.first_seq(), view.records().as_ptr());
            view.records().len() as i64
        }
        Err(Lapped { oldest_seq, .. }) => {
            *first_seq = oldest_seq;
            -1
        }
    }
}

/// The oldest record that the writer has not begun to overwrite; 0 when the reader is in use. What a
/// view at or above it held, it held whole.
///
/// # Safety
/// `tape` points to a live `Tape`.
pub unsafe extern "C" fn tape_oldest(tape: *const Tape) -> u64 {
    debug_assert!(!tape.is_null());
    // SAFETY: the caller keeps the capsule that owns the reader.
    enter(unsafe { &*tape }).map_or(0, |reader| reader.oldest_seq())
}

/// Puts a reader at `seq`; 0, or a negative number when it is in use.
///
/// # Safety
/// `tape` points to a live `Tape`.
pub unsafe extern "C" fn tape_seek(tape: *const Tape, seq: u64) -> i32 {
    debug_assert!(!tape.is_null());
    // SAFETY: the caller keeps the capsule that owns the reader.
    match enter(unsafe { &*tape }) {
        Ok(mut reader) => {
            reader.seek(seq);
            0
        }
        Err(code) => code,
    }
}

/// Where a ring's slots lie and how many there are; the next record of the reader in `next_seq`.
///
/// # Safety
/// `tape` points to a live `Tape`; the out-pointers are writable.
pub unsafe extern "C" fn tape_memory(
    tape: *const Tape,
    records: *mut *const Record,
    slots: *mut u64,
    next_seq: *mut u64,
) -> i32 {
    debug_assert!(!tape.is_null() && !records.is_null() && !slots.is_null());
    // SAFETY: the caller keeps the capsule that owns the reader, and owns the out-values.
    let (tape, records, slots, next_seq) =
        unsafe { (&*tape, &mut *records, &mut *slots, &mut *next_seq) };
    match enter(tape) {
        Ok(reader) => {
            (*records, *slots) = reader.memory();
            *next_seq = reader.next_seq();
            0
        }
        Err(code) => code,
    }
}

/// A reader of a ring by its path or of one in this process.
pub fn tape(reader: Reader) -> Tape {
    Arc::new(Mutex::new(reader))
}

/// How far a reader of the program's own ring may read.
pub const FOLLOW: Follow = Follow::Committed;

/// What a log's capsule holds.
pub type Runs = Arc<journal::Log>;

/// One run of records of an opened log: its first sequence and where it lies; the count, 0 past the
/// last run.
///
/// # Safety
/// `log` points to a live `Runs`; the out-pointers are writable.
pub unsafe extern "C" fn log_run(
    log: *const Runs,
    index: usize,
    first_seq: *mut u64,
    records: *mut *const Record,
) -> u64 {
    debug_assert!(!log.is_null() && !first_seq.is_null() && !records.is_null());
    // SAFETY: the caller keeps the capsule that owns the log, and owns both out-values.
    let (log, first_seq, records) = unsafe { (&*log, &mut *first_seq, &mut *records) };
    let Some(run) = log.slices().nth(index) else { return 0 };
    let Some(first) = run.first() else { return 0 };
    (*first_seq, *records) = (first.header.event_seq, run.as_ptr());
    run.len() as u64
}
