//! What each output channel adds to its sum, and how the sum becomes int8.

use crate::requantize::Rescale;

/// What one output channel adds to its sum, and how the sum becomes int8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// `bias / (scale_in · scale_weight) − zero_point_in · Σ weights`, so that the inner loop is a plain `Σ w · x`.
    pub bias: i32,
    /// `scale_in · scale_weight / scale_out`.
    pub rescale: Rescale,
}

/// The channel table of a layer with `n` output channels: `n` biases (i32), `n` multipliers (i16), `n` shifts (i8),
/// little-endian, one array after the other.
#[derive(Clone, Copy, Debug)]
pub struct Channels<'a> {
    biases: &'a [u8],
    multipliers: &'a [u8],
    shifts: &'a [u8],
}

impl<'a> Channels<'a> {
    /// Bytes that a channel takes in the table.
    pub const BYTES: usize = 7;

    /// Divides the table of `count` channels that begins at `bytes`. `None` if it is too short.
    pub fn new(bytes: &'a [u8], count: usize) -> Option<Self> {
        let (biases, rest) = bytes.split_at_checked(count.checked_mul(4)?)?;
        let (multipliers, rest) = rest.split_at_checked(count.checked_mul(2)?)?;
        let (shifts, _) = rest.split_at_checked(count)?;
        Some(Self { biases, multipliers, shifts })
    }

    /// `count` of the channels from number `first` on. `None` if there are fewer.
    pub fn part(self, first: usize, count: usize) -> Option<Self> {
        let end = first.checked_add(count)?;
        let biases = self.biases.get(first.checked_mul(4)?..end.checked_mul(4)?)?;
        let multipliers = self.multipliers.get(first.checked_mul(2)?..end.checked_mul(2)?)?;
        Some(Self { biases, multipliers, shifts: self.shifts.get(first..end)? })
    }

    /// The channels in order.
    pub fn iter(self) -> impl Iterator<Item = Channel> + use<'a> {
        let biases = self.biases.as_chunks::<4>().0.iter();
        let multipliers = self.multipliers.as_chunks::<2>().0.iter();
        biases.zip(multipliers).zip(self.shifts).map(|((bias, multiplier), shift)| Channel {
            bias: i32::from_le_bytes(*bias),
            rescale: Rescale {
                multiplier: i16::from_le_bytes(*multiplier),
                shift: i8::from_le_bytes([*shift]),
            },
        })
    }

    /// The entry of that number; a channel of zeros if there is none.
    pub fn entry(self, index: usize) -> Channel {
        let bias = self.biases.as_chunks::<4>().0.get(index).copied().unwrap_or_default();
        let multiplier = self.multipliers.as_chunks::<2>().0.get(index).copied();
        let shift = self.shifts.get(index).copied().unwrap_or_default();
        Channel {
            bias: i32::from_le_bytes(bias),
            rescale: Rescale {
                multiplier: i16::from_le_bytes(multiplier.unwrap_or_default()),
                shift: i8::from_le_bytes([shift]),
            },
        }
    }

    /// The raw biases, multipliers and shifts, for kernels that read them in place.
    pub const fn parts(self) -> (&'a [u8], &'a [u8], &'a [u8]) {
        (self.biases, self.multipliers, self.shifts)
    }
}
