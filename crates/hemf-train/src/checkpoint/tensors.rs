//! Named tensors to and from safetensors bytes, with one string of our own in the header.
//!
//! Written here rather than by the `safetensors` crate, which writes to a file of its own making: a
//! checkpoint hashes, syncs and places its bytes itself. The layout is the crate's (8 bytes of header
//! length, a JSON header padded to 8 bytes, the data back to back), and a [`WeightFile`](hemf_model::WeightFile) reads it
//! back.

use std::io::{self, Write};

use candle_core::Tensor;
use safetensors::View;
use serde_json::{Map, Value, json};

/// The header's key for our string.
pub(super) const NOTE: &str = "hemf";

/// Writes `tensors` in their order, larger element types first (which keeps every tensor aligned).
pub(crate) fn write(out: &mut dyn Write, tensors: &[(String, Tensor)], note: &str) -> io::Result<()> {
    let mut ordered: Vec<&(String, Tensor)> = tensors.iter().collect();
    ordered.sort_by_key(|(_, tensor)| std::cmp::Reverse(tensor.dtype().size_in_bytes()));

    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!({ NOTE: note }));
    let mut offset = 0;
    for (name, tensor) in &ordered {
        let end = offset + View::data_len(tensor);
        let place = json!({
            "dtype": View::dtype(tensor),
            "shape": tensor.dims(),
            "data_offsets": [offset, end],
        });
        header.insert(name.clone(), place);
        offset = end;
    }
    let mut header = serde_json::to_vec(&Value::Object(header))?;
    header.resize(header.len().next_multiple_of(8), b' ');

    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for (_, tensor) in ordered {
        out.write_all(&View::data(tensor))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use safetensors::SafeTensors;

    use super::*;

    #[test]
    fn what_is_written_is_read_by_the_safetensors_crate() {
        let cpu = Device::Cpu;
        let tensors = vec![
            ("b.weight".to_owned(), Tensor::new(&[[1.5f32, -2.0]], &cpu).unwrap()),
            ("count".to_owned(), Tensor::new(7i64, &cpu).unwrap()),
            ("a.weight".to_owned(), Tensor::new(&[3f32], &cpu).unwrap()),
        ];
        let mut bytes = Vec::new();
        write(&mut bytes, &tensors, "a note").unwrap();

        let plain = SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(plain.tensor("b.weight").unwrap().shape(), &[1, 2]);
        assert_eq!(plain.tensor("a.weight").unwrap().data(), 3f32.to_le_bytes());
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(header.metadata().as_ref().unwrap()[NOTE], "a note");
    }
}
