//! `hemf config`: the settings of a run.

use hemf_train::RunConfig;

use super::print;
use crate::{
    args::Config,
    exit::{Exit, Failure},
};

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
