//! Depthwise convolutions with windows of up to three rows and four columns; others are left to the portable kernels.
//!
//! `VMLADAVA` sums over lanes, so a window of one channel must lie in one vector, while the image has its channels side by side. `VST4`
//! interleaves the three rows of a window byte by byte, four instructions for 16 columns or channels, into words that hold the three taps of a
//! column; one gathering load of the words of a window's columns then brings all its taps, and one `VMLAV` makes the sum. With the table of
//! addresses that is 2.5 instructions a pixel and channel whatever the number of taps, and 5 with requantize.
//!
//! A block of output pixels is transposed for a group of 16 channels at a time. Where there are fewer channels, all of them make one group and
//! rows are taken as runs of bytes.

use core::array;
use core::mem::offset_of;

use tinyhero_common::bit_width::field_bits;
use tinyhero_common::layout::Layout;
use tinyhero_common::layout::vector_pairs::LANES;
use tinyhero_common::layout::vector_rows::{
    Blocks, MOST_TAP_COLUMNS, MOST_TAP_ROWS, OCTET, TAP_BYTES, place, row_bytes,
};
use tinyhero_common::operator::ConvolutionJob;

use super::Table;
use crate::kernel::offsets::{assert_offsets, assert_words};

core::arch::global_asm!(include_str!("depthwise.s"), options(raw));

/// One output row of a block: the lines that its windows read, to be interleaved. The routine moves the sources on.
#[repr(C)]
#[derive(Clone, Copy)]
struct Transpose {
    destination: *mut i8,
    sources: [*const i8; MOST_TAP_ROWS],
    /// From one vector of a source to the next; 0 for a line of padding, whose source is one vector.
    steps: [usize; MOST_TAP_ROWS],
    /// Whole vectors, and bytes of another one.
    vectors: usize,
    tail: usize,
    /// Bytes of padding before and behind them.
    left: usize,
    right: usize,
    zero_point: i32,
    /// How far sources that move are to be moved on at the end.
    advance: usize,
}

assert_offsets!("depthwise.s", Transpose, ".Ltranspose_": "sources" = sources, "advance" = advance);
// All but the last are loaded at once.
assert_words!(Transpose: destination, sources);
const _: () = assert!(
    offset_of!(Transpose, steps) == 16
        && offset_of!(Transpose, vectors) == 28
        && offset_of!(Transpose, tail) == 32
        && offset_of!(Transpose, left) == 36
        && offset_of!(Transpose, right) == 40
        && offset_of!(Transpose, zero_point) == 44
);

/// `octets` times eight pixels of `channels` channels. The routine counts in it.
#[repr(C)]
struct Job {
    weights: *const u8,
    table: Table,
    output: *mut i8,
    channels: usize,
    row_bytes: usize,
    /// How far fields move down from the top of a byte, negative.
    down: i32,
    /// Where the window of each pixel begins in the first channel.
    addresses: *const *const i8,
    /// Where the output of each pixel goes to, from `output` on.
    offsets: *const u16,
    octets: usize,
    zero_point: i32,
    activation_min: i32,
    activation_max: i32,
    /// Which lanes have a tap.
    mask: u32,
    /// Where the words of a window are.
    columns: [u32; MOST_TAP_COLUMNS],
    /// Byte of the row, and how far to move its field up, for each lane.
    bytes: [u8; LANES],
    up: [u8; LANES],
}

assert_offsets!(
    "depthwise.s", Job, ".Ldepthwise_":
    "channels" = channels,
    "addresses" = addresses,
    "octets" = octets,
    "zero_point" = zero_point,
    "activation_min" = activation_min,
    "mask" = mask,
    "columns" = columns,
);
assert_words!(
    Job: weights, table.biases, table.multipliers, table.shifts, output, channels, row_bytes, down,
    addresses, offsets, octets, zero_point, activation_min, activation_max, mask, columns
);
// Vectors that are loaded one behind the other.
const _: () = assert!(
    offset_of!(Job, bytes) == offset_of!(Job, columns) + 16
        && offset_of!(Job, up) == offset_of!(Job, bytes) + 16
);

