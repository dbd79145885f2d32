//! The end of a day: the world heals, everything is delivered and asked, and our books are compared with
//! the venues' own. Part of `Run`. What must stay true: the venues are the truth; where we may differ,
//! the reason is named here.

use super::super::venue::{FaultVenue, Holding, Manners, VenueOrder};
use super::super::watch::{Watch, holding_of};
use super::super::world::Death;
use super::{ACCOUNTS, INSTRUMENTS, ROUNDS, Run, VENUES};
use engine::Engine;
use layout::*;
use std::collections::{BTreeMap, BTreeSet};

/// An order as its venue has it. One that goes out a part at a time, or is replaced by cancel and new, is
/// several there: the one that is open, or the last, tells its state, all of them what has filled.
struct Truth<'a> {
    venue_id: u16,
    part: &'a VenueOrder,
    parts: usize,
    filled: i64,
    /// Of all fills as they stand, so that an average price is compared exactly.
    points: i128,
}

impl Truth<'_> {
    /// What is otherwise here: what has filled and at what prices, how it ended, or price and leaves.
    fn differs(&self, ours: &engine::Order, watch: &Watch) -> Option<String> {
        let theirs = self.part;
        let (our_leaves, their_leaves) = (ours.leaves_qty(), theirs.leaves());
        let same = if ours.live() {
            let terms = if watch.is_sliced(ours.order_seq) {
                their_leaves > 0 && their_leaves <= our_leaves
            } else if self.parts > 1 {
                our_leaves == their_leaves // the new one behind a cancel: what was left
            } else {
                (ours.order_qty, our_leaves) == (theirs.order_qty, their_leaves)
            };
            theirs.is_open() && terms && ours.price == theirs.price
        } else {
            !theirs.is_open() && self.ended_alike(ours, watch)
        };
        let fills = (ours.cum_qty, ours.cum_points) == (self.filled, self.points);
        (!same || !fills).then(|| {
            format!(
                "order {}: ours {:?} {} of {} at {} filled for {}, venue {}: {:?} {} of {} at {} for {}",
                ours.order_seq,
                ours.ord_status(),
                ours.cum_qty,
                ours.order_qty,
                ours.price,
                ours.cum_points,
                self.venue_id,
                theirs.final_status(),
                self.filled,
                theirs.order_qty,
                theirs.price,
                self.points
            )
        })
    }

    /// Whether an order ended as its venue says, by the precedence of FIX: what is whole is filled, whatever
    /// ended it. Where the venue's word cannot have been known, what the desk did know decides.
    fn ended_alike(&self, ours: &engine::Order, watch: &Watch) -> bool {
        use OrdStatus::{Canceled, Expired, Filled, Rejected};
        let (ended, theirs) = (ours.ord_status(), self.part.final_status());
        let whole = self.filled >= ours.order_qty;
        if watch.is_sliced(ours.order_seq) {
            return (ended == Filled) == whole; // a part's end is not the order's: that has ended here
        }
        match (ended, theirs) {
            _ if ended == theirs => true,
            // Ended while a replace was unanswered: which terms its fills fulfilled is not told.
            _ if self.parts == 1 && ours.order_qty != self.part.order_qty => {
                ended != Rejected && theirs != Rejected
            }
            (Canceled | Expired, Filled) if whole => watch.has_unanswered(ours.order_seq),
            // The new one behind a cancel was refused, or did its part while a bust undid the old one's
            // fills; or all together have filled it.
            (Canceled, Filled | Rejected) => self.parts > 1 && !whole,
            (Filled, _) => self.parts > 1 && whole,
            // Refused behind an acknowledgement that was lost (CORNERS 21).
            (Rejected, Canceled) => self.part.refused_late,
            // Canceled there, untold, and the proved end of its day took it for expired.
            (Expired, Canceled) => !watch.was_told_expired(ours.order_seq),
            _ => false,
        }
    }
}

