//! Recovery: what the segments and the ring still hold, in order, checked, before anything goes live.
//!
//! Called by the host at start (`recover`, `go_live`) and by every command that reads a log
//! (`open_log`, `verify`). Reading changes no byte; `go_live` does, under the desk's lock. What must
//! stay true: a record counts only with its expected `event_seq` and this log's checksum, groups
//! count whole, and what is delivered is a prefix of what was written that holds every durable record.
//!
//! With a ring of this boot the segments answer for records up to its `durable_seq`, the ring for the
//! rest. Without one the segments end at the first record that does not hold: a torn tail when nothing
//! valid follows, or when it is a hole of zeros inside what one synced write may have spanned (the
//! sectors of a write reach the medium in any order); anything else is damage and refuses.

use crate::desk::{DeskDir, DeskLock};
use crate::disk::{Disk, RealDisk};
use crate::error::{Doing, JournalError, Result};
use crate::map::Mapping;
use crate::ring::{GROUP_MAX, Ring, RingOptions, Shared, check_unheld};
use crate::segment::{self, GROUP_RECORDS_MAX, Open, SegmentWriter, is_valid};
use arch::mutant;
use layout::{
    EpochStarted, FILE_HEADER_SIZE, LAYOUT_HASH, RECORD_SIZE, Record, SEGMENT_MAGIC, SegmentHeader,
    Typed,
};
use std::fs;
use std::ops::{ControlFlow, Deref};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A tail that was found torn; the host logs it as `tail_cut`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailCutFound {
    /// First sequence that was cut.
    pub first_seq: u64,
    /// Records found from there on and dropped, whole or in part.
    pub records: u64,
}

/// One segment file, mapped for reading.
#[derive(Debug)]
struct Segment {
    path: PathBuf,
    header: SegmentHeader,
    mapping: Mapping,
}

impl Segment {
    fn open(path: PathBuf, first_seq: u64, log_id: u64) -> Result<Self> {
        let file = crate::desk::open_nofollow(&path, false).doing(&path, "open the segment")?;
        let stat = file.metadata().doing(&path, "look at it")?;
        let bad = |what: String| JournalError::BadHeader { path: path.clone(), what };
        if !stat.is_file() || stat.size() <= FILE_HEADER_SIZE as u64 {
            return Err(bad(format!("{} bytes are too few for a segment", stat.size())));
        }
        let mapping = Mapping::shared(&file, &path, stat.size() as usize, false)?;
        let page = mapping.bytes::<FILE_HEADER_SIZE>(0);
        let (head, rest) = page.split_at(size_of::<SegmentHeader>());
        let head: &[u8; size_of::<SegmentHeader>()] = head.try_into().expect("split there");
        let header: SegmentHeader = zerocopy::transmute!(*head);
        if header.magic != SEGMENT_MAGIC {
            return Err(bad(format!("magic {:#018x} is not a segment's", header.magic)));
        }
        if header.crc32c != segment::header_crc(&header) {
            return Err(bad("its checksum does not hold".into()));
        }
        if header.layout_hash != LAYOUT_HASH {
            let (found, ours) = (header.layout_hash, LAYOUT_HASH);
            return Err(JournalError::ForeignLayout { path, found, ours });
        }
        if header.log_id != log_id {
            return Err(JournalError::ForeignLog { path, found: header.log_id, ours: log_id });
        }
        if header.first_seq != first_seq {
            return Err(bad(format!("first_seq {} under another name", header.first_seq)));
        }
        if let Some(at) = rest.iter().position(|&b| b != 0) {
            return Err(bad(format!("byte {} is not zero", at + size_of::<SegmentHeader>())));
        }
        if segment::check_records(header.records_max).is_err()
            || stat.size() != segment::file_size(header.records_max)
        {
            let (size, max) = (stat.size(), header.records_max);
            return Err(bad(format!("{size} bytes do not hold the {max} records it names")));
        }
        Ok(Self { path, header, mapping })
    }

    fn first_seq(&self) -> u64 {
        self.header.first_seq
    }

    fn end(&self) -> u64 {
        self.header.first_seq + self.header.records_max
    }

