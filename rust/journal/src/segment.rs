//! The segment writer: copies the ring to preallocated files, one synced write a group of groups.
//!
//! `pump` is run by the host, in the journal thread or inline; one writer a log. What must stay true:
//! `durable_seq` moves only after the sync of all records up to it; a block is written whole and is
//! zero past its last record; after a failed write nothing is written again, ever (F8).
//!
//! ```text
//!  segments/<first_seq, 20 digits>.seg = header, 4096 bytes | records_max records of 128 bytes
//!  a group:   [held records of the last block | new records ............ | zeros to the block's end]
//! ```

use crate::desk::boot_id;
use crate::disk::{BLOCK_SIZE, Disk, DiskFile, SyncMode};
use crate::error::{Doing, JournalError, Result};
use crate::ring::Shared;
use arch::Table;
use arch::mutant;
use layout::{FILE_HEADER_SIZE, LAYOUT_HASH, RECORD_SIZE, Record, SEGMENT_MAGIC, SegmentHeader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zerocopy::IntoBytes;

/// Records of a segment by default: 64 MiB.
pub const RECORDS_DEFAULT: u64 = 1 << 19;
/// Most bytes of one synced write.
pub const GROUP_SIZE_MAX: usize = 1 << 20;
/// Most records of one synced write.
pub(crate) const GROUP_RECORDS_MAX: u64 = (GROUP_SIZE_MAX / RECORD_SIZE) as u64;
/// Bytes of the next segment that are written at a time while it is prepared.
const SLICE_SIZE: usize = 256 << 10;
const BLOCK_RECORDS: u64 = (BLOCK_SIZE / RECORD_SIZE) as u64;
const CRC_AT: usize = std::mem::offset_of!(SegmentHeader, crc32c);

pub(crate) fn check_records(records: u64) -> Result<()> {
    if records % BLOCK_RECORDS == 0 && (BLOCK_RECORDS..=1 << 30).contains(&records) {
        return Ok(());
    }
    let bound = "a multiple of 32 from 32 to 1073741824";
    Err(JournalError::Value { name: "segment_records", value: records, bound })
}

/// Name of the segment whose first record is `first_seq`.
pub fn file_name(first_seq: u64) -> String {
    format!("{first_seq:020}.seg")
}

/// Whole size of a segment file.
pub(crate) fn file_size(records_max: u64) -> u64 {
    FILE_HEADER_SIZE as u64 + records_max * RECORD_SIZE as u64
}

/// Checksum of a segment's header.
pub(crate) fn header_crc(header: &SegmentHeader) -> u32 {
    arch::crc32c(&header.as_bytes()[..CRC_AT])
}

/// A segment that is being made: reserved, then written with zeros, then given header and name.
struct Making {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    first_seq: u64,
    records_max: u64,
    zeroed: u64,
}

/// A segment that takes records.
pub(crate) struct Open {
    pub(crate) file: Box<dyn DiskFile>,
    pub(crate) path: PathBuf,
    pub(crate) first_seq: u64,
    pub(crate) records_max: u64,
}

enum Next {
    None,
    Making(Making),
    Ready(Open),
}

/// What every segment of a log has in common.
#[derive(Clone, Copy)]
struct Ids {
    log_id: u64,
    epoch: u64,
}

impl Making {
    fn begin(disk: &dyn Disk, dir: &Path, first_seq: u64, records_max: u64) -> Result<Self> {
        let path = dir.join(format!("{}.new", file_name(first_seq)));
        let _ = disk.remove(&path);
        let size = file_size(records_max);
        let file = disk.create(&path, size).doing(&path, "create the segment")?;
        Ok(Self { file, path, first_seq, records_max, zeroed: 0 })
    }

    /// Writes one slice of zeros; true when all are written.
    fn slice(&mut self, zeros: &[u8]) -> Result<bool> {
        let left = file_size(self.records_max) - self.zeroed;
        let size = left.min(zeros.len() as u64);
        self.file
            .write(self.zeroed, &zeros[..size as usize])
            .doing(&self.path, "write the segment in advance")?;
        self.zeroed += size;
        Ok(size == left)
    }

    /// Syncs the zeros, writes the header and gives the file its name.
    fn finish(mut self, disk: &dyn Disk, ids: Ids, page: &mut [u8]) -> Result<Open> {
        let mut header = SegmentHeader {
            magic: SEGMENT_MAGIC,
            layout_hash: LAYOUT_HASH,
            log_id: ids.log_id,
            first_seq: self.first_seq,
            records_max: self.records_max,
            epoch: ids.epoch,
            boot_id: boot_id(),
            created_time_ns: arch::utc_now_ns(),
            ..SegmentHeader::ZERO
        };
        header.crc32c = header_crc(&header);
        page[..size_of::<SegmentHeader>()].copy_from_slice(header.as_bytes());
        page[size_of::<SegmentHeader>()..].fill(0);
        self.file.sync().doing(&self.path, "sync the segment")?;
        self.file.write_sync(0, page).doing(&self.path, "write the segment's header")?;
        let path = self.path.with_file_name(file_name(self.first_seq));
        disk.rename(&self.path, &path).doing(&path, "give the segment its name")?;
        let Self { file, first_seq, records_max, .. } = self;
        Ok(Open { file, path, first_seq, records_max })
    }
}

/// Makes the first segment of a new log, whole.
pub(crate) fn make_first(disk: &dyn Disk, dir: &Path, log_id: u64, records: u64) -> Result<()> {
    let mut zeros = buffer(GROUP_SIZE_MAX.min(file_size(records) as usize), dir)?;
    let mut making = Making::begin(disk, dir, 1, records)?;
    while !making.slice(&zeros)? {}
    making.finish(disk, Ids { log_id, epoch: 0 }, &mut zeros[..BLOCK_SIZE])?;
    Ok(())
}

fn buffer(size: usize, path: &Path) -> Result<Table<u8>> {
    Table::zeroed(size).doing(path, "get memory for its buffer")
}

/// Copies the ring into segments; see the head of this file.
pub struct SegmentWriter {
    disk: Box<dyn Disk>,
    dir: PathBuf,
    ring: Option<Arc<Shared>>,
    ids: Ids,
    records_new: u64,
    current: Open,
    next: Next,
    next_refused: Option<String>,
    /// Last record on disk.
    written_seq: u64,
    /// Begins with the records of the last block that is not full.
    group: Table<u8>,
    zeros: Table<u8>,
    poisoned: Option<(PathBuf, String)>,
}

impl SegmentWriter {
    /// A writer that goes on after `written_seq` in `current`, whose last block begins with `held`.
    pub(crate) fn resume(
        disk: Box<dyn Disk>,
        (log_id, epoch, records_new): (u64, u64, u64),
        current: Open,
        next: Option<Open>,
        written_seq: u64,
        held: &[Record],
    ) -> Result<Self> {
        check_records(records_new)?;
        let dir = current.path.parent().expect("a segment lies in a directory").to_path_buf();
        // No write spans two segments, so small ones need no more than themselves.
        let largest = records_new.max(current.records_max);
        let largest = largest.max(next.as_ref().map_or(0, |next| next.records_max));
        let size = GROUP_SIZE_MAX.min(largest as usize * RECORD_SIZE);
        let mut group = buffer(size + BLOCK_SIZE, &dir)?;
        assert!(held.len() as u64 == (written_seq + 1 - current.first_seq) % BLOCK_RECORDS);
        group[..held.len() * RECORD_SIZE].copy_from_slice(held.as_bytes());
        let zeros = buffer(SLICE_SIZE.min(file_size(records_new) as usize), &dir)?;
        let next = next.map_or(Next::None, Next::Ready);
        Ok(Self {
            disk,
            dir,
            ring: None,
            ids: Ids { log_id, epoch },
            records_new,
            current,
            next,
            next_refused: None,
            written_seq,
            group,
            zeros,
            poisoned: None,
        })
    }

    pub(crate) fn follow(&mut self, ring: Arc<Shared>) {
        assert!(ring.log_id == self.ids.log_id && ring.durable_seq() <= self.written_seq);
        ring.store_durable(self.written_seq);
        self.ring = Some(ring);
    }

    /// One step of work: a synced write of all that was published since the last (at most 1 MiB), or,
    /// when there is nothing to write, a slice of preparing the next segment. Returns `durable_seq`.
    ///
    /// The first failure poisons the writer: it and every later call return an error, and nothing is
    /// ever written again.
    pub fn pump(&mut self) -> Result<u64> {
        self.alive()?;
        let ring = Arc::clone(self.ring.as_ref().expect("a live writer follows a ring"));
        let published = ring.published_seq();
        if published > self.written_seq {
            mutant!(durable_told_before_its_write => ring.store_durable(published));
            self.write_group(published, &|seq| ring.get(seq))?;
            ring.store_durable(self.written_seq);
            if self.next_is_due() {
                self.prepare();
            }
        } else {
            self.prepare();
        }
        Ok(self.written_seq)
    }

    /// Pumps until all that was published at the call is on disk.
    pub fn flush(&mut self) -> Result<u64> {
        let until = self.ring.as_ref().map_or(0, |r| r.published_seq());
        while self.written_seq < until {
            self.pump()?;
        }
        self.alive()?;
        Ok(self.written_seq)
    }

    /// Whether there is nothing to do: all is on disk and the next segment is ready (or refused).
    pub fn is_idle(&self) -> bool {
        let published = self.ring.as_ref().map_or(0, |r| r.published_seq());
        published == self.written_seq
            && (matches!(self.next, Next::Ready(_)) || self.next_refused.is_some())
    }

    /// Why the next segment cannot be had, as when the disk is nearly full: refuse new orders while
    /// the present segment lasts. Tried again with each idle pump.
    pub fn next_refused(&self) -> Option<&str> {
        self.next_refused.as_deref()
    }

    /// Records that still fit in the segments that are ready.
    pub fn ready_room(&self) -> u64 {
        let next = if let Next::Ready(next) = &self.next { next.records_max } else { 0 };
        self.current.first_seq + self.current.records_max - (self.written_seq + 1) + next
    }

    /// How writes reach the medium.
    pub fn sync_mode(&self) -> SyncMode {
        self.current.file.mode()
    }

    /// Last record on disk.
    pub fn durable_seq(&self) -> u64 {
        self.written_seq
    }

    fn alive(&self) -> Result<()> {
        match &self.poisoned {
            None => Ok(()),
            Some((path, cause)) => {
                Err(JournalError::Poisoned { path: path.clone(), cause: cause.clone() })
            }
        }
    }

    /// Keeps the first failure for ever.
    fn poison<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result
            && self.poisoned.is_none()
        {
            self.poisoned = Some((self.current.path.clone(), error.to_string()));
        }
        result
    }

    /// Writes records after `written_seq`, up to `until` at most, in one synced write.
    pub(crate) fn write_group(
        &mut self,
        until: u64,
        record_of: &dyn Fn(u64) -> Option<Record>,
    ) -> Result<()> {
        let written = self.write_group_once(until, record_of);
        self.poison(written)
    }

    fn write_group_once(
        &mut self,
        until: u64,
        record_of: &dyn Fn(u64) -> Option<Record>,
    ) -> Result<()> {
        assert!(until > self.written_seq);
        if self.written_seq + 1 == self.current.first_seq + self.current.records_max {
            self.roll()?;
        }
        let in_segment = self.written_seq + 1 - self.current.first_seq;
        let held = in_segment % BLOCK_RECORDS;
        let count = (until - self.written_seq)
            .min(self.current.records_max - in_segment)
            .min(GROUP_RECORDS_MAX - held);
        for i in 0..count {
            let seq = self.written_seq + 1 + i;
            let record = self.checked(seq, record_of(seq))?;
            let at = (held + i) as usize * RECORD_SIZE;
            self.group[at..at + RECORD_SIZE].copy_from_slice(record.as_bytes());
        }
        let used = (held + count) as usize * RECORD_SIZE;
        let size = used.next_multiple_of(BLOCK_SIZE);
        self.group[used..size].fill(0);
        let offset = FILE_HEADER_SIZE as u64 + (in_segment - held) * RECORD_SIZE as u64;
        assert!(offset + size as u64 <= file_size(self.current.records_max));
        self.current
            .file
            .write_sync(offset, &self.group[..size])
            .doing(&self.current.path, "write and sync records")?;
        self.written_seq += count;
        let last_block = used / BLOCK_SIZE * BLOCK_SIZE;
        self.group.copy_within(last_block..used, 0);
        Ok(())
    }

    /// Asserts in pairs: the ring's record is looked at again before it goes to disk.
    fn checked(&self, seq: u64, record: Option<Record>) -> Result<Record> {
        let what = match record {
            None => "its slot was overwritten".to_owned(),
            Some(record) if is_valid(&record, seq, self.ids.log_id) => return Ok(record),
            Some(record) => format!(
                "it claims to be event {} and its checksum does not hold",
                record.header.event_seq
            ),
        };
        Err(JournalError::RingDamaged { event_seq: seq, what })
    }

    /// Goes on to the next segment, finishing it first if need be.
    fn roll(&mut self) -> Result<()> {
        let next = loop {
            match std::mem::replace(&mut self.next, Next::None) {
                Next::Ready(next) => break next,
                other => {
                    self.next = other;
                    self.prepare_step()?;
                }
            }
        };
        assert!(next.first_seq == self.written_seq + 1);
        self.current = next;
        Ok(())
    }

    /// Whether the next segment lags behind the filling of this one; ready at three quarters.
    fn next_is_due(&self) -> bool {
        let used = (self.written_seq + 1 - self.current.first_seq) * RECORD_SIZE as u64;
        match &self.next {
            Next::Ready(_) => false,
            Next::None => true,
            Next::Making(making) => making.zeroed < used + used / 3,
        }
    }

    fn prepare(&mut self) {
        // Refused is not poisoned: the present segment still has room, and nothing was lost.
        self.next_refused = self.prepare_step().err().map(|e| e.to_string());
    }

    fn prepare_step(&mut self) -> Result<()> {
        self.next = match std::mem::replace(&mut self.next, Next::None) {
            Next::None => {
                let first_seq = self.current.first_seq + self.current.records_max;
                Next::Making(Making::begin(&*self.disk, &self.dir, first_seq, self.records_new)?)
            }
            Next::Making(mut making) => {
                if making.slice(&self.zeros)? {
                    let mut page = buffer(BLOCK_SIZE, &self.dir)?;
                    Next::Ready(making.finish(&*self.disk, self.ids, &mut page)?)
                } else {
                    Next::Making(making)
                }
            }
            ready => ready,
        };
        Ok(())
    }
}

impl std::fmt::Debug for SegmentWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SegmentWriter({:?}, durable {})", self.current.path, self.written_seq)
    }
}

/// Whether `record` is record `seq` of log `log_id`.
#[inline(always)]
pub(crate) fn is_valid(record: &Record, seq: u64, log_id: u64) -> bool {
    let bytes: &[u8; RECORD_SIZE] = zerocopy::transmute_ref!(record);
    mutant!(checksum_unchecked => return record.header.event_seq == seq);
    record.header.event_seq == seq && record.header.crc32c == arch::record_crc(log_id, bytes)
}
