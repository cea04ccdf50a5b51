//! Carries out what the hub decides, and brings back what comes of it.

use crate::daemon::actor::Actor;
use crate::daemon::actor::Shared;
use crate::daemon::actor::Wish;
use crate::daemon::hub;
use crate::daemon::hub::Answer;
use crate::daemon::hub::Ask;
use crate::daemon::hub::Effect;
use crate::daemon::hub::Input;
use crate::daemon::hub::State;
use crate::daemon::hub::Token;
use crate::daemon::statuses::Statuses;
use crate::daemon::systemd::Systemd;
use crate::model::ProjectId;
use crate::model::RunId;
use crate::model::wire::Problem;
use crate::telemetry;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// A question, and where the answer goes.
pub(super) type Question = (Ask, oneshot::Sender<Answer>);

/// The hub's loop and everything that it needs to act.
pub(super) struct Executor {
    pub shared: Arc<Shared>,
    pub statuses: Statuses,
    pub systemd: Systemd,
    /// What each open project's actor is told.
    pub actors: HashMap<ProjectId, mpsc::UnboundedSender<Wish>>,
    pub runs: HashMap<RunId, CancellationToken>,
    pub waiting: HashMap<Token, oneshot::Sender<Answer>>,
    pub asked: u64,
}

impl Executor {
    pub fn new(shared: Arc<Shared>, statuses: Statuses, systemd: Systemd) -> Self {
        Executor {
            shared,
            statuses,
            systemd,
            actors: HashMap::new(),
            runs: HashMap::new(),
            waiting: HashMap::new(),
            asked: 0,
        }
    }

    /// The hub's loop: one input after the other, and time. Ends with [`Effect::Exit`].
    pub async fn work(
        mut self,
        mut state: State,
        mut inbox: mpsc::UnboundedReceiver<Input>,
        mut questions: mpsc::Receiver<Question>,
    ) {
        let mut ticks = tokio::time::interval(hub::TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let input = tokio::select! {
                biased;
                _ = ticks.tick() => Input::Tick,
                Some((ask, reply)) = questions.recv() => self.asked(ask, reply),
                Some(input) = inbox.recv() => input,
                else => Input::Stop,
            };
            if let Input::RunEnded { run, .. } = &input {
                self.runs.remove(run);
            }
            let effects = self.step(&mut state, input);
            for effect in effects {
                if effect == Effect::Exit {
                    self.statuses.finish();
                    return;
                }
                self.carry_out(effect);
            }
        }
    }

    /// A step that panics has done nothing that was journalled; the hub goes on with the state
    /// as it is, says so, and takes in that what it was about has failed: whatever was begun
    /// comes to an end that is known.
    fn step(&self, state: &mut State, input: Input) -> Vec<Effect> {
        let asked = match &input {
            Input::Ask { token, .. } => Some(*token),
            _ => None,
        };
        let instead = input.instead();
        if let Some(effects) = self.try_step(state, input) {
            return effects;
        }
        if let Some(token) = asked {
            let problem = Problem::new(500, "internal", "regreen itself panicked over this");
            let answer = Answer::Refused(problem.remedy("see `regreen logs`; please report it"));
            return vec![Effect::Reply { token, answer }];
        }
        instead
            .and_then(|input| self.try_step(state, input))
            .unwrap_or_default()
    }

    fn try_step(&self, state: &mut State, input: Input) -> Option<Vec<Effect>> {
        let now = crate::run::now();
        let step = AssertUnwindSafe(|| {
            telemetry::provoke("hub");
            telemetry::provoke(input.place());
            hub::step(state, input, now)
        });
        let done = std::panic::catch_unwind(step).ok();
        if done.is_none() {
            let message = telemetry::last_panic().unwrap_or_else(|| "in the hub".to_owned());
            self.shared.tell(Input::Panicked {
                project: None,
                message,
            });
        }
        done
    }

    fn asked(&mut self, ask: Ask, reply: oneshot::Sender<Answer>) -> Input {
        self.asked += 1;
        let token = Token(self.asked);
        self.waiting.insert(token, reply);
        Input::Ask { token, ask }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Journal(events) => self.shared.store.append(events),
            Effect::Commit { token, events } => {
                let shared = Arc::clone(&self.shared);
                tokio::spawn(async move {
                    let result = shared.store.commit(events).await;
                    let result = result.map_err(|error| chain(&error));
                    shared.tell(Input::Committed { token, result });
                });
            }
            // One that could not open it is there still, and would say it is closed if it were
            // put aside for another.
            Effect::Open { project, .. } if self.has_actor(&project) => {
                self.wish(&project, Wish::Open);
            }
            Effect::Open { project, path } => {
                let actor = Actor::start(Arc::clone(&self.shared), project.clone(), path);
                self.actors.insert(project, actor);
            }
            Effect::Close { project } => match self.actors.remove(&project) {
                // Its actor ends when its wishes end, and says so.
                Some(actor) => drop(actor),
                None => self.shared.tell(Input::Closed { project }),
            },
            Effect::Sync {
                project,
                paths,
                rescan,
            } => self.wish(&project, Wish::Sync { paths, rescan }),
            Effect::Run {
                project,
                run,
                suite,
                snapshot,
            } => {
                let stop = CancellationToken::new();
                self.runs.insert(run.clone(), stop.clone());
                let wish = Wish::Run {
                    run,
                    suite,
                    snapshot,
                    stop,
                };
                self.wish(&project, wish);
            }
            Effect::Cancel { run } => {
                if let Some(stop) = self.runs.remove(&run) {
                    stop.cancel();
                }
            }
            Effect::Status { status, .. } => self.statuses.write(status),
            Effect::Checkpoint { project, body } => self.shared.store.checkpoint(&project, body),
            Effect::Reply { token, answer } => {
                if let Some(reply) = self.waiting.remove(&token) {
                    // Whoever asked may have given up waiting.
                    let _ = reply.send(answer);
                }
            }
            Effect::Ready => self.systemd.ready(),
            Effect::Alive { summary } => self.systemd.alive(&summary),
            Effect::Exit => {}
        }
    }

    /// Whether somebody is there for a project; not one that panicked.
    fn has_actor(&self, project: &ProjectId) -> bool {
        let actor = self.actors.get(project);
        actor.is_some_and(|actor| !actor.is_closed())
    }

    fn wish(&self, project: &ProjectId, wish: Wish) {
        if let Some(actor) = self.actors.get(project) {
            // An actor lives as long as its end of the channel is here.
            let _ = actor.send(wish);
        }
    }
}

/// An error and its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
