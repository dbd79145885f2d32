//! Preallocated tables of the hot path: zeroed, prefaulted, on huge pages where the system gives them.
//!
//! Made by `Engine::new` and its parts at start, owned by one thread, never grown. What must stay
//! true: the mapping lives as long as the table, every element is valid from the first moment (all
//! zero bytes are a value of `T`), and no access meets a page fault.

use crate::pages::{HUGE_SIZE, Pages, pages_of, prefault};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::ops::{Deref, DerefMut};
use std::{io, marker::PhantomData, ptr::NonNull, slice};
use zerocopy::FromBytes;

/// A table of `T` on its own anonymous mapping, fixed in length.
pub struct Table<T> {
    first: NonNull<T>,
    len: usize,
    size: usize,
    pages: Pages,
    owns: PhantomData<T>,
}

// SAFETY: the table owns its mapping alone, as a `Box<[T]>` would; nothing is shared by clones.
unsafe impl<T: Send> Send for Table<T> {}
// SAFETY: a shared table hands out `&T` alone, as a `Box<[T]>` would.
unsafe impl<T: Sync> Sync for Table<T> {}

impl<T: FromBytes> Table<T> {
    /// A table of `len` elements, all bytes zero, every page already there.
    ///
    /// Errors name the size and what to do; `len` may be 0.
    pub fn zeroed(len: usize) -> io::Result<Self> {
        assert!(align_of::<T>() <= 4096);
        let Some(bytes) = len.checked_mul(size_of::<T>()).filter(|&b| b < isize::MAX as usize / 2)
        else {
            return Err(refused(len, size_of::<T>(), "the size does not fit the address space"));
        };
        if bytes == 0 {
            let (first, owns) = (NonNull::dangling(), PhantomData);
            return Ok(Self { first, len, size: 0, pages: Pages::Normal, owns });
        }
        // Whole huge pages, and one more to align the start to one.
        let unit = if bytes >= HUGE_SIZE { HUGE_SIZE } else { 4096 };
        let size = bytes.next_multiple_of(unit);
        let start = map_aligned(size, unit)
            .map_err(|e| refused(len, size_of::<T>(), &format!("mmap: {e}")))?;
        let first = NonNull::new(start.cast::<T>()).expect("a mapping is never null");
        let mut table = Self { first, len, size, pages: Pages::Normal, owns: PhantomData };
        debug_assert!(start.addr() % unit == 0);
        // SAFETY: the mapping was just made, writable, aligned, known to nobody else.
        unsafe { prefault(start, size) }
            .map_err(|e| refused(len, size_of::<T>(), &format!("prefault: {e}")))?;
        if unit == HUGE_SIZE {
            table.pages = pages_of(start.addr(), size);
        }
        Ok(table)
    }
}

impl<T> Table<T> {
    /// What pages the table lies on.
    pub fn pages(&self) -> Pages {
        self.pages
    }

    /// Bytes mapped.
    pub fn size(&self) -> usize {
        self.size
    }
}

fn refused(len: usize, each: usize, why: &str) -> io::Error {
    let mib = (len as u128 * each as u128).div_ceil(1 << 20);
    io::Error::new(
        io::ErrorKind::OutOfMemory,
        format!(
            "a table of {len} rows of {each} bytes ({mib} MiB) cannot be had: {why}; free memory, \
             raise the memory limit (ulimit -v, cgroup memory.max) or configure fewer rows"
        ),
    )
}

/// Maps `size` anonymous bytes at a multiple of `unit`, trimming what the alignment costs.
fn map_aligned(size: usize, unit: usize) -> io::Result<*mut u8> {
    debug_assert!(unit.is_power_of_two() && size % 4096 == 0);
    let whole = size + if unit > 4096 { unit } else { 0 };
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new anonymous mapping at an address the kernel chooses touches nothing of ours.
    let base = unsafe {
        mmap_anonymous(std::ptr::null_mut(), whole, protection, MapFlags::PRIVATE)?.cast::<u8>()
    };
    let head = base.addr().next_multiple_of(unit) - base.addr();
    let tail = whole - head - size;
    debug_assert!(head + size + tail == whole && head % 4096 == 0 && tail % 4096 == 0);
    // SAFETY: both ranges lie inside the mapping just made, outside the part handed out; a failure
    // leaves address space unused and nothing else.
    unsafe {
        if head > 0 {
            let _ = munmap(base.cast(), head);
        }
        if tail > 0 {
            let _ = munmap(base.add(head + size).cast(), tail);
        }
        Ok(base.add(head))
    }
}

impl<T> Deref for Table<T> {
    type Target = [T];
    #[inline(always)]
    fn deref(&self) -> &[T] {
        debug_assert!(self.len * size_of::<T>() <= self.size);
        // SAFETY: `len` elements lie in the mapping, each valid since all bytes began as zero.
        unsafe { slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }
}

impl<T> DerefMut for Table<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        debug_assert!(self.len * size_of::<T>() <= self.size);
        // SAFETY: as above, and `&mut self` makes the access the only one.
        unsafe { slice::from_raw_parts_mut(self.first.as_ptr(), self.len) }
    }
}

impl<T> Drop for Table<T> {
    fn drop(&mut self) {
        if self.size == 0 {
            return;
        }
        debug_assert!(!std::mem::needs_drop::<T>(), "a table's elements are plain bytes");
        // SAFETY: the mapping is ours alone and no reference into it outlives the table.
        let _ = unsafe { munmap(self.first.as_ptr().cast(), self.size) };
    }
}

impl<T> std::fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({} rows of {} bytes, {})", self.len, size_of::<T>(), self.pages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_begins_all_zero_and_keeps_what_is_written() {
        for len in [0, 1, 511, 512, 513, 40_000, 1 << 20] {
            let mut table = Table::<[u64; 2]>::zeroed(len).expect("memory");
            assert_eq!(table.len(), len);
            assert!(table.iter().all(|row| *row == [0, 0]));
            for (i, row) in table.iter_mut().enumerate() {
                row[1] = i as u64;
            }
            assert!(table.iter().enumerate().all(|(i, row)| *row == [0, i as u64]));
        }
    }

    #[test]
    fn a_table_beyond_the_address_space_is_refused_with_its_size() {
        for len in [usize::MAX, usize::MAX / 16, 1 << 50] {
            let error = Table::<[u64; 2]>::zeroed(len).expect_err("cannot be had").to_string();
            assert!(error.contains(&len.to_string()) && error.contains("MiB"), "{error}");
        }
    }

    #[test]
    fn rows_of_no_bytes_need_no_memory() {
        let table = Table::<()>::zeroed(5).expect("nothing to get");
        assert_eq!((table.len(), table.size()), (5, 0));
    }
}
