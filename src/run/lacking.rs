//! The variables that jobs of cron will lack: whatever the configuration names and a run by hand goes by.

use super::{LIMITS, Session};
use crate::config::{self, Config};
use anyhow::Result;

impl Session {
    /// The variables that the configuration names or that this run goes by, and that the jobs will not have: whatever stands in no line of the
    /// crontab (`set`). A service of systemd has as few.
    pub(super) fn lacking(
        &self,
        config: &Config,
        set: &[String],
        by_systemd: bool,
    ) -> Result<Vec<String>> {
        let whose = if by_systemd {
            "a service of systemd does not have"
        } else {
            "cron's jobs do not have"
        };
        let line = |name: &str| {
            if by_systemd {
                format!(
                    "set it with Environment= in a drop-in of the services (`systemctl edit`), as {name}=…"
                )
            } else {
                format!("set it in a line of the crontab above the block, {name}=…")
            }
        };
        let env = &self.env;
        let mut found: Vec<(String, String)> = Vec::new();
        let effective = config.effective()?;
        for (key, source) in effective["sources"].as_object().into_iter().flatten() {
            match source.as_str() {
                Some(flag) if flag.starts_with('-') => found.push((
                    flag.to_owned(),
                    format!("{key} comes from {flag}, which {whose}: set it in the configuration file"),
                )),
                Some(source) => found.extend(source.strip_prefix('$').map(|name| {
                    let what = format!("{key} comes from ${name}, which {whose}: set it in the configuration file, or {}", line(name));
                    (name.to_owned(), what)
                })),
                None => {}
            }
        }
        let mut named = Vec::new();
        named_variables(&serde_json::to_value(&config.file_values)?, "", &mut named);
        found.extend(named.into_iter().map(|(key, name)| {
            let instead = key.trim_end_matches("_env");
            let what = format!("`{key}` names ${name}, which {whose}: name a file with `{instead}_file` instead, or {}", line(&name));
            (name, what)
        }));
        for name in self.relied_on(config, env) {
            let instead = match name.as_str() {
                "PGPASSWORD" => "put the password into ~/.pgpass or database.url",
                "PGPASSFILE" => "name the file in database.url, as ?passfile=…",
                name if name.starts_with("PG") => "say it in database.url",
                name if name.starts_with("TASKMON_") => "say it in [cleanup]",
                _ => "let the channels do without",
            };
            let what = format!(
                "runs from here go by ${name}, which {whose}: {instead}, or {}",
                line(&name)
            );
            found.push((name, what));
        }
        found.retain(|(name, _)| !set.contains(name));
        Ok(found.into_iter().map(|(_, what)| what).collect())
    }

    /// The variables of this run that say how databases and channels are reached and what expires, besides the sources of a configuration's keys.
    fn relied_on(&self, config: &Config, env: &config::Env) -> Vec<String> {
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
        let mut channels = config.alerts.channels.iter();
        let sends = channels.any(|channel| channel.kind != config::ChannelType::Command)
            || !config.heartbeat.all().is_empty();
        let matters = |name: &&str| match *name {
            name if name.starts_with("PG") => is_reached_by(config, name),
            name if SENDING.contains(&name) => sends || is_reached_by(config, name),
            name => LIMITS.contains(&name),
        };
        env.names().filter(matters).map(str::to_owned).collect()
    }
}

/// Whether the database would be another, or be reached otherwise, without the variable.
fn is_reached_by(config: &Config, name: &str) -> bool {
    let targets =
        |config: &Config| (config.database.target.clone(), config.database.read_target.clone());
    config.without_variable(name).map_or(true, |other| targets(&other) != targets(config))
}

/// Each `NAME_env` of the configuration and the variable that it names, the keys as `alerts.channels[1].url_env`.
fn named_variables(value: &serde_json::Value, path: &str, found: &mut Vec<(String, String)>) {
    use serde_json::Value;
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let path = match path {
                    "" => key.clone(),
                    path => format!("{path}.{key}"),
                };
                match value {
                    Value::String(name) if key.ends_with("_env") => {
                        found.push((path, name.clone()));
                    }
                    value => named_variables(value, &path, found),
                }
            }
        }
        Value::Array(values) => {
            for (at, value) in values.iter().enumerate() {
                named_variables(value, &format!("{path}[{}]", at + 1), found);
            }
        }
        _ => {}
    }
}
