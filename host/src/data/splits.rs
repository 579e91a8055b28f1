//! Which samples train and which test, and draws that stand for all of them.

use super::Split;
use super::options::Fold;
use crate::random;
use rand::SeedableRng;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

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

/// Which samples test: about a fifth of every class. A class of one sample trains.
pub(super) fn stratified(labels: &[u32], seed: u64) -> Vec<bool> {
    let mut totals: BTreeMap<u32, usize> = BTreeMap::new();
    for &label in labels {
        *totals.entry(label).or_default() += 1;
    }
    // The classes take turns, each at even distances, until there are enough. Positive floats sort as their bits do.
    let place = |rank: usize, total: usize| ((rank as f64 + 0.5) / total as f64).to_bits();
    let several = totals.iter().filter(|(_, total)| **total > 1);
    let mut turns: BinaryHeap<Reverse<(u64, u32)>> =
        several.map(|(&label, &total)| Reverse((place(0, total), label))).collect();
    let mut taken: BTreeMap<u32, usize> = BTreeMap::new();
    for _ in 0..labels.len() / TEST_SHARE {
        let Some(Reverse((_, label))) = turns.pop() else { break };
        let rank = taken.entry(label).or_default();
        *rank += 1;
        let total = totals.get(&label).copied().unwrap_or(0);
        if *rank < total {
            turns.push(Reverse((place(*rank, total), label)));
        }
    }
    let mut is_test = vec![false; labels.len()];
    for index in shuffled_indexes(labels.len(), seed) {
        if let Some(left) = taken.get_mut(&labels[index]).filter(|left| **left > 0) {
            *left -= 1;
            is_test[index] = true;
        }
    }
    is_test
}

/// Which samples test in one of several parts, over which every class is spread evenly.
pub(super) fn stratified_fold(labels: &[u32], seed: u64, fold: Fold) -> Vec<bool> {
    let mut order = shuffled_indexes(labels.len(), seed);
    order.sort_by_key(|&index| labels[index]);
    let mut is_test = vec![false; labels.len()];
    order
        .iter()
        .skip(fold.number() - 1)
        .step_by(fold.of())
        .for_each(|&index| is_test[index] = true);
    is_test
}

/// The samples and the classes of each unit.
struct Units {
    sizes: Vec<usize>,
    classes: Vec<BTreeMap<u32, usize>>,
}

impl Units {
    fn of(units: &[u32], labels: &[u32]) -> Self {
        let count = units.iter().max().map_or(0, |&last| last as usize + 1);
        let mut found = Self { sizes: vec![0; count], classes: vec![BTreeMap::new(); count] };
        for (&unit, &label) in units.iter().zip(labels) {
            found.sizes[unit as usize] += 1;
            *found.classes[unit as usize].entry(label).or_default() += 1;
        }
        found
    }
}

/// Which samples test in one of several parts of whole units, each with about as many samples of every class as the others.
///
/// # Errors
/// The number of units, where there are fewer than parts.
pub(super) fn whole_fold(
    units: &[u32],
    labels: &[u32],
    seed: u64,
    fold: Fold,
) -> Result<Vec<bool>, usize> {
    let found = Units::of(units, labels);
    let mut order: Vec<usize> = shuffled_indexes(found.sizes.len(), seed);
    order.retain(|&unit| found.sizes[unit] > 0);
    if order.len() < fold.of() {
        return Err(order.len());
    }
    // The largest first; each goes where its classes are fewest.
    order.sort_by_key(|&unit| Reverse(found.sizes[unit]));
    let mut parts: Vec<(usize, BTreeMap<u32, usize>)> = vec![Default::default(); fold.of()];
    let mut part_of = vec![0; found.sizes.len()];
    for unit in order {
        let crowded = |(size, classes): &(usize, BTreeMap<u32, usize>)| {
            let same = found.classes[unit].iter();
            let same = same.map(|(label, count)| count * classes.get(label).copied().unwrap_or(0));
            (same.sum::<usize>(), *size)
        };
        let part = (0..fold.of()).min_by_key(|&part| crowded(&parts[part])).unwrap_or(0);
        part_of[unit] = part;
        parts[part].0 += found.sizes[unit];
        for (&label, count) in &found.classes[unit] {
            *parts[part].1.entry(label).or_default() += count;
        }
    }
    Ok(units.iter().map(|&unit| part_of[unit as usize] + 1 == fold.number()).collect())
}

