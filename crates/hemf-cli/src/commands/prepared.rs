//! What `hemf prepare` says of the list that it has made.

use std::path::Path;

use hemf_train::{Manifest, Split, quoted};
use serde_json::json;

use super::print;
use crate::exit::{Exit, Failure};

/// Prints the counts, and what comes next.
pub(super) fn show(manifest: &Manifest, path: &Path, json: bool, program: &str) -> Result<Exit, Failure> {
    if json {
        let splits = Split::ALL.map(|split| (split.name(), json!(manifest.class_counts(split))));
        let counts = json!({
            "manifest": path,
            "seal": manifest.seal(),
            "classes": manifest.classes(),
            "images": serde_json::Map::from_iter(splits.map(|(name, n)| (name.to_owned(), n))),
        });
        print(&format!("{counts}\n"))?;
    } else {
        print(&table(manifest))?;
        eprintln!("written: {}", path.display());
        if manifest.samples(Split::Validation).is_empty() {
            eprintln!(
                "not ready for training, which needs validation images, and there are none: add images, or give validation \
                 a share (--ratio, --validation), a folder, a list or rows of the table, as --split needs"
            );
            return Ok(Exit::Ok);
        }
        let config = config_for(manifest.rule());
        eprintln!("next: {program} train {config} --data {}", quoted(path));
        if manifest.rows().iter().any(|row| row.fold.is_some()) {
            eprintln!("or, for every fold: {program} cv {config} --data {}", quoted(path));
        }
    }
    Ok(Exit::Ok)
}

/// The configuration for a list made by `rule`.
fn config_for(rule: &str) -> String {
    let of_a_published_set = ["isic2018", "covid19-ct", "kvasir"].into_iter().find(|name| rule.starts_with(name));
    format!("configs/{}.yaml", of_a_published_set.unwrap_or("nano"))
}

/// Images per class and split, with sums.
fn table(manifest: &Manifest) -> String {
    let counts = Split::ALL.map(|split| manifest.class_counts(split));
    let names = manifest.classes();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(5);
    let line = |name: &str, [train, validation, test]: [String; 3]| {
        format!("{name:width$}  {train:>7}  {validation:>10}  {test:>7}\n")
    };
    let mut text = line("class", ["train", "validation", "test"].map(str::to_owned));
    for (i, name) in names.iter().enumerate() {
        text += &line(name, counts.each_ref().map(|split| split[i].to_string()));
    }
    let sums = counts.each_ref().map(|split| split.iter().sum::<usize>().to_string());
    text + &line("all", sums)
}
