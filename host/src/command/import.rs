//! `import`: from another framework's model to a run or a model file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::model::Model;

use super::output::Output;
use crate::artifact;
use crate::cortex::Core;
use crate::data::{
    Column, DataOptions, Dataset, Normalization, SampleShape, SampleType, Split, raw_archive,
};
use crate::deployment::choice::{Choice, closest};
use crate::deployment::export::{Exported, export_for};
use crate::deployment::meaning::{input_parts, notes_in};
use crate::deployment::quantizer::{Quantization, quantize};
use crate::error::{Error, Result};
use crate::graph::input::{InputMeaning, OtherInput};
use crate::graph::provenance::Provenance;
use crate::graph::task::Task;
use crate::graph::trained_network::TrainedNetwork;
use crate::import::check::{Comparison, Golden, OutputComparison};
use crate::import::layer::Layers;
use crate::import::raw::RawScale;
use crate::import::{self, Imported, Unsupported, balance, float, integer};
use crate::report::table::{grouped, percent};
use crate::training::RunFolder;

/// Import a model of another framework: .tflite or .onnx, or a network file with weights
///
/// OUT ending in .hero is a model file, ready for a board; otherwise it is a run folder, which quantize, train --from, compare and
/// curvature take. A quantized model keeps its integers unless --bits asks for others. A model of floats is calibrated on the
/// training samples of --data, or on the inputs of --check.
///
/// Example: tinyhero import model.onnx --check golden.npz --out model.hero
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The model, .tflite or .onnx; or a network file, .toml, with --weights and --data
    file: PathBuf,
    /// The numbers of a network file: tensors LAYER.weight, LAYER.bias …
    #[arg(long, value_name = "FILE.safetensors", requires = "data", conflicts_with = "check")]
    weights: Option<PathBuf>,
    /// The model file (.hero) or run folder to make
    #[arg(long)]
    out: PathBuf,
    #[arg(long, help = Dataset::help())]
    data: Option<String>,
    /// Bits of every weight, 2 to 8 [default: a quantized model's own integers, else 8]
    #[arg(long, value_parser = super::bit_width)]
    bits: Option<BitWidth>,
    /// Compare with the original: arrays `inputs`, `outputs` and perhaps `labels`
    #[arg(long, value_name = "FILE.npz")]
    check: Option<PathBuf>,
    /// Write the inputs of --check as raw samples here: data for verify, evaluate and run
    #[arg(long, value_name = "FILE.npz", requires = "check")]
    samples: Option<PathBuf>,
    /// Least agreement with the original, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 95.0)]
    agree: f64,
    /// What the output is for [default: what the model ends in]
    #[arg(long, value_enum)]
    task: Option<TaskName>,
    /// The model reads (sample / D − M) / S, where `sample` is a number of --data: D
    #[arg(long, value_name = "D", default_value_t = 1.0)]
    divide: f64,
    /// M, one for all channels or one for each
    #[arg(long, value_name = "M", value_delimiter = ',', allow_hyphen_values = true)]
    mean: Vec<f64>,
    /// S, one for all channels or one for each
    #[arg(long, value_name = "S", value_delimiter = ',')]
    deviation: Vec<f64>,
    /// Lay the weights out for this core; every core runs every layout with the same bits
    #[arg(long, value_enum)]
    core: Option<Core>,
    #[command(flatten)]
    output: Output,
}

/// A task by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum TaskName {
    /// The largest output is the answer
    Classification,
    /// Every output stands for a number
    Regression,
    /// The output imitates the input
    Reconstruction,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    path: Option<String>,
    operators: BTreeMap<String, usize>,
    passes: BTreeMap<&'static str, usize>,
    unsupported: Vec<Unsupported>,
    /// Whether the model's own integers were kept.
    integers_kept: bool,
    bits: Option<u32>,
    bytes: Option<usize>,
    arena: Option<u32>,
    digest: Option<String>,
    samples: Option<usize>,
    label_agreement: Option<f64>,
    largest_difference: Option<f64>,
    mean_difference: Option<f64>,
    /// The comparison of each output, where there are several.
    outputs: Vec<OutputComparison>,
    accuracy: Option<f64>,
    reference_accuracy: Option<f64>,
}

