//! From the configuration's text to channels that send.

use super::*;
use crate::support::server::{Server, ok, status};
use std::fs;
use std::time::Instant;
use taskmon::config::{self, Config, Env, Request};
use taskmon::notify::deliver::{Pauses, deliver};
use taskmon::run::channels::{Prepared, prepare};
use tempfile::TempDir;

struct Setting {
    folder: TempDir,
    env: Vec<(&'static str, String)>,
}

impl Setting {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), env: vec![] }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.env.push((name, value.to_owned()));
        self
    }

    fn file(self, name: &str, content: &str) -> Self {
        fs::write(self.folder.path().join(name), content).unwrap();
        self
    }

    fn config(&self, channels: &str) -> Config {
        let path = self.folder.path().join("taskmon.toml");
        fs::write(&path, format!("timezone = \"UTC\"\n{channels}")).unwrap();
        config::resolve(Request {
            language_flag: None,
            config_flag: Some(path),
            database_url_flag: None,
            env: self.env(),
            working_dir: self.folder.path().to_owned(),
        })
        .unwrap()
    }

    fn env(&self) -> Env {
        self.env.iter().map(|(name, value)| (*name, value.clone())).collect()
    }

    fn prepare(&self, channels: &str) -> Vec<Prepared> {
        let config = self.config(channels);
        prepare(&config.alerts.notify.channels, &self.env(), now(), Instant::now())
    }
}

fn send(prepared: Vec<Prepared>) -> Vec<taskmon::notify::deliver::Delivery> {
    let outgoing = prepared
        .into_iter()
        .map(|prepared| prepared.outgoing(notification(Language::Zh, two_alerts())));
    deliver(outgoing.collect(), &Pauses::default())
}

#[test]
fn secrets_come_from_the_file_the_environment_and_other_files() {
    let (hook, chat, other) = (
        Server::plain(vec![status(200)]),
        Server::plain(vec![ok(r#"{"errcode":0}"#)]),
        Server::plain(vec![ok("ok")]),
    );
    let setting = Setting::new()
        .with("HOOK_SECRET", "from the environment")
        .with("CHAT_URL", &chat.url("/robot/send?access_token=1"))
        .file("url", &format!("{}\r\n", other.url("/from/a/file")))
        .file("secret", "from a file\n");
    let channels = format!(
        r#"
        [[alerts.channels]]
        type = "webhook"
        url = "{}"
        secret_env = "HOOK_SECRET"
        [[alerts.channels]]
        type = "dingtalk"
        url_env = "CHAT_URL"
        secret_file = "secret"
        min_severity = "critical"
        [[alerts.channels]]
        type = "slack"
        url_file = "url"
        [[alerts.channels]]
        type = "command"
        command = ["/bin/true"]
        [[alerts.channels]]
        type = "webhook"
        url = "{}"
        "#,
        hook.url("/hook"),
        hook.url("/other"),
    );
    let prepared = setting.prepare(&channels);
    let names: Vec<(&str, Severity)> = prepared
        .iter()
        .map(|one| (one.receiver.name.as_str(), one.receiver.min_severity))
        .collect();
    let warning = Severity::Warning;
    assert_eq!(
        names,
        [
            ("webhook", warning),
            ("dingtalk", Severity::Critical),
            ("slack", warning),
            ("command", warning),
            ("webhook 2", warning)
        ]
    );
    assert!(prepared.iter().all(|one| one.channel.is_ok()));
    for delivery in send(prepared) {
        assert_eq!(delivery.accepted, two_alerts(), "{delivery:?}");
    }
    let signed = hook.requests().into_iter().find(|request| request.target == "/hook").unwrap();
    let expected = super::webhook::python(
        "import hmac, sys; print('sha256=' + hmac.new(b'from the environment', sys.argv[1].encode(), 'sha256').hexdigest())",
        &[&signed.body],
    );
    assert_eq!(signed.header("x-taskmon-signature"), Some(expected.as_str()));
    let query = chat.only().target;
    let time: i64 =
        query.split("timestamp=").nth(1).unwrap().split('&').next().unwrap().parse().unwrap();
    // The clock began at the run's own time and goes on from there.
    assert!((NOW_MILLIS..NOW_MILLIS + 20_000).contains(&time), "{time}");
    let expected = super::webhook::python(
        "import base64, hmac, sys, urllib.parse as u; t = sys.argv[1]; d = hmac.new(b'from a file', f'{t}\\nfrom a file'.encode(), 'sha256').digest(); print(u.quote_plus(base64.b64encode(d)))",
        &[&time.to_string()],
    );
    assert!(query.ends_with(&format!("&sign={expected}")), "{query}");
    assert_eq!(other.only().target, "/from/a/file");
}

#[test]
fn a_secret_that_is_missing_fails_its_channel_alone_and_is_named() {
    let hook = Server::plain(vec![status(200)]);
    let setting =
        Setting::new().with("EMPTY", "").file("empty", "\n").with("WRONG", "gopher://hunter2");
    let good = format!("[[alerts.channels]]\ntype = \"webhook\"\nurl = \"{}\"\n", hook.url("/"));
    for (keys, words) in [
        ("url_env = \"UNSET\"", "`url_env` names the environment variable UNSET"),
        ("url_env = \"EMPTY\"", "`url_env` names the environment variable EMPTY"),
        ("url_env = \"WRONG\"", "not a valid http:// or https:// URL"),
        ("url_file = \"empty\"", "/empty is empty"),
        ("url_file = \"missing\"", "/missing cannot be read"),
        ("url = \"https://localhost/\"\nsecret_file = \"missing\"", "`secret_file`"),
        ("url = \"https://localhost/\"\nsecret = \"\"", "`secret` is empty"),
    ] {
        let before = hook.requests().len();
        let prepared =
            setting.prepare(&format!("[[alerts.channels]]\ntype = \"feishu\"\n{keys}\n{good}"));
        let issue = prepared[0].channel.as_ref().err().cloned().expect(keys);
        assert!(issue.permanent && issue.message.contains(words), "{keys}: {issue}");
        assert!(!issue.message.contains("hunter2"), "{issue}");
        let deliveries = send(prepared);
        assert_eq!(deliveries[0].error(), Some(&issue));
        assert_eq!(deliveries[0].rejected[0].alerts, two_alerts());
        assert_eq!(deliveries[1].accepted, two_alerts());
        assert_eq!(hook.requests().len(), before + 1);
    }
}

#[test]
fn a_mail_channel_is_made_of_all_its_keys() {
    let server = super::email::mail_server::MailServer::start("none");
    let setting = Setting::new().file("password", "pw\n");
    let with = |keys: &str| {
        let text = format!(
            "[[alerts.channels]]\ntype = \"email\"\nfrom = \"a@b.example\"\nto = [\"ops@example.org\"]\n{keys}\n"
        );
        setting.prepare(&text)
    };
    let plain = format!("url = \"smtp://localhost:{}\"\ntls = \"none\"", server.port);
    assert_eq!(send(with(&plain))[0].accepted, two_alerts());
    let clear = format!(
        "url = \"smtp://ops@localhost:{}\"\ntls = \"none\"\npassword_file = \"password\"",
        server.port
    );
    let issue = with(&clear)[0].channel.as_ref().err().cloned().unwrap();
    assert!(issue.permanent && issue.message.contains("in the clear"), "{issue}");
    let starttls = format!("url = \"smtp://localhost:{}\"", server.port);
    let deliveries = send(with(&starttls));
    assert!(deliveries[0].error().unwrap().message.contains("STARTTLS"), "{deliveries:?}");
}
