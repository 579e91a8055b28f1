//! The simulated flash controllers of the STM32H743, one for each bank, written from its reference manual (RM0433 chapter 4) and not from
//! the driver: flash words of 32 bytes that are gathered word by word, error correction that loses a word written twice, flags that
//! another register clears.

use std::collections::BTreeSet;
use std::ops::Range;

use tinyhero_firmware::slot::stm32::{Access, FaultlessRead};

use crate::stm32_controller::{BUSY_READS, FLASH, Lock, Simulated};

const BANK_BYTES: usize = 1 << 20;
const SECTOR_BYTES: usize = 128 << 10;
const UNIT_BYTES: usize = 32;

const WRITE_PROTECTION: u32 = 1 << 17;
const SEQUENCE: u32 = 1 << 18;
const STROBE: u32 = 1 << 19;
const INCONSISTENCY: u32 = 1 << 21;
const OPERATION: u32 = 1 << 22;
const DOUBLE_ERROR: u32 = 1 << 26;

/// What each bank has of its own.
struct Bank {
    lock: Lock,
    status: u32,
    control: u32,
    busy: u32,
    /// The flash word that is being gathered: its place, and what of it has come.
    buffer: Option<(usize, Vec<u32>)>,
}

/// The chip's flash seen through a slot of it.
pub struct H7Controller {
    flash: Vec<u8>,
    /// What all of it held at first.
    fill: u8,
    /// The slot within the flash.
    slot: Range<usize>,
    banks: [Bank; 2],
    swapped: bool,
    cached: bool,
    protected: Range<usize>,
    operations: usize,
    /// Flash words that error correction cannot mend: the places of their first bytes.
    unreadable: BTreeSet<usize>,
    /// How many orders go well before one fails.
    good: usize,
}

impl H7Controller {
    /// The chip's flash full of `fill`, its slot at `slot` from the start of flash.
    pub fn new(fill: u8, slot: Range<usize>) -> Self {
        let bank = || Bank { lock: Lock::Locked, status: 0, control: 0x31, busy: 0, buffer: None };
        Self {
            flash: vec![fill; 2 * BANK_BYTES],
            fill,
            slot,
            banks: [bank(), bank()],
            swapped: false,
            cached: true,
            protected: 0..0,
            operations: 0,
            unreadable: BTreeSet::new(),
            good: usize::MAX,
        }
    }

    /// Leaves an error in the slot's bank, as whoever was there before may.
    pub fn leave_error(&mut self) {
        let bank = self.slot.start / BANK_BYTES;
        self.banks[bank].status |= SEQUENCE | INCONSISTENCY;
    }

    /// The option that puts the second bank where the first was.
    pub fn swap_banks(&mut self) {
        self.swapped = true;
    }

    /// Makes the flash word at this offset from the slot's start unreadable, as a cut in its writing may.
    pub fn damage(&mut self, offset: usize) {
        self.unreadable.insert((self.slot.start + offset) / UNIT_BYTES * UNIT_BYTES);
    }

    /// Lets a flash word or a sector fail after `good` that do not.
    pub fn fail_after(&mut self, good: usize) {
        self.good = good;
    }

    /// Whether the next order goes well.
    fn goes_well(&mut self, bank: usize, places: &Range<usize>) -> bool {
        self.banks[bank].busy = BUSY_READS;
        let error = if places.start < self.protected.end && self.protected.start < places.end {
            WRITE_PROTECTION
        } else if self.good == 0 {
            OPERATION
        } else {
            self.good -= 1;
            self.operations += 1;
            return true;
        };
        self.banks[bank].status |= error;
        false
    }

    fn erase(&mut self, bank: usize) {
        let Bank { control, status, .. } = &mut self.banks[bank];
        assert!(*control & 1 << 1 == 0, "programming and erasing at once");
        if *control & 1 << 2 == 0 {
            *status |= SEQUENCE;
            return;
        }
        let start = bank * BANK_BYTES + (*control >> 8 & 7) as usize * SECTOR_BYTES;
        let sector = start..start + SECTOR_BYTES;
        if self.goes_well(bank, &sector) {
            self.unreadable.retain(|place| !sector.contains(place));
            self.flash[sector].fill(0xFF);
        }
    }

    fn program(&mut self, bank: usize, place: usize, words: &[u32]) {
        let unit = place..place + UNIT_BYTES;
        if !self.goes_well(bank, &unit) {
            return;
        }
        let stored = &mut self.flash[unit];
        if stored.iter().any(|&byte| byte != 0xFF) {
            // The bits for correction come out as those of neither.
            self.unreadable.insert(place);
        }
        for (stored, byte) in
            stored.iter_mut().zip(words.iter().flat_map(|word| word.to_le_bytes()))
        {
            *stored &= byte;
        }
    }
}

