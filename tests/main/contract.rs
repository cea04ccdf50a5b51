//! docs/contract.md says what the code does: its tables are read and compared.

use crate::support::Home;
use crate::support::repository;
use regreen::model::FailureKind;
use regreen::model::Outcome;
use regreen::model::StopReason;
use regreen::model::Verdict;
use regreen::model::exit_code;
use regreen::model::verdict_exit_code;

fn contract() -> String {
    std::fs::read_to_string(repository().join("docs/contract.md")).expect("it is committed")
}

/// The rows of the table below a heading that names `word`, as cells without back-ticks.
fn table(heading: &str) -> Vec<Vec<String>> {
    let text = contract();
    let section = text
        .split_once(&format!("## {heading}"))
        .expect("the heading")
        .1;
    let lines = section
        .lines()
        .skip(1)
        .take_while(|line| !line.starts_with("## "));
    let rows = lines.filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| {
        let cells = row.trim_matches('|').split(" | ");
        cells
            .map(|cell| cell.replace('`', "").trim().to_owned())
            .collect()
    })
    .collect()
}

fn outcome(word: &str) -> Outcome {
    serde_json::from_value(word.into()).unwrap_or_else(|_| panic!("`{word}` is no outcome"))
}

#[test]
fn outcomes_stand_in_their_order_with_their_exit_codes() {
    let rows = table("Outcome");
    let words: Vec<Outcome> = rows.iter().map(|row| outcome(&row[0])).collect();
    let mut sorted = words.clone();
    sorted.sort();
    assert_eq!(words, sorted, "the order is that of precedence");
    assert_eq!(words.len(), 10);
    for row in &rows {
        let code = exit_code(outcome(&row[0]), true).to_string();
        assert_eq!(row[2], code, "{row:?}");
    }
}

#[test]
fn outcomes_become_the_verdicts_of_the_table() {
    let mut seen = 0;
    for row in table("Verdict and activity") {
        for words in row[0].split(", ") {
            let incomplete = words.ends_with("but incomplete");
            let word = words.split(' ').next().expect("a word");
            let verdict = Verdict::of(outcome(word), !incomplete);
            let told = match row[1].as_str() {
                "as it was, and stale" => None,
                word => Some(serde_json::from_value(word.into()).expect("a verdict")),
            };
            assert_eq!(verdict, told, "{words}");
            seen += 1;
        }
    }
    assert_eq!(seen, 11, "ten outcomes, and passed twice");
    let codes = [
        (Verdict::Green, 0),
        (Verdict::Red, 100),
        (Verdict::Broken, 101),
        (Verdict::Unknown, 102),
    ];
    for (verdict, code) in codes {
        assert_eq!(verdict_exit_code(verdict), code);
        assert!(contract().contains(&format!("{} {code}", verdict.as_str())));
    }
}

#[test]
fn loops_stop_for_the_reasons_of_the_table() {
    let mut seen = 0;
    for row in table("fix") {
        for word in row[0].split(", ") {
            let reason: StopReason = serde_json::from_value(word.into())
                .unwrap_or_else(|_| panic!("`{word}` is no stop reason"));
            assert_eq!(row[1], reason.exit_code().to_string(), "{word}");
            seen += 1;
        }
    }
    assert_eq!(seen, 13, "every reason stands in the table");
}

#[test]
fn kinds_of_failures_are_those_of_the_list() {
    let text = contract();
    let list = text.split_once("- `kind`: `").expect("the list").1;
    let list = list.split_once('`').expect("its end").0;
    let words: Vec<&str> = list.split_whitespace().collect();
    for word in &words {
        let kind: Result<FailureKind, _> = serde_json::from_value((*word).into());
        assert!(kind.is_ok(), "`{word}` is no kind");
    }
    assert_eq!(words.len(), 14);
}

#[test]
fn the_verbs_of_the_command_line_are_there_and_explain_themselves() {
    let home = Home::new();
    for verb in [
        "watch",
        "daemon",
        "add",
        "remove",
        "status",
        "run",
        "report",
        "trust",
        "pause",
        "resume",
        "parse",
        "fix",
        "loops",
        "logs",
        "doctor",
        "service",
        "gc",
        "config",
        "completions",
    ] {
        let ran = home.regreen([verb, "--help"]).run();
        ran.exits(0).says("Usage: regreen");
    }
    for (verb, flags) in [
        (
            "run",
            &["--at", "--json", "--backend", "--compare", "--fresh"][..],
        ),
        ("status", &["--json", "--path", "--follow", "--exit-code"]),
        ("parse", &["--format", "--exit", "--cwd", "--report"]),
        (
            "fix",
            &[
                "--agent",
                "--agent-command",
                "--max-iterations",
                "--timeout",
                "--apply",
                "--json",
                "--dirty",
            ],
        ),
        ("gc", &["--dry-run"]),
    ] {
        let ran = home.regreen([verb, "--help"]).run();
        for flag in flags {
            ran.says(flag);
        }
    }
    home.regreen(["--version"])
        .run()
        .exits(0)
        .says("regreen 0.");
    home.regreen(["nonsense"])
        .run()
        .exits(2)
        .complains("nonsense");
}
