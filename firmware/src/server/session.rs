//! One request after the other, with a model in use.

use embedded_hal::digital::OutputPin;
use embedded_io::{Read, Write};
use tinyhero_common::error::RunError;
use tinyhero_common::kernels::Kernels;
use tinyhero_common::model::{LoadError, Reason};
use tinyhero_common::network::SelfTestInput;
use tinyhero_common::slot::Slot;
use tinyhero_common::wire::message::{
    Hello, LAYERS_PER_RESPONSE, PROTOCOL_VERSION, Refusal, Request, Response,
};
use tinyhero_common::wire::result::{LAYER_RECORD_BYTES, ResultHead};

use super::connection::{Buffers, Connection, RequestFrame};
use super::meter::{Meter, Stopwatch};
use super::{End, load};
use crate::clock::Clock;
use crate::engine::{Engine, LoadedModel};
use crate::slot::{IdleSlot, MappedFlash};

/// Everything but the engine and the slots.
pub(super) struct Session<Link, Time, Pin> {
    pub(super) board: &'static str,
    pub(super) watch: Stopwatch<Time>,
    pub(super) activity: Pin,
    pub(super) stack_high_water: fn() -> u32,
    pub(super) arena_bytes: u32,
    pub(super) slot_bytes: u32,
    /// Why the newest model was passed over at start.
    pub(super) passed_over: Option<Refusal>,
    pub(super) connection: Connection<Link>,
}

/// The model in use and what lies beside it.
pub(super) struct Use<'e, 's, K, F> {
    pub(super) model: Result<LoadedModel<'e, 's, K>, Refusal>,
    /// The slot for the next model; `None` while the model in it is tried out.
    pub(super) idle: Option<IdleSlot<'s, F>>,
    /// Where the model in use is.
    pub(super) slot: Slot,
    /// Whether it is only tried out.
    pub(super) trial: bool,
}

/// A request that the model's user cannot answer, since it changes what the model is borrowed from.
pub(super) enum Interruption {
    /// An update is to begin in the slot that the model in use is tried out from.
    Begin(RequestFrame),
    /// An update has been written.
    Finish {
        /// The request's sequence number.
        sequence: u32,
        /// Digest of the new model.
        digest: u32,
        /// Whether it is to stay.
        commit: bool,
    },
    /// The server stops.
    End(End),
}

impl<Link: Read + Write, Time: Clock, Pin: OutputPin> Session<Link, Time, Pin> {
    /// Answers requests, that in the receive buffer first if there is one, until one cannot be
    /// answered here.
    pub(super) fn answer_all<K: Kernels, F: MappedFlash, const FRAME: usize>(
        &mut self,
        in_use: &mut Use<'_, '_, K, F>,
        mut waiting: Option<RequestFrame>,
        buffers: &mut Buffers<FRAME>,
    ) -> Interruption {
        loop {
            let frame = match waiting.take().map_or_else(|| self.connection.receive(buffers), Ok) {
                Ok(frame) => frame,
                Err(end) => return Interruption::End(end),
            };
            if let Some(interruption) = self.answer(frame, in_use, buffers) {
                return interruption;
            }
        }
    }

    /// Answers one request, or says what it interrupts.
    fn answer<K: Kernels, F: MappedFlash, const FRAME: usize>(
        &mut self,
        frame: RequestFrame,
        in_use: &mut Use<'_, '_, K, F>,
        buffers: &mut Buffers<FRAME>,
    ) -> Option<Interruption> {
        let Buffers { received, results, frame: room, .. } = buffers;
        let sequence = frame.sequence;
        let Some(request) = frame.request(received) else {
            return self.send(Err(Refusal::Unknown), sequence, room);
        };
        let digest =
            in_use.model.as_ref().map(|model| model.model().digest()).map_err(|refusal| *refusal);
        let response = match (request, &mut in_use.model, &mut in_use.idle) {
            (Request::Hello, ..) => Ok(Response::Hello(Hello {
                protocol: PROTOCOL_VERSION,
                board: self.board,
                firmware: env!("CARGO_PKG_VERSION"),
                model: digest,
                slot: in_use.slot,
                passed_over: self.passed_over,
                clock: self.watch.unit(),
                arena_bytes: self.arena_bytes,
                frame_bytes: FRAME as u32,
                slot_bytes: self.slot_bytes,
            })),
            (Request::Reset, ..) => {
                return match self.send(Ok(Response::Resetting), sequence, room) {
                    None => Some(Interruption::End(End::Reset)),
                    failed => failed,
                };
            }
            (Request::FinishUpdate { digest: wanted, commit }, ..) => {
                // Asked a second time, since the first answer was lost.
                if digest != Ok(wanted) || (in_use.trial && commit) {
                    return Some(Interruption::Finish { sequence, digest: wanted, commit });
                }
                Ok(Response::Activated { digest: wanted })
            }
            (Request::BeginUpdate { length, digest }, _, Some(idle)) => {
                idle.begin(length, digest).map(|written| Response::Update { written })
            }
            (Request::WriteUpdate { digest, offset, bytes }, _, Some(idle)) => {
                idle.write(digest, offset, bytes).map(|written| Response::Update { written })
            }
            (Request::BeginUpdate { .. }, _, None) => return Some(Interruption::Begin(frame)),
            (Request::WriteUpdate { .. }, _, None) => Err(Refusal::NoUpdate),
            (Request::Usage, model, _) => Ok(Response::Usage {
                arena: model.as_ref().map_or(0, |model| model.model().description().arena_bytes),
                stack: (self.stack_high_water)(),
                ticks: self.watch.ticks(),
            }),
            (_, Err(refusal), _) => Err(*refusal),
            (Request::Run { digests, count, inputs }, Ok(model), _) => {
                self.run(model, digests, count, inputs, results)
            }
            (Request::Layers { first, input }, Ok(model), _) => {
                self.layers(model, first, input, results)
            }
            (Request::SelfTest, Ok(model), _) => self
                .self_test(model, results)
                .map(|passed| Response::SelfTest { model: model.model().digest(), passed }),
        };
        self.send(response, sequence, room)
    }

