//! Reading `.safetensors`, each tensor straight to its place and side by side: the file is never in memory as a whole beside
//! its tensors, which would be half of the time to a first prediction.

use candle_core::safetensors::Load;
use candle_core::{Device, Error, Result, Tensor, bail};
use rayon::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo, TensorView};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// The tensors of a file by name.
///
/// Fails when the file cannot be read, or is not of the length that its header tells.
pub(crate) fn read(path: &Path) -> Result<HashMap<String, Tensor>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut size = [0; 8];
    file.read_exact(&mut size)?;
    let size = u64::from_le_bytes(size);
    let Some(start) = size.checked_add(8).filter(|start| *start <= length) else {
        bail!("a header of {size} bytes in a file of {length}")
    };
    let mut header = vec![0; size as usize];
    file.read_exact(&mut header)?;
    let header: Metadata = serde_json::from_slice(&header).map_err(Error::wrap)?;
    let tensors = header.tensors();
    let values = tensors.values().map(|info| info.data_offsets.1 as u64).max().unwrap_or(0);
    if values != length - start {
        bail!("the header tells of {values} bytes of values, and {} follow", length - start);
    }
    tensors.into_par_iter().map(|(name, info)| Ok((name, tensor(path, start, info)?))).collect()
}

/// One tensor, from a file whose values begin at `start`.
fn tensor(path: &Path, start: u64, info: &TensorInfo) -> Result<Tensor> {
    let (from, to) = info.data_offsets;
    let Some(length) = to.checked_sub(from) else { bail!("a tensor from byte {from} to {to}") };
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start + from as u64))?;
    if info.dtype != Dtype::F32 {
        let mut bytes = vec![0; length];
        file.read_exact(&mut bytes)?;
        return TensorView::new(info.dtype, info.shape.clone(), &bytes).map_err(Error::wrap)?.load(&Device::Cpu);
    }
    let count = info.shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size));
    if count.and_then(|count| count.checked_mul(4)) != Some(length) {
        bail!("a tensor of shape {:?} in {length} bytes", info.shape);
    }
    let mut values = Vec::with_capacity(length / 4);
    let mut bytes = vec![0; length.min(1 << 16)];
    while values.len() < length / 4 {
        let part = bytes.len().min(length - 4 * values.len());
        file.read_exact(&mut bytes[..part])?;
        values.extend(bytes[..part].as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)));
    }
    Tensor::from_vec(values, info.shape.as_slice(), &Device::Cpu)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::DType;

    #[test]
    fn every_tensor_is_as_it_was_written() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("t.safetensors");
        let cpu = Device::Cpu;
        let wide = Tensor::randn(0f32, 1.0, (300, 70), &cpu).unwrap(); // more than one part
        let tensors = HashMap::from([
            ("wide", wide.clone()),
            ("half", wide.to_dtype(DType::BF16).unwrap()),
            ("double", wide.to_dtype(DType::F64).unwrap()),
            ("count", Tensor::new(7i64, &cpu).unwrap()),
            ("scalar", Tensor::new(1.5f32, &cpu).unwrap()),
            ("none", Tensor::zeros((0, 3), DType::F32, &cpu).unwrap()),
        ]);
        candle_core::safetensors::save(&tensors, &path).unwrap();
        let (got, want) = (read(&path).unwrap(), candle_core::safetensors::load(&path, &cpu).unwrap());
        assert_eq!(got.len(), tensors.len());
        for (name, want) in want {
            let got = &got[&name];
            assert_eq!((got.dtype(), got.dims()), (want.dtype(), want.dims()), "{name}");
            let values = |t: &Tensor| t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
            assert_eq!(values(got), values(&want), "{name}");
        }
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
            assert!(read(&path).is_err(), "{length} of {} bytes", whole.len());
        }
        for (from, to) in [("[0,60]", "[9,60]"), ("[0,60]", "[0,99]"), ("[5,3]", "[5,4]"), ("\"F32\"", "\"F64\"")] {
            let text = String::from_utf8(whole[8..].to_vec()).unwrap();
            assert!(text.contains(from));
            let changed = [&whole[..8], text.replace(from, to).as_bytes()].concat();
            std::fs::write(&path, changed).unwrap();
            assert!(read(&path).is_err(), "{to} for {from}");
        }
    }
}
