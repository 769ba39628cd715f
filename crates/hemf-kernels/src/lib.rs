//! Differentiable operations of HEMF for Candle, channels-last: fused kernels for processors and, with the feature `cuda`, for
//! NVIDIA's GPUs, with a backward pass each.
//!
//! Candle ships no gradient for its fused layer norm and softmax, loops over the groups of a depthwise convolution, and
//! differentiates a convolution by a naive transposed one. The operations here bring forward and backward passes of
//! their own. Each stands in a folder: its meaning, formula and gradient in `mod.rs`, plain loops and matrix products in
//! `cpu.rs`, kernels of a GPU in a `.cu` file with their launches in `cuda.rs`, the same from Candle's operations in
//! `composed.rs` (the oracle of the tests, and what runs for types and devices without a kernel).
//!
//! Maps are (B, H, W, C), contiguous. This crate knows tensors and numbers; it knows no block, network, loss function of
//! a recipe or data set. Results have the same bits for any number of threads.
//!
//! ```
//! use candle_core::{Device, Tensor, Var};
//!
//! # fn main() -> candle_core::Result<()> {
//! let x = Var::randn(0f32, 1.0, (2, 7, 7, 16), &Device::Cpu)?; // (B, H, W, C)
//! let (weight, bias) = (Tensor::ones(16, x.dtype(), x.device())?, Tensor::zeros(16, x.dtype(), x.device())?);
//! let y = hemf_kernels::gelu(&hemf_kernels::layer_norm(&x, &weight, &bias, 1e-6)?)?;
//! let gradients = y.sum_all()?.backward()?;
//! assert_eq!(gradients.get(&x).unwrap().dims(), [2, 7, 7, 16]);
//! # Ok(())
//! # }
//! ```

// Vector code and writes from several tasks need it; every other crate of the workspace does without.
#![allow(unsafe_code)]
// Lanes, registers and points of a tile are counted by hand, often in several arrays at once.
#![allow(clippy::needless_range_loop)]

mod activation;
mod adamw;
mod axis_attention;
mod batch_norm;
mod concat;
mod conv2d;
mod cross_entropy;
mod cuda;
mod depthwise;
mod elementwise;
mod ending;
mod external_attention;
mod gpu;
mod host;
mod layer_norm;
mod linear;
mod math;
mod matmul;
mod memory;
mod mixed;
mod packed;
mod parallel;
mod part;
mod pool;
mod profile;
mod replay;
mod rotary;
mod rounded;
mod running_mean;
mod scale;
mod sgd;
pub mod simd;
mod softmax;
mod squares;
mod tape;
#[cfg(test)]
mod testing;
mod threads;
mod window_attention;

pub use activation::{Activation, activate, gelu, relu, sigmoid};
pub use adamw::{AdamWParameter, AdamWStep, adamw};
pub use axis_attention::{Axis, axis_attention, rotary_attention};
pub use batch_norm::{ChannelStats, batch_norm_eval, batch_norm_train};
pub use concat::concat;
pub use conv2d::{conv2d, winograd};
pub use cross_entropy::{CrossEntropyOptions, cross_entropy, soft_cross_entropy};
pub use cuda::{launched, suits_at_once};
pub use depthwise::depthwise;
pub use elementwise::{add, mul};
pub use external_attention::external_attention;
pub use gpu::{Uploads, gpu_memory, is_memory_to_be_kept, kept_gpu_memory, prepare_gpu};
pub use host::{composed, native, without_cudnn};
pub use layer_norm::layer_norm;
pub use linear::linear;
pub use memory::Recycling;
pub use mixed::tf32;
pub use packed::{Epilogue, Norm, PackedConv2d, PackedLinear, Scales};
pub use parallel::filled;
pub use part::{Part, Sums, as_part, first_of_part, sum_on_host};
pub use pool::{avg_pool2, channel_mean_max, pixel_mean, pixel_mean_max, row_sum};
pub use profile::{Cost, Pass, profile};
pub use replay::Replay;
pub use rotary::{RotaryTable, rotary};
pub use rounded::Rounded;
pub use running_mean::move_means;
pub use scale::scale;
pub use sgd::{SgdParameter, SgdStep, sgd};
pub use squares::sums_of_squares;
pub use tape::{Tape, recompute, record};
pub use threads::{awake, leave_threads_to_rayon, threads};
pub use window_attention::{Windows, window_attention};
