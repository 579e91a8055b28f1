//! The boards that tinyhero knows: one folder each in `boards/`, described by its `Board.toml`.
//!
//! The files are read at run time from the workspace this program was built in (or, when that has moved, the one around the
//! working directory), since building a board's firmware needs that workspace anyway. Every key is strict: an unknown one is
//! refused.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tinyhero_common::slot;

use crate::cortex::Core;
use crate::error::{Error, Result};

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Region {
    /// First address.
    pub address: u32,
    /// Length in bytes.
    pub bytes: u32,
}

impl Region {
    /// One past the last address; 64 bits, since a region may end where addresses do.
    pub fn end(self) -> u64 {
        u64::from(self.address) + u64::from(self.bytes)
    }

    /// Whether `other` lies within.
    pub fn contains(self, other: Region) -> bool {
        self.address <= other.address && other.end() <= self.end()
    }

    /// Whether the two share an address.
    pub fn overlaps(self, other: Region) -> bool {
        u64::from(self.address) < other.end() && u64::from(other.address) < self.end()
    }
}

/// A board's memory; `boards/build.rs` makes the linker's script of it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Memory {
    /// Where the firmware lies.
    pub flash: Region,
    /// The part of flash, at its start, that the chip's first boot stage takes.
    #[serde(default)]
    pub boot: Option<Region>,
    /// Static data, arena and stack.
    pub ram: Region,
    /// The part of RAM that the stack may use.
    pub stack: Region,
    /// Where the model file lies.
    pub model: Region,
    /// Whether the running firmware can write the model region.
    pub model_writable: bool,
}

/// A word that only one kind of chip has at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ChipIdentity {
    /// Where the word is.
    pub address: u32,
    /// The bits of it that count.
    pub mask: u32,
    /// What they are.
    pub value: u32,
}

/// A word in which a chip says how much flash it has, so that a smaller sibling of the board's chip is told from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FlashSize {
    /// Where the word is.
    pub address: u32,
    /// The bits of it that count, next to one another.
    pub mask: u32,
    /// Bytes of flash for each that they count.
    pub unit_bytes: u32,
    /// Bytes of flash that the board's chip has.
    pub bytes: u32,
}

impl FlashSize {
    /// The bytes of flash of a chip whose word this is.
    pub fn of_word(self, word: u32) -> u64 {
        let count = (word & self.mask) >> self.mask.trailing_zeros().min(31);
        u64::from(count) * u64::from(self.unit_bytes)
    }
}

/// What is the case where a board file says nothing.
const fn modelled() -> bool {
    true
}

/// How QEMU emulates a board.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Emulation {
    /// QEMU's name of the machine.
    pub machine: String,
    /// Further arguments for QEMU.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Whether QEMU models the controller of the flash that the models are in, or they are in RAM; without it the firmware's writes do
    /// nothing, which it notices.
    #[serde(default = "modelled")]
    pub flash_controller: bool,
}

/// A board: one folder in `boards/`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Board {
    /// Name of the folder, of the crate and of the firmware's ELF file.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// The core.
    pub core: Core,
    /// Rust's name of the compilation target.
    pub target: String,
    /// 1: every change is tested on it; 2: it is built; 3: contributed.
    pub tier: u8,
    /// Ticks per second of the clock that the firmware counts with.
    pub clock_hertz: u32,
    /// The chip's name in probe-rs, for boards that exist in hardware.
    #[serde(default)]
    pub probe_rs_chip: Option<String>,
    /// How to tell the chip from others.
    #[serde(default)]
    pub chip_identity: Option<ChipIdentity>,
    /// How to tell how much flash the chip has; absent where the flash is a chip of its own.
    #[serde(default)]
    pub flash_size: Option<FlashSize>,
    /// The memory map.
    pub memory: Memory,
    /// How it is emulated, if it is.
    #[serde(default)]
    pub qemu: Option<Emulation>,
}

