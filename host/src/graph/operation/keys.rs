//! The keys of one layer in a network file.

use serde::de::DeserializeOwned;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use toml::Value;

use crate::data::SampleShape;

/// Why a layer of a network file is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The line of the key at fault, where one is.
    pub line: Option<usize>,
    /// What is wrong.
    pub problem: String,
}

impl From<String> for Refusal {
    fn from(problem: String) -> Self {
        Self { line: None, problem }
    }
}

impl From<&str> for Refusal {
    fn from(problem: &str) -> Self {
        problem.to_string().into()
    }
}

#[derive(Clone, Debug)]
struct Entry {
    key: String,
    line: usize,
    value: Value,
}

/// The keys of one layer: those that a file gives, each with its line, or those that are to be written, in order.
#[derive(Clone, Debug)]
pub struct Keys {
    entries: Vec<Entry>,
    /// Every key that was asked for.
    asked: Vec<&'static str>,
    /// Shape of the samples that the network reads.
    pub sample: SampleShape,
    /// Number of classes or values that it is to give.
    pub classes: usize,
}

impl Keys {
    /// No key, in a network for such samples and classes.
    pub const fn new(sample: SampleShape, classes: usize) -> Self {
        Self { entries: Vec::new(), asked: Vec::new(), sample, classes }
    }

    /// Adds a key of a file, which stands in that line.
    pub fn add(&mut self, key: String, line: usize, value: Value) {
        self.entries.push(Entry { key, line, value });
    }

    /// Adds a key that is to be written. Numbers that TOML cannot hold are left out; there are none.
    pub fn set(&mut self, key: &str, value: impl Serialize) {
        if let Ok(value) = Value::try_from(value) {
            self.add(key.to_string(), 0, value);
        }
    }

    /// Takes the value of a key; `None` if the file does not give it.
    ///
    /// # Errors
    /// It is of another type.
    pub fn take<T: DeserializeOwned>(&mut self, key: &'static str) -> Result<Option<T>, Refusal> {
        self.asked.push(key);
        let Some(place) = self.entries.iter().position(|entry| entry.key == key) else {
            return Ok(None);
        };
        let Entry { line, value, .. } = self.entries.remove(place);
        value.clone().try_into().map(Some).map_err(|error: toml::de::Error| Refusal {
            line: Some(line),
            problem: format!("has the wrong '{key} = {value}': {}", error.message()),
        })
    }

    /// Takes the value of a key that has to be given.
    ///
    /// # Errors
    /// It is missing, or of another type.
    pub fn required<T: DeserializeOwned>(&mut self, key: &'static str) -> Result<T, Refusal> {
        self.take(key)?.ok_or_else(|| format!("lacks '{key}'").into())
    }

    /// Takes the value of a key, or what it is where the file does not give it.
    ///
    /// # Errors
    /// It is of another type.
    pub fn or<T: DeserializeOwned>(&mut self, key: &'static str, default: T) -> Result<T, Refusal> {
        Ok(self.take(key)?.unwrap_or(default))
    }

    /// Refuses keys that were not taken, as an operation of that name does not use them.
    ///
    /// # Errors
    /// There is one.
    pub fn finish(&self, name: &str) -> Result<(), Refusal> {
        let Some(entry) = self.entries.first() else { return Ok(()) };
        Err(Refusal {
            line: Some(entry.line),
            problem: format!(
                "has the key '{}', which {name} does not use; it has {}",
                entry.key,
                self.asked.join(", ")
            ),
        })
    }
}

impl Serialize for Keys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.entries.len()))?;
        for entry in &self.entries {
            map.serialize_entry(&entry.key, &entry.value)?;
        }
        map.end()
    }
}
