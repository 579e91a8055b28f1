//! Kernels for cores with the DSP extension: Cortex-M4, M7 and M33.
//!
//! Two 16-bit multiplies and additions an instruction (`SMLAD`), and a whole requantization in three. Full convolutions and fully
//! connected layers and recurrent operators take the weight layout [`Layout::ChannelPairs`]; in any other layout, and where memory is not
//! aligned as it is in an [`Engine`](crate::engine::Engine), the portable kernels of `common` compute the same. `docs/kernels.md` describes the loops.
//!
//! The assembly trusts pointers and lengths that safe code beside it has checked against the slices, in one place a symbol.

mod add;
mod average_pool_2d;
mod convolution_2d;
mod depthwise_convolution_2d;
mod expand;
mod fully_connected;
mod grouped_convolution_2d;
mod pairs;
mod recurrent;
mod table;

use tinyhero_common::kernels::{Kernels, Portable, only};
use tinyhero_common::layer::Layer;
use tinyhero_common::layout::Layout;
use tinyhero_common::operator::{
    AddJob, ConvolutionJob, FullyConnected, FullyConnectedJob, GroupedConvolutionJob, GruJob,
    LstmJob, MaxPool2dJob, Operator, PoolJob, TableJob, max_pool_2d_by,
};

use crate::kernel::max_pool_2d::by_selection;

core::arch::global_asm!(include_str!("dsp/pairs.s"), options(raw));
core::arch::global_asm!(include_str!("dsp/depthwise.s"), options(raw));
core::arch::global_asm!(include_str!("dsp/add.s"), options(raw));
core::arch::global_asm!(include_str!("dsp/average_pool_2d.s"), options(raw));
core::arch::global_asm!(include_str!("dsp/table.s"), options(raw));
core::arch::global_asm!(include_str!("dsp/recurrent.s"), options(raw));

/// The kernels for cores with DSP instructions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dsp;

impl Kernels for Dsp {
    fn convolution_2d(
        &mut self,
        job: &ConvolutionJob<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        if convolution_2d::convolution_2d(job, input, scratch, output).is_none() {
            Portable.convolution_2d(job, input, scratch, output);
        }
    }

    fn depthwise_convolution_2d(
        &mut self,
        job: &ConvolutionJob<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        use depthwise_convolution_2d::{depthwise_convolution_2d, general};
        if depthwise_convolution_2d(job, input, scratch, output).is_none() {
            general(job, input, scratch, output);
        }
    }

    fn fully_connected(
        &mut self,
        job: &FullyConnectedJob<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        if fully_connected::fully_connected(job, input, scratch, output).is_none() {
            Portable.fully_connected(job, input, scratch, output);
        }
    }

    fn average_pool_2d(&mut self, job: &PoolJob, input: &[i8], output: &mut [i8]) {
        if average_pool_2d::average_pool_2d(job, input, output).is_none() {
            Portable.average_pool_2d(job, input, output);
        }
    }

    fn max_pool_2d(&mut self, job: &MaxPool2dJob, input: &[i8], output: &mut [i8]) {
        max_pool_2d_by(by_selection, job, input, output);
    }

    fn add(&mut self, job: &AddJob, input: &[i8], other: &[i8], output: &mut [i8]) {
        add::add(job, input, other, output);
    }

    fn add_in_place(&mut self, job: &AddJob, input_and_output: &mut [i8], other: &[i8]) {
        add::add_in_place(job, input_and_output, other);
    }

    fn grouped_convolution_2d(
        &mut self,
        job: &GroupedConvolutionJob<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        use grouped_convolution_2d::grouped_convolution_2d;
        if grouped_convolution_2d(job, input, scratch, output).is_none() {
            Portable.grouped_convolution_2d(job, input, scratch, output);
        }
    }

    fn lstm(&mut self, job: &LstmJob<'_>, input: &[i8], scratch: &mut [i8], output: &mut [i8]) {
        if recurrent::lstm(job, input, scratch, output).is_none() {
            Portable.lstm(job, input, scratch, output);
        }
    }

    fn gru(&mut self, job: &GruJob<'_>, input: &[i8], scratch: &mut [i8], output: &mut [i8]) {
        if recurrent::gru(job, input, scratch, output).is_none() {
            Portable.gru(job, input, scratch, output);
        }
    }

    fn table(&mut self, job: &TableJob<'_>, input: &[i8], output: &mut [i8]) {
        table::table(job, input, output);
    }

    fn table_in_place(&mut self, job: &TableJob<'_>, input_and_output: &mut [i8]) {
        table::table_in_place(job, input_and_output);
    }
}

/// Fully connected layers for the same cores, in the layout [`Layout::ChannelPairs`] and with all the scratch memory of it alone: without the portable kernel and what unpacks its
/// weights, the least that an application can be made of. Give models `quantize --core`.
#[derive(Clone, Copy, Debug, Default)]
pub struct DspFullyConnected;

impl Kernels for DspFullyConnected {
    const OPERATORS: u32 = only(&[FullyConnected::NUMBER]);

    // Inlined, so that the compiler sees which operators never come further.
    #[inline(always)]
    fn computes(layer: &Layer<'_>) -> bool {
        matches!(layer.operator, Operator::FullyConnected(FullyConnected { weights })
            if weights.layout == Layout::ChannelPairs && fully_connected::has_room(weights.bit_width, layer))
    }

    fn fully_connected(
        &mut self,
        job: &FullyConnectedJob<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        // An engine's memory is aligned, as are the model files that it takes, and layout and scratch memory are what `computes` admits:
        // of a validated model there is nothing that it would not take.
        let _ = fully_connected::fully_connected(job, input, scratch, output);
    }
}

/// The words of `bytes`, which must begin at one. `None` where they do not.
fn words(bytes: &[u8]) -> Option<&[u32]> {
    // SAFETY: every bit pattern is a u32, and the middle part is aligned by `align_to`'s contract.
    let (before, words, _) = unsafe { bytes.align_to::<u32>() };
    before.is_empty().then_some(words)
}

/// The words of scratch memory, which must begin at one. `None` where it does not.
fn scratch_words(scratch: &mut [i8]) -> Option<&mut [u32]> {
    // SAFETY: every bit pattern is a u32 and an i8, and the middle part is aligned by `align_to_mut`'s contract.
    let (before, words, _) = unsafe { scratch.align_to_mut::<u32>() };
    before.is_empty().then_some(words)
}

/// Words of scratch memory as bytes.
fn bytes_of(words: &mut [u32]) -> &mut [i8] {
    // SAFETY: every bit pattern is a u32 and an i8, which needs no alignment.
    let (_, bytes, _) = unsafe { words.align_to_mut::<i8>() };
    bytes
}
