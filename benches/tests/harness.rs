//! The harness itself, at a small size: that it does what it is told, loses no record, leaves nothing behind, and says
//! all that it has to say. How long anything takes is not asked.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A run with a directory of its own, and what it has kept.
struct Run {
    output: Output,
    document: Value,
}

fn harness(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg-bench"));
    command.args(arguments.split(' '));
    command
}

fn run(arguments: &str) -> Run {
    let dir = TempDir::new().expect("a directory");
    let store = dir.path().join("stores");
    let json = dir.path().join("out.json");
    let output = harness(arguments).arg("--dir").arg(&store).arg("--json").arg(&json).output().expect("it starts");
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    let left: Vec<_> = std::fs::read_dir(&store).expect("it was made").flatten().map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "{arguments} leaves {left:?}");
    let text = std::fs::read_to_string(json).expect("what was measured is kept");
    Run { output, document: serde_json::from_str(&text).expect("it is JSON") }
}

impl Run {
    fn measured(&self) -> &[Value] {
        self.document["measured"].as_array().expect("a list of measurements")
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }
}

fn number(of: &Value, name: &str) -> f64 {
    of[name].as_f64().unwrap_or_else(|| panic!("{name} is no number in {of}"))
}

/// What every measurement says, whatever it measures.
fn check(measured: &Value) {
    let records = number(measured, "records");
    let size = number(&measured["plan"], "record_size");
    assert!(records > 0.0 && number(measured, "found") >= records, "{measured}");
    assert_eq!(number(measured, "bytes"), records * size);
    let seconds = number(measured, "seconds");
    assert!(seconds > 0.0);
    let close = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-6, "{a} is not {b}: {measured}");
    close(number(measured, "records_per_second"), records / seconds);
    close(number(measured, "bytes_per_second"), records * size / seconds);
    for name in ["cpu_seconds_per_million_records", "peak_memory_bytes"] {
        assert!(number(measured, name) > 0.0, "{name} of {measured}");
    }
    assert!(number(measured, "device_bytes_per_payload_byte") >= 0.0);
    let latency = &measured["latency"];
    assert!(number(latency, "count") > 0.0 && !latency["what"].as_str().expect("words").is_empty(), "{measured}");
    let names = ["p50_us", "p99_us", "p99_9_us", "p99_99_us", "max_us"];
    assert!(names.map(|name| number(latency, name)).is_sorted(), "{latency}");
    assert!(number(latency, "p50_us") > 0.0 && latency["corrected_for_coordinated_omission"].is_boolean());
    let series = measured["series"].as_array().expect("a list of moments");
    let seconds: Vec<f64> = series.iter().map(|point| number(point, "seconds")).collect();
    assert!(!seconds.is_empty() && seconds.is_sorted());
    assert!(series.iter().all(|point| number(point, "memory") > 0.0));
}

fn names(run: &Run) -> Vec<&str> {
    run.measured().iter().map(|measured| measured["name"].as_str().expect("a name")).collect()
}

#[test]
fn appends_are_counted_in_every_case() {
    let run = run("run append durable --records 1200 --record-size 100");
    assert_eq!(run.measured().len(), 6 + 7);
    for measured in run.measured() {
        check(measured);
        // A tenth more before, each in whole batches.
        let batch = number(&measured["plan"]["case"], "batch");
        assert_eq!(number(measured, "records"), 1200.0);
        assert_eq!(number(measured, "found"), 1200.0 + (120.0 / batch).ceil() * batch, "{}", measured["name"]);
        let last = measured["series"].as_array().and_then(|series| series.last()).expect("a last moment");
        assert_eq!(number(last, "records"), 1200.0);
        assert_eq!(measured["latency"]["corrected_for_coordinated_omission"], false);
        assert!(number(measured, "durable_writes") > 0.0);
        // A caller that waits alone has a durable write for each append.
        if measured["name"] == "1 waiting caller" {
            assert!(number(measured, "durable_writes") >= 1200.0);
            assert_eq!(number(&measured["latency"], "count"), 1200.0);
        }
    }
    let machine = &run.document["machine"];
    for name in ["processor", "kernel", "file_system", "device"] {
        assert!(!machine[name].as_str().expect("words").is_empty());
        assert!(run.text().contains(machine[name].as_str().expect("words")));
    }
    assert!(run.document["limits"].is_null() || number(&run.document["limits"], "durable_write_p50_us") > 0.0);
}

#[test]
fn records_have_the_sizes_that_are_asked_for() {
    let run = run("run append --case partitions --records 1000");
    let sizes: BTreeSet<u64> = run.measured().iter().filter_map(|m| m["plan"]["record_size"].as_u64()).collect();
    assert_eq!((run.measured().len(), sizes), (6, [100, 1 << 10, 16 << 10].into()));
    run.measured().iter().for_each(check);
}

#[test]
fn partitions_are_appended_to_in_turns() {
    let run = run("run partitions --case 64 --records 1280 --record-size 100");
    assert_eq!(names(&run), ["64 partitions"]);
    check(&run.measured()[0]);
    assert_eq!(number(&run.measured()[0], "found"), 1280.0 + 128.0);
}

