//! Serial ports as byte links, polled: the host says nothing while the board computes, so nothing
//! is missed.
//!
//! A byte that is lost all the same, or damaged by the line, fails its frame's checksum, and the
//! host asks again.

mod cmsdk;
mod nrf51;

pub use cmsdk::CmsdkUart;
pub use nrf51::Nrf51Uart;
