//! Draws every kind of picture with 2, 7, 8 and 50 classes into a folder, to be looked at:
//! `cargo run --release -p hemf-metrics --example gallery -- target/gallery`.

use hemf_metrics::plot::{self, EpochScores};
use hemf_metrics::uncertainty::Bootstrap;
use hemf_metrics::{Error, Predictions, ReportOptions, write_report_with};
use std::path::PathBuf;

fn main() -> Result<(), Error> {
    let folder = std::env::args().nth(1).map_or("target/gallery".into(), PathBuf::from);
    let kvasir = [
        "dyed-lifted-polyps",
        "dyed-resection-margins",
        "esophagitis",
        "normal-cecum",
        "normal-pylorus",
        "normal-z-line",
        "polyps",
        "ulcerative-colitis",
    ];
    let many: Vec<String> = (0..50).map(|i| format!("Krankheitsbild {i:02} (Grad {})", i % 4)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let isic = ["AKIEC", "BCC", "BKL", "DF", "MEL", "NV", "VASC"];
    let bootstrap = Some(Bootstrap { resamples: 500, ..Bootstrap::default() });
    let options = ReportOptions { bootstrap, all_pictures: true, ..ReportOptions::default() };
    for (name, classes, samples, skill) in [
        ("two", &["CT_COVID", "CT_NonCOVID"][..], 186, 1.0),
        ("seven", &isic[..], 3001, 3.0),
        ("eight", &kvasir[..], 2000, 4.0),
        ("fifty", &many[..], 5000, 3.5),
    ] {
        let report = write_report_with(&folder.join(name), &invent(classes, samples, skill)?, &options)?;
        println!("{name}\n{}", report.to_text());
    }
    for epochs in [12, 200] {
        let curves: Vec<EpochScores> = (1..=epochs).map(|e| invent_epoch(e, epochs)).collect();
        plot::learning_curves(&curves).write(&folder, &format!("learning_{epochs}"))?;
    }
    Ok(())
}

/// Scores of an imaginary classifier, better with more skill; later classes are rarer, the last but one does not occur.
fn invent(classes: &[&str], samples: usize, skill: f64) -> Result<Predictions, Error> {
    let mut state = 1u64;
    let mut uniform = || {
        // Constants of Knuth's MMIX generator.
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let k = classes.len();
    let (mut truth, mut scores) = (Vec::new(), Vec::new());
    for _ in 0..samples {
        let mut class = (uniform().powi(2) * k as f64) as usize;
        if k > 2 && class == k - 2 {
            class = 0;
        }
        let mut row: Vec<f64> = (0..k).map(|_| 2.0 * (uniform() + uniform() + uniform())).collect();
        row[class] += skill;
        // Neighbours are mistaken for each other.
        row[(class + 1) % k] += skill / 2.0;
        let sum: f64 = row.iter().map(|x| x.exp()).sum();
        scores.extend(row.iter().map(|x| x.exp() / sum));
        truth.push(class);
    }
    let names = classes.iter().map(|name| name.to_string()).collect();
    let ids = (0..samples).map(|i| format!("images/{i:05}.png")).collect();
    Predictions::new(names, ids, truth, scores)
}

fn invent_epoch(epoch: usize, epochs: usize) -> EpochScores {
    let done = epoch as f64 / epochs as f64;
    let wobble = (epoch as f64 * 12.9898).sin() * 0.02;
    EpochScores {
        epoch: epoch as f64,
        train_loss: 1.9 * (-3.0 * done).exp() + 0.05 + wobble.abs(),
        train_accuracy: 1.0 - 0.7 * (-4.0 * done).exp(),
        validation_loss: Some(1.8 * (-3.0 * done).exp() + 0.2 + 0.15 * done + wobble),
        validation_accuracy: Some(0.93 - 0.65 * (-4.5 * done).exp() + wobble),
    }
}
