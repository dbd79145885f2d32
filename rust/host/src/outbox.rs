//! The log as the engine sees it, and the outbox: messages wait here until the event that justifies
//! them is committed (I2). Owned by the engine thread; filled by `Engine::step`, emptied by the desk.
//!
//! A message keeps the number it got at append, so a cancel never overtakes what was appended before
//! it on the same link: it needs not, since the whole queue goes out at once when it is committed.
//! What must stay true: what is in a queue has not reached the kernel, not by one byte.

use arch::mutant;
use engine::Log;
use journal::Ring;
use layout::{MsgType, Record, Routed};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The ring as the engine's log, here, inline and in benches. `bounds`: what stops new orders besides
/// the ring's own room.
#[derive(Debug)]
pub struct RingLog<B = ()> {
    /// The ring.
    pub ring: Ring,
    /// What bounds its room.
    pub bounds: B,
}

/// Takes from the ring's room what is spoken for.
pub trait Bounds {
    /// Records that are free of `room`.
    fn within(&self, room: u64) -> u64;
}

/// An engine without outbox and segments: the ring alone.
impl Bounds for () {
    #[inline(always)]
    fn within(&self, room: u64) -> u64 {
        room
    }
}

impl<B: Bounds> Log for RingLog<B> {
    #[inline(always)]
    fn next_seq(&self) -> u64 {
        self.ring.next_seq()
    }
    #[inline(always)]
    fn slot(&mut self, index: usize) -> &mut Record {
        self.ring.slot(index)
    }
    #[inline(always)]
    fn publish(&mut self, count: usize) {
        self.ring.publish(count);
    }
    #[inline(always)]
    fn last(&self, index: usize) -> &Record {
        self.ring.last(index)
    }
    #[inline(always)]
    fn room(&self) -> u64 {
        self.bounds.within(self.ring.room())
    }
}

/// What bounds a desk's new orders.
pub(crate) struct DeskBounds {
    /// Messages that still fit in the fullest outbox.
    pub outbox_room: u64,
    /// Messages that wait: each keeps one record free for the event that would end it unsent.
    pub waiting: u64,
    /// Records that fit in the segments that are ready; `u64::MAX` while the disk has room.
    pub segment_room: Arc<AtomicU64>,
}

impl Bounds for DeskBounds {
    #[inline(always)]
    fn within(&self, room: u64) -> u64 {
        // Relaxed: a bound that the reserve makes coarse anyway.
        let segments = self.segment_room.load(Ordering::Relaxed);
        room.min(segments).saturating_sub(self.waiting).min(self.outbox_room)
    }
}

/// No link serves this venue.
const NO_LINK: u16 = u16::MAX;

pub(crate) struct Outbox {
    /// One queue a link, in the order of `link_seq`.
    pub queues: Vec<VecDeque<Routed>>,
    link_of: Vec<u16>,
    /// Orders whose new order was still waiting when its cancel came: (link, order_seq).
    pub retracted: Vec<(usize, u64)>,
    /// Messages to venues without a link: they go nowhere.
    pub unlinked: u64,
    crash_at_seq: Option<u64>,
    capacity: usize,
}

impl Outbox {
    pub(crate) fn new(
        links: usize,
        venues_max: usize,
        capacity: usize,
        crash_at_seq: Option<u64>,
    ) -> Self {
        Self {
            queues: (0..links).map(|_| VecDeque::with_capacity(capacity)).collect(),
            link_of: vec![NO_LINK; venues_max],
            retracted: Vec::with_capacity(256),
            unlinked: 0,
            crash_at_seq,
            capacity,
        }
    }

    pub(crate) fn bind(&mut self, venue_id: u16, link: usize) {
        self.link_of[venue_id as usize] = link as u16;
    }

    /// Messages that fit in the fullest queue: the engine refuses new orders before it is 0.
    #[inline]
    pub(crate) fn room(&self) -> u64 {
        let fullest = self.queues.iter().map(VecDeque::len).max().unwrap_or(0);
        self.capacity.saturating_sub(fullest) as u64
    }

    pub(crate) fn waiting(&self) -> usize {
        self.queues.iter().map(VecDeque::len).sum()
    }
}

/// Whether a message makes or changes an order: what a kill must stop.
pub(crate) fn creates(routed: &Routed) -> bool {
    routed.msg_type == MsgType::NewOrder.code() || routed.msg_type == MsgType::Replace.code()
}

impl engine::Outbox for Outbox {
    #[inline]
    fn push(&mut self, routed: &Routed) {
        let new = routed.msg_type == MsgType::NewOrder.code();
        if new && self.crash_at_seq.is_some_and(|seq| routed.header.event_seq >= seq) {
            die();
        }
        let link = self.link_of[routed.venue_id as usize];
        if link == NO_LINK {
            self.unlinked += 1;
            return;
        }
        let queue = &mut self.queues[link as usize];
        if !new && !queue.is_empty() {
            let order_seq = routed.header.order_seq;
            let cancel = routed.msg_type == MsgType::Cancel.code();
            mutant!(cancel_waits_behind_its_order: cancel = false);
            let unsent = |w: &Routed| {
                w.header.order_seq == order_seq && w.msg_type == MsgType::NewOrder.code()
            };
            if cancel && queue.iter().any(unsent) {
                self.retracted.push((link as usize, order_seq));
            }
        }
        queue.push_back(*routed);
    }
}

/// The crash of the drill: as a power cut to the process, between append and send.
#[cold]
fn die() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort(); // SIGKILL is not handled and not delayed; never reached
}

impl crate::Desk {
    /// Drill: arms the process's own SIGKILL at the first new order that is appended at or above
    /// `seq`, before a byte of it is sent.
    pub fn crash_at_seq(&mut self, seq: u64) {
        self.outbox.crash_at_seq = Some(seq);
    }
}
