//! The least of HTTP: one request a connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);
const JSON: &str = "Content-Type: application/json\r\n";

/// Gets `path`; gives the status and the body.
///
/// # Errors
/// When nobody answers, or not in HTTP.
pub fn get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    send(address, "GET", path, "")
}

/// Sends `json` with any method; gives the status and the body.
///
/// # Errors
/// As for [`get`].
pub fn send(address: SocketAddr, method: &str, path: &str, json: &str) -> Result<(u16, String)> {
    let (length, kind) = (json.len(), if json.is_empty() { "" } else { JSON });
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{kind}Content-Length: {length}\r\n\
         Connection: close\r\n\r\n{json}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no end of the headers")?;
    let status = head.split(' ').nth(1).context("no status")?;
    Ok((status.parse()?, body.to_owned()))
}