impl Board {
    /// Reads the board in the folder `folder`.
    ///
    /// # Errors
    /// A file that cannot be read, is not TOML, has an unknown or missing key, or contradicts itself.
    pub fn read(folder: &Path) -> Result<Board> {
        let path = folder.join("Board.toml");
        let text =
            std::fs::read_to_string(&path).map_err(|reason| Error::reading(&path, &reason))?;
        let board: Board = toml::from_str(&text)
            .map_err(|reason| Error::bad_input(path.display(), reason, "correct the board file"))?;
        board.check(folder).map_err(|problem| {
            Error::bad_input(path.display(), problem, "correct the board file")
        })?;
        Ok(board)
    }

    fn check(&self, folder: &Path) -> std::result::Result<(), String> {
        if folder.file_name().and_then(|name| name.to_str()) != Some(self.name.as_str()) {
            return Err(format!("name `{}` is not the folder's", self.name));
        }
        let memory = &self.memory;
        if memory.stack.address != memory.ram.address || !memory.ram.contains(memory.stack) {
            return Err("the stack is not at the start of ram".into());
        }
        if memory.boot.is_some_and(|boot| {
            boot.address != memory.flash.address || !memory.flash.contains(boot)
        }) {
            return Err("the boot stage is not at the start of flash".into());
        }
        if memory.model.overlaps(memory.flash) || memory.model.overlaps(memory.ram) {
            return Err("the model region overlaps flash or ram".into());
        }
        if !memory.model.address.is_multiple_of(16) {
            return Err("the model region is not aligned to 16 bytes".into());
        }
        if let Some(size) = self.flash_size {
            let end = memory.flash.end().max(memory.model.end());
            if end > u64::from(memory.flash.address) + u64::from(size.bytes) {
                return Err("flash and model need more than flash-size has".into());
            }
            let above = u64::from(size.mask) + (1 << size.mask.trailing_zeros());
            if size.mask == 0 || !above.is_power_of_two() {
                return Err("the bits of flash-size's mask are not next to one another".into());
            }
        }
        if self.clock_hertz == 0 {
            return Err("clock-hertz is 0".into());
        }
        Ok(())
    }

    /// Longest model file that the board has room for, in bytes: one slot's where models can be sent, since there are two then.
    pub const fn model_room(&self) -> usize {
        let region = self.memory.model.bytes as usize;
        if self.memory.model_writable { slot::room(slot::slot_bytes(region)) } else { region }
    }

    /// Nanoseconds per tick of the board's clock.
    pub fn nanoseconds_per_tick(&self) -> f64 {
        1e9 / f64::from(self.clock_hertz)
    }
}

/// Says where the sources are, if they have been moved since the program was built.
const SOURCES_VARIABLE: &str = "TINYHERO_SOURCES";

/// The workspace that holds the boards' sources: the one that the program was built from, or the one that the variable
/// `TINYHERO_SOURCES` names. No other, since what it holds is built, and building runs it: a folder that happens to be around the
/// working directory may be anybody's.
///
/// # Errors
/// No such folder: the sources were moved away.
pub fn workspace_root() -> Result<PathBuf> {
    let named = std::env::var_os(SOURCES_VARIABLE).map(PathBuf::from);
    source_tree(named, Path::new(env!("CARGO_MANIFEST_DIR")).parent())
}

fn source_tree(named: Option<PathBuf>, built_from: Option<&Path>) -> Result<PathBuf> {
    let root = named.or_else(|| built_from.map(Path::to_path_buf)).unwrap_or_default();
    if root.join("boards").join("build.rs").is_file() {
        return Ok(root);
    }
    Err(Error::bad_input(
        root.display(),
        "is not tinyhero's source tree, which holds the boards",
        format_args!("set {SOURCES_VARIABLE} to the folder that has it now, or build again there"),
    ))
}

/// Every board, by name.
///
/// # Errors
/// See [`Board::read`] and [`workspace_root`].
pub fn all() -> Result<Vec<Board>> {
    let folder = workspace_root()?.join("boards");
    let entries = std::fs::read_dir(&folder).map_err(|reason| Error::reading(&folder, &reason))?;
    let mut boards = Vec::new();
    for entry in entries {
        let path = entry.map_err(|reason| Error::reading(&folder, &reason))?.path();
        if path.join("Board.toml").is_file() {
            boards.push(Board::read(&path)?);
        }
    }
    boards.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(boards)
}

