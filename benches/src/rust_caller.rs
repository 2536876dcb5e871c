//! A Rust program's side of a comparison with C.

use std::time::Duration;

use thalweg::{AppendOptions, ErrorKind, Record, Target, Topic};

/// Submits so many batches of `batch` records to the first partition, and tries again what there is no room for, as
/// `caller_append` does in C.
pub fn rust_append(topic: &Topic, value: &[u8], batch: usize, calls: u64) {
    let records = vec![Record::new(value); batch];
    let options = AppendOptions::default().wait_for_memory(false);
    for _ in 0..calls {
        loop {
            match topic.submit(Target::Partition(0), &records, options) {
                Ok(_ticket) => break,
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(Duration::from_micros(50)),
                Err(error) => panic!("an append: {error}"),
            }
        }
    }
}
