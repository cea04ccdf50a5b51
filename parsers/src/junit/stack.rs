//! Java's stack traces: exceptions, frames, and what the frames of JUnit itself tell about the
//! phase.
//!
//! A frame names a class and a bare file name. Where in the project that file lies is found
//! through the class's package and the project's files ([`Sources`]).

use crate::junit::sources::Sources;
use crate::report::Frame;
use crate::report::Location;
use crate::report::Phase;

/// More frames than this are not kept.
const MOST_FRAMES: usize = 40;
/// More frames of one exception than this are not read.
const MOST_READ: usize = 2_000;
/// More exceptions than this are not told apart.
const MOST_PARTS: usize = 200;

/// Packages of the runtime, of test frameworks and of what stands between these and a test.
const FOREIGN: &[&str] = &[
    "java.",
    "javax.",
    "jakarta.",
    "jdk.",
    "sun.",
    "com.sun.",
    "org.junit.",
    "junit.",
    "org.opentest4j.",
    "org.hamcrest.",
    "org.assertj.",
    "org.mockito.",
    "org.powermock.",
    "org.easymock.",
    "net.bytebuddy.",
    "org.gradle.",
    "worker.org.gradle.",
    "org.apache.maven.",
    "org.apache.tools.ant.",
    "org.springframework.",
    "org.testng.",
    "org.spockframework.",
    "spock.",
    "groovy.",
    "groovyjarjar",
    "org.codehaus.groovy.",
    "org.apache.groovy.",
    "kotlin.",
    "kotlinx.",
    "io.kotest.",
    "io.mockk.",
    "scala.",
    "org.scalatest.",
    "com.google.common.",
    "com.intellij.",
    "org.jetbrains.",
    "com.android.",
    "android.",
    "androidx.",
    "io.quarkus.",
    "io.micronaut.",
    "reactor.",
    "io.netty.",
    "org.hibernate.",
];

/// One line of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct At {
    /// The class with its package, nested classes behind `$`.
    pub class: String,
    /// The method.
    pub method: String,
    /// The file's bare name; empty for what has none.
    pub file: String,
    /// The line.
    pub line: Option<u32>,
}

impl At {
    /// Reads `at com.example.FooTest.bar(FooTest.java:12)`, with or without `at`, a module or a
    /// class loader before the class.
    pub fn read(line: &str) -> Option<At> {
        let line = line.trim();
        let line = line.strip_prefix("at ").unwrap_or(line).trim_start();
        let open = line.find('(')?;
        let close = open + line[open..].find(')')?;
        // Nothing but the jar that Log4j or Surefire name may follow.
        let rest = line[close + 1..].trim_start();
        if !(rest.is_empty() || rest.starts_with(['[', '~'])) {
            return None;
        }
        let path = line[..open].rsplit('/').next()?;
        let (class, method) = path.rsplit_once('.')?;
        if class.is_empty() || method.is_empty() || path.contains(' ') {
            return None;
        }
        let inside = &line[open + 1..close];
        let (file, number) = match inside.rsplit_once(':') {
            Some((file, number)) => (file, Some(number.trim().parse().ok()?)),
            None => (inside, None),
        };
        let known = number.is_some() || file.contains('.') || inside.ends_with(" Method");
        let known = known || inside == "Unknown Source" || inside == "<generated>";
        (known && !file.contains('/')).then(|| At {
            class: class.to_owned(),
            method: method.to_owned(),
            file: if file.contains('.') { file } else { "" }.to_owned(),
            line: number.filter(|line| *line > 0),
        })
    }

    /// Whether the class is none of the user's.
    pub fn foreign(&self) -> bool {
        FOREIGN.iter().any(|start| self.class.starts_with(start))
            || self.file.is_empty()
            || self.class.contains("$$")
            || self.class.contains("CGLIB")
    }

    /// The class without nested ones.
    pub fn outer(&self) -> &str {
        self.class.split('$').next().unwrap_or(&self.class)
    }
}

/// One exception of a trace: the thrown one, one that caused it, one that was suppressed.
#[derive(Debug, Default)]
struct Part {
    frames: Vec<At>,
    suppressed: bool,
}

impl Part {
    /// Whether the outermost of the user's methods is one that JUnit calls by itself, and not the
    /// test: a step before or after it.
    fn called(&self, last: &At, test: &str) -> bool {
        let plain = |name: &str| {
            let mut chars = name.chars();
            let first = chars.next().is_some_and(|c| c.is_alphabetic() || c == '_');
            first && chars.all(|c| c.is_alphanumeric() || c == '_')
        };
        let at = self.frames.iter().rposition(|at| at == last);
        let caller = at.and_then(|at| self.frames.get(at + 1));
        let reflects = [
            "jdk.internal.reflect.",
            "java.lang.reflect.",
            "sun.reflect.",
        ];
        plain(test)
            && plain(&last.method)
            && caller.is_some_and(|at| reflects.iter().any(|start| at.class.starts_with(start)))
    }
}

