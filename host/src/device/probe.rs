//! A real board behind a debug probe, by the probe-rs library: found, attached to, checked to be
//! the right chip, written, started.
//!
//! Everything works on a [`probe_rs::probe::Probe`], wherever it comes from: [`open`] takes one
//! from USB, the tests put one in front of an emulator.

mod chip_flash;
mod failure;
mod flash;
mod link;
mod log;
mod plan;

use std::path::Path;
use std::time::{Duration, Instant};

use probe_rs::probe::list::Lister;
use probe_rs::probe::{DebugProbeSelector, Probe};
use probe_rs::rtt::Rtt;
use probe_rs::{MemoryInterface, Permissions, Session};

pub use flash::{Amounts, Part, Step, firmware_parts};
pub use link::ProbeLink;
pub use log::Log;

use super::board::Board;
use super::firmware_image;
use crate::cortex::Core;
use crate::error::{Error, Result};
use crate::report::table::grouped;

/// The firmware's symbol for the control block of its channels.
const CONTROL_BLOCK: &str = "_SEGGER_RTT";
/// Where a Cortex-M says which core it is.
const CPUID: u64 = 0xE000_ED00;
/// Longest time from a board's start to its channels being there.
const START_LIMIT: Duration = Duration::from_secs(3);
/// Longest time for the core to stop.
const HALT_LIMIT: Duration = Duration::from_millis(500);
/// How often a wait looks.
const POLL: Duration = Duration::from_millis(2);

/// The selector that stands for the only probe there is.
const ANY: &str = "any";

/// Opens the debug probe that `selector` names: `VID:PID` or `VID:PID:SERIAL`; without one, or with
/// `any`, the only one there is.
///
/// # Errors
/// None is connected, several are and none was chosen, or it cannot be opened.
pub fn open(selector: Option<&str>) -> Result<Probe> {
    let lister = Lister::new();
    let selector = match selector.filter(|text| *text != ANY) {
        Some(text) => text.parse::<DebugProbeSelector>().map_err(|reason| {
            Error::bad_input(
                format_args!("--probe {text}"),
                reason,
                "give VID:PID or VID:PID:SERIAL",
            )
        })?,
        None => {
            let found = lister.list_all();
            match found.as_slice() {
                [only] => DebugProbeSelector::from(only),
                [] => return Err(no_probe()),
                several => {
                    let names: Vec<String> = several.iter().map(ToString::to_string).collect();
                    return Err(Error::bad_input(
                        "--probe",
                        format_args!("{} probes are connected: {}", names.len(), names.join(", ")),
                        "choose one with --probe VID:PID:SERIAL",
                    ));
                }
            }
        }
    };
    let place = selector.to_string();
    lister
        .open(selector)
        .map_err(|reason| failure::explain(&place, "cannot open the probe", &reason))
}

fn no_probe() -> Error {
    Error::bad_input(
        "debug probe",
        "none is connected",
        "plug one in (on Linux, udev rules must let you use it: see probe-rs's set-up page)",
    )
}

/// A board whose chip has been found to be the right one.
pub struct Attached {
    session: Session,
    board: Board,
    /// Whether the flash is in the address space.
    readable: bool,
}

impl Attached {
    /// Attaches to the chip of `board` and checks that it is that chip.
    ///
    /// # Errors
    /// probe-rs does not know the chip, no chip answers, it is locked, or it is another one.
    pub fn attach(probe: Probe, board: &Board) -> Result<Attached> {
        let Some(chip) = &board.probe_rs_chip else {
            return Err(Error::bad_input(
                &board.name,
                "this board exists only in emulation",
                "choose one with a probe-rs chip from `tinyhero boards`",
            ));
        };
        // A probe's word on how fast it is comes first; what the chip's flash takes in is slower
        // anyway.
        let session = probe.attach(chip.as_str(), Permissions::default()).map_err(|reason| {
            failure::explain(&board.name, "cannot attach to the chip", &reason)
        })?;
        let mut attached = Attached { session, board: board.clone(), readable: false };
        attached.check_chip()?;
        Ok(attached)
    }

