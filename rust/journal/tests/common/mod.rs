//! Desks in temporary directories and records whose contents follow from their sequence.
//!
//! Used by every test of this crate. What must stay true: two desks never share a path, and
//! `filled` is the one rule of what record `seq` holds, so that a reader can judge any of them.
#![allow(dead_code)] // each test file uses its own part

use journal::{DeskDir, DeskLock, NewDesk, Recovered, Ring, RingOptions, SegmentWriter, recover};
use layout::{Record, Tier};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A directory that goes away with the value.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pyoms-journal-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a temporary directory");
        Self(path)
    }
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A small new desk with its ring beside it.
pub fn new_desk(dir: &TempDir, segment_records: u64) -> DeskDir {
    let path = dir.path().join("desk");
    let new = NewDesk { segment_records, ..NewDesk::default() };
    let desk = DeskDir::create(&path, &new).expect("a new desk");
    desk.with_shm_root(shm_root(dir))
}

pub fn shm_root(dir: &TempDir) -> PathBuf {
    let root = dir.path().join("shm");
    std::fs::create_dir_all(&root).expect("a directory");
    root
}

pub fn options(slots: u64, segment_records: u64) -> RingOptions {
    RingOptions { slots, tier: Tier::Process, segment_records }
}

/// Recovers and goes live.
pub fn live(desk: &DeskDir, options: &RingOptions) -> (DeskLock, Ring, SegmentWriter) {
    let lock = desk.lock().expect("the lock is free");
    let recovered: Recovered = recover(desk).expect("a sound log");
    let (ring, writer) = recovered.go_live(&lock, options).expect("goes live");
    (lock, ring, writer)
}

/// What record `seq` holds, but for what the log fills in.
pub fn fill(record: &mut Record, seq: u64) {
    *record = Record::ZERO;
    record.header.kind = 240;
    record.header.order_seq = seq.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    record.header.ingest_time_ns = 1_000 + (seq / 3) as i64;
    for (i, byte) in record.payload.iter_mut().enumerate() {
        *byte = (seq.wrapping_mul(31).wrapping_add(i as u64 * 7) >> (i % 5)) as u8;
    }
}

/// Whether a record read back is what `fill` wrote at its sequence.
pub fn is_filled(record: &Record) -> bool {
    let mut expected = Record::ZERO;
    fill(&mut expected, record.header.event_seq);
    expected.header.event_seq = record.header.event_seq;
    expected.header.more = record.header.more;
    expected.header.epoch = record.header.epoch;
    expected.header.crc32c = record.header.crc32c;
    expected == *record
}

/// Appends one group of `count` records.
pub fn append(ring: &mut Ring, count: usize) {
    let first = ring.next_seq();
    for index in 0..count {
        fill(ring.slot(index), first + index as u64);
    }
    ring.publish(count);
}

/// All records of a log, each judged.
pub fn all(log: &journal::Log) -> Vec<Record> {
    let mut records = Vec::new();
    log.for_each(|record| records.push(*record));
    for (i, record) in records.iter().enumerate() {
        assert_eq!(record.header.event_seq, i as u64 + 1);
        assert!(is_filled(record), "record {} is not what was written", i + 1);
    }
    assert_eq!(records.len() as u64 + 1, log.next_seq());
    records
}
