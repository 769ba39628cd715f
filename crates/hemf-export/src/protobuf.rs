//! Just enough of protobuf's wire format to write messages: a field is a key (its number and kind), then a number, or a
//! length and bytes.

use crate::file::bytes_of;
use candle_core::Tensor;
use std::io::{self, Write};

/// A message under construction: its fields in the order in which they were added. Large tensors stay tensors until they
/// are written.
#[derive(Default)]
pub(crate) struct Message {
    pieces: Vec<Piece>,
}

enum Piece {
    Bytes(Vec<u8>),
    Values(Tensor),
}

/// How a field's value is laid out.
#[derive(Clone, Copy)]
enum Kind {
    Varint = 0,
    Length = 2,
    Fixed32 = 5,
}

impl Message {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A whole number.
    pub(crate) fn int(self, field: u64, value: i64) -> Self {
        self.key(field, Kind::Varint).varint(value as u64)
    }

    /// A 32-bit float.
    pub(crate) fn float(self, field: u64, value: f32) -> Self {
        self.key(field, Kind::Fixed32).raw(&value.to_le_bytes())
    }

    /// Text.
    pub(crate) fn text(self, field: u64, value: &str) -> Self {
        self.key(field, Kind::Length).varint(value.len() as u64).raw(value.as_bytes())
    }

    /// A message within this one.
    pub(crate) fn message(self, field: u64, message: Self) -> Self {
        let mut whole = self.key(field, Kind::Length).varint(message.length());
        whole.pieces.extend(message.pieces);
        whole
    }

    /// The bytes of a tensor's values.
    pub(crate) fn values(self, field: u64, tensor: Tensor) -> Self {
        let mut whole = self.key(field, Kind::Length).varint(size_of(&tensor));
        whole.pieces.push(Piece::Values(tensor));
        whole
    }

    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        for piece in &self.pieces {
            match piece {
                Piece::Bytes(bytes) => out.write_all(bytes)?,
                Piece::Values(tensor) => out.write_all(&bytes_of(tensor).map_err(io::Error::other)?)?,
            }
        }
        Ok(())
    }

    fn length(&self) -> u64 {
        let of = |piece: &Piece| match piece {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::Values(tensor) => size_of(tensor),
        };
        self.pieces.iter().map(of).sum()
    }

    fn key(self, field: u64, kind: Kind) -> Self {
        self.varint(field << 3 | kind as u64)
    }

    /// Seven bits at a time, the lowest first; all bytes but the last have their top bit set.
    fn varint(self, mut value: u64) -> Self {
        let mut bytes = vec![];
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        self.raw(&bytes)
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        match self.pieces.last_mut() {
            Some(Piece::Bytes(last)) => last.extend_from_slice(bytes),
            _ => self.pieces.push(Piece::Bytes(bytes.to_vec())),
        }
        self
    }
}

fn size_of(tensor: &Tensor) -> u64 {
    (tensor.elem_count() * tensor.dtype().size_in_bytes()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn written(message: &Message) -> Vec<u8> {
        let mut bytes = vec![];
        message.write(&mut bytes).unwrap();
        bytes
    }

    /// The examples of protobuf's documentation ("Encoding"): 150 is 96 01, "testing", and a message within another.
    #[test]
    fn fields_are_laid_out_as_documented() {
        assert_eq!(written(&Message::new().int(1, 150)), [0x08, 0x96, 0x01]);
        assert_eq!(written(&Message::new().text(2, "testing")), *b"\x12\x07testing");
        let inner = Message::new().int(1, 150);
        assert_eq!(written(&Message::new().message(3, inner)), [0x1A, 0x03, 0x08, 0x96, 0x01]);
        let minus_two = written(&Message::new().int(1, -2));
        assert_eq!((minus_two.len(), minus_two[1], minus_two[10]), (11, 0xFE, 0x01));
        assert_eq!(written(&Message::new().float(2, 1.5)), [0x15, 0, 0, 0xC0, 0x3F]);
    }

    #[test]
    fn the_length_of_a_message_counts_its_tensors() {
        let tensor = Tensor::new(&[1f32, -1.0], &Device::Cpu).unwrap();
        let bytes = written(&Message::new().message(5, Message::new().int(1, 1).values(9, tensor)));
        assert_eq!(bytes, [0x2A, 12, 0x08, 1, 0x4A, 8, 0, 0, 0x80, 0x3F, 0, 0, 0x80, 0xBF]);
    }
}
