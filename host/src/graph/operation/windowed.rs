//! What all operations have in common that slide a window over an image.

use serde::Deserialize;
use tinyhero_common::shape::{self, Shape};

use super::{Folding, Keys, Refusal};
use crate::convolution;
use crate::data::SampleShape;
use crate::error::{Error, Result};
use crate::lowering::{Geometry, Taps};
use crate::window::{Padding, PaddingAmounts, Sliding, Window};

/// Height and width, or one size for both.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Pair {
    /// Both alike.
    One(usize),
    /// Height and width.
    Two([usize; 2]),
}

impl Pair {
    /// Height and width.
    pub const fn sizes(self) -> [usize; 2] {
        match self {
            Self::One(size) => [size; 2],
            Self::Two(sizes) => sizes,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Border {
    Word(String),
    Amounts([usize; 4]),
}

/// Reads `kernel`, `stride` and `padding`. Without a stride it is what `stride` makes of the kernel.
pub fn read(
    keys: &mut Keys,
    stride: impl Fn([usize; 2]) -> [usize; 2],
    padding: Padding,
) -> Result<Sliding, Refusal> {
    let kernel = keys.required::<Pair>("kernel")?.sizes();
    let stride = keys.take::<Pair>("stride")?.map_or_else(|| stride(kernel), Pair::sizes);
    let padding = match keys.take("padding")? {
        None => padding,
        Some(Border::Word(word)) if word == "same" => Padding::Same,
        Some(Border::Word(word)) if word == "valid" => Padding::Valid,
        Some(Border::Word(word)) => {
            return Err(format!(
                "has padding '{word}' instead of \"same\", \"valid\" or [top, bottom, left, right]"
            )
            .into());
        }
        Some(Border::Amounts([top, bottom, left, right])) => {
            Padding::Explicit(PaddingAmounts { top, bottom, left, right })
        }
    };
    Ok(Sliding { kernel, stride, padding })
}

/// Writes what [`read`] reads.
pub fn write(sliding: &Sliding, keys: &mut Keys) {
    keys.set("kernel", sliding.kernel);
    keys.set("stride", sliding.stride);
    match sliding.padding {
        Padding::Same => keys.set("padding", "same"),
        Padding::Valid => keys.set("padding", "valid"),
        Padding::Explicit(PaddingAmounts { top, bottom, left, right }) => {
            keys.set("padding", [top, bottom, left, right]);
        }
    }
}

/// The window over an image.
pub fn over(sliding: &Sliding, input: SampleShape) -> Result<Window, String> {
    sliding.over([input.height, input.width]).ok_or_else(|| misfit(input, sliding))
}

/// Why a window does not fit its input.
fn misfit(input: SampleShape, sliding: &Sliding) -> String {
    let Sliding { kernel, stride, padding } = *sliding;
    let [rows, columns] = kernel;
    if kernel.contains(&0) || stride.contains(&0) {
        return format!("kernel {rows}x{columns} or stride {}x{} is 0", stride[0], stride[1]);
    }
    let PaddingAmounts { top, bottom, left, right } = match padding {
        Padding::Explicit(amounts) => amounts,
        Padding::Same | Padding::Valid => PaddingAmounts::default(),
    };
    if top.max(bottom) >= rows || left.max(right) >= columns {
        return format!(
            "padding [{top}, {bottom}, {left}, {right}] does not fit its kernel {rows}x{columns}, \
             which would see nothing but padding at the edge: each must be smaller than the kernel"
        );
    }
    let padded = match padding {
        Padding::Explicit(_) => " with its padding",
        Padding::Same | Padding::Valid => "",
    };
    format!("kernel {rows}x{columns} does not fit its input {input}{padded}")
}

/// The window of a node whose shapes have been checked.
pub fn checked(sliding: &Sliding, input: SampleShape) -> Result<Window> {
    let misfit = || Error::Tensor("a window does not fit its input".to_string());
    sliding.over([input.height, input.width]).ok_or_else(misfit)
}

/// The shapes of a convolution for training.
pub fn convolution(
    sliding: &Sliding,
    input: SampleShape,
    output: SampleShape,
    depthwise: bool,
) -> Result<convolution::Geometry> {
    let window = checked(sliding, input)?;
    Ok(convolution::Geometry {
        input: [input.height, input.width],
        output: window.output,
        channels: input.channels,
        out_channels: output.channels,
        kernel: window.kernel,
        stride: window.stride,
        padding: window.padding,
        depthwise,
    })
}

/// A window in the model file's numbers.
pub fn folded(sliding: &Sliding, folding: &Folding<'_>) -> Result<Geometry> {
    let (input, output) = (folding.input(), folding.output);
    let Some(window) = sliding.over([usize::from(input.height), usize::from(input.width)]) else {
        return Err(folding.refuse("its window does not fit its input", "change the layer"));
    };
    Ok(Geometry { window: in_bytes(&window, folding)?, taps: Taps::DENSE, input, output })
}

/// A window in bytes.
///
/// # Errors
/// A size is above 255.
pub fn in_bytes(window: &Window, folding: &Folding<'_>) -> Result<shape::Window> {
    let byte = |size: usize| {
        u8::try_from(size).map_err(|_| {
            folding.refuse(
                &format!("a window, stride or padding of {size} is above 255"),
                "use a smaller window or input",
            )
        })
    };
    Ok(shape::Window {
        kernel_height: byte(window.kernel[0])?,
        kernel_width: byte(window.kernel[1])?,
        stride_height: byte(window.stride[0])?,
        stride_width: byte(window.stride[1])?,
        padding_top: byte(window.padding.top)?,
        padding_left: byte(window.padding.left)?,
    })
}

/// The window that is all of an image, in the model file's numbers.
pub fn whole(folding: &Folding<'_>) -> Result<Geometry> {
    let Shape { height, width, .. } = folding.input();
    let kernel = [usize::from(height), usize::from(width)];
    folded(&Sliding { kernel, stride: kernel, padding: Padding::Valid }, folding)
}
