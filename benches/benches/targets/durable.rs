//! Callers that wait until their record is durable.

use std::collections::VecDeque;
use std::time::Instant;

use thalweg::{Durability, Record, Target as To, Ticket, Topic};
use thalweg_bench::{BareFiles, Bench, Buffers, Busy, Pair, Prepared, Row, Target, scratch};

use crate::store::Store;

/// Durable appends of one round, for each kind of caller.
const ROUND: usize = 6144;
const VALUE: [u8; 100] = [0x5a; 100];

/// How callers wait.
#[derive(Clone, Copy)]
enum Callers {
    /// So many threads, each with one append at a time.
    Threads(usize),
    /// One thread with so many appends in flight.
    InFlight(usize),
}

impl Callers {
    fn appends(self) -> usize {
        match self {
            Callers::Threads(1) => ROUND / 16,
            Callers::Threads(threads) => ROUND / threads * threads,
            Callers::InFlight(_) => 4 * ROUND,
        }
    }

    /// Appends; the ns that each took, sorted, and those that one took of the whole.
    fn run(self, topic: &Topic) -> (Vec<u64>, f64) {
        let begun = Instant::now();
        let mut times = match self {
            Callers::Threads(threads) => waiting(topic, threads, self.appends() / threads),
            Callers::InFlight(flight) => in_flight(topic, flight, self.appends()),
        };
        let each = begun.elapsed().as_nanos() as f64 / times.len() as f64;
        times.sort_unstable();
        (times, each)
    }
}

fn waiting(topic: &Topic, threads: usize, each: usize) -> Vec<u64> {
    let caller = || {
        let one = |_| {
            let start = Instant::now();
            topic.append_batch(To::Partition(0), &[Record::new(&VALUE)]).expect("an append");
            start.elapsed().as_nanos() as u64
        };
        (0..each).map(one).collect::<Vec<u64>>()
    };
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..threads).map(|_| scope.spawn(caller)).collect();
        callers.into_iter().flat_map(|caller| caller.join().expect("no caller panics")).collect()
    })
}

fn in_flight(topic: &Topic, flight: usize, count: usize) -> Vec<u64> {
    let mut tickets: VecDeque<(Instant, Ticket)> = VecDeque::with_capacity(flight);
    let mut times = Vec::with_capacity(count);
    let finish = |(start, ticket): (Instant, Ticket)| {
        ticket.wait(None).expect("an append");
        start.elapsed().as_nanos() as u64
    };
    for _ in 0..count {
        if tickets.len() == flight {
            times.extend(tickets.pop_front().map(finish));
        }
        let ticket = topic.submit(To::Partition(0), &[Record::new(&VALUE)], Default::default());
        tickets.push_back((Instant::now(), ticket.expect("an append")));
    }
    times.extend(tickets.into_iter().map(finish));
    times
}

/// One durable 4 KiB write at a time.
struct Bare {
    file: BareFiles,
    buffers: Buffers,
    _dir: tempfile::TempDir,
}

impl Bare {
    fn new() -> Bare {
        let dir = scratch();
        let file = BareFiles::new(dir.path(), 1, 64 << 20, Prepared::Written).expect("a bare file");
        Bare { file, buffers: Buffers::new(4096, 1, false).expect("buffers"), _dir: dir }
    }

    /// The mean ns of a write.
    fn run(&mut self) -> f64 {
        let times = self.file.write(&mut self.buffers, 400).expect("bare writes");
        times.iter().sum::<u64>() as f64 / times.len() as f64
    }
}

const ALL: [(&str, Callers, Target); 4] = [
    ("durable 100 B, 1 waiting caller", Callers::Threads(1), Target::AtMost(1.3)),
    ("durable 100 B, 16 waiting callers", Callers::Threads(16), Target::AtLeast(6.0)),
    ("durable 100 B, 64 waiting callers", Callers::Threads(64), Target::AtLeast(14.0)),
    ("durable 100 B, 1,024 in flight", Callers::InFlight(1024), Target::AtLeast(40.0)),
];

