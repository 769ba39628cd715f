//! Values that have the right type and still cannot be.

use hemf_model::ModelConfig;

use super::{Every, RunConfig, SaveEvery, Validate};
use crate::{
    loss::ClassWeights,
    optim::{AdamWConfig, OptimizerConfig},
    schedule::ScheduleConfig,
};

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
        data.sampling.validate().map_err(|error| match error {
            hemf_data::Error::Setting { key, reason } => (format!("data.{key}"), reason),
            other => ("data.sampling".to_owned(), other.to_string()),
        })?;
        data.augmentation.validate().map_err(|error| refuse("augmentation", error))?;
        data.prepare.rule.validate().map_err(|error| refuse("prepare.rule", error))
    }

    fn check_train(&self) -> Result<(), Refusal> {
        let train = &self.train;
        at_least_one("train.epochs", train.epochs)?;
        at_most("train.epochs", train.epochs, 100_000)?;
        at_least_one("train.batch", train.batch)?;
        at_most("train.batch", train.batch, 1_000_000)?;
        at_least_one("train.accumulate", train.accumulate)?;
        at_most("train.accumulate", train.accumulate, 100_000)?;
        at_least_one("train.keep", train.keep)?;
        ensure(!train.recompute || matches!(self.model, ModelConfig::Hemf(_)), "train.recompute", || {
            "true, but only HEMF can run its blocks again".to_owned()
        })?;
        train.clip_norm.map_or(Ok(()), |norm| positive("train.clip_norm", norm))?;
        train.ema.map_or(Ok(()), |decay| share("train.ema", decay))?;
        positive("train.layer_decay", train.layer_decay)?;
        ensure(train.layer_decay <= 1.0, "train.layer_decay", || format!("{} is above 1", train.layer_decay))?;
        let (Validate::Epochs(Every { every }) | Validate::Steps(Every { every })) = train.validate;
        at_least_one("train.validate.every", every)?;
        if let SaveEvery::Steps(Every { every }) | SaveEvery::Minutes(Every { every }) = train.checkpoint {
            at_least_one("train.checkpoint.every", every)?;
            at_most("train.checkpoint.every", every, 1_000_000_000)?;
        }
        if let Some(stopping) = train.early_stopping {
            at_least_one("train.early_stopping.patience", stopping.patience)?;
            not_negative("train.early_stopping.min_gain", stopping.min_gain)?;
        }
        at_least_one("train.read_every", train.read_every)?;
        self.check_loss()?;
        self.check_optimizer()?;
        self.check_schedule()
    }

    fn check_loss(&self) -> Result<(), Refusal> {
        let loss = &self.train.loss;
        share("train.loss.label_smoothing", loss.label_smoothing())?;
        not_negative("train.loss.gamma", loss.gamma())?;
        let ClassWeights::List(list) = loss.class_weights() else { return Ok(()) };
        let key = "train.loss.class_weights.weights";
        list.weights.iter().try_for_each(|&weight| not_negative(key, weight))?;
        ensure(list.weights.iter().any(|&weight| weight > 0.0), key, || "no weight is above 0".to_owned())
    }

    fn check_optimizer(&self) -> Result<(), Refusal> {
        let optimizer = &self.train.optimizer;
        positive("train.optimizer.lr", optimizer.lr())?;
        not_negative("train.optimizer.weight_decay", optimizer.weight_decay())?;
        match optimizer {
            OptimizerConfig::Adamw(AdamWConfig { eps, betas, .. }) => {
                positive("train.optimizer.eps", *eps)?;
                ensure(betas.iter().all(|beta| (0.0..1.0).contains(beta)), "train.optimizer.betas", || {
                    format!("{betas:?} are not both from 0 up to, but not including, 1")
                })
            }
            OptimizerConfig::Sgd(sgd) => share("train.optimizer.momentum", sgd.momentum),
        }
    }

    fn check_schedule(&self) -> Result<(), Refusal> {
        let warmup = |epochs| at_most("train.schedule.warmup_epochs", epochs, 100_000);
        match &self.train.schedule {
            ScheduleConfig::Cosine(cosine) => {
                warmup(cosine.warmup_epochs)?;
                positive("train.schedule.warmup_from", cosine.warmup_from)?;
                not_negative("train.schedule.end", cosine.end)
            }
            ScheduleConfig::Constant(constant) => {
                warmup(constant.warmup_epochs)?;
                positive("train.schedule.warmup_from", constant.warmup_from)
            }
            ScheduleConfig::Step(step) => {
                warmup(step.warmup_epochs)?;
                step.after.iter().try_for_each(|&epoch| at_most("train.schedule.after", epoch, 100_000))?;
                positive("train.schedule.warmup_from", step.warmup_from)?;
                positive("train.schedule.factor", step.factor)?;
                ensure(step.after.is_sorted_by(|a, b| a < b), "train.schedule.after", || {
                    format!("{:?} do not rise", step.after)
                })
            }
            ScheduleConfig::OneCycle(cycle) => {
                positive("train.schedule.from", cycle.from)?;
                not_negative("train.schedule.end", cycle.end)?;
                positive("train.schedule.rise", cycle.rise)?;
                share("train.schedule.rise", cycle.rise)
            }
        }
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

fn share(key: &str, value: f64) -> Result<(), Refusal> {
    ensure((0.0..1.0).contains(&value), key, || format!("{value} is not from 0 up to, but not including, 1"))
}
