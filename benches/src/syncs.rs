//! How often each makes something durable for one acknowledgement, seen from outside: by strace.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::process::{Command, Stdio};

use crate::args::Compare;
use crate::child;
use crate::error::Result;
use crate::peers::Profile;
use crate::plan::{Case, Durability, Length, Plan, Runtime, Workload};
use crate::scratch::scratch_in;
use crate::table::{Table, number};

/// What is watched.
const CALLS: &str = "open,openat,creat,close,dup,dup2,dup3,fsync,fdatasync,sync_file_range,msync,sync,syncfs,\
                     write,writev,pwrite64,pwritev,pwritev2";

/// Appends of the two runs. By the difference, opening and closing do not count.
const FEW: u64 = 50;
const MANY: u64 = 250;

/// Prints the syncs of each for an acknowledgement, with one caller that waits for each append.
pub(crate) fn count(args: &Compare, peers: &[Profile]) -> Result<()> {
    let mut table = Table::new(&["who", "syncs per acknowledgement", "which are"]);
    // io_uring's writes are no system calls: the same engine makes the same writes by plain ones.
    for peer in peers.iter().filter(|peer| !["bare", "fio"].contains(&peer.name.as_str())) {
        let (few, many) = (syncs(args, peer, FEW)?, syncs(args, peer, MANY)?);
        // Each run warms up with a tenth more.
        let appends = (MANY + MANY / 10 - FEW - FEW / 10) as f64;
        let more = |(kind, count): (&String, &u64)| {
            let per = (*count as f64 - few.get(kind).copied().unwrap_or(0) as f64) / appends;
            (kind.clone(), per)
        };
        // What belongs to the opening, or comes by the clock, is next to nothing for each.
        let kinds: Vec<(String, f64)> = many.iter().map(more).filter(|(_, per)| *per >= 0.02).collect();
        let all = kinds.iter().fold(0.0, |all, (_, per)| all + per);
        let kinds: Vec<String> = kinds.iter().map(|(kind, per)| format!("{} {kind}", number(*per))).collect();
        table.push(vec![format!("{} {}", peer.name, peer.version), number(all), kinds.join(" + ")]);
    }
    println!("{table}");
    Ok(())
}

/// The syncs of one run, by their kind.
fn syncs(args: &Compare, peer: &Profile, records: u64) -> Result<BTreeMap<String, u64>> {
    let scratch = scratch_in(&args.settings.dir())?;
    let log = scratch.path().join("strace");
    let dir = scratch.path().join("store");
    fs::create_dir(&dir)?;
    let plan = Plan {
        workload: Workload::Durable,
        case: Case::default(),
        record_size: 100,
        durability: Durability::Durable,
        length: Length::Records(records),
        rate: None,
        memory_budget: args.settings.memory_budget,
        runtime: Runtime::Posix,
        dir,
        peer: Some(peer.name.clone()),
    };
    let measure = child::command("measure", &plan)?;
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "-s", "0", "-e", CALLS, "-o"])
        .arg(&log)
        .arg(measure.get_program())
        .args(measure.get_args());
    let output = strace.stderr(Stdio::inherit()).output().map_err(|error| format!("strace: {error}"))?;
    if !output.status.success() {
        return Err(format!("{} under strace ended with {}", peer.name, output.status).into());
    }
    Ok(read(&fs::read_to_string(&log)?))
}

/// Counts the calls of a trace that return when something is durable. Descriptors are those of all processes together:
/// only what is opened to be synchronous is remembered, until the number is given to something else.
fn read(trace: &str) -> BTreeMap<String, u64> {
    let mut synchronous = HashSet::new();
    let mut kinds = BTreeMap::new();
    for line in trace.lines() {
        let Some((_process, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        let (name, rest) = call.split_once('(').unwrap_or((call, ""));
        let descriptor = || rest.split([',', ')', ' ']).next().unwrap_or_default().to_owned();
        let kind = match name {
            "open" | "openat" | "creat" => {
                let opened = call.rsplit("= ").next().unwrap_or_default().trim().to_owned();
                match call.contains("O_DSYNC") || call.contains("O_SYNC") {
                    true => synchronous.insert(opened),
                    false => synchronous.remove(&opened),
                };
                continue;
            }
            "close" => {
                synchronous.remove(&descriptor());
                continue;
            }
            "fsync" | "fdatasync" | "sync_file_range" | "sync" | "syncfs" => name.to_owned(),
            "msync" if call.contains("MS_SYNC") => "msync".to_owned(),
            "pwritev2" if call.contains("RWF_DSYNC") || call.contains("RWF_SYNC") => {
                "pwritev2 with RWF_DSYNC".to_owned()
            }
            "write" | "writev" | "pwrite64" | "pwritev" if synchronous.contains(&descriptor()) => {
                format!("{name} with O_DSYNC")
            }
            _ => continue,
        };
        *kinds.entry(kind).or_default() += 1;
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_durable_when_it_returns_is_counted() {
        let trace = "\
            7 openat(AT_FDCWD, \"data\"..., O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 3\n\
            7 openat(AT_FDCWD, \"data\"..., O_RDWR|O_DSYNC|O_CLOEXEC, 0600) = 4\n\
            7 pwrite64(3, \"\"..., 4096, 0) = 4096\n\
            7 fdatasync(3) = 0\n\
            7 pwrite64(4, \"\"..., 4096, 0) = 4096\n\
            8 pwritev2(3, [{iov_base=\"\"..., iov_len=4096}], 1, 0, RWF_DSYNC) = 4096\n\
            8 pwritev2(3, [{iov_base=\"\"..., iov_len=4096}], 1, 0, 0) = 4096\n\
            7 close(4) = 0\n\
            7 fsync(3 <unfinished ...>\n\
            7 <... fsync resumed>) = 0\n\
            7 write(4, \"\"..., 1) = 1\n";
        let kinds = ["fdatasync", "fsync", "pwrite64 with O_DSYNC", "pwritev2 with RWF_DSYNC"];
        assert_eq!(read(trace), BTreeMap::from(kinds.map(|kind| (kind.to_owned(), 1))));
    }
}
