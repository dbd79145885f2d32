//! The ring in shared memory: one writer that appends groups, any number of readers that follow.
//!
//! `Ring` is the writer, owned by the engine thread; `RingView` serves the other threads of its
//! process; `Reader` follows from any process. What must stay true: a slot is announced in
//! `claimed_seq` before its first byte changes; `published_seq` is stored once a group, after its
//! last byte; no slot is reused before `durable_seq` says its record is in a segment.
//!
//! ```text
//!  oldest safe = claimed + 1 - slots        durable      published    claimed = horizon
//!  ....|==============================================|............|....   claimed runs ahead in chunks
//! ```
//! Pairs: writer `claimed_seq` Relaxed, fence Release, slot bytes; reader slot bytes, fence Acquire,
//! `claimed_seq` Relaxed: a reader that saw a new byte sees the claim. Writer slot bytes,
//! `published_seq` Release; reader `published_seq` Acquire. Journal thread slot bytes, `durable_seq`
//! Release; writer `durable_seq` Acquire before it overwrites.

use crate::desk::{DeskDir, Held, boot_id, check_private_dir, open_nofollow};
use crate::error::{Doing, JournalError, Result};
use crate::map::{Mapping, MemoryGot};
use layout::{FILE_HEADER_SIZE, LAYOUT_HASH, RECORD_SIZE, RING_MAGIC, Record, RingHeader, Tier};
use rustix::fs::{FallocateFlags, FlockOperation, Mode, OFlags};
use std::cell::Cell;
use std::fs::File;
use std::mem::offset_of;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use zerocopy::IntoBytes;

/// Most records of one group.
pub const GROUP_MAX: usize = 8;
/// Slots by default: 64 MiB.
pub const SLOTS_DEFAULT: u64 = 1 << 19;
/// Fewest slots.
pub const SLOTS_MIN: u64 = 64;
/// Most slots: 8 GiB.
pub const SLOTS_MAX: u64 = 1 << 26;

/// Records ahead of the present one whose lines are fetched for writing.
const PREFETCH_AHEAD: u64 = 12;

const _: () =
    assert!(offset_of!(layout::Header, kind) == 24 && offset_of!(layout::Header, epoch) == 27);

const PUBLISHED: usize = offset_of!(RingHeader, published_seq);
const DURABLE: usize = offset_of!(RingHeader, durable_seq);
const COMMITTED: usize = offset_of!(RingHeader, committed_seq);
const CLAIMED: usize = offset_of!(RingHeader, claimed_seq);
const EPOCH: usize = offset_of!(RingHeader, epoch);

/// How a ring is made.
#[derive(Clone, Copy, Debug)]
pub struct RingOptions {
    /// Slots, a power of two.
    pub slots: u64,
    /// Durability tier: what `committed_seq` means.
    pub tier: Tier,
    /// Records of each new segment; a multiple of 32.
    pub segment_records: u64,
}

impl Default for RingOptions {
    fn default() -> Self {
        Self {
            slots: SLOTS_DEFAULT,
            tier: Tier::Process,
            segment_records: crate::segment::RECORDS_DEFAULT,
        }
    }
}

/// The mapped ring and what never changes about it.
#[derive(Debug)]
pub(crate) struct Shared {
    mapping: Mapping,
    pub(crate) slots: u64,
    pub(crate) log_id: u64,
    pub(crate) tier: Tier,
    pub(crate) first_seq: u64,
    path: PathBuf,
    inode: u64,
    got: MemoryGot,
}

impl Shared {
    #[inline(always)]
    pub(crate) fn published_seq(&self) -> u64 {
        // Acquire; pairs with the Release of `Ring::publish`.
        self.mapping.u64_at(PUBLISHED).load(Ordering::Acquire)
    }

    #[inline(always)]
    pub(crate) fn durable_seq(&self) -> u64 {
        // Acquire; pairs with the Release of `store_durable`.
        self.mapping.u64_at(DURABLE).load(Ordering::Acquire)
    }

    pub(crate) fn store_durable(&self, seq: u64) {
        debug_assert!(seq >= self.durable_seq());
        // Release; pairs with `durable_seq`: the copy of the slots is done before they are reused.
        self.mapping.u64_at(DURABLE).store(seq, Ordering::Release);
    }

