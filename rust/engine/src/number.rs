//! Exact arithmetic of the gate without a division: divisibility by a tick or lot, and the step
//! from points x units (price x quantity, 1e-18, exact) to desk currency (1e-6).
//! Called by the gate and by `apply`; pure.

/// Divisibility by a fixed positive `d` by one multiplication (Granlund and Montgomery 1994, §9).
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    zerocopy::FromBytes,
    zerocopy::Immutable,
    zerocopy::IntoBytes,
)]
#[repr(C)]
pub struct Divisor {
    inverse: u64,
    limit: u64,
    shift: u64,
    /// The divisor itself, > 0.
    pub value: i64,
}

impl Divisor {
    /// Prepares `value`, which must be above 0.
    pub fn new(value: i64) -> Self {
        assert!(value > 0);
        let (shift, unsigned) = (value.trailing_zeros() as u64, value as u64);
        let odd = unsigned >> shift;
        let mut inverse = odd; // Newton: each round doubles the correct low bits, from 3 to 96
        for _ in 0..5 {
            inverse = inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)));
        }
        Self { inverse, limit: u64::MAX / unsigned, shift, value }
    }

    /// Whether `n` is a multiple.
    #[inline(always)]
    pub fn divides(&self, n: i64) -> bool {
        let product = n.unsigned_abs().wrapping_mul(self.inverse);
        product.rotate_right(self.shift as u32) <= self.limit
    }

    /// `n / value` if `n` is a multiple: rotated, the product of a multiple is the quotient itself.
    #[inline(always)]
    pub fn quotient(&self, n: u64) -> Option<u64> {
        let quotient = n.wrapping_mul(self.inverse).rotate_right(self.shift as u32);
        (quotient <= self.limit).then_some(quotient)
    }

    /// `n / value` for a multiple `n`; for another `n` the result means nothing.
    #[inline(always)]
    pub fn exact_quotient(&self, n: i64) -> i64 {
        (n >> self.shift).wrapping_mul(self.inverse as i64)
    }
}

/// Keys of [`fold`]: the fraction of pi, as Blowfish takes it.
pub(crate) const KEYS: [u64; 9] = [
    0x243f_6a88_85a3_08d3,
    0x1319_8a2e_0370_7344,
    0xa409_3822_299f_31d0,
    0x082e_fa98_ec4e_6c89,
    0x4528_21e6_38d0_1377,
    0xbe54_66cf_34e9_0c6c,
    0xc0ac_29b7_c97c_50dd,
    0x3f84_d5b5_b547_0917,
    0x9216_d5d9_8979_fb1b,
];

/// Folded multiplication: both halves of the product, mixed. A hash in a few instructions.
#[inline(always)]
pub(crate) const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

/// Open quantity that an account may have in an instrument on a side, without a limit of its own: twice
/// of it, which a replace in doubt counts, is still a number.
pub(crate) const OPEN_MAX: i64 = 1 << 61;

/// Points x units at 1e-18: |price x quantity| the gate and the reports accept, 2e13 points x units.
pub const POINTS_MAX: i128 = 1 << 104;

/// Points x units at 1e-18: sums of money that orders and positions may reach, either way; realised and
/// open cost together still fit.
pub const SUM_MAX: i128 = 1 << 125;

/// Most that one row counts for in desk currency at 1e-6: every row of a desk together still fits.
const MICRO_MAX: u128 = 1 << 100;

/// Whether a sum of money is within [`SUM_MAX`].
#[inline(always)]
pub(crate) const fn sum_fits(points: i128) -> bool {
    points.unsigned_abs() <= SUM_MAX as u128
}

/// Whether a quantity is one that positions take: its negation is one too.
#[inline(always)]
pub(crate) const fn qty_fits(qty: i128) -> bool {
    qty.unsigned_abs() <= i64::MAX as u128
}

/// price x quantity, exact at 1e-18.
#[inline(always)]
pub const fn points(price: i64, qty: i64) -> i128 {
    price as i128 * qty as i128
}

/// Contract multiplier x rate into desk currency, prepared as a binary fraction of 62 bits.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    zerocopy::FromBytes,
    zerocopy::Immutable,
    zerocopy::IntoBytes,
)]
#[repr(C)]
pub struct Factor {
    scaled: u64,
    shift: u64,
}

