//! Tables, lists and trees: what `prepare` reads beside class folders, and what it lays out.

use std::path::Path;

use hemf_data::{Check, ErrorKind, ISIC2018, Manifest, Placing, Prepare, Rule, Split, Unreadable};

/// A picture of its own for every path.
fn picture(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let hash = blake3::hash(path.to_string_lossy().as_bytes());
    let pixel = image::Rgb([hash.as_bytes()[0], hash.as_bytes()[1], hash.as_bytes()[2]]);
    image::RgbImage::from_pixel(3, 2, pixel).save_with_format(path, image::ImageFormat::Png).unwrap();
}

fn tree(root: &Path, classes: &[(&str, usize)]) {
    for (class, n) in classes {
        (0..*n).for_each(|i| picture(&root.join(class).join(format!("{class}_{i:03}.png"))));
    }
}

fn text(root: &Path, name: &str, content: &str) -> std::path::PathBuf {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, content).unwrap();
    path
}

fn everything() -> Rule {
    Rule::Stratified { train: 1.0, validation: 0.0, test: 0.0 }
}

fn run(prepare: &Prepare, root: &Path) -> (Manifest, Vec<String>) {
    let made = prepare.run(root).unwrap();
    (made.manifest, made.notices)
}

fn refused(prepare: &Prepare, root: &Path) -> String {
    prepare.run(root).unwrap_err().to_string()
}

#[test]
fn a_table_of_classes_groups_and_splits() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    for name in ["x/1.png", "x/2%.png", "y/1.png", "3.png"] {
        picture(&root.join(name));
    }
    let write = |rows: &str| text(root, "table.csv", &format!("\u{feff}image,Label,Patient,split,Sex\n{rows}"));
    let table = write("x/1.png,cat,p1,train,F\nx/2%.png,dog,,test,\ny/1.png,dog,p2,Train,M\n3,cat,p1,val,F\n");
    let prepare = Prepare { rule: Rule::Table {}, labels: Some(table), ..Default::default() };
    let (made, notices) = run(&prepare, root);
    let row = |path: &str| made.rows().iter().find(|row| row.path == path).unwrap();
    assert_eq!((row("3.png").split, row("3.png").group.as_deref()), (Split::Validation, Some("p1")));
    assert_eq!((row("x/2%.png").split, row("x/2%.png").group.as_deref()), (Split::Test, None));
    assert_eq!([row("y/1.png").extra("Sex"), row("x/2%.png").extra("Sex")], [Some("M"), None]);
    assert_eq!(made.extra_columns(), ["Sex"]);
    assert!(notices.iter().any(|n| n.contains("cat has no test")), "{notices:?}");

    for (rows, what) in [
        ("1.png,cat,,train,\n3,dog,,train,\n", "line 2: several images are named 1"),
        ("x/1.png,cat,,train,\nx/1.png,dog,,train,\n", "line 3: x/1.png is there twice"),
        ("x/1.png,cat,,trian,\n", "line 2: split \"trian\""),
        ("x/9.png,cat,,train,\n", "line 2: no image x/9.png"),
        ("x/1.png,,,train,\n", "line 2: x/1.png has no class"),
        ("x/1.png,cat,,train,\n", "expected a column `class`"),
        ("x/1.png,cat\n", "line 2"),
    ] {
        write(rows);
        let error = refused(&prepare, root);
        assert!(error.contains(what), "{what}: {error}");
    }
}

