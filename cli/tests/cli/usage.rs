//! Wrong arguments, missing stores, stores that others hold.

use std::io::Read;
use std::process::{Command, Stdio};

use crate::run::Bench;

#[test]
fn wrong_usage_is_2_and_touches_nothing() {
    let bench = Bench::new();
    let wrong: &[&[&str]] = &[
        &[],
        &["unknown"],
        &["import", "--topic", "t"],
        &["import", "-"],
        &["import", "-", "-", "--topic", "t"],
        &["import", "-", "--topic", "t", "--delimiter", ";"],
        &["import", "-", "--topic", "t", "--key-column", "1", "--delimiter", ";;"],
        &["import", "-", "--topic", "t", "--key-column", "0"],
        &["import", "-", "--topic", "t", "--partitions", "x"],
        &["consume"],
        &["consume", "--topic", "t", "--from", "yesterday"],
        &["consume", "--topic", "t", "--format", "xml"],
        &["consume", "--topic", "t", "--from", "@yesterday"],
        &["positions"],
        &["positions", "reset", "c", "--topic", "t"],
        &["positions", "reset", "c", "--topic", "t", "--to", "there"],
        &["kv", "get", "t"],
        &["kv", "put", "t", "k"],
        &["topic"],
        &["topic", "describe"],
        &["dump", "t"],
        &["info", "--runtime", "glommio"],
        &["info", "--memory-budget", "lots"],
        &["verify", "extra"],
    ];
    for args in wrong {
        let ran = bench.run(args);
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.err);
        assert!(!ran.err.is_empty() && ran.out.is_empty(), "{args:?}");
        assert!(!bench.store().exists(), "{args:?}");
    }
}