    /// The core by its own identification, then the chip by the word that its board file names and
    /// by the size of its flash.
    fn check_chip(&mut self) -> Result<()> {
        let cpuid = self.read_word(CPUID)?;
        let part = cpuid >> 4 & 0xFFF;
        if !self.board.core.part_numbers().contains(&part) {
            let found = Core::ALL.into_iter().find(|core| core.part_numbers().contains(&part));
            let found = found.map_or_else(|| format!("part {part:#x}"), |core| core.to_string());
            return Err(
                self.wrong_chip(format!("its core is a {found}, not a {}", self.board.core))
            );
        }
        if let Some(identity) = self.board.chip_identity {
            let word = self.read_word(identity.address.into())?;
            if word & identity.mask != identity.value {
                return Err(self.wrong_chip(format!(
                    "the word at {:#010x} is {:#010x} where {:#010x} is expected",
                    identity.address,
                    word & identity.mask,
                    identity.value
                )));
            }
        }
        if let Some(size) = self.board.flash_size {
            let found = size.of_word(self.read_word(size.address.into())?);
            if found != u64::from(size.bytes) {
                return Err(self.wrong_chip(format!(
                    "it has {} bytes of flash where {} are expected",
                    grouped(found),
                    grouped(size.bytes.into())
                )));
            }
        }
        Ok(())
    }

    fn wrong_chip(&self, problem: String) -> Error {
        let chip = self.board.probe_rs_chip.as_deref().unwrap_or_default();
        Error::bad_input(
            &self.board.name,
            format!("the chip at the probe is not {chip}: {problem}"),
            "name the board that is connected with --on, or choose another probe with --probe",
        )
    }

    fn read_word(&mut self, address: u64) -> Result<u32> {
        let word = self.session.core(0).and_then(|mut core| core.read_word_32(address));
        word.map_err(|reason| failure::explain(&self.board.name, "cannot read the chip", &reason))
    }

    /// Resets the board and lets it run its firmware `image`, until the link is there. `log` is
    /// given each line of the board's log.
    ///
    /// # Errors
    /// The firmware in flash is not this one or does not start.
    pub fn start(mut self, image: &Path, log: Option<Log>) -> Result<ProbeLink> {
        let Some(address) = firmware_image::symbol(image, CONTROL_BLOCK)? else {
            return Err(Error::bad_input(
                image.display(),
                "this firmware has no channels for a probe",
                "build the firmware again",
            ));
        };
        let address = u64::from(address);
        let channels = self.run_until_channels(address).map_err(|reason| {
            failure::explain(&self.board.name, "cannot start the firmware", &*reason)
        })?;
        match channels {
            Some(channels) => ProbeLink::new(self.session, &self.board, channels, log),
            None => Err(Error::check_failed(
                &self.board.name,
                format_args!("the firmware did not start within {} s", START_LIMIT.as_secs()),
                "write it with `tinyhero flash --firmware`, and see its log with --log",
            )),
        }
    }

    fn run_until_channels(
        &mut self,
        address: u64,
    ) -> std::result::Result<Option<Rtt>, Box<dyn std::error::Error + Send + Sync>> {
        let mut core = self.session.core(0)?;
        core.reset_and_halt(HALT_LIMIT)?;
        // What an earlier run left in RAM must not be taken for this one's.
        core.write_8(address, &[0; Rtt::RTT_ID.len()])?;
        core.run()?;
        let deadline = Instant::now() + START_LIMIT;
        let mut seen = false;
        while Instant::now() < deadline {
            match Rtt::attach_at(&mut core, address) {
                // Start-up copies the block word by word: at the second look all of it is there.
                Ok(channels) if seen => return Ok(Some(channels)),
                Ok(_) => seen = true,
                Err(probe_rs::rtt::Error::Probe(reason)) => return Err(reason.into()),
                Err(_) => seen = false,
            }
            std::thread::sleep(POLL);
        }
        Ok(None)
    }
}
