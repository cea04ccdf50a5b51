//! When an earlier verdict may stand for a run: only a green, complete one, only for an
//! automatic request, and only where everything that it may depend on is the same.

use crate::model::Asker;
use crate::model::EnvironmentHash;
use crate::model::Report;
use crate::model::ReusedFrom;
use crate::model::Suite;
use crate::model::Timestamp;
use crate::run::command::Facts;
use crate::sandbox::Mount;
use crate::sandbox::Network;
use crate::sandbox::toolchain::Program;
use regreen_parsers::Places;
use regreen_parsers::pytest;
use regreen_parsers::request;
use serde::Serialize;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// Raised whenever the sandbox's policy or this list of what counts changes.
const POLICY: u32 = 2;

/// Entries of carried directories that are looked at; beyond that nothing is determined.
const MOST_ENTRIES: usize = 60_000;

/// Everything besides the snapshot and the suite's name that a verdict may depend on.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The suite's whole definition.
    pub suite: &'a Suite,
    /// The toolchains' programs.
    pub programs: &'a [Program],
    /// The toolchains' environment.
    pub env: &'a [(String, String)],
    /// Directories of the user's that are mounted: carried ones and configured ones.
    pub carried: &'a [Mount],
    /// Directories of installed packages outside of the project that the suite may use.
    pub packages: &'a [PathBuf],
    /// What is passed on, and the project's own runners.
    pub facts: &'a Facts,
    /// What the tests may talk to.
    pub network: Network,
    /// The backend's name.
    pub backend: &'a str,
}

/// What is hashed; a struct of its own so that its JSON is the definition.
#[derive(Serialize)]
struct Hashed<'a> {
    policy: u32,
    regreen: &'a str,
    reporter: String,
    suite: &'a Suite,
    programs: Vec<(String, String, u64, String)>,
    env: &'a [(String, String)],
    passed: &'a [(String, String)],
    runners: &'a [(String, Vec<String>)],
    carried: Vec<(String, String, bool)>,
    packages: Vec<(String, String)>,
    network: &'a str,
    backend: &'a str,
}

/// The hash of the surroundings; `None` when a part of them cannot be determined, and then no
/// run is ever reused. It reads the stat of every entry of the carried directories.
pub fn environment_hash(around: Surroundings<'_>) -> Option<EnvironmentHash> {
    // What talks to the world depends on the world.
    if around.network == Network::Host {
        return None;
    }
    let mut left = MOST_ENTRIES;
    let mut carried = Vec::new();
    for mount in around.carried {
        let digest = stat_digest(&mount.source, &mut left)?;
        let target = mount.target.to_string_lossy().into_owned();
        carried.push((target, digest, mount.writable));
    }
    let mut packages = Vec::new();
    for dir in around.packages {
        let digest = stat_digest(dir, &mut left)?;
        packages.push((dir.to_string_lossy().into_owned(), digest));
    }
    let programs = around.programs.iter().map(|program| {
        let path = program.path.to_string_lossy().into_owned();
        let modified = program.modified_ns.to_string();
        (program.name.clone(), path, program.size, modified)
    });
    let hashed = Hashed {
        policy: POLICY,
        regreen: env!("CARGO_PKG_VERSION"),
        reporter: reporter(around.suite),
        suite: around.suite,
        programs: programs.collect(),
        env: around.env,
        passed: &around.facts.passed,
        runners: &around.facts.runners,
        carried,
        packages,
        network: "none",
        backend: around.backend,
    };
    let text = serde_json::to_vec(&hashed).ok()?;
    Some(EnvironmentHash::new(&blake3::hash(&text).to_hex()[..32]))
}

/// What tells one version of the request for structure, reporters included, from another.
fn reporter(suite: &Suite) -> String {
    let places = Places {
        inject: "inject",
        events: "events",
    };
    let asked = request(suite.framework.format(), &suite.command, &suite.env, places);
    let mut hasher = blake3::Hasher::new();
    hasher.update(pytest::REPORTER.as_bytes());
    hasher.update(format!("{asked:?}").as_bytes());
    hasher.finalize().to_hex().to_string()
}

/// A digest over names, sizes and times of everything below a path.
fn stat_digest(path: &Path, left: &mut usize) -> Option<String> {
    let mut hasher = blake3::Hasher::new();
    for entry in walk(path) {
        let entry = entry.ok()?;
        *left = left.checked_sub(1)?;
        let meta = entry.path().symlink_metadata().ok()?;
        let below = entry.path().strip_prefix(path).unwrap_or(Path::new(""));
        hasher.update(below.as_os_str().as_encoded_bytes());
        // Directories change their times when a cache is written below them.
        let (size, time) = match meta.is_dir() {
            true => (0, (0, 0)),
            false => (meta.size(), (meta.mtime(), meta.mtime_nsec())),
        };
        for number in [u64::from(meta.mode()), size, time.0 as u64, time.1 as u64] {
            hasher.update(&number.to_le_bytes());
        }
    }
    Some(hasher.finalize().to_hex().to_string())
}

