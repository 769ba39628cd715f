//! Every operation that networks are made of, with inputs of sizes that a seed draws.

use candle_core::{Device, Result, Tensor};
use hemf_kernels::{
    Activation, Axis, ChannelStats, CrossEntropyOptions, Epilogue, RotaryTable, Windows, add, avg_pool2,
    axis_attention, batch_norm_eval, batch_norm_train, channel_mean_max, concat, conv2d, cross_entropy, depthwise,
    external_attention, gelu, layer_norm, linear, mul, pixel_mean, pixel_mean_max, relu, rotary, rotary_attention,
    row_sum, scale, sigmoid, soft_cross_entropy, window_attention,
};

/// From the inputs, of any device and type, to the output.
type Run = Box<dyn Fn(&[Tensor]) -> Result<Tensor>>;

pub(super) struct Operation {
    pub(super) name: String,
    /// f32, on the processor; a gradient is taken for each.
    pub(super) inputs: Vec<Tensor>,
    pub(super) run: Run,
}

/// Values in [-1, 1) by splitmix64.
pub(super) fn random(shape: &[usize], seed: u64) -> Result<Tensor> {
    let mut draws = Draws(seed);
    let value = || ((draws.next() >> 40) as f32 / (1 << 23) as f32) - 1.0;
    Tensor::from_iter(std::iter::repeat_with(value).take(shape.iter().product()), &Device::Cpu)?.reshape(shape)
}

pub(super) struct Draws(pub(super) u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Of `from..=to`.
    pub(super) fn size(&mut self, from: usize, to: usize) -> usize {
        from + (self.next() % (to - from + 1) as u64) as usize
    }
}

/// All but the first values, as many as a map has, as that map.
fn beyond_first(all: &Tensor, map: &[usize]) -> Result<Tensor> {
    let count = map.iter().product();
    all.narrow(0, all.elem_count() - count, count)?.reshape(map)
}

pub(super) fn all(seed: u64) -> Vec<Operation> {
    let mut list = List { draws: Draws(seed), all: Vec::new() };
    list.maps();
    list.products();
    list.norms();
    list.pools();
    list.attentions();
    list.losses();
    list.all
}

struct List {
    draws: Draws,
    all: Vec<Operation>,
}

impl List {
    fn push(&mut self, name: &str, shapes: &[&[usize]], run: impl Fn(&[Tensor]) -> Result<Tensor> + 'static) {
        let inputs = shapes.iter().map(|shape| random(shape, self.draws.next()));
        let inputs = inputs.collect::<Result<_>>().expect("tensors of positive sizes");
        self.push_with(name, inputs, run);
    }

    fn push_with(&mut self, name: &str, inputs: Vec<Tensor>, run: impl Fn(&[Tensor]) -> Result<Tensor> + 'static) {
        self.all.push(Operation { name: name.to_owned(), inputs, run: Box::new(run) });
    }

    /// A map with values from 1 on at the pixels and channels that are told, and below 1 elsewhere.
    fn peaks(&mut self, map: &[usize; 4], at: impl Fn(usize, usize) -> bool) -> Tensor {
        let [_, h, w, c] = *map;
        let lift = |i: usize| if at(i / c % (h * w), i % c) { 2f32 } else { 0.0 };
        let lifts = Tensor::from_iter((0..map.iter().product()).map(lift), &Device::Cpu);
        let lifted = lifts.and_then(|lifts| random(map, self.draws.next())? + lifts.reshape(map)?);
        lifted.expect("tensors of one shape")
    }

    /// (B, H, W, C) of moderate sizes, C even.
    fn map(&mut self) -> [usize; 4] {
        let d = &mut self.draws;
        [d.size(1, 3), d.size(4, 11), d.size(4, 11), 2 * d.size(4, 20)]
    }

    fn maps(&mut self) {
        let map = self.map();
        let [b, h, w, c] = map;
        self.push("gelu", &[&map], |x| gelu(&x[0]));
        self.push("relu", &[&map], |x| relu(&x[0]));
        self.push("sigmoid", &[&map], |x| sigmoid(&x[0]));
        self.push("add", &[&map, &map], |x| add(&x[0], &x[1]));
        self.push("mul", &[&map, &map], |x| mul(&x[0], &x[1]));
        self.push("scale, by pixel", &[&map, &[b, h, w, 1]], |x| scale(&x[0], &x[1]));
        self.push("scale, by channel", &[&map, &[b, 1, 1, c]], |x| scale(&x[0], &x[1]));
        self.push("scale, by sample", &[&map, &[b, 1, 1, 1]], |x| scale(&x[0], &x[1]));
        self.push("concat", &[&map, &[b, h, w, 5], &map], |x| concat(&[&x[0], &x[1], &x[2]]));
    }

