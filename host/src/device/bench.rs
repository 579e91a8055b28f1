//! What a model costs on a board: instructions a layer, memory, flash.

use std::path::Path;
use std::time::Instant;

use object::{Object, ObjectSection, ObjectSegment, SectionKind};
use serde::Serialize;
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::model::Model;

use crate::artifact;
use crate::data::{Normalization, SampleShape, SampleType};
use crate::deployment::inspect::parameter_bytes;
use crate::deployment::integer;
use crate::deployment::integer_network::IntegerNetwork;
use crate::deployment::quantizer::{Quantization, quantize};
use crate::device::board::Board;
use crate::device::client::Client;
use crate::device::link::Link;
use crate::device::qemu::Emulator;
use crate::device::verify::{self, Counts};
use crate::error::{Error, Result};
use crate::graph::network::Network;
use crate::graph::trained_network::TrainedNetwork;
use crate::random::{self, Purpose};
use crate::task::Task;

/// Most inputs in the request that the server is measured with.
const SERVER_INPUTS: usize = 16;
/// Instructions that this request may take beyond its first input, so that large networks are not
/// run for minutes.
const SERVER_INSTRUCTIONS: u64 = 100_000_000;

/// The cost of a model on one board.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bench {
    /// The board's folder name.
    pub board: String,
    /// What counts are in: `instructions` for emulated boards, `cycles` for real ones.
    pub unit: &'static str,
    /// One inference, input quantization included.
    pub total: u64,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Input quantization, then every layer.
    pub layers: Vec<LayerCost>,
    /// Bytes of flash.
    pub flash: Flash,
    /// Bytes of RAM.
    pub ram: Ram,
    /// What it costs to be asked over the link; unknown for real boards, whose clock goes on while
    /// they wait for it.
    pub server: Option<Server>,
}

/// What the server adds to the engine: frames received and sent, their checksums, the copying.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Server {
    /// Inputs in one request.
    pub inputs_per_request: usize,
    /// Instructions of the server alone, per inference.
    pub count: u64,
    /// The same as a share of the engine's.
    pub overhead: f64,
    /// Inferences a second over the link, as this machine emulates the board: no property of the
    /// board.
    pub inferences_per_second: f64,
}

/// The cost of a layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerCost {
    /// Its name.
    pub name: String,
    /// What it computes.
    pub operator: &'static str,
    /// Bits of its weights, for operators that have some.
    pub bits: Option<u32>,
    /// Its multiply-accumulates.
    pub macs: u64,
    /// Bytes of its weights and channel table in the model file.
    pub bytes: usize,
    /// Instructions or cycles.
    pub count: u64,
    /// Its part of the total, 0 to 1.
    pub share: f64,
}

/// Flash in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Flash {
    /// The firmware: code, constants and initial data, link and start-up included.
    pub code: u64,
    /// The model file.
    pub model: u64,
    /// Instructions of the firmware.
    pub text: u64,
    /// The firmware's constants, its vector table among them.
    pub constants: u64,
    /// Weights, channel tables and input maps of the model.
    pub parameters: u64,
    /// The model's header and description.
    pub description: u64,
}

/// RAM in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Ram {
    /// The model's arena.
    pub arena: u32,
    /// Most stack in use since start.
    pub stack: u32,
}

/// Measures one inference of the model on an emulated board. Counts are exactly repeatable; the
/// input is that of the self-test.
///
/// # Errors
/// The board refuses the model or is lost; or its self-test fails, in which case the counts would
/// mean nothing.
pub fn bench(board: &Board, image: &Path, file: &[u8], model: &Model<'_>) -> Result<Bench> {
    let mut client = verify::start(board, image, file)?;
    measure(&mut client, board, Counts::Instructions, image, file, model)
}

