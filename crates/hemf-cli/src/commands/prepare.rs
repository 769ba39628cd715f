//! `hemf prepare`: a folder of images to a manifest.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use hemf_train::{Manifest, Rule, Split};
use serde_json::json;

use super::print;
use crate::exit::{Exit, Failure};

#[derive(Debug, Args)]
pub(crate) struct Prepare {
    /// Folder of images, with a subfolder per class; it is only read
    folder: PathBuf,

    /// Where to write the list [default: manifest.csv in the folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Replace the list that is there, though it differs
    #[arg(long)]
    force: bool,

    /// How to split: a published rule, by ratio, or as the folders are split already
    #[arg(long, value_enum, default_value_t = RuleName::Stratified)]
    split: RuleName,

    /// Shares of training, validation and test images for --split stratified [default: 0.7,0.15,0.15]
    #[arg(long, value_name = "T,V,T", value_parser = ratio)]
    ratio: Option<[f64; 3]>,

    /// 1 or 2, for --split kvasir [default: 1]
    #[arg(long)]
    fold: Option<u32>,

    /// Seed of the shuffle; the published splits have 123
    #[arg(long, default_value_t = 123)]
    seed: u64,

    /// Only these class folders, separated by commas
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    classes: Option<Vec<String>>,

    /// A table `image,CLASS,CLASS,...` of zeros and ones that gives the classes instead of folders
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,

    /// Print the counts as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RuleName {
    /// Shares of each class (--ratio)
    Stratified,
    /// ISIC2018 task 3, as published
    Isic2018,
    /// Kvasir v1, as published, with part of the training half for validation
    Kvasir,
    /// COVID19-CT, as published
    Covid19Ct,
    /// Folders training_set, validation_set, test_set (or train, val, test)
    Folders,
}

impl Prepare {
    fn settings(&self) -> Result<hemf_train::Prepare, Failure> {
        if self.ratio.is_some() && !matches!(self.split, RuleName::Stratified) {
            return Err(Failure::usage("--ratio is for --split stratified; the other rules have their own shares"));
        }
        if self.fold.is_some() && !matches!(self.split, RuleName::Kvasir) {
            return Err(Failure::usage("--fold is for --split kvasir; the other rules have no folds"));
        }
        let rule = match self.split {
            RuleName::Stratified => {
                let [train, validation, test] = self.ratio.unwrap_or([0.7, 0.15, 0.15]);
                Rule::Stratified { train, validation, test }
            }
            RuleName::Isic2018 => Rule::Isic2018 {},
            RuleName::Kvasir => Rule::Kvasir { fold: self.fold.unwrap_or(1), validation: 0.1 },
            RuleName::Covid19Ct => Rule::Covid19Ct {},
            RuleName::Folders => Rule::Folders {},
        };
        let (classes, labels) = (self.classes.clone(), self.labels.clone());
        Ok(hemf_train::Prepare { rule, seed: self.seed, classes, labels })
    }
}

/// Three numbers between commas.
fn ratio(text: &str) -> Result<[f64; 3], String> {
    let numbers: Result<Vec<f64>, _> = text.split(',').map(str::parse).collect();
    let numbers = numbers.map_err(|error| error.to_string())?;
    numbers.try_into().map_err(|_| "expected three shares, such as 0.7,0.15,0.15".to_owned())
}

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
