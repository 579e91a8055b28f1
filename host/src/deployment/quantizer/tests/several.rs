//! Networks with several inputs and outputs.

use super::{all_values, samples, with_weights};
use crate::data::SampleShape;
use crate::deployment::export::export;
use crate::deployment::integer::{SampleParts, run_outputs};
use crate::deployment::integer_network::decode_scale;
use crate::deployment::quantizer::{Quantization, divergences, quantize};
use crate::graph::network::Network;
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::model::Model;

/// A picture and three numbers; scores, and the map that they are made of, which other layers read too.
const TEXT: &str = r#"
    name = "two"
    outputs = ["scores", "map"]
    [[input]]
    name = "picture"
    shape = [6, 6, 2]
    [[input]]
    name = "facts"
    shape = [1, 1, 3]
    [[layer]]
    name = "body"
    operation = "convolution-2d"
    inputs = ["picture"]
    out-channels = 4
    kernel = 3
    [[layer]]
    name = "map"
    operation = "relu"
    [[layer]]
    operation = "max-pool-2d"
    kernel = 2
    [[layer]]
    operation = "relu6"
    [[layer]]
    name = "pool"
    operation = "global-average-pool"
    [[layer]]
    operation = "concatenate"
    inputs = ["pool", "facts"]
    [[layer]]
    name = "scores"
    operation = "fully-connected"
    out-features = 3
"#;

#[test]
fn every_output_is_what_the_description_says() {
    let shape = SampleShape::new(1, 1, 75);
    let network = Network::from_toml(TEXT, "two.toml", shape, 0).unwrap();
    assert_eq!(network.sample_shape(), shape);
    assert_eq!(Network::stored(&network.to_toml(), "again").unwrap(), network);
    let trained = with_weights(network);
    let calibration = samples(64, shape, 3);
    let quantized = quantize(&trained, &calibration, &Quantization::new(BitWidth::Eight)).unwrap();
    let bytes = export(&quantized).unwrap().bytes;
    let model = Model::load(&bytes).unwrap();
    let names: Vec<String> = model.inputs().map(|input| input.name.to_string()).collect();
    assert_eq!(names, ["picture", "facts"]);
    let names: Vec<String> = model.outputs().map(|output| output.name.to_string()).collect();
    assert_eq!(names, ["scores", "map"]);
    assert_eq!(SampleParts::of(&model).values(), 75);
    let tests = samples(16, shape, 4);
    let answers = run_outputs(&model, &tests).unwrap();
    for (sample, answer) in tests.chunks_exact(75).zip(&answers) {
        let values = all_values(&trained, sample);
        let powers: Vec<f64> = values[6].iter().map(|score| score.exp()).collect();
        let sum: f64 = powers.iter().sum();
        let probabilities: Vec<f64> = powers.iter().map(|power| power / sum).collect();
        for ((expected, output), found) in
            [&probabilities, &values[1]].into_iter().zip(model.outputs()).zip(&answer.outputs)
        {
            let tensor = output.operand.tensor;
            let scale = decode_scale(tensor.scale);
            assert_eq!(expected.len(), found.len());
            for (expected, &found) in expected.iter().zip(found) {
                let real = scale * f64::from(i32::from(found) - i32::from(tensor.zero_point));
                assert!(
                    (real - expected).abs() < 6.0 * scale,
                    "{}: {real} {expected}",
                    output.name
                );
            }
        }
    }
    // Both outputs count where bits are chosen.
    let layers = divergences(&trained, &calibration, &[BitWidth::Two], false).unwrap();
    assert_eq!(layers.len(), 2);
    assert!(layers.iter().all(|layer| layer.widths[0].1 > 0.0));
}

#[test]
fn ends_that_do_not_fit_are_refused_in_a_line() {
    let shape = SampleShape::new(1, 1, 75);
    for (from, to, words) in [
        ("[\"scores\", \"map\"]", "[\"scores\", \"mop\"]", ["line 3", "'mop'"]),
        ("[\"scores\", \"map\"]", "[\"map\", \"map\"]", ["two", "twice"]),
        ("name = \"facts\"", "name = \"picture\"", ["'facts'", "no earlier layer"]),
        ("name = \"facts\"", "name = \"pool\"", ["'pool'", "name"]),
        ("shape = [1, 1, 3]", "shape = [1, 1, 0]", ["1x1x0", "empty"]),
        ("shape = [1, 1, 3]", "size = [1, 1, 3]", ["two.toml", "size"]),
        ("\"facts\"]", "\"fact\"]", ["'fact'", "no earlier layer"]),
    ] {
        let text = TEXT.replacen(from, to, 1);
        let error = Network::from_toml(&text, "two.toml", shape, 0).unwrap_err().to_string();
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(words.iter().all(|word| error.contains(word)), "{to}: {error}");
    }
}
