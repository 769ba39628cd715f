//! `hemf diff`: what differs between two checkpoints.

use std::{fmt::Write, path::PathBuf};

use clap::Args;
use hemf_train::{Checkpoint, Difference, How, difference};

use super::print;
use crate::exit::{Exit, Failure};

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// A run folder (its best checkpoint), or one of its checkpoints
    a: PathBuf,

    /// Another one
    b: PathBuf,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Diff) -> Result<Exit, Failure> {
    let found = difference(&Checkpoint::find(&args.a)?, &Checkpoint::find(&args.b)?)?;
    print(&match args.json {
        true => format!("{}\n", serde_json::json!(found)),
        false => text(&found),
    })?;
    Ok(if found.is_none() { Exit::Ok } else { Exit::Integrity })
}

fn text(found: &Difference) -> String {
    let mut text = String::new();
    for (path, [a, b]) in &found.values {
        let _ = writeln!(text, "{path}: {a} | {b}");
    }
    for tensor in &found.tensors {
        let what = match &tensor.what {
            How::OnlyIn(which) => format!("only in the {}", if *which == 1 { "first" } else { "second" }),
            How::Shapes([a, b]) => format!("{a:?} | {b:?}"),
            How::Values { differing, of, largest, scale } => {
                format!("{differing} of {of} values differ, by {largest:.2e} at most (values up to {scale:.2e})")
            }
        };
        let _ = writeln!(text, "{}: {what}", tensor.name);
    }
    let _ = writeln!(text, "{} tensors are equal, {} differ", found.equal, found.tensors.len());
    text
}
