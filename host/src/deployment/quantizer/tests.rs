mod several;

use super::*;
use crate::data::SampleShape;
use crate::deployment::export::export;
use crate::deployment::integer::run_all;
use crate::graph::network::{Network, NodeInput, Operation};
use crate::graph::operation::{AveragePool2d, BatchNorm, Elementwise, MaxPool2d, Relu};
use crate::graph::sampling::Method;
use crate::graph::weights::NodeParameters;
use crate::training::engine::TrainingGraph;
use crate::window::{Padding, Sliding};
use tinyhero_common::model::Model;

/// Bytes that a linear congruential generator makes, smoothed so that they look a little like images.
fn samples(count: usize, shape: SampleShape, seed: u64) -> Vec<i16> {
    let mut state = seed;
    let mut value = 128i64;
    (0..count * shape.elements())
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            value = (value * 3 + (state >> 56) as i64) / 4;
            value as i16
        })
        .collect()
}

/// A network of the zoo with weights.
fn network(name: &str, shape: SampleShape, classes: usize) -> TrainedNetwork {
    with_weights(Network::open(name, shape, classes).unwrap())
}

/// Initial weights, and batch normalization that does something.
fn with_weights(network: Network) -> TrainedNetwork {
    let mut trained = TrainedNetwork::untrained(network, 7).unwrap();
    for parameters in &mut trained.parameters {
        if let NodeParameters::BatchNorm { gamma, beta, mean, variance } = parameters {
            let wave = |channel: usize| (channel as f32 * 1.7).sin();
            let count = gamma.len();
            *gamma = (0..count).map(|channel| 1.0 + 0.5 * wave(channel)).collect();
            *beta = (0..count).map(|channel| 0.3 * (channel as f32 * 0.9).cos()).collect();
            *mean = (0..count).map(|channel| 0.2 * wave(channel)).collect();
            *variance = (0..count).map(|channel| 1.5 + wave(channel)).collect();
        }
    }
    trained
}

/// The first output by [`all_values`].
fn reference(trained: &TrainedNetwork, sample: &[i16]) -> Vec<f64> {
    all_values(trained, sample).swap_remove(trained.network.outputs[0])
}

