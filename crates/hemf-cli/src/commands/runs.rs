//! `hemf runs`: a table of runs, and the settings that tell them apart.

use std::{fmt::Write, path::PathBuf};

use clap::Args;
use hemf_train::{RunFolder, RunSummary, Standing, differing_settings, duration};
use serde_json::json;

use super::print;
use crate::exit::{Exit, Failure};

#[derive(Debug, Args)]
pub(crate) struct Runs {
    /// Run folders, or folders of runs
    #[arg(default_value = "runs")]
    paths: Vec<PathBuf>,

    /// Show the settings in which they differ too
    #[arg(long)]
    compare: bool,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Runs) -> Result<Exit, Failure> {
    let mut runs = Vec::new();
    for path in &args.paths {
        match RunFolder::open(path) {
            Ok(run) => runs.push(RunSummary::of(&run)?),
            Err(_) => runs.extend(RunSummary::all(path)),
        }
    }
    if runs.is_empty() {
        let told = args.paths.iter().map(|path| match path.exists() {
            true => format!("{}: no runs here; train one first", path.display()),
            false => format!("{}: is not there", path.display()),
        });
        return Err(Failure::input(told.collect::<Vec<_>>().join("; ")));
    }
    let settings = args.compare.then(|| differing_settings(&runs));
    if args.json {
        print(&format!("{}\n", json!({ "runs": runs, "settings": settings })))?;
        return Ok(Exit::Ok);
    }
    let mut text = table(&runs);
    for (key, values) in settings.iter().flatten() {
        let _ = writeln!(text, "\n{key}");
        for (run, value) in runs.iter().zip(values) {
            let _ = writeln!(text, "  {:<28} {value}", name(run));
        }
    }
    print(&text)?;
    Ok(Exit::Ok)
}

fn table(runs: &[RunSummary]) -> String {
    let mut text = format!(
        "{:<28} {:<9} {:>9} {:>8} {:>9} {:>7} {:>10}  {}\n",
        "run", "state", "epochs", "steps", "val. acc.", "loss", "training", "best by"
    );
    for run in runs {
        let standing = match run.standing {
            Standing::Running => "running",
            Standing::Finished => "finished",
            Standing::Stopped => "stopped",
        };
        let score = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
        let epochs = format!("{}/{}", run.epochs_done, run.epochs);
        let best = run
            .best
            .map_or_else(String::new, |(value, epoch)| format!("{} {value:.4} in epoch {epoch}", run.metric.name()));
        let _ = writeln!(
            text,
            "{:<28} {standing:<9} {epochs:>9} {:>8} {:>9} {:>7} {:>10}  {best}",
            name(run),
            run.steps,
            score(run.validation.as_ref().map(|v| v.accuracy)),
            score(run.validation.as_ref().map(|v| v.loss)),
            duration(run.seconds),
        );
    }
    text
}

fn name(run: &RunSummary) -> String {
    run.path.display().to_string()
}
