//! From folders of every shape to manifests, and manifests against tampering.

use std::collections::BTreeSet;
use std::path::Path;

use hemf_data::{Check, ErrorKind, Manifest, Prepare, Reading, Rule, Split};

/// A one-pixel picture whose colour depends on the path, so that hashes differ.
fn picture(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let hash = blake3::hash(path.to_string_lossy().as_bytes());
    let pixel = image::Rgb([hash.as_bytes()[0], hash.as_bytes()[1], hash.as_bytes()[2]]);
    let buffer = image::RgbImage::from_pixel(3, 2, pixel);
    buffer.save_with_format(path, image::ImageFormat::Png).unwrap();
}

/// Classes with so many pictures each.
fn tree(root: &Path, classes: &[(&str, usize)]) {
    for (class, n) in classes {
        for i in 0..*n {
            picture(&root.join(class).join(format!("img_{i:05}.png")));
        }
    }
}

fn stratified(train: f64, validation: f64, test: f64) -> Prepare {
    Prepare { rule: Rule::Stratified { train, validation, test }, ..Default::default() }
}

fn totals(manifest: &Manifest) -> [usize; 3] {
    Split::ALL.map(|split| manifest.samples(split).len())
}

fn refused(prepare: &Prepare, folder: &Path) -> String {
    let error = prepare.run(folder).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    error.to_string()
}

#[test]
fn extensions_in_any_case_and_other_files_counted() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["b/1.png", "b/2.PNG", "b/3.jpg", "b/deeper/4.JPEG", "b/5.Jpg", "a/one 1%2,\"x\".png"] {
        picture(&dir.path().join(name));
    }
    picture(&dir.path().join("a/#2.png"));
    std::fs::write(dir.path().join("a/notes.txt"), "x").unwrap();
    std::fs::write(dir.path().join("read me"), "x").unwrap();
    for hidden in ["a/._one.png", "__MACOSX/a/two.png"] {
        picture(&dir.path().join(hidden)); // what macOS adds to archives
    }
    let made = stratified(1.0, 0.0, 0.0).run(dir.path()).unwrap();
    let paths: Vec<&str> = made.manifest.rows().iter().map(|row| row.path.as_str()).collect();
    let expected = ["a/#2.png", "a/one 1%2,\"x\".png", "b/1.png", "b/2.PNG", "b/3.jpg", "b/5.Jpg", "b/deeper/4.JPEG"];
    assert_eq!(paths, expected);
    assert!(made.notices.iter().any(|n| n.contains("1 .txt") && n.contains("1 without")), "{:?}", made.notices);

    // Written and read, nothing is lost, whatever the names.
    let file = dir.path().join("manifest.csv");
    made.manifest.write(&file).unwrap();
    let read = Manifest::read(&file).unwrap();
    assert_eq!(read.rows(), made.manifest.rows());
    assert_eq!(read.seal(), made.manifest.seal());
    read.verify(Check::Full).unwrap();
    assert_eq!(read.rows()[0].width, 3);
    assert!(read.samples(Split::Train)[0].path.is_absolute());
}

