//! Numbers whose code is shared: in place, each would cost a board about 60 bytes of flash. The wire format is the same.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What `#[serde(with = "outlined")]` writes a number with.
#[inline(never)]
pub(super) fn serialize<S: Serializer>(number: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    number.serialize(serializer)
}

/// What `#[serde(with = "outlined")]` reads a number with.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    u32::deserialize(deserializer)
}
