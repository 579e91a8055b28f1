//! Model files made by hand: valid ones with every operator, to be damaged on purpose.

use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::channels::Channels;
use tinyhero_common::input::InputMap;
use tinyhero_common::layer::Layer;
use tinyhero_common::layout::{Layout, PackedWeights};
use tinyhero_common::model::{
    CHECKSUM_PLACE, Description, Header, InputQuantization, InputTensor, OutputTensor, SelfTest,
    Task,
};
use tinyhero_common::operator::{
    Add, AveragePool2d, Concatenate, Convolution2d, DepthwiseConvolution2d, Direction,
    FullyConnected, GroupedConvolution2d, Gru, Interpolation, Lstm, MaxPool2d, MeanPool2d,
    Multiply, Operator, Reset, Resize2d, SCRATCH_ALIGNMENT, Softmax, Stretch, Table,
    TransposedConvolution2d, Weights,
};
use tinyhero_common::requantize::{ActivationRange, AddRescale, Rescale};
use tinyhero_common::shape::{Element, Region, Shape, Window};
use tinyhero_common::tensor::{Operand, SampleType, Scale, Tensor};
use tinyhero_tests::Generator;

/// The parts of a model file, before they become bytes.
#[derive(Clone)]
pub struct Crafted {
    pub description: Description<'static>,
    pub inputs: Vec<InputTensor<'static>>,
    pub outputs: Vec<OutputTensor<'static>>,
    pub layers: Vec<Layer<'static>>,
    pub parameters: Vec<u8>,
}

const SCALE: Scale = Scale { mantissa: 1 << 23, exponent: -27 };

/// A file of these parts, with a header and a checksum that are right.
pub fn assemble(description: &[u8], parameters: &[u8]) -> Vec<u8> {
    let start = (32 + description.len()).next_multiple_of(16);
    let length = start + parameters.len();
    let header = Header {
        length: length as u32,
        description_bytes: description.len() as u32,
        parameters_offset: start as u32,
        parameters_bytes: parameters.len() as u32,
        notes_bytes: 0,
        checksum: 0,
    };
    let mut file = header.to_bytes().to_vec();
    file.extend_from_slice(description);
    file.resize(start, 0);
    file.extend_from_slice(parameters);
    repair(&mut file);
    file
}

/// Puts the right checksum into a file.
pub fn repair(file: &mut [u8]) {
    if let Some(checksum) = Header::checksum_of(file) {
        file[CHECKSUM_PLACE].copy_from_slice(&checksum.to_le_bytes());
    }
}

impl Crafted {
    /// The description's bytes, layers included.
    pub fn description_bytes(&self) -> Vec<u8> {
        let mut bytes = postcard::to_allocvec(&self.description).unwrap();
        for input in &self.inputs {
            bytes.extend(postcard::to_allocvec(input).unwrap());
        }
        for output in &self.outputs {
            bytes.extend(postcard::to_allocvec(output).unwrap());
        }
        for layer in &self.layers {
            bytes.extend(postcard::to_allocvec(layer).unwrap());
        }
        bytes
    }

    pub fn file(&self) -> Vec<u8> {
        assemble(&self.description_bytes(), &self.parameters)
    }

    /// The tensor that source `source` writes.
    pub fn tensor(&self, source: u16) -> Tensor {
        let source = usize::from(source);
        match source.checked_sub(self.inputs.len()) {
            None => self.inputs[source].tensor,
            Some(writer) => self.layers[writer].output,
        }
    }

    /// The number of what the layer at `index` writes, as operands name it.
    fn source(&self, index: usize) -> u16 {
        (self.inputs.len() + index) as u16
    }

    /// Makes every operand what its source writes, the first output what the last layer writes, and the arena and the numbers of inputs,
    /// outputs and layers what they must be.
    pub fn relink(&mut self) {
        for index in 0..self.layers.len() {
            let mut inputs = std::mem::take(&mut self.layers[index].inputs);
            for operand in &mut inputs {
                operand.source = operand.source.min(self.source(index) - 1);
                operand.tensor = self.tensor(operand.source);
            }
            self.layers[index].inputs = inputs;
        }
        let source = self.source(self.layers.len()) - 1;
        self.outputs[0].operand = Operand { source, tensor: self.tensor(source) };
        let end = |region: Region| region.offset.saturating_add(region.bytes);
        let ends = self.layers.iter().map(|layer| {
            let scratch = if layer.scratch.bytes == 0 { 0 } else { end(layer.scratch) };
            end(layer.output.region()).max(scratch)
        });
        let inputs = self.inputs.iter().map(|input| end(input.tensor.region()));
        self.description.arena_bytes = ends.chain(inputs).max().unwrap_or(0);
        self.description.input_count = self.inputs.len() as u16;
        self.description.output_count = self.outputs.len() as u16;
        self.description.layer_count = self.layers.len() as u16;
    }

