//! What every backend that isolates has to do, as one table of cases: bubblewrap, a real Docker,
//! a real Podman. Each case runs a real command; what is the same for all stands here only.

use crate::sandbox::lab::Lab;
use crate::sandbox::lab::Seen;
use crate::sandbox::lab::follow;
use crate::support::TestEngine;
use crate::support::require;
use crate::support::say;
use crate::support::until;
use regreen::model::Enforcement;
use regreen::model::Limits;
use regreen::sandbox::Backend;
use regreen::sandbox::BoxFuture;
use regreen::sandbox::Mount;
use regreen::sandbox::SandboxError;
use regreen::sandbox::Spec;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

/// A backend under test, and a slot for it.
struct Bench<'a> {
    backend: &'a dyn Backend,
    lab: &'a Lab,
    /// Tells the sleeps of this backend's cases from those of others.
    number: u32,
}

type Case = for<'a> fn(&'a Bench<'a>) -> BoxFuture<'a, ()>;

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        const CASES: &[(&str, Case)] = &[$((stringify!($name), |bench| Box::pin($name(bench)))),*];
    };
}

cases![
    status_and_signal,
    streams_apart,
    input,
    input_that_nobody_reads,
    the_whole_environment,
    the_project_at_its_own_path,
    home_and_tmp,
    a_project_in_a_tmp_that_is_emptied,
    mounts,
    what_is_not_there,
    where_no_project_may_lie,
    no_network,
    a_root_that_stays,
    no_privileges,
    the_user_outside,
    strays,
    wall_time,
    silence,
    term_then_kill,
    a_dropped_handle,
    endless_output,
    shared_memory_between_runs,
    processes,
    memory,
    processors,
    file_size,
    every_limit_is_told,
];

/// A panic in a case says its line; this says whose case it was.
struct Named<'a>(&'a str, &'a str);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            say(&format!("conformance of {}: `{}` failed", self.0, self.1));
        }
    }
}

