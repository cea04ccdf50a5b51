//! Tells Rust's own harness from a project's: by a string that every libtest carries.

use regreen_parsers::cargo::shim::Harness;
use std::io::Read;
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
    match std::fs::File::open(binary).and_then(|file| found(file, &marks)) {
        Ok(found) if found[0] && !found[1..].contains(&true) => Harness::Libtest,
        _ => Harness::Custom,
    }
}

fn forwards(backwards: &str) -> Vec<u8> {
    backwards.bytes().rev().collect()
}

/// Which of the marks a stream of bytes holds.
fn found(mut file: impl Read, marks: &[&[u8]]) -> std::io::Result<Vec<bool>> {
    let longest = marks.iter().map(|mark| mark.len()).max().unwrap_or(1);
    let mut seen = vec![false; marks.len()];
    let mut buffer = vec![0; 1 << 20];
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
    fn this_binary_has_rust_s_own_harness() {
        let own = std::env::current_exe().expect("a path");
        assert_eq!(of(&own), Harness::Libtest);
        assert_eq!(of(Path::new("/bin/sh")), Harness::Custom);
        assert_eq!(of(Path::new("/nonexistent")), Harness::Custom);
    }
}
