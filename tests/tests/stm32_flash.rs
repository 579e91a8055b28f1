//! The STM32 flash drivers against simulated controllers: a step left out, in the wrong order or at the wrong place fails here.

#[path = "support/flash_update.rs"]
mod flash_update;
#[path = "support/stm32_controller.rs"]
mod stm32_controller;
#[path = "support/stm32h7_controller.rs"]
mod stm32h7_controller;

use embedded_storage::nor_flash::{NorFlash, NorFlashErrorKind, ReadNorFlash};
use flash_update::update_both_slots;
use stm32_controller::{Chip, Controller, Simulated};
use stm32h7_controller::H7Controller;
use tinyhero::device::board;
use tinyhero_firmware::slot::MappedFlash;
use tinyhero_firmware::slot::stm32::{F4, Family, H7, L4, Stm32Flash};

/// The slots of the board `stm32f405`: six sectors of 128 kB.
const F4_SLOTS: [std::ops::Range<usize>; 2] = [0x4_0000..0xA_0000, 0xA_0000..0x10_0000];
/// The slots of the board `nucleo-l4r5zi`: one reaches from the first bank into the second.
const L4_SLOTS: [std::ops::Range<usize>; 2] = [0x8_0000..0x14_0000, 0x14_0000..0x20_0000];
/// The slots of the board `nucleo-h743zi`: seven sectors of 128 kB in either bank.
const H7_SLOTS: [std::ops::Range<usize>; 2] = [0x2_0000..0x10_0000, 0x10_0000..0x1E_0000];

fn f4(slot: usize, fill: u8) -> Controller {
    Controller::new(Chip::F405, fill, F4_SLOTS[slot].clone())
}

fn l4(slot: usize, fill: u8) -> Controller {
    Controller::new(Chip::L4R5, fill, L4_SLOTS[slot].clone())
}

fn h7(slot: usize, fill: u8) -> H7Controller {
    H7Controller::new(fill, H7_SLOTS[slot].clone())
}

#[test]
fn models_are_written_into_either_slot_and_nowhere_else() {
    for fill in [0xFF, 0x00, 0x5A] {
        update_both_slots([0, 1].map(|slot| Stm32Flash::<_, F4>::new(f4(slot, fill))));
        update_both_slots([0, 1].map(|slot| Stm32Flash::<_, L4>::new(l4(slot, fill))));
        update_both_slots([0, 1].map(|slot| Stm32Flash::<_, H7>::new(h7(slot, fill))));
    }
}

fn every_page_is_erased_alone<F: Family>(controller: impl Simulated) {
    let mut flash = Stm32Flash::<_, F>::new(controller);
    let page = F::PAGE_BYTES;
    for start in (0..flash.capacity()).step_by(page) {
        flash.erase(start as u32, (start + page) as u32).unwrap();
        let erased = flash.bytes().iter().take_while(|&&byte| byte == 0xFF).count();
        assert_eq!(erased, start + page);
    }
    assert_eq!(flash.access().operations(), flash.capacity() / page);
}

#[test]
fn pages_are_erased_one_by_one() {
    for slot in 0..2 {
        every_page_is_erased_alone::<F4>(f4(slot, 0));
        every_page_is_erased_alone::<L4>(l4(slot, 0));
        every_page_is_erased_alone::<H7>(h7(slot, 0));
    }
}

fn refuses_what_is_not_whole<F: Family>(controller: impl Simulated) {
    let mut flash = Stm32Flash::<_, F>::new(controller);
    let (page, end) = (F::PAGE_BYTES as u32, flash.capacity() as u32);
    assert_eq!(flash.erase(0, page - 1), Err(NorFlashErrorKind::NotAligned));
    assert_eq!(flash.erase(1, page), Err(NorFlashErrorKind::NotAligned));
    assert_eq!(flash.erase(end, end + page), Err(NorFlashErrorKind::OutOfBounds));
    let unit = F::UNIT_BYTES;
    assert_eq!(flash.write(1, &[0; 64][..unit]), Err(NorFlashErrorKind::NotAligned));
    assert_eq!(flash.write(0, &[0; 64][..unit - 1]), Err(NorFlashErrorKind::NotAligned));
    assert_eq!(flash.write(end, &[0; 64][..unit]), Err(NorFlashErrorKind::OutOfBounds));
    assert_eq!(flash.access().operations(), 0);
}

