//! A killed owner's writes that are still on their way to a slow device, as a throttle makes it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::doorbell::Doorbell;
use super::super::driver::{DEPTH, Driver};
use super::super::posix::Posix;
use super::super::uring::Uring;
use super::{Bench, block, disk_in, pool, write};
use crate::error::ErrorKind;
use crate::ids::DurablePrimitive;
use crate::io::lock::{PATIENCE, StoreLock};
use crate::io::os::OsDisk;
use crate::io::{Disk, OpenMode, child, read_full};

/// Bytes per second that the child may write, and bytes that it has in flight when it is killed.
const RATE: u64 = 2 << 20;
const WRITE: usize = 1 << 20;
const WRITES: u64 = 4;
/// Where the child finds which group to join.
const GROUP: &str = "group";

/// A control group with a throttle on the device under `directory`; `None` where there is none to be had.
struct Throttle(PathBuf);

impl Throttle {
    fn new(directory: &Path) -> Option<Throttle> {
        use std::os::unix::fs::MetadataExt;
        let device = std::fs::metadata(directory).ok()?.dev();
        let (major, minor) = (libc::major(device), libc::minor(device));
        let path = PathBuf::from(format!("/sys/fs/cgroup/blkio/thalweg-test-{}", std::process::id()));
        std::fs::create_dir(&path).ok()?;
        let throttle = Throttle(path);
        let limit = format!("{major}:{minor} {RATE}");
        std::fs::write(throttle.0.join("blkio.throttle.write_bps_device"), limit).ok()?;
        std::fs::write(directory.join(GROUP), throttle.0.as_os_str().as_encoded_bytes()).ok()?;
        Some(throttle)
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        // It can be removed once its last process is gone, which the test has waited for.
        let _ = std::fs::remove_dir(&self.0);
    }
}

fn flying(driver: impl FnOnce(&StoreLock, Arc<Doorbell>) -> Box<dyn Driver>) {
    let disk = disk_in(Path::new("."));
    let lock = StoreLock::acquire(&disk, PATIENCE).expect("nobody else");
    let pool = pool();
    let (zeros, ones) = (block(&pool, WRITE, 0), block(&pool, WRITE, 0));
    // SAFETY: nobody else knows the blocks yet.
    unsafe {
        zeros.bytes_mut(0, WRITE).fill(0);
        ones.bytes_mut(0, WRITE).fill(1);
    }
    let file = disk.open("file", OpenMode::CreateNew).expect("a new file");
    let mut bench = Bench::posix();
    for i in 0..WRITES {
        bench.run_one(write(&file, &zeros, i * WRITE as u64, 0, WRITE)).expect("written");
    }
    let group = std::fs::read_to_string(GROUP).expect("the test left it there");
    std::fs::write(Path::new(&group).join("cgroup.procs"), "0").expect("joined");
    let doorbell = Doorbell::make().expect("a doorbell");
    let mut bench = Bench { driver: driver(&lock, Arc::clone(&doorbell)), doorbell, name: "flying" };
    for token in 0..WRITES {
        let op = write(&file, &ones, token * WRITE as u64, 0, WRITE);
        bench.driver.submit(super::Op { token, ..op });
    }
    let _ = bench.wait(Duration::from_millis(200));
    println!("\nFLYING {}", std::process::id());
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
#[ignore = "runs in a child of another test"]
fn child_with_uring_writes_in_flight() {
    if child::is_child() {
        flying(|lock, doorbell| {
            let held = Some(lock.raw_fd());
            Box::new(
                Uring::new(doorbell, DEPTH, held, DurablePrimitive::DurableWrite, Vec::new())
                    .expect("io_uring works here"),
            )
        });
    }
}

#[test]
#[ignore = "runs in a child of another test"]
fn child_with_posix_writes_in_flight() {
    if child::is_child() {
        flying(|_, doorbell| Box::new(Posix::new(doorbell).expect("threads")));
    }
}

fn landed(disk: &OsDisk) -> usize {
    let file = disk.open("file", OpenMode::Read).expect("it is there");
    let mut bytes = vec![0; WRITE * WRITES as usize];
    assert!(read_full(&*file, 0, &mut bytes).expect("read"));
    bytes.iter().step_by(4096).filter(|byte| **byte == 1).count()
}

/// Whoever gets the lock sees the last of the writes of the process that had it before.
fn nothing_lands_after_the_lock_is_free(test: &str) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let Some(throttle) = Throttle::new(directory.path()) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "no throttle can be set up here, and CI=true");
        println!("skipped: no throttle can be set up here");
        return;
    };
    let (mut owner, number) = child::start(&format!("runtime::tests::throttled::{test}"), directory.path(), "FLYING ");
    owner.kill().expect("it runs");
    let killed = Instant::now();
    let disk = disk_in(directory.path());
    let early = StoreLock::acquire(&disk, Duration::from_millis(100)).expect_err("writes are in flight");
    assert_eq!(early.kind(), ErrorKind::AlreadyOpen);
    assert!(early.message().contains(&number), "{early}");
    let _lock = StoreLock::acquire(&disk, Duration::from_secs(30)).expect("free when the last write is over");
    let (free, first) = (killed.elapsed(), landed(&disk));
    std::thread::sleep(Duration::from_secs(1));
    let second = landed(&disk);
    println!("{test}: free after {free:?}, {first} sectors had landed then, {second} a second later");
    assert_eq!(first, second, "a write landed while the lock was held by its next owner");
    owner.wait().expect("it was started here");
    drop(throttle);
}

#[test]
fn no_write_outlives_its_lock() {
    nothing_lands_after_the_lock_is_free("child_with_uring_writes_in_flight");
    nothing_lands_after_the_lock_is_free("child_with_posix_writes_in_flight");
}
