//! Requantization with everything that a channel has in common worked out beforehand.

use tinyhero_common::kernel::Channel;
use tinyhero_common::requantize::{ActivationRange, requantize};

/// A channel's way from its sum to its activation.
#[derive(Clone, Copy)]
pub struct Rescaled {
    channel: Channel,
    zero_point: i8,
    activation: ActivationRange,
}

impl Rescaled {
    pub const fn new(channel: Channel, zero_point: i8, activation: ActivationRange) -> Self {
        Self { channel, zero_point, activation }
    }

    /// Adds the bias and requantizes.
    #[inline(always)]
    pub const fn apply(&self, sum: i32) -> i8 {
        let sum = sum.wrapping_add(self.channel.bias);
        requantize(sum, self.channel.rescale, self.zero_point, self.activation)
    }
}
