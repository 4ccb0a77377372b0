//! The broker's figures in a report.

mod rabbitmq;
pub mod redis;

use crate::support::env::TestEnv;
use crate::support::finished::Finished;
use serde_json::Value;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

pub const PASSWORD: &str = "br0ker:s3cret";

/// A worker with its processes, which go with it.
pub struct Worker(Child);

impl Worker {
    pub fn start(mut celery: Command) -> Self {
        celery.stdout(Stdio::null()).stderr(Stdio::null());
        Self(celery.process_group(0).spawn().unwrap())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-9", "--", &group]).status();
        let _ = self.0.wait();
    }
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

pub fn configure(env: &TestEnv, url: &str, broker: &str) {
    env.write(
        "taskmon.toml",
        &format!(
            "timezone = 'UTC'\nlanguage = 'en'\n[database]\nurl = '{}'\n[broker]\nurl = '{url}'\n{broker}",
            env.url()
        ),
    );
}

pub fn queue(finished: &Finished) -> Value {
    finished.json()["system_statistics"]["queue_statistics"].clone()
}

pub fn stats(env: &TestEnv) -> Value {
    queue(&env.taskmon(["stats", "--no-save", "--no-alert"]).success())
}
