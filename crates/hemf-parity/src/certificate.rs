//! What the comparison found.

use crate::goldens::{Error, Tolerance, values};
use candle_core::Tensor;
use serde::Serialize;
use std::fmt;

/// The result of all cases.
#[derive(Clone, Debug, Serialize)]
pub struct Certificate {
    /// In the order in which they ran.
    pub cases: Vec<Case>,
}

impl Certificate {
    /// Whether every value of every case lies within its tolerance.
    pub fn passed(&self) -> bool {
        self.cases.iter().all(Case::passed)
    }
}

/// The result of one case.
#[derive(Clone, Debug, Serialize)]
pub struct Case {
    /// Its file, or what it is.
    pub name: String,
    /// Of outputs, losses and running statistics.
    pub forward: Errors,
    /// Of the gradients of inputs and parameters.
    pub gradient: Errors,
    /// Gradients beyond their tolerance in f32 for a reason that is none of ours: see [`Kinks`].
    pub kinks: Option<Kinks>,
    /// What lies beyond its tolerance.
    pub failures: Vec<String>,
}

/// ReLU and maximum have kinks: a value within rounding of one may fall on its other side, and then the gradient behind
/// it takes another way. No f32 implementation can rule that out in a network of millions of such values. A gradient
/// beyond its tolerance passes as a kink when the same network in f64, by the composed form of every operation, lies
/// within the tolerance, and the f32 gradient within [`Kinks::REACH`] of it.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Kinks {
    /// Tensors to which this applies.
    pub tensors: usize,
    /// In f64, max |a - b| / (atol + rtol |b|) of these.
    pub of_tolerance: f64,
}

impl Kinks {
    /// Of the largest value of a gradient: what a kink may move. A wrong formula moves it by all of it.
    pub const REACH: f64 = 0.2;
}

/// The largest errors of a group of tensors.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Errors {
    /// Tensors compared.
    pub tensors: usize,
    /// max |a - b|
    pub absolute: f64,
    /// max |a - b| / max |b| of a tensor
    pub relative: f64,
    /// max |a - b| / (atol + rtol |b|): up to 1 passes
    pub of_tolerance: f64,
}

/// Whether a tensor belongs to the forward pass or to the gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    Forward,
    Gradient,
}

impl Case {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            forward: Errors::default(),
            gradient: Errors::default(),
            kinks: None,
            failures: vec![],
        }
    }

    /// Whether all values lie within their tolerances.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    pub(crate) fn compare(
        &mut self,
        what: &str,
        pass: Pass,
        got: &Tensor,
        want: &Tensor,
        t: Tolerance,
    ) -> Result<(), Error> {
        self.compare_values(what, pass, &values(got)?, &values(want)?, t);
        Ok(())
    }

    pub(crate) fn compare_values(&mut self, what: &str, pass: Pass, got: &[f64], want: &[f64], t: Tolerance) {
        let distance = Distance::between(got, want, t);
        self.add(pass, distance);
        if distance.of_tolerance > 1.0 {
            self.fail(format!(
                "{what}: off by {:.2e}, {:.1} times the tolerance",
                distance.absolute, distance.of_tolerance
            ));
        }
    }

    /// A gradient that missed its tolerance in f32; `exact` is the same in f64.
    pub(crate) fn compare_kink(&mut self, what: &str, got: &[f64], exact: &[f64], want: &[f64], t: Tolerance) {
        let (distance, confirmed) = (Distance::between(got, want, t), Distance::between(exact, want, t));
        self.add(Pass::Gradient, distance);
        if confirmed.of_tolerance > 1.0 || distance.relative > Kinks::REACH {
            self.fail(format!(
                "{what}: off by {:.2e}, {:.1} times the tolerance; in f64 {:.2e}, {:.1} times",
                distance.absolute, distance.of_tolerance, confirmed.absolute, confirmed.of_tolerance
            ));
            return;
        }
        let kinks = self.kinks.get_or_insert_default();
        kinks.tensors += 1;
        kinks.of_tolerance = kinks.of_tolerance.max(confirmed.of_tolerance);
    }

    fn add(&mut self, pass: Pass, distance: Distance) {
        let errors = match pass {
            Pass::Forward => &mut self.forward,
            Pass::Gradient => &mut self.gradient,
        };
        errors.tensors += 1;
        errors.absolute = errors.absolute.max(distance.absolute);
        errors.relative = errors.relative.max(distance.relative);
        errors.of_tolerance = errors.of_tolerance.max(distance.of_tolerance);
    }

    pub(crate) fn fail(&mut self, why: String) {
        self.failures.push(why);
    }
}

/// How far one tensor is from another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Distance {
    absolute: f64,
    relative: f64,
    pub(crate) of_tolerance: f64,
}

impl Distance {
    pub(crate) fn between(got: &[f64], want: &[f64], t: Tolerance) -> Self {
        let (mut absolute, mut of_tolerance) = (0f64, 0f64);
        if got.len() != want.len() {
            return Self { absolute: f64::INFINITY, relative: f64::INFINITY, of_tolerance: f64::INFINITY };
        }
        for (a, b) in got.iter().zip(want) {
            // A NaN is infinitely far from everything.
            let distance = if (a - b).is_nan() { f64::INFINITY } else { (a - b).abs() };
            absolute = absolute.max(distance);
            of_tolerance = of_tolerance.max(distance / (t.atol + t.rtol * b.abs()));
        }
        let scale = want.iter().fold(0f64, |m, b| m.max(b.abs()));
        Self { absolute, relative: if scale > 0.0 { absolute / scale } else { 0.0 }, of_tolerance }
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.cases.iter().map(|c| c.name.len()).max().unwrap_or(0).max(4);
        writeln!(f, "{:width$}  forward                          gradient                         verdict", "")?;
        let columns = "tensors  absolute  relative  /tol";
        writeln!(f, "{:width$}  {columns}  {columns}", "case")?;
        for case in &self.cases {
            let verdict = if case.passed() { "pass" } else { "FAIL" };
            writeln!(f, "{:width$}  {}  {}  {verdict}", case.name, case.forward, case.gradient)?;
            if let Some(Kinks { tensors, of_tolerance }) = case.kinks {
                writeln!(
                    f,
                    "{:width$}  {tensors} gradients beyond a kink; in f64 {of_tolerance:.2} of the tolerance",
                    ""
                )?;
            }
            for failure in &case.failures {
                writeln!(f, "{:width$}  {failure}", "")?;
            }
        }
        let failed = self.cases.iter().filter(|c| !c.passed()).count();
        write!(f, "{} cases, {failed} failed", self.cases.len())
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tensors == 0 {
            return write!(f, "{:>7}  {:>8}  {:>8}  {:>4}", "-", "-", "-", "-");
        }
        write!(f, "{:>7}  {:>8.1e}  {:>8.1e}  {:>4.2}", self.tensors, self.absolute, self.relative, self.of_tolerance)
    }
}