async fn all(backend: &dyn Backend, lab: &Lab) {
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let own = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let number = 2_000_000 + (std::process::id() % 100_000) * 100 + own * 10;
    let bench = Bench {
        backend,
        lab,
        number,
    };
    for (name, case) in CASES {
        let _named = Named(backend.name(), name);
        case(&bench).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bubblewrap() {
    if require("bwrap") {
        let lab = Lab::new();
        all(&lab.backend(), &lab).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn docker() {
    if let Some(engine) = TestEngine::docker() {
        let lab = Lab::new();
        all(&lab.engine(engine), &lab).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn podman() {
    if let Some(engine) = TestEngine::podman() {
        let lab = Lab::new();
        all(&lab.engine(engine), &lab).await;
    }
}

impl Bench<'_> {
    async fn run(&self, spec: Spec) -> Seen {
        let running = self.backend.start(spec).await;
        follow(running.unwrap_or_else(|error| panic!("{error:?}"))).await
    }

    fn script(&self, script: &str) -> Spec {
        self.lab.spec(["sh", "-c", script])
    }

    async fn shell(&self, script: &str) -> Seen {
        self.run(self.script(script)).await
    }

    fn limited(&self, script: &str, change: impl FnOnce(&mut Limits)) -> Spec {
        let mut spec = self.script(script);
        change(&mut spec.limits);
        spec
    }

    /// A daemon that escapes its session, named by its sleep.
    fn stray(&self) -> String {
        format!(
            "(setsid sh -c 'setsid sleep {} >/dev/null 2>&1 &' &)",
            self.number
        )
    }

    fn strays(&self) -> usize {
        let wanted = format!("sleep\0{}\0", self.number);
        let all = std::fs::read_dir("/proc")
            .expect("there is a /proc")
            .flatten();
        all.filter(|entry| {
            std::fs::read(entry.path().join("cmdline")).is_ok_and(|it| it == wanted.as_bytes())
        })
        .count()
    }

    fn held(&self, spec: &Spec, limit: &str) -> Enforcement {
        let isolation = self.backend.isolation(spec);
        *isolation
            .limits
            .get(limit)
            .unwrap_or_else(|| panic!("nothing is said of {limit}"))
    }
}

async fn status_and_signal(bench: &Bench<'_>) {
    for code in [0, 3, 125] {
        let seen = bench.shell(&format!("exit {code}")).await;
        assert_eq!(
            (seen.code(), seen.ended.exit.signal),
            (Some(code), None),
            "{seen:?}"
        );
        assert_eq!((seen.ended.limit, seen.ended.not_started), (None, None));
    }
    let seen = bench.shell("kill -SEGV $$").await;
    assert_eq!(
        (seen.code(), seen.ended.exit.signal),
        (None, Some(11)),
        "{seen:?}"
    );
    assert!(!seen.ended.exit.oom && !seen.ended.exit.timed_out && !seen.ended.stopped);
}

async fn streams_apart(bench: &Bench<'_>) {
    let seen = bench
        .shell("echo out; echo err >&2; printf '\\377\\000end'")
        .await;
    assert_eq!(seen.stderr, "err\n");
    assert!(
        seen.stdout.starts_with("out\n") && seen.stdout.ends_with("\0end"),
        "{seen:?}"
    );
    // More than any buffer on the way holds.
    let seen = bench.shell("head -c 3000000 /dev/zero | tr '\\0' x").await;
    assert_eq!(seen.stdout.len(), 3_000_000);
}

async fn input(bench: &Bench<'_>) {
    assert_eq!(bench.shell("cat; echo end").await.stdout, "end\n");
    let mut spec = bench.script("cat");
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| b'a' + (n % 26) as u8).collect();
    spec.stdin = Some(bytes.clone());
    let seen = bench.run(spec).await;
    assert!(
        seen.stdout.as_bytes() == bytes,
        "{} bytes came back",
        seen.stdout.len()
    );
}

async fn input_that_nobody_reads(bench: &Bench<'_>) {
    for script in ["exec 0<&-; echo end", "sleep 0.1; echo end"] {
        let mut spec = bench.script(script);
        spec.stdin = Some(vec![b'x'; 4 << 20]);
        let seen = bench.run(spec).await;
        assert_eq!(
            (seen.stdout.as_str(), seen.code()),
            ("end\n", Some(0)),
            "{seen:?}"
        );
    }
}

async fn the_whole_environment(bench: &Bench<'_>) {
    let mut spec = bench.lab.spec(["env"]);
    spec.env.push(("MINE".into(), "a b=c".into()));
    let seen = bench.run(spec).await;
    let lines: Vec<&str> = seen.stdout.lines().collect();
    assert!(
        lines.contains(&"MINE=a b=c") && lines.contains(&"PATH=/usr/bin:/bin"),
        "{lines:?}"
    );
    let known = [
        "MINE",
        "PATH",
        "HOME",
        "PWD",
        "HOSTNAME",
        "container",
        "TERM",
        "SHLVL",
        "_",
    ];
    for line in lines {
        let name = line.split('=').next().expect("a name");
        assert!(known.contains(&name), "`{line}` was not asked for");
    }
}

async fn the_project_at_its_own_path(bench: &Bench<'_>) {
    let lab = bench.lab;
    std::fs::write(lab.tree().join("given"), "here").expect("ours");
    let seen = bench.shell("pwd; cat given; echo made > made").await;
    assert_eq!(
        seen.stdout,
        format!("{}\nhere", lab.root().display()),
        "{seen:?}"
    );
    assert_eq!((seen.code(), seen.stderr.as_str()), (Some(0), ""));
    let made = lab.tree().join("made");
    assert_eq!(
        std::fs::read_to_string(&made).expect("it was written"),
        "made\n"
    );
    let owner = std::fs::metadata(&made).expect("there").uid();
    assert_eq!(
        owner,
        rustix::process::geteuid().as_raw(),
        "it is not the user's"
    );
}

async fn home_and_tmp(bench: &Bench<'_>) {
    let script = "echo h > \"$HOME/h\"; echo t > /tmp/t; cat /var/tmp/t";
    let seen = bench.shell(script).await;
    assert_eq!(
        (seen.stdout.as_str(), seen.code()),
        ("t\n", Some(0)),
        "{seen:?}"
    );
    for file in ["home/h", "tmp/t"] {
        assert!(bench.lab.top().join("slot").join(file).exists(), "{file}");
    }
}

/// The lab lies below /var/tmp, so that its project's mount point lies in the slot's.
async fn a_project_in_a_tmp_that_is_emptied(bench: &Bench<'_>) {
    let tmp = bench.lab.top().join("slot/tmp");
    for _ in 0..2 {
        let seen = bench.shell("pwd; cat given; ls /tmp").await;
        assert!(seen.stdout.contains("\nhere"), "{seen:?}");
        for entry in std::fs::read_dir(&tmp).expect("ours").flatten() {
            let path = entry.path();
            let removed = std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path));
            removed.expect("the slot's own can be removed");
        }
    }
}

async fn mounts(bench: &Bench<'_>) {
    let top = bench.lab.top();
    let mount = |name: &str, target: PathBuf, writable: bool| {
        let source = top.join(name);
        std::fs::create_dir_all(&source).expect("ours");
        std::fs::write(source.join("file"), name).expect("ours");
        Mount {
            source,
            target,
            writable,
            optional: false,
        }
    };
    let mut spec = bench.script(
        "cat /run/regreen/ro/file rw/file; echo x > rw/new; echo x > /run/regreen/ro/new; ls -A /none",
    );
    spec.mounts = vec![
        mount("ro", "/run/regreen/ro".into(), false),
        mount("rw", bench.lab.root().join("rw"), true),
        Mount {
            source: top.join("nothing"),
            target: "/none".into(),
            writable: false,
            optional: true,
        },
    ];
    let seen = bench.run(spec.clone()).await;
    assert_eq!(seen.stdout, "rorw", "{seen:?}");
    assert!(top.join("rw/new").exists() && !top.join("ro/new").exists());
    // A file that is replaced between runs is not the one that was mounted.
    let file = top.join("config");
    let mut one = bench.script("cat /run/regreen/config");
    one.mounts = vec![Mount {
        source: file.clone(),
        target: "/run/regreen/config".into(),
        writable: false,
        optional: false,
    }];
    for text in ["old", "new"] {
        std::fs::write(top.join("next"), text).expect("ours");
        std::fs::rename(top.join("next"), &file).expect("ours");
        assert_eq!(bench.run(one.clone()).await.stdout, text);
    }
    spec.mounts[2].optional = false;
    let error = bench
        .backend
        .start(spec)
        .await
        .expect_err("it is not there");
    assert!(matches!(error, SandboxError::Mount { .. }), "{error:?}");
}

async fn what_is_not_there(bench: &Bench<'_>) {
    let seen = bench.run(bench.lab.spec(["no-such-program"])).await;
    let why = seen.ended.not_started.as_deref().unwrap_or_default();
    assert!(
        why.starts_with("execvp no-such-program: No such file"),
        "{seen:?}"
    );
    let mut spec = bench.lab.spec(["true"]);
    spec.cwd = bench.lab.root().join("nowhere");
    let seen = bench.run(spec).await;
    let why = seen.ended.not_started.as_deref().unwrap_or_default();
    assert!(why.contains("chdir") && why.contains("nowhere"), "{seen:?}");
    // What fails by itself was started.
    let seen = bench.shell("no-such-program").await;
    assert_eq!((seen.code(), seen.ended.not_started), (Some(127), None));
}

async fn where_no_project_may_lie(bench: &Bench<'_>) {
    let mut spec = bench.lab.spec(["true"]);
    spec.place.root = "/etc/project".into();
    let error = bench.backend.start(spec).await.expect_err("refused");
    assert!(matches!(error, SandboxError::Refused { .. }), "{error:?}");
}

async fn no_network(bench: &Bench<'_>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let connect = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && echo through");
    let control = crate::support::command("bash")
        .args(["-c", &connect])
        .output();
    let control = control.expect("bash runs").stdout;
    assert_eq!(control, b"through\n", "outside it works");
    let mut spec = bench.lab.spec(["bash", "-c"]);
    spec.argv.push(format!(
        "{connect}; tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '"
    ));
    let seen = bench.run(spec).await;
    let devices: Vec<&str> = seen.stdout.lines().collect();
    let tunnels = [
        "lo", "tunl0", "sit0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip_vti0",
    ];
    assert!(devices.contains(&"lo"), "{seen:?}");
    let only = devices
        .iter()
        .all(|name| tunnels.contains(name) || name.starts_with("ip6"));
    assert!(only, "{devices:?}");
}

async fn a_root_that_stays(bench: &Bench<'_>) {
    let seen = bench
        .shell("for d in / /usr /usr/bin /etc /run; do echo x > $d/regreen-wrote-this && echo $d; done")
        .await;
    assert_eq!(seen.stdout, "", "it was written there");
    assert!(!PathBuf::from("/usr/regreen-wrote-this").exists());
}

async fn no_privileges(bench: &Bench<'_>) {
    let seen = bench
        .shell("grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status")
        .await;
    let zero = "0000000000000000";
    for line in seen.stdout.lines() {
        let (name, value) = line.split_once(':').expect("a field");
        let expected = match name {
            "NoNewPrivs" => "1",
            "Seccomp" => "2",
            _ => zero,
        };
        assert_eq!(value.trim(), expected, "{name}");
    }
    assert_eq!(seen.stdout.lines().count(), 7, "{seen:?}");
}

async fn the_user_outside(bench: &Bench<'_>) {
    let seen = bench.shell("id -u; id -g").await;
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    let expected = format!("{}\n{}\n", uid.as_raw(), gid.as_raw());
    assert_eq!(seen.stdout, expected);
}

async fn strays(bench: &Bench<'_>) {
    let seen = bench
        .shell(&format!("{}; sleep 0.1; exit 3", bench.stray()))
        .await;
    assert_eq!(seen.code(), Some(3), "{seen:?}");
    assert_eq!(bench.strays(), 0, "when the end is told, nothing is left");
    // One that holds the output open keeps nobody waiting.
    let start = Instant::now();
    let script = format!("setsid sleep {} & exit 4", bench.number);
    let seen = bench.shell(&script).await;
    assert_eq!((seen.code(), bench.strays()), (Some(4), 0), "{seen:?}");
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}

async fn wall_time(bench: &Bench<'_>) {
    let script = format!("{}; echo on; sleep 60", bench.stray());
    let start = Instant::now();
    let seen = bench
        .run(bench.limited(&script, |limits| limits.wall_ms = 700))
        .await;
    assert_eq!(seen.ended.limit.as_deref(), Some("wall"), "{seen:?}");
    assert!(seen.ended.exit.timed_out && !seen.ended.stopped);
    assert_eq!(
        (seen.ended.not_started.as_deref(), seen.stdout.as_str()),
        (None, "on\n")
    );
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(bench.strays(), 0);
}

async fn silence(bench: &Bench<'_>) {
    let quiet = |limits: &mut Limits| limits.silence_ms = 500;
    let seen = bench.run(bench.limited("echo a; sleep 60", quiet)).await;
    assert_eq!(seen.ended.limit.as_deref(), Some("silence"), "{seen:?}");
    assert!(seen.ended.exit.timed_out);
    let running = bench.backend.start(bench.limited("sleep 1", quiet)).await;
    let running = running.expect("it starts");
    let heartbeat = running.heartbeat.clone();
    let beating = tokio::spawn(async move {
        let mut every = tokio::time::interval(Duration::from_millis(50));
        loop {
            every.tick().await;
            heartbeat.beat();
        }
    });
    let seen = follow(running).await;
    beating.abort();
    assert_eq!(seen.code(), Some(0), "{seen:?}");
}

async fn term_then_kill(bench: &Bench<'_>) {
    let polite = "trap 'echo bye; exit 9' TERM; echo on; while :; do sleep 0.05; done";
    let seen = stopped_when_on(bench, polite).await;
    assert_eq!(
        (seen.stdout.as_str(), seen.code()),
        ("on\nbye\n", Some(9)),
        "{seen:?}"
    );
    assert!(seen.ended.stopped && !seen.ended.exit.timed_out);
    let start = Instant::now();
    let stubborn = format!(
        "{}; trap '' TERM; echo on; while :; do sleep 0.05; done",
        bench.stray()
    );
    let seen = stopped_when_on(bench, &stubborn).await;
    assert!(
        seen.ended.stopped && seen.ended.not_started.is_none(),
        "{seen:?}"
    );
    let took = start.elapsed();
    assert!(took > Duration::from_secs(2), "the grace was {took:?}");
    assert!(took < Duration::from_secs(10), "it took {took:?}");
    assert_eq!(bench.strays(), 0);
    assert_eq!(bench.shell("echo well").await.stdout, "well\n");
}

/// Starts a script and asks for its end once it has said something.
async fn stopped_when_on(bench: &Bench<'_>, script: &str) -> Seen {
    let running = bench.backend.start(bench.script(script)).await;
    let mut running = running.expect("it starts");
    let first = running.output.recv().await.expect("it says `on`");
    running.stop.cancel();
    let mut seen = follow(running).await;
    seen.stdout
        .insert_str(0, &String::from_utf8_lossy(&first.bytes));
    seen
}

async fn a_dropped_handle(bench: &Bench<'_>) {
    let script = format!("{}; echo on; sleep 60", bench.stray());
    let running = bench.backend.start(bench.script(&script)).await;
    let mut running = running.expect("it starts");
    running.output.recv().await.expect("it says `on`");
    let bound = Duration::from_secs(10);
    until("the stray's start", bound, || {
        (bench.strays() == 1).then_some(())
    });
    drop(running);
    until("the sandbox's end", bound, || {
        (bench.strays() == 0).then_some(())
    });
}

async fn endless_output(bench: &Bench<'_>) {
    let cap = |limits: &mut Limits| limits.output_bytes = 1 << 20;
    let seen = bench.run(bench.limited("yes", cap)).await;
    assert_eq!(
        seen.ended.limit.as_deref(),
        Some("output"),
        "{:?}",
        seen.ended
    );
    assert!(!seen.ended.exit.timed_out);
    assert!(seen.stdout.len() <= 1 << 20, "{} bytes", seen.stdout.len());
    assert!(seen.stderr.contains("left out"), "{}", seen.stderr);
}

async fn shared_memory_between_runs(bench: &Bench<'_>) {
    let seen = bench.shell("echo x > /dev/shm/left && ls /dev/shm").await;
    assert_eq!(seen.stdout, "left\n", "{seen:?}");
    assert_eq!(bench.shell("ls -A /dev/shm").await.stdout, "");
    let size = bench
        .shell("df -k --output=size /dev/shm | tail -n 1")
        .await
        .stdout;
    assert_eq!(size.trim(), "1048576");
}

async fn processes(bench: &Bench<'_>) {
    let most = |limits: &mut Limits| limits.processes = Some(40);
    // Each child is a process that stays; a refused one ends the shell.
    let script = "i=0; while [ $i -lt 200 ]; do sleep 30 & i=$((i+1)); echo; done 2>/dev/null";
    let spec = bench.limited(script, most);
    let held = bench.held(&spec, "processes");
    let made = bench.run(spec).await.stdout.len();
    match held {
        Enforcement::Enforced => assert!(made < 60, "{made} processes were made"),
        _ => say(&format!(
            "{}: processes are not limited here",
            bench.backend.name()
        )),
    }
    assert_eq!(bench.shell("echo well").await.stdout, "well\n");
}

async fn memory(bench: &Bench<'_>) {
    let most = |limits: &mut Limits| limits.memory_bytes = Some(64 << 20);
    let spec = bench.limited(
        "head -c 300000000 /dev/zero | tail >/dev/null; exit 5",
        most,
    );
    let held = bench.held(&spec, "memory");
    let seen = bench.run(spec).await;
    match held {
        // The kernel picks the largest, which is not the shell.
        Enforcement::Enforced => {
            assert!(seen.ended.exit.oom, "{seen:?}");
            assert_eq!(seen.ended.limit.as_deref(), Some("memory"));
        }
        Enforcement::PerProcess => {
            assert!(seen.stderr.contains("memory"), "{seen:?}");
            assert!(!seen.ended.exit.oom);
        }
        other => panic!("a limit on memory that is {other:?}"),
    }
    let spec = bench.limited("exit 6", most);
    let seen = bench.run(spec).await;
    assert_eq!(
        (seen.code(), seen.ended.exit.oom),
        (Some(6), false),
        "that was another run"
    );
}

async fn file_size(bench: &Bench<'_>) {
    let most = |limits: &mut Limits| limits.file_bytes = 1 << 20;
    let spec = bench.limited("head -c 3000000 /dev/zero > big; stat -c %s big", most);
    assert_eq!(bench.held(&spec, "file_size"), Enforcement::PerProcess);
    let seen = bench.run(spec).await;
    assert_eq!(seen.stdout.trim(), "1048576", "{seen:?}");
    let core = bench.shell("ulimit -Hc").await.stdout;
    assert_eq!(core, "0\n", "no core dumps");
}

/// Where a limit of three tenths of a processor is said to hold, two busy loops get no more; else
/// where one of a whole one is.
async fn processors(bench: &Bench<'_>) {
    let busy = |millis: u64| {
        bench.limited(
            "for n in 1 2; do timeout 1 sh -c 'while :; do :; done' & done; wait; times",
            |limits| limits.cpu_millis = Some(millis),
        )
    };
    let holds = |spec: &Spec| bench.held(spec, "cpu") == Enforcement::Enforced;
    let (spec, most) = match busy(300) {
        spec if holds(&spec) => (spec, 0.55),
        _ => (busy(1000), 1.5),
    };
    let held = holds(&spec);
    let seen = bench.run(spec).await;
    if !held {
        return;
    }
    // The second line: what those that were waited for used, user and system.
    let line = seen.stdout.lines().nth(1).unwrap_or_default();
    let seconds = |text: &str| -> f64 {
        let (minutes, rest) = text.split_once('m').expect("minutes");
        let rest = rest.trim_end_matches('s').parse::<f64>().expect("seconds");
        minutes.parse::<f64>().expect("minutes") * 60.0 + rest
    };
    let used: f64 = line.split(' ').map(seconds).sum();
    assert!(used > 0.05 && used < most, "{used} s: {seen:?}");
}

async fn every_limit_is_told(bench: &Bench<'_>) {
    let spec = bench.script("true");
    let isolation = bench.backend.isolation(&spec);
    let names: Vec<&str> = isolation.limits.keys().map(String::as_str).collect();
    let all = [
        "cpu",
        "disk",
        "file_size",
        "filesystem",
        "memory",
        "network",
        "output",
        "processes",
        "shm",
        "silence",
        "syscalls",
        "wall",
    ];
    assert_eq!(names, all);
    for name in [
        "filesystem",
        "network",
        "syscalls",
        "shm",
        "wall",
        "silence",
        "output",
    ] {
        assert_eq!(bench.held(&spec, name), Enforcement::Enforced, "{name}");
    }
    assert_eq!(
        bench.held(&spec, "memory"),
        Enforcement::None,
        "none was asked for"
    );
}
