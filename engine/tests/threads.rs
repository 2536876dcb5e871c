//! The engine's threads as the system shows them: their names, their signals, the cores that they may run on.

mod common;

use common::{options, topic};
use thalweg::{Engine, Options, Record, Runtime};

/// Numbers of this process's threads whose name begins so, with their names.
fn threads(prefix: &str) -> Vec<(i32, String)> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("the threads");
    let named = tasks.filter_map(|task| {
        let path = task.expect("an entry").path();
        let name = std::fs::read_to_string(path.join("comm")).ok()?.trim().to_owned();
        let number = path.file_name()?.to_str()?.parse().ok()?;
        name.starts_with(prefix).then_some((number, name))
    });
    let mut found: Vec<(i32, String)> = named.collect();
    found.sort_by(|a, b| a.1.cmp(&b.1));
    found
}

/// Cores that a thread may run on.
fn cores(thread: i32) -> Vec<usize> {
    // SAFETY: all-zero is the empty set, and the call fills as much as it is told that there is.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        assert_eq!(libc::sched_getaffinity(thread, size_of::<libc::cpu_set_t>(), &raw mut set), 0);
        (0..libc::CPU_SETSIZE as usize).filter(|core| libc::CPU_ISSET(*core, &set)).collect()
    }
}

/// Signals that a thread blocks, as a mask.
fn blocked(thread: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/self/task/{thread}/status")).expect("its state");
    let line = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).expect("every thread has a mask");
    u64::from_str_radix(line.trim(), 16).expect("a mask")
}

/// One engine at a time, as threads of several could not be told apart.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[test]
fn threads_are_named_take_no_signals_and_stay_where_they_are_pinned() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let allowed = cores(0);
    for (runtime, pin) in
        [(Runtime::Auto, false), (Runtime::Auto, true), (Runtime::Posix, false), (Runtime::Posix, true)]
    {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = Engine::open(dir.path(), options(runtime).pin_cores(pin)).expect("opened");
        topic(&engine, 2).append(&Record::new("x")).expect("appended");
        let shards = threads("thalweg-shard");
        let names: Vec<&str> = shards.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["thalweg-shard-0", "thalweg-shard-1"]);
        for (index, (number, name)) in shards.iter().enumerate() {
            let expected = if pin { vec![allowed[index % allowed.len()]] } else { allowed.clone() };
            assert_eq!(cores(*number), expected, "{name}, {runtime}, pinned: {pin}");
        }
        for (number, name) in threads("thalweg-") {
            for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGUSR1, libc::SIGALRM, libc::SIGPIPE] {
                assert_ne!(blocked(number) & (1 << (signal - 1)), 0, "{name} blocks signal {signal}");
            }
        }
        engine.close().expect("closed");
        assert_eq!(threads("thalweg-"), [], "none is left");
    }
}

/// Any size within the range works, also one that is not a multiple of anything.
#[test]
fn a_segment_size_is_rounded_down_to_whole_sectors() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for size in [64 << 10, 100_001, (1 << 20) + 1] {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = Engine::open(dir.path(), Options::default().shards(1).segment_size(size)).expect("opened");
        let topic = engine.create_topic("t", thalweg::TopicOptions::default()).expect("created");
        for _ in 0..20 {
            topic.append(&Record::new(&vec![7; 20_000])).expect("appended");
        }
        engine.close().expect("closed");
    }
}
