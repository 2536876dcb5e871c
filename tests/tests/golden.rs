//! A second decoder of the golden files, written from `docs/FORMAT.md` alone. It shares no code with the engine, not
//! even the checksum, and turns each file into the text beside it, which can be read and checked by a person.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

const SECTOR: usize = 4096;

fn golden(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn assert_text(name: &str, text: &str) {
    let expected = String::from_utf8(golden(name)).expect("the text is UTF-8");
    for (number, (expected, found)) in expected.lines().zip(text.lines()).enumerate() {
        assert_eq!(expected, found, "{name}, line {}", number + 1);
    }
    assert_eq!(expected, text, "{name}");
}

/// Section 1.
fn crc(seed: u32, bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!seed, |state, byte| {
        (0..8).fold(state ^ u32::from(*byte), |s, _| if s & 1 == 1 { (s >> 1) ^ 0xedb8_8320 } else { s >> 1 })
    })
}

fn mix(a: u64, b: u64) -> u64 {
    let mut x = a ^ b.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Takes numbers off the front of bytes.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn bytes(&mut self, size: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(size);
        self.0 = rest;
        bytes
    }

    fn number(&mut self, size: usize) -> u64 {
        self.bytes(size).iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte))
    }

    fn signed(&mut self, size: usize) -> i64 {
        let shift = 64 - 8 * size as u32;
        ((self.number(size) << shift) as i64) >> shift
    }

    fn partition(&mut self) -> String {
        format!("{}/{}", self.number(4), self.number(4))
    }

    fn text(&mut self, size: usize) -> String {
        text(self.bytes(size))
    }
}

fn text(bytes: &[u8]) -> String {
    if bytes.len() > 60 {
        return format!("{} bytes, crc {:08x}", bytes.len(), crc(0, bytes));
    }
    format!("{:?}", String::from_utf8_lossy(bytes))
}

fn assert_head(bytes: &[u8], magic: &str) {
    assert_eq!(&bytes[..8], magic.as_bytes());
    assert_eq!(Cursor(&bytes[8..]).number(4), 1, "version");
    assert_eq!(Cursor(&bytes[12..]).number(4), u64::from(crc(0, &bytes[..12])), "the head's check");
}

fn assert_sealed(area: &[u8]) {
    let (covered, sum) = area.split_at(area.len() - 4);
    assert_eq!(Cursor(sum).number(4), u64::from(crc(0, covered)), "the area's checksum");
}

#[test]
fn segment() {
    let file = golden("segment.bin");
    let mut out = String::new();
    assert_head(&file, "THLWGSEG");
    assert_sealed(&file[..SECTOR]);
    let generation = Cursor(&file[40..]).number(8);
    let partition = (Cursor(&file[24..]).number(4) << 32) | Cursor(&file[28..]).number(4);
    let base = Cursor(&file[48..]).number(8);
    segment_fields(&file, "header", &mut out);
    let mut at = SECTOR;
    while &file[at..at + 8] != b"THLWGIDX" {
        at += frame(&file[at..], generation, partition, at as u64, base, &mut out);
    }
    footer(&file[at..], at as u64, &mut out);
    assert_text("segment.txt", &out);
}

/// Section 3.
fn segment_fields(bytes: &[u8], what: &str, out: &mut String) {
    let mut c = Cursor(&bytes[16..72]);
    let (store, partition, sequence, zero) = (c.number(8), c.partition(), c.number(4), c.number(4));
    let (generation, base_offset, base_time, capacity) = (c.number(8), c.number(8), c.signed(8), c.number(8));
    assert_eq!(zero, 0);
    writeln!(
        out,
        "{what}: store {store:016x} partition {partition} sequence {sequence} generation {generation:016x} \
         base offset {base_offset} base time {base_time} capacity {capacity}"
    )
    .expect("a string takes all");
}

fn footer(bytes: &[u8], position: u64, out: &mut String) {
    assert_head(bytes, "THLWGIDX");
    assert_sealed(bytes);
    segment_fields(bytes, "footer", out);
    let mut c = Cursor(&bytes[72..]);
    let (end, end_offset, end_time) = (c.number(8), c.number(8), c.signed(8));
    let (newest, n, zero) = (c.signed(8), c.number(4), c.number(4));
    assert_eq!((end, zero), (position, 0));
    assert_eq!(bytes.len(), (72 + 40 + 16 * n as usize + 4).next_multiple_of(SECTOR));
    writeln!(out, "  end position {end} offset {end_offset} time {end_time} newest {newest}")
        .expect("a string takes all");
    let column = |from: u64, size: usize, i: u64| Cursor(&bytes[112 + (from * n) as usize + i as usize * size..]);
    for i in 0..n {
        let (offset, place, time) = (column(0, 4, i).number(4), column(4, 4, i).number(4), column(8, 8, i).signed(8));
        let start = if place >> 31 == 1 { " block start" } else { "" };
        let position = (place & 0x7fff_ffff) * 8;
        writeln!(out, "  entry: offset +{offset} position {position}{start} newest before {time}")
            .expect("a string takes all");
    }
}

