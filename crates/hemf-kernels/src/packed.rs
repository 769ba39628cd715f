//! Layers for inference: weights that are arranged once, and what follows a product done while its result is in the
//! cache.

use crate::activation::Activation;
use crate::conv2d::{Geometry, direct, winograd};
use crate::ending::Ending;
use crate::host::{host, native, tensor};
use crate::matmul::{Mat, Packed, Start, matmul_packed};
use crate::parallel;
use crate::profile::{Pass, bytes, timed};
use candle_core::{Result, Tensor, bail};
use std::sync::OnceLock;

/// What is done to a part of a row of a result: its row, its first column, its values.
pub(crate) type Finish<'a> = &'a (dyn Fn(usize, usize, &mut [f32]) + Sync);

/// What follows a product: `y = norm(residual + activation(z))`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// Applied to each value first.
    pub activation: Option<Activation>,
    /// Added then; of the result's shape.
    pub residual: Option<&'a Tensor>,
    /// A layer norm at last.
    pub norm: Option<Norm<'a>>,
}

/// A layer norm over the channels: see [`crate::layer_norm`].
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// (C)
    pub weight: &'a Tensor,
    /// (C)
    pub bias: &'a Tensor,
    /// Added to the variance.
    pub eps: f64,
}

impl<'a> Epilogue<'a> {
    /// An activation alone.
    pub fn activation(activation: Activation) -> Self {
        Self { activation: Some(activation), ..Self::default() }
    }

    /// A residual alone.
    pub fn residual(residual: &'a Tensor) -> Self {
        Self { residual: Some(residual), ..Self::default() }
    }

    /// The same as operations of their own, each with its gradient.
    pub fn apply(&self, z: &Tensor) -> Result<Tensor> {
        let y = match self.activation {
            Some(activation) => crate::activate(z, activation)?,
            None => z.clone(),
        };
        let y = match self.residual {
            Some(residual) => crate::add(residual, &y)?,
            None => y,
        };
        match self.norm {
            Some(Norm { weight, bias, eps }) => crate::layer_norm(&y, weight, bias, eps),
            None => Ok(y),
        }
    }

    /// [`apply`](Self::apply) to a product that adds the bias that it is given, if any: with that bias, or, where there is one
    /// kernel for all that follows a product, without.
    pub fn after(
        &self,
        bias: Option<&Tensor>,
        product: impl FnOnce(Option<&Tensor>) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let &Self { activation, residual, norm } = self;
        let ending = Ending { bias, activation, residual };
        if !ending.pays() {
            return self.apply(&product(bias)?);
        }
        let rest = Epilogue { norm, ..Self::default() };
        rest.apply(&ending.apply(&product(None)?)?)
    }

    /// Runs a product, which hands on what it has finished; whole rows only where there is a norm.
    fn around<R>(&self, shape: &[usize], product: impl FnOnce(Finish) -> R) -> Result<R> {
        let width = shape.last().copied().unwrap_or(1);
        let residual = match self.residual {
            Some(residual) if residual.dims() != shape => {
                bail!("a residual of shape {:?} does not go with a result of shape {shape:?}", residual.dims())
            }
            residual => residual.map(Tensor::contiguous).transpose()?,
        };
        let residual = residual.as_ref().map(host).transpose()?;
        let residual: Option<&[f32]> = residual.as_deref();
        let norm = match self.norm {
            Some(Norm { weight, bias, .. }) if weight.dims() != [width] || bias.dims() != [width] => {
                bail!("a norm of weight {:?} and bias {:?} for {width} channels", weight.dims(), bias.dims())
            }
            Some(Norm { weight, bias, eps }) => Some((host(weight)?, host(bias)?, eps as f32)),
            None => None,
        };
        let norm: Option<(&[f32], &[f32], f32)> = norm.as_ref().map(|(weight, bias, eps)| (&**weight, &**bias, *eps));
        Ok(product(&|row, column, values| {
            if let Some(activation) = self.activation {
                activation.apply(values);
            }
            if let Some(residual) = residual {
                crate::elementwise::accumulate(values, &residual[row * width + column..][..values.len()]);
            }
            if let Some((weight, bias, eps)) = norm {
                crate::layer_norm::normalise(values, weight, bias, eps);
            }
        }))
    }
}

