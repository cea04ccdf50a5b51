//! What is asked of the daemon. Work that is accepted is on the disk before it is
//! acknowledged; what cannot be written is refused, and nothing of it happens.

use crate::daemon::hub::Effect;
use crate::daemon::hub::Out;
use crate::daemon::hub::State;
use crate::daemon::hub::Token;
use crate::daemon::hub::project::Phase;
use crate::daemon::hub::project::Project;
use crate::daemon::hub::sync::queued;
use crate::model::Asker;
use crate::model::Event;
use crate::model::EventKind;
use crate::model::ProjectId;
use crate::model::RunId;
use crate::model::RunKey;
use crate::model::Timestamp;
use crate::model::Trigger;
use crate::model::status::Fold;
use crate::model::status::Status;
use crate::model::wire::AcceptedRuns;
use crate::model::wire::Health;
use crate::model::wire::Problem;
use crate::model::wire::ProjectInfo;
use crate::run::queue::Cancelled;
use crate::run::queue::Pushed;
use crate::run::queue::Request;
use std::path::PathBuf;

/// What can be asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// Who is there?
    Health,
    /// What is watched?
    List,
    /// How does a project stand?
    Status(ProjectId),
    /// Watch a worktree.
    Add {
        /// Its id.
        project: ProjectId,
        /// Its canonical top directory.
        path: PathBuf,
        /// Only as long as this process lives.
        foreground: bool,
        /// What the journal says of it.
        recovered: Box<Recovered>,
    },
    /// Watch it no longer.
    Remove(ProjectId),
    /// Start no runs.
    Pause(ProjectId),
    /// Start runs again.
    Resume(ProjectId),
    /// Run a project's suites, or one of them, whatever is known already.
    Run {
        /// The project.
        project: ProjectId,
        /// Only this suite.
        suite: Option<String>,
    },
    /// End a run.
    Cancel(RunId),
}

/// What the journal says of a project that is taken in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recovered {
    /// Its fold, if it was known before.
    pub fold: Option<Fold>,
    /// Runs that a dead daemon left open.
    pub lost: Vec<RunId>,
    /// Runs that it had taken over for newer ones anyway.
    pub needless: Vec<RunId>,
    /// Runs that it had accepted: they wait again, under their own ids.
    pub accepted: Vec<Request>,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Done.
    Done,
    /// Who is there.
    Health(Health),
    /// What is watched.
    Projects(Vec<ProjectInfo>),
    /// A project in short.
    Project(ProjectInfo),
    /// How a project stands.
    Status(Box<Status>),
    /// Runs that were accepted.
    Runs(AcceptedRuns),
    /// Why not.
    Refused(Problem),
}

/// Something accepted, and not on the disk yet.
#[derive(Debug)]
pub(super) struct Deferred {
    events: Vec<Event>,
    then: Then,
}

#[derive(Debug)]
enum Then {
    Add {
        project: ProjectId,
        path: PathBuf,
        foreground: bool,
        recovered: Box<Recovered>,
    },
    Remove(ProjectId),
    Show,
    Run {
        requests: Vec<Request>,
        coalesced: Vec<RunId>,
    },
}

impl State {
    pub(super) fn asked(&mut self, out: &mut Out, now: Timestamp, token: Token, ask: Ask) {
        let answer = match ask {
            Ask::Health => Ok(Some(Answer::Health(self.health()))),
            Ask::List => Ok(Some(Answer::Projects(self.list(now)))),
            Ask::Status(id) => self.known(&id).map(|project| {
                let status = project.fold.status(now, Some(&self.me));
                Some(Answer::Status(Box::new(status)))
            }),
            _ if self.stopping => Err(Problem::new(503, "stopping", "the daemon is ending")),
            Ask::Cancel(run) => self.cancel(out, now, &run).map(Some),
            Ask::Add {
                project,
                path,
                foreground,
                recovered,
            } => Ok(self.ask_add(out, now, token, project, path, foreground, recovered)),
            Ask::Remove(id) => self.known(&id).map(|_| ()).map(|()| {
                let kind = EventKind::ProjectRemoved;
                self.defer(out, now, token, &id, vec![kind], Then::Remove(id.clone()));
                None
            }),
            Ask::Pause(id) => self.ask_show(out, now, token, id, EventKind::Paused),
            Ask::Resume(id) => self.ask_show(out, now, token, id, EventKind::Resumed),
            Ask::Run { project, suite } => {
                self.ask_runs(out, now, token, &project, suite.as_deref())
            }
        };
        match answer {
            Ok(None) => {}
            Ok(Some(answer)) => out.effects.push(Effect::Reply { token, answer }),
            Err(problem) => refuse(out, token, problem),
        }
    }

