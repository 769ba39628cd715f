//! Holm's correction for many tests.

/// p-values adjusted so that the chance of any false alarm among them stays below the level they are compared with,
/// however they depend on each other (Holm, Scandinavian Journal of Statistics 6, 1979): with `m` values in rising order,
/// `p_i` becomes the largest of `(m - j + 1) p_j` for `j <= i`, at most 1. In the order given.
///
/// ```
/// use hemf_metrics::uncertainty::holm;
/// assert_eq!(holm(&[0.01, 0.2, 0.02]), [0.03, 0.2, 0.04]);
/// ```
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0.0f64;
    for (smaller, test) in order.into_iter().enumerate() {
        let remaining = (p_values.len() - smaller) as f64;
        largest = largest.max(remaining * p_values[test]).min(1.0);
        adjusted[test] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// `statsmodels.stats.multitest.multipletests([0.01, 0.04, 0.03, 0.005, 0.6], method="holm")[1]`
    #[test]
    fn the_numbers_of_statsmodels() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005, 0.6]);
        for (found, expected) in adjusted.iter().zip([0.04, 0.09, 0.09, 0.025, 0.6]) {
            assert!((found - expected).abs() < 1e-15, "{adjusted:?}");
        }
    }

    proptest! {
        #[test]
        fn between_none_and_bonferroni_and_in_order(p_values in vec(0.0..1.0f64, 0..20)) {
            let adjusted = holm(&p_values);
            for (i, (&p, &a)) in p_values.iter().zip(&adjusted).enumerate() {
                prop_assert!(p <= a && a <= (p * p_values.len() as f64).min(1.0));
                for (j, &q) in p_values.iter().enumerate() {
                    prop_assert!(p > q || a <= adjusted[j], "{} {}", i, j);
                }
            }
        }
    }
}
