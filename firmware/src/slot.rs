//! Where a board keeps its models: two slots in a region of flash apart from the firmware, read in place.
//!
//! One slot holds the model in use, the other takes the next one, part by part, while the first goes on being used. `common`'s
//! `slot.rs` has the layout. Power may fail at any moment: the slot in use is never touched, and the other one counts only from
//! the moment in which its record is complete.

mod fixed;
mod idle;
#[cfg(target_os = "none")]
mod nvmc;
mod ram_flash;
#[cfg(target_os = "none")]
mod region;
pub mod rp2;
pub mod stm32;

use embedded_storage::nor_flash::NorFlash;
use tinyhero_common::slot::{Record, Slot, newest, room, slot_bytes};

pub use fixed::Fixed;
pub use idle::IdleSlot;
#[cfg(target_os = "none")]
pub use nvmc::{Nvmc, flash_bytes as nvmc_flash_bytes};
pub use ram_flash::RamFlash;
#[cfg(target_os = "none")]
pub use region::{take_region, take_region_within};

/// Flash whose content also lies in the address space.
pub trait MappedFlash: NorFlash {
    /// The whole content.
    fn bytes(&self) -> &[u8];

    /// Whether something in it could not be read at start and was erased.
    fn has_lost(&self) -> bool {
        false
    }
}

/// Whether `length` bytes from `start` on lie before `end`.
#[cfg(any(target_os = "none", test))]
const fn lies_before(start: u32, length: u32, end: u32) -> bool {
    match start.checked_add(length) {
        Some(last) => last <= end,
        None => false,
    }
}

/// An update that has begun.
#[derive(Clone, Copy)]
struct Update {
    length: u32,
    digest: u32,
    /// Bytes of the file that are in the slot.
    written: u32,
}

/// A board's two slots. Each `F` is the whole of its slot: equally long, a multiple of the flash's unit of erasing.
pub struct Slots<F> {
    a: F,
    b: F,
    /// The slot that is used at the next start.
    home: Option<Slot>,
    /// Whether the model in the other slot is in use for now.
    trial: bool,
    update: Option<Update>,
}

impl<'a> Slots<Fixed<'a>> {
    /// A model that cannot be replaced while the firmware runs: linked in, or put beside it. `bytes` should be aligned to 16.
    pub const fn fixed(bytes: &'a [u8]) -> Self {
        Self::new(Fixed::new(bytes), Fixed::new(&[]))
    }
}

impl<F> Slots<F> {
    /// Slot A and slot B; which of them holds the model is not known yet.
    pub const fn new(a: F, b: F) -> Self {
        Self { a, b, home: None, trial: false, update: None }
    }

    /// The two halves of a region, each made flash by `flash`.
    pub fn halves<'a>(region: &'a mut [u8], flash: impl Fn(&'a mut [u8]) -> F) -> Self {
        let (a, b) = region.split_at_mut(slot_bytes(region.len()));
        Self::new(flash(a), flash(b))
    }

    const fn idle(&self) -> Slot {
        match self.home {
            Some(slot) => slot.other(),
            None => Slot::A,
        }
    }

    /// The slot that the model in use is in, if one is.
    pub const fn used(&self) -> Option<Slot> {
        if self.trial { Some(self.idle()) } else { self.home }
    }

    /// Whether the model in use was not committed, so that the next start goes back to the former one.
    pub const fn is_trial(&self) -> bool {
        self.trial
    }

    /// Uses the model in `slot` from now on and after every start.
    pub const fn settle(&mut self, slot: Option<Slot>) {
        self.home = slot;
        self.trial = false;
    }

    /// Uses the model in the idle slot until the next start.
    pub const fn try_out(&mut self) {
        self.trial = true;
    }

    /// Goes back from a model that was tried out to the committed one.
    pub const fn end_trial(&mut self) {
        self.trial = false;
    }