#[test]
fn folders_of_the_wrong_shape_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let prepare = Prepare::default();
    let missing = dir.path().join("nowhere");
    assert!(refused(&prepare, &missing).contains("nowhere"));

    let flat = dir.path().join("flat");
    picture(&flat.join("1.png"));
    assert!(refused(&prepare, &flat).contains("no class folders in it, but 1 images"));

    let empty = dir.path().join("empty");
    tree(&empty, &[("a", 2), ("b", 2)]);
    std::fs::create_dir(empty.join("splits")).unwrap();
    let text = refused(&prepare, &empty);
    assert!(text.contains("splits") && text.contains("no images in this class folder (.jpg"), "{text}");
    std::fs::write(empty.join("splits/train.gif"), "x").unwrap();
    assert!(refused(&prepare, &empty).contains("no images in this class folder"));
    let named = Prepare { classes: Some(vec!["b".into(), "a".into()]), ..Default::default() };
    let made = named.run(&empty).unwrap();
    assert_eq!(made.manifest.classes(), ["a", "b"]);
    assert!(made.notices.iter().any(|notice| notice.contains("splits")), "{:?}", made.notices);

    // Lists and tables make no class.
    std::fs::rename(empty.join("splits/train.gif"), empty.join("splits/train.txt")).unwrap();
    let made = prepare.run(&empty).unwrap();
    assert_eq!(made.manifest.classes(), ["a", "b"]);
    assert!(made.notices.iter().any(|notice| notice == "folders not used: \"splits\""), "{:?}", made.notices);

    let unknown = Prepare { classes: Some(vec!["a".into(), "c".into()]), ..Default::default() };
    let text = refused(&unknown, &empty);
    assert!(text.contains("\"c\"") && text.contains("\"b\""), "{text}");

    let one = dir.path().join("one");
    tree(&one, &[("a", 2)]);
    assert!(refused(&prepare, &one).contains("only one class folder"));

    let text = refused(&Prepare { rule: Rule::Covid19Ct {}, ..Default::default() }, &one);
    assert!(text.contains("CT_COVID"), "{text}");
}

#[cfg(unix)]
#[test]
fn no_link_takes_pictures_from_one_split_into_another() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    for split in ["training_set", "test_set"] {
        tree(&dir.path().join(split), &[("a", 2), ("b", 2)]);
    }
    symlink("../../training_set/a", dir.path().join("test_set/a/more")).unwrap();
    let folders = Prepare { rule: Rule::Folders {}, ..Default::default() };
    let made = folders.run(dir.path()).unwrap();
    assert_eq!([Split::Train, Split::Test].map(|split| made.manifest.class_counts(split)), [[2, 2], [2, 2]]);
    assert!(made.notices.iter().any(|notice| notice.starts_with("passed over: 1 link ")), "{:?}", made.notices);

    std::fs::remove_dir_all(dir.path().join("test_set/b")).unwrap();
    symlink("../training_set/b", dir.path().join("test_set/b")).unwrap();
    assert!(refused(&folders, dir.path()).contains("no images in this class folder"));
}

#[test]
fn all_unusable_images_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path(), &[("a", 3), ("b", 3)]);
    std::fs::write(dir.path().join("a/text.png"), "no picture").unwrap();
    let text = refused(&Prepare::default(), dir.path());
    assert!(text.starts_with("1 of 7 images cannot be used:") && text.contains("text.png"), "{text}");
    std::fs::write(dir.path().join("b/empty.jpg"), "").unwrap();
    let text = refused(&Prepare::default(), dir.path());
    assert!(text.contains("2 of 8") && text.contains("text.png") && text.contains("empty.jpg"), "{text}");
}

#[cfg(unix)]
#[test]
fn links_back_end_there_and_odd_names_pass() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path(), &[("a", 2), ("b", 2), ("c", 2)]);
    symlink(dir.path().join("a"), dir.path().join("a/again")).unwrap();
    // Not the pictures of `c` as those of `b`: neither by way of the root, nor straight.
    symlink(dir.path(), dir.path().join("b/up")).unwrap();
    symlink("../c", dir.path().join("b/across")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    tree(elsewhere.path(), &[("more", 1)]);
    symlink(elsewhere.path(), elsewhere.path().join("more/loop")).unwrap();
    symlink(elsewhere.path(), dir.path().join("c/outside")).unwrap();
    let made = stratified(1.0, 0.0, 0.0).run(dir.path()).unwrap();
    assert!(made.notices.iter().any(|notice| notice.starts_with("passed over: 4 links ")), "{:?}", made.notices);
    assert_eq!(made.manifest.class_counts(Split::Train), [2, 2, 3]);
    assert_eq!(made.manifest.rows()[6].path, "c/outside/more/img_00000.png");
    let unique: BTreeSet<_> = made.manifest.rows().iter().map(|row| &row.blake3).collect();
    assert_eq!(unique.len(), 7);

    // A name of two lines goes through the manifest too.
    picture(&dir.path().join("a/two\n# lines.png"));
    let made = stratified(1.0, 0.0, 0.0).run(dir.path()).unwrap().manifest;
    made.write(&dir.path().join("list.csv")).unwrap();
    assert_eq!(Manifest::read(&dir.path().join("list.csv")).unwrap(), made);

    symlink(dir.path().join("gone.png"), dir.path().join("a/dangling.png")).unwrap();
    assert!(refused(&Prepare::default(), dir.path()).contains("dangling.png"));
}

