//! Whether the tables have what the mapping names.

use super::Finding;
use crate::language::Language;
use crate::mapping::{Field, State, States};
use crate::outcome::{Failure, Kind};
use crate::store::cascades::{OnDelete, Stranded};
use crate::store::inspect::{Inspection, Rights};
use crate::timezone::Tz;
use chrono::{DateTime, Offset, Utc};

/// The columns that a report found for the fields of the mapping.
pub struct Columns<'a> {
    pub missing: &'a [Field],
    /// Of the others, what the database calls their types.
    pub types: &'a [(Field, String)],
    /// The types of what cleanup reads beside them.
    pub others: &'a [(String, String)],
}

/// Whether reports find their columns. `opened`: what was found, or why the table does not fit.
pub fn columns(opened: Result<Columns, &Failure>, language: Language) -> Finding {
    let missing = match opened {
        Ok(columns) if columns.missing.is_empty() => {
            let types = described(&columns);
            return Finding::ok(language.pick(
                format!("统计所需的列都在：{types}"),
                format!("the table has the columns that reports need: {types}"),
            ));
        }
        Ok(columns) => columns.missing,
        Err(failure) if failure.kind == Kind::PermissionDenied => {
            return Finding::skipped(&failure.message);
        }
        Err(failure) => return Finding::of(failure),
    };
    let names: Vec<&str> = missing.iter().map(|field| field.name()).collect();
    let names = names.join(", ");
    Finding::warning(language.pick(
        format!("表中没有这些列：{names}；报告中相应的值为 null，cleanup 会拒绝运行"),
        format!("the table does not have what the mapping names for {names}: reports say null, and cleanup refuses to run"),
    ))
    .hint(language.pick(
        "在 [database.tasks] 中改为实际的列名，没有的写 \"\"",
        "in [database.tasks] name the columns that there are, and write \"\" for one that there is not",
    ))
}

/// Says where times without a zone are read as those of another zone (`naive`) than the database's sessions have: a client that sends times with their
/// zone, as Celery's driver does, has the server store them in the session's zone.
pub fn naive_times(
    types: &[(Field, String)],
    (sessions, naive): (Option<&str>, Tz),
    now: DateTime<Utc>,
    language: Language,
) -> Option<Finding> {
    let sessions: Tz = sessions?.parse().ok()?;
    let offset = |zone: Tz| now.with_timezone(&zone).offset().fix();
    let fields: Vec<&str> = (types.iter())
        .filter(|(_, kind)| kind == "timestamp without time zone")
        .map(|(field, _)| field.name())
        .collect();
    (offset(sessions) != offset(naive) && !fields.is_empty()).then(|| {
        let fields = fields.join(", ");
        Finding::ok(language.pick(
            format!("不带时区的时间（{fields}）按 {naive} 理解（naive_timestamps），而数据库会话的时区是 {sessions}：客户端若发送带时区的时间（Celery 即如此），存下的是会话时区的时间"),
            format!("times without a zone ({fields}) are read as {naive} (naive_timestamps), and the database's sessions are in {sessions}: a client that sends times with their zone, as Celery does, has them stored in that one"),
        ))
    })
}

/// The tables that cleanup would find missing.
pub fn missing_tables(inspection: &Inspection, language: Language) -> Vec<Finding> {
    let missing = inspection.rights.iter().filter(|rights| rights.is_missing);
    let finding = |rights: &Rights| {
        let table = &rights.table;
        Finding::failed(language.pick(
            format!("没有表 {table}，cleanup 要从中删除"),
            format!("there is no table {table}, which cleanup is to delete from"),
        ))
    };
    missing.map(finding).collect()
}

/// What came of trying the mapping on rows.
pub fn trials(inspection: &Inspection, language: Language) -> Vec<Finding> {
    let trials = &inspection.trials;
    let mut findings: Vec<Finding> = trials.failed.iter().map(Finding::of).collect();
    findings.extend(trials.untried.iter().map(|why| {
        Finding::skipped(language.pick(
            format!("没能在现有的行上试算：{why}"),
            format!("not tried on the rows that there are: {why}"),
        ))
    }));
    findings
}

/// Files that deletions would leave behind.
pub fn stranded(inspection: &Inspection, language: Language) -> Vec<Finding> {
    let finding = |stranded: &Stranded| {
        let Stranded { section, table, column, on_delete } = stranded;
        let warning = Finding::warning(match on_delete {
            OnDelete::Cascade => language.pick(
                format!("{table} 的行由外键随 {section} 一起删除（ON DELETE CASCADE），其 {column} 列看来是文件路径：这些文件会遗留下来"),
                format!("a foreign key has rows of {table} go with {section} (ON DELETE CASCADE), and their {column} looks like the path of a file, which would be left behind"),
            ),
            OnDelete::SetNull => language.pick(
                format!("删除 {section} 的行后，{table} 的行会留下而不再指向它们（ON DELETE SET NULL），其 {column} 列看来是文件路径：这些文件再也不会被清理"),
                format!("rows of {table} stay when {section} go and no longer refer to them (ON DELETE SET NULL), and their {column} looks like the path of a file, which would never go"),
            ),
        });
        warning.hint(language.pick(
            format!("若是文件路径，用 [[database.{section}.dependents]] 写明 from = '{table}' 和 files = ['{column}']"),
            format!("if it is one, describe them in [[database.{section}.dependents]] with from = '{table}' and files = ['{column}']"),
        ))
    };
    match &inspection.stranded {
        Ok(stranded) => stranded.iter().map(finding).collect(),
        Err(why) => vec![Finding::skipped(why)],
    }
}

/// `status text, created_at date, started_at -`; a field that the mapping does not have is a dash.
fn described(columns: &Columns) -> String {
    let types = columns.types;
    let all = Field::ALL.map(|field| {
        let found = types.iter().find(|(typed, _)| *typed == field);
        let name = found.map_or("-", |(_, name)| name.as_str());
        format!("{} {name}", field.name())
    });
    let others = columns.others.iter();
    let mut others: Vec<String> = others.map(|(name, kind)| format!("{name} {kind}")).collect();
    for name in ["link", "guard", "files"] {
        if !columns.others.iter().any(|(other, _)| other.starts_with(name)) {
            others.push(format!("{name} -"));
        }
    }
    [all.to_vec(), others].concat().join(", ")
}

/// Labels of the status column that no state claims: such tasks are in no report's figures but `other`, and are never deleted.
pub fn labels(
    found: &Result<Vec<(Option<String>, u64)>, String>,
    states: &States,
    language: Language,
) -> Finding {
    let labels = match found {
        Ok(labels) => labels,
        Err(why) => return Finding::skipped(why),
    };
    let total: u64 = labels.iter().map(|(_, count)| count).sum();
    let unclaimed: Vec<String> = labels
        .iter()
        .filter(|(label, _)| states.of(label.as_deref()) == State::Other)
        .map(|(label, count)| format!("{} ({count})", label.as_deref().unwrap_or("NULL")))
        .collect();
    if unclaimed.is_empty() {
        return Finding::ok(language.pick(
            format!("{total} 个任务的状态都能识别"),
            format!("the statuses of all {total} tasks are known"),
        ));
    }
    let shown = unclaimed.join(", ");
    Finding::warning(language.pick(
        format!("没有归类的状态（任务数）：{shown}；这些任务计为 other，永不删除"),
        format!("statuses that no state claims, with their tasks: {shown}; they count as other and are never deleted"),
    ))
    .hint(language.pick(
        "在 [database.tasks.states] 中写明它们属于哪个状态",
        "say in [database.tasks.states] which state they are",
    ))
}
