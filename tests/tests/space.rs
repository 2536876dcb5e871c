//! A full device: a small file system in a file, mounted. Needs root; without it the test says so and proves nothing,
//! which is why the lane `loop` that runs it is skipped there.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use thalweg::{Engine, ErrorKind, Options, Record, Runtime, Target, TopicOptions};
use thalweg_tests::ledger;

/// A mounted ext4 of some MiB; unmounted when dropped.
struct Small {
    dir: tempfile::TempDir,
}

impl Small {
    fn mount(mib: u32) -> Small {
        let dir = tempfile::tempdir().expect("a directory");
        let image = dir.path().join("image");
        let file = std::fs::File::create(&image).expect("an image");
        file.set_len(u64::from(mib) << 20).expect("a sparse image");
        std::fs::create_dir(dir.path().join("mnt")).expect("a mount point");
        run("mkfs.ext4", &["-q", "-F", "-m", "0", image.to_str().expect("a plain path")]);
        let small = Small { dir };
        run(
            "mount",
            &["-o", "loop", image.to_str().expect("a plain path"), small.path().to_str().expect("a plain path")],
        );
        std::fs::create_dir(small.store()).expect("a directory");
        small
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("mnt")
    }

    fn store(&self) -> PathBuf {
        self.path().join("store")
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // The kernel takes a ring apart in its own time, and only then lets go of the files that were registered.
        for _ in 0..100 {
            if Command::new("umount").arg(self.path()).stderr(Stdio::null()).status().is_ok_and(|s| s.success()) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        eprintln!("{} is still busy, and stays mounted", self.path().display());
    }
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(status.success(), "{program} {arguments:?}: {status}");
}

fn is_root() -> bool {
    // SAFETY: a plain system call.
    unsafe { libc::geteuid() == 0 }
}

fn open(path: &Path, runtime: Runtime) -> Engine {
    let options = Options::default().shards(1).memory_budget(64 << 20).segment_size(4 << 20).runtime(runtime);
    Engine::open(path, options).expect("the store opens")
}

/// Appends until the device is full; the batches that were acknowledged.
fn fill(topic: &thalweg::Topic, writer: u32) -> u64 {
    for sequence in 0.. {
        let value = ledger::value(writer, sequence, 0, 1, 30_000);
        match topic.append_batch(Target::Partition(0), &[Record::new(&value)]) {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
                return sequence;
            }
        }
    }
    unreachable!("the device is small")
}

fn full_device(runtime: Runtime) {
    if !is_root() {
        eprintln!("skipped: mounting needs root");
        return;
    }
    let small = Small::mount(96);
    let engine = open(&small.store(), runtime);
    let spare = engine.create_topic("spare", TopicOptions::default()).expect("a topic");
    for sequence in 0..400 {
        let value = ledger::value(9, sequence, 0, 1, 30_000);
        spare.append_batch(Target::Partition(0), &[Record::new(&value)]).expect("there is space");
    }
    let topic = engine.create_topic("full", TopicOptions::default()).expect("a topic");
    let acknowledged = fill(&topic, 1);
    assert!(acknowledged > 500, "{acknowledged} batches fit");
    assert_eq!(ledger::check(&topic, 0).next[&1], acknowledged, "all that was acknowledged is there, and no more");

    // Space is made at zero bytes free, and appends go on.
    engine.delete_topic("spare").expect("deleting works on a full device");
    let value = ledger::value(1, acknowledged, 0, 1, 30_000);
    let mut again = topic.append_batch(Target::Partition(0), &[Record::new(&value)]);
    for _ in 0..50 {
        if again.is_err() {
            std::thread::sleep(std::time::Duration::from_millis(20));
            again = topic.append_batch(Target::Partition(0), &[Record::new(&value)]);
        }
    }
    again.expect("appends work again once there is space");
    engine.close().expect("a clean close");

    let engine = open(&small.store(), runtime);
    let topic = engine.topic("full").expect("the topic");
    assert_eq!(ledger::check(&topic, 0).next[&1], acknowledged + 1, "and all of it is there after opening again");
    engine.close().expect("a clean close");
}

#[test]
fn a_full_device_is_a_clean_error_uring() {
    full_device(Runtime::Auto);
}

#[test]
fn a_full_device_is_a_clean_error_posix() {
    full_device(Runtime::Posix);
}
