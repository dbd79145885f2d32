//! Hints that bring a line into cache before it is needed; called all over the hot path.
//!
//! Safe functions over references: a prefetch changes no value and faults nowhere. What must stay
//! true: both touch only the line that holds the first byte; a record of two lines takes two calls.

/// Asks for the line of `place` to be brought in for reading.
#[inline(always)]
pub fn prefetch_read<T: ?Sized>(place: &T) {
    let line = (place as *const T).cast::<i8>();
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        debug_assert!(!line.is_null());
        // SAFETY: a prefetch is a hint and never faults; the reference keeps the address valid.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}

/// Asks for the line of `place` to be brought in for writing.
///
/// Takes a shared reference: the hint itself writes nothing, and callers hold the table behind it.
#[inline(always)]
pub fn prefetch_write<T: ?Sized>(place: &T) {
    let line = (place as *const T).cast::<i8>();
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        debug_assert!(!line.is_null());
        // SAFETY: as above; PREFETCHW is a no-op on CPUs without it.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(line) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefetch_changes_nothing() {
        let value = [7u64; 16];
        prefetch_read(&value);
        prefetch_write(&value[8]);
        assert_eq!(value, [7; 16]);
    }
}
