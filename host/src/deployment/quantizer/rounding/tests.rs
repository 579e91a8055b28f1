use super::*;
use crate::data::SampleShape;
use crate::deployment::quantizer::calibrate::normalize;
use crate::deployment::quantizer::fold::fold;
use crate::graph::network::Network;
use crate::graph::weights::NodeParameters;

/// Bytes that a linear congruential generator makes, smoothed so that neighbours hang together.
fn samples(count: usize) -> Vec<i16> {
    let mut state = 5u64;
    let mut value = 128i64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        value = (value * 3 + (state >> 56) as i64) / 4;
        value as i16
    };
    (0..count).map(|_| next()).collect()
}

/// A network whose batch normalization has seen samples of another kind: on those at hand its
/// outputs have means and variances far from beta and gamma.
fn network(name: &str, shape: SampleShape) -> TrainedNetwork {
    let network = Network::open(name, shape, 10).unwrap();
    let mut trained = TrainedNetwork::untrained(network, 3).unwrap();
    for parameters in &mut trained.parameters {
        if let NodeParameters::BatchNorm { gamma, beta, mean, variance } = parameters {
            for channel in 0..gamma.len() {
                let wave = (channel as f32 * 1.3).sin();
                // Some channels are turned over.
                gamma[channel] = if channel % 3 == 0 { -0.8 } else { 1.2 + 0.3 * wave };
                beta[channel] = 0.2 * wave;
                mean[channel] = 0.7 * wave;
                variance[channel] = 0.4 + 0.2 * wave;
            }
        }
    }
    trained
}

/// Mean and variance of each channel of each node's output before its activation.
fn moments_of(
    folded: &FoldedNetwork,
    trained: &TrainedNetwork,
    samples: &[i16],
) -> Vec<Vec<(f64, f64)>> {
    let mut sums: Vec<Vec<(f64, f64)>> = folded
        .nodes
        .iter()
        .map(|node| vec![(0.0, 0.0); usize::from(node.shape.channels)])
        .collect();
    let mut values = folded.room();
    let count = samples.chunks_exact(trained.network.input().elements()).len();
    for sample in samples.chunks_exact(trained.network.input().elements()) {
        folded.forward(&normalize(trained, sample), &mut values);
        for ((index, node), sums) in folded.nodes.iter().enumerate().zip(&mut sums) {
            let inputs: Vec<&[f32]> = node.inputs.iter().map(|&tensor| &*values[tensor]).collect();
            let mut output = vec![0.0; values[index + 1].len()];
            node.operator.forward(&inputs, &mut output);
            for pixel in output.chunks_exact(sums.len()) {
                for ((sum, squares), &value) in sums.iter_mut().zip(pixel) {
                    *sum += f64::from(value);
                    *squares += f64::from(value) * f64::from(value);
                }
            }
        }
    }
    let finish = |(node, sums): (&super::super::fold::FoldedNode, Vec<(f64, f64)>)| {
        let count = (count * node.shape.pixels()) as f64;
        let of_channel = |(sum, squares): (f64, f64)| {
            (sum / count, squares / count - sum / count * (sum / count))
        };
        sums.into_iter().map(of_channel).collect()
    };
    folded.nodes.iter().zip(sums).map(finish).collect()
}

fn rounded(
    trained: &TrainedNetwork,
    samples: &[i16],
    bit_width: BitWidth,
    per_tensor: bool,
) -> (FoldedNetwork, Vec<Option<RoundedMatrix>>) {
    let reference = fold(trained).unwrap();
    let mut folded = fold(trained).unwrap();
    let widths = vec![bit_width; folded.nodes.len()];
    let mut found = vec![None; folded.nodes.len()];
    let wanted = Wanted { widths: &widths, per_tensor };
    round(&mut folded, &reference, trained, samples, &wanted, &mut found).unwrap();
    (folded, found)
}

