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

/// What a run over the checks collects. The hot path stops at the first finding and asks no more
/// than whether there is one; only then are all of them collected, to tell the first in precedence.
/// One body of checks serves both.
pub(crate) trait Findings {
    /// Takes one check's result; `true`: look no further.
    fn note(&mut self, failed: bool, verdict: Verdict) -> bool;
}

/// Stops at the first finding.
pub(crate) struct Any;

impl Findings for Any {
    #[inline(always)]
    fn note(&mut self, failed: bool, _: Verdict) -> bool {
        failed
    }
}

/// Collects every finding as a bit.
pub(crate) struct All(pub Fails);

impl Findings for All {
    #[inline(always)]
    fn note(&mut self, failed: bool, verdict: Verdict) -> bool {
        self.0 |= fail(failed, verdict);
        false
    }
}

/// Notes a check and leaves the function with `true` where that ends the run.
macro_rules! check {
    ($findings:expr, $failed:expr, $verdict:ident) => {
        if $findings.note($failed, layout::Verdict::$verdict) {
            return true;
        }
    };
}
pub(crate) use check;

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

    /// The price and quantity checks of its terms; a market order has no price of its own to judge.
    #[inline(always)]
    pub(crate) fn check_terms<F: Findings>(
        &self,
        f: &mut F,
        price: i64,
        order_qty: i64,
        market: bool,
    ) -> bool {
        if !market {
            let negative_fine = self.flags & layout::FLAG_NEGATIVE_PRICES != 0;
            check!(f, price <= 0 && !negative_fine, PriceNotPositive);
            check!(f, !self.tick.divides(price), PriceOffTick);
        }
        check!(f, !self.lot.divides(order_qty), QtyOffLot);
        check!(f, order_qty < self.qty_min, QtyBelowMin);
        check!(f, order_qty > self.qty_max, QtyAboveMax);
        false
    }

    /// The reference and band checks, closed by default: stale, absent, crossed, locked.
    #[inline(always)]
    pub(crate) fn check_reference<F: Findings>(&self, f: &mut F, price: i64, now_ns: i64) -> bool {
        let stale = now_ns.saturating_sub(self.reference_time_ns) > self.reference_age_ns_max;
        if self.reference_fails != 0 {
            let has = |verdict: Verdict| self.reference_fails & fail(true, verdict) != 0;
            check!(f, has(Verdict::ReferenceAbsent), ReferenceAbsent);
            check!(f, has(Verdict::ReferenceCrossed), ReferenceCrossed);
            check!(f, has(Verdict::ReferenceLocked), ReferenceLocked);
        }
        check!(f, stale && self.flags & layout::FLAG_NO_BAND == 0, ReferenceStale);
        check!(f, price > self.band_high, PriceAboveBand);
        check!(f, price < self.band_low, PriceBelowBand);
        false
    }

    /// Whether there is a rate, and a fresh one.
    #[inline(always)]
    pub(crate) fn check_rate<F: Findings>(&self, f: &mut F, now_ns: i64) -> bool {
        check!(f, !self.factor.known(), RateAbsent);
        check!(f, now_ns > self.rate_stale_ns, RateStale);
        false
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
    pub(crate) throttle: Throttle,
    pub(crate) defined: u8,
    pub(crate) mode: u8,
    pub(crate) limited: u8,
    pub(crate) pad: [u8; 5],
    pub(crate) order_qty_max: i64,

    // Read when a row's limits are brought up to date, never by a decision.
    pub(crate) order_notional_max: i64,
    pub(crate) cold: [u64; 7],
}

/// A sliding window over the sends of one scope; their times lie in a table beside it.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes)]
#[repr(C)]
pub struct Throttle {
    /// Sends counted so far.
    pub(crate) sends: u64,
    /// Before this time the window is full: the `orders_max`-th last send is younger than the window.
    pub(crate) open_ns: i64,
    pub(crate) window_ns: i64,
    pub(crate) orders_max: u32,
    pub(crate) pad: u32,
}

impl Throttle {
    /// Counts one send; `times` is the scope's own ring, a power of two long.
    #[inline]
    pub(crate) fn count(&mut self, times: &mut [i64], now_ns: i64) {
        if self.orders_max != 0 {
            times[self.sends as usize & (times.len() - 1)] = now_ns;
            self.sends += 1;
            self.reckon(times);
        }
    }

    /// New bounds over the sends already counted.
    pub(crate) fn bound(&mut self, times: &[i64], orders_max: u32, window_ns: i64) {
        (self.orders_max, self.window_ns) = (orders_max, window_ns);
        self.reckon(times);
    }

    #[inline]
    fn reckon(&mut self, times: &[i64]) {
        self.open_ns = if self.orders_max == 0 || self.sends < self.orders_max as u64 {
            i64::MIN
        } else {
            let oldest = (self.sends - self.orders_max as u64) as usize & (times.len() - 1);
            times[oldest].saturating_add(self.window_ns)
        };
    }
}

const _: () = assert!(size_of::<Account>() == 192);

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
    pub(crate) throttle: Throttle,
    pub(crate) account_id: u32,
    pub(crate) defined: u8,
    pub(crate) mode: u8,
    pub(crate) pad: [u8; 2],
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
pub(crate) fn check_exposure<F: Findings>(
    f: &mut F,
    row: &RiskRow,
    account: &Account,
    factor: &Factor,
    buy: bool,
    qty: i64,
    points: i128,
) -> bool {
    let (signed_net, open_qty) =
        if buy { (row.net_qty, row.open_buy_qty) } else { (-row.net_qty, row.open_sell_qty) };
    let worst_qty = signed_net.saturating_add(open_qty).saturating_add(qty);
    // What stays between the position and zero reduces it; a change that adds nothing on its side (a
    // replace downwards) is no new risk either.
    if worst_qty <= 0 || (qty <= 0 && points <= 0) {
        return false;
    }
    let (long, short) = (row.worst_long(), row.worst_short());
    let (side_old, other) = if buy { (long, short) } else { (short, long) };
    let side_new = side_old + points;
    let gross_new = side_new.max(other).max(0);
    let side_sum = if buy { account.worst_long } else { account.worst_short };
    check!(f, worst_qty > row.net_qty_max, NetQtyLimit);
    check!(f, gross_new > row.gross_points_max, InstrumentGrossLimit);
    // Neither sum grows by more than the order's own value, rounded up twice: far from the limits
    // one conversion shows that both hold.
    let grows_max = factor.micro(points.max(0)) + 2;
    if side_sum + grows_max > account.net_max || account.gross + grows_max > account.gross_max {
        let gross_old = side_old.max(other).max(0);
        let side_delta = factor.micro(side_new) - factor.micro(side_old);
        let gross_delta = factor.micro(gross_new) - factor.micro(gross_old);
        check!(f, side_sum + side_delta > account.net_max, AccountNetLimit);
        check!(f, account.gross + gross_delta > account.gross_max, AccountGrossLimit);
    }
    false
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
