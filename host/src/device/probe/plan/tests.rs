use std::ops::Range;

use probe_rs::Target;
use probe_rs::config::Registry;
use proptest::prelude::*;

use super::*;
use crate::device::probe::chip_flash::{algorithm_at, sectors};

/// Chips with small and large, equal and unequal sectors, and where their flash begins.
const CHIPS: [(&str, u32); 7] = [
    ("nRF51822_xxAA", 0),
    ("nRF52840_xxAA", 0),
    ("STM32F405RG", 0x0800_0000),
    ("STM32H743ZI", 0x0800_0000),
    ("STM32L4R5ZI", 0x0800_0000),
    ("RP2040", 0x1000_0000),
    ("RP235x", 0x1000_0000),
];
/// How much of a chip's flash takes part: what the smallest has, the small and the middle sectors
/// of the F4 and one of its large ones.
const FLASH_BYTES: u32 = 256 << 10;

fn target(index: usize) -> (Target, u32) {
    let (name, address) = CHIPS[index];
    (Registry::from_builtin_families().get_target_by_name(name).unwrap(), address)
}

/// Flash whose power may be cut.
struct Flash {
    address: u32,
    bytes: Vec<u8>,
    /// What cannot be read.
    damaged: Vec<Range<usize>>,
    /// Operations until the cut.
    left: usize,
    erased: Vec<u32>,
}

impl Flash {
    fn new(address: u32, bytes: Vec<u8>) -> Self {
        Self { address, bytes, damaged: Vec::new(), left: usize::MAX, erased: Vec::new() }
    }

    fn place(&self, address: u32, bytes: usize) -> Range<usize> {
        let start = (address - self.address) as usize;
        start..start + bytes
    }

    fn read(&self, address: u32, bytes: &mut [u8]) -> Vec<Range<usize>> {
        let place = self.place(address, bytes.len());
        bytes.copy_from_slice(&self.bytes[place.clone()]);
        let damaged = self.damaged.iter().map(|d| d.start.max(place.start)..d.end.min(place.end));
        let within: Vec<_> = damaged
            .filter(|d| d.start < d.end)
            .map(|d| d.start - place.start..d.end - place.start)
            .collect();
        within.iter().for_each(|d| bytes[d.clone()].fill(0xA5));
        within
    }

    fn goes_on(&mut self) -> bool {
        let on = self.left > 0;
        self.left = self.left.saturating_sub(1);
        on
    }

    /// As probe-rs does it: all sectors of a batch are erased, then all pages of it are programmed.
    fn write(&mut self, rewrites: &[Rewrite]) -> Option<()> {
        for batch in batches(rewrites) {
            for rewrite in &batch {
                let place = self.place(rewrite.sector.address, rewrite.sector.bytes as usize);
                self.goes_on().then_some(())?;
                self.damaged.retain(|d| d.end <= place.start || place.end <= d.start);
                self.bytes[place].fill(rewrite.sector.erased);
                self.erased.push(rewrite.sector.address);
            }
            for (address, page) in batch.iter().flat_map(|rewrite| rewrite.pages()) {
                let place = self.place(address, page.len());
                self.goes_on().then_some(())?;
                assert!(self.bytes[place.clone()].iter().all(|&byte| byte == 0xFF), "not erased");
                self.bytes[place].copy_from_slice(page);
            }
        }
        Some(())
    }

    fn flash(&mut self, target: &Target, parts: &[Part]) -> Option<Vec<Rewrite>> {
        let sectors = sectors(target, parts);
        check(parts, &sectors).unwrap();
        let read = &mut |address, bytes: &mut [u8]| Ok(self.read(address, bytes));
        let rewrites = plan(parts, &sectors, read).unwrap();
        self.write(&rewrites).map(|()| rewrites)
    }

    fn holds(&self, part: &Part) -> bool {
        self.bytes[self.place(part.address, part.bytes.len())] == part.bytes
    }
}

/// Parts at random places that do not overlap; the last one seals.
fn parts() -> impl Strategy<Value = Vec<(u32, Vec<u8>)>> {
    let length = prop_oneof![1_usize..64, 200_usize..3000, 10_000_usize..40_000];
    let part = (0..FLASH_BYTES - 40_000, length, any::<u8>());
    prop::collection::vec(part, 1..6).prop_map(|mut parts| {
        parts.sort_unstable();
        let mut end = 0;
        parts.retain(|(start, length, _)| {
            let free = *start >= end;
            end = if free { *start + *length as u32 } else { end };
            free
        });
        let bytes = |length: usize, seed: u8| (0..length).map(|i| (i as u8) ^ seed).collect();
        parts.into_iter().map(|(start, length, seed)| (start, bytes(length, seed))).collect()
    })
}

