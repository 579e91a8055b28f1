//! Average pooling, equation (6); global average pooling is a window of the image's size.

use super::pool::{self, PoolJob};
use super::{Rules, Tensors};
use crate::compact::described;
use crate::reason::Reason;
use crate::requantize::Rescale;
use crate::shape::Window;

described! {
    /// Means. Padding counts as real zero and the divisor is always the whole window.
    pub struct AveragePool2d {
        /// How the window slides; global pooling is a window of the image's size.
        pub window: Window,
        /// `scale_in / (scale_out · taps)`.
        pub rescale: Rescale,
    }
}

impl Rules for AveragePool2d {
    type Job<'a> = PoolJob;

    const NAME: &'static str = "average-pool-2d";

    fn check(&self, tensors: &Tensors<'_>) -> Result<(), Reason> {
        let bound = 255 * self.window.taps() as u64;
        pool::check(tensors, &self.window, self.rescale, bound)
    }

    fn job(&self, tensors: &Tensors<'_>, _parameters: &[u8]) -> Option<PoolJob> {
        Some(PoolJob::new(&self.window, self.rescale, tensors))
    }

    fn reads_per_output(&self) -> usize {
        self.window.taps()
    }
}

pub(crate) fn average_pool_2d(job: &PoolJob, input: &[i8], output: &mut [i8]) {
    pool::pool(job, input, output, |sum, _| sum);
}
