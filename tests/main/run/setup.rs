//! Set-ups: what is installed before the tests, with a way to the allowed hosts alone, and what
//! the tests get of it.

use super::codes;
use super::document;
use super::only;
use crate::support::Home;
use crate::support::Project;
use crate::support::require;
use regreen::model::Outcome;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// A registry on the host's own loopback: answers every request with the same package.
struct Registry {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Registry {
    fn open() -> Registry {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let asked = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let mut stream = stream;
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\npackage",
                );
            }
        });
        Registry { port, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Fetches a package through the proxy that the environment names, and installs it.
const INSTALL: &str = "import os, sys, urllib.request\n\
    url = open('deps.lock').read().strip()\n\
    body = urllib.request.urlopen(url, timeout=20).read().decode()\n\
    os.makedirs('node_modules/pkg', exist_ok=True)\n\
    open('node_modules/pkg/index.txt', 'w').write(body)\n\
    print('installed', body)\n";

/// Tests of what was installed: it is there, nobody may write to it, and there is no network.
const CHECK: &str = "test \"$(cat node_modules/pkg/index.txt)\" = package || exit 3\n\
    echo tampered 2>/dev/null >node_modules/pkg/index.txt && exit 4\n\
    rm -rf node_modules/pkg 2>/dev/null && exit 5\n\
    echo x >node_modules/.cache/x || exit 6\n\
    test -z \"$HTTP_PROXY\" || exit 7\n\
    exit 0\n";

fn project(home: &Home, url: &str, hosts: &str) -> Project {
    let toml = format!(
        "[[suite]]\nname = \"check\"\nframework = \"generic\"\ncommand = [\"sh\", \"check.sh\"]\n\
         [suite.setup]\ncommand = [\"python3\", \"install.py\"]\ninputs = [\"deps.lock\"]\n\
         provides = [\"node_modules\"]\nhosts = [{hosts}]\n"
    );
    home.project("installed")
        .file("regreen.toml", &toml)
        .file("install.py", INSTALL)
        .file("check.sh", CHECK)
        .file("deps.lock", url)
        .file(".gitignore", "node_modules/\n")
        .committed()
}

/// A registry, the address of its package, and a project that may fetch it.
fn served(home: &Home) -> (Registry, String, Project) {
    let registry = Registry::open();
    let url = format!("http://localhost:{}/pkg", registry.port);
    let project = project(home, &url, &format!("\"localhost:{}\"", registry.port));
    (registry, url, project)
}

fn layers(home: &Home) -> Vec<PathBuf> {
    let below = |dir: PathBuf| std::fs::read_dir(dir).into_iter().flatten().flatten();
    let projects = below(home.cache().join("slots"));
    let slots = projects.flat_map(|project| below(project.path()));
    let layers = slots.flat_map(|slot| below(slot.path().join("layers")));
    layers.map(|entry| entry.path()).collect()
}

#[test]
fn a_set_up_reaches_its_host_and_the_tests_get_it_read_only() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let (registry, url, project) = served(&home);
    project.regreen(["trust"]).run().exits(0);
    let (first, ran) = document(&project, &[]);
    assert_eq!(only(&first).outcome, Outcome::Passed, "{ran}\n{first:#?}");
    assert!(codes(only(&first)).contains(&"set_up"), "{first:#?}");
    assert_eq!(registry.asked(), 1);
    assert!(
        !project.path("node_modules").exists(),
        "the user's tree is untouched"
    );
    // Again: what is there is used.
    let (second, _) = document(&project, &["--fresh"]);
    assert_eq!(only(&second).outcome, Outcome::Passed, "{second:#?}");
    assert!(!codes(only(&second)).contains(&"set_up"), "{second:#?}");
    assert_eq!(registry.asked(), 1);
    // A test that is changed changes nothing of it; the lock file does.
    project.write("check.sh", format!("# another\n{CHECK}"));
    document(&project, &[]);
    assert_eq!(registry.asked(), 1);
    project.write("deps.lock", format!("{url}?2"));
    let (third, _) = document(&project, &[]);
    assert_eq!(only(&third).outcome, Outcome::Passed, "{third:#?}");
    assert_eq!(registry.asked(), 2);
    assert_eq!(layers(&home).len(), 2);
}

