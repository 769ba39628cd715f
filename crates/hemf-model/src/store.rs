use crate::Error;
use crate::draw::Stream;
use candle_core::{DType, Device, Result, Shape, Tensor, Var, bail};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// The parameters and buffers of a model: named as in the published weights, in the order in which the model asked for
/// them, each starting at values that depend on the seed, its name and its shape alone.
///
/// A clone is another handle to the same store.
#[derive(Clone)]
pub struct ParamStore {
    inner: Arc<Inner>,
}

struct Inner {
    seed: u64,
    device: Device,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    ordered: Vec<(String, Var)>,
    index: HashMap<String, usize>,
}

impl ParamStore {
    /// An empty store.
    pub fn new(seed: u64, device: &Device) -> Self {
        let entries = Mutex::default();
        Self { inner: Arc::new(Inner { seed, device: device.clone(), entries }) }
    }

    /// Hands out variables, creating each at its first request: for the model that is trained.
    pub fn builder(&self) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(Trained(self.clone())), DType::F32, self.inner.device.clone())
    }

    /// Hands out constants that share their storage with the variables: a second model built from these follows the
    /// training and keeps no graph. Fails on a name that does not exist.
    pub fn frozen_builder(&self) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(Frozen(self.clone())), DType::F32, self.inner.device.clone())
    }

    /// Where the tensors live.
    pub fn device(&self) -> &Device {
        &self.inner.device
    }

    /// What is trained, in order.
    pub fn parameters(&self) -> Vec<(String, Var)> {
        self.entries().ordered.iter().filter(|(name, _)| !is_buffer(name)).cloned().collect()
    }

    /// What is kept beside: running statistics of batch norm and constants, in order.
    pub fn buffers(&self) -> Vec<(String, Var)> {
        self.entries().ordered.iter().filter(|(name, _)| is_buffer(name)).cloned().collect()
    }

    /// Parameters and buffers, outside the gradient, in order.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        self.entries().ordered.iter().map(|(name, var)| (name.clone(), var.as_detached_tensor())).collect()
    }

    /// Sets one tensor, turned to its type. Fails on an unknown name or another shape.
    pub fn set(&self, name: &str, value: &Tensor) -> std::result::Result<(), Error> {
        let var = self.get(name)?;
        if var.dims() != value.dims() {
            let (found, expected) = (value.dims().to_vec(), var.dims().to_vec());
            return Err(Error::Shape { key: name.to_owned(), found, expected });
        }
        // A copy, since `value` may be a view of the variable itself, which candle refuses.
        Ok(var.set(&value.to_device(self.device())?.to_dtype(var.dtype())?.copy()?)?)
    }

    fn get(&self, name: &str) -> Result<Var> {
        let entries = self.entries();
        match entries.index.get(name) {
            Some(&i) => Ok(entries.ordered[i].1.clone()),
            None => bail!("the model has no tensor {name}"),
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // A poisoned lock means that a thread died in one of the short sections here, none of which leaves a half.
        self.inner.entries.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn create(&self, name: &str, shape: Shape, init: Init, dtype: DType) -> Result<Var> {
        let values = initial_values(init, shape.elem_count(), Stream::new(self.inner.seed, name))?;
        let var = Var::from_tensor(&Tensor::from_vec(values, shape, &self.inner.device)?.to_dtype(dtype)?)?;
        let mut entries = self.entries();
        let at = entries.ordered.len();
        entries.index.insert(name.to_owned(), at);
        entries.ordered.push((name.to_owned(), var.clone()));
        Ok(var)
    }
}

/// Whether a tensor of this name is kept beside the parameters.
pub(crate) fn is_buffer(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    matches!(
        last,
        "running_mean" | "running_var" | "num_batches_tracked" | "angle" | "decay" | "relative_position_index"
    )
}

fn initial_values(init: Init, n: usize, mut stream: Stream) -> Result<Vec<f32>> {
    let mut draw: Box<dyn FnMut() -> f64> = match init {
        Init::Const(value) => Box::new(move || value),
        Init::Randn { mean, stdev } => Box::new(move || mean + stdev * stream.normal()),
        Init::Uniform { lo, up } => Box::new(move || lo + (up - lo) * stream.uniform()),
        Init::Kaiming { .. } => bail!("initial values by {init:?} are not used in this family of networks"),
    };
    Ok((0..n).map(|_| draw() as f32).collect())
}

struct Trained(ParamStore);

impl SimpleBackend for Trained {
    fn get(&self, shape: Shape, name: &str, init: Init, dtype: DType, _: &Device) -> Result<Tensor> {
        let var = match self.0.get(name) {
            Ok(var) => var,
            Err(_) => self.0.create(name, shape.clone(), init, dtype)?,
        };
        matching(var.as_tensor().clone(), name, &shape)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        Ok(self.0.get(name)?.as_tensor().clone())
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.0.get(name).is_ok()
    }
}

struct Frozen(ParamStore);

impl SimpleBackend for Frozen {
    fn get(&self, shape: Shape, name: &str, _: Init, _: DType, _: &Device) -> Result<Tensor> {
        matching(self.0.get(name)?.as_detached_tensor(), name, &shape)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        Ok(self.0.get(name)?.as_detached_tensor())
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.0.get(name).is_ok()
    }
}

fn matching(tensor: Tensor, name: &str, shape: &Shape) -> Result<Tensor> {
    if tensor.shape() != shape {
        bail!("{name} was asked for as {shape:?}, but is {:?}", tensor.shape());
    }
    Ok(tensor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(t: &Tensor) -> f32 {
        t.flatten_all().unwrap().to_vec1::<f32>().unwrap()[0]
    }

    #[test]
    fn values_hang_on_seed_and_name_not_on_order() {
        let draw = |seed, names: &[&str]| {
            let store = ParamStore::new(seed, &Device::Cpu);
            let init = Init::Randn { mean: 0.0, stdev: 1.0 };
            names.iter().for_each(|name| drop(store.builder().get_with_hints(3, name, init).unwrap()));
            scalar(store.get("a").unwrap().as_tensor())
        };
        assert_eq!(draw(1, &["a", "b"]), draw(1, &["b", "a"]));
        assert_ne!(draw(1, &["a"]), draw(2, &["a"]));
    }

    #[test]
    fn frozen_tensors_follow_the_variables_and_create_nothing() {
        let store = ParamStore::new(1, &Device::Cpu);
        store.builder().get_with_hints(2, "w", Init::Const(1.0)).unwrap();
        let frozen = store.frozen_builder().get(2, "w").unwrap();
        store.set("w", &Tensor::new(&[5f32, 6.0], &Device::Cpu).unwrap()).unwrap();
        assert_eq!(scalar(&frozen), 5.0);
        assert!(!frozen.track_op());
        assert!(store.frozen_builder().get(2, "other").is_err());
        assert_eq!(store.state().len(), 1);
    }

    #[test]
    fn buffers_are_no_parameters() {
        let store = ParamStore::new(1, &Device::Cpu);
        for name in ["bn.weight", "bn.running_mean", "bn.num_batches_tracked"] {
            store.builder().get_with_hints(1, name, Init::Const(0.0)).unwrap();
        }
        let names = |of: Vec<(String, Var)>| of.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(store.parameters()), ["bn.weight"]);
        assert_eq!(names(store.buffers()), ["bn.running_mean", "bn.num_batches_tracked"]);
    }

    #[test]
    fn another_shape_is_refused_by_name() {
        let store = ParamStore::new(1, &Device::Cpu);
        store.builder().get_with_hints(2, "w", Init::Const(1.0)).unwrap();
        let error = store.set("w", &Tensor::new(&[1f32], &Device::Cpu).unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "weight w: the file has [1], the model [2]");
        assert!(store.builder().get(3, "w").is_err());
    }
}