#[test]
fn parts_of_pages_and_units_and_places_beyond_the_end_are_refused() {
    refuses_what_is_not_whole::<F4>(f4(0, 0xFF));
    refuses_what_is_not_whole::<L4>(l4(0, 0xFF));
    refuses_what_is_not_whole::<H7>(h7(1, 0xFF));
}

/// A slot that begins where no large sector does: nothing is erased, rather than the sector around it.
#[test]
fn the_small_sectors_of_the_f4_are_refused() {
    for slot in [0x1_0000..0x3_0000, 0x0..0x2_0000] {
        let mut flash = Stm32Flash::<_, F4>::new(Controller::new(Chip::F405, 0, slot));
        assert_eq!(flash.erase(0, 0x2_0000), Err(NorFlashErrorKind::NotAligned));
        assert_eq!(flash.access().operations(), 0);
    }
}

fn notices<F: Family, A: Simulated>(mut controller: A, prepare: impl Fn(&mut A)) {
    prepare(&mut controller);
    let before = controller.operations();
    let mut flash = Stm32Flash::<_, F>::new(controller);
    assert_eq!(flash.erase(0, F::PAGE_BYTES as u32), Err(NorFlashErrorKind::Other));
    assert_eq!(flash.write(0, &[0x11; 64][..F::UNIT_BYTES]), Err(NorFlashErrorKind::Other));
    assert_eq!(flash.access().operations(), before);
}

#[test]
fn write_protection_and_a_controller_that_stays_locked_are_noticed() {
    const ALL: std::ops::Range<usize> = 0..2 << 20;
    notices::<F4, _>(f4(0, 0xFF), |controller| controller.protect(ALL));
    notices::<L4, _>(l4(0, 0xFF), |controller| controller.protect(ALL));
    notices::<F4, _>(f4(0, 0xFF), Simulated::jam);
    notices::<L4, _>(l4(0, 0xFF), Simulated::jam);
    for slot in 0..2 {
        notices::<H7, _>(h7(slot, 0xFF), |controller| controller.protect(ALL));
        notices::<H7, _>(h7(slot, 0xFF), Simulated::jam);
        notices::<H7, _>(h7(slot, 0xFF), H7Controller::swap_banks);
        notices::<H7, _>(h7(slot, 0xFF), |controller| controller.fail_after(0));
    }
    notices::<L4, _>(l4(0, 0xFF), Controller::join_banks);
}

#[test]
fn an_error_that_was_left_behind_is_cleared_and_not_taken_for_ones_own() {
    let mut controller = l4(0, 0);
    controller.leave_error();
    let mut flash = Stm32Flash::<_, L4>::new(controller);
    assert_eq!(flash.erase(0, 4096), Ok(()));
    assert_eq!(flash.write(0, &[1; 16]), Ok(()));
    assert!(flash.bytes().starts_with(&[1; 16]));
    for slot in 0..2 {
        let mut controller = h7(slot, 0);
        controller.leave_error();
        let mut flash = Stm32Flash::<_, H7>::new(controller);
        assert_eq!(flash.erase(0, 0x2_0000), Ok(()));
        assert_eq!(flash.write(0, &[1; 64]), Ok(()));
        assert!(flash.bytes().starts_with(&[1; 64]));
    }
}

/// Each bank of the H7 has a controller of its own, so a slot that reaches from one into the other is refused whole.
#[test]
fn a_slot_across_both_banks_of_the_h7_is_refused() {
    let across = H7Controller::new(0xFF, 0xE_0000..0x12_0000);
    notices::<H7, _>(across, |_| {});
}

