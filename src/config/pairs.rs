//! The two layers that are no files: environment variables and flags, each one key.

use crate::config::ConfigError;
use crate::config::Layer;
use crate::config::Origin;
use crate::config::read;
use crate::model::HostEnv;
use crate::model::Note;

/// One setting from the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The flag as the user typed it, `--backend`.
    pub name: &'static str,
    /// The dotted key that it sets, `backend`.
    pub key: &'static str,
    /// Its value, written as in a file but without quotes.
    pub value: String,
}

/// How a value is written in TOML.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Plain,
    List,
}

/// What the names of all variables begin with.
const PREFIX: &str = "REGREEN_";

/// The keys that can be set by one variable: `limits.timeout` is `REGREEN_LIMITS_TIMEOUT`.
const KEYS: [(&str, Kind); 28] = [
    ("trigger", Kind::Text),
    ("debounce", Kind::Text),
    ("backend", Kind::Text),
    ("sandbox.image", Kind::Text),
    ("network", Kind::Text),
    ("pass_env", Kind::List),
    ("include", Kind::List),
    ("detect", Kind::Plain),
    ("limits.timeout", Kind::Text),
    ("limits.silence", Kind::Text),
    ("limits.memory", Kind::Text),
    ("limits.processes", Kind::Plain),
    ("limits.cpu", Kind::Plain),
    ("limits.disk", Kind::Text),
    ("limits.file_size", Kind::Text),
    ("limits.output", Kind::Text),
    ("fix.agent", Kind::Text),
    ("fix.max_iterations", Kind::Plain),
    ("fix.timeout", Kind::Text),
    ("fix.turn_timeout", Kind::Text),
    ("fix.protected", Kind::List),
    ("retention.age", Kind::Text),
    ("retention.size", Kind::Text),
    ("slots.max", Kind::Plain),
    ("slots.size", Kind::Text),
    ("setup.allow", Kind::Plain),
    ("setup.hosts", Kind::List),
    ("setup.timeout", Kind::Text),
];

/// The variable that sets a key.
pub fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_ascii_uppercase())
}

/// Variables of regreen's that set no key.
const OTHERS: [&str; 2] = ["REGREEN_LOG", "REGREEN_BWRAP"];

/// Variables that look like a setting and are none: a misspelt one sets nothing, in silence.
pub fn misspelt(host: &HostEnv) -> Vec<Note> {
    let known: Vec<String> = KEYS.iter().map(|(key, _)| variable(key)).collect();
    // Of the prefix that all share, any two would be alike.
    let bare = |name: &'_ str| name.strip_prefix(PREFIX).map(str::to_owned);
    let words: Vec<String> = known.iter().filter_map(|name| bare(name)).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    host.vars
        .keys()
        .filter_map(|name| name.to_str())
        .filter(|name| !OTHERS.contains(name) && !known.iter().any(|known| known == name))
        .filter_map(|name| {
            let meant = read::nearest(&bare(name)?, &words)?;
            let text = format!("`{name}` is no setting of regreen's and counts for nothing");
            let remedy = format!("did you mean `{PREFIX}{meant}`?");
            Some(Note::new("unknown_variable", text).remedy(remedy))
        })
        .collect()
}

/// The layers of the environment, then those of the flags.
pub fn layers(host: &HostEnv, flags: &[Flag]) -> Result<Vec<(Origin, Layer)>, ConfigError> {
    let mut layers = Vec::new();
    for (key, kind) in KEYS {
        let name = variable(key);
        if let Some(value) = host.var(&name).filter(|value| !value.is_empty()) {
            let layer = layer(&name, key, kind, value)?;
            layers.push((Origin::Environment(name), layer));
        }
    }
    for flag in flags {
        let kind = KEYS
            .iter()
            .find(|(key, _)| *key == flag.key)
            .map_or(Kind::Text, |(_, kind)| *kind);
        let layer = layer(flag.name, flag.key, kind, &flag.value)?;
        layers.push((Origin::Flag(flag.name), layer));
    }
    Ok(layers)
}

fn layer(name: &str, key: &str, kind: Kind, value: &str) -> Result<Layer, ConfigError> {
    let wrong = |message: &str| {
        let (message, hint) = read::explain(message);
        ConfigError::Value {
            name: name.to_owned(),
            message,
            hint,
        }
    };
    let value = match kind {
        Kind::Text => toml::Value::String(value.to_owned()),
        Kind::List => toml::Value::Array(
            value
                .split(',')
                .map(|item| toml::Value::String(item.trim().to_owned()))
                .collect(),
        ),
        Kind::Plain => plain(value)
            .ok_or_else(|| wrong(&format!("`{value}` is no number, `true` or `false`")))?,
    };
    let nested = key.rsplit('.').fold(value, |inner, part| {
        let mut table = toml::Table::new();
        table.insert(part.to_owned(), inner);
        toml::Value::Table(table)
    });
    nested
        .try_into()
        .map_err(|error: toml::de::Error| wrong(error.message()))
}

fn plain(value: &str) -> Option<toml::Value> {
    match value {
        "true" => Some(toml::Value::Boolean(true)),
        "false" => Some(toml::Value::Boolean(false)),
        number => match number.parse() {
            Ok(whole) => Some(toml::Value::Integer(whole)),
            Err(_) => number.parse().ok().map(toml::Value::Float),
        },
    }
}
