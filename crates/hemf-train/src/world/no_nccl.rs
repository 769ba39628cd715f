//! In the place of `nccl.rs` in a program that was built without it.

use candle_core::{Device, Result, Tensor};

/// There is none.
pub(super) enum Nccl {}

/// And no sum by it.
pub(super) enum Begun {}

impl Nccl {
    pub(super) fn join<E: From<candle_core::Error>>(
        _: &Device,
        _: usize,
        _: usize,
        _: impl FnOnce(Vec<u8>) -> std::result::Result<Vec<u8>, E>,
    ) -> std::result::Result<Self, E> {
        Err(candle_core::Error::msg("this program was built without NCCL").into())
    }

    pub(super) fn start(&self, _: Tensor) -> Result<Begun> {
        match *self {}
    }

    pub(super) fn finish(&self, _: Begun) -> Result<Tensor> {
        match *self {}
    }
}