/// The description carried out node by node in f64, nothing folded: an independent definition.
fn all_values(trained: &TrainedNetwork, sample: &[i16]) -> Vec<Vec<f64>> {
    let summaries = trained.network.summaries().unwrap();
    let whole = calibrate::normalize(trained, sample);
    let mut rest = whole.iter().map(|&value| f64::from(value));
    let parts = trained.network.inputs.iter().map(|input| input.shape.elements());
    let inputs: Vec<Vec<f64>> =
        parts.map(|elements| rest.by_ref().take(elements).collect()).collect();
    let mut values: Vec<Vec<f64>> = Vec::new();
    for (index, node) in trained.network.nodes.iter().enumerate() {
        let read = |input_index: usize| match node.inputs[input_index] {
            NodeInput::Network(input) => &inputs[input],
            NodeInput::Node(before) => &values[before],
        };
        let from = summaries[index].input;
        let to = summaries[index].output;
        let source = read(0);
        let layer = match &trained.parameters[index] {
            NodeParameters::Layer { weight, bias, .. } => {
                Some((weight, bias.clone().unwrap_or(vec![0.0; to.channels])))
            }
            _ => None,
        };
        let slide = |sliding: &Sliding, depthwise: bool| {
            let Sliding { kernel, stride, .. } = *sliding;
            let window = sliding.over([from.height, from.width]).unwrap();
            let (weight, bias) = layer.as_ref().unwrap();
            let mut output = Vec::new();
            for y in 0..to.height {
                for x in 0..to.width {
                    for (o, &bias) in bias.iter().enumerate() {
                        let mut sum = f64::from(bias);
                        for i in 0..kernel[0] {
                            for j in 0..kernel[1] {
                                let row = (y * stride[0] + i).checked_sub(window.padding.top);
                                let column = (x * stride[1] + j).checked_sub(window.padding.left);
                                let (Some(row), Some(column)) = (row, column) else { continue };
                                if row >= from.height || column >= from.width {
                                    continue;
                                }
                                let depth = if depthwise { 1 } else { from.channels };
                                for c in 0..depth {
                                    let channel = if depthwise { o } else { c };
                                    let place =
                                        (row * from.width + column) * from.channels + channel;
                                    let place_w = ((o * depth + c) * kernel[0] + i) * kernel[1] + j;
                                    sum += source[place] * f64::from(weight[place_w]);
                                }
                            }
                        }
                        output.push(sum);
                    }
                }
            }
            output
        };
        let output: Vec<f64> = match node.operation {
            Operation::Convolution2d(layer) => slide(&layer.sliding, false),
            Operation::DepthwiseConvolution2d(layer) => slide(&layer.sliding, true),
            Operation::BatchNorm(BatchNorm { epsilon }) => {
                let NodeParameters::BatchNorm { gamma, beta, mean, variance } =
                    &trained.parameters[index]
                else {
                    panic!("batch normalization without numbers")
                };
                let channel = |(place, value): (usize, &f64)| {
                    let c = place % to.channels;
                    f64::from(gamma[c]) * (value - f64::from(mean[c]))
                        / (f64::from(variance[c]) + epsilon).sqrt()
                        + f64::from(beta[c])
                };
                source.iter().enumerate().map(channel).collect()
            }
            Operation::Relu(Relu { six }) => {
                let most = if six { 6.0 } else { f64::INFINITY };
                source.iter().map(|value| value.clamp(0.0, most)).collect()
            }
            Operation::Elementwise(Elementwise(function)) => {
                source.iter().map(|&value| function.value(value)).collect()
            }
            Operation::FullyConnected(_) => {
                let (weight, bias) = layer.as_ref().unwrap();
                let row = |o: usize| {
                    let weights = &weight[o * source.len()..];
                    let products = source.iter().zip(weights).map(|(x, &w)| x * f64::from(w));
                    f64::from(bias[o]) + products.sum::<f64>()
                };
                (0..to.channels).map(row).collect()
            }
            Operation::GlobalAveragePool(_) => {
                let pixels = from.height * from.width;
                let mean = |c: usize| {
                    (0..pixels).map(|p| source[p * from.channels + c]).sum::<f64>() / pixels as f64
                };
                (0..from.channels).map(mean).collect()
            }
            Operation::AveragePool2d(AveragePool2d { sliding, .. })
            | Operation::MaxPool2d(MaxPool2d { sliding }) => {
                let Sliding { kernel, stride, .. } = sliding;
                let around = sliding.over([from.height, from.width]).unwrap().padding;
                let mut output = Vec::new();
                for y in 0..to.height {
                    for x in 0..to.width {
                        for c in 0..to.channels {
                            let inside = (0..kernel[0] * kernel[1]).filter_map(|tap| {
                                let row =
                                    (y * stride[0] + tap / kernel[1]).checked_sub(around.top)?;
                                let column =
                                    (x * stride[1] + tap % kernel[1]).checked_sub(around.left)?;
                                let place = (row * from.width + column) * from.channels + c;
                                (row < from.height && column < from.width).then(|| source[place])
                            });
                            let taps: Vec<f64> = inside.collect();
                            let sum = taps.iter().sum::<f64>();
                            output.push(match node.operation {
                                Operation::AveragePool2d(pool) if pool.count_padding => {
                                    sum / (kernel[0] * kernel[1]) as f64
                                }
                                Operation::AveragePool2d(_) => sum / taps.len() as f64,
                                _ => taps.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                            });
                        }
                    }
                }
                output
            }
            Operation::Multiply(_) => {
                let other = read(1);
                let (image, vector) =
                    if source.len() >= other.len() { (source, other) } else { (other, source) };
                image.iter().zip(vector.iter().cycle()).map(|(a, b)| a * b).collect()
            }
            Operation::Concatenate(_) => {
                let parts: Vec<&Vec<f64>> = (0..node.inputs.len()).map(read).collect();
                let pixels = to.height * to.width;
                (0..pixels)
                    .flat_map(|pixel| {
                        parts.iter().flat_map(move |part| {
                            let channels = part.len() / pixels;
                            part[pixel * channels..(pixel + 1) * channels].to_vec()
                        })
                    })
                    .collect()
            }
            Operation::GroupedConvolution2d(grouped) => {
                let Sliding { kernel, stride, .. } = grouped.sliding;
                let spread = [0, 1].map(|axis| (kernel[axis] - 1) * grouped.dilation[axis] + 1);
                let spread = Sliding { kernel: spread, ..grouped.sliding };
                let around = spread.over([from.height, from.width]).unwrap().padding;
                let (weight, bias) = layer.as_ref().unwrap();
                let depth = from.channels / grouped.groups;
                let of_group = to.channels / grouped.groups;
                let mut output = Vec::new();
                for at in 0..to.elements() {
                    let (o, pixel) = (at % to.channels, at / to.channels);
                    let (y, x) = (pixel / to.width, pixel % to.width);
                    let mut sum = f64::from(bias[o]);
                    for (tap, c) in
                        (0..kernel[0] * kernel[1]).flat_map(|tap| (0..depth).map(move |c| (tap, c)))
                    {
                        let (i, j) = (tap / kernel[1], tap % kernel[1]);
                        let row = y * stride[0] + i * grouped.dilation[0];
                        let column = x * stride[1] + j * grouped.dilation[1];
                        let row = row.wrapping_sub(around.top);
                        let column = column.wrapping_sub(around.left);
                        if row < from.height && column < from.width {
                            let channel = o / of_group * depth + c;
                            let place = (row * from.width + column) * from.channels + channel;
                            let place_w = ((o * depth + c) * kernel[0] + i) * kernel[1] + j;
                            sum += source[place] * f64::from(weight[place_w]);
                        }
                    }
                    output.push(sum);
                }
                output
            }
            Operation::TransposedConvolution2d(transposed) => {
                let Sliding { kernel, stride, padding } = transposed.sliding;
                let Padding::Explicit(cut) = padding else { panic!("give numbers") };
                let (weight, bias) = layer.as_ref().unwrap();
                let mut output: Vec<f64> =
                    (0..to.elements()).map(|at| f64::from(bias[at % to.channels])).collect();
                for (place, value) in source.iter().enumerate() {
                    let (c, pixel) = (place % from.channels, place / from.channels);
                    let (row, column) = (pixel / from.width, pixel % from.width);
                    for (tap, o) in (0..kernel[0] * kernel[1])
                        .flat_map(|tap| (0..to.channels).map(move |o| (tap, o)))
                    {
                        let (i, j) = (tap / kernel[1], tap % kernel[1]);
                        let y = (row * stride[0] + i).wrapping_sub(cut.top);
                        let x = (column * stride[1] + j).wrapping_sub(cut.left);
                        if y < to.height && x < to.width {
                            let place_w = ((o * from.channels + c) * kernel[0] + i) * kernel[1] + j;
                            output[(y * to.width + x) * to.channels + o] +=
                                value * f64::from(weight[place_w]);
                        }
                    }
                }
                output
            }
            Operation::Resize2d(resize) => {
                let at =
                    |y: usize, x: usize, c: usize| source[(y * from.width + x) * from.channels + c];
                let pixel = |at: usize| (at / to.channels / to.width, at / to.channels % to.width);
                let value = |place: usize| {
                    let ((y, x), c) = (pixel(place), place % to.channels);
                    if resize.sampling.method != Method::Linear {
                        return at(y * from.height / to.height, x * from.width / to.width, c);
                    }
                    let position = |i: usize, inputs: usize, outputs: usize| {
                        let middle = (i as f64 + 0.5) * inputs as f64 / outputs as f64 - 0.5;
                        middle.clamp(0.0, inputs as f64 - 1.0)
                    };
                    let row = position(y, from.height, to.height);
                    let column = position(x, from.width, to.width);
                    let mut sum = 0.0;
                    for r in 0..from.height {
                        for s in 0..from.width {
                            let near = |p: f64, q: usize| (1.0 - (p - q as f64).abs()).max(0.0);
                            sum += near(row, r) * near(column, s) * at(r, s, c);
                        }
                    }
                    sum
                };
                (0..to.elements()).map(value).collect()
            }
            Operation::Add(_) => source.iter().zip(read(1)).map(|(a, b)| a + b).collect(),
            Operation::Flatten(_) | Operation::Softmax(_) => source.clone(),
            // Operations that have their own tests.
            #[allow(unreachable_patterns, reason = "there may be none")]
            _ => panic!("{} has no definition here", node.operation.name()),
        };
        values.push(output);
    }
    values
}

