//! The simulated world under a real desk: clocks, a disk that tears and loses, wires that are cut at
//! any byte, and the end of the process at any call. Shared by the desk (through `host::World`) and
//! the run, on one thread. What must stay true: a life that has ended does no more I/O; what a wire
//! carries is checked here, at the last point that our code reaches.

use super::Faults;
use crate::random::Random;
use host::Wire;
use journal::{Disk, DiskFile, SyncMode};
use layout::*;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

/// Bytes that reach a medium whole or not at all.
const SECTOR: usize = 512;

/// Calls into the world that one life may make: far more is a desk that runs away.
const CALLS_MAX: u64 = 50_000;

/// UTC at the venues and, but for its jumps, at the desk when a run begins: 22:13:52 of a day.
pub(crate) const VENUE_NS: i64 = 1_700_000_032_000_000_000;

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// SIGKILL: the ring and what was written survive.
    Kill,
    /// Power loss: the ring is gone, what was not synced is torn.
    Power,
}

/// A write that no sync has confirmed, and what stood there before.
struct Pending {
    file: Arc<File>,
    inode: u64,
    offset: u64,
    before: Vec<u8>,
}

/// A kill that was engaged and not released.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kill {
    pub scope: Scope,
    pub id: u32,
    pub epoch: u64,
    pub acked: bool,
}

/// One connection between desk and venue.
#[derive(Default)]
pub(crate) struct Pipe {
    pub open: bool,
    /// The venue has not been told of this connection, or of its end.
    pub joined: bool,
    pub left: bool,
    pub refused_until: i64,
    pub to_venue: Vec<u8>,
    pub to_desk: VecDeque<u8>,
    /// Bytes of the desk that still pass before the wire is cut.
    pub cut_in: Option<usize>,
    number: u64,
    /// Bytes of the frame that is not whole yet.
    partial: Vec<u8>,
}

impl Pipe {
    /// Both ends lose what is under way past a point of chance.
    pub fn cut(&mut self, random: &mut Random) {
        if !self.open {
            return;
        }
        (self.open, self.left, self.cut_in) = (false, true, None);
        let keep = random.below(self.to_venue.len() as u64 + 1) as usize;
        self.to_venue.truncate(keep);
        let keep = random.below(self.to_desk.len() as u64 + 1) as usize;
        self.to_desk.truncate(keep);
    }
}

/// Everything that is not the desk.
pub(crate) struct Inner {
    pub random: Random,
    pub mono_ns: i64,
    pub wall_off_ns: i64,
    pub dead: Option<Death>,
    /// Calls of this life.
    calls: u64,
    /// Calls left until the process dies.
    pub die_in: Option<(u64, Death)>,
    /// Syncs left until the disk fails.
    pub disk_error_in: Option<u64>,
    pub disk_failed: bool,
    /// Files that find no room yet.
    pub full_for: u64,
    pending: Vec<Pending>,
    /// Highest event that a confirmed sync holds.
    pub durable_seq: u64,
    /// Highest event whose message a wire took.
    pub sent_seq: u64,
    pub disk_tier: bool,
    pub pipes: Vec<Pipe>,
    pub control: Option<journal::ControlFile>,
    pub kills: Vec<Kill>,
    pub faults: Faults,
    pub violations: Vec<String>,
}

