//! The generated pictures: the same everywhere, and beyond a linear model on pixels.

use hemf_data::quickstart::{Pattern, Spec, ensure, generate, picture};
use hemf_data::{CropBox, Raster, Split, resize, resized_crop};

/// Side of the pictures the linear model sees.
const SIDE: usize = 20;
const CLASSES: usize = Pattern::ALL.len();

/// A quantity of a picture.
type Feature = fn(&Raster) -> Vec<f64>;

fn pixels(picture: &Raster) -> Vec<f64> {
    resize(picture, SIDE, SIDE).pixels().iter().map(|&v| f64::from(v)).collect()
}

/// What an eye would measure and no weighted sum of pixels is: at four scales, how strong the
/// detail of the middle is (variance), whether dark or pale spots stand out (skewness), and how much
/// of it stands out at all (kurtosis).
fn structure(picture: &Raster) -> Vec<f64> {
    let middle = CropBox { top: 16, left: 16, height: 48, width: 48 };
    let grey = resized_crop(&picture.clone().into_luma(), middle, 48, 48);
    let blurred: Vec<Raster> =
        [48, 32, 20, 12, 6].iter().map(|&side| resize(&resize(&grey, side, side), 48, 48)).collect();
    let mut features = Vec::new();
    for (fine, coarse) in blurred.iter().zip(&blurred[1..]) {
        let pairs = fine.pixels().iter().zip(coarse.pixels());
        let detail: Vec<f64> = pairs.map(|(a, b)| f64::from(*a) - f64::from(*b)).collect();
        let moment = |p: i32| detail.iter().map(|v| v.powi(p)).sum::<f64>() / detail.len() as f64;
        let (variance, skew) = (moment(2) + 0.01, moment(3));
        features.extend([variance.ln(), skew / variance.powf(1.5), (moment(4) / variance.powi(2)).ln()]);
    }
    features
}

/// Features and labels of pictures `range` of each class, by class in turn.
fn examples(feature: Feature, range: std::ops::Range<usize>) -> (Vec<Vec<f64>>, Vec<usize>) {
    let spec = Spec::default();
    let each = range.flat_map(|index| (0..CLASSES).map(move |class| (index, class)));
    each.map(|(index, class)| (feature(&picture(Pattern::ALL[class], index, &spec)), class)).unzip()
}

/// Scales each feature to mean 0 and variance 1 over the training examples.
fn standardise(train: &mut [Vec<f64>], test: &mut [Vec<f64>]) {
    let n = train.len() as f64;
    for feature in 0..train[0].len() {
        let mean = train.iter().map(|row| row[feature]).sum::<f64>() / n;
        let variance = train.iter().map(|row| (row[feature] - mean).powi(2)).sum::<f64>() / n;
        for row in train.iter_mut().chain(test.iter_mut()) {
            row[feature] = (row[feature] - mean) / variance.sqrt().max(1e-9);
        }
    }
}

/// Multinomial logistic regression by gradient descent; returns (train, best test) accuracy, the
/// latter over all steps: better than any rule for stopping could do.
fn logistic_regression(feature: Feature, steps: usize, rate: f64, decay: f64) -> (f64, f64) {
    let (mut train, train_labels) = examples(feature, 0..150);
    let (mut test, test_labels) = examples(feature, 150..210);
    standardise(&mut train, &mut test);
    let width = train[0].len();
    let mut weights = vec![vec![0.0; width + 1]; CLASSES];
    let scores = |weights: &[Vec<f64>], row: &[f64]| -> Vec<f64> {
        let dot = |w: &Vec<f64>| w[width] + row.iter().zip(w).map(|(x, w)| x * w).sum::<f64>();
        weights.iter().map(dot).collect()
    };
    let accuracy = |weights: &[Vec<f64>], rows: &[Vec<f64>], labels: &[usize]| {
        let hit = |(row, label): (&Vec<f64>, &usize)| {
            let scores = scores(weights, row);
            (0..CLASSES).max_by(|&a, &b| scores[a].total_cmp(&scores[b])) == Some(*label)
        };
        rows.iter().zip(labels).filter(|pair| hit(*pair)).count() as f64 / rows.len() as f64
    };
    let mut best: f64 = 0.0;
    for step in 0..steps {
        let mut gradient = vec![vec![0.0; width + 1]; CLASSES];
        for (row, &label) in train.iter().zip(&train_labels) {
            let scores = scores(&weights, row);
            let highest = scores.iter().copied().fold(f64::MIN, f64::max);
            let total: f64 = scores.iter().map(|score| (score - highest).exp()).sum();
            for class in 0..CLASSES {
                let probability = (scores[class] - highest).exp() / total;
                let slope = (probability - f64::from(u8::from(class == label))) / train.len() as f64;
                gradient[class].iter_mut().zip(row).for_each(|(g, x)| *g += slope * x);
                gradient[class][width] += slope;
            }
        }
        for (weights, gradient) in weights.iter_mut().zip(&gradient) {
            for (w, g) in weights.iter_mut().zip(gradient) {
                *w -= rate * (g + decay * *w);
            }
        }
        if step % 5 == 4 {
            best = best.max(accuracy(&weights, &test, &test_labels));
        }
    }
    (accuracy(&weights, &train, &train_labels), best)
}

