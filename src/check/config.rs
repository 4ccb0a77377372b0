//! The configuration itself.

use super::Finding;
use crate::language::Language;
use std::path::Path;

/// The configuration that was read, and what it warns of.
pub fn config(file: Option<&Path>, warnings: &[String], language: Language) -> Vec<Finding> {
    let mut findings = vec![match file {
        Some(file) => Finding::ok(file.display().to_string()),
        None => Finding::warning(language.pick(
            "没有找到配置文件，使用默认值",
            "no configuration file was found; the defaults hold",
        ))
        .hint("taskmon config --default > taskmon.toml && chmod 600 taskmon.toml"),
    }];
    findings.extend(warnings.iter().map(Finding::warning));
    findings
}
