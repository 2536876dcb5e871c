//! Whom the engine is compared with. A file for each; all do the same: append values to one log, and read it.

mod bare;
mod fio;
#[cfg(feature = "fjall")]
mod fjall;
#[cfg(feature = "lmdb")]
mod lmdb;
mod nats;
#[cfg(feature = "okaywal")]
mod okaywal;
mod pipeline;
#[cfg(feature = "raft-engine")]
mod raft_engine;
#[cfg(feature = "redb")]
mod redb;
mod redis;
mod resp;
#[cfg(feature = "rocksdb")]
mod rocksdb;
mod server;
#[cfg(feature = "sqlite")]
mod sqlite;
mod thalweg;
mod waiting;
#[cfg(feature = "walrus")]
mod walrus;
mod work;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::measured::Outcome;
use crate::payload::Payload;
use crate::plan::Plan;
use crate::producer::Boxed;

pub(crate) use work::run;

/// A store, or what bounds one, opened in the plan's directory.
pub(crate) trait Peer {
    /// A thread's way to append.
    fn producer<'a>(&'a self, payload: &'a Payload) -> Result<Boxed<'a>>;

    /// Reads everything from the beginning on, and says how many records that were.
    fn read(&self, each: &mut dyn FnMut(&[u8])) -> Result<u64>;

    /// Records that are there.
    fn records(&self) -> Result<u64>;

    /// The processes that do the work.
    fn processes(&self) -> Vec<u32> {
        vec![std::process::id()]
    }

    /// Writes and flushes that were made durable, if it counts them.
    fn durable_writes(&self) -> Option<u64> {
        None
    }
}

/// Somebody who can be asked for.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    /// How an acknowledgement is made durable, in its own words.
    durability: &'static str,
    /// Whether that is what the engine promises.
    same: bool,
    /// Whether what was appended can be read.
    reads: bool,
    /// What lies between it and the caller.
    hop: Option<&'static str>,
    /// Fails where it is not on this machine.
    version: fn() -> Result<String>,
    way: Way,
}

/// How somebody is made to work.
enum Way {
    /// Makes a log, or opens it again.
    Open(fn(&Plan) -> Result<Box<dyn Peer>>),
    /// Carries out the plan by itself.
    Run(fn(&Plan) -> Result<Outcome>),
}

/// Somebody who took part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Profile {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) durability: String,
    pub(crate) same_durability: bool,
    pub(crate) reads: bool,
    pub(crate) hop: Option<String>,
}

/// All that this build has. Ours is the first.
const ENTRIES: &[Entry] = &[
    thalweg::ENTRY,
    bare::ENTRY,
    fio::ENTRY,
    #[cfg(feature = "lmdb")]
    lmdb::ENTRY,
    #[cfg(feature = "sqlite")]
    sqlite::ENTRY,
    #[cfg(feature = "redb")]
    redb::ENTRY,
    #[cfg(feature = "fjall")]
    fjall::ENTRY,
    #[cfg(feature = "rocksdb")]
    rocksdb::ENTRY,
    #[cfg(feature = "raft-engine")]
    raft_engine::ENTRY,
    #[cfg(feature = "okaywal")]
    okaywal::ENTRY,
    #[cfg(feature = "walrus")]
    walrus::ENTRY,
    redis::ALWAYS,
    redis::EVERYSEC,
    nats::ENTRY,
];

/// Who can be had by a feature of cargo, and is not in this build.
const FEATURES: &[(&str, bool)] = &[
    ("lmdb", cfg!(feature = "lmdb")),
    ("sqlite", cfg!(feature = "sqlite")),
    ("redb", cfg!(feature = "redb")),
    ("fjall", cfg!(feature = "fjall")),
    ("rocksdb", cfg!(feature = "rocksdb")),
    ("raft-engine", cfg!(feature = "raft-engine")),
    ("okaywal", cfg!(feature = "okaywal")),
    ("walrus", cfg!(feature = "walrus")),
];

impl Entry {
    fn profile(&self) -> Result<Profile> {
        Ok(Profile {
            name: self.name.to_owned(),
            version: (self.version)()?,
            durability: self.durability.to_owned(),
            same_durability: self.same,
            reads: self.reads,
            hop: self.hop.map(str::to_owned),
        })
    }
}

fn entry(name: &str) -> Result<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.name == name).ok_or_else(|| {
        let missing = FEATURES.iter().any(|(feature, built)| *feature == name && !built);
        let names: Vec<&str> = ENTRIES.iter().map(|entry| entry.name).collect();
        match missing {
            true => format!("{name} is not in this build: build with --features {name}"),
            false => format!("there is no peer {name}; there are {}", names.join(", ")),
        }
        .into()
    })
}

/// Those of these names, ours before them; all that can be had if there is no name.
pub(crate) fn find(names: &[String]) -> Result<Vec<Profile>> {
    if names.is_empty() {
        return Ok(ENTRIES.iter().filter_map(|entry| entry.profile().ok()).collect());
    }
    let ours = ENTRIES[0].profile();
    let others = names.iter().filter(|name| *name != ENTRIES[0].name).map(|name| entry(name)?.profile());
    std::iter::once(ours).chain(others).collect()
}

/// A line for each, with why some cannot be had.
pub(crate) fn list() -> Vec<String> {
    let known = ENTRIES.iter().map(|entry| match entry.profile() {
        Ok(Profile { name, version, durability, hop, .. }) => {
            let hop = hop.map(|hop| format!(", {hop}")).unwrap_or_default();
            format!("{name} ({version}{hop}): {durability}")
        }
        Err(error) => format!("{}: cannot be had: {error}", entry.name),
    });
    let missing = FEATURES.iter().filter(|(_, built)| !built);
    known.chain(missing.map(|(name, _)| format!("{name}: cannot be had: build with --features {name}"))).collect()
}

/// The version of a crate, as Cargo.lock has it.
fn locked(name: &str) -> Result<String> {
    let text = include_str!("../../../Cargo.lock");
    let start = text.find(&format!("name = \"{name}\"")).ok_or_else(|| format!("{name} is not in Cargo.lock"))?;
    let version = text[start..].split('"').nth(3).ok_or("Cargo.lock has versions")?;
    Ok(version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_asked_for_is_found_or_why_not_is_told() {
        let found = find(&["bare".to_owned()]).expect("both are in every build");
        assert_eq!(found.iter().map(|profile| profile.name.as_str()).collect::<Vec<_>>(), ["thalweg", "bare"]);
        let error = find(&["nobody".to_owned()]).expect_err("nobody has that name");
        assert!(error.to_string().starts_with("there is no peer nobody; there are thalweg, bare"), "{error}");
        assert!(list().len() >= ENTRIES.len());
    }

    #[test]
    fn versions_are_those_of_the_lock_file() {
        assert_eq!(locked("thalweg").expect("it is in it"), env!("CARGO_PKG_VERSION"));
        assert!(locked("no such crate").is_err());
    }
}