    #[inline(always)]
    pub(crate) fn committed_seq(&self) -> u64 {
        match self.tier {
            Tier::Memory | Tier::Process => self.published_seq(),
            Tier::Disk => self.durable_seq(),
            // Acquire; pairs with the Release of whoever follows the replica.
            Tier::Replica => self.mapping.u64_at(COMMITTED).load(Ordering::Acquire),
        }
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.mapping.u64_at(EPOCH).load(Ordering::Acquire)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// First record whose slot is not, and is not about to be, overwritten.
    #[inline(always)]
    fn oldest_seq(&self) -> u64 {
        // Relaxed after a fence Acquire by the caller; pairs with the fence of `Ring::claim`.
        let claimed = self.mapping.u64_at(CLAIMED).load(Ordering::Relaxed);
        self.first_seq.max((claimed + 1).saturating_sub(self.slots))
    }

    #[inline(always)]
    fn slot(&self, seq: u64) -> *mut Record {
        let index = (seq & (self.slots - 1)) as usize;
        self.mapping.pointer(FILE_HEADER_SIZE + index * RECORD_SIZE, RECORD_SIZE).cast()
    }

    /// Copies one slot word by word; the caller checks for a lap afterwards.
    #[inline(always)]
    fn copy(&self, seq: u64) -> Record {
        let index = (seq & (self.slots - 1)) as usize;
        let offset = FILE_HEADER_SIZE + index * RECORD_SIZE;
        let words: [u64; RECORD_SIZE / 8] =
            std::array::from_fn(|i| self.mapping.u64_at(offset + 8 * i).load(Ordering::Relaxed));
        zerocopy::transmute!(words)
    }

    /// Copies a published record; `None` when its slot was taken for a newer one or it is not here.
    pub(crate) fn get(&self, seq: u64) -> Option<Record> {
        if seq == 0 || seq > self.published_seq() || seq < self.oldest_seq() {
            return None;
        }
        let record = self.copy(seq);
        fence(Ordering::Acquire); // pairs with the fence of `Ring::claim`
        if seq < self.oldest_seq() { None } else { Some(record) }
    }

    /// First record that is still here; a moment later it may not be.
    pub(crate) fn first_here(&self) -> u64 {
        fence(Ordering::Acquire);
        self.oldest_seq()
    }

    /// Opens the ring of a desk as it lies in shared memory; `None` when there is none, when it
    /// belongs to another boot, log or layout, or when its header makes no sense: all normal.
    pub(crate) fn of_desk(desk: &DeskDir) -> Option<Self> {
        check_private_dir(&desk.shm_path()).ok()?;
        let shared = Self::open(&desk.ring_path(), false).ok()?;
        let ours = shared.log_id == desk.log_id()
            && shared.mapping.bytes::<16>(offset_of!(RingHeader, boot_id)) == boot_id();
        ours.then_some(shared)
    }

    fn open(path: &Path, writable: bool) -> Result<Self> {
        let file = open_nofollow(path, writable).doing(path, "open the ring")?;
        let stat = file.metadata().doing(path, "look at it")?;
        let bad = |what: String| JournalError::BadHeader { path: path.into(), what };
        let uid = rustix::process::geteuid().as_raw();
        if !stat.is_file() || stat.uid() != uid || stat.mode() & 0o077 != 0 {
            let what = format!("owner {}, mode {:04o}", stat.uid(), stat.mode() & 0o7777);
            return Err(JournalError::Unsafe { path: path.into(), what, uid, mode: 0o600 });
        }
        if stat.len() < FILE_HEADER_SIZE as u64 {
            return Err(bad(format!("{} bytes are too few for a ring", stat.len())));
        }
        let probe = Mapping::shared(&file, path, FILE_HEADER_SIZE, false)?;
        let header: RingHeader =
            zerocopy::transmute!(probe.bytes::<{ size_of::<RingHeader>() }>(0));
        if header.magic != RING_MAGIC {
            return Err(bad(format!("magic {:#x} is not a ring's", header.magic)));
        }
        if header.layout_hash != LAYOUT_HASH {
            let (found, ours) = (header.layout_hash, LAYOUT_HASH);
            return Err(JournalError::ForeignLayout { path: path.into(), found, ours });
        }
        let slots = header.slots;
        if !slots.is_power_of_two() || !(SLOTS_MIN..=SLOTS_MAX).contains(&slots) {
            return Err(bad(format!("{slots} slots are no power of two in range")));
        }
        let size = size_of_ring(slots);
        if stat.len() != size as u64 {
            return Err(bad(format!("{} bytes, {size} expected", stat.len())));
        }
        let Some(tier) = Tier::from_code(header.tier) else {
            return Err(bad(format!("tier {} is unknown", header.tier)));
        };
        let mapping = Mapping::shared(&file, path, size, writable)?;
        let got = MemoryGot { size, pages: arch::Pages::Normal, locked: false };
        let (log_id, first_seq) = (header.log_id, header.first_seq);
        let (path, inode) = (path.into(), stat.ino());
        Ok(Self { mapping, slots, log_id, tier, first_seq, path, inode, got })
    }
}

fn size_of_ring(slots: u64) -> usize {
    FILE_HEADER_SIZE + slots as usize * RECORD_SIZE
}

/// Takes the lock of a ring's file, or of its directory, until the value is dropped.
fn hold(file: File, desk: &DeskDir) -> Result<Held> {
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Held::new(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(JournalError::RingHeld { path: desk.ring_path(), desk: desk.path().into() })
        }
        Err(error) => Err(error).doing(&desk.ring_path(), "lock the ring"),
    }
}

