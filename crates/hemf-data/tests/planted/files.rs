//! Faults of files.

use std::fs;
use std::path::Path;

use hemf_data::audit::Severity::{Error, Note, Warning};
use image::ImageFormat::{Bmp, Jpeg, Png};

use crate::sound::{bytes, picture, resized, save, write};
use crate::{Fault, Plant::Files};

pub(crate) const FILES: [Fault; 26] = [
    ("a text with an image's name", "unreadable", Error, "a/x.png", Files(|root| write(root, "a/x.png", b"hello"))),
    ("an empty file", "unreadable", Error, "a/x.jpg", Files(|root| write(root, "a/x.jpg", b""))),
    ("a JPEG that ends in the middle", "unreadable", Error, "a/x.jpg", Files(|root| half(root, "a/x.jpg", Jpeg))),
    ("a PNG that ends in the middle", "unreadable", Error, "a/x.png", Files(|root| half(root, "a/x.png", Png))),
    (
        "a PNG with one bit turned",
        "unreadable",
        Error,
        "a/x.png",
        Files(|root| {
            let mut file = bytes(&picture(91), Png);
            let middle = file.len() / 2;
            file[middle] ^= 1;
            write(root, "a/x.png", &file);
        }),
    ),
    (
        "a PNG that promises 60 000 x 60 000 pixels",
        "unreadable",
        Error,
        "a/x.png",
        Files(|root| {
            let mut file = bytes(&picture(92), Png);
            file[16..24].copy_from_slice(&[0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60]);
            let mut crc = u32::MAX;
            for &byte in &file[12..29] {
                crc ^= u32::from(byte);
                (0..8).for_each(|_| crc = if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 });
            }
            file[29..33].copy_from_slice(&(!crc).to_be_bytes());
            write(root, "a/x.png", &file);
        }),
    ),
    ("a GIF with another name", "unreadable", Error, "a/x.png", Files(|root| write(root, "a/x.png", b"GIF89a..."))),
    (
        "a link to nowhere",
        "unreadable",
        Error,
        "a/x.png",
        Files(|root| {
            std::os::unix::fs::symlink(root.join("gone.png"), root.join("a/x.png")).unwrap();
        }),
    ),
    (
        "a name that is not UTF-8",
        "unreadable-folder",
        Error,
        "a/",
        Files(|root| {
            let name: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"a/\xFF.png");
            fs::write(root.join(name), "x").unwrap();
        }),
    ),
    ("a JPEG named .png", "misnamed", Warning, "a/x.png", Files(|root| save(root, "a/x.png", &picture(93), Jpeg))),
    (
        "pixels that are not opaque",
        "transparent",
        Warning,
        "a/x.png",
        Files(|root| {
            let mut picture = picture(94).to_rgba8();
            picture.get_pixel_mut(3, 3).0[3] = 40;
            save(root, "a/x.png", &picture.into(), Png);
        }),
    ),
    (
        "a picture of one shade",
        "blank",
        Warning,
        "a/x.png",
        Files(|root| {
            let grey = image::RgbImage::from_pixel(96, 72, image::Rgb([9, 9, 9]));
            save(root, "a/x.png", &grey.into(), Png);
        }),
    ),
    (
        "16-bit grey",
        "cut-off",
        Warning,
        "a/x.png",
        Files(|root| {
            save(root, "a/x.png", &picture(99).to_luma16().into(), Png);
        }),
    ),
    (
        "grey among coloured",
        "odd-mode",
        Note,
        "a/x.png",
        Files(|root| {
            save(root, "a/x.png", &picture(95).to_luma8().into(), Png);
        }),
    ),
    (
        "9 x 8 pixels among 96 x 72",
        "odd-size",
        Note,
        "a/x.png",
        Files(|root| {
            save(root, "a/x.png", &resized(96, 9, 8), Png);
        }),
    ),
    (
        "an EXIF orientation",
        "turned",
        Note,
        "a/x.jpg",
        Files(|root| {
            let plain = bytes(&picture(89), Jpeg);
            // APP1 after the start: "Exif", little-endian TIFF, one entry: orientation (0x112), short, 6 = turn right.
            let exif = b"\xFF\xE1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
            write(root, "a/x.jpg", &[&plain[..2], exif, &plain[2..]].concat());
        }),
    ),
    (
        "names that differ by case alone",
        "names-differ-by-case",
        Warning,
        "a/x.png",
        Files(|root| {
            save(root, "a/X.png", &picture(97), Png);
            save(root, "a/x.png", &picture(98), Png);
        }),
    ),
    ("a file that is no image", "left-out", Note, "1 .txt", Files(|root| write(root, "a/notes.txt", b"x"))),
    ("a copy of a file", "duplicate-files", Warning, "a/x.png", Files(|root| copy(root, "a/00.png", "a/x.png"))),
    (
        "the same pixels in another format",
        "duplicate-pictures",
        Warning,
        "a/x.bmp",
        Files(|root| {
            save(root, "a/x.bmp", &picture(2), Bmp);
        }),
    ),
    (
        "a copy in another class",
        "conflicting-labels",
        Error,
        "b/x.png",
        Files(|root| copy(root, "a/04.png", "b/x.png")),
    ),
    (
        "a copy in another split",
        "duplicates-across-splits",
        Error,
        "test_set/a/x.png",
        Files(|root| {
            into_splits(root);
            copy(root, "training_set/a/04.png", "test_set/a/x.png");
        }),
    ),
    (
        "a smaller, brighter JPEG of a picture",
        "near-duplicates",
        Note,
        "a/06.png",
        Files(|root| {
            save(root, "a/x.jpg", &resized(6, 64, 48).brighten(10), Jpeg);
        }),
    ),
    (
        "a smaller copy in another class",
        "near-duplicates-of-other-class",
        Warning,
        "a/06.png",
        Files(|root| {
            save(root, "b/x.png", &resized(6, 64, 48), Png);
        }),
    ),
    (
        "a smaller copy in another split",
        "near-duplicates-across-splits",
        Warning,
        "training_set/a/06.png",
        Files(|root| {
            into_splits(root);
            save(root, "test_set/a/x.png", &resized(6, 80, 60), Png);
        }),
    ),
    (
        "classes in different formats",
        "telling-property",
        Warning,
        "file format",
        Files(|root| {
            for i in (0..24).step_by(2) {
                save(root, &format!("a/{i:02}.bmp"), &picture(i), Bmp);
                fs::remove_file(root.join(format!("a/{i:02}.png"))).unwrap();
            }
        }),
    ),
];

fn half(root: &Path, name: &str, format: image::ImageFormat) {
    let whole = bytes(&picture(90), format);
    write(root, name, &whole[..whole.len() / 2]);
}

fn copy(root: &Path, from: &str, to: &str) {
    fs::copy(root.join(from), root.join(to)).unwrap();
}

/// Both classes become training images; the test set has a picture of each.
fn into_splits(root: &Path) {
    for (class, seed) in [("a", 100), ("b", 101)] {
        save(root, &format!("test_set/{class}/y.png"), &picture(seed), Png);
        fs::create_dir_all(root.join("training_set")).unwrap();
        fs::rename(root.join(class), root.join("training_set").join(class)).unwrap();
    }
}
