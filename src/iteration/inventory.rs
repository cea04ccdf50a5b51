//! Which tests exist and how each ended, and what of it went missing between two runs (pure).

use crate::model::TestEvent;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// A test's identity over suites and targets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TestKey {
    /// The suite's name.
    pub suite: String,
    /// The cargo target or file that holds it; empty when the framework names none.
    pub target: String,
    /// The id as the framework prints it.
    pub id: String,
}

impl fmt::Display for TestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A pytest id begins with its file already.
        if self.target.is_empty() || self.id.starts_with(&self.target) {
            write!(f, "{}", self.id)
        } else {
            write!(f, "{} ({})", self.id, self.target)
        }
    }
}

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ran {
    /// It passed.
    Passed,
    /// It failed.
    Failed,
    /// It was skipped or ignored.
    Skipped,
}

/// Every test that a run showed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(TestKey, Ran)>", into = "Vec<(TestKey, Ran)>")]
pub struct Inventory {
    tests: BTreeMap<TestKey, Ran>,
}

impl From<Vec<(TestKey, Ran)>> for Inventory {
    fn from(tests: Vec<(TestKey, Ran)>) -> Self {
        Inventory {
            tests: tests.into_iter().collect(),
        }
    }
}

impl From<Inventory> for Vec<(TestKey, Ran)> {
    fn from(inventory: Inventory) -> Self {
        inventory.tests.into_iter().collect()
    }
}

/// A test of the base that the head does not run as the base did.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Lost {
    /// It is gone: removed, renamed or no longer built.
    Gone(TestKey),
    /// It is skipped or ignored now.
    Skipped(TestKey),
}

impl Lost {
    /// The test.
    pub fn key(&self) -> &TestKey {
        match self {
            Lost::Gone(key) | Lost::Skipped(key) => key,
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::Gone(key) => write!(f, "`{key}` is gone"),
            Lost::Skipped(key) => write!(f, "`{key}` is skipped now"),
        }
    }
}

impl Inventory {
    /// Takes in one event of a run of `suite`. What came last about a test counts.
    pub fn note(&mut self, suite: &str, event: &TestEvent) {
        let (target, id, ran) = match event {
            TestEvent::Passed { target, id } => (target.clone(), id.clone(), Ran::Passed),
            TestEvent::Skipped { target, id } => (target.clone(), id.clone(), Ran::Skipped),
            TestEvent::Failed(failure) => (failure.target.clone(), failure.id.clone(), Ran::Failed),
            _ => return,
        };
        self.put(suite, target.as_deref(), &id, ran);
    }

    /// Records one test.
    pub fn put(&mut self, suite: &str, target: Option<&str>, id: &str, ran: Ran) {
        let key = TestKey {
            suite: suite.to_owned(),
            target: target.unwrap_or_default().to_owned(),
            id: id.to_owned(),
        };
        self.tests.insert(key, ran);
    }

    /// How many tests there are.
    pub fn len(&self) -> usize {
        self.tests.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.tests.is_empty()
    }

    /// Every test and how it ended.
    pub fn iter(&self) -> impl Iterator<Item = (&TestKey, Ran)> {
        self.tests.iter().map(|(key, ran)| (key, *ran))
    }

    /// The tests that ended this way.
    pub fn that(&self, ran: Ran) -> impl Iterator<Item = &TestKey> {
        self.tests
            .iter()
            .filter(move |(_, one)| **one == ran)
            .map(|(key, _)| key)
    }

