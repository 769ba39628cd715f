//! What the machine can do, for figures to be held against.

use std::time::Instant;

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use serde::Serialize;

/// The best of several tries on all threads.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ceilings {
    /// Product of two f32 matrices of 1536x1536, by the linear layer's kernel with a packed weight, in GFLOP/s.
    pub product_gflops: f64,
    /// Copy of 128 MiB from memory to memory, counting what is read and what is written, in GB/s.
    pub copy_gb_s: f64,
}

const SIDE: usize = 1536;
const BYTES: usize = 1 << 27;
const TRIES: usize = 5;

/// Measures the ceilings; a second or two.
///
/// # Errors
/// A failing tensor operation.
pub fn ceilings() -> candle_core::Result<Ceilings> {
    let matrix = || Tensor::randn(0f32, 1.0, (SIDE, SIDE), &Device::Cpu);
    let (a, b) = (matrix()?, matrix()?);
    let packed = hemf_kernels::PackedLinear::new(&b, None)?;
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
    Ok(Ceilings {
        product_gflops: 2.0 * SIDE.pow(3) as f64 / product / 1e9,
        copy_gb_s: 2.0 * BYTES as f64 / copy / 1e9,
    })
}

fn fastest(mut work: impl FnMut() -> candle_core::Result<()>) -> candle_core::Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..TRIES {
        let begun = Instant::now();
        work()?;
        best = best.min(begun.elapsed().as_secs_f64());
    }
    Ok(best)
}
