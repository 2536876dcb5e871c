//! The process as a whole stays near its budget. Alone in its process, so that nothing else counts.

mod common;

use common::{LONG, open, pattern, topic};
use thalweg::{Record, Runtime, Start, Target};

const VALUE: usize = 50 << 10;
const RECORDS: u64 = 10_000;

fn kib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with(field)).expect("the kernel counts memory");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}

#[test]
fn half_a_gigabyte_goes_through_sixty_four_megabytes() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = open(dir.path(), Runtime::Auto);
    let topic = topic(&engine, 4);
    let before = kib("VmRSS:");
    let producer = topic.clone();
    let thread = std::thread::spawn(move || {
        let value = pattern(1, VALUE);
        for i in 0..RECORDS {
            let target = Target::Partition((i % 4) as u32);
            let _ticket = producer.submit(target, &[Record::new(&value)], Default::default()).expect("appended");
        }
    });
    let readers: Vec<_> = (0..4)
        .map(|partition| {
            let mut reader = topic.reader(partition, Start::Earliest).expect("a reader");
            std::thread::spawn(move || {
                let mut seen = 0;
                while seen < RECORDS / 4 {
                    seen += reader.next(1 << 20, Some(LONG)).expect("readable").len() as u64;
                    // Slower than the producer, so that there is a backlog.
                    std::thread::sleep(std::time::Duration::from_micros(500));
                }
            })
        })
        .collect();
    thread.join().expect("no panic");
    readers.into_iter().for_each(|reader| reader.join().expect("no panic"));
    let grown = kib("VmHWM:") - before;
    assert!(grown < 84 << 10, "the process grew by {grown} KiB over a budget of {} KiB", 64 << 10);
}
