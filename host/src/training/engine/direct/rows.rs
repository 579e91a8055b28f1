//! Loops over rows of channels: sums per channel and changes value by value, several channels at a time.
//!
//! Values are rows of `channels` values, one row for each pixel of each sample. Rows are worked on in parts whose size depends on the number
//! of channels alone, and parts are put together in order, so that results do not depend on the number of threads.

use rayon::prelude::*;

use crate::convolution::Element;

/// Channels that are worked on together.
const LANES: usize = 8;
/// Values of a part.
const PART: usize = 16_384;

/// Values of whole rows in a part.
pub fn part(channels: usize) -> usize {
    (PART / channels).max(1) * channels
}

/// `L` values from `at`.
#[inline(always)]
pub fn load<T: Element, const L: usize>(values: &[T], at: usize) -> [T; L] {
    // The slice has the length of the array.
    values[at..at + L].try_into().unwrap_or([T::default(); L])
}

/// What a sum over rows adds, for `L` neighbouring channels.
pub trait Term<T: Element, const K: usize>: Sync {
    /// `K` terms of the values at `at..at + L`, which belong to the channels from `channel`.
    fn of<const L: usize>(&self, at: usize, channel: usize) -> [[T; L]; K];
}

/// Sums of `K` terms over all `count` values, for each channel, in f64.
pub fn sums<T: Element, const K: usize>(
    count: usize,
    channels: usize,
    term: &impl Term<T, K>,
) -> Vec<[f64; K]> {
    let size = part(channels);
    let parts = count.div_ceil(size);
    let one = |index: usize| {
        let begin = index * size;
        let rows = (count - begin).min(size) / channels;
        let mut sums = vec![[T::default(); K]; channels];
        T::call(|| sum_part(begin, rows, channels, term, &mut sums));
        sums
    };
    let all: Vec<Vec<[T; K]>> = if parts > 1 {
        (0..parts).into_par_iter().map(one).collect()
    } else {
        (0..parts).map(one).collect()
    };
    let mut total = vec![[0.0; K]; channels];
    for part in &all {
        for (total, part) in total.iter_mut().zip(part) {
            for (total, part) in total.iter_mut().zip(part) {
                *total += part.to_f64();
            }
        }
    }
    total
}

#[inline(always)]
fn sum_part<T: Element, const K: usize>(
    begin: usize,
    rows: usize,
    channels: usize,
    term: &impl Term<T, K>,
    sums: &mut [[T; K]],
) {
    let whole = channels / LANES * LANES;
    for channel in (0..whole).step_by(LANES) {
        sum_channels::<T, K, LANES>(begin, rows, channels, channel, term, sums);
    }
    for channel in whole..channels {
        sum_channels::<T, K, 1>(begin, rows, channels, channel, term, sums);
    }
}

#[inline(always)]
fn sum_channels<T: Element, const K: usize, const L: usize>(
    begin: usize,
    rows: usize,
    channels: usize,
    channel: usize,
    term: &impl Term<T, K>,
    sums: &mut [[T; K]],
) {
    let mut totals = [[T::default(); L]; K];
    for row in 0..rows {
        let terms = term.of::<L>(begin + row * channels + channel, channel);
        for (total, term) in totals.iter_mut().zip(&terms) {
            for (total, term) in total.iter_mut().zip(term) {
                *total += *term;
            }
        }
    }
    for (lane, sums) in sums[channel..channel + L].iter_mut().enumerate() {
        for (sum, total) in sums.iter_mut().zip(&totals) {
            *sum = total[lane];
        }
    }
}

/// What a value becomes, for `L` neighbouring channels.
pub trait Change<T: Element>: Sync {
    /// The new values at `at..at + L`, which belong to the channels from `channel`.
    fn of<const L: usize>(&self, at: usize, channel: usize) -> [T; L];
}

/// Sets all values of `output`, or adds to them. Where channels do not matter, `channels` is any number that makes long rows, and the
/// last row may be shorter.
pub fn change<T: Element>(
    output: &mut [T],
    channels: usize,
    accumulate: bool,
    change: &impl Change<T>,
) {
    let size = part(channels);
    let one = |(index, output): (usize, &mut [T])| {
        T::call(|| change_part(index * size, output, channels, accumulate, change));
    };
    if output.len() > size {
        output.par_chunks_mut(size).enumerate().for_each(one);
    } else {
        output.chunks_mut(size).enumerate().for_each(one);
    }
}

#[inline(always)]
fn change_part<T: Element>(
    begin: usize,
    output: &mut [T],
    channels: usize,
    accumulate: bool,
    change: &impl Change<T>,
) {
    for (row, output) in output.chunks_mut(channels).enumerate() {
        let at = begin + row * channels;
        let (blocks, rest) = output.as_chunks_mut::<LANES>();
        let whole = blocks.len() * LANES;
        for (block, output) in blocks.iter_mut().enumerate() {
            let channel = block * LANES;
            let new = change.of::<LANES>(at + channel, channel);
            for (output, new) in output.iter_mut().zip(new) {
                *output = if accumulate { *output + new } else { new };
            }
        }
        for (index, output) in rest.iter_mut().enumerate() {
            let channel = whole + index;
            let [new] = change.of::<1>(at + channel, channel);
            *output = if accumulate { *output + new } else { new };
        }
    }
}
