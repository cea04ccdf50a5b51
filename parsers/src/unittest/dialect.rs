//! unittest's side of the reporters' protocol, and how one test is run again.

use crate::context::Context;
use crate::python;
use crate::python::traceback;
use crate::records::Dialect;
use crate::records::Failed;
use crate::records::Named;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Frame;
use crate::unittest::failure;
use crate::unittest::names;

const USUAL: [&str; 3] = ["python", "-m", "unittest"];

/// What the records of the reporter for unittest need.
#[derive(Debug)]
pub(crate) struct Python;

impl Dialect for Python {
    fn framework(&self) -> &'static str {
        "unittest"
    }

    fn rerun(&self, context: &Context, test: &Named) -> Vec<String> {
        rerun(context, &test.id)
    }

    fn frames(&self, stack: &str) -> Vec<Frame> {
        let chain = traceback::read(stack);
        let entries = chain.last().map_or(&[][..], |raised| &raised.entries);
        let entries = entries.iter().rev().map(|entry| Frame {
            file: entry.file.clone(),
            line: entry.line,
            function: entry.function.clone(),
            user: false,
        });
        entries.collect()
    }

    fn is_user(&self, context: &Context, file: &str) -> bool {
        python::is_user(context, file)
    }

    fn refine(&self, failure: &mut Failure, record: &Failed, context: &Context) {
        let message = record
            .error
            .as_ref()
            .map_or("", |error| error.message.as_str());
        if failure.kind == FailureKind::CollectionError {
            // A module's own traceback is a part of the message; other errors have theirs.
            let stack = record
                .error
                .as_ref()
                .map_or("", |error| error.stack.as_str());
            let details = match message.contains("Traceback (most recent call last):") {
                true => message,
                false => stack,
            };
            let made = failure::collection(&record.id, details, context);
            failure.rerun = rerun_module(context, &record.id);
            failure.id = made.id;
            failure.message = made.message;
            failure.frames = made.frames;
            failure.location = made.location;
            failure.test_location = None;
            return;
        }
        // A subtest has a longer name than its test.
        if !record.id.is_empty() {
            failure.id.clone_from(&record.id);
        }
        if let Some(place) = failure::doctest_place(message, context) {
            failure.location = Some(place);
            failure.rerun = rerun(context, "");
        }
        if failure.kind == FailureKind::UnexpectedPass {
            "Unexpected success".clone_into(&mut failure.message);
        }
        if let Some(diff) = python::sides::said(message) {
            failure.diff = Some(diff);
        }
        // Django's processes send no stack along whose variables could be looked at.
        if failure.diff.is_none() && failure.kind == FailureKind::Assertion {
            failure.diff = python::sides::of_unittest(message);
        }
    }
}

/// The argv that runs one test again.
pub(crate) fn rerun(context: &Context, id: &str) -> Vec<String> {
    let fixture = id.ends_with(')') && (id.starts_with("setUp") || id.starts_with("tearDown"));
    let id = names::without_subtest(id);
    let has = |word: &str| context.command.iter().any(|known| known == word);
    let script = context
        .command
        .last()
        .is_some_and(|word| word.ends_with(".py"));
    if !id.contains('.') {
        // A bare function, or the whole of something: no name selects it.
        return context.rerun::<String>(&USUAL, []);
    }
    if has("discover") {
        let pattern = match fixture {
            true => format!("*{id}.*"),
            false => format!("*{id}"),
        };
        return context.rerun(&USUAL, ["-k".to_owned(), pattern]);
    }
    match id.strip_prefix("__main__.") {
        Some(id) if script => context.rerun(&USUAL, [id]),
        // A script that runs other modules' tests: the same python does it without the script.
        None if script => {
            let python = &context.command[..context.command.len() - 1];
            let plain = Context {
                command: [python, &["-m".to_owned(), "unittest".to_owned()]].concat(),
                ..context.clone()
            };
            plain.rerun(&USUAL, [id])
        }
        _ => context.rerun(&USUAL, [id]),
    }
}

/// The argv that loads one module again, by its name.
pub(crate) fn rerun_module(context: &Context, module: &str) -> Vec<String> {
    match module {
        "" => context.rerun::<String>(&USUAL, []),
        _ if context.command.iter().any(|word| word == "discover") => rerun(context, ""),
        module => context.rerun(&USUAL, [module]),
    }
}

