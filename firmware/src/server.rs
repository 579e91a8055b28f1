//! Answers the host's messages over any byte link.
//!
//! While a model is in use its slot is only borrowed for reading; the other slot takes the next
//! model between two requests, so every request goes on being answered. Only the last one of an
//! update ends the borrow: the new model is validated, tested and used from the next request on, or
//! the former one is loaded again.

mod connection;
mod meter;
mod session;

use embedded_hal::digital::OutputPin;
use embedded_io::{Read, Write};
use tinyhero_common::kernels::Kernels;
use tinyhero_common::model::{LoadError, Reason};
use tinyhero_common::slot::{Record, Slot};
use tinyhero_common::wire::byte_routines::ByteRoutines;
use tinyhero_common::wire::message::{Refusal, Response};

use crate::clock::Clock;
use crate::engine::{self, Engine, LoadedModel};
use crate::slot::{MappedFlash, Slots};

pub use connection::Buffers;
use connection::Connection;
use meter::Stopwatch;
use session::{Interruption, Session, Use};

impl From<engine::Error> for Refusal {
    fn from(error: engine::Error) -> Self {
        match error {
            engine::Error::Blank => Self::NoModel,
            engine::Error::Load(error) => error.into(),
            engine::Error::Arena { needed } => Self::ArenaTooSmall { needed },
        }
    }
}

/// [`Engine::load`] with the link's reasons.
// Large, and called from several places; the engine's errors become refusals where they arise.
#[inline(never)]
fn load<'e, 'm, K: Kernels, const ARENA: usize>(
    engine: &'e mut Engine<K, ARENA>,
    region: &'m [u8],
) -> Result<LoadedModel<'e, 'm, K>, Refusal> {
    engine.load(region).map_err(Refusal::from)
}

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
pub struct Server<Link, Time, Pin, Flash> {
    /// The board's folder name.
    pub board: &'static str,
    /// Bytes from and to the host.
    pub link: Link,
    /// What inference is timed with.
    pub clock: Time,
    /// High while the board computes.
    pub activity: Pin,
    /// Where the models lie.
    pub slots: Slots<Flash>,
    /// Most bytes of stack in use so far.
    pub stack_high_water: fn() -> u32,
    /// Routines of this core for the bytes of frames; `None` for the portable ones.
    pub byte_routines: Option<ByteRoutines>,
}

impl<Link, Time, Pin, Flash> Server<Link, Time, Pin, Flash>
where
    Link: Read + Write,
    Time: Clock,
    Pin: OutputPin,
    Flash: MappedFlash,
{
    /// Uses the newest model that computes what it should, and answers requests until the host
    /// closes the link or asks for a reset.
    pub fn serve<K: Kernels, const ARENA: usize, const FRAME: usize>(
        self,
        engine: &mut Engine<K, ARENA>,
        buffers: &mut Buffers<FRAME>,
    ) -> End {
        let Server { board, link, clock, activity, mut slots, stack_high_water, byte_routines } =
            self;
        let mut session = Session {
            board,
            watch: Stopwatch::new(clock),
            activity,
            stack_high_water,
            arena_bytes: engine.arena_bytes(),
            slot_bytes: slots.writable_bytes(),
            passed_over: None,
            connection: Connection::new(link, byte_routines),
        };
        choose(&mut session, engine, &mut slots, buffers);
        let mut finished = None;
        let mut waiting = None;
        loop {
            let slot = slots.used().unwrap_or(Slot::A);
            let trial = slots.is_trial();
            let nothing = slots.used().is_none();
            let (file, idle) = slots.split();
            let model = match session.passed_over {
                Some(refusal) if nothing => Err(refusal),
                _ => load(engine, file),
            };
            info!("model loaded: {}", model.is_ok());
            if let Some(sequence) = finished.take() {
                let response = match &model {
                    Ok(model) => Response::Activated { digest: model.model().digest() },
                    Err(refusal) => Response::Refused(*refusal),
                };
                if !session.connection.send(&response, sequence, &mut buffers.frame) {
                    return End::Failed;
                }
            }
            let mut in_use = Use { model, idle, slot, trial };
            match session.answer_all(&mut in_use, waiting.take(), buffers) {
                Interruption::End(end) => return end,
                Interruption::Begin(frame) => {
                    slots.end_trial();
                    waiting = Some(frame);
                }
                Interruption::Finish { sequence, digest, commit } => {
                    match finish(&mut session, engine, &mut slots, buffers, digest, commit) {
                        Ok(()) => finished = Some(sequence),
                        Err(refusal) => {
                            slots.give_up(digest);
                            let response = Response::Refused(refusal);
                            if !session.connection.send(&response, sequence, &mut buffers.frame) {
                                return End::Failed;
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Settles on the newest committed model that passes its self-test; without one, on a model file
/// that lies at the start of the first slot without a record, which a programmer or an emulator has
/// put there.
fn choose<
    L: Read + Write,
    T: Clock,
    P: OutputPin,
    F: MappedFlash,
    K: Kernels,
    const A: usize,
    const N: usize,
>(
    session: &mut Session<L, T, P>,
    engine: &mut Engine<K, A>,
    slots: &mut Slots<F>,
    buffers: &mut Buffers<N>,
) {
    // What was erased since it could not be read may have been the newest model, or its record.
    if slots.has_lost() {
        session.passed_over = Some(LoadError { reason: Reason::Checksum, layer: None }.into());
    }
    let [newest, older] = slots.newest_first();
    let placed = match slots.record(Slot::A) {
        Some(_) => None,
        None => Some((Slot::A, None)),
    };
    let committed =
        |found: Option<(Slot, Record)>| found.map(|(slot, record)| (slot, Some(record.digest)));
    for (slot, digest) in [committed(newest), committed(older), placed].into_iter().flatten() {
        match session.examine(engine, slots.file(slot), digest, digest.is_some(), buffers) {
            Ok(()) => return slots.settle(Some(slot)),
            // The newest one's fault is the one to tell of.
            // Nothing was passed over where nothing lies.
            Err(Refusal::NoModel) if digest.is_none() => {}
            Err(refusal) => _ = session.passed_over.get_or_insert(refusal),
        }
    }
}

/// Brings the model that has been written into use, if it is what was announced.
fn finish<
    L: Read + Write,
    T: Clock,
    P: OutputPin,
    F: MappedFlash,
    K: Kernels,
    const A: usize,
    const N: usize,
>(
    session: &mut Session<L, T, P>,
    engine: &mut Engine<K, A>,
    slots: &mut Slots<F>,
    buffers: &mut Buffers<N>,
    digest: u32,
    commit: bool,
) -> Result<(), Refusal> {
    let file = slots.written_file(digest).ok_or(Refusal::NoUpdate)?;
    session.examine(engine, file, Some(digest), commit, buffers)?;
    if !commit {
        slots.try_out();
    } else if !slots.commit() {
        return Err(Refusal::Write);
    }
    session.passed_over = None;
    Ok(())
}
