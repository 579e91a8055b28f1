//! Writing a chip's flash: only what differs, and read back afterwards.

use std::path::Path;

use object::Endianness;
use object::elf::{FileHeader32, PT_LOAD};
use object::read::elf::{ElfFile, ProgramHeader};
use probe_rs::MemoryInterface;
use probe_rs::flashing::{DownloadOptions, FlashProgress, ProgressEvent, ProgressOperation};

use super::{Attached, failure};
use crate::artifact;
use crate::error::{Error, Result};

/// Bytes read back at once.
const READ_BYTES: usize = 4096;

/// Something to be in flash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is, for messages.
    pub name: &'static str,
    /// Its first address.
    pub address: u32,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// How far the writing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is being done.
    pub doing: &'static str,
    /// Bytes done so far.
    pub done: u64,
    /// Bytes in all, if that is known.
    pub total: Option<u64>,
}

/// What of a firmware image lies in flash: its loaded segments at their load addresses.
///
/// # Errors
/// The file cannot be read, is no 32-bit ELF file, or holds nothing.
pub fn firmware_parts(image: &Path) -> Result<Vec<Part>> {
    let refused = |reason: &dyn std::fmt::Display| {
        Error::bad_input(image.display(), reason, "build the firmware again")
    };
    let bytes = artifact::read(image)?;
    let file: ElfFile<'_, FileHeader32<Endianness>> =
        ElfFile::parse(bytes.as_slice()).map_err(|reason| refused(&reason))?;
    let mut parts = Vec::new();
    for segment in file.elf_program_headers() {
        let data = segment
            .data(file.endian(), bytes.as_slice())
            .map_err(|()| refused(&"a segment lies outside the file"))?;
        if segment.p_type(file.endian()) == PT_LOAD && !data.is_empty() {
            let address = segment.p_paddr(file.endian());
            parts.push(Part { name: "firmware", address, bytes: data.to_vec() });
        }
    }
    if parts.is_empty() { Err(refused(&"it holds nothing to write")) } else { Ok(parts) }
}

impl Attached {
    /// What is in memory from `address` on.
    ///
    /// # Errors
    /// The chip cannot be read.
    pub fn read(&mut self, address: u32, bytes: &mut [u8]) -> Result<()> {
        let read = self.session.core(0).and_then(|mut core| core.read(address.into(), bytes));
        read.map_err(|reason| {
            failure::explain(&self.board.name, "cannot read the chip's memory", &reason)
        })
    }

    /// The first address at which flash differs from `part`; `None` if all of it is there.
    ///
    /// # Errors
    /// The chip cannot be read.
    pub fn first_difference(
        &mut self,
        part: &Part,
        progress: &mut dyn FnMut(Step),
    ) -> Result<Option<u32>> {
        let mut stored = vec![0; READ_BYTES];
        let total = Some(part.bytes.len() as u64);
        for (index, expected) in part.bytes.chunks(READ_BYTES).enumerate() {
            let address = part.address + (index * READ_BYTES) as u32;
            let stored = &mut stored[..expected.len()];
            self.read(address, stored)?;
            if let Some(place) = stored.iter().zip(expected).position(|(a, b)| a != b) {
                return Ok(Some(address + place as u32));
            }
            let done = (index * READ_BYTES + expected.len()) as u64;
            progress(Step { doing: "read back", done, total });
        }
        Ok(None)
    }

    /// Writes those of `parts` that are not there yet, with the chip's own flash algorithm; only the sectors that they enter are erased.
    /// Then reads everything back. Returns how many bytes were written.
    ///
    /// # Errors
    /// A part lies outside the chip's flash, the chip or the probe fails, or what is read back is not what was written.
    pub fn flash(&mut self, parts: &[Part], progress: &mut dyn FnMut(Step)) -> Result<u64> {
        let halt = |attached: &mut Self| {
            let mut core = attached.session.core(0)?;
            core.reset_and_halt(super::HALT_LIMIT).map(|_| ())
        };
        halt(self).map_err(|reason| {
            failure::explain(&self.board.name, "cannot stop the chip", &reason)
        })?;
        let mut wanted = Vec::new();
        for part in parts {
            if self.first_difference(part, &mut |_| {})?.is_some() {
                wanted.push(part);
            }
        }
        if wanted.is_empty() {
            return Ok(0);
        }
        let written = self.write(&wanted, progress).map_err(|reason| {
            failure::explain(&self.board.name, "cannot write the chip's flash", &reason)
        });
        written?;
        for part in &wanted {
            if let Some(address) = self.first_difference(part, progress)? {
                return Err(Error::check_failed(
                    &self.board.name,
                    format_args!(
                        "the {} was written, but at {address:#010x} something else is read back",
                        part.name
                    ),
                    "try again; if it stays so, this part of the chip's flash is protected or worn out",
                ));
            }
        }
        Ok(wanted.iter().map(|part| part.bytes.len() as u64).sum())
    }

    fn write(
        &mut self,
        parts: &[&Part],
        progress: &mut dyn FnMut(Step),
    ) -> std::result::Result<(), probe_rs::flashing::FlashError> {
        let mut loader = self.session.target().flash_loader();
        for part in parts {
            loader.add_data(part.address.into(), &part.bytes)?;
        }
        let mut steps = Steps::default();
        let mut options = DownloadOptions::default();
        options.progress = FlashProgress::new(|event| {
            if let Some(step) = steps.take(&event) {
                progress(step);
            }
        });
        loader.commit(&mut self.session, options)
    }
}

/// Sums up probe-rs's events.
#[derive(Default)]
struct Steps {
    erased: Operation,
    written: Operation,
}

#[derive(Default)]
struct Operation {
    done: u64,
    total: Option<u64>,
}

impl Steps {
    fn take(&mut self, event: &ProgressEvent) -> Option<Step> {
        let (operation, added, new_total) = match event {
            ProgressEvent::AddProgressBar { operation, total } => (operation, 0, Some(*total)),
            ProgressEvent::Progress { operation, size, .. } => (operation, *size, None),
            _ => return None,
        };
        let (doing, counts) = match operation {
            ProgressOperation::Erase => ("erase", &mut self.erased),
            ProgressOperation::Program => ("write", &mut self.written),
            _ => return None,
        };
        if let Some(total) = new_total {
            counts.total = total;
        }
        counts.done += added;
        Some(Step { doing, done: counts.done, total: counts.total })
    }
}
