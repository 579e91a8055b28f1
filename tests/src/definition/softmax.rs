//! Softmax, equation (9).

use super::{floor_divide, power_of_two};

/// `P(f)`, `2^16 · 2^(−f / 2^16)` by the contract's cubic.
pub fn power_of_two_fraction(fraction: i64) -> i64 {
    let sixteen = power_of_two(16);
    let cubic = floor_divide(fraction * 2_596, sixteen);
    let square = floor_divide(fraction * (15_158 - cubic), sixteen);
    let linear = floor_divide(fraction * (45_330 - square), sixteen);
    sixteen - linear
}

/// What the outputs of one pixel have in common.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    multiplier: i64,
    maximum: i64,
    sum: i64,
}

impl Terms {
    /// The maximum and the sum of exponentials of a pixel.
    pub fn of(pixel: &[i8], exponent_multiplier: u32) -> Self {
        let mut maximum = i64::from(i8::MIN);
        for &value in pixel {
            maximum = maximum.max(i64::from(value));
        }
        let mut terms = Self { multiplier: i64::from(exponent_multiplier), maximum, sum: 0 };
        for &value in pixel {
            terms.sum = terms.sum.wrapping_add(terms.exponential(value));
        }
        terms
    }

    /// `e_i`.
    fn exponential(self, value: i8) -> i64 {
        let exponent = (self.maximum - i64::from(value)) * self.multiplier;
        let whole = floor_divide(exponent, power_of_two(20));
        let fraction = exponent - whole * power_of_two(20);
        let power = power_of_two_fraction(floor_divide(fraction, 16));
        match i32::try_from(whole) {
            Ok(whole) if whole < 40 => floor_divide(power, power_of_two(whole)),
            _ => 0,
        }
    }

    /// `p_i`, the output for one of the pixel's values.
    pub fn probability(self, value: i8) -> i64 {
        let rounded = floor_divide(512 * self.exponential(value) + self.sum, 2 * self.sum);
        rounded.min(255) - 128
    }
}