/// What a trace says.
#[derive(Debug, Default)]
pub(crate) struct Stack {
    parts: Vec<Part>,
}

impl Stack {
    /// Reads all frames of a text that holds a trace, with the exception's own text before it.
    pub fn read(text: &str) -> Stack {
        let mut stack = Stack {
            parts: vec![Part::default()],
        };
        // Frames that other text follows stood in the message.
        let mut over = false;
        let tabs = text.contains("\n\tat ");
        for line in text.lines() {
            let trimmed = line.trim_start();
            let another = trimmed.starts_with("Caused by: ") || trimmed.starts_with("Suppressed: ");
            if another && stack.parts.len() < MOST_PARTS {
                stack.parts.push(Part {
                    frames: Vec::new(),
                    suppressed: trimmed.starts_with('S'),
                });
                over = false;
            } else if let Some(at) = At::read(trimmed)
                && (trimmed.starts_with("at ") || line.starts_with(' ') && !tabs)
                && (line.starts_with('\t') || !tabs)
                && let Some(part) = stack.parts.last_mut()
            {
                if std::mem::take(&mut over) {
                    part.frames.clear();
                }
                if part.frames.len() < MOST_READ {
                    part.frames.push(at);
                }
            } else if !trimmed.starts_with("... ") && trimmed != "[...]" {
                over = true;
            }
        }
        stack
    }

    /// The frames of the thrown exception up to the outermost of the user's, innermost first,
    /// and the place where it was thrown in the user's code. What was suppressed counts only
    /// where it happened in the test's own method.
    pub fn place(&self, method: &str, sources: &mut Sources) -> (Vec<Frame>, Option<Location>) {
        let bare = bare(method);
        let own = format!(".{bare}");
        let lambda = format!(".lambda${bare}$");
        // The assertion that nothing is thrown fails where the test calls it: what was thrown
        // there comes from elsewhere.
        let nothing = self.asserted() && self.within(".AssertDoesNotThrow");
        for (number, part) in self.parts.iter().enumerate() {
            let frames = frames(&part.frames, sources);
            let user = frames.iter().find(|frame| {
                let function = frame.function.as_deref().unwrap_or("");
                let of_test = function.ends_with(&own) || function.contains(&lambda);
                let strict = part.suppressed || nothing && number > 0;
                frame.user && (!strict || !bare.is_empty() && of_test)
            });
            if let Some(frame) = user {
                let location = Location {
                    file: frame.file.clone(),
                    line: frame.line,
                    column: None,
                };
                return (frames, Some(location));
            }
        }
        let none = self.parts.first().map(|part| frames(&part.frames, sources));
        (none.unwrap_or_default(), None)
    }

    /// Whether a class of that bare name is in the trace of what was thrown.
    fn within(&self, class: &str) -> bool {
        let frames = self.parts.first().map(|part| part.frames.iter());
        frames.is_some_and(|mut frames| frames.any(|at| at.class.ends_with(class)))
    }

    /// Whether it was thrown by an assertion of JUnit's own.
    pub fn asserted(&self) -> bool {
        const OWN: [&str; 5] = [
            "org.junit.Assert",
            "junit.framework.Assert",
            "org.junit.internal.ComparisonCriteria",
            "org.junit.jupiter.api.Assert",
            "org.hamcrest.MatcherAssert",
        ];
        let first = self.parts.first().and_then(|part| part.frames.first());
        first.is_some_and(|at| OWN.iter().any(|class| at.class.starts_with(class)))
    }

    /// Whether a factory or a source of arguments threw, and none of the tests that it made: they
    /// may have run by then.
    pub fn of_factory(&self) -> bool {
        let Some(part) = self.parts.iter().find(|part| !part.frames.is_empty()) else {
            return false;
        };
        let calls = |class: &str| part.frames.iter().any(|at| at.class.ends_with(class));
        calls(".TestFactoryTestDescriptor") && !calls(".DynamicTestTestDescriptor")
            || calls(".TestTemplateTestDescriptor") && !calls(".TestMethodTestDescriptor")
    }

