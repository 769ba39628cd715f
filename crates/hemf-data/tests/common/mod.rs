//! The goldens folder, shared by the tests.
//!
//! `HEMF_GOLDENS` names a folder; else the full set beside the workspace is used if it is there, else
//! the small one inside.
#![allow(dead_code, reason = "each test file uses a part")]

use std::path::PathBuf;

use serde_json::Value;

/// `data` of the goldens.
pub(crate) fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("HEMF_GOLDENS") {
        return PathBuf::from(folder).join("data");
    }
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = workspace.join("../shared/goldens/data");
    if shared.is_dir() { shared } else { workspace.join("goldens/data") }
}

/// A file of the folder.
pub(crate) fn json(name: &str) -> Value {
    let path = folder().join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// An integer field.
pub(crate) fn number(value: &Value, key: &str) -> usize {
    value[key].as_u64().unwrap_or_else(|| panic!("{key} in {value}")) as usize
}

/// A list of numbers.
pub(crate) fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// A list of integers.
pub(crate) fn integers(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap()).collect()
}
