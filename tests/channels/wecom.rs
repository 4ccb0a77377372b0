//! WeCom: its markdown.

use super::chat::send;
use super::*;
use crate::support::server::{Server, ok};
use serde_json::json;

pub fn wecom(server: &Server) -> Service {
    Service::Wecom(service::wecom::Config {
        url: hidden(&server.url("/cgi-bin/webhook/send?key=tok")),
    })
}

#[test]
fn wecom_gets_markdown() {
    let server = Server::tls(vec![ok(r#"{"errcode":0,"errmsg":"ok"}"#)]);
    send(wecom(&server), &notification(Language::Zh, two_alerts()));
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
