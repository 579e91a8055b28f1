//! What the integers of a table's columns mean.

use serde::{Deserialize, Serialize};

use super::{DataOptions, SampleShape, SampleType};
use crate::task::Task;

/// One column of a table: `value = offset + step * raw`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Column {
    /// Its name in the header; none where the file has no header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The unit that the header gives in brackets after the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Value at raw 0, in that unit.
    pub offset: f64,
    /// Value of one raw step, positive.
    pub step: f64,
    /// The value that stands for one that is missing, where training data lacked some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill: Option<f64>,
}

impl Column {
    /// A column whose raw values are the values themselves, named by a field of a header.
    pub fn named(field: Option<&str>) -> Self {
        let field = field.map(str::trim).filter(|field| !field.is_empty());
        let (name, unit) = match field.map(split_unit) {
            Some((name, unit)) => (Some(name.to_string()), unit.map(String::from)),
            None => (None, None),
        };
        Self { name, unit, offset: 0.0, step: 1.0, fill: None }
    }

    /// Whether raw values are the values themselves.
    pub fn is_identity(&self) -> bool {
        self.offset == 0.0 && self.step == 1.0
    }
}

/// The name and the unit of `acc_x (m/s^2)` or `acc_x [m/s^2]`.
pub(super) fn split_unit(field: &str) -> (&str, Option<&str>) {
    for (open, close) in [('(', ')'), ('[', ']')] {
        let inside = field.strip_suffix(close).and_then(|start| start.rsplit_once(open));
        if let Some((name, unit)) = inside
            && !name.trim().is_empty()
            && !unit.trim().is_empty()
        {
            return (name.trim(), Some(unit.trim()));
        }
    }
    (field, None)
}

/// What samples have to be like for a network that exists. Data read by it is converted as the network's training data was:
/// nothing is measured anew.
#[derive(Clone, Debug, PartialEq)]
pub struct Convention {
    /// Shape of a sample.
    pub shape: SampleShape,
    /// Type of its raw values.
    pub sample_type: SampleType,
    /// One per value of a sample, in height, width, channel order, or one per channel; empty where raw values are all there is.
    pub columns: Vec<Column>,
    /// Name of each class; none where the network does not classify.
    pub class_names: Vec<String>,
    /// What the network is trained for.
    pub task: Task,
    /// What was said of the training data, and what was guessed.
    pub options: DataOptions,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_gives_name_and_unit() {
        let parts = |field| {
            let column = Column::named(Some(field));
            (column.name.unwrap_or_default(), column.unit.unwrap_or_default())
        };
        let expect = |name: &str, unit: &str| (name.to_string(), unit.to_string());
        assert_eq!(parts("acc_x (m/s^2)"), expect("acc_x", "m/s^2"));
        assert_eq!(parts("temperature[K]"), expect("temperature", "K"));
        assert_eq!(parts(" plain "), expect("plain", ""));
        assert_eq!(parts("(only)"), expect("(only)", ""));
        assert_eq!(Column::named(Some("")).name, None);
    }
}
