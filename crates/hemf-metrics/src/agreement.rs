//! Agreement of truth and prediction beyond chance: Matthews' correlation and Cohen's kappa.

use crate::{ConfusionMatrix, Score, Undefined};

/// What a disagreement between classes `i` and `j` weighs in Cohen's kappa. The weighted forms are for classes with an
/// order (grades of a disease), where class indices are ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KappaWeights {
    /// 1 for any disagreement.
    None,
    /// `|i - j|`.
    Linear,
    /// `(i - j)^2`.
    Quadratic,
}

impl KappaWeights {
    fn weight(self, i: usize, j: usize) -> u128 {
        let distance = i.abs_diff(j) as u128;
        match self {
            Self::None => distance.min(1),
            Self::Linear => distance,
            Self::Quadratic => distance * distance,
        }
    }
}

impl ConfusionMatrix {
    /// Matthews' correlation coefficient for any number of classes (Gorodkin, Comput. Biol. Chem. 28, 2004), -1 to 1.
    ///
    /// With `n` samples, `c` of them correct, `t_k` of class `k` and `p_k` taken for it:
    /// `(c n - sum t_k p_k) / sqrt((n^2 - sum p_k^2) (n^2 - sum t_k^2))`. Undefined when one side holds a single class;
    /// scikit-learn then returns 0.
    pub fn matthews(&self) -> Score {
        let n = i128::from(self.total());
        if n == 0 {
            return Score::Undefined(Undefined::NoSamples);
        }
        // Exact in integers: with fewer than 2^63 samples every term fits.
        let products = |f: &dyn Fn(usize) -> (u64, u64)| -> i128 {
            (0..self.classes()).map(f).map(|(a, b)| i128::from(a) * i128::from(b)).sum()
        };
        let truth = n * n - products(&|k| (self.support(k), self.support(k)));
        let predicted = n * n - products(&|k| (self.predicted(k), self.predicted(k)));
        let both = n * i128::from(self.correct()) - products(&|k| (self.support(k), self.predicted(k)));
        if truth == 0 || predicted == 0 {
            return Score::Undefined(Undefined::OneClass);
        }
        Score::Defined(both as f64 / ((truth as f64).sqrt() * (predicted as f64).sqrt()))
    }

    /// Cohen's kappa (Educ. Psychol. Meas. 20, 1960; weighted: Psychol. Bull. 70, 1968), at most 1.
    ///
    /// `1 - sum w_ij n_ij / sum w_ij e_ij` with the counts `e_ij = t_i p_j / n` that chance would give. Undefined when
    /// chance would agree always, that is when truth and prediction both hold one and the same class.
    pub fn kappa(&self, weights: KappaWeights) -> Score {
        let n = u128::from(self.total());
        if n == 0 {
            return Score::Undefined(Undefined::NoSamples);
        }
        let classes = self.classes();
        let predicted: Vec<u128> = (0..classes).map(|j| self.predicted(j).into()).collect();
        let (mut observed, mut expected) = (0u128, 0u128);
        for i in 0..classes {
            let support = u128::from(self.support(i));
            for (j, predicted) in predicted.iter().enumerate() {
                let weight = weights.weight(i, j);
                observed += weight * u128::from(self.count(i, j));
                expected += weight * support * predicted;
            }
        }
        match expected {
            0 => Score::Undefined(Undefined::OneClass),
            _ => Score::Defined(1.0 - (n * observed) as f64 / expected as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_classes_agree_with_the_textbook() {
        // Kappa of the worked example in Wikipedia's article on it: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: 0.4.
        // MCC by its two-class formula: (20*15 - 10*5) / sqrt(30 * 25 * 25 * 20) = 250 / sqrt(375000).
        let truth: Vec<usize> = [[0; 25], [1; 25]].concat();
        let predicted: Vec<usize> = [vec![0; 20], vec![1; 5], vec![0; 10], vec![1; 15]].concat();
        let matrix = ConfusionMatrix::from_labels(2, &truth, &predicted).unwrap();
        assert!((matrix.kappa(KappaWeights::None).or_zero() - 0.4).abs() < 1e-15);
        assert!((matrix.matthews().or_zero() - 250.0 / 375_000f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn one_class_leaves_nothing_to_agree_on() {
        let one_side = ConfusionMatrix::from_labels(2, &[0, 1], &[0, 0]).unwrap();
        assert_eq!(one_side.matthews().reason(), Some(Undefined::OneClass));
        assert_eq!(one_side.kappa(KappaWeights::None), Score::Defined(0.0));
        let both_sides = ConfusionMatrix::from_labels(2, &[1, 1], &[1, 1]).unwrap();
        assert_eq!(both_sides.kappa(KappaWeights::Linear).reason(), Some(Undefined::OneClass));
    }
}
