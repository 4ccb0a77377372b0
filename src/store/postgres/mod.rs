//! PostgreSQL.
//!
//! A day's report is five statements, the live figures four, and one more by queue and name; `parallel` has them answered from one snapshot. Every statement is sent unnamed with
//! its parameters' types (`query_typed`): one round trip, and nothing that a pooler between transactions could trip over.

pub mod answer;
mod bounded;
mod cascades;
pub mod catalogue;
pub mod connect;
mod encoding;
pub mod failure;
mod foreign_keys;
mod groups;
mod identity;
mod indexes;
pub mod inspect;
mod live;
mod parallel;
mod plan;
pub mod prune;
mod quote;
mod report;
mod row_security;
mod schema;
mod session;
pub mod settings;
mod text;
mod trend;
mod view_key;
mod waiting;
pub mod worker;

use super::{DayFigures, DayRequest, LiveFigures, LiveRequest, Store, StoreSettings};
use crate::mapping::Field;
use crate::outcome::{Failure, Kind};
use anyhow::Result;
use bounded::Bounded;
use connect::connect;
use connect::target::PostgresTarget;
use encoding::Shown;
use identity::Identity;
use parallel::{Connections, Refused, open_second};
use plan::{Figures, Plan};
use schema::Schema;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use worker::Worker;

/// How long after its own time limit a silent server is considered gone.
const SILENCE: Duration = Duration::from_secs(15);

/// Seconds to wait before a report is begun again because a conflict ended it, such as the replay of a vacuum on a standby, or its connection
/// was lost.
const PAUSES: [u64; 3] = [1, 3, 6];

/// Writes the statements of a report.
type Make<'a> = dyn Fn(&StoreSettings, &Schema) -> Result<Plan, Failure> + 'a;

pub struct PostgresStore {
    target: PostgresTarget,
    server: Identity,
    connections: Connections,
    settings: StoreSettings,
    schema: Schema,
}

impl PostgresStore {
    /// Connects and reads the table's schema, again where a conflict ends that or the connection is lost.
    pub fn open(target: &PostgresTarget, settings: StoreSettings) -> Result<Self> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let leader = Worker::start(connect(target)?)?;
            let mut bounded = Bounded::new(leader, settings.statement_timeout);
            // Only once the first connection is open, or this could take the last one that a limit leaves.
            let second = open_second(target.clone());
            match Self::read_schema(&mut bounded, settings.clone()) {
                Ok((settings, schema)) => {
                    let leader = bounded.into_worker()?;
                    let (server, target) = (Identity::read(&leader), target.clone());
                    let connections = Connections::new(leader, second);
                    return Ok(Self { target, server, connections, settings, schema });
                }
                Err(error) => match pauses.next().filter(|_| bounded.may_pass()) {
                    Some(pause) => {
                        log::info!("reading the table's schema again in {pause} s: {error:#}");
                        thread::sleep(Duration::from_secs(pause));
                    }
                    None => return Err(error),
                },
            }
        }
    }

    fn read_schema(
        bounded: &mut Bounded,
        mut settings: StoreSettings,
    ) -> Result<(StoreSettings, Schema)> {
        let schema = schema::read(bounded, &settings)?;
        log::debug!("the table's schema: {schema:?}");
        let states = &mut settings.mapping.tasks.states;
        schema.encoding.retain_labels(states, &mut |sql| bounded.try_simple(sql))?;
        Ok((settings, schema))
    }

    fn figures(&mut self, make: &Make) -> Result<Figures> {
        let mut plan = Arc::new(make(&self.settings, &self.schema)?);
        let mut pauses = PAUSES.into_iter();
        loop {
            let refused = match self.connections.answer(&plan, self.settings.statement_timeout)? {
                Ok(figures) => return Ok(figures),
                Err(refused) => refused,
            };
            if refused.is_untranslatable && self.schema.shown == Shown::AsStored {
                log::warn!("texts are shown in ASCII alone: {}", refused.failure);
                self.schema.shown = Shown::Ascii;
                plan = Arc::new(make(&self.settings, &self.schema)?);
                continue;
            }
            if !self.can_begin_again(&refused, &mut pauses)? {
                let blamed = refused.is_of_mapping.then(|| self.blame()).flatten();
                return Err(blamed.unwrap_or(refused.failure).into());
            }
        }
    }

    /// Waits, and connects again where the connection was lost, as long as there are pauses left.
    ///
    /// # Errors
    /// It is another server that answers now.
    fn can_begin_again(
        &mut self,
        refused: &Refused,
        pauses: &mut impl Iterator<Item = u64>,
    ) -> Result<bool> {
        let is_lost = refused.has_ended && refused.failure.kind == Kind::DatabaseUnavailable;
        if !refused.is_conflict && !is_lost {
            return Ok(false);
        }
        for pause in pauses {
            log::info!("beginning the report again in {pause} s: {}", refused.failure);
            thread::sleep(Duration::from_secs(pause));
            if !refused.has_ended {
                return Ok(true);
            }
            if let Ok(client) = connect(&self.target) {
                let leader = Worker::start(client)?;
                self.server.require_same(&Identity::read(&leader), &self.target.display())?;
                self.connections = Connections::new(leader, open_second(self.target.clone()));
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes the texts that the database cannot hold.
    fn retain<'t>(&mut self, lists: impl Iterator<Item = &'t mut Vec<String>>) -> Result<()> {
        self.connections.with_leader(|leader| {
            let mut bounded = Bounded::new(leader, self.settings.statement_timeout);
            for texts in lists {
                self.schema.encoding.retain(texts, &mut |sql| bounded.try_simple(sql))?;
            }
            bounded.into_worker()
        })?;
        Ok(())
    }

    fn blame(&mut self) -> Option<Failure> {
        let overlay = plan::overlay(&self.settings.mapping.tasks, &self.schema);
        let leader = self.connections.take_leader()?;
        schema::blame(leader, &self.settings, &self.schema.fields.present, &overlay)
    }
}

fn silent(waited: Duration) -> Failure {
    let seconds = waited.as_secs();
    Failure::new(
        Kind::DatabaseUnavailable,
        format!(
            "the database has not answered for {seconds} seconds, longer than a statement may run"
        ),
    )
    .hint("is the server stopped, or the network between cut?")
}

impl Store for PostgresStore {
    fn day_figures(&mut self, request: &DayRequest) -> Result<DayFigures> {
        let mut request = request.clone();
        let first = &mut request.listed_first;
        self.retain(request.categories.iter_mut().chain([&mut first.queues, &mut first.names]))?;
        Ok(self.figures(&|settings, schema| Ok(Plan::day(settings, schema, &request)))?.day)
    }

    fn live_figures(&mut self, request: &LiveRequest) -> Result<LiveFigures> {
        let mut request = request.clone();
        let first = &mut request.listed_first;
        self.retain([&mut first.queues, &mut first.names].into_iter())?;
        let Figures { day, mut live } =
            self.figures(&|settings, schema| Plan::live(settings, schema, &request))?;
        live.today = day.trend;
        live.scheduled = day.scheduled;
        live.today.retain(|count| count.tasks > 0);
        Ok(live)
    }

    fn answers(&mut self, within: Duration) -> bool {
        self.connections.answers(within)
    }

    fn hidden_rows(&self) -> Option<&Failure> {
        self.schema.hidden_rows.as_ref()
    }

    fn missing(&self) -> &[Field] {
        &self.schema.fields.missing
    }

    fn types(&self) -> Vec<(Field, String)> {
        self.schema.types.clone()
    }
}
