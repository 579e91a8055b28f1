//! The activations under two windows, as the inner loops of either instruction set take them.

use super::window::{Piece, pieces};
use tinyhero_common::kernel::Convolution;

use super::core_loops::column;
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

/// ARMv7-M: two columns of bytes, or two pixels of the input as it lies where a window is one pixel.
#[cfg(target_has_atomic = "32")]
pub struct Columns<'a> {
    /// Both columns in the scratch memory; empty if the input itself is read.
    gathered: Option<[&'a mut [i8]; 2]>,
    /// Weights of a row.
    depth: usize,
}

#[cfg(target_has_atomic = "32")]
impl<'a> Columns<'a> {
    /// `None` if the scratch memory is too small.
    pub fn new(job: &Convolution<'_>, quads: &Quads<'_>, scratch: &'a mut [i8]) -> Option<Self> {
        let depth = job.weights.row_length;
        let gathered = if job.window.taps() == 1 && depth == quads.depth {
            None
        } else {
            let (first, rest) = scratch.split_at_mut_checked(quads.depth)?;
            Some([first, rest.get_mut(..quads.depth)?])
        };
        Some(Self { gathered, depth })
    }

    /// Takes the windows of two output pixels: both columns, and the sums of their activations.
    pub fn gather(
        &mut self,
        job: &Convolution<'_>,
        input: &[i8],
        first: (usize, usize),
        second: (usize, usize),
    ) -> Option<([Column; 2], [i32; 2])> {
        if let Some([one, two]) = &mut self.gathered {
            let totals = [fill(one, job, input, first), fill(two, job, input, second)];
            // SAFETY: `new` has made both as long as a row of weights with its padding.
            let columns = unsafe { [Column::new(one.as_ptr()), Column::new(two.as_ptr())] };
            return Some((columns, totals));
        }
        let window = job.window;
        let depth = self.depth;
        let pixel = |(y, x): (usize, usize)| {
            let row = y * usize::from(window.stride_height);
            let column = x * usize::from(window.stride_width);
            let place = (row * usize::from(job.input.width) + column) * depth;
            input.get(place..)?.get(..depth)
        };
        let (one, two) = (pixel(first)?, pixel(second)?);
        // SAFETY: both are as long as a row of weights, which has no padding (`new`).
        let columns = unsafe { [Column::new(one.as_ptr()), Column::new(two.as_ptr())] };
        Some((columns, [total(one), total(two)]))
    }
}

/// Copies a window into a column; returns the sum of its activations.
#[cfg(target_has_atomic = "32")]
fn fill(column: &mut [i8], job: &Convolution<'_>, input: &[i8], (y, x): (usize, usize)) -> i32 {
    let mut rest = column;
    let mut sum = 0i32;
    pieces(job, input, y, x, |piece| {
        let length = match piece {
            Piece::Inside(values) => values.len(),
            Piece::Padding(count) => count,
        };
        let Some((room, tail)) = core::mem::take(&mut rest).split_at_mut_checked(length) else {
            return;
        };
        rest = tail;
        match piece {
            Piece::Inside(values) => {
                // 512 at a time, as many as the inner loop can sum up.
                for (from, to) in values.chunks(512).zip(room.chunks_mut(512)) {
                    // SAFETY: `room` is as long as `values`, so each piece is as long as the other.
                    let part = unsafe { column::copy(from.as_ptr(), from.len(), to.as_mut_ptr()) };
                    sum = sum.wrapping_add(part);
                }
            }
            Piece::Padding(count) => {
                room.fill(job.input_zero_point);
                let zero_point = i32::from(job.input_zero_point);
                sum = sum.wrapping_add(zero_point.wrapping_mul(count as i32));
            }
        }
    });
    sum
}

/// ARMv6-M: one column of words, each an activation of the first pixel plus `2^16` times that of the second.
#[cfg(not(target_has_atomic = "32"))]
pub struct Columns<'a> {
    words: &'a mut [i32],
}

#[cfg(not(target_has_atomic = "32"))]
impl<'a> Columns<'a> {
    /// `None` if the scratch memory is too small or does not begin at a whole word.
    pub fn new(_job: &Convolution<'_>, quads: &Quads<'_>, scratch: &'a mut [i8]) -> Option<Self> {
        Some(Self { words: super::words(scratch)?.get_mut(..quads.depth)? })
    }

    /// Takes the windows of two output pixels: both columns, and the sums of their activations.
    pub fn gather(
        &mut self,
        job: &Convolution<'_>,
        input: &[i8],
        first: (usize, usize),
        second: (usize, usize),
    ) -> Option<([Column; 2], [i32; 2])> {
        let one = fill(self.words, job, input, first, column::put, |_, value| value);
        let two = fill(self.words, job, input, second, column::put_above, |word, value| {
            word.wrapping_add(value.wrapping_shl(16))
        });
        let start = self.words.as_ptr().cast();
        // SAFETY: `new` has made the words as many as a row of weights has with its padding.
        let column = unsafe { Column::new(start) };
        Some(([column; 2], [one, two]))
    }
}

/// Puts every activation of a window into its word, those inside the image by the inner loop `put_all`; returns their sum.
#[cfg(not(target_has_atomic = "32"))]
fn fill(
    words: &mut [i32],
    job: &Convolution<'_>,
    input: &[i8],
    (y, x): (usize, usize),
    put_all: unsafe extern "C" fn(*const i8, usize, *mut i32) -> i32,
    put: impl Fn(i32, i32) -> i32,
) -> i32 {
    let mut rest = words;
    let mut sum = 0i32;
    pieces(job, input, y, x, |piece| {
        let length = match piece {
            Piece::Inside(values) => values.len(),
            Piece::Padding(count) => count,
        };
        let Some((room, tail)) = core::mem::take(&mut rest).split_at_mut_checked(length) else {
            return;
        };
        rest = tail;
        match piece {
            Piece::Inside(values) if !values.is_empty() => {
                // SAFETY: there is at least one activation, and `room` has as many words.
                let part = unsafe { put_all(values.as_ptr(), values.len(), room.as_mut_ptr()) };
                sum = sum.wrapping_add(part);
            }
            Piece::Inside(_) => {}
            Piece::Padding(count) => {
                let value = i32::from(job.input_zero_point);
                for word in room {
                    *word = put(*word, value);
                }
                sum = sum.wrapping_add(value.wrapping_mul(count as i32));
            }
        }
    });
    sum
}
