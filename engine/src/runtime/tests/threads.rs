//! Machines on real threads: nothing is lost between sleeping and waking, and no end leaves anybody waiting.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::super::Helper;
use super::super::doorbell::Doorbell;
use super::super::machine::Machine;
use super::super::start::{Choice, Running, Settings, Thread, start};
use super::{SOON, block, bytes, disk_in, pool, read, write};
use crate::buffer::Block;
use crate::error::{Error, ErrorKind};
use crate::ids::DurablePrimitive;
use crate::io::os::OsEnvironment;
use crate::io::{Completion, Disk, Environment, File, Op, OpenMode};
use crate::sync::Arc as Shared;

pub(super) enum Message {
    /// Comes back as it is.
    Echo(u64),
    /// Writes the block's first sector there, and reads it back into the second.
    Store(Arc<dyn File>, Shared<Block>, u64),
    /// Asks the helper to add one.
    Meta(u64),
    /// Wants a turn after so many ns.
    After(u64),
    Panic,
    Close,
}

#[derive(Debug)]
pub(super) enum Event {
    Echo(u64),
    Stored(u64),
    Meta(u64),
    Late,
    Failed(Error),
}

/// A stand-in for a shard.
pub(super) struct Echo {
    inbox: Arc<Mutex<VecDeque<Message>>>,
    events: Sender<Event>,
    stores: Vec<(Arc<dyn File>, Shared<Block>, u64, bool)>,
    due: Option<u64>,
    closing: bool,
    waiting: usize,
}

impl Machine for Echo {
    type Request = u64;
    type Response = u64;

    fn turn(&mut self, now_ns: u64, ops: &mut Vec<Op>, requests: &mut Vec<u64>) {
        if self.due.is_some_and(|due| due <= now_ns) {
            self.due = None;
            self.tell(Event::Late);
        }
        loop {
            let message = self.inbox.lock().expect("nobody panics with it").pop_front();
            match message {
                None => return,
                Some(Message::Echo(number)) => self.tell(Event::Echo(number)),
                Some(Message::Store(file, block, position)) => {
                    let op = write(&file, &block, position, 0, 4096);
                    ops.push(Op { token: self.stores.len() as u64, ..op });
                    self.stores.push((file, block, position, false));
                    self.waiting += 1;
                }
                Some(Message::Meta(number)) => {
                    self.waiting += 1;
                    requests.push(number);
                }
                Some(Message::After(time)) => self.due = Some(now_ns + time),
                Some(Message::Panic) => panic!("as the test wants it"),
                Some(Message::Close) => self.closing = true,
            }
        }
    }

    fn complete(&mut self, completion: Completion) {
        assert_eq!(completion.result.expect("the file works"), 4096);
        let index = usize::try_from(completion.token).expect("a token of ours");
        let (file, block, position, written) = &mut self.stores[index];
        if std::mem::replace(written, true) {
            self.waiting -= 1;
            let number = completion.token;
            self.tell(Event::Stored(number));
        } else {
            // Read back from the next turn on, by way of the inbox.
            let op = read(file, block, *position, 4096, 4096);
            let result = Op { token: completion.token, ..op }.run();
            self.complete(Completion { token: completion.token, result });
        }
    }

    fn answered(&mut self, response: u64) {
        self.waiting -= 1;
        self.tell(Event::Meta(response));
    }

    fn next_deadline(&self) -> Option<u64> {
        self.due
    }

    fn has_input(&self) -> bool {
        !self.inbox.lock().expect("nobody panics with it").is_empty()
    }

    fn is_closed(&self) -> bool {
        self.closing && self.waiting == 0
    }

    fn fail(&mut self, error: &Error) {
        self.tell(Event::Failed(error.clone()));
    }
}

impl Echo {
    fn tell(&self, event: Event) {
        // The test may have seen enough.
        let _ = self.events.send(event);
    }
}

/// Where the test puts messages for one machine.
#[derive(Clone)]
pub(super) struct Handle {
    inbox: Arc<Mutex<VecDeque<Message>>>,
    doorbell: Arc<Doorbell>,
}

impl Handle {
    pub(super) fn send(&self, message: Message) {
        self.inbox.lock().expect("nobody panics with it").push_back(message);
        self.doorbell.wake();
    }
}

