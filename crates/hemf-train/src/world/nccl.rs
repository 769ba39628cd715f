//! Sums of tensors on GPUs, by NCCL: each rank has a GPU of its own, and nothing passes through the processors.
//!
//! This compiles and links. It has never been run on GPUs.

use std::{ffi::c_char, sync::Arc};

use candle_core::{
    Device, Result, Storage, Tensor,
    backend::BackendStorage,
    bail,
    cuda_backend::{
        CudaStorage,
        cudarc::{
            driver::CudaStream,
            nccl::{Comm, Id, ReduceOp, result::NcclError},
        },
    },
    op::BackpropOp,
};

/// A sum that was begun.
pub(super) struct Begun {
    /// Read until the sum is there.
    _mine: Tensor,
    sum: Tensor,
}

/// The ranks' GPUs. Sums have a stream of their own, beside which the GPU goes on with the backward pass.
pub(super) struct Nccl {
    comm: Comm,
    /// Where everything else is computed.
    computing: Arc<CudaStream>,
}

impl Nccl {
    /// Joins the GPUs of all ranks, each of which gives its `device`. `told` brings what rank 0 has to all.
    pub(super) fn join<E: From<candle_core::Error>>(
        device: &Device,
        rank: usize,
        ranks: usize,
        told: impl FnOnce(Vec<u8>) -> std::result::Result<Vec<u8>, E>,
    ) -> std::result::Result<Self, E> {
        let id = if rank == 0 { Id::new().map_err(failed)?.internal().map(|byte| byte as u8).to_vec() } else { vec![] };
        let id = told(id)?;
        let computing = device.as_cuda_device()?.cuda_stream();
        let join = || {
            let id: [u8; 128] =
                id.try_into().map_err(|_| candle_core::Error::msg("NCCL: rank 0 has another version"))?;
            let stream = computing.context().new_stream().map_err(candle_core::Error::wrap)?;
            Comm::from_rank(stream, rank, ranks, Id::uninit(id.map(|byte| byte as c_char))).map_err(failed)
        };
        Ok(Self { comm: join()?, computing })
    }

    /// Begins to add up `mine` (float32) over all ranks, which begin the same sums in the same order.
    pub(super) fn start(&self, mine: Tensor) -> Result<Begun> {
        let sum = self.all_reduce(&mine)?;
        Ok(Begun { _mine: mine, sum })
    }

    /// The sum, for what is computed from here on.
    pub(super) fn finish(&self, begun: Begun) -> Result<Tensor> {
        self.computing.join(&self.comm.stream()).map_err(candle_core::Error::wrap)?;
        Ok(begun.sum)
    }

    fn all_reduce(&self, tensor: &Tensor) -> Result<Tensor> {
        let (storage, layout) = tensor.storage_and_layout();
        let (Storage::Cuda(storage), Some((from, to))) = (&*storage, layout.contiguous_offsets()) else {
            bail!("NCCL: a tensor that is not contiguous on a GPU")
        };
        let device = storage.device();
        let mut sum = device.alloc_zeros::<f32>(to - from)?;
        let mine = storage.as_cuda_slice::<f32>()?.slice(from..to);
        self.comm.stream().join(&self.computing).map_err(candle_core::Error::wrap)?;
        self.comm.all_reduce(&mine, &mut sum, &ReduceOp::Sum).map_err(failed)?;
        let sum = Storage::Cuda(CudaStorage::wrap_cuda_slice(sum, device.clone()));
        Ok(Tensor::from_storage(sum, tensor.shape(), BackpropOp::none(), false))
    }
}

fn failed(error: NcclError) -> candle_core::Error {
    candle_core::Error::Msg(format!("NCCL: {error:?}"))
}
