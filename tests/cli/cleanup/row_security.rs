//! Rows that the role is not shown: they protect no file, so that nothing goes by the others' word.

use super::*;
use crate::support::env::lock_tasks;

/// What a role without privileges beyond SELECT and DELETE is given; `MINE` is its name, `OTHER` that of a role that owns nothing yet.
struct Case {
    name: &'static str,
    statements: &'static str,
    /// Of `[database.tasks]`, and what follows it.
    config: &'static str,
    /// What the error names.
    names: &'static [&'static str],
}

const HIDES_ONE: &str =
    "ALTER TABLE tasks ENABLE ROW LEVEL SECURITY; CREATE POLICY most ON tasks USING (id <> 2);";
const HIDES_FLAGS: &str = "CREATE TABLE flags (task integer, pinned boolean); ALTER TABLE flags ENABLE ROW LEVEL SECURITY; \
                           GRANT SELECT ON flags TO MINE;";

/// The role and the configuration of a case.
fn prepare_case(env: &TestEnv, case: &Case) -> [String; 2] {
    let (role, other) = (env.role(""), env.role(""));
    let named = |text: &str| text.replace("MINE", &role).replace("OTHER", &other);
    let statements =
        case.statements.replace("HIDES_ONE", HIDES_ONE).replace("HIDES_FLAGS", HIDES_FLAGS);
    let statements = named(&statements);
    env.sql(&format!(
        "GRANT DELETE ON ALL TABLES IN SCHEMA public TO {role}; GRANT CREATE, USAGE ON SCHEMA public TO {role}, {other}; {statements}"
    ));
    env.config(&format!("[database.tasks]\n{}\n", case.config));
    ["--database-url".into(), env.url_of(&role)]
}

/// Two rows that name one file: the expired one is shown, the fresh one not.
fn share_a_file(env: &TestEnv) {
    let fresh = Task::new(2).with("image_path", "uploads/image_1.png");
    prepare(env, &[old(1)]);
    env.insert([fresh]);
}

