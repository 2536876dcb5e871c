//! Checking what a device read returned, frame by frame, and finding the way on behind damage.

use crate::format::frame::{self, FrameError, Place};
use crate::sim::bugs::{self, Bug};

/// Bytes of an extent that are not to be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Positions in the file, `start..end`.
    pub start: u64,
    pub end: u64,
    /// Offsets that are lost with them.
    pub first: u64,
    pub next: u64,
    pub why: FrameError,
}

/// A place in the segment at which a frame begins, as the index has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Landmark {
    pub position: u64,
    pub offset: u64,
}

/// Checks the frames of `bytes`, which were read at `place.position`.
///
/// `first` is the offset that the first frame begins with, `end` where the last one ends. Behind a header that cannot
/// be believed the walk goes on at the next landmark, found by `landmark` at or behind a position and below `end`.
pub(crate) fn extent(
    bytes: &[u8],
    mut place: Place,
    first: u64,
    end: Landmark,
    landmark: impl Fn(u64) -> Option<Landmark>,
) -> Vec<Damage> {
    let start = place.position;
    let mut damage: Vec<Damage> = Vec::new();
    let mut expected = first;
    while place.position < end.position {
        let rest = bytes.get((place.position - start) as usize..).unwrap_or_default();
        let verified = match frame::verify(rest, &place) {
            Err(FrameError::BadCrc) if bugs::active(Bug::SkipReadCrc) => frame::peek(rest, &place),
            verified => verified,
        };
        let (to, why) = match verified {
            Ok(header) if header.base_offset >= expected && header.end_offset() <= end.offset => {
                place.position += u64::from(header.size);
                expected = header.end_offset();
                continue;
            }
            Ok(_) => (None, FrameError::BadHeader),
            Err(why @ (FrameError::BadCrc | FrameError::BadBody | FrameError::Unsupported(_))) => {
                // The header has its own check, so it may say where the next frame begins.
                let header = frame::peek(rest, &place).ok();
                let header = header.filter(|h| h.base_offset >= expected && h.end_offset() <= end.offset);
                let to =
                    header.map(|h| Landmark { position: place.position + u64::from(h.size), offset: h.end_offset() });
                (to.filter(|to| to.position <= end.position), why)
            }
            Err(why) => (None, why),
        };
        let to = to.or_else(|| landmark(place.position + 1)).filter(|to| to.position < end.position).unwrap_or(end);
        let next = to.offset.max(expected);
        match damage.last_mut() {
            Some(last) if last.end == place.position => (last.end, last.next) = (to.position, next),
            _ => damage.push(Damage { start: place.position, end: to.position, first: expected, next, why }),
        }
        (place.position, expected) = (to.position, next);
    }
    damage
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::frame::Stamp;
    use crate::format::plan::Plan;
    use crate::format::record::Record;
    use crate::ids::{Generation, PartitionId};

    const START: u64 = 4096;

    fn place(position: u64) -> Place {
        Place { partition: PartitionId::default(), generation: Generation(9), position, segment_base: 0 }
    }

    /// Ten frames of one record each, and where each begins.
    fn frames() -> (Vec<u8>, Vec<Landmark>) {
        let (mut bytes, mut marks) = (Vec::new(), Vec::new());
        for offset in 0..10 {
            let records = [Record::new("some value")];
            let plan = Plan::new(&records).expect("within limits");
            let at = bytes.len();
            bytes.resize(at + plan.frame_size(), 0);
            plan.encode(&records, &mut bytes[at..]);
            let stamp = Stamp { base_offset: offset, append_time: 1, durable: None };
            let position = START + at as u64;
            frame::seal(&mut bytes[at..], &place(position), &plan.fields(stamp));
            marks.push(Landmark { position, offset });
        }
        marks.push(Landmark { position: START + bytes.len() as u64, offset: 10 });
        (bytes, marks)
    }

    fn found(bytes: &[u8], marks: &[Landmark], known: &[usize]) -> Vec<(u64, u64, u64, u64)> {
        let landmark = |p: u64| known.iter().map(|i| marks[*i]).find(|m| m.position >= p);
        let damage = extent(bytes, place(START), 0, marks[10], landmark);
        damage.iter().map(|d| (d.start, d.end, d.first, d.next)).collect()
    }

    #[test]
    fn whole_frames_have_no_damage() {
        let (bytes, marks) = frames();
        assert_eq!(found(&bytes, &marks, &[]), []);
    }

    #[test]
    fn a_damaged_body_loses_its_frame_only() {
        let (mut bytes, marks) = frames();
        bytes[(marks[4].position - START) as usize + 44] ^= 1;
        assert_eq!(found(&bytes, &marks, &[]), [(marks[4].position, marks[5].position, 4, 5)]);
    }

    #[test]
    fn a_damaged_header_loses_what_comes_before_the_next_landmark() {
        let (mut bytes, marks) = frames();
        bytes[(marks[4].position - START) as usize] ^= 8;
        assert_eq!(found(&bytes, &marks, &[2, 7]), [(marks[4].position, marks[7].position, 4, 7)]);
        assert_eq!(found(&bytes, &marks, &[]), [(marks[4].position, marks[10].position, 4, 10)]);
    }

    #[test]
    fn every_flipped_byte_is_found_and_what_is_before_and_behind_stays() {
        let (clean, marks) = frames();
        for at in 0..clean.len() {
            let mut bytes = clean.clone();
            bytes[at] ^= 0x40;
            let hit = marks.iter().rposition(|m| m.position <= START + at as u64).expect("inside");
            let damage = found(&bytes, &marks, &(0..10).collect::<Vec<_>>());
            assert_eq!(damage, [(marks[hit].position, marks[hit + 1].position, hit as u64, hit as u64 + 1)], "{at}");
        }
    }

    #[test]
    fn a_read_that_came_back_short_is_damage_up_to_the_end() {
        let (bytes, marks) = frames();
        let cut = (marks[6].position - START) as usize + 3;
        assert_eq!(found(&bytes[..cut], &marks, &[]), [(marks[6].position, marks[10].position, 6, 10)]);
    }

    #[test]
    fn neighbours_are_one_damage() {
        let (mut bytes, marks) = frames();
        for i in [3, 4] {
            bytes[(marks[i].position - START) as usize + 44] ^= 1;
        }
        assert_eq!(found(&bytes, &marks, &[]), [(marks[3].position, marks[5].position, 3, 5)]);
    }
}