impl Run {
    /// The world heals: everything is delivered, asked and compared.
    pub(super) fn settle(&mut self) {
        for venue in &mut self.venues {
            venue.manners = Manners::GOOD;
            venue.silent_until = 0;
            venue.open_again(&mut self.world.lock());
        }
        {
            let world = &mut *self.world.lock();
            (world.die_in, world.disk_error_in, world.full_for) = (None, None, 0);
        }
        if self.world.lock().disk_failed {
            self.world.lock().dead = Some(Death::Kill);
            self.guarded(|_| {});
        }
        {
            // What was never told is found by asking, at the next connection.
            let world = &mut *self.world.lock();
            world.die_in = None;
            for pipe in &mut world.pipes {
                pipe.refused_until = 0;
                pipe.cut(&mut world.random);
            }
        }
        let halted = self.world.lock().kills.iter().any(|_| true) && self.random.below(2) == 0;
        while !halted && self.sound() {
            let Some(kill) = self.world.lock().kills.last().copied() else { break };
            self.open_scope(kill);
            if self.world.lock().kills.iter().any(|k| (k.scope, k.id) == (kill.scope, kill.id)) {
                // A release that is refused is one of a scope that is not engaged.
                let mode =
                    self.desk.as_ref().map_or(0, |d| d.engine().mode_in(kill.scope, kill.id));
                if mode != KillMode::Open.code() {
                    return self.violate(format!("{:?} {} is not released", kill.scope, kill.id));
                }
                self.world.lock().kills.retain(|k| (k.scope, k.id) != (kill.scope, kill.id));
            }
        }
        let mut quiet = 0;
        for round in 0..ROUNDS {
            self.world.lock().mono_ns += 5_000_000;
            for at in 0..VENUES {
                if self.shape.pegs && round % 8 == 0 {
                    self.venues[at].quote_again();
                }
                self.venues[at].pump(&mut self.world.lock());
            }
            self.poll();
            if !self.sound() {
                return;
            }
            quiet = if self.is_settled() { quiet + 1 } else { 0 };
            if quiet == 3 {
                break;
            }
        }
        if quiet < 3 {
            let status = self.desk.as_ref().map(|desk| desk.status());
            let links: Vec<String> = status
                .iter()
                .flat_map(|s| s.links.iter())
                .map(|l| format!("{}: {:?}", l.venue, l.error))
                .collect();
            let waits = self.unsettled();
            return self.violate(format!("I39: the desk does not settle: {links:?}, {waits}"));
        }
        self.compare();
        self.check_replay();
    }

    fn is_settled(&self) -> bool {
        let Some(desk) = &self.desk else { return false };
        let engine = desk.engine();
        let up = LinkState::Up.code();
        let done = |v: &FaultVenue| engine.venue(v.id).link() == up || self.stays_closed(v);
        let halted = || engine.live_orders().filter(|o| Self::is_halted(engine, o));
        self.venues.iter().all(|v| v.is_idle() && done(v))
            && engine.asked_count() as usize == halted().count()
            && engine.live_orders().filter(|o| Self::waits(o)).count() == halted().count()
            && self.left_behind().next().is_none()
    }

    /// Pegged orders that rest at another price than what they are pegged to gives, though nothing keeps
    /// them: no switch, no restriction, no limit, no trading that stays closed.
    fn left_behind(&self) -> impl Iterator<Item = u64> {
        let free = self.shape.pegs && self.shape.bounds.net_qty == i64::MAX;
        let engine = self
            .desk
            .as_ref()
            .map(|desk| desk.engine())
            .filter(|engine| free && !engine.recovering());
        let up = LinkState::Up.code();
        engine.into_iter().flat_map(move |engine| {
            let venues =
                self.venues.iter().filter(move |venue| engine.venue(venue.id).link() == up);
            venues.flat_map(move |venue| {
                let behind = move |theirs: &&VenueOrder| {
                    let Some(peg) = self.watch.pegs.get(&theirs.order_seq) else { return false };
                    let ours = engine.order(theirs.order_seq).filter(|ours| ours.live());
                    let rests = [OrdStatus::New, OrdStatus::PartiallyFilled];
                    let flags = engine.terms(theirs.instrument_id).flags;
                    let moves = ours.is_some_and(|ours| {
                        rests.contains(&ours.ord_status())
                            && engine.mode_of(ours) == KillMode::Open.code()
                    });
                    let best = venue.best(theirs.instrument_id);
                    theirs.is_open()
                        && moves
                        && flags & FLAG_RESTRICTED == 0
                        && theirs.price != peg.price(best.bid_px, best.ask_px)
                };
                venue.orders.iter().filter(behind).map(|theirs| theirs.order_seq)
            })
        })
    }

