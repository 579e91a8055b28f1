//! Minibatches: order, label noise, augmentation, normalisation.

use serde::{Deserialize, Serialize};

use crate::data::{Normalization, SampleShape, Split};
use crate::random::{self, ChaCha8Rng, Purpose};

/// Random changes to training images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Augmentation {
    /// Images as they are
    #[default]
    None,
    /// Mirrored left to right half of the time
    Flip,
    /// Moved by up to an eighth of the image (at least a pixel) in each direction; what comes in has raw value 0
    Shift,
    /// Moved likewise and mirrored left to right half of the time
    ShiftFlip,
}

impl Augmentation {
    const fn moves(self) -> bool {
        matches!(self, Self::Shift | Self::ShiftFlip)
    }

    const fn mirrors(self) -> bool {
        matches!(self, Self::Flip | Self::ShiftFlip)
    }
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
    pub split: &'a Split,
    pub shape: SampleShape,
    pub normalization: &'a Normalization,
    pub augmentation: Augmentation,
    pub batch: usize,
    order: Vec<usize>,
    generator: ChaCha8Rng,
    next: usize,
}

impl<'a> Batches<'a> {
    pub fn new(
        split: &'a Split,
        shape: SampleShape,
        normalization: &'a Normalization,
        augmentation: Augmentation,
        batch: usize,
        seed: u64,
        epoch: usize,
    ) -> Self {
        let epoch = epoch as u64;
        let mut order_generator = random::generator(seed, Purpose::Order, epoch);
        let order = random::permutation(split.len(), &mut order_generator);
        let generator = random::generator(seed, Purpose::Augmentation, epoch);
        Self { split, shape, normalization, augmentation, batch, order, generator, next: 0 }
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
        let mut samples = Vec::with_capacity(indexes.len() * self.shape.elements());
        let mut labels = Vec::with_capacity(indexes.len());
        let mut values = Vec::new();
        let outputs = self.split.values.len().checked_div(self.split.len()).unwrap_or(0);
        for &index in indexes {
            let sample = self.split.sample(index)?;
            let moved;
            let sample = match self.augmentation {
                Augmentation::None => sample,
                Augmentation::Flip | Augmentation::Shift | Augmentation::ShiftFlip => {
                    moved = augment(sample, self.shape, self.augmentation, &mut self.generator);
                    &moved
                }
            };
            normalize(sample, self.normalization, &mut samples);
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

fn augment(
    sample: &[i16],
    shape: SampleShape,
    augmentation: Augmentation,
    generator: &mut ChaCha8Rng,
) -> Vec<i16> {
    let mut offset = |extent: usize| {
        if extent < 2 || !augmentation.moves() {
            return 0;
        }
        let largest = (extent / 8).max(1);
        random::below(2 * largest + 1, generator) as isize - largest as isize
    };
    let (down, right) = (offset(shape.height), offset(shape.width));
    let flip = augmentation.mirrors() && random::below(2, generator) == 1;
    let mut moved = vec![0; sample.len()];
    for y in 0..shape.height {
        for x in 0..shape.width {
            let column = if flip { shape.width - 1 - x } else { x };
            let source_y = y.checked_add_signed(-down).filter(|&y| y < shape.height);
            let source_x = column.checked_add_signed(-right).filter(|&x| x < shape.width);
            if let (Some(source_y), Some(source_x)) = (source_y, source_x) {
                let from = (source_y * shape.width + source_x) * shape.channels;
                let to = (y * shape.width + x) * shape.channels;
                moved[to..to + shape.channels]
                    .copy_from_slice(&sample[from..from + shape.channels]);
            }
        }
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every outcome of a hundred changes to one sample.
    fn outcomes(sample: &[i16], shape: SampleShape, augmentation: Augmentation) -> Vec<Vec<i16>> {
        let mut generator = random::generator(1, Purpose::Augmentation, 0);
        let changed = (0..100).map(|_| augment(sample, shape, augmentation, &mut generator));
        let mut all: Vec<Vec<i16>> = changed.collect();
        all.sort();
        all.dedup();
        all
    }

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
            let shape = SampleShape::new(1, 1, 1);
            let none = Augmentation::None;
            let mut batches = Batches::new(&split, shape, &normalization, none, 64, 0, 0);
            assert_eq!(batches.count(), expected.len());
            let sizes = std::iter::from_fn(|| batches.next().map(|batch| batch.labels.len()));
            assert_eq!(sizes.collect::<Vec<_>>(), expected, "{samples}");
        }
    }

    #[test]
    fn a_flip_mirrors_whole_pixels_or_leaves_the_image_as_it_is() {
        let shape = SampleShape::new(1, 3, 2);
        let image = [1, 2, 3, 4, 5, 6];
        assert_eq!(
            outcomes(&image, shape, Augmentation::Flip),
            [vec![1, 2, 3, 4, 5, 6], vec![5, 6, 3, 4, 1, 2]]
        );
    }

    #[test]
    fn a_shift_moves_by_up_to_an_eighth_and_fills_with_zeros() {
        let shape = SampleShape::new(1, 4, 1);
        let image = [1, 2, 3, 4];
        let moved = [vec![0, 1, 2, 3], vec![1, 2, 3, 4], vec![2, 3, 4, 0]];
        assert_eq!(outcomes(&image, shape, Augmentation::Shift), moved);
        let mirrored = moved.iter().map(|row| row.iter().rev().copied().collect());
        let mut both: Vec<Vec<i16>> = moved.iter().cloned().chain(mirrored).collect();
        both.sort();
        assert_eq!(outcomes(&image, shape, Augmentation::ShiftFlip), both);
    }
}