    fn records(&self) -> &[Record] {
        let count = self.header.records_max as usize;
        let first = self.mapping.pointer(FILE_HEADER_SIZE, count * RECORD_SIZE).cast::<Record>();
        debug_assert!(first.is_aligned());
        // SAFETY: `pointer` checked the range, a page boundary aligns it, every bit pattern is a
        // record. Records up to the log's end are never written again; later ones are not handed out.
        unsafe { std::slice::from_raw_parts(first, count) }
    }

    fn offset_of(&self, seq: u64) -> u64 {
        FILE_HEADER_SIZE as u64 + (seq - self.first_seq()) * RECORD_SIZE as u64
    }
}

/// All segments of a desk, in order, without gap or overlap.
fn open_segments(desk: &DeskDir) -> Result<Vec<Segment>> {
    let dir = desk.segments_path();
    let mut firsts = Vec::new();
    for entry in fs::read_dir(&dir).doing(&dir, "list the segments")? {
        let name = entry.doing(&dir, "list the segments")?.file_name();
        let Some(digits) = name.to_str().and_then(|n| n.strip_suffix(".seg")) else { continue };
        match digits.parse::<u64>() {
            Ok(first_seq) if digits.len() == 20 && first_seq > 0 => firsts.push(first_seq),
            _ => {
                let (path, what) = (dir.join(&name), "its name is not 20 digits".to_owned());
                return Err(JournalError::BadHeader { path, what });
            }
        }
    }
    firsts.sort_unstable();
    let mut segments: Vec<Segment> = Vec::with_capacity(firsts.len());
    for first_seq in firsts {
        let path = dir.join(segment::file_name(first_seq));
        let segment = Segment::open(path, first_seq, desk.log_id())?;
        let expected_seq = segments.last().map_or(1, Segment::end);
        if first_seq > expected_seq {
            let path = segment.path;
            return Err(JournalError::MissingSegment { path, expected_seq, found_seq: first_seq });
        }
        if let Some(before) = segments.last().filter(|s| s.end() > first_seq) {
            let (first, second) = (before.path.clone(), segment.path);
            return Err(JournalError::TwoHeads { first, second, event_seq: first_seq });
        }
        segments.push(segment);
    }
    if segments.is_empty() {
        return Err(JournalError::NoSegments { path: dir });
    }
    Ok(segments)
}

/// The fold of the check over records in order: expected sequence, checksum, whole groups.
#[derive(Clone, Copy, Debug)]
struct Checker {
    log_id: u64,
    next_seq: u64,
    /// First record of the group that is not whole yet; `next_seq` between groups.
    group_first: u64,
    more: u8,
    epoch: u64,
    last_time_ns: i64,
}

impl Checker {
    fn new(log_id: u64) -> Self {
        Self { log_id, next_seq: 1, group_first: 1, more: 0, epoch: 0, last_time_ns: 0 }
    }

    /// Takes records as long as they hold; returns how many, and what is wrong with a record that
    /// holds by itself but breaks its group.
    fn take(&mut self, records: &[Record]) -> (usize, Option<String>) {
        for (i, record) in records.iter().enumerate() {
            if !is_valid(record, self.next_seq, self.log_id) {
                return (i, None);
            }
            let (more, in_group) = (record.header.more, self.group_first < self.next_seq);
            let fits = if in_group { more + 1 == self.more } else { more < GROUP_MAX as u8 };
            if !fits {
                let what = format!("group count {more} after {} does not fit", self.more);
                return (i, Some(what));
            }
            if let Some(started) = EpochStarted::from_record(record) {
                self.epoch = self.epoch.max(started.epoch);
            }
            self.last_time_ns = record.header.ingest_time_ns;
            self.more = more;
            self.next_seq += 1;
            if more == 0 {
                self.group_first = self.next_seq;
            }
        }
        (records.len(), None)
    }
}

fn is_zero(record: &Record) -> bool {
    let words: &[[u8; 8]; 16] = zerocopy::transmute_ref!(record);
    words.iter().all(|word| *word == [0; 8])
}

/// What stands past the first record that does not hold.
#[derive(Debug, Default)]
struct Past {
    written: u64,
    last_valid: Option<u64>,
    last_written: Option<u64>,
}

