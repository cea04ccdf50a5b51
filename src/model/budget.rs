//! What a loop may spend and what it has spent.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;
use std::time::Duration;

/// What a loop may spend. Money is counted in millionths of a dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Budget {
    /// Wall time of the whole loop, in milliseconds.
    pub wall_ms: u64,
    /// Wall time of one turn of the agent, in milliseconds.
    pub turn_ms: u64,
    /// Iterations at most.
    pub iterations: u32,
    /// Tokens at most, if limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Money at most, in millionths of a dollar, if limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_usd: Option<u64>,
}

impl Default for Budget {
    /// Contract: 10 iterations, 30 minutes, 10 minutes a turn.
    fn default() -> Self {
        Budget {
            wall_ms: 30 * 60 * 1000,
            turn_ms: 10 * 60 * 1000,
            iterations: 10,
            tokens: None,
            micro_usd: None,
        }
    }
}

/// What a loop has spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Spend {
    /// Wall time, in milliseconds.
    pub wall_ms: u64,
    /// Iterations begun.
    pub iterations: u32,
    /// Tokens, as far as they could be counted.
    pub tokens: u64,
    /// Money, in millionths of a dollar, as far as it could be counted.
    pub micro_usd: u64,
}

impl Budget {
    /// Wall time that is left.
    pub fn wall_left(&self, spend: &Spend) -> Duration {
        Duration::from_millis(self.wall_ms.saturating_sub(spend.wall_ms))
    }
}