/// Refuses a desk whose ring another engine writes; takes and leaves the lock.
pub(crate) fn check_unheld(desk: &DeskDir) -> Result<()> {
    match open_nofollow(&desk.ring_path(), false) {
        Ok(file) => hold(file, desk).map(drop),
        Err(_) => Ok(()),
    }
}

fn check_slots(slots: u64) -> Result<()> {
    if slots.is_power_of_two() && (SLOTS_MIN..=SLOTS_MAX).contains(&slots) {
        return Ok(());
    }
    let bound = "a power of two from 64 to 67108864";
    Err(JournalError::Value { name: "ring slots", value: slots, bound })
}

/// The writer of the ring: the log as the engine sees it.
pub struct Ring {
    first_slot: NonNull<Record>,
    mask: u64,
    next_seq: u64,
    /// Last sequence whose slot may be written: announced, and its old record is in a segment.
    horizon_seq: u64,
    group_first: u64,
    log_id: u64,
    epoch: u64,
    durable_seen: Cell<u64>,
    shared: Arc<Shared>,
    /// The locked ring file: one writer a ring, also when two directories carry one desk's id.
    held: Option<Held>,
}

// SAFETY: the pointer leads into the mapping that `shared` keeps alive; there is one writer, and it
// may move to another thread as a whole.
unsafe impl Send for Ring {}

impl Ring {
    /// A ring on memory of this process alone: tier `memory`, no segments, never full.
    pub fn memory(slots: u64, log_id: u64, epoch: u64) -> Result<Self> {
        check_slots(slots)?;
        let mapping = Mapping::anonymous(size_of_ring(slots))?;
        let path = Path::new("anonymous memory");
        Self::on(mapping, path, 0, slots, Tier::Memory, log_id, epoch, 1)
    }

