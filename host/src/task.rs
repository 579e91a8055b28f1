//! What a network is trained for.

use serde::{Deserialize, Serialize};

/// What a network's output is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum Task {
    /// With the sample's class: one score a class, trained with cross-entropy
    #[default]
    #[serde(rename = "classify")]
    Classification,
    /// With values that come with the sample, trained with mean squared error
    #[serde(rename = "regress")]
    Regression,
    /// With the sample itself, trained with mean squared error
    #[serde(rename = "reconstruct")]
    Reconstruction,
}

impl Task {
    /// Its name in network files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classification => "classify",
            Self::Regression => "regress",
            Self::Reconstruction => "reconstruct",
        }
    }

    /// Its name on the command line.
    pub const fn option(self) -> &'static str {
        match self {
            Self::Classification => "classification",
            Self::Regression => "regression",
            Self::Reconstruction => "reconstruction",
        }
    }

    /// Whether this is what a file leaves out.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
