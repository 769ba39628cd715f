//! `hemf cv`: cross-validation over the folds of a data set.

use std::path::PathBuf;

use clap::Args;
use hemf_train::{Layer, RunConfig};

use super::{print, stop_on_ctrl_c};
use crate::{
    args::Set,
    exit::{Exit, Failure},
    progress::Progress,
};

#[derive(Debug, Args)]
pub(crate) struct Cv {
    /// Configuration file, such as configs/kvasir.yaml
    config: PathBuf,

    /// The images: a manifest with folds, or a folder with a subfolder per class that the configuration's rule splits
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,

    /// How many times to go through the training images of each fold
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,

    /// Folder in which the series' own folder is made, or found and gone on with [default: runs]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    #[command(flatten)]
    set: Set,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Cv {
    fn config(&self) -> Result<RunConfig, Failure> {
        let mut over = self.set.layers()?;
        if let Some(path) = &self.data {
            over.push(Layer::path("--data", "data.path", path));
        }
        if let Some(epochs) = self.epochs {
            over.push(Layer::set(&format!("--epochs {epochs}"), "train.epochs", &epochs.to_string())?);
        }
        if let Some(path) = &self.out {
            over.push(Layer::path("--out", "output.folder", path));
        }
        let mut config = RunConfig::load(&self.config, &over)?;
        config.output.name += "-cv";
        Ok(config)
    }
}

pub(super) fn run(args: Cv, program: &str) -> Result<Exit, Failure> {
    let config = args.config()?;
    let mut progress = Progress::new();
    let stop = stop_on_ctrl_c()?;
    let result = hemf_train::cross_validate(&config, &mut progress, &stop);
    progress.finish();
    let Some(result) = result? else {
        eprintln!("stopped and saved; the same command goes on: {program} cv {} ...", args.config.display());
        return Ok(Exit::Interrupted);
    };
    print(&if args.json { result.to_json() } else { result.to_text() })?;
    eprintln!("report and pictures: {}", result.folder.join("report").display());
    Ok(Exit::Ok)
}
