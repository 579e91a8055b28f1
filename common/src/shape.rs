//! Shapes, windows and byte ranges: what everything else is measured in.

use serde::{Deserialize, Serialize};

use crate::compact::described;

described! {
    /// Height, width and channels of a tensor; the channel index changes fastest in memory (HWC).
    ///
    /// A vector of `n` features is `1 × 1 × n`. Every dimension is at least 1.
    pub struct Shape {
        /// Rows.
        pub height: u16,
        /// Columns.
        pub width: u16,
        /// Channels, the fastest index.
        pub channels: u16,
    }
}

impl Shape {
    /// A vector of `channels` features.
    pub const fn vector(channels: u16) -> Self {
        Self { height: 1, width: 1, channels }
    }

    /// The same, field by field: as a whole, the compiler would copy it with a routine that has no other use and takes 1.3 kB on Cortex-M0.
    #[inline(always)]
    pub(crate) const fn copied(&self) -> Self {
        let Self { height, width, channels } = *self;
        Self { height, width, channels }
    }

    /// `height · width`.
    pub const fn pixels(self) -> usize {
        self.height as usize * self.width as usize
    }

    /// `height · width · channels`.
    pub const fn elements(self) -> usize {
        self.pixels().saturating_mul(self.channels as usize)
    }
}

described! {
    /// What one value of a tensor is. All are signed and little-endian.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum Element {
        /// One byte.
        I8,
        /// Two bytes.
        I16,
        /// Four bytes.
        I32,
    }
}

impl Element {
    /// Bytes of one value.
    pub const fn bytes(self) -> usize {
        // Each type has twice those of the one before.
        1 << self as u32
    }
}

described! {
    #[shared]
    /// A window that slides over an image.
    pub struct Window {
        /// Rows of the window, at least 1.
        pub kernel_height: u8,
        /// Columns of the window, at least 1.
        pub kernel_width: u8,
        /// Rows from one window to the next, at least 1.
        pub stride_height: u8,
        /// Columns from one window to the next, at least 1.
        pub stride_width: u8,
        /// Padding rows above the image, fewer than `kernel_height`. Below it there are as many as the output needs.
        pub padding_top: u8,
        /// Padding columns left of the image, fewer than `kernel_width`.
        pub padding_left: u8,
    }
}

impl Window {
    /// `kernel_height · kernel_width`.
    pub const fn taps(self) -> usize {
        self.kernel_height as usize * self.kernel_width as usize
    }

    /// Whether some tap of some window lies outside the image.
    pub const fn leaves_image(self, input: Shape, output: Shape) -> bool {
        const fn end(position: u16, stride: u8, kernel: u8) -> usize {
            (position as usize).saturating_sub(1) * stride as usize + kernel as usize
        }
        self.padding_top > 0
            || self.padding_left > 0
            || end(output.height, self.stride_height, self.kernel_height) > input.height as usize
            || end(output.width, self.stride_width, self.kernel_width) > input.width as usize
    }
}

described! {
    /// A byte range.
    pub struct Region {
        /// First byte.
        pub offset: u32,
        /// Number of bytes.
        pub bytes: u32,
    }
}

impl Region {
    /// No bytes at all.
    pub const EMPTY: Self = Self { offset: 0, bytes: 0 };

    /// Whether the two have a byte in common.
    // Called from many places of the loader.
    #[inline(never)]
    pub const fn overlaps(self, other: Self) -> bool {
        let end = self.offset as u64 + self.bytes as u64;
        let other_end = other.offset as u64 + other.bytes as u64;
        self.bytes > 0
            && other.bytes > 0
            && (self.offset as u64) < other_end
            && (other.offset as u64) < end
    }
}

pub(crate) const fn larger(first: usize, second: usize) -> usize {
    if first > second { first } else { second }
}

pub(crate) const fn smaller(first: usize, second: usize) -> usize {
    if first < second { first } else { second }
}
