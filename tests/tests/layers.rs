//! Single layers of any size: the portable kernels compute them as defined, the loader accepts them, and the shapes that matter are
//! among those that a board runs.

#[expect(dead_code, reason = "the random models of other tests")]
#[path = "support/crafted.rs"]
mod crafted;
#[path = "layers/regions.rs"]
mod regions;

use std::sync::{Mutex, MutexGuard, PoisonError};

use crafted::Crafted;
use tinyhero_common::input::InputMap;
use tinyhero_common::kernels::{Kernels, Portable};
use tinyhero_common::layer::Layer;
use tinyhero_common::layout::Layout;
use tinyhero_common::model::{
    Description, InputQuantization, InputTensor, Model, OutputTensor, SelfTest, Task,
};
use tinyhero_common::operator::{
    Add, AddJob, AveragePool2d, Concatenate, Convolution2d, ConvolutionJob, DepthwiseConvolution2d,
    FullyConnected, FullyConnectedJob, GroupedConvolution2d, MaxPool2d, MeanPool2d, Multiply,
    Operator, PoolJob, Resize2d, Softmax, SoftmaxJob, Table, TransposedConvolution2d, Weights,
};
use tinyhero_common::requantize::ActivationRange;
use tinyhero_common::shape::{Element, Region, Shape, Window};
use tinyhero_common::tensor::{Operand, Operands, SampleType, Scale, Tensor};
use tinyhero_tests::{
    BOARD_LAYERS, FastKernel, IN_ROWS, LayerMemory, LayerMismatch, ON_EVERY_BOARD, OperatorCase,
    Plan, Subject, Workspace, layer_case, layer_cases, operator_cases,
};

const SEED: u32 = 20_261_128;

/// Two megabytes that no stack has room for, one test at a time.
fn memory() -> MutexGuard<'static, LayerMemory> {
    static MEMORY: Mutex<LayerMemory> = Mutex::new(LayerMemory::new());
    MEMORY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Operators with weights in every layout, and the others.
fn all_kernels() -> Vec<FastKernel> {
    let weighted = IN_ROWS.iter().flat_map(|kernel| {
        Layout::ALL.map(|layout| FastKernel { layout, subject: kernel.subject })
    });
    weighted.chain(ON_EVERY_BOARD).collect()
}

/// Runs as many layers as the portable kernels do in a few seconds.
#[test]
fn every_portable_operator_is_exact_at_any_size() {
    let count = 600;
    let mut memory = memory();
    let kernels = all_kernels();
    let elements: u32 = kernels
        .iter()
        .map(|&kernel| {
            layer_cases(&mut Portable, &mut memory, kernel, SEED, 0, count)
                .unwrap_or_else(|mismatch| panic!("{mismatch}"))
        })
        .sum();
    println!("{} layers, {elements} elements, seed {SEED}", kernels.len() as u32 * count);
    assert!(elements > 5_000_000);
}

/// The kernels of one core with those that no core has of its own, as a board of that core runs them.
fn on_board(fast: [FastKernel; 3]) -> impl Iterator<Item = FastKernel> {
    fast.into_iter().chain(ON_EVERY_BOARD)
}

/// A later change of the generator must not lose what the layers are there for.
#[test]
fn every_boards_layers_reach_the_shapes_that_matter() {
    let mut memory = memory();
    for (set, fast) in
        [("Dsp", FastKernel::DSP), ("Mul32", FastKernel::MUL32), ("Helium", FastKernel::HELIUM)]
    {
        let mut counts = regions::Counts::default();
        for kernel in on_board(fast) {
            for number in 0..BOARD_LAYERS {
                let case = memory.prepare(kernel, Plan::BOARD.seed, number);
                assert_eq!(
                    format!("{case:?}"),
                    format!("{:?}", layer_case(kernel, Plan::BOARD.seed, number)),
                    "a mismatch prints another layer than the one that ran"
                );
                counts.count(kernel, &case, &memory);
            }
        }
        println!("{set}:\n{counts}");
        let missing = counts.missing();
        assert!(missing.is_empty(), "{set} reaches too few layers of: {missing:?}\n{counts}");
    }
}

