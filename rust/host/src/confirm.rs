//! What follows a kill until it is proved: cancels go out at each venue's pace (the engine's `pace`),
//! then the venue is asked what is open, and what it does not confirm in time drops its session, so
//! that its cancel on disconnect acts. Runs on the engine thread, a look every few milliseconds while
//! something is engaged. What must stay true: nothing counts as confirmed but by the venue's own word
//! after our last order there had ended; an order at the venue that nobody here knows counts as open.

use crate::Desk;
use crate::link::Stage;
use arch::mutant;
use engine::order::REPLACING;
use layout::{KillMode, OrdStatus, QueryKind, Scope, TimeInForce};

/// Time between two looks, and between two questions to one venue.
const LOOK_NS: i64 = 2_000_000;
const ASK_NS: i64 = 20_000_000;
/// From so many live orders on a look is taken less often: each walks them all.
const MANY: u64 = 10_000;
const LOOK_MANY_NS: i64 = 50_000_000;
/// Orders named as in flight, or as not covered, at most.
const NAMED_MAX: usize = 1_000;

/// A kill that is followed until the venues have confirmed it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pursuit {
    engaged: bool,
    /// When the switch was last made stricter.
    since_ns: i64,
    look_at_ns: i64,
    /// Orders that it stopped when it was engaged, and cancels sent before.
    first: u64,
    sent_before: u64,
    /// Live orders that it stops, and orders at venues that nobody here knows.
    left: u64,
    confirmed: bool,
}

/// Cancels that kills had sent, and orders that were live, before a kill.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    sent: u64,
    live: u64,
}

/// Where one link stands in it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Proof {
    query: u32,
    ask_at_ns: i64,
    pub confirmed: bool,
    unknown: u32,
    /// The time to confirm is over, and the session was dropped if that can help.
    pub overdue: bool,
}

/// What a kill has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KillProgress {
    /// Cancels sent since the switch was last made stricter, a mass cancel counted as one.
    pub cancels_sent: u64,
    /// Orders that it stopped and that have ended by the venue's word, or here.
    pub cancels_confirmed: u64,
    /// Orders that may still trade, those at venues that nobody here knows among them.
    pub left_open: u64,
    /// Every venue in its scope has said that nothing is open.
    pub confirmed: bool,
    /// Orders at venues that nobody here knows.
    pub unknown_open: u64,
    /// Messages that make or change an order and have no answer yet; the first of them.
    pub in_flight: Vec<u64>,
}

impl Proof {
    /// The link is gone, and with it the answer: what it proved has to be proved again.
    pub(crate) fn lost(&mut self) {
        (self.query, self.confirmed) = (0, false);
    }
}

fn stops(mode: u8) -> bool {
    mode >= KillMode::CancelOnly.code()
}

impl Desk {
    /// The switch was made stricter, or a start found it engaged: what it stops is followed from here.
    /// `before`: how it stood then.
    pub(crate) fn pursue_from_now(&mut self, before: Before) {
        let now_ns = self.clock.now_ns();
        let left = self.stopped().count() as u64;
        // What was held here, or never left, has ended with the kill itself.
        let first = left + before.live.saturating_sub(self.engine.live_count());
        self.pursuit = Pursuit {
            engaged: true,
            since_ns: now_ns,
            look_at_ns: now_ns,
            first,
            sent_before: before.sent,
            left,
            confirmed: false,
        };
        self.links.iter_mut().for_each(|link| link.proof = Proof::default());
    }

    /// How it stands before a kill.
    pub(crate) fn before_kill(&self) -> Before {
        Before { sent: self.engine.counters().kill_cancels, live: self.engine.live_count() }
    }

    /// A cancel of the kill's has been given up with the order that it was for: neither has left.
    pub(crate) fn cancel_dropped(&mut self) {
        self.pursuit.sent_before += 1;
    }

    fn stopped(&self) -> impl Iterator<Item = &engine::Order> {
        self.engine.live_orders().filter(|o| stops(self.engine.mode_of(o)))
    }

    /// Whether everything at the venue is stopped: then nothing may be open there.
    fn stops_all_of(&self, venue_id: u16) -> bool {
        stops(self.engine.desk_mode()) || stops(self.engine.mode_in(Scope::Venue, venue_id.into()))
    }

    /// One look: asks where our orders have ended, drops what is late, counts what is left.
    pub(crate) fn pursue(&mut self) {
        let now_ns = self.clock.now_ns();
        if !self.pursuit.engaged || now_ns < self.pursuit.look_at_ns {
            return;
        }
        if self.engaged().is_empty() {
            self.pursuit = Pursuit::default();
            self.links.iter_mut().for_each(|link| link.proof = Proof::default());
            return;
        }
        let many = self.engine.live_count() > MANY;
        self.pursuit.look_at_ns = now_ns + if many { LOOK_MANY_NS } else { LOOK_NS };
        let mut open = vec![0u64; self.links.len()];
        let mut left = 0;
        for order in self.stopped() {
            left += 1;
            if !order.is_here()
                && let Some(at) = self.links.iter().position(|l| l.venue_id == order.venue_id)
            {
                open[at] += 1;
            }
        }
        for (at, &open) in open.iter().enumerate() {
            self.pursue_at(at, open, now_ns);
        }
        let unknown: u64 = self.links.iter().map(|link| u64::from(link.proof.unknown)).sum();
        self.pursuit.left = left + unknown;
        self.pursuit.confirmed = self.pursuit.left == 0
            && self.links.iter().all(|link| link.venue_id == 0 || link.proof.confirmed);
    }

