//! How the tools of the Java world are asked for structure.
//!
//! | tool | request |
//! |---|---|
//! | console launcher | its XML files; `--details=verbose`, the one mode that says at once which test begins; the captured output of each test |
//! | Maven | Surefire's and Failsafe's files; all modules, whole traces |
//! | Gradle | the test tasks' files; an init script that runs the tests even if nothing changed, and says which one begins |
//! | Ant and scripts | whatever files of these kinds are new |

use crate::junit::rerun;
use crate::junit::rerun::Tool;
use crate::request::Asked;
use crate::request::Refused;
use crate::request::Request;

/// Gradle's init script.
const GRADLE: &str = include_str!("../../reporters/regreen.init.gradle");
/// Its name.
const GRADLE_NAME: &str = "regreen.init.gradle";

/// Files that build tools write by themselves.
const MAVEN_FILES: [&str; 2] = [
    "**/target/surefire-reports/TEST-*.xml",
    "**/target/failsafe-reports/TEST-*.xml",
];
const GRADLE_FILES: &str = "**/build/test-results/**/TEST-*.xml";

/// Options of the launcher that say how it looks or where its files go, with their values.
const LOOKS: [(&str, bool); 8] = [
    ("--details", true),
    ("--details-theme", true),
    ("--reports-dir", true),
    ("--color-palette", true),
    ("--disable-banner", false),
    ("--disable-ansi-colors", false),
    ("--single-color", false),
    ("--fail-fast", false),
];

/// Options of the launcher that choose tests; a value that begins with a dash is none.
const SELECTORS: [&str; 30] = [
    "--scan-classpath",
    "--scan-class-path",
    "--scan-modules",
    "-u",
    "--select-uri",
    "-f",
    "--select-file",
    "-d",
    "--select-directory",
    "-o",
    "--select-module",
    "-p",
    "--select-package",
    "-c",
    "--select-class",
    "-m",
    "--select-method",
    "-r",
    "--select-resource",
    "-i",
    "--select-iteration",
    "-uid",
    "--select-unique-id",
    "--uid",
    "--select",
    "--scan-class-path-root",
    "--select-type",
    "--select-test",
    "--fail-if-no-tests",
    "--list-tests",
];

/// Asks for structure.
pub(crate) fn request(asked: &Asked<'_>) -> Request {
    match rerun::tool_of(asked.argv) {
        Tool::Launcher => launcher(asked),
        Tool::Maven => maven(asked),
        Tool::Gradle => gradle(asked),
        Tool::Ant | Tool::Other => {
            let mut request = Request::plain(asked.argv);
            request.collect = MAVEN_FILES.iter().map(|file| (*file).to_owned()).collect();
            request.collect.push(GRADLE_FILES.to_owned());
            request
        }
    }
}

/// Where the launcher's own options begin.
fn launcher_at(argv: &[String]) -> usize {
    let jar = argv.iter().rposition(|word| {
        let name = word.rsplit('/').next().unwrap_or(word);
        // A class path may name the jar, too.
        name.contains("junit-platform-console") && name.ends_with(".jar") && !word.contains(':')
            || word == "org.junit.platform.console.ConsoleLauncher"
    });
    let at = jar.map_or(argv.len(), |at| at + 1);
    match argv.get(at).map(String::as_str) {
        Some("execute" | "discover" | "engines") => at + 1,
        _ => at,
    }
}

fn without_looks(words: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let name = word.split('=').next().unwrap_or(word);
        match LOOKS.iter().find(|(known, _)| *known == name) {
            Some((_, true)) if !word.contains('=') => at += 2,
            Some(_) => at += 1,
            None => {
                kept.push(word.clone());
                at += 1;
            }
        }
    }
    kept
}

fn launcher(asked: &Asked<'_>) -> Request {
    let (before, after) = asked.argv.split_at(launcher_at(asked.argv));
    let mut request = Request::plain(before);
    request.argv.extend([
        format!("--reports-dir={}", asked.places.events),
        "--details=verbose".to_owned(),
        "--disable-banner".to_owned(),
        "--disable-ansi-colors".to_owned(),
        "--config=junit.platform.output.capture.stdout=true".to_owned(),
        "--config=junit.platform.output.capture.stderr=true".to_owned(),
    ]);
    request.argv.extend(without_looks(after));
    request
}

fn split_tool(argv: &[String], names: &[&str]) -> usize {
    let at = argv.iter().position(|word| {
        let name = word.rsplit('/').next().unwrap_or(word);
        names.contains(&name)
    });
    at.map_or(argv.len(), |at| at + 1)
}

fn maven(asked: &Asked<'_>) -> Request {
    let at = split_tool(asked.argv, &["mvn", "mvnw", "mvnd"]);
    let (before, after) = asked.argv.split_at(at);
    let mut request = Request::plain(before);
    let ours = [
        "-B",
        "--fail-at-end",
        "-Dstyle.color=never",
        "-DtrimStackTrace=false",
        "-Dsurefire.skipAfterFailureCount=0",
    ];
    request.argv.extend(ours.map(str::to_owned));
    let dropped = [
        "-q",
        "--quiet",
        "-ff",
        "--fail-fast",
        "-fn",
        "--fail-never",
        "-fae",
        "-B",
        "--fail-at-end",
    ];
    let kept = after
        .iter()
        .filter(|word| !dropped.contains(&word.as_str()));
    request.argv.extend(kept.cloned());
    request.collect = MAVEN_FILES.iter().map(|file| (*file).to_owned()).collect();
    request
}

