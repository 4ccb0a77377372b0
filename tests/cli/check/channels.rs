//! Channels and heartbeats: reached, and nothing is sent.

use super::*;

#[test]
fn channels_are_reached_and_nothing_is_sent() {
    let env = TestEnv::sqlite();
    let (plain, tls) = (Server::plain(vec![ok("")]), Server::tls(vec![ok("")]));
    env.write("bin/notify", "#!/bin/sh\ntouch called\n");
    std::fs::set_permissions(env.path("bin/notify"), std::fs::Permissions::from_mode(0o755))
        .unwrap();
    env.write("bin/text", "#!/bin/sh\n");
    let config = env.read("taskmon.toml");
    let channel =
        |kind: &str, more: &str| format!("[[alerts.channels]]\ntype = '{kind}'\n{more}\n");
    let good = [
        channel("webhook", &format!("url = '{}'", plain.url("/hook/s3cret-1"))),
        channel("feishu", &format!("url = '{}'", tls.url("/hook/s3cret-2"))),
        channel(
            "command",
            &format!("command = ['{}', 's3cret-3']", env.path("bin/notify").display()),
        ),
        channel(
            "email",
            &format!(
                "url = 'smtp://127.0.0.1:{}'\nfrom = 'a@b.example'\nto = ['c@d.example']",
                plain.port
            ),
        ),
        format!("[heartbeat]\nstats = '{}'\n", plain.url("/ping/s3cret-4")),
    ];
    env.write("good.toml", &format!("{config}\n{}", good.concat()));
    let trusted = crate::support::certificates::file("ca.crt");
    let finished =
        env.taskmon(["check", "--config", "good.toml"]).env("SSL_CERT_FILE", &trusted).exits(0);
    let found = finished.json();
    let channels = found["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["name"] == "channels")
        .unwrap();
    assert_eq!(channels["status"], "ok", "{channels:#}");
    assert_eq!(channels["findings"].as_array().unwrap().len(), 5, "{channels:#}");
    assert!(
        plain.requests().is_empty() && tls.requests().is_empty() && !env.path("called").exists()
    );

    let bad = [
        channel("webhook", &format!("url = 'http://127.0.0.1:{}/hook/s3cret-1'", dead_port())),
        channel("feishu", &format!("url = '{}'", tls.url("/hook/s3cret-2"))),
        channel("slack", "url_env = 'NO_SUCH_VARIABLE'"),
        channel("command", "command = ['no-such-program-anywhere', 's3cret-3']"),
        channel("command", &format!("command = ['{}']", env.path("bin/text").display())),
    ];
    env.write("bad.toml", &format!("{config}\n{}", bad.concat()));
    let found = run_check(&env, &["--config", "bad.toml"], 1);
    let findings = found["channels"]["findings"].as_array().unwrap();
    let parts = [
        "webhook: ",
        "feishu: ",
        "NO_SUCH_VARIABLE",
        "no-such-program-anywhere",
        "bin/text cannot be run",
    ];
    let hints =
        ["firewall", "SSL_CERT_FILE", "crontab above the block", "absolute path", "chmod +x"];
    assert_eq!(findings.len(), parts.len());
    for ((finding, part), hint) in findings.iter().zip(parts).zip(hints) {
        assert_eq!(finding["status"], "failed", "{finding}");
        assert!(finding["hint"].as_str().unwrap().contains(hint), "{hint} in {finding}");
        assert!(finding["message"].as_str().unwrap().contains(part), "{part} in {finding}");
    }
    assert!(findings[1]["message"].as_str().unwrap().contains("certificate"), "{}", findings[1]);
}

#[test]
fn an_unusable_address_has_a_hint() {
    let env = TestEnv::sqlite();
    let tls = Server::tls(vec![ok("")]);
    let config = env.read("taskmon.toml");
    env.write("hook", "ftp://127.0.0.1/hook\n");
    let heartbeat = format!("[heartbeat]\nstats = '{}'", tls.url("/ping/s3cret-1"));
    let scheme = "[[alerts.channels]]\ntype = 'slack'\nurl_file = 'hook'";
    for (more, hint) in
        [(heartbeat.as_str(), "SSL_CERT_FILE"), (scheme, "put it right in [[alerts.channels]]")]
    {
        env.write("taskmon.toml", &format!("{config}\n{more}\n"));
        let found = env.taskmon(["check"]).exits(1).json();
        assert!(found["checks"].to_string().contains(hint), "{found:#}");
    }
}
