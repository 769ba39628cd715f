//! `hemf prepare`: a folder of images to a manifest.

use std::path::Path;

use hemf_train::{Manifest, Split};
use serde_json::json;

use super::print;
use crate::{
    args::Prepare,
    exit::{Exit, Failure},
};

pub(super) fn run(args: Prepare, program: &str) -> Result<Exit, Failure> {
    let prepared = args.settings()?.run(&args.folder)?;
    for notice in &prepared.notices {
        eprintln!("note: {notice}");
    }
    let manifest = prepared.manifest;
    let path = args.out.unwrap_or_else(|| args.folder.join("manifest.csv"));
    if !args.force {
        keep_another(&path, &manifest)?;
    }
    manifest.write(&path)?;
    if args.json {
        let splits = Split::ALL.map(|split| (split.name(), json!(manifest.class_counts(split))));
        let counts = json!({
            "manifest": path,
            "seal": manifest.seal(),
            "classes": manifest.classes(),
            "images": serde_json::Map::from_iter(splits.map(|(name, n)| (name.to_owned(), n))),
        });
        print(&format!("{counts}\n"))?;
    } else {
        print(&table(&manifest))?;
        eprintln!("written: {}", path.display());
        eprintln!("next: {program} train CONFIG --data {}", path.display());
    }
    Ok(Exit::Ok)
}

/// Refuses to replace a file that is not this very manifest: trained models hold on to their split by its seal.
fn keep_another(path: &Path, manifest: &Manifest) -> Result<(), Failure> {
    let same = || Manifest::read(path).is_ok_and(|there| there.seal() == manifest.seal());
    if !path.exists() || same() {
        return Ok(());
    }
    let path = path.display();
    Err(Failure::input(format!(
        "{path}: is there already and differs from the list now made; name another file with --out, or replace it with \
         --force"
    )))
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
