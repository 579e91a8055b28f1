//! The layout [`ChannelQuads`](crate::layout::Layout::ChannelQuads): the bytes of [`Rows`](crate::layout::Layout::Rows), and scratch memory
//! for kernels that take four channels at a time.

use crate::shape::{Shape, Window};

/// What the depthwise kernel for this layout keeps in its scratch memory: two pairs of image rows as columns of 16-bit
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
