//! Writing a chip's flash: what differs, sector by sector, and everything read back afterwards.

use std::ops::Range;
use std::path::Path;

use object::Endianness;
use object::elf::{FileHeader32, PT_LOAD};
use object::read::elf::{ElfFile, ProgramHeader};
use probe_rs::MemoryInterface;
use probe_rs::flashing::{
    DownloadOptions, FlashError, FlashProgress, Flasher, ProgressEvent, ProgressOperation,
};
use serde::Serialize;

use super::plan::{self, Problem, Rewrite};
use super::{Attached, CPUID, chip_flash, failure};
use crate::artifact;
use crate::error::{Error, Result};
use crate::report::table::grouped;

/// Bytes read back at once.
const READ_BYTES: usize = 4096;
/// Bytes that error correction covers at once on the chips with the widest words (STM32H7): where
/// some cannot be read, none of these can.
const CORRECTED_BYTES: usize = 32;

/// Something to be in flash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is, for messages.
    pub name: &'static str,
    /// Its first address.
    pub address: u32,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Whether it says of the rest that it is complete, so that it is written last.
    pub seals: bool,
}

impl Part {
    /// One past the last address; 64 bits, since a part may end where addresses do.
    pub fn end(&self) -> u64 {
        u64::from(self.address) + self.bytes.len() as u64
    }
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

/// What was done to a chip's flash, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amounts {
    /// Erased: whole sectors.
    pub erased: u64,
    /// Written of what was asked for; what lies in sectors in which nothing differed does not
    /// count.
    pub written: u64,
    /// What else was in the sectors that were erased, written again as it was and read back; erased
    /// bytes do not count.
    pub kept: u64,
    /// What else was in those sectors and could not be read before; it is erased now.
    pub lost: u64,
    /// Of what was asked for, read back after the last erasure and right.
    pub verified: u64,
}

/// What of a firmware image lies in flash: its loaded segments at their load addresses.
///
/// # Errors
/// The file cannot be read, is not a 32-bit ELF file, or holds nothing.
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
            parts.push(Part { name: "firmware", address, bytes: data.to_vec(), seals: false });
        }
    }
    if parts.is_empty() { Err(refused(&"it holds nothing to write")) } else { Ok(parts) }
}

impl Attached {
    /// Lets the chip's own flash algorithm set the flash up and let go of it, once. Only then is
    /// the flash surely in the address space: one outside the chip gets there when the boot ROM has
    /// run (RP2040, RP2350), and a firmware that was stopped may have taken it out.
    fn make_readable(&mut self) -> Result<()> {
        if self.readable {
            return Ok(());
        }
        let address = self.board.memory.flash.address;
        let target = self.session.target();
        let Some((algorithm, core)) = chip_flash::algorithm_at(target, address) else {
            return Err(self.no_flash(address));
        };
        let outcome = Flasher::new(target, core, algorithm).and_then(|mut flasher| {
            let mut silent = FlashProgress::empty();
            flasher.run_verify(&mut self.session, &mut silent, |_, _| Ok(()))
        });
        outcome.map_err(|reason| {
            failure::explain(&self.board.name, "cannot set up the chip's flash", &reason)
        })?;
        self.readable = true;
        Ok(())
    }

    fn no_flash(&self, address: u32) -> Error {
        Error::bad_input(
            &self.board.name,
            format_args!("the chip has no flash at {address:#010x} that probe-rs can write"),
            "correct the board's memory map, or use a smaller model or another board",
        )
    }

    /// What is in flash from `address` on, and which places cannot be read, because power failed
    /// while they were written: error correction gives up on them. These read as erased.
    ///
    /// # Errors
    /// The chip cannot be read at all.
    pub fn read_flash(&mut self, address: u32, bytes: &mut [u8]) -> Result<Vec<Range<usize>>> {
        self.make_readable()?;
        let mut unreadable = Vec::new();
        let mut start = 0;
        while start < bytes.len() {
            let end = bytes.len().min(start + READ_BYTES);
            if self.read_once(address, bytes, start..end).is_err() {
                unreadable.extend(self.read_what_can_be(address, bytes, start..end)?);
            }
            start = end;
        }
        Ok(unreadable)
    }

    fn read_once(
        &mut self,
        address: u32,
        bytes: &mut [u8],
        place: Range<usize>,
    ) -> std::result::Result<(), probe_rs::Error> {
        let address = u64::from(address) + place.start as u64;
        self.session.core(0)?.read(address, &mut bytes[place])
    }

    /// Reads piece by piece where all at once fails.
    fn read_what_can_be(
        &mut self,
        address: u32,
        bytes: &mut [u8],
        place: Range<usize>,
    ) -> Result<Vec<Range<usize>>> {
        let mut unreadable = Vec::new();
        let mut start = place.start;
        while start < place.end {
            let into = (address as usize + start) % CORRECTED_BYTES;
            let piece = start..place.end.min(start + CORRECTED_BYTES - into);
            start = piece.end;
            if self.read_once(address, bytes, piece.clone()).is_err() {
                // A chip that does not answer at all is another matter.
                self.read_word(CPUID)?;
                bytes[piece.clone()].fill(0xFF);
                unreadable.push(piece);
            }
        }
        Ok(unreadable)
    }

