//! Folders of WAV recordings of 8, 16, 24 or 32 bits, mixed down to one channel; the label is the folder, or a part of the name.
//!
//! One value is a 16-bit integer. Every recording is a sample where all have one length; `--window` makes samples of others.

use crate::data::format::{Candidate, File, Format, Part, Recognition, Request};
use crate::data::named::labels_of_names;
use crate::data::options::DataOptions;
use crate::data::table::{LineNumbers, Table, assemble};
use crate::data::{Column, Dataset, SampleShape};
use crate::error::{Error, Result};
use std::collections::HashSet;
use std::io::Cursor;

/// WAV recordings.
pub struct Wav;

/// Speech Commands' lists of the recordings that test and that validate.
const TESTING_LIST: &str = "testing_list.txt";
const VALIDATION_LIST: &str = "validation_list.txt";
/// Longest list in bytes.
const MOST_LIST_BYTES: u64 = 1 << 24;

impl Format for Wav {
    const NAME: &'static str = "wav";
    const HELP: &'static str = "WAV recordings";

    fn recognise(candidate: &Candidate) -> Recognition {
        if [TESTING_LIST, VALIDATION_LIST].contains(&candidate.base_name.as_str()) {
            return Recognition::Beside(MOST_LIST_BYTES);
        }
        let start = &candidate.start;
        let is_wav = start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WAVE");
        if is_wav && candidate.in_folder { Recognition::IfNoOther } else { Recognition::No }
    }

    fn read(request: &Request<'_>, files: &[File], beside: &[File]) -> Result<Dataset> {
        let (noises, files): (Vec<&File>, Vec<&File>) =
            files.iter().partition(|file| is_aside(&file.place));
        let (tests, validation) = (listed(beside, TESTING_LIST), listed(beside, VALIDATION_LIST));
        let validates = |file: &File| {
            validation.as_ref().is_some_and(|list| list.contains(file.place.as_str()))
        };
        let mut recordings = Vec::with_capacity(files.len());
        let mut rate = None;
        for file in &files {
            let (values, own) = decode(file)?;
            if *rate.get_or_insert(own) != own {
                let problem =
                    format!("has {own} values a second, others have {}", rate.unwrap_or(0));
                let advice = "give recordings of one rate";
                return Err(Error::bad_input(&file.source.name, problem, advice));
            }
            let part = match &tests {
                Some(tests) if tests.contains(file.place.as_str()) => Part::Test,
                Some(_) if validates(file) => Part::Validation,
                Some(_) => Part::Train,
                None => file.part,
            };
            recordings.push((part, values));
        }
        let background = backgrounds(request, &noises, rate)?;
        let rate = f64::from(rate.unwrap_or(0));
        if request.options.rate.is_some_and(|asked| asked != rate) {
            let problem = format!("the recordings have {rate} values a second");
            return Err(Error::bad_input(
                "--rate",
                problem,
                "leave it out, or resample them before",
            ));
        }
        let length = one_length(request, &recordings)?;
        let tables = files.iter().zip(recordings).map(|(file, (part, values))| {
            // A row is a moment, or the whole recording.
            let rows = if length.is_some() { 1 } else { values.len() };
            let mut table = Table::new(file.source.name.clone(), part, length.unwrap_or(1));
            table.values.extend(values.into_iter().map(f64::from));
            table.lines = LineNumbers::counted(rows);
            table
        });
        let tables = tables.collect();
        let columns = vec![Column::named(None); length.unwrap_or(1)];
        let (tables, options) = labels_of_names(request, &files, tables, columns)?;
        let options = DataOptions { rate: Some(rate), ..options };
        let shape = length.map(|length| SampleShape::new(length, 1, 1));
        let request = Request { shape: request.shape.or(shape), options: &options, ..*request };
        request.note(format!("{} recordings of {rate} values a second", tables.tables.len()));
        assemble(&request, Self::NAME, &tables).map(|dataset| Dataset {
            options: options.clone(),
            background,
            ..dataset
        })
    }
}

