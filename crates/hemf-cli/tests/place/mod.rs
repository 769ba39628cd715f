//! The real binary in a folder of its own.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use tempfile::TempDir;

/// A folder to work in, with `data/` (a few pictures in class folders) and `tiny.yaml`.
pub(crate) struct Place(pub(crate) TempDir);

/// What a command said.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

pub(crate) const TINY: &str = "
model: {dims: [16, 16, 32, 32], elf_depths: [1, 1, 1, 1], egf_depths: [1, 1, 1, 1]}
data: {path: data, preprocessing: {size: 64}}
train: {epochs: 2, batch: 8}
output: {name: tiny}
";

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let spec = hemf_data::quickstart::Spec { per_class: 8, size: 64, seed: 7 };
        hemf_data::quickstart::generate(&place.path("data"), &spec).unwrap();
        fs::remove_file(place.path("data/manifest.csv")).unwrap();
        fs::write(place.path("tiny.yaml"), TINY).unwrap();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hemf"));
        command.args(arguments).current_dir(self.0.path()).env_remove("RUST_BACKTRACE");
        command
    }

    pub(crate) fn hemf(&self, arguments: &[&str]) -> Said {
        self.command(arguments).output().unwrap().into()
    }

    /// Must end with `code` and one error that contains all of `words`.
    pub(crate) fn refuses(&self, arguments: &[&str], code: i32, words: &[&str]) {
        let said = self.hemf(arguments);
        assert_eq!(said.code, Some(code), "{arguments:?}: {}", said.err);
        assert_eq!(said.out, "", "{arguments:?}");
        let errors = said.err.lines().filter(|line| line.starts_with("error: ")).count();
        assert!(code == 2 || errors == 1, "{arguments:?}: {}", said.err);
        for word in words {
            assert!(said.err.contains(word), "{arguments:?}: no {word:?} in: {}", said.err);
        }
    }
}

pub(crate) fn json(said: &Said) -> serde_json::Value {
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {}", said.out))
}
