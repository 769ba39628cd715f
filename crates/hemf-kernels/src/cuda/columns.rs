//! Sums over the rows of matrices, of each column alone.

use super::launch::{Launch, Output, THREADS, View, blocks_for};
use candle_core::{DType, Result};

/// Threads of a block side by side, as in `columns.cuh`, and the most columns of each.
const ACROSS: usize = 32;
const MOST_SIDE: usize = 4;
/// Blocks that there should be at least, so that a large GPU is busy.
const BLOCKS: usize = 1024;
/// Rows that a block is not worth its while below.
const ROWS: usize = 64;

/// `groups` matrices of `rows` rows and `width` columns, one after the other, and how their rows are cut into chunks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
    groups: usize,
    rows: usize,
    width: usize,
    /// Columns of a thread: 1 or 4.
    side: usize,
    chunks: usize,
    rows_per_chunk: usize,
}

impl Columns {
    /// A thread is for one column.
    pub(crate) fn new(groups: usize, rows: usize, width: usize) -> Self {
        Self::by(1, groups, rows, width)
    }

    /// A thread is for four columns, where the maps that are read in rows of `width` can be read so.
    pub(crate) fn of(maps: &[&View], groups: usize, rows: usize, width: usize) -> Self {
        let fours = width.is_multiple_of(MOST_SIDE) && maps.iter().all(|map| map.begins_a_four());
        Self::by(if fours { MOST_SIDE } else { 1 }, groups, rows, width)
    }

    fn by(side: usize, groups: usize, rows: usize, width: usize) -> Self {
        let side_by_side = groups * width.div_ceil(ACROSS * side);
        let wanted = BLOCKS.div_ceil(side_by_side).clamp(1, rows.div_ceil(ROWS).max(1));
        let rows_per_chunk = rows.div_ceil(wanted).max(1);
        Self { groups, rows, width, side, chunks: rows.div_ceil(rows_per_chunk).max(1), rows_per_chunk }
    }

    /// Whether a thread is for four columns, as kernels are told.
    pub(crate) fn by_fours(&self) -> usize {
        usize::from(self.side == MOST_SIDE)
    }

    /// The first step by a kernel that makes K sums of each column. Its arguments are `inputs`, the
    /// chunks' sums that it writes, (groups, chunks, K, width), rows, width, chunks and rows of a chunk, and [`Self::by_fours`].
    pub(crate) fn partial<'a, const K: usize>(
        &self,
        kernel: &'static str,
        maps: DType,
        inputs: &[&'a View<'a>],
    ) -> Result<Partial> {
        self.partial_with::<K>(kernel, maps, inputs, &[self.by_fours()], &[])
    }

    /// [`Self::partial`] with other sizes and numbers after those of the chunks.
    pub(crate) fn partial_with<'a, const K: usize>(
        &self,
        kernel: &'static str,
        maps: DType,
        inputs: &[&'a View<'a>],
        sizes: &[usize],
        numbers: &[f32],
    ) -> Result<Partial> {
        let &Self { groups, rows, width, side, chunks, rows_per_chunk } = self;
        let launch = Launch::new(kernel, maps, groups * chunks * width.div_ceil(ACROSS * side)).shared(THREADS);
        let launch = inputs.iter().copied().fold(launch, Launch::read).write(DType::F32, groups * chunks * K * width);
        let launch = launch.size(rows).size(width).size(chunks).size(rows_per_chunk);
        let launch = sizes.iter().fold(launch, |launch, size| launch.size(*size));
        let [sums] = numbers.iter().fold(launch, |launch, number| launch.number(*number)).run()?;
        Ok(Partial { sums, groups, chunks, width: K * width, maps })
    }
}

/// What the chunks gave.
pub(crate) struct Partial {
    sums: Output,
    groups: usize,
    chunks: usize,
    width: usize,
    maps: DType,
}

impl Partial {
    /// What `chunks` chunks gave of `width` sums each: (chunks, width), f32.
    pub(crate) fn new(sums: Output, chunks: usize, width: usize, maps: DType) -> Self {
        Self { sums, groups: 1, chunks, width, maps }
    }

    /// The sums (groups, K width) times a factor, of the type of the maps or f32.
    pub(crate) fn finish(self, dtype: DType, factor: f32) -> Result<Output> {
        let Self { sums, groups, chunks, width, maps } = self;
        let partials = sums.tensor((groups, chunks, width));
        let kernel = if dtype == maps { "finish_sums" } else { "finish_sums_wide" };
        let view = View::of(&partials)?;
        let launch =
            Launch::new(kernel, maps, blocks_for(groups * width * 32)).read(&view).write(dtype, groups * width);
        let [sums] = launch.size(groups).size(chunks).size(width).number(factor).run()?;
        Ok(sums)
    }
}

/// The sums of `x`, (rows, width), over its rows -> (width), f32.
pub(crate) fn column_sums(x: &View, rows: usize, width: usize) -> Result<Output> {
    Columns::of(&[x], 1, rows, width).partial::<1>("column_sums", x.dtype(), &[x])?.finish(DType::F32, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::emulator::emulated;
    use crate::testing::random;

    #[test]
    fn chunks_are_all_rows_once_and_enough_for_a_gpu() {
        for groups in [1, 3, 200] {
            for rows in [1, 2, 63, 64, 65, 4097, 100_352] {
                for (width, side) in [(1, 1), (31, 1), (32, 1), (33, 1), (768, 1), (96, 4), (768, 4)] {
                    let columns = Columns::by(side, groups, rows, width);
                    let Columns { chunks, rows_per_chunk, .. } = columns;
                    assert!((chunks - 1) * rows_per_chunk < rows && chunks * rows_per_chunk >= rows, "{columns:?}");
                    let blocks = groups * chunks * width.div_ceil(ACROSS * side);
                    assert!(blocks >= BLOCKS * 9 / 10 || rows_per_chunk <= 2 * ROWS, "{columns:?}");
                }
            }
        }
    }

    #[test]
    fn sums_are_those_of_candle() {
        emulated(|| {
            for (rows, width) in [(1, 1), (7, 33), (300, 5), (1000, 64), (200, 132), (3, 300)] {
                for dtype in [DType::F32, DType::BF16] {
                    let x = random(&[rows, width], 1).to_dtype(dtype).unwrap();
                    let got = column_sums(&View::of(&x).unwrap(), rows, width).unwrap().tensor(width);
                    let want = x.to_dtype(DType::F64).unwrap().sum(0).unwrap().to_vec1::<f64>().unwrap();
                    let got = got.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
                    assert!(got.iter().zip(&want).all(|(g, w)| (g - w).abs() < 1e-5), "{rows} x {width}");
                }
            }
        });
    }
}
