//! Kernels for cores with a plain 32-bit multiply: Cortex-M0, M0+ and M3.
//!
//! They read weights in [`Layout::FieldQuads`](tinyhero_common::layout::Layout::FieldQuads); any other layout, and memory that is not aligned as it is
//! in an [`Engine`](crate::engine::Engine), goes to the portable kernels, which give the same bits. Everything is computed on fields,
//! which are weights plus an offset, so `Σ w · x = Σ field · x − offset · Σ x`; the second sum is common to all channels of a pixel.
//! The inner loops are assembly for either instruction set (`armv6m.rs`, `armv7m.rs`), behind functions that check every length.

#[cfg(not(target_has_atomic = "32"))]
mod armv6m;
#[cfg(target_has_atomic = "32")]
mod armv7m;
mod columns;
mod convolution_2d;
mod depthwise_convolution_2d;
mod fully_connected;
mod quads;
mod rescaled;
mod strip;
mod tile;

// ARMv7-M has exclusive loads, ARMv6-M has not: that tells one instruction set from the other at compile time.
#[cfg(not(target_has_atomic = "32"))]
use armv6m as core_loops;
#[cfg(target_has_atomic = "32")]
use armv7m as core_loops;

use tinyhero_common::kernels::{Kernels, Portable};
use tinyhero_common::operator::{ConvolutionJob, FullyConnectedJob, MaxPool2dJob, max_pool_2d_by};

use crate::kernel::max_pool_2d::by_arithmetic;

/// The kernels for Cortex-M0, M0+ and M3.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mul32;

impl Kernels for Mul32 {
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
        use depthwise_convolution_2d::depthwise_convolution_2d;
        if depthwise_convolution_2d(job, input, scratch, output).is_none() {
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
        if fully_connected::fully_connected(job, input, scratch, output).is_none() {
            Portable.fully_connected(job, input, scratch, output);
        }
    }

    fn max_pool_2d(&mut self, job: &MaxPool2dJob, input: &[i8], output: &mut [i8]) {
        max_pool_2d_by(by_arithmetic, job, input, output);
    }
}

/// The scratch memory as words; `None` if it does not begin at one, which a validated model's always does.
fn words(scratch: &mut [i8]) -> Option<&mut [i32]> {
    // SAFETY: any four bytes are an `i32`.
    let (before, words, _) = unsafe { scratch.align_to_mut::<i32>() };
    before.is_empty().then_some(words)
}