    /// Puts the sections of the parameters into the order of the layers, each layer's own copy of them.
    pub fn repack(&mut self) {
        let old = std::mem::take(&mut self.parameters);
        let take = |offset: u32, bytes: usize| {
            let start = offset as usize;
            old.get(start..start.saturating_add(bytes))
        };
        for InputTensor { quantization, .. } in &mut self.inputs {
            let maps = usize::from(quantization.maps) * InputMap::BYTES;
            if let Some(maps) = take(quantization.offset, maps) {
                quantization.offset = self.parameters.len() as u32;
                self.parameters.extend(maps);
            }
        }
        for layer in &mut self.layers {
            let constant_bytes = layer.operator.constant_bytes();
            if let Some(place) = layer.operator.constants_mut()
                && let Some(section) = take(*place, constant_bytes)
            {
                self.parameters.resize(self.parameters.len().next_multiple_of(4), 0);
                *place = self.parameters.len() as u32;
                self.parameters.extend(section);
            }
            let (row_length, rows) = (layer.row_length(), layer.rows());
            let entries = layer.channel_entries();
            let Some(weights) = layer.operator.weights_mut() else { continue };
            let bytes =
                PackedWeights::bytes_for(weights.bit_width, weights.layout, rows, row_length);
            for (offset, bytes) in
                [(&mut weights.offset, bytes), (&mut weights.channels, entries * Channels::BYTES)]
            {
                let Some(section) = take(*offset, bytes) else { continue };
                self.parameters.resize(self.parameters.len().next_multiple_of(4), 0);
                *offset = self.parameters.len() as u32;
                self.parameters.extend(section);
            }
        }
    }

    /// A random valid model of 1 to 7 layers.
    pub fn random(generator: &mut Generator) -> Self {
        Self::random_in(generator, &Layout::ALL, None)
    }

    /// The same in some layouts, and with square windows of one size and no fewer channels in the input where `kernel` is given.
    pub fn random_in(
        generator: &mut Generator,
        layouts: &'static [Layout],
        kernel: Option<u8>,
    ) -> Self {
        let least_channels = kernel.map_or(1, |kernel| i32::from(kernel) + 1);
        let shape = Shape {
            height: generator.between(1, 7) as u16,
            width: generator.between(1, 7) as u16,
            channels: generator.between(least_channels, 6) as u16,
        };
        let input = Tensor {
            shape,
            element: Element::I8,
            offset: 0,
            zero_point: generator.zero_point(),
            scale: SCALE,
        };
        let mut builder = Builder::new(generator);
        builder.input(input);
        if builder.generator.chance(3) {
            builder.input(input);
        }
        builder.layouts = layouts;
        builder.kernel = kernel;
        for _ in 0..builder.generator.between(1, 7) {
            let before = builder.last();
            match builder.generator.below(17) {
                12 => builder.resize(),
                13 => builder.transposed_convolution(),
                14 => builder.grouped_convolution(),
                15 => builder.recurrence(true),
                16 => builder.recurrence(false),
                9 => builder.mean_pool(),
                10 => builder.multiply(),
                11 => builder.concatenate(),
                8 => {
                    let in_place = builder.generator.chance(8);
                    builder.table(in_place);
                }
                0 | 1 => builder.convolution(false),
                2 => builder.convolution(true),
                3 => builder.fully_connected(),
                4 => builder.pool(true),
                5 => builder.pool(false),
                6 => builder.add(),
                _ if before.1.shape.pixels() < 5 => builder.softmax(),
                _ => builder.convolution(false),
            }
        }
        builder.finish()
    }

