//! Links, special files and rights, on either side.

use crate::mirror::Rig;
use crate::mirror::demo;
use crate::support::Home;
use crate::support::is_root;
use regreen::git::GitError;
use regreen::git::Worktree;
use regreen::git::refuse_root;
use regreen::sandbox::mirror::MirrorRules;
use rustix::fs::FileType;
use rustix::fs::Mode;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

#[test]
fn a_planted_link_in_the_slot_leads_nowhere() {
    let mut rig = Rig::new(demo());
    rig.reconcile();
    let victim = rig.project.home.top().join("victim");
    fs::create_dir(&victim).expect("ours");
    fs::write(victim.join("lib.rs"), "precious").expect("ours");
    fs::remove_dir_all(rig.slot_path("src")).expect("ours");
    symlink(&victim, rig.slot_path("src")).expect("ours");
    rig.project
        .write("src/lib.rs", "pub fn one() -> u8 { 5 }\n");
    let synced = rig.sync(["src/lib.rs"]);
    assert_eq!(
        fs::read_to_string(victim.join("lib.rs")).expect("kept"),
        "precious"
    );
    assert_eq!(fs::read_dir(&victim).expect("kept").count(), 1);
    assert!(!rig.slot_path("src").is_symlink());
    rig.agrees(&synced);
    // The same for removal, repair and the way back.
    fs::remove_dir_all(rig.slot_path("src")).expect("ours");
    symlink(&victim, rig.slot_path("src")).expect("ours");
    let drift = rig.mirror.drift().expect("walked");
    assert!(!drift.is_clean());
    rig.mirror.repair(&drift).expect("repaired");
    assert_eq!(
        fs::read_to_string(victim.join("lib.rs")).expect("kept"),
        "precious"
    );
    fs::remove_file(rig.project.path("src/lib.rs")).expect("ours");
    rig.sync(["src/lib.rs"]);
    assert!(victim.join("lib.rs").exists());
}

/// A directory of the worktree is exchanged for a link to elsewhere, again and again, while it
/// is synchronised: at no moment is a file behind the link taken.
#[test]
fn a_directory_that_becomes_a_link_in_mid_sync_leads_nowhere() {
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering;
    let mut rig = Rig::new(demo());
    rig.reconcile();
    let outside = rig.project.home.top().join("outside");
    fs::create_dir(&outside).expect("ours");
    fs::write(outside.join("lib.rs"), "secret").expect("ours");
    let (src, away) = (rig.project.path("src"), rig.project.home.top().join("away"));
    let link = rig.project.home.top().join("link");
    symlink(&outside, &link).expect("ours");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                fs::rename(&src, &away).expect("ours");
                fs::rename(&link, &src).expect("ours");
                fs::rename(&src, &link).expect("ours");
                fs::rename(&away, &src).expect("ours");
            }
        });
        for round in 0..300 {
            let paths = [PathBuf::from("src/lib.rs"), PathBuf::from("src")];
            // What changes under its hands may be an error; then it is done again.
            let _ = match round % 10 {
                0 => rig.mirror.reconcile(),
                _ => rig.mirror.sync(&paths),
            };
            // The link itself may be there: it leads nowhere in a sandbox.
            let held = match rig.slot_path("src").is_symlink() {
                true => String::new(),
                false => rig.in_slot("src/lib.rs").unwrap_or_default(),
            };
            if held.contains("secret") {
                over.store(true, Ordering::Relaxed);
            }
            assert!(!held.contains("secret"), "round {round}");
        }
        over.store(true, Ordering::Relaxed);
    });
    let synced = rig.reconcile();
    rig.agrees(&synced);
}

