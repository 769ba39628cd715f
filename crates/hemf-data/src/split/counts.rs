//! How many images of a class go to each split, and which of its shuffled list.

use super::{Place, Split};

/// Training from the front of the shuffled list, then validation, then test.
pub(super) fn assign(places: &mut [Place], list: &[usize], [train, validation, _]: [usize; 3]) {
    for (i, &image) in list.iter().enumerate() {
        let split = match i {
            _ if i < train => Split::Train,
            _ if i < train + validation => Split::Validation,
            _ => Split::Test,
        };
        places[image] = (split, None);
    }
}

/// Train, validation and test counts of the published script: ceil(n * train), the rest, floor(n * test).
/// In tiny classes, where the two overlap there, training keeps the image.
pub(super) fn published_counts(n: usize, train: f64, test: f64) -> [usize; 3] {
    let trained = ((n as f64 * train).ceil() as usize).min(n);
    let tested = ((n as f64 * test).floor() as usize).min(n - trained);
    [trained, n - trained - tested, tested]
}

/// Largest remainder; then no split whose share is above zero stays empty if another can spare one.
pub(super) fn stratified_counts(n: usize, shares: [f64; 3]) -> [usize; 3] {
    let quotas = shares.map(|share| n as f64 * share);
    // Nudged, so that 10 * 0.7 counts as 7 whatever its last bit.
    let mut counts = quotas.map(|quota| (quota + 1e-9).floor() as usize);
    const TRAIN: usize = 0;
    const VALIDATION: usize = 1;
    const TEST: usize = 2;
    let order = [TRAIN, TEST, VALIDATION];
    let left = n - counts.iter().sum::<usize>();
    let mut by_remainder = order;
    by_remainder.sort_by(|&a, &b| {
        let remainder = |i: usize| quotas[i] - counts[i] as f64;
        remainder(b).total_cmp(&remainder(a))
    });
    by_remainder.iter().take(left).for_each(|&i| counts[i] += 1);
    for i in order {
        let richest = *order.iter().max_by_key(|&&j| counts[j]).expect("three splits");
        if shares[i] > 0.0 && counts[i] == 0 && counts[richest] > 1 {
            counts[richest] -= 1;
            counts[i] += 1;
        }
    }
    counts
}

/// Cuts the shuffled list into `folds` parts of nearly equal length, the longer ones first; part
/// `fold` mod `folds` tests, and the end of the others' list, a share of `validation`, validates. With
/// two folds these are the halves of the published Kvasir protocol, training and test trading places.
pub(super) fn assign_folds(places: &mut [Place], list: &[usize], (folds, fold): (u32, u32), validation: f64) {
    let (n, folds) = (list.len(), folds as usize);
    let part_of = |i: usize| {
        let (short, longer) = (n / folds, n % folds);
        if i < longer * (short + 1) { i / (short + 1) } else { longer + (i - longer * (short + 1)) / short.max(1) }
    };
    let tested = fold as usize % folds;
    let mut training = Vec::with_capacity(n);
    for (i, &image) in list.iter().enumerate() {
        let part = part_of(i);
        places[image] = (Split::Test, Some(fold_of(part, folds)));
        if part != tested {
            training.push(image);
        }
    }
    let kept = (training.len() as f64 * validation).round() as usize;
    for (i, &image) in training.iter().enumerate() {
        places[image].0 = if i + kept >= training.len() { Split::Validation } else { Split::Train };
    }
}

/// The fold that part `part` tests.
pub(super) fn fold_of(part: usize, folds: usize) -> u32 {
    (if part == 0 { folds } else { part }) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn largest_remainder_by_hand() {
        assert_eq!(stratified_counts(10, [0.7, 0.15, 0.15]), [7, 1, 2]);
        assert_eq!(stratified_counts(100, [0.7, 0.15, 0.15]), [70, 15, 15]);
        assert_eq!(stratified_counts(3, [0.7, 0.15, 0.15]), [1, 1, 1]);
        assert_eq!(stratified_counts(2, [0.7, 0.15, 0.15]), [1, 0, 1]);
        assert_eq!(stratified_counts(1, [0.7, 0.15, 0.15]), [1, 0, 0]);
        assert_eq!(stratified_counts(5, [0.8, 0.0, 0.2]), [4, 0, 1]);
    }

    proptest! {
        #[test]
        fn counts_add_up(n in 0usize..3000, a in 0.01f64..1.0, b in 0.0f64..1.0) {
            let (train, validation) = (a, (1.0 - a) * b);
            let shares = [train, validation, 1.0 - train - validation];
            let counts = stratified_counts(n, shares);
            prop_assert_eq!(counts.iter().sum::<usize>(), n);
            // Nobody is further from the share than one image, save the one given to an empty split.
            for (count, share) in counts.iter().zip(shares) {
                prop_assert!((*count as f64 - n as f64 * share).abs() < 3.0);
            }
            prop_assert_eq!(published_counts(n, 0.6, 0.3).iter().sum::<usize>(), n);
        }

        #[test]
        fn every_image_tests_in_one_fold(n in 0usize..200, folds in 2u32..8) {
            let list: Vec<usize> = (0..n).collect();
            let mut tested = vec![0; n];
            let mut sizes = Vec::new();
            for fold in 1..=folds {
                let mut places = vec![(Split::Train, None); n];
                assign_folds(&mut places, &list, (folds, fold), 0.2);
                let tests = |place: &Place| place.0 == Split::Test;
                prop_assert!(places.iter().all(|place| tests(place) == (place.1 == Some(fold))));
                sizes.push(places.iter().filter(|place| tests(place)).count());
                places.iter().zip(&mut tested).for_each(|(place, n)| *n += usize::from(tests(place)));
            }
            prop_assert!(tested.iter().all(|&n| n == 1));
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
        }
    }
}
