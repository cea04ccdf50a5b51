//! The step: one input in, the effects that follow out.

use crate::iteration::machine::CommitPlan;
use crate::iteration::machine::Current;
use crate::iteration::machine::LoopEffect;
use crate::iteration::machine::LoopInput;
use crate::iteration::machine::LoopState;
use crate::iteration::machine::Mark;
use crate::iteration::machine::Phase;
use crate::iteration::machine::Tested;
use crate::iteration::machine::Told;
use crate::iteration::machine::TurnEnd;
use crate::iteration::machine::TurnHow;
use crate::iteration::machine::TurnPlan;
use crate::iteration::machine::ladder;
use crate::iteration::progress::Compared;
use crate::iteration::progress::compare;
use crate::model::Budget;
use crate::model::Gate;
use crate::model::GateAnswer;
use crate::model::GateVerdict;
use crate::model::Outcome;
use crate::model::SnapshotId;
use crate::model::StopReason;
use crate::model::Timestamp;
use crate::model::TurnClass;

/// A turn shorter than this is not worth its price, in milliseconds.
const SHORTEST_TURN_MS: u64 = 500;

/// Takes one input and answers the effects that follow; they are also kept in
/// [`LoopState::pending`]. An input that does not belong to the phase changes nothing.
pub fn step(state: &mut LoopState, input: LoopInput, now: Timestamp) -> Vec<LoopEffect> {
    if input == LoopInput::Resumed {
        state.heard = now;
        return state.pending.clone();
    }
    if state.phase == Phase::Stopped {
        let LoopInput::Extended(budget) = input else {
            return Vec::new();
        };
        state.heard = now;
        return keep(state, |state| extend(state, budget));
    }
    if !belongs(state.phase, &input) {
        return Vec::new();
    }
    let passed = now.since(state.heard).as_millis() as u64;
    state.spend.wall_ms = state.spend.wall_ms.saturating_add(passed);
    state.heard = now;
    keep(state, |state| take(state, input))
}

fn keep(
    state: &mut LoopState,
    decide: impl FnOnce(&mut LoopState) -> Vec<LoopEffect>,
) -> Vec<LoopEffect> {
    let effects = decide(state);
    state.pending.clone_from(&effects);
    effects
}

fn belongs(phase: Phase, input: &LoopInput) -> bool {
    match input {
        LoopInput::Begin => phase == Phase::Queued,
        LoopInput::Prepared { .. } => phase == Phase::Preparing,
        LoopInput::Baselined(_) => phase == Phase::Baseline,
        LoopInput::TurnEnded(_) => phase == Phase::Turn,
        LoopInput::Tested(_) | LoopInput::Committed { .. } => phase == Phase::Testing,
        LoopInput::Gated { .. } => phase == Phase::Gating,
        LoopInput::Trouble(_) | LoopInput::Cancel | LoopInput::Resumed => true,
        LoopInput::Extended(_) => false,
    }
}

fn take(state: &mut LoopState, input: LoopInput) -> Vec<LoopEffect> {
    match input {
        LoopInput::Begin => {
            state.phase = Phase::Preparing;
            vec![LoopEffect::Prepare]
        }
        LoopInput::Prepared { commit, tree } => prepared(state, commit, tree),
        LoopInput::Baselined(tested) => baselined(state, tested),
        LoopInput::TurnEnded(end) => turn_ended(state, end),
        LoopInput::Tested(tested) => tested_now(state, tested),
        LoopInput::Committed { commit } => committed(state, commit),
        LoopInput::Gated {
            commit,
            answers,
            cut,
        } => gated(state, commit, answers, cut),
        LoopInput::Trouble(why) => stop(state, StopReason::InfraError, why),
        LoopInput::Cancel => stop(state, StopReason::Cancelled, "stopped on request".into()),
        LoopInput::Resumed | LoopInput::Extended(_) => Vec::new(),
    }
}

fn prepared(state: &mut LoopState, commit: String, tree: SnapshotId) -> Vec<LoopEffect> {
    state.phase = Phase::Baseline;
    state.tip = Some(Mark {
        commit,
        tree,
        standing: ladder::nothing_known(),
    });
    vec![LoopEffect::Baseline {
        limit_ms: state.wall_left_ms(),
    }]
}

fn baselined(state: &mut LoopState, tested: Tested) -> Vec<LoopEffect> {
    if tested.cut {
        return out_of_time(state);
    }
    state.baseline_ms = tested.duration_ms;
    if let Some(tip) = &mut state.tip {
        tip.standing = tested.standing;
    }
    state.base.clone_from(&state.tip);
    state.best.clone_from(&state.tip);
    if state.base.as_ref().is_some_and(|base| base.standing.green) {
        return stop(
            state,
            StopReason::AlreadyGreen,
            "every test passes at the base already".into(),
        );
    }
    if nothing_fails(state) {
        return stop(
            state,
            StopReason::InfraError,
            "nothing fails at the base, and a suite of it ran no tests: there is nothing that an \
             agent could be asked to fix, and nothing that could prove it; `regreen run` shows \
             which suite that is"
                .into(),
        );
    }
    next_turn(state)
}

