//! Planted faults of many kinds, each of which an audit must name.

use std::path::Path;

use hemf_data::audit::{Audit, Severity};
use hemf_data::{Draws, Manifest, Raster, Reading, Row, Split, resize};
use image::{DynamicImage, ImageFormat};

const WIDTH: usize = 96;
const HEIGHT: usize = 72;

/// A picture unlike any other.
fn picture(seed: u64) -> DynamicImage {
    let mut draws = Draws::new("audit", seed, &[]);
    let coarse = Raster::new(9, 9, 3, (0..243).map(|_| draws.below(256) as u8).collect());
    let pixels = resize(&coarse, WIDTH, HEIGHT).pixels().to_vec();
    image::RgbImage::from_raw(WIDTH as u32, HEIGHT as u32, pixels).unwrap().into()
}

fn save(root: &Path, name: &str, picture: &DynamicImage, format: ImageFormat) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    picture.save_with_format(path, format).unwrap();
}

/// Two classes of sound pictures, twelve each.
fn sound(root: &Path) {
    for i in 0..24 {
        let class = ["a", "b"][i % 2];
        save(root, &format!("{class}/{i:02}.png"), &picture(i as u64), ImageFormat::Png);
    }
}

fn audit(path: &Path) -> Audit {
    Audit::run(path, &Reading::default()).unwrap()
}

fn bytes(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut file, format).unwrap();
    file.into_inner()
}

#[test]
fn a_sound_folder_has_nothing() {
    let dir = tempfile::tempdir().unwrap();
    sound(dir.path());
    let audit = audit(dir.path());
    assert_eq!(audit.findings, []);
    assert_eq!((audit.images, audit.readable), (24, 24));
    assert_eq!(audit.balance.classes, [("a".to_string(), vec![12]), ("b".to_string(), vec![12])]);
    assert!(Audit::run(&dir.path().join("none"), &Reading::default()).is_err());
}

/// A fault: what it is called in findings, how bad it is, a file that must be named, and how to plant it.
type Fault = (&'static str, Severity, &'static str, fn(&Path));

