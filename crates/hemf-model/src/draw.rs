//! Our own generator: values that depend on a seed, a name and an index alone.

/// A stream of draws.
pub(crate) struct Stream {
    start: u64,
    drawn: u64,
}

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

impl Stream {
    /// The stream of one named tensor.
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        // FNV-1a of the name, so that a tensor's values do not hang on what was created before it.
        let name =
            name.bytes().fold(0xCBF2_9CE4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01B3));
        Self { start: name ^ seed.wrapping_mul(GAMMA), drawn: 0 }
    }

    /// Uniform in [0, 1): splitmix64, upper 53 bits.
    pub(crate) fn uniform(&mut self) -> f64 {
        self.drawn += 1;
        let mut z = self.start.wrapping_add(self.drawn.wrapping_mul(GAMMA));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Standard normal, by Box and Muller.
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_seed_and_name_alone() {
        let first = |seed, name| Stream::new(seed, name).uniform();
        assert_eq!(first(1, "a"), first(1, "a"));
        assert_ne!(first(1, "a"), first(2, "a"));
        assert_ne!(first(1, "a"), first(1, "b"));
    }

    #[test]
    fn draws_have_the_moments_of_their_distributions() {
        const N: usize = 100_000;
        let mut stream = Stream::new(3, "x");
        let moments = |values: Vec<f64>| {
            let mean = values.iter().sum::<f64>() / N as f64;
            (mean, values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / N as f64)
        };
        let (mean, variance) = moments((0..N).map(|_| stream.uniform()).collect());
        assert!((mean - 0.5).abs() < 4e-3 && (variance - 1.0 / 12.0).abs() < 2e-3, "uniform: {mean} {variance}");
        let (mean, variance) = moments((0..N).map(|_| stream.normal()).collect());
        assert!(mean.abs() < 0.013 && (variance - 1.0).abs() < 0.02, "normal: {mean} {variance}");
    }
}
