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

/// Offset and append time of every record.
fn appended(topic: &Topic) -> Vec<(u64, i64)> {
    let mut reader = topic.reader(0, Start::Earliest).expect("there");
    let mut all = Vec::new();
    loop {
        let batch = reader.next(1 << 20, Some(Duration::ZERO)).expect("readable");
        if batch.is_empty() {
            return all;
        }
        all.extend(batch.iter().map(|record| (record.offset, record.append_time)));
    }
}

/// Seeks to every append time that a partition has, and beside it, against a search through every record.
fn assert_append_times_found(topic: &Topic, when: &str) {
    let all = appended(topic);
    assert!(all.is_sorted_by_key(|(_, time)| *time), "append times never fall, {when}");
    let end = topic.describe().expect("described").partitions[0].high_watermark;
    let mut sought: Vec<i64> = all.iter().flat_map(|(_, time)| [*time - 1, *time, *time + 1]).collect();
    sought.sort_unstable();
    sought.dedup();
    sought.extend([i64::MIN, i64::MIN + 1, 0, i64::MAX]);
    for time in sought {
        let at = all.partition_point(|(_, appended)| *appended < time);
        let expected = all.get(at).map_or(end, |(offset, _)| *offset);
        let reader = topic.reader(0, Start::AppendTime(time)).expect("found");
        assert_eq!(reader.offset(), expected, "append time {time}, {when}");
    }
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

/// Turns a bit in the middle of where a segment holds these bytes.
fn flip_inside(dir: &std::path::Path, wanted: &[u8]) {
    let topics = std::fs::read_dir(dir.join("segments")).expect("there").map(|topic| topic.expect("an entry").path());
    for file in topics.flat_map(|topic| std::fs::read_dir(topic).expect("there")) {
        let path = file.expect("an entry").path();
        let mut bytes = std::fs::read(&path).expect("read");
        if let Some(at) = bytes.windows(wanted.len()).position(|window| window == wanted) {
            bytes[at + wanted.len() / 2] ^= 1;
            return std::fs::write(&path, bytes).expect("written");
        }
    }
    panic!("no segment holds them");
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

/// Create times, in the order of appends backwards, say nothing of it.
#[test]
fn the_first_record_appended_at_or_after_a_time_is_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = Engine::open(dir.path(), options()).expect("opened");
    let topic = common::topic(&engine, 1);
    assert_append_times_found(&topic, "empty");
    for i in 0..120 {
        let value = vec![b'v'; 100 + i * 997 % 20_000];
        let records: Vec<Record> =
            (0..1 + i % 7).map(|n| Record::new(&value).timestamp(10_000 - (i + n) as i64)).collect();
        topic.append_batch(Target::Partition(0), &records).expect("appended");
        if i % 3 == 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    assert!(topic.describe().expect("described").partitions[0].segments > 2, "over several segments");
    assert_append_times_found(&topic, "open");
    engine.close().expect("closed");

    let engine = Engine::open(dir.path(), options()).expect("opened");
    let topic = engine.topic("t").expect("there");
    assert_append_times_found(&topic, "reopened");
    topic.append(&Record::new("later")).expect("appended");
    assert_append_times_found(&topic, "reopened, and appended to");
    engine.close().expect("closed");

    removed_footers(dir.path());
    let engine = Engine::open(dir.path(), options()).expect("opened");
    let topic = engine.topic("t").expect("there");
    assert_append_times_found(&topic, "without footers");
}

/// Damage hides the append times of its records, and what is behind them tells on which side the sought one is.
#[test]
fn damage_does_not_lead_a_search_by_append_time_astray() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = Engine::open(dir.path(), options().segment_size(8 << 20)).expect("opened");
    let topic = common::topic(&engine, 1);
    for number in 0..40 {
        topic.append(&Record::new(&vec![number; 40_000])).expect("appended");
        std::thread::sleep(Duration::from_millis(2));
    }
    let times: Vec<i64> = appended(&topic).into_iter().map(|(_, time)| time).collect();
    engine.close().expect("closed");
    let damaged = 20;
    flip_inside(dir.path(), &[damaged; 20_000]);

    let engine = Engine::open(dir.path(), options().segment_size(8 << 20)).expect("opened");
    let topic = engine.topic("t").expect("there");
    assert!(topic.read(0, u64::from(damaged), 1).is_err(), "it is damaged");
    for time in &times {
        let first = times.partition_point(|earlier| earlier < time) as u64;
        let found = topic.reader(0, Start::AppendTime(*time)).expect("found").offset();
        // Behind the damage, in the same stretch of the index, it may stop before the damage.
        let near = u64::from(damaged)..=u64::from(damaged) + 2;
        let expected = if near.contains(&first) { u64::from(damaged)..=first } else { first..=first };
        assert!(expected.contains(&found), "time {time}: {found}, not {first}");
    }
}
