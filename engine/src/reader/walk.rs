//! Finding the frames of a batch in memory that is known to be whole.

use crate::format::frame;

/// Frames that make a batch, in the slice that was walked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    /// Where they begin.
    pub at: usize,
    /// Their bytes, together.
    pub size: usize,
    /// Records at or behind the offset asked for.
    pub count: u64,
    /// The offset after the last frame that was passed, chosen or not.
    pub next: u64,
    /// Where that frame ends.
    pub end: usize,
}

/// Chooses whole frames from `bytes`, which begin with a frame and hold whole frames only: the first data frame that
/// reaches beyond `offset`, and what follows it up to `max_bytes`. The first is chosen whatever its size.
pub(crate) fn span(bytes: &[u8], segment_base: u64, offset: u64, max_bytes: usize) -> Span {
    let mut span = Span { next: offset, ..Span::default() };
    let mut at = 0;
    while let Some(frame) = bytes.get(at..).and_then(|rest| frame::outline(rest, segment_base)) {
        let size = frame.size as usize;
        if size > bytes.len() - at {
            break;
        }
        let wanted = frame.data && frame.end_offset > offset;
        if span.count > 0 && at + size - span.at > max_bytes {
            break;
        }
        if wanted {
            if span.count == 0 {
                span.at = at;
            }
            span.count += frame.end_offset - frame.base_offset.max(offset);
            span.size = at + size - span.at;
        }
        at += size;
        span.next = span.next.max(frame.end_offset);
        span.end = at;
    }
    span
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::frame::{Place, Stamp};
    use crate::format::plan::Plan;
    use crate::format::record::Record;
    use crate::ids::{Generation, PartitionId};

    const BASE: u64 = 100;

    fn stamp(base_offset: u64) -> Stamp {
        Stamp { base_offset, append_time: 5, durable: None }
    }

    fn place(position: usize) -> Place {
        let partition = PartitionId::default();
        Place { partition, generation: Generation(1), position: position as u64, segment_base: BASE }
    }

    fn data(bytes: &mut Vec<u8>, offset: u64, count: usize) -> usize {
        let records = vec![Record::new("value"); count];
        let plan = Plan::new(&records).expect("within limits");
        let at = bytes.len();
        bytes.resize(at + plan.frame_size(), 0);
        plan.encode(&records, &mut bytes[at..]);
        frame::seal(&mut bytes[at..], &place(at), &plan.fields(stamp(offset)));
        plan.frame_size()
    }

    fn fill(bytes: &mut Vec<u8>, offset: u64, void: u16) -> usize {
        let at = bytes.len();
        bytes.resize(at + 64, 0);
        match void {
            0 => frame::pad(&mut bytes[at..], &place(at), &stamp(offset)),
            _ => frame::void(&mut bytes[at..], &place(at), void, &stamp(offset)),
        }
        64
    }

    #[test]
    fn the_first_frame_is_chosen_whatever_its_size_and_the_rest_by_size() {
        let mut bytes = Vec::new();
        let a = data(&mut bytes, 100, 2);
        let b = data(&mut bytes, 102, 1);
        let c = data(&mut bytes, 103, 3);
        assert_eq!(span(&bytes, BASE, 100, 0), Span { at: 0, size: a, count: 2, next: 102, end: a });
        assert_eq!(span(&bytes, BASE, 101, a + b), Span { at: 0, size: a + b, count: 2, next: 103, end: a + b });
        assert_eq!(span(&bytes, BASE, 101, a + b + c - 1).count, 2);
        assert_eq!(span(&bytes, BASE, 102, 1), Span { at: a, size: b, count: 1, next: 103, end: a + b });
        let all = span(&bytes, BASE, 100, usize::MAX);
        assert_eq!((all.size, all.count, all.next), (bytes.len(), 6, 106));
        assert_eq!(span(&bytes, BASE, 106, 10).count, 0);
    }

    #[test]
    fn pads_and_voids_are_passed_over_and_move_the_next_offset() {
        let mut bytes = Vec::new();
        fill(&mut bytes, 100, 0);
        fill(&mut bytes, 100, 7);
        assert_eq!(span(&bytes, BASE, 100, 1), Span { at: 0, size: 0, count: 0, next: 107, end: 128 });
        let a = data(&mut bytes, 107, 1);
        fill(&mut bytes, 108, 2);
        let b = data(&mut bytes, 110, 1);
        let all = span(&bytes, BASE, 103, usize::MAX);
        assert_eq!(all, Span { at: 128, size: a + 64 + b, count: 2, next: 111, end: bytes.len() });
    }

    #[test]
    fn a_frame_that_is_not_there_whole_ends_the_walk() {
        let mut bytes = Vec::new();
        let a = data(&mut bytes, 100, 1);
        data(&mut bytes, 101, 1);
        for cut in a..bytes.len() {
            assert_eq!(span(&bytes[..cut], BASE, 100, usize::MAX).next, 101);
        }
    }
}