#[test]
fn every_layer_keeps_its_moments_behind_layers_that_are_rounded() {
    // This holds only if the inputs of a layer are those that the rounded layers before it give.
    let shape = SampleShape::new(9, 8, 2);
    // Not in depthwise layers that were never trained: there a channel may need more than twice or
    // less than half its scale, which is the limit.
    for name in ["cnn", "resnet8"] {
        let trained = network(name, shape);
        let samples = samples(40 * shape.elements());
        let reference = fold(&trained).unwrap();
        let (folded, found) = rounded(&trained, &samples, BitWidth::Three, false);
        let expected = moments_of(&reference, &trained, &samples);
        let moments = moments_of(&folded, &trained, &samples);
        for index in (0..folded.nodes.len()).filter(|&index| found[index].is_some()) {
            let node = &folded.nodes[index].name;
            for (expected, moments) in expected[index].iter().zip(&moments[index]) {
                let deviation = expected.1.max(0.0).sqrt();
                // A channel that hardly varies may be rounded to one that does not.
                if deviation < 1e-2 {
                    continue;
                }
                assert!(
                    (expected.0 - moments.0).abs() < 1e-3 * deviation.max(1.0),
                    "{name} {node}"
                );
                let ratio = moments.1.max(0.0).sqrt() / deviation;
                assert!((ratio - 1.0).abs() < 0.01, "{name} {node}: {ratio}");
            }
        }
    }
}

#[test]
fn running_statistics_are_not_replaced_by_those_of_the_samples() {
    let shape = SampleShape::new(9, 8, 2);
    let trained = network("cnn", shape);
    let samples = samples(40 * shape.elements());
    let reference = fold(&trained).unwrap();
    let expected = moments_of(&reference, &trained, &samples);
    // Replaced statistics would give every normalized channel the deviation |γ|; here none is near.
    let first = expected[0].iter().map(|(_, variance)| variance.sqrt());
    assert!(first.clone().all(|deviation| !(0.7..1.6).contains(&deviation)), "{:?}", expected[0]);
    let (folded, _) = rounded(&trained, &samples, BitWidth::Eight, false);
    let mut values = [reference.room(), folded.room()];
    let (mut squares, mut errors) = (0.0, 0.0);
    for sample in samples.chunks_exact(shape.elements()) {
        let input = normalize(&trained, sample);
        reference.forward(&input, &mut values[0]);
        folded.forward(&input, &mut values[1]);
        let scores = reference.nodes.len() - 1;
        for (exact, found) in values[0][scores].iter().zip(&values[1][scores]) {
            squares += f64::from(*exact).powi(2);
            errors += f64::from(exact - found).powi(2);
        }
    }
    assert!(errors < 1e-3 * squares, "{errors} {squares}");
}

#[test]
fn turned_over_channels_use_the_whole_grid() {
    // −2^(b−1) is there and 2^(b−1) is not: the sign of gamma is in the integers.
    let shape = SampleShape::new(9, 8, 2);
    let trained = network("cnn", shape);
    let (_, found) = rounded(&trained, &samples(40 * shape.elements()), BitWidth::Two, false);
    let first = found[0].as_ref().unwrap();
    assert!(first.scales.iter().all(|&scale| scale > 0.0));
    for row in 0..first.scales.len() {
        assert!(first.row(row).iter().all(|value| (-2..=1).contains(value)));
    }
    assert!(first.values.contains(&-2));
}

#[test]
fn one_scale_a_layer_is_one_scale() {
    let shape = SampleShape::new(9, 8, 2);
    let trained = network("ds-cnn", shape);
    let samples = samples(40 * shape.elements());
    let (_, found) = rounded(&trained, &samples, BitWidth::Four, true);
    for found in found.iter().flatten() {
        assert!(found.scales.iter().all(|&scale| scale == found.scales[0]));
    }
}

#[test]
fn samples_that_overflow_are_named() {
    let shape = SampleShape::new(9, 8, 2);
    let mut trained = network("cnn", shape);
    if let NodeParameters::Layer { weight, .. } = &mut trained.parameters[0] {
        weight.fill(3e38);
    }
    let reference = fold(&trained).unwrap();
    let mut folded = fold(&trained).unwrap();
    let samples = samples(4 * shape.elements());
    let widths = vec![BitWidth::Four; folded.nodes.len()];
    let wanted = Wanted { widths: &widths, per_tensor: false };
    let mut found = vec![None; folded.nodes.len()];
    let refused =
        round(&mut folded, &reference, &trained, &samples, &wanted, &mut found).unwrap_err();
    assert!(refused.to_string().contains("not finite"), "{refused}");
}
