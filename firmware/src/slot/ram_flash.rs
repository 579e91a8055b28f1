//! RAM that behaves like flash: what an emulated board keeps its model in.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

use super::MappedFlash;

/// A region of RAM with the rules of NOR flash: erasing sets a page to ones, writing can only clear
/// bits.
pub struct RamFlash<'a> {
    memory: &'a mut [u8],
}

impl<'a> RamFlash<'a> {
    /// Flash that is `memory`, whose length is a multiple of the page, 4096.
    pub const fn new(memory: &'a mut [u8]) -> Self {
        Self { memory }
    }

    fn range(&mut self, offset: u32, length: usize) -> Result<&mut [u8], NorFlashErrorKind> {
        let start = offset as usize;
        self.memory
            .get_mut(start..start.saturating_add(length))
            .ok_or(NorFlashErrorKind::OutOfBounds)
    }
}

impl ErrorType for RamFlash<'_> {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for RamFlash<'_> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        let stored = self.range(offset, bytes.len())?;
        for (byte, stored) in bytes.iter_mut().zip(stored) {
            *byte = *stored;
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.memory.len()
    }
}

impl NorFlash for RamFlash<'_> {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        self.range(from, to.saturating_sub(from) as usize)?.fill(0xFF);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        for (stored, byte) in self.range(offset, bytes.len())?.iter_mut().zip(bytes) {
            *stored &= *byte;
        }
        Ok(())
    }
}

impl MappedFlash for RamFlash<'_> {
    fn bytes(&self) -> &[u8] {
        self.memory
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_storage::nor_flash::NorFlashError;

    #[test]
    fn writing_can_only_clear_bits() {
        let mut memory = [0b1010; 4096];
        let mut flash = RamFlash::new(&mut memory);
        flash.write(0, &[0b0110; 4]).unwrap();
        assert_eq!(flash.bytes()[0], 0b0010);
        assert!(matches!(
            flash.write(1, &[0; 4]).map_err(|error| error.kind()),
            Err(NorFlashErrorKind::NotAligned)
        ));
    }
}
