//! When and where a run was begun: `begun.json`. Of all that a run leaves, this and the times in its logs are what differs
//! between equal runs.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use super::write_whole;
use crate::{Error, RunFolder};

/// The file's name in a run folder.
const NAME: &str = "begun.json";

/// When and where a run was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// As `2026-01-31T12:00:00Z`, in universal time.
    pub time: String,
    /// Operating system and architecture.
    pub system: String,
    /// The processor's name, as the system tells it.
    pub processor: String,
    /// Cores that the program may use.
    pub cores: usize,
}

impl Begun {
    /// Now and here.
    fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        Self {
            time: date_and_time(since),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            processor: processor().unwrap_or_else(|| "an unknown processor".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

impl RunFolder {
    /// Notes that the run is begun now. A resume does not change it.
    pub(crate) fn write_begun(&self) -> Result<(), Error> {
        let path = self.path().join(NAME);
        let json = serde_json::to_string_pretty(&Begun::now()).map_err(|error| Error::write(&path)(error.into()))?;
        write_whole(&path, (json + "\n").as_bytes())
    }

    /// When and where the run was begun, where it has noted that.
    pub fn begun(&self) -> Option<Begun> {
        serde_json::from_slice(&fs::read(self.path().join(NAME)).ok()?).ok()
    }
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Seconds since 1970 as a date of the Gregorian calendar, by Hinnant's "days to civil" (howardhinnant.github.io,
/// date_algorithms): years begin in March, so that a leap day is the last of its year.
fn date_and_time(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `date -u -d @SECONDS +%FT%TZ`
    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(date_and_time(seconds), date);
        }
    }

    #[test]
    fn a_run_knows_when_it_was_begun() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunFolder::at(dir.path().to_path_buf());
        assert_eq!(run.begun(), None);
        run.write_begun().unwrap();
        let begun = run.begun().unwrap();
        assert!(begun.cores >= 1 && begun.time.starts_with("20") && begun.time.len() == 20, "{begun:?}");
    }
}