    fn pursue_at(&mut self, at: usize, open: u64, now_ns: i64) {
        let mono_ns = self.clock.mono_ns();
        let link = &mut self.links[at];
        if link.venue_id == 0 {
            return;
        }
        if open != 0 {
            link.proof.confirmed = false; // adopted, or brought back by the venue's word
        }
        if !link.config.confirms_kills {
            link.proof.confirmed = open == 0;
            return;
        }
        let ripe = now_ns >= link.proof.ask_at_ns && link.proof.query == 0;
        if open == 0 && !link.proof.confirmed && link.stage == Stage::Up && link.flows() && ripe {
            link.proof.ask_at_ns = now_ns + ASK_NS;
            // A full buffer is asked again at the next look.
            link.proof.query = link.end.query(QueryKind::Open, [0; 20], 0, mono_ns).unwrap_or(0);
        }
        let wait_ns = i64::from(link.config.kill_confirm_ms_max) * 1_000_000;
        let late = wait_ns != 0 && now_ns - self.pursuit.since_ns >= wait_ns;
        if late && !link.proof.confirmed && !link.proof.overdue {
            self.give_up_waiting(at, open, wait_ns / 1_000_000);
        }
    }

    /// The venue has not confirmed in time. Its session drops where that ends what is stopped and
    /// nothing else; either way what lives on is named in the status.
    #[cold]
    fn give_up_waiting(&mut self, at: usize, open: u64, waited_ms: i64) {
        self.links[at].proof.overdue = true;
        let link = &self.links[at];
        let helps = link.config.cancel_on_disconnect && self.stops_all_of(link.venue_id);
        mutant!(unconfirmed_kill_keeps_its_session: helps = false);
        if helps && link.stream.is_some() {
            let why = format!(
                "dropped by the kill switch: {open} orders and {} unknown ones not confirmed \
                 canceled after {waited_ms} ms",
                link.proof.unknown
            );
            self.lose(at, why);
        }
    }

    /// The venue's count of open orders, where the kill asked for it. `true`: it did.
    pub(crate) fn hear_open(&mut self, at: usize, query_id: u32, count: u32) -> bool {
        if self.links[at].proof.query != query_id || query_id == 0 {
            return false;
        }
        let venue_id = self.links[at].venue_id;
        let there = |o: &&engine::Order| o.venue_id == venue_id && !o.is_here();
        let live = self.engine.live_orders().filter(there);
        let (mut ours, mut stopped) = (0, 0);
        for order in live {
            ours += 1;
            stopped += u32::from(stops(self.engine.mode_of(order)));
        }
        let all = self.stops_all_of(venue_id);
        let proof = &mut self.links[at].proof;
        proof.query = 0;
        // Where other orders go on, counts differ by what is on its way: our own are proved one by one.
        proof.unknown = if all { count.saturating_sub(ours) } else { 0 };
        mutant!(unknown_orders_count_as_none => proof.unknown = 0);
        proof.confirmed = stopped == 0 && proof.unknown == 0;
        if proof.unknown != 0 {
            self.engine.want_mass_cancel(venue_id);
        }
        true
    }

    /// Longest sleep while a kill is followed.
    pub(crate) fn look_in_ns(&self) -> i64 {
        let followed = self.pursuit.engaged && !self.pursuit.confirmed;
        if followed { LOOK_NS } else { crate::desk::SLEEP_MAX_NS }
    }

    /// What the kill has done so far; `None` while nothing is engaged.
    pub fn kill_progress(&self) -> Option<KillProgress> {
        let pursuit = self.pursuit;
        if !pursuit.engaged {
            return None;
        }
        let unknown_open = self.links.iter().map(|link| u64::from(link.proof.unknown)).sum();
        let mut left = 0;
        let mut in_flight = Vec::new();
        for order in self.stopped() {
            left += 1;
            let unanswered =
                order.ord_status() == OrdStatus::PendingNew || order.flight & REPLACING != 0;
            if unanswered && !order.is_here() && in_flight.len() < NAMED_MAX {
                in_flight.push(order.order_seq);
            }
        }
        in_flight.sort_unstable();
        Some(KillProgress {
            cancels_sent: self.engine.counters().kill_cancels.saturating_sub(pursuit.sent_before),
            cancels_confirmed: pursuit.first.saturating_sub(left),
            left_open: left + unknown_open,
            confirmed: pursuit.confirmed && left == 0,
            unknown_open,
            in_flight,
        })
    }

    /// Live orders that a kill stops and no cancel on disconnect ends: their link has none, spares such
    /// orders (good till canceled or till a date), or came up again and they still lived. Under a halt
    /// from the start, under `cancel_only` once the venue had its time to confirm.
    pub(crate) fn not_covered(&self) -> Vec<u64> {
        if self.engine.live_count() == 0 {
            return Vec::new();
        }
        let halt = KillMode::Halt.code();
        let lasting = [TimeInForce::Gtc.code(), TimeInForce::Gtd.code()];
        let spared = |o: &&engine::Order| {
            let link = self.links.iter().find(|link| link.venue_id == o.venue_id);
            let halted = self.engine.mode_of(o) == halt;
            link.is_none_or(|link| {
                let given_up = halted || link.proof.overdue;
                let gone = !link.config.cancel_on_disconnect || link.stage == Stage::Up;
                given_up && (gone || lasting.contains(&o.time_in_force))
            })
        };
        let mut seqs: Vec<u64> =
            self.stopped().filter(|o| !o.is_here()).filter(spared).map(|o| o.order_seq).collect();
        seqs.sort_unstable();
        seqs
    }
}