/// Scores of the folded network in f32: what is left of it before a final softmax.
fn folded_scores(
    folded: &fold::FoldedNetwork,
    trained: &TrainedNetwork,
    sample: &[i16],
) -> Vec<f32> {
    let mut room = folded.room();
    folded.forward(&calibrate::normalize(trained, sample), &mut room);
    let decides = (0..folded.nodes.len()).find(|&node| folded.decides(node)).unwrap();
    room[decides + 1].clone()
}

fn zoo() -> Vec<TrainedNetwork> {
    vec![
        network("mlp", SampleShape::new(8, 8, 1), 10),
        network("cnn", SampleShape::new(8, 8, 1), 10),
        network("lenet", SampleShape::new(12, 12, 1), 10),
        network("resnet8", SampleShape::new(12, 12, 3), 10),
        network("ds-cnn", SampleShape::new(13, 10, 1), 12),
        network("mobilenet-v1-0.25", SampleShape::new(32, 32, 3), 2),
        network("autoencoder", SampleShape::new(1, 1, 64), 64),
        functions(),
        branches(),
        larger(),
    ]
}

/// A network whose images grow again, with groups and taps apart.
fn larger() -> TrainedNetwork {
    let text = r#"
        name = "larger"
        [[layer]]
        operation = "grouped-convolution-2d"
        out-channels = 6
        kernel = [3, 2]
        dilation = [2, 3]
        padding = [2, 1, 1, 3]
        stride = [2, 1]
        groups = 2
        [[layer]]
        operation = "relu"
        [[layer]]
        name = "multiplied"
        operation = "grouped-convolution-2d"
        out-channels = 12
        kernel = 3
        groups = 6
        [[layer]]
        name = "up"
        operation = "transposed-convolution-2d"
        out-channels = 3
        kernel = [3, 2]
        stride = [2, 3]
        padding = [1, 0, 0, 1]
        output-padding = [1, 0]
        [[layer]]
        operation = "relu6"
        [[layer]]
        operation = "resize-2d"
        factor = [2, 1]
        [[layer]]
        operation = "resize-2d"
        size = [5, 17]
        method = "linear"
        [[layer]]
        operation = "fully-connected"
        out-features = "classes"
    "#;
    let network = Network::from_toml(text, "larger", SampleShape::new(7, 6, 4), 5).unwrap();
    let again = Network::from_toml(&network.to_toml(), "again", network.input(), 5).unwrap();
    assert_eq!(network, again);
    with_weights(network)
}