#[test]
fn tables_of_spreadsheets() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    tree(root, &[("a", 2), ("b", 2)]);
    let labels = |content: &str| {
        let labels = Some(text(root, "table.csv", content));
        refused(&Prepare { rule: everything(), labels, ..Default::default() }, root)
    };
    for (content, what) in [
        ("path,class\r\na_000,\r\n", "table.csv, line 2: a/a_000.png has no class"),
        ("path,class\r\na_000,a\r\nb_000,b\r\na_000,a\r\n", "line 4: a/a_000.png is there twice"),
        ("path,class\n\na_000,a\n\n\nb_000,\n", "line 6: b/b_000.png has no class"),
        ("image,a,b\r\na_000,1,0\r\nb_000,1,1\r\n", "line 3: 2 classes are marked"),
        ("path,class\r\na_000,a\r\nb_000\r\n", "line 3: 1 field here, but 2 in the header"),
        ("path;class\r\na_000;a\r\n", "line 1: the columns seem separated by semicolons: save the table with commas"),
        ("path\tclass\na_000\ta\n", "line 1: the columns seem separated by tabs"),
        ("", "expected a column `class`"),
    ] {
        let error = labels(content);
        assert!(error.contains(what), "{what}: {error}");
    }
    let table = text(root, "meta.csv", "image,age\r\na_001,3\r\na_001.png,4\r\n");
    let twice = Prepare { rule: everything(), metadata: Some(table), ..Default::default() };
    assert!(refused(&twice, root).contains("meta.csv, line 3: a second row about"));
    text(root, "lists/train.txt", "\u{feff}a_000\r\nb_000\r\n");
    let last = text(root, "lists/test.txt", "a_001\r\n\r\nb_009\r\n");
    let lists = Prepare { rule: Rule::Lists { folder: root.join("lists") }, ..Default::default() };
    assert!(refused(&lists, root).contains("test.txt, line 3: no image b_009"));
    std::fs::write(&last, b"\xFE\xFF\0a").unwrap();
    assert!(refused(&lists, root).contains("test.txt: the text is UTF-16: save the file as UTF-8"));

    // A manifest that went through a spreadsheet is numbered alike.
    let list = root.join("manifest.csv");
    let made = run(&Prepare { rule: everything(), ..Default::default() }, root).0;
    made.write(&list).unwrap();
    let plain = std::fs::read_to_string(&list).unwrap();
    for (end, mark) in [("\n", ""), ("\r\n", "\u{feff}")] {
        let content = plain.replacen("a_001.png,a,train", "a_001.png,a,trian", 1).replace('\n', end);
        std::fs::write(&list, format!("{mark}{content}")).unwrap();
        let error = Manifest::read(&list).unwrap_err().to_string();
        assert!(error.contains("manifest.csv, line 8: split \"trian\""), "{error}");
        std::fs::write(&list, format!("{mark}{}", plain.replace('\n', end))).unwrap();
        assert_eq!(Manifest::read(&list).unwrap(), made);
    }
}

#[test]
fn metadata_gives_groups_and_further_columns() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    tree(root, &[("a", 12), ("b", 12)]);
    let rows: String = (0..11).map(|i| format!("L{},a_{i:03},{}0.0,male\n", i / 3, i)).collect();
    let table = text(root, "meta.csv", &format!("Lesion ID,image_id,age,sex\n{rows}L9,zzz,1,f\n"));
    let prepare = Prepare { rule: everything(), metadata: Some(table.clone()), ..Default::default() };
    let (made, notices) = run(&prepare, root);
    assert_eq!(made.extra_columns(), ["age", "sex"]);
    assert_eq!(made.rows()[4].group.as_deref(), Some("L1"));
    assert_eq!((made.rows()[4].extra("age"), made.rows()[20].extra("age")), (Some("40.0"), None));
    for what in ["1 rows of", "13 images have no row", "groups: column Lesion ID"] {
        assert!(notices.iter().any(|n| n.contains(what)), "{what}: {notices:?}");
    }

    let grouped = Rule::GroupStratified { train: 0.5, validation: 0.25, test: 0.25 };
    let prepare = Prepare { rule: grouped.clone(), ..prepare };
    let (made, notices) = run(&prepare, root);
    assert!(notices.iter().any(|n| n.contains("13 images have no group")), "{notices:?}");
    assert!(notices.iter().any(|n| n.contains("furthest from its share")), "{notices:?}");
    let splits = |group: &str| {
        let mut splits: Vec<_> =
            made.rows().iter().filter(|r| r.group.as_deref() == Some(group)).map(|r| r.split).collect();
        splits.dedup();
        splits.len()
    };
    assert!((0..4).all(|i| splits(&format!("L{i}")) == 1));
    assert_eq!(made.seal(), run(&prepare, root).0.seal());

    let unknown = Prepare { group: Some("person".into()), ..prepare.clone() };
    assert!(refused(&unknown, root).contains("no column person; there are Lesion ID"));
    let none = Prepare { metadata: None, ..prepare };
    assert!(refused(&none, root).contains("no image has a group"));
    text(root, "meta.csv", "image,age\na_001,3\na_001.png,4\n");
    let plain = Prepare { rule: everything(), group: None, ..unknown };
    assert!(refused(&plain, root).contains("line 3: a second row about a/a_001.png"));
}

