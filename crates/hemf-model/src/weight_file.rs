//! Reading `.safetensors`: each tensor straight to its place, when it is asked for. The file is never in memory as a whole,
//! and a network that packs its weights need not have all of them in memory beside what it packed: a start to a first
//! prediction takes half the time and memory.

use candle_core::safetensors::Load;
use candle_core::{DType, Device, Error, Result, Shape, Tensor, bail};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};
use rayon::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo, TensorView};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::Arc;

/// Values read at once by one thread.
const PIECE: usize = 1 << 16;

/// An open `.safetensors` file, whose header was found to fit its content. A clone is another handle to it; what takes the
/// file's name later is not seen.
#[derive(Clone, Debug)]
pub struct WeightFile {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    header: Metadata,
    /// Where the values begin.
    start: u64,
}

impl WeightFile {
    /// Reads the header. Fails when the file cannot be read, or is not of the length and shapes that its header tells.
    pub fn new(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let mut size = [0; 8];
        read_at(&file, &mut size, 0)?;
        let size = u64::from_le_bytes(size);
        let Some(start) = size.checked_add(8).filter(|start| *start <= length) else {
            return wrong(format!("a header of {size} bytes in a file of {length}"));
        };
        let mut header = vec![0; size as usize];
        read_at(&file, &mut header, 8)?;
        let header: Metadata = serde_json::from_slice(&header)?;
        let tensors = header.tensors();
        let values = tensors.values().map(|info| info.data_offsets.1 as u64).max().unwrap_or(0);
        if values != length - start {
            return wrong(format!("the header tells of {values} bytes of values, and {} follow", length - start));
        }
        for (name, info) in tensors {
            let bits = info.shape.iter().try_fold(info.dtype.bitsize(), |bits, size| bits.checked_mul(*size));
            let (from, to) = info.data_offsets;
            if to.checked_sub(from).and_then(|bytes| bytes.checked_mul(8)) != bits {
                return wrong(format!("{name} of shape {:?} from byte {from} to {to}", info.shape));
            }
        }
        Ok(Self { inner: Arc::new(Inner { file, header, start }) })
    }

    /// What the header's metadata has under `key`.
    pub fn note(&self, key: &str) -> Option<&str> {
        self.inner.header.metadata().as_ref()?.get(key).map(String::as_str)
    }

    /// The number of tensors.
    pub fn len(&self) -> usize {
        self.inner.header.tensors().len()
    }

    /// Whether there are no tensors.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All tensors by name.
    pub fn tensors(&self) -> Result<HashMap<String, Tensor>> {
        let infos = self.inner.header.tensors();
        infos.into_par_iter().map(|(name, info)| Ok((name, self.inner.tensor(info)?))).collect()
    }

    /// Hands out the tensors as f32 on a device, each read when it is asked for.
    pub fn builder(&self, device: &Device) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self.clone()), DType::F32, device.clone())
    }

    fn get(&self, name: &str) -> Result<Tensor> {
        match self.inner.header.info(name) {
            Some(info) => self.inner.tensor(info),
            None => bail!("the file has no tensor {name}"),
        }
    }
}

impl Inner {
    fn tensor(&self, info: &TensorInfo) -> Result<Tensor> {
        let (from, to) = info.data_offsets;
        let start = self.start + from as u64;
        if info.dtype != Dtype::F32 {
            let mut bytes = vec![0; to - from];
            read_at(&self.file, &mut bytes, start)?;
            return TensorView::new(info.dtype, info.shape.clone(), &bytes).map_err(Error::wrap)?.load(&Device::Cpu);
        }
        let values = hemf_kernels::filled((to - from) / 4, PIECE, |first, piece| {
            read_at(&self.file, bytemuck::cast_slice_mut(piece), start + 4 * first as u64)?;
            piece.iter_mut().for_each(|value| *value = f32::from_bits(u32::from_le(value.to_bits())));
            io::Result::Ok(())
        })?;
        Tensor::from_vec(values, info.shape.as_slice(), &Device::Cpu)
    }
}

impl SimpleBackend for WeightFile {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let tensor = self.get_unchecked(name, dtype, device)?;
        if tensor.shape() != &shape {
            bail!("{name} was asked for as {shape:?}, but is {:?}", tensor.shape());
        }
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor> {
        self.get(name)?.to_device(device)?.to_dtype(dtype)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.inner.header.info(name).is_some()
    }
}

/// Fills `to` from byte `from` of the file on, whatever other threads read.
fn read_at(file: &File, mut to: &mut [u8], mut from: u64) -> io::Result<()> {
    while !to.is_empty() {
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_at(file, to, from);
        #[cfg(windows)]
        let read = std::os::windows::fs::FileExt::seek_read(file, to, from);
        match read {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => (to, from) = (&mut to[n..], from + n as u64),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn wrong<T>(what: String) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidData, what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn refused(path: &Path) -> bool {
        WeightFile::new(File::open(path).unwrap()).is_err()
    }

    #[test]
    fn every_tensor_is_as_it_was_written() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("t.safetensors");
        let cpu = Device::Cpu;
        let wide = Tensor::randn(0f32, 1.0, (300, 700), &cpu).unwrap(); // more than one piece
        let tensors = HashMap::from([
            ("wide", wide.clone()),
            ("half", wide.to_dtype(DType::BF16).unwrap()),
            ("double", wide.to_dtype(DType::F64).unwrap()),
            ("count", Tensor::new(7i64, &cpu).unwrap()),
            ("scalar", Tensor::new(1.5f32, &cpu).unwrap()),
            ("none", Tensor::zeros((0, 3), DType::F32, &cpu).unwrap()),
        ]);
        candle_core::safetensors::save(&tensors, &path).unwrap();
        let file = WeightFile::new(File::open(&path).unwrap()).unwrap();
        let (got, want) = (file.tensors().unwrap(), candle_core::safetensors::load(&path, &cpu).unwrap());
        assert_eq!(got.len(), tensors.len());
        for (name, want) in want {
            let got = &got[&name];
            assert_eq!((got.dtype(), got.dims()), (want.dtype(), want.dims()), "{name}");
            let values = |t: &Tensor| t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
            assert_eq!(values(got), values(&want), "{name}");
        }
        let one = file.builder(&cpu).get(wide.dims(), "wide").unwrap();
        assert_eq!(one.to_vec2::<f32>().unwrap(), wide.to_vec2::<f32>().unwrap());
        let error = file.builder(&cpu).get((700, 300), "wide").unwrap_err().to_string();
        assert!(error.starts_with("wide was asked for as [700, 300], but is [300, 700]"), "{error}");
        assert!(file.builder(&cpu).get(1, "other").is_err());
    }

    #[test]
    fn a_file_cut_anywhere_or_with_a_header_that_lies_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("t.safetensors");
        let tensors = HashMap::from([("a", Tensor::zeros((5, 3), DType::F32, &Device::Cpu).unwrap())]);
        candle_core::safetensors::save(&tensors, &path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(refused(&path), "{length} of {} bytes", whole.len());
        }
        for (from, to) in [("[0,60]", "[9,60]"), ("[0,60]", "[0,99]"), ("[5,3]", "[5,4]"), ("\"F32\"", "\"F64\"")] {
            let text = String::from_utf8(whole[8..].to_vec()).unwrap();
            assert!(text.contains(from));
            let changed = [&whole[..8], text.replace(from, to).as_bytes()].concat();
            std::fs::write(&path, changed).unwrap();
            assert!(refused(&path), "{to} for {from}");
        }
    }
}
