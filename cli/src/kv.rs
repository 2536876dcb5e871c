//! `thalweg kv get|put|delete|list|repair`.

use std::ffi::OsStr;
use std::io::{IsTerminal, Read};
use std::os::unix::ffi::OsStrExt;

use serde::Serialize;
use thalweg::{Engine, KeyValues};

use crate::args::{Global, KvCommand};
use crate::bytes::Bytes;
use crate::failure::Failure;
use crate::output::Output;
use crate::repair;
use crate::store::{self, Missing};

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    key: Bytes<&'a [u8]>,
    #[serde(flatten)]
    value: Bytes<&'a [u8]>,
}

impl<'a> Row<'a> {
    fn new(key: &'a [u8], value: &'a [u8]) -> Row<'a> {
        Row { key: Bytes::new("key", Some(key)), value: Bytes::new("value", Some(value)) }
    }
}

pub(crate) fn run(global: &Global, command: &KvCommand, output: &mut Output) -> Result<(), Failure> {
    match command {
        KvCommand::Get { topic, key } => {
            let (_engine, values) = open(global, topic)?;
            let Some(value) = values.get(key.as_bytes())? else {
                return Err(Failure::Failed(format!("topic {topic:?} has no value of {key:?}")));
            };
            if output.is_json() {
                return output.json(&Row::new(key.as_bytes(), &value));
            }
            output.bytes(&value)?;
            if std::io::stdout().is_terminal() { output.bytes(b"\n") } else { Ok(()) }
        }
        KvCommand::Put { topic, key, value } => {
            let (_engine, values) = open(global, topic)?;
            values.put(key.as_bytes(), &read(value)?)?;
            output.report(&Bytes::new("put", Some(key.as_bytes())), |_| String::new())
        }
        KvCommand::Delete { topic, key } => {
            let (_engine, values) = open(global, topic)?;
            if values.get(key.as_bytes())?.is_none() {
                return Err(Failure::Failed(format!("topic {topic:?} has no value of {key:?}")));
            }
            values.delete(key.as_bytes())?;
            output.report(&Bytes::new("deleted", Some(key.as_bytes())), |_| String::new())
        }
        KvCommand::Repair => {
            let engine = store::open(global, Missing::Refuse)?;
            repair::tell(&engine.repair_key_values()?, "key-values", output)
        }
        KvCommand::List { topic, prefix } => {
            let (_engine, values) = open(global, topic)?;
            let entries = values.list(prefix.as_bytes())?;
            let rows: Vec<Row<'_>> = entries.iter().map(|entry| Row::new(&entry.key, &entry.value)).collect();
            output.report(&rows, |_| {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).escape_debug().to_string();
                entries.iter().map(|entry| format!("{} = {}\n", text(&entry.key), text(&entry.value))).collect()
            })
        }
    }
}

/// The engine has to live as long as its values are used.
fn open(global: &Global, topic: &str) -> Result<(Engine, KeyValues), Failure> {
    let engine = store::open(global, Missing::Refuse)?;
    let topic = store::topic(&engine, topic)?;
    let values = engine.key_values(&topic)?;
    Ok((engine, values))
}

/// The value as it was given, or standard input.
fn read(value: &OsStr) -> Result<Vec<u8>, Failure> {
    if value != "-" {
        return Ok(value.as_bytes().to_vec());
    }
    let mut bytes = Vec::new();
    // One byte more than fits is enough for the error that says so.
    let most = thalweg::limits::KEY_VALUE_VALUE_MAX as u64 + 1;
    std::io::stdin().take(most).read_to_end(&mut bytes).map_err(|error| Failure::io("standard input", &error))?;
    Ok(bytes)
}