    /// The phase, as far as the frames of JUnit or the user's own methods tell; `true` where it
    /// is told for sure, and whether it is the whole class's.
    pub fn phase(&self, class: &str, method: &str, sources: &mut Sources) -> Told {
        let Some(part) = self.parts.iter().find(|part| !part.frames.is_empty()) else {
            return Told::default();
        };
        if let Some(told) = part.frames.iter().find_map(lifecycle) {
            let class = told.class || told.phase != Phase::Call && is_of_class(&part.frames);
            return Told { class, ..told };
        }
        // JUnit itself refuses a class whose steps are not as they should be.
        let refused = is_of_class(&part.frames) && !part.frames.iter().any(|at| !at.foreign());
        if refused {
            return Told::of_class(Phase::Setup);
        }
        let user: Vec<&At> = part.frames.iter().filter(|at| !at.foreign()).collect();
        let Some(last) = user.last() else {
            // What a class's own constants threw.
            let mut causes = self.parts.iter().filter(|part| !part.suppressed);
            let of_constants = causes.any(|part| {
                let last = part.frames.iter().rfind(|at| !at.foreign());
                last.is_some_and(|at| at.method == "<clinit>" && at.class == class)
            });
            return match of_constants {
                true => Told::of(Phase::Setup, true),
                false => Told::default(),
            };
        };
        let bare = method
            .split(['(', '[', '{'])
            .next()
            .unwrap_or(method)
            .trim();
        let of_class = |at: &&&At| at.outer() == class.split('$').next().unwrap_or(class);
        let in_test =
            |at: &&At| !bare.is_empty() && (at.method == bare || inside(&at.method, bare));
        if user.iter().any(in_test) || last.method.starts_with("lambda$") {
            return Told::default();
        }
        if (last.method == "<init>" || last.method == "<clinit>") && of_class(&last) {
            return Told::of(Phase::Setup, true);
        }
        let told = sources.annotated(last);
        let step = |at: &At| at.method == "interceptLifecycleMethod";
        let step = part.frames.iter().any(step) || of_class(&last) && part.called(last, bare);
        match told.phase == Phase::Call && step {
            true => Told::of(Phase::Setup, false),
            false => told,
        }
    }
}

/// A method's name without its parameters.
fn bare(method: &str) -> &str {
    let bare = method.split(['(', '[', '{']).next();
    bare.unwrap_or(method).trim()
}

/// `lambda$all$3` is a part of `all`.
fn inside(method: &str, of: &str) -> bool {
    method
        .strip_prefix("lambda$")
        .and_then(|rest| rest.rsplit_once('$'))
        .is_some_and(|(name, _)| name == of)
}

/// What is known about the phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    /// The phase.
    pub phase: Phase,
    /// Whether that is sure.
    pub sure: bool,
    /// Whether the step is the whole class's.
    pub class: bool,
}

impl Default for Told {
    fn default() -> Self {
        Told::of(Phase::Call, true)
    }
}

impl Told {
    /// A phase of one test.
    pub fn of(phase: Phase, sure: bool) -> Self {
        Told {
            phase,
            sure,
            class: false,
        }
    }

    /// A phase of a whole class.
    pub fn of_class(phase: Phase) -> Self {
        Told {
            phase,
            sure: true,
            class: true,
        }
    }
}

/// The frames by which JUnit calls the user's set-up and teardown methods.
fn lifecycle(at: &At) -> Option<Told> {
    let name = |class: &str| at.class.ends_with(class);
    let method = at.method.as_str();
    match method {
        "interceptBeforeAllMethod" | "invokeBeforeAllMethods" => Some(Told::of_class(Phase::Setup)),
        // A class whose own steps cannot be run at all.
        "findBeforeAllMethods" | "findAfterAllMethods" => Some(Told::of_class(Phase::Setup)),
        "interceptAfterAllMethod" | "invokeAfterAllMethods" => {
            Some(Told::of_class(Phase::Teardown))
        }
        "interceptBeforeEachMethod" | "invokeBeforeEachMethods" => {
            Some(Told::of(Phase::Setup, true))
        }
        "interceptAfterEachMethod" | "invokeAfterEachMethods" => {
            Some(Told::of(Phase::Teardown, true))
        }
        "interceptTestClassConstructor" => Some(Told::of(Phase::Setup, true)),
        "interceptTestMethod" | "interceptTestTemplateMethod" | "interceptDynamicTest" => {
            Some(Told::default())
        }
        // JUnit 4: `evaluate` calls the test, too.
        "invokeMethod" if name(".RunBefores") => Some(Told::of(Phase::Setup, true)),
        "invokeMethod" if name(".RunAfters") => Some(Told::of(Phase::Teardown, true)),
        "createTest" if name(".BlockJUnit4ClassRunner") => Some(Told::of(Phase::Setup, true)),
        _ => None,
    }
}

/// Whether it was thrown for a class as a whole: JUnit was about to run the class, or had run
/// it, and none of its tests was running.
fn is_of_class(frames: &[At]) -> bool {
    let calls = |class: &str, method: &str| {
        let named = |at: &At| at.class.ends_with(class) && at.method.starts_with(method);
        frames.iter().any(named)
    };
    let old = calls(".ParentRunner", "run") && !calls("", "runLeaf");
    let jupiter = calls(".ClassBasedTestDescriptor", "prepare")
        || calls(".ClassBasedTestDescriptor", "before")
        || calls(".ClassTestDescriptor", "prepare")
        || calls(".ClassTestDescriptor", "before");
    old || jupiter && !calls(".TestMethodTestDescriptor", "")
}

