//! The slot that is not in use: where the next model is written.

use tinyhero_common::slot::{RECORD_ROOM, room};
use tinyhero_common::wire::message::Refusal;

use super::{MappedFlash, Update};

/// The slot that takes the next model. The one in use stays as it is, and readable, meanwhile.
pub struct IdleSlot<'s, F> {
    flash: &'s mut F,
    update: &'s mut Option<Update>,
}

impl<'s, F: MappedFlash> IdleSlot<'s, F> {
    pub(super) const fn new(flash: &'s mut F, update: &'s mut Option<Update>) -> Self {
        Self { flash, update }
    }

    /// Begins an update, or goes on with it if it is under way; how many bytes of it there are already.
    ///
    /// # Errors
    /// The slot cannot be written, has too little room, or its flash failed.
    pub fn begin(&mut self, length: u32, digest: u32) -> Result<u32, Refusal> {
        if let Some(update) = *self.update
            && (update.length, update.digest) == (length, digest)
        {
            return Ok(update.written);
        }
        let capacity = self.flash.capacity();
        if capacity == 0 {
            return Err(Refusal::NoSlot);
        }
        if length as usize > room(capacity) {
            return Err(Refusal::SlotTooSmall);
        }
        *self.update = None;
        // The record goes first, so that from here on the slot does not count. Other pages are erased when they are reached,
        // which keeps every answer quick.
        let last = (capacity as u32).saturating_sub(F::ERASE_SIZE as u32);
        self.flash.erase(last, capacity as u32).map_err(|_| Refusal::Write)?;
        *self.update = Some(Update { length, digest, written: 0 });
        Ok(0)
    }

    /// Writes a part of the file and reads it back; how many bytes of the file there are then. A part that has been written
    /// already is compared instead.
    ///
    /// # Errors
    /// No such update is under way, the part is not the next one, or the flash did not take it.
    pub fn write(&mut self, digest: u32, offset: u32, bytes: &[u8]) -> Result<u32, Refusal> {
        let mut update =
            self.update.filter(|update| update.digest == digest).ok_or(Refusal::NoUpdate)?;
        let end = offset.saturating_add(bytes.len() as u32);
        if end <= update.written {
            let stored = self.flash.bytes().get(offset as usize..end as usize);
            return if stored == Some(bytes) { Ok(update.written) } else { Err(Refusal::NoUpdate) };
        }
        let whole = bytes.len().is_multiple_of(RECORD_ROOM) || end == update.length;
        if offset != update.written || end > update.length || !whole {
            return Err(Refusal::NoUpdate);
        }
        // Until the part is known to be there, there is no update to go on with.
        *self.update = None;
        self.erase_entered(offset, end).ok_or(Refusal::Write)?;
        write_verified(self.flash, offset, bytes).ok_or(Refusal::Write)?;
        update.written = end;
        *self.update = Some(update);
        Ok(end)
    }

    /// Erases the pages whose first byte `start..end` holds, but for the last page, which was erased first of all.
    fn erase_entered(&mut self, start: u32, end: u32) -> Option<()> {
        let page = F::ERASE_SIZE as u32;
        let last = (self.flash.capacity() as u32).checked_sub(page)?;
        let first = start.checked_next_multiple_of(page)?;
        let end = end.checked_next_multiple_of(page)?.min(last);
        if first < end {
            self.flash.erase(first, end).ok()?;
        }
        Some(())
    }
}

/// Writes `bytes`, what does not fill a unit of writing filled up with the erased value, and reads them back.
pub(super) fn write_verified<F: MappedFlash>(
    flash: &mut F,
    offset: u32,
    bytes: &[u8],
) -> Option<()> {
    const {
        assert!(F::WRITE_SIZE <= RECORD_ROOM && RECORD_ROOM.is_multiple_of(F::WRITE_SIZE));
        assert!(F::ERASE_SIZE.is_multiple_of(F::WRITE_SIZE));
    }
    let body_bytes = bytes.len() & !(F::WRITE_SIZE - 1);
    let (body, tail) = bytes.split_at_checked(body_bytes)?;
    flash.write(offset, body).ok()?;
    if !tail.is_empty() {
        let mut padded = [0xFF; RECORD_ROOM];
        for (place, byte) in padded.iter_mut().zip(tail) {
            *place = *byte;
        }
        flash.write(offset.checked_add(body_bytes as u32)?, padded.get(..F::WRITE_SIZE)?).ok()?;
    }
    let stored = flash.bytes().get(offset as usize..)?;
    stored.starts_with(bytes).then_some(())
}
