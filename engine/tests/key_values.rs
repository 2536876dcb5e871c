//! The key-value area of a topic, against a map, and at its limits.

mod common;

use std::collections::BTreeMap;

use proptest::prelude::*;
use thalweg::{ConsumerOptions, Engine, ErrorKind, KeyValues, Options, Position, Runtime, TopicOptions, Write};

fn contents(values: &KeyValues) -> BTreeMap<Vec<u8>, Vec<u8>> {
    values.list(b"").expect("listed").into_iter().map(|entry| (entry.key, entry.value)).collect()
}

for_each_runtime! {
    fn values_are_durable_and_each_topic_has_its_own(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = common::open(dir.path(), runtime);
        let a = engine.create_topic("a", TopicOptions::default()).expect("created");
        let b = engine.create_topic("b", TopicOptions::default()).expect("created");
        let (of_a, of_b) = (engine.key_values(&a).expect("of a"), engine.key_values(&b).expect("of b"));
        assert_eq!(of_a.get(b"k").expect("readable"), None);
        assert!(of_a.list(b"").expect("readable").is_empty());
        of_a.put(b"k", b"1").expect("put");
        of_b.put(b"k", b"").expect("put");
        of_a.batch(&[Write::Put(b"k", b"2"), Write::Put(b"key", b"3"), Write::Delete(b"none"), Write::Put(b"l", b"4")])
            .expect("changed");
        of_a.batch(&[]).expect("nothing to change");
        engine.close().expect("closed");
        assert_eq!(of_a.get(b"k").expect_err("closed").kind(), ErrorKind::Closed);

        let engine = common::open(dir.path(), runtime);
        let a = engine.topic("a").expect("there");
        let of_a = engine.key_values(&a).expect("of a");
        assert_eq!(of_a.get(b"k").expect("readable").as_deref(), Some(&b"2"[..]));
        let keys: Vec<Vec<u8>> = of_a.list(b"k").expect("listed").into_iter().map(|entry| entry.key).collect();
        assert_eq!(keys, [b"k".to_vec(), b"key".to_vec()]);
        let of_b = engine.key_values(&engine.topic("b").expect("there")).expect("of b");
        assert_eq!(of_b.get(b"k").expect("readable").as_deref(), Some(&b""[..]), "an empty value is one");
        of_b.delete(b"k").expect("deleted");
        assert_eq!(of_b.get(b"k").expect("readable"), None);
        engine.delete_topic("a").expect("deleted");
        assert_eq!(of_a.get(b"k").expect_err("deleted").kind(), ErrorKind::Deleted);
        assert_eq!(of_a.put(b"k", b"").expect_err("deleted").kind(), ErrorKind::Deleted);
        let again = engine.create_topic("a", TopicOptions::default()).expect("created");
        assert!(contents(&engine.key_values(&again).expect("of a")).is_empty());
    }

    fn limits_of_keys_values_and_batches(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = common::open(dir.path(), runtime);
        let values = engine.key_values(&common::topic(&engine, 1)).expect("values");
        let kind = |result: thalweg::Result<()>| result.err().map(|error| error.kind());
        for (size, expected) in [
            (0, Some(ErrorKind::InvalidArgument)), (1, None), (1024, None), (1025, Some(ErrorKind::TooLarge)),
        ] {
            assert_eq!(kind(values.put(&vec![1; size], b"v")), expected, "a key of {size}");
            assert_eq!(kind(values.get(&vec![1; size]).map(drop)), expected, "a key of {size}");
        }
        for (size, expected) in [(0, None), (1, None), (1 << 20, None), ((1 << 20) + 1, Some(ErrorKind::TooLarge))] {
            assert_eq!(kind(values.put(b"v", &vec![2; size])), expected, "a value of {size}");
        }
        assert_eq!(values.get(b"v").expect("readable").map(|value| value.len()), Some(1 << 20));
        let keys: Vec<[u8; 2]> = (0..1025u16).map(u16::to_be_bytes).collect();
        for (count, expected) in [(0, None), (1, None), (1024, None), (1025, Some(ErrorKind::TooLarge))] {
            let batch: Vec<Write> = keys[..count].iter().map(|key| Write::Put(key, b"")).collect();
            assert_eq!(kind(values.batch(&batch)), expected, "{count} changes");
        }
        for key in &keys {
            values.delete(key).expect("deleted");
            if key[1] > 3 { break }
        }
        // All together: eight of 1 MiB do not fit beside what is there; what is refused changes nothing.
        let large = vec![3; (1 << 20) - 200];
        let mut put = 0;
        while kind(values.put(format!("large {put}").as_bytes(), &large)).is_none() {
            put += 1;
        }
        assert_eq!(put, 6);
        assert_eq!(values.list(b"large").expect("listed").len(), 6);
        values.put(b"large 0", &large).expect("a value in the place of another is not more");
        values.delete(b"v").expect("deleted");
        values.put(b"large 6", &large).expect("there is room again");
    }

    fn what_belongs_to_deleted_topics_takes_no_room(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let mut engine = common::open(dir.path(), runtime);
        let kept = engine.create_topic("kept", TopicOptions::default()).expect("created");
        engine.key_values(&kept).expect("values").put(b"k", b"v").expect("put");
        let (value, metadata) = (vec![1; 1 << 20], vec![2; 4096]);
        for round in 0..24 {
            let topic = common::topic(&engine, 200);
            engine.key_values(&topic).expect("values").put(b"k", &value).expect("there is room");
            let mut consumer = engine.consumer(ConsumerOptions::default().name("c")).expect("a consumer");
            let position = |partition| Position { topic: &topic, partition, offset: 0, metadata: &metadata };
            consumer.commit_positions(&(0..200).map(position).collect::<Vec<_>>()).expect("there is room");
            engine.delete_topic("t").expect("deleted");
            if round == 12 {
                drop((consumer, engine));
                engine = common::open(dir.path(), runtime);
            }
        }
        let kept = engine.topic("kept").expect("there");
        assert_eq!(contents(&engine.key_values(&kept).expect("values")).len(), 1);
        let size = common::taken(dir.path());
        assert!(size < 60 << 20, "the logs are rewritten without it: {size} bytes");
    }

    fn the_log_is_rewritten_while_it_is_used(runtime: Runtime) {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = common::open(dir.path(), runtime);
        let topic = common::topic(&engine, 1);
        let values = engine.key_values(&topic).expect("values");
        std::thread::scope(|scope| {
            for thread in 0..4u8 {
                let values = values.clone();
                scope.spawn(move || {
                    for round in 0..100u8 {
                        let value = vec![round; 20_000];
                        values.batch(&[Write::Put(&[thread, 0], &value), Write::Put(&[thread, 1], &value)]).expect("put");
                        assert_eq!(values.get(&[thread, 1]).expect("readable").as_ref(), Some(&value));
                    }
                });
            }
        });
        let before = contents(&values);
        assert_eq!(before.len(), 8);
        assert!(before.values().all(|value| value[0] == 99));
        drop(engine);
        let engine = common::open(dir.path(), runtime);
        assert_eq!(contents(&engine.key_values(&engine.topic("t").expect("there")).expect("values")), before);
        assert!(std::fs::read_dir(dir.path().join("segments")).expect("there").count() <= 2, "old logs are gone");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Batch(Vec<(u8, Option<Vec<u8>>)>),
    Reopen,
    Drop,
}

fn step() -> impl Strategy<Value = Step> {
    let value = proptest::option::of(prop_oneof![proptest::collection::vec(any::<u8>(), 0..20), Just(vec![5; 60_000])]);
    prop_oneof![
        20 => proptest::collection::vec((0u8..30, value), 0..5).prop_map(Step::Batch),
        1 => Just(Step::Reopen),
        1 => Just(Step::Drop),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn it_is_a_map(steps in proptest::collection::vec(step(), 1..120)) {
        let dir = tempfile::tempdir().expect("a directory");
        let open = || Engine::open(dir.path(), Options::default().runtime(Runtime::Posix).memory_budget(64 << 20)).expect("opened");
        let mut engine = open();
        common::topic(&engine, 1);
        let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Reopen => { engine.close().expect("closed"); engine = open(); }
                Step::Drop => { drop(engine); engine = open(); }
                Step::Batch(changes) => {
                    let keys: Vec<[u8; 1]> = changes.iter().map(|(key, _)| [*key]).collect();
                    let writes: Vec<Write> = changes.iter().zip(&keys).map(|((_, value), key)| match value {
                        Some(value) => Write::Put(key, value),
                        None => Write::Delete(key),
                    }).collect();
                    engine.key_values(&engine.topic("t").expect("there")).expect("values").batch(&writes).expect("changed");
                    for (key, value) in changes {
                        match value {
                            Some(value) => drop(model.insert(vec![key], value)),
                            None => drop(model.remove(&vec![key])),
                        }
                    }
                }
            }
            prop_assert_eq!(&contents(&engine.key_values(&engine.topic("t").expect("there")).expect("values")), &model);
        }
    }
}
