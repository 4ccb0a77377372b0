//! What PostgreSQL says differently in the statements of a cleanup.
//!
//! Keys are bound as one array of text for each of their columns, and read back as the columns' types.

use super::super::encoding::Encoding;
use super::super::quote::literal;
use super::super::schema::TimeType;
use super::super::text::cut;
use crate::calendar::{Shift, wall_clock_bound};
use crate::mapping::canonical_path::LONGEST_PATH;
use crate::mapping::{Field, State, States};
use crate::store::LONGEST_LABEL;
use crate::store::prune::dialect::Dialect;
use crate::store::prune::plausible::{MOST_EARLY, Plausible};
use crate::store::prune::statements::Statements;
use crate::store::prune::tables::{Cut, Dependent, Ending, Table, Typed};
use crate::store::prune::{Keys, LONGEST_KEY, Pass, Scope, Source};
use crate::timezone::Tz;
use chrono::{DateTime, TimeDelta, Utc};

pub struct PostgresDialect {
    pub status: String,
    pub states: States,
    /// The labels of a native enum, and its name.
    pub labels: Option<(String, Vec<String>)>,
    /// The zone of timestamps that have none.
    pub zone: Tz,
    pub encoding: Encoding,
    pub plausible: Plausible,
    /// Whether an index finds tasks by their creation.
    pub created_is_indexed: bool,
}

pub const CUT: Cut = Cut {
    label: |expression| cut(expression, LONGEST_LABEL),
    path: |expression| cut(expression, LONGEST_PATH),
};

impl Dialect for PostgresDialect {
    fn key_text(&self, part: &Typed) -> String {
        let key = self.encoding.exact(&part.expression);
        match is_too_long(part) {
            Some(is_too_long) => format!("CASE WHEN NOT {is_too_long} THEN {key} END"),
            None => key,
        }
    }

    fn lacks_key(&self, part: &Typed) -> String {
        match self.is_unusable(part) {
            Some(is_unusable) => format!("(({}) IS NULL OR {is_unusable})", part.expression),
            None => format!("({}) IS NULL", part.expression),
        }
    }

    fn is_unusable(&self, part: &Typed) -> Option<String> {
        match (is_too_long(part), self.encoding.is_no_text(&part.expression)) {
            (Some(is_too_long), Some(is_no_text)) => {
                Some(format!("({is_too_long} OR {is_no_text})"))
            }
            (is_too_long, is_no_text) => is_too_long.or(is_no_text),
        }
    }

    fn is_bound(&self, key: &[Typed]) -> String {
        if let [part] = key {
            return is_one_of(part);
        }
        let names: Vec<&str> = key.iter().map(|part| part.expression.as_str()).collect();
        let arrays =
            (1..).zip(key).map(|(place, part)| format!("${place}::text[]::{}[]", kind_of(part)));
        let arrays: Vec<String> = arrays.collect();
        format!("({}) IN (SELECT * FROM unnest({}))", names.join(", "), arrays.join(", "))
    }

    fn bound_key(&self, key: &[Typed]) -> Vec<String> {
        let numbered = (1..).zip(key);
        numbered.map(|(place, part)| format!("(${place}::text[])[1]::{}", kind_of(part))).collect()
    }

    fn is_read(&self, table: &Table, condition: &str) -> String {
        format!(
            "({names}) IN (SELECT {names} FROM {} WHERE {} AND {condition})",
            table.from,
            self.is_bound(&table.key),
            names = table.key_names(),
        )
    }

    fn text(&self, expression: &str) -> String {
        self.encoding.shown(expression)
    }

    fn path(&self, expression: &str) -> String {
        self.encoding.exact(expression)
    }

