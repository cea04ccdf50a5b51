//! One process a test: how a binary is run again whose stream of events contradicted itself.

use crate::run::shim::Target;
use crate::run::shim::pump::Ended;
use regreen_parsers::cargo::shim::Harness;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

/// The status of libtest when a test failed.
const FAILED: i32 = 101;

/// Runs every listed test in a process of its own, each with files of its own.
pub fn run(target: &Target, events: &Path) -> std::io::Result<Ended> {
    let list = target.list(&target.args)?;
    let list = String::from_utf8_lossy(&list);
    let mut well = true;
    for name in list.lines().filter_map(|line| line.strip_suffix(": test")) {
        let args = [OsString::from("--exact"), OsString::from(name)];
        let kept = target.args.iter().filter(|arg| keeps(arg)).cloned();
        let args: Vec<OsString> = args.into_iter().chain(kept).collect();
        well &= target.observed(events, Harness::Libtest, &args)?.success();
    }
    let code = if well { 0 } else { FAILED };
    Ok(Ended::new(ExitStatus::from_raw(code << 8)))
}

/// Arguments that are no filter of names.
fn keeps(arg: &OsString) -> bool {
    matches!(arg.to_str(), Some("--ignored" | "--include-ignored"))
}
