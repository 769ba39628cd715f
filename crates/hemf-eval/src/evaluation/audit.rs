//! What the manifest tells of the data, and of leaks from training into what is measured.

use std::collections::{BTreeMap, BTreeSet};

use hemf_data::{Manifest, Row, Split};
use serde::{Deserialize, Serialize};

/// Counts of the data set and of what must not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Images of each class in training, validation and test.
    pub classes: Vec<ClassCount>,
    /// Whether the manifest knows which images belong together (a patient, a lesion).
    pub has_groups: bool,
    /// Groups with images in more than one split.
    pub groups_across_splits: usize,
    /// Files of equal content in more than one split.
    pub duplicates_across_splits: usize,
    /// Groups with images both trained on and among the measured ones.
    pub groups_trained_and_measured: usize,
    /// The same of contents.
    pub duplicates_trained_and_measured: usize,
    /// The measured images of these groups and contents, by their names, in the order in which they are listed.
    pub trained_and_measured: Vec<String>,
    /// Files of equal content with different classes.
    pub conflicting_labels: usize,
    /// The first names of what is counted above, at most ten of each.
    pub examples: Vec<String>,
}

/// Images of a class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassCount {
    /// Its name.
    pub class: String,
    /// To train on.
    pub train: usize,
    /// To choose the epoch, thresholds and temperature on.
    pub validation: usize,
    /// To measure on.
    pub test: usize,
}

const EXAMPLES: usize = 10;

impl Audit {
    /// Looks at the rows, of which those of one split are measured (`None`: all, a folder whose images have no split), and for
    /// those images in the training rows of `trained`, the manifest of the training, where it is known. Groups go by the
    /// same names only where both manifests are of the same folder. Near duplicates are not searched for.
    pub fn new(manifest: &Manifest, measured: Option<Split>, trained: Option<&Manifest>) -> Self {
        let counts = [Split::Train, Split::Validation, Split::Test].map(|split| manifest.class_counts(split));
        let class = |(i, class): (usize, &String)| ClassCount {
            class: class.clone(),
            train: counts[0][i],
            validation: counts[1][i],
            test: counts[2][i],
        };
        let mut groups: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut contents: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
        for row in manifest.rows() {
            if let Some(group) = &row.group {
                groups.entry(group).or_default().insert(row.split.name());
            }
            contents.entry(&row.blake3).or_default().push(row);
        }
        let across: Vec<(&&str, &BTreeSet<&str>)> = groups.iter().filter(|(_, splits)| splits.len() > 1).collect();
        let differ = |key: fn(&Row) -> &str| {
            let several = |rows: &&Vec<&Row>| rows.iter().any(|row| key(row) != key(rows[0]));
            contents.values().filter(several).collect::<Vec<_>>()
        };
        let (duplicates, conflicts) = (differ(|row| row.split.name()), differ(|row| &row.class));
        let measured: Vec<&Row> = match measured {
            // Images that were trained on are measured as a whole when it is they that are asked for: that is said elsewhere.
            Some(Split::Train) => Vec::new(),
            split => manifest.rows().iter().filter(|row| split.is_none_or(|split| row.split == split)).collect(),
        };
        let same_folder = trained.is_some_and(|trained| trained.root() == manifest.root());
        let group: fn(&Row) -> Option<&str> = |row| row.group.as_deref();
        let content: fn(&Row) -> Option<&str> = |row| Some(&*row.blake3).filter(|hash| !hash.is_empty());
        let of_training = |key: fn(&Row) -> Option<&str>| -> BTreeSet<&str> {
            let rows = trained.map_or(&[][..], Manifest::rows).iter();
            rows.filter(|row| row.split == Split::Train).filter_map(key).collect()
        };
        let groups_trained = if same_folder { of_training(group) } else { BTreeSet::new() };
        let contents_trained = of_training(content);
        let seen = |key: fn(&Row) -> Option<&str>, trained: &BTreeSet<&str>, row: &Row| {
            key(row).is_some_and(|key| trained.contains(key))
        };
        let in_both = |key: fn(&Row) -> Option<&str>, trained: &BTreeSet<&str>| {
            let measured: BTreeSet<&str> = measured.iter().filter_map(|row| key(row)).collect();
            trained.intersection(&measured).count()
        };
        let leaking = measured
            .iter()
            .filter(|row| seen(group, &groups_trained, row) || seen(content, &contents_trained, row))
            .map(|row| row.path.clone());
        let names = |rows: &Vec<&Row>| {
            let names: Vec<String> = rows.iter().map(|row| format!("{} ({})", row.path, row.split.name())).collect();
            names.join(" = ")
        };
        let across_splits = |(group, splits): &(&&str, &BTreeSet<&str>)| {
            format!("group {group}: {}", splits.iter().copied().collect::<Vec<_>>().join(", "))
        };
        let examples = across.iter().take(EXAMPLES).map(across_splits);
        let examples =
            examples.chain(duplicates.iter().take(EXAMPLES).map(|rows| format!("same content: {}", names(rows))));
        let examples =
            examples.chain(conflicts.iter().take(EXAMPLES).map(|rows| format!("other class: {}", names(rows))));
        Self {
            classes: manifest.classes().iter().enumerate().map(class).collect(),
            has_groups: !groups.is_empty(),
            groups_across_splits: across.len(),
            duplicates_across_splits: duplicates.len(),
            groups_trained_and_measured: in_both(group, &groups_trained),
            duplicates_trained_and_measured: in_both(content, &contents_trained),
            trained_and_measured: leaking.collect(),
            conflicting_labels: conflicts.len(),
            examples: examples.collect(),
        }
    }

