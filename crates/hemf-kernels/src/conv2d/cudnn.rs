//! The three passes of a convolution by cuDNN, channels-last. Algorithms are fixed to those that give the same bits every
//! time; where cuDNN has them not for given sizes or types, the answer is `None`, and patches do it (`cuda.rs`).

use super::Geometry;
use crate::cuda::{Output, View, Where};
use crate::host::has_cudnn;
use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::cudnn::sys::cudnnConvolutionBwdDataAlgo_t::CUDNN_CONVOLUTION_BWD_DATA_ALGO_1;
use candle_core::cuda_backend::cudarc::cudnn::sys::cudnnConvolutionBwdFilterAlgo_t::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1;
use candle_core::cuda_backend::cudarc::cudnn::sys::cudnnConvolutionFwdAlgo_t::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
use candle_core::cuda_backend::cudarc::cudnn::sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION;
use candle_core::cuda_backend::cudarc::cudnn::sys::cudnnMathType_t::{
    CUDNN_DEFAULT_MATH, CUDNN_FMA_MATH, CUDNN_TENSOR_OP_MATH,
};
use candle_core::cuda_backend::cudarc::cudnn::sys::cudnnStatus_t::CUDNN_STATUS_NOT_SUPPORTED;
use candle_core::cuda_backend::cudarc::cudnn::sys::cudnnTensorFormat_t::CUDNN_TENSOR_NHWC;
use candle_core::cuda_backend::cudarc::cudnn::{
    ConvBackwardData, ConvBackwardFilter, ConvDescriptor, ConvForward, Cudnn, CudnnDataType, CudnnError,
    FilterDescriptor, TensorDescriptor,
};
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaView, DeviceRepr};
use candle_core::cuda_backend::{CudaDType, DeviceId, gemm_reduced_precision_f32};
use candle_core::{CudaDevice, CudaStorage, DType, Error, Result, Storage, WithDType, bail};
use half::bf16;
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::LocalKey;

thread_local! {
    /// cuDNN's handle of each device: it belongs to a thread.
    static HANDLES: RefCell<HashMap<DeviceId, Arc<Cudnn>>> = RefCell::default();
    static OF_F32: Known<f32> = RefCell::default();
    static OF_BF16: Known<bf16> = RefCell::default();
}

/// Descriptors by device, geometry and whether products are as TF32: to make them and ask for their room takes longer than
/// many a convolution.
type Known<T> = RefCell<HashMap<(DeviceId, Geometry, bool), Rc<Descriptors<T>>>>;

fn handle(device: &CudaDevice) -> Result<Arc<Cudnn>> {
    HANDLES.with_borrow_mut(|handles| {
        if let Some(handle) = handles.get(&device.id()) {
            return Ok(handle.clone());
        }
        let handle = Cudnn::new(device.cuda_stream()).map_err(Error::wrap)?;
        handles.insert(device.id(), handle.clone());
        Ok(handle)
    })
}

/// A pass: what it reads, in the order of its formula, makes the third.
#[derive(Clone, Copy)]
pub(super) enum Pass {
    /// x (B, H, W, I) and the weight (O, k, k, I) make y (B, H', W', O).
    Forward,
    /// The gradient of y and the weight make that of x.
    Input,
    /// x and the gradient of y make that of the weight.
    Weight,
}

/// The values of a pass, if cuDNN has it.
pub(super) fn run(g: &Geometry, pass: Pass, a: &View, b: &View) -> Result<Option<Output>> {
    match a.dtype() {
        _ if !has_cudnn() => Ok(None),
        DType::F32 => run_as::<f32>(g, pass, a, b),
        DType::BF16 => run_as::<bf16>(g, pass, a, b),
        other => bail!("conv2d: no kernels for {other:?}"),
    }
}

fn run_as<T: Number>(g: &Geometry, pass: Pass, a: &View, b: &View) -> Result<Option<Output>> {
    let (Where::Cuda(first), Where::Cuda(second)) = (a.storage()?, b.storage()?) else {
        bail!("conv2d: values that are not on a GPU")
    };
    let device = first.device();
    let (a, b) = (first.as_cuda_slice::<T>()?.slice(a.range()), second.as_cuda_slice::<T>()?.slice(b.range()));
    let descriptors = Descriptors::<T>::of(g, device)?;
    let count = match pass {
        Pass::Forward => g.batch * g.out_height * g.out_width * g.outputs,
        Pass::Input => g.batch * g.height * g.width * g.inputs,
        Pass::Weight => g.outputs * g.k * g.k * g.inputs,
    };
    let Some(room) = descriptors.room(pass) else { return Ok(None) };
    // SAFETY: cuDNN writes all of the result (beta is 0), and nobody reads the room that it works in.
    let (mut result, mut room) = unsafe { (device.alloc::<T>(count)?, device.alloc::<u8>(room.max(1))?) };
    match descriptors.launch(pass, &a, &b, &mut result, &mut room) {
        Err(CudnnError(CUDNN_STATUS_NOT_SUPPORTED)) => return Ok(None),
        launched => launched.map_err(Error::wrap)?,
    }
    Ok(Some(Output::new(Storage::Cuda(CudaStorage::wrap_cuda_slice(result, device.clone())))))
}

