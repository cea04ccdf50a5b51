//! A little world that answers the machine's effects: tables for the stop reasons of the
//! contract, properties for its invariants.

use crate::iteration::inventory::TestKey;
use crate::iteration::machine::LoopEffect;
use crate::iteration::machine::LoopInput;
use crate::iteration::machine::LoopState;
use crate::iteration::machine::Phase;
use crate::iteration::machine::Tested;
use crate::iteration::machine::Told;
use crate::iteration::machine::TurnEnd;
use crate::iteration::machine::TurnHow;
use crate::iteration::machine::step;
use crate::iteration::progress::Stage;
use crate::iteration::progress::Standing;
use crate::model::Budget;
use crate::model::Counts;
use crate::model::Gate;
use crate::model::GateAnswer;
use crate::model::GateVerdict;
use crate::model::LoopId;
use crate::model::Outcome;
use crate::model::SnapshotId;
use crate::model::StopReason;
use crate::model::Timestamp;
use proptest::prelude::*;
use std::time::Duration;

/// What one turn does, and what regreen's own run and gates say of it.
#[derive(Debug, Clone)]
struct Turn {
    how: TurnHow,
    /// The tree afterwards; `None` leaves it as it was.
    tree: Option<u8>,
    touched: bool,
    /// How many tests fail then; `None`: it does not build.
    failing: Option<u8>,
    gates: Vec<GateAnswer>,
    took_ms: u64,
}

fn edit(tree: u8, failing: u8) -> Turn {
    Turn {
        how: TurnHow::Exited(0),
        tree: Some(tree),
        touched: false,
        failing: Some(failing),
        gates: gates(GateVerdict::Pass),
        took_ms: 1_000,
    }
}

fn nothing() -> Turn {
    Turn {
        tree: None,
        ..edit(0, 2)
    }
}

fn gates(verdict: GateVerdict) -> Vec<GateAnswer> {
    gates_with(Gate::Integrity, verdict)
}

fn gates_with(one: Gate, verdict: GateVerdict) -> Vec<GateAnswer> {
    Gate::ALL
        .iter()
        .map(|gate| GateAnswer {
            gate: *gate,
            verdict: if *gate == one {
                verdict
            } else {
                GateVerdict::Pass
            },
            evidence: vec!["because".into()],
        })
        .collect()
}

fn standing(failing: Option<u8>) -> Standing {
    let key = |n: u8| TestKey {
        suite: "cargo".into(),
        target: "demo".into(),
        id: format!("t{n}"),
    };
    Standing {
        stage: failing.map_or(Stage::NotBuilt, |_| Stage::Ends),
        failing: (0..failing.unwrap_or(1)).map(key).collect(),
        lost: std::collections::BTreeSet::new(),
        green: failing == Some(0),
        outcome: Outcome::Failed,
        counts: Counts::default(),
    }
}

fn tree(n: u8) -> SnapshotId {
    SnapshotId::new(format!("tree{n}"))
}

/// Drives a loop through scripted turns; the last one is repeated.
struct World {
    state: LoopState,
    now: Timestamp,
    turns: Vec<Turn>,
    played: usize,
    /// The workspace's tree.
    tree: SnapshotId,
    base_failing: Option<u8>,
    commits: Vec<SnapshotId>,
    passes: Vec<String>,
    told: Vec<Vec<Told>>,
    /// Kill and resume before every answer.
    kill: bool,
}

impl World {
    fn new(budget: Budget, tiers: u32, turns: Vec<Turn>) -> Self {
        let now = Timestamp::from_millis(1_000_000);
        World {
            state: LoopState::new(LoopId::new("l1"), budget, tiers, now),
            now,
            turns,
            played: 0,
            tree: tree(200),
            base_failing: Some(2),
            commits: vec![tree(200)],
            passes: Vec::new(),
            told: Vec::new(),
            kill: false,
        }
    }

    fn script(&self) -> Turn {
        let at = self.played.saturating_sub(1).min(self.turns.len() - 1);
        self.turns[at].clone()
    }

    fn spend(&mut self, ms: u64) {
        self.now = self.now.plus(Duration::from_millis(ms));
    }

    fn tested(&mut self, failing: Option<u8>, limit_ms: u64) -> Tested {
        let took = 300.min(limit_ms);
        self.spend(took);
        Tested {
            standing: standing(failing),
            duration_ms: took,
            cut: took < 300,
        }
    }

