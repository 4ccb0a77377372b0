//! The statements of a cleanup, written from the mapping and the catalogue.
//!
//! Expressions of the mapping stand as they are, so that indexes serve; labels and times stand as literals, since they come from the
//! configuration and the catalogue and never from a row.

use super::super::indexes::Wanted;
use super::super::quote::is_plain_name;
use super::super::schema::{TimeType, refusal};
use crate::calendar::wall_clock_bound;
use crate::mapping::canonical_path::PathAliases;
use crate::mapping::{DependentTable, ReceiptTable, State, TaskTable};
use crate::outcome::{Failure, Kind};
use crate::store::columns::{self, Column, not_a_time};
use crate::store::prune::{MOST_REFERENCES, Pass, PruneSettings, Scope, Source};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use postgres::{Client, SimpleQueryMessage};

/// One table: its name and its expressions.
pub struct Table {
    pub from: String,
    delete_from: String,
    /// Each column of the key and its type.
    pub key: Vec<(String, String)>,
    label: String,
    link: Option<String>,
    link_type: String,
    files: Vec<String>,
    guard: Option<String>,
}

/// A time column and its type.
#[derive(Clone)]
struct Time {
    expression: String,
    kind: TimeType,
}

pub struct Tables {
    pub tasks: Table,
    receipts: Option<Table>,
    dependents: Vec<Dependent>,
    /// Of tasks, without files.
    task_dependents: Vec<Dependent>,
    completed_at: Option<Time>,
    updated_at: Option<Time>,
    created_at: Option<Time>,
    receipt_created: Option<Time>,
    status: String,
    /// The labels of a native enum, and its name.
    labels: Option<(String, Vec<String>)>,
    mapping: TaskTable,
    zone: Tz,
    aliases: PathAliases,
    created_is_indexed: bool,
}

struct Dependent {
    from: String,
    foreign_key: String,
    kind: String,
    files: Vec<String>,
}

/// A table whose rows name files.
struct NamingTable {
    source: Source,
    /// Its key as text, column by column, and how many these are.
    key: String,
    width: usize,
    from: String,
    files: Vec<String>,
}

impl Tables {
    /// # Errors
    /// A table or column of the mapping that is missing, a time that is none.
    pub fn read(client: &mut Client, settings: &PruneSettings) -> Result<Self, Failure> {
        let mapping = &settings.mapping;
        let tasks = &mapping.tasks;
        let types = types_of(client, "tasks", &tasks.from, &columns::task_columns(tasks))?;
        columns::require_key(tasks, &mut |sql| {
            let tried = client.simple_query(sql);
            tried.map(drop).map_err(|error| refusal(&error))
        })?;
        let time = |name: &str, expression: &Option<String>| -> Result<Option<Time>, Failure> {
            expression
                .as_ref()
                .map(|expression| typed_time(&types, "tasks", name, expression))
                .transpose()
        };
        let status_type = types.get("status").cloned().unwrap_or_default();
        require_condition(tasks, &types)?;
        let mut tables = Self {
            tasks: task_table(tasks, &types),
            completed_at: time("completed_at", &tasks.completed_at)?,
            updated_at: time("updated_at", &tasks.updated_at)?,
            created_at: time("created_at", &tasks.created_at)?,
            status: tasks.status.clone(),
            labels: enum_labels(client, &status_type)?,
            receipts: None,
            dependents: Vec::new(),
            task_dependents: Vec::new(),
            receipt_created: None,
            mapping: tasks.clone(),
            zone: settings.naive_zone,
            aliases: settings.aliases.clone(),
            created_is_indexed: false,
        };
        tables.task_dependents = dependents(client, "tasks", &tasks.dependents)?;
        if let Some(receipts) = &mapping.receipts {
            tables.read_receipts(client, receipts)?;
        }
        tables.created_is_indexed = tables.is_created_indexed(client)?;
        Ok(tables)
    }

    fn read_receipts(
        &mut self,
        client: &mut Client,
        receipts: &ReceiptTable,
    ) -> Result<(), Failure> {
        let columns = columns::receipt_columns(receipts);
        let types = types_of(client, "receipts", &receipts.from, &columns)?;
        self.receipt_created =
            Some(typed_time(&types, "receipts", "created_at", &receipts.created_at)?);
        self.receipts = Some(Table {
            from: receipts.from.clone(),
            delete_from: receipts.from.clone(),
            key: typed_key(&receipts.key, &types),
            label: receipts.key[0].clone(),
            link: Some(receipts.link.clone()),
            link_type: types.get("link").cloned().unwrap_or_default(),
            files: receipts.files.clone(),
            guard: None,
        });
        self.dependents = dependents(client, "receipts", &receipts.dependents)?;
        Ok(())
    }

