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

    /// The first `len` values from `at` on, at most [`LANES`](Self::LANES); the others are 0.
    ///
    /// # Safety
    /// The machine has this vector's instructions; `len` values can be read at `at`.
    unsafe fn load_first(at: *const f32, len: usize) -> Self;

    /// Writes the first `len` values, at most [`LANES`](Self::LANES), from `at` on.
    ///
    /// # Safety
    /// `len` values can be written at `at`.
    unsafe fn store_first(self, at: *mut f32, len: usize);

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

    /// Turns a square of as many vectors as each has values: value j of vector i changes places with value i of vector j.
    /// Panics when there are not so many.
    fn transpose(square: &mut [Self]);
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
    unsafe fn load_first(at: *const f32, len: usize) -> Self {
        // SAFETY: the caller's promise.
        std::array::from_fn(|i| if i < len { unsafe { *at.add(i) } } else { 0.0 })
    }

    #[inline(always)]
    unsafe fn store_first(self, at: *mut f32, len: usize) {
        for (i, value) in self.into_iter().enumerate().take(len) {
            // SAFETY: the caller's promise.
            unsafe { *at.add(i) = value };
        }
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

    #[inline(always)]
    fn transpose(square: &mut [Self]) {
        assert_eq!(square.len(), Self::LANES);
        for i in 0..Self::LANES {
            for j in 0..i {
                (square[i][j], square[j][i]) = (square[j][i], square[i][j]);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
    use std::arch::x86_64::*;

    macro_rules! vector {
        ($type:ty, $lanes:literal, $splat:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $fma:ident, $transpose:ident,
         |$len:ident| $mask:expr, $load_first:ident, $store_first:ident) => {
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
                unsafe fn load_first(at: *const f32, $len: usize) -> Self {
                    // SAFETY: the caller's promise; what is masked is not touched.
                    unsafe { $load_first(at, $mask) }
                }

                #[inline(always)]
                unsafe fn store_first(self, at: *mut f32, $len: usize) {
                    // SAFETY: the caller's promise; what is masked is not touched.
                    unsafe { $store_first(at, $mask, self) }
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

                #[inline(always)]
                fn transpose(square: &mut [Self]) {
                    let square: &mut [Self; $lanes] = square.try_into().expect("as many vectors as values");
                    // SAFETY: as above.
                    *square = unsafe { $transpose(square) };
                }
            }
        };
    }

    /// Which of eight values are among the first `len`.
    ///
    /// # Safety
    /// The machine has AVX; `len` is 8 at most.
    #[inline(always)]
    unsafe fn first_of_8(len: usize) -> __m256i {
        const MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
        // SAFETY: eight masks begin at every place from 0 to 8.
        unsafe { _mm256_loadu_si256(MASKS.as_ptr().add(8 - len.min(8)).cast()) }
    }

    /// In three steps: pairs of values, of pairs, and of halves.
    ///
    /// # Safety
    /// The machine has AVX.
    #[inline(always)]
    unsafe fn transpose_8(r: &[__m256; 8]) -> [__m256; 8] {
        // SAFETY: the caller's promise.
        unsafe {
            let (mut a, mut b) = ([_mm256_setzero_ps(); 8], [_mm256_setzero_ps(); 8]);
            for i in 0..4 {
                a[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
                a[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
            }
            for i in 0..2 {
                for j in 0..2 {
                    let (x, y) = (a[4 * i + j], a[4 * i + j + 2]);
                    b[4 * i + 2 * j] = _mm256_shuffle_ps::<0b01_00_01_00>(x, y);
                    b[4 * i + 2 * j + 1] = _mm256_shuffle_ps::<0b11_10_11_10>(x, y);
                }
            }
            for i in 0..4 {
                a[i] = _mm256_permute2f128_ps::<0x20>(b[i], b[i + 4]);
                a[i + 4] = _mm256_permute2f128_ps::<0x31>(b[i], b[i + 4]);
            }
            a
        }
    }

    /// With the arguments in the order of AVX's.
    ///
    /// # Safety
    /// The machine has AVX-512; the values of the mask can be read.
    #[inline(always)]
    unsafe fn mask_load_16(at: *const f32, mask: __mmask16) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_maskz_loadu_ps(mask, at) }
    }

    /// In four steps: pairs of values, of pairs, and of quarters twice.
    ///
    /// # Safety
    /// The machine has AVX-512.
    #[inline(always)]
    unsafe fn transpose_16(r: &[__m512; 16]) -> [__m512; 16] {
        // SAFETY: the caller's promise.
        unsafe {
            let (mut a, mut b) = ([_mm512_setzero_ps(); 16], [_mm512_setzero_ps(); 16]);
            for i in 0..8 {
                a[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
                a[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
            }
            for i in 0..4 {
                for j in 0..2 {
                    let (x, y) = (a[4 * i + j], a[4 * i + j + 2]);
                    b[4 * i + 2 * j] = _mm512_shuffle_ps::<0b01_00_01_00>(x, y);
                    b[4 * i + 2 * j + 1] = _mm512_shuffle_ps::<0b11_10_11_10>(x, y);
                }
            }
            // b[4 i + k] holds columns k, k + 4, k + 8, k + 12 of rows 4 i to 4 i + 3, a quarter each.
            for i in 0..2 {
                for k in 0..4 {
                    let (x, y) = (b[8 * i + k], b[8 * i + k + 4]);
                    a[8 * i + k] = _mm512_shuffle_f32x4::<0b10_00_10_00>(x, y);
                    a[8 * i + k + 4] = _mm512_shuffle_f32x4::<0b11_01_11_01>(x, y);
                }
            }
            for k in 0..4 {
                let (x, y) = (a[k], a[k + 8]);
                b[k] = _mm512_shuffle_f32x4::<0b10_00_10_00>(x, y);
                b[k + 8] = _mm512_shuffle_f32x4::<0b11_01_11_01>(x, y);
                let (x, y) = (a[k + 4], a[k + 12]);
                b[k + 4] = _mm512_shuffle_f32x4::<0b10_00_10_00>(x, y);
                b[k + 12] = _mm512_shuffle_f32x4::<0b11_01_11_01>(x, y);
            }
            b
        }
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
        _mm256_fmadd_ps,
        transpose_8,
        |len| first_of_8(len),
        _mm256_maskload_ps,
        _mm256_maskstore_ps
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
        _mm512_fmadd_ps,
        transpose_16,
        |len| ((1u32 << len) - 1) as __mmask16,
        mask_load_16,
        _mm512_mask_storeu_ps
    );
}
