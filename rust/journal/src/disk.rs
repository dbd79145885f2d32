//! The disk behind a trait, so that the simulator can tear, lose and reorder what is written.
//!
//! Called by the segment writer alone, on the journal thread. Holds no log state. What must stay
//! true: `write_sync` and `sync` return only when the bytes survive power loss as far as the system
//! tells, and no error is retried here: what a failed sync left behind is unknown (F8).

use crate::desk::sync_dir;
use crate::error::JournalError;
use rustix::fs::{FallocateFlags, Mode, OFlags};
use rustix::io::ReadWriteFlags;
use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Offsets, sizes and addresses of writes are multiples of this.
pub const BLOCK_SIZE: usize = 4096;

/// How a file's writes reach the medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncMode {
    /// Past the page cache, each write with its own sync.
    Direct,
    /// Through the page cache, then fdatasync: slower in the tail.
    Cached,
    /// A simulated disk.
    Simulated,
}

impl fmt::Display for SyncMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct writes with a sync each",
            Self::Cached => "cached writes and fdatasync (the file system refuses direct writes)",
            Self::Simulated => "a simulated disk",
        })
    }
}

/// Where segments are made and found.
pub trait Disk: Send {
    /// Makes a new file of `size` bytes whose space is reserved; fails when it exists.
    fn create(&self, path: &Path, size: u64) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file for writing.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Gives a file its name, durably.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// One file of segments; offsets, sizes and addresses are multiples of [`BLOCK_SIZE`].
pub trait DiskFile: Send {
    /// Writes; may be lost until the next `sync`.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Writes and syncs these bytes.
    fn write_sync(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Syncs everything written before.
    fn sync(&mut self) -> io::Result<()>;
    /// How writes reach the medium.
    fn mode(&self) -> SyncMode;
}

/// The machine's disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

struct RealFile {
    file: File,
    mode: SyncMode,
}

fn open_file(path: &Path, more: OFlags) -> io::Result<RealFile> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | more;
    let permissions = Mode::from_raw_mode(0o640);
    match rustix::fs::open(path, flags | OFlags::DIRECT, permissions) {
        Ok(fd) => Ok(RealFile { file: fd.into(), mode: SyncMode::Direct }),
        // A file system without direct writes; the file may have been made all the same.
        Err(rustix::io::Errno::INVAL) => {
            let fd = rustix::fs::open(path, flags - OFlags::EXCL, permissions)?;
            Ok(RealFile { file: fd.into(), mode: SyncMode::Cached })
        }
        Err(error) => Err(error.into()),
    }
}

impl Disk for RealDisk {
    fn create(&self, path: &Path, size: u64) -> io::Result<Box<dyn DiskFile>> {
        let file = open_file(path, OFlags::CREATE | OFlags::EXCL)?;
        let reserved = rustix::fs::fallocate(&file.file, FallocateFlags::empty(), 0, size);
        match reserved {
            Ok(()) => Ok(Box::new(file)),
            Err(error) => {
                let free = rustix::fs::fstatvfs(&file.file).map_or(0, |s| s.f_bavail * s.f_frsize);
                let _ = std::fs::remove_file(path);
                if matches!(error, rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT) {
                    let advice = "free space there or configure smaller segments";
                    let full =
                        JournalError::NoSpace { path: path.into(), needed: size, free, advice };
                    return Err(io::Error::new(io::ErrorKind::StorageFull, full));
                }
                Err(error.into())
            }
        }
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(open_file(path, OFlags::empty())?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)?;
        sync_dir(to.parent().expect("a file in a directory"))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }
}

impl RealFile {
    fn write_with(&mut self, mut offset: u64, mut bytes: &[u8], sync: bool) -> io::Result<()> {
        debug_assert!(offset % BLOCK_SIZE as u64 == 0 && bytes.len() % BLOCK_SIZE == 0);
        debug_assert!(bytes.as_ptr().addr() % BLOCK_SIZE == 0);
        if self.mode == SyncMode::Cached {
            self.file.write_all_at(bytes, offset)?;
            return if sync { self.file.sync_data() } else { Ok(()) };
        }
        let flags = if sync { ReadWriteFlags::DSYNC } else { ReadWriteFlags::empty() };
        while !bytes.is_empty() {
            match rustix::io::pwritev2(&self.file, &[IoSlice::new(bytes)], offset, flags) {
                // A short write that is not whole blocks cannot go on past the page cache.
                Ok(count) if count == 0 || count % BLOCK_SIZE != 0 => {
                    return Err(io::Error::new(
                        io::ErrorKind::WriteZero,
                        format!("{count} of {} bytes were written", bytes.len()),
                    ));
                }
                Ok(count) => {
                    bytes = &bytes[count..];
                    offset += count as u64;
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl DiskFile for RealFile {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_with(offset, bytes, false)
    }
    fn write_sync(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_with(offset, bytes, true)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
    fn mode(&self) -> SyncMode {
        self.mode
    }
}
