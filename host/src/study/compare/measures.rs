//! One run of a sweep: trained, measured, written down.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::model::Model;

use super::PlannedRun;
use crate::artifact;
use crate::data::Split;
use crate::deployment::export::export;
use crate::deployment::integer::accuracy;
use crate::deployment::quantizer::{Quantization, Rounding, quantize, weight_only};
use crate::error::{Error, Result};
use crate::graph::trained_network::TrainedNetwork;
use crate::training::curvature::{Precision, Subset, lambda_max};
use crate::training::{DRAW_SEED, Outcome, Run, RunFolder, TrainingOptions};

const RESULT: &str = "result.json";

/// The samples that accuracies are measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The test split, for what is reported.
    Test,
    /// The validation split, for what is chosen.
    Validation,
}

/// What is measured of a trained network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Measures {
    /// Where accuracies are measured.
    pub part: Part,
    /// Bit widths.
    pub bits: Vec<u32>,
    /// Whether the deployed integer networks are measured.
    pub integer: bool,
    /// How their weights become integers. Results that do not say were rounded to the nearest.
    #[serde(default = "nearest", skip_serializing_if = "is_nearest")]
    pub rounding: Rounding,
    /// Training samples on which λmax is measured; 0 for not at all.
    pub curvature_samples: usize,
    /// Only the first so many samples of the part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

const fn nearest() -> Rounding {
    Rounding::Nearest
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields so")]
const fn is_nearest(rounding: &Rounding) -> bool {
    matches!(rounding, Rounding::Nearest)
}

/// What a run came to; the contents of its `result.json`. Accuracies are shares from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// The optimizer's name in the sweep.
    pub name: String,
    /// All settings of the run.
    pub options: TrainingOptions,
    /// What was measured.
    pub measures: Measures,
    /// Why the training was given up, if it was; then nothing else is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diverged: Option<String>,
    /// Accuracy of the float network.
    pub float: Option<f64>,
    /// Accuracies by bit width.
    pub bits: BTreeMap<u32, BitResult>,
    /// Largest eigenvalue of the Hessian of the training loss, with the labels that were trained on.
    pub lambda_max: Option<f64>,
}

/// Accuracies at one bit width.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BitResult {
    /// With rounded weights, one scale per tensor.
    pub per_tensor: f64,
    /// With rounded weights, one scale per output channel.
    pub per_channel: f64,
    /// Of the integer network as deployed.
    pub integer: Option<f64>,
}

impl RunResult {
    /// Reads the result in a run's folder; `None` if there is none yet.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(RESULT);
        if !path.exists() {
            return Ok(None);
        }
        serde_json::from_str(&artifact::read_text(&path)?).map(Some).map_err(|reason| {
            Error::bad_input(path.display(), reason, "delete this file; the run is measured again")
        })
    }

    /// Writes the result into a run's folder.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(RESULT);
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|reason| Error::check_failed(path.display(), reason, "please report this"))?;
        text.push('\n');
        artifact::write_atomically(&path, text.as_bytes())
    }

    /// Whether this is the result of a planned run, measured as asked.
    pub fn answers(&self, planned: &PlannedRun, measures: &Measures) -> bool {
        self.name == planned.name && self.options == planned.options && self.measures == *measures
    }
}

/// Trains and measures a run in `folder`, from wherever it stands; does nothing if its result is there.
///
/// # Errors
/// The folder holds a run with other settings, or something cannot be read or written. A training that diverges is a result, not an error.
pub fn perform(
    folder: &Path,
    planned: &PlannedRun,
    measures: &Measures,
    interrupted: &AtomicBool,
) -> Result<Outcome> {
    if RunResult::read(folder)?.is_some_and(|result| result.answers(planned, measures)) {
        return Ok(Outcome::Finished);
    }
    let run = open(folder, &planned.options)?;
    let mut result = RunResult {
        name: planned.name.clone(),
        options: planned.options.clone(),
        measures: measures.clone(),
        diverged: None,
        float: None,
        bits: BTreeMap::new(),
        lambda_max: None,
    };
    // Also where all epochs are done: the plots that follow the last one may be missing.
    match run.train(interrupted, &mut ()) {
        Ok(Outcome::Finished) => {}
        Ok(Outcome::Interrupted) => return Ok(Outcome::Interrupted),
        // The loss stayed not finite.
        Err(Error::CheckFailed { problem, .. }) if !run.folder().is_finished()? => {
            result.diverged = Some(problem);
        }
        Err(other) => return Err(other),
    }
    if result.diverged.is_none() {
        measure(&run, measures, &mut result)?;
    }
    result.write(folder)?;
    Ok(Outcome::Finished)
}

/// Goes on with the run in `folder`, or begins it.
fn open(folder: &Path, options: &TrainingOptions) -> Result<Run> {
    if !RunFolder::exists(folder) {
        return Run::create(folder, options.clone());
    }
    let run = Run::resume(folder)?;
    if run.options() != options {
        return Err(Error::bad_input(
            folder.display(),
            "holds a run with other settings",
            "give another --out, or delete this folder",
        ));
    }
    Ok(run)
}

fn measure(run: &Run, measures: &Measures, result: &mut RunResult) -> Result<()> {
    let trained = run.folder().trained()?;
    let split = match measures.part {
        Part::Test => &run.dataset().test,
        Part::Validation => &run.dataset().validation,
    };
    if split.is_empty() {
        let advice = "use data that has one, such as digits-1797";
        return Err(Error::bad_input(&run.options().data, "has no validation split", advice));
    }
    let split = split.drawn(measures.limit.unwrap_or(usize::MAX), DRAW_SEED);
    result.float = Some(run.float_accuracy(&trained, &split)?);
    let calibration = run.folder().calibration()?;
    for &bits in &measures.bits {
        let Some(width) = BitWidth::from_bits(bits) else { continue };
        let rounded = |per_tensor: bool| {
            run.float_accuracy(&weight_only(&trained, width, per_tensor), &split)
        };
        let integer = measures
            .integer
            .then(|| integer_accuracy(&trained, &calibration, &split, width, measures.rounding))
            .transpose()?;
        let found = BitResult { per_tensor: rounded(true)?, per_channel: rounded(false)?, integer };
        result.bits.insert(bits, found);
    }
    if measures.curvature_samples > 0 {
        let samples = run.training_samples().limited(measures.curvature_samples);
        let mut loss = Subset::new(&trained, &samples)?;
        result.lambda_max = Some(lambda_max(&mut loss, &Precision::default())?.value);
    }
    Ok(())
}

/// Accuracy of the network as it would be deployed, one weight scale per output channel.
fn integer_accuracy(
    trained: &TrainedNetwork,
    calibration: &Split,
    split: &Split,
    width: BitWidth,
    rounding: Rounding,
) -> Result<f64> {
    let quantization = Quantization::new(width).rounded(rounding);
    let quantized = quantize(trained, &calibration.samples, &quantization)?;
    let file = export(&quantized)?.bytes;
    let model = Model::load(&file)
        .map_err(|reason| Error::check_failed("model", reason, "please report this"))?;
    Ok(accuracy(&model, &split.samples, &split.labels)?.accuracy)
}
