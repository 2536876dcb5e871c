//! What the engine counts of itself, against what the test counts.

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{LONG, open, options, pattern};
use thalweg::{
    AppendOptions, Appends, ConsumerOptions, Durability, Engine, Metrics, Options, Reads, Record, RecordHeader,
    Runtime, Start, Target, Topic, TopicMetrics, TopicOptions,
};

fn of<'a>(metrics: &'a Metrics, topic: &str) -> &'a TopicMetrics {
    metrics.topics.iter().find(|metrics| metrics.topic == topic).expect("the topic is there")
}

fn appends(found: &Appends) -> (u64, u64, u64) {
    (found.appends, found.records, found.bytes)
}

fn reads(found: &Reads) -> (u64, u64, u64) {
    (found.from_appenders, found.from_cache, found.from_device)
}

/// Appends, records and bytes by topic, counted by hand.
#[derive(Default)]
struct Naive(BTreeMap<String, (u64, u64, u64)>);

impl Naive {
    fn append(&mut self, topic: &Topic, partition: u32, records: &[Record<'_>]) {
        topic.append_batch(Target::Partition(partition), records).expect("appended");
        let counted = self.0.entry(topic.name().to_owned()).or_default();
        counted.0 += 1;
        for record in records {
            // Headers are stored with their sizes: 2 bytes for all, 6 for each.
            let headers: usize =
                record.headers.iter().map(|h| 6 + h.name.len() + h.value.map_or(0, <[u8]>::len)).sum::<usize>()
                    + if record.headers.is_empty() { 0 } else { 2 };
            counted.1 += 1;
            counted.2 += (record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len) + headers) as u64;
        }
    }
}

