//! The figures of the paper, in per cent, and coefficients as they are.

use super::{Network, Target};

/// A row of the paper's tables; what a table does not have is not there.
pub(super) type Figures = &'static [(&'static str, f64)];

const HEMF_ISIC2018: Figures = &[
    ("accuracy", 87.34),
    ("macro.precision", 80.42),
    ("macro.recall", 77.59),
    ("macro.f1", 78.89),
    ("mcc", 75.53),
    ("kappa", 75.51),
];
/// Means of two folds.
const HEMF_KVASIR: Figures = &[("accuracy", 87.03), ("macro.f1", 87.02), ("mcc", 85.22), ("kappa", 85.17)];
const HEMF_COVID19_CT: Figures =
    &[("accuracy", 82.26), ("macro.precision", 82.18), ("macro.recall", 82.22), ("macro.f1", 82.20)];
const CAME_ISIC2018: Figures = &[("accuracy", 84.17), ("macro.f1", 74.43)];
const CAME_KVASIR: Figures = &[("accuracy", 85.68), ("macro.f1", 85.68)];
const CAME_COVID19_CT: Figures = &[("accuracy", 78.49), ("macro.f1", 78.47)];
/// S1 to S7, on ISIC2018.
pub(super) const ABLATION: [Figures; 7] = [
    &[("accuracy", 81.17), ("macro.f1", 64.70)],
    &[("accuracy", 81.84), ("macro.f1", 66.61)],
    &[("accuracy", 82.14), ("macro.f1", 70.06)],
    &[("accuracy", 84.04), ("macro.f1", 70.80)],
    &[("accuracy", 83.41), ("macro.f1", 70.30)],
    &[("accuracy", 84.54), ("macro.f1", 72.87)],
    &[("accuracy", 87.34), ("macro.f1", 78.89)],
];

/// The row of a network on a data set, and what it is called.
pub(super) fn row(network: Network, target: Target) -> (&'static str, Figures) {
    use Network::{Came, Hemf};
    match (network, target) {
        (Hemf, Target::Kvasir) => ("HEMF, Kvasir", HEMF_KVASIR),
        (Hemf, Target::Covid19Ct) => ("HEMF, COVID19-CT", HEMF_COVID19_CT),
        (Hemf, _) => ("HEMF, ISIC2018", HEMF_ISIC2018),
        (Came, Target::Kvasir) => ("CAME, Kvasir", CAME_KVASIR),
        (Came, Target::Covid19Ct) => ("CAME, COVID19-CT", CAME_COVID19_CT),
        (Came, _) => ("CAME, ISIC2018", CAME_ISIC2018),
    }
}

/// The published row that a run stands beside, by the kind of its network (`hemf`, `came`) and its manifest's rule: what
/// it is called, and its figures by their names in reports, in per cent. `None` where nothing was published.
pub fn published_figures(kind: &str, rule: &str) -> Option<(&'static str, &'static [(&'static str, f64)])> {
    let network = match kind {
        "hemf" => Network::Hemf,
        "came" => Network::Came,
        _ => return None,
    };
    let target = match rule.split(',').next()? {
        "isic2018" => Target::Isic2018,
        "kvasir" => Target::Kvasir,
        "covid19-ct" => Target::Covid19Ct,
        _ => return None,
    };
    Some(row(network, target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_stands_beside_its_row() {
        let (row, figures) = published_figures("hemf", "kvasir, fold 1, validation 0.1").unwrap();
        assert_eq!((row, figures[0]), ("HEMF, Kvasir", ("accuracy", 87.03)));
        assert_eq!(published_figures("hemf", "stratified, train 0.7, validation 0.1, test 0.2"), None);
        assert_eq!(published_figures("other", "isic2018"), None);
    }
}
