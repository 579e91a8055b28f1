//! Which samples train and which test, and draws that stand for all of them.

use super::Split;
use crate::random;
use rand::SeedableRng;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Share of a lone file that becomes test data: one in this many.
const TEST_SHARE: usize = 5;

/// How a data set's samples came into its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitRule {
    /// By the files that they stand in; the seed changes nothing.
    Files,
    /// By a shuffle of all samples that the seed decides.
    Shuffle,
}

impl SplitRule {
    /// Its name in model files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Shuffle => "shuffle",
        }
    }
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