    fn turn(&mut self, plan: &crate::iteration::machine::TurnPlan) -> TurnEnd {
        self.played += 1;
        self.told.push(plan.told.clone());
        let script = self.script();
        let from: usize = plan.from.parse().expect("a commit of this world");
        self.tree = self.commits[from].clone();
        let before = self.tree.clone();
        if let Some(n) = script.tree {
            self.tree = tree(n);
        }
        let late = script.took_ms >= plan.limit_ms;
        self.spend(script.took_ms.min(plan.limit_ms));
        TurnEnd {
            how: if late {
                TurnHow::TimedOut {
                    whole_loop: plan.whole_loop,
                }
            } else {
                script.how
            },
            edited: before != self.tree,
            touched: script.touched,
            tree: self.tree.clone(),
            tokens: 10,
            micro_usd: 10,
            duration_ms: script.took_ms,
            changed: Vec::new(),
            stderr: String::new(),
        }
    }

    fn answer(&mut self, effect: &LoopEffect) -> Option<LoopInput> {
        Some(match effect {
            LoopEffect::Prepare => LoopInput::Prepared {
                commit: "0".into(),
                tree: self.tree.clone(),
            },
            LoopEffect::Baseline { limit_ms } => {
                LoopInput::Baselined(self.tested(self.base_failing, *limit_ms))
            }
            LoopEffect::Turn(plan) => LoopInput::TurnEnded(self.turn(plan)),
            LoopEffect::Test { limit_ms, .. } => {
                let failing = self.script().failing;
                LoopInput::Tested(self.tested(failing, *limit_ms))
            }
            LoopEffect::Commit(plan) => {
                self.commits.push(plan.tree.clone());
                LoopInput::Committed {
                    commit: (self.commits.len() - 1).to_string(),
                }
            }
            LoopEffect::Gate { commit, limit_ms } => {
                let answers = self.script().gates;
                let took = 500.min(*limit_ms);
                self.spend(took);
                if answers.len() == Gate::ALL.len()
                    && answers.iter().all(|one| one.verdict == GateVerdict::Pass)
                {
                    self.passes.push(commit.clone());
                }
                LoopInput::Gated {
                    commit: commit.clone(),
                    answers,
                    cut: took < 500,
                }
            }
            LoopEffect::Point { .. } | LoopEffect::Finish(_) => return None,
        })
    }

    fn run(&mut self) -> StopReason {
        let mut effects = step(&mut self.state, LoopInput::Begin, self.now);
        for _ in 0..10_000 {
            if self.kill {
                let text = serde_json::to_string(&self.state).expect("the state is written");
                self.state = serde_json::from_str(&text).expect("and read back");
                self.spend(3_600_000);
                let again = step(&mut self.state, LoopInput::Resumed, self.now);
                assert_eq!(again, effects, "resume asks for what was pending");
            }
            let answers: Vec<LoopInput> = effects
                .iter()
                .filter_map(|effect| self.answer(effect))
                .collect();
            assert!(answers.len() <= 1, "one question at a time: {effects:?}");
            let Some(answer) = answers.into_iter().next() else {
                assert_eq!(
                    self.state.phase,
                    Phase::Stopped,
                    "nothing pending: {effects:?}"
                );
                return self.state.stop.expect("a stopped loop says why");
            };
            effects = step(&mut self.state, answer, self.now);
        }
        panic!("the loop does not end: {:?}", self.state);
    }

    fn best(&self) -> &str {
        self.state
            .best
            .as_ref()
            .map_or("", |best| best.commit.as_str())
    }
}

fn run(turns: Vec<Turn>) -> (StopReason, World) {
    let mut world = World::new(Budget::default(), 1, turns);
    let reason = world.run();
    (reason, world)
}

