//! The short way of a plain new order: limit, day to fill-or-kill, no parent, its instrument's own
//! venue, an id never seen, everything open. It says yes or nothing: what it does not know at a glance
//! is judged by the catalogue in `gate`, which alone refuses. Called by the pipeline before that.
//!
//! What is open or closed for all orders of an account in an instrument is looked at once and kept as
//! a stamp in the risk row; any rare event ends that, and so do terms offered by any session. What depends on the quote is worked out once a
//! quote. What must stay true: a yes here is a yes of every check there (asserted in debug builds).

use crate::bounds::{RATES, REPEATS, SHORTS, SUMS, Scopes};
use crate::dedup::{self, Entry};
use crate::gate::{Judged, Seen, at};
use crate::order::{Exposure, QUERIED};
use crate::risk::{Any, Weight, phase_takes_orders, side_index};
use crate::{Engine, number};
use layout::{KillMode, LinkState, NO_TICKS, NewOrder, OrdType, Side, TimeInForce, Verdict};
use zerocopy::IntoBytes;

/// What a judgement has worked out that folding its event needs again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub id_hash: u64,
    pub entry: Option<Entry>,
    pub points: i128,
    pub weight: Weight,
}

/// Side, type, time in force and tags of a command as one number.
const fn kind(side: Side, ord_type: OrdType, time_in_force: TimeInForce, tags: u8) -> u32 {
    side as u32 | (ord_type as u32) << 8 | (time_in_force as u32) << 16 | (tags as u32) << 24
}
/// Each byte of a plain kind is at least this one, and above it in these bits alone: a byte that is
/// below borrows, and shows in its high bits.
const KIND_LEAST: u32 = kind(Side::Buy, OrdType::Limit, TimeInForce::Day, 0);
const KIND_MOST: u32 = kind(Side::SellShortExempt, OrdType::Limit, TimeInForce::Fok, 0x3f);
const KIND_BITS: u32 = KIND_MOST - KIND_LEAST;
const _: () = assert!(KIND_BITS == 0x3f03_0003);

impl Engine {
    /// Judges a new order that is plain in every way; `None`: the catalogue decides.
    #[inline(always)]
    pub(crate) fn judge_plain(
        &self,
        c: &NewOrder,
        now_ns: i64,
        room: u64,
    ) -> Option<(Judged, Plan)> {
        // First what may have to come from far: the rest is judged while it is on its way.
        let id_hash = dedup::id_hash(&c.cl_ord_id, c.session_id);
        self.dedup.prefetch(id_hash);
        let words: &[u32; 32] = zerocopy::transmute_ref!(c);
        let odd = words[core::mem::offset_of!(NewOrder, side) / 4].wrapping_sub(KIND_LEAST);
        let session = self.sessions.get(c.session_id as usize)?;
        let strategy = self.strategies.get(c.strategy_id as usize)?;
        let account = self.accounts.get(c.account_id as usize)?;
        let instrument = self.instruments.get(c.instrument_id as usize)?;
        let row = self.rows.get(self.pair(c.account_id, c.instrument_id))?;
        if odd & !KIND_BITS != 0
            || c.parent_order_seq != 0
            || row.open_stamp != self.open_stamp
            || c.venue_id != 0 && c.venue_id != instrument.venue_id
            || session.account_id != 0 && session.account_id != c.account_id
            || u16::from_le_bytes([session.defined, session.mode]) != 1
            || u16::from_le_bytes([strategy.defined, strategy.mode]) != 1
            || c.trader_id != 0 && self.check_trader(&mut Any, c.trader_id, c.order_qty)
        {
            return None;
        }

        let (price, qty) = (c.price, c.order_qty);
        if now_ns > instrument.plain_until_ns
            || price < instrument.plain_low
            || price > instrument.plain_high
            || qty < instrument.qty_min
            || qty > instrument.qty_max
            || qty > row.order_qty_max
            || instrument.lot.quotient(qty as u64).is_none()
            || now_ns < session.throttle.open_ns
            || now_ns < account.throttle.open_ns
        {
            return None;
        }
        let number = instrument.tick.quotient(price as u64)? as i64;

        let side = side_index(c.side == Side::Buy as u8);
        let points = number::points(price, qty);
        let weight = row.weigh_near(&instrument.factor, side, points)?;
        let worst_qty = row.signed_net(side).checked_add(row.open_qty[side])?.checked_add(qty)?;
        if points >= number::POINTS_MAX || points > row.order_points_max {
            return None;
        }
        // What reduces the position is bound by none of these.
        if (worst_qty > row.net_qty_max
            || account.worst[side] + weight.side > account.net_max
            || account.gross + weight.gross > account.gross_max)
            && worst_qty > 0
        {
            return None;
        }

        let entry = self.dedup.free_entry(id_hash)?;
        let last = &self.orders[self.slot(self.next_order_seq)];
        let forgotten_ns = last.end_time_ns.checked_add(self.config.id_ttl_ns)?;
        if !arch::is_padded_text(&c.cl_ord_id)
            || last.order_seq != 0
                && (last.live() || last.flight & QUERIED != 0 || forgotten_ns > now_ns)
            || room < self.config.log_reserve
            || self.fills.len() >= self.fills_high
        {
            return None;
        }

        let ticks =
            |reference: i64| i32::try_from(reference.wrapping_sub(number)).unwrap_or(NO_TICKS);
        let judged = Judged {
            verdict: Verdict::Accepted,
            seen: Seen::New,
            body_hash: crate::gate::body_hash(c.as_bytes().try_into().expect("a record")),
            id_hash,
            order_seq: self.next_order_seq,
            price,
            venue_id: instrument.venue_id,
            bid_ticks: ticks(instrument.bid_number),
            ask_ticks: ticks(instrument.ask_number),
            reference_age_ms: instrument.reference_age_ms(now_ns),
        };
        if self.bounds.kinds != 0 && self.stopped_by_bounds(c, now_ns) {
            return None;
        }
        debug_assert!(!self.check_new(&mut Any, c, &judged, now_ns, room));
        Some((judged, Plan { id_hash, entry: Some(entry), points, weight }))
    }

