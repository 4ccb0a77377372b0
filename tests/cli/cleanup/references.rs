//! Files that another row names stay.

use super::*;

/// Numbers that look like chance, the same ones every time.
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    pub fn one_of<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len() as u64) as usize]
    }

    /// One of ninety files in one of several forms, or none.
    fn path(&mut self, env: &TestEnv) -> String {
        let name = format!("f{}", self.below(90));
        match self.below(6) {
            0 => "NULL".to_owned(),
            1 => format!("'./uploads//{name}'"),
            2 => format!("'uploads/x/../{name}'"),
            3 => format!("'{}'", env.path(format!("uploads/{name}")).display()),
            _ => format!("'uploads/{name}'"),
        }
    }

    /// Mostly long ago.
    fn time(&mut self) -> &'static str {
        ["'2026-10-01 10:00:00'", "'2026-11-24 10:00:00'"][usize::from(self.below(5) == 0)]
    }
}

/// Tasks, receipts and tracking rows that name each other's files, some of which other rows refer to.
fn fill_by_chance(env: &TestEnv, chance: &mut Chance) {
    let mut sql = String::from(
        "CREATE TABLE refers (task integer REFERENCES tasks (id), receipt integer REFERENCES delivery_receipts (id) DEFERRABLE INITIALLY DEFERRED);",
    );
    for id in 1..=60 {
        let status = ["COMPLETED", "COMPLETED", "COMPLETED", "FAILED", "PENDING", "RETURNED"]
            [chance.below(6) as usize];
        let (image, document, time) = (chance.path(env), chance.path(env), chance.time());
        sql += &format!(
            "INSERT INTO tasks (id, task_id, status, image_path, document_path, tracking_number, created_at, updated_at, completed_at, retry_count) \
             VALUES ({id}, 't{id}', '{status}', {image}, {document}, 'T{link}', {time}, {time}, {time}, 0);",
            link = chance.below(50),
        );
    }
    for id in 1..=40 {
        let (code, document, shot, time) =
            (chance.path(env), chance.path(env), chance.path(env), chance.time());
        sql += &format!(
            "INSERT INTO delivery_receipts (id, tracking_number, qr_code_path, delivery_receipt_doc_path, created_at) \
             VALUES ({id}, 'T{id}', {code}, {document}, {time}); \
             INSERT INTO tracking_info (id, delivery_receipt_id, screenshot_path) VALUES ({id}, {id}, {shot});"
        );
    }
    for _ in 0..5 {
        sql += &format!(
            "INSERT INTO refers VALUES ({}, {});",
            1 + chance.below(60),
            1 + chance.below(40)
        );
    }
    env.sql(sql.trim_end_matches(';'));
}

/// The names of the files that rows name.
fn named(env: &TestEnv) -> BTreeSet<String> {
    let paths = column(
        env,
        "SELECT image_path FROM tasks WHERE image_path IS NOT NULL UNION SELECT document_path FROM tasks WHERE document_path IS NOT NULL \
         UNION SELECT qr_code_path FROM delivery_receipts WHERE qr_code_path IS NOT NULL \
         UNION SELECT delivery_receipt_doc_path FROM delivery_receipts WHERE delivery_receipt_doc_path IS NOT NULL \
         UNION SELECT screenshot_path FROM tracking_info WHERE screenshot_path IS NOT NULL",
    );
    let name = |path: &String| path.rsplit('/').next().unwrap().to_owned();
    paths.iter().map(name).collect()
}

fn files_stay_as_long_as_a_row_names_them(make: fn() -> TestEnv) {
    for seed in 1..=6 {
        let env = make();
        make_files(&env, &[]);
        std::fs::create_dir_all(env.path("uploads/x")).unwrap();
        for n in 0..90 {
            env.write(&format!("uploads/f{n}"), &"x".repeat(n * 5_000));
        }
        std::fs::hard_link(env.path("uploads/f28"), env.path("uploads/x/another_name")).unwrap();
        let mut chance = Chance(seed);
        fill_by_chance(&env, &mut chance);
        let before = named(&env);
        let size = (1 + chance.below(40)).to_string();
        let arguments = ["--only", "tasks,receipts", "--batch-size", &size];
        let code = |more: &[&str]| {
            let finished = env
                .taskmon(
                    ["-q", "-q", "cleanup", "--as-of", AS_OF]
                        .iter()
                        .chain(&arguments)
                        .chain(more)
                        .copied(),
                )
                .run();
            assert!(matches!(finished.code, Some(0 | 1)), "{:?}", finished.code);
            finished.json()
        };
        let dry_run = code(&["--dry-run"]);
        let result = code(&[]);
        for key in [
            "tasks_cleaned",
            "receipts_cleaned",
            "files_cleaned",
            "disk_space_freed_mb",
            "files_shared",
            "errors",
        ] {
            assert_eq!(dry_run[key], result[key], "seed {seed}: {key}");
        }
        assert!(result["files_cleaned"].as_u64().unwrap() > 0, "seed {seed}");
        let after = named(&env);
        for name in before {
            let there = env.path(format!("uploads/{name}")).exists();
            assert_eq!(there, after.contains(&name), "seed {seed}: {name}");
        }
    }
}