impl Simulated for H7Controller {
    fn operations(&self) -> usize {
        self.operations
    }

    fn protect(&mut self, places: Range<usize>) {
        self.protected = places;
    }

    fn jam(&mut self) {
        for bank in &mut self.banks {
            bank.lock = Lock::Jammed;
        }
    }
}

/// Every test ends with both controllers at rest, every word readable, and everything but the slot as it was.
impl Drop for H7Controller {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for bank in &self.banks {
            assert!(matches!(bank.lock, Lock::Locked | Lock::Jammed), "left unlocked");
            assert_eq!((bank.status, bank.busy), (0, 0), "left busy or with an error");
            assert!(bank.buffer.is_none(), "left with half a flash word");
        }
        assert!(self.cached, "the cache is left off");
        assert!(self.unreadable.is_empty(), "written twice: {:#x?}", self.unreadable);
        let outside = self.flash[..self.slot.start].iter().chain(&self.flash[self.slot.end..]);
        assert!(outside.copied().all(|byte| byte == self.fill), "written outside the slot");
    }
}

impl Access for H7Controller {
    fn register(&mut self, offset: u32) -> u32 {
        let bank = &mut self.banks[(offset / 0x100) as usize];
        match offset % 0x100 {
            0x0C => bank.control,
            0x10 => {
                let busy = if bank.busy > 0 { 0b101 } else { 0 };
                let gathering = u32::from(bank.buffer.is_some()) << 1;
                bank.busy = bank.busy.saturating_sub(1);
                bank.status | busy | gathering
            }
            0x18 => u32::from(self.swapped) << 31,
            other => panic!("no register that is read at {other:#x}"),
        }
    }

    fn set_register(&mut self, offset: u32, value: u32) {
        let number = (offset / 0x100) as usize;
        let bank = &mut self.banks[number];
        assert_eq!(bank.busy, 0, "register {offset:#x} is written while the bank is busy");
        match offset % 0x100 {
            0x04 => {
                bank.lock = bank.lock.after(value);
                let locked = u32::from(bank.lock != Lock::Unlocked);
                bank.control = bank.control & !1 | locked;
            }
            0x0C => {
                assert_eq!(bank.lock, Lock::Unlocked, "a locked control register is written");
                assert!(bank.buffer.is_none(), "a new order in the midst of a flash word");
                assert_eq!(value & 0xF << 11, 0, "reserved bits are set: {value:#x}");
                bank.control = value & !(1 << 7);
                if value & 1 == 1 {
                    bank.lock = Lock::Locked;
                } else if value & 1 << 7 != 0 {
                    assert!(!self.cached, "the cache is on");
                    self.erase(number);
                }
            }
            0x14 => bank.status &= !value,
            other => panic!("no register that is written at {other:#x}"),
        }
    }

    fn store(&mut self, offset: u32, word: u32) {
        assert_eq!(offset % 4, 0);
        assert!(!self.cached, "the cache is on");
        let place = self.slot.start + offset as usize;
        assert!(place < self.slot.end, "beyond the slot");
        let number = place / BANK_BYTES;
        let bank = &mut self.banks[number];
        assert_eq!(bank.busy, 0, "flash is written while the bank is busy");
        if bank.lock != Lock::Unlocked || bank.control & 1 << 1 == 0 {
            bank.status |= SEQUENCE;
            return;
        }
        let unit = place / UNIT_BYTES * UNIT_BYTES;
        let (first, mut words) = bank.buffer.take().unwrap_or((unit, Vec::new()));
        if first != unit {
            bank.status |= INCONSISTENCY;
        } else if place != unit + 4 * words.len() {
            bank.status |= STROBE;
        } else {
            words.push(word);
            if words.len() == UNIT_BYTES / 4 {
                self.program(number, unit, &words);
            } else {
                bank.buffer = Some((unit, words));
            }
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.flash[self.slot.clone()]
    }

    fn address(&self) -> u32 {
        FLASH + self.slot.start as u32
    }

    fn stop_cache(&mut self) {
        assert!(self.cached, "the cache is stopped already");
        self.cached = false;
    }

    fn start_cache(&mut self) {
        assert!(!self.cached, "the cache was not stopped");
        self.cached = true;
    }
}

impl FaultlessRead for H7Controller {
    fn read_all(&mut self, from: u32, to: u32) {
        assert!(!self.cached, "the cache answers for the flash");
        let places = self.slot.start + from as usize..self.slot.start + to as usize;
        assert!(places.end <= self.slot.end, "beyond the slot");
        for &place in self.unreadable.range(places) {
            self.banks[place / BANK_BYTES].status |= DOUBLE_ERROR;
        }
    }
}
