//! Compares what the vector unit does with the link's bytes with the portable code: the checksum and copying up to a zero, at every length and
//! alignment that vectors can meet.
//!
//! The emulator ends with status 0 if all is as it should be, else with the number of the check that failed.
#![no_std]
#![no_main]

use tinyhero_common::checksum::Crc32;
use tinyhero_common::wire::byte_routines::ByteRoutines;
use tinyhero_firmware::kernel::Helium;
use tinyhero_firmware::semihosting;
use tinyhero_tests::Generator;

/// Longer than the longest run of a frame and than several vectors.
const BYTES: usize = 300;
const ALIGNMENTS: usize = 16;
const ROOM: usize = BYTES + 2 * ALIGNMENTS;

fn check(number: u32, holds: bool) {
    if !holds {
        semihosting::exit(number)
    }
}

/// `bytes` copied to `place`, by the vector unit and by the portable code, into memory that is all the same before.
fn copies_alike(vectors: ByteRoutines, place: usize, room: usize, source: &[u8]) {
    let portable = ByteRoutines::PORTABLE;
    let (mut expected, mut got) = ([0xA5u8; ROOM], [0xA5u8; ROOM]);
    let (Some(expected_room), Some(got_room)) =
        (expected.get_mut(place..place + room), got.get_mut(place..place + room))
    else {
        semihosting::exit(1)
    };
    check(2, (vectors.copy_run)(got_room, source) == (portable.copy_run)(expected_room, source));
    // Nothing else was written either.
    check(3, got == expected);
}

#[cortex_m_rt::entry]
fn main() -> ! {
    let vectors = Helium::BYTE_ROUTINES;
    let mut random = Generator::new(0x7131, 0);
    let mut memory = [0u8; ROOM];
    for length in 0..=BYTES {
        memory.iter_mut().for_each(|byte| *byte = random.next_word() as u8);
        let start = length % ALIGNMENTS;
        let Some(bytes) = memory.get_mut(start..start + length) else { semihosting::exit(1) };
        check(4, (vectors.crc32)(bytes) == Crc32::of(bytes));
        // Without a zero, then with one at each place or, of long ones, some, and one behind it that must not count.
        bytes.iter_mut().for_each(|byte| *byte = (*byte).max(1));
        let place = random.below(ALIGNMENTS as u32) as usize;
        copies_alike(vectors, place, length, bytes);
        copies_alike(vectors, place, length / 2, bytes);
        copies_alike(vectors, place, length + 1, bytes);
        for zero in (0..length).rev().step_by(1 + length / 64) {
            if let Some(byte) = bytes.get_mut(zero) {
                *byte = 0;
            }
            copies_alike(vectors, place, length, bytes);
        }
        check(5, (vectors.crc32)(bytes) == Crc32::of(bytes));
    }
    semihosting::exit(0)
}

tinyhero_firmware::emulated_board_handlers!();
