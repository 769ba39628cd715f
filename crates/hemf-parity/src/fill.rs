//! The fill rule: every weight of a network from nothing but its name, its shape and one integer, in any language.

/// splitmix64 of a stream that starts at FNV-1a of the key, upper 24 bits: uniform in [0, 1), exact.
fn uniform(key: &str, seed: u64, n: usize) -> impl Iterator<Item = f64> {
    const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
    let hash =
        key.bytes().fold(0xCBF2_9CE4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01B3));
    let start = hash ^ seed.wrapping_mul(GAMMA);
    (1..=n as u64).map(move |i| {
        let mut z = start.wrapping_add(i.wrapping_mul(GAMMA));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f64 / (1u64 << 24) as f64
    })
}

/// The values of the tensor `key`, or none for the constants that a network computes itself.
pub fn fill(key: &str, shape: &[usize], seed: u64) -> Option<Vec<f32>> {
    let last = key.rsplit('.').next().unwrap_or(key);
    let fan_in: usize = shape.iter().skip(1).product();
    let gain = match () {
        () if key.ends_with(".mk.weight") => 4.0,
        () if key.ends_with(".mv.weight") => 8.0,
        () => 1.0,
    };
    let scale = gain * (3.0 / fan_in as f64).sqrt();
    let one_dimensional = shape.len() == 1;
    let value = |u: f64| {
        let v = 2.0 * u - 1.0;
        match last {
            "num_batches_tracked" => 0.0,
            "running_var" => 0.5 + u,
            "running_mean" | "bias" => 0.1 * v,
            "relative_position_bias_table" => 0.5 * v,
            _ if one_dimensional => 1.0 + 0.1 * v,
            _ => v * scale,
        }
    };
    if matches!(last, "angle" | "decay" | "relative_position_index") {
        return None;
    }
    Some(uniform(key, seed, shape.iter().product()).map(|u| value(u) as f32).collect())
}

/// Image number `i` of a batch, `n` values uniform in [-1, 1).
pub fn fill_image(i: usize, n: usize, seed: u64) -> Vec<f32> {
    uniform(&format!("input.{i}"), seed, n).map(|u| (2.0 * u - 1.0) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the published test vectors.
    #[test]
    fn test_vectors() {
        let weight = fill("downsample_layers.0.0.weight", &[96, 3, 4, 4], VECTORS_SEED).unwrap();
        assert_eq!(weight[..2], [0.097_645_19, -0.181_736_41]);
        let memory = fill("fu2.mea_l.mk.weight", &[64, 24], VECTORS_SEED).unwrap();
        assert_eq!(memory[..2], [-1.190_397_7, -0.115_243_14]);
        assert_eq!(fill("stages2.0.RetNetRelPos2d.angle", &[2], 1), None);
    }

    const VECTORS_SEED: u64 = 1;
}
