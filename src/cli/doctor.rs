//! `regreen doctor`: checks this machine and says how to fix what fails.

use crate::cli::out;
use crate::cli::out::Paint;
use crate::cli::out::Style;
use crate::daemon::Handle;
use crate::model::AttackLine;
use crate::model::Check;
use crate::model::DoctorReport;
use crate::model::EXIT_ERROR;
use crate::model::EXIT_OK;
use crate::model::Health;
use crate::model::HostEnv;
use std::path::PathBuf;

/// Checks this machine and says how to fix what fails.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Writes JSON
    #[arg(long)]
    json: bool,
    /// Really tries to get out of a sandbox, and shows what held
    #[arg(long)]
    attack: bool,
    /// Lists what a sandbox sees of this machine
    #[arg(long)]
    mounts: bool,
    /// The project to check the toolchains for, or a directory in it
    #[arg(short = 'C', long = "dir", value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

/// Runs the command and answers its exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let dir = args.dir.canonicalize().unwrap_or_else(|_| args.dir.clone());
    let handle = Handle::local(HostEnv::capture());
    let report = runtime.block_on(handle.doctor(&dir, args.attack))?;
    if args.json {
        out::json(&report)?;
    } else {
        out::print(render(&report, &args, Paint::stdout()))?;
    }
    Ok(match report.healthy() {
        true => EXIT_OK,
        false => EXIT_ERROR,
    })
}

fn render(report: &DoctorReport, args: &Args, paint: Paint) -> String {
    let mut text = String::new();
    for check in &report.checks {
        text.push_str(&check_line(check, paint));
    }
    if args.mounts {
        text.push_str("\nwhat a sandbox sees besides the base system:\n");
        for line in &report.mounts {
            text.push_str(&format!("  {line}\n"));
        }
    }
    if args.attack {
        text.push_str("\nattempts to get out of a sandbox:\n");
        for line in &report.attack {
            text.push_str(&attack_line(line, paint));
        }
        if report.attack.is_empty() {
            text.push_str("  none: no sandbox could be made\n");
        }
    }
    text
}

fn check_line(check: &Check, paint: Paint) -> String {
    let word = match check.state {
        Health::Ok => paint.style(Style::Good, "ok  "),
        Health::Warn => paint.style(Style::Warn, "warn"),
        Health::Fail => paint.style(Style::Bad, "FAIL"),
    };
    let mut text = format!("{word} {:16} {}\n", check.name, check.message);
    if let Some(remedy) = check.remedy.as_deref().filter(|remedy| !remedy.is_empty()) {
        text.push_str(&format!("                      {remedy}\n"));
    }
    text
}

fn attack_line(line: &AttackLine, paint: Paint) -> String {
    let word = match line.held {
        true => paint.style(Style::Good, "held"),
        false => paint.style(Style::Bad, "BROKEN"),
    };
    let mut text = format!("  {word} {:20} {}\n", line.property, line.detail);
    if let Some(remedy) = &line.remedy {
        text.push_str(&format!("       {remedy}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_shown_with_its_remedy() {
        let report = DoctorReport {
            schema: 1,
            checks: vec![
                Check::ok("cargo", "/usr/bin/cargo (1.95)"),
                Check::fail(
                    "bubblewrap",
                    "not installed",
                    "run `sudo apt install bubblewrap`",
                ),
            ],
            mounts: vec![],
            attack: vec![AttackLine {
                property: "tcp".into(),
                held: false,
                detail: "it was possible".into(),
                remedy: Some("report this".into()),
            }],
        };
        assert!(!report.healthy());
        let args = Args {
            json: false,
            attack: true,
            mounts: false,
            dir: ".".into(),
        };
        insta::assert_snapshot!(render(&report, &args, Paint::plain()), @r"
        ok   cargo            /usr/bin/cargo (1.95)
        FAIL bubblewrap       not installed
                              run `sudo apt install bubblewrap`

        attempts to get out of a sandbox:
          BROKEN tcp                  it was possible
               report this
        ");
    }
}