pub fn run(options: &Options) -> Result<()> {
    if !(0.0..=100.0).contains(&options.agree) {
        return Err(Error::out_of_range("--agree", "a percentage from 0 to 100"));
    }
    if let Some(weights) = &options.weights {
        return described(options, weights);
    }
    if options.file.extension().is_some_and(|extension| extension == "toml") {
        return Err(Error::bad_input(
            options.file.display(),
            "is a network file, which has no weights",
            "give them with --weights FILE.safetensors, and --data",
        ));
    }
    let imported = import::open(&options.file)?;
    let mut report = Report {
        operators: imported.operators.clone(),
        passes: imported.passes.clone(),
        unsupported: imported.unsupported.clone(),
        ..Report::default()
    };
    say_what_is_in_it(options, &imported);
    let Some(layers) = &imported.layers else {
        return refused(options, &mut report, imported.unsupported.clone());
    };
    let golden = match &options.check {
        Some(path) => Some(Golden::read(path, layers)?),
        None => None,
    };
    let import = Import { options, source: &imported.source, layers, golden };
    let keeps = options.bits.is_none() && integer::is_quantized(layers) && makes_a_model(options);
    report.integers_kept = keeps;
    let made = if keeps { import.integers()? } else { import.floats()? };
    let made = match made {
        Ok(made) => made,
        Err(unsupported) => return refused(options, &mut report, unsupported),
    };
    let model = Model::load(&made.exported.bytes).map_err(|reason| {
        Error::check_failed(options.out.display(), reason, "please report this")
    })?;
    report.bits = Some(made.bits.bits());
    report.bytes = Some(made.exported.bytes.len());
    report.arena = Some(model.description().arena_bytes);
    report.digest = Some(format!("{:08x}", model.digest()));
    let comparison = match (&import.golden, &made.golden_samples) {
        (Some(golden), Some(raw)) => {
            let scores = made.task == Task::Classification;
            Some(golden.compare(&model, layers, raw, scores)?)
        }
        _ => None,
    };
    if let Some(comparison) = &comparison {
        tell(options, &mut report, comparison);
    }
    made.write(options)?;
    if let (Some(path), Some(raw), Some(golden)) =
        (&options.samples, &made.golden_samples, &import.golden)
    {
        let inputs = input_parts(&model, &notes_in(&model));
        raw_archive::write(path, &inputs, raw, golden.labels.as_deref())?;
        let count = grouped(golden.samples as u64);
        options.output.line(format_args!("{}: {count} raw samples", path.display()));
    }
    report.path = Some(options.out.display().to_string());
    options.output.line(format_args!(
        "{}: {} bytes at {} bits, arena {} bytes, digest {}",
        options.out.display(),
        grouped(made.exported.bytes.len() as u64),
        made.bits.bits(),
        grouped(u64::from(model.description().arena_bytes)),
        report.digest.as_deref().unwrap_or_default(),
    ));
    options.output.json(&report)?;
    match comparison {
        Some(found) if found.label_agreement * 100.0 < options.agree => Err(Error::check_failed(
            options.out.display(),
            format_args!(
                "agrees with the original in {} of its answers, not in {} %",
                percent(found.label_agreement),
                options.agree
            ),
            "import with more bits, or calibrate with --data",
        )),
        _ => Ok(()),
    }
}

