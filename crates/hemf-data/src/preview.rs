//! What the network sees: a sheet of pictures, before and after the random changes of training.

use std::path::Path;

use candle_core::Tensor;

use crate::{Augmentation, Batch, Error, Loader, Manifest, Preprocessing, Sample, Split, replace::replace};

/// How much is on a sheet.
#[derive(Clone, Debug, PartialEq)]
pub struct Sheet {
    /// Pictures, a row each, spread over the training images.
    pub images: usize,
    /// How often each is drawn anew, a column each.
    pub epochs: usize,
    /// The run's seed.
    pub seed: u64,
}

/// Pixels between pictures.
const GAP: usize = 4;

impl Sheet {
    /// The training images that are drawn, row by row.
    pub fn samples(&self, manifest: &Manifest) -> Vec<Sample> {
        let all = manifest.samples(Split::Train);
        let count = self.images.min(all.len());
        (0..count).map(|i| all[i * all.len() / count].clone()).collect()
    }

    /// Draws the sheet of a manifest's training images as PNG: in the first column the central crop that
    /// evaluation takes, then each epoch's. The rows of a sheet are a batch of their own, so that mixed
    /// pictures show each other.
    ///
    /// # Errors
    /// Nothing to draw, a setting that cannot be, an image that cannot be read.
    pub fn draw(
        &self,
        manifest: &Manifest,
        preprocessing: &Preprocessing,
        augmentation: &Augmentation,
    ) -> Result<Vec<u8>, Error> {
        let samples = self.samples(manifest);
        let count = samples.len();
        let rows: Vec<usize> = samples.iter().map(|sample| sample.row).collect();
        let before = Loader::eval(samples.clone(), preprocessing.clone(), count.max(1), 1)?;
        let after = Loader::train(samples, preprocessing.clone(), augmentation.clone(), count.max(1), self.seed, 1)?
            .classes(manifest.classes().len());
        let batches = before.batches(0).chain((0..self.epochs).flat_map(|epoch| after.batches(epoch)));
        let size = preprocessing.size;
        let (width, height) = ((self.epochs + 1) * (size + GAP) + GAP, count * (size + GAP) + GAP);
        let mut sheet = vec![255u8; width * height * 3];
        for (column, batch) in batches.enumerate() {
            let Batch { images, rows: found, .. } = batch?;
            for (i, row) in found.iter().enumerate() {
                let line = rows.iter().position(|other| other == row).unwrap_or(i);
                let (left, top) = (GAP + column * (size + GAP), GAP + line * (size + GAP));
                let pixels = to_bytes(&images.get(i)?, preprocessing)?;
                for (y, row) in pixels.chunks_exact(size * 3).enumerate() {
                    let at = ((top + y) * width + left) * 3;
                    sheet[at..at + size * 3].copy_from_slice(row);
                }
            }
        }
        encode(&sheet, width as u32, height as u32).map_err(|error| Error::image(Path::new("the sheet"), error))
    }

    /// Draws the sheet into a file; see [`Self::draw`].
    ///
    /// # Errors
    /// As there, or the disk does not take it.
    pub fn write(
        &self,
        path: &Path,
        manifest: &Manifest,
        preprocessing: &Preprocessing,
        augmentation: &Augmentation,
    ) -> Result<(), Error> {
        let file = self.draw(manifest, preprocessing, augmentation)?;
        replace(path, &file).map_err(Error::write(path))
    }
}

/// RGB pixels as a PNG file, which says what made it: so a sheet is known from a picture that must not be replaced.
fn encode(pixels: &[u8], width: u32, height: u32) -> Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.add_text_chunk("Software".to_owned(), "hemf preview".to_owned())?;
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(file)
}

/// (C, size, size) back to RGB bytes.
fn to_bytes(image: &Tensor, settings: &Preprocessing) -> Result<Vec<u8>, Error> {
    let planes: Vec<Vec<f32>> = image.flatten_from(1)?.to_vec2()?;
    let byte = |channel: usize, at: usize| {
        let channel = channel.min(planes.len() - 1);
        let of = |values: &[f32]| values[channel.min(values.len() - 1)];
        let value = planes[channel][at] * of(&settings.std) + of(&settings.mean);
        (value * 255.0).round() as u8
    };
    Ok((0..planes[0].len()).flat_map(|at| [0, 1, 2].map(|channel| byte(channel, at))).collect())
}
