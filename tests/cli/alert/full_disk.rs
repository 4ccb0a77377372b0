//! Records on a disk that is full or read-only: what was notified is remembered elsewhere, and carried back.

use super::*;
use crate::support::server::status;

/// Runs a script in mount namespaces of its own, with the records on a small disk and an empty `/run`. The lines that `alert` prints, and those that end
/// with a colon to tell them apart.
fn on_small_disk(env: &TestEnv, script: &str) -> Finished {
    let script = format!(
        "set -e; mount -t tmpfs none /run; mkdir -p reports/alerts
         mount -t tmpfs -o size=512k none reports/alerts
         fill() {{ cat /dev/zero > reports/alerts/ballast 2> /dev/null || true; }}
         alert() {{ taskmon alert --compact; }}
         {script}"
    );
    env.program("unshare", ["--mount", "sh", "-c", &script]).success()
}

/// How many were sent, suppressed and resolved by each run.
fn runs(finished: &Finished) -> Vec<[u64; 3]> {
    finished.stdout().lines().map(|line| counts(&serde_json::from_str(line).unwrap())).collect()
}

fn stuck() -> (TestEnv, Server) {
    let env = TestEnv::sqlite();
    let server = Server::plain(vec![status(200)]);
    configure(&env, &webhook(&server));
    env.insert([processing(1, minutes(90))]);
    (env, server)
}

#[test]
fn on_a_full_disk_an_alert_is_sent_once_and_resolved_once() {
    let (env, server) = stuck();
    let finished = on_small_disk(
        &env,
        "fill; alert; alert; alert; sqlite3 tasks.db 'DELETE FROM tasks'; alert; alert
         ls /run/taskmon-0/alerts-*/alerts_*.jsonl > /dev/null
         rm reports/alerts/ballast; alert",
    );
    let expected = [[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]];
    assert_eq!(runs(&finished), expected);
    assert_eq!(notified(&server), [["stuck_tasks"], ["-stuck_tasks"]]);
    let said = finished.stderr();
    assert_eq!(said.matches("are kept in /run/taskmon-0/alerts-").count(), 1, "{said}");
    assert!(said.contains("No space left on device"), "{said}");
}

/// What the disk remembered is known in the second place, and what the second place remembered on the disk.
#[test]
fn what_is_remembered_goes_to_the_second_place_and_back() {
    for (away, back) in [
        // The space that is kept takes the first records; then it is used up.
        ("rm reports/alerts/.taskmon-space; fill", "rm reports/alerts/ballast"),
        ("mount -o remount,ro reports/alerts", "mount -o remount,rw reports/alerts"),
    ] {
        let (env, server) = stuck();
        let finished = on_small_disk(
            &env,
            &format!(
                "alert; {away}; alert; taskmon alert --compact --send '[{{\"type\":\"t\",\"message\":\"m\",\"severity\":\"error\"}}]'
                 {back}; alert; taskmon alert --compact --send '[{{\"type\":\"t\",\"message\":\"m\",\"severity\":\"error\"}}]'
                 test -z \"$(ls /run/taskmon-0/alerts-*/*.jsonl 2> /dev/null)\"
                 sqlite3 tasks.db 'DELETE FROM tasks'; alert"
            ),
        );
        let expected = [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]];
        assert_eq!(runs(&finished), expected, "{away}");
        assert_eq!(notified(&server), [["stuck_tasks"], ["t"], ["-stuck_tasks"]], "{away}");
        finished.stderr();
    }
}

/// No half line, and no second place as long as there is space that was kept.
#[test]
fn space_is_kept_for_the_records_on_their_disk() {
    let (env, server) = stuck();
    let finished = on_small_disk(
        &env,
        // A page of the disk takes the first few in any case.
        "alert; test $(du -k reports/alerts/.taskmon-space | cut -f1) -ge 128; fill
         for run in $(seq 12); do alert; done
         test -z \"$(ls /run/taskmon-0 2> /dev/null)\"; test ! -e reports/alerts/.taskmon-space
         rm reports/alerts/ballast; alert; test -e reports/alerts/.taskmon-space
         jq -e . reports/alerts/alerts_*.jsonl > /dev/null",
    );
    assert_eq!(runs(&finished).len(), 14);
    assert_eq!(notified(&server), [["stuck_tasks"]]);
    finished.stderr();
}

/// Else a job whose runs leave no record would be taken for missed.
#[test]
fn runs_are_recorded_though_the_disk_of_the_logs_is_full_or_read_only() {
    for (away, back) in [
        ("cat /dev/zero > logs/ballast 2> /dev/null || true", "rm logs/ballast"),
        ("mount -o remount,ro logs", "mount -o remount,rw logs"),
    ] {
        let (env, _server) = stuck();
        let script = format!(
            "set -e; mount -t tmpfs none /run; mkdir logs; mount -t tmpfs -o size=64k none logs
             runs() {{ taskmon schedule logs --lines 1000 --compact | jq -c '[.runs[].exit_code]'; }}
             for run in $(seq 20); do taskmon disk --no-alert > /dev/null; done
             {away}; for run in $(seq 20); do taskmon disk --no-alert > /dev/null; done
             taskmon disk --no-alert --warning x > /dev/null 2>&1 || true
             runs | jq length; wc -l < logs/taskmon_runs.jsonl | xargs -I N test N -lt 41
             {back}; taskmon disk --no-alert > /dev/null; runs | jq -c '[length, .[40], .[41]]'
             wc -l < logs/taskmon_runs.jsonl; jq -e . logs/taskmon_runs.jsonl > /dev/null
             ls /run/taskmon-0/runs-*/taskmon_runs.jsonl 2> /dev/null || true"
        );
        let finished = env.program("unshare", ["--mount", "sh", "-c", &script]).success();
        assert_eq!(finished.stdout(), "41\n[42,2,0]\n42\n", "{away}");
        let said = finished.stderr();
        assert_eq!(
            said.matches("until it can, runs are recorded in /run/taskmon-0/runs-").count(),
            1,
            "{said}"
        );
    }
}
