//! The files in `tests/golden/` are format version 1, for ever: what this build writes is what they hold, byte for
//! byte, and it reads them. A file that is missing is written, and the test fails, so that it gets committed or the
//! mistake noticed.

use std::fs;
use std::path::PathBuf;

use super::arbitrary::{frame, raw};
use super::partition;
use crate::durability::Durability;
use crate::format::file::{FileError, set_version};
use crate::format::frame::{FrameError, Kind, Place, SINGLE, Stamp, TAG_TERM, pad, verify, void};
use crate::format::journal::{self, JournalHeader, RangeEntry, WatermarkEntry, WriteBuilder};
use crate::format::manifest::{CheckpointEntry, Edit, Root, Slot, append_commit, log_start, read_commit};
use crate::format::record::{Record, RecordHeader};
use crate::format::segment::{Footer, IndexEntry, NEVER, SEGMENT_DATA_START, SegmentHeader};
use crate::format::view::FrameRecords;
use crate::ids::{DurablePrimitive, Generation, Lsn, TopicId};
use crate::limits::SECTOR;

const STORE: u64 = 0x5707_e000_0000_0001;
const SEGMENT: Generation = Generation(0x0102_0304_0506_0708);
const JOURNAL: Generation = Generation(0x1112_1314_1516_1718);
const BASE: u64 = 1_000_000_007;
const TIME: i64 = 1_291_191_960_000;
const SECTOR_SIZE: usize = SECTOR as usize;

/// Compares `bytes` with the golden file of this name.
fn assert_golden(name: &str, bytes: &[u8]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden").join(name);
    let Ok(golden) = fs::read(&path) else {
        fs::create_dir_all(path.parent().expect("the path has a parent")).expect("the directory can be created");
        fs::write(&path, bytes).expect("the file can be written");
        panic!("{} was missing and has been written; if that was meant, commit it", path.display());
    };
    let differ = golden.iter().zip(bytes).position(|(golden, written)| golden != written);
    assert!(differ.is_none(), "{name}: this build writes another byte at {differ:?}");
    assert_eq!(golden.len(), bytes.len(), "{name}: this build writes another size");
}

fn segment_header() -> SegmentHeader {
    SegmentHeader {
        store: STORE,
        partition: partition(7, 3),
        sequence: 2,
        generation: SEGMENT,
        base_offset: BASE,
        base_time: TIME,
        capacity: 1 << 20,
    }
}

/// The segment's frames, one of every kind and shape.
fn frames() -> Vec<u8> {
    let headers = [RecordHeader::new("trace", "4bf9"), RecordHeader::null("replayed"), RecordHeader::new("", "")];
    let long_key = vec![b'k'; 65_536];
    let list = [
        Record::new("first").key("a").timestamp(TIME - 1),
        Record::new("second").timestamp(-1),
        Record::default(),
        Record::new("").key("").headers(&headers),
        Record::tombstone("a"),
    ];
    let mut bytes = Vec::new();
    let mut stamp = Stamp { base_offset: BASE, append_time: TIME, durable: None };
    let mut put = |make: &dyn Fn(&Place, Stamp) -> Vec<u8>| {
        let position = SEGMENT_DATA_START + bytes.len() as u64;
        let place = Place { partition: partition(7, 3), generation: SEGMENT, position, segment_base: BASE };
        let frame = make(&place, stamp);
        let header = verify(&frame, &place).expect("the frame is whole");
        bytes.extend_from_slice(&frame);
        let durable = Some(stamp.base_offset);
        stamp = Stamp { base_offset: header.end_offset(), append_time: stamp.append_time + 5, durable };
    };
    put(&|place, stamp| frame(&[Record::new("value").key("key")], place, stamp));
    put(&|place, stamp| frame(&[Record::new("")], place, stamp));
    put(&|place, stamp| {
        frame(&[Record::tombstone("key").headers(&headers).timestamp(TIME - 86_400_000)], place, stamp)
    });
    put(&|place, stamp| frame(&list, place, stamp));
    put(&|place, stamp| frame(&[Record::new("x").timestamp(5), Record::new("y").timestamp(5)], place, stamp));
    put(&|place, stamp| {
        let mut bytes = vec![0; 56];
        void(&mut bytes, place, 3, &stamp);
        bytes
    });
    put(&|place, stamp| {
        let term = [&[TAG_TERM, 8][..], &77u64.to_le_bytes()].concat();
        raw(Kind::Data, SINGLE, &term, b"with a term", place, stamp)
    });
    put(&|place, stamp| {
        let mut bytes = vec![0; SECTOR_SIZE - (place.position as usize % SECTOR_SIZE)];
        pad(&mut bytes, place, &stamp);
        bytes
    });
    put(&|place, stamp| frame(&[Record::new("v").key(&long_key)], place, stamp));
    put(&|place, stamp| {
        let mut bytes = vec![0; SECTOR_SIZE - (place.position as usize % SECTOR_SIZE)];
        pad(&mut bytes, place, &stamp);
        bytes
    });
    bytes
}