#[test]
fn the_group_may_be_in_either_table() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    tree(root, &[("a", 4), ("b", 4)]);
    let images: Vec<String> = ["a", "b"].iter().flat_map(|c| (0..4).map(move |i| format!("{c}_{i:03}"))).collect();
    let lines = |of: &dyn Fn(usize) -> String| -> String {
        images.iter().enumerate().map(|(i, image)| format!("{image},{}\n", of(i))).collect()
    };
    let class = |i: usize| images[i][..1].to_string();
    let person = |i: usize| format!("p{}", i % 4 / 2);
    let plain = text(root, "plain.csv", &format!("image,class\n{}", lines(&class)));
    let owned =
        text(root, "owned.csv", &format!("image,class,who\n{}", lines(&|i| format!("{},{}", class(i), person(i)))));
    let ages = text(root, "ages.csv", &format!("image,age\n{}", lines(&|i| format!("{i}"))));
    let people = text(root, "people.csv", &format!("image,who\n{}", lines(&person)));
    let rule = Rule::GroupStratified { train: 0.5, validation: 0.0, test: 0.5 };
    let prepare = |labels: &Path, metadata: &Path, group: &str| Prepare {
        rule: rule.clone(),
        labels: Some(labels.into()),
        metadata: Some(metadata.into()),
        group: Some(group.into()),
        ..Default::default()
    };
    for prepare in [prepare(&plain, &people, "who"), prepare(&owned, &ages, "who")] {
        let made = run(&prepare, root).0;
        assert_eq!(made.rows()[3].group.as_deref(), Some("p1"));
    }
    let neither = refused(&prepare(&plain, &people, "patient"), root);
    assert!(neither.contains("no column patient; there are image, class, image, who"), "{neither}");
    let bare = Prepare { group: Some("who".into()), ..Default::default() };
    assert!(refused(&bare, root).contains("no table"));
}

#[test]
fn nothing_left_to_skip_to_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    for i in 0..6 {
        text(root, &format!("{}/{i}.png", ["a", "b"][i % 2]), "no picture");
    }
    let table: String = (0..6).map(|i| format!("{i},p{i}\n")).collect();
    let metadata = text(root, "people.csv", &format!("image,patient\n{table}"));
    let rule = Rule::GroupStratified { train: 0.6, validation: 0.2, test: 0.2 };
    let skip = Prepare { rule, metadata: Some(metadata), unreadable: Unreadable::Skip, ..Default::default() };
    assert!(refused(&skip, root).contains("class a has no training images"));
}

#[test]
fn a_table_of_more_images_than_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    tree(root, &[("x", 21)]);
    let table = |rows: std::ops::Range<usize>| {
        let rows: String = rows.map(|i| format!("x_{i:03},{}\n", ["a", "b", "c"][i % 3])).collect();
        Some(text(root, "t.csv", &format!("image,class\n{rows}")))
    };
    let skip = Prepare { unreadable: Unreadable::Skip, labels: table(15..30), ..Default::default() };
    let refuse = Prepare { unreadable: Unreadable::Refuse, ..skip.clone() };
    let error = refused(&refuse, root);
    assert!(error.contains("t.csv, line 8: no image x_021 below") && error.contains("with 9 of 15 rows"), "{error}");
    assert!(error.contains("--skip-unreadable") && error.contains("out of the table"), "{error}");
    let (made, notices) = run(&skip, root);
    assert_eq!((made.rows().len(), made.classes().len()), (6, 3));
    let left = notices.iter().find(|notice| notice.starts_with("9 of 15 rows of")).unwrap();
    assert!(left.ends_with("are left out: the first is x_021, line 8"), "{left}");
    // A class does not go unnoticed.
    let skip = Prepare { labels: table(18..23), ..skip };
    run(&skip, root);
    std::fs::remove_file(root.join("x/x_020.png")).unwrap();
    assert!(refused(&skip, root).contains("class c has no images"));

    // The published split is one of all images.
    let rows: String = (0..21).map(|i| format!("x_{i:03},{}\n", ISIC2018[i % 7])).collect();
    let labels = Some(text(root, "t.csv", &format!("image,class\n{rows}")));
    let error = refused(&Prepare { rule: Rule::Isic2018 {}, labels, ..skip }, root);
    assert!(error.contains("line 22: no image x_020") && error.contains("the published split needs all"), "{error}");
}

