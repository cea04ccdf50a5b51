//! Reads the backtrace that `RUST_BACKTRACE=1` adds to a panic.

use crate::cargo::package::Package;
use crate::report::Frame;
use crate::text;

/// More frames than this are not kept.
const MOST: usize = 24;

/// The frames of the first backtrace in `block`, innermost first. The standard library's own
/// frames, and the wrapper that `#[test]` puts around a test, are left out.
pub(crate) fn frames(block: &str, package: &Package) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    let mut function: Option<String> = None;
    let lines = block
        .lines()
        .skip_while(|line| line.trim() != "stack backtrace:");
    for line in lines.skip(1) {
        if let Some(name) = numbered(line) {
            function = Some(plain_name(name));
        } else if let Some(place) = line.trim_start().strip_prefix("at ") {
            let Some(function) = function.take() else {
                continue;
            };
            if let Some(frame) = frame(place, function, package) {
                push(&mut frames, frame);
            }
        } else {
            break;
        }
        if frames.len() >= MOST {
            break;
        }
    }
    frames
}

/// The function of a line like `   3: demo::helper` or `  19:     0x55bc - demo::helper::h29`.
fn numbered(line: &str) -> Option<&str> {
    let (number, rest) = line.trim_start().split_once(": ")?;
    number.parse::<u32>().ok()?;
    let rest = rest.trim();
    Some(match rest.split_once(" - ") {
        Some((address, name)) if address.starts_with("0x") => name,
        _ => rest,
    })
}

fn frame(place: &str, function: String, package: &Package) -> Option<Frame> {
    let (file, line) = file_and_line(place)?;
    if file.starts_with("/rustc/") || file.contains("/rustlib/src/rust/") {
        return None;
    }
    let file = package.backtrace_path(file);
    Some(Frame {
        user: package.context.is_user(&file),
        file,
        line: Some(line),
        function: Some(text::cut(&function, 300)),
    })
}

/// Takes `file:line` or `file:line:column` apart.
pub(crate) fn file_and_line(place: &str) -> Option<(&str, u32)> {
    let (rest, last) = place.trim_end().rsplit_once(':')?;
    let last: u32 = last.parse().ok()?;
    match rest.rsplit_once(':') {
        Some((file, line)) if line.parse::<u32>().is_ok() => Some((file, line.parse().ok()?)),
        _ => Some((rest, last)),
    }
}

/// A function's name without hash and crate disambiguators.
fn plain_name(name: &str) -> String {
    let name = match name.rsplit_once("::h") {
        Some((rest, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
            rest
        }
        _ => name,
    };
    let mut out = String::new();
    let mut rest = name;
    while let Some(at) = rest.find('[') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        match after.find(']') {
            Some(end) if end == 16 && after[..end].bytes().all(|b| b.is_ascii_hexdigit()) => {
                rest = &after[end + 1..];
            }
            _ => {
                out.push('[');
                rest = after;
            }
        }
    }
    out + rest
}

fn push(frames: &mut Vec<Frame>, frame: Frame) {
    let wrapper = frames.last().is_some_and(|last| {
        let inner = last.function.as_deref().unwrap_or("");
        last.file == frame.file
            && frame.function.as_deref() == Some(&format!("{inner}::{{{{closure}}}}"))
    });
    if !wrapper {
        frames.push(frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;

    #[test]
    fn the_helper_and_its_caller_remain() {
        let block = "stack backtrace:
   0: __rustc::rust_begin_unwind
             at /rustc/59807616e1fa/library/std/src/panicking.rs:689:5
   4: demo::helper
             at ./src/lib.rs:11:21
   5: demo::tests::in_helper
             at /p/crates/demo/src/lib.rs:17:30
   6: demo::tests::in_helper::{{closure}}
             at ./src/lib.rs:17:27
   7: <dep[d7e4a3860f9b9bfa]::X>::call::h29060ce4993b7616
             at /home/u/.cargo/registry/src/x/dep-1.0.0/src/lib.rs:250:5
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.
";
        let package = Package::new(Context::rooted("/p"), "crates/demo");
        let frames = frames(block, &package);
        let short: Vec<(String, u32, bool)> = frames
            .into_iter()
            .map(|f| {
                (
                    f.file + " " + &f.function.unwrap_or_default(),
                    f.line.unwrap_or(0),
                    f.user,
                )
            })
            .collect();
        assert_eq!(
            short,
            [
                ("crates/demo/src/lib.rs demo::helper".to_owned(), 11, true),
                (
                    "crates/demo/src/lib.rs demo::tests::in_helper".to_owned(),
                    17,
                    true
                ),
                (
                    "/home/u/.cargo/registry/src/x/dep-1.0.0/src/lib.rs <dep::X>::call".to_owned(),
                    250,
                    false
                ),
            ]
        );
    }

    #[test]
    fn a_package_at_the_root_has_paths_from_the_root() {
        let block = "stack backtrace:\n   3: demo::helper\n             at ./src/lib.rs:11:21\n";
        let package = Package::new(Context::rooted("/p"), "/p");
        let frames = frames(block, &package);
        assert_eq!(
            (frames[0].file.as_str(), frames[0].user),
            ("src/lib.rs", true)
        );
    }
}