#[test]
fn images_that_grow_compute_the_same_in_training() {
    let trained = larger();
    let samples: Vec<i16> = (0..168).map(|at| (at * 37 % 256) as i16).collect();
    let graph =
        TrainingGraph::new(&trained.network, &trained.parameters, candle_core::DType::F64).unwrap();
    let found = graph.predict(&calibrate::normalize(&trained, &samples)).unwrap();
    let expected = reference(&trained, &samples);
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        let error = (f64::from(*found) - expected).abs();
        assert!(error < 1e-4 * (1.0 + expected.abs()), "{found} {expected}");
    }
}

/// A network whose branches meet in products and side by side, with pools that leave the image.
fn branches() -> TrainedNetwork {
    let text = r#"
        name = "branches"
        [[layer]]
        name = "stem"
        operation = "convolution-2d"
        out-channels = 5
        kernel = 3
        [[layer]]
        name = "counted"
        operation = "average-pool-2d"
        kernel = 3
        stride = 2
        padding = "same"
        count-padding = true
        [[layer]]
        name = "left-out"
        operation = "average-pool-2d"
        inputs = ["stem"]
        kernel = [3, 2]
        stride = 2
        padding = [1, 1, 0, 1]
        [[layer]]
        name = "largest"
        operation = "max-pool-2d"
        inputs = ["stem"]
        kernel = 2
        [[layer]]
        name = "all"
        operation = "concatenate"
        inputs = ["counted", "left-out", "largest", "largest"]
        [[layer]]
        name = "gates"
        operation = "global-average-pool"
        [[layer]]
        name = "gate"
        operation = "sigmoid"
        [[layer]]
        name = "excited"
        operation = "multiply"
        inputs = ["gate", "all"]
        [[layer]]
        name = "square"
        operation = "multiply"
        inputs = ["excited", "excited"]
        [[layer]]
        name = "mixed"
        operation = "multiply"
        inputs = ["square", "all"]
        [[layer]]
        operation = "fully-connected"
        out-features = "classes"
    "#;
    let network = Network::from_toml(text, "branches", SampleShape::new(8, 6, 2), 4).unwrap();
    let again = Network::from_toml(&network.to_toml(), "again", network.input(), 4).unwrap();
    assert_eq!(network, again);
    with_weights(network)
}

