//! Grouped convolutions on cores that have no kernel for them: as full convolutions with weights of zero, where these cost less.
//!
//! The output is the same to the last bit: what a weight of zero multiplies adds nothing, to the sums nor to the bias.

use std::borrow::Cow;

use super::layout::KernelFamily;
use crate::cortex::Core;
use crate::deployment::integer_network::{IntegerLayer, IntegerNetwork, IntegerWeights};
use tinyhero_common::layout::Layout;
use tinyhero_common::operator::{Convolution2d, GroupedConvolution2d, Operator, Weights};
use tinyhero_common::shape::{Shape, Window};

/// Instructions of the portable grouped convolution for a tap of an output on a Cortex-M4, and for each weight of it.
const OF_TAP: usize = 85;
const OF_WEIGHT: usize = 6;
/// Most weights of a layer that zeros are added to.
const MOST_WEIGHTS: usize = 1 << 18;
/// Most multiply-accumulates of such a layer, far below what a model may take.
const MOST_WORK: usize = 1 << 24;

/// The network as the kernels of a core compute it fastest.
pub fn for_core(network: &IntegerNetwork, core: Option<Core>) -> Cow<'_, IntegerNetwork> {
    let Some(core) = core else { return Cow::Borrowed(network) };
    let mut network = Cow::Borrowed(network);
    for index in 0..network.layers.len() {
        if let Some(layer) = full(&network, &network.layers[index], KernelFamily::of(core)) {
            network.to_mut().layers[index] = layer;
        }
    }
    network
}

/// Tenths of an instruction of a full convolution's kernel for a weight, zeros included.
const fn of_weight(family: KernelFamily) -> usize {
    match family {
        KernelFamily::Portable => 80,
        KernelFamily::Dsp => 14,
        KernelFamily::Mul32 => 45,
        KernelFamily::Helium => 3,
    }
}

/// A grouped layer with zeros written out; `None` for other layers and where it is as fast as it is.
fn full(
    network: &IntegerNetwork,
    layer: &IntegerLayer,
    family: KernelFamily,
) -> Option<IntegerLayer> {
    let (Operator::GroupedConvolution2d(grouped), Some(weights)) =
        (&layer.operator, &layer.weights)
    else {
        return None;
    };
    let (input, output) = (network.tensor(layer.inputs[0]).shape, layer.output.shape);
    let own = family.layout(&layer.operator, input, output, weights.bit_width);
    let window = spread(grouped)?;
    let [inputs, outputs] = [input, output].map(|shape: Shape| usize::from(shape.channels));
    let per_group = inputs.checked_div(usize::from(grouped.groups))?;
    let row_length = window.taps().checked_mul(inputs)?;
    let zeros_cost = row_length.checked_mul(of_weight(family))?;
    let native_cost = 10 * (OF_TAP + OF_WEIGHT * per_group) * grouped.window.taps();
    let fits = row_length.checked_mul(outputs)? <= MOST_WEIGHTS
        && row_length.checked_mul(output.elements())? <= MOST_WORK;
    if own != Layout::Rows || zeros_cost >= native_cost || !fits {
        return None;
    }
    let values = with_zeros(grouped, weights, [inputs, outputs], row_length)?;
    let place = Weights { ..grouped.weights };
    Some(IntegerLayer {
        operator: Operator::Convolution2d(Convolution2d { window, weights: place }),
        weights: Some(IntegerWeights { row_length, values, ..weights.clone() }),
        ..layer.clone()
    })
}

/// The window with what lies between its taps.
fn spread(grouped: &GroupedConvolution2d) -> Option<Window> {
    let reach = |kernel: u8, dilation: u8| {
        let between = u16::from(kernel).checked_sub(1)?.checked_mul(dilation.into())?;
        u8::try_from(between.checked_add(1)?).ok()
    };
    let window = grouped.window;
    Some(Window {
        kernel_height: reach(window.kernel_height, grouped.dilation_height)?,
        kernel_width: reach(window.kernel_width, grouped.dilation_width)?,
        ..window
    })
}

/// The rows of all channels, each weight at its own.
fn with_zeros(
    grouped: &GroupedConvolution2d,
    weights: &IntegerWeights,
    [inputs, outputs]: [usize; 2],
    row_length: usize,
) -> Option<Vec<i8>> {
    let groups = usize::from(grouped.groups);
    let (per_group, of_group) = (inputs.checked_div(groups)?, outputs.checked_div(groups)?);
    let wide = usize::from(spread(grouped)?.kernel_width);
    let columns = usize::from(grouped.window.kernel_width);
    let [down, across] = [grouped.dilation_height, grouped.dilation_width].map(usize::from);
    let mut values = vec![0; row_length.checked_mul(outputs)?];
    let rows = values.chunks_exact_mut(row_length.max(1));
    for (output, (row, from)) in
        rows.zip(weights.values.chunks_exact(weights.row_length.max(1))).enumerate()
    {
        let first = output.checked_div(of_group)? * per_group;
        for (tap, from) in from.chunks_exact(per_group.max(1)).enumerate() {
            let place = (tap / columns * down * wide + tap % columns * across) * inputs + first;
            row.get_mut(place..place + per_group)?.copy_from_slice(from);
        }
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tinyhero_common::bit_width::BitWidth;

    #[test]
    fn every_weight_stands_at_its_tap_and_channel_among_zeros() {
        let window = Window {
            kernel_height: 1,
            kernel_width: 2,
            stride_height: 1,
            stride_width: 1,
            padding_top: 0,
            padding_left: 0,
        };
        let weights =
            Weights { bit_width: BitWidth::Eight, layout: Layout::Rows, offset: 0, channels: 0 };
        let grouped = GroupedConvolution2d {
            window,
            dilation_height: 1,
            dilation_width: 2,
            groups: 2,
            weights,
        };
        // Two outputs, each of a group of two channels.
        let integers = IntegerWeights {
            bit_width: BitWidth::Eight,
            row_length: 4,
            values: (1..9).collect(),
            scales: vec![1.0; 2],
            biases: vec![0; 2],
            rescales: Vec::new(),
        };
        let wide = spread(&grouped).unwrap();
        assert_eq!((wide.kernel_height, wide.kernel_width), (1, 3));
        let values = with_zeros(&grouped, &integers, [4, 2], 12).unwrap();
        assert_eq!(values[..12], [1, 2, 0, 0, 0, 0, 0, 0, 3, 4, 0, 0]);
        assert_eq!(values[12..], [0, 0, 5, 6, 0, 0, 0, 0, 0, 0, 7, 8]);
    }
}