/// When anything in or below a directory was last changed, as the kernel tells it and no program
/// can feign; `None` where nothing is there, or too much.
pub fn newest_change(dir: &Path) -> Option<SystemTime> {
    let mut left = MOST_ENTRIES;
    let mut newest = None;
    for entry in walk(dir).flatten() {
        left = left.checked_sub(1)?;
        let Ok(meta) = entry.path().symlink_metadata() else {
            continue;
        };
        newest = newest.max(Some((meta.ctime(), meta.ctime_nsec())));
    }
    let (seconds, nanos) = newest?;
    let whole = Duration::from_secs(u64::try_from(seconds).ok()?);
    Some(UNIX_EPOCH + whole + Duration::from_nanos(u64::try_from(nanos).ok()?))
}

/// Everything below, in a fixed order, without following links and without caches of bytecode.
fn walk(path: &Path) -> ignore::Walk {
    ignore::WalkBuilder::new(path)
        .standard_filters(false)
        .follow_links(false)
        .sort_by_file_name(|a, b| a.cmp(b))
        .filter_entry(|entry| entry.file_name() != "__pycache__")
        .build()
}

/// The earlier report as the answer to a new request, if it may be one.
pub fn reused(earlier: &Report, asker: Asker, now: Timestamp) -> Option<Report> {
    if asker != Asker::Watch || !earlier.is_green() {
        return None;
    }
    let run = earlier.run.id.clone()?;
    let started = Timestamp::parse(earlier.run.started.as_deref()?)?;
    let mut report = earlier.clone();
    report.run.reused_from = Some(ReusedFrom {
        run,
        age_ms: u64::try_from(now.since(started).as_millis()).unwrap_or(u64::MAX),
    });
    Some(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Counts;
    use crate::model::Framework;
    use crate::model::Limits;
    use crate::model::Outcome;
    use crate::model::Source;

    fn suite() -> Suite {
        Suite {
            name: "cargo".into(),
            framework: Framework::Cargo,
            dir: "".into(),
            command: vec!["cargo".into(), "test".into()],
            env: Vec::new(),
            carry: Vec::new(),
            services: Vec::new(),
            setup: None,
            artifacts: Vec::new(),
            limits: Limits::default(),
            why: String::new(),
        }
    }

    fn program(modified_ns: i128) -> Program {
        Program {
            name: "cargo".into(),
            path: "/usr/bin/cargo".into(),
            version: None,
            size: 7,
            modified_ns,
        }
    }

    #[test]
    fn every_part_counts() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("a"), "1").expect("write");
        let packages = [tempfile::tempdir().expect("a directory")];
        let installed = [packages[0].path().to_owned()];
        let mount = Mount {
            source: dir.path().to_owned(),
            target: "/p/.venv".into(),
            writable: false,
            optional: false,
        };
        let (suite, facts) = (suite(), Facts::default());
        let hash = |programs: &[Program], network, env: &[(String, String)], suite: &Suite| {
            environment_hash(Surroundings {
                suite,
                programs,
                env,
                carried: std::slice::from_ref(&mount),
                packages: &installed,
                facts: &facts,
                network,
                backend: "bwrap",
            })
        };
        let first = hash(&[program(1)], Network::None, &[], &suite);
        assert!(first.is_some());
        assert_eq!(first, hash(&[program(1)], Network::None, &[], &suite));
        assert_ne!(first, hash(&[program(2)], Network::None, &[], &suite));
        let env = [("A".to_owned(), "b".to_owned())];
        assert_ne!(first, hash(&[program(1)], Network::None, &env, &suite));
        let mut other = suite.clone();
        other.limits.wall_ms += 1;
        assert_ne!(first, hash(&[program(1)], Network::None, &[], &other));
        assert_eq!(hash(&[program(1)], Network::Host, &[], &suite), None);
        std::fs::write(installed[0].join("helper.py"), "V = 2").expect("write");
        let other = hash(&[program(1)], Network::None, &[], &suite);
        assert!(other.is_some() && other != first);
        std::fs::remove_file(installed[0].join("helper.py")).expect("remove");
        assert_eq!(first, hash(&[program(1)], Network::None, &[], &suite));
        std::fs::write(dir.path().join("a"), "12").expect("write");
        assert_ne!(first, hash(&[program(1)], Network::None, &[], &suite));
        std::fs::remove_dir_all(dir.path()).expect("remove");
        assert_eq!(hash(&[program(1)], Network::None, &[], &suite), None);
    }

    #[test]
    fn only_green_complete_runs_answer_only_automatic_requests() {
        let mut report = Report::new("cargo", Source::Events, Outcome::Passed);
        report.complete = true;
        report.counts = Counts::new(1, 0, 0);
        report.run.id = Some("r1".into());
        report.run.started = Some("2026-11-20T13:22:05.000Z".into());
        let now = Timestamp::parse("2026-11-20T13:22:07.500Z").expect("a time");
        let answer = reused(&report, Asker::Watch, now).expect("reused");
        let from = answer.run.reused_from.map(|from| (from.run, from.age_ms));
        assert_eq!(from, Some(("r1".into(), 2_500)));
        for asker in [Asker::Explicit, Asker::Loop, Asker::Gate] {
            assert_eq!(reused(&report, asker, now), None);
        }
        report.complete = false;
        assert_eq!(reused(&report, Asker::Watch, now), None);
        report.complete = true;
        report.counts = Counts::new(1, 1, 0);
        report.outcome = Outcome::Failed;
        assert_eq!(reused(&report, Asker::Watch, now), None);
    }
}
