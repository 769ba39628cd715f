//! The files in the programs that they are for: onnxruntime and PyTorch. `HEMF_PYTHON` names a Python that has
//! `onnxruntime`, `onnx`, `torch`, `safetensors` and `numpy`; what that Python lacks is skipped, which is said.

use crate::networks::{Case, preset, small};
use hemf_export::write_pth;
use hemf_model::published_state;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Writes what `check.py` compares: the exported files, the images, and what they must give.
fn write(folder: &Path, case: &Case) {
    let at = |extension: &str| folder.join(format!("{}.{extension}", case.name));
    case.write_onnx(&at("onnx"));
    let state = published_state(&case.store, &case.config).unwrap();
    write_pth(&at("pth"), &state).unwrap();
    let save = |tensors: BTreeMap<String, candle_core::Tensor>, path| {
        let bytes = candle_core::safetensors::save(&tensors.into_iter().collect(), path);
        bytes.unwrap();
    };
    save(state.into_iter().collect(), at("weights.safetensors"));
    let told = [("images", &case.images), ("logits", &case.logits)];
    save(told.map(|(name, t)| (name.to_owned(), t.clone())).into(), at("expected.safetensors"));
}

fn check(cases: &[Case]) {
    let folder = tempfile::tempdir().unwrap();
    cases.iter().for_each(|case| write(folder.path(), case));
    let named = std::env::var("HEMF_PYTHON").ok();
    let python = named.as_deref().unwrap_or("python3");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exported/check.py");
    match Command::new(python).arg(script).arg(folder.path()).output() {
        Err(error) if named.is_some() => panic!("HEMF_PYTHON={python}: {error}"),
        Err(error) => println!("skipped: {python}: {error}"),
        Ok(output) => {
            println!("{}", String::from_utf8_lossy(&output.stdout));
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn small_networks() {
    check(&small());
}

/// `cargo test --release -p hemf-export -- --ignored --nocapture`: 1.2 GB of files, and some minutes.
#[test]
#[ignore = "large: the published networks at 224 pixels"]
fn published_networks() {
    for name in ["hemf", "came"] {
        check(&[Case::new(name, preset(name), 224, 224)]);
    }
}
