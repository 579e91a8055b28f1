//! The activations under two windows, as the inner loops of either instruction set take them.

use tinyhero_common::operator::ConvolutionJob;

use super::core_loops::column::{self, Element, LONGEST};
use super::quads::Quads;
use super::tile::Column;

/// `Σ x`.
pub fn total(values: &[i8]) -> i32 {
    let (chunks, rest) = values.as_chunks::<8>();
    let mut sum = 0i32;
    for &[a, b, c, d, e, f, g, h] in chunks {
        for value in [a, b, c, d, e, f, g, h] {
            sum = sum.wrapping_add(i32::from(value));
        }
    }
    for &value in rest {
        sum = sum.wrapping_add(i32::from(value));
    }
    sum
}

/// How a window lies over the input.
struct Geometry {
    height: usize,
    width: usize,
    /// Input channels.
    depth: usize,
    kernel_height: usize,
    kernel_width: usize,
    stride_height: usize,
    stride_width: usize,
    padding_top: usize,
    padding_left: usize,
    /// Activations of a row of the input.
    pitch: usize,
    padding: i8,
}

impl Geometry {
    fn new(job: &ConvolutionJob<'_>) -> Self {
        let (window, input) = (job.window, job.input);
        Self {
            height: usize::from(input.height),
            width: usize::from(input.width),
            depth: usize::from(input.channels),
            kernel_height: usize::from(window.kernel_height),
            kernel_width: usize::from(window.kernel_width),
            stride_height: usize::from(window.stride_height),
            stride_width: usize::from(window.stride_width),
            padding_top: usize::from(window.padding_top),
            padding_left: usize::from(window.padding_left),
            pitch: usize::from(input.width) * usize::from(input.channels),
            padding: job.input_zero_point,
        }
    }

    /// Row and column where the window of an output pixel begins; what lies above or left of the image has wrapped to the far end.
    #[inline(always)]
    const fn start(&self, (y, x): (usize, usize)) -> (usize, usize) {
        let top = (y * self.stride_height).wrapping_sub(self.padding_top);
        (top, (x * self.stride_width).wrapping_sub(self.padding_left))
    }
}

/// An inner loop that puts rows of activations into a column and returns their sum.
type PutRows = unsafe extern "C" fn(
    from: *const i8,
    length: usize,
    to: *mut Element,
    pitch: usize,
    rows: usize,
) -> i32;

/// Puts the window of an output pixel into a column; returns the sum of its activations. `put` is the inner loop that does so for what
/// lies inside the image, `pad` what becomes of an element for padding.
fn fill(
    geometry: &Geometry,
    input: &[i8],
    pixel: (usize, usize),
    column: &mut [Element],
    put: PutRows,
    pad: impl Fn(Element) -> Element,
) -> i32 {
    let (top, left) = geometry.start(pixel);
    let (rows, line) = (geometry.kernel_height, geometry.kernel_width * geometry.depth);
    let rows_inside = top < geometry.height && top + rows <= geometry.height;
    let columns_inside = left < geometry.width && left + geometry.kernel_width <= geometry.width;
    if rows_inside && columns_inside {
        // The whole window lies inside the image.
        let from = top * geometry.pitch + left * geometry.depth;
        let end = from + rows.saturating_sub(1) * geometry.pitch + line;
        let fits = end <= input.len() && rows * line <= column.len();
        if fits && rows > 0 && (1..=LONGEST).contains(&line) {
            let from = input.as_ptr().wrapping_add(from);
            // SAFETY: the last row ends inside the input, and the column has room for all of them, as just checked.
            return unsafe { put(from, line, column.as_mut_ptr(), geometry.pitch, rows) };
        }
    }
    fill_by_rows(geometry, input, (top, left), column, put, pad)
}

