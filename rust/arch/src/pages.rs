//! Pages behind a mapping: prefault, huge pages, lock, and a word on what was got.
//!
//! Called at start by `Table` and by journal's ring; never on the hot path. Everything but the
//! prefault is best effort: a machine that refuses huge pages or locked memory is slower, not wrong.
//! What must stay true: after `prefault` no first touch of the range meets a page fault.

use rustix::mm::{Advice, madvise, mlock};
use std::{fmt, fs, io};

/// Bytes of a huge page.
pub(crate) const HUGE_SIZE: usize = 2 << 20;

/// What kind of pages a mapping got; best effort, read from `/proc/self/smaps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// At least half of it lies on 2 MiB pages.
    Huge2M,
    /// Ordinary pages.
    Normal,
}

impl fmt::Display for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Huge2M => "2 MiB pages",
            Self::Normal => "ordinary pages (huge pages were not given)",
        })
    }
}

/// Faults in every page of a mapping for writing, asking for huge pages first. Contents stay.
///
/// # Safety
/// `start .. start + size` is a live, writable mapping, `start` is page-aligned, and no other thread
/// writes it yet.
pub unsafe fn prefault(start: *mut u8, size: usize) -> io::Result<()> {
    debug_assert!(start.addr() % 4096 == 0 && size > 0);
    // SAFETY: advice on a live mapping, by the caller's promise; a refusal changes nothing.
    let _ = unsafe { madvise(start.cast(), size, Advice::LinuxHugepage) };
    // SAFETY: as above; populating writes no bytes.
    match unsafe { madvise(start.cast(), size, Advice::LinuxPopulateWrite) } {
        Ok(()) => return Ok(()),
        // Kernels before 5.14 do not know it: touch each page instead.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {}
        Err(error) => return Err(error.into()),
    }
    for at in (0..size).step_by(4096) {
        debug_assert!(at < size);
        // SAFETY: inside the mapping; writing back the byte just read keeps the contents.
        unsafe {
            let byte = start.add(at);
            byte.write_volatile(byte.read_volatile());
        }
    }
    Ok(())
}

/// Locks a mapping into memory; false when the system refuses (RLIMIT_MEMLOCK).
///
/// # Safety
/// `start .. start + size` is a live mapping.
pub unsafe fn lock_pages(start: *mut u8, size: usize) -> bool {
    debug_assert!(!start.is_null() && size > 0);
    // SAFETY: locking changes no byte of a live mapping.
    unsafe { mlock(start.cast(), size) }.is_ok()
}

/// What pages the mapping that holds `address` lies on; `Normal` when the system does not tell.
pub fn pages_of(address: usize, size: usize) -> Pages {
    if size < HUGE_SIZE {
        return Pages::Normal; // too small for one, and the question costs a walk over every mapping
    }
    let Ok(smaps) = fs::read_to_string("/proc/self/smaps") else { return Pages::Normal };
    // The kernel may split or merge mappings, so the huge pages of all that overlap are summed.
    let (mut inside, mut huge_kib) = (false, 0usize);
    for line in smaps.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(first) = words.next() else { continue };
        if let Some(name) = first.strip_suffix(':') {
            if inside && matches!(name, "AnonHugePages" | "ShmemPmdMapped" | "FilePmdMapped") {
                huge_kib += words.next().and_then(|n| n.parse().ok()).unwrap_or(0);
            }
        } else if let Some((from, to)) = first.split_once('-') {
            let parsed = (usize::from_str_radix(from, 16), usize::from_str_radix(to, 16));
            let (Ok(from), Ok(to)) = parsed else { continue };
            inside = from < address + size && address < to;
        }
    }
    if huge_kib * 1024 * 2 >= size { Pages::Huge2M } else { Pages::Normal }
}
