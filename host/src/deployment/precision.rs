//! How many bits the weights of each layer have.

use std::collections::BTreeMap;
use std::path::Path;

use tinyhero_common::bit_width::BitWidth;

use crate::artifact;
use crate::error::{Error, Result};

pub use crate::lowering::quantization::Widths;

/// Reads a precision file: TOML with a line `LAYER = BITS` for every layer that it is about.
///
/// # Errors
/// The file cannot be read, or a line is not of this kind.
pub fn read(path: &Path) -> Result<Widths> {
    let refuse = |reason: &dyn std::fmt::Display| {
        Error::bad_input(path.display(), reason, "write a line `LAYER = BITS` for each layer")
    };
    let text = artifact::read_toml(path)?;
    let table: BTreeMap<String, toml::Value> =
        toml::from_str(&text).map_err(|reason| refuse(&reason))?;
    let width = |(layer, value): (String, toml::Value)| {
        let bits = value.as_integer().and_then(|bits| u32::try_from(bits).ok());
        match bits.and_then(BitWidth::from_bits) {
            Some(width) => Ok((layer, width)),
            None => Err(refuse(&format_args!("layer '{layer}': {value} is not from 2 to 8"))),
        }
    };
    table.into_iter().map(width).collect()
}

/// The text of a precision file.
pub fn to_toml(widths: &Widths) -> String {
    let line = |(layer, width): (&String, &BitWidth)| {
        format!("{} = {}\n", toml::Value::String(layer.clone()), width.bits())
    };
    widths.iter().map(line).collect()
}

/// Refuses names that none of the layers with weights has.
///
/// # Errors
/// Names it, and those that there are.
pub fn check<'a>(widths: &Widths, layers: impl Iterator<Item = &'a str>) -> Result<()> {
    let layers: Vec<&str> = layers.collect();
    match widths.keys().find(|name| !layers.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(Error::bad_input(
            format_args!("layer '{name}'"),
            "is not a layer with weights of this network",
            format_args!("use one of {}", layers.join(", ")),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_back_and_wrong_lines_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("precision.toml");
        let widths = Widths::from([
            ("stem".to_string(), BitWidth::Eight),
            ("a \"name\" = 3".to_string(), BitWidth::Two),
        ]);
        std::fs::write(&path, to_toml(&widths)).unwrap();
        assert_eq!(read(&path).unwrap(), widths);
        for (text, word) in [
            ("stem = 1", "'stem': 1 is not"),
            ("stem = 9", "'stem': 9"),
            ("stem = \"4\"", "'stem'"),
            ("stem = -4", "-4"),
            ("stem", "precision.toml"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn an_unknown_layer_is_refused_with_those_that_there_are() {
        let widths = Widths::from([("stem".to_string(), BitWidth::Eight)]);
        check(&widths, ["stem", "output"].into_iter()).unwrap();
        let error = check(&widths, ["first", "output"].into_iter()).unwrap_err().to_string();
        assert!(error.contains("'stem'") && error.contains("first, output"), "{error}");
    }
}