#[test]
fn a_file_stays_that_a_hidden_row_may_name() {
    let cases = [
        Case {
            name: "a policy leaves rows out",
            statements: "HIDES_ONE",
            config: "",
            names: &["database.tasks.from", "row level security applies to tasks"],
        },
        Case {
            name: "without a policy none is shown",
            statements: "ALTER TABLE tasks ENABLE ROW LEVEL SECURITY",
            config: "",
            names: &["tasks"],
        },
        Case {
            name: "its owner is subject to it, too",
            statements: "HIDES_ONE ALTER TABLE tasks FORCE ROW LEVEL SECURITY; ALTER TABLE tasks OWNER TO MINE",
            config: "",
            names: &["tasks"],
        },
        Case {
            name: "a policy that shows those who read everything is not known to",
            statements: "ALTER TABLE tasks ENABLE ROW LEVEL SECURITY; CREATE POLICY a ON tasks FOR SELECT USING (true)",
            config: "",
            names: &["tasks"],
        },
        Case {
            name: "receipts",
            statements: "ALTER TABLE delivery_receipts ENABLE ROW LEVEL SECURITY",
            config: "",
            names: &["database.receipts.from", "delivery_receipts"],
        },
        Case {
            name: "rows that go along with receipts",
            statements: "ALTER TABLE tracking_info ENABLE ROW LEVEL SECURITY",
            config: "",
            names: &["database.receipts.dependents[1].from", "tracking_info"],
        },
        Case {
            name: "rows that go along with tasks",
            statements: "HIDES_FLAGS",
            config: "dependents = [{ from = 'flags', foreign_key = 'task' }]",
            names: &["database.tasks.dependents[1].from", "flags"],
        },
        Case {
            name: "only where rows are deleted from",
            statements: "CREATE VIEW shown AS SELECT * FROM tasks; GRANT SELECT ON shown TO MINE; ALTER TABLE tasks ENABLE ROW LEVEL SECURITY",
            config: "from = 'shown'\ndelete_from = 'tasks'",
            names: &["database.tasks.delete_from", "tasks"],
        },
        Case {
            name: "a view of somebody to whom not all is shown",
            statements: "HIDES_ONE GRANT SELECT ON tasks TO OTHER; CREATE VIEW shown AS SELECT * FROM tasks; ALTER VIEW shown OWNER TO OTHER; \
                         CREATE VIEW outer_view AS SELECT * FROM shown; GRANT SELECT ON outer_view TO MINE; ALTER ROLE MINE BYPASSRLS",
            config: "from = 'outer_view'\ndelete_from = 'tasks'",
            names: &["database.tasks.from", "tasks"],
        },
        Case {
            name: "a join with what is not all shown",
            statements: "HIDES_FLAGS",
            config: "from = 'tasks LEFT JOIN flags ON task = id'\ndelete_from = 'tasks'",
            names: &["database.tasks.from", "flags"],
        },
        Case {
            name: "a guard that asks another table",
            statements: "HIDES_FLAGS",
            config: "guard = 'NOT EXISTS (SELECT FROM flags WHERE task = id AND pinned)'",
            names: &["database.tasks.from", "flags"],
        },
        Case {
            name: "a guard that asks it by a function",
            statements: "HIDES_FLAGS CREATE FUNCTION is_free(integer) RETURNS boolean STABLE LANGUAGE plpgsql AS \
                         'BEGIN RETURN NOT EXISTS (SELECT FROM flags WHERE task = $1 AND pinned); END'",
            config: "guard = 'is_free(id)'",
            names: &["flags"],
        },
        Case {
            name: "a function in the FROM clause",
            statements: "HIDES_ONE CREATE FUNCTION all_tasks() RETURNS SETOF tasks STABLE LANGUAGE plpgsql AS \
                         'BEGIN RETURN QUERY SELECT * FROM tasks; END'; CREATE TABLE gone (id integer); GRANT SELECT, DELETE ON gone TO MINE",
            config: "from = 'all_tasks()'\ndelete_from = 'gone'",
            names: &["tasks"],
        },
        Case {
            name: "a partitioned table",
            statements: "CREATE TABLE parted (LIKE tasks) PARTITION BY RANGE (id); CREATE TABLE part PARTITION OF parted DEFAULT; \
                         ALTER TABLE parted ENABLE ROW LEVEL SECURITY; GRANT SELECT, DELETE ON parted TO MINE",
            config: "from = 'parted'\ndelete_from = 'parted'",
            names: &["parted"],
        },
        Case {
            name: "a view that is made to filter",
            statements: "CREATE VIEW shown WITH (security_barrier = on) AS SELECT * FROM tasks WHERE id <> 2; \
                         CREATE VIEW outer_view AS SELECT * FROM shown; GRANT SELECT ON outer_view TO MINE",
            config: "from = 'outer_view'\ndelete_from = 'tasks'",
            names: &["database.tasks.from", "shown is a view with security_barrier"],
        },
        Case {
            name: "a materialized view that was filled with less",
            statements: "HIDES_FLAGS GRANT SELECT ON flags TO OTHER; CREATE VIEW shown AS SELECT * FROM flags; \
                         CREATE MATERIALIZED VIEW stored AS SELECT * FROM shown; ALTER VIEW shown OWNER TO OTHER; GRANT SELECT ON stored TO MINE",
            config: "from = 'tasks LEFT JOIN stored ON task = id'\ndelete_from = 'tasks'",
            names: &["database.tasks.from", "the materialized view stored"],
        },
    ];
    for case in &cases {
        let env = TestEnv::postgres();
        share_a_file(&env);
        let url = prepare_case(&env, case);
        for more in [["--dry-run"].as_slice(), &["--only", "tasks"], &[]] {
            let arguments = [&[url[0].as_str(), &url[1]], more].concat();
            let finished = run(&env, 3, &arguments);
            let document = finished.failure("row_security", case.names);
            let hint = document["error"]["hint"].as_str().unwrap();
            assert!(hint.contains("row_security = \"accept\""), "{}: {document:#}", case.name);
        }
        assert_eq!(ids(&env), ["1", "2"], "{}", case.name);
        assert!(has_files(&env, &old(1)), "{}", case.name);
    }
}

#[test]
fn where_the_role_is_shown_every_row_its_cleanup_goes_on() {
    let cases = [
        Case {
            name: "the owner of the table",
            statements: "HIDES_ONE ALTER TABLE tasks OWNER TO MINE",
            config: "",
            names: &[],
        },
        Case {
            name: "a role that goes by no policy",
            statements: "HIDES_ONE ALTER ROLE MINE BYPASSRLS",
            config: "",
            names: &[],
        },
        Case {
            name: "what policies a table of no interest has",
            statements: "HIDES_FLAGS",
            config: "",
            names: &[],
        },
        Case {
            name: "a view of somebody to whom all is shown, over a table that is shown to its owner alone",
            statements: "HIDES_FLAGS CREATE VIEW shown AS SELECT * FROM tasks LEFT JOIN flags ON task = id; GRANT SELECT ON shown TO MINE",
            config: "from = 'shown'\ndelete_from = 'tasks'",
            names: &[],
        },
        Case {
            name: "a partition that is read through the whole",
            statements: "ALTER TABLE tasks RENAME TO before; CREATE TABLE tasks (LIKE before) PARTITION BY RANGE (id); \
                         ALTER TABLE before RENAME TO part; ALTER TABLE tasks ATTACH PARTITION part DEFAULT; \
                         ALTER TABLE part ENABLE ROW LEVEL SECURITY; GRANT SELECT, DELETE ON tasks TO MINE",
            config: "",
            names: &[],
        },
        Case {
            name: "a trigger that writes where rows are hidden",
            statements: "HIDES_FLAGS CREATE POLICY a ON flags FOR INSERT WITH CHECK (true); GRANT INSERT ON flags TO MINE; \
                         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO flags VALUES (OLD.id, false); RETURN NULL; END'; \
                         CREATE TRIGGER note AFTER DELETE ON tasks FOR EACH ROW EXECUTE FUNCTION note()",
            config: "",
            names: &[],
        },
    ];
    for case in &cases {
        let env = TestEnv::postgres();
        share_a_file(&env);
        let url = prepare_case(&env, case);
        let result = cleanup(&env, 0, &[&url[0], &url[1]]);
        assert_eq!(result["tasks_cleaned"], 1, "{}: {result:#}", case.name);
        assert_eq!(
            (ids(&env), &result["files_shared"]),
            (vec!["2".to_owned()], &json!(1)),
            "{}",
            case.name
        );
    }
}

