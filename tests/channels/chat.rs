//! The chat services: their bodies whole, their signatures, their codes and limits.

use super::webhook::python;
use super::*;
use crate::support::server::{Answer, Server, ok, status};
use serde_json::{Value, json};

fn slack(server: &Server) -> Service {
    Service::Slack(service::slack::Config { url: hidden(&server.url("/services/T0/B0/tok")) })
}

fn feishu(server: &Server, secret: Option<&str>) -> Service {
    Service::Feishu(service::feishu::Config {
        url: hidden(&server.url("/open-apis/bot/v2/hook/tok")),
        secret: secret.map(hidden).unwrap_or_default(),
    })
}

fn dingtalk(server: &Server, secret: Option<&str>) -> Service {
    Service::Dingtalk(service::dingtalk::Config {
        url: hidden(&server.url("/robot/send?access_token=tok")),
        secret: secret.map(hidden).unwrap_or_default(),
    })
}

fn wecom(server: &Server) -> Service {
    Service::Wecom(service::wecom::Config {
        url: hidden(&server.url("/cgi-bin/webhook/send?key=tok")),
    })
}

/// The four services, each answering with success.
fn services() -> Vec<(Service, Server)> {
    let [s, f, d, w] = ["ok", r#"{"code":0}"#, r#"{"errcode":0}"#, r#"{"errcode":0}"#]
        .map(|answer| Server::tls(vec![ok(answer)]));
    vec![(slack(&s), s), (feishu(&f, None), f), (dingtalk(&d, None), d), (wecom(&w), w)]
}

fn send(place: Service, notice: &Notification) {
    channel(place, PATIENCE).send(notice).unwrap();
}

#[test]
fn slack_gets_an_attachment() {
    let server = Server::tls(vec![ok("ok")]);
    send(slack(&server), &notice(Language::En, two_alerts()));
    let request = server.only();
    assert_eq!(request.target, "/services/T0/B0/tok");
    let title = "[Critical] web-1: 1 alert, 1 resolved";
    assert_eq!(
        request.json(),
        json!({
            "parse": "none",
            "link_names": false,
            "attachments": [{
                "color": "#d32f2f",
                "fallback": title,
                "title": title,
                "text": "• 任务失败率过高: 63.5% (critical_failure_rate)\n• [Resolved] 磁盘空间不足: 95% (disk_space_critical, /var)",
                "fields": [
                    {"title": "Host", "value": "web-1", "short": true},
                    {"title": "Time", "value": "2023-12-02 02:00:01 +08:00", "short": true},
                ],
                "mrkdwn_in": [],
            }],
        })
    );
}

#[test]
fn feishu_gets_a_signed_card() {
    let server = Server::tls(vec![ok(
        r#"{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}"#,
    )]);
    send(feishu(&server, Some("密钥 s")), &notice(Language::Zh, two_alerts()));
    let request = server.only();
    assert_eq!(request.target, "/open-apis/bot/v2/hook/tok");
    let sign = python(
        "import base64, hmac, sys; k = f'{sys.argv[1]}\\n{sys.argv[2]}'; print(base64.b64encode(hmac.new(k.encode(), b'', 'sha256').digest()).decode())",
        &["1701453601", "密钥 s"],
    );
    assert_eq!(
        request.json(),
        json!({
            "timestamp": "1701453601",
            "sign": sign,
            "msg_type": "interactive",
            "card": {
                "config": {"wide_screen_mode": true},
                "header": {"template": "red", "title": {"tag": "plain_text", "content": "[严重] web-1: 1 条告警，1 条已恢复"}},
                "elements": [
                    {"tag": "div", "text": {"tag": "plain_text", "content": "• 任务失败率过高: 63.5% (critical_failure_rate)\n• [已恢复] 磁盘空间不足: 95% (disk_space_critical, /var)"}},
                    {"tag": "note", "elements": [{"tag": "plain_text", "content": "主机: web-1  时间: 2023-12-02 02:00:01 +08:00"}]},
                ],
            },
        })
    );
}

#[test]
fn dingtalk_gets_markdown_and_a_signature_in_the_query() {
    let server = Server::tls(vec![ok(r#"{"errcode":0,"errmsg":"ok"}"#)]);
    send(dingtalk(&server, Some("SEC密钥")), &notice(Language::Zh, two_alerts()));
    let request = server.only();
    let expected = python(
        "import base64, hmac, sys, urllib.parse as u; t, s = sys.argv[1:]; d = hmac.new(s.encode(), f'{t}\\n{s}'.encode(), 'sha256').digest(); print(f'/robot/send?access_token=tok&timestamp={t}&sign={u.quote_plus(base64.b64encode(d))}')",
        &["1701453601250", "SEC密钥"],
    );
    assert_eq!(request.target, expected);
    assert_eq!(
        request.json(),
        json!({
            "msgtype": "markdown",
            "markdown": {
                "title": "［严重］ web-1: 1 条告警，1 条已恢复",
                "text": "### <font color=\"#d32f2f\">［严重］ web-1: 1 条告警，1 条已恢复</font>\n\n- 任务失败率过高: 63.5% (critical_failure_rate)\n- ［已恢复］ 磁盘空间不足: 95% (disk_space_critical, /var)\n\n> 主机: web-1  时间: 2023-12-02 02:00:01 +08:00",
            },
            "at": {"atMobiles": [], "atUserIds": [], "isAtAll": false},
        })
    );
}

#[test]
fn wecom_gets_markdown() {
    let server = Server::tls(vec![ok(r#"{"errcode":0,"errmsg":"ok"}"#)]);
    send(wecom(&server), &notice(Language::Zh, two_alerts()));
    let request = server.only();
    assert_eq!(request.target, "/cgi-bin/webhook/send?key=tok");
    assert_eq!(
        request.json(),
        json!({
            "msgtype": "markdown",
            "markdown": {"content": "**<font color=\"warning\">［严重］ web-1: 1 条告警，1 条已恢复</font>**\n> 任务失败率过高: 63.5% (critical_failure_rate)\n> ［已恢复］ 磁盘空间不足: 95% (disk_space_critical, /var)\n<font color=\"comment\">主机: web-1  时间: 2023-12-02 02:00:01 +08:00</font>"},
        })
    );
}

#[test]
fn without_a_secret_nothing_is_signed() {
    let (f, d) =
        (Server::plain(vec![ok(r#"{"code":0}"#)]), Server::plain(vec![ok(r#"{"errcode":0}"#)]));
    let example = notice(Language::En, two_alerts());
    send(feishu(&f, None), &example);
    send(dingtalk(&d, None), &example);
    assert_eq!(f.only().json().get("sign"), None);
    assert_eq!(d.only().target, "/robot/send?access_token=tok");
}

#[test]
fn severities_and_recovery_have_colours_of_their_own() {
    for (status_of, severity, expected) in [
        (
            firing as fn(Alert) -> AlertUpdate,
            Severity::Critical,
            ["#d32f2f", "red", "#d32f2f", "warning"],
        ),
        (firing, Severity::Error, ["#ef6c00", "orange", "#ef6c00", "warning"]),
        (firing, Severity::Warning, ["#f9a825", "yellow", "#f9a825", "warning"]),
        (resolved, Severity::Critical, ["#2e7d32", "green", "#2e7d32", "info"]),
    ] {
        let one = notice(Language::En, vec![status_of(alert("t", severity, "m"))]);
        for ((place, server), colour) in services().into_iter().zip(expected) {
            send(place, &one);
            let body = server.only().body;
            let marks = [
                format!("\"color\":\"{colour}\""),
                format!("\"template\":\"{colour}\""),
                format!("<font color=\\\"{colour}\\\">"),
            ];
            assert!(marks.iter().any(|mark| body.contains(mark)), "{colour}: {body}");
            let is_told = body.contains("esolved");
            assert_eq!(
                is_told,
                status_of(alert("", severity, "")).status == Status::Resolved,
                "{body}"
            );
        }
    }
}

#[test]
fn a_code_in_the_body_decides() {
    type Make = fn(&Server) -> Service;
    let feishu: Make = |server| feishu(server, None);
    let dingtalk: Make = |server| dingtalk(server, None);
    for (place, answer, permanent, words) in [
        (slack as Make, "invalid_payload", true, "invalid_payload"),
        (
            feishu,
            r#"{"code":11232,"msg":"frequency limited"}"#,
            false,
            "code 11232 (throttled): \"frequency limited\"",
        ),
        (feishu, r#"{"code":19021,"msg":"sign match fail"}"#, true, "wrong signature"),
        (feishu, r#"{"code":19024,"msg":"Key Words Not Found"}"#, true, "Key Words Not Found"),
        (feishu, r#"{"msg":"no code"}"#, true, "without \"code\""),
        (feishu, r#"{"code":"0"}"#, true, "without \"code\""),
        (
            dingtalk,
            r#"{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}"#,
            false,
            "throttled",
        ),
        (dingtalk, r#"{"errcode":660026,"errmsg":"x"}"#, false, "throttled"),
        (dingtalk, r#"{"errcode":-1,"errmsg":"系统繁忙"}"#, false, "系统繁忙"),
        (dingtalk, r#"{"errcode":310000,"errmsg":"sign not match"}"#, true, "sign not match"),
        (dingtalk, "<html>captive portal</html>", true, "captive portal"),
        (wecom, r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#, false, "throttled"),
        (wecom, r#"{"errcode":93000,"errmsg":"invalid webhook url"}"#, true, "no such robot"),
        (wecom, "", true, "without \"errcode\""),
        (wecom, "[0]", true, "without \"errcode\""),
    ] {
        let server = Server::plain(vec![ok(answer)]);
        let error =
            refusal(&*channel(place(&server), PATIENCE), &notice(Language::Zh, two_alerts()));
        assert_eq!(error.permanent, permanent, "{answer}: {error}");
        assert!(error.message.contains(words), "{answer}: {error}");
    }
}

#[test]
fn an_answer_that_is_too_long_or_never_ends_is_no_success() {
    let long = Server::plain(vec![ok(&"x".repeat(70_000))]);
    let error = refusal(&*channel(wecom(&long), PATIENCE), &notice(Language::Zh, two_alerts()));
    assert!(error.permanent && error.message.contains("more than 64 KiB"), "{error}");

    let endless = Server::plain(vec![Answer::Trickle]);
    let started = std::time::Instant::now();
    let limit = Duration::from_millis(700);
    let error = refusal(&*channel(wecom(&endless), limit), &notice(Language::Zh, two_alerts()));
    assert!(!error.permanent && error.message.contains("within 0.7 s"), "{error}");
    assert!(started.elapsed() < limit + Duration::from_secs(3), "{:?}", started.elapsed());

    let broken = Server::plain(vec![Answer::Raw(
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"errcode\":0}",
    )]);
    let error = refusal(&*channel(wecom(&broken), PATIENCE), &notice(Language::Zh, two_alerts()));
    assert!(!error.permanent, "{error}");
}

#[test]
fn a_status_is_heeded_before_the_body() {
    for (place, server) in [
        {
            let s = Server::plain(vec![Answer::Http(
                429,
                vec![("Retry-After", "3".to_owned())],
                "{\"errcode\":0}".to_owned(),
            )]);
            (wecom(&s), s)
        },
        {
            let s = Server::plain(vec![status(502)]);
            (feishu(&s, None), s)
        },
    ] {
        let error = refusal(&*channel(place, PATIENCE), &notice(Language::Zh, two_alerts()));
        assert!(!error.permanent, "{error}");
        assert_eq!(server.requests().len(), 1);
    }
}

/// Feishu, for one, answers some of its own codes with status 400.
#[test]
fn a_code_beside_a_status_of_4xx_decides_whether_it_may_pass() {
    let said =
        |status, body: &str| Server::plain(vec![Answer::Http(status, vec![], body.to_owned())]);
    for (server, permanent, words) in [
        (
            said(400, r#"{"code":11232,"msg":"limited"}"#),
            false,
            "code 11232 (throttled): \"limited\"",
        ),
        (said(400, r#"{"code":19001,"msg":"param invalid"}"#), true, "code 19001 (no such bot"),
        (said(400, r#"{"code":0,"msg":"success"}"#), true, "status 400"),
        (said(400, "<html>"), true, "status 400"),
        (said(503, r#"{"code":19001,"msg":"param invalid"}"#), false, "status 503"),
        (said(302, r#"{"code":0}"#), true, "redirect"),
    ] {
        let place = feishu(&server, None);
        let error = refusal(&*channel(place, PATIENCE), &notice(Language::Zh, two_alerts()));
        assert_eq!(error.permanent, permanent, "{error}");
        assert!(error.message.contains(words), "{words}: {error}");
    }
}

/// The texts that a service would read as markup, in every string of a JSON.
fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().flat_map(strings).collect(),
        Value::Object(values) => values.values().flat_map(strings).collect(),
        _ => vec![],
    }
}

#[test]
fn no_text_of_an_alert_means_anything() {
    for (place, server) in services() {
        let is_slack = matches!(place, Service::Slack(_));
        // Both of Feishu's elements are plain text, which the test of its body sees to: there, anything may stand.
        let is_plain = matches!(place, Service::Feishu(_));
        send(place, &hostile());
        let texts = strings(&server.only().json()).join("\n");
        for control in ['\r', '\0', '\u{1b}', '\u{202e}'] {
            assert!(!texts.contains(control), "{control:?} in {texts}");
        }
        assert!(!texts.lines().any(|line| line.starts_with("Bcc")), "{texts}");
        if is_plain {
            assert!(texts.contains("<at user_id"), "{texts}");
            continue;
        }
        let mut forbidden = vec!["<script", "<at", "<!channel", "<@U1"];
        if !is_slack {
            forbidden.extend(["[x]", "@all", "`c`", "[31m", "**b"]);
        }
        for mark in forbidden {
            assert!(!texts.contains(mark), "{mark} in {texts}");
        }
        if is_slack {
            assert!(texts.contains("&lt;!channel&gt; &lt;@U1&gt; &amp; "), "{texts}");
        }
    }
}

#[test]
fn fifty_endless_alerts_fit_into_every_limit_and_are_counted() {
    let every: Vec<AlertUpdate> = (0..50)
        .map(|number| {
            let long = format!("{number}: {}", "错\"\\&<".repeat(2000));
            firing(alert("t", Severity::Error, &long))
        })
        .collect();
    for language in [Language::Zh, Language::En] {
        for (place, server) in services() {
            let is_wecom = matches!(place, Service::Wecom(_));
            let is_slack = matches!(place, Service::Slack(_));
            send(place, &notice(language, every.clone()));
            let request = server.only();
            let json = request.json();
            if is_wecom {
                let content = json["markdown"]["content"].as_str().unwrap();
                assert!(content.len() <= 4096 && content.len() > 3000, "{}", content.len());
            } else if is_slack {
                assert!(request.body.chars().count() <= 40_000, "{}", request.body.len());
            } else {
                assert!(
                    request.body.len() <= 20_000 && request.body.len() > 15_000,
                    "{}",
                    request.body.len()
                );
            }
            let texts = strings(&json).join("\n");
            let shown = (0..50).filter(|number| texts.contains(&format!(" {number}: 错"))).count();
            let more = 50 - shown;
            let said = language
                .pick(format!("……另有 {more} 条未显示"), format!("… and {more} more not shown"));
            assert!(shown > 0 && texts.contains(&said), "{shown}: {texts}");
        }
    }
}
