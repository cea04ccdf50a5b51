mod support;
use regreen_parsers::*;
use support::Recording;
#[test]
fn compare() {
    let only = std::env::var("ONLY").unwrap_or_default();
    for recording in Recording::all() {
        if !recording.name.contains(&only) || !recording.case.log {
            continue;
        }
        if recording.case.format == "generic" {
            continue;
        }
        let own = recording.report();
        for format in [Format::Generic, Format::Auto] {
            let mut input = Input::log(format, &recording.stdout);
            input.exit = Some(recording.case.exit);
            input.context = Context::rooted(&recording.case.root);
            input.files = recording
                .files
                .iter()
                .map(|(name, bytes)| ReportFile { name, bytes })
                .collect();
            let got = parse(&input);
            let ids = |r: &Report| {
                let mut v: Vec<String> = r
                    .failures
                    .iter()
                    .map(|f| format!("{} {:?}", f.id, f.kind))
                    .collect();
                v.sort();
                v
            };
            let (a, b) = (ids(&own), ids(&got));
            if a != b
                || own.outcome != got.outcome
                || own.complete != got.complete
                || own.counts != got.counts
            {
                let extra: Vec<_> = b.iter().filter(|x| !a.contains(x)).take(3).collect();
                let missing: Vec<_> = a.iter().filter(|x| !b.contains(x)).take(3).collect();
                println!(
                    "{format} {}: fw={} {:?}->{:?} complete {}->{} counts {:?}->{:?}\n    extra {extra:?}\n    missing {missing:?}",
                    recording.name,
                    got.run.framework,
                    own.outcome,
                    got.outcome,
                    own.complete,
                    got.complete,
                    (own.counts.passed, own.counts.failed, own.counts.skipped),
                    (got.counts.passed, got.counts.failed, got.counts.skipped)
                );
            }
        }
    }
}
