//! Tasks that are on two servers of their own, behind foreign tables: what holds on one machine alone, such as a COMMIT that is all or nothing,
//! does not hold there.

use super::*;

/// What two runs on the same rows say of themselves, of the machine and of the time since.
const VARIES: [&str; 10] = [
    "execution_time",
    "generated_at",
    "resource_usage",
    "disk_usage",
    "time",
    "disk",
    "value",
    "message",
    "oldest_seconds",
    "oldest_open_seconds",
];

/// A server that has the tasks of two others.
struct Partitioned {
    coordinator: Cluster,
    members: [Cluster; 2],
    env: TestEnv,
}

impl Partitioned {
    fn new(tasks: &[Task]) -> Self {
        let (coordinator, env) = on_a_server_of_its_own(&[]);
        let members = [Cluster::start(), Cluster::start()];
        let sql = include_str!("../../fixtures/cleanup/foreign_partitions.sql");
        let sql = sql.replace("FIRST_PORT", &members[0].port.to_string());
        let sql = sql.replace("SECOND_PORT", &members[1].port.to_string());
        coordinator.client().batch_execute(&sql).unwrap();
        make_files(&env, tasks);
        coordinator.insert(tasks);
        let partitioned = Self { coordinator, members, env };
        let counts = partitioned.members.each_ref().map(|member| member.ids().len());
        assert!(counts.iter().all(|count| *count >= tasks.len() / 4), "{counts:?}");
        partitioned
    }

    fn ids(&self) -> Vec<String> {
        self.coordinator.ids()
    }

    /// The run after one that came to its end before.
    #[track_caller]
    fn finish(&self) {
        self.env.taskmon(arguments(&[])).exits(0).json();
    }
}

/// Tasks of every state, on several days, some expired.
fn of_every_state() -> Vec<Task> {
    let states = ["PENDING", "RECOGNIZING", "COMPLETED", "FAILED", "RETURNED"];
    let days = ["2026-10-01", DAY, "2026-11-21", "2026-11-15"];
    let task = |n: u32| {
        let (state, day) = (states[n as usize % 5], days[n as usize % 4]);
        let task = Task::new(n).at(&format!("{day} {:02}:10:00", n % 24)).status(state);
        match n % 7 {
            0 => task.with("image_path", format!("uploads/shared_{}.png", n / 28)),
            1 => task.without("completed_at").without("processing_time"),
            2 => task.without("screenshot_path").with("retry_count", n % 4),
            3 => task.with("error_message", "物流查询超时"),
            _ => task,
        }
    };
    (1..=200).map(task).collect()
}

/// Receipts that tasks refer to and orphaned ones, with what is tracked of them.
fn receipts() -> String {
    let receipt = |n: u32| {
        let link = if n.is_multiple_of(2) { format!("10{n:011}") } else { format!("orphan {n}") };
        let month = if n.is_multiple_of(5) { 11 } else { 9 };
        format!(
            "INSERT INTO delivery_receipts (id, tracking_number, qr_code_path, created_at) \
             VALUES ({n}, '{link}', 'static/qr_{n}.png', '2026-{month:02}-20 10:00:00'); \
             INSERT INTO tracking_info (id, delivery_receipt_id, screenshot_path) VALUES ({n}, {n}, 'static/info_{n}.png');"
        )
    };
    (1..=60).map(receipt).collect()
}

fn make_files_of_receipts(env: &TestEnv) {
    for n in 1..=60 {
        env.write(&format!("static/qr_{n}.png"), "12345");
        env.write(&format!("static/info_{n}.png"), "12345");
    }
}

fn without_what_varies(value: &Value) -> Value {
    match value {
        Value::Object(entries) => entries
            .iter()
            .filter(|(key, _)| !VARIES.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), without_what_varies(value)))
            .collect(),
        Value::Array(values) => values.iter().map(without_what_varies).collect(),
        value => value.clone(),
    }
}

fn files(env: &TestEnv) -> BTreeSet<String> {
    let root = env.path("");
    let all =
        ["uploads", "static"].into_iter().flat_map(|name| walkdir::WalkDir::new(root.join(name)));
    let all = all.map(|entry| entry.unwrap().into_path());
    all.map(|path| path.strip_prefix(&root).unwrap().display().to_string()).collect()
}

