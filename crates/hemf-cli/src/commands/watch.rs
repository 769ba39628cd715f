//! `hemf watch`: a dashboard of a run, on the terminal.

use std::{
    fs,
    io::IsTerminal,
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::Args;
use hemf_train::{EpochRecord, RunConfig, RunFolder, StepRecord, memory_of, read_log};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};

use crate::{
    dashboard,
    exit::{Exit, Failure},
};

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// The run's folder [default: the run in runs/ that was trained last]
    run: Option<PathBuf>,
}

/// How often the run is looked at.
const INTERVAL: Duration = Duration::from_millis(500);

/// What the dashboard shows, as last read.
pub(crate) struct Seen {
    pub(crate) run: RunFolder,
    pub(crate) config: RunConfig,
    pub(crate) steps: Vec<StepRecord>,
    pub(crate) epochs: Vec<EpochRecord>,
    /// Steps of the whole run, once an epoch shows how many it has.
    pub(crate) steps_in_all: Option<usize>,
    /// The process that trains, with its memory.
    pub(crate) process: Option<(u32, Option<u64>)>,
    /// Size of the log when it was read.
    length: u64,
}

pub(super) fn run(args: Watch) -> Result<Exit, Failure> {
    let run = match args.run {
        Some(path) => RunFolder::open(path)?,
        None => RunFolder::latest("runs".as_ref())?,
    };
    if !std::io::stdout().is_terminal() {
        return Err(Failure::usage(
            "watch needs a terminal; `runs` lists where runs stand, and log.jsonl has every step",
        ));
    }
    let mut seen = Seen::new(run)?;
    let mut terminal = ratatui::init();
    let result = watch(&mut terminal, &mut seen);
    ratatui::restore();
    result.map_err(|error| Failure::unexpected(format!("the terminal cannot be drawn on: {error}")))?;
    eprintln!("left {}; the run is not touched", seen.run.path().display());
    Ok(Exit::Ok)
}

fn watch(terminal: &mut ratatui::DefaultTerminal, seen: &mut Seen) -> std::io::Result<()> {
    loop {
        seen.look();
        terminal.draw(|frame| dashboard::draw(frame, seen))?;
        let next = Instant::now() + INTERVAL;
        while event::poll(next.saturating_duration_since(Instant::now()))? {
            match event::read()? {
                Event::Key(key) => match key.code {
                    KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
                    KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(()),
                    _ => {}
                },
                Event::Resize(..) => break,
                _ => {}
            }
        }
    }
}

impl Seen {
    fn new(run: RunFolder) -> Result<Self, Failure> {
        let config = RunConfig::load(&run.config_file(), &[])?;
        let (steps, epochs, steps_in_all, process) = Default::default();
        Ok(Self { run, config, steps, epochs, steps_in_all, process, length: 0 })
    }

    /// Reads what is new. The files are only read.
    fn look(&mut self) {
        self.process = self.run.trained_by().map(|id| (id, memory_of(id)));
        let length = fs::metadata(self.run.log()).map_or(0, |file| file.len());
        if length == self.length {
            return;
        }
        if let Ok(text) = fs::read_to_string(self.run.log()) {
            (self.steps, self.epochs) = read_log(&text);
            self.length = length;
        }
        // The first step of the second epoch shows where the first ended.
        let per_epoch = self.steps.iter().find(|record| record.epoch == 2).map(|record| record.step - 1);
        let only = self.epochs.last().map(|record| record.step / record.epoch);
        self.steps_in_all = per_epoch.or(only).map(|steps| steps * self.config.train.epochs);
    }

    /// Seconds of the last steps, each.
    pub(crate) fn pace(&self) -> Option<f64> {
        let last = &self.steps[self.steps.len().saturating_sub(50)..];
        (!last.is_empty()).then(|| last.iter().map(|record| record.seconds).sum::<f64>() / last.len() as f64)
    }
}