on_each_database! {
    fn a_file_stays_that_a_remaining_row_names_in_any_form(env) {
        let absolute = env.path("uploads/image_3.png");
        let absolute = absolute.to_str().unwrap();
        let stays = |n| Task::new(n).without("document_path").without("screenshot_path");
        let tasks = [
            old(1), old(2), old(3), old(4),
            stays(11).with("image_path", "uploads/image_1.png"),
            stays(12).with("image_path", "./uploads//image_2.png"),
            stays(13).with("image_path", absolute),
            stays(14).with("image_path", "uploads/x/../image_4.png"),
        ];
        prepare(&env, &tasks[..4]);
        env.insert(tasks[4..].iter().cloned());
        let result = cleanup(&env, 0, &["--only", "tasks"]);
        assert_eq!(ids(&env), ["11", "12", "13", "14"]);
        for n in 1..=4 {
            assert!(env.path(format!("uploads/image_{n}.png")).exists(), "{n}");
            assert!(!env.path(format!("static/screen_{n}.png")).exists(), "{n}");
        }
        assert_eq!(result["files_shared"], 4);
        assert_eq!(result["files_cleaned"], 8);
    }

    fn expired_rows_that_share_a_file_take_it_with_the_last_of_them(env) {
        let tasks: Vec<Task> = (1..=7).map(|n| old(n).with("image_path", "uploads/same.png")).collect();
        prepare(&env, &tasks);
        let dry_run = cleanup(&env, 0, &["--only", "tasks", "--batch-size", "2", "--dry-run"]);
        let result = cleanup(&env, 0, &["--only", "tasks", "--batch-size", "2"]);
        assert_eq!(result["files_cleaned"], 15);
        assert_eq!(result["tasks_cleaned"], 7);
        assert_eq!(dry_run["files_cleaned"], 15);
        assert!(!env.path("uploads/same.png").exists());
    }

    fn a_file_that_is_named_through_a_link_stays_if_another_row_names_it_directly(env) {
        let tasks = [
            old(1).with("image_path", "uploads/alias/a.png"),
            old(2).with("image_path", "uploads/alias/b.png"),
            Task::new(3).with("image_path", "uploads/real/a.png"),
        ];
        env.write("uploads/real/.gitkeep", "");
        std::os::unix::fs::symlink("real", env.path("uploads/alias")).unwrap();
        prepare(&env, &tasks);
        let dry_run = cleanup(&env, 0, &["--only", "tasks", "--dry-run"]);
        let result = cleanup(&env, 0, &["--only", "tasks"]);
        assert_eq!(ids(&env), ["3"]);
        assert!(env.path("uploads/real/a.png").exists());
        assert!(!env.path("uploads/real/b.png").exists());
        for key in ["files_cleaned", "files_shared"] {
            assert_eq!(dry_run[key], result[key], "{key}");
        }
        assert_eq!((&result["files_cleaned"], &result["files_shared"]), (&json!(5), &json!(1)));
    }

    fn a_file_stays_that_another_row_names_through_a_link(env) {
        let tasks = [
            old(1).with("image_path", "uploads/a.png").with("document_path", "uploads/inner/b.png").with("screenshot_path", "uploads/c.png"),
            old(2).with("image_path", "uploads/d.png").with("document_path", "media/e.png").with("screenshot_path", "static/uploads/f.png"),
            Task::new(3).with("image_path", "static/uploads/a.png").with("document_path", "media/b.png").with("screenshot_path", "./media//../uploads/c.png"),
            Task::new(4).with("image_path", "uploads/d.png").with("document_path", "uploads/inner/e.png").with("screenshot_path", "uploads/f.png"),
            old(5),
        ];
        env.write("uploads/inner/.gitkeep", "");
        env.write("static/.gitkeep", "");
        std::os::unix::fs::symlink("../uploads", env.path("static/uploads")).unwrap();
        std::os::unix::fs::symlink("uploads/inner", env.path("media")).unwrap();
        prepare(&env, &tasks);
        let dry_run = cleanup(&env, 0, &["--only", "tasks", "--dry-run"]);
        let result = cleanup(&env, 0, &["--only", "tasks"]);
        assert_eq!(ids(&env), ["3", "4"]);
        for name in ["a.png", "inner/b.png", "c.png", "d.png", "inner/e.png", "f.png"] {
            assert!(env.path("uploads").join(name).exists(), "{name}");
        }
        for key in ["files_cleaned", "files_shared"] {
            assert_eq!(dry_run[key], result[key], "{key}");
        }
        assert_eq!((&result["files_cleaned"], &result["files_shared"]), (&json!(3), &json!(6)));
        // So it is in temp folders.
        env.config("[cleanup]\ntemp_dirs = ['uploads/inner']");
        for name in ["b.png", "e.png", "free.png"] {
            env.write(&format!("uploads/inner/{name}"), "12345");
            age(&env.path("uploads/inner").join(name), 50_000);
        }
        let swept = cleanup(&env, 0, &["--only", "temp"]);
        assert_eq!((&swept["files_cleaned"], &swept["files_shared"]), (&json!(1), &json!(2)));
        assert!(!env.path("uploads/inner/free.png").exists());
    }

    fn a_file_that_two_roots_lead_to_is_counted_once(env) {
        let tasks = [
            old(1).with("image_path", "uploads/inner/a.png"),
            old(2).with("image_path", "data/a.png"),
        ];
        env.write("uploads/inner/.gitkeep", "");
        std::os::unix::fs::symlink("uploads/inner", env.path("data")).unwrap();
        env.config("[cleanup]\nstorage_roots = ['uploads', 'static', 'data']");
        prepare(&env, &tasks);
        let dry_run = cleanup(&env, 0, &["--only", "tasks", "--dry-run"]);
        let result = cleanup(&env, 0, &["--only", "tasks"]);
        assert_eq!(ids(&env), Vec::<String>::new());
        for key in ["files_cleaned", "disk_space_freed_mb"] {
            assert_eq!(dry_run[key], result[key], "{key}");
        }
        assert_eq!(result["files_cleaned"], json!(5));
        assert!(!env.path("uploads/inner/a.png").exists());
    }

    fn a_file_stays_that_a_row_names_which_belongs_to_no_receipt(env) {
        prepare(&env, &[old(1), old(2)]);
        env.sql("INSERT INTO tracking_info (id, delivery_receipt_id, screenshot_path) VALUES (1, NULL, 'static/screen_1.png')");
        let dry_run = cleanup(&env, 0, &["--dry-run", "--only", "tasks"]);
        let result = cleanup(&env, 0, &["--only", "tasks"]);
        for key in ["tasks_cleaned", "files_cleaned", "files_shared"] {
            assert_eq!(dry_run[key], result[key], "{key}");
        }
        assert_eq!((&result["tasks_cleaned"], &result["files_cleaned"]), (&json!(2), &json!(5)));
        assert!(env.path("static/screen_1.png").exists());
        assert!(!env.path("static/screen_2.png").exists());
    }
}

