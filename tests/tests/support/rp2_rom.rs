//! The simulated flash chip of a Raspberry Pi Pico behind the boot ROM of its RP2040, written from the datasheets (RP2040 2.6.3 and 2.8.3.1.3,
//! W25Q16JV 8.2) and not from the driver: the chip is in the address space or takes orders, what was read before stays in the cache,
//! orders to write protected places do nothing.

use std::ops::Range;

use tinyhero_firmware::slot::rp2::{PAGE_BYTES, Rom, SECTOR_BYTES, Step};

/// Bytes of the chip.
pub const FLASH_BYTES: usize = 2 << 20;

/// The chip seen through a slot of it.
pub struct SimulatedRom {
    flash: Vec<u8>,
    /// What a program sees of the chip, through the cache.
    seen: Vec<u8>,
    /// What all of it held at first.
    fill: u8,
    /// The slot within the flash.
    slot: Range<usize>,
    known: bool,
    mapped: bool,
    connected: bool,
    /// The select line is forced, so that the interface cannot move it.
    forced: bool,
    protected: bool,
    /// Other addresses that are in flash, as constants are.
    constants: Range<usize>,
    /// Sectors erased and pages programmed.
    pub operations: usize,
}

impl SimulatedRom {
    /// The chip full of `fill`, its slot at `slot` from the start of flash.
    pub fn new(fill: u8, slot: Range<usize>) -> Self {
        Self {
            flash: vec![fill; FLASH_BYTES],
            seen: vec![fill; FLASH_BYTES],
            fill,
            slot,
            known: true,
            mapped: true,
            connected: false,
            forced: false,
            protected: false,
            constants: 0..0,
            operations: 0,
        }
    }

    /// The boot ROM cannot say where in the chip the slot is.
    pub fn lose_place(&mut self) {
        self.known = false;
    }

    /// Sets the chip's bits of block protection.
    pub fn protect(&mut self) {
        self.protected = true;
    }

    /// Declares that `bytes` are in flash.
    pub fn hold_constants(&mut self, bytes: &[u8]) {
        self.constants = addresses(bytes);
    }

    fn check(&self, what: &str, place: u32, unit: usize) -> Range<usize> {
        assert!(!self.mapped, "{what} while the chip is in the address space");
        assert!((place as usize).is_multiple_of(unit), "{what} at {place:#x}");
        let places = place as usize..place as usize + unit;
        assert!(places.end <= FLASH_BYTES, "{what} at {place:#x}");
        places
    }

    fn step(&mut self, step: Step<'_>) {
        match step {
            Step::Connect => {
                assert!(self.mapped, "connected in the midst of orders");
                self.connected = true;
            }
            Step::LeaveAddressSpace => {
                assert!(self.connected, "the interface is not connected to its pins");
                self.mapped = false;
                self.forced = true;
            }
            Step::Erase(place) => {
                let sector = self.check("an erasure", place, SECTOR_BYTES);
                if !self.protected {
                    self.flash[sector].fill(0xFF);
                    self.operations += 1;
                }
            }
            Step::Program(place, page) => {
                let places = self.check("a program", place, PAGE_BYTES);
                let from = page.as_ptr().addr();
                assert!(!addresses(&self.seen).contains(&from), "a page that is in flash itself");
                assert!(!self.constants.contains(&from), "a page that is in flash itself");
                if !self.protected {
                    for (stored, byte) in self.flash[places].iter_mut().zip(page) {
                        *stored &= byte;
                    }
                    self.operations += 1;
                }
            }
            Step::EmptyCache => {
                self.seen.copy_from_slice(&self.flash);
                self.forced = false;
            }
            Step::EnterAddressSpace => {
                assert!(!self.forced, "the select line is still forced");
                self.mapped = true;
                self.connected = false;
            }
        }
    }
}

fn addresses(bytes: &[u8]) -> Range<usize> {
    let Range { start, end } = bytes.as_ptr_range();
    start.addr()..end.addr()
}

impl Rom for SimulatedRom {
    fn run(&mut self, steps: &[Step<'_>; 5]) {
        for step in steps {
            self.step(*step);
        }
        assert!(self.mapped, "the program that goes on is not in the address space");
    }

    fn bytes(&self) -> &[u8] {
        &self.seen[self.slot.clone()]
    }

    fn offset(&self) -> Option<u32> {
        self.known.then_some(self.slot.start as u32)
    }
}

/// Every test ends with everything but the slot as it was.
impl Drop for SimulatedRom {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let outside = self.flash[..self.slot.start].iter().chain(&self.flash[self.slot.end..]);
            assert!(outside.copied().all(|byte| byte == self.fill), "written outside the slot");
        }
    }
}
