//! The STM32 flash drivers against simulated controllers: a step left out, in the wrong order or at the wrong place fails here.

#[path = "support/stm32_controller.rs"]
mod stm32_controller;

use embedded_storage::nor_flash::{NorFlash, NorFlashErrorKind, ReadNorFlash};
use stm32_controller::{Chip, Controller};
use tinyhero_common::slot::{Slot, room};
use tinyhero_firmware::slot::stm32::{F4, Family, L4, Stm32Flash};
use tinyhero_firmware::slot::{MappedFlash, Slots};
use tinyhero_tests::Generator;

type Flash<F> = Stm32Flash<Controller, F>;

/// The slots of the board `stm32f405`: six sectors of 128 kB.
const F4_SLOTS: [std::ops::Range<usize>; 2] = [0x4_0000..0xA_0000, 0xA_0000..0x10_0000];
/// The slots of the board `nucleo-l4r5zi`: one reaches from the first bank into the second.
const L4_SLOTS: [std::ops::Range<usize>; 2] = [0x8_0000..0x14_0000, 0x14_0000..0x20_0000];

fn f4(slot: usize, fill: u8) -> Controller {
    Controller::new(Chip::F405, fill, F4_SLOTS[slot].clone())
}

fn l4(slot: usize, fill: u8) -> Controller {
    Controller::new(Chip::L4R5, fill, L4_SLOTS[slot].clone())
}

fn random_bytes(length: usize, seed: u32) -> Vec<u8> {
    let mut generator = Generator::new(seed, 0);
    (0..length).map(|_| generator.next_word() as u8).collect()
}

/// Writes files of a slot's whole room and of odd lengths by the firmware's own slots, one after the other in either slot.
fn update_both_slots<F: Family>(controllers: [Controller; 2]) {
    const PART: usize = 3840;
    let [a, b] = controllers.map(Flash::<F>::new);
    let whole = room(a.capacity());
    let mut slots = Slots::new(a, b);
    for (round, length) in [whole, 70_001, whole - 3, 5].into_iter().enumerate() {
        let file = random_bytes(length, round as u32);
        let digest = round as u32 + 1;
        let (_, idle) = slots.split();
        let mut idle = idle.unwrap();
        assert_eq!(idle.begin(length as u32, digest), Ok(0));
        for (index, part) in file.chunks(PART).enumerate() {
            let offset = (index * PART) as u32;
            assert_eq!(idle.write(digest, offset, part), Ok(offset + part.len() as u32));
        }
        assert_eq!(slots.written_file(digest), Some(file.as_slice()));
        assert!(slots.commit());
        let used = if round % 2 == 0 { Slot::A } else { Slot::B };
        assert_eq!(slots.used(), Some(used));
        let record = slots.record(used).unwrap();
        assert_eq!((record.sequence, record.digest), (digest, digest));
        assert!(slots.file(used).starts_with(&file));
    }
    assert!(slots.newest_first().iter().all(Option::is_some));
}

#[test]
fn models_are_written_into_either_slot_and_nowhere_else() {
    for fill in [0xFF, 0x00, 0x5A] {
        update_both_slots::<F4>([f4(0, fill), f4(1, fill)]);
        update_both_slots::<L4>([l4(0, fill), l4(1, fill)]);
    }
}

fn every_page_is_erased_alone<F: Family>(controller: Controller) {
    let mut flash = Flash::<F>::new(controller);
    let page = F::PAGE_BYTES;
    for start in (0..flash.capacity()).step_by(page) {
        flash.erase(start as u32, (start + page) as u32).unwrap();
        let erased = flash.bytes().iter().take_while(|&&byte| byte == 0xFF).count();
        assert_eq!(erased, start + page);
    }
    assert_eq!(flash.access().operations, flash.capacity() / page);
}

#[test]
fn pages_are_erased_one_by_one() {
    for slot in 0..2 {
        every_page_is_erased_alone::<F4>(f4(slot, 0));
        every_page_is_erased_alone::<L4>(l4(slot, 0));
    }
}

