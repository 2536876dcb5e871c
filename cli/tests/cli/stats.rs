//! `stats`, and `--stats` of import and consume.

use crate::run::Bench;

fn bench() -> Bench {
    let bench = Bench::new();
    let ran = bench.run_with(&["import", "-", "--topic", "orders", "--partitions", "2"], b"a\nbb\nccc\n");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    bench
}

#[test]
fn what_lies_in_the_store_is_shown() {
    let bench = bench();
    bench.import("empty", b"");
    bench.run(&["positions", "reset", "billing", "--topic", "orders", "--to", "earliest"]);
    let report = bench.json(&["stats"]);
    assert_eq!(report["memory_budget"], 64 << 20);
    assert!(["uring", "posix"].contains(&report["runtime"].as_str().expect("text")));
    let topics = report["topics"].as_array().expect("a list");
    assert_eq!(topics.iter().map(|topic| topic["topic"].as_str()).collect::<Vec<_>>(), [Some("empty"), Some("orders")]);
    assert!(topics[0]["used"].as_array().expect("a list").is_empty(), "nothing was ever appended");
    let orders = &topics[1];
    assert_eq!((&orders["partitions"], &orders["offsets"]), (&2.into(), &3.into()));
    assert!(orders["bytes"].as_u64().expect("a number") > 0 && orders["segments"].as_u64().expect("a number") > 0);
    let used = orders["used"].as_array().expect("a list");
    assert_eq!(used.iter().map(|row| row["high_watermark"].as_u64().expect("a number")).sum::<u64>(), 3);
    assert!(used.iter().all(|row| row["log_start"] == 0 && row["failed"] == false));
    let lags = report["lags"].as_array().expect("a list");
    assert_eq!(lags.iter().map(|row| row["lag"].as_u64().expect("a number")).sum::<u64>(), 3);
    assert!(lags.iter().all(|row| row["consumer"] == "billing" && row["topic"] == "orders"));

    let text = bench.ok(&["stats"]);
    for word in ["runtime", "memory budget", "orders", "high watermark", "log start", "billing", "lag"] {
        assert!(text.contains(word), "{word} in {text}");
    }
}

#[test]
fn prometheus_gets_its_text() {
    let bench = bench();
    let text = bench.ok(&["stats", "--prometheus"]);
    assert!(text.starts_with("# HELP thalweg_info "), "{text}");
    assert!(text.contains("\nthalweg_topic_partitions{topic=\"orders\"} 2\n"), "{text}");
    assert!(text.contains("# TYPE thalweg_shard_durable_write_seconds histogram\n"), "{text}");
    let both = bench.run(&["stats", "--prometheus", "--json"]);
    assert_eq!(both.code, 2);
    assert!(both.err.contains("--prometheus") && both.out.is_empty(), "{}", both.err);
}

#[test]
fn a_store_that_is_only_read_is_not_changed() {
    let bench = bench();
    let root = std::fs::read(bench.store().join("MANIFEST")).expect("readable");
    let report = bench.json(&["stats", "--read-only"]);
    assert_eq!(report["topics"][0]["offsets"], 3);
    assert_eq!(std::fs::read(bench.store().join("MANIFEST")).expect("readable"), root, "not one commit was made");
    let missing = Bench::new();
    assert_eq!(missing.run(&["stats"]).code, 1);
    assert!(!missing.store().exists(), "asking makes no store");
}

#[test]
fn import_and_consume_tell_what_they_did() {
    let bench = Bench::new();
    let ran = bench.run_with(&["import", "-", "--topic", "t", "--stats"], b"a\nbb\n");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("appended        2 records"), "{}", ran.err);
    assert!(String::from_utf8_lossy(&ran.out).starts_with("imported 2 records"));

    let ran = bench.run(&["consume", "--topic", "t", "--stats"]);
    assert_eq!((ran.code, &ran.out[..]), (0, &b"a\nbb\n"[..]));
    assert!(ran.err.contains("from the device"), "{}", ran.err);

    let ran = bench.run(&["consume", "--topic", "t", "--stats", "--json"]);
    let metrics: serde_json::Value = serde_json::from_str(&ran.err).expect("JSON");
    assert_eq!(metrics["topics"][0]["reads"]["from_device"], 1, "{}", ran.err);
}
