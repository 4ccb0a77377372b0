//! The indexes that cleanup needs.

use super::Finding;
use crate::language::Language;
use crate::store::prune::MissingIndex;

/// The missing ones, each with the statement that creates it where there is one.
pub fn indexes(indexes: &[MissingIndex], language: Language) -> Vec<Finding> {
    let missing = indexes.iter().map(|index| {
        let place = &index.place;
        let message = language.pick(
            format!("{place} 上没有索引，cleanup 会一遍遍扫描整个表"),
            format!("there is no index on {place}: cleanup reads the whole table again and again"),
        );
        match &index.remedy {
            Ok(statement) => Finding::warning(message).hint(statement.trim_end_matches(';')),
            Err(why) => Finding::warning(format!("{message}: {why}")).hint(language.pick(
                "清理照常完成，只是较慢；若映射改用表中的普通列，就可以为它建索引",
                "the work is done all the same, only slower; a plain column of the table in its place could be indexed",
            )),
        }
    });
    let mut findings: Vec<Finding> = missing.collect();
    if findings.is_empty() {
        findings.push(Finding::ok(
            language.pick("cleanup 所需的索引都在", "cleanup has the indexes that it needs"),
        ));
    }
    findings
}
