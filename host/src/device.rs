//! Where a model runs: the boards, how their firmware is built, how they are started and talked to.

#[cfg(unix)]
pub mod bench;
pub mod board;
pub mod client;
pub mod firmware_image;
#[cfg(feature = "probe")]
pub mod flash;
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
#[cfg(unix)]
pub mod verify;
