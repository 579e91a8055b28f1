//! Means and covariances of a layer's inputs.

use std::ops::Range;

use rayon::prelude::*;

use super::form::Form;
use super::forward::Inputs;
use crate::lowering::{Geometry, Linear, Reads};
use crate::vectors::{Instructions, LANES, Vectors, Work};

/// Inputs of a block at most; a layer with more has several.
const BLOCK: usize = 2_048;
/// Samples of a part, whose sums are made by one thread.
const PART: usize = 32;
/// Windows whose sums are made in f32 before they are added up in f64.
const CHUNK: usize = 128;
/// Columns of a tile; the inputs of a block are filled up to a multiple of it.
const COLUMNS: usize = 16;
/// Rows of a tile.
const ROWS: usize = 4;

/// The forms of a layer's rows: one for all of them, one for each, or one for each of equal groups. [`Form::of_row`] finds a row's.
pub fn measure(linear: &Linear<'_>, inputs: &Inputs<'_>) -> Vec<Form> {
    match linear.reads {
        Reads::Elements | Reads::Windows(_) => {
            vec![dense(&linear.reads, linear.matrix.row_length, None, inputs)]
        }
        Reads::ChannelWindows(geometry) => by_channel(geometry, inputs),
        Reads::GroupWindows(geometry, groups) if groups == usize::from(geometry.input.channels) => {
            by_channel(geometry, inputs)
        }
        Reads::GroupWindows(geometry, groups) => {
            let channels = usize::from(geometry.input.channels) / groups.max(1);
            let of_group = |group: usize| {
                let part = group * channels..(group + 1) * channels;
                let columns = linear.matrix.row_length;
                dense(&Reads::Windows(geometry), columns, Some(part), inputs)
            };
            (0..groups).map(of_group).collect()
        }
    }
}

/// Sums over a part.
struct Sums {
    first: Vec<f64>,
    products: Vec<Vec<f64>>,
}

/// Adds up the sums of all parts in order, a few parts at a time.
fn total(inputs: &Inputs<'_>, part: impl Fn(usize, &[f32]) -> Sums + Sync) -> Sums {
    let mut total: Option<Sums> = None;
    let length = inputs.elements * PART;
    let parts: Vec<(usize, &[f32])> = inputs.values.chunks(length).enumerate().collect();
    for round in parts.chunks(rayon::current_num_threads().max(1)) {
        let found: Vec<Sums> =
            round.par_iter().map(|&(index, values)| part(index * PART, values)).collect();
        for sums in found {
            let Some(total) = &mut total else {
                total = Some(sums);
                continue;
            };
            add(&mut total.first, &sums.first);
            for (total, sums) in total.products.iter_mut().zip(&sums.products) {
                add(total, sums);
            }
        }
    }
    total.unwrap_or(Sums { first: Vec::new(), products: Vec::new() })
}

fn add(total: &mut [f64], values: &[f64]) {
    for (total, value) in total.iter_mut().zip(values) {
        *total += value;
    }
}

