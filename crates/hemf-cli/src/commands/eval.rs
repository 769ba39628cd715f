//! `hemf eval`: a trained network's scores, as a table, a report and pictures.

use std::path::{Path, PathBuf};

use clap::Args;
use hemf_train::{Checkpoint, RunFolder, Split, evaluate, write_report};

use super::print;
use crate::{
    args::SplitName,
    exit::{Exit, Failure},
    progress::Progress,
};

#[derive(Debug, Args)]
pub(crate) struct Eval {
    /// A run folder, or one of its checkpoints [default: the newest run in runs/]
    run: Option<PathBuf>,

    /// Other images than those of the run: a manifest, or a folder with a subfolder per class, of which all are taken
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,

    /// Which part of the images that a manifest lists
    #[arg(long, value_enum, default_value_t = SplitName::Test)]
    split: SplitName,

    /// Go on though rows of the manifest, or image files, were changed or are missing; they are taken as they are now
    #[arg(long)]
    allow_changed: bool,

    /// Folder for the report [default: report/ in the run's folder, report-validation/ for that split, and so on]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Where runs are made when nobody says otherwise.
const RUNS: &str = "runs";

pub(super) fn run(args: Eval) -> Result<Exit, Failure> {
    let path = match args.run {
        Some(path) => path,
        None => RunFolder::newest(Path::new(RUNS))?.path().to_path_buf(),
    };
    let checkpoint = Checkpoint::find(&path)?;
    let split = Split::from(args.split);
    eprintln!("evaluating {} on {split} images", checkpoint.path().display());

    let mut progress = Progress::new();
    let predictions = evaluate(&checkpoint, args.data.as_deref(), split, args.allow_changed, &mut progress);
    progress.finish();
    let folder = args.out.unwrap_or_else(|| report_folder(&checkpoint, split));
    let report = write_report(&folder, &predictions?)?;
    print(&match args.json {
        true => report.to_json(),
        false => report.to_text(),
    })?;
    eprintln!("report and pictures: {}", folder.display());
    Ok(Exit::Ok)
}

/// `report` in the run's folder, or here for a checkpoint outside of a run; other splits have their own.
fn report_folder(checkpoint: &Checkpoint, split: Split) -> PathBuf {
    let name = match split {
        Split::Test => "report".to_owned(),
        other => format!("report-{other}"),
    };
    checkpoint.run().map_or_else(PathBuf::new, |run| run.path().to_path_buf()).join(name)
}