/// Which samples test: whole units (groups, files) until they hold about a fifth of the samples, of every class where that can be.
pub(super) fn whole(units: &[u32], labels: &[u32], seed: u64) -> Vec<bool> {
    let Units { sizes, classes } = Units::of(units, labels);
    let count = sizes.len();
    let mut totals: BTreeMap<u32, usize> = BTreeMap::new();
    for &label in labels {
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
    units.iter().map(|&unit| is_test[unit as usize]).collect()
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
        let tests = stratified(&labels, 3);
        let of = |label| (0..100).filter(|&index| tests[index] && labels[index] == label).count();
        assert_eq!((of(0), of(1)), (18, 2));
        assert_ne!(stratified(&labels, 4), tests);
        let alone = stratified(&[0, 0, 0, 0, 1], 0);
        assert!(!alone[4] && alone.contains(&true), "the only one of a class trains");
    }

    #[test]
    fn units_stay_whole_and_classes_are_on_both_sides() {
        // Ten people, each with both classes; then files of one class each.
        let people: Vec<u32> = (0..200).map(|index| index / 20).collect();
        let labels: Vec<u32> = (0..200).map(|index| index % 2).collect();
        for seed in 0..5 {
            let tests = whole(&people, &labels, seed);
            assert!((0..200).all(|index| tests[index] == tests[index / 20 * 20]));
            assert_eq!(tests.iter().filter(|test| **test).count(), 40, "seed {seed}");
            let classes: Vec<u32> = people.iter().map(|file| u32::from(*file >= 5)).collect();
            let tests = whole(&people, &classes, seed);
            let of = |class| (0..200).filter(|&at| tests[at] && classes[at] == class).count();
            assert_eq!((of(0), of(1)), (20, 20), "seed {seed}");
        }
        let two = whole(&[0, 0, 0, 1, 1], &[0; 5], 1);
        assert_eq!(two, [false, false, false, true, true], "the smaller of two");
        assert!(!whole(&[0; 5], &[0; 5], 1).contains(&true));
    }

    #[test]
    fn folds_cover_all_samples_once_and_each_has_every_class() {
        let labels: Vec<u32> = (0..103).map(|index| u32::from(index % 4 == 0)).collect();
        let people: Vec<u32> = (0..103).map(|index| index / 9).collect();
        let folds = || (1..=5).map(|number| Fold::new(number, 5).unwrap());
        let stratified = folds().map(|fold| stratified_fold(&labels, 7, fold));
        let by_people = folds().map(|fold| whole_fold(&people, &labels, 7, fold).unwrap());
        for tests in [stratified.collect::<Vec<_>>(), by_people.collect()] {
            for index in 0..103 {
                assert_eq!(tests.iter().filter(|test| test[index]).count(), 1, "{index}");
            }
            for test in &tests {
                let of = |class| (0..103).filter(|&at| test[at] && labels[at] == class).count();
                assert!(
                    (10..=27).contains(&of(0)) && (3..=9).contains(&of(1)),
                    "{} {}",
                    of(0),
                    of(1)
                );
            }
        }
        let fold = Fold::new(2, 5).unwrap();
        let test = whole_fold(&people, &labels, 1, fold).unwrap();
        assert!((0..103).all(|index| test[index] == test[index / 9 * 9]));
        assert_eq!(whole_fold(&people[..20], &labels[..20], 1, fold), Err(3));
    }
}
