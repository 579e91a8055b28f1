//! Minibatches: order, balance of classes, label noise, changes, normalisation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::augmentation::Changes;
use crate::data::{Normalization, Split};
use crate::random::{self, ChaCha8Rng, Purpose};

/// How rare classes are made to count as much as others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// Not: every sample counts as much
    #[default]
    None,
    /// A sample of a class counts by the inverse of the class's share
    Weights,
    /// Minibatches have as many samples of every class; those of rare ones come again
    Batches,
}

impl Balance {
    /// Whether nothing is done.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// The weight of each class by which all classes count as much, 1 on average over the samples. A class without samples has 1.
pub(super) fn class_weights(labels: &[u16], classes: usize) -> Vec<f64> {
    let mut counts = vec![0usize; classes];
    for &label in labels {
        if let Some(count) = counts.get_mut(usize::from(label)) {
            *count += 1;
        }
    }
    let present = counts.iter().filter(|count| **count > 0).count();
    let share = labels.len() as f64 / present.max(1) as f64;
    counts.iter().map(|&count| if count > 0 { share / count as f64 } else { 1.0 }).collect()
}

/// As many indexes as there are labels, of every class in turn; each class in an order of its own, again and again.
fn balanced(labels: &[u16], generator: &mut ChaCha8Rng) -> Vec<usize> {
    let mut classes: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
    for (index, &label) in labels.iter().enumerate() {
        classes.entry(label).or_default().push(index);
    }
    let mut order = Vec::with_capacity(labels.len() + classes.len());
    let mut orders = vec![Vec::new(); classes.len()];
    while order.len() < labels.len() {
        for (indexes, left) in classes.values().zip(&mut orders) {
            if left.is_empty() {
                *left = random::permutation(indexes.len(), generator);
            }
            order.extend(left.pop().map(|place: usize| indexes[place]));
        }
    }
    order.truncate(labels.len());
    order
}

/// Redraws each label with probability `noise`, uniformly from all classes.
pub(super) fn add_label_noise(split: &mut Split, classes: usize, noise: f64, seed: u64) {
    if noise == 0.0 {
        return;
    }
    let mut generator = random::generator(seed, Purpose::LabelNoise, 0);
    for label in &mut split.labels {
        if random::unit(&mut generator) < noise {
            // A data set has at most 65,536 classes.
            *label = random::below(classes, &mut generator) as u16;
        }
    }
}

/// Takes a share of the samples, drawn by the seed, out of a split. Both keep the order of the data.
pub(super) fn take_validation(split: &mut Split, share: f64, seed: u64) -> Split {
    let mut generator = random::generator(seed, Purpose::Validation, 0);
    let mut order = random::permutation(split.len(), &mut generator);
    let (taken, left) = order.split_at_mut((split.len() as f64 * share).round() as usize);
    taken.sort_unstable();
    left.sort_unstable();
    let validation = split.selected(taken);
    *split = split.selected(left);
    validation
}

/// So many samples left over at the end of an epoch make a minibatch of their own; fewer go into the last one. A step of very few
/// samples is far too large, and batch normalization has next to no statistics for it.
const FEWEST_LEFT: usize = 10;

/// Number of minibatches of `samples` samples.
pub(super) const fn count(samples: usize, batch: usize) -> usize {
    let whole = samples / batch;
    let left = samples % batch;
    if left == 0 || (whole > 0 && left < FEWEST_LEFT) { whole } else { whole + 1 }
}

/// The minibatches of one epoch, in an order that seed and epoch decide.
pub(super) struct Batches<'a> {
    split: &'a Split,
    normalization: &'a Normalization,
    changes: &'a Changes,
    batch: usize,
    order: Vec<usize>,
    generator: ChaCha8Rng,
    next: usize,
}

impl<'a> Batches<'a> {
    pub fn new(
        split: &'a Split,
        normalization: &'a Normalization,
        changes: &'a Changes,
        balance: Balance,
        batch: usize,
        seed: u64,
        epoch: usize,
    ) -> Self {
        let epoch = epoch as u64;
        let mut order_generator = random::generator(seed, Purpose::Order, epoch);
        let order = match balance {
            Balance::Batches => balanced(&split.labels, &mut order_generator),
            Balance::None | Balance::Weights => {
                random::permutation(split.len(), &mut order_generator)
            }
        };
        let generator = random::generator(seed, Purpose::Augmentation, epoch);
        Self { split, normalization, changes, batch, order, generator, next: 0 }
    }

