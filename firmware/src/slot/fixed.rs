//! A region that cannot be written while the firmware runs.

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};

use super::MappedFlash;

/// Bytes that are read in place and never written.
pub struct Fixed<'a> {
    bytes: &'a [u8],
}

impl<'a> Fixed<'a> {
    /// Flash that is `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }
}

impl ErrorType for Fixed<'_> {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Fixed<'_> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        let stored = self.bytes.get(offset as usize..).unwrap_or_default();
        if stored.len() < bytes.len() {
            return Err(NorFlashErrorKind::OutOfBounds);
        }
        for (byte, stored) in bytes.iter_mut().zip(stored) {
            *byte = *stored;
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl NorFlash for Fixed<'_> {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = 1;

    fn erase(&mut self, _from: u32, _to: u32) -> Result<(), NorFlashErrorKind> {
        Err(NorFlashErrorKind::Other)
    }

    fn write(&mut self, _offset: u32, _bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        Err(NorFlashErrorKind::Other)
    }
}

impl MappedFlash for Fixed<'_> {
    fn bytes(&self) -> &[u8] {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::super::Slots;
    use tinyhero_common::slot::Slot;
    use tinyhero_common::wire::message::Refusal;

    #[test]
    fn a_fixed_model_has_all_the_bytes_and_takes_no_update() {
        let bytes = [7; 1024];
        let mut slots = Slots::fixed(&bytes);
        assert_eq!(slots.writable_bytes(), 0);
        assert_eq!(slots.file(Slot::A), bytes);
        assert_eq!(slots.newest_first(), [None, None]);
        slots.settle(Some(Slot::A));
        let (file, idle) = slots.split();
        assert_eq!(file, bytes);
        assert_eq!(idle.map(|mut idle| idle.begin(16, 1)), Some(Err(Refusal::NoSlot)));
        assert!(!slots.commit());
        assert_eq!(slots.used(), Some(Slot::A));
    }
}
