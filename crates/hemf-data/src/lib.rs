//! Image data for HEMF: files in, audited, split and transformed batches out.
//!
//! A data folder is read once by [`Prepare`], which decodes every image, splits them as published or
//! by ratio, and gives a sealed [`Manifest`]. From then on the manifest is the data set: it names the
//! [`Sample`]s of each [`Split`], and a [`Loader`] turns them into [`Batch`]es.
//!
//! ```
//! use hemf_data::{Augmentation, Loader, Preprocessing, Split, quickstart};
//!
//! let folder = tempfile::tempdir()?;
//! // A small data set of generated pictures; a real one comes from `Prepare::run` or `Manifest::read`.
//! let spec = quickstart::Spec { per_class: 8, ..Default::default() };
//! let manifest = quickstart::generate(folder.path(), &spec)?;
//!
//! let samples = manifest.samples(Split::Train);
//! let preprocessing = Preprocessing::for_size(64);
//! let (batch, seed, workers) = (4, 7, 2);
//! let loader = Loader::train(samples, preprocessing, Augmentation::default(), batch, seed, workers)?;
//! for batch in loader.batches(0) {
//!     assert_eq!(batch?.images.dims()[1..], [3, 64, 64]);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Every result is a function of the files, the settings and the seed: never of the directory's
//! order, the number of threads or what ran before ([`Draws`]). Pictures are decoded, resized and
//! scaled as Pillow and torchvision do it ([`decode()`], [`resize`], [`Transform`]), bit for bit from PNG.
//!
//! This crate must not know models, losses or metrics. Candle is used to make the batch tensor.

pub mod audit;
mod augment;
mod cache;
mod crop;
mod decode;
mod draws;
mod error;
mod loader;
mod manifest;
mod pictures;
mod prepare;
mod preview;
mod python;
pub mod quickstart;
mod raster;
mod replace;
mod resample;
mod sampling;
mod scan;
mod settings;
mod split;
mod text;
mod transform;
mod words;

pub use augment::{Affine, Augmentation, Change, ColourJitter, Erasing, Mix, RandAugment};
pub use crop::CropBox;
pub use decode::{MAX_BYTES, MAX_PIXELS, Reading, decode, is_image};
pub use draws::Draws;
pub use error::{Error, ErrorKind};
pub use loader::{Batch, Batches, Loader};
pub use manifest::{Check, Manifest, Row, Sample};
pub use pictures::PictureCache;
pub use prepare::{Placing, Prepare, Prepared, Unreadable};
pub use preview::Sheet;
pub use python::PythonRandom;
pub use raster::Raster;
pub use resample::{resize, resized_crop};
pub use sampling::Sampling;
pub use settings::Preprocessing;
pub use split::{COVID19_CT, ISIC2018, KVASIR, Rule, Split};
pub use transform::{Drawn, Geometry, Transform};
pub use words::counted;
