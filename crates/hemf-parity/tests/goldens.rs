//! Every golden that can be found: those in the repository, those beside it, or those that `HEMF_GOLDENS` names.

use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let beside = root.join("../shared/goldens");
    match std::env::var_os("HEMF_GOLDENS") {
        Some(folder) => folder.into(),
        None if beside.is_dir() => beside,
        None => root.join("goldens"),
    }
}

#[test]
fn every_golden_holds() {
    let certificate = hemf_parity::run(&folder()).unwrap();
    println!("{certificate}");
    assert!(certificate.passed(), "\n{certificate}");
}

#[test]
fn a_folder_without_goldens_is_an_error() {
    let empty = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    assert!(hemf_parity::run(&empty).unwrap_err().to_string().contains("no goldens here"));
}
