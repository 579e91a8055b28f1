//! The proof: the same raw inputs on a board and on the host, every output and every layer
//! compared.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use tinyhero_common::layout::PackedWeights;
use tinyhero_common::model::{CHECKSUM_PLACE, Header, Model, Task};

use crate::data::Split;
use crate::deployment::integer::{self, Evaluation};
use crate::device::board::Board;
use crate::device::client::{Client, InferenceResult};
use crate::device::link::Link;
use crate::device::qemu::{Emulator, Start};
use crate::error::{Error, Result};

/// Longest time that a board may take for one inference.
pub const INFERENCE_LIMIT: Duration = Duration::from_secs(120);
/// Weight bits that [`plant_wrong_bit`] tries before it gives up.
const PLANTING_ATTEMPTS: usize = 64;

/// What came of a model on one board.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BoardReport {
    /// The board's folder name.
    pub board: String,
    /// Inputs that were run.
    pub samples: usize,
    /// Inputs of which every output byte and the label are the host's.
    pub identical: usize,
    /// Whether every layer of every input has the host's digest.
    pub layers_identical: bool,
    /// The board's share of right labels; not a number, in JSON null, for a model that does not classify.
    pub accuracy: f64,
    /// The host's share of right labels.
    pub host_accuracy: f64,
    /// The board's output of each sample, which other figures than the accuracy are made of.
    #[serde(skip)]
    pub outputs: Vec<Vec<i8>>,
    /// What the next number counts: `instructions` for emulated boards, `cycles` for real ones.
    pub unit: &'static str,
    /// Instructions or cycles of one inference, on average; input quantization included.
    pub instructions_per_inference: u64,
    /// Where the first input that differs does so.
    pub first_difference: Option<Difference>,
}

/// The first difference between board and host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Number of the input, from 0.
    pub sample: usize,
    /// The first layer whose digest differs.
    pub layer: Option<String>,
    /// The board's label and output.
    pub board_label: u16,
    /// The host's label.
    pub host_label: u16,
}

/// What a board's clock counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// An emulated board's clock, which instructions advance.
    Instructions,
    /// A real board's clock, which is that of its core.
    Cycles,
}

impl Counts {
    /// The name in reports.
    pub const fn unit(self) -> &'static str {
        match self {
            Counts::Instructions => "instructions",
            Counts::Cycles => "cycles",
        }
    }

    /// What `ticks` of `board`'s clock are.
    pub fn of(self, board: &Board, ticks: u64) -> u64 {
        match self {
            Counts::Instructions => Emulator::instructions(board, ticks),
            Counts::Cycles => ticks,
        }
    }
}

impl BoardReport {
    /// Whether board and host agree on everything.
    pub const fn agrees(&self) -> bool {
        self.identical == self.samples && self.layers_identical
    }
}

/// Runs `test` on an emulated board that holds `board_file`, and compares with what the host made
/// of `model`.
///
/// The two are the same model but for the negative control. `progress` is given the number of
/// inputs done so far.
///
/// # Errors
/// The board refuses the model, or is lost.
pub fn verify_board(
    board: &Board,
    image: &Path,
    board_file: &[u8],
    model: &Model<'_>,
    test: &Split,
    host: &Evaluation,
    progress: &mut dyn FnMut(usize),
) -> Result<BoardReport> {
    let mut client = start(board, image, board_file)?;
    compare(&mut client, board, Counts::Instructions, model, test, host, progress)
}