    /// A model in which every operator occurs, at fixed places: convolution 0, depthwise 1, add of both 2, average pool 3, max
    /// pool 4, fully connected 5, softmax 6, table 7,
    /// multiply 8, concatenate 9, mean pool 10, resize 11, transposed convolution 12, grouped convolution 13,
    /// fully connected 14, lstm 15, gru 16.
    pub fn every_operator() -> Self {
        let mut generator = Generator::new(1, 1);
        let shape = Shape { height: 6, width: 5, channels: 3 };
        let input = Tensor { shape, element: Element::I8, offset: 0, zero_point: -3, scale: SCALE };
        let mut builder = Builder::new(&mut generator);
        builder.input(input);
        builder.layouts = &[Layout::Rows];
        builder.window = Some(Window {
            kernel_height: 3,
            kernel_width: 3,
            stride_height: 1,
            stride_width: 1,
            padding_top: 1,
            padding_left: 1,
        });
        builder.convolution(false);
        builder.convolution(true);
        builder.add_of(1, false);
        builder.pool(true);
        builder.pool(false);
        builder.fully_connected();
        builder.softmax();
        builder.table(false);
        builder.multiply();
        builder.concatenate();
        builder.mean_pool();
        builder.resize();
        builder.transposed_convolution();
        builder.grouped_convolution();
        builder.fully_connected();
        builder.recurrence(true);
        builder.recurrence(false);
        builder.finish()
    }
}

/// Grows a valid model layer by layer.
struct Builder<'a> {
    generator: &'a mut Generator,
    model: Crafted,
    end: u32,
    window: Option<Window>,
    layouts: &'static [Layout],
    kernel: Option<u8>,
}

impl<'a> Builder<'a> {
    fn new(generator: &'a mut Generator) -> Self {
        let description = Description {
            name: "crafted".into(),
            task: Task::Classification { labels: "no\nyes".into() },
            arena_bytes: 0,
            state_bytes: 0,
            self_test: SelfTest { seed: 7, digest: 0 },
            input_count: 0,
            output_count: 0,
            layer_count: 0,
        };
        let model = Crafted {
            description,
            inputs: Vec::new(),
            outputs: Vec::new(),
            layers: Vec::new(),
            parameters: Vec::new(),
        };
        Self { generator, model, end: 0, window: None, layouts: &Layout::ALL, kernel: None }
    }

    /// An input of this shape, wherever there is room.
    fn input(&mut self, mut tensor: Tensor) {
        tensor.offset = self.reserve(tensor.shape.elements()).offset;
        let (generator, parameters) = (&mut self.generator, &mut self.model.parameters);
        let offset = parameters.len() as u32;
        let maps = if generator.chance(8) { tensor.shape.channels } else { 1 };
        for _ in 0..maps {
            let multiplier = generator.between(-9000, 9000) as i16;
            let shift = generator.between(0, 22) as u8;
            let offset = generator.between(-2_000_000, 2_000_000);
            parameters.extend(InputMap { offset, multiplier, shift }.to_bytes());
        }
        let sample_type = generator.pick(SampleType::U8, &[SampleType::I16]);
        let quantization = InputQuantization { sample_type, maps, offset };
        self.model.inputs.push(InputTensor { name: "input".into(), quantization, tensor });
    }

    /// One output, sometimes two of the same tensor.
    fn finish(mut self) -> Crafted {
        let (source, tensor) = self.last();
        let output = OutputTensor { name: "output".into(), operand: Operand { source, tensor } };
        self.model.outputs.push(output);
        if self.generator.chance(2) {
            self.model.outputs.push(output);
        }
        self.model.relink();
        self.model
    }

    /// Number and tensor of the last source.
    fn last(&self) -> (u16, Tensor) {
        let source = self.model.source(self.model.layers.len()) - 1;
        (source, self.model.tensor(source))
    }

    fn reserve(&mut self, bytes: usize) -> Region {
        let region = Region { offset: self.end, bytes: bytes as u32 };
        self.end += region.bytes;
        region
    }

