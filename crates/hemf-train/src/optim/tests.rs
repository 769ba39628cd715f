use candle_core::Device;

use super::*;

fn var(values: &[f32]) -> Var {
    Var::from_slice(values, values.len(), &Device::Cpu).unwrap()
}

fn numbers(var: &Var) -> Vec<f32> {
    var.flatten_all().unwrap().to_vec1().unwrap()
}

/// Three weights whose loss is the sum of w^3, so that g = 3 w^2; `steps` steps at half the rate and twice the gradient.
fn walk(config: OptimizerConfig, steps: usize) -> Vec<f32> {
    let weight = Var::from_slice(&[1f32, -2.0, 0.5], (1, 3), &Device::Cpu).unwrap();
    let mut optimizer = Optimizer::new(config, vec![("w".to_owned(), weight.clone())]);
    for _ in 0..steps {
        let loss = weight.powf(3.0).unwrap().sum_all().unwrap();
        let grads = optimizer.take(loss.backward().unwrap());
        optimizer.step(grads, 0.5, 2.0).unwrap();
    }
    numbers(&weight)
}

fn close(got: &[f32], expected: &[f64]) {
    for (got, expected) in got.iter().zip(expected) {
        assert!((f64::from(*got) - expected).abs() < 2e-6, "{got} {expected}");
    }
}

#[test]
fn matrices_decay_and_vectors_and_biases_do_not() {
    assert!(decays("conv.weight", 4) && decays("mk.weight", 2));
    assert!(!decays("norm.weight", 1) && !decays("conv.bias", 1) && !decays("odd.bias", 2));
}

#[test]
fn adamw_follows_the_formula_computed_in_f64() {
    let config = AdamWConfig { lr: 0.1, weight_decay: 0.5, ..AdamWConfig::default() };
    let (mut p, mut m, mut v) = ([1f64, -2.0, 0.5], [0f64; 3], [0f64; 3]);
    let lr = config.lr * 0.5;
    for t in 1..=5 {
        for i in 0..3 {
            let g = 2.0 * 3.0 * p[i] * p[i];
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            let (m_hat, v_hat) = (m[i] / (1.0 - 0.9f64.powi(t)), v[i] / (1.0 - 0.999f64.powi(t)));
            p[i] = p[i] * (1.0 - lr * 0.5) - lr * m_hat / (v_hat.sqrt() + 1e-8);
        }
    }
    close(&walk(OptimizerConfig::Adamw(config), 5), &p);
}

#[test]
fn sgd_follows_the_formula_computed_in_f64() {
    for nesterov in [false, true] {
        let config = SgdConfig { lr: 0.01, momentum: 0.8, nesterov, weight_decay: 0.1 };
        let (mut p, mut m) = ([1f64, -2.0, 0.5], [0f64; 3]);
        for _ in 0..5 {
            for i in 0..3 {
                let g = 2.0 * 3.0 * p[i] * p[i] + 0.1 * p[i];
                m[i] = 0.8 * m[i] + g;
                p[i] -= 0.005 * if nesterov { g + 0.8 * m[i] } else { m[i] };
            }
        }
        close(&walk(OptimizerConfig::Sgd(config), 5), &p);
    }
}

#[test]
fn a_parameter_without_gradient_is_named_and_left_alone() {
    let (used, idle) = (var(&[1.0]), var(&[2.0]));
    let parameters = vec![("used".to_owned(), used.clone()), ("idle".to_owned(), idle.clone())];
    let mut optimizer = Optimizer::new(OptimizerConfig::default(), parameters);
    let grads = optimizer.take(used.sqr().unwrap().sum_all().unwrap().backward().unwrap());
    assert_eq!(optimizer.without_gradient(&grads), ["idle"]);
    assert_eq!(gradient_norm(&grads).unwrap(), 2.0);
    optimizer.step(grads, 1.0, 1.0).unwrap();
    assert_eq!(numbers(&idle), [2.0]);
    assert_ne!(numbers(&used), [1.0]);
    let names: Vec<String> = optimizer.state().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["first_moment.used", "second_moment.used", "updates.used"]);
}

#[test]
fn a_parameters_rate_multiplies_the_learning_rate() {
    let (full, half) = (var(&[1.0]), var(&[1.0]));
    let of = |name: &str, var: &Var, rate| Parameter { name: name.to_owned(), var: var.clone(), rate };
    let config = OptimizerConfig::Sgd(SgdConfig { lr: 0.5, ..SgdConfig::default() });
    let mut optimizer = Optimizer::with_rates(config, vec![of("full", &full, 1.0), of("half", &half, 0.5)]);
    let loss = (full.as_tensor() + half.as_tensor()).unwrap().sum_all().unwrap();
    let grads = optimizer.take(loss.backward().unwrap());
    optimizer.step(grads, 1.0, 1.0).unwrap();
    assert_eq!((numbers(&full), numbers(&half)), (vec![0.5], vec![0.75]));
}

#[test]
fn what_is_remembered_can_be_taken_back() {
    for config in [OptimizerConfig::default(), OptimizerConfig::Sgd(SgdConfig::default())] {
        let steps = |count: usize, through_a_file: bool| {
            let weight = var(&[1.0, -0.5]);
            let make = || Optimizer::new(config.clone(), vec![("w".to_owned(), weight.clone())]);
            let mut optimizer = make();
            for _ in 0..count {
                let grads = optimizer.take(weight.sqr().unwrap().sum_all().unwrap().backward().unwrap());
                optimizer.step(grads, 1.0, 1.0).unwrap();
                if through_a_file {
                    let state: HashMap<String, Tensor> = optimizer.state().unwrap().into_iter().collect();
                    optimizer = make();
                    optimizer.restore(&state).unwrap();
                }
            }
            numbers(&weight)
        };
        assert_eq!(steps(4, false), steps(4, true));
    }
}

#[test]
fn moments_of_another_shape_are_refused_by_name() {
    let mut optimizer = Optimizer::new(OptimizerConfig::default(), vec![("w".to_owned(), var(&[1.0]))]);
    let moment = Tensor::new(&[1f32, 2.0], &Device::Cpu).unwrap();
    let state = HashMap::from([
        ("first_moment.w".to_owned(), moment.clone()),
        ("second_moment.w".to_owned(), moment),
        ("updates.w".to_owned(), Tensor::new(1i64, &Device::Cpu).unwrap()),
    ]);
    let error = optimizer.restore(&state).unwrap_err().to_string();
    assert!(error.contains("moments of w have shape [2]"), "{error}");
}

#[test]
fn composed_updates_are_those_of_the_kernels() {
    let sgd = |nesterov| OptimizerConfig::Sgd(SgdConfig { nesterov, ..SgdConfig::default() });
    for config in [OptimizerConfig::default(), sgd(false), sgd(true)] {
        let want: Vec<f64> = walk(config.clone(), 5).into_iter().map(f64::from).collect();
        close(&hemf_kernels::composed(|| walk(config.clone(), 5)), &want);
    }
}
