//! The simulator's only randomness: a seeded splitmix64 and latencies from a table of quantiles.
//! Integers only, so that every machine draws alike. Owned by the venue that was seeded with it.

use serde::{Deserialize, Serialize};

/// splitmix64 (Steele, Lea, Flood 2014): one word of state, every seed a good one.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in 0..`bound`, without a bias that matters below 2^32.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0);
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// True in `ppm` of a million draws.
    pub fn happens(&mut self, ppm: u32) -> bool {
        self.below(1_000_000) < u64::from(ppm)
    }
}

/// Quantiles (i + 1/2) / 64 of a lognormal with sigma 0.6, in thousandths of its median.
const LOGNORMAL: [u32; 64] = [
    234, 303, 347, 383, 413, 441, 466, 490, 513, 535, 556, 577, 597, 618, 638, 657, 677, 697, 716,
    736, 756, 776, 796, 816, 836, 857, 878, 899, 921, 943, 965, 988, 1012, 1036, 1061, 1086, 1112,
    1139, 1167, 1196, 1226, 1257, 1289, 1323, 1359, 1396, 1435, 1477, 1521, 1569, 1619, 1674, 1733,
    1798, 1870, 1950, 2041, 2146, 2270, 2421, 2613, 2878, 3295, 4265,
];

/// One way to or from the venue: `floor_ns` plus a lognormal part with this median.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Never less than this.
    pub floor_ns: i64,
    /// Median of what comes on top.
    pub median_ns: i64,
}

impl Latency {
    /// Draws one latency, linear between the quantiles.
    pub fn draw(&self, random: &mut Random) -> i64 {
        let bits = random.next_u64();
        let index = (bits >> 58) as usize;
        let (low, high) = (LOGNORMAL[index], LOGNORMAL[(index + 1).min(63)]);
        let share = i64::from((bits >> 32) as u16);
        let thousandths = (i64::from(low) << 16) + i64::from(high - low) * share;
        let part = (i128::from(self.median_ns) * i128::from(thousandths)) / (1000 << 16);
        self.floor_ns + part as i64 // the table ends at 4.3 medians
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_have_their_floor_and_median() {
        let (mut random, latency) = (Random::new(7), Latency { floor_ns: 50, median_ns: 1000 });
        let mut drawn: Vec<i64> = (0..10_001).map(|_| latency.draw(&mut random)).collect();
        drawn.sort_unstable();
        assert!(drawn[0] >= 50 + 230);
        assert!((1000..1100).contains(&drawn[5_000]), "{}", drawn[5_000]);
    }

    #[test]
    fn a_rate_of_zero_never_happens_and_of_a_million_always() {
        let mut random = Random::new(1);
        assert!((0..1000).all(|_| !random.happens(0) && random.happens(1_000_000)));
    }
}
