//! The two ways to derivatives against each other, for every kind of layer.

use candle_core::{DType, Device, Tensor};

use super::{Emphasis, TrainingGraph};
use crate::data::SampleShape;
use crate::error::Result;
use crate::graph::network::Network;
use crate::graph::weights::{Initialization, NodeParameters};
use crate::random::{self, Purpose};
use crate::training::optimizer::{
    Asam, Curvature, GradL1, GradientRule, Hero, Objective, Parameter, Pass, Progress, SecondOrder,
    Sgd,
};

/// A graph whose derivatives are left to the tensor library.
struct Library(TrainingGraph);

impl Objective for Library {
    fn parameters(&self) -> &[Parameter] {
        self.0.parameters()
    }

    fn loss(&mut self, pass: Pass) -> Result<Tensor> {
        self.0.loss(pass)
    }
}

/// What the named networks lack: a limited sum, ReLU6, padded pools, uneven strides, biases, a layer that nobody reads.
const UNUSUAL: &str = r#"
    name = "unusual"
    [[layer]]
    name = "first"
    operation = "convolution-2d"
    out-channels = 6
    kernel = [3, 2]
    stride = [1, 2]
    [[layer]]
    operation = "batch-norm"
    [[layer]]
    name = "limited"
    operation = "relu6"
    [[layer]]
    operation = "depthwise-convolution-2d"
    kernel = 3
    padding = [1, 1, 2, 0]
    [[layer]]
    operation = "add"
    inputs = ["depthwise-convolution-2d-3", "limited"]
    [[layer]]
    name = "sum"
    operation = "relu6"
    [[layer]]
    operation = "max-pool-2d"
    kernel = 3
    stride = 2
    padding = [1, 1, 0, 1]
    [[layer]]
    operation = "average-pool-2d"
    kernel = 2
    stride = 1
    padding = [1, 0, 1, 0]
    count-padding = true
    [[layer]]
    operation = "average-pool-2d"
    kernel = 2
    stride = 1
    padding = "same"
    [[layer]]
    name = "kept"
    operation = "relu"
    [[layer]]
    operation = "convolution-2d"
    out-channels = 3
    kernel = 1
    [[layer]]
    operation = "fully-connected"
    out-features = "classes"
    inputs = ["kept"]
"#;

/// Every function of single values.
const FUNCTIONS: &str = r#"
    name = "functions"
    [[layer]]
    operation = "sigmoid"
    [[layer]]
    operation = "convolution-2d"
    out-channels = 5
    kernel = 3
    [[layer]]
    name = "swish"
    operation = "hard-swish"
    [[layer]]
    operation = "convolution-2d"
    out-channels = 5
    kernel = 1
    [[layer]]
    operation = "leaky-relu"
    slope = 0.2
    [[layer]]
    operation = "add"
    inputs = ["leaky-relu-4", "swish"]
    [[layer]]
    operation = "elu"
    alpha = 0.7
    [[layer]]
    operation = "fully-connected"
    out-features = 9
    [[layer]]
    operation = "gelu"
    [[layer]]
    operation = "fully-connected"
    out-features = 9
    [[layer]]
    operation = "swish"
    [[layer]]
    operation = "fully-connected"
    out-features = 7
    [[layer]]
    operation = "hard-sigmoid"
    [[layer]]
    operation = "fully-connected"
    out-features = "classes"
    [[layer]]
    operation = "tanh"
"#;

fn networks() -> Vec<(Network, usize)> {
    let named = |name: &str, shape: [usize; 3], classes: usize| {
        let shape = SampleShape::new(shape[0], shape[1], shape[2]);
        (Network::open(name, shape, classes).unwrap(), classes)
    };
    let unusual = Network::from_toml(UNUSUAL, "unusual", SampleShape::new(7, 8, 2), 5).unwrap();
    vec![
        named("mlp", [4, 5, 1], 3),
        named("cnn", [8, 8, 1], 10),
        named("lenet", [12, 12, 1], 10),
        named("resnet8", [8, 8, 3], 4),
        named("ds-cnn", [12, 6, 1], 12),
        named("autoencoder", [1, 1, 20], 20),
        (unusual, 5),
        (Network::from_toml(FUNCTIONS, "functions", SampleShape::new(5, 4, 2), 5).unwrap(), 5),
    ]
}

