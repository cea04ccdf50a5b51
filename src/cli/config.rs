//! `regreen config`: shows and checks the configuration.

use crate::cli::out;
use crate::cli::out::Paint;
use crate::cli::out::Style;
use crate::cli::render;
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::Trust;
use crate::daemon::Handle;
use crate::daemon::OnceError;
use crate::model::EXIT_NOTHING_RAN;
use crate::model::EXIT_OK;
use crate::model::EXIT_USAGE;
use crate::model::HostEnv;
use crate::model::Suite;
use std::path::PathBuf;

/// Shows and checks the configuration.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
    /// The worktree, or a directory in it
    #[arg(
        short = 'C',
        long = "dir",
        value_name = "DIR",
        default_value = ".",
        global = true
    )]
    dir: PathBuf,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Shows every value and where it came from
    Show {
        /// Prints a JSON document
        #[arg(long)]
        json: bool,
    },
    /// Checks the user's and the project's file
    Check,
    /// Prints the JSON Schema of both files
    Schema,
    /// Shows the suites of the project, why each is one, and how to change it
    Suites {
        /// Prints a JSON document
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command and answers its exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let handle = Handle::local(HostEnv::capture());
    match args.what {
        What::Schema => {
            out::json(&Config::schema())?;
            Ok(EXIT_OK)
        }
        What::Show { json } => match handle.config(&args.dir, &[]) {
            Ok(config) => show(&config, json),
            Err(error) => Ok(wrong(&error)),
        },
        What::Check => match handle.config(&args.dir, &[]) {
            Ok(config) => check(&handle, &args, &config),
            Err(error) => Ok(wrong(&error)),
        },
        What::Suites { json } => match handle.suites(&args.dir) {
            Ok(suites) => show_suites(&suites, json, handle.why_no_suite(&args.dir)),
            Err(error) => Ok(refused(&error)),
        },
    }
}

/// A wrong configuration, said with its causes.
pub fn wrong(error: &ConfigError) -> u8 {
    complain(error);
    EXIT_USAGE
}

fn refused(error: &OnceError) -> u8 {
    complain(error);
    error.exit_code()
}

fn complain(error: &dyn std::error::Error) {
    let mut text = format!("regreen: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    out::tell(text);
}

fn show(config: &Config, json: bool) -> anyhow::Result<u8> {
    let rows = config.rows();
    if json {
        out::json(&serde_json::json!({
            "schema": 1,
            "trust": config.trust,
            "values": rows,
            "left_out": config.left_out,
            "notes": config.notes,
        }))?;
        return Ok(EXIT_OK);
    }
    let paint = Paint::stdout();
    let width = |of: fn(&crate::config::Row) -> &str| {
        rows.iter()
            .map(|row| of(row).chars().count())
            .max()
            .unwrap_or(0)
            .min(44)
    };
    let (keys, values) = (width(|row| &row.key), width(|row| &row.value));
    let mut text = String::new();
    for row in &rows {
        let origin = paint.style(Style::Dim, &row.origin);
        text.push_str(&format!(
            "{:keys$}  {:values$}  {origin}\n",
            row.key, row.value
        ));
    }
    text.push_str(&left_out(config, paint));
    out::print(text)?;
    Ok(EXIT_OK)
}

fn left_out(config: &Config, paint: Paint) -> String {
    let mut text = String::new();
    for note in &config.notes {
        let remedy = note.remedy.as_deref().unwrap_or_default();
        let mark = paint.style(Style::Warn, "note");
        text.push_str(&format!("{mark}  {}; {remedy}\n", note.message));
    }
    for setting in &config.left_out {
        let line = setting
            .line
            .map_or(String::new(), |line| format!(" (line {line})"));
        let note = paint.style(Style::Warn, "left out");
        text.push_str(&format!(
            "{note}  {}{line}: {}\n",
            setting.key, setting.reason
        ));
    }
    text
}

fn check(handle: &Handle, args: &Args, config: &Config) -> anyhow::Result<u8> {
    let paint = Paint::stdout();
    out::print(left_out(config, paint))?;
    if matches!(config.trust, Trust::Untrusted | Trust::Changed) && !config.left_out.is_empty() {
        out::line("to let it count: read regreen.toml, then run `regreen trust`")?;
    }
    // Suites are part of what can be wrong.
    if handle.worktree(&args.dir).is_some()
        && let Err(error) = handle.suites(&args.dir)
    {
        return Ok(refused(&error));
    }
    let text = match handle.worktree(&args.dir) {
        Some(_) => format!(
            "the configuration is well-formed; regreen.toml: {}",
            config.trust.as_str()
        ),
        None => format!(
            "your own configuration is well-formed; `{}` is not in a git worktree, so no \
             regreen.toml was looked at",
            args.dir.display()
        ),
    };
    out::line(paint.style(Style::Good, text))?;
    Ok(EXIT_OK)
}

fn show_suites(suites: &[Suite], json: bool, why_none: &str) -> anyhow::Result<u8> {
    if json {
        out::json(&suites)?;
        return Ok(EXIT_OK);
    }
    let paint = Paint::stdout();
    if suites.is_empty() {
        out::line(format!("no suite: {why_none}"))?;
        out::line(
            "\nas in:\n\n    [[suite]]\n    name = \"tests\"\n    command = [\"make\", \"check\"]",
        )?;
        return Ok(EXIT_NOTHING_RAN);
    }
    let mut text = String::new();
    for suite in suites {
        text.push_str(&format!("{}\n", paint.style(Style::Strong, &suite.name)));
        text.push_str(&format!("  runs  {}\n", render::shell(&suite.command)));
        let dir = suite.dir.display().to_string();
        text.push_str(&format!(
            "  in    {}\n",
            if dir.is_empty() { "." } else { &dir }
        ));
        text.push_str(&format!("  why   {}\n", suite.why));
        for path in &suite.carry {
            text.push_str(&format!("  with  {} (carried in)\n", path.display()));
        }
        if let Some(setup) = &suite.setup {
            let off = if setup.allowed { "" } else { " (off)" };
            let command = render::shell(&setup.command);
            text.push_str(&format!("  first {command}{off}: {}\n", setup.why));
        }
        for pattern in &suite.artifacts {
            text.push_str(&format!("  keeps {pattern}\n"));
        }
    }
    text.push_str(&paint.style(
        Style::Dim,
        "to change one, name it in regreen.toml: `[[suite]]` with the same `name` and a `command`, `dir`,\n\
         `env`, `timeout`, or `enabled = false`; see docs/configuration.md\n",
    ));
    out::print(text)?;
    Ok(EXIT_OK)
}
