//! No secret is shown, whatever fails; and no message can forge a line.

use super::*;
use crate::support::run::Run;
use crate::support::server::{Answer, dead_port, status};
use taskmon::channels::Service;

/// Secrets of every kind and place; none has six characters of another or of anything else that is printed.
const URL_TOKEN: &str = "Qz7tokInFile55";
const ENV_TOKEN: &str = "Wx8tokInEnvir66";
const FILE_TOKEN: &str = "Yv9tokInOther77";
const HMAC: &str = "Hk4signKeyConf88";
const HMAC_ENV: &str = "Jm5signKeyEnv99";
const MAIL: &str = "Lp6mailPassw0rd";
const NTFY_TOPIC: &str = "Rs4tpkNtf_qj12";
const NTFY_TOKEN: &str = "tk_Bd7zq8vnx3m";
const TELEGRAM: &str = "86:Gh5btTkn-Zw61vk";
const DISCORD: &str = "Fk2wbhkTkn_vb73";
const TEAMS: &str = "Mz8sgtrWrkf95";
const PAGERDUTY: &str = "c4x9rtngky27pdq6";
const SECRETS: [&str; 12] = [
    URL_TOKEN, ENV_TOKEN, FILE_TOKEN, HMAC, HMAC_ENV, MAIL, NTFY_TOPIC, NTFY_TOKEN, TELEGRAM,
    DISCORD, TEAMS, PAGERDUTY,
];

fn channels(env: &TestEnv, base: &str, port: u16) -> String {
    env.write("token.url", &format!("{base}/file/{FILE_TOKEN}\n"));
    env.write("teams.url", &format!("{base}/workflows/1/invoke?sig={TEAMS}\n"));
    env.write("telegram.token", TELEGRAM);
    let line = |kind: &str, more: &str| {
        format!(
            "[[alerts.channels]]\ntype = \"{kind}\"\nretries = 1\ntimeout_seconds = 1\n{more}\n"
        )
    };
    [
        line("webhook", &format!("url = \"{base}/hook/{URL_TOKEN}?key={URL_TOKEN}\"\nsecret = \"{HMAC}\"")),
        line("dingtalk", "url_env = \"DING\"\nsecret_env = \"DING_SECRET\""),
        line("feishu", "url_file = \"token.url\""),
        line("slack", "url_file = \"token.url\""),
        line("wecom", "url_env = \"DING\""),
        line(
            "email",
            &format!("url = \"smtp://ops:{MAIL}@localhost:{port}\"\ntls = \"none\"\nfrom = \"a@example.org\"\nto = [\"b@example.org\"]"),
        ),
        line("ntfy", &format!("url = \"{base}/{NTFY_TOPIC}\"\ntoken = \"{NTFY_TOKEN}\"")),
        line(
            "telegram",
            &format!("token_file = \"telegram.token\"\nchat_id = 1\napi_url = \"{base}\""),
        ),
        line("discord", "url_env = \"DISCORD\""),
        line("teams", "url_file = \"teams.url\""),
        line("pagerduty", &format!("routing_key_env = \"PAGERDUTY\"\napi_url = \"{base}\"")),
    ]
    .concat()
}

/// A run with the secrets that the channels look for in the environment.
fn with_secrets<'e>(env: &'e TestEnv, base: &str, arguments: &[&str]) -> Run<'e> {
    env.taskmon(arguments.iter().copied())
        .env("DING", format!("{base}/robot/send?access_token={ENV_TOKEN}"))
        .env("DING_SECRET", HMAC_ENV)
        .env("DISCORD", format!("{base}/api/webhooks/1/{DISCORD}"))
        .env("PAGERDUTY", PAGERDUTY)
}

/// Both streams of a run, at its most verbose.
fn outputs(env: &TestEnv, base: &str, arguments: &[&str], trace: bool) -> String {
    let run = with_secrets(env, base, arguments);
    let run = if trace { run.env("RUST_LOG", "trace") } else { run.arg("-vv") };
    let finished = run.run();
    format!("{}{}", finished.stdout(), finished.stderr())
}

#[track_caller]
fn assert_no_secret(what: &str, text: &str) {
    let folded = text.to_lowercase();
    for secret in SECRETS {
        let secret = secret.to_lowercase();
        for start in 0..=secret.len() - 6 {
            let piece = &secret[start..start + 6];
            assert!(!folded.contains(piece), "{what} holds {piece} of a secret:\n{text}");
        }
    }
}

/// Every kind of run with channels at one place, some of which wait for their time limits. Returns the records.
fn assert_runs_show_no_secret(base: &str, port: u16, trace: bool) -> String {
    let env = TestEnv::sqlite();
    configure(&env, &format!("repeat_after_hours = 0\n{}", channels(&env, base, port)));
    for arguments in [
        vec!["alert", "--test"],
        vec!["alert", "--test", "--output", "text"],
        vec!["alert"],
        vec!["config"],
    ] {
        let what = format!("{arguments:?} with {base}");
        let text = outputs(&env, base, &arguments, trace);
        assert!(!text.is_empty(), "{what}");
        assert_no_secret(&what, &text);
    }
    let records: String = records(&env).iter().map(Value::to_string).collect();
    assert_no_secret("the records", &records);
    assert_no_secret("the logs", &logged(&env).concat());
    records
}