const FAULTS: [Fault; 18] = [
    ("unreadable", Severity::Error, "a/text.png", |root| std::fs::write(root.join("a/text.png"), "hello").unwrap()),
    ("unreadable", Severity::Error, "a/empty.jpg", |root| std::fs::write(root.join("a/empty.jpg"), "").unwrap()),
    ("unreadable", Severity::Error, "a/cut.jpg", |root| {
        let whole = bytes(&picture(90), ImageFormat::Jpeg);
        std::fs::write(root.join("a/cut.jpg"), &whole[..whole.len() / 2]).unwrap();
    }),
    ("unreadable", Severity::Error, "a/cut.png", |root| {
        let whole = bytes(&picture(91), ImageFormat::Png);
        std::fs::write(root.join("a/cut.png"), &whole[..whole.len() / 2]).unwrap();
    }),
    // A decompression bomb: 60 000 x 60 000 pixels in the header.
    ("unreadable", Severity::Error, "a/bomb.png", |root| {
        let mut file = bytes(&picture(92), ImageFormat::Png);
        file[16..24].copy_from_slice(&[0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60]);
        let mut crc = u32::MAX;
        for &byte in &file[12..29] {
            crc ^= u32::from(byte);
            (0..8).for_each(|_| crc = if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 });
        }
        file[29..33].copy_from_slice(&(!crc).to_be_bytes());
        std::fs::write(root.join("a/bomb.png"), file).unwrap();
    }),
    ("misnamed", Severity::Warning, "a/jpeg.png", |root| save(root, "a/jpeg.png", &picture(93), ImageFormat::Jpeg)),
    ("duplicate-files", Severity::Warning, "a/copy.png", |root| {
        std::fs::copy(root.join("a/00.png"), root.join("a/copy.png")).unwrap();
    }),
    ("duplicate-pictures", Severity::Warning, "a/same.bmp", |root| {
        save(root, "a/same.bmp", &picture(2), ImageFormat::Bmp);
    }),
    ("conflicting-labels", Severity::Error, "b/copy.png", |root| {
        std::fs::copy(root.join("a/04.png"), root.join("b/copy.png")).unwrap();
    }),
    ("near-duplicates", Severity::Note, "a/06.png", |root| {
        let smaller = picture(6).resize_exact(64, 48, image::imageops::FilterType::Triangle).brighten(10);
        save(root, "a/smaller.jpg", &smaller, ImageFormat::Jpeg);
    }),
    ("near-duplicates-of-other-class", Severity::Warning, "a/06.png", |root| {
        let smaller = picture(6).resize_exact(64, 48, image::imageops::FilterType::Triangle);
        save(root, "b/smaller.png", &smaller, ImageFormat::Png);
    }),
    ("names-differ-by-case", Severity::Warning, "a/x.png", |root| {
        save(root, "a/X.png", &picture(97), ImageFormat::Png);
        save(root, "a/x.png", &picture(98), ImageFormat::Png);
    }),
    ("dark-16-bit", Severity::Warning, "a/deep.png", |root| {
        save(root, "a/deep.png", &picture(99).to_luma16().into(), ImageFormat::Png);
    }),
    ("turned", Severity::Note, "a/turned.jpg", |root| {
        let plain = bytes(&picture(89), ImageFormat::Jpeg);
        // APP1 after the start: "Exif", little-endian TIFF, one entry: orientation (0x112), short, 6 = turn right.
        let exif = b"\xFF\xE1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        std::fs::write(root.join("a/turned.jpg"), [&plain[..2], exif, &plain[2..]].concat()).unwrap();
    }),
    ("transparent", Severity::Warning, "a/alpha.png", |root| {
        let mut picture = picture(94).to_rgba8();
        picture.get_pixel_mut(3, 3).0[3] = 40;
        save(root, "a/alpha.png", &picture.into(), ImageFormat::Png);
    }),
    ("odd-mode", Severity::Note, "a/grey.png", |root| {
        save(root, "a/grey.png", &picture(95).to_luma8().into(), ImageFormat::Png);
    }),
    ("odd-size", Severity::Note, "a/tiny.png", |root| {
        save(root, "a/tiny.png", &picture(96).thumbnail_exact(9, 8), ImageFormat::Png);
    }),
    ("blank", Severity::Warning, "a/blank.png", |root| {
        save(root, "a/blank.png", &image::RgbImage::from_pixel(96, 72, image::Rgb([9, 9, 9])).into(), ImageFormat::Png);
    }),
];

#[test]
fn every_planted_fault_of_a_file_is_named() {
    for (kind, severity, path, plant) in FAULTS {
        let dir = tempfile::tempdir().unwrap();
        sound(dir.path());
        plant(dir.path());
        let audit = audit(dir.path());
        let named = audit
            .of_kind(kind)
            .any(|found| found.severity == severity && found.images.iter().any(|image| image.path == path));
        assert!(named, "{kind} {path}: {:#?}", audit.findings);
        // Nothing worse is made of it.
        assert_eq!(audit.severity(), Some(severity), "{kind} {path}: {:#?}", audit.findings);
        for report in [audit.to_text(), audit.to_json(), audit.to_html()] {
            assert!(report.contains(path) && report.contains(kind), "{report}");
        }
    }
}

