//! A failure's identity across runs: the same cause gives the same word.

use crate::report::Failure;
use std::fmt::Write;

/// The length of a UUID.
const UUID: usize = 36;

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
    let mut text = String::with_capacity(64 + file.len() + failure.message.len());
    // Writing into a string cannot fail.
    let _ = write!(text, "{:?}\n{code}\n{file}\n", failure.kind);
    stable(&mut text, &failure.message);
    format!("{:016x}", fnv1a(text.as_bytes()))
}

/// Adds the message without what changes from run to run: paths, temporary names, numbers with
/// their units, addresses, hashes, identifiers, dates.
fn stable(out: &mut String, message: &str) {
    // Where each word begins.
    let mut words: Vec<usize> = Vec::new();
    let mut chars: Vec<char> = Vec::new();
    for word in message.split_whitespace() {
        let before = out.len();
        if !words.is_empty() {
            out.push(' ');
        }
        let from = out.len();
        without_numbers(out, without_path(word), &mut chars);
        let last = words.last().map_or("", |last| &out[*last..before]);
        let counted = last.ends_with('#');
        if counted && is_unit(&out[from..]) {
            out.truncate(before);
            continue;
        }
        let mut from = from;
        if out[from..].starts_with('#') {
            from -= date(out, &mut words, before);
        }
        // One error, two errors.
        if counted && out[from..].ends_with('s') {
            out.pop();
        }
        words.push(from);
    }
}

/// A path's last part; nothing of it where that is a temporary name itself.
fn without_path(word: &str) -> &str {
    let path = word.trim_end_matches(['/', '\'', '"', '`', ',', '.', ':', ')', ']']);
    let drive = path.trim_start_matches(['\'', '"', '`', '(']).as_bytes();
    let windows =
        drive.len() > 2 && drive[0].is_ascii_alphabetic() && drive[1..].starts_with(b":\\");
    let at = match windows {
        true => path.rfind('\\'),
        false => path.rfind('/'),
    };
    let Some(at) = at else {
        return word;
    };
    let directory = path[..at].trim_start_matches(['\'', '"', '`', '(']);
    let (name, directories) = (
        &word[at + 1..],
        ["/tmp", "/var/tmp", "/private/tmp", "/dev/shm"],
    );
    if directories.contains(&directory) {
        return "#";
    }
    name
}

/// Every number, with its sign, fraction, exponent and unit, becomes `#`; so does a word in which
/// digits and letters alternate, as those of addresses, hashes and random names do.
fn without_numbers(out: &mut String, word: &str, chars: &mut Vec<char>) {
    if !word.bytes().any(|byte| byte.is_ascii_digit()) && word.len() < UUID {
        // A sign without a number stays, and so does all else.
        out.push_str(word);
        return;
    }
    chars.clear();
    chars.extend(word.chars());
    let mut at = 0;
    while at < chars.len() {
        if let Some(end) = uuid(chars, at) {
            out.push('#');
            at = end;
            continue;
        }
        let (c, next) = (chars[at], chars.get(at + 1));
        let digit = |c: Option<&char>| c.is_some_and(char::is_ascii_digit);
        let before = at.checked_sub(1).map(|at| chars[at]);
        if matches!(c, '+' | '-') && digit(next) && !before.is_some_and(char::is_alphanumeric) {
            at += 1;
            continue;
        }
        if !c.is_alphanumeric() {
            out.push(c);
            at += 1;
            continue;
        }
        let from = at;
        while at < chars.len() && joins(chars, from, at) {
            at += 1;
        }
        token(out, &chars[from..at]);
    }
}

/// Whether a character belongs to the word that began at `from`: letters, digits, the point of a
/// fraction, the sign of an exponent.
fn joins(chars: &[char], from: usize, at: usize) -> bool {
    let digit = |at: Option<usize>| {
        at.and_then(|at| chars.get(at))
            .is_some_and(char::is_ascii_digit)
    };
    let before = at.checked_sub(1).filter(|before| *before >= from);
    match chars[at] {
        c if c.is_alphanumeric() => true,
        '.' => digit(before) && digit(Some(at + 1)),
        '+' | '-' => {
            let exponent = before.is_some_and(|before| matches!(chars[before], 'e' | 'E'));
            exponent && digit(at.checked_sub(2)) && digit(Some(from)) && digit(Some(at + 1))
        }
        _ => false,
    }
}

fn token(out: &mut String, word: &[char]) {
    let is_number = |c: &char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-');
    if !word.iter().any(char::is_ascii_digit) {
        out.extend(word);
        return;
    }
    let first = word.iter().position(is_number).unwrap_or(0);
    let length = word[first..].iter().take_while(|c| is_number(c)).count();
    let (before, after) = (&word[..first], &word[first + length..]);
    let several = after.iter().any(char::is_ascii_digit);
    let hexadecimal = word.len() >= 7 && word.iter().all(char::is_ascii_hexdigit);
    let start = out.len();
    out.extend(before);
    out.push('#');
    let unit = out.len();
    out.extend(after);
    if several
        || hexadecimal
        || (before.is_empty() && is_unit(&out[unit..]))
        || word.starts_with(&['0', 'x'])
    {
        out.truncate(start);
        out.push('#');
    }
}