/// The same, one row of the window after the other.
#[inline(never)]
fn fill_by_rows(
    geometry: &Geometry,
    input: &[i8],
    (top, left): (usize, usize),
    column: &mut [Element],
    put: PutRows,
    pad: impl Fn(Element) -> Element,
) -> i32 {
    let depth = geometry.depth;
    // Taps left of the image, then those inside it.
    let before = if left < geometry.width { 0 } else { left.wrapping_neg() };
    let before = before.min(geometry.kernel_width);
    let first = left.wrapping_add(before);
    let inside = (geometry.kernel_width - before).min(geometry.width.saturating_sub(first));
    let (before, inside) = (before * depth, inside * depth);
    let mut sum = 0i32;
    let mut padded = 0;
    let lines = column.chunks_mut((geometry.kernel_width * depth).max(1));
    for (tap, line) in lines.take(geometry.kernel_height).enumerate() {
        let row = top.wrapping_add(tap);
        let inside = if row < geometry.height { inside } else { 0 };
        let (left, rest) = line.split_at_mut_checked(before).unwrap_or_default();
        let (room, right) = rest.split_at_mut_checked(inside).unwrap_or_default();
        padded += left.len() + right.len();
        left.iter_mut().chain(right).for_each(|element| *element = pad(*element));
        let Some(rest) = input.get(row.wrapping_mul(geometry.pitch) + first * depth..) else {
            continue;
        };
        let Some(values) = rest.get(..inside) else { continue };
        for (values, room) in values.chunks(LONGEST).zip(room.chunks_mut(LONGEST)) {
            // SAFETY: one row, not empty, at most `LONGEST`, and `room` is as long.
            let part = unsafe { put(values.as_ptr(), values.len(), room.as_mut_ptr(), 0, 1) };
            sum = sum.wrapping_add(part);
        }
    }
    sum.wrapping_add(i32::from(geometry.padding).wrapping_mul(padded as i32))
}

/// ARMv7-M: two columns of bytes, or two pixels of the input as it lies where a window is one pixel.
#[cfg(target_has_atomic = "32")]
pub struct Columns<'a> {
    geometry: Geometry,
    /// Both columns in the scratch memory; `None` if the input itself is read.
    gathered: Option<[&'a mut [i8]; 2]>,
}

#[cfg(target_has_atomic = "32")]
impl<'a> Columns<'a> {
    /// `None` if the scratch memory is too small.
    pub fn new(job: &ConvolutionJob<'_>, quads: &Quads<'_>, scratch: &'a mut [i8]) -> Option<Self> {
        let gathered = if job.window.taps() == 1 && job.weights.row_length == quads.depth {
            None
        } else {
            let (first, rest) = scratch.split_at_mut_checked(quads.depth)?;
            Some([first, rest.get_mut(..quads.depth)?])
        };
        Some(Self { geometry: Geometry::new(job), gathered })
    }

    /// Takes the windows of two output pixels: both columns, and the sums of their activations.
    pub fn gather(
        &mut self,
        input: &[i8],
        first: (usize, usize),
        second: (usize, usize),
    ) -> Option<([Column; 2], [i32; 2])> {
        let geometry = &self.geometry;
        let padding = geometry.padding;
        if let Some([one, two]) = &mut self.gathered {
            let totals = [
                fill(geometry, input, first, one, column::copy, |_| padding),
                fill(geometry, input, second, two, column::copy, |_| padding),
            ];
            // SAFETY: `new` has made both as long as a row of weights with its padding.
            let columns = unsafe { [Column::new(one.as_ptr()), Column::new(two.as_ptr())] };
            return Some((columns, totals));
        }
        let pixel = |pixel| {
            let (row, column) = geometry.start(pixel);
            let place = row * geometry.pitch + column * geometry.depth;
            input.get(place..)?.get(..geometry.depth)
        };
        let (one, two) = (pixel(first)?, pixel(second)?);
        // SAFETY: both are as long as a row of weights, which has no padding (`new`).
        let columns = unsafe { [Column::new(one.as_ptr()), Column::new(two.as_ptr())] };
        Some((columns, [total(one), total(two)]))
    }
}

/// ARMv6-M: one column of words, each an activation of the first pixel plus `2^16` times that of the second.
#[cfg(not(target_has_atomic = "32"))]
pub struct Columns<'a> {
    geometry: Geometry,
    words: &'a mut [i32],
}

#[cfg(not(target_has_atomic = "32"))]
impl<'a> Columns<'a> {
    /// `None` if the scratch memory is too small or does not begin at a whole word.
    pub fn new(job: &ConvolutionJob<'_>, quads: &Quads<'_>, scratch: &'a mut [i8]) -> Option<Self> {
        let words = super::words(scratch)?.get_mut(..quads.depth)?;
        Some(Self { geometry: Geometry::new(job), words })
    }

    /// Takes the windows of two output pixels: both columns, and the sums of their activations.
    pub fn gather(
        &mut self,
        input: &[i8],
        first: (usize, usize),
        second: (usize, usize),
    ) -> Option<([Column; 2], [i32; 2])> {
        let (geometry, words) = (&self.geometry, &mut *self.words);
        let padding = i32::from(geometry.padding);
        let one = fill(geometry, input, first, words, column::put, |_| padding);
        let above = |word: i32| word.wrapping_add(padding << 16);
        let two = fill(geometry, input, second, words, column::put_above, above);
        let start = words.as_ptr().cast();
        // SAFETY: `new` has made the words as many as a row of weights has with its padding.
        let column = unsafe { Column::new(start) };
        Some(([column; 2], [one, two]))
    }
}
