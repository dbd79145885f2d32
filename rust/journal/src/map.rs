//! One shared or private mapping and the atomics in it; the base of ring, control file, command ring.
//!
//! Made at start by those three, which own the meaning of the bytes. `unsafe` is kept here as far as
//! it goes: offsets are checked, words are reached as atomics. What must stay true: the mapping lives
//! as long as the value, and a file behind it was checked to be at least as long.

use crate::error::{Doing, Result};
use arch::Pages;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};
use std::fs::File;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// What a shared mapping got from the system, for the status line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryGot {
    /// Bytes.
    pub size: usize,
    /// Kind of pages.
    pub pages: Pages,
    /// Whether it is locked into memory.
    pub locked: bool,
}

impl std::fmt::Display for MemoryGot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let locked = if self.locked { "locked" } else { "not locked (raise ulimit -l for that)" };
        write!(f, "{} KiB, {}, {locked}", self.size >> 10, self.pages)
    }
}

/// A mapping of `size` bytes.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    size: usize,
}

// SAFETY: the mapping is plain memory; who may write which byte is the owner's rule (one writer a
// field, fields that cross threads are atomics).
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `size` bytes of `file`, shared with every other process that maps it.
    pub(crate) fn shared(file: &File, path: &Path, size: usize, writable: bool) -> Result<Self> {
        assert!(size > 0);
        let protection =
            if writable { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
        // SAFETY: a new mapping at an address the kernel chooses touches nothing of ours; the caller
        // checked the file's length.
        let start = unsafe {
            mmap(std::ptr::null_mut(), size, protection, MapFlags::SHARED, file, 0)
                .doing(path, "map it into memory")?
        };
        Ok(Self { start: NonNull::new(start.cast()).expect("never null"), size })
    }

    /// `size` zero bytes of this process alone.
    pub(crate) fn anonymous(size: usize) -> Result<Self> {
        assert!(size > 0);
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new anonymous mapping at an address the kernel chooses touches nothing of ours.
        let start = unsafe {
            mmap_anonymous(std::ptr::null_mut(), size, protection, MapFlags::PRIVATE)
                .doing(Path::new("anonymous memory"), "map it")?
        };
        Ok(Self { start: NonNull::new(start.cast()).expect("never null"), size })
    }

    /// Faults in all pages, asks for huge ones and for a lock, and says what came of it. Only before
    /// anyone else writes the mapping.
    pub(crate) fn prefault(&self, path: &Path) -> Result<MemoryGot> {
        debug_assert!(self.size > 0);
        // SAFETY: the mapping is live and writable, and not yet shared, by this function's rule.
        let locked = unsafe {
            arch::prefault(self.start.as_ptr(), self.size).doing(path, "prefault it")?;
            arch::lock_pages(self.start.as_ptr(), self.size)
        };
        let pages = arch::pages_of(self.start.as_ptr().addr(), self.size);
        Ok(MemoryGot { size: self.size, pages, locked })
    }

    /// Tells the system that the mapping will be read from end to end soon.
    pub(crate) fn will_read(&self) -> bool {
        debug_assert!(self.size > 0);
        // SAFETY: advice on our own live mapping changes no byte of it.
        unsafe {
            let start = self.start.as_ptr().cast();
            let _ = madvise(start, self.size, Advice::Sequential);
            madvise(start, self.size, Advice::WillNeed).is_ok()
        }
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Pointer to byte `offset`; `len` bytes from there lie in the mapping.
    #[inline(always)]
    pub(crate) fn pointer(&self, offset: usize, len: usize) -> *mut u8 {
        assert!(offset <= self.size && len <= self.size - offset);
        // SAFETY: the offset was just checked.
        unsafe { self.start.as_ptr().add(offset) }
    }

    /// The eight bytes at `offset` as an atomic word.
    #[inline(always)]
    pub(crate) fn u64_at(&self, offset: usize) -> &AtomicU64 {
        let word = self.pointer(offset, 8).cast::<u64>();
        assert!(word.addr() % 8 == 0);
        // SAFETY: in the mapping and aligned, checked above; the word is reached only as an atomic
        // while others may write it, and the mapping outlives the reference.
        unsafe { AtomicU64::from_ptr(word) }
    }

    /// The four bytes at `offset` as an atomic word.
    #[inline(always)]
    pub(crate) fn u32_at(&self, offset: usize) -> &AtomicU32 {
        let word = self.pointer(offset, 4).cast::<u32>();
        assert!(word.addr() % 4 == 0);
        // SAFETY: as in `u64_at`.
        unsafe { AtomicU32::from_ptr(word) }
    }

    /// Copies `N` bytes out; for headers, which nobody writes while they are read.
    pub(crate) fn bytes<const N: usize>(&self, offset: usize) -> [u8; N] {
        let from = self.pointer(offset, N);
        let mut out = [0; N];
        debug_assert!(offset + N <= self.size);
        // SAFETY: `pointer` checked the range; the destination is our own.
        unsafe { std::ptr::copy_nonoverlapping(from, out.as_mut_ptr(), N) };
        out
    }

    /// Copies bytes in; for headers, before anyone else has the mapping.
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
        let to = self.pointer(offset, bytes.len());
        debug_assert!(offset + bytes.len() <= self.size);
        // SAFETY: `pointer` checked the range; the mapping is writable by the caller's making.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        debug_assert!(self.size > 0);
        // SAFETY: the mapping is ours, and references into it cannot outlive `self`.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.size) };
    }
}
