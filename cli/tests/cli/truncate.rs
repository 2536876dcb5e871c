//! `thalweg truncate`.

use crate::run::Bench;

#[test]
fn either_end_is_moved() {
    let bench = Bench::new();
    bench.import("t", b"a\nb\nc\nd\ne\n");
    let truncated = bench.json(&["truncate", "--topic", "t", "--before", "2"]);
    assert_eq!(truncated["truncated"], "t");
    assert_eq!((truncated["log_start"].as_u64(), truncated["high_watermark"].as_u64()), (Some(2), Some(5)));
    assert_eq!(bench.ok(&["consume", "--topic", "t"]), "c\nd\ne\n");
    // A file is imported in batches: at its end nothing is cut, and in between the bounds are named.
    let ran = bench.run(&["truncate", "--topic", "t", "--after", "4"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("0..5"), "{}", ran.err);
    bench.import("t", b"f\n");
    let text = bench.ok(&["truncate", "--topic", "t", "--partition", "0", "--after", "5"]);
    assert_eq!(text, "topic t partition 0 now has offsets 2 to 5\n");
    bench.import("t", b"g\n");
    assert_eq!(bench.ok(&["consume", "--topic", "t"]), "c\nd\ne\ng\n");
    bench.ok(&["truncate", "--topic", "t", "--before", "100"]);
    assert_eq!(bench.ok(&["consume", "--topic", "t"]), "");
    bench.import("t", b"h\n");
    assert_eq!(bench.ok(&["consume", "--topic", "t", "--from", "100"]), "h\n");
}

#[test]
fn what_cannot_be_cut_says_why() {
    let bench = Bench::new();
    bench.run_with(&["import", "-", "--topic", "t", "--partitions", "2"], b"a\nb\n");
    for (args, code, says) in [
        (&["truncate", "--topic", "t"][..], 2, "--before"),
        (&["truncate", "--topic", "t", "--before", "1", "--after", "1"], 2, "--after"),
        (&["truncate", "--topic", "t", "--before", "1"], 2, "--partition"),
        (&["truncate", "--topic", "t", "--partition", "7", "--before", "1"], 1, "no partition 7"),
        (&["truncate", "--topic", "t", "--partition", "0", "--after", "9"], 1, "offset 9"),
        (&["truncate", "--topic", "x", "--after", "0"], 1, "no topic"),
        (&["--read-only", "truncate", "--topic", "t", "--before", "1"], 2, "--read-only"),
    ] {
        let ran = bench.run(args);
        assert_eq!(ran.code, code, "{args:?}: {}", ran.err);
        assert!(ran.err.contains(says), "{args:?}: {}", ran.err);
    }
}
