//! Counter-based random numbers: every draw is a function of what it is for.
//!
//! A stream is keyed by a name, the run's seed and integers such as (epoch, sample). Two threads
//! that draw for two samples never touch the same state, so results cannot depend on who came first.

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// The output function of splitmix64 (G. Steele, D. Lea, C. Flood, OOPSLA 2014).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// FNV-1a, 64 bits: spreads the names of streams.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

/// One stream of draws (splitmix64).
///
/// ```
/// use hemf_data::Draws;
/// let (seed, epoch, sample) = (7, 0, 41);
/// let mut draws = Draws::new("flip", seed, &[epoch, sample]);
/// let flip = draws.uniform() < 0.5;
/// // The same key gives the same draw, whatever was drawn in between.
/// assert_eq!(flip, Draws::new("flip", seed, &[epoch, sample]).uniform() < 0.5);
/// ```
#[derive(Clone, Debug)]
pub struct Draws {
    state: u64,
}

impl Draws {
    /// The stream called `name` of a run's `seed`, for the key given (epoch, sample, ...).
    pub fn new(name: &str, seed: u64, key: &[u64]) -> Self {
        let start = fnv1a(name) ^ seed.wrapping_mul(GAMMA);
        let state = key.iter().fold(start, |state, &part| {
            // Mixed before and after, so that (1, 2) and (2, 1) part ways.
            mix(state.wrapping_add(GAMMA) ^ mix(part.wrapping_add(GAMMA)))
        });
        Self { state }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// Uniform in [0, 1) with 53 bits.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in [low, high).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Uniform integer below `n`, without bias (D. Lemire 2019). `n` must not be zero.
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "no number is below zero");
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            // The low half tells how far into its bucket the draw fell; the short buckets are refused.
            if product as u64 >= n.wrapping_neg() % n {
                return (product >> 64) as u64;
            }
        }
    }

    /// Fisher-Yates shuffle.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            let j = self.below(i as u64 + 1) as usize;
            list.swap(i, j);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn splitmix64_reference_vector() {
        // First outputs of the reference implementation from state 1234567.
        let mut draws = Draws { state: 1_234_567 };
        let expected = [6457827717110365317, 3203168211198807973, 9817491932198370423];
        assert_eq!([(); 3].map(|()| draws.next_u64()), expected);
    }

    #[test]
    fn every_part_of_the_key_matters() {
        let first = |name, seed, key: &[u64]| Draws::new(name, seed, key).next_u64();
        let mut values = vec![
            first("a", 1, &[0, 1]),
            first("b", 1, &[0, 1]),
            first("a", 2, &[0, 1]),
            first("a", 1, &[1, 0]),
            first("a", 1, &[1, 1]),
            first("a", 1, &[0]),
        ];
        values.sort_unstable();
        values.dedup();
        assert_eq!(values.len(), 6);
    }

    #[test]
    fn neighbouring_keys_look_independent() {
        // Mean and lag-one correlation of the first uniform over 20 000 consecutive samples.
        let values: Vec<f64> = (0..20_000).map(|sample| Draws::new("crop", 3, &[5, sample]).uniform() - 0.5).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let lag = values.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 4.0 * (1.0f64 / 12.0 / 20_000.0).sqrt(), "mean {mean}");
        assert!(lag.abs() < 4.0 / 12.0 / 20_000f64.sqrt(), "lag {lag}");
    }

    proptest! {
        #[test]
        fn below_stays_below(seed: u64, n in 1u64..) {
            prop_assert!(Draws::new("x", seed, &[]).below(n) < n);
        }

        #[test]
        fn shuffle_is_a_permutation(seed: u64, n in 0usize..200) {
            let mut list: Vec<usize> = (0..n).collect();
            Draws::new("x", seed, &[]).shuffle(&mut list);
            list.sort_unstable();
            prop_assert!(list.into_iter().eq(0..n));
        }
    }
}
