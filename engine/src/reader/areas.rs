//! What stands before and behind a segment's frames, and elsewhere as well: looked at to verify it, and for nothing else.

use super::index::is_footer_of;
use super::lender::{Lender, full};
use crate::buffer::{Block, Share};
use crate::error::Result;
use crate::format::segment::{Footer, SEGMENT_HEADER_SIZE, SegmentHeader};
use crate::io::{File, read_up_to};
use crate::limits::{FRAME_MAX, SECTOR};
use crate::partition::Partition;
use crate::segment::Segment;

impl Lender {
    /// What is wrong with the header of a segment that takes no more appends, and with the footer that it had when the
    /// store was opened. Reads on the caller's thread, past the cache, and only where the file is open.
    pub(crate) fn damaged_areas(&self, partition: &Partition, segment: &Segment, store: u64) -> Result<Vec<String>> {
        let (Some(end), Some(file)) = (segment.closed(), segment.file()) else { return Ok(Vec::new()) };
        // No memory is set aside for a footer beyond the largest frame.
        let footer_size = Some(segment.footer_size as usize).filter(|size| *size <= FRAME_MAX).unwrap_or(0);
        let size = SEGMENT_HEADER_SIZE.max(footer_size);
        let take = |share| Block::take(&self.pool, share, segment.generation, 0, size);
        let block = take(Share::Cache).or_else(|_| take(Share::Reserve)).map_err(|why| full(partition, why))?;
        // SAFETY: the block was just taken, and nobody else knows it.
        let memory = unsafe { block.bytes_mut(0, size) };
        let header = look(&*file, 0, &mut memory[..SEGMENT_HEADER_SIZE], |bytes| {
            let header = SegmentHeader::parse(bytes).map_err(|error| error.to_string())?;
            let own = (header.store, header.partition, header.sequence, header.generation, header.base_offset)
                == (store, segment.partition, segment.sequence, segment.generation, segment.base_offset);
            if own { Ok(()) } else { Err("it is another segment's".into()) }
        });
        let mut found: Vec<String> = header.err().map(|why| format!("header: {why}")).into_iter().collect();
        if footer_size > 0 {
            let footer = look(&*file, end.position.next_multiple_of(SECTOR), &mut memory[..footer_size], |bytes| {
                let (footer, _) = Footer::parse(bytes).map_err(|error| error.to_string())?;
                if is_footer_of(&footer, segment) { Ok(()) } else { Err("it is another segment's".into()) }
            });
            found.extend(footer.err().map(|why| format!("footer: {why}")));
        }
        Ok(found)
    }
}

fn look(
    file: &dyn File,
    position: u64,
    memory: &mut [u8],
    check: impl FnOnce(&[u8]) -> core::result::Result<(), String>,
) -> core::result::Result<(), String> {
    match read_up_to(file, position, memory) {
        Ok(size) if size == memory.len() => check(memory),
        Ok(_) => Err("the file ends before it does".into()),
        Err(error) => Err(format!("it cannot be read: {error}")),
    }
}
