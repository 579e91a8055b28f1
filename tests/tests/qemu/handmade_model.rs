//! A small model with every operator, put together from `tinyhero-common`'s types alone.
//!
//! Weights come from a fixed generator; scales are chosen so that activations use most of int8. It tests that a board
//! computes what the host computes, so what it would classify does not matter.

use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::channels::Channels;
use tinyhero_common::input::InputMap;
use tinyhero_common::kernels::Portable;
use tinyhero_common::layer::Layer;
use tinyhero_common::layout::rows::pack_row;
use tinyhero_common::layout::{Layout, PackedWeights};
use tinyhero_common::model::{
    ALIGNMENT, Description, HEADER_BYTES, Header, InputQuantization, InputTensor, Model,
    OutputTensor, SelfTest, Task,
};
use tinyhero_common::network::{LayerDigests, SelfTestInput, run};
use tinyhero_common::operator::{
    Add, AveragePool2d, Convolution2d, DepthwiseConvolution2d, FullyConnected, MaxPool2d, Operator,
    Softmax, Weights,
};
use tinyhero_common::requantize::{ActivationRange, AddRescale, Rescale};
use tinyhero_common::shape::{Element, Region, Shape, Window};
use tinyhero_common::tensor::{Operand, SampleType, Scale, Tensor};

const SCALE: Scale = Scale { mantissa: 1 << 23, exponent: -27 };
/// Room for the largest scratch of any layer: a row of the fully connected layer is not unpacked, a 3 × 3 × 8 one is.
const SCRATCH: Region = Region { offset: 2048, bytes: 128 };
const ARENA_BYTES: u32 = 2176;

struct Builder {
    bit_width: BitWidth,
    random: SelfTestInput,
    parameters: Vec<u8>,
    layers: Vec<u8>,
    layer_count: u16,
    written: Tensor,
}

impl Builder {
    fn align(&mut self) -> u32 {
        self.parameters.resize(self.parameters.len().next_multiple_of(4), 0);
        self.parameters.len() as u32
    }

    fn weights(&mut self, rows: usize, row_length: usize) -> Weights {
        let (min, max) = (self.bit_width.min(), self.bit_width.max());
        let offset = self.align();
        let bytes = PackedWeights::bytes_for(self.bit_width, Layout::Rows, 1, row_length);
        for _ in 0..rows {
            let row: Vec<i8> = self
                .random
                .by_ref()
                .take(row_length)
                .map(|byte| (min + i32::from(byte) % (max - min + 1)) as i8)
                .collect();
            let mut packed = vec![0; bytes];
            pack_row(&row, self.bit_width, &mut packed).unwrap();
            self.parameters.extend(packed);
        }
        let channels = self.align();
        for _ in 0..rows {
            let bias = i32::from(self.random.next().unwrap()) * 4 - 510;
            self.parameters.extend(bias.to_le_bytes());
        }
        for _ in 0..rows {
            let multiplier = 16_384 + i16::from(self.random.next().unwrap()) * 64;
            self.parameters.extend(multiplier.to_le_bytes());
        }
        // A sum of n products of weights to 2^(b-1) and activations to 2^7 grows like the root of n.
        let spread = (row_length as f64).sqrt().log2().floor() as i8;
        let shift = self.bit_width.bits() as i8 - 2 + spread;
        self.parameters.extend(std::iter::repeat_n(shift.to_le_bytes()[0], rows));
        assert_eq!(self.parameters.len() as u32 - channels, (rows * Channels::BYTES) as u32);
        Weights { bit_width: self.bit_width, layout: Layout::Rows, offset, channels }
    }

    /// Adds a layer that reads what the last one wrote.
    fn layer(&mut self, name: &str, operator: Operator, shape: Shape, offset: u32) -> Operand {
        self.layer_of(name, operator, None, shape, offset)
    }

    /// Adds a layer that reads what the last one wrote, and `other` if there is one.
    fn layer_of(
        &mut self,
        name: &str,
        operator: Operator,
        other: Option<Operand>,
        shape: Shape,
        offset: u32,
    ) -> Operand {
        // A softmax has probabilities, all of them.
        let (zero_point, min) =
            if matches!(operator, Operator::Softmax(_)) { (-128, -128) } else { (3, -100) };
        let inputs = [Operand { source: self.layer_count, tensor: self.written }];
        let inputs = inputs.into_iter().chain(other).collect();
        let output = Tensor { shape, element: Element::I8, offset, zero_point, scale: SCALE };
        let activation = ActivationRange { min, max: 127 };
        let layer =
            Layer { name: name.into(), operator, inputs, output, activation, scratch: SCRATCH };
        self.layers.extend(postcard::to_allocvec(&layer).unwrap());
        self.layer_count += 1;
        self.written = output;
        Operand { source: self.layer_count, tensor: output }
    }
}

