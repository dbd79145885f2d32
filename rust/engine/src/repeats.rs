//! Cancels of the desk's own that came to nothing wait here before they are sent again: a venue that
//! refuses them (its market is closed) is asked seldom, and the revisions of an order last. A cache
//! beside the state, as `marks` is; after a recovery everything that waits is tried once.

use crate::marks::Marks;
use arch::Table;
use std::io;

/// The first wait, and the grid of all: whatever waits is looked at once each so long at most.
const FIRST_NS: i64 = 100_000_000;
/// Each wait is twice the one before, up to 12.8 s: 6,750 messages a day of the 46,655 of an order.
const DOUBLINGS: u8 = 7;

/// The slots that wait, until when, and how often the desk has sent a cancel of each.
pub(crate) struct Repeats {
    waiting: Marks,
    due_ns: Table<i64>, // by slot, 0 where nothing waits
    tries: Table<u8>,
    next_ns: i64, // not above the first time that one waits for
}

impl Repeats {
    pub(crate) fn new(slots: usize) -> io::Result<Self> {
        let (due_ns, tries) = (Table::zeroed(slots)?, Table::zeroed(slots)?);
        Ok(Self { waiting: Marks::new(slots)?, due_ns, tries, next_ns: i64::MAX })
    }

    /// When something is to be looked at; `i64::MAX` for never.
    pub(crate) fn next_ns(&self) -> i64 {
        self.next_ns
    }

    pub(crate) fn waits(&self, slot: usize) -> bool {
        self.due_ns[slot] != 0
    }

    /// One more cancel has gone out.
    pub(crate) fn count(&mut self, slot: usize) {
        self.tries[slot] = self.tries[slot].saturating_add(1);
    }

    /// A cancel has failed: the next one of the desk's own waits, the first does not.
    pub(crate) fn wait(&mut self, slot: usize, now_ns: i64) {
        let Some(doublings) = self.tries[slot].checked_sub(1) else { return };
        let after_ns = FIRST_NS << doublings.min(DOUBLINGS);
        let due_ns = (now_ns.saturating_add(after_ns) / FIRST_NS + 1).saturating_mul(FIRST_NS);
        self.waiting.set(slot);
        self.due_ns[slot] = due_ns;
        self.next_ns = self.next_ns.min(due_ns);
    }

    /// A cancel is in flight, nothing waits.
    pub(crate) fn stop(&mut self, slot: usize) {
        self.waiting.clear(slot);
        self.due_ns[slot] = 0;
    }

    /// The order has ended, or something new makes a cancel worth while.
    pub(crate) fn forget(&mut self, slot: usize) {
        self.stop(slot);
        self.tries[slot] = 0;
    }

    /// Marks what has waited long enough.
    pub(crate) fn take_due(&mut self, now_ns: i64, ripe: &mut Marks) {
        self.next_ns = i64::MAX;
        let mut at = 0;
        for _ in 0..self.waiting.len() {
            let slot = self.waiting.take(at).expect("as many as were counted");
            if self.due_ns[slot] <= now_ns {
                self.due_ns[slot] = 0;
                ripe.set(slot);
            } else {
                self.waiting.set(slot);
                self.next_ns = self.next_ns.min(self.due_ns[slot]);
            }
            at = (slot + 1) % self.due_ns.len();
        }
    }
}
