//! Scratch memory that a layer's kernels get, by its operator and the layout of its weights.
//!
//! The exporter plans exactly this much and the loader insists on it, so a core that runs a layout of its own always finds the
//! room that its fast kernel needs. The portable kernels need one unpacked row of a convolution, whatever the layout.

use crate::model::{Layout, Operator, Shape, Weights, Window};
use crate::packing::{BitWidth, channel_pairs};

/// Scratch begins at a multiple of this in the arena, so that kernels may keep words in it.
pub const ALIGNMENT: u32 = 4;

/// Scratch bytes of a layer.
pub const fn bytes(operator: &Operator, input: Shape, output: Shape) -> usize {
    match operator {
        Operator::Convolution2d { window, weights } => {
            let row = window.taps().saturating_mul(input.channels as usize);
            larger(row, convolution(*window, *weights, input, output))
        }
        Operator::DepthwiseConvolution2d { window, .. } => window.taps(),
        Operator::FullyConnected { weights } => match weights.layout {
            Layout::Rows => 0,
            Layout::ChannelPairs => {
                2 * channel_pairs::padded_depth(weights.bit_width, input.elements())
            }
        },
        _ => 0,
    }
}

const fn convolution(window: Window, weights: Weights, input: Shape, output: Shape) -> usize {
    match weights.layout {
        Layout::Rows => 0,
        Layout::ChannelPairs => {
            PairColumns::new(window, weights.bit_width, input, output).scratch_bytes()
        }
    }
}

const fn larger(first: usize, second: usize) -> usize {
    if first > second { first } else { second }
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
            (true, true) => line,
            (false, _) => depth,
        };
        let channels = (output.channels as usize).div_ceil(2) * 2;
        Self {
            line,
            rows,
            depth,
            divided,
            column_bytes: depth.saturating_mul(column),
            partial_bytes: if divided { channels * PAIR_PIXELS * 4 } else { 0 },
            gathered_bytes: gathered.saturating_mul(PAIR_PIXELS),
        }
    }

    /// Bytes of all three.
    pub const fn scratch_bytes(&self) -> usize {
        self.column_bytes
            .saturating_add(self.partial_bytes)
            .saturating_add(self.gathered_bytes.next_multiple_of(4))
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
