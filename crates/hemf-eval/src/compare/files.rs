//! A comparison as files.

use std::path::Path;

use hemf_metrics::{RocCurves, plot};
use hemf_train::Error;

use super::ComparedRuns;
use crate::files::{write, write_csv};

impl ComparedRuns {
    /// As JSON, indented.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers, texts and string keys always serialise") + "\n"
    }

    /// Writes into `folder`: `compare.json`, `compare.txt`, `changed.csv`, and the mean ROC curves as `roc.svg`, `.png` and
    /// `.csv`.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        write(&folder.join("compare.json"), self.to_json().as_bytes())?;
        write(&folder.join("compare.txt"), self.to_text().as_bytes())?;
        let names = self.runs.iter().map(|run| run.run.clone());
        let curves: Vec<(String, RocCurves)> = names.zip(self.predictions.iter().map(RocCurves::new)).collect();
        plot::roc_of_runs(&curves).write(folder, "roc")?;
        let table = |name: &str, rows: Vec<Vec<String>>| {
            write_csv(&folder.join(name), |csv| rows.iter().try_for_each(|row| csv.write_record(row)))
        };
        table("roc.csv", roc_rows(&curves))?;
        table("changed.csv", self.changed_rows())
    }

    fn changed_rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![["first", "second", "id", "change"].map(str::to_owned).to_vec()];
        for pair in &self.pairs {
            for (ids, change) in [(&pair.right_to_wrong, "right to wrong"), (&pair.wrong_to_right, "wrong to right")] {
                rows.extend(
                    ids.iter().map(|id| vec![pair.first.clone(), pair.second.clone(), id.clone(), change.to_owned()]),
                );
            }
        }
        rows
    }
}

fn roc_rows(curves: &[(String, RocCurves)]) -> Vec<Vec<String>> {
    let mut rows = vec![["run", "false_positive_rate", "true_positive_rate"].map(str::to_owned).to_vec()];
    for (run, curves) in curves {
        let points = curves.macro_curve().into_iter();
        rows.extend(points.map(|(fpr, tpr)| vec![run.clone(), fpr.to_string(), tpr.to_string()]));
    }
    rows
}
