//! Networks for other programs: weights as PyTorch's `.pth`, whole networks as ONNX.
//!
//! [`write_pth`] writes named tensors so that `torch.load(path, weights_only=True)` reads them. [`write_onnx`] turns a
//! [`Graph`](hemf_model::Graph), which is a network's list of operations, and its weights into a model that any ONNX
//! runtime runs: images (batch, channels, height, width), normalised, to logits (batch, classes), for any batch.
//!
//! Both files are written under a temporary name, synced and renamed. This crate knows networks and file formats; it
//! knows no data set and no training.
//!
//! ```
//! use candle_core::Device;
//! use hemf_export::write_onnx;
//! use hemf_model::{Graph, ModelConfig, ParamStore};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = ModelConfig::preset("hemf-nano").expect("a known preset").with_classes(2);
//! let store = ParamStore::new(1, &Device::Cpu);
//! config.build(store.builder())?;
//! let weights = store.state().into_iter().collect();
//!
//! let folder = tempfile::tempdir()?;
//! let notes = [("classes".to_owned(), r#"["healthy", "ill"]"#.to_owned())];
//! write_onnx(&folder.path().join("network.onnx"), &Graph::new(&config, 64, 64)?, &weights, &notes)?;
//! # Ok(())
//! # }
//! ```

mod file;
mod onnx;
mod protobuf;
mod pth;

pub use file::Error;
pub use onnx::{OPSET, write_onnx};
pub use pth::write_pth;
