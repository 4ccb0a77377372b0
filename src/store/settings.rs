//! `[database]`: which database, and how its tables are read.

use crate::mapping::{Mapping, ReceiptTable, TaskTable};
use crate::secret::{self, Secret};
use crate::store::target::Target;
use crate::values::{self, InvalidKey};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `[database]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    #[serde(default, with = "secret::optional_url")]
    pub url: Option<Secret>,
    #[serde(default, with = "secret::optional_url")]
    pub read_url: Option<Secret>,
    pub preset: String,
    pub naive_timestamps: String,
    #[serde(deserialize_with = "values::whole_number::<_, _, 1, 86_400>")]
    pub connect_timeout_seconds: u32,
    /// 0: no limit. PostgreSQL counts it in milliseconds of 31 bits.
    #[serde(deserialize_with = "values::whole_number::<_, _, 0, 2_147_483>")]
    pub statement_timeout_seconds: u32,
    pub row_security: RowSecurity,
    /// No task and no receipt is older; an earlier time is no time.
    #[serde(deserialize_with = "values::whole_number::<_, _, 1, 9999>")]
    pub earliest_year: u16,
    pub tasks: TaskTable,
    pub receipts: Option<ReceiptTable>,
}

impl Settings {
    /// The mapping in the dialect of the database.
    ///
    /// # Errors
    /// The key that does not describe a table.
    pub fn mapping(&self, target: Option<&Target>) -> Result<Mapping, InvalidKey> {
        let tasks = self.tasks.clone();
        let tasks = if target.is_some_and(Target::is_sqlite) { tasks.on_sqlite() } else { tasks };
        Mapping::new(tasks, self.receipts.clone())
    }

    pub fn connect_timeout(&self) -> Duration {
        Duration::from_secs(self.connect_timeout_seconds.into())
    }

    /// Zero: none.
    pub fn statement_timeout(&self) -> Duration {
        Duration::from_secs(self.statement_timeout_seconds.into())
    }
}

/// `database.row_security`: what to do where policies may hide rows from the role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowSecurity {
    /// Nothing is deleted, and reports say that they may lack rows.
    Refuse,
    /// The policies show the role every row.
    Accept,
}
