//! How `go test` is asked for structure.

use crate::request::Asked;
use crate::request::Request;

/// The events that gotestsum writes.
const JSON_FILE: &str = "go-test.json";

/// Flags of `go test` that take a value in the next word.
const VALUED: [&str; 37] = [
    "C",
    "p",
    "asmflags",
    "buildmode",
    "buildvcs",
    "compiler",
    "gccgoflags",
    "gcflags",
    "installsuffix",
    "ldflags",
    "mod",
    "modfile",
    "overlay",
    "pgo",
    "pkgdir",
    "tags",
    "toolexec",
    "exec",
    "o",
    "vet",
    "bench",
    "benchtime",
    "blockprofile",
    "count",
    "coverpkg",
    "coverprofile",
    "covermode",
    "cpu",
    "cpuprofile",
    "fuzz",
    "fuzztime",
    "fuzzminimizetime",
    "memprofile",
    "outputdir",
    "parallel",
    "run",
    "timeout",
];
/// Flags that a rerun does not need: selections, reports, and what ends a run early.
const DROPPED: [&str; 26] = [
    "run",
    "skip",
    "bench",
    "benchtime",
    "list",
    "count",
    "failfast",
    "json",
    "v",
    "o",
    "c",
    "coverprofile",
    "coverpkg",
    "covermode",
    "cover",
    "fuzz",
    "fuzztime",
    "fuzzminimizetime",
    "outputdir",
    "blockprofile",
    "cpuprofile",
    "memprofile",
    "mutexprofile",
    "trace",
    "benchmem",
    "artifacts",
];
/// Also with a value.
const VALUED_TOO: [&str; 7] = [
    "skip",
    "list",
    "shuffle",
    "mutexprofile",
    "trace",
    "blockprofilerate",
    "memprofilerate",
];

/// Asks for structure.
///
/// `go test` itself gets `-json`, and `-count=1`, so that what go remembers of an earlier run is
/// no verdict; `-failfast` goes. gotestsum writes its events to a file. Through anything else
/// only the environment reaches go: `GOFLAGS` asks for `-v`, because `-json` there would change
/// what `go list` and `go vet` print to the scripts that call them.
pub(crate) fn request(asked: &Asked<'_>) -> Request {
    let mut request = Request::plain(asked.argv);
    match kind(asked.argv) {
        Kind::GoTest(at) => {
            let flags = parts(&asked.argv[at..]);
            if flags
                .iter()
                .any(|part| matches!(part.name, "c" | "list" | "n" | "help"))
            {
                return request;
            }
            let mut argv = asked.argv[..at].to_vec();
            let first = flags.first().filter(|part| part.name == "C");
            let (before, after) = flags.split_at(usize::from(first.is_some()));
            argv.extend(before.iter().flat_map(|part| part.words.iter().cloned()));
            let has = |name: &str| flags.iter().any(|part| part.name == name);
            if !has("json") {
                argv.push("-json".to_owned());
            }
            if !has("count") {
                argv.push("-count=1".to_owned());
            }
            for part in after.iter().filter(|part| part.name != "failfast") {
                argv.extend(part.words.iter().cloned());
            }
            request.argv = argv;
            request
        }
        Kind::Gotestsum => {
            if !asked.has("--jsonfile") && asked.own("GOTESTSUM_JSONFILE").is_none() {
                let file = format!("{}/{JSON_FILE}", asked.places.events);
                request.argv.insert(1, format!("--jsonfile={file}"));
            }
            with_flags(request, asked, "-count=1")
        }
        Kind::OtherGo => request,
        Kind::Wrapped => {
            let request = match asked.own("GOTESTSUM_JSONFILE") {
                Some(_) => request,
                None => {
                    let file = format!("{}/{JSON_FILE}", asked.places.events);
                    request.set("GOTESTSUM_JSONFILE", file)
                }
            };
            with_flags(request, asked, "-v -count=1")
        }
    }
}

fn with_flags(request: Request, asked: &Asked<'_>, flags: &str) -> Request {
    let own = asked.own("GOFLAGS").unwrap_or("");
    let known: Vec<&str> = own.split_whitespace().collect();
    let new = flags.split(' ').filter(|flag| {
        let name = flag.split('=').next().unwrap_or(flag);
        !known
            .iter()
            .any(|k| k.trim_start_matches('-').split('=').next() == Some(&name[1..]))
    });
    let merged: Vec<&str> = known
        .iter()
        .copied()
        .chain(new)
        .filter(|flag| *flag != "-failfast")
        .collect();
    request.set("GOFLAGS", merged.join(" "))
}