#[test]
fn a_role_whose_policies_show_it_all_is_believed_when_the_configuration_says_so() {
    let env = TestEnv::postgres();
    share_a_file(&env);
    let role = env.role("");
    env.sql(&format!(
        "GRANT DELETE ON ALL TABLES IN SCHEMA public TO {role}; ALTER TABLE tasks ENABLE ROW LEVEL SECURITY; CREATE POLICY everything ON tasks USING (true)"
    ));
    let option = ["--database-url", &env.url_of(&role)];
    run(&env, 3, &option).failure("row_security", &["tasks"]);
    env.config("row_security = 'accept'");
    let dry_run = cleanup(&env, 0, &[&option[..], &["--dry-run"]].concat());
    let result = cleanup(&env, 0, &option);
    for key in ["tasks_cleaned", "files_cleaned", "files_shared"] {
        assert_eq!(dry_run[key], result[key], "{key}");
    }
    assert_eq!((ids(&env), &result["files_shared"]), (vec!["2".to_owned()], &json!(1)));
}

/// Planning waits for the table, and a statement's time limit ends that: whether rows are hidden is not known then.
#[test]
fn a_table_that_is_locked_while_the_run_begins_is_not_taken_for_one_without_policies() {
    let env = TestEnv::postgres();
    share_a_file(&env);
    let case = Case { name: "", statements: "HIDES_ONE", config: "", names: &[] };
    let url = prepare_case(&env, &case);
    env.config("statement_timeout_seconds = 1");
    let mut other = env.client();
    let held = lock_tasks(&mut other);
    let run = env.taskmon(["-q", "-q", "cleanup", "--as-of", AS_OF, &url[0], &url[1]]).spawn();
    env.wait_until_blocked(1);
    let mut observer = env.client();
    let waiting = "SELECT FROM pg_locks JOIN pg_database d ON d.oid = database WHERE datname = current_database() AND NOT granted";
    wait_until("the time limit", || observer.query(waiting, &[]).unwrap().is_empty());
    held.rollback().unwrap();
    let finished = run.wait();
    assert_eq!(finished.code, Some(3));
    finished.failure("statement_timeout", &["whether rows may be hidden"]);
    assert_eq!(ids(&env), ["1", "2"]);
    assert!(has_files(&env, &old(1)));
}

/// PostgreSQL 15 has such views.
#[test]
fn a_view_that_reads_as_whoever_asks_is_subject_to_the_policies() {
    let env = TestEnv::postgres();
    let version: i32 =
        column(&env, "SELECT current_setting('server_version_num')")[0].parse().unwrap();
    if version < 150_000 {
        return;
    }
    share_a_file(&env);
    let case = Case {
        name: "",
        statements: "HIDES_FLAGS CREATE VIEW shown WITH (security_invoker = true) AS SELECT * FROM tasks LEFT JOIN flags ON task = id; \
                     CREATE VIEW outer_view WITH (security_invoker) AS SELECT * FROM shown; GRANT SELECT ON shown, outer_view TO MINE",
        config: "from = 'outer_view'\ndelete_from = 'tasks'",
        names: &[],
    };
    let url = prepare_case(&env, &case);
    run(&env, 3, &[&url[0], &url[1]]).failure("row_security", &["database.tasks.from", "flags"]);
    env.sql("ALTER VIEW shown SET (security_invoker = false)");
    assert_eq!(cleanup(&env, 0, &[&url[0], &url[1]])["tasks_cleaned"], 1);
}

#[test]
fn temp_files_that_a_hidden_row_may_name_are_left_alone() {
    let env = TestEnv::postgres();
    prepare(&env, &[old(1)]);
    env.write("uploads/temp/old", "x");
    env.write("scratch/old", "x");
    let role = env.role("");
    env.sql("ALTER TABLE tasks ENABLE ROW LEVEL SECURITY");
    env.config("[cleanup]\ntemp_dirs = ['uploads/temp', 'scratch']\ntemp_files_hours = 0");
    let result = env
        .taskmon(["-q", "-q", "cleanup", "--only", "temp", "--database-url", &env.url_of(&role)])
        .exits(1)
        .json();
    assert_eq!(kinds(&result), ["database_unavailable"], "{result:#}");
    assert!(result["errors"][0]["message"].as_str().unwrap().contains("row level security"));
    assert!(env.path("uploads/temp/old").exists() && !env.path("scratch/old").exists());
}
