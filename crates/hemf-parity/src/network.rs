//! A HEMF by the fill rule, run forward and backward in f32 or f64.

use crate::fill::{fill, fill_image};
use crate::goldens::Error;
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::VarBuilder;
use hemf_model::{Hemf, HemfConfig, Mode, ModelConfig, ParamStore, Stages};
use std::collections::HashMap;

/// What one run of a network gives.
pub(crate) struct Run {
    pub(crate) stages: Stages,
    /// Mean cross-entropy.
    pub(crate) loss: Tensor,
    /// Of the loss, by the name of the parameter; that of the images has the name "".
    pub(crate) gradients: HashMap<String, Tensor>,
    /// After the run.
    pub(crate) buffers: HashMap<String, Tensor>,
}

impl Run {
    /// In f32 by the kernels, in f64 by the composed form of each operation.
    pub(crate) fn new(
        config: &HemfConfig,
        seed: u64,
        images: &Tensor,
        labels: &Tensor,
        mode: Mode,
        dtype: DType,
    ) -> Result<Self, Error> {
        let store = filled_store(&ModelConfig::Hemf(config.clone()), seed)?;
        let typed =
            |var: Var| if var.dtype() == DType::F32 { Var::from_tensor(&var.to_dtype(dtype)?) } else { Ok(var) };
        let all: HashMap<String, Var> = (store.parameters().into_iter().chain(store.buffers()))
            .map(|(name, var)| Ok((name, typed(var)?)))
            .collect::<candle_core::Result<_>>()?;
        let shared = all.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
        let model = Hemf::new(config, VarBuilder::from_tensors(shared, dtype, &Device::Cpu))?;

        let images = Var::from_tensor(&images.to_dtype(dtype)?)?;
        let stages = model.forward_stages(&images, mode)?;
        let loss = hemf_kernels::cross_entropy(&stages.logits, &labels.to_dtype(DType::U32)?, &Default::default())?;
        let found = loss.backward()?;
        let mut gradients: HashMap<String, Tensor> =
            all.iter().filter_map(|(name, var)| Some((name.clone(), found.get(var)?.clone()))).collect();
        gradients.extend(found.get(&images).map(|g| (String::new(), g.clone())));
        let buffers = store.buffers().into_iter().map(|(name, _)| (name.clone(), all[&name].as_detached_tensor()));
        Ok(Self { stages, loss, gradients, buffers: buffers.collect() })
    }
}

/// The parameters of a network, filled by the rule.
pub(crate) fn filled_store(config: &ModelConfig, seed: u64) -> Result<ParamStore, Error> {
    let store = ParamStore::new(0, &Device::Cpu);
    config.build(store.builder())?;
    for (name, tensor) in store.state() {
        if let Some(values) = fill(&name, tensor.dims(), seed) {
            store.set(&name, &Tensor::from_vec(values, tensor.dims(), &Device::Cpu)?)?;
        }
    }
    Ok(store)
}

/// A batch of the fill rule's images, (B, 3, size, size).
pub(crate) fn filled_images(batch: usize, size: usize, seed: u64) -> Result<Tensor, Error> {
    let values: Vec<f32> = (0..batch).flat_map(|i| fill_image(i, 3 * size * size, seed)).collect();
    Ok(Tensor::from_vec(values, (batch, 3, size, size), &Device::Cpu)?)
}

pub(crate) fn l2(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum::<f64>().sqrt()
}