/// A network with every function of single values, two of them behind a flattened image.
fn functions() -> TrainedNetwork {
    let text = r#"
        name = "functions"
        [[layer]]
        operation = "convolution-2d"
        out-channels = 6
        kernel = 3
        [[layer]]
        operation = "hard-swish"
        [[layer]]
        operation = "depthwise-convolution-2d"
        kernel = 3
        [[layer]]
        operation = "batch-norm"
        [[layer]]
        operation = "leaky-relu"
        slope = 0.125
        [[layer]]
        operation = "convolution-2d"
        out-channels = 6
        kernel = 1
        [[layer]]
        operation = "gelu"
        [[layer]]
        operation = "convolution-2d"
        out-channels = 4
        kernel = 1
        [[layer]]
        operation = "elu"
        alpha = 0.75
        [[layer]]
        operation = "flatten"
        [[layer]]
        operation = "hard-sigmoid"
        [[layer]]
        operation = "fully-connected"
        out-features = 12
        [[layer]]
        operation = "tanh"
        [[layer]]
        operation = "fully-connected"
        out-features = 9
        [[layer]]
        operation = "swish"
        [[layer]]
        operation = "fully-connected"
        out-features = "classes"
        [[layer]]
        operation = "sigmoid"
    "#;
    let network = Network::from_toml(text, "functions", SampleShape::new(6, 5, 2), 4).unwrap();
    let again = Network::from_toml(&network.to_toml(), "again", network.input(), 4).unwrap();
    assert_eq!(network, again);
    with_weights(network)
}

#[test]
fn folding_changes_nothing_but_rounding() {
    for trained in zoo() {
        let shape = trained.network.input();
        let folded = fold::fold(&trained).unwrap();
        let samples = samples(3, shape, 1);
        for sample in samples.chunks(shape.elements()) {
            let expected = reference(&trained, sample);
            let found = folded_scores(&folded, &trained, sample);
            let largest = expected.iter().fold(1.0f64, |largest, value| largest.max(value.abs()));
            for (expected, found) in expected.iter().zip(found) {
                let error = (expected - f64::from(found)).abs() / largest;
                assert!(error < 1e-5, "{}: {expected} {found}", trained.network.name);
            }
        }
    }
}

/// Index of the scores in the integer network, whether or not a softmax follows.
fn score_layer(network: &IntegerNetwork) -> usize {
    network.layers.len() - 1 - usize::from(!network.task.labels().is_empty())
}

/// Makes a layer the last one.
fn end_at(network: &mut IntegerNetwork, layer: usize) {
    network.layers.truncate(layer + 1);
    network.outputs[0].tensor = network.inputs.len() + layer;
}

#[test]
fn at_eight_bits_scores_are_within_a_few_steps_of_the_real_ones() {
    // Descent fits the samples at hand; so few of them tell it little about others.
    let roundings = [(Rounding::Nearest, 40.0, 6.0), (Rounding::Descent, 100.0, 9.0)];
    for (trained, (rounding, most, average)) in
        zoo().into_iter().flat_map(|trained| roundings.map(|rounding| (trained.clone(), rounding)))
    {
        let name = format!("{}, {rounding:?}", trained.network.name);
        let shape = trained.network.input();
        let calibration = samples(64, shape, 2);
        let quantization = Quantization::new(BitWidth::Eight).rounded(rounding);
        let mut quantized = quantize(&trained, &calibration, &quantization).unwrap();
        let scores = score_layer(&quantized);
        end_at(&mut quantized, scores);
        let output = quantized.layers[scores].output;
        let file = export(&quantized).unwrap().bytes;
        let test = samples(16, shape, 3);
        let outcomes = run_all(&Model::load(&file).unwrap(), &test).unwrap();
        let folded = fold::fold(&trained).unwrap();
        let mut total = 0.0f64;
        let mut count = 0.0;
        for (sample, outcome) in test.chunks(shape.elements()).zip(outcomes) {
            let expected = folded_scores(&folded, &trained, sample);
            for (&expected, &found) in expected.iter().zip(&outcome.scores) {
                let expected = f64::from(expected).clamp(output.real(-128), output.real(127));
                let steps = (output.real(found) - expected).abs() / output.scale;
                total += steps;
                count += 1.0;
                assert!(steps < most, "{name}: {steps} steps");
            }
        }
        assert!(total / count < average, "{name}: {} steps on average", total / count);
    }
}

