//! bats's JUnit document, alone or inline in a log.

use crate::bats::result::Outcome;
use crate::bats::result::Verdict;
use crate::text;
use roxmltree::Document;
use roxmltree::Node;

/// More of a document is not read.
const MOST: usize = 32 * 1024 * 1024;

/// The bytes of a document.
#[derive(Debug, Default)]
pub(crate) struct Xml {
    bytes: Vec<u8>,
    whole: bool,
}

/// What a document says.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub results: Vec<Outcome>,
    /// Why it is not to be believed whole.
    pub fault: Option<String>,
}

impl Xml {
    /// Takes more bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        let room = MOST.saturating_sub(self.bytes.len());
        self.bytes
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Takes a line of a document that stands in a log; whether it was the last.
    pub fn line(&mut self, bytes: &[u8]) -> bool {
        self.feed(bytes);
        self.feed(b"\n");
        self.whole |= bytes.ends_with(b"</testsuites>");
        self.whole
    }

    /// Reads the document. One that was cut off is read as far as its last whole case.
    pub fn read(&self) -> Read {
        let lossy = String::from_utf8_lossy(&self.bytes);
        let text = text::xml(&lossy);
        let mut read = Read::default();
        if let Ok(document) = Document::parse(text.trim_start()) {
            read.suites(document.root_element());
            return read;
        }
        read.fault = Some("the JUnit document is not whole".to_owned());
        if let Some(end) = text
            .rfind("</testcase>")
            .map(|at| at + 11)
            .or_else(|| text.rfind("/>").map(|at| at + 2))
        {
            let cut = format!("{}\n</testsuite></testsuites>", &text[..end]);
            if let Ok(document) = Document::parse(cut.trim_start()) {
                read.suites(document.root_element());
            }
        }
        read
    }
}

impl Read {
    fn suites(&mut self, root: Node<'_, '_>) {
        for suite in root
            .descendants()
            .filter(|node| node.has_tag_name("testsuite"))
        {
            let cases: Vec<Node<'_, '_>> = suite
                .children()
                .filter(|node| node.has_tag_name("testcase"))
                .collect();
            let counted = suite
                .attribute("tests")
                .and_then(|tests| tests.parse::<usize>().ok());
            if counted.is_some_and(|counted| counted < cases.len()) {
                let name = suite.attribute("name").unwrap_or("");
                self.fault = Some(format!("a test of {name} has no result of its own"));
            }
            for case in cases {
                self.case(case);
            }
        }
    }

    fn case(&mut self, case: Node<'_, '_>) {
        let failed = case
            .children()
            .find(|node| node.has_tag_name("failure") || node.has_tag_name("error"));
        let skipped = case.children().any(|node| node.has_tag_name("skipped"));
        let said = failed.and_then(|node| node.text()).unwrap_or("");
        let name = case.attribute("name").unwrap_or("");
        let hook = hook(said, name);
        let verdict = match (failed.is_some(), skipped) {
            (true, _) if failed.and_then(|node| node.attribute("type")) == Some("timeout") => {
                Verdict::TimedOut
            }
            (true, _) => Verdict::Failed,
            (false, true) => Verdict::Skipped,
            (false, false) => Verdict::Passed,
        };
        let file = case.attribute("classname").filter(|file| !file.is_empty());
        let mut found = Outcome::new(None, hook.unwrap_or(name), verdict, file.map(Into::into));
        text::clean(said).lines().for_each(|line| found.say(line));
        let seconds = case
            .attribute("time")
            .and_then(|time| time.parse::<f64>().ok());
        found.millis = seconds
            .filter(|s| s.is_finite() && *s >= 0.0)
            .map(|s| (s * 1000.0) as u64);
        self.results.push(found);
    }
}

/// The document gives what stands around tests the name of the last test, or none.
fn hook(said: &str, name: &str) -> Option<&'static str> {
    let within = |function: &str| {
        said.lines()
            .take(40)
            .any(|line| line.contains(&format!("from function `{function}' in")))
    };
    if within("setup_file") {
        Some("setup_file failed")
    } else if within("teardown_file") {
        Some("teardown_file failed")
    } else if within("setup_suite") {
        Some("setup_suite")
    } else if within("teardown_suite") {
        Some("teardown_suite")
    } else {
        (name.is_empty() && !said.is_empty()).then_some("setup_file failed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_to_a_control_character_spoils_nothing() {
        let text = "<?xml version=\"1.0\"?>\n<testsuites>\n<testsuite name=\"a.bats\"><testcase classname=\"a.bats\" name=\"a\" time=\"0\"><failure type=\"failure\">(in test file a.bats, line 3)\n  `false&#39; failed\n&#27;[31mred&#27;[0m</failure></testcase></testsuite>\n</testsuites>\n";
        let mut xml = Xml::default();
        xml.feed(text.as_bytes());
        let read = xml.read();
        assert_eq!((read.fault, read.results.len()), (None, 1));
    }
}
