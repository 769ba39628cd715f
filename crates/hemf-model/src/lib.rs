//! The networks: HEMF and CAME with their configuration and presets, the store of its parameters, and weight files in and out.
//!
//! A model is built from a [`VarBuilder`](candle_nn::VarBuilder). For training that comes from a [`ParamStore`]: named,
//! ordered, seeded variables. Names and shapes are those of the published PyTorch code, in every file that is read or
//! written. Images are (B, channels, H, W), as data sets and PyTorch have them; inside, maps are channels-last.
//!
//! This crate knows no loss, no optimizer and no data set.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use hemf_model::{Mode, ModelConfig, ParamStore};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = ModelConfig::preset("hemf-nano").expect("a known preset").with_classes(7);
//! let store = ParamStore::new(1, &Device::Cpu); // seed 1
//! let model = config.build(store.builder())?;
//! let images = Tensor::randn(0f32, 1.0, (2, 3, 64, 64), &Device::Cpu)?;
//! let logits = model.forward(&images, Mode::Eval)?;
//! assert_eq!(logits.dims(), [2, 7]);
//! # Ok(())
//! # }
//! ```

mod came;
mod config;
mod draw;
mod error;
mod graph;
mod hemf;
mod receptive;
mod report;
mod size_table;
mod stages;
mod store;
mod weight_file;
mod weights;

pub use came::Came;
pub use config::{Branches, CameConfig, HemfConfig, Mlp, ModelConfig};
pub use error::Error;
pub use graph::{Graph, Map, Node, Op, Shape};
pub use hemf::Hemf;
pub use hemf_blocks::Mode;
pub use report::{Memory, MultiplyAdds, Parameters, Part};
pub use stages::{Branch, Stages, Tap};
pub use store::ParamStore;
pub use weight_file::WeightFile;
pub use weights::{LoadReport, load_weights, published_state, read_weights, weights_builder, write_weights};

use candle_core::{Result, Tensor};

/// What every network of this crate does.
pub trait Classifier: Send + Sync {
    /// Images (B, channels, H, W), normalised -> logits (B, classes).
    fn forward(&self, images: &Tensor, mode: Mode) -> Result<Tensor>;

    /// As [`forward`](Self::forward), with the maps of every stage beside the logits, each as `tap` left it. Fails for a
    /// network that has no stages.
    fn forward_tapped(&self, _images: &Tensor, _mode: Mode, _tap: Tap<'_>) -> Result<Stages> {
        candle_core::bail!("this network has no stages to look at")
    }

    /// Whether training runs the insides of blocks again in the backward pass instead of keeping them. Fails for a
    /// network that cannot.
    fn recompute(&mut self, on: bool) -> Result<()> {
        match on {
            true => candle_core::bail!("this network cannot run its blocks again"),
            false => Ok(()),
        }
    }
}
