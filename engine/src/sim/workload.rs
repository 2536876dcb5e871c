//! What simulated producers append: mostly little, sometimes a lot, sometimes with bad intent.

use super::oracle::Content;
use super::rng::Rng;

/// How large the batches of one world are. Small ones go through the journal, larger ones straight to their segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// The largest value of most records. Bytes.
    pub(crate) usual: u64,
    /// One batch in so many is large.
    pub(crate) large_one_in: u64,
    /// The largest of the large. Bytes.
    pub(crate) large: u64,
}

impl Sizes {
    pub(crate) fn draw(rng: &mut Rng) -> Sizes {
        Sizes {
            usual: *rng.pick(&[20, 100, 300, 1000, 3000]),
            large_one_in: *rng.pick(&[6, 12, 25, 1000]),
            large: *rng.pick(&[6_000, 20_000, 40_000]),
        }
    }
}

/// The records of batch `number` of a world. No two batches are equal: the number stands in each record. `loot` is
/// what a hostile producer found in the store's own files, to be sent in as payload.
pub(crate) fn batch(rng: &mut Rng, sizes: Sizes, number: u64, loot: Option<Vec<u8>>) -> Vec<Content> {
    if let Some(loot) = loot {
        return vec![Content { value: Some(loot), headers: vec![(format!("n{number}"), None)], ..Content::default() }];
    }
    let large = rng.one_in(sizes.large_one_in);
    let count = if large { 1 } else { rng.log_between(1, 8) };
    (0..count).map(|index| record(rng, sizes, large, number, index)).collect()
}

/// Records of the same sizes as those of an earlier batch, under another number. `None`: they have no number.
pub(crate) fn again(batch: &[Content], number: u64) -> Option<Vec<Content>> {
    let renumber = |record: &Content, index: usize| {
        let mut record = record.clone();
        let numbered = [record.key.as_mut(), record.value.as_mut()].into_iter().flatten();
        let mut numbered = numbered.filter(|bytes| bytes.get(8) == Some(&(index as u8))).peekable();
        numbered.peek()?;
        numbered.for_each(|bytes| bytes[..8].copy_from_slice(&number.to_le_bytes()));
        Some(record)
    };
    let forged = |record: &Content| record.headers.iter().any(|(name, _)| name.starts_with('n'));
    batch.iter().enumerate().map(|(index, record)| renumber(record, index).filter(|r| !forged(r))).collect()
}

fn record(rng: &mut Rng, sizes: Sizes, large: bool, number: u64, index: u64) -> Content {
    let mut name = number.to_le_bytes().to_vec();
    name.push(index as u8);
    let size = if large { rng.log_between(4096, sizes.large) } else { rng.log_between(1, sizes.usual) };
    let mut value = name.clone();
    value.resize(name.len() + size as usize, rng.next() as u8);
    // Content that differs along its length shows a shifted or torn copy; noise costs more than it tells.
    for (chunk, word) in value.chunks_exact_mut(64).zip(number..) {
        chunk[..8].copy_from_slice(&word.to_le_bytes());
    }
    let mut content = Content { value: Some(value), ..Content::default() };
    match rng.below(12) {
        0 => content.key = Some(name),
        1 => content.key = Some(Vec::new()),
        2 => {
            content.key = Some(name);
            content.value = None;
        }
        3 => {
            content.headers = (0..rng.between(1, 3))
                .map(|i| (format!("h{i}"), (!rng.one_in(3)).then(|| name[..rng.index(name.len())].to_vec())))
                .collect();
        }
        4 => content.timestamp = Some(rng.below(1 << 41) as i64),
        _ => {}
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_differ_and_have_every_shape() {
        let mut rng = Rng::new(1);
        let sizes = Sizes { usual: 100, large_one_in: 6, large: 20_000 };
        let batches: Vec<Vec<Content>> = (0..500).map(|n| batch(&mut rng, sizes, n, None)).collect();
        let all = || batches.iter().flatten();
        assert!(batches.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(all().any(|r| r.value.is_none()) && all().any(|r| r.key.is_some()));
        assert!(all().any(|r| !r.headers.is_empty()) && all().any(|r| r.timestamp.is_some()));
        assert!(all().any(|r| r.value.as_ref().is_some_and(|v| v.len() > 4096)));
        for (number, batch) in (1000..).zip(&batches) {
            let again = again(batch, number).expect("each record has a number");
            let sizes = |batch: &[Content]| -> Vec<_> {
                batch.iter().map(|r| (r.key.as_ref().map(Vec::len), r.value.as_ref().map(Vec::len))).collect()
            };
            assert_eq!(sizes(&again), sizes(batch));
            assert!(again.iter().zip(batch).all(|(a, b)| a != b), "each record tells them apart");
        }
        let forged = batch(&mut rng, sizes, 7, Some(vec![1, 2, 3]));
        assert_eq!(again(&forged, 8), None);
        assert_eq!(forged[0].value.as_deref(), Some(&[1, 2, 3][..]));
    }
}
