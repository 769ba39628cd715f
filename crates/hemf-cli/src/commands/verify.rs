//! `hemf verify`: whether a run's files are as they were written.

use std::path::PathBuf;

use clap::Args;
use hemf_train::RunFolder;
use serde_json::json;

use super::print;
use crate::exit::{Exit, Failure};

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The run's folder, such as runs/quickstart
    run: PathBuf,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Verify) -> Result<Exit, Failure> {
    let found = hemf_train::verify(&RunFolder::open(args.run)?);
    let sound = found.iter().all(|one| one.sound);
    if args.json {
        print(&format!("{}\n", json!({ "sound": sound, "found": found })))?;
    } else {
        for one in &found {
            let mark = if one.sound { "ok     " } else { "DAMAGED" };
            print(&format!("{mark}  {}: {}\n", one.path.display(), one.what))?;
        }
    }
    Ok(if sound { Exit::Ok } else { Exit::Integrity })
}
