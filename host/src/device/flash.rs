//! A board made ready through a debug probe: firmware and model written, read back, started, and
//! its self-test run.

use std::path::Path;

use probe_rs::probe::Probe;
use serde::Serialize;
use tinyhero_common::model::{HEADER_BYTES, Model, file_bytes};
use tinyhero_common::slot::{self, RECORD_BYTES, Record, Slot};

use crate::device::board::{Board, Region};
use crate::device::client::Client;
use crate::device::probe::{Amounts, Attached, Log, Part, ProbeLink, Step, firmware_parts};
use crate::device::slots;
use crate::device::verify::INFERENCE_LIMIT;
use crate::error::{Error, Result};

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
    /// What was done to the chip's flash.
    #[serde(flatten)]
    pub amounts: Amounts,
    /// Version of the firmware that answered.
    pub firmware: String,
    /// Digest of the model that the board uses, if it has one.
    pub digest: Option<u32>,
    /// Whether the model's self-test passed; nothing without a model.
    pub self_test: Option<bool>,
}

/// Writes what `request` asks for to the board behind `probe`, resets it, greets it and runs the
/// model's self-test. The running board is handed on.
///
/// # Errors
/// It is another chip, something does not fit, cannot be written or is read back differently, the
/// firmware does not answer, or the self-test fails.
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
    let amounts = attached.flash(&parts, progress)?;
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
                return Err(client.refused(refusal));
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
        amounts,
        firmware: information.firmware,
        digest: information.model.ok(),
        self_test,
    };
    Ok((flashed, client))
}

/// Starts the firmware of the board behind `probe` with the model `file`, which is sent to it if it
/// takes models and has another one.
///
/// # Errors
/// The firmware `image` is not on the board or does not answer, or the board has another model and
/// takes none.
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
    Region { address: address + slot.offset(bytes), bytes: slot::slot_bytes(bytes as usize) as u32 }
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

/// The model file at the place where the board looks for it, and the record that makes it the
/// newest.
fn model_parts(
    attached: &mut Attached,
    board: &Board,
    file: &[u8],
    slot: Option<Slot>,
) -> Result<Vec<Part>> {
    let part = |region: Region| Part {
        name: "model",
        address: region.address,
        bytes: file.to_vec(),
        seals: false,
    };
    if !board.memory.model_writable {
        return Ok(vec![part(board.memory.model)]);
    }
    let records = [read_record(attached, board, Slot::A)?, read_record(attached, board, Slot::B)?];
    let used = slot_in_use(attached, board, records)?;
    let digest = Model::load(file).map(|model| model.digest()).unwrap_or_default();
    let (slot, record) = match used {
        // There already, if its bytes are: nothing will be written then.
        Some((there, Some(record)))
            if record.digest == digest && slot.is_none_or(|wanted| wanted == there) =>
        {
            (there, record)
        }
        _ => {
            let idle = used.map_or(Slot::A, |(used, _)| used.other());
            let slot = slot.unwrap_or(idle);
            (slot, slots::record_for(slot, records, file.len() as u32, digest))
        }
    };
    let region = slot_region(board, slot);
    let address = region.address + slot::room(region.bytes as usize) as u32;
    let bytes = record.to_bytes().to_vec();
    Ok(vec![part(region), Part { name: "model's record", address, bytes, seals: true }])
}

/// The slot whose model the board uses at its next start, as far as that can be told without
/// running it: the newest whose file is whole; without one, slot a if a whole file lies there and
/// no record.
fn slot_in_use(
    attached: &mut Attached,
    board: &Board,
    records: [Option<Record>; 2],
) -> Result<Option<(Slot, Option<Record>)>> {
    let [a, b] = records;
    let of = |slot| match slot {
        Slot::A => a,
        Slot::B => b,
    };
    if let Some(newest) = slot::newest(records) {
        for slot in [newest, newest.other()] {
            if let Some(record) = of(slot)
                && stored_model(attached, board, slot, record.length as usize)?
                    == Some(record.digest)
            {
                return Ok(Some((slot, Some(record))));
            }
        }
    }
    if a.is_some() {
        return Ok(None);
    }
    let region = slot_region(board, Slot::A);
    let mut header = [0; HEADER_BYTES];
    let unreadable = attached.read_flash(region.address, &mut header)?;
    // Where the file ends is all that the header is asked for; the rest is looked at when all of it
    // is there.
    let mut bytes = vec![0; slot::room(region.bytes as usize)];
    let (front, _) = bytes.split_at_mut(HEADER_BYTES);
    front.copy_from_slice(&header);
    let Ok(length) = file_bytes(&bytes) else { return Ok(None) };
    if !unreadable.is_empty() {
        return Ok(None);
    }
    let placed = stored_model(attached, board, Slot::A, length)?;
    Ok(placed.map(|_| (Slot::A, None)))
}

/// The digest of the model file of `length` bytes at the start of a slot; `None` if it is none.
fn stored_model(
    attached: &mut Attached,
    board: &Board,
    slot: Slot,
    length: usize,
) -> Result<Option<u32>> {
    let mut file = vec![0; length];
    let unreadable = attached.read_flash(slot_region(board, slot).address, &mut file)?;
    let model = Model::load(&file).ok().filter(|_| unreadable.is_empty());
    Ok(model.map(|model| model.digest()))
}

fn read_record(attached: &mut Attached, board: &Board, slot: Slot) -> Result<Option<Record>> {
    let region_bytes = board.memory.model.bytes;
    let mut bytes = [0; RECORD_BYTES];
    let offset = slots::record_offset(region_bytes, slot);
    let unreadable = attached.read_flash(board.memory.model.address + offset, &mut bytes)?;
    Ok(slots::record(&bytes, region_bytes).filter(|_| unreadable.is_empty()))
}

fn check_firmware(attached: &mut Attached, board: &Board, firmware: &[Part]) -> Result<()> {
    for part in firmware {
        if let Some(address) = attached.first_difference(part.address, &part.bytes, &mut |_| {})? {
            return Err(Error::bad_input(
                &board.name,
                format_args!("the board has another firmware (at {address:#010x} it differs)"),
                "write this one with --firmware",
            ));
        }
    }
    Ok(())
}
