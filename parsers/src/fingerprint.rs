//! A failure's identity across runs: the same cause gives the same word.

use crate::report::Failure;

/// The fingerprint of a failure: kind, code, file and message, without what changes from run
/// to run (paths, numbers, addresses, durations) and without the test's own name, so that one
/// cause that fails many tests is one cause.
pub(crate) fn of(failure: &Failure) -> String {
    let file = failure.location.as_ref().map_or("", |at| at.file.as_str());
    let file = if file.starts_with('/') {
        base_name(file)
    } else {
        file
    };
    let code = failure.code.as_deref().unwrap_or("");
    let text = format!(
        "{:?}\n{code}\n{file}\n{}",
        failure.kind,
        stable(&failure.message)
    );
    format!("{:016x}", fnv1a(text.as_bytes()))
}

/// The message without paths, numbers and addresses.
fn stable(message: &str) -> String {
    let mut words = Vec::new();
    for word in message.split_whitespace() {
        let word = if word.contains('/') {
            base_name(word)
        } else {
            word
        };
        words.push(without_numbers(word));
    }
    words.join(" ")
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Every run of hexadecimal digits that holds a decimal digit becomes `#`.
fn without_numbers(word: &str) -> String {
    let mut out = String::new();
    let mut run = String::new();
    for c in word.chars().chain(std::iter::once('\0')) {
        if c.is_ascii_hexdigit() || (c == 'x' && run == "0") || (c == '.' && !run.is_empty()) {
            run.push(c);
            continue;
        }
        if run.chars().any(|r| r.is_ascii_digit()) {
            out.push('#');
        } else {
            out.push_str(&run);
        }
        run.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    out
}

/// FNV-1a, 64 bits: unlike the standard library's hasher it is the same in every release.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_from_run_to_run_does_not_count() {
        let pairs = [
            ("no such file /tmp/a1/x.txt", "no such file /tmp/b2/x.txt"),
            ("took 1.25s at 0x7ffe12", "took 3s at 0x55aa"),
            ("left 3 right 4", "left 30 right 41"),
        ];
        for (a, b) in pairs {
            assert_eq!(stable(a), stable(b));
        }
        assert_ne!(stable("cannot add"), stable("cannot face"));
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
