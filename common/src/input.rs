//! From a sensor's integers to the network's int8 input, equation (1).

use crate::requantize::ActivationRange;
use crate::tensor::SampleType;

/// An integer affine map, `q = clamp(floor((raw · multiplier + offset) / 2^shift), −128, 127)`.
///
/// The offset holds the zero point and the half that makes the floor a rounding. In the file: offset (i32), multiplier
/// (i16), shift (u8), a zero byte, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputMap {
    /// `(zero_point · 2^shift + 2^(shift−1))`, shifted by what normalisation takes off.
    pub offset: i32,
    /// Slope over `2^shift`; negative for an inverted sensor.
    pub multiplier: i16,
    /// 0 to 30.
    pub shift: u8,
}

impl InputMap {
    /// Bytes of a map in the file.
    pub const BYTES: usize = 8;

    /// Reads a map. Its ranges are checked by [`crate::model::Model::load`].
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let [o0, o1, o2, o3, m0, m1, shift, _] = bytes;
        Self {
            offset: i32::from_le_bytes([o0, o1, o2, o3]),
            multiplier: i16::from_le_bytes([m0, m1]),
            shift,
        }
    }

    /// The map as it stands in the file.
    pub const fn to_bytes(self) -> [u8; Self::BYTES] {
        let [o0, o1, o2, o3] = self.offset.to_le_bytes();
        let [m0, m1] = self.multiplier.to_le_bytes();
        [o0, o1, o2, o3, m0, m1, self.shift, 0]
    }

    /// Whether no raw sample can overflow 32 bits.
    pub fn is_valid(self, sample_type: SampleType) -> bool {
        let largest = match sample_type {
            SampleType::U8 => 255,
            SampleType::I16 => 32_768,
        };
        let bound = largest * i64::from(self.multiplier.unsigned_abs())
            + i64::from(self.offset.unsigned_abs());
        self.shift <= 30 && bound <= i64::from(i32::MAX)
    }

    /// The int8 value of a raw sample.
    #[inline(always)]
    pub const fn apply(self, raw: i32) -> i8 {
        let product = raw.wrapping_mul(self.multiplier as i32).wrapping_add(self.offset);
        ActivationRange::FULL.saturate(product.wrapping_shr(self.shift as u32))
    }
}

/// Quantizes a raw input. `maps` holds one map for all channels, or one per channel in turn.
pub(crate) fn quantize_input(maps: &[u8], sample_type: SampleType, raw: &[u8], input: &mut [i8]) {
    let maps = maps.as_chunks::<{ InputMap::BYTES }>().0;
    match sample_type {
        SampleType::U8 => quantize(maps, raw, input, |&sample| i32::from(sample)),
        SampleType::I16 => quantize(maps, raw.as_chunks::<2>().0, input, |&sample| {
            i32::from(i16::from_le_bytes(sample))
        }),
    }
}

/// The loop for one kind of sample. A single map is read once, since decoding one takes longer than applying it.
#[inline(always)]
fn quantize<Sample>(
    maps: &[[u8; InputMap::BYTES]],
    samples: &[Sample],
    input: &mut [i8],
    integer: impl Fn(&Sample) -> i32,
) {
    if let [map] = maps {
        let map = InputMap::from_bytes(*map);
        for (sample, value) in samples.iter().zip(input) {
            *value = map.apply(integer(sample));
        }
        return;
    }
    let step = maps.len();
    for (channel, map) in maps.iter().enumerate() {
        let map = InputMap::from_bytes(*map);
        // Counted by hand: stepping iterators cost more than the map where it is there for one value.
        let mut place = channel;
        while let (Some(sample), Some(value)) = (samples.get(place), input.get_mut(place)) {
            *value = map.apply(integer(sample));
            place = place.saturating_add(step);
        }
    }
}
