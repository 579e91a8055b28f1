//! Reading descriptions and layers in postcard's format, field by field.
//!
//! The types derive postcard's own reading too, which hosts and tests use; this one takes a board a third of the flash, because what is
//! wrong is noted by the reader and asked for once at the end. The tests compare the two.

use crate::bit_width::BitWidth;
use crate::compact::Reader;
use crate::layer::Layer;
use crate::layout::Layout;
use crate::model::{Description, InputQuantization, SelfTest};
use crate::operator::{Operator, Weights};
use crate::requantize::{ActivationRange, AddRescale, Rescale};
use crate::shape::{Region, Shape, Window};
use crate::tensor::{Operand, SampleType, Scale, Tensor};
use crate::text::Text;

/// What stands before the layers, and the layers' bytes. `None` if it is broken.
pub(super) fn description(bytes: &[u8]) -> Option<(Description<'_>, &[u8])> {
    let mut reader = Reader::new(bytes);
    let reader = &mut reader;
    let description = Description {
        name: Text::new(reader.slice()),
        labels: Text::new(reader.slice()),
        input_quantization: InputQuantization {
            sample_type: match reader.variant(2) {
                0 => SampleType::U8,
                _ => SampleType::I16,
            },
            maps: reader.short(),
            offset: reader.word(),
        },
        input: tensor(reader),
        arena_bytes: reader.word(),
        self_test: SelfTest { seed: reader.word(), digest: reader.word() },
        layer_count: reader.short(),
    };
    Some((description, reader.rest()?))
}

/// The layer that begins `bytes`, and the bytes behind it. `None` if it is broken.
pub(super) fn layer(bytes: &[u8]) -> Option<(Layer<'_>, &[u8])> {
    let mut reader = Reader::new(bytes);
    let reader = &mut reader;
    let layer = Layer {
        name: Text::new(reader.slice()),
        operator: operator(reader),
        input: operand(reader),
        output: tensor(reader),
        activation: ActivationRange { min: reader.signed_byte(), max: reader.signed_byte() },
        scratch: Region { offset: reader.word(), bytes: reader.word() },
    };
    Some((layer, reader.rest()?))
}

fn operator(reader: &mut Reader<'_>) -> Operator {
    match reader.variant(7) {
        0 => Operator::Convolution2d { window: window(reader), weights: weights(reader) },
        1 => Operator::DepthwiseConvolution2d { window: window(reader), weights: weights(reader) },
        2 => Operator::FullyConnected { weights: weights(reader) },
        3 => Operator::AveragePool2d {
            window: window(reader),
            rescale: Rescale { multiplier: reader.signed_short(), shift: reader.signed_byte() },
        },
        4 => Operator::MaxPool2d { window: window(reader) },
        5 => Operator::Add {
            other: operand(reader),
            rescale: AddRescale {
                multiplier: reader.signed_short(),
                other_multiplier: reader.signed_short(),
                shift: reader.byte(),
            },
        },
        _ => Operator::Softmax { exponent_multiplier: reader.word() },
    }
}

#[inline(never)]
fn window(reader: &mut Reader<'_>) -> Window {
    Window {
        kernel_height: reader.byte(),
        kernel_width: reader.byte(),
        stride_height: reader.byte(),
        stride_width: reader.byte(),
        padding_top: reader.byte(),
        padding_left: reader.byte(),
    }
}

#[inline(never)]
fn weights(reader: &mut Reader<'_>) -> Weights {
    Weights {
        bit_width: chosen(reader, &BitWidth::ALL, BitWidth::Two),
        layout: chosen(reader, &Layout::ALL, Layout::Rows),
        offset: reader.word(),
        channels: reader.word(),
    }
}

/// The variant of that number; `first` where there is none, and the reader knows.
fn chosen<T: Copy>(reader: &mut Reader<'_>, all: &[T], first: T) -> T {
    let index = reader.variant(all.len() as u32) as usize;
    all.get(index).copied().unwrap_or(first)
}

#[inline(never)]
fn operand(reader: &mut Reader<'_>) -> Operand {
    Operand { source: reader.short(), tensor: tensor(reader) }
}

#[inline(never)]
fn tensor(reader: &mut Reader<'_>) -> Tensor {
    Tensor {
        shape: Shape { height: reader.short(), width: reader.short(), channels: reader.short() },
        offset: reader.word(),
        zero_point: reader.signed_byte(),
        scale: Scale { mantissa: reader.word(), exponent: reader.signed_byte() },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes of which most make whole varints and variants.
    fn plausible() -> impl Strategy<Value = std::vec::Vec<u8>> {
        let byte = prop_oneof![6 => 0u8..8, 2 => any::<u8>(), 1 => Just(0xFF), 1 => Just(0x80)];
        proptest::collection::vec(byte, 0..80)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn layers_are_what_postcard_reads(bytes in plausible()) {
            prop_assert_eq!(layer(&bytes), postcard::take_from_bytes::<Layer<'_>>(&bytes).ok());
        }

        #[test]
        fn descriptions_are_what_postcard_reads(bytes in plausible()) {
            prop_assert_eq!(description(&bytes), postcard::take_from_bytes::<Description<'_>>(&bytes).ok());
        }

        #[test]
        fn every_operator_comes_back(
            variant in 0u8..7,
            rest in proptest::collection::vec(0u8..6, 60),
            number in any::<u32>(),
        ) {
            let mut bytes = std::vec![2, b'n', b'm', variant];
            bytes.extend(&rest);
            let (mut read, _) = layer(&bytes).unwrap();
            read.input.tensor.offset = number;
            read.output.shape.channels = number as u16;
            read.scratch.bytes = number.rotate_left(9);
            let mut room = [0; 200];
            let written = &*postcard::to_slice(&read, &mut room).unwrap();
            let (again, behind) = layer(written).unwrap();
            prop_assert_eq!(again, read);
            prop_assert!(behind.is_empty());
            for end in 0..written.len() {
                prop_assert_eq!(layer(&written[..end]), None);
            }
        }
    }
}