/// Of rows that all read the same: `columns` values, those of some channels of a window where they are named.
fn dense(
    reads: &Reads<'_>,
    columns: usize,
    channels: Option<Range<usize>>,
    inputs: &Inputs<'_>,
) -> Form {
    let blocks: Vec<usize> = {
        let count = columns.div_ceil(BLOCK).max(1);
        let size = columns.div_ceil(count);
        (0..count).map(|block| size.min(columns - (block * size).min(columns))).collect()
    };
    let sums = total(inputs, |sample, values| {
        let mut sums = Sums {
            first: vec![0.0; columns],
            products: blocks.iter().map(|&size| vec![0.0; padded(size) * padded(size)]).collect(),
        };
        let mut chunk = Vec::with_capacity(CHUNK * columns);
        for (index, values) in values.chunks_exact(inputs.elements).enumerate() {
            for_each_window(reads, values, inputs, sample + index, |window| {
                match (&channels, reads) {
                    (Some(channels), Reads::Windows(geometry)) => {
                        let pixels = window.chunks_exact(usize::from(geometry.input.channels));
                        let taken = pixels.flat_map(|pixel| &pixel[channels.clone()]);
                        chunk.extend(taken.map(|value| value * inputs.unit));
                    }
                    _ => chunk.extend(window.iter().map(|value| value * inputs.unit)),
                }
                if chunk.len() == CHUNK * columns {
                    add_chunk(&chunk, columns, &blocks, &mut sums);
                    chunk.clear();
                }
            });
        }
        add_chunk(&chunk, columns, &blocks, &mut sums);
        sums
    });
    let windows = inputs.windows() as f64;
    let unit = f64::from(inputs.unit);
    let mean: Vec<f64> = sums.first.iter().map(|sum| sum / windows).collect();
    let mut start = 0;
    let mut covariances = Vec::with_capacity(blocks.len());
    for (&size, products) in blocks.iter().zip(&sums.products) {
        let mut covariance = vec![0.0; size * size];
        for i in 0..size {
            for j in i..size {
                let product = products[i * padded(size) + j] / windows;
                let value = (product - mean[start + i] * mean[start + j]) / (unit * unit);
                covariance[i * size + j] = value;
                covariance[j * size + i] = value;
            }
        }
        covariances.push(covariance);
        start += size;
    }
    Form::new(mean.iter().map(|mean| mean / unit).collect(), covariances, inputs.windows())
}

const fn padded(size: usize) -> usize {
    size.next_multiple_of(COLUMNS)
}

/// Calls `visit` with what each row of weights is multiplied with, for every window that is looked at.
fn for_each_window(
    reads: &Reads<'_>,
    values: &[f32],
    inputs: &Inputs<'_>,
    sample: usize,
    mut visit: impl FnMut(&[f32]),
) {
    let Reads::Windows(geometry) = reads else {
        if inputs.is_taken(sample, 0) {
            visit(values);
        }
        return;
    };
    let depth = usize::from(geometry.input.channels);
    let mut window = vec![0.0; geometry.window.taps() * depth];
    let mut open = None;
    geometry.for_each_tap(|pixel, tap, place| {
        if !inputs.is_taken(sample, pixel) {
            return;
        }
        if open != Some(pixel) {
            if open.is_some() {
                visit(&window);
                window.fill(0.0);
            }
            open = Some(pixel);
        }
        window[tap * depth..(tap + 1) * depth]
            .copy_from_slice(&values[place * depth..(place + 1) * depth]);
    });
    if open.is_some() {
        visit(&window);
    }
}

/// Adds the windows of a chunk, and their products block by block.
fn add_chunk(chunk: &[f32], columns: usize, blocks: &[usize], sums: &mut Sums) {
    for window in chunk.chunks_exact(columns) {
        for (sum, &value) in sums.first.iter_mut().zip(window) {
            *sum += f64::from(value);
        }
    }
    let windows = chunk.len() / columns.max(1);
    let mut start = 0;
    for (&size, products) in blocks.iter().zip(&mut sums.products) {
        // Panels of a few columns, window after window, so that a tile reads memory in order.
        let mut panels = vec![[0.0f32; COLUMNS]; padded(size) / COLUMNS * windows];
        for (index, window) in chunk.chunks_exact(columns).enumerate() {
            let pieces = window[start..start + size].chunks(COLUMNS);
            for (panel, piece) in pieces.enumerate() {
                panels[panel * windows + index][..piece.len()].copy_from_slice(piece);
            }
        }
        add_products(&panels, windows, size, products);
        start += size;
    }
}

/// Adds `Σ x_i · x_j` over the windows of a chunk, for `j` from the panel of `i` on.
fn add_products(panels: &[[f32; COLUMNS]], windows: usize, size: usize, products: &mut [f64]) {
    Instructions::detect().run(Products { panels, windows, width: padded(size), products });
}

/// The work of [`add_products`]. Each sum is made in the order of the windows, so the vectors that a
/// processor has make no difference to it.
struct Products<'a> {
    panels: &'a [[f32; COLUMNS]],
    windows: usize,
    width: usize,
    products: &'a mut [f64],
}

