//! Which samples train and which test, and draws that stand for all of them.

use super::Split;
use crate::random;
use rand::SeedableRng;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Share of the samples that becomes test data: one in this many.
const TEST_SHARE: usize = 5;
/// Fewest samples that can be split.
pub(super) const FEWEST: usize = TEST_SHARE;

/// How a data set's samples came into its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitRule {
    /// By the names of the files that they stand in; the seed changes nothing.
    Files,
    /// By a shuffle of all samples that the seed decides.
    Shuffle,
    /// By a draw from every class that the seed decides.
    Stratified,
    /// In whole groups that the seed decides.
    Group,
    /// In whole files that the seed decides.
    File,
    /// By their place in the recording: the last are test samples.
    Time,
}

impl SplitRule {
    /// Its name in model files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Shuffle => "shuffle",
            Self::Stratified => "stratified",
            Self::Group => "group",
            Self::File => "file",
            Self::Time => "time",
        }
    }

    /// Whether another seed gives another split.
    pub const fn follows_seed(self) -> bool {
        !matches!(self, Self::Files | Self::Time)
    }
}

/// The indexes of training and of test samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sides {
    pub train: Vec<usize>,
    pub test: Vec<usize>,
}

impl Sides {
    fn by(count: usize, is_test: impl Fn(usize) -> bool) -> Self {
        let (test, train) = (0..count).partition(|&index| is_test(index));
        Self { train, test }
    }
}

/// About a fifth of every class tests, in the order of the data. A class of one sample trains.
pub(super) fn stratified(labels: &[u32], seed: u64) -> Sides {
    let mut totals: BTreeMap<u32, usize> = BTreeMap::new();
    for &label in labels {
        *totals.entry(label).or_default() += 1;
    }
    let mut before: BTreeMap<u32, usize> = BTreeMap::new();
    let mut ranked: Vec<(f64, u32, usize)> = Vec::with_capacity(labels.len());
    for index in shuffled_indexes(labels.len(), seed) {
        let label = labels[index];
        let rank = before.entry(label).or_default();
        if totals[&label] > 1 {
            ranked.push(((*rank as f64 + 0.5) / totals[&label] as f64, label, index));
        }
        *rank += 1;
    }
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    ranked.truncate(labels.len() / TEST_SHARE);
    let mut is_test = vec![false; labels.len()];
    ranked.iter().for_each(|(_, _, index)| is_test[*index] = true);
    Sides::by(labels.len(), |index| is_test[index])
}

/// Whole units (groups, files) test until they hold about a fifth of the samples, of every class where that can be.
pub(super) fn whole(units: &[u32], labels: &[u32], seed: u64) -> Sides {
    let count = units.iter().max().map_or(0, |&last| last as usize + 1);
    let mut sizes = vec![0usize; count];
    let mut classes: Vec<BTreeMap<u32, usize>> = vec![BTreeMap::new(); count];
    let mut totals: BTreeMap<u32, usize> = BTreeMap::new();
    for (&unit, &label) in units.iter().zip(labels) {
        sizes[unit as usize] += 1;
        *classes[unit as usize].entry(label).or_default() += 1;
        *totals.entry(label).or_default() += 1;
    }
    let mut taken: BTreeMap<u32, usize> = BTreeMap::new();
    let mut is_test = vec![false; count];
    let mut left = sizes.iter().filter(|size| **size > 0).count();
    for unit in shuffled_indexes(count, seed) {
        if sizes[unit] == 0 || left == 1 {
            continue;
        }
        // A unit tests if that brings its classes nearer to their share.
        let nearer: f64 = classes[unit]
            .iter()
            .map(|(label, &count)| {
                let wanted = totals[label] as f64 / TEST_SHARE as f64;
                let now = taken.get(label).copied().unwrap_or(0) as f64;
                (wanted - now).abs() - (wanted - now - count as f64).abs()
            })
            .sum();
        if nearer > 0.0 || (nearer == 0.0 && taken.is_empty()) {
            is_test[unit] = true;
            left -= 1;
            for (&label, &count) in &classes[unit] {
                *taken.entry(label).or_default() += count;
            }
        }
    }
    // Units so large that none is near a fifth: the smallest one tests.
    if taken.is_empty() && left > 1 {
        let smallest = (0..count).filter(|&unit| sizes[unit] > 0).min_by_key(|&unit| sizes[unit]);
        smallest.into_iter().for_each(|unit| is_test[unit] = true);
    }
    Sides::by(units.len(), |index| is_test[units[index] as usize])
}
/// Splits rows into training and test rows in an order that `seed` decides.
pub(super) fn divide(rows: &Split, seed: u64) -> (Split, Split) {
    let indexes = shuffled_indexes(rows.len(), seed);
    let (test, train) = indexes.split_at(rows.len() / TEST_SHARE);
    (rows.selected(train), rows.selected(test))
}