#[test]
fn the_split_does_not_depend_on_who_asks_when() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path(), &[("a", 20), ("b", 13)]);
    let first = Prepare::default().run(dir.path()).unwrap().manifest;
    assert_eq!(first.seal(), Prepare::default().run(dir.path()).unwrap().manifest.seal());
    assert_eq!(totals(&first), [23, 5, 5]);
    assert_eq!(first.class_counts(Split::Train), [14, 9]);
    let other = Prepare { seed: 5, ..Default::default() }.run(dir.path()).unwrap().manifest;
    assert_ne!(first.seal(), other.seal());
}

#[test]
fn trees_already_split() {
    let dir = tempfile::tempdir().unwrap();
    for (folder, n) in [("training_set", 3), ("test_set", 2)] {
        tree(&dir.path().join(folder), &[("a", n), ("b", n)]);
    }
    let text = refused(&Prepare::default(), dir.path());
    assert!(text.contains("already split") && text.contains("--split folders"), "{text}");
    let made = Prepare { rule: Rule::Folders {}, ..Default::default() }.run(dir.path()).unwrap();
    assert_eq!(totals(&made.manifest), [6, 0, 4]);
    assert!(made.notices.iter().any(|n| n.contains("a has no validation")), "{:?}", made.notices);

    let labels = Some(dir.path().join("table.csv"));
    let text = refused(&Prepare { rule: Rule::Folders {}, labels, ..Default::default() }, dir.path());
    assert!(text.starts_with("labels: ") && text.contains("--split table") && text.contains("--metadata"), "{text}");

    picture(&dir.path().join("test_set/c/1.png"));
    let text = refused(&Prepare { rule: Rule::Folders {}, ..Default::default() }, dir.path());
    assert!(text.contains("class c has no training images"), "{text}");

    let plain = tempfile::tempdir().unwrap();
    tree(plain.path(), &[("a", 1), ("b", 1)]);
    let text = refused(&Prepare { rule: Rule::Folders {}, ..Default::default() }, plain.path());
    assert!(text.contains("training_set"), "{text}");
}

#[test]
fn one_hot_tables() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path(), &[("images", 6)]);
    let table = dir.path().join("truth.csv");
    let write = |rows: &[&str]| {
        let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
        std::fs::write(&table, format!("image,MEL,NV\n{lines}")).unwrap();
    };
    write(&["img_00004,1.0,0.0", "img_00001,0.0,1.0", "img_00000,0,1", "img_00003,1,0"]);
    let prepare = Prepare { labels: Some(table.clone()), ..stratified(0.5, 0.0, 0.5) };
    let made = prepare.run(dir.path()).unwrap();
    assert_eq!(made.manifest.classes(), ["MEL", "NV"]);
    assert_eq!(made.manifest.class_counts(Split::Train), [1, 1]);
    assert!(made.notices.iter().any(|n| n.contains("2 images are not in the table")), "{:?}", made.notices);

    write(&["img_00004,1,0", "img_00001,1,1"]);
    assert!(refused(&prepare, dir.path()).contains("line 3: 2 classes are marked"));
    write(&["img_00004,1,0", "img_99,0,1"]);
    assert!(refused(&prepare, dir.path()).contains("line 3: no image img_99"));
    write(&["img_00004,1,0"]);
    assert!(refused(&prepare, dir.path()).contains("class NV has no images"));

    write(&["img_00004,1,0", "img_00001,0,1"]);
    let text = refused(&Prepare { rule: Rule::Table {}, ..prepare.clone() }, dir.path());
    assert!(text.contains("no row of the table has a split"), "{text}");
    assert!(refused(&Prepare { classes: Some(vec!["NV".into()]), ..prepare }, dir.path()).starts_with("classes: "));
    let text = refused(&Prepare { rule: Rule::Table {}, ..Default::default() }, dir.path());
    assert!(text.contains("--split table needs a table with a column split"), "{text}");
}