/// What a rerun begins with: `go test` with the flags that change what is built and how long
/// it may take.
pub(crate) fn tool(argv: &[String]) -> Vec<String> {
    let mut words = match kind(argv) {
        Kind::GoTest(at) => {
            let mut words = argv[..at].to_vec();
            words.extend(kept(&argv[at..]));
            words
        }
        Kind::Gotestsum => {
            let at = argv
                .iter()
                .position(|word| word == "--")
                .map_or(argv.len(), |at| at + 1);
            let mut words = vec!["go".to_owned(), "test".to_owned()];
            words.extend(kept(&argv[at..]));
            words
        }
        Kind::OtherGo | Kind::Wrapped => Vec::new(),
    };
    if let Some(first) = words
        .first_mut()
        .filter(|first| first.ends_with("richgo") || first.ends_with("gotest"))
    {
        *first = "go".to_owned();
    }
    words
}

fn kept(argv: &[String]) -> Vec<String> {
    parts(argv)
        .into_iter()
        .filter(|part| {
            !part.name.is_empty() && !DROPPED.contains(&part.name) && part.name != "args"
        })
        .flat_map(|part| part.words.to_vec())
        .collect()
}

/// What starts the tests.
enum Kind {
    /// `go test`, whose own words begin here.
    GoTest(usize),
    /// gotestsum.
    Gotestsum,
    /// `go vet`, `go build`.
    OtherGo,
    /// Anything else.
    Wrapped,
}

fn kind(argv: &[String]) -> Kind {
    let base = argv
        .first()
        .map(|word| word.rsplit('/').next().unwrap_or(word))
        .unwrap_or("");
    let go = matches!(base, "go" | "richgo")
        || base
            .strip_prefix("go1.")
            .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
    match argv.get(1).map(String::as_str) {
        Some("test") if go => Kind::GoTest(2),
        Some("vet" | "build" | "list" | "run" | "install" | "generate") if go => Kind::OtherGo,
        _ if base == "gotestsum" => Kind::Gotestsum,
        _ => Kind::Wrapped,
    }
}

/// A flag with its value, or a word that is none (then the name is empty).
struct Part<'a> {
    name: &'a str,
    words: &'a [String],
}

fn parts(argv: &[String]) -> Vec<Part<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < argv.len() {
        let word = argv[at].as_str();
        let bare = word
            .strip_prefix("--")
            .or(word.strip_prefix('-'))
            .unwrap_or("");
        let name = bare.split('=').next().unwrap_or("");
        let name = name.strip_prefix("test.").unwrap_or(name);
        if name == "args" {
            // All that follows is the binary's.
            found.push(Part {
                name,
                words: &argv[at..],
            });
            break;
        }
        let valued = !bare.contains('=') && (VALUED.contains(&name) || VALUED_TOO.contains(&name));
        let size = if valued && at + 1 < argv.len() { 2 } else { 1 };
        found.push(Part {
            name,
            words: &argv[at..at + size],
        });
        at += size;
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::live::Format;
    use crate::request;
    use crate::request::Places;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn asked(text: &str, own: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
        let own: Vec<(String, String)> = own
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        let places = Places {
            inject: "/i",
            events: "/e",
        };
        let request = request::request(Format::GoTest, &words(text), &own, places);
        (request.argv.join(" "), request.env)
    }

    #[test]
    fn go_test_is_asked_by_flags() {
        for (text, expected) in [
            ("go test ./...", "go test -json -count=1 ./..."),
            (
                "go test -C sub -run TestA -failfast .",
                "go test -C sub -json -count=1 -run TestA .",
            ),
            (
                "go test -json -count=3 ./...",
                "go test -json -count=3 ./...",
            ),
            ("go test -c", "go test -c"),
            (
                "go test ./a -args -failfast",
                "go test -json -count=1 ./a -args -failfast",
            ),
            ("go vet ./...", "go vet ./..."),
        ] {
            assert_eq!(asked(text, &[]).0, expected);
        }
    }

    #[test]
    fn others_are_asked_by_the_environment() {
        let (argv, env) = asked("make test", &[("GOFLAGS", "-mod=vendor -count=2")]);
        assert_eq!(argv, "make test");
        assert!(
            env.contains(&("GOFLAGS".into(), "-mod=vendor -count=2 -v".into())),
            "{env:?}"
        );
        assert!(env.contains(&("GOTESTSUM_JSONFILE".into(), "/e/go-test.json".into())));
        let (argv, env) = asked("gotestsum -- -race ./...", &[]);
        assert_eq!(argv, "gotestsum --jsonfile=/e/go-test.json -- -race ./...");
        assert_eq!(env, [("GOFLAGS".to_owned(), "-count=1".to_owned())]);
    }

    #[test]
    fn a_rerun_keeps_what_changes_the_build() {
        for (text, expected) in [
            (
                "go test -race -tags integration -run TestA -v ./...",
                "go test -race -tags integration",
            ),
            (
                "go test -timeout 5s -count 2 ./a ./b",
                "go test -timeout 5s",
            ),
            ("gotestsum --format dots -- -race ./...", "go test -race"),
            ("make test", ""),
        ] {
            assert_eq!(
                request::tool(Format::GoTest, &words(text)).join(" "),
                expected
            );
        }
    }
}
