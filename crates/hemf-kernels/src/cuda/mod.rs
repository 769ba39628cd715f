//! Kernels of our own on NVIDIA's GPUs.
//!
//! An operation's kernels stand in its folder: `NAME.cu`, and `cuda.rs` with what is launched for it, its sizes and index
//! bounds. `kernels.cu` includes all sources; `build.rs` compiles it to PTX for maps of f32 and of bf16 where the feature
//! `cuda` is on. Kernels add up in f32 and in one order, so that results have the same bits every time.
//!
//! What is launched is plain data ([`Launch`]): `device.rs` hands it to a GPU. In the tests `emulator.rs` runs the same
//! launches of the same sources on the processor, compiled by the host's C++ compiler.

#[cfg(any(test, all(feature = "cuda", target_os = "linux")))]
mod blocks;
mod columns;
#[cfg(all(feature = "cuda", not(test)))]
mod device;
#[cfg(test)]
pub(crate) mod emulator;
mod launch;
#[cfg(all(feature = "cuda", target_os = "linux", not(test)))]
pub(crate) mod pool;
mod products;
mod several;
#[cfg(test)]
mod tests;
mod turned;

pub(crate) use columns::{Columns, Partial, column_sums};
#[cfg(all(feature = "cudnn", not(test)))]
pub(crate) use launch::Where;
pub use launch::launched;
pub(crate) use launch::{Launch, MOST_NUMBERS, MOST_SHARED, Output, THREADS, View, blocks_for, blocks_for_values};
pub(crate) use several::first_blocks;
pub(crate) use turned::turn;

use crate::rounded;
use crate::tape::{self, Needs};
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp2, CustomOp3, DType, Layout, Result, Shape, Storage, Tensor, bail,
};

/// Whether kernels of ours run on these tensors, all of them: of f32 or of bf16, on a GPU, not empty, and not within
/// [`crate::composed`]. The first is of the type of the result; what goes with it may be of f32 all the same.
pub(crate) fn suits(tensors: &[&Tensor]) -> bool {
    let Some(first) = tensors.first() else { return false };
    let fits = |t: &&Tensor| {
        let alike = t.dtype() == first.dtype() || t.dtype() == DType::F32;
        alike && t.elem_count() > 0 && t.device().same_device(first.device())
    };
    has_kernels(first) && matches!(first.dtype(), DType::F32 | DType::BF16) && tensors.iter().all(fits)
}

/// Whether the kernels over many tensors at once take a tensor: f32 on a GPU, contiguous, not empty, and not within
/// [`composed`](crate::composed).
pub fn suits_at_once(t: &Tensor) -> bool {
    t.dtype() == DType::F32 && t.is_contiguous() && suits(&[t])
}

/// Whether two tensors are of one shape, on one device.
pub(crate) fn alike(a: &Tensor, b: &Tensor) -> bool {
    a.shape() == b.shape() && a.device().same_device(b.device())
}

#[cfg(not(test))]
fn has_kernels(t: &Tensor) -> bool {
    t.device().is_cuda() && !crate::host::is_composed()
}

#[cfg(test)]
fn has_kernels(_: &Tensor) -> bool {
    emulator::is_on() && !crate::host::is_composed()
}

/// An operation by kernels of ours. Its inputs are handed to it in the type of the first.
pub(crate) trait Kernels: Send + Sync + 'static {
    /// Its name, as candle's `CustomOp` has it.
    fn operation(&self) -> &'static str;

    /// The result's values and shape.
    fn forward(&self, inputs: &[View]) -> Result<(Output, Shape)>;

    /// The gradient of each input, where it is wanted (`track_op`), from that of the result, `g` (contiguous); of any float
    /// type.
    fn backward(&self, inputs: &[&Tensor], output: &Tensor, g: &Tensor) -> Result<Vec<Option<Tensor>>>;
}

/// Applies an operation to one to three tensors, which kernels suit; its gradient needs what is said.
pub(crate) fn apply(op: impl Kernels, needs: Needs, inputs: &[&Tensor]) -> Result<Tensor> {
    let inputs: Vec<Tensor> = inputs.iter().map(|t| t.contiguous()).collect::<Result<_>>()?;
    let alike =
        |t: &Tensor| (t.dtype() != inputs[0].dtype()).then(|| rounded::of_type(t, inputs[0].dtype())).transpose();
    let op = OnGpu { alike: inputs.iter().map(alike).collect::<Result<_>>()?, op };
    match inputs.as_slice() {
        [x] => tape::apply1(op, needs, x),
        [x, y] => tape::apply2(op, needs, x, y),
        [x, y, z] => tape::apply3(op, needs, x, y, z),
        _ => bail!("an operation takes one to three tensors, not {}", inputs.len()),
    }
}