fn index() -> [IndexEntry; 2] {
    [IndexEntry::new(0, 4096, true, NEVER), IndexEntry::new(14, 8192, true, TIME + 30)]
}

#[test]
fn segment() {
    let mut bytes = vec![0xa5; SECTOR_SIZE];
    segment_header().encode(&mut bytes);
    bytes.extend(frames());
    let end_position = bytes.len() as u64;
    let footer = Footer {
        header: segment_header(),
        end_position,
        end_offset: BASE + 15,
        end_time: TIME + 45,
        newest: TIME + 40,
    };
    let mut tail = vec![0xa5; Footer::size(2)];
    footer.encode(&index(), &mut tail);
    bytes.extend(tail);
    assert_golden("segment.bin", &bytes);

    assert_eq!(SegmentHeader::parse(&bytes[..SECTOR_SIZE]), Ok(segment_header()));
    let (read, entries) = Footer::parse(&bytes[end_position as usize..]).expect("the footer is whole");
    assert_eq!(read, footer);
    assert!(entries.iter().eq(index()));
    let (mut at, mut kinds, mut offsets) = (SECTOR_SIZE, Vec::new(), Vec::new());
    while at < end_position as usize {
        let position = at as u64;
        let place = Place { partition: partition(7, 3), generation: SEGMENT, position, segment_base: BASE };
        let header = verify(&bytes[at..end_position as usize], &place).expect("the frame is whole");
        offsets.extend(FrameRecords::new(&bytes[at..], &header).map(|record| record.offset - BASE));
        kinds.push(header.kind);
        at += header.size as usize;
    }
    let data = [Kind::Data; 5];
    assert_eq!(kinds, [&data[..], &[Kind::Void, Kind::Data, Kind::Pad, Kind::Data, Kind::Pad]].concat());
    assert_eq!(offsets, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 14]);
    // A later build's frame: the same segment, a kind that has no meaning yet.
    let place = Place { partition: partition(7, 3), generation: SEGMENT, position: 4096, segment_base: BASE };
    let stamp = Stamp { base_offset: BASE, append_time: TIME, durable: None };
    let later = raw(Kind::Transaction, 0, &[], b"later", &place, stamp);
    assert_golden("frame-transaction.bin", &later);
    assert!(matches!(verify(&later, &place), Err(FrameError::Unsupported(_))));
}

#[test]
fn journal() {
    let header = JournalHeader { store: STORE, set: 4, generation: JOURNAL, number: 9, shard: 1, first_lsn: Lsn(1000) };
    let frames = frames();
    let range = RangeEntry {
        partition: partition(7, 3),
        generation: SEGMENT,
        position: 4096,
        size: 96,
        at: 0,
        end_offset: BASE + 2,
    };
    let other = RangeEntry { partition: partition(8, 65_535), generation: Generation(5), size: 8, ..range };
    let watermark =
        WatermarkEntry { partition: partition(7, 4), generation: Generation(6), position: 8192, offset: 77 };

    let mut bytes = vec![0xa5; 4 * SECTOR_SIZE];
    let (headers, rest) = bytes.split_at_mut(2 * SECTOR_SIZE);
    headers.chunks_exact_mut(SECTOR_SIZE).for_each(|sector| header.encode(sector));
    let (first, second) = rest.split_at_mut(SECTOR_SIZE);
    let mut builder = WriteBuilder::new(first, 5);
    builder.range(range, &frames[..40]);
    builder.more(&frames[40..96]);
    builder.watermark(watermark);
    builder.range(other, &frames[96..104]);
    assert_eq!(builder.finish(&header, Lsn(1000), Lsn(999), 8192), SECTOR_SIZE);
    assert_eq!(WriteBuilder::new(second, 0).finish(&header, Lsn(1001), Lsn(1000), 12_288), SECTOR_SIZE);
    assert_golden("journal.bin", &bytes);

    assert_eq!(JournalHeader::parse(&bytes), Ok(header));
    assert_eq!(journal::claimed_generation(&bytes[8192..]), Some(JOURNAL));
    let write = journal::parse(&bytes[8192..], JOURNAL, Lsn(1000), 8192).expect("the write is whole");
    assert_eq!(write.file, header);
    assert_eq!(write.watermarks().collect::<Vec<_>>(), [watermark]);
    let ranges: Vec<_> = write.ranges().collect();
    assert_eq!(ranges, [range, RangeEntry { at: 96, ..other }]);
    assert_eq!((write.payload(&ranges[0]), write.payload(&ranges[1])), (&frames[..96], &frames[96..104]));
    assert!(journal::parse(&bytes[12_288..], JOURNAL, Lsn(1001), 12_288).is_ok());
}

