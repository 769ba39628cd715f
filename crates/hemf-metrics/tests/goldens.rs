//! Every number that scikit-learn gave for the golden prediction sets, to 1e-12.
//!
//! The cases come from the manifest of `$HEMF_GOLDENS`, of the shared goldens beside the repository, or of the small set
//! inside it, whichever is there first. Every field of a case is checked; one that this test does not know fails it.

use hemf_metrics::{Averages, ClassReport, KappaWeights, Predictions, Report, RocCurve, Score, Undefined};
use serde_json::Value;
use std::path::PathBuf;

const TOLERANCE: f64 = 1e-12;

fn folder() -> PathBuf {
    let workspace = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    match std::env::var_os("HEMF_GOLDENS") {
        Some(folder) => folder.into(),
        None => [workspace.join("../shared/goldens"), workspace.join("goldens")]
            .into_iter()
            .find(|folder| folder.join("metrics/manifest.json").exists())
            .expect("the repository holds goldens/metrics/manifest.json"),
    }
}

fn read(path: &std::path::Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn every_field_of_every_case_agrees_with_scikit_learn() {
    let folder = folder();
    let manifest = read(&folder.join("metrics/manifest.json"));
    let files = manifest["cases"].as_array().unwrap().iter();
    let files = files.map(|case| folder.join(case["file"].as_str().unwrap()));
    let (mut cases, mut compared, mut largest) = (0, 0, 0.0f64);
    for file in files.filter(|file| file.exists()) {
        let golden = read(&file);
        let mut case = Case::new(&golden);
        case.check_all(&golden);
        println!(
            "{:<26} {:>6} values, largest error {:.1e} of what is allowed 1",
            case.name, case.compared, case.largest
        );
        assert!(case.failures.is_empty(), "{}", case.failures.join("\n"));
        cases += 1;
        compared += case.compared;
        largest = largest.max(case.largest);
    }
    assert!(cases > 0, "no golden case in {}", folder.display());
    println!("{cases} cases, {compared} values, largest error {largest:.1e}");
}

/// A golden case beside what we compute for it.
struct Case {
    name: String,
    predictions: Predictions,
    report: Report,
    compared: usize,
    /// In units of the tolerance.
    largest: f64,
    failures: Vec<String>,
}

impl Case {
    fn new(golden: &Value) -> Self {
        let predictions = predictions(golden, Rows::AsGiven);
        Self {
            name: golden["name"].as_str().unwrap().to_owned(),
            report: Report::new(&predictions),
            predictions,
            compared: 0,
            largest: 0.0,
            failures: Vec::new(),
        }
    }

    /// Compares exactly.
    fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, found: T, expected: T) {
        self.compared += 1;
        if found != expected {
            self.failures.push(format!("{}: {what}: {found:?}, expected {expected:?}", self.name));
        }
    }

    /// Compares a score with a number, `null` or "NaN".
    fn score(&mut self, what: &str, found: Score, expected: &Value) {
        self.compared += 1;
        let error = match (found, number(expected)) {
            (Score::Defined(found), Some(expected)) if found == expected => 0.0,
            (Score::Defined(found), Some(expected)) => {
                (found - expected).abs() / (TOLERANCE + TOLERANCE * expected.abs())
            }
            (Score::Undefined(_), None) => 0.0,
            _ => f64::INFINITY,
        };
        self.largest = self.largest.max(error);
        if error > 1.0 {
            self.failures.push(format!("{}: {what}: {found:?}, expected {expected}", self.name));
        }
    }

    /// Compares a score where scikit-learn gives 0 for what is undefined.
    fn score_or_zero(&mut self, what: &str, found: Score, expected: &Value) {
        self.score(what, Score::Defined(found.or_zero()), expected);
    }

    fn check_all(&mut self, golden: &Value) {
        for (field, value) in golden.as_object().unwrap() {
            self.check(field, value, golden);
        }
    }

    fn check(&mut self, field: &str, value: &Value, golden: &Value) {
        let report = self.report.clone();
        let matrix = self.predictions.confusion_matrix();
        match field {
            "name" | "what" | "class_names" | "y_true" | "y_score" => {}
            "balanced_accuracy_note" | "log_loss_note" | "topk_note" => {}
            "n" => self.same(field, Some(report.samples), value.as_u64()),
            "k" => self.same(field, Some(report.classes.len() as u64), value.as_u64()),
            "y_pred" => self.same(field, self.predictions.predicted(), indices(value)),
            "classification_report_dict" => self.report_dict(value),
            "classification_report_text_digits4" => {
                let table = report.classification_table(4);
                self.same(field, table.as_str(), value.as_str().unwrap());
            }
            "reference_call" => self.reference_call(value),
            "confusion_matrix" => self.same(field, report.confusion_matrix, counts(value)),
            "confusion_matrix_row_normalised" => {
                for (class, row) in array(value).iter().enumerate() {
                    let shares = matrix.row_shares(class);
                    for (predicted, expected) in array(row).iter().enumerate() {
                        let share = shares.as_ref().map(|row| Score::Defined(row[predicted]));
                        let share = share.unwrap_or(Score::Undefined(Undefined::NoPositives));
                        self.score(field, share, expected);
                    }
                }
            }
            "accuracy" => self.score(field, report.accuracy, value),
            "balanced_accuracy" => self.score(field, report.balanced_accuracy, value),
            "matthews_corrcoef" => self.score_or_zero(field, report.mcc, value),
            "cohen_kappa" => self.score(field, report.kappa, value),
            "cohen_kappa_linear" => self.score(field, matrix.kappa(KappaWeights::Linear), value),
            "cohen_kappa_quadratic" => self.score(field, report.kappa_quadratic, value),
            "per_class" => {
                self.same(field, array(value).len(), report.classes.len());
                let classes = array(value).iter().zip(&report.classes);
                for (class, (expected, found)) in classes.enumerate() {
                    self.class(class, found, expected);
                }
            }
            "auc_macro_over_defined_classes" => {
                self.score(field, report.macro_average.auc, value);
            }
            "auc_weighted_over_defined_classes" => self.score(field, report.weighted.auc, value),
            "average_precision_macro_over_defined_classes" => {
                self.score(field, report.macro_average.average_precision, value);
            }
            "micro" => self.micro(value),
            // scikit-learn makes the mean NaN as soon as one class has no area.
            "sklearn_roc_auc_ovr_macro" => {
                let missing = report.classes.iter().find_map(|class| class.auc.reason());
                let mean = missing.map_or(report.macro_average.auc, Score::Undefined);
                self.score(field, mean, value);
            }
            // Made with rows divided by their sum, which takes ties between samples apart (case "ties").
            "sklearn_roc_auc_ovo_macro" => {
                let normalised = predictions(golden, Rows::Normalised);
                self.score(field, normalised.one_vs_one_auc(), value);
            }
            "log_loss" | "sklearn_log_loss" => self.score(field, report.log_loss, value),
            "brier_multiclass_sum" => self.score(field, report.brier, value),
            "topk_accuracy" => {
                for (k, expected) in value.as_object().unwrap() {
                    let k: usize = k.parse().unwrap();
                    self.score(field, self.predictions.top_k_accuracy(k), expected);
                    if k < report.classes.len() {
                        self.score(field, report.top_k_accuracy[&k], expected);
                    }
                }
            }
            // scikit-learn lets the higher class index go first: ours with the classes in reverse.
            "sklearn_top_k" => {
                let reversed = predictions(golden, Rows::Reversed);
                for (k, expected) in value.as_object().unwrap() {
                    let found = reversed.top_k_accuracy(k.parse().unwrap());
                    self.score(field, found, expected);
                }
            }
            "ece15" => self.score(field, report.calibration.ece, value),
            "mce15" => self.score(field, report.calibration.mce, value),
            "ece15_bins" => {
                self.same(field, array(value).len(), report.calibration.bins.len());
                let bins = array(value).iter().zip(&report.calibration.bins);
                for (index, (expected, bin)) in bins.enumerate() {
                    self.same(field, Some(index as u64), expected["bin"].as_u64());
                    self.same(field, Some(bin.count), expected["count"].as_u64());
                    self.score(field, bin.accuracy, &expected["accuracy"]);
                    self.score(field, bin.confidence, &expected["confidence"]);
                }
            }
            unknown => self.failures.push(format!("{}: unknown field {unknown}", self.name)),
        }
    }

    fn report_dict(&mut self, expected: &Value) {
        let report = self.report.clone();
        let mut rows = vec![
            ("macro avg", averages(&report.macro_average), report.samples),
            ("weighted avg", averages(&report.weighted), report.samples),
        ];
        for class in &report.classes {
            rows.push((&class.class, [class.precision, class.recall, class.f1], class.support));
        }
        self.score("accuracy", report.accuracy, &expected["accuracy"]);
        // Every row of theirs is one of ours.
        self.same("rows of the report", expected.as_object().unwrap().len(), rows.len() + 1);
        for (name, scores, support) in rows {
            let expected = &expected[name];
            for (score, found) in ["precision", "recall", "f1-score"].into_iter().zip(scores) {
                self.score_or_zero(&format!("{score} of {name}"), found, &expected[score]);
            }
            self.same(name, Some(support as f64), expected["support"].as_f64());
        }
    }

    /// The published script does not pass the labels: scikit-learn then knows only classes that occur or are predicted,
    /// and refuses when that are fewer than there are names. Ours is the report over all names.
    fn reference_call(&mut self, expected: &Value) {
        let rows = &self.report.confusion_matrix;
        let classes = &self.report.classes;
        let occurring: Vec<usize> =
            (0..classes.len()).filter(|&class| classes[class].support + classes[class].predicted > 0).collect();
        let select = |row: &Vec<u64>| occurring.iter().map(|&class| row[class]).collect();
        let matrix: Vec<Vec<u64>> = occurring.iter().map(|&class| select(&rows[class])).collect();
        let (given, names) = (occurring.len(), classes.len());
        self.same("reference matrix", matrix, counts(&expected["confusion_matrix"]));
        match &expected["text"] {
            Value::String(text) => {
                let table = self.report.classification_table(4);
                self.same("reference text", table.as_str(), text);
            }
            error => {
                self.same("reference error", Some("ValueError"), error["error"].as_str());
                let message = format!(
                    "Number of classes, {given}, does not match size of target_names, {names}. \
                     Try specifying the labels parameter"
                );
                self.same("reference error", Some(message.as_str()), error["message"].as_str());
            }
        }
    }

    fn class(&mut self, index: usize, found: &ClassReport, expected: &Value) {
        let curve = self.predictions.one_vs_rest(index);
        for (field, value) in expected.as_object().unwrap() {
            let what = format!("{field} of {}", found.class);
            let count = value.as_u64();
            match field.as_str() {
                "cls" => self.same(&what, Some(index as u64), count),
                "positives" => self.same(&what, Some(found.support), count),
                "tp" => self.same(&what, Some(found.true_positives), count),
                "fp" => self.same(&what, Some(found.false_positives), count),
                "fn" => self.same(&what, Some(found.false_negatives), count),
                "tn" => self.same(&what, Some(found.true_negatives), count),
                "specificity" => self.score(&what, found.specificity, value),
                "npv" => self.score(&what, found.npv, value),
                "roc" => {
                    self.points(&what, &curve.corners(), value);
                    let all = value["points_without_drop_intermediate"].as_u64();
                    self.same(&what, Some(curve.points().len() as u64), all);
                    self.same(&what, value.as_object().unwrap().len(), 4);
                }
                "auc" => {
                    self.score(&what, found.auc, value);
                    self.score(&what, curve.corners().auc(), value);
                }
                "average_precision" => self.score(&what, found.average_precision, value),
                "pr_auc_trapezoid" => self.score(&what, found.precision_recall_area, value),
                // Thresholds and the end at recall 0, precision 1: as many as the ROC curve has.
                "pr_points" => self.same(&what, Some(curve.points().len() as u64), count),
                "brier_ovr" => self.score(&what, found.brier, value),
                unknown => self.failures.push(format!("{}: unknown field {unknown}", self.name)),
            }
        }
    }

    fn micro(&mut self, expected: &Value) {
        let corners = self.predictions.micro().corners();
        let micro = self.report.micro.clone();
        for (field, value) in expected.as_object().unwrap() {
            match field.as_str() {
                "auc" => self.score("micro auc", micro.auc, value),
                "average_precision" => self.score("micro ap", micro.average_precision, value),
                "roc_points" => {
                    self.same("micro", Some(corners.points().len() as u64), value.as_u64());
                }
                "roc_first5" => self.points("micro", &corners, value),
                unknown => self.failures.push(format!("{}: unknown field {unknown}", self.name)),
            }
        }
    }

    /// The given points are the first of the curve; all of them unless only five are given.
    fn points(&mut self, what: &str, curve: &RocCurve, expected: &Value) {
        let [rising, found, thresholds] = ["fpr", "tpr", "thresholds"].map(|field| array(&expected[field]));
        if thresholds.len() != 5 {
            self.same(&format!("points of {what}"), curve.points().len(), thresholds.len());
        }
        for (index, point) in curve.points().iter().take(thresholds.len()).enumerate() {
            self.score(what, curve.false_positive_rate(point), &rising[index]);
            self.score(what, curve.true_positive_rate(point), &found[index]);
            match &thresholds[index] {
                Value::String(text) => {
                    self.same(what, ("Infinity", f64::INFINITY), (text, point.threshold));
                }
                threshold => self.score(what, Score::Defined(point.threshold), threshold),
            }
        }
    }
}

