//! A monotonic clock read from the time stamp counter; one per thread, read on the hot path.
//!
//! Calibrated against CLOCK_MONOTONIC at start and again whenever the owner asks, over the whole time
//! since the start, so that the error of the rate shrinks as the run grows. What must stay true:
//! `now_ns` never goes back, also over a calibration; without an invariant TSC the system's clock is
//! read instead.

use std::time::{SystemTime, UNIX_EPOCH};

/// Time stamp counter, or 0 where the CPU has none.
#[inline(always)]
pub fn tsc() -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: no memory is touched; every x86-64 CPU has RDTSC, and Linux leaves it open to programs.
        unsafe { core::arch::x86_64::_rdtsc() }
    }
    #[cfg(not(target_arch = "x86_64"))]
    0
}

/// Time stamp counter, read after everything before it is done and before anything after it begins:
/// the two ends of a measured stretch. Costs about 10 ns more than [`tsc`].
#[inline(always)]
pub fn tsc_fenced() -> u64 {
    #[cfg(target_arch = "x86_64")]
    #[allow(unused_unsafe)] // safe in newer compilers
    // SAFETY: fences and RDTSC touch no memory; every x86-64 CPU has both (SSE2 is its baseline).
    unsafe {
        use core::arch::x86_64::{_mm_lfence, _rdtsc};
        _mm_lfence();
        let ticks = _rdtsc();
        _mm_lfence();
        ticks
    }
    #[cfg(not(target_arch = "x86_64"))]
    0
}

/// UTC in nanoseconds since 1970, from the system's clock; it may step.
pub fn utc_now_ns() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_nanos()).unwrap_or(i64::MAX),
    }
}

fn monotonic_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Whether the counter runs at one rate in every power state (CPUID 8000_0007H, EDX bit 8).
fn tsc_is_invariant() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        #[allow(unused_unsafe)] // safe in newer compilers
        // SAFETY: every x86-64 CPU has CPUID; the highest leaf is asked for first.
        let (highest, flags) = unsafe {
            let highest = core::arch::x86_64::__cpuid(0x8000_0000).eax;
            debug_assert!(highest == 0 || highest >= 0x8000_0000);
            let known = highest >= 0x8000_0007;
            (highest, if known { core::arch::x86_64::__cpuid(0x8000_0007).edx } else { 0 })
        };
        highest >= 0x8000_0007 && flags & (1 << 8) != 0
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// A pair of readings of both clocks, as near to one another as 16 tries bring them.
fn paired() -> (u64, u64) {
    let mut best = (u64::MAX, 0, 0);
    for _ in 0..16 {
        let before = tsc();
        let ns = monotonic_ns();
        let after = tsc();
        let gap = after.wrapping_sub(before);
        if gap < best.0 {
            best = (gap, before.wrapping_add(gap / 2), ns);
        }
    }
    (best.1, best.2)
}

const SHIFT: u32 = 32; // ns a tick as a 32.32 fixed-point number

/// A clock that counts nanoseconds since its own start.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    first_tsc: u64,
    first_ns: u64,
    anchor_tsc: u64,
    anchor_ns: u64,
    ns_per_tick: u64,
    uses_tsc: bool,
}

impl Clock {
    /// Starts the clock; takes about 10 ms to measure the counter's rate.
    pub fn start() -> Self {
        let (first_tsc, first_ns) = paired();
        let mut clock = Self {
            first_tsc,
            first_ns,
            anchor_tsc: first_tsc,
            anchor_ns: 0,
            ns_per_tick: 0,
            uses_tsc: tsc_is_invariant(),
        };
        if clock.uses_tsc {
            while monotonic_ns() - first_ns < 10_000_000 {
                core::hint::spin_loop();
            }
            clock.ns_per_tick = clock.measured();
            clock.uses_tsc = clock.ns_per_tick != 0;
        }
        clock
    }

    /// Nanoseconds a tick over the whole run so far, 32.32; 0 when the counter stands still.
    fn measured(&self) -> u64 {
        let (tsc, ns) = paired();
        let (ticks, ns) = (tsc.wrapping_sub(self.first_tsc), ns - self.first_ns);
        if ticks == 0 || ticks > u64::MAX / 2 {
            return 0;
        }
        ((u128::from(ns) << SHIFT) / u128::from(ticks)) as u64
    }

    /// Nanoseconds since the start; never goes back.
    #[inline]
    pub fn now_ns(&self) -> u64 {
        if !self.uses_tsc {
            return monotonic_ns() - self.first_ns;
        }
        // A counter read on another core may lie a few ticks before the anchor: 0 then.
        let ticks = tsc().saturating_sub(self.anchor_tsc);
        self.anchor_ns + ((u128::from(ticks) * u128::from(self.ns_per_tick)) >> SHIFT) as u64
    }

    /// Measures the rate again over the whole run and goes on from the present reading without a
    /// step. The owner calls it now and then (each second is plenty), off the hot path; the rate then
    /// bends so that the clock meets CLOCK_MONOTONIC again within the next second.
    pub fn recalibrate(&mut self) {
        if !self.uses_tsc {
            return;
        }
        let rate = self.measured();
        if rate == 0 {
            return;
        }
        let anchor_tsc = tsc();
        let ticks = anchor_tsc.saturating_sub(self.anchor_tsc);
        let own_ns =
            self.anchor_ns + ((u128::from(ticks) * u128::from(self.ns_per_tick)) >> SHIFT) as u64;
        let true_ns = monotonic_ns() - self.first_ns;
        let ahead_ns = i128::from(own_ns) - i128::from(true_ns);
        // At most one part in a thousand, so that the clock always runs forward.
        let bend = (i128::from(rate) * ahead_ns / 1_000_000_000)
            .clamp(-i128::from(rate / 1_000), i128::from(rate / 1_000));
        self.ns_per_tick = (i128::from(rate) - bend) as u64;
        self.anchor_tsc = self.anchor_tsc.max(anchor_tsc);
        self.anchor_ns = own_ns;
        assert!(self.ns_per_tick > 0);
    }

    /// Whether the counter is read; false means the system's clock (about 25 ns a call).
    pub fn uses_tsc(&self) -> bool {
        self.uses_tsc
    }

    /// Nanoseconds a tick of [`tsc`], for histograms kept in ticks; 1.0 without a counter.
    pub fn ns_per_tick(&self) -> f64 {
        if self.uses_tsc { self.ns_per_tick as f64 / (1u64 << SHIFT) as f64 } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_goes_back_and_keeps_near_the_systems() {
        let mut clock = Clock::start();
        let mut last = 0;
        for i in 0..200_000 {
            if i % 1_000 == 0 {
                clock.recalibrate();
            }
            let now = clock.now_ns();
            assert!(now >= last, "{now} after {last}");
            last = now;
        }
        // Judged over the reading's own bracket, so that a busy machine cannot fail it.
        let (before, now, after) =
            (monotonic_ns() - clock.first_ns, clock.now_ns(), monotonic_ns() - clock.first_ns);
        let slack = after / 500 + 100_000;
        assert!(now + slack >= before && now <= after + slack, "{before} {now} {after}");
    }

    #[test]
    fn utc_is_after_this_was_written() {
        assert!(utc_now_ns() > 1_700_000_000_000_000_000);
    }
}
