//! The shapes and constants that layers are there for, each with a name and the fewest layers of a board that must have it.

use std::collections::BTreeMap;
use std::fmt;

use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::channels::{Channel, Channels};
use tinyhero_common::layout::Layout;
use tinyhero_common::layout::channel_pairs::PairColumns;
use tinyhero_common::layout::vector_pairs::Strips;
use tinyhero_common::layout::vector_rows::Blocks;
use tinyhero_common::operator::{Direction, Interpolation, Reset};
use tinyhero_common::requantize::{
    ActivationRange, MULTIPLIER_MAX, MULTIPLIER_MIN, SHIFT_MAX, SHIFT_MIN,
};
use tinyhero_tests::{FastKernel, LayerMemory, OperatorCase, Subject};

/// Fewest layers that must have what is not rare by itself.
const FEW: u32 = 5;

/// How many layers have what.
#[derive(Default)]
pub struct Counts(BTreeMap<String, u32>);

impl Counts {
    fn add(&mut self, subject: Subject, name: &str, has: bool) {
        *self.0.entry(format!("{subject:?}: {name}")).or_default() += u32::from(has);
    }

    /// Counts what one layer has.
    pub fn count(&mut self, kernel: FastKernel, case: &OperatorCase, memory: &LayerMemory) {
        let subject = kernel.subject;
        match subject {
            Subject::Convolution2d
            | Subject::DepthwiseConvolution2d
            | Subject::AveragePool2d
            | Subject::MaxPool2d
            | Subject::MeanPool2d => self.count_window(case),
            Subject::Softmax => {
                let channels = case.input.channels;
                self.add(subject, "as many channels as the loader admits", channels == 16_383);
                self.add(subject, "more than 1,024 channels", channels > 1024);
            }
            Subject::Resize2d => {
                let outputs = case.output.elements();
                self.add(subject, "more than 10,000 elements", outputs > 10_000);
                let linear = case.interpolation == Interpolation::Linear;
                self.add(subject, "interpolated", linear);
                self.add(subject, "outputs before the image", case.rows.start < 0);
                let larger = case.output.height > case.input.height;
                self.add(subject, "more rows", larger);
                self.add(subject, "fewer rows", case.output.height < case.input.height);
            }
            Subject::TransposedConvolution2d => {
                let window = case.window;
                let most = window.stride_height.max(window.stride_width);
                self.add(subject, "a stride of 1", window.stride_height == 1);
                self.add(subject, "strides above the kernel", most > window.kernel_height);
                self.add(subject, "a stride of 255", most == 255);
                self.add(subject, "a kernel above 16", window.kernel_width > 16);
                self.add(subject, "padding", window.padding_top > 0 && window.padding_left > 0);
                let channels = case.output.channels;
                self.add(subject, "several channels", channels > 4 && case.input.channels > 4);
            }
            Subject::GroupedConvolution2d => {
                let channels = case.input.channels;
                self.add(subject, "one group, taps apart", {
                    case.groups == 1 && case.dilation != [1, 1] && case.window.taps() > 1
                });
                self.add(subject, "a group a channel", case.groups == channels && channels > 4);
                self.add(subject, "some groups", (2..channels).contains(&case.groups));
                self.add(subject, "taps 255 apart", case.dilation.contains(&255));
                self.add(subject, "several outputs a group", {
                    case.groups > 1 && case.output.channels > case.groups
                });
            }
            Subject::FullyConnected => {}
            Subject::Lstm | Subject::Gru => self.count_recurrence(case),
            _ => {
                self.add(subject, "more than 10,000 elements", case.output.elements() > 10_000);
                self.add(subject, "not a multiple of 4", !case.input.elements().is_multiple_of(4));
            }
        }
        self.count_constants(case);
        if matches!(
            subject,
            Subject::Convolution2d | Subject::DepthwiseConvolution2d | Subject::FullyConnected
        ) {
            self.count_weights(case, memory);
        }
        self.count_special(case);
    }

