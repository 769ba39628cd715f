//! `cargo xtask` is `hemf` under another name.

use std::process::Command;

#[test]
fn help_speaks_of_the_command_that_was_typed() {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(help.contains("Usage: cargo xtask ") && help.contains("  train "), "{help}");
}
