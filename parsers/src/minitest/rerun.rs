//! How minitest is asked for structure, and how one test is run again.

use crate::context::Context;
use crate::records::EVENTS_FILE;
use crate::records::EVENTS_VARIABLE;
use crate::request::Asked;
use crate::request::Refused;
use crate::request::Request;

/// What waits for minitest.
const WATCHER: &str = include_str!("../../reporters/regreen_minitest.rb");
/// The reporter.
const REPORTER: &str = include_str!("../../reporters/regreen_minitest_reporter.rb");

/// The usual tool.
const RUBY: [&str; 3] = ["ruby", "-Ilib", "-Itest"];

/// Asks for structure. Minitest has no option that brings a reporter, and is started by all
/// kinds of programs; what they have in common is Ruby's own `RUBYOPT`.
pub(crate) fn request(asked: &Asked<'_>) -> Request {
    let base = |word: &str| word.rsplit('/').next().unwrap_or(word).to_owned();
    if asked
        .words()
        .any(|word| matches!(base(word).as_str(), "guard" | "autotest"))
    {
        let mut request = Request::plain(asked.argv);
        request.refused = Some(Refused {
            why: "it watches files and never ends".to_owned(),
            remedy: "use `rake test`, `bin/rails test` or `ruby -Itest FILE`".to_owned(),
        });
        return request;
    }
    let (inject, events) = (asked.places.inject, asked.places.events);
    let own = asked.own("RUBYOPT").unwrap_or("");
    let options = format!("{own} -r{inject}/regreen_minitest.rb");
    Request::plain(asked.argv)
        .set("RUBYOPT", options.trim_start())
        .set(EVENTS_VARIABLE, format!("{events}/{EVENTS_FILE}"))
        .file("regreen_ruby.rb", crate::rspec::SHARED)
        .file("regreen_minitest.rb", WATCHER)
        .file("regreen_minitest_reporter.rb", REPORTER)
}

/// What a rerun begins with: `ruby` with its options, or `rails test`. `rake` takes its list of
/// files from its own file, so that `ruby -Ilib -Itest` takes its place.
pub(crate) fn tool(argv: &[String]) -> Vec<String> {
    let base = |word: &String| word.rsplit('/').next().unwrap_or(word).to_owned();
    let mut kept = Vec::new();
    let mut rest = argv;
    if argv.len() > 2 && base(&argv[0]) == "bundle" && argv[1] == "exec" {
        kept.extend_from_slice(&argv[..2]);
        rest = &argv[2..];
    }
    let usual = |mut kept: Vec<String>| {
        kept.extend(RUBY.map(str::to_owned));
        kept
    };
    match rest.first().map(base).as_deref() {
        Some("rails") if rest.get(1).is_some_and(|word| word.starts_with("test")) => {
            kept.extend([rest[0].clone(), "test".to_owned()]);
            kept
        }
        Some(name) if name.starts_with("ruby") => match options(rest) {
            Some(options) => {
                kept.extend(options);
                kept
            }
            None => usual(kept),
        },
        // The usual tool needs no words.
        _ if kept.is_empty() => Vec::new(),
        _ => usual(kept),
    }
}

/// `ruby` and its options, before a script; nothing where it starts another program.
fn options(words: &[String]) -> Option<Vec<String>> {
    let mut kept = vec![words[0].clone()];
    let mut rest = words[1..].iter();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "-S" => return None,
            "-I" | "-r" | "-C" | "-E" => {
                kept.push(word.clone());
                kept.extend(rest.next().cloned());
            }
            "-e" | "--" => break,
            word if word.starts_with('-') => kept.push(word.to_owned()),
            _ => break,
        }
    }
    Some(kept)
}

/// The argv that runs one test again. Where the test's file is not known (an assertion in a
/// helper, of text alone), every test file is loaded.
pub(crate) fn of(context: &Context, id: &str, file: Option<&str>) -> Vec<String> {
    let name = selector(id);
    let rails = context.command.iter().any(|word| word == "test");
    match file {
        Some(file) => {
            let file = context.in_dir(file);
            context.rerun(&RUBY, [file, "-n".to_owned(), name])
        }
        None if rails => context.rerun(&RUBY, ["-n".to_owned(), name]),
        None => {
            const ALL: &str =
                "Dir.glob('./test/**/{test_*,*_test}.rb').sort.each { |f| require f }";
            let words = ["-e", ALL, "--", "-n"].map(str::to_owned);
            context.rerun(&RUBY, words.into_iter().chain([name]))
        }
    }
}

/// The argv that loads a file again.
pub(crate) fn file(context: &Context, file: &str) -> Vec<String> {
    context.rerun(&RUBY, [context.in_dir(file)])
}

/// The whole name of a test selects it alone; only one with two slashes would be taken for a
/// pattern, and becomes one that means the same.
fn selector(id: &str) -> String {
    if id.matches('/').count() < 2 {
        return id.to_owned();
    }
    let mut pattern = String::from("/\\A");
    for c in id.chars() {
        if "\\.^$|?*+()[]{}-#".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push_str("\\z/");
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Places;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_suite_s_own_options_stay() {
        let own = [("RUBYOPT".to_owned(), "-W0".to_owned())];
        let asked = Asked {
            argv: &words("rake test"),
            own: &own,
            places: Places {
                inject: "/i",
                events: "/e",
            },
        };
        let request = request(&asked);
        assert_eq!(request.env[0].1, "-W0 -r/i/regreen_minitest.rb");
        assert_eq!(request.argv, words("rake test"));
    }

    #[test]
    fn a_rerun_begins_with_ruby_or_rails() {
        for (command, expected) in [
            ("rake test", ""),
            ("bundle exec rake test", "bundle exec ruby -Ilib -Itest"),
            (
                "ruby -w -I lib -Itest test/a_test.rb -n x",
                "ruby -w -I lib -Itest",
            ),
            ("ruby -Itest -e code", "ruby -Itest"),
            ("ruby -S rake test", "ruby -Ilib -Itest"),
            ("bin/rails test test/models", "bin/rails test"),
            ("bundle exec rails test:all", "bundle exec rails test"),
        ] {
            assert_eq!(tool(&words(command)).join(" "), expected, "{command}");
        }
    }

    #[test]
    fn one_test_is_selected() {
        assert_eq!(selector("A#test_a/b"), "A#test_a/b");
        assert_eq!(selector("A#test_a/b/c?"), "/\\AA\\#test_a/b/c\\?\\z/");
        let argv = of(&Context::default(), "A#test_a", Some("test/a_test.rb"));
        assert_eq!(
            argv.join(" "),
            "ruby -Ilib -Itest test/a_test.rb -n A#test_a"
        );
    }
}
