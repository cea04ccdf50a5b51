//! How RSpec is asked for structure, and what a rerun begins with.

use crate::records::EVENTS_FILE;
use crate::records::EVENTS_VARIABLE;
use crate::request::Asked;
use crate::request::Refused;
use crate::request::Request;

/// The reporter.
const REPORTER: &str = include_str!("../../reporters/regreen_rspec.rb");
/// What it shares with minitest's.
pub(crate) const SHARED: &str = include_str!("../../reporters/regreen_ruby.rb");

/// Asks for structure: RSpec reads options from `SPEC_OPTS`, whoever starts it (`bundle exec`,
/// `rake`, a script). They win over those of `.rspec` and of the command line.
pub(crate) fn request(asked: &Asked<'_>) -> Request {
    if let Some(refused) = refused(asked) {
        let mut request = Request::plain(asked.argv);
        request.refused = Some(refused);
        return request;
    }
    let (inject, events) = (asked.places.inject, asked.places.events);
    let own = asked.own("SPEC_OPTS").unwrap_or("");
    let ours = format!(
        "--require {} --format RegreenFormatter --out /dev/null --format progress --no-color --no-fail-fast --no-drb",
        quoted(&format!("{inject}/regreen_rspec.rb"))
    );
    let options = format!("{own} {ours}");
    Request::plain(asked.argv)
        .set("SPEC_OPTS", options.trim_start())
        .set("REGREEN_OWN", format!("SPEC_OPTS={own}"))
        .set(EVENTS_VARIABLE, format!("{events}/{EVENTS_FILE}"))
        .file("regreen_ruby.rb", SHARED)
        .file("regreen_rspec.rb", REPORTER)
}

fn refused(asked: &Asked<'_>) -> Option<Refused> {
    let base = |word: &str| word.rsplit('/').next().unwrap_or(word).to_owned();
    let names: Vec<String> = asked.words().map(base).collect();
    let because = |why: &str, remedy: &str| {
        Some(Refused {
            why: why.to_owned(),
            remedy: remedy.to_owned(),
        })
    };
    if names
        .iter()
        .any(|name| name == "guard" || name == "autotest")
    {
        return because("it watches files and never ends", "use `rspec`");
    }
    if asked.has("--dry-run") {
        return because(
            "`--dry-run` runs no example and calls all of them passed",
            "leave it out",
        );
    }
    if asked.words().any(|word| word.starts_with("--bisect")) {
        return because("`--bisect` runs the suite again and again", "leave it out");
    }
    None
}

/// A word for Ruby's `Shellwords`.
fn quoted(word: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    let mut out = String::new();
    for c in word.chars() {
        if !safe(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// What a rerun begins with: the command up to `rspec`, and its options that say how files are
/// found and loaded. `rake` and the like cannot select an example, so that `rspec` takes their
/// place, behind `bundle exec` where that was there.
pub(crate) fn tool(argv: &[String]) -> Vec<String> {
    let base = |word: &String| word.rsplit('/').next().unwrap_or(word).to_owned();
    let Some(at) = argv.iter().position(|word| base(word) == "rspec") else {
        let bundled = argv.len() > 1 && base(&argv[0]) == "bundle" && argv[1] == "exec";
        return match bundled {
            true => ["bundle", "exec", "rspec"].map(str::to_owned).to_vec(),
            false => Vec::new(),
        };
    };
    let mut kept = argv[..=at].to_vec();
    let mut rest = argv[at + 1..].iter();
    while let Some(word) = rest.next() {
        let long = word.split('=').next().unwrap_or(word);
        let matters = matches!(
            long,
            "-I" | "-r" | "--require" | "--default-path" | "-O" | "--options"
        );
        let joined = (word.starts_with("-I") || word.starts_with("-r")) && word.len() > 2;
        if matters || joined && !word.starts_with("--") {
            kept.push(word.clone());
            if matters && !word.contains('=') {
                kept.extend(rest.next().cloned());
            }
        }
    }
    kept
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
        let own = [("SPEC_OPTS".to_owned(), "--tag fast".to_owned())];
        let asked = Asked {
            argv: &words("bundle exec rspec"),
            own: &own,
            places: Places {
                inject: "/in ject",
                events: "/ev",
            },
        };
        let request = request(&asked);
        let value = |name: &str| {
            let found = request.env.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        assert!(
            value("SPEC_OPTS").starts_with("--tag fast --require /in\\ ject/regreen_rspec.rb ")
        );
        assert_eq!(value("REGREEN_OWN"), "SPEC_OPTS=--tag fast");
        assert_eq!(value("REGREEN_EVENTS"), "/ev/regreen.ndjson");
    }

    #[test]
    fn what_never_ends_is_refused() {
        for (command, refused) in [
            ("bundle exec guard", true),
            ("rspec --dry-run", true),
            ("rspec --bisect=verbose", true),
            ("rspec spec/guard_spec.rb", false),
        ] {
            let argv = words(command);
            let asked = Asked {
                argv: &argv,
                own: &[],
                places: Places {
                    inject: "/i",
                    events: "/e",
                },
            };
            assert_eq!(request(&asked).refused.is_some(), refused, "{command}");
        }
    }

    #[test]
    fn a_rerun_begins_with_rspec() {
        for (command, expected) in [
            ("rspec", "rspec"),
            (
                "bundle exec rspec -f d --tag x spec/a_spec.rb",
                "bundle exec rspec",
            ),
            (
                "bin/rspec -I lib -rfoo --require=bar -e name",
                "bin/rspec -I lib -rfoo --require=bar",
            ),
            ("bundle exec rake spec", "bundle exec rspec"),
            ("make test", ""),
        ] {
            assert_eq!(tool(&words(command)).join(" "), expected, "{command}");
        }
    }
}