/// Section 4. Answers the frame's size.
fn frame(bytes: &[u8], generation: u64, partition: u64, position: u64, segment_base: u64, out: &mut String) -> usize {
    let seed = mix(generation ^ partition.wrapping_mul(0xe703_7ed1_a0b4_28db), position);
    let word = |i: usize| Cursor(&bytes[8 * i..]).number(8);
    let sum = seed
        .wrapping_add((word(0) & 0xffff_ffff).wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .wrapping_add((word(1) & !0xffff).wrapping_mul(0xbf58_476d_1ce4_e5b9))
        .wrapping_add(word(2).wrapping_mul(0x94d0_49bb_1331_11eb))
        .wrapping_add(word(3).wrapping_mul(0xd6e8_feb8_6659_fd93))
        .wrapping_add(word(4).wrapping_mul(0xa076_1d64_78bd_642f));
    let mut c = Cursor(bytes);
    let (size, checksum, check, attributes) = (c.number(4) as usize, c.number(4), c.number(2), c.number(2));
    let (base, optional) = (segment_base + c.number(4), c.number(2) as usize);
    let (delta, append_time, lag) = (c.signed(6), c.signed(8), c.number(4));
    let (count, key_size) = (c.number(2), c.number(2) as usize);
    assert_eq!(check, sum >> 48, "the header check at {position}");
    let seed = (seed ^ base.wrapping_mul(0x8ebc_6af0_9c88_c6e3)) >> 32;
    assert_eq!(checksum, u64::from(crc(seed as u32, &bytes[8..size])), "the checksum at {position}");

    let kind = ["data", "pad", "void", "control", "transaction", "5", "6", "7"][attributes as usize & 7];
    let lag = if lag == 0xffff_ffff { "unknown".into() } else { (base - lag).to_string() };
    writeln!(
        out,
        "{position}: {kind} size {size} base offset {base} count {count} append time {append_time} \
         create {delta:+} durable {lag}"
    )
    .expect("a string takes all");
    assert_eq!(attributes & 0b1100_0000_0011_1000, 0, "compression and spare bits");
    let end = size - (attributes as usize >> 6 & 7);
    assert!(bytes[end..size].iter().all(|byte| *byte == 0));
    let mut c = Cursor(&bytes[40..end]);
    let mut fields = Cursor(c.bytes(optional));
    while !fields.0.is_empty() {
        assert_eq!((fields.number(1), fields.number(1)), (1, 8));
        writeln!(out, "  term {}", fields.number(8)).expect("a string takes all");
    }
    if kind != "data" {
        assert!(c.0.iter().all(|byte| *byte == 0));
        return size;
    }
    let bit = |n: u32| attributes >> n & 1 == 1;
    if bit(9) {
        let headers_size = if bit(12) { c.number(4) as usize } else { 0 };
        let key = c.text(key_size);
        let value = c.text(c.0.len() - headers_size);
        record(base, append_time + delta, (!bit(10)).then_some(key), (!bit(11)).then_some(value), c.0, out);
        return size;
    }
    for index in 0..count {
        let (value_size, mut key_size, flags, zero) = (c.number(4) as usize, c.number(2), c.number(1), c.number(1));
        assert_eq!((flags >> 5, zero), (0, 0));
        let time = match (bit(13), flags & 8 != 0) {
            (true, true) => c.signed(8),
            (true, false) => append_time,
            (false, own) => {
                assert!(!own, "only where times differ");
                append_time + delta
            }
        };
        assert!(time <= append_time + delta);
        if flags & 16 != 0 {
            key_size = c.number(4);
        }
        let headers_size = if flags & 4 != 0 { c.number(4) as usize } else { 0 };
        let (key, value) = (c.text(key_size as usize), c.text(value_size));
        let headers = c.bytes(headers_size);
        record(base + index, time, (flags & 1 == 0).then_some(key), (flags & 2 == 0).then_some(value), headers, out);
    }
    assert!(c.0.is_empty(), "the records fill the body");
    size
}

fn record(offset: u64, time: i64, key: Option<String>, value: Option<String>, headers: &[u8], out: &mut String) {
    let or_none = |part: Option<String>| part.unwrap_or_else(|| "none".into());
    writeln!(out, "  record {offset} time {time} key {} value {}", or_none(key), or_none(value))
        .expect("a string takes all");
    if headers.is_empty() {
        return;
    }
    let mut c = Cursor(headers);
    for _ in 0..c.number(2) {
        let (name, value) = (c.number(2) as usize, c.number(4));
        let name = c.text(name);
        let value = if value == 0xffff_ffff { "none".into() } else { c.text(value as usize) };
        writeln!(out, "    header {name}: {value}").expect("a string takes all");
    }
    assert!(c.0.is_empty(), "the headers fill their space");
}

/// Section 5.
#[test]
fn journal() {
    let file = golden("journal.bin");
    let mut out = String::new();
    assert_head(&file, "THLWGJNL");
    assert_sealed(&file[..SECTOR]);
    let mut c = Cursor(&file[16..]);
    let (store, set, generation) = (c.number(8), c.number(8), c.number(8));
    let (number, shard, first) = (c.number(4), c.number(4), c.number(8));
    writeln!(
        out,
        "header: store {store:016x} set {set} generation {generation:016x} number {number} shard {shard} first {first}"
    )
    .expect("a string takes all");
    assert_eq!(file[..SECTOR], file[SECTOR..2 * SECTOR], "the header stands twice");
    let mut at = 2 * SECTOR;
    while at < file.len() {
        // Each write repeats what the header says.
        assert_eq!(file[at + 40..at + 80], file[16..56], "of its file");
        at += journal_write(&file[at..], generation, at as u64, &mut out);
    }
    assert_text("journal.txt", &out);
}

fn journal_write(bytes: &[u8], generation: u64, position: u64, out: &mut String) -> usize {
    let mut c = Cursor(bytes);
    let (table_crc, size, payload_crc) = (c.number(4), c.number(4) as usize, c.number(4));
    let (payload_at, payload_size, entries) = (c.number(4) as usize, c.number(4) as usize, c.number(4));
    let (lsn, durable) = (c.number(8), c.number(8));
    c.0 = &c.0[40..];
    let seed = (mix(mix(generation, lsn), position) >> 32) as u32;
    assert_eq!(table_crc, u64::from(crc(seed, &bytes[4..payload_at])), "the table's checksum");
    assert_eq!(payload_crc, u64::from(crc(seed, &bytes[payload_at..size])), "the payload's checksum");
    assert_eq!(size, (payload_at + payload_size).next_multiple_of(SECTOR));
    writeln!(out, "{position}: write {lsn} durable {durable} size {size}").expect("a string takes all");
    for _ in 0..entries {
        let (partition, generation, position, offset) = (c.partition(), c.number(8), c.number(8), c.number(8));
        let (size, start) = (c.number(4) as usize, c.number(4) as usize);
        let what = if size == 0 { "watermark" } else { "range" };
        write!(out, "  {what}: partition {partition} generation {generation:016x} position {position} offset {offset}")
            .expect("a string takes all");
        let range = &bytes[payload_at + start..payload_at + start + size];
        let rest = if size == 0 { String::new() } else { format!(" size {size} crc {:08x}", crc(0, range)) };
        writeln!(out, "{rest}").expect("a string takes all");
    }
    size
}

/// Section 6.
#[test]
fn manifest() {
    let (root, log) = (golden("manifest-root.bin"), golden("manifest-log.bin"));
    let mut out = String::new();
    let (root, copies) = root.split_at(512);
    assert_head(root, "THLWGMAN");
    assert_sealed(root);
    assert!(copies.chunks(512).all(|copy| copy == root), "a root stands in every 512 bytes of its slot");
    assert_eq!(copies.len(), SECTOR - 512);
    let mut c = Cursor(&root[16..]);
    let (store, commit, length) = (c.number(8), c.number(8), c.number(8) as usize);
    let (last, number, last_crc) = (c.number(8), c.number(4), c.number(4));
    writeln!(out, "root: store {store:016x} commit {commit} log {number} length {length} last edit {last}")
        .expect("a string takes all");
    assert_eq!(length, log.len());
    // The one commit of this log, and its second copy.
    let (log, second) = log.split_at(length / 2);
    assert_eq!(log, second, "a commit stands twice");
    let mut previous = mix(store, number) >> 32;
    let (mut at, mut sequence) = (0, 0);
    while at < log.len() {
        let mut c = Cursor(&log[at..]);
        let (size, sum, number) = (c.number(4), c.number(4), c.number(8));
        let (kind, body) = (c.number(4), c.number(4) as usize);
        sequence += 1;
        let seed = (mix(previous, size) >> 32) as u32;
        assert_eq!(sum, u64::from(crc(seed, &log[at + 8..at + size as usize])), "the checksum of edit {sequence}");
        assert_eq!((number, size as usize), (sequence, (24 + body).next_multiple_of(8)));
        let mut body = Cursor(c.bytes(body));
        writeln!(out, "{sequence}: {}", edit(kind, &mut body)).expect("a string takes all");
        assert!(body.0.is_empty(), "the body of edit {sequence}");
        (at, previous) = (at + size as usize, sum);
    }
    assert_eq!((at, sequence, previous), (log.len(), last, last_crc));
    assert_text("manifest.txt", &out);
}

fn edit(kind: u64, c: &mut Cursor<'_>) -> String {
    let place = |c: &mut Cursor<'_>| format!("partition {} generation {:016x}", c.partition(), c.number(8));
    match kind {
        0 => format!("padding of {}", c.bytes(c.0.len()).iter().filter(|byte| **byte == 0).count()),
        1 => format!("store {:016x} sector {} durable primitive {}", c.number(8), c.number(4), c.number(1)),
        2 => {
            let (topic, partitions, durability, size) = (c.number(4), c.number(4), c.number(1), c.number(1));
            let name = c.text(size as usize);
            format!("topic {topic} created: {name} partitions {partitions} durability {durability}")
        }
        3 => format!("topic {} deleted", c.number(4)),
        4 => format!("topic {} has {} partitions", c.number(4), c.number(4)),
        5 => {
            let (partition, sequence, generation) = (c.partition(), c.number(4), c.number(8));
            let (offset, time, capacity, gap) = (c.number(8), c.signed(8), c.number(8), c.number(1));
            format!(
                "segment activated: partition {partition} sequence {sequence} generation {generation:016x} \
                 base offset {offset} base time {time} capacity {capacity} gap {gap}"
            )
        }
        6 => {
            let (place, position, offset) = (place(c), c.number(8), c.number(8));
            format!("segment sealed: {place} end {position} {offset} {} footer {}", c.signed(8), c.number(4))
        }
        7 => format!("segment removed: {}", place(c)),
        8 => format!("segment dropped: {}", place(c)),
        9 => format!("log start: partition {} offset {}", c.partition(), c.number(8)),
        10 => format!("damaged: {} offsets {}..{}", place(c), c.number(8), c.number(8)),
        11 => {
            let (set, shard, lsn) = (c.number(8), c.number(4), c.number(8));
            let mut text = format!("checkpoint: set {set} shard {shard} lsn {lsn}");
            for _ in 0..c.number(4) {
                let (place, position, offset) = (place(c), c.number(8), c.number(8));
                write!(text, "; {place} position {position} offset {offset} time {}", c.signed(8))
                    .expect("a string takes all");
            }
            text
        }
        12 => format!("journal set {} of {} shards", c.number(8), c.number(4)),
        13 => {
            let (set, number, shard, generation) = (c.number(8), c.number(4), c.number(4), c.number(8));
            let (first, end) = (c.number(8), c.number(8));
            format!("journal kept: set {set} number {number} shard {shard} generation {generation:016x} {first}..{end}")
        }
        14 => format!("journal released: set {} number {}", c.number(8), c.number(4)),
        16 => format!("journal file: set {} number {} size {}", c.number(8), c.number(4), c.number(8)),
        17 => {
            let size = c.number(1);
            format!("durable primitive because: {}", c.text(size as usize))
        }
        15 => format!("clean {}", c.number(1)),
        _ => panic!("kind {kind} has no meaning in version 1"),
    }
}

/// The head is all that versions share: its check holds in a file of version 2 as well.
#[test]
fn later_versions() {
    for name in ["v2-segment.bin", "v2-footer.bin", "v2-journal.bin", "v2-manifest-root.bin"] {
        let file = golden(name);
        assert_eq!(Cursor(&file[8..]).number(4), 2);
        assert_eq!(Cursor(&file[12..]).number(4), u64::from(crc(0, &file[..12])));
    }
}