    fn is_created_indexed(&self, client: &mut Client) -> Result<bool, Failure> {
        let Some(created) = &self.created_at else {
            return Ok(false);
        };
        match index_query(&self.tasks.from, &[&created.expression]) {
            None => Ok(false),
            Some(sql) => Ok(!super::ask(client, &sql, &[])
                .map_err(|error| super::failure(&error, "looking for indexes"))?
                .is_empty()),
        }
    }

    /// The table that a scope deletes from.
    pub fn of(&self, scope: &Scope) -> Result<&Table, Failure> {
        match scope {
            Scope::Tasks(_) => Ok(&self.tasks),
            Scope::Receipts(_) => self.receipts.as_ref().ok_or_else(|| {
                Failure::new(Kind::Internal, "there are no receipts in this mapping")
            }),
        }
    }

    fn table(&self, source: Source) -> Option<&Table> {
        match source {
            Source::Tasks => Some(&self.tasks),
            Source::Receipts => self.receipts.as_ref(),
            Source::Dependents(_) => None,
        }
    }

    /// "The row has expired."
    fn condition(&self, scope: &Scope) -> String {
        match scope {
            Scope::Receipts(before) => match &self.receipt_created {
                Some(created) => self.before(created, *before),
                None => "false".to_owned(),
            },
            Scope::Tasks(limits) => {
                let each: Vec<String> = limits
                    .iter()
                    .filter_map(|(state, before)| {
                        let finished = self.finished_before(*state, *before)?;
                        Some(format!("({} AND {finished})", self.in_state(*state)?))
                    })
                    .collect();
                let expired = if each.is_empty() {
                    "false".to_owned()
                } else {
                    format!("({})", each.join(" OR "))
                };
                match &self.tasks.guard {
                    Some(guard) => format!("({expired} AND ({guard}))"),
                    None => expired,
                }
            }
        }
    }

    fn in_state(&self, state: State) -> Option<String> {
        let states = &self.mapping.states;
        let list = |labels: Vec<String>| -> Option<String> {
            let quoted: Vec<String> = labels.iter().map(|label| quote(label)).collect();
            (!quoted.is_empty()).then(|| quoted.join(", "))
        };
        match &self.labels {
            Some((kind, labels)) => {
                let own = labels.iter().filter(|label| states.of(Some(label)) == state).cloned();
                let list = list(own.collect())?;
                Some(format!("({}) = ANY (ARRAY[{list}]::{kind}[])", self.status))
            }
            None => {
                let own = states.labels(state).iter().map(|label| label.to_lowercase());
                let list = list(own.collect())?;
                Some(format!("lower(({})::text) IN ({list})", self.status))
            }
        }
    }

    /// Completed and cancelled tasks are judged by their end, failed ones by their last change.
    fn finished_before(&self, state: State, before: DateTime<Utc>) -> Option<String> {
        let order = match state {
            State::Failed => [&self.updated_at, &self.completed_at, &self.created_at],
            _ => [&self.completed_at, &self.updated_at, &self.created_at],
        };
        let times: Vec<&Time> = order.into_iter().flatten().collect();
        let first = times.first()?;
        let alike = times.iter().all(|time| time.kind == first.kind);
        let values: Vec<String> = times
            .iter()
            .map(|time| if alike { time.finite() } else { self.instant(time) })
            .collect();
        let bound = if alike {
            self.bound(first.kind, before)
        } else {
            self.bound(TimeType::Instant, before)
        };
        Some(format!("coalesce({}) < {bound}", values.join(", ")))
    }

    fn before(&self, time: &Time, before: DateTime<Utc>) -> String {
        format!("{} < {}", time.finite(), self.bound(time.kind, before))
    }

    fn instant(&self, time: &Time) -> String {
        match time.kind {
            TimeType::Instant => time.finite(),
            _ => format!("({} AT TIME ZONE {})", time.finite(), quote(self.zone.name())),
        }
    }

    /// An instant as a column of that type has it.
    fn bound(&self, kind: TimeType, instant: DateTime<Utc>) -> String {
        match kind {
            TimeType::Instant => {
                format!("'{}+00'::timestamptz", instant.format("%Y-%m-%d %H:%M:%S%.6f"))
            }
            _ => format!(
                "'{}'::timestamp",
                wall_clock_bound(instant, self.zone).format("%Y-%m-%d %H:%M:%S%.6f")
            ),
        }
    }

