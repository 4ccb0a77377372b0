//! Whatever times, clocks, policies, mounts and links there are: no row and no file goes that is younger than its limit, no file that a row names
//! which stays, or that is in use; and where nothing is in doubt, all else goes.

mod paths;
mod policy;
mod times;

use super::volumes::in_own_mounts;
use super::*;
use chrono::SubsecRound;
use paths::{
    Drawn, FileId, Found, Places, Spelled, Way, drawn, find, own_path, spelled, swept, way,
};
use policy::{Policy, policy};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use times::{Clock, DAY_IN_MINUTES, Written, written};

#[derive(Debug, Clone)]
struct TaskRow {
    status: &'static str,
    created: Written,
    updated: Written,
    completed: Written,
    paths: [Option<Spelled>; 3],
}

/// A receipt, with its tracking row.
#[derive(Debug, Clone)]
struct Receipt {
    created: Written,
    /// Whether the task of the same number refers to it, if there is one.
    is_linked: bool,
    path: Option<Spelled>,
    tracking_path: Option<Spelled>,
}

#[derive(Debug, Clone)]
struct World {
    tasks: Vec<TaskRow>,
    receipts: Vec<Receipt>,
    files: Vec<Drawn>,
    ways: Vec<Way>,
    policy: Option<Policy>,
    days_ahead: i64,
    has_record: bool,
    limits: Limits,
    /// Whether rows go that name paths outside of the roots.
    ignores_outside: bool,
}

/// In days, but for temporary files.
#[derive(Debug, Clone)]
struct Limits {
    completed: i64,
    failed: i64,
    receipts: i64,
    temp_hours: i64,
    logs: i64,
}

fn task() -> impl Strategy<Value = TaskRow> {
    let status =
        vec!["COMPLETED", "COMPLETED", "COMPLETED", "FAILED", "FAILED", "PENDING", "RETURNED"];
    let paths = [spelled(), spelled(), spelled()];
    (prop::sample::select(status), written(), written(), written(), paths).prop_map(
        |(status, created, updated, completed, paths)| TaskRow {
            status,
            created,
            updated,
            completed,
            paths,
        },
    )
}

fn receipt() -> impl Strategy<Value = Receipt> {
    (written(), any::<bool>(), spelled(), spelled()).prop_map(
        |(created, is_linked, path, tracking_path)| Receipt {
            created,
            is_linked,
            path,
            tracking_path,
        },
    )
}

fn world() -> impl Strategy<Value = World> {
    let rows = (prop::collection::vec(task(), 1..30), prop::collection::vec(receipt(), 0..10));
    let files = (prop::collection::vec(drawn(), 1..25), prop::collection::vec(way(), 0..5));
    let days_ahead = prop_oneof![4 => Just(0), 1 => -40i64..0, 1 => 1i64..30, 1 => 30i64..400];
    let clock = (days_ahead, any::<bool>());
    let limits = (0i64..50, 0i64..50, 0i64..50, 0i64..500, 0i64..50);
    let limits = limits.prop_map(|(completed, failed, receipts, temp_hours, logs)| Limits {
        completed,
        failed,
        receipts,
        temp_hours,
        logs,
    });
    let policy = prop::option::weighted(0.5, policy());
    (rows, files, policy, clock, limits, any::<bool>()).prop_map(
        |((tasks, receipts), (files, ways), policy, clock, limits, ignores_outside)| World {
            tasks,
            receipts,
            files,
            ways,
            policy,
            days_ahead: clock.0,
            has_record: clock.1,
            limits,
            ignores_outside,
        },
    )
}

impl TaskRow {
    /// Whether it has expired.
    fn is_old(&self, clock: &Clock, limits: &Limits) -> bool {
        let (ends, days) = match self.status {
            "COMPLETED" => ([&self.completed, &self.updated], limits.completed),
            "FAILED" => ([&self.updated, &self.completed], limits.failed),
            _ => return false,
        };
        let ended = clock.ended(&self.created, &ends);
        ended.is_some_and(|time| clock.is_older(time, TimeDelta::days(days)))
    }
}

/// A row that names files, and what the kernel finds by its paths.
struct Namer {
    table: &'static str,
    id: usize,
    found: Vec<(String, Found)>,
}

