//! The binary: hidden `__` sub-commands first, before any thread exists, then the command line.

fn main() -> std::process::ExitCode {
    regreen::cli::main()
}
