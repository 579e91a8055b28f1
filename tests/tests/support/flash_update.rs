//! Updates by the firmware's own slots, over a driver whose flash is simulated.

use tinyhero_common::slot::{Slot, room};
use tinyhero_firmware::slot::{MappedFlash, Slots};
use tinyhero_tests::Generator;

/// A multiple of 256 bytes, as the link asks for, that fills no page of any flash.
const PART: usize = 3840;

fn random_bytes(length: usize, seed: u32) -> Vec<u8> {
    let mut generator = Generator::new(seed, 0);
    (0..length).map(|_| generator.next_word() as u8).collect()
}

/// Writes files of a slot's whole room and of odd lengths, one after the other in either slot.
pub fn update_both_slots<F: MappedFlash>([a, b]: [F; 2]) {
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
