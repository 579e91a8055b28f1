//! What a model costs on a board: instructions a layer, memory, flash.

use std::path::Path;

use object::{Object, ObjectSegment};
use serde::Serialize;
use tinyhero_common::model::Model;
use tinyhero_common::network::SelfTestInput;

use crate::artifact;
use crate::error::{Error, Result};
use crate::inspect::operator_name;
use crate::target::board::Board;
use crate::target::qemu::Emulator;
use crate::verify;

/// The cost of a model on one board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bench {
    /// The board's folder name.
    pub board: String,
    /// What counts are in: `instructions` for emulated boards.
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
}

/// The cost of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerCost {
    /// Its name.
    pub name: String,
    /// What it computes.
    pub operator: &'static str,
    /// Bits of its weights, for operators that have some.
    pub bits: Option<u32>,
    /// Its multiply-accumulates.
    pub macs: u64,
    /// Instructions.
    pub count: u64,
}

/// Flash in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Flash {
    /// The firmware: code, constants and initial data, link and start-up included.
    pub code: u64,
    /// The model file.
    pub model: u64,
}

/// RAM in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Ram {
    /// The model's arena.
    pub arena: u32,
    /// Most stack in use since start.
    pub stack: u32,
}

/// Measures one inference of the model on an emulated board. Counts are exactly repeatable; the input is that of the self-test.
///
/// # Errors
/// The board refuses the model or is lost; or its self-test fails, in which case the counts would mean nothing.
pub fn bench(board: &Board, image: &Path, file: &[u8], model: &Model<'_>) -> Result<Bench> {
    let mut client = verify::start(board, image, file)?;
    if !client.self_test()? {
        return Err(Error::check_failed(
            &board.name,
            "the model's self-test fails on this board",
            "see what differs with `tinyhero verify`",
        ));
    }
    let seed = model.description().self_test.seed;
    let input: Vec<u8> = SelfTestInput::new(seed).take(model.raw_input_bytes()).collect();
    let layers = client.layers(&input)?;
    let output_bytes = model.output().shape.elements();
    let whole = client.run(&input, input.len(), output_bytes, &mut |_| {})?;
    let high_water = client.high_water()?;
    let instructions = |ticks: u64| Emulator::instructions(board, ticks);
    let input_cost = LayerCost {
        name: "input".to_string(),
        operator: "quantize",
        bits: None,
        macs: 0,
        count: instructions(u64::from(layers.input_count)),
    };
    let costs = model.layers().zip(&layers.layers).map(|(layer, record)| LayerCost {
        name: layer.name.to_string(),
        operator: operator_name(&layer.operator),
        bits: layer.weights().map(|weights| weights.bit_width.bits()),
        macs: layer.macs(),
        count: instructions(u64::from(record.count)),
    });
    Ok(Bench {
        board: board.name.clone(),
        unit: "instructions",
        total: instructions(whole.count),
        macs: model.layers().map(|layer| layer.macs()).sum(),
        layers: std::iter::once(input_cost).chain(costs).collect(),
        flash: Flash { code: flash_bytes(image)?, model: file.len() as u64 },
        ram: Ram { arena: high_water.arena, stack: high_water.stack },
    })
}

/// Bytes of flash that a firmware image takes: what of its loaded segments is in the file.
///
/// # Errors
/// The file cannot be read or is no ELF file.
pub fn flash_bytes(image: &Path) -> Result<u64> {
    let bytes = artifact::read(image)?;
    let file = object::File::parse(bytes.as_slice())
        .map_err(|reason| Error::bad_input(image.display(), reason, "build the firmware again"))?;
    // `.bss` has a segment too, but nothing of it in the file.
    Ok(file.segments().map(|segment| segment.file_range().1).sum())
}
