use super::*;
use crate::cuda::emulator::emulated;
use crate::testing::random;
use candle_core::{Device, Var};

fn values(t: &Tensor) -> Vec<f32> {
    t.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn copies_are_rounded_as_candle_rounds() {
    emulated(|| {
        let lengths = [1, 127, 128, 129, 4095, 4096, 4097, 9000];
        let tensors: Vec<Tensor> = (0..70).map(|i| random(&[lengths[i % 8], 1], i as u64)).collect();
        let rounded = Rounded::of(&tensors).unwrap();
        assert_eq!(rounded.0.len(), tensors.len());
        for t in &tensors {
            let copy = &rounded.0[&t.id()];
            assert_eq!((copy.dtype(), copy.dims()), (DType::BF16, t.dims()));
            assert_eq!(values(copy), values(&t.to_dtype(DType::BF16).unwrap()));
        }
    });
}

#[test]
fn operations_take_the_copies_while_they_are_to() {
    emulated(|| {
        let (x, weight) = (random(&[3, 8], 1).to_dtype(DType::BF16).unwrap(), random(&[4, 8], 2));
        let with = |weight: &Tensor| values(&crate::linear(&x, weight, None).unwrap());
        // A tensor that has changed since: what is taken shows.
        let rounded = Rounded::of([&weight]).unwrap();
        let zeros = Rounded(Arc::new(HashMap::from([(weight.id(), rounded.0[&weight.id()].zeros_like().unwrap())])));
        let before = with(&weight);
        assert!(zeros.within(|| with(&weight)).iter().all(|y| *y == 0.0));
        assert_eq!(zeros.within(|| rounded.within(|| with(&weight))), before);
        assert_eq!(with(&weight), before);
        assert_eq!(zeros.within(|| with(&random(&[4, 8], 2))), before, "another tensor");
        let wide = values(&zeros.within(|| crate::linear(&random(&[3, 8], 1), &weight, None).unwrap()));
        assert!(wide.iter().any(|y| *y != 0.0), "f32 needs no copy");
    });
}

#[test]
fn weights_have_their_gradients_as_without_copies() {
    emulated(|| {
        let x = random(&[3, 8], 1).to_dtype(DType::BF16).unwrap();
        let [weight, bias] = [&[4, 8][..], &[4]].map(|shape| Var::from_tensor(&random(shape, 2)).unwrap());
        let gradients = || {
            let pass = || crate::linear(&x, &weight, Some(&bias))?.to_dtype(DType::F32)?.sqr()?.sum_all();
            let (loss, tape) = crate::record(pass).unwrap();
            let gradients = tape.backward(&loss).unwrap();
            [&weight, &bias].map(|var| values(gradients.get(var).expect("a gradient")))
        };
        let want = gradients();
        assert!(want.iter().flatten().any(|g| *g != 0.0));
        let rounded = Rounded::of([weight.as_tensor(), bias.as_tensor()]).unwrap();
        assert_eq!(rounded.within(gradients), want);
    });
}

#[test]
fn there_are_none_in_main_memory() {
    let rounded = Rounded::of([&random(&[3], 1), &Tensor::zeros(2, DType::U32, &Device::Cpu).unwrap()]).unwrap();
    assert!(rounded.0.is_empty());
}
