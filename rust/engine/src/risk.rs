//! The rows a decision reads, and the checks on them: pure functions over one line each. Rows are
//! written by `apply` alone. What must stay true (I24): what a row holds open is exactly the fold of
//! `Order::exposure` over the orders of its account and instrument: the live ones, and those that ended
//! while fills of them were missing.

use crate::number::{Divisor, Factor};
use arch::mutant;
use layout::{KillMode, NO_PRICE, Phase, Quote, Verdict};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A bit per verdict; the lowest set bit is the one told.
pub type Fails = u128;

/// The bit of `verdict` if `failed`.
#[inline(always)]
pub const fn fail(failed: bool, verdict: Verdict) -> Fails {
    (failed as u128) << verdict as u16
}

/// What a run over the checks collects. The hot path stops at the first finding and asks no more
/// than whether there is one; only then are all of them collected, to tell the first in precedence.
/// One body of checks serves both.
pub(crate) trait Findings {
    /// Takes one check's result; `true`: look no further.
    fn note(&mut self, failed: bool, verdict: Verdict) -> bool;

    /// As `note`, of a number and its bound, for who wants to tell them.
    #[inline(always)]
    fn over(&mut self, value: i128, bound: i128, verdict: Verdict) -> bool {
        self.note(value > bound, verdict)
    }

    /// Tells one verdict instead of another that was found.
    #[inline(always)]
    fn instead(&mut self, _of: Verdict, _tell: Verdict) {}
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

    fn instead(&mut self, of: Verdict, tell: Verdict) {
        if self.0 & fail(true, of) != 0 {
            self.0 = self.0 & !fail(true, of) | fail(true, tell);
        }
    }
}

/// Notes a check and leaves the function with `true` where that ends the run.
macro_rules! check {
    ($findings:expr, $value:expr, $bound:expr, $verdict:ident) => {
        if $findings.over($value, $bound, layout::Verdict::$verdict) {
            return true;
        }
    };
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
    if fails == 0 {
        return Verdict::Accepted;
    }
    Verdict::from_code(fails.trailing_zeros() as u16).unwrap_or(Verdict::Accepted)
}

/// One instrument: five lines; a plain order reads the first three.
#[derive(Clone, Copy, Debug, FromBytes, Immutable)]
#[repr(C, align(64))]
pub struct Instrument {
    pub(crate) tick: Divisor,
    pub(crate) lot: Divisor,

    pub(crate) qty_min: i64,
    pub(crate) qty_max: i64,
    pub(crate) reference_time_ns: i64,
    /// Prices and times at which no check of the price, its band or its rate can fail, worked out once
    /// a quote; what lies outside is judged by those checks.
    pub(crate) plain_low: i64,
    pub(crate) plain_high: i64,
    pub(crate) plain_until_ns: i64,
    /// Bid and offer as numbers of ticks; `i64::MIN` for what is none.
    pub(crate) bid_number: i64,
    pub(crate) ask_number: i64,

    pub(crate) factor: Factor,
    pub(crate) last_time_ns: i64,
    pub(crate) flags: u32,
    pub(crate) venue_id: u16,
    pub(crate) currency_id: u16,
    pub(crate) defined: u8,
    pub(crate) mode: u8,
    pub(crate) phase: u8,
    /// What is wrong with the reference, bits of `FAULT_*`.
    pub(crate) reference_faults: u8,
    pub(crate) pad: [u8; 4],
    pub(crate) order_qty_max: i64,
    pub(crate) rate_stale_ns: i64,
    pub(crate) last_px: i64,

    pub(crate) bid: i64,
    pub(crate) ask: i64,
    pub(crate) band_low: i64,
    pub(crate) band_high: i64,
    pub(crate) reference_age_ns_max: i64,
    pub(crate) multiplier: i64,
    pub(crate) band: i64,
    pub(crate) bid_qty: i64,
    pub(crate) ask_qty: i64,
    pub(crate) book: u64,
    /// The price set by a person, where that is the reference.
    pub(crate) set_px: i64,
    pub(crate) margin: i64,
    /// As `factor`, of an amount of its currency.
    pub(crate) unit_factor: Factor,
    pub(crate) sector_id: u32,
    pub(crate) pad2: u32,
}

