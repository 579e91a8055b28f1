use super::*;
use crate::data::SampleShape;
use crate::graph::trained_network::TrainedNetwork;
use candle_core::{DType, Device};

/// Weights of two channels, some of them far outside their grid.
fn latent() -> Vec<f32> {
    (0..24).map(|at| ((at * 37 % 23) as f32 - 11.0) * 0.083).collect()
}

const STEPS: [f32; 2] = [0.11, 0.27];
const SIGNS: [f32; 2] = [1.0, -1.0];

#[test]
fn gradients_are_those_of_the_straight_through_estimator_written_in_the_tensor_library() {
    for bit_width in [BitWidth::Two, BitWidth::Three, BitWidth::Four] {
        let lattice = Lattice::new(latent(), STEPS.to_vec(), SIGNS.to_vec(), bit_width);
        let weights = Var::from_vec(latent(), (2, 12), &Device::Cpu).unwrap();
        let steps = Var::from_slice(&STEPS, (2, 1), &Device::Cpu).unwrap();
        let signs = Tensor::from_slice(&SIGNS, (2, 1), &Device::Cpu).unwrap();
        let share = 1.0 / (12.0 * f64::from(bit_width.max())).sqrt();
        // The gradient of `scaled` is that of the step times the share, its value the step.
        let scaled = steps.affine(share, 0.0).unwrap();
        let scaled = (&scaled + (steps.as_tensor() - &scaled).unwrap().detach()).unwrap();
        let value = weights.broadcast_mul(&signs).unwrap().broadcast_div(&scaled).unwrap();
        let (low, high) = (f64::from(bit_width.min()), f64::from(bit_width.max()));
        let clamped = value.clamp(low, high).unwrap();
        let rounded = clamped.round().unwrap();
        let integers = (&clamped + (&rounded - &clamped).unwrap().detach()).unwrap();
        let real = integers.broadcast_mul(&scaled).unwrap().broadcast_mul(&signs).unwrap();
        let found = real.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (found, expected) in lattice.real().iter().zip(&found) {
            assert!((found - expected).abs() < 1e-6);
        }
        let gradient: Vec<f32> = (0..24).map(|at| (at as f32 * 0.7).sin()).collect();
        let upstream = Tensor::from_slice(&gradient, (2, 12), &Device::Cpu).unwrap();
        let store = real.mul(&upstream).unwrap().sum_all().unwrap().backward().unwrap();
        let of = |variable: &Var| {
            store.get(variable).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        let (of_latent, of_steps) = lattice.backward(&gradient, 0.0);
        for (found, expected) in of_latent.iter().zip(of(&weights)) {
            assert!((found - expected).abs() < 1e-5, "{bit_width:?}: {found} {expected}");
        }
        for (found, expected) in of_steps.iter().zip(of(&steps)) {
            assert!((found - expected).abs() < 1e-4, "{bit_width:?}: {found} {expected}");
        }
    }
}

#[test]
fn damping_pulls_each_weight_toward_its_integer() {
    let lattice = Lattice::new(latent(), STEPS.to_vec(), SIGNS.to_vec(), BitWidth::Four);
    let (pull, _) = lattice.backward(&[0.0; 24], 0.5);
    for ((weight, real), pull) in latent().iter().zip(lattice.real()).zip(pull) {
        // Half of the distance's square has the distance for its gradient.
        if (real / STEPS[0]).abs() < 7.0 {
            assert!((pull - (weight - real)).abs() < 1e-5, "{weight} {real} {pull}");
        }
    }
}

#[test]
fn the_sign_is_that_of_all_normalizations_together() {
    assert_eq!(lattice::signs(&[vec![1.0, -0.5], vec![-2.0, -0.1]], 2), [-1.0, 1.0]);
    assert_eq!(lattice::signs(&[], 2), [1.0, 1.0]);
}

#[test]
fn training_begins_at_the_rounded_network_and_near_the_float_one() {
    let network = Network::open("cnn", SampleShape::new(8, 8, 1), 10).unwrap();
    let mut trained = TrainedNetwork::untrained(network, 2).unwrap();
    for parameters in &mut trained.parameters {
        if let NodeParameters::BatchNorm { gamma, .. } = parameters {
            gamma.iter_mut().step_by(3).for_each(|gamma| *gamma = -0.7);
        }
    }
    let samples: Vec<i16> = (0..64 * 40).map(|at| (at * 7_919 % 251) as i16).collect();
    let options =
        QuantizerOptions { bits: 3, damping: 0.0, layers: [("output".to_string(), 5)].into() };
    let quantization = options.quantization().unwrap();
    let gridded = crate::deployment::quantizer::on_grid(&trained, &samples, &quantization).unwrap();
    let (latents, steps) = lattice::start(&gridded.parameters, &gridded.grids, &trained.parameters);
    let graph = TrainingGraph::new(&trained.network, &latents, DType::F32).unwrap();
    let in_loop = InLoop::new(&graph, &trained.network, &steps, &options).unwrap();
    assert_eq!(in_loop.integers().count(), 4);
    for (found, expected) in graph.node_parameters().unwrap().iter().zip(&gridded.parameters) {
        let (NodeParameters::Layer { weight, .. }, NodeParameters::Layer { weight: expected, .. }) =
            (found, expected)
        else {
            continue;
        };
        for (found, expected) in weight.iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-6 * expected.abs(), "{found} {expected}");
        }
    }
    // What is kept of the run gives the same network.
    let kept = in_loop.latent_parameters(&graph).unwrap();
    let steps = in_loop.steps(trained.network.nodes.len()).unwrap();
    let (parameters, grids) = snap(&trained.network, kept, &steps, &options).unwrap();
    assert_eq!(parameters, graph.node_parameters().unwrap());
    // And quantizing that gives the integers of the training step, layer by layer.
    let snapped = TrainedNetwork { parameters, grids, ..trained.clone() };
    let deployed =
        crate::deployment::quantizer::quantize(&snapped, &samples, &quantization).unwrap();
    for (node, integers) in in_loop.integers() {
        let name = &trained.network.nodes[node].name;
        let layer = deployed.layers.iter().find(|layer| layer.name == *name).unwrap();
        let weights = layer.weights.as_ref().unwrap();
        let NodeParameters::Layer { shape, .. } = &trained.parameters[node] else { panic!() };
        let mut expected = Vec::new();
        let taps: usize = shape[2..].iter().product();
        for row in integers.chunks(integers.len() / shape[0]) {
            for tap in 0..taps {
                expected.extend((0..shape[1]).map(|channel| row[channel * taps + tap]));
            }
        }
        assert_eq!(weights.values, expected, "{name}");
    }
}
