//! Reading everything, and checking every checksum and offset.

use std::ops::ControlFlow;

use super::core::Core;
use crate::error::{DamagedRange, ErrorKind, Result};
use crate::format::frame::Kind;
use crate::partition::Seat;
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
            for seat in topic.state().seats() {
                self.common().gate.check()?;
                match verify_partition(&self.common().lender, &seat, &mut report, tell) {
                    Err(error) if error.kind() == ErrorKind::Deleted => {}
                    result => result?,
                }
            }
        }
        for seat in self.internal_seats() {
            self.common().gate.check()?;
            verify_partition(&self.common().lender, &seat, &mut VerifyReport::default(), &mut |range| {
                tell(range);
                report.damaged.push(range.clone());
            })?;
        }
        Ok(report)
    }
}

fn verify_partition(
    lender: &Lender,
    seat: &Seat,
    report: &mut VerifyReport,
    tell: &mut dyn FnMut(&DamagedRange),
) -> Result<()> {
    let partition = seat.current();
    report.partitions += u64::from(!partition.chain().segments().is_empty());
    let (start, mut last) = (partition.log_start(), None);
    lender.survey(seat, start, &mut |segment, surveyed| {
        if last.replace(segment.generation) != Some(segment.generation) {
            report.segments += 1;
        }
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
                    report.records += header.end_offset() - header.base_offset.max(start);
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
    for range in seat.current().damaged() {
        let range = partition.damage(range.start, range.end);
        tell(&range);
        report.damaged.push(range);
    }
    Ok(())
}
