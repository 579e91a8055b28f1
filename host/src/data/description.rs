//! A description of data in a file that a person reads and corrects: where it is and what its columns are.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

use super::options::DataOptions;
use super::{Dataset, located};
use crate::artifact;
use crate::error::{Error, Result};

/// What a description holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Description {
    /// The data; a relative path begins at the description's folder. It may end with a shape.
    pub path: String,
    /// What the data is said to be: any option of the command line.
    #[serde(default)]
    pub options: DataOptions,
    /// What was doubtful or guessed when this was written; nobody reads it again.
    #[serde(default)]
    pub doubts: Vec<String>,
    /// What was seen: for the reader, too.
    #[serde(default)]
    pub seen: Option<Seen>,
}

/// What was seen of data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Seen {
    /// Format of the files.
    pub format: String,
    /// Height, width and channels of a sample.
    pub shape: [usize; 3],
    /// Training and test samples.
    pub samples: [usize; 2],
    /// How they were split.
    pub split: String,
    /// Rows a second, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Each class with its training and test samples.
    #[serde(default, rename = "class")]
    pub classes: Vec<SeenClass>,
    /// Each column that is a feature.
    #[serde(default, rename = "column")]
    pub columns: Vec<SeenColumn>,
}

/// A class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SeenClass {
    /// Its name.
    pub name: String,
    /// Training and test samples.
    pub samples: [usize; 2],
}

/// A column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SeenColumn {
    /// Its name, or its number from 1.
    pub name: String,
    /// Its unit, if the header gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Least and largest value among the training samples.
    pub range: [f64; 2],
}

/// Whether a path is a description's.
pub fn is_one(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml") && path.is_file()
}

impl Description {
    /// Describes data that was opened, with what was told about it.
    pub fn of(dataset: &Dataset, doubts: Vec<String>) -> Self {
        let counts = |class: usize| {
            let of = |labels: &[u16]| {
                labels.iter().filter(|&&label| usize::from(label) == class).count()
            };
            [of(&dataset.train.labels), of(&dataset.test.labels)]
        };
        let named = dataset.class_names.iter().enumerate();
        let count = dataset.columns.len().max(1);
        let column = |(place, column): (usize, &super::Column)| {
            let raw = dataset.train.samples.iter().skip(place).step_by(count);
            let (low, high) =
                raw.fold((i16::MAX, i16::MIN), |(low, high), &raw| (low.min(raw), high.max(raw)));
            let value = |raw: i16| column.offset + column.step * f64::from(raw);
            SeenColumn {
                name: column.name.clone().unwrap_or_else(|| (place + 1).to_string()),
                unit: column.unit.clone(),
                range: [value(low), value(high)],
            }
        };
        Self {
            path: located(&dataset.name),
            options: dataset.options.clone(),
            doubts,
            seen: Some(Seen {
                format: dataset.format.to_string(),
                shape: dataset.shape.into(),
                samples: [dataset.train.len(), dataset.test.len()],
                split: dataset.split_rule.name().to_string(),
                rate: dataset.rate,
                classes: named
                    .map(|(class, name)| SeenClass { name: name.clone(), samples: counts(class) })
                    .collect(),
                columns: dataset.columns.iter().enumerate().map(column).collect(),
            }),
        }
    }

    /// The text of the file.
    ///
    /// # Errors
    /// None that these types can cause.
    pub fn to_toml(&self) -> Result<String> {
        let text = toml::to_string(self)
            .map_err(|reason| Error::check_failed("description", reason, "please report this"))?;
        Ok(format!(
            "# What data is. Correct `path` and `options` (each has the name of an option of the command line) and give this file\n\
             # as --data. `doubts` and `seen` say what was found; they change nothing.\n{text}"
        ))
    }

    /// Reads the file at `path`; the data's path comes back as it holds from here.
    ///
    /// # Errors
    /// It is not a description.
    pub fn read(path: &Path) -> Result<Self> {
        let text = artifact::read_toml(path)?;
        let mut found: Self = toml::from_str(&text).map_err(|reason| {
            let advice = "give a description that `tinyhero data describe` has written";
            Error::bad_input(path.display(), reason, advice)
        })?;
        if !Dataset::bundled().contains(&found.path.as_str()) {
            let folder = path.parent().map(PathBuf::from).unwrap_or_default();
            found.path = folder.join(&found.path).display().to_string();
        }
        Ok(found)
    }
}
