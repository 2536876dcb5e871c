//! Reading everything, and checking every checksum and offset.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::core::Core;
use crate::error::{DamagedRange, ErrorKind, Result};
use crate::format::frame::Kind;
use crate::partition::Partition;
use crate::reader::{Lender, Surveyed};

/// What verification found. Made by [`Engine::verify`](crate::Engine::verify).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Topics looked at.
    pub topics: u64,
    /// Partitions that hold records.
    pub partitions: u64,
    /// Segments read.
    pub segments: u64,
    /// Batches that are whole.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of all frames that are whole, padding counted.
    pub bytes: u64,
    /// Offsets that are damaged, or that the device refused to give, by topic, partition and offset.
    pub damaged: Vec<DamagedRange>,
    /// Partitions that the device did not let be read to their end at open, and why. What is behind is not verified.
    pub unavailable: Vec<String>,
}

impl Core {
    pub(super) fn verify(&self, tell: &mut dyn FnMut(&DamagedRange)) -> Result<VerifyReport> {
        let unavailable = self.recovery().unavailable.clone();
        let mut report = VerifyReport { unavailable, ..VerifyReport::default() };
        for topic in self.handles() {
            report.topics += 1;
            for partition in topic.state().used() {
                self.common().gate.check()?;
                match verify_partition(&self.common().lender, &partition, &mut report, tell) {
                    Err(error) if error.kind() == ErrorKind::Deleted => {}
                    result => result?,
                }
            }
        }
        for partition in self.internal_partitions() {
            self.common().gate.check()?;
            verify_partition(&self.common().lender, &partition, &mut VerifyReport::default(), &mut |range| {
                tell(range);
                report.damaged.push(range.clone());
            })?;
        }
        Ok(report)
    }
}

fn verify_partition(
    lender: &Lender,
    partition: &Arc<Partition>,
    report: &mut VerifyReport,
    tell: &mut dyn FnMut(&DamagedRange),
) -> Result<()> {
    let segments = partition.chain().segments();
    report.partitions += u64::from(!segments.is_empty());
    for segment in segments.iter() {
        report.segments += 1;
        let _whole = lender.survey(partition, segment, segment.base_offset, &mut |surveyed| {
            let mut damaged = |first, next| {
                let range = partition.damage(first, next);
                tell(&range);
                report.damaged.push(range);
            };
            match surveyed {
                Surveyed::Frame(_, header) => {
                    report.bytes += u64::from(header.size);
                    if header.kind == Kind::Data {
                        report.batches += 1;
                        report.records += u64::from(header.count);
                    }
                }
                // A long stretch of damage comes in pieces, of which the last one has the offsets.
                Surveyed::Damage(damage) if damage.next > damage.first => {
                    partition.tell_damage(damage.first, damage.next);
                    damaged(damage.first, damage.next);
                }
                Surveyed::Damage(_) => {}
                Surveyed::Refused(first, next, _) => damaged(first, next),
            }
            ControlFlow::Continue(())
        })?;
    }
    for range in partition.damaged() {
        let range = partition.damage(range.start, range.end);
        tell(&range);
        report.damaged.push(range);
    }
    Ok(())
}