fn look_past(segments: &[Segment], bad_seq: u64, log_id: u64) -> Past {
    let mut past = Past::default();
    for segment in segments.iter().filter(|s| s.end() > bad_seq) {
        let from = bad_seq.max(segment.first_seq());
        let skip = (from - segment.first_seq()) as usize;
        for (record, seq) in segment.records()[skip..].iter().zip(from..) {
            if is_zero(record) {
                continue;
            }
            past.written += 1;
            past.last_written = Some(seq);
            if is_valid(record, seq, log_id) {
                past.last_valid = Some(seq);
            }
        }
    }
    past
}

/// A log as it stands: every record up to its end holds.
#[derive(Debug)]
pub struct Log {
    segments: Vec<Segment>,
    /// First sequence that the segments do not answer for.
    segments_end: u64,
    /// Records that only the ring held.
    tail: Vec<Record>,
    checker: Checker,
    tail_cut: Option<TailCutFound>,
    ring: RingFound,
}

/// What recovery made of the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingFound {
    /// None, or of another boot, log, layout or time: normal, the segments are the log.
    None,
    /// It was read past the segments.
    Used {
        /// Records that only the ring held.
        records: u64,
    },
}

impl Log {
    fn open(desk: &DeskDir) -> Result<Self> {
        // The ring's durable_seq is read before the segments: what it names must stand there.
        let ring = Shared::of_desk(desk);
        let segments = open_segments(desk)?;
        let log_id = desk.log_id();
        if let Some(ring) = ring {
            let (durable, published) = (ring.durable_seq(), ring.published_seq());
            let stale = published < durable || holds(&segments, published + 1, log_id);
            if !stale {
                return Self::with_ring(segments, log_id, &ring, durable, published);
            }
        }
        Self::without_ring(segments, log_id)
    }

    /// Checks the segments up to record `until` and says what stopped the check.
    fn check(segments: &[Segment], log_id: u64, until: u64) -> Result<(Checker, bool)> {
        let mut checker = Checker::new(log_id);
        for segment in segments {
            let count =
                until.saturating_sub(segment.first_seq() - 1).min(segment.header.records_max);
            let _ = segment.mapping.will_read();
            let (taken, broken) = checker.take(&segment.records()[..count as usize]);
            if let Some(what) = broken {
                return Err(damaged(segment, checker.next_seq, what));
            }
            if (taken as u64) < count {
                return Ok((checker, false));
            }
        }
        Ok((checker, checker.next_seq > until))
    }

    fn with_ring(
        segments: Vec<Segment>,
        log_id: u64,
        ring: &Shared,
        durable: u64,
        published: u64,
    ) -> Result<Self> {
        let (mut checker, whole) = Self::check(&segments, log_id, durable)?;
        if !whole {
            let seq = checker.next_seq;
            let Some(segment) = segments.iter().find(|s| s.end() > seq) else {
                let path = ring.path().to_path_buf();
                let (expected_seq, found_seq) = (seq, durable + 1);
                return Err(JournalError::MissingSegment { path, expected_seq, found_seq });
            };
            let what = format!("the ring says that events up to {durable} were on disk");
            return Err(damaged(segment, seq, what));
        }
        let first = durable + 1;
        let mut tail = Vec::with_capacity((published - durable) as usize);
        mutant!(recovery_reads_one_record_less: published = published - 1);
        for seq in first..=published {
            match ring.get(seq) {
                Some(record) => tail.push(record),
                None => {
                    let (path, found_seq) = (ring.path().to_path_buf(), ring.first_here());
                    let expected_seq = seq;
                    return Err(JournalError::MissingSegment { path, expected_seq, found_seq });
                }
            }
        }
        let (taken, broken) = checker.take(&tail);
        if taken < tail.len() || checker.group_first != checker.next_seq {
            // A published record was written whole before it was published, and kill -9 loses no
            // store: so this is no tear.
            let seq = checker.next_seq.min(published);
            let slot = seq & (ring.slots - 1);
            return Err(JournalError::Damaged {
                path: ring.path().to_path_buf(),
                offset: FILE_HEADER_SIZE as u64 + slot * RECORD_SIZE as u64,
                event_seq: seq,
                what: broken.unwrap_or_else(|| "a published record does not hold".into()),
            });
        }
        let ring = RingFound::Used { records: tail.len() as u64 };
        Ok(Self { segments, segments_end: first, tail, checker, tail_cut: None, ring })
    }