    fn in_state(&self, state: State) -> Option<String> {
        let list = |labels: Vec<String>| {
            let literals: Vec<String> = labels.iter().map(|label| literal(label)).collect();
            (!literals.is_empty()).then(|| literals.join(", "))
        };
        match &self.labels {
            Some((kind, labels)) => {
                let of_state = |label: &&String| self.states.of(Some(label)) == state;
                let list = list(labels.iter().filter(of_state).cloned().collect())?;
                Some(format!("({}) = ANY (ARRAY[{list}]::{kind}[])", self.status))
            }
            None => {
                let labels = self.states.labels(state).iter();
                let list = list(labels.map(|label| label.to_lowercase()).collect())?;
                Some(format!("lower(({})::text) IN ({list})", self.status))
            }
        }
    }

    fn is_before(&self, ending: &Ending, before: DateTime<Utc>) -> String {
        let kind = common_type(ending);
        format!("{} < {}", self.ended(ending, kind), self.bound(kind, before))
    }

    fn is_implausible(&self, ending: &Ending) -> String {
        let ended = self.ended(ending, common_type(ending));
        // First what an index on the creation finds.
        let narrowed = ending.created.map(|created| {
            let name = &created.expression;
            let [earliest, latest] = self.plausible_bounds(created);
            format!("(({name}) IS NULL OR ({name}) < {earliest} OR ({name}) > {latest}) AND ")
        });
        format!(
            "({}{ended} IS NULL AND NOT {})",
            narrowed.unwrap_or_default(),
            self.is_undated(ending)
        )
    }

    fn shown_times(&self, ending: &Ending) -> String {
        let shown = ending.times().map(|time| {
            let name = &time.expression;
            format!("{} || quote_literal(({name})::text)", literal(&format!("{name} = ")))
        });
        format!("concat_ws(', ', {})", shown.collect::<Vec<_>>().join(", "))
    }

    fn newest(&self, from: &str, time: &Typed) -> String {
        let name = &time.expression;
        let [earliest, latest] = self.plausible_bounds(time);
        let newest = Typed { expression: format!("max({name})"), kind: time.kind.clone() };
        format!(
            "SELECT (extract(epoch FROM {}) * 1000000)::int8 FROM {from} WHERE ({name}) BETWEEN {earliest} AND {latest}",
            self.converted(&newest, TimeType::Instant),
        )
    }

    fn is_undated(&self, ending: &Ending) -> String {
        // Each by itself, so that the index of one serves.
        let missing = ending.times().map(|time| format!("({}) IS NULL", time.expression));
        let missing: Vec<String> = missing.collect();
        if missing.is_empty() { "true".to_owned() } else { format!("({})", missing.join(" AND ")) }
    }

    fn sampled(&self, time: &Typed) -> String {
        let kind = time_type(time);
        // Milliseconds that were taken for seconds are of the year 58000.
        let is_known = match kind {
            TimeType::Instant => format!(
                "({}) < '200000-01-01 00:00+00'::timestamptz AND isfinite({0})",
                time.expression
            ),
            kind => kind.is_in_calendar(&time.expression),
        };
        let micros = format!(
            "CASE WHEN {is_known} THEN (extract(epoch FROM {}) * 1000000)::int8 END",
            self.converted(time, TimeType::Instant)
        );
        format!("({})::text AS shown, {micros} AS micros", time.expression)
    }

    fn pass(&self, tasks: &Table, scope: &Scope, pass: Pass) -> Option<String> {
        let (Scope::Tasks(limits), Some(created)) = (scope, tasks.time(Field::CreatedAt)) else {
            return (pass == Pass::Created).then(|| "true".to_owned());
        };
        let latest = limits.iter().map(|(_, before)| *before).max()?;
        // No plausible end lies earlier than that before the creation.
        let latest = latest.plus(grace(TimeType::Date));
        let (name, bound) = (&created.expression, self.bound(time_type(created), latest));
        Some(match pass {
            Pass::Created => format!("({name}) < {bound}"),
            Pass::Others => format!("({name}) IS NULL"),
        })
    }
}

