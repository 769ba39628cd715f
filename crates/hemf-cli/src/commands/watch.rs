//! `hemf watch`: a dashboard of a run, on the terminal.

use std::{
    io::IsTerminal,
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::Args;
use hemf_train::{LogReader, Logged, RunConfig, RunFolder, memory_of};
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
    log: LogReader,
    /// The process that trains, with its memory.
    pub(crate) process: Option<(u32, Option<u64>)>,
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
        let log = LogReader::new(run.log());
        Ok(Self { run, config, log, process: None })
    }

    /// Reads what is new. The files are only read.
    fn look(&mut self) {
        self.process = self.run.trained_by().map(|id| (id, memory_of(id)));
        let _ = self.log.look(); // what cannot be read now may be at the next look
    }

    /// What the run has told so far.
    pub(crate) fn logged(&self) -> &Logged {
        self.log.logged()
    }

    /// Steps of the whole run.
    pub(crate) fn steps_in_all(&self) -> Option<usize> {
        self.logged().steps_per_epoch.map(|steps| steps * self.config.train.epochs)
    }

    /// Seconds of the last steps, each.
    pub(crate) fn pace(&self) -> Option<f64> {
        let steps = &self.logged().steps;
        let last = &steps[steps.len().saturating_sub(50)..];
        (!last.is_empty()).then(|| last.iter().map(|record| record.seconds).sum::<f64>() / last.len() as f64)
    }
}