    const fn flash(&self, slot: Slot) -> &F {
        match slot {
            Slot::A => &self.a,
            Slot::B => &self.b,
        }
    }
}

impl<F: MappedFlash> Slots<F> {
    /// Room for a model file in either slot, in bytes; 0 if the slots cannot be written.
    pub fn writable_bytes(&self) -> u32 {
        room(self.b.capacity()) as u32
    }

    /// What a model file can be in: all of a slot but its record.
    pub fn file(&self, slot: Slot) -> &[u8] {
        let bytes = self.flash(slot).bytes();
        // A fixed model has all the region to itself.
        let room = if self.b.capacity() == 0 { bytes.len() } else { room(bytes.len()) };
        bytes.get(..room).unwrap_or_default()
    }

    /// The record in a slot; `None` if the slot holds no complete model.
    pub fn record(&self, slot: Slot) -> Option<Record> {
        Record::read(self.flash(slot).bytes())
    }

    /// Whether something in either slot could not be read at start and was erased.
    pub fn has_lost(&self) -> bool {
        self.a.has_lost() || self.b.has_lost()
    }

    /// The slots with a record, newest first.
    pub fn newest_first(&self) -> [Option<(Slot, Record)>; 2] {
        let [a, b] = Slot::BOTH.map(|slot| self.record(slot));
        let (in_a, in_b) = (a.map(|record| (Slot::A, record)), b.map(|record| (Slot::B, record)));
        if newest([a, b]) == Some(Slot::B) { [in_b, in_a] } else { [in_a, in_b] }
    }

    /// What the model in use can be in, and the slot beside it; the latter only if it is not itself in use.
    pub fn split(&mut self) -> (&[u8], Option<IdleSlot<'_, F>>) {
        let idle = self.idle();
        if self.trial {
            return (self.file(idle), None);
        }
        let Self { a, b, home, update, .. } = self;
        let writable = b.capacity() > 0;
        let (flash, used) = match idle {
            Slot::A if writable => (a, b.bytes()),
            _ => (b, a.bytes()),
        };
        let file = match (home, writable) {
            (None, _) => &[],
            (Some(_), true) => used.get(..room(used.len())).unwrap_or_default(),
            (Some(_), false) => used,
        };
        (file, Some(IdleSlot::new(flash, update)))
    }

    /// The file in the idle slot if an update of this digest has been written to its end.
    pub fn written_file(&self, digest: u32) -> Option<&[u8]> {
        let update = self.update?;
        let complete = update.digest == digest && update.written == update.length;
        self.flash(self.idle()).bytes().get(..update.length as usize).filter(|_| complete)
    }

    /// Gives the update that has been written its record, and uses its model from now on. False if the flash did not take it.
    pub fn commit(&mut self) -> bool {
        let slot = self.idle();
        let Some(update) = self.update.take() else { return false };
        let record = Record::after(self.record(slot.other()), update.length, update.digest);
        let flash = match slot {
            Slot::A => &mut self.a,
            Slot::B => &mut self.b,
        };
        let place = room(flash.capacity()) as u32;
        let taken = idle::write_verified(flash, place, &record.to_bytes()).is_some();
        if taken {
            self.settle(Some(slot));
        }
        taken
    }

    /// Gives up the update of this digest, if it is under way, after its model was refused.
    pub fn give_up(&mut self, digest: u32) {
        self.update = self.update.filter(|update| update.digest != digest);
    }
}

#[cfg(test)]
mod tests {
    use super::lies_before;

    #[test]
    fn a_region_beyond_the_flash_is_told() {
        // A chip with 1 MB, and its sibling with half of it.
        assert!(lies_before(0x0804_0000, 0xC_0000, 0x0810_0000));
        assert!(!lies_before(0x0804_0000, 0xC_0000, 0x0808_0000));
        assert!(!lies_before(0x0804_0000, 0xC_0001, 0x0810_0000));
        assert!(!lies_before(u32::MAX, 2, u32::MAX));
    }
}
