//! Tells Rust's own harness from a project's: by a string that every libtest carries.

use regreen_parsers::cargo::shim::Harness;
use std::io::Read;
use std::path::Path;

/// The variable by which libtest starts itself again for tests that need their own process.
const MARK: &[u8] = b"__RUST_TEST_INVOKE";

/// The harness of a binary. What cannot be read is taken for the project's own.
pub fn of(binary: &Path) -> Harness {
    match std::fs::File::open(binary).and_then(contains_mark) {
        Ok(true) => Harness::Libtest,
        _ => Harness::Custom,
    }
}

fn contains_mark(mut file: impl Read) -> std::io::Result<bool> {
    let mut buffer = vec![0; 1 << 20];
    let mut kept = 0;
    loop {
        let read = file.read(&mut buffer[kept..])?;
        if read == 0 {
            return Ok(false);
        }
        let filled = kept + read;
        if find(&buffer[..filled]) {
            return Ok(true);
        }
        // The mark may lie across two reads.
        kept = filled.min(MARK.len() - 1);
        buffer.copy_within(filled - kept..filled, 0);
    }
}

fn find(haystack: &[u8]) -> bool {
    memchr::memmem::find(haystack, MARK).is_some()
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
        assert!(contains_mark(Drip(with)).expect("reads"));
        assert!(!contains_mark(Drip(without)).expect("reads"));
    }
}
