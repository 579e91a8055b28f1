//! Answers the host's messages over any byte link.
//!
//! While a model is in use its slot is only borrowed for reading, and every request but those that change the slot is
//! answered. The first write ends that borrow; from then on there is no model until one is activated.

mod connection;
mod meter;

use embedded_hal::digital::OutputPin;
use embedded_io::{Read, Write};
use tinyhero_common::error::RunError;
use tinyhero_common::kernel::Kernels;
use tinyhero_common::message::{Hello, PROTOCOL_VERSION, Refusal, Request, Response};
use tinyhero_common::network::SelfTestInput;

use crate::clock::Clock;
use crate::engine::{Engine, LoadedModel};
use crate::slot::{ModelSlot, SlotError};

pub use connection::Buffers;
use connection::{Connection, RequestFrame, reply};
use meter::Meter;

/// Why a server stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The host has closed the link.
    Closed,
    /// The host asked for a reset, and has been answered.
    Reset,
    /// The link broke.
    Failed,
}

/// What a board gives its server beside the engine and the buffers.
pub struct Server<Link, Time, Pin, Slot> {
    /// The board's folder name.
    pub board: &'static str,
    /// Bytes from and to the host.
    pub link: Link,
    /// What inference is timed with.
    pub clock: Time,
    /// High while the board computes.
    pub activity: Pin,
    /// Where the model lies.
    pub slot: Slot,
    /// Most bytes of stack in use so far.
    pub stack_high_water: fn() -> u32,
}

/// A request that the model's user cannot answer, since it changes what the model is borrowed from.
enum Interruption {
    /// A request for the slot.
    Slot(RequestFrame),
    /// The server stops.
    End(End),
}

impl<Link, Time, Pin, Slot> Server<Link, Time, Pin, Slot>
where
    Link: Read + Write,
    Time: Clock,
    Pin: OutputPin,
    Slot: ModelSlot,
{
    /// Answers requests until the host closes the link or asks for a reset.
    pub fn serve<K: Kernels, const ARENA: usize, const FRAME: usize>(
        self,
        engine: &mut Engine<K, ARENA>,
        buffers: &mut Buffers<FRAME>,
    ) -> End {
        let Server { board, link, clock, activity, mut slot, stack_high_water } = self;
        let arena_bytes = engine.arena_bytes();
        let slot_bytes = slot.writable_bytes();
        let connection = Connection::new(link);
        let mut session = Session {
            board,
            clock,
            activity,
            stack_high_water,
            arena_bytes,
            slot_bytes,
            connection,
        };
        let mut activation = None;
        loop {
            let mut model = engine.load(slot.bytes());
            info!("model loaded: {}", model.is_ok());
            if let Some(sequence) = activation.take() {
                let activated = match &model {
                    Ok(model) => Response::Activated { digest: model.model().digest() },
                    Err(refusal) => Response::Refused(*refusal),
                };
                if !session.connection.send(&activated, sequence, &mut buffers.frame) {
                    return End::Failed;
                }
            }
            let frame = match session.use_model(&mut model, buffers) {
                Interruption::Slot(frame) => frame,
                Interruption::End(end) => return end,
            };
            match session.change_slot::<K, FRAME>(frame, &mut slot, buffers) {
                Ok(sequence) => activation = Some(sequence),
                Err(end) => return end,
            }
        }
    }
}

/// Everything but the slot and the model.
struct Session<Link, Time, Pin> {
    board: &'static str,
    clock: Time,
    activity: Pin,
    stack_high_water: fn() -> u32,
    arena_bytes: u32,
    slot_bytes: u32,
    connection: Connection<Link>,
}

impl<Link: Read + Write, Time: Clock, Pin: OutputPin> Session<Link, Time, Pin> {
    /// Answers requests until one concerns the slot.
    fn use_model<K: Kernels, const FRAME: usize>(
        &mut self,
        model: &mut Result<LoadedModel<'_, '_, K>, Refusal>,
        buffers: &mut Buffers<FRAME>,
    ) -> Interruption {
        loop {
            let frame = match self.connection.receive(buffers) {
                Ok(frame) => frame,
                Err(end) => return Interruption::End(end),
            };
            match frame.request(&buffers.received) {
                Some(Request::WriteModel { .. } | Request::ActivateModel { .. }) => {
                    return Interruption::Slot(frame);
                }
                _ => {
                    if let Some(end) = self.answer(frame, model, buffers) {
                        return Interruption::End(end);
                    }
                }
            }
        }
    }

    /// Writes to the slot until a model is to be activated: the sequence number of that request, or why the server stops.
    fn change_slot<K: Kernels, const FRAME: usize>(
        &mut self,
        mut frame: RequestFrame,
        slot: &mut impl ModelSlot,
        buffers: &mut Buffers<FRAME>,
    ) -> Result<u16, End> {
        loop {
            match frame.request(&buffers.received) {
                Some(Request::ActivateModel { .. }) => return Ok(frame.sequence),
                Some(Request::WriteModel { offset, bytes }) => {
                    let response = match slot.write(offset, bytes) {
                        Ok(()) => Response::Written,
                        Err(SlotError::ReadOnly) => Response::Refused(Refusal::NoSlot),
                        Err(SlotError::Write) => Response::Refused(Refusal::Write),
                    };
                    if !self.connection.send(&response, frame.sequence, &mut buffers.frame) {
                        return Err(End::Failed);
                    }
                }
                _ => {
                    let mut none = Err::<LoadedModel<'_, '_, K>, _>(Refusal::NoModel);
                    if let Some(end) = self.answer(frame, &mut none, buffers) {
                        return Err(end);
                    }
                }
            }
            frame = self.connection.receive(buffers)?;
        }
    }

