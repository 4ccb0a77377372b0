//! Attempts, pauses, grouping, and channels side by side.

use super::*;
use crate::support::server::{Answer, Server, dead_port, ok, status};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use taskmon::channels::Grouping;
use taskmon::notify::deliver::{Delivery, Outgoing, Pauses, deliver};

const PAUSES: Pauses =
    Pauses { first: Duration::from_millis(20), longest: Duration::from_millis(100) };

fn to(place: Service, timeout: Duration, retries: u32, alerts: Vec<AlertUpdate>) -> Outgoing {
    Outgoing {
        name: "this one".to_owned(),
        channel: Ok(channel(place, timeout)),
        retries,
        notification: notification(Language::En, alerts),
    }
}

fn wecom(server: &Server) -> Service {
    Service::Wecom(service::wecom::Config { url: hidden(&server.url("/send?key=tok")) })
}

fn webhook(server: &Server) -> Service {
    Service::Webhook(webhook_keys(hidden(&server.url("/hook")), SecretSource::Unset))
}

fn one(outgoing: Outgoing) -> Delivery {
    let mut deliveries = deliver(vec![outgoing], &PAUSES);
    assert_eq!(deliveries.len(), 1);
    deliveries.remove(0)
}

fn of(severity: Severity, count: usize) -> Vec<AlertUpdate> {
    let kinds = (0..count).map(|number| format!("{}_{number}", severity.name()));
    kinds.map(|kind| firing(alert(&kind, severity, "m"))).collect()
}

#[test]
fn a_throttled_or_failed_request_is_retried_until_it_succeeds() {
    let answers = vec![
        ok(r#"{"errcode":45009,"errmsg":"slow down"}"#),
        status(503),
        Answer::Hangup,
        ok(r#"{"errcode":0}"#),
    ];
    let server = Server::plain(answers);
    let delivery = one(to(wecom(&server), PATIENCE, 3, two_alerts()));
    assert_eq!(delivery.accepted, two_alerts());
    assert_eq!(delivery.rejected, []);
    assert_eq!(delivery.error(), None);
    assert_eq!(delivery.name, "this one");
    // The connection that was closed held no request.
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| request.body == requests[0].body));
}

#[test]
fn retries_end_and_are_counted() {
    for (retries, expected) in [(0, 1), (1, 2), (3, 4)] {
        let server = Server::plain(vec![Answer::Http(500, vec![], "broken".to_owned())]);
        let delivery = one(to(webhook(&server), PATIENCE, retries, two_alerts()));
        assert_eq!(server.requests().len(), expected);
        assert_eq!(delivery.accepted, []);
        assert_eq!(delivery.rejected.len(), 1);
        assert_eq!(delivery.rejected[0].alerts, two_alerts());
        let error = delivery.error().unwrap();
        assert!(!error.permanent);
        let counted = format!("(after {expected} attempts)");
        assert_eq!(error.message.contains(&counted), expected > 1, "{error}");
    }
}

