//! Slack: its attachment.

use super::chat::send;
use super::*;
use crate::support::server::{Server, ok};
use serde_json::json;

pub fn slack(server: &Server) -> Service {
    Service::Slack(service::slack::Config { url: hidden(&server.url("/services/T0/B0/tok")) })
}

#[test]
fn slack_gets_an_attachment() {
    let server = Server::tls(vec![ok("ok")]);
    send(slack(&server), &notification(Language::En, two_alerts()));
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