/// Faults of a manifest, likewise: what is done to its rows before it is written.
type Listed = (&'static str, Severity, fn(&mut Vec<Row>));

const LISTED: [Listed; 11] = [
    ("test-leaks", Severity::Error, |rows| {
        for row in rows.iter_mut() {
            row.group = Some(row.path.clone());
        }
        let train = rows.iter().position(|row| row.split == Split::Train).unwrap();
        let test = rows.iter().position(|row| row.split == Split::Test).unwrap();
        rows[test].group = rows[train].group.clone();
    }),
    ("validation-leaks", Severity::Error, |rows| {
        let train = rows.iter().position(|row| row.split == Split::Train).unwrap();
        let validation = rows.iter().position(|row| row.split == Split::Validation).unwrap();
        rows[train].group = Some("p".into());
        rows[validation].group = Some("p".into());
    }),
    ("groups-cross", Severity::Warning, |rows| {
        let test = rows.iter().position(|row| row.split == Split::Test).unwrap();
        let validation = rows.iter().position(|row| row.split == Split::Validation).unwrap();
        rows[test].group = Some("p".into());
        rows[validation].group = Some("p".into());
    }),
    ("no-groups", Severity::Note, |_| {}),
    ("absent-class", Severity::Warning, |rows| {
        rows.iter_mut().filter(|row| row.class == "b" && row.split == Split::Test).for_each(|r| r.split = Split::Train);
    }),
    ("tiny-class", Severity::Warning, |rows| rows.retain(|row| row.class != "b" || row.path.as_str() < "b/12")),
    ("imbalance", Severity::Note, |rows| rows.retain(|row| row.class != "b" || row.path.as_str() < "b/05")),
    ("uneven-splits", Severity::Warning, |rows| {
        let row = rows.iter_mut().find(|row| row.class == "a" && row.split == Split::Test).unwrap();
        row.split = Split::Train;
    }),
    ("images-without-group", Severity::Note, |rows| rows[0].group = Some("p".into())),
    ("unreadable", Severity::Error, |rows| rows[3].path = "a/gone.png".into()),
    ("changed", Severity::Error, |rows| rows[3].blake3 = "0".repeat(64)),
];

#[test]
fn every_planted_fault_of_a_manifest_is_named() {
    for (kind, severity, plant) in LISTED {
        let dir = tempfile::tempdir().unwrap();
        sound(dir.path());
        let made = hemf_data::Prepare::default().run(dir.path()).unwrap().manifest;
        let mut rows = made.rows().to_vec();
        plant(&mut rows);
        let file = dir.path().join("manifest.csv");
        Manifest::new(dir.path(), 1, "by hand", rows).unwrap().write(&file).unwrap();
        let audit = audit(dir.path());
        assert!(audit.of_kind(kind).any(|found| found.severity == severity), "{kind}: {:#?}", audit.findings);
    }
}

#[test]
fn a_changed_manifest_is_told() {
    let dir = tempfile::tempdir().unwrap();
    sound(dir.path());
    let file = dir.path().join("manifest.csv");
    hemf_data::Prepare::default().run(dir.path()).unwrap().manifest.write(&file).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen(",train,", ",test,", 1)).unwrap();
    let found = audit(dir.path()).of_kind("manifest-changed").next().cloned().unwrap();
    assert!(found.severity == Severity::Error && found.message.contains("row "), "{found:?}");
}

