//! Where a board keeps its model: a region of memory apart from the firmware, read in place.

mod ram_flash;
#[cfg(target_os = "none")]
mod region;

use embedded_storage::nor_flash::NorFlash;

pub use ram_flash::RamFlash;
#[cfg(target_os = "none")]
pub use region::take_region;

/// A write that the slot did not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotError {
    /// The board takes a model only at start.
    ReadOnly,
    /// The write leaves the slot, or its memory refused it.
    Write,
}

/// A memory region with room for one model file.
pub trait ModelSlot {
    /// The whole region; the model file is at its start.
    fn bytes(&self) -> &[u8];

    /// Bytes that [`ModelSlot::write`] reaches; 0 if the slot cannot be written.
    fn writable_bytes(&self) -> u32;

    /// Writes into the region. A model is written from its start to its end: memory is erased as a write first enters it.
    ///
    /// # Errors
    /// The slot cannot be written there.
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SlotError>;
}

/// A model that cannot be replaced while the firmware runs: linked in, or put beside it.
pub struct FixedSlot<'a> {
    bytes: &'a [u8],
}

impl<'a> FixedSlot<'a> {
    /// A slot over `bytes`, whose start should be aligned to 16.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }
}

impl ModelSlot for FixedSlot<'_> {
    fn bytes(&self) -> &[u8] {
        self.bytes
    }

    fn writable_bytes(&self) -> u32 {
        0
    }

    fn write(&mut self, _offset: u32, _bytes: &[u8]) -> Result<(), SlotError> {
        Err(SlotError::ReadOnly)
    }
}

/// Flash whose content also lies in the address space.
pub trait MappedFlash: NorFlash {
    /// The whole content.
    fn bytes(&self) -> &[u8];
}

/// A slot in flash that the firmware can write.
pub struct FlashSlot<F> {
    flash: F,
}

/// Largest unit of writing that a flash may have.
const LARGEST_WRITE_BYTES: usize = 32;

impl<F: MappedFlash> FlashSlot<F> {
    /// A slot that is the whole of `flash`.
    pub const fn new(flash: F) -> Self {
        Self { flash }
    }

    /// Erases the pages that `start..end` enters, that is, whose first byte it holds.
    fn erase_entered(&mut self, start: u32, end: u32) -> Result<(), SlotError> {
        let page = F::ERASE_SIZE as u32;
        let first = start.checked_next_multiple_of(page).ok_or(SlotError::Write)?;
        let last = end.checked_next_multiple_of(page).ok_or(SlotError::Write)?;
        if first < last {
            self.flash.erase(first, last).map_err(|_| SlotError::Write)?;
        }
        Ok(())
    }
}

impl<F: MappedFlash> ModelSlot for FlashSlot<F> {
    fn bytes(&self) -> &[u8] {
        self.flash.bytes()
    }

    fn writable_bytes(&self) -> u32 {
        self.flash.capacity() as u32
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SlotError> {
        let length = u32::try_from(bytes.len()).map_err(|_| SlotError::Write)?;
        let end = offset.checked_add(length).ok_or(SlotError::Write)?;
        if end > self.writable_bytes() {
            return Err(SlotError::Write);
        }
        self.erase_entered(offset, end)?;
        let unit = F::WRITE_SIZE.clamp(1, LARGEST_WRITE_BYTES);
        let tail_bytes = bytes.len().checked_rem(unit).unwrap_or(0);
        let body_bytes = bytes.len().saturating_sub(tail_bytes);
        let (body, tail) = bytes.split_at_checked(body_bytes).ok_or(SlotError::Write)?;
        self.flash.write(offset, body).map_err(|_| SlotError::Write)?;
        if tail.is_empty() {
            return Ok(());
        }
        // What does not fill a unit is filled up with the erased value, which changes nothing.
        let mut padded = [0xFF; LARGEST_WRITE_BYTES];
        for (place, byte) in padded.iter_mut().zip(tail) {
            *place = *byte;
        }
        let padded = padded.get(..unit).ok_or(SlotError::Write)?;
        self.flash
            .write(offset.saturating_add(body_bytes as u32), padded)
            .map_err(|_| SlotError::Write)
    }
}
