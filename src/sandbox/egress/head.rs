//! The head of a request to a proxy, as RFC 9110 and 9112 have it: who is asked for, and what is
//! sent on.

use crate::model::split_host;

/// A head is read up to this size.
pub const MOST: usize = 16 << 10;

/// What a client of a proxy asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// `CONNECT host:port`: whatever follows is between the two.
    Tunnel {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// `GET http://host/path`: one request, whose head is sent on in this form.
    Forward {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// The head for the host itself.
        head: Vec<u8>,
    },
}

/// The length of a head with its empty line, if all of it is there.
pub fn end(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// Reads a head; `None` for what is no request to a proxy.
pub fn read(head: &[u8]) -> Option<Asked> {
    let text = std::str::from_utf8(head).ok()?;
    let (line, fields) = text.split_once("\r\n")?;
    let mut words = line.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() || !version.starts_with("HTTP/1.") {
        return None;
    }
    if method == "CONNECT" {
        let (host, port) = split_host(target)?;
        return Some(Asked::Tunnel {
            host: host.to_owned(),
            port: port?,
        });
    }
    let rest = target.strip_prefix("http://")?;
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    // Whoever is named before an `@` is no business of the host's name.
    let authority = authority.rsplit('@').next().unwrap_or(authority);
    let (host, port) = split_host(authority)?;
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut sent = format!("{method} {slash}{path} {version}\r\nConnection: close\r\n");
    for field in fields.split("\r\n").filter(|field| !field.is_empty()) {
        let name = field.split(':').next().unwrap_or_default().trim();
        let hop = [
            "connection",
            "proxy-connection",
            "proxy-authorization",
            "keep-alive",
        ];
        if !hop.contains(&name.to_ascii_lowercase().as_str()) {
            sent.push_str(field);
            sent.push_str("\r\n");
        }
    }
    sent.push_str("\r\n");
    Some(Asked::Forward {
        host: host.to_owned(),
        port: port.unwrap_or(80),
        head: sent.into_bytes(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_names_host_and_port() {
        let asked = read(b"CONNECT a.example:443 HTTP/1.1\r\nHost: b.example\r\n\r\n");
        let (host, port) = ("a.example".to_owned(), 443);
        assert_eq!(asked, Some(Asked::Tunnel { host, port }));
        for wrong in [
            &b"CONNECT a.example HTTP/1.1\r\n\r\n"[..],
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET https://a/ HTTP/1.1\r\n\r\n",
            b"CONNECT a:1 b HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\r\n\r\n",
        ] {
            assert_eq!(read(wrong), None, "{}", String::from_utf8_lossy(wrong));
        }
    }

    #[test]
    fn a_request_is_sent_on_without_what_is_for_the_proxy() {
        let head = b"GET http://u:p@a.example:81/x?y HTTP/1.1\r\nHost: a.example:81\r\n\
            Proxy-Authorization: Basic x\r\nProxy-Connection: keep-alive\r\nAccept: */*\r\n\r\n";
        let Some(Asked::Forward { host, port, head }) = read(head) else {
            panic!("a request");
        };
        assert_eq!((host.as_str(), port), ("a.example", 81));
        let sent = String::from_utf8(head).expect("text");
        assert_eq!(
            sent,
            "GET /x?y HTTP/1.1\r\nConnection: close\r\nHost: a.example:81\r\nAccept: */*\r\n\r\n"
        );
        let bare = read(b"GET http://a.example HTTP/1.0\r\n\r\n");
        assert!(matches!(bare, Some(Asked::Forward { head, .. }) if head.starts_with(b"GET / ")));
    }
}
