//! `thalweg dump`: the frames of a partition as they lie on the device.

use std::ops::ControlFlow;

use serde::Serialize;
use thalweg::FrameInfo;

use crate::args::{Dump, Global};
use crate::failure::Failure;
use crate::output::Output;
use crate::store::{self, Missing};

/// A frame as JSON; damage has the kind `damage` and says why.
#[derive(Serialize)]
struct Row<'a> {
    segment: u32,
    generation: String,
    position: u64,
    size: u64,
    kind: &'static str,
    base_offset: u64,
    count: u64,
    append_time: i64,
    durable: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    term: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<&'a str>,
}

pub(crate) fn run(global: &Global, args: &Dump, output: &mut Output) -> Result<(), Failure> {
    let engine = store::open(global, Missing::Refuse)?;
    let topic = store::topic(&engine, &args.topic)?;
    store::check_partition(&args.topic, args.partition, topic.partitions())?;
    let from = topic.describe()?.partitions[args.partition as usize].log_start;
    let (mut result, mut damaged, mut segment) = (Ok(()), false, None);
    topic.dump_frames(args.partition, from, |frame| {
        damaged |= frame.damage.is_some();
        let first_of_segment = segment.replace(frame.segment) != Some(frame.segment);
        result = if output.is_json() { output.json(&Row::new(frame)) } else { text(frame, first_of_segment, output) };
        if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    result?;
    if damaged { Err(Failure::Damaged) } else { Ok(()) }
}

/// One line for a frame, and one before the first of each segment.
fn text(frame: &FrameInfo, first_of_segment: bool, output: &mut Output) -> Result<(), Failure> {
    if first_of_segment {
        output.line(&format!("segment {} generation {:016x}", frame.segment, frame.generation))?;
        let head = ["position", "size", "kind", "offset", "count", "durable below", "appended"];
        output.line(&columns(head.map(String::from)))?;
    }
    let durable = frame.durable.map_or("-".into(), |offset| offset.to_string());
    let when = match &frame.damage {
        None => utc(frame.append_time) + &frame.term.map_or(String::new(), |term| format!(" term {term}")),
        Some(why) => why.clone(),
    };
    let numbers = [frame.position, frame.size, frame.base_offset, frame.count].map(|n| n.to_string());
    let [position, size, offset, count] = numbers;
    output.line(&columns([position, size, frame.kind.into(), offset, count, durable, when]))
}

fn columns([position, size, kind, offset, count, durable, when]: [String; 7]) -> String {
    format!("{position:>12} {size:>10}  {kind:<12}{offset:>12} {count:>7} {durable:>14}  {when}")
}

impl Row<'_> {
    fn new(frame: &FrameInfo) -> Row<'_> {
        Row {
            segment: frame.segment,
            generation: format!("{:016x}", frame.generation),
            position: frame.position,
            size: frame.size,
            kind: frame.kind,
            base_offset: frame.base_offset,
            count: frame.count,
            append_time: frame.append_time,
            durable: frame.durable,
            term: frame.term,
            damage: frame.damage.as_deref(),
        }
    }
}

/// Milliseconds since 1970 as a date and a time.
fn utc(ms: i64) -> String {
    let (days, ms) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    // Years are counted from March, so that the day that some years have more is the last one; eras have 400 years.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + carry;
    let (hour, minute, second, ms) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(utc(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(utc(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(utc(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(utc(1_291_191_960_123), "2010-12-01T08:26:00.123Z");
        assert_eq!(utc(4_107_542_399_999), "2100-02-28T23:59:59.999Z");
        assert_eq!(utc(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
    }
}
