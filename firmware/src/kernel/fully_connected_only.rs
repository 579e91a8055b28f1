//! A kernel set for applications whose networks have fully connected layers and nothing else: the other operators' code stays out of
//! the image, and [`Engine::load`](crate::engine::Engine::load) refuses models that need it.

use tinyhero_common::kernels::Kernels;
use tinyhero_common::layer::Layer;
use tinyhero_common::operator::{FullyConnectedJob, Operator};

/// Only the fully connected layers of another set.
#[derive(Clone, Copy, Debug, Default)]
pub struct FullyConnectedOnly<K>(pub K);

impl<K: Kernels> Kernels for FullyConnectedOnly<K> {
    // Inlined, so that the compiler sees which operators never come further.
    #[inline(always)]
    fn computes(layer: &Layer<'_>) -> bool {
        matches!(layer.operator, Operator::FullyConnected(_)) && K::computes(layer)
    }

    fn fully_connected(
        &mut self,
        job: &FullyConnectedJob<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        self.0.fully_connected(job, input, scratch, output);
    }
}