#[test]
fn special_and_unreadable_files_are_left_out_with_a_reason() {
    let mut rig = Rig::new(demo());
    let mode = Mode::RUSR | Mode::WUSR;
    let fifo = rig.project.path("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, mode, 0).expect("a FIFO");
    let _socket =
        std::os::unix::net::UnixListener::bind(rig.project.path("sock")).expect("a socket");
    rig.project.write("secret.txt", "mine");
    fs::set_permissions(
        rig.project.path("secret.txt"),
        PermissionsExt::from_mode(0o0),
    )
    .expect("ours");
    let synced = rig.reconcile();
    let reason = |path: &str| {
        let found = synced.left_out.iter().find(|it| it.path == Path::new(path));
        found.map(|it| it.reason.to_string()).unwrap_or_default()
    };
    assert!(reason("pipe").contains("FIFO"), "{synced:?}");
    assert!(reason("sock").contains("socket"), "{synced:?}");
    if !is_root() {
        assert!(
            reason("secret.txt").contains("cannot be read"),
            "{synced:?}"
        );
    }
    // A file that was copied and turns into a FIFO goes.
    fs::remove_file(rig.project.path("src/lib.rs")).expect("ours");
    let fifo = rig.project.path("src/lib.rs");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, mode, 0).expect("a FIFO");
    let synced = rig.sync(["src/lib.rs"]);
    assert!(!rig.slot_path("src/lib.rs").exists());
    assert!(
        synced
            .left_out
            .iter()
            .any(|it| it.path == Path::new("src/lib.rs"))
    );
    fs::remove_file(&fifo).expect("ours");
    rig.project.write("src/lib.rs", "back\n");
    let synced = rig.sync(["src/lib.rs"]);
    assert!(
        !synced
            .left_out
            .iter()
            .any(|it| it.path == Path::new("src/lib.rs"))
    );
    assert_eq!(rig.in_slot("src/lib.rs").as_deref(), Some("back\n"));
}

#[test]
fn credentials_stay_out_unless_named_or_tracked() {
    let project = demo();
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n";
    for (path, text) in [
        (".env", "TOKEN=1"),
        (".env.local", "TOKEN=1"),
        (".env.example", "TOKEN="),
        ("deploy/.npmrc", "//r/:_authToken=1"),
        ("id_ed25519", "x"),
        ("certs/server.pem", key),
        ("tests/key.pem", key),
    ] {
        project.write(path, text);
    }
    project.git(["add", "tests/key.pem"]);
    let out = |rig: &mut Rig| -> Vec<String> {
        let synced = rig.reconcile();
        let paths = synced
            .left_out
            .iter()
            .map(|it| it.path.display().to_string());
        paths.collect()
    };
    let mut rig = Rig::new(project);
    let expected = [
        ".env",
        ".env.local",
        "certs/server.pem",
        "deploy/.npmrc",
        "id_ed25519",
    ];
    assert_eq!(out(&mut rig), expected);
    assert!(rig.slot_path(".env.example").exists() && rig.slot_path("tests/key.pem").exists());
    for path in expected {
        assert!(!rig.slot_path(path).exists(), "{path}");
    }
    let project = rig.project.clone();
    drop(rig);
    let rules = MirrorRules {
        include: vec![".env".into(), "certs".into()],
        ..MirrorRules::default()
    };
    let mut rig = Rig::with(project, rules);
    assert_eq!(out(&mut rig), [".env.local", "deploy/.npmrc", "id_ed25519"]);
    assert!(rig.slot_path(".env").exists() && rig.slot_path("certs/server.pem").exists());
    // Ignored ones can be named too, and are told of otherwise.
    rig.project.write(".gitignore", ".env*\n");
    assert!(out(&mut rig).contains(&".env.local".to_owned()));
    assert!(rig.slot_path(".env").exists());
}

