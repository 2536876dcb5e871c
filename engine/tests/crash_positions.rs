//! A process that is killed while it commits positions and key-values: each commit is there whole or not at all, and
//! none that was acknowledged is lost, also while a log is being written anew.
//!
//! The parent starts this test binary again as a child that commits number after number, and tells of each.

mod common;

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use thalweg::{ConsumerOptions, Engine, Options, Position, Runtime, Topic, TopicOptions, Write};

const CHILD: &str = "THALWEG_TEST_POSITIONS_CHILD";
const PARTITIONS: u32 = 5;

fn open(path: &Path, runtime: Runtime, only_look: bool) -> (Engine, Topic) {
    let options = Options::default().runtime(runtime).memory_budget(64 << 20).read_only(only_look);
    let engine = Engine::open(path, options).expect("opened");
    let topic = engine
        .topic("t")
        .unwrap_or_else(|_| engine.create_topic("t", TopicOptions::default().partitions(PARTITIONS)).expect("created"));
    (engine, topic)
}

/// What the child does until it is killed.
fn commit_forever(path: &Path, runtime: Runtime, first: u64) {
    let (engine, topic) = open(path, runtime, false);
    let values = engine.key_values(&topic).expect("values");
    let mut consumer = engine.consumer(ConsumerOptions::default().name("c")).expect("made");
    // Large, so that the logs are soon written anew.
    let filling = vec![b'm'; 4000];
    for number in first.. {
        let value = [&number.to_le_bytes()[..], &filling].concat();
        let position = |partition| Position { topic: &topic, partition, offset: 0, metadata: &value };
        consumer.commit_positions(&(0..PARTITIONS).map(position).collect::<Vec<_>>()).expect("committed");
        let writes = [Write::Put(b"a", &value), Write::Delete(b"none"), Write::Put(b"b", &value)];
        values.batch(&writes).expect("changed");
        let mut out = std::io::stdout().lock();
        writeln!(out, "committed {number}").and_then(|()| out.flush()).expect("the parent reads");
    }
}

/// Not a test of its own: what the child runs.
#[test]
fn child() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let mut parts = task.splitn(3, ' ');
    let runtime = if parts.next() == Some("uring") { Runtime::Uring } else { Runtime::Posix };
    let first = parts.next().and_then(|first| first.parse().ok()).expect("a number");
    commit_forever(Path::new(parts.next().expect("a path")), runtime, first);
}

/// Runs a child from `first`, kills it a while after its first commit, and answers the last one that it told.
fn run_and_kill(path: &Path, runtime: Runtime, first: u64, life: Duration) -> u64 {
    let mut child = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "child", "--nocapture", "--test-threads=1", "-q"])
        .env(CHILD, format!("{runtime} {first} {}", path.display()))
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let told = |line: std::io::Result<String>| line.ok()?.strip_prefix("committed ")?.parse::<u64>().ok();
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let begun = lines.by_ref().find_map(told).expect("the child commits something");
    let reader = std::thread::spawn(move || lines.filter_map(told).last());
    std::thread::sleep(life);
    child.kill().expect("killed");
    child.wait().expect("reaped");
    reader.join().expect("no panic").unwrap_or(begun)
}

for_each_runtime! {
    fn positions_survive_sigkill(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let mut next = 1;
        for round in 0..25u64 {
            let life = Duration::from_micros(round * 7919 % 60_000);
            let last = run_and_kill(dir.path(), runtime, next, life);
            // Every other time the next child finds the store as this one left it: killed twice in a row.
            let (engine, topic) = open(dir.path(), runtime, round % 2 == 1);
            let listed = engine.positions().list(Some("c")).expect("listed");
            assert_eq!(listed.len(), PARTITIONS as usize);
            let number = |value: &[u8]| u64::from_le_bytes(value[..8].try_into().expect("eight bytes"));
            let found = number(&listed[0].metadata);
            let whole = |metadata: &[u8]| number(metadata) == found && metadata.len() == 4008;
            assert!(listed.iter().all(|position| whole(&position.metadata)), "a commit is whole: {found}");
            assert!((last..=last + 1).contains(&found), "committed {last}, found {found}");
            let values = engine.key_values(&topic).expect("values");
            let value = |key: &[u8]| number(&values.get(key).expect("readable").expect("there"));
            assert_eq!(value(b"a"), value(b"b"), "a batch is whole");
            assert!((last..=last + 1).contains(&value(b"a")), "changed {last}, found {}", value(b"a"));
            next = found.max(value(b"a")) + 1;
        }
    }
}