#[test]
fn the_agents_of_the_contract_end_as_it_says() {
    let refused = Turn {
        gates: gates(GateVerdict::Fail),
        ..edit(1, 0)
    };
    let planted = Turn {
        tree: None,
        touched: true,
        ..refused.clone()
    };
    let asks = Turn {
        gates: gates(GateVerdict::NeedsApproval),
        ..edit(1, 0)
    };
    let hangs = Turn {
        took_ms: u64::MAX / 4,
        ..nothing()
    };
    let exits = Turn {
        how: TurnHow::Exited(3),
        ..edit(1, 0)
    };
    let dies = Turn {
        how: TurnHow::Exited(3),
        ..nothing()
    };
    let missing = Turn {
        how: TurnHow::NotStarted("no such program".into()),
        ..nothing()
    };
    let table: Vec<(&str, Vec<Turn>, StopReason, usize)> = vec![
        ("fixes", vec![edit(1, 0)], StopReason::Passed, 1),
        (
            "fixes one by one",
            vec![edit(1, 1), edit(2, 0)],
            StopReason::Passed,
            2,
        ),
        ("does nothing", vec![nothing()], StopReason::NoEdit, 2),
        ("deletes a test", vec![refused], StopReason::GateFailed, 2),
        ("plants a binary", vec![planted], StopReason::GateFailed, 2),
        ("rewrites a test", vec![asks], StopReason::NeedsApproval, 1),
        (
            "the same comment",
            vec![edit(1, 2)],
            StopReason::NoProgress,
            3,
        ),
        (
            "a comment each turn",
            vec![edit(1, 2), edit(2, 2), edit(3, 2), edit(4, 2)],
            StopReason::NoProgress,
            3,
        ),
        (
            "breaks more",
            vec![edit(1, 3), edit(2, 4), edit(3, 5)],
            StopReason::NoProgress,
            3,
        ),
        ("hangs", vec![hangs], StopReason::AgentFailed, 1),
        (
            "exits 3 after the right edit",
            vec![exits],
            StopReason::Passed,
            1,
        ),
        (
            "exits 3 after nothing",
            vec![dies],
            StopReason::AgentFailed,
            2,
        ),
        ("is not there", vec![missing], StopReason::AgentFailed, 1),
    ];
    for (name, turns, expected, played) in table {
        let (reason, world) = run(turns);
        assert_eq!(reason, expected, "{name}: {:?}", world.state.detail);
        assert_eq!(world.played, played, "{name}");
        if expected != StopReason::Passed && expected != StopReason::NeedsApproval {
            assert_eq!(world.best(), "0", "{name}: the base is the best commit");
        }
    }
}

#[test]
fn the_best_commit_is_kept_when_later_turns_make_it_worse() {
    let (reason, world) = run(vec![edit(1, 1), edit(2, 4), edit(3, 4), edit(4, 4)]);
    assert_eq!(reason, StopReason::NoProgress);
    assert_eq!(world.best(), "1");
}

#[test]
fn a_budget_is_named_only_if_no_other_reason_came_first() {
    let two = Budget {
        iterations: 2,
        ..Budget::default()
    };
    let one = Budget {
        iterations: 1,
        ..Budget::default()
    };
    assert_eq!(
        World::new(two, 1, vec![nothing()]).run(),
        StopReason::NoEdit
    );
    assert_eq!(
        World::new(one, 1, vec![nothing()]).run(),
        StopReason::OutOfIterations
    );
    assert_eq!(
        World::new(one, 1, vec![edit(1, 0)]).run(),
        StopReason::Passed
    );
    let tokens = Budget {
        tokens: Some(15),
        ..Budget::default()
    };
    let steps = vec![edit(1, 1), edit(2, 3)];
    assert_eq!(World::new(tokens, 1, steps).run(), StopReason::OutOfTokens);
}

#[test]
fn the_loops_own_time_is_out_of_time() {
    let short = Budget {
        wall_ms: 20_000,
        ..Budget::default()
    };
    let hangs = Turn {
        took_ms: 3_600_000,
        ..nothing()
    };
    assert_eq!(
        World::new(short, 1, vec![hangs.clone()]).run(),
        StopReason::OutOfTime
    );
    // It hung after the right edit: the reserve is for finding that out.
    let late = Turn {
        took_ms: 3_600_000,
        ..edit(1, 0)
    };
    let mut world = World::new(short, 1, vec![late]);
    assert_eq!(world.run(), StopReason::Passed, "{:?}", world.state.detail);
    // The next tier is not asked either when time is up.
    assert_eq!(
        World::new(short, 3, vec![hangs]).run(),
        StopReason::OutOfTime
    );
}

#[test]
fn the_next_tier_gets_its_chance_afresh() {
    let mut world = World::new(Budget::default(), 2, vec![nothing(), nothing(), edit(1, 0)]);
    assert_eq!(world.run(), StopReason::Passed);
    assert_eq!(world.state.ladder.tier, 1);
    assert_eq!(world.told[1], [Told::NoEdit, Told::Fresh]);
    assert_eq!(world.told[2], [Told::Fresh]);
}

#[test]
fn an_agent_that_mends_its_ways_after_a_gate_passes() {
    let refused = Turn {
        gates: gates(GateVerdict::Fail),
        ..edit(1, 0)
    };
    let (reason, world) = run(vec![refused, edit(2, 0)]);
    assert_eq!(reason, StopReason::Passed);
    assert!(matches!(world.told[1][..], [Told::Gates(_)]));
}