/// No reference.
const FAULT_ABSENT: u8 = 1;
/// Not above zero where it must be.
const FAULT_NOT_POSITIVE: u8 = 2;
const FAULT_CROSSED: u8 = 4;
const FAULT_LOCKED: u8 = 8;

/// Highest price of a plain order: distances of two such fit.
const PLAIN_PRICE_MAX: i64 = 1 << 61;

impl Instrument {
    /// Takes a new best bid and offer.
    #[inline]
    pub(crate) fn set_reference(&mut self, bid: i64, ask: i64) {
        (self.bid, self.ask) = (bid, ask);
        self.judge_reference();
    }

    /// Takes a trade's price and time.
    #[inline]
    pub(crate) fn set_last(&mut self, px: i64, now_ns: i64) {
        (self.last_px, self.last_time_ns) = (px, now_ns);
        if self.flags & layout::FLAG_BY_LAST != 0 {
            self.reference_time_ns = now_ns;
            self.judge_reference();
        }
    }

    /// What prices are checked against: bid and offer, or the last trade, or a set price, twice.
    #[inline(always)]
    pub(crate) fn reference(&self) -> (i64, i64) {
        if self.flags & (layout::FLAG_BY_LAST | layout::FLAG_BY_SET) == 0 {
            (self.bid, self.ask)
        } else if self.flags & layout::FLAG_BY_SET != 0 {
            (self.set_px, self.set_px)
        } else {
            (self.last_px, self.last_px)
        }
    }

    /// The band and the reference's faults are worked out here, once a quote, not once an order.
    #[inline]
    pub(crate) fn judge_reference(&mut self) {
        let (low, high) = self.reference();
        let absent = low == NO_PRICE || high == NO_PRICE;
        let no_band = self.flags & layout::FLAG_NO_BAND != 0;
        let one = self.flags & (layout::FLAG_BY_LAST | layout::FLAG_BY_SET) != 0;
        let locked_fine = one || self.flags & layout::FLAG_LOCKED_FINE != 0;
        let not_positive =
            (low <= 0 || high <= 0) && self.flags & layout::FLAG_NEGATIVE_PRICES == 0;
        let bit = |failed: bool, fault: u8| u8::from(failed) * fault;
        self.reference_faults = if no_band {
            0
        } else {
            bit(absent, FAULT_ABSENT)
                | bit(!absent && not_positive, FAULT_NOT_POSITIVE)
                | bit(!absent && low > high, FAULT_CROSSED)
                | bit(!absent && low == high && !locked_fine, FAULT_LOCKED)
        };
        if no_band || absent {
            (self.band_low, self.band_high) = (i64::MIN, i64::MAX);
        } else {
            self.band_low = low.saturating_sub(self.band_of(low));
            self.band_high = high.saturating_add(self.band_of(high));
            mutant!(band_edge_excluded => self.band_high -= 1);
            mutant!(band_open_below => self.band_low = 0);
        }
        self.ready();
    }

    /// Takes the time of a quote.
    #[inline]
    pub(crate) fn set_reference_time(&mut self, now_ns: i64) {
        if self.flags & (layout::FLAG_BY_LAST | layout::FLAG_BY_SET) == 0 {
            self.reference_time_ns = now_ns;
            self.ready_until();
        }
    }

    /// Works out the bounds of plain prices: positive, within the band, far from where numbers end.
    #[inline]
    fn ready(&mut self) {
        let numbered = |price: i64| {
            let number = u64::try_from(price).ok().and_then(|p| self.tick.quotient(p));
            number.map_or(i64::MIN, |number| number as i64)
        };
        let (low, high) = self.reference();
        (self.bid_number, self.ask_number) = (numbered(low), numbered(high));
        let near = |price: i64| price == NO_PRICE || (0..=PLAIN_PRICE_MAX).contains(&price);
        if self.reference_faults == 0 && near(low) && near(high) {
            self.plain_low = self.band_low.max(1);
            self.plain_high = self.band_high.min(PLAIN_PRICE_MAX);
        } else {
            (self.plain_low, self.plain_high) = (i64::MAX, 0);
        }
        self.ready_until();
    }

