//! `hemf cv`: cross-validation over the folds of a data set.

use std::path::PathBuf;

use clap::Args;
use hemf_train::{RunConfig, quoted};

use super::{print, stop_on_ctrl_c};
use crate::{
    args::Over,
    exit::{Exit, Failure},
    progress::Progress,
};

#[derive(Debug, Args)]
pub(crate) struct Cv {
    /// Configuration: a file, or a built-in one such as kvasir
    config: PathBuf,

    #[command(flatten)]
    over: Over,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Cv {
    fn config(&self) -> Result<RunConfig, Failure> {
        let mut config = RunConfig::load(&self.config, &self.over.layers()?)?;
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
        eprintln!("stopped and saved; the same command goes on: {program} cv {} ...", quoted(&args.config));
        return Ok(Exit::Interrupted);
    };
    print(&if args.json { result.to_json() } else { result.to_text() })?;
    eprintln!("report and pictures: {}", result.folder.join("report").display());
    Ok(Exit::Ok)
}
