//! Fully connected layer: four channels at a time.

use tinyhero_common::operator::FullyConnectedJob;

use super::columns::total;
use super::quads::Quads;
use super::rescaled::{clamp, is_readable};
use super::tile::{self, Column, Layer};

/// `None`, with the output undefined, if the layer's layout or memory is not what the loops take.
#[inline(never)]
pub fn fully_connected(
    job: &FullyConnectedJob<'_>,
    input: &[i8],
    scratch: &mut [i8],
    output: &mut [i8],
) -> Option<()> {
    let quads = Quads::new(&job.weights, output.len())?;
    let column = if input.len() >= quads.depth {
        input
    } else {
        // The inner loops take whole groups; what lies behind the input is multiplied with empty fields.
        let column = scratch.get_mut(..quads.depth)?;
        for (place, &value) in column.iter_mut().zip(input) {
            *place = value;
        }
        column
    };
    let correction = total(input).wrapping_mul(quads.offset);
    let (table, zero_point, inner) = (job.channels, job.output_zero_point, quads.single_loop());
    let channels = output.len();
    let layer = Layer { quads, table, channels, zero_point, inner };
    // SAFETY: the column is at least as long as a row of weights with its padding, and the inner loop reads one only.
    unsafe {
        let column = Column::new(column.as_ptr());
        let readable = is_readable(job.channels, channels);
        tile::run(&layer, [column; 2], [correction; 2], output, readable);
    }
    clamp(job.activation, output);
    Some(())
}