pub(super) struct Fixture {
    pub running: Running,
    pub handles: Vec<Handle>,
    pub events: Receiver<Event>,
    pub helper: Arc<Helper<u64, u64>>,
}

impl Fixture {
    pub(super) fn next(&self) -> Event {
        self.events.recv_timeout(SOON).expect("something happens soon")
    }

    pub(super) fn close(self) {
        self.handles.iter().for_each(|handle| handle.send(Message::Close));
        self.running.join();
        self.helper.end();
    }
}

pub(super) fn settings(choice: Choice) -> Settings {
    Settings { choice, lock: None, primitive: DurablePrimitive::DurableWrite, pin_cores: false }
}

pub(super) fn fixture(settings: Settings, count: usize) -> crate::Result<Fixture> {
    let work = |requests: Vec<u64>| {
        assert!(!requests.contains(&u64::MAX), "as the test wants it");
        requests.into_iter().map(|request| request + 1).collect()
    };
    let helper = Arc::new(Helper::start(Box::new(work))?);
    let environment: Arc<dyn Environment> = Arc::new(OsEnvironment);
    let (events_in, events) = channel();
    let mut handles = Vec::new();
    let mut machines = Vec::new();
    for _ in 0..count {
        let (inbox, doorbell) = (Arc::default(), Doorbell::make()?);
        handles.push(Handle { inbox: Arc::clone(&inbox), doorbell: Arc::clone(&doorbell) });
        let events = events_in.clone();
        let echo = Echo { inbox, events, stores: Vec::new(), due: None, closing: false, waiting: 0 };
        machines.push(Thread::new(echo, doorbell));
    }
    let running = start(settings, machines, &helper, &environment).inspect_err(|_| helper.end())?;
    Ok(Fixture { running, handles, events, helper })
}

fn both(run: impl Fn(Fixture)) {
    for choice in [Choice::Posix, Choice::Uring] {
        run(fixture(settings(choice), 2).expect("both runtimes work here"));
    }
}

#[test]
fn machines_are_served() {
    both(|fixture| {
        assert!(matches!(fixture.running.name(), "posix" | "uring"));
        assert_eq!(fixture.running.reason(), "asked for");
        let pool = pool();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = disk_in(directory.path()).open("file", OpenMode::CreateNew).expect("a new file");
        let blocks: Vec<_> = (0..10).map(|seed| block(&pool, 8192, seed)).collect();
        for (number, block) in blocks.iter().enumerate() {
            let message = Message::Store(Arc::clone(&file), Shared::clone(block), number as u64 * 4096);
            fixture.handles[0].send(message);
        }
        for _ in 0..10 {
            assert!(matches!(fixture.next(), Event::Stored(_)));
        }
        for block in &blocks {
            assert!(bytes(block, 0, 4096) == bytes(block, 4096, 4096));
        }
        fixture.handles[1].send(Message::Meta(41));
        assert!(matches!(fixture.next(), Event::Meta(42)));
        assert_eq!(fixture.helper.call(1).expect("answered"), 2);
        let begin = Instant::now();
        fixture.handles[1].send(Message::After(20_000_000));
        assert!(matches!(fixture.next(), Event::Late));
        assert!(begin.elapsed() >= Duration::from_millis(20) && begin.elapsed() < SOON);
        fixture.close();
    });
}

/// Messages from many threads, at every moment of a machine's falling asleep. A lost wake-up leaves the last one lying
/// there for ever.
#[test]
fn no_wake_up_is_lost() {
    both(|fixture| {
        let answered = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for sender in 0..2 {
                let handle = fixture.handles[sender % 2].clone();
                let answered = &answered;
                scope.spawn(move || {
                    for number in 0..3000 {
                        handle.send(Message::Echo(number));
                        // One at a time, with a pause that moves through the machine's way to bed.
                        let begin = Instant::now();
                        while answered.load(Ordering::Acquire) < number && begin.elapsed() < SOON {
                            std::hint::spin_loop();
                        }
                        for _ in 0..(number % 97) * 10 {
                            std::hint::spin_loop();
                        }
                    }
                });
            }
            for _ in 0..6000 {
                assert!(matches!(fixture.next(), Event::Echo(_)));
                answered.fetch_add(1, Ordering::Release);
            }
        });
        fixture.close();
    });
}