#[test]
fn the_private_directory_follows_no_link() {
    let project = demo();
    let victim = project.home.top().join("victim");
    fs::create_dir(&victim).expect("ours");
    symlink(&victim, project.path(".git/regreen")).expect("ours");
    let worktree = Worktree::discover(project.root()).expect("a worktree");
    let error = worktree.private_dir().expect_err("a link is refused");
    assert!(matches!(error, GitError::PrivateDir { .. }), "{error:?}");
    assert_eq!(fs::read_dir(&victim).expect("kept").count(), 0);
    fs::remove_file(project.path(".git/regreen")).expect("ours");
    let dir = worktree.private_dir().expect("made");
    symlink("/etc/passwd", dir.path().join("status.json")).expect("ours");
    dir.write("status.json", b"{}")
        .expect("the link is replaced");
    assert_eq!(
        fs::read(dir.path().join("status.json")).expect("ours"),
        b"{}"
    );
    assert_eq!(dir.read("status.json").expect("read"), Some(b"{}".to_vec()));
    let mode = fs::metadata(dir.path()).expect("ours").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn discovery_says_what_is_wrong() {
    let home = Home::new();
    let plain = home.project("plain").file("a", "a").plain();
    let error = Worktree::discover(plain.root()).expect_err("no repository");
    assert!(
        error.to_string().contains("not in a git worktree"),
        "{error}"
    );
    plain.git(["init", "-q", "--bare", "../bare.git"]);
    let error = Worktree::discover(&home.path().join("bare.git")).expect_err("bare");
    assert!(error.to_string().contains("bare repository"), "{error}");
    let error = Worktree::discover(&home.path().join("nowhere")).expect_err("nothing");
    assert!(matches!(error, GitError::Io { .. }), "{error}");
    let project = demo();
    let below = Worktree::discover(&project.path("src")).expect("found from below");
    assert_eq!(below.root, project.root());
    // A hostile configuration cannot make another directory the project.
    project.git([
        "config",
        "core.worktree",
        home.path().to_str().expect("ascii"),
    ]);
    let error = Worktree::discover(project.root()).expect_err("elsewhere");
    assert!(matches!(error, GitError::ForeignWorktree { .. }), "{error}");
}

#[test]
fn another_users_repository_is_refused_with_the_remedy() {
    if !is_root() {
        return;
    }
    let project = demo();
    for entry in walkdir::WalkDir::new(project.root()) {
        let entry = entry.expect("walked");
        std::os::unix::fs::lchown(entry.path(), Some(12_345), Some(12_345)).expect("root may");
    }
    let error = Worktree::discover(project.root()).expect_err("not ours");
    assert!(error.to_string().contains("safe.directory"), "{error}");
}

#[test]
fn dangerous_roots_are_refused() {
    let home = Path::new("/home/ada");
    for root in [
        "/",
        "/home",
        "/home/ada",
        "/usr/src/x",
        "/etc",
        "/proc/self",
    ] {
        assert!(refuse_root(Path::new(root), home).is_some(), "{root}");
    }
    for root in ["/home/ada/x", "/tmp/x", "/srv/x", "/home/adam"] {
        assert_eq!(refuse_root(Path::new(root), home), None, "{root}");
    }
}

#[test]
fn a_full_disk_loses_nothing() {
    if !is_root() {
        return;
    }
    // A real file system that is full: two megabytes of memory, mounted for this test alone.
    let home = Home::new();
    let cache = home.cache();
    fs::create_dir_all(&cache).expect("ours");
    let mounted = crate::support::command("mount")
        .args(["-t", "tmpfs", "-o", "size=3m,mode=700", "tmpfs"])
        .arg(&cache)
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        crate::support::say("SKIPPED a_full_disk_loses_nothing: mounting a tmpfs is not allowed");
        return;
    }
    struct Unmount(PathBuf);
    impl Drop for Unmount {
        fn drop(&mut self) {
            let _ = crate::support::command("umount")
                .arg("-l")
                .arg(&self.0)
                .status();
        }
    }
    let room = cache.clone();
    let _guard = Unmount(cache);
    let project = home.project("full").file("a.txt", "a\n").committed();
    let mut rig = Rig::new(project);
    let before = rig.reconcile();
    rig.project.write("b.bin", vec![b'b'; 8 << 20]);
    rig.project.write("a.txt", "changed\n");
    let error = rig.mirror.reconcile().expect_err("there is no room");
    assert!(error.to_string().contains("no space"), "{error}");
    assert!(!rig.slot_path("b.bin").exists());
    let error = rig.mirror.sync(&["b.bin".into()]).expect_err("still none");
    assert!(error.to_string().contains("no space"), "{error}");
    fs::remove_file(rig.project.path("b.bin")).expect("ours");
    // What was half copied is gone; another thread's child that was just forked may hold it open
    // until it becomes another program, and with it the room.
    crate::support::until("room again", Duration::from_secs(30), || {
        let room = rustix::fs::statvfs(&room).expect("it is mounted");
        (room.f_bavail * room.f_frsize > 1 << 20).then_some(())
    });
    let after = rig.sync(["b.bin"]);
    assert_ne!(after.snapshot, before.snapshot);
    rig.agrees(&after);
}