    /// Works out until when quote and rate hold.
    #[inline]
    pub(crate) fn ready_until(&mut self) {
        let reference_until_ns = if self.flags & layout::FLAG_NO_BAND != 0 {
            i64::MAX
        } else {
            self.reference_time_ns.saturating_add(self.reference_age_ns_max)
        };
        self.plain_until_ns = reference_until_ns.min(self.rate_stale_ns);
    }

    /// The last price on the tick that is not beyond an edge of the band.
    #[inline]
    pub(crate) fn inward(&self, edge: i64, buy: bool) -> i64 {
        let tick = self.tick.value.max(1);
        let over = edge.rem_euclid(tick);
        match (over, buy) {
            (0, _) => edge,
            (_, true) => edge.saturating_sub(over),
            (_, false) => edge.saturating_add(tick - over),
        }
    }

    #[inline]
    pub(crate) fn band_of(&self, price: i64) -> i64 {
        if self.flags & layout::FLAG_BAND_PPM == 0 {
            return self.band;
        }
        let size = price.saturating_abs();
        (size / 1_000_000)
            .saturating_mul(self.band)
            .saturating_add((size % 1_000_000).saturating_mul(self.band) / 1_000_000)
    }

    /// Age of bid and offer, saturating.
    #[inline(always)]
    pub(crate) fn reference_age_ms(&self, now_ns: i64) -> u16 {
        let age_ns = now_ns.saturating_sub(self.reference_time_ns).max(0);
        // 1 ms = 10^6 ns; u64 by a constant is a multiplication.
        (age_ns as u64 / 1_000_000).min(u16::MAX as u64) as u16
    }

    /// Best bid and offer as the gate sees them; their time is the reference's.
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
        mutant!(stale_quote_believed: stale = false);
        if self.reference_faults != 0 {
            let has = |fault: u8| self.reference_faults & fault != 0;
            check!(f, has(FAULT_ABSENT), ReferenceAbsent);
            check!(f, has(FAULT_NOT_POSITIVE), ReferenceNotPositive);
            check!(f, has(FAULT_CROSSED), ReferenceCrossed);
            check!(f, has(FAULT_LOCKED), ReferenceLocked);
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
    /// Worst long and worst short, by `side_index`.
    pub(crate) worst: [i128; 2],
    pub(crate) gross_max: i128,

    pub(crate) net_max: i128,
    pub(crate) throttle: Throttle,
    pub(crate) defined: u8,
    pub(crate) mode: u8,
    pub(crate) limited: u8,
    /// Whether it keeps its legs apart now.
    pub(crate) hedging: u8,
    /// Its number among the accounts that ever did, from 1; 0: it never did.
    pub(crate) legs: u32,
    pub(crate) order_qty_max: i64,

    // Read when a row's limits are brought up to date, never by a decision.
    pub(crate) order_notional_max: i64,
    /// Most gross in one instrument, whole units of desk currency; `i64::MAX`: no limit.
    pub(crate) share_max: i64,
    pub(crate) cold: [u64; 6],
}

/// A sliding window over the sends of one scope; their times lie in a table beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, Immutable, IntoBytes)]
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
    /// How many a burst lets through within one window.
    pub(crate) fn bursting(orders_max: u32, burst: u8) -> u32 {
        orders_max.saturating_mul(u32::from(burst.max(1)))
    }

