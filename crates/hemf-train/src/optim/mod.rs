//! The optimizer: named parameters, two decay groups, a rate for each parameter, visible memory.

use std::collections::HashMap;

use candle_core::{Device, Result, Tensor, TensorId, Var, backprop::GradStore, bail};

mod at_once;
mod composed;
mod config;
mod memory;
#[cfg(test)]
mod tests;
mod update;

pub use config::{AdamWConfig, OptimizerConfig, SgdConfig, decays};
use memory::{Memory, Rate};
pub(crate) use update::Towards;
use update::sum_of_squares;

/// A parameter that an optimizer is to change.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its published name.
    pub name: String,
    /// The variable, float32, changed in place: every model that shares its storage follows.
    pub var: Var,
    /// Factor on the learning rate.
    pub rate: f64,
}

/// One parameter with what the optimizer remembers of it.
struct Slot {
    parameter: Parameter,
    /// Made at the parameter's first gradient.
    memory: Option<Memory>,
}

/// AdamW or SGD over named parameters; the formulas stand at [`AdamWConfig`] and [`SgdConfig`]. A parameter without a
/// gradient is left alone, decay included.
pub struct Optimizer {
    config: OptimizerConfig,
    slots: Vec<Slot>,
    /// The place of each variable among the slots.
    places: HashMap<TensorId, usize>,
}

/// What every gradient is multiplied by.
#[derive(Clone, Debug)]
pub enum GradientScale {
    /// A number.
    Known(f64),
    /// A number that is still on the gradients' device: a scalar, f32.
    There(Tensor),
}

impl From<f64> for GradientScale {
    fn from(scale: f64) -> Self {
        Self::Known(scale)
    }
}

/// The gradient of each parameter of an optimizer, in its order; `None` where the loss does not reach it.
pub type Gradients = Vec<Option<Tensor>>;

impl Optimizer {
    /// An optimizer over `parameters`, all at the full learning rate.
    pub fn new(config: OptimizerConfig, parameters: Vec<(String, Var)>) -> Self {
        let full = |(name, var)| Parameter { name, var, rate: 1.0 };
        Self::with_rates(config, parameters.into_iter().map(full).collect())
    }

    /// An optimizer over `parameters`, in their order.
    pub fn with_rates(config: OptimizerConfig, parameters: Vec<Parameter>) -> Self {
        let places = parameters.iter().enumerate().map(|(place, parameter)| (parameter.var.id(), place)).collect();
        let slots = parameters.into_iter().map(|parameter| Slot { parameter, memory: None }).collect();
        Self { config, slots, places }
    }

    /// Where the parameters live.
    pub(crate) fn device(&self) -> &Device {
        self.slots.first().map_or(&Device::Cpu, |slot| slot.parameter.var.device())
    }

    /// The settings.
    pub fn config(&self) -> &OptimizerConfig {
        &self.config
    }

    /// Names of the parameters with decay and of those without, each in the order given.
    pub fn groups(&self) -> (Vec<&str>, Vec<&str>) {
        let (mut decay, mut no_decay) = (Vec::new(), Vec::new());
        for Slot { parameter, .. } in &self.slots {
            let group = if parameter.decays() { &mut decay } else { &mut no_decay };
            group.push(parameter.name.as_str());
        }
        (decay, no_decay)
    }

    /// How many values it changes.
    pub fn values(&self) -> usize {
        self.slots.iter().map(|slot| slot.parameter.var.elem_count()).sum()
    }

