//! From a time to an offset.

use super::lender::Cursor;
use super::reader::Source;
use crate::error::{ErrorKind, Result};
use crate::segment::{NEVER, Segment};
use crate::sync::Arc;

/// Bytes asked for at once while records are looked at.
const READ_BYTES: usize = 1 << 20;

impl Source {
    /// The offset of the first visible record whose timestamp is `time` or later, or the high watermark. Blocks while
    /// the device is asked.
    ///
    /// The index of a segment knows the latest timestamp before each of its entries, so that one stretch between two
    /// of them is read, and segments that end before `time` are not read at all.
    pub(crate) fn first_at(&mut self, time: i64) -> Result<u64> {
        let partition = Arc::clone(&self.partition);
        let high = partition.watermark().high();
        let mut from = partition.log_start();
        for segment in partition.chain().segments().iter() {
            let begin = from.max(segment.base_offset);
            // Damage that recovery found has no segment.
            if let Some(damage) = partition.damage_in(from..begin) {
                return Ok(damage.start.max(from));
            }
            let end = partition.visible(segment).offset.min(high);
            if end <= begin {
                continue;
            }
            if let Some(stretch) = self.stretch(segment, time)?
                && let Some(found) = self.scan(stretch.max(begin), end, time)?
            {
                return Ok(found);
            }
            from = end;
        }
        Ok(partition.damage_in(from..u64::MAX).map_or(high, |damage| damage.start.max(from)))
    }

    /// Where in a segment the first record of `time` or later may be; `None`: it has none.
    fn stretch(&self, segment: &Arc<Segment>, time: i64) -> Result<Option<u64>> {
        if segment.newest() < time {
            return Ok(None);
        }
        let index = self.lender.index_now(&self.partition, segment)?;
        // It may be known only since the index was read.
        if segment.newest() < time {
            return Ok(None);
        }
        let entry = index.lookup_time(time);
        Ok(Some(segment.base_offset + entry.map_or(0, |entry| u64::from(entry.relative_offset))))
    }

    /// Looks at the records of `from..end`. Damage counts as found.
    fn scan(&mut self, from: u64, end: u64, time: i64) -> Result<Option<u64>> {
        debug_assert!(time > NEVER, "times have a range");
        let mut cursor = Cursor::new(from);
        while cursor.offset < end {
            let before = cursor.offset;
            let batch = match self.read(&mut cursor, READ_BYTES) {
                Ok(batch) => batch,
                Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(Some(before)),
                // Retention has come by.
                Err(error) if error.kind() == ErrorKind::OutOfRange && before < self.partition.log_start() => {
                    cursor = Cursor::new(self.partition.log_start());
                    continue;
                }
                Err(error) => return Err(error),
            };
            let found = batch.iter().take_while(|record| record.offset < end).find(|record| record.timestamp >= time);
            if let Some(record) = found {
                return Ok(Some(record.offset));
            }
            if cursor.offset == before {
                break;
            }
        }
        Ok(None)
    }
}
