//! `thalweg positions list|reset|delete|repair`.

use serde::Serialize;
use thalweg::{NamedPosition, Start};

use crate::args::{From, Global, PositionsReset};
use crate::bytes::Bytes;
use crate::failure::Failure;
use crate::output::{Output, table};
use crate::repair;
use crate::store::{self, Missing};

#[derive(Serialize)]
struct Row {
    consumer: String,
    topic: String,
    partition: u32,
    offset: u64,
    high_watermark: u64,
    lag: u64,
    #[serde(flatten)]
    metadata: Bytes<Vec<u8>>,
}

pub(crate) fn list(global: &Global, consumer: Option<&str>, output: &mut Output) -> Result<(), Failure> {
    let engine = store::open(global, Missing::Refuse)?;
    let rows: Vec<Row> = engine.positions().list(consumer)?.into_iter().map(Row::from).collect();
    output.report(&rows, |rows| {
        let cells: Vec<Vec<String>> = rows.iter().map(Row::cells).collect();
        table(&["consumer", "topic", "partition", "offset", "high watermark", "lag"], &cells)
    })
}

pub(crate) fn reset(global: &Global, args: &PositionsReset, output: &mut Output) -> Result<(), Failure> {
    let engine = store::open(global, Missing::Refuse)?;
    let topic = store::topic(&engine, &args.topic)?;
    if let Some(partition) = args.partition {
        store::check_partition(&args.topic, partition, topic.partitions())?;
    }
    if let (From::Offset(_), None, 2..) = (args.to, args.partition, topic.partitions()) {
        let what = "an offset belongs to one partition: name it with --partition, or go to earliest, latest or a time";
        return Err(Failure::Usage(what.into()));
    }
    engine.positions().reset(&args.consumer, &topic, args.partition, args.to.start())?;
    let reset = serde_json::json!({ "reset": args.consumer, "topic": args.topic, "partition": args.partition });
    output.report(&reset, |_| format!("reset {} in topic {}\n", args.consumer, args.topic))
}

pub(crate) fn delete(global: &Global, consumer: &str, topic: Option<&str>, output: &mut Output) -> Result<(), Failure> {
    let engine = store::open(global, Missing::Refuse)?;
    let topic = topic.map(|name| store::topic(&engine, name)).transpose()?;
    engine.positions().delete(consumer, topic.as_ref())?;
    output.report(&serde_json::json!({ "deleted": consumer }), |_| format!("deleted the positions of {consumer}\n"))
}

pub(crate) fn repair(global: &Global, output: &mut Output) -> Result<(), Failure> {
    let engine = store::open(global, Missing::Refuse)?;
    repair::tell(&engine.positions().repair()?, "positions", output)
}

impl From {
    /// As the engine has it.
    pub(crate) fn start(self) -> Start {
        match self {
            From::Earliest => Start::Earliest,
            From::Latest => Start::Latest,
            From::Offset(offset) => Start::Offset(offset),
            From::Time(ms) => Start::Time(ms),
            From::AppendTime(ms) => Start::AppendTime(ms),
        }
    }
}

impl std::convert::From<NamedPosition> for Row {
    fn from(position: NamedPosition) -> Row {
        Row {
            consumer: position.consumer,
            topic: position.topic,
            partition: position.partition,
            offset: position.offset,
            high_watermark: position.high_watermark,
            lag: position.lag,
            metadata: Bytes::new("metadata", Some(position.metadata)),
        }
    }
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let numbers = [u64::from(self.partition), self.offset, self.high_watermark, self.lag];
        [self.consumer.clone(), self.topic.clone()]
            .into_iter()
            .chain(numbers.map(|number| number.to_string()))
            .collect()
    }
}