    fn health(&self) -> Health {
        Health {
            pid: self.me.pid,
            version: self.me.version.clone(),
            started: self.me.started,
            projects: self.projects.len(),
            store_trouble: self.store_trouble.clone(),
        }
    }

    fn list(&self, now: Timestamp) -> Vec<ProjectInfo> {
        let of = |(id, project): (&ProjectId, &Project)| self.info(id, project, now);
        self.projects.iter().map(of).collect()
    }

    fn info(&self, id: &ProjectId, project: &Project, now: Timestamp) -> ProjectInfo {
        let status = project.fold.status(now, Some(&self.me));
        ProjectInfo {
            id: id.clone(),
            path: project.path.clone(),
            foreground: project.foreground,
            paused: project.fold.paused(),
            verdict: status.verdict,
            activity: status.activity,
            stale: status.stale,
        }
    }

    fn known(&self, id: &ProjectId) -> Result<&Project, Problem> {
        self.projects
            .get(id)
            .filter(|project| project.phase != Phase::Closing)
            .ok_or_else(|| {
                Problem::new(
                    404,
                    "no_such_project",
                    format!("project `{id}` is not watched"),
                )
                .remedy("`regreen add PATH` has it watched")
            })
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one question, taken apart"
    )]
    fn ask_add(
        &mut self,
        out: &mut Out,
        now: Timestamp,
        token: Token,
        project: ProjectId,
        path: PathBuf,
        foreground: bool,
        recovered: Box<Recovered>,
    ) -> Option<Answer> {
        if let Some(known) = self.projects.get(&project) {
            if known.phase == Phase::Closing {
                let text = format!("`{}` is just being given up", path.display());
                let problem = Problem::new(409, "closing", text).remedy("try again in a moment");
                refuse(out, token, problem);
                return None;
            }
            // Watched already; a lasting wish makes a passing one last.
            if foreground || !known.foreground {
                return Some(Answer::Project(self.info(&project, known, now)));
            }
        }
        let added = EventKind::ProjectAdded {
            path: path.display().to_string(),
            foreground,
            trigger: Trigger::default(),
        };
        let then = Then::Add {
            project: project.clone(),
            path,
            foreground,
            recovered,
        };
        // A pause that was asked for before it was removed is over.
        let kinds = vec![added, EventKind::Resumed];
        self.defer(out, now, token, &project, kinds, then);
        None
    }

    fn ask_show(
        &mut self,
        out: &mut Out,
        now: Timestamp,
        token: Token,
        id: ProjectId,
        kind: EventKind,
    ) -> Result<Option<Answer>, Problem> {
        let paused = self.known(&id)?.fold.paused();
        if paused == matches!(kind, EventKind::Paused) {
            return Ok(Some(Answer::Done));
        }
        self.defer(out, now, token, &id, vec![kind], Then::Show);
        Ok(None)
    }

    fn ask_runs(
        &mut self,
        out: &mut Out,
        now: Timestamp,
        token: Token,
        id: &ProjectId,
        suite: Option<&str>,
    ) -> Result<Option<Answer>, Problem> {
        let project = self.known(id)?;
        let Some(snapshot) = project.synced.clone() else {
            let text = "the project's state is not known yet";
            return Err(Problem::new(409, "not_synced", text).remedy("try again in a moment"));
        };
        let wanted: Vec<RunKey> = project
            .suites
            .iter()
            .filter(|known| suite.is_none_or(|name| known.name == name))
            .map(|known| RunKey {
                snapshot: snapshot.clone(),
                suite: known.name.clone(),
                environment: known.environment.clone(),
            })
            .collect();
        if wanted.is_empty() {
            let known: Vec<&str> = project.suites.iter().map(|s| s.name.as_str()).collect();
            let text = match suite {
                Some(name) => format!("there is no suite `{name}`"),
                None => "no test suite was found in this project".to_owned(),
            };
            let remedy = match known.is_empty() {
                true => "see `regreen config suites`".to_owned(),
                false => format!("there is: {}", known.join(", ")),
            };
            return Err(Problem::new(404, "no_such_suite", text).remedy(remedy));
        }
        let waits = |key: &RunKey| {
            self.queue
                .waiting()
                .find(|known| {
                    known.project == *id && known.key == *key && known.asker == Asker::Explicit
                })
                .map(|known| known.run.clone())
        };
        let (mut coalesced, mut missing) = (Vec::new(), Vec::new());
        for key in wanted {
            match waits(&key) {
                Some(run) => coalesced.push(run),
                None => missing.push(key),
            }
        }
        if missing.is_empty() {
            return Ok(Some(Answer::Runs(AcceptedRuns { runs: coalesced })));
        }
        let requests: Vec<Request> = missing
            .into_iter()
            .map(|key| Request {
                run: self.new_run(now),
                project: id.clone(),
                key,
                asker: Asker::Explicit,
            })
            .collect();
        let kinds = requests.iter().map(queued).collect();
        let then = Then::Run {
            requests,
            coalesced,
        };
        self.defer(out, now, token, id, kinds, then);
        Ok(None)
    }

    fn cancel(&mut self, out: &mut Out, now: Timestamp, run: &RunId) -> Result<Answer, Problem> {
        let waiting = self
            .queue
            .waiting()
            .find(|known| known.run == *run)
            .cloned();
        match self.queue.cancel(run) {
            Cancelled::Running => {
                self.cancelled.insert(run.clone());
                let run = run.clone();
                out.effects.push(Effect::Cancel { run });
            }
            Cancelled::Waiting => {
                if let Some(request) = waiting {
                    let run = run.clone();
                    let kind = EventKind::RunCancelled { run };
                    self.emit(out, now, &request.project, kind);
                    // It may have stood for what a change asked for, too.
                    self.want_current(out, now, &request);
                }
            }
            Cancelled::Unknown => {
                let text = format!("run `{run}` neither waits nor goes on");
                return Err(Problem::new(404, "no_such_run", text));
            }
        }
        Ok(Answer::Done)
    }

    fn want_current(&mut self, out: &mut Out, now: Timestamp, request: &Request) {
        let id = &request.project;
        let Some(project) = self.projects.get(id) else {
            return;
        };
        let same = project.synced.as_ref() == Some(&request.key.snapshot);
        if same && request.asker != Asker::Watch && !project.has_changes() {
            let snapshot = request.key.snapshot.clone();
            self.want_runs(out, now, id, &snapshot);
        }
    }

    fn defer(
        &mut self,
        out: &mut Out,
        now: Timestamp,
        token: Token,
        project: &ProjectId,
        kinds: Vec<EventKind>,
        then: Then,
    ) {
        let events: Vec<Event> = kinds
            .into_iter()
            .map(|kind| Event {
                at: now,
                project: Some(project.clone()),
                kind,
            })
            .collect();
        out.effects.push(Effect::Commit {
            token,
            events: events.clone(),
        });
        self.deferred.insert(token, Deferred { events, then });
    }

    /// The disk has it, or does not: only now it happens.
    pub(super) fn committed(
        &mut self,
        out: &mut Out,
        now: Timestamp,
        token: Token,
        result: Result<(), String>,
    ) {
        let Some(Deferred { events, then }) = self.deferred.remove(&token) else {
            return;
        };
        if let Err(reason) = result {
            let text = format!("not accepted: {reason}");
            refuse(out, token, Problem::new(507, "store", text));
            return;
        }
        match then {
            Then::Add { .. } if self.stopping => {
                let text = "the daemon is ending; the project is watched from its next start";
                refuse(out, token, Problem::new(503, "stopping", text));
            }
            Then::Add {
                project,
                path,
                foreground,
                recovered,
            } => self.add(
                out, now, token, &project, path, foreground, *recovered, &events,
            ),
            Then::Remove(project) => {
                events.iter().for_each(|event| self.show(event));
                for run in self.queue.forget(&project) {
                    self.emit(out, now, &project, EventKind::RunCancelled { run });
                }
                // Somebody may have been quicker.
                if !self.projects.contains_key(&project) {
                    return reply(out, token, Answer::Done);
                }
                self.closing.entry(project.clone()).or_default().push(token);
                self.close(out, &project);
            }
            Then::Show => {
                events.iter().for_each(|event| self.show(event));
                reply(out, token, Answer::Done);
            }
            Then::Run {
                requests,
                coalesced,
            } => self.accept_runs(out, now, token, requests, coalesced, &events),
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one question, taken apart"
    )]
    fn add(
        &mut self,
        out: &mut Out,
        now: Timestamp,
        token: Token,
        id: &ProjectId,
        path: PathBuf,
        foreground: bool,
        recovered: Recovered,
        events: &[Event],
    ) {
        match self.projects.get_mut(id) {
            // Somebody was quicker.
            Some(known) => known.foreground &= foreground,
            None => {
                // All that it had was ended when it was closed: only what it showed counts.
                let recovered = match self.given_up.remove(id) {
                    Some(fold) => Recovered {
                        fold: Some(fold),
                        ..Recovered::default()
                    },
                    None => recovered,
                };
                self.adopt(out, now, id, path, foreground, recovered);
            }
        }
        events.iter().for_each(|event| self.show(event));
        if let Some(project) = self.projects.get(id) {
            let info = self.info(id, project, now);
            reply(out, token, Answer::Project(info));
        }
    }

    fn accept_runs(
        &mut self,
        out: &mut Out,
        now: Timestamp,
        token: Token,
        requests: Vec<Request>,
        mut runs: Vec<RunId>,
        events: &[Event],
    ) {
        events.iter().for_each(|event| self.show(event));
        let mut refused = false;
        for mut request in requests {
            // The worktree may have moved on while the disk was busy.
            let mut moved = false;
            if let Some(project) = self.projects.get(&request.project)
                && let Some(snapshot) = &project.synced
                && *snapshot != request.key.snapshot
            {
                request.key.snapshot = snapshot.clone();
                request.key.environment = project.environment(&request.key.suite);
                moved = true;
            }
            match self.push_accepted(out, now, request, moved) {
                Some(run) => runs.push(run),
                None => refused = true,
            }
        }
        if refused {
            let text = "the project was just given up";
            return refuse(out, token, Problem::new(409, "closing", text));
        }
        reply(out, token, Answer::Runs(AcceptedRuns { runs }));
    }

    /// Like `push` for what is in the journal already; answers the id under which it runs.
    fn push_accepted(
        &mut self,
        out: &mut Out,
        now: Timestamp,
        request: Request,
        moved: bool,
    ) -> Option<RunId> {
        let id = request.project.clone();
        match self.queue.push(request.clone()) {
            Pushed::Refused => {
                // Given up meanwhile. What waits for the daemon's next start stays in the
                // journal.
                if !self.stopping {
                    let run = request.run;
                    self.emit(out, now, &id, EventKind::RunCancelled { run });
                }
                None
            }
            Pushed::Coalesced(with) => {
                let run = request.run;
                self.emit(out, now, &id, EventKind::RunSuperseded { run });
                Some(with)
            }
            Pushed::Accepted { displaced } => {
                for run in displaced {
                    self.emit(out, now, &id, EventKind::RunSuperseded { run });
                }
                if moved {
                    self.emit(out, now, &id, queued(&request));
                }
                Some(request.run)
            }
        }
    }

    pub(super) fn answer_closed(&mut self, out: &mut Out, project: &ProjectId) {
        for token in self.closing.remove(project).unwrap_or_default() {
            reply(out, token, Answer::Done);
        }
    }
}

fn reply(out: &mut Out, token: Token, answer: Answer) {
    out.effects.push(Effect::Reply { token, answer });
}

fn refuse(out: &mut Out, token: Token, problem: Problem) {
    reply(out, token, Answer::Refused(problem));
}