impl PostgresDialect {
    /// The first of a row's times that is plausible, as an instant or a wall clock; NULL where none is.
    fn ended(&self, ending: &Ending, kind: TimeType) -> String {
        let created = ending.created.map(|created| {
            let name = &created.expression;
            let [earliest, latest] = self.plausible_bounds(created);
            let converted = self.converted(created, kind);
            // A creation that is still to come makes every end of its row implausible.
            let never = match kind {
                TimeType::Instant => "'infinity'::timestamptz",
                _ => "'infinity'::timestamp",
            };
            format!("CASE WHEN ({name}) > {latest} THEN {never} WHEN ({name}) >= {earliest} THEN {converted} END")
        });
        let ends = ending.ends.iter().map(|end| {
            let converted = self.converted(end, kind);
            let value = match &created {
                Some(created) => {
                    let grace = grace(time_type(end)).num_seconds();
                    format!("CASE WHEN {converted} + interval '{grace} s' < {created} THEN NULL ELSE {converted} END")
                }
                None => converted,
            };
            self.if_plausible(end, &value)
        });
        let created = ending
            .created
            .map(|created| self.if_plausible(created, &self.converted(created, kind)));
        let values: Vec<String> = ends.chain(created).collect();
        format!("coalesce({})", values.join(", "))
    }

    /// A value that is computed only of a time between the bounds: to convert one near the end of the calendar fails.
    fn if_plausible(&self, time: &Typed, value: &str) -> String {
        let [earliest, latest] = self.plausible_bounds(time);
        format!("CASE WHEN ({}) BETWEEN {earliest} AND {latest} THEN {value} END", time.expression)
    }

    fn plausible_bounds(&self, time: &Typed) -> [String; 2] {
        let Plausible { earliest, latest } = self.plausible;
        [earliest, latest].map(|bound| self.bound(time_type(time), bound))
    }

    fn converted(&self, time: &Typed, kind: TimeType) -> String {
        let name = &time.expression;
        let zone = || literal(self.zone.name());
        match (time_type(time), kind) {
            (TimeType::Date, TimeType::Instant) => {
                format!("(({name})::timestamp AT TIME ZONE {})", zone())
            }
            (TimeType::WallClock, TimeType::Instant) => format!("({name} AT TIME ZONE {})", zone()),
            (TimeType::Date, _) => format!("({name})::timestamp"),
            _ => format!("({name})"),
        }
    }

    /// An instant as a column of that type has it.
    pub fn bound(&self, kind: TimeType, instant: DateTime<Utc>) -> String {
        match kind {
            TimeType::Instant => {
                format!("'{}+00'::timestamptz", instant.format("%Y-%m-%d %H:%M:%S%.6f"))
            }
            TimeType::WallClock | TimeType::Date => {
                let wall_clock = wall_clock_bound(instant, self.zone);
                format!("'{}'::timestamp", wall_clock.format("%Y-%m-%d %H:%M:%S%.6f"))
            }
        }
    }
}

impl Statements<PostgresDialect> {
    /// The paths of tasks created since then; `None`: no index finds them.
    pub fn recent_paths(&self, since: DateTime<Utc>) -> Option<String> {
        let tasks = self.tables.naming().find(|table| table.source == Source::Tasks)?;
        let created = self.tables.tasks.time(Field::CreatedAt);
        let created = created.filter(|_| self.dialect.created_is_indexed)?;
        let since = self.dialect.bound(time_type(created), since);
        let paths = self.named_paths(&tasks, Keys::Unneeded);
        Some(format!("{paths} AND ({}) >= {since}", created.expression))
    }