    fn without_ring(segments: Vec<Segment>, log_id: u64) -> Result<Self> {
        let (mut checker, _) = Self::check(&segments, log_id, u64::MAX - 1)?;
        let (bad_seq, end) = (checker.next_seq, checker.group_first);
        mutant!(half_a_group_kept: end = bad_seq);
        let past = look_past(&segments, bad_seq, log_id);
        if let Some(last_valid) = past.last_valid {
            let segment =
                segments.iter().find(|s| s.end() > bad_seq).expect("it holds the valid one");
            let hole = is_zero(&segment.records()[(bad_seq - segment.first_seq()) as usize]);
            // One write spans at most so many records, counted from the start of its first block.
            if !hole || last_valid - bad_seq >= GROUP_RECORDS_MAX {
                let what =
                    format!("the record does not hold, yet event {last_valid} after it does");
                return Err(damaged(segment, bad_seq, what));
            }
        }
        let records = (bad_seq - end) + past.written;
        let tail_cut = (records > 0).then_some(TailCutFound { first_seq: end, records });
        checker.next_seq = end;
        let ring = RingFound::None;
        Ok(Self { segments, segments_end: end, tail: Vec::new(), checker, tail_cut, ring })
    }

    /// Id of the log.
    pub fn log_id(&self) -> u64 {
        self.checker.log_id
    }
    /// First record.
    pub fn first_seq(&self) -> u64 {
        1
    }
    /// `event_seq` of the record after the last.
    pub fn next_seq(&self) -> u64 {
        self.checker.next_seq
    }
    /// Highest epoch that was started, 0 in a new log.
    pub fn epoch(&self) -> u64 {
        self.checker.epoch
    }
    /// `ingest_time_ns` of the last record, 0 in an empty log.
    pub fn last_time_ns(&self) -> i64 {
        self.checker.last_time_ns
    }
    /// The torn tail that was found, if any.
    pub fn tail_cut(&self) -> Option<TailCutFound> {
        self.tail_cut
    }
    /// What was made of the ring.
    pub fn ring_found(&self) -> RingFound {
        self.ring
    }
    /// Paths of the segments, in order.
    pub fn segment_paths(&self) -> impl Iterator<Item = &Path> {
        self.segments.iter().map(|s| s.path.as_path())
    }

    /// The records as runs in memory, in order: one run a segment, then what only the ring held.
    pub fn slices(&self) -> impl Iterator<Item = &[Record]> {
        self.slices_from(1)
    }

    /// The records from `seq` on, as runs in memory.
    pub fn slices_from(&self, seq: u64) -> impl Iterator<Item = &[Record]> {
        let from = seq.max(1);
        let in_segments = self.segments.iter().filter_map(move |segment| {
            let until = self.segments_end.min(segment.end());
            let first = from.max(segment.first_seq());
            let at = |seq: u64| (seq - segment.first_seq()) as usize;
            (first < until).then(|| &segment.records()[at(first)..at(until)])
        });
        let skip = from.saturating_sub(self.segments_end).min(self.tail.len() as u64) as usize;
        in_segments.chain(std::iter::once(&self.tail[skip..]).filter(|run| !run.is_empty()))
    }

    /// Record `seq`; `None` past the end.
    #[inline]
    pub fn get(&self, seq: u64) -> Option<&Record> {
        if seq == 0 || seq >= self.next_seq() {
            return None;
        }
        if seq >= self.segments_end {
            return self.tail.get((seq - self.segments_end) as usize);
        }
        // Segments are of one size unless the configuration changed, so the guess is nearly always
        // right.
        let guess = ((seq - 1) / self.segments[0].header.records_max) as usize;
        let holds = |s: &&Segment| s.first_seq() <= seq && seq < s.end();
        let segment =
            self.segments.get(guess).filter(holds).unwrap_or_else(|| {
                &self.segments[self.segments.partition_point(|s| s.end() <= seq)]
            });
        Some(&segment.records()[(seq - segment.first_seq()) as usize])
    }

    /// Every record, in order.
    pub fn for_each(&self, mut visit: impl FnMut(&Record)) {
        for run in self.slices() {
            run.iter().for_each(&mut visit);
        }
    }

