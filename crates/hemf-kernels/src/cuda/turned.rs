//! Matrices turned: rows become columns.

use super::launch::{Launch, Output, View, blocks_for};
use candle_core::{DType, Result};

/// Matrices (rows, width), as many as there are values for, each turned to (width, rows); of their type or f32.
pub(crate) fn turn(x: &View, rows: usize, width: usize, dtype: DType) -> Result<Output> {
    let n = x.count();
    let kernel = if dtype == x.dtype() { "turn" } else { "turn_wide" };
    let launch = Launch::new(kernel, x.dtype(), blocks_for(n)).read(x).write(dtype, n);
    let [y] = launch.size(n).size(rows).size(width).run()?;
    Ok(y)
}
