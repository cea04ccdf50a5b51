//! The binary: hidden `__` sub-commands first, before any thread exists, then the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next() {
        Some(word) if word == "__runner" => regreen::run::shim::main(args),
        Some(word) if word == "__probe" => regreen::sandbox::attack::probe::main(),
        Some(word) if word == "__services" => regreen::run::services::inside::main(args),
        Some(word) if word == "__egress" => regreen::sandbox::egress::inside::main(args),
        _ => regreen::cli::main(),
    }
}
