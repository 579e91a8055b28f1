//! The fixed bytes inside the answers to inferences; all integers are little-endian.

/// Bytes of a [`ResultHead`].
pub const RESULT_HEAD_BYTES: usize = 6;
/// Bytes of a [`LayerRecord`].
pub const LAYER_RECORD_BYTES: usize = 8;

/// The bytes before each output in [`Response::Results`](super::message::Response::Results).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResultHead {
    /// Index of the winning class.
    pub label: u16,
    /// Digest over the outputs of all layers; 0 if it was not asked for.
    pub digest: u32,
}

impl ResultHead {
    /// The head as it is sent: label, then digest.
    #[inline]
    pub const fn to_bytes(self) -> [u8; RESULT_HEAD_BYTES] {
        let [l0, l1] = self.label.to_le_bytes();
        let [d0, d1, d2, d3] = self.digest.to_le_bytes();
        [l0, l1, d0, d1, d2, d3]
    }

    /// The head that these bytes are.
    pub const fn from_bytes([l0, l1, d0, d1, d2, d3]: [u8; RESULT_HEAD_BYTES]) -> Self {
        Self { label: u16::from_le_bytes([l0, l1]), digest: u32::from_le_bytes([d0, d1, d2, d3]) }
    }
}

/// Digest and cost of one layer in [`Response::Layers`](super::message::Response::Layers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerRecord {
    /// Digest of the layer's output.
    pub digest: u32,
    /// Clock counts.
    pub count: u32,
}

impl LayerRecord {
    /// The record as it is sent: digest, then counts.
    #[inline]
    pub const fn to_bytes(self) -> [u8; LAYER_RECORD_BYTES] {
        let [d0, d1, d2, d3] = self.digest.to_le_bytes();
        let [c0, c1, c2, c3] = self.count.to_le_bytes();
        [d0, d1, d2, d3, c0, c1, c2, c3]
    }

    /// The record that these bytes are.
    pub const fn from_bytes(bytes: [u8; LAYER_RECORD_BYTES]) -> Self {
        let [d0, d1, d2, d3, c0, c1, c2, c3] = bytes;
        Self {
            digest: u32::from_le_bytes([d0, d1, d2, d3]),
            count: u32::from_le_bytes([c0, c1, c2, c3]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LayerRecord, ResultHead};

    #[test]
    fn what_is_sent_has_the_documented_bytes_and_reads_back() {
        let head = ResultHead { label: 0x0201, digest: 0x0605_0403 };
        assert_eq!(head.to_bytes(), [1, 2, 3, 4, 5, 6]);
        assert_eq!(ResultHead::from_bytes(head.to_bytes()), head);
        let record = LayerRecord { digest: 0x0403_0201, count: 0x0807_0605 };
        assert_eq!(record.to_bytes(), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(LayerRecord::from_bytes(record.to_bytes()), record);
    }
}
