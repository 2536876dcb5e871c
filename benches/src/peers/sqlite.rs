//! SQLite with a write-ahead log: a B-tree with one writer at a time, and a connection for each caller.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::waiting::Waiting;
use super::{Entry, Peer, Way};
use crate::error::Result;
use crate::payload::Payload;
use crate::producer::Boxed;

pub(super) const ENTRY: Entry = Entry {
    name: "sqlite",
    durability: "journal_mode=WAL, synchronous=FULL: every commit calls fsync on the log",
    same: true,
    reads: true,
    hop: None,
    version: || Ok(format!("{}, rusqlite {}", rusqlite::version(), super::locked("rusqlite")?)),
    way: Way::Open(|plan| {
        let path = plan.dir.join("log.sqlite");
        let reader = connect(&path)?;
        reader.execute("CREATE TABLE IF NOT EXISTS log (number INTEGER PRIMARY KEY, value BLOB NOT NULL)", [])?;
        Ok(Box::new(Sqlite { path, reader }))
    }),
};

struct Sqlite {
    path: PathBuf,
    reader: Connection,
}

fn connect(path: &PathBuf) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(60))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

impl Peer for Sqlite {
    fn producer<'a>(&'a self, payload: &'a Payload) -> Result<Boxed<'a>> {
        let mut connection = connect(&self.path)?;
        Ok(Box::new(Waiting(move |batch| {
            // Immediate: whoever began to read first cannot become the writer while another writes.
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut insert = transaction.prepare_cached("INSERT INTO log (value) VALUES (?1)")?;
                for value in payload.values(batch) {
                    insert.execute([value])?;
                }
            }
            Ok(transaction.commit()?)
        })))
    }

    fn read(&self, each: &mut dyn FnMut(&[u8])) -> Result<u64> {
        let mut select = self.reader.prepare("SELECT value FROM log ORDER BY number")?;
        let mut rows = select.query([])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            each(row.get_ref(0)?.as_blob()?);
            count += 1;
        }
        Ok(count)
    }

    fn records(&self) -> Result<u64> {
        let count: i64 = self.reader.query_row("SELECT count(*) FROM log", [], |row| row.get(0))?;
        Ok(count as u64)
    }
}
