//! A folder of sound pictures, for tests of audits.
#![allow(dead_code, reason = "each test file uses a part")]

use std::path::Path;

use hemf_data::audit::Audit;
use hemf_data::{Draws, Raster, Reading, resize};
use image::{DynamicImage, ImageFormat};

const WIDTH: usize = 96;
const HEIGHT: usize = 72;

/// A picture unlike any other.
pub(crate) fn picture(seed: u64) -> DynamicImage {
    let mut draws = Draws::new("audit", seed, &[]);
    let coarse = Raster::new(9, 9, 3, (0..243).map(|_| draws.below(256) as u8).collect());
    let pixels = resize(&coarse, WIDTH, HEIGHT).pixels().to_vec();
    image::RgbImage::from_raw(WIDTH as u32, HEIGHT as u32, pixels).unwrap().into()
}

/// The same picture at another size.
pub(crate) fn resized(seed: u64, width: u32, height: u32) -> DynamicImage {
    picture(seed).resize_exact(width, height, image::imageops::FilterType::Triangle)
}

pub(crate) fn save(root: &Path, name: &str, picture: &DynamicImage, format: ImageFormat) {
    write(root, name, &bytes(picture, format));
}

pub(crate) fn write(root: &Path, name: &str, content: &[u8]) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

pub(crate) fn bytes(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut file, format).unwrap();
    file.into_inner()
}

/// Two classes of sound pictures, twelve each: a/00.png, b/01.png, a/02.png and so on.
pub(crate) fn sound(root: &Path) {
    for i in 0..24 {
        let class = ["a", "b"][i % 2];
        save(root, &format!("{class}/{i:02}.png"), &picture(i as u64), ImageFormat::Png);
    }
}

pub(crate) fn audit(path: &Path) -> Audit {
    Audit::run(path, &Reading::default()).unwrap()
}
