//! The attentions in ONNX: maps are cut into heads of d channels, tokens come last but one.

use super::lower::Lowering;
use super::writer::{Attribute, Value};
use crate::file::Error;
use candle_core::{Device, Tensor};
use hemf_kernels::{Axis, RotaryTable, Windows};

impl Lowering<'_, '_> {
    /// `x cos + rot(x) sin`, where rot turns each pair of channels (a, b) into (-b, a): the sign goes with the sines, and
    /// what is left is to exchange the two.
    pub(super) fn rotary(&mut self, x: &str, positions: &str) -> Result<Value, Error> {
        let [c, h, w] = self.sides();
        let angle = self.writer.tensor(&format!("{positions}.angle"))?;
        let table = RotaryTable::new(angle, h as usize, w as usize)?;
        let d = angle.elem_count();
        let sign = Tensor::from_iter((0..d).map(|i| if i % 2 == 0 { -1f32 } else { 1.0 }), &Device::Cpu)?;
        let sin = table.sin().broadcast_mul(&sign)?;
        let mut map = |name: &str, of: &Tensor| {
            let one = of.t()?.reshape((1, d, h as usize, w as usize))?;
            self.writer.constant(format!("{positions}.{name}"), &one.repeat((1, c as usize / d, 1, 1))?)
        };
        let (cos, sin) = (map("cos", table.cos())?, map("sin", &sin)?);
        let exchanged: Vec<i64> = (0..c).map(|i| i ^ 1).collect();
        let exchanged = self.writer.ints(&exchanged)?;
        let other = self.writer.node("Gather", &[x, &exchanged], &[Attribute::Int("axis", 1)]);
        let straight = self.writer.node("Mul", &[x, &cos], &[]);
        let crossed = self.writer.node("Mul", &[&other, &sin], &[]);
        Ok(self.writer.node("Add", &[&straight, &crossed], &[]))
    }

    /// Attention along rows or columns with decay by distance, of q, k and v.
    pub(super) fn axis_attention(
        &mut self,
        inputs: &[&str],
        positions: &str,
        heads: usize,
        axis: Axis,
    ) -> Result<Value, Error> {
        let [c, h, w] = self.sides();
        let (n, d) = (heads as i64, c / heads as i64);
        // From (B, heads, d, H, W) to (B, heads, line, pixel, d), and for k to (B, heads, line, d, pixel).
        let (to_tokens, to_keys, back, pixels) = match axis {
            Axis::Rows => ([0, 1, 3, 4, 2], [0, 1, 3, 2, 4], [0, 1, 4, 2, 3], w),
            Axis::Columns => ([0, 1, 4, 3, 2], [0, 1, 4, 2, 3], [0, 1, 4, 3, 2], h),
        };
        let mut parts = vec![];
        for (x, order) in inputs.iter().zip([to_tokens, to_keys, to_tokens]) {
            let x = self.writer.reshape(x, &[0, n, d, h, w])?;
            parts.push(self.writer.transpose(&x, &order));
        }
        let mask = self.distances(positions, pixels as usize)?;
        let scores = self.writer.node("MatMul", &[&parts[0], &parts[1]], &[]);
        let y = self.attend(&scores, &[&mask], &parts[2]);
        let y = self.writer.transpose(&y, &back);
        self.writer.reshape(&y, &[0, c, h, w])
    }

    /// g |i - j| for each head with decay g: (heads, 1, n, n).
    fn distances(&mut self, positions: &str, n: usize) -> Result<Value, Error> {
        let decay = self.writer.tensor(&format!("{positions}.decay"))?.to_vec1::<f32>()?;
        let values = decay.iter().flat_map(|g| (0..n * n).map(move |at| g * (at / n).abs_diff(at % n) as f32));
        let mask = Tensor::from_iter(values, &Device::Cpu)?.reshape((decay.len(), 1, n, n))?;
        self.writer.constant(format!("{positions}.distances.{n}"), &mask)
    }

    /// softmax(scores + terms) v
    fn attend(&mut self, scores: &str, terms: &[&str], v: &str) -> Value {
        let mut scores = scores.to_owned();
        for term in terms {
            scores = self.writer.node("Add", &[&scores, term], &[]);
        }
        let weights = self.writer.node("Softmax", &[&scores], &[Attribute::Int("axis", -1)]);
        self.writer.node("MatMul", &[&weights, v], &[])
    }

