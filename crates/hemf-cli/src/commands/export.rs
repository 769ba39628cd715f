//! `hemf export`: a network for other programs.

use std::path::PathBuf;

use clap::Args;
use hemf_train::Checkpoint;

use super::print;
use crate::exit::{Exit, Failure};

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// A run folder, or one of its checkpoints
    run: PathBuf,

    /// The file to write: weights.safetensors or weights.pth for PyTorch, or network.onnx
    out: PathBuf,
}

pub(super) fn run(args: Export) -> Result<Exit, Failure> {
    hemf_train::export(&Checkpoint::find(&args.run)?, &args.out)?;
    print(&format!("{}\n", args.out.display()))?;
    Ok(Exit::Ok)
}
