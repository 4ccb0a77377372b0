//! What every `Pruner` deletes and keeps.

use crate::cli::cleanup::ids;
use crate::on_each_database;
use crate::store::harness::View;
use crate::support::env::TestEnv;
use crate::support::rows::Task;
use chrono::{DateTime, TimeDelta, Utc};
use taskmon::mapping::State;
use taskmon::store::prune::{Batch, Key, Keys, NamedPath, Pass, Pruned, Pruner, Scope, Source};

fn time(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

/// After every row of the suite.
fn later() -> DateTime<Utc> {
    time("2026-12-24T00:00:00Z")
}

fn completed() -> Scope {
    Scope::Tasks(vec![(State::Completed, later())])
}

/// Every key, page by page; what comes twice fails.
fn keys(pruner: &mut dyn Pruner, scope: &Scope, page: usize) -> Vec<Key> {
    let mut all: Vec<Key> = Vec::new();
    for pass in Pass::ALL {
        let mut after = None;
        loop {
            let found = pruner.expired(scope, pass, after.as_ref(), page).unwrap();
            for key in &found {
                assert!(!all.contains(key), "{key:?} comes twice");
            }
            all.extend(found.iter().cloned());
            if found.len() < page {
                break;
            }
            after = found.last().cloned();
        }
    }
    all
}

/// Deletes everything in batches of two, and says how many rows went.
fn delete_all(pruner: &mut dyn Pruner, scope: &Scope) -> usize {
    let keys = keys(pruner, scope, 3);
    let mut gone = 0;
    for two in keys.chunks(2) {
        let rows = pruner.rows(scope, two).unwrap();
        let batch = Batch { scope, rows: &rows, before: &[] };
        let deletion = pruner.delete(&batch, &mut |_| Vec::new()).unwrap();
        assert_eq!(deletion.refused, []);
        assert_eq!(deletion.changed, Vec::<usize>::new());
        gone += deletion.deleted.len();
    }
    gone
}

fn count(env: &TestEnv) -> usize {
    ids(env).len()
}

on_each_database! {
    fn a_state_without_a_limit_is_never_deleted(env) {
        let labels = ["COMPLETED", "FAILED", "PENDING", "RECOGNIZING", "RETURNED"];
        env.insert((1..).zip(labels).map(|(n, label)| Task::new(n).status(label)));
        let mut pruner = View::of(&env).pruner();
        assert_eq!(delete_all(pruner.as_mut(), &Scope::Tasks(Vec::new())), 0);
        for (state, left) in [(State::Failed, 4), (State::Cancelled, 3), (State::Completed, 2), (State::Other, 2)] {
            delete_all(pruner.as_mut(), &Scope::Tasks(vec![(state, later())]));
            assert_eq!(count(&env), left, "{state:?}");
        }
    }

    fn pages_of_keys_miss_no_row(env) {
        // Twenty keys sort otherwise as text than as numbers.
        env.insert((1..=20).map(Task::new));
        let mut pruner = View::of(&env).pruner();
        for page in [1, 3, 7, 20, 50] {
            assert_eq!(keys(pruner.as_mut(), &completed(), page).len(), 20, "{page}");
        }
        assert_eq!(delete_all(pruner.as_mut(), &completed()), 20);
    }

    fn keys_of_text_and_of_several_columns_page_and_delete(env) {
        for key in [&["task_id"][..], &["user_id", "task_id"], &["task_name", "user_id", "id"]] {
            env.insert((1..=11).map(|n| Task::new(n).with("user_id", n % 3).with("task_name", format!("it's {}", n % 2))));
            let view = View::of(&env).map(|tasks| tasks.key = key.iter().map(|name| (*name).into()).collect());
            let mut pruner = view.pruner();
            assert_eq!(delete_all(pruner.as_mut(), &completed()), 11, "{key:?}");
            assert_eq!(count(&env), 0);
        }
    }

    fn the_condition_holds_again_when_a_row_is_deleted(env) {
        env.insert((1..=3).map(Task::new));
        let mut pruner = View::of(&env).pruner();
        let scope = completed();
        let found = keys(pruner.as_mut(), &scope, 10);
        let rows = pruner.rows(&scope, &found).unwrap();
        env.sql("UPDATE tasks SET status = 'PENDING' WHERE id = 2; UPDATE tasks SET image_path = 'uploads/other.png' WHERE id = 3");
        let batch = Batch { scope: &scope, rows: &rows, before: &[] };
        let mut changed = Vec::new();
        let deletion = pruner.delete(&batch, &mut |deletion| {
            changed = deletion.changed.clone();
            Vec::new()
        }).unwrap();
        assert_eq!(deletion.deleted, [0, 2]);
        assert_eq!(changed, [2]);
        assert_eq!(deletion.refused, []);
    }

    fn rows_that_are_taken_back_stay_and_the_rest_is_deleted(env) {
        env.insert((1..=5).map(Task::new));
        let mut pruner = View::of(&env).pruner();
        let scope = completed();
        let found = keys(pruner.as_mut(), &scope, 10);
        let rows = pruner.rows(&scope, &found).unwrap();
        let batch = Batch { scope: &scope, rows: &rows, before: &[] };
        let mut asked = 0;
        let deletion = pruner.delete(&batch, &mut |_| {
            asked += 1;
            match asked { 1 => vec![1], 2 => vec![3], _ => Vec::new() }
        }).unwrap();
        assert_eq!((asked, deletion.deleted), (3, vec![0, 2, 4]));
        assert_eq!(count(&env), 2);
    }

    fn every_path_comes_as_it_is_stored_with_the_row_that_names_it(env) {
        let bare = |n: u32| Task::new(n).without("image_path").without("document_path").without("screenshot_path");
        env.insert([
            bare(1).with("image_path", "./uploads//a.png").with("document_path", "/srv/app/名.png"),
            bare(2).status("PENDING").with("screenshot_path", "a/../b"),
            bare(3).with("image_path", ""),
            bare(4),
        ]);
        for keys in [Keys::Wanted, Keys::Unneeded] {
            let mut found = Vec::new();
            View::of(&env).pruner().named_paths(keys, &mut |named| {
                assert_eq!(named.source, Source::Tasks);
                let path = std::str::from_utf8(named.path).unwrap().to_owned();
                found.push((named.key.cloned().unwrap_or_default().concat(), path));
            }).unwrap();
            found.sort();
            let expected = [("1", "./uploads//a.png"), ("1", "/srv/app/名.png"), ("2", "a/../b")];
            let key = |key: &str| if keys == Keys::Wanted { key.to_owned() } else { String::new() };
            assert_eq!(found, expected.map(|(id, path)| (key(id), path.to_owned())));
        }
    }

    fn the_paths_of_rows_that_came_since_all_were_read_can_be_asked_for(env) {
        env.insert([Task::new(1)]);
        let mut pruner = View::of(&env).pruner();
        pruner.named_paths(Keys::Unneeded, &mut |_| {}).unwrap();
        let now = (Utc::now() + TimeDelta::hours(8)).format("%Y-%m-%d %H:%M:%S").to_string();
        env.insert([Task::new(2).at(&now)]);
        let mut found = Vec::new();
        let each = &mut |named: &NamedPath| found.push(String::from_utf8(named.path.to_vec()).unwrap());
        pruner.recent_paths(each).unwrap();
        assert!(found.contains(&"uploads/image_2.png".to_owned()), "{found:?}");
    }

    fn the_rows_that_are_there_are_known_by_their_keys(env) {
        env.insert([Task::new(1), Task::new(2).status("PENDING")]);
        let keys = ["1", "2", "3"].map(|key| vec![key.to_owned()]);
        let mut there = View::of(&env).pruner().existing(Pruned::Tasks, &keys).unwrap();
        there.sort();
        assert_eq!(there, [["1"], ["2"]]);
    }
}

#[test]
fn keys_of_every_type_page_and_delete() {
    let types = [
        ("char(36)", "'k' || id"),
        ("char(5)", "'k' || id"),
        ("varchar(5)", "'k' || id"),
        ("name", "('k' || id)::name"),
        ("\"char\"", "chr(64 + id)::\"char\""),
        ("bit(8)", "id::bit(8)"),
        ("varbit", "id::bit(8)::varbit"),
        ("bytea", "decode(lpad(to_hex(id), 2, '0'), 'hex')"),
        ("smallint", "id"),
        ("oid", "id::oid"),
        ("numeric(10, 2)", "id / 4.0"),
        ("double precision", "id / 3.0"),
        ("real", "(id / 3.0)::real"),
        ("uuid", "lpad(id::text, 32, '0')::uuid"),
        ("inet", "('10.0.0.' || id)::inet"),
        ("date", "date '2026-01-01' + id"),
        ("timestamp", "timestamp '2026-01-01' + id * interval '1.000001 s'"),
        ("timestamptz", "timestamptz '2026-10-25 00:00+00' + id * interval '20.000001 min'"),
        ("timestamptz(0)", "timestamptz '2026-10-25 00:00+00' + id * interval '20 min'"),
        ("interval", "id * interval '1 day'"),
        ("jsonb", "to_jsonb(id)"),
        ("text[]", "ARRAY['a,\"b', id::text]"),
        ("short", "'k' || id"),
        ("mood", "('m' || id)::mood"),
    ];
    let env = TestEnv::postgres();
    let moods: Vec<String> = (1..=11).map(|n| format!("'m{n}'")).collect();
    env.sql(&format!(
        "CREATE DOMAIN short AS char(5); CREATE TYPE mood AS ENUM ({})",
        moods.join(", ")
    ));
    for (kind, value) in types {
        env.insert((1..=11).map(Task::new));
        env.insert([Task::new(12).status("PENDING")]);
        env.sql(&format!(
            "ALTER TABLE tasks ADD COLUMN odd {kind}; UPDATE tasks SET odd = {value} WHERE id < 12"
        ));
        let view = View::of(&env).map(|tasks| tasks.key = vec!["odd".into()]);
        let mut pruner = view.pruner();
        assert_eq!(delete_all(pruner.as_mut(), &completed()), 11, "{kind}");
        assert_eq!(count(&env), 1, "{kind}");
        drop(pruner);
        env.sql("ALTER TABLE tasks DROP COLUMN odd; DELETE FROM tasks");
    }
}
