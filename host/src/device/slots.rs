//! What to write into a board's model region from outside, with a programmer, so that the firmware finds a model as if it had been sent
//! over the link.

use tinyhero_common::model::Model;
use tinyhero_common::slot::{RECORD_BYTES, Record, Slot, newest, room, slot_bytes};

use crate::error::{Error, Result};

/// A model and its record, and where they belong. Erase what they need of the slot, write the file, read it back, and write the record
/// last: the slot counts from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotImage<'a> {
    /// The slot.
    pub slot: Slot,
    /// Where the slot begins, in bytes from the start of the model region.
    pub offset: u32,
    /// Length of the slot in bytes.
    pub bytes: u32,
    /// What to write where the slot begins.
    pub file: &'a [u8],
    /// Where the record belongs, in bytes from the start of the model region.
    pub record_offset: u32,
    /// What to write there.
    pub record: [u8; RECORD_BYTES],
}

/// Where a slot's record lies, in bytes from the start of a model region of `region_bytes`.
pub const fn record_offset(region_bytes: u32, slot: Slot) -> u32 {
    slot.offset(region_bytes) + room(slot_bytes(region_bytes as usize)) as u32
}

/// The record in the bytes read from [`record_offset`]; `None` if there is none.
pub fn record(bytes: &[u8; RECORD_BYTES], region_bytes: u32) -> Option<Record> {
    Record::from_bytes(bytes, room(slot_bytes(region_bytes as usize)))
}

/// The record of a file that goes into `slot`, newer than what is in the other one.
pub const fn record_for(
    slot: Slot,
    records: [Option<Record>; 2],
    length: u32,
    digest: u32,
) -> Record {
    let [a, b] = records;
    let other = match slot {
        Slot::A => b,
        Slot::B => a,
    };
    Record::after(other, length, digest)
}

/// What to write so that the firmware uses `file` from its next start on: into `slot`, or into the one whose model is not the newest.
/// `records` are those of both slots.
///
/// # Errors
/// The file is no model, or does not fit a slot of a region of `region_bytes`.
pub fn image<'a>(
    file: &'a [u8],
    records: [Option<Record>; 2],
    slot: Option<Slot>,
    region_bytes: u32,
) -> Result<SlotImage<'a>> {
    let model = Model::load(file).map_err(|reason| {
        Error::bad_input("model file", reason, "make it again with `tinyhero quantize`")
    })?;
    let bytes = slot_bytes(region_bytes as usize);
    if file.len() > room(bytes) {
        return Err(Error::bad_input(
            "model file",
            format!("has {} bytes and the slot room for {}", file.len(), room(bytes)),
            "use fewer bits, a smaller network or another board",
        ));
    }
    let slot = slot.unwrap_or(newest(records).map_or(Slot::A, Slot::other));
    let record = record_for(slot, records, file.len() as u32, model.digest());
    Ok(SlotImage {
        slot,
        offset: slot.offset(region_bytes),
        bytes: bytes as u32,
        file,
        record_offset: record_offset(region_bytes, slot),
        record: record.to_bytes(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_model_is_refused() {
        let error = image(&[0; 100], [None; 2], None, 1 << 16).unwrap_err();
        assert!(error.to_string().starts_with("model file: "), "{error}");
    }

    #[test]
    fn what_is_written_is_newer_than_what_stays_and_goes_into_the_other_slot() {
        let record = |sequence| Some(Record { sequence, length: 0, digest: 0 });
        for sequence in [0, 1, 1 << 31, u32::MAX - 1, u32::MAX] {
            for mut records in [
                [record(sequence), None],
                [None, record(sequence)],
                [record(sequence), record(sequence)],
                [record(sequence), record(sequence.wrapping_add(1))],
                [record(sequence), record(sequence.wrapping_sub(1))],
                [record(sequence), record(sequence.wrapping_add(1 << 31))],
            ] {
                // Whichever slot is written, by choice or by --slot, its model is the newest afterwards.
                let used = newest(records).unwrap();
                for slot in [used.other(), used] {
                    let place = usize::from(slot == Slot::B);
                    let before = records[place];
                    records[place] = Some(record_for(slot, records, 0, 1));
                    assert_eq!(newest(records), Some(slot), "{records:?}");
                    records[place] = before;
                }
            }
        }
        assert_eq!(newest([None, None]), None);
        assert_eq!(record_for(Slot::A, [None, None], 5, 6).sequence, 1);
    }

    #[test]
    fn a_record_reads_back_from_its_place() {
        let written = Record { sequence: 3, length: 100, digest: 7 };
        assert_eq!(record(&written.to_bytes(), 4096), Some(written));
        assert_eq!(record(&[0xFF; RECORD_BYTES], 4096), None);
        assert_eq!(record_offset(4096, Slot::A), 2048 - 256);
        assert_eq!(record_offset(4096, Slot::B), 4096 - 256);
    }
}
