//! Processors as people write them: `2`, `1.5`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use std::borrow::Cow;
use std::fmt;

/// Less than this the kernel does not hand out, in thousandths.
const LEAST: u64 = 10;
/// No machine has more.
const MOST: f64 = 65_536.0;

/// A number of processors, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cores(pub u64);

impl Cores {
    fn of(number: f64) -> Result<Self, String> {
        let millis = (number * 1000.0).round();
        if !(number > 0.0 && number <= MOST && millis >= LEAST as f64) {
            return Err(format!(
                "`{number}` is no number of processors; write it like `2` or `1.5`, 0.01 at least"
            ));
        }
        // Within the bounds above, so that nothing is cut off.
        Ok(Cores(millis as u64))
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1000, self.0 % 1000);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        let rest = format!("{rest:03}");
        write!(f, "{whole}.{}", rest.trim_end_matches('0'))
    }
}

impl<'de> Deserialize<'de> for Cores {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Cores;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of processors, as 2 or 1.5")
            }
            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Cores, E> {
                Cores::of(number).map_err(E::custom)
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Cores, E> {
                Cores::of(number as f64).map_err(E::custom)
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Cores, E> {
                Cores::of(number as f64).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for Cores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 1000.0)
    }
}

impl JsonSchema for Cores {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Cores")
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "number",
            "description": "a number of processors, as 2 or 1.5",
            "minimum": 0.01,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_read_and_written() {
        for (number, millis, shown) in [(2.0, 2000, "2"), (1.5, 1500, "1.5"), (0.05, 50, "0.05")] {
            let cores = Cores::of(number).expect(shown);
            assert_eq!(cores.0, millis);
            assert_eq!(cores.to_string(), shown);
        }
        for wrong in [0.0, -1.0, 0.001, f64::NAN, f64::INFINITY, 1e9] {
            assert!(Cores::of(wrong).is_err(), "{wrong}");
        }
    }
}