/// Fills the tables; the rows that name files.
fn fill(env: &TestEnv, world: &World, clock: &Clock) -> Vec<Namer> {
    let mut sql =
        "DELETE FROM tracking_info; DELETE FROM delivery_receipts; DELETE FROM tasks; ".to_owned();
    let mut namers = Vec::new();
    let text = |path: &Option<Spelled>| {
        path.as_ref().map(|path| path.text(env, &world.files, &world.ways))
    };
    let mut name = |table, id, paths: &[Option<String>]| {
        let found = paths
            .iter()
            .flatten()
            .filter_map(|path| Some((path.clone(), find(env, path)?)))
            .collect();
        namers.push(Namer { table, id, found });
    };
    for (id, row) in (1..).zip(&world.tasks) {
        let mut task = Task::new(id).status(row.status).without("started_at");
        let times = [
            ("created_at", &row.created),
            ("updated_at", &row.updated),
            ("completed_at", &row.completed),
        ];
        for (column, written) in times {
            task.columns.insert(column, written.text(clock));
        }
        let paths = row.paths.each_ref().map(text);
        for (column, path) in FILES.into_iter().zip(&paths) {
            task.columns.insert(column, path.clone());
        }
        name("tasks", id as usize, &paths);
        sql += &task.insert();
    }
    for (id, receipt) in (1usize..).zip(&world.receipts) {
        let link = if receipt.is_linked {
            Task::new(id as u32).columns["tracking_number"].clone()
        } else {
            Some(format!("R{id}"))
        };
        let (path, tracking_path) = (text(&receipt.path), text(&receipt.tracking_path));
        name("delivery_receipts", id, std::slice::from_ref(&path));
        name("tracking_info", id, std::slice::from_ref(&tracking_path));
        let [link, path, tracking_path, created] =
            [link, path, tracking_path, receipt.created.text(clock)].map(|text| match text {
                Some(text) => format!("'{text}'"),
                None => "NULL".to_owned(),
            });
        sql += &format!(
            "INSERT INTO delivery_receipts (id, tracking_number, qr_code_path, created_at) VALUES ({id}, {link}, {path}, {created}); \
             INSERT INTO tracking_info (id, delivery_receipt_id, screenshot_path) VALUES ({id}, {id}, {tracking_path});"
        );
    }
    env.sql(sql.trim_end().trim_end_matches(';'));
    namers
}

/// The configuration, and the words of the run.
fn configure(env: &TestEnv, world: &World, role: Option<&str>, clock: &Clock) -> Vec<String> {
    let mut words: Vec<String> = ["-q", "-q", "cleanup", "--as-of"].map(str::to_owned).into();
    words.push(clock.now.to_rfc3339());
    let mut database = String::new();
    if let (Some(policy), Some(role)) = (&world.policy, role) {
        policy.set(env, role);
        words.extend(["--database-url".to_owned(), env.url_of(role)]);
        if policy.is_accepted() {
            database = "row_security = 'accept'\n".to_owned();
        }
    }
    let Limits { completed, failed, receipts, temp_hours, logs } = &world.limits;
    let outside = if world.ignores_outside { "ignore" } else { "error" };
    env.config(&format!(
        "{database}[cleanup]\nstorage_roots = ['uploads', 'static', 'data']\ntemp_dirs = ['uploads/temp', 'scratch']\nlog_dirs = ['logs']\n\
         completed_tasks_days = {completed}\nfailed_tasks_days = {failed}\nreceipts_days = {receipts}\ntemp_files_hours = {temp_hours}\n\
         log_files_days = {logs}\noutside_paths = '{outside}'"
    ));
    if let Some(time) = clock.last_run() {
        env.write("logs/taskmon_runs.jsonl", &record_of_run(time));
    }
    words
}

/// The files that a sweep takes if no row names them, of some folders.
fn sweepable(
    env: &TestEnv,
    places: &Places,
    clock: &Clock,
    folders: &[(&str, TimeDelta)],
) -> BTreeSet<FileId> {
    let of_folder = |(folder, limit): &(&str, TimeDelta)| {
        let limit = *limit;
        let old =
            swept(env, folder).into_iter().filter(move |(_, time)| clock.is_older(*time, limit));
        old.map(|(id, _)| id)
    };
    folders.iter().flat_map(of_folder).filter(|id| !places.in_use.contains(id)).collect()
}

fn kinds_of(result: &Value) -> impl Iterator<Item = &Value> {
    result["errors"].as_array().into_iter().flatten().map(|error| &error["kind"])
}

/// The ids of a table's rows.
fn ids_of(env: &TestEnv, table: &str) -> BTreeSet<usize> {
    let ids = column(env, &format!("SELECT id FROM {table}"));
    ids.iter().map(|id| id.parse().unwrap()).collect()
}

