//! Frames by hand, for tests that say more, less or something else than the client would.

use tinyhero_common::wire::frame::{self, Decoder, Progress};
use tinyhero_common::wire::message::{Refusal, Request, Response};

/// Label, digest and output of one inference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inference {
    pub label: u16,
    pub digest: u32,
    pub output: Vec<u8>,
}

/// An answer, with what it borrowed from its frame copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Digest of the model in use, and why a newer one was passed over.
    Hello(Result<u32, Refusal>, Option<Refusal>),
    /// Digest of the model, and what it computed.
    Results(u32, Vec<Inference>),
    Update(u32),
    Activated(u32),
    Refused(Refusal),
    Other,
}

/// A request as a frame.
pub fn encode(request: &Request<'_>, sequence: u32) -> Vec<u8> {
    let mut room = vec![0; 1 << 17];
    frame::encode(request, sequence, &mut room).unwrap().to_vec()
}

/// The answers in a stream, with their sequence numbers; frames that are not whole or whose checksum is wrong are left out.
/// Every output has `output_bytes`.
pub fn decode(stream: &[u8], output_bytes: usize) -> Vec<(u32, Answer)> {
    let mut decoder = Decoder::new();
    let mut buffer = vec![0; 1 << 17];
    let mut answers = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let (used, progress) = decoder.feed(rest, &mut buffer);
        rest = &rest[used..];
        if let Progress::Frame(length) = progress
            && let Some((sequence, response)) = frame::open::<Response<'_>>(&buffer[..length])
        {
            answers.push((sequence, answer(&response.unwrap(), output_bytes)));
        }
    }
    answers
}

fn answer(response: &Response<'_>, output_bytes: usize) -> Answer {
    match response {
        Response::Hello(hello) => Answer::Hello(hello.model, hello.passed_over),
        Response::Results { model, results, .. } => {
            let one = |bytes: &[u8]| Inference {
                label: u16::from_le_bytes(bytes[..2].try_into().unwrap()),
                digest: u32::from_le_bytes(bytes[2..6].try_into().unwrap()),
                output: bytes[6..].to_vec(),
            };
            Answer::Results(*model, results.chunks_exact(6 + output_bytes).map(one).collect())
        }
        Response::Update { written } => Answer::Update(*written),
        Response::Activated { digest } => Answer::Activated(*digest),
        Response::Refused(refusal) => Answer::Refused(*refusal),
        _ => Answer::Other,
    }
}

/// What an update of a model of this digest asks, part by part, to its end.
pub fn update_requests(file: &[u8], digest: u32, part_bytes: usize) -> Vec<Request<'_>> {
    let begin = Request::BeginUpdate { length: file.len() as u32, digest };
    let parts = file.chunks(part_bytes).enumerate().map(|(index, bytes)| Request::WriteUpdate {
        digest,
        offset: (index * part_bytes) as u32,
        bytes,
    });
    let finish = Request::FinishUpdate { digest, commit: true };
    std::iter::once(begin).chain(parts).chain(std::iter::once(finish)).collect()
}
