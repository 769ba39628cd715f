//! Where the golden numbers are, and the rule that fills a network from its names.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use hemf_model::ParamStore;
use serde_json::Value;

/// `HEMF_GOLDENS`, else the folder shared beside the workspace, else the small set in the repository.
pub(crate) fn goldens() -> PathBuf {
    if let Some(folder) = std::env::var_os("HEMF_GOLDENS") {
        return folder.into();
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = workspace.join("../shared/goldens");
    if shared.is_dir() { shared } else { workspace.join("goldens") }
}

pub(crate) fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap()
}

pub(crate) fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

pub(crate) fn values(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
    flat.to_vec1().unwrap()
}

/// Fills every tensor of `store` from its name, its shape and `seed`, as `model/FILL_RULE.txt` says.
pub(crate) fn fill(store: &ParamStore, seed: u64) {
    for (name, tensor) in store.state() {
        let last = name.rsplit('.').next().unwrap();
        if matches!(last, "angle" | "decay") {
            continue;
        }
        let gain = match &name {
            n if n.ends_with(".mk.weight") => 4.0,
            n if n.ends_with(".mv.weight") => 8.0,
            _ => 1.0,
        };
        let fan_in: usize = tensor.dims().iter().skip(1).product();
        let scale = gain * (3.0 / fan_in as f64).sqrt();
        let value = |u: f64| match last {
            "num_batches_tracked" => 0.0,
            "running_var" => 0.5 + u,
            "running_mean" | "bias" => 0.1 * (2.0 * u - 1.0),
            _ if tensor.rank() == 1 => 1.0 + 0.1 * (2.0 * u - 1.0),
            _ => (2.0 * u - 1.0) * scale,
        };
        let filled: Vec<f32> = uniform(&name, seed, tensor.elem_count()).map(|u| value(u) as f32).collect();
        let filled = Tensor::from_vec(filled, tensor.shape(), &Device::Cpu).unwrap();
        store.set(&name, &filled).unwrap();
    }
}

/// splitmix64 from the FNV-1a hash of the name and the seed, as numbers in [0, 1) of 24 bits.
fn uniform(name: &str, seed: u64, n: usize) -> impl Iterator<Item = f64> {
    const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
    let hash =
        name.bytes().fold(0xCBF2_9CE4_8422_2325, |h: u64, byte| (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3));
    let start = hash ^ seed.wrapping_mul(GAMMA);
    (1..=n as u64).map(move |i| {
        let z = start.wrapping_add(i.wrapping_mul(GAMMA));
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1 << 24)
    })
}
