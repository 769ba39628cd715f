//! `hemf info`: how large a network is.

use std::path::PathBuf;

use clap::Args;

use super::print;
use crate::{
    args::Set,
    exit::{Exit, Failure},
};

#[derive(Debug, Args)]
pub(crate) struct Info {
    /// A configuration file, a run folder or checkpoint, or a preset: hemf, hemf-nano, came, came-nano
    network: PathBuf,

    /// How many levels of parts to show
    #[arg(long, default_value_t = 1, value_name = "N")]
    depth: usize,

    #[command(flatten)]
    set: Set,

    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Info) -> Result<Exit, Failure> {
    let info = hemf_train::info(&args.network, &args.set.layers()?)?;
    if args.json {
        let text = serde_json::to_string_pretty(&info).map_err(|error| Failure::unexpected(error.to_string()))?;
        print(&(text + "\n"))?;
        return Ok(Exit::Ok);
    }
    let (size, network) = (info.image_size, &info.network);
    if info.classes_assumed {
        eprintln!("note: no number of classes is named; {} is assumed (--set model.classes=N)", info.classes);
    }
    print(&network.to_text(args.depth))?;
    print(&format!(
        "\none image of {size}x{size}, {} classes; {} parameters that the published code builds beside and never uses\n",
        info.classes, network.parameters.unused
    ))?;
    Ok(Exit::Ok)
}