#[test]
fn after_a_lost_test_it_goes_on_from_where_the_test_still_is() {
    let lost = Turn {
        gates: gates_with(Gate::Inventory, GateVerdict::Fail),
        ..edit(1, 0)
    };
    let (reason, world) = run(vec![lost.clone()]);
    assert_eq!(reason, StopReason::GateFailed);
    assert_eq!(world.played, 2);
    assert_eq!(world.best(), "0");
    assert_eq!(run(vec![lost, edit(2, 0)]).0, StopReason::Passed);
}

#[test]
fn a_missing_gate_never_passes() {
    let mut answers = gates(GateVerdict::Pass);
    answers.pop();
    let turn = Turn {
        gates: answers,
        ..edit(1, 0)
    };
    assert_eq!(run(vec![turn]).0, StopReason::InfraError);
}

#[test]
fn an_interrupted_turn_is_paid_and_blames_nobody() {
    let lost = Turn {
        how: TurnHow::Interrupted,
        ..nothing()
    };
    let (reason, world) = run(vec![lost, edit(1, 0)]);
    assert_eq!(reason, StopReason::Passed);
    assert_eq!(world.state.spend.iterations, 2);
}

#[test]
fn a_loop_can_be_cancelled_and_given_a_new_budget() {
    let one = Budget {
        iterations: 1,
        ..Budget::default()
    };
    let mut world = World::new(one, 1, vec![edit(1, 1), edit(2, 0)]);
    assert_eq!(world.run(), StopReason::OutOfIterations);
    let more = Budget {
        iterations: 2,
        ..Budget::default()
    };
    let effects = step(&mut world.state, LoopInput::Extended(more), world.now);
    assert!(matches!(
        effects[..],
        [LoopEffect::Point { .. }, LoopEffect::Turn(_)]
    ));
    let effects = step(&mut world.state, LoopInput::Cancel, world.now);
    assert_eq!(
        effects.last(),
        Some(&LoopEffect::Finish(StopReason::Cancelled))
    );
}

#[test]
fn an_answer_that_was_not_asked_for_changes_nothing() {
    let mut world = World::new(Budget::default(), 1, vec![nothing()]);
    let before = world.state.clone();
    let stray = LoopInput::Committed { commit: "9".into() };
    assert!(step(&mut world.state, stray, world.now).is_empty());
    assert_eq!(world.state, before);
}

fn any_turn() -> impl Strategy<Value = Turn> {
    let how = prop_oneof![
        4 => Just(TurnHow::Exited(0)),
        1 => Just(TurnHow::Exited(7)),
        1 => Just(TurnHow::Signalled(9)),
        1 => Just(TurnHow::Interrupted),
        1 => Just(TurnHow::NotStarted("gone".into())),
    ];
    let verdict = prop_oneof![
        Just(GateVerdict::Pass),
        Just(GateVerdict::Fail),
        Just(GateVerdict::NeedsApproval),
    ];
    (
        how,
        proptest::option::weighted(0.8, 0u8..6),
        any::<bool>(),
        proptest::option::weighted(0.8, 0u8..4),
        verdict,
        0usize..=8,
        0u64..120_000,
    )
        .prop_map(|(how, tree, touched, failing, verdict, kept, took_ms)| {
            let mut answers = gates(verdict);
            answers.truncate(kept.max(1));
            Turn {
                how,
                tree,
                touched,
                failing,
                gates: answers,
                took_ms,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_ends_within_the_budget(
        turns in proptest::collection::vec(any_turn(), 1..12),
        iterations in 0u32..8,
        wall_ms in 0u64..200_000,
        turn_ms in 1u64..60_000,
        tiers in 1u32..4,
        base in proptest::option::weighted(0.9, 0u8..4),
        kill in any::<bool>(),
    ) {
        let budget = Budget { wall_ms, turn_ms, iterations, tokens: Some(60), micro_usd: None };
        let mut world = World::new(budget, tiers, turns);
        world.base_failing = base;
        world.kill = kill;
        let reason = world.run();
        prop_assert!(world.played <= iterations as usize);
        prop_assert!(world.state.spend.wall_ms <= wall_ms, "{:?}", world.state.spend);
        prop_assert!(world.played <= 6, "tokens are checked before each turn");
        prop_assert!(world.commits.len() <= iterations as usize + 1);
        if reason == StopReason::Passed {
            prop_assert_eq!(world.passes.last().map(String::as_str), Some(world.best()));
        }
        prop_assert_eq!(reason == StopReason::AlreadyGreen, base == Some(0) && wall_ms >= 300);
    }
}
