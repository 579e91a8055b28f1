//! A kernel set for applications whose networks have fully connected layers and nothing else: the other operators' code stays out of
//! the image, and [`Engine::load`](crate::engine::Engine::load) refuses models that need it.

use tinyhero_common::kernel::{Add, Convolution, FullyConnected, Kernels, Pool, Softmax};
use tinyhero_common::model::Operator;

/// Only the fully connected layers of another set.
#[derive(Clone, Copy, Debug, Default)]
pub struct FullyConnectedOnly<K>(pub K);

impl<K: Kernels> Kernels for FullyConnectedOnly<K> {
    fn computes(operator: &Operator) -> bool {
        matches!(operator, Operator::FullyConnected { .. })
    }

    fn fully_connected(
        &mut self,
        job: &FullyConnected<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        self.0.fully_connected(job, input, scratch, output);
    }

    // A model with one of the following is not loaded.

    fn convolution_2d(
        &mut self,
        _job: &Convolution<'_>,
        _input: &[i8],
        _scratch: &mut [i8],
        _output: &mut [i8],
    ) {
    }

    fn depthwise_convolution_2d(
        &mut self,
        _job: &Convolution<'_>,
        _input: &[i8],
        _scratch: &mut [i8],
        _output: &mut [i8],
    ) {
    }

    fn average_pool_2d(&mut self, _job: &Pool, _input: &[i8], _output: &mut [i8]) {}

    fn max_pool_2d(&mut self, _job: &Pool, _input: &[i8], _output: &mut [i8]) {}

    fn add(&mut self, _job: &Add, _input: &[i8], _other: &[i8], _output: &mut [i8]) {}

    fn add_in_place(&mut self, _job: &Add, _input_and_output: &mut [i8], _other: &[i8]) {}

    fn softmax(&mut self, _job: &Softmax, _input: &[i8], _output: &mut [i8]) {}
}
