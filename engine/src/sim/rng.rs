//! Chance that can be repeated: the same seed gives the same numbers, on every machine.

/// xoshiro256**, seeded by splitmix64.
#[derive(Clone, Debug)]
pub(crate) struct Rng {
    state: [u64; 4],
}

/// One step of splitmix64: a hash of one word that spreads every bit.
pub(crate) fn scramble(word: u64) -> u64 {
    let mut x = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        let mut word = seed;
        let state = core::array::from_fn(|_| {
            word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
            scramble(word)
        });
        Rng { state }
    }

    pub(crate) fn next(&mut self) -> u64 {
        let [s0, s1, s2, s3] = &mut self.state;
        let result = s1.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = *s1 << 17;
        *s2 ^= *s0;
        *s3 ^= *s1;
        *s1 ^= *s2;
        *s0 ^= *s3;
        *s2 ^= t;
        *s3 = s3.rotate_left(45);
        result
    }

    /// A number below `end`, which is not zero.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        assert!(end > 0, "there is no number below zero");
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// An index below `end`, which is not zero.
    pub(crate) fn index(&mut self, end: usize) -> usize {
        self.below(end as u64) as usize
    }

    /// A number in `low..=high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True once in `n` times on average.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// True `rate` times in a million on average.
    pub(crate) fn per_million(&mut self, rate: u32) -> bool {
        rate > 0 && self.below(1_000_000) < u64::from(rate)
    }

    /// One of the items.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.index(items.len())]
    }

    /// A size between `low` and `high`, each magnitude equally likely.
    pub(crate) fn log_between(&mut self, low: u64, high: u64) -> u64 {
        let low_bits = 64 - low.max(1).leading_zeros();
        let high_bits = 64 - high.max(1).leading_zeros();
        let bits = self.between(u64::from(low_bits), u64::from(high_bits));
        let top = if bits >= 64 { u64::MAX } else { (1 << bits) - 1 };
        self.between(low, top.clamp(low, high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_numbers_within_their_ranges() {
        let (mut a, mut b) = (Rng::new(7), Rng::new(7));
        for _ in 0..1000 {
            assert_eq!(a.next(), b.next());
            let n = a.between(3, 9);
            assert!((3..=9).contains(&n));
            assert_eq!(n, b.between(3, 9));
            let n = a.log_between(1, 100_000);
            assert!((1..=100_000).contains(&n));
            assert_eq!(n, b.log_between(1, 100_000));
        }
        assert_ne!(Rng::new(1).next(), Rng::new(2).next());
    }
}
