//! `log.jsonl`, one line an epoch, and the plots made of it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::artifact;
use crate::error::{Error, Result};
use crate::report::plot::{Plot, Series};

/// What an epoch came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// 1 for the first.
    pub epoch: usize,
    /// Mean loss over the epoch's minibatches, before each step.
    pub loss: f64,
    /// Share of right labels after the epoch, in 0..1: on the validation split where there is one, else on (at most the first 2,000 of)
    /// the test split. For a regression R², for a reconstruction the negated mean squared error.
    pub accuracy: f64,
    /// Learning rate of the epoch.
    pub learning_rate: f64,
    /// Steps left out because loss or gradient was not finite.
    pub skipped: usize,
    /// Duration.
    pub seconds: f64,
}

/// Reads a log; an absent one is empty.
pub(super) fn read(path: &Path) -> Result<Vec<EpochRecord>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = artifact::read_text(path)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line).map_err(|reason| {
                Error::bad_input(
                    format_args!("{}:{}", path.display(), number + 1),
                    reason,
                    "delete this line",
                )
            })
        })
        .collect()
}

/// Writes the whole log.
pub(super) fn write(path: &Path, records: &[EpochRecord]) -> Result<()> {
    let mut text = String::new();
    for record in records {
        let line = serde_json::to_string(record)
            .map_err(|reason| Error::check_failed(path.display(), reason, "please report this"))?;
        text.push_str(&line);
        text.push('\n');
    }
    artifact::write_atomically(path, text.as_bytes())
}

/// Saves the plots of a log into a folder.
pub(super) fn plot(folder: &Path, title: &str, records: &[EpochRecord]) -> Result<()> {
    let curve = |file: &str, label: &str, value: fn(&EpochRecord) -> f64| {
        let points = records.iter().map(|record| (record.epoch as f64, value(record))).collect();
        Plot {
            title: title.to_string(),
            x_label: "epoch".to_string(),
            y_label: label.to_string(),
            series: vec![Series { name: label.to_string(), points }],
            markers: false,
        }
        .save(&folder.join(file))
    };
    curve("loss.svg", "training loss", |record| record.loss)?;
    curve("accuracy.svg", "accuracy", |record| record.accuracy)?;
    curve("learning_rate.svg", "learning rate", |record| record.learning_rate)
}