impl Inner {
    /// One call of the process into the world; `true`: it dies in this one.
    fn call(&mut self) -> bool {
        self.calls += 1;
        assert!(self.calls <= CALLS_MAX, "the desk runs away: {CALLS_MAX} calls in one life");
        match &mut self.die_in {
            Some((0, death)) => {
                self.dead = Some(*death);
                self.die_in = None;
                true
            }
            Some((left, _)) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    /// A message is about to be in the kernel's hands: I1 and I2 are judged here.
    fn check_frame(&mut self, frame: &Record) {
        let Some(routed) = Routed::from_record(frame) else { return };
        if routed.msg_type == MsgType::GapFill.code() {
            return;
        }
        let seq = routed.header.event_seq;
        self.sent_seq = self.sent_seq.max(seq);
        if self.disk_tier && seq > self.durable_seq {
            let durable = self.durable_seq;
            self.violations.push(format!("I2: event {seq} was sent, {durable} was on disk"));
        }
        let creates =
            [MsgType::NewOrder.code(), MsgType::Replace.code()].contains(&routed.msg_type);
        if !creates {
            return;
        }
        for index in 0..self.kills.len() {
            let kill = &mut self.kills[index];
            if let Some(control) = self.control.as_ref().filter(|_| !kill.acked) {
                kill.acked = control.acknowledged(kill.epoch).is_whole();
            }
            let meant = match kill.scope {
                Scope::Desk => true,
                Scope::Account => routed.account_id == kill.id,
                Scope::Instrument => routed.instrument_id == kill.id,
                Scope::Venue => u32::from(routed.venue_id) == kill.id,
                _ => false, // the wire does not tell; the log is checked for these
            };
            if kill.acked && meant {
                let what = format!(
                    "I1: order {} was sent after {:?} {} was killed and acknowledged",
                    routed.header.order_seq, kill.scope, kill.id
                );
                self.violations.push(what);
            }
        }
    }

    /// Bytes of a file are safe: what was unconfirmed there, in this life or before, is so no more.
    fn settle(&mut self, inode: u64, from: u64, until: u64) {
        let (ours, mut left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.pending).into_iter().partition(|w| w.inode == inode);
        for write in ours {
            let end = write.offset + write.before.len() as u64;
            if write.offset < from {
                let before = write.before[..(from.min(end) - write.offset) as usize].to_vec();
                let (file, offset) = (Arc::clone(&write.file), write.offset);
                left.push(Pending { file, inode, offset, before });
            }
            if end > until {
                let offset = until.max(write.offset);
                let before = write.before[(offset - write.offset) as usize..].to_vec();
                left.push(Pending { file: Arc::clone(&write.file), inode, offset, before });
            }
        }
        self.pending = left;
    }

    /// The power is gone: of what was not synced each sector stands or does not.
    pub fn lose_power(&mut self) {
        while let Some(write) = self.pending.pop() {
            let whole = self.random.below(4) == 0;
            let (mut stood, mut lost) = (false, false);
            for (at, sector) in write.before.chunks(SECTOR).enumerate() {
                if whole || self.random.below(2) == 0 {
                    lost = true;
                    let offset = write.offset + (at * SECTOR) as u64;
                    write.file.write_all_at(sector, offset).expect("the simulator's own file");
                } else {
                    stood = true;
                }
            }
            if lost {
                self.faults.count(if stood { "torn_write" } else { "lost_write" });
            }
        }
    }

    /// A process begins.
    pub fn revive(&mut self) {
        (self.dead, self.die_in, self.disk_error_in) = (None, None, None);
        (self.disk_failed, self.full_for, self.calls) = (false, 0, 0);
        for pipe in &mut self.pipes {
            pipe.cut(&mut self.random);
        }
    }
}

/// A handle on the world.
#[derive(Clone)]
pub(crate) struct SimWorld(Arc<Mutex<Inner>>);

impl std::fmt::Debug for SimWorld {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimWorld")
    }
}

impl SimWorld {
    pub fn new(seed: u64, venues: usize, disk_tier: bool) -> Self {
        let inner = Inner {
            random: Random::new(seed ^ 0x005e_ed0f_d15c),
            mono_ns: 0,
            wall_off_ns: VENUE_NS,
            dead: None,
            calls: 0,
            die_in: None,
            disk_error_in: None,
            disk_failed: false,
            full_for: 0,
            pending: Vec::new(),
            durable_seq: 0,
            sent_seq: 0,
            disk_tier,
            pipes: (0..venues).map(|_| Pipe::default()).collect(),
            control: None,
            kills: Vec::new(),
            faults: Faults::default(),
            violations: Vec::new(),
        };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// The world, for a moment. One thread has it, so nobody waits; a desk that panicked held no lock
    /// longer than a call, and the world goes on.
    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl host::World for SimWorld {
    fn wall_ns(&self) -> i64 {
        let inner = self.lock();
        inner.mono_ns + inner.wall_off_ns
    }
    fn mono_ns(&self) -> i64 {
        self.lock().mono_ns
    }
    fn disk(&self) -> Box<dyn Disk> {
        Box::new(SimDisk(self.clone()))
    }
    fn connect(&self, socket: &Path) -> io::Result<Box<dyn Wire>> {
        let venue: usize = socket.to_str().and_then(|s| s.parse().ok()).expect("named by the run");
        let mut inner = self.lock();
        let now_ns = inner.mono_ns;
        if inner.dead.is_some() || inner.call() || now_ns < inner.pipes[venue].refused_until {
            return Err(ErrorKind::ConnectionRefused.into());
        }
        let pipe = &mut inner.pipes[venue];
        if pipe.left {
            return Err(ErrorKind::ConnectionRefused.into()); // the venue still has the old one
        }
        pipe.number += 1;
        (pipe.open, pipe.joined, pipe.cut_in) = (true, true, None);
        pipe.to_venue.clear();
        pipe.to_desk.clear();
        pipe.partial.clear();
        let number = pipe.number;
        Ok(Box::new(SimWire { world: self.clone(), venue, number }))
    }
}

struct SimWire {
    world: SimWorld,
    venue: usize,
    number: u64,
}

impl Wire for SimWire {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

impl Read for SimWire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let inner = &mut *self.world.lock();
        if inner.dead.is_some() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let pipe = &mut inner.pipes[self.venue];
        let here = pipe.to_desk.len().min(buffer.len());
        if here == 0 {
            return if pipe.open { Err(ErrorKind::WouldBlock.into()) } else { Ok(0) };
        }
        let size = if inner.random.below(8) == 0 {
            1 + inner.random.below(here as u64) as usize
        } else {
            here
        };
        inner.pipes[self.venue].to_desk.read_exact(&mut buffer[..size])?;
        Ok(size)
    }
}

impl Write for SimWire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let inner = &mut *self.world.lock();
        if inner.dead.is_some() {
            return Err(ErrorKind::WouldBlock.into());
        }
        if !inner.pipes[self.venue].open {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let dies = inner.call();
        let mut size = match inner.random.below(32) {
            0 => 0,
            1 => 1 + inner.random.below(bytes.len() as u64) as usize,
            _ => bytes.len(),
        };
        if dies {
            size = inner.random.below(bytes.len() as u64 + 1) as usize;
        }
        let mut cut = false;
        if let Some(left) = &mut inner.pipes[self.venue].cut_in {
            size = size.min(*left);
            *left -= size;
            cut = *left == 0;
        }
        let mut partial = std::mem::take(&mut inner.pipes[self.venue].partial);
        // The first byte of a message is what must not leave too early: its frame is judged then.
        let (mut at, taken) = (0, &bytes[..size]);
        while at < size {
            if partial.is_empty() && bytes.len() - at >= RECORD_SIZE {
                let frame: &[u8; RECORD_SIZE] =
                    bytes[at..at + RECORD_SIZE].try_into().expect("so many bytes");
                inner.check_frame(&zerocopy::transmute!(*frame));
            }
            let more = (RECORD_SIZE - partial.len()).min(size - at);
            partial.extend_from_slice(&taken[at..at + more]);
            at += more;
            if partial.len() == RECORD_SIZE {
                partial.clear();
            }
        }
        let pipe = &mut inner.pipes[self.venue];
        pipe.partial = partial;
        pipe.to_venue.extend_from_slice(taken);
        if cut {
            inner.faults.count("cut_mid_frame");
            pipe.cut(&mut inner.random);
        }
        if size == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(size) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for SimWire {
    fn drop(&mut self) {
        let inner = &mut *self.world.lock();
        let pipe = &mut inner.pipes[self.venue];
        if pipe.number == self.number && pipe.open {
            (pipe.open, pipe.left) = (false, true);
            pipe.to_desk.clear();
        }
    }
}

/// Segments on a disk that loses and tears what was not synced.
struct SimDisk(SimWorld);

struct SimFile {
    world: SimWorld,
    file: Arc<File>,
    inode: u64,
}

fn gone() -> io::Error {
    io::Error::other("the process is dead")
}

impl SimDisk {
    fn call(&self) -> io::Result<()> {
        let mut inner = self.0.lock();
        if inner.dead.is_some() || inner.call() { Err(gone()) } else { Ok(()) }
    }

    fn give(&self, path: &Path, new: bool) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(new).open(path)?;
        let inode = file.metadata()?.ino();
        Ok(Box::new(SimFile { world: self.0.clone(), file: Arc::new(file), inode }))
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path, size: u64) -> io::Result<Box<dyn DiskFile>> {
        self.call()?;
        {
            let inner = &mut *self.0.lock();
            if inner.full_for > 0 {
                inner.full_for -= 1;
                inner.disk_failed = true; // a segment that cannot follow may end the writer
                inner.faults.count("disk_full");
                return Err(ErrorKind::StorageFull.into());
            }
        }
        let file = self.give(path, true)?;
        OpenOptions::new().write(true).open(path)?.set_len(size)?;
        Ok(file)
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.call()?;
        self.give(path, false)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call()?;
        std::fs::rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call()?;
        std::fs::remove_file(path)
    }
}

impl SimFile {
    /// Writes as far as the process lives, remembering what stood there.
    fn put(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let inner = &mut *self.world.lock();
        if inner.dead.is_some() {
            return Err(gone());
        }
        let dies = inner.call();
        let size = match dies {
            true => inner.random.below((bytes.len() / SECTOR) as u64 + 1) as usize * SECTOR,
            false => bytes.len(),
        };
        if 0 < size && size < bytes.len() {
            inner.faults.count("write_cut_short");
        }
        let mut before = vec![0; size];
        self.file.read_exact_at(&mut before, offset)?;
        let (file, inode) = (Arc::clone(&self.file), self.inode);
        inner.pending.push(Pending { file, inode, offset, before });
        self.file.write_all_at(&bytes[..size], offset)?;
        if dies { Err(gone()) } else { Ok(()) }
    }

