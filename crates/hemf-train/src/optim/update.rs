//! The element-wise arithmetic of AdamW on the CPU, in place and in parallel.
//!
//! Each element is computed alone and sums run over fixed chunks, so the number of threads changes no bit.

use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Result, Tensor, bail};
use rayon::prelude::*;

/// Elements per piece of parallel work: large enough to pay for the hand-over, small enough to share out.
const CHUNK: usize = 1 << 14;

/// `m <- m + (g - m) * share`
pub(super) struct FirstMoment {
    pub(super) share: f32,
}

/// `v <- v * keep + g^2 * share`
pub(super) struct SecondMoment {
    pub(super) keep: f32,
    pub(super) share: f32,
}

/// `p <- p * shrink - step * m / (sqrt(v) / root_correction + eps)`
pub(super) struct Walk {
    pub(super) shrink: f32,
    pub(super) step: f32,
    pub(super) root_correction: f32,
    pub(super) eps: f32,
}

impl InplaceOp2 for FirstMoment {
    fn name(&self) -> &'static str {
        "adamw-first-moment"
    }

    fn cpu_fwd(&self, m: &mut CpuStorage, m_layout: &Layout, g: &CpuStorage, g_layout: &Layout) -> Result<()> {
        let share = self.share;
        zip(slice_mut(m, m_layout)?, slice(g, g_layout)?, |m, g| {
            *m += (g - *m) * share;
        });
        Ok(())
    }
}

impl InplaceOp2 for SecondMoment {
    fn name(&self) -> &'static str {
        "adamw-second-moment"
    }

    fn cpu_fwd(&self, v: &mut CpuStorage, v_layout: &Layout, g: &CpuStorage, g_layout: &Layout) -> Result<()> {
        let Self { keep, share } = *self;
        zip(slice_mut(v, v_layout)?, slice(g, g_layout)?, |v, g| {
            *v = *v * keep + g * g * share;
        });
        Ok(())
    }
}

impl InplaceOp3 for Walk {
    fn name(&self) -> &'static str {
        "adamw-walk"
    }

    fn cpu_fwd(
        &self,
        p: &mut CpuStorage,
        p_layout: &Layout,
        m: &CpuStorage,
        m_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<()> {
        let p = slice_mut(p, p_layout)?;
        let (m, v) = (slice(m, m_layout)?, slice(v, v_layout)?);
        p.par_chunks_mut(CHUNK).zip(m.par_chunks(CHUNK).zip(v.par_chunks(CHUNK))).for_each(|(p, (m, v))| {
            for ((p, m), v) in p.iter_mut().zip(m).zip(v) {
                let root = v.sqrt() / self.root_correction + self.eps;
                *p = *p * self.shrink - self.step * m / root;
            }
        });
        Ok(())
    }
}

/// Sum of the squares of all elements, in f64.
pub(crate) fn sum_of_squares(tensor: &Tensor) -> Result<f64> {
    let values = tensor.flatten_all()?.to_vec1::<f32>()?;
    let partial: Vec<f64> =
        values.par_chunks(CHUNK).map(|chunk| chunk.iter().map(|&x| f64::from(x) * f64::from(x)).sum()).collect();
    Ok(partial.iter().sum())
}

fn zip(target: &mut [f32], source: &[f32], change: impl Fn(&mut f32, f32) + Sync) {
    target.par_chunks_mut(CHUNK).zip(source.par_chunks(CHUNK)).for_each(|(target, source)| {
        for (t, s) in target.iter_mut().zip(source) {
            change(t, *s);
        }
    });
}

fn range(layout: &Layout) -> Result<std::ops::Range<usize>> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(start..end),
        None => bail!("AdamW needs contiguous tensors, got strides {:?}", layout.stride()),
    }
}

fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    Ok(&storage.as_slice::<f32>()?[range(layout)?])
}

fn slice_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    let range = range(layout)?;
    match storage {
        CpuStorage::F32(values) => Ok(&mut values[range]),
        _ => bail!("AdamW keeps parameters in float32"),
    }
}
