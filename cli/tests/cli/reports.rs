//! `topic`, `verify`, `dump`, `info`, as text and as JSON.

use crate::run::Bench;

#[test]
fn topics_are_listed_described_and_deleted() {
    let bench = Bench::new();
    bench.import("orders", b"a\nb\n");
    bench.run_with(&["import", "-", "--topic", "payments", "--partitions", "2"], b"c\n");
    let list = bench.json(&["topic", "list"]);
    let names: Vec<&str> = list.as_array().expect("a list").iter().filter_map(|t| t["topic"].as_str()).collect();
    assert_eq!(names, ["orders", "payments"]);
    assert_eq!(list[0]["offsets"], 2);
    assert_eq!(list[0]["durability"], "durable");
    let text = bench.ok(&["topic", "list"]);
    assert!(text.starts_with("topic ") && text.contains("orders") && text.contains("payments"), "{text}");

    let orders = bench.json(&["topic", "describe", "orders"]);
    assert_eq!(orders["partitions"][0]["high_watermark"], 2);
    assert_eq!(orders["partitions"][0]["log_start"], 0);
    assert_eq!(orders["partitions"][0]["damaged"].as_array().map(Vec::len), Some(0));
    assert!(orders["partitions"][0]["failed"].is_null());
    assert!(bench.ok(&["topic", "describe", "payments"]).contains("topic payments, 2 partitions"));

    assert_eq!(bench.json(&["topic", "delete", "orders"])["deleted"], "orders");
    assert_eq!(bench.json(&["topic", "list"]).as_array().map(Vec::len), Some(1));
    assert_eq!(bench.run(&["consume", "--topic", "orders"]).code, 1);
    assert_eq!(bench.consume("payments"), b"c\n");
}

#[test]
fn verify_reads_everything() {
    let bench = Bench::new();
    bench.import("t", b"a\nb\nc\n");
    let report = bench.json(&["verify"]);
    assert_eq!(report["records"], 3);
    assert_eq!(report["damaged"].as_array().map(Vec::len), Some(0));
    assert!(bench.ok(&["verify"]).contains("no damage"));
}

#[test]
fn dump_shows_frames() {
    let bench = Bench::new();
    bench.import("t", b"a\nb\nc\n");
    let text = bench.ok(&["dump", "t", "--partition", "0"]);
    assert!(text.contains("data"), "{text}");
    let frames = bench.ok(&["dump", "t", "--partition", "0", "--json"]);
    let frames: Vec<serde_json::Value> =
        frames.lines().map(|line| serde_json::from_str(line).expect("one JSON value per line")).collect();
    let records: u64 =
        frames.iter().filter(|f| f["kind"] == "data").map(|f| f["count"].as_u64().expect("a count")).sum();
    assert_eq!(records, 3);
}

#[test]
fn info_tells_the_runtime_and_why() {
    let bench = Bench::new();
    bench.import("t", b"a\n");
    for runtime in ["auto", "posix"] {
        let info = bench.json(&["info", "--runtime", runtime]);
        assert_eq!(info["memory_budget"], 64 << 20);
        assert!(info["alignment"].as_u64().expect("a number") >= 512);
        let used = info["runtime"].as_str().expect("text");
        assert!(runtime == "auto" || used == runtime, "{used}");
        let registered = info["registered_memory"].as_u64().expect("a number");
        assert!(used == "uring" || registered == 0, "{info}");
        assert!(!info["registered_reason"].as_str().expect("text").is_empty());
        assert!(!info["durable_primitive"].as_str().expect("text").is_empty());
    }
    let text = bench.ok(&["info"]);
    for name in ["runtime", "registered", "durable writes", "alignment", "memory budget"] {
        assert!(text.contains(name), "{text}");
    }
}

#[test]
fn reading_commands_change_nothing_when_asked() {
    let bench = Bench::new();
    bench.import("t", b"a\nb\n");
    let root = std::fs::read(bench.store().join("MANIFEST")).expect("readable");
    assert_eq!(bench.ok(&["consume", "--topic", "t", "--read-only"]), "a\nb\n");
    assert_eq!(bench.json(&["topic", "list", "--read-only"])[0]["offsets"], 2);
    assert_eq!(bench.json(&["topic", "describe", "t", "--read-only"])["partitions"][0]["high_watermark"], 2);
    assert_eq!(bench.json(&["verify", "--read-only"])["records"], 2);
    assert!(bench.ok(&["dump", "t", "--partition", "0", "--read-only"]).contains("data"));
    assert_eq!(bench.json(&["info", "--read-only"])["read_only"], true);
    assert_eq!(std::fs::read(bench.store().join("MANIFEST")).expect("readable"), root, "not one commit was made");
    let changing: [&[&str]; 4] = [
        &["topic", "delete", "t", "--read-only"],
        &["import", "-", "--topic", "t", "--read-only"],
        &["kv", "put", "t", "key", "value", "--read-only"],
        &["positions", "delete", "c", "--read-only"],
    ];
    for args in changing {
        let ran = bench.run(args);
        assert_eq!(ran.code, 2, "{}", ran.err);
        assert!(ran.err.contains("--read-only"), "{}", ran.err);
    }
}

#[test]
fn info_tells_later_what_was_measured_when_the_store_was_made() {
    let bench = Bench::new();
    bench.import("t", b"a\n");
    let reason = bench.json(&["info"])["durable_reason"].as_str().expect("text").to_owned();
    assert!(reason.contains("RWF_DSYNC"), "{reason}");
    assert!(bench.ok(&["info"]).contains(&reason));
}