impl Factor {
    /// `multiplier` and `rate`, both > 0 at 1e-9. The fraction is rounded up by less than 1 in 2^61.
    pub fn new(multiplier: i64, rate: i64) -> Self {
        assert!(multiplier > 0);
        assert!(rate > 0);
        // micro = points_1e18 x multiplier_1e9 x rate_1e9 / 1e30
        const UNIT: u128 = 5u128.pow(30); // its powers of two join the shift
        let product = multiplier as u128 * rate as u128;
        let (mut scaled, mut rest, mut shift) = (product / UNIT, product % UNIT, 30u64);
        while scaled < 1 << 61 {
            rest <<= 1;
            scaled = scaled << 1 | u128::from(rest >= UNIT);
            rest -= if rest >= UNIT { UNIT } else { 0 };
            shift += 1;
        }
        Self { scaled: scaled as u64 + u64::from(rest != 0), shift }
    }

    /// Whether a rate was given.
    #[inline(always)]
    pub fn known(&self) -> bool {
        self.scaled != 0
    }

    /// Desk currency at 1e-6 of `points` at 1e-18, towards zero: exact for whole micro units up to
    /// 2^61 of them, so that an order of exactly its limit passes. Saturating.
    #[inline(always)]
    pub fn micro(&self, points: i128) -> i128 {
        let micro = self.micro_of(points.unsigned_abs()).min(MICRO_MAX) as i128;
        if points < 0 { -micro } else { micro }
    }

    /// The same of a size, not yet kept in its range: what a search for a bound asks often.
    #[inline(always)]
    fn micro_of(&self, size: u128) -> u128 {
        let low = (size as u64) as u128 * self.scaled as u128;
        let high = (size >> 64) * self.scaled as u128 + (low >> 64);
        if self.shift >= 64 {
            high >> (self.shift - 64)
        } else if high.leading_zeros() as u64 > 65 - self.shift {
            high << (64 - self.shift) | (low as u64 >> self.shift) as u128
        } else {
            MICRO_MAX
        }
    }

    /// Whether [`Self::micro_near`] may be asked.
    pub fn has_near(&self) -> bool {
        (64..128).contains(&self.shift)
    }

    /// Whether values of this many points are below 2^62, so that `micro_near` tells them; several
    /// sizes may be asked about at once, or-ed.
    #[inline(always)]
    pub fn is_near(&self, size: u128) -> bool {
        debug_assert!(self.has_near());
        (size >> 64) as u64 >> (self.shift.wrapping_sub(64) & 63) == 0
    }

    /// As [`Self::micro`], for points that [`Self::is_near`] holds for.
    #[inline(always)]
    pub fn micro_near(&self, points: i128) -> i64 {
        let sign = (points >> 127) as i64; // all ones below zero: no branch on what half of them are
        let size = points.unsigned_abs();
        debug_assert!(self.is_near(size));
        let low = (size as u64) as u128 * self.scaled as u128;
        let high = (size >> 64) as u64 as u128 * self.scaled as u128 + (low >> 64);
        let micro = (high >> (self.shift.wrapping_sub(64) & 63)) as i64;
        (micro ^ sign) - sign
    }

    /// The most points at 1e-18 whose value is at most `units` whole units of desk currency, so that
    /// a limit can be compared without a conversion. `i64::MAX` units: no limit.
    pub fn points_of(&self, units: i64) -> i128 {
        if units == i64::MAX {
            return i128::MAX;
        }
        let bound = (units as i128 * 1_000_000) as u128;
        let (mut low, mut high) = (-1i128, POINTS_MAX * 2); // micro() is monotone: bisect
        if units < 0 || !self.known() {
            return -1;
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.micro_of(middle as u128) <= bound { low = middle } else { high = middle }
        }
        low
    }
}

/// Desk currency at 1e-6 as whole units, rounded away from zero, saturating: the unit of notional limits.
pub fn whole_units(micro: i128) -> i64 {
    let up = (micro.abs() + 999_999) / 1_000_000;
    i64::try_from(if micro < 0 { -up } else { up }).unwrap_or(if micro < 0 {
        i64::MIN
    } else {
        i64::MAX
    })
}

