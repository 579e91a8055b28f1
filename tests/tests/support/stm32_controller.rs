//! Simulated flash controllers of the STM32F4 and STM32L4, with the whole flash of the chip, written from their reference manuals (RM0090
//! chapter 3, RM0432 chapter 3) and not from the driver: keys, busy times, units of programming, what they refuse and by which flag.

use std::ops::Range;

use tinyhero_firmware::slot::stm32::Access;

/// Where the chips' flash begins.
pub const FLASH: u32 = 0x0800_0000;
/// Times that the status register says busy after an order.
pub const BUSY_READS: u32 = 3;

const KEY_1: u32 = 0x4567_0123;
const KEY_2: u32 = 0xCDEF_89AB;

/// A controller as the tests that are common to all chips see it.
pub trait Simulated: Access {
    /// Pages erased and units programmed.
    fn operations(&self) -> usize;

    /// Sets the places that write protection covers.
    fn protect(&mut self, places: Range<usize>);

    /// A wrong key, as a program that has run wild may write.
    fn jam(&mut self);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chip {
    F405,
    L4R5,
}

/// How far a controller has been unlocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    Locked,
    /// The first key has come.
    Half,
    Unlocked,
    /// A wrong key has come: locked until the next reset.
    Jammed,
}

impl Lock {
    /// What a key makes of it.
    pub fn after(self, key: u32) -> Self {
        match (self, key) {
            (Self::Locked, KEY_1) => Self::Half,
            (Self::Half, KEY_2) => Self::Unlocked,
            _ => Self::Jammed,
        }
    }
}

/// One chip's flash seen through a slot of it.
pub struct Controller {
    chip: Chip,
    flash: Vec<u8>,
    /// What all of it held at first.
    fill: u8,
    /// The slot within the flash.
    slot: Range<usize>,
    lock: Lock,
    status: u32,
    control: u32,
    options: u32,
    busy: u32,
    /// The first word of a double word.
    half: Option<(usize, u32)>,
    cached: bool,
    protected: Range<usize>,
    operations: usize,
}

impl Controller {
    /// The chip's flash full of `fill`, its slot at `slot` from the start of flash.
    pub fn new(chip: Chip, fill: u8, slot: Range<usize>) -> Self {
        let bytes = if chip == Chip::F405 { 1 << 20 } else { 2 << 20 };
        Self {
            chip,
            flash: vec![fill; bytes],
            fill,
            slot,
            lock: Lock::Locked,
            status: 0,
            control: 1 << 31,
            // Two banks, as delivered.
            options: 1 << 22,
            busy: 0,
            half: None,
            cached: true,
            protected: 0..0,
            operations: 0,
        }
    }

    /// One bank with larger pages, which the L4 can be set to.
    pub fn join_banks(&mut self) {
        self.options = 0;
    }

    /// Leaves an error in the status register, as whoever was there before may.
    pub fn leave_error(&mut self) {
        self.status |= 1 << 7;
    }

    fn registers(&self) -> [u32; 3] {
        match self.chip {
            Chip::F405 => [0x04, 0x0C, 0x10],
            Chip::L4R5 => [0x08, 0x10, 0x14],
        }
    }

    fn fail(&mut self, bit: u32) {
        self.status |= 1 << bit;
    }

    /// The place and length of a sector or page of the chip, as the control register selects it.
    fn selected(&self) -> Range<usize> {
        match self.chip {
            Chip::F405 => {
                let sector = (self.control >> 3 & 0xF) as usize;
                assert!(sector < 12, "there is no sector {sector}");
                let sizes = [16, 16, 16, 16, 64, 128, 128, 128, 128, 128, 128, 128];
                let start: usize = sizes[..sector].iter().sum();
                start << 10..(start + sizes[sector]) << 10
            }
            Chip::L4R5 => {
                let page = (self.control >> 3 & 0xFF) as usize;
                let bank = (self.control >> 11 & 1) as usize;
                let start = bank << 20 | page << 12;
                start..start + 4096
            }
        }
    }

    fn begin_erasing(&mut self) {
        assert!(self.control & 1 == 0, "programming and erasing at once");
        if self.control & 2 == 0 {
            return self.fail(7);
        }
        let page = self.selected();
        self.busy = BUSY_READS;
        if page.start < self.protected.end && self.protected.start < page.end {
            return self.fail(4);
        }
        self.flash[page].fill(0xFF);
        self.operations += 1;
    }