for_each_runtime! {
    fn appends_are_those_of_a_naive_count(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let mut naive = Naive::default();
        let modes = [Durability::Durable, Durability::LoseOnPowerCut, Durability::LoseOnKill];
        let topics: Vec<Topic> = modes.iter().enumerate().map(|(at, mode)| {
            let options = TopicOptions::default().partitions(3).durability(*mode);
            engine.create_topic(&format!("t{at}"), options).expect("a topic")
        }).collect();
        let headers = [RecordHeader::new("h", b"xyz"), RecordHeader::null("none")];
        for round in 0..40usize {
            // Small and large ones: they take different ways.
            let value = pattern(round as u64, [0, 17, 100, 5_000, 70_000][round % 5]);
            for (at, topic) in topics.iter().enumerate() {
                let key = "k".repeat(round % 3);
                let mut one = Record::new(&value).key(&key);
                if round % 2 == 0 {
                    one = one.headers(&headers);
                }
                let many = vec![one; 1 + (round + at) % 4];
                naive.append(topic, (round % 3) as u32, &many);
            }
        }
        // Until its files are made, small appends go past the journal.
        while engine.metrics().engine.written.journal == 0 {
            naive.append(&topics[0], 0, &[Record::new("x")]);
        }
        let metrics = engine.metrics();
        assert_eq!(metrics.engine.runtime, runtime.as_str());
        let mut all = (0, 0, 0);
        for (name, counted) in &naive.0 {
            let topic = of(&metrics, name);
            assert_eq!(appends(&topic.appends), *counted, "{name}");
            let records: u64 = topic.used.iter().map(|partition| partition.high_watermark).sum();
            assert_eq!(records, counted.1, "{name}");
            all = (all.0 + counted.0, all.1 + counted.1, all.2 + counted.2);
        }
        assert_eq!(appends(&metrics.engine.appends), all);
        let written = &metrics.engine.written;
        assert!(written.direct > 0 && written.metadata > 0 && written.journal_files > 0, "{written:?}");
        let ratio = written.total() as f64 / all.2 as f64;
        assert_eq!(metrics.engine.device_bytes_per_payload_byte, Some(ratio));
        engine.close().expect("closed");
    }

    fn every_durable_append_has_waited_for_a_durable_write(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = Engine::open(dir.path(), options(runtime).shards(1)).expect("opened");
        let topic = common::topic(&engine, 1);
        for round in 0..50 {
            common::append(&topic, &format!("{round}"));
        }
        // The appender is woken first, and the last write counted then.
        let deadline = std::time::Instant::now() + LONG;
        while engine.metrics().shards[0].durable_writes.count < 50 {
            assert!(std::time::Instant::now() < deadline, "{:?}", engine.metrics().shards);
            std::thread::yield_now();
        }
        let metrics = engine.metrics();
        let [shard] = &metrics.shards[..] else { panic!("one shard") };
        assert_eq!(shard.durable_writes.count, shard.durable_writes.buckets.iter().map(|b| b.count).sum::<u64>());
        assert!(shard.durable_writes.sum_seconds > 0.0 && shard.durable_writes.sum_seconds < 60.0, "{shard:?}");
        let median = shard.durable_writes.quantile(0.5).expect("within the bounds");
        assert!(median.as_secs_f64() <= 2.0 * shard.durable_writes.sum_seconds, "{median:?}");
        // Through the journal, or straight to the segment as long as the journal is being made: a sector at least.
        assert!(shard.written_journal + shard.written_direct >= 50 * 4096, "{shard:?}");
        assert!((1..=64).contains(&shard.queue_depth_max), "{shard:?}");
        assert_eq!((shard.io_errors, shard.device_reads), (0, 0), "{shard:?}");
    }

    fn reads_are_counted_by_where_they_were_found(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = common::topic(&engine, 2);
        for _ in 0..10 {
            topic.append_batch(Target::Partition(1), &[Record::new(&pattern(1, 1000))]).expect("appended");
        }
        for at in 0..3 {
            assert_eq!(topic.read(1, at, 0).expect("readable").len(), 1);
        }
        assert!(topic.read(1, 10, 100).expect("readable").is_empty());
        let metrics = engine.metrics();
        let found = &of(&metrics, "t").reads;
        // Whether a block is still being appended to or already in the cache is a matter of time.
        assert_eq!((found.from_appenders + found.from_cache, found.from_device), (3, 0), "an empty batch is none");
        assert!((3 * 1000..3 * 1100).contains(&found.bytes), "{found:?}");
        assert_eq!(found.hit_rate(), Some(1.0));
        assert_eq!(metrics.engine.reads, *found);
        engine.close().expect("closed");

        let engine = open(dir.path(), runtime);
        let topic = engine.topic("t").expect("there");
        assert_eq!(reads(&engine.metrics().engine.reads), (0, 0, 0), "since it was opened");
        for _ in 0..4 {
            assert_eq!(topic.read(1, 0, 1 << 20).expect("readable").len(), 10);
        }
        let metrics = engine.metrics();
        assert_eq!(reads(&of(&metrics, "t").reads), (0, 3, 1), "the device once, then the cache");
        let device: u64 = metrics.shards.iter().map(|shard| shard.device_read_bytes).sum();
        assert!(device >= 10_000, "{device} bytes were read");
        assert_eq!(of(&metrics, "t").used.len(), 1, "only one partition was ever used");
    }

    fn what_readers_hold_is_seen(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = common::topic(&engine, 1);
        topic.append(&Record::new(&pattern(1, 100_000))).expect("appended");
        let before = engine.metrics().engine.memory;
        assert_eq!((before.budget, before.pins.used), (64 << 20, 0));
        let batch = topic.read(0, 0, 1 << 20).expect("readable");
        let held = engine.metrics().engine.memory;
        assert!(held.pins.used >= 100_000 && held.pins.used <= held.pins.limit, "{held:?}");
        let shares = [held.reserve, held.appenders, held.cache, held.pins];
        assert!(shares.iter().all(|share| share.used <= share.limit && share.limit < held.budget), "{held:?}");
        assert!(shares.iter().map(|share| share.used).sum::<u64>() <= held.budget);
        assert!(held.reserve.used > 0, "the journal's staging");
        drop(batch);
        assert_eq!(engine.metrics().engine.memory.pins.used, 0);
    }

    fn counters_start_at_zero_with_every_open(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = open(dir.path(), runtime);
        let topic = common::topic(&engine, 4);
        for _ in 0..8 {
            topic.append(&Record::new("x")).expect("appended");
        }
        assert_eq!(appends(&engine.metrics().engine.appends), (8, 8, 8));
        engine.close().expect("closed");
        let engine = open(dir.path(), runtime);
        let metrics = engine.metrics();
        assert_eq!(appends(&metrics.engine.appends), (0, 0, 0));
        assert_eq!(metrics.engine.device_bytes_per_payload_byte, None);
        assert!(metrics.shards.iter().all(|shard| shard.durable_writes.count == 0 && shard.written_journal == 0));
        let topic = of(&metrics, "t");
        assert_eq!(appends(&topic.appends), (0, 0, 0));
        assert_eq!(topic.used.iter().map(|partition| partition.high_watermark).sum::<u64>(), 8, "what lies there stays");
        assert!(topic.used.iter().all(|partition| partition.segments == 1 && partition.size > 0));
    }
}

