//! The queues' broker.

use super::Finding;
use crate::language::Language;
use crate::system::broker::{Figures, Kind};

/// What the broker said: whether its queues are served, as far as it knows.
pub fn answered(figures: &Figures, language: Language) -> Vec<Finding> {
    let waiting: u64 = figures.queues.values().flatten().sum();
    let names: Vec<&str> = figures.queues.keys().map(String::as_str).collect();
    let mut findings = vec![Finding::ok(language.pick(
        format!("{}：{} 中有 {waiting} 条消息等待", figures.source, names.join("、")),
        format!("{}: {waiting} messages wait in {}", figures.source, names.join(", ")),
    ))];
    for (queue, consumers) in figures.consumers.iter().flatten() {
        if *consumers == 0
            && figures
                .queues
                .get(queue)
                .is_some_and(|waiting| waiting.is_some_and(|waiting| waiting > 0))
        {
            findings.push(Finding::warning(language.pick(
                format!("队列 {queue} 有消息等待，却没有消费者"),
                format!("messages wait in the queue {queue}, and it has no consumer"),
            )));
        }
    }
    for (key, why) in &figures.reasons {
        if let Some(queue) = key.strip_prefix("queues.") {
            findings.push(Finding::warning(format!("broker.queues: {queue}: {why}")));
        } else if key == "total_pending" {
            findings.push(Finding::warning(why));
        }
    }
    findings
}

/// Why the broker could not be asked.
pub fn unreachable(kind: Option<Kind>, error: String, language: Language) -> Finding {
    let hint = if error.contains("certificate") {
        language.pick(
            "若证书由自己的机构签发：Redis 在 broker.url 中写 ssl_ca_certs=文件，RabbitMQ 把文件写在 SSL_CERT_FILE 中",
            "if your own authority has signed it, name its file: for Redis as ssl_ca_certs in broker.url, for RabbitMQ in SSL_CERT_FILE",
        )
    } else if kind == Some(Kind::Redis) {
        language.pick(
            "Redis 是否在运行？broker.url 中的主机、端口和密码是否正确？",
            "does Redis run, and are the host, port and password of broker.url right?",
        )
    } else {
        language.pick(
            "消息队列是否在运行？broker.url 是否正确？RabbitMQ 需要启用 rabbitmq_management 插件",
            "does the broker run, and is broker.url right? RabbitMQ needs its plugin rabbitmq_management",
        )
    };
    Finding::failed(error).hint(hint)
}

pub fn not_configured(language: Language) -> Finding {
    Finding::skipped(language.pick(
        "没有配置消息队列：队列统计来自数据库",
        "no broker is configured: queue statistics come from the database",
    ))
}
