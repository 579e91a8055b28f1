//! Average pooling over the taps inside the image, equation (12): padding does not count.

use super::pool::{self, PoolJob};
use super::{Rules, Tensors};
use crate::compact::described;
use crate::reason::Reason;
use crate::requantize::Rescale;
use crate::shape::Window;

described! {
    /// Means of those taps that lie inside the image.
    pub struct MeanPool2d {
        /// How the window slides.
        pub window: Window,
        /// `scale_in / (scale_out · 2^7)`.
        pub rescale: Rescale,
    }
}

/// Bits of a mean behind the point.
const FRACTION_BITS: u32 = 7;

impl Rules for MeanPool2d {
    type Job<'a> = PoolJob;

    const NAME: &'static str = "mean-pool-2d";

    fn check(&self, tensors: &Tensors<'_>) -> Result<(), Reason> {
        pool::check(tensors, &self.window, self.rescale, 255 << FRACTION_BITS)
    }

    fn job(&self, tensors: &Tensors<'_>, _parameters: &[u8]) -> Option<PoolJob> {
        Some(PoolJob::new(&self.window, self.rescale, tensors))
    }

    fn reads_per_output(&self) -> usize {
        self.window.taps()
    }
}

/// The mean of `count` values with the sum `sum`, in 2^-7, ties toward +∞.
///
/// A window has at most 255² taps and each a magnitude of at most 255, so that everything fits 32 bits. The division is one of numbers
/// without a sign, which every core has or has a routine for: the sum is moved up by 256 a value, and the mean down again.
#[inline(always)]
const fn mean(sum: i32, count: u32) -> i32 {
    let above = (sum as u32).wrapping_add(count << 8);
    let halves = (above << FRACTION_BITS).wrapping_add(count >> 1);
    match halves.checked_div(count) {
        Some(mean) => (mean as i32).wrapping_sub(256 << FRACTION_BITS),
        None => 0,
    }
}

pub(crate) fn mean_pool_2d(job: &PoolJob, input: &[i8], output: &mut [i8]) {
    pool::pool(job, input, output, mean);
}
