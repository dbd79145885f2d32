//! One client's way into the engine: a ring of records with one producer and one consumer.
//!
//! The engine makes it (`Consumer`) when a client attaches and hands over the descriptor; the client
//! writes (`Producer`), from any process. What must stay true: a record is whole before `head` says
//! so and taken before `tail` says so; the engine believes nothing a client writes but copies and
//! bounds it; an engine that sleeps has said so and has looked once more.
//!
//! Pairs: producer slot, `head` Release; consumer `head` Acquire, slot. Consumer slot, `tail`
//! Release; producer `tail` Acquire before it reuses the slot. Sleep: consumer `parked` SeqCst then
//! `head` SeqCst; producer `head` SeqCst then `parked` SeqCst: one of the two sees the other.

use crate::desk::open_nofollow;
use crate::error::{Doing, JournalError, Result};
use crate::map::Mapping;
use crate::ring::reserve;
use layout::{COMMAND_RING_MAGIC, CommandRingHeader, LAYOUT_HASH, RECORD_SIZE, Record};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use std::fs::File;
use std::mem::offset_of;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{Ordering, fence};
use zerocopy::IntoBytes;

const FIRST_SLOT: usize = size_of::<CommandRingHeader>();
const HEAD: usize = offset_of!(CommandRingHeader, head);
const TAIL: usize = offset_of!(CommandRingHeader, tail);
const PARKED: usize = offset_of!(CommandRingHeader, parked);
const BEATS: usize = offset_of!(CommandRingHeader, beats);
const ASLEEP: usize = offset_of!(CommandRingHeader, asleep);
const WORDS: usize = RECORD_SIZE / 8;

fn size_of_ring(slots: u64) -> usize {
    FIRST_SLOT + slots as usize * RECORD_SIZE
}

fn check_slots(slots: u64) -> Result<()> {
    if slots.is_power_of_two() && (2..=1 << 20).contains(&slots) {
        return Ok(());
    }
    let bound = "a power of two from 2 to 1048576";
    Err(JournalError::Value { name: "command ring slots", value: slots, bound })
}

/// The mapping and its slots; words are atomics, so a foe on the other side can confuse no compiler.
#[derive(Debug)]
struct Slots {
    mapping: Mapping,
    slots: u64,
}

impl Slots {
    #[inline(always)]
    fn offset(&self, seq: u64) -> usize {
        FIRST_SLOT + (seq & (self.slots - 1)) as usize * RECORD_SIZE
    }

    #[inline(always)]
    fn read(&self, seq: u64) -> Record {
        let offset = self.offset(seq);
        let words: [u64; WORDS] =
            std::array::from_fn(|i| self.mapping.u64_at(offset + 8 * i).load(Ordering::Relaxed));
        zerocopy::transmute!(words)
    }

    #[inline(always)]
    fn write(&self, seq: u64, record: &Record) {
        let offset = self.offset(seq);
        let words: [u64; WORDS] = zerocopy::transmute!(*record);
        for (i, word) in words.into_iter().enumerate() {
            self.mapping.u64_at(offset + 8 * i).store(word, Ordering::Relaxed);
        }
    }
}

/// The engine's end.
#[derive(Debug)]
pub struct Consumer {
    ring: Slots,
    tail: u64,
    head_seen: u64,
    session_id: u32,
    client_id: u32,
}

