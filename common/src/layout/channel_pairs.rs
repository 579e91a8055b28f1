//! The layout [`ChannelPairs`](crate::layout::Layout::ChannelPairs): two output channels side by side, for cores that multiply two 16-bit lanes at once.
//!
//! A pair of rows is one stream of 32-bit little-endian words, every word two 16-bit lanes. Weights are taken four at a
//! time along the row: the lanes hold weights 0 and 2, then 1 and 3, because that is how `SXTB16` parts four activations
//! of one load. With `f` bits a field, a lane has `16 / f` fields; from the low end they belong to
//!
//! ```text
//! lane step 0 of the even channel, lane step 0 of the odd one, lane step 1 of the even channel, lane step 1 of the odd one, …
//! ```
//!
//! and one instruction isolates a field of both lanes. Fields have 2, 4 or 8 bits, so 3-bit weights take 4 and those
//! of 5, 6 and 7 bits take 8: the price of reading all widths at one speed. Fields of 8 bits hold the weight in two's complement,
//! narrower ones `w + 2^(f−1)`. Rows are padded to a multiple of 4 weights (8 with 2-bit fields) and an odd last channel by an
//! empty one, all with zero bits.

use crate::bit_width::{BitWidth, field_bits, field_exponent};
use crate::shape::{Shape, Window, larger};

/// Weights in a lane step: what `SXTB16` makes of one word of activations.
const GROUP: usize = 4;

/// What is added to a weight to make its field: nothing for fields of 8 bits, `2^(f−1)` for fields of `f` bits.
pub const fn field_offset(bit_width: BitWidth) -> i32 {
    match field_bits(bit_width) {
        8 => 0,
        bits => 1 << (bits - 1),
    }
}

/// Rows are as long as a multiple of this, so that a pair of them takes whole words.
pub const fn depth_multiple(bit_width: BitWidth) -> usize {
    match bit_width {
        BitWidth::Two => 2 * GROUP,
        _ => GROUP,
    }
}

/// Weights of a row with its padding.
pub const fn padded_depth(bit_width: BitWidth, row_length: usize) -> usize {
    // Row lengths of valid models are far below the end of the range.
    row_length.saturating_add(depth_multiple(bit_width) - 1) & !(depth_multiple(bit_width) - 1)
}

/// Bytes of a pair of rows.
pub const fn pair_bytes(bit_width: BitWidth, row_length: usize) -> usize {
    padded_depth(bit_width, row_length).saturating_mul(field_bits(bit_width) as usize) / 4
}

/// Where in the bytes of its pair the field of a weight begins: byte and bit.
pub(super) const fn place(bit_width: BitWidth, row: usize, index: usize) -> (usize, u32) {
    let exponent = field_exponent(bit_width);
    let step = 2 * (index / GROUP) + index % 2;
    let lane = index % GROUP / 2;
    let field = 2 * step + row % 2;
    let fields_exponent = 4 - exponent;
    let word = field >> fields_exponent;
    let bit = (field & ((1 << fields_exponent) - 1)) << exponent;
    (4 * word + 2 * lane + bit / 8, (bit % 8) as u32)
}

/// Pixels of the output that the kernel for this layout computes together.
pub const PAIR_PIXELS: usize = 3;

/// Most bytes of 16-bit columns at a time, where the window can be cut; what ResNet8's 288 weights a row need.
const COLUMN_BYTES: usize = 1792;

/// How the convolution kernel for this layout divides a window into segments of whole kernel rows, and what it
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
        let depth = padded_depth(bit_width, line.saturating_mul(kernel_rows));
        let column = 2 * PAIR_PIXELS;
        let multiple = depth_multiple(bit_width);
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
        let gathered = match (line & 3 == 0, window.leaves_image(input, output)) {
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

/// How the kernel for this layout divides the rows of a recurrent operator: into what is multiplied with the input and what is
/// multiplied with the hidden state. Where one half ends inside a step of the loop, that step belongs to both, with lanes of zero for the
/// other half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateColumns {
    /// Weights of the first half, whole steps.
    pub input_depth: usize,
    /// Weights before the second half.
    pub start: usize,
    /// Weights of the second half with the padding of the row.
    pub hidden_depth: usize,
    /// Values of the hidden state.
    pub hidden: usize,
}

impl GateColumns {
    /// The division of rows of that many weights for the input and for the hidden state.
    pub const fn new(bit_width: BitWidth, inputs: usize, hidden: usize) -> Self {
        let input_depth = padded_depth(bit_width, inputs);
        let start = inputs & !(depth_multiple(bit_width) - 1);
        let padded = padded_depth(bit_width, inputs.saturating_add(hidden));
        Self { input_depth, start, hidden_depth: padded.saturating_sub(start), hidden }
    }

    /// Bytes of both columns of 16-bit lanes.
    pub const fn column_bytes(&self) -> usize {
        self.input_depth.saturating_add(self.hidden_depth).saturating_mul(2)
    }

    /// Bytes of the columns, of the cells, of the hidden state and of the next one.
    pub const fn scratch_bytes(&self) -> usize {
        self.column_bytes().saturating_add(self.hidden.saturating_mul(4))
    }
}

#[cfg(test)]
mod tests {
    use super::PairColumns;
    use crate::bit_width::BitWidth;
    use crate::layout::Layout;
    use crate::layout::fields::pack;
    use crate::layout::fields::tests::{every_width_survives, packed};
    use crate::shape::{Shape, Window};
    use std::vec::Vec;

    const LAYOUT: Layout = Layout::ChannelPairs;

    #[test]
    fn weights_stand_where_the_instructions_look_for_them() {
        // Eight weights of two channels, 4 bits: the first word's fields from the low end, lane 0 then lane 1.
        let even: [i8; 8] = [-8, -7, -6, -5, -4, -3, -2, -1];
        let odd: [i8; 8] = [0, 1, 2, 3, 4, 5, 6, 7];
        let weights: Vec<i8> = even.iter().chain(&odd).copied().collect();
        let packed = packed(&weights, LAYOUT, BitWidth::Four, 8);
        assert_eq!(u32::from_le_bytes(packed[..4].try_into().unwrap()), 0xB3A2_9180);
        assert_eq!(u32::from_le_bytes(packed[4..].try_into().unwrap()), 0xF7E6_D5C4);
        assert_eq!(packed.len(), 8);
    }

    #[test]
    fn every_width_survives_and_takes_what_it_says() {
        every_width_survives(LAYOUT, &(1..6), 1..40);
    }

    #[test]
    fn a_weight_outside_its_width_is_refused() {
        assert_eq!(pack(&[4], LAYOUT, BitWidth::Three, 1, &mut [0; 8]), None);
        assert_eq!(pack(&[3], LAYOUT, BitWidth::Three, 1, &mut [0; 2]), None);
    }

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
