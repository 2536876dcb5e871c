//! What the integration tests share.
#![allow(dead_code, reason = "every test file uses its own part")]

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use thalweg::{Engine, ErrorKind, Options, Record, Runtime, Topic, TopicOptions};

/// Long enough for any step of a test on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Runs a test once for each runtime that this machine permits.
#[macro_export]
macro_rules! for_each_runtime {
    ($($(#[$attr:meta])* fn $name:ident($runtime:ident: Runtime) $body:block)*) => {
        $(mod $name {
            use super::*;
            fn run($runtime: thalweg::Runtime) $body

            #[test]
            $(#[$attr])*
            fn posix() {
                run(thalweg::Runtime::Posix);
            }

            #[test]
            $(#[$attr])*
            fn uring() {
                if common::permitted(thalweg::Runtime::Uring) {
                    run(thalweg::Runtime::Uring);
                }
            }
        })*
    };
}

/// Whether this machine permits a runtime. An open that fails for another reason fails the test.
pub(crate) fn permitted(runtime: Runtime) -> bool {
    let dir = tempfile::tempdir().expect("a directory");
    let Err(error) = Engine::open(dir.path(), Options::default().runtime(runtime)) else { return true };
    let refused = [ErrorKind::PermissionDenied, ErrorKind::Unsupported, ErrorKind::NoMemory].contains(&error.kind());
    assert!(refused && error.message().contains("was asked for"), "{runtime}: {error}");
    skip(&format!("{runtime} is not permitted here: {error}"));
    false
}

/// Says why a test proves nothing on this machine. Where everything has to run, it fails.
pub(crate) fn skip(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "cannot run here, and CI=true: {why}");
    eprintln!("skipped: {why}");
}

/// The options of most tests: small, so that the edges are near.
pub(crate) fn options(runtime: Runtime) -> Options {
    Options::default().runtime(runtime).shards(2).memory_budget(64 << 20).segment_size(4 << 20)
}

pub(crate) fn open(path: &Path, runtime: Runtime) -> Engine {
    Engine::open(path, options(runtime)).expect("the store opens")
}

pub(crate) fn topic(engine: &Engine, partitions: u32) -> Topic {
    engine.create_topic("t", TopicOptions::default().partitions(partitions)).expect("the name is free")
}

/// An owned record, to compare with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owned {
    pub offset: u64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    pub timestamp: i64,
}

/// Everything from `offset` to the high watermark, read in pieces of `max_bytes`.
pub(crate) fn read_all(topic: &Topic, partition: u32, mut offset: u64, max_bytes: usize) -> Vec<Owned> {
    let mut records = Vec::new();
    loop {
        let batch = topic.read(partition, offset, max_bytes).expect("readable");
        records.extend(batch.iter().map(|record| Owned {
            offset: record.offset,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record.headers().map(|h| (h.name.to_owned(), h.value.map(<[u8]>::to_vec))).collect(),
            timestamp: record.timestamp,
        }));
        if batch.next_offset() == offset {
            return records;
        }
        offset = batch.next_offset();
    }
}

/// The values alone.
pub(crate) fn values(topic: &Topic, partition: u32) -> Vec<Vec<u8>> {
    read_all(topic, partition, 0, 1 << 20).into_iter().map(|record| record.value.unwrap_or_default()).collect()
}

/// One blocking append of one value.
pub(crate) fn append(topic: &Topic, value: &str) -> u64 {
    topic.append(&Record::new(value)).expect("appended").base_offset
}

/// Bytes that differ from place to place, so that a wrong piece shows.
pub(crate) fn pattern(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Bytes that the segments take on the device.
pub(crate) fn taken(store: &Path) -> u64 {
    let topics = std::fs::read_dir(store.join("segments")).expect("there");
    let files = topics.flat_map(|topic| std::fs::read_dir(topic.expect("read").path()).expect("there"));
    files.map(|file| file.expect("read").metadata().expect("there").blocks() * 512).sum()
}

/// A copy of a store, also of one in use. The manifest comes first, and does not know what is made meanwhile.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    let mut entries: Vec<_> = std::fs::read_dir(from).expect("there").map(|entry| entry.expect("read")).collect();
    entries.sort_by_key(|entry| entry.file_type().expect("known").is_dir());
    for entry in entries {
        let target = to.join(entry.file_name());
        match entry.file_type().expect("known").is_dir() {
            true => copy(&entry.path(), &target),
            // A file that is just being made may have got its name meanwhile.
            false => match std::fs::copy(entry.path(), target) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                copied => drop(copied.expect("copied")),
            },
        }
    }
}
