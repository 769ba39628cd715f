//! One process at a time trains in a run folder.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
};

use crate::{Error, RunFolder, process::has_open};

/// The lock file's name in a run folder. It holds the number of the process that trains.
const NAME: &str = ".lock";

/// A run folder held for training, until this is dropped or the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Holds `run`.
    ///
    /// # Errors
    /// [`Error::Busy`] when another process holds it, [`Error::Write`] when the file cannot be made.
    pub(crate) fn hold(run: &RunFolder) -> Result<Self, Error> {
        let path = run.path().join(NAME);
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(Error::write(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let process = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(Error::Busy { path: run.path().to_path_buf(), process });
            }
            Err(TryLockError::Error(error)) => return Err(Error::write(&path)(error)),
        }
        file.set_len(0).and_then(|()| write!(file, "{}", std::process::id())).map_err(Error::write(&path))?;
        Ok(Self(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The number of a process that is gone would only mislead; the system frees the lock itself.
        let _ = self.0.rewind().and_then(|()| self.0.set_len(0));
    }
}

impl RunFolder {
    /// The process that is training in this run now, if there is one on this machine. The lock is not tried: whoever
    /// holds it for a moment, to see, would keep a resume out.
    pub fn trained_by(&self) -> Option<u32> {
        let path = self.path().join(NAME);
        let id = fs::read_to_string(&path).ok()?.trim().parse().ok()?;
        has_open(id, &path).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.yaml"), "").unwrap();
        let run = RunFolder::open(dir.path()).unwrap();
        assert_eq!(run.trained_by(), None);
        let lock = Lock::hold(&run).unwrap();
        assert_eq!(run.trained_by(), Some(std::process::id()));
        let error = Lock::hold(&run).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Busy);
        assert!(error.to_string().contains(&format!("process {} is training", std::process::id())), "{error}");
        drop(lock);
        assert_eq!(run.trained_by(), None);
        // A process that was killed leaves its number, which another may get.
        std::fs::write(dir.path().join(NAME), std::process::id().to_string()).unwrap();
        assert_eq!(run.trained_by().is_none(), cfg!(target_os = "linux"));
        Lock::hold(&run).unwrap();
    }
}