/// What a weight is multiplied with while it is packed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scales<'a> {
    /// (I), of what comes in.
    pub inputs: Option<&'a Tensor>,
    /// (O), of what goes out.
    pub outputs: Option<&'a Tensor>,
}

impl<'a> Scales<'a> {
    /// Of what comes in alone.
    pub fn inputs(scale: &'a Tensor) -> Self {
        Self { inputs: Some(scale), ..Self::default() }
    }

    /// Of what goes out alone.
    pub fn outputs(scale: &'a Tensor) -> Self {
        Self { outputs: Some(scale), ..Self::default() }
    }

    /// To a weight (O, I, k, k), on any device.
    pub fn apply(&self, weight: &Tensor) -> Result<Tensor> {
        let scaled = |weight: Tensor, scale: Option<&Tensor>, shape| match scale {
            Some(scale) => weight.broadcast_mul(&scale.reshape(shape)?),
            None => Ok(weight),
        };
        let (o, i, ..) = weight.dims4()?;
        scaled(scaled(weight.clone(), self.inputs, (1, i, 1, 1))?, self.outputs, (o, 1, 1, 1))
    }

    /// Their values, for a weight of these sizes.
    fn values(&self, outputs: usize, inputs: usize) -> Result<[Option<Vec<f32>>; 2]> {
        let checked = |scale: Option<&Tensor>, n: usize| match scale {
            Some(scale) if scale.dims() != [n] => bail!("a scale of {n} values is wanted, not {:?}", scale.dims()),
            scale => values(scale),
        };
        Ok([checked(self.inputs, inputs)?, checked(self.outputs, outputs)?])
    }
}

/// A linear layer, or a 1x1 convolution, whose weight is packed.
#[derive(Clone, Debug)]
pub struct PackedLinear {
    weight: Packed,
    bias: Option<Vec<f32>>,
    inputs: usize,
    outputs: usize,
}

impl PackedLinear {
    /// `weight` (O, I) or (O, I, 1, 1), times `scales`, `bias` (O); `None` where these have no kernel here (another type or
    /// device).
    pub fn new(weight: &Tensor, scales: Scales, bias: Option<&Tensor>) -> Result<Option<Self>> {
        if !native(weight) {
            return Ok(None);
        }
        let (outputs, inputs) = (weight.dim(0)?, weight.dim(1)?);
        if weight.elem_count() != outputs * inputs {
            bail!("a linear weight is (out, in), not {:?}", weight.dims());
        }
        let weight = weight.contiguous()?;
        let weight = direct::packed(&host(&weight)?, [outputs, inputs, 1, 1], scales.values(outputs, inputs)?);
        Ok(Some(Self { weight, bias: values(bias)?, inputs, outputs }))
    }

    /// `x` (..., I) -> (..., O)
    ///
    /// Fails when the last dimension of `x` is not I, or `x` is of another type or device.
    pub fn forward(&self, x: &Tensor, epilogue: Epilogue) -> Result<Tensor> {
        let weights = 4 * (self.inputs * self.outputs) as u64;
        timed("linear", Pass::Forward, &[x], || self.run(x, epilogue), |y| weights + bytes(y))
    }

    fn run(&self, x: &Tensor, epilogue: Epilogue) -> Result<Tensor> {
        let mut shape = x.dims().to_vec();
        match shape.last_mut() {
            Some(last) if *last == self.inputs => *last = self.outputs,
            _ => bail!("a packed linear layer of {} inputs was given {:?}", self.inputs, x.dims()),
        }
        let x = x.contiguous()?;
        let x = host(&x)?;
        let rows = x.len() / self.inputs;
        let mut y = parallel::unwritten(rows * self.outputs);
        let (x, start) = (Mat::new(&x, rows, self.inputs), Start::bias(self.bias.as_deref()));
        let whole = epilogue.norm.is_some();
        epilogue.around(&shape, |finish| matmul_packed(x, self.weight.panels(), &mut y, start, whole, finish))?;
        tensor(y, shape)
    }
}