#[test]
fn a_folder_that_cannot_be_listed_is_warned_of() {
    let env = TestEnv::sqlite();
    prepare(&env, &[old(1)]);
    let mode = |path: &str, bits: u32| {
        std::fs::set_permissions(env.path(path), std::fs::Permissions::from_mode(bits)).unwrap();
    };
    mode("tasks.db", 0o666);
    for (bits, is_said) in [(0o711, true), (0o755, false)] {
        mode("", bits);
        let mut words = vec!["--reuid=65534", "--regid=65534", "--clear-groups"];
        words.extend([env!("CARGO_BIN_EXE_taskmon"), "cleanup", "--only", "tasks", "--dry-run"]);
        let finished = env.program("/usr/bin/setpriv", words).run();
        finished.json();
        let said = finished.stderr().contains("cannot be listed: files that rows name by links");
        assert_eq!(said, is_said, "{}", finished.stderr());
    }
}

/// Rules of a language under which texts are equal that are not the same, and of several columns none that holds for all.
#[test]
fn columns_with_collations_of_their_own_share_files_all_the_same() {
    let env = TestEnv::postgres();
    env.sql(
        "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         ALTER TABLE tasks ALTER image_path TYPE varchar(500) COLLATE loose, ALTER document_path TYPE varchar(500) COLLATE \"C\"",
    );
    let tasks = [
        old(1).with("image_path", "uploads/a.png"),
        old(2).with("image_path", "uploads/b.png"),
        old(3).with("image_path", "uploads/C.png"),
        Task::new(4).with("document_path", "uploads/./a.png"),
        Task::new(5).with("image_path", "uploads/c.png"),
    ];
    prepare(&env, &tasks);
    let result = cleanup(&env, 0, &["--only", "tasks"]);
    assert_eq!(ids(&env), ["4", "5"]);
    assert_eq!(result["files_shared"], 1);
    assert_eq!(result["files_cleaned"], 8);
    // What rows name in temp folders is asked for in the same columns.
    env.write("uploads/temp/free.png", "12345");
    age(&env.path("uploads/temp/free.png"), 50_000);
    let swept = cleanup(&env, 0, &["--only", "temp"]);
    assert_eq!(swept["files_cleaned"], 1);
    for (path, is_there) in [("a", true), ("b", false), ("C", false), ("c", true)] {
        assert_eq!(env.path(format!("uploads/{path}.png")).exists(), is_there, "{path}");
    }
}

#[test]
fn at_random_a_file_stays_as_long_as_a_row_names_it_on_postgres() {
    files_stay_as_long_as_a_row_names_them(TestEnv::postgres);
}

#[test]
fn at_random_a_file_stays_as_long_as_a_row_names_it_on_sqlite() {
    files_stay_as_long_as_a_row_names_them(TestEnv::sqlite);
}
