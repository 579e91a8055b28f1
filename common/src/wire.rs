//! What host and board say to each other, and where they meet.

pub mod byte_routines;
pub mod endpoints;
pub mod frame;
pub mod message;
pub mod result;