    fn products(&mut self) {
        let map = self.map();
        let [.., c] = map;
        let o = self.draws.size(3, 50);
        self.push("linear", &[&map, &[o, c], &[o]], |x| linear(&x[0], &x[1], Some(&x[2])));
        self.push("linear, no bias", &[&map, &[o, c]], |x| linear(&x[0], &x[1], None));
        for (name, activation) in [("linear + residual", None), ("linear, gelu + residual", Some(Activation::Gelu))] {
            let [b, h, w, _] = map;
            self.push(name, &[&map, &[o, c], &[o], &[b, h, w, o]], move |x| {
                let epilogue = Epilogue { activation, residual: Some(&x[3]), norm: None };
                epilogue.after(Some(&x[2]), |bias| linear(&x[0], &x[1], bias))
            });
        }
        self.push("conv2d 3x3, gelu", &[&map, &[o, c, 3, 3], &[o]], |x| {
            Epilogue::activation(Activation::Gelu).after(Some(&x[2]), |bias| conv2d(&x[0], &x[1], bias, 1, 1))
        });
        self.push("conv2d 3x3", &[&map, &[o, c, 3, 3], &[o]], |x| conv2d(&x[0], &x[1], Some(&x[2]), 1, 1));
        self.push("conv2d 7x7", &[&map, &[1, c, 7, 7]], |x| conv2d(&x[0], &x[1], None, 1, 3));
        self.push("conv2d, patches", &[&map, &[o, c, 2, 2], &[o]], |x| conv2d(&x[0], &x[1], Some(&x[2]), 2, 0));
        // Wide enough for Winograd's form on the processor.
        let wide = [2, 14, 14, 64];
        self.push("conv2d 3x3, wide", &[&wide, &[64, 64, 3, 3]], |x| conv2d(&x[0], &x[1], None, 1, 1));
        for (name, k) in [("depthwise 3x3", 3), ("depthwise 5x5", 5), ("depthwise 7x7", 7)] {
            self.push(name, &[&map, &[c, 1, k, k], &[c]], |x| depthwise(&x[0], &x[1], &x[2]));
        }
    }

    fn norms(&mut self) {
        let map = self.map();
        let [.., c] = map;
        self.push("layer_norm", &[&map, &[c], &[c]], |x| layer_norm(&x[0], &x[1], &x[2], 1e-3));
        // A GPU holds rows that come in fours in registers, of several numbers, and reads wider ones again.
        for (name, c) in [
            ("layer_norm of 96", 96),
            ("layer_norm of 384", 384),
            ("layer_norm of 768", 768),
            ("layer_norm of 1152", 1152),
        ] {
            self.push(name, &[&[2, 5, 9, c], &[c], &[c]], |x| layer_norm(&x[0], &x[1], &x[2], 1e-3));
        }
        // In fours of channels, but none begins where it can be read at once.
        self.push("layer_norm from anywhere", &[&[2 * 45 * 96 + 1], &[97], &[96]], |x| {
            layer_norm(&beyond_first(&x[0], &[2, 5, 9, 96])?, &beyond_first(&x[1], &[96])?, &x[2], 1e-3)
        });
        self.push("batch_norm from anywhere", &[&[2 * 45 * 96 + 3], &[96], &[96]], |x| {
            Ok(batch_norm_train(&beyond_first(&x[0], &[2, 5, 9, 96])?, &x[1], &x[2], 1e-3)?.0)
        });
        self.push("batch_norm of 96, training", &[&[2, 9, 9, 96], &[96], &[96]], |x| {
            Ok(batch_norm_train(&x[0], &x[1], &x[2], 1e-3)?.0)
        });
        self.push("batch_norm, training", &[&map, &[c], &[c]], |x| Ok(batch_norm_train(&x[0], &x[1], &x[2], 1e-3)?.0));
        self.push("batch_norm, evaluation", &[&map, &[c], &[c]], move |x| {
            let like = |t: Tensor| t.to_dtype(x[0].dtype())?.to_device(x[0].device());
            let (mean, variance) = (like(random(&[c], 5)?)?, like((random(&[c], 6)?.abs()? + 0.1)?)?);
            batch_norm_eval(&x[0], &x[1], &x[2], &ChannelStats { mean, variance }, 1e-3)
        });
    }

