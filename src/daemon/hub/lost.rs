//! What is said in the place of an input that a panic of the hub swallowed, so that nobody waits
//! for ever for what does not come a second time.

use crate::daemon::hub::Input;
use crate::model::Note;
use crate::model::Outcome;
use crate::model::Report;
use crate::model::Source;

const PANICKED: &str = "regreen itself panicked over what came of this";

impl Input {
    /// The least that can be said instead: that it failed, or that all has to be looked at
    /// anew. `None` where the next one of its kind will do, or whoever asked can ask again.
    pub fn instead(&self) -> Option<Input> {
        let note = || Note::new("infra_error", PANICKED);
        let instead = match self {
            Input::Started(projects) => Input::Started(projects.clone()),
            Input::Committed { token, .. } => Input::Committed {
                token: *token,
                result: Err(format!("{PANICKED}; look whether it is done")),
            },
            Input::StoreTrouble(trouble) => Input::StoreTrouble(trouble.clone()),
            Input::Opened { project, .. } => Input::Opened {
                project: project.clone(),
                result: Err(note()),
            },
            Input::Changed {
                project, origin, ..
            } => Input::Changed {
                project: project.clone(),
                origin: *origin,
                paths: Vec::new(),
                rescan: true,
            },
            Input::EnvironmentChanged { project } => Input::EnvironmentChanged {
                project: project.clone(),
            },
            Input::WatchMode { project, degraded } => Input::WatchMode {
                project: project.clone(),
                degraded: degraded.clone(),
            },
            Input::Synced { project, .. } => Input::Synced {
                project: project.clone(),
                result: Err(note()),
            },
            Input::RunEnded { run, report } => {
                let suite = report.run.suite.clone().unwrap_or_default();
                let mut failed = Report::new(&suite, Source::Text, Outcome::InfraError);
                failed.run.id = Some(run.to_string());
                failed.run.suite = Some(suite);
                failed.notes.push(note());
                Input::RunEnded {
                    run: run.clone(),
                    report: Box::new(failed),
                }
            }
            Input::Loop { project, status } => Input::Loop {
                project: project.clone(),
                status: status.clone(),
            },
            Input::Uprooted { project } => Input::Uprooted {
                project: project.clone(),
            },
            Input::Closed { project } => Input::Closed {
                project: project.clone(),
            },
            Input::Died { project } => Input::Died {
                project: project.clone(),
            },
            Input::Stop => Input::Stop,
            Input::Tick
            | Input::Ask { .. }
            | Input::RunProgress { .. }
            | Input::TestFailed { .. }
            | Input::Digested { .. }
            | Input::SlotSize { .. }
            | Input::Noted { .. }
            | Input::Panicked { .. } => return None,
        };
        Some(instead)
    }

    /// Where a test has the hub panic over it.
    pub fn place(&self) -> &'static str {
        match self {
            Input::Started(_) => "hub at the start",
            Input::Committed { .. } => "hub over a commit",
            Input::Opened { .. } => "hub over an opened project",
            Input::Changed { .. } => "hub over a change",
            Input::Synced { .. } => "hub over a synchronisation",
            Input::RunEnded { .. } => "hub over a run's end",
            Input::Closed { .. } => "hub over a closed project",
            Input::Stop => "hub at the end",
            Input::Ask { .. } => "hub over a question",
            _ => "hub over something else",
        }
    }
}
