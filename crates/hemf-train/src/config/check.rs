//! Values that have the right type and still cannot be.

use super::RunConfig;
use crate::{optim::OptimizerConfig, schedule::ScheduleConfig};

/// A key's path and what is wrong with its value.
type Refusal = (String, String);

impl RunConfig {
    /// Refuses what could not run, before anything is read or written.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        self.check_model()?;
        self.check_data()?;
        self.check_train()?;
        let name = &self.output.name;
        ensure(!name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\']), "output.name", || {
            format!("\"{name}\" is no folder name")
        })
    }

    fn check_model(&self) -> Result<(), Refusal> {
        self.model.validate().map_err(|error| match error {
            hemf_model::Error::Config { key, message } => (format!("model.{key}"), message),
            other => ("model".to_owned(), other.to_string()),
        })?;
        let size = self.data.preprocessing.size;
        self.model
            .check_image_size(size, size)
            .map_err(|error| ("data.preprocessing.size".to_owned(), error.to_string()))?;
        let channels = self.data.preprocessing.channels;
        let wanted = self.model.in_channels();
        ensure(channels == wanted, "data.preprocessing.channels", || {
            format!("{channels}, but model.in_channels is {wanted}: they must be equal")
        })
    }

    fn check_data(&self) -> Result<(), Refusal> {
        let data = &self.data;
        let refuse = |part: &str, error: hemf_data::Error| match error {
            hemf_data::Error::Setting { key, reason } => (format!("data.{part}.{key}"), reason),
            other => (format!("data.{part}"), other.to_string()),
        };
        at_most("data.workers", data.workers, 256)?;
        data.preprocessing.validate().map_err(|error| refuse("preprocessing", error))?;
        data.augmentation.validate().map_err(|error| refuse("augmentation", error))?;
        data.prepare.rule.validate().map_err(|error| refuse("prepare.rule", error))
    }

    fn check_train(&self) -> Result<(), Refusal> {
        let train = &self.train;
        at_least_one("train.epochs", train.epochs)?;
        at_most("train.epochs", train.epochs, 100_000)?;
        at_least_one("train.batch", train.batch)?;
        let OptimizerConfig::Adamw(adamw) = &train.optimizer;
        positive("train.optimizer.lr", adamw.lr)?;
        positive("train.optimizer.eps", adamw.eps)?;
        not_negative("train.optimizer.weight_decay", adamw.weight_decay)?;
        let betas = adamw.betas;
        ensure(betas.iter().all(|beta| (0.0..1.0).contains(beta)), "train.optimizer.betas", || {
            format!("{betas:?} are not both from 0 up to, but not including, 1")
        })?;
        let ScheduleConfig::Cosine(cosine) = &train.schedule;
        positive("train.schedule.warmup_from", cosine.warmup_from)?;
        not_negative("train.schedule.end", cosine.end)?;
        train.clip_norm.map_or(Ok(()), |norm| positive("train.clip_norm", norm))
    }
}

fn ensure(holds: bool, key: &str, why: impl FnOnce() -> String) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err((key.to_owned(), why())) }
}

fn at_least_one(key: &str, value: usize) -> Result<(), Refusal> {
    ensure(value >= 1, key, || format!("{value} is below 1"))
}

fn at_most(key: &str, value: usize, most: usize) -> Result<(), Refusal> {
    ensure(value <= most, key, || format!("{value} is above {most}"))
}

fn positive(key: &str, value: f64) -> Result<(), Refusal> {
    ensure(value > 0.0 && value.is_finite(), key, || format!("{value} is not a positive number"))
}

fn not_negative(key: &str, value: f64) -> Result<(), Refusal> {
    ensure(value >= 0.0 && value.is_finite(), key, || format!("{value} is not a number from 0"))
}
