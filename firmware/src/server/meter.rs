//! Times the layers of a run and digests their outputs, without counting the digesting.

use tinyhero_common::checksum::Digest;
use tinyhero_common::layer::Layer;
use tinyhero_common::network::Observer;
use tinyhero_common::wire::message::ClockUnit;
use tinyhero_common::wire::result::{LAYER_RECORD_BYTES, LayerRecord};

use crate::clock::Clock;

/// A clock that is restarted for every measurement, so that equal work counts the same whatever ran before it, and a sum of all.
pub(super) struct Stopwatch<Time> {
    clock: Time,
    ticks: u64,
}

impl<Time: Clock> Stopwatch<Time> {
    pub(super) const fn new(clock: Time) -> Self {
        Self { clock, ticks: 0 }
    }

    pub(super) fn unit(&self) -> ClockUnit {
        self.clock.unit()
    }

    /// Ticks since the last lap; the next one begins.
    fn lap(&mut self) -> u64 {
        let count = self.clock.elapsed();
        self.ticks = self.ticks.saturating_add(count);
        self.clock.restart();
        count
    }

    /// Ticks since the server began.
    pub(super) fn ticks(&mut self) -> u64 {
        self.lap();
        self.ticks
    }
}

/// Observes one run. With digests, every layer is a lap of its own; without, the whole run is one and counts exactly what a
/// run without an observer takes.
pub(super) struct Meter<'a, Time> {
    watch: &'a mut Stopwatch<Time>,
    digests: Option<Digest>,
    total: u64,
    input_count: u32,
    /// Layers to pass over before the first record.
    skipped: u16,
    /// The records still to be written.
    records: core::slice::IterMut<'a, [u8; LAYER_RECORD_BYTES]>,
}

impl<'a, Time: Clock> Meter<'a, Time> {
    /// Starts counting. Records are written into `records` until it is full.
    pub(super) fn new(
        watch: &'a mut Stopwatch<Time>,
        digests: bool,
        records: &'a mut [u8],
    ) -> Self {
        watch.lap();
        Self {
            watch,
            digests: digests.then(Digest::new),
            total: 0,
            input_count: 0,
            skipped: 0,
            records: records.as_chunks_mut().0.iter_mut(),
        }
    }

    /// Leaves out the records of the first `layers`.
    pub(super) const fn skip(&mut self, layers: u16) {
        self.skipped = layers;
    }

    /// Ends the run.
    pub(super) fn finish(&mut self) {
        if self.digests.is_none() {
            self.total = self.watch.lap();
        }
    }

    /// Counts of all layers and of input quantization.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// Counts of input quantization.
    pub(super) const fn input_count(&self) -> u32 {
        self.input_count
    }

    /// The digest over all layers, the same as [`tinyhero_common::network::LayerDigests`]; 0 without digests.
    pub(super) fn digest(&self) -> u32 {
        self.digests.map_or(0, Digest::finish)
    }

    fn lap(&mut self) -> u32 {
        let count = self.watch.lap();
        self.total = self.total.saturating_add(count);
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}

impl<Time: Clock> Observer for Meter<'_, Time> {
    fn begin(&mut self) {
        if self.digests.is_some() {
            self.input_count = self.lap();
        }
    }

    fn layer_done(&mut self, _index: usize, _layer: &Layer<'_>, output: &[i8]) {
        let Some(digests) = self.digests else { return };
        let count = self.lap();
        let digest = Digest::new().update(output).finish();
        self.digests = Some(digests.combine(digest));
        if self.skipped > 0 {
            self.skipped -= 1;
        } else if let Some(record) = self.records.next() {
            // Those that no longer fit are asked for by the host's next request.
            *record = LayerRecord { digest, count }.to_bytes();
        }
        self.watch.lap();
    }
}
