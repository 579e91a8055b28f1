//! Opening the access port of an nRF52840 against a simulated chip of each revision: what is written, how often, and what the port does
//! after every reset.

use tinyhero_firmware::access_port::{Access, Outcome, open};

const VARIANT: u32 = 0x1000_0104;
const UICR: u32 = 0x1000_1208;
const DISABLE: u32 = 0x4000_0558;
const READY: u32 = 0x4001_E400;
const CONFIGURATION: u32 = 0x4001_E504;

/// Times that the controller says busy after it was written to.
const BUSY_READS: u32 = 3;

/// The chip, from the product specification and Nordic's note on the improved protection.
struct Chip {
    variant: u32,
    uicr: u32,
    /// What the hardware has taken out of the UICR at the last reset.
    latched: u32,
    disable: u32,
    writable: bool,
    /// A word that does not take what is written to it.
    worn_out: bool,
    busy: u32,
    uicr_writes: usize,
}

impl Chip {
    fn new(build_code: &[u8; 4], uicr: u32) -> Self {
        let variant = u32::from_be_bytes(*build_code);
        let mut chip = Self {
            variant,
            uicr,
            latched: 0,
            disable: 0,
            writable: false,
            worn_out: false,
            busy: 0,
            uicr_writes: 0,
        };
        chip.reset();
        chip
    }

    fn reset(&mut self) {
        self.latched = self.uicr & 0xFF;
        self.disable = 0;
        assert!(!self.writable && self.busy == 0, "reset in the midst of a write");
    }

    fn port_is_open(&self) -> bool {
        let revision = self.variant.to_be_bytes()[2];
        if revision < b'F' {
            self.latched == 0xFF
        } else {
            self.latched == 0x5A && self.disable == 0x5A
        }
    }

    /// What the board does at its start, resets included; how many there were.
    fn start(&mut self) -> (Outcome, usize) {
        for resets in 0..3 {
            self.reset();
            let outcome = open(self);
            assert!(!self.writable && self.busy == 0, "left open for writing or busy");
            if outcome != Outcome::OpenAfterReset {
                return (outcome, resets);
            }
        }
        panic!("it resets for good");
    }
}

impl Access for Chip {
    fn read(&mut self, address: u32) -> u32 {
        match address {
            VARIANT => self.variant,
            UICR => {
                assert_eq!(self.busy, 0, "the UICR is read while it is written");
                self.uicr
            }
            READY => {
                let ready = u32::from(self.busy == 0);
                self.busy = self.busy.saturating_sub(1);
                ready
            }
            _ => panic!("{address:#x} is read"),
        }
    }

    fn write(&mut self, address: u32, value: u32) {
        assert_eq!(self.busy, 0, "{address:#x} is written while the controller is busy");
        match address {
            CONFIGURATION => {
                assert!(value < 2, "erasing is enabled");
                self.writable = value == 1;
                self.busy = BUSY_READS;
            }
            UICR => {
                assert!(self.writable, "the UICR is written while that is not enabled");
                if !self.worn_out {
                    self.uicr &= value;
                }
                self.uicr_writes += 1;
                self.busy = BUSY_READS;
            }
            DISABLE => self.disable = value,
            _ => panic!("{address:#x} is written"),
        }
    }
}

#[test]
fn revision_3_is_open_after_one_reset_and_stays_so() {
    for code in [b"AAF0", b"AAFA", b"AAG0"] {
        let mut chip = Chip::new(code, u32::MAX);
        assert!(!chip.port_is_open());
        assert_eq!(chip.start(), (Outcome::Open, 1));
        assert!(chip.port_is_open());
        for _ in 0..5 {
            chip.reset();
            assert!(!chip.port_is_open(), "a reset closes it");
            assert_eq!(chip.start(), (Outcome::Open, 0));
            assert!(chip.port_is_open());
        }
        assert_eq!((chip.uicr_writes, chip.uicr), (1, 0xFFFF_FF5A));
    }
}

#[test]
fn what_a_programmer_has_written_is_left_as_it_is() {
    let mut chip = Chip::new(b"AAF0", 0x0000_005A);
    assert_eq!(chip.start(), (Outcome::Open, 0));
    assert!(chip.port_is_open());
    assert_eq!((chip.uicr_writes, chip.uicr), (0, 0x5A));
}

/// There anything but erased ones in the UICR would close the port.
#[test]
fn older_revisions_are_left_alone() {
    for code in [b"AAAA", b"AABB", b"AAC0", b"AAD1", b"AAE0"] {
        let mut chip = Chip::new(code, u32::MAX);
        assert_eq!(chip.start(), (Outcome::Open, 0));
        assert!(chip.port_is_open());
        assert_eq!((chip.uicr_writes, chip.uicr, chip.disable), (0, u32::MAX, 0));
    }
    let mut unknown = Chip::new(&[0xFF; 4], u32::MAX);
    assert_eq!(unknown.start(), (Outcome::Open, 0));
    assert_eq!(unknown.uicr_writes, 0);
}

/// A port that was closed on purpose stays closed, and a word that takes nothing does not make the board reset for good.
#[test]
fn what_cannot_be_opened_is_not_tried_again_and_again() {
    for uicr in [0xFFFF_FF00, 0, 0x21] {
        let mut chip = Chip::new(b"AAF0", uicr);
        assert_eq!(chip.start(), (Outcome::Closed, 0));
        assert_eq!((chip.uicr_writes, chip.uicr, chip.disable), (0, uicr, 0));
    }
    let mut chip = Chip::new(b"AAF0", u32::MAX);
    chip.worn_out = true;
    assert_eq!(chip.start(), (Outcome::Closed, 0));
    assert_eq!(chip.uicr_writes, 1);
}
