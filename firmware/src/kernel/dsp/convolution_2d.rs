//! Full convolutions: the windows of three pixels become columns of lanes, then every pair of output channels is one pass over them.
//!
//! Padding is written into the columns like any activation, so no loop knows of it. A window larger than the columns have room for is
//! taken in segments of whole kernel rows, between which the sums of all channels wait in memory.

use tinyhero_common::kernel::Convolution;
use tinyhero_common::kernel::scratch::{PAIR_PIXELS, PairColumns};

use super::expand::expand;
use super::pairs::{Pairs, Partials, Segment};
use super::{bytes_of, scratch_words};

/// `None`, with the output undefined, if the layer's layout or memory is not what the loops take.
pub(super) fn convolution_2d(
    job: &Convolution<'_>,
    input: &[i8],
    scratch: &mut [i8],
    output: &mut [i8],
) -> Option<()> {
    let channels = usize::from(job.output.channels);
    let (zero_point, activation) = (job.output_zero_point, job.activation);
    let pairs = Pairs::new(&job.weights, job.channels, channels, zero_point, activation)?;
    let plan = PairColumns::new(job.window, job.weights.bit_width, job.input, job.output);
    let mut windows = Windows::new(job, plan, input, scratch)?;
    let pixels = job.output.pixels();
    let mut next = 0;
    while next < pixels {
        // The last three overlap the ones before, which get the same values again. Fewer than three are three times the same.
        let (first, distance) = match pixels.checked_sub(PAIR_PIXELS) {
            Some(last) => (next.min(last), 1),
            None => (next, 0),
        };
        let places = [0, 1, 2].map(|pixel| windows.place(first + pixel * distance));
        let mut row = 0;
        while row < windows.kernel_rows {
            let end = (row + plan.rows).min(windows.kernel_rows);
            let segment = windows.segment(row, end);
            let sums = windows.fill(&places, row, end, segment.depth, pairs.offset != 0)?;
            let partials = Partials {
                resumes: row > 0,
                ends: end == windows.kernel_rows,
                sums: windows.partials,
            };
            let columns = windows.columns.get(..segment.depth * PAIR_PIXELS / 2)?;
            let (place, distance) = (first * channels, distance * channels);
            pairs.tile(columns, segment, sums, partials, output, place, distance)?;
            row = end;
        }
        next += if distance == 0 { 1 } else { PAIR_PIXELS };
    }
    Some(())
}

/// Where the window of a pixel begins in the image; negative in the padding.
#[derive(Clone, Copy)]
struct Place {
    top: i32,
    left: i32,
}

/// The image and the memory that windows of it are laid out in.
struct Windows<'a> {
    input: &'a [i8],
    plan: PairColumns,
    height: i32,
    width: i32,
    depth: usize,
    kernel_rows: usize,
    kernel_columns: i32,
    strides: (i32, i32),
    padding: (i32, i32),
    output_width: usize,
    zero_point: i8,
    columns: &'a mut [u32],
    partials: &'a mut [i32],
    gathered: &'a mut [i8],
}

impl<'a> Windows<'a> {
    fn new(
        job: &Convolution<'_>,
        plan: PairColumns,
        input: &'a [i8],
        scratch: &'a mut [i8],
    ) -> Option<Self> {
        let window = job.window;
        let words = scratch_words(scratch)?;
        let (columns, words) = words.split_at_mut_checked(plan.column_bytes / 4)?;
        let (partials, words) = words.split_at_mut_checked(plan.partial_bytes / 4)?;
        let gathered = bytes_of(words).get_mut(..plan.gathered_bytes)?;
        Some(Self {
            input: input.get(..job.input.elements())?,
            plan,
            height: i32::from(job.input.height),
            width: i32::from(job.input.width),
            depth: usize::from(job.input.channels),
            kernel_rows: usize::from(window.kernel_height),
            kernel_columns: i32::from(window.kernel_width),
            strides: (i32::from(window.stride_height), i32::from(window.stride_width)),
            padding: (i32::from(window.padding_top), i32::from(window.padding_left)),
            output_width: usize::from(job.output.width),
            zero_point: job.input_zero_point,
            columns,
            partials: as_sums(partials),
            gathered,
        })
    }

    /// Where the window of an output pixel begins.
    fn place(&self, pixel: usize) -> Place {
        let y = pixel.checked_div(self.output_width).unwrap_or(0);
        let x = pixel - y * self.output_width;
        Place {
            top: y as i32 * self.strides.0 - self.padding.0,
            left: x as i32 * self.strides.1 - self.padding.1,
        }
    }

