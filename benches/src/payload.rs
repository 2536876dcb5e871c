//! The values that are appended: bytes that no compression makes smaller.

/// Batches of values, taken in turns.
pub(crate) struct Payload {
    bytes: Vec<u8>,
    record_size: usize,
    batch: usize,
    count: usize,
}

/// What all batches together take, if a few fit: more than a block of any store that compresses blocks, and little
/// enough for a processor's cache.
const SIZE: usize = 256 << 10;

impl Payload {
    pub(crate) fn new(record_size: usize, batch: usize) -> Payload {
        let one = record_size * batch;
        let count = (SIZE / one.max(1)).clamp(4, 1024);
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut word = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        let mut bytes: Vec<u8> = (0..(one * count).div_ceil(8)).flat_map(|_| word()).collect();
        bytes.truncate(one * count);
        Payload { bytes, record_size, batch, count }
    }

    /// How many different batches there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Records of a batch.
    pub(crate) fn batch(&self) -> usize {
        self.batch
    }

    /// Bytes of a batch.
    pub(crate) fn size(&self) -> usize {
        self.record_size * self.batch
    }

    /// The values of a batch; numbers wrap.
    pub(crate) fn values(&self, number: usize) -> impl ExactSizeIterator<Item = &[u8]> {
        let size = self.size();
        let at = number % self.count * size;
        self.bytes[at..at + size].chunks_exact(self.record_size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_have_their_size_and_differ() {
        for (size, batch) in [(100, 1), (100, 100), (16 << 10, 100), (8, 1)] {
            let payload = Payload::new(size, batch);
            assert!(payload.count() >= 4);
            let values: Vec<&[u8]> = payload.values(0).collect();
            assert_eq!(values.len(), batch);
            assert!(values.iter().all(|value| value.len() == size));
            assert_ne!(values, payload.values(1).collect::<Vec<_>>());
            assert_eq!(values, payload.values(payload.count()).collect::<Vec<_>>());
        }
    }
}
