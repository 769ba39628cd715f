//! What the machine can do, for figures to be held against.

use std::time::Instant;

use candle_core::{Device, Result, Tensor};
use hemf_train::Precision;
use rayon::prelude::*;
use serde::Serialize;

/// The best of several tries: on all threads of the processor, or on a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ceilings {
    /// Product of two square matrices in GFLOP/s: on the processor of 1536x1536 in f32, by the linear layer's kernel with a
    /// packed weight; on a GPU of 8192x8192 in the precision asked for, by cuBLAS.
    pub product_gflops: f64,
    /// Copy from memory to memory, counting what is read and what is written, in GB/s: 128 MiB; on a GPU 1 GiB.
    pub copy_gb_s: f64,
}

const TRIES: usize = 5;

/// Measures the ceilings of a device; a second or two.
///
/// # Errors
/// A failing tensor operation.
pub fn ceilings(device: &Device, precision: Precision) -> Result<Ceilings> {
    if device.is_cpu() { processor() } else { gpu(device, precision) }
}

fn processor() -> Result<Ceilings> {
    const SIDE: usize = 1536;
    const BYTES: usize = 1 << 27;
    let matrix = || Tensor::randn(0f32, 1.0, (SIDE, SIDE), &Device::Cpu);
    let (a, b) = (matrix()?, matrix()?);
    let packed = hemf_kernels::PackedLinear::new(&b, hemf_kernels::Scales::default(), None)?;
    let product = fastest(|| match &packed {
        Some(packed) => packed.forward(&a, hemf_kernels::Epilogue::default()).map(drop),
        None => hemf_kernels::linear(&a, &b, None).map(drop),
    })?;
    let from = vec![1u8; BYTES];
    let mut to = vec![0u8; BYTES];
    let copy = fastest(|| {
        to.par_chunks_mut(1 << 20).zip(from.par_chunks(1 << 20)).for_each(|(to, from)| to.copy_from_slice(from));
        std::hint::black_box(&to);
        Ok(())
    })?;
    Ok(rates(SIDE, product, BYTES, copy))
}

fn gpu(device: &Device, precision: Precision) -> Result<Ceilings> {
    const SIDE: usize = 8192;
    const BYTES: usize = 1 << 30;
    let matrix = || Tensor::randn(0f32, 1.0, (SIDE, SIDE), device)?.to_dtype(precision.dtype());
    let (a, b) = (matrix()?, matrix()?);
    let product = fastest(|| {
        a.matmul(&b)?;
        device.synchronize()
    })?;
    drop((a, b));
    let from = Tensor::zeros(BYTES / 4, candle_core::DType::F32, device)?;
    let copy = fastest(|| {
        from.copy()?;
        device.synchronize()
    })?;
    Ok(rates(SIDE, product, BYTES, copy))
}

fn rates(side: usize, product_s: f64, bytes: usize, copy_s: f64) -> Ceilings {
    Ceilings {
        product_gflops: 2.0 * side.pow(3) as f64 / product_s / 1e9,
        copy_gb_s: 2.0 * bytes as f64 / copy_s / 1e9,
    }
}

/// Seconds of the fastest try, after one that does not count.
fn fastest(mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    work()?;
    let mut best = f64::INFINITY;
    for _ in 0..TRIES {
        let begun = Instant::now();
        work()?;
        best = best.min(begun.elapsed().as_secs_f64());
    }
    Ok(best)
}
