//! Simulated NOR flash whose power can be cut at any write of a unit and any erasing of a page.
//!
//! Erasing sets a page to ones. Writing programs whole units, and only units that are erased: what clears bits twice works on some parts and
//! fails on those with error correction, so here it fails the test. The operation that the cut falls into leaves something between nothing
//! and all of it, or anything at all in its page.

use std::cell::{Cell, RefCell};

use tinyhero_firmware::slot::MappedFlash;
use tinyhero_tests::Generator;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

/// The supply of both slots' flash.
pub struct Power {
    /// Operations until the cut; `None` for a supply that does not fail.
    left: Cell<Option<u64>>,
    on: Cell<bool>,
    operations: Cell<u64>,
    random: RefCell<Generator>,
}

/// What becomes of an operation.
enum Fate {
    Done,
    /// The power fails during it.
    Torn,
    /// There is no power.
    Dead,
}

impl Power {
    /// A supply that fails during the operation `cut`, counted from 0.
    pub fn new(cut: Option<u64>, seed: u32) -> Self {
        Self {
            left: Cell::new(cut),
            on: Cell::new(true),
            operations: Cell::new(0),
            random: RefCell::new(Generator::new(seed, 0)),
        }
    }

    /// Unit writes and page erasures so far.
    pub fn operations(&self) -> u64 {
        self.operations.get()
    }

    pub fn is_on(&self) -> bool {
        self.on.get()
    }

    fn operate(&self) -> Fate {
        if !self.on.get() {
            return Fate::Dead;
        }
        self.operations.set(self.operations.get() + 1);
        match self.left.get() {
            Some(0) => {
                self.on.set(false);
                Fate::Torn
            }
            Some(left) => {
                self.left.set(Some(left - 1));
                Fate::Done
            }
            None => Fate::Done,
        }
    }

    fn random(&self) -> u32 {
        self.random.borrow_mut().next_word()
    }

    /// Leaves a page as a cut write or erasure might: `aim` is what it would have become in `place`.
    fn tear(&self, page: &mut [u8], place: std::ops::Range<usize>, aim: &[u8]) {
        match self.random() % 4 {
            // It had not begun.
            0 => {}
            // It was done.
            1 => page[place].copy_from_slice(aim),
            // Some bits had changed.
            2 => {
                for (byte, aim) in page[place].iter_mut().zip(aim) {
                    let changed = self.random() as u8;
                    *byte = (*byte & !changed) | (aim & changed);
                }
            }
            _ => page.fill_with(|| self.random() as u8),
        }
    }
}

/// One slot, with pages of `PAGE` bytes that are programmed in units of `UNIT`.
pub struct SimulatedFlash<'a, const PAGE: usize, const UNIT: usize> {
    memory: &'a mut [u8],
    power: &'a Power,
    /// Whether something was erased at start because it could not be read.
    has_lost: bool,
}

impl<'a, const PAGE: usize, const UNIT: usize> SimulatedFlash<'a, PAGE, UNIT> {
    pub const fn new(memory: &'a mut [u8], power: &'a Power, has_lost: bool) -> Self {
        Self { memory, power, has_lost }
    }
}

impl<const PAGE: usize, const UNIT: usize> ErrorType for SimulatedFlash<'_, PAGE, UNIT> {
    type Error = NorFlashErrorKind;
}

impl<const PAGE: usize, const UNIT: usize> ReadNorFlash for SimulatedFlash<'_, PAGE, UNIT> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        bytes.copy_from_slice(&self.memory[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.memory.len()
    }
}

impl<const PAGE: usize, const UNIT: usize> NorFlash for SimulatedFlash<'_, PAGE, UNIT> {
    const WRITE_SIZE: usize = UNIT;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to).expect("an erasure of whole pages within the slot");
        for start in (from as usize..to as usize).step_by(PAGE) {
            let page = &mut self.memory[start..start + PAGE];
            match self.power.operate() {
                Fate::Done => page.fill(0xFF),
                Fate::Torn => self.power.tear(page, 0..PAGE, &vec![0xFF; PAGE]),
                Fate::Dead => {}
            }
            if !self.power.is_on() {
                return Err(NorFlashErrorKind::Other);
            }
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len()).expect("a write of whole units within the slot");
        for (index, unit) in bytes.chunks(UNIT).enumerate() {
            let start = offset as usize + index * UNIT;
            let page_start = start / PAGE * PAGE;
            let page = &mut self.memory[page_start..page_start + PAGE];
            let place = start - page_start..start - page_start + UNIT;
            match self.power.operate() {
                Fate::Done => {
                    let erased = page[place.clone()].iter().all(|&byte| byte == 0xFF);
                    assert!(erased, "the unit at {start} is written twice");
                    page[place].copy_from_slice(unit);
                }
                Fate::Torn => self.power.tear(page, place, unit),
                Fate::Dead => {}
            }
            if !self.power.is_on() {
                return Err(NorFlashErrorKind::Other);
            }
        }
        Ok(())
    }
}

impl<const PAGE: usize, const UNIT: usize> MappedFlash for SimulatedFlash<'_, PAGE, UNIT> {
    fn bytes(&self) -> &[u8] {
        self.memory
    }

    fn has_lost(&self) -> bool {
        self.has_lost
    }
}