#[cfg(unix)]
#[test]
fn what_cannot_be_looked_at_is_told() {
    use std::os::unix::{ffi::OsStrExt, fs::PermissionsExt};
    let dir = tempfile::tempdir().unwrap();
    sound(dir.path());
    std::fs::write(dir.path().join("a/notes.txt"), "x").unwrap();
    let no_name = std::ffi::OsStr::from_bytes(b"a/\xFF.png");
    std::fs::write(dir.path().join(no_name), "x").unwrap();
    let closed = dir.path().join("b/closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
    let may_all = std::fs::read_dir(&closed).is_ok(); // the superuser
    let found = audit(dir.path());
    let refused = hemf_data::Prepare::default().run(dir.path()).unwrap_err().to_string();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert!(refused.contains("not valid UTF-8"), "{refused}");
    assert!(found.of_kind("left-out").any(|found| found.message.contains("1 .txt")), "{:#?}", found.findings);
    let folder = found.of_kind("unreadable-folder").next().unwrap();
    assert_eq!((folder.severity, folder.images.len()), (Severity::Error, if may_all { 1 } else { 2 }), "{folder:?}");
    assert_eq!(found.readable, 24);
    if !may_all {
        assert!(folder.images.iter().any(|image| image.path == "b/closed"), "{folder:?}");
    }
}

#[test]
fn images_beside_the_class_folders_contradict_nobody() {
    let dir = tempfile::tempdir().unwrap();
    sound(dir.path());
    save(dir.path(), "00.png", &picture(0), ImageFormat::Png);
    save(dir.path(), "like.png", &picture(1).thumbnail_exact(64, 48), ImageFormat::Png);
    let found = audit(dir.path());
    assert_eq!(found.severity(), Some(Severity::Warning), "{:#?}", found.findings);
    assert!(found.of_kind("duplicate-files").next().is_some() && found.of_kind("near-duplicates").next().is_some());
}

#[test]
fn pairs_across_splits_are_not_crowded_out() {
    // A scene of 40 nearly equal training pictures, and one of them, changed more, in the test set.
    let dir = tempfile::tempdir().unwrap();
    let scene = |i: u8| {
        let mut picture = picture(5).to_rgb8();
        picture.get_pixel_mut(u32::from(i), 0).0 = [i; 3];
        picture
    };
    (0..40).for_each(|i| save(dir.path(), &format!("train/a/{i:02}.png"), &scene(i).into(), ImageFormat::Png));
    let far = DynamicImage::from(scene(50)).brighten(9);
    save(dir.path(), "test/a/far.png", &far, ImageFormat::Png);
    let found = audit(dir.path());
    let across = found.of_kind("near-duplicates-across-splits").next().unwrap();
    assert_eq!(across.images.len(), 40);
    assert!(found.near_duplicates[..40].iter().all(|pair| pair.crosses_splits));
    assert!(found.of_kind("near-duplicates").next().unwrap().message.starts_with("at least "));
}

#[test]
fn duplicates_and_likenesses_across_splits_weigh_more() {
    let dir = tempfile::tempdir().unwrap();
    sound(dir.path());
    for split in ["training_set", "test_set"] {
        std::fs::create_dir_all(dir.path().join("split").join(split)).unwrap();
    }
    let root = dir.path().join("split");
    for (from, to) in [("a", "training_set/a"), ("b", "training_set/b")] {
        std::fs::rename(dir.path().join(from), root.join(to)).unwrap();
    }
    save(&root, "test_set/a/copy.png", &picture(0), ImageFormat::Png);
    save(
        &root,
        "test_set/b/like.png",
        &picture(1).resize_exact(80, 60, image::imageops::FilterType::Triangle),
        ImageFormat::Png,
    );
    let audit = audit(&root);
    let of = |kind| audit.of_kind(kind).next().unwrap_or_else(|| panic!("{kind}: {:#?}", audit.findings));
    assert_eq!(of("duplicates-across-splits").severity, Severity::Error);
    assert_eq!(of("near-duplicates-across-splits").images.len(), 1);
    assert_eq!(audit.near_duplicates[0].first, "training_set/b/01.png");
    assert!(audit.near_duplicates[0].crosses_splits && !audit.near_duplicates[0].other_class);
}

#[test]
fn a_class_that_goes_with_the_format_is_told() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..60u64 {
        let (class, format) = if i % 2 == 0 { ("a", ImageFormat::Png) } else { ("b", ImageFormat::Bmp) };
        let extension = format.extensions_str()[0];
        save(dir.path(), &format!("{class}/{i:02}.{extension}"), &picture(i), format);
    }
    let audit = audit(dir.path());
    let found = audit.of_kind("telling-property").next().unwrap();
    assert!(found.severity == Severity::Warning && found.message.contains("file format"), "{found:?}");
    let format = &audit.associations[0];
    assert!(format.v > 0.95 && format.guessed == 1.0 && format.commonest == 0.5, "{format:?}");
}
