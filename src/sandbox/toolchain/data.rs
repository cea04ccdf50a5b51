//! Reading small files that others may have written: regular ones only, no waiting, capped.

use rustix::fs::Mode;
use rustix::fs::OFlags;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// No file that names a toolchain is larger, in bytes.
const CAP: u64 = 64 << 10;

/// The text of a small regular file; a FIFO, a device or binary data answers nothing.
pub(super) fn text(path: &Path) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let fd = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    let file = std::fs::File::from(fd);
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    file.take(CAP).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Whether this is a program.
pub(super) fn executable(path: &Path) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|stat| stat.is_file() && stat.permissions().mode() & 0o111 != 0)
}

/// Whether a name that a project wrote may become part of a path below a directory of ours.
pub(super) fn plain_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
    !name.is_empty() && !name.starts_with('.') && name.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_their_directory_are_refused() {
        for name in ["stable", "1.95.0", "nightly-2026-01-02", "3.12.1+local"] {
            assert!(plain_name(name), "{name}");
        }
        for name in ["", "..", ".hidden", "a/b", "/etc", "a b", "a\0"] {
            assert!(!plain_name(name), "{name:?}");
        }
    }

    #[test]
    fn a_fifo_neither_hangs_nor_answers() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .expect("made");
        assert_eq!(text(&fifo), None);
        assert_eq!(text(Path::new("/dev/zero")), None);
    }
}
