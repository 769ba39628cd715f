//! The element-wise arithmetic of the optimizers: on the CPU in place and in parallel, elsewhere from candle's operations
//! (`composed.rs`).
//!
//! Each element is computed alone and sums run over fixed chunks, so the number of threads changes no bit.

use std::cell::Cell;

use candle_core::{CpuStorage, InplaceOp1, InplaceOp2, InplaceOp3, Layout, Result, Storage, Tensor, bail};
use rayon::prelude::*;

/// Elements per piece of parallel work: large enough to pay for the hand-over, small enough to share out.
const CHUNK: usize = 1 << 14;

/// `m <- m + (g - m) * share`: a running mean.
pub(crate) struct Towards {
    pub(crate) share: f32,
}

/// One update of AdamW, in one pass over the parameter, its two moments and its gradient: memory is what it waits for.
///
/// - `m <- m + (g - m) * towards`
/// - `v <- v * keep + g^2 * share`
/// - `p <- p * shrink - step * m / (sqrt(v) / root_correction + eps)`
pub(super) struct AdamWalk {
    pub(super) towards: f32,
    pub(super) keep: f32,
    pub(super) share: f32,
    pub(super) shrink: f32,
    pub(super) step: f32,
    pub(super) root_correction: f32,
    pub(super) eps: f32,
}

/// `m <- keep * m + (g + decay * p)`
pub(super) struct Momentum {
    pub(super) keep: f32,
    pub(super) decay: f32,
}

/// `p <- p - lr * m`
pub(super) struct Descend {
    pub(super) lr: f32,
}

/// `p <- p - lr * (g + decay * p + keep * m)`
pub(super) struct Nesterov {
    pub(super) lr: f32,
    pub(super) keep: f32,
    pub(super) decay: f32,
}

impl InplaceOp2 for Towards {
    fn name(&self) -> &'static str {
        "running-mean"
    }

    fn cpu_fwd(&self, m: &mut CpuStorage, m_layout: &Layout, g: &CpuStorage, g_layout: &Layout) -> Result<()> {
        let share = self.share;
        zip(slice_mut(m, m_layout)?, slice(g, g_layout)?, |m, g| {
            *m += (g - *m) * share;
        });
        Ok(())
    }
}

impl AdamWalk {
    /// Changes `p`, `m` and `v` by the gradient `g`.
    pub(super) fn apply(&self, p: &Tensor, m: &Tensor, v: &Tensor, g: &Tensor) -> Result<()> {
        let (g, layout) = g.storage_and_layout();
        let Storage::Cpu(g) = &*g else { bail!("the optimizer's kernel needs a gradient in main memory") };
        let g = slice(g, layout)?;
        in_place(p, |p| in_place(m, |m| in_place(v, |v| self.walk(p, m, v, g))))
    }

    fn walk(&self, p: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32]) -> Result<()> {
        if [m.len(), v.len(), g.len()] != [p.len(); 3] {
            bail!(
                "a parameter of {} values with moments of {} and {}, gradient {}",
                p.len(),
                m.len(),
                v.len(),
                g.len()
            );
        }
        let moments = m.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK));
        p.par_chunks_mut(CHUNK).zip(moments).zip(g.par_chunks(CHUNK)).for_each(|((p, (m, v)), g)| {
            for (((p, m), v), g) in p.iter_mut().zip(m).zip(v).zip(g) {
                *m += (g - *m) * self.towards;
                *v = *v * self.keep + g * g * self.share;
                *p = *p * self.shrink - self.step * *m / (v.sqrt() / self.root_correction + self.eps);
            }
        });
        Ok(())
    }
}

impl InplaceOp3 for Momentum {
    fn name(&self) -> &'static str {
        "sgd-momentum"
    }

    fn cpu_fwd(
        &self,
        m: &mut CpuStorage,
        m_layout: &Layout,
        g: &CpuStorage,
        g_layout: &Layout,
        p: &CpuStorage,
        p_layout: &Layout,
    ) -> Result<()> {
        zip3(slice_mut(m, m_layout)?, slice(g, g_layout)?, slice(p, p_layout)?, |m, g, p| {
            *m = self.keep * *m + (g + self.decay * p);
        });
        Ok(())
    }
}