/// Without the advice on indexes, which differ.
fn checks(env: &TestEnv) -> Value {
    let result = env.taskmon(["-q", "-q", "check"]).exits(0).json();
    let checks = result["checks"].as_array().unwrap().iter();
    let checks = checks.filter(|check| check["name"] != "indexes");
    checks.map(|check| json!([check["name"], check["status"]])).collect()
}

fn same_as_on_one_server(foreign_receipts: Option<&str>) {
    let tasks = of_every_state();
    let one = TestEnv::postgres();
    one.insert(tasks.iter().cloned());
    one.sql(&receipts());
    let several = Partitioned::new(&tasks);
    if let Some(sql) = foreign_receipts {
        several.coordinator.client().batch_execute(sql).unwrap();
        let constraint =
            "ALTER TABLE tracking_info DROP CONSTRAINT tracking_info_delivery_receipt_id_fkey";
        several.members[1].client().batch_execute(constraint).unwrap();
    }
    several.coordinator.client().batch_execute(&receipts()).unwrap();
    let config = several.env.read("taskmon.toml");
    // As many queues as tasks, and few names.
    let groups = "[database.tasks]\nqueue = 'courier_company'\nname = 'CAST(user_id % 3 AS text)'";
    let config = format!("{config}\n{groups}\n");
    several.env.write("taskmon.toml", &config);
    one.write("taskmon.toml", &config.replace(&several.coordinator.url(), &one.url()));
    for env in [&one, &several.env] {
        make_files(env, &tasks);
        make_files_of_receipts(env);
    }
    assert_eq!(checks(&one), checks(&several.env));
    let as_of = ["--as-of", AS_OF];
    let commands: [(&[&str], bool); 6] = [
        (&["stats", "--no-alert", "--no-save", "--date", DAY], false),
        (&["alert", "--dry-run"], false),
        (&["cleanup", "--dry-run"], true),
        (&["cleanup", "--dry-run", "--only", "receipts"], true),
        (&["cleanup"], true),
        (&["cleanup"], true),
    ];
    for (command, has_as_of) in commands {
        let as_of: &[&str] = if has_as_of { &as_of } else { &[] };
        let arguments: Vec<&str> =
            ["-q", "-q"].iter().chain(command).chain(as_of).copied().collect();
        let [expected, result] = [&one, &several.env].map(|env| {
            let result = env.taskmon(arguments.clone()).exits(0).json();
            without_what_varies(&result)
        });
        assert_eq!(expected, result, "{command:?}");
        assert_eq!(files(&one), files(&several.env), "{command:?}");
    }
    for table in ["tasks", "delivery_receipts", "tracking_info"] {
        let query = format!("SELECT id::text FROM {table} ORDER BY id");
        let [expected, left] = [one.client(), several.coordinator.client()].map(|mut client| {
            let rows = client.query(&query, &[]).unwrap();
            rows.iter().map(|row| row.get(0)).collect::<Vec<String>>()
        });
        assert!(!left.is_empty(), "{table}");
        assert_eq!(expected, left, "{table}");
    }
}

#[test]
fn it_reports_and_deletes_the_same_as_on_one_server() {
    same_as_on_one_server(None);
}

#[test]
fn it_does_so_with_receipts_that_are_foreign_too() {
    same_as_on_one_server(Some(include_str!("../../fixtures/cleanup/foreign_receipts.sql")));
}

#[test]
fn killed_at_any_moment_it_leaves_no_row_without_its_files_and_the_next_run_finishes() {
    let tasks: Vec<Task> = (1..=600).map(old).collect();
    let several = Partitioned::new(&tasks);
    let (env, kept) = (&several.env, [Task::new(900)]);
    make_files(env, &kept);
    several.coordinator.insert(&kept);
    for moment in 0..12 {
        let mut command = env.taskmon(arguments(&["--batch-size", "3", "--no-lock"])).command();
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(60_000 + (moment * 7_919_017) % 400_000));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_rows_have_files(env, &tasks, &several.ids(), &kept);
    }
    assert!(several.ids().len() < 600, "no run came as far as to delete anything");
    several.finish();
    assert_eq!(several.ids(), ["900"]);
    assert_nothing_lost(env, &tasks, &several.ids(), &kept);
}

