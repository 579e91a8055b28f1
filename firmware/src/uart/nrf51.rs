//! The serial port of Nordic's nRF51 (nRF51 Series Reference Manual 3.0, chapter 29).

use core::convert::Infallible;

use embedded_io::{ErrorType, Read, Write};

const BASE: usize = 0x4000_2000;
const START_RECEIVER: usize = 0x000;
const START_TRANSMITTER: usize = 0x008;
const RECEIVED: usize = 0x108;
const SENT: usize = 0x11C;
const ENABLE: usize = 0x500;
const TRANSMIT_PIN: usize = 0x50C;
const RECEIVE_PIN: usize = 0x514;
const RECEIVED_BYTE: usize = 0x518;
const SENT_BYTE: usize = 0x51C;
const BAUD_RATE: usize = 0x524;
/// Set and direction of the pins.
const PINS: usize = 0x5000_0000;
const PIN_SET: usize = 0x508;
const PIN_DIRECTION_SET: usize = 0x518;

const ENABLED: u32 = 4;
/// 115,200 bits a second.
const BAUD_115200: u32 = 0x01D7_E000;

/// The chip's one port: 115,200 bits a second, 8 data bits, no parity, one stop bit.
pub struct Nrf51Uart(());

impl Nrf51Uart {
    /// Switches the port on, on these pins of port 0.
    ///
    /// # Safety
    /// The chip is an nRF51, and nothing else uses the port or the pins.
    pub unsafe fn new(transmit_pin: u32, receive_pin: u32) -> Self {
        // The line idles high.
        let transmit = 1u32.wrapping_shl(transmit_pin);
        for (register, value) in [
            (PINS + PIN_SET, transmit),
            (PINS + PIN_DIRECTION_SET, transmit),
            (BASE + TRANSMIT_PIN, transmit_pin),
            (BASE + RECEIVE_PIN, receive_pin),
            (BASE + BAUD_RATE, BAUD_115200),
            (BASE + ENABLE, ENABLED),
            (BASE + START_RECEIVER, 1),
            (BASE + START_TRANSMITTER, 1),
        ] {
            write(register, value);
        }
        Self(())
    }
}

fn read(register: usize) -> u32 {
    // SAFETY: only called with this file's addresses, which every nRF51 has, once `new` was told
    // that this is one.
    unsafe { (register as *mut u32).read_volatile() }
}

fn write(register: usize, value: u32) {
    // SAFETY: as for reading; the registers control nothing but the port and its pins.
    unsafe { (register as *mut u32).write_volatile(value) }
}

/// Waits until something has happened, and forgets it.
fn wait(event: usize) {
    while read(BASE + event) == 0 {}
    write(BASE + event, 0);
}

impl ErrorType for Nrf51Uart {
    type Error = Infallible;
}

impl Read for Nrf51Uart {
    /// Waits for a byte and takes what else there is.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let mut count = 0usize;
        for place in buffer {
            if count > 0 && read(BASE + RECEIVED) == 0 {
                break;
            }
            wait(RECEIVED);
            *place = read(BASE + RECEIVED_BYTE) as u8;
            count = count.wrapping_add(1);
        }
        Ok(count)
    }
}

impl Write for Nrf51Uart {
    fn write(&mut self, buffer: &[u8]) -> Result<usize, Infallible> {
        for &byte in buffer {
            write(BASE + SENT_BYTE, u32::from(byte));
            wait(SENT);
        }
        Ok(buffer.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
