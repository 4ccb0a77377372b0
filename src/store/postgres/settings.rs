//! Settings that hold for one transaction. A pooler would hand those of a session on to others.

use super::quote::literal;
use std::time::Duration;

/// By this one, switched off, the server refuses what policies would filter.
pub const ROW_SECURITY: &str = "row_security";

/// With "local", Citus passes on to its workers what `SET LOCAL` sets from then on, and nothing that a function sets.
pub const PASS_ON: &str = "citus.propagate_set_commands";

/// Settings, as a statement that follows BEGIN.
#[derive(Debug, Clone)]
pub struct Settings(Vec<(&'static str, String)>);

impl Settings {
    /// No statement runs longer than this; zero: no limit. Nothing is compiled, which cost more than it saved on ten million rows.
    pub fn limited(limit: Duration) -> Self {
        Self(Vec::new())
            .with("statement_timeout", &limit.as_millis().to_string())
            .with("jit", "off")
    }

    pub fn of(name: &'static str, value: &str) -> Self {
        Self(Vec::new()).with(name, value)
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.0.push((name, value.to_owned()));
        self
    }

    /// Answers with no rows. A function and not `SET LOCAL`, which a server refuses that lacks the setting, and with it the whole transaction,
    /// and which some poolers forbid. What a server does not have is left out.
    pub fn statement(&self) -> String {
        let settings = self.0.iter().map(|(name, value)| format!("('{name}', {})", literal(value)));
        let settings: Vec<String> = settings.collect();
        format!(
            "SELECT 1 FROM (VALUES {}) AS s(name, value) WHERE CASE WHEN current_setting(s.name, true) IS NOT NULL \
             THEN set_config(s.name, s.value, true) IS NULL ELSE false END",
            settings.join(", ")
        )
    }
}