#[test]
fn a_linear_model_on_pixels_fails() {
    for decay in [0.0, 0.1] {
        let (train, test) = logistic_regression(pixels, 200, 0.02, decay);
        println!("pixels, decay {decay}: train {train:.3}, test at best {test:.3}");
        // It does learn its training pictures by heart; chance is 0.25.
        assert!(train > 0.6, "the model was trained: {train}");
        assert!(test < 0.5, "held-out accuracy {test}");
    }
}

#[test]
fn the_same_model_on_structure_succeeds() {
    // The control: the classes are there to be told apart, by texture.
    let (train, test) = logistic_regression(structure, 400, 0.5, 0.0);
    println!("structure: train {train:.3}, test at best {test:.3}");
    assert!(test > 0.65, "held-out accuracy {test}");
}

#[test]
fn pictures_are_the_same_everywhere() {
    // All arithmetic is exactly rounded, so this holds on any machine. A change of the painting
    // changes every figure that was measured on the pictures: change the digits knowingly.
    let mut hasher = blake3::Hasher::new();
    for pattern in Pattern::ALL {
        hasher.update(picture(pattern, 3, &Spec::default()).pixels());
    }
    assert_eq!(&hasher.finalize().to_hex()[..16], "ba3a28608042f0c4");
}

#[test]
fn generated_once_then_found() {
    let dir = tempfile::tempdir().unwrap();
    let spec = Spec { per_class: 8, size: 32, seed: 4 };
    let made = ensure(dir.path(), &spec).unwrap();
    assert_eq!(made.classes(), Pattern::ALL.map(Pattern::name));
    assert_eq!(Split::ALL.map(|split| made.class_counts(split)[0]), [6, 1, 1]);
    let written = |name: &str| std::fs::metadata(dir.path().join(name)).unwrap().modified().unwrap();
    let before = written("manifest.csv");
    assert_eq!(ensure(dir.path(), &spec).unwrap(), made);
    assert_eq!(written("manifest.csv"), before);

    // A lost picture is painted again, the same.
    std::fs::remove_file(dir.path().join("streaks/streaks_0002.png")).unwrap();
    assert_eq!(ensure(dir.path(), &spec).unwrap().seal(), made.seal());
    // Another spec is another data set; a folder with more in it is not touched further.
    let fewer = Spec { per_class: 6, ..spec.clone() };
    assert!(ensure(dir.path(), &fewer).unwrap_err().to_string().contains("empty folder"));
    assert!(generate(dir.path(), &Spec { per_class: 2, ..spec }).is_err());
}

#[test]
fn classes_share_brightness_and_contrast() {
    // Mean and spread of the whole picture, averaged over pictures, differ little between classes.
    let spec = Spec::default();
    let moments = |pattern| {
        let mut sums = [0.0; 2];
        for index in 0..80 {
            let grey = picture(pattern, index, &spec).into_luma();
            let values = || grey.pixels().iter().map(|&v| f64::from(v));
            let mean = values().sum::<f64>() / grey.pixels().len() as f64;
            let variance = values().map(|v| (v - mean).powi(2)).sum::<f64>() / grey.pixels().len() as f64;
            sums[0] += mean / 80.0;
            sums[1] += variance.sqrt() / 80.0;
        }
        sums
    };
    let all = Pattern::ALL.map(moments);
    for (quantity, limit) in [(0, 12.0), (1, 10.0)] {
        let values = all.map(|moments| moments[quantity]);
        let spread = values.iter().fold(f64::MIN, |a, &b| a.max(b)) - values.iter().fold(f64::MAX, |a, &b| a.min(b));
        assert!(spread < limit, "{quantity}: {values:?}");
    }
}
