//! Times the layers of a run and digests their outputs, without counting the digesting.

use tinyhero_common::checksum::Digest;
use tinyhero_common::message::{LAYERS_PER_RESPONSE, LayerRecord};
use tinyhero_common::model::Layer;
use tinyhero_common::network::Observer;

use crate::clock::Clock;

/// Observes one run. The clock is restarted when it is made and again after every layer, so that a layer counts the
/// same whatever ran before it.
pub(super) struct Meter<'a, Time> {
    clock: &'a mut Time,
    first: usize,
    digests: Digest,
    total: u64,
    input_count: u32,
    records: heapless::Vec<LayerRecord, LAYERS_PER_RESPONSE>,
}

impl<'a, Time: Clock> Meter<'a, Time> {
    /// Starts counting. Records are kept from layer `first` on, as many as one response holds.
    pub(super) fn new(clock: &'a mut Time, first: u16) -> Self {
        clock.restart();
        Self {
            clock,
            first: usize::from(first),
            digests: Digest::new(),
            total: 0,
            input_count: 0,
            records: heapless::Vec::new(),
        }
    }

    /// Counts of all layers and of input quantization.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// The digest over all layers, the same as [`tinyhero_common::network::LayerDigests`].
    pub(super) const fn digest(&self) -> u32 {
        self.digests.finish()
    }

    /// Counts of input quantization, and the records.
    pub(super) fn finish(self) -> (u32, heapless::Vec<LayerRecord, LAYERS_PER_RESPONSE>) {
        (self.input_count, self.records)
    }

    fn lap(&mut self) -> u32 {
        let count = self.clock.elapsed();
        self.total = self.total.saturating_add(count);
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}

impl<Time: Clock> Observer for Meter<'_, Time> {
    fn begin(&mut self) {
        self.input_count = self.lap();
        self.clock.restart();
    }

    fn layer_done(&mut self, index: usize, _layer: &Layer<'_>, output: &[i8]) {
        let count = self.lap();
        let digest = Digest::new().update(output).finish();
        self.digests = self.digests.combine(digest);
        if index >= self.first {
            // Those that no longer fit are asked for by the host's next request.
            let _ = self.records.push(LayerRecord { digest, count });
        }
        self.clock.restart();
    }
}
