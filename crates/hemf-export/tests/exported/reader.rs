//! Reads what `write_onnx` writes: protobuf's wire format, and of ONNX what is needed to run a model.

use candle_core::{Device, Tensor};
use std::collections::HashMap;

pub(crate) struct Model {
    pub(crate) opset: u64,
    pub(crate) nodes: Vec<Node>,
    pub(crate) constants: HashMap<String, Tensor>,
    pub(crate) notes: HashMap<String, String>,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: String,
    pub(crate) inputs: Vec<String>,
    pub(crate) output: String,
    attributes: HashMap<String, Attribute>,
}

#[derive(Debug, Default)]
struct Attribute {
    float: f32,
    int: i64,
    ints: Vec<i64>,
}

/// A field of a message: its number, and its value as a number or as bytes.
enum Field<'a> {
    Number(u64, u64),
    Bytes(u64, &'a [u8]),
}

impl Model {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mut model = Self { opset: 0, nodes: vec![], constants: HashMap::new(), notes: HashMap::new() };
        for field in fields(bytes) {
            match field {
                Field::Bytes(7, graph) => model.read_graph(graph),
                Field::Bytes(8, opset) => {
                    model.opset =
                        fields(opset).find_map(|f| if let Field::Number(2, n) = f { Some(n) } else { None }).unwrap()
                }
                Field::Bytes(14, note) => {
                    let pair = texts(note, &[1, 2]);
                    model.notes.insert(pair[0].clone(), pair[1].clone());
                }
                _ => {}
            }
        }
        model
    }

    fn read_graph(&mut self, bytes: &[u8]) {
        for field in fields(bytes) {
            match field {
                Field::Bytes(1, node) => self.nodes.push(Node::read(node)),
                Field::Bytes(5, tensor) => {
                    let (name, tensor) = tensor_of(tensor);
                    assert!(self.constants.insert(name.clone(), tensor).is_none(), "{name} twice");
                }
                _ => {}
            }
        }
    }
}

impl Node {
    fn read(bytes: &[u8]) -> Self {
        let mut attributes = HashMap::new();
        for field in fields(bytes) {
            if let Field::Bytes(5, attribute) = field {
                let mut read = Attribute::default();
                for field in fields(attribute) {
                    match field {
                        Field::Number(2, bits) => read.float = f32::from_bits(bits as u32),
                        Field::Number(3, value) => read.int = value as i64,
                        Field::Number(8, value) => read.ints.push(value as i64),
                        _ => {}
                    }
                }
                attributes.insert(texts(attribute, &[1]).remove(0), read);
            }
        }
        let (kind, output) = (texts(bytes, &[4]).remove(0), texts(bytes, &[2]).remove(0));
        Self { kind, inputs: texts(bytes, &[1]), output, attributes }
    }

    pub(crate) fn float(&self, name: &str) -> f64 {
        f64::from(self.attributes[name].float)
    }

    pub(crate) fn int(&self, name: &str) -> i64 {
        self.attributes[name].int
    }

    pub(crate) fn ints(&self, name: &str) -> &[i64] {
        &self.attributes[name].ints
    }
}

fn tensor_of(bytes: &[u8]) -> (String, Tensor) {
    let (mut dims, mut kind, mut raw) = (vec![], 0, &[][..]);
    for field in fields(bytes) {
        match field {
            Field::Number(1, side) => dims.push(side as usize),
            Field::Number(2, value) => kind = value,
            Field::Bytes(9, values) => raw = values,
            _ => {}
        }
    }
    let dtype = if kind == 7 { candle_core::DType::I64 } else { candle_core::DType::F32 };
    let tensor = Tensor::from_raw_buffer(raw, dtype, &dims, &Device::Cpu).unwrap();
    (texts(bytes, &[8]).remove(0), tensor)
}

/// The texts of the fields with these numbers.
fn texts(bytes: &[u8], numbers: &[u64]) -> Vec<String> {
    let text = |field| match field {
        Field::Bytes(number, text) if numbers.contains(&number) => Some(String::from_utf8(text.to_vec()).unwrap()),
        _ => None,
    };
    fields(bytes).filter_map(text).collect()
}

fn fields(mut bytes: &[u8]) -> impl Iterator<Item = Field<'_>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let key = varint(&mut bytes);
        Some(match key & 7 {
            0 => Field::Number(key >> 3, varint(&mut bytes)),
            2 => {
                let length = varint(&mut bytes) as usize;
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                Field::Bytes(key >> 3, value)
            }
            5 => {
                let (value, rest) = bytes.split_at(4);
                bytes = rest;
                Field::Number(key >> 3, u64::from(u32::from_le_bytes(value.try_into().unwrap())))
            }
            kind => panic!("a field of kind {kind}"),
        })
    })
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}
