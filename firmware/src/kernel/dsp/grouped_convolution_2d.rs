//! Grouped convolutions: each group is a full convolution of its own, over a copy of its channels; where a group has one input channel and a
//! window of 3 x 3, they are depthwise ones with several outputs a channel.

use tinyhero_common::layout::channel_pairs::pair_bytes;
use tinyhero_common::layout::{Layout, PackedWeights};
use tinyhero_common::operator::{ConvolutionJob, GroupedConvolutionJob};
use tinyhero_common::shape::Shape;

use super::convolution_2d::into_channels;
use super::depthwise_convolution_2d::with_multiplier;

/// `None`, with the output undefined, if the layer's layout or memory is not what the loops take.
pub(super) fn grouped_convolution_2d(
    job: &GroupedConvolutionJob<'_>,
    input: &[i8],
    scratch: &mut [i8],
    output: &mut [i8],
) -> Option<()> {
    let all = &job.convolution;
    let of_group = |shape: Shape| {
        let channels = shape.channels.checked_div(job.groups)?;
        Some((Shape { channels, ..shape }, usize::from(channels)))
    };
    let (part_in, inputs) = of_group(all.input)?;
    let (part_out, outputs) = of_group(all.output)?;
    if job.dilation != [1, 1] {
        return None;
    }
    if all.weights.layout == Layout::ChannelQuads && inputs == 1 {
        return with_multiplier(all, outputs, input, scratch, output);
    }
    // Two rows share their words, which then must be of one group.
    if all.weights.layout != Layout::ChannelPairs || inputs == 0 || !outputs.is_multiple_of(2) {
        return None;
    }
    let PackedWeights { bytes, bit_width, row_length, .. } = all.weights;
    let group_bytes = pair_bytes(bit_width, row_length).checked_mul(outputs / 2)?;
    let (image, scratch) =
        scratch.split_at_mut_checked(part_in.elements().checked_next_multiple_of(4)?)?;
    let image = image.get_mut(..part_in.elements())?;
    for group in 0..usize::from(job.groups) {
        let pixels = input.chunks_exact(usize::from(all.input.channels));
        for (to, from) in image.chunks_exact_mut(inputs).zip(pixels) {
            for (to, &from) in to.iter_mut().zip(from.get(group * inputs..)?) {
                *to = from;
            }
        }
        let part = ConvolutionJob {
            input: part_in,
            output: part_out,
            weights: PackedWeights { bytes: bytes.get(group * group_bytes..)?, ..all.weights },
            channels: all.channels.part(group * outputs, outputs)?,
            ..*all
        };
        let start = group * outputs;
        into_channels(&part, image, scratch, output, start, usize::from(all.output.channels))?;
    }
    Some(())
}
