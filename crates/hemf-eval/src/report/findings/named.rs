//! Scores by their names.

use hemf_metrics::{Predictions, Report};
use serde_json::Value;

use super::Findings;

impl Findings {
    /// The score at a place in `report.json`, with dots for nested ones (`macro.f1`) and the class after a colon for
    /// those of a class (`recall:MEL`).
    ///
    /// # Errors
    /// A sentence that names the scores there are, or why this one has no value.
    pub fn score(&self, name: &str) -> Result<f64, String> {
        score(&self.report, name)?.ok_or_else(|| {
            let (path, class) = parts(name);
            let undefined = self.report.undefined.iter().find(|u| u.score == path && u.class.as_deref() == class);
            undefined.map_or("unknown why", |undefined| undefined.reason.as_str()).to_owned()
        })
    }
}

/// Checks that reports of these classes have a score of that name ([`Findings::score`]), before anything is measured.
///
/// # Errors
/// A sentence that names the scores there are.
pub fn check_score(name: &str, classes: &[String]) -> Result<(), String> {
    // The report of an image of each class has what every report has.
    let count = classes.len();
    let ids = (0..count).map(|i| i.to_string()).collect();
    let scores = (0..count * count).map(|i| if i / count == i % count { 1.0 } else { 0.0 }).collect();
    let predictions = Predictions::new(classes.to_vec(), ids, (0..count).collect(), scores);
    let report = Report::new(&predictions.map_err(|error| error.to_string())?);
    score(&report, name).map(|_| ())
}

/// Place in the report, and class.
fn parts(name: &str) -> (&str, Option<&str>) {
    name.split_once(':').map_or((name, None), |(path, class)| (path, Some(class)))
}

/// `None` where it is undefined.
fn score(report: &Report, name: &str) -> Result<Option<f64>, String> {
    let json = serde_json::to_value(report).map_err(|error| error.to_string())?;
    let (path, class) = parts(name);
    let root = match class {
        None => Some(&json),
        Some(class) => json["classes"].as_array().and_then(|all| all.iter().find(|c| c["class"] == class)),
    };
    match root.and_then(|root| path.split('.').try_fold(root, |here, key| here.get(key))) {
        Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => Ok(number.as_f64()),
        _ => Err(format!(
            "there is no score \"{name}\": accuracy, balanced_accuracy, mcc, kappa, macro.f1, macro.auc, weighted.f1, \
             micro.auc and the like of report.json, or recall:CLASS, precision:CLASS, auc:CLASS of one of {}",
            report.classes.iter().map(|class| class.class.as_str()).collect::<Vec<_>>().join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_before_anything_is_measured() {
        let classes = ["ill", "well", "unsure"].map(str::to_owned);
        for name in ["accuracy", "macro.f1", "recall:ill", "top_k_accuracy.2", "calibration.ece", "log_loss"] {
            assert_eq!(check_score(name, &classes), Ok(()), "{name}");
        }
        for name in ["acuracy", "recall:il", "recall", "macro", "top_k_accuracy.3", "classes", ""] {
            let message = check_score(name, &classes).unwrap_err();
            assert!(message.contains(&format!("no score \"{name}\"")) && message.ends_with("ill, well, unsure"));
        }
    }
}
