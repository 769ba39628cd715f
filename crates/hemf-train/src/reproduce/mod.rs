//! From folders of images to the rows of the paper's tables, in one call that can be stopped and made again.

mod images;
mod published;
mod recipe;
mod table;

use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use hemf_data::Manifest;
use hemf_metrics::{Report, ReportOptions, uncertainty::Bootstrap};

use crate::{
    Error, Event, Observer, RunConfig,
    series::{complete, cross_validate, groups, headline},
};

pub use published::published_figures;
pub use table::{Compared, Reproduction, Row};

/// A table of the paper, by its data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// ISIC2018 task 3.
    Isic2018,
    /// Kvasir v1, two folds.
    Kvasir,
    /// COVID19-CT.
    Covid19Ct,
    /// The settings S1 to S7 of HEMF on ISIC2018.
    Ablation,
}

/// The network whose row it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// HEMF.
    Hemf,
    /// CAME, the baseline.
    Came,
}

/// What to reproduce, from what, to where.
#[derive(Clone, Debug)]
pub struct Order {
    /// The network; the ablation is of HEMF.
    pub network: Network,
    /// The table.
    pub target: Target,
    /// The folder of images as it is distributed: a subfolder per class, or one folder and `labels`.
    pub data: PathBuf,
    /// The ground-truth table of ISIC2018, where the images are not in class folders.
    pub labels: Option<PathBuf>,
    /// A table that tells which images are of one patient or lesion, such as `HAM10000_metadata.csv`: the audit then
    /// counts those on both sides of the split, and intervals are by whole groups.
    pub metadata: Option<PathBuf>,
    /// The folder in which the folder of this reproduction is made, or found and gone on with.
    pub out: PathBuf,
    /// The same path on few images with a small network: whether it works, not what it reaches.
    pub quick: bool,
}

/// Prepares the images, trains, evaluates and compares with the published figures. What was done before, by the same
/// order, is not done again. `None` when `stop` was raised on the way.
///
/// # Errors
/// Images that are not those of the data set, and what can go wrong in a run.
pub fn reproduce(order: &Order, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Option<Reproduction>, Error> {
    let folder = order.folder();
    let list = images::prepare(order, &folder, observer)?;
    let manifest = Manifest::read(&list)?;
    let mut rows = vec![];
    for recipe in recipe::recipes(order)? {
        observer.event(&Event::Note(&format!("{}: {}", order.name(), recipe.name)));
        let config = recipe.config(&folder, &list)?;
        let Some(row) = row(order, &recipe, &manifest, config, observer, stop)? else { return Ok(None) };
        rows.push(row);
    }
    let result = Reproduction { quick: order.quick, folder, rows };
    result.write()?;
    Ok(Some(result))
}

/// A row of the table.
fn row(
    order: &Order,
    recipe: &recipe::Recipe,
    manifest: &Manifest,
    config: RunConfig,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Option<Row>, Error> {
    if order.target == Target::Kvasir {
        let Some(folds) = cross_validate(&config, observer, stop)? else { return Ok(None) };
        let means = folds.across.iter().map(|score| (score.score, score.runs.mean.value));
        return Ok(Some(Row::new(recipe, folds.folder, means, &folds.pooled)));
    }
    let Some(done) = complete(config, observer, stop)? else { return Ok(None) };
    let options = ReportOptions {
        bootstrap: Some(Bootstrap::default()),
        groups: groups(manifest, &done.predictions),
        ..ReportOptions::default()
    };
    let report = Report::with_options(&done.predictions, &options)?;
    Ok(Some(Row::new(recipe, done.run.path().to_path_buf(), headline(&report).into_iter(), &report)))
}

impl Order {
    /// Such as `came-kvasir-quick`.
    fn name(&self) -> String {
        let target = match self.target {
            Target::Isic2018 => "isic2018",
            Target::Kvasir => "kvasir",
            Target::Covid19Ct => "covid19-ct",
            Target::Ablation => "ablation",
        };
        let network = match self.network {
            Network::Hemf => "hemf",
            Network::Came => "came",
        };
        format!("{network}-{target}{}", if self.quick { "-quick" } else { "" })
    }

    /// Where everything of this reproduction is.
    fn folder(&self) -> PathBuf {
        self.out.join(Path::new(&format!("reproduce-{}", self.name())))
    }
}
