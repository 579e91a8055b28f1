//! Where a group of channels goes in the output.

use crate::vectors::GROUP;

/// The channels of one group in all pixels of an output.
pub struct Part<'a> {
    /// Number of the group.
    pub group: usize,
    /// Channels of the output.
    pub channels: usize,
    /// All pixels.
    pub output: &'a mut [i8],
}

impl Part<'_> {
    /// Writes the group of one pixel, as far as there are so many channels.
    #[inline(always)]
    pub fn write(&mut self, pixel: usize, values: [i8; GROUP]) {
        let begin = self.group * GROUP;
        let Some(wanted) = self.channels.checked_sub(begin) else { return };
        let place = pixel * self.channels + begin;
        if wanted >= GROUP {
            if let Some(output) = self.output.get_mut(place..place + GROUP) {
                output.copy_from_slice(&values);
            }
        } else if let Some(output) = self.output.get_mut(place..place + wanted) {
            output.copy_from_slice(&values[..wanted]);
        }
    }
}