    /// Whether trading rightly stays closed at a venue (I39): it has open orders that do not live here, and
    /// of each the log says why.
    fn stays_closed(&self, venue: &FaultVenue) -> bool {
        let Some(desk) = &self.desk else { return false };
        let lives = |order_seq| desk.engine().order(order_seq).is_some_and(|ours| ours.live());
        let mut odd = venue
            .orders
            .iter()
            .filter(|theirs| theirs.is_open() && !lives(self.number_of(theirs)))
            .peekable();
        odd.peek().is_some() && odd.all(|theirs| self.is_excused(theirs))
    }

    /// Whether the log says why an open order does not live here: no id was left to adopt it under; or a
    /// bust has opened a part of it again, which an overfill of another part has filled (CORNERS 8, 24).
    fn is_excused(&self, theirs: &VenueOrder) -> bool {
        match self.number_of(theirs) {
            0 => self.watch.no_room_for(&theirs.first_id),
            ours => self.watch.was_overfilled(ours),
        }
    }

    /// Our number of an order there; 0: it was placed there and is not adopted here.
    fn number_of(&self, theirs: &VenueOrder) -> u64 {
        match theirs.order_seq {
            0 => self.watch.adopted.get(&theirs.first_id).copied().unwrap_or(0),
            ours => ours,
        }
    }

    /// A cancel asked for that a halt keeps here until its release, and nothing on its way.
    fn is_halted(engine: &Engine, o: &engine::Order) -> bool {
        let asked_only = o.flight == engine::order::CANCEL_ASKED;
        asked_only
            && !o.is_here()
            && o.base != OrdStatus::PendingNew.code()
            && engine.mode_of(o) == KillMode::Halt.code()
    }

    /// Something of the order is on its way.
    fn waits(o: &engine::Order) -> bool {
        !o.is_here() && (o.base == OrdStatus::PendingNew.code() || o.flight != 0)
    }

    /// What keeps a desk from being settled, for people.
    fn unsettled(&self) -> String {
        let Some(desk) = &self.desk else { return "no desk".into() };
        let engine = desk.engine();
        let links = self.venues.iter().map(|v| (v.is_idle(), engine.venue(v.id).link()));
        let orders = engine.live_orders().filter(|o| Self::waits(o));
        format!(
            "links {:?}, {} cancels asked for, orders {:?}, pegged and left behind {:?}",
            links.collect::<Vec<_>>(),
            engine.asked_count(),
            orders.map(|o| (o.order_seq, o.ord_status(), o.flight)).collect::<Vec<_>>(),
            self.left_behind().collect::<Vec<_>>()
        )
    }

    /// Our orders, fills and positions against the venues' own.
    fn compare(&mut self) {
        let Some(desk) = &self.desk else { return };
        let engine = desk.engine();
        let mut wrong = Vec::new();
        let (mut known, mut strange) = (BTreeSet::new(), Vec::new());
        for venue in &self.venues {
            let closed = self.stays_closed(venue);
            for (order_seq, truth) in self.truth_of(venue, &mut strange, &mut wrong) {
                known.insert(order_seq);
                match engine.order(order_seq) {
                    None => wrong.push(format!("venue {} has order {order_seq}, we not", venue.id)),
                    Some(ours) if !ours.live() && closed && self.is_excused(truth.part) => {}
                    Some(ours) => wrong.extend(truth.differs(ours, &self.watch)),
                }
            }
        }
        for ours in engine.live_orders() {
            if !ours.is_here() && !known.contains(&ours.order_seq) {
                wrong.push(format!("order {} lives here and at no venue", ours.order_seq));
            }
        }
        for account_id in 1..=ACCOUNTS {
            for instrument_id in 1..=INSTRUMENTS {
                let row = (account_id, instrument_id);
                let mut truth = Holding::default();
                for venue in &self.venues {
                    truth.add(venue.holdings.get(&row).copied().unwrap_or_default(), 1);
                }
                for (_, traded) in strange.iter().filter(|(of, _)| *of == row) {
                    truth.add(*traded, -1);
                }
                let ours = holding_of(engine, account_id, instrument_id);
                if ours != truth {
                    wrong.push(format!(
                        "account {account_id} instrument {instrument_id}: ours {ours:?}, venues {truth:?}"
                    ));
                }
            }
        }
        self.world.lock().violations.append(&mut wrong);
    }

