//! `hemf config`: the settings of a run.

use std::path::PathBuf;

use clap::Args;
use hemf_train::{Layer, RunConfig};

use super::print;
use crate::{
    args::Set,
    exit::{Exit, Failure},
};

#[derive(Debug, Args)]
pub(crate) struct Config {
    /// Configuration: a file, or a built-in one such as nano [default: only the defaults]
    file: Option<PathBuf>,

    #[command(flatten)]
    set: Set,

    /// Print JSON instead of YAML
    #[arg(long)]
    json: bool,

    /// Print the JSON schema of configuration files, with which editors complete and check keys
    #[arg(long, conflicts_with_all = ["file", "set", "json"])]
    schema: bool,
}

pub(super) fn run(args: Config) -> Result<Exit, Failure> {
    let mut layers = args.file.as_deref().map(Layer::read_chain).transpose()?.unwrap_or_default();
    layers.extend(args.set.layers()?);
    let text = match (args.schema, args.json) {
        (true, _) => format!("{:#}\n", RunConfig::schema()),
        (_, true) => RunConfig::from_layers(&layers)?.to_json() + "\n",
        _ => RunConfig::annotated(&layers)?,
    };
    print(&text)?;
    Ok(Exit::Ok)
}
