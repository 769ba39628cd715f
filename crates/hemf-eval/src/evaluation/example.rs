//! An evaluation for tests: forty images of two classes, with a temperature and one pictured error.

use hemf_metrics::Predictions;
use hemf_metrics::decision::Temperature;
use hemf_metrics::plot::EpochScores;
use hemf_train::Begun;
use serde_json::json;

use super::{
    Audit, ClassCount, ErrorPictures, EvalSettings, Evaluation, Facts, FittedTemperature, NetworkFacts, Samples,
};
use crate::{Averaging, Views, png};

/// Every fifth image is wrong; sureness differs.
pub(crate) fn predictions(images: usize) -> Predictions {
    let truth: Vec<usize> = (0..images).map(|i| i / 2 % 2).collect();
    let rows = truth.iter().enumerate().flat_map(|(i, &truth)| {
        let right = 0.55 + 0.4 * (i % 9) as f64 / 9.0;
        let first = if (truth == 0) == (i % 5 != 0) { right } else { 1.0 - right };
        [first, 1.0 - first]
    });
    let ids = (0..images).map(|i| format!("{i:02}.png")).collect();
    Predictions::new(vec!["ill".into(), "well".into()], ids, truth.clone(), rows.collect()).unwrap()
}

/// Without groups; 200 resamples.
pub(crate) fn evaluation() -> Evaluation {
    let predictions = predictions(40);
    let picture = png::png(&hemf_data::Raster::new(2, 2, 3, vec![90; 12])).unwrap();
    let model = hemf_model::ModelConfig::preset("hemf-nano").unwrap().with_classes(2);
    let network = NetworkFacts {
        run: "covid-nano".into(),
        config: json!({"model": model, "train": {"seed": 1}}),
        program: "hemf 0".into(),
        epoch: 3,
        validation_accuracy: Some(0.8),
        weights: "00".repeat(32),
        manifest_seal: "seal".into(),
        parameters: 1_000_000,
        begun: Some(Begun {
            time: "2026-01-31T12:00:00Z".into(),
            system: "linux x86_64".into(),
            processor: "a processor".into(),
            cores: 2,
        }),
    };
    let facts = Facts {
        program: "hemf 0".into(),
        networks: vec![network],
        views: Views::One,
        averaging: Averaging::Probability,
        split: "test".into(),
        data: "images".into(),
        manifest_seal: "seal".into(),
        rule: "covid19-ct".into(),
        split_seed: 5,
        temperature: Some(FittedTemperature {
            temperature: Temperature::new(1.3).unwrap(),
            validation_loss_before: Some(0.7),
            validation_loss_after: Some(0.6),
        }),
        no_temperature: None,
        no_validation: None,
        settings: EvalSettings { resamples: 200, ..EvalSettings::default() },
        audit: Audit {
            classes: ["ill", "well"]
                .map(|class| ClassCount { class: class.into(), train: 40, validation: 20, test: 20 })
                .to_vec(),
            has_groups: false,
            groups_across_splits: 0,
            duplicates_across_splits: 0,
            groups_trained_and_measured: 0,
            duplicates_trained_and_measured: 0,
            trained_and_measured: Vec::new(),
            conflicting_labels: 0,
            examples: Vec::new(),
        },
    };
    let columns = vec![("sex".to_owned(), (0..40).map(|i| ["F", "M"][i % 3 / 2].to_owned()).collect())];
    Evaluation {
        facts,
        predictions,
        validation: Some(self::predictions(20)),
        samples: Samples { groups: None, columns },
        errors: vec![ErrorPictures { sample: 0, picture: picture.clone(), heat: vec![("fusion-4".into(), picture)] }],
        epochs: vec![EpochScores { epoch: 1.0, train_loss: 0.7, train_accuracy: 0.5, ..EpochScores::default() }],
    }
}