#[test]
fn a_rate_is_kept_and_latency_counts_from_when_it_was_due() {
    let run = run("run durable --case in --records 500 --rate 5000 --record-size 100");
    assert_eq!(names(&run).len(), 7);
    for measured in run.measured() {
        check(measured);
        assert_eq!(number(measured, "records"), 500.0);
        assert_eq!(number(&measured["latency"], "count"), 500.0);
        assert_eq!(measured["latency"]["corrected_for_coordinated_omission"], true);
        // Never faster than asked for; how much slower is not asked.
        assert!(number(measured, "records_per_second") < 5200.0, "{measured}");
    }
}

#[test]
fn a_time_is_kept_as_well_as_a_number() {
    let run = run("run durable --case 16 --seconds 0.2 --record-size 100 --runtime posix --memory-budget 64MiB");
    assert_eq!(names(&run), ["16 waiting callers", "1 caller, 16 in flight"]);
    for measured in run.measured() {
        check(measured);
        assert!(number(measured, "seconds") >= 0.15, "{measured}");
        assert_eq!(measured["plan"]["runtime"], "posix");
        assert_eq!(number(&measured["plan"], "memory_budget"), f64::from(64 << 20));
    }
}

#[test]
fn every_consumer_at_the_tail_gets_every_record() {
    let run = run("run tail --records 300 --record-size 100");
    assert_eq!(run.measured().len(), 8);
    for measured in run.measured() {
        check(measured);
        let consumers = number(&measured["plan"]["case"], "consumers");
        assert_eq!(number(&measured["latency"], "count"), 300.0 * consumers);
        assert_eq!(measured["latency"]["corrected_for_coordinated_omission"], true);
    }
}

#[test]
fn backlogs_are_read_whole_and_producers_beside_them_are_measured() {
    let run = run("run catchup slow-consumer --records 5000 --record-size 1KiB");
    assert_eq!(run.measured().len(), 3);
    run.measured().iter().for_each(check);
    assert!(run.measured().iter().all(|measured| number(measured, "records") == 5000.0));
    let figures = run.measured()[1]["figures"].as_array().expect("a list of figures");
    let named: Vec<&str> = figures.iter().filter_map(|figure| figure["name"].as_str()).collect();
    let expected =
        ["producer beside the reader", "producer beside the reader, p99", "producer alone", "producer alone, p99"];
    assert_eq!(named, expected);
    let figures = run.measured()[2]["figures"].as_array().expect("a list of figures");
    assert_eq!(number(&figures[0], "value") + number(&figures[1], "value"), 5000.0);
}

#[test]
fn stores_that_were_closed_or_killed_open_with_all_that_was_acknowledged() {
    // Less than was acknowledged, or a clean open of what was killed, ends it with an error.
    let run = run("run reopen --case 100000 --records 1000 --record-size 100");
    assert_eq!(names(&run), ["after a clean close, 100000 B", "after SIGKILL, 100000 B"]);
    for measured in run.measured() {
        check(measured);
        assert!(number(measured, "records") >= 1000.0);
        assert_eq!(number(&measured["latency"], "count"), 3.0);
    }
}

#[test]
fn rust_and_c_append_the_same() {
    let run = run("run ffi --records 5000 --record-size 100 --durability lose_on_kill");
    assert_eq!(names(&run), ["Rust, 1 per call", "C, 1 per call", "Rust, 100 per call", "C, 100 per call"]);
    run.measured().iter().for_each(check);
    // One more is what waits for the others.
    assert!(run.measured().iter().all(|measured| number(measured, "records") == 5001.0));
}

#[test]
fn peers_take_turns_and_do_the_same() {
    let run = run("compare lmdb redis --workload durable,append --case 00 --rounds 2 --records 2000 --record-size 100");
    let peers: Vec<&str> =
        run.document["peers"].as_array().expect("a list of peers").iter().filter_map(|p| p["name"].as_str()).collect();
    assert_eq!(peers, ["thalweg", "lmdb", "redis"]);
    // A hundred and a thousand records for each call: two rounds of three.
    assert_eq!(run.measured().len(), 2 * 2 * 3);
    for (turn, measured) in run.measured().iter().enumerate() {
        check(measured);
        assert_eq!(number(measured, "records"), 2000.0, "{}", measured["name"]);
        assert_eq!(measured["plan"]["peer"], peers[turn % 3]);
        assert_eq!(number(measured, "round") as usize, turn / 3 % 2);
    }
    let text = run.text();
    assert!(text.contains("ours / theirs") && text.contains("across loopback"), "{text}");
}

#[test]
fn peers_wait_and_are_read_as_the_engine_is() {
    let run = run("compare lmdb redis --workload durable,catchup --rounds 1 --records 640 --record-size 100");
    assert_eq!(run.measured().len(), (3 + 1) * 3);
    for measured in run.measured() {
        check(measured);
        assert_eq!(number(measured, "records"), 640.0, "{}", measured["name"]);
    }
}

