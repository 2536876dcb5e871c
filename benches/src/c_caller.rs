//! A C program's side of a comparison.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use thalweg::Durability;
use thalweg_c::{
    THALWEG_OK, THALWEG_PARTITION_BY_KEY, thalweg_bytes, thalweg_completion_queue, thalweg_completion_queue_close,
    thalweg_completion_queue_open, thalweg_engine, thalweg_engine_close, thalweg_engine_open, thalweg_engine_options,
    thalweg_engine_options_init, thalweg_record, thalweg_topic, thalweg_topic_append, thalweg_topic_close,
    thalweg_topic_create, thalweg_topic_options, thalweg_topic_options_init,
};

#[allow(improper_ctypes, reason = "handles are passed on, and never looked into")]
unsafe extern "C" {
    fn caller_append(topic: *mut thalweg_topic, records: *const thalweg_record, count: usize, calls: u64) -> i32;
    fn caller_complete(
        topic: *mut thalweg_topic,
        queue: *mut thalweg_completion_queue,
        record: *const thalweg_record,
        calls: u64,
    ) -> i32;
    fn caller_walk(topic: *mut thalweg_topic, total: *mut u64) -> i32;
}

/// A store with one topic, of one partition, as a C program has it open.
#[derive(Debug)]
pub struct CCaller {
    engine: *mut thalweg_engine,
    topic: *mut thalweg_topic,
    queue: *mut thalweg_completion_queue,
    value: Vec<u8>,
}

impl CCaller {
    /// Opens a store in `path`; appends will be of values like this one, and are acknowledged as `durability` says.
    /// `adjust` changes the engine's options.
    pub fn new(
        path: &Path,
        value: &[u8],
        durability: Durability,
        adjust: impl FnOnce(&mut thalweg_engine_options),
    ) -> CCaller {
        let path = CString::new(path.as_os_str().as_bytes()).expect("a path has no zero byte");
        let (mut engine, mut topic, mut queue) = (std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut());
        let no_error = std::ptr::null_mut();
        // SAFETY: all pointers are of what lives through the calls; zeros are options.
        unsafe {
            let mut options: thalweg_engine_options = std::mem::zeroed();
            thalweg_engine_options_init(&raw mut options, size_of::<thalweg_engine_options>());
            options.shards = 1;
            adjust(&mut options);
            let opened = thalweg_engine_open(path.as_ptr(), &raw const options, &raw mut engine, no_error);
            assert_eq!(opened, THALWEG_OK, "a scratch store opens");
            let mut options: thalweg_topic_options = std::mem::zeroed();
            thalweg_topic_options_init(&raw mut options, size_of::<thalweg_topic_options>());
            options.durability = durability as u32;
            let created = thalweg_topic_create(engine, c"bench".as_ptr(), &raw const options, &raw mut topic, no_error);
            assert_eq!(created, THALWEG_OK, "a topic");
            assert_eq!(thalweg_completion_queue_open(0, &raw mut queue, no_error), THALWEG_OK, "a queue");
        }
        CCaller { engine, topic, queue, value: value.to_vec() }
    }

    fn record(&self) -> thalweg_record {
        thalweg_record {
            key: thalweg_bytes { data: std::ptr::null(), size: 0 },
            value: thalweg_bytes { data: self.value.as_ptr().cast(), size: self.value.len() },
            headers: std::ptr::null(),
            header_count: 0,
            timestamp: 0,
            flags: 0,
            reserved: 0,
        }
    }

    /// Submits so many batches of `batch` records.
    pub fn append(&self, batch: usize, calls: u64) {
        let records = vec![self.record(); batch];
        // SAFETY: the records and what they point to live through the call.
        let status = unsafe { caller_append(self.topic, records.as_ptr(), batch, calls) };
        assert_eq!(status, THALWEG_OK, "an append");
    }

    /// Submits so many records, one by one, and takes their completions.
    pub fn complete(&self, calls: u64) {
        let record = self.record();
        // SAFETY: the record and what it points to live through the call.
        let status = unsafe { caller_complete(self.topic, self.queue, &raw const record, calls) };
        assert_eq!(status, THALWEG_OK, "an append");
    }

    /// Waits until all before it is on its way, and acknowledged.
    pub fn settle(&self) {
        let record = self.record();
        let (none, partition) = (std::ptr::null_mut(), THALWEG_PARTITION_BY_KEY);
        // SAFETY: the record and what it points to live through the call.
        let status = unsafe {
            thalweg_topic_append(
                self.topic,
                partition,
                &raw const record,
                std::ptr::null(),
                -1,
                none,
                std::ptr::null_mut(),
            )
        };
        assert_eq!(status, THALWEG_OK, "the last append");
    }

    /// Looks at every record; a sum of what was seen.
    pub fn walk(&self) -> u64 {
        let mut total = 0;
        // SAFETY: the sum lives through the call.
        let status = unsafe { caller_walk(self.topic, &raw mut total) };
        assert_eq!(status, THALWEG_OK, "a read");
        total
    }
}

impl Drop for CCaller {
    fn drop(&mut self) {
        // SAFETY: both are open, or were never.
        unsafe {
            thalweg_completion_queue_close(self.queue, std::ptr::null_mut());
            thalweg_topic_close(self.topic, std::ptr::null_mut());
            thalweg_engine_close(self.engine, std::ptr::null_mut());
        }
    }
}