/// What is done to the scores of a case.
#[derive(PartialEq)]
enum Rows {
    AsGiven,
    /// The classes in reverse order.
    Reversed,
    /// Each row divided by its sum.
    Normalised,
}

fn predictions(golden: &Value, change: Rows) -> Predictions {
    let mut classes: Vec<String> =
        array(&golden["class_names"]).iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    let mut truth = indices(&golden["y_true"]);
    let mut rows: Vec<Vec<f64>> = array(&golden["y_score"])
        .iter()
        .map(|row| array(row).iter().map(|score| number(score).unwrap()).collect())
        .collect();
    if change == Rows::Normalised {
        for row in &mut rows {
            let sum: f64 = row.iter().sum();
            row.iter_mut().for_each(|score| *score /= sum);
        }
    }
    if change == Rows::Reversed {
        classes.reverse();
        truth.iter_mut().for_each(|class| *class = classes.len() - 1 - *class);
        rows.iter_mut().for_each(|row| row.reverse());
    }
    let ids = (0..truth.len()).map(|sample| sample.to_string()).collect();
    Predictions::new(classes, ids, truth, rows.concat()).unwrap()
}

fn averages(averages: &Averages) -> [Score; 3] {
    [averages.precision, averages.recall, averages.f1]
}

fn array(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

/// `None` for `null` and "NaN".
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Null => None,
        Value::String(text) if text == "NaN" => None,
        value => Some(value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))),
    }
}

fn indices(value: &Value) -> Vec<usize> {
    array(value).iter().map(|index| index.as_u64().unwrap() as usize).collect()
}

fn counts(value: &Value) -> Vec<Vec<u64>> {
    let row = |row: &Value| array(row).iter().map(|count| count.as_u64().unwrap()).collect();
    array(value).iter().map(row).collect()
}