const fn window(kernel: u8, stride: u8, padding: u8) -> Window {
    Window {
        kernel_height: kernel,
        kernel_width: kernel,
        stride_height: stride,
        stride_width: stride,
        padding_top: padding,
        padding_left: padding,
    }
}

/// The model file with weights of `bit_width`; 8 × 8 bytes in, ten scores out.
pub fn handmade_model(bit_width: BitWidth) -> Vec<u8> {
    let image = |channels| Shape { height: 8, width: 8, channels };
    let half = Shape { height: 4, width: 4, channels: 8 };
    let input =
        Tensor { shape: image(1), element: Element::I8, offset: 0, zero_point: 3, scale: SCALE };
    let mut builder = Builder {
        bit_width,
        random: SelfTestInput::new(0x5EED),
        parameters: Vec::new(),
        layers: Vec::new(),
        layer_count: 0,
        written: input,
    };
    let map = InputMap { offset: 128, multiplier: 256, shift: 8 };
    // 0..255 becomes -128..127.
    let map = InputMap { offset: map.offset - 128 * 256, ..map };
    builder.parameters.extend(map.to_bytes());

    let weights = builder.weights(8, 9);
    builder.layer(
        "convolution",
        Operator::Convolution2d(Convolution2d { window: window(3, 1, 1), weights }),
        image(8),
        64,
    );
    let weights = builder.weights(8, 9);
    let depthwise = Operator::DepthwiseConvolution2d(DepthwiseConvolution2d {
        window: window(3, 1, 1),
        weights,
    });
    builder.layer("depthwise", depthwise, image(8), 576);
    let pooled = builder.layer(
        "maximum",
        Operator::MaxPool2d(MaxPool2d { window: window(2, 2, 0) }),
        half,
        1088,
    );
    let weights = builder.weights(8, 72);
    builder.layer(
        "residual",
        Operator::Convolution2d(Convolution2d { window: window(3, 1, 1), weights }),
        half,
        1216,
    );
    let rescale = AddRescale { multiplier: 20_000, other_multiplier: 17_000, shift: 15 };
    builder.layer_of("sum", Operator::Add(Add { rescale }), Some(pooled), half, 1216);
    let rescale = Rescale { multiplier: 30_000, shift: 0 };
    let average = Operator::AveragePool2d(AveragePool2d { window: window(2, 2, 0), rescale });
    builder.layer("average", average, Shape { height: 2, width: 2, channels: 8 }, 0);
    let weights = builder.weights(10, 32);
    builder.layer(
        "scores",
        Operator::FullyConnected(FullyConnected { weights }),
        Shape::vector(10),
        64,
    );
    let outcome = builder.layer(
        "softmax",
        Operator::Softmax(Softmax { exponent_multiplier: 90_000 }),
        Shape::vector(10),
        128,
    );

    let mut description = Description {
        name: "handmade".into(),
        task: Task::Classification { labels: "".into() },
        arena_bytes: ARENA_BYTES,
        state_bytes: 0,
        self_test: SelfTest { seed: 1, digest: 0 },
        input_count: 1,
        output_count: 1,
        layer_count: builder.layer_count,
    };
    let quantization = InputQuantization { sample_type: SampleType::U8, maps: 1, offset: 0 };
    let input = InputTensor { name: "input".into(), quantization, tensor: input };
    let output = OutputTensor { name: "output".into(), operand: outcome };
    let file = |description: &Description<'_>| file(description, &input, &output, &builder);
    let first = file(&description);
    let model = Model::load(&first).unwrap();
    let raw: Vec<u8> = SelfTestInput::new(1).take(model.raw_input_bytes()).collect();
    let mut digests = LayerDigests::default();
    run(&model, &mut Portable, &mut digests, &raw, &mut [0; ARENA_BYTES as usize]).unwrap();
    description.self_test.digest = digests.finish();
    file(&description)
}

fn file(
    description: &Description<'_>,
    input: &InputTensor<'_>,
    output: &OutputTensor<'_>,
    builder: &Builder,
) -> Vec<u8> {
    let mut described = postcard::to_allocvec(description).unwrap();
    described.extend(postcard::to_allocvec(input).unwrap());
    described.extend(postcard::to_allocvec(output).unwrap());
    described.extend(&builder.layers);
    let start = (HEADER_BYTES + described.len()).next_multiple_of(ALIGNMENT);
    let header = Header {
        length: (start + builder.parameters.len()) as u32,
        description_bytes: described.len() as u32,
        parameters_offset: start as u32,
        parameters_bytes: builder.parameters.len() as u32,
        notes_bytes: 0,
        checksum: 0,
    };
    let mut file = header.to_bytes().to_vec();
    file.extend(described);
    file.resize(start, 0);
    file.extend(&builder.parameters);
    let checksum = Header::checksum_of(&file).unwrap();
    file[..HEADER_BYTES].copy_from_slice(&Header { checksum, ..header }.to_bytes());
    file
}
