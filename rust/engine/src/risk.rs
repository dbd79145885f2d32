//! The rows a decision reads, and the checks on them: pure functions over one line each. Rows are
//! written by `apply` alone. What must stay true (I24): what a row holds open is exactly the fold of
//! `Order::exposure` over the live orders of its account and instrument.

use crate::number::{Divisor, Factor};
use layout::{KillMode, NO_PRICE, Phase, Quote, Verdict};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A bit per verdict; the lowest set bit is the one told.
pub type Fails = u64;

/// The bit of `verdict` if `failed`.
#[inline(always)]
pub const fn fail(failed: bool, verdict: Verdict) -> Fails {
    (failed as u64) << verdict as u16
}

/// The verdict told of several.
#[inline(always)]
pub fn first(fails: Fails) -> Verdict {
    Verdict::from_code(fails.trailing_zeros() as u16).unwrap_or(Verdict::Accepted)
}

/// One instrument: four lines; the gate reads the first three.
#[derive(Clone, Copy, Debug, FromBytes, Immutable)]
#[repr(C, align(64))]
pub struct Instrument {
    pub(crate) tick: Divisor,
    pub(crate) lot: Divisor,

    pub(crate) qty_min: i64,
    pub(crate) qty_max: i64,
    pub(crate) bid: i64,
    pub(crate) ask: i64,
    pub(crate) band_low: i64,
    pub(crate) band_high: i64,
    pub(crate) reference_time_ns: i64,
    pub(crate) reference_age_ns_max: i64,

    pub(crate) factor: Factor,
    pub(crate) reference_fails: Fails,
    pub(crate) flags: u32,
    pub(crate) venue_id: u16,
    pub(crate) currency_id: u16,
    pub(crate) defined: u8,
    pub(crate) mode: u8,
    pub(crate) phase: u8,
    pub(crate) pad: [u8; 5],
    pub(crate) order_qty_max: i64,
    pub(crate) rate_stale_ns: i64,
    pub(crate) last_px: i64,

    pub(crate) multiplier: i64,
    pub(crate) band: i64,
    pub(crate) bid_qty: i64,
    pub(crate) ask_qty: i64,
    pub(crate) book: u64,
}

impl Instrument {
    /// Takes a new best bid and offer: the band and the reference's faults are worked out here, once a
    /// quote, not once an order.
    #[inline]
    pub(crate) fn set_reference(&mut self, bid: i64, ask: i64) {
        (self.bid, self.ask) = (bid, ask);
        let absent = bid == NO_PRICE || ask == NO_PRICE;
        let no_band = self.flags & layout::FLAG_NO_BAND != 0;
        let locked_fine = self.flags & layout::FLAG_LOCKED_FINE != 0;
        let not_positive = (bid <= 0 || ask <= 0) && self.flags & layout::FLAG_NEGATIVE_PRICES == 0;
        self.reference_fails = if no_band {
            0
        } else {
            fail(absent || not_positive, Verdict::ReferenceAbsent)
                | fail(!absent && bid > ask, Verdict::ReferenceCrossed)
                | fail(!absent && bid == ask && !locked_fine, Verdict::ReferenceLocked)
        };
        if no_band || absent {
            (self.band_low, self.band_high) = (i64::MIN, i64::MAX);
        } else {
            self.band_low = bid.saturating_sub(self.band_of(bid));
            self.band_high = ask.saturating_add(self.band_of(ask));
        }
    }

    #[inline]
    fn band_of(&self, price: i64) -> i64 {
        if self.flags & layout::FLAG_BAND_PPM == 0 {
            return self.band;
        }
        let size = price.saturating_abs();
        (size / 1_000_000)
            .saturating_mul(self.band)
            .saturating_add((size % 1_000_000).saturating_mul(self.band) / 1_000_000)
    }

    /// Best bid and offer as the gate sees them.
    pub fn quote(&self) -> Quote {
        let mut quote = Quote::ZERO;
        (quote.bid_px, quote.ask_px) = (self.bid, self.ask);
        (quote.bid_qty, quote.ask_qty) = (self.bid_qty, self.ask_qty);
        quote.transact_time_ns = self.reference_time_ns;
        quote
    }

    /// Contract multiplier, 1e-9.
    pub fn multiplier(&self) -> i64 {
        self.multiplier
    }

    /// Last traded price seen, `NO_PRICE` for none.
    pub fn last_px(&self) -> i64 {
        self.last_px
    }