    /// Counts one send; the scope's own ring begins at `first` of `times` and is a power of two long.
    #[inline(always)]
    pub(crate) fn count(&mut self, times: &mut [i64], first: usize, len: usize, now_ns: i64) {
        let max = self.orders_max as u64;
        if max == 0 {
            return;
        }
        mutant!(throttle_allows_one_more: max = max + 1);
        times[first + (self.sends as usize & (len - 1))] = now_ns;
        self.sends += 1;
        if self.sends >= max {
            let oldest = (self.sends - max) as usize & (len - 1);
            self.open_ns = times[first + oldest].saturating_add(self.window_ns);
            // The line after it, for the sends to come; at the ring's end it is another's, harmlessly.
            if let Some(ahead) = times.get(first + oldest + 8) {
                arch::prefetch_read(ahead);
            }
        }
    }

    /// New bounds over the sends already counted.
    pub(crate) fn bound(
        &mut self,
        times: &[i64],
        first: usize,
        len: usize,
        orders_max: u32,
        window_ns: i64,
    ) {
        mutant!(new_limits_forget_what_was_sent => self.sends = 0);
        (self.orders_max, self.window_ns) = (orders_max, window_ns);
        self.open_ns = if self.orders_max == 0 || self.sends < self.orders_max as u64 {
            i64::MIN
        } else {
            let oldest = (self.sends - self.orders_max as u64) as usize & (len - 1);
            times[first + oldest].saturating_add(self.window_ns)
        };
    }
}

const _: () = assert!(size_of::<Account>() == 192);

impl Account {
    /// Gross notional over its instruments, larger side of each, desk currency at 1e-6.
    pub fn gross_micro(&self) -> i128 {
        self.gross
    }

    /// Whether it keeps its long and short legs apart.
    pub fn hedging(&self) -> bool {
        self.hedging != 0
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
#[repr(C, align(64))]
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
    pub(crate) utc_offset_min: i32,
    pub(crate) day_roll_min: u16,
    pub(crate) queue_rule: u8,
    /// Seconds after which a message without an answer is asked about, 0 for never.
    pub(crate) answer_s: u8,
    /// Account that adopts orders found there and unknown here; 0: they are flagged.
    pub(crate) adopts: u32,
    pub(crate) pad3: u32,
    /// When its last days opened, newest first.
    pub(crate) opened_ns: [i64; DAYS],
    pub(crate) opened_day: [u16; DAYS],
    /// When its present clock began, 0 for ever; before it another one stood.
    pub(crate) clock_ns: i64,
    pub(crate) was_offset_min: i32,
    pub(crate) was_roll_min: u16,
    pub(crate) was_flags: u16,
}

/// Openings of trading days that a venue's row remembers.
pub const DAYS: usize = 8;

impl Venue {
    /// The trading day of a moment: by the venue's calendar where it is told, else by the days it
    /// opened; a moment of no time, or before all of them, counts to the present day.
    pub fn day_of(&self, time_ns: i64) -> u16 {
        const MINUTE: i64 = 60_000_000_000;
        if time_ns <= 0 {
            return self.trade_day;
        }
        let (flags, offset_min, roll_min) = self.clock_at(time_ns);
        if flags & layout::VENUE_CALENDAR != 0 {
            let rolled = match roll_min {
                0 => 0,
                roll => 1440 - i64::from(roll),
            };
            let minutes = time_ns.div_euclid(MINUTE) + i64::from(offset_min) + rolled;
            return minutes.div_euclid(1440).clamp(0, u16::MAX as i64) as u16;
        }
        let opened = self.opened_ns.iter().position(|&ns| ns != 0 && ns <= time_ns);
        opened.map_or(self.trade_day, |at| self.opened_day[at])
    }

    /// Whether a moment has a trading day of its own, and does not merely count to the present one.
    pub(crate) fn dates(&self, time_ns: i64) -> bool {
        let calendar = self.clock_at(time_ns).0 & layout::VENUE_CALENDAR != 0;
        time_ns > 0 && (calendar || self.opened_ns.iter().any(|&ns| ns != 0 && ns <= time_ns))
    }

    /// The clock of a moment: flags, offset from UTC and roll of the day.
    fn clock_at(&self, time_ns: i64) -> (u8, i32, u16) {
        mutant!(clocks_never_changed => return (self.flags, self.utc_offset_min, self.day_roll_min));
        if time_ns < self.clock_ns {
            (self.was_flags as u8, self.was_offset_min, self.was_roll_min)
        } else {
            (self.flags, self.utc_offset_min, self.day_roll_min)
        }
    }

