//! Random numbers of a resample.

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): each resample has a stream of its own, so that no thread waits for
/// another and none changes what another draws.
pub(super) struct Stream(u64);

impl Stream {
    /// The stream of one resample.
    pub(super) fn new(seed: u64, resample: u64) -> Self {
        // Mixed, so that streams of neighbouring seeds and resamples do not overlap.
        let mut outer = Self(seed);
        let seed = outer.next();
        let mut inner = Self(seed ^ resample.wrapping_mul(0xd1b5_4a32_d192_ed03));
        Self(inner.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`. With fewer than 2^32 samples none is likelier than another by more than 2^-32.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers of seed 1234567, as in the task "Pseudo-random numbers/Splitmix64" of Rosetta Code.
    #[test]
    fn the_published_numbers() {
        let mut stream = Stream(1234567);
        let expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431];
        assert_eq!([(); 4].map(|()| stream.next()), expected);
    }

    #[test]
    fn draws_are_even() {
        let mut counts = [0u32; 7];
        for resample in 0..7000 {
            counts[Stream::new(3, resample).below(7)] += 1;
        }
        // Six standard deviations of a count of mean 1000.
        assert!(counts.iter().all(|count| count.abs_diff(1000) < 180), "{counts:?}");
    }
}