/// A network file with weights: calibrated on the data, and written.
fn described(options: &Options, weights: &Path) -> Result<()> {
    let dataset = Dataset::open(options.data.as_deref().unwrap_or_default())?;
    let normalization = normalization(options, &dataset, dataset.shape)?;
    let trained = import::described::open(&options.file, weights, &dataset, normalization)?;
    let task = trained.network.task;
    let calibration = crate::training::calibration::draw(&dataset.train);
    let bits = options.bits.unwrap_or(BitWidth::Eight);
    let (trained, exported) = quantized(options, &trained, &calibration, bits)?;
    let run = Some((trained, calibration));
    let made = Made { exported, bits, task, golden_samples: None, run };
    let model = Model::load(&made.exported.bytes).map_err(|reason| {
        Error::check_failed(options.out.display(), reason, "please report this")
    })?;
    let (arena, digest) = (model.description().arena_bytes, format!("{:08x}", model.digest()));
    made.write(options)?;
    options.output.line(format_args!(
        "{}: {} bytes at {} bits, arena {} bytes, digest {digest}",
        options.out.display(),
        grouped(made.exported.bytes.len() as u64),
        bits.bits(),
        grouped(u64::from(arena)),
    ));
    options.output.json(&Report {
        path: Some(options.out.display().to_string()),
        bits: Some(bits.bits()),
        bytes: Some(made.exported.bytes.len()),
        arena: Some(arena),
        digest: Some(digest),
        ..Report::default()
    })
}

/// The form of a network that comes closest to it in integers, labels aside, and its model file.
fn quantized(
    options: &Options,
    trained: &TrainedNetwork,
    calibration: &Split,
    bits: BitWidth,
) -> Result<(TrainedNetwork, Exported)> {
    let Choice { trained, range, .. } = closest(trained, &calibration.samples)?;
    let quantization = Quantization { range, ..Quantization::new(bits) };
    let network = quantize(&trained, &calibration.samples, &quantization)?;
    let exported = export_for(&network, options.core)?;
    Ok((trained, exported))
}

fn say_what_is_in_it(options: &Options, imported: &Imported) {
    let list = |counts: &mut dyn Iterator<Item = (String, usize)>| {
        let words: Vec<String> = counts
            .map(|(name, count)| if count == 1 { name } else { format!("{name} ×{count}") })
            .collect();
        words.join(", ")
    };
    let mut operators = imported.operators.iter().map(|(name, count)| (name.clone(), *count));
    options.output.line(format_args!("{}: {}", options.file.display(), list(&mut operators)));
    let mut passes = imported.passes.iter().map(|(name, count)| ((*name).to_string(), *count));
    options.output.line(format_args!("rewritten: {}", list(&mut passes)));
}

/// Says everything that stands in the way, each in a line.
fn refused(options: &Options, report: &mut Report, unsupported: Vec<Unsupported>) -> Result<()> {
    for item in &unsupported {
        options.output.line(format_args!(
            "not supported: {} ({}) {}; {}",
            item.node, item.operator, item.why, item.advice
        ));
    }
    let count = unsupported.len();
    let advice = match unsupported.first() {
        Some(first) => {
            format!("first: '{}' ({}) {}; {}", first.node, first.operator, first.why, first.advice)
        }
        None => "please report this".to_string(),
    };
    report.unsupported = unsupported;
    options.output.json(report)?;
    Err(Error::bad_input(
        options.file.display(),
        format_args!("has {count} nodes that are not supported"),
        advice,
    ))
}

fn tell(options: &Options, report: &mut Report, found: &Comparison) {
    report.samples = Some(found.samples);
    report.label_agreement = Some(found.label_agreement);
    report.largest_difference = Some(found.largest_difference);
    report.mean_difference = Some(found.mean_difference);
    report.accuracy = found.accuracy;
    report.reference_accuracy = found.reference_accuracy;
    options.output.line(format_args!(
        "compared on {} samples: {} of answers agree; numbers differ by at most {:.1}, on average {:.2} output steps",
        grouped(found.samples as u64),
        percent(found.label_agreement),
        found.largest_difference,
        found.mean_difference
    ));
    if let [_, _, ..] = &found.outputs[..] {
        report.outputs.clone_from(&found.outputs);
        for output in &found.outputs {
            options.output.line(format_args!(
                "output {}: {} of numbers within 5 % of the range; they differ by at most {:.1}, on average {:.2} steps",
                output.name,
                percent(output.close),
                output.largest_difference,
                output.mean_difference
            ));
        }
    }
    if let (Some(accuracy), Some(reference)) = (found.accuracy, found.reference_accuracy) {
        options.output.line(format_args!(
            "accuracy {}, of the original {}",
            percent(accuracy),
            percent(reference)
        ));
    }
}

/// What is imported, and how.
struct Import<'a> {
    options: &'a Options,
    source: &'a str,
    layers: &'a Layers,
    golden: Option<Golden>,
}