fn edits() -> Vec<Edit> {
    let (partition, generation, id) = (partition(7, 3), SEGMENT, TopicId(7));
    let entry = CheckpointEntry { partition, generation, position: 8192, offset: BASE + 14, time: TIME };
    let fresh = CheckpointEntry { position: 4096, offset: 0, time: -1, ..entry };
    vec![
        Edit::Store { id: STORE, sector: 4096, durable: DurablePrimitive::DurableWrite },
        Edit::Store { id: STORE, sector: 4096, durable: DurablePrimitive::WriteThenSync },
        Edit::TopicCreated { id, name: "orders".into(), partitions: 4, durability: Durability::Durable },
        Edit::TopicCreated { id: TopicId(8), name: "m".into(), partitions: 65_536, durability: Durability::LoseOnKill },
        Edit::TopicCreated {
            id: TopicId(9),
            name: "a.b_C-9".into(),
            partitions: 1,
            durability: Durability::LoseOnPowerCut,
        },
        Edit::TopicDeleted { id: TopicId(8) },
        Edit::PartitionsAdded { id, partitions: 6 },
        Edit::SegmentActivated {
            partition,
            sequence: 2,
            generation,
            base_offset: BASE,
            base_time: TIME,
            capacity: 1 << 20,
            gap: true,
        },
        Edit::SegmentSealed {
            generation,
            partition,
            end_position: 77_824,
            end_offset: BASE + 15,
            end_time: TIME + 45,
            footer_size: 4096,
        },
        Edit::SegmentRemoved { partition, generation: Generation(1) },
        Edit::SegmentDropped { partition, generation: Generation(3) },
        Edit::LogStart { partition, offset: BASE },
        Edit::Damaged { partition, generation, start: BASE + 1, end: BASE + 2 },
        Edit::Checkpoint { set: 4, shard: 1, lsn: Lsn(1000), entries: vec![entry, fresh] },
        Edit::JournalSet { set: 4, shards: 2 },
        Edit::JournalKept {
            set: 4,
            number: 9,
            shard: 1,
            generation: JOURNAL,
            first_lsn: Lsn(1000),
            end_lsn: Lsn(1002),
        },
        Edit::JournalReleased { set: 4, number: 8 },
        Edit::JournalFile { set: 4, number: 9, size: 1 << 20 },
        Edit::DurableReason { reason: "RWF_DSYNC: 114 µs, 236 µs with fdatasync".into() },
        Edit::Clean(false),
        Edit::Clean(true),
    ]
}

#[test]
fn manifest() {
    let mut log = Vec::new();
    let start = log_start(STORE, 3);
    let edits = edits();
    let (last_sequence, last_crc) = append_commit(&mut log, &edits, 0, start);
    assert_golden("manifest-log.bin", &log);

    let read = read_commit(&log, 0, start).expect("the commit is whole");
    assert!(read.damaged.is_empty());
    assert_eq!((read.edits, read.sequence, read.crc, read.size), (edits, last_sequence, last_crc, log.len()));

    let log_length = log.len() as u64;
    let root = Root { store: STORE, commit: 12, log_number: 3, log_length, last_sequence, last_crc };
    let mut sector = vec![0xa5; SECTOR_SIZE];
    root.encode(&mut sector);
    assert_golden("manifest-root.bin", &sector);
    assert_eq!(Slot::parse(&sector), Ok(Slot { newest: root, whole: true, same: true }));
}

/// A file of version 2: a head that is valid, and after it whatever version 2 will be like.
#[test]
fn version_2_is_unsupported() {
    let unsupported = |result: Result<(), FileError>| match result {
        Err(FileError::Unsupported(message)) => assert!(message.contains('2') && message.contains('1'), "{message}"),
        other => panic!("{other:?}"),
    };
    type Check<'a> = &'a dyn Fn(&[u8]);
    let files: [(&str, &[u8; 8], Check<'_>); 4] = [
        ("v2-segment.bin", b"THLWGSEG", &|bytes| unsupported(SegmentHeader::parse(bytes).map(drop))),
        ("v2-footer.bin", b"THLWGIDX", &|bytes| unsupported(Footer::parse(bytes).map(drop))),
        ("v2-journal.bin", b"THLWGJNL", &|bytes| unsupported(JournalHeader::parse(bytes).map(drop))),
        ("v2-manifest-root.bin", b"THLWGMAN", &|bytes| unsupported(Slot::parse(bytes).map(drop))),
    ];
    for (name, magic, check) in files {
        let mut bytes: Vec<u8> = (0..SECTOR_SIZE).map(|at| (at * 31 + at / 7) as u8).collect();
        bytes[..8].copy_from_slice(magic);
        set_version(&mut bytes, 2);
        // Not even the checksum at the end is where version 1 has it.
        bytes[SECTOR_SIZE - 1] ^= 0xff;
        assert_golden(name, &bytes);
        check(&bytes);
    }
}