    /// Softmax over the tokens, then each token's row divided by its sum over the slots.
    pub(super) fn external_attention(&mut self, x: &str, heads: usize) -> Result<Value, Error> {
        let [c, h, w] = self.sides();
        let (n, d) = (heads as i64, c / heads as i64);
        let mut memory = |name: &str| {
            let name = self.name(name);
            let transposed = self.writer.tensor(&name)?.t()?;
            self.writer.constant(format!("{name}.transposed"), &transposed)
        };
        let (mk, mv) = (memory("mk.weight")?, memory("mv.weight")?);
        let t = self.writer.reshape(x, &[0, n, d, h * w])?;
        let t = self.writer.transpose(&t, &[0, 1, 3, 2]); // (B, heads, N, d)
        let scores = self.writer.node("MatMul", &[&t, &mk], &[]);
        let over_tokens = self.writer.node("Softmax", &[&scores], &[Attribute::Int("axis", 2)]);
        let slots = self.writer.ints(&[3])?;
        let sum = self.writer.node("ReduceSum", &[&over_tokens, &slots], &[]);
        // A row that underflows is 0, not 0 / 0.
        let least = self.writer.float(f32::MIN_POSITIVE)?;
        let sum = self.writer.node("Max", &[&sum, &least], &[]);
        let weights = self.writer.node("Div", &[&over_tokens, &sum], &[]);
        let y = self.writer.node("MatMul", &[&weights, &mv], &[]);
        let y = self.writer.transpose(&y, &[0, 1, 3, 2]);
        self.writer.reshape(&y, &[0, c, h, w])
    }

    /// Attention within windows, of q, k and v side by side in the channels.
    pub(super) fn window_attention(&mut self, x: &str, heads: usize, windows: Windows) -> Result<Value, Error> {
        let [triple, h, w] = self.sides();
        let (c, side, n) = (triple / 3, windows.size as i64, heads as i64);
        let (d, down, across) = (c / n, h / side, w / side);
        let shift = windows.shift as i64;
        let x = self.roll(x, shift, shift)?;
        let mut parts = vec![];
        for i in 0..3 {
            let part = self.writer.slice(&x, 1, i * c, (i + 1) * c)?;
            let part = self.writer.reshape(&part, &[0, n, d, down, side, across, side])?;
            let part = self.writer.transpose(&part, &[0, 3, 5, 1, 4, 6, 2]); // (B, down, across, heads, side, side, d)
            parts.push(self.writer.reshape(&part, &[0, down * across, n, side * side, d])?);
        }
        let scale = self.writer.float((d as f64).powf(-0.5) as f32)?;
        let q = self.writer.node("Mul", &[&parts[0], &scale], &[]);
        let k = self.writer.transpose(&parts[1], &[0, 1, 2, 4, 3]);
        let scores = self.writer.node("MatMul", &[&q, &k], &[]);
        let mut terms = vec![self.window_bias(heads, windows)?];
        if shift > 0 {
            terms.push(self.window_mask(windows)?);
        }
        let terms: Vec<&str> = terms.iter().map(String::as_str).collect();
        let y = self.attend(&scores, &terms, &parts[2]);
        let y = self.writer.reshape(&y, &[0, down, across, n, side, side, d])?;
        let y = self.writer.transpose(&y, &[0, 3, 6, 1, 4, 2, 5]); // (B, heads, d, down, side, across, side)
        let y = self.writer.reshape(&y, &[0, c, h, w])?;
        self.roll(&y, (h - shift) % h, (w - shift) % w)
    }

    /// The learned bias by relative position: (1, heads, n, n).
    fn window_bias(&mut self, heads: usize, windows: Windows) -> Result<Value, Error> {
        let name = self.name("relative_position_bias_table");
        let places = windows.relative_positions().into_iter().map(|place| place as u32);
        let places = Tensor::from_iter(places, &Device::Cpu)?;
        let n = windows.size.pow(2);
        let bias = self.writer.tensor(&name)?.index_select(&places, 0)?.t()?.reshape((1, heads, n, n))?;
        self.writer.constant(format!("{name}.by_pair"), &bias)
    }

    /// -100 between pixels that only the shift made neighbours: (windows, 1, n, n).
    fn window_mask(&mut self, windows: Windows) -> Result<Value, Error> {
        let n = windows.size.pow(2);
        let (height, width) = (self.shape.height, self.shape.width);
        let mask = Tensor::new(windows.mask(height, width), &Device::Cpu)?.reshape(((), 1, n, n))?;
        self.writer.constant(format!("window_mask.{height}x{width}.{}", windows.size), &mask)
    }

    /// A map moved up and left by so many pixels, what leaves coming in on the other side.
    fn roll(&mut self, x: &str, up: i64, left: i64) -> Result<Value, Error> {
        let mut x = x.to_owned();
        for (axis, by) in [(2, up), (3, left)] {
            if by > 0 {
                let rest = self.writer.slice(&x, axis, by, i64::MAX)?;
                let first = self.writer.slice(&x, axis, 0, by)?;
                x = self.concat(&[&rest, &first], axis);
            }
        }
        Ok(x)
    }
}
