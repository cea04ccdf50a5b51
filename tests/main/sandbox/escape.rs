//! What the sandbox holds back: every test tries to get out.

use crate::sandbox::lab::Lab;
use crate::support::require;
use regreen::sandbox::bwrap::Bwrap;

#[tokio::test]
async fn a_command_runs_at_the_users_own_path() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    std::fs::write(lab.tree().join("a.txt"), "from the slot").expect("ours");
    let seen = lab.shell("pwd; cat a.txt; echo made >b.txt; exit 7").await;
    let expected = format!("{}\nfrom the slot", lab.root().display());
    assert_eq!(seen.stdout, expected, "{seen:?}");
    assert_eq!(seen.code(), Some(7));
    assert_eq!(seen.ended.not_started, None);
    let made = std::fs::read_to_string(lab.tree().join("b.txt")).expect("it went to the slot");
    assert_eq!(made, "made\n");
    assert!(
        !lab.root().join("b.txt").exists(),
        "the user's tree is untouched"
    );
    let markers = std::fs::read_dir(Bwrap::markers(&lab.host)).expect("it was made");
    assert_eq!(markers.count(), 0, "the marker is gone with the sandbox");
}