    /// What a pass adds to the condition; `None`: the pass finds nothing.
    fn pass(&self, scope: &Scope, pass: Pass) -> Option<String> {
        let Scope::Tasks(limits) = scope else {
            return (pass == Pass::Created).then(|| "true".to_owned());
        };
        let latest = limits.iter().map(|(_, before)| *before).max()?;
        let Some(created) = &self.created_at else {
            return (pass == Pass::Created).then(|| "true".to_owned());
        };
        let (name, bound) = (&created.expression, self.bound(created.kind, latest));
        Some(match pass {
            Pass::Created => format!("({name}) < {bound}"),
            Pass::Others => format!("(({name}) IS NULL OR ({name}) >= {bound})"),
        })
    }

    pub fn count(&self, expiry: &Scope) -> String {
        format!(
            "SELECT count(*), count(*) FILTER (WHERE {}) FROM {}",
            self.condition(expiry),
            self.tasks.from
        )
    }

    pub fn without_key(&self, scope: &Scope) -> Result<String, Failure> {
        let table = self.of(scope)?;
        Ok(format!(
            "SELECT count(*) FROM {} WHERE ({}) AND {}",
            table.from,
            table.lacks_key(),
            self.condition(scope)
        ))
    }

    pub fn expired(
        &self,
        scope: &Scope,
        pass: Pass,
        has_after: bool,
        limit: usize,
    ) -> Result<String, Failure> {
        let table = self.of(scope)?;
        let narrowed = self.pass(scope, pass).unwrap_or_else(|| "false".to_owned());
        let order = table.key_names();
        let after = if has_after {
            let values: Vec<String> = (table.key.iter().enumerate())
                .map(|(place, (_, kind))| format!("(${}::text[])[1]::{kind}", place + 1))
                .collect();
            format!(" AND ({order}) > ({})", values.join(", "))
        } else {
            String::new()
        };
        // Under names of their own: ORDER BY would take a name of the output, and with it the order of the text, before the column.
        let keys: Vec<String> = (table.key.iter().enumerate())
            .map(|(place, (name, _))| format!("({name})::text AS taskmon_key_{place}"))
            .collect();
        Ok(format!(
            "SELECT {} FROM {} WHERE {} AND {narrowed} AND NOT ({}){after} ORDER BY {order} LIMIT {limit}",
            keys.join(", "),
            table.from,
            self.condition(scope),
            table.lacks_key(),
        ))
    }

    pub fn rows(&self, scope: &Scope) -> Result<String, Failure> {
        let table = self.of(scope)?;
        Ok(format!(
            "SELECT {}, ({})::text, {}{} FROM {} WHERE {} AND {}",
            table.key_texts(),
            table.label,
            table.link.as_ref().map_or("NULL::text".to_owned(), |link| format!("({link})::text")),
            texts(&table.files),
            table.from,
            table.keys_match(),
            self.condition(scope),
        ))
    }

    /// For each table of dependents: the receipt's key and the paths, of these receipts.
    pub fn dependents_of(&self) -> Vec<String> {
        let select = |dependent: &Dependent| {
            format!(
                "SELECT ({})::text{} FROM {} WHERE {}",
                dependent.foreign_key,
                texts(&dependent.files),
                dependent.from,
                dependent.keys_match()
            )
        };
        self.dependents.iter().map(select).collect()
    }

    /// The table that rows of a scope are deleted from, for messages.
    pub fn deleted_from(&self, scope: &Scope) -> &str {
        self.of(scope).map_or("", |table| &table.delete_from)
    }

    pub fn has_dependents(&self, scope: &Scope) -> bool {
        match scope {
            Scope::Tasks(_) => !self.task_dependents.is_empty(),
            Scope::Receipts(_) => !self.dependents.is_empty(),
        }
    }

    /// What goes before tasks: the rows of those that still may go.
    pub fn delete_task_dependents(&self, scope: &Scope) -> Vec<String> {
        let table = &self.tasks;
        let delete = |dependent: &Dependent| {
            format!(
                "DELETE FROM {} WHERE ({}) IN (SELECT ({key})::{} FROM {from} WHERE {matching} AND {condition} AND {alone})",
                dependent.from,
                dependent.foreign_key,
                dependent.kind,
                key = table.key_names(),
                from = table.from,
                matching = table.keys_match(),
                condition = self.condition(scope),
                alone = self.is_alone(table, scope),
            )
        };
        self.task_dependents.iter().map(delete).collect()
    }

