//! `[alerts]`, as far as rules go by it.

use super::custom::{List, MOST_TARGETS};
use super::{CustomRule, On, is_built_in};
use crate::live::Limits;
use crate::units::Thresholds;
use crate::values::{self, InvalidKey, check_names, check_scheme, check_thresholds};
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
    /// By the type of an alert, where to read what to do about it.
    #[serde(default)]
    pub runbooks: BTreeMap<String, String>,
    /// Where the report of a day can be read; `{date}` is the day as YYYY-MM-DD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_url: Option<String>,
    #[serde(default, rename = "rules")]
    pub custom: Vec<CustomRule>,
    pub live: Limits,
}

/// No service takes longer links beside a message, in bytes.
const LONGEST_LINK: usize = 300;

/// # Errors
/// It is no URL that every channel can show.
fn check_link(key: &str, url: &str) -> Result<(), InvalidKey> {
    check_scheme(key, url, &["https", "http"])?;
    let is_plain =
        url.bytes().all(|byte| byte.is_ascii_graphic() && !br#"<>"`\^|"#.contains(&byte));
    if is_plain && url.len() <= LONGEST_LINK {
        return Ok(());
    }
    let message =
        format!("must be a URL of up to {LONGEST_LINK} characters, others percent-encoded");
    Err(InvalidKey::new(key, message))
}

impl Settings {
    pub fn failure_rate(&self) -> Thresholds {
        Thresholds { warning: self.failure_rate_warning, critical: self.failure_rate_critical }
    }

    /// Where to read what to do about alerts of this type.
    pub fn runbook(&self, kind: &str) -> Option<&str> {
        let of_rule = || self.custom.iter().find(|rule| rule.name == kind)?.runbook.as_deref();
        self.runbooks.get(kind).map(String::as_str).or_else(of_rule)
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
        let by_type =
            |key: &'static str| move |kind: &String| (format!("{key}.{kind}"), kind.clone());
        let waits = self.for_minutes.keys().map(by_type("for_minutes"));
        let mut kinds = waits.chain(self.runbooks.keys().map(by_type("runbooks")));
        if let Some((key, _)) = kinds.find(|(_, kind)| !self.is_known(kind)) {
            return Err(InvalidKey::new(key, "is the type of no alert"));
        }
        let report = self.report_url.iter().map(|url| ("report_url".to_owned(), url));
        let runbooks = self.runbooks.iter().map(|(kind, url)| (format!("runbooks.{kind}"), url));
        let of_rules = (1..).zip(&self.custom).filter_map(|(number, rule)| {
            Some((format!("rules[{number}].runbook"), rule.runbook.as_ref()?))
        });
        report.chain(runbooks).chain(of_rules).try_for_each(|(key, url)| check_link(&key, url))
    }
}
