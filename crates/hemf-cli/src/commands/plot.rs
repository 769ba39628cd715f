//! `hemf plot`: a report's pictures and page again, from its files.

use std::path::PathBuf;

use clap::Args;
use hemf_eval::plot_again;
use hemf_train::RunFolder;

use super::print;
use crate::exit::{Exit, Failure};

#[derive(Debug, Args)]
pub(crate) struct Plot {
    /// A run folder that was evaluated, or a report's folder
    run: PathBuf,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Plot) -> Result<Exit, Failure> {
    let folder = match RunFolder::open(&args.run) {
        Ok(run) => run.report(),
        Err(_) => args.run,
    };
    let findings = plot_again(&folder)?;
    print(&match args.json {
        true => findings.to_json(),
        false => format!("{}\n", folder.join("index.html").display()),
    })?;
    Ok(Exit::Ok)
}
