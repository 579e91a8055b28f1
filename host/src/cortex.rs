//! The Cortex-M cores, by name and by what they say of themselves.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use crate::error::{Error, Result};

/// A core that boards have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Core {
    /// Cortex-M0.
    M0,
    /// Cortex-M3.
    M3,
    /// Cortex-M4.
    M4,
    /// Cortex-M7.
    M7,
    /// Cortex-M33.
    M33,
    /// Cortex-M55.
    M55,
}

impl Core {
    /// What the core says in the part number field of its CPUID register (Arm, the cores' technical reference manuals); an M0+ counts as
    /// an M0, whose code it runs.
    pub const fn part_numbers(self) -> &'static [u32] {
        match self {
            Core::M0 => &[0xC20, 0xC60],
            Core::M3 => &[0xC23],
            Core::M4 => &[0xC24],
            Core::M7 => &[0xC27],
            Core::M33 => &[0xD21],
            Core::M55 => &[0xD22],
        }
    }

    /// Every core, smallest first.
    pub const ALL: [Core; 6] = [Core::M0, Core::M3, Core::M4, Core::M7, Core::M33, Core::M55];

    /// The name used on the command line and in board files.
    pub const fn name(self) -> &'static str {
        match self {
            Core::M0 => "m0",
            Core::M3 => "m3",
            Core::M4 => "m4",
            Core::M7 => "m7",
            Core::M33 => "m33",
            Core::M55 => "m55",
        }
    }
}

impl fmt::Display for Core {
    /// Arm's name, such as `Cortex-M33`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Cortex-{}", self.name().to_uppercase())
    }
}

impl FromStr for Core {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Core::ALL
            .into_iter()
            .find(|core| core.name() == name)
            .ok_or_else(|| Error::bad_input(name, "no such core", "use m0, m3, m4, m7, m33 or m55"))
    }
}
