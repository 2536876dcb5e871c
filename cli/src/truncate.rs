//! `thalweg truncate`.

use crate::args::{Global, Truncate};
use crate::failure::Failure;
use crate::output::Output;
use crate::store::{self, Missing};

pub(crate) fn run(global: &Global, args: &Truncate, output: &mut Output) -> Result<(), Failure> {
    let engine = store::open(global, Missing::Refuse)?;
    let topic = store::topic(&engine, &args.topic)?;
    let partition = match (args.partition, topic.partitions()) {
        (Some(partition), _) => partition,
        (None, 1) => 0,
        (None, _) => return Err(Failure::Usage("an offset belongs to one partition: name it with --partition".into())),
    };
    store::check_partition(&args.topic, partition, topic.partitions())?;
    match (args.before, args.after) {
        (Some(offset), _) => topic.truncate_before(partition, offset)?,
        (None, Some(offset)) => topic.truncate_after(partition, offset)?,
        (None, None) => return Err(Failure::Usage("--before or --after is missing".into())),
    }
    let described = topic.describe()?;
    let now = &described.partitions[partition as usize];
    let (start, end) = (now.log_start, now.high_watermark);
    let truncated = serde_json::json!({
        "truncated": args.topic, "partition": partition, "log_start": start, "high_watermark": end,
    });
    output.report(&truncated, |_| {
        format!("topic {} partition {partition} now has offsets {start} to {end}\n", args.topic)
    })
}
