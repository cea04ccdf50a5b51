//! `regreen trust`: trusts a project's regreen.toml as it is now.

use crate::cli::config::wrong;
use crate::cli::out;
use crate::cli::out::Paint;
use crate::cli::out::Style;
use crate::config::ConfigError;
use crate::config::Trust;
use crate::daemon::Handle;
use crate::daemon::TrustView;
use crate::model::EXIT_OK;
use crate::model::EXIT_USAGE;
use crate::model::HostEnv;
use std::path::Path;
use std::path::PathBuf;

/// Trusts a project's regreen.toml as it is now.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Shows what the file asks for, and whether it is trusted
    #[arg(long, conflicts_with = "revoke")]
    show: bool,
    /// Takes trust back
    #[arg(long)]
    revoke: bool,
    /// The worktree, or a directory in it
    #[arg(short = 'C', long = "dir", value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

/// Runs the command and answers its exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let handle = Handle::local(HostEnv::capture());
    let Some(root) = handle.worktree(&args.dir) else {
        out::tell(format!(
            "regreen: `{}` is not in a git worktree: go into one, or name it with `-C`",
            args.dir.display()
        ));
        return Ok(EXIT_USAGE);
    };
    let done = match args.revoke {
        true => revoke(&handle, &root),
        false => trust(&handle, &root, args.show),
    };
    match done {
        Ok(code) => Ok(code),
        Err(error) => Ok(wrong(&error.downcast::<ConfigError>()?)),
    }
}

fn revoke(handle: &Handle, root: &Path) -> anyhow::Result<u8> {
    let told = match handle.revoke(root)? {
        true => "regreen.toml is no longer trusted",
        false => "regreen.toml was not trusted",
    };
    out::tell(told);
    Ok(EXIT_OK)
}

fn trust(handle: &Handle, root: &Path, only_show: bool) -> anyhow::Result<u8> {
    let Some(view) = handle.trust_view(root)? else {
        out::tell(format!(
            "regreen: there is no regreen.toml in `{}`, so there is nothing to trust",
            root.display()
        ));
        return Ok(if only_show { EXIT_OK } else { EXIT_USAGE });
    };
    let paint = Paint::stdout();
    let mut text = format!(
        "{}: {}\n",
        view.file.display(),
        paint.style(Style::Strong, view.trust.as_str())
    );
    text.push_str(&opened(&view, paint));
    // What could not be shown is not trusted.
    out::print(text)?;
    if !only_show && view.trust != Trust::Trusted {
        handle.trust(&view)?;
        out::line("trusted as it is now; any change of it ends that")?;
    }
    Ok(EXIT_OK)
}

fn opened(view: &TrustView, paint: Paint) -> String {
    let lines = view.left_out.iter().map(|setting| {
        let line = setting
            .line
            .map_or(String::new(), |line| format!("line {line}: "));
        let text = line.is_empty().then(String::new).or_else(|| {
            view.text
                .lines()
                .nth(setting.line? as usize - 1)
                .map(str::to_owned)
        });
        let text = text.unwrap_or_default();
        format!(
            "  {line}{}  {}\n",
            paint.style(Style::Warn, &setting.key),
            paint.style(Style::Dim, text.trim())
        )
    });
    let lines: String = lines.collect();
    match lines.is_empty() {
        true => "  it asks for nothing that needs trust\n".to_owned(),
        false => format!("it asks for:\n{lines}"),
    }
}
