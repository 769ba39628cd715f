//! One file per command.

pub(crate) mod audit;
pub(crate) mod bench;
pub(crate) mod compare;
pub(crate) mod config;
pub(crate) mod cv;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod eval;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod info;
pub(crate) mod parity;
pub(crate) mod plot;
pub(crate) mod predict;
pub(crate) mod prepare;
mod prepared;
pub(crate) mod preview;
mod reading;
pub(crate) mod reproduce;
pub(crate) mod runs;
pub(crate) mod train;
pub(crate) mod verify;
pub(crate) mod watch;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::{
    args::{Cli, Command},
    exit::{Exit, Failure},
};

/// Runs what was typed.
pub(crate) fn run(cli: Cli, program: &str) -> Result<Exit, Failure> {
    hemf_train::use_threads(cli.threads.map(usize::from)).map_err(Failure::usage)?;
    if cli.command.computes()
        && let Some(note) = hemf_train::use_device(cli.device).map_err(Failure::no_device)?
    {
        eprintln!("{note}");
    }
    match cli.command {
        Command::Train(args) => train::run(args, program),
        Command::Eval(args) => eval::run(args, program),
        Command::Compare(args) => compare::run(args),
        Command::Cv(args) => cv::run(args, program),
        Command::Audit(args) => audit::run(args),
        Command::Preview(args) => preview::run(args),
        Command::Predict(args) => predict::run(args),
        Command::Plot(args) => plot::run(args),
        Command::Prepare(args) => prepare::run(args, program),
        Command::Config(args) => config::run(args),
        Command::Export(args) => export::run(args),
        Command::Import(args) => import::run(args, program),
        Command::Reproduce(args) => reproduce::run(args),
        Command::Runs(args) => runs::run(args),
        Command::Watch(args) => watch::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Diff(args) => diff::run(args),
        Command::Info(args) => info::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Parity(args) => parity::run(args),
        Command::Doctor(args) => doctor::run(args, cli.device),
    }
}

/// Prints a result, or nothing more when nobody reads it.
fn print(text: &str) -> Result<(), Failure> {
    use std::io::{ErrorKind, Write, stdout};
    match stdout().write_all(text.as_bytes()).and_then(|()| stdout().flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(hemf_train::Error::Write { path: "stdout".into(), source: error }.into())
        }
        _ => Ok(()),
    }
}

/// A flag that the first Ctrl-C raises; the second ends the program at once.
fn stop_on_ctrl_c() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = stop.clone();
    ctrlc::set_handler(move || {
        if raised.swap(true, Ordering::Relaxed) {
            std::process::exit(Exit::Interrupted as i32);
        }
        eprintln!("\nfinishing this step and saving; once more stops at once");
    })
    .map_err(|error| Failure::unexpected(format!("cannot listen for Ctrl-C: {error}")))?;
    Ok(stop)
}