/// What a rerun begins with: what starts unittest, without what selects tests.
pub(crate) fn tool(argv: &[String]) -> Vec<String> {
    let is_runner = |word: &str| matches!(word, "unittest" | "xmlrunner");
    let module = argv
        .windows(2)
        .position(|pair| pair[0] == "-m" && is_runner(&pair[1]));
    if let Some(at) = module {
        let (start, rest) = argv.split_at(at + 2);
        return start.iter().cloned().chain(discovery(rest)).collect();
    }
    let manage = argv.iter().position(|word| word == "test");
    let django = manage.filter(|at| {
        *at > 0 && {
            let word = &argv[at - 1];
            word.ends_with("manage.py") || word == "django" || word.ends_with("django-admin")
        }
    });
    if let Some(at) = django {
        return argv[..=at]
            .iter()
            .cloned()
            .chain(settings(&argv[at + 1..]))
            .collect();
    }
    // `python test_x.py`, which ends in `unittest.main()`.
    let python = argv.first().is_some_and(|word| {
        let name = word.rsplit('/').next().unwrap_or(word);
        name.starts_with("python") || name == "pypy3"
    });
    let script = argv.iter().position(|word| word.ends_with(".py"));
    match script {
        Some(at) if python => argv[..=at].to_vec(),
        _ => Vec::new(),
    }
}

/// What says where tests are discovered, if it is not the working directory; other options are
/// kept as far as they do not select.
fn discovery(rest: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let discover = rest.first().is_some_and(|word| word == "discover");
    let mut words = rest.iter().skip(usize::from(discover));
    let mut place = false;
    let mut positional = 0;
    while let Some(word) = words.next() {
        match word.as_str() {
            "-s" | "-t" | "-p" | "--start-directory" | "--top-level-directory" | "--pattern" => {
                let value = words.next();
                if discover {
                    place |= !word.starts_with("-p") && word != "--pattern";
                    place |= value.is_none();
                    kept.push(word.clone());
                    kept.extend(value.cloned());
                }
            }
            "-k" => {
                words.next();
            }
            "-b" | "--buffer" | "--locals" => kept.push(word.clone()),
            word if word.starts_with('-') => {
                let long = ["--start-directory=", "--top-level-directory=", "--pattern="];
                if discover && long.iter().any(|start| word.starts_with(start)) {
                    place |= !word.starts_with("--pattern=");
                    kept.push(word.to_owned());
                }
            }
            // Directory, pattern, top: `discover tests 'check_*.py' .`.
            word if discover && positional < 3 => {
                positional += 1;
                place = true;
                kept.push(word.to_owned());
            }
            _ => {}
        }
    }
    // Names that begin in the working directory can be imported from there.
    let top = kept
        .windows(2)
        .any(|pair| pair[0] == "-t" && pair[1] == ".");
    if place && !top {
        kept.insert(0, "discover".to_owned());
    } else {
        kept.retain(|word| matches!(word.as_str(), "-b" | "--buffer" | "--locals"));
    }
    kept
}

/// Django's settings.
fn settings(rest: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        if word == "--settings" {
            kept.push(word.clone());
            kept.extend(words.next().cloned());
        } else if word.starts_with("--settings=") || word == "--keepdb" || word == "--noinput" {
            kept.push(word.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn of_the_command_only_what_starts_it_is_kept() {
        for (command, kept) in [
            ("python -m unittest", "python -m unittest"),
            (
                "python3 -m unittest -v -f -k x tests.m",
                "python3 -m unittest",
            ),
            ("python -m unittest discover", "python -m unittest"),
            (
                "python -m unittest discover -v -p check_*.py",
                "python -m unittest",
            ),
            (
                "python -m unittest discover -s tests -p check_*.py -v",
                "python -m unittest discover -s tests -p check_*.py",
            ),
            (
                "python -m unittest discover tests",
                "python -m unittest discover tests",
            ),
            (
                "python -W error -m unittest -b a.b",
                "python -W error -m unittest -b",
            ),
            ("coverage run -m unittest tests", "coverage run -m unittest"),
            (
                "python manage.py test --settings x.y shop",
                "python manage.py test --settings x.y",
            ),
            ("python test_x.py -v C.test_a", "python test_x.py"),
            ("make test", ""),
        ] {
            assert_eq!(tool(&words(command)), words(kept), "{command}");
        }
    }

    #[test]
    fn a_rerun_selects_one_test() {
        let context = |command: &str| Context {
            command: tool(&words(command)),
            ..Context::rooted("/p")
        };
        for (command, id, expected) in [
            ("make test", "m.C.t [a b] (i=1)", "python -m unittest m.C.t"),
            ("make test", "setUpClass (m.C)", "python -m unittest m.C"),
            (
                "python -m unittest discover -s tests",
                "m.C.t",
                "python -m unittest discover -s tests -k *m.C.t",
            ),
            ("python test_x.py", "__main__.C.t", "python test_x.py C.t"),
            ("python run_all.py", "m.C.t", "python -m unittest m.C.t"),
            (
                "python manage.py test",
                "shop.tests.C.t",
                "python manage.py test shop.tests.C.t",
            ),
        ] {
            assert_eq!(
                rerun(&context(command), id),
                words(expected),
                "{command} {id}"
            );
        }
    }
}
