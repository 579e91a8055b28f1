//! Kernels for cores with Helium, the vector extension of Armv8.1-M (Cortex-M55, M85).
//!
//! The weights they read fast are laid out as [`Layout::VectorPairs`](tinyhero_common::layout::Layout::VectorPairs) and, for depthwise
//! convolutions, as [`Layout::VectorRows`](tinyhero_common::layout::Layout::VectorRows). Whatever else a job holds, and jobs of extreme sizes, go to
//! the portable kernels, which give the same bits.
//!
//! The assembly stands in files of its own because its macros need the assembler's own words for repetition and choice. Every
//! routine takes one job of plain numbers. The function that fills in the job checks, with the slices in hand, the largest offset that the
//! routine will form from each pointer; only then is it called.

mod add;
mod average_pool;
mod convolution;
mod depthwise;
mod fully_connected;
mod input;
mod lines;
mod link;
mod unit;

use tinyhero_common::channels::Channels;
use tinyhero_common::kernels::{Kernels, Portable};
use tinyhero_common::operator::{
    AddJob, ConvolutionJob, FullyConnectedJob, MaxPool2dJob, PoolJob, max_pool_2d_by,
};
use tinyhero_common::tensor::SampleType;
use tinyhero_common::wire::byte_routines::ByteRoutines;

use crate::kernel::max_pool_2d::by_selection;

/// The kernels for Helium. The core must have it: on any other the first kernel faults.
#[derive(Clone, Copy, Debug, Default)]
pub struct Helium;

impl Helium {
    /// The link's byte routines on the vector unit, for [`Server`](crate::server::Server).
    pub const BYTE_ROUTINES: ByteRoutines = link::ROUTINES;
}

impl Kernels for Helium {
    fn quantize_input(
        &mut self,
        maps: &[u8],
        sample_type: SampleType,
        raw: &[u8],
        input: &mut [i8],
    ) {
        unit::switch_on();
        if input::quantize_input(maps, sample_type, raw, input).is_none() {
            Portable.quantize_input(maps, sample_type, raw, input);
        }
    }

    fn convolution_2d(
        &mut self,
        job: &ConvolutionJob<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        unit::switch_on();
        if convolution::convolution_2d(job, input, scratch, output).is_none() {
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
        unit::switch_on();
        if depthwise::depthwise_convolution_2d(job, input, scratch, output).is_none() {
            Portable.depthwise_convolution_2d(job, input, scratch, output);
        }
    }

    fn fully_connected(
        &mut self,
        job: &FullyConnectedJob<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        unit::switch_on();
        if fully_connected::fully_connected(job, input, scratch, output).is_none() {
            Portable.fully_connected(job, input, scratch, output);
        }
    }

    fn average_pool_2d(&mut self, job: &PoolJob, input: &[i8], output: &mut [i8]) {
        unit::switch_on();
        average_pool::average_pool_2d(job, input, output);
    }

    fn max_pool_2d(&mut self, job: &MaxPool2dJob, input: &[i8], output: &mut [i8]) {
        max_pool_2d_by(by_selection, job, input, output);
    }

    fn add(&mut self, job: &AddJob, input: &[i8], other: &[i8], output: &mut [i8]) {
        unit::switch_on();
        add::add(job, input, other, output);
    }

    fn add_in_place(&mut self, job: &AddJob, input_and_output: &mut [i8], other: &[i8]) {
        unit::switch_on();
        add::add_in_place(job, input_and_output, other);
    }
}

/// The channel table as the routines read it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Table {
    biases: *const u8,
    multipliers: *const u8,
    shifts: *const u8,
}

impl Table {
    /// `None` unless there are entries for `count` channels and each begins where the core can load its words.
    fn new(channels: Channels<'_>, count: usize) -> Option<Self> {
        let (biases, multipliers, shifts) = channels.parts();
        let whole = biases.len() == 4 * count
            && multipliers.len() == 2 * count
            && shifts.len() == count
            && biases.as_ptr().addr().is_multiple_of(4)
            && multipliers.as_ptr().addr().is_multiple_of(2);
        let [biases, multipliers, shifts] = [biases, multipliers, shifts].map(<[u8]>::as_ptr);
        whole.then_some(Self { biases, multipliers, shifts })
    }

    /// The table from `channels` channels before on.
    const fn back(self, channels: usize) -> Self {
        Self {
            biases: self.biases.wrapping_sub(4 * channels),
            multipliers: self.multipliers.wrapping_sub(2 * channels),
            shifts: self.shifts.wrapping_sub(channels),
        }
    }
}