    /// What of `self`, the base, is missing or newly skipped in `head`. Tests whose id holds
    /// a line number or an address are compared by how many there are of them.
    pub fn lost_in(&self, head: &Inventory) -> Vec<Lost> {
        let mut base = grouped(self);
        let head = grouped(head);
        let mut lost = Vec::new();
        while let Some((key, before)) = base.pop_first() {
            let after = head.get(&key).copied().unwrap_or_default();
            if after.all < before.all {
                lost.push(Lost::Gone(key));
            } else if after.skipped > before.skipped && before.skipped < before.all {
                let ran_before = before.all - before.skipped;
                if after.all - after.skipped < ran_before {
                    lost.push(Lost::Skipped(key));
                }
            }
        }
        lost
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    all: u64,
    skipped: u64,
}

fn grouped(inventory: &Inventory) -> BTreeMap<TestKey, Tally> {
    let mut groups: BTreeMap<TestKey, Tally> = BTreeMap::new();
    for (key, ran) in &inventory.tests {
        let tally = groups.entry(stable(key)).or_default();
        tally.all += 1;
        tally.skipped += u64::from(*ran == Ran::Skipped);
    }
    groups
}

/// The key without what moves when a line is added above the test: the line of a doctest, an
/// address in a parameter.
pub fn stable(key: &TestKey) -> TestKey {
    TestKey {
        suite: key.suite.clone(),
        target: key.target.clone(),
        id: without_addresses(without_line(&key.id)),
    }
}

fn without_line(id: &str) -> &str {
    match id.rfind(" (line ") {
        Some(at) if id.contains(" - ") && id[at..].contains(')') => &id[..at],
        _ => id,
    }
}

fn without_addresses(id: &str) -> String {
    let mut out = String::with_capacity(id.len());
    let mut rest = id;
    while let Some(at) = rest.find("0x") {
        let digits = rest[at + 2..]
            .bytes()
            .take_while(u8::is_ascii_hexdigit)
            .count();
        out.push_str(&rest[..at + 2]);
        // Short numbers are values (`0xff`), long ones are places in memory.
        let kept = if digits < 8 { digits } else { 0 };
        out.push_str(&rest[at + 2..at + 2 + kept]);
        rest = &rest[at + 2 + digits..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory(tests: &[(&str, Ran)]) -> Inventory {
        let mut all = Inventory::default();
        for (id, ran) in tests {
            all.put("cargo", Some("demo"), id, *ran);
        }
        all
    }

    fn lost(base: &[(&str, Ran)], head: &[(&str, Ran)]) -> Vec<String> {
        inventory(base)
            .lost_in(&inventory(head))
            .iter()
            .map(Lost::to_string)
            .collect()
    }

    #[test]
    fn removed_and_newly_skipped_tests_are_lost() {
        use Ran::Failed;
        use Ran::Passed;
        use Ran::Skipped;
        let base = [("a", Passed), ("b", Failed), ("c", Skipped)];
        assert_eq!(
            lost(&base, &[("a", Passed), ("c", Skipped), ("new", Passed)]),
            ["`b (demo)` is gone"]
        );
        assert_eq!(
            lost(&base, &[("a", Passed), ("b", Skipped), ("c", Skipped)]),
            ["`b (demo)` is skipped now"]
        );
        assert!(lost(&base, &[("a", Failed), ("b", Passed), ("c", Passed)]).is_empty());
    }

    #[test]
    fn a_doctest_that_moved_is_not_lost_but_a_removed_one_is() {
        let two = [
            ("src/lib.rs - g (line 2)", Ran::Passed),
            ("src/lib.rs - g (line 9)", Ran::Failed),
        ];
        let moved = [
            ("src/lib.rs - g (line 4)", Ran::Passed),
            ("src/lib.rs - g (line 11)", Ran::Passed),
        ];
        assert!(lost(&two, &moved).is_empty());
        assert_eq!(lost(&two, &moved[..1]).len(), 1);
        let ignored = [moved[0], ("src/lib.rs - g (line 11)", Ran::Skipped)];
        assert_eq!(
            lost(&two, &ignored),
            ["`src/lib.rs - g (demo)` is skipped now"]
        );
    }

    #[test]
    fn addresses_in_parameters_do_not_matter_and_values_do() {
        let at = |id: &str| {
            stable(&TestKey {
                suite: String::new(),
                target: String::new(),
                id: id.into(),
            })
            .id
        };
        assert_eq!(
            at("t[<A at 0x7f00deadbeef>]"),
            at("t[<A at 0x55aa55aa55aa>]")
        );
        assert_ne!(at("t[0xff]"), at("t[0xfe]"));
    }

    #[test]
    fn it_survives_json() {
        let all = inventory(&[("a", Ran::Passed), ("b", Ran::Skipped)]);
        let text = serde_json::to_string(&all).expect("json");
        assert_eq!(serde_json::from_str::<Inventory>(&text).expect("back"), all);
    }
}