    pub fn delete_dependents(&self) -> Vec<String> {
        let delete = |dependent: &Dependent| {
            format!(
                "DELETE FROM {} WHERE {} RETURNING ({})::text{}",
                dependent.from,
                dependent.keys_match(),
                dependent.foreign_key,
                texts(&dependent.files)
            )
        };
        self.dependents.iter().map(delete).collect()
    }

    /// Whether a delete can say which paths the rows had: not where they are read from something else than they are deleted from.
    pub fn returns_paths(&self, scope: &Scope) -> bool {
        self.of(scope).is_ok_and(Table::is_read_directly)
    }

    pub fn delete(&self, scope: &Scope) -> String {
        let Ok(table) = self.of(scope) else {
            return String::new();
        };
        let keys = table.key_texts();
        let matching = table.keys_match();
        let condition = self.condition(scope);
        if table.is_read_directly() {
            return format!(
                "DELETE FROM {} WHERE {matching} AND {condition} RETURNING {keys}{}",
                table.delete_from,
                texts(&table.files)
            );
        }
        format!(
            "DELETE FROM {} WHERE {matching} AND ({names}) IN (SELECT {names} FROM {} WHERE {matching} AND {condition}) AND {alone} RETURNING {keys}",
            table.delete_from,
            table.from,
            names = table.key_names(),
            alone = self.is_alone(table, scope),
        )
    }

    /// "No other row of the same key has not expired": a view may show a row several times, and a key that is configured need not be unique.
    fn is_alone(&self, table: &Table, scope: &Scope) -> String {
        format!(
            "({names}) NOT IN (SELECT {names} FROM {} WHERE {} AND ({}) IS NOT TRUE)",
            table.from,
            table.keys_match(),
            self.condition(scope),
            names = table.key_names(),
        )
    }

    pub fn delete_tasks_by_key(&self) -> String {
        let table = &self.tasks;
        format!("DELETE FROM {} WHERE {}", table.delete_from, table.keys_match())
    }

    /// The key of tasks that have one of these links, and the link as it was asked for.
    pub fn linked(&self) -> Option<String> {
        let link = self.tasks.link.as_ref()?;
        let (own, asked) = (&self.tasks.link_type, &self.receipts.as_ref()?.link_type);
        let is_text = matches!(own.as_str(), "text" | "character varying" | "character");
        if !is_text {
            // What is equal is the database's to say, in the type that both have.
            let (link, asked) = if own == asked {
                (link.clone(), format!("taskmon_asked.link::{own}"))
            } else {
                (format!("({link})::text"), "taskmon_asked.link".to_owned())
            };
            return Some(format!(
                "SELECT {}, taskmon_asked.link FROM (SELECT DISTINCT unnest($1::text[]) AS link) AS taskmon_asked, {} WHERE ({link}) = {asked}",
                self.tasks.key_texts(),
                self.tasks.from
            ));
        }
        Some(format!(
            "SELECT {}, ({link})::text FROM {} WHERE ({link}) = ANY ($1::text[])",
            self.tasks.key_texts(),
            self.tasks.from
        ))
    }

    /// The key and the paths of rows by key, and how many columns the key has.
    pub fn paths_by_key(&self, source: Source) -> Option<(String, usize)> {
        if let Source::Dependents(place) = source {
            let dependent = self.dependents.get(place)?;
            let sql = self.dependents_of().swap_remove(place);
            return (!dependent.files.is_empty()).then_some((sql, 1));
        }
        let table = self.table(source)?;
        let sql = format!(
            "SELECT {}{} FROM {} WHERE {}",
            table.key_texts(),
            texts(&table.files),
            table.from,
            table.keys_match()
        );
        Some((sql, table.key.len()))
    }

    /// For each table that names files: key and paths of the rows that name one of these, however they write it.
    pub fn search(&self) -> Vec<(Source, usize, String)> {
        let sources = self.sources();
        sources
            .into_iter()
            .map(|table| {
                let named: Vec<String> = (table.files.iter())
                    .map(|file| format!("{} = ANY ($1::text[])", self.canonical(file)))
                    .collect();
                let sql = format!(
                    "SELECT {}{} FROM {} WHERE {}",
                    table.key,
                    texts(&table.files),
                    table.from,
                    named.join(" OR ")
                );
                (table.source, table.width, sql)
            })
            .collect()
    }