/// What has been made of it.
struct Made {
    exported: Exported,
    bits: BitWidth,
    task: Task,
    /// The inputs of `--check` as raw samples.
    golden_samples: Option<Vec<i16>>,
    /// What a run folder holds.
    run: Option<(TrainedNetwork, Split)>,
}

/// Whether a model file is asked for, not a run folder.
fn makes_a_model(options: &Options) -> bool {
    options.out.extension().is_some_and(|ending| ending == "hero")
}

impl Import<'_> {
    fn task(&self) -> Task {
        if let Some(task) = self.options.task {
            return match task {
                TaskName::Classification => Task::Classification,
                TaskName::Regression => Task::Regression,
                TaskName::Reconstruction => Task::Reconstruction,
            };
        }
        let outputs = self.layers.outputs[0].places.len();
        let labelled = self.golden.as_ref().is_some_and(|golden| golden.labels.is_some());
        let vector = self.layers.gives_a_vector() && outputs > 1;
        if vector
            && (labelled
                || self.layers.ends_in_softmax(0)
                || self.layers.outputs[0].logarithm
                || self.layers.outputs[0].label)
        {
            Task::Classification
        } else if outputs > 1 && outputs == self.layers.inputs[0].places.len() {
            Task::Reconstruction
        } else if vector {
            Task::Classification
        } else {
            Task::Regression
        }
    }

    fn class_names(&self, dataset: Option<&Dataset>, task: Task) -> Result<Vec<String>> {
        if task != Task::Classification {
            return Ok(Vec::new());
        }
        let outputs = self.layers.outputs[0].places.len();
        match dataset {
            Some(dataset) if dataset.class_names.len() != outputs => Err(Error::bad_input(
                &dataset.name,
                format_args!("has {} classes for {outputs} outputs", dataset.class_names.len()),
                "give the data that the model was trained on, or leave out --data",
            )),
            Some(dataset) => Ok(dataset.class_names.clone()),
            None => Ok((0..outputs).map(|class| class.to_string()).collect()),
        }
    }

    fn dataset(&self) -> Result<Option<Dataset>> {
        let Some(data) = &self.options.data else { return Ok(None) };
        let [input] = &self.layers.inputs[..] else {
            return Err(Error::bad_input(
                "--data",
                format_args!("has one input, but the model has {}", self.layers.inputs.len()),
                "calibrate with --check and arrays inputs_0, inputs_1 …",
            ));
        };
        let dataset = Dataset::open(data)?;
        let wanted = input.shape;
        if dataset.shape.elements() != wanted.elements() {
            return Err(Error::bad_input(
                data,
                format_args!("has samples of {} for a model that reads {wanted}", dataset.shape),
                "give the data that the model was trained on, in height, width, channel order",
            ));
        }
        Ok(Some(dataset))
    }

    /// A model with the original's integers.
    fn integers(&self) -> Result<std::result::Result<Made, Vec<Unsupported>>> {
        let task = self.task();
        let dataset = self.dataset()?;
        let names = self.class_names(dataset.as_ref(), task)?;
        let network = integer::lower(self.layers, task, names, self.source);
        let network = match network {
            Ok(network) => network,
            Err(unsupported) => return Ok(Err(unsupported)),
        };
        let golden = self.golden.as_ref();
        Ok(Ok(Made {
            exported: export_for(&network, self.options.core)?,
            bits: BitWidth::Eight,
            task,
            golden_samples: golden.map(|golden| golden.integer_samples(self.layers)),
            run: None,
        }))
    }

    /// A network of real numbers, and the model that it becomes.
    fn floats(&self) -> Result<std::result::Result<Made, Vec<Unsupported>>> {
        let task = self.task();
        let dataset = self.dataset()?;
        let scales: Option<Vec<RawScale>> = self.golden.as_ref().map(|golden| {
            let scale = |position| RawScale::of(&golden.real_inputs(self.layers, position));
            (0..self.layers.inputs.len()).map(scale).collect()
        });
        let input = self.meaning(dataset.as_ref(), scales.as_deref(), task)?;
        let provenance = self.provenance(dataset.as_ref());
        let (layers, input) = self.balanced(input, dataset.is_some());
        let trained = match float::lower(&layers, task, input, Some(provenance))? {
            Ok(trained) => trained,
            Err(unsupported) => return Ok(Err(unsupported)),
        };
        let golden_samples = match (&self.golden, &dataset, &scales) {
            (Some(golden), Some(_), _) => Some(self.through(golden, &trained)),
            (Some(golden), None, Some(scales)) => {
                let raw = |(position, scale): (usize, &RawScale)| -> Vec<i16> {
                    let real = golden.real_inputs(self.layers, position);
                    real.iter().map(|&real| scale.raw(real)).collect()
                };
                let raw: Vec<Vec<i16>> = scales.iter().enumerate().map(raw).collect();
                Some(golden.joined(&raw))
            }
            _ => None,
        };
        let calibration = match (&dataset, &golden_samples, &self.golden) {
            (Some(dataset), ..) => crate::training::calibration::draw(&dataset.train),
            (None, Some(samples), Some(golden)) => {
                let labels = golden.labels.clone().unwrap_or_else(|| vec![0; golden.samples]);
                Split { samples: samples.clone(), labels, values: Vec::new() }
            }
            _ => {
                return Err(Error::bad_input(
                    self.options.file.display(),
                    "has no ranges for what it computes, which have to be measured on samples",
                    "give --data, or --check with inputs and outputs of the original",
                ));
            }
        };
        let bits = self.options.bits.unwrap_or(BitWidth::Eight);
        let (trained, exported) = quantized(self.options, &trained, &calibration, bits)?;
        let run = Some((trained, calibration));
        Ok(Ok(Made { exported, bits, task, golden_samples, run }))
    }

    /// The layers and what their samples mean, channels of very different ranges brought to one:
    /// an input has one scale, and what it takes away the first weights give back.
    fn balanced(&self, mut input: InputMeaning, has_data: bool) -> (Layers, InputMeaning) {
        let mut layers = self.layers.clone();
        if let (Some(golden), false) = (&self.golden, has_data) {
            for position in 0..layers.inputs.len() {
                let real = golden.real_inputs(self.layers, position);
                let Some(gains) = balance::channels(&mut layers, position, &real) else { continue };
                let steps = match position.checked_sub(1) {
                    None => &mut input.normalization.inverse_scale,
                    Some(other) => &mut input.others[other].normalization.inverse_scale,
                };
                steps.iter_mut().zip(gains).for_each(|(step, gain)| *step /= gain);
            }
        }
        (layers, input)
    }

    /// Real inputs as raw samples of a network's normalization.
    fn through(&self, golden: &Golden, trained: &TrainedNetwork) -> Vec<i16> {
        let normalization = &trained.input.normalization;
        let channels = normalization.channels();
        let (low, high) = match trained.input.sample_type {
            SampleType::U8 => (0.0, 255.0),
            SampleType::I16 => (-32_768.0, 32_767.0),
        };
        let raw = |(index, real): (usize, &f64)| {
            let channel = index % channels;
            let raw = real / normalization.inverse_scale[channel] + normalization.offset[channel];
            raw.round().clamp(low, high) as i16
        };
        golden.real_inputs(self.layers, 0).iter().enumerate().map(raw).collect()
    }

    fn meaning(
        &self,
        dataset: Option<&Dataset>,
        scales: Option<&[RawScale]>,
        task: Task,
    ) -> Result<InputMeaning> {
        let class_names = self.class_names(dataset, task)?;
        let shape = self.layers.inputs[0].shape;
        let scale = scales.and_then(|scales| scales.first().copied());
        let Some(dataset) = dataset else {
            let unknown = RawScale { sample_type: SampleType::U8, offset: 0.0, step: 1.0 };
            let scale = scale.unwrap_or(unknown);
            // Several inputs come together, and each says what it is.
            let several = self.layers.inputs.len() > 1;
            let columns = |scale: &RawScale, shape: SampleShape| match several {
                true => scale.columns_of_channels(shape),
                false => scale.columns(shape),
            };
            let others = self.layers.inputs.iter().enumerate().skip(1);
            let others = others.map(|(position, input)| {
                let scale = scales.and_then(|scales| scales.get(position)).unwrap_or(&unknown);
                OtherInput {
                    sample_type: scale.sample_type,
                    normalization: scale.normalization(input.shape.channels),
                    columns: columns(scale, input.shape),
                }
            });
            return Ok(InputMeaning {
                sample_type: scale.sample_type,
                class_names,
                normalization: scale.normalization(shape.channels),
                rate: None,
                options: DataOptions::default(),
                columns: columns(&scale, shape),
                outputs: Vec::new(),
                others: others.collect(),
            });
        };
        let asked = self.options.divide != 1.0
            || !self.options.mean.is_empty()
            || !self.options.deviation.is_empty();
        let normalization = match scale {
            // What the original was given for such bytes says how they were scaled. Columns of a table
            // have units, which the original reads.
            Some(scale)
                if !asked
                    && scale.sample_type == dataset.sample_type
                    && dataset.columns.iter().all(Column::is_identity) =>
            {
                scale.normalization(shape.channels)
            }
            _ => normalization(self.options, dataset, shape)?,
        };
        Ok(InputMeaning {
            sample_type: dataset.sample_type,
            class_names,
            normalization,
            rate: dataset.rate,
            options: dataset.options.clone(),
            columns: dataset.columns.clone(),
            outputs: Vec::new(),
            others: Vec::new(),
        })
    }

    fn provenance(&self, dataset: Option<&Dataset>) -> Provenance {
        Provenance::imported(self.source, dataset)
    }
}