fn placed(address: u32, parts: &[(u32, Vec<u8>)]) -> Vec<Part> {
    let part = |(offset, bytes): &(u32, Vec<u8>)| Part {
        name: "part",
        address: address + offset,
        bytes: bytes.clone(),
        seals: false,
    };
    let mut parts: Vec<Part> = parts.iter().map(part).collect();
    if let Some(last) = parts.last_mut() {
        last.seals = true;
    }
    parts
}

fn background(seed: u8) -> Vec<u8> {
    // Full of something, but for every third page.
    let byte = |i: usize| if (i >> 10) % 3 == 1 { 0xFF } else { (i >> 4) as u8 ^ i as u8 ^ seed };
    (0..FLASH_BYTES as usize).map(byte).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any parts, of which any bytes differ: afterwards all is there, nothing else has changed, and
    /// no sector was touched without need.
    #[test]
    fn parts_are_there_and_the_rest_is_as_it_was(
        chip in 0..CHIPS.len(),
        parts in parts(),
        seed in any::<u8>(),
        there in prop::collection::vec(any::<bool>(), 6),
        changed in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..4),
    ) {
        let (target, address) = target(chip);
        let parts = placed(address, &parts);
        let mut flash = Flash::new(address, background(seed));
        for (part, _) in parts.iter().zip(&there).filter(|(_, there)| **there) {
            let place = flash.place(part.address, part.bytes.len());
            flash.bytes[place].copy_from_slice(&part.bytes);
        }
        for (which, byte) in changed {
            let part = which.get(&parts);
            let place = flash.place(part.address, part.bytes.len());
            flash.bytes[place.start + byte.index(place.len())] ^= 0x10;
        }
        let before = flash.bytes.clone();
        let rewrites = flash.flash(&target, &parts).unwrap();
        let mut expected = before.clone();
        let mut kept = 0;
        for part in &parts {
            let place = flash.place(part.address, part.bytes.len());
            expected[place].copy_from_slice(&part.bytes);
        }
        prop_assert!(flash.bytes == expected);
        for rewrite in &rewrites {
            let place = flash.place(rewrite.sector.address, rewrite.sector.bytes as usize);
            prop_assert!(before[place.clone()] != expected[place.clone()], "erased without need");
            let wanted = rewrite.wanted_bytes();
            prop_assert!(wanted > 0 && wanted <= rewrite.sector.bytes.into());
            let of_parts = |i: &usize| rewrite.wanted.iter().any(|p| p.contains(i));
            let bytes = expected[place].iter().enumerate();
            kept += bytes.filter(|(i, byte)| !of_parts(i) && **byte != 0xFF).count() as u64;
        }
        prop_assert_eq!(rewrites.iter().map(|rewrite| rewrite.kept).sum::<u64>(), kept);
        // Each sector once, and nothing the second time.
        let mut erased = flash.erased.clone();
        erased.sort_unstable();
        erased.dedup();
        prop_assert_eq!(erased.len(), flash.erased.len());
        prop_assert!(flash.flash(&target, &parts).unwrap().is_empty());
    }

    /// Cut anywhere, twice, and given again: the parts are there. What else lies in sectors that
    /// were not under way is as it was, and a part that seals is not there before the others are.
    #[test]
    fn what_was_cut_short_is_made_good_by_the_same_again(
        chip in 0..CHIPS.len(),
        parts in parts(),
        seed in any::<u8>(),
        cuts in prop::collection::vec(0_usize..60, 2),
        damage in any::<prop::sample::Index>(),
    ) {
        let (target, address) = target(chip);
        let parts = placed(address, &parts);
        let mut flash = Flash::new(address, background(seed));
        let before = flash.bytes.clone();
        let mut under_way = Vec::new();
        for left in cuts {
            flash.left = left;
            let rewrites = {
                let sectors = sectors(&target, &parts);
                let read = &mut |address, bytes: &mut [u8]| Ok(flash.read(address, bytes));
                plan(&parts, &sectors, read).unwrap()
            };
            let sealed_before = flash.holds(parts.last().unwrap());
            let keeping = rewrites.iter().filter(|rewrite| rewrite.kept > 0);
            let keeping: Vec<Sector> = keeping.map(|rewrite| rewrite.sector).collect();
            if flash.write(&rewrites).is_none() {
                // Of those with something else in them, only the last one to be erased.
                let last = flash.erased.last().copied();
                under_way.extend(keeping.into_iter().filter(|s| Some(s.address) == last));
                let others = &parts[..parts.len() - 1];
                let sealed = flash.holds(parts.last().unwrap()) && !sealed_before;
                prop_assert!(!sealed || others.iter().all(|part| flash.holds(part)));
                // Power has failed while something was written there.
                if let Some(address) = last {
                    let start = flash.place(address, 1).start + 32 * damage.index(8);
                    flash.damaged.push(start..start + 32);
                }
            }
        }
        flash.left = usize::MAX;
        flash.flash(&target, &parts).unwrap();
        // What cannot be read beside the parts belongs to none of them; within them it is made
        // good.
        let damaged = |part: &Part| {
            let place = flash.place(part.address, part.bytes.len());
            flash.damaged.iter().any(|d| d.start < place.end && place.start < d.end)
        };
        prop_assert!(parts.iter().all(|part| flash.holds(part) && !damaged(part)));
        for (index, (now, then)) in flash.bytes.iter().zip(&before).enumerate() {
            let place = u64::from(address) + index as u64;
            let is = |start: u32, end: u64| (u64::from(start)..end).contains(&place);
            let may_differ = parts.iter().any(|part| is(part.address, part.end()))
                || under_way.iter().any(|sector| is(sector.address, sector.end()));
            prop_assert!(may_differ || now == then, "{place:#x} was lost");
        }
    }
}

