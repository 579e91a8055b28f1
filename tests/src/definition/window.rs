//! Sliding windows, equations (3), (4), (6), (7), (12), (16) and (17): every tap by its signed coordinates, padding by asking whether they are inside.

use tinyhero_common::shape::{Shape, Window};

/// A place in an output tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Row.
    pub y: i32,
    /// Column.
    pub x: i32,
    /// Channel.
    pub channel: i32,
}

impl Place {
    /// The place of element `index` in memory order, channels fastest.
    pub fn of(index: usize, shape: Shape) -> Self {
        let mut place = Self { y: 0, x: 0, channel: 0 };
        let index = i32::try_from(index).unwrap_or(0);
        let channels = i32::from(shape.channels.cast_signed());
        let width = i32::from(shape.width.cast_signed());
        place.channel = index.checked_rem(channels).unwrap_or(0);
        let pixel = index.checked_div(channels).unwrap_or(0);
        place.x = pixel.checked_rem(width).unwrap_or(0);
        place.y = pixel.checked_div(width).unwrap_or(0);
        place
    }
}

/// The value at a place; `None` outside the image.
pub(super) fn at(input: &[i8], shape: Shape, y: i32, x: i32, channel: i32) -> Option<i64> {
    let height = i32::from(shape.height.cast_signed());
    let width = i32::from(shape.width.cast_signed());
    let channels = i32::from(shape.channels.cast_signed());
    if y < 0 || x < 0 || y >= height || x >= width {
        return None;
    }
    let index = usize::try_from((y * width + x) * channels + channel).ok()?;
    input.get(index).map(|&value| i64::from(value))
}

/// Calls `visit(tap row, tap column, image row, image column)` for every tap of the window at an output place.
fn taps(window: Window, place: Place, mut visit: impl FnMut(i32, i32, i32, i32)) {
    let top = place.y * i32::from(window.stride_height) - i32::from(window.padding_top);
    let left = place.x * i32::from(window.stride_width) - i32::from(window.padding_left);
    for i in 0..i32::from(window.kernel_height) {
        for j in 0..i32::from(window.kernel_width) {
            visit(i, j, top + i, left + j);
        }
    }
}

/// An image and the window that slides over it.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// The values, HWC.
    pub values: &'a [i8],
    /// Their shape.
    pub shape: Shape,
    /// The value of padding, real zero.
    pub zero_point: i8,
    /// The window.
    pub window: Window,
}

/// (3): the accumulator of one output, bias left out. `weights` is the row of the output's channel.
pub fn convolution(image: Image<'_>, weights: &[i8], place: Place) -> i64 {
    let channels = i32::from(image.shape.channels.cast_signed());
    let kernel_width = i32::from(image.window.kernel_width);
    let mut sum = 0i64;
    taps(image.window, place, |i, j, y, x| {
        for channel in 0..channels {
            let index = usize::try_from((i * kernel_width + j) * channels + channel);
            let weight = index.ok().and_then(|index| weights.get(index)).copied().unwrap_or(0);
            let value =
                at(image.values, image.shape, y, x, channel).unwrap_or(i64::from(image.zero_point));
            sum = sum.wrapping_add(i64::from(weight).wrapping_mul(value));
        }
    });
    sum
}

/// (4): as [`convolution`] with one kernel per channel.
pub fn depthwise(image: Image<'_>, weights: &[i8], place: Place) -> i64 {
    let kernel_width = i32::from(image.window.kernel_width);
    let mut sum = 0i64;
    taps(image.window, place, |i, j, y, x| {
        let index = usize::try_from(i * kernel_width + j);
        let weight = index.ok().and_then(|index| weights.get(index)).copied().unwrap_or(0);
        let value = at(image.values, image.shape, y, x, place.channel)
            .unwrap_or(i64::from(image.zero_point));
        sum = sum.wrapping_add(i64::from(weight).wrapping_mul(value));
    });
    sum
}