/// From raw samples of a data set to what the model reads, by the options.
fn normalization(
    options: &Options,
    dataset: &Dataset,
    shape: SampleShape,
) -> Result<Normalization> {
    let list = |name: &str, given: &[f64], default: f64| -> Result<Vec<f64>> {
        match given {
            [] => Ok(vec![default; shape.channels]),
            [one] => Ok(vec![*one; shape.channels]),
            given if given.len() == shape.channels => Ok(given.to_vec()),
            _ => {
                let range = format!("one number, or {} with commas between", shape.channels);
                Err(Error::out_of_range(name, &range))
            }
        }
    };
    let mean = list("--mean", &options.mean, 0.0)?;
    let deviation = list("--deviation", &options.deviation, 1.0)?;
    let good = |value: &f64| value.is_finite() && *value > 0.0;
    if !good(&options.divide) || !deviation.iter().all(good) {
        return Err(Error::out_of_range("--divide, --deviation", "numbers above 0"));
    }
    // A column says what raw integers of a table stand for: offset + step · raw.
    let mut normalization = Normalization { offset: Vec::new(), inverse_scale: Vec::new() };
    for channel in 0..shape.channels {
        let mut own = dataset.columns.iter().skip(channel).step_by(shape.channels);
        let (offset, step) = own.next().map_or((0.0, 1.0), |column| (column.offset, column.step));
        if own.any(|column| (column.offset, column.step) != (offset, step)) {
            return Err(Error::bad_input(
                &dataset.name,
                format_args!("has columns of channel {channel} with different scales"),
                "give every column its own channel (PATH:1x1xN)",
            ));
        }
        let wanted = mean[channel] * options.divide;
        normalization.offset.push((wanted - offset) / step);
        normalization.inverse_scale.push(step / options.divide / deviation[channel]);
    }
    Ok(normalization)
}

impl Made {
    fn write(&self, options: &Options) -> Result<()> {
        if makes_a_model(options) {
            return artifact::write_atomically(&options.out, &self.exported.bytes);
        }
        let Some((trained, calibration)) = &self.run else {
            return Err(Error::check_failed("import", "made no run", "please report this"));
        };
        let out: &Path = &options.out;
        if RunFolder::exists(out) {
            let advice = "give another --out";
            return Err(Error::bad_input(out.display(), "already holds a run", advice));
        }
        let data = options.data.clone().unwrap_or_else(|| options.file.display().to_string());
        RunFolder::import(out, &data, trained, calibration)?;
        Ok(())
    }
}
