//! Engines of processes that have little left.

use crate::io::child;
use crate::{Engine, ErrorKind, Options, Record, Target, TopicOptions};

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