    /// The first address at which flash differs from `bytes` from `address` on, or cannot be read;
    /// `None` if all of them are there.
    ///
    /// # Errors
    /// The chip cannot be read.
    pub fn first_difference(
        &mut self,
        address: u32,
        bytes: &[u8],
        progress: &mut dyn FnMut(u64),
    ) -> Result<Option<u32>> {
        let mut stored = vec![0; READ_BYTES.min(bytes.len())];
        for (index, expected) in bytes.chunks(READ_BYTES).enumerate() {
            let address = address + (index * READ_BYTES) as u32;
            let stored = &mut stored[..expected.len()];
            let unreadable = self.read_flash(address, stored)?;
            let differs = stored.iter().zip(expected).position(|(a, b)| a != b);
            let place = unreadable.iter().map(|place| place.start).chain(differs).min();
            if let Some(place) = place {
                return Ok(Some(address + place as u32));
            }
            progress(expected.len() as u64);
        }
        Ok(None)
    }

    /// Makes flash hold `parts`, with the chip's own flash algorithm. Of the sectors that they
    /// enter those are erased and written in which something differs, and what else lies there is
    /// written again as it was. Then everything is read back.
    ///
    /// # Errors
    /// A part lies outside the chip's flash, the chip or the probe fails, or what is read back is
    /// not what was written.
    pub fn flash(&mut self, parts: &[Part], progress: &mut dyn FnMut(Step)) -> Result<Amounts> {
        let sectors = chip_flash::sectors(self.session.target(), parts);
        plan::check(parts, &sectors).map_err(|problem| match problem {
            Problem::NoFlash(address) => self.no_flash(address),
            Problem::Overlap(address) => Error::bad_input(
                &self.board.name,
                format_args!("two things are to be written at {address:#010x}"),
                "build the firmware again",
            ),
        })?;
        let rewrites =
            plan::plan(parts, &sectors, &mut |address, bytes| self.read_flash(address, bytes))?;
        let sum = |of: &dyn Fn(&Rewrite) -> u64| rewrites.iter().map(of).sum::<u64>();
        let amounts = Amounts {
            erased: sum(&|rewrite| rewrite.sector.bytes.into()),
            written: sum(&Rewrite::wanted_bytes),
            kept: sum(&|rewrite| rewrite.kept),
            lost: sum(&|rewrite| rewrite.lost),
            verified: parts.iter().map(|part| part.bytes.len() as u64).sum(),
        };
        if rewrites.is_empty() {
            return Ok(amounts);
        }
        let pages = rewrites.iter().flat_map(Rewrite::pages);
        let mut steps = Steps {
            erased: Operation { done: 0, total: amounts.erased },
            written: Operation { done: 0, total: pages.map(|(_, page)| page.len() as u64).sum() },
        };
        for batch in plan::batches(&rewrites) {
            self.write(&batch, &mut steps, progress).map_err(|reason| {
                failure::explain(&self.board.name, "cannot write the chip's flash", &reason)
            })?;
        }
        self.verify(parts, &rewrites, progress)?;
        Ok(amounts)
    }

    fn write(
        &mut self,
        batch: &[&Rewrite],
        steps: &mut Steps,
        progress: &mut dyn FnMut(Step),
    ) -> std::result::Result<(), FlashError> {
        let mut loader = self.session.target().flash_loader();
        for (address, page) in batch.iter().flat_map(|rewrite| rewrite.pages()) {
            loader.add_data(address.into(), page)?;
        }
        let mut options = DownloadOptions::default();
        options.progress = FlashProgress::new(|event| {
            if let Some(step) = steps.take(&event) {
                progress(step);
            }
        });
        loader.commit(&mut self.session, options)
    }

    /// Reads all of the parts and of the sectors that were written back, after the last erasure.
    fn verify(
        &mut self,
        parts: &[Part],
        rewrites: &[Rewrite],
        progress: &mut dyn FnMut(Step),
    ) -> Result<()> {
        let parts = parts.iter().map(|part| (part.name, part.address, part.bytes.as_slice()));
        // Parts come first, so that what is wrong in one of them is told by its name.
        let beside = rewrites.iter().filter(|rewrite| rewrite.kept > 0).map(|rewrite| {
            ("rest of a sector", rewrite.sector.address, rewrite.content.as_slice())
        });
        let all: Vec<_> = parts.chain(beside).collect();
        let total = Some(all.iter().map(|(.., bytes)| bytes.len() as u64).sum());
        let mut done = 0;
        for (name, address, bytes) in all {
            let mut count = |more| {
                done += more;
                progress(Step { doing: "read back", done, total });
            };
            if let Some(address) = self.first_difference(address, bytes, &mut count)? {
                return Err(Error::check_failed(
                    &self.board.name,
                    format_args!(
                        "the {name} was written, but at {address:#010x} something else is read back"
                    ),
                    "try again; if it stays so, this part of the chip's flash is protected or worn out",
                ));
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for Amounts {
    /// What a person is told.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { erased, written, kept, lost, verified } = *self;
        write!(formatter, "{} bytes erased, {} written", grouped(erased), grouped(written))?;
        if kept > 0 {
            write!(formatter, ", {} beside them kept", grouped(kept))?;
        }
        if lost > 0 {
            write!(formatter, ", {} beside them could not be read and are erased", grouped(lost))?;
        }
        write!(formatter, ", {} read back and right", grouped(verified))
    }
}

/// Sums up probe-rs's events, over all that is written one after the other.
struct Steps {
    erased: Operation,
    written: Operation,
}

struct Operation {
    done: u64,
    total: u64,
}

impl Steps {
    fn take(&mut self, event: &ProgressEvent) -> Option<Step> {
        let ProgressEvent::Progress { operation, size, .. } = event else { return None };
        let (doing, counts) = match operation {
            ProgressOperation::Erase => ("erase", &mut self.erased),
            ProgressOperation::Program => ("write", &mut self.written),
            _ => return None,
        };
        counts.done += size;
        Some(Step { doing, done: counts.done, total: Some(counts.total) })
    }
}
