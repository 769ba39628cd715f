//! Files that are odd, damaged or lie about themselves.

use std::path::{Path, PathBuf};

use hemf_data::{MAX_PIXELS, Reading, decode};
use image::{ExtendedColorType as Colour, ImageEncoder, codecs};
use tempfile::TempDir;

fn png(width: u32, height: u32, colour: Colour, pixels: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let encoder = codecs::png::PngEncoder::new(&mut file);
    encoder.write_image(pixels, width, height, colour).unwrap();
    file
}

/// A JPEG of noise, whose data are long.
fn jpeg() -> Vec<u8> {
    let mut draws = hemf_data::Draws::new("test", 1, &[]);
    let pixels: Vec<u8> = (0..40 * 30 * 3).map(|_| draws.below(256) as u8).collect();
    let mut file = Vec::new();
    let encoder = codecs::jpeg::JpegEncoder::new(&mut file);
    encoder.write_image(&pixels, 40, 30, Colour::Rgb8).unwrap();
    file
}

fn file(folder: &TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn message(path: &Path) -> String {
    let message = decode(path).unwrap_err().to_string();
    assert!(message.contains(&path.display().to_string()), "{message}");
    assert!(!message.contains('\n'), "{message}");
    message
}

#[test]
fn sixteen_bits_keep_the_upper_byte_with_colour_or_alpha() {
    let folder = tempfile::tempdir().unwrap();
    // The encoder takes 16-bit samples in the machine's byte order.
    let samples = |values: &[u16]| values.iter().flat_map(|v| v.to_ne_bytes()).collect::<Vec<u8>>();
    let values = [0x1234, 0xFEDC, 0x00FF, 0x8000];
    for (name, colour, expected) in [
        ("rgba16.png", Colour::Rgba16, [0x12, 0xFE, 0x00].to_vec()),
        ("la16.png", Colour::La16, [0x12, 0x12, 0x12, 0x00, 0x00, 0x00].to_vec()),
        // Plain 16-bit grey is cut off at 255, as Pillow does it.
        ("l16.png", Colour::L16, [255; 12].to_vec()),
    ] {
        let width = (expected.len() / 3) as u32;
        let path = file(&folder, name, &png(width, 1, colour, &samples(&values)));
        assert_eq!(decode(&path).unwrap().pixels(), expected, "{name}");
    }
}

#[test]
fn a_window_shows_plain_sixteen_bits() {
    let folder = tempfile::tempdir().unwrap();
    let values: Vec<u8> = [0u16, 1000, 1100, 1200, 32768, 65535].iter().flat_map(|v| v.to_ne_bytes()).collect();
    let path = file(&folder, "l16.png", &png(6, 1, Colour::L16, &values));
    let shown = |window| {
        let picture = Reading { window: Some(window), ..Reading::default() }.decode(&path).unwrap();
        picture.pixels().chunks_exact(3).map(|pixel| pixel[0]).collect::<Vec<_>>()
    };
    assert_eq!(shown([32768.0, 65536.0]), [0, 4, 4, 5, 128, 255], "all of them: v / 257, rounded");
    // DICOM's linear function: ((v - (c - 0.5)) / (w - 1) + 0.5) * 255.
    assert_eq!(shown([1100.0, 201.0]), [0, 1, 128, 255, 255, 255]);
    assert_eq!(shown([1100.0, 1.0]), [0, 0, 255, 255, 255, 255], "a step");
}

#[test]
fn the_content_tells_the_format() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "really_a_jpeg.png", &jpeg());
    assert_eq!(decode(&path).unwrap().width(), 40);
    let path = file(&folder, "really_a_png.JPG", &png(2, 1, Colour::L8, &[7, 9]));
    assert_eq!(decode(&path).unwrap().pixels(), [7, 7, 7, 9, 9, 9]);
}

#[test]
fn damaged_files_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &str, content: &[u8]| message(&file(&folder, name, content));
    assert!(refused("empty.png", b"").contains("empty"));
    assert!(refused("text.png", b"not an image at all").contains("no JPEG, PNG, TIFF, BMP or WebP file"));
    assert!(refused("gif.png", b"GIF89a_and_so_on").contains("Gif is not supported"));

    // Cut anywhere: in the header, in the middle, right before the end marker.
    let whole = jpeg();
    for kept in [3, 100, whole.len() / 2, whole.len() - 100, whole.len() - 2] {
        refused(&format!("cut_at_{kept}.jpg"), &whole[..kept]);
    }
    let whole = png(40, 30, Colour::L8, &jpeg()[..40 * 30]);
    for kept in [9, 30, whole.len() / 2, whole.len() - 20] {
        refused(&format!("cut_at_{kept}.png"), &whole[..kept]);
    }
    let mut flipped = whole.clone();
    flipped[200] ^= 1; // the checksum of the pixel data no longer fits
    refused("flipped.png", &flipped);

    message(&folder.path().join("missing.png"));
    message(folder.path());
}

#[test]
fn what_follows_the_picture_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let mut content = jpeg();
    content.extend_from_slice(b"a trailer some cameras write");
    decode(&file(&folder, "trailer.jpg", &content)).unwrap();
}

#[test]
fn decompression_bombs_are_refused_before_they_unfold() {
    let folder = tempfile::tempdir().unwrap();
    // A header that promises 60 000 x 60 000 pixels; its checksum is made to fit.
    let mut content = png(1, 1, Colour::L8, &[0]);
    content[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    content[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    let checksum = crc32(&content[12..29]);
    content[29..33].copy_from_slice(&checksum.to_be_bytes());
    let text = message(&file(&folder, "bomb.png", &content));
    assert!(text.contains(&MAX_PIXELS.to_string()), "{text}");

    let mut content = jpeg();
    let frame = content.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    content[frame + 5..frame + 9].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0xFF]);
    let text = message(&file(&folder, "bomb.jpg", &content));
    assert!(text.contains("65535 x 65535"), "{text}");
    // Few enough pixels, but more than so few bytes can hold.
    content[frame + 5..frame + 9].copy_from_slice(&[0x20, 0, 0x20, 0]);
    let text = message(&file(&folder, "hollow.jpg", &content));
    assert!(text.contains("too little data for 8192 x 8192"), "{text}");
}

/// The checksum of PNG chunks.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |mut crc, &byte| {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
        crc
    })
}

#[test]
fn random_damage_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    let mut draws = hemf_data::Draws::new("damage", 3, &[]);
    for whole in [jpeg(), png(40, 30, Colour::L8, &jpeg()[..40 * 30])] {
        for _ in 0..300 {
            let mut content = whole.clone();
            for _ in 0..=draws.below(6) {
                let at = draws.below(content.len() as u64) as usize;
                content[at] = draws.below(256) as u8;
            }
            let _ = decode(&file(&folder, "damaged", &content));
        }
    }
}
