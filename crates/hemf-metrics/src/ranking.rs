//! Samples sorted by a score once, for curves that count them differently often.

use crate::score::{WeightedMean, weighted_mean};
use crate::{Average, Predictions, RocCurve, Score, Undefined};

/// Positions by falling score, those of equal score as one.
pub(crate) struct Ranking {
    order: Vec<usize>,
    /// Score and end of each run of equal scores.
    ties: Vec<(f64, usize)>,
}

/// What [`RocCurve`] calls so.
pub(crate) struct Areas {
    pub(crate) auc: Score,
    pub(crate) average_precision: Score,
    pub(crate) precision_recall_area: Score,
}

impl Ranking {
    pub(crate) fn new(scores: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<(f64, usize)> = scores.into_iter().zip(0..).collect();
        sorted.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let mut end = 0;
        let runs = sorted.chunk_by(|a, b| a.0 == b.0).map(|tied| {
            end += tied.len();
            (tied[0].0, end)
        });
        Self { ties: runs.collect(), order: sorted.into_iter().map(|(_, position)| position).collect() }
    }

    /// Samples by the score of a class.
    pub(crate) fn by_class(predictions: &Predictions, class: usize) -> Self {
        Self::new(predictions.rows().map(|row| row[class]))
    }

    /// Runs of equal scores, each with its score.
    fn runs(&self) -> impl Iterator<Item = (f64, &[usize])> {
        let mut start = 0;
        self.ties.iter().map(move |&(score, end)| {
            let run = &self.order[start..end];
            start = end;
            (score, run)
        })
    }

    /// The ROC curve, given how often a position counts and whether it is positive. The same as that of a list in which
    /// it is so often.
    pub(crate) fn curve(&self, counted: impl Fn(usize) -> (u64, bool)) -> RocCurve {
        RocCurve::from_counts(self.runs().filter_map(|(score, run)| {
            let (mut positives, mut negatives) = (0, 0);
            for &position in run {
                match counted(position) {
                    (times, true) => positives += times,
                    (times, false) => negatives += times,
                }
            }
            (positives + negatives > 0).then_some((score, positives, negatives))
        }))
    }

    /// The areas of [`curve`](Self::curve), to the last bit, without keeping its points.
    pub(crate) fn areas(&self, counted: impl Fn(usize) -> (u64, bool)) -> Areas {
        let (mut true_positives, mut false_positives, mut twice) = (0u64, 0u64, 0u128);
        let (mut steps, mut trapezoids) = (WeightedMean::default(), WeightedMean::default());
        let mut before = 1.0;
        for (_, run) in self.runs() {
            let (mut positives, mut negatives) = (0, 0);
            for &position in run {
                match counted(position) {
                    (times, true) => positives += times,
                    (times, false) => negatives += times,
                }
            }
            if positives + negatives == 0 {
                continue;
            }
            twice += u128::from(negatives) * u128::from(2 * true_positives + positives);
            true_positives += positives;
            false_positives += negatives;
            let precision = true_positives as f64 / (true_positives + false_positives) as f64;
            if positives > 0 {
                steps.push(positives as f64, precision);
                trapezoids.push(positives as f64, (before + precision) / 2.0);
            }
            before = precision;
        }
        let pairs = u128::from(true_positives) * u128::from(false_positives);
        let undefined = match (true_positives, false_positives) {
            (0, _) => Some(Undefined::NoPositives),
            (_, 0) => Some(Undefined::NoNegatives),
            _ => None,
        };
        match undefined.map(Score::Undefined) {
            Some(none) => Areas { auc: none, average_precision: none, precision_recall_area: none },
            None => Areas {
                auc: Score::Defined(twice as f64 / (2 * pairs) as f64),
                average_precision: steps.or(Undefined::NoPositives),
                precision_recall_area: trapezoids.or(Undefined::NoPositives),
            },
        }
    }

    /// Areas under the ROC curves that tell `class` from each other class among the samples of the two, all in one pass.
    pub(crate) fn against_each(
        &self,
        class: usize,
        truth: &[usize],
        classes: usize,
        times: impl Fn(usize) -> u64,
    ) -> Vec<Score> {
        let mut negatives = vec![0u64; classes];
        // Twice the positives that outrank the negatives of each class.
        let mut outranking = vec![0u128; classes];
        let mut positives = 0;
        for (_, run) in self.runs() {
            let here: u64 = run.iter().filter(|&&sample| truth[sample] == class).map(|&sample| times(sample)).sum();
            for &sample in run.iter().filter(|&&sample| truth[sample] != class) {
                let times = times(sample);
                negatives[truth[sample]] += times;
                outranking[truth[sample]] += u128::from(times) * u128::from(2 * positives + here);
            }
            positives += here;
        }
        let area = |(negatives, outranking): (&u64, &u128)| match 2 * u128::from(*negatives) * u128::from(positives) {
            0 if positives == 0 => Score::Undefined(Undefined::NoPositives),
            0 => Score::Undefined(Undefined::NoNegatives),
            pairs => Score::Defined(*outranking as f64 / pairs as f64),
        };
        negatives.iter().zip(&outranking).map(area).collect()
    }
}

/// The mean of the areas of [`Ranking::against_each`] over ordered pairs of classes that occur.
pub(crate) fn one_vs_one(areas: &[Vec<Score>], support: &[u64], average: Average) -> Score {
    let pairs = areas.iter().enumerate().flat_map(|(a, areas)| {
        areas.iter().enumerate().filter_map(move |(b, area)| {
            let weight = match average {
                Average::Macro => 1.0,
                Average::Weighted => (support[a] + support[b]) as f64,
            };
            Some((weight, area.value()?))
        })
    });
    weighted_mean(pairs, Undefined::OneClass)
}
