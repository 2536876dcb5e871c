//! `thalweg consume`.

use std::io::Read;
use std::process::Stdio;

use crate::run::Bench;

#[test]
fn from_and_max() {
    let bench = Bench::new();
    bench.import("t", b"a\nb\nc\nd\n");
    let consume = |args: &[&str]| {
        let args: Vec<&str> = ["consume", "--topic", "t"].iter().chain(args).copied().collect();
        bench.ok(&args)
    };
    assert_eq!(consume(&["--from", "earliest"]), "a\nb\nc\nd\n");
    assert_eq!(consume(&["--from", "latest"]), "");
    assert_eq!(consume(&["--from", "2"]), "c\nd\n");
    assert_eq!(consume(&["--from", "4"]), "");
    assert_eq!(consume(&["--max", "0"]), "");
    assert_eq!(consume(&["--max", "3"]), "a\nb\nc\n");
    assert_eq!(consume(&["--from", "1", "--max", "1", "--partition", "0"]), "b\n");
}

#[test]
fn an_offset_past_the_end_is_an_error() {
    let bench = Bench::new();
    bench.import("t", b"a\n");
    let ran = bench.run(&["consume", "--topic", "t", "--from", "2"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("offset 2"), "{}", ran.err);
}

#[test]
fn an_offset_needs_a_partition_where_there_are_several() {
    let bench = Bench::new();
    bench.run_with(&["import", "-", "--topic", "t", "--partitions", "2"], b"a\n");
    let ran = bench.run(&["consume", "--topic", "t", "--from", "0"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("--partition"), "{}", ran.err);
    let ran = bench.run(&["consume", "--topic", "t", "--partition", "2"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("has no partition 2; its partitions are 0 to 1"), "{}", ran.err);
}

#[test]
fn json_tells_text_from_bytes() {
    let bench = Bench::new();
    bench.import("t", b"say \"hi\"\n\xff\xfe\n\n");
    let records = bench.records(&["--topic", "t"]);
    assert_eq!(records.len(), 3);
    for (offset, record) in records.iter().enumerate() {
        assert_eq!(record["topic"], "t");
        assert_eq!(record["partition"], 0);
        assert_eq!(record["offset"], offset);
        assert!(record["timestamp"].as_i64().expect("a number") > 1_600_000_000_000);
        assert!(record["key"].is_null());
    }
    assert_eq!(records[0]["value"], "say \"hi\"");
    assert_eq!(records[1]["value_base64"], "//4=");
    assert!(records[1].get("value").is_none());
    assert_eq!(records[2]["value"], "");
    assert_eq!(bench.ok(&["--json", "consume", "--topic", "t"]).lines().count(), 3);
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let bench = Bench::new();
    let line = "a line that is long enough to fill a pipe after a while\n";
    bench.import("t", line.repeat(100_000).as_bytes());
    for args in [&["consume", "--topic", "t"][..], &["consume", "--topic", "t", "--format", "json"]] {
        let mut child = bench.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        let mut first = [0; 10];
        child.stdout.as_mut().expect("piped").read_exact(&mut first).expect("some output");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("ends");
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}