/// A convolution whose weight is packed.
#[derive(Clone, Debug)]
pub struct PackedConv2d {
    /// (O, I, k, k)
    shape: [usize; 4],
    weight: Packed,
    /// Whether there was a map before.
    used: OnceLock<()>,
    /// Of the weight, from the first map on that has many of Winograd's tiles; where these are fewer, from the second, so that a
    /// single prediction need not wait for their memory.
    filters: OnceLock<winograd::Filters>,
    bias: Option<Vec<f32>>,
    stride: usize,
    padding: usize,
}

impl PackedConv2d {
    /// `weight` (O, I, k, k), times `scales`, `bias` (O); `None` where these have no kernel here (another type or device).
    pub fn new(
        weight: &Tensor,
        scales: Scales,
        bias: Option<&Tensor>,
        stride: usize,
        padding: usize,
    ) -> Result<Option<Self>> {
        if !native(weight) {
            return Ok(None);
        }
        let (o, i, k, across) = weight.dims4()?;
        let weight = weight.contiguous()?;
        let weight = direct::packed(&host(&weight)?, [o, i, k, across], scales.values(o, i)?);
        let (used, filters, bias) = (OnceLock::new(), OnceLock::new(), values(bias)?);
        Ok(Some(Self { shape: [o, i, k, across], weight, used, filters, bias, stride, padding }))
    }

    /// `x` (B, H, W, I) -> (B, (H + 2p - k)/s + 1, (W + 2p - k)/s + 1, O)
    ///
    /// Fails when the channels differ, the padded map is smaller than the kernel, or `x` is of another type or device.
    pub fn forward(&self, x: &Tensor, epilogue: Epilogue) -> Result<Tensor> {
        let weights = 4 * self.shape.iter().product::<usize>() as u64;
        timed("conv2d", Pass::Forward, &[x], || self.run(x, epilogue), |y| weights + bytes(y))
    }

    fn run(&self, x: &Tensor, epilogue: Epilogue) -> Result<Tensor> {
        let geometry = Geometry::new(x.dims4()?, self.shape.into(), self.stride, self.padding)?;
        let x = x.contiguous()?;
        let (x, bias) = (host(&x)?, self.bias.as_deref());
        let (b, h, w, c) = geometry.out_shape();
        let used = self.used.set(()).is_err();
        let y = epilogue.around(&[b, h, w, c], |finish| {
            let source = winograd::Source::Packed(&self.weight);
            if !geometry.by_winograd() {
                direct::forward(&geometry, &x, &self.weight, bias, finish)
            } else if winograd::by_panels(&geometry, used) {
                winograd::forward_by_panels(&geometry, &x, source, bias, finish)
            } else {
                let filters = self.filters.get_or_init(|| winograd::Filters::new(source, &geometry));
                winograd::forward(&geometry, &x, filters, bias, finish)
            }
        })?;
        tensor(y, geometry.out_shape())
    }
}