/// The same on a board that holds `model` already, however it is reached.
///
/// # Errors
/// See [`bench()`].
pub fn measure<L: Link>(
    client: &mut Client<L>,
    board: &Board,
    counts: Counts,
    image: &Path,
    file: &[u8],
    model: &Model<'_>,
) -> Result<Bench> {
    if !client.self_test()? {
        return Err(Error::check_failed(
            &board.name,
            "the model's self-test fails on this board",
            "see what differs with `tinyhero verify`",
        ));
    }
    let input = integer::self_test_input(model);
    let layers = client.layers(&input)?;
    let expected = model.layers().count();
    if layers.layers.len() != expected {
        return Err(Error::check_failed(
            &board.name,
            format_args!("{} layers reported of {expected}", layers.layers.len()),
            "build host and firmware from the same sources",
        ));
    }
    let output_bytes = model.output().shape.elements();
    let whole = client.run_without_digests(&input, input.len(), output_bytes, &mut |_| {})?;
    let count_of = |ticks: u64| counts.of(board, ticks);
    let total = count_of(whole.count);
    let share = |count: u64| count as f64 / total.max(1) as f64;
    let input_count = count_of(u64::from(layers.input_count));
    let server = match counts {
        Counts::Cycles => None,
        Counts::Instructions => {
            let affordable = SERVER_INSTRUCTIONS / total.max(1);
            let inputs = usize::try_from(affordable).unwrap_or(SERVER_INPUTS);
            let inputs = inputs.clamp(1, SERVER_INPUTS);
            Some(server(board, client, &input, output_bytes, inputs)?)
        }
    };
    let usage = client.usage()?;
    let input_cost = LayerCost {
        name: "input".to_string(),
        operator: "quantize",
        bits: None,
        macs: 0,
        bytes: 0,
        count: input_count,
        share: share(input_count),
    };
    let costs = model.layers().zip(&layers.layers).map(|(layer, record)| {
        let count = count_of(u64::from(record.count));
        LayerCost {
            name: layer.name.to_string(),
            operator: layer.operator.name(),
            bits: layer.weights().map(|weights| weights.bit_width.bits()),
            macs: layer.macs(),
            bytes: parameter_bytes(&layer),
            count,
            share: share(count),
        }
    });
    let (text, constants) = text_and_constants(image)?;
    let parameters = model.parameters().len() as u64;
    Ok(Bench {
        board: board.name.clone(),
        unit: counts.unit(),
        total,
        macs: model.layers().map(|layer| layer.macs()).sum(),
        layers: std::iter::once(input_cost).chain(costs).collect(),
        flash: Flash {
            code: flash_bytes(image)?,
            model: file.len() as u64,
            text,
            constants,
            parameters,
            description: file.len() as u64 - parameters,
        },
        ram: Ram { arena: usage.arena, stack: usage.stack },
        server,
    })
}

/// The instructions of one inference alone; see [`bench()`].
///
/// # Errors
/// The board refuses the model or is lost.
pub fn total(board: &Board, image: &Path, file: &[u8], model: &Model<'_>) -> Result<u64> {
    let mut client = verify::start(board, image, file)?;
    let input = integer::self_test_input(model);
    let output_bytes = model.output().shape.elements();
    let run = client.run_without_digests(&input, input.len(), output_bytes, &mut |_| {})?;
    Ok(Emulator::instructions(board, run.count))
}

/// Counts what the board executes from the end of one answer to the end of the next, and takes off
/// what the engine did.
///
/// While the board waits for the link its clock stands still. What is lost between two laps of it
/// is under 30 instructions an inference.
fn server<L: Link>(
    board: &Board,
    client: &mut Client<L>,
    input: &[u8],
    output_bytes: usize,
    inputs: usize,
) -> Result<Server> {
    let inputs_per_request = client.inputs_per_request(input.len(), output_bytes).min(inputs);
    let inputs = input.repeat(inputs_per_request);
    let before = client.usage()?.ticks;
    // A question costs as much as the one before it.
    let start = client.usage()?.ticks;
    let clock = Instant::now();
    let batch = client.run_without_digests(&inputs, input.len(), output_bytes, &mut |_| {})?;
    let seconds = clock.elapsed().as_secs_f64();
    let end = client.usage()?.ticks;
    let question = start.saturating_sub(before);
    let whole = end.saturating_sub(start).saturating_sub(question);
    let inferences = inputs_per_request as u64;
    let own = Emulator::instructions(board, whole.saturating_sub(batch.count));
    Ok(Server {
        inputs_per_request,
        count: own / inferences,
        overhead: whole.saturating_sub(batch.count) as f64 / batch.count.max(1) as f64,
        inferences_per_second: inferences as f64 / seconds,
    })
}

