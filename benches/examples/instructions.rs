//! Work to count instructions of: `valgrind --tool=callgrind --separate-threads=yes instructions <records> <batch>`.
//!
//! Instructions, unlike times, are the same on a machine that does other things besides. Run it with two numbers of
//! records: the difference of the first thread's totals, by the difference of the numbers, is what one record costs.
//! With `c` behind the numbers a C program appends them.

use std::time::Duration;

use thalweg::{AppendOptions, Durability, Engine, Options, Record, Runtime, Start, Target, TopicOptions};
use thalweg_bench::CCaller;
use thalweg_c::{THALWEG_RUNTIME_POSIX, thalweg_engine_options};

fn main() -> thalweg::Result<()> {
    let mut numbers = std::env::args().skip(1).map_while(|number| number.parse::<u64>().ok());
    let records = numbers.next().expect("how many records");
    let batch = numbers.next().expect("how many of them in a batch") as usize;
    let reads = numbers.next().unwrap_or(0);
    let dir = thalweg_bench::scratch();
    if std::env::args().any(|argument| argument == "c") {
        let posix = |options: &mut thalweg_engine_options| options.runtime = THALWEG_RUNTIME_POSIX;
        let caller = CCaller::new(dir.path(), &[0x5a; 100], Durability::LoseOnKill, posix);
        caller.append(batch, records / batch as u64);
        return Ok(());
    }
    // valgrind runs one thread at a time, and leaves a ring's completions to themselves.
    let options = Options::default().shards(1).runtime(Runtime::Posix);
    let engine = Engine::open(dir.path(), options)?;
    let topic = engine.create_topic("count", TopicOptions::default().durability(Durability::LoseOnKill))?;
    let value = [0x5a; 100];
    let list = vec![Record::new(&value); batch];
    for _ in 0..records / batch as u64 {
        let _published = topic.submit(Target::Partition(0), &list, AppendOptions::default())?;
    }
    for _ in 0..reads {
        let mut reader = topic.reader(0, Start::Earliest)?;
        while reader.offset() < records {
            for record in &reader.next(1 << 20, Some(Duration::ZERO))? {
                std::hint::black_box(record.value);
            }
        }
    }
    engine.close()
}