    /// Takes its definition at a moment: what came before is dated by the clock that stood then.
    pub(crate) fn define(&mut self, e: &layout::Definition) {
        let calendar = |flags: u8| flags & layout::VENUE_CALENDAR;
        let was = (calendar(self.flags), self.utc_offset_min, self.day_roll_min);
        if self.defined != 0 && was != (calendar(e.flags), e.utc_offset_min, e.day_roll_min) {
            self.clock_ns = e.header.ingest_time_ns;
            (self.was_flags, self.was_offset_min) = (self.flags.into(), self.utc_offset_min);
            self.was_roll_min = self.day_roll_min;
        }
        (self.defined, self.flags, self.adopts) = (1, e.flags, e.parent_id);
        (self.utc_offset_min, self.day_roll_min) = (e.utc_offset_min, e.day_roll_min);
        (self.queue_rule, self.answer_s) = (e.queue_rule, e.answer_s);
    }

    /// Whether an overfill there stops it: `VENUE_OVERFILL_STOPS`.
    pub fn overfill_stops(&self) -> bool {
        self.flags & layout::VENUE_OVERFILL_STOPS != 0
    }

    /// Whether the end of an ExecID(17) tells its version there: `VENUE_EXEC_ID_VERSIONS`.
    pub(crate) fn tells_versions(&self) -> bool {
        self.flags & layout::VENUE_EXEC_ID_VERSIONS != 0
    }

