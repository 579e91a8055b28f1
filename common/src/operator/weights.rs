//! The weights of a layer, in the description and in the parameters.

use crate::bit_width::BitWidth;
use crate::channels::Channels;
use crate::compact::described;
use crate::layout::{Layout, PackedWeights};
use crate::parameters::section;

described! {
    #[shared]
    /// Packed weights and what belongs to each output channel.
    pub struct Weights {
        /// Bits of each weight.
        pub bit_width: BitWidth,
        /// Order of the packed weights.
        pub layout: Layout,
        /// Where the packed weights begin in the parameters, in bytes, a multiple of 4.
        pub offset: u32,
        /// Where the channel table begins in the parameters, in bytes, a multiple of 4; see [`crate::channels::Channels`].
        pub channels: u32,
    }
}

/// The two methods of [`Rules`](super::Rules) by which an operator with a field `weights` shows them.
macro_rules! shows_weights {
    () => {
        fn weights(&self) -> Option<&Weights> {
            Some(&self.weights)
        }

        fn weights_mut(&mut self) -> Option<&mut Weights> {
            Some(&mut self.weights)
        }
    };
}

pub(super) use shows_weights;

impl Weights {
    /// `rows` rows of packed weights, and their table of `entries`, found in the parameters. `None` where they are not all there, which
    /// loading refuses; a layer of a model that was not validated is left out then.
    pub(super) fn find<'a>(
        &self,
        parameters: &'a [u8],
        rows: usize,
        entries: usize,
        row_length: usize,
    ) -> Option<(PackedWeights<'a>, Channels<'a>)> {
        let Self { bit_width, layout, offset, channels } = *self;
        let bytes = PackedWeights::bytes_for(bit_width, layout, rows, row_length);
        let bytes = section(parameters, offset, bytes)?;
        let table = section(parameters, channels, entries.saturating_mul(Channels::BYTES))?;
        let packed = PackedWeights { bytes, bit_width, layout, row_length };
        Some((packed, Channels::new(table, entries)?))
    }
}