#[test]
fn a_report_is_one_page_with_all_that_was_measured() {
    let dir = TempDir::new().expect("a directory");
    let [run, compared, page, targets] = ["run", "compared", "page", "targets"].map(|name| dir.path().join(name));
    for (arguments, json) in [
        ("run durable --case 256 --records 500 --record-size 100", &run),
        ("compare bare --workload durable --case 16 --rounds 2 --records 400 --record-size 1KiB", &compared),
    ] {
        let output =
            harness(arguments).arg("--dir").arg(dir.path()).arg("--json").arg(json).output().expect("it starts");
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let rows = r#"[
        {"name": "fast <enough>", "measured": {"at": 0, "against": "a loop", "ratio": [0.8, 0.9, 1.0], "target": "<= 1",
         "verdict": "met"}},
        {"name": "slow", "measured": {"at": 0, "against": "a loop", "ratio": [2.0, 2.5, 3.0], "target": "<= 1",
         "verdict": "MISSED"}},
        {"name": "new", "measured": null}]"#;
    std::fs::write(&targets, rows).expect("a file");
    let mut report = harness("report");
    report.arg(format!("--targets={}", targets.display())).arg("--ratios").arg("--html").arg(&page);
    report.args([&run, &compared]);
    let output = report.output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for told in [
        "| durable, 16 waiting callers, 1 KiB | ",
        "| bare io_uring |",
        "slow",
        "2.50",
        "MISSED",
        "not measured",
        "1 met, 1 missed, 1 not measured",
    ] {
        assert!(text.contains(told), "{told} is not in {text}");
    }
    let page = std::fs::read_to_string(&page).expect("the page is there");
    for told in ["fast &lt;enough&gt;", "256 in flight", "16 waiting callers", "bare io_uring", "prefers-color-scheme"]
    {
        assert!(page.contains(told), "{told} is not on the page");
    }
    // Bars, lines of latency, rate and memory; nothing of it from elsewhere.
    assert!(page.matches("<rect").count() == 2 && page.matches("<polyline").count() == 5, "{page}");
    assert!(["http", "<script", "<link", "@import", "NaN"].iter().all(|no| !page.contains(no)), "{page}");
    let tags = |tag: &str| page.matches(&format!("<{tag}")).count() == page.matches(&format!("</{tag}>")).count();
    assert!(["svg", "figure", "div", "table", "tr", "details", "dl", "ul", "g"].map(tags).iter().all(|same| *same));
}

#[test]
fn what_is_durable_is_seen_from_outside() {
    let output = harness("compare lmdb redis redis-everysec --syncs").output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let syncs = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.split(' ').next() == Some(name)).expect("a line for each");
        let cell = line.split("  ").filter(|cell| !cell.trim().is_empty()).nth(1).expect("three columns");
        cell.trim().parse().expect("a number")
    };
    // Two runs differ by what goes on beside the appends.
    assert!(["thalweg", "lmdb", "redis"].map(syncs).iter().all(|syncs| *syncs >= 0.9), "{text}");
    assert!(syncs("redis-everysec") < 0.5, "{text}");
}

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    let dir = TempDir::new().expect("a directory");
    let stores = || std::fs::read_dir(dir.path()).expect("a directory").flatten().map(|entry| entry.path());
    let mut harness = harness("run durable --case 16 --seconds 600 --record-size 100");
    let mut running =
        harness.arg("--dir").arg(dir.path()).process_group(0).stderr(Stdio::piped()).spawn().expect("it starts");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !stores().any(|store| store.join("MANIFEST").exists()) {
        assert!(Instant::now() < deadline, "nothing was begun");
        std::thread::sleep(Duration::from_millis(10));
    }
    let group = i32::try_from(running.id()).expect("numbers of processes are small");
    // SAFETY: a plain system call; the group is that of the process above.
    assert_eq!(unsafe { libc::kill(-group, libc::SIGINT) }, 0);
    assert_eq!(running.wait().expect("it ends").code(), Some(1));
    assert_eq!(stores().collect::<Vec<_>>(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn what_cannot_be_done_is_said() {
    for (arguments, status, told) in [
        ("run nothing", 2, "possible values"),
        ("run append --case never", 1, "no case's name contains \"never\""),
        ("run append --memory-budget 1MiB --case 1 --record-size 100", 1, "memory_budget"),
        ("run append --dir /proc/nothing", 1, "/proc/nothing"),
        ("compare nobody", 1, "there is no peer nobody; there are thalweg"),
        #[cfg(not(feature = "sqlite"))]
        ("compare sqlite", 1, "build with --features sqlite"),
        ("report /nothing/at/all", 1, "/nothing/at/all"),
        ("report --targets=/nothing/at/all", 1, "make bench measures the targets"),
    ] {
        let output = harness(arguments).output().expect("it starts");
        assert_eq!(output.status.code(), Some(status), "{arguments}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(told), "{arguments}: {text}");
    }
}
