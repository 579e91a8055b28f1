//! The serial port of Arm's MPS2 and MPS3 boards (Cortex-M System Design Kit, technical reference
//! manual, "APB UART").

use core::convert::Infallible;

use embedded_io::{ErrorType, Read, Write};

/// Words from the port's first register.
const DATA: usize = 0;
const STATE: usize = 1;
const CONTROL: usize = 2;
const BAUD_DIVIDER: usize = 4;

const SENDING: u32 = 1;
const RECEIVED: u32 = 2;
const SEND_AND_RECEIVE: u32 = 0b11;

/// One port, 8 data bits, no parity, one stop bit.
pub struct CmsdkUart {
    registers: *mut u32,
}

impl CmsdkUart {
    /// Switches the port on whose registers begin at `address`, at `divider` clocks a bit, at least
    /// 16.
    ///
    /// # Safety
    /// There is such a port at the address, and nothing else uses it.
    pub unsafe fn new(address: usize, divider: u32) -> Self {
        let port = Self { registers: address as *mut u32 };
        port.write(BAUD_DIVIDER, divider);
        port.write(CONTROL, SEND_AND_RECEIVE);
        port
    }

    fn read(&self, register: usize) -> u32 {
        // SAFETY: `new` was told that the port is there; the constants above stay within its
        // registers.
        unsafe { self.registers.add(register).read_volatile() }
    }

    fn write(&self, register: usize, value: u32) {
        // SAFETY: as for reading; the registers control nothing but the port.
        unsafe { self.registers.add(register).write_volatile(value) }
    }

    fn has(&self, flag: u32) -> bool {
        self.read(STATE) & flag != 0
    }
}

impl ErrorType for CmsdkUart {
    type Error = Infallible;
}

impl Read for CmsdkUart {
    /// Waits for a byte and takes what else there is.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        while !buffer.is_empty() && !self.has(RECEIVED) {}
        let mut count = 0usize;
        for place in buffer {
            if !self.has(RECEIVED) {
                break;
            }
            *place = CmsdkUart::read(self, DATA) as u8;
            count = count.wrapping_add(1);
        }
        Ok(count)
    }
}

impl Write for CmsdkUart {
    fn write(&mut self, buffer: &[u8]) -> Result<usize, Infallible> {
        for &byte in buffer {
            while self.has(SENDING) {}
            CmsdkUart::write(self, DATA, u32::from(byte));
        }
        Ok(buffer.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        while self.has(SENDING) {}
        Ok(())
    }
}
