//! The attack: bait is laid out on the host, a probe in the sandbox goes for it, and the table
//! says what held. `regreen doctor --attack` shows it; the tests demand it.

pub mod probe;

use crate::model::Limits;
use crate::sandbox::Backend;
use crate::sandbox::Ended;
use crate::sandbox::Mount;
use crate::sandbox::Network;
use crate::sandbox::Place;
use crate::sandbox::Priority;
use crate::sandbox::SandboxError;
use crate::sandbox::Spec;
use crate::sandbox::Stream;
use probe::Answer;
use probe::Bait;
use std::io;
use std::net::TcpListener;
use std::net::UdpSocket;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::path::PathBuf;

/// Where the probe's program lies inside.
const PROBE: &str = "/run/regreen/bin/regreen";

/// The bait, as long as this lives.
#[derive(Debug)]
pub struct Trap {
    dir: PathBuf,
    tmp_file: PathBuf,
    bait: Bait,
    _tcp: TcpListener,
    udp: UdpSocket,
    _unix: [UnixListener; 2],
}

/// Why an attack could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttackError {
    /// The bait could not be laid out.
    #[error("failed to lay out the bait in `{}`", dir.display())]
    Bait {
        /// Where.
        dir: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The sandbox could not be made.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The probe did not come to its end.
    #[error("the probe ended early: {0}")]
    Probe(String),
}

impl Trap {
    /// Lays out the bait in `dir`, which is used as slot and outside; the secret goes to `home`.
    ///
    /// # Errors
    /// [`AttackError::Bait`] where a file or a socket cannot be made.
    pub fn lay(dir: &Path, home: &Path) -> Result<Self, AttackError> {
        Trap::make(dir, home).map_err(|source| AttackError::Bait {
            dir: dir.to_owned(),
            source,
        })
    }

    fn make(dir: &Path, home: &Path) -> io::Result<Self> {
        for name in ["slot/tree", "slot/home", "slot/tmp", "outside"] {
            std::fs::create_dir_all(dir.join(name))?;
        }
        std::fs::create_dir_all(home)?;
        let secret = format!("regreen-bait-{}-{}", std::process::id(), dir.display());
        let home_file = home.join(".regreen-bait");
        std::fs::write(&home_file, &secret)?;
        let link = dir.join("slot/tree/link");
        if !link.is_symlink() {
            std::os::unix::fs::symlink(&home_file, link)?;
        }
        let tmp_file = std::env::temp_dir().join(format!("{}.txt", secret.replace('/', "-")));
        std::fs::write(&tmp_file, &secret)?;
        let tcp = TcpListener::bind(("127.0.0.1", 0))?;
        let udp = UdpSocket::bind(("127.0.0.1", 0))?;
        let abstract_socket = secret.clone();
        let address = SocketAddr::from_abstract_name(&abstract_socket)?;
        let path_socket = dir.join("outside/socket");
        let _ = std::fs::remove_file(&path_socket);
        let unix = [
            UnixListener::bind_addr(&address)?,
            UnixListener::bind(&path_socket)?,
        ];
        let bait = Bait {
            home_file,
            link: PathBuf::from("link"),
            outside: dir.join("outside"),
            tmp_file: tmp_file.clone(),
            tcp: tcp.local_addr()?.port(),
            udp: udp.local_addr()?.port(),
            abstract_socket,
            path_socket,
            pid: std::process::id() as i32,
            started: crate::process::start_time(rustix::process::getpid()).unwrap_or_default(),
            secret,
        };
        Ok(Trap {
            dir: dir.to_owned(),
            tmp_file,
            bait,
            _tcp: tcp,
            udp,
            _unix: unix,
        })
    }

    /// The word that nobody inside may find.
    pub fn secret(&self) -> &str {
        &self.bait.secret
    }

    /// Attacks through `backend`; `regreen` is this program's own file. Answers every attempt.
    ///
    /// # Errors
    /// [`AttackError`] if the sandbox or the probe does not start or end.
    pub async fn spring(
        &self,
        backend: &dyn Backend,
        regreen: &Path,
        home: &Path,
    ) -> Result<Vec<Answer>, AttackError> {
        let echo = self.echo();
        let mut running = backend.start(self.spec(regreen, home)).await?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        while let Some(chunk) = running.output.recv().await {
            match chunk.stream {
                Stream::Stdout => stdout.extend(chunk.bytes),
                Stream::Stderr => stderr.extend(chunk.bytes),
            }
        }
        let ended = running.exit.await;
        drop(echo);
        match ended {
            Ok(Ended { exit, .. }) if exit.code == Some(0) => {}
            other => {
                let said = String::from_utf8_lossy(&stderr);
                return Err(AttackError::Probe(format!("{other:?}: {}", said.trim())));
            }
        }
        String::from_utf8_lossy(&stdout)
            .lines()
            .map(|line| serde_json::from_str(line).map_err(|_| AttackError::Probe(line.to_owned())))
            .collect()
    }

    /// Answers datagrams until dropped, so that a probe that gets out learns of it.
    fn echo(&self) -> Option<Echo> {
        let socket = self.udp.try_clone().ok()?;
        socket.set_nonblocking(true).ok()?;
        let socket = tokio::net::UdpSocket::from_std(socket).ok()?;
        Some(Echo(tokio::spawn(async move {
            let mut buffer = [0; 8];
            while let Ok((_, from)) = socket.recv_from(&mut buffer).await {
                let _ = socket.send_to(b"!", from).await;
            }
        })))
    }

    fn spec(&self, regreen: &Path, home: &Path) -> Spec {
        let root = self.dir.join("project");
        Spec {
            argv: vec![PROBE.into(), "__probe".into()],
            env: vec![
                ("PATH".into(), "/usr/bin:/bin".into()),
                ("HOME".into(), home.display().to_string()),
            ],
            cwd: root.clone(),
            place: Place {
                root,
                tree: self.dir.join("slot/tree"),
                home: self.dir.join("slot/home"),
                tmp: self.dir.join("slot/tmp"),
            },
            mounts: vec![Mount {
                source: regreen.to_owned(),
                target: PROBE.into(),
                writable: false,
                optional: false,
            }],
            stdin: Some(serde_json::to_vec(&self.bait).unwrap_or_default()),
            limits: Limits {
                wall_ms: 60_000,
                silence_ms: 60_000,
                ..Limits::default()
            },
            network: Network::None,
            image: None,
            priority: Priority::default(),
        }
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.tmp_file);
        let _ = std::fs::remove_file(&self.bait.home_file);
    }
}

struct Echo(tokio::task::JoinHandle<()>);

impl Drop for Echo {
    fn drop(&mut self) {
        self.0.abort();
    }
}
