//! What in a picture a decision rests on: Grad-CAM and occlusion.

use std::cell::RefCell;

use candle_core::{DType, Tensor, Var};
use hemf_data::Raster;
use hemf_metrics::softmax;
use hemf_model::{Branch, Classifier, Mode};
use hemf_train::Error;

use crate::{HeatMap, Network, View};

/// Where in the network a heat map was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Which of its branches.
    pub branch: Branch,
    /// Stage, from 1.
    pub stage: usize,
}

impl Spot {
    /// Its name in files: `fusion-4`.
    pub fn name(self) -> String {
        let branch = match self.branch {
            Branch::Local => "local",
            Branch::Global => "global",
            Branch::External => "external",
            Branch::Fusion => "fusion",
        };
        format!("{branch}-{}", self.stage)
    }
}

/// The gradient-weighted activation maps (Selvaraju et al., ICCV 2017) for `class`, of those stages and branches that are
/// `wanted`: gradients are taken back no further than to the first of them.
///
/// `cam = relu(sum_c a_c A_c)` with the map `A` (H, W, C) and `a_c` the mean over its pixels of the gradient of the
/// class's logit with respect to `A_c`. The last maps of the branches tell what each path contributes, the maps of the
/// fusion what each HEF stage adds. A last map may have a few cells only: it is as coarse as the network sees.
///
/// # Errors
/// A network without stages, or an operation on tensors that fails.
pub fn grad_cam(
    network: &Network,
    picture: &Raster,
    class: usize,
    wanted: impl Fn(Spot) -> bool,
) -> Result<Vec<(Spot, HeatMap)>, Error> {
    let images = network.batch(std::slice::from_ref(picture), View::PLAIN)?;
    activation_maps(network.model()?, &images, class, wanted)
}

/// [`grad_cam`] of a batch of one image, (1, C, size, size).
fn activation_maps(
    model: &dyn Classifier,
    images: &Tensor,
    class: usize,
    wanted: impl Fn(Spot) -> bool,
) -> Result<Vec<(Spot, HeatMap)>, Error> {
    let taps: RefCell<Vec<(Spot, Tensor, Var)>> = RefCell::new(Vec::new());
    // A variable of zeros is added to every map: its gradient is the map's, and candle keeps it.
    let tap = |branch: Branch, stage: usize, map: Tensor| {
        let spot = Spot { branch, stage: stage + 1 };
        if !wanted(spot) {
            return Ok(map);
        }
        let zeros = Var::zeros(map.dims(), map.dtype(), map.device())?;
        let tapped = map.add(zeros.as_tensor())?;
        taps.borrow_mut().push((spot, tapped.detach(), zeros));
        Ok(tapped)
    };
    let stages = model.forward_tapped(images, Mode::Eval, &tap)?;
    let gradients = stages.logits.get(0)?.get(class)?.backward()?;
    let mut maps = Vec::new();
    for (spot, map, variable) in taps.into_inner() {
        let (_, height, width, channels) = map.dims4()?;
        let map: Vec<f32> = map.flatten_all()?.to_vec1()?;
        let weights = match gradients.get(&variable) {
            Some(gradient) => pixel_means(&gradient.flatten_all()?.to_vec1()?, channels),
            None => vec![0.0; channels], // nothing of this map reaches the logits
        };
        let weighted = |pixel: &[f32]| pixel.iter().zip(&weights).map(|(value, weight)| value * weight).sum();
        maps.push((spot, HeatMap::new(width, height, map.chunks_exact(channels).map(weighted).collect())));
    }
    Ok(maps)
}