    /// Tasks created since then, where an index finds them.
    pub fn recent(&self, since: DateTime<Utc>) -> Option<(String, usize)> {
        let created = self.created_at.as_ref().filter(|_| self.created_is_indexed)?;
        if self.tasks.files.is_empty() {
            return None;
        }
        let sql = format!(
            "SELECT {}{} FROM {} WHERE ({}) >= {}",
            self.tasks.key_texts(),
            texts(&self.tasks.files),
            self.tasks.from,
            created.expression,
            self.bound(created.kind, since)
        );
        Some((sql, self.tasks.key.len()))
    }

    /// Every table that names files.
    fn sources(&self) -> Vec<NamingTable> {
        let own = [(Source::Tasks, Some(&self.tasks)), (Source::Receipts, self.receipts.as_ref())];
        let tables = own.into_iter().filter_map(|(source, table)| {
            let table = table?;
            Some(NamingTable {
                source,
                key: table.key_texts(),
                width: table.key.len(),
                from: table.from.clone(),
                files: table.files.clone(),
            })
        });
        let dependents = self.dependents.iter().enumerate();
        let dependents = dependents.map(|(place, table)| NamingTable {
            source: Source::Dependents(place),
            key: format!("({})::text", table.foreign_key),
            width: 1,
            from: table.from.clone(),
            files: table.files.clone(),
        });
        tables.chain(dependents).filter(|table| !table.files.is_empty()).collect()
    }

    /// The paths that each row names, a row of the answer for each.
    ///
    /// Each table row is looked at once (`OFFSET 0` keeps the planner from computing the same thing again for every path): whether one of
    /// its paths is not canonical, which is rare and costly, and whether it has expired.
    fn names(&self, own: &NamingTable, rows: &str, expired: &str) -> String {
        let texts: Vec<String> = own.files.iter().map(|file| bytewise(file)).collect();
        let named: String =
            (0..).zip(&texts).map(|(place, text)| format!(", {text} AS file_{place}")).collect();
        let odd: Vec<String> = ["%//%", "%/.%"]
            .map(quote)
            .into_iter()
            .chain(self.aliases.links().iter().map(|(link, _)| {
                let escaped = link.replace(['\\', '%', '_'], "_");
                quote(&format!("%{}/%", escaped.trim_start_matches('/')))
            }))
            .collect();
        let values: Vec<String> = (0..texts.len())
            .map(|place| {
                let file = format!("r.file_{place}");
                format!("(CASE WHEN r.odd THEN {} ELSE {file} END)", self.canonical(&file))
            })
            .collect();
        // Between slashes, a path that starts or ends with one makes two, and one that starts with a dot "/.".
        format!(
            "SELECT {}::int4 AS source, r.key, r.expired, v.path FROM (SELECT ARRAY[{}] AS key, {expired} AS expired, \
             concat_ws('/', '', {}, '') LIKE ANY (ARRAY[{}]) AS odd{named} FROM {} WHERE {rows} OFFSET 0) AS r \
             CROSS JOIN LATERAL (VALUES {}) AS v(path) WHERE v.path <> ''",
            number(own.source),
            own.key,
            texts.join(", "),
            odd.join(", "),
            own.from,
            values.join(", ")
        )
    }

