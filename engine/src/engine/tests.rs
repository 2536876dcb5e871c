//! Engines of processes that have little left, and what only their inside tells.

use crate::io::child;
use crate::{
    AppendOptions, ConsumerOptions, Durability, Engine, ErrorKind, Options, Position, Record, Start, Target,
    TopicOptions,
};

/// One descriptor too few was taken for a store that others hold.
#[test]
#[ignore = "runs in a child of another test"]
fn child_that_opens_with_few_descriptors() {
    if child::is_child() {
        let mut opened = 0;
        for most in 3..40 {
            let limit = libc::rlimit { rlim_cur: most, rlim_max: 4096 };
            // SAFETY: `limit` is a live value.
            assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
            match Engine::open("store", Options::default().shards(1)) {
                Ok(engine) => {
                    opened += 1;
                    engine.close().expect("closed");
                }
                Err(error) => {
                    assert_eq!(error.os_code(), Some(libc::EMFILE), "with {most}: {error}");
                    assert!(error.message().contains("ulimit -n"), "with {most}: {error}");
                }
            }
        }
        assert!((1..36).contains(&opened), "{opened} opens had enough");
    }
}

#[test]
fn an_open_without_descriptors_says_so() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    child::run("engine::tests::child_that_opens_with_few_descriptors", directory.path());
}

/// Sets how much may be mapped, beyond what is: bytes.
fn limit_memory(more: u64) {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("there");
    let pages: u64 = pages.split(' ').next().and_then(|pages| pages.parse().ok()).expect("a number");
    let limit = libc::rlimit { rlim_cur: (pages * 4096).saturating_add(more), rlim_max: libc::RLIM_INFINITY };
    // SAFETY: `limit` is a live value.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
}

/// The list of many partitions ended the process, and appends waited without end.
#[test]
#[ignore = "runs in a child of another test"]
fn child_without_memory() {
    if child::is_child() {
        let engine = Engine::open("store", Options::default().shards(1)).expect("opened");
        let many = engine.create_topic("many", TopicOptions::default().partitions(65_536)).expect("created");
        let value = vec![7; 8 << 20];
        let append = |size| many.append_batch(Target::Partition(0), &[Record::new(&value[..size])]);
        append(1).expect("there is memory");
        limit_memory(2 << 20);
        let refused = append(value.len()).map(drop);
        // What the allocator has set aside is used up first.
        let mut held = Vec::with_capacity(1000);
        let described = loop {
            match many.describe() {
                Ok(description) if held.len() < 1000 => held.push(description),
                result => break result.map(drop),
            }
        };
        let listed = engine.topics().map(drop);
        limit_memory(u64::MAX / 2);
        for (what, result) in [("append", refused), ("describe", described), ("topics", listed)] {
            let error = result.expect_err(what);
            assert_eq!(error.kind(), ErrorKind::NoMemory, "{what}: {error}");
        }
        append(value.len()).expect("there is memory again");
        assert_eq!(many.describe().expect("described").partitions.len(), 65_536);
        engine.close().expect("closed");
    }
}

#[test]
fn a_system_without_memory_is_an_error() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    child::run("engine::tests::child_without_memory", directory.path());
}

/// A kill took records back that a position stood behind, and new ones at their offsets were passed over.
#[test]
fn a_committed_position_never_outlives_what_it_stands_behind() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let engine = Engine::open(directory.path(), Options::default()).expect("opened");
    for durability in [Durability::LoseOnKill, Durability::LoseOnPowerCut] {
        let options = TopicOptions::default().durability(durability);
        let topic = engine.create_topic(&format!("{durability:?}"), options).expect("created");
        let mut consumer = engine.consumer(ConsumerOptions::default().name("c")).expect("made");
        consumer.subscribe(&topic).expect("subscribed");
        for way in 0..3 {
            let ticket = topic.submit(Target::Partition(0), &[Record::new("x")], AppendOptions::default());
            let end = ticket.expect("appended").appended().next_offset();
            while consumer.positions()[0].offset < end {
                consumer.poll(1 << 20, None).expect("polled");
            }
            match way {
                0 => consumer.commit().expect("committed"),
                1 => {
                    let position = Position { topic: &topic, partition: 0, offset: end, metadata: b"" };
                    consumer.commit_positions(&[position]).expect("committed");
                }
                _ => engine.positions().reset("d", &topic, None, Start::Latest).expect("reset"),
            }
            let partition = topic.state().partition(0).expect("there");
            assert_eq!(partition.watermark().durable(), end, "{durability:?}, way {way}");
        }
    }
    engine.close().expect("closed");
}