    /// Rows, columns, directions.
    fn count_recurrence(&mut self, case: &OperatorCase) {
        let subject = case.subject;
        for bit_width in BitWidth::ALL {
            self.add(subject, &format!("{bit_width:?} bits"), case.bit_width == bit_width);
        }
        for direction in Direction::ALL {
            self.add(subject, &format!("{direction:?}"), case.direction == direction);
        }
        let all = case.output.width == case.input.width;
        self.add(subject, "many columns", case.input.width > 20);
        self.add(subject, "many columns, all hidden states", case.input.width > 20 && all);
        self.add(subject, "row above 256", case.row_length > 256);
        self.add(subject, "long hidden state", case.output.channels > 64);
        if subject == Subject::Gru {
            for reset in Reset::ALL {
                self.add(subject, &format!("reset of the {reset:?}"), case.reset == reset);
            }
        }
    }

    /// Windows, images, strides, padding.
    fn count_window(&mut self, case: &OperatorCase) {
        let (window, input, output, subject) = (case.window, case.input, case.output, case.subject);
        let kernel = [window.kernel_height, window.kernel_width].map(u16::from);
        let stride = [window.stride_height, window.stride_width].map(u16::from);
        let padding = [window.padding_top, window.padding_left].map(u16::from);
        let extent = [input.height, input.width];
        let both = |holds: fn(u16, u16) -> bool, first: [u16; 2], second: [u16; 2]| {
            holds(first[0], second[0]) && holds(first[1], second[1])
        };
        let above = both(|kernel, extent| kernel > extent, kernel, extent);
        self.add(subject, "kernel above the image in both directions", above);
        let larger = both(|stride, kernel| stride > kernel, stride, kernel);
        self.add(subject, "strides above the kernel", larger);
        let several = output.height > 1 && output.width > 1;
        self.add(subject, "strides above the kernel, many outputs", larger && several);
        self.add(subject, "kernel of 255", kernel.contains(&255));
        self.add(subject, "stride of 255", stride.contains(&255));
        let most = both(|padding, kernel| padding + 1 == kernel, padding, kernel);
        self.add(subject, "all but one tap in the padding", most && kernel != [1, 1]);
        self.add(subject, "image of one long row", input.height == 1 && input.width >= 100);
        self.add(subject, "image of one long column", input.width == 1 && input.height >= 100);
        let narrow = |long: u16, short: u16| long >= 200 && (2..=8).contains(&short);
        self.add(subject, "long and narrow image", narrow(input.height, input.width));
        self.add(subject, "wide and low image", narrow(input.width, input.height));
        self.add(subject, "more than 256 channels", input.channels > 256);
        let ends = [0, 1].map(|axis| {
            let outputs = [output.height, output.width][axis];
            (u32::from(outputs) - 1) * u32::from(stride[axis]) + u32::from(kernel[axis])
                > u32::from(extent[axis]) + u32::from(padding[axis])
        });
        self.add(subject, "windows that leave the image below and right", ends == [true, true]);
    }

    /// Zero points, activation ranges, alignment.
    fn count_constants(&mut self, case: &OperatorCase) {
        let subject = case.subject;
        for end in [i8::MIN, i8::MAX] {
            self.add(subject, &format!("input zero point {end}"), case.input_zero_point == end);
            self.add(subject, &format!("output zero point {end}"), case.output_zero_point == end);
        }
        let ActivationRange { min, max } = case.activation;
        self.add(subject, "a single value is left", min == max);
        self.add(subject, "a narrow range is left", case.activation != ActivationRange::FULL);
        self.add(subject, "odd addresses", case.misalignment.iter().any(|start| start % 2 == 1));
    }

