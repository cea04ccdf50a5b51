//! Durations and sizes as people write them: `90s`, `1h30m`, `2GiB`. A number without its unit
//! is refused, because nobody can know which one was meant.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// A length of time, written with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Duration);

/// A number of bytes, written with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const TIMES: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

const SIZES: [(&str, u64); 9] = [
    ("B", 1),
    ("KB", 1_000),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

impl Time {
    /// Reads `250ms`, `10m`, `1h30m`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text.trim();
        let mut millis: u64 = 0;
        if rest.is_empty() {
            return Err("a duration is missing; write it like `90s` or `10m`".to_owned());
        }
        while !rest.is_empty() {
            let (number, unit, after) = quantity(rest).ok_or_else(|| no_time(text))?;
            let (_, factor) = TIMES
                .iter()
                .find(|(name, _)| *name == unit)
                .ok_or_else(|| no_time(text))?;
            millis = number
                .checked_mul(*factor)
                .and_then(|part| millis.checked_add(part))
                .ok_or_else(|| format!("`{text}` is too long a duration"))?;
            rest = after;
        }
        Ok(Time(Duration::from_millis(millis)))
    }

    /// The whole of it in milliseconds.
    pub fn millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Size {
    /// Reads `512MiB`, `2GB`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        let (number, unit, after) = quantity(trimmed).ok_or_else(|| no_size(text))?;
        let (_, factor) = SIZES
            .iter()
            .find(|(name, _)| *name == unit)
            .filter(|_| after.is_empty())
            .ok_or_else(|| no_size(text))?;
        number
            .checked_mul(*factor)
            .map(Size)
            .ok_or_else(|| format!("`{text}` is too large a size"))
    }
}

fn no_time(text: &str) -> String {
    format!(
        "`{text}` is not a duration; write a number and a unit: `250ms`, `90s`, `10m`, `1h30m`, `30d`"
    )
}

fn no_size(text: &str) -> String {
    format!("`{text}` is not a size; write a number and a unit: `512MiB`, `2GiB`, `500MB`")
}

/// Splits `10m5s` into 10, `m` and `5s`.
fn quantity(text: &str) -> Option<(u64, &str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number = text[..digits].parse().ok()?;
    let rest = text[digits..].trim_start();
    let letters = rest
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(rest.len());
    (letters > 0).then(|| (number, &rest[..letters], rest[letters..].trim_start()))
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.millis();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (name, factor) in TIMES.iter().rev() {
            if rest >= *factor {
                write!(f, "{}{name}", rest / factor)?;
                rest %= factor;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = SIZES
            .iter()
            .filter(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor));
        if let Some((name, factor)) = whole.max_by_key(|(_, factor)| *factor) {
            return write!(f, "{}{name}", self.0 / factor);
        }
        write!(f, "{}B", self.0)
    }
}

macro_rules! as_text {
    ($name:ident, $title:literal, $describe:literal, $pattern:literal) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl serde::de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($describe)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::parse(text).map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Visitor)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                Cow::Borrowed($title)
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "description": $describe,
                    "pattern": $pattern,
                })
            }
        }
    };
}

as_text!(
    Time,
    "Duration",
    "a duration with its unit, as \"90s\" or \"1h30m\"",
    r"^\s*([0-9]+\s*(ms|s|m|h|d)\s*)+$"
);
as_text!(
    Size,
    "Size",
    "a size with its unit, as \"512MiB\" or \"2GB\"",
    r"^\s*[0-9]+\s*(B|kB|KB|MB|GB|KiB|MiB|GiB|TiB)\s*$"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, millis, shown) in [
            ("250ms", 250, "250ms"),
            ("90s", 90_000, "1m30s"),
            ("1h 30m", 5_400_000, "1h30m"),
            ("30d", 2_592_000_000, "30d"),
            ("0s", 0, "0s"),
        ] {
            let time = Time::parse(text).expect(text);
            assert_eq!(time.millis(), millis, "{text}");
            assert_eq!(time.to_string(), shown, "{text}");
            assert_eq!(Time::parse(shown), Ok(time));
        }
        for wrong in [
            "",
            "10",
            "m",
            "10 parsecs",
            "-5s",
            "5s-",
            "99999999999999999999s",
        ] {
            assert!(Time::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Time::parse("18446744073709551615d").is_err());
    }

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes, shown) in [
            ("512MiB", 512 << 20, "512MiB"),
            ("2 GB", 2_000_000_000, "2GB"),
            ("2048KiB", 2 << 20, "2MiB"),
            ("7B", 7, "7B"),
        ] {
            let size = Size::parse(text).expect(text);
            assert_eq!(size.0, bytes, "{text}");
            assert_eq!(size.to_string(), shown, "{text}");
        }
        for wrong in ["", "2", "2gib", "GiB", "2GiB3", "99999999999TiB"] {
            assert!(Size::parse(wrong).is_err(), "{wrong}");
        }
    }
}