/// Every emulated board, by name.
///
/// # Errors
/// See [`all`].
pub fn emulated() -> Result<Vec<Board>> {
    let mut boards = all()?;
    boards.retain(|board| board.qemu.is_some());
    Ok(boards)
}

/// The board called `name`.
///
/// # Errors
/// No board of that name; the error lists those there are.
pub fn find(name: &str) -> Result<Board> {
    let boards = all()?;
    let names = boards.iter().map(|board| board.name.as_str()).collect::<Vec<_>>().join(", ");
    boards
        .into_iter()
        .find(|board| board.name == name)
        .ok_or_else(|| Error::bad_input(name, "no such board", format!("use one of {names}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_board_file_is_valid_and_every_core_is_emulated() {
        let boards = emulated().unwrap();
        for core in Core::ALL {
            assert!(boards.iter().any(|board| board.core == core), "{core} is not emulated");
        }
    }

    #[test]
    fn no_folder_around_the_working_directory_is_taken_for_the_sources() {
        // This test's working directory is within a source tree.
        assert!(Path::new("../boards/build.rs").is_file());
        let error = source_tree(None, Some(Path::new("/moved"))).unwrap_err().to_string();
        assert!(error.starts_with("/moved: ") && error.contains(SOURCES_VARIABLE), "{error}");
        let named = source_tree(Some("..".into()), Some(Path::new("/moved"))).unwrap();
        assert_eq!(named, Path::new(".."));
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let folder = workspace_root().unwrap().join("boards/microbit");
        let text = std::fs::read_to_string(folder.join("Board.toml")).unwrap();
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("microbit");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("Board.toml"), format!("colour = \"red\"\n{text}")).unwrap();
        let error = Board::read(&folder).unwrap_err().to_string();
        assert!(error.contains("colour"), "{error}");
    }

    #[test]
    fn every_chip_with_flash_of_its_own_says_how_much_it_has() {
        for board in all().unwrap() {
            let Some(chip) = &board.probe_rs_chip else { continue };
            assert_eq!(board.flash_size.is_none(), chip.starts_with("RP2"), "{chip}");
        }
    }

    #[test]
    fn a_flash_size_is_taken_from_the_bits_that_count() {
        let upper = FlashSize { address: 0, mask: 0xFFFF_0000, unit_bytes: 1024, bytes: 1 << 20 };
        assert_eq!(upper.of_word(0x0400_FFFF), 1 << 20);
        assert_eq!(upper.of_word(0x0200_0000), 512 << 10);
        let all = FlashSize { mask: u32::MAX, unit_bytes: 4096, ..upper };
        assert_eq!(all.of_word(256), 1 << 20);
        assert_eq!(all.of_word(u32::MAX), 4096 * u64::from(u32::MAX));
        assert_eq!(FlashSize { mask: 0, ..upper }.of_word(7), 0);
    }

    #[test]
    fn a_flash_size_that_is_none_is_refused() {
        let folder = workspace_root().unwrap().join("boards/microbit");
        let mut board = Board::read(&folder).unwrap();
        board.check(&folder).unwrap();
        let size = board.flash_size.unwrap();
        for wrong in [
            FlashSize { bytes: size.bytes - 1, ..size },
            FlashSize { mask: 0, ..size },
            FlashSize { mask: 0b1011 << 4, ..size },
        ] {
            board.flash_size = Some(wrong);
            assert!(board.check(&folder).is_err(), "{wrong:?}");
        }
        board.flash_size = Some(FlashSize { mask: 0xFFF0, ..size });
        board.check(&folder).unwrap();
    }

    #[test]
    fn an_unknown_board_is_answered_with_those_there_are() {
        let error = find("mps2").unwrap_err().to_string();
        assert!(error.contains("no such board") && error.contains("mps2-an386"), "{error}");
    }
}