impl Consumer {
    /// Makes a ring without a name, sealed against shrinking, and the descriptor for the client.
    pub fn memfd(slots: u64, session_id: u32, client_id: u32) -> Result<(Self, OwnedFd)> {
        check_slots(slots)?;
        let path = Path::new("command ring");
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let fd = rustix::fs::memfd_create("pyoms-command-ring", flags).doing(path, "create it")?;
        let file = File::from(fd);
        reserve(&file, path, size_of_ring(slots) as u64)?;
        // A client that could shrink it could kill the engine by SIGBUS.
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&file, seals).doing(path, "seal it")?;
        let consumer = Self::on(&file, path, slots, session_id, client_id)?;
        Ok((consumer, file.into()))
    }

    /// Makes a ring in a file, which must not exist yet; for clients of the same user alone.
    pub fn create(path: &Path, slots: u64, session_id: u32, client_id: u32) -> Result<Self> {
        check_slots(slots)?;
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd =
            rustix::fs::open(path, flags, Mode::from_raw_mode(0o600)).doing(path, "create it")?;
        let file = File::from(fd);
        reserve(&file, path, size_of_ring(slots) as u64)?;
        Self::on(&file, path, slots, session_id, client_id)
    }

    fn on(file: &File, path: &Path, slots: u64, session_id: u32, client_id: u32) -> Result<Self> {
        let mapping = Mapping::shared(file, path, size_of_ring(slots), true)?;
        mapping.prefault(path)?;
        let header = CommandRingHeader {
            magic: COMMAND_RING_MAGIC,
            layout_hash: LAYOUT_HASH,
            slots,
            session_id,
            client_id,
            ..CommandRingHeader::ZERO
        };
        mapping.write(0, header.as_bytes());
        let ring = Slots { mapping, slots };
        Ok(Self { ring, tail: 0, head_seen: 0, session_id, client_id })
    }

    /// Session that the engine bound to the ring.
    pub fn session_id(&self) -> u32 {
        self.session_id
    }
    /// Number of the client.
    pub fn client_id(&self) -> u32 {
        self.client_id
    }
    /// Process of the client, as it says.
    pub fn client_pid(&self) -> u32 {
        self.ring.mapping.u32_at(offset_of!(CommandRingHeader, client_pid)).load(Ordering::Relaxed)
    }
    /// Signs of life of the client so far, as it counts them.
    pub fn beats(&self) -> u64 {
        self.ring.mapping.u64_at(BEATS).load(Ordering::Relaxed)
    }
    /// Last command taken.
    pub fn command_seq(&self) -> u64 {
        self.tail
    }

    /// Records that wait; an error when the client wrote a head that cannot be.
    #[inline(always)]
    pub fn waiting(&mut self) -> Result<u64> {
        if self.head_seen == self.tail {
            // Acquire; pairs with the Release of `Producer::publish`.
            self.head_seen = self.ring.mapping.u64_at(HEAD).load(Ordering::Acquire);
        }
        let waiting = self.head_seen.wrapping_sub(self.tail);
        if waiting <= self.ring.slots { Ok(waiting) } else { Err(self.refused()) }
    }

    #[cold]
    fn refused(&self) -> JournalError {
        let (head, tail) = (self.head_seen, self.tail);
        let (client_id, slots) = (self.client_id, self.ring.slots);
        JournalError::CommandRing { client_id, head, tail, slots }
    }

    /// Takes the next record; `None` when there is none. Its `event_seq` is the `command_seq`.
    #[inline]
    pub fn pop(&mut self) -> Result<Option<Record>> {
        if self.waiting()? == 0 {
            return Ok(None);
        }
        self.tail += 1;
        let mut record = self.ring.read(self.tail);
        record.header.event_seq = self.tail; // ours, whatever the client wrote there
        // Release; pairs with the Acquire of `Producer`: the slot was read before it is reused.
        self.ring.mapping.u64_at(TAIL).store(self.tail, Ordering::Release);
        Ok(Some(record))
    }

    /// Takes as many records as wait and fit; returns how many.
    pub fn pop_into(&mut self, out: &mut [Record]) -> Result<usize> {
        if self.head_seen.wrapping_sub(self.tail) < out.len() as u64 {
            self.head_seen = self.ring.mapping.u64_at(HEAD).load(Ordering::Acquire);
        }
        let count = (self.waiting()? as usize).min(out.len());
        for record in &mut out[..count] {
            self.tail += 1;
            *record = self.ring.read(self.tail);
            record.header.event_seq = self.tail;
        }
        if count > 0 {
            // Release; as in `pop`.
            self.ring.mapping.u64_at(TAIL).store(self.tail, Ordering::Release);
        }
        Ok(count)
    }

    /// Says that the engine is about to sleep. False: records wait, or the ring is broken; do not.
    pub fn park(&mut self) -> bool {
        self.ring.mapping.u32_at(PARKED).store(1, Ordering::SeqCst);
        // SeqCst after SeqCst; pairs with `Producer::publish`.
        let head = self.ring.mapping.u64_at(HEAD).load(Ordering::SeqCst);
        if head == self.tail {
            return true;
        }
        self.unpark();
        false
    }

    /// Says that the engine is awake.
    pub fn unpark(&mut self) {
        self.ring.mapping.u32_at(PARKED).store(0, Ordering::SeqCst);
    }
}

/// Wakes one client that sleeps until there is news; used by whoever publishes or commits it, off the
/// engine thread. Costs a load while the client is awake.
#[derive(Debug)]
pub struct Waker {
    header: Mapping,
    bell: OwnedFd,
}

impl Waker {
    /// For the client of the ring behind `ring`, whose own bell is `bell`.
    pub fn new(ring: &OwnedFd, bell: OwnedFd) -> Result<Self> {
        let path = Path::new("command ring");
        let file = File::from(ring.try_clone().doing(path, "open it for its waker")?);
        Ok(Self { header: Mapping::shared(&file, path, FIRST_SLOT, true)?, bell })
    }

    /// Rings the bell if the client has said that it sleeps. The caller has seen the news before, and
    /// put a SeqCst fence between.
    pub fn wake(&self) {
        let asleep = self.header.u32_at(ASLEEP);
        // SeqCst; pairs with `Producer::sleep`: it sees the news, or we see that it sleeps.
        if asleep.load(Ordering::SeqCst) != 0 {
            asleep.store(0, Ordering::SeqCst);
            let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes()); // full: it was rung already
        }
    }
}

/// The ring is full: the engine has not taken enough yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the command ring is full: {slots} commands wait; take verdicts before sending more")]
pub struct Full {
    /// Slots of the ring.
    pub slots: u64,
}

/// A command that was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Number of the (last) command; the verdict carries it.
    pub command_seq: u64,
    /// The engine sleeps: ring its eventfd.
    pub wake: bool,
}

