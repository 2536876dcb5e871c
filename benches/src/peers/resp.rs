//! The protocol of redis, as far as a client of its streams needs it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Instant;

use super::pipeline::Replies;
use super::server::is_ready;
use crate::error::Result;

/// What a server answers.
#[derive(Debug, PartialEq)]
pub(super) enum Reply {
    Number(u64),
    Bytes(Vec<u8>),
    List(Vec<Reply>),
}

impl Reply {
    pub(super) fn number(&self) -> Result<u64> {
        if let Reply::Number(number) = self { Ok(*number) } else { Err(self.unexpected("a number")) }
    }

    pub(super) fn bytes(&self) -> Result<&[u8]> {
        if let Reply::Bytes(bytes) = self { Ok(bytes) } else { Err(self.unexpected("bytes")) }
    }

    pub(super) fn list(&self) -> Result<&[Reply]> {
        if let Reply::List(list) = self { Ok(list) } else { Err(self.unexpected("a list")) }
    }

    fn unexpected(&self, expected: &str) -> crate::error::Error {
        format!("redis answered {self:?} instead of {expected}").into()
    }
}

/// A command as it is sent.
pub(super) fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).bytes());
        bytes.extend_from_slice(word);
        bytes.extend(b"\r\n");
    }
    bytes
}

/// Reads one reply; one that is an error is one.
fn reply(from: &mut impl BufRead) -> Result<Reply> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let line = line.strip_suffix("\r\n").ok_or("redis closed the connection")?;
    let (kind, rest) = line.split_at_checked(1).ok_or("redis sent an empty line")?;
    Ok(match kind {
        "+" => Reply::Bytes(rest.as_bytes().to_vec()),
        ":" => Reply::Number(rest.parse()?),
        "$" => {
            let mut bytes = vec![0; rest.parse::<usize>()? + 2];
            from.read_exact(&mut bytes)?;
            bytes.truncate(bytes.len() - 2);
            Reply::Bytes(bytes)
        }
        "*" => Reply::List((0..rest.parse::<usize>()?).map(|_| reply(from)).collect::<Result<_>>()?),
        _ => return Err(format!("redis: {line}").into()),
    })
}

/// A client's connection.
pub(super) struct Connection {
    to: TcpStream,
    from: BufReader<TcpStream>,
}

impl Connection {
    pub(super) fn new(to: TcpStream) -> Result<Connection> {
        Ok(Connection { from: BufReader::with_capacity(64 << 10, to.try_clone()?), to })
    }

    fn reply(&mut self) -> Result<Reply> {
        reply(&mut self.from)
    }

    pub(super) fn call(&mut self, bytes: &[u8]) -> Result<Reply> {
        self.send(bytes)?;
        self.reply()
    }
}

impl Replies for Connection {
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.to.write_all(bytes)?)
    }

    fn acknowledge(&mut self) -> Result<()> {
        self.reply().map(drop)
    }

    fn is_ready(&mut self, until: Option<Instant>) -> Result<bool> {
        Ok(!self.from.buffer().is_empty() || is_ready(&self.to, until)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read() {
        let mut bytes: &[u8] = b"*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nv\r\n$4\r\na\r\nb\r\n:7\r\n+PONG\r\n-ERR no\r\n";
        let text = |text: &str| Reply::Bytes(text.as_bytes().to_vec());
        let fields = Reply::List(vec![text("v"), text("a\r\nb")]);
        assert_eq!(reply(&mut bytes).expect("a list"), Reply::List(vec![text("1-0"), fields]));
        assert_eq!(reply(&mut bytes).expect("a number").number().expect("a number"), 7);
        assert_eq!(reply(&mut bytes).expect("a line"), text("PONG"));
        assert_eq!(reply(&mut bytes).expect_err("an error").to_string(), "redis: -ERR no");
        assert!(reply(&mut bytes).is_err());
    }

    #[test]
    fn commands_are_lists_of_words() {
        assert_eq!(command(&[b"PING", b"x\r\n"]), b"*2\r\n$4\r\nPING\r\n$3\r\nx\r\n\r\n");
    }
}