/// What is not accepted is no layer: shapes, constants, weights and scratch memory are those of a valid model.
#[test]
fn the_loader_accepts_every_layer() {
    let mut memory = memory();
    for kernel in all_kernels() {
        for number in 0..300 {
            let case = memory.prepare(kernel, Plan::BOARD.seed, number);
            let file = model(&case, &memory).file();
            if let Err(error) = Model::load(&file) {
                panic!("{kernel:?}, case {number}: {error}, in {case:?}");
            }
        }
    }
}

/// A model of one layer; an addition's other operand is made by a pool before it.
fn model(case: &OperatorCase, memory: &LayerMemory) -> Crafted {
    let scale = Scale { mantissa: 1 << 23, exponent: -27 };
    let element = Element::I8;
    let quantization = InputQuantization { sample_type: SampleType::U8, maps: 1, offset: 0 };
    let tensor = |shape, offset, zero_point| Tensor { shape, element, offset, zero_point, scale };
    let mut parameters = InputMap { offset: 0, multiplier: 1, shift: 0 }.to_bytes().to_vec();
    let has_table = matches!(case.subject, Subject::Table | Subject::TableInPlace);
    let has_weights = matches!(
        case.subject,
        Subject::Convolution2d
            | Subject::DepthwiseConvolution2d
            | Subject::FullyConnected
            | Subject::TransposedConvolution2d
            | Subject::GroupedConvolution2d
            | Subject::Lstm
            | Subject::Gru
    );
    let mut append = |bytes: &[u8], has: bool| {
        // Nothing but what a layer names may stand there.
        let bytes = if has { bytes } else { &[] };
        parameters.resize(parameters.len().next_multiple_of(16), 0);
        let offset = parameters.len() as u32;
        parameters.extend(bytes);
        offset
    };
    let weights = Weights {
        bit_width: case.bit_width,
        layout: case.layout,
        offset: append(memory.packed(case), has_weights || has_table),
        channels: append(memory.channels(case), has_weights),
    };
    let input = tensor(case.input, 0, case.input_zero_point);
    let mut end = input.region().bytes;
    let mut reserve = |bytes: u32| {
        let region = Region { offset: end.next_multiple_of(4), bytes };
        end = region.offset + bytes;
        region
    };
    let first = Operand { source: 0, tensor: input };
    let mut layers = Vec::new();
    let mut inputs: Operands = [first].into_iter().collect();
    let reads_other = matches!(
        case.subject,
        Subject::Add
            | Subject::AddInPlace
            | Subject::Multiply
            | Subject::MultiplyInPlace
            | Subject::Concatenate
    );
    let mut raw_inputs = vec![InputTensor { name: "input".into(), quantization, tensor: input }];
    let other = tensor(case.other, 0, case.other_zero_point);
    if reads_other && case.other != case.input {
        let other = Tensor { offset: reserve(other.region().bytes).offset, ..other };
        let offset = parameters.len() as u32;
        parameters.extend(InputMap { offset: 0, multiplier: 1, shift: 0 }.to_bytes());
        raw_inputs.push(InputTensor {
            name: "other".into(),
            quantization: InputQuantization { offset, ..quantization },
            tensor: other,
        });
        inputs.push(Operand { source: 1, tensor: other }).unwrap();
    } else if reads_other {
        let place = reserve(input.region().bytes).offset;
        let output = tensor(case.input, place, case.input_zero_point);
        let [one, none] = [1, 0];
        let window = Window {
            kernel_height: one,
            kernel_width: one,
            stride_height: one,
            stride_width: one,
            padding_top: none,
            padding_left: none,
        };
        layers.push(Layer {
            name: "other".into(),
            inputs: inputs.clone(),
            output,
            scratch: Region { offset: 0, bytes: 0 },
            activation: case.activation,
            operator: Operator::MaxPool2d(MaxPool2d { window }),
        });
        inputs.push(Operand { source: 1, tensor: output }).unwrap();
    }
    let window = case.window;
    let operator = match case.subject {
        Subject::Convolution2d => Operator::Convolution2d(Convolution2d { window, weights }),
        Subject::DepthwiseConvolution2d => {
            Operator::DepthwiseConvolution2d(DepthwiseConvolution2d { window, weights })
        }
        Subject::FullyConnected => Operator::FullyConnected(FullyConnected { weights }),
        Subject::AveragePool2d => {
            Operator::AveragePool2d(AveragePool2d { window, rescale: case.rescale })
        }
        Subject::MaxPool2d => Operator::MaxPool2d(MaxPool2d { window }),
        Subject::Table | Subject::TableInPlace => {
            Operator::Table(Table { entries: weights.offset })
        }
        Subject::Softmax => {
            Operator::Softmax(Softmax { exponent_multiplier: case.exponent_multiplier })
        }
        Subject::MeanPool2d => Operator::MeanPool2d(MeanPool2d { window, rescale: case.rescale }),
        Subject::Multiply | Subject::MultiplyInPlace => {
            Operator::Multiply(Multiply { rescale: case.rescale })
        }
        Subject::Concatenate => Operator::Concatenate(Concatenate {
            rescale: case.rescale,
            other_rescale: case.other_rescale,
        }),
        Subject::Resize2d => Operator::Resize2d(Resize2d {
            interpolation: case.interpolation,
            rows: case.rows,
            columns: case.columns,
        }),
        Subject::TransposedConvolution2d => {
            Operator::TransposedConvolution2d(TransposedConvolution2d { window, weights })
        }
        Subject::GroupedConvolution2d => Operator::GroupedConvolution2d(GroupedConvolution2d {
            window,
            dilation_height: case.dilation[0],
            dilation_width: case.dilation[1],
            groups: case.groups,
            weights,
        }),
        Subject::Lstm => Operator::Lstm(case.lstm(weights)),
        Subject::Gru => Operator::Gru(case.gru(weights)),
        _ => Operator::Add(Add { rescale: case.add_rescale }),
    };
    let zero_point =
        if case.subject == Subject::Softmax { i8::MIN } else { case.output_zero_point };
    let place = match case.subject {
        Subject::AddInPlace | Subject::TableInPlace | Subject::MultiplyInPlace => 0,
        _ => reserve(case.output.elements() as u32).offset,
    };
    layers.push(Layer {
        name: "layer".into(),
        inputs,
        output: tensor(case.output, place, zero_point),
        scratch: reserve(case.scratch_bytes as u32),
        // A softmax and a hidden state have no clamp, and a table is clamped already.
        activation: match case.subject {
            Subject::Softmax | Subject::Table | Subject::TableInPlace => ActivationRange::FULL,
            Subject::Lstm | Subject::Gru => ActivationRange::FULL,
            _ => case.activation,
        },
        operator,
    });
    let description = Description {
        name: "one layer".into(),
        task: Task::Classification { labels: "".into() },
        arena_bytes: 0,
        state_bytes: 0,
        self_test: SelfTest { seed: 0, digest: 0 },
        input_count: 0,
        output_count: 0,
        layer_count: 0,
    };
    let output = OutputTensor { name: "output".into(), operand: first };
    let (inputs, outputs) = (raw_inputs, vec![output]);
    let mut crafted = Crafted { description, inputs, outputs, layers, parameters };
    let operands = crafted.layers.clone();
    crafted.relink();
    // What `relink` gives the operands is what they were.
    assert_eq!(crafted.layers, operands);
    crafted
}

