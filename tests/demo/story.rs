//! The watching process: what happens in which order.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use thalweg::{Engine, Options};

use crate::check::Check;
use crate::importer::TOPIC;
use crate::input::Input;
use crate::report::Report;
use crate::{Args, Import};

const READ_BYTES: usize = 1 << 20;

/// What the watching process was told by an importing one, and saw of it.
#[derive(Default)]
pub(crate) struct Watched {
    /// Every record before this number was acknowledged.
    pub(crate) acknowledged: u64,
    /// Bytes of the input up to there.
    pub(crate) bytes: u64,
    /// Every record before this number came back to the reader as it went in.
    pub(crate) read: u64,
    read_offset: u64,
    /// The largest distance of the reader from the appender, in records.
    pub(crate) behind: u64,
    /// From the start of the import to the last acknowledgement.
    pub(crate) seconds: f64,
    /// From then to the end of the reader.
    pub(crate) catch_up_seconds: f64,
    /// VmHWM of the process. Bytes.
    pub(crate) peak_memory: u64,
    differs: Option<String>,
    done: bool,
}

/// Runs the demo; `false` if what came out is not what went in.
pub(crate) fn run(args: &Args) -> Result<bool, Box<dyn Error>> {
    let mut input = Input::open(&args.input, args.size)?;
    while input.next()?.is_some() {}
    let (total, bytes) = (input.position(), input.bytes());
    if total < 1000 {
        return Err(format!("{total} records are too few to be stopped in the middle; give a larger --size").into());
    }
    let place = match &args.within {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    let store = place.path().join("store");
    let mut report = Report::new(args, total, bytes);

    println!("importing {total} records; the process is killed in the middle ...");
    let begin = Import {
        store: store.clone(),
        first: 0,
        // It is killed at half; should this process be late, there is still something left to import.
        stop: total / 4 * 3,
        read: 0,
        read_offset: 0,
        until_killed: true,
    };
    report.before = watch(args, &begin, Some(total / 2))?;

    println!("killed; opening what it left behind ...");
    report.recovered = recovered(args, &store, &mut report)?;
    if !report.is_clean() {
        report.print();
        return Ok(false);
    }

    println!("resuming the import, and letting the reader catch up ...");
    let (read, read_offset) = (report.before.read, report.before.read_offset);
    let resume =
        Import { store: store.clone(), first: report.recovered, stop: total, read, read_offset, until_killed: false };
    report.after = watch(args, &resume, None)?;

    println!("comparing everything with the input ...");
    let check = compare(args, &store)?.0;
    report.finish(check, total);
    report.print();
    Ok(report.is_clean())
}

/// Opens the store after the kill and compares it with the input; returns how many records it holds.
fn recovered(args: &Args, store: &Path, report: &mut Report) -> Result<u64, Box<dyn Error>> {
    let (check, opened) = compare(args, store)?;
    report.recovery = opened;
    let next = check.next();
    if next < report.before.acknowledged && check.is_clean() {
        let lost = report.before.acknowledged - next;
        report.lost = lost;
        report.first_difference = Some(format!("record {next} was acknowledged and is not there"));
    }
    report.take(check);
    Ok(next)
}

/// Compares all of the store with the input, from the beginning; also returns how long opening took.
fn compare(args: &Args, store: &Path) -> Result<(Check, Duration), Box<dyn Error>> {
    let start = Instant::now();
    let engine = Engine::open(store, Options::default().memory_budget(args.memory_budget).create(false))?;
    let opened = start.elapsed();
    let topic = engine.topic(TOPIC)?;
    let mut check = Check::new(Input::open(&args.input, args.size)?);
    let mut offset = 0;
    loop {
        let batch = topic.read(0, offset, READ_BYTES)?;
        if batch.next_offset() == offset {
            break;
        }
        for record in batch.iter() {
            check.record(&record)?;
        }
        offset = batch.next_offset();
    }
    engine.close()?;
    Ok((check, opened))
}

/// Runs an importing process and notes what it says; kills it once `kill_at` records are acknowledged.
fn watch(args: &Args, import: &Import, kill_at: Option<u64>) -> Result<Watched, Box<dyn Error>> {
    let mut child = spawn(args, import)?;
    let result = listen(&mut child, kill_at);
    // Whatever happened, no process is left behind; one that has ended is not there to be killed.
    let _ = child.kill();
    let status = child.wait()?;
    let mut watched = result?;
    watched.acknowledged = watched.acknowledged.max(import.first);
    watched.read = watched.read.max(import.read);
    if let Some(difference) = watched.differs {
        return Err(format!("the reader got something else than what went in: {difference}").into());
    }
    match kill_at {
        Some(_) if watched.done => Err("the importing process ended before it was killed".into()),
        None if !watched.done => Err(format!("the importing process ended early: {status}").into()),
        _ => Ok(watched),
    }
}

fn spawn(args: &Args, import: &Import) -> Result<Child, Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--input").arg(&args.input).args(["--size", &args.size.to_string()]);
    command.args(["--memory-budget", &args.memory_budget.to_string()]);
    command.arg("import").arg("--store").arg(&import.store);
    command.args(["--first", &import.first.to_string(), "--stop", &import.stop.to_string()]);
    command.args(["--read", &import.read.to_string(), "--read-offset", &import.read_offset.to_string()]);
    if import.until_killed {
        command.arg("--until-killed");
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    // SAFETY: prctl is async-signal-safe and touches nothing of this process.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
    Ok(command.spawn()?)
}

/// Takes the child's lines until it ends. What it wrote before it was killed is in the pipe and counts.
fn listen(child: &mut Child, kill_at: Option<u64>) -> Result<Watched, Box<dyn Error>> {
    let output = child.stdout.take().expect("piped when it was started");
    let mut watched = Watched::default();
    let mut start = Instant::now();
    let mut last_ack = start;
    let mut killed = false;
    for line in BufReader::new(output).lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let number = |index: usize| words.get(index).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        match words[0] {
            "ready" => start = Instant::now(),
            "ack" => {
                (watched.acknowledged, watched.bytes) = (number(1), number(2));
                last_ack = Instant::now();
                watched.seconds = (last_ack - start).as_secs_f64();
                watched.behind = watched.behind.max(watched.acknowledged.saturating_sub(watched.read));
            }
            "read" => {
                (watched.read, watched.read_offset) = (number(1), number(2));
                watched.catch_up_seconds = last_ack.elapsed().as_secs_f64();
            }
            "differs" => watched.differs = Some(line["differs".len()..].trim().to_string()),
            "done" => watched.done = true,
            _ => return Err(format!("the importing process said {line:?}").into()),
        }
        if !killed {
            watched.peak_memory = peak_memory(child.id()).unwrap_or(watched.peak_memory);
        }
        if !killed && kill_at.is_some_and(|at| watched.acknowledged >= at) {
            child.kill()?;
            killed = true;
        }
    }
    Ok(watched)
}

/// The most memory that a living process had resident, in bytes.
fn peak_memory(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}