/// (16): the accumulator of one output of a transposed convolution, bias left out. Taps that no input pixel reaches meet padding.
pub fn transposed(image: Image<'_>, weights: &[i8], place: Place) -> i64 {
    let window = image.window;
    let channels = i32::from(image.shape.channels.cast_signed());
    let kernel_width = i32::from(window.kernel_width);
    // The input that the tap brings to this output, if there is one between the strides.
    let source = |output: i32, padding: u8, tap: i32, stride: u8| {
        let distance = output + i32::from(padding) - tap;
        let stride = i32::from(stride);
        let whole = distance.checked_rem_euclid(stride) == Some(0);
        if whole { distance.checked_div_euclid(stride) } else { None }
    };
    let mut sum = 0i64;
    for i in 0..i32::from(window.kernel_height) {
        for j in 0..kernel_width {
            let y = source(place.y, window.padding_top, i, window.stride_height);
            let x = source(place.x, window.padding_left, j, window.stride_width);
            for channel in 0..channels {
                let index = usize::try_from((i * kernel_width + j) * channels + channel);
                let weight = index.ok().and_then(|index| weights.get(index)).copied().unwrap_or(0);
                let value = match (y, x) {
                    (Some(y), Some(x)) => at(image.values, image.shape, y, x, channel),
                    _ => None,
                };
                let value = value.unwrap_or(i64::from(image.zero_point));
                sum = sum.wrapping_add(i64::from(weight).wrapping_mul(value));
            }
        }
    }
    sum
}

/// (17): as [`convolution`] over the `inputs` channels of a group from `first` on, taps `dilation` apart.
pub fn grouped(
    image: Image<'_>,
    weights: &[i8],
    place: Place,
    dilation: [u8; 2],
    [first, inputs]: [i32; 2],
) -> i64 {
    let window = image.window;
    let [down, across] = dilation.map(i32::from);
    let kernel_width = i32::from(window.kernel_width);
    let top = place.y * i32::from(window.stride_height) - i32::from(window.padding_top);
    let left = place.x * i32::from(window.stride_width) - i32::from(window.padding_left);
    let mut sum = 0i64;
    for i in 0..i32::from(window.kernel_height) {
        for j in 0..kernel_width {
            for channel in 0..inputs {
                let index = usize::try_from((i * kernel_width + j) * inputs + channel);
                let weight = index.ok().and_then(|index| weights.get(index)).copied().unwrap_or(0);
                let (y, x) = (top + i * down, left + j * across);
                let value = at(image.values, image.shape, y, x, first + channel);
                let value = value.unwrap_or(i64::from(image.zero_point));
                sum = sum.wrapping_add(i64::from(weight).wrapping_mul(value));
            }
        }
    }
    sum
}

/// (6): the sum of an average pooling's window, padding counting as real zero.
pub fn average(image: Image<'_>, place: Place) -> i64 {
    let mut sum = 0i64;
    taps(image.window, place, |_, _, y, x| {
        if let Some(value) = at(image.values, image.shape, y, x, place.channel) {
            sum = sum.wrapping_add(value).wrapping_sub(i64::from(image.zero_point));
        }
    });
    sum
}

/// (12): the mean of the taps inside the image, in 2^-7, ties toward +∞.
pub fn mean(image: Image<'_>, place: Place) -> i64 {
    let (mut sum, mut count) = (0i64, 0i64);
    taps(image.window, place, |_, _, y, x| {
        if let Some(value) = at(image.values, image.shape, y, x, place.channel) {
            sum = sum.wrapping_add(value).wrapping_sub(i64::from(image.zero_point));
            count = count.wrapping_add(1);
        }
    });
    // floor(sum · 2^7 / count + 1/2), with one division.
    let halves = sum.wrapping_mul(256).wrapping_add(count);
    super::floor_divide(halves, count.wrapping_mul(2))
}

/// (7): the largest value of the taps inside the image.
pub fn maximum(image: Image<'_>, place: Place) -> i64 {
    let mut largest = i64::MIN;
    taps(image.window, place, |_, _, y, x| {
        if let Some(value) = at(image.values, image.shape, y, x, place.channel) {
            largest = largest.max(value);
        }
    });
    largest
}
