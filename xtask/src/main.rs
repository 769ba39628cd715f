//! `cargo xtask <command>`: the commands of `hemf`, run from a checkout of the project.
//!
//! Everything a user does is `hemf-cli`'s; this program only calls it by the name that was typed.

fn main() -> std::process::ExitCode {
    hemf_cli::main_from(std::env::args_os(), "cargo xtask")
}
