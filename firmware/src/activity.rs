//! A pin that is high while the board computes, so that time and power can be measured from
//! outside.

use core::convert::Infallible;

use embedded_hal::digital::{ErrorType, OutputPin};

/// The activity pin of a board that has none.
pub struct NoPin;

impl ErrorType for NoPin {
    type Error = Infallible;
}

impl OutputPin for NoPin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
