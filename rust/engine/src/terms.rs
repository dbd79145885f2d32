//! Orders that are more than plain: their terms come as an `order_terms` record offered before the
//! command, are judged here, out of the way of the plain order, and stand in a row beside it. A row is
//! kept while its order or a leg of its group lives. Called by the pipeline for commands that carry
//! `TAG_TERMS`; rows are written by `apply` alone.
//!
//! The offer is no state: it waits for the next command of its session, and a crash between the two
//! loses both. What must stay true: the body hash covers the offer and the command together.

use crate::day::RIPE;
use crate::gate::{Judged, Seen};
use crate::order::Order;
use crate::peg::Peg;
use crate::pipeline::header;
use crate::risk::{Fails, Instrument, first, phase_takes_orders, side_index};
use crate::{Engine, Log, Outbox};
use arch::mutant;
use layout::{
    Contingency, EXEC_BY_QUOTE, EXEC_ICEBERG_HERE, EXEC_POST_ONLY, EXEC_REDUCE_ONLY,
    EXEC_TRAIL_PPM, Message, NO_PRICE, NewOrder, OrdType, OrderAccepted, OrderTerms, PegType,
    Phase, Record, Routed, Side, TAG_PARENT, TAG_TERMS, TimeInForce, Typed, Verdict,
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `Terms::state`: in the index of its instrument, waiting for a price.
pub(crate) const ARMED: u8 = 1;
/// `Terms::state`: its leg has traded; it is to be released or armed.
pub(crate) const DUE: u8 = 2;
/// `Terms::state`: both legs traded; the event that says so is still to come.
pub(crate) const RACED: u8 = 4;
/// `Terms::state`: the race was told.
pub(crate) const FLAGGED: u8 = 8;

/// `Terms::state`: an iceberg that the desk replenishes, `max_floor` at a time.
pub(crate) const SLICED: u8 = 16;
/// `Terms::state`: the leg that it follows has filled more than is at the venue of it.
pub(crate) const GROW: u8 = 32;
/// `Terms::state`: it was held and has gone out since.
pub(crate) const RELEASED: u8 = 64;

/// Parts that an iceberg may have: each takes two of the street ids that an order has.
const PARTS_MAX: i64 = 20_000;
/// Bits of `exec_inst` that are taken.
const EXEC_TAKEN: u8 = EXEC_POST_ONLY | EXEC_REDUCE_ONLY | EXEC_TRAIL_PPM | EXEC_BY_QUOTE;

/// The terms of one order, folded from the log.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes)]
#[repr(C, align(128))]
pub struct Terms {
    /// Order; 0: the row is free.
    pub order_seq: u64,
    /// StopPx(99); a trailing one: as last logged.
    pub stop_px: i64,
    /// Distance of a trailing stop.
    pub trail: i64,
    /// Best price a trailing stop had seen when last logged.
    pub mark_px: i64,
    /// Price(44) of the command, which a stop limit goes out with.
    pub limit_px: i64,
    /// ExpireTime(126), 0 for none.
    pub expire_time_ns: i64,
    /// MaxFloor(111), 0 for none.
    pub max_floor: i64,
    /// First leg of its group, 0 for none.
    pub group_seq: u64,
    /// The leg that joined the group after it.
    pub leg_next: u64,
    /// The leg that released it, or with which it raced.
    pub by_order_seq: u64,
    /// CumQty(14) at which what is at the venue of it has filled; 0: all of it is there.
    pub slice_end: i64,
    /// When a pegged order was priced last.
    pub pegged_ns: i64,
    /// First leg: legs of its group that live.
    pub legs_live: u32,
    /// ExpireDate(432), 0 for none.
    pub expire_day: u16,
    /// OrdType(40) of the command.
    pub ord_type: u8,
    /// ContingencyType(1385).
    pub contingency: u8,
    /// ExecInst(18), bits.
    pub exec_inst: u8,
    /// Bits of this module.
    pub(crate) state: u8,
    /// `OwnCause` of a cancel that the desk itself has asked for.
    pub(crate) why: u8,
    /// PegPriceType(1094); its offset is `trail`, its worst price `stop_px`.
    pub peg_type: u8,
    pub(crate) pad: [u8; 20],
}

const _: () = assert!(size_of::<Terms>() == 128);

impl Terms {
    /// What an accepted order with these terms keeps of them.
    fn of(e: &OrderTerms, ord_type: u8, price: i64) -> Self {
        let mut terms: Self = zerocopy::FromZeros::new_zeroed();
        terms.order_seq = e.header.order_seq;
        (terms.stop_px, terms.trail, terms.mark_px) = (e.stop_px, e.trail, e.reference_px);
        (terms.limit_px, terms.max_floor) = (price, e.max_floor);
        (terms.expire_time_ns, terms.expire_day) = (e.expire_time_ns, e.expire_day);
        (terms.ord_type, terms.contingency) = (ord_type, e.contingency);
        terms.exec_inst = e.exec_inst;
        if ord_type == OrdType::Pegged as u8 {
            (terms.peg_type, terms.trail) = (e.peg_type, e.peg_offset);
            terms.pegged_ns = e.header.ingest_time_ns;
        }
        terms.state = if e.shown_qty != 0 { SLICED } else { 0 };
        terms
    }

    /// Whether it goes to the venue a part at a time: an iceberg of the desk's, or a leg that follows the
    /// fills of another.
    pub fn is_sliced(&self) -> bool {
        self.state & SLICED != 0 || self.follows()
    }

    /// Whether it is as large as what its group's first leg has filled.
    pub(crate) fn follows(&self) -> bool {
        self.contingency == Contingency::OtoFirst as u8 && self.group_seq != self.order_seq
    }

    /// Builds the message with which the order leaves: what the venue must keep goes with it.
    pub(crate) fn build_routed(&self, slot: &mut Record, message: Message) {
        Routed::build(slot, message);
        let routed = Routed::view_mut(slot);
        let native = self.state & SLICED == 0;
        routed.exec_inst = self.exec_inst & !EXEC_ICEBERG_HERE;
        routed.max_floor = if native { self.max_floor } else { 0 };
        (routed.expire_day, routed.expire_time_ns) = (self.expire_day, self.expire_time_ns);
    }
}

/// What a term failed by.
pub(crate) struct Fault {
    pub(crate) verdict: Verdict,
    pub(crate) value: i64,
    pub(crate) bound: i64,
}

pub(crate) fn fault<T>(verdict: Verdict, value: i64, bound: i64) -> Result<T, Fault> {
    Err(Fault { verdict, value, bound })
}

/// Whether orders of this type wait here for a price.
pub(crate) fn waits_for_price(ord_type: u8) -> bool {
    matches!(
        OrdType::from_code(ord_type),
        Some(
            OrdType::Stop
                | OrdType::StopLimit
                | OrdType::MarketIfTouched
                | OrdType::LimitIfTouched
                | OrdType::TrailingStop
        )
    )
}

/// The type a held order goes out as.
pub(crate) fn street_type(ord_type: u8) -> OrdType {
    match OrdType::from_code(ord_type) {
        Some(OrdType::Limit | OrdType::StopLimit | OrdType::LimitIfTouched | OrdType::Pegged) => {
            OrdType::Limit
        }
        _ => OrdType::Market,
    }
}

/// Whether this contingency waits for the first leg of its group.
pub(crate) fn waits_for_leg(contingency: u8) -> bool {
    matches!(
        Contingency::from_code(contingency),
        Some(Contingency::OtoFirst | Contingency::OtoFull | Contingency::Bracket)
    )
}

/// What an offer adds to the hash of its command.
pub(crate) fn offer_hash(offer: &OrderTerms) -> u64 {
    xxhash_rust::xxh3::xxh3_64(&offer.as_bytes()[32..])
}

/// Checks that do not concern an order that only waits here: they are made when it leaves.
fn at_release() -> Fails {
    [
        Verdict::ReferenceAbsent,
        Verdict::ReferenceStale,
        Verdict::ReferenceCrossed,
        Verdict::ReferenceLocked,
        Verdict::PriceAboveBand,
        Verdict::PriceBelowBand,
        Verdict::MarketClosed,
        Verdict::VenueDown,
    ]
    .into_iter()
    .fold(0, |fails, verdict| fails | crate::risk::fail(true, verdict))
}

/// What waits here reserves too: without a price to reserve at it is not taken.
pub(crate) fn no_collar(price: i64) -> Fails {
    crate::risk::fail(price == i64::MIN || price == i64::MAX, Verdict::ReferenceAbsent)
}

impl Engine {
    /// Row of an order's terms; meaningless unless it holds them.
    #[inline(always)]
    pub(crate) fn terms_row(&self, order_seq: u64) -> usize {
        order_seq as usize & (self.config.terms_max - 1)
    }

    /// The terms of an order, while they are remembered; `None` for a plain one.
    pub fn order_terms(&self, order_seq: u64) -> Option<&Terms> {
        let terms = &self.order_terms[self.terms_row(order_seq)];
        (order_seq != 0 && terms.order_seq == order_seq).then_some(terms)
    }

    pub(crate) fn terms_mut(&mut self, order_seq: u64) -> Option<&mut Terms> {
        let row = self.terms_row(order_seq);
        let terms = &mut self.order_terms[row];
        (order_seq != 0 && terms.order_seq == order_seq).then_some(terms)
    }

    /// Whether a new order of this number finds its row free.
    fn terms_free(&self, order_seq: u64) -> bool {
        let terms = &self.order_terms[self.terms_row(order_seq)];
        terms.order_seq == 0
            || (terms.state & (DUE | RACED) == 0
                && !self.order(terms.order_seq).is_some_and(Order::live)
                && self.order_terms(terms.group_seq).is_none_or(|first| first.legs_live == 0))
    }

    /// Keeps the terms that a session offers for its next command.
    #[cold]
    pub(crate) fn take_offer(&mut self, terms: &OrderTerms) -> Verdict {
        let session = terms.session_id as usize;
        if session >= self.sessions.len() || self.sessions[session].defined == 0 {
            return Verdict::SessionUnknown;
        }
        self.offers_count += u64::from(self.offers[session].is_none());
        self.offers[session] = Some(*terms);
        self.reopen(); // until it is taken, the next order of any session is judged in full
        Verdict::Accepted
    }

    /// Forgets what a session has offered and no command has taken: nobody may find it before an order
    /// of his own. Called by whoever hands over an offer and its command, once the command is through.
    pub fn drop_offer(&mut self, session_id: u16) {
        self.offer_of(session_id);
    }

    /// Whether a session has offered terms that no command of its has taken yet.
    pub(crate) fn has_offer(&self, session_id: u16) -> bool {
        self.offers_count != 0 && self.offers.get(session_id as usize).is_some_and(Option::is_some)
    }

    pub(crate) fn offer_of(&mut self, session_id: u16) -> Option<OrderTerms> {
        let offer = self.offers.get_mut(session_id as usize)?.take();
        self.offers_count -= u64::from(offer.is_some());
        offer
    }

    /// Takes a new order that carries terms, or should; `None`: it is a plain one after all.
    #[cold]
    pub(crate) fn step_terms<L: Log, O: Outbox>(
        &mut self,
        c: &NewOrder,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) -> Option<Verdict> {
        let offer = self.offer_of(c.session_id);
        let tagged = c.tags & TAG_TERMS != 0;
        if !tagged && offer.is_none() {
            return None;
        }
        self.refresh_row(c.account_id, c.instrument_id);
        let told = offer.unwrap_or(OrderTerms::ZERO);
        let (judged, fault) = self.decide_terms(c, tagged, offer.as_ref(), now_ns, log.room());
        if let Seen::Repeated(row) = judged.seen {
            let (id, session) = (&c.cl_ord_id, c.session_id);
            return Some(self.repeat(row, id, session, c.header.event_seq, now_ns, log));
        }
        if judged.verdict != Verdict::Accepted {
            let numbers = fault.map(|fault| (fault.value, fault.bound));
            return Some(self.refuse_new(c, &judged, numbers, now_ns, log));
        }
        OrderAccepted::build(log.slot(0), c, self.acceptance(&judged, now_ns));
        let mut terms = told;
        terms.header = header(OrderTerms::KIND, judged.order_seq, now_ns);
        terms.parent_order_seq = c.parent_order_seq;
        (terms.session_id, terms.reference_px) = (c.session_id, 0);
        if c.ord_type == OrdType::Pegged as u8 {
            terms.stop_px = c.price;
            let buy = c.side == Side::Buy as u8;
            let priced = self.peg_price(c.instrument_id, buy, &Peg::of(&terms));
            terms.reference_px = priced.expect("judged").1;
        }
        let native = self.venues[judged.venue_id as usize].flags & layout::VENUE_ICEBERG != 0;
        if !native || terms.exec_inst & EXEC_ICEBERG_HERE != 0 {
            terms.shown_qty = terms.max_floor;
        }
        if c.ord_type == OrdType::TrailingStop as u8 {
            let buy = c.side == Side::Buy as u8;
            let at = self.trail_start(c.instrument_id, buy, terms.exec_inst);
            terms.reference_px = at.expect("judged");
            terms.stop_px = self.trailed(c.instrument_id, buy, &terms, terms.reference_px);
        }
        *OrderTerms::view_mut(log.slot(1)) = terms;
        let held = waits_for_price(c.ord_type) || self.waits_for_leg(&terms);
        let mut count = 2;
        if !held {
            let pegged = c.ord_type == OrdType::Pegged as u8;
            let message = Message {
                price: if pegged { judged.price } else { c.price },
                order_qty: match terms.shown_qty {
                    0 => c.order_qty,
                    shown => c.order_qty.min(shown),
                },
                ord_type: street_type(c.ord_type) as u8,
                ..self.new_message(c, &judged, now_ns)
            };
            Terms::of(&terms, c.ord_type, judged.price).build_routed(log.slot(2), message);
            self.tell_effect(log.slot(2), c.account_id, c.tags);
            count = 3;
        }
        self.commit(log, count);
        if !held {
            outbox.push(Routed::from_record(log.last(2)).expect("just built"));
        }
        self.counters.accepted += 1;
        Some(Verdict::Accepted)
    }

    /// Whether the terms of a new order make it wait for another leg.
    pub(crate) fn waits_for_leg(&self, terms: &OrderTerms) -> bool {
        terms.group_seq != 0 && waits_for_leg(terms.contingency)
    }

    /// Judges a new order with terms and changes nothing; a fault has the numbers of a verdict of ours.
    fn decide_terms(
        &self,
        c: &NewOrder,
        tagged: bool,
        offer: Option<&OrderTerms>,
        now_ns: i64,
        room: u64,
    ) -> (Judged, Option<Fault>) {
        let session = self.sessions.get(c.session_id as usize);
        let entitled = session.is_none_or(|s| s.account_id == 0 || s.account_id == c.account_id);
        let mut judged = self.judged_new(c);
        if let Some(offer) = offer {
            judged.body_hash ^= offer_hash(offer);
        }
        if self.answered(&mut judged, &c.cl_ord_id, c.session_id, entitled, now_ns) {
            return (judged, None);
        }
        let Some(t) = offer.filter(|_| tagged) else {
            judged.verdict = Verdict::TermsMissing;
            let (tags, offered) = (c.tags as i64, i64::from(offer.is_some()));
            return (judged, Some(Fault { verdict: judged.verdict, value: tags, bound: offered }));
        };
        let held = waits_for_price(c.ord_type) || self.waits_for_leg(t);
        // The plain order that it is, or will be, judged as: the types and times in force of terms
        // are judged behind it.
        let mut probe = *c;
        if OrdType::from_code(c.ord_type).is_some() {
            probe.ord_type = street_type(c.ord_type) as u8;
        }
        if c.ord_type == OrdType::Pegged as u8 {
            let peg = Peg::of(&OrderTerms { stop_px: c.price, ..*t });
            let i = self.instruments.get(c.instrument_id as usize);
            let priced = self.peg_price(c.instrument_id, c.side == Side::Buy as u8, &peg);
            // Without a reference that check is what fails, not the price.
            let none = match i {
                _ if c.price != 0 => c.price,
                Some(i) if i.bid != NO_PRICE => i.bid,
                Some(i) => i.tick.value,
                None => 0,
            };
            judged.price = priced.map_or(none, |(price, _)| price);
            probe.price = judged.price;
        }
        if matches!(
            TimeInForce::from_code(c.time_in_force),
            Some(TimeInForce::Gtd | TimeInForce::AtOpen | TimeInForce::AtClose)
        ) {
            probe.time_in_force = TimeInForce::Day as u8;
        }
        let market = probe.ord_type == OrdType::Market as u8;
        if market {
            let instrument = self.instruments.get(c.instrument_id as usize);
            let trail = c.ord_type == OrdType::TrailingStop as u8;
            let stop_px = (!trail).then_some(t.stop_px);
            judged.price = instrument.map_or(0, |i| {
                self.collar(i, c.side == Side::Buy as u8, stop_px, waits_for_price(c.ord_type))
            });
        }
        judged.order_seq = self.free_order_seq_where(now_ns, |seq| self.terms_free(seq));
        let mut fails = self.findings_new(&probe, &judged, now_ns, room);
        if held {
            fails &= !at_release();
            fails |= no_collar(judged.price);
        }
        let known = self.instruments.get(c.instrument_id as usize).is_some_and(|i| i.defined == 2);
        // Beyond the tables there is nothing to judge the terms by: the plain checks refuse it.
        let placed = known
            && (c.account_id as usize) < self.accounts.len()
            && (judged.venue_id as usize) < self.venues.len();
        let own = if placed { self.check_own_terms(c, t, &judged, held, now_ns) } else { Ok(()) };
        // A table of terms that is full looks like one of orders that is.
        let rows = crate::risk::fail(judged.order_seq == 0, Verdict::OrderTableFull);
        if judged.order_seq == 0 && fails == rows && self.live_count < self.orders.len() as u64 {
            judged.verdict = Verdict::TermsTableFull;
            let rows = self.config.terms_max as i64;
            return (judged, Some(Fault { verdict: judged.verdict, value: rows, bound: rows }));
        }
        judged.verdict = first(fails);
        if judged.verdict == Verdict::Accepted
            && let Err(fault) = own
        {
            judged.verdict = fault.verdict;
            return (judged, Some(fault));
        }
        let instrument = &self.instruments[if known { c.instrument_id as usize } else { 0 }];
        if known {
            (judged.bid_ticks, judged.ask_ticks, judged.reference_age_ms) =
                self.reference_ticks(instrument, judged.price, now_ns);
        }
        (judged, None)
    }

    /// The price at which an order that goes out as a market order reserves: the far edge of the band,
    /// or, while it waits for a stop, a band beyond the stop where that is worse.
    pub(crate) fn collar(
        &self,
        i: &Instrument,
        buy: bool,
        stop_px: Option<i64>,
        waits: bool,
    ) -> i64 {
        let edge = if buy { i.band_high } else { i.band_low };
        let unset = i.reference_faults != 0 || edge == i64::MIN || edge == i64::MAX;
        let stop = stop_px.filter(|&stop| stop != 0).map(|stop| {
            let band = i.band_of(stop);
            if buy { stop.saturating_add(band) } else { stop.saturating_sub(band) }
        });
        let worst = match stop {
            // A sell's obligation is the larger at the higher price.
            Some(stop) if waits => {
                if unset {
                    stop
                } else {
                    stop.max(edge)
                }
            }
            _ => edge,
        };
        if worst == i64::MIN || worst == i64::MAX {
            return worst;
        }
        i.inward(worst, buy)
    }

    /// The fields of the terms themselves, in the order of the catalogue.
    fn check_own_terms(
        &self,
        c: &NewOrder,
        t: &OrderTerms,
        judged: &Judged,
        held: bool,
        now_ns: i64,
    ) -> Result<(), Fault> {
        let i = &self.instruments[c.instrument_id as usize];
        let venue = &self.venues[judged.venue_id as usize];
        let ord_type = OrdType::from_code(c.ord_type);
        let priced = waits_for_price(c.ord_type);
        let trailing = ord_type == Some(OrdType::TrailingStop);
        let pegged = ord_type == Some(OrdType::Pegged);
        let limited = street_type(c.ord_type) == OrdType::Limit;
        // What a type does not take is refused, never ignored.
        let not_taken = [
            (t.stop_px != 0 && (!priced || trailing), core::mem::offset_of!(OrderTerms, stop_px)),
            (t.trail != 0 && !trailing, core::mem::offset_of!(OrderTerms, trail)),
            (t.min_qty != 0, core::mem::offset_of!(OrderTerms, min_qty)),
            (t.peg_offset != 0 && !pegged, core::mem::offset_of!(OrderTerms, peg_offset)),
            (t.peg_type != 0 && !pegged, core::mem::offset_of!(OrderTerms, peg_type)),
            (t.contingency != 0 && pegged, core::mem::offset_of!(OrderTerms, contingency)),
            (t.shown_qty != 0, core::mem::offset_of!(OrderTerms, shown_qty)),
            (t.leg_ref != 0, core::mem::offset_of!(OrderTerms, leg_ref)),
            (t.trigger != 0, core::mem::offset_of!(OrderTerms, trigger)),
            (t.parent_order_seq != 0, core::mem::offset_of!(OrderTerms, parent_order_seq)),
            (t.reference_px != 0, core::mem::offset_of!(OrderTerms, reference_px)),
            (
                t.max_floor != 0 && (!limited || pegged),
                core::mem::offset_of!(OrderTerms, max_floor),
            ),
            (c.tags & TAG_PARENT != 0, core::mem::offset_of!(OrderTerms, header)),
        ];
        if let Some((_, offset)) = not_taken.iter().find(|(wrong, _)| *wrong) {
            return fault(Verdict::TermsNotAllowed, c.ord_type as i64, *offset as i64);
        }
        let tick = i.tick.value;
        if priced && !trailing {
            self.check_stop_px(c.instrument_id, t.stop_px)?;
        }
        if trailing {
            let ppm = t.exec_inst & EXEC_TRAIL_PPM != 0;
            let bound = if ppm { 1_000_000 } else { i64::MAX };
            if t.trail <= 0 || t.trail >= bound || (!ppm && !i.tick.divides(t.trail)) {
                return fault(Verdict::TrailInvalid, t.trail, if ppm { bound } else { tick });
            }
            let buy = c.side == Side::Buy as u8;
            if self.trail_start(c.instrument_id, buy, t.exec_inst).is_none() {
                return fault(Verdict::TrailReferenceAbsent, 0, 0);
            }
        }
        self.check_expiry(c, t, venue.trade_day, now_ns)?;
        let phase = if i.phase != 0 { i.phase } else { venue.phase };
        self.check_phase(c.time_in_force, phase, held)?;
        let allowed = match (limited, priced) {
            _ if pegged => EXEC_REDUCE_ONLY,
            (true, _) if t.max_floor != 0 => EXEC_TAKEN | EXEC_ICEBERG_HERE,
            (true, _) => EXEC_TAKEN,
            (false, true) => EXEC_TAKEN & !EXEC_POST_ONLY,
            (false, false) => EXEC_REDUCE_ONLY,
        };
        if !held {
            let order = Order {
                side: c.side,
                tags: c.tags,
                instrument_id: c.instrument_id,
                account_id: c.account_id,
                ..Order::default()
            };
            self.check_exec_inst(&order, t.exec_inst & allowed, c.price, c.order_qty)?;
        }
        let floor = t.max_floor;
        let parts = if floor > 0 { c.order_qty / floor } else { 0 };
        let wrong = floor < 0 || floor > c.order_qty || (floor != 0 && !i.lot.divides(floor));
        if wrong || parts > PARTS_MAX {
            return fault(Verdict::MaxFloorInvalid, floor, c.order_qty);
        }
        self.check_group(c, t, judged.venue_id)?;
        let ppm_alone = t.exec_inst & EXEC_TRAIL_PPM != 0 && !trailing;
        let quote_alone = t.exec_inst & EXEC_BY_QUOTE != 0 && !priced;
        if t.exec_inst & !allowed != 0 || ppm_alone || quote_alone {
            return fault(Verdict::ExecInstInvalid, t.exec_inst as i64, allowed as i64);
        }
        let peg = PegType::from_code(t.peg_type).filter(|&peg| peg != PegType::None);
        if pegged && (peg.is_none() || !i.tick.divides(t.peg_offset)) {
            return fault(Verdict::PegInvalid, t.peg_type as i64, tick);
        }
        let pair = (c.account_id, c.instrument_id);
        self.check_leg(pair, (c.side == Side::Buy as u8, c.tags), c.order_qty)
    }

    pub(crate) fn check_stop_px(&self, instrument_id: u32, stop_px: i64) -> Result<(), Fault> {
        let i = &self.instruments[instrument_id as usize];
        let negative_fine = i.flags & layout::FLAG_NEGATIVE_PRICES != 0;
        if stop_px == NO_PRICE || (stop_px <= 0 && !negative_fine) || !i.tick.divides(stop_px) {
            return fault(Verdict::StopPxInvalid, stop_px, i.tick.value);
        }
        Ok(())
    }

    fn check_expiry(
        &self,
        c: &NewOrder,
        t: &OrderTerms,
        trade_day: u16,
        now_ns: i64,
    ) -> Result<(), Fault> {
        let gtd = c.time_in_force == TimeInForce::Gtd as u8;
        let (time, day) = (t.expire_time_ns, t.expire_day);
        match (gtd, time != 0, day != 0) {
            (false, false, false) => Ok(()),
            (true, true, false) if time > now_ns => Ok(()),
            (true, false, true) if day >= trade_day => Ok(()),
            (true, false, true) => fault(Verdict::ExpireInvalid, day as i64, trade_day as i64),
            _ => fault(Verdict::ExpireInvalid, time, now_ns),
        }
    }

    /// At-open is for before the opening, at-close for the time before the close; what is held here
    /// carries neither, since it could meet its trigger in any phase.
    fn check_phase(&self, tif: u8, phase: u8, held: bool) -> Result<(), Fault> {
        let is = |code: TimeInForce| tif == code as u8;
        let before_open = phase == Phase::PreOpen as u8 || phase == Phase::Auction as u8;
        let wrong = (is(TimeInForce::AtOpen) && (held || !before_open))
            || (is(TimeInForce::AtClose) && (held || !phase_takes_orders(phase)));
        if wrong {
            return fault(Verdict::PhaseNotForTif, phase as i64, tif as i64);
        }
        Ok(())
    }

    /// Post-only and reduce-only, when the order is about to leave. What it already reserves itself
    /// (a held order) is not counted against it.
    pub(crate) fn check_exec_inst(
        &self,
        order: &Order,
        exec_inst: u8,
        price: i64,
        order_qty: i64,
    ) -> Result<(), Fault> {
        let i = &self.instruments[order.instrument_id as usize];
        if exec_inst & EXEC_POST_ONLY != 0 {
            let against = if order.is_buy() { i.ask } else { i.bid };
            let crosses = against != NO_PRICE
                && if order.is_buy() { price >= against } else { price <= against };
            mutant!(post_only_at_the_touch: crosses = crosses && price != against);
            if crosses {
                return fault(Verdict::PostOnlyCrosses, price, against);
            }
        }
        if exec_inst & EXEC_REDUCE_ONLY != 0 {
            let own = if order.live() { order.exposure(self.replace_rule(order)).qty } else { 0 };
            let left = self.reducible(order, own);
            if order_qty > left {
                return fault(Verdict::ReduceOnlyExceeds, order_qty, left);
            }
        }
        Ok(())
    }

    /// Post-only and reduce-only of an order at the venue, when a replace of it is about to leave.
    pub(crate) fn check_replaced_terms(
        &self,
        order: &Order,
        price: i64,
        order_qty: i64,
    ) -> Result<(), Fault> {
        match self.order_terms(order.order_seq) {
            Some(terms) => {
                self.check_exec_inst(order, terms.exec_inst, price, order_qty - order.cum_qty)
            }
            None => Ok(()),
        }
    }

    /// What an order may still close: of the position, or of its leg, what no other order closes.
    fn reducible(&self, order: &Order, own: i64) -> i64 {
        let (account_id, instrument_id) = (order.account_id, order.instrument_id);
        if self.hedges(account_id) {
            let (buy, tags) = (order.is_buy(), order.tags);
            let left = self.leg_left(account_id, instrument_id, buy, tags, own);
            return if crate::legs::closes(tags) { left.max(0) } else { 0 };
        }
        let row = &self.rows[self.pair(account_id, instrument_id)];
        let side = side_index(order.is_buy());
        let others = row.open_qty[side].saturating_sub(own);
        mutant!(reduce_only_ignores_open_orders: others = 0);
        0i64.saturating_sub(row.signed_net(side)).saturating_sub(others).max(0)
    }

    // Fold ----------------------------------------------------------------------------------------

    /// Folds the terms of an accepted order into its row, its indexes and its group.
    #[cold]
    pub(crate) fn enter_terms(&mut self, e: &OrderTerms) {
        let slot = self.slot(e.header.order_seq);
        assert!(self.terms_free(e.header.order_seq));
        let order = self.orders[slot];
        let row = self.terms_row(e.header.order_seq);
        self.order_terms[row] = Terms::of(e, order.ord_type, order.price);
        if e.expire_time_ns != 0 {
            self.timers.insert(RIPE, row, e.expire_time_ns, e.header.order_seq);
        }
        if e.exec_inst & EXEC_REDUCE_ONLY != 0 {
            self.reducing.insert(order.instrument_id as usize, row, 0, e.header.order_seq);
            self.reducing_count += 1;
        }
        if e.contingency != 0 {
            self.join_group(row, e.group_seq);
        }
        if order.ord_type == OrdType::Pegged as u8 {
            self.pegs.insert(order.instrument_id as usize, row, 0, e.header.order_seq);
            self.watched[order.instrument_id as usize] += 1;
        }
        let for_leg = self.waits_for_leg(e);
        if for_leg || waits_for_price(order.ord_type) {
            self.orders[slot].base = layout::OrdStatus::Held as u8;
            if !for_leg && !self.rival_has_left(e.header.order_seq) {
                self.arm(e.header.order_seq);
            }
        } else if e.shown_qty != 0 && e.shown_qty < order.order_qty {
            self.order_terms[row].slice_end = e.shown_qty;
        }
    }

    /// After a change of an order that has terms: what ended leaves every index, and its group learns
    /// of fills and ends.
    #[cold]
    pub(crate) fn follow_terms(&mut self, slot: usize, was_live: bool, filled: bool) {
        let order = self.orders[slot];
        let row = self.terms_row(order.order_seq);
        let terms = self.order_terms[row];
        if terms.order_seq != order.order_seq {
            return;
        }
        if !was_live && order.live() {
            // Brought back by a fact of the venue: what it left at its end, it enters again.
            if terms.expire_time_ns != 0 {
                self.timers.insert(RIPE, row, terms.expire_time_ns, order.order_seq);
            }
            if terms.exec_inst & EXEC_REDUCE_ONLY != 0 {
                self.reducing.insert(order.instrument_id as usize, row, 0, order.order_seq);
                self.reducing_count += 1;
            }
            if let Some(first) = self.terms_mut(terms.group_seq) {
                first.legs_live += 1;
            }
            if terms.peg_type != 0 {
                self.pegs.insert(order.instrument_id as usize, row, 0, order.order_seq);
                self.watched[order.instrument_id as usize] += 1;
            }
        }
        if was_live && !order.live() {
            self.disarm(order.order_seq);
            self.timers.remove(row);
            self.reducing_count -= u64::from(self.reducing.remove(row));
            if self.pegs.remove(row) {
                self.watched[order.instrument_id as usize] -= 1;
            }
            let terms = &mut self.order_terms[row];
            self.due_count -= u64::from(terms.state & DUE != 0);
            self.due_count -= u64::from(terms.state & GROW != 0);
            terms.state &= !(DUE | GROW);
        }
        self.retry_timer(row);
        if terms.state & (DUE | GROW) != 0 {
            self.wake_parked();
        }
        self.follow_group(slot, was_live, filled);
        if terms.slice_end != 0 {
            self.follow_slice(slot);
        }
    }
}
