//! Bit widths on the command line: one for all layers, others for some.

use std::path::{Path, PathBuf};

use tinyhero_common::bit_width::BitWidth;

use crate::deployment::precision::{self, Widths};
use crate::error::{Error, Result};

/// `4` or `LAYER=8`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bits {
    /// For all layers.
    All(BitWidth),
    /// For the layer of that name.
    Layer(String, BitWidth),
}

/// Reads one, for clap.
pub fn bits(text: &str) -> std::result::Result<Bits, String> {
    match text.rsplit_once('=') {
        None => super::bit_width(text).map(Bits::All),
        Some((layer, bits)) => Ok(Bits::Layer(layer.to_string(), super::bit_width(bits)?)),
    }
}

/// Options that give bit widths.
#[derive(Debug, clap::Args)]
pub struct Precision {
    /// Bits of every weight, 2 to 8; LAYER=BITS for the layer of that name; may be repeated
    #[arg(long, value_parser = bits, value_name = "BITS")]
    bits: Vec<Bits>,
    /// A file with a line `LAYER = BITS` for every layer that has bits of its own
    #[arg(long, value_name = "FILE")]
    precision: Option<PathBuf>,
}

impl Precision {
    /// Whether any width is given.
    pub fn is_given(&self) -> bool {
        !self.bits.is_empty() || self.precision.is_some()
    }

    /// The width of all layers, if one is given, and those of layers that have others. What stands
    /// on the command line goes before the file.
    ///
    /// # Errors
    /// The file cannot be read, or two widths are given for the same.
    pub fn widths(&self) -> Result<(Option<BitWidth>, Widths)> {
        let mut all = None;
        let mut widths = Widths::new();
        let twice = |what: &str| {
            Error::bad_input("--bits", format_args!("gives {what} two widths"), "give it one")
        };
        for bits in &self.bits {
            match bits {
                Bits::All(width) if all.replace(*width).is_some() => {
                    return Err(twice("all layers"));
                }
                Bits::Layer(layer, width) if widths.insert(layer.clone(), *width).is_some() => {
                    return Err(twice(&format!("layer '{layer}'")));
                }
                Bits::All(_) | Bits::Layer(..) => {}
            }
        }
        let file = self.precision.as_deref().map(|path: &Path| precision::read(path));
        for (layer, width) in file.transpose()?.unwrap_or_default() {
            widths.entry(layer).or_insert(width);
        }
        Ok((all, widths))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_for_all_or_for_a_layer() {
        assert_eq!(bits("4"), Ok(Bits::All(BitWidth::Four)));
        assert_eq!(bits("stem=8"), Ok(Bits::Layer("stem".to_string(), BitWidth::Eight)));
        assert_eq!(bits("a=b=2"), Ok(Bits::Layer("a=b".to_string(), BitWidth::Two)));
        for wrong in ["", "1", "9", "stem=", "stem=x", "four"] {
            assert!(bits(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_second_width_for_the_same_is_refused() {
        for (given, word) in [(vec!["4", "3"], "all layers"), (vec!["a=4", "a=4"], "'a'")] {
            let bits = given.into_iter().map(|text| bits(text).unwrap()).collect();
            let error = Precision { bits, precision: None }.widths().unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
