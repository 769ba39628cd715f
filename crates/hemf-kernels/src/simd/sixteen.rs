//! Sixteen values at once, on every machine: sums over a row have one order of additions, whatever the vectors are.

use super::Vector;

/// Sixteen values, in one vector or in two.
#[derive(Clone, Copy)]
pub(crate) struct Sixteen<V>([V; 2]);

/// How many values.
pub(crate) const SIXTEEN: usize = 16;

impl<V: Vector> Sixteen<V> {
    /// How many vectors hold them.
    const PARTS: usize = {
        assert!(V::LANES == 8 || V::LANES == SIXTEEN);
        SIXTEEN / V::LANES
    };

    /// # Safety
    /// The machine has the vector's instructions.
    #[inline(always)]
    pub(crate) unsafe fn splat(x: f32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self([V::splat(x); 2]) }
    }

    /// The values of a row from `at` on, and `fill` where it ends.
    ///
    /// # Safety
    /// The machine has the vector's instructions.
    #[inline(always)]
    pub(crate) unsafe fn load(row: &[f32], at: usize, fill: f32) -> Self {
        // SAFETY: the caller's promise; sixteen values are there, in the row or in the copy of its end.
        unsafe {
            match row[at..].first_chunk::<SIXTEEN>() {
                Some(values) => Self::of(values),
                None => {
                    let mut end = [fill; SIXTEEN];
                    end[..row.len() - at].copy_from_slice(&row[at..]);
                    Self::of(&end)
                }
            }
        }
    }

    /// # Safety
    /// The machine has the vector's instructions.
    #[inline(always)]
    unsafe fn of(values: &[f32; SIXTEEN]) -> Self {
        // SAFETY: the caller's promise; the last vector ends with the values.
        unsafe { Self([V::load(values.as_ptr()), V::load(values.as_ptr().add((Self::PARTS - 1) * V::LANES))]) }
    }

    /// Writes the values to a row from `at` on, up to its end.
    #[inline(always)]
    pub(crate) fn store(self, row: &mut [f32], at: usize) {
        match row[at..].first_chunk_mut::<SIXTEEN>() {
            Some(values) => *values = self.values(),
            None => {
                let end = row.len() - at;
                row[at..].copy_from_slice(&self.values()[..end]);
            }
        }
    }

    #[inline(always)]
    fn values(self) -> [f32; SIXTEEN] {
        let mut values = [0.0; SIXTEEN];
        // SAFETY: the last vector ends with the values.
        unsafe {
            self.0[0].store(values.as_mut_ptr());
            self.0[Self::PARTS - 1].store(values.as_mut_ptr().add((Self::PARTS - 1) * V::LANES));
        }
        values
    }

    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(V, V) -> V) -> Self {
        Self([f(self.0[0], other.0[0]), if Self::PARTS == 1 { self.0[1] } else { f(self.0[1], other.0[1]) }]).whole()
    }

    /// Where one vector holds all, the other one is the same, so that nothing is computed twice.
    #[inline(always)]
    fn whole(self) -> Self {
        if Self::PARTS == 1 { Self([self.0[0]; 2]) } else { self }
    }

    #[inline(always)]
    pub(crate) fn add(self, other: Self) -> Self {
        self.zip(other, V::add)
    }

    #[inline(always)]
    pub(crate) fn sub(self, other: Self) -> Self {
        self.zip(other, V::sub)
    }

    #[inline(always)]
    pub(crate) fn mul(self, other: Self) -> Self {
        self.zip(other, V::mul)
    }

    /// self * factor + term
    #[inline(always)]
    pub(crate) fn mul_add(self, factor: Self, term: Self) -> Self {
        let second = match Self::PARTS {
            1 => self.0[1],
            _ => self.0[1].mul_add(factor.0[1], term.0[1]),
        };
        Self([self.0[0].mul_add(factor.0[0], term.0[0]), second]).whole()
    }

    /// The sum of the sixteen: of halves, of quarters and so on.
    #[inline(always)]
    pub(crate) fn sum(self) -> f32 {
        let mut values = self.values();
        let mut half = SIXTEEN / 2;
        while half > 0 {
            for i in 0..half {
                values[i] += values[i + half];
            }
            half /= 2;
        }
        values[0]
    }
}