fn check(env: &TestEnv, role: Option<&str>, world: &World) -> Result<(), TestCaseError> {
    let clock = Clock {
        now: Utc::now().trunc_subsecs(0),
        days_ahead: world.days_ahead,
        has_record: world.has_record,
        can_hold_anything: env.url().starts_with("sqlite"),
    };
    let places = Places::make(env, &world.files, &world.ways, clock.true_time());
    let namers = fill(env, world, &clock);
    let words = configure(env, world, role, &clock);
    let (hours, days) = (world.limits.temp_hours, world.limits.logs);
    let temp = ["uploads/temp", "scratch"].map(|folder| (folder, TimeDelta::hours(hours)));
    let temp = sweepable(env, &places, &clock, &temp);
    let logs = sweepable(env, &places, &clock, &[("logs", TimeDelta::days(days))]);
    let finished = env.taskmon(words).run();
    let (code, result) = (finished.code.unwrap(), finished.json());
    let _ = finished.stderr();
    let stays: BTreeMap<&str, BTreeSet<usize>> = ["tasks", "delivery_receipts", "tracking_info"]
        .map(|table| (table, ids_of(env, table)))
        .into();
    let ids = places.ids.clone();
    drop(places);

    let may_hide = role.is_some() && world.policy.as_ref().is_some_and(Policy::may_hide);
    // Of rows that may be hidden none is asked.
    let times = world
        .tasks
        .iter()
        .filter(|_| !may_hide)
        .flat_map(|row| [&row.created, &row.updated, &row.completed]);
    let has_leapt = clock.has_leapt(times.filter_map(|time| time.plausible(&clock)));
    let is_refused = has_leapt || may_hide;
    // A mount may show the whole in a folder that is swept.
    let is_misconfigured = code == 2;
    prop_assert!(is_misconfigured || is_refused == (code == 3), "exit code {code}: {result:#}");
    let is_done = matches!(code, 0 | 1);

    for (id, row) in (1..).zip(&world.tasks) {
        let is_old = row.is_old(&clock, &world.limits);
        let has_stayed = stays["tasks"].contains(&id);
        prop_assert!(has_stayed || is_done && is_old, "task {id} went: {row:?}\n{result:#}");
        let errors = result["errors"].as_array().into_iter().flatten();
        let mut reasons = errors.filter(|error| error["task_id"] == format!("task_{id}"));
        let is_doubtful = !is_done || reasons.next().is_some();
        prop_assert!(
            !has_stayed || !is_old || is_doubtful,
            "task {id} stayed: {row:?}\n{result:#}"
        );
    }
    for (id, receipt) in (1..).zip(&world.receipts) {
        let created = clock.ended(&receipt.created, &[]);
        let limit = TimeDelta::days(world.limits.receipts);
        let is_old = created.is_some_and(|time| clock.is_older(time, limit));
        let is_orphan = !receipt.is_linked || !stays["tasks"].contains(&id);
        let has_stayed = stays["delivery_receipts"].contains(&id);
        prop_assert!(
            has_stayed || is_done && is_old && is_orphan,
            "receipt {id} went: {receipt:?}\n{result:#}"
        );
        prop_assert!(
            !has_stayed || !is_old || !is_orphan || code != 0,
            "receipt {id} stayed: {receipt:?}\n{result:#}"
        );
        prop_assert_eq!(
            has_stayed,
            stays["tracking_info"].contains(&id),
            "the tracking row of {}",
            id
        );
    }
    // On what something is mounted by another path, only the removal itself says so: the row stays, and its other files may be gone.
    let is_partial = kinds_of(&result).any(|kind| kind == "unlink_failed");
    for (number, id) in ids.iter().enumerate().filter(|_| !is_partial) {
        let path = own_path(&world.files, number);
        let is_there = find(env, &path).is_some_and(|found| found.id == *id);
        let mut named = false;
        let mut named_inside = false;
        let mut named_outside = false;
        let mut named_by = Vec::new();
        for namer in &namers {
            for (path, found) in namer.found.iter().filter(|(_, found)| found.id == *id) {
                named = true;
                named_inside |= found.is_inside;
                named_outside |= !found.is_inside;
                if stays[namer.table].contains(&namer.id) {
                    named_by.push((namer.table, namer.id, path));
                }
            }
        }
        let drawn = &world.files[number];
        let is_sweepable = temp.contains(id) || logs.contains(id);
        // Where no row can be asked, and among logs, only beneath a root does a file have to stay that a row names.
        let needs_no_row = !named_inside && (is_refused || logs.contains(id));
        let may_be_swept = is_sweepable && (!named || needs_no_row);
        let went_with_rows = named && named_by.is_empty();
        let may_go = may_be_swept && !has_leapt && !is_misconfigured || went_with_rows && is_done;
        prop_assert!(
            is_there || may_go,
            "{path} went: {drawn:?}, named by {named_by:?}\n{result:#}"
        );
        let must_go = is_done
            && !paths::leave_a_mount_out(&world.ways)
            && (is_sweepable && !named || went_with_rows && !named_outside);
        prop_assert!(!is_there || !must_go, "{path} stayed: {drawn:?}\n{result:#}");
    }
    Ok(())
}

fn nothing_young_goes(env: &TestEnv) {
    let cases = std::env::var("PROPTEST_CASES").map_or(40, |cases| cases.parse().unwrap());
    let role = (!env.url().starts_with("sqlite")).then(|| env.role(""));
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let check = |world: World| check(env, role.as_deref(), &world);
    TestRunner::new(config).run(&world(), check).unwrap();
}

on_each_database! {
    fn nothing_younger_than_its_limit_goes(env) {
        let database = if env.url().starts_with("sqlite") { "on_sqlite" } else { "on_postgres" };
        let name = format!("property::{database}::nothing_younger_than_its_limit_goes");
        in_own_mounts(&name, || nothing_young_goes(&env));
    }
}
