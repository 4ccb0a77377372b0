//! What Slack, Feishu, DingTalk and WeCom have in common: the codes in their answers, colours, escapes and limits.

use super::dingtalk::dingtalk;
use super::feishu::feishu;
use super::slack::slack;
use super::wecom::wecom;
use super::*;
use crate::support::server::{Answer, Server, ok, status};
use serde_json::Value;

/// The four services, each answering with success.
fn services() -> Vec<(Service, Server)> {
    let [s, f, d, w] = ["ok", r#"{"code":0}"#, r#"{"errcode":0}"#, r#"{"errcode":0}"#]
        .map(|answer| Server::tls(vec![ok(answer)]));
    vec![(slack(&s), s), (feishu(&f, None), f), (dingtalk(&d, None), d), (wecom(&w), w)]
}

pub fn send(place: Service, notification: &Notification) {
    channel(place, PATIENCE).send(notification).unwrap();
}

#[test]
fn without_a_secret_nothing_is_signed() {
    let (f, d) =
        (Server::plain(vec![ok(r#"{"code":0}"#)]), Server::plain(vec![ok(r#"{"errcode":0}"#)]));
    let example = notification(Language::En, two_alerts());
    send(feishu(&f, None), &example);
    send(dingtalk(&d, None), &example);
    assert_eq!(f.only().json().get("sign"), None);
    assert_eq!(d.only().target, "/robot/send?access_token=tok");
}

/// A list of disks stays a list, and no line of it is at the start of one of the message's, where it might be markup.
#[test]
fn the_line_breaks_of_a_message_survive() {
    let message = "two disks are full:\r\n# /var 99%\n\n> /srv 98%";
    let example = notification(Language::En, vec![firing(alert("t", Severity::Error, message))]);
    for ((place, server), newline) in services().into_iter().zip(["\n  ", "\n  ", "  \n  ", "\n> "])
    {
        let name = place.name();
        send(place, &example);
        let body = server.only().json();
        let strings = [
            "/attachments/0/text",
            "/card/elements/0/text/content",
            "/markdown/text",
            "/markdown/content",
        ];
        let text = strings.iter().find_map(|at| body.pointer(at)?.as_str()).unwrap();
        let shown = text.replace("&gt;", ">").replace('＞', ">").replace('＃', "#");
        let expected = ["two disks are full:", "# /var 99%", "> /srv 98% (t)"].join(newline);
        assert!(shown.contains(&expected), "{name}: {text}");
    }
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
        (firing, Severity::Info, ["#1976d2", "blue", "#1976d2", "comment"]),
        (resolved, Severity::Critical, ["#2e7d32", "green", "#2e7d32", "info"]),
    ] {
        let one = notification(Language::En, vec![status_of(alert("t", severity, "m"))]);
        for ((place, server), colour) in services().into_iter().zip(expected) {
            send(place, &one);
            let body = server.only().body;
            let marks = [
                format!("\"color\":\"{colour}\""),
                format!("\"template\":\"{colour}\""),
                format!("<font color=\\\"{colour}\\\">"),
            ];
            assert!(marks.iter().any(|mark| body.contains(mark)), "{colour}: {body}");
            let is_resolved = body.contains("esolved");
            assert_eq!(
                is_resolved,
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
            refusal(&*channel(place(&server), PATIENCE), &notification(Language::Zh, two_alerts()));
        assert_eq!(error.permanent, permanent, "{answer}: {error}");
        assert!(error.message.contains(words), "{answer}: {error}");
    }
}

#[test]
fn an_answer_that_is_too_long_or_never_ends_is_no_success() {
    let long = Server::plain(vec![ok(&"x".repeat(70_000))]);
    let error =
        refusal(&*channel(wecom(&long), PATIENCE), &notification(Language::Zh, two_alerts()));
    assert!(error.permanent && error.message.contains("more than 64 KiB"), "{error}");

    let endless = Server::plain(vec![Answer::Trickle]);
    let started = std::time::Instant::now();
    let limit = Duration::from_millis(700);
    let error =
        refusal(&*channel(wecom(&endless), limit), &notification(Language::Zh, two_alerts()));
    assert!(!error.permanent && error.message.contains("within 0.7 s"), "{error}");
    assert!(started.elapsed() < limit + Duration::from_secs(3), "{:?}", started.elapsed());

    let broken = Server::plain(vec![Answer::Raw(
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"errcode\":0}",
    )]);
    let error =
        refusal(&*channel(wecom(&broken), PATIENCE), &notification(Language::Zh, two_alerts()));
    assert!(!error.permanent, "{error}");
}

#[test]
fn the_status_counts_before_the_body() {
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
        let error = refusal(&*channel(place, PATIENCE), &notification(Language::Zh, two_alerts()));
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
        let error = refusal(&*channel(place, PATIENCE), &notification(Language::Zh, two_alerts()));
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
fn no_text_of_an_alert_is_markup() {
    for (place, server) in services() {
        let is_slack = matches!(place, Service::Slack(_));
        // Both of Feishu's elements are plain text, as the test of its body checks: markup does no harm there.
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
            send(place, &notification(language, every.clone()));
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