    /// Paths that an expired row and another one name: each with its last references, those that stay before those that go.
    ///
    /// First the paths of expired rows alone, so that a nightly run sorts thousands and not all of the table's; then the paths of the other
    /// rows are held against these.
    pub fn shared(&self, scope: &Scope) -> Result<Option<String>, Failure> {
        let condition = self.condition(scope);
        let expired = format!("coalesce({condition}, false)");
        let of_receipts = matches!(scope, Scope::Receipts(_));
        let (mut going, mut others, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for table in &self.sources() {
            let is_own = match table.source {
                Source::Tasks => !of_receipts,
                Source::Receipts => of_receipts,
                // Any of them may go with a receipt.
                Source::Dependents(_) if of_receipts => {
                    going.push(self.names(table, "true", "false"));
                    all.push(self.names(table, "true", "false"));
                    continue;
                }
                Source::Dependents(_) => false,
            };
            if is_own {
                going.push(self.names(table, &condition, "true"));
                others.push(self.names(table, &format!("NOT {expired}"), "false"));
                all.push(self.names(table, "true", &expired));
            } else {
                others.push(self.names(table, "true", "false"));
                all.push(self.names(table, "true", "false"));
            }
        }
        if going.is_empty() {
            return Ok(None);
        }
        Ok(Some(format!(
            "WITH going AS MATERIALIZED (SELECT path, count(*) AS rows FROM ({going}) AS g GROUP BY path), \
             shared AS MATERIALIZED (SELECT path FROM going WHERE rows > 1{others}) \
             SELECT source, key, path, rows FROM (SELECT n.source, n.key, n.path, \
             count(*) OVER (PARTITION BY n.path) AS rows, \
             row_number() OVER (PARTITION BY n.path ORDER BY n.expired, n.key DESC) AS place \
             FROM ({all}) AS n JOIN shared USING (path)) AS w WHERE place <= {MOST_REFERENCES}",
            going = going.join(" UNION ALL "),
            others = if others.is_empty() {
                String::new()
            } else {
                format!(
                    " UNION SELECT o.path FROM ({}) AS o JOIN going USING (path)",
                    others.join(" UNION ALL ")
                )
            },
            all = all.join(" UNION ALL "),
        )))
    }

    /// The canonical paths that start with one of these.
    pub fn beneath(&self, beneath: &[String]) -> Vec<String> {
        let starts: Vec<String> = beneath
            .iter()
            .map(|start| format!("left(v.path, {}) = {}", start.chars().count(), quote(start)))
            .collect();
        if starts.is_empty() {
            return Vec::new();
        }
        self.sources()
            .into_iter()
            .map(|table| {
                let values: Vec<String> = (table.files.iter())
                    .map(|file| format!("({})", self.canonical(file)))
                    .collect();
                let from = table.from;
                format!(
                    "SELECT v.path FROM {from} CROSS JOIN LATERAL (VALUES {}) AS v(path) WHERE {}",
                    values.join(", "),
                    starts.join(" OR ")
                )
            })
            .collect()
    }

    /// A path's canonical form, as [`PathAliases::canonical`] makes it; most paths are canonical and are left alone.
    fn canonical(&self, expression: &str) -> String {
        let file = bytewise(expression);
        let start = match self.aliases.base() {
            "" => file.clone(),
            base => format!(
                "(CASE WHEN left({file}, 1) = '/' THEN {file} ELSE {} || {file} END)",
                quote(&format!("{base}/"))
            ),
        };
        let mut spelled = format!("regexp_replace({start}, '/(\\.?/)+', '/', 'g')");
        spelled = format!("regexp_replace({spelled}, '^(\\./)+', '')");
        spelled = format!("regexp_replace({spelled}, '/\\.?$', '')");
        // Each step takes one folder back, until there is none.
        let step = "'(^|/)(?!\\.\\.(/|$))[^/]+/\\.\\.(/|$)'";
        spelled = format!(
            "(SELECT CASE WHEN strpos(w.path, '/..') = 0 THEN w.path ELSE (WITH RECURSIVE taskmon_up(path) AS (SELECT w.path UNION ALL \
             SELECT regexp_replace(path, {step}, '\\1') FROM taskmon_up WHERE path ~ {step}) SELECT path FROM taskmon_up WHERE path !~ {step}) END \
             FROM (SELECT {spelled} AS path) AS w)"
        );
        let whens: String = self
            .aliases
            .folders()
            .iter()
            .map(|(folder, name)| replaced_start("s.path", folder, name))
            .collect();
        let folded = if whens.is_empty() {
            spelled
        } else {
            format!("(SELECT CASE{whens} ELSE s.path END FROM (SELECT {spelled} AS path) AS s)")
        };
        let spelled = format!(
            "CASE WHEN left({file}, 1) IN ('/', '.') OR right({file}, 1) = '/' OR strpos({file}, '//') > 0 \
             OR strpos({file}, '/.') > 0 THEN {folded} ELSE {file} END"
        );
        let leads: String = (self.aliases.links().iter())
            .map(|(link, folder)| replaced_start("l.path", link, folder))
            .collect();
        if leads.is_empty() {
            spelled
        } else {
            format!("(SELECT CASE{leads} ELSE l.path END FROM (SELECT {spelled} AS path) AS l)")
        }
    }

    /// The indexes that the statements go by.
    pub fn wanted_indexes(&self) -> Vec<Wanted> {
        let mut wanted: Vec<(&str, Vec<&str>)> = Vec::new();
        let keys: Vec<&str> = self.tasks.key.iter().map(|(name, _)| name.as_str()).collect();
        wanted.push((&self.tasks.delete_from, keys));
        if let Some(created) = &self.created_at
            && !self.created_is_indexed
        {
            wanted.push((&self.tasks.from, vec![&self.status, &created.expression]));
        }
        if let (Some(_), Some(link)) = (&self.receipts, &self.tasks.link) {
            wanted.push((&self.tasks.from, vec![link]));
        }
        for dependent in self.dependents.iter().chain(&self.task_dependents) {
            wanted.push((&dependent.from, vec![&dependent.foreign_key]));
        }
        let own = |(from, columns): (&str, Vec<&str>)| Wanted {
            from: from.to_owned(),
            columns: columns.into_iter().map(str::to_owned).collect(),
        };
        let known = wanted.into_iter().filter(|(from, _)| !from.is_empty());
        known.map(own).collect()
    }
}

impl Time {
    /// The infinities are no times at which anything ended.
    fn finite(&self) -> String {
        match self.kind {
            TimeType::Instant => format!("nullif({}, '-infinity'::timestamptz)", self.expression),
            TimeType::WallClock => format!("nullif({}, '-infinity'::timestamp)", self.expression),
            TimeType::Date => {
                format!("nullif(({})::timestamp, '-infinity'::timestamp)", self.expression)
            }
        }
    }
}

impl Table {
    fn key_texts(&self) -> String {
        let texts: Vec<String> =
            (self.key.iter()).map(|(name, _)| format!("({name})::text")).collect();
        texts.join(", ")
    }

