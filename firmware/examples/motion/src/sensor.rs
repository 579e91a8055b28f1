//! The accelerometer LIS3DH (ST, datasheet DocID17530): ±2 g, 100 readings a second.

use embedded_hal::i2c::I2c;

/// Its address with SA0 low.
const ADDRESS: u8 = 0x18;
const WHO_AM_I: u8 = 0x0F;
const LIS3DH: u8 = 0x33;
const CONTROL_1: u8 = 0x20;
/// 100 Hz, all three axes.
const RATE_AND_AXES: u8 = 0x57;
const CONTROL_4: u8 = 0x23;
/// Readings change as a whole; high resolution; ±2 g.
const WHOLE_READINGS: u8 = 0x88;
/// First of the six output registers, with the bit that moves on from one to the next.
const OUTPUT: u8 = 0x28 | 0x80;

/// What can go wrong with the sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SensorError<Bus> {
    /// The bus.
    Bus(Bus),
    /// Something else answers at its address, with this identification.
    Other(u8),
}

/// The sensor, set up.
pub struct Accelerometer<Bus> {
    bus: Bus,
}

impl<Bus: I2c> Accelerometer<Bus> {
    /// Finds the sensor and sets it up.
    ///
    /// # Errors
    /// Nothing or something else answers.
    pub fn new(mut bus: Bus) -> Result<Self, SensorError<Bus::Error>> {
        let mut identification = [0];
        bus.write_read(ADDRESS, &[WHO_AM_I], &mut identification).map_err(SensorError::Bus)?;
        let [identification] = identification;
        if identification != LIS3DH {
            return Err(SensorError::Other(identification));
        }
        for setting in [[CONTROL_1, RATE_AND_AXES], [CONTROL_4, WHOLE_READINGS]] {
            bus.write(ADDRESS, &setting).map_err(SensorError::Bus)?;
        }
        Ok(Self { bus })
    }

    /// The three axes; 16,384 is one g.
    ///
    /// # Errors
    /// The sensor does not answer.
    pub fn read(&mut self) -> Result<[i16; 3], SensorError<Bus::Error>> {
        let mut bytes = [0; 6];
        self.bus.write_read(ADDRESS, &[OUTPUT], &mut bytes).map_err(SensorError::Bus)?;
        let [x0, x1, y0, y1, z0, z1] = bytes;
        Ok([[x0, x1], [y0, y1], [z0, z1]].map(i16::from_le_bytes))
    }

    /// Gives the bus back.
    pub fn release(self) -> Bus {
        self.bus
    }
}
