//! Between candle's tensors and plain slices.

use candle_core::{CpuStorage, DType, Device, Layout, Result, Shape, Storage, Tensor, bail};
use std::ops::{Deref, Range};

/// Whether the kernels of this crate can run on `t`: f32 in main memory. Everything else takes an op's composed form.
pub(crate) fn native(t: &Tensor) -> bool {
    t.dtype() == DType::F32 && matches!(t.device(), Device::Cpu)
}

/// A contiguous CPU tensor's values, readable for as long as this guard lives.
pub(crate) struct Host<G> {
    storage: G,
    range: Range<usize>,
}

/// Reads the values of a contiguous f32 tensor in main memory.
pub(crate) fn host(t: &Tensor) -> Result<Host<impl Deref<Target = Storage> + '_>> {
    let (storage, layout) = t.storage_and_layout();
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("a kernel was handed a tensor that is not contiguous: {:?}", layout)
    };
    match &*storage {
        Storage::Cpu(CpuStorage::F32(_)) => Ok(Host { storage, range: start..end }),
        _ => bail!("a CPU kernel was handed a {:?} tensor on {:?}", t.dtype(), t.device()),
    }
}

impl<G: Deref<Target = Storage>> Deref for Host<G> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &*self.storage {
            Storage::Cpu(CpuStorage::F32(values)) => &values[self.range.clone()],
            _ => unreachable!("checked by host()"),
        }
    }
}

/// The same for the storage and layout that a custom op is handed.
pub(crate) fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        _ => bail!("a CPU kernel needs contiguous f32 values, not {:?} with {layout:?}", storage_dtype(storage)),
    }
}

fn storage_dtype(storage: &CpuStorage) -> DType {
    use candle_core::backend::BackendStorage;
    storage.dtype()
}

/// A custom op's result.
pub(crate) fn output(values: Vec<f32>, shape: impl Into<Shape>) -> Result<(CpuStorage, Shape)> {
    Ok((CpuStorage::F32(values), shape.into()))
}

/// A gradient: a tensor that takes the values without a copy.
pub(crate) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> Result<Tensor> {
    Tensor::from_vec(values, shape.into(), &Device::Cpu)
}

/// The last dimension of a shape, and how many rows of it there are.
pub(crate) fn rows_of(shape: &Shape) -> (usize, usize) {
    let width = shape.dims().last().copied().unwrap_or(1);
    (shape.elem_count() / width.max(1), width)
}
