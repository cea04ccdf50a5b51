//! What to look at first: the tests that failed last, and what a change affects. Pure. Only
//! the whole suite makes a verdict.

use crate::model::Framework;
use crate::model::Report;
use crate::model::Suite;
use crate::run::attempt::Key;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

/// Tests that failed last and are looked at first, at most; a broken base class fails them
/// all, and the first few tell as much.
const MOST_TESTS: usize = 50;
/// Processes for them, at most.
const MOST_PROCESSES: usize = 4;
/// A suite that is over sooner needs no early look at what a change affects.
const WORTH_IT: Duration = Duration::from_secs(4);

/// What to look at before the whole suite.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Early {
    /// Commands that run what failed last, from the project's root.
    pub reruns: Vec<Vec<String>>,
    /// Packages of a cargo workspace that the change affects.
    pub packages: Vec<String>,
}

/// What is known of the last complete run of a suite.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Previous {
    /// What failed in it.
    pub failed: BTreeSet<Key>,
    /// The commands that run each of these again.
    pub reruns: Vec<Vec<String>>,
    /// How long it took.
    pub duration: Duration,
}

impl Previous {
    /// From the report of that run.
    pub fn of(report: &Report) -> Self {
        let failures = report.failures.iter();
        Previous {
            failed: failures
                .clone()
                .map(|failure| (failure.target.clone(), failure.id.clone()))
                .collect(),
            reruns: failures
                .map(|failure| failure.rerun.clone())
                .filter(|argv| !argv.is_empty())
                .collect(),
            duration: Duration::from_millis(report.run.duration_ms.unwrap_or_default()),
        }
    }
}

/// Decides what to look at first. `affected` names the packages that the change can affect,
/// of `packages` in all; `None` means that anything may be.
pub fn early(
    suite: &Suite,
    previous: Option<&Previous>,
    affected: Option<&BTreeSet<&str>>,
    packages: usize,
) -> Early {
    let Some(previous) = previous else {
        return Early::default();
    };
    let reruns = together(suite.framework, &previous.reruns);
    if !reruns.is_empty() {
        return Early {
            reruns,
            packages: Vec::new(),
        };
    }
    let few = |names: &&BTreeSet<&str>| !names.is_empty() && names.len() * 2 <= packages;
    let packages = match affected.filter(few) {
        Some(names) if is_long(previous) && suite.framework == Framework::Cargo => {
            names.iter().map(|name| (*name).to_owned()).collect()
        }
        _ => Vec::new(),
    };
    Early {
        reruns: Vec::new(),
        packages,
    }
}

/// Commands that differ only in the test that they name become one, where the framework
/// takes several.
fn together(framework: Framework, reruns: &[Vec<String>]) -> Vec<Vec<String>> {
    let mut grouped: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    let mut order: Vec<Vec<String>> = Vec::new();
    for argv in reruns.iter().take(MOST_TESTS) {
        let joins = match framework {
            Framework::Cargo => argv
                .iter()
                .rev()
                .nth(1)
                .is_some_and(|word| word == "--exact"),
            Framework::Pytest => argv.len() > 1,
            _ => false,
        };
        let split = argv.len() - usize::from(joins);
        let (prefix, test) = argv.split_at(split);
        if !grouped.contains_key(prefix) {
            order.push(prefix.to_vec());
        }
        grouped
            .entry(prefix.to_vec())
            .or_default()
            .extend_from_slice(test);
    }
    order
        .into_iter()
        .take(MOST_PROCESSES)
        .map(|prefix| {
            let tests = grouped.remove(&prefix).unwrap_or_default();
            prefix.into_iter().chain(tests).collect()
        })
        .collect()
}

/// Whether a suite takes so long that an early look at what a change affects is worth it.
pub fn is_long(previous: &Previous) -> bool {
    previous.duration >= WORTH_IT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn suite(framework: Framework) -> Suite {
        Suite {
            name: "s".into(),
            framework,
            dir: "".into(),
            command: argv("cargo test --workspace"),
            env: Vec::new(),
            carry: Vec::new(),
            services: Vec::new(),
            setup: None,
            artifacts: Vec::new(),
            limits: crate::model::Limits::default(),
            why: String::new(),
        }
    }

    fn previous(reruns: &[&str], seconds: u64) -> Previous {
        Previous {
            failed: BTreeSet::new(),
            reruns: reruns.iter().map(|text| argv(text)).collect(),
            duration: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn what_failed_last_comes_first_in_as_few_processes_as_possible() {
        let before = previous(
            &[
                "cargo test -p a --lib -- --exact t::x",
                "cargo test -p b --lib -- --exact t::y",
                "cargo test -p a --lib -- --exact t::z",
                "cargo test --doc -p a lib::f",
            ],
            1,
        );
        let early = early(&suite(Framework::Cargo), Some(&before), None, 5);
        let commands: Vec<String> = early.reruns.iter().map(|argv| argv.join(" ")).collect();
        assert_eq!(
            commands,
            [
                "cargo test -p a --lib -- --exact t::x t::z",
                "cargo test -p b --lib -- --exact t::y",
                "cargo test --doc -p a lib::f",
            ]
        );
        let before = previous(
            &["python -m pytest a.py::x", "python -m pytest b.py::y[1-2]"],
            1,
        );
        let early = super::early(&suite(Framework::Pytest), Some(&before), None, 0);
        assert_eq!(early.reruns.len(), 1);
    }

    #[test]
    fn affected_packages_only_where_the_suite_is_long_and_they_are_few() {
        let names = BTreeSet::from(["a", "b"]);
        let look = |seconds, packages| {
            let before = previous(&[], seconds);
            early(
                &suite(Framework::Cargo),
                Some(&before),
                Some(&names),
                packages,
            )
            .packages
        };
        assert_eq!(look(10, 9), ["a", "b"]);
        assert!(look(1, 9).is_empty());
        assert!(look(10, 3).is_empty());
        let before = previous(&[], 10);
        assert_eq!(
            early(&suite(Framework::Cargo), Some(&before), None, 9),
            Early::default()
        );
        assert_eq!(
            early(&suite(Framework::Cargo), None, Some(&names), 9),
            Early::default()
        );
    }
}
