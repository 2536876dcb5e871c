//! `thalweg import`.

use crate::run::{Bench, arg};

#[test]
fn what_goes_in_comes_out() {
    let cases: [(&[u8], &[u8]); 7] = [
        (b"", b""),
        (b"\n", b"\n"),
        (b"one\ntwo\n", b"one\ntwo\n"),
        (b"no line feed at the end", b"no line feed at the end\n"),
        (b"\n\nbetween empty lines\n\n", b"\n\nbetween empty lines\n\n"),
        (b"carriage\r\nreturns\r\nstay\r", b"carriage\r\nreturns\r\nstay\r\n"),
        (b"\0\xff\xfe\x1b binary\n\xc3\x28\n", b"\0\xff\xfe\x1b binary\n\xc3\x28\n"),
    ];
    for (input, output) in cases {
        let bench = Bench::new();
        bench.import("t", input);
        assert_eq!(bench.consume("t"), output, "{:?}", String::from_utf8_lossy(input));
    }
}

#[test]
fn an_empty_file_creates_the_topic() {
    let bench = Bench::new();
    let file = bench.file("empty", b"");
    let report = bench.json(&["import", arg(&file), "--topic", "t", "--partitions", "3"]);
    assert_eq!(report["records"], 0);
    assert_eq!(report["bytes"], 0);
    assert_eq!(bench.json(&["topic", "list"])[0]["partitions"], 3);
}

#[test]
fn several_files_follow_one_another() {
    let bench = Bench::new();
    let (first, second) = (bench.file("1", b"a\nb"), bench.file("2", b"c\n"));
    let report = bench.json(&["import", arg(&first), arg(&second), "--topic", "t"]);
    assert_eq!(report["records"], 3);
    assert_eq!(report["bytes"], 5);
    assert_eq!(bench.consume("t"), b"a\nb\nc\n");
}

#[test]
fn the_report_names_records_bytes_seconds_and_rate() {
    let bench = Bench::new();
    let file = bench.file("f", b"a\nbb\n");
    let text = bench.ok(&["import", arg(&file), "--topic", "t"]);
    assert!(text.starts_with("imported 2 records, 5 bytes, in "), "{text}");
    assert!(text.contains(" records/s, "), "{text}");
}