/// The client's end.
#[derive(Debug)]
pub struct Producer {
    ring: Slots,
    head: u64,
    tail_seen: u64,
}

impl Producer {
    /// Opens the ring behind a descriptor that the engine handed over.
    pub fn from_fd(fd: OwnedFd) -> Result<Self> {
        Self::on(&File::from(fd), Path::new("command ring"))
    }

    /// Opens the ring in a file.
    pub fn open(path: &Path) -> Result<Self> {
        Self::on(&open_nofollow(path, true).doing(path, "open it")?, path)
    }

    fn on(file: &File, path: &Path) -> Result<Self> {
        let size = file.metadata().doing(path, "look at it")?.len();
        let bad = |what: String| JournalError::BadHeader { path: path.into(), what };
        if size < size_of_ring(2) as u64 || size > size_of_ring(1 << 20) as u64 {
            return Err(bad(format!("{size} bytes are no command ring")));
        }
        let mapping = Mapping::shared(file, path, size as usize, true)?;
        let header: CommandRingHeader = zerocopy::transmute!(mapping.bytes::<FIRST_SLOT>(0));
        if header.magic != COMMAND_RING_MAGIC {
            return Err(bad(format!("magic {:#018x} is not a command ring's", header.magic)));
        }
        if header.layout_hash != LAYOUT_HASH {
            let (found, ours) = (header.layout_hash, LAYOUT_HASH);
            return Err(JournalError::ForeignLayout { path: path.into(), found, ours });
        }
        let slots = header.slots;
        if check_slots(slots).is_err() || size != size_of_ring(slots) as u64 {
            return Err(bad(format!("{slots} slots do not fit {size} bytes")));
        }
        let pid = offset_of!(CommandRingHeader, client_pid);
        mapping.u32_at(pid).store(std::process::id(), Ordering::Relaxed);
        Ok(Self { ring: Slots { mapping, slots }, head: header.head, tail_seen: header.tail })
    }

    /// Slots that are free.
    #[inline]
    pub fn room(&mut self) -> u64 {
        let slots = self.ring.slots;
        if self.head - self.tail_seen == slots {
            self.look();
        }
        slots - (self.head - self.tail_seen)
    }

    fn look(&mut self) {
        // Acquire; pairs with the Release of `Consumer::pop`.
        let tail = self.ring.mapping.u64_at(TAIL).load(Ordering::Acquire);
        self.tail_seen = tail.clamp(self.tail_seen, self.head);
    }

    /// Hands one record over.
    #[inline]
    pub fn push(&mut self, record: &Record) -> std::result::Result<Pushed, Full> {
        if self.room() == 0 {
            return Err(Full { slots: self.ring.slots });
        }
        self.put(record);
        Ok(self.publish())
    }

    /// Hands as many records over as fit, publishing them at once; returns how many.
    pub fn push_many(&mut self, records: &[Record]) -> (usize, Pushed) {
        if self.ring.slots - (self.head - self.tail_seen) < records.len() as u64 {
            self.look();
        }
        let count = (self.room() as usize).min(records.len());
        records[..count].iter().for_each(|record| self.put(record));
        (count, self.publish())
    }

    /// Hands records over that belong together: all at once, or none of them.
    pub fn push_all(&mut self, records: &[Record]) -> std::result::Result<Pushed, Full> {
        if self.ring.slots - (self.head - self.tail_seen) < records.len() as u64 {
            self.look();
        }
        if self.ring.slots - (self.head - self.tail_seen) < records.len() as u64 {
            return Err(Full { slots: self.ring.slots });
        }
        records.iter().for_each(|record| self.put(record));
        Ok(self.publish())
    }

    #[inline(always)]
    fn put(&mut self, record: &Record) {
        self.head += 1;
        let mut record = *record;
        record.header.event_seq = self.head;
        self.ring.write(self.head, &record);
    }

    #[inline(always)]
    fn publish(&mut self) -> Pushed {
        // SeqCst holds the Release that `Consumer::waiting` pairs with, and orders the store before
        // the look at `parked`; pairs with `Consumer::park`.
        self.ring.mapping.u64_at(HEAD).store(self.head, Ordering::SeqCst);
        let wake = self.ring.mapping.u32_at(PARKED).load(Ordering::SeqCst) != 0;
        Pushed { command_seq: self.head, wake }
    }

    /// Last command handed over.
    pub fn command_seq(&self) -> u64 {
        self.head
    }

    /// Gives a sign of life.
    #[inline]
    pub fn beat(&mut self) {
        let beats = self.ring.mapping.u64_at(BEATS);
        beats.store(beats.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// Says that the client is about to sleep; it looks for news once more before it does.
    pub fn sleep(&self) {
        self.ring.mapping.u32_at(ASLEEP).store(1, Ordering::SeqCst);
        fence(Ordering::SeqCst); // pairs with the fence before `Waker::wake`
    }

    /// Says that the client is awake.
    pub fn awake(&self) {
        self.ring.mapping.u32_at(ASLEEP).store(0, Ordering::SeqCst);
    }
}
