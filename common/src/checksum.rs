//! The two checks on bytes: CRC-32 guards what is stored or sent, FNV-1a tells two layer outputs
//! apart cheaply.

/// CRC-32 as in Ethernet, zip and PNG (polynomial 0x04C11DB7 reflected, start and final value all
/// ones).
///
/// Any single flipped bit, and any burst up to 32 bits, changes it.
#[derive(Clone, Copy, Debug)]
pub struct Crc32(u32);

/// What the lowest `bits` bits of the register do to it as they are shifted out, for every value of
/// theirs.
const fn table<const ENTRIES: usize>(bits: u32) -> [u32; ENTRIES] {
    let mut table = [0u32; ENTRIES];
    let mut index = 0;
    while index < ENTRIES {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < bits {
            value = if value & 1 == 1 { (value >> 1) ^ 0xEDB8_8320 } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

/// 64 bytes.
static NIBBLES: [u32; 16] = table(4);
/// 1 kB.
static BYTES: [u32; 256] = table(8);

impl Default for Crc32 {
    fn default() -> Self {
        Self::new()
    }
}

impl Crc32 {
    /// A checksum over nothing yet.
    pub const fn new() -> Self {
        Self(u32::MAX)
    }

    /// Goes on from a register that [`Crc32::register`] gave, or begins with another than all ones.
    pub const fn from_register(register: u32) -> Self {
        Self(register)
    }

    /// The register as it stands, before the final inversion.
    pub const fn register(self) -> u32 {
        self.0
    }

    /// Takes in more bytes, four bits at a time: about ten instructions a byte on Cortex-M, and a
    /// table of 64 bytes.
    pub const fn update(mut self, bytes: &[u8]) -> Self {
        let mut rest = bytes;
        while let [byte, tail @ ..] = rest {
            self.0 ^= *byte as u32;
            self.0 = (self.0 >> 4) ^ NIBBLES[(self.0 & 15) as usize];
            self.0 = (self.0 >> 4) ^ NIBBLES[(self.0 & 15) as usize];
            rest = tail;
        }
        self
    }

    /// The same as [`Crc32::update`] at about four instructions a byte, for a table of 1 kB: for
    /// what is checked again and again.
    // Compiled where it is used: this crate is compiled for size, which would put every byte's part
    // into a function of its own.
    #[inline]
    pub fn update_fast(mut self, bytes: &[u8]) -> Self {
        let byte = |crc: u32| (crc >> 8) ^ BYTES[(crc & 0xFF) as usize];
        let word =
            |crc: u32, bytes: [u8; 4]| byte(byte(byte(byte(crc ^ u32::from_le_bytes(bytes)))));
        let (fours, rest) = bytes.as_chunks();
        for [b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15] in fours {
            self.0 = word(self.0, [*b0, *b1, *b2, *b3]);
            self.0 = word(self.0, [*b4, *b5, *b6, *b7]);
            self.0 = word(self.0, [*b8, *b9, *b10, *b11]);
            self.0 = word(self.0, [*b12, *b13, *b14, *b15]);
        }
        for last in rest {
            self.0 = byte(self.0 ^ u32::from(*last));
        }
        self
    }

    /// The checksum of everything taken in.
    pub const fn finish(self) -> u32 {
        !self.0
    }

    /// The checksum of one slice.
    pub const fn of(bytes: &[u8]) -> u32 {
        Self::new().update(bytes).finish()
    }
}

/// 32-bit FNV-1a, three instructions a byte: the digest of a layer's output.
///
/// Host and board compare digests layer by layer; that is how the first layer that differs is found
/// without sending its activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(u32);

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

impl Digest {
    /// A digest over nothing yet.
    pub const fn new() -> Self {
        Self(0x811C_9DC5)
    }

    /// Takes in the bytes of an int8 tensor, in memory order.
    pub fn update(mut self, values: &[i8]) -> Self {
        for &value in values {
            self.0 = (self.0 ^ u32::from(value as u8)).wrapping_mul(0x0100_0193);
        }
        self
    }

    /// Takes in another digest, byte by byte from the least significant.
    pub const fn combine(mut self, other: u32) -> Self {
        let mut rest = other;
        let mut count = 0;
        while count < 4 {
            self.0 = (self.0 ^ (rest & 0xFF)).wrapping_mul(0x0100_0193);
            rest >>= 8;
            count += 1;
        }
        self
    }

    /// The digest as a number.
    pub const fn finish(self) -> u32 {
        self.0
    }
}