fn frames(ats: &[At], sources: &mut Sources) -> Vec<Frame> {
    let last = ats.iter().rposition(|at| !at.foreign());
    let most = last.map_or(10, |last| last + 1).min(MOST_FRAMES);
    let mut frames: Vec<Frame> = ats.iter().take(most).map(|at| frame(at, sources)).collect();
    // A project's files are known, or the first that looks like the user's is.
    let placed = |frame: &Frame| frame.user && frame.file.contains('/');
    if sources.known() && frames.iter().any(placed) {
        for frame in &mut frames {
            frame.user = placed(frame);
        }
    }
    frames
}

fn frame(at: &At, sources: &mut Sources) -> Frame {
    let foreign = at.foreign();
    Frame {
        file: match foreign {
            true => at.file.clone(),
            false => sources.path(&at.class, &at.file),
        },
        line: at.line,
        function: Some(format!("{}.{}", at.class, at.method)),
        user: !foreign && at.line.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;

    #[test]
    fn frames_are_read_in_every_style() {
        for (line, class, file, number) in [
            (
                "\tat com.example.ATest.b(ATest.java:12)",
                "com.example.ATest",
                "ATest.java",
                Some(12),
            ),
            (
                "at java.base/java.lang.Method.invoke(Method.java:569)",
                "java.lang.Method",
                "Method.java",
                Some(569),
            ),
            (
                "at app//a.BTest.c(BTest.kt:3)",
                "a.BTest",
                "BTest.kt",
                Some(3),
            ),
            (
                "java.base@17.0.15/java.lang.Thread.sleep(Native Method)",
                "java.lang.Thread",
                "",
                None,
            ),
            ("at A.main(A.java:1) ~[app.jar:?]", "A", "A.java", Some(1)),
        ] {
            let at = At::read(line).expect(line);
            assert_eq!(
                (at.class.as_str(), at.file.as_str(), at.line),
                (class, file, number)
            );
        }
        for line in [
            "Expected: is (a:1)",
            "at noon",
            "see x.y(z) now",
            "\tat (a.java:1)",
        ] {
            assert_eq!(At::read(line), None, "{line}");
        }
    }

    #[test]
    fn the_innermost_frame_of_the_user_counts() {
        let stack = Stack::read(
            "java.lang.AssertionError: x\n\tat org.junit.Assert.fail(Assert.java:8)\n\tat a.Helper.check(Helper.java:5)\n\tat a.FooTest.bar(FooTest.java:9)\n\tat java.base/java.util.Y.z(Y.java:1)\nCaused by: b\n\tat a.C.d(C.java:2)\n",
        );
        let (frames, location) = stack.place("bar", &mut Sources::new(Context::default()));
        assert_eq!(location.and_then(|at| at.line), Some(5));
        assert_eq!(frames.len(), 3);
        assert!(!frames[0].user && frames[1].user && frames[2].user);
    }

    #[test]
    fn nothing_was_to_be_thrown_where_the_test_says_so() {
        let stack = Stack::read(
            "E: x\n\tat org.junit.jupiter.api.AssertDoesNotThrow.a(A.java:84)\n\t[...]\nCaused by: b\n\tat a.Check.boom(Check.java:11)\n\tat a.FooTest.lambda$bar$4(FooTest.java:38)\n\t[...]\n",
        );
        let (_, location) = stack.place("bar()", &mut Sources::new(Context::default()));
        assert_eq!(location.and_then(|at| at.line), Some(38));
    }

    #[test]
    fn the_frames_of_junit_tell_the_phase() {
        let mut sources = Sources::new(Context::default());
        let mut phase = |frame: &str| {
            let text = format!("E: x\n\tat a.T.up(T.java:5)\n\tat {frame}\n");
            Stack::read(&text).phase("a.T", "one()", &mut sources)
        };
        let before = phase(
            "org.junit.jupiter.engine.extension.TimeoutExtension.interceptBeforeEachMethod(T.java:78)",
        );
        assert_eq!(before, Told::of(Phase::Setup, true));
        let all = phase(
            "org.junit.jupiter.engine.descriptor.ClassBasedTestDescriptor.invokeAfterAllMethods(C.java:1)",
        );
        assert_eq!(all, Told::of_class(Phase::Teardown));
        let old = phase(
            "org.junit.internal.runners.statements.RunBefores.invokeMethod(RunBefores.java:33)",
        );
        assert_eq!(old.phase, Phase::Setup);
        let test = phase(
            "org.junit.jupiter.engine.extension.TimeoutExtension.interceptTestMethod(T.java:1)",
        );
        assert_eq!(test.phase, Phase::Call);
    }
}