    /// Rows, widths, weights and channel tables.
    fn count_weights(&mut self, case: &OperatorCase, memory: &LayerMemory) {
        let (subject, row) = (case.subject, case.row_length);
        for bit_width in BitWidth::ALL {
            self.add(subject, &format!("{bit_width:?} bits"), case.bit_width == bit_width);
        }
        let channels = case.output.channels;
        self.add(subject, "row above 1,024", row > 1024);
        if subject != Subject::DepthwiseConvolution2d {
            self.add(subject, "row above 1,024, several channels", row > 1024 && channels > 4);
            self.add(subject, "row above 8,192", row > 8192);
            self.add(
                subject,
                "row above 2^16",
                row > 1 << 16 || subject != Subject::FullyConnected,
            );
        }
        if subject == Subject::FullyConnected {
            self.add(subject, "row from 60,000, four channels", row >= 60_000 && channels >= 4);
            self.add(subject, "row above 2^16", row > 1 << 16);
        }
        self.add(subject, "odd number of channels", channels % 2 == 1);
        self.add(subject, "more than 256 output channels", channels > 256);
        let weights = memory.weights(case);
        let all = |weight: i32| weights.iter().all(|&value| i32::from(value) == weight);
        let lowest = all(case.bit_width.min());
        self.add(subject, "all weights lowest", lowest);
        self.add(subject, "all weights highest", all(case.bit_width.max()));
        let extreme = memory.input(case).iter().all(|&value| value == i8::MIN);
        self.add(subject, "all weights and activations lowest", lowest && extreme);
        let table = Channels::new(memory.channels(case), channels.into()).unwrap();
        let table: Vec<Channel> = table.iter().collect();
        let some = |holds: fn(&Channel) -> bool| table.iter().any(holds);
        self.add(subject, "a shift below 1", some(|entry| entry.rescale.shift < 1));
        self.add(
            subject,
            "the lowest shift",
            some(|entry| i32::from(entry.rescale.shift) == SHIFT_MIN),
        );
        self.add(
            subject,
            "the highest shift",
            some(|entry| i32::from(entry.rescale.shift) == SHIFT_MAX),
        );
        for end in [MULTIPLIER_MIN, MULTIPLIER_MAX] {
            let has = table.iter().any(|entry| i32::from(entry.rescale.multiplier) == end);
            self.add(subject, &format!("multiplier {end}"), has);
        }
    }

    /// Where kernels of one core divide their work.
    fn count_special(&mut self, case: &OperatorCase) {
        let (window, input, output, subject) = (case.window, case.input, case.output, case.subject);
        let [height, width] = [output.height, output.width].map(usize::from);
        match subject {
            Subject::Convolution2d => {
                let strips = Strips::new(window, case.bit_width, input, output);
                let cut = !strips.direct && strips.pixels < height;
                self.add(subject, "strips that cut the image", cut);
                let rest = cut && !height.is_multiple_of(strips.pixels);
                self.add(subject, "strips that cut the image with a remainder", rest);
                let columns = PairColumns::new(window, case.bit_width, input, output);
                self.add(subject, "windows cut into segments", columns.divided);
                let rows = usize::from(window.kernel_height);
                let rest = columns.divided && !rows.is_multiple_of(columns.rows);
                self.add(subject, "windows cut into segments with a remainder", rest);
                self.add(subject, "single pixels with a stride", {
                    window.taps() == 1 && (window.stride_width > 1 || window.stride_height > 1)
                });
            }
            Subject::DepthwiseConvolution2d => {
                let blocks = Blocks::new(window, input, output);
                self.add(subject, "windows larger than vectors take", blocks.is_none());
                let cut = blocks.filter(|blocks| blocks.columns < width);
                let rest = cut.is_some_and(|blocks| width % blocks.columns != 0);
                self.add(subject, "blocks cut along a row with a remainder", rest);
                let odd = input.channels > 16 && input.channels % 16 != 0;
                self.add(subject, "the same, with a remainder of channels", rest && odd);
                let nine = (window.kernel_height, window.kernel_width) == (3, 3);
                self.add(subject, "nine taps", nine && input.channels >= 4);
                let wide = nine && window.stride_width > 3;
                self.add(subject, "nine taps, a stride above 3", wide);
                let largest = (window.kernel_height, window.kernel_width) == (255, 255);
                self.add(subject, "kernel of 255 x 255", largest);
                if case.layout == Layout::FieldQuads {
                    self.add(subject, "more than 1 MB of strips", case.scratch_bytes > 1 << 20);
                }
            }
            Subject::AveragePool2d | Subject::MaxPool2d => {
                let whole = u16::from(window.kernel_height) == input.height
                    && u16::from(window.kernel_width) == input.width
                    && output.pixels() == 1
                    && (window.padding_top, window.padding_left) == (0, 0)
                    && input.channels >= 4;
                self.add(subject, "256 pixels as a whole", whole && input.pixels() == 256);
                self.add(subject, "257 to 300 pixels as a whole", {
                    whole && (257..=300).contains(&input.pixels())
                });
                self.add(subject, "more than 10,000 taps", window.taps() > 10_000);
            }
            _ => {}
        }
    }

    /// What too few layers have.
    pub fn missing(&self) -> Vec<&str> {
        let few = self.0.iter().filter(|&(_, &count)| count < FEW);
        few.map(|(name, _)| name.as_str()).collect()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, count)| writeln!(formatter, "{count:6} {name}"))
    }
}
