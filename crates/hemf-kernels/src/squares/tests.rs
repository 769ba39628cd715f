use super::*;
use crate::cuda::emulator::emulated;
use crate::testing::random;
use candle_core::DType;

#[test]
fn sums_are_those_of_f64() {
    emulated(|| {
        let tensors: Vec<Tensor> = (0..67usize)
            .map(|i| random(&[if i % 22 == 3 { 9000 + i } else { 1 + i * 5 % 13 }], i as u64))
            .chain([Tensor::new(&[1e30f32, -1e30], &candle_core::Device::Cpu).unwrap()])
            .collect();
        let got = sums_of_squares(&tensors.iter().collect::<Vec<_>>()).unwrap().to_vec1::<f64>().unwrap();
        assert_eq!(got.len(), tensors.len());
        for (t, got) in tensors.iter().zip(got) {
            let want: f64 = t.to_vec1::<f32>().unwrap().iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
            assert!((got - want).abs() <= 1e-12 * want, "{got} {want}");
        }
        assert!(sums_of_squares(&[&tensors[0].to_dtype(DType::BF16).unwrap()]).is_err());
        let odd = Tensor::new(&[1f32, f32::NAN, 2.0], &candle_core::Device::Cpu).unwrap();
        assert!(sums_of_squares(&[&odd]).unwrap().to_vec1::<f64>().unwrap()[0].is_nan());
    });
}

#[test]
fn there_is_no_kernel_in_main_memory() {
    assert!(!suits_at_once(&random(&[3], 1)));
    assert!(sums_of_squares(&[&random(&[3], 1)]).unwrap_err().to_string().contains("has no kernel"));
}