/// 0..count in an order that `seed` decides, the same on every machine.
pub(super) fn shuffled_indexes(count: usize, seed: u64) -> Vec<usize> {
    let mut generator = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    random::permutation(count, &mut generator)
}

/// `limit` of the indexes 0..labels.len(), in order: from every class about its share of all samples, and at least one while there
/// is room. Which ones, `seed` decides.
pub(super) fn draw(labels: &[u16], limit: usize, seed: u64) -> Vec<usize> {
    if limit >= labels.len() {
        return (0..labels.len()).collect();
    }
    let mut totals: BTreeMap<u16, usize> = BTreeMap::new();
    for &label in labels {
        *totals.entry(label).or_default() += 1;
    }
    let mut drawn: BTreeMap<u16, usize> = BTreeMap::new();
    let mut ranked: Vec<(f64, u16, usize)> = shuffled_indexes(labels.len(), seed)
        .into_iter()
        .map(|index| {
            let label = labels[index];
            let before = drawn.entry(label).or_default();
            let share = (*before as f64 + 0.5) / totals[&label] as f64;
            // The first of every class comes before the second of any.
            let place = if *before == 0 { 0.0 } else { share };
            *before += 1;
            (place, label, index)
        })
        .collect();
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut indexes: Vec<usize> = ranked.iter().take(limit).map(|(_, _, index)| *index).collect();
    indexes.sort_unstable();
    indexes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_every_class_tests() {
        let labels: Vec<u32> = (0..100).map(|index| u32::from(index >= 90)).collect();
        let sides = stratified(&labels, 3);
        let of = |label| sides.test.iter().filter(|&&index| labels[index] == label).count();
        assert_eq!((of(0), of(1), sides.train.len()), (18, 2, 80));
        assert!(sides.train.is_sorted() && sides.test.is_sorted());
        assert_ne!(stratified(&labels, 4), sides);
        let alone = stratified(&[0, 0, 0, 0, 1], 0);
        assert!(!alone.test.contains(&4), "the only one of a class trains");
    }

    #[test]
    fn units_stay_whole_and_classes_are_on_both_sides() {
        // Ten people, each with both classes; then files of one class each.
        let people: Vec<u32> = (0..200).map(|index| index / 20).collect();
        let labels: Vec<u32> = (0..200).map(|index| index % 2).collect();
        for seed in 0..5 {
            let sides = whole(&people, &labels, seed);
            let test: std::collections::BTreeSet<u32> =
                sides.test.iter().map(|&index| people[index]).collect();
            assert!(sides.train.iter().all(|&index| !test.contains(&people[index])));
            assert_eq!(sides.test.len(), 40, "seed {seed}");
            let files: Vec<u32> = people.clone();
            let classes: Vec<u32> = files.iter().map(|file| u32::from(*file >= 5)).collect();
            let sides = whole(&files, &classes, seed);
            let of = |class| sides.test.iter().filter(|&&index| classes[index] == class).count();
            assert_eq!((of(0), of(1)), (20, 20), "seed {seed}");
        }
        let two = whole(&[0, 0, 0, 1, 1], &[0; 5], 1);
        assert_eq!(two.test.len(), 2, "the smaller of two");
        assert!(whole(&[0; 5], &[0; 5], 1).test.is_empty());
    }
}