    /// Answers one request that leaves the slot alone; says why the server stops if it does.
    fn answer<K: Kernels, const FRAME: usize>(
        &mut self,
        frame: RequestFrame,
        model: &mut Result<LoadedModel<'_, '_, K>, Refusal>,
        buffers: &mut Buffers<FRAME>,
    ) -> Option<End> {
        let Buffers { received, results, frame: room, .. } = buffers;
        let request = frame.request(received);
        let resets = matches!(request, Some(Request::Reset));
        let response = match (request, model) {
            (None, _) => Response::Refused(Refusal::Unknown),
            (Some(Request::Hello), model) => Response::Hello(Hello {
                protocol: PROTOCOL_VERSION,
                board: self.board,
                firmware: env!("CARGO_PKG_VERSION"),
                model: model
                    .as_ref()
                    .map(|model| model.model().digest())
                    .map_err(|refusal| *refusal),
                clock: self.clock.unit(),
                arena_bytes: self.arena_bytes,
                frame_bytes: FRAME as u32,
                slot_bytes: self.slot_bytes,
            }),
            (Some(Request::Reset), _) => Response::Resetting,
            (Some(_), Err(refusal)) => Response::Refused(*refusal),
            (Some(Request::Run { inputs, count }), Ok(model)) => {
                reply(self.run(model, inputs, count, results))
            }
            (Some(Request::Layers { first, input }), Ok(model)) => {
                reply(self.layers(model, first, input))
            }
            (Some(Request::SelfTest), Ok(model)) => reply(self.self_test(model, results)),
            (Some(Request::HighWater), Ok(model)) => Response::HighWater {
                arena: model.model().description().arena_bytes,
                stack: (self.stack_high_water)(),
            },
            (Some(Request::WriteModel { .. } | Request::ActivateModel { .. }), Ok(_)) => {
                Response::Refused(Refusal::Unknown)
            }
        };
        match (self.connection.send(&response, frame.sequence, room), resets) {
            (false, _) => Some(End::Failed),
            (true, true) => Some(End::Reset),
            (true, false) => None,
        }
    }

    fn run<'r, K: Kernels>(
        &mut self,
        model: &mut LoadedModel<'_, '_, K>,
        inputs: &[u8],
        count: u16,
        results: &'r mut [u8],
    ) -> Result<Response<'r>, Refusal> {
        let input_bytes = model.model().raw_input_bytes();
        if count == 0 || inputs.len() != input_bytes.saturating_mul(usize::from(count)) {
            return Err(Refusal::InputLength);
        }
        let mut total = 0u64;
        let mut used = 0usize;
        for input in inputs.chunks_exact(input_bytes.max(1)) {
            let mut meter = Meter::new(&mut self.clock, 0);
            let _ = self.activity.set_high();
            let output = model.run(input, &mut meter);
            let _ = self.activity.set_low();
            let output = output.map_err(|error| match error {
                RunError::InputLength => Refusal::InputLength,
                RunError::ArenaTooSmall => Refusal::TooLarge,
            })?;
            total = total.saturating_add(meter.total());
            let [l0, l1] = (output.label as u16).to_le_bytes();
            let [d0, d1, d2, d3] = meter.digest().to_le_bytes();
            let head = [l0, l1, d0, d1, d2, d3];
            let end = used.saturating_add(head.len()).saturating_add(output.scores.len());
            let place = results.get_mut(used..end).ok_or(Refusal::TooLarge)?;
            let scores = output.scores.iter().map(|&score| score.cast_unsigned());
            for (byte, value) in place.iter_mut().zip(head.into_iter().chain(scores)) {
                *byte = value;
            }
            used = end;
        }
        let results = results.get(..used).ok_or(Refusal::TooLarge)?;
        Ok(Response::Results { count: total, results })
    }

    /// The same as [`LoadedModel::self_test`], but with the observer that the other requests use: a second one would cost
    /// another copy of the layer loop.
    fn self_test<K: Kernels>(
        &mut self,
        model: &mut LoadedModel<'_, '_, K>,
        room: &mut [u8],
    ) -> Result<Response<'static>, Refusal> {
        let expected = model.model().description().self_test;
        let input = room.get_mut(..model.model().raw_input_bytes()).ok_or(Refusal::TooLarge)?;
        for (byte, value) in input.iter_mut().zip(SelfTestInput::new(expected.seed)) {
            *byte = value;
        }
        let mut meter = Meter::new(&mut self.clock, 0);
        model.run(input, &mut meter).map_err(|_| Refusal::InputLength)?;
        Ok(Response::SelfTest { passed: meter.digest() == expected.digest })
    }

    fn layers<K: Kernels>(
        &mut self,
        model: &mut LoadedModel<'_, '_, K>,
        first: u16,
        input: &[u8],
    ) -> Result<Response<'static>, Refusal> {
        let total = model.model().description().layer_count;
        let mut meter = Meter::new(&mut self.clock, first);
        let _ = self.activity.set_high();
        let output = model.run(input, &mut meter).map(|_| ());
        let _ = self.activity.set_low();
        output.map_err(|_| Refusal::InputLength)?;
        let (input_count, records) = meter.finish();
        Ok(Response::Layers { total, records, input_count })
    }
}
