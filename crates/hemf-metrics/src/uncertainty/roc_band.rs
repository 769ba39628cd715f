//! How far a ROC curve may be off, rate by rate.

use super::{Bootstrap, Level, Resampling, Scorer};
use crate::score::mean;
use crate::{Error, Predictions, RocCurve, Score, Undefined};
use serde::Serialize;

/// Steps of the false positive rate.
const STEPS: usize = 100;

/// Interval of the true positive rate at each of the false positive rates 0, 0.01, ... 1, from bootstrap percentiles.
/// Each holds by itself (pointwise): that all hold at once is less sure than the level.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RocBand {
    /// Of each interval.
    pub level: Level,
    /// By rising false positive rate.
    pub points: Vec<RocBandPoint>,
}

/// One false positive rate of a [`RocBand`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RocBandPoint {
    /// Where the curve is cut.
    pub false_positive_rate: f64,
    /// Lower end of the true positive rate.
    pub low: f64,
    /// Upper end of the true positive rate.
    pub high: f64,
}

impl RocBand {
    /// About the mean curve of all classes ([`RocCurves::macro_curve`](crate::RocCurves::macro_curve)). `Ok(Err(_))` says
    /// why there is no band; fails when the resampling is of another number of samples.
    pub fn of_mean(
        predictions: &Predictions,
        resampling: &Resampling,
        bootstrap: &Bootstrap,
    ) -> Result<Result<Self, Undefined>, Error> {
        let classes: Vec<usize> = (0..predictions.classes().len()).collect();
        Self::new(predictions, &classes, resampling, bootstrap)
    }

    /// About the curve of one class against the rest; as [`of_mean`](Self::of_mean).
    pub fn of_class(
        predictions: &Predictions,
        class: usize,
        resampling: &Resampling,
        bootstrap: &Bootstrap,
    ) -> Result<Result<Self, Undefined>, Error> {
        Self::new(predictions, &[class], resampling, bootstrap)
    }

    fn new(
        predictions: &Predictions,
        classes: &[usize],
        resampling: &Resampling,
        bootstrap: &Bootstrap,
    ) -> Result<Result<Self, Undefined>, Error> {
        resampling.check(predictions.len())?;
        let scorer = Scorer::new(predictions);
        let rates = |times: &[u32]| -> Vec<Score> {
            // The mean curve of fewer classes is another curve.
            if classes.len() > 1 && !scorer.draws_all_classes(times) {
                return vec![Score::Undefined(Undefined::ClassNotDrawn); STEPS + 1];
            }
            let curves: Vec<Vec<f64>> =
                classes.iter().filter_map(|&class| true_positive_rates(&scorer.curve(class, times))).collect();
            (0..=STEPS).map(|step| mean(curves.iter().map(|curve| curve[step]), Undefined::NoClass)).collect()
        };
        let centre = rates(&vec![1; predictions.len()]);
        if let Some(reason) = centre[0].reason() {
            return Ok(Err(reason));
        }
        let spreads = bootstrap.run(resampling, rates);
        let points = centre.iter().zip(spreads).enumerate().map(|(step, (centre, spread))| {
            let (low, high) = match spread.interval {
                Ok(interval) => (interval.low, interval.high),
                // At the right end every curve is 1; a rate that no resample changes is drawn as the line it is.
                Err(Undefined::NoSpread) => (centre.or_zero(), centre.or_zero()),
                Err(reason) => return Err(reason),
            };
            Ok(RocBandPoint { false_positive_rate: step as f64 / STEPS as f64, low, high })
        });
        Ok(points.collect::<Result<_, _>>().map(|points| Self { level: bootstrap.level, points }))
    }
}

/// The highest true positive rate of the curve at each false positive rate; `None` when it has none.
fn true_positive_rates(curve: &RocCurve) -> Option<Vec<f64>> {
    let points = curve.rates()?;
    let mut next = 0;
    let rate = |step| {
        let x = step as f64 / STEPS as f64;
        // The last point at or before x.
        while next + 1 < points.len() && points[next + 1].0 <= x {
            next += 1;
        }
        let (x0, y0) = points[next];
        points.get(next + 1).map_or(y0, |&(x1, y1)| y0 + (y1 - y0) * (x - x0) / (x1 - x0))
    };
    Some((0..=STEPS).map(rate).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_follow_the_curve() {
        // Points (0, 0), (0, 1/2), (1/2, 1/2), (1, 1): a rise, a level, a slant of a tie.
        let curve = RocCurve::new([(0.9, true), (0.8, false), (0.5, true), (0.5, false)]);
        let rates = true_positive_rates(&curve).unwrap();
        assert_eq!((rates[0], rates[49], rates[50], rates[75], rates[100]), (0.5, 0.5, 0.5, 0.75, 1.0));
        assert_eq!(true_positive_rates(&RocCurve::new([(0.9, true)])), None);
    }

    #[test]
    fn a_band_holds_its_curve() {
        let positive = [0.9, 0.8, 0.7, 0.6, 0.55, 0.5, 0.4, 0.3, 0.2, 0.1];
        let truth = vec![1, 1, 0, 1, 1, 0, 1, 0, 0, 0];
        let ids = (0..10).map(|i| i.to_string()).collect();
        let scores: Vec<f64> = positive.iter().flat_map(|&p| [1.0 - p, p]).collect();
        let predictions = Predictions::new(vec!["a".into(), "b".into()], ids, truth, scores).unwrap();
        let resampling = Resampling::within_classes(predictions.truth()).unwrap();
        let band = RocBand::of_class(&predictions, 1, &resampling, &Bootstrap::default()).unwrap().unwrap();
        let centre = true_positive_rates(&predictions.one_vs_rest(1)).unwrap();
        assert_eq!(band.points.len(), STEPS + 1);
        for (point, centre) in band.points.iter().zip(centre) {
            assert!(point.low <= centre && centre <= point.high, "{point:?} {centre}");
        }
        assert!(band.points[20].high - band.points[20].low > 0.3);
        let short = Resampling::samples(3).unwrap();
        assert!(RocBand::of_mean(&predictions, &short, &Bootstrap::default()).is_err());
    }
}