/// What an update that was cut leaves behind: reading it would be a fault, so it is erased before anything is read.
#[test]
fn sectors_of_the_h7_that_cannot_be_read_are_erased_and_no_others() {
    const SECTOR: usize = 0x2_0000;
    for slot in 0..2 {
        let mut controller = h7(slot, 0x5A);
        for damaged in [0, SECTOR + 31, 3 * SECTOR - 1, 3 * SECTOR - 64, 7 * SECTOR - 256] {
            controller.damage(damaged);
        }
        let mut flash = Stm32Flash::<_, H7>::new(controller);
        assert!(!flash.has_lost());
        assert_eq!(flash.erase_unreadable(), Ok(()));
        assert!(flash.has_lost());
        for (index, sector) in flash.bytes().chunks(SECTOR).enumerate() {
            let expected = if [0, 1, 2, 6].contains(&index) { 0xFF } else { 0x5A };
            assert!(sector.iter().all(|&byte| byte == expected), "sector {index}");
        }
        assert_eq!(flash.access().operations(), 4);
        assert_eq!(flash.erase_unreadable(), Ok(()));
        assert_eq!(flash.access().operations(), 4);
    }
}

/// A slot in which everything can be read has lost nothing.
#[test]
fn a_slot_that_can_be_read_has_lost_nothing() {
    let mut flash = Stm32Flash::<_, H7>::new(h7(0, 0x5A));
    assert_eq!((flash.erase_unreadable(), flash.has_lost()), (Ok(()), false));
}

/// What the firmware asks its chip at start is what `flash` asks before it writes, and both take the board's chip for what it is.
#[test]
fn firmware_and_host_agree_on_how_much_flash_a_chip_has() {
    fn agree<F: Family>(name: &str) {
        let board = board::find(name).unwrap();
        let size = board.flash_size.unwrap();
        assert_eq!((size.address, size.mask), (F::SIZE_REGISTER, 0xFFFF << F::SIZE_SHIFT));
        for kilobytes in [0, 128, 512, 1024, 2048, 0xFFFF] {
            // What else is in the word is nothing to either.
            let word = (kilobytes << F::SIZE_SHIFT) | (0x5A5A_5A5A & !size.mask);
            let end = u64::from(F::flash_end(word));
            assert_eq!(end, u64::from(board.memory.flash.address) + size.of_word(word));
            // Only on the board's own chip do both slots lie in flash.
            let holds = board.memory.model.end() <= end;
            assert_eq!(holds, size.of_word(word) >= size.bytes.into(), "{name}: {kilobytes} kB");
        }
    }
    agree::<F4>("stm32f405");
    agree::<L4>("nucleo-l4r5zi");
    agree::<H7>("nucleo-h743zi");
}

/// The driver stops at the first flash word that fails.
#[test]
fn a_flash_word_that_fails_ends_the_write() {
    let mut controller = h7(1, 0xFF);
    controller.fail_after(3);
    let mut flash = Stm32Flash::<_, H7>::new(controller);
    assert_eq!(flash.write(64, &[7; 256]), Err(NorFlashErrorKind::Other));
    assert_eq!(flash.bytes()[64..160], [7; 96]);
    assert_eq!(flash.bytes()[160..320], [0xFF; 160]);
}

/// Bits only go from one to zero; the L4, which corrects errors, takes a double word once.
#[test]
fn writing_twice_without_erasing_is_refused_or_shows() {
    let mut flash = Stm32Flash::<_, L4>::new(l4(0, 0xFF));
    flash.write(8, &[0xF0; 8]).unwrap();
    assert_eq!(flash.write(8, &[0x30; 8]), Err(NorFlashErrorKind::Other));
    assert_eq!(flash.bytes()[8..16], [0xF0; 8]);
    let mut flash = Stm32Flash::<_, F4>::new(f4(0, 0xFF));
    flash.write(8, &[0xF0; 8]).unwrap();
    flash.write(8, &[0x3F; 8]).unwrap();
    assert_eq!(flash.bytes()[8..16], [0x30; 8]);
}
