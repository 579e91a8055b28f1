//! An application with a model of its own: it reads an accelerometer and says how the board is being moved.
//!
//! It knows nothing of the chip or the way tasks are run: the sensor is behind any [`embedded_hal::i2c::I2c`], and the model, linked in by
//! `include_bytes!`, is run by the same engine as on the boards. `boards/nrf52840-dk/examples` puts it into three
//! kinds of firmware.
#![no_std]
#![forbid(unsafe_code)]

mod sensor;

use embedded_hal::i2c::I2c;
use tinyhero_firmware::engine::{self, Engine, LoadedModel};
use tinyhero_firmware::kernel::Portable;

pub use sensor::{Accelerometer, SensorError};

/// Readings in one input of the model.
pub const WINDOW: usize = 16;
/// Bytes of a reading: three axes of 16 bits.
const READING_BYTES: usize = 6;
/// The model's arena; `tinyhero inspect` says what it takes.
pub const ARENA_BYTES: usize = 128;

/// The model file, aligned to 16 bytes since its weights are read in place.
#[repr(align(16))]
struct Aligned<const BYTES: usize>([u8; BYTES]);

static MODEL: &Aligned<{ include_bytes!("../model/motion.hero").len() }> =
    &Aligned(*include_bytes!("../model/motion.hero"));

/// The engine that [`Motion::new`] wants, made to be a static.
pub type MotionEngine = Engine<Portable, ARENA_BYTES>;

/// How the board is being moved: the classes of the model, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It lies still, at whatever angle.
    Still,
    /// It is being turned.
    Turning,
    /// It is being shaken.
    Shaking,
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MotionError<Bus> {
    /// The sensor.
    Sensor(SensorError<Bus>),
    /// The model, at the start.
    Model(engine::Error),
    /// The model has other inputs or outputs than this program: another file was linked in.
    Shape,
}

impl<Bus> From<SensorError<Bus>> for MotionError<Bus> {
    fn from(error: SensorError<Bus>) -> Self {
        Self::Sensor(error)
    }
}

/// A sensor and the model that judges it.
pub struct Motion<'e, Bus> {
    sensor: Accelerometer<Bus>,
    model: LoadedModel<'e, 'static, Portable>,
    window: [u8; WINDOW * READING_BYTES],
    filled: usize,
}

impl<'e, Bus: I2c> Motion<'e, Bus> {
    /// Finds the sensor on `bus` and validates the model, once.
    ///
    /// # Errors
    /// The sensor is not there or another one, or the model is refused.
    pub fn new(bus: Bus, engine: &'e mut MotionEngine) -> Result<Self, MotionError<Bus::Error>> {
        let model = engine.load(&MODEL.0).map_err(MotionError::Model)?;
        if model.model().raw_input_bytes() != WINDOW * READING_BYTES {
            return Err(MotionError::Shape);
        }
        let sensor = Accelerometer::new(bus)?;
        Ok(Self { sensor, model, window: [0; WINDOW * READING_BYTES], filled: 0 })
    }

    /// Takes one reading; with every sixteenth, says how the board was moved meanwhile. To be called a hundred times a second.
    ///
    /// # Errors
    /// The sensor does not answer.
    pub fn step(&mut self) -> Result<Option<State>, MotionError<Bus::Error>> {
        let reading = self.sensor.read()?;
        let bytes = reading.iter().flat_map(|axis| axis.to_le_bytes());
        let place = self.window.iter_mut().skip(self.filled * READING_BYTES);
        for (place, byte) in place.zip(bytes) {
            *place = byte;
        }
        self.filled += 1;
        if self.filled < WINDOW {
            return Ok(None);
        }
        self.filled = 0;
        let output = self.model.run(&self.window, &mut ()).map_err(|_| MotionError::Shape)?;
        match output.label {
            0 => Ok(Some(State::Still)),
            1 => Ok(Some(State::Turning)),
            2 => Ok(Some(State::Shaking)),
            _ => Err(MotionError::Shape),
        }
    }

    /// Gives the bus back.
    pub fn release(self) -> Bus {
        self.sensor.release()
    }
}
