//! The aligned section of a model file: input maps, packed weights, channel tables and constants.

use crate::deployment::integer_network::{IntegerLayer, IntegerNetwork, IntegerWeights};
use crate::error::{Error, Result};
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::layout::{Layout, PackedWeights};
use tinyhero_common::operator::Weights;

/// Packed weights begin at multiples of this, so that kernels may read them in the widest words there are.
const WEIGHT_ALIGNMENT: usize = 16;
/// Tables begin at multiples of this.
const TABLE_ALIGNMENT: usize = 4;

/// The section and where things lie in it. It begins with the input maps.
pub struct Parameters {
    /// The section.
    pub bytes: Vec<u8>,
    /// Where the weights of each layer lie, in the network's order.
    pub weights: Vec<Option<Weights>>,
    /// Where the constants of each layer begin, in the network's order.
    pub constants: Vec<Option<u32>>,
}

/// Writes the section, layers in the order in which they run, the weights of each in its layout.
pub fn write(network: &IntegerNetwork, layouts: &[Layout], order: &[usize]) -> Result<Parameters> {
    let maps = network.inputs.iter().flat_map(|input| &input.maps);
    let mut bytes: Vec<u8> = maps.flat_map(|map| map.to_bytes()).collect();
    let mut weights = vec![None; network.layers.len()];
    let mut constants = vec![None; network.layers.len()];
    for &index in order {
        let layer = &network.layers[index];
        if let Some(values) = &layer.weights {
            weights[index] = Some(write_weights(&mut bytes, layer, values, layouts[index])?);
        }
        if !layer.constants.is_empty() {
            bytes.resize(bytes.len().next_multiple_of(TABLE_ALIGNMENT), 0);
            constants[index] = Some(place(layer, &bytes)?);
            bytes.extend_from_slice(&layer.constants);
        }
    }
    Ok(Parameters { bytes, weights, constants })
}

/// Where the next bytes of a layer will be.
fn place(layer: &IntegerLayer, bytes: &[u8]) -> Result<u32> {
    u32::try_from(bytes.len()).map_err(|_| {
        Error::bad_input(
            format_args!("layer '{}'", layer.name),
            "its weights lie beyond 4 GiB",
            "use fewer weights",
        )
    })
}

/// Bytes that the weights and tables of a layer take, up to where those of the next layer begin.
pub fn bytes_of(
    bit_width: BitWidth,
    layout: Layout,
    rows: usize,
    row_length: usize,
    entries: usize,
) -> usize {
    let packed = PackedWeights::bytes_for(bit_width, layout, rows, row_length);
    // A bias, a multiplier and a shift an entry.
    let tables = entries * (4 + 2 + 1);
    (packed.next_multiple_of(TABLE_ALIGNMENT) + tables).next_multiple_of(WEIGHT_ALIGNMENT)
}

fn write_weights(
    bytes: &mut Vec<u8>,
    layer: &IntegerLayer,
    weights: &IntegerWeights,
    layout: Layout,
) -> Result<Weights> {
    bytes.resize(bytes.len().next_multiple_of(WEIGHT_ALIGNMENT), 0);
    let offset = place(layer, bytes)?;
    let (bit_width, row_length) = (weights.bit_width, weights.row_length);
    let rows = weights.rows();
    let start = bytes.len();
    bytes.resize(start + PackedWeights::bytes_for(bit_width, layout, rows, row_length), 0);
    PackedWeights::pack(&weights.values, row_length, bit_width, layout, &mut bytes[start..])
        .ok_or_else(|| {
            Error::bad_input(
                format_args!("layer '{}'", layer.name),
                "a weight does not fit its bit width",
                "please report this with the network's file",
            )
        })?;
    bytes.resize(bytes.len().next_multiple_of(TABLE_ALIGNMENT), 0);
    let channels = place(layer, bytes)?;
    bytes.extend(weights.biases.iter().flat_map(|bias| bias.to_le_bytes()));
    bytes.extend(weights.rescales.iter().flat_map(|rescale| rescale.multiplier.to_le_bytes()));
    bytes.extend(weights.rescales.iter().flat_map(|rescale| rescale.shift.to_le_bytes()));
    Ok(Weights { bit_width, layout, offset, channels })
}
