//! What bounds an engine in memory: copying, checksumming, walking.

/// Copies `count` pieces of `record`, each `batch` times in a row, into `into` (wrapping), with one CRC-32 for each
/// batch.
pub fn memcpy_crc(record: &[u8], into: &mut [u8], batch: usize, count: u64) -> u32 {
    let size = record.len() * batch;
    let (mut at, mut sum) = (0, 0);
    for _ in 0..count / batch as u64 {
        if at + size > into.len() {
            at = 0;
        }
        let target = &mut into[at..at + size];
        for piece in target.chunks_exact_mut(record.len()) {
            piece.copy_from_slice(std::hint::black_box(record));
        }
        sum ^= crc32fast::hash(target);
        at += size;
    }
    sum
}

/// Reads every byte of a record, as any consumer does.
#[inline]
pub fn sum(record: &[u8]) -> u64 {
    let (words, rest) = record.as_chunks::<8>();
    let words = words.iter().fold(0_u64, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)));
    rest.iter().fold(words, |sum, byte| sum.wrapping_add(u64::from(*byte)))
}

/// Walks `bytes` in records of `size`, reading each.
pub fn walk(bytes: &[u8], size: usize) -> u64 {
    bytes.chunks_exact(size).fold(0, |total, record| total.wrapping_add(sum(record)))
}