#[test]
fn a_changed_row_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path(), &[("a", 20), ("b", 20)]);
    let file = dir.path().join("manifest.csv");
    let made = Prepare::default().run(dir.path()).unwrap().manifest;
    made.write(&file).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let tampered = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        std::fs::write(&file, text.replacen(from, to, 1)).unwrap();
        Manifest::read(&file).unwrap_err()
    };
    let row = &made.rows()[17];
    let (line, flip) = match row.split {
        Split::Test => (format!("{},{},test", row.path, row.class), "train"),
        split => (format!("{},{},{split}", row.path, row.class), "test"),
    };
    let changed = format!("{},{},{flip}", row.path, row.class);
    let error = tampered(&line, &changed);
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(error.to_string().contains("row 18") && error.to_string().contains(&row.path), "{error}");

    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("b/")).collect();
    let error = tampered(&format!("{}\n", rows[3]), "");
    assert!(error.to_string().contains("39 rows, but 40 were sealed"), "{error}");
    let error = tampered("# seed: 123", "# seed: 124");
    assert_eq!(error.kind(), ErrorKind::Integrity);
    let error = tampered(&format!("# seal: {}", &made.seal()[..4]), "# seal: zzzz");
    assert_eq!(error.kind(), ErrorKind::Integrity);
    let error = tampered(&format!("\n{}\n", rows[0]), &format!("\n{}\n{}\n", rows[0], rows[0]));
    assert!(error.to_string().contains("are both"), "{error}");
    // What cannot be understood names its line.
    assert!(tampered(",train,", ",trian,").to_string().contains("line "));
    assert!(tampered("path,class", "Path,class").to_string().contains("line 6"));
    assert!(tampered("# hemf", "# HEMF").to_string().contains("line 1"));
    assert!(tampered("a/img_00000.png", "/etc/passwd").to_string().contains("relative"));
    assert!(tampered("a/img_00000.png", "../img_00000.png").to_string().contains("relative"));
    // Line ends and the place of the images are not part of the seal.
    std::fs::write(&file, text.replace('\n', "\r\n")).unwrap();
    assert_eq!(Manifest::read(&file).unwrap().seal(), made.seal());
    std::fs::write(&file, text.replace("# source: .", "# source: /moved")).unwrap();
    let moved = Manifest::read(&file).unwrap();
    assert_eq!(moved.root(), Path::new("/moved"));
    assert!(moved.verify(Check::Quick).unwrap_err().to_string().contains("(and 39 more rows);"));
    moved.with_root(dir.path()).unwrap().verify(Check::Full).unwrap();
}

#[test]
fn a_changed_file_is_refused_by_row() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path(), &[("a", 4), ("b", 4)]);
    let manifest = Prepare::default().run(dir.path()).unwrap().manifest;
    manifest.verify(Check::Full).unwrap();
    let path = dir.path().join(&manifest.rows()[5].path);
    let mut content = std::fs::read(&path).unwrap();
    *content.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &content).unwrap();
    manifest.verify(Check::Quick).unwrap();
    let error = manifest.verify(Check::Full).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(error.to_string().contains("row 6") && error.to_string().contains("content"), "{error}");
    content.push(0);
    std::fs::write(&path, &content).unwrap();
    assert!(manifest.verify(Check::Quick).unwrap_err().to_string().contains("bytes, not"));
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_file(dir.path().join(&manifest.rows()[6].path)).unwrap();
    let error = manifest.verify(Check::Quick).unwrap_err().to_string();
    assert!(error.contains("cannot be read") && error.contains("(and 1 more row);"), "{error}");
    assert!(error.contains("run prepare again") && error.contains("--allow-changed"), "{error}");
}