    /// The ring of a desk in shared memory, whose next record is `next_seq`. The ring that lies
    /// there is kept when it holds the log up to that record, so that its readers go on undisturbed.
    pub(crate) fn of_desk(
        desk: &DeskDir,
        slots: u64,
        tier: Tier,
        epoch: u64,
        next_seq: u64,
    ) -> Result<Self> {
        check_slots(slots)?;
        if tier == Tier::Memory {
            let bound = "process, disk or replica; tier memory has no desk (Ring::memory)";
            let value = u64::from(tier.code());
            return Err(JournalError::Value { name: "tier of a desk's ring", value, bound });
        }
        let dir = desk.make_shm()?;
        // One at a time opens or replaces the ring: the directory is locked until this returns.
        let dir_file = File::open(&dir).doing(&dir, "open it for its lock")?;
        let _opening = hold(dir_file, desk)?;
        let old = match open_nofollow(&desk.ring_path(), false) {
            Ok(old) => Some(hold(old, desk)?),
            Err(_) => None, // none, or one that `kept` refuses and the rename replaces
        };
        if let Some(mut ring) = Self::kept(desk, slots, tier, epoch, next_seq) {
            ring.held = old;
            assert!(ring.held.is_some()); // `kept` opened what was locked just now
            return Ok(ring);
        }
        let (path, aside) = (desk.ring_path(), dir.join("ring.new"));
        let _ = std::fs::remove_file(&aside);
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file: File = rustix::fs::open(&aside, flags, Mode::from_raw_mode(0o600))
            .doing(&aside, "create the ring")?
            .into();
        let held = hold(file.try_clone().doing(&aside, "open it for its lock")?, desk)?;
        let size = size_of_ring(slots);
        // Without this a full shared memory would kill the process at a later store (F7).
        let ring = reserve(&file, &aside, size as u64)
            .and_then(|()| Mapping::shared(&file, &aside, size, true))
            .and_then(|mapping| {
                let inode = file.metadata().doing(&aside, "look at it")?.ino();
                Self::on(mapping, &path, inode, slots, tier, desk.log_id(), epoch, next_seq)
            })
            .and_then(|mut ring| {
                std::fs::rename(&aside, &path).doing(&path, "put the ring in place")?;
                ring.held = Some(held);
                Ok(ring)
            });
        if ring.is_err() {
            let _ = std::fs::remove_file(&aside);
        }
        ring
    }

    fn kept(desk: &DeskDir, slots: u64, tier: Tier, epoch: u64, next_seq: u64) -> Option<Self> {
        let old = Shared::of_desk(desk)?;
        let fits = old.slots == slots && old.tier == tier && old.published_seq() + 1 == next_seq;
        if !fits {
            return None;
        }
        drop(old);
        let mut shared = Shared::open(&desk.ring_path(), true).ok()?;
        shared.got = shared.mapping.prefault(&shared.path).ok()?;
        shared.mapping.u64_at(EPOCH).store(epoch, Ordering::Release);
        Some(Self::writer(shared, epoch, next_seq))
    }

    #[expect(clippy::too_many_arguments, reason = "one caller each, all of them header fields")]
    fn on(
        mapping: Mapping,
        path: &Path,
        inode: u64,
        slots: u64,
        tier: Tier,
        log_id: u64,
        epoch: u64,
        next_seq: u64,
    ) -> Result<Self> {
        assert!(next_seq >= 1);
        let got = mapping.prefault(path)?;
        let header = RingHeader {
            magic: RING_MAGIC,
            layout_hash: LAYOUT_HASH,
            log_id,
            slots,
            boot_id: boot_id(),
            epoch,
            first_seq: next_seq,
            published_seq: next_seq - 1,
            durable_seq: next_seq - 1,
            claimed_seq: next_seq - 1,
            tier: tier.code(),
            ..RingHeader::ZERO
        };
        mapping.write(0, header.as_bytes());
        let path = path.into();
        let shared = Shared { mapping, slots, log_id, tier, first_seq: next_seq, path, inode, got };
        Ok(Self::writer(shared, epoch, next_seq))
    }

    fn writer(shared: Shared, epoch: u64, next_seq: u64) -> Self {
        let size = shared.slots as usize * RECORD_SIZE;
        let first = shared.mapping.pointer(FILE_HEADER_SIZE, size).cast::<Record>();
        assert!(shared.published_seq() + 1 == next_seq);
        Self {
            first_slot: NonNull::new(first).expect("never null"),
            mask: shared.slots - 1,
            next_seq,
            horizon_seq: next_seq - 1,
            group_first: next_seq,
            log_id: shared.log_id,
            epoch,
            durable_seen: Cell::new(shared.durable_seq()),
            shared: Arc::new(shared),
            held: None,
        }
    }

    #[inline(always)]
    fn place(&self, seq: u64) -> *mut Record {
        let index = (seq & self.mask) as usize;
        debug_assert!((index as u64) < self.shared.slots);
        // SAFETY: the mask keeps the index below the slots of the mapping.
        unsafe { self.first_slot.as_ptr().add(index) }
    }

