//! Tells Rust's own harness from a project's: by a string that every libtest carries.

use regreen_parsers::cargo::shim::Harness;
use std::fs::File;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The variable by which libtest starts itself again for tests that need their own process.
const MARK: &[u8] = b"__RUST_TEST_INVOKE";

/// Crates that start compilers from tests, by their place in a registry, which panic messages
/// carry into the binary. The variable that unlocks libtest's events would reach these
/// compilers too, rebuild their dependencies and change what they say. Written backwards,
/// so that regreen's own test binaries do not hold them.
const COMPILER_STARTERS: [&str; 4] = ["-dliubyrt/", "-tset_iu/", "-sr_tsetelipmoc/", "-tsetorcam/"];

/// The harness of a binary. What cannot be read is taken for the project's own; so is what
/// starts compilers, and is then judged by its exit status.
pub fn of(binary: &Path) -> Harness {
    let starters = COMPILER_STARTERS.map(forwards);
    let marks: Vec<&[u8]> = [MARK]
        .into_iter()
        .chain(starters.iter().map(Vec::as_slice))
        .collect();
    match File::open(binary).and_then(|file| seen_in(&file, &marks)) {
        Ok(seen) if seen[0] && !seen[1..].contains(&true) => Harness::Libtest,
        _ => Harness::Custom,
    }
}

/// Which marks a program holds. Nine tenths of a debug build are debug information, which is
/// not searched: strings lie in what is loaded, and all constants of a program lie together.
fn seen_in(file: &File, marks: &[&[u8]]) -> std::io::Result<Vec<bool>> {
    let Some(parts) = loaded(file) else {
        return found(file, marks);
    };
    let mut seen = vec![false; marks.len()];
    for code in [false, true] {
        for part in parts.iter().filter(|part| part.code == code) {
            let mut reader = file;
            reader.seek(SeekFrom::Start(part.offset))?;
            for (seen, now) in seen.iter_mut().zip(found(reader.take(part.size), marks)?) {
                *seen |= now;
            }
        }
        // Where the linker keeps constants apart from code, the code need not be searched.
        if seen[0] {
            break;
        }
    }
    Ok(seen)
}

/// A part of a program's file that is loaded when it starts.
struct Part {
    offset: u64,
    size: u64,
    code: bool,
}

/// The loaded parts of a 64-bit ELF program of this machine's byte order; `None` for any other
/// file, which is then searched whole.
fn loaded(file: &File) -> Option<Vec<Part>> {
    const PT_LOAD: u32 = 1;
    const PF_X: u32 = 1;
    const MOST: u16 = 64;
    let own_order = if cfg!(target_endian = "big") { 2 } else { 1 };
    let mut head = [0; 64];
    file.read_exact_at(&mut head, 0).ok()?;
    if !head.starts_with(&[0x7f, b'E', b'L', b'F', 2, own_order]) {
        return None;
    }
    let table = u64::from_ne_bytes(head[32..40].try_into().ok()?);
    let entry = u16::from_ne_bytes([head[54], head[55]]);
    let count = u16::from_ne_bytes([head[56], head[57]]);
    if !(1..=MOST).contains(&count) {
        return None;
    }
    let mut parts = Vec::new();
    for index in 0..count {
        let mut row = [0; 56];
        let at = table.checked_add(u64::from(index) * u64::from(entry))?;
        file.read_exact_at(&mut row, at).ok()?;
        let word = |at: usize| u32::from_ne_bytes([row[at], row[at + 1], row[at + 2], row[at + 3]]);
        let long = |at: usize| row[at..at + 8].try_into().map(u64::from_ne_bytes);
        if word(0) == PT_LOAD {
            parts.push(Part {
                offset: long(8).ok()?,
                size: long(32).ok()?,
                code: word(4) & PF_X != 0,
            });
        }
    }
    Some(parts)
}

fn forwards(backwards: &str) -> Vec<u8> {
    backwards.bytes().rev().collect()
}

/// Which of the marks a stream of bytes holds.
fn found(mut file: impl Read, marks: &[&[u8]]) -> std::io::Result<Vec<bool>> {
    let longest = marks.iter().map(|mark| mark.len()).max().unwrap_or(1);
    let mut seen = vec![false; marks.len()];
    // Small enough to stay in the processor's cache for all marks.
    let mut buffer = vec![0; 128 << 10];
    let mut kept = 0;
    loop {
        let read = file.read(&mut buffer[kept..])?;
        if read == 0 {
            return Ok(seen);
        }
        let filled = kept + read;
        for (seen, mark) in seen.iter_mut().zip(marks) {
            *seen = *seen || memchr::memmem::find(&buffer[..filled], mark).is_some();
        }
        // A mark may lie across two reads.
        kept = filled.min(longest - 1);
        buffer.copy_within(filled - kept..filled, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out a few bytes at a time.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let take = self.0.len().min(buffer.len()).min(5);
            buffer[..take].copy_from_slice(&self.0[..take]);
            self.0 = &self.0[take..];
            Ok(take)
        }
    }

    #[test]
    fn the_mark_is_found_across_reads() {
        let with = b"....___RUST_TEST_INVOK__RUST_TEST_INVOKE..";
        let without = b"....__RUST_TEST_INVOK.__RUST_TEST_INVOK";
        let starter = forwards(COMPILER_STARTERS[0]);
        let marks = [MARK, starter.as_slice()];
        assert_eq!(found(Drip(with), &marks).expect("reads"), [true, false]);
        assert_eq!(found(Drip(without), &marks).expect("reads"), [false, false]);
        let starts = [&with[..], &starter, b"1.0.99/src/run.rs"].concat();
        assert_eq!(found(Drip(&starts), &marks).expect("reads"), [true, true]);
    }

    #[test]
    fn only_what_is_loaded_counts() {
        let own = File::open(std::env::current_exe().expect("a path")).expect("opens");
        let parts = loaded(&own).expect("an ELF program");
        let size: u64 = parts.iter().map(|part| part.size).sum();
        assert!(size > 0 && size < own.metadata().expect("metadata").len());
        assert!(parts.iter().any(|part| part.code) && parts.iter().any(|part| !part.code));

        // A program that has the mark in its debug information only is no libtest program.
        let mut file = tempfile::tempfile().expect("a file");
        let mut shell = File::open("/bin/sh").expect("opens");
        std::io::copy(&mut shell, &mut file).expect("copies");
        std::io::Write::write_all(&mut file, MARK).expect("writes");
        assert_eq!(seen_in(&file, &[MARK]).expect("reads"), [false]);

        // What is no ELF program is searched whole.
        let mut script = tempfile::tempfile().expect("a file");
        std::io::Write::write_all(&mut script, &[&[b'#'; 100][..], MARK].concat()).expect("writes");
        script.seek(SeekFrom::Start(0)).expect("seeks");
        assert!(loaded(&script).is_none());
        assert_eq!(seen_in(&script, &[MARK]).expect("reads"), [true]);
    }

    #[test]
    fn this_binary_has_rust_s_own_harness() {
        let own = std::env::current_exe().expect("a path");
        assert_eq!(of(&own), Harness::Libtest);
        assert_eq!(of(Path::new("/bin/sh")), Harness::Custom);
        assert_eq!(of(Path::new("/nonexistent")), Harness::Custom);
    }
}
