//! The pace of the desk's own cancels: a venue takes so many a second (`set_pace`), and where it takes
//! mass cancels one of those goes first. Orders wait here in the order they came, oldest first; `sweep`
//! sends what may go. A cache beside the state, as `repeats` is: a replay folds what was sent and asks
//! for no pace; after a recovery everything that waits is tried once. What must stay true: within any
//! second no more of the desk's own cancels leave for a venue than it takes, a client's never wait, and
//! what has ended waits no more.

use crate::marks::Marks;
use arch::mutant;
use layout::Scope;
use std::io;

const SECOND_NS: i64 = 1_000_000_000;
/// What a late look may make good: so much of a second's cancels can go at once.
const SLACK_NS: i64 = 50_000_000;
/// After a mass cancel the venue has so long to answer before single cancels follow.
const MASS_NS: i64 = 100_000_000;
/// Mass cancels that can wait at once; what finds no room is left to the single cancels.
const MASS_MAX: usize = 256;

/// A mass cancel that is owed to a venue; 0 names every account, every instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mass {
    pub venue_id: u16,
    pub account_id: u32,
    pub instrument_id: u32,
}

struct Venue {
    /// Between two cancels; 0: as many as there are.
    step_ns: i64,
    takes_mass: bool,
    /// The next cancel is due then, and may go `SLACK_NS` before.
    due_ns: i64,
    waiting: Marks,
}

/// Every venue's.
pub(crate) struct Pace {
    venues: Vec<Venue>,
    mass: Vec<Mass>,
    next_ns: i64, // the first time that something which waits may go
}

impl Pace {
    pub(crate) fn new(venues_max: usize, orders_max: usize) -> io::Result<Self> {
        let none = || {
            let waiting = Marks::new(orders_max)?;
            Ok(Venue { step_ns: 0, takes_mass: false, due_ns: i64::MIN, waiting })
        };
        let venues = (0..venues_max).map(|_| none()).collect::<io::Result<_>>()?;
        Ok(Self { venues, mass: Vec::with_capacity(MASS_MAX), next_ns: i64::MAX })
    }

    /// What a venue takes; 0 cancels a second is no bound.
    pub(crate) fn set(&mut self, venue_id: u16, per_s_max: u32, takes_mass: bool) {
        let Some(venue) = self.venues.get_mut(venue_id as usize) else { return };
        // In any second at most (SECOND + SLACK) / step cancels, rounded up: that is the bound.
        let per_s = i64::from(per_s_max);
        venue.step_ns = if per_s == 0 { 0 } else { (SECOND_NS + SLACK_NS + per_s - 1) / per_s };
        venue.takes_mass = takes_mass;
    }

    /// Whether cancels of this venue go through here at all.
    pub(crate) fn is_kept(&self, venue_id: u16) -> bool {
        let venue = &self.venues[venue_id as usize];
        mutant!(cancels_leave_at_any_pace => return false);
        venue.step_ns != 0 || venue.takes_mass
    }

    pub(crate) fn next_ns(&self) -> i64 {
        self.next_ns
    }

    pub(crate) fn wait(&mut self, venue_id: u16, slot: usize) {
        let venue = &mut self.venues[venue_id as usize];
        venue.waiting.set(slot);
        self.next_ns = self.next_ns.min(venue.due_ns.saturating_sub(SLACK_NS));
    }

    /// The order has ended, or its cancel is in flight.
    pub(crate) fn forget(&mut self, venue_id: u16, slot: usize) {
        self.venues[venue_id as usize].waiting.clear(slot);
    }

    /// A cancel has gone out, whoever asked for it: clients and desk share what the venue takes.
    pub(crate) fn sent(&mut self, venue_id: u16, now_ns: i64) {
        let venue = &mut self.venues[venue_id as usize];
        // A flood of clients may delay the desk's own by a second, not for ever.
        let due_ns = venue.due_ns.max(now_ns).saturating_add(venue.step_ns);
        venue.due_ns = due_ns.min(now_ns.saturating_add(SECOND_NS + venue.step_ns));
    }

    /// The oldest of a venue's that may go now, from the slot of the oldest order on.
    fn take(&mut self, at: usize, from: usize, now_ns: i64) -> Option<usize> {
        let venue = &mut self.venues[at];
        let may_go = now_ns >= venue.due_ns.saturating_sub(SLACK_NS);
        if may_go { venue.waiting.take(from) } else { None }
    }

    /// The next slot that may go now, venue by venue.
    pub(crate) fn take_due(&mut self, from: usize, now_ns: i64) -> Option<usize> {
        if now_ns < self.next_ns {
            return None;
        }
        for at in 0..self.venues.len() {
            if let Some(slot) = self.take(at, from, now_ns) {
                return Some(slot);
            }
        }
        let waiting = self.venues.iter().filter(|venue| venue.waiting.len() != 0);
        let soonest = waiting.map(|venue| venue.due_ns.saturating_sub(SLACK_NS)).min();
        self.next_ns = soonest.unwrap_or(i64::MAX);
        None
    }

    /// A kill of this scope owes a mass cancel to each venue that takes one and can name the scope.
    pub(crate) fn owe_mass(&mut self, scope: Scope, id: u32) {
        let (account_id, instrument_id) = match scope {
            Scope::Account => (id, 0),
            Scope::Instrument => (0, id),
            Scope::Desk | Scope::Venue => (0, 0),
            _ => return, // venues know no sessions and strategies of ours
        };
        for at in 1..self.venues.len() {
            let named = scope != Scope::Venue || at == id as usize;
            let mass = Mass { venue_id: at as u16, account_id, instrument_id };
            if named && self.venues[at].takes_mass && !self.mass.contains(&mass) {
                self.put_mass(mass);
            }
        }
    }

    fn put_mass(&mut self, mass: Mass) {
        if self.mass.len() < MASS_MAX {
            self.mass.push(mass);
        }
    }

    /// Mass cancels owed.
    pub(crate) fn mass_len(&self) -> usize {
        self.mass.len()
    }

    /// The first one that is owed to a venue that `is_up`.
    pub(crate) fn take_mass(&mut self, is_up: impl Fn(u16) -> bool) -> Option<Mass> {
        let at = self.mass.iter().position(|mass| is_up(mass.venue_id))?;
        Some(self.mass.remove(at))
    }

    /// A mass cancel has gone out: single cancels give it time.
    pub(crate) fn sent_mass(&mut self, venue_id: u16, now_ns: i64) {
        mutant!(singles_do_not_wait_for_the_mass_cancel => return);
        let venue = &mut self.venues[venue_id as usize];
        venue.due_ns = venue.due_ns.max(now_ns.saturating_add(MASS_NS + SLACK_NS));
    }
}
