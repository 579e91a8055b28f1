//! Shapes of a convolution, and where each of its outputs reads.

use crate::window::PaddingAmounts;

/// Shapes of one convolution. Images are height, width, channel; channel fastest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Input height and width.
    pub input: [usize; 2],
    /// Output height and width.
    pub output: [usize; 2],
    /// Input channels.
    pub channels: usize,
    /// Output channels; the input channels again where `depthwise`.
    pub out_channels: usize,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Vertical and horizontal stride.
    pub stride: [usize; 2],
    /// Zeros around the input.
    pub padding: PaddingAmounts,
    /// Whether each channel has one kernel of its own.
    pub depthwise: bool,
}

impl Geometry {
    /// Values of one input image.
    pub const fn input_size(&self) -> usize {
        self.input[0] * self.input[1] * self.channels
    }

    /// Pixels of one output image.
    pub const fn output_pixels(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Values of one output image.
    pub const fn output_size(&self) -> usize {
        self.output_pixels() * self.out_channels
    }

    /// Terms of one output value.
    pub const fn terms(&self) -> usize {
        self.kernel[0] * self.kernel[1] * if self.depthwise { 1 } else { self.channels }
    }

    /// All weights.
    pub const fn weights(&self) -> usize {
        self.terms() * self.out_channels
    }

    /// Multiply-accumulates for one sample, padding counted as if it were data.
    pub const fn macs(&self) -> u64 {
        (self.output_size() * self.terms()) as u64
    }
}

/// An image laid into a larger one of zeros, so that windows need no bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Height and width of the image.
    pub image: [usize; 2],
    /// Channels of both.
    pub channels: usize,
    /// Rows and columns of zeros before the image.
    pub before: [usize; 2],
    /// Height and width of the frame; an image that reaches beyond it is cut off.
    pub size: [usize; 2],
}

impl Frame {
    /// Values of the frame.
    pub const fn values(&self) -> usize {
        self.size[0] * self.size[1] * self.channels
    }

    /// Whether the frame is just the image.
    pub fn is_image(&self) -> bool {
        self.before == [0, 0] && self.size == self.image
    }

    /// Copies `images` (several, one after the other) into frames, one after the other.
    pub fn fill<T: Copy + Default>(&self, images: &[T], frames: &mut Vec<T>) {
        let [height, width] = self.size;
        frames.clear();
        let rows = self.image[0].min(height.saturating_sub(self.before[0]));
        let columns = self.image[1].min(width.saturating_sub(self.before[1]));
        let line = self.image[1] * self.channels;
        let zeros = |frames: &mut Vec<T>, pixels: usize| {
            frames.resize(frames.len() + pixels * self.channels, T::default());
        };
        for image in images.chunks_exact(self.image[0] * line) {
            zeros(frames, self.before[0] * width);
            for row in image.chunks_exact(line).take(rows) {
                zeros(frames, self.before[1]);
                frames.extend_from_slice(&row[..columns * self.channels]);
                zeros(frames, width - self.before[1] - columns);
            }
            zeros(frames, (height - self.before[0] - rows) * width);
        }
    }
}

/// What some pixels read and where they go: each reads `segments` runs of `length` taps.
///
/// The same description serves a convolution and the gradient of its input, which for every remainder of position by stride is
/// a convolution of the output's gradient with some of the taps, in reverse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    /// First pixel that each of one image's pixels reads, in the frame.
    pub sources: Vec<u32>,
    /// The pixel that it gives.
    pub destinations: Vec<u32>,
    /// Runs, one for each row of taps.
    pub segments: usize,
    /// Taps of a run, one pixel after the other.
    pub length: usize,
    /// Pixels from one run to the next: the frame's width.
    pub pitch: usize,
    /// For each tap in the order of reading, its row and column in the kernel.
    pub taps: Vec<[usize; 2]>,
}

/// The frame that outputs read the input through, and their windows.
pub fn forward_windows(geometry: &Geometry) -> (Frame, Windows) {
    let Geometry { input, output, kernel, stride, padding, .. } = *geometry;
    let size = [0, 1].map(|axis| (output[axis] - 1) * stride[axis] + kernel[axis]);
    let before = [padding.top, padding.left];
    let frame = Frame { image: input, channels: geometry.channels, before, size };
    let mut sources = Vec::with_capacity(geometry.output_pixels());
    for row in 0..output[0] {
        let line = row * stride[0] * size[1];
        sources.extend((0..output[1]).map(|column| (line + column * stride[1]) as u32));
    }
    let destinations = (0..geometry.output_pixels() as u32).collect();
    let taps =
        (0..kernel[0]).flat_map(|row| (0..kernel[1]).map(move |column| [row, column])).collect();
    let windows = Windows {
        sources,
        destinations,
        segments: kernel[0],
        length: kernel[1],
        pitch: size[1],
        taps,
    };
    (frame, windows)
}

/// The frame that the input's gradient reads the output's gradient through, and the windows of each remainder of position by
/// stride. Input pixels of a remainder that no tap reaches are in windows without taps: their gradient is 0.
pub fn backward_windows(geometry: &Geometry) -> (Frame, Vec<Windows>) {
    let Geometry { input, output, kernel, stride, padding, .. } = *geometry;
    let padding = [padding.top, padding.left];
    // Tap k of input position i meets output position (i + padding − k) / stride. With i + padding = q·stride + r and
    // k = r + m·stride that is q − m.
    let before = [0, 1].map(|axis| kernel[axis].div_ceil(stride[axis]) - 1);
    let size = [0, 1].map(|axis| {
        let last = (input[axis] - 1 + padding[axis]) / stride[axis];
        before[axis] + output[axis].max(last + 1)
    });
    let frame = Frame { image: output, channels: geometry.out_channels, before, size };
    let remainders = |axis: usize| 0..stride[axis];
    let mut all = Vec::new();
    for (row, column) in remainders(0).flat_map(|r| remainders(1).map(move |c| (r, c))) {
        let remainder = [row, column];
        let count =
            [0, 1].map(|axis| kernel[axis].saturating_sub(remainder[axis]).div_ceil(stride[axis]));
        let places = [0, 1].map(|axis| {
            (0..input[axis])
                .filter(|at| (at + padding[axis]) % stride[axis] == remainder[axis])
                .collect::<Vec<_>>()
        });
        let source = |axis: usize, at: usize| {
            (at + padding[axis]) / stride[axis] + before[axis] + 1 - count[axis].max(1)
        };
        let mut sources = Vec::with_capacity(places[0].len() * places[1].len());
        let mut destinations = Vec::with_capacity(sources.capacity());
        for &y in &places[0] {
            for &x in &places[1] {
                sources.push((source(0, y) * size[1] + source(1, x)) as u32);
                destinations.push((y * input[1] + x) as u32);
            }
        }
        let tap = |axis: usize, m: usize| remainder[axis] + (count[axis] - 1 - m) * stride[axis];
        let taps = (0..count[0])
            .flat_map(|y| (0..count[1]).map(move |x| (y, x)))
            .map(|(y, x)| [tap(0, y), tap(1, x)])
            .collect::<Vec<_>>();
        let (segments, length) = if taps.is_empty() { (0, 0) } else { (count[0], count[1]) };
        if !sources.is_empty() {
            all.push(Windows { sources, destinations, segments, length, pitch: size[1], taps });
        }
    }
    (frame, all)
}
