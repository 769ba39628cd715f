//! How long a million samples of ten classes take: `cargo run --release -p hemf-metrics --example million`.

use hemf_metrics::uncertainty::{Bootstrap, Resampling};
use hemf_metrics::{Error, Intervals, Predictions, Report};
use std::time::Instant;

const SAMPLES: usize = 1_000_000;
const CLASSES: usize = 10;

fn main() -> Result<(), Error> {
    let mut state = 1u64;
    let mut uniform = || {
        // Constants of Knuth's MMIX generator.
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let truth: Vec<usize> = (0..SAMPLES).map(|sample| sample % CLASSES).collect();
    let mut scores = Vec::with_capacity(SAMPLES * CLASSES);
    for &class in &truth {
        let row: Vec<f64> = (0..CLASSES).map(|c| uniform() + 0.4 * f64::from(u8::from(c == class))).collect();
        let sum: f64 = row.iter().sum();
        scores.extend(row.iter().map(|score| score / sum));
    }
    let names = (0..CLASSES).map(|class| class.to_string()).collect();
    let ids = (0..SAMPLES).map(|sample| sample.to_string()).collect();
    let predictions = Predictions::new(names, ids, truth, scores)?;

    let start = Instant::now();
    let report = Report::new(&predictions);
    println!("report: {:.1?} (accuracy {:.4})", start.elapsed(), report.accuracy);

    let bootstrap = Bootstrap { resamples: 20, ..Bootstrap::default() };
    let start = Instant::now();
    let intervals = Intervals::new(&predictions, &Resampling::within_classes(predictions.truth())?, &bootstrap)?;
    let (count, resamples) = (intervals.scores.len(), bootstrap.resamples);
    println!("{count} intervals from {resamples} resamples: {:.1?}", start.elapsed());
    Ok(())
}
