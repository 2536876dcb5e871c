//! The simulation as tests. Environment variables choose more, or one:
//!
//! - `THALWEG_SIM_SEED=n` with the test `replay`: one world, every call of it printed.
//! - `THALWEG_SIM_BUG=name` with it, or with `planted_bugs_are_found`: this bug is planted.
//! - `THALWEG_SIM_CRASHES=n`: crashes that `every_promise_holds_through_crashes` runs through, 100,000 by default.
//! - `THALWEG_SOAK_SECONDS=n`: the test `soak` runs for so long, from seeds of its own.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, Once};
use std::time::{Duration, Instant};

use super::bugs::Bug;
use super::oracle::{Tally, Violation};
use super::world::{Counts, End, Outcome, run};
use crate::recovery::table::Row;
use crate::recovery::tests::forged;

/// Seeds of the large run begin here; those of regressions and planted bugs lie elsewhere.
const FIRST_SEED: u64 = 1;
/// Crashes of a test run.
const CRASHES: u64 = 100_000;
/// Fewer crashes than these need not reach every row of the recovery table.
const ROWS_CRASHES: u64 = CRASHES;
/// Worlds within which a planted bug must be found.
const BUG_SEEDS: u64 = 12_000;
/// Violations after which a run ends.
const VIOLATIONS_MAX: usize = 10;
std::thread_local! {
    /// Panics of this thread are results, not noise.
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps panics of simulated worlds for the report; all others go where they went before.
fn listen_to_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        keep_memory();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if QUIET.get() {
                PANIC.with_borrow_mut(|text| *text = info.to_string());
            } else {
                before(info);
            }
        }));
    });
}

/// Has the allocator keep what is freed: worlds take and give back the same megabytes thousands of times.
fn keep_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets three numbers of the allocator.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 1 << 30);
        libc::mallopt(libc::M_TOP_PAD, 16 << 20);
    }
}

/// Runs a world; a panic in it is a violation.
fn world(seed: u64, bug: Option<Bug>, for_bug: Option<Bug>) -> Outcome {
    listen_to_panics();
    QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(|| run(seed, bug, for_bug, false)));
    QUIET.set(false);
    result.unwrap_or_else(|_| Outcome {
        end: End::Violated(Violation(PANIC.with_borrow(String::clone))),
        counts: Counts::default(),
        tally: Tally::default(),
        bug_hits: super::bugs::hits(),
        trace: 0,
        log: Vec::new(),
    })
}

/// What many worlds came to.
#[derive(Default)]
struct Summary {
    worlds: u64,
    lost: u64,
    counts: Counts,
    tally: Tally,
    violations: BTreeMap<u64, String>,
}

impl Summary {
    fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.worlds += 1;
        self.counts.add(&outcome.counts);
        self.tally.add(&outcome.tally);
        match &outcome.end {
            End::Closed => {}
            End::Lost => self.lost += 1,
            End::Violated(violation) => {
                self.violations.insert(seed, violation.to_string());
            }
        }
    }

    fn print(&self, elapsed: Duration) {
        let Summary { worlds, lost, counts, tally, .. } = self;
        println!("{worlds} worlds in {elapsed:.1?}; {lost} ended with a store that was damaged beyond use and said so");
        println!(
            "{} crashes with records acknowledged and others under way, {} others, {} of all during an open",
            counts.crashes, counts.idle_crashes, counts.interrupted_opens
        );
        println!("{} opens, {} refused for an error, {} closes", counts.opens, counts.refused_opens, counts.closes);
        println!("{} errors injected, {} files damaged", counts.errors_injected, counts.files_damaged);
        println!("{tally:?}");
        println!("hits of the recovery table: by crashes, and by what no crash leads to");
        let forged = forged::rows();
        for (row, hits) in counts.rows.iter() {
            println!("  {:<32}{hits:>10}{:>6}", row.name(), forged.of(row));
        }
    }

    fn check(&self) {
        for (seed, violation) in &self.violations {
            println!("seed {seed}: {violation}");
            println!(
                "  again: THALWEG_SIM_SEED={seed} cargo test --profile test-opt -p thalweg --lib sim::tests::replay -- \
                 --nocapture"
            );
        }
        assert!(self.violations.is_empty(), "{} worlds broke a promise; see above", self.violations.len());
    }
}

