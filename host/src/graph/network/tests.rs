//! Counts against MLPerf Tiny, TensorFlow's padding rule, and the file format.

use super::*;
use crate::data::SampleShape;
use crate::window::{Padding, PaddingAmounts, Window};

fn default(name: &str) -> Network {
    let (input, classes) = Network::default_input(name).unwrap();
    Network::open(name, input, classes).unwrap()
}

#[test]
fn multiply_accumulates_equal_mlperf_tiny() {
    assert_eq!(default("resnet8").macs().unwrap(), 12_501_632);
    assert_eq!(default("ds-cnn").macs().unwrap(), 2_656_768);
    assert_eq!(default("mobilenet-v1-0.25").macs().unwrap(), 7_489_664);
    assert_eq!(default("autoencoder").macs().unwrap(), 264_192);
}

#[test]
fn parameters_of_the_small_networks() {
    let digits = SampleShape::new(8, 8, 1);
    assert_eq!(Network::open("cnn", digits, 10).unwrap().parameters().unwrap(), 14_458);
    assert_eq!(Network::open("mlp", digits, 10).unwrap().parameters().unwrap(), 64 * 32 + 32 + 330);
    // As in He et al. 2016 plus 1x1 shortcuts.
    let resnet20 = default("resnet20");
    let shortcuts = 16 * 32 + 64 + 32 * 64 + 128;
    assert_eq!(resnet20.parameters().unwrap(), 269_722 + shortcuts);
}

#[test]
fn same_padding_is_tensorflows() {
    // Input 49x10, kernel 10x4, stride 2: 25x5, rows padded 4 above and 5 below, columns 1 and 1.
    let window = Window::over([49, 10], [10, 4], [2, 2], Padding::Same).unwrap();
    assert_eq!(window.output, [25, 5]);
    assert_eq!(window.padding, PaddingAmounts { top: 4, bottom: 5, left: 1, right: 1 });
    // Even input, 3x3, stride 2: nothing above, one below.
    let window = Window::over([96, 96], [3, 3], [2, 2], Padding::Same).unwrap();
    assert_eq!((window.padding.top, window.padding.bottom), (0, 1));
    assert_eq!(window.output, [48, 48]);
    // A 1x1 kernel with stride 2 needs none.
    let window = Window::over([7, 8], [1, 1], [2, 2], Padding::Same).unwrap();
    assert_eq!((window.padding, window.output), (PaddingAmounts::default(), [4, 4]));
}

#[test]
fn every_network_survives_its_file() {
    for name in NAMES {
        let network = default(name);
        let classes = network.output().unwrap().channels;
        let back =
            Network::from_toml(&network.to_toml(), "test", network.input(), classes).unwrap();
        assert_eq!(back, network, "{name}");
    }
}

#[test]
fn the_documented_example_is_read() {
    let text = r#"
        name = "small"
        [[layer]]
        operation = "convolution-2d"
        out-channels = 4
        kernel = 3
        stride = 2
        padding = [1, 1, 1, 1]
        bias = false
        [[layer]]
        name = "stem"
        operation = "relu"
        [[layer]]
        operation = "depthwise-convolution-2d"
        kernel = [3, 3]
        [[layer]]
        operation = "add"
        inputs = ["stem", "depthwise-convolution-2d-2"]
        [[layer]]
        operation = "max-pool-2d"
        kernel = 2
        [[layer]]
        operation = "fully-connected"
        out-features = "classes"
    "#;
    let network = Network::from_toml(text, "small.toml", SampleShape::new(8, 8, 1), 3).unwrap();
    assert_eq!(network.output().unwrap(), SampleShape::new(1, 1, 3));
    let summaries = network.summaries().unwrap();
    assert_eq!(summaries[4].output, SampleShape::new(2, 2, 4));
    assert_eq!(summaries[5].weights, 16 * 3);
}

#[test]
fn every_bad_description_gets_its_one_line() {
    let input = SampleShape::new(8, 8, 1);
    let refusal = |layers: &str, words: &[&str]| {
        let text = format!("name = \"bad\"\n{layers}");
        let error = Network::from_toml(&text, "bad.toml", input, 10).unwrap_err().to_string();
        assert_eq!(error.lines().count(), 1, "{error}");
        for word in words {
            assert!(error.contains(word), "'{word}' missing in: {error}");
        }
    };
    refusal("layer = []", &["bad", "no layer"]);
    refusal("[[layer]]\noperation = \"relu\"\nkernal = 3", &["bad.toml, line 4", "kernal"]);
    refusal("[[layer]]\noperation = \"relu\"\nkernel = 3", &["relu-0", "'kernel'", "does not use"]);
    refusal("[[layer]]\noperation = \"cosine\"", &["cosine"]);
    refusal("[[layer]]\noperation = \"tanh\"\nslope = 1.0", &["slope", "tanh"]);
    refusal("[[layer]]\noperation = \"elu\"\nalpha = nan", &["alpha"]);
    refusal("[[layer]]\noperation = \"max-pool-2d\"", &["lacks 'kernel'"]);
    refusal("[[layer]]\noperation = \"max-pool-2d\"\nkernel = 9", &["9x9", "8x8x1"]);
    refusal("[[layer]]\noperation = \"max-pool-2d\"\nkernel = 0", &["0x0"]);
    refusal("[[layer]]\noperation = \"add\"", &["reads 1 inputs"]);
    refusal("[[layer]]\noperation = \"relu\"\ninputs = [\"x\"]", &["'x'"]);
    refusal(
        "[[layer]]\noperation = \"global-average-pool\"\n[[layer]]\noperation = \"add\"\ninputs = [\"input\", \"global-average-pool-0\"]",
        &["adds 8x8x1 and 1x1x1"],
    );
    refusal(
        "[[layer]]\noperation = \"fully-connected\"\nout-features = 99999999",
        &["larger than"],
    );
    refusal("input = [9, 9, 1]\nlayer = []", &["9x9x1", "8x8x1"]);
    let error = Network::open("resnet9", input, 10).unwrap_err().to_string();
    assert!(error.contains("resnet9") && error.contains("resnet8"), "{error}");
}