    /// Every record, in order; each is shown to `ahead` `distance` records before its turn, so that
    /// what it will touch can be fetched.
    pub fn for_each_ahead(
        &self,
        distance: usize,
        mut ahead: impl FnMut(&Record),
        mut visit: impl FnMut(&Record),
    ) {
        for run in self.slices() {
            run.iter().take(distance).for_each(&mut ahead);
            for (i, record) in run.iter().enumerate() {
                if let Some(later) = run.get(i + distance) {
                    ahead(later);
                }
                visit(record);
            }
        }
    }

    /// Records from `seq` on until `visit` breaks.
    pub fn for_each_from(&self, seq: u64, mut visit: impl FnMut(&Record) -> ControlFlow<()>) {
        for record in self.slices_from(seq).flatten() {
            if visit(record).is_break() {
                return;
            }
        }
    }

    /// First record whose `ingest_time_ns` is not below `time_ns`; `next_seq` when there is none.
    /// The times never fall, so it is found by halving.
    pub fn seek_time(&self, time_ns: i64) -> u64 {
        let (mut low, mut high) = (1, self.next_seq());
        while low < high {
            let middle = low + (high - low) / 2;
            let record = self.get(middle).expect("below the end");
            if record.header.ingest_time_ns < time_ns { low = middle + 1 } else { high = middle }
        }
        low
    }
}

fn damaged(segment: &Segment, event_seq: u64, what: String) -> JournalError {
    let (path, offset) = (segment.path.clone(), segment.offset_of(event_seq));
    JournalError::Damaged { path, offset, event_seq, what }
}

fn holds(segments: &[Segment], seq: u64, log_id: u64) -> bool {
    let found = segments.iter().find(|s| s.first_seq() <= seq && seq < s.end());
    found.is_some_and(|s| is_valid(&s.records()[(seq - s.first_seq()) as usize], seq, log_id))
}

/// Opens the log of a desk for reading, stopped or running; it shows what stood at the call.
///
/// On a running desk the writer may overtake the reading; it is tried again a few times.
pub fn open_log(desk: &DeskDir) -> Result<Log> {
    for _ in 0..8 {
        match Log::open(desk) {
            Err(JournalError::MissingSegment { .. } | JournalError::Damaged { .. })
                if desk.holder().is_some() => {}
            other => return other,
        }
    }
    Log::open(desk)
}

/// What `verify` found.
#[derive(Debug)]
pub struct VerifyReport {
    /// Segment files.
    pub segments: usize,
    /// Records that hold.
    pub records: u64,
    /// Last record that holds.
    pub last_seq: u64,
    /// Highest epoch.
    pub epoch: u64,
    /// A torn tail.
    pub tail_cut: Option<TailCutFound>,
    /// What was made of the ring.
    pub ring: RingFound,
    /// Why the log would be refused; everything else is zero then.
    pub damage: Option<JournalError>,
}

/// Checks every record of a desk's log and reports; changes nothing.
pub fn verify(desk: &DeskDir) -> VerifyReport {
    match open_log(desk) {
        Ok(log) => VerifyReport {
            segments: log.segments.len(),
            records: log.next_seq() - 1,
            last_seq: log.next_seq() - 1,
            epoch: log.epoch(),
            tail_cut: log.tail_cut,
            ring: log.ring,
            damage: None,
        },
        Err(error) => VerifyReport {
            segments: 0,
            records: 0,
            last_seq: 0,
            epoch: 0,
            tail_cut: None,
            ring: RingFound::None,
            damage: Some(error),
        },
    }
}

/// The checked log of a stopped desk, ready to go live.
#[derive(Debug)]
pub struct Recovered {
    log: Log,
    desk: DeskDir,
    epoch_floor: u64,
}

impl Deref for Recovered {
    type Target = Log;
    fn deref(&self) -> &Log {
        &self.log
    }
}

/// Reads and checks the log of a stopped desk. Changes nothing.
pub fn recover(desk: &DeskDir) -> Result<Recovered> {
    // Before anything is judged by a ring that another directory's engine is writing.
    check_unheld(desk)?;
    // A ring's epoch counts even if its first event never reached a segment: no epoch is used twice.
    let ring_epoch = Shared::of_desk(desk).map_or(0, |ring| ring.epoch());
    let log = Log::open(desk)?;
    let made = log.segments.iter().map(|s| s.header.epoch).max().unwrap_or(0);
    let epoch_floor = log.epoch().max(made).max(ring_epoch);
    Ok(Recovered { log, desk: desk.clone(), epoch_floor })
}