    /// `event_seq` that the next record will get.
    #[inline(always)]
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The `index`-th record of the group being built; its bytes are stale until written whole.
    ///
    /// Asserts that the ring has room: the caller asks [`Ring::room`] before it begins a group.
    #[inline(always)]
    pub fn slot(&mut self, index: usize) -> &mut Record {
        assert!(index < GROUP_MAX);
        let seq = self.next_seq + index as u64;
        if seq > self.horizon_seq {
            self.claim(seq);
        }
        debug_assert!(seq > self.shared.published_seq() && seq <= self.horizon_seq);
        // SAFETY: the slot is beyond what is published, and claimed, so nobody else writes it;
        // readers that still look at its old record find out by `claimed_seq`.
        unsafe { &mut *self.place(seq) }
    }

    /// Announces that slots up to `seq` and some more are about to change.
    #[cold]
    #[inline(never)]
    fn claim(&mut self, seq: u64) {
        let slots = self.shared.slots;
        // A chunk at a time, so that the announcement costs nothing per append.
        let mut horizon = seq + (slots / 8).min(256);
        if self.shared.tier != Tier::Memory {
            let durable = self.shared.durable_seq();
            self.durable_seen.set(durable);
            assert!(seq <= durable + slots, "the ring is full: event {seq}, on disk {durable}");
            horizon = horizon.min(durable + slots);
        }
        self.horizon_seq = horizon;
        self.shared.mapping.u64_at(CLAIMED).store(horizon, Ordering::Relaxed);
        // Release; pairs with the Acquire fences of `View::check` and `Shared::get`: who sees a byte
        // written after it sees the claim too.
        fence(Ordering::Release);
    }

    /// Gives the first `count` slots their sequence, epoch and checksum and publishes them at once.
    #[inline(always)]
    pub fn publish(&mut self, count: usize) {
        assert!((1..=GROUP_MAX).contains(&count));
        let first = self.next_seq;
        assert!(first + count as u64 - 1 <= self.horizon_seq); // `slot` was called for each
        for index in 0..count {
            let seq = first + index as u64;
            let place = self.place(seq);
            debug_assert!(seq <= self.horizon_seq);
            // SAFETY: as in `slot`; the reference ends with this turn of the loop.
            let record = unsafe { &mut *place };
            record.header.event_seq = seq;
            let more = (count - 1 - index) as u8;
            let [kind_low, kind_high] = record.header.kind.to_le_bytes();
            let sealed = [kind_low, kind_high, more, self.epoch as u8];
            let bytes: &mut [u8; RECORD_SIZE] = zerocopy::transmute_mut!(&mut *record);
            bytes[24..28].copy_from_slice(&sealed);
            let bytes: &[u8; RECORD_SIZE] = zerocopy::transmute_ref!(&*record);
            record.header.crc32c = arch::sealed_crc(self.log_id, bytes, u32::from_le_bytes(sealed));
            let ahead = self.place(seq + PREFETCH_AHEAD).cast::<[u8; 64]>();
            // SAFETY: a slot of the mapping, two lines; only hints are given, no byte is read.
            let lines = unsafe { (&*ahead, &*ahead.add(1)) };
            arch::prefetch_write(lines.0);
            arch::prefetch_write(lines.1);
        }
        self.group_first = first;
        self.next_seq = first + count as u64;
        // Release; pairs with the Acquire of `Shared::published_seq`.
        self.shared.mapping.u64_at(PUBLISHED).store(self.next_seq - 1, Ordering::Release);
    }

    /// The `index`-th record of the group just published.
    #[inline(always)]
    pub fn last(&self, index: usize) -> &Record {
        let seq = self.group_first + index as u64;
        assert!(seq < self.next_seq);
        // SAFETY: published and not yet overwritten: the writer alone overwrites, through `&mut`.
        unsafe { &*self.place(seq) }
    }

    /// Records that fit before one that is not yet in a segment would be overwritten; at least that
    /// many: `durable_seq` is read afresh only when less than half of the ring is known to be free.
    #[inline(always)]
    pub fn room(&self) -> u64 {
        let slots = self.shared.slots;
        let used = self.next_seq - 1 - self.durable_seen.get();
        if used <= slots / 2 { slots - used } else { self.room_afresh() }
    }

    #[cold]
    fn room_afresh(&self) -> u64 {
        if self.shared.tier == Tier::Memory {
            self.durable_seen.set(self.next_seq - 1);
            return self.shared.slots;
        }
        self.durable_seen.set(self.shared.durable_seq());
        self.shared.slots - (self.next_seq - 1 - self.durable_seen.get())
    }

