//! Damage on the device: a typed error that names the range, and everything else readable.

mod common;

use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{open, pattern, topic};
use thalweg::{Engine, ErrorKind, FrameInfo, Record, Runtime, Start, Target, Topic};

const RECORDS: u64 = 300;
const VALUE: usize = 5_000;

fn segment_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(segment_files(&path)),
            false if path.extension().is_some_and(|e| e == "segment") => found.push(path),
            false => {}
        }
    }
    found.sort();
    found
}

fn flip(path: &Path, position: u64) {
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).expect("opened");
    let mut byte = [0];
    file.read_exact_at(&mut byte, position).expect("read");
    file.write_all_at(&[byte[0] ^ 0x10], position).expect("written");
    file.sync_all().expect("synced");
}

fn frames(topic: &Topic) -> Vec<FrameInfo> {
    let mut frames = Vec::new();
    topic
        .dump_frames(0, 0, |frame| {
            frames.push(frame.clone());
            ControlFlow::Continue(())
        })
        .expect("dumped");
    frames
}

/// A store of one partition with [`RECORDS`] records, closed; and where its data frames are.
fn store(dir: &Path, runtime: Runtime) -> (PathBuf, Vec<FrameInfo>) {
    let engine = open(dir, runtime);
    let topic = topic(&engine, 1);
    let tickets: Vec<_> = (0..RECORDS)
        .map(|i| {
            let value = pattern(i, VALUE);
            topic.submit(Target::Partition(0), &[Record::new(&value)], Default::default()).expect("submitted")
        })
        .collect();
    for ticket in &tickets {
        ticket.wait(None).expect("durable");
    }
    engine.close().expect("closed");
    let engine = open(dir, runtime);
    let all = frames(&engine.topic("t").expect("there"));
    engine.close().expect("closed");
    let data: Vec<FrameInfo> = all.into_iter().filter(|frame| frame.kind == "data").collect();
    assert_eq!(data.iter().map(|frame| frame.count).sum::<u64>(), RECORDS);
    let last = segment_files(&dir.join("segments")).pop().expect("a segment");
    let number = data.last().expect("frames").segment;
    (last, data.into_iter().filter(|frame| frame.segment == number).collect())
}

/// Reads everything, and goes on behind each damaged range: the offsets that were read, and the ranges.
fn read_around(topic: &Topic) -> (Vec<u64>, Vec<(u64, u64)>) {
    let (mut read, mut damaged) = (Vec::new(), Vec::new());
    let mut reader = topic.reader(0, Start::Earliest).expect("a reader");
    loop {
        match reader.next(64 << 10, Some(Duration::ZERO)) {
            Ok(batch) if batch.is_empty() => return (read, damaged),
            Ok(batch) => {
                for record in &batch {
                    assert!(record.value == Some(&pattern(record.offset, VALUE)[..]));
                    read.push(record.offset);
                }
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                let range = error.damaged().expect("the range is named").clone();
                assert_eq!((range.topic.as_str(), range.partition), ("t", 0));
                assert_eq!(range.start, reader.offset());
                assert!(error.message().contains(&format!("offsets {}..{}", range.start, range.end)), "{error}");
                damaged.push((range.start, range.end));
                reader.seek(Start::Offset(range.end)).expect("behind the damage");
            }
        }
    }
}

/// Where the first segment ends.
fn first_end(dir: &Path, runtime: Runtime) -> u64 {
    let engine = open(dir, runtime);
    let all = frames(&engine.topic("t").expect("there"));
    let last = all.iter().rfind(|frame| frame.kind == "data" && frame.segment == all[0].segment);
    last.map(|frame| frame.base_offset + frame.count).expect("frames")
}

fn pipe(path: &Path) {
    let path = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).expect("no zero byte");
    // SAFETY: the path is a zero-terminated string that outlives the call.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
}

