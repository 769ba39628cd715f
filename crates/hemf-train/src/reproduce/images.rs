//! The images of a reproduction: listed and split as published, and what the reader should know about the split.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use hemf_data::{Manifest, Reading, Row, Split, audit::Audit};

use super::{Order, recipe};
use crate::{Error, Event, Observer};

/// How many images of a class a quick run takes for training, validation and test.
const QUICK: [(Split, usize); 3] = [(Split::Train, 32), (Split::Validation, 8), (Split::Test, 16)];

/// The manifest of the images in `folder`: the one that is there, or one made now.
pub(super) fn prepare(order: &Order, folder: &Path, observer: &mut dyn Observer) -> Result<PathBuf, Error> {
    let path = folder.join("manifest.csv");
    if path.is_file() {
        let manifest = Manifest::read(&path)?;
        let same = std::path::absolute(&order.data).is_ok_and(|data| data == manifest.root());
        if !same {
            let what = format!("is of the images in {}; name another folder with --out", manifest.root().display());
            return Err(Error::checkpoint(path, what));
        }
        return Ok(path);
    }
    observer.event(&Event::Note(&format!("reading the images in {}", order.data.display())));
    let mut settings = recipe::data_set(order.target)?.data.prepare;
    settings.labels = order.labels.clone();
    settings.metadata = order.metadata.clone();
    let prepared = settings.run(&order.data)?;
    for notice in &prepared.notices {
        observer.event(&Event::Note(notice));
    }
    let manifest = match order.quick {
        true => fewer(&prepared.manifest)?,
        false => prepared.manifest,
    };
    std::fs::create_dir_all(folder).map_err(Error::write(folder))?;
    manifest.write(&path)?;
    audit(&path, folder, observer)?;
    Ok(path)
}

/// A few images of each class and split, evenly from the list.
fn fewer(manifest: &Manifest) -> Result<Manifest, Error> {
    let mut groups: BTreeMap<(String, Split, Option<u32>), Vec<Row>> = BTreeMap::new();
    for row in manifest.rows() {
        groups.entry((row.class.clone(), row.split, row.fold)).or_default().push(row.clone());
    }
    let some = |((_, split, _), rows): ((String, Split, Option<u32>), Vec<Row>)| {
        let most = QUICK.iter().find(|(name, _)| *name == split).map_or(0, |(_, most)| *most);
        let step = rows.len().div_ceil(most.max(1)).max(1);
        rows.into_iter().step_by(step)
    };
    let mut rows: Vec<Row> = groups.into_iter().flat_map(some).collect();
    rows.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Manifest::new(manifest.root(), manifest.seed(), &format!("{}; a few of each class", manifest.rule()), rows)?)
}

/// What the reader should know about the images before believing figures from them; all of it is kept in `audit.txt`.
fn audit(manifest: &Path, folder: &Path, observer: &mut dyn Observer) -> Result<(), Error> {
    let audit = Audit::of_manifest(manifest, &Reading::default())?;
    for finding in &audit.findings {
        observer.event(&Event::Note(&format!("audit: {}: {}", finding.kind, finding.message)));
    }
    let path = folder.join("audit.txt");
    std::fs::write(&path, audit.to_text()).map_err(Error::write(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(i: usize, split: Split) -> Row {
        Row {
            path: format!("c/{i:03}.png"),
            class: "c".to_owned(),
            split,
            fold: None,
            group: None,
            width: 1,
            height: 1,
            bytes: 1,
            blake3: "0".repeat(64),
            extra: vec![],
        }
    }

    fn manifest(rows: Vec<Row>) -> Manifest {
        Manifest::new("images".as_ref(), 1, "rule", rows).unwrap()
    }

    #[test]
    fn quick_takes_a_few_of_everything() {
        let split = |i: usize| [Split::Train, Split::Train, Split::Train, Split::Validation, Split::Test][i % 5];
        let few = fewer(&manifest((0..500).map(|i| row(i, split(i))).collect())).unwrap();
        let counts = Split::ALL.map(|split| few.class_counts(split)[0]);
        assert_eq!(counts, [30, 8, 15]); // every tenth of 300, every 13th of 100, every 7th of 100
        assert!(few.rows().iter().any(|row| *row.path > *"c/450"), "from the end of the list too");
        let small = manifest((0..10).map(|i| row(i, split(i))).collect());
        assert_eq!(fewer(&small).unwrap().rows(), small.rows());
    }
}
