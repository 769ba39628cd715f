//! The run folder: everything that one training leaves behind, under a name of its own.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{Error, OutputConfig, RunConfig, checkpoint::Checkpoint, quoted};

mod begun;
mod list;
mod lock;
mod log;
mod read;
mod tensorboard;

pub use begun::Begun;
pub use list::{RunSummary, Standing, differing_settings};
pub(crate) use lock::Lock;
pub use log::{EpochRecord, StepRecord};
pub(crate) use log::{RunLog, write_whole};
pub use read::{LogReader, Logged};

/// How many numbers are tried when a run's name is taken.
const MOST_RUNS_OF_A_NAME: usize = 100_000;

/// A folder with `config.yaml`, `log.jsonl`, `summary.csv`, `checkpoints/{last,previous,best,top}` and `report/`.
#[derive(Clone, Debug, PartialEq)]
pub struct RunFolder(PathBuf);

/// That `what` is wrong with `path`; where there is no such folder, that, and the run of this name that was probably meant.
pub(crate) fn no_run(path: &Path, what: &str) -> Error {
    let meant = OutputConfig::default().folder.join(path);
    let what = match path.exists() {
        true => what.to_owned(),
        false if meant.is_dir() => format!("is not there; did you mean {}?", quoted(&meant)),
        false => "is not there".to_owned(),
    };
    Error::checkpoint(path, what)
}

impl RunFolder {
    /// Makes a new folder as `output` says: its name, or the name with the first number that is free.
    /// An existing folder is never written to.
    ///
    /// # Errors
    /// [`Error::Write`] when no folder can be made.
    pub fn create(output: &OutputConfig) -> Result<Self, Error> {
        fs::create_dir_all(&output.folder).map_err(Error::write(&output.folder))?;
        for number in 1..=MOST_RUNS_OF_A_NAME {
            let name = match number {
                1 => output.name.clone(),
                number => format!("{}-{number}", output.name),
            };
            let path = output.folder.join(name);
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::write(path)(error)),
            }
        }
        let full = io::Error::from(io::ErrorKind::AlreadyExists);
        Err(Error::write(output.folder.join(&output.name))(full))
    }

    /// The folder at `path`, which need not exist yet.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// The run folder at `path`.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when there is none.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let run = Self(path.into());
        if !run.config_file().is_file() {
            return Err(no_run(&run.0, "is no run folder: it has no config.yaml"));
        }
        Ok(run)
    }

    /// The run folder in `folder` whose last checkpoint is newest.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when `folder` holds no run with a checkpoint.
    pub fn newest(folder: &Path) -> Result<Self, Error> {
        Self::newest_by(folder, |run| run.last().path().to_path_buf())
    }

    /// The run folder in `folder` that was logged to last: the one in progress, if there is one.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when `folder` holds no run that was begun.
    pub fn latest(folder: &Path) -> Result<Self, Error> {
        Self::newest_by(folder, Self::log)
    }

    fn newest_by(folder: &Path, file: fn(&Self) -> PathBuf) -> Result<Self, Error> {
        let age = |run: &Self| -> Option<SystemTime> { fs::metadata(file(run)).ok()?.modified().ok() };
        fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| Self::open(entry.path()).ok())
            .filter_map(|run| Some((age(&run)?, run)))
            .max_by(|(a, run_a), (b, run_b)| a.cmp(b).then_with(|| run_a.0.cmp(&run_b.0)))
            .map(|(_, run)| run)
            .ok_or_else(|| {
                let what = "holds no trained run; train one first, or name a run folder";
                Error::checkpoint(folder, what)
            })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The resolved configuration.
    pub fn config_file(&self) -> PathBuf {
        self.0.join("config.yaml")
    }

    /// The command, without the program's name, that begins a new run with this one's best weights and other draws.
    pub fn way_on(&self) -> String {
        let seed = RunConfig::load(&self.config_file(), &[]).map_or(0, |config| config.train.seed);
        let (config, init) = (quoted(self.config_file()), quoted(format!("train.init={}", self.0.display())));
        format!("train {config} --set {init} --set train.seed={} --epochs N", seed.wrapping_add(1))
    }

    /// The images and their split.
    pub fn manifest(&self) -> PathBuf {
        self.0.join("manifest.csv")
    }

    /// A line for each step and epoch.
    pub fn log(&self) -> PathBuf {
        self.0.join("log.jsonl")
    }

    /// The folder of the checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.0.join("checkpoints")
    }

    /// The checkpoint that a resume takes up.
    pub fn last(&self) -> Checkpoint {
        Checkpoint::at(self.checkpoints().join("last"))
    }

    /// The checkpoint before the last, for a resume that finds the last damaged; a finished run has none.
    pub fn previous(&self) -> Checkpoint {
        Checkpoint::at(self.checkpoints().join("previous"))
    }

    /// The checkpoint of the validation with the best score.
    pub fn best(&self) -> Checkpoint {
        Checkpoint::at(self.checkpoints().join("best"))
    }

    /// The folder of the checkpoints that are kept beside the best.
    pub fn top(&self) -> PathBuf {
        self.checkpoints().join("top")
    }

    /// All checkpoints that are there.
    pub fn all_checkpoints(&self) -> Vec<Checkpoint> {
        let mut top: Vec<PathBuf> =
            fs::read_dir(self.top()).into_iter().flatten().flatten().map(|e| e.path()).collect();
        top.sort();
        let named = [self.last(), self.previous(), self.best()].into_iter();
        named.chain(top.into_iter().map(Checkpoint::at)).filter(Checkpoint::exists).collect()
    }

    /// The folder of the evaluation's report.
    pub fn report(&self) -> PathBuf {
        self.0.join("report")
    }

    pub(crate) fn write_config(&self, config: &RunConfig) -> Result<(), Error> {
        let path = self.config_file();
        write_whole(&path, config.to_yaml().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_name_gets_a_number() {
        let dir = tempfile::tempdir().unwrap();
        let output = OutputConfig { folder: dir.path().join("runs"), name: "try".to_owned() };
        let names: Vec<_> = (0..3)
            .map(|_| RunFolder::create(&output).unwrap().0)
            .map(|path| path.file_name().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["try", "try-2", "try-3"]);
    }

    #[test]
    fn a_folder_without_runs_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let error = RunFolder::newest(dir.path()).unwrap_err().to_string();
        assert!(error.contains("train one first"), "{error}");
    }
}
