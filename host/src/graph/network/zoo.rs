//! Networks known by name. The MLPerf Tiny ones follow the reference models' layers and shapes
//! (Banbury et al., "MLPerf Tiny Benchmark", 2021); the keyword network leaves out the reference's dropout.

use super::{Network, Node, NodeInput, Operation};
use crate::data::SampleShape;
use crate::graph::operation::{
    Add, BatchNorm, Convolution2d, DEFAULT_EPSILON, DepthwiseConvolution2d, Flatten,
    FullyConnected, GlobalAveragePool, MaxPool2d, Relu, Softmax,
};
use crate::task::Task;
use crate::window::{Padding, PaddingAmounts, Sliding};

/// Names that [`Network::open`] knows.
pub const NAMES: [&str; 10] = [
    "mlp",
    "cnn",
    "lenet",
    "resnet8",
    "resnet20",
    "ds-cnn",
    "mobilenet-v1-0.25",
    "har-cnn",
    "tcn",
    AUTOENCODER,
];
/// The one network that reproduces its input.
const AUTOENCODER: &str = "autoencoder";

/// Builds `name`, or `None` if it is not one of [`NAMES`].
pub fn build(name: &str, input: SampleShape, classes: usize) -> Option<Network> {
    let mut builder = Builder { nodes: Vec::new() };
    match name {
        "mlp" => builder.mlp(classes),
        "cnn" => builder.cnn(classes),
        "lenet" => builder.lenet(classes),
        "resnet8" => builder.resnet8(classes),
        "resnet20" => builder.resnet20(classes),
        "ds-cnn" => builder.ds_cnn(classes),
        "mobilenet-v1-0.25" => builder.mobilenet(classes),
        "har-cnn" => builder.har_cnn(input, classes),
        "tcn" => builder.tcn(input, classes),
        AUTOENCODER => builder.autoencoder(input.elements()),
        _ => return None,
    }
    let task = task(name)?;
    Some(Network::new(name, task, input, builder.nodes))
}

/// What a network of the zoo is for.
pub fn task(name: &str) -> Option<Task> {
    let task = match name {
        AUTOENCODER => Task::Reconstruction,
        _ => Task::Classification,
    };
    NAMES.contains(&name).then_some(task)
}

/// Sample shape and classes where no data is given.
pub fn default_input(name: &str) -> Option<(SampleShape, usize)> {
    Some(match name {
        "mlp" => (SampleShape::new(8, 8, 1), 10),
        "cnn" | "lenet" => (SampleShape::new(28, 28, 1), 10),
        "resnet8" | "resnet20" => (SampleShape::new(32, 32, 3), 10),
        "ds-cnn" => (SampleShape::new(49, 10, 1), 12),
        "mobilenet-v1-0.25" => (SampleShape::new(96, 96, 3), 2),
        "har-cnn" | "tcn" => (SampleShape::new(128, 1, 6), 6),
        AUTOENCODER => (SampleShape::new(1, 1, 640), 640),
        _ => return None,
    })
}

struct Builder {
    nodes: Vec<Node>,
}

impl Builder {
    /// The latest output.
    fn last(&self) -> NodeInput {
        self.nodes.len().checked_sub(1).map_or(NodeInput::Network(0), NodeInput::Node)
    }

    fn push_from(
        &mut self,
        name: String,
        inputs: Vec<NodeInput>,
        operation: impl Into<Operation>,
    ) -> NodeInput {
        self.nodes.push(Node { name, inputs, operation: operation.into() });
        self.last()
    }

    fn push(&mut self, name: impl Into<String>, operation: impl Into<Operation>) -> NodeInput {
        let inputs = vec![self.last()];
        self.push_from(name.into(), inputs, operation)
    }

    fn convolution_from(
        &mut self,
        name: &str,
        from: NodeInput,
        channels: usize,
        kernel: [usize; 2],
        stride: usize,
        bias: bool,
    ) {
        let sliding = Sliding { kernel, stride: [stride; 2], padding: Padding::Same };
        let operation = Convolution2d { out_channels: channels, sliding, bias };
        self.push_from(name.to_string(), vec![from], operation);
    }

    fn batch_norm(&mut self, layer: &str) {
        self.push(format!("{layer}-norm"), BatchNorm { epsilon: DEFAULT_EPSILON });
    }

    fn relu(&mut self, layer: &str) {
        self.push(format!("{layer}-relu"), Relu { six: false });
    }

    /// Convolution, batch normalization, ReLU.
    fn convolution_block(
        &mut self,
        name: &str,
        channels: usize,
        kernel: [usize; 2],
        stride: usize,
    ) {
        let from = self.last();
        self.convolution_from(name, from, channels, kernel, stride, false);
        self.batch_norm(name);
        self.relu(name);
    }