    /// The key of tasks that have one of the bound links, and the link as it was asked for; `None`: nothing ties receipts to tasks.
    pub fn linked(&self) -> Option<String> {
        let tasks = &self.tables.tasks;
        let (link, asked) = (tasks.link.as_ref()?, self.tables.receipts.as_ref()?.link.as_ref()?);
        let (key, from, name) = (self.key(&tasks.key), &tasks.from, &link.expression);
        if matches!(link.kind.as_str(), "text" | "character varying" | "character") {
            return Some(format!(
                "SELECT {key}, ({name})::text FROM {from} WHERE ({name}) = ANY ($1::text[])"
            ));
        }
        // Whether links are equal is up to the database, in the type that both have: `numeric` 1.0 equals 1.00.
        let is_equal = if link.kind == asked.kind {
            format!("({name}) = taskmon_asked.link::{}", link.kind)
        } else {
            format!("(({name})::text) = taskmon_asked.link")
        };
        Some(format!(
            "SELECT {key}, taskmon_asked.link FROM (SELECT DISTINCT unnest($1::text[]) AS link) AS taskmon_asked, {from} WHERE {is_equal}"
        ))
    }

    /// The keys of the bound rows that no other session holds, which are locked.
    pub fn lock_free(&self, table: &Table) -> String {
        format!(
            "SELECT {} FROM {} WHERE {} FOR UPDATE SKIP LOCKED",
            self.key(&table.key),
            table.delete_from,
            self.dialect.is_bound(&table.key)
        )
    }

    /// Deletes what depends on those of the bound rows that may go; returns the keys and the paths.
    pub fn delete_dependents_of_expired(
        &self,
        dependent: &Dependent,
        table: &Table,
        scope: &Scope,
    ) -> String {
        format!(
            "DELETE FROM {} WHERE ({}) IN (SELECT ({})::{} FROM {} WHERE {} AND {} AND {}) RETURNING {}{}",
            dependent.from,
            dependent.foreign_key.expression,
            table.key_names(),
            kind_of(&dependent.foreign_key),
            table.from,
            self.dialect.is_bound(&table.key),
            self.condition(table, scope),
            self.is_alone(table, scope),
            self.key(std::slice::from_ref(&dependent.foreign_key)),
            self.paths(&dependent.files),
        )
    }
}

/// "It is longer than a part of a key may be"; `None`: values of its type are short.
fn is_too_long(part: &Typed) -> Option<String> {
    let is_short = [
        "smallint",
        "integer",
        "bigint",
        "uuid",
        "boolean",
        "date",
        "real",
        "double precision",
        "timestamp without time zone",
        "timestamp with time zone",
    ]
    .contains(&part.kind.as_str());
    (!is_short).then(|| format!("(octet_length(({})::text) > {LONGEST_KEY})", part.expression))
}

/// The type that a key's text is cast to: `character` alone would mean `character(1)` and cut the key off.
fn kind_of(part: &Typed) -> &str {
    match part.kind.as_str() {
        "character" => "bpchar",
        "bit" => "bit varying",
        kind => kind,
    }
}

/// "It is one of these", in the first array of text.
fn is_one_of(part: &Typed) -> String {
    let (name, kind) = (&part.expression, kind_of(part));
    if kind.ends_with("[]") {
        // `text[]::integer[][]` would want all arrays to be of one length.
        format!("({name}) IN (SELECT one::{kind} FROM unnest($1::text[]) AS one)")
    } else {
        format!("({name}) = ANY ($1::text[]::{kind}[])")
    }
}

/// Every time was checked to be one when the tables were read.
pub fn time_type(time: &Typed) -> TimeType {
    TimeType::of(&time.kind).unwrap_or(TimeType::Instant)
}

/// Wall clocks become instants where some of the times are instants.
fn common_type(ending: &Ending) -> TimeType {
    let has_instants = ending.times().any(|time| time_type(time) == TimeType::Instant);
    if has_instants { TimeType::Instant } else { TimeType::WallClock }
}

/// How long before the creation an end may lie. A date is that of a whole day.
fn grace(end: TimeType) -> TimeDelta {
    match end {
        TimeType::Date => TimeDelta::days(1),
        _ => MOST_EARLY,
    }
}
