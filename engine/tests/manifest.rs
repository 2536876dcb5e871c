//! The files that say what the store consists of, damaged one place at a time: the store opens and all of it is there.

mod common;

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::options;
use thalweg::{Engine, ErrorKind, EventKind, Events, Position, Record, Runtime, Start, Target, TopicOptions};

const SECTOR: u64 = 4096;
const RECORDS: u64 = 20;

/// All that a program sees of a store.
#[derive(Debug, PartialEq, Eq)]
struct Everything {
    records: BTreeMap<(String, u32), Vec<Vec<u8>>>,
    positions: Vec<(String, u64)>,
    values: Vec<(Vec<u8>, Vec<u8>)>,
}

fn everything(engine: &Engine) -> Everything {
    let mut all = Everything { records: BTreeMap::new(), positions: Vec::new(), values: Vec::new() };
    for described in engine.topics().expect("listed") {
        let topic = engine.topic(&described.name).expect("there");
        for partition in 0..described.partitions.len() as u32 {
            let mut reader = topic.reader(partition, Start::Earliest).expect("a reader");
            let mut values = Vec::new();
            loop {
                let batch = reader.next(1 << 20, Some(Duration::ZERO)).expect("whole");
                if batch.is_empty() {
                    break;
                }
                values.extend(batch.iter().map(|record| record.value.expect("a value").to_vec()));
            }
            all.records.insert((described.name.clone(), partition), values);
        }
        let values = engine.key_values(&topic).expect("values").list(b"").expect("listed");
        all.values.extend(values.into_iter().map(|entry| (entry.key, entry.value)));
    }
    let positions = engine.positions().list(None).expect("listed");
    all.positions = positions.into_iter().map(|position| (position.consumer, position.offset)).collect();
    all
}

/// A store with topics, records, a position and key-values, closed or killed, and what is in it.
fn store(dir: &Path, runtime: Runtime, closed: bool) -> Everything {
    let engine = Engine::open(dir, options(runtime)).expect("the store opens");
    for name in ["orders", "payments"] {
        let topic = engine.create_topic(name, TopicOptions::default().partitions(2)).expect("created");
        for number in 0..RECORDS {
            let value = format!("{name} {number}");
            let record = Record::new(value.as_bytes());
            topic.append_batch(Target::Partition((number % 2) as u32), &[record]).expect("appended");
        }
        engine.key_values(&topic).expect("values").put(name.as_bytes(), b"1").expect("put");
    }
    engine.delete_topic("payments").expect("deleted");
    let topic = engine.topic("orders").expect("there");
    let mut consumer = engine.consumer(thalweg::ConsumerOptions::default().name("billing")).expect("a consumer");
    consumer
        .commit_positions(&[Position { topic: &topic, partition: 0, offset: 7, metadata: b"" }])
        .expect("committed");
    let all = everything(&engine);
    assert_eq!(all.records.values().map(Vec::len).sum::<usize>() as u64, RECORDS);
    assert_eq!((all.positions.len(), all.values.len()), (1, 1));
    drop(consumer);
    if closed {
        engine.close().expect("closed");
    } else {
        // What is on the device now is what a kill leaves.
        let copy = tempfile::tempdir().expect("a directory");
        copy_all(dir, copy.path());
        engine.close().expect("closed");
        std::fs::remove_dir_all(dir).expect("removed");
        copy_all(copy.path(), dir);
    }
    all
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    std::fs::set_permissions(to, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("ours");
    for entry in std::fs::read_dir(from).expect("listed") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_all(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("copied");
        }
    }
}

