//! Optimizers side by side: many small training runs, and what they say together.
//!
//! A [`Sweep`] says what is compared; it is a list of [`PlannedRun`]s, each decided by an optimizer's name, a label noise and a seed. A run's result is a file
//! in the run's folder, and every table and plot is made from those files alone. So a sweep that was killed goes on, may be spread over machines, and ends with
//! the same bytes.

mod collect;
mod execute;
mod measures;
mod metric;
mod plots;
mod report;
mod search;
mod sweep;

pub use collect::collect;
pub use execute::{Task, execute};
pub use measures::{BitResult, Measures, Part, RunResult, perform};
pub use metric::Metric;
pub use plots::save_plots;
pub use report::{Comparison, Difference, Row};
pub use search::{Found, Search, Trial};
pub use sweep::{AtNoise, Entry, PlannedRun, Sweep};

/// The sweep's settings in its folder.
pub const SWEEP_FILE: &str = "compare.toml";
/// The folder of the runs in a sweep's folder.
pub const RUNS_FOLDER: &str = "runs";
/// The folder of a search's runs.
pub const SEARCH_FOLDER: &str = "search";
/// The settings that a search found, a file for `--settings`.
pub const FOUND_FILE: &str = "searched.toml";

#[cfg(test)]
mod tests;