    /// Whether its terms are known.
    pub fn defined(&self) -> bool {
        self.defined == 2
    }

    /// Currency of its prices.
    pub fn currency_id(&self) -> u16 {
        self.currency_id
    }

    /// Its own venue.
    pub fn venue_id(&self) -> u16 {
        self.venue_id
    }

    /// The price and quantity checks of its terms.
    #[inline(always)]
    pub(crate) fn check_terms(&self, price: i64, order_qty: i64) -> Fails {
        let negative_fine = self.flags & layout::FLAG_NEGATIVE_PRICES != 0;
        fail(price <= 0 && !negative_fine, Verdict::PriceNotPositive)
            | fail(!self.tick.divides(price), Verdict::PriceOffTick)
            | fail(!self.lot.divides(order_qty), Verdict::QtyOffLot)
            | fail(order_qty < self.qty_min, Verdict::QtyBelowMin)
            | fail(order_qty > self.qty_max, Verdict::QtyAboveMax)
    }

    /// The reference and band checks, closed by default: stale, absent, crossed, locked.
    #[inline(always)]
    pub(crate) fn check_reference(&self, price: i64, now_ns: i64) -> Fails {
        let stale = now_ns.saturating_sub(self.reference_time_ns) > self.reference_age_ns_max;
        self.reference_fails
            | fail(stale && self.flags & layout::FLAG_NO_BAND == 0, Verdict::ReferenceStale)
            | fail(price > self.band_high, Verdict::PriceAboveBand)
            | fail(price < self.band_low, Verdict::PriceBelowBand)
    }
}

/// One account: limits, sums over its instruments, throttle.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes)]
#[repr(C, align(64))]
pub struct Account {
    pub(crate) gross: i128,
    pub(crate) worst_long: i128,
    pub(crate) worst_short: i128,
    pub(crate) gross_max: i128,

    pub(crate) net_max: i128,
    pub(crate) sends: u64,
    pub(crate) window_ns: i64,
    pub(crate) orders_max: u32,
    pub(crate) parent_id: u32,
    pub(crate) defined: u8,
    pub(crate) mode: u8,
    pub(crate) limited: u8,
    pub(crate) level: u8,
    pub(crate) currency_id: u32,
    pub(crate) order_qty_max: i64,
    pub(crate) order_notional_max: i64,
}

const _: () = assert!(size_of::<Account>() == 128);

impl Account {
    /// Gross notional over its instruments, larger side of each, desk currency at 1e-6.
    pub fn gross_micro(&self) -> i128 {
        self.gross
    }
}

/// One client session.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes)]
#[repr(C)]
pub struct Session {
    pub(crate) sends: u64,
    pub(crate) window_ns: i64,
    pub(crate) orders_max: u32,
    pub(crate) account_id: u32,
    pub(crate) defined: u8,
    pub(crate) mode: u8,
    pub(crate) pad: [u8; 6],
}

/// One venue.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes)]
#[repr(C)]
pub struct Venue {
    pub(crate) link_seq_out: u32,
    pub(crate) link_seq_in: u32,
    pub(crate) trade_day: u16,
    pub(crate) defined: u8,
    pub(crate) mode: u8,
    pub(crate) phase: u8,
    pub(crate) link: u8,
    pub(crate) replace_rule: u8,
    pub(crate) flags: u8,
}

impl Venue {
    /// Last sequence we gave out on its link.
    pub fn link_seq_out(&self) -> u32 {
        self.link_seq_out
    }
    /// Last sequence of its that is in the log.
    pub fn link_seq_in(&self) -> u32 {
        self.link_seq_in
    }
    /// Phase as a code.
    pub fn phase(&self) -> u8 {
        self.phase
    }
    /// Link state as a code.
    pub fn link(&self) -> u8 {
        self.link
    }
    /// Replace rule as a code.
    pub fn replace_rule(&self) -> u8 {
        self.replace_rule
    }
}

/// A strategy or a trader.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes)]
#[repr(C)]
pub struct Entity {
    pub(crate) defined: u8,
    pub(crate) mode: u8,
}

/// A currency's rate into desk currency.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes)]
#[repr(C)]
pub struct Currency {
    pub(crate) rate: i64,
    pub(crate) rate_time_ns: i64,
    pub(crate) age_s_max: u32,
    pub(crate) defined: u32,
}

