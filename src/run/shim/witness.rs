//! A standard output that knows who wrote: a socket pair whose receiver is told the sender's
//! process id by the kernel. What a test's children write there is no event, whatever it says.

use rustix::io::Errno;
use rustix::net::AddressFamily;
use rustix::net::RecvAncillaryBuffer;
use rustix::net::RecvAncillaryMessage;
use rustix::net::RecvFlags;
use rustix::net::Shutdown;
use rustix::net::SocketFlags;
use rustix::net::SocketType;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

/// Our end and the child's end.
pub fn pair() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::net::sockopt::set_socket_passcred(&ours, true)?;
    // Whoever reads from its standard output finds its end, as with a pipe.
    rustix::net::shutdown(&ours, Shutdown::Write)?;
    Ok((ours, theirs))
}

/// Reads once: how much, and which process wrote it. The kernel never mixes the bytes of two
/// writers in one answer.
pub fn receive(fd: &OwnedFd, buffer: &mut [u8]) -> std::io::Result<(usize, Option<u32>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
    loop {
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut slices = [IoSliceMut::new(buffer)];
        match rustix::net::recvmsg(fd, &mut slices, &mut control, RecvFlags::empty()) {
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(received) => {
                let writer = control.drain().find_map(|message| match message {
                    RecvAncillaryMessage::ScmCredentials(who) => {
                        u32::try_from(who.pid.as_raw_nonzero().get()).ok()
                    }
                    _ => None,
                });
                return Ok((received.bytes, writer));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writer_is_known() {
        let (ours, theirs) = pair().expect("a pair");
        rustix::io::write(&theirs, b"mine").expect("write");
        let mut buffer = [0; 64];
        let (read, writer) = receive(&ours, &mut buffer).expect("read");
        assert_eq!(
            (&buffer[..read], writer),
            (&b"mine"[..], Some(std::process::id()))
        );
        drop(theirs);
        assert_eq!(receive(&ours, &mut buffer).expect("the end").0, 0);
    }
}