#[test]
fn groups_that_a_rule_tears_apart_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    tree(root, &[("a", 6), ("b", 6)]);
    let rows: String =
        ["a", "b"].iter().flat_map(|c| (0..6).map(move |i| format!("{c}_{i:03},{c}{}\n", i / 3))).collect();
    let metadata = Some(text(root, "meta.csv", &format!("image,patient\n{rows}")));
    let told = |rule: Rule| -> Vec<String> {
        let notices = run(&Prepare { rule, metadata: metadata.clone(), ..Default::default() }, root).1;
        notices.into_iter().filter(|notice| notice.contains("keeps groups whole")).collect()
    };
    let halves = told(Rule::Stratified { train: 0.5, validation: 0.0, test: 0.5 });
    assert!(halves.len() == 1 && halves[0].contains(" of 4 groups have"), "{halves:?}");
    assert!(halves[0].contains("--split group-stratified"), "{halves:?}");
    let folds = told(Rule::Folds { folds: 2, fold: 1, validation: 0.2 });
    assert!(folds[0].contains("--split group-folds"), "{folds:?}");
    assert!(told(everything()).is_empty());
    assert!(told(Rule::GroupStratified { train: 0.5, validation: 0.0, test: 0.5 }).is_empty());

    // Folds that no class can fill.
    let few = |rule| refused(&Prepare { rule, metadata: metadata.clone(), ..Default::default() }, root);
    let error = few(Rule::Folds { folds: 7, fold: 1, validation: 0.1 });
    assert!(error.contains("folds: 7, but no class has more than 6 images: name 6 at most"), "{error}");
    let error = few(Rule::GroupFolds { folds: 3, fold: 1, validation: 0.1 });
    assert!(error.contains("no class has more than 2 groups"), "{error}");

    let notices = run(&Prepare { rule: Rule::Kvasir { fold: 1, validation: 0.1 }, ..Default::default() }, root).1;
    assert!(notices.iter().any(|notice| notice.starts_with("Kvasir has no class a, b: ")), "{notices:?}");
}

#[test]
fn lists_of_names() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    tree(root, &[("CT_a", 5), ("CT_b", 4)]);
    text(root, "splits/trainCT_a.txt", "CT_a_000.jpg\nCT_a_001.png\n\n");
    text(root, "splits/valCT_a.txt", "CT_a_002");
    text(root, "splits/testCT_a.txt", "CT_a_003.png\r\n");
    text(root, "splits/train_CT_b.txt", "CT_b_000.png\nCT_b_001.png\n");
    let last = text(root, "splits/testCT_b.txt", "CT_b_003.png\n");
    let prepare = Prepare { rule: Rule::Lists { folder: root.join("splits") }, ..Default::default() };
    let (made, notices) = run(&prepare, root);
    assert_eq!(Split::ALL.map(|split| made.class_counts(split)), [[2, 2], [1, 0], [1, 1]]);
    assert!(notices.iter().any(|n| n.starts_with("2 images are in no list")), "{notices:?}");
    std::fs::write(&last, "CT_b_001.png").unwrap();
    assert!(refused(&prepare, root).contains("is listed for "));
    std::fs::write(&last, "CT_a_004.png").unwrap();
    assert!(refused(&prepare, root).contains("testCT_b.txt, line 1: no image CT_a_004.png"));
    let nowhere = Prepare { rule: Rule::Lists { folder: root.join("CT_a") }, ..Default::default() };
    assert!(refused(&nowhere, root).contains("no lists train*.txt"));
}