#[test]
fn values_out_of_range_are_2_and_name_the_range() {
    let bench = Bench::new();
    let ran = bench.run(&["import", "-", "--topic", "t", "--memory-budget", "1MiB"]);
    assert_eq!(ran.code, 2);
    let ran = Bare::new(&["--dir", "x", "--memory-budget", "1MiB", "info"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("memory_budget is 1048576; allowed are 67108864 to"), "{}", ran.err);
    for topic in ["a/b", "..", "", &"x".repeat(250)] {
        let ran = bench.run(&["import", "-", "--topic", topic]);
        assert_eq!(ran.code, 2, "{topic:?}");
        assert!(ran.err.contains("topic name"), "{}", ran.err);
    }
    let ran = bench.run(&["import", "-", "--topic", "t", "--partitions", "65537"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("allowed are 1 to 65536"), "{}", ran.err);
    assert!(!bench.store().exists(), "a store was made for none of them");
}

/// The opening thread was ended by the signal of its first write beyond the limit.
#[test]
fn a_limit_on_file_sizes_is_an_error_and_no_signal() {
    let bench = Bench::new();
    bench.import("t", b"a\n");
    for blocks in [0, 1, 2] {
        let ran = bench.limited(blocks, &["verify"]);
        assert!(ran.code == 0 || ran.err.contains("File too large"), "{blocks}: {} {}", ran.code, ran.err);
        let ran = bench.limited(blocks, &["topic", "delete", "t"]);
        assert_eq!(ran.code, 1, "{blocks}: {}", ran.err);
        assert!(ran.err.contains("File too large"), "{blocks}: {}", ran.err);
    }
    assert_eq!(bench.consume("t"), b"a\n");
}

#[test]
fn the_store_has_to_be_named() {
    let ran = Bare::new(&["info"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("--dir DIR"), "{}", ran.err);
}

#[test]
fn help_and_version_are_0() {
    for args in [&["--help"][..], &["--version"], &["import", "--help"], &["help", "consume"]] {
        let ran = Bare::new(args);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{args:?}");
        assert!(!ran.out.is_empty(), "{args:?}");
    }
}

#[test]
fn only_import_creates_a_store() {
    let bench = Bench::new();
    let commands: &[&[&str]] = &[
        &["consume", "--topic", "t"],
        &["topic", "list"],
        &["topic", "describe", "t"],
        &["topic", "delete", "t"],
        &["verify"],
        &["dump", "t", "--partition", "0"],
        &["positions", "list"],
        &["kv", "put", "t", "k", "v"],
        &["info"],
    ];
    for args in commands {
        let ran = bench.run(args);
        assert_eq!(ran.code, 1, "{args:?}");
        assert!(ran.err.starts_with("thalweg: ") && ran.err.contains("store"), "{args:?}: {}", ran.err);
        assert!(!bench.store().exists(), "{args:?}");
    }
    std::fs::create_dir(bench.store()).expect("a directory");
    std::fs::write(bench.store().join("notes.txt"), b"mine").expect("written");
    for args in commands {
        assert_eq!(bench.run(args).code, 1, "{args:?}");
    }
    let names: Vec<_> = std::fs::read_dir(bench.store()).expect("listed").collect();
    assert_eq!(names.len(), 1, "nothing is left in a directory that is no store: {names:?}");
    std::fs::remove_dir_all(bench.store()).expect("removed");
    std::fs::write(bench.store(), b"a file").expect("written");
    assert_eq!(bench.run(&["info"]).code, 1);
    assert_eq!(bench.run(&["import", "-", "--topic", "t"]).code, 1);
}

#[test]
fn a_topic_that_is_not_there() {
    let bench = Bench::new();
    bench.import("t", b"a\n");
    let commands: &[&[&str]] = &[
        &["consume", "--topic", "u"],
        &["topic", "describe", "u"],
        &["topic", "delete", "u"],
        &["dump", "u", "--partition", "0"],
        &["positions", "reset", "c", "--topic", "u", "--to", "latest"],
        &["kv", "get", "u", "k"],
    ];
    for args in commands {
        let ran = bench.run(args);
        assert_eq!(ran.code, 1, "{args:?}");
        assert!(ran.err.contains("no topic \"u\""), "{args:?}: {}", ran.err);
    }
}

#[test]
fn a_store_that_another_process_holds_is_refused_with_its_pid() {
    let bench = Bench::new();
    bench.import("t", "more lines than a pipe takes\n".repeat(100_000).as_bytes());
    let mut holder = bench.command(&["consume", "--topic", "t"]).stdout(Stdio::piped()).spawn().expect("starts");
    let mut output = holder.stdout.take().expect("piped");
    // It has opened the store once it writes, and keeps it as long as nobody reads the rest.
    output.read_exact(&mut [0]).expect("some output");
    for args in [&["info"][..], &["import", "-", "--topic", "t"], &["consume", "--topic", "t"]] {
        let ran = bench.run(args);
        assert_eq!(ran.code, 1, "{args:?}");
        assert!(ran.err.contains(&holder.id().to_string()), "{} names no {}", ran.err, holder.id());
    }
    drop(output);
    assert!(holder.wait().expect("ends").success());
    bench.ok(&["info"]);
}

/// The command without a store.
struct Bare {
    code: i32,
    out: String,
    err: String,
}

impl Bare {
    fn new(args: &[&str]) -> Bare {
        let output = Command::new(env!("CARGO_BIN_EXE_thalweg")).args(args).output().expect("the command runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Bare {
            code: output.status.code().expect("ends by itself"),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }
}

#[test]
fn a_directory_with_other_files_does_not_become_a_store() {
    let bench = Bench::new();
    std::fs::create_dir(bench.store()).expect("made");
    std::fs::write(bench.store().join("letter.txt"), "dear").expect("written");
    let ran = bench.run(&["import", "-", "--topic", "t"]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("letter.txt"), "{}", ran.err);
    let names: Vec<_> =
        std::fs::read_dir(bench.store()).expect("there").map(|e| e.expect("read").file_name()).collect();
    assert_eq!(names, ["letter.txt"], "nothing was made beside it");
    // What a new file system has, and what an interrupted creation leaves, does not count.
    std::fs::remove_file(bench.store().join("letter.txt")).expect("removed");
    for own in ["lost+found", "journal", "segments"] {
        std::fs::create_dir(bench.store().join(own)).expect("made");
    }
    std::fs::write(bench.store().join("LOCK"), "").expect("written");
    bench.import("t", b"a\n");
}
