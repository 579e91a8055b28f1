//! The layers of a model as a kernel set reads them: without the operators that it leaves out.

use core::marker::PhantomData;

use crate::compact::{Read, Reader};
use crate::kernels::Kernels;
use crate::layer::Layer;
use crate::operator::Operator;
use crate::text::Text;

/// A layer whose operator is one of those of the set `K`.
pub struct LayerOf<'a, K> {
    /// The layer.
    pub layer: Layer<'a>,
    kernels: PhantomData<fn() -> K>,
}

impl<'a, K: Kernels> Read<'a> for LayerOf<'a, K> {
    fn read(reader: &mut Reader<'a>) -> Self {
        let layer = Layer {
            name: Read::read(reader),
            operator: Operator::read_of(K::OPERATORS, reader),
            inputs: Read::read(reader),
            output: Read::read(reader),
            activation: Read::read(reader),
            scratch: Read::read(reader),
        };
        Self { layer, kernels: PhantomData }
    }
}

/// Whether the description of a layer that could not be read names an operator that the set leaves out.
pub fn is_left_out<K: Kernels>(unread: &[u8]) -> bool {
    let mut reader = Reader::new(unread);
    let _name = Text::read(&mut reader);
    let number = reader.variant(Operator::NAMES.len() as u32);
    reader.rest().is_some() && K::OPERATORS & 1u32.wrapping_shl(number) == 0
}
