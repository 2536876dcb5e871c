//! NATS JetStream: a server that stores what is published to a subject, across loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;

use serde_json::{Value, json};

use super::pipeline::{Pipeline, Replies};
use super::server::{Server, is_ready};
use super::{Entry, Peer, Way};
use crate::error::Result;
use crate::payload::Payload;
use crate::plan::Plan;
use crate::producer::Boxed;

pub(super) const ENTRY: Entry = Entry {
    name: "nats",
    durability: "as it comes: acknowledged when the server has written it, synced every other minute; loses that with the power",
    same: false,
    reads: true,
    hop: Some("across loopback"),
    version,
    way: Way::Open(|plan| Ok(Box::new(Nats::open(plan)?))),
};

const PROGRAM: &str = "nats-server";
/// The stream, and its only subject.
const LOG: &str = "log";
/// Values that are asked for at once.
const READ: u64 = 1000;

fn version() -> Result<String> {
    let output = Command::new(PROGRAM).arg("--version").output().map_err(|error| format!("{PROGRAM}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_whitespace().find_map(|word| word.strip_prefix('v').filter(|v| v.contains('.')));
    version.map(str::to_owned).ok_or_else(|| format!("{PROGRAM} --version says {text:?}").into())
}

struct Nats {
    server: Server,
    client: Mutex<Client>,
    waits: bool,
}

impl Nats {
    fn open(plan: &Plan) -> Result<Nats> {
        let mut server = Server::start(|port| {
            let mut command = Command::new(PROGRAM);
            command.args(["--addr", "127.0.0.1", "--port", &port.to_string(), "--jetstream", "--store_dir"]);
            command.arg(&plan.dir);
            command
        })?;
        let client = server.wait(|port| {
            let mut client = Client::new(port)?;
            // One that is there already stays as it is.
            client.ask(
                &format!("$JS.API.STREAM.CREATE.{LOG}"),
                &json!({"name": LOG, "subjects": [LOG], "storage": "file"}),
            )?;
            Ok(client)
        })?;
        Ok(Nats { server, client: Mutex::new(client), waits: plan.case.in_flight == 1 })
    }

    fn ask(&self, subject: &str, question: &Value) -> Result<Value> {
        self.client.lock().map_err(|_| "a thread panicked in a call of nats")?.ask(subject, question)
    }
}

impl Peer for Nats {
    fn producer<'a>(&'a self, payload: &'a Payload) -> Result<Boxed<'a>> {
        let client = Client::new(self.server.port)?;
        let inbox = client.inbox.clone();
        Ok(Box::new(Pipeline::new(client, payload, self.waits, |value| publish(LOG, &inbox, value))))
    }

    fn read(&self, each: &mut dyn FnMut(&[u8])) -> Result<u64> {
        let config = json!({"durable_name": "reader", "ack_policy": "none", "deliver_policy": "all"});
        let create = format!("$JS.API.CONSUMER.DURABLE.CREATE.{LOG}.reader");
        self.ask(&create, &json!({"stream_name": LOG, "config": config}))?;
        let all = self.records()?;
        let mut client = self.client.lock().map_err(|_| "a thread panicked in a call of nats")?;
        let mut count = 0;
        while count < all {
            let batch = READ.min(all - count);
            let next = publish(
                &format!("$JS.API.CONSUMER.MSG.NEXT.{LOG}.reader"),
                &client.inbox,
                batch.to_string().as_bytes(),
            );
            client.send(&next)?;
            for _ in 0..batch {
                each(&client.message()?);
            }
            count += batch;
        }
        Ok(count)
    }

    fn records(&self) -> Result<u64> {
        let info = self.ask(&format!("$JS.API.STREAM.INFO.{LOG}"), &json!({}))?;
        info["state"]["messages"].as_u64().ok_or_else(|| format!("nats says {info} of its stream").into())
    }

    fn processes(&self) -> Vec<u32> {
        vec![std::process::id(), self.server.process()]
    }
}

/// What publishes a message, whose reply goes to that inbox.
fn publish(subject: &str, inbox: &str, message: &[u8]) -> Vec<u8> {
    [format!("PUB {subject} {inbox} {}\r\n", message.len()).as_bytes(), message, b"\r\n"].concat()
}

/// A connection, as far as streams need it.
struct Client {
    to: TcpStream,
    from: BufReader<TcpStream>,
    /// Where its replies go.
    inbox: String,
}

impl Client {
    fn new(port: u16) -> Result<Client> {
        let to = Server::connect(port)?;
        // No two clients have the same address.
        let inbox = format!("inbox.{}", to.local_addr()?.port());
        let mut client = Client { from: BufReader::with_capacity(64 << 10, to.try_clone()?), to, inbox };
        let hello = client.line()?;
        if !hello.starts_with("INFO ") {
            return Err(format!("nats begins with {hello:?}").into());
        }
        // Without headers, a request that is refused is answered by an error and no message.
        client.send(b"CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":false}\r\n")?;
        client.send(format!("SUB {} 1\r\n", client.inbox).as_bytes())?;
        Ok(client)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        Ok(line.strip_suffix("\r\n").ok_or("nats closed the connection")?.to_owned())
    }

    /// The next message.
    fn message(&mut self) -> Result<Vec<u8>> {
        loop {
            let line = self.line()?;
            match line.split(' ').next() {
                Some("MSG") => {
                    let size: usize = line.rsplit(' ').next().unwrap_or_default().parse()?;
                    let mut message = vec![0; size + 2];
                    self.from.read_exact(&mut message)?;
                    message.truncate(size);
                    return Ok(message);
                }
                Some("PING") => self.send(b"PONG\r\n")?,
                Some("INFO" | "PONG" | "+OK") => {}
                _ => return Err(format!("nats: {line}").into()),
            }
        }
    }

    fn ask(&mut self, subject: &str, question: &Value) -> Result<Value> {
        let question = publish(subject, &self.inbox, question.to_string().as_bytes());
        self.send(&question)?;
        let answer: Value = serde_json::from_slice(&self.message()?)?;
        match answer.get("error") {
            Some(error) => Err(format!("nats: {subject}: {error}").into()),
            None => Ok(answer),
        }
    }
}

impl Replies for Client {
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.to.write_all(bytes)?)
    }

    fn acknowledge(&mut self) -> Result<()> {
        let answer = self.message()?;
        match answer.windows(7).any(|part| part == b"\"error\"") {
            true => Err(format!("nats: {}", String::from_utf8_lossy(&answer)).into()),
            false => Ok(()),
        }
    }

    fn is_ready(&mut self, until: Option<Instant>) -> Result<bool> {
        Ok(!self.from.buffer().is_empty() || is_ready(&self.to, until)?)
    }
}
