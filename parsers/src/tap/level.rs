//! The tests of one level of one stream, and which of them are to be believed.

use crate::tap::token::Directive;
use std::collections::BTreeMap;

/// More tests of one level than this are only counted.
const MOST_CASES: usize = 500_000;

/// One result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Case {
    /// Its number, printed or counted.
    pub number: u32,
    /// Whether the line began with `ok`.
    pub ok: bool,
    /// What the line says besides.
    pub directive: Option<Directive>,
    /// What is only kept of tests that have more to tell than that they passed.
    pub detail: Option<Box<Detail>>,
}

/// What a test had to tell.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Detail {
    /// Its description, without escapes.
    pub name: String,
    /// The lines of its YAML block.
    pub yaml: String,
    /// The comments below it, without their signs.
    pub comments: String,
    /// Indented lines below it that are no TAP.
    pub after: String,
    /// How long it took, in milliseconds.
    pub millis: Option<u64>,
    /// Its subtests.
    pub children: Option<Level>,
}

impl Detail {
    /// Whether it says anything about a failure.
    pub fn says(&self) -> bool {
        let texts = [&self.yaml, &self.comments, &self.after];
        texts.iter().any(|text| !text.is_empty())
    }
}

impl Case {
    /// A test that counts as failed.
    pub fn failed(&self) -> bool {
        !self.ok && self.directive.is_none()
    }

    /// Its description.
    pub fn name(&self) -> &str {
        self.detail.as_ref().map_or("", |detail| &detail.name)
    }
}

/// The tests of one level.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Level {
    /// What a comment before the first line called it.
    pub title: Option<String>,
    /// How many tests there are to be.
    pub plan: Option<u32>,
    /// Why everything is skipped.
    pub skip_all: Option<String>,
    /// What was seen.
    pub cases: Vec<Case>,
    /// `# Subtest: name`, whose result has not come.
    pub announced: Option<String>,
    /// The stream gave up, and why.
    pub bail: Option<String>,
    /// Results of tests that are not kept.
    pub more: u64,
    /// The last number.
    pub last: u32,
    /// It was printed.
    pub numbered: bool,
}

/// What of a level is believed.
#[derive(Debug, Default)]
pub(crate) struct Believed<'a> {
    /// The results.
    pub cases: Vec<&'a Case>,
    /// How many results were passed over.
    pub passed_over: usize,
    /// How the number of tests differs from what was announced.
    pub mismatch: Option<String>,
}

impl Level {
    /// Whether nothing has been seen.
    pub fn is_empty(&self) -> bool {
        self.plan.is_none() && self.cases.is_empty() && self.bail.is_none()
    }

    /// Adds a result.
    pub fn push(&mut self, case: Case) {
        self.last = case.number;
        self.announced = None;
        match self.cases.len() < MOST_CASES {
            true => self.cases.push(case),
            false => self.more += 1,
        }
    }

    /// Whether all announced tests have a result.
    pub fn full(&self) -> bool {
        let seen = self.cases.len() as u64 + self.more;
        self.plan.is_some_and(|plan| seen >= u64::from(plan))
    }

    /// Whether its own results failed it.
    pub fn any_failed(&self) -> bool {
        self.cases.iter().any(Case::failed)
    }

