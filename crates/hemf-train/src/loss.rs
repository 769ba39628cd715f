//! What training makes small.

use candle_core::{Result, Tensor};
use hemf_kernels::{CrossEntropyOptions, cross_entropy, soft_cross_entropy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The loss of a run. Validation always reports plain cross entropy, so that runs can be compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LossConfig {
    /// Cross entropy.
    CrossEntropy(CrossEntropyConfig),
    /// Cross entropy in which an image counts less the surer it is got right (Lin et al., 2017).
    Focal(FocalConfig),
}

/// Settings of cross entropy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CrossEntropyConfig {
    /// The share of each target that is spread over all classes, from 0 up to, but not including, 1.
    pub label_smoothing: f64,
    /// How much each class counts.
    pub class_weights: ClassWeights,
}

/// Settings of the focal loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FocalConfig {
    /// The exponent: 0 is cross entropy.
    pub gamma: f64,
    /// The share of each target that is spread over all classes, from 0 up to, but not including, 1.
    pub label_smoothing: f64,
    /// How much each class counts.
    pub class_weights: ClassWeights,
}

/// How much each class counts in the loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ClassWeights {
    /// All alike.
    #[serde(rename = "none")]
    Equal {},
    /// As if every class had the same number of training images: images / (classes * images of the class).
    Balanced {},
    /// As listed, in the order of the classes.
    List(WeightList),
}

/// Weights by class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WeightList {
    /// One for each class, from 0.
    pub weights: Vec<f64>,
}

impl Default for ClassWeights {
    fn default() -> Self {
        Self::Equal {}
    }
}

impl Default for LossConfig {
    fn default() -> Self {
        Self::CrossEntropy(CrossEntropyConfig::default())
    }
}

impl Default for FocalConfig {
    fn default() -> Self {
        Self { gamma: 2.0, label_smoothing: 0.0, class_weights: ClassWeights::default() }
    }
}

impl LossConfig {
    /// How much each class counts.
    pub fn class_weights(&self) -> &ClassWeights {
        match self {
            Self::CrossEntropy(config) => &config.class_weights,
            Self::Focal(config) => &config.class_weights,
        }
    }

    /// The share of each target that is spread over all classes.
    pub fn label_smoothing(&self) -> f64 {
        match self {
            Self::CrossEntropy(config) => config.label_smoothing,
            Self::Focal(config) => config.label_smoothing,
        }
    }

    /// The focal loss's exponent; 0 for cross entropy.
    pub fn gamma(&self) -> f64 {
        match self {
            Self::CrossEntropy(_) => 0.0,
            Self::Focal(config) => config.gamma,
        }
    }
}

/// What the images of a batch are.
#[derive(Clone, Copy, Debug)]
pub struct Targets<'a> {
    /// (B), u32: the class of each image; of a mixed one, the class of most of it.
    pub labels: &'a Tensor,
    /// (B, classes): the share of each class in each image, where images are mixed.
    pub shares: Option<&'a Tensor>,
}

impl<'a> From<&'a Tensor> for Targets<'a> {
    /// Labels of images that are not mixed.
    fn from(labels: &'a Tensor) -> Self {
        Self { labels, shares: None }
    }
}

/// A [`LossConfig`] for the classes of a data set.
#[derive(Clone, Debug)]
pub struct Loss {
    label_smoothing: f32,
    class_weights: Option<Vec<f32>>,
    focus: f32,
}

impl Loss {
    /// `images` is the number of training images of each class; every class has some.
    ///
    /// # Errors
    /// A message, when the list has not a weight for each class.
    pub fn new(config: &LossConfig, images: &[usize]) -> std::result::Result<Self, String> {
        let classes = images.len();
        let total: usize = images.iter().sum();
        let class_weights = match config.class_weights() {
            ClassWeights::Equal {} => None,
            ClassWeights::Balanced {} => {
                let weight = |&of_class: &usize| (total as f64 / (classes * of_class.max(1)) as f64) as f32;
                Some(images.iter().map(weight).collect())
            }
            ClassWeights::List(WeightList { weights }) if weights.len() != classes => {
                return Err(format!("{} weights, but the data set has {classes} classes", weights.len()));
            }
            ClassWeights::List(WeightList { weights }) => Some(weights.iter().map(|&weight| weight as f32).collect()),
        };
        Ok(Self { label_smoothing: config.label_smoothing() as f32, class_weights, focus: config.gamma() as f32 })
    }

    /// `logits` (B, classes) -> the mean loss of the batch, a scalar, and what the batch weighs: the number of its
    /// images, or the sum of their class weights.
    ///
    /// # Errors
    /// Labels or shares that do not fit the logits.
    pub fn of(&self, logits: &Tensor, targets: Targets<'_>) -> Result<(Tensor, f64)> {
        let class_weights = self.class_weights.as_deref();
        let options = CrossEntropyOptions { label_smoothing: self.label_smoothing, class_weights, focus: self.focus };
        let loss = match targets.shares {
            Some(shares) => soft_cross_entropy(logits, shares, &options)?,
            None => cross_entropy(logits, targets.labels, &options)?,
        };
        Ok((loss, self.weight(targets)?))
    }

    fn weight(&self, targets: Targets<'_>) -> Result<f64> {
        let Some(weights) = &self.class_weights else { return Ok(targets.labels.elem_count() as f64) };
        if let Some(shares) = targets.shares {
            let rows = shares.to_dtype(candle_core::DType::F64)?.to_vec2::<f64>()?;
            let of = |row: &Vec<f64>| -> f64 { row.iter().zip(weights).map(|(s, w)| s * f64::from(*w)).sum() };
            return Ok(rows.iter().map(of).sum());
        }
        let labels = targets.labels.to_vec1::<u32>()?;
        Ok(labels.iter().map(|&label| f64::from(weights[label as usize])).sum())
    }
}

impl Default for Loss {
    /// Plain cross entropy.
    fn default() -> Self {
        Self { label_smoothing: 0.0, class_weights: None, focus: 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn loss(weights: ClassWeights) -> std::result::Result<Loss, String> {
        let config = CrossEntropyConfig { class_weights: weights, ..CrossEntropyConfig::default() };
        Loss::new(&LossConfig::CrossEntropy(config), &[6, 2])
    }

    #[test]
    fn balanced_weights_make_classes_count_alike() {
        let balanced = loss(ClassWeights::Balanced {}).unwrap().class_weights.unwrap();
        assert_eq!(balanced, [8.0 / 12.0, 2.0]);
        assert_eq!(6.0 * balanced[0], 2.0 * balanced[1]);
        let short = loss(ClassWeights::List(WeightList { weights: vec![1.0] })).unwrap_err();
        assert_eq!(short, "1 weights, but the data set has 2 classes");
    }

    #[test]
    fn a_batch_weighs_what_its_images_weigh() {
        let loss = loss(ClassWeights::List(WeightList { weights: vec![1.0, 3.0] })).unwrap();
        let logits = Tensor::new(&[[0f32, 1.0], [2.0, 0.0]], &Device::Cpu).unwrap();
        let labels = Tensor::new(&[0u32, 1], &Device::Cpu).unwrap();
        let shares = Tensor::new(&[[1f32, 0.0], [0.5, 0.5]], &Device::Cpu).unwrap();
        assert_eq!(loss.of(&logits, (&labels).into()).unwrap().1, 4.0);
        assert_eq!(loss.of(&logits, Targets { labels: &labels, shares: Some(&shares) }).unwrap().1, 3.0);
    }
}
