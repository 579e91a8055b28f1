//! Scratch memory that a layer's kernels get, by its operator and the layout of its weights.
//!
//! The exporter plans exactly this much, so a core that runs a layout of its own finds the room that its fast kernel needs. The loader only
//! insists on what the portable kernels need, [`portable_bytes`], so that whether a file is valid has one answer on every machine; a
//! fast kernel that finds less than its room leaves the layer to them.

pub mod vector;

use crate::model::{Layer, Layout, Operator, Shape, Weights, Window};
use crate::packing::{BitWidth, channel_pairs, vector_pairs};

/// Scratch begins at a multiple of this in the arena, so that kernels may keep words in it.
pub const ALIGNMENT: u32 = 4;

/// Scratch bytes without which a layer cannot run: the portable kernels of convolutions unpack one row of weights.
pub const fn portable_bytes(layer: &Layer<'_>) -> usize {
    match layer.operator {
        Operator::FullyConnected { .. } => 0,
        _ => layer.row_length(),
    }
}

/// Scratch bytes of a layer: what the kernels need that its layout is made for, and the portable ones.
pub const fn bytes(operator: &Operator, input: Shape, output: Shape) -> usize {
    match operator {
        Operator::Convolution2d { window, weights } => {
            let row = window.taps().saturating_mul(input.channels as usize);
            larger(row, convolution(*window, *weights, input, output))
        }
        Operator::DepthwiseConvolution2d { window, weights } => {
            larger(window.taps(), depthwise(*window, *weights, input, output))
        }
        Operator::FullyConnected { weights } => match weights.layout {
            Layout::Rows | Layout::ChannelQuads | Layout::VectorRows => 0,
            Layout::VectorPairs => {
                // Inputs that fill whole vectors are read in place.
                let depth = vector_pairs::padded_depth(weights.bit_width, input.elements());
                if depth == input.elements() { 0 } else { depth }
            }
            Layout::ChannelPairs => {
                2 * channel_pairs::padded_depth(weights.bit_width, input.elements())
            }
            Layout::FieldQuads => quad_column(weights.bit_width, input.elements()),
        },
        _ => 0,
    }
}

const fn convolution(window: Window, weights: Weights, input: Shape, output: Shape) -> usize {
    match weights.layout {
        Layout::Rows | Layout::ChannelQuads | Layout::VectorRows => 0,
        Layout::VectorPairs => vector::Strips::new(window, weights.bit_width, input, output).bytes,
        Layout::FieldQuads => {
            let depth = window.taps().saturating_mul(input.channels as usize);
            4 * channel_pairs::padded_depth(weights.bit_width, depth)
        }
        Layout::ChannelPairs => {
            PairColumns::new(window, weights.bit_width, input, output).scratch_bytes()
        }
    }
}

const fn depthwise(window: Window, weights: Weights, input: Shape, output: Shape) -> usize {
    match weights.layout {
        Layout::ChannelQuads => match QuadColumns::new(window, input, output) {
            Some(columns) => columns.scratch_bytes(),
            None => 0,
        },
        Layout::VectorRows => match vector::Blocks::new(window, input, output) {
            Some(blocks) => blocks.bytes,
            None => 0,
        },
        Layout::FieldQuads => QuadStrip::new(window, output).scratch_bytes(),
        _ => 0,
    }
}

const fn larger(first: usize, second: usize) -> usize {
    if first > second { first } else { second }
}

/// What a fully connected layer in [`Layout::FieldQuads`] needs: a copy of the input where it is no multiple of a group.
const fn quad_column(bit_width: BitWidth, inputs: usize) -> usize {
    let depth = channel_pairs::padded_depth(bit_width, inputs);
    if depth == inputs { 0 } else { depth }
}

/// What the depthwise kernel for [`Layout::FieldQuads`] keeps in its scratch memory, in this order: the weights of four channels
/// as words; the sums of a row of outputs; and the strip, the rows of the input under a row of windows, four channels wide and padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuadStrip {
    /// Taps of the window, the words of weights of a channel.
    pub taps: usize,
    /// Outputs of a row, the words of sums.
    pub outputs: usize,
    /// Columns of the strip, each as many words as the window has rows.
    pub columns: usize,
    /// Rows of the window.
    pub rows: usize,
}

impl QuadStrip {
    /// For a window over an image whose output has this shape.
    pub const fn new(window: Window, output: Shape) -> Self {
        let outputs = output.width as usize;
        Self {
            taps: window.taps(),
            outputs,
            columns: outputs.saturating_sub(1) * window.stride_width as usize
                + window.kernel_width as usize,
            rows: window.kernel_height as usize,
        }
    }

    /// Bytes of all three.
    pub const fn scratch_bytes(&self) -> usize {
        let strip = self.columns.saturating_mul(self.rows);
        (4 * self.taps).saturating_add(self.outputs).saturating_add(strip).saturating_mul(4)
    }
}

const fn smaller(first: usize, second: usize) -> usize {
    if first < second { first } else { second }
}

/// Pixels of the output that the kernel for [`Layout::ChannelPairs`] computes together.
pub const PAIR_PIXELS: usize = 3;
/// Most bytes of 16-bit columns at a time, where the window can be cut; what ResNet8's 288 weights a row need.
const COLUMN_BYTES: usize = 1792;

