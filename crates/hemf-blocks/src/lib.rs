//! The blocks of HEMF for Candle, each under its name in the paper: [`Elf`], [`Egf`] with its [`Retention`], [`Mhea`],
//! [`Hef`], and the parts that they are made of; and those of CAME, the network that it is compared with: [`CameLocal`],
//! [`WindowBlock`] with its [`WindowAttention`], [`ExternalAttention`], [`Msfa`].
//!
//! Every block takes a [`VarBuilder`](candle_nn::VarBuilder), whose names and shapes are those of the published weights,
//! and maps (B, H, W, C), contiguous. A forward pass is told its [`Mode`]. In training, batch norm updates the running
//! statistics in place, as PyTorch's does.
//!
//! This crate knows no stages, no network and no data set: what follows what is the business of `hemf-model`.
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use candle_nn::{VarBuilder, VarMap};
//! use hemf_blocks::{Elf, Mode};
//!
//! # fn main() -> candle_core::Result<()> {
//! let vars = VarMap::new();
//! let elf = Elf::new(16, 0.1, VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu))?;
//! let x = Tensor::randn(0f32, 1.0, (2, 9, 12, 16), &Device::Cpu)?; // (B, H, W, C), any size
//! let y = elf.forward(&x, Mode::Train { seed: 7 })?;
//! assert_eq!(y.dims(), x.dims());
//! # Ok(())
//! # }
//! ```

mod came_local;
mod channel_attention;
mod conv;
mod drop_path;
mod egf;
mod elf;
mod external_attention;
mod hef;
mod irmlp;
mod mhea;
mod mode;
mod msfa;
mod norm;
mod pack;
mod patch;
mod patch_tokens;
mod positions;
mod retention;
mod sirmlp;
mod spatial_attention;
mod weights;
mod window_attention;
mod window_block;

pub use came_local::CameLocal;
pub use channel_attention::ChannelAttention;
pub use conv::{Conv, ConvConfig};
pub use drop_path::DropPath;
pub use egf::Egf;
pub use elf::Elf;
pub use external_attention::ExternalAttention;
pub use hef::{Hef, HefConfig};
pub use irmlp::Irmlp;
pub use mhea::{Mhea, MheaConfig};
pub use mode::Mode;
pub use msfa::{Msfa, MsfaConfig};
pub use norm::{BatchNorm, LayerNorm};
pub use pack::Pack;
pub use patch::{Downsample, Stem};
pub use patch_tokens::{PatchEmbedding, PatchMerging};
pub use positions::Positions;
pub use retention::Retention;
pub use sirmlp::Sirmlp;
pub use spatial_attention::SpatialAttention;
pub use weights::{Conv2d, Initial, Linear};
pub use window_attention::WindowAttention;
pub use window_block::WindowBlock;