/// Latency and rate against one durable 4 KiB write at a time.
pub(crate) fn waiting_callers(bench: &mut Bench) {
    let mut bare = Bare::new();
    let against = || "one durable 4 KiB write at a time".to_owned();
    for (name, callers, target) in ALL {
        let wanted = bench.wants(&[name]);
        let p99 = format!("{name}, p99");
        if let Callers::Threads(64) = callers {
            bench.knows(&p99);
        }
        if !wanted {
            continue;
        }
        let store = Store::new();
        let topic = store.topic("durable", 1, Durability::Durable);
        callers.run(&topic);
        let mut tails = Vec::new();
        let pair = Pair { name, baseline: against(), unit: "ns/append", target, payload: VALUE.len() };
        let mut last = 0.0;
        let base = std::cell::Cell::new(0.0);
        let ours = || {
            let (times, each) = callers.run(&topic);
            tails.push((times[times.len() * 99 / 100] as f64, base.get()));
            each
        };
        let baseline = || {
            last = bare.run();
            base.set(last);
            last
        };
        bench.pair(pair, baseline, ours, || store.stored(&topic));
        if let Callers::Threads(64) = callers {
            let (file, device) = store.stored(&topic);
            let (target, payload) = (Target::AtMost(8.0), VALUE.len() as f64);
            bench.add(Row {
                name: p99,
                baseline: against(),
                unit: "ns",
                target,
                samples: tails,
                payload,
                file,
                device,
            });
        }
    }
}

/// The same with both cores kept busy by other threads: medians beside those of an idle machine.
pub(crate) fn busy(bench: &mut Bench) {
    let names = ALL.map(|(name, ..)| format!("{name}, busy cores"));
    let mut bare = Bare::new();
    if bench.wants(&["bare write, busy cores"]) {
        let cell = std::cell::RefCell::new(&mut bare);
        let (name, baseline) = ("bare write, busy cores", "the same, idle cores".to_owned());
        let pair = Pair { name, baseline, unit: "ns", target: Target::None, payload: 4096 };
        let loaded = || {
            let _busy = Busy::all_cores();
            cell.borrow_mut().run()
        };
        bench.pair(pair, || cell.borrow_mut().run(), loaded, || (4096.0, 4096.0));
    }
    for ((_, callers, _), name) in ALL.into_iter().zip(&names) {
        if !bench.wants(&[name]) {
            continue;
        }
        let store = Store::new();
        let topic = store.topic("durable", 1, Durability::Durable);
        let median = || {
            let times = callers.run(&topic).0;
            times[times.len() / 2] as f64
        };
        median();
        let baseline = "the same, idle cores".to_owned();
        let pair = Pair { name, baseline, unit: "ns", target: Target::AtMost(2.0), payload: VALUE.len() };
        let loaded = || {
            let _busy = Busy::all_cores();
            median()
        };
        bench.pair(pair, median, loaded, || store.stored(&topic));
    }
}

/// 256 partitions against one durable write to each of 256 files.
pub(crate) fn spread(bench: &mut Bench) {
    let name = "durable 100 B over 256 partitions";
    if !bench.wants(&[name]) {
        return;
    }
    let dir = scratch();
    let bare = BareFiles::new(dir.path(), 256, 256 << 10, Prepared::Written).expect("bare files");
    let mut buffers = Buffers::new(4096, 64, false).expect("buffers");
    let store = Store::new();
    let topic = store.topic("spread", 256, Durability::Durable);
    let count = 65_536;
    let ours = || {
        let start = Instant::now();
        let mut tickets = VecDeque::new();
        for number in 0..count {
            if tickets.len() == 4096 {
                let first: Ticket = tickets.pop_front().expect("as many as the flight");
                first.wait(None).expect("an append");
            }
            let target = To::Partition(number % 256);
            tickets.push_back(topic.submit(target, &[Record::new(&VALUE)], Default::default()).expect("an append"));
        }
        for ticket in &tickets {
            ticket.wait(None).expect("an append");
        }
        start.elapsed().as_nanos() as f64 / f64::from(count)
    };
    ours();
    let baseline = "one durable 4 KiB write to each of 256 files, depth 64".to_owned();
    let pair = Pair { name, baseline, unit: "ns/append", target: Target::AtLeast(8.0), payload: VALUE.len() };
    let base = || {
        let start = Instant::now();
        bare.write(&mut buffers, 2048).expect("bare writes");
        start.elapsed().as_nanos() as f64 / 2048.0
    };
    bench.pair(pair, base, ours, || store.stored(&topic));
}
