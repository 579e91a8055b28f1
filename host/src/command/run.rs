//! `run`: one inference on a board.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tinyhero_common::model::{self, Model};
use tinyhero_common::tensor::SampleType;

use super::model_file;
use super::output::Output;
use super::samples;
use super::session;
use crate::artifact;
use crate::data::{DataOptions, sample_of_text};
use crate::deployment::integer::{raw_bytes, run_all};
use crate::deployment::integer_network::decode_scale;
use crate::deployment::meaning::{convention, notes_in, task_of};
use crate::deployment::reconstruction::reconstruct;
use crate::device::board::Board;
use crate::device::client::BatchResult;
use crate::device::verify;
use crate::error::{Error, Result};
use crate::report::table::Table;
use crate::task::Task;

/// Run one inference on a board and show scores and label
///
/// Example: tinyhero run tinyhero-demo/hero-4.hero --on mps2-an386 --input digits:7
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The model file
    model: PathBuf,
    /// The board; see `tinyhero boards`
    #[arg(long, value_name = "BOARD")]
    on: String,
    /// A PNG of the model's size, a row of the user's data as text (a window's rows; header and label may be left out), a file of raw
    /// samples as the board reads them, or DATA:INDEX for a test sample
    #[arg(long)]
    input: String,
    #[cfg(feature = "probe")]
    #[command(flatten)]
    probe: super::flash::ProbeOptions,
    #[command(flatten)]
    data_options: DataOptions,
    #[command(flatten)]
    output: Output,
}

/// Most output values that are printed.
const MOST_SHOWN: usize = 32;

/// Names of the values that a model predicts, with their units.
fn output_names(model: &Model<'_>) -> Vec<String> {
    let model::Task::Regression { names, units } = model.description().task else {
        return Vec::new();
    };
    let (names, units) = (names.to_string(), units.to_string());
    let units = units.split('\n').map(String::from).chain(std::iter::repeat(String::new()));
    let named = names.split('\n').zip(units);
    named
        .map(
            |(name, unit)| {
                if unit.is_empty() { name.to_string() } else { format!("{name} ({unit})") }
            },
        )
        .collect()
}

/// Most bytes of a picture, packed and unpacked.
const MOST_PNG_BYTES: u64 = 1 << 26;

#[derive(Debug, Serialize)]
struct Report {
    board: String,
    label: u16,
    label_name: Option<String>,
    expected_label: Option<u16>,
    scores: Vec<f64>,
    identical_to_host: bool,
}

pub fn run(options: &Options) -> Result<()> {
    let output = &options.output;
    let file = model_file::read(&options.model)?;
    let model = model_file::load(&options.model, &file)?;
    let (sample, expected_label) = read_input(options, &model, output)?;
    let host = run_all(&model, &sample)?;
    let raw = raw_bytes(model.input().quantization.sample_type, &sample);
    let tensor = model.output();
    let (board, batch) = infer(options, &file, &raw, tensor.shape.elements())?;
    let (Some(result), Some(host)) = (batch.results.first(), host.first()) else {
        return Err(Error::check_failed(&board.name, "gave no result", "please report this"));
    };
    let scale = decode_scale(tensor.scale);
    let real = |score: &i8| scale * f64::from(i32::from(*score) - i32::from(tensor.zero_point));
    let labels: Vec<String> = model.labels().map(|label| label.to_string()).collect();
    let report = Report {
        board: board.name.clone(),
        label: result.label,
        label_name: labels.get(usize::from(result.label)).cloned(),
        expected_label,
        scores: result.output.iter().map(real).collect(),
        identical_to_host: result.output == host.scores && result.digest == host.digest,
    };
    let task = task_of(&model);
    if let Some(found) = reconstruct(&model, &sample)? {
        let error = found.errors.first().copied().unwrap_or(0);
        let real = |steps: u32| f64::from(steps) * found.unit;
        let verdict = match found.threshold {
            Some(threshold) if error > threshold => {
                format!(", above the threshold {:.5}: unusual", real(threshold))
            }
            Some(threshold) => format!(", not above the threshold {:.5}: usual", real(threshold)),
            None => String::new(),
        };
        output.line(format_args!("reconstruction error {:.5}{verdict}", real(error)));
    }
    if task != Task::Classification || labels.is_empty() {
        let mut table = Table::new(["output", "value"]);
        let names = output_names(&model);
        for (place, score) in report.scores.iter().enumerate().take(MOST_SHOWN) {
            let name = names.get(place).cloned().unwrap_or_else(|| (place + 1).to_string());
            table.row([name, format!("{score:.5}")]);
        }
        output.table(&table);
        if report.scores.len() > MOST_SHOWN {
            output.line(format_args!("{} output values in all", report.scores.len()));
        }
    } else {
        let mut table = Table::new(["class", "score"]);
        for (label, score) in labels.iter().zip(&report.scores) {
            table.row([label.clone(), format!("{score:.4}")]);
        }
        output.table(&table);
        output.line(format_args!(
            "label: {}{}",
            report.label_name.as_deref().unwrap_or("?"),
            match expected_label.and_then(|label| labels.get(usize::from(label))) {
                Some(expected) => format!(" (the data says {expected})"),
                None => String::new(),
            }
        ));
    }
    output.json(&report)?;
    if report.identical_to_host {
        return Ok(());
    }
    Err(Error::check_failed(
        &board.name,
        "differs from the host on this input",
        "see where with `tinyhero verify`",
    ))
}