/// Whether a recording is in a folder such as Speech Commands' `_background_noise_`, and of no class.
fn is_aside(place: &str) -> bool {
    let mut folders: Vec<&str> = place.split(['/', '\\']).collect();
    folders.pop();
    folders.iter().any(|folder| folder.starts_with('_'))
}

/// The noises of such folders.
fn backgrounds(
    request: &Request<'_>,
    noises: &[&File],
    rate: Option<u32>,
) -> Result<Vec<Vec<i16>>> {
    let mut found = Vec::with_capacity(noises.len());
    for file in noises {
        let (values, own) = decode(file)?;
        if Some(own) == rate && !values.is_empty() {
            found.push(values);
        }
    }
    if !noises.is_empty() {
        request.note(format!(
            "background: {} recordings in folders that begin with _ are of no class; --augment background mixes them in",
            found.len()
        ));
    }
    let others = noises.len() - found.len();
    if others > 0 {
        request.note(format!("passed over: {others} of them, which are empty or of another rate"));
    }
    Ok(found)
}

/// The paths in a list, if there is one, as paths below the data's folder.
fn listed(beside: &[File], name: &str) -> Option<HashSet<String>> {
    let list = beside.iter().find(|file| file.place.ends_with(name))?;
    let folder = list.place.strip_suffix(name).unwrap_or_default();
    let text = std::str::from_utf8(&list.source.bytes).ok()?;
    let paths = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Some(paths.map(|path| format!("{folder}{}", path.trim_start_matches("./"))).collect())
}

/// The length of all recordings, where each is a sample.
fn one_length(request: &Request<'_>, recordings: &[(Part, Vec<i16>)]) -> Result<Option<usize>> {
    if request.options.window.is_some() {
        return Ok(None);
    }
    let lengths = || recordings.iter().map(|(_, values)| values.len());
    let (shortest, longest) = (lengths().min().unwrap_or(0), lengths().max().unwrap_or(0));
    if shortest == longest && longest > 0 {
        return Ok(Some(longest));
    }
    let problem = format!("holds recordings of {shortest} to {longest} values");
    Err(Error::bad_input(
        request.name,
        problem,
        format!("choose samples with --window {}", shortest.max(1)),
    ))
}

/// The values of a recording as 16-bit numbers, channels mixed down, and how many a second there are.
fn decode(file: &File) -> Result<(Vec<i16>, u32)> {
    let broken = |reason: &dyn std::fmt::Display| {
        let problem = format_args!("is not a whole WAV file: {reason}");
        Error::bad_input(&file.source.name, problem, "fetch it again")
    };
    let mut reader =
        hound::WavReader::new(Cursor::new(&file.source.bytes)).map_err(|reason| broken(&reason))?;
    let format = reader.spec();
    let channels = usize::from(format.channels.max(1));
    let values: Vec<f64> = match format.sample_format {
        hound::SampleFormat::Float => {
            let values = reader.samples::<f32>().map(|value| Ok(f64::from(value?) * 32_768.0));
            values.collect::<hound::Result<_>>()
        }
        hound::SampleFormat::Int => {
            let step = f64::from(16 - i32::from(format.bits_per_sample)).exp2();
            let values = reader.samples::<i32>().map(|value| Ok(f64::from(value?) * step));
            values.collect::<hound::Result<_>>()
        }
    }
    .map_err(|reason| broken(&reason))?;
    let mean = |frame: &[f64]| frame.iter().sum::<f64>() / channels as f64;
    let range = f64::from(i16::MIN)..=f64::from(i16::MAX);
    // In range, so that the cast keeps the value.
    let whole = |value: f64| value.round().clamp(*range.start(), *range.end()) as i16;
    Ok((
        values.chunks_exact(channels).map(|frame| whole(mean(frame))).collect(),
        format.sample_rate,
    ))
}
