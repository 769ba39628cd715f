//! Attention along one axis of a map with a decay by distance. For each line of n pixels (a row, or a column) and each
//! head, with q_i, k_j, v_j the head's d channels of pixels i and j of the line, and g the head's decay:
//!
//! - S_ij = q_i . k_j + g |i - j|
//! - A = softmax over j of S
//! - out_i = sum over j of A_ij v_j
//!
//! With G the gradient of out, all of them (n, d) matrices of one line and head:
//!
//! - dV = Aᵀ G
//! - dA = G Vᵀ
//! - dS_ij = A_ij (dA_ij - sum over j of A_ij dA_ij), the gradient of a softmax
//! - dQ = dS K
//! - dK = dSᵀ Q
//!
//! A is computed anew in the backward pass rather than kept: it has n / d times the size of q, and is one product of
//! five to make.
//!
//! Attention along both axes, of queries and keys that are [turned](crate::rotary) by their pixels' positions, is an operation of
//! its own on a GPU: the same kernels turn what they read, and turn its gradients back.

mod composed;
mod cpu;
mod cuda;
#[cfg(test)]
mod tests;

use crate::host::{self, host, native, tensor};
use crate::rotary::{RotaryTable, rotary};
use crate::tape::{self, Needs};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use std::sync::OnceLock;

/// The lines of a map that attention runs along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Each pixel attends to the W pixels of its row.
    Rows,
    /// Each pixel attends to the H pixels of its column.
    Columns,
}

/// `q`, `k`, `v` (B, H, W, C), their channels `decay.len()` heads of d; `decay` one factor of the distance in pixels per
/// head, added to the scores (negative: the far counts less) -> (B, H, W, C).
///
/// The scores are not scaled here: scale k, or q, beforehand. Fails when the maps are empty or differ in shape, or the heads do not divide C.
pub fn axis_attention(q: &Tensor, k: &Tensor, v: &Tensor, decay: &[f32], axis: Axis) -> Result<Tensor> {
    check(q, k, v, decay)?;
    let op = AxisAttention { decay: decay.to_vec(), axis };
    if crate::cuda::suits(&[q, k, v]) && cuda::fits(q.dims(), decay, axis)? {
        return crate::cuda::apply(op, Needs::Inputs, &[q, k, v]);
    }
    if !(native(q) && native(k) && native(v)) {
        return composed::axis_attention(q, k, v, decay, axis);
    }
    tape::apply3(op, Needs::Inputs, &q.contiguous()?, &k.contiguous()?, &v.contiguous()?)
}

fn check(q: &Tensor, k: &Tensor, v: &Tensor, decay: &[f32]) -> Result<()> {
    let (_, _, _, channels) = q.dims4()?;
    if k.dims() != q.dims() || v.dims() != q.dims() || q.elem_count() == 0 {
        bail!("axis_attention: q, k, v are empty or differ: {:?}, {:?}, {:?}", q.dims(), k.dims(), v.dims());
    }
    if decay.is_empty() || channels % decay.len() != 0 {
        bail!("axis_attention: {} heads do not divide the channels of map {:?}", decay.len(), q.dims());
    }
    Ok(())
}

/// Attention along the rows of a map and then, of what they give, along its columns, of queries and keys that are turned: with
/// q' = rot(q) and k' = rot(k) `key_scale`, `axis_attention(q', k', axis_attention(q', k', v, Rows), Columns)`.
///
/// Fails as [`axis_attention`] and [`rotary`] do.
pub fn rotary_attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    table: &RotaryTable,
    key_scale: f64,
    decay: &[f32],
) -> Result<Tensor> {
    check(q, k, v, decay)?;
    let fits = |axis| cuda::fits(q.dims(), decay, axis);
    if crate::cuda::suits(&[q, k, v]) && table.suits(q, decay.len())? && fits(Axis::Rows)? && fits(Axis::Columns)? {
        let (table, key_scale, decay) = (table.clone(), key_scale as f32, decay.to_vec());
        let op = cuda::Turned { table, key_scale, decay, of_rows: OnceLock::new() };
        return crate::cuda::apply(op, Needs::Inputs, &[q, k, v]);
    }
    let (q, k) = (rotary(q, table)?, rotary(k, &table.scaled(key_scale)?)?);
    let v = axis_attention(&q, &k, v, decay, Axis::Rows)?;
    axis_attention(&q, &k, &v, decay, Axis::Columns)
}

struct AxisAttention {
    decay: Vec<f32>,
    axis: Axis,
}

impl CustomOp3 for AxisAttention {
    fn name(&self) -> &'static str {
        "axis-attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        lq: &Layout,
        k: &CpuStorage,
        lk: &Layout,
        v: &CpuStorage,
        lv: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let lines = cpu::Lines::new(lq.shape().dims4()?, self.axis);
        let (q, k, v) = (host::slice(q, lq)?, host::slice(k, lk)?, host::slice(v, lv)?);
        host::output(cpu::forward(q, k, v, &self.decay, lines), lq.shape())
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let g = g.contiguous()?;
        let lines = cpu::Lines::new(q.dims4()?, self.axis);
        let [dq, dk, dv] = cpu::backward(&host(q)?, &host(k)?, &host(v)?, &host(&g)?, &self.decay, lines);
        let gradient = |t: &Tensor, values| t.track_op().then(|| tensor(values, t.shape())).transpose();
        Ok((gradient(q, dq)?, gradient(k, dk)?, gradient(v, dv)?))
    }
}
