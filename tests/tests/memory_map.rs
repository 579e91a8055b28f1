//! Opens the image of every board that exists in hardware and holds it against the chip's memory as probe-rs knows it: what cannot be
//! tried without the board can at least not lie where the chip has nothing.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::OnceLock;

use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol, SectionFlags};
use probe_rs::Target;
use probe_rs::config::{MemoryRegion, Registry};
use tinyhero::device::board::{self, Board, Region};
use tinyhero::device::probe::firmware_parts;
use tinyhero::device::{firmware_image, setup};

/// A section that takes part in the running program (ELF, SHF_ALLOC).
const ALLOCATED: u64 = 2;
/// Entries of the vector table that are the core's own; those of the chip follow.
const CORE_VECTORS: usize = 16;

fn boards() -> &'static [(Board, PathBuf, Target)] {
    static BOARDS: OnceLock<Vec<(Board, PathBuf, Target)>> = OnceLock::new();
    BOARDS.get_or_init(|| {
        let mut report = |line: &str| eprintln!("{line}");
        let setup = setup::ensure(&mut report).unwrap();
        let mut boards = board::all().unwrap();
        boards.retain(|board| board.probe_rs_chip.is_some());
        assert!(boards.len() >= 7, "a board has lost its chip");
        let images = firmware_image::build(&boards, &setup, &mut report).unwrap();
        let registry = Registry::from_builtin_families();
        boards
            .into_iter()
            .zip(images)
            .map(|(board, image)| {
                let chip = board.probe_rs_chip.as_deref().unwrap();
                let target = registry.get_target_by_name(chip);
                let target = target.unwrap_or_else(|reason| panic!("{}: {reason}", board.name));
                assert_eq!(target.name, chip, "{}: probe-rs took another chip", board.name);
                (board, image, target)
            })
            .collect()
    })
}

fn range(region: Region) -> Range<u64> {
    u64::from(region.address)..region.end()
}

/// Whether all of `wanted` lies in regions that `kind` accepts, which may follow one another.
fn lies_in(target: &Target, wanted: &Range<u64>, kind: impl Fn(&MemoryRegion) -> bool) -> bool {
    let mut place = wanted.start;
    while place < wanted.end {
        let covering =
            target.memory_map.iter().find(|region| kind(region) && region.contains(place));
        match covering {
            Some(region) => place = region.address_range().end,
            None => return false,
        }
    }
    true
}

#[test]
fn the_board_files_memory_is_the_chips() {
    for (board, _, target) in boards() {
        let (name, memory) = (&board.name, &board.memory);
        for (what, region) in [("flash", memory.flash), ("model", memory.model)] {
            assert!(lies_in(target, &range(region), MemoryRegion::is_nvm), "{name}: {what}");
        }
        for (what, region) in [("ram", memory.ram), ("stack", memory.stack)] {
            assert!(lies_in(target, &range(region), MemoryRegion::is_ram), "{name}: {what}");
        }
    }
}

#[test]
fn every_section_lies_in_memory_that_the_chip_has() {
    for (board, image, target) in boards() {
        let bytes = std::fs::read(image).unwrap();
        let file = object::File::parse(bytes.as_slice()).unwrap();
        let mut looked_at = 0;
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
            // defmt's texts have addresses of their own kind and are in no segment.
            let name = section.name().unwrap();
            if sh_flags.0 & ALLOCATED == 0 || section.size() == 0 || name.starts_with(".defmt") {
                continue;
            }
            let place = section.address()..section.address() + section.size();
            let mine = [board.memory.flash, board.memory.ram];
            assert!(
                lies_in(target, &place, |region| region.is_nvm() || region.is_ram())
                    && mine.iter().any(|region| {
                        range(*region).start <= place.start && place.end <= range(*region).end
                    }),
                "{}: {name} at {place:#x?}",
                board.name
            );
            looked_at += 1;
        }
        assert!(looked_at >= 5, "{}: {looked_at} sections", board.name);
        assert!(file.segments().any(|segment| segment.size() > 0));
        for part in firmware_parts(image).unwrap() {
            let place = u64::from(part.address)..u64::from(part.address) + part.bytes.len() as u64;
            let flash = range(board.memory.flash);
            assert!(flash.start <= place.start && place.end <= flash.end, "{}", board.name);
        }
    }
}

