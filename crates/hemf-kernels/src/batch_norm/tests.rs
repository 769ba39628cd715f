use super::*;
use crate::testing::{check, check_bits, check_cuda, random};

fn given(shape: &[usize]) -> [Tensor; 3] {
    let width = *shape.last().unwrap();
    [random(shape, 1), random(&[width], 2), random(&[width], 3)]
}

#[test]
fn training_matches_the_composed_form() {
    for shape in [vec![2, 1], vec![2, 9, 12, 16], vec![1, 3, 1, 33], vec![3000, 24]] {
        let op = |t: &[Tensor]| Ok(batch_norm_train(&t[0], &t[1], &t[2], 1e-2)?.0);
        let oracle = |t: &[Tensor]| composed::batch_norm_train(&t[0], &t[1], &t[2], 1e-2);
        check(&format!("batch_norm_train {shape:?}"), &op, &oracle, &given(&shape), 5e-6);
        check_cuda(&format!("batch_norm_train {shape:?}"), &op, &oracle, &given(&shape), 5e-6);
    }
}

#[test]
fn evaluation_matches_the_composed_form() {
    for shape in [vec![1, 1], vec![2, 9, 12, 16], vec![1, 1, 1, 33]] {
        let width = *shape.last().unwrap();
        let stats = ChannelStats { mean: random(&[width], 4), variance: random(&[width], 5).abs().unwrap() };
        let wide = |t: &Tensor| t.to_dtype(candle_core::DType::F64).unwrap();
        let wide_stats = ChannelStats { mean: wide(&stats.mean), variance: wide(&stats.variance) };
        let op = |t: &[Tensor]| batch_norm_eval(&t[0], &t[1], &t[2], &stats, 1e-2);
        let oracle = |t: &[Tensor]| composed::normalise(&t[0], &t[1], &t[2], &wide_stats, 1e-2);
        check(&format!("batch_norm_eval {shape:?}"), &op, &oracle, &given(&shape), 5e-6);
        check_cuda(&format!("batch_norm_eval {shape:?}"), &op, &oracle, &given(&shape), 5e-6);
    }
}

#[test]
fn statistics_of_a_large_offset_keep_their_precision() {
    let x = (random(&[5000, 3], 1) + 1000.0).unwrap();
    let stats = ChannelStats::of(&x).unwrap();
    let wide = composed::statistics(&x.to_dtype(candle_core::DType::F64).unwrap()).unwrap();
    let (got, want) = (stats.variance.to_vec1::<f32>().unwrap(), wide.variance.to_vec1::<f64>().unwrap());
    for (g, w) in got.iter().zip(want) {
        assert!((f64::from(*g) / w - 1.0).abs() < 1e-3, "variance {g} for {w}");
    }
}

#[test]
fn bits_do_not_depend_on_threads_or_level() {
    check_bits("batch_norm", &|t| Ok(batch_norm_train(&t[0], &t[1], &t[2], 1e-5)?.0), &given(&[4000, 40]));
}

/// Adds up over two threads.
#[derive(Clone)]
struct Pair {
    place: usize,
    shared: std::sync::Arc<(std::sync::Mutex<[Vec<f64>; 2]>, std::sync::Barrier)>,
}

impl part::Sums for Pair {
    fn sum(&self, values: &mut [f64]) -> Result<()> {
        let (all, barrier) = &*self.shared;
        all.lock().unwrap()[self.place] = values.to_vec();
        barrier.wait();
        let both = all.lock().unwrap().clone();
        values.iter_mut().enumerate().for_each(|(i, value)| *value = both[0][i] + both[1][i]);
        barrier.wait();
        Ok(())
    }

    fn sum_tensor(&self, t: &Tensor) -> Result<Tensor> {
        part::sum_on_host(self, t)
    }
}