/// One inference on the real board behind a probe if one is named, else on the emulated board.
fn infer(
    options: &Options,
    file: &[u8],
    raw: &[u8],
    output_bytes: usize,
) -> Result<(Board, BatchResult)> {
    let names = std::slice::from_ref(&options.on);
    #[cfg(feature = "probe")]
    if options.probe.probe.is_some() {
        let same = |_: &Board| Ok(file.to_vec());
        let (board, _, _, mut client) = options.probe.connect(names, &same, &options.output)?;
        let batch = client.run(raw, raw.len(), output_bytes, &mut |_| {})?;
        return Ok((board, batch));
    }
    let mut session = session::prepare(names, &options.output)?;
    let Some((board, image)) = session.boards.pop() else {
        return Err(Error::bad_input("--on", "names no board", "see `tinyhero boards`"));
    };
    let mut client = verify::start(&board, &image, file)?;
    let batch = client.run(raw, raw.len(), output_bytes, &mut |_| {})?;
    Ok((board, batch))
}

/// The raw values of one sample, and its label where the data has one.
fn read_input(
    options: &Options,
    model: &Model<'_>,
    output: &Output,
) -> Result<(Vec<i16>, Option<u16>)> {
    let input = options.input.as_str();
    let path = Path::new(input);
    if path.is_file() {
        let values = match path.extension().and_then(|extension| extension.to_str()) {
            Some("png") => read_png(path, model)?,
            _ => match read_text(path)? {
                Some(bytes) => {
                    output.line(format_args!(
                        "{}: read as text, in the data's own units",
                        path.display()
                    ));
                    sample_of_text(input, bytes, &convention(model, &notes_in(model)))?
                }
                None => read_raw(path, model)?,
            },
        };
        return Ok((values, None));
    }
    let Some((data, index)) = input.rsplit_once(':') else {
        return Err(Error::bad_input(
            format_args!("--input {input}"),
            "is no file and no DATA:INDEX",
            "give a PNG, a file of raw samples, or for example digits:7",
        ));
    };
    let index: usize = index.parse().map_err(|_| {
        Error::bad_input(
            format_args!("--input {input}"),
            "does not end with the number of a test sample",
            "give for example digits:7",
        )
    })?;
    let test = samples::open(data, None, &options.data_options, model, output)?.test;
    match (test.sample(index), test.labels.get(index)) {
        (Some(sample), Some(&label)) => Ok((sample.to_vec(), Some(label))),
        _ => Err(Error::bad_input(
            format_args!("--input {input}"),
            format_args!("there are {} test samples, counted from 0", test.len()),
            "give a smaller number",
        )),
    }
}

/// Most bytes of a sample as text.
const MOST_TEXT_BYTES: u64 = 1 << 24;

/// The bytes of a file that is text; `None` for one that is not.
fn read_text(path: &Path) -> Result<Option<Vec<u8>>> {
    let length = std::fs::metadata(path).map_err(|reason| Error::reading(path, &reason))?.len();
    if length == 0 || length > MOST_TEXT_BYTES {
        return Ok(None);
    }
    let bytes = artifact::read_at_most(path, MOST_TEXT_BYTES)?;
    let is_text = |&byte: &u8| byte >= 0x20 && byte != 0x7F || b"\t\r\n".contains(&byte);
    let text = bytes.iter().all(is_text) && bytes.iter().any(u8::is_ascii_digit);
    Ok((text && std::str::from_utf8(&bytes).is_ok()).then_some(bytes))
}

fn read_raw(path: &Path, model: &Model<'_>) -> Result<Vec<i16>> {
    let expected = model.raw_input_bytes();
    let length = std::fs::metadata(path).map_err(|reason| Error::reading(path, &reason))?.len();
    let another_length = |length: u64| {
        Error::bad_input(
            path.display(),
            format_args!("has {length} bytes where the model reads {expected}"),
            "give one raw sample: height, width, channel order, i16 little-endian",
        )
    };
    if length != expected as u64 {
        return Err(another_length(length));
    }
    let bytes = artifact::read_at_most(path, length)?;
    if bytes.len() != expected {
        return Err(another_length(bytes.len() as u64));
    }
    Ok(match model.input().quantization.sample_type {
        SampleType::U8 => bytes.iter().map(|&byte| i16::from(byte)).collect(),
        SampleType::I16 => {
            bytes.as_chunks::<2>().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect()
        }
    })
}

fn read_png(path: &Path, model: &Model<'_>) -> Result<Vec<i16>> {
    let file = artifact::read_at_most(path, MOST_PNG_BYTES)?;
    let refused = |reason: &dyn std::fmt::Display| {
        Error::bad_input(
            path.display(),
            format_args!("is no PNG: {reason}"),
            "give another picture",
        )
    };
    let limits = png::Limits { bytes: MOST_PNG_BYTES as usize };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(file), limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|reason| refused(&reason))?;
    // By its header, before there is room for its pixels.
    let shape = model.input().tensor.shape;
    let channels = reader.output_color_type().0.samples();
    let colours = if channels > 2 { 3 } else { 1 };
    let (width, height) = reader.info().size();
    let expected = (u32::from(shape.width), u32::from(shape.height), usize::from(shape.channels));
    if (width, height, colours) != expected {
        return Err(Error::bad_input(
            path.display(),
            format_args!("is {width}x{height} with {colours} colours"),
            format_args!("give {}x{} with {} colours", expected.0, expected.1, expected.2),
        ));
    }
    let size = reader.output_buffer_size().ok_or_else(|| refused(&"it is too large"))?;
    let mut pixels = vec![0; size];
    let info = reader.next_frame(&mut pixels).map_err(|reason| refused(&reason))?;
    let pixels = pixels[..info.buffer_size()].chunks_exact(channels);
    Ok(pixels.flat_map(|pixel| pixel[..colours].iter().map(|&value| i16::from(value))).collect())
}
