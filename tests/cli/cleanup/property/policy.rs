//! Which rows PostgreSQL shows to the role of the run, and lets it delete.

use super::*;

const TABLES: [&str; 3] = ["tasks", "delivery_receipts", "tracking_info"];

/// Row level security on a table.
#[derive(Debug, Clone)]
pub struct Policy {
    table: &'static str,
    /// Which rows are shown.
    shown: &'static str,
    /// Which of them may be deleted.
    deletable: &'static str,
    is_owner: bool,
    is_forced: bool,
    bypasses: bool,
    /// What the configuration says of a role that is shown everything.
    is_accepted: bool,
}

pub fn policy() -> impl Strategy<Value = Policy> {
    let shown = prop::sample::select(vec!["true", "id % 2 = 0", "false"]);
    let deletable = prop::sample::select(vec!["true", "true", "id % 3 = 0"]);
    let flags = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.2), any::<bool>());
    (prop::sample::select(TABLES.to_vec()), shown, deletable, flags).prop_map(
        |(table, shown, deletable, (is_owner, is_forced, bypasses, is_accepted))| Policy {
            table,
            shown,
            deletable,
            is_owner,
            is_forced,
            bypasses,
            is_accepted,
        },
    )
}

impl Policy {
    pub fn set(&self, env: &TestEnv, role: &str) {
        let mut sql = String::new();
        for table in TABLES {
            sql += &format!(
                "ALTER TABLE {table} OWNER TO postgres; ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY; \
                 ALTER TABLE {table} DISABLE ROW LEVEL SECURITY; DROP POLICY IF EXISTS shown ON {table}; \
                 DROP POLICY IF EXISTS deletable ON {table}; GRANT SELECT, DELETE ON {table} TO {role}; "
            );
        }
        let Policy { table, shown, deletable, .. } = self;
        let bypass = if self.bypasses { "BYPASSRLS" } else { "NOBYPASSRLS" };
        sql += &format!(
            "ALTER ROLE {role} {bypass}; ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; \
             CREATE POLICY shown ON {table} FOR SELECT USING ({shown}); CREATE POLICY deletable ON {table} FOR DELETE USING ({deletable});"
        );
        if self.is_owner {
            sql += &format!("ALTER TABLE {table} OWNER TO {role};");
        }
        if self.is_forced {
            sql += &format!("ALTER TABLE {table} FORCE ROW LEVEL SECURITY;");
        }
        env.sql(&sql);
    }

    fn applies(&self) -> bool {
        !self.bypasses && (!self.is_owner || self.is_forced)
    }

    pub fn is_accepted(&self) -> bool {
        self.is_accepted && (!self.applies() || self.shown == "true")
    }

    /// Whether rows may be hidden from the run.
    pub fn may_hide(&self) -> bool {
        self.applies() && !self.is_accepted()
    }
}
