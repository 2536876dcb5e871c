//! A device that keeps everybody waiting: a small file system in a file, mounted and frozen. Needs root; without it the
//! test says so and proves nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use thalweg::{Engine, Options, Runtime, TopicOptions};
use thalweg_tests::mount::{self, Mounted};

/// Rewriting the log of key-values is the larger part of this load, and held a lock that readers took.
fn reads_of_key_values_go_on(runtime: Runtime) {
    if !mount::permitted() {
        return;
    }
    let small = Mounted::new("ext4", 200);
    let options = Options::default().shards(1).memory_budget(64 << 20).runtime(runtime);
    let engine = Engine::open(small.store(), options).expect("the store opens");
    let topic = engine.create_topic("t", TopicOptions::default()).expect("a topic");
    let values = engine.key_values(&topic).expect("values");
    values.put(b"k", b"v").expect("put");
    let over = AtomicBool::new(false);
    let mount = small.path();
    let mount = mount.to_str().expect("a plain path");
    let waited = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                values.put(b"large", &[7; 900_000]).expect("put");
            }
        });
        let waited = (0..24).find(|round| {
            std::thread::sleep(Duration::from_millis(round % 7 * 5));
            mount::run("fsfreeze", &["-f", mount]);
            // By now whoever writes waits for the device.
            std::thread::sleep(Duration::from_millis(30));
            let (sender, receiver) = mpsc::channel();
            let values = values.clone();
            let reader = std::thread::spawn(move || {
                let value = values.get(b"k").expect("readable");
                let _late = sender.send(value);
            });
            let read = receiver.recv_timeout(Duration::from_secs(3));
            mount::run("fsfreeze", &["-u", mount]);
            reader.join().expect("no panic");
            read.ok().flatten().as_deref() != Some(b"v")
        });
        over.store(true, Ordering::Relaxed);
        waited
    });
    assert_eq!(waited, None, "in this round a read waited for the device");
    engine.close().expect("a clean close");
}

#[test]
fn reads_of_key_values_do_not_wait_for_the_device_uring() {
    reads_of_key_values_go_on(Runtime::Uring);
}

#[test]
fn reads_of_key_values_do_not_wait_for_the_device_posix() {
    reads_of_key_values_go_on(Runtime::Posix);
}
