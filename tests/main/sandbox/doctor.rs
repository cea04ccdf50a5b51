//! `regreen doctor` on this machine, and on one where things are missing.

use crate::support::Home;
use crate::support::require;
use regreen::model::DoctorReport;
use regreen::model::Health;
use regreen::sandbox::attack::probe;

fn report(text: &str) -> DoctorReport {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn state(report: &DoctorReport, name: &str) -> Option<Health> {
    let check = report.checks.iter().find(|check| check.name == name);
    check.map(|check| check.state)
}

#[test]
fn the_doctor_tries_and_attacks() {
    if !require("bwrap") {
        return;
    }
    let home = Home::new();
    let ran = home.regreen(["doctor", "--attack", "--json"]).run();
    ran.exits(0);
    let report = report(&ran.stdout());
    assert_eq!(state(&report, "bubblewrap"), Some(Health::Ok));
    assert_eq!(state(&report, "cargo"), Some(Health::Ok));
    let tried: Vec<&str> = report.attack.iter().map(|line| &*line.property).collect();
    assert_eq!(tried, probe::names());
    assert!(report.attack.iter().all(|line| line.held));
    for name in ["user", "cgroup", "inotify", "disk_cache", "git_dir"] {
        assert!(state(&report, name).is_some(), "{name} was not looked at");
    }
    // What stays is the copy of /etc that every sandbox of this user shares.
    let left: Vec<_> = std::fs::read_dir(home.cache())
        .map(|dir| dir.flatten().map(|entry| entry.file_name()).collect())
        .unwrap_or_default();
    assert_eq!(left, ["etc"], "the scratch slot is gone");
}

#[test]
fn what_is_missing_fails_with_a_remedy() {
    let home = Home::new();
    let project = home.project("pinned");
    let project = project
        .file("Cargo.toml", "[package]\nname = \"a\"\n")
        .file("rust-toolchain.toml", "[toolchain]\nchannel = \"1.2.3\"\n")
        .committed();
    let ran = project
        .regreen(["doctor", "--json"])
        .env("REGREEN_BWRAP", "/no/such/bwrap")
        .without_env("RUSTUP_TOOLCHAIN")
        .run();
    ran.exits(1);
    let report = report(&ran.stdout());
    for name in ["bubblewrap", "toolchain", "cargo"] {
        assert_eq!(state(&report, name), Some(Health::Fail), "{report:#?}");
    }
    let failed = report
        .checks
        .iter()
        .filter(|check| check.state == Health::Fail);
    for check in failed {
        assert!(check.remedy.is_some(), "{check:?}");
    }
}