/// `floor(cost x part / whole)` for 0 <= part <= whole, whole > 0, exact even where the product
/// leaves 128 bits.
pub fn share_floor(cost: i128, part: i64, whole: i64) -> i128 {
    debug_assert!(0 <= part && part <= whole && whole > 0);
    arch::mutant!(realised_rounds_up => return -(-cost * part as i128).div_euclid(whole as i128));
    match cost.checked_mul(part as i128) {
        Some(product) => product.div_euclid(whole as i128),
        None => {
            let (quotient, rest) = (cost.div_euclid(whole as i128), cost.rem_euclid(whole as i128));
            quotient * part as i128 + (rest * part as i128).div_euclid(whole as i128)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn divisibility_agrees_with_remainder(d in 1i64..=i64::MAX, n in any::<i64>(), k in -1000i64..1000) {
            let divisor = Divisor::new(d);
            prop_assert_eq!(divisor.divides(n), n.unsigned_abs() % d as u64 == 0);
            let exact = (n.unsigned_abs() % d as u64 == 0).then_some(n.unsigned_abs() / d as u64);
            prop_assert_eq!(divisor.quotient(n.unsigned_abs()), exact);
            if let Some(multiple) = d.checked_mul(k) {
                prop_assert!(divisor.divides(multiple));
                prop_assert_eq!(divisor.exact_quotient(multiple), k);
            }
        }

        #[test]
        fn micro_is_the_exact_value_for_all_but_giants(
            multiplier in 1i64..1_000_000_000_000, rate in 1i64..100_000_000_000, points in 0i128..(1i128 << 56)
        ) {
            let exact = (multiplier as u128 * rate as u128).checked_mul(points as u128).map(|p| p / 10u128.pow(30));
            if let Some(exact) = exact.filter(|&e| e < 1 << 60) {
                let factor = Factor::new(multiplier, rate);
                prop_assert!(factor.micro(points).abs_diff(exact as i128) == 0);
                prop_assert_eq!(factor.micro(-points), -(exact as i128));
            }
        }

        #[test]
        fn what_is_near_is_worth_the_same(
            multiplier in 1i64..1_000_000_000_000, rate in 1i64..100_000_000_000, bits in 0u32..127, any in any::<u128>()
        ) {
            let (factor, points) = (Factor::new(multiplier, rate), (any >> (127 - bits) >> 1) as i128);
            if factor.has_near() && factor.is_near(points as u128) {
                prop_assert_eq!(factor.micro_near(points) as i128, factor.micro(points));
                prop_assert_eq!(factor.micro_near(-points) as i128, factor.micro(-points));
            }
        }

        #[test]
        fn a_limit_in_points_says_what_the_value_says(
            multiplier in 1i64..1_000_000_000_000, rate in 1i64..100_000_000_000, units in 0i64..1_000_000_000, points in 0i128..(1i128 << 100)
        ) {
            let factor = Factor::new(multiplier, rate);
            let within = factor.micro(points) <= units as i128 * 1_000_000;
            prop_assert_eq!(points <= factor.points_of(units), within);
        }

        #[test]
        fn shares_add_up(cost in -(1i128 << 120)..(1i128 << 120), whole in 1i64..=i64::MAX, part in 0i64..=i64::MAX) {
            let part = part % (whole as u64 as i64).max(1);
            let share = share_floor(cost, part, whole);
            prop_assert!(share.unsigned_abs() <= cost.unsigned_abs());
            if let Some(product) = cost.checked_mul(part as i128) {
                prop_assert_eq!(share, product.div_euclid(whole as i128));
            }
        }
    }

    #[test]
    fn one_es_contract_at_4800_is_240_000_dollars_and_passes_a_limit_of_that() {
        let factor = Factor::new(50_000_000_000, 1_000_000_000);
        let es = points(4_800_000_000_000, 1_000_000_000);
        assert_eq!(factor.micro(es), 240_000_000_000);
        assert!(es <= factor.points_of(240_000));
        assert!(es > factor.points_of(239_999));
        assert_eq!(whole_units(factor.micro(es) + 1), 240_001);
    }
}