fn pixel_means(values: &[f32], channels: usize) -> Vec<f32> {
    let mut sums = vec![0f64; channels];
    for pixel in values.chunks_exact(channels) {
        sums.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    let pixels = (values.len() / channels) as f64;
    sums.into_iter().map(|sum| (sum / pixels) as f32).collect()
}

/// Squares along each side of the picture that occlusion covers, one after the other; each overlaps its neighbours by
/// half.
const COVERS: usize = 9;

/// How much the probability of `class` falls when a part of the picture is covered (Zeiler and Fergus, ECCV 2014): the
/// mean of the training's normalisation is laid over squares of a fifth of the side.
///
/// # Errors
/// An operation on tensors that fails, which is a bug.
pub fn occlusion(network: &Network, picture: &Raster, class: usize) -> Result<HeatMap, Error> {
    let image: Vec<f32> = network.batch(std::slice::from_ref(picture), View::PLAIN)?.flatten_all()?.to_vec1()?;
    let settings = network.preprocessing();
    probability_drops(network.model()?, &image, (settings.channels, settings.size), class)
}

/// [`occlusion`] of an image as the network's input, (channels, size, size).
fn probability_drops(
    model: &dyn Classifier,
    image: &[f32],
    (channels, size): (usize, usize),
    class: usize,
) -> Result<HeatMap, Error> {
    let probability = |images: Vec<f32>| -> Result<Vec<f32>, Error> {
        let count = images.len() / image.len();
        let images = Tensor::from_vec(images, (count, channels, size, size), hemf_train::device())?;
        let logits = model.forward(&images, Mode::Eval)?.to_vec2::<f32>()?;
        let of = |row: Vec<f32>| softmax(&row.into_iter().map(f64::from).collect::<Vec<_>>())[class] as f32;
        Ok(logits.into_iter().map(of).collect())
    };
    let before = probability(image.to_vec())?[0];
    let side = (size / 5).max(1);
    let start = |step: usize| step * (size - side) / (COVERS - 1);
    let mut drops = Vec::with_capacity(COVERS * COVERS);
    for row in 0..COVERS {
        let mut images = Vec::with_capacity(COVERS * image.len());
        for column in 0..COVERS {
            let mut covered = image.to_vec();
            for plane in covered.chunks_exact_mut(size * size) {
                for line in plane.chunks_exact_mut(size).skip(start(row)).take(side) {
                    line[start(column)..start(column) + side].fill(0.0);
                }
            }
            images.extend(covered);
        }
        drops.extend(probability(images)?.into_iter().map(|after| before - after));
    }
    Ok(HeatMap::new(COVERS, COVERS, drops))
}

/// [`grad_cam`] of the map that the head reads: of the last fusion stage, or of the last stage of a single branch.
///
/// # Errors
/// As [`grad_cam`].
pub fn grad_cam_of_last(network: &Network, picture: &Raster, class: usize) -> Result<HeatMap, Error> {
    let last = spots(network)?.last().copied();
    let maps = grad_cam(network, picture, class, |spot| Some(spot) == last)?;
    maps.into_iter().next().map(|(_, map)| map).ok_or_else(|| Error::Checkpoint {
        path: network.checkpoint().path().to_owned(),
        what: "its network has no stages to look at".to_owned(),
    })
}

/// Every stage of every branch, in the order in which the network comes to them. The first call takes a pass of a blank
/// image, further ones of the same network nothing.
///
/// # Errors
/// A network without stages, or an operation on tensors that fails.
pub fn spots(network: &Network) -> Result<&[Spot], Error> {
    if let Some(spots) = network.spots().get() {
        return Ok(spots);
    }
    let settings = network.preprocessing();
    let blank = Tensor::zeros((1, settings.channels, settings.size, settings.size), DType::F32, hemf_train::device())?;
    let spots = RefCell::new(Vec::new());
    let note = |branch: Branch, stage: usize, map: Tensor| {
        spots.borrow_mut().push(Spot { branch, stage: stage + 1 });
        Ok(map)
    };
    network.model()?.forward_tapped(&blank, Mode::Eval, &note)?;
    Ok(network.spots().get_or_init(|| spots.into_inner()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hemf_model::{Stages, Tap};

    /// Two channels; the logits are (0, m_0 - m_1) with the means m_k over the pixels of the squares of channel k.
    struct Squares;

    impl Classifier for Squares {
        fn forward(&self, images: &Tensor, mode: Mode) -> candle_core::Result<Tensor> {
            Ok(self.forward_tapped(images, mode, &|_, _, map| Ok(map))?.logits)
        }

        fn forward_tapped(&self, images: &Tensor, _: Mode, tap: Tap<'_>) -> candle_core::Result<Stages> {
            let map = tap(Branch::Fusion, 0, images.permute((0, 2, 3, 1))?.contiguous()?)?;
            let head = Tensor::new(&[[0f32, 1.0], [0.0, -1.0]], images.device())?;
            let logits = map.sqr()?.mean((1, 2))?.matmul(&head)?;
            Ok(Stages { local: vec![], global: vec![], external: vec![], fused: vec![map], logits })
        }
    }

    const SPOT: Spot = Spot { branch: Branch::Fusion, stage: 1 };

    fn images(values: [f32; 8]) -> Tensor {
        Tensor::new(&values, hemf_train::device()).unwrap().reshape((1, 2, 2, 2)).unwrap()
    }

    /// The gradient of the logit at a pixel is 2 A_0 / 4 and -2 A_1 / 4; its means, with those of the channels 2.5 and 1,
    /// are 1.25 and -0.5. So the map is 1.25 A_0 - 0.5 A_1 = (-0.75, 2.5, 3.75, 5), cut at 0 and divided by 5.
    #[test]
    fn a_map_worked_by_hand() {
        let maps = activation_maps(&Squares, &images([1.0, 2.0, 3.0, 4.0, 4.0, 0.0, 0.0, 0.0]), 1, |_| true).unwrap();
        let [(spot, map)] = &maps[..] else { panic!("one stage") };
        assert_eq!((*spot, map.size()), (SPOT, (2, 2)));
        for (found, expected) in map.values().iter().zip([0.0, 0.5, 0.75, 1.0]) {
            assert!((found - expected).abs() < 1e-6, "{:?}", map.values());
        }
        assert!(activation_maps(&Squares, &images([1.0; 8]), 1, |_| false).unwrap().is_empty());
    }

    /// The mean gradient of a channel is what raising all its pixels changes in the logit: central differences.
    #[test]
    fn channels_weigh_as_finite_differences_say() {
        let values = [0.3, -1.2, 0.8, 2.0, -0.4, 1.1, 0.6, 0.9f32];
        let logit =
            |values: [f32; 8]| Squares.forward(&images(values), Mode::Eval).unwrap().to_vec2::<f32>().unwrap()[0][1];
        let weight = |channel: usize| {
            let raised = |by: f32| {
                let mut values = values;
                values[4 * channel..][..4].iter_mut().for_each(|value| *value += by);
                logit(values)
            };
            (raised(0.01) - raised(-0.01)) / 0.02 / 4.0
        };
        let expected: Vec<f32> = (0..4).map(|i| weight(0) * values[i] + weight(1) * values[4 + i]).collect();
        let expected = HeatMap::new(2, 2, expected);
        let found = activation_maps(&Squares, &images(values), 1, |spot| spot == SPOT).unwrap().remove(0).1;
        for (found, expected) in found.values().iter().zip(expected.values()) {
            assert!((found - expected).abs() < 1e-3, "{found} {expected}");
        }
    }

    /// The logits are (0, m) with the mean m of the upper left quarter.
    struct Corner;

    impl Classifier for Corner {
        fn forward(&self, images: &Tensor, _: Mode) -> candle_core::Result<Tensor> {
            let half = images.dims()[2] / 2;
            let mean = images.narrow(2, 0, half)?.narrow(3, 0, half)?.mean((1, 2, 3))?.unsqueeze(1)?;
            Tensor::cat(&[&mean.zeros_like()?, &mean], 1)
        }
    }

    /// An image of ones, 10 pixels wide: covers of 2x2 pixels begin at every pixel up to the eighth, and the quarter has 25
    /// pixels. Covering 4 of them takes m from 1 to 0.84, covering 2 to 0.92, covering none leaves it.
    #[test]
    fn what_is_covered_counts_as_much_as_the_probability_falls() {
        let map = probability_drops(&Corner, &[1.0; 100], (1, 10), 1).unwrap();
        assert_eq!(map.size(), (COVERS, COVERS));
        let at = |row: usize, column: usize| map.values()[row * COVERS + column];
        let p = |m: f32| 1.0 / (1.0 + (-m).exp());
        let half = (p(1.0) - p(0.92)) / (p(1.0) - p(0.84));
        for (row, column, expected) in [(0, 0, 1.0), (3, 3, 1.0), (4, 0, half), (0, 4, half), (5, 5, 0.0), (8, 0, 0.0)]
        {
            assert!((at(row, column) - expected).abs() < 1e-4, "{row} {column}: {} {expected}", at(row, column));
        }
    }
}
