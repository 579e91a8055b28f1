//! Where a model runs: the boards, how their firmware is built, how they are started and talked to.

pub mod board;
pub mod client;
pub mod firmware_image;
#[cfg(unix)]
mod guard;
pub mod link;
#[cfg(feature = "probe")]
pub mod probe;
mod process;
#[cfg(unix)]
pub mod qemu;
pub mod setup;
pub mod slots;