/// Two parts of unequal size, by the kernels and by the composed form: outputs, statistics, and the gradients of x, weight
/// and bias are those of the whole batch.
#[test]
fn parts_of_a_batch_are_the_whole() {
    use candle_core::Var;
    let inputs = [(random(&[50, 7], 1) + 3.0).unwrap(), random(&[7], 2), random(&[7], 3)];
    let factors = random(&[50, 7], 4);
    let pass = |from: usize, count: usize| {
        let vars = [inputs[0].narrow(0, from, count).unwrap(), inputs[1].clone(), inputs[2].clone()];
        let vars = vars.map(|t| Var::from_tensor(&t).unwrap());
        let ((y, stats, loss), tape) = crate::record(|| {
            let (y, stats, pixels) = batch_norm_train(&vars[0], &vars[1], &vars[2], 1e-5)?;
            assert_eq!(pixels, 50);
            let loss = (&y * factors.narrow(0, from, count)?)?.sum_all()?;
            Ok((y, stats, loss))
        })
        .unwrap();
        let grads = tape.backward(&loss).unwrap();
        let of = |var: &Var| grads.get(var).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let y = y.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        [y, of(&vars[0]), of(&vars[1]), of(&vars[2]), stats.mean.to_vec1().unwrap(), stats.variance.to_vec1().unwrap()]
    };
    let whole = pass(0, 50);
    let whole = &whole;
    for composed in [false, true] {
        let shared = std::sync::Arc::new((Default::default(), std::sync::Barrier::new(2)));
        let part = |place: usize, from: usize, count: usize| {
            let sums = std::rc::Rc::new(Pair { place, shared: shared.clone() });
            crate::as_part(crate::Part { first: from, sums: Some(sums) }, || {
                assert_eq!(crate::first_of_part(), from);
                if composed { crate::composed(|| pass(from, count)) } else { pass(from, count) }
            })
        };
        let [a, b] = std::thread::scope(|scope| {
            let parts = [scope.spawn(|| part(0, 0, 20)), scope.spawn(|| part(1, 20, 30))];
            parts.map(|thread| thread.join().unwrap())
        });
        assert_eq!(crate::first_of_part(), 0);
        for (i, name) in ["y", "dx", "dw", "db", "mean", "variance"].iter().enumerate() {
            let got: Vec<f32> = match i {
                0 | 1 => [&a[i][..], &b[i]].concat(),
                2 | 3 => a[i].iter().zip(&b[i]).map(|(a, b)| a + b).collect(),
                _ => a[i].clone(),
            };
            assert_eq!(got.len(), whole[i].len());
            for (got, want) in got.iter().zip(&whole[i]) {
                assert!((got - want).abs() < 2e-5, "{name}: {got} {want}");
            }
        }
    }
}

#[test]
fn running_statistics_move_towards_those_of_a_batch() {
    let stats = |seed: u64| -> [Vec<f32>; 2] { [0, 1].map(|i| random(&[301], seed + i).to_vec1().unwrap()) };
    let moved = || {
        let of = |values: &[f32]| Tensor::new(values, &candle_core::Device::Cpu).unwrap();
        let [running, batch] = [stats(1), stats(3)];
        let running = running.map(|values| Var::from_tensor(&of(&values)).unwrap().into_inner());
        let [mean, variance] = batch.map(|values| of(&values));
        let batch = ChannelStats { mean, variance };
        let [mean, variance] = running.clone();
        ChannelStats { mean, variance }.move_towards(&batch, 0.1, 1.25).unwrap();
        let constant = ChannelStats { mean: batch.mean.clone(), variance: batch.variance.clone() };
        assert!(constant.move_towards(&batch, 0.1, 1.25).is_err(), "no variables");
        let error = ChannelStats { mean: of(&[0.0]), ..constant }.move_towards(&batch, 0.1, 1.0).unwrap_err();
        assert!(error.to_string().contains("for a batch's of"), "{error}");
        running.map(|t| t.to_vec1::<f32>().unwrap())
    };
    let (running, batch) = (stats(1), stats(3));
    let right = |got: [Vec<f32>; 2]| {
        for (which, factor) in [1.0, 1.25].into_iter().enumerate() {
            for (got, (r, b)) in got[which].iter().zip(running[which].iter().zip(&batch[which])) {
                let want = f64::from(*r) * 0.9 + f64::from(*b) * 0.1 * factor;
                assert!((f64::from(*got) - want).abs() < 1e-7, "{got} {want}");
            }
        }
    };
    right(moved());
    if let Some(got) = crate::cuda::emulator::emulated(moved) {
        right(got);
    }
}
