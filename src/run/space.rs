//! Whether a run failed because a disk was full: the slot's, or the one of its records. What tests
//! say of themselves there is no word about the project.

use regreen_parsers::report::Report;
use std::path::Path;

/// With less than this free, in bytes, next to every write fails.
const NOTHING: u64 = 1 << 20;
/// With less than this free it is believed that there was nothing a moment ago: tests that fail
/// clean up.
const LITTLE: u64 = 256 << 20;
/// Files that can still be made where none can.
const NO_FILES: u64 = 16;
/// How programs say it.
const WORDS: [&str; 4] = [
    "No space left on device",
    "no space left on device",
    "ENOSPC",
    "os error 28",
];

/// What there is to say, if a run that is not green ended on a full disk.
pub(super) fn full(report: &Report, tail: &str, places: [&Path; 2]) -> Option<String> {
    if report.is_green() {
        return None;
    }
    let says = |text: &str| WORDS.iter().any(|words| text.contains(words));
    let said = says(tail)
        || report.failures.iter().any(|failure| {
            let details = failure.details.as_deref().unwrap_or_default();
            says(&failure.message) || says(details)
        });
    places.into_iter().find_map(|place| {
        let stat = rustix::fs::statvfs(place).ok()?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        // Some file systems count no files.
        let no_files = stat.f_files > 0 && stat.f_favail <= NO_FILES;
        let full = free < NOTHING || no_files || (said && free < LITTLE);
        full.then(|| {
            let place = place.display();
            match no_files {
                true => format!("no file can be made on the disk that holds `{place}`"),
                false => format!("the disk that holds `{place}` has {} KiB left", free >> 10),
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Outcome;
    use regreen_parsers::Source;

    #[test]
    fn a_roomy_disk_is_no_excuse() {
        let red = Report::new("generic", Source::Text, Outcome::Failed);
        let here = Path::new(".");
        let roomy = rustix::fs::statvfs(here).expect("a disk");
        assert!(roomy.f_bavail * roomy.f_frsize > LITTLE, "room to build in");
        assert_eq!(full(&red, "No space left on device", [here, here]), None);
    }
}