impl InplaceOp2 for Descend {
    fn name(&self) -> &'static str {
        "sgd-descend"
    }

    fn cpu_fwd(&self, p: &mut CpuStorage, p_layout: &Layout, m: &CpuStorage, m_layout: &Layout) -> Result<()> {
        zip(slice_mut(p, p_layout)?, slice(m, m_layout)?, |p, m| {
            *p -= self.lr * m;
        });
        Ok(())
    }
}

impl InplaceOp3 for Nesterov {
    fn name(&self) -> &'static str {
        "sgd-nesterov"
    }

    fn cpu_fwd(
        &self,
        p: &mut CpuStorage,
        p_layout: &Layout,
        g: &CpuStorage,
        g_layout: &Layout,
        m: &CpuStorage,
        m_layout: &Layout,
    ) -> Result<()> {
        zip3(slice_mut(p, p_layout)?, slice(g, g_layout)?, slice(m, m_layout)?, |p, g, m| {
            *p -= self.lr * (g + self.decay * *p + self.keep * m);
        });
        Ok(())
    }
}

/// Sum of the squares of all elements, in f64.
pub(crate) fn sum_of_squares(tensor: &Tensor) -> Result<f64> {
    if !hemf_kernels::native(tensor) {
        return super::composed::sum_of_squares(tensor)?.to_scalar();
    }
    let of = |values: &[f32]| {
        let partial: Vec<f64> = values.par_chunks(CHUNK).map(squares).collect();
        partial.iter().sum()
    };
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(values) if layout.is_contiguous() => Ok(of(slice(values, layout)?)),
        _ => {
            drop(storage);
            Ok(of(&tensor.flatten_all()?.to_vec1::<f32>()?))
        }
    }
}

/// The sum of the squares, as many sums side by side as keep the adders busy.
fn squares(values: &[f32]) -> f64 {
    const SUMS: usize = 16;
    let (whole, rest) = values.as_chunks::<SUMS>();
    let mut sums = [0.0; SUMS];
    for values in whole {
        for (sum, &x) in sums.iter_mut().zip(values) {
            *sum += f64::from(x) * f64::from(x);
        }
    }
    let rest = rest.iter().map(|&x| f64::from(x) * f64::from(x));
    sums.into_iter().chain(rest).sum()
}

/// Hands a tensor's values to `change`, to be changed where they lie; nested, those of several at once.
fn in_place(tensor: &Tensor, change: impl FnOnce(&mut [f32]) -> Result<()>) -> Result<()> {
    struct InPlace<F>(Cell<Option<F>>);
    impl<F: FnOnce(&mut [f32]) -> Result<()>> InplaceOp1 for InPlace<F> {
        fn name(&self) -> &'static str {
            "in-place"
        }

        fn cpu_fwd(&self, values: &mut CpuStorage, layout: &Layout) -> Result<()> {
            self.0.take().map_or(Ok(()), |change| change(slice_mut(values, layout)?))
        }
    }
    tensor.inplace_op1(&InPlace(Cell::new(Some(change))))
}

fn zip(target: &mut [f32], source: &[f32], change: impl Fn(&mut f32, f32) + Sync) {
    target.par_chunks_mut(CHUNK).zip(source.par_chunks(CHUNK)).for_each(|(target, source)| {
        for (t, s) in target.iter_mut().zip(source) {
            change(t, *s);
        }
    });
}

fn zip3(target: &mut [f32], a: &[f32], b: &[f32], change: impl Fn(&mut f32, f32, f32) + Sync) {
    target.par_chunks_mut(CHUNK).zip(a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK))).for_each(|(target, (a, b))| {
        for (t, (a, b)) in target.iter_mut().zip(a.iter().zip(b)) {
            change(t, *a, *b);
        }
    });
}

fn range(layout: &Layout) -> Result<std::ops::Range<usize>> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(start..end),
        None => bail!("the optimizer needs contiguous tensors, got strides {:?}", layout.stride()),
    }
}

fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    Ok(&storage.as_slice::<f32>()?[range(layout)?])
}

fn slice_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    let range = range(layout)?;
    match storage {
        CpuStorage::F32(values) => Ok(&mut values[range]),
        _ => bail!("the optimizer keeps parameters in float32"),
    }
}
