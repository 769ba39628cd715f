//! A vector of f32, as wide as an instruction set has it: the handful of operations that kernels are written in.

/// Some f32 values that are computed with at once.
///
/// A value can only come from the unsafe constructors, which promise that the machine has the instructions; what takes
/// a value is therefore safe.
pub(crate) trait Vector: Copy {
    /// How many values.
    const LANES: usize;

    /// All lanes `x`.
    ///
    /// # Safety
    /// The machine has this vector's instructions.
    unsafe fn splat(x: f32) -> Self;

    /// The values from `at` on, aligned or not.
    ///
    /// # Safety
    /// The machine has this vector's instructions; `LANES` values can be read at `at`.
    unsafe fn load(at: *const f32) -> Self;

    /// Writes the values from `at` on, aligned or not.
    ///
    /// # Safety
    /// `LANES` values can be written at `at`.
    unsafe fn store(self, at: *mut f32);

    /// Asks for the cache line of `at`, to be in the second cache soon. Any address will do.
    ///
    /// # Safety
    /// The machine has this vector's instructions.
    #[inline(always)]
    unsafe fn prefetch(_at: *const f32) {}

    /// self + other
    fn add(self, other: Self) -> Self;

    /// self - other
    fn sub(self, other: Self) -> Self;

    /// self * other
    fn mul(self, other: Self) -> Self;

    /// self * factor + term, rounded once where the machine can.
    fn mul_add(self, factor: Self, term: Self) -> Self;
}

/// Plain numbers: what runs where no instruction set is known, the oracle of the tests, and the explanation.
impl Vector for [f32; 8] {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        [x; 8]
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { at.cast::<Self>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { at.cast::<Self>().write_unaligned(self) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] + other[i])
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] - other[i])
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] * other[i])
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        std::array::from_fn(|i| self[i] * factor[i] + term[i])
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
    use std::arch::x86_64::*;

    macro_rules! vector {
        ($type:ty, $lanes:literal, $splat:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $fma:ident) => {
            impl Vector for $type {
                const LANES: usize = $lanes;

                #[inline(always)]
                unsafe fn splat(x: f32) -> Self {
                    // SAFETY: the caller's promise.
                    unsafe { $splat(x) }
                }

                #[inline(always)]
                unsafe fn load(at: *const f32) -> Self {
                    // SAFETY: the caller's promise.
                    unsafe { $load(at) }
                }

                #[inline(always)]
                unsafe fn store(self, at: *mut f32) {
                    // SAFETY: the caller's promise.
                    unsafe { $store(at, self) }
                }

                #[inline(always)]
                unsafe fn prefetch(at: *const f32) {
                    // SAFETY: a hint; every x86-64 has it.
                    unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
                }

                #[inline(always)]
                fn add(self, other: Self) -> Self {
                    // SAFETY: a value exists, so the machine has the instructions.
                    unsafe { $add(self, other) }
                }

                #[inline(always)]
                fn sub(self, other: Self) -> Self {
                    // SAFETY: as above.
                    unsafe { $sub(self, other) }
                }

                #[inline(always)]
                fn mul(self, other: Self) -> Self {
                    // SAFETY: as above.
                    unsafe { $mul(self, other) }
                }

                #[inline(always)]
                fn mul_add(self, factor: Self, term: Self) -> Self {
                    // SAFETY: as above.
                    unsafe { $fma(self, factor, term) }
                }
            }
        };
    }

    vector!(
        __m256,
        8,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_add_ps,
        _mm256_sub_ps,
        _mm256_mul_ps,
        _mm256_fmadd_ps
    );
    vector!(
        __m512,
        16,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_add_ps,
        _mm512_sub_ps,
        _mm512_mul_ps,
        _mm512_fmadd_ps
    );
}
