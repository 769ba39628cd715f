//! `hemf parity`: this program against the published code.

use super::print;
use crate::{
    args::Parity,
    exit::{Exit, Failure},
};

pub(super) fn run(args: Parity) -> Result<Exit, Failure> {
    let certificate = hemf_parity::run(&args.goldens).map_err(|error| Failure::input(error.to_string()))?;
    let text = match args.json {
        true => serde_json::to_string_pretty(&certificate).map_err(|error| Failure::unexpected(error.to_string()))?,
        false => certificate.to_string(),
    };
    print(&(text + "\n"))?;
    Ok(if certificate.passed() { Exit::Ok } else { Exit::Integrity })
}
