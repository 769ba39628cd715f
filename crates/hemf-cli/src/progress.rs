//! Shows training and evaluation on stderr: a bar on a terminal, lines elsewhere.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use hemf_train::{EpochRecord, Event, Observer, StepRecord, Validation};
use indicatif::{ProgressBar, ProgressStyle};

/// Without a terminal, a line about the steps at most this often.
const BETWEEN_LINES: Duration = Duration::from_secs(30);

/// The one observer of the command line.
pub(crate) struct Progress {
    terminal: bool,
    bar: Option<ProgressBar>,
    epochs: usize,
    last_line: Instant,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), bar: None, epochs: 0, last_line: Instant::now() }
    }

    /// Takes the bar away, so that what follows stands alone.
    pub(crate) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn line(&mut self, text: &str) {
        self.last_line = Instant::now();
        match &self.bar {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }

    fn start_bar(&mut self, length: usize, done: usize, template: &str) {
        if self.terminal {
            let bar = ProgressBar::new(length as u64).with_position(done as u64);
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.reset_eta();
            self.bar = Some(bar);
        }
    }

    fn step(&mut self, record: &StepRecord) {
        let text = format!(
            "epoch {}/{}  loss {:.3}  acc {:.1} %  lr {:.1e}  {:.0} img/s",
            record.epoch,
            self.epochs,
            record.loss,
            record.accuracy * 100.0,
            record.lr,
            record.images as f64 / record.seconds
        );
        if let Some(bar) = &self.bar {
            bar.set_position(record.step as u64);
            bar.set_message(text);
        } else if self.last_line.elapsed() >= BETWEEN_LINES {
            self.line(&format!("step {}  {text}", record.step));
        }
    }

    fn epoch(&mut self, record: &EpochRecord, best: bool) {
        let mut text = format!(
            "epoch {:>3}/{}  training loss {:.4}, accuracy {:.2} %",
            record.epoch,
            self.epochs,
            record.train_loss,
            record.train_accuracy * 100.0,
        );
        if let Some(Validation { loss, accuracy, .. }) = &record.validation {
            text += &format!("  validation loss {loss:.4}, accuracy {:.2} %", accuracy * 100.0);
        }
        if best {
            text += "  best so far";
        }
        self.line(&text);
    }

    fn scored(&mut self, done: usize, total: usize) {
        if self.epochs == 0 && self.bar.is_none() {
            self.start_bar(total, done, "{bar:30} {pos}/{len} images, {eta} left");
        }
        if self.epochs == 0
            && let Some(bar) = &self.bar
        {
            bar.set_position(done as u64);
        } else if let Some(bar) = &self.bar {
            bar.set_message(format!("validating {done}/{total}"));
        }
    }
}

impl Observer for Progress {
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Note(text) => self.line(&format!("note: {text}")),
            Event::Start { run, epochs, steps, done } => {
                self.line(&format!("run folder: {}", run.display()));
                self.epochs = *epochs;
                self.start_bar(*steps, *done, "{bar:8} {percent:>3}%  {wide_msg}  {eta} left");
            }
            Event::Step(record) => self.step(record),
            Event::Scored { done, total } => self.scored(*done, *total),
            Event::Epoch { record, best } => self.epoch(record, *best),
            _ => {}
        }
    }
}