/// Such an operation as candle knows it.
struct OnGpu<K> {
    op: K,
    /// Of inputs that are not of the type of the first (weights, where maps are in bf16) copies that are: made once, for the
    /// way there and the way back.
    alike: Vec<Option<Tensor>>,
}

impl<K: Kernels> OnGpu<K> {
    /// Each input in the type of the first.
    fn views<'a, S>(
        &'a self,
        inputs: &[(&'a S, &'a Layout)],
        view: impl Fn((&'a S, &'a Layout)) -> Result<View<'a>>,
    ) -> Result<Vec<View<'a>>> {
        let alike = |(copy, input): (&'a Option<Tensor>, &(&'a S, &'a Layout))| match copy {
            Some(copy) => View::of(copy),
            None => view(*input),
        };
        self.alike.iter().zip(inputs).map(alike).collect()
    }

    fn cuda(&self, inputs: &[(&CudaStorage, &Layout)]) -> Result<(CudaStorage, Shape)> {
        match self.op.forward(&self.views(inputs, View::of_cuda)?)? {
            (Output(Storage::Cuda(values)), shape) => Ok((values, shape)),
            _ => bail!("{}: its result is not on a GPU", self.op.operation()),
        }
    }

    /// In tests alone: there the kernels are run on the processor.
    fn cpu(&self, inputs: &[(&CpuStorage, &Layout)]) -> Result<(CpuStorage, Shape)> {
        match self.op.forward(&self.views(inputs, View::of_cpu)?)? {
            (Output(Storage::Cpu(values)), shape) => Ok((values, shape)),
            _ => bail!("{}: its result is not in main memory", self.op.operation()),
        }
    }

    fn gradients<const N: usize>(&self, inputs: [&Tensor; N], y: &Tensor, g: &Tensor) -> Result<[Option<Tensor>; N]> {
        let alike = |(copy, input): (&Option<Tensor>, &&Tensor)| copy.as_ref().unwrap_or(input).to_dtype(g.dtype());
        let alike = self.alike.iter().zip(&inputs).map(alike).collect::<Result<Vec<_>>>()?;
        let gradients = self.op.backward(&alike.iter().collect::<Vec<_>>(), y, &g.contiguous()?)?;
        let of_type = |(gradient, input): (Option<Tensor>, &&Tensor)| match gradient {
            Some(gradient) => gradient.to_dtype(input.dtype()).map(Some),
            None => Ok(None),
        };
        match gradients.into_iter().zip(&inputs).map(of_type).collect::<Result<Vec<_>>>()?.try_into() {
            Ok(gradients) => Ok(gradients),
            Err(_) => bail!("{}: a gradient for each input", self.op.operation()),
        }
    }
}

impl<K: Kernels> CustomOp1 for OnGpu<K> {
    fn name(&self) -> &'static str {
        self.op.operation()
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout) -> Result<(CpuStorage, Shape)> {
        self.cpu(&[(x, lx)])
    }

    fn cuda_fwd(&self, x: &CudaStorage, lx: &Layout) -> Result<(CudaStorage, Shape)> {
        self.cuda(&[(x, lx)])
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let [dx] = self.gradients([x], y, g)?;
        Ok(dx)
    }
}

impl<K: Kernels> CustomOp2 for OnGpu<K> {
    fn name(&self) -> &'static str {
        self.op.operation()
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, y: &CpuStorage, ly: &Layout) -> Result<(CpuStorage, Shape)> {
        self.cpu(&[(x, lx), (y, ly)])
    }

    fn cuda_fwd(&self, x: &CudaStorage, lx: &Layout, y: &CudaStorage, ly: &Layout) -> Result<(CudaStorage, Shape)> {
        self.cuda(&[(x, lx), (y, ly)])
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, out: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [dx, dy] = self.gradients([x, y], out, g)?;
        Ok((dx, dy))
    }
}

impl<K: Kernels> CustomOp3 for OnGpu<K> {
    fn name(&self) -> &'static str {
        self.op.operation()
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        y: &CpuStorage,
        ly: &Layout,
        z: &CpuStorage,
        lz: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.cpu(&[(x, lx), (y, ly), (z, lz)])
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        lx: &Layout,
        y: &CudaStorage,
        ly: &Layout,
        z: &CudaStorage,
        lz: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.cuda(&[(x, lx), (y, ly), (z, lz)])
    }

    fn bwd(
        &self,
        x: &Tensor,
        y: &Tensor,
        z: &Tensor,
        out: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dx, dy, dz] = self.gradients([x, y, z], out, g)?;
        Ok((dx, dy, dz))
    }
}