    fn program(&mut self, place: usize, bytes: &[u8]) {
        self.busy = BUSY_READS;
        if self.protected.contains(&place) {
            return self.fail(4);
        }
        let stored = &mut self.flash[place..place + bytes.len()];
        // Error correction stores a unit once.
        if self.chip == Chip::L4R5 && stored.iter().any(|&byte| byte != 0xFF) {
            return self.fail(3);
        }
        for (stored, byte) in stored.iter_mut().zip(bytes) {
            *stored &= byte;
        }
        self.operations += 1;
    }
}

impl Simulated for Controller {
    fn operations(&self) -> usize {
        self.operations
    }

    fn protect(&mut self, places: Range<usize>) {
        self.protected = places;
    }

    fn jam(&mut self) {
        self.lock = Lock::Jammed;
    }
}

/// Every test ends with a controller at rest, and with everything but the slot as it was.
impl Drop for Controller {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(matches!(self.lock, Lock::Locked | Lock::Jammed), "left unlocked");
            assert_eq!((self.status, self.busy), (0, 0), "left busy or with an error");
            assert!(self.cached, "the cache is left off");
            let outside = self.flash[..self.slot.start].iter().chain(&self.flash[self.slot.end..]);
            assert!(outside.copied().all(|byte| byte == self.fill), "written outside the slot");
        }
    }
}

impl Access for Controller {
    fn register(&mut self, offset: u32) -> u32 {
        let [_, status, control] = self.registers();
        if offset == status {
            let busy = u32::from(self.busy > 0) << 16;
            self.busy = self.busy.saturating_sub(1);
            return self.status | busy;
        }
        if offset == control {
            return self.control;
        }
        assert_eq!((self.chip, offset), (Chip::L4R5, 0x20), "no register that is read");
        self.options
    }

    fn set_register(&mut self, offset: u32, value: u32) {
        assert_eq!(self.busy, 0, "register {offset:#x} is written while the controller is busy");
        let [keys, status, control] = self.registers();
        if offset == keys {
            self.lock = self.lock.after(value);
            let locked = u32::from(self.lock != Lock::Unlocked);
            self.control = self.control & !(1 << 31) | locked << 31;
        } else if offset == status {
            self.status &= !value;
        } else if offset == control {
            match self.lock {
                Lock::Unlocked if value >> 31 == 1 => {
                    self.control = 1 << 31;
                    self.lock = Lock::Locked;
                    assert!(self.half.is_none(), "locked in the midst of a double word");
                }
                Lock::Unlocked => {
                    self.control = value & !(1 << 16);
                    if value >> 16 & 1 == 1 {
                        assert!(!self.cached, "the cache is on");
                        self.begin_erasing();
                    }
                }
                _ => {}
            }
        } else {
            panic!("no register at {offset:#x}");
        }
    }

    fn store(&mut self, offset: u32, word: u32) {
        assert_eq!(self.busy, 0, "flash is written while the controller is busy");
        assert_eq!(offset % 4, 0);
        assert!(!self.cached, "the cache is on");
        let place = self.slot.start + offset as usize;
        assert!(place < self.slot.end, "beyond the slot");
        if self.lock != Lock::Unlocked || self.control & 1 == 0 {
            return self.fail(7);
        }
        match (self.chip, self.half.take()) {
            // Words need the parallelism of words.
            (Chip::F405, _) if self.control >> 8 & 3 != 2 => self.fail(6),
            (Chip::F405, _) => self.program(place, &word.to_le_bytes()),
            (Chip::L4R5, None) if place.is_multiple_of(8) => self.half = Some((place, word)),
            (Chip::L4R5, Some((first, low))) if place == first + 4 => {
                let both = u64::from(word) << 32 | u64::from(low);
                self.program(first, &both.to_le_bytes());
            }
            (Chip::L4R5, _) => self.fail(5),
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.flash[self.slot.clone()]
    }

    fn address(&self) -> u32 {
        FLASH + self.slot.start as u32
    }

    fn stop_cache(&mut self) {
        self.cached = false;
    }

    fn start_cache(&mut self) {
        assert!(!self.cached, "the cache was not stopped");
        self.cached = true;
    }
}