/// Runs worlds from `first` on, on all cores, until `enough` or too many violations.
fn run_worlds(first: u64, enough: impl Fn(&Summary) -> bool + Sync) -> Summary {
    let next = AtomicU64::new(first);
    let over = AtomicBool::new(false);
    let summary = Mutex::new(Summary::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let outcome = world(seed, None, None);
                    let mut summary = summary.lock().expect("adding does not panic");
                    summary.add(seed, &outcome);
                    if summary.violations.len() >= VIOLATIONS_MAX || enough(&summary) {
                        over.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    summary.into_inner().expect("adding does not panic")
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

#[test]
fn every_promise_holds_through_crashes() {
    if number("THALWEG_SOAK_SECONDS").is_some() {
        return;
    }
    let crashes = number("THALWEG_SIM_CRASHES").unwrap_or(CRASHES);
    let start = Instant::now();
    let summary = run_worlds(FIRST_SEED, |summary| summary.counts.crashes >= crashes);
    summary.print(start.elapsed());
    summary.check();
    if crashes >= ROWS_CRASHES {
        let forged = forged::rows();
        let missed = summary.counts.rows.iter().filter(|(row, hits)| match Row::BY_HAND.contains(row) {
            true => forged.of(*row) == 0,
            false => *hits == 0,
        });
        let missed: Vec<&str> = missed.map(|(row, _)| row.name()).collect();
        assert!(missed.is_empty(), "rows of the recovery table that nothing reached: {missed:?}");
    }
}

#[test]
fn soak() {
    let Some(seconds) = number("THALWEG_SOAK_SECONDS") else { return };
    let start = Instant::now();
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("the clock is set");
    let first = clock.as_secs() << 20;
    println!("seeds from {first}");
    let summary = run_worlds(first, |_| start.elapsed() >= Duration::from_secs(seconds));
    summary.print(start.elapsed());
    summary.check();
}

fn chosen_bug() -> Option<Bug> {
    let name = std::env::var("THALWEG_SIM_BUG").ok()?;
    Some(*Bug::ALL.iter().find(|bug| format!("{bug:?}") == name).expect("THALWEG_SIM_BUG names a planted bug"))
}

#[test]
fn replay() {
    let Some(seed) = number("THALWEG_SIM_SEED") else { return };
    let bug = chosen_bug();
    listen_to_panics();
    let outcome = run(seed, bug, bug, true);
    outcome.log.iter().for_each(|line| println!("{line}"));
    println!("{:?}\n{:?}", outcome.end, outcome.tally);
    assert!(!matches!(outcome.end, End::Violated(_)), "the world of seed {seed} broke a promise");
}

#[test]
fn worlds_that_once_failed_hold() {
    let mut summary = Summary::default();
    for line in include_str!("regressions.txt").lines().filter(|line| !line.starts_with('#')) {
        if let Some(seed) = line.split_whitespace().next() {
            let seed = seed.parse().expect("a line begins with a seed");
            summary.add(seed, &world(seed, None, None));
        }
    }
    summary.check();
}

#[test]
fn equal_seeds_have_equal_traces() {
    for seed in 0..60 {
        let (a, b) = (world(seed, None, None), world(seed, None, None));
        assert_eq!((a.trace, &a.end), (b.trace, &b.end), "seed {seed} does not repeat itself");
    }
    assert_ne!(world(1, None, None).trace, world(2, None, None).trace);
}

#[test]
fn planted_bugs_are_found() {
    if number("THALWEG_SOAK_SECONDS").is_some() {
        return;
    }
    let bugs = chosen_bug().map_or_else(|| Bug::ALL.to_vec(), |bug| vec![bug]);
    let next = AtomicU64::new(0);
    let found = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    let start = Instant::now();
                    let result = hunt(*bug);
                    println!("{bug:?}: {:.1?}", start.elapsed());
                    found.lock().expect("inserting does not panic").insert(*bug, result);
                }
            });
        }
    });
    let found = found.into_inner().expect("inserting does not panic");
    for (bug, (seeds, asked, violation)) in &found {
        let violation = violation.as_deref().map_or_else(|| "NOT FOUND".into(), |v| format!("{v:.120}"));
        println!("{:<24}{seeds:>6} worlds {asked:>8} times asked  {violation}", format!("{bug:?}"));
    }
    let missed: Vec<Bug> = found.iter().filter(|(_, result)| result.2.is_none()).map(|(bug, _)| *bug).collect();
    assert!(missed.is_empty(), "planted bugs that no world found within {BUG_SEEDS}: {missed:?}");
}

/// Worlds until a planted bug is found, how often the code asked for it, and how it showed.
fn hunt(bug: Bug) -> (u64, u64, Option<String>) {
    let mut asked = 0;
    for seed in 0..BUG_SEEDS {
        let outcome = world(seed, Some(bug), Some(bug));
        asked += outcome.bug_hits;
        if let End::Violated(violation) = outcome.end {
            if matches!(world(seed, None, Some(bug)).end, End::Violated(_)) {
                continue; // It breaks without the bug too.
            }
            return (seed + 1, asked, Some(violation.to_string()));
        }
    }
    (BUG_SEEDS, asked, None)
}
