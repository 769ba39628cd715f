//! What is said to a GPU once, and copies to it that nobody waits for. On the processor there is nothing to say.

use candle_core::{Device, Result, Tensor};

/// Readies a GPU for work whose tensors come and go: freed memory stays with this process, instead of going back to the
/// system at each wait. With `one_stream`, tensors carry no events for the benefit of other streams, and their memory is handed
/// on without asking the driver: the caller then gives them to none but the device's own, from this thread.
///
/// # Errors
/// The driver's.
pub fn prepare_gpu(device: &Device, one_stream: bool) -> Result<()> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => cuda::prepare(device, one_stream),
        _ => {
            let _ = one_stream;
            Ok(())
        }
    }
}

/// The free and all memory of a GPU in bytes, where that can be told.
pub fn gpu_memory(device: &Device) -> Option<(u64, u64)> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => {
            let (free, all) = device.cuda_stream().context().mem_get_info().ok()?;
            Some((free as u64, all as u64))
        }
        _ => None,
    }
}

/// Whether this process is to keep the memory of freed tensors of a GPU: where the variable `HEMF_GPU_MEMORY` is `kept`.
/// Without it, or where it is `driver`, memory is left to the driver, until keeping it has been seen to work on a card.
///
/// # Errors
/// Another value.
pub fn is_memory_to_be_kept() -> std::result::Result<bool, String> {
    match std::env::var_os("HEMF_GPU_MEMORY") {
        Some(of) if of == "kept" => Ok(true),
        Some(of) if of != "driver" => Err(format!("HEMF_GPU_MEMORY is {of:?}, not \"kept\" or \"driver\"")),
        _ => Ok(false),
    }
}

/// How many tensors of a GPU were given memory that this process keeps; `None` where memory is left to the driver.
pub fn kept_gpu_memory() -> Option<u64> {
    #[cfg(all(feature = "cuda", target_os = "linux", not(test)))]
    let taken = crate::cuda::pool::taken();
    #[cfg(not(all(feature = "cuda", target_os = "linux", not(test))))]
    let taken = None;
    taken
}

/// Copies tensors from main memory to a device. To a GPU they go by way of pages that the driver has locked, so that a copy
/// is begun and not waited for.
pub struct Uploads {
    device: Device,
    #[cfg(feature = "cuda")]
    stages: cuda::Stages,
}

impl Uploads {
    /// Copies to `device`, of which as many as `ahead` may be under way.
    pub fn new(device: &Device, ahead: usize) -> Self {
        #[cfg(not(feature = "cuda"))]
        let _ = ahead;
        Self {
            device: device.clone(),
            #[cfg(feature = "cuda")]
            stages: cuda::Stages::new(ahead),
        }
    }

    /// The values of `t` on the device; on the processor `t` itself.
    ///
    /// # Errors
    /// The driver's.
    pub fn copy(&mut self, t: &Tensor) -> Result<Tensor> {
        match &self.device {
            #[cfg(feature = "cuda")]
            Device::Cuda(device) if t.dtype() == candle_core::DType::F32 && t.device().is_cpu() => {
                self.stages.copy(device, &t.contiguous()?)
            }
            device => t.to_device(device),
        }
    }
}

#[cfg(feature = "cuda")]
mod cuda {
    use crate::host::host;
    use candle_core::cuda_backend::cudarc::driver::sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    use candle_core::cuda_backend::cudarc::driver::{CudaEvent, PinnedHostSlice, result};
    use candle_core::cuda_backend::{CudaDevice, CudaStorage};
    use candle_core::op::BackpropOp;
    use candle_core::{Error, Result, Storage, Tensor};

    pub(super) fn prepare(device: &CudaDevice, one_stream: bool) -> Result<()> {
        let stream = device.cuda_stream();
        let context = stream.context();
        if context.has_async_alloc() {
            let mut most = u64::MAX;
            // SAFETY: the device is the context's own, its default pool lives as long as the driver, and the attribute is a
            // number of 64 bits, which is read before the call returns.
            unsafe {
                let pool = result::device::get_default_mem_pool(context.cu_device()).map_err(Error::wrap)?;
                let value = (&raw mut most).cast();
                result::mem_pool::set_attribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, value).map_err(Error::wrap)?;
            }
        }
        if one_stream {
            // SAFETY: events order the uses of a tensor on several streams. The caller uses one.
            unsafe { device.disable_event_tracking() };
            #[cfg(all(target_os = "linux", not(test)))]
            if super::is_memory_to_be_kept().map_err(Error::msg)? && context.has_async_alloc() {
                crate::cuda::pool::keep(stream.cu_stream());
            }
        }
        Ok(())
    }

    /// Locked pages that copies start from, used in turn.
    pub(super) struct Stages {
        /// Where no pages could be locked there is none.
        stages: Vec<Option<Stage>>,
        next: usize,
    }

    struct Stage {
        pages: PinnedHostSlice<f32>,
        /// When the last copy from these pages is done. (The binding notes it for itself only where it orders streams.)
        copied: Option<CudaEvent>,
    }

    impl Stages {
        pub(super) fn new(ahead: usize) -> Self {
            Self { stages: (0..ahead.max(1)).map(|_| None).collect(), next: 0 }
        }

        /// `t` is f32, contiguous and in main memory.
        pub(super) fn copy(&mut self, device: &CudaDevice, t: &Tensor) -> Result<Tensor> {
            let values = host(t)?;
            let stream = device.cuda_stream();
            let at = self.next;
            self.next = (at + 1) % self.stages.len();
            let place = &mut self.stages[at];
            if let Some(stage) = place {
                stage.wait()?;
            }
            if place.as_ref().is_none_or(|stage| stage.pages.len() < values.len()) {
                // SAFETY: what is read of the pages was written before, below.
                let pages = unsafe { stream.context().alloc_pinned::<f32>(values.len()) };
                *place = pages.ok().map(|pages| Stage { pages, copied: None });
            }
            let Some(stage) = place else {
                return t.to_device(&candle_core::Device::Cuda(device.clone())); // the system locks no more pages
            };
            let pages = stage.pages.as_mut_slice().map_err(Error::wrap)?;
            pages[..values.len()].copy_from_slice(&values);
            // SAFETY: the copy below writes all of it before anything on the stream reads it.
            let mut there = unsafe { device.alloc::<f32>(values.len())? };
            stream
                .memcpy_htod(&stage.pages.as_slice().map_err(Error::wrap)?[..values.len()], &mut there)
                .map_err(Error::wrap)?;
            stage.copied = Some(stream.record_event(None).map_err(Error::wrap)?);
            let storage = Storage::Cuda(CudaStorage::wrap_cuda_slice(there, device.clone()));
            Ok(Tensor::from_storage(storage, t.shape(), BackpropOp::none(), false))
        }
    }

    impl Stage {
        fn wait(&self) -> Result<()> {
            self.copied.as_ref().map_or(Ok(()), CudaEvent::synchronize).map_err(Error::wrap)
        }
    }

    impl Drop for Stage {
        fn drop(&mut self) {
            let _ = self.wait(); // the driver's error came up before, or will
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;

    #[test]
    fn on_the_processor_there_is_nothing_to_do() {
        prepare_gpu(&Device::Cpu, true).unwrap();
        assert_eq!(gpu_memory(&Device::Cpu), None);
        let x = random(&[2, 3], 1);
        assert_eq!(Uploads::new(&Device::Cpu, 2).copy(&x).unwrap().id(), x.id());
    }
}
