//! `hemf prepare`: a folder of images to a manifest.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use hemf_train::{Manifest, Placing, Rule, Unreadable};

use super::{prepared::show, reading::Reading};
use crate::{
    exit::{Exit, Failure},
    output::LIST,
};

/// What the list is called in a folder of images.
const LIST_NAME: &str = "manifest.csv";

#[derive(Debug, Args)]
pub(crate) struct Prepare {
    /// Folder of images, with a subfolder per class; it is only read
    folder: PathBuf,

    /// Where to write the list, a .csv file [default: manifest.csv in the folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Replace the list that is there, though it differs
    #[arg(long)]
    force: bool,

    /// How to split: a published rule, by ratio, in folds, or as it is split already
    #[arg(long, value_enum, default_value_t = RuleName::Stratified)]
    split: RuleName,

    /// Shares of training, validation and test images, for the stratified rules [default: 0.7,0.15,0.15]
    #[arg(long, value_name = "T,V,T", value_parser = ratio)]
    ratio: Option<[f64; 3]>,

    /// How many folds, for --split folds and group-folds [default: 5]
    #[arg(long, value_name = "K")]
    folds: Option<u32>,

    /// Which fold tests, from 1, for the rules with folds [default: 1]
    #[arg(long, value_name = "N")]
    fold: Option<u32>,

    /// Share of the training folds that validates, for the rules with folds [default: 0.1]
    #[arg(long, value_name = "SHARE")]
    validation: Option<f64>,

    /// Seed of the shuffle; the published splits have 123
    #[arg(long, default_value_t = 123)]
    seed: u64,

    /// Only these class folders, separated by commas
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    classes: Option<Vec<String>>,

    /// A table that gives the classes instead of folders: columns path, class (and group, split, any others), or
    /// `image,CLASS,CLASS,...` with zeros and ones
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,

    /// A table about the images, such as HAM10000_metadata.csv; its columns go into the list
    #[arg(long, value_name = "FILE")]
    metadata: Option<PathBuf>,

    /// The column that tells which images belong together [default: group, patient, lesion_id or the like]
    #[arg(long, value_name = "COLUMN")]
    group: Option<String>,

    /// Folder of lists train*.txt, val*.txt, test*.txt, for --split lists
    #[arg(long, value_name = "DIR", required_if_eq("split", "lists"))]
    lists: Option<PathBuf>,

    /// Leave out images that cannot be read, and rows of --labels whose image is not there, instead of refusing
    #[arg(long)]
    skip_unreadable: bool,

    #[command(flatten)]
    reading: Reading,

    /// Also lay the images out in this new folder: training_set/CLASS/, validation_set/CLASS/, test_set/CLASS/
    #[arg(long, value_name = "DIR")]
    tree: Option<PathBuf>,

    /// How they come there
    #[arg(long, value_enum, default_value_t = Link::Copy, requires = "tree")]
    link: Link,

    /// Move the images there: they are then no longer where they were
    #[arg(long = "move", requires = "tree", conflicts_with = "link")]
    move_images: bool,

    /// Print the counts as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RuleName {
    /// Shares of each class (--ratio)
    Stratified,
    /// Shares of each class as nearly as groups, which stay whole, allow
    GroupStratified,
    /// Nearly equal parts, one of which tests (--folds, --fold)
    Folds,
    /// Folds with whole groups
    GroupFolds,
    /// ISIC2018 task 3, as published
    Isic2018,
    /// Kvasir v1, as published, with part of the training half for validation
    Kvasir,
    /// COVID19-CT, as published
    Covid19Ct,
    /// Folders training_set, validation_set, test_set (or train, val, test)
    Folders,
    /// Lists of image names (--lists)
    Lists,
    /// The column `split` of --labels
    Table,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Link {
    /// Second files
    Copy,
    /// Second names of the same files, on the same disk
    Hard,
    /// Symbolic links
    Symbolic,
}

impl Prepare {
    fn settings(&self) -> Result<hemf_train::Prepare, Failure> {
        use RuleName::{Folds, GroupFolds, GroupStratified, Kvasir, Stratified};
        if self.ratio.is_some() && !matches!(self.split, Stratified | GroupStratified) {
            return Err(Failure::usage("--ratio is for --split stratified and group-stratified"));
        }
        if self.folds.is_some() && !matches!(self.split, Folds | GroupFolds) {
            return Err(Failure::usage("--folds is for --split folds and group-folds"));
        }
        if (self.fold.is_some() || self.validation.is_some()) && !matches!(self.split, Folds | GroupFolds | Kvasir) {
            return Err(Failure::usage("--fold and --validation are for --split kvasir, folds and group-folds"));
        }
        if self.lists.is_some() && !matches!(self.split, RuleName::Lists) {
            return Err(Failure::usage("--lists is for --split lists"));
        }
        let [train, validation, test] = self.ratio.unwrap_or([0.7, 0.15, 0.15]);
        let (folds, fold, share) = (self.folds.unwrap_or(5), self.fold.unwrap_or(1), self.validation.unwrap_or(0.1));
        let rule = match self.split {
            Stratified => Rule::Stratified { train, validation, test },
            GroupStratified => Rule::GroupStratified { train, validation, test },
            Folds => Rule::Folds { folds, fold, validation: share },
            GroupFolds => Rule::GroupFolds { folds, fold, validation: share },
            RuleName::Isic2018 => Rule::Isic2018 {},
            Kvasir => Rule::Kvasir { fold, validation: share },
            RuleName::Covid19Ct => Rule::Covid19Ct {},
            RuleName::Folders => Rule::Folders {},
            RuleName::Lists => Rule::Lists { folder: self.lists.clone().unwrap_or_default() },
            RuleName::Table => Rule::Table {},
        };
        // The rule's names of its numbers are those of the flags.
        rule.validate().map_err(|error| Failure::usage(format!("--{error}")))?;
        Ok(hemf_train::Prepare {
            rule,
            seed: self.seed,
            classes: self.classes.clone(),
            labels: self.labels.clone(),
            metadata: self.metadata.clone(),
            group: self.group.clone(),
            unreadable: if self.skip_unreadable { Unreadable::Skip } else { Unreadable::Refuse },
            reading: self.reading.settings(),
        })
    }

