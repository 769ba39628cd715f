//! One file per command.

pub(crate) mod config;
pub(crate) mod eval;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod info;
pub(crate) mod parity;
pub(crate) mod prepare;
pub(crate) mod train;

use crate::{
    args::{Cli, Command, Device},
    exit::{Exit, Failure},
};

/// Runs what was typed.
pub(crate) fn run(cli: Cli, program: &str) -> Result<Exit, Failure> {
    let Device::Cpu = cli.device;
    if let Some(threads) = cli.threads {
        hemf_train::use_threads(threads.into()).map_err(Failure::usage)?;
    }
    match cli.command {
        Command::Train(args) => train::run(args, program),
        Command::Eval(args) => eval::run(args),
        Command::Prepare(args) => prepare::run(args, program),
        Command::Config(args) => config::run(args),
        Command::Export(args) => export::run(args),
        Command::Import(args) => import::run(args, program),
        Command::Info(args) => info::run(args),
        Command::Parity(args) => parity::run(args),
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