#[test]
fn the_vector_table_starts_the_program() {
    for (board, image, _) in boards() {
        let name = &board.name;
        let bytes = std::fs::read(image).unwrap();
        let file = object::File::parse(bytes.as_slice()).unwrap();
        let table = file.section_by_name(".vector_table").unwrap();
        let vectors: Vec<u32> = table
            .data()
            .unwrap()
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| u32::from_le_bytes(*bytes))
            .collect();
        let entries = vectors.len();
        assert!(entries > CORE_VECTORS, "{name}: {entries} vectors");
        let alignment = (4 * entries as u64).next_power_of_two().max(128);
        assert!(table.address().is_multiple_of(alignment), "{name}: {:#x}", table.address());
        assert_eq!(u64::from(vectors[0]), board.memory.stack.end(), "{name}: stack pointer");
        let code = file.section_by_name(".text").unwrap();
        let code = code.address()..code.address() + code.size();
        for (number, &vector) in vectors.iter().enumerate().skip(1) {
            let is_code = vector & 1 == 1 && code.contains(&u64::from(vector & !1));
            let may_be_empty = number != 1 && number != 3;
            assert!(
                is_code || (vector == 0 && may_be_empty),
                "{name}: vector {number}: {vector:#x}"
            );
        }
        let reset = file.symbols().find(|symbol| symbol.name() == Ok("Reset")).unwrap();
        assert_eq!(u64::from(vectors[1]) & !1, reset.address() & !1, "{name}: reset");
    }
}

/// The flash of the Raspberry Pi boards is not there while it is written, and neither are vectors, code and constants in it.
#[test]
fn what_runs_while_flash_is_away_is_in_ram_and_needs_nothing_else() {
    let mut looked_at = 0;
    for (board, image, target) in boards() {
        if !target.name.starts_with("RP2") {
            continue;
        }
        let name = &board.name;
        let bytes = std::fs::read(image).unwrap();
        let file = object::File::parse(bytes.as_slice()).unwrap();
        let ram = range(board.memory.ram);
        let in_ram = |part: &str| {
            let named = |symbol: &object::Symbol<'_, '_>| {
                symbol.name().is_ok_and(|name| name.contains(part) && !name.contains("Thunk"))
            };
            let mut symbols = file.symbols().filter(named);
            let symbol = symbols.next().unwrap_or_else(|| panic!("{name}: no {part}"));
            assert!(symbols.next().is_none(), "{name}: {part} twice");
            let place = symbol.address() & !1..(symbol.address() & !1) + symbol.size();
            assert!(ram.start <= place.start && place.end <= ram.end, "{name}: {part}");
            place
        };
        // What puts the flash back: 256 bytes that are copied at start.
        let set_up = in_ram("XIP_SET_UP");
        assert_eq!((set_up.end - set_up.start, set_up.start % 4), (256, 0), "{name}");
        let routine = in_ram("tinyhero_call_in_order");
        let data = file.section_by_name(".data").unwrap();
        let code = data.data_range(routine.start, routine.end - routine.start).unwrap().unwrap();
        let halves: Vec<u16> =
            code.as_chunks::<2>().0.iter().map(|half| u16::from_le_bytes(*half)).collect();
        let mut calls = 0;
        let mut place = halves.iter();
        while let Some(&half) = place.next() {
            // Encodings of Thumb instructions: Armv6-M Architecture Reference Manual, A5.2 and A5.3.
            if half >= 0xE800 {
                let second = *place.next().unwrap();
                assert_ne!(second & 0x9000, 0x9000, "{name}: a direct call or a far branch");
            } else {
                assert_ne!(half & 0xF800, 0x4800, "{name}: a constant is loaded");
                calls += u32::from(half & 0xFF87 == 0x4780);
            }
        }
        assert_eq!(calls, 1, "{name}: calls of what the list names");
        looked_at += 1;
    }
    assert_eq!(looked_at, 2, "boards with flash of this kind");
}

#[test]
fn no_sector_is_shared_by_firmware_and_models() {
    for (board, _, target) in boards() {
        let name = &board.name;
        let mut starts: Vec<u64> = Vec::new();
        for algorithm in &target.flash_algorithms {
            let properties = &algorithm.flash_properties;
            for (index, sector) in properties.sectors.iter().enumerate() {
                let end = match properties.sectors.get(index + 1) {
                    Some(next) => properties.address_range.start + next.address,
                    None => properties.address_range.end,
                };
                let mut start = properties.address_range.start + sector.address;
                while start < end {
                    starts.push(start);
                    start += sector.size;
                }
            }
        }
        let model = board.memory.model;
        let mut borders = vec![u64::from(model.address)];
        if board.memory.model_writable {
            borders.push(u64::from(model.address) + u64::from(model.bytes) / 2);
        }
        for border in borders {
            assert!(starts.contains(&border), "{name}: no sector starts at {border:#x}");
        }
    }
}
