//! What a parser says while the bytes still come in.

use crate::report::Counts;
use crate::report::Failure;

/// Something that became known while a run was still going on.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum TestEvent {
    /// How many tests there will be, as far as is known now (grows as targets are listed).
    Planned {
        /// Tests known so far.
        total: u64,
    },
    /// A test began.
    Started {
        /// The target that holds it.
        target: Option<String>,
        /// The test's id.
        id: String,
    },
    /// A test ended well.
    Passed {
        /// The target that holds it.
        target: Option<String>,
        /// The test's id.
        id: String,
    },
    /// A test was skipped.
    Skipped {
        /// The target that holds it.
        target: Option<String>,
        /// The test's id.
        id: String,
    },
    /// Something failed. Of text with more failed tests than a report lists, only who failed and
    /// that is told of the further ones.
    Failed(Box<Failure>),
    /// The counts as they stand now.
    Counts(Counts),
}