impl Recovered {
    /// The epoch that the next run gets: above every one ever seen on this log.
    pub fn next_epoch(&self) -> u64 {
        mutant!(epoch_not_raised => return self.epoch_floor.max(1));
        self.epoch_floor + 1
    }

    /// Makes the log writable: what only the ring held goes to the segments, a torn tail is
    /// overwritten with zeros, both synced; then the ring opens under the next epoch.
    ///
    /// The caller logs `epoch_started` (and `tail_cut`) first and pumps the writer until they are on
    /// disk before anything leaves.
    pub fn go_live(self, lock: &DeskLock, options: &RingOptions) -> Result<(Ring, SegmentWriter)> {
        self.go_live_on(lock, options, Box::new(RealDisk))
    }

    /// [`Recovered::go_live`] on a disk of the caller's.
    pub fn go_live_on(
        self,
        lock: &DeskLock,
        options: &RingOptions,
        disk: Box<dyn Disk>,
    ) -> Result<(Ring, SegmentWriter)> {
        assert!(lock.desk_id() == self.desk.desk_id(), "the lock is another desk's");
        segment::check_records(options.segment_records)?;
        check_unheld(&self.desk)?; // before a byte of the segments changes
        let (epoch, next_seq) = (self.next_epoch(), self.log.next_seq());
        let log = self.log;
        clear_past(&*disk, &log)?;
        let written = log.segments_end - 1;
        // A full last segment with nothing after it is current still; the writer rolls by itself.
        let index = log
            .segments
            .iter()
            .position(|s| written + 1 < s.end())
            .unwrap_or(log.segments.len() - 1);
        let open = |segment: &Segment| -> Result<Open> {
            let file = disk.open(&segment.path).doing(&segment.path, "open it for writing")?;
            let (first_seq, records_max) = (segment.first_seq(), segment.header.records_max);
            Ok(Open { file, path: segment.path.clone(), first_seq, records_max })
        };
        let current = &log.segments[index];
        let held_count = (written + 1 - current.first_seq()) % 32;
        let at = (written + 1 - held_count - current.first_seq()) as usize;
        let held = current.records()[at..at + held_count as usize].to_vec();
        let next = log.segments.get(index + 1).map(open).transpose()?;
        let current = open(current)?;
        let ids = (log.checker.log_id, epoch, options.segment_records);
        let mut writer = SegmentWriter::resume(disk, ids, current, next, written, &held)?;
        let record_of = |seq: u64| log.tail.get((seq - log.segments_end) as usize).copied();
        while writer.durable_seq() + 1 < next_seq {
            writer.write_group(next_seq - 1, &record_of)?;
        }
        let ring = Ring::of_desk(&self.desk, options.slots, options.tier, epoch, next_seq)?;
        writer.follow(std::sync::Arc::clone(&ring.view().shared));
        Ok((ring, writer))
    }
}

/// Overwrites what stands past the log's end with zeros, so that no later recovery takes it for new.
fn clear_past(disk: &dyn Disk, log: &Log) -> Result<()> {
    let end = log.segments_end;
    let past = look_past(&log.segments, end, log.log_id());
    let Some(last) = past.last_written else { return Ok(()) };
    let path = &log.segments[0].path;
    let mut block = arch::Table::<u8>::zeroed(4096).doing(path, "get memory for its buffer")?;
    for segment in log.segments.iter().filter(|s| s.end() > end && s.first_seq() <= last) {
        let mut file = disk.open(&segment.path).doing(&segment.path, "open it for writing")?;
        let from = end.max(segment.first_seq()) - segment.first_seq();
        let until = (last + 1).min(segment.end()) - segment.first_seq();
        for first in (from / 32 * 32..until).step_by(32) {
            let kept = from.saturating_sub(first).min(32) as usize;
            let records = &segment.records()[first as usize..first as usize + kept];
            block[..kept * RECORD_SIZE].copy_from_slice(zerocopy::IntoBytes::as_bytes(records));
            block[kept * RECORD_SIZE..].fill(0);
            let offset = FILE_HEADER_SIZE as u64 + first * RECORD_SIZE as u64;
            file.write_sync(offset, &block).doing(&segment.path, "clear its torn tail")?;
        }
    }
    Ok(())
}
