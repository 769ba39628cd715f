//! CPython's `random`: the generator behind the published splits.
//!
//! Mersenne Twister MT19937 as M. Matsumoto and T. Nishimura published it (2002), seeded by
//! `init_by_array` with the 32-bit words of the seed, and CPython's way from its words to numbers.

const N: usize = 624;
const M: usize = 397;

/// `random.Random(seed)` of CPython 3, bit for bit.
///
/// ```
/// let mut random = hemf_data::PythonRandom::new(123);
/// let mut list = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
/// random.shuffle(&mut list);
/// // >>> random.seed(123); a = list(range(10)); random.shuffle(a); a
/// assert_eq!(list, [8, 7, 5, 9, 2, 3, 6, 1, 4, 0]);
/// ```
#[derive(Clone)]
pub struct PythonRandom {
    state: [u32; N],
    next: usize,
}

impl PythonRandom {
    /// The generator after `random.seed(seed)`.
    pub fn new(seed: u64) -> Self {
        let words = [seed as u32, (seed >> 32) as u32];
        // CPython passes as many words as the number has, at least one.
        Self::from_key(if words[1] == 0 { &words[..1] } else { &words })
    }

    /// `init_by_array` of the reference implementation.
    fn from_key(key: &[u32]) -> Self {
        let mut state = [0u32; N];
        state[0] = 19_650_218;
        for i in 1..N {
            let previous = state[i - 1] ^ (state[i - 1] >> 30);
            state[i] = previous.wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        let (mut i, mut j) = (1, 0);
        let advance = |state: &mut [u32; N], i: &mut usize| {
            *i += 1;
            if *i == N {
                state[0] = state[N - 1];
                *i = 1;
            }
        };
        for _ in 0..N.max(key.len()) {
            let previous = state[i - 1] ^ (state[i - 1] >> 30);
            state[i] = (state[i] ^ previous.wrapping_mul(1_664_525)).wrapping_add(key[j]).wrapping_add(j as u32);
            advance(&mut state, &mut i);
            j = (j + 1) % key.len();
        }
        for _ in 0..N - 1 {
            let previous = state[i - 1] ^ (state[i - 1] >> 30);
            state[i] = (state[i] ^ previous.wrapping_mul(1_566_083_941)).wrapping_sub(i as u32);
            advance(&mut state, &mut i);
        }
        state[0] = 0x8000_0000;
        Self { state, next: N }
    }

    /// The next 32 bits: refill the state when it is used up, then temper one word.
    fn next_u32(&mut self) -> u32 {
        if self.next == N {
            for i in 0..N {
                let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
                let twist = if y & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[i] = self.state[(i + M) % N] ^ (y >> 1) ^ twist;
            }
            self.next = 0;
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// `random.getrandbits(bits)` for 1 to 64 bits.
    fn bits(&mut self, bits: u32) -> u64 {
        if bits <= 32 {
            return u64::from(self.next_u32() >> (32 - bits));
        }
        // Whole words, least significant first; the last one gives its upper bits.
        let low = u64::from(self.next_u32());
        low | u64::from(self.next_u32() >> (64 - bits)) << 32
    }

    /// `random.random()`: uniform in [0, 1) with 53 bits.
    pub fn random(&mut self) -> f64 {
        let high = f64::from(self.next_u32() >> 5);
        let low = f64::from(self.next_u32() >> 6);
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }

    /// `random.randrange(n)`: uniform below `n`, by rejection. `n` must not be zero.
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "no number is below zero");
        let bits = u64::BITS - n.leading_zeros();
        loop {
            let value = self.bits(bits);
            if value < n {
                return value;
            }
        }
    }

    /// `random.shuffle(list)`.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            let j = self.below(i as u64 + 1) as usize;
            list.swap(i, j);
        }
    }
}
