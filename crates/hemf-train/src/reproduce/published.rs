//! The figures of the paper, in per cent, and coefficients as they are.

/// A row of the paper's tables; what a table does not have is not there.
pub(super) type Figures = &'static [(&'static str, f64)];

pub(super) const HEMF_ISIC2018: Figures = &[
    ("accuracy", 87.34),
    ("macro.precision", 80.42),
    ("macro.recall", 77.59),
    ("macro.f1", 78.89),
    ("mcc", 75.53),
    ("kappa", 75.51),
];
/// Means of two folds.
pub(super) const HEMF_KVASIR: Figures = &[("accuracy", 87.03), ("macro.f1", 87.02), ("mcc", 85.22), ("kappa", 85.17)];
pub(super) const HEMF_COVID19_CT: Figures =
    &[("accuracy", 82.26), ("macro.precision", 82.18), ("macro.recall", 82.22), ("macro.f1", 82.20)];
pub(super) const CAME_ISIC2018: Figures = &[("accuracy", 84.17), ("macro.f1", 74.43)];
pub(super) const CAME_KVASIR: Figures = &[("accuracy", 85.68), ("macro.f1", 85.68)];
pub(super) const CAME_COVID19_CT: Figures = &[("accuracy", 78.49), ("macro.f1", 78.47)];
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
