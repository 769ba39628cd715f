//! Cross entropy of logits x (B, K) against labels or distributions over classes t (B, K), with PyTorch's smoothing and
//! class weights, and the focal loss (Lin et al., 2017) as its general form.
//!
//! A label is the distribution that is 1 at it. With w_k the class weights (1 where none are given), e the smoothing and
//! W = sum over b, k of w_k t_bk, the targets are
//!
//! - T_bk = ((1 - e) w_k t_bk + e w_k / K) / W
//!
//! and the loss, a weighted mean over the batch, is, with the focus f (0 for plain cross entropy)
//!
//! - p_b = softmax over k of x_b
//! - loss = - sum over b, k of T_bk (1 - p_bk)^f ln p_bk
//!
//! With g the gradient of the loss, and h_bk = T_bk (f p_bk (1 - p_bk)^(f - 1) ln p_bk - (1 - p_bk)^f):
//!
//! - dx_bk = g (h_bk - p_bk sum over k of h_bk), since d p_k / d x_j = p_k (\[k = j\] - p_j)
//!
//! which is g (p_bk sum over k of T_bk - T_bk) where f is 0; with neither smoothing nor weights, (p - t) g / B.

mod composed;
mod cpu;
mod cuda;
#[cfg(test)]
mod tests;

use crate::host::{self, host, native, tensor};
use crate::tape::{self, Needs};
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Tensor, bail};

/// What cross entropy may be told besides logits and targets; by default nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct CrossEntropyOptions<'a> {
    /// The share of each target that is spread over all classes, from 0 to 1.
    pub label_smoothing: f32,
    /// How much each class counts (K); the mean divides by the weights of the targets at hand.
    pub class_weights: Option<&'a [f32]>,
    /// How much less an image counts the surer it is got right: the focal loss's exponent, from 0 (all alike).
    pub focus: f32,
}

/// `logits` (B, K), `labels` (B), u32 -> the mean loss, a scalar. The labels are read to the host; the loss is summed in
/// f64.
///
/// Fails when a label is not below K, an option is out of range, or the labels at hand weigh nothing.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor, options: &CrossEntropyOptions) -> Result<Tensor> {
    let (batch, classes) = logits.dims2()?;
    if labels.dtype() != DType::U32 || labels.dims() != [batch] {
        bail!("cross_entropy: labels are u32 ({batch}), not {:?} {:?}", labels.dtype(), labels.dims());
    }
    let labels = labels.to_vec1::<u32>()?;
    if let Some(label) = labels.iter().find(|&&label| label as usize >= classes) {
        bail!("cross_entropy: label {label} is not below the number of classes, {classes}");
    }
    let mut shares = vec![0.0; batch * classes];
    for (row, label) in shares.chunks_exact_mut(classes.max(1)).zip(labels) {
        row[label as usize] = 1.0;
    }
    weighed(logits, shares, options)
}

/// `logits` (B, K), `targets` (B, K), the share of each class in each image -> the mean loss, a scalar. A row that is 1
/// at a label and 0 elsewhere is that label. (PyTorch divides such a loss by B even where there are class weights; here
/// the mean is the same for labels and for distributions.)
///
/// Fails when a row is no distribution (from 0, sum 1 within 1e-4), an option is out of range, or the targets weigh
/// nothing.
pub fn soft_cross_entropy(logits: &Tensor, targets: &Tensor, options: &CrossEntropyOptions) -> Result<Tensor> {
    let (batch, classes) = logits.dims2()?;
    if targets.dims() != [batch, classes] {
        bail!("soft_cross_entropy: targets are ({batch}, {classes}) as the logits, not {:?}", targets.dims());
    }
    let shares = targets.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
    let distribution =
        |row: &[f64]| row.iter().all(|share| *share >= 0.0) && (row.iter().sum::<f64>() - 1.0).abs() < 1e-4;
    if let Some(row) = shares.chunks_exact(classes.max(1)).position(|row| !distribution(row)) {
        bail!("soft_cross_entropy: row {row} of the targets is no distribution: shares are from 0 and sum to 1");
    }
    weighed(logits, shares, options)
}

/// The loss for a distribution over classes per row, `shares` (B, K).
fn weighed(logits: &Tensor, mut shares: Vec<f64>, options: &CrossEntropyOptions) -> Result<Tensor> {
    let (batch, classes) = logits.dims2()?;
    apply_options(&mut shares, classes, options)?;
    let focus = f64::from(options.focus);
    if crate::cuda::suits(&[logits]) {
        let shares: Vec<f32> = shares.into_iter().map(|share| share as f32).collect();
        let targets = Tensor::from_vec(shares, (batch, classes), logits.device())?;
        return crate::cuda::apply(cuda::OnGpu { targets, focus: options.focus }, Needs::Inputs, &[logits]);
    }
    if !native(logits) {
        let targets = Tensor::from_vec(shares, (batch, classes), &Device::Cpu)?;
        return composed::cross_entropy(logits, &targets, focus);
    }
    tape::apply1(CrossEntropy { targets: shares, classes, focus }, Needs::Inputs, &logits.contiguous()?)
}

/// Turns the shares t into the targets T.
fn apply_options(shares: &mut [f64], classes: usize, options: &CrossEntropyOptions) -> Result<()> {
    let &CrossEntropyOptions { label_smoothing, class_weights, focus } = options;
    if shares.is_empty() {
        bail!("cross_entropy: no labels");
    }
    if !(0.0..=1.0).contains(&label_smoothing) {
        bail!("cross_entropy: label smoothing is from 0 to 1, not {label_smoothing}");
    }
    if !(focus >= 0.0 && focus.is_finite()) {
        bail!("cross_entropy: focus is a number from 0, not {focus}");
    }
    let weights: Vec<f64> = match class_weights {
        None => vec![1.0; classes],
        Some(weights) if weights.len() != classes => {
            bail!("cross_entropy: {} class weights for {classes} classes", weights.len())
        }
        Some(weights) => weights.iter().copied().map(f64::from).collect(),
    };
    if let Some(weight) = weights.iter().find(|w| !w.is_finite() || **w < 0.0) {
        bail!("cross_entropy: a class weight is finite and not negative, not {weight}");
    }
    let weight_of = |row: &[f64]| -> f64 { row.iter().zip(&weights).map(|(share, weight)| share * weight).sum() };
    let total: f64 = shares.chunks_exact(classes).map(weight_of).sum();
    if total == 0.0 {
        bail!("cross_entropy: all labels of this batch are of classes of weight 0");
    }
    let smoothing = f64::from(label_smoothing);
    for row in shares.chunks_exact_mut(classes) {
        for (share, weight) in row.iter_mut().zip(&weights) {
            *share = smoothing * weight / classes as f64 / total + (1.0 - smoothing) * weight * *share / total;
        }
    }
    Ok(())
}

struct CrossEntropy {
    targets: Vec<f64>,
    classes: usize,
    focus: f64,
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let loss = cpu::forward(host::slice(logits, layout)?, &self.targets, self.classes, self.focus);
        host::output(vec![loss], ())
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let g = f64::from(g.to_scalar::<f32>()?);
        let gradient = cpu::backward(&host(logits)?, &self.targets, self.classes, self.focus, g);
        tensor(gradient, logits.shape()).map(Some)
    }
}