/// Two equal graphs with a minibatch of 5.
fn pair(network: &Network, classes: usize, dtype: DType) -> (TrainingGraph, Library) {
    let mut generator = random::generator(7, Purpose::Order, 0);
    let parameters: Vec<NodeParameters> =
        NodeParameters::initial(network, Initialization::default(), 3).unwrap();
    let count = 5 * network.input().elements();
    let samples: Vec<f32> = (0..count).map(|_| random::normal(&mut generator) as f32).collect();
    let labels: Vec<u16> = (0..5).map(|_| random::below(classes, &mut generator) as u16).collect();
    let graph = || {
        let mut graph = TrainingGraph::new(network, &parameters, dtype).unwrap();
        graph.set_batch(&samples, &labels).unwrap();
        graph
    };
    (graph(), Library(graph()))
}

#[test]
fn smoothed_and_weighted_labels_have_the_librarys_derivatives() {
    let network = Network::open("mlp", SampleShape::new(2, 3, 1), 4).unwrap();
    let parameters = NodeParameters::initial(&network, Initialization::default(), 3).unwrap();
    let mut generator = random::generator(9, Purpose::Order, 0);
    let samples: Vec<f32> = (0..30).map(|_| random::normal(&mut generator) as f32).collect();
    let labels = [0, 3, 1, 3, 3];
    let emphasis = Emphasis { smoothing: 0.2, class_weights: vec![2.0, 0.5, 7.0, 1.5] };
    let graph = || {
        let mut graph = TrainingGraph::new(&network, &parameters, DType::F64).unwrap();
        graph.emphasis = emphasis.clone();
        graph.set_batch(&samples, &labels).unwrap();
        graph
    };
    let (mut direct, mut library) = (graph(), Library(graph()));
    let mut direction = |gradient: &[Tensor]| Ok(gradient.to_vec());
    let got = direct.second_order(Pass::First, &mut direction).unwrap();
    let expected = library.second_order(Pass::First, &mut direction).unwrap();
    assert!((got.loss - expected.loss).abs() < 1e-12, "{} {}", got.loss, expected.loss);
    assert_close("gradient", &got.gradient, &expected.gradient, 1e-10);
    assert_close("product", &got.product, &expected.product, 1e-10);
    // By hand: each sample's cross-entropy against its smoothed label, the weighted mean.
    let logits = direct.predict(&samples).unwrap();
    let (mut total, mut weights) = (0.0, 0.0);
    for (logits, &label) in logits.chunks(4).zip(&labels) {
        let sum: f64 = logits.iter().map(|&z| f64::from(z).exp()).sum();
        let losses = logits.iter().enumerate().map(|(class, &z)| {
            let share = 0.05 + if class == usize::from(label) { 0.8 } else { 0.0 };
            share * (sum.ln() - f64::from(z))
        });
        let weight = emphasis.class_weights[usize::from(label)];
        total += weight * losses.sum::<f64>();
        weights += weight;
    }
    assert!((got.loss - total / weights).abs() < 1e-6, "{} {}", got.loss, total / weights);
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

fn assert_close(what: &str, got: &[Tensor], expected: &[Tensor], tolerance: f64) {
    let all: Vec<Vec<f64>> = expected.iter().map(numbers).collect();
    let largest = all.iter().flatten().fold(1e-9f64, |largest, value| largest.max(value.abs()));
    assert_eq!(got.len(), all.len());
    for (index, (got, expected)) in got.iter().map(numbers).zip(&all).enumerate() {
        assert_eq!(got.len(), expected.len());
        for (got, expected) in got.iter().zip(expected) {
            let near = (got - expected).abs() <= tolerance * largest;
            assert!(near, "{what}, parameter {index}: {got} instead of {expected}");
        }
    }
}

/// A direction that moves every parameter.
fn direction(parameters: &[Parameter], dtype: DType) -> Vec<Tensor> {
    let mut generator = random::generator(8, Purpose::Order, 0);
    let mut random = |parameter: &Parameter| {
        let count = parameter.variable.elem_count();
        let values: Vec<f64> = (0..count).map(|_| random::normal(&mut generator)).collect();
        let tensor = Tensor::from_vec(values, parameter.variable.dims(), &Device::Cpu).unwrap();
        tensor.to_dtype(dtype).unwrap()
    };
    parameters.iter().map(&mut random).collect()
}

#[test]
fn gradients_and_hessian_products_equal_those_of_the_library() {
    for (dtype, tolerance) in [(DType::F64, 1e-10), (DType::F32, 2e-3)] {
        for (network, classes) in networks() {
            let name = &network.name;
            let (mut graph, mut library) = pair(&network, classes, dtype);
            let along = direction(graph.parameters(), dtype);
            for _ in 0..2 {
                let ours = graph.gradient(Pass::First).unwrap();
                let theirs = library.gradient(Pass::First).unwrap();
                let near = (ours.0 - theirs.0).abs() < tolerance * (1.0 + theirs.0);
                assert!(near, "{name} {dtype:?}: loss {} instead of {}", ours.0, theirs.0);
                assert_close(&format!("gradient of {name}"), &ours.1, &theirs.1, tolerance);
            }
            let mut fixed = |_: &[Tensor]| Ok(along.clone());
            let ours: SecondOrder = graph.second_order(Pass::Perturbed, &mut fixed).unwrap();
            let theirs = library.second_order(Pass::Perturbed, &mut fixed).unwrap();
            assert_close(
                &format!("gradient of {name}"),
                &ours.gradient,
                &theirs.gradient,
                tolerance,
            );
            let what = format!("product of {name} in {dtype:?}");
            assert_close(&what, &ours.product, &theirs.product, tolerance);
            let (ours, theirs) =
                (graph.node_parameters().unwrap(), library.0.node_parameters().unwrap());
            for (ours, theirs) in ours.iter().zip(&theirs) {
                let (
                    NodeParameters::BatchNorm { mean, variance, .. },
                    NodeParameters::BatchNorm { mean: expected, variance: wide, .. },
                ) = (ours, theirs)
                else {
                    continue;
                };
                for (a, b) in mean.iter().chain(variance).zip(expected.iter().chain(wide)) {
                    assert!((a - b).abs() < 1e-5 * (1.0 + b.abs()), "statistics of {name}");
                }
            }
        }
    }
}

/// Without kinks, so that differences are as exact as they can be.
const SMOOTH: &str = r#"
    name = "smooth"
    [[layer]]
    operation = "convolution-2d"
    out-channels = 4
    kernel = 3
    [[layer]]
    operation = "batch-norm"
    [[layer]]
    operation = "global-average-pool"
    [[layer]]
    operation = "fully-connected"
    out-features = "classes"
"#;

/// What the direct engine leaves to the tensor library, without kinks.
const BRANCHES: &str = r#"
    name = "branches"
    [[layer]]
    name = "stem"
    operation = "convolution-2d"
    out-channels = 3
    kernel = 3
    [[layer]]
    name = "curved"
    operation = "tanh"
    [[layer]]
    name = "both"
    operation = "concatenate"
    inputs = ["stem", "curved", "input"]
    [[layer]]
    operation = "global-average-pool"
    [[layer]]
    operation = "fully-connected"
    out-features = 8
    [[layer]]
    name = "gate"
    operation = "sigmoid"
    [[layer]]
    operation = "multiply"
    inputs = ["gate", "both"]
    [[layer]]
    operation = "average-pool-2d"
    kernel = 3
    padding = "same"
    count-padding = true
    [[layer]]
    operation = "fully-connected"
    out-features = "classes"
"#;

#[test]
fn hessian_products_agree_with_differences_of_gradients() {
    for (text, tolerance) in [(SMOOTH, 1e-6), (BRANCHES, 1e-5)] {
        let shape = SampleShape::new(6, 5, 2);
        let network = Network::from_toml(text, "smooth", shape, 3).unwrap();
        let (mut graph, _) = pair(&network, 3, DType::F64);
        let progress = Progress { epoch: 1 };
        let exact = Hero::default().gradient(&mut graph, progress).unwrap();
        let near =
            Hero { curvature: Curvature::Differences { relative_step: 1e-5 }, ..Hero::default() };
        let near = near.gradient(&mut graph, progress).unwrap();
        assert_close("HERO with differences", &near.values, &exact.values, tolerance);
    }
}

#[test]
fn the_ladder_of_methods_holds_on_networks_bit_for_bit() {
    for (network, classes) in networks() {
        let gradient = |method: &dyn GradientRule| -> Vec<Vec<u64>> {
            let (mut graph, _) = pair(&network, classes, DType::F32);
            let gradient = method.gradient(&mut graph, Progress { epoch: 1 }).unwrap();
            let bits = |tensor: &Tensor| numbers(tensor).iter().map(|v| v.to_bits()).collect();
            gradient.values.iter().map(bits).collect()
        };
        let hero =
            |rho, lambda, curvature| gradient(&Hero { rho, lambda, curvature, ..Hero::default() });
        let name = &network.name;
        for curvature in [Curvature::Exact, Curvature::DIFFERENCES] {
            assert!(hero(0.3, 0.0, curvature) == gradient(&Asam { rho: 0.3 }), "{name}: ASAM");
            assert!(hero(0.0, 5.0, curvature) == gradient(&Sgd {}), "{name}: SGD");
        }
        assert!(gradient(&GradL1 { lambda: 0.0, warmup_epochs: 0 }) == gradient(&Sgd {}), "{name}");
        let exact = hero(0.3, 5.0, Curvature::Exact);
        assert!(exact != gradient(&Asam { rho: 0.3 }), "{name}: the Hessian term does nothing");
        assert!(exact == hero(0.3, 5.0, Curvature::Exact), "{name}: not repeatable");
    }
}

#[test]
fn predictions_use_the_running_statistics() {
    // One channel normalized alone: (x − mean) / √(variance + ε) · γ + β with the running mean 0 and variance 1 of the beginning.
    let text = "name = \"norm\"\n[[layer]]\noperation = \"batch-norm\"\n";
    let network = Network::from_toml(text, "norm", SampleShape::new(1, 2, 1), 2).unwrap();
    let parameters = vec![NodeParameters::BatchNorm {
        gamma: vec![2.0],
        beta: vec![0.5],
        mean: vec![1.0],
        variance: vec![4.0 - 1e-5],
    }];
    let graph = TrainingGraph::new(&network, &parameters, DType::F32).unwrap();
    assert_eq!(graph.predict(&[3.0, 1.0, -1.0, 5.0]).unwrap(), [2.5, 0.5, -1.5, 4.5]);
}

#[test]
fn predictions_equal_those_of_the_library() {
    for (network, classes) in networks() {
        let (mut graph, _) = pair(&network, classes, DType::F32);
        // Running statistics that are no longer the initial ones.
        graph.gradient(Pass::First).unwrap();
        let mut generator = random::generator(9, Purpose::Order, 0);
        let count = 3 * network.input().elements();
        let samples: Vec<f32> = (0..count).map(|_| random::normal(&mut generator) as f32).collect();
        let (ours, theirs) =
            (graph.predict(&samples).unwrap(), graph.predict_by_library(&samples).unwrap());
        assert_eq!(ours.len(), theirs.len());
        let largest = theirs.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert!((ours - theirs).abs() <= 1e-4 * largest, "{}: {ours} {theirs}", network.name);
        }
    }
}
