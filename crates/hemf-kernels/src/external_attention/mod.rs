//! External attention: tokens attend to two small memories of S slots instead of to each other, with a double
//! normalisation. For each image and head, t (N, d) the head's channels of its N tokens, Mk (S, d) and Mv (d, S):
//!
//! - L = t Mkᵀ, (N, S)
//! - P = softmax over the **tokens** n of L, for each slot s
//! - r_n = sum over s of P_ns, and A = P / r
//! - out = A Mvᵀ, (N, d)
//!
//! A token whose r underflows f32 (its scores lie some 90 below the largest in every slot) has no direction left to be
//! normalised: its row of A, and what flows back through it, is 0 (0 / 0 otherwise).
//!
//! With G the gradient of out:
//!
//! - dA = G Mv, dMv = Gᵀ A
//! - dP_ns = (dA_ns - sum over s of dA_ns A_ns) / r_n
//! - dL_ns = P_ns (dP_ns - sum over n of dP_ns P_ns)
//! - dt = dL Mk, dMk = dLᵀ t
//!
//! With U_ns = A_ns (dA_ns - sum over s of dA_ns A_ns) = P_ns dP_ns the division cancels:
//! dL_ns = U_ns - P_ns sum over n of U_ns, where P = r A. The memories are shared: their gradients are sums over images and
//! heads. The sum over s of dA_ns A_ns is G_n · out_n.
//!
//! A is computed anew in the backward pass rather than kept: it has S / d times the size of t (five times at 12 channels
//! per head and 64 slots), and is one product of five to make.

mod composed;
mod cpu;
mod cuda;
#[cfg(test)]
mod tests;

use crate::host::{self, host, native, tensor};
use crate::tape::{self, Needs};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

/// `t` (B, N, C) or (B, H, W, C), its channels `heads` heads of d; `mk` (S, d) and `mv` (d, S), shared by all heads -> the
/// shape of `t`.
///
/// Of no images, B = 0, there is nothing to attend to: the result is as empty as `t`. Fails when there are no tokens or
/// channels, the heads do not divide C or the memories are of another width.
pub fn external_attention(t: &Tensor, mk: &Tensor, mv: &Tensor, heads: usize) -> Result<Tensor> {
    let sizes = Sizes::of(t.dims(), mk.dims(), heads)?;
    if mv.dims() != [sizes.d(), sizes.slots] {
        bail!("external_attention: mk {:?} and mv {:?} are not (S, d) and (d, S)", mk.dims(), mv.dims());
    }
    if sizes.images == 0 {
        return Ok(t.clone());
    }
    if crate::cuda::suits(&[t, mk, mv]) && sizes.fit() {
        return crate::cuda::apply(cuda::OnGpu::new(heads), Needs::All, &[t, mk, mv]);
    }
    if !(native(t) && native(mk) && native(mv)) {
        return composed::external_attention(t, mk, mv, &sizes);
    }
    tape::apply3(ExternalAttention { heads }, Needs::Inputs, &t.contiguous()?, &mk.contiguous()?, &mv.contiguous()?)
}

/// B, N, C, heads and S.
#[derive(Clone, Copy)]
struct Sizes {
    images: usize,
    tokens: usize,
    channels: usize,
    heads: usize,
    slots: usize,
}

impl Sizes {
    fn of(t: &[usize], mk: &[usize], heads: usize) -> Result<Self> {
        let (images, tokens, channels) = match *t {
            [b, n, c] if n * c > 0 => (b, n, c),
            [b, h, w, c] if h * w * c > 0 => (b, h * w, c),
            _ => bail!("external_attention: tokens are (B, N, C) or (B, H, W, C) and not empty, not {t:?}"),
        };
        if heads == 0 || channels % heads != 0 {
            bail!("external_attention: {heads} heads do not divide the channels of {t:?}");
        }
        match *mk {
            [slots, d] if slots > 0 && d == channels / heads => Ok(Self { images, tokens, channels, heads, slots }),
            _ => bail!("external_attention: mk {mk:?} does not go with {heads} heads of {} channels", channels / heads),
        }
    }

    fn d(&self) -> usize {
        self.channels / self.heads
    }
}

struct ExternalAttention {
    heads: usize,
}

impl CustomOp3 for ExternalAttention {
    fn name(&self) -> &'static str {
        "external-attention"
    }

    fn cpu_fwd(
        &self,
        t: &CpuStorage,
        lt: &Layout,
        mk: &CpuStorage,
        lk: &Layout,
        mv: &CpuStorage,
        lv: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = Sizes::of(lt.dims(), lk.dims(), self.heads)?;
        let out = cpu::forward(host::slice(t, lt)?, host::slice(mk, lk)?, host::slice(mv, lv)?, sizes);
        host::output(out, lt.shape())
    }

    fn bwd(
        &self,
        t: &Tensor,
        mk: &Tensor,
        mv: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let g = g.contiguous()?;
        let sizes = Sizes::of(t.dims(), mk.dims(), self.heads)?;
        let [dt, dmk, dmv] = cpu::backward(&host(t)?, &host(mk)?, &host(mv)?, &host(&g)?, sizes);
        let gradient = |t: &Tensor, values| t.track_op().then(|| tensor(values, t.shape())).transpose();
        Ok((gradient(t, dt)?, gradient(mk, dmk)?, gradient(mv, dmv)?))
    }
}