// SAFETY: `depthwise.s` defines these routines with these arguments; each call says why it keeps to what they ask.
unsafe extern "C" {
    fn tinyhero_helium_transpose(job: *mut Transpose);
    fn tinyhero_helium_depthwise(job: *mut Job);
    fn tinyhero_helium_depthwise_left(job: *mut Job);
}

/// `None`, with the output in an undefined state, for jobs that these kernels do not take.
pub(super) fn depthwise_convolution_2d(
    job: &ConvolutionJob<'_>,
    input: &[i8],
    scratch: &mut [i8],
    output: &mut [i8],
) -> Option<()> {
    let layer = Layer::new(job, input, output.len())?;
    let blocks = layer.blocks;
    let scratch = scratch.get_mut(..blocks.bytes)?;
    if !scratch.as_ptr().addr().is_multiple_of(4) {
        return None;
    }
    let (height, width) = (usize::from(job.output.height), usize::from(job.output.width));
    let mut tables = Tables { rows: 0, columns: 0, octets: 0 };
    let mut y = 0;
    while y < height {
        let rows = blocks.rows.min(height - y);
        let mut x = 0;
        while x < width {
            let columns = blocks.columns.min(width - x);
            if (tables.rows, tables.columns) != (rows, columns) {
                tables = layer.write_tables(rows, columns, scratch)?;
            }
            layer.block(y, x, &tables, scratch, output)?;
            x += columns.max(1);
        }
        y += rows.max(1);
    }
    Some(())
}

/// The pixels of a block, which are described in scratch memory behind the transposed rows.
struct Tables {
    rows: usize,
    columns: usize,
    octets: usize,
}

struct Layer<'a, 'j> {
    job: &'a ConvolutionJob<'j>,
    input: &'a [i8],
    blocks: Blocks,
    table: Table,
    row_bytes: usize,
    routine: unsafe extern "C" fn(*mut Job),
    mask: u32,
    bytes: [u8; LANES],
    up: [u8; LANES],
    padding: [i8; LANES],
}

impl<'a, 'j> Layer<'a, 'j> {
    fn new(job: &'a ConvolutionJob<'j>, input: &'a [i8], output: usize) -> Option<Self> {
        let weights = job.weights;
        let blocks = Blocks::new(job.window, job.input, job.output)?;
        let channels = usize::from(job.input.channels);
        let row_bytes = row_bytes(weights.bit_width, weights.row_length);
        let kernel_width = usize::from(job.window.kernel_width);
        let fits = weights.layout == Layout::VectorRows
            && weights.bytes.len() == row_bytes.checked_mul(channels)?
            && weights.row_length == job.window.taps()
            && output == job.output.elements()
            && channels == usize::from(job.output.channels)
            && channels > 0;
        if !fits {
            return None;
        }
        let table = Table::new(job.channels, channels)?;
        let (_, _, shifts) = job.channels.parts();
        let left = shifts.iter().any(|shift| shift.cast_signed() < 1);
        let (mut mask, mut bytes, mut up) = (0, [0; LANES], [0; LANES]);
        let unused = 8 - field_bits(weights.bit_width);
        let lanes = bytes.iter_mut().zip(&mut up).enumerate();
        for (lane, (byte, up)) in lanes {
            // A lane is a byte of a column's word, the words one after the other.
            let (row, column) = (lane % TAP_BYTES, lane / TAP_BYTES);
            if row < usize::from(job.window.kernel_height) && column < kernel_width {
                let (index, bit) = place(weights.bit_width, row * kernel_width + column);
                // There are twelve taps at most.
                *byte = index as u8;
                *up = unused.wrapping_sub(bit) as u8;
                mask |= 1 << lane;
            }
        }
        Some(Self {
            job,
            input,
            blocks,
            table,
            row_bytes,
            routine: if left { tinyhero_helium_depthwise_left } else { tinyhero_helium_depthwise },
            mask,
            bytes,
            up,
            padding: [job.input_zero_point; LANES],
        })
    }

