//! The only way out of a set-up: regreen's own proxy for HTTP, on a socket that is mounted into
//! the sandbox. The sandbox itself has no network: no route, no resolver. Names are resolved
//! here, after they were compared with the list of allowed hosts.

mod head;
pub mod inside;

use crate::model::Hosts;
use crate::model::host_may_lead;
use head::Asked;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::UnixListener;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::task::JoinSet;

/// Connections at once; more have to wait.
const MOST: usize = 64;
/// A client has so long to say what it wants.
const HEAD: Duration = Duration::from_secs(20);
/// A host has so long to answer.
const CONNECT: Duration = Duration::from_secs(30);
/// Hosts that are remembered by name.
const REMEMBERED: usize = 100;

/// How often a host was asked for, and what came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Contact {
    /// Connections that were let through.
    pub connections: u64,
    /// Connections that were refused by the list.
    pub refused: u64,
    /// Connections that failed outside.
    pub failed: u64,
    /// Bytes that came in.
    pub received: u64,
    /// Bytes that went out.
    pub sent: u64,
}

/// What hosts were asked for, by `host:port`.
pub type Contacts = BTreeMap<String, Contact>;

/// The proxy, as long as this lives.
#[derive(Debug)]
pub struct Egress {
    socket: PathBuf,
    contacts: Arc<Mutex<Contacts>>,
    task: JoinHandle<()>,
}

impl Egress {
    /// Opens the way to the given hosts at a socket in `dir`, which only the user may enter.
    ///
    /// # Errors
    /// If the socket cannot be made.
    pub fn open(dir: &Path, hosts: Hosts) -> io::Result<Self> {
        let socket = dir.join("egress.sock");
        match std::fs::remove_file(&socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // A socket's own path may have 107 bytes; through its directory's descriptor it is short.
        let held = std::fs::File::open(dir)?;
        let short = format!("/proc/self/fd/{}/egress.sock", held.as_raw_fd());
        let listener = UnixListener::bind(short)?;
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600))?;
        let contacts = Arc::<Mutex<Contacts>>::default();
        let door = Door {
            hosts: Arc::new(hosts),
            contacts: Arc::clone(&contacts),
        };
        Ok(Egress {
            socket,
            contacts,
            task: tokio::spawn(door.keep(listener)),
        })
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Who was asked for so far.
    pub fn contacts(&self) -> Contacts {
        let contacts = self.contacts.lock();
        contacts.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Egress {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.socket);
    }
}

#[derive(Debug, Clone)]
struct Door {
    hosts: Arc<Hosts>,
    contacts: Arc<Mutex<Contacts>>,
}

impl Door {
    async fn keep(self, listener: UnixListener) {
        let places = Arc::new(Semaphore::new(MOST));
        // Dropping the set ends every connection with the proxy.
        let mut guests = JoinSet::new();
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let Ok((client, _)) = listener.accept().await else {
                // Out of descriptors for a moment.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            while guests.try_join_next().is_some() {}
            let door = self.clone();
            guests.spawn(async move {
                let _place = place;
                if let Err(error) = door.serve(client).await {
                    tracing::debug!(%error, "a connection of a set-up ended");
                }
            });
        }
    }

    async fn serve(&self, mut client: UnixStream) -> io::Result<()> {
        let read = tokio::time::timeout(HEAD, read_head(&mut client)).await;
        let Some((asked, early)) = read.map_err(|_| io::ErrorKind::TimedOut)?? else {
            return refuse(
                &mut client,
                400,
                "this is a proxy for HTTP: CONNECT or http://",
            )
            .await;
        };
        let (Asked::Tunnel { host, port } | Asked::Forward { host, port, .. }) = &asked;
        let name = format!("{host}:{port}");
        if !self.hosts.allow(host, *port) {
            self.note(&name, |contact| contact.refused += 1);
            let why = format!(
                "regreen: `{name}` is not allowed; a set-up may talk to {} (`setup.hosts`)",
                self.hosts.spoken()
            );
            return refuse(&mut client, 403, &why).await;
        }
        let mut server = match tokio::time::timeout(CONNECT, connect(host, *port)).await {
            Ok(Ok(server)) => server,
            failed => {
                self.note(&name, |contact| contact.failed += 1);
                let why = match failed {
                    Ok(Err(error)) => error.to_string(),
                    _ => "no answer in time".to_owned(),
                };
                return refuse(&mut client, 502, &format!("regreen: `{name}`: {why}")).await;
            }
        };
        self.note(&name, |contact| contact.connections += 1);
        match &asked {
            Asked::Tunnel { .. } => {
                client
                    .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    .await?;
            }
            Asked::Forward { head, .. } => server.write_all(head).await?,
        }
        server.write_all(&early).await?;
        let (sent, received) = tokio::io::copy_bidirectional(&mut client, &mut server).await?;
        self.note(&name, |contact| {
            contact.sent += sent + early.len() as u64;
            contact.received += received;
        });
        Ok(())
    }

    fn note(&self, name: &str, change: impl FnOnce(&mut Contact)) {
        let mut contacts = self.contacts.lock().unwrap_or_else(PoisonError::into_inner);
        if contacts.len() < REMEMBERED || contacts.contains_key(name) {
            change(contacts.entry(name.to_owned()).or_default());
        }
    }
}

/// What is asked for, and what came behind it already; nothing for what is no request.
async fn read_head(client: &mut UnixStream) -> io::Result<Option<(Asked, Vec<u8>)>> {
    let mut bytes = Vec::with_capacity(1 << 10);
    loop {
        if let Some(end) = head::end(&bytes) {
            let early = bytes.split_off(end);
            return Ok(head::read(&bytes).map(|asked| (asked, early)));
        }
        if bytes.len() >= head::MOST || client.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
}

/// Connects to the first address of a name that it may lead to.
async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let host = host.trim_matches(['[', ']']);
    let mut last = io::Error::other("its name leads to no address that is allowed");
    for address in tokio::net::lookup_host((host, port)).await? {
        if !host_may_lead(host, address.ip()) {
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn refuse(client: &mut UnixStream, status: u16, why: &str) -> io::Result<()> {
    let answer = format!(
        "HTTP/1.1 {status} regreen\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{why}\n",
        why.len() + 1
    );
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await
}