/// Bytes of flash that a firmware image takes: what of its loaded segments is in the file.
///
/// # Errors
/// The file cannot be read or is not an ELF file.
pub fn flash_bytes(image: &Path) -> Result<u64> {
    let bytes = artifact::read(image)?;
    let file = object::File::parse(bytes.as_slice())
        .map_err(|reason| Error::bad_input(image.display(), reason, "build the firmware again"))?;
    // `.bss` has a segment too, but nothing of it in the file.
    Ok(file.segments().map(|segment| segment.file_range().1).sum())
}

/// Bytes of instructions and of constants in a firmware image.
fn text_and_constants(image: &Path) -> Result<(u64, u64)> {
    let bytes = artifact::read(image)?;
    let file = object::File::parse(bytes.as_slice())
        .map_err(|reason| Error::bad_input(image.display(), reason, "build the firmware again"))?;
    let of_kind = |kind: SectionKind| -> u64 {
        file.sections().filter(|section| section.kind() == kind).map(|section| section.size()).sum()
    };
    let constants = of_kind(SectionKind::ReadOnlyData) + of_kind(SectionKind::ReadOnlyString);
    Ok((of_kind(SectionKind::Text), constants))
}

/// Random samples that stand in for training data.
const RANDOM_SAMPLES: usize = 8;

/// Classes that a network file is given where nobody says how many.
const USUAL_CLASSES: usize = 10;

/// What an untrained network is made for; what is not said, the zoo or the network's file says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Shape of a sample. Its raw values are `u8` where it is an image, with height and width, and `i16` else.
    pub input: Option<SampleShape>,
    /// Number of classes, or of values to predict.
    pub classes: Option<usize>,
}

/// A network of the zoo with random weights, calibrated on random samples, for measurements without
/// a trained one.
///
/// # Errors
/// There is no such network.
pub fn untrained(name: &str, bit_width: BitWidth) -> Result<IntegerNetwork> {
    untrained_for(name, Asked::default(), bit_width)
}

/// The same for samples of another shape, and for network files.
///
/// # Errors
/// There is no such network, its sample shape is not known, or the integer format cannot express it.
pub fn untrained_for(name: &str, asked: Asked, bit_width: BitWidth) -> Result<IntegerNetwork> {
    let usual = Network::default_input(name);
    let own = Network::input_of(name)?;
    let Some(shape) = asked.input.or(own).or(usual.map(|(shape, _)| shape)) else {
        return Err(Error::bad_input(
            format_args!("--network {name}"),
            "does not say the shape of a sample",
            "give it with --input, for example --input 128x1x6",
        ));
    };
    /// Most values of a sample: more than any board's arena has room for.
    const MOST_VALUES: usize = 1 << 24;
    if shape.elements() > MOST_VALUES {
        let place = format_args!("--input {shape}").to_string();
        let problem = format_args!("is {} values a sample", shape.elements());
        return Err(Error::bad_input(place, problem, "give the shape of one sample"));
    }
    let classes = match (asked.classes, Network::task_of(name)?) {
        (_, Some(Task::Reconstruction)) => shape.elements(),
        (Some(classes), _) => classes,
        (None, _) => usual.map_or(USUAL_CLASSES, |(_, classes)| classes),
    };
    let mut trained = TrainedNetwork::untrained(Network::open(name, shape, classes)?, 0)?;
    let mut generator = random::generator(0, Purpose::Order, 0);
    let is_image = shape.height > 1 && shape.width > 1;
    let bytes = asked.input.is_none() || is_image;
    let mut raw = || match bytes {
        true => random::below(256, &mut generator) as i16,
        false => (random::below(1 << 16, &mut generator) as u16).cast_signed(),
    };
    let samples: Vec<i16> = (0..RANDOM_SAMPLES * shape.elements()).map(|_| raw()).collect();
    if !bytes {
        // The standard deviation of 16 random bits.
        let inverse_scale = 12f64.sqrt() / f64::from(1 << 16);
        let channels = shape.channels;
        trained.input.sample_type = SampleType::I16;
        trained.input.normalization = Normalization {
            offset: vec![0.0; channels],
            inverse_scale: vec![inverse_scale; channels],
        };
    }
    let network = quantize(&trained, &samples, &Quantization::new(bit_width))?;
    Ok(if usual.is_some() && asked.input.is_none() { network } else { network.without_task() })
}