    /// The transposed rows with their spare bytes, the addresses and the offsets, each as far as a full block needs it.
    fn parts<'s>(
        &self,
        scratch: &'s mut [i8],
    ) -> Option<(&'s mut [i8], &'s mut [i8], &'s mut [i8])> {
        let transposed = self.blocks.rows * self.blocks.line + Blocks::SPARE;
        let (rows, rest) = scratch.split_at_mut_checked(transposed)?;
        let (addresses, offsets) = rest.split_at_mut_checked(4 * self.blocks.pixels)?;
        Some((rows, addresses, offsets))
    }

    /// Describes the pixels of a block; the last octet is filled up with its last pixel.
    fn write_tables(&self, rows: usize, columns: usize, scratch: &mut [i8]) -> Option<Tables> {
        let pixels = rows * columns;
        let octets = pixels.div_ceil(OCTET);
        let (width, depth) =
            (usize::from(self.job.output.width), usize::from(self.job.output.channels));
        // Offsets have 16 bits.
        if ((rows - 1) * width + columns - 1) * depth > usize::from(u16::MAX) {
            return None;
        }
        let step = usize::from(self.job.window.stride_width) * self.blocks.group * TAP_BYTES;
        let (transposed, addresses, offsets) = self.parts(scratch)?;
        let base = transposed.as_ptr();
        let places =
            addresses.as_chunks_mut::<4>().0.iter_mut().zip(offsets.as_chunks_mut::<2>().0);
        let (mut row, mut column) = (0, 0);
        for (address, offset) in places.take(octets * OCTET) {
            let pixel = base.wrapping_add(row * self.blocks.line + column * step);
            *address = (pixel.expose_provenance() as u32).to_le_bytes().map(u8::cast_signed);
            let place = (row * width + column) * depth;
            *offset = (place as u16).to_le_bytes().map(u8::cast_signed);
            if column + 1 < columns {
                column += 1;
            } else if row + 1 < rows {
                (row, column) = (row + 1, 0);
            }
        }
        Some(Tables { rows, columns, octets })
    }

    /// Computes all channels of the block at `(y, x)`.
    fn block(
        &self,
        y: usize,
        x: usize,
        tables: &Tables,
        scratch: &mut [i8],
        output: &mut [i8],
    ) -> Option<()> {
        let (transposed, addresses, offsets) = self.parts(scratch)?;
        let depth = usize::from(self.job.output.channels);
        let width = usize::from(self.job.output.width);
        let first = (y * width + x) * depth;
        let last = ((tables.rows - 1) * width + tables.columns - 1) * depth;
        let output = output.get_mut(first..first + last + depth)?;
        if tables.octets * OCTET > self.blocks.pixels {
            return None;
        }
        // All lines by one pointer: whole vectors go into the beginning of the next line, and a slice of that would end what this one may
        // do. The addresses of the pixels are taken of it too.
        let (lines, end) = (transposed.as_mut_ptr(), transposed.len());
        lines.expose_provenance();
        let mut rows = heapless::Vec::<Transpose, OCTET>::new();
        for number in 0..tables.rows {
            let start = number * self.blocks.line;
            let (line, room) = (lines.wrapping_add(start), end.checked_sub(start)?);
            rows.push(self.transpose(y + number, x, tables.columns, line, room)?).ok()?;
        }
        let mut job = Job {
            weights: self.job.weights.bytes.as_ptr(),
            table: self.table,
            output: output.as_mut_ptr(),
            channels: 0,
            row_bytes: self.row_bytes,
            down: field_bits(self.job.weights.bit_width) as i32 - 8,
            addresses: addresses.as_ptr().cast(),
            offsets: offsets.as_ptr().cast(),
            octets: tables.octets,
            zero_point: self.job.output_zero_point.into(),
            activation_min: self.job.activation.min.into(),
            activation_max: self.job.activation.max.into(),
            mask: self.mask,
            columns: self.columns(),
            bytes: self.bytes,
            up: self.up,
        };
        let last_group = depth - self.blocks.group;
        let mut channel = 0;
        loop {
            // The last group takes the last channels, some of them once more.
            let next = (channel + self.blocks.group).min(last_group);
            for row in &mut rows {
                row.advance = next - channel;
                // SAFETY: `transpose` has checked the destination, and the sources for every group up to the last, whose first channel
                // `next` never exceeds.
                unsafe { tinyhero_helium_transpose(&raw mut *row) };
            }
            job.channels = self.blocks.group;
            // SAFETY: `channel + group` channels are at most all, for which weights, table and output have room; the routine moves its
            // pointers on by a group. The weights' lanes read bytes of the row alone. Addresses and offsets are those of
            // `write_tables`: a window's words, moved by four bytes a channel, end inside the line of its row, and outputs inside
            // `output`. Tables and transposed rows begin at multiples of 4.
            unsafe { (self.routine)(&raw mut job) };
            if channel == last_group {
                return Some(());
            }
            let again = channel + self.blocks.group - next;
            job.weights = job.weights.wrapping_sub(again * self.row_bytes);
            job.table = job.table.back(again);
            job.output = job.output.wrapping_sub(again);
            channel = next;
        }
    }

    /// Where the words of a window are; columns that it does not have repeat the first, against weights of zero.
    fn columns(&self) -> [u32; MOST_TAP_COLUMNS] {
        array::from_fn(|column| {
            if column < usize::from(self.job.window.kernel_width) {
                (column * self.blocks.group * TAP_BYTES) as u32
            } else {
                0
            }
        })
    }

    /// What the windows of the first group of `columns` output pixels from `(y, x)` on read, into a line with `room` bytes up to the end of
    /// the transposed rows.
    fn transpose(
        &self,
        y: usize,
        x: usize,
        columns: usize,
        line: *mut i8,
        room: usize,
    ) -> Option<Transpose> {
        let window = self.job.window;
        let [top, left] = [window.padding_top, window.padding_left].map(usize::from);
        let (height, width) =
            (usize::from(self.job.input.height), usize::from(self.job.input.width));
        let channels = usize::from(self.job.input.channels);
        let stride = usize::from(window.stride_width);
        let wanted = (columns - 1) * stride + usize::from(window.kernel_width);
        let before = left.saturating_sub(x * stride).min(wanted);
        let end = (width + left).saturating_sub(x * stride).min(wanted).max(before);
        let column = (x * stride + before).saturating_sub(left);
        let pixel_bytes = self.blocks.group * TAP_BYTES;

        // A vector is one column of 16 channels, or 16 bytes of all columns and channels.
        let inside = end - before;
        let grouped = channels >= LANES;
        let (vectors, tail, step) = if grouped {
            (inside, 0, channels)
        } else {
            (inside * channels / LANES, inside * channels % LANES, LANES)
        };
        // Sources of the last group end where the channels of the last column end.
        let source_bytes = inside * channels;
        let mut sources = [self.padding.as_ptr(); MOST_TAP_ROWS];
        let mut steps = [0; MOST_TAP_ROWS];
        let first_row = y * usize::from(window.stride_height);
        let rows = usize::from(window.kernel_height);
        for (row, (source, step_of)) in sources.iter_mut().zip(&mut steps).take(rows).enumerate() {
            let Some(row) = (first_row + row).checked_sub(top) else { continue };
            if row < height && inside > 0 {
                let place = (row * width + column) * channels;
                *source = self.input.get(place..place + source_bytes)?.as_ptr();
                *step_of = step;
            }
        }
        let [before, inside, after] =
            [before, inside, wanted - end].map(|columns| columns * pixel_bytes);
        let written = before + inside + after;
        if written > self.blocks.line || room < written + Blocks::SPARE {
            return None;
        }
        Some(Transpose {
            destination: line,
            sources,
            steps,
            vectors,
            tail,
            left: before,
            right: after,
            zero_point: self.job.input_zero_point.into(),
            advance: 0,
        })
    }
}
