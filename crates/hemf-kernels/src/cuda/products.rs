//! Matrix products of what kernels read: by cuBLAS on a GPU.

use super::launch::{Output, View, Where};
use candle_core::backend::BackendStorage;
use candle_core::{DType, Layout, Result, Storage, bail};

impl View<'_> {
    /// The product of these values as a matrix (m, k) and of `other`, (n, k), transposed -> (m, n).
    pub(crate) fn times_transposed(&self, other: &View, m: usize, k: usize, n: usize) -> Result<Output> {
        let left = Layout::new((m, k).into(), vec![k, 1], self.range.start);
        let right = Layout::new((k, n).into(), vec![1, k], other.range.start);
        self.product(other, (m, n, k), &left, &right)
    }

    /// The product of these values as a matrix (k, m), transposed, and of `other`, (k, n) -> (m, n), in f32 whatever they
    /// are in: the gradient of a weight, of whose many small terms bf16 would keep little.
    pub(crate) fn transposed_times(&self, other: &View, k: usize, m: usize, n: usize) -> Result<Output> {
        if self.dtype() == DType::BF16 {
            return wide(self, other, k, m, n);
        }
        let left = Layout::new((m, k).into(), vec![1, m], self.range.start);
        let right = Layout::new((k, n).into(), vec![n, 1], other.range.start);
        self.product(other, (m, n, k), &left, &right)
    }

    /// By candle, in the type of the factors.
    fn product(&self, other: &View, (m, n, k): (usize, usize, usize), left: &Layout, right: &Layout) -> Result<Output> {
        match (self.storage()?, other.storage()?) {
            (Where::Cuda(a), Where::Cuda(b)) => Ok(Output(Storage::Cuda(a.matmul(b, (1, m, n, k), left, right)?))),
            (Where::Cpu(a), Where::Cpu(b)) => Ok(Output(Storage::Cpu(a.matmul(b, (1, m, n, k), left, right)?))),
            _ => bail!("a product of values in different places"),
        }
    }
}

/// [`View::transposed_times`] of bf16, by cuBLAS. No test runs this call: `hemf doctor` does, where there is a GPU.
#[cfg(all(feature = "cuda", not(test)))]
fn wide(a: &View, b: &View, k: usize, m: usize, n: usize) -> Result<Output> {
    use candle_core::CudaStorage;
    use candle_core::cuda_backend::cudarc::cublas::result::gemm_ex;
    use candle_core::cuda_backend::cudarc::cublas::sys::cublasComputeType_t::CUBLAS_COMPUTE_32F;
    use candle_core::cuda_backend::cudarc::cublas::sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT_TENSOR_OP;
    use candle_core::cuda_backend::cudarc::cublas::sys::cublasOperation_t::{CUBLAS_OP_N, CUBLAS_OP_T};
    use candle_core::cuda_backend::cudarc::cublas::sys::cudaDataType_t::{CUDA_R_16BF, CUDA_R_32F};
    use candle_core::cuda_backend::cudarc::driver::{DevicePtr, DevicePtrMut};
    use half::bf16;

    let (Where::Cuda(first), Where::Cuda(second)) = (a.storage()?, b.storage()?) else {
        bail!("a product of values that are not on a GPU")
    };
    let device = first.device();
    let stream = device.cuda_stream();
    // cuBLAS takes sizes of 31 bits, which those of a network's maps are far below.
    let [rows, columns, depth] = [m, n, k].map(i32::try_from);
    let (Ok(rows), Ok(columns), Ok(depth)) = (rows, columns, depth) else {
        bail!("a product of {m} x {k} x {n} is too large for cuBLAS")
    };
    let (of_a, of_b) =
        (first.as_cuda_slice::<bf16>()?.slice(a.range.clone()), second.as_cuda_slice::<bf16>()?.slice(b.range.clone()));
    if of_a.len() != k * m || of_b.len() != k * n {
        bail!("a product of {m} x {k} x {n} of {} and {} values", of_a.len(), of_b.len());
    }
    // SAFETY: the product below writes all of it (beta is 0).
    let mut c = unsafe { device.alloc::<f32>(m * n)? };
    {
        let ((at_a, _a), (at_b, _b), (at_c, _c)) =
            (of_a.device_ptr(&stream), of_b.device_ptr(&stream), c.device_ptr_mut(&stream));
        let (one, zero) = (1f32, 0f32);
        // SAFETY: cuBLAS counts columns first: to it this is c (n, m) = b (n, k) a (m, k) transposed. The sizes are those of
        // the buffers, which outlive the call, and what the stream does with them after it comes before what frees them.
        unsafe {
            gemm_ex(
                *device.cublas_handle().handle(),
                CUBLAS_OP_N,
                CUBLAS_OP_T,
                columns,
                rows,
                depth,
                (&raw const one).cast(),
                at_b as *const _,
                CUDA_R_16BF,
                columns,
                at_a as *const _,
                CUDA_R_16BF,
                rows,
                (&raw const zero).cast(),
                at_c as *mut _,
                CUDA_R_32F,
                columns,
                CUBLAS_COMPUTE_32F,
                CUBLAS_GEMM_DEFAULT_TENSOR_OP,
            )
        }
        .map_err(candle_core::Error::wrap)?;
    }
    Ok(Output(Storage::Cuda(CudaStorage::wrap_cuda_slice(c, device.clone()))))
}

/// The same in main memory, where the kernels are tested.
#[cfg(not(all(feature = "cuda", not(test))))]
fn wide(a: &View, b: &View, k: usize, m: usize, n: usize) -> Result<Output> {
    let (Where::Cpu(first), Where::Cpu(second)) = (a.storage()?, b.storage()?) else {
        bail!("this build is without CUDA")
    };
    let f32_of = |storage: &candle_core::CpuStorage, view: &View, rows: usize, columns: usize| {
        storage.to_dtype(&Layout::new((rows, columns).into(), vec![columns, 1], view.range.start), DType::F32)
    };
    let (first, second) = (f32_of(first, a, k, m)?, f32_of(second, b, k, n)?);
    let (left, right) = (Layout::new((m, k).into(), vec![1, m], 0), Layout::contiguous((k, n)));
    Ok(Output(Storage::Cpu(first.matmul(&second, (1, m, n, k), &left, &right)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;

    #[test]
    fn gradients_of_weights_are_not_rounded_to_bf16() {
        let (k, m, n) = (300, 5, 7);
        let [a, b] = [(m, 1), (n, 2)].map(|(width, seed)| random(&[k, width], seed).to_dtype(DType::BF16).unwrap());
        let (of_a, of_b) = (View::of(&a).unwrap(), View::of(&b).unwrap());
        let got = of_a.transposed_times(&of_b, k, m, n).unwrap().tensor((m, n));
        assert_eq!(got.dtype(), DType::F32);
        let [a, b] = [&a, &b].map(|t| t.to_dtype(DType::F64).unwrap());
        let want = a.t().unwrap().matmul(&b).unwrap();
        let apart = (got.to_dtype(DType::F64).unwrap() - want).unwrap().abs().unwrap();
        assert!(apart.max_all().unwrap().to_scalar::<f64>().unwrap() < 1e-5);
    }
}
