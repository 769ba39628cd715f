//! Audits as a whole; single faults are in `planted.rs`.

mod sound;

use std::path::Path;

use hemf_data::audit::{Audit, Severity};
use hemf_data::{Manifest, Placing, Prepare, Reading};
use image::{DynamicImage, ImageFormat};
use sound::{audit, picture, resized, save, sound};

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
fn images_that_are_not_listed() {
    let dir = tempfile::tempdir().unwrap();
    let (root, list) = (dir.path().join("images"), dir.path().join("images/manifest.csv"));
    sound(&root);
    let made = Prepare::default().run(&root).unwrap().manifest;
    made.write(&list).unwrap();
    let told = |path: &Path| -> Vec<String> {
        let found = audit(path);
        found.of_kind("not-listed").flat_map(|found| found.images.iter().map(|image| image.path.clone())).collect()
    };
    assert!(told(&root).is_empty());
    for name in ["b/new.png", "c/1.png", "beside.png", "a/deep/2.png"] {
        save(&root, name, &picture(70), ImageFormat::Png);
    }
    assert_eq!(told(&root), ["a/deep/2.png", "b/new.png", "c/1.png"]);
    // A list elsewhere need not be of everything, nor one that lists or tables chose the images of.
    made.write(&dir.path().join("list.csv")).unwrap();
    assert!(told(&dir.path().join("list.csv")).is_empty());
    let by = |rule: &str| Manifest::new(&root, 1, rule, made.rows().to_vec()).unwrap().unlisted(&list).len();
    assert_eq!([by("lists"), by("table"), by("covid19-ct"), by("by hand")], [0, 0, 0, 3]);
    let mut rows = made.rows().to_vec();
    rows[0].class = "b".into();
    assert!(Manifest::new(&root, 1, "by table", rows).unwrap().unlisted(&list).is_empty());

    // A tree of splits.
    std::fs::remove_file(&list).unwrap();
    let tree = dir.path().join("tree");
    let laid = made.lay_out(&tree, Placing::HardLink).unwrap();
    assert!(laid.unlisted(&tree.join("manifest.csv")).is_empty());
    save(&tree, "test_set/b/new.png", &picture(71), ImageFormat::Png);
    assert_eq!(told(&tree), ["test_set/b/new.png"]);
}

#[test]
fn rows_that_are_not_what_was_sealed_are_one_finding() {
    let dir = tempfile::tempdir().unwrap();
    sound(dir.path());
    let list = dir.path().join("manifest.csv");
    Prepare::default().run(dir.path()).unwrap().manifest.write(&list).unwrap();
    let text = std::fs::read_to_string(&list).unwrap();
    std::fs::write(&list, text.replace(",train,", ",test,")).unwrap();
    let found = audit(dir.path());
    let changed: Vec<_> = found.of_kind("manifest-changed").collect();
    assert!(changed.len() == 1 && changed[0].message.ends_with("16 rows are not what was sealed"), "{changed:?}");
    assert_eq!((changed[0].images.len(), &*changed[0].images[0].what), (16, "row 3"));
    assert!(found.to_text().contains("and 11 more"), "{}", found.to_text());
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
    save(&root, "test_set/b/like.png", &resized(1, 80, 60), ImageFormat::Png);
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
