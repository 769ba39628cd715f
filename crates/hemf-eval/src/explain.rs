//! What in a picture a decision rests on: Grad-CAM and occlusion.

use std::cell::RefCell;

use candle_core::{DType, Tensor, Var};
use hemf_data::Raster;
use hemf_metrics::softmax;
use hemf_model::{Branch, Mode};
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
    /// Its name in files and captions: `fusion-4`.
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
    let stages = network.model().forward_tapped(&images, Mode::Eval, &tap)?;
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
    let (channels, size) = (settings.channels, settings.size);
    let probability = |images: Vec<f32>| -> Result<Vec<f32>, Error> {
        let count = images.len() / image.len();
        let images = Tensor::from_vec(images, (count, channels, size, size), hemf_train::device())?;
        let logits = network.model().forward(&images, Mode::Eval)?.to_vec2::<f32>()?;
        let of = |row: Vec<f32>| softmax(&row.into_iter().map(f64::from).collect::<Vec<_>>())[class] as f32;
        Ok(logits.into_iter().map(of).collect())
    };
    let before = probability(image.clone())?[0];
    let side = (size / 5).max(1);
    let start = |step: usize| step * (size - side) / (COVERS - 1);
    let mut drops = Vec::with_capacity(COVERS * COVERS);
    for row in 0..COVERS {
        let mut images = Vec::with_capacity(COVERS * image.len());
        for column in 0..COVERS {
            let mut covered = image.clone();
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
    let last = spots(network)?.into_iter().next_back();
    let maps = grad_cam(network, picture, class, |spot| Some(spot) == last)?;
    maps.into_iter().next().map(|(_, map)| map).ok_or_else(|| Error::Checkpoint {
        path: network.checkpoint().path().to_owned(),
        what: "its network has no stages to look at".to_owned(),
    })
}

/// Every stage of every branch, in the order in which the network comes to them.
///
/// # Errors
/// A network without stages, or an operation on tensors that fails.
pub fn spots(network: &Network) -> Result<Vec<Spot>, Error> {
    let settings = network.preprocessing();
    let blank = Tensor::zeros((1, settings.channels, settings.size, settings.size), DType::F32, hemf_train::device())?;
    let spots = RefCell::new(Vec::new());
    let note = |branch: Branch, stage: usize, map: Tensor| {
        spots.borrow_mut().push(Spot { branch, stage: stage + 1 });
        Ok(map)
    };
    network.model().forward_tapped(&blank, Mode::Eval, &note)?;
    Ok(spots.into_inner())
}
