//! The values of recurrent operations, for training and on the way to integers.

use candle_core::{DType, Device, Tensor, Var};
use rand_chacha::ChaCha8Rng;
use tinyhero_common::operator::Reset;
use tinyhero_common::shape::Shape;

use super::Recurrent;
use crate::data::SampleShape;
use crate::graph::operation::{Folded, FoldedInput, Folding, Forward, Gru, Lstm, Operation};
use crate::graph::parameters::NodeParameters;
use crate::random::{self, Purpose};

const UNITS: usize = 3;
const INPUT: SampleShape = SampleShape { height: 1, width: 5, channels: 2 };

fn operations() -> Vec<Operation> {
    let mut all = Vec::new();
    for (sequence, backward) in [(false, false), (true, false), (false, true), (true, true)] {
        let recurrent = Recurrent { units: UNITS, sequence, backward };
        all.push(Operation::Lstm(Lstm { recurrent }));
        for reset in [Reset::Product, Reset::State] {
            all.push(Operation::Gru(Gru { recurrent, reset }));
        }
    }
    all
}

fn numbers(count: usize, generator: &mut ChaCha8Rng) -> Vec<f32> {
    (0..count).map(|_| (2.0 * random::unit(generator) - 1.0) as f32).collect()
}

#[test]
fn training_and_folding_compute_the_same() {
    for (index, operation) in operations().iter().enumerate() {
        let mut generator = random::generator(1, Purpose::Initialization, index as u64);
        let output = operation.sizes(&[INPUT]).unwrap().output;
        let rules = operation.parameters(INPUT, output);
        let lists: Vec<Vec<f32>> =
            rules.iter().map(|rule| numbers(rule.count(), &mut generator)).collect();
        let sample = numbers(INPUT.elements(), &mut generator);

        let tensors: Vec<Tensor> = rules
            .iter()
            .zip(&lists)
            .map(|(rule, list)| {
                Tensor::from_slice(list, rule.shape.as_slice(), &Device::Cpu).unwrap()
            })
            .collect();
        let parameters: Vec<&Tensor> = tensors.iter().collect();
        let shape = (1, 1, INPUT.width, INPUT.channels);
        let input = Tensor::from_slice(&sample, shape, &Device::Cpu).unwrap();
        let mut pass = Forward {
            inputs: &[&input],
            parameters: &parameters,
            input: INPUT,
            output,
            training: true,
            statistics: None,
        };
        let trained = operation.forward(&mut pass).unwrap();
        let trained: Vec<f32> = trained.flatten_all().unwrap().to_vec1().unwrap();

        let parameters = NodeParameters::of(&rules, lists);
        let of = |shape: SampleShape| Shape {
            height: shape.height as u16,
            width: shape.width as u16,
            channels: shape.channels as u16,
        };
        let folding = Folding {
            name: "layer",
            inputs: &[FoldedInput { tensor: 0, shape: of(INPUT) }],
            output: of(output),
            parameters: &parameters,
        };
        let Folded::Layers(layers) = operation.fold(&folding).unwrap() else { panic!() };
        let mut folded = vec![0.0; output.elements()];
        layers[0].operator.forward(&[&sample], &mut folded);
        for (one, other) in trained.iter().zip(&folded) {
            assert!((one - other).abs() < 1e-5, "{operation:?}: {trained:?} {folded:?}");
        }
        assert_eq!(trained.len(), folded.len());
    }
}

/// The gradient is that of differences, and the product with the matrix of second derivatives is that of differences of gradients.
#[test]
fn values_can_be_differentiated_twice() {
    for (index, operation) in operations().iter().enumerate() {
        let mut generator = random::generator(2, Purpose::Initialization, index as u64);
        let output = operation.sizes(&[INPUT]).unwrap().output;
        let mut wide = |count: usize| -> Vec<f64> {
            numbers(count, &mut generator).into_iter().map(f64::from).collect()
        };
        let rules = operation.parameters(INPUT, output);
        let lists: Vec<Vec<f64>> = rules.iter().map(|rule| wide(rule.count())).collect();
        let direction = wide(rules[1].count());
        let shape = (1, 1, INPUT.width, INPUT.channels);
        let input = Tensor::from_vec(wide(INPUT.elements()), shape, &Device::Cpu).unwrap();
        // Gradient and its product with the direction, of the weights of the hidden state moved along it.
        let at = |distance: f64| -> (Vec<f64>, f64) {
            let tensors: Vec<Var> = rules
                .iter()
                .zip(&lists)
                .enumerate()
                .map(|(position, (rule, list))| {
                    let moved = list.iter().zip(&direction).map(|(value, step)| {
                        value + if position == 1 { distance * step } else { 0.0 }
                    });
                    let values: Vec<f64> = match position {
                        1 => moved.collect(),
                        _ => list.clone(),
                    };
                    let tensor =
                        Tensor::from_vec(values, rule.shape.as_slice(), &Device::Cpu).unwrap();
                    Var::from_tensor(&tensor).unwrap()
                })
                .collect();
            let parameters: Vec<&Tensor> = tensors.iter().map(Var::as_tensor).collect();
            let mut pass = Forward {
                inputs: &[&input],
                parameters: &parameters,
                input: INPUT,
                output,
                training: true,
                statistics: None,
            };
            let values = operation.forward(&mut pass).unwrap();
            let loss = values.sqr().unwrap().sum_all().unwrap();
            let gradients = loss.backward().unwrap();
            let gradient = gradients.get(tensors[1].as_tensor()).unwrap();
            let step = Tensor::from_slice(&direction, gradient.shape(), &Device::Cpu).unwrap();
            let along = gradient.mul(&step).unwrap().sum_all().unwrap();
            let product = along.backward().unwrap();
            let product = product.get(tensors[1].as_tensor()).unwrap();
            let second = product.mul(&step).unwrap().sum_all().unwrap();
            assert_eq!(second.dtype(), DType::F64);
            let slope = along.to_scalar::<f64>().unwrap();
            (vec![loss.to_scalar().unwrap(), slope], second.to_scalar().unwrap())
        };
        let step = 1e-4;
        let ((here, bend), (before, _), (behind, _)) = (at(0.0), at(-step), at(step));
        let slope = (behind[0] - before[0]) / (2.0 * step);
        assert!((slope - here[1]).abs() < 1e-6, "{operation:?}: {slope} {}", here[1]);
        let bent = (behind[1] - before[1]) / (2.0 * step);
        assert!((bent - bend).abs() < 1e-5, "{operation:?}: {bent} {bend}");
    }
}
