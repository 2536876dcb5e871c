//! One simulated world: everything that happens in it follows from its seed.
//!
//! Producers, readers, shards, the metadata thread and the device take turns as chance decides; now and then the
//! machine goes down. After every start the oracle compares what the engine has with what it promised.

use std::sync::Arc;

use super::bugs::{self, Bug};
use super::disk::Device;
use super::env::SimEnvironment;
use super::faults::{Damage, Faults};
use super::harness::Incarnation;
use super::oracle::{Excuses, Oracle, Place, Promise, Tally, Violation};
use super::rng::{Rng, scramble};
use super::setting::Setting;
use super::steps::Actors;
use crate::ids::TopicId;
use crate::recovery::table::Rows;

/// How a world came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was closed properly, and everything was there.
    Closed,
    /// The store was damaged beyond use, and said so.
    Lost,
    /// The engine broke a promise.
    Violated(Violation),
}

/// What happened in a world.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) end: End,
    pub(crate) counts: Counts,
    pub(crate) tally: Tally,
    /// How often the code asked for the planted bug.
    pub(crate) bug_hits: u64,
    pub(crate) trace: u64,
    pub(crate) log: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Crashes while records were acknowledged and others under way.
    pub(crate) crashes: u64,
    /// The other crashes.
    pub(crate) idle_crashes: u64,
    /// Of all crashes, those during an open.
    pub(crate) interrupted_opens: u64,
    pub(crate) opens: u64,
    pub(crate) refused_opens: u64,
    pub(crate) closes: u64,
    pub(crate) errors_injected: u64,
    pub(crate) files_damaged: u64,
    /// Hits of each row of the recovery table.
    pub(crate) rows: Rows,
}

impl Counts {
    /// Adds those of another world.
    pub(crate) fn add(&mut self, other: &Counts) {
        self.crashes += other.crashes;
        self.idle_crashes += other.idle_crashes;
        self.interrupted_opens += other.interrupted_opens;
        self.opens += other.opens;
        self.refused_opens += other.refused_opens;
        self.closes += other.closes;
        self.errors_injected += other.errors_injected;
        self.files_damaged += other.files_damaged;
        self.rows.add(&other.rows);
    }
}

/// A topic as the world knows it.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    /// Never used again, unlike its name.
    pub(crate) number: u32,
    /// The engine's number, once it has answered.
    pub(crate) id: Option<TopicId>,
    pub(crate) name: String,
    pub(crate) partitions: u32,
    pub(crate) promise: Promise,
    pub(crate) state: TopicState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TopicState {
    /// Asked for; it may or may not exist.
    Creating,
    Present,
    /// Its deletion was asked for; it may or may not exist.
    Deleting,
}

pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) setting: Setting,
    pub(crate) device: Device,
    pub(crate) environment: Arc<SimEnvironment>,
    pub(crate) oracle: Oracle,
    pub(crate) engine: Option<Incarnation>,
    pub(crate) actors: Actors,
    pub(crate) topics: Vec<Topic>,
    pub(crate) next_topic: u32,
    pub(crate) counts: Counts,
    /// What the device had done when this life began.
    pub(crate) before: Damage,
    /// Places of the manifest that rotted since it was last written anew.
    pub(crate) manifest_rotten: u64,
}

/// Runs the world of a seed.
/// `for_bug` makes the circumstances likely in which a bug shows, whether it is planted or not.
pub(crate) fn run(seed: u64, bug: Option<Bug>, for_bug: Option<Bug>, log: bool) -> Outcome {
    let _planted = bugs::plant(bug);
    let mut world = World::new(seed);
    if for_bug == Some(Bug::TrustRetriedSync) {
        world.setting.faults.sync_error = 200_000;
        world.setting.kill_one_in = 2;
    }
    if for_bug == Some(Bug::BothRootsAtOnce) {
        // Power that fails during a commit, most of which an open makes.
        world.setting.faults = Faults::default();
        (world.setting.kill_one_in, world.setting.interrupted_one_in) = (10, 1);
    }
    if for_bug == Some(Bug::KeepSuccessorBeyondGap) {
        // Segments that end often, and a device that only loses power: of two of them the later one alone may be there.
        world.setting.faults = Faults::default();
        (world.setting.first_segment, world.setting.largest_segment) = (64 << 10, 64 << 10);
        (world.setting.sizes.large_one_in, world.setting.sizes.large) = (2, 40_000);
        world.setting.kill_one_in = 10;
    }
    if matches!(for_bug, Some(Bug::FirstCopyOnly | Bug::LeaveDamagedCopy)) {
        world.setting.faults = Faults { rot: 1_000_000, ..Faults::default() };
    }
    match for_bug {
        None => {}
        Some(Bug::KeepGeneration) => world.setting.truncate_one_in = 20,
        // They show more seldom where logs are cut short.
        Some(_) => world.setting.truncate_one_in = 0,
    }
    if log {
        world.device.keep_log();
    }
    let end = match world.run() {
        Ok(end) => end,
        Err(violation) => End::Violated(violation),
    };
    let damage = world.device.damage();
    world.counts.errors_injected = damage.errors;
    world.counts.files_damaged = damage.files.len() as u64;
    Outcome {
        end,
        counts: world.counts,
        tally: world.oracle.tally,
        bug_hits: bugs::hits(),
        trace: world.device.trace(),
        log: world.device.take_log(),
    }
}

impl World {
    fn new(seed: u64) -> World {
        let mut rng = Rng::new(seed);
        let setting = Setting::draw(&mut rng);
        World {
            rng,
            setting,
            device: Device::new(scramble(seed)),
            environment: Arc::new(SimEnvironment::new(seed)),
            oracle: Oracle::default(),
            engine: None,
            actors: Actors::default(),
            topics: Vec::new(),
            next_topic: 1,
            counts: Counts::default(),
            before: Damage::default(),
            manifest_rotten: 0,
        }
    }

    fn run(&mut self) -> Result<End, Violation> {
        for _ in 0..self.setting.lives {
            if !self.boot(false)? {
                return Ok(End::Lost);
            }
            self.live()?;
        }
        self.finish()
    }

    /// The last life: without faults everything that is not damaged must work.
    fn finish(&mut self) -> Result<End, Violation> {
        self.setting.faults = Faults::default();
        if !self.boot(true)? {
            return Ok(End::Lost);
        }
        self.check_progress()?;
        self.close()?;
        if !self.boot(true)? {
            return Ok(End::Lost);
        }
        Ok(End::Closed)
    }

    /// Whether the device did something to what concerns a partition, and what.
    pub(crate) fn excuses(&self, place: Place) -> Excuses {
        let damage = self.device.damage();
        let topic = self.topics.iter().find(|t| t.number == place.topic).and_then(|t| t.id);
        let own = topic.map(|id| format!("segments/{:08x}/{:05x}-", id.0, place.partition));
        // What stands in the journal and the manifest may concern anybody.
        let concerns = |path: &String| {
            !path.starts_with("segments/") && !path.starts_with("pool/")
                || own.as_ref().is_some_and(|own| path.starts_with(own))
        };
        Excuses {
            rotten_once: damage.rotten == 1
                && damage.misdirected_writes + damage.misdirected_reads + damage.lies + damage.errors == 0,
            dropped: damage.dropped.iter().any(concerns),
            // What a recovery misread, it may have recorded; a later open goes by that.
            damaged: damage.files.iter().any(concerns) || damage.misdirected_reads > 0,
            lied: damage.lies > 0,
            errors: damage.errors > self.before.errors || self.setting.faults.capacity.is_some(),
        }
    }
}