#[test]
fn a_deleted_topic_leaves_its_counts_with_the_engine() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = open(dir.path(), Runtime::Auto);
    let topic = common::topic(&engine, 2);
    for _ in 0..5 {
        topic.append(&Record::new("12345")).expect("appended");
    }
    topic.read(0, 0, 100).expect("readable");
    let before = engine.metrics();
    engine.delete_topic("t").expect("deleted");
    let after = engine.metrics();
    assert!(after.topics.is_empty());
    assert_eq!(appends(&after.engine.appends), (5, 5, 25));
    assert_eq!(after.engine.reads, before.engine.reads);
    // A new one of the same name begins anew.
    common::topic(&engine, 2).append(&Record::new("1")).expect("appended");
    let metrics = engine.metrics();
    assert_eq!(appends(&of(&metrics, "t").appends), (1, 1, 1));
    assert_eq!(appends(&metrics.engine.appends), (6, 6, 26));
}

#[test]
fn asking_makes_no_partition() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = open(dir.path(), Runtime::Auto);
    let topic = common::topic(&engine, 10_000);
    topic.append_batch(Target::Partition(9_999), &[Record::new("x")]).expect("appended");
    for _ in 0..3 {
        let metrics = engine.metrics();
        let used: Vec<u32> = of(&metrics, "t").used.iter().map(|partition| partition.partition).collect();
        assert_eq!((of(&metrics, "t").partitions, &used[..]), (10_000, &[9_999][..]));
    }
    engine.positions().reset("c", &topic, None, Start::Earliest).expect("reset");
    engine.close().expect("closed");
    // Positions in partitions that were never appended to make none either.
    let engine = open(dir.path(), Runtime::Auto);
    let metrics = engine.metrics();
    assert_eq!((metrics.lags.len(), of(&metrics, "t").used.len()), (10_000, 1));
    assert_eq!(engine.positions().list(None).expect("listed").len(), 10_000);
    assert_eq!(of(&engine.metrics(), "t").used.len(), 1);
}

#[test]
fn lag_is_what_a_name_has_still_to_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = open(dir.path(), Runtime::Auto);
    let topic = common::topic(&engine, 2);
    for at in 0..7 {
        topic.append_batch(Target::Partition(at % 2), &[Record::new("x")]).expect("appended");
    }
    assert!(engine.metrics().lags.is_empty());
    let mut consumer = engine.consumer(ConsumerOptions::default().name("c")).expect("a consumer");
    consumer.subscribe(&topic).expect("subscribed");
    let mut seen = 0;
    while seen < 7 {
        seen +=
            consumer.poll(1 << 20, Some(LONG)).expect("polled").iter().map(|polled| polled.batch.len()).sum::<usize>();
    }
    consumer.commit().expect("committed");
    topic.append_batch(Target::Partition(1), &[Record::new("y"), Record::new("z")]).expect("appended");
    let metrics = engine.metrics();
    let lags: Vec<_> =
        metrics.lags.iter().map(|lag| (lag.partition, lag.offset, lag.high_watermark, lag.lag)).collect();
    assert_eq!(lags, [(0, 4, 4, 0), (1, 3, 5, 2)]);
    assert!(metrics.lags.iter().all(|lag| lag.consumer == "c" && lag.topic == "t"));
    // The commit was an append too, to a topic of the engine's own.
    assert_eq!(metrics.topics.len(), 1);
    assert_eq!(metrics.engine.appends.appends, of(&metrics, "t").appends.appends + 1);
}