    /// Last sequence we gave out on its link.
    pub fn link_seq_out(&self) -> u32 {
        self.link_seq_out
    }
    /// Last sequence of its that is in the log.
    pub fn link_seq_in(&self) -> u32 {
        self.link_seq_in
    }
    /// Its present trading day, in days since 1970; 0 before the first opened.
    pub fn trade_day(&self) -> u16 {
        self.trade_day
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

/// Account x instrument: position, what is open, and its limits in the units of the checks.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes)]
#[repr(C, align(128))]
pub struct RiskRow {
    pub(crate) net_qty: i64,
    /// Open buys and open sells, by `side_index`.
    pub(crate) open_qty: [i64; 2],
    pub(crate) net_qty_max: i64,
    pub(crate) open_cost: i128,
    pub(crate) open: [i128; 2],

    pub(crate) order_points_max: i128,
    pub(crate) gross_points_max: i128,
    pub(crate) order_qty_max: i64,
    /// The engine's stamp when the limits above were worked out.
    pub(crate) limits_stamp: u32,
    /// The engine's stamp when all that is open or closed for the whole pair was found open.
    pub(crate) open_stamp: u32,
}

const _: () = assert!(size_of::<RiskRow>() == 128);

/// Place of a side in pairs: buys 0, every kind of sell 1. A number, so that no branch depends on
/// what half of the orders are.
#[inline(always)]
pub(crate) const fn side_index(buy: bool) -> usize {
    !buy as usize
}

/// What more points on one side of a row make of its account's sums.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weight {
    /// What the account's sum of that side grows by, desk currency at 1e-6.
    pub side: i128,
    /// What the account's gross grows by.
    pub gross: i128,
}

impl RiskRow {
    /// Points of the worst long: the open position and every open buy.
    #[inline(always)]
    pub(crate) fn worst_long(&self) -> i128 {
        self.open_cost + self.open[0]
    }
    /// Points of the worst short.
    #[inline(always)]
    pub(crate) fn worst_short(&self) -> i128 {
        self.open[1] - self.open_cost
    }
    /// The larger side: what this instrument adds to the account's gross.
    #[inline(always)]
    pub(crate) fn gross(&self) -> i128 {
        self.worst_long().max(self.worst_short()).max(0)
    }
    /// Net position as a side sees it: its own direction is positive.
    #[inline(always)]
    pub(crate) fn signed_net(&self, side: usize) -> i64 {
        let sign = -(side as i64); // sells: all ones, and the negation needs no branch
        (self.net_qty ^ sign).wrapping_sub(sign)
    }
    /// Position after all of a side and so much more has filled, its own direction positive.
    #[inline(always)]
    pub(crate) fn worst_qty(&self, side: usize, more: i64) -> i64 {
        self.signed_net(side).saturating_add(self.open_qty[side]).saturating_add(more)
    }
    /// Whether more would be open on a side than its number holds twice. That binds what reduces too: a
    /// position is a fact of any size, and a doubt counts what is open twice.
    #[inline(always)]
    pub(crate) fn open_too_large(&self, side: usize, more: i64) -> bool {
        mutant!(closing_orders_are_not_bound => return false);
        more > 0 && self.open_qty[side].saturating_add(more) > crate::number::OPEN_MAX
    }
    /// Points of the worst case of one side and of the other.
    #[inline(always)]
    fn sides(&self, side: usize) -> (i128, i128) {
        let sign = -(side as i128);
        let cost = (self.open_cost ^ sign) - sign;
        (self.open[side & 1] + cost, self.open[!side & 1] - cost)
    }
    /// As `weigh`, where all sums are near and the limit of this row's gross holds afterwards; `None`
    /// where not.
    #[inline(always)]
    pub(crate) fn weigh_near(&self, factor: &Factor, side: usize, points: i128) -> Option<Weight> {
        let (was, other) = self.sides(side);
        let is = was + points;
        let sizes = was.unsigned_abs() | is.unsigned_abs() | other.unsigned_abs();
        debug_assert!(self.gross_points_max >= 0);
        if !factor.is_near(sizes) || is > self.gross_points_max || other > self.gross_points_max {
            return None;
        }
        let (was, is) = (factor.micro_near(was), factor.micro_near(is));
        let other = factor.micro_near(other & !(other >> 127)); // 0 where it is below
        Some(Weight { side: (is - was) as i128, gross: (is.max(other) - was.max(other)) as i128 })
    }
    /// What `points` more of open orders on one side mean.
    #[inline(always)]
    pub(crate) fn weigh(&self, factor: &Factor, side: usize, points: i128) -> Weight {
        let (was, other) = self.sides(side);
        let is = was + points;
        // Monotone: the larger side's value is the larger value.
        let (was_micro, is_micro) = (factor.micro(was), factor.micro(is));
        let other_micro = factor.micro(other).max(0);
        Weight {
            side: is_micro - was_micro,
            gross: is_micro.max(other_micro) - was_micro.max(other_micro),
        }
    }
    /// Net position.
    pub fn net_qty(&self) -> i64 {
        self.net_qty
    }
    /// Quantity of open buys and of open sells, worst case.
    pub fn open_qty(&self) -> (i64, i64) {
        (self.open_qty[0], self.open_qty[1])
    }
    /// Value of open buys and of open sells in points at 1e-18, worst case.
    pub fn open_points(&self) -> (i128, i128) {
        (self.open[0], self.open[1])
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
    let side = side_index(buy);
    let worst_qty = row.worst_qty(side, qty);
    check!(f, row.open_too_large(side, qty), NetQtyLimit);
    mutant!(closing_ignores_open_orders => if row.signed_net(side) <= -qty { return false });
    // What stays between the position and zero reduces it; a change that adds nothing on its side (a
    // replace downwards) is no new risk either.
    if worst_qty <= 0 || (qty <= 0 && points <= 0) {
        return false;
    }
    let weight = row.weigh(factor, side, points);
    let (was, other) = row.sides(side);
    let most = row.net_qty_max;
    mutant!(position_limit_ignored: most = i64::MAX);
    check!(f, worst_qty > most, NetQtyLimit);
    check!(f, (was + points).max(other).max(0) > row.gross_points_max, InstrumentGrossLimit);
    check!(f, account.worst[side] + weight.side > account.net_max, AccountNetLimit);
    check!(f, account.gross + weight.gross > account.gross_max, AccountGrossLimit);
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