    /// The tensors that it changes.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        self.slots.iter().map(|slot| slot.parameter.var.as_tensor())
    }

    /// The name of the parameter at `place`.
    pub(crate) fn name(&self, place: usize) -> &str {
        &self.slots[place].parameter.name
    }

    /// How many parameters it changes.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The place of a variable among its parameters, if it is one of them.
    pub(crate) fn place(&self, variable: &Tensor) -> Option<usize> {
        self.places.get(&variable.id()).copied()
    }

    /// Takes this optimizer's gradients out of what a backward pass left; the others are dropped.
    pub fn take(&self, mut grads: GradStore) -> Gradients {
        self.slots.iter().map(|slot| grads.remove(&slot.parameter.var)).collect()
    }

    /// The parameters that have no gradient.
    pub fn without_gradient(&self, grads: &Gradients) -> Vec<&str> {
        let none = self.slots.iter().zip(grads).filter(|(_, grad)| grad.is_none());
        none.map(|(slot, _)| slot.parameter.name.as_str()).collect()
    }

    /// The first parameter whose gradient is not finite.
    pub(crate) fn first_not_finite(&self, grads: &Gradients) -> Result<Option<&str>> {
        let there = |(slot, grad): (_, &Option<Tensor>)| grad.clone().map(|grad| (slot, grad));
        let (slots, grads): (Vec<&Slot>, Vec<_>) = self.slots.iter().zip(grads).filter_map(there).unzip();
        Ok(first_not_finite(&grads)?.map(|place| slots[place].parameter.name.as_str()))
    }

    /// One update at `schedule_factor` times the learning rate, with every gradient multiplied by `gradient_scale` (1
    /// for none).
    pub fn step(
        &mut self,
        grads: Gradients,
        schedule_factor: f64,
        gradient_scale: impl Into<GradientScale>,
    ) -> Result<()> {
        let gradient_scale = gradient_scale.into();
        if self.at_once() {
            return self.step_at_once(grads, schedule_factor, &gradient_scale);
        }
        for (slot, grad) in self.slots.iter_mut().zip(grads) {
            let Some(grad) = grad else { continue };
            let grad = match &gradient_scale {
                GradientScale::Known(1.0) => grad,
                GradientScale::Known(scale) => (grad * *scale)?,
                GradientScale::There(scale) => grad.broadcast_mul(scale)?,
            };
            let Slot { parameter, memory } = slot;
            let rate = rate(&self.config, parameter, schedule_factor);
            let var = &parameter.var;
            let memory = match memory {
                Some(memory) => memory,
                none => none.insert(Memory::new(&self.config, var)?),
            };
            memory.update(var, &grad.detach().contiguous()?, rate, &self.config)?;
        }
        Ok(())
    }

    /// What the optimizer remembers, by name, for a checkpoint. Of AdamW `first_moment.NAME`, `second_moment.NAME`
    /// (shape of the parameter) and `updates.NAME` (a scalar); of SGD `momentum.NAME`.
    pub fn state(&self) -> Result<Vec<(String, Tensor)>> {
        let mut state = Vec::new();
        for Slot { parameter, memory } in &self.slots {
            if let Some(memory) = memory {
                state.extend(memory.state(&parameter.name, parameter.var.device())?);
            }
        }
        Ok(state)
    }

    /// Takes back what [`Optimizer::state`] gave. A parameter that `state` does not name starts afresh.
    ///
    /// # Errors
    /// When a tensor has another shape than its parameter.
    pub fn restore(&mut self, state: &HashMap<String, Tensor>) -> Result<()> {
        for Slot { parameter, memory } in &mut self.slots {
            *memory = Memory::restore(&self.config, &parameter.name, state, parameter.var.device())?;
            let shape = parameter.var.shape();
            if let Some(other) = memory.as_ref().and_then(|memory| memory.tensors().find(|t| t.shape() != shape)) {
                let (name, found, expected) = (&parameter.name, other.dims(), shape.dims());
                bail!("moments of {name} have shape {found:?}, the parameter {expected:?}");
            }
        }
        Ok(())
    }
}

/// The learning rate of a parameter and its weight decay, at `factor` times the full rate.
fn rate(config: &OptimizerConfig, parameter: &Parameter, factor: f64) -> Rate {
    let decay = if parameter.decays() { config.weight_decay() } else { 0.0 };
    Rate { lr: config.lr() * factor * parameter.rate, decay }
}

impl Parameter {
    fn decays(&self) -> bool {
        decays(&self.name, self.var.rank())
    }
}

/// Of each gradient that there is, its place and the sum of its squares: (gradients), f64, on their device.
pub(crate) fn sums_of_squares(grads: &Gradients) -> Result<(Vec<usize>, Tensor)> {
    let there = |(place, grad): (usize, &Option<Tensor>)| grad.clone().map(|grad| (place, grad));
    let (places, all): (Vec<_>, Vec<_>) = grads.iter().enumerate().filter_map(there).unzip();
    Ok((places, squares_of_each(&all)?))
}

/// The sum of each tensor's squares: (tensors), f64, on their device.
fn squares_of_each(tensors: &[Tensor]) -> Result<Tensor> {
    let all = tensors.iter().map(Tensor::contiguous).collect::<Result<Vec<_>>>()?;
    if all.iter().all(hemf_kernels::suits_at_once) {
        return hemf_kernels::sums_of_squares(&all.iter().collect::<Vec<_>>());
    }
    let sums = all.iter().map(composed::sum_of_squares).collect::<Result<Vec<_>>>()?;
    Tensor::stack(&sums, 0)
}

/// The place of the first tensor that has a value which is not finite.
pub(crate) fn first_not_finite(tensors: &[Tensor]) -> Result<Option<usize>> {
    let odd = |sum: &f64| !sum.is_finite();
    if tensors.iter().any(|tensor| !hemf_kernels::native(tensor)) {
        return Ok(squares_of_each(tensors)?.to_vec1()?.iter().position(odd)); // one wait for all of them
    }
    for (place, tensor) in tensors.iter().enumerate() {
        if odd(&sum_of_squares(tensor)?) {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// Euclidean norm of all gradients together, summed in f64 over fixed chunks; finite when every gradient is, since no
/// square of an f32 is too large for an f64.
pub(crate) fn gradient_norm(grads: &Gradients) -> Result<f64> {
    if grads.iter().flatten().any(|grad| !hemf_kernels::native(grad)) {
        return sums_of_squares(grads)?.1.sum_all()?.sqrt()?.to_scalar(); // one wait for all of them
    }
    let sums = grads.iter().flatten().map(sum_of_squares);
    Ok(sums.sum::<Result<f64>>()?.sqrt())
}