#[test]
fn counters_only_grow_while_everything_happens_at_once() {
    const THREADS: u32 = 4;
    const ROUNDS: u64 = 300;
    let dir = tempfile::tempdir().expect("a directory");
    let engine = open(dir.path(), Runtime::Auto);
    let topic = common::topic(&engine, THREADS);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let appenders: Vec<_> = (0..THREADS)
            .map(|partition| {
                let topic = topic.clone();
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let value = pattern(round, 50 + (round as usize % 3) * 4_000);
                        let options = AppendOptions::default();
                        let records = [Record::new(&value)];
                        let _ticket = topic.submit(Target::Partition(partition), &records, options).expect("appended");
                        if round % 20 == 0 {
                            topic.read(partition, 0, 4_000).expect("readable");
                        }
                    }
                })
            })
            .collect();
        let churn = scope.spawn(|| {
            let mut round = 0;
            while !done.load(Ordering::Relaxed) {
                let name = format!("passing{round}");
                let topic = engine.create_topic(&name, TopicOptions::default()).expect("a topic");
                topic.append(&Record::new("x")).expect("appended");
                engine.delete_topic(&name).expect("deleted");
                round += 1;
            }
            round
        });
        let scraper = scope.spawn(|| {
            let mut last = engine.metrics();
            while !done.load(Ordering::Relaxed) {
                let now = engine.metrics();
                let (a, b) = (&last.engine, &now.engine);
                assert!(b.appends.records >= a.appends.records && b.appends.bytes >= a.appends.bytes);
                assert!(b.reads.bytes >= a.reads.bytes && b.written.total() >= a.written.total());
                for (a, b) in last.shards.iter().zip(&now.shards) {
                    assert!(b.durable_writes.count >= a.durable_writes.count && b.queue_depth_max >= a.queue_depth_max);
                }
                last = now;
            }
        });
        appenders.into_iter().for_each(|thread| thread.join().expect("no panic"));
        done.store(true, Ordering::Relaxed);
        let passed: u64 = churn.join().expect("no panic");
        scraper.join().expect("no panic");
        let metrics = engine.metrics();
        let all = u64::from(THREADS) * ROUNDS;
        assert_eq!(of(&metrics, "t").appends.records, all);
        assert_eq!(metrics.engine.appends.records, all + passed);
    });
}

#[test]
fn json_has_every_field_and_escapes() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = open(dir.path(), Runtime::Auto);
    common::append(&common::topic(&engine, 1), "x");
    let metrics = engine.metrics();
    let json: serde_json::Value = serde_json::from_str(&metrics.to_json()).expect("JSON");
    assert_eq!(json["engine"]["appends"]["records"], 1);
    assert_eq!(json["engine"]["memory"]["pins"]["used"], 0);
    assert_eq!(json["topics"][0]["topic"], "t");
    assert_eq!(json["topics"][0]["used"][0]["high_watermark"], 1);
    let buckets = json["shards"][0]["durable_writes"]["buckets"].as_array().expect("a list");
    assert!(buckets.last().expect("some")["seconds"].is_null(), "the last bucket has no upper bound");
    assert!(json["lags"].as_array().expect("a list").is_empty() && json["lags_error"].is_null());
    let mut strange = metrics;
    strange.topics[0].topic = "a\"\\\n\u{1}é".into();
    let json: serde_json::Value = serde_json::from_str(&strange.to_json()).expect("JSON");
    assert_eq!(json["topics"][0]["topic"], "a\"\\\n\u{1}é");
}

/// A family as Prometheus reads it.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: bool,
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

/// Reads the text exposition format, and holds every line to it.
fn parse(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a name and a text");
            let family = families.entry(name.to_owned()).or_default();
            assert!(!family.help && family.samples.is_empty() && !help.is_empty(), "once, before its samples: {line}");
            (family.help, current) = (true, name.to_owned());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a kind");
            assert!(name == current && ["counter", "gauge", "histogram"].contains(&kind), "{line}");
            families.get_mut(name).expect("its help comes first").kind = kind.to_owned();
        } else {
            let family = families.get_mut(&current).expect("a sample has a family");
            let (name, labels, value) = sample(line);
            let suffix = name.strip_prefix(&current).unwrap_or_else(|| panic!("{line} in {current}"));
            let suffixes: &[&str] = if family.kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(suffixes.contains(&suffix), "{line} in {current}");
            assert!(!family.samples.iter().any(|(n, l, _)| (n, l) == (&name, &labels)), "twice: {line}");
            family.samples.push((name, labels, value));
        }
    }
    for (name, family) in &families {
        assert!(name.starts_with("thalweg_") && family.help && !family.kind.is_empty(), "{name}");
        assert_eq!(name.ends_with("_total"), family.kind == "counter", "{name}");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
    }
    families
}

fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let at = line.find(['{', ' ']).expect("a value");
    let (name, mut rest) = line.split_at(at);
    let mut labels = BTreeMap::new();
    if rest.starts_with('{') {
        loop {
            let (label, after) = rest[1..].split_once("=\"").expect("a label");
            let (mut value, mut escaped, mut end) = (String::new(), false, None);
            for (at, c) in after.char_indices() {
                match (escaped, c) {
                    (true, 'n') => value.push('\n'),
                    (true, '\\' | '"') => value.push(c),
                    (true, _) => panic!("an unknown escape in {line}"),
                    (false, '\\') => {}
                    (false, '"') => {
                        end = Some(at);
                        break;
                    }
                    (false, _) => value.push(c),
                }
                escaped = !escaped && c == '\\';
            }
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
            rest = &after[end.expect("a closing quotation mark") + 1..];
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            assert!(rest.starts_with(','), "{line}");
        }
    }
    let value = rest.strip_prefix(' ').expect("one space").parse().expect("a number");
    (name.to_owned(), labels, value)
}

#[test]
fn prometheus_reads_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = Engine::open(dir.path(), Options::default().memory_budget(64 << 20).shards(2)).expect("opened");
    let topic = common::topic(&engine, 3);
    for at in 0..20u32 {
        topic.append_batch(Target::Partition(at % 2), &[Record::new("abc")]).expect("appended");
    }
    engine.positions().reset("c", &topic, Some(0), Start::Offset(4)).expect("reset");
    let metrics = engine.metrics();
    let families = parse(&metrics.to_prometheus());
    let value = |name: &str, labels: &[(&str, &str)]| {
        let wanted: BTreeMap<String, String> =
            labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
        let samples = families.values().flat_map(|family| &family.samples);
        let found = samples.filter(|(n, l, _)| n == name && *l == wanted).map(|(_, _, value)| *value);
        found.collect::<Vec<f64>>()
    };
    assert_eq!(value("thalweg_topic_appends_total", &[("topic", "t")]), [20.0]);
    assert_eq!(value("thalweg_topic_appended_bytes_total", &[("topic", "t")]), [60.0]);
    assert_eq!(value("thalweg_appended_records_total", &[]), [21.0], "a position was committed too");
    assert_eq!(value("thalweg_partition_high_watermark_offset", &[("topic", "t"), ("partition", "1")]), [10.0]);
    assert_eq!(value("thalweg_partition_high_watermark_offset", &[("topic", "t"), ("partition", "2")]), [0.0; 0]);
    let lag = [("consumer", "c"), ("topic", "t"), ("partition", "0")];
    assert_eq!(value("thalweg_consumer_lag_offsets", &lag), [6.0]);
    assert_eq!(value("thalweg_memory_used_bytes", &[("kind", "pins")]), [0.0]);

    let histogram = &families["thalweg_shard_durable_write_seconds"];
    assert_eq!(histogram.kind, "histogram");
    for shard in ["0", "1"] {
        let of_shard = |suffix: &str| {
            let name = format!("thalweg_shard_durable_write_seconds{suffix}");
            let samples = histogram.samples.iter().filter(move |(n, l, _)| *n == name && l["shard"] == shard);
            samples.map(|(_, labels, value)| (labels.get("le").cloned(), *value)).collect::<Vec<_>>()
        };
        let buckets = of_shard("_bucket");
        let bounds: Vec<f64> =
            buckets.iter().map(|(le, _)| le.as_ref().expect("a bound").parse().expect("f64")).collect();
        assert!(bounds.is_sorted_by(|a, b| a < b) && bounds.last() == Some(&f64::INFINITY), "{bounds:?}");
        assert_eq!(buckets.last().expect("some").0.as_deref(), Some("+Inf"));
        assert!(buckets.iter().map(|(_, count)| *count).is_sorted(), "they count those before them");
        assert_eq!(buckets.last().map(|(_, count)| *count), of_shard("_count").first().map(|(_, count)| *count));
        assert!(of_shard("_sum")[0].1 >= 0.0);
    }
    let all: f64 = histogram.samples.iter().filter(|(n, ..)| n.ends_with("_count")).map(|(_, _, value)| value).sum();
    assert!(all >= 20.0, "each append waited for one");
}

#[test]
fn labels_survive_the_way_to_prometheus() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = open(dir.path(), Runtime::Auto);
    common::append(&common::topic(&engine, 1), "x");
    let mut metrics = engine.metrics();
    let strange = "a\"b\\c\nd{e},f=\"é\"";
    metrics.topics[0].topic = strange.into();
    let families = parse(&metrics.to_prometheus());
    assert_eq!(families["thalweg_topic_appends_total"].samples[0].1["topic"], strange);
}
