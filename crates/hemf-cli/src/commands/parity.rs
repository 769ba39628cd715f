//! `hemf parity`: this program against the published code.

use std::path::PathBuf;

use clap::Args;

use super::print;
use crate::exit::{Exit, Failure};

#[derive(Debug, Args)]
pub(crate) struct Parity {
    /// Folder of goldens
    #[arg(default_value = "goldens")]
    goldens: PathBuf,

    /// Print the certificate as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Parity) -> Result<Exit, Failure> {
    let certificate = hemf_parity::run(&args.goldens).map_err(|error| Failure::input(error.to_string()))?;
    let text = match args.json {
        true => serde_json::to_string_pretty(&certificate).map_err(|error| Failure::unexpected(error.to_string()))?,
        false => certificate.to_string(),
    };
    print(&(text + "\n"))?;
    Ok(if certificate.passed() { Exit::Ok } else { Exit::Integrity })
}
