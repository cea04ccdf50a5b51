//! The stacks that Python's fault handler and pytest-timeout print when a process is about to
//! die: they name the test that was running.

use crate::python::traceback;
use crate::python::traceback::Entry;

/// The stacks of a dying process, in the last lines of its output.
#[derive(Debug, Default)]
pub(crate) struct Fault {
    /// `Segmentation fault`, `Aborted`, `Timeout`.
    pub what: String,
    /// The stack of the thread that runs the tests, innermost first.
    pub entries: Vec<Entry>,
}

/// The last fault in some lines.
pub(crate) fn find(lines: &[String]) -> Option<Fault> {
    let stacked = lines.iter().rposition(|line| heads(line))?;
    let at = lines[..stacked]
        .iter()
        .rposition(|line| begins(line).is_some())?;
    let what = begins(&lines[at]).unwrap_or_default().to_owned();
    let timeout = what == "Timeout";
    let mut stacks: Vec<Vec<Entry>> = Vec::new();
    for line in &lines[at + 1..] {
        if heads(line) {
            stacks.push(Vec::new());
        } else if let (Some(entry), Some(stack)) = (traceback::entry(line), stacks.last_mut()) {
            stack.push(entry);
        }
    }
    if timeout {
        // pytest-timeout prints the innermost frame last.
        stacks.iter_mut().for_each(|stack| stack.reverse());
    }
    let runs_tests = |stack: &&mut Vec<Entry>| stack.iter().any(is_runner);
    let entries = match stacks.iter_mut().find(runs_tests) {
        Some(stack) => std::mem::take(stack),
        None => stacks.into_iter().next().unwrap_or_default(),
    };
    Some(Fault { what, entries })
}

fn begins(line: &str) -> Option<&str> {
    // What the test, or a runner that names it, has begun on the same line stands before it.
    if let Some((_, what)) = line.split_once("Fatal Python error: ") {
        return Some(what.trim_end());
    }
    let title = line[line.find("+++")?..].trim_matches('+');
    (title == " Timeout ").then_some("Timeout")
}

/// `Current thread 0x00007f (most recent call first):`, `~~~ Stack of MainThread (1) ~~~`.
fn heads(line: &str) -> bool {
    line.ends_with("(most recent call first):")
        || (line.starts_with("~~~") && line.contains(" Stack of "))
}

fn is_runner(entry: &Entry) -> bool {
    ["unittest/case.py", "_pytest/python.py", "_pytest/runner.py"]
        .iter()
        .any(|file| entry.file.ends_with(file))
}

impl Fault {
    /// The stack without the runner's part of it; innermost first.
    pub fn called(&self) -> &[Entry] {
        let runner = self.entries.iter().position(is_runner);
        &self.entries[..runner.unwrap_or(self.entries.len())]
    }

    /// The test function: what the runner called.
    pub fn test(&self) -> Option<&Entry> {
        self.entries.iter().find(|entry| is_runner(entry))?;
        let called = self.called();
        // Between runner and test there may be more of the runner, or of an event loop.
        called.iter().rev().find(|entry| {
            !entry.file.contains("site-packages/") && !entry.file.contains("/lib/python3")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_is_what_the_runner_called() {
        let text = "Fatal Python error: Segmentation fault\n\nCurrent thread 0x00007f01 (most recent call first):\n  File \"/usr/lib/python3.11/ctypes/__init__.py\", line 517 in string_at\n  File \"/p/helpers.py\", line 5 in boom\n  File \"/p/test_a.py\", line 22 in test_b\n  File \"/usr/lib/python3.11/unittest/case.py\", line 579 in _callTestMethod\n";
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let fault = find(&lines).expect("a fault");
        assert_eq!(fault.what, "Segmentation fault");
        let test = fault.test().expect("a test");
        assert_eq!(
            (test.file.as_str(), test.line, test.function.as_deref()),
            ("/p/test_a.py", Some(22), Some("test_b"))
        );
    }

    #[test]
    fn a_timeout_s_stack_is_the_other_way_round() {
        let text = "+++++++++++ Timeout +++++++++++\n~~~~~~~~ Stack of MainThread (1) ~~~~~~~~\n  File \"/v/site-packages/_pytest/python.py\", line 194, in pytest_pyfunc_call\n    result = testfunction(**testargs)\n  File \"/p/test_a.py\", line 30, in test_hangs\n    time.sleep(600)\n+++++++++++ Timeout +++++++++++\n";
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let fault = find(&lines).expect("a fault");
        assert_eq!(
            fault.test().and_then(|test| test.function.as_deref()),
            Some("test_hangs")
        );
    }
}