    /// Which results are believed. A test that prints `not ok 9` where eight are announced
    /// prints no result; of two results with one number the later one is the framework's own,
    /// unless only the other one is explained.
    pub fn believed(&self) -> Believed<'_> {
        let mut believed = Believed::default();
        let in_sequence = |at: usize, case: &Case| case.number as usize == at + 1;
        if self.more > 0
            || self
                .cases
                .iter()
                .enumerate()
                .all(|(at, c)| in_sequence(at, c))
        {
            let plan = self.plan.map_or(usize::MAX, |plan| plan as usize);
            believed.cases = self.cases.iter().take(plan).collect();
            // One more than announced is real, but unexpected: the plan is wrong.
            let seen = self.cases.len() as u64 + self.more;
            believed.mismatch = self.mismatch(seen);
            return believed;
        }
        let most = self.plan.unwrap_or_else(|| self.reach());
        let mut chosen: BTreeMap<u32, usize> = BTreeMap::new();
        for (at, case) in self.cases.iter().enumerate() {
            if case.number == 0 || case.number > most {
                continue;
            }
            let before = chosen.get(&case.number).map(|at| &self.cases[*at]);
            let explained = |case: &Case| case.detail.as_ref().is_some_and(|d| d.says());
            // A number that is over comes back: somebody else printed it.
            let late = before.is_some() && at > 0 && self.cases[at - 1].number > case.number;
            let stays =
                late || before.is_some_and(|b| b.failed() && explained(b) && !explained(case));
            if !stays {
                chosen.insert(case.number, at);
            }
        }
        let mut order: Vec<usize> = chosen.into_values().collect();
        order.sort_unstable();
        believed.cases = order.into_iter().map(|at| &self.cases[at]).collect();
        believed.passed_over = self.cases.len() - believed.cases.len();
        believed.mismatch = self.mismatch(believed.cases.len() as u64);
        believed
    }

    /// Without a plan: the largest number up to which none is missing.
    fn reach(&self) -> u32 {
        let mut numbers: Vec<u32> = self.cases.iter().map(|case| case.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let whole = numbers.iter().zip(1..).take_while(|(n, at)| **n == *at);
        whole.count() as u32
    }

    fn mismatch(&self, seen: u64) -> Option<String> {
        match self.plan {
            None if seen == 0 => Some("neither a plan nor tests were seen".to_owned()),
            None => Some(format!("{} ran and no plan was seen", tests(seen))),
            Some(plan) if u64::from(plan) != seen => {
                Some(format!("{} planned, {seen} ran", tests(u64::from(plan))))
            }
            Some(_) => None,
        }
    }
}

fn tests(count: u64) -> String {
    match count {
        1 => "1 test".to_owned(),
        count => format!("{count} tests"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(plan: Option<u32>, numbers: &[(u32, bool)]) -> Level {
        let case = |(number, ok): &(u32, bool)| Case {
            number: *number,
            ok: *ok,
            directive: None,
            detail: None,
        };
        Level {
            plan,
            cases: numbers.iter().map(case).collect(),
            ..Level::default()
        }
    }

    fn shown(level: &Level) -> (Vec<(u32, bool)>, usize, bool) {
        let believed = level.believed();
        let cases = believed.cases.iter().map(|case| (case.number, case.ok));
        (
            cases.collect(),
            believed.passed_over,
            believed.mismatch.is_some(),
        )
    }

    #[test]
    fn a_number_that_was_not_announced_is_no_result() {
        let (yes, no) = (true, false);
        let decoy = level(Some(3), &[(1, yes), (9, no), (2, yes), (3, yes)]);
        assert_eq!(
            shown(&decoy),
            (vec![(1, yes), (2, yes), (3, yes)], 1, false)
        );
        let tail = level(Some(2), &[(1, yes), (2, yes), (3, no)]);
        assert_eq!(shown(&tail), (vec![(1, yes), (2, yes)], 0, true));
        let double = level(Some(2), &[(1, yes), (2, no), (2, yes)]);
        assert_eq!(shown(&double), (vec![(1, yes), (2, yes)], 1, false));
        let mixed = level(Some(3), &[(2, yes), (3, no), (1, yes)]);
        assert_eq!(shown(&mixed), (vec![(2, yes), (3, no), (1, yes)], 0, false));
        let planless = level(None, &[(1, yes), (7, no), (2, yes)]);
        assert_eq!(shown(&planless), (vec![(1, yes), (2, yes)], 1, true));
        let few = level(Some(3), &[(1, yes)]);
        assert_eq!(shown(&few), (vec![(1, yes)], 0, true));
    }
}
