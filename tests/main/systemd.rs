//! The user service: its unit file as systemd reads it, and the service in a real systemd.

use crate::support::Home;
use crate::support::repository;
use crate::support::require;
use std::time::Duration;

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    if !require("systemd") {
        return;
    }
    let home = Home::new();
    let shipped = std::fs::read_to_string(repository().join("systemd/regreen.service")).unwrap();
    let program = format!("ExecStart={} daemon", env!("CARGO_BIN_EXE_regreen"));
    let text: Vec<&str> = shipped
        .lines()
        .map(|line| match line.starts_with("ExecStart=") {
            true => program.as_str(),
            false => line,
        })
        .collect();
    let unit = home.top().join("regreen.service");
    std::fs::write(&unit, text.join("\n")).unwrap();
    let verify = |unit: &std::path::Path| {
        let unit = unit.to_str().unwrap();
        home.program("systemd-analyze", ["--user", "verify", "--man=no", unit])
            .run()
    };
    let ran = verify(&unit);
    ran.exits(0);
    // An unknown key is only printed: any word is a fault.
    assert_eq!((ran.stdout().as_str(), ran.stderr().as_str()), ("", ""));
    // The check itself sees a fault.
    std::fs::write(&unit, text.join("\n").replace("OOMPolicy", "OOMPolitics")).unwrap();
    assert!(verify(&unit).stderr().contains("OOMPolitics"));
}

#[test]
fn the_service_in_a_real_systemd() {
    if !require("systemd") {
        return;
    }
    let script = repository().join("tests/systemd");
    let home = Home::new();
    let ran = home
        .program(
            script.join("boot.sh"),
            [
                script.join("service.sh"),
                env!("CARGO_BIN_EXE_regreen").into(),
            ],
        )
        .env("BOOT_SECONDS", "240")
        .within(Duration::from_secs(280))
        .run();
    ran.exits(0).says("all well");
    eprintln!("{}", ran.stdout());
}
