//! Small pictures inside an HTML file.

use std::path::Path;

use image::{ExtendedColorType, ImageEncoder, codecs::jpeg::JpegEncoder};

use crate::{decode, resize};

/// Longer side of a thumbnail, in pixels.
const SIDE: usize = 120;

/// The picture as a `data:` address; `None` when it cannot be read.
pub(super) fn data_url(path: &Path) -> Option<String> {
    let picture = decode(path).ok()?;
    let (width, height) = (picture.width(), picture.height());
    let long = width.max(height);
    let side = |length: usize| (length * SIDE.min(long) / long).max(1);
    let small = resize(&picture, side(width), side(height));
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, 75)
        .write_image(small.pixels(), small.width() as u32, small.height() as u32, ExtendedColorType::Rgb8)
        .ok()?;
    Some(format!("data:image/jpeg;base64,{}", base64(&file)))
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let three = [chunk[0], chunk.get(1).copied().unwrap_or(0), chunk.get(2).copied().unwrap_or(0)];
        let word = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i)) as usize & 63];
            text.push(if i <= chunk.len() { digit as char } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_as_in_the_rfc() {
        let cases = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (plain, coded) in cases {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
