//! `thalweg consume --as` and `--from @TIME`, and `thalweg positions`.

use crate::run::Bench;

/// Where nothing is read of a partition, its beginning is committed with those of the others.
#[test]
fn a_name_begins_in_empty_partitions_too() {
    let bench = Bench::new();
    let ran = bench.run_with(&["import", "-", "--topic", "t", "--partitions", "3000"], b"a\n");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let ran = bench.run(&["consume", "--topic", "t", "--as", "late", "--from", "latest"]);
    assert_eq!((ran.code, ran.out.as_slice()), (0, &b""[..]));
    let listed = bench.json(&["positions", "list"]);
    assert_eq!(listed.as_array().map(Vec::len), Some(3000));
    bench.import("t", b"b\n");
    assert_eq!(bench.ok(&["consume", "--topic", "t", "--as", "late"]), "b\n", "which came after it began");
}

#[test]
fn a_name_goes_on_where_it_was() {
    let bench = Bench::new();
    bench.import("t", b"a\nb\nc\nd\n");
    let consume = |more: &[&str]| {
        let args: Vec<&str> = ["consume", "--topic", "t", "--as", "billing"].iter().chain(more).copied().collect();
        bench.ok(&args)
    };
    assert_eq!(consume(&["--max", "1"]), "a\n");
    assert_eq!(consume(&["--max", "2", "--from", "latest"]), "b\nc\n", "--from is for those without a position");
    let listed = bench.json(&["positions", "list"]);
    assert_eq!(listed[0]["consumer"], "billing");
    assert_eq!(listed[0]["topic"], "t");
    assert_eq!((listed[0]["offset"].as_u64(), listed[0]["lag"].as_u64()), (Some(3), Some(1)));
    assert_eq!(consume(&[]), "d\n");
    assert_eq!(consume(&[]), "");
    bench.import("t", b"e\n");
    assert_eq!(consume(&[]), "e\n");
    assert_eq!(bench.ok(&["consume", "--topic", "t"]), "a\nb\nc\nd\ne\n", "others are not concerned");
    assert_eq!(bench.ok(&["consume", "--topic", "t", "--as", "audit", "--from", "4"]), "e\n");
    let text = bench.ok(&["positions", "list", "audit"]);
    assert!(text.contains("audit") && !text.contains("billing"), "{text}");
    assert_eq!(bench.json(&["positions", "list"]).as_array().map(Vec::len), Some(2));
}

#[test]
fn positions_are_reset_and_deleted() {
    let bench = Bench::new();
    bench.run_with(&["import", "-", "--topic", "t", "--partitions", "2"], b"a\nb\n");
    assert_eq!(bench.json(&["positions", "reset", "c", "--topic", "t", "--to", "earliest"])["reset"], "c");
    assert_eq!(bench.json(&["positions", "list", "c"]).as_array().map(Vec::len), Some(2));
    let ran = bench.run(&["positions", "reset", "c", "--topic", "t", "--to", "1"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("--partition"), "{}", ran.err);
    let ran = bench.run(&["positions", "reset", "c", "--topic", "t", "--to", "9", "--partition", "0"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("offset 9"), "{}", ran.err);
    assert_eq!(bench.run(&["positions", "reset", "a b", "--topic", "t", "--to", "latest"]).code, 2);
    bench.ok(&["positions", "reset", "c", "--topic", "t", "--to", "@0", "--partition", "1"]);
    assert_eq!(bench.json(&["positions", "delete", "c"])["deleted"], "c");
    assert_eq!(bench.json(&["positions", "list"]).as_array().map(Vec::len), Some(0));
    let ran = bench.run(&["positions", "delete", "c"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("no positions"), "{}", ran.err);
}

#[test]
fn from_a_time() {
    let bench = Bench::new();
    bench.import("t", b"a\nb\n");
    let consume = |from: &str| bench.ok(&["consume", "--topic", "t", "--from", from]);
    assert_eq!(consume("@0"), "a\nb\n");
    assert_eq!(consume("@2010-12-01T08:26:00Z"), "a\nb\n");
    assert_eq!(consume("@9000-01-01"), "");
    let at = bench.records(&["--topic", "t"])[0]["timestamp"].as_i64().expect("a number");
    assert_eq!(consume(&format!("@{at}")), "a\nb\n");
}
