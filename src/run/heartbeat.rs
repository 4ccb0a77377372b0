//! Heartbeats: a ping when a job starts, and one that says how it ended.

use super::{Session, channels};
use crate::channels::SendError;
use crate::channels::heartbeat::{Details, Monitor, Signal};
use crate::config::Config;
use crate::deadline::{self, Pending};
use crate::job::JobRun;
use crate::outcome::{Kind, Outcome};
use crate::secret::masked_url;
use std::time::{Duration, Instant};

/// The most that one ping may take, and the most by which both together delay the end of the run.
const LIMIT: Duration = Duration::from_secs(5);

/// A ping under way.
pub(super) struct Ping {
    /// What it says, and to which host.
    what: String,
    answer: Pending<Result<(), SendError>>,
    sent: Instant,
    limit: Duration,
}

impl Ping {
    /// Waits for the answer as long as the ping may take. One that failed is logged, and changes nothing else.
    fn wait(self) {
        let rest = self.limit.saturating_sub(self.sent.elapsed());
        let grace = Duration::from_millis(200);
        match self.answer.wait(rest.saturating_add(grace)) {
            Some(Ok(())) => log::info!("{} is taken", self.what),
            Some(Err(error)) => log::warn!("a heartbeat was not taken: {error}"),
            None => {
                let seconds = self.limit.as_secs_f64().ceil();
                log::warn!("a heartbeat was not taken within {seconds} s");
            }
        }
    }
}

impl Session {
    /// Says that a job starts, and does not wait for an answer. To be called with the lock in hand: a run that a lock skips pings nothing.
    pub(super) fn ping_start(&self, run: JobRun, config: &Config) {
        if let Some(monitor) =
            config.heartbeat.monitor(run.job.name()).filter(|_| run.has_heartbeat)
        {
            let ping = self.ping(monitor, Signal::Start, Details::default(), LIMIT);
            self.start_ping.replace(ping);
        }
    }

    /// Says how a job ended: the exit codes 0, 1 and 4 are a success.
    ///
    /// Nothing is said of dry runs, of runs that another one held up, and of `alert` beside the live rules, which is no job of cron's.
    pub(super) fn ping_end(&self, run: JobRun, outcome: Outcome) {
        // Without a configuration nobody knows where to; the ping that does not come says enough.
        let Ok(config) = &self.config else {
            return;
        };
        if !run.has_heartbeat || is_locked_out(outcome) {
            return;
        }
        let Some(monitor) = config.heartbeat.monitor(run.job.name()) else {
            return;
        };
        // Heard after the end, the start would look like a run that never ends.
        let ended = Instant::now();
        if let Some(start) = self.start_ping.take() {
            start.wait();
        }
        let left = LIMIT.saturating_sub(ended.elapsed());
        if left.is_zero() {
            log::warn!("no heartbeat says how the run ended: its start was not taken");
            return;
        }
        let signal = if outcome.is_success() {
            Signal::Success
        } else {
            Signal::Failure(outcome.exit_code())
        };
        let details = Details { log: self.log.end(), duration: ended.duration_since(self.started) };
        if let Some(ping) = self.ping(monitor, signal, details, left) {
            ping.wait();
        }
    }

    /// `None`: the service has no such signal, or it cannot be sent.
    fn ping(
        &self,
        monitor: Monitor,
        signal: Signal,
        details: Details,
        limit: Duration,
    ) -> Option<Ping> {
        if !monitor.takes(signal) {
            return None;
        }
        let (now, started, sent) = (self.now, self.started, Instant::now());
        let shown = masked_url(monitor.url.expose());
        let what = format!("the heartbeat of the {} to {shown}", signal.name());
        let env = self.env.clone();
        let answer = deadline::start(move || {
            let machine = channels::machine_for_url(&monitor.url, &env, now, started);
            monitor.ping(signal, &details, limit, &machine)
        });
        answer
            .inspect_err(|error| log::warn!("a heartbeat could not be sent: {error}"))
            .map(|answer| Ping { what, answer, sent, limit })
            .ok()
    }
}

/// Whether another run of the job, here or elsewhere, kept this one from it.
fn is_locked_out(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Failed(Kind::Locked | Kind::LockedElsewhere))
}
