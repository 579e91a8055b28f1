//! The driver for the flash beside RP2040 and RP2350 against a simulated boot ROM: a step left out, in the wrong order or at the wrong place
//! fails here.

#[path = "support/flash_update.rs"]
mod flash_update;
#[path = "support/rp2_rom.rs"]
mod rp2_rom;

use std::ops::Range;

use embedded_storage::nor_flash::{NorFlash, NorFlashErrorKind, ReadNorFlash};
use flash_update::update_both_slots;
use rp2_rom::{FLASH_BYTES, SimulatedRom};
use tinyhero_common::wire::message::Refusal;
use tinyhero_firmware::slot::rp2::{PAGE_BYTES, Rp2Flash, SECTOR_BYTES};
use tinyhero_firmware::slot::{MappedFlash, Slots};

/// The slots of the board `rpi-pico`: three eighths of the chip each.
const SLOTS: [Range<usize>; 2] = [0x8_0000..0x14_0000, 0x14_0000..FLASH_BYTES];

fn flash(slot: usize, fill: u8) -> Rp2Flash<SimulatedRom> {
    Rp2Flash::new(SimulatedRom::new(fill, SLOTS[slot].clone()))
}

#[test]
fn models_are_written_into_either_slot_and_nowhere_else() {
    // The chip's bytes are copied at every order here, so smaller slots do: two sectors more than the shorter file needs.
    const SMALL: [Range<usize>; 2] = [0x8_0000..0x9_4000, 0x1E_C000..FLASH_BYTES];
    for fill in [0xFF, 0x00, 0x5A] {
        update_both_slots(SMALL.map(|slot| Rp2Flash::new(SimulatedRom::new(fill, slot))));
    }
}

#[test]
fn sectors_are_erased_one_by_one() {
    for slot in 0..2 {
        let mut flash = flash(slot, 0);
        let (first, second) = (SECTOR_BYTES as u32, 2 * SECTOR_BYTES as u32);
        flash.erase(first, second).unwrap();
        let zeros = |bytes: &[u8]| bytes.iter().all(|&byte| byte == 0);
        assert!(zeros(&flash.bytes()[..SECTOR_BYTES]));
        assert_eq!(flash.bytes()[SECTOR_BYTES..2 * SECTOR_BYTES], [0xFF; SECTOR_BYTES]);
        assert!(zeros(&flash.bytes()[2 * SECTOR_BYTES..]));
        let end = flash.capacity() as u32;
        flash.erase(end - second, end).unwrap();
        assert_eq!(flash.rom().operations, 3);
    }
}

#[test]
fn writing_clears_bits_and_only_erasing_sets_them() {
    let mut flash = flash(0, 0xFF);
    flash.write(PAGE_BYTES as u32, &[0x0F; PAGE_BYTES]).unwrap();
    flash.write(PAGE_BYTES as u32, &[0x3C; 2 * PAGE_BYTES]).unwrap();
    assert_eq!(flash.bytes()[..PAGE_BYTES], [0xFF; PAGE_BYTES]);
    assert_eq!(flash.bytes()[PAGE_BYTES..2 * PAGE_BYTES], [0x0C; PAGE_BYTES]);
    assert_eq!(flash.bytes()[2 * PAGE_BYTES..3 * PAGE_BYTES], [0x3C; PAGE_BYTES]);
    assert_eq!(flash.rom().operations, 3);
}

#[test]
fn parts_of_sectors_and_pages_and_places_beyond_the_end_are_refused() {
    let mut flash = flash(1, 0xFF);
    let (sector, end) = (SECTOR_BYTES as u32, flash.capacity() as u32);
    assert_eq!(flash.erase(0, sector - 1), Err(NorFlashErrorKind::NotAligned));
    assert_eq!(flash.erase(256, sector + 256), Err(NorFlashErrorKind::NotAligned));
    assert_eq!(flash.erase(end, end + sector), Err(NorFlashErrorKind::OutOfBounds));
    assert_eq!(flash.write(32, &[0; PAGE_BYTES]), Err(NorFlashErrorKind::NotAligned));
    assert_eq!(flash.write(0, &[0; 32]), Err(NorFlashErrorKind::NotAligned));
    assert_eq!(flash.write(end, &[0; PAGE_BYTES]), Err(NorFlashErrorKind::OutOfBounds));
    assert_eq!(flash.rom().operations, 0);
}

#[test]
fn a_slot_whose_place_is_unknown_or_within_a_sector_is_refused() {
    let mut rom = SimulatedRom::new(0xFF, SLOTS[0].clone());
    rom.lose_place();
    let within = SimulatedRom::new(0xFF, 0x8_0100..0x9_0100);
    for (rom, error) in [(rom, NorFlashErrorKind::Other), (within, NorFlashErrorKind::NotAligned)] {
        let mut flash = Rp2Flash::new(rom);
        assert_eq!(flash.erase(0, SECTOR_BYTES as u32), Err(error));
        assert_eq!(flash.write(0, &[0; PAGE_BYTES]), Err(error));
        assert_eq!(flash.rom().operations, 0);
    }
}

/// Constants are in flash, which is not there while it is written.
#[test]
fn bytes_that_are_in_flash_themselves_are_copied_first() {
    let constants: Vec<u8> = (0..512).map(|index| index as u8).collect();
    let mut rom = SimulatedRom::new(0xFF, SLOTS[0].clone());
    rom.hold_constants(&constants);
    let mut flash = Rp2Flash::new(rom);
    flash.write(0, &constants).unwrap();
    assert!(flash.bytes().starts_with(&constants));
}

/// A protected chip says nothing, but what is read back does.
#[test]
fn write_protection_is_noticed_by_reading_back() {
    let [a, b] = SLOTS.map(|slot| {
        let mut rom = SimulatedRom::new(0xFF, slot);
        rom.protect();
        Rp2Flash::new(rom)
    });
    let mut slots = Slots::new(a, b);
    let (_, idle) = slots.split();
    let mut idle = idle.unwrap();
    assert_eq!(idle.begin(1000, 7), Ok(0));
    assert_eq!(idle.write(7, 0, &[0x11; 512]), Err(Refusal::Write));
    assert!(!slots.commit());
}
