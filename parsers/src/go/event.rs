//! One line of `go test -json` (`go doc test2json` describes them).

use memchr::memmem::Finder;
use serde::Deserialize;
use serde::Deserializer;
use std::borrow::Cow;
use std::sync::LazyLock;

static ACTION: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"Action\":"));

/// Borrows where nothing is escaped, which serde does by itself only outside of an `Option`.
fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Cow<'de, str>>, D::Error> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    Ok(Option::<Text>::deserialize(from)?.map(|text| text.0))
}

/// An event.
#[derive(Debug, Deserialize)]
pub(crate) struct Event<'a> {
    /// What happened.
    #[serde(rename = "Action", borrow)]
    pub action: Cow<'a, str>,
    /// The package's import path; `go tool test2json` alone does not know it.
    #[serde(rename = "Package", borrow, default, deserialize_with = "text")]
    pub package: Option<Cow<'a, str>>,
    /// The test.
    #[serde(rename = "Test", borrow, default, deserialize_with = "text")]
    pub test: Option<Cow<'a, str>>,
    /// Seconds.
    #[serde(rename = "Elapsed", default)]
    pub elapsed: Option<f64>,
    /// A piece of output, mostly a line.
    #[serde(rename = "Output", borrow, default, deserialize_with = "text")]
    pub output: Option<Cow<'a, str>>,
    /// What kind of output (Go 1.26 and later).
    #[serde(rename = "OutputType", borrow, default, deserialize_with = "text")]
    pub output_type: Option<Cow<'a, str>>,
    /// What was being built (Go 1.24 and later).
    #[serde(rename = "ImportPath", borrow, default, deserialize_with = "text")]
    pub import_path: Option<Cow<'a, str>>,
    /// What could not be built (Go 1.24 and later).
    #[serde(rename = "FailedBuild", borrow, default, deserialize_with = "text")]
    pub failed_build: Option<Cow<'a, str>>,
}

/// Reads one line, if it is an event at all.
pub(crate) fn of(line: &[u8]) -> Option<Event<'_>> {
    if line.first() != Some(&b'{') || ACTION.find(line).is_none() {
        return None;
    }
    serde_json::from_slice(line).ok()
}

impl Event<'_> {
    /// The time in milliseconds.
    pub fn ms(&self) -> Option<u64> {
        let seconds = self.elapsed.filter(|s| s.is_finite() && *s >= 0.0)?;
        Some((seconds * 1000.0).round() as u64)
    }
}