/// What a map can be of.
trait Number: CudnnDataType + CudaDType + DeviceRepr + WithDType {
    fn known() -> &'static LocalKey<Known<Self>>;
}

impl Number for f32 {
    fn known() -> &'static LocalKey<Known<Self>> {
        &OF_F32
    }
}

impl Number for bf16 {
    fn known() -> &'static LocalKey<Known<Self>> {
        &OF_BF16
    }
}

/// The three tensors of a convolution and its sums, which are of f32.
struct Descriptors<T> {
    x: TensorDescriptor<T>,
    w: FilterDescriptor<T>,
    y: TensorDescriptor<T>,
    conv: ConvDescriptor<f32>,
    /// What [`Self::room`] has answered.
    rooms: [OnceCell<Option<usize>>; 3],
}

impl<T: Number> Descriptors<T> {
    /// Those of a geometry, made the first time.
    fn of(g: &Geometry, device: &CudaDevice) -> Result<Rc<Self>> {
        let key = (device.id(), *g, gemm_reduced_precision_f32());
        T::known().with_borrow_mut(|known| {
            if let Some(descriptors) = known.get(&key) {
                return Ok(descriptors.clone());
            }
            let descriptors = Rc::new(Self::new(g, &handle(device)?).map_err(Error::wrap)?);
            known.insert(key, descriptors.clone());
            Ok(descriptors)
        })
    }

    fn new(g: &Geometry, handle: &Arc<Cudnn>) -> std::result::Result<Self, CudnnError> {
        // Sizes in cuDNN's order, whatever the order in memory: images, channels, rows, columns.
        let sizes = |sizes: [usize; 4]| sizes.map(|n| n as i32);
        let [padding, stride] = [g.padding, g.stride].map(|n| [n as i32; 2]);
        let mut conv = handle.create_conv2d::<f32>(padding, stride, [1, 1], CUDNN_CROSS_CORRELATION)?;
        conv.set_math_type(match (T::DTYPE, gemm_reduced_precision_f32()) {
            (DType::F32, false) => CUDNN_FMA_MATH,
            (DType::F32, true) => CUDNN_DEFAULT_MATH, // TF32
            _ => CUDNN_TENSOR_OP_MATH,
        })?;
        let (x, y) = ([g.batch, g.inputs, g.height, g.width], [g.batch, g.outputs, g.out_height, g.out_width]);
        Ok(Self {
            x: handle.create_4d_tensor(CUDNN_TENSOR_NHWC, sizes(x))?,
            w: handle.create_4d_filter(CUDNN_TENSOR_NHWC, sizes([g.outputs, g.inputs, g.k, g.k]))?,
            y: handle.create_4d_tensor(CUDNN_TENSOR_NHWC, sizes(y))?,
            conv,
            rooms: Default::default(),
        })
    }

    fn forward(&self) -> ConvForward<'_, T, f32, T> {
        ConvForward { conv: &self.conv, x: &self.x, w: &self.w, y: &self.y }
    }

    fn input(&self) -> ConvBackwardData<'_, T, f32, T> {
        ConvBackwardData { conv: &self.conv, dx: &self.x, w: &self.w, dy: &self.y }
    }

    fn weight(&self) -> ConvBackwardFilter<'_, T, f32, T> {
        ConvBackwardFilter { conv: &self.conv, x: &self.x, dw: &self.w, dy: &self.y }
    }

    /// Bytes that a pass works in; none where cuDNN has it not.
    fn room(&self, pass: Pass) -> Option<usize> {
        let ask = || match pass {
            Pass::Forward => self.forward().get_workspace_size(CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM),
            Pass::Input => self.input().get_workspace_size(CUDNN_CONVOLUTION_BWD_DATA_ALGO_1),
            Pass::Weight => self.weight().get_workspace_size(CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1),
        };
        *self.rooms[pass as usize].get_or_init(|| ask().ok())
    }

    fn launch(
        &self,
        pass: Pass,
        a: &CudaView<T>,
        b: &CudaView<T>,
        result: &mut CudaSlice<T>,
        room: &mut CudaSlice<u8>,
    ) -> std::result::Result<(), CudnnError> {
        let (room, scale) = (Some(room), (T::from_f64(1.0), T::from_f64(0.0)));
        // SAFETY: types and channels-last order are those of the descriptors, and the callers hand over tensors of the
        // geometry's sizes; the result is of the size that its descriptor says.
        unsafe {
            match pass {
                Pass::Forward => {
                    let algorithm = CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
                    self.forward().launch(algorithm, room, scale, a, b, result)
                }
                Pass::Input => self.input().launch(CUDNN_CONVOLUTION_BWD_DATA_ALGO_1, room, scale, result, b, a),
                Pass::Weight => self.weight().launch(CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1, room, scale, a, result, b),
            }
        }
    }
}
