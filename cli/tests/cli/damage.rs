//! Stores whose bytes have changed under them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{Bench, arg};

/// Line `n` of the input, which stands in no other.
fn line(n: usize) -> String {
    format!("line {n:08}")
}

/// Changes one bit of the first place in the store's segments where `text` stands.
fn rot(bench: &Bench, text: &str) {
    fn search(dir: &Path, text: &[u8]) -> Option<(PathBuf, usize)> {
        for entry in fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                if let Some(found) = search(&path, text) {
                    return Some(found);
                }
                continue;
            }
            let bytes = fs::read(&path).expect("a file");
            if let Some(at) = bytes.windows(text.len()).position(|window| window == text) {
                return Some((path, at));
            }
        }
        None
    }
    let (path, at) =
        search(&bench.store().join("segments"), text.as_bytes()).expect("closed stores have it in a segment");
    let mut bytes = fs::read(&path).expect("a file");
    bytes[at] ^= 1;
    fs::write(&path, bytes).expect("written");
}

#[test]
fn damage_in_the_middle_is_named_after_what_is_whole_before_it() {
    let bench = Bench::new();
    let lines: String = (0..200_000).map(|n| line(n) + "\n").collect();
    bench.import("t", lines.as_bytes());
    bench.import("u", b"untouched\n");
    rot(&bench, &line(100_000));

    let ran = bench.run(&["consume", "--topic", "t"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("topic \"t\" partition 0 offsets "), "{}", ran.err);
    let output = String::from_utf8(ran.out).expect("what is whole is text");
    assert!(lines.starts_with(&output), "only what was imported, in order");
    let whole = output.lines().count();
    assert!((1..=100_000).contains(&whole), "{whole} lines");
    assert!(ran.err.contains(&format!("offsets {whole}..")), "{} follows {whole} records", ran.err);

    let ran = bench.run(&["verify"]);
    assert_eq!(ran.code, 1);
    let text = String::from_utf8(ran.out).expect("text");
    assert!(text.contains(&format!("damaged: topic \"t\" partition 0 offsets {whole}..")), "{text}");
    assert!(text.contains("1 damaged range"), "{text}");
    assert_eq!(bench.consume("u"), b"untouched\n");

    let ran = bench.run(&["verify", "--json"]);
    assert_eq!(ran.code, 1);
    let report: serde_json::Value = serde_json::from_slice(&ran.out).expect("one JSON value");
    assert_eq!(report["damaged"][0]["topic"], "t");
    assert_eq!(report["damaged"][0]["start"], whole);
    let end = report["damaged"][0]["end"].as_u64().expect("a number");
    assert!(end > 100_000, "{end}");

    let ran = bench.run(&["dump", "t", "--partition", "0"]);
    assert_eq!(ran.code, 1);
    assert!(String::from_utf8_lossy(&ran.out).contains("damage"), "the place is shown");

    // What lies behind the damage is still there.
    let ran = bench.run(&["consume", "--topic", "t", "--from", &end.to_string()]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let rest: String = (end as usize..200_000).map(|n| line(n) + "\n").collect();
    assert!(String::from_utf8(ran.out).expect("text") == rest);
}

/// Writes `root` over both roots of the manifest.
fn replace_roots(bench: &Bench, root: &[u8]) {
    let path = bench.store().join("MANIFEST");
    let mut bytes = fs::read(&path).expect("a manifest");
    let places: Vec<usize> =
        (0..bytes.len()).step_by(4096).filter(|at| bytes[*at..].starts_with(b"THLWGMAN")).collect();
    assert_eq!(places.len(), 2, "docs/FORMAT.md: two roots");
    for at in places {
        bytes[at..at + root.len()].copy_from_slice(root);
    }
    fs::write(&path, bytes).expect("written");
}

#[test]
fn a_store_of_a_later_version_is_not_called_damaged() {
    let bench = Bench::new();
    bench.import("t", b"a\n");
    replace_roots(&bench, include_bytes!("../../../tests/golden/v2-manifest-root.bin"));
    for args in [&["consume", "--topic", "t"][..], &["verify"], &["import", "-", "--topic", "t"]] {
        let ran = bench.run(args);
        assert_eq!((ran.code, ran.out.as_slice()), (1, &b""[..]), "{args:?}");
        assert!(ran.err.contains("version"), "{args:?}: {}", ran.err);
        assert!(!ran.err.contains("damage"), "{args:?}: {}", ran.err);
    }
}

#[test]
fn a_store_that_lost_both_roots_is_not_called_empty() {
    let bench = Bench::new();
    bench.import("t", b"a\n");
    replace_roots(&bench, &[0x55; 4096]);
    for args in [&["consume", "--topic", "t"][..], &["topic", "list"], &["import", "-", "--topic", "t"]] {
        let ran = bench.run(args);
        assert_eq!((ran.code, ran.out.as_slice()), (1, &b""[..]), "{args:?}");
        assert!(ran.err.contains("MANIFEST") || ran.err.contains("manifest"), "{args:?}: {}", ran.err);
    }
}

/// The first segment file that could not be opened ended both commands; a pipe in its place held them up.
#[test]
fn a_segment_that_is_not_there_is_named_and_the_rest_comes_out() {
    let bench = Bench::new();
    let lines: String = (0..30_000).map(|n| format!("{},key-{}\n", line(n), n % 37)).collect();
    let file = bench.file("f", lines.as_bytes());
    bench.ok(&["import", arg(&file), "--topic", "t", "--partitions", "3", "--key-column", "2"]);
    let whole = |partition: &str| bench.run(&["consume", "--topic", "t", "--partition", partition]).out;
    let (first, middle, last) = (whole("0"), whole("1"), whole("2"));
    let lost = middle.split(|byte| *byte == b'\n').count() - 1;
    let range = format!("topic \"t\" partition 1 offsets 0..{lost}");

    let dir = fs::read_dir(bench.store().join("segments")).expect("a directory").next().expect("a topic");
    let mut files: Vec<PathBuf> = fs::read_dir(dir.expect("an entry").path())
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    assert_eq!(files.len(), 3, "one for each partition: {files:?}");
    for in_its_place in ["nothing", "directory", "pipe"] {
        let _ = fs::remove_file(&files[1]);
        let _ = fs::remove_dir(&files[1]);
        match in_its_place {
            "directory" => fs::create_dir(&files[1]).expect("created"),
            "pipe" => assert!(Command::new("mkfifo").arg(&files[1]).status().expect("runs").success()),
            _ => {}
        }
        let ran = bench.run(&["consume", "--topic", "t"]);
        assert_eq!(ran.code, 1, "{in_its_place}");
        assert!(ran.err.contains(&range), "{}", ran.err);
        assert!(ran.out == [&first[..], &last].concat(), "{in_its_place}: what is whole comes out");
        let ran = bench.run(&["verify", "--json"]);
        assert_eq!(ran.code, 1, "{}", ran.err);
        let report: serde_json::Value = serde_json::from_slice(&ran.out).expect("one JSON value");
        assert_eq!((&report["damaged"][0]["partition"], &report["damaged"][0]["end"]), (&1.into(), &lost.into()));
        assert_eq!(report["damaged"].as_array().map(Vec::len), Some(1));
        assert_eq!(report["records"], 30_000 - lost);
        let ran = bench.run(&["verify"]);
        assert!(String::from_utf8_lossy(&ran.out).contains(&range), "{}", ran.err);
    }
}

#[test]
fn positions_and_key_values_are_repaired() {
    let bench = Bench::new();
    bench.import("t", b"a\nb\nc\n");
    bench.ok(&["consume", "--topic", "t", "--as", "consumer-before", "--max", "1"]);
    bench.ok(&["consume", "--topic", "t", "--as", "consumer-damaged", "--max", "2"]);
    for (key, value) in [("a", "value-before"), ("b", "value-damaged"), ("c", "value-behind")] {
        bench.ok(&["kv", "put", "t", key, value]);
    }
    rot(&bench, "consumer-damaged");
    rot(&bench, "value-damaged");
    for args in [&["positions", "list"][..], &["consume", "--topic", "t", "--as", "new"], &["kv", "list", "t"]] {
        let ran = bench.run(args);
        assert_eq!((ran.code, ran.out.as_slice()), (1, &b""[..]), "{args:?}");
        assert!(ran.err.contains("have to be repaired"), "{args:?}: {}", ran.err);
    }
    let ran = bench.run(&["stats"]);
    assert_eq!(ran.code, 1);
    assert!(String::from_utf8_lossy(&ran.out).contains("high watermark"), "what there is is told");
    assert!(ran.err.contains("have to be repaired"), "{}", ran.err);

    let text = bench.ok(&["positions", "repair"]);
    assert!(
        text.starts_with("lost: the log of named positions offsets ")
            && text.ends_with("kept 1 positions, of which 1 may be out of date\n"),
        "{text}"
    );
    let report = bench.json(&["kv", "repair"]);
    assert_eq!((report["kept"].as_u64(), report["uncertain"].as_u64()), (Some(2), Some(1)));
    assert_eq!(report["lost"].as_array().map(Vec::len), Some(1));
    assert_eq!(bench.ok(&["consume", "--topic", "t", "--as", "consumer-before"]), "b\nc\n");
    assert_eq!(bench.ok(&["kv", "list", "t"]), "a = value-before\nc = value-behind\n");
    assert!(bench.ok(&["verify"]).contains("no damage"));
}

#[test]
fn a_damaged_header_is_told_and_no_record_is_called_lost() {
    let bench = Bench::new();
    bench.import("t", b"a line\n");
    rot(&bench, "THLWGSEG");
    let ran = bench.run(&["verify"]);
    let text = String::from_utf8(ran.out).expect("text");
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    assert!(
        text.starts_with("damaged copy, no record is lost: topic \"t\" partition 0 segment 00000, header: "),
        "{text}"
    );
    assert!(text.contains("checked 1 records in 1 batches") && text.ends_with(": 1 damaged copy\n"), "{text}");
    assert_eq!(bench.consume("t"), b"a line\n");
}
