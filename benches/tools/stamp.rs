//! The witness of a spawn. Installed under the name of a program, it notes the monotonic clock
//! and its arguments in `stamp.log` beside itself, and becomes that program, whose path stands
//! in `stamp.real` beside it. It needs no environment, because regreen clears it.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;

/// `CLOCK_MONOTONIC` in nanoseconds, as Python's `time.monotonic_ns` counts them.
fn now() -> u128 {
    // `Instant` cannot be read as a number, and the harness allows itself no crates.
    #[repr(C)]
    struct Timespec {
        seconds: i64,
        nanos: i64,
    }
    unsafe extern "C" {
        fn clock_gettime(clock: i32, at: *mut Timespec) -> i32;
    }
    let mut at = Timespec { seconds: 0, nanos: 0 };
    // SAFETY: `at` is a valid place for one timespec, and clock 1 (monotonic) always exists.
    unsafe { clock_gettime(1, &mut at) };
    at.seconds as u128 * 1_000_000_000 + at.nanos as u128
}

fn main() {
    let at = now();
    let me = std::env::current_exe().expect("/proc is mounted");
    let dir = me.parent().expect("a program lies in a directory");
    let args: Vec<OsString> = std::env::args_os().collect();
    let mut line = format!("{at}\t{}\t", std::process::id()).into_bytes();
    for arg in &args[1..] {
        line.extend(arg.as_bytes().iter().map(|&b| if b < 32 { b'?' } else { b }));
        line.push(b' ');
    }
    line.push(b'\n');
    if let Ok(mut log) = std::fs::OpenOptions::new().append(true).create(true).open(dir.join("stamp.log")) {
        // One write, so that lines of several processes do not mix.
        let _ = log.write_all(&line);
    }
    let real = std::fs::read_to_string(dir.join("stamp.real")).expect("stamp.real lies beside the witness");
    let error = std::process::Command::new(real.trim_end()).args(&args[1..]).exec();
    eprintln!("stamp: failed to become `{}`: {error}", real.trim_end());
    std::process::exit(127);
}
