//! How Jest and Vitest are asked for structure: a file of ours is loaded into every node process
//! by NODE_OPTIONS, finds out which one is the runner, and adds our reporter to its arguments.
//! So the same works for `npx jest`, `npm test`, `make`, and whatever else stands before it.

use crate::js::argv;
use crate::records::EVENTS_FILE;
use crate::records::EVENTS_VARIABLE;
use crate::request::Asked;
use crate::request::Request;

/// The file that adds arguments.
const HOOK: &str = include_str!("../../reporters/regreen_js.cjs");
/// Its name.
const HOOK_NAME: &str = "regreen_js.cjs";

/// The request for one of them. `drop` are options that let a run end early or never: our file
/// takes them out behind wrappers, too, but what regreen shows of the command should be true.
pub(crate) fn request(
    asked: &Asked<'_>,
    names: &[&str],
    drop: &[&str],
    reporter: (&'static str, &'static str),
) -> Request {
    let path = format!("{}/{HOOK_NAME}", asked.places.inject);
    let own = asked.own("NODE_OPTIONS").unwrap_or("");
    let options = format!("--require \"{path}\" {own}");
    let start = argv::start(asked.argv, names).unwrap_or(usize::MAX);
    let kept = |(at, word): &(usize, &String)| {
        let name = word.split('=').next().unwrap_or(word);
        *at < start || !drop.contains(&name)
    };
    let words = asked.argv.iter().enumerate().filter(kept);
    let argv: Vec<String> = words.map(|(_, word)| word.clone()).collect();
    Request::plain(&argv)
        .set("NODE_OPTIONS", options.trim_end())
        .set(
            EVENTS_VARIABLE,
            format!("{}/{EVENTS_FILE}", asked.places.events),
        )
        .file(HOOK_NAME, HOOK)
        .file(reporter.0, reporter.1)
}