    fn pools(&mut self) {
        let map @ [_, h, w, c] = self.map();
        self.push("avg_pool2", &[&map], |x| avg_pool2(&x[0]));
        // With maxima that stand out: among equals, which there are in bf16, candle shares a gradient and kernels do not.
        let of_pixels = self.peaks(&map, |pixel, channel| channel == pixel % c);
        self.push_with("channel_mean_max", vec![of_pixels], |x| channel_mean_max(&x[0]));
        let of_channels = self.peaks(&map, |pixel, channel| pixel == channel % (h * w));
        self.push_with("pixel_mean_max", vec![of_channels], |x| pixel_mean_max(&x[0]));
        self.push("pixel_mean", &[&map], |x| pixel_mean(&x[0]));
        let rows = [map[0], map[1], map[3]];
        self.push("row_sum", &[&rows], |x| row_sum(&x[0]));
    }

    fn attentions(&mut self) {
        let [b, h, w, _] = self.map();
        let (heads, d) = (self.draws.size(1, 4), 2 * self.draws.size(2, 8));
        let map = [b, h, w, heads * d];
        self.push("rotary", &[&map], move |x| {
            let angles: Vec<f32> = (0..d).map(|i| 1.0 / (1.0 + (i / 2) as f32)).collect();
            rotary(&x[0], &RotaryTable::new(&Tensor::new(angles, x[0].device())?, h, w)?)
        });
        for (name, axis) in [("axis_attention, rows", Axis::Rows), ("axis_attention, columns", Axis::Columns)] {
            self.push(name, &[&map, &map, &map], move |x| {
                let decay: Vec<f32> = (0..heads).map(|head| -0.5 / (1.0 + head as f32)).collect();
                axis_attention(&x[0], &x[1], &x[2], &decay, axis)
            });
        }
        self.push("rotary_attention", &[&map, &map, &map], move |x| {
            let angles: Vec<f32> = (0..d).map(|i| 1.0 / (1.0 + i as f32)).collect();
            let table = RotaryTable::new(&Tensor::new(angles, x[0].device())?, h, w)?;
            let decay: Vec<f32> = (0..heads).map(|head| -0.5 / (1.0 + head as f32)).collect();
            rotary_attention(&x[0], &x[1], &x[2], &table, 0.5, &decay)
        });
        // Lines for which a block asks for more than the usual shared memory, as those of the network; and maps that begin where
        // they cannot be read by fours.
        let large = [1, 56, 56, 24];
        self.push("rotary_attention of 56 px", &[&large, &large, &large], |x| {
            let angles: Vec<f32> = (0..12).map(|i| 1.0 / (1.0 + i as f32)).collect();
            let table = RotaryTable::new(&Tensor::new(angles, x[0].device())?, 56, 56)?;
            rotary_attention(&x[0], &x[1], &x[2], &table, 0.5, &[-0.5, -0.1])
        });
        self.push("axis_attention from anywhere", &[&[7 * 9 * 24 + 1], &[7 * 9 * 24 + 2], &[1, 7, 9, 24]], |x| {
            let (q, k) = (beyond_first(&x[0], &[1, 7, 9, 24])?, beyond_first(&x[1], &[1, 7, 9, 24])?);
            axis_attention(&q, &k, &x[2], &[-0.5, -0.1], Axis::Rows)
        });
        let slots = self.draws.size(5, 64);
        self.push("external_attention", &[&map, &[slots, d], &[d, slots]], move |x| {
            external_attention(&x[0], &x[1], &x[2], heads)
        });
        // Several blocks of pixels, whose sums are added up after.
        self.push("external_attention of 56 px", &[&[1, 56, 56, 24], &[64, 12], &[12, 64]], |x| {
            external_attention(&x[0], &x[1], &x[2], 2)
        });
        for (name, shift) in [("window_attention", 0), ("window_attention, shifted", 2)] {
            let windows = Windows { size: 4, shift };
            self.push(name, &[&[b, 8, 8, 3 * heads * d], &[49, heads]], move |x| {
                window_attention(&x[0], &x[1], windows)
            });
        }
    }

    fn losses(&mut self) {
        let (b, classes) = (self.draws.size(2, 9), self.draws.size(2, 9));
        let labels: Vec<u32> = (0..b).map(|_| self.draws.size(0, classes - 1) as u32).collect();
        self.push("cross_entropy", &[&[b, classes]], move |x| {
            let options = CrossEntropyOptions { label_smoothing: 0.1, ..CrossEntropyOptions::default() };
            cross_entropy(&x[0], &Tensor::new(labels.as_slice(), &Device::Cpu)?, &options)
        });
        self.push("cross_entropy, focal, soft", &[&[b, classes]], move |x| {
            let shares = (Tensor::ones((b, classes), candle_core::DType::F32, &Device::Cpu)? / classes as f64)?;
            soft_cross_entropy(&x[0], &shares, &CrossEntropyOptions { focus: 2.0, ..CrossEntropyOptions::default() })
        });
    }
}
