//! Equation (15): an output's position by multiplication and division, and the pixels around it.

use tinyhero_common::operator::{Interpolation, Stretch};
use tinyhero_common::requantize::ActivationRange;

use super::window::{Image, Place, at};
use super::{clamp, floor_divide, power_of_two};

/// The input at or before output `index` of an axis, and the weight of the next one, in 2^-10.
fn position(stretch: Stretch, index: i32, extent: u16) -> (i32, i64) {
    let divisor = i64::from(stretch.divisor);
    let parts = i64::from(index) * i64::from(stretch.step) + i64::from(stretch.start);
    let place = floor_divide(parts, divisor);
    let rest = parts.wrapping_sub(place.wrapping_mul(divisor));
    let last = i64::from(extent) - 1;
    if place < 0 {
        return (0, 0);
    }
    if place >= last {
        return (last as i32, 0);
    }
    // floor(rest · 2^10 / divisor + 1/2), with one division.
    let weight = floor_divide(rest * 2 * power_of_two(10) + divisor, 2 * divisor);
    (place as i32, weight)
}

/// (15): one element of a resized image.
pub fn resized(
    image: Image<'_>,
    interpolation: Interpolation,
    [rows, columns]: [Stretch; 2],
    place: Place,
    activation: ActivationRange,
) -> i64 {
    let (y, down) = position(rows, place.y, image.shape.height);
    let (x, across) = position(columns, place.x, image.shape.width);
    // A pixel outside the image has weight 0.
    let value = |y: i32, x: i32| at(image.values, image.shape, y, x, place.channel).unwrap_or(0);
    match interpolation {
        Interpolation::Nearest => clamp(value(y, x), activation),
        Interpolation::Linear => {
            let whole = power_of_two(10);
            let upper = (whole - across) * value(y, x) + across * value(y, x + 1);
            let lower = (whole - across) * value(y + 1, x) + across * value(y + 1, x + 1);
            let sum = (whole - down) * upper + down * lower;
            clamp(floor_divide(sum + power_of_two(19), power_of_two(20)), activation)
        }
    }
}
