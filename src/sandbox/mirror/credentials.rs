//! What looks like a credential: pure, names and first bytes only.

use crate::sandbox::mirror::Credential;

/// Why an untracked file of this name is left out, if it is.
pub(crate) fn by_name(name: &[u8]) -> Option<Credential> {
    let harmless = [".example", ".sample", ".template"];
    let is_env = name == b".env"
        || (name.starts_with(b".env.")
            && !harmless.iter().any(|end| name.ends_with(end.as_bytes())));
    let is_key = ["id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"]
        .iter()
        .any(|start| name.starts_with(start.as_bytes()));
    match name {
        _ if is_env => Some(Credential::Environment),
        b".npmrc" | b".netrc" | b".pypirc" => Some(Credential::Password),
        _ if is_key => Some(Credential::SshKey),
        _ => None,
    }
}

/// How many bytes [`by_content`] wants to see.
pub(crate) const SNIFF: usize = 128;

/// Why a file that begins like this is left out, if it is.
pub(crate) fn by_content(start: &[u8]) -> Option<Credential> {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let start = start.trim_ascii_start();
    if start.starts_with(b"PuTTY-User-Key-File-") {
        return Some(Credential::PrivateKey);
    }
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or(start);
    let line = line.trim_ascii_end();
    let is_pem = line.starts_with(b"-----BEGIN ")
        && line
            .windows(b"PRIVATE KEY".len())
            .any(|part| part == b"PRIVATE KEY");
    is_pem.then_some(Credential::PrivateKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in [
            ".env",
            ".env.local",
            ".npmrc",
            ".netrc",
            ".pypirc",
            "id_rsa",
            "id_ed25519.old",
        ] {
            assert!(by_name(name.as_bytes()).is_some(), "{name}");
        }
        for name in [
            ".env.example",
            ".env.sample",
            ".env.template",
            "env",
            ".envrc",
            "my_id_rsa",
        ] {
            assert!(by_name(name.as_bytes()).is_none(), "{name}");
        }
    }

    #[test]
    fn contents() {
        for text in [
            "-----BEGIN PRIVATE KEY-----\nx",
            "\n -----BEGIN OPENSSH PRIVATE KEY-----\r\nx",
            "-----BEGIN RSA PRIVATE KEY-----",
            "-----BEGIN PGP PRIVATE KEY BLOCK-----",
            "PuTTY-User-Key-File-3: ssh-ed25519",
        ] {
            assert!(by_content(text.as_bytes()).is_some(), "{text}");
        }
        for text in [
            "-----BEGIN PUBLIC KEY-----",
            "-----BEGIN CERTIFICATE-----",
            "fn main() {}",
            "",
        ] {
            assert!(by_content(text.as_bytes()).is_none(), "{text}");
        }
    }
}
