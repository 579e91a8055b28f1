//! A new model for a board that runs: sent part by part, checked, and swapped in between two inferences.

use tinyhero_common::message::{Refusal, Request, Response};
use tinyhero_common::slot::RECORD_ROOM;

use super::{Client, payload_bytes};
use crate::error::{Error, Result};
use crate::target::link::Link;

/// Times that an update is begun before it is given up: something else may have begun another one, or the board restarted.
const ROUNDS: u32 = 4;
/// Where a model file has its own checksum, which is its digest.
const DIGEST_PLACE: std::ops::Range<usize> = 28..32;

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
        let mut last = Refusal::NoUpdate;
        for _ in 0..ROUNDS {
            match self.update_once(file, keep, progress)? {
                Ok(digest) => {
                    self.greet()?;
                    return Ok(digest);
                }
                Err(refusal @ (Refusal::NoUpdate | Refusal::Write)) => last = refusal,
                Err(refusal) => return Err(self.refused(refusal)),
            }
        }
        Err(self.refused(last))
    }

    fn update_once(
        &mut self,
        file: &[u8],
        keep: Keep,
        progress: &mut dyn FnMut(usize),
    ) -> Result<std::result::Result<u32, Refusal>> {
        let length = u32::try_from(file.len()).ok();
        let digest = file.get(DIGEST_PLACE).and_then(|bytes| bytes.try_into().ok());
        let (Some(length), Some(digest)) = (length, digest.map(u32::from_le_bytes)) else {
            return Err(Error::bad_input(
                "model file",
                format!("{} bytes are no model", file.len()),
                "make it with `tinyhero quantize`",
            ));
        };
        let part_bytes = payload_bytes(self.information().frame_bytes) & !(RECORD_ROOM - 1);
        let mut request = Request::BeginUpdate { length, digest };
        loop {
            let written = match self.ask(&request, 1, |response| match response {
                Response::Update { written } => Some(*written),
                _ => None,
            })? {
                Ok(written) => written as usize,
                Err(refusal) => return Ok(Err(refusal)),
            };
            progress(written);
            let rest = file.get(written..).unwrap_or_default();
            let Some(bytes) = rest.chunks(part_bytes.max(RECORD_ROOM)).next() else { break };
            request = Request::WriteUpdate { digest, offset: written as u32, bytes };
        }
        // It validates the model and may run one inference.
        let request = Request::FinishUpdate { digest, commit: keep == Keep::Committed };
        self.ask(&request, 2, |response| match response {
            Response::Activated { digest: now } if *now == digest => Some(digest),
            _ => None,
        })
    }
}