#[test]
fn every_width_per_tensor_and_per_channel_exports_and_loads() {
    for trained in zoo() {
        let calibration = samples(8, trained.network.input(), 4);
        for bit_width in BitWidth::ALL {
            for quantization in
                [Quantization::new(bit_width), Quantization::new(bit_width).per_tensor()]
            {
                let quantized = quantize(&trained, &calibration, &quantization).unwrap();
                for weights in quantized.layers.iter().filter_map(|layer| layer.weights.as_ref()) {
                    assert_eq!(weights.bit_width, bit_width);
                    let equal = weights.scales.windows(2).all(|pair| pair[0] == pair[1]);
                    assert!(equal || !quantization.per_tensor);
                }
                let exported = export(&quantized).unwrap();
                assert_eq!(exported, export(&quantized).unwrap());
                let model = Model::load(&exported.bytes).unwrap();
                assert_eq!(model.layers().count(), quantized.layers.len());
            }
        }
    }
}

#[test]
fn the_same_bytes_come_from_any_number_of_threads() {
    let trained = network("resnet8", SampleShape::new(12, 12, 3), 10);
    let calibration = samples(100, trained.network.input(), 5);
    let bytes = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let quantization = Quantization::new(BitWidth::Three);
            export(&quantize(&trained, &calibration, &quantization).unwrap()).unwrap().bytes
        })
    };
    assert_eq!(bytes(1), bytes(5));
}

/// Changes the weights and bias of one layer.
fn edit(trained: &mut TrainedNetwork, layer: &str, change: impl Fn(&mut Vec<f32>, &mut Vec<f32>)) {
    let index = trained.network.nodes.iter().position(|node| node.name == layer).unwrap();
    if let NodeParameters::Layer { weight, bias: Some(bias), .. } = &mut trained.parameters[index] {
        change(weight, bias);
    } else {
        panic!("{layer} has no weights and bias");
    }
}

#[test]
fn channels_without_weights_still_give_their_bias() {
    for per_tensor in [false, true] {
        for only_one in [false, true] {
            let mut trained = network("mlp", SampleShape::new(8, 8, 1), 10);
            edit(&mut trained, "output", |weight, bias| {
                let count = if only_one { 32 } else { weight.len() };
                weight[..count].fill(0.0);
                bias.fill(0.1);
                bias[0] = 1.25;
            });
            let calibration = samples(32, trained.network.input(), 6);
            let quantization = Quantization { per_tensor, ..Quantization::new(BitWidth::Four) };
            let mut quantized = quantize(&trained, &calibration, &quantization).unwrap();
            let scores = score_layer(&quantized);
            end_at(&mut quantized, scores);
            let output = quantized.layers.last().unwrap().output;
            let file = export(&quantized).unwrap().bytes;
            let outcomes = run_all(&Model::load(&file).unwrap(), &calibration).unwrap();
            for outcome in outcomes {
                let error = (output.real(outcome.scores[0]) - 1.25).abs();
                assert!(error <= output.scale * 0.51, "{per_tensor} {only_one} {error}");
            }
        }
    }
}

#[test]
fn tiny_and_huge_weights_export() {
    for factor in [1e-30, 1e-12, 1e-6, 1e6, 1e12] {
        for per_tensor in [false, true] {
            let mut trained = network("mlp", SampleShape::new(8, 8, 1), 10);
            edit(&mut trained, "hidden", |weight, _| {
                weight[..64].iter_mut().for_each(|weight| *weight *= factor);
            });
            edit(&mut trained, "output", |weight, bias| {
                weight.iter_mut().for_each(|weight| *weight *= factor);
                bias[3] = 1.0;
            });
            let calibration = samples(32, trained.network.input(), 6);
            let quantization = Quantization { per_tensor, ..Quantization::new(BitWidth::Eight) };
            let quantized = quantize(&trained, &calibration, &quantization).unwrap();
            export(&quantized).unwrap();
        }
    }
}

