//! Between candle's tensors and plain slices.

use candle_core::{CpuStorage, DType, Device, Layout, Result, Shape, Storage, Tensor, bail};
use std::cell::Cell;
use std::ops::{Deref, Range};
use std::thread::LocalKey;

thread_local! {
    /// Whether this thread takes the composed form of every operation.
    static COMPOSED: Cell<bool> = const { Cell::new(false) };
    /// Whether it leaves cuDNN alone.
    static WITHOUT_CUDNN: Cell<bool> = const { Cell::new(false) };
}

/// Runs `task` with every operation in its composed form, from candle's operations alone, as on a device without kernels
/// of ours: a kernel that is called all the same is an error. For this thread, and to the end of `task`.
pub fn composed<T>(task: impl FnOnce() -> T) -> T {
    with(&COMPOSED, task)
}

/// Runs `task` with convolutions on a GPU as a build without the feature `cudnn` does them. For this thread, and to the end of
/// `task`.
pub fn without_cudnn<T>(task: impl FnOnce() -> T) -> T {
    with(&WITHOUT_CUDNN, task)
}

fn with<T>(switch: &'static LocalKey<Cell<bool>>, task: impl FnOnce() -> T) -> T {
    /// Puts back what was before, also when the task panics.
    struct Before(&'static LocalKey<Cell<bool>>, bool);
    impl Drop for Before {
        fn drop(&mut self) {
            self.0.set(self.1);
        }
    }
    let _before = Before(switch, switch.replace(true));
    task()
}

/// Whether convolutions may be cuDNN's on this thread.
#[cfg(all(feature = "cudnn", not(test)))]
pub(crate) fn has_cudnn() -> bool {
    !WITHOUT_CUDNN.get()
}

/// Whether the CPU kernels can run on `t`: f32 in main memory, and not [`composed`]. Everything else takes the kernels of a
/// GPU (`cuda.rs`) or an operation's composed form.
pub fn native(t: &Tensor) -> bool {
    #[cfg(test)]
    if crate::cuda::emulator::is_on() {
        return false;
    }
    t.dtype() == DType::F32 && matches!(t.device(), Device::Cpu) && !COMPOSED.get()
}

/// Whether everything is to be [`composed`] on this thread.
pub(crate) fn is_composed() -> bool {
    COMPOSED.get()
}

/// Fails where no kernel may run.
fn check_kernels() -> Result<()> {
    if COMPOSED.get() {
        bail!("a CPU kernel was called where all is to be composed of candle's operations");
    }
    Ok(())
}

/// A contiguous CPU tensor's values, readable for as long as this guard lives.
pub(crate) struct Host<G> {
    storage: G,
    range: Range<usize>,
}

/// Reads the values of a contiguous f32 tensor in main memory.
pub(crate) fn host(t: &Tensor) -> Result<Host<impl Deref<Target = Storage> + '_>> {
    check_kernels()?;
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
    check_kernels()?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;

    #[test]
    fn composed_runs_no_kernel_and_ends_with_its_task() {
        let x = random(&[2, 3], 1);
        assert!(native(&x) && host(&x).is_ok());
        composed(|| {
            assert!(!native(&x) && host(&x).is_err());
            assert!(composed(|| crate::gelu(&x)).is_ok() && !native(&x));
        });
        assert!(std::panic::catch_unwind(|| composed(|| panic!("a task that fails"))).is_err());
        assert!(native(&x));
    }
}
