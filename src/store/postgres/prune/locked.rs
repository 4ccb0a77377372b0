//! Rows that another session holds a lock on: they stay for a later run, and the rest of their batch goes.

use super::lock_search::GLANCE;
use super::rows::{columns, read_key};
use super::transaction::{Deleting, UNDO_ROWS};
use super::verdict::Stopped;
use crate::store::prune::batch::Outcome;
use crate::store::prune::{Deletion, Key};
use std::collections::HashSet;

impl Deleting<'_> {
    /// What becomes of rows of which at least one is held: where the server names the others, these are deleted, else it is found by halves.
    ///
    /// The savepoint of these rows is released already.
    pub fn leave_locked(&self, places: &[usize]) -> Result<Outcome, Stopped> {
        self.limit_wait(GLANCE)?;
        let free = self.free(places)?.filter(|free| free.len() < places.len());
        if let Some(free) = free {
            return self.delete_free(places, &free).map(Outcome::Deleted);
        }
        if places.len() > 1 && self.locks.may_go_on() {
            return Ok(Outcome::TooMany);
        }
        Ok(Outcome::Deleted(Deletion { locked: places.to_vec(), ..Deletion::default() }))
    }

    fn delete_free(&self, places: &[usize], free: &[usize]) -> Result<Deletion, Stopped> {
        let free: HashSet<usize> = free.iter().copied().collect();
        let (free, held): (Vec<usize>, Vec<usize>) =
            places.iter().partition(|place| free.contains(place));
        let mut deletion = self.delete_some(&free)?;
        // Some may be gone by now.
        let there = self.read(held.iter().copied())?;
        let width = self.table.key.len();
        let there: HashSet<Key> =
            there.iter().filter_map(|row| read_key(row, width).ok()).collect();
        let is_there = |place: &usize| there.contains(&self.batch.rows[*place].key);
        deletion.locked.extend(held.into_iter().filter(is_there));
        Ok(deletion)
    }

    /// The rows at these places that nobody else holds; `None`: the server does not say, because the engine knows no SKIP LOCKED, because the role
    /// may delete and not update, or because the table itself is held.
    fn free(&self, places: &[usize]) -> Result<Option<Vec<usize>>, Stopped> {
        let (rows, width) = (self.batch.rows, self.table.key.len());
        let keys = columns(places.iter().map(|place| &rows[*place].key), width);
        self.step("SAVEPOINT taskmon_rows")?;
        let Ok(found) = self.session.ask_within(&self.statements.lock_free(self.table), &keys)
        else {
            return self.step(UNDO_ROWS).map(|()| None);
        };
        self.step("RELEASE SAVEPOINT taskmon_rows")?;
        let found: HashSet<Key> =
            found.iter().filter_map(|row| read_key(row, width).ok()).collect();
        let is_free = |place: &&usize| found.contains(&rows[**place].key);
        Ok(Some(places.iter().filter(is_free).copied().collect()))
    }
}