    /// Confirms, unless the disk fails now or the process dies.
    fn confirm(&mut self, range: Option<(u64, &[u8])>) -> io::Result<()> {
        let inner = &mut *self.world.lock();
        if inner.dead.is_some() || inner.call() {
            return Err(gone());
        }
        if let Some(left) = &mut inner.disk_error_in {
            if *left == 0 {
                inner.disk_error_in = None;
                inner.disk_failed = true;
                inner.faults.count("disk_error");
                return Err(io::Error::from_raw_os_error(5)); // EIO
            }
            *left -= 1;
        }
        let inode = self.inode;
        match range {
            None => inner.pending.retain(|write| write.inode != inode),
            Some((offset, bytes)) => {
                inner.settle(inode, offset, offset + bytes.len() as u64);
                if offset >= FILE_HEADER_SIZE as u64 {
                    let seqs = bytes.chunks_exact(RECORD_SIZE).map(|record| {
                        u64::from_le_bytes(record[..8].try_into().expect("eight bytes"))
                    });
                    inner.durable_seq = inner.durable_seq.max(seqs.max().unwrap_or(0));
                }
            }
        }
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.put(offset, bytes)
    }
    fn write_sync(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.put(offset, bytes)?;
        self.confirm(Some((offset, bytes)))
    }
    fn sync(&mut self) -> io::Result<()> {
        self.confirm(None)
    }
    fn mode(&self) -> SyncMode {
        SyncMode::Simulated
    }
}
