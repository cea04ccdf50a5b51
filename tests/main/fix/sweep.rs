//! `regreen gc` and what loops leave: what has landed goes, work that has not stays and is named.

use crate::fix::adder;
use crate::fix::fix;
use crate::fix::report;
use crate::support::Project;
use crate::support::Ran;
use crate::support::require;

/// The names of all refs of the user's repository.
fn refs(project: &Project) -> Vec<String> {
    let told = project.git(["for-each-ref", "--format=%(refname)"]);
    told.lines().map(str::to_owned).collect()
}

#[track_caller]
fn gc(project: &Project, more: &[&str]) -> Ran {
    let ran = project.regreen(["gc"].iter().chain(more)).run();
    ran.exits(0);
    ran
}

/// A loop that passed, with a commit that was refused on its way: its id.
#[track_caller]
fn passed(project: &Project) -> String {
    let ran = fix(project, "fixes", &[]);
    let report = report(&ran);
    assert_eq!(report["stop_reason"], "passed", "{ran}");
    let id = report["id"].as_str().expect("an id").to_owned();
    let refused = format!("refs/regreen/rescue/{id}/0123456789ab");
    project.git(["update-ref", &refused, "main"]);
    id
}

#[test]
fn what_has_landed_goes_and_what_has_not_stays() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    let id = passed(&project);
    let branch = format!("refs/heads/regreen/{id}");
    let rescue = format!("refs/regreen/rescue/{id}/0123456789ab");
    let all = vec!["refs/heads/main".to_owned(), branch.clone(), rescue.clone()];
    assert_eq!(refs(&project), all);
    let kept = format!("kept regreen/{id} (");
    gc(&project, &[]).says(&kept).says(&format!(
        "its work has not landed: see `regreen loops show {id}`"
    ));
    assert_eq!(refs(&project), all);

    project.regreen(["loops", "apply"]).run().exits(0);
    let main = project.git(["rev-parse", "main"]);
    gc(&project, &["--dry-run"])
        .says("2 refs of loops")
        .says(&format!("would remove regreen/{id} ("));
    assert_eq!(refs(&project), all, "it was only asked");
    let collected = gc(&project, &["--json"]).json();
    assert_eq!(collected["refs"][0]["name"], branch, "{collected:#}");
    assert_eq!(collected["refs"][1]["name"], rescue, "{collected:#}");
    assert_eq!(collected["kept"], serde_json::json!([]));
    assert_eq!(refs(&project), ["refs/heads/main"]);
    assert_eq!(project.git(["rev-parse", "main"]), main);
    gc(&project, &[]).says("there was nothing to remove");
    project.regreen(["loops", "show"]).run().exits(0).says(&id);
}

#[test]
fn what_was_rejected_goes_when_it_is_old() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    let id = passed(&project);
    project.regreen(["loops", "reject"]).run().exits(0);
    gc(&project, &[]).says("rejected, and younger than `retention.age`");
    assert_eq!(refs(&project).len(), 3);
    project.home.user_config("[retention]\nage = \"1ms\"\n");
    gc(&project, &[])
        .says(&format!("removed regreen/{id} ("))
        .says("rejected, and older than `retention.age`")
        .says("refused, and older than `retention.age`");
    assert_eq!(refs(&project), ["refs/heads/main"]);
}

#[test]
fn age_alone_loses_no_work() {
    if !require("bwrap") {
        return;
    }
    let project = adder();
    let id = passed(&project);
    let branch = format!("regreen/{id}");
    project.home.user_config("[retention]\nage = \"1ms\"\n");
    // Old, and nobody has decided about it.
    gc(&project, &[])
        .says(&format!("kept {branch} ("))
        .says("its work has not landed")
        .says(&format!("removed refs/regreen/rescue/{id}/0123456789ab ("));
    // Landed, and somebody went on with it; then somebody stands on it.
    project.regreen(["loops", "apply"]).run().exits(0);
    project.git(["branch", "-q", "-f", &branch, "main~1"]);
    project.git(["checkout", "-q", &branch]);
    project.write("mine.txt", "mine\n");
    project.commit("mine");
    gc(&project, &[]).says("it is checked out");
    project.git(["checkout", "-q", "main"]);
    gc(&project, &[]).says("it has commits that are not regreen's");
    // Another branch has it all.
    project.git(["merge", "-q", "--no-edit", &branch]);
    gc(&project, &[]).says("`main` has all of it");
    assert_eq!(refs(&project), ["refs/heads/main"]);
}