fn gradle(asked: &Asked<'_>) -> Request {
    let at = split_tool(asked.argv, &["gradle", "gradlew"]);
    let (before, after) = asked.argv.split_at(at);
    let watches = ["-t", "--continuous"];
    if after.iter().any(|word| watches.contains(&word.as_str())) {
        let mut request = Request::plain(asked.argv);
        request.refused = Some(Refused {
            why: "`--continuous` never ends by itself".to_owned(),
            remedy: "leave `--continuous` out of the suite's command".to_owned(),
        });
        return request;
    }
    let mut request = Request::plain(before).file(GRADLE_NAME, GRADLE);
    request.argv.extend([
        "--console=plain".to_owned(),
        "--no-daemon".to_owned(),
        "--continue".to_owned(),
        format!("--init-script={}/{GRADLE_NAME}", asked.places.inject),
    ]);
    let dropped = [
        "-q",
        "--quiet",
        "--daemon",
        "--no-daemon",
        "--continue",
        "--fail-fast",
        "-w",
        "--warn",
    ];
    let kept = after
        .iter()
        .filter(|word| !dropped.contains(&word.as_str()) && !word.starts_with("--console"));
    request.argv.extend(kept.cloned());
    request.collect.push(GRADLE_FILES.to_owned());
    request
}

/// What a rerun begins with.
pub(crate) fn tool(argv: &[String]) -> Vec<String> {
    match rerun::tool_of(argv) {
        Tool::Launcher => {
            let (before, after) = argv.split_at(launcher_at(argv));
            let kept = without_selectors(&without_looks(after));
            before.iter().cloned().chain(kept).collect()
        }
        Tool::Maven => {
            let selects =
                |word: &&String| !(word.starts_with("-Dtest=") || word.starts_with("-Dit.test="));
            argv.iter().filter(selects).cloned().collect()
        }
        Tool::Gradle => gradle_tool(argv),
        Tool::Ant | Tool::Other => Vec::new(),
    }
}

fn without_selectors(words: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let name = word.split('=').next().unwrap_or(word);
        at += 1;
        // `-cp` and `-c` are not the same.
        if !SELECTORS.contains(&name) {
            kept.push(word.clone());
            continue;
        }
        let valued =
            !word.contains('=') && words.get(at).is_some_and(|next| !next.starts_with('-'));
        at += usize::from(valued);
    }
    kept
}

/// `--tests` belongs to a test task: `check` and `build` have none of it.
fn gradle_tool(argv: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut any = false;
    let mut words = argv.iter();
    while let Some(word) = words.next() {
        if word == "--tests" {
            words.next();
            continue;
        }
        if word.starts_with("--tests=") {
            continue;
        }
        let name = word.rsplit(':').next().unwrap_or(word);
        if ["check", "build"].contains(&name) && !word.starts_with('-') {
            let path = word.strip_suffix(name).unwrap_or("");
            kept.push(format!("{path}test"));
            any = true;
            continue;
        }
        any |= name.to_lowercase().ends_with("test") && !word.starts_with('-');
        kept.push(word.clone());
    }
    if !any {
        kept.push("test".to_owned());
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

    fn asked(text: &str) -> Request {
        let argv = words(text);
        let places = Places {
            inject: "/i",
            events: "/e",
        };
        request(&Asked {
            argv: &argv,
            own: &[],
            places,
        })
    }

    #[test]
    fn the_launcher_is_asked_behind_its_jar() {
        let request = asked(
            "java -jar /j/junit-platform-console-standalone-1.9.1.jar -cp out --scan-classpath out --details tree",
        );
        let text = request.argv.join(" ");
        assert!(text.starts_with("java -jar /j/junit-platform-console-standalone-1.9.1.jar --reports-dir=/e --details=verbose "), "{text}");
        assert!(text.ends_with("-cp out --scan-classpath out"), "{text}");
        let newer = asked(
            "java -jar console/junit-platform-console-standalone.jar execute --scan-classpath",
        )
        .argv
        .join(" ");
        assert!(newer.contains(".jar execute --reports-dir=/e"), "{newer}");
    }

    #[test]
    fn build_tools_leave_files() {
        let maven = asked("./mvnw -q -ff verify");
        assert!(maven.argv.ends_with(&words("verify")) && !maven.argv.contains(&"-ff".to_owned()));
        assert_eq!(maven.collect.len(), 2);
        let gradle = asked("./gradlew check");
        assert_eq!(gradle.files.len(), 1);
        assert!(asked("gradle test --continuous").refused.is_some());
    }

    #[test]
    fn a_rerun_drops_what_chooses() {
        for (argv, expected) in [
            (
                "java -jar junit-platform-console.jar -cp out --scan-classpath out -c a.B --select-method=a.B#c -n .*",
                "java -jar junit-platform-console.jar -cp out -n .*",
            ),
            ("mvn -o -Dtest=A#b test", "mvn -o test"),
            ("./gradlew :app:check --tests a.B", "./gradlew :app:test"),
            ("gradle --offline test", "gradle --offline test"),
        ] {
            assert_eq!(tool(&words(argv)), words(expected));
        }
    }
}
