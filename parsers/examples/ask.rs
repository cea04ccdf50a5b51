//! Runs a test command with the request for structure that the crate knows for its format, and
//! prints the report: everything that a user of the crate has to do besides.
//!
//! ```text
//! cargo run -p regreen-parsers --example ask -- --format go-test [--dir DIR] [--limit SECONDS]
//!     [--plain] [--save NAME] -- COMMAND…
//! ```
//!
//! Beware: the command runs without any sandbox. `--plain` does not ask for structure: the
//! report is made of what a person would paste. `--save NAME` keeps the run as the recording
//! `fixtures/recordings/FORMAT/NAME`; it is then run on a copy in `/tmp/regreen-rec/FORMAT/p`,
//! so that no path of the machine is in it (`node_modules` and `.venv` become links); a project
//! that already lies there is run as it is.

#![expect(
    clippy::disallowed_methods,
    reason = "an example of the crate on its own, without regreen's sandbox and supervisor"
)]

use regreen_parsers::Context;
use regreen_parsers::Exit;
use regreen_parsers::Format;
use regreen_parsers::Input;
use regreen_parsers::Places;
use regreen_parsers::ReportFile;
use regreen_parsers::parse;
use regreen_parsers::request;
use regreen_parsers::tool;
use std::error::Error;
use std::fs;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

struct Args {
    format: Format,
    dir: PathBuf,
    limit: Duration,
    plain: bool,
    save: Option<String>,
    command: Vec<String>,
}

fn args() -> Result<Args, Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let mut args = Args {
        format: Format::Auto,
        dir: PathBuf::from("."),
        limit: Duration::from_secs(60),
        plain: false,
        save: None,
        command: Vec::new(),
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("`{word}` wants a value"));
        match word.as_str() {
            "--format" => args.format = value()?.parse()?,
            "--dir" => args.dir = value()?.into(),
            "--limit" => args.limit = Duration::from_secs(value()?.parse()?),
            "--save" => args.save = Some(value()?),
            "--plain" => args.plain = true,
            "--" => break,
            other => return Err(format!("unknown option `{other}`").into()),
        }
    }
    args.command = words.collect();
    if args.command.is_empty() {
        return Err("no command".into());
    }
    Ok(args)
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = args()?;
    // A recording names its place; two that only ask at once must not share one.
    let place = match &args.save {
        Some(_) => PathBuf::from("/tmp/regreen-rec").join(args.format.as_str()),
        None => std::env::temp_dir().join(format!("regreen-ask-{}", std::process::id())),
    };
    let (inject, events) = (place.join("inject"), place.join("events"));
    for dir in [&inject, &events] {
        let _ = fs::remove_dir_all(dir);
        fs::create_dir_all(dir)?;
    }
    let mut root = args.dir.canonicalize()?;
    if args.save.is_some() {
        let copy = place.join("p");
        // What has to be built at its place is built there, and not copied.
        if root != copy {
            let _ = fs::remove_dir_all(&copy);
            copy_tree(&root, &copy)?;
        }
        root = copy;
    }
    let places = Places {
        inject: inject.to_str().ok_or("no path")?,
        events: events.to_str().ok_or("no path")?,
    };
    let mut asked = request(args.format, &args.command, &[], places);
    if args.plain {
        asked.argv.clone_from(&args.command);
        asked.env.clear();
        asked.collect.clear();
    } else if let Some(refused) = &asked.refused {
        return Err(format!("{}: {}", refused.why, refused.remedy).into());
    }
    for (name, text) in &asked.files {
        fs::write(inject.join(name), text)?;
    }
    let (out, err) = (place.join("stdout"), place.join("stderr"));
    let stdout = File::create(&out)?;
    // A pasted log has both in one.
    let stderr = match args.plain {
        true => stdout.try_clone()?,
        false => File::create(&err)?,
    };
    let mut child = Command::new(&asked.argv[0])
        .args(&asked.argv[1..])
        .current_dir(&root)
        .env("CI", "1")
        .envs(asked.env.iter().map(|(name, value)| (name, value)))
        .env_remove("AI_AGENT")
        .env_remove("CLAUDECODE")
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .process_group(0)
        .spawn()?;
    let (over, ended) = mpsc::channel::<()>();
    let (group, limit) = (format!("-{}", child.id()), args.limit);
    let watch = std::thread::spawn(move || {
        let late = ended.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout);
        if late {
            // The whole group: `kill` of a negative number.
            let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        }
        late
    });
    let status = child.wait()?;
    drop(over);
    let timed_out = watch.join().unwrap_or(false);
    let exit = Exit {
        code: status.code(),
        signal: status.signal(),
        timed_out,
        oom: false,
    };
    let log = fs::read(&out)?;
    let errors = fs::read(&err).unwrap_or_default();
    let mut files = Vec::new();
    written(&events, "", &mut files)?;
    for pattern in &asked.collect {
        let parts: Vec<&str> = pattern.split('/').collect();
        collect(&root, &parts, &mut files)?;
    }
    files.sort();
    if args.save.is_none() {
        let _ = fs::remove_dir_all(&place);
    }
    if let Some(name) = &args.save {
        save(&args, name, &root, (&log, &errors), &files, exit)?;
    }
    let mut live = regreen_parsers::Live::new(args.format, context(&args, &root));
    let report = if args.plain {
        let mut input = Input::log(args.format, &log);
        input.exit = Some(exit);
        input.context = context(&args, &root);
        input.files = files
            .iter()
            .map(|(name, bytes)| ReportFile { name, bytes })
            .collect();
        parse(&input)
    } else {
        live.feed(regreen_parsers::Stream::Stdout, &log);
        live.feed(regreen_parsers::Stream::Stderr, &errors);
        for (name, bytes) in &files {
            live.feed(regreen_parsers::Stream::File(name), bytes);
        }
        live.finish(regreen_parsers::End::exit(exit))
    };
    let text = serde_json::to_string_pretty(&report)?;
    std::io::Write::write_all(&mut std::io::stdout(), format!("{text}\n").as_bytes())?;
    Ok(())
}