    fn push(&mut self, operator: Operator, shape: Shape) -> &mut Layer<'static> {
        let (source, tensor) = self.last();
        let offset = self.reserve(shape.elements()).offset;
        let zero_point = self.generator.zero_point();
        let mut layer = Layer {
            name: "layer".into(),
            operator,
            inputs: [Operand { source, tensor }].into_iter().collect(),
            output: Tensor { shape, element: Element::I8, offset, zero_point, scale: SCALE },
            activation: self.generator.activation_range(),
            scratch: Region::EMPTY,
        };
        let scratch = layer.operator.scratch(tensor.shape, shape);
        if scratch > 0 {
            self.end = self.end.next_multiple_of(SCRATCH_ALIGNMENT);
            layer.scratch = self.reserve(scratch);
        }
        self.model.layers.push(layer);
        self.model.layers.last_mut().unwrap()
    }

    fn sliding(&mut self, input: Shape) -> (Window, Shape) {
        let mut axis = |extent: u16| {
            let kernel = self.kernel.map_or_else(|| self.generator.between(1, 4), i32::from);
            let stride = self.generator.between(1, 3);
            let padding = self.generator.between(0, kernel - 1);
            let most = (i32::from(extent) + padding - 1) / stride + 1;
            (kernel as u8, stride as u8, padding as u8, self.generator.between(1, most) as u16)
        };
        let (kernel_height, stride_height, padding_top, height) = axis(input.height);
        let (kernel_width, stride_width, padding_left, width) = axis(input.width);
        let window = Window {
            kernel_height,
            kernel_width,
            stride_height,
            stride_width,
            padding_top,
            padding_left,
        };
        match self.window {
            Some(window) => (window, input),
            None => (window, Shape { height, width, channels: input.channels }),
        }
    }

    fn weights(&mut self, rows: usize, row_length: usize) -> Weights {
        self.weights_with(rows, row_length, rows)
    }

    /// The same with so many entries of the channel table.
    fn weights_with(&mut self, rows: usize, row_length: usize, entries: usize) -> Weights {
        let bit_width = self.generator.pick(BitWidth::Two, &BitWidth::ALL);
        let parameters = &mut self.model.parameters;
        let offset = parameters.len() as u32;
        let layout = self.generator.pick(self.layouts[0], &self.layouts[1..]);
        let weights: Vec<i8> = (0..rows * row_length)
            .map(|_| self.generator.between(bit_width.min(), bit_width.max()) as i8)
            .collect();
        let mut packed = vec![0; PackedWeights::bytes_for(bit_width, layout, rows, row_length)];
        PackedWeights::pack(&weights, row_length, bit_width, layout, &mut packed).unwrap();
        parameters.extend(packed);
        parameters.resize(parameters.len().next_multiple_of(4), 0);
        let channels = parameters.len() as u32;
        let magnitude = bit_width.offset() * row_length as i32 * 40;
        for _ in 0..entries {
            let bias = self.generator.between(-magnitude, magnitude);
            parameters.extend(bias.to_le_bytes());
        }
        for _ in 0..entries {
            parameters.extend(self.generator.multiplier().to_le_bytes());
        }
        let shift = (27 - magnitude.leading_zeros() as i32).clamp(1, 23);
        parameters.extend((0..entries).map(|_| shift as u8));
        parameters.resize(parameters.len().next_multiple_of(4), 0);
        Weights { bit_width, layout, offset, channels }
    }

    fn convolution(&mut self, depthwise: bool) {
        let (_, input) = self.last();
        let (window, mut shape) = self.sliding(input.shape);
        let depth = usize::from(input.shape.channels);
        if depthwise {
            let weights = self.weights(depth, window.taps());
            self.push(
                Operator::DepthwiseConvolution2d(DepthwiseConvolution2d { window, weights }),
                shape,
            );
        } else {
            shape.channels =
                if self.window.is_some() { 3 } else { self.generator.between(1, 6) as u16 };
            let weights = self.weights(usize::from(shape.channels), window.taps() * depth);
            self.push(Operator::Convolution2d(Convolution2d { window, weights }), shape);
        }
    }

    /// Another size, mostly by a whole factor.
    fn resize(&mut self) {
        let (_, input) = self.last();
        let mut axis = |extent: u16| {
            let factor = self.generator.between(1, 3);
            let random = self.generator.chance(4);
            let stretch = match random {
                true => Stretch {
                    step: self.generator.below(9) as u16,
                    start: self.generator.between(-9, 9) as i16,
                    divisor: self.generator.between(1, 9) as u16,
                },
                false => Stretch { step: 1, start: 0, divisor: factor as u16 },
            };
            (stretch, extent * factor as u16)
        };
        let (rows, height) = axis(input.shape.height.min(7));
        let (columns, width) = axis(input.shape.width.min(7));
        let interpolation = self.generator.pick(Interpolation::Nearest, &[Interpolation::Linear]);
        let shape = Shape { height, width, ..input.shape };
        let operator = Resize2d { interpolation, rows, columns };
        let layer = self.push(Operator::Resize2d(operator), shape);
        layer.output.zero_point = input.zero_point;
    }

    fn transposed_convolution(&mut self) {
        let (_, input) = self.last();
        let (window, mut shape) = self.sliding(input.shape);
        let reach = |extent: u16, stride: u8, kernel: u8, padding: u8| {
            let end = u32::from(extent) * u32::from(stride) + u32::from(kernel);
            (end - 1 - u32::from(padding)).clamp(1, 8) as u16
        };
        let Window { stride_height, kernel_height, padding_top, .. } = window;
        shape.height = reach(input.shape.height, stride_height, kernel_height, padding_top);
        let Window { stride_width, kernel_width, padding_left, .. } = window;
        shape.width = reach(input.shape.width, stride_width, kernel_width, padding_left);
        shape.channels = self.generator.between(1, 6) as u16;
        let row_length = window.taps() * usize::from(input.shape.channels);
        let weights = self.weights(usize::from(shape.channels), row_length);
        let operator = TransposedConvolution2d { window, weights };
        self.push(Operator::TransposedConvolution2d(operator), shape);
    }

    fn grouped_convolution(&mut self) {
        let (_, input) = self.last();
        let (window, mut shape) = self.sliding(input.shape);
        let channels = i32::from(input.shape.channels);
        let divisors: Vec<u16> =
            (1..=channels).filter(|&by| channels % by == 0).map(|by| by as u16).collect();
        let groups = self.generator.pick(divisors[0], &divisors[1..]);
        shape.channels = groups * self.generator.between(1, 3) as u16;
        let row_length = window.taps() * usize::from(input.shape.channels / groups);
        let weights = self.weights(usize::from(shape.channels), row_length);
        let mut dilation = || self.generator.between(1, 3) as u8;
        let (dilation_height, dilation_width) = (dilation(), dilation());
        let operator = Operator::GroupedConvolution2d(GroupedConvolution2d {
            window,
            dilation_height,
            dilation_width,
            groups,
            weights,
        });
        self.push(operator, shape);
    }

    fn fully_connected(&mut self) {
        let (_, input) = self.last();
        let outputs = self.generator.between(2, 9) as u16;
        let weights = self.weights(usize::from(outputs), input.shape.elements());
        self.push(Operator::FullyConnected(FullyConnected { weights }), Shape::vector(outputs));
    }

    fn pool(&mut self, average: bool) {
        let (_, input) = self.last();
        let (window, shape) = self.sliding(input.shape);
        if average {
            let rescale = Rescale { multiplier: self.generator.multiplier(), shift: 3 };
            self.push(Operator::AveragePool2d(AveragePool2d { window, rescale }), shape);
        } else {
            let layer = self.push(Operator::MaxPool2d(MaxPool2d { window }), shape);
            layer.output.zero_point = input.zero_point;
        }
    }

    /// Adds an earlier tensor of the same shape, or does something else if there is none.
    fn add(&mut self) {
        let (last, tensor) = self.last();
        match (0..last).find(|&source| self.model.tensor(source).shape == tensor.shape) {
            Some(source) => {
                let in_place = self.generator.chance(8);
                self.add_of(source, in_place);
            }
            None => self.pool(false),
        }
    }

    fn add_of(&mut self, source: u16, in_place: bool) {
        let other = Operand { source, tensor: self.model.tensor(source) };
        let rescale = AddRescale {
            multiplier: self.generator.multiplier(),
            other_multiplier: self.generator.between(1, 32_767) as i16,
            shift: self.generator.between(14, 17) as u8,
        };
        let (_, input) = self.last();
        let end = self.end;
        let layer = self.push(Operator::Add(Add { rescale }), other.tensor.shape);
        layer.inputs.push(other).unwrap();
        if in_place {
            layer.output.offset = input.offset;
            self.end = end;
        }
    }

    /// Random entries, in the place of an input that nobody else reads by then if asked for.
    fn table(&mut self, in_place: bool) {
        let (source, input) = self.last();
        // Nobody reads it later: an addition takes the first tensor of its shape.
        let spare = (0..source).any(|before| self.model.tensor(before).shape == input.shape);
        let parameters = &mut self.model.parameters;
        let entries = parameters.len() as u32;
        for _ in 0..Table::ENTRIES {
            parameters.push(self.generator.activation().cast_unsigned());
        }
        let end = self.end;
        let layer = self.push(Operator::Table(Table { entries }), input.shape);
        layer.activation = ActivationRange::FULL;
        if in_place && spare {
            layer.output.offset = input.offset;
            self.end = end;
        }
    }

    fn rescale(&mut self, shift: i8) -> Rescale {
        Rescale { multiplier: self.generator.multiplier(), shift }
    }

    fn mean_pool(&mut self) {
        let (_, input) = self.last();
        let (window, shape) = self.sliding(input.shape);
        let rescale = self.rescale(5);
        self.push(Operator::MeanPool2d(MeanPool2d { window, rescale }), shape);
    }

    /// Multiplies with an earlier tensor of the same shape or with a vector of its channels, or does something else if there is none.
    fn multiply(&mut self) {
        let (last, tensor) = self.last();
        let fits =
            |shape: Shape| shape == tensor.shape || shape == Shape::vector(tensor.shape.channels);
        match (0..last).find(|&source| fits(self.model.tensor(source).shape)) {
            Some(source) => {
                let rescale = self.rescale(6);
                let other = Operand { source, tensor: self.model.tensor(source) };
                let layer = self.push(Operator::Multiply(Multiply { rescale }), tensor.shape);
                layer.inputs.push(other).unwrap();
            }
            None => self.mean_pool(),
        }
    }

    /// Puts an earlier tensor of the same extent beside the last, or does something else if there is none.
    fn concatenate(&mut self) {
        let (last, tensor) = self.last();
        let extent = |shape: Shape| (shape.height, shape.width);
        let fits = |shape: Shape| {
            extent(shape) == extent(tensor.shape) && shape.channels + tensor.shape.channels < 20
        };
        match (0..last).find(|&source| fits(self.model.tensor(source).shape)) {
            Some(source) => {
                let (rescale, other_rescale) = (self.rescale(-2), self.rescale(-1));
                let other = Operand { source, tensor: self.model.tensor(source) };
                let channels = tensor.shape.channels + other.tensor.shape.channels;
                let operator = Concatenate { rescale, other_rescale };
                let shape = Shape { channels, ..tensor.shape };
                let layer = self.push(Operator::Concatenate(operator), shape);
                layer.inputs.push(other).unwrap();
            }
            None => self.mean_pool(),
        }
    }

    /// A recurrent operator, or something else if the input has several rows.
    fn recurrence(&mut self, is_lstm: bool) {
        let (_, input) = self.last();
        if input.shape.height > 1 {
            return self.mean_pool();
        }
        let hidden = self.generator.between(1, 5) as u16;
        let width = if self.generator.chance(8) { input.shape.width } else { 1 };
        let shape = Shape { height: 1, width, channels: hidden };
        let gates = if is_lstm { 4 } else { 3 };
        let rows = gates * usize::from(hidden);
        let row_length = usize::from(input.shape.channels) + usize::from(hidden);
        let weights = self.weights_with(rows, row_length, 2 * rows);
        let mut bits = || self.generator.between(4, 12) as u8;
        let (gate_bits, cell_bits) = (bits(), bits());
        let direction = self.generator.pick(Direction::Forward, &Direction::ALL);
        let reset = self.generator.pick(Reset::Product, &Reset::ALL);
        let rescale = self.rescale(if is_lstm { 21 } else { 6 });
        let operator = if is_lstm {
            Operator::Lstm(Lstm { weights, gate_bits, cell_bits, rescale, direction })
        } else {
            Operator::Gru(Gru { weights, gate_bits, reset, rescale, direction })
        };
        self.push(operator, shape).activation = ActivationRange::FULL;
    }

    fn softmax(&mut self) {
        let (_, input) = self.last();
        let exponent_multiplier = 1 + self.generator.below(900_000);
        let layer = self.push(Operator::Softmax(Softmax { exponent_multiplier }), input.shape);
        layer.output.zero_point = i8::MIN;
        layer.activation = ActivationRange::FULL;
    }
}
