//! Seeking to a time, against a search through every record.

mod common;

use std::time::Duration;

use proptest::prelude::*;
use thalweg::{Engine, Options, Record, Runtime, Start, Target, Topic};

/// Offset and timestamp of every record.
fn all(topic: &Topic) -> Vec<(u64, i64)> {
    common::read_all(topic, 0, 0, 1 << 20).into_iter().map(|record| (record.offset, record.timestamp)).collect()
}

fn assert_found(topic: &Topic, all: &[(u64, i64)], time: i64, when: &str) {
    let end = topic.describe().expect("described").partitions[0].high_watermark;
    let expected = all.iter().find(|(_, timestamp)| *timestamp >= time).map_or(end, |(offset, _)| *offset);
    let reader = topic.reader(0, Start::Time(time)).expect("found");
    assert_eq!(reader.offset(), expected, "time {time}, {when}");
}

fn options() -> Options {
    Options::default().runtime(Runtime::Posix).memory_budget(64 << 20).segment_size(256 << 10).shards(1)
}

fn removed_footers(dir: &std::path::Path) {
    for topic in std::fs::read_dir(dir.join("segments")).expect("there") {
        for file in std::fs::read_dir(topic.expect("an entry").path()).expect("there") {
            let path = file.expect("an entry").path();
            let mut bytes = std::fs::read(&path).expect("read");
            let found: Vec<usize> =
                (0..bytes.len()).step_by(4096).filter(|at| bytes[*at..].starts_with(b"THLWGIDX")).collect();
            found.into_iter().for_each(|at| bytes[at + 20] ^= 1);
            std::fs::write(&path, bytes).expect("written");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Batches of any size, with create times in any order, with some or none of their records timed; over many
    /// segments; read while they are open, after a restart, and with all footers rotten.
    #[test]
    fn the_first_record_at_or_after_a_time_is_found(
        batches in prop::collection::vec((1usize..40, 0usize..3000, 0u8..4, any::<i64>()), 1..120),
        times in prop::collection::vec(0i64..2000, 20),
    ) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = Engine::open(dir.path(), options()).expect("opened");
        let topic = common::topic(&engine, 1);
        for (count, size, kind, seed) in batches {
            let value = vec![b'v'; size / count + 1];
            let records: Vec<Record> = (0..count as i64).map(|i| {
                let time = seed.wrapping_mul(i + 3).rem_euclid(1000);
                let record = Record::new(&value);
                match kind {
                    // Seldom later than most, so that there is something to find.
                    0 => record.timestamp(time),
                    1 => record.timestamp(seed.rem_euclid(2000)),
                    2 => record.timestamp(-time),
                    _ if seed % 5 != 0 => record.timestamp(time / 2),
                    _ if i % 2 == 0 => record.timestamp(time),
                    _ => record,
                }
            }).collect();
            topic.append_batch(Target::Partition(0), &records).expect("appended");
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let edges = [i64::MIN + 1, -1000, -1, 0, 999, 1000, 1999, now.as_millis() as i64 - 100_000, i64::MAX];
        let all_records = all(&topic);
        let sought: Vec<i64> = times.into_iter().chain(edges).chain(all_records.iter().step_by(97).map(|r| r.1)).collect();
        sought.iter().for_each(|time| assert_found(&topic, &all_records, *time, "open"));
        engine.close().expect("closed");

        let engine = Engine::open(dir.path(), options()).expect("opened");
        let topic = engine.topic("t").expect("there");
        sought.iter().for_each(|time| assert_found(&topic, &all_records, *time, "reopened"));
        engine.close().expect("closed");

        removed_footers(dir.path());
        let engine = Engine::open(dir.path(), options()).expect("opened");
        let topic = engine.topic("t").expect("there");
        sought.iter().for_each(|time| assert_found(&topic, &all_records, *time, "without footers"));
    }
}