#[test]
fn a_manifest_elsewhere_finds_its_images() {
    let (images, lists) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    tree(images.path(), &[("a", 3), ("b", 3)]);
    let made = Prepare::default().run(images.path()).unwrap().manifest;
    let file = lists.path().join("new/folder/list.csv");
    made.write(&file).unwrap();
    Manifest::read(&file).unwrap().verify(Check::Quick).unwrap();
    // Nothing but the manifest is left behind, and what cannot be written says so.
    assert_eq!(std::fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    let error = made.write(&file.join("below a file.csv")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Write);
}

#[test]
fn what_was_changed_is_taken_as_it_is_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path(), &[("a", 4), ("b", 4)]);
    let file = dir.path().join("manifest.csv");
    let made = Prepare::default().run(dir.path()).unwrap().manifest;
    made.write(&file).unwrap();
    assert_eq!(Manifest::read_changed(&file, &Reading::default()).unwrap(), (made.clone(), vec![]));

    let path = |i: usize| dir.path().join(&made.rows()[i].path);
    std::fs::remove_file(path(1)).unwrap();
    std::fs::write(path(2), "no picture").unwrap();
    std::fs::copy(path(4), path(3)).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let split = made.rows()[6].split;
    let other = Split::ALL.into_iter().find(|other| *other != split).unwrap();
    let (was, is) = (format!("b,{split},"), format!("b,{other},"));
    let (head, tail) = text.split_once(&made.rows()[6].path).unwrap();
    std::fs::write(&file, format!("{head}{}{}", made.rows()[6].path, tail.replacen(&was, &is, 1))).unwrap();

    let (now, notices) = Manifest::read_changed(&file, &Reading::default()).unwrap();
    assert_eq!(now.rows().len(), 6);
    assert_ne!(now.seal(), made.seal());
    assert_eq!(now.rows()[1].blake3, made.rows()[4].blake3, "row 4 was replaced by row 5's file");
    assert_eq!(now.rows()[4].split, other);
    for (row, what) in [(2, "left out"), (3, "left out"), (4, "taken as it is now"), (7, "not what was sealed")] {
        let name = format!("row {row} (");
        assert!(notices.iter().any(|n| n.contains(&name) && n.contains(what)), "{name} {what}: {notices:?}");
    }
    assert_eq!(notices.len(), 4);
    now.verify(Check::Full).unwrap();
}

#[test]
fn further_columns_keep_their_order_and_are_sealed() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path(), &[("a", 3), ("b", 3)]);
    let plain = Prepare::default().run(dir.path()).unwrap().manifest;
    let with = |values: [&str; 2]| {
        let mut rows = plain.rows().to_vec();
        for row in &mut rows {
            row.extra = vec![("sex".into(), values[0].into()), ("age, years".into(), values[1].into())];
        }
        rows
    };
    let build = |rows| Manifest::new(dir.path(), plain.seed(), plain.rule(), rows);
    let made = build(with(["F", ""])).unwrap();
    assert_ne!(made.seal(), plain.seal());
    assert_ne!(made.seal(), build(with(["", "F"])).unwrap().seal());
    let file = dir.path().join("list.csv");
    made.write(&file).unwrap();
    let read = Manifest::read(&file).unwrap();
    assert_eq!(read, made);
    assert_eq!(read.extra_columns(), ["sex", "age, years"]);
    let row = &read.rows()[0];
    assert_eq!([row.extra("sex"), row.extra("age, years"), row.extra("site")], [Some("F"), None, None]);

    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen(",F,", ",M,", 1)).unwrap();
    assert!(Manifest::read(&file).unwrap_err().to_string().contains("row 1 ("));
    std::fs::write(&file, text.replacen("blake3,sex", "blake3,path", 1)).unwrap();
    assert!(Manifest::read(&file).unwrap_err().to_string().contains("line 6: the column path is there twice"));

    let mut rows = with(["F", "3"]);
    rows[1].extra.pop();
    assert!(build(rows).unwrap_err().to_string().contains("other columns (sex)"));
}
