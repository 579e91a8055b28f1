//! From the 32-bit accumulator to the 8-bit activation: the one rescaling rule.
//!
//! Real meaning: `y_real = scale_in · scale_weight · accumulator`, and `y_real = scale_out · (y − zero_point)`, so
//! `y = zero_point + accumulator · (scale_in · scale_weight / scale_out)`. The ratio of scales is held as a 15-bit
//! multiplier `m` and a right shift `s`, `ratio = m / 2^(16+s)`, which gives equation (2) of the [crate] page.

use crate::compact::described;

/// Smallest multiplier: `2^14`, so that 15 significant bits are always in use.
pub const MULTIPLIER_MIN: i32 = 1 << 14;
/// Largest multiplier: `2^15 − 1`.
pub const MULTIPLIER_MAX: i32 = (1 << 15) - 1;
/// Smallest right shift: the ratio of scales is then below `2^6`.
pub const SHIFT_MIN: i32 = -7;
/// Largest right shift: the ratio of scales is then at least `2^-25`.
pub const SHIFT_MAX: i32 = 23;

described! {
    /// A ratio of scales, `multiplier / 2^(16 + shift)`.
    ///
    /// Valid values have `multiplier` in [`MULTIPLIER_MIN`]`..=`[`MULTIPLIER_MAX`] and `shift` in
    /// [`SHIFT_MIN`]`..=`[`SHIFT_MAX`]; the loader refuses others.
    pub struct Rescale {
        /// `m`, 15 bits.
        pub multiplier: i16,
        /// `s`, the right shift beyond the 16 bits that belong to the multiplier.
        pub shift: i8,
    }
}

impl Rescale {
    /// Whether both fields lie in their ranges.
    pub const fn is_valid(self) -> bool {
        let multiplier = self.multiplier as i32;
        let shift = self.shift as i32;
        multiplier >= MULTIPLIER_MIN
            && multiplier <= MULTIPLIER_MAX
            && shift >= SHIFT_MIN
            && shift <= SHIFT_MAX
    }

    /// The largest `|accumulator|` for which equation (2) is exact in 32 bits.
    ///
    /// For `shift ≥ 1` that is every 32-bit number; for smaller shifts the accumulator is first moved left by
    /// `1 − shift` bits, and what it loses there would be lost for good.
    pub const fn accumulator_limit(self) -> u32 {
        let shift = self.shift as i32;
        if shift >= 1 {
            i32::MAX as u32
        } else if shift >= SHIFT_MIN {
            (i32::MAX as u32) >> (1 - shift) as u32
        } else {
            0
        }
    }

    /// `floor((accumulator · m + 2^(15+s)) / 2^(16+s))`, equation (2) without zero point and clamp.
    ///
    /// Exact for `|accumulator| ≤` [`Rescale::accumulator_limit`]. 32-bit arithmetic only: with
    /// `accumulator = high · 2^16 + low`, `floor(accumulator · m / 2^16) = high · m + floor(low · m / 2^16)`, and for
    /// integers `a` and `s ≥ 1`, `floor((a/2^16 + 2^(s-1)) / 2^s) = floor((floor(a/2^16) + 2^(s-1)) / 2^s)`.
    #[inline(always)]
    pub const fn apply(self, accumulator: i32) -> i32 {
        let multiplier = self.multiplier as i32;
        let shift = self.shift as i32;
        let (accumulator, shift) = if shift <= 0 {
            (accumulator.wrapping_shl((1 - shift) as u32), 1)
        } else {
            (accumulator, shift)
        };
        let high = (accumulator >> 16).wrapping_mul(multiplier);
        let low = ((accumulator & 0xFFFF) as u32).wrapping_mul(multiplier as u32) >> 16;
        let product = high.wrapping_add(low as i32);
        let half = 1i32.wrapping_shl((shift - 1) as u32);
        product.wrapping_add(half).wrapping_shr(shift as u32)
    }
}

described! {
    /// The interval that an operator clamps its output to; this is how ReLU and ReLU6 are carried out.
    ///
    /// Valid when `min ≤ max`.
    pub struct ActivationRange {
        /// `activation_min`, −128 when nothing is cut off below.
        pub min: i8,
        /// `activation_max`, 127 when nothing is cut off above.
        pub max: i8,
    }
}

impl ActivationRange {
    /// The whole of int8.
    pub const FULL: Self = Self { min: i8::MIN, max: i8::MAX };

    /// `clamp(value, min, max)` as int8.
    #[inline(always)]
    pub const fn saturate(self, value: i32) -> i8 {
        let min = self.min as i32;
        let max = self.max as i32;
        let clamped = if value < min {
            min
        } else if value > max {
            max
        } else {
            value
        };
        // In range: `min` and `max` are int8.
        clamped as i8
    }
}

/// Equation (2) whole: rescale, add the zero point, clamp.
#[inline(always)]
pub const fn requantize(
    accumulator: i32,
    rescale: Rescale,
    zero_point: i8,
    activation: ActivationRange,
) -> i8 {
    activation.saturate(rescale.apply(accumulator).wrapping_add(zero_point as i32))
}

/// The same in one place of an image, for where it takes few of the instructions.
#[inline(never)]
pub fn requantize_apart(
    accumulator: i32,
    rescale: Rescale,
    zero_point: i8,
    activation: ActivationRange,
) -> i8 {
    requantize(accumulator, rescale, zero_point, activation)
}

described! {
    /// The two multipliers of an [`Operator::Add`](crate::operator::Operator::Add) over one shift: `ratio = multiplier / 2^shift`.
    pub struct AddRescale {
        /// For the layer's input, `1 ..= 2^15 − 1`.
        pub multiplier: i16,
        /// For the other operand, `1 ..= 2^15 − 1`.
        pub other_multiplier: i16,
        /// Common right shift, `1 ..= 23`.
        pub shift: u8,
    }
}
