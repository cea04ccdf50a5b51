//! The ladder: what follows when a turn did not help.

use crate::iteration::machine::Ladder;
use crate::iteration::machine::LoopState;
use crate::iteration::machine::Mark;
use crate::iteration::machine::Told;
use crate::iteration::machine::TurnHow;
use crate::iteration::progress::Stage;
use crate::iteration::progress::Standing;
use crate::model::Counts;
use crate::model::Outcome;
use crate::model::StopReason;
use crate::model::TurnClass;
use std::collections::BTreeSet;

const TOLD: u8 = 1;
const FRESH: u8 = 2;
const TOP: u8 = 3;

/// What is known of a tree before it was tested.
pub(super) fn nothing_known() -> Standing {
    Standing {
        stage: Stage::NotBuilt,
        failing: BTreeSet::new(),
        lost: BTreeSet::new(),
        green: false,
        outcome: Outcome::NoTests,
        counts: Counts::default(),
    }
}

/// The ladder of a loop that gets another chance: from its foot, and nothing seen is forgotten.
pub(super) fn again(before: &Ladder) -> Ladder {
    Ladder {
        tier: before.tier,
        seen: before.seen.clone(),
        ..Ladder::default()
    }
}

/// The class of a turn that changed nothing.
pub(super) fn unedited(state: &LoopState) -> TurnClass {
    match state.current.end.as_ref().map(|end| &end.how) {
        Some(TurnHow::TimedOut { .. }) => TurnClass::Timeout,
        Some(TurnHow::NotStarted(_)) => TurnClass::NotStarted,
        Some(TurnHow::Interrupted) => TurnClass::Interrupted,
        Some(TurnHow::Signalled(_)) => TurnClass::Crashed,
        Some(TurnHow::Exited(status)) if *status != 0 => TurnClass::Crashed,
        _ => TurnClass::NoEdit,
    }
}

/// Climbs by what the turn came to. Answers why the loop ends, if it does; otherwise the tip
/// and what is to be told are set for the next turn.
pub(super) fn climb(state: &mut LoopState, class: TurnClass) -> Option<(StopReason, String)> {
    if class != TurnClass::Crashed {
        state.ladder.crashes = 0;
    }
    match class {
        TurnClass::Fixed | TurnClass::Refused => return None,
        TurnClass::Progress => progress(state),
        // The turn was paid and nobody is to blame: on, with the budget one turn smaller.
        TurnClass::Interrupted => state.told = vec![Told::Interrupted],
        TurnClass::NoProgress | TurnClass::Worse => fruitless(state, class),
        TurnClass::NoEdit => {
            // The first time told and afresh, the second time the next tier or the end.
            state.ladder.rung = (state.ladder.rung + 1).max(FRESH);
            state.told = vec![Told::NoEdit];
        }
        TurnClass::SameEdit => {
            state.ladder.rung = TOP;
            state.told = vec![Told::SameEdit];
        }
        TurnClass::Crashed => {
            state.ladder.crashes += 1;
            let rung = if state.ladder.crashes > 1 { TOP } else { TOLD };
            state.ladder.rung = state.ladder.rung.max(rung);
            state.told = vec![Told::NoEdit];
        }
        TurnClass::Timeout | TurnClass::NotStarted => state.ladder.rung = TOP,
    }
    if hung(state) && !matches!(class, TurnClass::Progress) {
        state.ladder.rung = TOP;
    }
    if state.ladder.rung >= TOP && (state.overtime || !next_tier(state)) {
        return Some(end(state, class));
    }
    if state.ladder.rung == FRESH {
        start_afresh(state);
    }
    None
}

fn progress(state: &mut LoopState) {
    let failing = |mark: &Option<Mark>| mark.as_ref().map_or(0, |mark| mark.standing.told_count());
    let stage = |mark: &Option<Mark>| mark.as_ref().map(|mark| mark.standing.stage);
    let before = failing(&state.base);
    let now = failing(&state.tip);
    let unbuilt = Some(Stage::NotBuilt);
    state.ladder.rung = 0;
    state.ladder.edited = false;
    state.told = vec![
        match stage(&state.base) == unbuilt && stage(&state.tip) != unbuilt {
            true => Told::Builds { now },
            false => Told::Progress { before, now },
        },
    ];
}

fn fruitless(state: &mut LoopState, class: TurnClass) {
    if let Some(tip) = &state.tip {
        state.ladder.seen.insert(tip.tree.clone());
    }
    state.ladder.rung = (state.ladder.rung + 1).max(TOLD);
    if class == TurnClass::Worse {
        let stage = |mark: &Option<Mark>| mark.as_ref().map(|mark| mark.standing.stage);
        let broke = stage(&state.tip) == Some(Stage::NotBuilt)
            && stage(&state.best) != Some(Stage::NotBuilt);
        state.tip.clone_from(&state.best);
        state.told = vec![if broke { Told::Broke } else { Told::Worse }];
    } else {
        state.told = vec![Told::NoProgress];
    }
}

fn hung(state: &LoopState) -> bool {
    let how = state.current.end.as_ref().map(|end| &end.how);
    matches!(how, Some(TurnHow::TimedOut { .. }))
}

fn start_afresh(state: &mut LoopState) {
    if !state.tip_refused {
        state.tip.clone_from(&state.best);
    }
    if !state.told.contains(&Told::Fresh) {
        state.told.push(Told::Fresh);
    }
}

/// Goes to the next agent, if there is one.
fn next_tier(state: &mut LoopState) -> bool {
    if state.ladder.tier + 1 >= state.tiers {
        return false;
    }
    state.ladder.tier += 1;
    state.ladder.rung = 0;
    state.ladder.crashes = 0;
    state.ladder.edited = false;
    // A stronger agent may make a known edit and go on from it; it starts without a record.
    state.ladder.seen.clear();
    state.tip.clone_from(&state.best);
    state.tip_refused = false;
    state.told = vec![Told::Fresh];
    true
}

/// Why it ends at the top of the ladder. A budget is named only if no other reason came first.
fn end(state: &LoopState, class: TurnClass) -> (StopReason, String) {
    match state.current.end.as_ref().map(|end| &end.how) {
        Some(TurnHow::TimedOut { whole_loop: true }) => {
            return (
                StopReason::OutOfTime,
                "the loop's time was up before the agent was done".into(),
            );
        }
        Some(TurnHow::TimedOut { whole_loop: false }) => {
            return (
                StopReason::AgentFailed,
                "the agent did not come to an end within the turn's time".into(),
            );
        }
        Some(TurnHow::NotStarted(why)) => return (StopReason::AgentFailed, why.clone()),
        _ => {}
    }
    match class {
        TurnClass::Crashed => (
            StopReason::AgentFailed,
            "the agent left with an error twice and changed nothing".into(),
        ),
        _ if state.ladder.edited => (
            StopReason::NoProgress,
            "the agent's changes did not help".into(),
        ),
        _ => (StopReason::NoEdit, "the agent changed nothing".into()),
    }
}
