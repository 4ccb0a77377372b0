//! `[alerts]`, as far as rules go by it.

use super::custom::{List, MOST_TARGETS};
use super::{CustomRule, On, is_built_in};
use crate::live::Limits;
use crate::units::Thresholds;
use crate::values::{self, InvalidKey, check_names, check_thresholds};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The keys of `[alerts]` that rules go by. Percentages are exceeded above, not at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    #[serde(deserialize_with = "values::percent")]
    pub failure_rate_warning: f64,
    #[serde(deserialize_with = "values::percent")]
    pub failure_rate_critical: f64,
    #[serde(deserialize_with = "values::percent")]
    pub error_concentration_percent: f64,
    pub no_tasks: bool,
    /// Percent points: how far below a percentage what exceeded it must be for its alert to be resolved at once.
    #[serde(deserialize_with = "values::percent")]
    pub clear_margin: f64,
    /// By the type of an alert, for how many minutes it must be found before it is firing.
    #[serde(default)]
    pub for_minutes: BTreeMap<String, u32>,
    #[serde(default, rename = "rules")]
    pub custom: Vec<CustomRule>,
    pub live: Limits,
}

impl Settings {
    pub fn failure_rate(&self) -> Thresholds {
        Thresholds { warning: self.failure_rate_warning, critical: self.failure_rate_critical }
    }

    /// Whether some rule raises alerts of this type.
    pub fn is_known(&self, kind: &str) -> bool {
        is_built_in(kind) || self.custom.iter().any(|rule| rule.name == kind)
    }

    /// The queues, or the names of tasks, that rules on a kind of results are about.
    pub fn targets(&self, on: On, list: List) -> Vec<String> {
        let rules = self.custom.iter().filter(|rule| rule.on == on);
        let targets = rules.filter_map(CustomRule::target).filter(|target| target.list == list);
        targets.map(|target| target.name.to_owned()).collect()
    }

    /// # Errors
    /// A warning is above its critical threshold, or two rules have one name.
    pub fn check(&self) -> Result<(), InvalidKey> {
        check_thresholds(
            ("failure_rate_warning", self.failure_rate_warning),
            ("failure_rate_critical", self.failure_rate_critical),
        )?;
        check_names("rules", self.custom.iter().map(|rule| rule.name.as_str()))?;
        for (number, rule) in (1..).zip(&self.custom) {
            rule.check_target().map_err(|wrong| InvalidKey {
                key: format!("rules[{number}].{}", wrong.key),
                ..wrong
            })?;
        }
        for (on, list) in [On::Stats, On::Live]
            .into_iter()
            .flat_map(|on| [List::Queues, List::Names].map(|list| (on, list)))
        {
            let targets: BTreeSet<String> = self.targets(on, list).into_iter().collect();
            if targets.len() > MOST_TARGETS {
                let message = format!("name more than {MOST_TARGETS} {}", list.key());
                return Err(InvalidKey::new("rules", message));
            }
        }
        match self.for_minutes.keys().find(|kind| !self.is_known(kind)) {
            None => Ok(()),
            Some(kind) => {
                Err(InvalidKey::new(format!("for_minutes.{kind}"), "is the type of no alert"))
            }
        }
    }
}
