//! Redis Streams: a server with its data in memory and a log of commands, across loopback.

use std::process::Command;
use std::sync::Mutex;

use super::pipeline::Pipeline;
use super::resp::{Connection, Reply, command};
use super::server::Server;
use super::{Entry, Peer, Way};
use crate::error::Result;
use crate::payload::Payload;
use crate::plan::Plan;
use crate::producer::Boxed;

pub(super) const ALWAYS: Entry = Entry {
    name: "redis",
    durability: "appendfsync always: fdatasync of the command log before the replies of a turn of its loop",
    same: true,
    reads: true,
    hop: Some("across loopback"),
    version,
    way: Way::Open(|plan| Ok(Box::new(Redis::open(plan, "always")?))),
};

pub(super) const EVERYSEC: Entry = Entry {
    name: "redis-everysec",
    durability: "appendfsync everysec: replies first, fdatasync once a second; loses that second with the power",
    same: false,
    reads: true,
    hop: Some("across loopback"),
    version,
    way: Way::Open(|plan| Ok(Box::new(Redis::open(plan, "everysec")?))),
};

/// The program.
const PROGRAM: &str = "redis-server";
/// The stream.
const LOG: &str = "log";
/// Bytes of values that are asked for at once.
const READ: u64 = 1 << 20;

fn version() -> Result<String> {
    let output = Command::new(PROGRAM).arg("--version").output().map_err(|error| format!("{PROGRAM}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_whitespace().find_map(|word| word.strip_prefix("v="));
    version.map(str::to_owned).ok_or_else(|| format!("{PROGRAM} --version says {text:?}").into())
}

struct Redis {
    server: Server,
    connection: Mutex<Connection>,
    record_size: usize,
    waits: bool,
}

impl Redis {
    fn open(plan: &Plan, appendfsync: &str) -> Result<Redis> {
        let mut server = Server::start(|port| {
            let mut command = Command::new(PROGRAM);
            command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--daemonize", "no"]);
            command.args(["--appendonly", "yes", "--appendfsync", appendfsync, "--save", ""]);
            command.arg("--logfile").arg(plan.dir.join("redis.log")).arg("--dir").arg(&plan.dir);
            command
        })?;
        let connection = server.wait(|port| {
            let mut connection = Connection::new(Server::connect(port)?)?;
            // It refuses until it has read its log.
            connection.call(&command(&[b"PING"]))?;
            Ok(connection)
        })?;
        let waits = plan.case.in_flight == 1;
        Ok(Redis { server, connection: Mutex::new(connection), record_size: plan.record_size, waits })
    }

    fn call(&self, words: &[&[u8]]) -> Result<Reply> {
        let mut connection = self.connection.lock().map_err(|_| "a thread panicked in a call of redis")?;
        connection.call(&command(words))
    }
}

impl Peer for Redis {
    fn producer<'a>(&'a self, payload: &'a Payload) -> Result<Boxed<'a>> {
        let connection = Connection::new(Server::connect(self.server.port)?)?;
        let add = |value: &[u8]| command(&[b"XADD", LOG.as_bytes(), b"*", b"v", value]);
        Ok(Box::new(Pipeline::new(connection, payload, self.waits, add)))
    }

    fn read(&self, each: &mut dyn FnMut(&[u8])) -> Result<u64> {
        let most = (READ / self.record_size as u64).clamp(1, 10_000).to_string();
        let (mut count, mut from) = (0, b"-".to_vec());
        loop {
            let reply = self.call(&[b"XRANGE", LOG.as_bytes(), &from, b"+", b"COUNT", most.as_bytes()])?;
            let entries = reply.list()?;
            for entry in entries {
                let [_, fields] = entry.list()? else { return Err("an entry has a number and fields".into()) };
                let [_, value] = fields.list()? else { return Err("an entry has one field".into()) };
                each(value.bytes()?);
                count += 1;
            }
            let Some(last) = entries.last() else { return Ok(count) };
            from = [b"(", last.list()?[0].bytes()?].concat();
        }
    }

    fn records(&self) -> Result<u64> {
        self.call(&[b"XLEN", LOG.as_bytes()])?.number()
    }

    fn processes(&self) -> Vec<u32> {
        vec![std::process::id(), self.server.process()]
    }
}
