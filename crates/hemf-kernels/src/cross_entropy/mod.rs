//! Cross entropy of logits x (B, K) against labels y (B), with PyTorch's smoothing and class weights.
//!
//! With w_k the class weights (1 where none are given), e the smoothing and W = sum over b of w_(y_b), the labels become
//! targets
//!
//! - T_bk = ((1 - e) w_k \[k = y_b\] + e w_k / K) / W
//!
//! and the loss, a weighted mean over the batch, is
//!
//! - p_b = softmax over k of x_b
//! - loss = - sum over b, k of T_bk ln p_bk
//!
//! With g the gradient of the loss: dx_bk = g (p_bk sum over k of T_bk - T_bk), since d ln p_k / d x_j = \[k = j\] - p_j.
//! Without smoothing and weights that is (p - onehot) g / B.

mod composed;
mod cpu;
#[cfg(test)]
mod tests;

use crate::host::{self, host, native, tensor};
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Tensor, bail};

/// What cross entropy may be told besides logits and labels; by default nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct CrossEntropyOptions<'a> {
    /// The share of each target that is spread over all classes, from 0 to 1.
    pub label_smoothing: f32,
    /// How much each class counts (K); the mean divides by the weights of the labels at hand.
    pub class_weights: Option<&'a [f32]>,
}

/// `logits` (B, K), `labels` (B), u32 -> the mean loss, a scalar. The labels are read to the host; the loss is summed in
/// f64.
///
/// Fails when a label is not below K, a weight or the smoothing is out of range, or the labels at hand weigh nothing.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor, options: &CrossEntropyOptions) -> Result<Tensor> {
    let (batch, classes) = logits.dims2()?;
    if labels.dtype() != DType::U32 || labels.dims() != [batch] {
        bail!("cross_entropy: labels are u32 ({batch}), not {:?} {:?}", labels.dtype(), labels.dims());
    }
    let targets = targets(&labels.to_vec1()?, classes, options)?;
    if !native(logits) {
        let targets = Tensor::from_vec(targets, (batch, classes), &Device::Cpu)?;
        return composed::cross_entropy(logits, &targets);
    }
    logits.contiguous()?.apply_op1(CrossEntropy { targets, classes })
}

/// T, (B, K).
fn targets(labels: &[u32], classes: usize, options: &CrossEntropyOptions) -> Result<Vec<f64>> {
    let &CrossEntropyOptions { label_smoothing, class_weights } = options;
    if labels.is_empty() {
        bail!("cross_entropy: no labels");
    }
    if let Some(label) = labels.iter().find(|&&label| label as usize >= classes) {
        bail!("cross_entropy: label {label} is not below the number of classes, {classes}");
    }
    if !(0.0..=1.0).contains(&label_smoothing) {
        bail!("cross_entropy: label smoothing is from 0 to 1, not {label_smoothing}");
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
    let total: f64 = labels.iter().map(|&label| weights[label as usize]).sum();
    if total == 0.0 {
        bail!("cross_entropy: all labels of this batch are of classes of weight 0");
    }
    let smoothing = f64::from(label_smoothing);
    let mut targets = Vec::with_capacity(labels.len() * classes);
    for &label in labels {
        targets.extend(weights.iter().map(|w| smoothing * w / classes as f64 / total));
        let own = targets.len() - classes + label as usize;
        targets[own] += (1.0 - smoothing) * weights[label as usize] / total;
    }
    Ok(targets)
}

struct CrossEntropy {
    targets: Vec<f64>,
    classes: usize,
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        host::output(vec![cpu::forward(host::slice(logits, layout)?, &self.targets, self.classes)], ())
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let g = f64::from(g.to_scalar::<f32>()?);
        let gradient = cpu::backward(&host(logits)?, &self.targets, self.classes, g);
        tensor(gradient, logits.shape()).map(Some)
    }
}
