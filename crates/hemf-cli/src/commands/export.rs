//! `hemf export`: weights for the published code.

use std::path::PathBuf;

use clap::Args;
use hemf_train::Checkpoint;

use super::print;
use crate::exit::{Exit, Failure};

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// A run folder, or one of its checkpoints
    run: PathBuf,

    /// The file to write, such as weights.safetensors
    out: PathBuf,
}

pub(super) fn run(args: Export) -> Result<Exit, Failure> {
    hemf_train::export(&Checkpoint::find(&args.run)?, &args.out)?;
    print(&format!("{}\n", args.out.display()))?;
    Ok(Exit::Ok)
}
