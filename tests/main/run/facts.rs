//! What a report says of a run besides its tests: what it used.

use super::document;
use super::only;
use crate::bad_input::in_mounts;
use crate::support::Home;
use crate::support::Project;
use crate::support::require;
use regreen::model::MemoryOf;
use regreen::model::Used;
use std::path::Path;

/// A suite that is a script of the shell's, on a disk: what is written to memory is no storage.
fn script(text: &str) -> Project {
    Home::within(Path::new("/var/tmp"))
        .project("facts")
        .file("test.sh", text)
        .file(
            "regreen.toml",
            "[[suite]]\nname = \"script\"\nframework = \"generic\"\ncommand = [\"sh\", \"test.sh\"]\n",
        )
        .committed()
}

fn used(project: &Project, args: &[&str]) -> Used {
    let (document, ran) = document(project, args);
    only(&document).run.used.unwrap_or_else(|| panic!("{ran}"))
}

/// The work is done by a process whose parent has gone, so that nobody but the namespace's first
/// process waits for it.
#[test]
fn what_a_run_used_is_told_also_of_orphans() {
    if !require("bwrap") {
        return;
    }
    let idle = used(&script("exit 0\n"), &[]);
    let busy = script(
        "work() { n=0; while [ $n -lt 100000 ]; do n=$((n+1)); done
                  head -c 48M /dev/zero | tail -n 1 | wc -c
                  dd if=/dev/zero of=big bs=1M count=8 conv=fsync 2>/dev/null
                  touch done; }
         (work >/dev/null 2>&1 &)
         while [ ! -e done ]; do sleep 0.05; done; sleep 0.2\n",
    );
    let busy_used = used(&busy, &[]);
    let cpu = |used: Used| used.cpu_user_ms.expect("told") + used.cpu_system_ms.expect("told");
    assert!(
        cpu(busy_used) > cpu(idle) + 30,
        "{busy_used:?} against {idle:?}"
    );
    assert_eq!(busy_used.peak_memory_of, Some(MemoryOf::Process));
    assert!(
        busy_used.peak_memory_bytes > Some(48 << 20),
        "{busy_used:?}"
    );
    assert!(idle.peak_memory_bytes < Some(24 << 20), "{idle:?}");
    assert!(busy_used.written_bytes >= Some(8 << 20), "{busy_used:?}");
    assert!(idle.written_bytes < Some(1 << 20), "{idle:?}");
    let shown = busy.regreen(["report"]).run();
    let line = shown.stdout();
    let line = line.lines().find(|line| line.starts_with("  used: "));
    let line = line.unwrap_or_else(|| panic!("{shown}"));
    for word in [" of CPU, ", " MiB in the largest process", " MiB written"] {
        assert!(line.contains(word), "{line}");
    }
    let bare = used(&busy, &["--backend", "none"]);
    assert!(bare.cpu_user_ms.is_some(), "{bare:?}");
}

#[test]
fn a_limit_on_the_disk_is_told_with_its_remedy() {
    if !require("bwrap") {
        return;
    }
    let writer = script("echo '1 test passed'; head -c 40M /dev/zero > big; sleep 60\n");
    writer.home.user_config("[limits]\ndisk = \"16MiB\"\n");
    let (document, ran) = document(&writer, &[]);
    let report = only(&document);
    assert_eq!(document.exit_code, 104, "{ran}");
    let note = report.notes.iter().find(|note| note.code == "limit");
    let note = note.unwrap_or_else(|| panic!("{ran}"));
    assert!(note.message.contains("where 16.0 MiB are allowed"), "{ran}");
    let remedy = note.remedy.as_deref().unwrap_or_default();
    assert!(remedy.contains("raise `disk`"), "{ran}");
}