    /// What of the training is in what is measured, as far as the manifest tells, as a sentence or two.
    pub fn leak(&self) -> Option<String> {
        let images = self.trained_and_measured.len();
        let groups = (self.groups_trained_and_measured, "group (such as a patient)", "groups (such as patients)");
        let contents = (self.duplicates_trained_and_measured, "file content", "file contents");
        let shared: Vec<String> = [groups, contents]
            .into_iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, one, several)| format!("{count} {}", if count == 1 { one } else { several }))
            .collect();
        (images > 0).then(|| {
            format!(
                "Training and measured images overlap: {images} of the measured ones share {} with training. The numbers may \
                 be too good.",
                shared.join(" and ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(path: &str, class: &str, split: Split, group: Option<&str>, digit: char) -> Row {
        let blake3 = digit.to_string().repeat(64);
        let (path, class, group) = (path.to_owned(), class.to_owned(), group.map(str::to_owned));
        Row { path, class, split, group, width: 1, height: 1, bytes: 1, blake3, ..Row::default() }
    }

    #[test]
    fn leaks_are_counted() {
        let rows = vec![
            row("a", "x", Split::Train, Some("p1"), '1'),
            row("b", "x", Split::Test, Some("p1"), '2'),
            row("c", "y", Split::Train, Some("p2"), '3'),
            row("d", "x", Split::Test, Some("p3"), '3'),
            row("e", "y", Split::Validation, None, '4'),
            row("f", "y", Split::Validation, Some("p2"), '5'),
        ];
        let manifest = Manifest::new(std::path::Path::new("."), 1, "by hand", rows).unwrap();
        let audit = Audit::new(&manifest, Some(Split::Test), Some(&manifest));
        // b by its group, d by its content.
        assert_eq!(audit.trained_and_measured, ["b", "d"]);
        let leak = audit.leak().unwrap();
        assert!(
            leak.contains(" 2 of the measured ones share 1 group (such as a patient) and 1 file content with"),
            "{leak}"
        );
        assert!(audit.has_groups);
        assert_eq!((audit.groups_across_splits, audit.duplicates_across_splits, audit.conflicting_labels), (2, 1, 1));
        // p2 is in training and validation: no leak into what is measured on the test images.
        assert_eq!((audit.groups_trained_and_measured, audit.duplicates_trained_and_measured), (1, 1));
        let of_validation = Audit::new(&manifest, Some(Split::Validation), Some(&manifest));
        assert_eq!((of_validation.groups_trained_and_measured, of_validation.duplicates_trained_and_measured), (1, 0));
        assert_eq!(Audit::new(&manifest, Some(Split::Train), Some(&manifest)).leak(), None);
        assert_eq!(audit.examples[0], "group p1: test, train");
        assert_eq!(audit.classes[1], ClassCount { class: "y".into(), train: 1, validation: 2, test: 0 });
    }

    #[test]
    fn what_was_trained_on_is_told_by_the_manifest_of_the_training() {
        let manifest = |root: &str, rows| Manifest::new(std::path::Path::new(root), 1, "by hand", rows).unwrap();
        let [x, y] = [("x", '1'), ("y", '2')].map(|(class, digit)| row(class, class, Split::Train, Some("p1"), digit));
        let trained = manifest(".", vec![x, y]);
        // Its own training rows overlap with its test rows, and were never trained on.
        let others = |digit| {
            let rows = [("a", "x", Split::Train, '3'), ("b", "x", Split::Test, '3'), ("c", "y", Split::Test, digit)];
            rows.map(|(path, class, split, digit)| row(path, class, split, Some("p1"), digit)).to_vec()
        };
        let counts = |measured: &Manifest, split, trained| {
            let audit = Audit::new(measured, split, trained);
            (audit.groups_trained_and_measured, audit.duplicates_trained_and_measured)
        };
        let (apart, shared) = (manifest("other", others('4')), manifest("other", others('2')));
        assert_eq!(counts(&apart, Some(Split::Test), None), (0, 0));
        assert_eq!(counts(&apart, Some(Split::Test), Some(&trained)), (0, 0));
        assert_eq!(counts(&shared, Some(Split::Test), Some(&trained)), (0, 1));
        assert_eq!(counts(&shared, None, Some(&trained)), (0, 1));
        // Of the same folder, p1 is the same patient.
        assert_eq!(counts(&manifest(".", others('4')), Some(Split::Test), Some(&trained)), (1, 0));
    }
}
