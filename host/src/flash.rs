//! A board made ready through a debug probe: firmware and model written, read back, started, and its self-test run.

use std::path::Path;

use probe_rs::probe::Probe;
use serde::Serialize;
use tinyhero_common::model::Model;
use tinyhero_common::slot::{self, Record, Slot};

use crate::error::{Error, Result};
use crate::target::board::{Board, Region};
use crate::target::client::Client;
use crate::target::probe::{Attached, Log, Part, ProbeLink, Step, firmware_parts};
use crate::verify::INFERENCE_LIMIT;

/// What is to be written.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The board's firmware, as built.
    pub image: &'a Path,
    /// Whether to write the firmware; without, it must be on the board already.
    pub firmware: bool,
    /// The model file, if one is to be written.
    pub model: Option<&'a [u8]>,
    /// The slot for it; without one, the slot that holds it already, else the one not in use.
    pub slot: Option<Slot>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flashed {
    /// The board's folder name.
    pub board: String,
    /// The chip's name in probe-rs.
    pub chip: String,
    /// Bytes that were written; what was on the board already does not count.
    pub written: u64,
    /// Bytes that were read back and are what they should be.
    pub verified: u64,
    /// Version of the firmware that answered.
    pub firmware: String,
    /// Digest of the model that the board uses, if it has one.
    pub digest: Option<u32>,
    /// Whether the model's self-test passed; nothing without a model.
    pub self_test: Option<bool>,
}

/// Writes what `request` asks for to the board behind `probe`, resets it, greets it and runs the model's self-test. The running board is
/// handed on.
///
/// # Errors
/// It is another chip, something does not fit, cannot be written or is read back differently, the firmware does not answer,
/// or the self-test fails.
pub fn flash(
    probe: Probe,
    board: &Board,
    request: &Request<'_>,
    log: Option<Log>,
    progress: &mut dyn FnMut(Step),
) -> Result<(Flashed, Client<ProbeLink>)> {
    let firmware = firmware_parts(request.image)?;
    if let Some(file) = request.model {
        check_model(board, file, request.slot)?;
    }
    let mut attached = Attached::attach(probe, board)?;
    if !request.firmware {
        check_firmware(&mut attached, board, &firmware)?;
    }
    let mut parts = if request.firmware { firmware } else { Vec::new() };
    if let Some(file) = request.model {
        parts.extend(model_parts(&mut attached, board, file, request.slot)?);
    }
    let written = attached.flash(&parts, progress)?;
    let mut client = Client::connect(attached.start(request.image, log)?, INFERENCE_LIMIT)?;
    let information = client.information().clone();
    if information.board != board.name {
        return Err(Error::check_failed(
            &board.name,
            format_args!("the firmware that answers is that of {}", information.board),
            "write the right one with --firmware",
        ));
    }
    if let Some(file) = request.model {
        let expected = Model::load(file).map(|model| model.digest()).ok();
        match information.model {
            Ok(digest) if Some(digest) == expected => {}
            Ok(_) => {
                return Err(Error::check_failed(
                    &board.name,
                    "the board uses another model than the one that was written",
                    "please report this",
                ));
            }
            Err(refusal) => {
                return Err(Error::check_failed(
                    &board.name,
                    refusal,
                    "use fewer bits, a smaller network or another board",
                ));
            }
        }
    }
    let self_test = match information.model {
        Ok(_) => Some(client.self_test()?),
        Err(_) => None,
    };
    if self_test == Some(false) {
        return Err(Error::check_failed(
            &board.name,
            "the model's self-test fails on this board",
            "see what differs with `tinyhero verify --probe`",
        ));
    }
    let flashed = Flashed {
        board: board.name.clone(),
        chip: board.probe_rs_chip.clone().unwrap_or_default(),
        written,
        verified: parts.iter().map(|part| part.bytes.len() as u64).sum(),
        firmware: information.firmware,
        digest: information.model.ok(),
        self_test,
    };
    Ok((flashed, client))
}

