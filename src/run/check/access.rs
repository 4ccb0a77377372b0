//! What a job goes by, and who else may change or read it.

use crate::channels::{SecretSource, Service};
use crate::check::{Finding, access};
use crate::config::{Config, Env};
use crate::folder::steps;
use crate::notify::Receiver;
use crate::run::channels::{find_program, receivers};
use std::path::PathBuf;

pub(super) fn findings(config: &Config, env: &Env) -> Vec<Finding> {
    let language = config.language;
    let mut findings = Vec::new();
    if let Some(file) = &config.file
        && let Ok(steps) = steps(file)
    {
        let what = language.pick("配置文件", "the configuration");
        findings.extend(access::changeable(what, &steps, language));
        if config.holds_secret() {
            findings.extend(access::readable(file, &steps, language));
        }
    }
    for (what, path) in files_of_channels(config, env) {
        // What cannot be found is said of the channel.
        if let Ok(steps) = steps(&path) {
            findings.extend(access::changeable(&what, &steps, language));
        }
    }
    findings
}

/// The files of secrets and the programs, with the channels that they are of.
fn files_of_channels(config: &Config, env: &Env) -> Vec<(String, PathBuf)> {
    let channels = &config.alerts.notify.channels;
    let mut files = Vec::new();
    for (channel, Receiver { name, .. }) in channels.iter().zip(receivers(channels)) {
        for (key, source) in channel.service.secrets() {
            if let SecretSource::File(path) = source {
                files.push((format!("{name}, {key}_file"), path.clone()));
            }
        }
        if let Service::Command(command) = &channel.service
            && let Some(program) = command.command.first()
            && let Ok(found) =
                find_program(program, env.path("PATH").unwrap_or_default().as_os_str())
        {
            files.push((format!("{name}, command"), found.into()));
        }
    }
    files
}
