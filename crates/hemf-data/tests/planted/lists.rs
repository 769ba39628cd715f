//! Faults of manifests.

use hemf_data::audit::Severity::{Error, Note, Warning};
use hemf_data::{Row, Split};

use crate::{
    Fault,
    Plant::{Rows, Text},
};

pub(crate) const LISTS: [Fault; 15] = [
    (
        "a patient in training and test",
        "test-leaks",
        Error,
        "1 of 4",
        Rows(|rows| same_group(rows, Split::Train, Split::Test)),
    ),
    (
        "a patient in training and validation",
        "validation-leaks",
        Error,
        "1 of 4",
        Rows(|rows| same_group(rows, Split::Train, Split::Validation)),
    ),
    (
        "a patient in validation and test",
        "groups-cross",
        Warning,
        "1 group is in both",
        Rows(|rows| same_group(rows, Split::Validation, Split::Test)),
    ),
    ("no patient known", "no-groups", Note, "no groups", Rows(|_| {})),
    ("one patient known", "images-without-group", Note, "a/02.png", Rows(|rows| rows[0].group = Some("p".into()))),
    (
        "a class without test images",
        "absent-class",
        Warning,
        "class b has no test",
        Rows(|rows| {
            rows.iter_mut()
                .filter(|row| row.class == "b" && row.split == Split::Test)
                .for_each(|r| r.split = Split::Train);
        }),
    ),
    (
        "a class of six images",
        "tiny-class",
        Warning,
        "class b has 6",
        Rows(|rows| rows.retain(|row| row.class != "b" || row.path.as_str() < "b/12")),
    ),
    (
        "a class of three images beside twelve",
        "imbalance",
        Note,
        "4.0 times",
        Rows(|rows| rows.retain(|row| row.class != "b" || row.path.as_str() < "b/06")),
    ),
    (
        "a class with other shares in the splits",
        "uneven-splits",
        Warning,
        "test images",
        Rows(|rows| {
            rows.iter_mut().find(|row| row.class == "a" && row.split == Split::Test).unwrap().split = Split::Train;
        }),
    ),
    ("a listed file that is gone", "unreadable", Error, "a/gone.png", Rows(|rows| rows[3].path = "a/gone.png".into())),
    ("a file of another size than listed", "changed", Error, "not 7", Rows(|rows| rows[3].bytes = 7)),
    (
        "a file of another hash than listed",
        "changed",
        Error,
        "another content",
        Rows(|rows| rows[3].blake3 = "0".repeat(64)),
    ),
    (
        "a row moved to another split by hand",
        "manifest-changed",
        Error,
        "row ",
        Text(|text| text.replacen(",train,", ",test,", 1)),
    ),
    (
        "an image that is not listed",
        "not-listed",
        Note,
        "a/06.png",
        Rows(|rows| {
            rows.remove(3);
        }),
    ),
    (
        "a class folder that is not listed",
        "not-listed",
        Note,
        "12 images are in the folder",
        Rows(|rows| rows.retain(|row| row.class == "a")),
    ),
];

/// Every image is a patient of its own, but for one of each split.
fn same_group(rows: &mut [Row], one: Split, other: Split) {
    rows.iter_mut().for_each(|row| row.group = Some(row.path.clone()));
    for split in [one, other] {
        rows.iter_mut().find(|row| row.split == split).unwrap().group = Some("both".into());
    }
}
