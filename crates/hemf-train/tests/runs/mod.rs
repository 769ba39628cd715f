//! What the tests of whole runs share.
#![allow(dead_code)] // no test file uses all of it

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use candle_core::Tensor;
use hemf_data::quickstart::{Spec, generate};
use hemf_train::{Error, Event, Layer, Observer, Outcome, RunConfig, RunFolder, Silent, Trainer};
use tempfile::TempDir;

/// A folder with a tiny data set in `data` and room for runs.
pub(crate) fn place() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    pictures(&dir.path().join("data"), 7);
    dir
}

pub(crate) fn pictures(folder: &Path, seed: u64) {
    let spec = Spec { per_class: 8, size: 64, seed };
    generate(folder, &spec).unwrap();
}

/// Two epochs of a very small network; `more` is laid over it.
pub(crate) fn config(dir: &TempDir, more: &[&str]) -> RunConfig {
    let text = "
        model: {dims: [16, 16, 32, 32], elf_depths: [1, 1, 1, 1], egf_depths: [1, 1, 1, 1], drop_path: 0.2}
        data: {preprocessing: {size: 64}}
        train: {epochs: 2, batch: 8, optimizer: {lr: 1e-3}}";
    let path = |key: &str, name: &str| Layer::path("test", key, &dir.path().join(name));
    let mut layers = vec![Layer::parse("test", text).unwrap()];
    layers.extend([path("data.path", "data"), path("output.folder", "runs")]);
    layers.extend(more.iter().map(|set| Layer::from_argument(set).unwrap()));
    RunConfig::from_layers(&layers).unwrap()
}

pub(crate) fn train(config: RunConfig) -> RunFolder {
    let mut trainer = Trainer::start(config, &mut Silent).unwrap();
    let outcome = trainer.run(&mut Silent, &AtomicBool::new(false)).unwrap();
    assert_eq!(outcome, Outcome::Finished);
    trainer.folder().clone()
}

pub(crate) fn failure<T>(result: Result<T, Error>) -> Error {
    match result {
        Ok(_) => panic!("should have failed"),
        Err(error) => error,
    }
}

/// Keeps the sentences that are told.
#[derive(Default)]
pub(crate) struct Notes(pub(crate) Vec<String>);

impl Notes {
    pub(crate) fn tell(&self, part: &str) -> bool {
        self.0.iter().any(|note| note.contains(part))
    }
}

impl Observer for Notes {
    fn event(&mut self, event: &Event<'_>) {
        if let Event::Note(text) = event {
            self.0.push((*text).to_owned());
        }
    }
}

/// Raises `stop` at the first event that `when` is true for.
pub(crate) struct StopWhen<'a> {
    pub(crate) stop: &'a AtomicBool,
    pub(crate) when: fn(&Event<'_>) -> bool,
}

impl Observer for StopWhen<'_> {
    fn event(&mut self, event: &Event<'_>) {
        if (self.when)(event) {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

/// Stops a run at the first event that `when` is true for, takes it up again, and checks that it ends with what `whole`,
/// a run that was never stopped, ended with.
pub(crate) fn stopped_and_resumed(config: RunConfig, when: fn(&Event<'_>) -> bool, whole: &Remains) {
    let stop = AtomicBool::new(false);
    let mut trainer = Trainer::start(config, &mut Silent).unwrap();
    let outcome = trainer.run(&mut StopWhen { stop: &stop, when }, &stop).unwrap();
    assert_eq!(outcome, Outcome::Interrupted);
    let folder = trainer.folder().clone();
    drop(trainer);

    let mut trainer = Trainer::resume(folder.clone(), None, &mut Silent).unwrap();
    trainer.run(&mut Silent, &AtomicBool::new(false)).unwrap();
    let resumed = remains(&folder);
    assert!(resumed.0 == whole.0, "tensors differ");
    assert_eq!((&resumed.1, &resumed.2), (&whole.1, &whole.2));
}

/// Tensors, progress and summary.
pub(crate) type Remains = (Vec<(String, Vec<u8>)>, String, String);

/// Everything a run's last checkpoint and logs hold, but the names of folders.
pub(crate) fn remains(run: &RunFolder) -> Remains {
    let state = run.last().state().unwrap();
    let model = run.last().model().unwrap();
    let mut tensors: Vec<_> = model
        .weights
        .tensors()
        .unwrap()
        .iter()
        .chain(&state.tensors)
        .map(|(name, tensor)| (name.clone(), bytes(tensor)))
        .collect();
    tensors.sort();
    let summary = fs::read_to_string(run.path().join("summary.csv")).unwrap();
    (tensors, format!("{:?}", state.progress), summary)
}

/// A tensor's values as they are stored.
pub(crate) fn bytes(tensor: &Tensor) -> Vec<u8> {
    safetensors::View::data(tensor).into_owned()
}

/// Keeps the sentences that are told and counts the steps; raises `stop` at one of them.
#[derive(Default)]
pub(crate) struct Steps<'a> {
    pub(crate) told: Vec<String>,
    pub(crate) seen: usize,
    stop: Option<(usize, &'a AtomicBool)>,
}

impl<'a> Steps<'a> {
    /// Stops at the n-th step that it sees.
    pub(crate) fn until(n: usize, stop: &'a AtomicBool) -> Self {
        Self { stop: Some((n, stop)), ..Self::default() }
    }
}

impl Observer for Steps<'_> {
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Note(text) => self.told.push((*text).to_owned()),
            Event::Step(_) => {
                self.seen += 1;
                if let Some((_, stop)) = self.stop.filter(|(n, _)| *n == self.seen) {
                    stop.store(true, Ordering::Relaxed);
                }
            }
            _ => {}
        }
    }
}
