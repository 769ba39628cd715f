//! One pass each.

use super::Activation;
use crate::simd::multiversion;
use crate::{math, parallel};

pub(super) fn forward(x: &[f32], activation: Activation) -> Vec<f32> {
    let mut y = parallel::unwritten(x.len());
    parallel::fill_rows(&mut y, 1, |first, band| {
        band.copy_from_slice(&x[first..][..band.len()]);
        activation.apply(band);
    });
    y
}

impl Activation {
    /// In place.
    pub(crate) fn apply(self, values: &mut [f32]) {
        match self {
            Self::Gelu => gelu(values),
            Self::Relu => relu(values),
            Self::Sigmoid => sigmoid(values),
        }
    }
}

/// `from` is x, or where the gradient needs it y.
pub(super) fn backward(from: &[f32], g: &[f32], activation: Activation) -> Vec<f32> {
    let run: fn(&[f32], &[f32], &mut [f32]) = match activation {
        Activation::Gelu => gelu_gradient,
        Activation::Relu => relu_gradient,
        Activation::Sigmoid => sigmoid_gradient,
    };
    let mut dx = parallel::unwritten(from.len());
    parallel::fill_rows(&mut dx, 1, |first, band| {
        run(&from[first..][..band.len()], &g[first..][..band.len()], band);
    });
    dx
}

multiversion! {
    fn gelu(values: &mut [f32]) {
        for x in values {
            *x *= math::normal::<FUSED>(*x);
        }
    }
}

multiversion! {
    fn gelu_gradient(x: &[f32], g: &[f32], dx: &mut [f32]) {
        for ((d, x), g) in dx.iter_mut().zip(x).zip(g) {
            *d = g * (math::normal::<FUSED>(*x) + x * math::density::<FUSED>(*x));
        }
    }
}

multiversion! {
    fn relu(values: &mut [f32]) {
        // A comparison, not `max`, so that a NaN stays one.
        for x in values {
            *x = if *x < 0.0 { 0.0 } else { *x };
        }
    }
}

multiversion! {
    fn relu_gradient(x: &[f32], g: &[f32], dx: &mut [f32]) {
        for ((d, x), g) in dx.iter_mut().zip(x).zip(g) {
            *d = if *x > 0.0 { *g } else { 0.0 };
        }
    }
}

multiversion! {
    fn sigmoid(values: &mut [f32]) {
        for x in values {
            *x = math::sigmoid::<FUSED>(*x);
        }
    }
}

multiversion! {
    fn sigmoid_gradient(y: &[f32], g: &[f32], dx: &mut [f32]) {
        for ((d, y), g) in dx.iter_mut().zip(y).zip(g) {
            *d = g * y * (1.0 - y);
        }
    }
}
