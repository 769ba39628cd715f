//! PyTorch's `.pth`: a zip archive, stored without compression, of one pickle that describes the tensors and a file of
//! bytes for each of them.
//!
//! The pickle is what `torch.save` writes for a state dict: an `OrderedDict` from names to calls of
//! `torch._utils._rebuild_tensor_v2(storage, offset, sizes, strides, requires_grad, hooks)`, where a storage is named by
//! type, key and length. `torch.load(weights_only=True)` allows these and little else.

use crate::file::{Error, bytes_of, write_whole};
use candle_core::{DType, Tensor};
use std::io::{self, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The archive's folder.
const ROOT: &str = "archive";

/// Writes `tensors` (f32 or i64) in their order as a state dict that `torch.load(path, weights_only=True)` gives back.
///
/// # Errors
/// A file that cannot be written, or a tensor of another type.
pub fn write_pth(path: &Path, tensors: &[(String, Tensor)]) -> Result<(), Error> {
    let pickle = pickle(tensors)?;
    // 64 bytes is where torch.save begins each storage.
    let options =
        SimpleFileOptions::default().compression_method(CompressionMethod::Stored).with_alignment(64).large_file(false);
    write_whole(path, |out| {
        let mut archive = ZipWriter::new(out);
        let mut file = |name: &str, content: &[u8]| -> io::Result<()> {
            archive.start_file(format!("{ROOT}/{name}"), options).map_err(io::Error::other)?;
            archive.write_all(content)
        };
        file("data.pkl", &pickle)?;
        file("byteorder", b"little")?;
        for (key, (_, tensor)) in tensors.iter().enumerate() {
            file(&format!("data/{key}"), &bytes_of(tensor).map_err(io::Error::other)?)?;
        }
        file("version", b"3\n")?;
        archive.finish().map_err(io::Error::other).map(drop)
    })
}

/// The state dict as a pickle of protocol 2.
fn pickle(tensors: &[(String, Tensor)]) -> Result<Vec<u8>, Error> {
    let mut out = Pickle(vec![0x80, 2]);
    out.global("collections", "OrderedDict").code(b')').code(b'R');
    out.code(b'(');
    for (key, (name, tensor)) in tensors.iter().enumerate() {
        let storage = match tensor.dtype() {
            DType::F32 => "FloatStorage",
            DType::I64 => "LongStorage",
            other => Err(no_storage(name, other))?,
        };
        out.text(name).global("torch._utils", "_rebuild_tensor_v2").code(b'(');
        out.code(b'(').text("storage").global("torch", storage).text(&key.to_string()).text("cpu");
        out.int(tensor.elem_count()).code(b't').code(b'Q');
        out.int(0).ints(tensor.dims()).ints(&row_major(tensor.dims()));
        out.code(0x89).global("collections", "OrderedDict").code(b')').code(b'R'); // no gradient, no hooks
        out.code(b't').code(b'R');
    }
    out.code(b'u').code(b'.');
    Ok(out.0)
}

fn no_storage(name: &str, dtype: DType) -> candle_core::Error {
    candle_core::Error::Msg(format!("{name} is of type {dtype:?}; a .pth is made of f32 and i64"))
}

/// Elements from one index of each dimension to the next.
fn row_major(dims: &[usize]) -> Vec<usize> {
    (1..=dims.len()).map(|i| dims[i..].iter().product()).collect()
}

/// A pickle under construction: one-byte codes, some with arguments.
struct Pickle(Vec<u8>);

impl Pickle {
    fn code(&mut self, code: u8) -> &mut Self {
        self.0.push(code);
        self
    }

    /// A name of a module: code `c`.
    fn global(&mut self, module: &str, name: &str) -> &mut Self {
        self.0.extend_from_slice(format!("c{module}\n{name}\n").as_bytes());
        self
    }

    /// Text: code `X`, four bytes of length.
    fn text(&mut self, text: &str) -> &mut Self {
        self.code(b'X').0.extend_from_slice(&(text.len() as u32).to_le_bytes());
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// A whole number: code `J`, four bytes.
    fn int(&mut self, value: usize) -> &mut Self {
        self.code(b'J').0.extend_from_slice(&(value as i32).to_le_bytes());
        self
    }

    /// A tuple of whole numbers.
    fn ints(&mut self, values: &[usize]) -> &mut Self {
        self.code(b'(');
        for value in values {
            self.int(*value);
        }
        self.code(b't')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, pickle};

    fn tensors() -> Vec<(String, Tensor)> {
        let cpu = &Device::Cpu;
        vec![
            ("b.weight".to_owned(), Tensor::arange(0f32, 24.0, cpu).unwrap().reshape((2, 3, 4)).unwrap()),
            ("count".to_owned(), Tensor::new(7i64, cpu).unwrap()),
            ("a.bias".to_owned(), Tensor::new(&[0.5f32], cpu).unwrap()),
        ]
    }

    #[test]
    fn candle_reads_the_same_tensors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.pth");
        write_pth(&path, &tensors()).unwrap();
        let read = pickle::read_all(&path).unwrap();
        assert_eq!(read.len(), 3);
        for (name, tensor) in tensors() {
            let (_, read) = read.iter().find(|(found, _)| *found == name).unwrap();
            assert_eq!((tensor.dims(), tensor.dtype()), (read.dims(), read.dtype()), "{name}");
            let values = |t: &Tensor| t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
            assert_eq!(values(&tensor), values(read));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn another_type_is_refused_by_name() {
        let odd = [("odd".to_owned(), Tensor::new(&[1u8], &Device::Cpu).unwrap())];
        let error = write_pth(Path::new("never.pth"), &odd).unwrap_err();
        assert!(error.to_string().contains("odd is of type U8"), "{error}");
    }

    #[test]
    fn strides_are_those_of_memory_order() {
        assert_eq!(row_major(&[2, 3, 4]), [12, 4, 1]);
        assert_eq!(row_major(&[]), [0usize; 0]);
    }
}