    /// Whether a limit beyond those of the pair and its account stops an order that is else plain.
    #[inline(never)]
    fn stopped_by_bounds(&self, c: &NewOrder, now_ns: i64) -> bool {
        let kinds = self.bounds.kinds;
        let (pair, f) = ((c.account_id, c.instrument_id), &mut Any);
        let of = (c.side == Side::Buy as u8, c.tags);
        let more = Exposure { qty: c.order_qty, points: number::points(c.price, c.order_qty) };
        kinds & SUMS != 0 && self.check_sums(f, pair, of, more, now_ns)
            || kinds & RATES != 0 && self.check_rates(f, &Scopes::of(c), now_ns)
            || kinds & SHORTS != 0 && self.check_short(f, pair, c.side, c.order_qty)
            || kinds & REPEATS != 0
                && (self.repeated(c, now_ns).is_some() || self.repeats_full(c, now_ns))
    }

    /// Looks at all that is open or closed for every order of a pair, and remembers that it is open.
    pub(crate) fn open_pair(&mut self, account_id: u32, instrument_id: u32) {
        let account = at(&self.accounts, account_id as usize);
        let instrument = at(&self.instruments, instrument_id as usize);
        let venue = at(&self.venues, instrument.venue_id as usize);
        let open = self.desk_mode == KillMode::Open as u8
            && self.offers_count == 0
            && self.recovering == 0
            && (account.defined, account.limited, account.mode) == (1, 1, KillMode::Open as u8)
            && account.hedging == 0
            && (instrument.defined, instrument.mode) == (2, KillMode::Open as u8)
            && instrument.flags & layout::FLAG_RESTRICTED == 0
            && (instrument.phase == 0 || phase_takes_orders(instrument.phase))
            && instrument.factor.known()
            && instrument.factor.has_near()
            && (venue.defined, venue.mode) == (1, KillMode::Open as u8)
            && phase_takes_orders(venue.phase)
            && venue.link == LinkState::Up as u8;
        if !open {
            return;
        }
        let pair = self.pair(account_id, instrument_id);
        let row = &mut self.rows[pair];
        if row.limits_stamp == self.limits_stamp && row.gross_points_max >= 0 {
            row.open_stamp = self.open_stamp;
        }
    }
}
