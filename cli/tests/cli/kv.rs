//! `thalweg kv`.

use crate::run::Bench;

#[test]
fn values_are_put_got_listed_and_deleted() {
    let bench = Bench::new();
    bench.import("t", b"a\n");
    assert_eq!(bench.ok(&["kv", "put", "t", "vote", "node-2"]), "");
    let ran = bench.run_with(&["kv", "put", "t", "raw", "-"], b"\xff\xfe");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(bench.ok(&["kv", "get", "t", "vote"]), "node-2", "byte for byte");
    assert_eq!(bench.json(&["kv", "get", "t", "raw"])["value_base64"], "//4=");
    let listed = bench.json(&["kv", "list", "t"]);
    assert_eq!((listed[0]["key"].as_str(), listed[1]["value"].as_str()), (Some("raw"), Some("node-2")));
    assert_eq!(bench.ok(&["kv", "list", "t", "--prefix", "v"]), "vote = node-2\n");
    assert_eq!(bench.json(&["kv", "delete", "t", "vote"])["deleted"], "vote");
    for command in ["get", "delete"] {
        let ran = bench.run(&["kv", command, "t", "vote"]);
        assert_eq!((ran.code, ran.out.len()), (1, 0));
        assert!(ran.err.contains("no value of \"vote\""), "{}", ran.err);
    }
    assert_eq!(bench.run(&["kv", "put", "t", "", "v"]).code, 2);
    assert_eq!(bench.run(&["kv", "put", "t", &"k".repeat(1025), "v"]).code, 1);
}
