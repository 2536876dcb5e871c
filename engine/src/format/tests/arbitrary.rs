//! Records, places and stamps of every shape.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::partition;
use crate::format::frame::{Fields, Kind, Place, Stamp, seal};
use crate::format::plan::Plan;
use crate::format::record::{Record, RecordHeader};
use crate::ids::Generation;
use crate::limits::TIME_MAX;

/// A record that owns its parts.
#[derive(Clone, Debug, Default)]
pub(super) struct Owned {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    pub timestamp: Option<i64>,
}

impl Owned {
    pub(super) fn headers(&self) -> Vec<RecordHeader<'_>> {
        self.headers.iter().map(|(name, value)| RecordHeader { name, value: value.as_deref() }).collect()
    }
}

/// Calls `with` with records that borrow from `owned`.
pub(super) fn borrowed<T>(owned: &[Owned], with: impl FnOnce(&[Record<'_>]) -> T) -> T {
    let headers: Vec<_> = owned.iter().map(Owned::headers).collect();
    let records: Vec<_> = owned
        .iter()
        .zip(&headers)
        .map(|(record, headers)| Record {
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers,
            timestamp: record.timestamp,
        })
        .collect();
    with(&records)
}

/// The frame that records become, as an append makes it.
pub(super) fn frame(records: &[Record<'_>], place: &Place, stamp: Stamp) -> Vec<u8> {
    frame_of_term(records, None, place, stamp)
}

/// The same with a term.
pub(super) fn frame_of_term(records: &[Record<'_>], term: Option<u64>, place: &Place, stamp: Stamp) -> Vec<u8> {
    let plan = Plan::new(records).expect("the records are within the limits");
    let plan = term.map_or(Ok(plan), |term| plan.with_term(term)).expect("it stays within the limits");
    // Memory that was used before: nothing may rely on zeros.
    let mut frame = vec![0xa5; plan.frame_size()];
    plan.encode(records, &mut frame);
    seal(&mut frame, place, &plan.fields(stamp));
    frame
}

/// A frame of one kind with a body as given and count 1.
pub(super) fn raw(kind: Kind, flags: u16, optional: &[u8], body: &[u8], place: &Place, stamp: Stamp) -> Vec<u8> {
    let used = 40 + optional.len() + body.len();
    let mut frame = vec![0; used.next_multiple_of(8)];
    frame[40..40 + optional.len()].copy_from_slice(optional);
    frame[40 + optional.len()..used].copy_from_slice(body);
    let pad = (frame.len() - used) as u8;
    let optional_size = optional.len() as u16;
    let fields = Fields { kind, flags, pad, count: 1, key_size: 0, optional_size, create_time: None, stamp };
    seal(&mut frame, place, &fields);
    frame
}

pub(super) fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => vec(any::<u8>(), 0..40),
        2 => vec(any::<u8>(), 40..400),
        1 => (65_530usize..65_545, any::<u8>()).prop_map(|(size, byte)| vec![byte; size]),
    ]
}

pub(super) fn time() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => 1_600_000_000_000i64..1_800_000_000_000,
        1 => Just(0),
        1 => Just(TIME_MAX),
        1 => Just(-TIME_MAX),
        1 => -TIME_MAX..TIME_MAX,
    ]
}

pub(super) fn record() -> impl Strategy<Value = Owned> {
    let headers = vec((".{0,12}", option::of(vec(any::<u8>(), 0..20))), 0..4);
    let headers = prop_oneof![3 => Just(Vec::new()), 1 => headers];
    (option::of(bytes()), option::of(bytes()), headers, option::of(time()))
        .prop_map(|(key, value, headers, timestamp)| Owned { key, value, headers, timestamp })
}

pub(super) fn records() -> impl Strategy<Value = Vec<Owned>> {
    prop_oneof![2 => vec(record(), 1..2), 3 => vec(record(), 2..12)]
}

/// A place and a stamp that fit each other; bases lie anywhere, near the ends of u64 too.
pub(super) fn spot() -> impl Strategy<Value = (Place, Stamp)> {
    let base = prop_oneof![
        0u64..1000,
        Just((1 << 63) - 1),
        Just(1 << 63),
        (u64::MAX - (1 << 33))..(u64::MAX - (1 << 32) - 70_000),
        any::<u64>().prop_map(|base| base >> 2),
    ];
    let lag = prop_oneof![Just(None), Just(Some(0u32)), (0u32..u32::MAX).prop_map(Some)];
    (any::<u64>(), any::<u32>(), any::<u32>(), 0u64..1 << 30, base, any::<u32>(), 0..=TIME_MAX, lag).prop_map(
        |(generation, topic, index, position, segment_base, relative, append_time, lag)| {
            let base_offset = segment_base + u64::from(relative);
            let place = Place {
                partition: partition(topic, index),
                generation: Generation(generation),
                position: position * 8,
                segment_base,
            };
            let durable = lag.map(|lag| base_offset.saturating_sub(u64::from(lag)));
            (place, Stamp { base_offset, append_time, durable })
        },
    )
}
