//! Where the time of one run goes.

use std::{fmt, time::Instant};

use candle_core::Device;
use hemf_kernels::{Cost, Pass, profile};
use hemf_train::{Error, Precision};
use serde::Serialize;

use crate::{Ceilings, ceilings, subject::Subject};

/// One run, operation by operation, the longest first, and what the machine can do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Operations {
    /// Seconds of the run.
    pub total_s: f64,
    /// Seconds that are in no operation.
    pub between_s: f64,
    /// The operations.
    pub operations: Vec<Operation>,
    /// What the machine can do.
    pub ceilings: Ceilings,
}

/// All calls of an operation in one direction.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Operation {
    /// Its name.
    pub name: String,
    /// Whether it is the way back.
    pub backward: bool,
    /// Calls.
    pub calls: usize,
    /// Seconds of all calls together.
    pub seconds: f64,
    /// Its share of the run.
    pub share: f64,
    /// Multiplications and additions in matrix products, as they were done, per second, in GFLOP/s.
    pub gflops: f64,
    /// Tensors in and out, per second, in GB/s.
    pub gb_s: f64,
}

impl Operations {
    pub(crate) fn of(subject: &mut Subject) -> Result<Self, Error> {
        let begun = Instant::now();
        let (optimizer_s, costs) = profile(|| subject.run());
        let (total_s, optimizer_s) = (begun.elapsed().as_secs_f64(), optimizer_s?);
        let line = |name: &str, backward, cost: &Cost| Operation {
            name: name.to_owned(),
            backward,
            calls: cost.calls,
            seconds: cost.seconds,
            share: cost.seconds / total_s,
            gflops: 2.0 * cost.multiply_adds as f64 / cost.seconds / 1e9,
            gb_s: cost.bytes as f64 / cost.seconds / 1e9,
        };
        let mut operations: Vec<_> =
            costs.iter().map(|((name, pass), cost)| line(name, *pass == Pass::Backward, cost)).collect();
        if optimizer_s > 0.0 {
            operations.push(line("optimizer", false, &Cost { calls: 1, seconds: optimizer_s, ..Cost::default() }));
        }
        operations.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        let inside: f64 = operations.iter().map(|operation| operation.seconds).sum();
        Ok(Self { total_s, between_s: total_s - inside, operations, ceilings: ceilings(&Device::Cpu, Precision::F32)? })
    }
}

/// A table.
impl fmt::Display for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |seconds: f64| seconds * 1e3;
        writeln!(f, "{:28} {:>6} {:>10} {:>7} {:>9} {:>7}", "operation", "calls", "ms", "share", "GFLOP/s", "GB/s")?;
        for operation in &self.operations {
            let name = format!("{}{}", operation.name, if operation.backward { ", backward" } else { "" });
            let Operation { calls, share, gflops, gb_s, .. } = operation;
            let ms = ms(operation.seconds);
            let rate = |value: f64| if value > 0.0 { format!("{value:.1}") } else { "-".to_owned() };
            let (gflops, gb_s) = (rate(*gflops), rate(*gb_s));
            writeln!(f, "{name:28} {calls:>6} {ms:>10.2} {:>6.1}% {gflops:>9} {gb_s:>7}", 100.0 * share)?;
        }
        let (between, share) = (ms(self.between_s), 100.0 * self.between_s / self.total_s);
        writeln!(f, "{:28} {:>6} {between:>10.2} {share:>6.1}%", "between operations", "")?;
        let Ceilings { product_gflops, copy_gb_s } = self.ceilings;
        writeln!(f, "{:28} {:>6} {:>10.2}", "in all", "", ms(self.total_s))?;
        writeln!(
            f,
            "{:28} {:>6} {:>10} {:>7} {product_gflops:>9.1} {copy_gb_s:>7.1}",
            "what the machine can do", "", "", ""
        )
    }
}