/// Limits of one account in one instrument as given; `present` 0: none of its own.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes)]
#[repr(C)]
pub struct Cell {
    pub(crate) order_qty_max: i64,
    pub(crate) order_notional_max: i64,
    pub(crate) net_qty_max: i64,
    pub(crate) gross_notional_max: i64,
    pub(crate) present: u64,
}

/// Account x instrument: position, what is open, and its limits in the units of the checks.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes)]
#[repr(C, align(128))]
pub struct RiskRow {
    pub(crate) net_qty: i64,
    pub(crate) open_buy_qty: i64,
    pub(crate) open_sell_qty: i64,
    pub(crate) net_qty_max: i64,
    pub(crate) open_cost: i128,
    pub(crate) open_buy: i128,

    pub(crate) open_sell: i128,
    pub(crate) order_points_max: i128,
    pub(crate) gross_points_max: i128,
    pub(crate) order_qty_max: i64,
    pub(crate) limits_stamp: u64,
}

const _: () = assert!(size_of::<RiskRow>() == 128);

impl RiskRow {
    /// Points of the worst long: the open position and every open buy.
    #[inline(always)]
    pub(crate) fn worst_long(&self) -> i128 {
        self.open_cost + self.open_buy
    }
    /// Points of the worst short.
    #[inline(always)]
    pub(crate) fn worst_short(&self) -> i128 {
        self.open_sell - self.open_cost
    }
    /// The larger side: what this instrument adds to the account's gross.
    #[inline(always)]
    pub(crate) fn gross(&self) -> i128 {
        self.worst_long().max(self.worst_short()).max(0)
    }
    /// Net position.
    pub fn net_qty(&self) -> i64 {
        self.net_qty
    }
    /// Quantity of open buys and of open sells, worst case.
    pub fn open_qty(&self) -> (i64, i64) {
        (self.open_buy_qty, self.open_sell_qty)
    }
    /// Value of open buys and of open sells in points at 1e-18, worst case.
    pub fn open_points(&self) -> (i128, i128) {
        (self.open_buy, self.open_sell)
    }
    /// Signed cost of the open position in points at 1e-18.
    pub fn open_cost(&self) -> i128 {
        self.open_cost
    }
}

/// The exposure checks: what `qty` and `points` more on one side would do. What reduces the position
/// (it and all live orders of its side stay between the position and zero) is not refused.
#[inline(always)]
pub(crate) fn check_exposure(
    row: &RiskRow,
    account: &Account,
    factor: &Factor,
    buy: bool,
    qty: i64,
    points: i128,
) -> Fails {
    let (signed_net, open_qty) =
        if buy { (row.net_qty, row.open_buy_qty) } else { (-row.net_qty, row.open_sell_qty) };
    let worst_qty = signed_net.saturating_add(open_qty).saturating_add(qty);
    let reduces = worst_qty <= 0;
    let (long, short) = (row.worst_long(), row.worst_short());
    let (side_old, other) = if buy { (long, short) } else { (short, long) };
    let side_new = side_old + points;
    let gross_old = side_old.max(other).max(0);
    let gross_new = side_new.max(other).max(0);
    let side_sum = if buy { account.worst_long } else { account.worst_short };
    let mut fails = fail(worst_qty > row.net_qty_max, Verdict::NetQtyLimit)
        | fail(gross_new > row.gross_points_max, Verdict::InstrumentGrossLimit);
    // Neither sum grows by more than the order's own value, rounded up twice: far from the limits
    // one conversion shows that both hold.
    let grows_max = factor.micro(points.max(0)) + 2;
    if side_sum + grows_max > account.net_max || account.gross + grows_max > account.gross_max {
        let side_delta = factor.micro(side_new) - factor.micro(side_old);
        let gross_delta = factor.micro(gross_new) - factor.micro(gross_old);
        fails |= fail(side_sum + side_delta > account.net_max, Verdict::AccountNetLimit)
            | fail(account.gross + gross_delta > account.gross_max, Verdict::AccountGrossLimit);
    }
    // A change that adds nothing on its side (a replace downwards) is no new risk either.
    if reduces || (qty <= 0 && points <= 0) { 0 } else { fails }
}

/// Whether a mode stops new orders and replaces.
#[inline(always)]
pub(crate) const fn stops_orders(mode: u8) -> bool {
    mode >= KillMode::CancelOnly as u8
}

/// Whether a phase takes new orders.
#[inline(always)]
pub(crate) const fn phase_takes_orders(phase: u8) -> bool {
    phase == Phase::Open as u8 || phase == Phase::PreOpen as u8 || phase == Phase::Auction as u8
}
