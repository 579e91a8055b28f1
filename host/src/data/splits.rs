//! Which samples train and which test, and draws that stand for all of them.

use super::Split;
use crate::random;
use rand::SeedableRng;
use serde::{Deserialize, Serialize};

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
