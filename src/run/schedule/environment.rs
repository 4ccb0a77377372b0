//! Variables that the jobs will not have: those that the configuration names, or that a run by hand goes by.
//!
//! cron and systemd start jobs with hardly any environment, so that a job that works by hand may fail at night.

use crate::channels::Service;
use crate::cli::SchedulePlace;
use crate::config::Config;
use crate::run::Session;
use crate::run::cleanup::LIMITS;
use anyhow::Result;
use serde_json::Value;

/// Variables by which HTTP requests and TLS go.
const SENDING: [&str; 8] = [
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

impl Session {
    /// A warning for each variable or flag that this run goes by and that the jobs will not have. `set`: what lines of the crontab set.
    pub(super) fn missing_variables(
        &self,
        config: &Config,
        set: &[String],
        place: &SchedulePlace,
    ) -> Result<Vec<String>> {
        let (whose, line) = if place.systemd {
            (
                "a service of systemd does not have",
                "set it with Environment= in a drop-in of the services (`systemctl edit`), as",
            )
        } else {
            ("cron's jobs do not have", "set it in a line of the crontab above the block,")
        };
        // Each with its name.
        let mut found: Vec<(String, String)> = Vec::new();
        let effective = config.effective()?;
        for (key, source) in effective["sources"].as_object().into_iter().flatten() {
            let source = source.as_str().unwrap_or_default();
            if source.starts_with('-') {
                let what = format!(
                    "{key} comes from {source}, which {whose}: set it in the configuration file"
                );
                found.push((source.to_owned(), what));
            } else if let Some(name) = source.strip_prefix('$') {
                let what = format!(
                    "{key} comes from ${name}, which {whose}: set it in the configuration file, or {line} {name}=…"
                );
                found.push((name.to_owned(), what));
            }
        }
        let mut named = Vec::new();
        collect_named_variables(&serde_json::to_value(&config.values)?, "", &mut named);
        found.extend(named.into_iter().map(|(key, name)| {
            let instead = key.trim_end_matches("_env");
            let what = format!("`{key}` names ${name}, which {whose}: name a file with `{instead}_file` instead, or {line} {name}=…");
            (name, what)
        }));
        found.extend(self.relied_on(config).into_iter().map(|name| {
            let instead = match name.as_str() {
                "PGPASSWORD" => "put the password into ~/.pgpass or database.url",
                "PGPASSFILE" => "name the file in database.url, as ?passfile=…",
                name if name.starts_with("PG") => "say it in database.url",
                name if name.starts_with("TASKMON_") => "say it in [cleanup]",
                _ => "let the channels do without",
            };
            let what = format!(
                "runs from here go by ${name}, which {whose}: {instead}, or {line} {name}=…"
            );
            (name, what)
        }));
        found.retain(|(name, _)| !set.contains(name));
        Ok(found.into_iter().map(|(_, what)| what).collect())
    }

    /// The variables of this run that say how databases and channels are reached and what expires, besides the sources of a configuration's keys.
    fn relied_on(&self, config: &Config) -> Vec<String> {
        let mut channels = config.alerts.notify.channels.iter();
        let sends = channels.any(|channel| !matches!(channel.service, Service::Command(_)))
            || !config.heartbeat.all().is_empty();
        let matters = |name: &&str| match *name {
            name if name.starts_with("PG") => decides_the_database(config, name),
            name if SENDING.contains(&name) => sends || decides_the_database(config, name),
            name => LIMITS.contains(&name),
        };
        self.env.names().filter(matters).map(str::to_owned).collect()
    }
}

/// Whether the database would be another, or be reached otherwise, without the variable.
fn decides_the_database(config: &Config, name: &str) -> bool {
    let targets =
        |config: &Config| (config.database.target.clone(), config.database.read_target.clone());
    config.without_variable(name).map_or(true, |other| targets(&other) != targets(config))
}

/// Finds each `NAME_env` of the configuration and the variable that it names, the keys as `alerts.channels[1].url_env`.
fn collect_named_variables(value: &Value, path: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match value {
                    Value::String(name) if key.ends_with("_env") => {
                        found.push((path, name.clone()));
                    }
                    value => collect_named_variables(value, &path, found),
                }
            }
        }
        Value::Array(values) => {
            for (at, value) in values.iter().enumerate() {
                collect_named_variables(value, &format!("{path}[{}]", at + 1), found);
            }
        }
        _ => {}
    }
}
