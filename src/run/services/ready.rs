//! Whether a service is ready, seen from inside the sandbox.

use crate::model::Ready;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

/// A connection or an answer takes at most so long.
const PATIENCE: Duration = Duration::from_secs(2);
/// The status stands within so much of an answer.
const HEAD: usize = 64;
/// So much of an answer is read.
const MOST: u64 = 1 << 20;

/// Looks once. A command is asked by `run`, which answers whether it succeeded.
pub fn look(ready: &Ready, log: &Path, run: impl FnOnce(&[String]) -> bool) -> bool {
    match ready {
        Ready::Tcp(port) => connect("127.0.0.1", *port).is_some(),
        Ready::Http(url) => answers(url).unwrap_or(false),
        Ready::Log(text) => std::fs::read(log)
            .is_ok_and(|log| memchr::memmem::find(&log, text.as_bytes()).is_some()),
        Ready::Command(argv) => run(argv),
    }
}

fn connect(host: &str, port: u16) -> Option<TcpStream> {
    let address = std::net::ToSocketAddrs::to_socket_addrs(&(host, port))
        .ok()?
        .next()?;
    let stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    Some(stream)
}

/// Whether `http://host:port/path` is answered with a status below 400.
fn answers(url: &str) -> Option<bool> {
    let rest = url.strip_prefix("http://")?;
    let at = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    let (host, port) = crate::model::split_host(authority)?;
    let mut stream = connect(host, port.unwrap_or(80))?;
    let path = if path.is_empty() { "/" } else { path };
    let asked = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    stream.write_all(asked.as_bytes()).ok()?;
    // All of it: who hangs up in the middle makes a service complain.
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer).ok()?;
    let head = &answer[..answer.len().min(HEAD)];
    let text = String::from_utf8_lossy(head).into_owned();
    let status: u16 = text.split(' ').nth(1)?.parse().ok()?;
    Some(status < 400)
}
