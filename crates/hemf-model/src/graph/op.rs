use hemf_kernels::{Axis, Windows};

/// The sizes of a map of one image; (B, H, W, C) in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// H
    pub height: usize,
    /// W
    pub width: usize,
    /// C
    pub channels: usize,
}

impl Shape {
    /// H W
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// H W C
    pub fn elements(&self) -> usize {
        self.pixels() * self.channels
    }
}

/// An operation on maps. Those with weights say what they are called below the operation's path.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// The images.
    Image {},
    /// A convolution with square kernel: *weight* (O, I, k, k), and *bias* (O) where it has one.
    Conv {
        /// O
        outputs: usize,
        /// k
        kernel: usize,
        /// Pixels from one place of the kernel to the next.
        stride: usize,
        /// Zeros around the map.
        padding: usize,
        /// Whether there is a bias.
        bias: bool,
    },
    /// A depthwise convolution that keeps the size: *weight* (C, 1, k, k), *bias* (C).
    Depthwise {
        /// k
        kernel: usize,
    },
    /// A linear layer on each pixel: *weight* (O, I), and *bias* (O) where it has one.
    Linear {
        /// O
        outputs: usize,
        /// Whether there is a bias.
        bias: bool,
    },
    /// Layer norm over the channels: *weight*, *bias* (C).
    LayerNorm {
        /// Added to the variance.
        eps: f64,
        /// Whether the published code has the framework's module here, which `thop` counts, or its own, which it does
        /// not.
        framework: bool,
    },
    /// Batch norm by the running statistics: *weight*, *bias*, *running_mean*, *running_var* (C); eps 1e-5.
    BatchNorm {},
    /// x Φ(x)
    Gelu {},
    /// max(x, 0)
    Relu {},
    /// 1 / (1 + exp(-x))
    Sigmoid {},
    /// All values times a number.
    Times(f64),
    /// Sum of two maps of one size.
    Add {},
    /// Product of two maps of one size.
    Mul {},
    /// A map times gates: one for each pixel (C = 1), or one for each channel (H = W = 1).
    Gate {},
    /// Maps of one size side by side.
    Concat {},
    /// Mean over cells of 2x2 pixels.
    AvgPool2 {},
    /// Mean over the pixels.
    PixelMean {
        /// Whether the published code has a module here, which `thop` counts.
        module: bool,
    },
    /// Maximum over the pixels.
    PixelMax {},
    /// Mean and maximum over the channels.
    ChannelMeanMax {},
    /// Rotary positions on each head.
    Rotary {
        /// Where *angle* (d) stands.
        positions: String,
    },
    /// Attention along rows or columns, of q, k and v.
    AxisAttention {
        /// Where *decay* (heads) stands.
        positions: String,
        /// H
        heads: usize,
        /// Which lines.
        axis: Axis,
    },
    /// External attention: *mk.weight* (S, d), *mv.weight* (d, S).
    ExternalAttention {
        /// Heads of d channels.
        heads: usize,
        /// S
        slots: usize,
    },
    /// Zeros on the right and at the bottom, to this size.
    Pad {
        /// Rows of the result.
        height: usize,
        /// Columns of the result.
        width: usize,
    },
    /// The upper left part of this size.
    Crop {
        /// Rows of the result.
        height: usize,
        /// Columns of the result.
        width: usize,
    },
    /// Attention within windows, of q, k and v side by side: *relative_position_bias_table*.
    WindowAttention {
        /// Heads of d channels.
        heads: usize,
        /// How the map is cut.
        windows: Windows,
    },
    /// The four pixels of each cell of 2x2 side by side, in the order (0, 0), (1, 0), (0, 1), (1, 1) of (row, column).
    Cells {},
    /// The memory of the tokens (H W, C) taken for a map (C, H, W), without a transposition.
    Misread {},
    /// The memory of a map (C, H, W) taken for tokens (H W, C): back from [`Misread`](Self::Misread).
    Reread {},
}

impl Op {
    /// The map that comes of `inputs`.
    pub(super) fn shape(&self, inputs: &[Shape]) -> Shape {
        let x = inputs[0];
        match *self {
            Self::Conv { outputs, kernel, stride, padding, .. } => {
                let side = |n: usize| (n + 2 * padding - kernel) / stride + 1;
                Shape { height: side(x.height), width: side(x.width), channels: outputs }
            }
            Self::Linear { outputs, .. } => Shape { channels: outputs, ..x },
            Self::Concat {} => Shape { channels: inputs.iter().map(|x| x.channels).sum(), ..x },
            Self::AvgPool2 {} => Shape { height: x.height / 2, width: x.width / 2, ..x },
            Self::PixelMean { .. } | Self::PixelMax {} => Shape { height: 1, width: 1, ..x },
            Self::ChannelMeanMax {} => Shape { channels: 2, ..x },
            Self::Pad { height, width } | Self::Crop { height, width } => Shape { height, width, ..x },
            Self::WindowAttention { .. } => Shape { channels: x.channels / 3, ..x },
            Self::Cells {} => Shape { height: x.height / 2, width: x.width / 2, channels: 4 * x.channels },
            Self::Image {}
            | Self::Depthwise { .. }
            | Self::LayerNorm { .. }
            | Self::BatchNorm {}
            | Self::Gelu {}
            | Self::Relu {}
            | Self::Sigmoid {}
            | Self::Times(_)
            | Self::Add {}
            | Self::Mul {}
            | Self::Gate {}
            | Self::Rotary { .. }
            | Self::AxisAttention { .. }
            | Self::ExternalAttention { .. }
            | Self::Misread {}
            | Self::Reread {} => x,
        }
    }

    /// What is learned, by its name below the operation's path, for an input of `channels` channels.
    pub fn parameters(&self, channels: usize) -> Vec<(&'static str, Vec<usize>)> {
        let with_bias = |weight: Vec<usize>, bias: bool| {
            let outputs = weight[0];
            let bias = bias.then(|| ("bias", vec![outputs]));
            std::iter::once(("weight", weight)).chain(bias).collect()
        };
        match *self {
            Self::Conv { outputs, kernel, bias, .. } => with_bias(vec![outputs, channels, kernel, kernel], bias),
            Self::Depthwise { kernel } => with_bias(vec![channels, 1, kernel, kernel], true),
            Self::Linear { outputs, bias } => with_bias(vec![outputs, channels], bias),
            Self::LayerNorm { .. } | Self::BatchNorm {} => with_bias(vec![channels], true),
            Self::ExternalAttention { heads, slots } => {
                let d = channels / heads;
                vec![("mk.weight", vec![slots, d]), ("mv.weight", vec![d, slots])]
            }
            Self::WindowAttention { heads, windows } => {
                vec![("relative_position_bias_table", vec![(2 * windows.size - 1).pow(2), heads])]
            }
            _ => vec![],
        }
    }
}
