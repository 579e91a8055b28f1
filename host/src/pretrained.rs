//! Models that come with the program: a file each, and beside it a card that says where it comes from
//! and what it is worth.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::cortex::Core;
use crate::data::to_hex;
use crate::error::{Error, Result};

/// A model that comes with the program.
#[derive(Clone, Debug)]
pub struct Pretrained {
    /// What is known of it.
    pub card: Card,
    /// The model file.
    pub file: &'static [u8],
}

/// What is known of a model: `host/pretrained/NAME.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Card {
    /// Its name.
    pub name: String,
    /// What it tells apart, in one sentence.
    pub task: String,
    /// The data that it was trained on, and how to get it.
    pub data: String,
    /// What `--data` calls it, where the program has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundled_data: Option<String>,
    /// The licence of the data.
    pub licence: String,
    /// The commands that made the model, one after the other.
    pub commands: Vec<String>,
    /// The seed of its training.
    pub seed: u64,
    /// The network's layers, where the commands name a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Bits of its weights, layer by layer.
    pub bits: Vec<u32>,
    /// Test samples that the accuracies are of.
    pub samples: usize,
    /// Share of right answers of the network before its weights were rounded.
    pub float_accuracy: f64,
    /// The same of the model file.
    pub accuracy: f64,
    /// The same on the validation split that the network was chosen on, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_accuracy: Option<f64>,
    /// Bytes of the model file.
    pub bytes: usize,
    /// Bytes of its arena.
    pub arena: u32,
    /// SHA-256 of the model file, in hex.
    pub sha256: String,
    /// For each core the model file laid out for it.
    #[serde(default)]
    pub cores: BTreeMap<String, OnCore>,
}

/// A model in the layout of a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OnCore {
    /// Bytes of the file.
    pub bytes: usize,
    /// Instructions of an inference, counted on an emulated board.
    pub instructions: u64,
}

macro_rules! models {
    ($($name:literal),* $(,)?) => {
        /// Name, card and file of each.
        const MODELS: &[(&str, &str, &[u8])] = &[$((
            $name,
            include_str!(concat!("../pretrained/", $name, ".toml")),
            include_bytes!(concat!("../pretrained/", $name, ".hero")),
        )),*];
    };
}

models!("digits", "mnist16-1k", "mnist16-3k");

/// Their names.
pub fn names() -> impl Iterator<Item = &'static str> {
    MODELS.iter().map(|(name, ..)| *name)
}

/// The file of that name, `None` where there is none.
pub fn file(name: &str) -> Option<&'static [u8]> {
    MODELS.iter().find(|(known, ..)| *known == name).map(|(_, _, file)| *file)
}

/// All of them.
///
/// # Errors
/// A card is damaged.
pub fn all() -> Result<Vec<Pretrained>> {
    let read = |&(name, card, file): &(&str, &str, &'static [u8])| {
        let card = toml::from_str(card).map_err(|reason| {
            let place = format_args!("pretrained model '{name}'");
            Error::check_failed(place, reason, "install the program again")
        })?;
        Ok(Pretrained { card, file })
    };
    MODELS.iter().map(read).collect()
}

/// The one of that name.
///
/// # Errors
/// There is none, or its card is damaged.
pub fn find(name: &str) -> Result<Pretrained> {
    let found = all()?.into_iter().find(|model| model.card.name == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = names().collect();
        Error::bad_input(
            name,
            "no such model comes with the program",
            format_args!("use one of {}", names.join(", ")),
        )
    })
}

impl Pretrained {
    /// SHA-256 of the file, in hex.
    pub fn sha256(&self) -> String {
        to_hex(&Sha256::digest(self.file))
    }
}

impl Card {
    /// The card as a file.
    ///
    /// # Errors
    /// None that a card can cause.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self).map_err(|reason| {
            let place = format_args!("pretrained model '{}'", self.name);
            Error::check_failed(place, reason, "please report this model's card")
        })
    }

    /// Instructions on a core, where they are known.
    pub fn instructions(&self, core: Core) -> Option<u64> {
        self.cores.get(core.name()).map(|on_core| on_core.instructions)
    }
}
