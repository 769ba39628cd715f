use candle_core::Result;

/// A part that can be made ready for inference.
pub trait Pack {
    /// Arranges the weights for the products they are used in, once, and folds each batch norm with its running
    /// statistics into the weights before it. Evaluation gives the same to rounding, and sooner; training is over: it
    /// fails where there was a batch norm, and changes of the weights are not seen any more.
    fn pack(&mut self) -> Result<()>;
}

impl<P: Pack> Pack for Vec<P> {
    fn pack(&mut self) -> Result<()> {
        self.iter_mut().try_for_each(P::pack)
    }
}

impl<P: Pack> Pack for Option<P> {
    fn pack(&mut self) -> Result<()> {
        self.iter_mut().try_for_each(P::pack)
    }
}

impl<P: Pack, Q: Pack> Pack for (P, Q) {
    fn pack(&mut self) -> Result<()> {
        self.0.pack()?;
        self.1.pack()
    }
}

/// Implements [`Pack`] for a block by its parts.
macro_rules! pack {
    ($block:ty: $($part:ident),+) => {
        impl $crate::Pack for $block {
            fn pack(&mut self) -> candle_core::Result<()> {
                $(self.$part.pack()?;)+
                Ok(())
            }
        }
    };
}
pub(crate) use pack;
