//! Where in the parameters a layer's weights and channel table are.

use crate::channels::Channels;
use crate::layer::Layer;
use crate::layout::PackedWeights;
use crate::operator::Weights;

/// `bytes` bytes of the parameters from `offset` on; `None` if they are not all there, which loading refuses.
pub(crate) fn section(parameters: &[u8], offset: u32, bytes: usize) -> Option<&[u8]> {
    let start = offset as usize;
    parameters.get(start..start.saturating_add(bytes))
}

/// The packed weights of a layer, and its channel table, found in the parameters. `None` where they are not all there, which
/// loading refuses; a layer of a model that was not validated is left out then.
pub(crate) fn weights_of<'a>(
    parameters: &'a [u8],
    layer: &Layer<'_>,
    weights: Weights,
) -> Option<(PackedWeights<'a>, Channels<'a>)> {
    let rows = usize::from(layer.output.shape.channels);
    let row_length = layer.row_length();
    let bytes = PackedWeights::bytes_for(weights.bit_width, weights.layout, rows, row_length);
    let packed = PackedWeights {
        bytes: section(parameters, weights.offset, bytes)?,
        bit_width: weights.bit_width,
        layout: weights.layout,
        row_length,
    };
    let table = section(parameters, weights.channels, rows * Channels::BYTES)?;
    Some((packed, Channels::new(table, rows)?))
}
