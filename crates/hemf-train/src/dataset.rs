//! The data set that a configuration names: a manifest, or a folder of images that is prepared on the spot.

use std::path::{Path, PathBuf};

use hemf_data::{Check, Manifest, Prepare, Sample, Split, counted};

use crate::{Checkpoint, DataConfig, Error, Event, Observer, config::ConfigError, quoted};

/// A data set.
pub(crate) struct Dataset {
    pub(crate) manifest: Manifest,
    /// Whether it was a folder without a manifest.
    pub(crate) prepared_now: bool,
    /// Whether the manifest is no longer the one in the file (`data.allow_changed`).
    pub(crate) changed: bool,
}

impl Dataset {
    /// Whether the manifest exists in memory only.
    pub(crate) fn is_unwritten(&self) -> bool {
        self.prepared_now || self.changed
    }
}

/// The manifest's name in a folder that was prepared.
const MANIFEST: &str = "manifest.csv";

/// The manifest that `data.path` is, or holds.
pub(crate) fn list_of(data: &DataConfig) -> Option<PathBuf> {
    data.path.as_deref().map(list_in)
}

fn list_in(path: &Path) -> PathBuf {
    let inside = path.join(MANIFEST);
    if inside.is_file() { inside } else { path.to_path_buf() }
}

/// Opens `data.path`: a manifest, a folder with a `manifest.csv`, or a folder of images. Every image of a manifest must
/// be there with its content; one that has it was decoded when the manifest was made.
pub(crate) fn open(data: &DataConfig, observer: &mut dyn Observer) -> Result<Dataset, Error> {
    let Some(path) = &data.path else {
        let what = "no data set is named; name a manifest or a folder of images, for example with --data";
        return Err(ConfigError::new("configuration", "data.path", what).into());
    };
    if !path.try_exists().unwrap_or(true) {
        let reason = "is not there (a path that is not absolute begins at the working folder); name their manifest, or the \
                      folder that has it, with --data";
        return Err(hemf_data::Error::Folder { path: path.clone(), reason: reason.to_owned() }.into());
    }
    let manifest = &list_in(path);
    if !manifest.is_dir() {
        let (read, changes) = if data.allow_changed {
            Manifest::read_changed(manifest, &data.preprocessing.reading)?
        } else {
            let read = Manifest::read(manifest)?;
            read.verify(Check::Cached)?;
            (read, Vec::new())
        };
        for change in &changes {
            observer.event(&Event::Note(change));
        }
        let note = format!("images as listed in {}, split: {}", manifest.display(), read.rule());
        observer.event(&Event::Note(&note));
        if is_split_otherwise(&data.prepare, &read) {
            let note = "data.prepare has no effect: the manifest says what the classes and the split are; to split anew, \
                        prepare the folder by another rule";
            observer.event(&Event::Note(note));
        }
        let unlisted = read.unlisted(manifest);
        if let Some(first) = unlisted.first() {
            let count = counted(unlisted.len(), "image");
            let note =
                format!("the list lacks {count} of its folder, the first is {first}; to have them, prepare again");
            observer.event(&Event::Note(&note));
        }
        if let Some(note) = read.cut_off(&data.preprocessing.reading) {
            observer.event(&Event::Note(&note));
        }
        return Ok(Dataset { manifest: read, prepared_now: false, changed: !changes.is_empty() });
    }
    let prepare = Prepare { reading: data.preprocessing.reading.clone(), ..data.prepare.clone() };
    let prepared = prepare.run(path)?;
    for notice in &prepared.notices {
        observer.event(&Event::Note(notice));
    }
    Ok(Dataset { manifest: prepared.manifest, prepared_now: true, changed: false })
}

/// Whether `asked`, where it is not the default, would have made another split.
fn is_split_otherwise(asked: &Prepare, made: &Manifest) -> bool {
    let other_classes = asked.classes.as_ref().is_some_and(|classes| {
        classes.len() != made.classes().len() || classes.iter().any(|class| !made.classes().contains(class))
    });
    let default = Prepare::default();
    // A list that was made of another has its rule, and more after a semicolon.
    let rule = asked.rule.to_string();
    let same_rule = made.rule().strip_prefix(&rule).is_some_and(|rest| rest.is_empty() || rest.starts_with(';'));
    let other_rule = asked.rule != default.rule && !same_rule;
    let other_seed = asked.seed != default.seed && asked.seed != made.seed();
    other_classes || other_rule || other_seed
}

/// Where a run keeps the split of this seal, in brackets; or nothing.
pub(crate) fn kept_split(checkpoint: &Checkpoint, seal: &str) -> String {
    let kept = checkpoint.run().map(|run| run.manifest());
    let kept = kept.filter(|path| Manifest::read(path).is_ok_and(|kept| kept.seal() == seal));
    kept.map_or_else(String::new, |path| format!(" (kept: --data {})", quoted(&path)))
}

/// Every image, in row order.
pub(crate) fn all_samples(manifest: &Manifest) -> Vec<Sample> {
    let mut samples: Vec<Sample> = Split::ALL.into_iter().flat_map(|split| manifest.samples(split)).collect();
    samples.sort_by_key(|sample| sample.row);
    samples
}

/// The images of `split`, of which there must be some.
pub(crate) fn samples(manifest: &Manifest, split: Split) -> Result<Vec<Sample>, Error> {
    let samples = manifest.samples(split);
    if samples.is_empty() {
        let reason = format!("the manifest has no {split} images; prepare the folder with another rule");
        return Err(hemf_data::Error::Folder { path: manifest.root().to_path_buf(), reason }.into());
    }
    Ok(samples)
}