    /// Where the list is written, once it is clear that nothing stands in the way, nor of the tree.
    fn list(&self) -> Result<PathBuf, Failure> {
        if let Some(tree) = &self.tree {
            Manifest::check_tree(&self.folder, tree)?;
        }
        match (&self.tree, &self.out) {
            (Some(tree), None) if self.move_images => Ok(tree.join(LIST_NAME)),
            (Some(_), Some(_)) if self.move_images => {
                Err(Failure::usage("--out does not go with --move: the list is written into the tree"))
            }
            (_, out) => {
                let path = out.clone().unwrap_or_else(|| self.folder.join(LIST_NAME));
                LIST.check("--out", &path)?;
                Ok(path)
            }
        }
    }

    fn placing(&self) -> Placing {
        match self.link {
            _ if self.move_images => Placing::Move,
            Link::Copy => Placing::Copy,
            Link::Hard => Placing::HardLink,
            Link::Symbolic => Placing::Symlink,
        }
    }
}

/// Three numbers between commas.
fn ratio(text: &str) -> Result<[f64; 3], String> {
    let numbers: Result<Vec<f64>, _> = text.split(',').map(str::parse).collect();
    let numbers = numbers.map_err(|error| error.to_string())?;
    let shares: [f64; 3] = numbers.try_into().map_err(|_| "expected three shares, such as 0.7,0.15,0.15".to_owned())?;
    let sum: f64 = shares.iter().sum();
    match () {
        () if !shares.iter().all(|share| *share >= 0.0) => Err("a share is not below 0".to_owned()),
        () if (sum - 1.0).abs() > 1e-9 => Err(format!("the shares add up to {sum}, not to 1, as 0.7,0.15,0.15 do")),
        () if shares[0] == 0.0 => Err("the share of training images must be above 0".to_owned()),
        () => Ok(shares),
    }
}

pub(super) fn run(args: Prepare, program: &str) -> Result<Exit, Failure> {
    let (settings, path) = (args.settings()?, args.list()?);
    let prepared = settings.run(&args.folder)?;
    for notice in &prepared.notices {
        eprintln!("note: {notice}");
    }
    let manifest = prepared.manifest;
    if args.move_images {
        return moved(&args, &manifest, &path, program);
    }
    let placing = args.placing();
    if !args.force {
        keep_another(&path, &manifest)?;
    }
    manifest.write(&path)?;
    if let Some(tree) = &args.tree {
        manifest.lay_out(tree, placing)?;
        eprintln!("laid out: {}", tree.display());
    }
    show(&manifest, &path, args.json, program)
}

/// The list lies in the new tree alone: one in the old folder would name images that are gone.
fn moved(args: &Prepare, manifest: &Manifest, path: &Path, program: &str) -> Result<Exit, Failure> {
    let Some(tree) = &args.tree else { return Err(Failure::usage("--move needs --tree")) };
    let laid = manifest.lay_out(tree, Placing::Move)?;
    let before = args.folder.join(LIST_NAME);
    if before.exists() {
        eprintln!("note: {} lists images where they are no longer; remove it", before.display());
    }
    show(&laid, path, args.json, program)
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
