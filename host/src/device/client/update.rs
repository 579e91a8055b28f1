//! A new model for a board that runs: sent part by part, checked, and swapped in between two inferences.

use tinyhero_common::model::CHECKSUM_PLACE;
use tinyhero_common::slot::RECORD_ROOM;
use tinyhero_common::wire::message::{Refusal, Request, Response};

use super::{Client, payload_bytes};
use crate::device::link::Link;
use crate::error::{Error, Result};

/// Times that an update is begun before it is given up: something else may have begun another one, or the board restarted.
const ROUNDS: u32 = 4;

/// Why an update has to be begun again.
enum Setback {
    /// The board refuses to go on.
    Refused(Refusal),
    /// The board has another number of bytes than were sent.
    Written { said: usize, expected: usize },
}

/// How long a model that is sent is to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Until the next update. It must pass its self-test.
    Committed,
    /// Until the next start or update; the model before it stays the committed one.
    Trial,
}

impl<L: Link> Client<L> {
    /// Sends a model into the slot that is not in use, commits it and goes over to it; returns its digest. See [`Client::update`].
    ///
    /// # Errors
    /// See [`Client::update`].
    pub fn write_model(&mut self, file: &[u8]) -> Result<u32> {
        self.update(file, Keep::Committed, &mut |_| {})
    }

    /// Sends a model into the slot that is not in use and goes over to it; returns its digest. The board goes on running its former
    /// model until the new one has been validated, and keeps it if anything fails. `progress` is given the number of bytes sent so far.
    ///
    /// # Errors
    /// The board takes no models or refuses this one, with its reason, or it is lost. Nothing has changed then.
    pub fn update(
        &mut self,
        file: &[u8],
        keep: Keep,
        progress: &mut dyn FnMut(usize),
    ) -> Result<u32> {
        let mut last = Setback::Refused(Refusal::NoUpdate);
        for _ in 0..ROUNDS {
            match self.update_once(file, keep, progress)? {
                Ok(digest) if self.greet()?.model == Ok(digest) => return Ok(digest),
                Ok(_) => {
                    return Err(
                        self.failed("says that it uses the new model, and greets with another")
                    );
                }
                Err(setback @ Setback::Refused(Refusal::NoUpdate | Refusal::Write)) => {
                    last = setback
                }
                Err(Setback::Refused(refusal)) => return Err(self.refused(refusal)),
                Err(setback @ Setback::Written { .. }) => last = setback,
            }
        }
        Err(match last {
            Setback::Refused(refusal) => self.refused(refusal),
            Setback::Written { said, expected } => self.failed(format!(
                "does not get on with the update: it has {said} bytes where {expected} were sent"
            )),
        })
    }

    fn update_once(
        &mut self,
        file: &[u8],
        keep: Keep,
        progress: &mut dyn FnMut(usize),
    ) -> Result<std::result::Result<u32, Setback>> {
        let length = u32::try_from(file.len()).ok();
        let digest = file.get(CHECKSUM_PLACE).and_then(|bytes| bytes.try_into().ok());
        let (Some(length), Some(digest)) = (length, digest.map(u32::from_le_bytes)) else {
            return Err(Error::bad_input(
                "model file",
                format!("{} bytes are no model", file.len()),
                "make it with `tinyhero quantize`",
            ));
        };
        let part_bytes = payload_bytes(self.exchange.frame_bytes) & !(RECORD_ROOM - 1);
        // Where the next part must begin; the first answer says how much of this file there is from an update before.
        let mut expected = None;
        let mut request = Request::BeginUpdate { length, digest };
        loop {
            let written = match self.ask(&request, self.unknown(), |response| match response {
                Response::Update { written } => Some(*written),
                _ => None,
            })? {
                Ok(written) => written as usize,
                Err(refusal) => return Ok(Err(Setback::Refused(refusal))),
            };
            let gets_on = match expected {
                Some(expected) => written == expected,
                None => {
                    written == file.len()
                        || (written < file.len() && written.is_multiple_of(RECORD_ROOM))
                }
            };
            if !gets_on {
                let expected = expected.unwrap_or(file.len());
                return Ok(Err(Setback::Written { said: written, expected }));
            }
            progress(written);
            let rest = file.get(written..).unwrap_or_default();
            let Some(bytes) = rest.chunks(part_bytes.max(RECORD_ROOM)).next() else { break };
            expected = Some(written + bytes.len());
            request = Request::WriteUpdate { digest, offset: written as u32, bytes };
        }
        // It validates the model and may run one inference.
        let request = Request::FinishUpdate { digest, commit: keep == Keep::Committed };
        let activated = self.ask(&request, self.unknown(), |response| match response {
            Response::Activated { digest: now } if *now == digest => Some(digest),
            _ => None,
        })?;
        Ok(activated.map_err(Setback::Refused))
    }
}
