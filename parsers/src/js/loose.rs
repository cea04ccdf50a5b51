//! Files that Jest or Vitest could not load: what the long texts around it come down to.

use crate::context::Context;
use crate::js::load;
use crate::js::raised::Raised;
use crate::js::stack;
use crate::js::thrown::Thrown;
use crate::report::Failure;
use crate::report::Location;
use crate::text;

/// Gives a failure of collection its message and place.
pub(crate) fn refine(failure: &mut Failure, raised: &Raised<'_>, message: &str, context: &Context) {
    let told = match message.split_once("\nDetails:\n") {
        Some((_, details)) => details.trim_start_matches(['\n', ' ']),
        None => message,
    };
    let whole = raised.text;
    let syntax = load::syntax_place(told, context);
    let told = match syntax {
        Some(_) => load::below_source(told),
        None => told,
    };
    let place = syntax
        .or_else(|| in_brackets(told, context))
        .or_else(|| with_error(whole, raised.file, context))
        .or_else(|| named(whole, raised.file, context));
    if place.is_some() {
        failure.location = place;
    }
    if failure.location.is_none() && !raised.file.is_empty() {
        failure.location = Some(Location {
            file: raised.file.to_owned(),
            line: None,
            column: None,
        });
    }
    if let Some(line) = announced(told) {
        failure.message = text::cut(&line, text::MESSAGE);
    }
    if let Some(code) = type_error(whole) {
        failure.code = Some(code);
    }
}

/// The line that says it.
fn announced(told: &str) -> Option<String> {
    let bare = Thrown::head(told).message;
    let told = match bare.trim_start().starts_with("● Validation Error:") {
        true => bare.as_str(),
        false => told,
    };
    let mut lines = told.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next()?;
    // Of a list of errors the first one counts.
    let heading = first == "● Validation Error:"
        || first.ends_with("Transform failed with 1 error:")
        || first.ends_with("Parse failed with 1 error:")
        || first.contains("Transform failed with ");
    if heading && let Some(next) = lines.next() {
        return Some(next.to_owned());
    }
    let line = Thrown::head(told).line();
    Some(match line.split_once(": /") {
        // `SyntaxError: /p/a.test.js: Unexpected token (2:12)`
        Some((name, rest)) if name.ends_with("Error") => match rest.split_once(": ") {
            Some((_, words)) => format!("{name}: {words}"),
            None => line,
        },
        _ => line,
    })
}

/// `SyntaxError: /p/a.test.js: Unexpected token (2:12)`: columns are counted from 0 there.
fn in_brackets(told: &str, context: &Context) -> Option<Location> {
    let first = told.lines().find(|line| !line.trim().is_empty())?;
    let (words, place) = first.trim_end().rsplit_once(" (")?;
    let (line, column) = place.strip_suffix(')')?.split_once(':')?;
    let (line, column) = (line.parse::<u32>().ok()?, column.parse::<u32>().ok()?);
    let at = words.find('/')?;
    let end = words[at..].find(": ")?;
    at_place(&words[at..at + end], line, Some(column + 1), context)
}

/// `/p/a.test.ts:6:9: ERROR: Unexpected "="`, `a.ts:2:7 - error TS2322: …`.
fn with_error(text: &str, file: &str, context: &Context) -> Option<Location> {
    for line in text.lines().take(60) {
        let bare = line.trim();
        let end = [": ERROR: ", " - error TS", ": error TS"]
            .iter()
            .find_map(|words| bare.find(words));
        let place = match end {
            Some(end) => &bare[..end],
            None => match bare.find("╭─[ ") {
                Some(at) => bare[at + "╭─[ ".len()..].trim_end_matches(" ]"),
                None => continue,
            },
        };
        if let Some(found) = position(place, file, context) {
            return Some(found);
        }
    }
    None
}

/// `File: /p/a.test.ts:6:9`, `At file: /a.test.js:3:12`.
fn named(text: &str, file: &str, context: &Context) -> Option<Location> {
    text.lines().take(80).find_map(|line| {
        let bare = line.trim();
        let place = bare
            .strip_prefix("File: ")
            .or(bare.strip_prefix("At file: "))?;
        position(place, file, context)
    })
}

/// `file:line:column`. Vite writes `/a.js` for what lies in its root.
fn position(place: &str, file: &str, context: &Context) -> Option<Location> {
    let mut parts = place.rsplitn(3, ':');
    let column = parts.next()?.parse::<u32>().ok()?;
    let line = parts.next()?.parse::<u32>().ok()?;
    let path = parts.next()?;
    let own = !file.is_empty() && format!("/{file}").ends_with(path);
    match own {
        true => Some(Location {
            file: file.to_owned(),
            line: Some(line),
            column: Some(column),
        }),
        false => at_place(path, line, Some(column), context),
    }
}

fn at_place(path: &str, line: u32, column: Option<u32>, context: &Context) -> Option<Location> {
    let file = context.relative(&stack::path(path));
    stack::is_user(context, &file).then_some(Location {
        file,
        line: Some(line).filter(|line| *line > 0),
        column,
    })
}

/// The code of TypeScript's first error.
fn type_error(text: &str) -> Option<String> {
    let at = text.find("error TS")? + "error ".len();
    let code: String = text[at..]
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect();
    (code.len() > 2).then_some(code)
}