    /// Last record published.
    #[inline(always)]
    pub fn published_seq(&self) -> u64 {
        self.next_seq - 1
    }
    /// Last record on disk; 0 and without meaning at tier `memory`.
    #[inline(always)]
    pub fn durable_seq(&self) -> u64 {
        self.shared.durable_seq()
    }
    /// Last record that may leave, by the tier.
    #[inline(always)]
    pub fn committed_seq(&self) -> u64 {
        match self.shared.tier {
            Tier::Memory | Tier::Process => self.next_seq - 1,
            _ => self.shared.committed_seq(),
        }
    }
    /// The writer's epoch, whole.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
    /// Id of the log.
    pub fn log_id(&self) -> u64 {
        self.log_id
    }
    /// Number of slots.
    pub fn slots(&self) -> u64 {
        self.shared.slots
    }
    /// Durability tier.
    pub fn tier(&self) -> Tier {
        self.shared.tier
    }
    /// What memory the ring got.
    pub fn memory_got(&self) -> MemoryGot {
        self.shared.got
    }
    /// A handle for other threads of this process.
    pub fn view(&self) -> RingView {
        RingView { shared: Arc::clone(&self.shared) }
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ring(next {}, epoch {}, {})", self.next_seq, self.epoch, self.shared.got)
    }
}

/// Asks the file system for every byte now; a full one says so here, not by killing us later (F7).
pub(crate) fn reserve(file: &File, path: &Path, size: u64) -> Result<()> {
    let reserved = rustix::fs::ftruncate(file, size)
        .and_then(|()| rustix::fs::fallocate(file, FallocateFlags::empty(), 0, size));
    match reserved {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT) => {
            let free = rustix::fs::fstatvfs(file).map_or(0, |s| s.f_bavail * s.f_frsize);
            let advice = "free some, enlarge it, or configure fewer ring slots or smaller segments";
            Err(JournalError::NoSpace { path: path.into(), needed: size, free, advice })
        }
        Err(error) => Err(error).doing(path, "reserve its space"),
    }
}

/// The ring as other threads of the engine's process see it.
#[derive(Clone, Debug)]
pub struct RingView {
    pub(crate) shared: Arc<Shared>,
}

impl RingView {
    /// Last record published.
    #[inline]
    pub fn published_seq(&self) -> u64 {
        self.shared.published_seq()
    }
    /// Last record on disk.
    #[inline]
    pub fn durable_seq(&self) -> u64 {
        self.shared.durable_seq()
    }
    /// Last record that may leave, by the tier.
    #[inline]
    pub fn committed_seq(&self) -> u64 {
        self.shared.committed_seq()
    }
    /// Publishes the position of the replica; tier `replica` alone looks at it.
    pub fn store_committed(&self, seq: u64) {
        assert!(seq <= self.published_seq());
        // Release; pairs with the Acquire of `Shared::committed_seq`.
        self.shared.mapping.u64_at(COMMITTED).store(seq, Ordering::Release);
    }
    /// A reader whose first record is `from_seq`.
    pub fn reader(&self, follow: Follow, from_seq: u64) -> Reader {
        Reader { shared: Arc::clone(&self.shared), follow, next_seq: from_seq.max(1) }
    }
}

/// How far a reader follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// Up to what may have left the desk, by the tier.
    Committed,
    /// Up to what the engine has published, which a power loss may take back.
    Published,
}

/// The writer has taken the reader's slots for newer records; read the segments, then seek.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "lapped: event {next_seq} was asked for, the ring begins at {oldest_seq}; read the segments up to there"
)]
pub struct Lapped {
    /// What the reader wanted.
    pub next_seq: u64,
    /// First record that is still in the ring.
    pub oldest_seq: u64,
}

/// A cursor over a ring, in any process; it slows nobody down.
#[derive(Clone, Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    follow: Follow,
    next_seq: u64,
}

impl Reader {
    /// Opens the ring at `path` for reading and stands at its oldest record.
    pub fn open(path: impl AsRef<Path>, follow: Follow) -> Result<Self> {
        let shared = Arc::new(Shared::open(path.as_ref(), false)?);
        let next_seq = shared.first_here().max(1);
        Ok(Self { shared, follow, next_seq })
    }

