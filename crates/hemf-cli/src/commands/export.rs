//! `hemf export`: a network for other programs.

use std::path::{Path, PathBuf};

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
    let folder = args.out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if folder.join("checksums.b3").exists() {
        let (out, folder) = (args.out.display(), folder.display());
        return Err(Failure::input(format!(
            "{out}: {folder} is a checkpoint, which stays as it is; name a file elsewhere"
        )));
    }
    hemf_train::export(&Checkpoint::find(&args.run)?, &args.out)?;
    print(&format!("{}\n", args.out.display()))?;
    Ok(Exit::Ok)
}
