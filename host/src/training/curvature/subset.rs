//! The loss of a trained network over a fixed set of samples.

use candle_core::{DType, Tensor};

use super::FixedLoss;
use crate::data::{Normalization, Split};
use crate::error::{Error, Result};
use crate::graph::trained_network::TrainedNetwork;
use crate::training::engine::TrainingGraph;
use crate::training::optimizer::{Objective, Parameter, Pass};

/// Most samples that go through the network at once.
const PART: usize = 256;
/// Values of all layers' outputs that go through at once; a product with the Hessian keeps some ten of each.
const PART_VALUES: usize = 1 << 24;
/// Values of all layers' outputs up to which gradients are kept with their graphs, which take some ten times as much.
const KEPT_VALUES: usize = 1 << 23;

/// A trained network's mean loss over samples, with batch normalization's running statistics.
#[derive(Debug)]
pub struct Subset {
    graph: TrainingGraph,
    parts: Vec<(Vec<f32>, Vec<u16>)>,
    samples: usize,
    fits_memory: bool,
}

impl Subset {
    /// Over all samples of a split, with the labels that it has.
    ///
    /// # Errors
    /// There is no sample, or the tensor library refuses.
    pub fn new(trained: &TrainedNetwork, split: &Split) -> Result<Self> {
        if split.is_empty() {
            return Err(Error::bad_input("curvature", "has no samples", "give at least one"));
        }
        let mut graph = TrainingGraph::new(&trained.network, &trained.parameters, DType::F32)?;
        graph.frozen_statistics = true;
        let elements = trained.network.sample_values();
        let values = trained.network.summaries()?;
        let values: usize = values.iter().map(|summary| summary.output.elements()).sum();
        let part = (PART_VALUES / values.max(1)).clamp(1, PART);
        let parts = split.samples.chunks(part * elements).zip(split.labels.chunks(part));
        Ok(Self {
            graph,
            parts: parts
                .map(|(raw, labels)| (reals(raw, &trained.input.normalization), labels.to_vec()))
                .collect(),
            samples: split.len(),
            fits_memory: values.saturating_mul(split.len()) <= KEPT_VALUES,
        })
    }
}

fn reals(raw: &[i16], normalization: &Normalization) -> Vec<f32> {
    let channels = normalization.channels();
    let value = |(index, &raw): (usize, &i16)| normalization.real(raw, index % channels) as f32;
    raw.iter().enumerate().map(value).collect()
}

impl FixedLoss for Subset {
    fn parameters(&self) -> &[Parameter] {
        self.graph.parameters()
    }

    fn parts(&self) -> usize {
        self.parts.len()
    }

    fn fits_memory(&self) -> bool {
        self.fits_memory
    }

    fn part(&mut self, index: usize) -> Result<Tensor> {
        let (samples, labels) = &self.parts[index];
        self.graph.set_batch(samples, labels)?;
        let share = labels.len() as f64 / self.samples as f64;
        Ok(self.graph.loss(Pass::First)?.affine(share, 0.0)?)
    }
}
