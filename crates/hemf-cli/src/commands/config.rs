//! `hemf config`: the settings of a run.

use std::path::PathBuf;

use clap::Args;
use hemf_train::RunConfig;

use super::print;
use crate::{
    args::Set,
    exit::{Exit, Failure},
};

#[derive(Debug, Args)]
pub(crate) struct Config {
    /// Configuration file [default: only the defaults]
    file: Option<PathBuf>,

    #[command(flatten)]
    set: Set,

    /// Print JSON instead of YAML
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Config) -> Result<Exit, Failure> {
    let over = args.set.layers()?;
    let config = match &args.file {
        Some(file) => RunConfig::load(file, &over)?,
        None => RunConfig::from_layers(&over)?,
    };
    let text = match args.json {
        true => config.to_json() + "\n",
        false => config.to_yaml(),
    };
    print(&text)?;
    Ok(Exit::Ok)
}
