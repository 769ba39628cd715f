//! A look at what the network will be shown.

use std::path::Path;

use hemf_data::{Sample, Sheet};

use crate::{DataConfig, Error, Observer, RunConfig, dataset};

/// Writes a sheet of training pictures as PNG: `images` rows, each as evaluation sees it and as `epochs` epochs
/// will, by the configuration's preprocessing, augmentation and seed. What is in each row, in words, comes back.
///
/// # Errors
/// A data set that cannot be used, an image that cannot be read, a disk that does not take the file.
pub fn preview(
    config: &RunConfig,
    images: usize,
    epochs: usize,
    path: &Path,
    observer: &mut dyn Observer,
) -> Result<Vec<String>, Error> {
    let data = dataset::open(&config.data, observer)?;
    let sheet = Sheet { images, epochs, seed: config.train.seed };
    let (manifest, DataConfig { preprocessing, augmentation, .. }) = (&data.manifest, &config.data);
    sheet.write(path, manifest, preprocessing, augmentation)?;
    let caption = |sample: Sample| {
        let row = &manifest.rows()[sample.row];
        format!("{} ({})", row.path, row.class)
    };
    Ok(sheet.samples(manifest).into_iter().map(caption).collect())
}