/// Where the manifest says something: the sectors of its files that are not all zero.
fn sectors(dir: &Path) -> Vec<(PathBuf, u64)> {
    let names = std::fs::read_dir(dir).expect("listed").map(|entry| entry.expect("an entry").path());
    let files = names.filter(|path| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        name == "MANIFEST" || name.starts_with("manifest-")
    });
    let said = files.flat_map(|path| {
        let bytes = std::fs::read(&path).expect("read");
        let said = bytes.chunks(SECTOR as usize).enumerate().filter(|(_, sector)| sector.iter().any(|byte| *byte != 0));
        said.map(|(index, _)| (path.clone(), index as u64 * SECTOR)).collect::<Vec<_>>()
    });
    said.collect()
}

fn change(path: &Path, at: u64, change: impl Fn(&mut [u8])) {
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).expect("opened");
    let mut sector = vec![0; SECTOR as usize];
    file.read_exact_at(&mut sector, at).expect("read");
    change(&mut sector);
    file.write_all_at(&sector, at).expect("written");
    file.sync_all().expect("synced");
}

fn told(events: &Events) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    while let Some(event) = events.try_next() {
        if let EventKind::DamagedCopy { file, start, .. } = event.kind {
            found.push((file, start));
        }
    }
    found
}

fn lose_each_sector(runtime: Runtime, closed: bool) {
    let dir = tempfile::tempdir().expect("a directory");
    let original = dir.path().join("original");
    let all = store(&original, runtime, closed);
    let sectors = sectors(&original);
    assert!(sectors.len() > 10, "{sectors:?}");
    let damages: [&dyn Fn(&mut [u8]); 3] =
        [&|sector| sector[20] ^= 1, &|sector| sector[4000] ^= 0x80, &|sector| sector.fill(0)];
    for (number, (path, at)) in sectors.iter().enumerate() {
        let name = path.file_name().expect("a name");
        let copy = dir.path().join(format!("copy-{number}"));
        copy_all(&original, &copy);
        change(&copy.join(name), *at, damages[number % damages.len()]);
        let place = format!("{name:?} at {at}, damaged in way {}", number % damages.len());
        // Read only first, which changes nothing.
        for (open, read_only) in [true, false, false].into_iter().enumerate() {
            let engine = Engine::open(&copy, options(runtime).read_only(read_only))
                .unwrap_or_else(|error| panic!("{place}: {error}"));
            let info = engine.info();
            let copies = info.recovery.damaged_copies;
            let expected = usize::from(open < 2);
            assert!(copies.len() == expected, "{place}, open {open}: {copies:?}");
            let events = told(&engine.events());
            assert_eq!(events.len(), expected, "{place}, open {open}");
            assert!(
                events.iter().all(|event| *event == (name.to_string_lossy().into_owned(), *at)),
                "{place}: {events:?}"
            );
            assert_eq!(everything(&engine), all, "{place}");
            engine.close().expect("closed");
        }
        std::fs::remove_dir_all(&copy).expect("removed");
    }
}

for_each_runtime! {
    fn any_sector_of_the_manifest_may_be_lost(runtime: Runtime) {
        lose_each_sector(runtime, true);
    }

    fn any_sector_of_the_manifest_may_be_lost_in_a_crash(runtime: Runtime) {
        lose_each_sector(runtime, false);
    }

    fn both_copies_lost_is_damage_that_says_what_and_where(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let original = dir.path().join("original");
        store(&original, runtime, true);
        let log = original.join("manifest-00000001.log");
        for (path, places) in [(&log, [SECTOR * 2, SECTOR * 3]), (&original.join("MANIFEST"), [0, 64 << 10])] {
            let copy = dir.path().join("copy");
            copy_all(&original, &copy);
            let name = path.file_name().expect("a name").to_string_lossy();
            places.iter().for_each(|at| change(&copy.join(&*name), *at, |sector| sector.fill(0)));
            let error = Engine::open(&copy, options(runtime)).map(drop).expect_err("nothing is whole");
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            let text = error.to_string();
            for part in [&*copy.display().to_string(), &*name, &places[0].to_string(), "Restore", "segments"] {
                assert!(text.contains(part), "{part} in {text}");
            }
            std::fs::remove_dir_all(&copy).expect("removed");
        }
    }
}
