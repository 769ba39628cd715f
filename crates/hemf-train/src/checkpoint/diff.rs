//! What differs between two checkpoints.

use std::collections::{BTreeMap, HashMap};

use candle_core::{DType, Tensor};
use safetensors::View;
use serde::Serialize;
use serde_json::Value;

use super::{Checkpoint, STATE, folder};
use crate::{Error, json::flat};

/// What differs between two checkpoints, in the order of the names.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Difference {
    /// Tensors of the same bits in both.
    pub equal: usize,
    /// Tensors that differ.
    pub tensors: Vec<TensorDifference>,
    /// Settings, class names, steps and whatever else is stored beside the tensors, by path.
    pub values: BTreeMap<String, [Value; 2]>,
}

/// A tensor that is not the same in both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorDifference {
    /// Its name; `state/NAME` for what only a resume needs.
    pub name: String,
    /// How it differs.
    pub what: How,
}

/// How a tensor differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// Only one has it: the first or the second.
    OnlyIn(usize),
    /// The shapes differ.
    Shapes([Vec<usize>; 2]),
    /// The values differ.
    Values {
        /// How many of them.
        differing: usize,
        /// Of how many.
        of: usize,
        /// Largest difference.
        largest: f64,
        /// Largest value of the first, for comparison.
        scale: f64,
    },
}

impl Difference {
    /// Whether nothing differs.
    pub fn is_none(&self) -> bool {
        self.tensors.is_empty() && self.values.is_empty()
    }
}

/// Compares the models, and where both have one the states, of two checkpoints.
///
/// # Errors
/// A checkpoint that does not load.
pub fn difference(a: &Checkpoint, b: &Checkpoint) -> Result<Difference, Error> {
    let (model_a, model_b) = (a.model()?, b.model()?);
    let mut found = Difference::default();
    found.compare_values("", &json(&model_a.card)?, &json(&model_b.card)?);
    found.compare("", &model_a.weights.tensors()?, &model_b.weights.tensors()?)?;
    let has_state = |c: &Checkpoint| folder::current(c.path()).join(STATE).exists();
    if has_state(a) && has_state(b) {
        let (state_a, state_b) = (a.state()?, b.state()?);
        found.compare_values("progress.", &json(&state_a.progress)?, &json(&state_b.progress)?);
        found.compare("state/", &state_a.tensors, &state_b.tensors)?;
    }
    Ok(found)
}

fn json(value: &impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(value).map_err(|error| Error::checkpoint("", error.to_string()))
}

impl Difference {
    fn compare(&mut self, prefix: &str, a: &HashMap<String, Tensor>, b: &HashMap<String, Tensor>) -> Result<(), Error> {
        let mut names: Vec<&String> = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))).collect();
        names.sort();
        for name in names {
            let what = match (a.get(name), b.get(name)) {
                (Some(a), Some(b)) => apart(a, b)?,
                (found, _) => Some(How::OnlyIn(if found.is_some() { 1 } else { 2 })),
            };
            match what {
                None => self.equal += 1,
                Some(what) => self.tensors.push(TensorDifference { name: format!("{prefix}{name}"), what }),
            }
        }
        Ok(())
    }

    fn compare_values(&mut self, prefix: &str, a: &Value, b: &Value) {
        let (a, b) = (flat(a), flat(b));
        for key in a.keys().chain(b.keys()) {
            let pair = [&a, &b].map(|values| values.get(key).cloned().unwrap_or_default());
            if pair[0] != pair[1] {
                self.values.insert(format!("{prefix}{key}"), pair);
            }
        }
    }
}

/// How two tensors differ; `None` when they have the same bits.
fn apart(a: &Tensor, b: &Tensor) -> Result<Option<How>, Error> {
    if a.dims() != b.dims() {
        return Ok(Some(How::Shapes([a.dims().to_vec(), b.dims().to_vec()])));
    }
    if a.dtype() == b.dtype() && View::data(a) == View::data(b) {
        return Ok(None);
    }
    let values = |t: &Tensor| t.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>();
    let (a, b) = (values(a)?, values(b)?);
    let gaps = a.iter().zip(&b).map(|(a, b)| (a - b).abs());
    Ok(Some(How::Values {
        differing: a.iter().zip(&b).filter(|(a, b)| a.to_bits() != b.to_bits()).count(),
        of: a.len(),
        largest: gaps.fold(0.0, f64::max),
        scale: a.iter().fold(0.0, |largest, value| value.abs().max(largest)),
    }))
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn every_kind_of_difference_is_told() {
        let t = |values: &[f32]| Tensor::new(values, &Device::Cpu).unwrap();
        let of =
            |list: Vec<(&str, Tensor)>| list.into_iter().map(|(n, t)| (n.to_owned(), t)).collect::<HashMap<_, _>>();
        let a = of(vec![("same", t(&[1.0])), ("gone", t(&[1.0])), ("moved", t(&[1.0, 4.0])), ("longer", t(&[1.0]))]);
        let b =
            of(vec![("same", t(&[1.0])), ("new", t(&[1.0])), ("moved", t(&[1.0, 3.5])), ("longer", t(&[1.0, 2.0]))]);
        let mut found = Difference::default();
        found.compare("", &a, &b).unwrap();
        found.compare_values(
            "",
            &serde_json::json!({"a": {"b": 1}, "c": 2}),
            &serde_json::json!({"a": {"b": 3}, "c": 2}),
        );
        assert_eq!(found.equal, 1);
        let told: Vec<_> = found.tensors.iter().map(|d| (d.name.as_str(), d.what.clone())).collect();
        let expected = [
            ("gone", How::OnlyIn(1)),
            ("longer", How::Shapes([vec![1], vec![2]])),
            ("moved", How::Values { differing: 1, of: 2, largest: 0.5, scale: 4.0 }),
            ("new", How::OnlyIn(2)),
        ];
        assert_eq!(told, expected);
        assert_eq!(found.values, BTreeMap::from([("a.b".to_owned(), [1.into(), 3.into()])]));
        assert!(!found.is_none() && Difference::default().is_none());
    }
}
