//! A look at what the network will be shown.

use std::path::Path;

use hemf_data::Sheet;

use crate::{Error, Observer, RunConfig, dataset};

/// Writes a sheet of training pictures as PNG: `images` rows, each as evaluation sees it and as `epochs` epochs
/// will, by the configuration's preprocessing, augmentation and seed.
///
/// # Errors
/// A data set that cannot be used, an image that cannot be read, a disk that does not take the file.
pub fn preview(
    config: &RunConfig,
    images: usize,
    epochs: usize,
    path: &Path,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    let data = dataset::open(&config.data, observer)?;
    let sheet = Sheet { images, epochs, seed: config.train.seed };
    Ok(sheet.write(path, &data.manifest, &config.data.preprocessing, &config.data.augmentation)?)
}