/// Runs `test` on a board that holds `model`, however it is reached, and compares. See
/// [`verify_board`].
///
/// # Errors
/// The board is lost.
pub fn compare<L: Link>(
    client: &mut Client<L>,
    board: &Board,
    counts: Counts,
    model: &Model<'_>,
    test: &Split,
    host: &Evaluation,
    progress: &mut dyn FnMut(usize),
) -> Result<BoardReport> {
    let raw = integer::SampleParts::of(model).raw_bytes(&test.samples);
    let output_bytes = model.output().shape.elements();
    let batch = client.run(&raw, model.raw_input_bytes(), output_bytes, progress)?;
    if batch.results.len() != host.outcomes.len() {
        return Err(Error::check_failed(
            &board.name,
            format_args!("{} results for {} inputs", batch.results.len(), host.outcomes.len()),
            "try again; if it stays so, please report it",
        ));
    }
    let pairs = || batch.results.iter().zip(&host.outcomes);
    let same_output = |(result, outcome): &(&InferenceResult, &integer::Outcome)| {
        result.output == outcome.scores && result.label == outcome.label
    };
    let identical = pairs().filter(same_output).count();
    let first = pairs().position(|pair| !same_output(&pair) || pair.0.digest != pair.1.digest);
    let first_difference = match first {
        None => None,
        Some(sample) => {
            let input =
                &raw[sample * model.raw_input_bytes()..(sample + 1) * model.raw_input_bytes()];
            let expected = integer::layer_digests(model, input)?;
            let found = client.layers(input)?.layers;
            let layer = expected
                .iter()
                .zip(&found)
                .position(|(expected, found)| *expected != found.digest)
                .and_then(|index| model.layers().nth(index))
                .map(|layer| layer.name.to_string());
            Some(Difference {
                sample,
                layer,
                board_label: batch.results[sample].label,
                host_label: host.outcomes[sample].label,
            })
        }
    };
    let right =
        batch.results.iter().zip(&test.labels).filter(|(result, label)| result.label == **label);
    let samples = host.outcomes.len();
    // Only classes are right or wrong.
    let classifies = matches!(model.description().task, Task::Classification { .. });
    let share = |share: f64| if classifies { share } else { f64::NAN };
    Ok(BoardReport {
        board: board.name.clone(),
        samples,
        identical,
        layers_identical: pairs().all(|(result, outcome)| result.digest == outcome.digest),
        accuracy: share(right.count() as f64 / samples.max(1) as f64),
        host_accuracy: share(host.accuracy),
        outputs: batch.results.iter().map(|result| result.output.clone()).collect(),
        unit: counts.unit(),
        instructions_per_inference: counts.of(board, batch.count) / samples.max(1) as u64,
        first_difference,
    })
}

/// Starts an emulated board with a model and makes sure that it has taken it.
///
/// # Errors
/// The board refuses the model (it says why), or does not start.
pub fn start(board: &Board, image: &Path, file: &[u8]) -> Result<Client<Emulator>> {
    let start = Start { model: Some(file), count_instructions: true };
    let client = Client::connect(Emulator::start(board, image, &start)?, INFERENCE_LIMIT)?;
    let expected = Model::load(file).map(|model| model.digest()).ok();
    match client.information().model {
        Ok(digest) if Some(digest) == expected => Ok(client),
        Ok(digest) => Err(Error::check_failed(
            &board.name,
            format_args!("the board has found another model, {digest:08x}"),
            "try again; if it stays so, please report it",
        )),
        Err(refusal) => Err(client.refused(refusal)),
    }
}

/// The same model with one bit of one weight flipped and the checksum repaired, such that at least
/// one of the inputs gives another result: what the negative control puts on the board.
///
/// # Errors
/// No bit that was tried changes anything on these inputs.
pub fn plant_wrong_bit(
    file: &[u8],
    model: &Model<'_>,
    test: &Split,
    host: &Evaluation,
) -> Result<Vec<u8>> {
    let parameters_offset = file.len() - model.parameters().len();
    let mut candidates = Vec::new();
    for layer in model.layers() {
        if let Some(weights) = layer.weights() {
            let rows = layer.rows();
            let (bit_width, layout) = (weights.bit_width, weights.layout);
            let middle = PackedWeights::bytes_for(bit_width, layout, rows, layer.row_length()) / 2;
            candidates.push(parameters_offset + weights.offset as usize + middle);
        }
    }
    // The last layers first: their inputs are rarely always zero.
    let attempts =
        candidates.iter().rev().flat_map(|&place| (0..8).map(move |bit| (place, 7 - bit)));
    for (place, bit) in attempts.take(PLANTING_ATTEMPTS) {
        let mut altered = file.to_vec();
        altered[place] ^= 1 << bit;
        let Some(checksum) = Header::checksum_of(&altered) else { continue };
        altered[CHECKSUM_PLACE].copy_from_slice(&checksum.to_le_bytes());
        let Ok(altered_model) = Model::load(&altered) else { continue };
        let evaluation = integer::evaluate(&altered_model, &test.samples, &test.labels)?;
        if evaluation.outcomes != host.outcomes {
            return Ok(altered);
        }
    }
    Err(Error::check_failed(
        "negative control",
        "no weight bit that was tried changes a result on these inputs",
        "give more inputs",
    ))
}
