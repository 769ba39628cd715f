//! The commands of `hemf` and of `cargo xtask`: what may be typed, and what is printed.
//!
//! A command is parse, match, one call into `hemf-train`; it computes nothing. Results go to stdout (as JSON with
//! `--json`), everything else to stderr; a progress bar appears on a terminal only. Exit codes: [`Exit`].
//!
//! ```
//! // What the binary does with `hemf config --set train.epochs=3`:
//! let arguments = ["hemf", "config", "--set", "train.epochs=3"];
//! let code = hemf_cli::main_from(arguments, "hemf");
//! assert_eq!(format!("{code:?}"), format!("{:?}", std::process::ExitCode::SUCCESS));
//! ```

/// As the standard library's, but what nobody reads (`2>&1 | head`) is no reason to stop.
macro_rules! eprintln {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

mod args;
mod commands;
mod dashboard;
mod exit;
mod output;
mod progress;

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory, FromArgMatches};

pub use exit::Exit;

#[global_allocator]
static ALLOCATOR: hemf_train::Recycling = hemf_train::Recycling;

/// Runs the command in `arguments` (the first is the program's path) as the program that calls itself `program`:
/// `hemf` or `cargo xtask`.
pub fn main_from<I, T>(arguments: I, program: &'static str) -> ExitCode
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    hemf_train::leave_threads_to_rayon(); // before anything has started a thread
    let parsed = args::Cli::command()
        .bin_name(program)
        .try_get_matches_from(arguments)
        .and_then(|matches| args::Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors, and go to stdout. A closed pipe is nothing to speak of.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Ok }.into();
        }
    };
    let exit = commands::run(cli, program).unwrap_or_else(|failure| {
        if !failure.is_told() {
            eprintln!("error: {failure}");
        }
        failure.exit()
    });
    exit.into()
}