    /// "A part of the key is NULL."
    fn lacks_key(&self) -> String {
        let parts = self.key.iter().map(|(name, _)| format!("({name}) IS NULL"));
        parts.collect::<Vec<_>>().join(" OR ")
    }

    fn key_names(&self) -> String {
        let names: Vec<&str> = self.key.iter().map(|(name, _)| name.as_str()).collect();
        names.join(", ")
    }

    /// "The key is one of these", given one array of text for each of its columns.
    fn keys_match(&self) -> String {
        if let [(name, kind)] = self.key.as_slice() {
            return is_one_of(name, kind);
        }
        let arrays: Vec<String> = (self.key.iter().enumerate())
            .map(|(place, (_, kind))| format!("${}::text[]::{kind}[]", place + 1))
            .collect();
        format!("({}) IN (SELECT * FROM unnest({}))", self.key_names(), arrays.join(", "))
    }

    fn is_read_directly(&self) -> bool {
        self.from.trim() == self.delete_from.trim()
    }
}

fn dependents(
    client: &mut Client,
    section: &str,
    tables: &[DependentTable],
) -> Result<Vec<Dependent>, Failure> {
    let read = |(place, table): (usize, &DependentTable)| {
        let section = format!("{section}.dependents[{}]", place + 1);
        let columns = columns::dependent_columns(table);
        let types = types_of(client, &section, &table.from, &columns)?;
        Ok(Dependent {
            from: table.from.clone(),
            foreign_key: table.foreign_key.clone(),
            kind: whole(types.get("foreign_key")),
            files: table.files.clone(),
        })
    };
    tables.iter().enumerate().map(read).collect()
}

impl Dependent {
    fn keys_match(&self) -> String {
        is_one_of(&self.foreign_key, &self.kind)
    }
}

/// A path as text that is compared byte by byte: quicker than any language's rules, and the same for all columns.
fn bytewise(expression: &str) -> String {
    format!("(({expression})::text COLLATE \"C\")")
}

/// `, (a)::text, (b)::text`
fn texts(expressions: &[String]) -> String {
    expressions.iter().map(|expression| format!(", ({expression})::text")).collect()
}

/// `WHEN` the path lies beneath a folder `THEN` the same beneath another one.
fn replaced_start(path: &str, folder: &str, name: &str) -> String {
    let start = format!("{folder}/");
    let length = start.chars().count();
    let name = match name {
        "" => String::new(),
        name => format!("{} || ", quote(&format!("{name}/"))),
    };
    format!(
        " WHEN left({path}, {length}) = {} THEN {name}substr({path}, {})",
        quote(&start),
        length + 1
    )
}

/// A literal that means the same whatever `standard_conforming_strings` says.
fn quote(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// A source as the statements number it.
fn number(source: Source) -> i32 {
    match source {
        Source::Tasks => 0,
        Source::Receipts => 1,
        Source::Dependents(place) => 2 + i32::try_from(place).unwrap_or(i32::MAX - 2),
    }
}

pub fn source(number: i32) -> Source {
    match number {
        0 => Source::Tasks,
        1 => Source::Receipts,
        place => Source::Dependents((place - 2).unsigned_abs() as usize),
    }
}

/// A query that answers with a row if a usable index starts with these columns; `None` where that cannot be asked.
fn index_query(from: &str, columns: &[&str]) -> Option<String> {
    if !is_plain_name(from) || !columns.iter().all(|column| is_plain_name(column)) {
        return None;
    }
    let each: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(place, column)| {
            format!("pg_get_indexdef(i.indexrelid, {}, true) = {}", place + 1, quote(column))
        })
        .collect();
    Some(format!(
        "SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = to_regclass({}) AND i.indisvalid AND i.indpred IS NULL AND {}",
        quote(from),
        each.join(" AND ")
    ))
}

type Types = std::collections::HashMap<String, String>;

/// The types of columns by their names in the configuration.
fn types_of(
    client: &mut Client,
    section: &str,
    from: &str,
    columns: &[Column],
) -> Result<Types, Failure> {
    columns::require(section, from, columns, &mut |sql| {
        client.simple_query(sql).map(drop).map_err(|error| refusal(&error))
    })?;
    let entries: Vec<String> = (columns.iter().enumerate())
        .map(|(place, column)| format!("({}) AS c{place}", column.expression))
        .collect();
    let types: Vec<String> =
        (0..columns.len()).map(|place| format!("pg_typeof(t.c{place})::text")).collect();
    let sql = format!(
        "SELECT {} FROM (VALUES (1)) AS one(row) LEFT JOIN (SELECT {} FROM {from} LIMIT 0) AS t ON true",
        types.join(", "),
        entries.join(", ")
    );
    let answer = client
        .simple_query(&sql)
        .map_err(|error| super::failure(&error, "reading the catalogue"))?;
    let mut found = Types::new();
    for message in &answer {
        if let SimpleQueryMessage::Row(row) = message {
            for (place, column) in columns.iter().enumerate() {
                let kind = row.get(place).unwrap_or_default().to_owned();
                found.insert(column.name.clone(), kind);
            }
        }
    }
    Ok(found)
}

fn typed_time(types: &Types, section: &str, name: &str, expression: &str) -> Result<Time, Failure> {
    let found = types.get(name).map_or("unknown", String::as_str);
    let kind = TimeType::of(found).ok_or_else(|| not_a_time(section, name, expression, found))?;

    Ok(Time { expression: expression.to_owned(), kind })
}

fn require_condition(tasks: &TaskTable, types: &Types) -> Result<(), Failure> {
    let (Some(guard), Some(found)) = (&tasks.guard, types.get("guard")) else {
        return Ok(());
    };
    if found == "boolean" {
        return Ok(());
    }
    let message = format!("database.tasks.guard: \"{guard}\" is of type {found}, not a condition");
    Err(Failure::new(Kind::MappingMismatch, message).hint(
        "write what must hold of a row that may be deleted, for example guard = \"NOT blocking\"",
    ))
}

fn typed_key(key: &[String], types: &Types) -> Vec<(String, String)> {
    key.iter()
        .enumerate()
        .map(|(place, name)| {
            let kind = types.get(&format!("key[{}]", place + 1));
            (name.clone(), whole(kind))
        })
        .collect()
}

/// The type that a key's text is read back as. Those whose bare name means a length of one have another name without a length.
fn whole(kind: Option<&String>) -> String {
    match kind.map_or("", String::as_str) {
        "character" => "bpchar".to_owned(),
        "bit" => "bit varying".to_owned(),
        kind => kind.to_owned(),
    }
}

/// "It is one of these", in the first array of text.
fn is_one_of(name: &str, kind: &str) -> String {
    if kind.ends_with("[]") {
        // An array of arrays would have to be of one length.
        format!("({name}) IN (SELECT one::{kind} FROM unnest($1::text[]) AS one)")
    } else {
        format!("({name}) = ANY ($1::text[]::{kind}[])")
    }
}

fn task_table(tasks: &TaskTable, types: &Types) -> Table {
    Table {
        from: tasks.from.clone(),
        delete_from: tasks.delete_from.clone().unwrap_or_default(),
        key: typed_key(&tasks.key, types),
        label: tasks.label.clone(),
        link: tasks.link.clone(),
        link_type: types.get("link").cloned().unwrap_or_default(),
        files: tasks.files.clone(),
        guard: tasks.guard.clone(),
    }
}

fn enum_labels(client: &mut Client, kind: &str) -> Result<Option<(String, Vec<String>)>, Failure> {
    let sql = format!(
        "SELECT e.enumlabel::text FROM pg_catalog.pg_enum e WHERE e.enumtypid = to_regtype({})::oid ORDER BY e.enumsortorder",
        quote(kind)
    );
    let rows = super::ask(client, &sql, &[])
        .map_err(|error| super::failure(&error, "reading the catalogue"))?;
    let labels: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    Ok((!labels.is_empty()).then(|| (kind.to_owned(), labels)))
}