/// One more in the last element, where the layer is of the kind that a defect spoils.
struct Broken(fn(&Job) -> bool);

/// What a defect looks at.
enum Job {
    Window(Sliding),
    Row(usize),
}

/// Shapes of an operator with a window.
struct Sliding {
    window: Window,
    input: Shape,
    output: Shape,
}

impl Broken {
    fn spoil(&self, job: &Job, output: &mut [i8]) {
        if (self.0)(job)
            && let Some(last) = output.last_mut()
        {
            *last = if *last == i8::MAX { i8::MIN } else { *last + 1 };
        }
    }
}

impl Kernels for Broken {
    fn convolution_2d(
        &mut self,
        job: &ConvolutionJob<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        Portable.convolution_2d(job, input, scratch, output);
        let ConvolutionJob { window, input, output: shape, .. } = *job;
        self.spoil(&Job::Window(Sliding { window, input, output: shape }), output);
    }

    fn depthwise_convolution_2d(
        &mut self,
        job: &ConvolutionJob<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        Portable.depthwise_convolution_2d(job, input, scratch, output);
        let ConvolutionJob { window, input, output: shape, .. } = *job;
        self.spoil(&Job::Window(Sliding { window, input, output: shape }), output);
    }

    fn fully_connected(
        &mut self,
        job: &FullyConnectedJob<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        Portable.fully_connected(job, input, scratch, output);
        self.spoil(&Job::Row(input.len()), output);
    }