impl Work for Products<'_> {
    type Result = ();

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) {
        let Self { panels, windows, width, products } = self;
        for i in (0..width).step_by(ROWS) {
            let first = i / COLUMNS;
            let rows = &panels[first * windows..(first + 1) * windows];
            let offset = i % COLUMNS;
            for panel in first..width / COLUMNS {
                let columns = &panels[panel * windows..(panel + 1) * windows];
                let mut tile = [[vectors.same_real(0.0); 2]; ROWS];
                for (row, column) in rows.iter().zip(columns) {
                    let (halves, _) = column.as_chunks::<LANES>();
                    let [low, high] = [vectors.reals(&halves[0]), vectors.reals(&halves[1])];
                    for (sums, value) in tile.iter_mut().zip(&row[offset..offset + ROWS]) {
                        let value = vectors.same_real(*value);
                        sums[0] = vectors.add_product(sums[0], value, low);
                        sums[1] = vectors.add_product(sums[1], value, high);
                    }
                }
                for (row, sums) in tile.iter().enumerate() {
                    let from = (i + row) * width + panel * COLUMNS;
                    let [low, high] = sums.map(|sums| vectors.stored(sums));
                    let products = products[from..from + COLUMNS].iter_mut();
                    for (product, &sum) in products.zip(low.iter().chain(&high)) {
                        *product += f64::from(sum);
                    }
                }
            }
        }
    }
}

/// Of a layer whose rows read a channel each.
fn by_channel(geometry: &Geometry, inputs: &Inputs<'_>) -> Vec<Form> {
    let channels = usize::from(geometry.input.channels);
    let taps = geometry.window.taps();
    let sums = total(inputs, |sample, values| {
        let mut sums = Sums {
            first: vec![0.0; taps * channels],
            products: vec![vec![0.0; taps * taps * channels]],
        };
        let mut window = vec![0.0f32; taps * channels];
        // Sums of one sample, in f32.
        let mut first = vec![0.0f32; taps * channels];
        let mut products = vec![0.0f32; taps * taps * channels];
        for (index, values) in values.chunks_exact(inputs.elements).enumerate() {
            for_each_window(&Reads::Windows(geometry), values, inputs, sample + index, |taken| {
                for (value, taken) in window.iter_mut().zip(taken) {
                    *value = taken * inputs.unit;
                }
                for (sum, value) in first.iter_mut().zip(&window) {
                    *sum += value;
                }
                for (tap, values) in window.chunks_exact(channels).enumerate() {
                    let own = &mut products[tap * taps * channels..(tap + 1) * taps * channels];
                    for (other, sums) in own.chunks_exact_mut(channels).enumerate().skip(tap) {
                        let others = &window[other * channels..(other + 1) * channels];
                        for ((sum, value), other) in sums.iter_mut().zip(values).zip(others) {
                            *sum += value * other;
                        }
                    }
                }
            });
            for (total, sum) in sums.first.iter_mut().zip(&mut first) {
                *total += f64::from(std::mem::take(sum));
            }
            for (total, sum) in sums.products[0].iter_mut().zip(&mut products) {
                *total += f64::from(std::mem::take(sum));
            }
        }
        sums
    });
    let windows = inputs.windows() as f64;
    let unit = f64::from(inputs.unit);
    let form = |channel: usize| {
        let mean: Vec<f64> =
            (0..taps).map(|tap| sums.first[tap * channels + channel] / windows).collect();
        let mut covariance = vec![0.0; taps * taps];
        for i in 0..taps {
            for j in i..taps {
                let product = sums.products[0][(i * taps + j) * channels + channel] / windows;
                let value = (product - mean[i] * mean[j]) / (unit * unit);
                covariance[i * taps + j] = value;
                covariance[j * taps + i] = value;
            }
        }
        Form::new(mean.iter().map(|mean| mean / unit).collect(), vec![covariance], inputs.windows())
    };
    (0..channels).into_par_iter().map(form).collect()
}

#[cfg(test)]
mod tests;