#[test]
fn one_changed_segment_takes_all_that_share_its_sector_with_it() {
    // An image as it lies on an STM32F4: vectors and the start of the code share the first sector.
    let (target, address) = target(2);
    let part = |start: u32, bytes: usize, value: u8| (start, vec![value; bytes]);
    let segments =
        [part(0, 0x188, 1), part(0x188, 0x5000, 2), part(0x5188, 0x900, 3), part(0x5A88, 96, 4)];
    for changed in 0..segments.len() {
        let mut flash = Flash::new(address, vec![0xFF; FLASH_BYTES as usize]);
        let first = placed(address, &segments);
        flash.flash(&target, &first).unwrap();
        let mut second = first.clone();
        second[changed].bytes[0] ^= 0x80;
        let rewrites = flash.flash(&target, &second).unwrap();
        assert_eq!(rewrites.len(), 1, "segment {changed}");
        assert!(second.iter().all(|part| flash.holds(part)), "segment {changed}");
    }
}

#[test]
fn sectors_are_those_of_the_chips() {
    let entered = |chip: usize, offset: u32, bytes: usize| {
        let (target, address) = target(chip);
        let parts = placed(address, &[(offset, vec![0; bytes])]);
        let sectors = sectors(&target, &parts);
        check(&parts, &sectors).unwrap();
        sectors.iter().map(|s| (s.address - address, s.bytes)).collect::<Vec<_>>()
    };
    assert_eq!(entered(0, 0x3FF, 2), [(0, 0x400), (0x400, 0x400)]);
    assert_eq!(entered(1, 0xF_FFFF, 1), [(0xF_F000, 0x1000)]);
    let f4 = [(0xC000, 0x4000), (0x1_0000, 0x1_0000), (0x2_0000, 0x2_0000)];
    assert_eq!(entered(2, 0xFFFF, 0x1_0002), f4);
    // From the first bank into the second.
    assert_eq!(entered(3, 0xF_FFFF, 2), [(0xE_0000, 0x2_0000), (0x10_0000, 0x2_0000)]);
    assert_eq!(entered(4, 0x10_0000, 1), [(0x10_0000, 0x1000)]);
    assert_eq!(entered(5, 0x8_0FFF, 2), [(0x8_0000, 0x1000), (0x8_1000, 0x1000)]);
    assert_eq!(entered(6, 0x8_0FFF, 2), [(0x8_0000, 0x1000), (0x8_1000, 0x1000)]);
    for (chip, (name, address)) in CHIPS.into_iter().enumerate() {
        assert!(algorithm_at(&target(chip).0, address).is_some(), "{name}");
    }
}

#[test]
fn parts_beside_the_flash_or_over_one_another_are_refused_with_the_address() {
    let (target, address) = target(2);
    let end = address + (1 << 20);
    let refused = |parts: &[(u32, usize)]| {
        let parts: Vec<_> = parts.iter().map(|(start, bytes)| (*start, vec![0; *bytes])).collect();
        let parts = placed(0, &parts);
        check(&parts, &sectors(&target, &parts))
    };
    assert_eq!(refused(&[(end - 4, 8)]), Err(Problem::NoFlash(end)));
    assert_eq!(refused(&[(0x2000_0000, 4)]), Err(Problem::NoFlash(0x2000_0000)));
    assert_eq!(refused(&[(u32::MAX, 1)]), Err(Problem::NoFlash(u32::MAX)));
    assert_eq!(
        refused(&[(address + 8, 9), (address + 16, 4)]),
        Err(Problem::Overlap(address + 16))
    );
    assert_eq!(refused(&[(address, 8), (address + 8, 4)]), Ok(()));
    assert_eq!(refused(&[(address, 0), (end - 1, 1)]), Ok(()));
    assert_eq!(refused(&[]), Ok(()));
}
