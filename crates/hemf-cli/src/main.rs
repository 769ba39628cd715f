//! The installable `hemf` command.

fn main() -> std::process::ExitCode {
    hemf_cli::main_from(std::env::args_os(), "hemf")
}