    fn send(
        &mut self,
        response: Result<Response<'_>, Refusal>,
        sequence: u32,
        room: &mut [u8],
    ) -> Option<Interruption> {
        let response = response.unwrap_or_else(Response::Refused);
        let sent = self.connection.send(&response, sequence, room);
        (!sent).then_some(Interruption::End(End::Failed))
    }

    fn run<'r, K: Kernels>(
        &mut self,
        model: &mut LoadedModel<'_, '_, K>,
        digests: bool,
        count: u16,
        inputs: &[u8],
        results: &'r mut [u8],
    ) -> Result<Response<'r>, Refusal> {
        let input_bytes = model.model().raw_input_bytes();
        if count == 0 || inputs.len() != input_bytes.saturating_mul(usize::from(count)) {
            return Err(Refusal::InputLength);
        }
        let digest = model.model().digest();
        let mut total = 0u64;
        let mut used = 0usize;
        for input in inputs.chunks_exact(input_bytes.max(1)) {
            let mut meter = Meter::new(&mut self.watch, digests, &mut []);
            let _ = self.activity.set_high();
            let output = model.run(input, &mut meter);
            let _ = self.activity.set_low();
            meter.finish();
            let output = output.map_err(|error| match error {
                RunError::InputLength => Refusal::InputLength,
                RunError::ArenaTooSmall => Refusal::TooLarge,
            })?;
            total = total.saturating_add(meter.total());
            let head = ResultHead { label: output.label as u16, digest: meter.digest() }.to_bytes();
            let end = used.saturating_add(head.len()).saturating_add(output.scores.len());
            let place = results.get_mut(used..end).ok_or(Refusal::TooLarge)?;
            let (first, scores) = place.split_first_chunk_mut().ok_or(Refusal::TooLarge)?;
            *first = head;
            copy_scores(scores, output.scores);
            used = end;
        }
        let results = results.get(..used).ok_or(Refusal::TooLarge)?;
        Ok(Response::Results { model: digest, count: total, results })
    }

    fn layers<'r, K: Kernels>(
        &mut self,
        model: &mut LoadedModel<'_, '_, K>,
        first: u16,
        input: &[u8],
        results: &'r mut [u8],
    ) -> Result<Response<'r>, Refusal> {
        let total = model.model().description().layer_count;
        let wanted = total.saturating_sub(first).min(LAYERS_PER_RESPONSE as u16);
        let room = usize::from(wanted).saturating_mul(LAYER_RECORD_BYTES);
        let records = results.get_mut(..room).ok_or(Refusal::TooLarge)?;
        let mut meter = Meter::new(&mut self.watch, true, records);
        meter.skip(first);
        let _ = self.activity.set_high();
        let output = model.run(input, &mut meter).map(|_| ());
        let _ = self.activity.set_low();
        output.map_err(|_| Refusal::InputLength)?;
        let input_count = meter.input_count();
        Ok(Response::Layers { model: model.model().digest(), total, input_count, records })
    }

    /// Runs the model's own check, with `room` for its input. The same as
    /// [`LoadedModel::self_test`], but with the observer that the other requests use: a second one
    /// would cost another copy of the layer loop.
    fn self_test<K: Kernels>(
        &mut self,
        model: &mut LoadedModel<'_, '_, K>,
        room: &mut [u8],
    ) -> Result<bool, Refusal> {
        let expected = model.model().description().self_test;
        let input = room.get_mut(..model.model().raw_input_bytes()).ok_or(Refusal::TooLarge)?;
        for (byte, value) in input.iter_mut().zip(SelfTestInput::new(expected.seed)) {
            *byte = value;
        }
        let mut meter = Meter::new(&mut self.watch, true, &mut []);
        model.run(input, &mut meter).map_err(|_| Refusal::InputLength)?;
        Ok(meter.digest() == expected.digest)
    }

    /// Looks whether the model file at the start of `bytes` can be used: whether it loads, has this
    /// digest, and passes its self-test if it is to be `tested`.
    pub(super) fn examine<K: Kernels, const ARENA: usize, const FRAME: usize>(
        &mut self,
        engine: &mut Engine<K, ARENA>,
        bytes: &[u8],
        digest: Option<u32>,
        tested: bool,
        buffers: &mut Buffers<FRAME>,
    ) -> Result<(), Refusal> {
        let mut model = load(engine, bytes)?;
        if digest.is_some_and(|digest| digest != model.model().digest()) {
            return Err(Refusal::from(LoadError { reason: Reason::Checksum, layer: None }));
        }
        if tested && !self.self_test(&mut model, &mut buffers.results)? {
            return Err(Refusal::SelfTest);
        }
        Ok(())
    }
}

/// Copies the output's values as bytes, a word at a time.
fn copy_scores(places: &mut [u8], scores: &[i8]) {
    let (words, rest) = places.as_chunks_mut();
    let (fours, last) = scores.as_chunks();
    for (word, [s0, s1, s2, s3]) in words.iter_mut().zip(fours) {
        *word = [*s0, *s1, *s2, *s3].map(i8::cast_unsigned);
    }
    for (byte, score) in rest.iter_mut().zip(last) {
        *byte = score.cast_unsigned();
    }
}
