//! Matrix products: the `gemm` crate on one core at a time, over tiles that depend on the shape alone.

use rayon::prelude::*;

/// A matrix that is a view of a slice.
#[derive(Clone, Copy)]
pub(crate) struct Mat<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Mat<'a> {
    /// Row-major and contiguous.
    pub(crate) fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// Row-major, a row starting every `row_stride` values.
    pub(crate) fn strided(data: &'a [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        assert!(rows == 0 || cols == 0 || (rows - 1) * row_stride + cols <= data.len(), "matrix beyond its slice");
        Self { data, rows, cols, row_stride, col_stride: 1 }
    }

    /// The transpose, as a view.
    pub(crate) fn t(self) -> Self {
        Self { rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }
}

/// What happens to the values that the output already holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Into {
    /// They are overwritten.
    Fresh,
    /// The product is added to them.
    Sum,
}

/// out = a b, or out += a b; out is (a.rows, b.cols), contiguous. On all threads; the same bits for any number of them.
pub(crate) fn matmul(a: Mat, b: Mat, out: &mut [f32], into: Into) {
    let (m, n) = (a.rows, b.cols);
    check(&a, &b, out);
    let (tile_m, tile_n) = tiles(m, n, a.cols);
    if tile_m >= m && tile_n >= n {
        return tile(a, b, Target::new(out), n, into, (0, m), (0, n));
    }
    let target = Target::new(out);
    let across = n.div_ceil(tile_n);
    (0..m.div_ceil(tile_m) * across).into_par_iter().for_each(|i| {
        let (r, c) = (i / across * tile_m, i % across * tile_n);
        tile(a, b, target, n, into, (r, tile_m.min(m - r)), (c, tile_n.min(n - c)));
    });
}

/// The same on the calling thread, for use inside a task.
pub(crate) fn matmul_here(a: Mat, b: Mat, out: &mut [f32], into: Into) {
    check(&a, &b, out);
    tile(a, b, Target::new(out), b.cols, into, (0, a.rows), (0, b.cols));
}

fn check(a: &Mat, b: &Mat, out: &[f32]) {
    assert_eq!(a.cols, b.rows, "inner sizes of a product");
    assert_eq!(out.len(), a.rows * b.cols, "size of a product's output");
}

/// Tile sizes by shape: tall products are cut by rows alone (each tile reads the right-hand side once), others both ways
/// until there are enough tiles to go round.
fn tiles(m: usize, n: usize, k: usize) -> (usize, usize) {
    const SMALL: usize = 1 << 18;
    const ROWS: usize = 512;
    const LEAST: usize = 48;
    const ENOUGH: usize = 8;
    if m * n * k <= SMALL {
        return (m, n);
    }
    let by_rows = m.div_ceil(ROWS);
    if by_rows >= ENOUGH {
        return (ROWS, n);
    }
    let by_cols = (ENOUGH / by_rows).min(n.div_ceil(LEAST)).max(1);
    let by_rows = by_rows.max((ENOUGH / by_cols).min(m.div_ceil(LEAST))).max(1);
    (m.div_ceil(by_rows).next_multiple_of(8), n.div_ceil(by_cols).next_multiple_of(16))
}

/// Where the tiles are written.
#[derive(Clone, Copy)]
struct Target(*mut f32);

// SAFETY: tiles are disjoint, and the slice that the pointer comes from is borrowed by `matmul` until all are done.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

impl Target {
    fn new(out: &mut [f32]) -> Self {
        Self(out.as_mut_ptr())
    }
}

/// One tile: rows `r..r + m` and columns `c..c + n` of the output, whose rows are `width` apart.
fn tile(a: Mat, b: Mat, out: Target, width: usize, into: Into, (r, m): (usize, usize), (c, n): (usize, usize)) {
    if m == 0 || n == 0 {
        return;
    }
    if a.cols == 0 {
        // An empty sum; `gemm` is not asked.
        if into == Into::Fresh {
            for row in r..r + m {
                // SAFETY: inside the tile, which is this call's alone.
                unsafe { std::slice::from_raw_parts_mut(out.0.add(row * width + c), n) }.fill(0.0);
            }
        }
        return;
    }
    // SAFETY: the views were checked against their slices when made, the output's size by `check`; the tile lies inside
    // the output and is written by this call alone.
    unsafe {
        gemm::gemm(
            m,
            n,
            a.cols,
            out.0.add(r * width + c),
            1,
            width as isize,
            into == Into::Sum,
            a.data.as_ptr().add(r * a.row_stride),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr().add(c * b.col_stride),
            b.col_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::values;

    fn plain(a: Mat, b: Mat) -> Vec<f64> {
        let at = |m: &Mat, r: usize, c: usize| f64::from(m.data[r * m.row_stride + c * m.col_stride]);
        (0..a.rows * b.cols).map(|i| (0..a.cols).map(|k| at(&a, i / b.cols, k) * at(&b, k, i % b.cols)).sum()).collect()
    }

    #[test]
    fn matches_the_plain_product_for_all_shapes_and_views() {
        for (m, n, k) in
            [(0, 3, 2), (3, 0, 2), (3, 2, 0), (1, 1, 1), (5, 7, 3), (49, 96, 200), (600, 50, 33), (5000, 17, 9)]
        {
            let (av, bv) = (values(m * k, 1), values(k * n, 2));
            let a = if m % 2 == 0 { Mat::new(&av, m, k) } else { Mat::new(&av, k, m).t() };
            let b = if n % 2 == 0 { Mat::new(&bv, k, n) } else { Mat::new(&bv, n, k).t() };
            let want = plain(a, b);
            let mut out = vec![f32::NAN; m * n];
            matmul(a, b, &mut out, Into::Fresh);
            let close = |got: &[f32], times: f64| {
                got.iter().zip(&want).all(|(g, w)| (f64::from(*g) - times * w).abs() < 1e-5 * (1.0 + w.abs()))
            };
            assert!(close(&out, 1.0), "{m} {n} {k}");
            matmul_here(a, b, &mut out, Into::Sum);
            assert!(close(&out, 2.0), "{m} {n} {k}, added");
        }
    }

    #[test]
    fn same_bits_for_any_number_of_threads() {
        let (m, n, k) = (700, 130, 300);
        let (a, b) = (values(m * k, 1), values(k * n, 2));
        let product = || {
            let mut out = vec![0.0; m * n];
            matmul(Mat::new(&a, m, k), Mat::new(&b, k, n), &mut out, Into::Fresh);
            out
        };
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let one = pool(1).install(product);
        for threads in [2, 3, 8] {
            assert_eq!(one, pool(threads).install(product));
        }
    }
}
