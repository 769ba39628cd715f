//! The convolution from candle's own operations: any device, any float type.

use crate::mixed::sum_type;
use candle_core::{Result, Tensor};

pub(super) fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: usize,
    padding: usize,
) -> Result<Tensor> {
    let k = weight.dim(2)?;
    let (dtype, sums) = (x.dtype(), sum_type(x));
    let weight = weight.to_dtype(dtype)?;
    // The sum over the taps, each a strided view of the padded map times a matrix.
    let x = x.pad_with_zeros(1, padding, padding)?.pad_with_zeros(2, padding, padding)?;
    let (_, height, width, _) = x.dims4()?;
    let (rows, cols) = ((height - k) / stride + 1, (width - k) / stride + 1);
    let index = |first: usize, n: usize| {
        let at: Vec<u32> = (0..n).map(|i| (first + i * stride) as u32).collect();
        Tensor::new(at, x.device())
    };
    let mut sum: Option<Tensor> = None;
    for ky in 0..k {
        for kx in 0..k {
            let patch = x.index_select(&index(ky, rows)?, 1)?.index_select(&index(kx, cols)?, 2)?;
            let tap = weight.narrow(2, ky, 1)?.narrow(3, kx, 1)?.squeeze(3)?.squeeze(2)?;
            let (b, h, w, c) = patch.dims4()?;
            let y =
                patch.reshape((b * h * w, c))?.matmul(&tap.t()?)?.reshape((b, h, w, tap.dim(0)?))?.to_dtype(sums)?;
            sum = Some(match sum {
                Some(sum) => (sum + y)?,
                None => y,
            });
        }
    }
    let y = sum.expect("k is positive");
    match bias {
        Some(bias) => y.broadcast_add(&bias.to_dtype(sums)?)?.to_dtype(dtype),
        None => y.to_dtype(dtype),
    }
}