#[test]
fn per_channel_scales_keep_a_small_channel_that_a_common_scale_loses() {
    let mut trained = network("mlp", SampleShape::new(8, 8, 1), 10);
    edit(&mut trained, "hidden", |weight, _| {
        weight[64..].iter_mut().for_each(|weight| *weight *= 100.0);
    });
    let calibration = samples(32, trained.network.input(), 8);
    let hidden = |per_tensor| {
        let quantization = Quantization { per_tensor, ..Quantization::new(BitWidth::Four) };
        let quantized = quantize(&trained, &calibration, &quantization).unwrap();
        quantized.layers[0].weights.clone().unwrap().values[..64].to_vec()
    };
    assert!(hidden(true).iter().all(|&weight| weight == 0));
    assert!(hidden(false).iter().any(|&weight| weight.unsigned_abs() >= 7));
}

#[test]
fn byte_images_with_one_channel_lose_nothing_at_the_input() {
    for largest in [16, 255] {
        let mut trained = network("mlp", SampleShape::new(8, 8, 1), 10);
        trained.input.normalization.offset = vec![f64::from(largest) * 0.307];
        trained.input.normalization.inverse_scale = vec![3.1 / f64::from(largest)];
        let calibration: Vec<i16> =
            samples(32, trained.network.input(), 9).iter().map(|v| v % (largest + 1)).collect();
        let mut calibration = calibration;
        calibration[0] = 0;
        calibration[1] = largest;
        let quantization = Quantization::new(BitWidth::Eight);
        let quantized = quantize(&trained, &calibration, &quantization).unwrap();
        let input = &quantized.inputs[0];
        let [map] = input.maps[..] else { panic!("one map") };
        for raw in 0..=largest {
            let real = trained.input.normalization.real(raw, 0);
            let found = input.tensor.real(map.apply(i32::from(raw)));
            assert!((real - found).abs() <= 0.501 * input.tensor.scale, "{raw}");
            if raw > 0 {
                assert!(map.apply(i32::from(raw)) > map.apply(i32::from(raw) - 1), "{raw}");
            }
        }
    }
}

#[test]
fn activations_that_cannot_be_fused_still_work() {
    let toml = r#"
name = "odd"
[[layer]]
operation = "relu6"
[[layer]]
operation = "batch-norm"
[[layer]]
name = "first"
operation = "convolution-2d"
out-channels = 4
kernel = 3
[[layer]]
name = "pool"
operation = "max-pool-2d"
kernel = 2
[[layer]]
name = "cut"
operation = "relu"
[[layer]]
name = "branch"
operation = "convolution-2d"
out-channels = 4
kernel = 1
[[layer]]
name = "branch-relu"
operation = "relu6"
[[layer]]
name = "sum"
operation = "add"
inputs = ["branch-relu", "branch"]
[[layer]]
name = "double"
operation = "add"
inputs = ["sum", "sum"]
[[layer]]
operation = "average-pool-2d"
kernel = 2
[[layer]]
operation = "flatten"
[[layer]]
operation = "fully-connected"
out-features = "classes"
"#;
    let shape = SampleShape::new(8, 8, 2);
    let described = Network::from_toml(toml, "odd.toml", shape, 3).unwrap();
    let trained = TrainedNetwork::untrained(described, 3).unwrap();
    let folded = fold::fold(&trained).unwrap();
    let test = samples(20, shape, 11);
    let quantization = Quantization::new(BitWidth::Eight);
    let mut quantized = quantize(&trained, &samples(64, shape, 10), &quantization).unwrap();
    let scores = score_layer(&quantized);
    end_at(&mut quantized, scores);
    let output = quantized.layers.last().unwrap().output;
    let file = export(&quantized).unwrap().bytes;
    let outcomes = run_all(&Model::load(&file).unwrap(), &test).unwrap();
    for (sample, outcome) in test.chunks(shape.elements()).zip(outcomes) {
        let expected = reference(&trained, sample);
        let found = folded_scores(&folded, &trained, sample);
        for ((expected, folded), &score) in expected.iter().zip(found).zip(&outcome.scores) {
            assert!((expected - f64::from(folded)).abs() < 1e-5);
            let steps = (output.real(score) - expected).abs() / output.scale;
            assert!(steps < 12.0, "{steps} steps");
        }
    }
}

#[test]
fn calibration_without_whole_samples_is_refused() {
    let trained = network("mlp", SampleShape::new(8, 8, 1), 10);
    for count in [0, 63, 65] {
        let error =
            quantize(&trained, &vec![1; count], &Quantization::new(BitWidth::Four)).unwrap_err();
        assert!(error.to_string().contains("calibration"), "{error}");
    }
}
