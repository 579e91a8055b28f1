//! The board's log: defmt's frames turned back into lines, with the texts that only the firmware's
//! ELF file holds.

use std::path::Path;

use defmt_decoder::{DecodeError, Table};

use crate::artifact;
use crate::error::{Error, Result};
use crate::plain;

/// Ends each frame: defmt's encoding keeps zero for that.
const FRAME_END: u8 = 0;
/// Longest frame, encoded; the firmware's are some dozen bytes.
const LONGEST_FRAME: usize = 1 << 16;

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

    /// Shows the frames that `bytes` completes. What got lost on the way costs the frames it
    /// touches, no more.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let Some(complete) = complete_frames(&mut self.partial, bytes) else { return };
        let mut decoder = self.table.new_stream_decoder();
        decoder.received(&complete);
        loop {
            match decoder.decode() {
                Ok(frame) => (self.show)(&plain::line(&frame.display(false).to_string())),
                Err(DecodeError::UnexpectedEof) => return,
                Err(DecodeError::Malformed) => {}
            }
        }
    }
}

/// Appends `bytes` to the `partial` frame; the complete ones, if there are any. A frame without end
/// is thrown away.
fn complete_frames(partial: &mut Vec<u8>, bytes: &[u8]) -> Option<Vec<u8>> {
    let Some(last) = bytes.iter().rposition(|&byte| byte == FRAME_END) else {
        partial.extend_from_slice(bytes);
        if partial.len() > LONGEST_FRAME {
            partial.clear();
        }
        return None;
    };
    let (ended, rest) = bytes.split_at(last + 1);
    let mut complete = std::mem::replace(partial, rest.to_vec());
    complete.extend_from_slice(ended);
    Some(complete)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_handed_on_when_they_are_complete_and_one_without_end_is_dropped() {
        let mut partial = Vec::new();
        assert_eq!(complete_frames(&mut partial, &[1, 2]), None);
        assert_eq!(complete_frames(&mut partial, &[3, 0, 4, 0, 5]), Some(vec![1, 2, 3, 0, 4, 0]));
        assert_eq!(partial, [5]);
        for _ in 0..10_000 {
            assert_eq!(complete_frames(&mut partial, &[0x55; 1024]), None);
            assert!(partial.len() <= LONGEST_FRAME, "{}", partial.len());
        }
        assert!(
            complete_frames(&mut partial, &[0, 7, 0]).is_some_and(|all| all.ends_with(&[7, 0]))
        );
    }
}
