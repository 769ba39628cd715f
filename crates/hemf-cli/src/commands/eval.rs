//! `hemf eval`: a trained network's scores, as a table, a report and pictures.

use std::path::{Path, PathBuf};

use hemf_train::{Checkpoint, RunFolder, Split, evaluate, write_report};

use super::print;
use crate::{
    args::Eval,
    exit::{Exit, Failure},
    progress::Progress,
};

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
    let predictions = evaluate(&checkpoint, args.data.as_deref(), split, &mut progress);
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