    fn average_pool_2d(&mut self, job: &PoolJob, input: &[i8], output: &mut [i8]) {
        Portable.average_pool_2d(job, input, output);
        let PoolJob { window, input, output: shape, .. } = *job;
        self.spoil(&Job::Window(Sliding { window, input, output: shape }), output);
    }

    fn add(&mut self, job: &AddJob, input: &[i8], other: &[i8], output: &mut [i8]) {
        Portable.add(job, input, other, output);
        self.spoil(&Job::Row(input.len()), output);
    }

    fn softmax(&mut self, job: &SoftmaxJob, input: &[i8], output: &mut [i8]) {
        Portable.softmax(job, input, output);
        self.spoil(&Job::Row(job.channels), output);
    }
}

/// Defects that the small cases cannot find, as they do not reach their shapes; a board's layers find each.
#[test]
fn a_kernel_that_is_broken_for_a_rare_shape_is_found() {
    let find = |subject, broken: fn(&Job) -> bool| {
        let plan = Plan::BOARD;
        let mut workspace = Workspace::new();
        let small = plan.per_operator;
        operator_cases(&mut Broken(broken), &mut workspace, subject, plan.seed, 0, small)
            .expect("the small cases find it: it says nothing about the layers");
        let kernel = on_board(FastKernel::DSP).find(|kernel| kernel.subject == subject).unwrap();
        let mut memory = memory();
        let run = layer_cases(&mut Broken(broken), &mut memory, kernel, plan.seed, 0, BOARD_LAYERS);
        let mismatch = run.expect_err("the defect was not found");
        assert_eq!(LayerMismatch::from_words(mismatch.to_words()), Some(mismatch));
        println!("{mismatch}");
        mismatch.to_string()
    };
    let printed = find(
        Subject::DepthwiseConvolution2d,
        |job| matches!(job, Job::Window(shape) if shape.output.width > 24 && shape.output.width % 8 != 0),
    );
    let expected = "layer of DepthwiseConvolution2d in ChannelQuads, seed 1, case ";
    assert!(printed.contains(expected) && printed.contains("kernel_height"), "{printed}");
    find(
        Subject::AveragePool2d,
        |job| matches!(job, Job::Window(shape) if shape.input.pixels() == 256),
    );
    find(
        Subject::Convolution2d,
        |job| matches!(job, Job::Window(shape) if shape.window.stride_width == u8::MAX),
    );
    find(Subject::Convolution2d, |job| {
        matches!(job, Job::Window(Sliding { window, input, .. })
            if u16::from(window.kernel_height) > input.height + 5
                && u16::from(window.kernel_width) > input.width + 5)
    });
    find(Subject::FullyConnected, |job| matches!(job, Job::Row(1025..)));
    find(Subject::FullyConnected, |job| matches!(job, Job::Row(65_537..)));
    find(Subject::Add, |job| matches!(job, Job::Row(10_000..)));
    find(Subject::Softmax, |job| matches!(job, Job::Row(1_000..)));
}

#[test]
fn words_that_are_no_kernel_are_no_mismatch() {
    assert_eq!(LayerMismatch::from_words([9, 5, 0, 0, 0, 0, 0]), None);
    assert_eq!(LayerMismatch::from_words([0, 99, 0, 0, 0, 0, 0]), None);
}
