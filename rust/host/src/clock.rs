//! The desk's time: UTC at start plus what the monotonic clock counted since, or what the venue hands
//! out in lock-step. Owned by the engine thread. What must stay true: it never goes back, not below
//! what the log holds either; a wall clock that steps is told of, not followed (F10).

use crate::World;
use arch::Clock;
use std::sync::Arc;

/// A wall clock further off than this has been stepped.
const STEP_NS: i64 = 500_000_000;

/// What the wall clock said against what is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Anomaly {
    pub wall_time_ns: i64,
    pub used_time_ns: i64,
}

/// Whose monotonic clock counts.
#[derive(Debug)]
enum Mono {
    Machine(Clock),
    World(Arc<dyn World>),
}

impl Mono {
    #[inline]
    fn now_ns(&self) -> i64 {
        match self {
            Self::Machine(clock) => clock.now_ns() as i64,
            Self::World(world) => world.mono_ns(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct DeskClock {
    mono: Mono,
    /// UTC at the start of `mono`.
    base_ns: i64,
    /// How far the wall clock has been told to be off.
    told_ns: i64,
    given: bool,
    now_ns: i64,
}

impl DeskClock {
    /// Real time, at or above `last_ns`, the time of the last event.
    pub(crate) fn real(last_ns: i64) -> (Self, Option<Anomaly>) {
        Self::at(last_ns, arch::utc_now_ns(), Mono::Machine(Clock::start()))
    }

    fn at(last_ns: i64, wall_time_ns: i64, mono: Mono) -> (Self, Option<Anomaly>) {
        let base_ns = wall_time_ns.max(last_ns);
        let told_ns = wall_time_ns - base_ns;
        let anomaly = (told_ns != 0).then_some(Anomaly { wall_time_ns, used_time_ns: base_ns });
        (Self { mono, base_ns, told_ns, given: false, now_ns: base_ns }, anomaly)
    }

    /// Time as the venue hands it out.
    pub(crate) fn given(start_ns: i64) -> Self {
        let mono = Mono::Machine(Clock::start());
        Self { mono, base_ns: 0, told_ns: 0, given: true, now_ns: start_ns }
    }

    /// The time of another world, at or above `last_ns`.
    pub(crate) fn of(world: &Arc<dyn World>, last_ns: i64) -> (Self, Option<Anomaly>) {
        let mono = Mono::World(Arc::clone(world));
        let (mut clock, anomaly) = Self::at(last_ns, world.wall_ns(), mono);
        clock.base_ns -= world.mono_ns(); // a world's own count began before the desk did
        (clock, anomaly)
    }

    /// Lock-step: the turn's time; never back.
    pub(crate) fn set(&mut self, now_ns: i64) {
        assert!(self.given);
        self.now_ns = self.now_ns.max(now_ns);
    }

    /// The time for an event.
    #[inline]
    pub(crate) fn now_ns(&mut self) -> i64 {
        if !self.given {
            self.now_ns = self.now_ns.max(self.base_ns + self.mono_ns());
        }
        self.now_ns
    }

    /// Nanoseconds since the desk was opened: for heartbeats and retries.
    #[inline]
    pub(crate) fn mono_ns(&self) -> i64 {
        self.mono.now_ns()
    }

    pub(crate) fn ns_per_tick(&self) -> f64 {
        match &self.mono {
            Mono::Machine(clock) => clock.ns_per_tick(),
            Mono::World(_) => 1.0,
        }
    }

    /// Looks at the wall clock, about once a second; an answer is to be logged.
    pub(crate) fn check(&mut self) -> Option<Anomaly> {
        let wall_ns = match &self.mono {
            Mono::Machine(_) => arch::utc_now_ns(),
            Mono::World(world) => world.wall_ns(),
        };
        self.check_against(wall_ns)
    }

    fn check_against(&mut self, wall_time_ns: i64) -> Option<Anomaly> {
        if self.given {
            return None;
        }
        if let Mono::Machine(clock) = &mut self.mono {
            clock.recalibrate();
        }
        let used_time_ns = self.now_ns();
        let off_ns = wall_time_ns - used_time_ns;
        if (off_ns - self.told_ns).abs() < STEP_NS {
            return None;
        }
        self.told_ns = off_ns;
        Some(Anomaly { wall_time_ns, used_time_ns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real_at(last_ns: i64, wall_time_ns: i64) -> (DeskClock, Option<Anomaly>) {
        DeskClock::at(last_ns, wall_time_ns, Mono::Machine(Clock::start()))
    }

    #[test]
    fn a_wall_clock_behind_the_log_is_clamped_and_told() {
        let (mut clock, anomaly) = real_at(5_000_000_000, 1_000_000_000);
        let told = Anomaly { wall_time_ns: 1_000_000_000, used_time_ns: 5_000_000_000 };
        assert_eq!(anomaly, Some(told));
        assert!(clock.now_ns() >= 5_000_000_000);
        let (_, none) = real_at(1, 2);
        assert_eq!(none, None);
    }

    #[test]
    fn a_step_of_the_wall_clock_is_told_once_and_never_followed() {
        let (mut clock, _) = real_at(0, 1_000_000_000_000);
        let before = clock.now_ns();
        assert!(clock.check_against(before).is_none());
        assert!(clock.check_against(before - 60_000_000_000).is_some());
        assert!(clock.check_against(before - 60_000_000_000).is_none());
        assert!(clock.now_ns() >= before);
        assert!(clock.check_against(before).is_some(), "stepping back again is a step too");
    }
}