#[test]
fn eight_runs_at_once_count_each_row_once() {
    let tasks: Vec<Task> = (1..=400).map(old).collect();
    let several = Partitioned::new(&tasks);
    let arguments = arguments(&["--batch-size", "20", "--no-lock"]);
    let runs: Vec<_> = (0..8).map(|_| several.env.taskmon(arguments.clone()).spawn()).collect();
    let (mut cleaned, mut files) = (0, 0);
    for finished in runs.into_iter().map(crate::support::run::Running::wait) {
        let result = finished.json();
        assert_eq!((finished.code, &result["errors"]), (Some(0), &json!([])), "{result:#}");
        cleaned += result["tasks_cleaned"].as_u64().unwrap();
        files += result["files_cleaned"].as_u64().unwrap();
    }
    assert_eq!((cleaned, files), (400, 1200));
    assert_nothing_lost(&several.env, &tasks, &several.ids(), &[]);
}

#[test]
fn a_server_behind_it_that_is_lost_is_reported_and_the_next_run_finishes() {
    let tasks: Vec<Task> = (1..=1500).map(old).collect();
    let several = Partitioned::new(&tasks);
    let running = several.env.taskmon(arguments(&["--batch-size", "5"])).spawn();
    several.coordinator.wait_for(1400);
    several.members[1].down();
    let finished = running.wait();
    let result = finished.json();
    assert_eq!(finished.code, Some(1), "{result:#}");
    let said = message(&result, "database_failed");
    assert!(said.contains("run again when the server is back"), "{said}");
    several.members[1].up();
    let left = several.ids();
    assert_rows_have_files(&several.env, &tasks, &left, &[]);
    several.finish();
    assert!(several.ids().is_empty());
    assert_nothing_lost(&several.env, &tasks, &[], &[]);
}

#[test]
fn a_server_behind_it_that_comes_back_seconds_later_is_waited_for() {
    let tasks: Vec<Task> = (1..=1500).map(old).collect();
    let several = Partitioned::new(&tasks);
    let running = several.env.taskmon(arguments(&["--batch-size", "5"])).spawn();
    several.coordinator.wait_for(1400);
    several.members[0].down();
    std::thread::sleep(Duration::from_secs(2));
    several.members[0].up();
    let finished = running.wait();
    let result = finished.json();
    assert_eq!(finished.code, Some(0), "{result:#}");
    assert_eq!(result["tasks_cleaned"], 1500, "{result:#}");
    assert_eq!(result["files_cleaned"], 4500, "{result:#}");
    assert!(several.ids().is_empty());
    assert_nothing_lost(&several.env, &tasks, &[], &[]);
}

/// COMMIT goes to one server after the other, and what the last one refuses the first one has done.
#[test]
fn rows_that_one_server_has_committed_and_the_other_has_not_are_counted_and_lose_nothing() {
    let tasks: Vec<Task> = (1..=40).map(old).collect();
    let several = Partitioned::new(&tasks);
    for member in &several.members {
        let mut client = member.client();
        client
            .batch_execute(include_str!("../../fixtures/cleanup/refused_at_foreign_commit.sql"))
            .unwrap();
        let mark = "UPDATE tasks SET remarks = 'keep' WHERE id = (SELECT max(id) FROM tasks) RETURNING id::text";
        let kept: String = client.query_one(mark, &[]).unwrap().get(0);
        let finished = several.env.taskmon(arguments(&[])).run();
        let result = finished.json();
        assert_eq!(several.ids(), std::slice::from_ref(&kept), "{result:#}");
        let is_kept = |task: &Task| task.columns["id"].as_ref() == Some(&kept);
        let (kept, gone): (Vec<Task>, Vec<Task>) = tasks.iter().cloned().partition(is_kept);
        assert_nothing_lost(&several.env, &gone, &several.ids(), &kept);
        assert_eq!((finished.code, kinds(&result)), (Some(1), vec!["row_refused"]), "{result:#}");
        let counts = (&result["tasks_cleaned"], &result["files_cleaned"]);
        assert_eq!(counts, (&json!(39), &json!(39 * 3)), "{result:#}");
        client.batch_execute("DROP TRIGGER keep ON tasks; DROP FUNCTION keep").unwrap();
        make_files(&several.env, &gone);
        several.coordinator.insert(&gone);
    }
}
