//! From records to a place in a partition, and the ticket for it.

use std::collections::BTreeMap;

use super::ticket::Ticket;
use super::{AppendOptions, Appended, RoundRobin, partition_of};
use crate::error::{Error, ErrorKind, Result};
use crate::format::record::Record;
use crate::format::source::Encode;
use crate::io::Environment;
use crate::partition::{Patience, Seat};

/// Appends one batch to a partition.
pub(crate) fn submit(
    seat: &Seat,
    records: &(impl Encode + ?Sized),
    options: AppendOptions,
    patience: Patience<'_>,
    environment: &dyn Environment,
) -> Result<Ticket> {
    let mut plan = records.plan()?;
    if let Some(term) = options.term {
        plan = plan.with_term(term)?;
    }
    if let Some(offset) = options.expected_offset {
        plan = plan.at(offset);
    }
    let (partition, at) = loop {
        let before = seat.truncations();
        let partition = seat.current();
        match partition.append(&plan, records, environment, patience) {
            Err(error) if error.kind() == ErrorKind::Truncated => {
                let waited = match patience {
                    Patience::None => false,
                    Patience::Until(deadline) => seat.wait_truncated(before, deadline),
                    Patience::Told(who) => seat.tell_truncated(before, who),
                };
                if !waited {
                    return Err(Error::new(ErrorKind::WouldBlock, error.message()));
                }
            }
            appended => break (partition, appended?),
        }
    };
    let durability = options.durability.unwrap_or_else(|| partition.watermark().durability());
    partition.want(durability, at.end.offset);
    let appended =
        Appended { partition: partition.id().partition, base_offset: at.base_offset, count: u32::from(at.count) };
    Ok(Ticket::new(partition, durability, appended))
}

/// Divides the indexes of records by the partition that their keys belong to, in their order. Those without a key go together, by
/// turns.
pub(crate) fn split(records: &[Record<'_>], partitions: u32, turns: &RoundRobin) -> BTreeMap<u32, Vec<usize>> {
    let mut parts: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    let mut turn = None;
    for (index, record) in records.iter().enumerate() {
        let partition = match record.key {
            Some(key) => partition_of(key, partitions),
            None => *turn.get_or_insert_with(|| turns.next(partitions)),
        };
        parts.entry(partition).or_default().push(index);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_the_order_and_records_without_a_key_stay_together() {
        let keys: Vec<String> = (0..20).map(|i| format!("k{}", i % 7)).collect();
        let values: Vec<String> = (0..20).map(|i| i.to_string()).collect();
        let mut records: Vec<Record> = keys.iter().zip(&values).map(|(k, v)| Record::new(v).key(k)).collect();
        records.insert(3, Record::new("x"));
        records.push(Record::new("y"));
        let parts = split(&records, 4, &RoundRobin::default());
        assert_eq!(parts.values().map(Vec::len).sum::<usize>(), 22);
        let without: Vec<u32> =
            parts.iter().flat_map(|(p, of)| of.iter().filter(|at| records[**at].key.is_none()).map(|_| *p)).collect();
        assert_eq!(without, [0, 0]);
        for (partition, part) in &parts {
            assert!(part.is_sorted());
            assert!(part.iter().all(|at| records[*at].key.is_none_or(|key| partition_of(key, 4) == *partition)));
        }
    }
}