#[test]
fn a_missing_file_stops_everything_before_it_begins() {
    let bench = Bench::new();
    let file = bench.file("f", b"a\n");
    let ran = bench.run(&["import", arg(&file), "nowhere/f", "--topic", "t"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("nowhere/f: No such file"), "{}", ran.err);
    assert!(!bench.store().exists());
    let ran = bench.run(&["import", "/", "--topic", "t"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("is a directory"), "{}", ran.err);
}

#[test]
fn another_number_of_partitions_is_an_error() {
    let bench = Bench::new();
    bench.import("t", b"a\n");
    let ran = bench.run_with(&["import", "-", "--topic", "t", "--partitions", "2"], b"b\n");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("--partitions asks for 2, but topic \"t\" has 1"), "{}", ran.err);
    let ran = bench.run_with(&["import", "-", "--topic", "t", "--partitions", "1"], b"b\n");
    assert_eq!(ran.code, 0);
    assert_eq!(bench.consume("t"), b"a\nb\n");
}

#[test]
fn the_key_is_a_field_by_number() {
    let bench = Bench::new();
    let file = bench.file("f", b"1;\"a;b\"\r\n2;\"say \"\"hi\"\"\"\n3;\n4\n\n");
    let args = ["import", arg(&file), "--topic", "t", "--delimiter", ";", "--key-column", "2", "--partitions", "1"];
    let report = bench.json(&args);
    assert_eq!(report["records"], 5);
    assert_eq!(report["without_key"], 2);
    let records = bench.records(&["--topic", "t"]);
    let by_value = |value: &str| {
        let found = records.iter().find(|r| r["value"] == value);
        found.unwrap_or_else(|| panic!("no record {value:?} in {records:?}"))["key"].clone()
    };
    assert_eq!(by_value("1;\"a;b\"\r"), "a;b");
    assert_eq!(by_value("2;\"say \"\"hi\"\"\""), "say \"hi\"");
    assert_eq!(by_value("3;"), "");
    assert!(by_value("4").is_null());
    assert!(by_value("").is_null());
}

#[test]
fn the_key_is_a_field_by_name_and_every_file_has_a_header() {
    let bench = Bench::new();
    let (first, second) = (bench.file("1", b"id,who\n1,ann\n"), bench.file("2", b"who,id\nbob,2\n"));
    let report = bench.json(&["import", arg(&first), arg(&second), "--topic", "t", "--key-column", "who"]);
    assert_eq!(report["records"], 2);
    let keys: Vec<String> = bench.records(&["--topic", "t"]).iter().map(|r| r["key"].to_string()).collect();
    assert_eq!(keys, ["\"ann\"", "\"bob\""]);
    let ran = bench.run(&["import", arg(&first), "--topic", "t", "--key-column", "nobody"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("no column \"nobody\"; its first line names: id, who"), "{}", ran.err);
}

#[test]
fn equal_keys_share_a_partition_and_keep_their_order() {
    let bench = Bench::new();
    let lines: String = (0..20_000).map(|n| format!("{n},key-{}\n", n % 37)).collect();
    let file = bench.file("f", lines.as_bytes());
    bench.ok(&["import", arg(&file), "--topic", "t", "--partitions", "5", "--key-column", "2"]);
    let mut last = std::collections::BTreeMap::new();
    let records = bench.records(&["--topic", "t"]);
    assert_eq!(records.len(), 20_000);
    let mut partitions = std::collections::BTreeSet::new();
    for record in &records {
        let value = record["value"].as_str().expect("text");
        let (number, key) = value.split_once(',').expect("two fields");
        let number: u64 = number.parse().expect("a number");
        assert_eq!(record["key"], key);
        let partition = record["partition"].as_u64().expect("a number");
        partitions.insert(partition);
        if let Some((home, before)) = last.insert(key.to_string(), (partition, number)) {
            assert_eq!(home, partition, "{key} moved");
            assert!(before < number, "{key} is out of order");
        }
    }
    assert!(partitions.len() > 1);
}

#[test]
fn an_open_quotation_mark_names_its_line() {
    let bench = Bench::new();
    let file = bench.file("orders.csv", b"1,ok\n2,\"open\n3\"\n");
    let ran = bench.run(&["import", arg(&file), "--topic", "t", "--key-column", "2"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("orders.csv line 2: opens a quotation mark"), "{}", ran.err);
}

#[test]
fn a_line_longer_than_a_record_names_its_line() {
    let bench = Bench::new();
    let mut lines = b"short\n".to_vec();
    lines.extend(vec![b'x'; thalweg::limits::RECORD_MAX + 1]);
    let file = bench.file("f", &lines);
    let ran = bench.run(&["import", arg(&file), "--topic", "t"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("line 2: is longer than the largest record"), "{}", ran.err);
    let place = format!("{} line 2", arg(&file));
    let told = format!("\n1 record is durable: all before {place}, and none from there on");
    assert!(ran.err.contains(&told), "{}", ran.err);
    assert_eq!(bench.consume("t"), b"short\n");
}

#[test]
fn lines_of_every_size_around_what_is_read_at_once() {
    let bench = Bench::new();
    let mut input = Vec::new();
    for size in [0, 1, 4095, 4096, 65_535, 65_536, 65_537, 131_072, 1_048_575, 1_048_576, 1_048_577, 9_000_000] {
        input.extend((0..size).map(|i| b'a' + (i % 23) as u8));
        input.push(b'\n');
    }
    bench.import("t", &input);
    assert!(bench.consume("t") == input, "some line came back changed");
}

#[test]
fn real_input_with_keys() {
    let bench = Bench::new();
    let real = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/online_retail_2010-12.csv");
    let report = bench.json(&["import", real, "--topic", "sales", "--partitions", "4", "--key-column", "CustomerID"]);
    assert_eq!(report["records"], 14_594);
    assert_eq!(report["without_key"], 0);
    let text = std::fs::read_to_string(real).expect("committed");
    let mut expected: Vec<&str> = text.lines().skip(1).collect();
    let output = String::from_utf8(bench.consume("sales")).expect("text in, text out");
    let mut found: Vec<&str> = output.lines().collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
}

/// The topic was created before anybody looked whether its keys could be found.
#[test]
fn a_column_that_no_first_line_names_stops_everything_before_it_begins() {
    let bench = Bench::new();
    let (good, bad) = (bench.file("good", b"id,who\n1,ann\n"), bench.file("bad", b"id,name\n1,ann\n"));
    let ran = bench.run(&["import", arg(&good), arg(&bad), "--topic", "t", "--key-column", "who"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("bad has no column \"who\"; its first line names: id, name"), "{}", ran.err);
    assert!(!bench.store().exists(), "not even the store");
    bench.import("other", b"a\n");
    let args = ["import", "-", "--topic", "t", "--key-column", "who"];
    let ran = bench.run_with(&args, b"id,name\n1,ann\n");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("standard input has no column \"who\""), "{}", ran.err);
    assert_eq!(bench.json(&["topic", "list"]).as_array().map(Vec::len), Some(1));
    // What was looked at is not lost.
    let ran = bench.run_with(&args, b"\xef\xbb\xbfwho,id\nann,1\nbob,2\n");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(bench.consume("t"), b"ann,1\nbob,2\n");
}

/// Lines before a bad one were dropped if their keys were found together with its own.
#[test]
fn what_precedes_a_line_that_cannot_be_imported_is_imported() {
    let bench = Bench::new();
    let lines: Vec<String> = (0..40_000).map(|n| format!("{n},key-{}", n % 37)).collect();
    for bad in [1, 2, 16_384, 16_385, 16_386, 33_333] {
        let mut input = lines.clone();
        input[bad - 1] = "7,\"open".into();
        let (file, topic) = (bench.file("f", (input.join("\n") + "\n").as_bytes()), format!("t{bad}"));
        let ran = bench.run(&["import", arg(&file), "--topic", &topic, "--partitions", "5", "--key-column", "2"]);
        assert_eq!(ran.code, 1);
        let number = match bad - 1 {
            1 => "1 record is".into(),
            n => format!("{n} records are"),
        };
        let told = format!("\n{number} durable: all before {} line {bad}, and none from there on\n", arg(&file));
        assert!(ran.err.contains(&told), "{}", ran.err);
        let output = String::from_utf8(bench.consume(&topic)).expect("text");
        let mut found: Vec<&str> = output.lines().collect();
        let mut expected: Vec<&str> = lines[..bad - 1].iter().map(String::as_str).collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert!(found == expected, "line {bad}");
    }
}

/// The message called durable what was still under way in other partitions.
#[test]
fn a_store_that_takes_no_more_says_which_lines_may_be_missing() {
    let bench = Bench::new();
    let lines: Vec<String> = (0..60_000).map(|n| format!("{n},key-{},{}", n % 37, "x".repeat(100))).collect();
    let file = bench.file("f", (lines.join("\n") + "\n").as_bytes());
    // No file may be larger than 3 MiB, so no partition gets its second segment.
    let args = ["import", arg(&file), "--topic", "t", "--partitions", "3", "--key-column", "2"];
    let ran = bench.limited(6144, &args);
    assert_eq!(ran.code, 1, "{}", ran.err);
    let told = ran.err.lines().last().expect("a message");
    let (records, rest) = told.split_once(" records are durable: all before ").expect("how many, and up to where");
    let records: usize = records.parse().expect("a number");
    let rest = rest.strip_prefix(&format!("{} line ", arg(&file))).expect("the file");
    let (line, rest) = rest.split_once(", and ").expect("the line");
    let line: usize = line.parse().expect("a number");
    assert_eq!(rest, "some from there on, of which that line may be none");
    let output = String::from_utf8(bench.consume("t")).expect("text");
    let found: std::collections::BTreeSet<&str> = output.lines().collect();
    assert_eq!(found.len(), output.lines().count(), "nothing twice");
    assert_eq!(found.len(), records);
    assert!((1..lines.len()).contains(&line), "{told}");
    assert!(lines[..line - 1].iter().all(|line| found.contains(line.as_str())), "{told}");
    assert!(!found.contains(lines[line - 1].as_str()), "the store was closed, so what may be missing is");
}

/// Three bytes that begin a line as they may begin a file were taken off its key everywhere.
#[test]
fn only_the_first_line_of_a_file_may_begin_with_a_mark() {
    let bench = Bench::new();
    let (mark, text) = ("\u{feff}", "\u{feff}a,1\n\u{feff}a,2\n\u{feff}\"b\",3\n");
    let (first, second) = (bench.file("1", text.as_bytes()), bench.file("2", text.as_bytes()));
    bench.ok(&["import", arg(&first), arg(&second), "--topic", "t", "--key-column", "1"]);
    let records = bench.records(&["--topic", "t"]);
    let keys: Vec<&str> = records.iter().filter_map(|r| r["key"].as_str()).collect();
    let (a, b) = (format!("{mark}a"), format!("{mark}\"b\""));
    assert_eq!(keys, ["a", &a, &b, "a", &a, &b]);
    assert_eq!(bench.consume("t"), [text, text].concat().as_bytes(), "values are whole lines");
}
