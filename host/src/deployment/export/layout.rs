//! Which layout the weights of a layer get: the one that the kernels of the core at hand read fastest.
//!
//! This is the only place that knows which kernels a core runs. A kernel family that brings a layout of its own adds an arm here, a
//! variant to [`Layout`], and a module beside [`tinyhero_common::layout::channel_pairs`].

use crate::cortex::Core;
use crate::deployment::integer_network::{IntegerLayer, IntegerNetwork, set_weights};
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::layout::Layout;
use tinyhero_common::layout::channel_quads::QuadColumns;
use tinyhero_common::layout::vector_rows::Blocks;
use tinyhero_common::model::Model;
use tinyhero_common::operator::{GroupedConvolution2d, Operator, Weights};
use tinyhero_common::shape::Shape;

/// Most bytes of scratch memory that a group's channels are copied to.
const MOST_COPIED: usize = 8 * 1024;

/// The kernel sets of `tinyhero_firmware::kernel`, as far as layouts are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelFamily {
    /// Plain Rust, any core.
    Portable,
    /// Dual 16-bit multiplies: Cortex-M4, M7 and M33.
    Dsp,
    /// Plain 32-bit multiplies: Cortex-M0, M0+ and M3.
    Mul32,
    /// Vectors of 16 bytes: Cortex-M55.
    Helium,
}

impl KernelFamily {
    /// The kernels that boards with this core run.
    pub const fn of(core: Core) -> Self {
        match core {
            Core::M4 | Core::M7 | Core::M33 => Self::Dsp,
            Core::M0 | Core::M3 => Self::Mul32,
            Core::M55 => Self::Helium,
        }
    }

    /// That of a grouped convolution: groups of one input channel are computed by the kernel for depthwise convolutions, larger ones by that for
    /// full convolutions, for which rows lie in pairs, over a copy of the group's channels.
    const fn dsp_layout_of_groups(
        grouped: &GroupedConvolution2d,
        input: Shape,
        output: Shape,
    ) -> Layout {
        let (dilated, groups) =
            (grouped.dilation_height != 1 || grouped.dilation_width != 1, grouped.groups);
        if dilated || groups == 0 {
            return Layout::Rows;
        }
        let wide = Shape { channels: output.channels, ..input };
        if input.channels == groups && QuadColumns::new(grouped.window, wide, output).is_some() {
            return Layout::ChannelQuads;
        }
        let copied = input.elements() / groups as usize;
        if (output.channels / groups).is_multiple_of(2) && copied <= MOST_COPIED {
            return Layout::ChannelPairs;
        }
        Layout::Rows
    }

    /// The layout of a layer's weights, by what it computes on which shapes and with how many bits.
    pub const fn layout(
        self,
        operator: &Operator,
        input: Shape,
        output: Shape,
        _bit_width: BitWidth,
    ) -> Layout {
        match (self, operator) {
            (
                Self::Dsp,
                Operator::Convolution2d(_)
                | Operator::FullyConnected(_)
                | Operator::Lstm(_)
                | Operator::Gru(_),
            ) => Layout::ChannelPairs,
            (Self::Dsp, Operator::GroupedConvolution2d(grouped)) => {
                Self::dsp_layout_of_groups(grouped, input, output)
            }
            (Self::Dsp, Operator::DepthwiseConvolution2d(depthwise))
                if QuadColumns::new(depthwise.window, input, output).is_some() =>
            {
                Layout::ChannelQuads
            }
            (
                Self::Mul32,
                Operator::Convolution2d(_)
                | Operator::DepthwiseConvolution2d(_)
                | Operator::FullyConnected(_),
            ) => Layout::FieldQuads,
            (Self::Helium, Operator::Convolution2d(_) | Operator::FullyConnected(_)) => {
                Layout::VectorPairs
            }
            (Self::Helium, Operator::DepthwiseConvolution2d(depthwise))
                if Blocks::new(depthwise.window, input, output).is_some() =>
            {
                Layout::VectorRows
            }
            _ => Layout::Rows,
        }
    }
}

/// The layout of every layer, in the network's order; the portable one without a core.
pub fn layouts(network: &IntegerNetwork, core: Option<Core>) -> Vec<Layout> {
    let layout = |layer: &IntegerLayer| match &layer.weights {
        Some(weights) => layout_of(network, layer, weights.bit_width, core),
        None => Layout::Rows,
    };
    network.layers.iter().map(layout).collect()
}

/// The layout of a layer whose weights have these bits.
pub fn layout_of(
    network: &IntegerNetwork,
    layer: &IntegerLayer,
    bit_width: BitWidth,
    core: Option<Core>,
) -> Layout {
    let family = core.map_or(KernelFamily::Portable, KernelFamily::of);
    let input = network.tensor(layer.inputs[0]).shape;
    family.layout(&layer.operator, input, layer.output.shape, bit_width)
}

/// How many layers of a model the kernels of a core would read faster in another layout, and how many have weights.
pub fn layers_in_other_layouts(model: &Model<'_>, core: Core) -> (usize, usize) {
    let family = KernelFamily::of(core);
    let (mut others, mut all) = (0, 0);
    for layer in model.layers() {
        let Some(weights) = layer.weights() else { continue };
        let (input, output) = (layer.input().shape, layer.output.shape);
        let own = family.layout(&layer.operator, input, output, weights.bit_width);
        all += 1;
        others += usize::from(own != weights.layout);
    }
    (others, all)
}

/// The operator of a layer with the layout put in, its offsets still 0.
pub fn operator_in(layer: &IntegerLayer, layout: Layout) -> Operator {
    let mut operator = layer.operator;
    if let Some(weights) = &layer.weights {
        let bit_width = weights.bit_width;
        set_weights(&mut operator, Weights { bit_width, layout, offset: 0, channels: 0 });
    }
    operator
}