    /// The segment of kernel rows `row .. end`.
    const fn segment(&self, row: usize, end: usize) -> Segment {
        let start = row * self.plan.line;
        let depth = if self.plan.divided { (end - row) * self.plan.line } else { self.plan.depth };
        Segment { start, depth }
    }

    /// Fills the columns with kernel rows `row .. end` of three windows, and zeros up to `depth`. Returns the sum of each window's activations
    /// if they are asked for.
    fn fill(
        &mut self,
        places: &[Place; 3],
        row: usize,
        end: usize,
        depth: usize,
        with_sums: bool,
    ) -> Option<[i32; 3]> {
        let mut sums = [0; 3];
        let line = self.plan.line;
        let size = self.size();
        let mut columns = self.columns.get_mut(..depth * PAIR_PIXELS / 2)?;
        if line.is_multiple_of(4) {
            for row in row..end {
                let mut inside = [None; 3];
                for (pixel, (place, inside)) in places.iter().zip(&mut inside).enumerate() {
                    *inside = line_inside(self.input, *place, row, size, self.depth, line);
                    if inside.is_none() {
                        let room = self.gathered.get_mut(pixel * line..(pixel + 1) * line)?;
                        let image = (self.input, self.height, self.width, self.depth);
                        gather(image, *place, row, self.kernel_columns, self.zero_point, room);
                    }
                }
                let mut lines = [&[] as &[i8]; 3];
                for (pixel, (line_of, inside)) in lines.iter_mut().zip(inside).enumerate() {
                    *line_of = match inside {
                        Some(line) => line,
                        None => self.gathered.get(pixel * line..(pixel + 1) * line)?,
                    };
                }
                columns = expand(lines, columns, with_sums.then_some(&mut sums))?;
            }
        } else {
            let whole = line * (end - row);
            for (place, room) in places.iter().zip(self.gathered.chunks_exact_mut(depth)) {
                let (lines, padding) = room.split_at_mut_checked(whole)?;
                for (row, room) in (row..end).zip(lines.chunks_exact_mut(line.max(1))) {
                    let image = (self.input, self.height, self.width, self.depth);
                    gather(image, *place, row, self.kernel_columns, self.zero_point, room);
                }
                padding.fill(0);
            }
            let (first, rest) = self.gathered.split_at_checked(depth)?;
            let (second, third) = rest.split_at_checked(depth)?;
            let lines = [first, second, third.get(..depth)?];
            columns = expand(lines, columns, with_sums.then_some(&mut sums))?;
        }
        columns.fill(0);
        Some(sums)
    }

    const fn size(&self) -> (i32, i32, i32) {
        (self.height, self.width, self.kernel_columns)
    }
}

/// A window's line in place, if all of it is inside the image.
fn line_inside(
    input: &[i8],
    place: Place,
    row: usize,
    (height, width, kernel_columns): (i32, i32, i32),
    depth: usize,
    line: usize,
) -> Option<&[i8]> {
    let y = place.top + row as i32;
    let inside = y >= 0 && y < height && place.left >= 0 && place.left + kernel_columns <= width;
    if !inside {
        return None;
    }
    let start = (y * width + place.left) as usize * depth;
    input.get(start..start + line)
}

/// A window's line, its taps outside the image filled with the zero point.
fn gather(
    (input, height, width, depth): (&[i8], i32, i32, usize),
    place: Place,
    row: usize,
    kernel_columns: i32,
    zero_point: i8,
    room: &mut [i8],
) {
    let y = place.top + row as i32;
    let first = (-place.left).max(0).min(kernel_columns);
    let last = if y >= 0 && y < height {
        (width - place.left).max(first).min(kernel_columns)
    } else {
        first
    };
    let (before, inside, behind) = (
        first as usize * depth,
        (last - first) as usize * depth,
        (kernel_columns - last) as usize * depth,
    );
    let Some((left, rest)) = room.split_at_mut_checked(before) else { return };
    let Some((middle, right)) = rest.split_at_mut_checked(inside) else { return };
    left.fill(zero_point);
    if inside > 0 {
        let start = (y * width + place.left + first) as usize * depth;
        if let Some(values) = input.get(start..start + inside) {
            for (value, &activation) in middle.iter_mut().zip(values) {
                *value = activation;
            }
        }
    }
    if let Some(right) = right.get_mut(..behind) {
        right.fill(zero_point);
    }
}

/// Words of scratch memory as sums.
fn as_sums(words: &mut [u32]) -> &mut [i32] {
    // SAFETY: every bit pattern is an i32, whose size and alignment are those of u32.
    let (_, sums, _) = unsafe { words.align_to_mut::<i32>() };
    sums
}
