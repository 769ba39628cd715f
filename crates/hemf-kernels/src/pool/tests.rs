use super::*;
use crate::testing::{check, check_bits, check_cuda, random};

/// Values whose maxima are held by one place each, in bf16 too: candle shares a gradient among equals.
fn peaked(shape: &[usize; 4], pool: Pool) -> Tensor {
    let [_, h, w, c] = *shape;
    let peak = |i: usize| match (pool, i / c % (h * w), i % c) {
        (Pool::Pixels, pixel, channel) => pixel == channel % (h * w),
        (_, pixel, channel) => channel == pixel % c,
    };
    let values: Vec<f32> = random(shape, 1).flatten_all().unwrap().to_vec1().unwrap();
    let values: Vec<f32> = values.iter().enumerate().map(|(i, v)| v + 2.0 * f32::from(u8::from(peak(i)))).collect();
    Tensor::from_vec(values, shape, &candle_core::Device::Cpu).unwrap()
}

/// A map as the pool takes it.
fn shaped(map: Tensor, pool: Pool) -> Tensor {
    if matches!(pool, Pool::Rows) { map.flatten(1, 2).unwrap() } else { map }
}

const ALL: [Pool; 5] = [Pool::Cells, Pool::Channels, Pool::Pixels, Pool::Mean, Pool::Rows];

#[test]
fn matches_the_composed_form() {
    for pool in ALL {
        for shape in [[1, 1, 1, 1], [2, 9, 12, 16], [1, 3, 2, 5], [3, 2, 2, 1], [2, 30, 40, 33]] {
            if matches!(pool, Pool::Cells) && shape[1] < 2 {
                continue;
            }
            let shaped = |t| shaped(t, pool);
            let oracle = |t: &[Tensor]| composed::apply(&t[0], pool);
            let name = format!("{} {shape:?}", pool.name());
            check(&name, &|t| apply(&t[0], pool), &oracle, &[shaped(random(&shape, 1))], 2e-6);
            check_cuda(&name, &|t| apply(&t[0], pool), &oracle, &[shaped(peaked(&shape, pool))], 2e-6);
        }
    }
}

#[test]
fn a_maximum_s_gradient_goes_to_the_first_place() {
    crate::cuda::emulator::emulated(first_place);
    first_place();
}

fn first_place() {
    let x = candle_core::Var::new(&[[[[1f32, 2.0, 2.0]]]], &candle_core::Device::Cpu).unwrap();
    let y = channel_mean_max(&x).unwrap().narrow(3, 1, 1).unwrap();
    let g = y.sum_all().unwrap().backward().unwrap();
    assert_eq!(g.get(&x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap(), [0.0, 1.0, 0.0]);
    let x = candle_core::Var::from_tensor(&x.reshape((1, 3, 1, 1)).unwrap()).unwrap();
    let g = pixel_mean_max(&x).unwrap().narrow(1, 1, 1).unwrap().sum_all().unwrap().backward().unwrap();
    assert_eq!(g.get(&x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap(), [0.0, 1.0, 0.0]);
}

#[test]
fn a_map_without_a_cell_is_refused() {
    assert!(avg_pool2(&random(&[1, 1, 5, 2], 1)).unwrap_err().to_string().contains("no 2x2 cell"));
}

#[test]
fn bits_do_not_depend_on_threads_or_level() {
    for pool in ALL {
        check_bits(pool.name(), &|t| apply(&t[0], pool), &[shaped(random(&[3, 20, 30, 48], 1), pool)]);
    }
}

#[test]
fn a_channel_that_is_not_a_number_is_the_largest() {
    let values: Vec<f32> = random(&[2 * 37], 1).to_vec1().unwrap();
    for place in [0, 15, 16, 31, 32, 36] {
        let mut values = values.clone();
        values[37 + place] = f32::NAN;
        let x = Tensor::from_vec(values.clone(), (1, 1, 2, 37), &candle_core::Device::Cpu).unwrap();
        let y = channel_mean_max(&x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(y[1], values[..37].iter().copied().fold(f32::NEG_INFINITY, f32::max));
        assert!(y[2].is_nan() && y[3].is_nan(), "{place}: {y:?}");
    }
}