#[test]
fn no_secret_is_seen_whatever_fails() {
    // A server that sends back all that it got, one that says nothing, and no server.
    let (echo, silent) =
        (Server::plain(vec![Answer::Echo(400)]), Server::plain(vec![Answer::Silence]));
    let dead = dead_port();
    let records: String = std::thread::scope(|scope| {
        let mut runs = Vec::new();
        for (base, port) in [
            (echo.url(""), echo.port),
            (silent.url(""), silent.port),
            (format!("http://127.0.0.1:{dead}"), dead),
            ("http://no-such-host.invalid".to_owned(), dead),
            ("no url at all".to_owned(), 0),
        ] {
            for trace in [true, false] {
                let base = base.clone();
                runs.push(scope.spawn(move || assert_runs_show_no_secret(&base, port, trace)));
            }
        }
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert!(records.contains("\"failed\""), "{records}");
    assert!(!echo.requests().is_empty());
}

#[test]
fn the_configuration_is_shown_with_its_secrets_masked() {
    let env = TestEnv::sqlite();
    configure(&env, &channels(&env, "https://hooks.example.org", 25));
    let shown = env.taskmon(["config"]).success().json();
    let channels = shown["alerts"]["channels"].as_array().unwrap();
    let types: Vec<&str> =
        channels.iter().map(|channel| channel["type"].as_str().unwrap()).collect();
    let secretless = ["command"];
    let all: Vec<&&str> = Service::TYPES.iter().filter(|kind| !secretless.contains(kind)).collect();
    assert!(all.iter().all(|kind| types.contains(kind)), "each of {all:?} has a secret: {types:?}");
    assert_eq!(channels[0]["url"], "https://hooks.example.org/***");
    assert_eq!(channels[0]["secret"], "***");
    // The name of a variable or a file is not a secret.
    assert_eq!(channels[1]["url_env"], "DING");
    assert!(channels[2]["url_file"].as_str().unwrap().ends_with("token.url"));
    let page = env.taskmon(["config", "--output", "text"]).success();
    assert_no_secret("the page", page.stdout());
}

/// A program inherits the environment, and a script that fails may print it.
#[test]
fn a_program_cannot_show_the_secrets_that_it_inherits() {
    let env = TestEnv::sqlite();
    let telling = "[[alerts.channels]]\ntype = \"command\"\ncommand = [\"/bin/sh\", \"-c\", \"echo I fail: $DING, $DING_SECRET, $TASKMON_DATABASE_URL, $PGPASSWORD >&2; exit 1\"]\n";
    let base = "http://127.0.0.1:1";
    configure(&env, &format!("{}{telling}", channels(&env, base, 1)));
    let finished = with_secrets(&env, base, &["alert", "--test"])
        .env("TASKMON_DATABASE_URL", format!("postgresql://u:{MAIL}@127.0.0.1:1/none"))
        .env("PGPASSWORD", HMAC)
        .exits(1);
    let error =
        finished.json()["channels"].as_array().unwrap().last().unwrap()["error"].to_string();
    assert!(error.contains("I fail"), "{error}");
    let both = format!("{}{}", finished.stdout(), finished.stderr());
    assert_no_secret("the run", &both);
    assert_no_secret("its record", &records(&env)[0].to_string());
}

/// A job's failure names the database, whose password is no alert's business either.
#[test]
fn the_alert_of_a_failed_job_does_not_show_the_databases_password() {
    let env = TestEnv::postgres();
    let server = Server::plain(vec![status(200)]);
    configure(&env, &webhook(&server));
    let url = env.url_of("locked:Wr0ngPassw0rd");
    let finished = env.taskmon(["stats", "--alert", "--database-url", &url]).exits(3);
    assert_eq!(finished.json()["error"]["kind"], "database_refused");
    for text in [
        finished.stdout().to_owned(),
        finished.stderr().to_owned(),
        server.only().body,
        records(&env)[0].to_string(),
        logged(&env).concat(),
    ] {
        assert!(!text.contains("Passw0rd"), "{text}");
        assert!(text.contains("locked"), "{text}");
    }
}

#[test]
fn a_message_cannot_forge_a_line() {
    let env = TestEnv::new();
    let server = Server::plain(vec![status(200)]);
    configure(&env, &webhook(&server));
    let forged =
        "ok\nYYYY-MM-DDT10:00:00+08:00 - CRITICAL - forged\r\u{1b}[31m\u{2028}\u{85}\u{0}end";
    let given = json!([{"type": "t\nt", "message": forged, "severity": "warning", "key": "k\nk"}])
        .to_string();
    env.write("given.json", &given);
    let finished = alert(&env, 0, &["--send", "@given.json"]);
    assert_eq!(finished.stderr().lines().count(), 1, "{}", finished.stderr());
    let bad =
        |letter: char| letter.is_control() && letter != '\n' || "\u{2028}\u{2029}".contains(letter);
    let log = env.read("logs/warning_alerts.log");
    for text in [finished.stderr(), &log] {
        assert!(!text.contains(bad), "{text:?}");
    }
    assert_eq!(log.lines().count(), 1);
    assert!(
        log.contains(r"ok\nYYYY-MM-DDT10:00:00+08:00 - CRITICAL - forged\r\u{1b}[31m"),
        "{log}"
    );
    // Programs get it as it is.
    assert_eq!(finished.json()["alerts"][0]["message"], forged);
    assert_eq!(server.only().json()["alerts"][0]["message"], forged);
    assert_eq!(records(&env).len(), 1);
    let page = alert(&env, 0, &["--send", "@given.json", "--output", "text"]);
    assert!(!page.stdout().contains(bad), "{:?}", page.stdout());
    assert_eq!(page.stdout().lines().filter(|line| line.contains("forged")).count(), 1);
}
