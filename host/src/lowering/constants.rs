//! From real ratios to the integer constants of the arithmetic contract.

use tinyhero_common::input::InputMap;
use tinyhero_common::requantize::{AddRescale, MULTIPLIER_MAX, Rescale, SHIFT_MAX};
use tinyhero_common::tensor::SampleType;

/// Smallest ratio that a [`Rescale`] holds, `2^-25`.
pub const RATIO_MIN: f64 = 1.0 / (1u64 << 25) as f64;
/// Ratios that a [`Rescale`] holds stay below this, just under `2^6` so that rounding the multiplier cannot leave the range.
pub const RATIO_MAX: f64 = 63.99;
/// Largest shift of an input map.
const INPUT_SHIFT_MAX: u32 = 30;
/// Largest shift of an addition.
const ADD_SHIFT_MAX: i32 = 23;

/// The power of two below or equal to a positive number.
fn binary_exponent(value: f64) -> i32 {
    // The logarithm may round up to the next whole number just below a power of two.
    let exponent = value.log2().floor() as i32;
    if f64::from(exponent).exp2() > value { exponent - 1 } else { exponent }
}

/// Equation (2): the multiplier and shift nearest to `ratio`, at most 2^-15 off relative to it.
///
/// `None` outside `2^-25 .. 2^6`.
pub fn rescale(ratio: f64) -> Option<Rescale> {
    if !(ratio.is_finite() && ratio > 0.0) {
        return None;
    }
    let exponent = binary_exponent(ratio);
    let mut multiplier = (ratio * f64::from(14 - exponent).exp2()).round() as i32;
    let mut shift = -2 - exponent;
    if multiplier > MULTIPLIER_MAX {
        multiplier = 1 << 14;
        shift -= 1;
    }
    let rescale =
        Rescale { multiplier: i16::try_from(multiplier).ok()?, shift: i8::try_from(shift).ok()? };
    rescale.is_valid().then_some(rescale)
}

/// The ratio that a [`Rescale`] stands for.
pub fn ratio(rescale: Rescale) -> f64 {
    f64::from(rescale.multiplier) / f64::from(16 + i32::from(rescale.shift)).exp2()
}

/// Equation (8): both ratios over one shift, as precise as 15 bits and the largest shift allow.
///
/// A ratio that would vanish becomes the smallest one. `None` if the larger ratio is not positive or 2^14 and more.
pub fn add_rescale(first: f64, other: f64) -> Option<AddRescale> {
    let largest = first.max(other);
    if !(first > 0.0 && other > 0.0 && largest.is_finite()) {
        return None;
    }
    let mut shift = (14 - binary_exponent(largest)).min(ADD_SHIFT_MAX);
    if (largest * f64::from(shift).exp2()).round() > f64::from(MULTIPLIER_MAX) {
        shift -= 1;
    }
    let multiplier = |ratio: f64| (ratio * f64::from(shift).exp2()).round().max(1.0) as i16;
    (shift >= 1).then(|| AddRescale {
        multiplier: multiplier(first),
        other_multiplier: multiplier(other),
        shift: shift as u8,
    })
}

/// Equation (1): the map `q = raw · slope + intercept`, rounded, with the largest shift that cannot overflow.
///
/// `None` if even a shift of 0 overflows.
pub fn input_map(slope: f64, intercept: f64, sample_type: SampleType) -> Option<InputMap> {
    (0..=INPUT_SHIFT_MAX).rev().find_map(|shift| {
        let unit = f64::from(shift).exp2();
        let multiplier = (slope * unit).round();
        let offset = ((intercept + 0.5) * unit).round();
        if multiplier.abs() > f64::from(i16::MAX) || offset.abs() > f64::from(i32::MAX) {
            return None;
        }
        let map =
            InputMap { offset: offset as i32, multiplier: multiplier as i16, shift: shift as u8 };
        map.is_valid(sample_type).then_some(map)
    })
}

/// Equation (9): `scale · log2(e) · 2^20`, kept inside its range. A scale beyond it gives probabilities of 0 and 1 anyway.
pub fn exponent_multiplier(scale: f64) -> u32 {
    let multiplier = scale * std::f64::consts::LOG2_E * f64::from(1 << 20);
    multiplier.round().clamp(1.0, f64::from((1 << 24) - 1)) as u32
}

const _: () = assert!(SHIFT_MAX == 23, "RATIO_MIN follows from the largest shift");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rescale_is_off_by_at_most_two_to_the_minus_15() {
        let mut value = RATIO_MIN;
        let mut count = 0;
        while value < RATIO_MAX {
            let error = (ratio(rescale(value).unwrap()) / value - 1.0).abs();
            assert!(error <= 2.0f64.powi(-15), "{value}: {error}");
            value *= 1.000_37;
            count += 1;
        }
        assert!(count > 50_000);
    }

    #[test]
    fn a_multiplier_that_rounds_up_to_two_to_the_15_becomes_two_to_the_14() {
        let rescale = rescale(1.0 - 1e-9).unwrap();
        assert_eq!((rescale.multiplier, rescale.shift), (1 << 14, -2));
        assert_eq!(ratio(rescale), 1.0);
    }

    #[test]
    fn ratios_outside_the_range_are_refused() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 64.0, RATIO_MIN * 0.999, 1e300, 1e-300] {
            assert_eq!(rescale(bad), None, "{bad}");
        }
        assert_eq!(rescale(RATIO_MIN).unwrap(), Rescale { multiplier: 1 << 14, shift: 23 });
        assert_eq!(rescale(RATIO_MAX).unwrap().shift, -7);
    }

    #[test]
    fn an_addition_keeps_15_bits_of_the_larger_ratio() {
        for (first, other) in [(0.7, 0.3), (0.001, 1.9), (1.0 - 1e-12, 0.5), (0.02, 0.01)] {
            let found = add_rescale(first, other).unwrap();
            let unit = f64::from(found.shift).exp2();
            assert!(found.multiplier.max(found.other_multiplier) >= 1 << 14);
            assert!((f64::from(found.multiplier) / unit - first).abs() <= 0.5 / unit);
            assert!((f64::from(found.other_multiplier) / unit - other).abs() <= 0.5 / unit);
        }
        let tiny = add_rescale(1e-9, 1e-8).unwrap();
        assert_eq!((tiny.shift, tiny.multiplier, tiny.other_multiplier), (23, 1, 1));
        assert_eq!(add_rescale(1e9, 1.0), None);
    }

    #[test]
    fn an_input_map_equals_the_rounded_real_map() {
        for (slope, intercept) in [(15.0, -128.0), (1.0, -128.0), (0.4937, -60.3), (-0.9, 100.0)] {
            let map = input_map(slope, intercept, SampleType::U8).unwrap();
            for raw in 0..=255 {
                let real = f64::from(raw) * slope + intercept;
                let found = f64::from(map.apply(raw));
                assert!((found - real.clamp(-128.0, 127.0)).abs() <= 0.502, "{slope} {raw}");
            }
        }
        let wide = input_map(0.001, -3.0, SampleType::I16).unwrap();
        assert_eq!(wide.apply(10_000), 7);
        assert_eq!(input_map(1e9, 0.0, SampleType::U8), None);
    }
}