#[test]
fn a_permanent_refusal_is_not_retried() {
    for answer in [status(400), status(404), status(302), ok(r#"{"errcode":93000}"#), ok("garbage")]
    {
        let server = Server::plain(vec![answer]);
        let delivery = one(to(wecom(&server), PATIENCE, 5, two_alerts()));
        assert_eq!(server.requests().len(), 1);
        assert!(delivery.error().unwrap().permanent);
    }
}

#[test]
fn the_pause_that_a_service_asks_for_is_kept() {
    let asks = Answer::Http(429, vec![("Retry-After", "2".to_owned())], String::new());
    let server = Server::plain(vec![asks, status(200)]);
    let started = Instant::now();
    let delivery = one(to(webhook(&server), PATIENCE, 1, two_alerts()));
    assert_eq!(delivery.accepted.len(), 2);
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
}

#[test]
fn a_second_attempt_is_signed_anew() {
    let server = Server::plain(vec![status(500), ok(r#"{"code":0}"#)]);
    let place = Service::Feishu(service::feishu::Config {
        url: hidden(&server.url("/hook")),
        secret: hidden("s"),
    });
    let ticks = AtomicUsize::new(0);
    let clock =
        move || now() + chrono::TimeDelta::hours(ticks.fetch_add(1, Ordering::Relaxed) as i64);
    let machine = Machine { clock: Arc::new(clock), ..machine() };
    let outgoing = Outgoing {
        channel: Ok(channel_in(place.clone(), PATIENCE, machine)),
        ..to(place, PATIENCE, 1, two_alerts())
    };
    assert_eq!(one(outgoing).accepted.len(), 2);
    let times: Vec<String> = server
        .requests()
        .iter()
        .map(|request| request.json()["timestamp"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(times, ["1701453601", "1701457201"]);
}

#[test]
fn programs_get_all_alerts_at_once_and_people_one_message_for_each_severity() {
    let every = || {
        [
            of(Severity::Warning, 1),
            of(Severity::Critical, 1),
            of(Severity::Error, 120),
            of(Severity::Warning, 1),
        ]
        .concat()
    };
    let hook = Server::plain(vec![status(200)]);
    assert_eq!(one(to(webhook(&hook), PATIENCE, 0, every())).accepted.len(), 123);
    assert_eq!(hook.only().json()["alerts"], serde_json::to_value(every()).unwrap());

    let chat = Server::plain(vec![ok(r#"{"errcode":0}"#)]);
    let place = Service::Dingtalk(service::dingtalk::Config {
        url: hidden(&chat.url("/")),
        secret: SecretSource::Unset,
    });
    assert_eq!(channel(place.clone(), PATIENCE).grouping(), Grouping::Severity);
    assert_eq!(one(to(place, PATIENCE, 0, every())).accepted.len(), 123);
    let titles: Vec<String> = chat
        .requests()
        .iter()
        .map(|request| request.json()["markdown"]["title"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        titles,
        [
            "［Critical］ web-1: m",
            "［Error］ web-1: 50 alerts",
            "［Error］ web-1: 50 alerts",
            "［Error］ web-1: 20 alerts",
            "［Warning］ web-1: 2 alerts",
        ]
    );
}

#[test]
fn a_channel_without_alerts_is_left_alone() {
    let server = Server::plain(vec![status(200)]);
    let delivery = one(to(webhook(&server), PATIENCE, 0, vec![]));
    assert_eq!((delivery.accepted.len(), delivery.rejected.len()), (0, 0));
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn messages_that_were_accepted_before_a_failure_count_as_accepted() {
    let every =
        [of(Severity::Critical, 1), of(Severity::Error, 1), of(Severity::Warning, 1)].concat();
    // The second is refused for good, so the third is still tried.
    let server = Server::plain(vec![
        ok(r#"{"errcode":0}"#),
        ok(r#"{"errcode":40058,"errmsg":"bad"}"#),
        ok(r#"{"errcode":0}"#),
    ]);
    let delivery = one(to(wecom(&server), PATIENCE, 3, every.clone()));
    assert_eq!(delivery.accepted, [every[0].clone(), every[2].clone()]);
    assert_eq!(delivery.rejected.len(), 1);
    assert_eq!(delivery.rejected[0].alerts, every[1..2]);
    assert!(delivery.error().unwrap().message.contains("errcode 40058: \"bad\""));

    // The second fails with the service, and the third is not tried.
    let server = Server::plain(vec![ok(r#"{"errcode":0}"#), status(500), ok(r#"{"errcode":0}"#)]);
    let delivery = one(to(wecom(&server), PATIENCE, 0, every.clone()));
    assert_eq!(delivery.accepted, every[..1]);
    let left: Vec<AlertUpdate> =
        delivery.rejected.iter().flat_map(|untaken| untaken.alerts.clone()).collect();
    assert_eq!(left, every[1..]);
    assert_eq!(server.requests().len(), 2);
}

struct Mistaken;

impl Channel for Mistaken {
    fn send(&self, _: &Notification) -> Result<(), SendError> {
        panic!("a mistake")
    }

    fn destination(&self) -> Destination {
        Destination::Program(String::new())
    }
}

#[test]
fn a_channel_that_panics_affects_no_other() {
    let server = Server::plain(vec![status(200)]);
    let mistaken = Outgoing {
        channel: Ok(Box::new(Mistaken)),
        ..to(webhook(&server), PATIENCE, 0, two_alerts())
    };
    let deliveries =
        deliver(vec![mistaken, to(webhook(&server), PATIENCE, 0, two_alerts())], &PAUSES);
    assert_eq!(deliveries[0].rejected[0].alerts, two_alerts());
    assert!(deliveries[0].error().unwrap().message.contains("mistake in taskmon"));
    assert_eq!(deliveries[1].accepted, two_alerts());
}

#[test]
fn a_dead_channel_delays_none_of_the_others() {
    let (silent, fast) = (Server::plain(vec![Answer::Silence]), Server::plain(vec![status(200)]));
    let arrived = || !fast.requests().is_empty();
    let limit = Duration::from_secs(2);
    let dead = Service::Wecom(service::wecom::Config {
        url: hidden(&format!("http://localhost:{}/", dead_port())),
    });
    let sleeper = Service::Command(service::command::Config {
        command: vec!["/bin/sleep".to_owned(), "60".to_owned()],
    });
    let outgoing = vec![
        to(wecom(&silent), limit, 0, two_alerts()),
        to(sleeper, limit, 0, two_alerts()),
        to(dead, PATIENCE, 2, two_alerts()),
        to(webhook(&fast), PATIENCE, 0, two_alerts()),
    ];
    let started = Instant::now();
    let deliveries = std::thread::scope(|scope| {
        let running = scope.spawn(|| deliver(outgoing, &PAUSES));
        while !arrived() && started.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(started.elapsed() < limit, "the last channel waited {:?}", started.elapsed());
        running.join().unwrap()
    });
    assert!(started.elapsed() < limit * 2, "one after the other: {:?}", started.elapsed());
    let accepted: Vec<usize> = deliveries.iter().map(|delivery| delivery.accepted.len()).collect();
    assert_eq!(accepted, [0, 0, 0, 2]);
    assert!(deliveries[..3].iter().all(|delivery| !delivery.error().unwrap().permanent));
}