/// The limit on memory holds for each process, and its allocation fails: nobody is killed.
#[test]
fn memory_that_was_refused_is_told_with_its_limit() {
    if !require("bwrap") {
        return;
    }
    let hungry = script("python3 -c 'b = bytearray(300 << 20)'\n");
    hungry.home.user_config("[limits]\nmemory = \"100MiB\"\n");
    let (document, ran) = document(&hungry, &[]);
    let note = only(&document)
        .notes
        .iter()
        .find(|note| note.code == "memory_limit");
    let note = note.unwrap_or_else(|| panic!("{ran}"));
    assert!(note.message.contains("limit of 100MiB"), "{ran}");
}

#[test]
fn artifacts_are_kept_with_their_run_and_go_with_it() {
    if !require("bwrap") {
        return;
    }
    let project = script(
        "if [ -e out/first ]; then mkdir out/more; echo again > out/more/second
         else mkdir out; echo once > out/first; ln -s /etc/passwd out/link; fi
         echo '1 test passed'\n",
    );
    project.edit(
        "regreen.toml",
        "[[suite]]\n",
        "[[suite]]\nartifacts = [\"out/**\"]\n",
    );
    project.write(".gitignore", "out\n");
    let paths = |ran: &regreen::model::Report| -> Vec<String> {
        ran.artifacts.iter().map(|file| file.path.clone()).collect()
    };
    let (first, ran) = document(&project, &[]);
    let first = only(&first);
    assert_eq!(paths(first), ["out/first"], "{ran}");
    let left_out = first
        .notes
        .iter()
        .find(|note| note.code == "artifacts_left_out");
    assert!(
        left_out.is_some_and(|it| it.message.contains("out/link")),
        "{ran}"
    );
    let kept = std::path::PathBuf::from(&first.artifacts[0].kept);
    assert_eq!(std::fs::read_to_string(&kept).expect("kept"), "once\n");
    // What lay there before is none of the next run's, and the first keeps its own.
    let (second, ran) = document(&project, &[]);
    assert_eq!(paths(only(&second)), ["out/more/second"], "{ran}");
    assert!(kept.exists());
    let shown = project.regreen(["report"]).run();
    assert!(
        shown.stdout().contains("  kept: 1 file, 6 B in "),
        "{shown}"
    );
    project.home.user_config("[retention]\nsize = \"1B\"\n");
    project.home.regreen(["gc"]).run().exits(0);
    assert!(!kept.exists(), "it goes with the records of its run");
}

/// Disks of a few megabytes, below the cache and below the state.
#[test]
fn a_full_disk_under_a_run_is_no_red_verdict() {
    if !require("bwrap") {
        return;
    }
    let fill = "head -c 60M /dev/zero > big || { echo '1 test failed'; exit 1; }\nsleep 60\n";
    let tidy = "trap 'rm -f big; exit 1' TERM
        head -c 60M /dev/zero > big || { rm big; echo '1 test failed'; exit 1; }\n";
    let print = "head -c 9M /dev/zero | tr '\\0' x; echo; exit 1\n";
    for (below, text) in [(".cache", fill), (".cache", tidy), (".local/state", print)] {
        let project = script(text);
        let place = project.home.path().join(below);
        let mounts = format!(
            "mount -t tmpfs -o size=6m,mode=700 tmpfs '{}'",
            place.display()
        );
        let ran = project
            .regreen(["run", "--json"])
            .behind(in_mounts(&mounts))
            .run();
        ran.exits(106);
        let report = &ran.json()["reports"][0];
        assert_eq!(report["outcome"], "infra_error", "{ran}");
        let notes = report["notes"].as_array().expect("notes");
        let full = notes.iter().find(|note| {
            let remedy = note["remedy"].as_str().unwrap_or_default();
            remedy.starts_with("free disk space")
        });
        let message = full.and_then(|note| note["message"].as_str());
        assert!(
            message.is_some_and(|it| it.contains("the disk that holds `")),
            "{ran}"
        );
    }
    // The words alone, on a disk with room, are a test's own.
    let words = script("echo x > /dev/full; echo '1 test failed'; exit 1\n");
    let (document, ran) = document(&words, &[]);
    assert_eq!(document.exit_code, 100, "{ran}");
}
