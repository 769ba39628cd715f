//! TIFF, BMP, WebP, turned JPEGs and DICOM.

use std::path::Path;

use hemf_data::{Reading, decode};
use image::{ImageFormat, RgbImage};

fn picture() -> RgbImage {
    RgbImage::from_fn(7, 5, |x, y| image::Rgb([(x * 30) as u8, (y * 50) as u8, (x * y * 7) as u8]))
}

#[test]
fn formats_without_loss_are_exact_whatever_their_name() {
    let dir = tempfile::tempdir().unwrap();
    for format in [ImageFormat::Png, ImageFormat::Tiff, ImageFormat::Bmp, ImageFormat::WebP] {
        let path = dir.path().join(format!("{format:?}.jpg"));
        picture().save_with_format(&path, format).unwrap();
        let read = decode(&path).unwrap();
        assert_eq!((read.width(), read.height()), (7, 5));
        assert_eq!(read.pixels(), picture().as_raw(), "{format:?}");
        // Cut off anywhere, it is refused or, where only padding is gone, the same.
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            if let Ok(read) = decode(&path) {
                assert_eq!(read.pixels(), picture().as_raw(), "{format:?} cut to {length} of {}", whole.len());
            }
        }
    }
}

#[test]
fn exif_orientation_is_applied_only_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("turned.jpg");
    let half = RgbImage::from_fn(32, 16, |x, _| image::Rgb([if x < 16 { 250 } else { 5 }; 3]));
    half.save(&path).unwrap();
    let plain = std::fs::read(&path).unwrap();
    // APP1 after the start: "Exif", little-endian TIFF, one entry: orientation (0x112), short, 6 = turn right.
    let tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let mut segment = vec![0xFF, 0xE1, 0, (tiff.len() + 8) as u8];
    segment.extend(b"Exif\0\0");
    segment.extend(tiff);
    std::fs::write(&path, [&plain[..2], &segment, &plain[2..]].concat()).unwrap();
    let as_it_lies = decode(&path).unwrap();
    assert_eq!((as_it_lies.width(), as_it_lies.height()), (32, 16));
    let turned = Reading { exif_orientation: true, ..Default::default() }.decode(&path).unwrap();
    assert_eq!((turned.width(), turned.height()), (16, 32));
    assert!(turned.row(2)[0] > 200 && turned.row(29)[0] < 50, "left came to the top");
}

#[test]
fn settings_of_reading() {
    assert!(Reading::default().validate().is_ok());
    let flat = Reading { window: Some([40.0, 0.0]), ..Default::default() };
    assert!(flat.validate().unwrap_err().to_string().starts_with("reading.window:"));
}

/// An explicit little-endian DICOM file of `frames` frames of 2 x 2 pixels.
fn dicom(photometric: &str, frames: &[[u16; 4]], window: Option<(&str, &str)>) -> Vec<u8> {
    fn element(group: u16, number: u16, vr: &str, value: &[u8]) -> Vec<u8> {
        let mut value = value.to_vec();
        if value.len() % 2 == 1 {
            value.push(if vr == "UI" { 0 } else { b' ' });
        }
        let mut bytes = [group.to_le_bytes(), number.to_le_bytes()].concat();
        bytes.extend(vr.as_bytes());
        if matches!(vr, "OB" | "OW") {
            bytes.extend([0, 0]);
            bytes.extend((value.len() as u32).to_le_bytes());
        } else {
            bytes.extend((value.len() as u16).to_le_bytes());
        }
        bytes.extend(value);
        bytes
    }
    let short = |number: u16, value: u16| element(0x28, number, "US", &value.to_le_bytes());
    let meta = [
        element(2, 1, "OB", &[0, 1]),
        element(2, 2, "UI", b"1.2.840.10008.5.1.4.1.1.2"),
        element(2, 3, "UI", b"1.2.3.4"),
        element(2, 0x10, "UI", b"1.2.840.10008.1.2.1"),
        element(2, 0x12, "UI", b"1.2.3"),
    ]
    .concat();
    let mut file = vec![0; 128];
    file.extend(b"DICM");
    file.extend(element(2, 0, "UL", &(meta.len() as u32).to_le_bytes()));
    file.extend(meta);
    file.extend(short(2, 1));
    file.extend(element(0x28, 4, "CS", photometric.as_bytes()));
    file.extend(element(0x28, 8, "IS", frames.len().to_string().as_bytes()));
    file.extend([short(0x10, 2), short(0x11, 2), short(0x100, 16), short(0x101, 16), short(0x102, 15)].concat());
    file.extend(short(0x103, 0));
    if let Some((center, width)) = window {
        file.extend(element(0x28, 0x1050, "DS", center.as_bytes()));
        file.extend(element(0x28, 0x1051, "DS", width.as_bytes()));
    }
    // Stored 1000 is -24 once rescaled, as in CT.
    file.extend(element(0x28, 0x1052, "DS", b"-1024"));
    file.extend(element(0x28, 0x1053, "DS", b"1"));
    let pixels: Vec<u8> = frames.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    file.extend(element(0x7FE0, 0x10, "OW", &pixels));
    file
}