    /// Number of minibatches of the epoch.
    pub fn count(&self) -> usize {
        count(self.order.len(), self.batch)
    }

    /// The next minibatch, normalised, and its labels. `None` at the end of the epoch.
    pub fn next(&mut self) -> Option<Minibatch> {
        let rest = self.order.len() - self.next;
        let end =
            if count(rest, self.batch) > 1 { self.next + self.batch } else { self.order.len() };
        let indexes = self.order.get(self.next..end).filter(|indexes| !indexes.is_empty())?;
        self.next = end;
        let elements = self.split.samples.len().checked_div(self.split.len()).unwrap_or(0);
        let mut samples = Vec::with_capacity(indexes.len() * elements);
        let mut labels = Vec::with_capacity(indexes.len());
        let mut values = Vec::new();
        let mut another = Vec::new();
        let outputs = self.split.values.len().checked_div(self.split.len()).unwrap_or(0);
        for &index in indexes {
            let sample = self.split.sample(index)?;
            let moved = self.changes.image(sample, &mut self.generator);
            let start = samples.len();
            normalize(moved.as_deref().unwrap_or(sample), self.normalization, &mut samples);
            if self.changes.want_another() {
                another.clear();
                match self.changes.noise(&mut self.generator) {
                    Some(noise) => normalize(&noise, self.normalization, &mut another),
                    None => {
                        let other = random::below(self.split.len(), &mut self.generator);
                        normalize(self.split.sample(other)?, self.normalization, &mut another);
                    }
                }
            }
            self.changes.series(&mut samples[start..], &another, &mut self.generator);
            labels.push(self.split.labels[index]);
            values.extend_from_slice(&self.split.values[index * outputs..(index + 1) * outputs]);
        }
        Some(Minibatch { samples, labels, values })
    }
}

/// Samples that a step is made of.
pub(super) struct Minibatch {
    /// Normalised values.
    pub samples: Vec<f32>,
    /// Classes.
    pub labels: Vec<u16>,
    /// Values to predict, in their units; empty where there are none.
    pub values: Vec<f32>,
}

/// Appends the real values of raw ones.
pub(super) fn normalize(raw: &[i16], normalization: &Normalization, reals: &mut Vec<f32>) {
    let channels = normalization.channels();
    for pixel in raw.chunks_exact(channels) {
        let values = pixel.iter().enumerate();
        reals.extend(values.map(|(channel, &raw)| normalization.real(raw, channel) as f32));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_samples_left_over_go_into_the_last_minibatch() {
        for (samples, expected) in [
            (128, vec![64, 64]),
            (129, vec![64, 65]),
            (137, vec![64, 73]),
            (138, vec![64, 64, 10]),
            (3, vec![3]),
            (66, vec![66]),
        ] {
            let count = samples as usize;
            let split = Split { samples: vec![0; count], labels: vec![0; count], ..<_>::default() };
            let normalization = Normalization { offset: vec![0.0], inverse_scale: vec![1.0] };
            let shape = crate::data::SampleShape::new(1, 1, 1);
            let none = crate::training::Augmentation::default().of(shape, &[], vec![0.0]).unwrap();
            let balance = Balance::None;
            let mut batches = Batches::new(&split, &normalization, &none, balance, 64, 0, 0);
            assert_eq!(batches.count(), expected.len());
            let sizes = std::iter::from_fn(|| batches.next().map(|batch| batch.labels.len()));
            assert_eq!(sizes.collect::<Vec<_>>(), expected, "{samples}");
        }
    }

    #[test]
    fn rare_classes_count_as_much_as_others() {
        let labels: Vec<u16> = (0..100).map(|index| u16::from(index % 10 == 0)).collect();
        let weights = class_weights(&labels, 3);
        assert_eq!(weights, [100.0 / 180.0, 5.0, 1.0]);
        let all: f64 = labels.iter().map(|&label| weights[usize::from(label)]).sum();
        assert!((all - 100.0).abs() < 1e-9);
        let mut generator = random::generator(0, Purpose::Order, 0);
        let order = balanced(&labels, &mut generator);
        assert_eq!(order.len(), 100);
        let rare = |part: &[usize]| part.iter().filter(|&&index| labels[index] == 1).count();
        assert_eq!((rare(&order), rare(&order[..10])), (50, 5));
        // The frequent ones come once before one of them comes again.
        let frequent: std::collections::BTreeSet<&usize> =
            order.iter().filter(|&&index| labels[index] == 0).collect();
        assert_eq!(frequent.len(), 50);
        assert!(balanced(&[], &mut generator).is_empty());
    }
}
