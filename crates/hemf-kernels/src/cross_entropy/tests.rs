use super::*;
use crate::testing::{check, check_bits, check_cuda, random};
use candle_core::Var;

fn labels(values: &[u32]) -> Tensor {
    Tensor::new(values, &Device::Cpu).unwrap()
}

fn plain() -> CrossEntropyOptions<'static> {
    CrossEntropyOptions::default()
}

const WEIGHTS: [f32; 7] = [0.5, 2.0, 1.0, 0.0, 3.0, 0.25, 1.5];

#[test]
fn matches_the_composed_form() {
    for (given, classes) in [(vec![0], 1), (vec![1], 2), (vec![6, 0, 3, 3, 1], 7), (vec![2; 33], 5)] {
        let logits = (random(&[given.len(), classes], 1) * 5.0).unwrap();
        for label_smoothing in [0.0, 0.1, 1.0] {
            for class_weights in [None, Some(&WEIGHTS[..classes])] {
                for focus in [0.0, 0.5, 2.0] {
                    let options = CrossEntropyOptions { label_smoothing, class_weights, focus };
                    let op = |t: &[Tensor]| cross_entropy(&t[0], &labels(&given), &options);
                    let name = format!("cross entropy of {given:?}, {options:?}");
                    // In f64 the same call takes the composed form.
                    if (focus, classes) != (0.5, 1) {
                        // A single class is always sure, and a root has no finite slope at 0.
                        check(&name, &op, &op, std::slice::from_ref(&logits), 1e-6);
                        if label_smoothing == 0.1 {
                            check_cuda(&name, &op, &op, std::slice::from_ref(&logits), 1e-6);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn bits_do_not_depend_on_threads_or_level() {
    let given: Vec<u32> = (0..300).map(|i| i % 100).collect();
    check_bits("cross entropy", &|t| cross_entropy(&t[0], &labels(&given), &plain()), &[random(&[300, 100], 1)]);
}

/// The definition of PyTorch's `cross_entropy(x, y, weight=w, label_smoothing=e)`, computed by NumPy in f64:
///
/// ```python
/// x = np.array([[1, -2, .5], [0, 3, -1], [2, 2, -4], [-.25, .75, 1.25]]); y = np.array([0, 1, 2, 1])
/// def loss(w, e):
///     l = x - np.log(np.exp(x).sum(1, keepdims=True))
///     nll, smooth = -(w[y] * l[range(4), y]).sum(), -(w * l).sum()
///     return ((1 - e) * nll + e / 3 * smooth) / w[y].sum()
/// w = np.array([.5, 2, 1])
/// print(loss(np.ones(3), 0), loss(np.ones(3), .1), loss(w, 0), loss(w, .1))
/// ```
#[test]
fn matches_reference_values() {
    let x = [[1f32, -2.0, 0.5], [0.0, 3.0, -1.0], [2.0, 2.0, -4.0], [-0.25, 0.75, 1.25]];
    let x = Tensor::new(&x, &Device::Cpu).unwrap();
    let weights = Some(&[0.5, 2.0, 1.0][..]);
    let cases = [
        (None, 0.0, 2.0922493001730422),
        (None, 0.1, 2.083915966839709),
        (weights, 0.0, 1.6884933197482155),
        (weights, 0.1, 1.678986352636561),
    ];
    for (class_weights, label_smoothing, want) in cases {
        let options = CrossEntropyOptions { label_smoothing, class_weights, focus: 0.0 };
        let loss = cross_entropy(&x, &labels(&[0, 1, 2, 1]), &options).unwrap().to_scalar::<f32>().unwrap();
        assert!((f64::from(loss) - want).abs() < 1e-6, "{loss}, not {want}, {options:?}");
    }
}

/// The focal loss of Lin et al. (2017), -(1 - p)^f ln p of the label, by NumPy:
///
/// ```python
/// p = np.exp(l)[range(4), y]  # x, y and l as above
/// print((-(1 - p) ** 2 * np.log(p)).mean(), (-(1 - p) ** .5 * np.log(p)).mean())
/// ```
#[test]
fn focal_loss_matches_reference_values() {
    let x = [[1f32, -2.0, 0.5], [0.0, 3.0, -1.0], [2.0, 2.0, -4.0], [-0.25, 0.75, 1.25]];
    let x = Tensor::new(&x, &Device::Cpu).unwrap();
    for (focus, want) in [(2.0, 1.8126872260066471), (0.5, 1.9818179559304434)] {
        let options = CrossEntropyOptions { focus, ..plain() };
        let loss = cross_entropy(&x, &labels(&[0, 1, 2, 1]), &options).unwrap().to_scalar::<f32>().unwrap();
        assert!((f64::from(loss) - want).abs() < 1e-6, "{loss}, not {want}");
    }
}

#[test]
fn a_label_is_the_distribution_that_is_one_at_it() {
    let logits = random(&[3, 4], 1);
    let onehot =
        Tensor::new(&[[0f32, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]], &Device::Cpu).unwrap();
    for (label_smoothing, class_weights, focus) in [(0.0, None, 0.0), (0.1, Some(&WEIGHTS[1..5]), 2.0)] {
        let options = CrossEntropyOptions { label_smoothing, class_weights, focus };
        let soft = soft_cross_entropy(&logits, &onehot, &options).unwrap().to_scalar::<f32>().unwrap();
        let hard = cross_entropy(&logits, &labels(&[2, 0, 3]), &options).unwrap().to_scalar::<f32>().unwrap();
        assert_eq!(soft, hard);
    }
}

/// Mixed targets: without weights, the loss is linear in the shares, whatever the focus.
#[test]
fn a_mixture_costs_the_mixture_of_the_losses() {
    let logits = random(&[2, 3], 4);
    let mixed = Tensor::new(&[[0.75f32, 0.25, 0.0], [0.75, 0.0, 0.25]], &Device::Cpu).unwrap();
    let options = CrossEntropyOptions { focus: 1.5, ..plain() };
    let loss = |t: &[u32]| cross_entropy(&logits, &labels(t), &options).unwrap().to_scalar::<f32>().unwrap();
    let soft = soft_cross_entropy(&logits, &mixed, &options).unwrap().to_scalar::<f32>().unwrap();
    assert!((soft - (0.75 * loss(&[0, 0]) + 0.25 * loss(&[1, 2]))).abs() < 1e-6);
    let op = |t: &[Tensor]| soft_cross_entropy(&t[0], &mixed, &options);
    check("soft cross entropy", &op, &op, std::slice::from_ref(&logits), 1e-6);
}

#[test]
fn logits_of_any_size_stay_finite() {
    let rows = [[1e30f32, -1e30, 0.0], [f32::NEG_INFINITY, 5.0, 5.0]];
    let logits = Var::from_tensor(&Tensor::new(&rows, &Device::Cpu).unwrap()).unwrap();
    let loss = cross_entropy(&logits, &labels(&[0, 1]), &plain()).unwrap();
    let want = 0.5 * 2f32.ln();
    assert!((loss.to_scalar::<f32>().unwrap() - want).abs() < 1e-6);
    let gradient = loss.backward().unwrap().get(&logits).unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(gradient, [[0.0, 0.0, 0.0], [0.0, -0.25, 0.25]]);

    let focal = CrossEntropyOptions { focus: 0.5, ..plain() };
    for right in [0, 1] {
        let loss = cross_entropy(&logits, &labels(&[right, 1]), &focal).unwrap();
        let gradient = loss.backward().unwrap().get(&logits).unwrap().to_vec2::<f32>().unwrap();
        assert!(gradient.iter().flatten().all(|value| value.is_finite()), "{gradient:?}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let logits = random(&[2, 3], 1);
    let refused = |given: &Tensor, options: CrossEntropyOptions, with: &str| {
        let error = cross_entropy(&logits, given, &options).unwrap_err();
        assert!(error.to_string().contains(with), "{error}");
    };
    refused(&labels(&[0, 3]), plain(), "label 3 is not below the number of classes, 3");
    refused(&labels(&[0]), plain(), "labels are u32 (2)");
    refused(&random(&[2], 1), plain(), "not F32 [2]");
    let smoothed = |label_smoothing| CrossEntropyOptions { label_smoothing, ..plain() };
    refused(&labels(&[0, 1]), smoothed(1.5), "from 0 to 1, not 1.5");
    refused(&labels(&[0, 1]), smoothed(f32::NAN), "from 0 to 1, not NaN");
    let weighted = |weights| CrossEntropyOptions { class_weights: Some(weights), ..plain() };
    refused(&labels(&[0, 1]), weighted(&[1.0, 1.0]), "2 class weights for 3 classes");
    refused(&labels(&[0, 1]), weighted(&[1.0, -1.0, 1.0]), "not -1");
    refused(&labels(&[0, 1]), weighted(&[0.0, 0.0, 1.0]), "weight 0");
    refused(&labels(&[0, 1]), CrossEntropyOptions { focus: -1.0, ..plain() }, "from 0, not -1");
    for (rows, with) in
        [([[0.5f32, 0.4, 0.0], [1.0, 0.0, 0.0]], "row 0"), ([[1.0, 0.0, 0.0], [1.5, -0.5, 0.0]], "row 1")]
    {
        let targets = Tensor::new(&rows, &Device::Cpu).unwrap();
        let error = soft_cross_entropy(&logits, &targets, &plain()).unwrap_err();
        assert!(error.to_string().contains(with), "{error}");
    }
    assert!(soft_cross_entropy(&logits, &random(&[2, 2], 1), &plain()).is_err());
}