#[test]
fn a_set_up_reaches_nobody_else() {
    if !require("bwrap") {
        return;
    }
    let registry = Registry::open();
    let home = Home::new();
    let url = format!("http://localhost:{}/pkg", registry.port);
    let project = project(&home, &url, "\"registry.example\"");
    project.regreen(["trust"]).run().exits(0);
    let (refused, _) = document(&project, &[]);
    let report = only(&refused);
    assert_eq!(
        (report.outcome, refused.exit_code),
        (Outcome::InfraError, 106)
    );
    let note = &report.notes[0];
    assert_eq!(note.code, "setup_failed");
    let host = format!("localhost:{}", registry.port);
    assert!(note.message.contains(&host), "{note:?}");
    // Past the proxy there is nothing: neither a route nor a resolver.
    project.write(
        "install.py",
        format!(
            "import socket\nfor host in ('127.0.0.1', 'localhost'):\n  try:\n    \
             socket.create_connection((host, {}), 3)\n  except OSError as e: print(e)\n  else: raise \
             SystemExit('reached')\ntry: socket.getaddrinfo('registry.npmjs.org', 443)\n\
             except OSError: print('no names')\nelse: raise SystemExit('resolved')\n\
             import os; os.makedirs('node_modules/pkg'); \
             open('node_modules/pkg/index.txt','w').write('package')\n",
            registry.port
        ),
    );
    project.write("deps.lock", "another");
    let (held, ran) = document(&project, &[]);
    assert_eq!(only(&held).outcome, Outcome::Passed, "{ran}\n{held:#?}");
    assert_eq!(registry.asked(), 0);
}

#[test]
fn a_project_that_nobody_trusts_sets_up_nothing() {
    if !require("bwrap") {
        return;
    }
    let (registry, _, project) = served(&Home::new());
    let (untrusted, _) = document(&project, &[]);
    let report = only(&untrusted);
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(codes(report).contains(&"untrusted_config"), "{report:#?}");
    assert_eq!(registry.asked(), 0);
}

#[test]
fn a_set_up_that_fails_is_no_verdict_and_leaves_nothing() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let project = project(&home, "x", "");
    project.regreen(["trust"]).run().exits(0);
    project.write(
        "install.py",
        "print('half'); import os; os.makedirs('node_modules'); raise SystemExit(9)\n",
    );
    let (failed, _) = document(&project, &[]);
    let note = &only(&failed).notes[0];
    assert_eq!(failed.exit_code, 106, "{failed:#?}");
    assert!(note.message.contains("exited with status 9"), "{note:?}");
    assert!(note.message.contains("half"), "{note:?}");
    assert!(layers(&home).is_empty());
    // One that makes nothing of what it should.
    project.write("install.py", "print('nothing')\n");
    let (nothing, _) = document(&project, &[]);
    let note = &only(&nothing).notes[0];
    assert!(
        note.message.contains("no directory called `node_modules`"),
        "{note:?}"
    );
}

/// A lock file alone starts nothing; the user's word does. The real npm, the real registry.
#[test]
fn a_lock_file_is_a_set_up_that_waits_for_the_users_word() {
    if !require("bwrap") || !require("node") {
        return;
    }
    let lock = r#"{"name":"p","version":"1.0.0","lockfileVersion":3,"requires":true,"packages":{
        "":{"name":"p","version":"1.0.0","dependencies":{"is-number":"7.0.0"}},
        "node_modules/is-number":{"version":"7.0.0",
        "resolved":"https://registry.npmjs.org/is-number/-/is-number-7.0.0.tgz",
        "integrity":"sha512-41Cifkg6e8TylSpdtTpeLVMqvSBEVzTttHvERD741+pnZ8ANv0004MRL43QKPDlK9cGvNp6NZWZUBlbGXYxxng==",
        "engines":{"node":">=0.12.0"}}}}"#;
    let home = Home::new();
    let project = home
        .project("npm")
        .file("package.json", r#"{"name":"p","version":"1.0.0","dependencies":{"is-number":"7.0.0"},"scripts":{"test":"node --test"}}"#)
        .file("package-lock.json", lock)
        .file("a.test.js", "const {test} = require('node:test');\ntest('a', () => { if (!require('is-number')(3)) throw 1 });\n")
        .file(".gitignore", "node_modules/\n")
        .committed();
    let listed = project.regreen(["config", "suites"]).run();
    listed.exits(0);
    assert!(listed.stdout().contains("npm ci"), "{listed}");
    assert!(listed.stdout().contains("(off)"), "{listed}");
    let (without, _) = document(&project, &[]);
    assert!(
        codes(only(&without)).contains(&"setup_not_allowed"),
        "{without:#?}"
    );
    home.user_config("[setup]\nallow = true\n");
    let (with, ran) = document(&project, &[]);
    assert_eq!(only(&with).outcome, Outcome::Passed, "{ran}\n{with:#?}");
    assert_eq!(only(&with).counts.passed, 1);
}