/// The base is not green only because there is nothing that could be.
fn nothing_fails(state: &LoopState) -> bool {
    let base = state.base.as_ref();
    base.is_some_and(|base| base.standing.outcome == Outcome::NoTests)
}

fn turn_ended(state: &mut LoopState, end: TurnEnd) -> Vec<LoopEffect> {
    state.spend.tokens = state.spend.tokens.saturating_add(end.tokens);
    state.spend.micro_usd = state.spend.micro_usd.saturating_add(end.micro_usd);
    state.overtime |= end.how == TurnHow::TimedOut { whole_loop: true };
    let tree = end.tree.clone();
    let (edited, touched) = (end.edited, end.touched);
    let known = state.ladder.seen.contains(&tree);
    state.ladder.edited |= edited;
    state.current = Current {
        end: Some(end),
        ..Current::default()
    };
    state.phase = Phase::Testing;
    if edited && known {
        return judged(state, TurnClass::SameEdit);
    }
    // What was written outside the tree can change what the tests say: then they are asked.
    if edited || touched {
        return vec![LoopEffect::Test {
            tree,
            limit_ms: state.wall_left_ms(),
        }];
    }
    if state.tip_refused {
        return stop(
            state,
            StopReason::GateFailed,
            "the gates refused it, and the agent left it as it was".into(),
        );
    }
    let class = ladder::unedited(state);
    judged(state, class)
}

fn tested_now(state: &mut LoopState, tested: Tested) -> Vec<LoopEffect> {
    let (Some(end), Some(tip)) = (state.current.end.clone(), state.tip.clone()) else {
        return stop(state, StopReason::InfraError, "nothing to test".into());
    };
    if tested.cut {
        return out_of_time(state);
    }
    state.current.test_ms = tested.duration_ms;
    state.current.standing = Some(tested.standing.clone());
    if !end.edited {
        // Nothing to commit: the tip stands as it is, and so does its history.
        if tested.standing.green {
            return ask_gates(state, tip.commit);
        }
        let class = ladder::unedited(state);
        return judged(state, class);
    }
    vec![LoopEffect::Commit(CommitPlan {
        iteration: state.spend.iterations,
        tier: state.ladder.tier,
        parent: tip.commit,
        tree: end.tree,
        before: tip.standing.told_count(),
        after: tested.standing.told_count(),
    })]
}

fn committed(state: &mut LoopState, commit: String) -> Vec<LoopEffect> {
    let (Some(end), Some(standing), Some(best)) = (
        state.current.end.clone(),
        state.current.standing.clone(),
        state.best.clone(),
    ) else {
        return stop(state, StopReason::InfraError, "nothing to commit".into());
    };
    let mark = Mark {
        commit: commit.clone(),
        tree: end.tree,
        standing: standing.clone(),
    };
    state.tip = Some(mark.clone());
    state.tip_refused = false;
    // Where nothing runs any more because tests were taken away, nothing fails either: that is
    // no lack of progress, it is what the gates are there for.
    let emptied = standing.outcome == Outcome::NoTests && !standing.lost.is_empty();
    if standing.green || emptied {
        return ask_gates(state, commit);
    }
    match compare(&standing, &best.standing) {
        Compared::Better => {
            state.best = Some(mark);
            judged(state, TurnClass::Progress)
        }
        Compared::Same => judged(state, TurnClass::NoProgress),
        Compared::Worse => judged(state, TurnClass::Worse),
    }
}

fn ask_gates(state: &mut LoopState, commit: String) -> Vec<LoopEffect> {
    state.judged = Some((state.spend.iterations, TurnClass::Fixed));
    state.phase = Phase::Gating;
    vec![LoopEffect::Gate {
        commit,
        limit_ms: state.wall_left_ms(),
    }]
}

fn gated(
    state: &mut LoopState,
    commit: String,
    answers: Vec<GateAnswer>,
    cut: bool,
) -> Vec<LoopEffect> {
    if state.tip.as_ref().is_none_or(|tip| tip.commit != commit) {
        let why = format!("the gates answered about `{commit}`, which is not the loop's tip");
        return stop(state, StopReason::InfraError, why);
    }
    let verdict = overall(&answers);
    state.gated = Some((commit, answers.clone()));
    match verdict {
        // A gate that said no said it in time; what was cut short did not pass.
        Some(GateVerdict::Fail) => refused(state, answers),
        _ if cut => out_of_time(state),
        Some(GateVerdict::Pass) => {
            state.best.clone_from(&state.tip);
            stop(state, StopReason::Passed, "every gate passed".into())
        }
        Some(GateVerdict::NeedsApproval) => {
            state.best.clone_from(&state.tip);
            let why = named(&answers, GateVerdict::NeedsApproval);
            stop(
                state,
                StopReason::NeedsApproval,
                format!("green, and a person has to look: {why}"),
            )
        }
        None => stop(
            state,
            StopReason::InfraError,
            "a gate did not answer".into(),
        ),
    }
}

