//! Inner loops for ARMv6-M: eight low registers for what multiplies, six high ones that can only be added to.
//!
//! Two pixels share a word, 16 bits apart, so that one `MULS` multiplies both with a field; the column buffer holds such words. A tile is four
//! channels and two pixels. With 8-bit fields a product fills its lane and is spilled at once: the whole product is added to a total, its
//! upper half to a total of the upper lane. Up to 4 bits several products fit before that. With a single pixel the fields of two
//! channels stand 16 bits apart instead, where they have at most 4 bits.

pub mod bytes;
pub mod column;
pub mod fields;
pub mod rescale;
pub mod strip;