fn check(dir: &Path, runtime: Runtime, lost: &[u64]) {
    let engine = open(dir, runtime);
    let topic = engine.topic("t").expect("there");
    let (read, damaged) = read_around(&topic);
    let expected: Vec<u64> = (0..RECORDS).filter(|offset| !lost.contains(offset)).collect();
    assert_eq!(read, expected);
    let named: Vec<u64> = damaged.iter().flat_map(|(start, end)| *start..*end).collect();
    assert_eq!(named, lost);
    // By single reads too.
    for &offset in lost {
        let error = topic.read(0, offset, 1).expect_err("damaged");
        assert!(error.damaged().is_some_and(|range| (range.start..range.end).contains(&offset)), "{error}");
    }
    let mut told = Vec::new();
    let report = engine.verify(|range| told.push(range.clone())).expect("verified");
    assert_eq!(told, report.damaged);
    assert_eq!(report.damaged.iter().flat_map(|range| range.start..range.end).collect::<Vec<_>>(), lost);
    assert_eq!(report.records, RECORDS - lost.len() as u64);
    assert_eq!(frames(&topic).iter().filter(|f| f.damage.is_some()).map(|f| f.count).sum::<u64>(), lost.len() as u64);
}

for_each_runtime! {
    fn a_rotten_body_costs_its_batch(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, frames) = store(dir.path(), runtime);
        let hit = &frames[frames.len() / 2];
        flip(&file, hit.position + 2_000);
        check(dir.path(), runtime, &[hit.base_offset]);
    }

    fn two_rotten_bodies_cost_two_batches_and_neighbours_are_one_range(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, frames) = store(dir.path(), runtime);
        for hit in [&frames[3], &frames[10], &frames[11]] {
            flip(&file, hit.position + 100);
        }
        let lost: Vec<u64> = [3, 10, 11].map(|i: usize| frames[i].base_offset).to_vec();
        check(dir.path(), runtime, &lost);
    }

    fn a_rotten_header_costs_what_comes_before_the_next_landmark(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, frames) = store(dir.path(), runtime);
        let hit = &frames[frames.len() / 2];
        flip(&file, hit.position);
        let engine = open(dir.path(), runtime);
        let (read, damaged) = read_around(&engine.topic("t").expect("there"));
        let [(start, end)] = damaged[..] else { panic!("{damaged:?}") };
        assert_eq!(start, hit.base_offset);
        assert!((1..=10).contains(&(end - start)), "an index entry stands at least every 32 KiB: {start}..{end}");
        assert_eq!(read.len() as u64, RECORDS - (end - start));
    }

    fn a_rotten_or_missing_index_is_made_anew(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, frames) = store(dir.path(), runtime);
        let last = frames.last().expect("frames");
        let footer = (last.position + last.size).next_multiple_of(4096);
        for position in footer..footer + 64 {
            flip(&file, position);
        }
        check(dir.path(), runtime, &[]);
        let bytes = std::fs::metadata(&file).expect("there").len();
        let handle = std::fs::OpenOptions::new().write(true).open(&file).expect("opened");
        handle.set_len(footer).expect("cut");
        drop(handle);
        assert!(bytes > footer);
        check(dir.path(), runtime, &[]);
    }

    fn a_segment_header_is_not_needed_to_read(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, _) = store(dir.path(), runtime);
        (0..64).for_each(|position| flip(&file, position));
        check(dir.path(), runtime, &[]);
    }

    /// A store whose headers had all been overwritten was called free of damage.
    fn damaged_headers_and_footers_are_told_and_cost_no_record(runtime: Runtime) {
        let copies = |dir: &Path| {
            let engine = open(dir, runtime);
            let report = engine.verify(|range| panic!("{range}")).expect("verified");
            assert_eq!((report.damaged.len(), report.records), (0, RECORDS));
            report.damaged_copies
        };
        let dir = tempfile::tempdir().expect("a directory");
        let (last, frames) = store(dir.path(), runtime);
        let files = segment_files(&dir.path().join("segments"));
        assert_eq!(copies(dir.path()), Vec::<String>::new());

        files.iter().for_each(|file| flip(file, 100));
        let told = copies(dir.path());
        assert_eq!(told.len(), files.len(), "{told:?}");
        assert!(told.iter().all(|why| why.contains("topic \"t\" partition 0 segment ") && why.contains("header: ")));
        files.iter().for_each(|file| flip(file, 100));
        assert_eq!(copies(dir.path()), Vec::<String>::new());

        // Whole, but where another one belongs.
        let swap = |from: &Path| {
            let sector = std::fs::read(from).expect("read")[..4096].to_vec();
            let file = std::fs::OpenOptions::new().write(true).open(&last).expect("opened");
            file.write_all_at(&sector, 0).expect("written");
        };
        let aside = dir.path().join("aside");
        std::fs::copy(&last, &aside).expect("copied");
        swap(&files[0]);
        assert!(matches!(&copies(dir.path())[..], [why] if why.contains("header: it is another segment's")));
        swap(&aside);

        let end = frames.last().map(|frame| (frame.position + frame.size).next_multiple_of(4096)).expect("frames");
        flip(&last, end + 1);
        assert!(matches!(&copies(dir.path())[..], [why] if why.contains("footer: ")));
        std::fs::OpenOptions::new().write(true).open(&last).and_then(|file| file.set_len(end)).expect("cut");
        assert!(matches!(&copies(dir.path())[..], [why] if why.contains("footer: the file ends")));
    }

    fn a_file_that_is_cut_short_under_the_reader_is_damage_and_no_signal(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, frames) = store(dir.path(), runtime);
        let engine = open(dir.path(), runtime);
        let topic = engine.topic("t").expect("there");
        topic.read(0, frames[0].base_offset, 1).expect("whole as yet");
        let cut = frames[frames.len() / 2].position.next_multiple_of(4096);
        std::fs::OpenOptions::new().write(true).open(&file).and_then(|f| f.set_len(cut)).expect("cut");
        engine.close().expect("closed");
        let engine = open(dir.path(), runtime);
        let (read, damaged) = read_around(&engine.topic("t").expect("there"));
        assert!(damaged.last().is_some_and(|(_, end)| *end == RECORDS), "{damaged:?}");
        assert!(read.len() as u64 + 20 >= frames[frames.len() / 2].base_offset);
    }

    // One file that cannot be opened ended verification, and its reads said neither what nor where.
    fn a_segment_without_its_file_costs_its_own_offsets(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let (last, frames) = store(dir.path(), runtime);
        let files = segment_files(&dir.path().join("segments"));
        assert!(files.len() > 1, "{files:?}");
        let behind = frames[0].base_offset;
        for (file, lost) in [(&last, behind..RECORDS), (&files[0], 0..first_end(dir.path(), runtime))] {
            let lost: Vec<u64> = lost.collect();
            let aside = dir.path().join("aside");
            std::fs::rename(file, &aside).expect("moved");
            check(dir.path(), runtime, &lost);
            std::fs::create_dir(file).expect("a directory in its place");
            check(dir.path(), runtime, &lost);
            std::fs::remove_dir(file).expect("removed");
            std::os::unix::fs::symlink(&aside, file).expect("a link in its place");
            check(dir.path(), runtime, &lost);
            std::fs::remove_file(file).expect("removed");
            pipe(file);
            check(dir.path(), runtime, &lost);
            std::fs::remove_file(file).expect("removed");
            std::fs::rename(&aside, file).expect("moved back");
            check(dir.path(), runtime, &[]);
        }
    }

    // Opening it to be read only waited for somebody to write to it.
    fn a_pipe_in_the_place_of_the_manifest_is_an_error(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        open(dir.path(), runtime).close().expect("closed");
        let manifest = dir.path().join("MANIFEST");
        std::fs::remove_file(&manifest).expect("removed");
        pipe(&manifest);
        for read_only in [false, true] {
            let error = Engine::open(dir.path(), common::options(runtime).read_only(read_only)).expect_err("no file");
            assert!(error.message().contains("not a regular file"), "{error}");
        }
    }

    fn a_later_version_is_unsupported_and_not_corrupt(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        store(dir.path(), runtime);
        // Magic, version, and the check of both are the first sixteen bytes of each root.
        let manifest = dir.path().join("MANIFEST");
        let bytes = std::fs::read(&manifest).expect("read");
        let mut head = bytes[..12].to_vec();
        head[8..12].copy_from_slice(&2u32.to_le_bytes());
        let check = crc32fast::hash(&head);
        head.extend(check.to_le_bytes());
        let file = std::fs::OpenOptions::new().write(true).open(&manifest).expect("opened");
        file.write_all_at(&head, 0).expect("written");
        file.write_all_at(&head, 4096).expect("written");
        let error = Engine::open(dir.path(), common::options(runtime)).expect_err("of a later version");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
}
