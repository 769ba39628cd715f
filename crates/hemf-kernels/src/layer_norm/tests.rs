use super::*;
use crate::cuda::emulator::emulated;
use crate::testing::{check, check_bits, check_cuda, random};

#[test]
fn matches_the_composed_form() {
    for shape in [vec![1, 2], vec![3, 5], vec![2, 9, 12, 16], vec![1, 1, 1, 33], vec![400, 96]] {
        let width = *shape.last().unwrap();
        let given = [random(&shape, 1), random(&[width], 2), random(&[width], 3)];
        let op = |t: &[Tensor]| layer_norm(&t[0], &t[1], &t[2], 1e-2);
        let oracle = |t: &[Tensor]| composed::layer_norm(&t[0], &t[1], &t[2], 1e-2);
        check(&format!("layer_norm {shape:?}"), &op, &oracle, &given, 5e-6);
        check_cuda(&format!("layer_norm {shape:?}"), &op, &oracle, &given, 5e-6);
    }
}

#[test]
fn a_gpu_holds_rows_as_wide_as_registers_are_for() {
    let named =
        [(4, '1'), (96, '1'), (128, '1'), (132, '3'), (384, '3'), (388, '6'), (768, '6'), (772, '0'), (98, '0')];
    for (width, kernel) in named {
        let given = [random(&[9, width], 1), random(&[width], 2), random(&[width], 3)];
        let op = |t: &[Tensor]| layer_norm(&t[0], &t[1], &t[2], 1e-2);
        let oracle = |t: &[Tensor]| composed::layer_norm(&t[0], &t[1], &t[2], 1e-2);
        check_cuda(&format!("layer_norm of {width}"), &op, &oracle, &given, 5e-6);
        emulated(|| {
            let names = |t: &[Tensor]| crate::launched(|| op(t).unwrap()).1;
            assert_eq!(names(&given), [format!("layer_norm_forward_{kernel}")]);
            // A row that begins elsewhere than where it can be read by fours.
            let [x, w, b] = &given;
            let within = Tensor::cat(&[&random(&[1], 4), w], 0).unwrap().narrow(0, 1, width).unwrap();
            assert_eq!(names(&[x.clone(), within, b.clone()]), ["layer_norm_forward_0"]);
        });
    }
}

#[test]
fn a_pixel_of_equal_channels_gives_the_bias() {
    let x = Tensor::full(3f32, (2, 4), &candle_core::Device::Cpu).unwrap();
    let (w, b) = (random(&[4], 1), random(&[4], 2));
    let y = layer_norm(&x, &w, &b, 1e-6).unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(y[1], b.to_vec1::<f32>().unwrap());
}

#[test]
fn bits_do_not_depend_on_threads_or_level() {
    let given = [random(&[3000, 40], 1), random(&[40], 2), random(&[40], 3)];
    check_bits("layer_norm", &|t| layer_norm(&t[0], &t[1], &t[2], 1e-6), &given);
}