/// Starts the firmware of the board behind `probe` with the model `file`, which is sent to it if it takes models and has another one.
///
/// # Errors
/// The firmware `image` is not on the board or does not answer, or the board has another model and takes none.
pub fn connect(
    probe: Probe,
    board: &Board,
    image: &Path,
    file: &[u8],
    log: Option<Log>,
) -> Result<Client<ProbeLink>> {
    let mut attached = Attached::attach(probe, board)?;
    check_firmware(&mut attached, board, &firmware_parts(image)?)?;
    let mut client = Client::connect(attached.start(image, log)?, INFERENCE_LIMIT)?;
    let wanted = Model::load(file).map(|model| model.digest()).ok();
    let information = client.information();
    if wanted.is_some() && information.model.ok() == wanted {
        return Ok(client);
    }
    if information.slot_bytes == 0 {
        return Err(Error::bad_input(
            &board.name,
            "the board holds another model, and takes one only through the probe",
            "write it with `tinyhero flash`",
        ));
    }
    client.write_model(file)?;
    Ok(client)
}

/// Where a slot is. A region that the firmware does not write is one slot.
fn slot_region(board: &Board, slot: Slot) -> Region {
    let Region { address, bytes } = board.memory.model;
    if !board.memory.model_writable {
        return board.memory.model;
    }
    match slot {
        Slot::A => Region { address, bytes: bytes / 2 },
        Slot::B => Region { address: address + bytes / 2, bytes: bytes / 2 },
    }
}

fn check_model(board: &Board, file: &[u8], slot: Option<Slot>) -> Result<()> {
    if slot == Some(Slot::B) && !board.memory.model_writable {
        return Err(Error::bad_input("--slot b", "this board keeps one model", "leave it out"));
    }
    let bytes = slot_region(board, Slot::A).bytes as usize;
    let room = if board.memory.model_writable { slot::room(bytes) } else { bytes };
    if file.len() > room {
        return Err(Error::bad_input(
            &board.name,
            format_args!("the model has {} bytes and the board room for {room}", file.len()),
            "use fewer bits, a smaller network or another board",
        ));
    }
    Ok(())
}

/// The model file at the place where the board looks for it, and the record that makes it the newest.
fn model_parts(
    attached: &mut Attached,
    board: &Board,
    file: &[u8],
    slot: Option<Slot>,
) -> Result<Vec<Part>> {
    let part =
        |region: Region| Part { name: "model", address: region.address, bytes: file.to_vec() };
    if !board.memory.model_writable {
        return Ok(vec![part(board.memory.model)]);
    }
    let [a, b] = [read_record(attached, board, Slot::A)?, read_record(attached, board, Slot::B)?];
    let (newest, sequence) = match (a, b) {
        (None, None) => (None, 0),
        (Some(a), None) => (Some((Slot::A, a)), a.sequence),
        (None, Some(b)) => (Some((Slot::B, b)), b.sequence),
        (Some(a), Some(b)) if b.sequence > a.sequence => (Some((Slot::B, b)), b.sequence),
        (Some(a), Some(_)) => (Some((Slot::A, a)), a.sequence),
    };
    let digest = Model::load(file).map(|model| model.digest()).ok();
    let place = |slot, record: Record| {
        let region = slot_region(board, slot);
        let address = region.address + slot::room(region.bytes as usize) as u32;
        let record = Part { name: "model's record", address, bytes: record.to_bytes().to_vec() };
        vec![part(region), record]
    };
    match newest {
        // There already, if its bytes are: nothing will be written then.
        Some((there, record))
            if Some(record.digest) == digest && slot.is_none_or(|wanted| wanted == there) =>
        {
            Ok(place(there, record))
        }
        _ => {
            let idle = newest.map_or(Slot::A, |(used, _)| used.other());
            let record = Record {
                sequence: sequence.saturating_add(1),
                length: file.len() as u32,
                digest: digest.unwrap_or_default(),
            };
            Ok(place(slot.unwrap_or(idle), record))
        }
    }
}

fn read_record(attached: &mut Attached, board: &Board, slot: Slot) -> Result<Option<Record>> {
    let region = slot_region(board, slot);
    let mut bytes = vec![0; region.bytes as usize];
    let room = slot::room(bytes.len());
    // Only the record counts; the file before it need not be read.
    attached.read(region.address + room as u32, &mut bytes[room..])?;
    Ok(Record::read(&bytes))
}

fn check_firmware(attached: &mut Attached, board: &Board, firmware: &[Part]) -> Result<()> {
    for part in firmware {
        if let Some(address) = attached.first_difference(part, &mut |_| {})? {
            return Err(Error::bad_input(
                &board.name,
                format_args!("the board has another firmware (at {address:#010x} it differs)"),
                "write this one with --firmware",
            ));
        }
    }
    Ok(())
}