#[test]
fn threads_are_named_and_take_no_signals() {
    for choice in [Choice::Posix, Choice::Uring] {
        // Pinned, to run that code as well.
        let fixture = fixture(Settings { pin_cores: true, ..settings(choice) }, 2).expect("both runtimes work here");
        let pool = pool();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = disk_in(directory.path()).open("file", OpenMode::CreateNew).expect("a new file");
        fixture.handles[0].send(Message::Store(file, block(&pool, 8192, 1), 0));
        assert!(matches!(fixture.next(), Event::Stored(0)));
        let mut names = Vec::new();
        for task in std::fs::read_dir("/proc/self/task").expect("this process's threads") {
            let task = task.expect("a thread").path();
            let Ok(name) = std::fs::read_to_string(task.join("comm")) else { continue };
            let ours = ["thalweg-shard", "thalweg-meta", "thalweg-write", "thalweg-read"];
            if ours.iter().any(|prefix| name.starts_with(prefix)) {
                let status = std::fs::read_to_string(task.join("status")).unwrap_or_default();
                let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
                let Some(blocked) = blocked.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()) else {
                    continue;
                };
                for signal in
                    [libc::SIGINT, libc::SIGTERM, libc::SIGCHLD, libc::SIGPROF, libc::SIGXFSZ, libc::SIGRTMAX()]
                {
                    assert!(blocked & (1 << (signal - 1)) != 0, "{name} takes signal {signal}: {blocked:x}");
                }
                names.push(name.trim().to_owned());
            }
        }
        for wanted in ["thalweg-shard-0", "thalweg-shard-1", "thalweg-meta"] {
            assert!(names.iter().any(|name| name == wanted), "{names:?}");
        }
        fixture.close();
    }
}

#[test]
fn a_panic_fails_its_own_machine_only() {
    both(|fixture| {
        fixture.handles[0].send(Message::Panic);
        match fixture.next() {
            Event::Failed(error) => assert_eq!(error.kind(), ErrorKind::Panic),
            other => panic!("{other:?}"),
        }
        fixture.handles[1].send(Message::Echo(5));
        assert!(matches!(fixture.next(), Event::Echo(5)));
        fixture.close();
    });
}

#[test]
fn a_panic_of_the_helper_fails_who_asks() {
    both(|fixture| {
        fixture.handles[0].send(Message::Meta(u64::MAX));
        match fixture.next() {
            Event::Failed(error) => assert_eq!(error.kind(), ErrorKind::Panic),
            other => panic!("{other:?}"),
        }
        assert_eq!(fixture.helper.call(1).expect_err("it has ended").kind(), ErrorKind::Panic);
        fixture.handles[1].send(Message::Echo(5));
        assert!(matches!(fixture.next(), Event::Echo(5)));
        fixture.close();
    });
}

#[test]
fn the_helper_takes_what_came_meanwhile_as_one_batch() {
    let batches = Arc::new(Mutex::new(Vec::new()));
    let (gate_in, gate) = channel::<()>();
    let work = {
        let batches = Arc::clone(&batches);
        move |requests: Vec<u64>| {
            batches.lock().expect("nobody panics with it").push(requests.len());
            gate.recv().expect("the test opens the gate");
            requests
        }
    };
    let helper = Helper::start(Box::new(work)).expect("a thread");
    let done = Arc::new(AtomicBool::new(false));
    helper.ask(0, |_| {});
    while batches.lock().expect("nobody panics with it").is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    for request in 1..=5 {
        let done = Arc::clone(&done);
        helper.ask(request, move |response| {
            assert_eq!(response.expect("answered"), request);
            done.store(request == 5, Ordering::Release);
        });
    }
    gate_in.send(()).and_then(|()| gate_in.send(())).expect("the helper lives");
    helper.end();
    assert!(done.load(Ordering::Acquire), "what was handed over is finished");
    assert_eq!(*batches.lock().expect("nobody panics with it"), [1, 5]);
    assert_eq!(helper.call(9).expect_err("it has ended").kind(), ErrorKind::Closed);
}
