//! Feishu: its card and its signature.

use super::chat::send;
use super::webhook::python;
use super::*;
use crate::support::server::{Server, ok};
use serde_json::json;

pub fn feishu(server: &Server, secret: Option<&str>) -> Service {
    Service::Feishu(service::feishu::Config {
        url: hidden(&server.url("/open-apis/bot/v2/hook/tok")),
        secret: secret.map(hidden).unwrap_or_default(),
    })
}

#[test]
fn feishu_gets_a_signed_card() {
    let server = Server::tls(vec![ok(
        r#"{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}"#,
    )]);
    send(feishu(&server, Some("密钥 s")), &notification(Language::Zh, two_alerts()));
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
