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
    /// Headers and footers of segments that are damaged, and where. No record is lost by that: what they say stands in
    /// the manifest or follows from the records, so that this is a copy less of it.
    pub damaged_copies: Vec<String>,
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
                    Err(error) if error.kind() == ErrorKind::Deleted => continue,
                    result => result?,
                }
                self.verify_areas(&seat, &mut report)?;
            }
        }
        for seat in self.internal_seats() {
            self.common().gate.check()?;
            verify_partition(&self.common().lender, &seat, &mut VerifyReport::default(), &mut |range| {
                tell(range);
                report.damaged.push(range.clone());
            })?;
            self.verify_areas(&seat, &mut report)?;
        }
        Ok(report)
    }

    /// Looks at what stands before and behind the frames.
    fn verify_areas(&self, seat: &Seat, report: &mut VerifyReport) -> Result<()> {
        let partition = seat.current();
        for segment in partition.chain().segments().iter() {
            let damaged = self.common().lender.damaged_areas(&partition, segment, self.store())?;
            // A file that was given up meanwhile may be another segment's by now.
            let there = seat.current();
            let deleted = there.watermark().failure().is_some_and(|error| error.kind() == ErrorKind::Deleted);
            if deleted || !there.chain().segments().iter().any(|other| other.generation == segment.generation) {
                continue;
            }
            let named = |why| format!("{partition} segment {:05x}, {why}", segment.sequence);
            report.damaged_copies.extend(damaged.into_iter().map(named));
        }
        Ok(())
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