fn write(dir: &Path, content: &[u8]) -> std::path::PathBuf {
    let path = dir.join("slice.dcm");
    std::fs::write(&path, content).unwrap();
    path
}

#[cfg(feature = "dicom")]
#[test]
fn dicom_frames_windows_and_inverted_grey() {
    let dir = tempfile::tempdir().unwrap();
    let grey = |content: &[u8], reading: &Reading| -> Vec<u8> {
        let read = reading.decode(&write(dir.path(), content)).unwrap();
        assert_eq!((read.width(), read.height(), read.channels()), (2, 2, 3));
        read.pixels().chunks_exact(3).map(|p| p[1]).collect()
    };
    let frames = [[1024, 1064, 1124, 2000], [0, 1000, 2000, 3000]];
    let plain = Reading::default();
    // The file's window, 40 +- 40: rescaled 0 is its lower end, 40 about its middle, 100 and 976 above it.
    let file = dicom("MONOCHROME2", &frames, Some(("40", "80")));
    let shown = grey(&file, &plain);
    assert!(shown[0] <= 3 && (120..=136).contains(&shown[1]) && shown[2] == 255 && shown[3] == 255, "{shown:?}");
    // Another window on it, and the same inverted.
    let wide = Reading { window: Some([500.0, 2000.0]), ..plain.clone() };
    let shown = grey(&file, &wide);
    assert!(shown[0] < shown[2] && shown[2] < shown[3] && shown[3] < 255, "{shown:?}");
    let inverted = grey(&dicom("MONOCHROME1", &frames, Some(("40", "80"))), &wide);
    assert!(inverted.iter().zip(&shown).all(|(a, b)| a.abs_diff(255 - b) <= 1), "{inverted:?}");
    // Without a window the range of the values is shown. The second frame has a range of its own.
    let bare = dicom("MONOCHROME2", &frames, None);
    let second = Reading { frame: 1, ..plain.clone() };
    assert_eq!(grey(&bare, &second), [0, 85, 170, 255]);
    let error = Reading { frame: 2, ..plain.clone() }.decode(&write(dir.path(), &bare)).unwrap_err();
    assert!(error.to_string().contains("no frame 2: there are 2"), "{error}");
    // A sequence in a sequence, and so on: the parser would call itself until the stack ends.
    let nested = [0x08, 0, 0x15, 0x11, b'S', b'Q', 0, 0, 255, 255, 255, 255, 0xFE, 0xFF, 0, 0xE0, 255, 255, 255, 255];
    let body = bare.windows(8).position(|w| w == [0x28, 0, 2, 0, b'U', b'S', 2, 0]).unwrap();
    let deep = [&bare[..body], &nested.repeat(100_000)].concat();
    assert!(plain.decode(&write(dir.path(), &deep)).unwrap_err().to_string().contains("too deep"));
    // Cut off anywhere: an error or a picture, never a panic.
    for length in 0..bare.len() {
        let _ = plain.decode(&write(dir.path(), &bare[..length]));
    }
}

#[test]
fn dicom_files_without_an_extension_are_images() {
    let dir = tempfile::tempdir().unwrap();
    let file = dicom("MONOCHROME2", &[[0; 4]], None);
    for (name, content, expected) in [
        ("IM000001", &file[..], true),
        ("1.2.840.113619", &file, true),
        ("DICOMDIR", &file, false),
        ("notes.txt", &file, false),
        ("IM000002", &file[..131], false),
        ("empty", b"", false),
        ("no.dcm", b"", true),
    ] {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        assert_eq!(hemf_data::is_image(&path), expected, "{name}");
    }
    assert!(!hemf_data::is_image(&dir.path().join("nowhere")) && !hemf_data::is_image(dir.path()));
}

#[cfg(not(feature = "dicom"))]
#[test]
fn dicom_says_how_to_get_it() {
    let dir = tempfile::tempdir().unwrap();
    let error = decode(&write(dir.path(), &dicom("MONOCHROME2", &[[0; 4]], None))).unwrap_err();
    assert!(error.to_string().contains("--features dicom"), "{error}");
}
