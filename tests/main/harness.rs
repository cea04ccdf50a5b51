//! Tests of the test support itself: a harness that lies is worse than none.

use crate::support::Home;
use crate::support::until_changed;
use std::time::Duration;
use std::time::Instant;

#[test]
fn a_fingerprint_sees_what_regreen_must_not_touch_and_overlooks_what_it_may() {
    let home = Home::new();
    let project = home.project("demo").file("a.txt", "a\n").committed();
    let before = project.fingerprint();

    std::fs::create_dir_all(project.path(".git/regreen")).expect("ours");
    std::fs::write(project.path(".git/regreen/status.json"), "{}").expect("ours");
    project.git(["update-ref", "refs/regreen/kept", "HEAD"]);
    before.unchanged_in(&project);

    for touched in [
        "a.txt",
        ".git/config",
        ".git/hooks/pre-commit",
        ".git/index",
        ".git/HEAD",
    ] {
        let path = project.path(touched);
        let kept = std::fs::read(&path).ok();
        let before = project.fingerprint();
        let grown = [kept.clone().unwrap_or_default(), b"\n".to_vec()].concat();
        std::fs::create_dir_all(path.parent().expect("in a directory")).expect("ours");
        std::fs::write(&path, grown).expect("ours");
        let seen = std::panic::catch_unwind(|| before.unchanged_in(&project));
        assert!(seen.is_err(), "a change of `{touched}` is overlooked");
        match kept {
            Some(bytes) => std::fs::write(&path, bytes).expect("ours"),
            None => std::fs::remove_file(&path).expect("ours"),
        }
    }
}

#[test]
fn a_program_that_hangs_is_ended_and_its_output_shown() {
    let home = Home::new();
    let began = Instant::now();
    let hanging = home.program("sh", ["-c", "echo here; exec sleep 600"]);
    let hanging = hanging.within(Duration::from_millis(300));
    let panic = std::panic::catch_unwind(|| hanging.run()).expect_err("it hangs");
    let message = panic.downcast_ref::<String>().expect("a message");
    assert!(message.contains("still ran after 300ms"), "{message}");
    assert!(message.contains("here"), "{message}");
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn waiting_for_a_file_ends_when_it_comes_and_when_it_does_not() {
    let home = Home::new();
    let file = home.path().join("deep/down/file");
    let writer = {
        let file = file.clone();
        std::thread::spawn(move || {
            std::fs::create_dir_all(file.parent().expect("below")).expect("ours");
            std::fs::write(file, "x").expect("ours");
        })
    };
    let dir = file.parent().expect("below");
    let bound = Duration::from_secs(10);
    until_changed(dir, "the file", bound, || file.exists().then_some(()));
    writer.join().expect("no panic");
    let bound = Duration::from_millis(100);
    let waited = std::panic::catch_unwind(|| {
        until_changed(dir, "a miracle", bound, || None::<()>);
    });
    assert!(waited.is_err(), "waiting has to be bounded");
}