fn values(t: Option<&Tensor>) -> Result<Option<Vec<f32>>> {
    t.map(|t| t.flatten_all()?.to_vec1()).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;
    use candle_core::DType;

    fn close(got: &Tensor, want: &Tensor) {
        assert_eq!(got.dims(), want.dims());
        let largest = |t: Tensor| t.abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
        let apart = largest((got - want).unwrap());
        assert!(apart < 1e-5 * largest(want.clone()).max(1.0), "{apart:e}");
    }

    #[test]
    fn a_packed_linear_layer_gives_what_the_layer_gives() {
        for (rows, inputs, outputs) in [(1, 1, 1), (7, 30, 5), (300, 96, 64), (49, 300, 768)] {
            let (x, residual) = (random(&[1, rows, inputs], 1), random(&[1, rows, outputs], 4));
            for (weight, bias) in [
                (random(&[outputs, inputs], 2), Some(random(&[outputs], 3))),
                (random(&[outputs, inputs, 1, 1], 2), None),
            ] {
                let (of_inputs, of_outputs) = (random(&[inputs], 7), random(&[outputs], 8));
                let scales = match &bias {
                    Some(_) => Scales { inputs: Some(&of_inputs), outputs: Some(&of_outputs) },
                    None => Scales::default(),
                };
                let packed = PackedLinear::new(&weight, scales, bias.as_ref()).unwrap().unwrap();
                let z = match scales.inputs {
                    Some(scale) => x.broadcast_mul(scale).unwrap(),
                    None => x.clone(),
                };
                let z = crate::linear(&z, &weight, None).unwrap();
                let z = match (&bias, scales.outputs) {
                    (Some(bias), Some(scale)) => z.broadcast_mul(scale).unwrap().broadcast_add(bias).unwrap(),
                    _ => z,
                };
                let (scale, shift) = (random(&[outputs], 5), random(&[outputs], 6));
                let norm = Norm { weight: &scale, bias: &shift, eps: 1e-2 };
                for epilogue in [
                    Epilogue::default(),
                    Epilogue::activation(Activation::Gelu),
                    Epilogue { activation: Some(Activation::Relu), residual: Some(&residual), norm: Some(norm) },
                ] {
                    close(&packed.forward(&x, epilogue).unwrap(), &epilogue.apply(&z).unwrap());
                }
            }
        }
    }

    #[test]
    fn a_packed_convolution_gives_what_the_convolution_gives() {
        for (shape, outputs, k, stride, padding) in [
            ([2, 9, 12, 5], 7, 3, 1, 1),
            ([1, 8, 8, 3], 4, 4, 4, 0),
            ([2, 9, 14, 64], 48, 3, 1, 1),
            ([1, 7, 7, 48], 64, 3, 1, 1),
        ] {
            let x = random(&shape, 1);
            let (weight, bias) = (random(&[outputs, shape[3], k, k], 2), random(&[outputs], 3));
            let factors = random(&[outputs], 7);
            let of_inputs = random(&[shape[3]], 8);
            let scales = Scales { inputs: Some(&of_inputs), outputs: Some(&factors) };
            let packed = PackedConv2d::new(&weight, scales, Some(&bias), stride, padding).unwrap().unwrap();
            let scaled = scales.apply(&weight).unwrap();
            let z = crate::conv2d(&x, &scaled, Some(&bias), stride, padding).unwrap();
            let residual = random(z.dims(), 4);
            let (scale, shift) = (random(&[outputs], 5), random(&[outputs], 6));
            let norm = Norm { weight: &scale, bias: &shift, eps: 1e-2 };
            for epilogue in [
                Epilogue::default(),
                Epilogue { activation: Some(Activation::Gelu), residual: Some(&residual), norm: Some(norm) },
            ] {
                close(&packed.forward(&x, epilogue).unwrap(), &epilogue.apply(&z).unwrap());
            }
        }
    }

    #[test]
    fn a_second_map_of_kept_filters_gives_the_bits_of_the_first() {
        let (x, weight) = (random(&[1, 28, 28, 112], 1), random(&[64, 112, 3, 3], 2));
        let packed = PackedConv2d::new(&weight, Scales::default(), None, 1, 1).unwrap().unwrap();
        let run = || packed.forward(&x, Epilogue::default()).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let first = run();
        assert!(packed.filters.get().is_none());
        let second = run();
        assert!(packed.filters.get().is_some() && first == second);
    }

    #[test]
    fn other_types_are_not_packed_and_other_sizes_refused() {
        let weight = random(&[4, 3], 1);
        let plain = Scales::default();
        assert!(PackedLinear::new(&weight.to_dtype(DType::F64).unwrap(), plain, None).unwrap().is_none());
        assert!(PackedLinear::new(&weight, Scales::outputs(&random(&[3], 2)), None).is_err());
        assert!(PackedLinear::new(&weight, Scales::inputs(&random(&[4], 2)), None).is_err());
        let packed = PackedLinear::new(&weight, plain, None).unwrap().unwrap();
        assert!(packed.forward(&random(&[2, 4], 1), Epilogue::default()).is_err());
        let residual = random(&[2, 3], 1);
        assert!(packed.forward(&random(&[2, 3], 1), Epilogue::residual(&residual)).is_err());
    }
}