fn refused(state: &mut LoopState, answers: Vec<GateAnswer>) -> Vec<LoopEffect> {
    let why = named(&answers, GateVerdict::Fail);
    state.judged = Some((state.spend.iterations, TurnClass::Refused));
    if state.gate_told {
        return stop(
            state,
            StopReason::GateFailed,
            format!("the gates refused it again: {why}"),
        );
    }
    state.gate_told = true;
    let lost = answers
        .iter()
        .any(|answer| answer.gate == Gate::Inventory && answer.verdict == GateVerdict::Fail);
    if lost {
        // What was removed cannot be put right from where it is gone.
        state.tip.clone_from(&state.best);
    } else {
        state.tip_refused = true;
    }
    let no = answers
        .into_iter()
        .filter(|answer| answer.verdict == GateVerdict::Fail)
        .collect();
    state.told = vec![Told::Gates(no)];
    next_turn(state)
}

/// The worst of the answers, or nothing when one of the gates is missing.
pub(super) fn overall(answers: &[GateAnswer]) -> Option<GateVerdict> {
    let worst = answers.iter().map(|answer| answer.verdict).max()?;
    let all = Gate::ALL
        .iter()
        .all(|gate| answers.iter().any(|answer| answer.gate == *gate));
    // A no stands whether or not the others were asked.
    (all || worst == GateVerdict::Fail).then_some(worst)
}

fn named(answers: &[GateAnswer], verdict: GateVerdict) -> String {
    let names: Vec<String> = answers
        .iter()
        .filter(|answer| answer.verdict == verdict)
        .map(|answer| {
            let first = answer.evidence.first().map_or("", String::as_str);
            format!("{}: {first}", answer.gate.as_str())
        })
        .collect();
    names.join("; ")
}

/// The turn is judged: climb or go on.
fn judged(state: &mut LoopState, class: TurnClass) -> Vec<LoopEffect> {
    state.judged = Some((state.spend.iterations, class));
    if let Some((reason, why)) = ladder::climb(state, class) {
        return stop(state, reason, why);
    }
    next_turn(state)
}

/// Begins a turn if every budget allows one.
fn next_turn(state: &mut LoopState) -> Vec<LoopEffect> {
    let limit = state.budget;
    if state.overtime {
        return out_of_time(state);
    }
    if state.spend.iterations >= limit.iterations {
        let why = format!("{} iterations did not suffice", limit.iterations);
        return stop(state, StopReason::OutOfIterations, why);
    }
    if limit.tokens.is_some_and(|most| state.spend.tokens >= most) {
        return stop(
            state,
            StopReason::OutOfTokens,
            "the tokens are spent".into(),
        );
    }
    if limit
        .micro_usd
        .is_some_and(|most| state.spend.micro_usd >= most)
    {
        return stop(state, StopReason::OutOfMoney, "the money is spent".into());
    }
    let room = state.wall_left_ms().saturating_sub(state.reserve_ms());
    if room < SHORTEST_TURN_MS {
        return out_of_time(state);
    }
    let Some(tip) = &state.tip else {
        return stop(
            state,
            StopReason::InfraError,
            "nothing to start from".into(),
        );
    };
    let plan = TurnPlan {
        iteration: state.spend.iterations + 1,
        tier: state.ladder.tier,
        fresh: state.ladder.rung == 2 || state.told.contains(&Told::Fresh),
        from: tip.commit.clone(),
        told: std::mem::take(&mut state.told),
        limit_ms: limit.turn_ms.min(room),
        whole_loop: room < limit.turn_ms,
    };
    state.spend.iterations += 1;
    state.current = Current::default();
    state.phase = Phase::Turn;
    vec![
        LoopEffect::Point {
            commit: plan.from.clone(),
        },
        LoopEffect::Turn(plan),
    ]
}

fn out_of_time(state: &mut LoopState) -> Vec<LoopEffect> {
    let why = format!("{} ms did not suffice", state.budget.wall_ms);
    stop(state, StopReason::OutOfTime, why)
}

fn stop(state: &mut LoopState, reason: StopReason, why: String) -> Vec<LoopEffect> {
    state.phase = Phase::Stopped;
    state.stop = Some(reason);
    state.detail = Some(why);
    let mut effects = Vec::new();
    if let Some(best) = &state.best {
        effects.push(LoopEffect::Point {
            commit: best.commit.clone(),
        });
    }
    effects.push(LoopEffect::Finish(reason));
    effects
}

fn extend(state: &mut LoopState, budget: Budget) -> Vec<LoopEffect> {
    state.budget = budget;
    state.stop = None;
    state.detail = None;
    state.overtime = false;
    state.gate_told = false;
    state.tip_refused = false;
    state.ladder = ladder::again(&state.ladder);
    state.tip.clone_from(&state.best);
    if state.base.is_none() {
        state.phase = Phase::Preparing;
        return vec![LoopEffect::Prepare];
    }
    state.told = vec![Told::Fresh];
    next_turn(state)
}
