//! Turning a matrix round.

/// The side of a square that registers turn.
const SIDE: usize = 8;

/// `to[j * to_stride + i] = from[i * from_stride + j]` for i below `rows` and j below `cols`.
pub(crate) fn transpose(from: &[f32], from_stride: usize, to: &mut [f32], to_stride: usize, rows: usize, cols: usize) {
    if rows == 0 || cols == 0 {
        return;
    }
    assert!((rows - 1) * from_stride + cols <= from.len(), "matrix beyond its slice");
    assert!((cols - 1) * to_stride + rows <= to.len(), "matrix beyond its slice");
    let (squares_down, squares_across) = (rows - rows % SIDE, cols - cols % SIDE);
    let turned = match super::level() {
        #[cfg(target_arch = "x86_64")]
        super::Level::Avx2 | super::Level::Avx512 => {
            // SAFETY: level() is what the machine was seen to have, and by the assertions the squares are inside.
            unsafe { squares(from.as_ptr(), from_stride, to.as_mut_ptr(), to_stride, squares_down, squares_across) };
            (squares_down, squares_across)
        }
        _ => (0, 0),
    };
    for i in 0..rows {
        let begun = if i < turned.0 { turned.1 } else { 0 };
        for j in begun..cols {
            to[j * to_stride + i] = from[i * from_stride + j];
        }
    }
}

/// [`transpose`] of a matrix whose sides are multiples of [`SIDE`].
///
/// # Safety
/// Both matrices lie where one may read and write them, and the machine has AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn squares(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize, rows: usize, cols: usize) {
    use std::arch::x86_64::*;
    for j in (0..cols).step_by(SIDE) {
        for i in (0..rows).step_by(SIDE) {
            // SAFETY: the caller's promise.
            let row: [__m256; SIDE] =
                std::array::from_fn(|k| unsafe { _mm256_loadu_ps(from.add((i + k) * from_stride + j)) });
            // Of each pair of rows, then of each four, what goes together; the halves of the registers change places last.
            let pair = |k: usize| (_mm256_unpacklo_ps(row[k], row[k + 1]), _mm256_unpackhi_ps(row[k], row[k + 1]));
            let four = |k: usize| {
                let ((a, b), (c, d)) = (pair(k), pair(k + 2));
                [
                    _mm256_shuffle_ps::<0b01_00_01_00>(a, c),
                    _mm256_shuffle_ps::<0b11_10_11_10>(a, c),
                    _mm256_shuffle_ps::<0b01_00_01_00>(b, d),
                    _mm256_shuffle_ps::<0b11_10_11_10>(b, d),
                ]
            };
            let (upper, lower) = (four(0), four(4));
            for k in 0..4 {
                // SAFETY: the caller's promise.
                unsafe {
                    let at = to.add((j + k) * to_stride + i);
                    _mm256_storeu_ps(at, _mm256_permute2f128_ps::<0x20>(upper[k], lower[k]));
                    _mm256_storeu_ps(at.add(4 * to_stride), _mm256_permute2f128_ps::<0x31>(upper[k], lower[k]));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Level;
    use crate::testing::each_level;

    #[test]
    fn every_value_goes_to_its_place_and_no_other_is_touched() {
        each_level(|_: Level| {
            for (rows, cols) in [(0, 5), (1, 1), (7, 9), (8, 8), (16, 24), (9, 32), (33, 9), (40, 17)] {
                let (from_stride, to_stride) = (cols + 3, rows + 2);
                let from: Vec<f32> = (0..rows * from_stride).map(|i| i as f32).collect();
                let mut to = vec![-1.0; cols * to_stride];
                transpose(&from, from_stride, &mut to, to_stride, rows, cols);
                for (at, value) in to.iter().enumerate() {
                    let (j, i) = (at / to_stride, at % to_stride);
                    let want = if i < rows { from[i * from_stride + j] } else { -1.0 };
                    assert_eq!(*value, want, "{rows}x{cols} at {i}, {j}");
                }
            }
        });
    }
}