fn context(args: &Args, root: &Path) -> Context {
    Context {
        command: tool(args.format, &args.command),
        ..Context::rooted(root.to_string_lossy())
    }
}

/// Every file below the directory of events, named by its path in it: some tools write one
/// for each test file.
fn written(
    dir: &Path,
    before: &str,
    files: &mut Vec<(String, Vec<u8>)>,
) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{before}{name}");
        if path.is_file() {
            files.push((name, fs::read(&path)?));
        } else if path.is_dir() {
            written(&path, &format!("{name}/"), files)?;
        }
    }
    Ok(())
}

/// Files below `dir` that match: `*` in a name, `**` for any directories.
fn collect(
    dir: &Path,
    pattern: &[&str],
    files: &mut Vec<(String, Vec<u8>)>,
) -> Result<(), Box<dyn Error>> {
    let Some((first, rest)) = pattern.split_first() else {
        return Ok(());
    };
    if *first == "**" {
        collect(dir, rest, files)?;
    }
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if *first == "**" {
            if path.is_dir() && !path.is_symlink() {
                collect(&path, pattern, files)?;
            }
        } else if matches(first, &name) {
            match rest.is_empty() {
                true if path.is_file() => files.push((name, fs::read(&path)?)),
                true => {}
                false => collect(&path, rest, files)?,
            }
        }
    }
    Ok(())
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|left| {
            (0..=left.len()).any(|at| left.is_char_boundary(at) && matches(rest, &left[at..]))
        }),
    }
}

fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let Some(name) = path.file_name() else {
            continue;
        };
        let target = to.join(name);
        if path.is_symlink() || name == "node_modules" || name == ".venv" {
            std::os::unix::fs::symlink(path.canonicalize()?, target)?;
        } else if path.is_dir() {
            copy_tree(&path, &target)?;
        } else {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

/// Keeps a run beside the others; the expected report is kept if there was one.
fn save(
    args: &Args,
    name: &str,
    root: &Path,
    (log, errors): (&[u8], &[u8]),
    files: &[(String, Vec<u8>)],
    exit: Exit,
) -> Result<(), Box<dyn Error>> {
    let case = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures/recordings")
        .join(args.format.as_str())
        .join(name);
    let _ = fs::remove_dir_all(case.join("files"));
    fs::create_dir_all(&case)?;
    let meta = serde_json::json!({
        "format": args.format.as_str(),
        "root": root,
        "exit": exit,
        "log": args.plain,
        "command": args.command,
    });
    fs::write(
        case.join("case.json"),
        format!("{}\n", serde_json::to_string_pretty(&meta)?),
    )?;
    fs::write(case.join("stdout"), neutral(log))?;
    if !args.plain {
        fs::write(case.join("stderr"), neutral(errors))?;
    }
    for (name, bytes) in files {
        let file = case.join("files").join(name);
        fs::create_dir_all(file.parent().unwrap_or(&case))?;
        fs::write(file, neutral(bytes))?;
    }
    Ok(())
}

/// The home directory and this repository's place become words of the same length.
fn neutral(bytes: &[u8]) -> Vec<u8> {
    let home = std::env::var("HOME").unwrap_or_default();
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let top = top
        .canonicalize()
        .unwrap_or(top)
        .to_string_lossy()
        .into_owned();
    let mut bytes = bytes.to_vec();
    for place in [top, home] {
        let length = place.len();
        let mut at = 0;
        while length > 3 && at + length <= bytes.len() {
            if bytes[at..].starts_with(place.as_bytes()) {
                bytes[at + 1..at + length].fill(b'h');
                at += length;
            } else {
                at += 1;
            }
        }
    }
    bytes
}
