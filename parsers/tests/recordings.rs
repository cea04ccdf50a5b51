//! Every recording under `fixtures/recordings` against the report that is expected of it.
//!
//! The recordings come from real runs (`fixtures/recordings/record.py`). After a change that
//! is meant: `INSTA_UPDATE=always cargo test -p regreen-parsers`, and read the difference.

mod support;

use support::Recording;

#[test]
fn every_recording_gives_the_expected_report() {
    let recordings = Recording::all();
    assert!(
        recordings.len() >= 30,
        "only {} recordings found",
        recordings.len()
    );
    for recording in recordings {
        let report = recording.report();
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(&recording.dir);
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.set_description(recording.name.clone());
        settings.bind(|| insta::assert_json_snapshot!("report", report));
    }
}

#[test]
fn feeding_byte_by_byte_makes_no_difference() {
    for recording in Recording::all() {
        let whole = recording.report();
        let pieces = recording.report_in_pieces(7);
        assert_eq!(whole, pieces, "{}", recording.name);
    }
}