/// Durations: what took 900 ms may take 1.2 seconds the next time.
fn is_unit(word: &str) -> bool {
    const UNITS: [&str; 16] = [
        "ns",
        "us",
        "\u{b5}s",
        "\u{3bc}s",
        "ms",
        "s",
        "sec",
        "secs",
        "second",
        "seconds",
        "millisecond",
        "milliseconds",
        "min",
        "minute",
        "minutes",
        "hours",
    ];
    UNITS.contains(&word.trim_end_matches(['.', ',', ';', ')', ':']))
}

/// `Thu Nov 26`: the names of a date beside its numbers change with them. The words end at
/// `end`; says by how much they became shorter.
fn date(out: &mut String, words: &mut [usize], end: usize) -> usize {
    const NAMES: [&str; 19] = [
        "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Jan", "Feb", "Mar", "Apr", "May", "Jun",
        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (mut to, mut shorter) = (end, 0);
    for at in (0..words.len()).rev().take(2) {
        let from = words[at];
        if !NAMES.contains(&out[from..to].trim_end_matches(',')) {
            break;
        }
        out.replace_range(from..to, "#");
        let less = to - from - 1;
        shorter += less;
        words[at + 1..].iter_mut().for_each(|later| *later -= less);
        // A blank stands between two words.
        to = from.saturating_sub(1);
    }
    shorter
}

/// The end of a UUID that begins here.
fn uuid(chars: &[char], at: usize) -> Option<usize> {
    let whole = chars.get(at..at + UUID)?;
    let fits = whole.iter().enumerate().all(|(at, c)| match at {
        8 | 13 | 18 | 23 => *c == '-',
        _ => c.is_ascii_hexdigit(),
    });
    let alone = |c: Option<&char>| !c.is_some_and(|c| c.is_alphanumeric());
    let before = at.checked_sub(1).and_then(|at| chars.get(at));
    (fits && alone(before) && alone(chars.get(at + UUID))).then_some(at + UUID)
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
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

    fn stable(message: &str) -> String {
        let mut out = String::new();
        super::stable(&mut out, message);
        out
    }

    #[test]
    fn what_changes_from_run_to_run_does_not_count() {
        let pairs = [
            ("no such file /tmp/a1/x.txt", "no such file /tmp/b2/x.txt"),
            ("took 1.25s at 0x7ffe12", "took 3s at 0x55aa"),
            ("left 3 right 4", "left 30 right 41"),
            // Durations of any unit.
            ("took 900ms", "took 1.2s"),
            ("took 900 ms, at most", "took 1.2 seconds, at most"),
            ("after 1m2s", "after 2h1m3s"),
            // Signs, fractions, exponents, one and many.
            ("is -0.5", "is 1e-05"),
            ("1 error left", "2 errors left"),
            // Names that are made by chance.
            (
                "user deadbeef-cafe-abcd-efab-cdefabcdefab is gone",
                "user 01234567-89ab-4cde-8f01-23456789abcd is gone",
            ),
            ("no `/tmp/tmpabcdefg'", "no `/tmp/tmpx8k2jqz'"),
            ("commit abcdef1 lost", "commit 1f3e5d7 lost"),
            ("#<Till:0x00007fd6>", "#<Till:0x000055aadeadbeef>"),
            ("key k8f2x9 is taken", "key z1a2b3 is taken"),
            // Places.
            ("localhost:4312 refused", "localhost:55012 refused"),
            (
                "http://127.0.0.1:4312/a failed",
                "http://127.0.0.1:9/a failed",
            ),
            ("in C:\\Users\\a\\x.txt", "in C:\\Users\\b\\x.txt"),
            ("in '/home/a/x.txt'", "in '/srv/b/x.txt'"),
            // Dates.
            ("at Thu Nov 26 11:17:24 2026", "at Fri Dec 1 09:07:04 2027"),
            ("at 2026-11-26T11:17:24.123Z", "at 2027-01-02T03:04:05.6Z"),
        ];
        for (a, b) in pairs {
            assert_eq!(stable(a), stable(b));
        }
        for (a, b) in [
            ("cannot add", "cannot face"),
            ("expected \"a\", got \"b\"", "expected \"a\", got \"c\""),
            ("made5 is wrong", "mode5 is wrong"),
            ("no /tmp/a1/x.txt", "no /tmp/a1/y.txt"),
            ("sum is -1", "sum is right"),
            ("March is over", "May is over"),
            ("a/b differs", "a/c differs"),
        ] {
            assert_ne!(stable(a), stable(b));
        }
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
