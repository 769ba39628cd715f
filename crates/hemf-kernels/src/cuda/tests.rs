use super::emulator::emulated;
use crate::testing::{check_cuda, random};
use crate::*;
use candle_core::{D, Device, Result, Tensor, Var};

/// A little network of most operations, with maps used twice and candle's operations between.
fn pass(x: &Tensor, w: &[Var]) -> Result<Tensor> {
    let w = |i: usize| w[i].as_tensor();
    let y = layer_norm(x, w(0), w(1), 1e-3)?;
    let y = add(x, &gelu(&linear(&y, w(2), Some(w(1)))?)?)?;
    let table = RotaryTable::new(&Tensor::new(&[1f32, 1.0, 0.3, 0.3], &Device::Cpu)?, 4, 5)?;
    let (q, k) = (rotary(&y, &table)?, rotary(&(&y * 0.5)?, &table.scaled(0.5)?)?);
    let v = axis_attention(&q, &k, &y, &[-0.5, -0.1], Axis::Rows)?;
    let v = axis_attention(&q, &k, &v, &[-0.5, -0.1], Axis::Columns)?;
    let y = add(&v, &depthwise(&y, w(3), w(0))?)?;
    let (y, _, _) = batch_norm_train(&conv2d(&y, w(4), None, 1, 1)?, w(0), w(1), 1e-3)?;
    let y = relu(&scale(&y, &sigmoid(&channel_mean_max(&y)?.narrow(D::Minus1, 0, 1)?)?)?)?;
    let y = concat(&[&external_attention(&y, w(5), w(6), 2)?, &y])?;
    cross_entropy(&pixel_mean(&avg_pool2(&y)?)?, &Tensor::new(&[3u32, 0], &Device::Cpu)?, &Default::default())
}

fn network() -> (Var, Vec<Var>) {
    let var = |shape: &[usize], seed| Var::from_tensor(&random(shape, seed)).unwrap();
    let weights: [&[usize]; 7] = [&[8], &[8], &[8, 8], &[8, 1, 5, 5], &[8, 8, 3, 3], &[6, 4], &[4, 6]];
    let weights = weights.iter().enumerate().map(|(i, shape)| var(shape, i as u64 + 2)).collect();
    (var(&[2, 4, 5, 8], 1), weights)
}

/// Loss and gradients by the tape.
fn recorded(x: &Var, weights: &[Var]) -> Vec<Vec<f32>> {
    let (loss, tape) = record(|| pass(x, weights)).unwrap();
    let gradients = tape.backward(&loss).unwrap();
    let numbers = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let of = |var: &Var| numbers(gradients.get(var).expect("a gradient"));
    std::iter::once(numbers(&loss)).chain(std::iter::once(x).chain(weights).map(of)).collect()
}

#[test]
fn a_recorded_network_is_that_of_the_processor_s_kernels() {
    let (x, weights) = network();
    let want = recorded(&x, &weights);
    emulated(|| {
        let (got, names) = launched(|| recorded(&x, &weights));
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            let most = want.iter().fold(1e-3f32, |most, w| most.max(w.abs()));
            assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-4 * most), "{i}: {got:?} {want:?}");
        }
        for name in ["axis_attention_backward", "layer_norm_forward_1", "patches_backward", "cross_entropy_forward"] {
            assert!(names.contains(&name), "{names:?}");
        }
    });
}

/// The same values, from so many on in a storage that begins with others.
fn moved(t: &Tensor, by: usize) -> Result<Tensor> {
    let before = Tensor::zeros(by, t.dtype(), t.device())?;
    Tensor::cat(&[&before, &t.flatten_all()?], 0)?.narrow(0, by, t.elem_count())?.reshape(t.shape())
}

/// Maps that could be read by fours, were it not for where they begin. (The sanitizer finds whoever reads them so all the same.)
#[test]
fn maps_begin_anywhere() {
    let (map, c) = ([2, 5, 4, 8], 8);
    let table = RotaryTable::new(&random(&[4], 7), 5, 4).unwrap();
    type Run<'a> = Box<dyn Fn(&[Tensor]) -> Result<Tensor> + Sync + 'a>;
    let operations: [(&str, &[&[usize]], Run); 9] = [
        ("layer_norm", &[&map, &[c], &[c]], Box::new(|x| layer_norm(&x[0], &x[1], &x[2], 1e-2))),
        ("batch_norm", &[&map, &[c], &[c]], Box::new(|x| Ok(batch_norm_train(&x[0], &x[1], &x[2], 1e-2)?.0))),
        ("linear", &[&map, &[12, c], &[12]], Box::new(|x| linear(&x[0], &x[1], Some(&x[2])))),
        ("depthwise", &[&map, &[c, 1, 3, 3], &[c]], Box::new(|x| depthwise(&x[0], &x[1], &x[2]))),
        ("scale", &[&map, &[2, 1, 1, c]], Box::new(|x| scale(&x[0], &x[1]))),
        ("pixel_mean", &[&map], Box::new(|x| pixel_mean(&x[0]))),
        (
            "axis_attention",
            &[&map, &map, &map],
            Box::new(|x| axis_attention(&x[0], &x[1], &x[2], &[-0.5, -0.1], Axis::Rows)),
        ),
        (
            "rotary_attention",
            &[&map, &map, &map],
            Box::new(|x| rotary_attention(&x[0], &x[1], &x[2], &table, 0.5, &[-0.5, -0.1])),
        ),
        ("external_attention", &[&map, &[6, 4], &[4, 6]], Box::new(|x| external_attention(&x[0], &x[1], &x[2], 2))),
    ];
    for (name, shapes, run) in &operations {
        let inputs: Vec<Tensor> = shapes.iter().enumerate().map(|(i, shape)| random(shape, i as u64 + 1)).collect();
        // All of them, and each alone.
        for by in [vec![2; inputs.len()]].into_iter().chain((0..inputs.len()).map(|i| {
            let mut by = vec![0; inputs.len()];
            by[i] = 1;
            by
        })) {
            let op = |x: &[Tensor]| run(&x.iter().zip(&by).map(|(x, by)| moved(x, *by)).collect::<Result<Vec<_>>>()?);
            let oracle = |x: &[Tensor]| composed(|| run(x));
            check_cuda(&format!("{name} from {by:?}"), &op, &oracle, &inputs, 1e-5);
        }
    }
}

#[test]
fn composed_launches_nothing() {
    let (x, weights) = network();
    emulated(|| {
        let (_, names) = launched(|| composed(|| recorded(&x, &weights)));
        assert!(names.is_empty(), "{names:?}");
        assert_eq!(launched(|| gelu(&x).unwrap()).1, ["gelu_forward"]);
    });
    assert!(launched(|| recorded(&x, &weights)).1.is_empty()); // by the processor's kernels
}
