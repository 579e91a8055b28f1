//! The orders in which packed weights lie in a file, one module a layout.
//!
//! One rule holds in all layouts: the bits that belong to no weight, which fill up bytes, rows and missing channels, are zero. Fast
//! kernels rely on it, and [`Model::load`](crate::model::Model::load) checks it.
//!
//! The exporter plans the scratch memory of a layout's kernels by the rules beside its order.

pub mod channel_pairs;
pub mod channel_quads;
pub mod field_quads;
pub mod fields;
mod packed_weights;
pub mod rows;
pub mod vector_pairs;
pub mod vector_rows;

pub use packed_weights::PackedWeights;

use serde::{Deserialize, Serialize};

use crate::compact::described;

described! {
    /// The order in which packed weights lie in the file.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum Layout {
        /// One row per output channel in the order kernel row, kernel column, input channel; see [`rows`]. What the portable
        /// kernels read fastest.
        Rows,
        /// Two output channels side by side in fields that a dual 16-bit multiply takes; see [`crate::layout::channel_pairs`]. For full
        /// convolutions and fully connected layers on cores with DSP instructions.
        ChannelPairs,
        /// As `Rows`, for kernels that take four channels at a time and get the scratch memory for it. For depthwise convolutions on
        /// cores with DSP instructions.
        ChannelQuads,
        /// Four output channels side by side; see [`crate::layout::field_quads`]. For every layer with weights on cores with a plain
        /// 32-bit multiply.
        FieldQuads,
        /// Two output channels side by side in vectors of 16 lanes; see [`crate::layout::vector_pairs`]. For full convolutions and fully
        /// connected layers on cores with Helium.
        VectorPairs,
        /// One row per output channel in fields that never straddle bytes; see [`crate::layout::vector_rows`]. For depthwise convolutions
        /// on cores with Helium.
        VectorRows,
    }
}

impl Layout {}

#[cfg(test)]
mod vector_tests;
