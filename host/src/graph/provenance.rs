//! Where a trained network comes from.

use serde::{Deserialize, Serialize};

use crate::data::{DEFAULT_SPLIT_SEED, Dataset, SplitRule, located};

/// The data that a network was trained on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Provenance {
    /// Version of the program.
    pub version: String,
    /// Name of bundled data, or the absolute path of files, with the shape of their rows where one was given.
    pub data: String,
    /// SHA-256 of its contents; see [`Dataset::digest`].
    pub digest: String,
    /// How its samples came into training and test.
    pub split: SplitRule,
    /// The seed of that split.
    pub split_seed: u64,
    /// The file of another framework that the network was imported from, with its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported_from: Option<String>,
}

impl Provenance {
    /// Training on a data set that was opened with this seed.
    pub fn of(dataset: &Dataset, split_seed: u64) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_string(),
            data: located(&dataset.name),
            digest: dataset.digest.clone(),
            split: dataset.split_rule,
            split_seed,
            imported_from: None,
        }
    }

    /// A network of another framework, calibrated on a data set if there is one.
    pub fn imported(source: &str, dataset: Option<&Dataset>) -> Self {
        let known = dataset.map(|dataset| Self::of(dataset, DEFAULT_SPLIT_SEED));
        let unknown = Self {
            version: env!("CARGO_PKG_VERSION").to_string(),
            data: String::new(),
            digest: String::new(),
            split: SplitRule::Files,
            split_seed: DEFAULT_SPLIT_SEED,
            imported_from: None,
        };
        Self { imported_from: Some(source.to_string()), ..known.unwrap_or(unknown) }
    }
}