    /// What a venue has of each of our orders; what was placed there and found no room here is `strange`.
    fn truth_of<'a>(
        &self,
        venue: &'a FaultVenue,
        strange: &mut Vec<((u32, u32), Holding)>,
        wrong: &mut Vec<String>,
    ) -> BTreeMap<u64, Truth<'a>> {
        let points = venue.points();
        let mut parts: BTreeMap<u64, Truth> = BTreeMap::new();
        for (index, part) in venue.orders.iter().enumerate() {
            let order_seq = self.number_of(part);
            if order_seq == 0 {
                // Placed there, and over before it was ever told: nothing was to be adopted.
                if self.watch.no_room_for(&part.first_id) {
                    strange.push(venue.traded(index));
                } else if part.is_open() || part.cum_qty > 0 {
                    wrong.push(format!("{} is unknown here", text_of(&part.first_id)));
                }
                continue;
            }
            let truth = parts.entry(order_seq).or_insert(Truth {
                venue_id: venue.id,
                part,
                parts: 0,
                filled: 0,
                points: 0,
            });
            let other = truth.parts > 0 && truth.part.is_open();
            if other && part.is_open() {
                wrong.push(format!("order {order_seq} is open twice at its venue"));
            }
            truth.part = if other { truth.part } else { part };
            truth.parts += 1;
            truth.filled += part.cum_qty;
            truth.points += points[index];
        }
        parts
    }

    /// I25 and I10 by the venues' own books: what an account holds there with all that is open on a side
    /// is within its limit, and what children have filled and open is within their parent's quantity,
    /// whatever of it the desk knows.
    pub(super) fn check_truth(&mut self) {
        let Some(desk) = &self.desk else { return };
        let mut open: BTreeMap<(u32, u32), [i64; 2]> = BTreeMap::new();
        let mut children: BTreeMap<u64, i64> = BTreeMap::new();
        for order in self.venues.iter().flat_map(|venue| &venue.orders) {
            let leaves = order.leaves();
            if leaves != 0 {
                let buy = order.side == Side::Buy.code();
                let sides = open.entry((order.account_id, order.instrument_id)).or_default();
                sides[usize::from(!buy)] += leaves;
            }
            let parent = self.watch.parent_of(order.order_seq);
            if parent != 0 {
                *children.entry(parent).or_default() += order.cum_qty + leaves;
            }
        }
        let most = i128::from(self.shape.bounds.net_qty);
        let mut wrong = Vec::new();
        for (row, [buys, sells]) in open {
            let held = self.venues.iter().filter_map(|venue| venue.holdings.get(&row));
            let net: i128 = held.map(|held| held.net).sum();
            let worst = [net + i128::from(buys), i128::from(sells) - net];
            let opens = [buys, sells];
            if (0..2).any(|side| opens[side] != 0 && worst[side] > most) {
                wrong.push(format!("I25: {row:?} has {net} and open {opens:?} at the venues"));
            }
        }
        for (parent, held) in children {
            let Some(parent) = desk.engine().order(parent) else { continue };
            if held > parent.order_qty {
                let (order_seq, most) = (parent.order_seq, parent.order_qty);
                wrong.push(format!("I10: children of {order_seq} hold {held} of {most} there"));
            }
        }
        self.world.lock().violations.append(&mut wrong);
    }
}