fn refuses_what_is_not_whole<F: Family>(controller: Controller) {
    let mut flash = Flash::<F>::new(controller);
    let (page, end) = (F::PAGE_BYTES as u32, flash.capacity() as u32);
    assert_eq!(flash.erase(0, page - 1), Err(NorFlashErrorKind::NotAligned));
    assert_eq!(flash.erase(1, page), Err(NorFlashErrorKind::NotAligned));
    assert_eq!(flash.erase(end, end + page), Err(NorFlashErrorKind::OutOfBounds));
    let unit = F::UNIT_BYTES;
    assert_eq!(flash.write(1, &[0; 64][..unit]), Err(NorFlashErrorKind::NotAligned));
    assert_eq!(flash.write(0, &[0; 64][..unit - 1]), Err(NorFlashErrorKind::NotAligned));
    assert_eq!(flash.write(end, &[0; 64][..unit]), Err(NorFlashErrorKind::OutOfBounds));
    assert_eq!(flash.access().operations, 0);
}

#[test]
fn parts_of_pages_and_units_and_places_beyond_the_end_are_refused() {
    refuses_what_is_not_whole::<F4>(f4(0, 0xFF));
    refuses_what_is_not_whole::<L4>(l4(0, 0xFF));
}

/// A slot that begins where no large sector does: nothing is erased, rather than the sector around it.
#[test]
fn the_small_sectors_of_the_f4_are_refused() {
    for slot in [0x1_0000..0x3_0000, 0x0..0x2_0000] {
        let mut flash = Flash::<F4>::new(Controller::new(Chip::F405, 0, slot));
        assert_eq!(flash.erase(0, 0x2_0000), Err(NorFlashErrorKind::NotAligned));
        assert_eq!(flash.access().operations, 0);
    }
}

fn notices<F: Family>(mut controller: Controller, prepare: impl Fn(&mut Controller)) {
    prepare(&mut controller);
    let before = controller.operations;
    let mut flash = Flash::<F>::new(controller);
    assert_eq!(flash.erase(0, F::PAGE_BYTES as u32), Err(NorFlashErrorKind::Other));
    assert_eq!(flash.write(0, &[0x11; 64][..F::UNIT_BYTES]), Err(NorFlashErrorKind::Other));
    assert_eq!(flash.access().operations, before);
}

#[test]
fn write_protection_and_a_controller_that_stays_locked_are_noticed() {
    let protect = |controller: &mut Controller| controller.protected = 0..2 << 20;
    notices::<F4>(f4(0, 0xFF), protect);
    notices::<L4>(l4(0, 0xFF), protect);
    notices::<F4>(f4(0, 0xFF), Controller::jam);
    notices::<L4>(l4(0, 0xFF), Controller::jam);
    notices::<L4>(l4(0, 0xFF), Controller::join_banks);
}

#[test]
fn an_error_that_was_left_behind_is_cleared_and_not_taken_for_ones_own() {
    let mut controller = l4(0, 0);
    controller.leave_error();
    let mut flash = Flash::<L4>::new(controller);
    assert_eq!(flash.erase(0, 4096), Ok(()));
    assert_eq!(flash.write(0, &[1; 16]), Ok(()));
    assert!(flash.bytes().starts_with(&[1; 16]));
}

/// Bits only go from one to zero; the L4, which corrects errors, takes a double word once.
#[test]
fn writing_twice_without_erasing_is_refused_or_shows() {
    let mut flash = Flash::<L4>::new(l4(0, 0xFF));
    flash.write(8, &[0xF0; 8]).unwrap();
    assert_eq!(flash.write(8, &[0x30; 8]), Err(NorFlashErrorKind::Other));
    assert_eq!(flash.bytes()[8..16], [0xF0; 8]);
    let mut flash = Flash::<F4>::new(f4(0, 0xFF));
    flash.write(8, &[0xF0; 8]).unwrap();
    flash.write(8, &[0x3F; 8]).unwrap();
    assert_eq!(flash.bytes()[8..16], [0x30; 8]);
}