    /// The record the reader takes next.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }
    /// Goes to record `seq`.
    pub fn seek(&mut self, seq: u64) {
        self.next_seq = seq.max(1);
    }
    /// Last record it may read now.
    #[inline]
    pub fn end_seq(&self) -> u64 {
        match self.follow {
            Follow::Committed => self.shared.committed_seq(),
            Follow::Published => self.shared.published_seq(),
        }
    }
    /// First record that is still in the ring.
    pub fn oldest_seq(&self) -> u64 {
        self.shared.first_here()
    }
    /// Where the slots lie and how many there are: record `seq` stands in slot `seq & (slots - 1)`.
    /// For readers in other languages; they look at [`Reader::oldest_seq`] after use, as `View::check`.
    pub fn memory(&self) -> (*const Record, u64) {
        (self.shared.slot(0), self.shared.slots)
    }
    /// Id of the log.
    pub fn log_id(&self) -> u64 {
        self.shared.log_id
    }
    /// Epoch of the present writer.
    pub fn epoch(&self) -> u64 {
        self.shared.epoch()
    }
    /// Whether another ring has taken this one's place (an engine started with other options): open
    /// it anew. A system call; ask when nothing arrives.
    pub fn is_replaced(&self) -> bool {
        self.shared.inode != 0
            && std::fs::metadata(&self.shared.path).map_or(true, |s| s.ino() != self.shared.inode)
    }

    /// Up to `max` records from where the reader stands, without copying; none when it has them all.
    /// The reader moves on. What was read out of the view counts only after [`View::check`].
    #[inline]
    pub fn poll(&mut self, max: usize) -> std::result::Result<View<'_>, Lapped> {
        let (first, end) = (self.next_seq, self.end_seq());
        let slots = self.shared.slots;
        let until_wrap = slots - (first & (slots - 1));
        let count = (end + 1).saturating_sub(first).min(max as u64).min(until_wrap) as usize;
        self.next_seq = first + count as u64;
        let view = View { shared: &self.shared, first_seq: first, count };
        match view.check() {
            Ok(()) => Ok(view),
            Err(lapped) => {
                self.next_seq = first;
                Err(lapped)
            }
        }
    }

    /// Copies the next records into `out` and checks them; returns how many. The reader moves on by
    /// as many; on a lap it stays.
    pub fn copy_next(&mut self, out: &mut [Record]) -> std::result::Result<usize, Lapped> {
        let (first, end) = (self.next_seq, self.end_seq());
        let count = (end + 1).saturating_sub(first).min(out.len() as u64);
        for i in 0..count {
            out[i as usize] = self.shared.copy(first + i);
        }
        View { shared: &self.shared, first_seq: first, count: count as usize }.check()?;
        self.next_seq = first + count;
        Ok(count as usize)
    }
}

/// Records in the ring, seen in place.
///
/// The writer never waits, so it may reuse a slot while it is being looked at; values read from the
/// view mean something only once a later `check` has passed. Reading them is harmless in any case:
/// every bit pattern is a record.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    shared: &'a Shared,
    first_seq: u64,
    count: usize,
}

impl View<'_> {
    /// `event_seq` of the first record.
    pub fn first_seq(&self) -> u64 {
        self.first_seq
    }
    /// The records.
    #[inline]
    pub fn records(&self) -> &[Record] {
        if self.count == 0 {
            return &[];
        }
        let first = self.shared.slot(self.first_seq);
        debug_assert!(
            (self.first_seq & (self.shared.slots - 1)) as usize + self.count
                <= self.shared.slots as usize
        );
        // SAFETY: the run lies in the mapping without a wrap (`poll` cut it so), and the mapping
        // outlives the view. The bytes may change under a lap, which `check` reports.
        unsafe { std::slice::from_raw_parts(first, self.count) }
    }
    /// Whether all that was read so far still stood: call it after use, before acting on it.
    #[inline]
    pub fn check(&self) -> std::result::Result<(), Lapped> {
        // Acquire; pairs with the fence of `Ring::claim`: reads above come before the look at the
        // claim.
        fence(Ordering::Acquire);
        let oldest_seq = self.shared.oldest_seq();
        if self.first_seq < oldest_seq {
            return Err(Lapped { next_seq: self.first_seq, oldest_seq });
        }
        Ok(())
    }
}
