//! An interval with its level and the method that made it.

use crate::{Error, Score, Undefined};
use serde::{Serialize, Serializer};
use std::fmt;

/// Share of repetitions of the study in which an interval is to hold the true value: above 0, below 1; 0.95 by default.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Level(f64);

impl Level {
    /// Fails unless `0 < level < 1`.
    pub fn new(level: f64) -> Result<Self, Error> {
        match level > 0.0 && level < 1.0 {
            true => Ok(Self(level)),
            false => Err(Error::Level { level }),
        }
    }

    /// The share, such as 0.95.
    pub fn get(self) -> f64 {
        self.0
    }

    /// What remains beyond each end, such as 0.025.
    pub(crate) fn tail(self) -> f64 {
        (1.0 - self.0) / 2.0
    }
}

impl Default for Level {
    fn default() -> Self {
        Self(0.95)
    }
}

/// Both ends of an interval, the first not above the second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// `centre` with `margin` to both sides, cut at the ends of what the score can be.
    pub(crate) fn around(centre: f64, margin: f64, (least, most): (f64, f64)) -> Self {
        Self { low: (centre - margin).max(least), high: (centre + margin).min(most) }
    }

    /// Whether a value lies within it, ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// `high - low`.
    pub fn width(&self) -> f64 {
        self.high - self.low
    }
}

impl fmt::Display for Interval {
    /// Follows the precision asked for: `{:.3}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.low.fmt(f)?;
        f.write_str(" to ")?;
        self.high.fmt(f)
    }
}

/// How an interval was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Method {
    /// Wilson's score interval of a proportion of independent samples.
    Wilson,
    /// DeLong's variance of an area under a ROC curve, of independent samples.
    Delong,
    /// Percentiles of the score over bootstrap resamples.
    BootstrapPercentile,
    /// Student's t over several runs.
    StudentT,
}

/// A score with its interval, or the reason why it has none. In JSON
/// `{value, low, high, method}`, with `reason` where `low` and `high` are `null`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The score of the samples themselves.
    pub value: Score,
    /// Where the score of the population may lie.
    pub interval: Result<Interval, Undefined>,
    /// How the interval was made.
    pub method: Method,
}

impl fmt::Display for Estimate {
    /// Follows the precision asked for: `{:.3}` gives `0.870 (0.812 to 0.911)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)?;
        match (self.value, &self.interval) {
            (Score::Undefined(_), _) => Ok(()),
            (_, Ok(interval)) => {
                f.write_str(" (")?;
                interval.fmt(f)?;
                f.write_str(")")
            }
            (_, Err(reason)) => write!(f, " (no interval: {reason})"),
        }
    }
}

impl Serialize for Estimate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields {
            value: Score,
            low: Option<f64>,
            high: Option<f64>,
            method: Method,
            #[serde(skip_serializing_if = "Option::is_none")]
            reason: Option<String>,
        }
        let interval = self.interval.ok();
        let fields = Fields {
            value: self.value,
            low: interval.map(|interval| interval.low),
            high: interval.map(|interval| interval.high),
            method: self.method,
            reason: self.interval.err().map(|reason| reason.to_string()),
        };
        fields.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_says_what_it_lacks() {
        let whole = Estimate {
            value: Score::Defined(0.87),
            interval: Ok(Interval { low: 0.8123, high: 0.9107 }),
            method: Method::Wilson,
        };
        assert_eq!(format!("{whole:.3}"), "0.870 (0.812 to 0.911)");
        let certain = Estimate { interval: Err(Undefined::NoSpread), ..whole };
        assert!(format!("{certain:.1}").starts_with("0.9 (no interval: it does not vary"));
        let json = serde_json::to_value(certain).unwrap();
        assert!(json["low"].is_null() && json["method"] == "wilson");
        assert_eq!(json["reason"], Undefined::NoSpread.to_string());
        assert_eq!(serde_json::to_value(whole).unwrap().get("reason"), None);
    }

    #[test]
    fn a_level_is_a_share() {
        for level in [0.0, 1.0, 95.0, f64::NAN] {
            let message = Level::new(level).unwrap_err().to_string();
            assert!(message.starts_with(&format!("the level of an interval is {level}")), "{message}");
        }
        assert_eq!(Level::new(0.9).unwrap().get(), 0.9);
    }
}
