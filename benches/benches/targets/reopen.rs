//! How long a store takes to open, by how much is in it and how it was left.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use thalweg::{AppendOptions, Engine, Options, Record, Target as To, TopicOptions};
use thalweg_bench::{Bench, Row, Target, scratch};

/// Payload of a record here. Bytes.
const RECORD: usize = 64 << 10;

/// The child: fills a store, says so, and either closes it or appends on until it is killed.
pub(crate) fn child(arguments: &[String]) {
    let [dir, bytes, kill] = arguments else { panic!("directory, bytes, and whether to be killed") };
    let count = bytes.parse::<u64>().expect("a number of bytes") / RECORD as u64;
    let engine = Engine::open(Path::new(dir), Options::default().shards(1)).expect("a scratch store opens");
    let topic = engine.create_topic("reopen", TopicOptions::default()).expect("a topic");
    let value = vec![0x5a; RECORD];
    let append = |value: &[u8]| topic.submit(To::Partition(0), &[Record::new(value)], AppendOptions::default());
    (0..count).for_each(|_| drop(append(&value).expect("an append")));
    append(&value).expect("an append").wait(None).expect("the last append");
    if kill == "false" {
        engine.close().expect("a clean close");
    }
    println!("filled");
    if kill == "true" {
        loop {
            // Small ones that wait, so that the journal is full of what no segment has.
            append(&value[..100]).expect("an append").wait(None).expect("an append");
        }
    }
}

/// Fills a store in another process, and times the opening. ms.
fn run(bytes: u64, kill: bool) -> f64 {
    let dir = scratch();
    let mut command = Command::new(std::env::current_exe().expect("a process knows its program"));
    command.arg("child-reopen").arg(dir.path()).arg(bytes.to_string()).arg(kill.to_string());
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the child starts");
    let mut word = [0; 6];
    child.stdout.take().expect("it is piped").read_exact(&mut word).expect("the child fills the store");
    if kill {
        std::thread::sleep(std::time::Duration::from_millis(300));
        child.kill().expect("the child is ours");
    }
    child.wait().expect("the child ends");
    let start = Instant::now();
    let engine = Engine::open(dir.path(), Options::default().shards(1)).expect("the store opens again");
    let time = start.elapsed().as_nanos() as f64 / 1e6;
    assert_eq!(engine.info().recovery.clean, !kill);
    time
}

/// Both ways of leaving, by size, against the limit.
pub(crate) fn reopen(bench: &mut Bench) {
    let large = bench.settings.reopen;
    for (kill, limit) in [(false, 1000.0), (true, 3000.0)] {
        for size in [1, large] {
            let how = if kill { "after SIGKILL" } else { "after a clean close" };
            let name = format!("reopen {how}, {size} GiB");
            if !bench.wants(&[&name]) {
                continue;
            }
            let samples = (0..2).map(|_| (run(size << 30, kill), limit)).collect();
            let baseline = format!("{} s", limit / 1000.0);
            let target = Target::AtMost(1.0);
            bench.add(Row {
                name,
                baseline,
                unit: "ms",
                target,
                samples,
                payload: RECORD as f64,
                file: 0.0,
                device: 0.0,
            });
        }
    }
}