#[test]
fn folds_and_skipped_images() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    tree(root, &[("a", 10), ("b", 11)]);
    let rule = |fold| Rule::Folds { folds: 3, fold, validation: 0.2 };
    let sound = run(&Prepare { rule: rule(2), ..Default::default() }, root).0;
    assert_eq!(sound.rule(), "fold 2 of 3, validation 0.2");
    assert!(sound.rows().iter().all(|row| (row.split == Split::Test) == (row.fold == Some(2))));
    std::fs::write(root.join("a/a_004.png"), "no picture").unwrap();
    let error = refused(&Prepare { rule: rule(2), ..Default::default() }, root);
    assert!(error.starts_with("1 of 21 images cannot be used:") && error.contains("a_004.png"), "{error}");
    assert!(error.contains("--skip-unreadable") && error.contains("data.prepare.unreadable=skip"), "{error}");
    let skip = Prepare { rule: rule(2), unreadable: Unreadable::Skip, ..Default::default() };
    let (made, notices) = run(&skip, root);
    assert_eq!(made.rows().len(), 20);
    assert!(notices.iter().any(|n| n.contains("skipped: ") && n.contains("a_004.png")), "{notices:?}");
    // The others stay where they were.
    let others = sound.rows().iter().filter(|row| row.path != "a/a_004.png");
    assert!(made.rows().iter().eq(others));
}

#[test]
fn trees_for_other_programs() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("images");
    tree(&root, &[("a", 6), ("b", 6)]);
    picture(&root.join("a/deep/a_000.png"));
    picture(&root.join("a/deep/A_000.PNG"));
    let halves = Rule::Stratified { train: 0.5, validation: 0.0, test: 0.5 };
    let prepare = Prepare { rule: halves, ..Default::default() };
    let made = run(&prepare, &root).0;
    let kinds = [(Placing::Copy, "copy"), (Placing::HardLink, "hard"), (Placing::Symlink, "soft")];
    for (placing, name) in kinds {
        let target = dir.path().join(name);
        let laid = made.lay_out(&target, placing).unwrap();
        laid.verify(Check::Full).unwrap();
        made.verify(Check::Full).unwrap();
        assert_eq!(Manifest::read(&target.join("manifest.csv")).unwrap(), laid);
        assert_eq!(Split::ALL.map(|s| laid.class_counts(s)), Split::ALL.map(|s| made.class_counts(s)));
        let again = run(&Prepare { rule: Rule::Folders {}, ..Default::default() }, &target).0;
        let keep = |row: &hemf_data::Row| (row.path.clone(), row.class.clone(), row.split, row.blake3.clone());
        assert!(again.rows().iter().map(keep).eq(laid.rows().iter().map(keep)));
        assert!(made.lay_out(&target, placing).unwrap_err().to_string().contains("not empty"));
    }
    // Not among the images, nor in what is not there yet below them.
    for inside in ["tree", "a/new/tree", "../images/tree"] {
        let error = made.lay_out(&root.join(inside), Placing::Move).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        assert!(error.to_string().contains("the folder of the images; name a new folder outside"), "{error}");
    }
    assert!(!root.join("tree").exists() && !root.join("a/new").exists());
    made.verify(Check::Full).unwrap();
    // A move that fails half way leaves everything where it was, and no folder.
    let missing = root.join(&made.rows()[9].path);
    let content = std::fs::read(&missing).unwrap();
    std::fs::remove_file(&missing).unwrap();
    assert!(made.lay_out(&dir.path().join("half"), Placing::Move).is_err());
    assert!(!dir.path().join("half").exists());
    std::fs::write(&missing, content).unwrap();
    made.verify(Check::Full).unwrap();
    let laid = made.lay_out(&dir.path().join("moved"), Placing::Move).unwrap();
    laid.verify(Check::Full).unwrap();
    assert!(made.verify(Check::Quick).unwrap_err().to_string().contains("and 13 more"));
}
