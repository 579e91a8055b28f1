//! The board's log: defmt's frames turned back into lines, with the texts that only the firmware's ELF file holds.

use std::path::Path;

use defmt_decoder::{DecodeError, Table};

use crate::artifact;
use crate::error::{Error, Result};

/// Ends each frame: defmt's encoding keeps zero for that.
const FRAME_END: u8 = 0;

/// Decodes a log as it arrives and hands on each line.
pub struct Log {
    table: Table,
    /// The beginning of a frame whose end has not arrived yet.
    partial: Vec<u8>,
    show: Box<dyn FnMut(&str) + Send>,
}

impl Log {
    /// The log of the firmware `image`; `show` is given each line, level first.
    ///
    /// # Errors
    /// The file cannot be read, or holds no texts of a log.
    pub fn new(image: &Path, show: impl FnMut(&str) + Send + 'static) -> Result<Self> {
        let bytes = artifact::read(image)?;
        let refused = |reason: &dyn std::fmt::Display| {
            Error::bad_input(image.display(), reason, "build the firmware again")
        };
        match Table::parse(&bytes) {
            Ok(Some(table)) => Ok(Self { table, partial: Vec::new(), show: Box::new(show) }),
            Ok(None) => Err(refused(&"this firmware has no log")),
            Err(reason) => Err(refused(&reason)),
        }
    }

    /// Shows the frames that `bytes` completes. What got lost on the way costs the frames it touches, no more.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
        let Some(last) = self.partial.iter().rposition(|&byte| byte == FRAME_END) else { return };
        let rest = self.partial.split_off(last + 1);
        let complete = std::mem::replace(&mut self.partial, rest);
        let mut decoder = self.table.new_stream_decoder();
        decoder.received(&complete);
        loop {
            match decoder.decode() {
                Ok(frame) => (self.show)(&frame.display(false).to_string()),
                Err(DecodeError::UnexpectedEof) => return,
                Err(DecodeError::Malformed) => {}
            }
        }
    }
}
