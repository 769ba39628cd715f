//! `hemf compare`: runs beside each other, or beside what was published.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use hemf_eval::{CompareSettings, EvalSettings, compare};

use super::print;
use crate::exit::{Exit, Failure};

#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// Run folders that were evaluated, or folders of reports
    #[arg(required = true)]
    runs: Vec<PathBuf>,

    /// Set each run beside the published figures of its network on its data set
    #[arg(long, value_enum)]
    against: Option<Against>,

    /// Compare on the images that all runs have, where their test sets differ
    #[arg(long)]
    common: bool,

    /// Folder for the comparison: table, changed images, ROC curves
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Resamples of the bootstrap
    #[arg(long, value_name = "N", default_value_t = EvalSettings::default().resamples)]
    resamples: usize,

    /// Seed of the bootstrap
    #[arg(long, default_value_t = EvalSettings::default().seed)]
    seed: u64,

    /// Level of all intervals
    #[arg(long, value_name = "SHARE", default_value_t = EvalSettings::default().level)]
    level: f64,

    /// Print the comparison as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Against {
    /// The figures of the paper
    Published,
}

pub(super) fn run(args: Compare) -> Result<Exit, Failure> {
    if args.runs.len() < 2 && args.against.is_none() {
        return Err(Failure::usage("name two runs or more, or one with --against published"));
    }
    let settings = CompareSettings {
        resamples: args.resamples,
        seed: args.seed,
        level: args.level,
        common: args.common,
        against_published: matches!(args.against, Some(Against::Published)),
    };
    let compared = compare(&args.runs, &settings)?;
    if let Some(folder) = &args.out {
        compared.write(folder)?;
        eprintln!("comparison: {}", folder.display());
    }
    print(&if args.json { compared.to_json() } else { compared.to_text() })?;
    Ok(Exit::Ok)
}