/// How the convolution kernel for [`Layout::ChannelPairs`] divides a window into segments of whole kernel rows, and what it
/// keeps in its scratch memory: first the columns, three pixels' windows as 16-bit lanes; then the partial sums of all
/// channels where there is more than one segment; then bytes of windows that leave the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairColumns {
    /// Activations of one kernel row: kernel width times input channels.
    pub line: usize,
    /// Kernel rows of a segment; the last segment may have fewer.
    pub rows: usize,
    /// Weights of a segment with its padding.
    pub depth: usize,
    /// Whether there is more than one segment.
    pub divided: bool,
    /// Bytes of the 16-bit columns.
    pub column_bytes: usize,
    /// Bytes of the partial sums.
    pub partial_bytes: usize,
    /// Bytes of the gathered window lines.
    pub gathered_bytes: usize,
}

impl PairColumns {
    /// The division of a convolution.
    pub const fn new(window: Window, bit_width: BitWidth, input: Shape, output: Shape) -> Self {
        let line = window.kernel_width as usize * input.channels as usize;
        let kernel_rows = window.kernel_height as usize;
        let depth = channel_pairs::padded_depth(bit_width, line.saturating_mul(kernel_rows));
        let column = 2 * PAIR_PIXELS;
        let multiple = channel_pairs::depth_multiple(bit_width);
        let whole = depth.saturating_mul(column);
        // A segment must end where words of weights end.
        let divided = whole > COLUMN_BYTES && line & (multiple - 1) == 0 && kernel_rows > 1;
        // Checked, since not every optimizer sees that a line of a divided window is not empty.
        let rows = match COLUMN_BYTES.checked_div(column * line) {
            Some(rows) if divided => larger(rows, 1),
            _ => kernel_rows,
        };
        let depth = if divided { rows * line } else { depth };
        // Lines that are no whole words are gathered for the whole window at once.
        let gathered = match (line & 3 == 0, leaves_image(window, input, output)) {
            (true, false) => 0,
            (true, true) => PAIR_PIXELS * line,
            // Lines are copied by words, the last of which may reach beyond.
            (false, _) => PAIR_PIXELS * depth + 4,
        };
        let channels = (output.channels as usize).div_ceil(2) * 2;
        Self {
            line,
            rows,
            depth,
            divided,
            column_bytes: depth.saturating_mul(column),
            partial_bytes: if divided { channels * PAIR_PIXELS * 4 } else { 0 },
            gathered_bytes: gathered,
        }
    }

    /// Bytes of all three.
    pub const fn scratch_bytes(&self) -> usize {
        self.column_bytes
            .saturating_add(self.partial_bytes)
            .saturating_add(self.gathered_bytes.next_multiple_of(4))
    }
}

/// What the depthwise kernel for [`Layout::ChannelQuads`] keeps in its scratch memory: two pairs of image rows as columns of 16-bit
/// lanes, four channels at a time, and four tables with the weights and constants of these channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuadColumns {
    /// Columns that the windows of an output row meet, padding included.
    pub columns: usize,
}

impl QuadColumns {
    /// Words of a column: two pairs of rows for each of four channels.
    pub const COLUMN_WORDS: usize = 8;
    /// Words of a table: four biases, three columns of weights, four multipliers in two words, four addends, four shifts.
    pub const TABLE_WORDS: usize = 4 + 3 * Self::COLUMN_WORDS + 2 + 4 + 4;

    /// The columns of a layer. `None` if the window is not 3 x 3 or skips columns, which the kernel does not take.
    pub const fn new(window: Window, input: Shape, output: Shape) -> Option<Self> {
        let fits = window.kernel_height == 3
            && window.kernel_width == 3
            && window.stride_width <= 3
            && input.channels >= 4;
        if !fits {
            return None;
        }
        let steps = (output.width as usize).saturating_sub(1);
        Some(Self { columns: steps * window.stride_width as usize + 3 })
    }

    /// Bytes of the columns and the tables.
    pub const fn scratch_bytes(&self) -> usize {
        (self.columns * Self::COLUMN_WORDS + 4 * Self::TABLE_WORDS) * 4
    }
}

/// Whether some tap of some window lies outside the image.
const fn leaves_image(window: Window, input: Shape, output: Shape) -> bool {
    const fn end(position: u16, stride: u8, kernel: u8) -> usize {
        (position as usize).saturating_sub(1) * stride as usize + kernel as usize
    }
    window.padding_top > 0
        || window.padding_left > 0
        || end(output.height, window.stride_height, window.kernel_height) > input.height as usize
        || end(output.width, window.stride_width, window.kernel_width) > input.width as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_convolution_of_resnet8_needs_less_than_2500_bytes() {
        let window = Window {
            kernel_height: 3,
            kernel_width: 3,
            stride_height: 1,
            stride_width: 1,
            padding_top: 1,
            padding_left: 1,
        };
        for (side, channels) in [(32, 16), (16, 32), (8, 64)] {
            let shape = Shape { height: side, width: side, channels };
            for bit_width in BitWidth::ALL {
                let columns = PairColumns::new(window, bit_width, shape, shape);
                assert!(columns.scratch_bytes() <= 2500, "{columns:?}");
                assert_eq!(columns.divided, channels == 64);
            }
        }
    }
}
