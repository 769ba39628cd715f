//! A manifest whose images are dealt out to folds as one manifest for each of them.

use std::collections::{BTreeMap, BTreeSet};

use hemf_data::{Manifest, Row, Split};

use crate::Error;

/// The folds that the images of `manifest` are dealt out to, in order.
///
/// # Errors
/// Fewer than two folds, or images that are in none.
pub(super) fn folds_of(manifest: &Manifest) -> Result<Vec<u32>, Error> {
    let folds: BTreeSet<Option<u32>> = manifest.rows().iter().map(|row| row.fold).collect();
    let named: Vec<u32> = folds.iter().flatten().copied().collect();
    if named.len() < 2 || named.len() < folds.len() {
        let reason =
            "not every image has a fold; prepare the images by a rule with folds: `folds`, `group-folds` or `kvasir`"
                .to_owned();
        return Err(hemf_data::Error::Folder { path: manifest.root().to_path_buf(), reason }.into());
    }
    Ok(named)
}

/// `manifest` with `fold`'s images as the test images.
///
/// The fold that the manifest was made for stays as it is. In another one, the images of all other folds train, but for
/// the share that validates in the manifest: of each class, by a draw that depends on the seed and on a group's (or
/// image's) name alone, so that groups stay together.
///
/// # Errors
/// Rows that make no manifest.
pub(super) fn manifest_of(manifest: &Manifest, fold: u32) -> Result<Manifest, Error> {
    let own = |row: &Row| (row.split == Split::Test) == (row.fold == Some(fold));
    if manifest.rows().iter().all(own) {
        return Ok(manifest.clone());
    }
    let mut rows = manifest.rows().to_vec();
    let mut units: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
    for (i, row) in rows.iter_mut().enumerate() {
        let tests = row.fold == Some(fold);
        row.split = if tests { Split::Test } else { Split::Train };
        if !tests {
            let unit = row.group.as_ref().unwrap_or(&row.path);
            let draw = blake3::hash(format!("{} {unit}", manifest.seed()).as_bytes()).to_hex();
            units.entry((draw.to_string(), unit.clone())).or_default().push(i);
        }
    }
    let share = validating_share(manifest);
    let mut wanted: BTreeMap<String, f64> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.split == Split::Train) {
        *wanted.entry(row.class.clone()).or_default() += share;
    }
    for unit in units.values() {
        let class = rows[unit[0]].class.clone();
        let left = wanted.entry(class).or_default();
        if *left >= 0.5 {
            *left -= unit.len() as f64;
            unit.iter().for_each(|i| rows[*i].split = Split::Validation);
        }
    }
    let rule = format!("{}; taken for fold {fold}", manifest.rule());
    Ok(Manifest::new(manifest.root(), manifest.seed(), &rule, rows)?)
}

/// Of the images that do not test, the share that validates.
fn validating_share(manifest: &Manifest) -> f64 {
    let count = |split| manifest.rows().iter().filter(|row| row.split == split).count() as f64;
    let (train, validation) = (count(Split::Train), count(Split::Validation));
    validation / (train + validation).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes of 30 images, three folds; the first fold tests, and a tenth of the rest validates.
    fn manifest(group: fn(usize) -> Option<String>) -> Manifest {
        let row = |i: usize| {
            let (fold, class) = (i as u32 % 3 + 1, if i < 30 { "a" } else { "b" });
            let split = match fold {
                1 => Split::Test,
                _ if i % 30 >= 27 => Split::Validation,
                _ => Split::Train,
            };
            let (path, class) = (format!("{class}/{i:02}.png"), class.to_owned());
            Row {
                path,
                class,
                split,
                fold: Some(fold),
                group: group(i),
                width: 1,
                height: 1,
                bytes: 1,
                blake3: "0".repeat(64),
                extra: vec![],
            }
        };
        Manifest::new("images".as_ref(), 5, "three folds", (0..60).map(row).collect()).unwrap()
    }

    #[test]
    fn every_image_tests_in_its_fold_and_each_class_validates() {
        let whole = manifest(|_| None);
        assert_eq!(folds_of(&whole).unwrap(), [1, 2, 3]);
        assert_eq!(manifest_of(&whole, 1).unwrap(), whole, "the manifest's own fold");
        for fold in [2, 3] {
            let one = manifest_of(&whole, fold).unwrap();
            assert!(one.rows().iter().all(|row| (row.split == Split::Test) == (row.fold == Some(fold))));
            assert_eq!(one.class_counts(Split::Test), [10, 10]);
            assert_eq!(one.class_counts(Split::Validation), [2, 2]);
            assert_eq!(one, manifest_of(&whole, fold).unwrap());
            assert_ne!(one.seal(), whole.seal());
        }
    }

    #[test]
    fn groups_stay_together() {
        let whole = manifest(|i| Some(format!("patient {}", i / 6)));
        let one = manifest_of(&whole, 3).unwrap();
        let mut validating = BTreeMap::new();
        for row in one.rows().iter().filter(|row| row.split != Split::Test) {
            let splits: &mut BTreeSet<Split> = validating.entry(row.group.clone()).or_default();
            splits.insert(row.split);
        }
        assert!(validating.values().all(|splits| splits.len() == 1), "{validating:?}");
        assert!(one.class_counts(Split::Validation).iter().all(|n| *n > 0));
    }

    #[test]
    fn images_without_a_fold_are_refused() {
        let mut rows = manifest(|_| None).rows().to_vec();
        rows[7].fold = None;
        let some = Manifest::new("images".as_ref(), 5, "odd", rows).unwrap();
        assert!(folds_of(&some).unwrap_err().to_string().contains("not every image has a fold"));
    }
}