    /// Depthwise 3x3 then pointwise, each with batch normalization and ReLU.
    fn separable_block(&mut self, number: usize, channels: usize, stride: usize) {
        let name = format!("depthwise{number}");
        let sliding = Sliding { kernel: [3, 3], stride: [stride; 2], padding: Padding::Same };
        self.push(name.clone(), DepthwiseConvolution2d { sliding, bias: false });
        self.batch_norm(&name);
        self.relu(&name);
        self.convolution_block(&format!("pointwise{number}"), channels, [1, 1], 1);
    }

    fn fully_connected(&mut self, name: &str, out_features: usize) {
        self.push(name, FullyConnected { out_features, bias: true });
    }

    fn max_pool(&mut self, name: &str) {
        let sliding = Sliding { kernel: [2, 2], stride: [2, 2], padding: Padding::Valid };
        self.push(name, MaxPool2d { sliding });
    }

    fn mlp(&mut self, classes: usize) {
        self.push("flatten", Flatten);
        self.fully_connected("hidden", 32);
        self.relu("hidden");
        self.fully_connected("output", classes);
    }

    fn cnn(&mut self, classes: usize) {
        self.convolution_block("convolution1", 16, [3, 3], 1);
        self.convolution_block("convolution2", 32, [3, 3], 2);
        self.convolution_block("convolution3", 32, [3, 3], 2);
        self.push("pool", GlobalAveragePool);
        self.fully_connected("output", classes);
    }

    fn lenet(&mut self, classes: usize) {
        for (number, channels) in [(1, 6), (2, 16)] {
            let name = format!("convolution{number}");
            let from = self.last();
            self.convolution_from(&name, from, channels, [5, 5], 1, true);
            self.relu(&name);
            self.max_pool(&format!("pool{number}"));
        }
        self.push("flatten", Flatten);
        for (number, features) in [(1, 120), (2, 84)] {
            let name = format!("hidden{number}");
            self.fully_connected(&name, features);
            self.relu(&name);
        }
        self.fully_connected("output", classes);
    }

    /// Two 3x3 convolutions around a shortcut, which is a 1x1 convolution where the shape changes.
    fn residual_block(&mut self, name: &str, channels: usize, stride: usize, shortcut: Shortcut) {
        let start = self.last();
        self.convolution_block(&format!("{name}-convolution1"), channels, [3, 3], stride);
        let second = format!("{name}-convolution2");
        let from = self.last();
        self.convolution_from(&second, from, channels, [3, 3], 1, false);
        self.batch_norm(&second);
        let main = self.last();
        let side = match shortcut {
            Shortcut::Identity => start,
            Shortcut::Convolution => {
                self.convolution_from(
                    &format!("{name}-shortcut"),
                    start,
                    channels,
                    [1, 1],
                    stride,
                    true,
                );
                self.last()
            }
            Shortcut::NormalizedConvolution => {
                let shortcut = format!("{name}-shortcut");
                self.convolution_from(&shortcut, start, channels, [1, 1], stride, false);
                self.batch_norm(&shortcut);
                self.last()
            }
        };
        self.push_from(format!("{name}-add"), vec![main, side], Add);
        self.relu(name);
    }

    fn resnet8(&mut self, classes: usize) {
        self.convolution_block("stem", 16, [3, 3], 1);
        self.residual_block("block1", 16, 1, Shortcut::Identity);
        self.residual_block("block2", 32, 2, Shortcut::Convolution);
        self.residual_block("block3", 64, 2, Shortcut::Convolution);
        self.classifier(classes);
    }

    fn resnet20(&mut self, classes: usize) {
        self.convolution_block("stem", 16, [3, 3], 1);
        for (stage, channels) in [(1, 16), (2, 32), (3, 64)] {
            for block in 1..=3 {
                let changes = stage > 1 && block == 1;
                let (stride, shortcut) = if changes {
                    (2, Shortcut::NormalizedConvolution)
                } else {
                    (1, Shortcut::Identity)
                };
                self.residual_block(
                    &format!("stage{stage}-block{block}"),
                    channels,
                    stride,
                    shortcut,
                );
            }
        }
        self.push("pool", GlobalAveragePool);
        self.fully_connected("output", classes);
    }

    fn ds_cnn(&mut self, classes: usize) {
        self.convolution_block("stem", 64, [10, 4], 2);
        for number in 1..=4 {
            self.separable_block(number, 64, 1);
        }
        self.classifier(classes);
    }

