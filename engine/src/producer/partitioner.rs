//! Which partition a record goes to: by its key as Kafka's Java client does it, without a key by turns.

use core::sync::atomic::{AtomicU32, Ordering};

/// The 32-bit murmur2 hash, with the seed and the byte order of Kafka's Java client.
///
/// ```
/// assert_eq!(thalweg::murmur2(b"21"), -973932308);
/// ```
pub fn murmur2(key: &[u8]) -> i32 {
    const M: u32 = 0x5bd1_e995;
    // Kafka's lengths are Java ints; longer keys than that exceed the limit long before.
    let mut hash = 0x9747_b28c_u32 ^ (key.len() as u32);
    let (words, rest) = key.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * i);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^= hash >> 15;
    hash.cast_signed()
}

/// The partition of a key among `partitions`, which is at least 1.
pub(crate) fn partition_of(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff).cast_unsigned() % partitions
}

/// Partitions by turns, for batches without a key. One for each topic, shared by all its handles.
#[derive(Default)]
pub(crate) struct RoundRobin {
    next: AtomicU32,
}

impl RoundRobin {
    /// The partition of the next batch among `partitions`, which is at least 1.
    pub(crate) fn next(&self, partitions: u32) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed) % partitions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_java_client() {
        // The vectors of Kafka's own UtilsTest, and one more.
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()), hash, "{key}");
        }
    }

    #[test]
    fn a_negative_hash_loses_its_sign_bit_and_not_its_sign() {
        assert_eq!(partition_of(b"21", 7), ((-973_932_308_i32) & 0x7fff_ffff) as u32 % 7);
        assert_eq!(partition_of(b"21", 1), 0);
    }

    #[test]
    fn turns_reach_every_partition_equally() {
        let turns = RoundRobin::default();
        let mut counts = [0; 3];
        for _ in 0..9 {
            counts[turns.next(3) as usize] += 1;
        }
        assert_eq!(counts, [3, 3, 3]);
    }
}
