//! From a time to an offset.

use super::lender::{Attempt, Cursor, Found};
use super::reader::Source;
use crate::error::{ErrorKind, Result};
use crate::format::record::RecordView;
use crate::segment::{Index, NEVER, Segment};
use crate::sync::Arc;
use std::ops::Range;

/// Bytes asked for at once while records are looked at.
const READ_BYTES: usize = 1 << 20;

impl Source {
    /// The offset of the first visible record whose timestamp is `time` or later, or the high watermark. Blocks while
    /// the device is asked.
    pub(crate) fn first_at(&mut self, time: i64) -> Result<u64> {
        let mut search = Search::new(time);
        Found::now(|| self.search(&mut search))
    }

    /// Goes on with a search, as far as it gets without waiting. After an error it begins again.
    pub(crate) fn search(&mut self, search: &mut Search) -> Result<Found<u64>> {
        let found = self.search_on(search);
        if !matches!(found, Ok(Found::Wait(_))) {
            *search = Search::new(search.time);
        }
        found
    }

    /// The index of a segment knows the latest timestamp before each of its entries, so that one stretch between two
    /// of them is read, and segments that end before the time are not read at all.
    fn search_on(&mut self, search: &mut Search) -> Result<Found<u64>> {
        let partition = Arc::clone(&self.partition);
        let time = search.time;
        let high = partition.watermark().high();
        let mut from = partition.log_start().max(search.from);
        for segment in partition.chain().segments().iter() {
            let begin = from.max(segment.base_offset);
            // Damage that recovery found has no segment.
            if let Some(damage) = partition.damage_in(from..begin) {
                return Ok(Found::There(damage.start.max(from)));
            }
            let end = partition.visible(segment).offset.min(high);
            if end <= begin {
                continue;
            }
            if search.stretch.is_none() {
                search.stretch = match self.stretch(segment, time)? {
                    Found::There(stretch) => stretch.map(|stretch| Cursor::new(stretch.max(begin))),
                    Found::Wait(extent) => return Ok(Found::Wait(extent)),
                };
            }
            if let Some(cursor) = &mut search.stretch {
                match self.scan(cursor, end, |record| record.timestamp >= time)? {
                    Found::There(Some(found)) => return Ok(Found::There(found)),
                    Found::There(None) => search.stretch = None,
                    Found::Wait(extent) => return Ok(Found::Wait(extent)),
                }
            }
            (from, search.from) = (end, end);
        }
        Ok(Found::There(partition.damage_in(from..u64::MAX).map_or(high, |damage| damage.start.max(from))))
    }

    /// The offset of the first visible record that was appended at `time` or later, or the high watermark. Blocks
    /// while the device is asked.
    ///
    /// Append times never fall, so they divide the partition in two: the last segment that begins before `time` has the
    /// place, and its index leads there by halves, each of which reads one batch.
    pub(crate) fn first_appended_at(&mut self, time: i64) -> Result<u64> {
        let partition = Arc::clone(&self.partition);
        let high = partition.watermark().high();
        let segments = partition.chain().segments();
        let next = segments.partition_point(|segment| segment.base_time < time);
        let mut from = partition.log_start();
        if let Some(segment) = next.checked_sub(1).map(|last| &segments[last]) {
            let begin = from.max(segment.base_offset);
            let end = partition.visible(segment).offset.min(high);
            if begin < end {
                let index = self.lender.index_now(&partition, segment)?;
                let stretch = self.stretch_appended(segment, &index, begin..end, time)?;
                let mut cursor = Cursor::new(stretch);
                if let Some(found) = Found::now(|| self.scan(&mut cursor, end, |record| record.append_time >= time))? {
                    return Ok(found);
                }
            }
            from = from.max(end);
        }
        // Damage that recovery found has no segment, and may be of any time from here on.
        let behind = segments.get(next).map_or(high, |segment| segment.base_offset.clamp(from, high.max(from)));
        let found = partition.damage_in(from..behind.max(from.saturating_add(1)));
        Ok(found.map_or(behind, |damage| damage.start.max(from)))
    }

    /// The last entry of a segment's index before which nothing of `offsets` was appended at `time` or later.
    fn stretch_appended(&mut self, segment: &Segment, index: &Index, offsets: Range<u64>, time: i64) -> Result<u64> {
        let offset = |at| segment.base_offset + u64::from(index.entry(at).relative_offset);
        let (mut low, mut high) = (0, index.len());
        while low < high {
            let middle = low.midpoint(high);
            // Where nothing can be read, what is behind it knows: it was not appended earlier.
            let mut known = None;
            let mut at = middle;
            while known.is_none() && at < high {
                let probe = offset(at).max(offsets.start);
                known = if probe < offsets.end { self.append_time_at(probe)? } else { Some(i64::MAX) };
                at += 1;
            }
            if known.is_some_and(|known| known < time) { low = at } else { high = middle }
        }
        Ok(low.checked_sub(1).map_or(offsets.start, |at| offset(at).max(offsets.start)))
    }

    /// The append time of the first record at `offset` or behind it; `None` where it is damaged.
    fn append_time_at(&mut self, offset: u64) -> Result<Option<i64>> {
        match self.read(&mut Cursor::new(offset), 1) {
            Ok(batch) => Ok(batch.iter().next().map(|record| record.append_time)),
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Where in a segment the first record of `time` or later may be; `None`: it has none.
    fn stretch(&self, segment: &Arc<Segment>, time: i64) -> Result<Found<Option<u64>>> {
        if segment.newest() < time {
            return Ok(Found::There(None));
        }
        let index = match self.lender.index(&self.partition, segment)? {
            Found::There(index) => index,
            Found::Wait(extent) => return Ok(Found::Wait(extent)),
        };
        // It may be known only since the index was read.
        if segment.newest() < time {
            return Ok(Found::There(None));
        }
        let entry = index.lookup_time(time);
        Ok(Found::There(Some(segment.base_offset + entry.map_or(0, |entry| u64::from(entry.relative_offset)))))
    }

    /// The first of the records from the cursor to `end` that is sought. Damage counts as found.
    fn scan(
        &mut self,
        cursor: &mut Cursor,
        end: u64,
        is_sought: impl Fn(&RecordView<'_>) -> bool,
    ) -> Result<Found<Option<u64>>> {
        while cursor.offset < end {
            let before = cursor.offset;
            let batch = match self.attempt(cursor, READ_BYTES) {
                Ok(Attempt::Batch(batch)) => batch,
                Ok(Attempt::Wait(extent)) => return Ok(Found::Wait(extent)),
                Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(Found::There(Some(before))),
                // Retention has come by.
                Err(error) if error.kind() == ErrorKind::OutOfRange && before < self.partition.log_start() => {
                    *cursor = Cursor::new(self.partition.log_start());
                    continue;
                }
                Err(error) => return Err(error),
            };
            let found = batch.iter().take_while(|record| record.offset < end).find(&is_sought);
            if let Some(record) = found {
                return Ok(Found::There(Some(record.offset)));
            }
            if cursor.offset == before {
                break;
            }
        }
        Ok(Found::There(None))
    }
}

/// A search for the first record of a time, and how far it has come.
pub(crate) struct Search {
    time: i64,
    /// All before it is earlier.
    from: u64,
    /// Where the next segment with later records is being looked through.
    stretch: Option<Cursor>,
}

impl Search {
    pub(crate) fn new(time: i64) -> Search {
        // What has no records is marked by the lowest number; every record is later.
        Search { time: time.max(NEVER + 1), from: 0, stretch: None }
    }
}