    /// For series: a convolution and depthwise separable ones along the longer side, which is time.
    fn har_cnn(&mut self, input: SampleShape, classes: usize) {
        let along = |size: usize, across: usize| match input.height >= input.width {
            true => [size, across],
            false => [across, size],
        };
        let stem = "stem".to_string();
        let from = self.last();
        let sliding = |kernel, stride| Sliding { kernel, stride, padding: Padding::Same };
        let convolution = |out_channels, kernel, stride| Convolution2d {
            out_channels,
            sliding: sliding(kernel, stride),
            bias: false,
        };
        self.push_from(stem.clone(), vec![from], convolution(24, along(7, 1), along(2, 1)));
        self.batch_norm(&stem);
        self.relu(&stem);
        for (number, channels) in [32, 48, 64].into_iter().enumerate() {
            let name = format!("depthwise{}", number + 1);
            let sliding = sliding(along(7, 1), along(2, 1));
            self.push(name.clone(), DepthwiseConvolution2d { sliding, bias: false });
            self.batch_norm(&name);
            self.relu(&name);
            let name = format!("pointwise{}", number + 1);
            self.push(name.clone(), convolution(channels, [1, 1], [1, 1]));
            self.batch_norm(&name);
            self.relu(&name);
        }
        self.classifier(classes);
    }

    /// For series: residual blocks of causal convolutions along the longer side, which is time. Each block halves the rate, so that
    /// the next one sees twice as far back, as dilation would have it.
    fn tcn(&mut self, input: SampleShape, classes: usize) {
        const TAPS: usize = 5;
        let down = input.height >= input.width;
        let along = |size: usize| if down { [size, 1] } else { [1, size] };
        let causal = |taps: usize| {
            let before = taps - 1;
            let (top, left) = if down { (before, 0) } else { (0, before) };
            Padding::Explicit(PaddingAmounts { top, bottom: 0, left, right: 0 })
        };
        let convolution = |out_channels, taps: usize, stride| Convolution2d {
            out_channels,
            sliding: Sliding { kernel: along(taps), stride: along(stride), padding: causal(taps) },
            bias: false,
        };
        for (number, channels) in [16, 24, 32].into_iter().enumerate() {
            let block = format!("block{}", number + 1);
            let start = self.last();
            let first = format!("{block}-convolution1");
            self.push_from(first.clone(), vec![start], convolution(channels, TAPS, 2));
            self.batch_norm(&first);
            self.relu(&first);
            let second = format!("{block}-convolution2");
            self.push(second.clone(), convolution(channels, TAPS, 1));
            self.batch_norm(&second);
            let main = self.last();
            let shortcut = format!("{block}-shortcut");
            self.push_from(shortcut.clone(), vec![start], convolution(channels, 1, 2));
            self.batch_norm(&shortcut);
            let side = self.last();
            self.push_from(format!("{block}-add"), vec![main, side], Add);
            self.relu(&block);
        }
        self.classifier(classes);
    }

    fn mobilenet(&mut self, classes: usize) {
        const BLOCKS: [(usize, usize); 13] = [
            (16, 1),
            (32, 2),
            (32, 1),
            (64, 2),
            (64, 1),
            (128, 2),
            (128, 1),
            (128, 1),
            (128, 1),
            (128, 1),
            (128, 1),
            (256, 2),
            (256, 1),
        ];
        self.convolution_block("stem", 8, [3, 3], 2);
        for (index, (channels, stride)) in BLOCKS.into_iter().enumerate() {
            self.separable_block(index + 1, channels, stride);
        }
        self.classifier(classes);
    }

    /// Global average pool, fully connected, softmax: the end of the MLPerf Tiny classifiers.
    fn classifier(&mut self, classes: usize) {
        self.push("pool", GlobalAveragePool);
        self.fully_connected("output", classes);
        self.push("softmax", Softmax);
    }

    fn autoencoder(&mut self, values: usize) {
        self.push("flatten", Flatten);
        let sizes = [128, 128, 128, 128, 8, 128, 128, 128, 128];
        for (index, features) in sizes.into_iter().enumerate() {
            let name = format!("layer{}", index + 1);
            self.fully_connected(&name, features);
            self.batch_norm(&name);
            self.relu(&name);
        }
        self.fully_connected("output", values);
    }
}

/// What a residual block adds to its main branch.
#[derive(Clone, Copy)]
enum Shortcut {
    /// Its input.
    Identity,
    /// A strided 1x1 convolution with bias, as MLPerf Tiny's ResNet8.
    Convolution,
    /// A strided 1x1 convolution with batch normalization.
    NormalizedConvolution,
}
