//! DingTalk: its markdown, and the signature in the query.

use super::chat::send;
use super::webhook::python;
use super::*;
use crate::support::server::{Server, ok};
use serde_json::json;

pub fn dingtalk(server: &Server, secret: Option<&str>) -> Service {
    Service::Dingtalk(service::dingtalk::Config {
        url: hidden(&server.url("/robot/send?access_token=tok")),
        secret: secret.map(hidden).unwrap_or_default(),
    })
}

#[test]
fn dingtalk_gets_markdown_and_a_signature_in_the_query() {
    let server = Server::tls(vec![ok(r#"{"errcode":0,"errmsg":"ok"}"#)]);
    send(dingtalk(&server, Some("SEC密钥")), &notification(Language::Zh, two_alerts()));
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
