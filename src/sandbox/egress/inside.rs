//! The proxy's other end, inside: tools want an address, not a socket of the file system. It
//! listens on the sandbox's own loopback, starts the command with the variables that name it, and
//! carries every connection to the socket. It ends with the command.

use std::ffi::OsString;
use std::io;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::ExitCode;

/// Where the socket lies in the sandbox.
pub const SOCKET: &str = "/run/regreen/egress.sock";

/// The variables by which tools find a proxy.
const VARIABLES: [&str; 8] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "http_proxy",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    // cargo and npm have names of their own besides.
    "CARGO_HTTP_PROXY",
    "npm_config_https_proxy",
];

/// `__egress SOCKET COMMAND…`; the binary's door.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    match run(args) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _ = writeln!(io::stderr(), "regreen: {error}");
            ExitCode::from(127)
        }
    }
}

/// `__egress SOCKET COMMAND…`: runs the command beside the proxy's end; answers its status, as a
/// shell says it.
///
/// # Errors
/// If there is no loopback, or the command cannot be started.
fn run(args: impl Iterator<Item = OsString>) -> io::Result<u8> {
    let mut args = args;
    let usage = || io::Error::other("usage: __egress SOCKET COMMAND…");
    let socket = PathBuf::from(args.next().ok_or_else(usage)?);
    let program = args.next().ok_or_else(usage)?;
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = format!("http://127.0.0.1:{}", listener.local_addr()?.port());
    std::thread::spawn(move || serve(&listener, &socket));
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the command's parent inside the sandbox, which ends both"
    )]
    let mut command = Command::new(&program);
    command.args(args);
    for name in VARIABLES {
        command.env(name, &address);
    }
    command.env_remove("NO_PROXY").env_remove("no_proxy");
    let status = command
        .status()
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", program.display())))?;
    Ok(match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).unwrap_or(1),
        (None, signal) => u8::try_from(128 + signal.unwrap_or(0)).unwrap_or(1),
    })
}

fn serve(listener: &TcpListener, socket: &Path) {
    for client in listener.incoming() {
        let Ok(client) = client else { continue };
        let Ok(server) = UnixStream::connect(socket) else {
            // The client sees its connection closed.
            continue;
        };
        std::thread::spawn(move || join(client, server));
    }
}

/// Carries bytes both ways until both have ended.
fn join(client: TcpStream, server: UnixStream) {
    let (Ok(mut from), Ok(mut to)) = (client.try_clone(), server.try_clone()) else {
        return;
    };
    let forth = std::thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    let (mut from, mut to) = (server, client);
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Write);
    let _ = forth.join();
}
