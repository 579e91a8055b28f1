//! Windows that slide over images, and the zeros around these.

/// Zeros around an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Output = ceil(input / stride); an odd total puts the larger half at the bottom and right, as TensorFlow does.
    Same,
    /// None.
    Valid,
    /// The given numbers of rows and columns.
    Explicit(PaddingAmounts),
}

/// Rows and columns of zeros on each side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PaddingAmounts {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the left.
    pub left: usize,
    /// Columns to the right.
    pub right: usize,
}

/// A sliding window with its padding in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Height and width.
    pub kernel: [usize; 2],
    /// Vertical and horizontal stride.
    pub stride: [usize; 2],
    /// Zeros around the input.
    pub padding: PaddingAmounts,
    /// Output rows and columns.
    pub output: [usize; 2],
}

impl Window {
    /// The window over an input of `height` x `width`, or `None` if it does not fit once.
    pub fn over(
        [height, width]: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: Padding,
    ) -> Option<Self> {
        if kernel.contains(&0) || stride.contains(&0) {
            return None;
        }
        let amounts = match padding {
            Padding::Valid => PaddingAmounts::default(),
            Padding::Explicit(amounts) => amounts,
            Padding::Same => {
                let total = |size: usize, kernel: usize, stride: usize| {
                    let steps = size.div_ceil(stride).max(1) - 1;
                    steps.saturating_mul(stride).saturating_add(kernel).saturating_sub(size)
                };
                let rows = total(height, kernel[0], stride[0]);
                let columns = total(width, kernel[1], stride[1]);
                PaddingAmounts {
                    top: rows / 2,
                    bottom: rows - rows / 2,
                    left: columns / 2,
                    right: columns - columns / 2,
                }
            }
        };
        // A window that lies wholly in the padding would see nothing.
        if amounts.top.max(amounts.bottom) >= kernel[0]
            || amounts.left.max(amounts.right) >= kernel[1]
        {
            return None;
        }
        let count = |size: usize, before: usize, after: usize, kernel: usize, stride: usize| {
            let padded = size.checked_add(before)?.checked_add(after)?;
            padded.checked_sub(kernel).map(|rest| rest / stride + 1)
        };
        let output = [
            count(height, amounts.top, amounts.bottom, kernel[0], stride[0])?,
            count(width, amounts.left, amounts.right, kernel[1], stride[1])?,
        ];
        Some(Self { kernel, stride, padding: amounts, output })
    }
}

/// How a window slides: what a network says of it, before it meets an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sliding {
    /// Height and width.
    pub kernel: [usize; 2],
    /// Vertical and horizontal stride.
    pub stride: [usize; 2],
    /// What is around the image.
    pub padding: Padding,
}

impl Sliding {
    /// One pixel after the other.
    pub const PIXEL: Self = Self { kernel: [1, 1], stride: [1, 1], padding: Padding::Valid };

    /// The window over an image of these rows and columns, or `None` if it does not fit once.
    pub fn over(&self, extents: [usize; 2]) -> Option<Window> {
        Window::over(extents, self.kernel, self.stride, self.padding)
    }
}
