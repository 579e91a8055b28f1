//! Full convolutions: the windows of three pixels become columns of lanes, then every pair of output channels is one pass over them.
//!
//! Padding is written into the columns like any activation, so no loop knows of it. A window larger than the columns have room for is
//! taken in segments of whole kernel rows, between which the sums of all channels wait in memory.

use tinyhero_common::layout::channel_pairs::{PAIR_PIXELS, PairColumns};
use tinyhero_common::operator::ConvolutionJob;

use super::expand::{expand, gather};
use super::pairs::{Pairs, Partials, Segment};
use super::{bytes_of, scratch_words};

/// `None`, with the output undefined, if the layer's layout or memory is not what the loops take.
pub(super) fn convolution_2d(
    job: &ConvolutionJob<'_>,
    input: &[i8],
    scratch: &mut [i8],
    output: &mut [i8],
) -> Option<()> {
    into_channels(job, input, scratch, output, 0, usize::from(job.output.channels))
}

/// The same into the channels from `start` on of an output that has `all`. In one place of an image, so that what it is made of is too.
#[inline(never)]
pub(super) fn into_channels(
    job: &ConvolutionJob<'_>,
    input: &[i8],
    scratch: &mut [i8],
    output: &mut [i8],
    start: usize,
    all: usize,
) -> Option<()> {
    let channels = usize::from(job.output.channels);
    let (zero_point, activation) = (job.output_zero_point, job.activation);
    let pairs = Pairs::new(&job.weights, job.channels, channels, zero_point, activation)?;
    let plan = PairColumns::new(job.window, job.weights.bit_width, job.input, job.output);
    let words = scratch_words(scratch)?;
    let (columns, words) = words.split_at_mut_checked(plan.column_bytes / 4)?;
    let (partials, words) = words.split_at_mut_checked(plan.partial_bytes / 4)?;
    let partials = as_sums(partials);
    let mut windows = Windows {
        image: Image::new(job, input)?,
        plan,
        gathered: bytes_of(words).get_mut(..plan.gathered_bytes)?,
        with_sums: pairs.offset != 0,
    };
    let pixels = job.output.pixels();
    let mut next = 0;
    while next < pixels {
        // The last three overlap the ones before, which get the same values again. Fewer than three are three times the same.
        let (first, distance) = match pixels.checked_sub(PAIR_PIXELS) {
            Some(last) => (next.min(last), 1),
            None => (next, 0),
        };
        let tile = Tile::new(&windows.image, first, distance);
        let (place, distance) = (first * all + start, distance * all);
        let mut row = 0;
        while row < windows.image.kernel_rows {
            let end = (row + plan.rows).min(windows.image.kernel_rows);
            let segment = windows.segment(row, end);
            let columns = columns.get_mut(..segment.depth * PAIR_PIXELS / 2)?;
            let sums = windows.fill(&tile, row, end, columns)?;
            let ends = end == windows.image.kernel_rows;
            let partials = Partials { resumes: row > 0, ends, sums: partials };
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

/// The image and the window that slides over it.
struct Image<'a> {
    values: &'a [i8],
    height: i32,
    width: i32,
    depth: usize,
    kernel_rows: usize,
    kernel_columns: i32,
    strides: (i32, i32),
    padding: (i32, i32),
    output_width: usize,
    zero_point: i8,
}

impl<'a> Image<'a> {
    fn new(job: &ConvolutionJob<'_>, input: &'a [i8]) -> Option<Self> {
        let window = job.window;
        let mut image = Self {
            values: input.get(..job.input.elements())?,
            height: i32::from(job.input.height),
            width: i32::from(job.input.width),
            depth: usize::from(job.input.channels),
            kernel_rows: usize::from(window.kernel_height),
            kernel_columns: i32::from(window.kernel_width),
            strides: (i32::from(window.stride_height), i32::from(window.stride_width)),
            padding: (i32::from(window.padding_top), i32::from(window.padding_left)),
            output_width: usize::from(job.output.width),
            zero_point: job.input_zero_point,
        };
        let same_size =
            job.input.height == job.output.height && job.input.width == job.output.width;
        if window.taps() == 1 && image.strides == (1, 1) && same_size {
            // To a window of one pixel, the image is one long row.
            image.width *= image.height;
            image.height = 1;
            image.output_width = job.output.pixels();
        }
        Some(image)
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

    /// Where in the image a window begins of which this many columns are asked for, if all of it is inside.
    fn start_inside(&self, place: Place, rows: i32, columns: i32) -> Option<usize> {
        let Place { top, left } = place;
        let inside =
            top >= 0 && left >= 0 && top + rows <= self.height && left + columns <= self.width;
        inside.then(|| (top * self.width + left) as usize * self.depth)
    }

    /// One line of a window, its taps outside the image filled with the zero point.
    fn line(&self, place: Place, row: usize, room: &mut [i8]) {
        let y = place.top + row as i32;
        let first = (-place.left).max(0).min(self.kernel_columns);
        let last = if y >= 0 && y < self.height {
            (self.width - place.left).max(first).min(self.kernel_columns)
        } else {
            first
        };
        room.fill(self.zero_point);
        let (from, to) = (first as usize * self.depth, last as usize * self.depth);
        let start = (y * self.width + place.left + first) as usize * self.depth;
        if from < to
            && let Some(middle) = room.get_mut(from..to)
            && let Some(values) = self.values.get(start..start + (to - from))
        {
            for (value, &activation) in middle.iter_mut().zip(values) {
                *value = activation;
            }
        }
    }
}

/// Three pixels whose windows are laid out together.
struct Tile {
    places: [Place; 3],
    /// Where the first window begins in the image, if all three are inside and side by side.
    start: Option<usize>,
}

impl Tile {
    /// The tile of three pixels from `first` on, or of three times the first where the distance is 0.
    fn new(image: &Image<'_>, first: usize, distance: usize) -> Self {
        let place = image.place(first);
        let stride = image.strides.1 * distance as i32;
        let start = image.start_inside(
            place,
            image.kernel_rows as i32,
            2 * image.strides.1 + image.kernel_columns,
        );
        // In the image, but is the third still in the same output row?
        let last = Place { left: place.left + 2 * stride, ..place };
        let end = (image.output_width as i32 - 1) * image.strides.1 - image.padding.1;
        if let (Some(start), true, true) = (start, distance == 1, last.left <= end) {
            let second = Place { left: place.left + stride, ..place };
            return Self { places: [place, second, last], start: Some(start) };
        }
        let places = [place, image.place(first + distance), image.place(first + 2 * distance)];
        Self { places, start: None }
    }
}

/// The image and the memory that windows of it pass through.
struct Windows<'a> {
    image: Image<'a>,
    plan: PairColumns,
    gathered: &'a mut [i8],
    /// Whether sums of activations are needed.
    with_sums: bool,
}

impl Windows<'_> {
    /// The segment of kernel rows `row .. end`.
    const fn segment(&self, row: usize, end: usize) -> Segment {
        let start = row * self.plan.line;
        let depth = if self.plan.divided { (end - row) * self.plan.line } else { self.plan.depth };
        Segment { start, depth }
    }

    /// Fills the columns with kernel rows `row .. end` of three windows, and zeros behind them. Returns the sum of each window's
    /// activations if they are needed.
    fn fill(
        &mut self,
        tile: &Tile,
        row: usize,
        end: usize,
        columns: &mut [u32],
    ) -> Option<[i32; 3]> {
        let mut sums = [0; 3];
        let rest = if !self.plan.line.is_multiple_of(4) {
            self.fill_gathered(tile, row, end, columns, &mut sums)?
        } else if let Some(start) = tile.start {
            self.fill_inside(start, row, end, columns, &mut sums)?
        } else {
            self.fill_partly_outside(tile, row, end, columns, &mut sums)?
        };
        for word in rest {
            *word = 0;
        }
        Some(sums)
    }

    /// Three windows inside the image, side by side: straight from there.
    fn fill_inside<'c>(
        &self,
        start: usize,
        row: usize,
        end: usize,
        columns: &'c mut [u32],
        sums: &mut [i32; 3],
    ) -> Option<&'c mut [u32]> {
        let image = &self.image;
        let pitch = image.width as usize * image.depth;
        let step = image.strides.1 as usize * image.depth;
        let mut columns = columns;
        let mut start = start + row * pitch;
        for _ in row..end {
            let values = image.values.get(start..start + 2 * step + self.plan.line)?;
            let second = values.get(step..)?;
            let third = second.get(step..)?;
            let lines = [values, second, third];
            columns = expand(lines, self.plan.line, columns, self.with_sums.then_some(&mut *sums))?;
            start += pitch;
        }
        Some(columns)
    }

    /// Windows that leave the image, or lie in two rows of it: each line from the image or, where it leaves, put together first.
    fn fill_partly_outside<'c>(
        &mut self,
        tile: &Tile,
        row: usize,
        end: usize,
        columns: &'c mut [u32],
        sums: &mut [i32; 3],
    ) -> Option<&'c mut [u32]> {
        let line = self.plan.line;
        let mut columns = columns;
        for row in row..end {
            let mut starts = [None; 3];
            let mut rest = &mut *self.gathered;
            for (place, start) in tile.places.iter().zip(&mut starts) {
                let at_row = Place { top: place.top + row as i32, left: place.left };
                *start = self.image.start_inside(at_row, 1, self.image.kernel_columns);
                if start.is_none() {
                    let (room, behind) = rest.split_at_mut_checked(line)?;
                    rest = behind;
                    self.image.line(*place, row, room);
                }
            }
            let mut gathered = &*self.gathered;
            let mut lines = [&[] as &[i8]; 3];
            for (values, start) in lines.iter_mut().zip(starts) {
                match start {
                    Some(start) => *values = self.image.values.get(start..start + line)?,
                    None => (*values, gathered) = gathered.split_at_checked(line)?,
                }
            }
            columns = expand(lines, line, columns, self.with_sums.then_some(&mut *sums))?;
        }
        Some(columns)
    }

    /// Lines that are no whole words: the whole windows are put together first. Such windows are never divided.
    fn fill_gathered<'c>(
        &mut self,
        tile: &Tile,
        row: usize,
        end: usize,
        columns: &'c mut [u32],
        sums: &mut [i32; 3],
    ) -> Option<&'c mut [u32]> {
        let (line, depth) = (self.plan.line, self.plan.depth);
        let image = &self.image;
        let pitch = image.width as usize * image.depth;
        for (pixel, place) in tile.places.iter().enumerate() {
            let room = self.gathered.get_mut(pixel * depth..)?;
            let start = image.start_inside(*place, (end - row) as i32, image.kernel_columns);
            let copied =
                start.and_then(|start| gather(image.values, start, pitch, line, end - row, room));
            if copied.is_none() {
                for (row, room) in (row..end).zip(room.chunks_exact_mut(line.max(1))) {
                    image.line(*place, row, room);
                }
            }
            for value in room.get_mut(line * (end - row)..depth)? {
                *value = 0;
            }
        }
        let (first, rest) = self.gathered.split_at_checked(depth)?;
        let (second, third) = rest.split_at_checked(depth)?;
        expand([first, second, third], depth, columns, self.with_sums.then_some(sums))
    }
}

/// Words of scratch memory as sums.
fn as_sums(words: &mut [u32]) -> &mut [i32] {
    // SAFETY: every bit pattern is an i32, whose size and alignment are those of u32.
    let (_, sums, _) = unsafe { words.align_to_mut::<i32>() };
    sums
}
