//! The attention from candle's own operations: any device, any float type.

use super::{Geometry, Windows};
use crate::mixed::sum_type;
use candle_core::{D, Result, Tensor};

pub(super) fn window_attention(qkv: &Tensor, table: &Tensor, geometry: &Geometry) -> Result<Tensor> {
    let &Geometry { images, height, width, heads, windows: Windows { size, shift }, .. } = geometry;
    let (n, d, count) = (geometry.n(), geometry.d(), geometry.windows_per_image());
    let (down, across) = (height / size, width / size);
    let shifted = qkv.roll(-(shift as i32), 1)?.roll(-(shift as i32), 2)?;
    let parts = shifted
        .reshape(vec![images, down, size, across, size, 3, heads, d])?
        .permute(vec![5, 0, 1, 3, 6, 2, 4, 7])? // (3, B, down, across, heads, size, size, d)
        .contiguous()?
        .reshape(vec![3, images * count, heads, n, d])?;
    let part = |i: usize| parts.get(i)?.contiguous();
    let table = &table.to_dtype(sum_type(qkv))?;
    let scores = (part(0)? * geometry.scale())?.matmul(&part(1)?.transpose(2, 3)?.contiguous()?)?;
    let scores = scores.to_dtype(sum_type(qkv))?;
    let scores = scores.broadcast_add(&bias(table, geometry)?)?.reshape(vec![images, count, heads, n, n])?;
    let scores = scores.broadcast_add(&mask(table, geometry)?)?.reshape((images * count, heads, n, n))?;
    let powers = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
    let weights = powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)?.to_dtype(qkv.dtype())?;
    weights
        .matmul(&part(2)?)?
        .reshape(vec![images, down, across, heads, size, size, d])?
        .permute(vec![0, 1, 4, 2, 5, 3, 6])?
        .contiguous()?
        .reshape((images, height, width, geometry.channels))?
        .roll(shift as i32, 1)?
        .roll(shift as i32, 2)?
        .contiguous()
}

/// (heads, n, n)
fn bias(table: &Tensor, geometry: &Geometry) -> Result<Tensor> {
    let (n, places) = (geometry.n(), geometry.windows.relative_positions());
    let places = Tensor::from_iter(places.into_iter().map(|p| p as u32), table.device())?;
    table.index_select(&places, 0)?.t()?.contiguous()?.reshape((geometry.heads, n, n))
}

/// (windows of an image, 1, n, n)
fn mask(like: &Tensor, geometry: &Geometry) -> Result<Tensor> {
    let (n, count) = (geometry.n(), geometry.windows_per_image());
    let values = geometry.windows.mask(geometry.height, geometry.width);
    Tensor::from_vec(values, (count, 1, n, n), like.device())?.to_dtype(like.dtype())
}
